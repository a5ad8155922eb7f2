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
"""MariaDB, RabbitMQ and memcached of a cloud, from the distribution."""

import os
import signal
import subprocess

from openstack_rca.tests.functional.servers import base
from tools.cloud import layout
from tools.cloud import unit

DATABASES = ('keystone', 'placement', 'glance', 'nova_api', 'nova_cell0',
             'nova_cell1', 'neutron', 'cinder', 'rca')

#: What MariaDB takes.
CONNECTIONS = 500
#: What RabbitMQ may use.
MEMORY = '1500MB'
#: As whom all services are known to it.
USER = 'rca'

_RABBITMQ = ('/usr/lib/rabbitmq/bin', '/usr/lib/rabbitmq/lib/*/sbin',
             '/usr/local/lib/rabbitmq/lib/*/sbin')


def program(name: str, *folders: str) -> str:
    """Find a program of a distribution package.

    :param name: its file name
    :param folders: where to look first
    :raises layout.CloudError: when it is not installed
    """
    found = base.find_program(name, *folders)
    if found is None:
        raise layout.CloudError(
            f'The program {name} is missing. "python -m tools.cloud install '
            '--packages" installs what is needed (as root), and "bindep test '
            'integration" names it.')
    return found


def _as_root(option: str, *value: str) -> list[str]:
    # These servers refuse root unless they are told that this is meant.
    return [option, *value] if os.geteuid() == 0 else []


class MariaDB(unit.Unit):
    """The database of all services."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'mariadb')
        self._data = cloud.data / 'mariadb'

    def prepare(self) -> None:
        self._data.mkdir(exist_ok=True)
        # Executed at each start, and nothing is done twice.
        lines = [f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET '
                 'utf8mb4;' for name in DATABASES]
        lines += ["CREATE USER IF NOT EXISTS 'rca'@'127.0.0.1' IDENTIFIED BY "
                  f"'{self.cloud.secret}';",
                  "GRANT ALL ON *.* TO 'rca'@'127.0.0.1';",
                  # So that max_connections and read_only hold for it.
                  "REVOKE SUPER, CONNECTION ADMIN, READ_ONLY ADMIN ON *.* "
                  "FROM 'rca'@'127.0.0.1';"]
        script = self.cloud.etc / 'mariadb.sql'
        script.touch(mode=0o600)
        script.write_text('\n'.join(lines) + '\n')
        if (self._data / 'mysql').is_dir():
            return
        run([program('mariadb-install-db'), '--no-defaults',
             f'--datadir={self._data}', '--skip-test-db',
             '--auth-root-authentication-method=normal',
             '--skip-name-resolve', *_as_root('--user=root')],
            self.environment(), self.cloud)

    def command(self) -> list[str]:
        return [program('mariadbd', '/usr/libexec'), '--no-defaults',
                f'--datadir={self._data}',
                f'--socket={self.cloud.run}/mariadb.socket',
                f'--pid-file={self.cloud.run}/mariadb.own',
                f'--port={self.cloud.ports["mariadb"]}',
                '--bind-address=127.0.0.1', '--skip-name-resolve',
                f'--init-file={self.cloud.etc}/mariadb.sql',
                f'--log-error={self.cloud.logs}/mariadb.log',
                '--character-set-server=utf8mb4',
                f'--max-connections={CONNECTIONS}',
                # A killed process loses nothing by it, a killed machine may.
                '--innodb-flush-log-at-trx-commit=2',
                '--innodb-buffer-pool-size=256M',
                # Services try again, many times, before they say anything.
                '--innodb-lock-wait-timeout=5',
                *_as_root('--user=root')]

    def ready(self) -> bool:
        # Three bytes of length, a number, and the protocol, which is ten; in
        # an error it would be 255.
        return unit.greets(self.cloud.ports['mariadb'], 5)[4:] == b'\x0a'


class Mapper(unit.Unit):
    """RabbitMQ's port mapper, its own: the system's would stay behind."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'rabbitmq-mapper')

    def command(self) -> list[str]:
        return [program('epmd'), '-port',
                str(self.cloud.ports['rabbitmq-mapper']), '-address',
                '127.0.0.1']

    def ready(self) -> bool:
        # Two bytes of length and the request of all names.
        return bool(unit.greets(self.cloud.ports['rabbitmq-mapper'], 4,
                                b'\x00\x01n'))


