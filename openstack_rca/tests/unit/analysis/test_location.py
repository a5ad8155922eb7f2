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
"""Tests of places in the code."""

from openstack_rca.analysis import location
from openstack_rca.tests import base

TRACE = '''Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/oslo_messaging/rpc/server.py", line 1, in _process_incoming
    res = self.dispatcher.dispatch(message)
  File "/usr/lib/python3/dist-packages/nova/exception_wrapper.py", line 65, in wrapped
    result = func(ctxt, **new_args)
  File "/usr/lib/python3/dist-packages/nova/compute/manager.py", line 7, in reboot_instance
    do()
  File "/usr/lib/python3/dist-packages/nova/virt/libvirt/driver.py", line 9, in reboot
    self.soft()
  File "/usr/lib/python3/dist-packages/sqlalchemy/engine/base.py", line 9, in execute
ValueError: no'''  # noqa: E501


class LocationTestCase(base.TestCase):

    def test_innermost_own_frame_first(self) -> None:
        places = location.rank([(TRACE, 'oslo_messaging.rpc.server')])
        self.assertEqual(
            [location.Place('nova/virt/libvirt/driver.py', 'reboot'),
             location.Place('nova/compute/manager.py', 'reboot_instance')],
            places)

    def test_logger_behind_its_frames(self) -> None:
        places = location.rank([(TRACE, 'nova.compute.manager'),
                                ('no frames', 'cinder.volume.manager')])
        self.assertEqual('nova/compute/manager.py', places[2].file)
        self.assertIsNone(places[2].function)
        self.assertEqual('cinder/volume/manager.py', places[3].file)

    def test_frames_of_a_message_with_escapes(self) -> None:
        text = ("reason: u' File \\\"/usr/lib/python2.7/site-packages/nova/"
                "compute/claims.py\\\", line 3, in abort\\n'")
        self.assertEqual([location.Place('nova/compute/claims.py', 'abort')],
                         location.frames(text))

    def test_of_suffix(self) -> None:
        place = location.of_suffix(
            'Lock acquired inner /usr/lib/python3.11/site-packages/nova/'
            'utils.py:270')
        self.assertEqual(location.Place('nova/utils.py', 'inner'), place)
        self.assertIsNone(location.of_suffix(
            'x inner /usr/lib/python3/site-packages/oslo/lockutils.py:2'))

    def test_module(self) -> None:
        self.assertEqual('nova.compute.manager',
                         location.Place('nova/compute/manager.py',
                                        None).module)
