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
"""Processes that fell silent, or were replaced by others."""

import datetime
from typing import Any

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.store import base as stores

#: Bursts of lines by which processes are known before they are missed, and
#: which others need to be known; seconds that a restart takes at least.
_LEAST_BEFORE = 4
_LEAST_AFTER = 2
_LEAST_GAP = 2.0
#: More changes than this are workers that come and go.
_MOST_CHANGES = 2
_WEIGHT_RESTART = 0.5
_WEIGHT_GAP = 0.72
_GAP = 20.0
_WEIGHT_SILENT = 0.5
_UNMISSED = 0.3
_WAITED = 1.15
_RESTING = 0.6
#: Seconds from which a request had to wait.
_SLOW = 1.0

#: What is said at a start, and how near to the first line.
_STARTS = (r'Starting \w+|Logging enabled|log_opt_values|Loaded extension|'
           r'WSGI app \d+ .*ready|thread pool \S+ is initialized|'
           r'Deprecated: Option|[Ii]nitializing|Connected to AMQP|'
           r'Listening on|Loading app|Registered \w+|version \d')
_STARTING = datetime.timedelta(seconds=10)

_REMEDY = ('Find out why it stopped: the end of its log, the journal of its '
           'unit, the kernel log of its host; start it again.',)

#: Parts whose log names the process (libvirt and MariaDB name threads).
_OPENSTACK = ('nova', 'neutron', 'cinder', 'glance', 'keystone',
              'placement', 'heat')


def findings(store: stores.Store, scope: scopes.Scope,
             seen: gathering.Evidence) -> list[ranking.Finding]:
    """Silent and replaced processes, as reasons to blame them.

    :param store: events
    :param scope: what the question is about
    :param seen: symptoms and the onset
    """
    found = _replaced(store, scope, seen)
    known = {(f.component, f.host) for f in found}
    silent = _silent(store, scope, seen, known)
    # Many fall silent together when something behind them fails, or when
    # nobody asks them any more.
    slow = {components.of_binary(r['binary']) for r in seen.samples
            if (r['latency'] or 0) >= _SLOW}
    for finding in silent:
        finding.weight /= max(1.0, len({
            f.component for f in silent}) ** 0.75)
        # Nobody misses a process that has nothing to do: requests that had
        # to wait for it tell a hang from a rest.
        waited = any(finding.component in components.NEEDS.get(c, ())
                     or c == finding.component for c in slow)
        finding.weight *= _WAITED if waited else _RESTING
    return found + silent


def corroborate(findings: list[ranking.Finding]) -> None:
    """Take weight from restarts and silences that nobody complains of.

    Services are restarted, and rest, without any harm.

    :param findings: all findings; changed in place
    """
    missed = {f.component for f in findings
              if f.clue not in ('process replaced', 'silence')
              and any(components.of_binary(b) != f.component
                      for b, _host in f.processes)}
    for finding in findings:
        if finding.clue == 'process replaced' \
                and finding.component not in missed:
            finding.weight *= _UNMISSED


def _ours(component: str) -> bool:
    return components.of_service(component) in _OPENSTACK


def _replaced(store: stores.Store, scope: scopes.Scope,
              seen: gathering.Evidence) -> list[ranking.Finding]:
    """Programs whose processes all ended and others came."""
    if seen.onset is None:
        return []
    # Lines come in bursts, a request each. A process is one of so many
    # workers: only when all bursts of a long time came from few processes
    # does another one mean that these are gone.
    bursts = store.narrow(stores.Query(
        until=scope.until, kinds=('log', 'access'))).filter(
            pl.col('pid').is_not_null()).group_by(
                'binary', 'host', 'pid',
                pl.col('timestamp').dt.truncate('2s').alias('burst')).agg(
                    first=pl.col('timestamp').min(),
                    last=pl.col('timestamp').max()).sort(
                        'first').collect(engine='streaming')
    found = []
    for key, part in bursts.group_by('binary', 'host', maintain_order=True):
        binary, host = str(key[0]), str(key[1])
        component = components.of_binary(binary)
        if not _ours(component):
            continue
        changes = [c for c in _changes(part) if c[1] >= seen.onset]
        if not changes or len(changes) > _MOST_CHANGES:
            continue
        stopped, started = changes[0]
        gap = (started - stopped).total_seconds()
        events = _around(store, binary, host, stopped, started)
        if not _begins(store, binary, host, started):
            continue
        found.append(ranking.Finding(
            component=component, category='process_down',
            clue='process replaced',
            weight=_WEIGHT_GAP if gap >= _GAP else _WEIGHT_RESTART,
            cause=f'{component} was down or stuck: silent for {gap:.0f} s, '
                  f'then another process came',
            remedy=_REMEDY, direct=True, events=events,
            host=host if component in ('nova-compute', 'neutron-l2-agent')
            else '', since=stopped, processes={(binary, host)}))
    return found


