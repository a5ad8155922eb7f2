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
"""Whole faults of a cloud, watched second by second: one incident each."""

import datetime
import pathlib
from typing import Any

from openstack_rca import conf
from openstack_rca.analysis import alarms
from openstack_rca.db import incidents
from openstack_rca.db import migration
from openstack_rca.db import session
from openstack_rca.engine import correlator
from openstack_rca.engine import local
from openstack_rca.store import union
from openstack_rca.tests import base

RECORDINGS = (pathlib.Path(__file__).parents[2] / 'fixtures' / 'recordings')

PROJECT = 'f' * 32
_TICK = datetime.timedelta(seconds=2)


class CorrelationTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        conf.load([])
        session.dispose()
        self.addCleanup(session.dispose)
        conf.CONF.set_override('connection', f'sqlite:///{self.tmp}/rows',
                               group='database')
        self.addCleanup(conf.CONF.clear_override, 'connection', 'database')
        conf.CONF.set_override('project_id', PROJECT, group='incidents')
        self.addCleanup(conf.CONF.clear_override, 'project_id', 'incidents')
        migration.sync()

    def watch(self, *names: str) -> list[dict[str, Any]]:
        """Have recordings watched as if they happened now."""
        store = union.UnionStore(pathlib.Path(self.tmp), {
            name: local.open_folder(RECORDINGS / f'{name}.tar.xz').store
            for name in names})
        times = store.scan().select('timestamp').collect()[
            'timestamp'].drop_nulls()
        now, end = times.min(), times.max()
        assert isinstance(now, datetime.datetime)
        assert isinstance(end, datetime.datetime)
        watched = alarms.Alarms(now)
        found = correlator.Correlator('ctl1')
        while now < end:
            now = min(end, now + _TICK)
            told = watched.look(store, now)
            if told:
                found.take(told)
        return incidents.incident_list(PROJECT, 100)[0]

    def one(self, name: str, component: str, category: str,
            severity: str = 'medium') -> dict[str, Any]:
        """A recording makes one incident, of the right cause."""
        found, = self.watch(name)
        self.assertEqual((component, category, severity), (
            found['component'], found['category'], found['severity']))
        self.assertEqual('open', found['status'])
        return found

    def test_bus_down(self) -> None:
        found = self.one('bus-down', 'rabbitmq', 'messaging', 'critical')
        # Everybody complains.
        self.assertGreater(found['symptoms'], 300)

    def test_database_down(self) -> None:
        self.one('database-down', 'mariadb', 'database', 'critical')

    def test_database_starved(self) -> None:
        self.one('database-starved', 'mariadb', 'database', 'critical')

    def test_service_down(self) -> None:
        self.one('service-down', 'glance', 'process_down', 'high')

    def test_scheduler_down(self) -> None:
        self.one('scheduler-down', 'nova-scheduler', 'process_down', 'high')

    def test_port_not_bound(self) -> None:
        self.one('port-not-bound', 'neutron-l2-agent', 'network', 'high')

    def test_port_not_plugged(self) -> None:
        self.one('port-not-plugged', 'neutron-l2-agent', 'network', 'high')

    def test_no_resources(self) -> None:
        self.one('no-valid-host-placement', 'compute-capacity', 'capacity')

    def test_no_host(self) -> None:
        # First it looks like a want of resources.
        self.one('no-valid-host-filter', 'nova-compute', 'process_down',
                 'high')

    def test_claim(self) -> None:
        self.one('claim-over-capacity', 'compute-capacity', 'capacity')

    def test_quota_of_servers(self) -> None:
        # Nobody calls it an error: it takes three refusals.
        self.one('quota-instances', 'nova-api', 'quota')

    def test_quota_of_memory(self) -> None:
        self.one('quota-ram', 'nova-api', 'quota')

    def test_two_at_once(self) -> None:
        # They were recorded in the same minutes of two clouds.
        found = self.watch('service-down', 'port-not-plugged')
        self.assertEqual(['glance', 'neutron-l2-agent'],
                         sorted(one['component'] for one in found))
