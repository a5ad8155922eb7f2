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
"""A stand-in for the APIs of a cloud, over real HTTP.

It answers with what a test gives it, recorded answers of a cloud to begin
with, and keeps what it was asked.
"""

from collections.abc import Callable
import http.server
import json
import pathlib
import threading
from typing import Any
import urllib.parse

import fixtures

RECORDED = pathlib.Path(__file__).parent / 'fixtures' / 'cloud.json'
#: The server of the recorded answers, for which there was no room.
SERVER = 'ffe2409a-a834-4719-84ea-f4f8f65b6747'
PROJECT = 'a44f7e0bc38748cca8693cf3a30f5427'
#: The nova-compute of the recorded answers that is down, and since when.
DOWN = 'cmp2', '2026-11-21 14:28:34'

#: Where each service is, below the address of the stand-in.
PATHS = {'compute': '/compute/v2.1', 'network': '/network',
         'block-storage': '/volume/v3', 'placement': '/placement'}

Answer = tuple[int, Any]


class StandIn(fixtures.Fixture):
    """A cloud of one process.

    :param services: those in the catalog; without it all
    :ivar answers: by service as openstacksdk names it and path: an object,
        bytes, a status with either, or a function that gives one of these
    :ivar asked: method and path of every request
    :ivar login: status of a login
    """

    def __init__(self, services: tuple[str, ...] = tuple(PATHS)) -> None:
        super().__init__()
        self.services = services
        self.answers: dict[str, Any] = recorded()
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        self.login = 201

    def _setUp(self) -> None:
        self.server = _Server(('127.0.0.1', 0), _handler(self))
        thread = threading.Thread(target=self.server.serve_forever,
                                  daemon=True, kwargs={'poll_interval': .01})
        thread.start()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """Accept no connection any more."""
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f'http://127.0.0.1:{self.server.server_port}'

    def options(self) -> dict[str, str]:
        """The options of group ``cloud`` for it."""
        return {'auth_type': 'password', 'auth_url': f'{self.url}/v3',
                'username': 'rca', 'password': 'secret-of-the-cloud',
                'project_name': 'service', 'user_domain_id': 'default',
                'project_domain_id': 'default'}

    def paths(self, service: str = '') -> list[str]:
        """Paths that were asked for, of one service or of all."""
        return [path for _, path in self.asked
                if service in path.split('/')[1]]

    def token(self) -> dict[str, Any]:
        """What a login answers."""
        return {'token': {
            'methods': ['password'], 'expires_at':
            '2126-11-21T00:00:00.000000Z', 'issued_at':
            '2026-11-21T00:00:00.000000Z', 'project': {
                'id': 'p1', 'name': 'service',
                'domain': {'id': 'default', 'name': 'Default'}},
            'user': {'id': 'u1', 'name': 'rca', 'domain': {
                'id': 'default', 'name': 'Default'}},
            'catalog': [{
                'type': name, 'name': name, 'id': name, 'endpoints': [{
                    'id': name, 'interface': 'public', 'region': 'RegionOne',
                    'region_id': 'RegionOne', 'url': self.url + PATHS[name],
                }]} for name in self.services]}}

    def versions(self, path: str) -> Any:
        """What an API says of its versions, at its root."""
        def link(where: str) -> list[dict[str, str]]:
            return [{'rel': 'self', 'href': self.url + where}]

        path = path.rstrip('/')
        if path == '/v3':
            return {'version': {'id': 'v3.14', 'status': 'stable',
                                'links': link('/v3/')}}
        if path == PATHS['compute']:
            return {'version': {
                'id': 'v2.1', 'status': 'CURRENT', 'version': '2.100',
                'min_version': '2.1', 'links': link('/compute/v2.1/')}}
        if path == PATHS['network']:
            return {'versions': [{'id': 'v2.0', 'status': 'CURRENT',
                                  'links': link('/network/v2.0/')}]}
        if path in (PATHS['block-storage'], '/volume'):
            return {'versions': [{
                'id': 'v3.0', 'status': 'CURRENT', 'version': '3.71',
                'min_version': '3.0', 'links': link('/volume/v3/')}]}
        if path == PATHS['placement']:
            return {'versions': [{
                'id': 'v1.0', 'status': 'CURRENT', 'min_version': '1.0',
                'max_version': '1.39', 'links': link('/placement')}]}
        return None

    def answer(self, path: str) -> Any:
        """What a request gets."""
        found = self.versions(path)
        if found is not None:
            return found
        for service, root in (('compute', '/compute/v2.1'),
                              ('network', '/network/v2.0'),
                              ('block_storage', '/volume/v3'),
                              ('placement', '/placement')):
            if not path.startswith(root + '/'):
                continue
            below = urllib.parse.unquote(path[len(root):])
            bare = below.partition('?')[0]
            for key in (service, f'{service} {below}', f'{service} {bare}'):
                if key in self.answers:
                    found = self.answers[key]
                    return found(below) if callable(found) else found
        return 404, {'error': {'code': 404, 'message': 'Not found'}}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are a part of the tests."""


def _handler(cloud: StandIn) -> type[http.server.BaseHTTPRequestHandler]:

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *told: Any) -> None:
            """Say nothing."""

        def _send(self, status: int, body: Any, **headers: str) -> None:
            data = body if isinstance(body, bytes) \
                else json.dumps(body).encode()
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace('_', '-'), value)
            self.end_headers()
            self.wfile.write(data)

        def _any(self) -> None:
            cloud.asked.append((self.command, self.path))
            size = int(self.headers.get('Content-Length') or 0)
            cloud.bodies.append(self.rfile.read(size))
            if (self.command, self.path) == ('POST', '/v3/auth/tokens'):
                found = cloud.answers.get('identity')
                if callable(found):
                    found('/auth/tokens')
                if cloud.login == 201:
                    self._send(201, cloud.token(), X_Subject_Token='t')
                else:
                    self._send(cloud.login, {'error': {
                        'code': cloud.login, 'message': 'No.'}})
                return
            told = cloud.answer(self.path)
            status, body = told if isinstance(told, tuple) else (200, told)
            self._send(status, body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _any

    return Handler


def recorded() -> dict[str, Any]:
    """Answers of a cloud, and the empty ones of all else."""
    found: dict[str, Any] = json.loads(RECORDED.read_text())
    return found | {
        'compute /servers/detail': {'servers': []},
        'network /ports': {'ports': []},
        'block_storage /volumes/detail': {'volumes': []},
        f'block_storage /os-quota-sets/{PROJECT}': {'quota_set': {}},
        'placement /allocation_candidates': {
            'allocation_requests': [{}], 'provider_summaries': {}}}


def hanging(seconds: float = 30.0) -> tuple[
        Callable[[str], Any], threading.Event]:
    """An answer that does not come before the test is over.

    :returns: the answer, and what lets it come
    """
    over = threading.Event()

    def wait(path: str) -> Any:
        over.wait(seconds)
        return 503, {}

    return wait, over


