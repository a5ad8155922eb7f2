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
"""A real Keystone, from PyPI, in the environment that tools/keystone.sh makes.
"""

import base64
from collections import abc
import os
import pathlib
import sqlite3
import subprocess
from typing import ClassVar

from keystoneauth1 import session as ksa_session
from keystoneauth1.identity import v3
from openstack import connection
from openstack.identity.v3 import _proxy

from openstack_rca.tests.functional.servers import base
from openstack_rca.tests.functional.servers import wsgi

REGION = 'RegionOne'
SERVICE_TYPE = 'root-cause-analysis'
SERVICE_NAME = 'openstack-rca'

# Everybody's. It opens nothing: the server is gone with the tests.
PASSWORD = 'let-the-bootstrapped-in'

# The project and the role of each user, all of the domain "default".
USERS = {
    'demo-admin': ('demo', 'admin'),
    'demo-member': ('demo', 'member'),
    'demo-reader': ('demo', 'reader'),
    'other-admin': ('other', 'admin'),
    SERVICE_NAME: ('service', 'service'),
    # Who may change Keystone; the bootstrap makes it.
    'admin': ('admin', 'admin'),
}

_CONFIGURATION = """\
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{folder}/keystone.db
[token]
provider = fernet
expiration = {expiration}
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
# Without it, it takes half a second to validate a token. One process knows
# what it revoked itself; another one would not.
[cache]
enabled = true
backend = oslo_cache.dict
# Hundreds of logins, and none that is worth a quarter of a second.
[identity]
password_hash_rounds = 4
"""

# What POST /v3/auth/tokens does, with an end of one's own choice.
_ISSUE = """\
import datetime
import sys

user, project, seconds = sys.argv[1:]
# Keystone would take them for its own.
del sys.argv[1:]

import flask
from keystone.common import provider_api
from keystone.server import wsgi
from oslo_utils import timeutils

wsgi.initialize_public_application()
ends = timeutils.utcnow() + datetime.timedelta(seconds=float(seconds))
with flask.Flask('keystone').test_request_context():
    token = provider_api.ProviderAPIs.token_provider_api.issue_token(
        user, ['password'], expires_at=ends.isoformat() + 'Z',
        project_id=project)
print(token.id)
"""


