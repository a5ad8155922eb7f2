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
"""Tests for analyses and ratings."""

from typing import Any
from unittest import mock

from openstack_rca import exception
from openstack_rca.tests.unit.api import base

ASKED: dict[str, Any] = {
    'issue': '', 'since': None, 'until': None, 'request_ids': [],
    'servers': [], 'services': [], 'mode': 'full', 'incident': False}


class TestCreate(base.APITestCase):

    def setUp(self) -> None:
        super().setUp()
        self.db.analysis_create.return_value = base.ANALYSIS

    def _post(self, body: Any, **more: Any) -> base.Answer:
        return self.call('POST', '/v1/analyses', body, **more)

    def test_accepted(self) -> None:
        answer = self._post({'issue': 'slow'}, host='rca.example:8990')
        self.assertEqual(202, answer.code)
        self.assertEqual(base.ANALYSIS, answer.json)
        self.assertEqual(f'http://rca.example:8990/v1/analyses/{base.ID}',
                         answer.headers['location'])
        self.db.analysis_create.assert_called_once_with(
            base.PROJECT, base.USER, ASKED | {'issue': 'slow'}, 1000)

    def test_everything(self) -> None:
        self.config(group='api', max_queued=7)
        asked = {
            'issue': 'slöw', 'since': '2026-11-21T03:00:00+02:00',
            'until': '2026-11-21t01:30:00.25Z', 'request_ids': ['req-1'],
            'servers': ['web-3'], 'services': ['nova-compute'],
            'mode': 'fast', 'incident': True}
        self.assertEqual(202, self._post(asked).code)
        self.db.analysis_create.assert_called_once_with(
            base.PROJECT, base.USER, asked | {
                'since': '2026-11-21T01:00:00+00:00',
                'until': '2026-11-21T01:30:00.250000+00:00'}, 7)

    def test_engines_hear_of_rows_that_are_there(self) -> None:
        order = mock.Mock()
        order.attach_mock(self.db.analysis_create, 'create')
        order.attach_mock(self.nudge, 'nudge')
        self._post({'issue': 'slow'})
        self.assertEqual(['create', 'nudge'],
                         [call[0] for call in order.mock_calls])
        self.nudge.assert_called_once_with(base.ID)

    def test_no_nudge_without_a_row(self) -> None:
        self.db.analysis_create.side_effect = exception.DatabaseUnavailable(
            reason='it does not answer.')
        self.assert_error(503, self._post({'issue': 'slow'}))
        self.nudge.assert_not_called()

    def test_too_many(self) -> None:
        self.db.analysis_create.side_effect = exception.TooManyJobs(
            count=1000)
        self.assert_error(429, self._post({'issue': 'slow'}), '1000')
        self.nudge.assert_not_called()

    def test_each_scope_is_a_question(self) -> None:
        for body in ({'issue': 'x'}, {'request_ids': ['x']},
                     {'servers': ['x']}, {'services': ['x']},
                     {'since': base.TIME}):
            self.assertEqual(202, self._post(body).code, str(body))

    def test_what_is_no_question(self) -> None:
        bodies: tuple[dict[str, Any], ...] = (
            {}, {'issue': ''}, {'issue': ' \n'}, {'until': base.TIME},
            {'since': None}, {'servers': [], 'request_ids': []},
            {'incident': True})
        for body in bodies:
            self.assert_error(400, self._post(body), 'at least one of issue')
        self.db.analysis_create.assert_not_called()

    def test_bad_fields(self) -> None:
        for body, said in (
                ({'issue': 'x' * 10001}, 'issue: 10001 characters are too '
                 'many; at most 10000 are allowed'),
                ({'issue': 5}, 'issue: must be a string'),
                ({'issue': None}, 'issue: must be a string'),
                ({'since': 5}, 'since: must be a string or null'),
                ({'since': 'yesterday'}, 'since: must be a time'),
                ({'since': '2026-11-21T03:00:00'}, 'its offset'),
                ({'since': '2026-11-21'}, 'since: must be a time'),
                ({'since': '2026-11-31T03:00:00Z'}, 'since: must be a time'),
                ({'since': '0001-01-01T00:00:00+01:00'}, 'since: must be'),
                ({'since': f'{base.TIME}\n'}, 'since: must be a time'),
                ({'since': base.TIME, 'until': '2026-11-21T02:59:59Z'},
                 'until: must not be before since'),
                ({'request_ids': ['x'] * 101}, 'request_ids: 101 entries are '
                 'too many; at most 100'),
                ({'request_ids': ['x', 'x' * 65]}, 'request_ids[1]: 65'),
                ({'request_ids': 'x'}, 'request_ids: must be a list'),
                ({'servers': [5]}, 'servers[0]: must be a string'),
                ({'servers': ['']}, 'servers[0]: must not be empty'),
                ({'services': ['x' * 65]}, 'services[0]: 65'),
                ({'issue': 'x', 'mode': 'slow'},
                 'mode: must be one of fast, full'),
                ({'issue': 'x', 'incident': 1}, 'incident: must be true or'),
                ({'isue': 'x'}, "'isue' is not known here; known are issue"),
                ({'issue': 'x', 'project_id': 'p'}, "'project_id' is not")):
            self.assert_error(400, self._post(body), said)
        self.db.analysis_create.assert_not_called()

    def test_messages_repeat_little(self) -> None:
        answer = self._post({'issue': 'x', 's3cret' * 1000: 1,
                             **{f'field{n}': 1 for n in range(1000)}})
        self.assert_error(400, answer, 'and 996 more')
        self.assertLess(len(answer.data), 1000)
        answer = self._post({'issue': 's3cret' * 10000})
        self.assertNotIn('s3cret', answer.message)

    def test_the_project_is_that_of_the_token(self) -> None:
        self.tokens.add_token_data(
            'other', project_id='other', user_id='u', role_list=['admin'])
        self._post({'issue': 'x'}, token='other', x_project_id=base.PROJECT,
                   x_user_id=base.USER)
        self.db.analysis_create.assert_called_once_with(
            'other', 'u', mock.ANY, mock.ANY)


