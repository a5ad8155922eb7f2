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
"""The failures that operators meet most, each in a recording of a cloud."""

import pathlib
from typing import Any

from openstack_rca import conf
from openstack_rca.analysis import scope
from openstack_rca.engine import local
from openstack_rca.tests import base

RECORDINGS = (pathlib.Path(__file__).parents[2] / 'fixtures' / 'recordings')


class FamiliesTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        conf.load([])

    def told(self, name: str, issue: str, component: str, category: str,
             words: str) -> list[dict[str, Any]]:
        """Ask about a recording.

        :param words: regular expression, of the cause
        :returns: what the cause cites
        """
        session = local.open_folder(RECORDINGS / f'{name}.tar.xz')
        report = session.analyze(scope.Question(issue=issue))
        first = report['hypotheses'][0]
        self.assertEqual((component, category),
                         (first['component'], first['category']))
        self.assertRegex(first['cause'], words)
        # What the report is read for stands in its first line, too.
        self.assertIn(first['cause'].rstrip('.'), report['summary'])
        self.assertTrue(first['remedy'])
        rows = {row['id']: row for row in report['evidence']}
        return [rows[name] for name in first['evidence']]

    def cited(self, rows: list[dict[str, Any]], binary: str,
              words: str) -> None:
        """A process is cited with these words."""
        self.assertTrue(any(
            row['binary'] == binary and words in row['text']
            for row in rows), [(r['binary'], r['text'][:200]) for r in rows])

    # No valid host

    def test_resources_that_no_host_has(self) -> None:
        rows = self.told(
            'no-valid-host-placement', 'New servers go to ERROR: No valid '
            'host was found. There are not enough hosts available.',
            'compute-capacity', 'capacity',
            'MEMORY_MB 262144, VCPU 64 on one host')
        self.cited(rows, 'nova-scheduler', 'Got no allocation candidates')
        self.cited(rows, 'placement-api', 'MEMORY_MB%3A262144%2CVCPU%3A64')

    def test_filter_that_leaves_no_host(self) -> None:
        rows = self.told(
            'no-valid-host-filter', 'Servers in availability zone az2 do '
            'not start', 'nova-compute', 'process_down',
            'stopped reporting: cmp3 has not been heard from; ComputeFilter '
            'left no host of 1')
        self.cited(rows, 'nova-scheduler', '(cmp3, cmp3)')
        self.cited(rows, 'nova-scheduler', 'ComputeFilter: (start: 1, end')

    # Databases

    def test_absent_database(self) -> None:
        rows = self.told(
            'database-down', 'Nothing works: every API call fails',
            'mariadb', 'database',
            r'127\.0\.0\.1 \(Connection refused\); seen by [\w, -]*nova-api')
        self.cited(rows, 'nova-api', '(2003, "Can\'t connect to MySQL')
        self.cited(rows, 'mariadb', 'Shutdown complete')

    def test_starved_database(self) -> None:
        rows = self.told(
            'database-starved', 'API calls fail with HTTP 500', 'mariadb',
            'database', 'connections are used up: seen by placement-api')
        self.cited(rows, 'placement-api', "(1040, 'Too many connections')")
        self.cited(rows, 'mariadb', 'Aborted connection')

    # Networks

    def test_port_that_nobody_plugs(self) -> None:
        rows = self.told(
            'port-not-plugged', 'New servers go to ERROR a short while '
            'after they are created', 'neutron-l2-agent', 'network',
            'Open vSwitch agent on cmp2 is dead, last heartbeat 2026-11-21 '
            '02:59:19; port [0-9a-f-]{36} on host cmp2, vxlan network; port '
            '[0-9a-f-]{36} was not plugged within 60 seconds')
        self.cited(rows, 'neutron-api', 'Refusing to bind port')
        self.cited(rows, 'nova-compute', 'network-vif-plugged')

    def test_port_that_nobody_binds(self) -> None:
        rows = self.told(
            'port-not-bound', 'Servers on network flt-physnet2 go to ERROR',
            'neutron-l2-agent', 'network',
            'port 224e8fa1-b108-405b-8917-589b9063847a on host cmp2, flat '
            'network on physnet2')
        self.cited(rows, 'neutron-api', "'physical_network': 'physnet2'")

    # Claims and quotas

    def test_claim_of_what_a_host_has_not(self) -> None:
        rows = self.told(
            'claim-over-capacity', 'Servers cannot be moved to a host: the '
            'claim of resources fails', 'compute-capacity', 'capacity',
            'VCPU on resource provider [0-9a-f-]{36}: needed 16, used 51 of '
            '64.0')
        self.cited(rows, 'placement-api', 'Over capacity for VCPU')

    def test_quota_of_servers(self) -> None:
        rows = self.told(
            'quota-instances', 'Project demo cannot create servers',
            'nova-api', 'quota',
            'which nova-api enforces: cores: requested 2, used 1 of 1; '
            'instances: requested 1, used 1 of 1')
        self.cited(rows, 'nova-api', 'Quota exceeded for cores, instances')

    def test_quota_of_memory(self) -> None:
        rows = self.told(
            'quota-ram', 'Project demo cannot create servers', 'nova-api',
            'quota', 'ram: requested 262144, used 0 of 163840')
        self.cited(rows, 'nova-api', 'Quota exceeded for ram')

    # Services and the message bus

    def test_message_bus(self) -> None:
        rows = self.told(
            'bus-down', 'New servers stay in BUILD and API calls hang',
            'rabbitmq', 'messaging',
            r'127\.0\.0\.1:5672 \(Connection refused\); seen by [\w, -]*'
            'nova-api')
        self.cited(rows, 'nova-api', 'AMQP server on 127.0.0.1:5672')

    def test_service_that_refuses_connections(self) -> None:
        rows = self.told(
            'service-down', 'Creating servers fails with HTTP 500, '
            'Unexpected API Error', 'glance', 'process_down',
            r'http://127\.0\.0\.1:9292.*; seen by nova-api')
        self.cited(rows, 'nova-api', 'Error contacting glance server')

    def test_service_that_reads_no_messages(self) -> None:
        rows = self.told(
            'scheduler-down', 'New servers go to ERROR a short while after '
            'they are created', 'nova-scheduler', 'process_down',
            "there is no exchange 'scheduler_fanout'; seen by [\\w, -]*"
            'nova-compute')
        self.cited(rows, 'nova-compute', "topic 'scheduler_fanout'")
