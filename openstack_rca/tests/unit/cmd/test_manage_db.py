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
"""The commands for the database, and what they tell the operator."""

import contextlib
import datetime
import io
import sqlite3

from openstack_rca import conf
from openstack_rca.cmd import manage
from openstack_rca.db import api
from openstack_rca.db import migration
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.tests import base


class TestDatabase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        session.dispose()
        self.addCleanup(session.dispose)
        self.path = self.tmp / 'rca.conf'
        self.file = self.tmp / 'rca.sqlite'
        self._connect(f'sqlite:///{self.file}')

    def _connect(self, url: str) -> None:
        self.path.write_text(f'[database]\nconnection = {url}\n')

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        session.dispose()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            status = manage.run(['--config-file', str(self.path), 'db',
                                 *arguments])
        self.assertNotIn('Traceback', stderr.getvalue())
        return status, stdout.getvalue(), stderr.getvalue()

    def test_sync(self) -> None:
        head = migration.head()
        self.assertEqual((0, 'none\n', ''), self._run('version'))
        self.assertEqual(
            (0, f'The database has version {head}.\n', ''),
            self._run('sync'))
        self.assertEqual((0, f'{head}\n', ''), self._run('version'))
        for arguments in ((), (head,)):
            self.assertEqual(
                (0, f'The database has version {head} already.\n', ''),
                self._run('sync', *arguments))

    def test_unknown_version(self) -> None:
        status, told, error = self._run('sync', '9999')
        self.assertEqual((1, ''), (status, told))
        self.assertIn("'9999'", error)
        self.assertIn(migration.head(), error)

    def test_newer_database(self) -> None:
        self._run('sync')
        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            connection.execute(
                "UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        status, _, error = self._run('sync')
        self.assertEqual(1, status)
        self.assertIn('newer release', error)
        self.assertEqual((0, '9999\n', ''), self._run('version'))

    def test_purge(self) -> None:
        self._run('sync')
        conf.load(files=[str(self.path)])
        session.dispose()
        old = rows.utcnow() - datetime.timedelta(days=91)
        for number in range(2):
            api.query_create('p', 'u', 'trace', {}, 10)
        with session.writer() as connection:
            connection.execute(models.JOBS.update().values(
                state='complete', finished_at=old))
        self.assertEqual(
            (0, 'Deleted: 0 analyses, 0 queries, 0 incidents, 0 models, '
             '0 symptoms, 0 deliveries, 0 sources.\n',
             ''), self._run('purge', '--days', '92'))
        self.assertEqual(
            (0, 'Deleted: 0 analyses, 2 queries, 0 incidents, 0 models, '
             '0 symptoms, 0 deliveries, 0 sources.\n',
             ''), self._run('purge'))

    def test_no_tables(self) -> None:
        status, told, error = self._run('purge')
        self.assertEqual((1, ''), (status, told))
        self.assertIn("'openstack-rca-manage db sync'", error)

    def test_database_away(self) -> None:
        for url in ('mysql+pymysql://rca:secret@127.0.0.1:1/rca',
                    'postgresql+psycopg2://rca:secret@127.0.0.1:1/rca',
                    'mysql+mysqldb://rca:secret@127.0.0.1/rca',
                    f'sqlite:///{self.tmp}/secret/rca.sqlite',
                    'oracel://rca:secret@127.0.0.1/rca', 'secret'):
            self._connect(url)
            for arguments in (('sync',), ('version',), ('purge',)):
                status, told, error = self._run(*arguments)
                self.assertEqual(1, status)
                self.assertIn('The database cannot be used', error)
                self.assertNotIn('secret', told + error)

    def test_wrong_use(self) -> None:
        for arguments in ((), ('drop',), ('purge', '--days', '-1'),
                          ('purge', '--days', 'x'),
                          ('purge', '--days', 'nan'),
                          ('purge', '--days', '36501')):
            error = self.assertRaises(SystemExit, self._run, *arguments)
            self.assertEqual(2, error.code)

    def test_no_configuration_file(self) -> None:
        self.path.unlink()
        status, _, error = self._run('sync')
        self.assertEqual(1, status)
        self.assertIn(str(self.path), error)
