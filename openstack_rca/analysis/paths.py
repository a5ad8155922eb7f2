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
"""Who failed first on a request's path, and what did not happen there.

The requests that failed are few among all, and only these are read, beside a
sample of requests of the same kind that went well. The first bad record of a
path tells who failed before the others. The steps that all good requests of
the kind took tell what a bad one left out: a request that stops without any
error has stopped in front of the first of them.
"""

import collections
import dataclasses
import datetime
import re
import statistics
from typing import Any

import polars as pl

from openstack_rca.analysis import codemap
from openstack_rca.analysis import components
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import location
from openstack_rca.analysis import operations
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.events import schema
from openstack_rca.store import base as stores

#: Requests that are read: that failed, of each kind that went well, of each
#: kind that may have stopped.
_MOST_FAILED = 24
_MOST_GOOD = 20
_MOST_STOPPED = 30
_MOST_KINDS = 6
_MOST_EVENTS = 20_000
#: Good requests that have to agree on a step, and how many of them.
_LEAST_GOOD = 3
_AGREED = 0.9
#: How long after the end of its usual work a request has stopped, in seconds
#: and as a multiple of the usual time.
_PATIENCE = 30.0
_LATE = 3.0
#: Weights of the reasons.
_WEIGHT_FIRST = 0.25
_WEIGHT_MISSING = 0.3
#: A request that failed with an error has its steps missing for that reason.
_AFTER_ERROR = 0.5
_SHOWN = 3
#: Requests whose last records tell where they ended, the places that are
#: told, and the share of windows from which a record is a habit.
_MOST_LAST = 4
_MOST_PLACES = 10
_HABIT = 0.06

_UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}'
_MASKED = re.compile(_UUID)
#: Requests of services to themselves, and what nobody waits for.
_ASIDE = r'os-server-external-events|/auth/tokens'