def _begins(store: stores.Store, binary: str, host: str,
            started: datetime.datetime) -> bool:
    """Whether a program says what programs say when they start."""
    rows = store.narrow(stores.Query(
        since=started - _STARTING, until=started + _STARTING)).filter(
            (pl.col('binary') == binary) & (pl.col('host') == host)
            & pl.col('text').str.contains(_STARTS)).head(1).collect()
    return rows.height > 0


def _changes(bursts: pl.DataFrame) -> list[
        tuple[datetime.datetime, datetime.datetime]]:
    """When all processes of a program had ended and others came.

    :param bursts: ``pid``, ``first`` and ``last`` of each, in order of time
    :returns: last sign of the old and first sign of the new processes
    """
    # Where one can be: a process is new, and all that came before it have
    # ended by then.
    spans = bursts.group_by('pid').agg(
        pl.col('first').min(), pl.col('last').max()).sort('first', 'pid')
    news = spans.with_columns(
        before=pl.col('last').cum_max().shift(1)).filter(
            pl.col('first') > pl.col('before'))
    changes = []
    begin = 0
    for first, last in news.select('first', 'before').iter_rows():
        index = int(bursts['first'].search_sorted(first, 'left'))
        before = bursts[begin:index].group_by('pid').len()['len'].to_list()
        if (bursts.height - index >= _LEAST_AFTER
                and _enough(before, (first - last).total_seconds())):
            changes.append((last, first))
            begin = index
    return changes


def _enough(before: list[int], gap: float) -> bool:
    """Whether other processes after a gap mean that the old ones are gone.

    :param before: bursts of each process before the gap
    :param gap: seconds
    """
    bursts = sum(before)
    if gap >= _GAP and len(before) < bursts:
        return True
    return gap >= _LEAST_GAP and bursts >= 3 * len(before) + _LEAST_BEFORE


def _silent(store: stores.Store, scope: scopes.Scope,
            seen: gathering.Evidence,
            known: set[tuple[str, str]]) -> list[ranking.Finding]:
    """Programs that logged in quiet times and stopped."""
    rows = seen.symptoms.filter(pl.col('sign') == 'silence')
    found = []
    for row in rows.iter_rows(named=True):
        component = components.of_binary(row['binary'])
        if not _ours(component) and component not in components.SERVERS:
            continue
        if (component, row['host']) in known:
            continue
        gap = (row['until'] - row['since']).total_seconds()
        found.append(ranking.Finding(
            component=component, category='hang', clue='silence',
            weight=_WEIGHT_SILENT * row['score'] / 0.8,
            cause=f'{component} logged nothing for {gap:.0f} s',
            remedy=_REMEDY, direct=False,
            events=_around(store, row['binary'], row['host'], row['since'],
                           row['until']),
            host=row['host'] if component in (
                'nova-compute', 'neutron-l2-agent') else '',
            since=row['since'], processes={(row['binary'], row['host'])}))
    return found


def _around(store: stores.Store, binary: str, host: str,
            stopped: datetime.datetime,
            started: datetime.datetime) -> list[dict[str, Any]]:
    """The last event before a gap and the first after it."""
    second = datetime.timedelta(seconds=1)
    rows = store.narrow(stores.Query(
        since=stopped - second, until=started + second)).filter(
            (pl.col('binary') == binary) & (pl.col('host') == host)
            & (pl.col('kind') != 'notification')).sort(
                'timestamp', 'source', 'line').collect()
    last = rows.filter(pl.col('timestamp') <= stopped).tail(1)
    first = rows.filter(pl.col('timestamp') >= started).head(1)
    why = f'silence of {binary} from {stopped:%H:%M:%S} to {started:%H:%M:%S}'
    return [{**r, 'related': False, 'score': 0.5, 'why': why}
            for r in pl.concat([last, first]).iter_rows(named=True)]
