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
"""The DevStack plugin: its phases, its shell, and what uWSGI is given."""

import configparser
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess
import time

from openstack_rca.tests import base
from openstack_rca.tests.functional import daemons
from openstack_rca.tests.functional.servers import base as servers

DEVSTACK = daemons.ROOT / 'devstack'

# As stack.sh: settings once, then the plugin once a phase.
STACK = '''
source "$1/tests/stubs.bash"
source "$1/settings"
for phase in post-config extra; do
    source "$1/plugin.sh" stack "$phase"
done
'''


def ask_uwsgi(address: pathlib.Path, path: str) -> tuple[int, bytes]:
    """Ask as Apache's mod_proxy_uwsgi does.

    :param address: the socket
    :param path: below the path that Apache hands over
    :returns: status and body
    """
    variables = {
        'REQUEST_METHOD': 'GET', 'SCRIPT_NAME': '/root-cause-analysis',
        'PATH_INFO': path, 'REQUEST_URI': f'/root-cause-analysis{path}',
        'QUERY_STRING': '', 'SERVER_NAME': '192.0.2.10',
        'SERVER_PORT': '80', 'SERVER_PROTOCOL': 'HTTP/1.1',
        'REQUEST_SCHEME': 'http', 'REMOTE_ADDR': '192.0.2.1',
        'HTTP_HOST': '192.0.2.10'}
    packed = b''.join(
        struct.pack('<H', len(word)) + word.encode()
        for pair in variables.items() for word in pair)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(daemons.PATIENCE)
        connection.connect(str(address))
        connection.sendall(struct.pack('<BHB', 0, len(packed), 0) + packed)
        answer = b''
        while more := connection.recv(65536):
            answer += more
    head, _, body = answer.partition(b'\r\n\r\n')
    return int(head.split(b' ', 2)[1]), body


class ShellTest(base.TestCase):

    def test_phases(self) -> None:
        bats = daemons.require_program(self, 'bats', 'bats')
        done = subprocess.run(
            [bats, '--tap', str(DEVSTACK / 'tests')], capture_output=True,
            text=True, check=False, cwd=self.tmp,
            env={**os.environ, 'TMPDIR': str(self.tmp)})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r'(?m)^1\.\.[1-9]')
        self.assertNotIn('# skip', done.stdout)

    def test_style(self) -> None:
        shellcheck = daemons.require_program(self, 'shellcheck',
                                             'shellcheck')
        files = [str(path) for path in sorted(DEVSTACK.rglob('*'))
                 if path.is_file()]
        self.assertIn(str(DEVSTACK / 'plugin.sh'), files)
        done = subprocess.run([shellcheck, *files], capture_output=True,
                              text=True, check=False)
        self.assertEqual((0, ''), (done.returncode, done.stdout))


class UWSGITest(base.TestCase):
    """What the plugin writes, started."""

    def setUp(self) -> None:
        super().setUp()
        if not os.access(daemons.program('uwsgi'), os.X_OK):
            reason = ('uWSGI is missing (pip install -r '
                      'test-requirements.txt)')
            if servers.required():
                self.fail(reason)
            self.skipTest(reason)
        self.stubs = self.tmp / 'stubs'
        (self.stubs / 'home').mkdir(parents=True)
        done = subprocess.run(
            ['bash', '-o', 'errexit', '-c', STACK, 'stack', str(DEVSTACK)],
            capture_output=True, text=True, check=False, env={
                **os.environ, 'STUBS_DIR': str(self.stubs),
                'STUBS_BIN_DIR': daemons.PROGRAMS.rstrip('/'),
                'ENABLED_SERVICES': 'key,mysql',
                'STUBS_DATABASE': f'sqlite:///{self.tmp}/rca.sqlite'})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.calls = (self.stubs / 'calls').read_text().splitlines()
        # Programs find it in their home, as they do in /etc.
        (self.tmp / '.openstack-rca').symlink_to(self.stubs / 'etc')

    def _command(self, service: str) -> list[str]:
        """What the plugin has DevStack run."""
        start = f'run_process {service} '
        found = [call.removeprefix(start).split() for call in self.calls
                 if call.startswith(start)]
        self.assertEqual(1, len(found), repr(self.calls))
        return found[0]

    def test_api(self) -> None:
        command = self._command('openstack-rca-api')
        self.assertEqual(daemons.program('uwsgi'), command[0])
        parser = configparser.RawConfigParser()
        parser.read(command[-1])
        options = parser['uwsgi']
        daemon = daemons.Daemon(self, command, self.tmp)
        daemon.wait_ready()
        # DevStack has each process load the application for itself, and a
        # graceful end passes over those that still do.
        daemon.wait_said('WSGI app 0', int(options['processes']))
        address = pathlib.Path(options['socket'])
        self.assertTrue(stat.S_ISSOCK(address.stat().st_mode))
        status, body = ask_uwsgi(address, '/v1')
        self.assertEqual(200, status, repr(body))
        # Behind Apache the API knows where it is.
        self.assertEqual(
            'http://192.0.2.10/root-cause-analysis/v1/',
            json.loads(body)['version']['links'][0]['href'])
        self.assertEqual(200, ask_uwsgi(address, '/healthcheck')[0])
        status, body = ask_uwsgi(address, '/v1/analyses')
        self.assertEqual(401, status, repr(body))
        self.assertEqual(0, daemon.stop(), daemon.said())
        self.assertNotIn('Traceback', daemon.said())

    def test_engine(self) -> None:
        daemon = daemons.Daemon(
            self, self._command('openstack-rca-engine'), self.tmp)
        daemon.wait_ready()
        # Unlike systemd for our units, DevStack's stop only the first
        # process.
        children: set[tuple[int, str]] = set()
        deadline = time.monotonic() + daemons.PATIENCE
        while not children and time.monotonic() < deadline:
            children = daemon.children()
            time.sleep(0.1)
        self.assertTrue(children)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, daemon.wait_end(), daemon.said())
        self.assertFalse([pid for pid, started in children
                          if servers.lives(pid, started)])

    def test_checks_are_content(self) -> None:
        done = subprocess.run(
            [daemons.program('openstack-rca-status'), '--config-file',
             str(self.stubs / 'etc' / 'openstack-rca.conf'), 'upgrade',
             'check', '--json'], capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(
            {0}, {check['result']
                  for check in json.loads(done.stdout)['checks']})
