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
"""The API behind its real middleware, with rows that a test makes up."""

import dataclasses
import io
import json
from typing import Any
from unittest import mock
from wsgiref import util
from wsgiref import validate

from keystoneauth1 import fixture as token_fixture
from keystonemiddleware import fixture

from openstack_rca import policy
from openstack_rca.api import app
from openstack_rca.db import api as db
from openstack_rca.db import incidents
from openstack_rca.db import knowledge
from openstack_rca.db import models_api
from openstack_rca.tests import base

PROJECT = '5f1c2d3e4b5a69788796a5b4c3d2e1f0'
USER = '0f1e2d3c4b5a69788796a5b4c3d2e1f5'
ID = '6f70656e-7374-4163-8b72-636173657276'
OTHER_ID = '7f70656e-7374-4163-8b72-636173657276'
TIME = '2026-11-21T03:00:00+00:00'
KEYSTONE = 'http://keystone.invalid:5000/'

ANALYSIS = {
    'version': 1, 'id': ID, 'status': 'queued', 'verdict': None,
    'error': None, 'project_id': PROJECT, 'incident_id': None,
    'created_at': TIME, 'started_at': None, 'finished_at': None,
    'issue': 'slow', 'mode': 'fast', 'attempts': 0, 'queue_position': 0,
    'scope': {'since': None, 'until': None, 'request_ids': [],
              'resources': [], 'services': []}}
SUMMARY = {
    'id': ID, 'project_id': PROJECT, 'user_id': USER, 'status': 'queued',
    'verdict': None, 'issue': 'slow', 'mode': 'fast', 'category': None,
    'component': None, 'severity': None, 'confidence': None,
    'summary': None, 'incident_id': None, 'rating': None, 'error': None,
    'created_at': TIME, 'started_at': None, 'finished_at': None}
QUERY = {
    'id': ID, 'kind': 'trace', 'status': 'queued', 'project_id': PROJECT,
    'user_id': USER, 'request': {'request_id': 'req-1'}, 'result': None,
    'error': None, 'created_at': TIME, 'started_at': None,
    'finished_at': None}
INCIDENT = {
    'id': ID, 'project_id': PROJECT, 'status': 'open', 'title': 'slow',
    'summary': None, 'component': 'rabbitmq', 'category': 'messaging',
    'host': None, 'severity': 'critical', 'confidence': 0.9,
    'analysis_id': ID, 'created_at': TIME, 'updated_at': TIME,
    'acknowledged_at': None, 'acknowledged_by': None, 'resolved_at': None,
    'resolved_by': None, 'resolution': None, 'origin': 'engine',
    'first_seen': TIME, 'last_seen': TIME, 'symptoms': 3, 'reopened': 0,
    'merged_into': None, 'suppressed_until': None, 'suppressed_by': None}
ENTRY_SUMMARY: dict[str, Any] = {
    'id': ID, 'project_id': PROJECT, 'user_id': USER, 'kind': 'document',
    'title': 'Cells', 'source': 'cells.rst', 'service': 'nova',
    'tags': ['cells'], 'url': None, 'resolution': None, 'incident_id': None,
    'analysis_id': None, 'created_at': TIME, 'updated_at': TIME}
ENTRY = ENTRY_SUMMARY | {'text': 'Map the hosts.'}
FOUND = {
    'id': ID, 'kind': 'document', 'title': 'Cells', 'score': 0.5,
    'text': 'Map the hosts.', 'source': 'cells.rst', 'service': 'nova',
    'url': None, 'resolution': None, 'incident_id': None,
    'analysis_id': None, 'updated_at': TIME}
HEALTH = {
    'driver': 'hybrid', 'model': 'all-MiniLM-L6-v2', 'entries': 2,
    'ready': 2, 'embedded': 1, 'bytes': 5, 'problem': None}
MESSAGE: dict[str, Any] = {
    'id': OTHER_ID, 'analysis_id': ID, 'project_id': PROJECT,
    'user_id': USER, 'status': 'queued', 'question': 'and then?',
    'answer': None, 'error': None, 'created_at': TIME, 'started_at': None,
    'finished_at': None}
MODEL_SUMMARY: dict[str, Any] = {
    'id': ID, 'detector': 'lstm', 'version': '20261121T030000Z-1a2b3c4d',
    'origin': 'trained', 'status': 'complete', 'active': False,
    'host': 'controller', 'project_id': PROJECT, 'user_id': USER,
    'sources': ['control'], 'progress': None, 'error': None,
    'created_at': TIME, 'started_at': TIME, 'finished_at': TIME}
MODEL = MODEL_SUMMARY | {
    'trained_at': TIME, 'trained_on': {'events': 5}, 'settings': {},
    'metrics': {'f1': 0.5}, 'thresholds': {}, 'libraries': {},
    'sha256': 'ab' * 32, 'bytes': 17, 'request': {'detector': 'lstm'},
    'drift': {'age_days': 1.5, 'unseen_templates': None,
              'unseen_events': 0.2, 'psi': None, 'measured_at': TIME,
              'stale': True, 'reasons': ['It drifts.']},
    'activations': [{'activated_at': TIME, 'activated_by': USER}]}


