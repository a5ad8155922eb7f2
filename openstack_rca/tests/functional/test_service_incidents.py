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
"""Incidents of a whole service: a cloud logs, and nobody asks."""

import os
import pathlib
import signal
from typing import Any

from openstack_rca.tests import base
from openstack_rca.tests.functional import crashes
from openstack_rca.tests.functional import replay
from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import shared


class TestIncidents(service_case.ServiceCase):

    def _watching(self, name: str, moment: str,
                  **options: Any) -> replay.Replay:
        """A service that has read a recording as far as all was well."""
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        recording = replay.Replay(name, self.logs)
        self.assertGreater(recording.until(moment), 0)
        incidents = {'project_id': self.project(), 'mode': 'fast',
                     **options.pop('incidents', {})}
        self.made = self.own_service(
            self.logs, incidents=incidents,
            detectors={'enabled': 'novelty', 'watch_interval': 0.5},
            **options)
        self.wait_for('all was well', lambda: 'is judged'
                      in self.made.said())
        self.assertEqual([], self._incidents())
        return recording

    def project(self) -> str:
        """Where operators work."""
        return str(shared.keystone(self).project_id('demo'))

    def _incidents(self, **asked: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(
            'GET', '/v1/incidents', 200, params=asked).json()['incidents']
        return found

    def _one(self) -> dict[str, Any] | None:
        found = self._incidents()
        self.assertLessEqual(len(found), 1, found)
        return found[0] if found else None

    def _analysed(self) -> dict[str, Any] | None:
        found = self._one()
        return found if found and found['analysis_id'] else None

    def test_life(self) -> None:
        recording = self._watching('service-down', '2026-11-21T03:00:14')
        recording.until()
        opened = self.wait_for('it is open', self._one)
        self.assertEqual(('open', 'engine'),
                         (opened['status'], opened['origin']))
        found = self.wait_for('it is analysed', self._analysed)
        self.assertEqual(('glance', 'process_down'),
                         (found['component'], found['category']))
        self.assertGreater(found['symptoms'], 1)
        report = self.show(found['analysis_id'])
        self.assertEqual(found['id'], report['incident_id'])
        self.assertEqual('glance', report['hypotheses'][0]['component'])
        self.assertTrue(report['hypotheses'][0]['evidence'])
        # A person has the last word.
        self.rca('incident', 'acknowledge', found['id'])
        self.rca('incident', 'resolve', found['id'], '--resolution',
                 'started glance-api again')
        shown = self.rca_json('incident', 'show', found['id'])
        self.assertEqual('resolved', shown['status'])
        self.no_traceback(self.made.said())

    def test_quiet_again(self) -> None:
        recording = self._watching(
            'scheduler-down', '2026-11-21T03:07:50',
            incidents={'resolve_after': 8})
        recording.until()
        found = self.wait_for('it is analysed', self._analysed)
        self.assertEqual('nova-scheduler', found['component'])
        over = self.wait_for('it is over', lambda: (
            one := self._one()) and one['status'] == 'resolved' and one)
        self.assertEqual('openstack-rca-engine', over['resolved_by'])

    def test_killed(self) -> None:
        recording = self._watching('database-down', '2026-11-21T02:43:12')
        engine, = self.made.engines
        recording.until('2026-11-21T02:43:20')
        self.wait_for('it is open', self._one)
        # The whole process group goes at once, as in a power failure.
        for pid in (engine.pid, *engine.processes()):
            os.kill(pid, signal.SIGKILL)
        recording.until()
        self.made.start_engine(DEFAULT={
            'state_path': self.made.folder / 'state0', 'host': 'engine0'})
        found = self.wait_for('it is analysed', self._analysed)
        self.assertEqual(('mariadb', 'critical'),
                         (found['component'], found['severity']))
        self.assertEqual([found['id']],
                         [one['id'] for one in self._incidents()])

    def test_suppressed(self) -> None:
        recording = self._watching('service-down', '2026-11-21T03:00:14')
        recording.until('2026-11-21T03:00:30')
        found = self.wait_for('it is open', self._one)
        self.rca('incident', 'suppress', found['id'], '--reason',
                 'Glance is being moved')
        recording.until()
        path = f'/v1/incidents/{found["id"]}'
        shown = self.wait_for('symptoms went there', lambda: (
            one := self.ask('GET', path, 200).json())['symptoms'] > found[
                'symptoms'] and one)
        # Nothing of it makes it loud again. Others may say something else,
        # which nobody has suppressed.
        self.assertEqual('suppressed', shown['status'])
        self.assertIn(found['id'], [
            one['id'] for one in self._incidents(status='suppressed')])

    def test_database_away(self) -> None:
        database = shared.mariadb(self)
        recording = self._watching(
            'service-down', '2026-11-21T03:00:14',
            connection=database.create_database())
        database.stop()
        recording.until()
        self.wait_for('it is missed', lambda: 'Trying again.'
                      in self.made.said())
        database.start()
        found = self.wait_for('it is analysed', self._analysed)
        self.assertEqual('glance', found['component'])
        self.no_traceback(self.made.said())

    def test_two_engines(self) -> None:
        recording = self._watching('database-down', '2026-11-21T02:43:12',
                                   engines=2)
        recording.until()
        found = self.wait_for('it is analysed', self._analysed)
        self.assertEqual('mariadb', found['component'])

    def test_clock_jumps(self) -> None:
        recording = self._watching('service-down', '2026-11-21T03:00:14')
        # A host comes from the future, and another one from the past.
        for name, moment in (('nova-compute-cmp8.log', '2099-01-01'),
                             ('nova-compute-cmp9.log', '1999-01-01')):
            (self.logs / name).write_text(
                f'{moment} 00:00:00.000 1 INFO nova.service [-] started\n')
        recording.until()
        found = self.wait_for('it is analysed', self._analysed)
        self.assertEqual('glance', found['component'])
        self.no_traceback(self.made.said())


class TestCrashes(base.TestCase):

    def test_killed_at_any_time(self) -> None:
        made = crashes.Crashes(pathlib.Path(self.tmp), files=4, rate=500)
        count = made.run(kills=6)
        self.assertGreater(count.written, 1000)
        self.assertEqual((0, 0, 1), (count.lost, count.twice,
                                     count.incidents), crashes.told(count))
        self.assertNotIn('Traceback', made.said())
