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
"""The units: what systemd says of them, and what they start."""

import configparser
import http.client
import json
import os
import pathlib
import shlex
import signal
import stat
import subprocess
import sys
import time
import unittest

from openstack_rca.tests import base
from openstack_rca.tests.functional import daemons
from openstack_rca.tests.functional.servers import base as servers

ETC = daemons.ROOT / 'etc'
UNITS = ETC / 'systemd'
INI = ETC / 'openstack-rca' / 'openstack-rca-api-uwsgi.ini'
NAMES = ('openstack-rca-api', 'openstack-rca-engine')

# Where the units look for programs and configuration.
PROGRAMS = '/opt/openstack-rca/bin/'
CONFIGURATION = '/etc/openstack-rca/'

# Tenths of systemd's measure of exposure, 0 to 100. What is left is what
# daemons need: the network, and for the engine a group and polars.
EXPOSURE = {'openstack-rca-api': 12, 'openstack-rca-engine': 14}


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, with all values of each."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / f'{name}.service').read_text().splitlines():
        option, equals, value = line.partition('=')
        if equals and not line.startswith('#'):
            found.setdefault(option, []).append(value)
    return found


def uwsgi() -> configparser.SectionProxy:
    """The options of the file that the unit of the API names."""
    parser = configparser.RawConfigParser()
    parser.read(INI)
    return parser['uwsgi']


class UnitsTest(base.TestCase):
    """What systemd itself says of the files."""

    def test_life_and_death(self) -> None:
        for name in NAMES:
            found = unit(name)
            for option, value in (
                    ('Type', 'notify'), ('KillMode', 'mixed'),
                    ('Restart', 'on-failure'), ('User', 'openstack-rca'),
                    ('StateDirectory', 'openstack-rca'),
                    ('StateDirectoryMode', '0700'), ('UMask', '0077'),
                    ('NoNewPrivileges', 'true'),
                    ('ProtectSystem', 'strict'),
                    ('CapabilityBoundingSet', '')):
                self.assertEqual([value], found.get(option),
                                 f'{name}: {option}')
            # Longer than what oslo.service and uWSGI give to running work.
            patience = int(found['TimeoutStopSec'][0])
            self.assertGreater(patience, 60)
            self.assertGreater(patience,
                               int(uwsgi()['worker-reload-mercy']))

    def test_systemd_understands_them(self) -> None:
        program = daemons.require_program(self, 'systemd-analyze', 'systemd')
        paths = []
        for name in NAMES:
            text = (UNITS / f'{name}.service').read_text()
            path = self.tmp / f'{name}.service'
            # Programs have to exist for systemd to be content.
            path.write_text(text.replace(PROGRAMS, daemons.PROGRAMS))
            paths.append(str(path))
        done = subprocess.run(
            [program, 'verify', '--man=no', *paths], capture_output=True,
            text=True, check=False)
        self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_systemd_finds_mistakes(self) -> None:
        # The test above can fail.
        program = daemons.require_program(self, 'systemd-analyze', 'systemd')
        path = self.tmp / 'wrong.service'
        path.write_text('[Service]\nExecStart=/nowhere/engine\n')
        done = subprocess.run(
            [program, 'verify', '--man=no', str(path)], capture_output=True,
            text=True, check=False)
        self.assertNotEqual(0, done.returncode)

    def test_they_are_shut_in(self) -> None:
        program = daemons.require_program(self, 'systemd-analyze', 'systemd')
        for name in NAMES:
            done = subprocess.run(
                [program, 'security', '--no-pager', '--offline=yes',
                 f'--threshold={EXPOSURE[name]}',
                 str(UNITS / f'{name}.service')],
                capture_output=True, text=True, check=False)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
            done = subprocess.run(
                [program, 'security', '--no-pager', '--offline=yes',
                 '--json=short', str(UNITS / f'{name}.service')],
                capture_output=True, text=True, check=False)
            self.assertIn('CapabilityBoundingSet_CAP_SYS_ADMIN', {
                item['json_field'] for item in json.loads(done.stdout)
                if item['set']})

    @unittest.skipIf(os.geteuid(), 'systemd-sysusers needs root')
    def test_user_and_folders_are_made(self) -> None:
        sysusers = daemons.require_program(self, 'systemd-sysusers',
                                           'systemd')
        tmpfiles = daemons.require_program(self, 'systemd-tmpfiles',
                                           'systemd')
        root = self.tmp / 'root'
        (root / 'etc').mkdir(parents=True)
        for command in (
                [sysusers, f'--root={root}',
                 str(ETC / 'sysusers.d' / 'openstack-rca.conf')],
                [tmpfiles, f'--root={root}', '--create',
                 str(ETC / 'tmpfiles.d' / 'openstack-rca.conf')]):
            done = subprocess.run(command, capture_output=True, text=True,
                                  check=False)
            self.assertEqual(0, done.returncode, done.stderr)
        line = (root / 'etc' / 'passwd').read_text().strip()
        name, _, number, group, _, home, shell = line.split(':')
        self.assertEqual(('openstack-rca', '/var/lib/openstack-rca'),
                         (name, home))
        self.assertIn('nologin', shell)
        state = (root / 'var' / 'lib' / 'openstack-rca').stat()
        self.assertEqual((0o700, int(number)),
                         (stat.S_IMODE(state.st_mode), state.st_uid))
        configuration = (root / 'etc' / 'openstack-rca').stat()
        self.assertEqual(
            (0o750, 0, int(group)),
            (stat.S_IMODE(configuration.st_mode), configuration.st_uid,
             configuration.st_gid))


