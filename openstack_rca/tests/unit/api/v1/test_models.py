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
"""Tests for models."""

from typing import Any

from openstack_rca import exception
from openstack_rca.tests.unit.api import base

PATH = f'/v1/models/{base.ID}'


class TestModels(base.APITestCase):

    def test_list(self) -> None:
        self.models.model_list.return_value = ([base.MODEL_SUMMARY], True)
        answer = self.call('GET', '/v1/models?limit=1&detector=lstm'
                                  '&status=complete&origin=trained')
        self.assertEqual([base.MODEL_SUMMARY], answer.json['models'])
        self.assertIn(f'origin=trained&marker={base.ID}',
                      answer.json['models_links'][0]['href'])
        self.models.model_list.assert_called_once_with(
            1, marker=None, detector='lstm', status='complete',
            origin='trained')

    def test_bad_parameters(self) -> None:
        for query in ('status=deleting', 'limit=0', 'marker=1', 'kind=x',
                      'origin=kept', 'detector=..%2F..%2Fetc',
                      'detector=lstm%0A'):
            self.assert_error(400, self.call('GET', f'/v1/models?{query}'))
        self.models.model_list.assert_not_called()

    def test_train(self) -> None:
        self.models.model_create.return_value = base.MODEL
        answer = self.call('POST', '/v1/models', {
            'detector': 'novelty', 'sources': ['control'],
            'since': '2026-11-21T04:00:00+01:00',
            'labels': [{'since': base.TIME, 'until': base.TIME,
                        'harmed': True}],
            'settings': {'epochs': 3.0, 'learning_rate': 1}})
        self.assertEqual((202, base.MODEL), (answer.code, answer.json))
        self.assertTrue(answer.headers['location'].endswith(PATH))
        self.models.model_create.assert_called_once_with(
            base.PROJECT, base.USER, {
                'detector': 'novelty', 'sources': ['control'],
                'since': base.TIME, 'until': None,
                'labels': [{'since': base.TIME, 'until': base.TIME,
                            'harmed': True}],
                'settings': {'learning_rate': 1, 'epochs': 3}},
            self.conf.api.max_queued)
        given = self.models.model_create.call_args.args[2]['settings']
        self.assertIsInstance(given['epochs'], int)
        self.nudge.assert_called_once_with(base.ID)
        self.models.verdicts.assert_not_called()

    def test_verdicts(self) -> None:
        self.models.model_create.return_value = base.MODEL
        label = {'since': base.TIME, 'until': base.TIME, 'harmed': False}
        self.models.verdicts.return_value = [label]
        self.call('POST', '/v1/models', {'detector': 'novelty',
                                         'verdicts': True})
        self.models.verdicts.assert_called_once_with(base.PROJECT)
        self.assertEqual(
            [label], self.models.model_create.call_args.args[2]['labels'])

    def test_bad_requests(self) -> None:
        time = base.TIME
        good: dict[str, Any] = {'detector': 'novelty'}
        bodies: tuple[tuple[Any, str], ...] = (
            ({}, 'detector: is missing'),
            ({'detector': '../novelty'}, 'detector: takes small letters'),
            ({'detector': 'no-such-one'}, 'Known: '),
            (good | {'path': '/etc'}, "'path' is not known here"),
            (good | {'sources': ['x' * 65]}, '65 characters'),
            (good | {'since': '2026-11-22T00:00:00Z', 'until': time},
             'until: must not be before since'),
            (good | {'labels': [{'since': time, 'until': time}]},
             'labels[0].harmed: is missing'),
            (good | {'labels': [{'since': '2026-11-22T00:00:00Z',
                                 'until': time, 'harmed': True}]},
             'labels[0].until: must not be before since'),
            (good | {'labels': [{'since': None, 'until': time,
                                 'harmed': True}]}, 'labels[0].since'),
            (good | {'settings': {'device': 'cuda'}},
             "settings: 'device' is not known here"),
            (good | {'settings': {'epochs': 0}},
             'settings.epochs: must be between 1 and 10000'),
            (good | {'settings': {'epochs': 1.5}}, 'must be an integer'),
            (good | {'settings': {'validation': 'x'}}, 'must be a number'))
        for body, said in bodies:
            self.assert_error(400, self.call('POST', '/v1/models', body),
                              said)
        self.models.model_create.assert_not_called()
        self.nudge.assert_not_called()

    def test_unknown_source(self) -> None:
        self.models.model_create.side_effect = exception.InvalidInput(
            reason='sources[0]: no engine reads it.')
        self.assert_error(400, self.call('POST', '/v1/models', {
            'detector': 'novelty', 'sources': ['x']}), 'sources[0]')

    def test_show(self) -> None:
        self.models.model_get.return_value = base.MODEL
        answer = self.call('GET', PATH)
        self.assertEqual((200, base.MODEL), (answer.code, answer.json))
        self.models.model_get.assert_called_once_with(base.ID)

    def test_activate(self) -> None:
        self.models.model_activate.return_value = base.MODEL
        answer = self.call('PATCH', PATH, {'active': True})
        self.assertEqual((200, base.MODEL), (answer.code, answer.json))
        self.models.model_activate.assert_called_once_with(
            base.USER, base.ID)

    def test_bad_updates(self) -> None:
        for body, said in (({'active': False}, 'activate another one'),
                           ({'active': None}, 'active: must be'),
                           ({}, 'active: is missing'),
                           ({'active': True, 'version': 'x'},
                            "'version' is not known here")):
            self.assert_error(400, self.call('PATCH', PATH, body), said)
        self.models.model_activate.assert_not_called()

    def test_delete(self) -> None:
        answer = self.call('DELETE', PATH)
        self.assertEqual((204, b''), (answer.code, answer.data))
        self.models.model_delete.assert_called_once_with(base.ID)

    def test_not_there(self) -> None:
        gone = exception.NotFound(f'There is no model {base.ID}.')
        for name in ('model_get', 'model_activate', 'model_delete'):
            getattr(self.models, name).side_effect = gone
        for path in (PATH, '/v1/models/x', '/v1/models/..%2f..%2fetc'):
            for method, body in (('GET', None), ('DELETE', None),
                                 ('PATCH', {'active': True})):
                self.assert_error(404, self.call(method, path, body))

    def test_conflicts(self) -> None:
        for name in ('model_activate', 'model_delete'):
            getattr(self.models, name).side_effect = exception.Conflict(
                reason='It is not trained.')
        self.assert_error(409, self.call('PATCH', PATH, {'active': True}),
                          'It is not trained.')
        self.assert_error(409, self.call('DELETE', PATH))

    def test_nobody_else_may(self) -> None:
        self.tokens.add_token_data(
            'member', project_id=base.PROJECT, user_id=base.USER,
            role_list=['member', 'reader'])
        for method, path, body in (
                ('GET', '/v1/models', None), ('GET', PATH, None),
                ('POST', '/v1/models', {'detector': 'novelty'}),
                ('PATCH', PATH, {'active': True}), ('DELETE', PATH, None)):
            self.assert_error(403, self.call(method, path, body,
                                             token='member'))
            self.assert_error(401, self.call(method, path, body,
                                             token=None))
        self.assertEqual([], self.models.mock_calls)
