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
"""Who may do what, and what is refused: over HTTP, with real tokens."""

from collections.abc import Iterator
import http.client
import json
from typing import Any
import uuid

from keystoneauth1 import session as ksa_session
from keystoneauth1.identity import v3

from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import keystone

UNKNOWN = str(uuid.UUID(int=1))

# All that needs a token.
OPERATIONS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ('GET', '/v1/analyses', None),
    ('POST', '/v1/analyses', {'issue': 'x'}),
    ('GET', f'/v1/analyses/{UNKNOWN}', None),
    ('DELETE', f'/v1/analyses/{UNKNOWN}', None),
    ('PUT', f'/v1/analyses/{UNKNOWN}/rating', {'rating': 'right'}),
    ('GET', '/v1/queries', None),
    ('POST', '/v1/queries', {'kind': 'events'}),
    ('GET', f'/v1/queries/{UNKNOWN}', None),
    ('GET', '/v1/incidents', None),
    ('GET', f'/v1/incidents/{UNKNOWN}', None),
    ('PATCH', f'/v1/incidents/{UNKNOWN}', {'status': 'resolved'}),
    ('GET', '/v1/sources', None),
)


class TestTokens(service_case.ServiceCase):

    def setUp(self) -> None:
        super().setUp()
        self.shared_service()

    def test_no_token(self) -> None:
        for method, path, body in (*OPERATIONS,
                                   ('GET', '/v1/openapi.json', None),
                                   ('GET', '/v1/no-such-thing', None)):
            answer = self.ask(method, path, 401, token='', json=body)
            self.assertIn('Keystone', answer.headers['WWW-Authenticate'])
        for path in ('/', '/v1', '/v1/'):
            self.ask('GET', path, 200, token='')
        self.assertEqual(200, self.ask(
            'GET', '/healthcheck', token='').status_code)

    def test_bad_tokens(self) -> None:
        cloud = self.deployed.cloud
        revoked = cloud.token()
        cloud.revoke(revoked)
        for token in ('nonsense', 'x' * 5000, 'gAAAAAB' + 'A' * 180,
                      cloud.token(seconds=-1), revoked):
            self.ask('GET', '/v1/analyses', 401, token=token)

    def test_wrong_role(self) -> None:
        for user in ('demo-reader', 'demo-member'):
            for method, path, body in OPERATIONS:
                answer = self.ask(method, path, 403, user=user, json=body)
                self.assertIn('policy', answer.json()['error']['message'])
            self.ask('GET', '/v1/openapi.json', 200, user=user)
        told = self.refused('analyze', '--issue', 'x', user='demo-member')
        self.assertIn('HTTP 403', told)
        # The service's own user is not its customer, either.
        self.ask('GET', '/v1/analyses', 403, user=keystone.SERVICE_NAME)

    def test_no_project(self) -> None:
        cloud = self.deployed.cloud
        for scope in (None, 'all'):
            token = ksa_session.Session(v3.Password(
                cloud.url, username='admin', password=keystone.PASSWORD,
                user_domain_id='default', unscoped=scope is None,
                system_scope=scope)).get_token()
            assert token is not None
            for method, path, body in OPERATIONS:
                answer = self.ask(method, path, 403, token=token, json=body)
                self.assertIn('project', answer.json()['error']['message'])

    def test_rows_of_another_project(self) -> None:
        analysis = self.post(incident=True)
        query = self.ask('POST', '/v1/queries', 202, json={
            'kind': 'events', 'limit': 1}).json()['id']
        report = self.wait_complete(analysis)
        incident = report['incident_id']
        for method, path, body in (
                ('GET', f'analyses/{analysis}', None),
                ('DELETE', f'analyses/{analysis}', None),
                ('PUT', f'analyses/{analysis}/rating', {'rating': 'right'}),
                ('GET', f'queries/{query}', None),
                ('GET', f'incidents/{incident}', None),
                ('PATCH', f'incidents/{incident}', {'status': 'resolved'})):
            theirs = self.ask(method, f'/v1/{path}', 404, json=body,
                              user='other-admin').json()['error']
            # As of an id that nobody has.
            nobody = self.ask(
                method, f'/v1/{path}'.replace(
                    path.split('/')[1], UNKNOWN), 404, json=body,
                user='other-admin').json()['error']
            self.assertEqual(nobody['message'], theirs['message'].replace(
                path.split('/')[1], UNKNOWN))
        for kind, name in (('analyses', analysis), ('queries', query),
                           ('incidents', incident)):
            self.ask('GET', f'/v1/{kind}?marker={name}', 400,
                     user='other-admin')
            listed = self.ask('GET', f'/v1/{kind}', 200,
                              user='other-admin').text
            self.assertNotIn(name, listed)
            self.assertIn(name, self.ask('GET', f'/v1/{kind}', 200).text)
        told = self.refused('analysis', 'show', analysis,
                            user='other-admin')
        self.assertIn('HTTP 404', told)
        # Nothing came of it.
        self.assertEqual(report, self.show(analysis))
        self.assertEqual('open', self.ask(
            'GET', f'/v1/incidents/{incident}', 200).json()['status'])
        row, = (row for row in self.ask('GET', '/v1/analyses', 200).json()[
            'analyses'] if row['id'] == analysis)
        self.assertIsNone(row['rating'])


