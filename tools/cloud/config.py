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
"""The configuration of every service of a cloud.

As an operator would have it, but for what is short on purpose, so that a
fault shows within a minute: see :data:`PATIENCE`.
"""

from collections.abc import Mapping
import configparser
import pathlib
import shutil
from typing import Any

import yaml

from tools.cloud import layout

Options = dict[str, dict[str, Any]]

# Seconds instead of one to five minutes: what a service waits for a message's
# answer and for an interface to be plugged. How long a silent service counts
# as alive is left alone: on a busy machine it is silent for half a minute.
PATIENCE = 30

# Seconds that a service waits for the API of another one, where nothing is set
# for ever: less than its own callers wait for it.
_ANSWER = 20

# Seconds, instead of five minutes, until a memcached that was away is used
# again: without it Keystone is asked for each token of each request.
_FORGIVES = 5

_CONTROLLER = 'ctl1'


def write(cloud: layout.Layout, debug: bool = False) -> None:
    """Write all files.

    :param cloud: whose
    :param debug: whether services log at DEBUG
    :raises layout.CloudError: when the services are not installed
    """
    for name in ('keystone', 'placement', 'glance', 'nova', 'neutron',
                 'cinder'):
        (cloud.etc / name).mkdir(exist_ok=True)
    shared = common(cloud, debug)
    _keystone(cloud, shared)
    _placement(cloud, shared)
    _glance(cloud, shared)
    _nova(cloud, shared)
    _neutron(cloud, shared)
    _cinder(cloud, shared)
    _clouds(cloud)


def common(cloud: layout.Layout, debug: bool = False) -> dict[str, Any]:
    """What all services share.

    :param cloud: whose
    :param debug: whether they log at DEBUG
    """
    return {'debug': debug, 'use_stderr': False, 'transport_url': cloud.bus}


def save(path: pathlib.Path, options: Mapping[str, Mapping[str, Any]]
         ) -> None:
    """Write a file of options that holds passwords.

    :param path: of the file
    :param options: by group
    """
    parser = configparser.ConfigParser(interpolation=None)
    for group, values in options.items():
        parser[group] = {name: str(value) for name, value in values.items()}
    path.touch(mode=0o600)
    with path.open('w') as file:
        parser.write(file)


def user(cloud: layout.Layout, name: str) -> dict[str, Any]:
    """The options with which a service logs in.

    :param cloud: where
    :param name: of the service's user
    """
    return {'auth_type': 'password', 'auth_url': cloud.auth_url,
            'project_name': 'service', 'project_domain_name': 'Default',
            'user_domain_name': 'Default', 'username': name,
            'password': cloud.secret, 'region_name': layout.REGION}


def _client(cloud: layout.Layout, name: str) -> dict[str, Any]:
    """The options with which a service asks the API of another one."""
    return {**user(cloud, name), 'timeout': _ANSWER}


def tokens(cloud: layout.Layout, name: str) -> dict[str, Any]:
    """The options with which an API checks tokens.

    :param cloud: where
    :param name: of the service's user
    """
    return {**user(cloud, name), 'www_authenticate_uri': cloud.auth_url,
            'memcached_servers': _cache(cloud),
            'memcache_pool_dead_retry': _FORGIVES,
            # As a proxy in front of Keystone would have it: without, a
            # request waits for ever where Keystone hangs.
            'http_connect_timeout': 10, 'http_request_max_retries': 1,
            'service_token_roles': 'service',
            'service_token_roles_required': True}


def _cache(cloud: layout.Layout) -> str:
    return f'127.0.0.1:{cloud.ports["memcached"]}'


def _bus(cloud: layout.Layout) -> Options:
    return {'oslo_messaging_notifications': {
                'driver': 'messagingv2', 'transport_url': cloud.bus},
            'oslo_messaging_rabbit': {'heartbeat_timeout_threshold': 60}}


def _locks(cloud: layout.Layout, name: str) -> Options:
    path = cloud.run / 'locks' / name
    path.mkdir(parents=True, exist_ok=True)
    return {'oslo_concurrency': {'lock_path': path}}


def _log(cloud: layout.Layout, name: str) -> dict[str, Any]:
    return {'log_file': cloud.logs / f'{name}.log'}


def _copy(cloud: layout.Layout, *names: str) -> None:
    for name in names:
        source = cloud.venv / 'etc' / name
        if not source.exists():
            raise layout.CloudError(
                f'{source} is missing: "python -m tools.cloud install" '
                'installs the services.')
        shutil.copy(source, cloud.etc / name)


def _folders(parent: pathlib.Path, *names: str) -> None:
    for name in names:
        (parent / name).mkdir(parents=True, exist_ok=True)


