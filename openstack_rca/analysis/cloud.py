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
"""The cloud's own word: what its APIs say of servers, services and limits.

Asked with GET alone, with the credentials of the engine, while events are
read: a few threads ask, and all together they have one deadline. An API that
does not answer, refuses, or answers nonsense is told in the report, and is
never a reason why there is none. Answers are kept for a while, so that
analyses that follow each other ask once.

What is so now says nothing of last week: states of services, limits and
capacity are asked for only where the time under question reaches into the
present. Faults and actions of servers have times of their own.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import datetime
import functools
import json
import threading
import time
from typing import Any
import urllib.parse

from oslo_config import cfg
from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import cloudfacts
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.conf import cloud as options

LOG = logging.getLogger(__name__)

#: Bytes of one answer. 200 hypervisors are a quarter of it.
_MOST_BYTES = 2 << 20
#: Calls of one analysis, and answers that are kept.
_MOST_CALLS = 80
_MOST_KEPT = 400
#: Seconds for which what was refused is not asked for again: refusals fill
#: the very logs that are analysed.
_REFUSED = 3600.0
_THREADS = 8
#: UUIDs of the question that are asked about, and servers, volumes and
#: projects besides.
_MOST_ASKED = 5
_MOST_SERVERS = 20
_MOST_LOOKED_INTO = 5
_MOST_VOLUMES = 20
_MOST_PROJECTS = 3
#: What is left of the time limit, at least, for what was found out only from
#: the events.
_LEAST_LEFT = 0.25
#: Microversions whose answers are understood; an older cloud's newest counts.
_SERVERS = '2.84'
_SERVICES = '2.53'
_QUOTAS = '2.50'
_CANDIDATES = '1.29'
_CLASSES = ('VCPU', 'MEMORY_MB', 'DISK_GB')

#: One call of each project that needs the role, for a check.
_CHECKED = (
    ('identity', '/auth/tokens', None),
    ('compute', '/os-services', _SERVICES),
    ('network', '/agents', None),
    ('block_storage', '/os-services', None),
    ('placement', '/allocation_candidates?limit=1&resources=VCPU:1',
     _CANDIDATES))
_ADVICE = ('The credentials of [cloud] lack a role: the administrator guide '
           'says which one they need')
_LOGIN = 'Correct the user and the password in [cloud]'

Body = dict[str, Any]


class _Fault(Exception):
    """A call that brought nothing.

    :param how: ``refused``, ``slow``, ``failing``, ``denied``, ``absent`` or
        ``odd``
    :param told: what happened, to stand between the name and the path
    """

    def __init__(self, how: str, told: str) -> None:
        super().__init__(told)
        self.how = how
        self.told = told


@dataclasses.dataclass
class _Call:
    """A call that is or was made.

    :param done: set when it is over
    :param moment: when that was, on the monotonic clock
    :param body: the answer
    :param fault: why there is none
    """

    done: threading.Event
    moment: float = 0.0
    body: Body | None = None
    fault: _Fault | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came in time.

    :param facts: what the cloud says
    :param missing: what it did not: ``source``, ``reason``, ``bytes``
    :param now: when it was asked, UTC without a zone
    :param named: whether the question names resources
    """

    facts: list[cloudfacts.Fact]
    missing: list[dict[str, Any]]
    now: datetime.datetime
    named: bool = False

    def findings(self, others: list[ranking.Finding]) -> list[
            ranking.Finding]:
        """What it says of whose fault it is.

        :param others: what the logs say
        """
        return cloudfacts.findings(self.facts, others, self.now, self.named)


