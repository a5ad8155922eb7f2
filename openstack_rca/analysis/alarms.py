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
"""What is loud in what was just logged, and whose fault it says it is.

Detectors compare windows of a minute with what is usual; that takes some
seconds, and they do not say who is to blame. An alarm is raised by a single
record: an error, a failed request, a message that names a fault. Like all
symptoms it is told once a template, with the requests and resources by which
it meets others, and the reasons by which these become one incident.
"""

import collections
import datetime
import re
from typing import Any

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.analysis import evidence
from openstack_rca.detectors import base as detectors
from openstack_rca.events import schema
from openstack_rca.store import base as stores

#: As a detector of symptoms is named.
NAME = 'alarms'

#: How long a record may come late, by the newest one of all.
_LATE = datetime.timedelta(seconds=120)
#: What is read at once.
_PIECE = datetime.timedelta(minutes=10)
#: What is passed over at once where nothing was logged.
_MOST_PIECE = datetime.timedelta(days=30)
_TICK = datetime.timedelta(microseconds=1)
#: What was logged in more windows of the hour before the first look is a
#: habit of this cloud.
_HABIT = 2
#: What a process says that was told to end; oslo.service with threads and
#: with eventlet, cotyledon, uWSGI. Nobody is alarmed by what it says then.
_ENDS = (r'Graceful shutdown start|[Cc]aught SIGTERM|'
         r'SIGINT/SIGTERM received')
#: Seconds in which such a process ends.
_ENDING = datetime.timedelta(seconds=120)
#: Records of so long ago tell habits.
_PAST = datetime.timedelta(hours=1)
#: A clue of so much weight is an alarm in a warning, too.
_STRONG = 0.5
#: Requests that have to be refused or to fail for an alarm, where no service
#: calls it an error.
_REFUSED = 3
#: In so much time.
_TOGETHER = datetime.timedelta(seconds=60)
#: Requests and resources of one symptom.
_MOST_KEYS = 20
#: An event that names more resources is about none of them.
_FEW = 3
#: Groups of one look; the most severe ones.
_MOST = 200
_KEY = ('binary', 'host', 'template')
_ZERO = re.compile(r'[0-]+')


