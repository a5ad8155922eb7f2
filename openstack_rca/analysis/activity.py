# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Which code worked for users, for failures that nobody recorded.

When nothing logs an error, the question still has an honest answer: the code
that did most of the work that users asked for, in the services that the
question names, is where to look. The same list comes last behind what
tracebacks show. It is weaker than any error record, and is told as such.
"""

import dataclasses
from typing import Any

import polars as pl

from openstack_rca.analysis import codemap
from openstack_rca.analysis import components
from openstack_rca.analysis import location
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.store import base as stores

_MOST_PLACES = 10
_MOST_TEMPLATES = 5000
_SHOWN = 3
#: Of so many places a map is asked, which takes time to read.
_MAPPED = 3
_WEIGHT = 0.1


@dataclasses.dataclass
class Activity:
    """What a place in the code did.

    :param place: the place
    :param component: the part of the cloud that it is in
    :param events: how many events it logged
    :param templates: the templates of these events
    """

    place: location.Place
    component: str
    events: int
    templates: list[int]


def busiest(store: stores.Store, scope: scopes.Scope,
            atlas: codemap.Atlas | None = None) -> list[Activity]:
    """Places in the code in the order of what they did for users.

    A request of a user carries the user's id; what a service does by itself
    (periodic tasks, reports of state) does not.

    :param store: events
    :param scope: what the question is about
    :param atlas: code maps, for lines that do not tell their function
    """
    frame = store.narrow(stores.Query(
        since=scope.since, until=scope.until, kinds=('log',),
        services=scope.only_services or scope.services)).filter(
            pl.col('user_id').is_not_null())
    table = frame.group_by('template', 'logger').agg(
        count=pl.len(), text=pl.col('text').first(),
        level=pl.col('level').first(),
        binary=pl.col('binary').first()).sort(
            'count', 'template', descending=[True, False]).head(
                _MOST_TEMPLATES).collect(engine='streaming')
    found: dict[str, Activity] = {}
    functions: dict[str, dict[str | None, int]] = {}
    for row in table.iter_rows(named=True):
        place = location.of_suffix(row['text'].split('\n', 1)[0]) \
            or location.of_logger(row['logger'])
        if place is None:
            continue
        held = found.setdefault(place.file, Activity(
            place, components.of_binary(row['binary']), 0, []))
        held.events += row['count']
        held.templates.append(row['template'])
        votes = functions.setdefault(place.file, {})
        votes[place.function] = votes.get(place.function, 0) + row['count']
    best = sorted(found.values(), key=lambda a: (
        -a.events, a.place.file))[:_MOST_PLACES]
    for activity in best:
        file = activity.place.file
        votes = functions[file]
        named = [f for f in votes if f is not None]
        activity.place = location.Place(file, max(
            named, key=lambda f: (votes[f], f)) if named else None)
    unnamed = [a for a in best[:_MAPPED] if a.place.function is None]
    if atlas is not None and unnamed:
        _name(unnamed, table, dict(store.templates().iter_rows()), atlas)
    return best


def _name(unnamed: list[Activity], table: pl.DataFrame,
          patterns: dict[int, str], atlas: codemap.Atlas) -> None:
    """Find functions whose lines do not tell them in the code map.

    :param unnamed: places without a function
    :param table: a row a template and logger, the most frequent first
    :param patterns: templates by their ids
    :param atlas: code maps
    """
    for activity in unnamed:
        for row in table.filter(pl.col('template').is_in(
                pl.Series(activity.templates, dtype=pl.UInt64).implode())
                ).iter_rows(named=True):
            known = atlas.place(patterns.get(row['template'], ''),
                                row['logger'], row['level'])
            if known and known[0] == activity.place.file and known[1]:
                activity.place = location.Place(*known)
                break


def suspect(store: stores.Store, scope: scopes.Scope,
            busy: list[Activity]) -> list[ranking.Finding]:
    """The weakest of reasons: who did the work that failed unseen.

    :param store: events
    :param scope: what the question is about
    :param busy: result of :func:`busiest`
    """
    busy = [a for a in busy if a.component != 'other']
    if not busy:
        return []
    best = busy[0]
    rows: list[dict[str, Any]] = list(store.narrow(stores.Query(
        since=scope.since, until=scope.until,
        templates=tuple(best.templates[:20]))).filter(
            pl.col('user_id').is_not_null()).sort(
                'timestamp', 'source', 'line').tail(_SHOWN).collect(
                    ).iter_rows(named=True))
    return [ranking.Finding(
        component=best.component, category='unknown', clue='activity',
        weight=_WEIGHT,
        cause=f'No error is recorded; {best.component} did most of the work '
              f'that users asked for',
        remedy=(f'Look at what {best.component} did for the request last; '
                f'set debug = True for it and try again.',),
        direct=False,
        events=[{**r, 'related': False, 'score': 0.1,
                 'why': 'the last work for users'} for r in rows],
        since=rows[0]['timestamp'] if rows else None)]