class Cloud:
    """Asks a cloud, and keeps the answers for a while.

    :param connection: an ``openstack.connection.Connection``
    :param limit: seconds that an analysis waits at most for all answers
    :param cache_time: seconds that an answer is kept
    :param most: facts of an analysis at most
    :param recent: seconds before the present in which the time under
        question has to end, for the present state to say something of it
    """

    def __init__(self, connection: Any, *, limit: float = 2.0,
                 cache_time: float = 30.0, most: int = 100,
                 recent: float = 900.0) -> None:
        self.limit = limit
        self.most = most
        self.recent = datetime.timedelta(seconds=recent)
        self._cache_time = cache_time
        self._connection = connection
        self._calls: dict[tuple[str, str], _Call] = {}
        self._refused: dict[tuple[str, str], tuple[float, _Fault]] = {}
        self._lock = threading.Lock()
        self._opening = {name: threading.Lock()
                         for name in cloudfacts.PROJECTS}

    def ask(self, scope: scopes.Scope,
            since: datetime.datetime | None = None,
            until: datetime.datetime | None = None) -> 'Inquiry':
        """Begin to ask what a question needs.

        :param scope: what the question is about
        :param since: when the first event was logged, UTC without a zone
        :param until: when the last one was
        """
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        last = scope.until or until
        return Inquiry(self, scope, cloudfacts.Window(
            scope.since or since, scope.until, now,
            last is not None and last >= now - self.recent))

    def warm(self) -> None:
        """Log in and find the services, in a thread, before a question."""
        threading.Thread(target=self._warm, daemon=True,
                         name='cloud').start()

    def _warm(self) -> None:
        try:
            self.get('identity', '/auth/tokens', None,
                     time.monotonic() + self.limit)
            for service in cloudfacts.PROJECTS:
                if service != 'identity':
                    self._opened(service, _SERVICES)
        except Exception as error:
            # The first question meets it, too, and tells it.
            LOG.debug('Not warm: %r', error)

    def check(self) -> list[str]:
        """See whether the credentials are good for it.

        :returns: what is wrong, in words
        """
        deadline = time.monotonic() + 4 * self.limit
        wrong = []
        absent = 0
        denied = False
        for service, path, version in _CHECKED:
            name = cloudfacts.PROJECTS[service]
            try:
                found = self.get(service, path, version, deadline)
            except _Fault as fault:
                absent += fault.how == 'absent'
                denied |= fault.how == 'denied'
                if fault.how != 'absent':
                    wrong.append(f'{name} {fault.told} '
                                 f'{cloudfacts.verb(name)} {path}')
                if service == 'identity':
                    return wrong + [_LOGIN] * denied
                continue
            if service == 'network' and not found.get('agents'):
                wrong.append(
                    'neutron shows no agent; it shows none to those who lack '
                    'the role')
        if denied:
            wrong.append(_ADVICE)
        if absent == len(_CHECKED) - 1:
            wrong.append(
                'The catalog has no endpoint for nova, neutron, cinder and '
                'placement; see [cloud] region_name and interface')
        return wrong

    def get(self, service: str, path: str, version: str | None,
            deadline: float) -> Body:
        """An answer: one that is kept, one that is under way, or a new one.

        :param service: as openstacksdk names it
        :param path: with the query
        :param version: newest microversion that is understood
        :param deadline: on the monotonic clock
        :raises _Fault: there is none
        """
        key = service, path
        kind = service, path.partition('?')[0].split('/')[1]
        with self._lock:
            refused = self._refused.get(kind)
            if refused and time.monotonic() - refused[0] < _REFUSED:
                raise refused[1]
            call = self._calls.get(key)
            mine = call is None or (
                call.done.is_set()
                and time.monotonic() - call.moment >= self._cache_time)
            if mine:
                call = self._calls[key] = _Call(threading.Event())
                self._forget()
        assert call is not None
        if mine:
            self._make(call, service, path, version, deadline)
        elif not call.done.wait(max(0.0, deadline - time.monotonic())):
            raise self.slow()
        if call.fault:
            if call.fault.how == 'denied':
                self._refused[kind] = time.monotonic(), call.fault
            raise call.fault
        return call.body or {}

    def _forget(self) -> None:
        """Let the oldest answers go."""
        over = [k for k, c in self._calls.items() if c.done.is_set()
                and time.monotonic() - c.moment >= self._cache_time]
        more = len(self._calls) - len(over) - _MOST_KEPT
        if more > 0:
            over += [k for k, c in self._calls.items()
                     if c.done.is_set() and k not in over][:more]
        for key in over:
            del self._calls[key]

    def _make(self, call: _Call, service: str, path: str,
              version: str | None, deadline: float) -> None:
        try:
            call.body = self._send(service, path, version, deadline)
        except _Fault as fault:
            call.fault = fault
        except Exception as error:
            LOG.debug('%s %s: %r', service, path, error)
            call.fault = self._understood(error, service)
        except BaseException:
            call.fault = _Fault('odd', 'was not asked')
            raise
        finally:
            call.moment = time.monotonic()
            call.done.set()

    def _send(self, service: str, path: str, version: str | None,
              deadline: float) -> Body:
        """Send a call, and read what comes.

        :raises _Fault: it is of no use
        """
        if service == 'identity':
            # It is asked for a token alone, which the session keeps.
            self._connection.session.get_token()
            return {}
        proxy, newest = self._opened(service, version)
        left = deadline - time.monotonic()
        if left <= 0:
            raise self.slow()
        answer = proxy.get(
            path, microversion=newest, raise_exc=False, redirect=False,
            log=False, stream=True, timeout=left)
        try:
            return self._read(answer, deadline)
        finally:
            answer.close()

    def _opened(self, service: str, version: str | None) -> tuple[
            Any, str | None]:
        """The proxy of a service, and the microversion to speak."""
        from openstack import utils
        with self._opening[service]:
            # The first one finds out where the service is, and what it
            # speaks.
            proxy = getattr(self._connection, service)
            return proxy, utils.maximum_supported_microversion(
                proxy, version)

    def _read(self, answer: Any, deadline: float) -> Body:
        """The object that an answer holds.

        :raises _Fault: it holds none
        """
        status = answer.status_code
        if status in (401, 403):
            raise _Fault('denied', f'refused ({status})')
        if status == 404:
            raise _Fault('absent', 'knows nothing of')
        if status >= 500:
            raise _Fault('failing', f'answered with {status} to')
        if status != 200:
            raise _Fault('odd', f'answered with {status} to')
        data = bytearray()
        for chunk in answer.iter_content(1 << 16):
            data += chunk
            if len(data) > _MOST_BYTES:
                raise _Fault('odd', f'answered with more than {_MOST_BYTES} '
                             'bytes to')
            if time.monotonic() > deadline:
                raise self.slow()
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise _Fault('odd', 'answered with what is no JSON object to')
        return found

    def slow(self) -> _Fault:
        """What it is called when the time is over."""
        return _Fault('slow', f'did not answer within {self.limit:g} s:')

    def _understood(self, error: Exception, service: str) -> _Fault:
        """What an exception of the libraries means."""
        from keystoneauth1 import exceptions
        from openstack import exceptions as sdk
        import requests
        if isinstance(error, exceptions.SSLError):
            return _Fault('odd', 'has a certificate that is not trusted, see '
                          '[cloud] cafile:')
        if isinstance(error, (exceptions.ConnectTimeout, requests.Timeout)) \
                or 'timed out' in str(error):
            return self.slow()
        if isinstance(error, (exceptions.ConnectFailure,
                              requests.ConnectionError)):
            return _Fault('refused', 'does not accept connections:')
        if isinstance(error, exceptions.DiscoveryFailure):
            # The identity service, or what stands before it.
            return _Fault('failing', 'tells no version of its API to')
        if isinstance(error, (exceptions.CatalogException,
                              sdk.EndpointNotFound,
                              sdk.ServiceDisabledException)):
            return _Fault('absent', 'is not in the catalog:')
        if isinstance(error, exceptions.HttpError):
            status = error.http_status or 0
            if status in (401, 403, 404) and service == 'identity':
                return _Fault('denied', f'refused ({status})')
            if status >= 500:
                return _Fault('failing', f'answered with {status} to')
        return _Fault('odd', f'cannot be asked ({type(error).__name__}):')


