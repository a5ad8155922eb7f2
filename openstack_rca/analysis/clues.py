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
"""What well-known messages say of whose fault it is.

A clue reads a message and blames a part of the cloud. It does not blame who
complains: a refused connection blames the peer, a time-out of an RPC call the
one who was to answer. All patterns are linear for Python's ``re`` (no nested
repetition) and are tried once a template, never once a line.
"""

from collections.abc import Callable
import dataclasses
import functools
import re

from openstack_rca.analysis import components
from openstack_rca.analysis import details


@dataclasses.dataclass(frozen=True)
class Message:
    """A message to read, with who said it.

    :param text: the message with its traceback
    :param component: the part of the cloud that said it
    :param level: its severity
    :param status: HTTP status, or None
    :param kind: kind of the event
    """

    text: str
    component: str
    level: int
    status: int | None
    kind: str


@dataclasses.dataclass(frozen=True)
class Blame:
    """What a clue concludes.

    :param clue: name of the clue
    :param component: who is blamed
    :param category: what kind of fault
    :param weight: how strong the clue is by itself, 0 to 1
    :param cause: the cause in words
    :param remedy: what to do
    :param direct: whether it shows the fault itself rather than an effect
        that a part behind the blamed one can have as well
    :param details: which resource, host, port or peer the message names
    :param host: the host that the message is about, or an empty string
    :param heard: whether it matters who else says so: it does for what
        everybody needs
    :param via: parts that pass on what the message misses; it is missed where
        one of them fails, too, though the blamed one does not need them
    """

    clue: str
    component: str
    category: str
    weight: float
    cause: str
    remedy: tuple[str, ...]
    direct: bool = True
    details: tuple[str, ...] = ()
    host: str = ''
    heard: bool = False
    via: tuple[str, ...] = ()


Who = Callable[[Message, 're.Match[str]'], str | None]


def _self(message: Message, match: 're.Match[str]') -> str | None:
    return message.component


def _complainer(message: Message, match: 're.Match[str]') -> str | None:
    # What serves all others does not mean itself.
    return (None if message.component in components.SERVERS
            else message.component)


def _peer(message: Message, match: 're.Match[str]') -> str | None:
    near = message.text[max(0, match.start() - 300):match.end() + 300]
    return components.of_peer(near)


def _callee(message: Message, match: 're.Match[str]') -> str | None:
    found = components.of_callee(message.text)
    if found:
        return found
    return {'nova-compute': 'nova-conductor',
            'nova-conductor': 'nova-scheduler',
            'nova-api': 'nova-conductor',
            'neutron-l2-agent': 'neutron-rpc-server',
            'neutron-l3-agent': 'neutron-rpc-server',
            'neutron-dhcp-agent': 'neutron-rpc-server',
            'cinder-api': 'cinder-scheduler',
            'cinder-scheduler': 'cinder-volume'}.get(message.component)


def _topic(message: Message, match: 're.Match[str]') -> str | None:
    return components.of_topic(match[1])


def _client(message: Message, match: 're.Match[str]') -> str | None:
    found = components.of_binary(match[1])
    return None if found == 'other' else found


def _user(message: Message, match: 're.Match[str]') -> str | None:
    found = components.of_binary(match[1])
    return {'neutron-server': 'neutron-server'}.get(found, found) \
        if found != 'other' else None


def _resources(message: Message, match: 're.Match[str]') -> str | None:
    """The service that keeps the quota of the resources named."""
    text = match.string[match.start():match.start() + 400].lower()
    if re.search(r"'?(port|network|subnet|router|floatingip|"
                 r'security_group)', text):
        return 'neutron-server'
    if re.search(r'gigabytes|volumes|snapshots|backups', text):
        return 'cinder-api'
    if re.search(r'image_(size|count|stage)', text):
        return 'glance'
    return {'nova-conductor': 'nova-api', 'nova-compute': 'nova-api',
            'cinder-volume': 'cinder-api', 'cinder-scheduler': 'cinder-api'
            }.get(message.component, message.component)


def _is(name: str) -> Who:
    def blamed(message: Message, match: 're.Match[str]') -> str | None:
        return name
    return blamed


