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
"""Tests for what is the same for all paths."""

import io
import json
from typing import Any
from unittest import mock

from keystoneauth1 import discover
from keystoneauth1 import exceptions as keystone
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _exceptions
from oslo_context import context

from openstack_rca import exception
from openstack_rca.tests.unit.api import base

GUARDED = (
    ('GET', '/v1/analyses'), ('POST', '/v1/analyses'),
    ('GET', f'/v1/analyses/{base.ID}'),
    ('DELETE', f'/v1/analyses/{base.ID}'),
    ('PUT', f'/v1/analyses/{base.ID}/rating'), ('GET', '/v1/queries'),
    ('POST', '/v1/queries'), ('GET', f'/v1/queries/{base.ID}'),
    ('GET', '/v1/incidents'), ('GET', f'/v1/incidents/{base.ID}'),
    ('PATCH', f'/v1/incidents/{base.ID}'), ('GET', '/v1/sources'))


class TestVersions(base.APITestCase):

    def test_open_to_everybody(self) -> None:
        for path in ('', '/'):
            answer = self.call('GET', path, token=None,
                               environ={'SCRIPT_NAME': '/rca'})
            self.assertEqual(200, answer.code)
            [version] = answer.json['versions']
            self.assertEqual('CURRENT', version['status'])
        for path in ('/v1', '/v1/'):
            answer = self.call('GET', path, token=None,
                               environ={'SCRIPT_NAME': '/rca'})
            self.assertEqual(200, answer.code)
            self.assertEqual(version, answer.json['version'])

    def test_keystoneauth_finds_its_way(self) -> None:
        for path in ('/', '/v1'):
            document = self.call('GET', path, token=None,
                                 host='rca.example:8990').json
            session = mock.Mock()
            session.get.return_value.json.return_value = document
            session.get.return_value.status_code = 200
            found = discover.Discover(
                session, f'http://rca.example:8990{path}')
            self.assertEqual('http://rca.example:8990/v1/',
                             found.url_for('1'))

    def test_where_it_is_mounted(self) -> None:
        answer = self.call('GET', '/v1', token=None, host='cloud.example',
                           environ={'SCRIPT_NAME': '/rca'})
        self.assertEqual('http://cloud.example/rca/v1/',
                         answer.json['version']['links'][0]['href'])

    def test_behind_a_proxy(self) -> None:
        headers: dict[str, Any] = {'x_forwarded_proto': 'https',
                                   'x_forwarded_host': 'cloud.example'}
        answer = self.call('GET', '/v1', token=None, **headers)
        self.assertNotIn('cloud.example', answer.data.decode())
        self.config(group='oslo_middleware',
                    enable_proxy_headers_parsing=True)
        answer = self.call('GET', '/v1', token=None, **headers)
        self.assertEqual('https://cloud.example/v1/',
                         answer.json['version']['links'][0]['href'])

    def test_other_methods(self) -> None:
        for path in ('/', '/v1'):
            answer = self.call('POST', path, {}, token=None)
            self.assert_error(405, answer)
            self.assertIn('GET', answer.headers['allow'])


class TestHealthcheck(base.APITestCase):

    def test_ok(self) -> None:
        for path in ('/healthcheck', '/healthcheck/'):
            answer = self.call('GET', path, token=None)
            self.assertEqual((200, b'OK'), (answer.code, answer.data))

    def test_not_ok(self) -> None:
        self.db.ping.side_effect = exception.DatabaseUnavailable(
            reason='its address is 192.0.2.9')
        answer = self.call('GET', '/healthcheck', token=None)
        self.assertEqual((503, b'not ok'), (answer.code, answer.data))
        self.assertEqual('text/plain; charset=UTF-8',
                         answer.headers['content-type'])

    def test_head(self) -> None:
        answer = self.call('HEAD', '/healthcheck', token=None)
        self.assertEqual((204, b''), (answer.code, answer.data))

    def test_other_methods(self) -> None:
        answer = self.call('DELETE', '/healthcheck', token=None)
        self.assert_error(405, answer)
        self.assertEqual('GET, HEAD', answer.headers['allow'])


