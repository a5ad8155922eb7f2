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
"""What the path of a log tells: service, binary, host and rotated series."""

import dataclasses
import re

# Names of services and, for each, the binaries that do not start with the
# service's name, or that are written in more than one way.
_OPENSTACK = {
    'aodh': ('api', 'evaluator', 'listener', 'notifier'),
    'barbican': ('api', 'keystone-listener', 'worker'),
    'blazar': ('api', 'manager'),
    'ceilometer': ('agent-central', 'agent-compute', 'agent-ipmi',
                   'agent-notification', 'central', 'compute',
                   'notification', 'polling'),
    'cinder': ('api', 'backup', 'manage', 'scheduler', 'volume'),
    'cloudkitty': ('api', 'processor'),
    'cyborg': ('agent', 'api', 'conductor'),
    'designate': ('agent', 'api', 'backend-bind9', 'central', 'mdns',
                  'pool-manager', 'producer', 'sink', 'worker', 'zone-manager'
                  ),
    'glance': ('api', 'cache', 'cleaner', 'image-cache', 'manage',
               'prefetcher', 'pruner', 'registry', 'scrubber'),
    'gnocchi': ('api', 'metricd', 'statsd', 'upgrade'),
    'heat': ('all', 'api', 'api-cfn', 'api-cloudwatch', 'engine', 'manage'),
    'ironic': ('api', 'conductor', 'dnsmasq', 'inspector',
               'neutron-agent', 'prometheus-exporter',
               'python-agent', 'pxe-filter'),
    'magnum': ('api', 'conductor'),
    'manila': ('api', 'data', 'scheduler', 'share'),
    'masakari': ('api', 'engine', 'hostmonitor', 'instancemonitor',
                 'introspectiveinstancemonitor', 'processmonitor'),
    'mistral': ('api', 'engine', 'event-engine', 'executor', 'notifier'),
    'neutron': ('api', 'bgp-dragent', 'dhcp-agent', 'dhcp-agent-ovs',
                'fwaas-agent', 'keepalived-state-change', 'l2-agent',
                'l3-agent', 'lbaas-agent', 'linuxbridge-agent',
                'linuxbridge-cleanup', 'macvtap-agent', 'manage',
                'metadata-agent', 'metering-agent', 'mlnx-agent',
                'netns-cleanup', 'openvswitch-agent', 'ovn-agent',
                'ovn-db-sync-util', 'ovn-maintenance-worker',
                'ovn-metadata-agent', 'ovn-vpn-agent', 'ovs-cleanup',
                'periodic-workers', 'privsep-helper', 'rpc-server',
                'server', 'sriov-agent', 'sriov-nic-agent', 'vpn-agent'),
    'nova': ('api', 'api-metadata', 'api-os-compute', 'cells', 'cert',
             'compute', 'compute-ironic', 'conductor', 'console',
             'consoleauth', 'dhcpbridge', 'manage', 'metadata',
             'metadata-api', 'network', 'novncproxy', 'scheduler',
             'serialproxy', 'spicehtml5proxy', 'spicehtmlproxy', 'status',
             'super-conductor', 'volume', 'xvpvncproxy'),
    'octavia': ('api', 'driver-agent', 'health-manager', 'housekeeping',
                'interface', 'worker'),
    'placement': ('api', 'manage', 'status'),
    'sahara': ('all', 'api', 'engine'),
    'senlin': ('api', 'conductor', 'engine', 'health-manager'),
    'swift': ('account', 'account-auditor', 'account-reaper',
              'account-replicator', 'account-server', 'container',
              'container-auditor', 'container-replicator',
              'container-server', 'container-sync', 'container-updater',
              'object', 'object-auditor', 'object-expirer',
              'object-reconstructor', 'object-replicator', 'object-server',
              'object-updater', 'proxy', 'proxy-server'),
    'tacker': ('conductor', 'server'),
    'trove': ('api', 'conductor', 'guestagent', 'taskmanager'),
    'vitrage': ('api', 'collector', 'graph', 'notifier'),
    'watcher': ('api', 'applier', 'decision-engine'),
    'zaqar': ('server', 'websocket'),
    'zun': ('api', 'cni-daemon', 'compute', 'wsproxy'),
}