@dataclasses.dataclass(frozen=True)
class Clue:
    """One thing that messages say.

    :param name: short name, for ``why``
    :param pattern: regular expression, searched in message and traceback
    :param who: finds the blamed part; None drops the clue
    :param category: kind of fault
    :param weight: strength, 0 to 1
    :param cause: cause in words; ``{component}`` is filled in
    :param remedy: what to do
    :param direct: see :class:`Blame`
    :param said_by: only messages of these parts, empty for all
    :param detail: reads details out of the message
    :param heard: see :class:`Blame`
    :param via: see :class:`Blame`
    """

    name: str
    pattern: 're.Pattern[str]'
    who: Who
    category: str
    weight: float
    cause: str
    remedy: tuple[str, ...]
    direct: bool = True
    said_by: tuple[str, ...] = ()
    detail: details.Reader = details.nothing
    heard: bool = False
    via: tuple[str, ...] = ()


def _clue(name: str, pattern: str, who: Who, category: str, weight: float,
          cause: str, *remedy: str, direct: bool = True,
          said_by: tuple[str, ...] = (),
          detail: details.Reader = details.nothing,
          heard: bool = False, via: tuple[str, ...] = ()) -> Clue:
    return Clue(name, re.compile(pattern), who, category, weight, cause,
                remedy, direct, said_by, detail, heard, via)


#: What the database or the message bus says of those whom it refuses.
REFUSES = 'logins refused'

_NO_CANDIDATES = 'No host has the resources that were asked for'
_SMALLER = (
    'Compare the flavor with the free resources (openstack resource '
    'provider inventory list, openstack allocation candidate list); free '
    'some, add hosts, or use a smaller flavor.',)
_RESTART = 'Check that {component} runs, read its log, and start it again.'

