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
"""What the APIs of the cloud answered, read: facts, and whom they blame.

Names and messages in an answer belong to users: they are quoted, bounded and
never read for clues, but for what services say of a failure themselves. What
an answer holds beyond the fields named here (metadata, user data, passwords)
is not looked at.
"""

from collections.abc import Iterable
import dataclasses
import datetime
import re
from typing import Any

from openstack_rca.analysis import clues
from openstack_rca.analysis import components
from openstack_rca.analysis import ranking
from openstack_rca.events import schema

#: How facts count, each with its reason. What a message says counts as it
#: does in a log, see :data:`clues.CLUES`.
WEIGHTS: dict[str, float] = {
    # A service or an agent that stopped reporting in the time under question:
    # it may be that of another fault, but seldom.
    'down': 0.75,
    # One that stopped before it: the cloud lived with that.
    'down before': 0.2,
    # No nova-compute is up and enabled: nothing can be started anywhere.
    'no compute': 0.85,
    # A server failed, and what was said of it holds no clue.
    'fault': 0.3,
    # A step of a server's action has no end, longer than such steps take.
    'unfinished': 0.35,
    # A port is down that a running server has: its host may still be busy.
    'port down': 0.3,
    # A volume in an error state, in the time under question.
    'volume error': 0.3,
    # A volume that is being made or attached for long.
    'volume stuck': 0.35,
    # Placement knows of no room for what the failed server asks for.
    'no room': 0.85,
    # A resource that no host has any more of: it need not be asked for.
    'full': 0.15,
    # The same where something was refused for want of it.
    'full and missed': 0.5,
    # A project at a limit: many are, and live with it.
    'quota': 0.1,
    # The same where that service refused something for it.
    'quota and refused': 0.5,
    # What is left of what is said of other servers, where the question names
    # some: they may have failed of something else.
    'others': 0.5,
    # A running server for which Placement holds nothing.
    'no allocation': 0.25,
    # An API that refuses us: it may do so to nobody else.
    'api refused': 0.5,
    # An API that fails, or is too slow for us: we may be slow ourselves.
    'api failing': 0.2,
    'api slow': 0.2,
}

#: Names of OpenStack's projects, by what openstacksdk calls their service.
PROJECTS = {'compute': 'nova', 'network': 'neutron',
            'block_storage': 'cinder', 'placement': 'placement',
            'identity': 'keystone'}
#: Who answers at the API of a project.
APIS = {'nova': 'nova-api', 'neutron': 'neutron-server',
        'cinder': 'cinder-api', 'placement': 'placement',
        'keystone': 'keystone'}

#: Steps and states that last longer than this are stuck: by default nova waits
#: 300 seconds for a network, and 180 for a volume.
STUCK = datetime.timedelta(minutes=10)

_MOST_NAME = 80
_MOST_SAID = 6000
_MOST_FIELD = 255
_LEAST_RAM = 512
_RESTART = 'Check that {} runs on the host, read its log, and start it again.'
_HOSTED = frozenset(('nova-compute', 'neutron-l2-agent', 'disk', 'libvirt',
                     'neutron-l3-agent', 'neutron-dhcp-agent', 'network',
                     'neutron-metadata-agent', 'ovn', 'cinder-volume',
                     'cinder-backup', 'storage'))
_CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f'
                      r'\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
#: What nova says when it found no host.
_NO_HOST = re.compile(r'No valid host|NoValidHost|'
                      r'Exceeded maximum number of retries')
_HEADER = 'Traceback (most recent call last):\n'

