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
"""What users do all day: a mixed load on a cloud, through openstacksdk.

Arrivals are random and do not wait for each other. Every operation is a line
of ``ops.jsonl``: when, how long, of which workflow, whether it went well, the
ids of its requests and of what it touched.
"""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import datetime
import json
import logging
import pathlib
import random
import threading
import time
from typing import Any
import uuid

from openstack import exceptions

from tools.cloud import bootstrap
from tools.cloud import layout

LOG = logging.getLogger(__name__)

# All that the load makes, so that it can be found and deleted.
PREFIX = 'ld-'

# How often each workflow comes, in relation to the others.
MIX = {'server': 8, 'list': 7, 'network': 4, 'image': 2, 'volume': 3,
       'mistake': 1}

_WORKERS = 12
_KEPT = 0.88


class Failed(Exception):
    """What was asked for did not come to be."""


class Load:
    """A load on one cloud.

    :param cloud: which
    :param file: where operations are written
    :param rate: workflows a minute
    :param seed: of what is drawn
    """

    def __init__(self, cloud: layout.Layout, file: pathlib.Path,
                 rate: float = 10.0, seed: int = 1) -> None:
        self._cloud = cloud
        self._rate = rate
        self._random = random.Random(seed)
        self._file = file.open('a', buffering=1)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._ids: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in the background until :meth:`stop`."""
        self._learn()
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and give what runs a moment."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(60)

    def run(self, seconds: float | None = None) -> None:
        """Work.

        :param seconds: for so long; by default until :meth:`stop`
        """
        end = None if seconds is None else time.monotonic() + seconds
        if not self._ids:
            self._learn()
        names = list(MIX)
        pool = futures.ThreadPoolExecutor(_WORKERS)
        busy: set[futures.Future[None]] = set()
        while not self._ended.is_set() and (
                end is None or time.monotonic() < end):
            name = self._random.choices(names, list(MIX.values()))[0]
            seed = self._random.getrandbits(32)
            busy = {one for one in busy if not one.done()}
            # A cloud that hangs is not given more and more to do.
            if len(busy) < _WORKERS:
                busy.add(pool.submit(self._work, name, seed))
            wait = self._random.expovariate(self._rate / 60)
            if end is not None:
                wait = min(wait, max(0.0, end - time.monotonic()))
            self._ended.wait(wait)
        self._ended.set()
        futures.wait(busy, 45)
        # What hangs ends with this process.
        pool.shutdown(wait=False, cancel_futures=True)

    def _learn(self) -> None:
        """Look up what clients know: the ids of images and flavors."""
        for project in layout.TENANTS:
            connection = self._connection(project)
            self._ids[f'net-{project}'] = connection.network.find_network(
                f'net-{project}', ignore_missing=False)
        self._ids['image'] = connection.image.find_image(
            bootstrap.IMAGE, ignore_missing=False)
        for name, *_ in bootstrap.FLAVORS:
            self._ids[name] = connection.compute.find_flavor(
                name, ignore_missing=False)

    def _work(self, name: str, seed: int) -> None:
        workflow: Callable[[random.Random], None] = getattr(self, f'_{name}')
        # An operation that failed is in the file, with its reason.
        with contextlib.suppress(Exception):
            workflow(random.Random(seed))

    def _connection(self, project: str) -> Any:
        known = self._local.__dict__.setdefault('connections', {})
        if project not in known:
            connection = bootstrap.connect(self._cloud, project, timeout=90)

            def note(response: Any, *_: Any, **__: Any) -> Any:
                self._local.requests.append((
                    response.request.method, response.status_code,
                    response.headers.get('x-openstack-request-id')))
                return response
            self._local.__dict__.setdefault('requests', [])
            connection.session.session.hooks['response'].append(note)
            known[project] = connection
        return known[project]

    def _find(self, draw: random.Random, name: str,
              find: Callable[[], Any]) -> Any:
        # One client in eight looks a thing up again.
        if name not in self._ids or draw.random() > _KEPT:
            self._ids[name] = find()
        return self._ids[name]

    @contextlib.contextmanager
    def _operation(self, workflow: str, name: str,
                   ids: dict[str, str] | None = None) -> Iterator[None]:
        begun = datetime.datetime.now(datetime.UTC)
        since = time.monotonic()
        self._local.requests = []
        error: str | None = None
        try:
            yield
        except Exception as raised:
            error = f'{type(raised).__name__}: {raised}'[:500]
            raise
        finally:
            asked = self._local.requests
            line = json.dumps({
                't': begun.isoformat(),
                'dt': round(time.monotonic() - since, 2), 'wf': workflow,
                'op': name, 'ok': error is None, 'err': error,
                'req_ids': [request for method, status, request in asked
                            if method != 'GET' or status >= 400][:8],
                'ids': ids or {}})
            with self._lock:
                self._file.write(line + '\n')

    # -- workflows

    def _boot(self, draw: random.Random, project: str, name: str,
              flavor: str, image: Any, ids: dict[str, str],
              workflow: str) -> None:
        connection = self._connection(project)
        network = self._find(draw, f'net-{project}', lambda:
                             connection.network.find_network(
                                 f'net-{project}', ignore_missing=False))
        kind = self._find(draw, flavor, lambda: connection.compute.find_flavor(
            flavor, ignore_missing=False))
        zone = ({'availability_zone': draw.choice(
                    sorted(set(layout.HOSTS.values())))}
                if draw.random() < 0.25 else {})
        with self._operation(workflow, 'create_server', ids):
            server = connection.compute.create_server(
                name=name, image_id=image.id, flavor_id=kind.id,
                networks=[{'uuid': network.id}], **zone)
            ids['server'] = server.id
        with self._operation(workflow, 'wait_active', ids):
            _wait_server(connection, server.id, 'ACTIVE', 150)

    def _delete_server(self, project: str, ids: dict[str, str],
                       workflow: str) -> None:
        if 'server' not in ids:
            return
        connection = self._connection(project)
        with self._operation(workflow, 'delete_server', ids):
            connection.compute.delete_server(ids['server'])
            _wait_gone(lambda: connection.compute.get_server(ids['server']))

    def _server(self, draw: random.Random) -> None:
        project = draw.choice(list(layout.TENANTS))
        kind = draw.choice(('web', 'db', 'ci', 'job'))
        ids: dict[str, str] = {}
        flavor = draw.choice(('m1.nano', 'm1.tiny', 'm1.tiny', 'm1.small',
                              'm1.medium'))
        try:
            self._boot(draw, project, f'{PREFIX}{kind}-{draw.randrange(9999)}',
                       flavor, self._ids['image'], ids, 'server')
            time.sleep(draw.uniform(1, 6))
            for action in draw.sample(
                    ('reboot', 'stop', 'resize', 'attach', 'rename', 'plug',
                     'hold', 'hold', 'pause', 'rebuild', 'lock'),
                    draw.choice((0, 1, 1, 2, 3))):
                if self._ended.is_set():
                    break
                act: Callable[..., None] = getattr(self, f'_act_{action}')
                act(draw, self._connection(project), ids)
        finally:
            with contextlib.suppress(Exception):
                self._delete_server(project, ids, 'server')

    def _act_hold(self, draw: random.Random, *_: Any) -> None:
        time.sleep(draw.uniform(3, 15))

    def _act_reboot(self, draw: random.Random, connection: Any,
                    ids: dict[str, str]) -> None:
        with self._operation('server', 'reboot', ids):
            connection.compute.reboot_server(
                ids['server'], draw.choice(('SOFT', 'HARD')))
            _wait_server(connection, ids['server'], 'ACTIVE', 60)

    def _act_stop(self, _: random.Random, connection: Any,
                  ids: dict[str, str]) -> None:
        with self._operation('server', 'stop', ids):
            connection.compute.stop_server(ids['server'])
            _wait_server(connection, ids['server'], 'SHUTOFF', 90)
        with self._operation('server', 'start', ids):
            connection.compute.start_server(ids['server'])
            _wait_server(connection, ids['server'], 'ACTIVE', 90)

    def _act_resize(self, _: random.Random, connection: Any,
                    ids: dict[str, str]) -> None:
        with self._operation('server', 'resize', ids):
            connection.compute.resize_server(ids['server'],
                                             self._ids['m1.large'].id)
            _wait_server(connection, ids['server'], 'VERIFY_RESIZE', 120)
        with self._operation('server', 'confirm_resize', ids):
            connection.compute.confirm_server_resize(ids['server'])
            _wait_server(connection, ids['server'], 'ACTIVE', 90)

    def _act_attach(self, draw: random.Random, connection: Any,
                    ids: dict[str, str]) -> None:
        volumes = connection.block_storage
        with self._operation('server', 'attach_volume', ids):
            volume = volumes.create_volume(
                size=1, name=f'{PREFIX}vol-{draw.randrange(9999)}')
            ids['volume'] = volume.id
            volumes.wait_for_status(volume, 'available', ['error'], 1, 60)
            connection.compute.create_volume_attachment(
                ids['server'], volume_id=volume.id)
            volumes.wait_for_status(volume, 'in-use', ['error'], 1, 60)
        time.sleep(draw.uniform(1, 5))
        with self._operation('server', 'detach_volume', ids):
            connection.compute.delete_volume_attachment(ids['server'],
                                                        volume.id)
            volumes.wait_for_status(volume, 'available', ['error'], 1, 60)
            volumes.delete_volume(volume)

    def _act_rename(self, draw: random.Random, connection: Any,
                    ids: dict[str, str]) -> None:
        with self._operation('server', 'rename', ids):
            connection.compute.update_server(
                ids['server'], name=f'{PREFIX}new-{draw.randrange(9999)}')

    def _act_plug(self, _: random.Random, connection: Any,
                  ids: dict[str, str]) -> None:
        project = connection.config.auth['project_name']
        with self._operation('server', 'attach_interface', ids):
            plugged = connection.compute.create_server_interface(
                ids['server'], net_id=self._ids[f'net-{project}'].id)
        time.sleep(2)
        with self._operation('server', 'detach_interface', ids):
            connection.compute.delete_server_interface(
                plugged.port_id, server=ids['server'])
            time.sleep(2)

    def _act_pause(self, _: random.Random, connection: Any,
                   ids: dict[str, str]) -> None:
        with self._operation('server', 'pause', ids):
            connection.compute.pause_server(ids['server'])
            _wait_server(connection, ids['server'], 'PAUSED', 60)
        with self._operation('server', 'unpause', ids):
            connection.compute.unpause_server(ids['server'])
            _wait_server(connection, ids['server'], 'ACTIVE', 60)

    def _act_rebuild(self, _: random.Random, connection: Any,
                     ids: dict[str, str]) -> None:
        with self._operation('server', 'rebuild', ids):
            connection.compute.rebuild_server(ids['server'],
                                              self._ids['image'].id)
            time.sleep(2)
            _wait_server(connection, ids['server'], 'ACTIVE', 90)

    def _act_lock(self, _: random.Random, connection: Any,
                  ids: dict[str, str]) -> None:
        with self._operation('server', 'lock', ids):
            connection.compute.lock_server(ids['server'])
            connection.compute.unlock_server(ids['server'])

    def _list(self, draw: random.Random) -> None:
        project = draw.choice((*layout.TENANTS, 'admin'))
        c = self._connection(project)
        kinds: dict[str, Callable[[], Any]] = {
            'servers': c.compute.servers, 'flavors': c.compute.flavors,
            'images': c.image.images, 'networks': c.network.networks,
            'volumes': c.block_storage.volumes, 'ports': c.network.ports,
            'groups': c.network.security_groups}
        if project == 'admin':
            kinds |= {'projects': c.identity.projects,
                      'services': c.compute.services,
                      'agents': c.network.agents,
                      'hypervisors': lambda: c.compute.hypervisors(
                          details=True)}
        for kind in draw.sample(sorted(kinds), 3):
            with contextlib.suppress(Exception), self._operation(
                    'list', kind):
                list(kinds[kind]())

    def _network(self, draw: random.Random) -> None:
        project = draw.choice(list(layout.TENANTS))
        network = self._connection(project).network
        name = f'{PREFIX}net-{draw.randrange(9999)}'
        ids: dict[str, str] = {}
        kind = draw.choice(('port', 'port', 'network', 'router', 'group'))
        if kind == 'port':
            with self._operation('network', 'create_port', ids):
                port = network.create_port(
                    network_id=self._ids[f'net-{project}'].id, name=name)
                ids['port'] = port.id
            time.sleep(draw.uniform(0, 5))
            with self._operation('network', 'delete_port', ids):
                network.delete_port(port)
        elif kind == 'group':
            with self._operation('network', 'create_group', ids):
                group = network.create_security_group(name=name)
                network.create_security_group_rule(
                    security_group_id=group.id, direction='ingress',
                    protocol='tcp', port_range_min=22, port_range_max=22)
            with self._operation('network', 'delete_group', ids):
                network.delete_security_group(group)
        else:
            with self._operation('network', 'create_network', ids):
                made = network.create_network(name=name)
                ids['network'] = made.id
                subnet = network.create_subnet(
                    network_id=made.id, ip_version=4, name=name,
                    cidr=f'172.16.{draw.randrange(255)}.0/24',
                    enable_dhcp=False)
            if kind == 'router':
                with self._operation('network', 'create_router', ids):
                    router = network.create_router(name=name)
                    ids['router'] = router.id
                    network.add_interface_to_router(router,
                                                    subnet_id=subnet.id)
                time.sleep(draw.uniform(1, 6))
                with self._operation('network', 'delete_router', ids):
                    network.remove_interface_from_router(
                        router, subnet_id=subnet.id)
                    network.delete_router(router)
            time.sleep(draw.uniform(1, 6))
            with self._operation('network', 'delete_network', ids):
                network.delete_network(made)

    def _image(self, draw: random.Random) -> None:
        project = draw.choice(list(layout.TENANTS))
        image = self._connection(project).image
        ids: dict[str, str] = {}
        with self._operation('image', 'create_image', ids):
            made = image.create_image(
                f'{PREFIX}image-{draw.randrange(9999)}',
                data=draw.randbytes(draw.choice((65536, 2097152))),
                disk_format='raw', container_format='bare',
                allow_duplicates=True, validate_checksum=False)
            ids['image'] = made.id
        time.sleep(draw.uniform(1, 6))
        if draw.random() < 0.4:
            try:
                self._boot(draw, project, f'{PREFIX}own-'
                           f'{draw.randrange(9999)}', 'm1.tiny', made, ids,
                           'image')
            finally:
                self._delete_server(project, ids, 'image')
        with self._operation('image', 'delete_image', ids):
            image.delete_image(made.id)

    def _volume(self, draw: random.Random) -> None:
        volumes = self._connection(draw.choice(list(
            layout.TENANTS))).block_storage
        ids: dict[str, str] = {}
        with self._operation('volume', 'create_volume', ids):
            volume = volumes.create_volume(
                size=draw.choice((1, 1, 2, 5)),
                name=f'{PREFIX}vol-{draw.randrange(9999)}')
            ids['volume'] = volume.id
            volumes.wait_for_status(volume, 'available', ['error'], 1, 90)
        if draw.random() < 0.4:
            with self._operation('volume', 'extend_volume', ids):
                volumes.extend_volume(volume, volume.size + 1)
                time.sleep(2)
                volumes.wait_for_status(
                    volume, 'available', ['error', 'error_extending'], 1, 60)
        if draw.random() < 0.4:
            with self._operation('volume', 'create_snapshot', ids):
                snapshot = volumes.create_snapshot(
                    volume_id=volume.id,
                    name=f'{PREFIX}snap-{draw.randrange(9999)}')
                ids['snapshot'] = snapshot.id
                volumes.wait_for_status(snapshot, 'available', ['error'], 1,
                                        60)
            with self._operation('volume', 'delete_snapshot', ids):
                volumes.delete_snapshot(snapshot)
                _wait_gone(lambda: volumes.get_snapshot(snapshot.id))
        with self._operation('volume', 'delete_volume', ids):
            volumes.delete_volume(volume)
            _wait_gone(lambda: volumes.get_volume(volume.id))

    def _mistake(self, draw: random.Random) -> None:
        """What clients get wrong in every cloud, which is no fault of it."""
        project = draw.choice(list(layout.TENANTS))
        c = self._connection(project)
        unknown = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        kinds: dict[str, Callable[[], Any]] = {
            'unknown_server': lambda: c.compute.get_server(unknown),
            'unknown_image': lambda: c.image.get_image(unknown),
            'unknown_port': lambda: c.network.get_port(unknown),
            'forbidden': lambda: list(c.compute.services()),
            'wrong_flavor': lambda: c.compute.create_server(
                name=f'{PREFIX}bad', image_id=unknown, flavor_id='999',
                networks='none'),
            'unknown_unpause': lambda: c.compute.unpause_server(unknown)}
        kind = draw.choice(sorted(kinds))
        with contextlib.suppress(Exception), self._operation(
                'mistake', kind):
            kinds[kind]()


def _wait_server(connection: Any, server: str, wanted: str,
                 patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        found = connection.compute.get_server(server)
        if found.status == wanted:
            return
        if found.status == 'ERROR':
            raise Failed('server went to ERROR: '
                         f'{(found.fault or {}).get("message")}')
        if time.monotonic() > deadline:
            raise Failed(f'still {found.status}, not {wanted}')
        time.sleep(1.2)


def _wait_gone(get: Callable[[], Any], patience: float = 90) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            found = get()
        except exceptions.NotFoundException:
            return
        if str(getattr(found, 'status', '')).startswith('error'):
            raise Failed(f'state {found.status}')
        time.sleep(1.2)
    raise Failed('not deleted in time')


def clean(cloud: layout.Layout, *prefixes: str) -> None:
    """Delete what a load has left.

    :param cloud: where
    :param prefixes: of the names; by default the load's own
    """
    wanted = prefixes or (PREFIX,)
    admin = bootstrap.connect(cloud)

    def each(found: Callable[[], Any], delete: Callable[[Any], Any]) -> None:
        try:
            ours = [one for one in found()
                    if (one.name or '').startswith(wanted)]
        except Exception as error:
            LOG.warning('Nothing was cleaned up: %s', error)
            return
        for one in ours:
            # What is in use goes with what uses it, or stays.
            with contextlib.suppress(Exception):
                delete(one)

    def servers() -> list[Any]:
        return [one for one in admin.compute.servers(all_projects=True)
                if one.name.startswith(wanted)]

    each(servers, admin.compute.delete_server)
    deadline = time.monotonic() + 30
    with contextlib.suppress(Exception):
        while servers() and time.monotonic() < deadline:
            time.sleep(1)

    def router(one: Any) -> None:
        for port in admin.network.ports(device_id=one.id):
            admin.network.remove_interface_from_router(one, port_id=port.id)
        admin.network.delete_router(one)

    each(admin.network.routers, router)
    each(admin.network.ports, admin.network.delete_port)
    each(admin.network.networks, admin.network.delete_network)
    each(admin.network.security_groups, admin.network.delete_security_group)
    each(admin.image.images, admin.image.delete_image)
    each(lambda: admin.block_storage.snapshots(all_projects=True),
         admin.block_storage.delete_snapshot)

    def volume(one: Any) -> None:
        admin.block_storage.reset_volume_status(
            one.id, status='available', attach_status='detached')
        admin.block_storage.delete_volume(one)

    each(lambda: admin.block_storage.volumes(all_projects=True), volume)
