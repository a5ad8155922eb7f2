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
"""Tests of the names of the parts of a cloud."""

from openstack_rca.analysis import components
from openstack_rca.tests import base


class ComponentsTestCase(base.TestCase):

    def test_of_binary(self) -> None:
        for binary, component in (
                ('nova-compute', 'nova-compute'),
                ('nova-api-metadata', 'nova-api'),
                ('neutron-api', 'neutron-server'),
                ('neutron-rpc-server', 'neutron-rpc-server'),
                ('neutron-openvswitch-agent', 'neutron-l2-agent'),
                ('neutron-l3-agent', 'neutron-l3-agent'),
                ('placement-api', 'placement'), ('glance-api', 'glance'),
                ('cinder-volume', 'cinder-volume'),
                ('mysqld', 'mariadb'), ('rabbit@ctl1', 'rabbitmq'),
                ('libvirtd', 'libvirt'), ('virtqemud', 'libvirt'),
                ('something', 'other'), ('', 'other')):
            self.assertEqual(component, components.of_binary(binary), binary)

    def test_of_peer(self) -> None:
        for text, component in (
                ('http://10.0.0.1:5000/v3/auth/tokens', 'keystone'),
                ('https://cloud/identity/v3', 'keystone'),
                ("HTTPConnectionPool(host='ctl', port=9696)",
                 'neutron-server'),
                ('AMQP server on 10.0.0.1:5672', 'rabbitmq'),
                ('connect to 127.0.0.1:11211 failed', 'memcached'),
                ('no address here', None), ('10.0.0.1:4711', None)):
            self.assertEqual(component, components.of_peer(text), text)

    def test_of_callee_takes_the_last_client(self) -> None:
        text = ('File "/x/site-packages/nova/compute/api.py", line 1, in a\n'
                'File "/x/site-packages/nova/conductor/api.py", line 1, in b'
                '\nFile "/x/site-packages/nova/conductor/rpcapi.py", line 1')
        self.assertEqual('nova-conductor', components.of_callee(text))
        self.assertIsNone(components.of_callee('no frame'))

    def test_names_are_the_documented_ones(self) -> None:
        known = set(components.COMPONENTS)
        for name, needs in components.NEEDS.items():
            self.assertIn(name, known)
            self.assertLessEqual(set(needs), known)
