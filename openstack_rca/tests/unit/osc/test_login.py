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
"""The real ``openstack`` command logs in, or says why it cannot."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from typing import Any
from unittest import mock

from openstack_rca.tests import base
from openstack_rca.tests.unit.sdk import fake

PROGRAM = pathlib.Path(sys.executable).parent / 'openstack'


class LoginTest(base.TestCase):
    """From variables and clouds.yaml to a token, and what is in the way."""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = self.useFixture(fake.Cloud())

    def _run(self, *words: str, status: int = 0, cloud: str | None = None,
             **environment: str) -> tuple[str, str]:
        login = (self.cloud.environment if cloud is None
                 else {'OS_CLOUD': cloud} if cloud else {})
        done = subprocess.run(
            [str(PROGRAM), 'rca', *words], capture_output=True, check=False,
            text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=self.tmp,
            env={**os.environ, **login, 'PYTHONWARNINGS': 'ignore',
                 **environment})
        self.assertEqual(status, done.returncode, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        self.assertNotIn('bug in openstack_rca', done.stderr)
        return done.stdout, done.stderr

    def test_variables(self) -> None:
        shown, said = self._run('analyze', '--issue', 'why')
        self.assertTrue(shown.startswith('CAUSE FOUND'))
        self.assertEqual('', said)
        self.assertEqual(1, len(self.cloud.logins))

    def test_clouds_yaml(self) -> None:
        names = ''.join(f'      {name}: {value}\n'
                        for name, value in self.cloud.login.items())
        (self.tmp / 'clouds.yaml').write_text(
            f'clouds:\n  mine:\n    auth:\n{names}')
        (row,) = self.cloud.summaries(1)
        shown, _ = self._run(
            'analysis', 'list', '-f', 'value', '-c', 'ID', cloud='mine')
        self.assertEqual(f'{row["id"]}\n', shown)

    def test_no_credentials(self) -> None:
        _, said = self._run('analysis', 'list', status=1, cloud='')
        self.assertIn('auth-url', said)
        self.assertIn('--log-dir', said)

    def test_wrong_password(self) -> None:
        _, said = self._run('analysis', 'list', status=1, OS_PASSWORD='no')
        self.assertIn('Keystone refuses the login', said)

    def test_keystone_is_not_there(self) -> None:
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            url = f'http://127.0.0.1:{free.getsockname()[1]}'
            _, said = self._run('analysis', 'list', status=1,
                                OS_AUTH_URL=url)
        self.assertIn(f'Cannot reach {url}', said)
        self.assertIn('refused', said)

    def test_no_tls(self) -> None:
        url = self.cloud.url.replace('http:', 'https:')
        _, said = self._run('analysis', 'list', status=1, OS_AUTH_URL=url)
        self.assertIn(f'No safe connection to {url}: it does not speak TLS',
                      said)
        self.assertIn('OS_CACERT', said)

    def test_no_keystone_at_the_address(self) -> None:
        _, said = self._run('analysis', 'list', status=1,
                            OS_AUTH_URL=f'{self.cloud.url}/elsewhere')
        self.assertIn('check that your auth_url is correct', said)

    def test_not_in_the_catalog(self) -> None:
        self.cloud.catalogued = False
        _, said = self._run('analysis', 'list', status=1)
        self.assertIn('has no root cause analysis service', said)

    def test_interrupt(self) -> None:
        self.cloud.looks = 10 ** 9
        asked = threading.Event()
        answer = self.cloud.answer

        def look(method: str, target: str, body: Any,
                 token: str | None) -> fake.Answer:
            if method == 'GET' and '/analyses/' in target:
                asked.set()
            return answer(method, target, body, token)

        with mock.patch.object(self.cloud, 'answer', autospec=True,
                               side_effect=look):
            running = subprocess.Popen(
                [str(PROGRAM), 'rca', 'analyze', '--issue', 'why'],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, cwd=self.tmp,
                env={**os.environ, **self.cloud.environment,
                     'PYTHONWARNINGS': 'ignore'})
            self.addCleanup(running.kill)
            self.assertTrue(asked.wait(60))
            running.send_signal(signal.SIGINT)
            shown, said = running.communicate(timeout=60)
        (name,) = self.cloud.rows['analyses']
        self.assertEqual(130, running.returncode, said)
        self.assertEqual('', shown)
        self.assertEqual(f'The analysis goes on: "openstack rca analysis '
                         f'show {name}" shows it.', said.strip())

    def test_a_folder_needs_no_login(self) -> None:
        _, said = self._run('source', 'list', '--log-dir', str(self.tmp),
                            status=1)
        self.assertIn('There is no log file', said)
        self.assertEqual([], self.cloud.logins)
