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
"""What a new cloud needs once: schemas, users, flavors, networks."""

import base64
from collections.abc import Callable
from concurrent import futures
import logging
import os
from typing import Any

import openstack

from tools.cloud import infra
from tools.cloud import layout
from tools.cloud import services

IMAGE = 'cirros'

# Name, virtual CPUs, MiB of memory, GiB of disk. A host has 16, 32768, 400.
FLAVORS = (('m1.nano', 1, 256, 1), ('m1.tiny', 1, 512, 1),
           ('m1.small', 1, 2048, 10), ('m1.medium', 2, 4096, 20),
           ('m1.large', 4, 8192, 40), ('m1.giant', 64, 262144, 100))

# The project's own service: user, type in the catalog.
PRODUCT = ('openstack-rca', 'root-cause-analysis')

_MIB = 1024 ** 2


def connect(cloud: layout.Layout, project: str = 'admin',
            timeout: float = 60.0) -> Any:
    """Log in lazily.

    :param cloud: where
    :param project: ``admin``, or one of the tenants
    :param timeout: seconds that one request may take
    :returns: openstacksdk's connection
    """
    user = 'admin' if project == 'admin' else layout.TENANTS[project]
    return openstack.connection.Connection(
        auth={'auth_url': cloud.auth_url, 'username': user,
              'password': cloud.secret, 'project_name': project,
              'user_domain_name': 'Default',
              'project_domain_name': 'Default'},
        region_name=layout.REGION, api_timeout=timeout,
        app_name='rca-cloud')


def be_quiet() -> None:
    """Let libraries log no line for each request."""
    for name in ('keystoneauth', 'openstack', 'stevedore', 'urllib3'):
        logging.getLogger(name).setLevel(logging.ERROR)


def schemas(cloud: layout.Layout) -> None:
    """Make the tables of all services, and Keystone's first user.

    :param cloud: whose databases run
    :raises layout.CloudError: when one fails
    """
    jobs: tuple[Callable[[layout.Layout], None], ...] = (
        _nova, _neutron, _keystone, _cinder, _glance, _placement)
    # Each waits for the disk as long as it works.
    with futures.ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(job, cloud) for job in jobs]:
            done.result()


def _manage(cloud: layout.Layout, program: str, files: tuple[str, ...],
            *words: str) -> None:
    command = [str(cloud.venv / 'bin' / program)]
    for file in files:
        command += ['--config-file', str(cloud.etc / file)]
    unit = services.Listener(cloud)
    infra.run([*command, *words], {
        name: value for name, value in unit.environment().items()
        if name != 'PYTHONPATH'}, cloud)


def _keystone(cloud: layout.Layout) -> None:
    # keystone-manage fernet_setup writes just this, in five seconds.
    for kind in ('fernet', 'credential'):
        folder = cloud.data / 'keystone' / kind
        folder.chmod(0o700)
        for number in ('0', '1'):
            (folder / number).write_bytes(
                base64.urlsafe_b64encode(os.urandom(32)))
            (folder / number).chmod(0o600)
    file = ('keystone/keystone.conf',)
    _manage(cloud, 'keystone-manage', file, 'db_sync')
    url = cloud.auth_url
    _manage(cloud, 'keystone-manage', file, 'bootstrap',
            '--bootstrap-password', cloud.secret, '--bootstrap-region-id',
            layout.REGION, '--bootstrap-admin-url', url,
            '--bootstrap-public-url', url, '--bootstrap-internal-url', url)


def _placement(cloud: layout.Layout) -> None:
    _manage(cloud, 'placement-manage', ('placement/placement.conf',), 'db',
            'sync')


def _glance(cloud: layout.Layout) -> None:
    _manage(cloud, 'glance-manage', ('glance/glance-api.conf',), 'db_sync')


def _neutron(cloud: layout.Layout) -> None:
    _manage(cloud, 'neutron-db-manage', (
        'neutron/neutron.conf', 'neutron/ml2_conf.ini',
        'neutron/neutron-manage.conf'), 'upgrade', 'heads')


def _cinder(cloud: layout.Layout) -> None:
    _manage(cloud, 'cinder-manage', (
        'cinder/cinder.conf', 'cinder/cinder-manage.conf'), 'db', 'sync')


_NOVA = ('nova/nova.conf', 'nova/nova-manage.conf')


def _nova(cloud: layout.Layout) -> None:
    _manage(cloud, 'nova-manage', _NOVA, 'api_db', 'sync')
    _manage(cloud, 'nova-manage', _NOVA, 'cell_v2', 'map_cell0',
            '--database_connection', cloud.database('nova_cell0'))
    _manage(cloud, 'nova-manage', _NOVA, 'cell_v2', 'create_cell', '--name',
            'cell1', '--database_connection', cloud.database('nova_cell1'),
            '--transport-url', cloud.bus)
    _manage(cloud, 'nova-manage', _NOVA, 'db', 'sync')


