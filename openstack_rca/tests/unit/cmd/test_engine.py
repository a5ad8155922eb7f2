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
"""The command of the engine: what it refuses, and what it starts."""

import contextlib
import io
from unittest import mock

from oslo_reports import guru_meditation_report as gmr
from oslo_service import backend
from oslo_service import service

from openstack_rca.cmd import engine
from openstack_rca.engine import service as engine_service
from openstack_rca.tests import base


class TestEngine(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.tmp / 'rca.conf'
        self.values = {
            'DEFAULT': {'state_path': str(self.tmp / 'state')},
            'sources': {'log_dirs': 'a:/var/log'}}
        self.launch = mock.create_autospec(service.launch)
        for where, name, value in (
                (service, 'launch', self.launch),
                (gmr.TextGuruMeditation, 'setup_autorun', mock.Mock())):
            patch = mock.patch.object(where, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def _run(self, group: str = 'DEFAULT', **more: str) -> tuple[int, str]:
        values = {name: dict(told) for name, told in self.values.items()}
        values.setdefault(group, {}).update(more)
        self.path.write_text(''.join(
            f'[{name}]\n' + ''.join(f'{n} = {v}\n' for n, v in told.items())
            for name, told in values.items()))
        self.conf.reset()
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            status = engine.run(['--config-file', str(self.path)])
        self.assertNotIn('Traceback', stderr.getvalue())
        return status, stderr.getvalue()

    def _refused(self, group: str = 'DEFAULT', **more: str) -> str:
        status, told = self._run(group, **more)
        self.assertEqual(1, status)
        self.launch.assert_not_called()
        self.assertTrue(told.startswith('openstack-rca-engine: '), told)
        self.assertNotIn('secret', told)
        return told

    def test_starts(self) -> None:
        self.assertEqual(0, self._run()[0])
        (config, made), options = self.launch.call_args
        self.assertIs(self.conf, config)
        self.assertIsInstance(made, engine_service.EngineService)
        self.assertEqual({'workers': 1, 'restart_method': 'mutate'}, options)
        self.launch.return_value.wait.assert_called_once_with()
        self.assertEqual(0o700, (self.tmp / 'state').stat().st_mode & 0o777)

    def test_backend_has_threads(self) -> None:
        self.assertEqual(backend.BackendType.THREADING,
                         backend.get_backend_type())

    def test_starts_without_logs_and_with_a_bus(self) -> None:
        self.assertEqual(0, self._run('sources', log_dirs='')[0])
        self.assertEqual(0, self._run(transport_url='fake:/')[0])

    def test_wrong_sources(self) -> None:
        self.assertIn('[sources] log_dirs',
                      self._refused('sources', log_dirs='a:var/log'))
        self.assertIn('[sources] log_dirs',
                      self._refused('sources', log_dirs='../a:/var/log'))
        self.assertIn('timezone',
                      self._refused('sources', timezone='Mars'))

    def test_wrong_state_path(self) -> None:
        (self.tmp / 'file').write_text('')
        self.assertIn('[DEFAULT] state_path', self._refused(
            state_path=str(self.tmp / 'file' / 'x')))

    def test_wrong_detector(self) -> None:
        self.assertIn("'magic'", self._refused(
            'detectors', enabled='novelty,magic'))

    def test_wrong_bus(self) -> None:
        for url in ('pigeon://rca:secret@loft/', 'secret',
                    'rabbit://rca:secret@bus:port/'):
            self.assertIn('transport_url', self._refused(transport_url=url))

    def test_wrong_values(self) -> None:
        for name, value in (('workers', '0'), ('workers', 'two'),
                            ('lease', '2'), ('job_memory', '1')):
            self.assertIn(name, self._refused('engine', **{name: value}))

    def test_no_configuration_file(self) -> None:
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            self.assertEqual(1, engine.run(
                ['--config-file', str(self.tmp / 'missing.conf')]))
        self.assertIn('missing.conf', stderr.getvalue())

    def test_command_line(self) -> None:
        with mock.patch('sys.argv', ['openstack-rca-engine', '--x']), \
                contextlib.redirect_stderr(io.StringIO()):
            error = self.assertRaises(SystemExit, engine.main)
        self.assertEqual(2, error.code)
