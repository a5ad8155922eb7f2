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
"""The tests of the database, on real MariaDB and PostgreSQL."""

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import shared
from openstack_rca.tests.unit.db import figures_suite
from openstack_rca.tests.unit.db import knowledge_suite
from openstack_rca.tests.unit.db import models_suite
from openstack_rca.tests.unit.db import outbox_suite
from openstack_rca.tests.unit.db import suite
from openstack_rca.tests.unit.db import symptoms_suite
from openstack_rca.tests.unit.engine import correlator_suite

#: The database of each server that has our tables and no row: most tests
#: take less time than to make the tables.
_READY: dict[servers.Database, str] = {}


class _OnServer(suite.DatabaseTestCase):
    """A test with a database on a real server that nobody else has.

    :cvar CHANGES_TABLES: whether the database is of no use to the next test
    """

    CHANGES_TABLES = False

    def _server(self) -> servers.Database:
        raise NotImplementedError

    def setUp(self) -> None:
        self._spoilt = self.CHANGES_TABLES
        # A test that fails may have left anything behind.
        self.addOnException(self._spoil)
        super().setUp()
        self.addCleanup(self._empty)

    def _spoil(self, _error: object) -> None:
        self._spoilt = True

    def url(self) -> str:
        server = self._server()
        url = None if self.CHANGES_TABLES else _READY.pop(server, None)
        if url is None:
            url = server.create_database()
        self.addCleanup(self._give_back, server, url)
        # Before that: nobody may be in it.
        self.addCleanup(session.dispose)
        return url

    def _empty(self) -> None:
        if not self._spoilt:
            with session.writer() as connection:
                for table in reversed(models.METADATA.sorted_tables):
                    connection.execute(table.delete())

    def _give_back(self, server: servers.Database, url: str) -> None:
        """Keep the database for the next test."""
        if self._spoilt:
            server.drop_database(url)
        else:
            _READY[server] = url


class _OnMariaDB(_OnServer):

    def _server(self) -> servers.Database:
        return shared.mariadb(self)


class _OnPostgreSQL(_OnServer):

    def _server(self) -> servers.Database:
        return shared.postgresql(self)


class _Suites:
    """Not found by themselves, as they stand in no module."""

    class Server(_OnServer):
        """What only a server can do."""

        def _told(self) -> str:
            error = self.assertRaises(exception.DatabaseUnavailable,
                                      api.analysis_get, suite.MINE,
                                      'a-secret-id')
            for word in ('a-secret-id', 'SELECT', 'password'):
                self.assertNotIn(word, str(error))
            return str(error)

        def test_server_away_and_back(self) -> None:
            server = self._server()
            self.addCleanup(server.start)
            found = self.ask()
            for end in (server.stop, server.kill):
                end()
                self._told()
                self.assertRaises(exception.DatabaseUnavailable, api.ping)
                server.start()
                # Connections of the pool are dead by then.
                self.assertEqual('queued',
                                 api.analysis_get(suite.MINE, found)['status'])

        def test_wrong_database(self) -> None:
            # The right one is configured no more once this has ended.
            self._spoilt = True
            for old, new in (('/rca_', '/missing_'),
                             ('//rca', '//nobody:password')):
                session.dispose()
                url = str(self.conf.database.connection)
                self.assertIn(old, url)
                self.config('database', connection=url.replace(old, new))
                self._told()
                self.conf.clear_override('connection', group='database')
                self.config('database', connection=url)


class TestMariaDB(_OnMariaDB, _Suites.Server):
    pass


class TestMariaDBAnalysis(_OnMariaDB, suite.AnalysisSuite):
    pass


class TestMariaDBQuery(_OnMariaDB, suite.QuerySuite):
    pass


class TestMariaDBIncident(_OnMariaDB, suite.IncidentSuite):
    pass


class TestMariaDBJob(_OnMariaDB, suite.JobSuite):
    pass


class TestMariaDBSource(_OnMariaDB, suite.SourceSuite):
    pass


class TestMariaDBPurge(_OnMariaDB, suite.PurgeSuite):
    pass


class TestMariaDBCorrelator(_OnMariaDB, correlator_suite.CorrelatorSuite):
    pass


class TestMariaDBModel(_OnMariaDB, models_suite.ModelSuite):
    pass


class TestMariaDBSymptom(_OnMariaDB, symptoms_suite.SymptomSuite):
    pass


class TestMariaDBKnowledge(_OnMariaDB, knowledge_suite.KnowledgeSuite):
    pass


class TestMariaDBMessage(_OnMariaDB, knowledge_suite.MessageSuite):
    pass


class TestMariaDBFigures(_OnMariaDB, figures_suite.FiguresSuite):
    pass


class TestMariaDBOutbox(_OnMariaDB, outbox_suite.OutboxSuite):
    pass


class TestMariaDBMigration(_OnMariaDB, suite.MigrationSuite):
    CHANGES_TABLES = True


class TestMariaDBLoad(_OnMariaDB, suite.LoadSuite):
    pass


class TestPostgreSQL(_OnPostgreSQL, _Suites.Server):
    pass


class TestPostgreSQLAnalysis(_OnPostgreSQL, suite.AnalysisSuite):
    pass


class TestPostgreSQLQuery(_OnPostgreSQL, suite.QuerySuite):
    pass


class TestPostgreSQLIncident(_OnPostgreSQL, suite.IncidentSuite):
    pass


class TestPostgreSQLJob(_OnPostgreSQL, suite.JobSuite):
    pass


class TestPostgreSQLSource(_OnPostgreSQL, suite.SourceSuite):
    pass


class TestPostgreSQLPurge(_OnPostgreSQL, suite.PurgeSuite):
    pass


class TestPostgreSQLCorrelator(_OnPostgreSQL,
                               correlator_suite.CorrelatorSuite):
    pass


class TestPostgreSQLModel(_OnPostgreSQL, models_suite.ModelSuite):
    pass


class TestPostgreSQLSymptom(_OnPostgreSQL, symptoms_suite.SymptomSuite):
    pass


class TestPostgreSQLKnowledge(_OnPostgreSQL, knowledge_suite.KnowledgeSuite):
    pass


class TestPostgreSQLMessage(_OnPostgreSQL, knowledge_suite.MessageSuite):
    pass


class TestPostgreSQLFigures(_OnPostgreSQL, figures_suite.FiguresSuite):
    pass


class TestPostgreSQLOutbox(_OnPostgreSQL, outbox_suite.OutboxSuite):
    pass


class TestPostgreSQLMigration(_OnPostgreSQL, suite.MigrationSuite):
    CHANGES_TABLES = True


class TestPostgreSQLLoad(_OnPostgreSQL, suite.LoadSuite):
    pass