class Inquiry:
    """Calls under way for one question.

    :param cloud: whom they ask
    :param scope: what the question is about
    :param window: its time
    """

    def __init__(self, cloud: Cloud, scope: scopes.Scope,
                 window: cloudfacts.Window) -> None:
        self._cloud = cloud
        self._scope = scope
        self._window = window
        self._deadline = time.monotonic() + cloud.limit
        self._changed = threading.Condition()
        self._closed = False
        self._tasks: deque[Callable[[], None]] = deque()
        self._pending = 0
        self._threads = 0
        self._sent = 0
        self._open: dict[str, tuple[str, str]] = {}
        self._facts: dict[str, cloudfacts.Fact] = {}
        self._faults: list[tuple[str, str, _Fault]] = []
        self._answered: set[str] = set()
        self._hosts: set[str] = set()
        self._looked: set[str] = set()
        self._projects: dict[str, None] = {}
        self._connected = False
        self._do(self._begin)

    def answer(self, others: Iterable[ranking.Finding]) -> Answer:
        """What came, when all came or the time is over.

        :param others: what the logs say: the projects of whom something was
            refused are asked about, too
        """
        projects = dict.fromkeys(
            str(e['project_id']) for f in others if f.category == 'quota'
            for e in f.events if e.get('project_id'))
        with self._changed:
            self._deadline = max(self._deadline, time.monotonic()
                                 + self._cloud.limit * _LEAST_LEFT)
            self._changed.wait_for(
                lambda: self._connected or not self._pending,
                self._left())
            connected = self._connected
        if connected:
            for project in projects:
                self._quotas(project)
        with self._changed:
            self._changed.wait_for(lambda: not self._pending, self._left())
            self._closed = True
            self._faults += [(*key, self._cloud.slow())
                             for key in self._open.values()]
            return Answer(self._told(), self._missing(), self._window.now,
                          bool(self._scope.resources))

    def _over(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self._closed

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    # How calls are made.

    def _do(self, task: Callable[[], None]) -> None:
        """Have something done by one of the threads."""
        with self._changed:
            if self._closed or self._sent >= _MOST_CALLS:
                return
            self._sent += 1
            self._pending += 1
            self._tasks.append(task)
            if self._threads >= _THREADS:
                return
            self._threads += 1
        # A call that hangs must not keep the process from its end.
        threading.Thread(target=self._work, daemon=True,
                         name='cloud').start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._closed or not self._tasks:
                    self._threads -= 1
                    return
                task = self._tasks.popleft()
            try:
                task()
            except Exception as error:
                # A form that nobody foresaw; the others may be fine.
                LOG.warning('An answer of the cloud is not understood: %r',
                            error)
            finally:
                with self._changed:
                    self._pending -= 1
                    self._changed.notify_all()

    def _get(self, service: str, path: str,
             version: str | None = None) -> Body | None:
        """An answer; None where there is none, which is noted."""
        key = cloudfacts.PROJECTS[service], path.partition('?')[0]
        with self._changed:
            if self._over():
                return None
            self._open[service + path] = key
        fault = None
        body = None
        try:
            body = self._cloud.get(service, path, version, self._deadline)
        except _Fault as error:
            fault = error
        with self._changed:
            if self._over():
                return None
            self._open.pop(service + path, None)
            if fault:
                self._faults.append((*key, fault))
            else:
                self._answered.add(key[0])
        return body

    def _keep(self, facts: Iterable[cloudfacts.Fact]) -> None:
        with self._changed:
            for fact in facts:
                self._facts.setdefault(fact.source, fact)

    # What is asked.

    def _begin(self) -> None:
        """Log in, and ask the rest."""
        if self._get('identity', '/auth/tokens') is None:
            return
        asked = self._scope.resources[:_MOST_ASKED]
        for uuid in asked:
            self._do(functools.partial(self._asked, uuid))
        self._do(self._failed_servers)
        if self._window.present:
            self._do(self._services)
            self._do(self._agents)
            self._do(self._volume_services)
            self._do(self._hypervisors)
            for name in _CLASSES:
                self._do(functools.partial(self._class, name))
        for status in ('error', 'creating', 'attaching'):
            self._do(functools.partial(self._volumes, status))
        with self._changed:
            self._connected = True
            self._changed.notify_all()

    def _services(self) -> None:
        answer = self._get('compute', '/os-services', _SERVICES)
        if answer:
            self._keep(cloudfacts.down(answer, 'nova', self._window))

    def _volume_services(self) -> None:
        answer = self._get('block_storage', '/os-services')
        if answer:
            self._keep(cloudfacts.down(answer, 'cinder', self._window))

    def _agents(self) -> None:
        answer = self._get('network', '/agents?' + '&'.join(
            f'fields={name}' for name in (
                'id', 'binary', 'host', 'alive', 'admin_state_up',
                'agent_type', 'heartbeat_timestamp')))
        if answer:
            self._keep(cloudfacts.dead(answer, self._window))

    def _hypervisors(self) -> None:
        # A newer microversion asks each host for its uptime.
        answer = self._get('compute', '/os-hypervisors/detail', _SERVICES)
        if answer:
            self._keep(cloudfacts.full(answer))

    def _candidates(self, resources: str) -> Body | None:
        return self._get(
            'placement', '/allocation_candidates?limit=1&resources='
            + urllib.parse.quote(resources, safe=':,'), _CANDIDATES)

    def _class(self, name: str) -> None:
        answer = self._candidates(f'{name}:1')
        if answer:
            self._keep(cloudfacts.used_up(answer, name))

    def _failed_servers(self) -> None:
        since = self._window.since
        query = {'all_tenants': '1', 'status': 'ERROR',
                 'limit': str(_MOST_SERVERS)}
        if since:
            query['changes-since'] = f'{since:%Y-%m-%dT%H:%M:%SZ}'
        answer = self._get('compute', '/servers/detail?'
                           + urllib.parse.urlencode(query), _SERVERS)
        read = [cloudfacts.server(row, self._window) for row in
                cloudfacts.rows(answer or {}, 'servers')[:_MOST_SERVERS]]
        failed = [(made, facts) for made, facts in read if facts
                  and made.uuid not in self._scope.resources]
        for made, facts in failed:
            self._keep(facts)
        if self._scope.resources:
            # The question is about others.
            return
        # Where no host was found, the cloud can say what is short.
        failed.sort(key=lambda f: not f[0].failed)
        for made, _facts in failed[:_MOST_LOOKED_INTO]:
            self._look_into(made)

    def _asked(self, uuid: str) -> None:
        """Ask what an id of the question is of.

        A server is the likeliest, and every service that is asked in vain
        logs it, in lines that name the id.
        """
        answer = self._get('compute', f'/servers/{uuid}', _SERVERS)
        row = cloudfacts.part(answer or {}, 'server')
        if not row:
            self._do(functools.partial(self._volume, uuid))
            self._do(functools.partial(self._port, uuid))
            return
        made, facts = cloudfacts.server(row, self._window)
        self._keep(facts)
        with self._changed:
            self._hosts |= {made.host} - {''}
        self._look_into(made)
        for volume in made.volumes:
            self._do(functools.partial(self._volume, volume))
        if self._window.present:
            self._do(functools.partial(self._ports_of, made))
            self._do(functools.partial(self._allocations, made))

    def _look_into(self, server: cloudfacts.Server) -> None:
        """Ask for more of a server that is asked about, or failed."""
        self._do(functools.partial(self._actions, server))
        if not self._window.present:
            return
        if server.failed and server.resources:
            self._do(functools.partial(self._room, server))
        if server.uuid in self._scope.resources or server.status == 'ERROR':
            self._quotas(server.project)

    def _actions(self, server: cloudfacts.Server) -> None:
        path = f'/servers/{server.uuid}/os-instance-actions'
        answer = self._get('compute', path, _SERVERS)
        for request in cloudfacts.actions(answer or {}, self._window):
            whole = self._get('compute', f'{path}/{request}', _SERVERS)
            if not whole:
                continue
            hosts, facts = cloudfacts.action(whole, server.uuid,
                                             self._window)
            self._keep(facts)
            if server.uuid in self._scope.resources:
                with self._changed:
                    self._hosts |= set(hosts)

    def _room(self, server: cloudfacts.Server) -> None:
        wanted = [server.resources, *server.resources.split(',')]
        answers = {w: found for w in dict.fromkeys(wanted)
                   if (found := self._candidates(w)) is not None}
        self._keep(cloudfacts.no_room(answers, server))

    def _allocations(self, server: cloudfacts.Server) -> None:
        answer = self._get('placement', f'/allocations/{server.uuid}',
                           _CANDIDATES)
        if answer:
            self._keep(cloudfacts.unallocated(answer, server))

    def _ports_of(self, server: cloudfacts.Server) -> None:
        answer = self._get('network', f'/ports?device_id={server.uuid}')
        if answer:
            self._keep(cloudfacts.ports(answer, server))

    def _port(self, uuid: str) -> None:
        if not self._window.present:
            return
        answer = self._get('network', f'/ports/{uuid}')
        row = cloudfacts.part(answer or {}, 'port')
        if row:
            self._keep(cloudfacts.ports({'ports': [row]}, None))

    def _volume(self, uuid: str) -> None:
        with self._changed:
            if uuid in self._looked:
                return
            self._looked.add(uuid)
        answer = self._get('block_storage', f'/volumes/{uuid}')
        row = cloudfacts.part(answer or {}, 'volume')
        if row:
            self._keep(cloudfacts.volumes([row], self._window))

    def _volumes(self, status: str) -> None:
        answer = self._get(
            'block_storage', '/volumes/detail?all_tenants=1&status='
            f'{status}&limit={_MOST_VOLUMES}&sort=updated_at:desc')
        self._keep(cloudfacts.volumes(cloudfacts.rows(
            answer or {}, 'volumes')[:_MOST_VOLUMES], self._window))

    def _quotas(self, project: str) -> None:
        """Ask for the limits of a project, and what it uses of them."""
        with self._changed:
            if (not project.isalnum() or project in self._projects
                    or not self._window.present
                    or len(self._projects) >= _MOST_PROJECTS):
                return
            self._projects[project] = None
        for service, path, version in (
                ('compute', f'/os-quota-sets/{project}/detail', _QUOTAS),
                ('block_storage', f'/os-quota-sets/{project}?usage=True',
                 None),
                ('network', f'/quotas/{project}/details', None)):
            self._do(functools.partial(
                self._quota, service, path, version, project))

    def _quota(self, service: str, path: str, version: str | None,
               project: str) -> None:
        answer = self._get(service, path, version)
        if answer:
            name = cloudfacts.PROJECTS[service]
            self._keep(cloudfacts.quotas(answer, name, project,
                                         f'{name}:{path}'))

    # What came of it.

    def _told(self) -> list[cloudfacts.Fact]:
        """The facts, those of what is asked about first."""
        facts = list(self._facts.values())
        if self._window.present:
            worst: dict[tuple[str, str], cloudfacts.Fact] = {}
            for name, path, fault in sorted(
                    self._faults, key=lambda f: f[:2]):
                # One that answers something in time does not hang: there
                # was too much to ask.
                if fault.how in cloudfacts.API_CLUES and not (
                        fault.how == 'slow' and name in self._answered):
                    worst.setdefault((name, fault.how), cloudfacts.api(
                        name, path, fault.how, fault.told))
            facts += worst.values()
        facts = [dataclasses.replace(f, related=self._related(f))
                 for f in facts]
        return sorted(facts, key=lambda f: (
            not f.related, f.source))[:self._cloud.most]

    def _related(self, fact: cloudfacts.Fact) -> bool:
        return bool(set(fact.resources).intersection(self._scope.resources)
                    or fact.kind in ('service', 'agent')
                    and fact.host.split('@')[0] in self._hosts)

    def _missing(self) -> list[dict[str, Any]]:
        """What was not told, and why, for each project and reason."""
        told: dict[tuple[str, str], list[str]] = {}
        for name, path, fault in sorted(self._faults, key=lambda f: f[:2]):
            if fault.how != 'absent':
                advice = '' if fault.how != 'denied' else '. ' + (
                    _LOGIN if name == 'keystone' else _ADVICE)
                told.setdefault((
                    name, f'{fault.told} {cloudfacts.verb(name)} {{}}'
                    + advice), []).append(path)
        found = []
        for (name, reason), paths in told.items():
            more = f' and {len(paths) - 1} more' if len(paths) > 1 else ''
            found.append({
                'source': f'{name}:{paths[0]}',
                'reason': f'{name} ' + reason.format(paths[0] + more),
                'bytes': 0})
        return found


def configured() -> Cloud | None:
    """The cloud of the configuration, or None.

    openstacksdk is imported here and sends nothing: the first question does.

    :raises InvalidInput: the credentials are not complete
    """
    options.register_auth(conf.CONF)
    told = conf.CONF.cloud
    if not told.enabled or not (told.auth_type or told.auth_section):
        LOG.info('The cloud is not asked: [cloud] has no auth_type, or is '
                 'not enabled')
        return None
    from keystoneauth1 import exceptions
    from keystoneauth1 import loading
    from openstack import connection
    from openstack.config import cloud_region
    try:
        auth = options.auth(conf.CONF)
        session = loading.load_session_from_conf_options(
            conf.CONF, options.GROUP.name, auth=auth)
    except (exceptions.ClientException, cfg.Error, ValueError) as error:
        raise exception.InvalidInput(
            f'The credentials of [cloud] cannot be used: {error}. Correct '
            f'the section, or leave auth_type out.') from error
    session.app_name = 'openstack-rca'
    if session.timeout is None:
        session.timeout = told.time_limit
    region = cloud_region.from_session(
        session, name='cloud', region_name=told.region_name,
        app_name='openstack-rca', interface=told.interface)
    return Cloud(
        connection.Connection(config=region), limit=told.time_limit,
        cache_time=told.cache_time, most=told.max_items, recent=told.recent)