class Keystone(wsgi.UWSGI):
    """Keystone on SQLite, bootstrapped, with users and projects.

    :param expiration: how many seconds a token is valid; a change of the
        attribute holds from the next start
    """

    TITLE = 'Keystone'

    # Database and keys as they were after the bootstrap, so that each
    # process goes through it once only.
    _state: ClassVar[tuple[bytes, dict[str, bytes]] | None] = None

    def __init__(self, expiration: int = 3600) -> None:
        super().__init__('keystone.wsgi.api:application',
                         options={'processes': '1'})
        self.expiration = expiration

    @classmethod
    def _environment_folder(cls) -> pathlib.Path:
        return base.ROOT / '.venv-keystone'

    @classmethod
    def _program(cls) -> pathlib.Path:
        return cls._environment_folder() / 'bin' / 'uwsgi'

    @classmethod
    def missing(cls) -> str | None:
        # Its last step; what it had not finished cannot be trusted.
        if not (cls._environment_folder() / 'built').exists():
            return (f'{cls.TITLE} is missing (tools/keystone.sh installs it '
                    'into .venv-keystone)')
        return cls._missing_package()

    @property
    def url(self) -> str:
        """The ``auth_url``."""
        return f'http://127.0.0.1:{self.port}/v3'

    def session(self, user: str = 'demo-admin', project: str | None = None
                ) -> ksa_session.Session:
        """Log in.

        :param user: one of :data:`USERS`
        :param project: another project than its own
        :returns: a session that gets tokens by itself
        """
        return ksa_session.Session(v3.Password(
            self.url, username=user, password=PASSWORD,
            project_name=project or USERS[user][0],
            user_domain_id='default', project_domain_id='default'))

    def token(self, user: str = 'demo-admin', project: str | None = None,
              seconds: float | None = None) -> str:
        """Make a token.

        :param user: one of :data:`USERS`
        :param project: another project than its own
        :param seconds: how long it is valid, which may be a few seconds or
            less than none; otherwise as long as the configuration says. This
            takes some seconds and needs no running server.
        :returns: what X-Auth-Token wants
        :raises ServerError: when Keystone makes none
        """
        if seconds is None:
            token: str = self.session(user, project).get_token() or ''
            return token
        done = subprocess.run(
            [str(self._environment_folder() / 'bin' / 'python'), '-c', _ISSUE,
             self.user_id(user), self.project_id(project or USERS[user][0]),
             str(seconds)], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, env=self._environment())
        if done.returncode:
            raise base.ServerError(f'Keystone made no token: {done.stderr}')
        return done.stdout.strip()

    def revoke(self, token: str) -> None:
        """Revoke a token: nobody takes it from now on."""
        self.session('admin').delete(
            f'{self.url}/auth/tokens', headers={'X-Subject-Token': token})

    def user_id(self, name: str) -> str:
        """The id of a user."""
        return self._row('SELECT user_id FROM local_user WHERE name = ?',
                         name)

    def project_id(self, name: str) -> str:
        """The id of a project."""
        return self._row('SELECT id FROM project WHERE name = ? AND NOT '
                         'is_domain', name)

    def _row(self, statement: str, name: str) -> str:
        database = sqlite3.connect(self.folder / 'keystone.db')
        try:
            row = database.execute(statement, (name,)).fetchone()
        finally:
            database.close()
        if row is None:
            raise base.ServerError(f'Keystone knows no {name}.')
        return str(row[0])

    def connection(self, user: str = 'demo-admin') -> connection.Connection:
        """openstacksdk's view of the cloud.

        :param user: one of :data:`USERS`
        """
        return connection.Connection(session=self.session(user),
                                     region_name=REGION)

    def identity(self, user: str = 'admin') -> _proxy.Proxy:
        """openstacksdk's view of Keystone, by default to change it.

        :param user: one of :data:`USERS`
        """
        proxy = self.connection(user).identity
        assert isinstance(proxy, _proxy.Proxy)
        return proxy

    def set_endpoint(self, url: str) -> None:
        """Say in the catalog where the service is.

        :param url: the URL of its API
        """
        identity = self.identity()
        service = identity.find_service(SERVICE_NAME, ignore_missing=False)
        present = {endpoint.interface: endpoint for endpoint
                   in identity.endpoints(service_id=service.id)}
        for interface in ('public', 'internal'):
            if interface in present:
                identity.update_endpoint(present[interface], url=url)
            else:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url,
                    region_id=REGION)

    def cloud_environment(self, user: str = 'demo-admin',
                          project: str | None = None) -> dict[str, str]:
        """What the ``openstack`` command wants in its environment."""
        return {'OS_AUTH_URL': self.url, 'OS_IDENTITY_API_VERSION': '3',
                'OS_USERNAME': user, 'OS_PASSWORD': PASSWORD,
                'OS_PROJECT_NAME': project or USERS[user][0],
                'OS_USER_DOMAIN_ID': 'default',
                'OS_PROJECT_DOMAIN_ID': 'default', 'OS_REGION_NAME': REGION}

    def application_credential(self, user: str = 'demo-admin'
                               ) -> dict[str, str]:
        """Make an application credential, in the user's own project.

        :returns: what the ``openstack`` command wants in its environment
        """
        made = self.identity(user).create_application_credential(
            self.user_id(user), f'tests-{os.urandom(8).hex()}')
        return {'OS_AUTH_TYPE': 'v3applicationcredential',
                'OS_AUTH_URL': self.url, 'OS_IDENTITY_API_VERSION': '3',
                'OS_APPLICATION_CREDENTIAL_ID': made.id,
                'OS_APPLICATION_CREDENTIAL_SECRET': made.secret,
                'OS_REGION_NAME': REGION}

    def authtoken(self) -> dict[str, str]:
        """The options of ``[keystone_authtoken]`` for the service."""
        return {'www_authenticate_uri': self.url, 'auth_url': self.url,
                'auth_type': 'password', 'username': SERVICE_NAME,
                'password': PASSWORD, 'project_name': 'service',
                'user_domain_id': 'default', 'project_domain_id': 'default',
                'region_name': REGION}

    def _setUp(self) -> None:
        super()._setUp()
        if Keystone._state is None:
            self._populate()
            Keystone._state = self._take_state()

    def _environment(self) -> dict[str, str]:
        # Nothing of the tests': not their options, not their coverage.
        return {**base.Server._environment(self),
                'OS_KEYSTONE_CONFIG_FILES': str(
                    self.folder / 'keystone.conf')}

    def _command(self) -> list[str]:
        self._configure()
        return super()._command()

    def _configure(self) -> None:
        (self.folder / 'keystone.conf').write_text(_CONFIGURATION.format(
            folder=self.folder, expiration=self.expiration))

    def _prepare(self) -> None:
        self._configure()
        for name in ('fernet', 'credential'):
            (self.folder / name).mkdir(mode=0o700)
        if Keystone._state is None:
            self._bootstrap()
        else:
            self._restore(*Keystone._state)

    def _bootstrap(self) -> None:
        # keystone-manage fernet_setup and credential_setup write just this,
        # and take five seconds.
        for name in ('fernet', 'credential'):
            for number in ('0', '1'):
                (self.folder / name / number).write_bytes(
                    base64.urlsafe_b64encode(os.urandom(32)))
                (self.folder / name / number).chmod(0o600)
        manage = str(self._environment_folder() / 'bin' / 'keystone-manage')
        configuration = f'--config-file={self.folder}/keystone.conf'
        self._run([manage, configuration, 'db_sync'])
        self._run([manage, configuration, 'bootstrap',
                   '--bootstrap-password', PASSWORD,
                   '--bootstrap-region-id', REGION,
                   '--bootstrap-public-url', self.url,
                   '--bootstrap-internal-url', self.url,
                   '--bootstrap-admin-url', self.url])

    def _populate(self) -> None:
        identity = self.identity()
        projects = {
            name: identity.create_project(name=name, domain_id='default')
            for name in ('demo', 'other', 'service')}
        for name, (project, role) in USERS.items():
            if name == 'admin':
                continue
            user = identity.create_user(
                name=name, domain_id='default', password=PASSWORD,
                default_project_id=projects[project].id)
            identity.assign_project_role_to_user(
                projects[project].id, user.id,
                identity.find_role(role, ignore_missing=False).id)
        identity.create_service(type=SERVICE_TYPE, name=SERVICE_NAME)

    def _take_state(self) -> tuple[bytes, dict[str, bytes]]:
        database = sqlite3.connect(self.folder / 'keystone.db')
        try:
            image = database.serialize()
        finally:
            database.close()
        return image, {
            str(path.relative_to(self.folder)): path.read_bytes()
            for name in ('fernet', 'credential')
            for path in (self.folder / name).iterdir()}

    def _restore(self, image: bytes, keys: abc.Mapping[str, bytes]) -> None:
        for name, key in keys.items():
            (self.folder / name).write_bytes(key)
            (self.folder / name).chmod(0o600)
        (self.folder / 'keystone.db').write_bytes(image)
        database = sqlite3.connect(self.folder / 'keystone.db')
        try:
            # It listens on another port than the first one did.
            database.execute(
                'UPDATE endpoint SET url = ? WHERE service_id IN '
                "(SELECT id FROM service WHERE type = 'identity')",
                (self.url,))
            database.commit()
        finally:
            database.close()
