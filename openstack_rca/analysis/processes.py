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

#: A process is known by so many lines before it is missed.
_LEAST_BEFORE = 5
_LEAST_AFTER = 2
#: More changes than this are workers that come and go.
_MOST_CHANGES = 2
_WEIGHT_RESTART = 0.5
_WEIGHT_GAP = 0.72
_GAP = 20.0
_WEIGHT_SILENT = 0.5

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
    for finding in silent:
        finding.weight /= max(1.0, len({
            f.component for f in silent}) ** 0.75)
    return found + silent


def _ours(component: str) -> bool:
    return components.of_service(component) in _OPENSTACK


def _replaced(store: stores.Store, scope: scopes.Scope,
              seen: gathering.Evidence) -> list[ranking.Finding]:
    """Programs whose processes all ended and others came."""
    if seen.onset is None:
        return []
    lives = store.narrow(stores.Query(
        until=scope.until, kinds=('log', 'access'))).filter(
            pl.col('pid').is_not_null()).group_by(
                'binary', 'host', 'pid').agg(
                    first=pl.col('timestamp').min(),
                    last=pl.col('timestamp').max(),
                    lines=pl.len()).collect(engine='streaming')
    found = []
    for key, part in lives.group_by('binary', 'host'):
        binary, host = str(key[0]), str(key[1])
        component = components.of_binary(binary)
        if not _ours(component):
            continue
        changes = []
        before, last = 0, None
        for row in part.sort('first').iter_rows(named=True):
            if last is not None and row['first'] > last \
                    and before >= _LEAST_BEFORE:
                after = part.filter(pl.col('first') >= row['first'])[
                    'lines'].sum()
                if after >= _LEAST_AFTER:
                    changes.append((last, row['first']))
            before += row['lines']
            last = max(last, row['last']) if last else row['last']
        changes = [c for c in changes if c[1] >= seen.onset]
        if not changes or len(changes) > _MOST_CHANGES:
            continue
        stopped, started = changes[0]
        gap = (started - stopped).total_seconds()
        events = _around(store, binary, host, stopped, started)
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


def _silent(store: stores.Store, scope: scopes.Scope,
            seen: gathering.Evidence,
            known: set[tuple[str, str]]) -> list[ranking.Finding]:
    """Programs that logged in quiet times and stopped."""
    rows = seen.symptoms.filter(pl.col('sign') == 'silence')
    found = []
    for row in rows.iter_rows(named=True):
        component = components.of_binary(row['binary'])
        if not _ours(component) and component not in (
                'mariadb', 'rabbitmq', 'memcached'):
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