class _RunTest(base.TestCase):
    """The command of a unit, with its paths below a temporary folder."""

    NAME = ''

    def setUp(self) -> None:
        super().setUp()
        self.state = self.tmp / 'state'
        self.state.mkdir(mode=0o700)
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        folder = self.tmp / '.openstack-rca'
        folder.mkdir()
        self.file = folder / 'openstack-rca.conf'
        self.options: dict[tuple[str, str], object] = {
            ('DEFAULT', 'state_path'): self.state,
            ('database', 'connection'):
                f'sqlite:///{self.state}/openstack-rca.sqlite',
            ('sources', 'log_dirs'): f'all:{self.logs}',
            # Nobody is there: only a token would need it.
            ('keystone_authtoken', 'auth_url'): 'http://127.0.0.1:1/v3',
            ('keystone_authtoken', 'www_authenticate_uri'):
                'http://127.0.0.1:1/v3',
            ('keystone_authtoken', 'auth_type'): 'password',
            ('keystone_authtoken', 'username'): 'openstack-rca',
            ('keystone_authtoken', 'password'): 'sesame',
            ('keystone_authtoken', 'project_name'): 'service',
            ('keystone_authtoken', 'user_domain_id'): 'default',
            ('keystone_authtoken', 'project_domain_id'): 'default'}
        self._write()
        done = subprocess.run(
            [daemons.program('openstack-rca-manage'), '--config-file',
             str(self.file), 'db', 'sync'], capture_output=True, text=True,
            check=False, umask=0o077)
        self.assertEqual(0, done.returncode, done.stderr)

    def _write(self) -> None:
        self.file.write_text(''.join(
            f'[{group}]\n{name} = {value}\n'
            for (group, name), value in self.options.items()))

    def _start(self) -> daemons.Daemon:
        found = unit(self.NAME)
        command = [
            word.replace(PROGRAMS, daemons.PROGRAMS).replace(
                CONFIGURATION, f'{self.tmp}/')
            for word in shlex.split(found['ExecStart'][0])]
        return daemons.Daemon(
            self, command, self.tmp,
            found.get('MemoryDenyWriteExecute') == ['true'])

    def _check_modes(self) -> None:
        """Nobody else can look into what it wrote."""
        self.assertEqual(0o700, stat.S_IMODE(self.state.stat().st_mode))
        for path in self.state.rglob('*'):
            self.assertFalse(path.stat().st_mode & 0o077, path)


class EngineTest(_RunTest):
    """openstack-rca-engine.service"""

    NAME = 'openstack-rca-engine'

    def test_start_and_stop(self) -> None:
        daemon = self._start()
        daemon.wait_ready()
        # READY comes from the main process; the child does the work.
        daemon.wait_said('[DEFAULT] transport_url is not set')
        children = daemon.children()
        self.assertTrue(children)
        self.assertEqual(0, daemon.stop(), daemon.said())
        self.assertFalse([pid for pid, started in children
                          if servers.lives(pid, started)])
        self.assertNotIn('Traceback', daemon.said())
        self.assertNotIn('sesame', daemon.said())
        self._check_modes()

    def test_reload_takes_log_levels(self) -> None:
        daemon = self._start()
        daemon.wait_ready()
        daemon.wait_said('[DEFAULT] transport_url is not set')
        self.assertNotIn(' DEBUG ', daemon.said())
        self.options['DEFAULT', 'debug'] = True
        self._write()
        words = shlex.split(unit(self.NAME)['ExecReload'][0])
        self.assertEqual(['/bin/kill', '-HUP', '$MAINPID'], words)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_said(' DEBUG ')
        self.assertIsNone(daemon.process.poll())
        self.assertEqual(0, daemon.stop(), daemon.said())
        self.assertNotIn('sesame', daemon.said())

    def test_a_wrong_configuration_is_told(self) -> None:
        for option, value in (
                (('engine', 'workers'), 'many'),
                (('detectors', 'enabled'), 'nonsense'),
                (('sources', 'log_dirs'), 'a/b:/var/log')):
            with self.subTest(option=option):
                kept = dict(self.options)
                self.options[option] = value
                self._write()
                daemon = self._start()
                # systemd shows a failure, and starts it again.
                self.assertEqual(1, daemon.wait_end())
                self.assertIn(option[1] if option[0] != 'detectors'
                              else value, daemon.said())
                self.assertNotIn('Traceback', daemon.said())
                self.assertNotIn('READY=1', daemon.messages)
                self.options = kept

    def test_guru_meditation(self) -> None:
        daemon = self._start()
        daemon.wait_ready()
        daemon.wait_said('[DEFAULT] transport_url is not set')
        daemon.process.send_signal(signal.SIGUSR2)
        daemon.wait_said('Guru Meditation')
        daemon.wait_said('Configuration')
        self.assertEqual(0, daemon.stop(), daemon.said())
        self.assertNotIn('sesame', daemon.said())