# Everything else by its full name: file name without ending -> service,
# binary.
BINARIES: dict[str, tuple[str, str]] = {
    'adoptedkeystone': ('keystone', 'keystone'),
    'alternatives': ('system', 'alternatives'),
    'apache': ('apache', 'apache'),
    'apache2': ('apache', 'apache2'),
    'audit': ('system', 'audit'),
    'auth': ('system', 'auth'),
    'boot': ('system', 'boot'),
    'chrony': ('chrony', 'chronyd'),
    'chronyd': ('chrony', 'chronyd'),
    'cloud-init': ('system', 'cloud-init'),
    'cloud-init-output': ('system', 'cloud-init'),
    'cron': ('system', 'cron'),
    'daemon': ('system', 'daemon'),
    'dmesg': ('system', 'kern'),
    'dnsmasq': ('dnsmasq', 'dnsmasq'),
    'dpkg': ('system', 'dpkg'),
    'etcd': ('etcd', 'etcd'),
    'haproxy': ('haproxy', 'haproxy'),
    'horizon': ('horizon', 'horizon'),
    'httpd': ('apache', 'httpd'),
    'iscsid': ('iscsi', 'iscsid'),
    'journal': ('system', 'journal'),
    'journalctl': ('system', 'journal'),
    'keepalived': ('keepalived', 'keepalived'),
    'kern': ('system', 'kern'),
    'kernel': ('system', 'kern'),
    'keystone': ('keystone', 'keystone'),
    'keystone-admin': ('keystone', 'keystone'),
    'keystone-all': ('keystone', 'keystone'),
    'keystone-manage': ('keystone', 'keystone-manage'),
    'keystone-public': ('keystone', 'keystone'),
    'libvirtd': ('libvirt', 'libvirtd'),
    'mail': ('system', 'mail'),
    'mariadb': ('mariadb', 'mariadb'),
    'mariadbd': ('mariadb', 'mariadbd'),
    'maillog': ('system', 'mail'),
    'memcached': ('memcached', 'memcached'),
    'messages': ('system', 'syslog'),
    'multipathd': ('multipath', 'multipathd'),
    'mysql': ('mariadb', 'mysql'),
    'mysqld': ('mariadb', 'mysqld'),
    'notifications': ('', 'notifications'),
    'nova-placement-api': ('placement', 'nova-placement-api'),
    'ovn-controller': ('ovn', 'ovn-controller'),
    'ovn-controller-vtep': ('ovn', 'ovn-controller-vtep'),
    'ovn-nbctl': ('ovn', 'ovn-nbctl'),
    'ovn-northd': ('ovn', 'ovn-northd'),
    'ovn-sbctl': ('ovn', 'ovn-sbctl'),
    'ovs-ctl': ('openvswitch', 'ovs-ctl'),
    'ovs-vswitchd': ('openvswitch', 'ovs-vswitchd'),
    'ovsdb-server': ('openvswitch', 'ovsdb-server'),
    'ovsdb-server-nb': ('ovn', 'ovsdb-server-nb'),
    'ovsdb-server-sb': ('ovn', 'ovsdb-server-sb'),
    'pacemaker': ('pacemaker', 'pacemaker'),
    'placement': ('placement', 'placement'),
    'proxysql': ('proxysql', 'proxysql'),
    'rabbitmq': ('rabbitmq', 'rabbitmq'),
    'rabbitmq-server': ('rabbitmq', 'rabbitmq'),
    'redis': ('redis', 'redis'),
    'secure': ('system', 'auth'),
    'syslog': ('system', 'syslog'),
    'tgtd': ('iscsi', 'tgtd'),
    'user': ('system', 'user'),
    'uwsgi': ('', 'uwsgi'),
    'virtchd': ('libvirt', 'virtchd'),
    'virtinterfaced': ('libvirt', 'virtinterfaced'),
    'virtlockd': ('libvirt', 'virtlockd'),
    'virtlogd': ('libvirt', 'virtlogd'),
    'virtnetworkd': ('libvirt', 'virtnetworkd'),
    'virtnodedevd': ('libvirt', 'virtnodedevd'),
    'virtproxyd': ('libvirt', 'virtproxyd'),
    'virtqemud': ('libvirt', 'virtqemud'),
    'virtsecretd': ('libvirt', 'virtsecretd'),
    'virtstoraged': ('libvirt', 'virtstoraged'),
    'zookeeper': ('zookeeper', 'zookeeper'),
}
for _service, _names in _OPENSTACK.items():
    BINARIES.setdefault(_service, (_service, _service))
    for _name in _names:
        BINARIES[f'{_service}-{_name}'] = (_service, f'{_service}-{_name}')

