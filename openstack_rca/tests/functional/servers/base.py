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
"""What every real server of the functional tests has in common."""

import abc
import contextlib
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import uuid

import fixtures
import sqlalchemy

ROOT = pathlib.Path(__file__).resolve().parents[4]

# Seconds. A machine of CI that does five things at once is slow.
START_TIMEOUT = 180
STOP_TIMEOUT = 60

# Below what the kernel gives to clients, so that the port of a server that
# is stopped for a while is still free when it starts again.
_PORTS = range(12000, 30000)


class ServerError(Exception):
    """A server did not do what it should; the end of its log is in it."""


def required() -> bool:
    """Whether a server that is missing is a failure, as it is in CI."""
    return (os.environ.get('CI') == 'true'
            or os.environ.get('RCA_REQUIRE_SERVERS') == '1')


def find_program(name: str, *patterns: str) -> str | None:
    """Find a program of a server, which often is in nobody's ``PATH``.

    :param name: its file name
    :param patterns: folders to look into first, absolute, with wildcards
    :returns: its path, or None
    """
    for pattern in patterns:
        # The newest of versions that stand beside each other.
        for folder in sorted(pathlib.Path('/').glob(pattern.lstrip('/')),
                             key=lambda path: (len(str(path)), path),
                             reverse=True):
            if os.access(folder / name, os.X_OK):
                return str(folder / name)
    return shutil.which(name, path=os.pathsep.join(
        (os.environ.get('PATH', os.defpath), '/usr/local/sbin', '/usr/sbin',
         '/sbin')))


def free_port() -> int:
    """Find a port of the loopback that nobody listens on."""
    # Tests run in several processes, each with a seed of its own.
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(('127.0.0.1', port))
                return port
    raise ServerError('No port of 127.0.0.1 is free.')


def descendants(pid: int) -> set[tuple[int, str]]:
    """Name a process's children, and theirs.

    :param pid: the process
    :returns: id and start time of each, so that a later process of the same
        id is not taken for it
    """
    children: dict[int, list[tuple[int, str]]] = {}
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        found = _stat(int(folder.name))
        if found is not None:
            _, parent, since = found
            children.setdefault(parent, []).append(
                (int(folder.name), since))
    result: set[tuple[int, str]] = set()
    todo = [pid]
    while todo:
        for child in children.get(todo.pop(), ()):
            result.add(child)
            todo.append(child[0])
    return result


def _stat(pid: int) -> tuple[str, int, str] | None:
    """State, parent and start time of a process; None: there is none."""
    try:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except (OSError, UnicodeDecodeError):
        return None
    # The name before it may hold spaces and brackets.
    words = text.rpartition(')')[2].split()
    return words[0], int(words[1]), words[19]


def started(pid: int) -> str:
    """When a process started, in the kernel's own words.

    :raises ServerError: when there is no such process
    """
    found = _stat(pid)
    if found is None:
        raise ServerError(f'There is no process {pid}.')
    return found[2]


def lives(pid: int, since: str) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    found = _stat(pid)
    return (found is not None and found[2] == since
            and found[0] not in 'ZX')


