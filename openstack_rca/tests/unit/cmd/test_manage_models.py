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
"""The commands for models on a machine."""

import contextlib
import io

import numpy as np

from openstack_rca.cmd import manage
from openstack_rca.db import migration
from openstack_rca.db import models_api
from openstack_rca.db import session
from openstack_rca.models import base as models
from openstack_rca.models import filesystem
from openstack_rca.tests import base
from openstack_rca.tests.unit.models import test_filesystem


class TestModel(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        session.dispose()
        self.addCleanup(session.dispose)
        self.path = self.tmp / 'rca.conf'
        self.path.write_text(
            f'[DEFAULT]\nhost = engine-1\nstate_path = {self.tmp}\n'
            f'[database]\nconnection = sqlite:///{self.tmp}/rca.sqlite\n')
        self.store = filesystem.FilesystemStore(self.tmp / 'models')
        self.other = filesystem.FilesystemStore(self.tmp / 'elsewhere')

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        session.dispose()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            status = manage.run(['--config-file', str(self.path), 'model',
                                 *arguments])
        self.assertNotIn('bug in openstack_rca', stderr.getvalue())
        return status, stdout.getvalue(), stderr.getvalue()

    def _keep(self, store: filesystem.FilesystemStore
              ) -> models.Description:
        return store.save(test_filesystem.draft(),
                          {'w': np.array([len(store.names())])})

    def test_list(self) -> None:
        good, bad = self._keep(self.store), self._keep(self.store)
        (self.tmp / 'models' / 'tiny' / bad.version / 'model.json'
         ).write_text('\x1b[2J')
        status, told, error = self._run('list')
        self.assertEqual((0, ''), (status, error))
        self.assertIn(f'{good.name}  kept  {good.bytes} bytes\n', told)
        self.assertIn(f'{bad.name}  kept  The model', told)

    def test_verify(self) -> None:
        good, bad = self._keep(self.store), self._keep(self.store)
        status, told, error = self._run('verify')
        self.assertEqual((0, ''), (status, error))
        self.assertIn(f'{good.name}: good\n', told)
        with open(self.tmp / 'models' / 'tiny' / bad.version
                  / 'weights.safetensors', 'r+b') as file:
            file.seek(-1, 2)
            file.write(b'\x7f')
        status, told, error = self._run('verify')
        self.assertEqual(1, status)
        self.assertIn(f'{good.name}: good\n', told)
        self.assertIn(bad.version, error)
        self.assertIn('checksum', error)
        self.assertEqual((0, f'{good.name}: good\n', ''),
                         self._run('verify', good.name))
        status, _, error = self._run('verify', '../../etc/passwd')
        self.assertEqual(1, status)
        self.assertIn('no name of a detector', error)

    def test_import(self) -> None:
        kept = self._keep(self.other)
        folder = self.tmp / 'elsewhere' / 'tiny' / kept.version
        status, _, error = self._run('import', str(folder))
        self.assertEqual(1, status)
        self.assertIn('openstack-rca-manage db sync', error)
        self.store.delete('tiny', kept.version)
        migration.sync()
        status, told, error = self._run('import', str(folder))
        self.assertEqual((0, ''), (status, error))
        self.assertIn(f'openstack rca model activate {kept.name}', told)
        self.assertEqual(kept, self.store.verify('tiny', kept.version))
        row, = models_api.model_list(10)[0]
        self.assertEqual((kept.version, 'imported', 'engine-1'),
                         (row['version'], row['origin'], row['host']))
        status, _, error = self._run('import', str(folder))
        self.assertEqual(1, status)
        self.assertIn('already', error)

    def test_import_of_what_is_none(self) -> None:
        for folder in (self.tmp, self.tmp / 'missing', self.path):
            status, told, error = self._run('import', str(folder))
            self.assertEqual((1, ''), (status, told))
            self.assertIn('model.json', error)

    def test_wrong_use(self) -> None:
        for arguments in ((), ('import',), ('delete',), ('list', 'x')):
            error = self.assertRaises(SystemExit, self._run, *arguments)
            self.assertEqual(2, error.code)