def _keystone(cloud: layout.Layout, shared: Mapping[str, Any]) -> None:
    data = cloud.data / 'keystone'
    _folders(data, 'fernet', 'credential')
    save(cloud.etc / 'keystone' / 'keystone.conf', {
        'DEFAULT': {**shared, **_log(cloud, 'keystone')},
        'database': {'connection': cloud.database('keystone')},
        'token': {'provider': 'fernet', 'expiration': 14400},
        'fernet_tokens': {'key_repository': data / 'fernet'},
        'fernet_receipts': {'key_repository': data / 'fernet'},
        'credential': {'key_repository': data / 'credential'},
        'cache': {'enabled': True, 'backend': 'dogpile.cache.memcached',
                  'memcache_servers': _cache(cloud),
                  'memcache_dead_retry': _FORGIVES},
        # Logins by the dozen, and none that is worth a quarter of a second.
        'identity': {'password_hash_rounds': 4}, **_bus(cloud)})


def _placement(cloud: layout.Layout, shared: Mapping[str, Any]) -> None:
    save(cloud.etc / 'placement' / 'placement.conf', {
        'DEFAULT': {**shared, **_log(cloud, 'placement-api')},
        'placement_database': {'connection': cloud.database('placement')},
        'keystone_authtoken': tokens(cloud, 'placement')})


def _glance(cloud: layout.Layout, shared: Mapping[str, Any]) -> None:
    _copy(cloud, 'glance/glance-api-paste.ini')
    data = cloud.data / 'glance'
    _folders(data, 'images', 'staging', 'tasks')
    save(cloud.etc / 'glance' / 'glance-api.conf', {
        'DEFAULT': {**shared, **_log(cloud, 'glance-api'),
                    'enabled_backends': 'file:file',
                    'node_staging_uri': f'file://{data}/staging'},
        'database': {'connection': cloud.database('glance')},
        'glance_store': {'default_backend': 'file'},
        'file': {'filesystem_store_datadir': data / 'images'},
        'os_glance_staging_store': {
            'filesystem_store_datadir': data / 'staging'},
        'os_glance_tasks_store': {'filesystem_store_datadir': data / 'tasks'},
        'paste_deploy': {'flavor': 'keystone', 'config_file':
                         cloud.etc / 'glance' / 'glance-api-paste.ini'},
        'keystone_authtoken': tokens(cloud, 'glance'), **_bus(cloud)})


def nova(cloud: layout.Layout, shared: Mapping[str, Any],
         neutron_password: str | None = None) -> None:
    """Write the file that all of Nova's services share.

    :param cloud: whose
    :param shared: what all services share
    :param neutron_password: with which Nova logs in for Neutron, a wrong one
        where that is the fault
    """
    save(cloud.etc / 'nova' / 'nova.conf', {
        'DEFAULT': {**shared, 'my_ip': '127.0.0.1',
                    'state_path': cloud.data / 'nova',
                    'compute_driver': 'rca_cloud.CloudDriver',
                    'vif_plugging_timeout': PATIENCE,
                    'vif_plugging_is_fatal': True,
                    'rpc_response_timeout': PATIENCE,
                    # A zone may have but one host.
                    'allow_resize_to_same_host': True,
                    'force_config_drive': False},
        'api': {'auth_strategy': 'keystone'},
        'conductor': {'workers': 1},
        'scheduler': {'workers': 1},
        'notifications': {'notification_format': 'both',
                          'notify_on_state_change': 'vm_and_task_state'},
        'vnc': {'enabled': False},
        'spice': {'enabled': False},
        'wsgi': {'api_paste_config': cloud.etc / 'nova' / 'api-paste.ini'},
        'glance': {'api_servers': cloud.url('glance-api'),
                   'num_retries': 1, 'timeout': _ANSWER},
        'keystone_authtoken': tokens(cloud, 'nova'),
        'keystone': user(cloud, 'nova'),
        'service_user': {**user(cloud, 'nova'),
                         'send_service_user_token': True},
        'placement': _client(cloud, 'nova'),
        'neutron': {**_client(cloud, 'nova'),
                    'password': neutron_password or cloud.secret},
        'cinder': {**_client(cloud, 'nova'),
                   'os_region_name': layout.REGION,
                   'catalog_info': 'volumev3:cinderv3:publicURL'},
        **_bus(cloud), **_locks(cloud, 'nova')})


def _nova(cloud: layout.Layout, shared: Mapping[str, Any]) -> None:
    _copy(cloud, 'nova/api-paste.ini')
    nova(cloud, shared)
    folder = cloud.etc / 'nova'
    for name in ('nova-api', 'nova-scheduler', 'nova-conductor',
                 'nova-manage'):
        save(folder / f'{name}.conf', {
            'DEFAULT': {**_log(cloud, name), 'host': _CONTROLLER},
            'api_database': {'connection': cloud.database('nova_api')},
            'database': {'connection': cloud.database('nova_cell1')}})
    # A compute host may not know the databases, and says so if it does.
    for host in layout.HOSTS:
        name = f'nova-compute-{host}'
        _folders(cloud.data / 'nova' / host, 'instances')
        _folders(cloud.vifs, host)
        save(folder / f'{name}.conf', {
            'DEFAULT': {**_log(cloud, name), 'host': host,
                        'state_path': cloud.data / 'nova' / host,
                        'instances_path':
                            cloud.data / 'nova' / host / 'instances'},
            **_locks(cloud, name)})