class Server(fixtures.Fixture):
    """A real server with a folder and ports of its own, on the loopback.

    It is started by the user who runs the tests, touches nothing of the
    system's own instance, and dies with the process that started it. (The
    kernel looks at the thread: start servers in the main one.) Data and
    ports are kept until :meth:`cleanUp`, whatever is stopped, killed and
    started in between.

    :cvar TITLE: what people call it
    :cvar PACKAGE: the distribution package that has it, see bindep.txt
    :ivar folder: configuration and data
    :ivar log: what the server says. In the folder that the environment
        variable RCA_SERVER_LOGS names logs outlive the tests.
    :ivar port: where it listens on 127.0.0.1
    """

    TITLE = ''
    PACKAGE = ''
    STOP_SIGNAL = signal.SIGTERM

    def __init__(self) -> None:
        super().__init__()
        self.name = type(self).__name__.lower()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @abc.abstractmethod
    def missing(cls) -> str | None:
        """Why this server cannot be had here.

        :returns: the reason, with what to install; None: it is here
        """

    @classmethod
    def _missing_package(cls, *programs: str | None) -> str | None:
        """The reason when one of the programs was not found."""
        if shutil.which('setpriv') is None:
            return (f'{cls.TITLE} is not started without setpriv (package '
                    'util-linux)')
        if all(programs):
            return None
        return (f'{cls.TITLE} is missing (package {cls.PACKAGE} of '
                'bindep.txt)')

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended since."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process.

        :raises ServerError: when it does not run
        """
        if self._process is None:
            raise ServerError(f'{self.TITLE} does not run.')
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers; no change when it runs.

        :raises ServerError: when it does not come up
        """
        if self.running:
            return
        self._process = self._spawn(self._command(), self._user())
        self._wait()

    def stop(self) -> None:
        """Stop it in good order, and wait for its end."""
        self._end(self.STOP_SIGNAL)

    def kill(self) -> None:
        """Kill it and its children, as the kernel does without memory."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in good order and start it again."""
        self.stop()
        self.start()

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        try:
            text = self.log.read_text(errors='replace')
        except OSError:
            return ''
        return '\n'.join(text.splitlines()[-lines:])

    def _setUp(self) -> None:
        reason = self.missing()
        if reason is not None:
            raise ServerError(reason)
        # Not where the tests have their temporary files: a server outlives
        # a test, and the path of a socket has at most 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(
            prefix=f'rca-{self.name}-', dir='/tmp'))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        # A server that refuses root has to get through to its data.
        self.folder.chmod(0o711)
        logs = os.environ.get('RCA_SERVER_LOGS')
        self.log = (pathlib.Path(logs) if logs else self.folder) / (
            f'{self.folder.name}.log')
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.addCleanup(self.stop)
        self._prepare()
        self.start()

    @abc.abstractmethod
    def _prepare(self) -> None:
        """Write the configuration, make the data."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """The server's command line; it stays in the foreground."""

    @abc.abstractmethod
    def _ready(self) -> bool:
        """Whether it answers by now."""

    def _user(self) -> str | None:
        """Who else it is to be, of a server that refuses root."""
        return None

    def _environment(self) -> dict[str, str]:
        """The server's whole environment: nothing of the caller's."""
        return {'HOME': str(self.folder), 'LANG': 'C.UTF-8', 'TZ': 'UTC',
                'PATH': os.pathsep.join((
                    os.environ.get('PATH', os.defpath), '/usr/sbin',
                    '/sbin'))}

    def _spawn(self, command: list[str], user: str | None = None
               ) -> subprocess.Popen[bytes]:
        """Start a process that writes to the log and dies with this one."""
        words = ['setpriv', '--pdeathsig', 'KILL']
        if user is not None:
            entry = pwd.getpwnam(user)
            words += [f'--reuid={entry.pw_uid}', f'--regid={entry.pw_gid}',
                      '--clear-groups']
        with open(self.log, 'ab') as log:
            log.write(f'\n$ {" ".join(command)}\n'.encode())
            log.flush()
            # A session of its own: Ctrl-C ends the tests, and those end it.
            return subprocess.Popen(
                [*words, '--', *command], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self._environment(),
                cwd=self.folder, start_new_session=True)

    def _run(self, command: list[str], user: str | None = None) -> None:
        """Run one of the server's tools to its end.

        :raises ServerError: when it fails
        """
        process = self._spawn(command, user)
        try:
            status = process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if status:
            raise ServerError(f'{command[0]} failed with status {status}; '
                              f'the end of {self.log}:\n{self.tail()}')

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._ready():
            process = self._process
            status = None if process is None else process.poll()
            late = time.monotonic() > deadline
            if late:
                self.kill()
            if status is not None or late:
                raise ServerError(
                    f'{self.TITLE} does not start: '
                    + (f'no answer after {START_TIMEOUT} seconds' if late
                       else f'it ended with status {status}')
                    + f'; the end of {self.log}:\n{self.tail()}')
            time.sleep(0.05)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._end_process(process, number)

    @staticmethod
    def _end_process(process: subprocess.Popen[bytes],
                     number: signal.Signals) -> None:
        children = descendants(process.pid)
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        deadline = time.monotonic() + STOP_TIMEOUT
        for pid, since in children:
            if lives(pid, since):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # What a dead parent's child still holds, the next start would
            # stumble over: a port, a lock.
            while lives(pid, since) and time.monotonic() < deadline:
                time.sleep(0.01)

    def _answer(self, length: int, question: bytes = b'') -> bytes:
        """What the port says first.

        :param length: how many bytes of it
        :param question: what it is asked; nothing, when it greets
        :returns: less than that when there is no more, or no server
        """
        answer = b''
        with contextlib.suppress(OSError), socket.create_connection(
                ('127.0.0.1', self.port), timeout=5) as connection:
            connection.sendall(question)
            while len(answer) < length:
                more = connection.recv(length - len(answer))
                if not more:
                    break
                answer += more
        return answer


class Database(Server):
    """A server of SQL databases.

    :cvar DATABASE: the database of ``url``, which is always there
    """

    DATABASE = ''

    @abc.abstractmethod
    def _url(self, database: str) -> str:
        """Where a database of this name is."""

    @property
    def url(self) -> str:
        return self._url(self.DATABASE)

    def create_database(self) -> str:
        """Make an empty database, for one test.

        :returns: its URL, as ``[database] connection`` wants it
        """
        name = f'rca_{uuid.uuid4().hex}'
        self.execute(self._create_statement(name))
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that :meth:`create_database` made."""
        name = urllib.parse.urlsplit(url).path.strip('/')
        self.execute(self._drop_statement(name))

    def execute(self, statement: str) -> None:
        """Execute one statement in the database of ``url``."""
        engine = sqlalchemy.create_engine(
            self.url, poolclass=sqlalchemy.NullPool,
            isolation_level='AUTOCOMMIT')
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(statement))

    @abc.abstractmethod
    def _create_statement(self, name: str) -> str:
        """How a database is made."""

    @abc.abstractmethod
    def _drop_statement(self, name: str) -> str:
        """How a database is dropped, with connections to it or without."""


def require(case: unittest.TestCase, server: type[Server]) -> None:
    """Skip a test whose server is missing; in CI, fail it.

    :param case: the test
    :param server: what it needs
    """
    reason = server.missing()
    if reason is None:
        return
    if required():
        case.fail(reason)
    case.skipTest(reason)