class TestList(base.APITestCase):

    def test_defaults(self) -> None:
        self.db.analysis_list.return_value = ([base.SUMMARY], False)
        answer = self.call('GET', '/v1/analyses')
        self.assertEqual(200, answer.code)
        self.assertEqual({'analyses': [base.SUMMARY]}, answer.json)
        self.db.analysis_list.assert_called_once_with(
            base.PROJECT, base.USER, 100, marker=None, status=None,
            verdict=None)

    def test_next_page(self) -> None:
        self.db.analysis_list.return_value = (
            [base.SUMMARY, base.SUMMARY | {'id': base.OTHER_ID}], True)
        answer = self.call(
            'GET', f'/v1/analyses?limit=2&marker={base.ID.upper()}'
            '&status=complete&verdict=cause_found', host='rca.example')
        self.db.analysis_list.assert_called_once_with(
            base.PROJECT, base.USER, 2, marker=base.ID, status='complete',
            verdict='cause_found')
        self.assertEqual([{
            'rel': 'next', 'href':
            f'http://rca.example/v1/analyses?limit=2&marker={base.OTHER_ID}'
            '&status=complete&verdict=cause_found'}],
            answer.json['analyses_links'])

    def test_most_of_a_page(self) -> None:
        self.config(group='api', max_limit=20)
        self.build()
        self.db.analysis_list.return_value = ([], False)
        self.call('GET', '/v1/analyses')
        self.assertEqual(20, self.db.analysis_list.call_args.args[2])
        self.assert_error(400, self.call('GET', '/v1/analyses?limit=21'),
                          'limit: must be between 1 and 20')

    def test_bad_parameters(self) -> None:
        for query, said in (
                ('limit=0', 'limit: must be between 1 and 1000'),
                ('limit=1001', 'limit: must be between 1 and 1000'),
                ('limit=-1', 'limit: must be between 1 and 1000'),
                ('limit=x', 'limit: must be an integer'),
                ('limit=', 'limit: must be an integer'),
                ('limit=1.5', 'limit: must be an integer'),
                ('limit=99999999999999999999', 'limit: must be an integer'),
                ('limit=%D9%A3', 'limit: must be an integer'),
                ('limit=1&limit=1', "'limit' is given more than once"),
                ('marker=x', 'marker: must be the id'),
                ('marker=', 'marker: must be the id'),
                ('status=done', 'status: must be one of queued, running'),
                ('verdict=', 'verdict: must be one of cause_found'),
                ('colour=red', "'colour' is not known here; known are limit"),
                ('%FF=1', 'not well formed'),
                ('status=%00', 'status: must be one of'),
                ('\xff=1', 'not well formed'),
                ('&'.join(f'a{n}=1' for n in range(99)), 'not well formed')):
            self.assert_error(400, self.call('GET', f'/v1/analyses?{query}'),
                              said)
        self.db.analysis_list.assert_not_called()

    def test_unknown_marker(self) -> None:
        self.db.analysis_list.side_effect = exception.MarkerNotFound(
            what='analysis', id=base.ID)
        self.assert_error(
            400, self.call('GET', f'/v1/analyses?marker={base.ID}'),
            'marker: ')