class RabbitMQ(unit.Unit):
    """The message bus of all services."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'rabbitmq')
        self._data = cloud.data / 'rabbitmq'
        self._etc = cloud.etc / 'rabbitmq'

    def prepare(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._etc.mkdir(exist_ok=True)
        config = self._etc / 'rabbitmq.conf'
        config.touch(mode=0o600)
        config.write_text(
            f'listeners.tcp.default = 127.0.0.1:'
            f'{self.cloud.ports["rabbitmq"]}\n'
            f'default_user = {USER}\ndefault_pass = {self.cloud.secret}\n'
            'log.file.level = info\n'
            # As much as it takes: the disk is the developer's.
            'disk_free_limit.absolute = 1MB\n'
            f'vm_memory_high_watermark.absolute = {MEMORY}\n')
        (self._etc / 'enabled_plugins').write_text('[].\n')
        (self._etc / 'environment').write_text('')

    def environment(self) -> dict[str, str]:
        local = '-kernel inet_dist_use_interface {127,0,0,1}'
        return {**super().environment(),
                'HOME': str(self._data),
                'ERL_EPMD_PORT': str(self.cloud.ports['rabbitmq-mapper']),
                'ERL_EPMD_ADDRESS': '127.0.0.1',
                'RABBITMQ_NODENAME': 'cloud@localhost',
                'RABBITMQ_CONF_ENV_FILE': str(self._etc / 'environment'),
                'RABBITMQ_CONFIG_FILE': str(self._etc / 'rabbitmq.conf'),
                'RABBITMQ_ADVANCED_CONFIG_FILE': str(
                    self._etc / 'advanced.config'),
                'RABBITMQ_ENABLED_PLUGINS_FILE': str(
                    self._etc / 'enabled_plugins'),
                'RABBITMQ_MNESIA_BASE': str(self._data / 'mnesia'),
                'RABBITMQ_LOG_BASE': str(self.cloud.logs),
                'RABBITMQ_LOGS': str(self.cloud.logs / 'rabbitmq.log'),
                'RABBITMQ_PID_FILE': str(self.cloud.run / 'rabbitmq.own'),
                'RABBITMQ_DIST_PORT': str(self.cloud.ports['rabbitmq-node']),
                'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': local,
                # The script becomes the server, so that a signal reaches it.
                'RABBITMQ_ALLOW_INPUT': '1',
                'RABBITMQ_SERVER_START_ARGS': '-noinput',
                'NO_COLOR': '1'}

    def command(self) -> list[str]:
        # Not the wrapper in /usr/sbin: it becomes the user rabbitmq.
        return [program('rabbitmq-server', *_RABBITMQ)]

    def ready(self) -> bool:
        # A frame of the kind "method" on channel 0.
        return unit.greets(self.cloud.ports['rabbitmq'], 3,
                           b'AMQP\x00\x00\x09\x01') == b'\x01\x00\x00'

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.stop(number, patience=60)

    def control(self, *arguments: str) -> None:
        """Tell it something, as its administrator.

        :param arguments: of ``rabbitmqctl``
        :raises layout.CloudError: when it does not take that
        """
        run([program('rabbitmqctl', *_RABBITMQ), *arguments],
            self.environment(), self.cloud)


class Memcached(unit.Unit):
    """The cache of tokens."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'memcached')

    def command(self) -> list[str]:
        return [program('memcached'), '-l', '127.0.0.1', '-p',
                str(self.cloud.ports['memcached']), '-m', '64',
                *_as_root('-u', 'root')]

    def ready(self) -> bool:
        return unit.greets(self.cloud.ports['memcached'], 7,
                           b'version\r\n') == b'VERSION'


def run(command: list[str], environment: dict[str, str],
        cloud: layout.Layout) -> None:
    """Run one tool of a service to its end.

    :param command: its command line
    :param environment: the whole of its environment
    :param cloud: whose tool it is
    :raises layout.CloudError: when it fails
    """
    done = subprocess.run(command, env=environment, cwd=cloud.run,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors='replace', check=False)
    name = os.path.basename(command[0])
    with (cloud.output / f'{name}.txt').open('a') as output:
        output.write(f'$ {" ".join(command)}\n{done.stdout}{done.stderr}\n')
    if done.returncode:
        last = '\n'.join((done.stdout + done.stderr).splitlines()[-15:])
        raise layout.CloudError(
            f'{name} failed with status {done.returncode}:\n{last}')
