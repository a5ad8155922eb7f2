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
"""What the engine adds to its Guru Meditation Report."""

import os
import signal
import subprocess
import sys
from unittest import mock

from oslo_reports import guru_meditation_report as gmr

from openstack_rca.engine import manager
from openstack_rca.engine import meditation
from openstack_rca.tests import base

_CHILD = 'import time; time.sleep(600)'


class TestSection(base.TestCase):

    def test_of_the_engine(self) -> None:
        section = meditation.Section()
        self.config('sources', log_dirs={'nova': '/var/log/nova'})
        made = manager.Manager([])
        section.describe = made.described
        told = section()
        told.set_current_view_type('text')
        said = str(told)
        for words in (f'holder = {made.holder}', 'nova', 'MainThread',
                      'database away = False', 'jobs held'):
            self.assertIn(words, said)
        self.assertNotIn('/var/log', said)

    def test_asks_its_children(self) -> None:
        child = subprocess.Popen([sys.executable, '-c', _CHILD],
                                 stdin=subprocess.DEVNULL)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        # Other tests may have children, too.
        with mock.patch.object(os, 'kill', autospec=True) as kill:
            told = meditation.Section()()
        self.assertIn(child.pid, told['asked'])
        self.assertIn(mock.call(child.pid, signal.SIGUSR2),
                      kill.mock_calls)

    def test_asks_nobody_elses(self) -> None:
        section = meditation.Section()
        section._first = os.getppid()
        self.assertEqual([], section()['asked'])

    def test_registered(self) -> None:
        with mock.patch.object(gmr.TextGuruMeditation, 'register_section',
                               autospec=True) as register:
            meditation.register()
        register.assert_called_once_with('Engine', meditation.ENGINE)