# Screens of DevStack.
_SCREENS = {
    'barbican-svc': 'barbican-api', 'c-api': 'cinder-api',
    'c-bak': 'cinder-backup', 'c-sch': 'cinder-scheduler',
    'c-vol': 'cinder-volume', 'dstat': 'dstat', 'g-api': 'glance-api',
    'g-api-r': 'glance-api', 'g-reg': 'glance-registry',
    'h-api': 'heat-api', 'h-api-cfn': 'heat-api-cfn',
    'h-api-cw': 'heat-api-cloudwatch', 'h-eng': 'heat-engine',
    'ir-api': 'ironic-api', 'ir-cond': 'ironic-conductor',
    'key': 'keystone', 'key-access': 'keystone', 'm-api': 'manila-api',
    'm-dat': 'manila-data', 'm-sch': 'manila-scheduler',
    'm-shr': 'manila-share', 'n-api': 'nova-api',
    'n-api-meta': 'nova-api-metadata', 'n-cauth': 'nova-consoleauth',
    'n-cond': 'nova-conductor', 'n-cond-cell': 'nova-conductor',
    'n-cpu': 'nova-compute', 'n-crt': 'nova-cert', 'n-net': 'nova-network',
    'n-novnc': 'nova-novncproxy', 'n-novnc-cell': 'nova-novncproxy',
    'n-obj': 'nova-objectstore', 'n-sch': 'nova-scheduler',
    'n-sproxy': 'nova-serialproxy', 'n-super-cond': 'nova-conductor',
    'o-api': 'octavia-api', 'o-cw': 'octavia-worker',
    'o-da': 'octavia-driver-agent', 'o-hk': 'octavia-housekeeping',
    'o-hm': 'octavia-health-manager', 'q-agt': 'neutron-openvswitch-agent',
    'q-dhcp': 'neutron-dhcp-agent', 'q-l3': 'neutron-l3-agent',
    'q-meta': 'neutron-metadata-agent',
    'q-metering': 'neutron-metering-agent',
    'q-ovn-agent': 'neutron-ovn-agent',
    'q-ovn-metadata-agent': 'neutron-ovn-metadata-agent',
    'q-rpc': 'neutron-rpc-server', 'q-svc': 'neutron-server',
    's-account': 'swift-account-server',
    's-container': 'swift-container-server',
    's-object': 'swift-object-server', 's-proxy': 'swift-proxy-server',
}
BINARIES['dstat'] = ('system', 'dstat')
BINARIES['nova-objectstore'] = ('nova', 'nova-objectstore')

# Folders that tell the service, and what stands for it in binary names.
_FOLDERS = {name: name for name in _OPENSTACK} | {
    'apache': 'apache', 'apache2': 'apache', 'haproxy': 'haproxy',
    'horizon': 'horizon', 'httpd': 'apache', 'keystone': 'keystone',
    'libvirt': 'libvirt', 'mariadb': 'mariadb', 'memcached': 'memcached',
    'mysql': 'mariadb', 'openvswitch': 'openvswitch', 'ovn': 'ovn',
    'ironic-inspector': 'ironic', 'proxysql': 'proxysql',
    'rabbitmq': 'rabbitmq', 'redis': 'redis', 'swtpm': 'libvirt',
}

_COMPRESSED = re.compile(r'\.(?:gz|bz2|xz|zst|zstd)$', re.IGNORECASE)
_ARCHIVE = re.compile(
    r'\.(?:tar(?:\.(?:gz|bz2|xz|zst|zstd|Z))?|tgz|tbz2?|txz|tzst)$',
    re.IGNORECASE)