class TestDoors(base.APITestCase):

    def _refused(self, token: str | None, **more: Any) -> None:
        for method, path in GUARDED:
            answer = self.call(method, path, {} if method[0] == 'P' else None,
                               token=token, **more)
            self.assert_error(401, answer)
            self.assertEqual(f'Keystone uri="{base.KEYSTONE}"',
                             answer.headers['www-authenticate'])
        self.assertEqual([], self.db.mock_calls)

    def test_no_token(self) -> None:
        self._refused(None)

    def test_unknown_token(self) -> None:
        self._refused('unknown')

    def test_token_that_can_be_none(self) -> None:
        self._refused('t\xf6ken')

    def test_expired_token(self) -> None:
        self.tokens.add_token_data(
            'old', expires='2001-01-01T00:00:00.000000Z', role_list=['admin'],
            project_id=base.PROJECT, user_id=base.USER)
        self._refused('old')

    def test_claims_without_a_token(self) -> None:
        self._refused(None, x_user_id='u', x_project_id='p',
                      x_roles='admin', x_identity_status='Confirmed')

    def test_wrong_role(self) -> None:
        self.tokens.add_token_data(
            'member', project_id=base.PROJECT, user_id=base.USER,
            role_list=['member', 'reader', 'manager'])
        for method, path in GUARDED:
            answer = self.call(method, path, {} if method[0] == 'P' else None,
                               token='member')
            self.assert_error(403, answer, 'rca:')
        self.assertEqual([], self.db.mock_calls)

    def test_token_without_a_project(self) -> None:
        self.system_token('system')
        for method, path in GUARDED:
            answer = self.call(method, path, {} if method[0] == 'P' else None,
                               token='system')
            self.assert_error(403, answer, 'project-scoped token')
        self.assertEqual([], self.db.mock_calls)

    def test_paths_that_do_not_exist(self) -> None:
        for path in ('/v2', '/v1/nothing', '/v1/analyses/a/b/c', '/v1//',
                     '/healthcheck/more', '/\xff\xfe'):
            self.assert_error(401, self.call('GET', path, token=None))
            self.assert_error(404, self.call('GET', path))

    def test_slash_at_the_end(self) -> None:
        self.db.source_list.return_value = []
        self.assertEqual(200, self.call('GET', '/v1/sources/').code)

    def test_methods(self) -> None:
        answer = self.call('PUT', '/v1/analyses', {})
        self.assert_error(405, answer)
        self.assertEqual({'GET', 'HEAD', 'POST', 'OPTIONS'},
                         set(answer.headers['allow'].split(', ')))
        answer = self.call('OPTIONS', '/v1/analyses')
        self.assertEqual((200, b''), (answer.code, answer.data))
        self.assertEqual({'GET', 'HEAD', 'POST'},
                         set(answer.headers['allow'].split(', ')))

    def test_head_is_get_without_a_body(self) -> None:
        self.db.source_list.return_value = []
        get = self.call('GET', '/v1/sources')
        head = self.call('HEAD', '/v1/sources')
        self.assertEqual((200, b''), (head.code, head.data))
        self.assertEqual(get.headers['content-length'],
                         head.headers['content-length'])

    def test_keystone_is_gone(self) -> None:
        for error in (keystone.ConnectFailure('secret'),
                      keystone.EndpointNotFound('secret'),
                      keystone.MissingAuthPlugin('secret'),
                      _exceptions.ServiceError('secret')):
            # In place of the fixture, one call below it.
            with mock.patch.object(auth_token.AuthProtocol, 'fetch_token',
                                   _fetch_token), mock.patch(
                    'keystonemiddleware.auth_token._identity.IdentityServer.'
                    'verify_token', autospec=True, side_effect=error):
                answer = self.call('GET', '/v1/analyses')
            self.assert_error(503, answer, 'Keystone')
            self.assertNotIn('secret', answer.message)

    def test_the_file_cannot_delay_the_decision(self) -> None:
        self.config(group='keystone_authtoken', delay_auth_decision=True)
        self.build()
        self.assert_error(401, self.call('GET', '/v1/analyses', token=None))

    def test_database_is_gone(self) -> None:
        away = exception.DatabaseUnavailable(reason='it does not answer.')
        for function in ('analysis_list', 'query_list', 'source_list'):
            getattr(self.db, function).side_effect = away
        self.incidents.incident_list.side_effect = away
        for path in ('analyses', 'queries', 'incidents', 'sources'):
            self.assert_error(503, self.call('GET', f'/v1/{path}'),
                              'does not answer')

    def test_mistakes_tell_nothing(self) -> None:
        self.db.source_list.side_effect = ValueError('secret')
        answer = self.call('GET', '/v1/sources')
        self.assert_error(500, answer, 'X-Openstack-Request-Id')
        self.assertNotIn('secret', answer.data.decode())

    def test_mistakes_below_the_routes_tell_nothing(self) -> None:
        with mock.patch('openstack_rca.context.RequestContext.from_environ',
                        autospec=True, side_effect=ValueError('secret')):
            answer = self.call('GET', '/v1/sources')
        self.assert_error(500, answer, 'X-Openstack-Request-Id')
        self.assertNotIn('secret', answer.data.decode())

    def test_request_ids(self) -> None:
        seen: list[Any] = []

        def look() -> list[Any]:
            seen.append(context.get_current())
            return []
        self.db.source_list.side_effect = look
        outer = 'req-11111111-2222-3333-4444-555555555555'
        answer = self.call('GET', '/v1/sources',
                           x_openstack_request_id=outer)
        [current] = seen
        self.assertEqual(answer.headers['x-openstack-request-id'],
                         current.request_id)
        self.assertEqual(outer, current.global_request_id)
        self.assertEqual(base.PROJECT, current.project_id)

    def test_what_the_check_of_a_token_logs(self) -> None:
        self.db.source_list.return_value = []
        self.call('GET', '/v1/sources')
        seen: list[Any] = []

        def look(*args: Any, **kwargs: Any) -> None:
            seen.append(context.get_current())
            raise _exceptions.InvalidToken
        with mock.patch.object(auth_token.AuthProtocol, 'fetch_token', look):
            answer = self.call('GET', '/v1/sources')
        self.assert_error(401, answer)
        self.assertEqual((answer.headers['x-openstack-request-id'], None),
                         (seen[0].request_id, seen[0].user_id))

    def test_no_cache_keeps_anything(self) -> None:
        self.db.source_list.return_value = []
        answer = self.call('GET', '/v1/sources')
        self.assertEqual('no-store', answer.headers['cache-control'])

    def test_unknown_parameters(self) -> None:
        for method, path in GUARDED:
            answer = self.call(method, f'{path}?colour=red',
                               {} if method[0] == 'P' else None)
            self.assert_error(400, answer, "'colour' is not known here")
        self.assert_error(400, self.call('GET', '/v1/openapi.json?a=b'))
        self.assertEqual([], self.db.mock_calls)