class APITest(_RunTest):
    """openstack-rca-api.service"""

    NAME = 'openstack-rca-api'

    def setUp(self) -> None:
        super().setUp()
        if not os.access(daemons.program('uwsgi'), os.X_OK):
            reason = ('uWSGI is missing (pip install -r '
                      'test-requirements.txt)')
            if servers.required():
                self.fail(reason)
            self.skipTest(reason)
        self.port = servers.free_port()
        text = INI.read_text()
        self.assertIn('http-socket = 127.0.0.1:8990\n', text)
        (self.tmp / INI.name).write_text(text.replace(
            ':8990\n', f':{self.port}\n'))

    def _ask(self, path: str, **headers: str) -> tuple[int, bytes]:
        """What the API answers, as soon as it does."""
        deadline = time.monotonic() + daemons.PATIENCE
        while True:
            connection = http.client.HTTPConnection(
                '127.0.0.1', self.port, timeout=daemons.PATIENCE)
            try:
                connection.request('GET', path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            finally:
                connection.close()

    def test_start_and_stop(self) -> None:
        daemon = self._start()
        daemon.wait_ready()
        status, body = self._ask('/v1')
        self.assertEqual(200, status, repr(body))
        self.assertEqual('v1.0', json.loads(body)['version']['id'])
        self.assertEqual(200, self._ask('/healthcheck')[0])
        status, body = self._ask('/v1/analyses')
        self.assertEqual(401, status, repr(body))
        self.assertEqual(401, json.loads(body)['error']['code'])
        # A token of many roles and a long catalog.
        status, body = self._ask('/v1', **{'X-Auth-Token': 'x' * 30000})
        self.assertEqual(200, status, repr(body))
        # Loaded once, before systemd heard that it is ready.
        self.assertEqual(1, daemon.said().count('WSGI app 0'))
        children = daemon.children()
        self.assertEqual(int(uwsgi()['processes']), len(children))
        self.assertEqual(0, daemon.stop(), daemon.said())
        self.assertFalse([pid for pid, started in children
                          if servers.lives(pid, started)])
        said = daemon.said()
        self.assertNotIn('Traceback', said)
        self.assertNotIn('sesame', said)
        # One line a request, with its status and time, and no token.
        self.assertRegex(said, r'"GET /v1/analyses HTTP/1\.1" status: 401 '
                               r'len: \d+ time: \d+ms')
        self.assertNotIn('xxxx', said)
        self._check_modes()

    def test_a_wrong_configuration_is_told(self) -> None:
        self.options['api', 'max_limit'] = 'many'
        self._write()
        daemon = self._start()
        # systemd shows a failure, and starts it again.
        self.assertNotEqual(0, daemon.wait_end())
        self.assertIn('max_limit', daemon.said())
        self.assertNotIn('Traceback', daemon.said())
        self.assertNotIn('READY=1', daemon.messages)


class PackageTest(base.TestCase):
    """What pip brings of these files."""

    def test_files_are_those_of_the_package(self) -> None:
        parser = configparser.RawConfigParser()
        parser.read(daemons.ROOT / 'setup.cfg')
        named = set(parser['options.data_files'].items())
        found = {pathlib.Path(path) for _, value in named
                 for path in value.split()}
        self.assertLessEqual(
            {path.relative_to(daemons.ROOT)
             for path in (*UNITS.iterdir(), INI)}, found)
        for path in found:
            self.assertTrue((daemons.ROOT / path).is_file(), path)

    def test_programs_of_the_units_are_installed(self) -> None:
        for name in NAMES:
            command = shlex.split(unit(name)['ExecStart'][0])[0]
            self.assertTrue(command.startswith(PROGRAMS), command)
        self.assertTrue(os.access(daemons.program('openstack-rca-engine'),
                                  os.X_OK), sys.executable)
