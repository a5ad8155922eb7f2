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
"""Where everything of one cloud is: its folder, its ports, its secret."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import fcntl
import json
import pathlib
import secrets

from openstack_rca.tests.functional.servers import base

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / '.cloud'

REGION = 'RegionOne'

# The compute hosts, and the availability zone of each.
HOSTS: Mapping[str, str] = {'cmp1': 'az1', 'cmp2': 'az1', 'cmp3': 'az2'}

# The users of the load with their projects; none of them is an admin.
TENANTS: Mapping[str, str] = {'demo': 'demo', 'acme': 'alice'}

# What listens. Each cloud draws its own ports once: neither a server of the
# system nor another cloud is in its way.
_LISTENERS = ('mariadb', 'rabbitmq', 'rabbitmq-mapper', 'rabbitmq-node',
              'memcached', 'keystone', 'placement-api', 'glance-api',
              'nova-api', 'neutron-api', 'cinder-api', 'rca-api',
              'rca-metrics')

# The path of a socket has at most 107 bytes.
_LONGEST = 107


class CloudError(Exception):
    """The cloud cannot do what it was told; the message says what helps."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """One cloud on disk.

    :ivar folder: of everything that it writes
    :ivar venv: the virtual environment of OpenStack's services
    :ivar ports: where each part listens on 127.0.0.1
    :ivar secret: everybody's password
    """

    folder: pathlib.Path
    venv: pathlib.Path
    ports: Mapping[str, int]
    secret: str = dataclasses.field(repr=False)

    @property
    def logs(self) -> pathlib.Path:
        """The services' logs: what an engine is told to read."""
        return self.folder / 'logs'

    @property
    def output(self) -> pathlib.Path:
        """What processes print that is in no log."""
        return self.folder / 'output'

    @property
    def etc(self) -> pathlib.Path:
        """The configuration of each service."""
        return self.folder / 'etc'

    @property
    def data(self) -> pathlib.Path:
        """What services keep."""
        return self.folder / 'data'

    @property
    def run(self) -> pathlib.Path:
        """Process ids, locks, sockets."""
        return self.folder / 'run'

    @property
    def vifs(self) -> pathlib.Path:
        """The virtual interfaces that the compute hosts have plugged."""
        return self.run / 'vifs'

    @property
    def product(self) -> pathlib.Path:
        """The project's own engine and API, beside the cloud."""
        return self.folder / 'rca'

    @property
    def notifications(self) -> pathlib.Path:
        """Every notification that was sent, one a line."""
        return self.folder / 'notifications.jsonl'

    @property
    def clouds(self) -> pathlib.Path:
        """The file ``clouds.yaml`` of its users."""
        return self.etc / 'clouds.yaml'

    def url(self, name: str, path: str = '') -> str:
        """Where an API listens.

        :param name: of the part
        :param path: after the port
        """
        return f'http://127.0.0.1:{self.ports[name]}{path}'

    @property
    def auth_url(self) -> str:
        """Keystone's address."""
        return self.url('keystone', '/v3')

    @property
    def bus(self) -> str:
        """The ``transport_url`` of everybody."""
        return (f'rabbit://rca:{self.secret}@127.0.0.1:'
                f'{self.ports["rabbitmq"]}/')

    def database(self, name: str) -> str:
        """The URL of a database.

        :param name: of the database
        """
        return (f'mysql+pymysql://rca:{self.secret}@127.0.0.1:'
                f'{self.ports["mariadb"]}/{name}?charset=utf8mb4')

    def make_folders(self) -> None:
        """Make the folders that every command expects."""
        for path in (self.logs, self.output, self.etc, self.data, self.run,
                     self.vifs, self.product):
            path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Be the only one who breaks and mends the cloud.

        Two who play scenarios on one cloud would judge each other's faults.

        :raises CloudError: when another process does already
        """
        with open(self.run / 'lock', 'w', encoding='utf-8') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CloudError(
                    f'Somebody plays scenarios on the cloud in {self.folder}. '
                    'Wait for the end of it, or choose another folder with '
                    '--folder (tools/integration.sh: RCA_INTEGRATION_FOLDER).'
                ) from None
            yield


def open_layout(folder: pathlib.Path, venv: pathlib.Path | None = None
                ) -> Layout:
    """Find a cloud's layout, or draw the ports of a new one.

    :param folder: of the cloud
    :param venv: the virtual environment of its services; by default one in
        the folder, or the one that it was opened with before
    :raises CloudError: when the folder cannot be used
    """
    folder = folder.resolve()
    if len(str(folder / 'run' / 'mariadb.socket')) > _LONGEST:
        raise CloudError(f'The path {folder} is too long for the sockets of '
                         'the servers: choose a shorter one with --folder.')
    file = folder / 'cloud.json'
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        known = json.loads(file.read_text()) if file.exists() else None
    except (OSError, ValueError) as error:
        raise CloudError(f'The folder {folder} cannot be used: {error}'
                         ) from None
    if known is None:
        known = {'ports': {}, 'secret': secrets.token_hex(8),
                 'venv': str(folder / 'venv')}
    if venv is not None:
        known['venv'] = str(venv.resolve())
    _draw(known['ports'])
    file.touch(mode=0o600)
    file.write_text(json.dumps(known, indent=2) + '\n')
    layout = Layout(folder, pathlib.Path(known['venv']), known['ports'],
                    known['secret'])
    layout.make_folders()
    return layout


def _draw(drawn: dict[str, int]) -> None:
    """Add the ports that are missing."""
    for name in _LISTENERS:
        while name not in drawn:
            port = base.free_port()
            if port not in drawn.values():
                drawn[name] = port
