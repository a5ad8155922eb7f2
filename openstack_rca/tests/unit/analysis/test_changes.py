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
"""Tests of changes before things went wrong."""

from typing import Any

import polars as pl

from openstack_rca.analysis import changes
from openstack_rca.analysis import evidence
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

ONSET = 3000
CHANGED = 'Option DEFAULT.debug changed from [False] to [True]'
STARTED = 'Starting compute node (version 34.0.0)'


class ChangesTest(base.TestCase):
    """They count beside other reasons, and before the onset."""

    def find(self, *rows: dict[str, Any], onset: float | None = ONSET,
             blamed: str = 'nova-compute') -> list[ranking.Finding]:
        store = parquet.ParquetStore(self.tmp / 'store')
        samples.fill(store, *rows, samples.event(
            ONSET + 10, 'Works', line=99))
        profile = detectors.profile(store.scan())
        seen = evidence.Evidence(
            current=profile, reference=profile.head(0),
            onset=None if onset is None else samples.at(onset),
            symptoms=detectors.no_symptoms(), samples=[], templates={})
        other = ranking.Finding(
            component=blamed, category='unknown', clue='error', weight=.3,
            cause='it logs errors', remedy=(), direct=False, events=[])
        return changes.findings(
            store, scope.resolve(scope.Question(), store), seen, [other])

    def event(self, second: float, text: str, line: int = 1,
              **values: Any) -> dict[str, Any]:
        return samples.event(second, text, line=line) | {
            'binary': 'nova-compute', 'host': 'cmp1'} | values

    def test_reloaded(self) -> None:
        for text in (CHANGED, 'Caught SIGHUP, handling',
                     'Ignoring change to immutable option DEFAULT.host'):
            found, = self.find(self.event(ONSET - 60, text))
            self.assertEqual(
                ('nova-compute', 'configuration', 'configuration changed'),
                (found.component, found.category, found.clue))
            self.assertEqual([text], [pl.Series([e['text']]).str.slice(
                e['body']).item() for e in found.events])
            self.assertFalse(found.direct)

    def test_only_beside_another_reason(self) -> None:
        self.assertEqual([], self.find(self.event(ONSET - 60, CHANGED),
                                       blamed='nova-scheduler'))

    def test_only_before_the_onset(self) -> None:
        for second in (ONSET - 2000, ONSET + 8):
            self.assertEqual([], self.find(self.event(second, CHANGED)))
        self.assertEqual([], self.find(self.event(ONSET - 60, CHANGED),
                                       onset=None))

    def test_versions(self) -> None:
        old = STARTED.replace('34', '33')
        found, = self.find(
            self.event(10, old, 1), self.event(20, STARTED, 2, host='cmp2'))
        self.assertEqual('several versions', found.clue)
        self.assertIn('33.0.0, 34.0.0', found.cause)
        self.assertEqual(2, len(found.events))

    def test_an_upgrade_that_is_done(self) -> None:
        old = STARTED.replace('34', '33')
        self.assertEqual([], self.find(
            self.event(10, old, 1), self.event(20, STARTED, 2),
            self.event(30, STARTED, 3, host='cmp2')))