class TestBadInput(service_case.ServiceCase):

    JSON = {'Content-Type': 'application/json'}

    def setUp(self) -> None:
        super().setUp()
        self.shared_service()

    def test_no_json(self) -> None:
        for body in (b'{', b'', b'\xff\xfe', b'{"issue": "x"} x', b'[]',
                     b'null', b'"x"', b'1', b'{"issue": NaN}',
                     b'[' * 50000, b'{"issue": "x", "issue": "y"',
                     b'{"issue": "\\ud800"}', b'{"issue": "\\u0000"}',
                     b'{"issue": 1e999}', b'\x00'):
            for method, path in (
                    ('POST', '/v1/analyses'), ('POST', '/v1/queries'),
                    ('PUT', f'/v1/analyses/{UNKNOWN}/rating'),
                    ('PATCH', f'/v1/incidents/{UNKNOWN}')):
                self.ask(method, path, 400, data=body, headers=self.JSON)
        for kind in ('text/plain', 'application/xml',
                     'application/x-www-form-urlencoded'):
            self.ask('POST', '/v1/analyses', 415, data=b'{"issue": "x"}',
                     headers={'Content-Type': kind})

    def test_wrong_fields(self) -> None:
        refused: dict[str, tuple[dict[str, Any], ...]] = {
            '/v1/analyses': (
                {}, {'issue': 1}, {'issue': None}, {'issue': 'x' * 10001},
                {'issue': 'x', 'path': '/etc/passwd'},
                {'issue': 'x', 'incident': 'yes'},
                {'issue': 'x', 'mode': 'slow'}, {'since': 'yesterday'},
                {'since': '2026-11-21T03:00:00'},
                {'since': '2026-11-21T03:00:00+00:00',
                 'until': '2026-11-20T03:00:00+00:00'},
                {'servers': 'web-3'}, {'servers': [1]},
                {'servers': ['x'] * 101}, {'services': ['x' * 65]},
                {'request_ids': [{}]}, {'issue': ['x']}),
            '/v1/queries': (
                {}, {'kind': 'secrets'}, {'kind': 'trace'},
                {'kind': 'trace', 'request_id': 7},
                {'kind': 'events', 'limit': 0},
                {'kind': 'events', 'limit': 1001},
                {'kind': 'events', 'limit': '10'},
                {'kind': 'events', 'limit': True},
                {'kind': 'events', 'level': 'LOUD'},
                {'kind': 'events', 'template': 'x'},
                {'kind': 'events', 'words': ['x'] * 21},
                {'kind': 'events', 'since': 5})}
        for path, bodies in refused.items():
            for body in bodies:
                self.ask('POST', path, 400, json=body)
        for body in ({}, {'rating': 'great'}, {'rating': 'right', 'x': 1},
                     {'rating': 'right', 'component': 'Nova Compute'},
                     {'rating': 'right', 'comment': 'x' * 2001}):
            self.ask('PUT', f'/v1/analyses/{UNKNOWN}/rating', 400, json=body)
        for body in ({}, {'status': 'gone'}, {'title': 'x'},
                     {'resolution': 7}, {'resolution': 'x' * 10001}):
            self.ask('PATCH', f'/v1/incidents/{UNKNOWN}', 400, json=body)

    def test_parameters_and_ids(self) -> None:
        for kind in ('analyses', 'queries', 'incidents'):
            for query in ('limit=0', 'limit=-1', 'limit=1001', 'limit=x',
                          'limit=1&limit=2', 'limit=', 'marker=x',
                          f'marker={UNKNOWN}', 'status=x', 'x=1',
                          'limit=99999999999999999999', 'limit=1.5',
                          'status=%00', 'marker=%ff'):
                self.ask('GET', f'/v1/{kind}?{query}', 400)
            for name in (UNKNOWN, 'x', '1', '%00', '%ff', "'", 'x' * 300):
                self.ask('GET', f'/v1/{kind}/{name}', 404)
        self.ask('GET', '/v1/sources?x=1', 400)
        for method, path in (('PUT', '/v1/analyses'),
                             ('DELETE', '/v1/analyses'),
                             ('POST', f'/v1/analyses/{UNKNOWN}'),
                             ('DELETE', f'/v1/queries/{UNKNOWN}'),
                             ('POST', '/v1/sources')):
            answer = self.ask(method, path, 405)
            self.assertIn('GET', answer.headers['Allow'])
        for path in ('/v1/no-such-thing', '/v2/analyses', '/v1/analyses/x/y',
                     '/v1/../etc/passwd', '/etc/passwd'):
            self.ask('GET', path, 404)

    def test_too_large(self) -> None:
        most = 1 << 20
        body = json.dumps({'issue': 'x' * most}).encode()
        self.ask('POST', '/v1/analyses', 413, data=body, headers=self.JSON)
        # Told before it is sent: nobody waits for it.
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.deployed.api.port,
            timeout=service_case.PATIENCE)
        self.addCleanup(connection.close)
        headers = {**self.JSON,
                   'X-Auth-Token': self.deployed.token('demo-admin')}
        connection.request('POST', '/v1/analyses', body, headers)
        answer = connection.getresponse()
        self.assertEqual(413, answer.status)
        self.check_error(413, json.loads(answer.read()))

    def test_chunks(self) -> None:
        def chunks(count: int) -> Iterator[bytes]:
            yield b'{"issue": "x", "servers": ["'
            for _ in range(count):
                yield b'x' * 65536
            yield b'"]}'

        for count in (0, 1, 32):
            self.ask('POST', '/v1/analyses', 411, data=chunks(count),
                     headers=self.JSON)
        # The connections that this cost are not missed.
        self.ask('GET', '/v1/analyses', 200)