class TestOne(base.APITestCase):

    def test_show(self) -> None:
        self.db.analysis_get.return_value = base.ANALYSIS
        answer = self.call('GET', f'/v1/analyses/{base.ID}')
        self.assertEqual((200, base.ANALYSIS), (answer.code, answer.json))
        self.db.analysis_get.assert_called_once_with(base.PROJECT, base.ID)

    def test_texts_that_no_encoding_has(self) -> None:
        self.db.analysis_get.return_value = base.ANALYSIS | {
            'issue': 'a\ud800ö'}
        answer = self.call('GET', f'/v1/analyses/{base.ID}')
        self.assertEqual('a\ud800ö', answer.json['issue'])

    def test_delete(self) -> None:
        answer = self.call('DELETE', f'/v1/analyses/{base.ID}')
        self.assertEqual((204, b''), (answer.code, answer.data))
        self.db.analysis_delete.assert_called_once_with(
            base.PROJECT, base.ID)

    def test_another_project_has_it(self) -> None:
        self.tokens.add_token_data(
            'other', project_id='other', user_id='u', role_list=['admin'])
        gone = exception.NotFound(what='analysis', id=base.ID)
        self.db.analysis_get.side_effect = gone
        self.db.analysis_delete.side_effect = gone
        for method, function in (('GET', self.db.analysis_get),
                                 ('DELETE', self.db.analysis_delete)):
            self.assert_error(404, self.call(
                method, f'/v1/analyses/{base.ID}', token='other'), base.ID)
            function.assert_called_once_with('other', base.ID)

    def test_what_is_no_id(self) -> None:
        for text in ('x', base.ID.replace('-', ''), f'{{{base.ID}}}',
                     base.ID + '\n', '\x00' * 36, '%', 'x' * 5000):
            for method in ('GET', 'DELETE'):
                self.assert_error(404, self.call(
                    method, f'/v1/analyses/{text}'), 'no analysis with')
        self.assertEqual([], self.db.mock_calls)


