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
"""A real WSGI server: uWSGI, as the wheel that test-requirements.txt names."""

from collections import abc
import http.client
import os
import pathlib
import sys

from openstack_rca.tests.functional.servers import base

# What no test can take over from an operator's file: where it listens, who it
# is, where it writes, and how Python comes in (in the wheel it is built in).
_LEFT_OUT = frozenset((
    'chdir', 'daemonize', 'gid', 'http', 'http-socket', 'https', 'logto',
    'logto2', 'pidfile', 'plugin', 'plugins', 'socket', 'stats', 'uid',
    'virtualenv'))

# Without such a file.
_OPTIONS: dict[str, str | None] = {
    'master': 'true', 'processes': '2', 'enable-threads': 'true',
    'lazy-apps': 'true', 'need-app': 'true', 'buffer-size': '65535',
    # It closes each connection; a client that does not know would use one
    # again and find it closed, now and then. And what it closes with a body
    # unread is reset before the client has the answer.
    'add-header': 'Connection: close', 'post-buffering': '65536'}

# With one, too: a test cannot wait for a minute, and leaves nobody behind.
_ALWAYS: dict[str, str | None] = {
    'die-on-term': 'true', 'no-orphans': 'true', 'worker-reload-mercy': '5'}


class UWSGI(base.Server):
    """uWSGI with one application.

    :param application: ``package.module:callable``, or the path of a Python
        file that has ``application``; None: as the file ``ini`` says
    :param environment: what the application sees beside this process's own
        environment; a change holds from the next start
    :param ini: a uWSGI file to start from: it is taken as it is, but for
        where it listens, its user and its log
    :param options: more of uWSGI's own options, instead of the file's own
        and of this class's; None is a flag
    """

    TITLE = 'uWSGI'
    PACKAGE = ''

    def __init__(self, application: str | pathlib.Path | None = None, *,
                 environment: abc.Mapping[str, str] | None = None,
                 ini: pathlib.Path | None = None,
                 options: abc.Mapping[str, str | None] | None = None
                 ) -> None:
        super().__init__()
        self.application = application
        self.environment = dict(environment or {})
        self.ini = ini
        self.options = dict(options or {})

    @classmethod
    def _program(cls) -> pathlib.Path:
        return pathlib.Path(sys.executable).parent / 'uwsgi'

    @classmethod
    def missing(cls) -> str | None:
        if not os.access(cls._program(), os.X_OK):
            return (f'{cls.TITLE} is missing (pip install -r '
                    'test-requirements.txt)')
        return cls._missing_package()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **super()._environment(), **self.environment}

    def _prepare(self) -> None:
        """The file is written at each start."""

    def _command(self) -> list[str]:
        options = {**({} if self.ini else _OPTIONS), **_ALWAYS,
                   **self.options, 'http-socket': f'127.0.0.1:{self.port}',
                   # What a reload runs; it would take the Python that the
                   # virtual environment was made with.
                   'binary-path': str(self._program().parent / 'python')}
        if isinstance(self.application, pathlib.Path):
            options['wsgi-file'] = str(self.application)
        elif self.application is not None:
            options['module'] = self.application
        lines = ['[uwsgi]']
        if self.ini is not None:
            lines = [line for line in self.ini.read_text().splitlines()
                     if (name := line.partition('=')[0].strip())
                     not in _LEFT_OUT and name not in options]
        lines += [name if value is None else f'{name} = {value}'
                  for name, value in options.items()]
        file = self.folder / 'uwsgi.ini'
        file.write_text('\n'.join(lines) + '\n')
        return [str(self._program()), '--ini', str(file)]

    def _ready(self) -> bool:
        # The port is open before the application is there to answer.
        connection = http.client.HTTPConnection('127.0.0.1', self.port,
                                                timeout=5)
        try:
            connection.request('GET', '/')
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True
