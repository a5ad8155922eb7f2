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
"""Passwords of the configuration are told to nobody."""

import os
import pathlib
import signal
import subprocess
import sys

import sqlalchemy

from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import service
from openstack_rca.tests.functional.servers import shared

DATABASE, BUS, CLOUD = SECRETS = tuple(
    f'{word}-e4b1c7' for word in ('mallard', 'heron', 'cormorant'))

# What is quiet by default.
VERBOSE = ','.join(f'{name}=DEBUG' for name in (
    'amqp', 'keystoneauth', 'keystonemiddleware', 'oslo.messaging',
    'oslo_messaging', 'oslo_policy', 'stevedore', 'urllib3'))


class TestSecrets(service_case.ServiceCase):

    def _database(self) -> str:
        server = shared.mariadb(self)
        url = sqlalchemy.make_url(server.create_database())
        root = sqlalchemy.create_engine(
            'mysql+pymysql://root@localhost/mysql',
            poolclass=sqlalchemy.NullPool,
            connect_args={'unix_socket': f'{server.folder}/socket'})
        with root.begin() as connection:
            for statement in (
                    "CREATE USER 'keeper'@'127.0.0.1' IDENTIFIED BY "
                    f"'{DATABASE}'",
                    f"GRANT ALL ON {url.database}.* TO "
                    "'keeper'@'127.0.0.1'"):
                connection.execute(sqlalchemy.text(statement))
        return url.set(username='keeper', password=DATABASE
                       ).render_as_string(hide_password=False)

    def _bus(self) -> str:
        server = shared.rabbitmq(self)
        host = server.create_virtual_host().rpartition('/')[2]
        server.control('add_user', 'keeper', BUS)
        server.control('set_permissions', '-p', host, 'keeper', '.*', '.*',
                       '.*')
        return f'rabbit://keeper:{BUS}@127.0.0.1:{server.port}/{host}'

    def _user(self) -> None:
        cloud = shared.keystone(self)
        identity = cloud.identity()
        user = identity.create_user(name='keeper', domain_id='default',
                                    password=CLOUD)
        identity.assign_project_role_to_user(
            cloud.project_id('service'), user.id,
            identity.find_role('service', ignore_missing=False).id)

    def _tools(self, made: service.Service) -> str:
        """What an operator's commands say."""
        said = ''
        for name, *words in (('openstack-rca-manage', 'db', 'version'),
                             ('openstack-rca-manage', 'db', 'sync'),
                             ('openstack-rca-status', 'upgrade', 'check')):
            done = subprocess.run(
                [str(pathlib.Path(sys.executable).parent / name),
                 '--config-file', str(made.config), *words],
                env=service.environment(), check=False, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertTrue(done.stdout)
            self.assertNotIn('Traceback', done.stdout)
            said += done.stdout
        return said

    def test_nowhere(self) -> None:
        for server in (shared.keystone, shared.mariadb, shared.rabbitmq):
            server(self)
        self._user()
        made = self.own_service(
            connection=self._database(), learned=True,
            DEFAULT={'debug': True, 'transport_url': self._bus(),
                     'default_log_levels': VERBOSE},
            keystone_authtoken={'username': 'keeper', 'password': CLOUD})
        engine, = made.engines
        told = [self._tools(made)]
        self.wait_for('a nudge arrives', lambda: self.wait_complete(
            self.post()) and 'Nudged for the job' in engine.said())
        for server in (shared.mariadb, shared.rabbitmq):
            server(self).stop()
        told += [self.ask(method, '/v1/analyses', 503,
                          json={'issue': 'x'}).text
                 for method in ('GET', 'POST')]
        told.append(self._tools(made))
        self.wait_for('the engine misses the database',
                      lambda: 'Trying again.' in engine.said())
        for server in (shared.mariadb, shared.rabbitmq):
            server(self)
        self.wait_for('all is back', lambda: self.ask(
            'GET', '/v1/analyses').status_code == 200)
        # Anything but a login.
        token = made.cloud.token()
        made.cloud.stop()
        told.append(self.ask('GET', '/v1/analyses', 503, token=token).text)
        made.cloud.start()
        os.kill(engine.pid, signal.SIGUSR2)
        state = f'  state_path = {made.folder}/state0\n'
        # It asks the process that it started, too.
        self.wait_for('two reports are written',
                      lambda: engine.said().count(state) == 2)
        self.wait_complete(self.post())
        said = made.said()
        # They are there, but for what they are.
        self.assertIn('  connection = ***\n', said)
        self.assertIn('  transport_url = ***\n', said)
        told.append(said)
        for secret in (*SECRETS, keystone.PASSWORD, token,
                       made.token('demo-admin')):
            for text in told:
                at = text.find(secret)
                self.assertEqual(-1, at, text[max(0, at - 300):at + 100])
        # Libraries that are told to be verbose may have some.
        for line in said.splitlines():
            if 'Traceback' in line:
                self.assertNotIn('openstack_rca', line)