@dataclasses.dataclass
class Answer:
    """What came back."""

    code: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.data)

    @property
    def message(self) -> str:
        """The message of an error."""
        return str(self.json['error']['message'])


class APITestCase(base.TestCase):
    """Calls the application as a WSGI server does.

    :ivar db: in place of :mod:`openstack_rca.db.api`
    :ivar incidents: in place of :mod:`openstack_rca.db.incidents`
    :ivar knowledge: in place of :mod:`openstack_rca.db.knowledge`
    :ivar models: in place of :mod:`openstack_rca.db.models_api`
    :ivar nudge: what engines are told
    """

    def setUp(self) -> None:
        super().setUp()
        self.config(group='keystone_authtoken',
                    www_authenticate_uri=KEYSTONE)
        self.addCleanup(policy.reset)
        policy.reset()
        self.tokens = self.useFixture(fixture.AuthTokenFixture())
        self.db: Any = mock.create_autospec(db)
        for name in ('analyses', 'queries', 'index', 'sources'):
            self._patch(f'openstack_rca.api.v1.{name}.db', self.db)
        self.incidents: Any = mock.create_autospec(incidents)
        self._patch('openstack_rca.api.v1.incidents.db', self.incidents)
        self.knowledge: Any = mock.create_autospec(knowledge)
        self._patch('openstack_rca.api.v1.knowledge.db', self.knowledge)
        self._patch('openstack_rca.api.v1.analyses.knowledge',
                    self.knowledge)
        self.models: Any = mock.create_autospec(models_api)
        self._patch('openstack_rca.api.v1.models.db', self.models)
        self._patch('openstack_rca.api.healthcheck.db', self.db)
        engine = self._patch('openstack_rca.engine.rpcapi.EngineAPI',
                             mock.Mock())
        self.nudge = engine.return_value.nudge
        self.tokens.add_token_data(
            'admin', project_id=PROJECT, user_id=USER, role_list=['admin'])
        # The validator raises where an answer breaks the rules of WSGI.
        self.application: Any = validate.validator(app.create(self.conf))

    def build(self) -> None:
        """Build the application anew, with the options as they are now.

        Without the validator, which lets no wrong request through.
        """
        self.application = app.create(self.conf)

    def _patch(self, name: str, with_: mock.Mock) -> mock.Mock:
        patcher = mock.patch(name, with_)
        self.addCleanup(patcher.stop)
        patched: mock.Mock = patcher.start()
        return patched

    def system_token(self, name: str) -> None:
        """Make a token known that belongs to the system, not a project."""
        token = token_fixture.V3Token(user_id=USER)
        token.set_system_scope()
        token.add_role(name='admin')
        self.tokens.add_token(token, token_id=name)

    def call(self, method: str, path: str, body: Any = None, *,
             token: str | None = 'admin', data: bytes | None = None,
             environ: dict[str, Any] | None = None,
             **headers: str | None) -> Answer:
        """Send a request.

        :param body: sent as JSON
        :param data: sent as it is
        :param environ: put into the environment as it is
        :param headers: with underscores for hyphens; None takes one away
        """
        if body is not None:
            data = json.dumps(body).encode()
        path, _, query = path.partition('?')
        sent: dict[str, Any] = {
            'REQUEST_METHOD': method, 'PATH_INFO': path,
            'SCRIPT_NAME': '', 'QUERY_STRING': query,
            'SERVER_PROTOCOL': 'HTTP/1.1', 'REMOTE_ADDR': '192.0.2.1'}
        if token is not None:
            sent['HTTP_X_AUTH_TOKEN'] = token
        if data is not None:
            sent |= {'wsgi.input': io.BytesIO(data),
                     'CONTENT_LENGTH': str(len(data)),
                     'CONTENT_TYPE': 'application/json'}
        for name, value in headers.items():
            name = name.upper()
            if not name.startswith('CONTENT_'):
                name = f'HTTP_{name}'
            if value is None:
                sent.pop(name, None)
            else:
                sent[name] = value
        sent |= environ or {}
        util.setup_testing_defaults(sent)
        told: list[Any] = []
        answer = self.application(sent, lambda *args: told.append(args))
        received = b''.join(answer)
        if hasattr(answer, 'close'):
            answer.close()
        status, pairs = told[0][:2]
        answered = {name.lower(): value for name, value in pairs}
        self.assertEqual(len(pairs), len(answered), pairs)
        self.assertRegex(answered['x-openstack-request-id'], '^req-')
        return Answer(int(status.split()[0]), answered, received)

    def assert_error(self, code: int, answer: Answer, *said: str) -> None:
        """Check that an answer is an error of the one shape.

        :param said: parts of its message
        """
        self.assertEqual(code, answer.code, answer.data.decode())
        self.assertEqual('application/json', answer.headers['content-type'])
        self.assertEqual(['error'], list(answer.json))
        error = answer.json['error']
        self.assertEqual({'code', 'title', 'message'}, set(error))
        self.assertEqual(code, error['code'])
        for part in said:
            self.assertIn(part, error['message'])