Body = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Fact:
    """Something that the cloud says.

    :param source: where: ``nova:/os-services?host=cmp1``; no two facts have
        the same one
    :param kind: what it is of: ``service``, ``agent``, ``server``,
        ``action``, ``port``, ``volume``, ``quota``, ``capacity``,
        ``allocation`` or ``api``
    :param text: a sentence, and behind it what was said
    :param timestamp: when it came to be, UTC without a zone; None where only
        the present is known
    :param service: the project
    :param binary: the program
    :param host: where
    :param resources: UUIDs
    :param project: id of the project concerned
    :param request: id of the request
    :param said: what the service said itself, to be read for clues
    :param blames: what else it says of whose fault it is
    :param related: whether it is of what the question asks about
    """

    source: str
    kind: str
    text: str
    timestamp: datetime.datetime | None = None
    service: str = ''
    binary: str = ''
    host: str = ''
    resources: tuple[str, ...] = ()
    project: str = ''
    request: str = ''
    said: str = ''
    blames: tuple[clues.Blame, ...] = ()
    related: bool = False


@dataclasses.dataclass(frozen=True)
class Window:
    """The time under question.

    :param since: first moment, UTC without a zone, or None
    :param until: last moment, or None
    :param now: the present
    :param present: whether the time reaches into the present, so that what
        is so now says something of it
    """

    since: datetime.datetime | None
    until: datetime.datetime | None
    now: datetime.datetime
    present: bool

    def holds(self, moment: datetime.datetime | None) -> bool:
        """Whether something happened in it.

        APIs tell whole seconds.
        """
        return moment is not None and (
            self.since is None
            or moment + datetime.timedelta(seconds=1) > self.since) and (
            self.until is None or moment <= self.until)

    def before(self, moment: datetime.datetime | None) -> bool:
        """Whether it ended before something came to be."""
        return bool(moment and self.until and moment > self.until)


@dataclasses.dataclass(frozen=True)
class Server:
    """What matters of a server.

    :param uuid: its id
    :param status: ``ACTIVE``, ``ERROR``, ...
    :param host: where it runs, or an empty string
    :param project: whose it is
    :param failed: whether no host was found for it
    :param resources: what Placement was asked for, or an empty string
    :param volumes: attached to it
    """

    uuid: str
    status: str
    host: str
    project: str
    failed: bool
    resources: str
    volumes: tuple[str, ...]


def text(value: Any, most: int = _MOST_FIELD) -> str:
    """A field as text that can be shown: bounded, in one line."""
    return many(value, most).replace('\n', ' ').replace('\t', ' ')


