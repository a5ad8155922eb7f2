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
"""What the processes of the service do not load."""

import os
import subprocess
import sys

from openstack_rca.tests import base

_LOOK = ('import sys, {module}; from oslo_service import backend; '
         'print(backend.get_backend_type().name, sys.modules["eventlet"])')


class TestThreads(base.TestCase):

    def test_no_eventlet(self) -> None:
        """It would warn of itself, too, in the log of an operator."""
        for module in ('openstack_rca.cmd.engine',
                       'openstack_rca.engine.listener'):
            done = subprocess.run(
                [sys.executable, '-c', _LOOK.format(module=module)],
                check=False, capture_output=True, text=True,
                env={**os.environ, 'PYTHONWARNINGS': ''})
            self.assertEqual(('THREADING None\n', ''),
                             (done.stdout, done.stderr), module)