_DATE = (r'(?:19|20)\d\d-?[01]\d-?[0-3]\d'
         r'(?:[-_.T]?[0-2]\d(?:[-_:]?[0-5]\d){0,2})?')
_ROTATED = (
    # nova-api.log.1, nova-api.log-20261120, nova-api.log.2026-11-20
    re.compile(rf'^(?P<base>.+?)[-._](?P<date>{_DATE})$'),
    re.compile(r'^(?P<base>.+?)-(?P<epoch>1\d{9})$'),
    re.compile(r'^(?P<base>.+?\.(?:log|txt|out|err|jsonl))\.'
               r'(?P<number>\d{1,4})$'),
    re.compile(r'^(?P<base>[A-Za-z][\w-]*?)\.(?P<number>\d{1,4})$'),
    re.compile(r'^(?P<base>.+)\.(?P<old>old|bak|prev)$'),
    # nova-api-20261120.log, nova-api.1.log
    re.compile(rf'^(?P<base>.+?)[-._](?P<date>{_DATE})'
               r'(?P<end>\.(?:log|txt|out|jsonl))$'),
    re.compile(r'^(?P<base>.+?)\.(?P<number>\d{1,4})'
               r'(?P<end>\.(?:log|txt|out|jsonl))$'),
)
_ENDING = re.compile(
    r'\.(?:log|txt|out|err|stderr|stdout|jsonl?|service)$|_log$',
    re.IGNORECASE)
_DOOR = re.compile(
    r'(?<=.)[._-](?:uwsgi|access|error|wsgi|ssl|wsgi[_-]main|stderr|stdout'
    r'|apache|apache[_-](?:public|internal|admin)|other[_-]vhosts)$')
_JOURNAL = re.compile(r'^journalctl(?:_.*)?$')
_RABBIT = re.compile(r'^rabbit(?:mq)?@(?P<host>[A-Za-z0-9][\w.-]*?)'
                     r'(?:[-_](?:sasl|upgrade))?$')
_HOST = re.compile(r'^[A-Za-z0-9][A-Za-z0-9.-]*$')
# Files whose folder says what they are.
_NAMELESS = frozenset((
    'access', 'console', 'current', 'error', 'log', 'main', 'messages',
    'output', 'stderr', 'stdout', 'ssl_access', 'ssl_error'))

# Folders that stand in paths of logs and are no host.
_COMMON = frozenset((
    'var', 'log', 'logs', 'containers', 'kolla', 'syslog', 'journal',
    'archive', 'archives', 'old', 'stdouts', 'qemu', 'opt', 'stack', 'data',
    'home', 'root', 'tmp', 'mnt', 'srv', 'usr', 'lib', 'pods', 'docker',
    'volumes', 'kolla_logs', '_data', 'sos_commands', 'screen',
    'screen-logs', 'devstack', 'rootfs', 'openstack', 'extra', 'artifacts',
    'system', 'output', 'results', 'zuul', 'undercloud-logs', 'private',
))
_HOST_WORD = re.compile(
    r'^(?:[a-z0-9]+[-_.])*(?:aio|all-in-one|ceph|cmp|compute|comp|control|'
    r'controller|ctl|ctrl|gateway|gw|host|hv|hypervisor|infra|kvm|mgmt|mon|'
    r'msg|net|network|networker|node|novacompute|osd|overcloud|primary|'
    r'secondary|server|storage|subnode|undercloud|vm|worker)'
    r'(?:[-_]?[0-9]{1,4})?(?:\.[a-z0-9.-]+)?$', re.IGNORECASE)
_HOST_NUMBERED = re.compile(
    r'^(?P<word>[a-z]+(?:[-_][a-z]+)*)[-_]?[0-9]{1,4}$', re.IGNORECASE)
_HOST_DOTTED = re.compile(
    r'^[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:[a-z]{2,})$', re.IGNORECASE)
_HOST_ADDRESS = re.compile(
    r'^(?:ip-)?\d{1,3}(?:[.-]\d{1,3}){3}$')
