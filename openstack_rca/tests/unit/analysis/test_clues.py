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
"""Tests of what messages say of whose fault it is."""

import hypothesis
from hypothesis import strategies

from openstack_rca.analysis import clues
from openstack_rca.analysis import components
from openstack_rca.tests import base


def read(text: str, component: str = 'nova-compute', level: int = 40,
         status: int | None = None) -> list[clues.Blame]:
    return list(clues.read(clues.Message(
        text, component, level, status, 'log')))


class ClueTestCase(base.TestCase):
    """Each message blames the part that is at fault, not who complains."""

    def _first(self, text: str, component: str = 'nova-compute') -> tuple[
            str, str]:
        found = max(read(text, component), key=lambda b: b.weight)
        return found.component, found.category

    def test_refused_connection_blames_the_peer(self) -> None:
        self.assertEqual(('glance', 'process_down'), self._first(
            'Unable to establish connection to http://127.0.0.1:9292/v2/'
            'images: [Errno 111] Connection refused'))

    def test_refused_connection_behind_a_proxy(self) -> None:
        self.assertEqual(('placement', 'process_down'), self._first(
            'Max retries exceeded with url: https://cloud.example.org/'
            'placement/resource_providers'))

    def test_refused_connection_of_nobody_known(self) -> None:
        self.assertEqual([], [b for b in read(
            'Connection refused by 10.0.0.1:4711')])

    def test_database(self) -> None:
        for text in ("(2003, \"Can't connect to MySQL server on 'db'\")",
                     '(2013, "Lost connection to MySQL server during query")',
                     'oslo_messaging.rpc.client.RemoteError: Remote error: '
                     'DBConnectionError (pymysql.err.OperationalError)'):
            self.assertEqual(('mariadb', 'database'), self._first(text))

    def test_database_password_is_the_complaining_service(self) -> None:
        self.assertEqual(('nova-compute', 'authentication'), self._first(
            "(1045, \"Access denied for user 'nova'@'localhost'\")"))

    def test_keys_of_tokens(self) -> None:
        for text in (
                'Either [fernet_tokens] key_repository does not exist or '
                'Keystone does not have sufficient permission to access it: '
                '/etc/keystone/fernet-keys',
                'An unexpected error prevented the server from fulfilling '
                'your request.: keystone.exception.KeysNotFound: An '
                'unexpected error prevented the server from fulfilling your '
                'request.'):
            self.assertEqual(('keystone', 'configuration'), self._first(
                text, 'keystone'))

    def test_message_bus(self) -> None:
        self.assertEqual(('rabbitmq', 'messaging'), self._first(
            '[7c] AMQP server on 127.0.0.1:5672 is unreachable: [Errno 111] '
            'ECONNREFUSED. Trying again in 1 seconds.'))

    def test_timeout_blames_who_was_called(self) -> None:
        text = ('Exception during message handling: MessagingTimeout: Timed '
                'out waiting for a reply to message ID 1\n  File "/usr/lib/'
                'python3/dist-packages/nova/{}", line 1, in f')
        self.assertEqual(('nova-scheduler', 'hang'), self._first(
            text.format('scheduler/rpcapi.py'), 'nova-conductor'))
        self.assertEqual(('nova-conductor', 'hang'), self._first(
            text.format('conductor/rpcapi.py')))

    def test_missing_exchange_names_the_reader(self) -> None:
        self.assertEqual(('nova-scheduler', 'process_down'), self._first(
            "Basic.publish: (404) NOT_FOUND - no exchange "
            "'scheduler_fanout' in vhost '/'"))

    def test_missing_exchange_is_no_trouble_of_the_bus(self) -> None:
        told = ('Unable to connect to AMQP server on 10.0.0.5:5672 after inf '
                'tries: {}: oslo_messaging.exceptions.MessageDeliveryFailure')
        self.assertEqual(['nobody listens'], [
            blame.clue for blame in read(told.format(
                "Basic.publish: (404) NOT_FOUND - no exchange "
                "'scheduler_fanout' in vhost '/'"))])
        self.assertEqual(('rabbitmq', 'messaging'), self._first(
            told.format('timed out')))

    def test_faults_of_the_code(self) -> None:
        told = ('Instance failed to spawn\nTraceback (most recent call last):'
                '\n  File "/usr/lib/nova/compute/manager.py", line 1, in f\n'
                '    raise it\n{}: of that kind')
        for name, found in (('TypeError', True), ('Exception', True),
                            ('builtins.KeyError', True),
                            ('nova.exception.VirtualInterfaceCreateException',
                             False), ('nova.exception.MyTypeError', False)):
            self.assertEqual(found, 'code' in [
                blame.clue for blame in read(told.format(name))], name)

    def test_quota_belongs_to_the_service_that_enforces_it(self) -> None:
        text = "Quota exceeded for resources: ['{}']."
        self.assertEqual(('neutron-server', 'quota'), self._first(
            text.format('port'), 'nova-compute'))
        self.assertEqual(('nova-api', 'quota'), self._first(
            'Quota exceeded for cores: Requested 2, but already used 1 of 1',
            'nova-api'))
        self.assertEqual(('cinder-api', 'quota'), self._first(
            text.format('gigabytes'), 'cinder-api'))

    def test_scheduling(self) -> None:
        self.assertEqual(('compute-capacity', 'capacity'), self._first(
            'Got no allocation candidates from the Placement API.',
            'nova-scheduler'))
        self.assertEqual(('nova-compute', 'process_down'), self._first(
            '(cmp3, cmp3) ram: 32256MB disk: 0MB io_ops: 0 instances: 0 has '
            'not been heard from in a while', 'nova-scheduler'))

    def test_filters(self) -> None:
        text = 'Filter {}Filter returned 0 hosts'
        for name, found in (
                ('Compute', ('nova-compute', 'process_down')),
                ('NUMATopology', ('compute-capacity', 'capacity')),
                ('AvailabilityZone', ('nova-scheduler', 'configuration'))):
            self.assertEqual(found, self._first(text.format(name),
                                                'nova-scheduler'))
        self.assertEqual([], read(text.format('Retry'), 'nova-scheduler'))
        # One that leaves some is no trouble.
        self.assertEqual([], read('Filter AvailabilityZoneFilter returned 2 '
                                  'hosts', 'nova-scheduler'))

    def test_storage_image_and_network(self) -> None:
        self.assertEqual(('disk', 'storage'), self._first(
            "OSError: [Errno 28] No space left on device: '/var/lib/nova'"))
        self.assertEqual(('neutron-l2-agent', 'network'), self._first(
            'PortBindingFailed: Binding failed for port 7, please check '
            'neutron logs'))
        self.assertEqual(('glance', 'image'), self._first(
            'Corrupt image download. Hash was 1 expected 2'))

    def test_a_server_speaks_only_of_itself(self) -> None:
        text = 'closing AMQP connection <0.1.0> (1 -> 2 - nova-compute:7:a)'
        self.assertEqual([], read(text, 'nova-api'))
        self.assertEqual('nova-compute', read(text, 'rabbitmq')[0].component)

    def test_harmless_lines_blame_nobody(self) -> None:
        for text in ('Instance spawned successfully.',
                     'Took 1.51 seconds to build instance.',
                     '127.0.0.1 "GET /v2.1/servers" status: 200 len: 1',
                     'Devices up [] down [] retry []'):
            self.assertEqual([], read(text))

    def test_vocabulary(self) -> None:
        for clue in clues.CLUES:
            self.assertIn(clue.category, components.CATEGORIES)
            self.assertTrue(0 < clue.weight < 1, clue.name)
            self.assertTrue(clue.remedy, clue.name)

    @hypothesis.given(strategies.text(max_size=300))
    def test_any_text(self, text: str) -> None:
        for blame in read(text):
            self.assertIn(blame.component, components.COMPONENTS)

    def test_long_text_is_read_at_both_ends(self) -> None:
        padding = 'x' * 100000
        self.assertTrue(read('No space left on device ' + padding))
        self.assertTrue(read(padding + ' No space left on device'))
        self.assertEqual([], read(
            padding + ' No space left on device ' + padding))
