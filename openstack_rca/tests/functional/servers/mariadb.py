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
"""A real MariaDB.

pifpaf's driver of it starts Oracle's server, and neither stops nor starts it
again.
"""

import os

from openstack_rca.tests.functional.servers import base


class MariaDB(base.Database):
    """MariaDB with a data folder of its own.

    ``url`` and what :meth:`create_database` returns are for PyMySQL.
    """

    TITLE = 'MariaDB'
    PACKAGE = 'mariadb-server'
    DATABASE = 'rca'

    @classmethod
    def _programs(cls) -> tuple[str | None, str | None]:
        return (base.find_program('mariadbd', '/usr/libexec'),
                base.find_program('mariadb-install-db'))

    @classmethod
    def missing(cls) -> str | None:
        return cls._missing_package(*cls._programs())

    def _url(self, database: str) -> str:
        return (f'mysql+pymysql://rca:rca@127.0.0.1:{self.port}/{database}'
                # No server here has a certificate, and to be ready for one
                # takes longer than all else that a connection needs.
                '?charset=utf8mb4&ssl_disabled=true')

    def _prepare(self) -> None:
        (self.folder / 'init.sql').write_text(
            'CREATE DATABASE IF NOT EXISTS rca CHARACTER SET utf8mb4;\n'
            "CREATE USER IF NOT EXISTS 'rca'@'127.0.0.1' IDENTIFIED BY "
            "'rca';\n"
            "GRANT ALL ON *.* TO 'rca'@'127.0.0.1';\n")
        install = self._programs()[1]
        assert install is not None
        self._run([install, '--no-defaults',
                   f'--datadir={self.folder}/data', '--skip-test-db',
                   '--auth-root-authentication-method=normal',
                   '--skip-name-resolve', *self._as_root()])

    @staticmethod
    def _as_root() -> list[str]:
        # It refuses root unless it is told that this is meant.
        return ['--user=root'] if os.geteuid() == 0 else []

    def _command(self) -> list[str]:
        server = self._programs()[0]
        assert server is not None
        return [server, '--no-defaults', f'--datadir={self.folder}/data',
                f'--socket={self.folder}/socket',
                f'--pid-file={self.folder}/pid', f'--port={self.port}',
                '--bind-address=127.0.0.1', '--skip-name-resolve',
                f'--init-file={self.folder}/init.sql',
                '--character-set-server=utf8mb4', '--max-connections=300',
                # A killed process loses nothing by it, a killed machine may.
                '--innodb-flush-log-at-trx-commit=2',
                '--innodb-buffer-pool-size=64M', *self._as_root()]

    def _ready(self) -> bool:
        # Three bytes of length, a number, and the protocol, which is ten; in
        # an error it would be 255.
        return self._answer(5)[4:] == b'\x0a'

    def _create_statement(self, name: str) -> str:
        return f'CREATE DATABASE {name} CHARACTER SET utf8mb4'

    def _drop_statement(self, name: str) -> str:
        return f'DROP DATABASE {name}'
