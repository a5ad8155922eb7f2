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
"""A real RabbitMQ.

pifpaf's driver of it takes fixed ports, leaves a port mapper (epmd) behind
that others then share, and cannot start a node again that was killed.
"""

import signal
import subprocess
import time
import uuid

from openstack_rca.tests.functional.servers import base

_FOLDERS = ('/usr/lib/rabbitmq/bin', '/usr/lib/rabbitmq/lib/*/sbin',
            '/usr/local/lib/rabbitmq/lib/*/sbin')


class RabbitMQ(base.Server):
    """A node of RabbitMQ with a port mapper of its own.

    Durable queues and their persistent messages outlive :meth:`stop`,
    :meth:`kill` and :meth:`start`. ``url`` is a ``transport_url``.
    """

    TITLE = 'RabbitMQ'
    PACKAGE = 'rabbitmq-server'

    def __init__(self) -> None:
        super().__init__()
        self._mapper: subprocess.Popen[bytes] | None = None

    @classmethod
    def _program(cls, name: str) -> str | None:
        # Not the wrappers in /usr/sbin: they become the user rabbitmq.
        return base.find_program(name, *_FOLDERS)

    @classmethod
    def missing(cls) -> str | None:
        return cls._missing_package(
            cls._program('rabbitmq-server'), cls._program('rabbitmqctl'),
            base.find_program('epmd'))

    @property
    def url(self) -> str:
        return f'rabbit://guest:guest@127.0.0.1:{self.port}/'

    def create_virtual_host(self) -> str:
        """Make a virtual host, so that one test has its own queues.

        :returns: its ``transport_url``
        """
        name = f'rca-{uuid.uuid4().hex}'
        self.control('eval', f'''
            rabbit_vhost:add(<<"{name}">>, <<"tests">>),
            rabbit_auth_backend_internal:set_permissions(
                <<"guest">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>,
                <<"tests">>).''')
        return self.url + name

    def queues(self, url: str | None = None) -> dict[str, int]:
        """How many messages wait in each queue.

        :param url: what :meth:`create_virtual_host` gave, otherwise the
            virtual host that ``url`` means
        """
        host = '/' if url is None else url.rpartition('/')[2] or '/'
        told = self.control('list_queues', '--no-table-headers', '-p', host,
                            'name', 'messages')
        return {line.split('\t')[0]: int(line.split('\t')[1])
                for line in told.splitlines()}

    def control(self, *words: str) -> str:
        """Run ``rabbitmqctl``; it takes a second or two.

        :returns: what it printed
        :raises ServerError: when it fails
        """
        program = self._program('rabbitmqctl')
        assert program is not None
        done = subprocess.run(
            [program, '--quiet', *words], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, env=self._environment(),
            cwd=self.folder, timeout=base.START_TIMEOUT, check=False)
        if done.returncode:
            raise base.ServerError(f'rabbitmqctl {words[0]} failed: '
                                   f'{done.stdout}{done.stderr}')
        return done.stdout

    def start(self) -> None:
        if self._mapper is None:
            epmd = base.find_program('epmd')
            assert epmd is not None
            # Without it the node would start one that runs for ever.
            self._mapper = self._spawn([
                epmd, '-port', str(self._mapper_port), '-address',
                '127.0.0.1'])
            deadline = time.monotonic() + base.START_TIMEOUT
            while not self._mapper_answers(epmd):
                if (self._mapper.poll() is not None
                        or time.monotonic() > deadline):
                    raise base.ServerError('epmd does not start; the end of '
                                           f'{self.log}:\n{self.tail()}')
                time.sleep(0.05)
        super().start()

    def _mapper_answers(self, epmd: str) -> bool:
        return subprocess.run(
            [epmd, '-names'], env=self._environment(), check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL).returncode == 0

    def _end(self, number: signal.Signals) -> None:
        super()._end(number)
        mapper, self._mapper = self._mapper, None
        if mapper is not None:
            self._end_process(mapper, number)

    def _prepare(self) -> None:
        self._mapper_port = base.free_port()
        self._node_port = base.free_port()
        (self.folder / 'rabbitmq.conf').write_text(
            f'listeners.tcp.default = 127.0.0.1:{self.port}\n'
            'log.console = true\n'
            'log.console.level = info\n'
            'log.file = false\n'
            # As much as it takes: the disk is the developer's.
            'disk_free_limit.absolute = 1MB\n')
        (self.folder / 'enabled_plugins').write_text('[].\n')
        (self.folder / 'environment').write_text('')

    def _environment(self) -> dict[str, str]:
        local = '-kernel inet_dist_use_interface {127,0,0,1}'
        return {**super()._environment(),
                'ERL_EPMD_PORT': str(self._mapper_port),
                'ERL_EPMD_ADDRESS': '127.0.0.1',
                'RABBITMQ_NODENAME': 'rca@localhost',
                'RABBITMQ_CONF_ENV_FILE': str(self.folder / 'environment'),
                'RABBITMQ_CONFIG_FILE': str(self.folder / 'rabbitmq.conf'),
                'RABBITMQ_ADVANCED_CONFIG_FILE': str(
                    self.folder / 'advanced.config'),
                'RABBITMQ_ENABLED_PLUGINS_FILE': str(
                    self.folder / 'enabled_plugins'),
                'RABBITMQ_MNESIA_BASE': str(self.folder / 'data'),
                'RABBITMQ_LOG_BASE': str(self.folder / 'logs'),
                'RABBITMQ_LOGS': '-',
                'RABBITMQ_PID_FILE': str(self.folder / 'pid'),
                'RABBITMQ_DIST_PORT': str(self._node_port),
                'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': local,
                'RABBITMQ_CTL_ERL_ARGS': local,
                # The script becomes the server, so that a signal reaches it.
                'RABBITMQ_ALLOW_INPUT': '1',
                'RABBITMQ_SERVER_START_ARGS': '-noinput',
                'NO_COLOR': '1'}

    def _command(self) -> list[str]:
        program = self._program('rabbitmq-server')
        assert program is not None
        return [program]

    def _ready(self) -> bool:
        # A frame of the kind "method" on channel 0.
        return self._answer(3, b'AMQP\x00\x00\x09\x01') == b'\x01\x00\x00'