class Alarms:
    """Looks at a store again and again.

    :param floor: what was logged before is history: it raises no alarm
    :param begun: what was logged before tells what is usual; by default
        that is the floor. A trouble that goes on while the engine is started
        again is none of its habits.
    """

    def __init__(self, floor: datetime.datetime,
                 begun: datetime.datetime | None = None) -> None:
        self._begun = begun or floor
        self._floor = floor
        #: Until when everything was looked at.
        self._until = floor
        self._habits: set[tuple[str, int]] | None = None
        self._seen = pl.DataFrame(schema={
            'source': pl.String(), 'offset': pl.Int64()})
        #: When requests of a template failed that nobody calls an error.
        self._failed: dict[tuple[str, int], dict[str, datetime.datetime]] = (
            collections.defaultdict(dict))

    def look(self, store: stores.Store,
             until: datetime.datetime) -> list[dict[str, Any]]:
        """What was raised since the last look.

        :param store: all events
        :param until: when the newest one happened
        :returns: symptoms as the database has them, with
            ``requests``, ``resources``, ``reasons``, ``text`` and ``opens``,
            whether one may open an incident
        """
        if self._habits is None:
            self._habits = self._usual(store)
        patterns = store.templates()
        told = patterns.filter(pl.col('pattern').str.contains(
            evidence.TOLD))['template']
        ends = patterns.filter(pl.col('pattern').str.contains(
            _ENDS))['template']
        found = []
        while True:
            # What an engine missed is read piece by piece.
            self._pass_over(store, until)
            end = min(until, self._until + _PIECE)
            found += self._look(store, told, ends, end)
            if end >= until:
                return found

    def _pass_over(self, store: stores.Store,
                   until: datetime.datetime) -> None:
        """Go on to where anything was logged at all."""
        piece = _PIECE
        while piece >= _PIECE and self._until + piece < until:
            if store.narrow(stores.Query(
                    since=self._until + _TICK, until=self._until + piece)
                    ).head(1).collect(engine='streaming').is_empty():
                self._until += piece
                piece = min(2 * piece, _MOST_PIECE)
            else:
                piece /= 2

    def _look(self, store: stores.Store, told: pl.Series, ends: pl.Series,
              until: datetime.datetime) -> list[dict[str, Any]]:
        since = max(self._floor, min(self._until, until) - _LATE)
        self._until = max(self._until, until)
        rows = store.narrow(stores.Query(since=since, until=until)).filter(
            (pl.col('level') >= schema.WARNING)
            | (pl.col('status') >= 500)
            | pl.col('template').is_in(told.implode())).collect(
                engine='streaming')
        fresh = rows.join(self._seen, on=['source', 'offset'], how='anti')
        self._seen = rows.select('source', 'offset')
        fresh = fresh.filter(~pl.coalesce('message', 'text').str.contains(
            evidence.WITHDRAWN))
        if fresh.is_empty():
            return []
        fresh = _ending(fresh, store, ends)
        groups = fresh.sort('timestamp', 'source', 'line').group_by(
            _KEY, maintain_order=True).agg(
                pl.exclude('timestamp', 'requests', 'ends').first(),
                first=pl.col('timestamp').min(),
                last=pl.col('timestamp').max(), count=pl.len(),
                requests=pl.concat([
                    pl.col('request_id'), pl.col('global_request_id')]
                ).drop_nulls().unique(maintain_order=True).head(_MOST_KEYS),
                named=pl.col('resources').filter(
                    pl.col('resources').list.len() <= _FEW).explode()
                .drop_nulls().unique(maintain_order=True).head(_MOST_KEYS),
                owners=pl.concat([pl.col('project_id'), pl.col('user_id')])
                .drop_nulls().unique(), ends=pl.col('ends').all())
        groups = groups.sort('level', 'status', descending=True,
                             nulls_last=True).head(_MOST).sort('first')
        found = [self._symptom(row) for row in groups.iter_rows(named=True)]
        return [one for one in found if one is not None]

    def _usual(self, store: stores.Store) -> set[tuple[str, int]]:
        """What was logged again and again before the first look."""
        past = detectors.profile(store.narrow(stores.Query(
            since=self._begun - _PAST,
            until=self._begun - _TICK)))
        return set(past.group_by('binary', 'template').agg(
            windows=pl.col('window').n_unique()).filter(
                pl.col('windows') > _HABIT).select(
                    'binary', 'template').iter_rows())

    def _symptom(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """What a group of records says, or None: nothing."""
        notification = row['kind'] == 'notification'
        severe = row['level'] >= schema.ERROR
        read = evidence.blames({
            **row, 'timestamp': row['first'], 'count': None})
        traced = evidence.TRACEBACK in row['text']
        # The plain word that something failed is no reason in a warning.
        if not severe and not traced and not any(
                blame.weight >= _STRONG for blame, _, _ in read) and (
                    row['status'] is None or row['status'] < 500):
            return None
        if not read and not severe:
            return None
        habit = (row['binary'], row['template']) in (self._habits or ())
        own = {value.replace('-', '') for value in row['owners']}
        resources = [
            value for value in row['named']
            if value.replace('-', '') not in own
            and not _ZERO.fullmatch(value)]
        component = components.of_binary(row['binary'])
        reasons = [{
            'component': blame.component, 'category': blame.category,
            'clue': blame.clue, 'weight': round(weight, 4),
            'cause': blame.cause, 'direct': blame.direct, 'host': host,
            'via': list(blame.via)}
            for blame, weight, host in read]
        # Those that serve all others log what their clients do wrong.
        plain = component in components.SERVERS and all(
            blame.weight < _STRONG for blame, _, _ in read)
        warns = row['level'] >= schema.WARNING
        spoken = severe and not plain or warns and (traced or any(
            blame.direct and blame.weight >= _STRONG
            for blame, _, _ in read))
        message = ' '.join(evidence.message(
            {**row, 'timestamp': row['first']}).split())
        return {
            'detector': NAME, 'version': None, 'service': row['service'],
            'binary': row['binary'], 'event_host': row['host'],
            'template': schema.template_name(row['template']),
            'since': row['first'].isoformat(),
            'until': row['last'].isoformat(),
            'sign': 'level' if severe else 'status'
            if row['status'] is not None else 'clue',
            'score': max([0.5 if severe else 0.3,
                          *(weight for _, weight, _ in read)]),
            'why': (reasons[0]['cause'] if reasons
                    else f'{component} logs errors'),
            'requests': row['requests'], 'resources': resources,
            'component': component, 'reasons': reasons,
            'error': severe and not notification, 'text': message[:200],
            'opens': not (habit or row['ends']) and (
                spoken or self._many(row))}

    def _many(self, row: dict[str, Any]) -> bool:
        """Whether enough requests failed that nobody calls an error."""
        failed = self._failed[row['binary'], row['template']]
        for request in row['requests'] or [f'{row["source"]}:{row["line"]}']:
            failed[request] = row['last']
        for request, moment in list(failed.items()):
            if moment < row['last'] - _TOGETHER:
                del failed[request]
        return len(failed) >= _REFUSED or row['count'] >= _REFUSED


def _ending(rows: pl.DataFrame, store: stores.Store,
            ends: pl.Series) -> pl.DataFrame:
    """Which records are of processes that had been told to end.

    :param rows: records
    :param store: all events
    :param ends: templates of what a process says that is told to
    :returns: the records, with ``ends``
    """
    key = ('binary', 'host', 'pid')
    first, last = rows['timestamp'].min(), rows['timestamp'].max()
    assert isinstance(first, datetime.datetime)
    assert isinstance(last, datetime.datetime)
    told = store.narrow(stores.Query(
        since=first - _ENDING, until=last)).filter(
            pl.col('template').is_in(ends.implode())
            & pl.col('pid').is_not_null()).group_by(key).agg(
                told=pl.col('timestamp').min()).collect(engine='streaming')
    return rows.join(told, on=key, how='left', nulls_equal=True).with_columns(
        ends=(pl.col('timestamp').is_between(
            'told', pl.col('told') + _ENDING)).fill_null(False)).drop('told')
