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
"""A cloud of one process: a Keystone's catalog and the service's contract.

It speaks HTTP, so that openstacksdk, keystoneauth and the commands are the
real ones from the socket on.
"""

from collections.abc import Iterator
import http.server
import json
import threading
from typing import Any
import urllib.parse
import uuid

import fixtures
import jsonschema

from openstack_rca.api import schemas
from openstack_rca.tests.unit.osc import sample

PROJECT = 'fd0c3a1e6b7d4a0e9f2c5b8a7d6e4f31'
USER = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
PASSWORD = 'right'
TOKEN = 'a-token-that-opens-nothing'
TIME = '2026-11-21T03:10:00+00:00'

Answer = tuple[int, Any, dict[str, str]]


def identity(number: int, kind: int = 0) -> str:
    """The id of a row."""
    return str(uuid.UUID(int=(kind << 64) + number))


def failure(code: int, message: str, title: str = 'Title') -> Answer:
    """An answer as the service gives its errors."""
    return code, {'error': {'code': code, 'title': title,
                            'message': message}}, {}


class Cloud(fixtures.Fixture):
    """Keystone and the service, on a port of the loopback.

    :ivar answers: by method and path, answers to give before the usual ones
    :ivar asked: method, path with query, and body of each request of the API
    :ivar logins: bodies of the requests for a token
    :ivar looks: how often an unfinished job is unfinished when looked at
    :ivar catalogued: whether the catalog names the service
    :ivar page: rows of a page, whatever was asked
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.logins: list[Any] = []
        self.looks = 1
        self.catalogued = True
        self.page = 100
        self.refused = False
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            'analyses': {}, 'queries': {}, 'incidents': {}, 'models': {}}
        self.left: dict[str, int] = {}
        self.results: dict[str, Any] = {
            'trace': {**sample.trace(), 'more': False},
            'events': {'events': sample.trace()['events'], 'more': False}}
        self.sources: list[dict[str, Any]] = []
        self.failed: dict[str, Any] | None = None

    def _setUp(self) -> None:
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def _answer(self) -> None:
                size = int(self.headers.get('Content-Length') or 0)
                body = json.loads(self.rfile.read(size) or 'null')
                status, content, headers = cloud.answer(
                    self.command, self.path, body,
                    self.headers.get('X-Auth-Token'))
                data = (content if isinstance(content, bytes)
                        else b'' if content is None
                        else json.dumps(content).encode())
                self.send_response(status)
                kind = ('text/html' if isinstance(content, bytes)
                        else 'application/json')
                for name, value in {
                        'Content-Type': kind,
                        'Content-Length': str(len(data)),
                        'X-Openstack-Request-Id': 'req-of-the-service',
                        **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever,
                                  kwargs={'poll_interval': .02}, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f'http://127.0.0.1:{server.server_address[1]}'
        self.api = f'{self.url}/rca'

    @property
    def login(self) -> dict[str, str]:
        """What a user needs to log in."""
        return {'auth_url': f'{self.url}/identity', 'username': 'ops',
                'password': PASSWORD, 'project_name': 'ops',
                'user_domain_id': 'default', 'project_domain_id': 'default'}

    @property
    def environment(self) -> dict[str, str]:
        """The same, as variables."""
        return {f'OS_{name.upper()}': value
                for name, value in self.login.items()}

    def calls(self, method: str) -> list[tuple[str, Any]]:
        """The requests of one method: path with query, and body."""
        return [(path, body) for name, path, body in self.asked
                if name == method]

    def answer(self, method: str, target: str, body: Any,
               token: str | None) -> Answer:
        """Answer one request."""
        parts = urllib.parse.urlsplit(target)
        path = parts.path.rstrip('/')
        if path.startswith('/identity'):
            return self._keystone(method, path, body)
        if not path.startswith('/rca'):
            return 404, b'<h1>Not Found</h1>', {}
        path = path.removeprefix('/rca')
        waiting = self.answers.get((method, path or '/'))
        if path not in ('', '/v1'):
            self.asked.append((method, target.removeprefix('/rca'), body))
        if waiting:
            return waiting.pop(0)
        if path in ('', '/v1'):
            version = {'id': 'v1.0', 'status': 'CURRENT', 'min_version': '',
                       'version': '', 'updated': '2026-11-21T00:00:00Z',
                       'links': [{'rel': 'self',
                                  'href': f'{self.api}/v1/'}]}
            return 200, ({'version': version} if path
                         else {'versions': [version]}), {}
        if token != TOKEN:
            return 401, {'error': {'code': 401, 'title': 'Unauthorized',
                                   'message': 'The request you have made '
                                   'requires authentication.'}}, {
                'WWW-Authenticate': f'Keystone uri="{self.url}/identity"'}
        words = path.split('/')[2:]
        wrong = self._wrong(method, words, body)
        if wrong:
            return failure(400, wrong)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if words == ['sources']:
            return 200, {'sources': self.sources}, {}
        if len(words) == 1:
            return (self._create(words[0], body) if method == 'POST'
                    else self._list(words[0], query))
        return self._one(method, words, body)

    def _wrong(self, method: str, words: list[str],
               body: Any) -> str | None:
        """What the schemas of the real service have against a body."""
        if method not in ('POST', 'PUT', 'PATCH'):
            return None
        schema = {
            'analyses': (schemas.ANALYSIS_REQUEST if method == 'POST'
                         else schemas.RATING_REQUEST),
            'incidents': schemas.INCIDENT_UPDATE,
            'models': (schemas.MODEL_REQUEST if method == 'POST'
                       else schemas.MODEL_UPDATE),
            'queries': (schemas.TRACE_REQUEST
                        if body.get('kind') == 'trace'
                        else schemas.EVENTS_REQUEST)}[words[0]]
        errors = jsonschema.Draft202012Validator(schema).iter_errors(body)
        return next((str(error.message) for error in errors), None)

    def _keystone(self, method: str, path: str, body: Any) -> Answer:
        waiting = self.answers.get((method, path))
        if waiting:
            return waiting.pop(0)
        if not path.endswith('/tokens'):
            version = {'id': 'v3.14', 'status': 'stable',
                       'links': [{'rel': 'self',
                                  'href': f'{self.url}/identity/v3/'}],
                       'media-types': []}
            return 200, ({'version': version} if path.endswith('v3')
                         else {'versions': {'values': [version]}}), {}
        self.logins.append(body)
        user = body['auth']['identity']['password']['user']
        if user['password'] != PASSWORD:
            return 401, {'error': {
                'code': 401, 'title': 'Unauthorized',
                'message': 'The request you have made requires '
                           'authentication.'}}, {}
        catalog = [{'type': 'identity', 'name': 'keystone', 'id': 'k',
                    'endpoints': self._endpoints(f'{self.url}/identity')}]
        if self.catalogued:
            catalog.append({
                'type': 'root-cause-analysis', 'name': 'openstack-rca',
                'id': 'r', 'endpoints': self._endpoints(f'{self.api}/')})
        return 201, {'token': {
            'methods': ['password'], 'expires_at': '2099-01-01T00:00:00Z',
            'issued_at': TIME, 'catalog': catalog, 'audit_ids': ['a'],
            'user': {'id': USER, 'name': 'ops',
                     'domain': {'id': 'default', 'name': 'Default'}},
            'project': {'id': PROJECT, 'name': 'ops',
                        'domain': {'id': 'default', 'name': 'Default'}},
            'roles': [{'id': 'a', 'name': 'admin'}]}}, {
                'X-Subject-Token': TOKEN}

    def _endpoints(self, url: str) -> list[dict[str, str]]:
        return [{'id': name, 'interface': name, 'region': 'RegionOne',
                 'region_id': 'RegionOne', 'url': url}
                for name in ('public', 'internal', 'admin')]

    def _create(self, kind: str, body: dict[str, Any]) -> Answer:
        number = len(self.rows[kind]) + 1
        row: dict[str, Any] = {
                'id': identity(number, len(kind)), 'status': 'queued',
                'error': None, 'project_id': PROJECT, 'created_at': TIME,
                'started_at': None, 'finished_at': None}
        if kind == 'queries':
            row |= {'kind': body['kind'], 'result': None, 'user_id': USER,
                    'request': {name: value for name, value in body.items()
                                if name != 'kind'}}
        elif kind == 'models':
            row |= self._model(body['detector']) | {
                'user_id': USER, 'request': body,
                'sources': body.get('sources', ['control'])}
        else:
            row |= {'version': 1, 'verdict': None, 'incident_id': None,
                    'issue': body.get('issue', ''), 'mode': 'fast',
                    'scope': {'since': body.get('since'),
                              'until': body.get('until'),
                              'request_ids': body.get('request_ids', []),
                              'resources': body.get('servers', []),
                              'services': body.get('services', [])},
                    'attempts': 0, 'queue_position': 3}
        self.rows[kind][row['id']] = row
        self.left[row['id']] = self.looks
        return 202, row, {'Location': f'{self.api}/v1/{kind}/{row["id"]}'}

    def _list(self, kind: str, query: dict[str, str]) -> Answer:
        rows = [row for row in reversed(self.rows[kind].values())
                if all(row.get(name) == query[name]
                       for name in ('status', 'verdict', 'kind', 'detector',
                                    'origin')
                       if name in query)]
        ids = [row['id'] for row in rows]
        if 'marker' in query:
            if query['marker'] not in ids:
                return failure(400, f'marker: there is no {kind} '
                                    f'{query["marker"]} in this project.')
            rows = rows[ids.index(query['marker']) + 1:]
        limit = min(int(query.get('limit', self.page)), self.page)
        answer: dict[str, Any] = {kind: rows[:limit]}
        if len(rows) > limit:
            more = urllib.parse.urlencode(
                {**query, 'limit': limit, 'marker': rows[limit - 1]['id']})
            # The name that a service knows itself by need not be the one
            # that its clients reach it by.
            answer[f'{kind}_links'] = [
                {'rel': 'next',
                 'href': f'http://inside.invalid/v1/{kind}?{more}'}]
        return 200, answer, {}

    def _one(self, method: str, words: list[str], body: Any) -> Answer:
        kind, name = words[:2]
        row = self.rows[kind].get(name)
        if row is None:
            noun = {'analyses': 'analysis', 'queries': 'query',
                    'incidents': 'incident', 'models': 'model'}[kind]
            return failure(404, f'There is no {noun} {name} in this '
                                f'project.')
        if method == 'DELETE' and row.get('active'):
            return failure(409, 'The model is active. Activate another one '
                                'first.')
        if method == 'DELETE':
            del self.rows[kind][name]
            return 204, None, {}
        if method == 'PUT':
            if row['status'] != 'complete':
                return failure(409, 'The analysis is not complete.')
            return 200, {'analysis_id': name, 'user_id': USER,
                         'component': None, 'comment': None,
                         'created_at': TIME, 'updated_at': TIME, **body}, {}
        if method == 'PATCH':
            if row['status'] == 'resolved' and (
                    body.get('status') == 'acknowledged'):
                return failure(409, 'A resolved incident is opened again '
                                    'before it is acknowledged.')
            row.update(body)
        elif kind != 'incidents':
            self._advance(kind, row)
        return 200, row, {}

    def _advance(self, kind: str, row: dict[str, Any]) -> None:
        if row['status'] in ('complete', 'failed'):
            return
        left = self.left.get(row['id'], 0)
        self.left[row['id']] = left - 1
        if left > 0:
            if left < self.looks:
                row |= {'status': 'running', 'started_at': TIME}
                if kind == 'models':
                    row['progress'] = {'what': 'epoch 3', 'share': .25,
                                       'figures': {'loss': .125}}
                row.pop('queue_position', None)
            return
        row['finished_at'] = TIME
        if self.failed is not None:
            row |= {'status': 'failed', 'error': self.failed}
        elif kind == 'queries':
            row |= {'status': 'complete', 'result': self.results[row['kind']]}
        elif kind == 'models':
            row |= {'status': 'complete', 'progress': None,
                    'version': f'20261121T030000Z-{len(self.asked):08x}',
                    'host': 'controller', 'trained_at': TIME,
                    'trained_on': {'sources': row['sources'], 'events': 5},
                    'metrics': {'f1': .5}, 'thresholds': {'score': .9},
                    'settings': {'seed': 1}, 'libraries': {'numpy': '2'},
                    'sha256': 'ab' * 32, 'bytes': 17, 'drift': {
                        'age_days': 0.0, 'unseen_templates': None,
                        'unseen_events': None, 'psi': None,
                        'measured_at': None, 'stale': False,
                        'reasons': []}}
        else:
            row |= {**sample.report(), 'id': row['id'],
                    'project_id': PROJECT, 'finished_at': TIME,
                    'issue': row['issue']}
            row.pop('queue_position', None)

    def summaries(self, count: int) -> Iterator[dict[str, Any]]:
        """Put so many finished analyses there, the last the newest."""
        for number in range(1, count + 1):
            row: dict[str, Any] = {
                'id': identity(number, 9), 'project_id': PROJECT,
                'user_id': USER, 'status': 'complete',
                'verdict': 'cause_found', 'issue': f'issue {number}',
                'mode': 'fast', 'category': 'capacity',
                'component': 'nova-scheduler', 'severity': 'high',
                'confidence': .8, 'summary': f'summary {number}',
                'incident_id': None, 'rating': None, 'created_at': TIME,
                'started_at': TIME, 'finished_at': TIME, 'error': None}
            self.rows['analyses'][row['id']] = row
            yield row

    @staticmethod
    def _model(detector: str) -> dict[str, Any]:
        return {'detector': detector, 'version': None, 'origin': 'trained',
                'status': 'queued', 'active': False, 'host': None,
                'user_id': None, 'sources': [], 'progress': None,
                'trained_at': None, 'trained_on': None, 'settings': None,
                'metrics': None, 'thresholds': None, 'libraries': None,
                'sha256': None, 'bytes': None, 'request': None,
                'drift': None, 'activations': []}

    def models(self, count: int) -> Iterator[dict[str, Any]]:
        """Put so many models there, the last the newest, the first active."""
        for number in range(1, count + 1):
            row: dict[str, Any] = self._model('lstm') | {
                'id': identity(number, 5), 'project_id': PROJECT,
                'version': f'20261121T0300{number:02d}Z-1a2b3c4d',
                'status': 'complete', 'active': number == 1, 'error': None,
                'host': 'ctl1', 'created_at': TIME, 'started_at': TIME,
                'finished_at': TIME}
            self.rows['models'][row['id']] = row
            yield row

    def incidents(self, count: int) -> Iterator[dict[str, Any]]:
        """Put so many open incidents there, the last the newest."""
        for number in range(1, count + 1):
            row: dict[str, Any] = {
                'id': identity(number, 7), 'project_id': PROJECT,
                'status': 'open', 'title': f'title {number}',
                'summary': f'summary {number}', 'component': 'rabbitmq',
                'category': 'messaging', 'host': 'ctl1',
                'severity': 'high', 'confidence': .7,
                'analysis_id': identity(number, 9), 'created_at': TIME,
                'updated_at': TIME, 'acknowledged_at': None,
                'acknowledged_by': None, 'resolved_at': None,
                'resolved_by': None, 'resolution': None,
                'origin': 'engine', 'symptoms': 3, 'first_seen': TIME,
                'last_seen': TIME, 'reopened': 0, 'merged_into': None,
                'suppressed_until': None, 'suppressed_by': None}
            self.rows['incidents'][row['id']] = row
            yield row