_NO_HOST = frozenset((
    'attempt', 'backup', 'batch', 'bug', 'build', 'case', 'cases', 'copy',
    'day', 'dir', 'dump', 'folder', 'incident', 'issue', 'job', 'log',
    'logs', 'part', 'quiet', 'release', 'run', 'sample', 'session', 'set',
    'step', 'test', 'tests', 'ticket', 'trial', 'v', 'version', 'week'))
_SOSREPORT = re.compile(
    r'^sos(?:report|-collector)?-(?P<host>.+?)'
    r'(?:[-.](?:[A-Za-z]*\d+-)?(?:20\d\d-\d\d-\d\d|20\d{6}|\d{12,14})'
    r'(?:-[0-9a-z]{4,10})?)?(?:-obfuscated)?$')


@dataclasses.dataclass(frozen=True)
class Name:
    """What a path tells of a log.

    :param service: OpenStack project or program, or ''
    :param binary: program that writes it
    :param host: host that the path tells, or ''
    :param series: path of the log that is written to now
    :param rank: place in the series; the smallest is the oldest
    :param known: whether the name is one of the tables'
    """

    service: str
    binary: str
    host: str
    series: str
    rank: tuple[int, int]
    known: bool


def split_rotation(name: str) -> tuple[str, tuple[int, int]]:
    """What a rotated file was called before, and how old it is.

    :param name: ``nova-api.log.2.gz``
    :returns: ``nova-api.log`` and a rank; the smallest is the oldest
    """
    name = _COMPRESSED.sub('', name)
    for pattern in _ROTATED:
        match = pattern.match(name)
        if match is None:
            continue
        found = match.groupdict()
        base = found['base'] + (found.get('end') or '')
        if found.get('date'):
            digits = re.sub(r'\D', '', found['date'])
            return base, (0, int(digits.ljust(14, '0')))
        if found.get('epoch'):
            return base, (1, int(found['epoch']))
        if found.get('number'):
            # The higher the number, the older, below every date.
            return base, (2, -int(found['number']))
        return base, (3, 0)
    return name, (4, 0)


def _lookup(stem: str) -> tuple[str, str, str] | None:
    """Service, binary and host of a name that starts with a binary's."""
    for text in (stem, stem.replace('_', '-')):
        if text in BINARIES:
            return (*BINARIES[text], '')
    plain = stem.replace('_', '-')
    cut = len(plain)
    while True:
        cut = max(plain.rfind(mark, 0, cut) for mark in '-.@')
        if cut <= 0:
            return None
        if plain[:cut] in BINARIES:
            break
    service, binary = BINARIES[plain[:cut]]
    rest = stem[cut + 1:]
    if (binary == service and stem[cut] == '-' and service in _OPENSTACK
            and not _like_host(rest)):
        # nova-something is a binary that the table lacks, not a host.
        return service, plain, ''
    if not _HOST.match(rest):
        return None
    return service, binary, rest


def _screen(stem: str) -> str | None:
    """Binary of a DevStack screen or unit."""
    if stem.startswith('screen-'):
        stem = stem[7:]
    stem = stem.removeprefix('devstack@')
    for text in (stem, re.sub(r'-?\d+$', '', stem)):
        if text in _SCREENS:
            return _SCREENS[text]
    return None


def _bare(name: str) -> str:
    """A name of a file without what only says how it was written."""
    stem = _ENDING.sub('', name)
    stem = _ENDING.sub('', stem)
    while True:
        shorter = _DOOR.sub('', stem)
        if shorter == stem:
            return stem
        stem = shorter


def host_of(folders: list[str]) -> str:
    """Host that one of the folders above a log stands for.

    :param folders: from the outermost to the innermost
    :returns: '' where none looks like a host
    """
    for folder in folders:
        sos = _SOSREPORT.match(folder)
        if sos:
            return sos['host']
    for at in range(len(folders) - 1, 0, -1):
        if folders[at] == 'log' and folders[at - 1] == 'var':
            if at >= 2 and _free(folders[at - 2]):
                return folders[at - 2]
            break
    for folder in reversed(folders):
        if _free(folder) and _like_host(folder):
            return folder
    return ''


