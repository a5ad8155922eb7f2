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
"""Tests for what a WSGI server loads."""

import os
import subprocess
import sys

from openstack_rca.tests import base

# Prints which of the heavy libraries are there, and the backend.
_LOOK = """
import sys
from openstack_rca.wsgi import api
from oslo_service import backend
heavy = {'polars', 'torch', 'faiss', 'numpy', 'sentence_transformers',
         'anthropic', 'openstack_rca.analysis', 'openstack_rca.store'}
print(sorted(heavy & set(sys.modules)), backend.get_backend_type().value,
      callable(api.application))
"""


class TestApplication(base.TestCase):

    def _run(self, configuration: str) -> 'subprocess.CompletedProcess[str]':
        folder = self.tmp / '.openstack-rca'
        folder.mkdir(exist_ok=True)
        (folder / 'openstack-rca.conf').write_text(configuration)
        return subprocess.run(
            [sys.executable, '-c', _LOOK], capture_output=True, text=True,
            env={**os.environ, 'HOME': str(self.tmp)})

    def test_light(self) -> None:
        done = self._run('[keystone_authtoken]\n'
                         'www_authenticate_uri = http://keystone.invalid\n')
        self.assertEqual('[] threading True\n', done.stdout, done.stderr)

    def test_wrong_configuration(self) -> None:
        done = self._run('[api]\nmax_limit = many\n')
        self.assertEqual(1, done.returncode)
        self.assertEqual('', done.stdout)
        self.assertIn('openstack-rca-api: The configuration is wrong',
                      done.stderr)
        self.assertNotIn('Traceback', done.stderr)

    def test_wrong_policy(self) -> None:
        file = self.tmp / 'policy.yaml'
        for text in ('"rca:analyses:list": "role:admin', '- rule',
                     '"rca:analyses:list": 5'):
            file.write_text(text)
            done = self._run(f'[oslo_policy]\npolicy_file = {file}\n')
            self.assertEqual(1, done.returncode)
            self.assertIn(f'The policy file {file} cannot be used',
                          done.stderr)
            self.assertNotIn('Traceback', done.stderr)
