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
"""The parts of a cloud: their names, ports, and who needs whom.

The names are those that a report uses for the faulty part. Default ports are
those of OpenStack's installation guide and of IANA's register.
"""

import functools
import re

from openstack_rca.events import parts

#: The names of reports.
COMPONENTS = parts.COMPONENTS
CATEGORIES = parts.CATEGORIES

#: Beginnings of program names, the longest that fits counts.
_BINARIES = {
    'nova-api': 'nova-api', 'nova-metadata': 'nova-api',
    'nova-conductor': 'nova-conductor', 'nova-scheduler': 'nova-scheduler',
    'nova-compute': 'nova-compute', 'nova-placement': 'placement',
    'compute_task': 'nova-conductor', 'nova-super-conductor':
    'nova-conductor', 'placement': 'placement',
    'neutron-server': 'neutron-server', 'neutron-api': 'neutron-server',
    'neutron-periodic': 'neutron-server', 'neutron': 'neutron-server',
    'neutron-rpc-server': 'neutron-rpc-server',
    'neutron-openvswitch': 'neutron-l2-agent',
    'neutron-linuxbridge': 'neutron-l2-agent',
    'neutron-sriov': 'neutron-l2-agent', 'neutron-macvtap':
    'neutron-l2-agent', 'neutron-l2-agent': 'neutron-l2-agent',
    'neutron-ovs': 'neutron-l2-agent', 'neutron-l3': 'neutron-l3-agent',
    'neutron-vpn': 'neutron-l3-agent',
    'neutron-dhcp': 'neutron-dhcp-agent',
    'neutron-metadata': 'neutron-metadata-agent',
    'neutron-ovn-metadata': 'neutron-metadata-agent',
    'neutron-metering': 'neutron-l3-agent',
    'ovn': 'ovn', 'ovs': 'network', 'ovsdb': 'network',
    'openvswitch': 'network', 'cinder-api': 'cinder-api', 'cinder':
    'cinder-api', 'cinder-scheduler': 'cinder-scheduler',
    'cinder-volume': 'cinder-volume', 'cinder-backup': 'cinder-backup',
    'cinder-snapshot': 'cinder-volume', 'glance': 'glance',
    'keystone': 'keystone', 'heat': 'heat-engine', 'mariadb': 'mariadb',
    'mysql': 'mariadb', 'galera': 'mariadb', 'rabbit': 'rabbitmq',
    'memcached': 'memcached', 'libvirt': 'libvirt', 'virt': 'libvirt',
    'qemu': 'libvirt', 'nova': 'nova-api', 'ceph': 'storage',
    'multipath': 'storage', 'iscsi': 'storage', 'tgtd': 'storage',
    'dnsmasq': 'neutron-dhcp-agent', 'chrony': 'clock', 'ntp': 'clock',
}

_PORTS = {
    5000: 'keystone', 35357: 'keystone', 8774: 'nova-api',
    8775: 'nova-api', 8778: 'placement', 8780: 'placement', 9292: 'glance',
    9696: 'neutron-server', 8776: 'cinder-api', 8004: 'heat-engine',
    8000: 'heat-engine', 3306: 'mariadb', 4567: 'mariadb',
    5671: 'rabbitmq', 5672: 'rabbitmq', 25672: 'rabbitmq',
    11211: 'memcached', 16509: 'libvirt', 16514: 'libvirt',
    6640: 'network', 6633: 'network', 6641: 'ovn', 6642: 'ovn',
    6789: 'storage', 3300: 'storage', 3260: 'storage', 53: 'dns'}

#: Paths under which one address serves many APIs.
_PREFIXES = {
    'identity': 'keystone', 'keystone': 'keystone', 'compute': 'nova-api',
    'placement': 'placement', 'image': 'glance', 'network': 'neutron-server',
    'networking': 'neutron-server', 'volume': 'cinder-api',
    'orchestration': 'heat-engine'}

