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
"""What was changed before things went wrong.

Configurations that were read anew, and programs that run in several versions.
Both happen without any harm: they count only beside another reason to blame
the same component.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import datetime
from typing import Any

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.store import base as stores

#: What oslo.config and oslo.service log when a configuration is read anew.
_RELOADED = (r'Option \S+ changed from \[|'
             r'Ignoring change to immutable option|Caught SIGHUP')
#: What services log when they start. Rust's regular expressions are linear.
_STARTED = r'Starting \S+ (?:node|cluster \S+) \(version '
_VERSION = r'\(version ([\w.\-+]+)\)'
#: How long before the onset a change may have been made, and after it, until
#: its effect is the onset itself.
_BEFORE = datetime.timedelta(minutes=30)
_AFTER = datetime.timedelta(seconds=5)
_WEIGHT = 0.25
_MOST = 200


def findings(store: stores.Store, scope: scopes.Scope,
             seen: gathering.Evidence,
             others: Iterable[ranking.Finding]) -> list[ranking.Finding]:
    """Components that were changed, of those that are blamed already.

    :param store: events
    :param scope: what the question is about
    :param seen: what was looked at, and the onset
    :param others: reasons that were found before
    """
    blamed = {f.component for f in others}
    known = store.templates().filter(pl.col('pattern').str.contains(
        f'{_RELOADED}|{_STARTED}'))['template']
    if seen.onset is None or not blamed or known.is_empty():
        return []
    until = seen.onset + _AFTER
    rows = store.narrow(stores.Query(until=until, kinds=('log',))).filter(
        pl.col('template').is_in(known.implode())).sort(
            'timestamp', 'source', 'line').tail(_MOST).collect()
    rows = rows.filter(pl.col('timestamp').is_not_null()).with_columns(
        version=pl.col('text').str.extract(_VERSION),
        component=pl.col('binary').map_elements(
            components.of_binary, return_dtype=pl.String)).filter(
                pl.col('component').is_in(sorted(blamed)))
    return [*_reloaded(rows.filter(
        pl.col('version').is_null()
        & (pl.col('timestamp') >= seen.onset - _BEFORE))),
        *_versions(rows.filter(pl.col('version').is_not_null()))]


def _reloaded(rows: pl.DataFrame) -> Iterator[ranking.Finding]:
    """Configurations that were read anew."""
    for key, part in rows.group_by('component', maintain_order=True):
        component = str(key[0])
        first = part.row(0, named=True)
        yield _finding(
            component, 'configuration changed',
            f'The configuration of {component} was read anew shortly before',
            ('Compare the configuration of the service with the one before '
             'the change.',), part, first['timestamp'])


def _versions(rows: pl.DataFrame) -> Iterator[ranking.Finding]:
    """Programs that run in several versions."""
    for key, part in rows.group_by('component', maintain_order=True):
        component = str(key[0])
        # Of each host, what was started last runs.
        last = part.group_by('host', maintain_order=True).last()
        versions = last['version'].unique(maintain_order=True).to_list()
        if len(versions) > 1:
            yield _finding(
                component, 'several versions',
                f'{component} runs in the versions {", ".join(versions)}',
                ('Finish the upgrade, or pin the RPC versions '
                 '([upgrade_levels]) until it is.',),
                last.select(part.columns), last['timestamp'].max())


def _finding(component: str, clue: str, cause: str, remedy: tuple[str, ...],
             rows: pl.DataFrame, since: Any) -> ranking.Finding:
    events = [{**r, 'related': False, 'score': 0.5, 'why': clue}
              for r in rows.drop('version', 'component').head(4).iter_rows(
                  named=True)]
    return ranking.Finding(
        component=component, category='configuration', clue=clue,
        weight=_WEIGHT, cause=cause, remedy=remedy, direct=False,
        events=events, since=since,
        processes={(r['binary'], r['host']) for r in events})
