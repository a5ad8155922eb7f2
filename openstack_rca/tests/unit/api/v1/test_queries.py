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
"""Tests for queries."""

from unittest import mock

from openstack_rca import exception
from openstack_rca.tests.unit.api import base


class TestQueries(base.APITestCase):

    def setUp(self) -> None:
        super().setUp()
        self.db.query_create.return_value = base.QUERY

    def test_trace(self) -> None:
        answer = self.call('POST', '/v1/queries', {
            'kind': 'trace', 'request_id': 'req-1'}, host='rca.example')
        self.assertEqual((202, base.QUERY), (answer.code, answer.json))
        self.assertEqual(f'http://rca.example/v1/queries/{base.ID}',
                         answer.headers['location'])
        self.db.query_create.assert_called_once_with(
            base.PROJECT, base.USER, 'trace', {'request_id': 'req-1'}, 1000)
        self.nudge.assert_called_once_with(base.ID)

    def test_story(self) -> None:
        answer = self.call('POST', '/v1/queries', {
            'kind': 'trace', 'server': 'web-3', 'request_id': None})
        self.assertEqual(202, answer.code)
        self.db.query_create.assert_called_once_with(
            base.PROJECT, base.USER, 'trace', {'server': 'web-3'}, 1000)

    def test_events(self) -> None:
        asked = {'since': '2026-11-21T03:00:00+01:00', 'until': None,
                 'request_id': 'req-1', 'server': 'web-3',
                 'service': 'nova-compute', 'level': 'ERROR',
                 'template': '0123456789abcdef', 'words': ['timed out'],
                 'limit': 5}
        answer = self.call('POST', '/v1/queries',
                           {'kind': 'events', **asked})
        self.assertEqual(202, answer.code)
        del asked['until']
        self.db.query_create.assert_called_once_with(
            base.PROJECT, base.USER, 'events',
            asked | {'since': '2026-11-21T02:00:00+00:00'}, 1000)

    def test_all_events(self) -> None:
        self.call('POST', '/v1/queries', {'kind': 'events'})
        self.db.query_create.assert_called_once_with(
            base.PROJECT, base.USER, 'events', {'limit': 1000}, 1000)

    def test_search(self) -> None:
        asked = {'question': 'no valid host', 'kinds': ['incident'],
                 'service': 'nova', 'mode': 'fast'}
        self.assertEqual(202, self.call('POST', '/v1/queries', {
            'kind': 'search', 'since': '2026-11-21T03:00:00+01:00',
            **asked}).code)
        self.db.query_create.assert_called_once_with(
            base.PROJECT, base.USER, 'search', asked | {
                'since': '2026-11-21T02:00:00+00:00', 'limit': 10}, 1000)

    def test_integers_of_every_spelling(self) -> None:
        self.call('POST', '/v1/queries',
                  data=b'{"kind": "events", "limit": 5.0}')
        limit = self.db.query_create.call_args.args[3]['limit']
        self.assertIs(int, type(limit))

    def test_bad_fields(self) -> None:
        for body, said in (
                ({}, 'kind: is missing'),
                ({'kind': 'index'}, 'kind: must be one of events, trace'),
                ({'kind': 'search'}, 'question: is missing'),
                ({'kind': 'search', 'question': '  '}, 'holds no word'),
                ({'kind': 'search', 'question': 'x', 'limit': 101},
                 'limit: must be between 1 and 100'),
                ({'kind': 'search', 'question': 'x', 'kinds': ['row']},
                 'kinds[0]: must be one of document'),
                ({'kind': ['events']}, 'kind: must be'),
                ({'kind': 'trace'}, 'either request_id or server'),
                ({'kind': 'trace', 'server': None}, 'either request_id or'),
                ({'kind': 'trace', 'server': 'x', 'request_id': 'y'},
                 'either request_id or server'),
                ({'kind': 'trace', 'server': ''}, 'must not be empty'),
                ({'kind': 'trace', 'server': 7}, 'server: must be'),
                ({'kind': 'trace', 'request_id': ''}, 'must not be empty'),
                ({'kind': 'trace', 'request_id': None}, 'either request_id'),
                ({'kind': 'trace', 'request_id': 'x', 'limit': 5},
                 "'limit' is not known here; known are kind, request_id, "
                 'server'),
                ({'kind': 'events', 'level': 'error'}, 'level: must be one '
                 'of DEBUG, INFO, WARNING, ERROR, CRITICAL'),
                ({'kind': 'events', 'template': '0123'}, '16 hexadecimal'),
                ({'kind': 'events', 'template': '0123456789abcdef\n'},
                 '16 hexadecimal'),
                ({'kind': 'events', 'words': ['x'] * 21}, '21 entries'),
                ({'kind': 'events', 'words': [5]}, 'words[0]: must be'),
                ({'kind': 'events', 'limit': 0}, 'between 1 and 1000'),
                ({'kind': 'events', 'limit': 1001}, 'between 1 and 1000'),
                ({'kind': 'events', 'limit': True}, 'must be an integer'),
                ({'kind': 'events', 'limit': 1e300}, 'between 1 and 1000'),
                ({'kind': 'events', 'since': base.TIME,
                  'until': '2026-11-20T00:00:00Z'}, 'until: must not be')):
            self.assert_error(
                400, self.call('POST', '/v1/queries', body), said)
        self.db.query_create.assert_not_called()
        self.nudge.assert_not_called()

    def test_too_many(self) -> None:
        self.db.query_create.side_effect = exception.TooManyJobs(count=1000)
        self.assert_error(429, self.call(
            'POST', '/v1/queries', {'kind': 'events'}))
        self.nudge.assert_not_called()

    def test_list(self) -> None:
        row = {name: value for name, value in base.QUERY.items()
               if name != 'result'}
        self.db.query_list.return_value = ([row], True)
        answer = self.call(
            'GET', f'/v1/queries?limit=1&marker={base.OTHER_ID}'
            '&status=failed&kind=trace')
        self.assertEqual([row], answer.json['queries'])
        self.assertIn(f'marker={base.ID}',
                      answer.json['queries_links'][0]['href'])
        self.db.query_list.assert_called_once_with(
            base.PROJECT, 1, marker=base.OTHER_ID, status='failed',
            kind='trace')

    def test_bad_parameters(self) -> None:
        for query in ('kind=analysis', 'status=open', 'verdict=cause_found',
                      'limit=0', 'marker=1'):
            self.assert_error(400, self.call('GET', f'/v1/queries?{query}'))
        self.db.query_list.assert_not_called()

    def test_show(self) -> None:
        self.db.query_get.return_value = base.QUERY
        answer = self.call('GET', f'/v1/queries/{base.ID}')
        self.assertEqual((200, base.QUERY), (answer.code, answer.json))
        self.db.query_get.assert_called_once_with(base.PROJECT, base.ID)

    def test_not_there(self) -> None:
        self.db.query_get.side_effect = exception.NotFound(
            what='query', id=base.ID)
        for name in (base.ID, 'x'):
            self.assert_error(404, self.call('GET', f'/v1/queries/{name}'))
        self.assertEqual([mock.call.query_get(base.PROJECT, base.ID)],
                         self.db.mock_calls)

    def test_there_is_no_delete(self) -> None:
        self.assert_error(405, self.call('DELETE', f'/v1/queries/{base.ID}'))