def _free(folder: str) -> bool:
    word = folder.lower()
    return (bool(folder) and word not in _COMMON and word not in _FOLDERS
            and word not in BINARIES and word not in _SCREENS
            and not folder.startswith('.'))


def _like_host(folder: str) -> bool:
    if _HOST_WORD.match(folder) or _HOST_ADDRESS.match(folder):
        return True
    found = _HOST_NUMBERED.match(folder)
    if found:
        words = re.split('[-_]', found['word'].lower())
        return not _NO_HOST.intersection(words)
    return (folder.count('.') >= 2 and bool(_HOST_DOTTED.match(folder)))


def strip_archive(name: str) -> str:
    """A name without the ending of an archive.

    :param name: ``cmp1.tar.gz``
    :returns: ``cmp1``
    """
    return _ARCHIVE.sub('', name)


def is_archive(name: str) -> bool:
    """Whether a name ends like that of a tar archive.

    :param name: name of a file
    """
    return _ARCHIVE.search(name) is not None


def describe(source: str, context: str = '') -> Name:
    """What the path of a log tells.

    :param source: path relative to what the user named, with ``!`` between
        an archive and its member
    :param context: path of the folder that holds it, for what its last part
        and a tree of ``var/log`` tell
    :returns: the name
    """
    head, mark, tail = source.rpartition('!')
    above = [part for piece in head.split('!') if head
             for part in strip_archive(piece).split('/')]
    pieces = tail.split('/')
    folders = [*above, *pieces[:-1]]
    base, rank = split_rotation(pieces[-1])
    series = head + mark + '/'.join([*pieces[:-1], base])
    outer = [part for part in context.split('/') if part]
    service, binary, host, known = _program(base, [*outer[-1:], *folders])
    if not host:
        host = host_of(folders) or _outer_host(outer + folders, len(outer))
    return Name(service, binary, host, series, rank, known)


def _outer_host(folders: list[str], outer: int) -> str:
    """Host by folders outside of what was named: only the plain cases."""
    for at in range(outer):
        sos = _SOSREPORT.match(folders[at])
        if sos:
            return sos['host']
        if (folders[at + 1:at + 3] == ['var', 'log'] and at
                and _free(folders[at])):
            return folders[at]
    return ''


def _program(base: str, folders: list[str]) -> tuple[str, str, str, bool]:
    """Service, binary, host of a name of a file within its folders."""
    stem = _bare(base)
    if _JOURNAL.match(stem):
        return 'system', 'journal', '', True
    rabbit = _RABBIT.match(stem)
    if rabbit:
        return 'rabbitmq', 'rabbitmq', rabbit['host'], True
    screen = _screen(stem)
    if screen:
        return (*BINARIES[screen], '', True)
    stem = stem.removeprefix('screen-').removeprefix('devstack@')
    if stem not in _NAMELESS and not stem.isdigit():
        found = _lookup(stem)
        if found and (found[0] != 'system' or not found[2]):
            return (*found, True)
    for place in range(len(folders) - 1, -1, -1):
        folder = folders[place].lower()
        if folder == 'qemu' and stem:
            return 'libvirt', 'qemu', '', True
        if folder in _FOLDERS:
            return _within(_FOLDERS[folder], folder, stem)
        if folder in BINARIES and (stem in _NAMELESS or stem.isdigit()):
            return (*BINARIES[folder], '', True)
    if stem in BINARIES:
        return (*BINARIES[stem], '', True)
    return '', stem or base, '', False


def _within(service: str, folder: str,
            stem: str) -> tuple[str, str, str, bool]:
    """Service, binary, host of a name that the folder completes."""
    if stem in _NAMELESS or stem.isdigit():
        binary = folder if folder in BINARIES else service
        return service, binary, '', True
    found = _lookup(f'{service}-{stem}')
    if found and found[1] != f'{service}-{stem}'.replace('_', '-'):
        return (*found, True)
    if found and found[1] in BINARIES:
        return (*found, True)
    return service, stem, '', True