def _neutron(cloud: layout.Layout, shared: Mapping[str, Any]) -> None:
    _copy(cloud, 'neutron/api-paste.ini')
    _folders(cloud.data, 'neutron')
    folder = cloud.etc / 'neutron'
    save(folder / 'neutron.conf', {
        'DEFAULT': {**shared, 'host': _CONTROLLER, 'core_plugin': 'ml2',
                    'service_plugins': 'router', 'auth_strategy': 'keystone',
                    'notify_nova_on_port_status_changes': True,
                    'notify_nova_on_port_data_changes': True,
                    'rpc_workers': 1, 'rpc_state_report_workers': 1,
                    'rpc_response_timeout': PATIENCE,
                    'dns_domain': 'cloud.example.',
                    'state_path': cloud.data / 'neutron',
                    'api_paste_config': folder / 'api-paste.ini'},
        'database': {'connection': cloud.database('neutron')},
        'keystone_authtoken': tokens(cloud, 'neutron'),
        'nova': _client(cloud, 'neutron'),
        'placement': _client(cloud, 'neutron'),
        **_bus(cloud), **_locks(cloud, 'neutron')})
    save(folder / 'ml2_conf.ini', {
        'ml2': {'type_drivers': 'flat,vlan,vxlan',
                'tenant_network_types': 'vxlan',
                'mechanism_drivers': 'openvswitch',
                'extension_drivers': 'port_security'},
        'ml2_type_vxlan': {'vni_ranges': '1:1000'},
        'ml2_type_flat': {'flat_networks': 'physnet1,physnet2'},
        'securitygroup': {'enable_security_group': True}})
    for name in ('neutron-api', 'neutron-rpc-server',
                 'neutron-periodic-workers', 'neutron-manage'):
        save(folder / f'{name}.conf', {'DEFAULT': _log(cloud, name)})
    for host in layout.HOSTS:
        name = f'neutron-l2-agent-{host}'
        save(folder / f'{name}.conf', {
            'DEFAULT': {**_log(cloud, name), 'host': host}})


def _cinder(cloud: layout.Layout, shared: Mapping[str, Any]) -> None:
    _copy(cloud, 'cinder/api-paste.ini', 'cinder/resource_filters.json')
    data = cloud.data / 'cinder'
    _folders(data, 'volumes', 'conversion', 'coordination')
    folder = cloud.etc / 'cinder'
    save(folder / 'cinder.conf', {
        'DEFAULT': {**shared, 'host': _CONTROLLER, 'my_ip': '127.0.0.1',
                    'auth_strategy': 'keystone',
                    'api_paste_config': folder / 'api-paste.ini',
                    'state_path': data, 'enabled_backends': 'files',
                    'default_volume_type': 'files',
                    'rpc_response_timeout': PATIENCE,
                    'glance_api_servers': cloud.url('glance-api'),
                    'resource_query_filters_file':
                        folder / 'resource_filters.json',
                    'image_conversion_dir': data / 'conversion'},
        'database': {'connection': cloud.database('cinder')},
        'files': {'volume_driver':
                      'cinder.volume.drivers.rca_cloud.CloudVolumeDriver',
                  'volume_backend_name': 'files',
                  'cloud_folder': data / 'volumes'},
        'coordination': {'backend_url': f'file://{data}/coordination'},
        'keystone_authtoken': tokens(cloud, 'cinder'),
        'nova': _client(cloud, 'cinder'),
        'service_user': {**user(cloud, 'cinder'),
                         'send_service_user_token': True},
        **_bus(cloud), **_locks(cloud, 'cinder')})
    for name in ('cinder-api', 'cinder-scheduler', 'cinder-volume',
                 'cinder-manage'):
        save(folder / f'{name}.conf', {'DEFAULT': _log(cloud, name)})


def _clouds(cloud: layout.Layout) -> None:
    clouds = {
        project: {'region_name': layout.REGION,
                  'auth': {'auth_url': cloud.auth_url, 'username': name,
                           'password': cloud.secret, 'project_name': project,
                           'user_domain_name': 'Default',
                           'project_domain_name': 'Default'}}
        for project, name in {'admin': 'admin', **layout.TENANTS}.items()}
    cloud.clouds.touch(mode=0o600)
    cloud.clouds.write_text(yaml.safe_dump({'clouds': clouds}))