def _fetch_token(self: Any, token: str, **kwargs: Any) -> Any:
    """What the fixture replaced."""
    return _REAL_FETCH_TOKEN(self, token, **kwargs)


_REAL_FETCH_TOKEN = auth_token.AuthProtocol.fetch_token


class TestBodies(base.APITestCase):
    """POST /v1/analyses stands for all that take a body."""

    def setUp(self) -> None:
        super().setUp()
        self.db.analysis_create.return_value = base.ANALYSIS

    def _post(self, data: bytes, **more: Any) -> base.Answer:
        return self.call('POST', '/v1/analyses', data=data, **more)

    def _refused(self, code: int, data: bytes, *said: str,
                 **more: Any) -> None:
        self.assert_error(code, self._post(data, **more), *said)
        self.assertEqual([], self.db.mock_calls)
        self.nudge.assert_not_called()

    def test_types(self) -> None:
        for kind in (None, '', 'text/plain', 'application/xml', 'json',
                     'application/json; charset=latin-1',
                     'application/x-www-form-urlencoded'):
            self._refused(415, b'{"issue": "slow"}', 'application/json',
                          content_type=kind)
        for kind in ('application/json; charset=UTF-8',
                     'Application/JSON'):
            answer = self._post(b'{"issue": "slow"}', content_type=kind)
            self.assertEqual(202, answer.code)

    def test_what_is_no_json(self) -> None:
        for data, said in (
                (b'', 'empty'), (b' \n', 'empty'), (b'{', 'line 1'),
                (b'{"issue": }', 'column 11'), (b'{"issue": NaN}', 'NaN'),
                (b'{"limit": -Infinity}', '-Infinity'),
                (b'{"limit": 1e999}', 'too large'),
                (b'{"limit": ' + b'9' * 5000 + b'}', 'too large'),
                (b'{"issue": "\xff"}', 'not UTF-8'),
                (b'\xef\xbb\xbf{"issue": "slow"}', 'not JSON'),
                (b'{"issue": "a", "issue": "b"}', 'twice'),
                (b'{"issue": "\\u0000"}', 'issue: holds a NUL'),
                (b'{"issue": "\\ud800"}', 'issue: holds a NUL or half'),
                (b'{"servers": ["a", "\\u0000"]}', 'servers[1]: '),
                (b'{"\\u0000": 1}', 'The body: holds a NUL'),
                (b'[' * 100000 + b']' * 100000, 'too deeply'),
                (b'{"a":' * 30 + b'1' + b'}' * 30, 'too deeply')):
            self._refused(400, data, said)

    def test_what_is_no_object(self) -> None:
        for data in (b'[]', b'null', b'"slow"', b'5', b'true'):
            self._refused(400, data, 'The body must be an object')

    def test_size(self) -> None:
        self.config(group='api', max_body=1024)
        fitting = json.dumps({'issue': 'x' * 1000}).encode()
        self.assertEqual(202, self._post(fitting.ljust(1024)).code)
        self.db.reset_mock()
        self.nudge.reset_mock()
        self._refused(413, fitting.ljust(1025), 'at most 1024 bytes')

    def test_no_more_is_read_than_allowed(self) -> None:
        self.config(group='api', max_body=1024)
        data = io.BytesIO(b' ' * 10000)
        answer = self._post(b'', content_length=None, environ={
            'wsgi.input': data, 'wsgi.input_terminated': True,
            'HTTP_TRANSFER_ENCODING': 'chunked'})
        self.assert_error(413, answer)
        self.assertEqual(1025, data.tell())

    def test_chunks(self) -> None:
        chunked = {'wsgi.input': io.BytesIO(b'{"issue": "slow"}'),
                   'HTTP_TRANSFER_ENCODING': 'chunked'}
        self._refused(411, b'', 'Content-Length', content_length=None,
                      environ=chunked)
        answer = self._post(b'', content_length=None, environ={
            **chunked, 'wsgi.input_terminated': True})
        self.assertEqual(202, answer.code)

    def test_less_than_was_announced(self) -> None:
        self._refused(400, b'{"issue": "slow"}', 'shorter',
                      content_length='100')

    def test_lengths_that_are_none(self) -> None:
        self.build()
        for length in ('x', '-5', '5x'):
            self._refused(400, b'{}', content_length=length)