def many(value: Any, most: int = _MOST_SAID) -> str:
    """A field of many lines; of a long one, the front and the end."""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return ''
    found = str(value)
    if len(found) > most:
        found = found[:most // 4] + '\n...\n' + found[-most * 3 // 4:]
    return _CONTROL.sub(' ', found)


def number(value: Any) -> int | None:
    """A whole number, or None."""
    return value if isinstance(value, int) and not isinstance(
        value, bool) else None


def rows(body: Body, name: str) -> list[Body]:
    """The objects that a list of an answer holds."""
    found = body.get(name)
    return [r for r in found if isinstance(r, dict)] \
        if isinstance(found, list) else []


def part(body: Body, name: str) -> Body:
    """An object of an answer; empty where there is none."""
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def moment(value: Any) -> datetime.datetime | None:
    """A time of an answer, UTC without a zone."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.datetime.fromisoformat(value[:40])
        if found.tzinfo is not None:
            found = found.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return found


def _told(value: datetime.datetime | None) -> str:
    return f'{value:%Y-%m-%d %H:%M:%S} UTC' if value else 'an unknown time'


def _blame(clue: str, component: str, category: str, weight: float,
           cause: str, *remedy: str, direct: bool = True) -> clues.Blame:
    return clues.Blame(clue, component, category, weight, cause, remedy,
                       direct)


def down(answer: Body, project: str, window: Window) -> list[Fact]:
    """Services that do not report.

    :param answer: of ``GET /os-services``
    :param project: ``nova`` or ``cinder``
    :param window: the time under question
    """
    found = []
    ready = 0
    computes = []
    for row in rows(answer, 'services'):
        binary, host = text(row.get('binary')), text(row.get('host'))
        enabled = row.get('status') == 'enabled'
        component = components.of_binary(binary)
        if component == 'nova-compute':
            computes.append(host)
            ready += enabled and row.get('state') == 'up'
        if row.get('state') != 'down' or not enabled \
                or component == 'other':
            continue
        since = moment(row.get('updated_at'))
        if window.before(since):
            continue
        forced = ' An operator forced it down.' \
            if row.get('forced_down') is True else ''
        found.append(Fact(
            f'{project}:/os-services?host={host}&binary={binary}', 'service',
            f'{binary} on {host} is down: it last reported at {_told(since)}'
            f' (status enabled, zone {text(row.get("zone"), _MOST_NAME)}).'
            + forced, since, project, binary, host, blames=(_blame(
                'service down', component, 'process_down',
                WEIGHTS['down' if window.holds(since) else 'down before'],
                f'{component} does not report to the cloud',
                _RESTART.format(component), direct=False),)))
    if computes and not ready:
        found.append(Fact(
            f'{project}:/os-services?binary=nova-compute', 'service',
            f'None of {len(computes)} nova-compute services is up and '
            f'enabled: {", ".join(sorted(computes)[:10])}.', None, project,
            'nova-compute', blames=(_blame(
                'no compute service', 'nova-compute', 'process_down',
                WEIGHTS['no compute'],
                'No nova-compute service is up and enabled',
                'Start or enable nova-compute (openstack compute service '
                'list).', direct=False),)))
    return found


def dead(answer: Body, window: Window) -> list[Fact]:
    """Network agents that do not report.

    :param answer: of ``GET /agents``
    :param window: the time under question
    """
    found = []
    for row in rows(answer, 'agents'):
        binary, host = text(row.get('binary')), text(row.get('host'))
        component = components.of_binary(binary)
        if row.get('alive') is not False or component == 'other' \
                or row.get('admin_state_up') is False:
            continue
        since = moment(row.get('heartbeat_timestamp'))
        if window.before(since):
            continue
        found.append(Fact(
            f'neutron:/agents/{text(row.get("id"), _MOST_NAME)}', 'agent',
            f'{binary} on {host} is not alive: it last reported at '
            f'{_told(since)} ({text(row.get("agent_type"), _MOST_NAME)}).',
            since, 'neutron', binary, host, blames=(_blame(
                'agent down', component, 'process_down',
                WEIGHTS['down' if window.holds(since) else 'down before'],
                f'{component} does not report to the Neutron server',
                _RESTART.format(binary), direct=False),)))
    return found


def full(answer: Body) -> list[Fact]:
    """Hypervisors, where none has memory or disk left.

    :param answer: of ``GET /os-hypervisors/detail``
    """
    usable = [r for r in rows(answer, 'hypervisors')
              if r.get('state') == 'up' and r.get('status') == 'enabled']
    found = []
    for field, least, what, unit in (
            ('free_ram_mb', _LEAST_RAM, 'memory', 'MB'),
            ('free_disk_gb', 1, 'disk', 'GB')):
        free = [n for r in usable if (n := number(r.get(field))) is not None]
        if not usable or len(free) < len(usable) or max(free) >= least:
            continue
        found.append(Fact(
            f'nova:/os-hypervisors/detail#{field}', 'capacity',
            f'None of {len(usable)} hypervisors that are up and enabled has '
            f'{what} left: the most is {max(free)} {unit}.', None, 'nova',
            'nova-compute', blames=(_full(what),)))
    return found


def _full(what: str) -> clues.Blame:
    return _blame(
        'hosts full', 'compute-capacity', 'capacity', WEIGHTS['full'],
        f'No host has any {what} left',
        'Free resources, add hosts, or raise the allocation ratio.')


def used_up(answer: Body, resource_class: str) -> list[Fact]:
    """A resource class that no provider has any more of.

    :param answer: of ``GET /allocation_candidates`` for one of it
    :param resource_class: its name
    """
    candidates = answer.get('allocation_requests')
    if not isinstance(candidates, list) or candidates:
        return []
    return [Fact(
        f'placement:/allocation_candidates?resources={resource_class}:1',
        'capacity', f'No resource provider has one {resource_class} left '
        '(inventory less reserved and allocations).', None, 'placement',
        'placement', blames=(_full(resource_class),))]


def no_room(answers: dict[str, Body], server: Server) -> list[Fact]:
    """Resources that a failed server asked for, and that are not there.

    :param answers: of ``GET /allocation_candidates`` for all of them and for
        each alone
    :param server: the server
    """
    def none(wanted: str) -> bool:
        candidates = answers.get(wanted, {}).get('allocation_requests')
        return isinstance(candidates, list) and not candidates

    if not none(server.resources):
        return []
    short = [r for r in server.resources.split(',') if none(r)]
    why = (f'No provider has {", ".join(short)}.' if short else
           'Each of them is there, but not all on one provider.')
    return [Fact(
        f'placement:/allocation_candidates?resources={server.resources}',
        'capacity', f'Placement has no allocation candidate for '
        f'{server.resources}, which server {server.uuid} asks for. {why}',
        None, 'placement', 'placement', resources=(server.uuid,),
        project=server.project, blames=(_blame(
            'no room', 'compute-capacity', 'capacity', WEIGHTS['no room'],
            'No host has the resources that were asked for' + (
                f': {", ".join(short)}' if short else ''),
            'Compare the flavor with the free resources (openstack resource '
            'provider inventory list, openstack allocation candidate list); '
            'free some, add hosts, or use a smaller flavor.'),))]


def unallocated(answer: Body, server: Server) -> list[Fact]:
    """A running server for which Placement holds nothing.

    :param answer: of ``GET /allocations/{uuid}``
    :param server: the server
    """
    if answer.get('allocations') != {} or server.status != 'ACTIVE':
        return []
    return [Fact(
        f'placement:/allocations/{server.uuid}', 'allocation',
        f'Server {server.uuid} is ACTIVE, and Placement holds no allocation '
        f'for it.', None, 'placement', 'placement', server.host,
        (server.uuid,), server.project, blames=(_blame(
            'no allocation', 'placement', 'data', WEIGHTS['no allocation'],
            'Placement holds no allocation for a running server',
            'Run nova-manage placement heal_allocations.'),))]


def _asked_for(row: Body) -> str:
    """What nova asks Placement for, for a server; empty if not known."""
    flavor = part(row, 'flavor')
    extra = part(flavor, 'extra_specs')
    if any(str(k).startswith(('resources', 'hw:cpu', 'trait'))
           for k in extra):
        return ''
    wanted = {'VCPU': number(flavor.get('vcpus')),
              'MEMORY_MB': number(flavor.get('ram'))}
    disks = [number(flavor.get(k)) or 0 for k in ('ephemeral', 'swap')]
    root = number(flavor.get('disk')) or 0 if row.get('image') else 0
    wanted['DISK_GB'] = root + disks[0] + -(-disks[1] // 1024)
    return ','.join(f'{k}:{v}' for k, v in wanted.items() if v)


def server(row: Body, window: Window) -> tuple[Server, list[Fact]]:
    """A server, and its fault.

    :param row: as ``GET /servers/{id}`` tells it
    :param window: the time under question
    """
    uuid = text(row.get('id'), _MOST_NAME)
    fault = part(row, 'fault')
    said = many(fault.get('message'), 1000)
    details = many(fault.get('details'))
    when = moment(fault.get('created'))
    status = text(row.get('status'), _MOST_NAME)
    made = Server(
        uuid, status, text(row.get('OS-EXT-SRV-ATTR:host')),
        text(row.get('tenant_id')),
        status == 'ERROR' and bool(_NO_HOST.search(said)), _asked_for(row),
        tuple(text(v.get('id'), _MOST_NAME) for v in rows(
            row, 'os-extended-volumes:volumes_attached'))[:5])
    if status != 'ERROR' or not said or not window.holds(when):
        return made, []
    binary = ('nova-compute' if made.host or '/nova/compute/' in details
              else 'nova-conductor')
    where = f' on {made.host}' if made.host else ''
    return made, [Fact(
        f'nova:/servers/{uuid}', 'server',
        f'Server {uuid} ("{text(row.get("name"), _MOST_NAME)}", project '
        f'{made.project}){where} is in ERROR since {_told(when)}: '
        f'{said}' + (f'\n{details}' if details else ''), when, 'nova',
        binary, made.host, (uuid,), made.project,
        said=f'{said}\n{details}', blames=(_blame(
            'server fault', binary, 'unknown', WEIGHTS['fault'],
            f'{binary} failed to do something with a server',
            'Read what nova says of the failure below.', direct=False),))]


def actions(answer: Body, window: Window) -> list[str]:
    """The requests of a server's actions that are worth a look.

    :param answer: of ``GET /servers/{id}/os-instance-actions``
    :param window: the time under question
    """
    found = [(started, text(row.get('request_id'), _MOST_NAME))
             for row in rows(answer, 'instanceActions')
             if (started := moment(row.get('start_time')))
             and (window.holds(started)
                  or window.holds(moment(row.get('updated_at'))))]
    return [r for _, r in sorted(found, reverse=True)
            if re.fullmatch(r'req-[0-9a-f-]{36}', r)][:2]


def action(answer: Body, uuid: str, window: Window) -> tuple[
        list[str], list[Fact]]:
    """The steps of an action that failed or did not end.

    :param answer: of ``GET /servers/{id}/os-instance-actions/{request}``
    :param uuid: of the server
    :param window: the time under question
    :returns: hosts where it happened, and facts
    """
    row = part(answer, 'instanceAction')
    request = text(row.get('request_id'), _MOST_NAME)
    name = text(row.get('action'), _MOST_NAME)
    project = text(row.get('project_id'))
    hosts: dict[str, None] = {}
    found: dict[str, Fact] = {}
    for event in rows(row, 'events')[:20]:
        step = text(event.get('event'), _MOST_NAME)
        host = text(event.get('host'))
        component = 'nova-compute' if step.startswith('compute_') \
            else 'nova-conductor'
        if host and component == 'nova-compute':
            hosts.setdefault(host)
        started = moment(event.get('start_time'))
        ended = moment(event.get('finish_time'))
        source = (f'nova:/servers/{uuid}/os-instance-actions/{request}'
                  f'#{step}')
        where = f' on {host}' if host else ''
        what = (f'{step} of the action "{name}" on server {uuid}{where} '
                f'(request {request})')
        if event.get('result') == 'Error' and window.holds(ended or started):
            trace = many(event.get('traceback'))
            if trace and not trace.startswith(_HEADER[:9]):
                trace = _HEADER + trace
            said = f'{many(event.get("details"), 1000)}\n{trace}'.strip()
            found[source] = Fact(
                source, 'action', f'{what} failed at {_told(ended)}.'
                + (f'\n{said}' if said else ''), ended or started, 'nova',
                component, host, (uuid,), project, request, said, (_blame(
                    'action failed', component, 'unknown', WEIGHTS['fault'],
                    f'{component} failed to do something with a server',
                    'Read what nova says of the failure below.',
                    direct=False),))
        elif started and ended is None and not event.get('result') \
                and window.present and window.now - started > STUCK:
            found[source] = Fact(
                source, 'action', f'{what} began at {_told(started)} and '
                'has no end.', started, 'nova', component, host, (uuid,),
                project, request, blames=(_blame(
                    'action unfinished', component, 'hang',
                    WEIGHTS['unfinished'],
                    f'{component} does not end what it does with a server',
                    f'See in the log of {component} what it waits for.',
                    direct=False),))
    return list(hosts), list(found.values())


def ports(answer: Body, server: Server | None) -> list[Fact]:
    """Ports that are not bound, or down though their server runs.

    :param answer: of ``GET /ports``
    :param server: whose ports they are, if that is known
    """
    found = []
    for row in rows(answer, 'ports')[:20]:
        uuid = text(row.get('id'), _MOST_NAME)
        host = text(row.get('binding:host_id'))
        device = text(row.get('device_id'), _MOST_NAME)
        status = text(row.get('status'), _MOST_NAME)
        bad = row.get('binding:vif_type') == 'binding_failed'
        idle = (status == 'DOWN' and server is not None
                and server.status == 'ACTIVE'
                and row.get('admin_state_up') is not False)
        if not bad and not idle:
            continue
        blames: tuple[clues.Blame, ...] = ()
        if not bad:
            blames = (_blame(
                'port down', 'neutron-l2-agent', 'network',
                WEIGHTS['port down'],
                'The L2 agent has not wired up the port of a running server',
                'Check that the L2 agent of the host runs and reaches the '
                'message bus.', direct=False),)
        vif = text(row.get('binding:vif_type'), _MOST_NAME)
        found.append(Fact(
            f'neutron:/ports/{uuid}', 'port',
            f'Port {uuid} of {device or "nothing"} has status {status}, '
            f'binding:vif_type {vif} and binding:host_id {host}.',
            moment(row.get('updated_at')), 'neutron', 'neutron-server',
            host, tuple(u for u in (uuid, device) if u),
            text(row.get('project_id') or row.get('tenant_id')),
            said='binding_failed' if bad else '', blames=blames))
    return found


def volumes(listed: Iterable[Body], window: Window) -> list[Fact]:
    """Volumes in an error state, and those that stay in a passing one.

    :param listed: as ``GET /volumes/{id}`` tells them
    :param window: the time under question
    """
    found = []
    for row in listed:
        uuid = text(row.get('id'), _MOST_NAME)
        status = text(row.get('status'), _MOST_NAME)
        when = moment(row.get('updated_at')) or moment(row.get('created_at'))
        host = text(row.get('os-vol-host-attr:host')).split('#')[0]
        if status.startswith('error') and window.holds(when):
            blame = _blame(
                'volume error', 'cinder-volume', 'storage',
                WEIGHTS['volume error'],
                f'cinder-volume failed: a volume is in state {status}',
                'Read the log of cinder-volume for the id of the volume.',
                direct=False)
        elif status in ('creating', 'attaching', 'detaching', 'deleting') \
                and when and window.present and window.now - when > STUCK:
            blame = _blame(
                'volume stuck', 'cinder-volume', 'hang',
                WEIGHTS['volume stuck'],
                f'cinder-volume does not end: a volume stays {status}',
                'Check that cinder-volume runs and is not stuck.',
                direct=False)
        else:
            continue
        where = f' on {host}' if host else ''
        found.append(Fact(
            f'cinder:/volumes/{uuid}', 'volume',
            f'Volume {uuid} ("{text(row.get("name"), _MOST_NAME)}"){where} '
            f'is {status} since {_told(when)}.', when, 'cinder',
            'cinder-volume', host, (uuid,),
            text(row.get('os-vol-tenant-attr:tenant_id')), blames=(blame,)))
    return found


def quotas(answer: Body, name: str, project: str, source: str) -> list[Fact]:
    """Limits that a project has reached.

    :param answer: of the API's call for quotas and what is used of them
    :param name: ``nova``, ``neutron`` or ``cinder``
    :param project: id of the project
    :param source: path of the call
    """
    reached = []
    held = part(answer, 'quota' if name == 'neutron' else 'quota_set')
    for what in sorted(held):
        row = part(held, what)
        limit = number(row.get('limit'))
        used = number(row.get('in_use', row.get('used')))
        if limit is None or used is None or limit < 0:
            continue
        used += number(row.get('reserved')) or 0
        # Limits of 0 forbid what nobody may have; those are no surprise.
        if used >= limit > 0 or used > limit:
            reached.append(f'{text(what, _MOST_NAME)} {used} of {limit}')
    if not reached:
        return []
    component = APIS[name]
    return [Fact(
        source, 'quota', f'Project {project} is at its limits of {name}: '
        f'{", ".join(reached[:20])}.', None, name, component,
        project=project, blames=(_blame(
            'quota reached', component, 'quota', WEIGHTS['quota'],
            f'The project is at its quota, which {component} enforces',
            'Delete what is not needed, or raise the quota of the project '
            '(openstack quota show --usage, openstack quota set).'),))]


#: What it says of an API that it did not answer as it should: clue,
#: category and the cause.
API_CLUES = {
    'refused': ('api refused', 'process_down',
                '{} does not accept connections'),
    'slow': ('api slow', 'hang', '{} does not answer requests in time'),
    'failing': ('api failing', 'unknown', '{} fails to answer requests')}


def verb(name: str) -> str:
    """How a project is asked: Keystone for a token, the others with GET."""
    return 'POST' if name == 'keystone' else 'GET'


def api(name: str, path: str, how: str, told: str) -> Fact:
    """An API that did not answer as it should.

    :param name: of the project
    :param path: what was asked
    :param how: one of :data:`API_CLUES`
    :param told: what happened
    """
    clue, category, cause = API_CLUES[how]
    component = APIS[name]
    return Fact(
        f'{name}:{path}', 'api', f'{name} {told} {verb(name)} {path}.', None,
        name,
        component, blames=(_blame(
            clue, component, category, WEIGHTS[clue], cause.format(component),
            f'Check that {component} runs and that its endpoint in the '
            'catalog can be reached from the host of the engine.',
            direct=how == 'refused'),))


def row(fact: Fact, now: datetime.datetime) -> dict[str, Any]:
    """A fact in the shape of an event, for those who read events."""
    found: dict[str, Any] = dict.fromkeys(schema.EVENTS)
    return found | {
        'timestamp': fact.timestamp or now, 'kind': 'resource',
        'service': fact.service, 'binary': fact.binary, 'host': fact.host,
        # An API tells no level, and a fact has no line.
        'level': 0, 'logger': '', 'line': 0, 'lines': 0, 'offset': 0,
        'length': 0, 'body': 0, 'template': 0,
        'request_id': fact.request or None,
        'project_id': fact.project or None,
        'resources': list(fact.resources), 'addresses': [],
        'source': fact.source, 'text': fact.text, 'related': fact.related,
        'count': 1, 'together': None, 'expected': None, 'score': 0.0,
        'why': 'what the cloud says', 'sign': None}


def findings(facts: list[Fact], others: list[ranking.Finding],
             now: datetime.datetime, named: bool = False
             ) -> list[ranking.Finding]:
    """What the facts say of whose fault it is.

    :param facts: all that came
    :param others: what the logs say: a limit or a lack counts more where
        something was refused for it
    :param now: the time of facts that have none
    :param named: whether the question names resources
    """
    refused = {f.component for f in others if f.category == 'quota'}
    missed = any(f.component == 'compute-capacity' for f in others) \
        or any(_NO_HOST.search(f.said) for f in facts)
    found = []
    for fact in facts:
        shown = row(fact, now)
        component = components.of_binary(fact.binary)
        blames = clues.read(clues.Message(
            fact.said, component, schema.ERROR, None, 'log')) \
            if fact.said else ()
        for blame in blames or fact.blames:
            weight = blame.weight
            if blame.clue == 'quota reached' and blame.component in refused:
                weight = WEIGHTS['quota and refused']
            elif blame.clue == 'hosts full' and missed:
                weight = WEIGHTS['full and missed']
            if named and not fact.related and fact.resources:
                weight *= WEIGHTS['others']
            found.append(ranking.Finding(
                component=blame.component, category=blame.category,
                clue=blame.clue, weight=weight, cause=blame.cause,
                remedy=blame.remedy, direct=blame.direct, events=[shown],
                host=_host(blame, fact, component),
                related=fact.related, since=fact.timestamp))
    return found


def _host(blame: clues.Blame, fact: Fact, component: str) -> str:
    """The host that a blame means."""
    if blame.component not in _HOSTED or not (
            blame.component in (component, 'disk', 'libvirt', 'network')
            or fact.kind == 'port'):
        return ''
    return fact.host.split('@')[0]
