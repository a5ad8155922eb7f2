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
"""A real PostgreSQL.

pifpaf's driver of it cannot be run by root, and neither stops nor starts the
server again.
"""

import os
import pwd
import signal
import subprocess

from openstack_rca.tests.functional.servers import base

_FOLDERS = ('/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin')


class PostgreSQL(base.Database):
    """PostgreSQL with a data folder of its own.

    ``url`` and what :meth:`create_database` returns are for psycopg2.
    """

    TITLE = 'PostgreSQL'
    PACKAGE = 'postgresql'
    DATABASE = 'postgres'
    # "Fast": connections of others are ended, not waited for.
    STOP_SIGNAL = signal.SIGINT

    @classmethod
    def _program(cls, name: str) -> str | None:
        return base.find_program(name, *_FOLDERS)

    @classmethod
    def missing(cls) -> str | None:
        return cls._missing_package(*(
            cls._program(name) for name in ('initdb', 'postgres',
                                            'pg_isready')))

    def _url(self, database: str) -> str:
        return f'postgresql+psycopg2://rca@127.0.0.1:{self.port}/{database}'

    def _user(self) -> str | None:
        if os.geteuid() != 0:
            return None
        # It refuses root.
        names = {entry.pw_name for entry in pwd.getpwall()}
        return 'postgres' if 'postgres' in names else 'nobody'

    def _prepare(self) -> None:
        data = self.folder / 'data'
        data.mkdir(mode=0o700)
        user = self._user()
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(data, entry.pw_uid, entry.pw_gid)
        initdb = self._program('initdb')
        assert initdb is not None
        self._run([initdb, '--pgdata', str(data), '--username=rca',
                   '--auth=trust', '--encoding=UTF8', '--locale=C',
                   '--no-sync'], user)

    def _command(self) -> list[str]:
        server = self._program('postgres')
        assert server is not None
        return [server, '-D', str(self.folder / 'data'), '-p',
                str(self.port), '-c', 'listen_addresses=127.0.0.1', '-c',
                'unix_socket_directories=', '-c', 'max_connections=300',
                # A killed process loses nothing by it, a killed machine may.
                '-c', 'fsync=off', '-c', 'full_page_writes=off']

    def _ready(self) -> bool:
        program = self._program('pg_isready')
        assert program is not None
        return subprocess.run(
            [program, '-q', '-h', '127.0.0.1', '-p', str(self.port)],
            env=self._environment(), check=False).returncode == 0

    def _create_statement(self, name: str) -> str:
        return f'CREATE DATABASE {name}'

    def _drop_statement(self, name: str) -> str:
        return f'DROP DATABASE {name} WITH (FORCE)'