@dataclasses.dataclass
class Way:
    """The events of one request and of those that carry its id.

    :param request: the id
    :param kind: method and path of what was asked, without identifiers
    :param events: rows, oldest first
    :param related: whether it concerns what was asked about
    """

    request: str
    kind: str
    events: list[dict[str, Any]]
    related: bool = False

    def steps(self) -> dict[tuple[str, int], datetime.datetime]:
        """What was logged by whom, with its first time.

        The outcome of a request is part of its line: one that failed did
        not take the step.
        """
        found: dict[tuple[str, int], datetime.datetime] = {}
        for row in self.events:
            if row['kind'] in ('log', 'access') \
                    and row['level'] < schema.WARNING:
                found.setdefault((row['binary'] or '', row['template']),
                                 row['timestamp'])
        return found

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Errors and failed answers."""
        return [r for r in self.events if r['kind'] != 'notification' and (
            r['level'] >= schema.ERROR or (r['status'] or 0) >= 500)]


@dataclasses.dataclass
class Missing:
    """A step that a request did not take, though others of its kind do.

    :param way: the request
    :param binary: who should have logged it
    :param template: what
    :param of: how many good requests it is compared with
    :param last: the last row in front of it
    :param sample: a row of another request that took it
    """

    way: Way
    binary: str
    template: int
    of: int
    last: dict[str, Any]
    sample: dict[str, Any]

    def words(self, pattern: str) -> str:
        """The step in words.

        :param pattern: its template
        """
        row = self.sample
        if row['kind'] == 'access' and row['method']:
            pattern = (f'{row["method"]} '
                       f'{_MASKED.sub("<*>", row["path"].partition("?")[0])}'
                       f' answered {row["status"]}')
        return pattern if len(pattern) <= 120 else f'{pattern[:117]}...'


@dataclasses.dataclass
class Paths:
    """What was read of the paths of requests.

    :param failed: requests with an error, the first failure first
    :param missing: the first step that each suspect left out
    :param patterns: templates by their ids
    """

    failed: list[Way]
    missing: list[Missing]
    patterns: dict[int, str]


def read(store: stores.Store, scope: scopes.Scope,
         seen: gathering.Evidence) -> Paths:
    """Read the paths that matter.

    :param store: events
    :param scope: what the question is about
    :param seen: what was looked at, and the onset
    """
    failed = _failed(scope, seen)
    asked = _asked(store, scope)
    kinds = _kinds(asked, failed, scope)
    if not failed and not kinds:
        return Paths([], [], {})
    known = dict(asked.select('request_id', 'asked').iter_rows())
    end = seen.current['last'].max()
    assert end is None or isinstance(end, datetime.datetime)
    good, stopped = _sampled(asked, kinds, failed, scope, seen)
    ways = _ways(store, scope, {*failed, *good, *stopped}, known)
    fine = [ways[r] for r in good if r in ways and not ways[r].bad]
    missing = []
    for request in [*failed, *stopped]:
        way = ways.get(request)
        if way is None or not way.kind:
            continue
        peers = [w for w in fine if w.kind == way.kind
                 and w.request != request]
        found = _left_out(way, peers, end)
        if found is not None:
            missing.append(found)
    templates = {m.template for m in missing} | {
        m.last['template'] for m in missing}
    patterns = dict(store.templates().filter(
        pl.col('template').is_in(pl.Series(
            sorted(templates), dtype=pl.UInt64).implode())).iter_rows()) \
        if templates else {}
    return Paths([ways[r] for r in failed if r in ways and ways[r].bad],
                 missing, patterns)


def _failed(scope: scopes.Scope, seen: gathering.Evidence) -> list[str]:
    """Requests that failed, in order of time; those asked about first."""
    rows = [r for r in seen.samples if r['request_id']
            and r['kind'] != 'notification' and r['timestamp'] is not None
            and (r['level'] >= schema.ERROR or (r['status'] or 0) >= 500)
            and gathering.unusual(r) > 0.5]
    rows.sort(key=lambda r: (not r['related'], r['timestamp'], r['source'],
                             r['line']))
    # One for each way to fail, then the others.
    first: dict[tuple[str, int], str] = {}
    for row in rows:
        first.setdefault((row['binary'], row['template']),
                         _origin(row))
    return list(dict.fromkeys([
        *scope.requests, *first.values(), *map(_origin, rows)]))[
            :_MOST_FAILED]


def _origin(row: dict[str, Any]) -> str:
    return str(row['global_request_id'] or row['request_id'])


def _asked(store: stores.Store, scope: scopes.Scope) -> pl.DataFrame:
    """What users asked to have changed.

    :returns: ``request_id``, ``timestamp``, ``status``, ``service``,
        ``asked``
    """
    return store.narrow(stores.Query(
        until=scope.until, kinds=('access',),
        services=scope.only_services)).filter(
            pl.col('request_id').is_not_null()
            # Others do not ask by themselves.
            & pl.col('global_request_id').is_null()
            & pl.col('timestamp').is_not_null()
            & pl.col('method').is_in(['POST', 'PUT', 'PATCH', 'DELETE'])
            & ~pl.col('path').str.contains(_ASIDE)).select(
                'request_id', 'timestamp', 'status', 'service',
                asked=pl.concat_str(
                    'service', 'method', pl.col('path').str.replace(
                        r'\?.*$', '').str.replace_all(_UUID, '<*>'),
                    separator=' ')).unique(
                        'request_id', keep='first').sort(
                            'timestamp', 'request_id').collect(
                                engine='streaming')


def _kinds(asked: pl.DataFrame, failed: list[str], scope: scopes.Scope,
           ) -> list[str]:
    """Kinds of requests that are compared.

    Those that failed, and the most frequent ones of the services that the
    question names.
    """
    mine = asked.filter(pl.col('request_id').is_in(failed))[
        'asked'].value_counts(sort=True)['asked'].to_list()
    topics = asked.filter(pl.col('service').is_in(scope.services)) \
        if scope.services else asked
    often = topics['asked'].value_counts().sort(
        'count', 'asked', descending=[True, False])['asked'].to_list()
    return list(dict.fromkeys([*mine, *often]))[:_MOST_KINDS]


def _sampled(asked: pl.DataFrame, kinds: list[str], failed: list[str],
             scope: scopes.Scope, seen: gathering.Evidence
             ) -> tuple[list[str], list[str]]:
    """Requests that went well, and those that nobody called bad."""
    asked = asked.filter(pl.col('asked').is_in(kinds)
                         & ~pl.col('request_id').is_in(failed)
                         & (pl.col('status') < 400))
    since = max((t for t in (scope.since, seen.onset) if t), default=None)
    late = pl.lit(True) if since is None else pl.col('timestamp') >= since
    good = asked.filter(~late)
    few = good.group_by('asked').agg(pl.len()).filter(
        pl.col('len') >= _LEAST_GOOD)['asked']
    good = pl.concat([good, asked.filter(
        late & ~pl.col('asked').is_in(few.implode()))])
    stopped = asked.filter(late)
    return (good.group_by('asked', maintain_order=True).tail(
                _MOST_GOOD)['request_id'].to_list(),
            stopped.group_by('asked', maintain_order=True).tail(
                _MOST_STOPPED)['request_id'].to_list())


def _ways(store: stores.Store, scope: scopes.Scope, requests: set[str],
          known: dict[str, str]) -> dict[str, Way]:
    """The events of requests, by the id of the one that began."""
    wanted = pl.Series(sorted(requests), dtype=pl.String).implode()
    rows = store.narrow(stores.Query(
        until=scope.until, services=scope.only_services)).filter(
            (pl.col('request_id').is_in(wanted)
             | pl.col('global_request_id').is_in(wanted)).fill_null(False)
            & pl.col('timestamp').is_not_null()).sort(
                'timestamp', 'source', 'line').head(_MOST_EVENTS).collect(
                    engine='streaming')
    ways: dict[str, Way] = {}
    for row in rows.iter_rows(named=True):
        for name in {row['request_id'], row['global_request_id']}:
            if name in requests:
                ways.setdefault(name, Way(
                    name, known.get(name, ''), [])).events.append(row)
    about = set(scope.resources)
    for way in ways.values():
        way.related = way.request in scope.requests or any(
            about.intersection(r['resources'] or ()) for r in way.events)
        if way.kind.endswith('/action'):
            # Of a body that no log holds; actions differ in all else.
            done = next((m.name for m in map(operations.mark, way.events)
                         if m is not None and m.name not in ('', 'action')),
                        '')
            way.kind = f'{way.kind} {done}' if done else ''
    return ways


def _left_out(way: Way, peers: list[Way],
              end: datetime.datetime | None) -> Missing | None:
    """The first step that all peers took and a request did not."""
    if len(peers) < _LEAST_GOOD or not way.events:
        return None
    taken = [(p, p.steps()) for p in peers]
    often = collections.Counter(s for _p, steps in taken for s in steps)
    need = _AGREED * len(peers)
    usual = {s for s, count in often.items() if count >= need}
    mine = way.steps()
    lacks = usual - mine.keys()
    if not lacks:
        return None
    begin = way.events[0]['timestamp']
    spans = [(p.events[-1]['timestamp']
              - p.events[0]['timestamp']).total_seconds() for p in peers]
    wait = max(_PATIENCE, _LATE * max(spans))
    if not way.bad and (end is None
                        or (end - begin).total_seconds() < wait):
        # It may be at it.
        return None
    offset = {s: statistics.median(
        (steps[s] - p.events[0]['timestamp']).total_seconds()
        for p, steps in taken if s in steps) for s in lacks}
    binary, template = min(lacks, key=lambda s: (offset[s], s))
    sample = next(r for p, steps in taken if (binary, template) in steps
                  for r in p.events if r['template'] == template)
    before = [r for r in way.events if r['kind'] != 'notification'
              and (r['timestamp'] - begin).total_seconds()
              <= offset[binary, template] + wait]
    return Missing(way, binary, template, len(peers),
                   (before or way.events)[-1], sample)


def findings(store: stores.Store, scope: scopes.Scope,
             seen: gathering.Evidence,
             paths: Paths | None = None) -> list[ranking.Finding]:
    """What paths say of whose fault it is.

    :param store: events
    :param scope: what the question is about
    :param seen: what was looked at
    :param paths: what :func:`read` returned, if it was called
    """
    paths = paths or read(store, scope, seen)
    return [*_first(paths), *_stopped(paths)]


def _first(paths: Paths) -> list[ranking.Finding]:
    """Whose process logged the first bad record of the most paths."""
    firsts: dict[str, list[dict[str, Any]]] = {}
    asked = {r['request_id'] for w in paths.failed if w.related
             for r in w.events}
    for way in paths.failed:
        row = way.bad[0]
        component = components.of_binary(row['binary'] or '')
        # Who fails alone on its path fails before nobody.
        others = {components.of_binary(r['binary'] or '') for r in way.bad}
        if component != 'other' and len(others) > 1:
            firsts.setdefault(component, []).append(row)
    total = sum(map(len, firsts.values()))
    return [ranking.Finding(
        component=component, category='unknown',
        clue='failed first on the path',
        weight=_WEIGHT_FIRST * len(rows) / total,
        cause=f'{component} is the first to fail on the way of '
              f'{len(rows)} of {total} requests that failed',
        remedy=(f'Begin with the lines of {component} below: those of '
                f'others follow from them.',),
        direct=False, events=[_shown(r, 'the first to fail on the path of '
                                     'its request') for r in rows[:_SHOWN]],
        related=any(r['request_id'] in asked for r in rows),
        since=rows[0]['timestamp'],
        processes={(r['binary'], r['host'] or '') for r in rows})
        for component, rows in firsts.items()]


def _stopped(paths: Paths) -> list[ranking.Finding]:
    """Who should have logged the step at which most requests stopped."""
    groups: dict[tuple[str, int, bool], list[Missing]] = {}
    for item in paths.missing:
        groups.setdefault((item.binary, item.template, bool(item.way.bad)),
                          []).append(item)
    total = len(paths.missing)
    found = []
    for (binary, template, bad), items in groups.items():
        component = components.of_binary(binary)
        pattern = paths.patterns.get(template, '')
        if component == 'other' or not pattern:
            continue
        if bad and items[0].sample['kind'] == 'access':
            # Whoever failed did not come to ask.
            continue
        # One request may be the only one of its kind in all logs.
        weight = _WEIGHT_MISSING * min(len(items) / total, len(items) / 2)
        found.append(ranking.Finding(
            component=component, category='unknown' if bad else 'hang',
            clue='missing step', weight=weight * (
                _AFTER_ERROR if bad else 1.0),
            cause='The request stopped before: '
                  f"'{items[0].words(pattern)}'",
            remedy=(f'See what {component} did after the last line below; '
                    f'{items[0].of} other requests of this kind went on.',),
            direct=False, events=[_shown(
                i.last, 'the last record in front of a step that did not '
                'come') for i in items[:_SHOWN]],
            related=any(i.way.related for i in items),
            since=items[0].last['timestamp'],
            processes={(i.last['binary'], i.last['host'] or '')
                       for i in items}))
    return found


def _shown(row: dict[str, Any], why: str) -> dict[str, Any]:
    return {**row, 'related': False, 'score': 0.2, 'why': why}


def ends(store: stores.Store, scope: scopes.Scope, seen: gathering.Evidence,
         atlas: codemap.Atlas | None = None,
         paths: Paths | None = None) -> list[location.Place]:
    """Where in the code the paths of requests without an error ended.

    The place that should have logged the step that did not come stands in
    front of the place that logged the last one. Where no other request tells
    what should have come, and nothing failed, it is the last records of the
    last changes that users asked for, without those that are a habit:
    periodic tasks log under the id of the request before them.

    :param store: events
    :param scope: what the question is about
    :param seen: what was looked at
    :param atlas: code maps, for lines that do not tell their function
    :param paths: what :func:`read` returned, if it was called
    """
    paths = paths or read(store, scope, seen)
    votes: dict[location.Place, float] = {}
    for item in paths.missing:
        if item.way.bad:
            continue
        row = item.last
        known = (
            _place(item.sample['text'], item.sample['logger'],
                   item.sample['level'],
                   paths.patterns.get(item.template, ''), atlas),
            _place(row['text'], row['logger'], row['level'],
                   paths.patterns.get(row['template'], ''), atlas))
        for place, weight in zip(known, (1.0, 0.9), strict=True):
            if place is not None:
                votes[place] = votes.get(place, 0.0) + weight
    if not votes and not paths.failed:
        return _last_places(store, scope, seen)
    return sorted(votes, key=lambda p: (-votes[p], p.file,
                                        p.function or ''))


def _last_places(store: stores.Store, scope: scopes.Scope,
                 seen: gathering.Evidence) -> list[location.Place]:
    asked = _asked(store, scope)
    mine = asked.filter(pl.col('service').is_in(scope.services))
    asked = asked if mine.is_empty() else mine
    last = asked['request_id'].to_list()[:-_MOST_LAST - 1:-1]
    ways = _ways(store, scope, set(last), {})
    profile = pl.concat([seen.current, seen.reference])
    often = max(2.0, _HABIT * profile['window'].n_unique())
    habits = set(profile.group_by('binary', 'template').agg(
        pl.col('window').n_unique()).filter(
            pl.col('window') > often).select('binary', 'template').rows())
    found: dict[location.Place, None] = {}
    for request in last:
        for row in reversed(ways[request].events if request in ways else ()):
            if row['kind'] != 'log' \
                    or (row['binary'], row['template']) in habits:
                continue
            place = location.of_suffix(row['text'].split('\n', 1)[0])
            if place is not None:
                found.setdefault(place)
    return list(found)[:_MOST_PLACES]


def _place(text: str, logger: str | None, level: int, pattern: str,
           atlas: codemap.Atlas | None) -> location.Place | None:
    named = location.of_suffix(text.split('\n', 1)[0])
    if named is not None:
        return named
    known = atlas.place(pattern, logger, level) if atlas else None
    return location.Place(*known) if known else location.of_logger(logger)
