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
"""The retired python-vitrageclient beside this package: no clash."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import venv

from openstack_rca.tests import base
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import service

# The last release.
PACKAGE = 'python-vitrageclient==5.4.0'


class TestVitrage(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.tmp / 'both'
        venv.create(self.folder, symlinks=True)
        paths = sysconfig.get_paths(vars={'base': str(self.folder),
                                          'platbase': str(self.folder)})
        # All that the tests have is there, too; what is added is added
        # there alone. addsitedir, for the sake of editable installs.
        here = sysconfig.get_path('purelib')
        (pathlib.Path(paths['purelib']) / 'tests.pth').write_text(
            f'import site; site.addsitedir({here!r})\n')
        self.python = str(self.folder / 'bin' / 'python')
        done = subprocess.run(
            [sys.executable, '-m', 'pip', '--python', self.python,
             'install', '--quiet', '--disable-pip-version-check',
             '-c', str(servers.ROOT / 'constraints.txt'), PACKAGE],
            capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (f'{PACKAGE} cannot be installed from the package '
                      f'index: {done.stderr[-500:]}')
            if servers.required():
                self.fail(reason)
            self.skipTest(reason)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [self.python, '-W', 'default', '-m', 'openstackclient.shell',
             *words], capture_output=True, text=True, check=False,
            cwd=self.tmp, env={**os.environ, 'COLUMNS': '200'})
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        for line in done.stderr.splitlines():
            for word in ('conflict', 'duplicate', 'overrid', 'openstack_rca',
                         'Could not load', 'EntryPoint'):
                self.assertNotIn(word, line)
        return done.stdout

    def test_both_work(self) -> None:
        report = json.loads(self._run(
            'rca', 'analyze', '--log-dir', str(service.LOGS), '--issue',
            'server web-3 went to ERROR', '-f', 'json'))
        self.assertEqual('compute-capacity',
                         report['hypotheses'][0]['component'])
        listed = self._run('rca', '--help')
        # Theirs, and ours.
        for command in ('rca alarm list', 'rca status', 'rca topology show',
                        'rca template list', 'rca analyze',
                        'rca incident list', 'rca event list', 'rca trace'):
            self.assertIn(f'  {command}', listed)
        # One of theirs; and two of a group that both have commands in.
        for command, theirs in (('alarm list', '--all-tenants'),
                                ('event post', '--details'),
                                ('event list', '--log-dir')):
            told = self._run('rca', *command.split(), '--help')
            self.assertIn(theirs, told)
            self.assertIn(f'rca {command}', told)
