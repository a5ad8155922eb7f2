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

import re
import string

import hypothesis
from hypothesis import strategies

from openstack_rca.analysis import clues
from openstack_rca.analysis import details
from openstack_rca.tests import base

PORT = '224e8fa1-b108-405b-8917-589b9063847a'


class DetailsTestCase(base.TestCase):

    def told(self, text: str, component: str = 'nova-compute',
             clue: str | None = None) -> list[str]:
        """Details of a message."""
        return [d for b in clues.read(clues.Message(
            text, component, 40, None, 'log'))
            if clue in (None, b.clue) for d in b.details]

    def test_filters(self) -> None:
        self.assertEqual(
            ['ServerGroupAntiAffinityFilter left no host'],
            self.told('Filter ServerGroupAntiAffinityFilter returned 0 '
                      'hosts', 'nova-scheduler'))
        self.assertEqual(
            ['NUMATopologyFilter left no host of 3'], self.told(
                'Filtering removed all hosts for the request with instance '
                "ID 'x'. Filter results: ['ComputeFilter: (start: 8, end: "
                "3)', 'NUMATopologyFilter: (start: 3, end: 0)']"))
        # Cinder's filters are named alike.
        self.assertEqual([], self.told(
            'Filter AvailabilityZoneFilter returned 0 hosts',
            'cinder-scheduler', 'other filter'))

    def test_what_placement_lacks(self) -> None:
        asked = ('127.0.0.1 "GET /placement/allocation_candidates?limit=1000'
                 '&resources=MEMORY_MB%3A512%2CVCPU%3A64&resources1='
                 'CUSTOM_GPU%3A2" status: 200 len: {} microversion: 1.36')
        self.assertEqual(['MEMORY_MB 512, VCPU 64 on one host',
                          'CUSTOM_GPU 2 on one host'],
                         self.told(asked.format(53), 'placement'))
        # One that was answered.
        self.assertEqual([], self.told(asked.format(1903), 'placement'))
        self.assertEqual([], self.told(asked.format(653), 'placement'))
        self.assertEqual(
            ['no provider has 64 VCPU'],
            self.told('found 0 providers with available 64 VCPU',
                      'placement'))

    def test_no_valid_host(self) -> None:
        self.assertEqual(
            ['Exceeded maximum number of retries'],
            self.told('No valid host was found. Exceeded maximum number of '
                      'retries.'))
        self.assertEqual([], self.told('No valid host was found. \n'
                                       'Traceback (most recent call last)',
                                       clue='no valid host'))

    def test_claims(self) -> None:
        provider = 'on resource provider ' + PORT
        for text, said in (
                (f'Over capacity for VCPU {provider}. Needed: 8, Used: 60, '
                 'Capacity: 64.0', f'VCPU {provider}: needed 8, used 60 of '
                 '64.0'),
                ("Unable to create allocation for 'MEMORY_MB' "
                 f"on resource provider '{PORT}'. The requested amount "
                 'would exceed the capacity.', f'MEMORY_MB {provider}'),
                (f'Allocation for VCPU {provider} violates min_unit, '
                 'max_unit, or step_size. Requested: 64, min_unit: 1, '
                 'max_unit: 16, step_size: 1',
                 f'VCPU {provider}: requested 64, allowed 1 to 16'),
                ('Insufficient compute resources: Requested instance NUMA '
                 'topology cannot fit the given host NUMA topology.',
                 'Requested instance NUMA topology cannot fit the given '
                 'host NUMA topology')):
            self.assertEqual([said], self.told(text, clue='resource claim'))

    def test_quotas(self) -> None:
        for text, said in (
                ('Quota exceeded for cores, ram: Requested 2, 512, but '
                 'already used 9, 600 of 10, 1024 cores, ram',
                 ['cores: requested 2, used 9 of 10',
                  'ram: requested 512, used 600 of 1024']),
                ('VolumeSizeExceedsAvailableQuota: Requested volume or '
                 'snapshot exceeds allowed gigabytes quota. Requested 10G, '
                 'quota is 12G and 8G has been consumed.',
                 ['gigabytes: requested 10, used 8 of 12']),
                ('VolumeLimitExceeded: Maximum number of volumes allowed '
                 "(10) exceeded for quota 'volumes'.",
                 ['volumes: all of 10 are used']),
                ('Project 1 is over a limit for [Resource servers is over '
                 'limit of 5 due to current usage 5 and delta 1]',
                 ['servers: requested 1, used 5 of 5']),
                ("Quota exceeded for resources: ['port', 'subnet'].",
                 ['port, subnet'])):
            self.assertEqual(said, self.told(text, 'nova-api', 'quota'))

    def test_folder_of_keys(self) -> None:
        self.assertEqual(['/etc/keystone/fernet-keys'], self.told(
            'Either [fernet_tokens] key_repository does not exist or Keystone '
            'does not have sufficient permission to access it: '
            '/etc/keystone/fernet-keys', 'keystone', 'token keys'))

    def test_databases(self) -> None:
        for text, said in (
                ('(pymysql.err.OperationalError) (2003, "Can\'t connect to '
                 "MySQL server on 'db1' ([Errno 111] Connection refused)\")",
                 'db1 (Connection refused)'),
                ("Can't connect to local server through socket "
                 "'/run/mysqld/mysqld.sock' (2)", '/run/mysqld/mysqld.sock'),
                ("(2013, 'Lost connection to MySQL server during query')",
                 'Lost connection to MySQL server during query'),
                ('QueuePool limit of size 5 overflow 50 reached, connection '
                 'timed out', 'the pool of the service, limit of size 5 '
                 'overflow 50 reached'),
                ("(1045, \"Access denied for user 'nova'@'localhost' (using "
                 'password: YES)")', "user 'nova'@'localhost'"),
                ("(1205, 'Lock wait timeout exceeded')\n[SQL: UPDATE "
                 'instances SET x=1 WHERE id IN (SELECT id FROM y)]',
                 'at UPDATE instances'),
                ("(1040, 'Too many connections')\n[SQL: SELECT token.id\n"
                 'FROM token]', 'at SELECT FROM token')):
            self.assertEqual([said], self.told(text)[:1])

    def test_peers(self) -> None:
        for text, said in (
                ('AMQP server on mq-1.example.org:5671 is unreachable: '
                 '[Errno 111] ECONNREFUSED. Trying again in 1 seconds.',
                 'mq-1.example.org:5671 (ECONNREFUSED)'),
                ('Unable to establish connection to http://[fd00::1]:9292/'
                 'v2/images: [Errno 111] Connection refused',
                 'http://[fd00::1]:9292 (Connection refused)'),
                ("HTTPConnectionPool(host='10.0.0.1', port=8778): Max "
                 'retries exceeded with url: /x', '10.0.0.1:8778'),
                ("(404) NOT_FOUND - no exchange 'scheduler_fanout' in "
                 "vhost '/'", "there is no exchange 'scheduler_fanout'")):
            self.assertEqual([said], self.told(text)[:1])

    def test_networks(self) -> None:
        self.assertEqual([f'port {PORT} on host c-1, vlan network on phys2'],
                         self.told(
            f'Failed to bind port {PORT} on host c-1 for vnic_type normal '
            "using segments [{'network_type': 'vlan', 'physical_network': "
            "'phys2', 'segmentation_id': 3}]", 'neutron-server'))
        self.assertEqual(
            ['the L3 agent on c-1 is dead, last heartbeat 2026-11-21 '
             '02:59:00'], self.told(
                f"Refusing to bind port {PORT} to dead agent: {{'agent_type'"
                ": 'L3 agent', 'host': 'c-1', 'heartbeat_timestamp': "
                'datetime.datetime(2026, 11, 21, 2, 59)}',
                'neutron-server', 'binding failed'))
        self.assertEqual(
            ['DHCP agent on n-1, last heartbeat 2026-11-21 02:59:15',
             'Open vSwitch agent on c-2, last heartbeat 2026-11-21 '
             '02:59:17'], self.told(
                'Agent healthcheck: found 2 dead agents out of 3:\n'
                '                Type       Last heartbeat host\n'
                '          DHCP agent  2026-11-21 02:59:15 n-1\n'
                '  Open vSwitch agent  2026-11-21 02:59:17 c-2',
                'neutron-server'))
        self.assertEqual([f'port {PORT} was not plugged'], self.told(
            f"Timeout waiting for ['network-vif-plugged-{PORT}'] for "
            'instance'))

    def test_hosts(self) -> None:
        for text, said in (
                (f'Failed to bind port {PORT} on host c-1 for vnic_type x',
                 'c-1'),
                ('volume service is down. (host: ctl1@lvm#pool)', 'ctl1'),
                ('Compute service of c-2 is unavailable at this time.',
                 'c-2'),
                ('Compute service of None is unavailable at this time.', ''),
                ("instance's host c-3 is down", 'c-3'),
                ("'host': 'c-1' 'host': 'c-2'", '')):
            self.assertEqual(said, details.host(text))

    def test_bounded(self) -> None:
        found = details.bounded([
            'A left no host', 'A left no host of 3', 'x: 1', 'x: 2',
            'a\n\n b', '', 'y' * 500, 'z'])
        self.assertEqual(('A left no host of 3', 'x: 1', 'a b'), found)
        self.assertEqual([160], [len(t) for t in details.bounded(
            ['y' * 500])])

    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(strategies.lists(strategies.one_of(
        strategies.sampled_from([
            'Quota exceeded for ', 'Requested ', 'but already used ', ', ',
            'AMQP server on ', 'Failed to bind port ', PORT, ' on host ',
            'GET /allocation_candidates?resources=', '%3A', '%2C', '"',
            ' status: 200 len: 53', 'Filter ', 'Filter results: ', '(start:',
            ' 1, end: 0)', 'network-vif-plugged-', 'timed out after ',
            ' seconds', 'found 2 dead agents', '\n', "'host': '", "'",
            '[SQL: SELECT ', ' FROM ', 'No valid host was found. ',
            'has not been heard from in a while', '(', '. ', '2026-11-21',
            'https://', ':9292', 'Errno 111', "'heartbeat_timestamp': "
            'datetime.datetime(', 'Refusing to bind port ']),
        strategies.text(string.printable, max_size=12)), max_size=30))
    def test_any_text(self, parts: list[str]) -> None:
        text = ''.join(parts)
        for component in ('nova-scheduler', 'placement', 'neutron-server'):
            for blame in clues.read(clues.Message(
                    text, component, 40, None, 'log')):
                self.assertLessEqual(len(blame.details), details.MOST)
                for told in blame.details:
                    self.assertLessEqual(len(told), 160)
                    self.assertNotIn('\n', told)
                self.assertTrue(re.fullmatch(r'[\w.\-]{0,64}', blame.host))
