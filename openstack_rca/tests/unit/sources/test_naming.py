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
"""What paths tell: services, binaries, hosts and rotated series."""

import hypothesis
from hypothesis import strategies

from openstack_rca.sources import naming
from openstack_rca.tests import base

# path -> service, binary, host
NAMES = {
    # Folders of services, as distributions lay them out.
    'nova/nova-compute.log': ('nova', 'nova-compute', ''),
    'neutron/server.log': ('neutron', 'neutron-server', ''),
    'neutron/openvswitch-agent.log':
        ('neutron', 'neutron-openvswitch-agent', ''),
    'neutron/l3-agent.log.1': ('neutron', 'neutron-l3-agent', ''),
    'neutron/dhcp-agent.log': ('neutron', 'neutron-dhcp-agent', ''),
    'neutron/metadata-agent.log': ('neutron', 'neutron-metadata-agent', ''),
    'neutron/ovn-metadata-agent.log':
        ('neutron', 'neutron-ovn-metadata-agent', ''),
    'cinder/volume.log': ('cinder', 'cinder-volume', ''),
    'cinder/volume-stor1.log': ('cinder', 'cinder-volume', 'stor1'),
    'cinder/cinder-manage.log': ('cinder', 'cinder-manage', ''),
    'glance/api.log': ('glance', 'glance-api', ''),
    'heat/heat-engine.log': ('heat', 'heat-engine', ''),
    'keystone/keystone.log': ('keystone', 'keystone', ''),
    'nova/nova-placement-api.log': ('placement', 'nova-placement-api', ''),
    'nova/privsep-helper.log': ('nova', 'privsep-helper', ''),
    'octavia/health-manager.log': ('octavia', 'octavia-health-manager', ''),
    'swift/proxy.log': ('swift', 'swift-proxy', ''),
    'designate/central.log': ('designate', 'designate-central', ''),
    'ironic/ironic-conductor.log': ('ironic', 'ironic-conductor', ''),
    'manila/share.log': ('manila', 'manila-share', ''),
    'magnum/magnum-api.log': ('magnum', 'magnum-api', ''),
    'barbican/worker.log': ('barbican', 'barbican-worker', ''),
    'horizon/horizon.log': ('horizon', 'horizon', ''),
    # Flat folders, with the host behind the binary.
    'logs/nova-compute-cmp1.log': ('nova', 'nova-compute', 'cmp1'),
    'logs/neutron-l2-agent-cmp3.log': ('neutron', 'neutron-l2-agent',
                                       'cmp3'),
    'nova-compute-cmp1.example.org.log':
        ('nova', 'nova-compute', 'cmp1.example.org'),
    'placement-ctl1.log': ('placement', 'placement', 'ctl1'),
    'neutron-api.log': ('neutron', 'neutron-api', ''),
    'neutron-rpc-server.log': ('neutron', 'neutron-rpc-server', ''),
    'nova-something.log': ('nova', 'nova-something', ''),
    # What says only how it was written.
    'nova-api.uwsgi.log': ('nova', 'nova-api', ''),
    'placement-api-uwsgi.log': ('placement', 'placement-api', ''),
    'keystone.uwsgi.log': ('keystone', 'keystone', ''),
    'kolla/nova/nova-api-error.log': ('nova', 'nova-api', ''),
    'kolla/nova/nova-api-access.log': ('nova', 'nova-api', ''),
    'kolla/keystone/keystone-apache-public-access.log':
        ('keystone', 'keystone', ''),
    'httpd/keystone_wsgi_access.log': ('keystone', 'keystone', ''),
    'httpd/nova_api_wsgi_error.log': ('nova', 'nova-api', ''),
    'apache2/error.log': ('apache', 'apache2', ''),
    'apache2/access.log.1': ('apache', 'apache2', ''),
    'httpd/error_log': ('apache', 'httpd', ''),
    'containers/httpd/nova-api/error_log': ('nova', 'nova-api', ''),
    'pods/openstack_nova-x/nova-compute/0.log': ('nova', 'nova-compute', ''),
    # What runs beside OpenStack.
    'rabbitmq/rabbit@ctl1.log': ('rabbitmq', 'rabbitmq', 'ctl1'),
    'rabbitmq/rabbit@ctl-1_upgrade.log': ('rabbitmq', 'rabbitmq', 'ctl-1'),
    'mysql/error.log': ('mariadb', 'mysql', ''),
    'mysqld.log': ('mariadb', 'mysqld', ''),
    'mariadb/mariadb.log': ('mariadb', 'mariadb', ''),
    'memcached.log': ('memcached', 'memcached', ''),
    'libvirt/libvirtd.log': ('libvirt', 'libvirtd', ''),
    'libvirt/virtqemud.log': ('libvirt', 'virtqemud', ''),
    'libvirt/qemu/instance-0000001a.log': ('libvirt', 'qemu', ''),
    'openvswitch/ovs-vswitchd.log': ('openvswitch', 'ovs-vswitchd', ''),
    'openvswitch/ovsdb-server.log': ('openvswitch', 'ovsdb-server', ''),
    'ovn/ovn-northd.log': ('ovn', 'ovn-northd', ''),
    'ovn/ovn-controller.log': ('ovn', 'ovn-controller', ''),
    'haproxy/haproxy.log': ('haproxy', 'haproxy', ''),
    'var/log/syslog.1': ('system', 'syslog', ''),
    'var/log/messages-20261120': ('system', 'syslog', ''),
    'var/log/kern.log.2.gz': ('system', 'kern', ''),
    'var/log/auth.log': ('system', 'auth', ''),
    # DevStack.
    'logs/screen-n-cpu.txt': ('nova', 'nova-compute', ''),
    'logs/screen-n-api.txt.gz': ('nova', 'nova-api', ''),
    'logs/screen-n-sch.txt': ('nova', 'nova-scheduler', ''),
    'logs/screen-n-cond-cell1.txt': ('nova', 'nova-conductor', ''),
    'logs/screen-q-svc.txt': ('neutron', 'neutron-server', ''),
    'logs/screen-q-agt.txt': ('neutron', 'neutron-openvswitch-agent', ''),
    'logs/screen-q-dhcp.txt': ('neutron', 'neutron-dhcp-agent', ''),
    'logs/screen-q-l3.txt': ('neutron', 'neutron-l3-agent', ''),
    'logs/screen-q-meta.txt': ('neutron', 'neutron-metadata-agent', ''),
    'logs/screen-c-vol.txt': ('cinder', 'cinder-volume', ''),
    'logs/screen-c-api.txt': ('cinder', 'cinder-api', ''),
    'logs/screen-c-sch.txt': ('cinder', 'cinder-scheduler', ''),
    'logs/screen-g-api.txt': ('glance', 'glance-api', ''),
    'logs/screen-key.txt': ('keystone', 'keystone', ''),
    'logs/screen-keystone.txt': ('keystone', 'keystone', ''),
    'logs/screen-placement-api.txt': ('placement', 'placement-api', ''),
    'n-cpu.log.2026-11-20-120000': ('nova', 'nova-compute', ''),
    # Hosts by folders.
    'cmp1/var/log/nova/nova-compute.log': ('nova', 'nova-compute', 'cmp1'),
    'zeus/var/log/nova/nova-compute.log': ('nova', 'nova-compute', 'zeus'),
    'compute-0/nova-compute.log': ('nova', 'nova-compute', 'compute-0'),
    'controller/logs/screen-n-cpu.txt': ('nova', 'nova-compute',
                                         'controller'),
    'ctl.example.org/cinder/scheduler.log':
        ('cinder', 'cinder-scheduler', 'ctl.example.org'),
    'sosreport-cmp1-2026-11-20-abcdefg/var/log/nova/nova-compute.log':
        ('nova', 'nova-compute', 'cmp1'),
    'sosreport-cmp-1-0123456-2026-11-20-abcdefg/sos_commands/logs/'
    'journalctl_--no-pager': ('system', 'journal', 'cmp-1'),
    'cmp1.tar.gz!nova/nova-compute.log': ('nova', 'nova-compute', 'cmp1'),
    'incident-00.tar.xz!logs/nova-api.log': ('nova', 'nova-api', ''),
    'run-12/nova/nova-api.log': ('nova', 'nova-api', ''),
    # Nothing known.
    'foo/bar.log': ('', 'bar', ''),
    'server.log': ('', 'server', ''),
}


