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
"""The services of OpenStack as parts of a cloud."""

from collections.abc import Mapping
import pathlib
import sys

from tools.cloud import infra
from tools.cloud import layout
from tools.cloud import unit

_DRIVERS = pathlib.Path(__file__).resolve().parent / 'drivers'

# Sent to the process that starts the others: requests are finished first.
_GRACE = 'unix_signal:15 gracefully_kill_them_all'


class API(unit.Unit):
    """An API under uWSGI.

    :param cloud: whose
    :param name: as in the logs
    :param module: of its application
    :param processes: how many
    :param variables: how it finds its configuration
    :param arguments: the same, for one that wants a command line
    :ivar binaries: where uWSGI and its Python are
    :ivar log: of requests
    """

    def __init__(self, cloud: layout.Layout, name: str, module: str,
                 processes: int = 1,
                 variables: Mapping[str, str] | None = None,
                 arguments: str = '') -> None:
        super().__init__(cloud, name)
        self._module = module
        self._processes = processes
        self._variables = dict(variables or {})
        self._arguments = arguments
        self.binaries = cloud.venv / 'bin'
        self.log = cloud.logs / f'{name}.uwsgi.log'

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.cloud.ports[self.name]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self._variables}

    def command(self) -> list[str]:
        words = [
            str(self.binaries / 'uwsgi'),
            '--http-socket', f'127.0.0.1:{self.port}',
            '--module', f'{self._module}:application', '--master',
            '--processes', str(self._processes), '--threads', '6',
            # Messages' heartbeats are a thread.
            '--enable-threads', '--lazy-apps', '--thunder-lock',
            '--die-on-term', '--need-app', '--buffer-size', '65535',
            # It closes each connection; a client that does not know would
            # use one again.
            '--add-header', 'Connection: close', '--socket-timeout', '60',
            '--http-timeout', '60', '--worker-reload-mercy', '8',
            '--hook-master-start', _GRACE, '--listen', '100',
            '--logto', str(self.log),
            # What a reload runs.
            '--binary-path', str(self.binaries / 'python')]
        return words + (['--pyargv', self._arguments]
                        if self._arguments else [])

    def ready(self) -> bool:
        return unit.serves(self.port)


class Daemon(unit.Unit):
    """A service without a port.

    :param cloud: whose
    :param name: as in the logs
    :param program: of the services' virtual environment, or a file of Python
    :param files: of its configuration
    """

    def __init__(self, cloud: layout.Layout, name: str, program: str,
                 files: list[pathlib.Path]) -> None:
        super().__init__(cloud, name)
        self._program = program
        self._files = files

    def environment(self) -> dict[str, str]:
        return {**super().environment(),
                'RCA_CLOUD_VIFS': str(self.cloud.vifs)}

    def command(self) -> list[str]:
        binaries = self.cloud.venv / 'bin'
        words = ([str(binaries / 'python'), self._program]
                 if self._program.endswith('.py')
                 else [str(binaries / self._program)])
        for file in self._files:
            words += ['--config-file', str(file)]
        return words


class Listener(unit.Unit):
    """What keeps every notification; see ``listener.py``."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'listener')

    def environment(self) -> dict[str, str]:
        return {**super().environment(), 'RCA_CLOUD_BUS': self.cloud.bus,
                'PYTHONPATH': str(layout.ROOT)}

    def command(self) -> list[str]:
        return [sys.executable, '-m', 'tools.cloud.listener',
                str(self.cloud.notifications)]


def servers(cloud: layout.Layout) -> dict[str, unit.Unit]:
    """The parts that are no service of OpenStack's, in order.

    :param cloud: whose
    :returns: by name
    """
    return _by_name(infra.MariaDB(cloud), infra.Mapper(cloud),
                    infra.RabbitMQ(cloud), infra.Memcached(cloud))


def openstack(cloud: layout.Layout) -> dict[str, unit.Unit]:
    """The services, in order.

    :param cloud: whose
    :returns: by name
    """
    nova = cloud.etc / 'nova'
    neutron = cloud.etc / 'neutron'
    cinder = cloud.etc / 'cinder'

    def of_nova(name: str) -> list[pathlib.Path]:
        return [nova / 'nova.conf', nova / f'{name}.conf']

    def of_neutron(name: str) -> list[pathlib.Path]:
        return [neutron / 'neutron.conf', neutron / 'ml2_conf.ini',
                neutron / f'{name}.conf']

    def of_cinder(name: str) -> list[pathlib.Path]:
        return [cinder / 'cinder.conf', cinder / f'{name}.conf']

    found: list[unit.Unit] = [
        API(cloud, 'keystone', 'keystone.wsgi.api', 2, {
            'OS_KEYSTONE_CONFIG_FILES':
                str(cloud.etc / 'keystone' / 'keystone.conf')}),
        API(cloud, 'placement-api', 'placement.wsgi.api', 1, {
            'OS_PLACEMENT_CONFIG_DIR': str(cloud.etc / 'placement')}),
        API(cloud, 'glance-api', 'glance.wsgi.api', 1, {
            'OS_GLANCE_CONFIG_DIR': str(cloud.etc / 'glance'),
            'OS_GLANCE_CONFIG_FILES': 'glance-api.conf'}),
        API(cloud, 'neutron-api', 'neutron.wsgi.api', 2, {
            'OS_NEUTRON_CONFIG_DIR': str(neutron),
            'OS_NEUTRON_CONFIG_FILES':
                'neutron.conf;ml2_conf.ini;neutron-api.conf'}),
        API(cloud, 'nova-api', 'nova.wsgi.osapi_compute', 2, {
            'OS_NOVA_CONFIG_DIR': str(nova),
            'OS_NOVA_CONFIG_FILES':
                'api-paste.ini;nova.conf;nova-api.conf'}),
        API(cloud, 'cinder-api', 'cinder.wsgi.api', 1, arguments=' '.join(
            f'--config-file {file}' for file in of_cinder('cinder-api'))),
    ]
    for program in ('neutron-rpc-server', 'neutron-periodic-workers'):
        found.append(Daemon(cloud, program, program, of_neutron(program)))
    for program in ('nova-conductor', 'nova-scheduler'):
        found.append(Daemon(cloud, program, program, of_nova(program)))
    for program in ('cinder-scheduler', 'cinder-volume'):
        found.append(Daemon(cloud, program, program, of_cinder(program)))
    for host in layout.HOSTS:
        name = f'neutron-l2-agent-{host}'
        found.append(Daemon(cloud, name, str(_DRIVERS / 'l2_agent.py'),
                            of_neutron(name)))
    for host in layout.HOSTS:
        name = f'nova-compute-{host}'
        found.append(Daemon(cloud, name, 'nova-compute', of_nova(name)))
    found.append(Listener(cloud))
    return _by_name(*found)


def _by_name(*units: unit.Unit) -> dict[str, unit.Unit]:
    return {one.name: one for one in units}