#: Paths of the APIs, as their references give them: behind a load balancer
#: no port tells anything, and a name may stand before them.
_PATHS = tuple((name, re.compile(r'(?:/[\w.-]+)??' + pattern)) for
               name, pattern in (
    ('neutron-server', r'/v2\.0/(?:networks|subnets|ports|routers|'
     r'security-group|floatingips|agents|extensions|quotas|network-|qos|'
     r'trunks|address-|segments|availability_zones)'),
    ('keystone', r'/v3/(?:auth|users|projects|domains|services|endpoints|'
     r'regions|roles|role_assignments|credentials|groups|limits|policies)\b'),
    ('glance', r'/v2/(?:images|schemas|tasks|metadefs|stores|info)\b'),
    ('placement', r'/(?:resource_providers|allocation_candidates|allocations|'
     r'traits|resource_classes|usages|reshaper)\b'),
    ('nova-api', r'/v2\.1/(?:servers|flavors|os-|limits|images|extensions)'),
    ('cinder-api', r'/v3/(?:[0-9a-f]{32}/)?(?:volumes|snapshots|attachments|'
     r'backups|types|groups|scheduler-stats|os-|messages|qos-specs)')))
#: Characters of a path that tell.
_PATH = 80

#: First word of an RPC topic, exchange or module to who listens there.
_TOPICS = {
    'conductor': 'nova-conductor', 'scheduler': 'nova-scheduler',
    'compute': 'nova-compute', 'cinder-scheduler': 'cinder-scheduler',
    'cinder-volume': 'cinder-volume', 'cinder-backup': 'cinder-backup',
    'q-plugin': 'neutron-rpc-server', 'q-reports-plugin':
    'neutron-rpc-server', 'q-server-resource-versions':
    'neutron-rpc-server', 'q-l3-plugin': 'neutron-rpc-server',
    'q-metering-plugin': 'neutron-rpc-server',
    'dhcp_agent': 'neutron-dhcp-agent', 'l3_agent': 'neutron-l3-agent',
    'q-agent-notifier': 'neutron-l2-agent', 'engine': 'heat-engine'}

#: What serves all others and is no part of OpenStack.
SERVERS = frozenset(('mariadb', 'rabbitmq', 'memcached'))

_BACKENDS = ('mariadb', 'rabbitmq', 'keystone', 'memcached', 'dns', 'clock',
             'disk', 'network')

#: Who a component calls or waits for. A fault of these shows in it.
NEEDS: dict[str, tuple[str, ...]] = {
    'nova-api': (*_BACKENDS, 'glance', 'neutron-server', 'placement',
                 'cinder-api', 'nova-conductor', 'nova-scheduler',
                 'nova-compute'),
    'nova-conductor': (*_BACKENDS, 'nova-scheduler', 'nova-compute',
                       'placement', 'glance', 'neutron-server'),
    'nova-scheduler': (*_BACKENDS, 'placement', 'neutron-server'),
    'nova-compute': (*_BACKENDS, 'nova-conductor', 'neutron-server',
                     'glance', 'placement', 'cinder-api', 'libvirt',
                     'storage', 'neutron-l2-agent', 'neutron-rpc-server'),
    'compute-capacity': ('nova-compute', 'placement', 'nova-scheduler',
                         'mariadb', 'rabbitmq', 'keystone'),
    'placement': ('mariadb', 'keystone', 'memcached', 'dns', 'disk'),
    'neutron-server': (*_BACKENDS, 'neutron-l2-agent', 'placement'),
    'neutron-rpc-server': _BACKENDS,
    'neutron-l2-agent': ('rabbitmq', 'neutron-rpc-server', 'neutron-server',
                         'network', 'mariadb'),
    'neutron-l3-agent': ('rabbitmq', 'neutron-rpc-server',
                         'neutron-server', 'network', 'mariadb'),
    'neutron-dhcp-agent': ('rabbitmq', 'neutron-rpc-server',
                           'neutron-server', 'network', 'mariadb'),
    'cinder-api': (*_BACKENDS, 'cinder-scheduler', 'cinder-volume'),
    'cinder-scheduler': (*_BACKENDS, 'cinder-volume'),
    'cinder-volume': (*_BACKENDS, 'storage', 'glance'),
    'cinder-backup': (*_BACKENDS, 'storage', 'cinder-volume'),
    'glance': (*_BACKENDS, 'storage'),
    'keystone': ('mariadb', 'memcached', 'dns', 'clock', 'disk'),
    'heat-engine': (*_BACKENDS, 'nova-api', 'neutron-server', 'glance',
                    'cinder-api'),
    'client': (),
}