class NamesTestCase(base.TestCase):

    def test_table(self) -> None:
        for path, expected in NAMES.items():
            name = naming.describe(path)
            self.assertEqual(
                expected, (name.service, name.binary, name.host), path)

    def test_context_of_what_was_named(self) -> None:
        name = naming.describe('server.log', '/var/log/neutron')
        self.assertEqual(('neutron', 'neutron-server', ''),
                         (name.service, name.binary, name.host))
        name = naming.describe('nova/nova-api.log', '/data/zeus/var/log')
        self.assertEqual('zeus', name.host)

    def test_context_gives_no_host_by_looks(self) -> None:
        name = naming.describe('nova-api.log', '/tmp/tmp12/cmp1')
        self.assertEqual('', name.host)

    def test_series_in_order(self) -> None:
        series = ['nova/nova-api.log-20261118.gz',
                  'nova/nova-api.log.2026-11-19',
                  'nova/nova-api.log-20261120.xz',
                  'nova/nova-api.log-20261120-1700',
                  'nova/nova-api.log.10.gz', 'nova/nova-api.log.2.gz',
                  'nova/nova-api.log.1', 'nova/nova-api.log.old',
                  'nova/nova-api.log']
        names = [naming.describe(path) for path in series]
        self.assertEqual({'nova/nova-api.log'},
                         {name.series for name in names})
        self.assertEqual(sorted(name.rank for name in names),
                         [name.rank for name in names])
        self.assertEqual(len(series), len({name.rank for name in names}))
        self.assertEqual({'nova-api'}, {name.binary for name in names})

    def test_rotation_before_the_ending(self) -> None:
        for path in ('nova-api-20261120.log', 'nova-api.1.log'):
            self.assertEqual('nova-api.log', naming.describe(path).series)

    def test_instances_are_no_rotation(self) -> None:
        one = naming.describe('libvirt/qemu/instance-00000001.log')
        two = naming.describe('libvirt/qemu/instance-00000002.log')
        self.assertNotEqual(one.series, two.series)

    @hypothesis.given(strategies.text(max_size=60))
    def test_any_path(self, path: str) -> None:
        name = naming.describe(path)
        self.assertEqual(name, naming.describe(path))
        self.assertNotIn('/', name.host)
