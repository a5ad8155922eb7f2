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
"""Processes that end, and those that only rest."""

import datetime
from typing import Any

import polars as pl

from openstack_rca.analysis import evidence
from openstack_rca.analysis import processes
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

ONSET = 100


class TestFindings(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')
        self.rows: list[dict[str, Any]] = []

    def log(self, pid: int, *seconds: float, text: str = 'Works',
            **values: Any) -> None:
        self.rows += [samples.event(
            s, text, pid=pid, line=len(self.rows) + i + 1)
            | values for i, s in enumerate(seconds)]

    def find(self, onset: float | None = ONSET,
             symptoms: list[dict[str, Any]] | None = None
             ) -> list[ranking.Finding]:
        samples.fill(self.store, *self.rows)
        profile = detectors.profile(self.store.scan())
        when = None if onset is None else samples.at(onset)
        seen = evidence.Evidence(
            current=profile, reference=profile.head(0), onset=when,
            symptoms=pl.DataFrame(symptoms or [], schema=detectors.SYMPTOMS),
            samples=[], templates={})
        wanted = scope.resolve(scope.Question(), self.store)
        return processes.findings(self.store, wanted, seen)

    def test_nothing(self) -> None:
        self.rows = [samples.event()]
        self.assertEqual([], self.find(None))

    def test_restart(self) -> None:
        self.log(1, *range(0, 110, 5))
        self.log(2, 140, text='Starting nova-compute node')
        self.log(2, *range(142, 200, 5))
        finding, = self.find()
        self.assertEqual(('nova-compute', 'process_down', 'cmp1'), (
            finding.component, finding.category, finding.host))
        self.assertIn('35 s', finding.cause)
        self.assertEqual(samples.at(105), finding.since)
        self.assertEqual([samples.at(105), samples.at(140)],
                         [e['timestamp'] for e in finding.events])

    def test_long_gap_weighs_more(self) -> None:
        weights = []
        for start in (110, 160):
            self.rows = []
            self.log(1, *range(0, 105, 5))
            self.log(2, start, text='Starting nova-compute node')
            self.log(2, *range(start + 2, 200, 5))
            finding, = self.find()
            weights.append(finding.weight)
        self.assertGreater(weights[1], weights[0])

    def test_restart_before_the_onset(self) -> None:
        self.log(1, *range(0, 50, 5))
        self.log(2, 80, text='Starting nova-compute node')
        self.log(2, *range(82, 200, 5))
        self.assertEqual([], self.find())

    def test_new_process_that_does_not_start(self) -> None:
        self.log(1, *range(0, 110, 5))
        self.log(2, *range(140, 200, 5))
        self.assertEqual([], self.find())

    def test_workers_that_take_turns(self) -> None:
        for i, second in enumerate(range(0, 300, 5)):
            self.log(1 + i % 4, second, text='Starting request')
        self.assertEqual([], self.find())

    def test_worker_that_wakes_up_late(self) -> None:
        # The others are still there, so nothing was replaced.
        self.log(1, *range(0, 300, 5))
        self.log(2, *range(2, 110, 5))
        self.log(3, *range(143, 300, 5), text='Starting request')
        self.assertEqual([], self.find())

    def test_processes_that_come_and_go(self) -> None:
        for i in range(12):
            self.log(i, *range(i * 40, i * 40 + 30, 3),
                     text='Starting nova-compute node')
        self.assertEqual([], self.find())

    def test_other_programs(self) -> None:
        values = {'binary': 'libvirtd', 'service': 'libvirt'}
        self.log(1, *range(0, 110, 5), **values)
        self.log(2, *range(140, 200, 5), text='Starting libvirtd',
                 **values)
        self.assertEqual([], self.find())

    def silence(self, **values: Any) -> dict[str, Any]:
        return {'service': 'nova', 'binary': 'nova-compute', 'host': 'cmp1',
                'template': None, 'since': samples.at(105),
                'until': samples.at(200), 'sign': 'silence', 'score': 0.8,
                'why': 'no line for 95 s'} | values

    def test_silence(self) -> None:
        self.log(1, *range(0, 110, 5))
        self.log(1, 200)
        finding, = self.find(symptoms=[self.silence()])
        self.assertEqual(('nova-compute', 'hang', 'cmp1'), (
            finding.component, finding.category, finding.host))
        self.assertEqual([samples.at(105), samples.at(200)],
                         [e['timestamp'] for e in finding.events])

    def test_silence_of_a_restart_is_told_once(self) -> None:
        self.log(1, *range(0, 110, 5))
        self.log(2, 140, text='Starting nova-compute node')
        self.log(2, *range(142, 200, 5))
        self.assertEqual(['process_down'], [
            f.category for f in self.find(symptoms=[self.silence()])])

    def test_many_silences_weigh_less(self) -> None:
        self.log(1, *range(0, 110, 5))
        alone, = self.find(symptoms=[self.silence()])
        self.store = parquet.ParquetStore(self.tmp / 'store2')
        together = self.find(symptoms=[self.silence()] + [
            self.silence(binary=b, host='ctl1') for b in (
                'nova-api', 'nova-scheduler', 'nova-conductor')])
        self.assertEqual(4, len(together))
        self.assertLess(together[0].weight, alone.weight)

    def test_silence_of_who_is_no_part(self) -> None:
        self.log(1, *range(0, 110, 5))
        self.assertEqual([], self.find(symptoms=[
            self.silence(binary='cron', service='')]))

    def test_changes(self) -> None:
        def at(second: float) -> datetime.datetime:
            return samples.at(second)

        rows = [(1, at(i * 3), at(i * 3 + 1)) for i in range(10)] + [
            (2, at(60 + i * 3), at(60 + i * 3 + 1)) for i in range(5)]
        frame = pl.DataFrame(rows, schema=['pid', 'first', 'last'],
                             orient='row')
        self.assertEqual([(at(28), at(60))], processes._changes(frame))
        self.assertEqual([], processes._changes(frame.head(0)))
        self.assertEqual([], processes._changes(frame.tail(5)))
