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
"""The service itself: its API under uWSGI, and its engines, as processes."""

import atexit
from collections.abc import Mapping
import configparser
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import sqlalchemy
import testtools
from testtools import content

from openstack_rca import conf
from openstack_rca.db import migration
from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.tests.functional.servers import base
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import mariadb
from openstack_rca.tests.functional.servers import rabbitmq
from openstack_rca.tests.functional.servers import shared as servers
from openstack_rca.tests.functional.servers import wsgi

ROOT = pathlib.Path(__file__).resolve().parents[4]
INI = ROOT / 'etc' / 'openstack-rca' / 'openstack-rca-api-uwsgi.ini'
LOGS = ROOT / 'examples' / 'no-valid-host' / 'logs'


def environment() -> dict[str, str]:
    """The environment of the service's processes."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith('OS_')}


class Engine(base.Server):
    """``openstack-rca-engine`` as a process.

    :param config: its configuration file
    :param name: of its log
    """

    TITLE = 'openstack-rca-engine'

    def __init__(self, config: pathlib.Path, name: str = 'engine') -> None:
        super().__init__()
        self.name = name
        self.config = config

    @property
    def url(self) -> str:
        return ''

    @classmethod
    def missing(cls) -> str | None:
        return None

    def said(self) -> str:
        """All of its log."""
        return self.log.read_text(errors='replace')

    def processes(self, module: str = '') -> list[int]:
        """The processes that it started.

        :param module: of which, ``worker`` or ``reader``; otherwise the one
            that was forked and does the work
        """
        words = f'openstack_rca.engine.{module}'.encode()
        found = []
        for pid, since in sorted(base.descendants(self.pid)):
            try:
                told = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
                parent = pathlib.Path(f'/proc/{pid}/stat').read_text(
                    errors='replace').rpartition(')')[2].split()[1]
            except OSError:
                continue
            if base.lives(pid, since) and (
                    words in told.split(b'\0') if module
                    else int(parent) == self.pid):
                found.append(pid)
        return found

    def freeze(self) -> list[int]:
        """Stop the process that is to work on the next job.

        So that its work takes until the test is ready for its end. For an
        engine with ``[engine] workers = 1``.

        :returns: what :meth:`melt` wants
        """
        deadline = time.monotonic() + base.START_TIMEOUT
        # One that is not prepared for the engine's death would live on.
        while not (workers := self.processes('worker')) or not all(
                map(self._ignores_hangup, workers)):
            if time.monotonic() > deadline:
                raise base.ServerError(f'It has no worker: {self.tail()}')
            time.sleep(0.05)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        return workers

    @staticmethod
    def _ignores_hangup(pid: int) -> bool:
        try:
            told = pathlib.Path(f'/proc/{pid}/status').read_text()
        except OSError:
            return False
        mask = told.partition('SigIgn:')[2].split()[0]
        return bool(int(mask, 16) & 1 << signal.SIGHUP - 1)

    @staticmethod
    def melt(workers: list[int]) -> None:
        """Let what :meth:`freeze` stopped go on."""
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def end(self) -> int:
        """Stop it as systemd does, and wait for its end.

        :returns: the exit status
        """
        process, self._process = self._process, None
        if process is None:
            raise base.ServerError(f'{self.TITLE} does not run.')
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(base.STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise base.ServerError(
                f'It does not end: {self.tail()}') from None

    def _prepare(self) -> None:
        """It is configured from outside."""

    def _environment(self) -> dict[str, str]:
        return environment()

    def _command(self) -> list[str]:
        # What an earlier start said is no answer of this one.
        self._before = self.log.stat().st_size if self.log.exists() else 0
        return [str(pathlib.Path(sys.executable).parent
                    / 'openstack-rca-engine'),
                '--config-file', str(self.config)]

    def _ready(self) -> bool:
        with self.log.open('rb') as said:
            said.seek(self._before)
            return b'works with' in said.read()


class Service:
    """A deployment: one database, one API, as many engines as wanted.

    :param folder: where its files are
    :param connection: URL of its database, which is made up to date
    :param log_dirs: what its engines read, by name
    :param cloud: the Keystone that knows it
    :param options: more options, by group
    :param processes: how many the API has; None: as its file says
    """

    # Where each Keystone, by its URL, says that the service is.
    _endpoints: dict[str, str] = {}
    # An SQLite file as the first deployment made it: the command takes
    # seconds, and makes the same of every empty one.
    _tables: bytes | None = None

    def __init__(self, folder: pathlib.Path, connection: str,
                 log_dirs: Mapping[str, pathlib.Path],
                 cloud: keystone.Keystone,
                 options: Mapping[str, Mapping[str, Any]] | None = None,
                 processes: int | None = None) -> None:
        self.folder = folder
        self.cloud = cloud
        self.options: dict[str, dict[str, Any]] = {
            'DEFAULT': {'state_path': folder / 'state'},
            'database': {'connection': connection},
            'keystone_authtoken': dict(cloud.authtoken()),
            'sources': {
                'log_dirs': ','.join(f'{name}:{path}' for name, path
                                     in log_dirs.items()),
                'interval': 0.5},
            'engine': {'lease': 6}}
        for group, values in (options or {}).items():
            self.options.setdefault(group, {}).update(values)
        self.config = self.write('service.conf')
        self.api = wsgi.UWSGI(
            ini=INI, environment={
                **environment(), 'OS_RCA_CONFIG_FILES': str(self.config)},
            options=({'processes': str(processes)} if processes else None))
        self.engines: list[Engine] = []
        self._tokens: dict[str, str] = {}

    def write(self, name: str, **more: Mapping[str, Any]) -> pathlib.Path:
        """Write a configuration file.

        :param name: of the file
        :param more: options that differ, by group
        """
        parser = configparser.ConfigParser(interpolation=None)
        for group in {*self.options, *more}:
            values = {**self.options.get(group, {}), **more.get(group, {})}
            parser[group] = {k: str(v) for k, v in values.items()}
        path = self.folder / name
        with path.open('w') as out:
            parser.write(out)
        return path

    def sync(self) -> None:
        """Make the tables of a new database."""
        url = sqlalchemy.make_url(self.options['database']['connection'])
        file = (pathlib.Path(url.database)
                if url.drivername == 'sqlite' and url.database else None)
        if file and Service._tables:
            file.write_bytes(Service._tables)
            return
        subprocess.run(
            [str(pathlib.Path(sys.executable).parent
                 / 'openstack-rca-manage'),
             '--config-file', str(self.config), 'db', 'sync'], check=True,
            env=environment(), capture_output=True)
        if file:
            Service._tables = file.read_bytes()

    def start_api(self) -> None:
        """Start the API, and tell Keystone where it is."""
        self.api.setUp()
        self.register()

    def register(self) -> None:
        """Tell Keystone where the API is, if it does not know."""
        if Service._endpoints.get(self.cloud.url) != self.api.url:
            self.cloud.set_endpoint(self.api.url)
            Service._endpoints[self.cloud.url] = self.api.url

    def start_engine(self, **more: Mapping[str, Any]) -> Engine:
        """Start one more engine, with a state folder of its own.

        :param more: options that differ, by group
        """
        number = len(self.engines)
        defaults = {'state_path': self.folder / f'state{number}',
                    'host': f'engine{number}', **more.pop('DEFAULT', {})}
        config = self.write(f'engine{number}.conf', DEFAULT=defaults, **more)
        engine = Engine(config, f'engine{number}')
        engine.setUp()
        self.engines.append(engine)
        return engine

    def stop(self) -> None:
        """Stop all that was started."""
        for engine in self.engines:
            engine.cleanUp()
        self.api.cleanUp()

    def token(self, user: str) -> str:
        """A token, always the same one: the API has seen it before.

        :param user: one of :data:`keystone.USERS`
        """
        if user not in self._tokens:
            self._tokens[user] = self.cloud.token(user)
        return self._tokens[user]

    def said(self) -> str:
        """All logs of the API and of the engines."""
        return '\n'.join([self.api.log.read_text(errors='replace'),
                          *(engine.said() for engine in self.engines)])

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The rows of jobs, by id."""
        engine = sqlalchemy.create_engine(
            self.options['database']['connection'],
            poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            return {row['id']: dict(row) for row in connection.execute(
                sqlalchemy.select(models.JOBS)).mappings()}

    def use_database(self) -> None:
        """Let functions of the database in this process use it, too."""
        session.dispose()
        conf.CONF.set_override(
            'connection', self.options['database']['connection'],
            group='database')
        assert migration.head()


_shared: list[Service] = []


def shared(case: testtools.TestCase) -> Service:
    """The deployment that all tests of one process share.

    With MariaDB, RabbitMQ and one engine, which has one worker. A test
    leaves it working, and its rows in it.

    :param case: the test
    """
    # None is started in vain.
    for kind in (wsgi.UWSGI, keystone.Keystone, mariadb.MariaDB,
                 rabbitmq.RabbitMQ):
        base.require(case, kind)
    cloud = servers.keystone(case)
    database = servers.mariadb(case)
    bus = servers.rabbitmq(case)
    if not _shared:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='rca-service-',
                                               dir='/tmp'))
        made = Service(
            folder, database.create_database(), {'logs': LOGS}, cloud,
            {'DEFAULT': {'debug': True,
                         'transport_url': bus.create_virtual_host()},
             'engine': {'lease': 6, 'workers': 1}}, processes=2)
        atexit.register(_clean_up, made, os.getpid())
        _shared.append(made)
        made.sync()
        made.api.setUp()
        made.start_engine()
    made = _shared[0]
    made.api.start()
    for engine in made.engines:
        engine.start()
    show_logs(case, made)
    return made


def _clean_up(made: Service, owner: int) -> None:
    # A forked child that ends has it too, and it is not its own.
    if os.getpid() == owner:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


def show_logs(case: testtools.TestCase, made: Service) -> None:
    """Show the ends of the logs with a test that fails.

    :param case: the test
    :param made: the deployment that it uses
    """
    def show(_error: object) -> None:
        for server in (made.api, *made.engines):
            case.addDetail(f'{server.name}.log', content.text_content(
                server.tail(80)))

    case.addOnException(show)
