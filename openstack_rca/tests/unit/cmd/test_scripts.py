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
"""Tests of the console scripts of the service."""

import subprocess
import sys

from openstack_rca.tests import base


class ScriptsTest(base.TestCase):
    """They run, or say what is missing."""

    def _run(self, script: str, missing: str,
             *arguments: str) -> 'subprocess.CompletedProcess[str]':
        return subprocess.run(
            [sys.executable, '-c', 'import sys\n'
             f'sys.modules.update({{m: None for m in {missing!r}.split()}})\n'
             'from openstack_rca.cmd import scripts\n'
             f'sys.exit(scripts.{script}())', *arguments],
            capture_output=True, text=True, check=False)

    def test_missing_library(self) -> None:
        for script, missing in (('engine', 'oslo_service'),
                                ('status', 'oslo_db')):
            done = self._run(script, missing, 'upgrade', 'check')
            self.assertEqual(
                (1, f'{missing} is not installed. Install '
                    'openstack_rca[engine].\n'),
                (done.returncode, done.stderr))

    def test_they_run(self) -> None:
        for script in ('engine', 'status'):
            done = self._run(script, '', '--help')
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertIn('--config-file', done.stdout)
