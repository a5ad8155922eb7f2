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
"""Failures of a database, told without what it was asked."""

import os
import sqlite3
import threading
from unittest import mock

import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import migration
from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.tests import base
from openstack_rca.tests.unit.db import suite


class TestFailures(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        session.dispose()
        self.addCleanup(session.dispose)

    def _told(self, url: str) -> str:
        session.dispose()
        self.config('database', connection=url)
        told = set()
        for call in (lambda: api.analysis_get('p', 'a-secret-id'),
                     api.source_list):
            error = self.assertRaises(exception.DatabaseUnavailable, call)
            self.assertEqual(503, error.code)
            told.add(str(error))
        text, = told
        for word in ('secret', 'SELECT', 'Traceback', 'Background'):
            self.assertNotIn(word, text)
        return text

    def test_no_folder(self) -> None:
        told = self._told(f'sqlite:///{self.tmp}/missing/rca.sqlite')
        self.assertIn('can be opened', told)

    def test_no_tables(self) -> None:
        told = self._told(f'sqlite:///{self.tmp}/rca.sqlite')
        self.assertIn("'openstack-rca-manage db sync'", told)

    def test_file_of_something_else(self) -> None:
        (self.tmp / 'rca.sqlite').write_text('Dear diary, ' * 100)
        self.assertIn('damaged', self._told(
            f'sqlite:///{self.tmp}/rca.sqlite'))

    def test_nobody_listens(self) -> None:
        for kind in ('mysql+pymysql', 'postgresql+psycopg2'):
            self._told(f'{kind}://rca:secret@127.0.0.1:1/secret')

    def test_driver_that_is_not_installed(self) -> None:
        told = self._told('mysql+mysqldb://rca:secret@127.0.0.1/rca')
        self.assertIn('MySQLdb', told)
        self.assertIn('[database] connection', told)

    def test_no_url(self) -> None:
        for url in ('secret', 'oracel://rca:secret@127.0.0.1/rca',
                    'sqlite://secret/with/a:secret@b:c', '://'):
            self.assertIn('[database] connection', self._told(url))

    def test_dispose_reads_the_configuration_anew(self) -> None:
        for name in ('one', 'two'):
            session.dispose()
            self.config('database',
                        connection=f'sqlite:///{self.tmp}/{name}')
            migration.sync()
        self.assertTrue((self.tmp / 'one').exists())
        self.assertTrue((self.tmp / 'two').exists())


class TestSQLite(suite.DatabaseTestCase):

    def _other(self) -> sqlite3.Connection:
        other = sqlite3.connect(self.tmp / 'rca.sqlite',
                                isolation_level=None)
        self.addCleanup(other.close)
        return other

    def test_write_ahead_log(self) -> None:
        self.assertEqual('wal', self._other().execute(
            'PRAGMA journal_mode').fetchone()[0])

    def test_locked_for_too_long(self) -> None:
        session.dispose()
        with mock.patch.object(session, '_BUSY', 0):
            api.ping()
            self._other().execute('BEGIN IMMEDIATE')
            error = self.assertRaises(exception.DatabaseUnavailable,
                                      self.ask, issue='secret')
        self.assertNotIn('secret', str(error))
        # Readers go on.
        self.assertEqual([], api.source_list())

    def test_writers_wait_for_each_other(self) -> None:
        other = self._other()
        other.execute('BEGIN IMMEDIATE')
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(self.ask()))
        thread.start()
        self.assertEqual([], found)
        other.execute('COMMIT')
        thread.join()
        self.assertEqual('queued', api.analysis_get(
            suite.MINE, found[0])['status'])

    def test_writer_that_reads_first(self) -> None:
        # What it read must not be changed by another one before it writes.
        with session.writer() as connection:
            connection.execute(sa.select(models.JOBS)).all()
            self.assertRaises(
                sqlite3.OperationalError, sqlite3.connect(
                    self.tmp / 'rca.sqlite', timeout=0).execute,
                "DELETE FROM jobs")
            connection.execute(models.JOBS.delete())

    def test_failed_writer_leaves_nothing(self) -> None:
        for _ in range(3):
            try:
                with session.writer() as connection:
                    connection.execute(models.SOURCES.insert().values(
                        host='h', name='n', status='ready',
                        updated_at=sa.func.current_timestamp(), events=0,
                        bytes=0, files='[]', skipped='[]'))
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                self.assertEqual(0, self.count(models.SOURCES))
        self.ask()

    def test_bug_is_not_hidden(self) -> None:
        @session.guarded
        def bug() -> None:
            raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, bug)

    def test_all_connections_in_use(self) -> None:
        @session.guarded
        def waited() -> None:
            raise sa.exc.TimeoutError

        error = self.assertRaises(exception.DatabaseUnavailable, waited)
        self.assertIn('max_pool_size', str(error))

    def test_options_of_pools_are_no_error(self) -> None:
        session.dispose()
        self.config('database', max_pool_size=1, max_overflow=0,
                    pool_timeout=0)
        with session.reader():
            api.ping()

    def test_forked_process_has_connections_of_its_own(self) -> None:
        found = self.ask()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                if api.analysis_get(suite.MINE, found)['id'] == found:
                    status = 0
            finally:
                os._exit(status)
        self.assertEqual(0, os.waitpid(pid, 0)[1])
        self.assertEqual(found, api.analysis_get(suite.MINE, found)['id'])