class TestRating(base.APITestCase):

    PATH = f'/v1/analyses/{base.ID}/rating'

    def test_rate(self) -> None:
        rating = {'analysis_id': base.ID, 'user_id': base.USER,
                  'rating': 'wrong', 'component': 'rabbitmq',
                  'comment': 'It was the rabbit.',
                  'cause': 'RabbitMQ was full.', 'created_at': base.TIME,
                  'updated_at': base.TIME}
        self.db.rating_set.return_value = rating
        answer = self.call('PUT', self.PATH, {
            name: rating[name] for name in ('rating', 'component',
                                            'comment', 'cause')})
        self.assertEqual((200, rating), (answer.code, answer.json))
        self.db.rating_set.assert_called_once_with(
            base.PROJECT, base.USER, base.ID, 'wrong', 'rabbitmq',
            'It was the rabbit.', 'RabbitMQ was full.')

    def test_short(self) -> None:
        self.db.rating_set.return_value = {}
        self.assertEqual(200, self.call(
            'PUT', self.PATH, {'rating': 'right'}).code)
        self.assertEqual(200, self.call('PUT', self.PATH, {
            'rating': 'right', 'component': None, 'comment': None}).code)
        self.assertEqual(
            [mock.call(base.PROJECT, base.USER, base.ID, 'right', None,
                       None, None)] * 2, self.db.rating_set.mock_calls)

    def test_not_complete(self) -> None:
        self.db.rating_set.side_effect = exception.Conflict(
            reason='It is queued.')
        self.assert_error(409, self.call('PUT', self.PATH, {
            'rating': 'right'}), 'It is queued.')

    def test_bad_fields(self) -> None:
        for body, said in (
                ({}, 'rating: is missing'),
                ({'ratin': 'right'}, "'ratin' is not known"),
                ({'rating': 'good'}, 'rating: must be one of right, partly'),
                ({'rating': None}, 'rating: must be'),
                ({'rating': 'right', 'component': 'Nova'}, 'small letters'),
                ({'rating': 'right', 'component': 'nova\n'}, 'component: '),
                ({'rating': 'right', 'component': ''}, 'component: must not'),
                ({'rating': 'right', 'component': 'x' * 65}, '65 characters'),
                ({'rating': 'right', 'cause': 'x' * 2001}, '2001'),
                ({'rating': 'right', 'comment': 'x' * 2001}, '2001')):
            self.assert_error(400, self.call('PUT', self.PATH, body), said)
        self.db.rating_set.assert_not_called()


class TestQuestions(base.APITestCase):

    PATH = f'/v1/analyses/{base.ID}/questions'

    def test_ask(self) -> None:
        self.knowledge.message_create.return_value = base.MESSAGE
        answer = self.call('POST', self.PATH, {'question': 'and then?'},
                           host='rca.example')
        self.assertEqual((202, base.MESSAGE), (answer.code, answer.json))
        self.assertEqual(f'http://rca.example{self.PATH}/{base.OTHER_ID}',
                         answer.headers['location'])
        self.knowledge.message_create.assert_called_once_with(
            base.PROJECT, base.USER, base.ID, 'and then?', 'full', 1000)
        self.nudge.assert_called_once_with(base.OTHER_ID)

    def test_bad_fields(self) -> None:
        for body, said in (
                ({}, 'question: is missing'),
                ({'question': ''}, 'question: '),
                ({'question': ' \n'}, 'question: holds no word'),
                ({'question': 'x' * 10001}, '10001'),
                ({'question': 'x', 'mode': 'slow'}, 'mode: must be one of'),
                ({'question': 'x', 'path': '/etc'}, "'path' is not known")):
            self.assert_error(400, self.call('POST', self.PATH, body), said)
        self.knowledge.message_create.assert_not_called()

    def test_no_report_yet(self) -> None:
        self.knowledge.message_create.side_effect = exception.Conflict(
            reason='It is queued.')
        self.assert_error(409, self.call('POST', self.PATH, {
            'question': 'why?'}), 'It is queued.')

    def test_list(self) -> None:
        self.knowledge.message_list.return_value = ([base.MESSAGE], True)
        answer = self.call('GET', f'{self.PATH}?limit=1',
                           host='rca.example')
        self.assertEqual(200, answer.code)
        self.assertEqual([base.MESSAGE], answer.json['questions'])
        link, = answer.json['questions_links']
        self.assertEqual(
            f'http://rca.example{self.PATH}?limit=1&marker={base.OTHER_ID}',
            link['href'])
        self.knowledge.message_list.assert_called_once_with(
            base.PROJECT, base.ID, 1, None)

    def test_show(self) -> None:
        self.knowledge.message_get.return_value = base.MESSAGE
        answer = self.call('GET', f'{self.PATH}/{base.OTHER_ID}')
        self.assertEqual((200, base.MESSAGE), (answer.code, answer.json))
        self.knowledge.message_get.assert_called_once_with(
            base.PROJECT, base.ID, base.OTHER_ID)
        self.assert_error(404, self.call('GET', f'{self.PATH}/x'))