_URL = re.compile(r'https?://(\[[0-9a-f:]+\]|[\w.\-]+)(?::(\d+))?(/[\w\-]*)?')
_PEER = re.compile(r'(?:\d{1,3}(?:\.\d{1,3}){3}|\b[a-z][\w.\-]*):(\d{2,5})\b')
_WITH_URL = re.compile(r'with url: (/[^\s?]{1,80})')
_HOST_PORT = re.compile(r"host='?[\w.\-]+'?, port=(\d+)")
_RPC = re.compile(
    r'/(nova|cinder|neutron|heat|manila|ironic)/(?:[\w/]*?)'
    r'(conductor|scheduler|compute|volume|backup|engine|agent|api)/'
    r'(?:[\w/]*?)(?:rpcapi|rpc|api|query|report)\.py')


def of_binary(binary: str) -> str:
    """The component that a program is, or ``other``."""
    name = binary.lower()
    while name:
        if name in _BINARIES:
            return _BINARIES[name]
        name = name[:-1]
    return 'other'


def of_port(port: int) -> str | None:
    """The component that listens on a port by default."""
    return _PORTS.get(port)


def of_topic(topic: str) -> str | None:
    """The component that reads an RPC topic."""
    name = topic.split('.')[0].split('_fanout')[0].split(':')[0]
    return _TOPICS.get(name)


def of_peer(text: str) -> str | None:
    """The component at the address that a text names first."""
    for match in _URL.finditer(text):
        port = int(match[2]) if match[2] else 0
        found = (of_port(port) or _PREFIXES.get((match[3] or '/')[1:])
                 or _of_path(text[match.start(3):][:_PATH] if match[3]
                             else ''))
        if found:
            return found
    for match in _HOST_PORT.finditer(text):
        found = of_port(int(match[1]))
        if found:
            return found
    for match in _WITH_URL.finditer(text):
        found = _of_path(match[1])
        if found:
            return found
    for match in _PEER.finditer(text):
        found = of_port(int(match[1]))
        if found:
            return found
    return None


def _of_path(text: str) -> str | None:
    """The component whose API has a path, wherever it listens."""
    for name, pattern in _PATHS:
        if pattern.match(text):
            return name
    return None


def of_callee(text: str) -> str | None:
    """Whom an RPC client in a traceback was calling.

    The client side of a call is ``PROJECT/PART/rpcapi.py``: its last frame
    tells who was to answer.
    """
    found = None
    for match in _RPC.finditer(text):
        project, part = match[1], match[2]
        if project == 'nova' and part in ('conductor', 'scheduler',
                                          'compute'):
            if part != 'compute' or 'compute/rpcapi' in match[0]:
                found = f'nova-{part}'
        elif project == 'cinder' and part in ('scheduler', 'volume',
                                              'backup'):
            found = f'cinder-{part}'
        elif project == 'neutron':
            found = 'neutron-rpc-server'
        elif project == 'heat':
            found = 'heat-engine'
    return found


def of_service(name: str) -> str:
    """The project of a component: ``nova`` of ``nova-compute``."""
    if name == 'compute-capacity':
        return 'nova'
    return name.split('-')[0]


@functools.cache
def behind(component: str) -> frozenset[str]:
    """All components that a component needs, directly or not.

    :param component: its name
    """
    seen: set[str] = set()
    todo = list(NEEDS.get(component, ()))
    while todo:
        name = todo.pop()
        if name in seen or name == component:
            continue
        seen.add(name)
        todo += NEEDS.get(name, ())
    return frozenset(seen)