CLUES = (
    # Databases.
    _clue('database unreachable',
          r"Can't connect to (?:local )?(?:MySQL |MariaDB )?server|"
          r'Lost connection to (?:MySQL|MariaDB)|server has gone away|'
          r'DBConnectionError|could not connect to server: Connection',
          _is('mariadb'), 'database', .92,
          'The database does not accept connections',
          'Check that the database server runs and is reachable from the '
          'controllers; look into its error log.',
          detail=details.database, heard=True),
    _clue('database connections exhausted',
          r'Too many connections|QueuePool limit of size',
          _is('mariadb'), 'database', .9,
          'The database connections are used up',
          'Raise max_connections of the database, or lower max_pool_size and '
          'max_overflow of the services; look for queries that never end.',
          detail=details.database, heard=True),
    _clue('database locks', r'Lock wait timeout exceeded|'
          r'WSREP has not yet prepared|\(1205, |read.only option',
          _is('mariadb'), 'database', .88,
          'The database refuses or blocks writes',
          'Look for long transactions (SHOW ENGINE INNODB STATUS, '
          'information_schema.innodb_trx) and the state of the cluster.',
          detail=details.database, heard=True),
    _clue('database stopped', r'mariadbd: Shutdown complete|'
          r'mysqld: Shutdown complete|Normal shutdown|'
          r'\[ERROR\] .*(?:InnoDB|Aborting)|'
          r'Starting MariaDB \d|starting as process \d+',
          _is('mariadb'), 'database', .75,
          'The database server was stopped or restarted',
          'Find out who or what stopped it: its error log, the journal, the '
          'kernel log (out of memory).', said_by=('mariadb',)),
    _clue('database schema', r'no such table|Unknown column|'
          r"Table '[^']+' doesn't exist|\(1146, |\(1054, ",
          _self, 'database', .8,
          'The database schema does not fit {component}',
          'Run the database migration of the service (db sync).'),
    _clue('database access denied', r'Access denied for user|\(1045, ',
          _complainer, 'authentication', .88,
          'The database refuses the credentials of {component}',
          'Compare [database] connection with the grants of the database.',
          detail=details.database),
    _clue(REFUSES, r"Access denied for user '(?P<user>[^']{1,80})'",
          _is('mariadb'), 'authentication', .88, 'The database refuses logins',
          'Compare [database] connection of the services with the grants of '
          'the database.', said_by=('mariadb',), detail=details.user),
    # Message bus.
    _clue('message bus refused',
          r'AMQP server on [^ ]+ is unreachable: [^\n]*'
          r'(?:ECONNREFUSED|EHOSTUNREACH|ETIMEDOUT|timed out|refused)|'
          r'(?:amqp|kombu|impl_rabbit)[^\n]{0,200}Connection refused',
          _is('rabbitmq'), 'messaging', .92,
          'The message bus does not accept connections',
          'Check that RabbitMQ runs and its port is reachable; look at '
          'rabbitmqctl status and at memory and disk alarms.',
          detail=details.bus, heard=True),
    # Where nobody listens, oslo.messaging says that it cannot connect.
    _clue('message bus trouble',
          r"\A(?![\s\S]*\bno (?:exchange|queue) ')[\s\S]*?"
          r'(?:AMQP server on [^ ]+ is unreachable|MessageDeliveryFailure|'
          r'Connection to rabbit|amqp\.exceptions\.(?:Recoverable)?'
          r'ConnectionError|Server unexpectedly closed connection)',
          _is('rabbitmq'), 'messaging', .4,
          'Connections to the message bus break',
          'Look at the log of RabbitMQ and at the network between it and '
          'the services.'),
    _clue('message bus alarm', r'resource limit alarm|'
          r'disk resource limit|free disk space .* insufficient|'
          r'memory high watermark|alarm_handler: .*set',
          _is('rabbitmq'), 'messaging', .93,
          'The message bus blocks its publishers: a memory or disk alarm',
          'Free memory or disk of the RabbitMQ node, drain long queues.'),
    _clue('message bus stopped', r'Server startup complete|'
          r'RabbitMQ is asked to stop|Stopping RabbitMQ|Starting RabbitMQ ',
          _is('rabbitmq'), 'messaging', .7,
          'The message bus was stopped or restarted',
          'Find out who or what stopped RabbitMQ: its log, the journal.',
          said_by=('rabbitmq',)),
    _clue('message bus login', r'ACCESS_REFUSED|'
          r'Login was refused using authentication|'
          r"PLAIN login refused: user '[^']+'",
          _complainer, 'authentication', .85,
          'The message bus refuses the credentials of {component}',
          'Compare transport_url with the users of RabbitMQ.'),
    _clue(REFUSES, r"PLAIN login refused: user '(?P<user>[^']{1,80})'",
          _is('rabbitmq'), 'authentication', .85,
          'The message bus refuses logins',
          'Compare transport_url of the services with the users of RabbitMQ.',
          said_by=('rabbitmq',), detail=details.user),
    _clue('nobody listens', r"no (?:exchange|queue) '([\w\-.]+)'", _topic,
          'process_down', .7,
          'Nobody reads the messages for {component}, which is not running',
          _RESTART, detail=details.exchange, heard=True),
    _clue('client of the bus lost',
          r'closing AMQP connection [^\n]*- ([a-z][\w\-]+):\d+', _client,
          'process_down', .35,
          '{component} dropped its connection to the message bus',
          _RESTART, said_by=('rabbitmq',)),
    # RPC.
    _clue('conductor lost', r'Lost connection to nova-conductor',
          _is('nova-conductor'), 'hang', .6,
          'nova-conductor does not answer', _RESTART, direct=False),
    _clue('agent report lost', r'Failed reporting state|'
          r'Unable to sync network state|'
          r'DeviceListRetrievalError',
          _is('neutron-rpc-server'), 'process_down', .6,
          'The Neutron server does not answer its agents', _RESTART,
          direct=False),
    _clue('call not answered', r'MessagingTimeout|'
          r'Timed out waiting for a reply', _callee, 'hang', .65,
          '{component} did not answer a call in time',
          'Check that {component} runs and is not stuck: its log, a Guru '
          'Meditation Report (SIGUSR2), its queue in RabbitMQ.',
          direct=False),
    # HTTP peers.
    _clue('connection refused', r'ECONNREFUSED|Connection refused|'
          r'Errno 111|No route to host|EHOSTUNREACH|'
          r'Unable to establish connection|ConnectFailure|'
          r'Failed to establish a new connection|'
          r'Max retries exceeded with url', _peer, 'process_down', .9,
          '{component} does not accept connections', _RESTART,
          detail=details.peer, heard=True),
    _clue('request timed out', r'Read timed out|ConnectTimeout|ReadTimeout|'
          r'Request to https?://\S+ timed out', _peer, 'hang', .8,
          '{component} does not answer requests in time',
          'Check that {component} is not stuck or overloaded.',
          detail=details.peer, heard=True),
    _clue('bad gateway', r'Bad Gateway|Service Unavailable \(HTTP 503\)|'
          r'\(HTTP 50[234]\)', _peer, 'process_down', .6,
          '{component} fails behind its load balancer', _RESTART),
    _clue('image service unreachable',
          r'GlanceConnectionFailed|Error contacting glance server|'
          r'Connection to glance .*failed', _is('glance'), 'process_down',
          .9, 'The image service does not answer', _RESTART,
          detail=details.peer, heard=True),
    _clue('network service unreachable',
          r'NeutronConnectionFailed|Connection to neutron failed|'
          r'Unable to contact neutron', _is('neutron-server'),
          'process_down', .9, 'The network service does not answer',
          _RESTART, detail=details.peer, heard=True),
    _clue('placement unreachable',
          r'Placement API service is not responding|'
          r'PlacementAPIConnectFailure|'
          r'Failed to connect to placement', _is('placement'),
          'process_down', .9, 'The Placement service does not answer',
          _RESTART, detail=details.peer, heard=True),
    _clue('volume service unreachable', r'CinderConnectionFailed|'
          r'Connection to cinder host failed', _is('cinder-api'),
          'process_down', .9, 'The volume service does not answer',
          _RESTART, detail=details.peer, heard=True),
    _clue('identity unreachable',
          r'Discovering versions from the identity service failed|'
          r'Failed to contact the endpoint at \S*(?:identity|:5000)|'
          r'Failed to discover available identity versions|'
          r'Could not find versioned identity endpoints|'
          r'Failed to fetch token data from identity server|'
          r'Unable to reach the identity',
          _is('keystone'), 'connectivity', .88,
          'The identity service does not answer', _RESTART,
          detail=details.peer, heard=True),
    # Credentials.
    _clue('service credentials refused',
          r'Identity server rejected authorization|'
          r'Networking client is experiencing an unauthorized|'
          r'AdminCredentialConfigurationInvalid|'
          r'The request you have made requires authentication\. '
          r'\(HTTP 401\)',
          _self, 'authentication', .9,
          'The identity service refuses the credentials of {component}',
          'Compare user and password in the configuration of the service '
          'with the identity service, and restart it.'),
    _clue('login of a service failed',
          r'identity\.authenticate [^\n]*outcome=failure[^\n]*'
          r'name=(nova|neutron|cinder|glance|placement|heat)\b', _user,
          'authentication', .75,
          'The service user of {component} cannot log in',
          'Compare the password in its configuration with Keystone.'),
    _clue('login failed', r'Authorization failed\. The request you have '
          r'made requires authentication', _is('keystone'),
          'authentication', .3, 'Logins are refused',
          'See whose logins fail, and whether the passwords are right.'),
    _clue('token keys', r'(?:fernet_tokens|fernet_receipts|'
          r'credential)\]? key_repository does not exist|'
          r'No encryption keys found|keystone\.exception\.KeysNotFound',
          _is('keystone'), 'configuration', .9,
          'Keystone cannot read the keys of its tokens',
          'Check that key_repository is there, that Keystone may read it, and '
          'that all its hosts have the same keys; where they are lost, '
          'keystone-manage fernet_setup makes new ones.',
          detail=details.keys),
    _clue('certificate', r'CERTIFICATE_VERIFY_FAILED|'
          r'certificate verify failed|certificate has expired',
          _self, 'configuration', .9,
          '{component} does not trust the certificate of its peer',
          'Renew the certificate, or set cafile for the service.'),
    # Quota and policy.
    _clue('quota', r'Quota exceeded|OverQuota|QuotaExceeded|QuotaError|'
          r'exceeds allowed \w+ quota|VolumeLimitExceeded|'
          r'ProjectOverLimit|is over limit (?:for|of)|is over a limit for|'
          r'Maximum number of \w+ exceeded|PortLimitExceeded',
          _resources, 'quota', .9,
          'The project is at its quota, which {component} enforces',
          'Delete what is not needed, or raise the quota of the project '
          '(openstack quota show --usage, openstack quota set).',
          detail=details.quota),
    _clue('policy', r"Policy doesn't allow|PolicyNotAuthorized|"
          r'is disallowed by policy|You are not authorized to perform|'
          r'rule:\w+ [^\n]*(?:failed|disallowed)', _self, 'permission', .75,
          'The caller lacks the role that {component} asks for',
          'Give the user the role, or stop the client that asks for what it '
          'may not have.'),
    # Capacity and scheduling.
    _clue('compute host silent', r'has not been heard from in a while',
          _is('nova-compute'), 'process_down', .85,
          'A nova-compute service stopped reporting', _RESTART,
          direct=False, detail=details.silent),
    _clue('compute filter', r'Filter ComputeFilter returned 0 hosts|'
          r"ComputeFilter: \(start: \d+, end: 0\)", _is('nova-compute'),
          'process_down', .8,
          'All fitting hosts have a nova-compute that is down or disabled',
          _RESTART, detail=details.filters),
    _clue('no allocation candidates', r'Got no allocation candidates',
          _is('compute-capacity'), 'capacity', .85,
          _NO_CANDIDATES, *_SMALLER),
    # What Placement answers when it has none is this short. It says so
    # at INFO to everybody who asks, and only Nova knows that it was a boot.
    _clue('no allocation candidates',
          r'GET /[^ "]{0,60}?allocation_candidates\?[^ "]{1,2000}"? '
          r'(?:HTTP/[\d.]{1,4}"? )?(?:status: 200 len: |'
          r'=> generated |200 )[1-6]\d\b', _is('compute-capacity'),
          'capacity', .85, _NO_CANDIDATES, *_SMALLER,
          said_by=('placement',), detail=details.asked),
    _clue('no allocation candidates',
          r'found 0 providers with available (?P<amount>\d{1,12}) '
          r'(?P<what>\w{1,64})', _is('compute-capacity'), 'capacity', .85,
          _NO_CANDIDATES, *_SMALLER, said_by=('placement',),
          detail=details.providers),
    _clue('capacity filter', r'Filter (?:Ram|Core|Disk|IoOps|NumInstances|'
          r'NUMATopology|PciPassthrough)\w*Filter returned 0 hosts|'
          r'(?:NUMATopology|PciPassthrough|NumInstances|IoOps)Filter: '
          r'\(start: \d+, end: 0\)', _is('compute-capacity'), 'capacity',
          .9, 'No host has enough free resources',
          'Free resources, add hosts, or use a smaller flavor.',
          detail=details.filters),
    # A wish of the request or a property of the hosts; the filters above
    # have a reason of their own, as has who tried all hosts in vain, and
    # those of Cinder are named alike.
    _clue('other filter',
          r'Filter (?!Compute|Ram|Core|Disk|IoOps|NumInstances|NUMATopology|'
          r'PciPassthrough|Retry)\w{1,64} returned 0 hosts',
          _is('nova-scheduler'), 'configuration', .7,
          'A filter of the scheduler takes away all hosts',
          'Compare what the filter looks at (availability zone, aggregates, '
          'traits, server group, image properties) with the flavor, the '
          'image and the hosts.', said_by=('nova-scheduler',),
          detail=details.filters),
    _clue('no valid host', r'No valid host was found|NoValidHost',
          _is('compute-capacity'), 'capacity', .5,
          'The scheduler found no host for the server',
          'See which filter or which resource left no host.',
          direct=False, detail=details.reason),
    _clue('resource claim', r'Insufficient compute resources|'
          r'ComputeResourcesUnavailable|Unable to allocate inventory|'
          r'Unable to create allocation for|'
          r'Over capacity for \w+ on resource provider \S+\. Needed|'
          r'Allocation for \w+ on resource provider \S+ violates|'
          r'over capacity|requested memory .* exceeds|'
          r'InvalidAllocationCapacityExceeded', _is('compute-capacity'),
          'capacity', .85, 'A host has not the resources that a server '
          'claims', 'Free resources on the host, or use another one '
          '(openstack resource provider usage show).',
          detail=details.claim),
    _clue('compute service down', r'ComputeServiceUnavailable|'
          r'Compute service of \S+ is unavailable|'
          r"instance's host (?!None\b)\w[\w\-.]* is down|"
          r'Compute host \S+ (?:could not be found|is not up)',
          _is('nova-compute'), 'process_down', .6,
          'A nova-compute service is down', _RESTART,
          direct=False),
    # Storage of the hosts.
    _clue('disk full', r'No space left on device|Errno 28|ENOSPC|'
          r'disk full', _is('disk'), 'storage', .95,
          'A file system is full',
          'Free space on the file system of the host named below.'),
    _clue('disk broken', r'Read-only file system|Errno 30|'
          r'Input/output error|Errno 5\b|Buffer I/O error', _is('disk'),
          'storage', .9, 'A file system cannot be written',
          'Look into the kernel log of the host; check its disks.'),
    _clue('out of memory', r'Out of memory|oom-kill|Errno 12|'
          r'Cannot allocate memory', _self, 'capacity', .85,
          'The host of {component} is out of memory',
          'See what takes the memory; lower reserved overcommit.'),
    _clue('too many files', r'Too many open files|Errno 24', _self,
          'capacity', .85, '{component} ran out of file descriptors',
          'Raise LimitNOFILE of its unit; look for a leak.'),
    # Images.
    _clue('image damaged', r'(?:hash|checksum|HashMismatch)[^\n]{0,80}'
          r'(?:match|verif|mismatch|expected)|Corrupt(?:ed)? image|'
          r'ImageCorrupt|is corrupt|[Cc]hecksum[^\n]{0,60}fail',
          _is('glance'), 'image', .92,
          'The data of an image is damaged',
          'Compare the checksum of the image with its file in the store; '
          'upload it again.'),
    _clue('image unusable', r'ImageUnacceptable|is unacceptable:|'
          r'Image \S+ is not active|ImageNotActive|'
          r'Image \S+ could not be found|ImageNotFound|'
          r'qemu-img[^\n]*(?:Could not open|failed)|InvalidDiskInfo|'
          r'Image not found in any|image data (?:cannot|could not) be',
          _is('glance'), 'image', .7, 'An image cannot be used',
          'Check the state, format and data of the image.'),
    # Networks.
    _clue('binding failed', r'Failed to bind port|PortBindingFailed|'
          r'[Bb]inding failed for port|binding_failed|'
          r'Refusing to bind port', _is('neutron-l2-agent'), 'network', .85,
          'A port cannot be bound, since no L2 agent on its host is alive '
          'and serves its network',
          'Check openstack network agent list and bridge_mappings of the '
          'agent against the physical network.', direct=False,
          detail=details.binding),
    _clue('plugging timed out', r'Timeout waiting for \[?[^\n]{0,40}'
          r'network-vif-plugged|VirtualInterfaceCreateException|'
          r'Virtual Interface creation failed', _is('neutron-l2-agent'),
          'network', .7,
          'The L2 agent does not wire up the ports of servers',
          'Check that the L2 agent of the host runs and reaches the message '
          'bus.', direct=False, detail=details.plugging,
          # Neutron tells it to the API of Nova.
          via=('nova-api',)),
    _clue('agents dead', r'found [1-9]\d* dead agents|'
          r'Agent [^\n]{0,80}(?:is dead|not alive|is down)|dead agent',
          _is('neutron-l2-agent'), 'process_down', .6,
          'Network agents stopped reporting',
          'Check openstack network agent list; start the agents.',
          direct=False, detail=details.agents),
    _clue('addresses used up', r'No more IP addresses|'
          r'IpAddressGenerationFailure', _is('neutron-server'), 'capacity',
          .9, 'A subnet has no free address',
          'Free addresses or add a subnet.'),
    _clue('name resolution', r'Name or service not known|gaierror|'
          r'Temporary failure in name resolution', _is('dns'),
          'connectivity', .9, 'Names cannot be resolved',
          'Check the resolver of the host.'),
    _clue('switch database', r'ovsdb[^\n]{0,80}(?:timed out|'
          r'connection dropped|not connected)|'
          r'ovs-vsctl[^\n]{0,80}(?:failed|Alarm)', _is('network'),
          'network', .7, 'The virtual switch does not answer',
          'Check ovs-vswitchd and ovsdb-server of the host.'),
    # Volumes.
    _clue('no volume backend', r'No weighed backends available|'
          r'No valid backend was found|No valid host was found\. No weighed',
          _is('cinder-volume'), 'process_down', .75,
          'No volume backend is up that could take the volume',
          'Check openstack volume service list; start cinder-volume.',
          direct=False),
    _clue('volume service down', r'(?:volume|cinder-volume)[^\n]{0,40} '
          r'is down|not been (?:updated|heard)', _is('cinder-volume'),
          'process_down', .75, 'A cinder-volume service is down', _RESTART,
          detail=details.backend,
          # Of other services, the scheduler of Nova says the same.
          said_by=('cinder-api', 'cinder-scheduler', 'cinder-volume',
                   'cinder-backup')),
    _clue('volume space', r'Insufficient free (?:virtual )?space|'
          r'not enough free space', _is('storage'), 'capacity', .85,
          'The volume backend is full', 'Extend the backend.'),
    _clue('storage backend', r'iscsiadm[^\n]{0,80}(?:failed|error)|'
          r'rados|rbd\.\w*Error|multipath[^\n]{0,60}fail|'
          r'Volume group [^\n]{0,80}not found', _is('storage'), 'storage',
          .75, 'The storage behind the volumes fails',
          'Check the storage backend.'),
    # Hypervisor.
    _clue('hypervisor unreachable', r'Failed to connect socket to '
          r"'?[^\n]{0,60}libvirt|Connection to libvirt (?:lost|failed)|"
          r'HypervisorUnavailable|Cannot recv data', _is('libvirt'),
          'process_down', .92, 'The hypervisor daemon does not answer',
          'Check libvirtd (or virtqemud) on the host.'),
    _clue('hypervisor error', r'libvirtError|internal error: '
          r'(?:process exited|qemu unexpectedly)', _is('libvirt'),
          'unknown', .7, 'The hypervisor refuses an operation',
          'Read the libvirt and qemu logs of the server.'),
    _clue('memcached', r'MemcacheUnexpectedCloseError|'
          r'[Mm]emcached?[^\n]{0,60}(?:refused|timed out|not connect)|'
          r'Unable to connect to memcached', _is('memcached'),
          'process_down', .85, 'memcached does not answer', _RESTART),
    _clue('clock', r'[Cc]lock skew|time (?:drift|skew)|'
          r'System clock wrong', _is('clock'), 'configuration', .6,
          'Clocks differ', 'Check time synchronisation.'),
    # Configuration and code.
    # In the first line only: libraries try options that may be missing.
    _clue('configuration', r'\A[^\n]{0,600}(?:ConfigFileValueError|'
          r'NoSuchOptError|MissingRequired|ConfigFilesNotFoundError|'
          r'RequiredOptError|No module named|ModuleNotFoundError|'
          r'Could not load [^\n]{0,60}driver)', _self, 'configuration', .7,
          'The configuration of {component} is wrong',
          'Correct the option named in the message and restart it.'),
    # Anchored and atomic: a traceback without one of the names would be read
    # again from each of its lines.
    _clue('code', r'\A(?>[\s\S]*?(?:Traceback|File "[^"]+", line \d+))'
          r'[\s\S]*\b'
          r'(?:TypeError|AttributeError|KeyError|IndexError|ValueError|'
          r'NameError|UnboundLocalError|AssertionError|Exception)\b',
          _self, 'code_defect', .45,
          'The code of {component} fails',
          'Look at the location named; search the bug tracker for it.',
          direct=False),
)

_HEAD = 4000
_TAIL = 1500


@functools.lru_cache(maxsize=4096)
def read(message: Message) -> tuple[Blame, ...]:
    """What a message says of whose fault it is.

    A failure repeats its messages, and a service is asked again and again
    about the same ones: they are kept.

    :param message: the message; of a very long one, the front and the end
        are read
    :returns: blames in the order of :data:`CLUES`
    """
    text = message.text
    if len(text) > _HEAD + _TAIL:
        text = text[:_HEAD] + '\n' + text[-_TAIL:]
    found = []
    for clue in CLUES:
        if clue.said_by and message.component not in clue.said_by:
            continue
        match = clue.pattern.search(text)
        if not match:
            continue
        who = clue.who(message, match)
        if who is None or who == 'other':
            continue
        found.append(Blame(
            clue.name, who, clue.category, clue.weight,
            clue.cause.format(component=who),
            tuple(r.format(component=who) for r in clue.remedy),
            clue.direct, details.bounded(clue.detail(match)),
            details.host(text), clue.heard, clue.via))
    return tuple(found)
