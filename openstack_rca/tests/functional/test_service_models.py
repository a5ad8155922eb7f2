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
"""Models of a whole service: trained, followed, rolled back, deleted."""

import json
import os
import pathlib
import signal
import time
from typing import Any

import fixtures

from openstack_rca.db import models_api
from openstack_rca.db import session
from openstack_rca.models import filesystem
from openstack_rca.tests.functional import service_case


class TestModels(service_case.ServiceCase):

    def setUp(self) -> None:
        super().setUp()
        # A detector of a third party: installed beside the package.
        folder = self.tmp / 'site' / 'tiny-1.0.dist-info'
        folder.mkdir(parents=True)
        (folder / 'METADATA').write_text(
            'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n')
        (folder / 'entry_points.txt').write_text(
            '[openstack_rca.detectors]\n'
            'tiny = openstack_rca.tests.unit.engine.tiny:TinyDetector\n')
        self.useFixture(fixtures.EnvironmentVariable(
            'PYTHONPATH', str(folder.parent)))
        self.made = self.own_service(
            models={'measure_interval': 1},
            detectors={'enabled': 'novelty,counts'})
        self.wait_for('the source is read', lambda: [
            source for source in self.ask(
                'GET', '/v1/sources', 200).json()['sources']
            if source['status'] == 'ready'])

    def _store(self) -> pathlib.Path:
        return self.made.folder / 'state0' / 'models'

    def _versions(self) -> set[str]:
        """Versions on the disk of the engine."""
        return {path.name for path in self._store().glob('tiny/*')}

    def _active(self) -> str | None:
        """What engines follow."""
        self.made.use_database()
        self.addCleanup(session.dispose)
        return models_api.models_active().get('tiny')

    def _train(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rca_json('model', 'train', 'tiny',
                                              *words)
        return found

    def test_life(self) -> None:
        first = self._train('--source', 'logs', '--setting', 'seed=3')
        self.assertEqual(
            ('complete', False, 'trained', 'engine0'),
            tuple(first[name] for name in ('status', 'active', 'origin',
                                           'host')))
        self.assertEqual({first['version']}, self._versions())
        self.assertGreater(first['trained_on']['events'], 0)
        self.assertEqual(3, first['settings']['seed'])
        kept, arrays = filesystem.FilesystemStore(self._store()).load(
            'tiny', first['version'])
        self.assertEqual({'mean'}, set(arrays))
        self.assertEqual(first['sha256'], kept.sha256)
        self.assertIsNone(self._active())
        second = self._train('--until', '2999-01-01')
        for model in (first, second, first):
            shown = self.rca_json('model', 'activate',
                                  f'tiny/{model["version"]}')
            self.assertTrue(shown['active'])
            self.assertEqual(model['version'], self._active())
        listed = {row['ID']: row['Active'] for row in self.rca_json(
            'model', 'list', '--detector', 'tiny')}
        self.assertEqual({first['id']: True, second['id']: False}, listed)
        self.assertEqual(2, len(self.rca_json(
            'model', 'show', 'tiny')['activations']))
        self.assertIn('Activate another one first', self.refused(
            'model', 'delete', 'tiny'))
        self.rca('model', 'delete', second['id'])
        self.wait_for('the weights are gone',
                      lambda: self._versions() == {first['version']})
        # The engine measures the active one by itself.
        drift = self.wait_for('it is measured', lambda: (
            told := self.ask('GET', f'/v1/models/{first["id"]}', 200
                             ).json()['drift'])['measured_at'] and told)
        self.assertEqual((0.0, 0.0), (drift['unseen_events'],
                                      drift['unseen_templates']))
        self.no_traceback(self.made.said())

    def test_what_cannot_be_trained(self) -> None:
        self.assertIn('learns nothing',
                      self.refused('model', 'train', 'novelty'))
        for words, said in ((('other',), 'no driver'),
                            (('tiny', '--source', 'x'), 'sources[0]')):
            self.assertIn(said, self.refused('model', 'train', *words))
        message = self.refused('model', 'train', 'tiny', '--since',
                               '2999-01-01')
        self.assertIn('no event to learn from', message)
        failed = self.rca_json('model', 'list', '--status', 'failed')
        self.assertEqual(['novelty', 'tiny'],
                         sorted(row['Detector'] for row in failed))
        for row in failed:
            self.rca('model', 'delete', row['ID'])
        self.assertEqual(set(), self._versions())

    def test_deleted_while_it_is_trained(self) -> None:
        engine, = self.made.engines
        stopped = engine.freeze()
        found = self.ask('POST', '/v1/models', 202,
                         json={'detector': 'tiny'}).json()['id']
        self.wait_for('it is trained', lambda: self.ask(
            'GET', f'/v1/models/{found}', 200).json()['status'] == 'running')
        # It is running from when it is claimed; one that no process has yet
        # is dropped without the end of any.
        time.sleep(2)
        self.ask('DELETE', f'/v1/models/{found}', 204)
        self.ask('GET', f'/v1/models/{found}', 404)
        # The one that measures models was stopped as well, and stays.
        self.wait_for('its process is ended', lambda: set(stopped) - set(
            engine.processes('worker')))
        self.assertEqual(set(), self._versions())
        engine.melt([pid for pid in stopped
                     if pid in engine.processes('worker')])
        # The next one is trained.
        self._train()

    def test_another_engine_takes_over(self) -> None:
        first, = self.made.engines
        first.freeze()
        found = self.ask('POST', '/v1/models', 202,
                         json={'detector': 'tiny'}).json()['id']
        self.wait_for('it is trained', lambda: self.ask(
            'GET', f'/v1/models/{found}', 200).json()['status'] == 'running')
        self.made.start_engine()
        child, = first.processes()
        os.kill(first.pid, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        shown = self.wait_for('it is complete', lambda: (
            told := self.ask('GET', f'/v1/models/{found}', 200).json()
            )['status'] == 'complete' and told)
        self.assertEqual('engine1', shown['host'])
        self.assertEqual(set(), self._versions())

    def test_others_may_not(self) -> None:
        for method, path, body in (
                ('GET', '/v1/models', None),
                ('POST', '/v1/models', {'detector': 'tiny'})):
            self.ask(method, path, 403, user='demo-reader', json=body)
            self.ask(method, path, 401, token='', json=body)

    def test_a_damaged_model(self) -> None:
        found = self._train()
        self.rca('model', 'activate', found['id'])
        weights = (self._store() / 'tiny' / found['version']
                   / filesystem.WEIGHTS)
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        self.wait_for('the log tells', lambda: 'does not fit its checksum'
                      in self.made.said())
        self.no_traceback(self.made.said())
        self.assertEqual('complete', json.loads(self.rca(
            'analyze', '--issue', service_case.ISSUE, '-f', 'json'))[
                'status'])