def discover(cloud: layout.Layout) -> None:
    """Let Nova know the compute hosts that have come up.

    :param cloud: whose services run
    """
    _manage(cloud, 'nova-manage', _NOVA, 'cell_v2', 'discover_hosts')


def identity(cloud: layout.Layout) -> None:
    """Make users, projects and the catalog; no change when they are there.

    :param cloud: whose Keystone runs
    """
    keystone = connect(cloud).identity
    domain = keystone.find_domain('Default').id
    service = _project(keystone, 'service', domain)
    known = {role.name: role for role in keystone.roles()}
    roles = {name: known.get(name) or keystone.create_role(name=name)
             for name in ('admin', 'service', 'member', 'reader')}
    present = {one.name for one in keystone.services()}
    for name, kind, url in (
            ('nova', 'compute', cloud.url('nova-api', '/v2.1')),
            ('placement', 'placement', cloud.url('placement-api')),
            ('glance', 'image', cloud.url('glance-api')),
            ('neutron', 'network', cloud.url('neutron-api')),
            # Nova asks for the old name, clients for the new one.
            ('cinderv3', 'volumev3', cloud.url('cinder-api', '/v3')),
            ('cinder', 'block-storage', cloud.url('cinder-api', '/v3')),
            (*PRODUCT, cloud.url('rca-api'))):
        if name not in present:
            made = keystone.create_service(name=name, type=kind)
            for interface in ('public', 'internal', 'admin'):
                keystone.create_endpoint(
                    service_id=made.id, interface=interface, url=url,
                    region_id=layout.REGION)
    users: dict[str, tuple[str, tuple[str, ...]]] = {
        name: (service, ('admin', 'service')) for name in (
            'nova', 'placement', 'glance', 'neutron', 'cinder')}
    users[PRODUCT[0]] = (service, ('service',))
    for project, user in layout.TENANTS.items():
        users[user] = (_project(keystone, project, domain),
                       ('member', 'reader'))
    for user, (project_id, granted) in users.items():
        one = keystone.find_user(user) or keystone.create_user(
            name=user, password=cloud.secret, domain_id=domain)
        for role in granted:
            keystone.assign_project_role_to_user(project_id, one.id,
                                                 roles[role].id)


def _project(keystone: Any, name: str, domain: str) -> str:
    project = keystone.find_project(name) or keystone.create_project(
        name=name, domain_id=domain)
    return str(project.id)


def resources(cloud: layout.Layout) -> None:
    """Make flavors, an image, networks and zones; none twice.

    :param cloud: whose services run
    """
    admin = connect(cloud)
    for name, cpus, memory, disk in FLAVORS:
        if not admin.compute.find_flavor(name):
            admin.compute.create_flavor(name=name, vcpus=cpus, ram=memory,
                                        disk=disk)
    if not admin.image.find_image(IMAGE):
        admin.image.create_image(
            IMAGE, data=os.urandom(_MIB) + bytes(3 * _MIB),
            disk_format='raw', container_format='bare', visibility='public')
    for number, project in enumerate(layout.TENANTS, 1):
        owner = admin.identity.find_project(project).id
        _network(admin, f'net-{project}', f'10.{number * 10}.0.0/20',
                 project_id=owner)
        quota(admin, owner)
        # What a fault leaves behind must not fill a small quota.
        admin.set_volume_quotas(owner, volumes=1000, snapshots=1000,
                                gigabytes=5000)
    _network(admin, 'public', '203.0.113.0/24', is_router_external=True,
             provider_network_type='flat',
             provider_physical_network='physnet1')
    known = {one.name: one for one in admin.compute.aggregates()}
    for zone in sorted(set(layout.HOSTS.values())):
        aggregate = known.get(zone) or admin.compute.create_aggregate(
            name=zone, availability_zone=zone)
        for host, where in layout.HOSTS.items():
            if where == zone and host not in (aggregate.hosts or []):
                admin.compute.add_host_to_aggregate(aggregate, host)
    if not admin.block_storage.find_type('files'):
        admin.block_storage.create_type(
            name='files', extra_specs={'volume_backend_name': 'files'})


def quota(admin: Any, project: str, instances: int = 200) -> None:
    """Set how many servers a project may have.

    :param admin: the admin's connection
    :param project: its id
    :param instances: how many
    """
    admin.set_compute_quotas(project, instances=instances,
                             cores=instances * 4, ram=instances * 20000)


def _network(admin: Any, name: str, addresses: str, **more: Any) -> None:
    if admin.network.find_network(name):
        return
    network = admin.network.create_network(name=name, **more)
    admin.network.create_subnet(
        name=name, network_id=network.id, ip_version=4, cidr=addresses,
        enable_dhcp=False, **{key: value for key, value in more.items()
                              if key == 'project_id'})
