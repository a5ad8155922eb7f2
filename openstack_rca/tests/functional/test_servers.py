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
"""The servers of the other tests start, stop, die and keep their data."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import amqp
import fixtures
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import session as ksa_session
from keystoneauth1.identity import v3
import sqlalchemy

from openstack_rca.tests import base
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import memcached
from openstack_rca.tests.functional.servers import rabbitmq
from openstack_rca.tests.functional.servers import shared
from openstack_rca.tests.functional.servers import wsgi

WORD = 'gr\u00fc\u00df \U0001f600'


class _DatabaseCase(base.TestCase):
    """What MariaDB and PostgreSQL have to do alike."""

    __test__ = False

    def _server(self) -> servers.Database:
        raise NotImplementedError

    def _execute(self, url: str, statement: str) -> list[object]:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement))
            if not result.returns_rows:
                return []
            return list(result.scalars())

    def _check(self, server: servers.Database) -> None:
        url = server.create_database()
        self._execute(url, 'CREATE TABLE words (word VARCHAR(20))')
        self._execute(url, f"INSERT INTO words VALUES ('{WORD}')")
        for end in (server.stop, server.kill):
            end()
            self.assertFalse(server.running)
            self.assertRaises(sqlalchemy.exc.OperationalError, self._execute,
                              url, 'SELECT 1')
            server.start()
            self.assertTrue(server.running)
            self.assertEqual([WORD],
                             self._execute(url, 'SELECT word FROM words'))
        other = server.create_database()
        self.assertRaises(sqlalchemy.exc.DBAPIError, self._execute, other,
                          'SELECT word FROM words')
        engine = sqlalchemy.create_engine(url)
        with engine.connect():
            # Somebody is still connected.
            server.drop_database(url)
        engine.dispose()
        self.assertRaises(sqlalchemy.exc.OperationalError, self._execute,
                          url, 'SELECT 1')


class TestMariaDB(_DatabaseCase):

    def test_life(self) -> None:
        self._check(shared.mariadb(self))


class TestPostgreSQL(_DatabaseCase):

    def test_life(self) -> None:
        self._check(shared.postgresql(self))


class TestMemcached(base.TestCase):

    def test_life(self) -> None:
        server = shared.memcached(self)
        for end in (server.stop, server.kill):
            pid = server.pid
            end()
            self.assertFalse(server.running)
            self.assertRaises(servers.ServerError, getattr, server, 'pid')
            server.start()
            self.assertNotEqual(pid, server.pid)


class TestRabbitMQ(base.TestCase):

    def _channel(self, url: str) -> amqp.Channel:
        parts = urllib.parse.urlsplit(url)
        connection = amqp.Connection(
            f'{parts.hostname}:{parts.port}', userid=parts.username,
            password=parts.password, virtual_host=parts.path[1:])
        connection.connect()
        self.addCleanup(connection.collect)
        channel = connection.channel()
        channel.queue_declare('words', durable=True, auto_delete=False)
        return channel

    def _put(self, url: str, text: str) -> None:
        self._channel(url).basic_publish(
            amqp.Message(text, delivery_mode=2), routing_key='words')

    def _get(self, url: str) -> str:
        message = self._channel(url).basic_get('words', no_ack=True)
        return str(message.body)

    def test_life(self) -> None:
        server = shared.rabbitmq(self)
        url = server.create_virtual_host()
        for end in (server.stop, server.kill):
            self._put(url, f'before {end.__name__}')
            self.assertEqual({'words': 1}, server.queues(url))
            end()
            self.assertRaises(OSError, self._put, url, 'too late')
            server.start()
            self.assertEqual({'words': 1}, server.queues(url))
            self.assertEqual(f'before {end.__name__}', self._get(url))
        self.assertNotIn('words', server.queues())
        self.assertRaises(servers.ServerError, server.control, 'nonsense')

    def test_two_beside_each_other(self) -> None:
        first = shared.rabbitmq(self)
        second = self.useFixture(rabbitmq.RabbitMQ())
        first.restart()
        url = second.create_virtual_host()
        self._put(url, 'second')
        self.assertEqual({'words': 1}, second.queues(url))
        self.assertEqual('second', self._get(url))
        self.assertEqual({}, first.queues(url))


class TestKeystone(base.TestCase):

    def _validate(self, server: keystone.Keystone, token: str
                  ) -> tuple[str, str, set[str]] | None:
        """User, project and roles of a token, as the service asks."""
        options = server.authtoken()
        answer = ksa_session.Session(v3.Password(
            options['auth_url'], username=options['username'],
            password=options['password'],
            project_name=options['project_name'],
            user_domain_id=options['user_domain_id'],
            project_domain_id=options['project_domain_id'])).get(
                f'{server.url}/auth/tokens', raise_exc=False,
                headers={'X-Subject-Token': token})
        if answer.status_code == 404:
            return None
        body = answer.json()['token']
        return (body['user']['name'], body['project']['name'],
                {role['name'] for role in body['roles']})

    def test_tokens(self) -> None:
        server = shared.keystone(self)
        admin = ('demo-admin', 'demo', {'admin', 'manager', 'member',
                                        'reader'})
        token = server.token()
        self.assertEqual(admin, self._validate(server, token))
        self.assertEqual(('demo-reader', 'demo', {'reader'}),
                         self._validate(server, server.token('demo-reader')))
        self.assertEqual(
            ('demo-member', 'demo', {'member', 'reader'}),
            self._validate(server, server.token('demo-member')))
        found = self._validate(server, server.token('other-admin'))
        assert found is not None
        self.assertEqual('other', found[1])
        self.assertIn('admin', found[2])
        self.assertRaises(ksa_exceptions.Unauthorized, server.token,
                          'demo-admin', 'other')
        server.revoke(token)
        self.assertIsNone(self._validate(server, token))
        self.assertEqual(admin, self._validate(server, server.token(
            seconds=600)))
        self.assertIsNone(self._validate(server, server.token(seconds=-1)))

    def test_application_credential(self) -> None:
        server = shared.keystone(self)
        environment = server.application_credential('demo-member')
        session = ksa_session.Session(v3.ApplicationCredential(
            environment['OS_AUTH_URL'],
            application_credential_id=environment[
                'OS_APPLICATION_CREDENTIAL_ID'],
            application_credential_secret=environment[
                'OS_APPLICATION_CREDENTIAL_SECRET']))
        self.assertEqual(server.project_id('demo'), session.get_project_id())
        self.assertEqual(server.user_id('demo-member'),
                         session.get_user_id())

    def test_catalog(self) -> None:
        server = shared.keystone(self)
        for url in ('http://127.0.0.1:1/', 'http://127.0.0.1:2/'):
            server.set_endpoint(url)
            for interface in ('public', 'internal'):
                self.assertEqual(
                    url, server.session('demo-reader').get_endpoint(
                        service_type=keystone.SERVICE_TYPE,
                        interface=interface))

    def test_life(self) -> None:
        server = shared.keystone(self)
        token = server.token()
        for end in (server.stop, server.kill):
            end()
            self.assertRaises(ksa_exceptions.ConnectFailure, server.token)
            server.start()
            self.assertIsNotNone(self._validate(server, token))

    def test_second_has_what_the_first_has(self) -> None:
        first = shared.keystone(self)
        second = self.useFixture(keystone.Keystone(expiration=3))
        self.assertEqual(first.user_id('demo-admin'),
                         second.user_id('demo-admin'))
        token = second.token()
        for interface in ('public', 'internal'):
            self.assertEqual(second.url, second.session().get_endpoint(
                service_type='identity', interface=interface))
        # Expiry is a matter of seconds here, as configured.
        while self._validate(second, token) is not None:
            time.sleep(0.2)

    def test_openstack_command(self) -> None:
        server = shared.keystone(self)
        program = pathlib.Path(sys.executable).parent / 'openstack'
        done = subprocess.run(
            [str(program), 'token', 'issue', '-f', 'json'],
            env={**os.environ, **server.cloud_environment('demo-reader')},
            capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(server.project_id('demo'),
                         json.loads(done.stdout)['project_id'])


class TestUWSGI(base.TestCase):

    APPLICATION = textwrap.dedent('''\
        import os

        def application(environ, start_response):
            body = environ['wsgi.input'].read()
            start_response('200 OK', [('Content-Type', 'text/plain')])
            return [os.environ['WORD'].encode(), body]
        ''')

    def setUp(self) -> None:
        super().setUp()
        servers.require(self, wsgi.UWSGI)
        self.file = self.tmp / 'application.py'
        self.file.write_text(self.APPLICATION)

    def _ask(self, server: wsgi.UWSGI, body: bytes | None = None) -> str:
        with urllib.request.urlopen(server.url, body, timeout=60) as answer:
            text: bytes = answer.read()
            return text.decode()

    def test_life(self) -> None:
        server = self.useFixture(wsgi.UWSGI(
            self.file, environment={'WORD': 'one'}))
        self.assertEqual('one and more', self._ask(server, b' and more'))
        server.environment['WORD'] = 'two'
        for end in (server.stop, server.kill):
            workers = servers.descendants(server.pid)
            self.assertEqual(2, len(workers))
            end()
            self.assertEqual([], [worker for worker in workers
                                  if servers.lives(*worker)])
            self.assertRaises(urllib.error.URLError, self._ask, server)
            server.start()
            self.assertEqual('two', self._ask(server))

    def test_reload(self) -> None:
        server = self.useFixture(wsgi.UWSGI(
            self.file, environment={'WORD': 'old'}))
        pid = server.pid
        workers = servers.descendants(pid)
        self.file.write_text(self.APPLICATION.replace(
            "os.environ['WORD']", "'new'"))
        os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + servers.START_TIMEOUT
        while any(servers.lives(*worker) for worker in workers):
            if time.monotonic() > deadline:
                self.fail('The workers live on.')
            time.sleep(0.05)
        self.assertEqual('new', self._ask(server))
        self.assertEqual(pid, server.pid)

    def test_module_and_file_of_an_operator(self) -> None:
        ini = self.tmp / 'operator.ini'
        ini.write_text('[uwsgi]\n'
                       'http-socket = 127.0.0.1:1\n'
                       'uid = nobody\n'
                       'module = application:application\n'
                       'plugins = python3\n'
                       'processes = 4\n'
                       'master = true\n')
        server = self.useFixture(wsgi.UWSGI(
            ini=ini, environment={'WORD': 'ini'},
            options={'processes': '3', 'pythonpath': str(self.tmp)}))
        self.assertEqual('ini', self._ask(server))
        self.assertEqual(3, len(servers.descendants(server.pid)))

    def test_broken_application_is_told(self) -> None:
        self.file.write_text('import no_such_module\n')
        server = wsgi.UWSGI(self.file)
        error = self.assertRaises(fixtures.MultipleExceptions, server.setUp)
        self.assertIs(servers.ServerError, error.args[0][0])
        self.assertIn('no_such_module', str(error.args[0][1]))
        self.assertFalse(server.running)
        self.assertFalse(server.folder.exists())


class TestEnd(base.TestCase):

    def test_server_dies_with_its_tests(self) -> None:
        servers.require(self, wsgi.UWSGI)
        file = self.tmp / 'application.py'
        file.write_text(TestUWSGI.APPLICATION)
        code = textwrap.dedent('''\
            import pathlib, sys
            from openstack_rca.tests.functional.servers import base, wsgi
            server = wsgi.UWSGI(pathlib.Path(sys.argv[1]))
            server.setUp()
            print(server.folder)
            for process in base.descendants(server.pid) | {
                    (server.pid, base.started(server.pid))}:
                print(*process, flush=True)
            print('all', flush=True)
            sys.stdin.read()
            ''')
        with subprocess.Popen(
                [sys.executable, '-c', code, str(file)], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, 'WORD': 'x'}) as tests:
            assert tests.stdout is not None
            told = []
            for line in tests.stdout:
                if line == 'all\n':
                    break
                told.append(line.strip())
            tests.kill()
        # Who is killed clears nothing up.
        self.addCleanup(shutil.rmtree, told[0])
        processes = [line.split() for line in told[1:]]
        self.assertEqual(3, len(processes))
        deadline = time.monotonic() + servers.STOP_TIMEOUT
        for pid, started in processes:
            while servers.lives(int(pid), started):
                if time.monotonic() > deadline:
                    self.fail(f'Process {pid} lives on.')
                time.sleep(0.05)


class _Nowhere(memcached.Memcached):
    """A server that no distribution has."""

    TITLE = 'Nowhere'
    PACKAGE = 'nowhere-server'

    @classmethod
    def missing(cls) -> str | None:
        return cls._missing_package(servers.find_program('no-such-program'))


class TestMissing(base.TestCase):

    def _require(self, **environment: str) -> None:
        for name in ('CI', 'RCA_REQUIRE_SERVERS'):
            self.useFixture(fixtures.EnvironmentVariable(
                name, environment.get(name)))
        servers.require(self, _Nowhere)

    def test_is_skipped(self) -> None:
        error = self.assertRaises(unittest.SkipTest, self._require)
        self.assertIn('package nowhere-server', str(error))

    def test_fails_where_it_has_to_be(self) -> None:
        for name, value in (('CI', 'true'), ('RCA_REQUIRE_SERVERS', '1')):
            error = self.assertRaises(self.failureException, self._require,
                                      **{name: value})
            self.assertIn('package nowhere-server', str(error))

    def test_packages_are_those_of_bindep(self) -> None:
        listed = {line.split()[0] for line in
                  (servers.ROOT / 'bindep.txt').read_text().splitlines()
                  if 'test' in line and not line.startswith('#')}
        for kind in shared.KINDS:
            if kind.PACKAGE:
                self.assertIn(kind.PACKAGE, listed)
