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
"""Tests of the commands for models, over real HTTP."""

import argparse
import json
from unittest import mock

from openstack_rca.osc.v1 import model
from openstack_rca.sdk.v1 import _proxy
from openstack_rca.tests.unit.osc.v1 import test_service
from openstack_rca.tests.unit.sdk import fake

HOSTILE = test_service.HOSTILE


class ListTest(test_service._Case):
    command = model.ListModels

    def test_table(self) -> None:
        rows = list(self.cloud.models(2))
        shown = self._run()
        for row in rows:
            self.assertIn(row['version'], shown)
        self.assertLess(shown.index(rows[1]['id']),
                        shown.index(rows[0]['id']))

    def test_filters(self) -> None:
        list(self.cloud.models(2))
        self.assertEqual([], json.loads(self._run(
            '--detector', 'transformer', '-f', 'json')))
        self.assertEqual(1, len(json.loads(self._run(
            '--detector', 'lstm', '--origin', 'trained', '--status',
            'complete', '--limit', '1', '-f', 'json'))))


class ShowTest(test_service._Case):
    command = model.ShowModel

    def test_by_any_name(self) -> None:
        rows = list(self.cloud.models(3))
        for name, row in ((rows[1]['id'], rows[1]),
                          (f'lstm/{rows[2]["version"]}', rows[2]),
                          ('lstm', rows[0])):
            shown = json.loads(self._run(name, '-f', 'json'))
            self.assertEqual(row['id'], shown['id'])
            self.assertEqual(
                {**row}, {key: value for key, value in shown.items()
                          if key in row})

    def test_unknown(self) -> None:
        list(self.cloud.models(1))
        for name, said in (('lstm/2', 'There is no model lstm/2'),
                           ('other', 'no active model of a detector other'),
                           (fake.identity(77), 'There is no model')):
            message = self._fails(name)
            self.assertIn(said, message)
            self.assertIn('openstack rca model list', message)

    def test_table(self) -> None:
        row, = self.cloud.models(1)
        row |= {'metrics': {'f1': .5, 'deep': {'x': [1, 2]}},
                'trained_on': {'sources': [HOSTILE]},
                'activations': [{'activated_by': 'me'},
                                {'activated_by': 'you'}]}
        shown = self._run('lstm')
        self.assertIn('f1: 0.5', shown)
        self.assertIn('deep.x: 1, 2', shown)
        self.assertIn('activated_by: you', shown)
        self.assertNotIn('\x1b', shown)
        self.assertIn('\\x1b[2J', shown)

    def test_a_stale_one(self) -> None:
        row, = self.cloud.models(1)
        row['drift'] = {'age_days': 100.0, 'unseen_events': .4,
                        'stale': True, 'reasons': ['It is old.' + HOSTILE]}
        shown, warned = self._warned('lstm')
        self.assertEqual(['It is old.\\x1b[2Jgone\\u202e'], warned)
        self.assertIn('unseen_events: 0.4', shown)


class TrainTest(test_service._Case):
    command = model.TrainModel

    def test_request(self) -> None:
        shown = json.loads(self._run(
            'lstm', '--source', 'control', '--since', '2026-11-21',
            '--timezone', 'Europe/Paris', '--harmed',
            '2026-11-21 03:00/2026-11-21 03:10', '--unharmed',
            '2026-11-21T04:00Z/2026-11-21T04:10Z', '--verdicts',
            '--setting', 'epochs=3', '--setting', 'learning_rate=1e-3',
            '-f', 'json'))
        self.assertEqual([('/v1/models', {
            'detector': 'lstm', 'sources': ['control'],
            'since': '2026-11-20T23:00:00+00:00', 'verdicts': True,
            'labels': [
                {'since': '2026-11-21T02:00:00+00:00',
                 'until': '2026-11-21T02:10:00+00:00', 'harmed': True},
                {'since': '2026-11-21T04:00:00+00:00',
                 'until': '2026-11-21T04:10:00+00:00', 'harmed': False}],
            'settings': {'epochs': 3, 'learning_rate': .001}})],
            self.cloud.calls('POST'))
        self.assertEqual('complete', shown['status'])
        self.assertEqual('', self.stderr.getvalue())

    def test_least_request(self) -> None:
        self._run('lstm')
        self.assertEqual([('/v1/models', {'detector': 'lstm'})],
                         self.cloud.calls('POST'))

    def test_progress(self) -> None:
        self.cloud.looks = 3
        screen = test_service._Terminal()
        with mock.patch('sys.stderr', screen):
            self._run('lstm')
        self.assertIn('epoch 3, 25%, loss 0.125', screen.getvalue())

    def test_no_wait(self) -> None:
        shown = json.loads(self._run('lstm', '--no-wait', '-f', 'json'))
        self.assertEqual('queued', shown['status'])
        self.assertEqual([], self.cloud.calls('GET'))

    def test_failure(self) -> None:
        self.cloud.failed = {'code': 400, 'title': 'Bad Request',
                             'message': f'Too little. {HOSTILE}'}
        message = self._fails('lstm')
        name, = self.cloud.rows['models']
        self.assertEqual(f'The training {name} failed: Too little. '
                         f'\\x1b[2Jgone\\u202e', message)

    def test_timeout(self) -> None:
        self.cloud.looks = 10**6
        message = self._fails('lstm', '--wait-timeout', '9')
        name, = self.cloud.rows['models']
        self.assertIn('still running after 9 seconds', message)
        self.assertIn(f'openstack rca model show {name}', message)

    def test_interrupt(self) -> None:
        with mock.patch.object(_proxy.Proxy, 'wait_for_model',
                               autospec=True, side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self._run, 'lstm')
        self.assertIn('The training goes on', self.stderr.getvalue())

    def test_deleted_meanwhile(self) -> None:
        with mock.patch.object(
                fake.Cloud, '_advance', autospec=True,
                side_effect=lambda cloud, *_: cloud.rows['models'].clear()):
            self.cloud.looks = 9
            self.assertIn('was deleted', self._fails('lstm'))

    def test_wrong_options(self) -> None:
        parser = model.TrainModel(self.app, argparse.Namespace()).get_parser(
            'openstack rca')
        for arguments in (['--setting', 'device=cuda'],
                          ['--setting', 'epochs=many'],
                          ['--setting', 'epochs=1.5'],
                          ['--setting', 'epochs'], ['--harmed', 'noon'],
                          ['--harmed', '/noon'], ['--unharmed', 'noon/']):
            error = self.assertRaises(SystemExit, parser.parse_args,
                                      ['lstm', *arguments])
            self.assertEqual(2, error.code)

    def test_times_in_order(self) -> None:
        self.assertIn('is after', self._fails(
            'lstm', '--harmed', '2026-11-22/2026-11-21'))
        self.assertEqual([], self.cloud.calls('POST'))


class ChangeTest(test_service._Case):
    command = model.ActivateModel

    def test_activate(self) -> None:
        rows = list(self.cloud.models(2))
        shown = json.loads(self._run(f'lstm/{rows[1]["version"]}', '-f',
                                     'json'))
        self.assertTrue(shown['active'])
        self.assertEqual(
            [(f'/v1/models/{rows[1]["id"]}', {'active': True})],
            self.cloud.calls('PATCH'))

    def test_delete(self) -> None:
        rows = list(self.cloud.models(3))
        message = self._fails(*(row['id'] for row in rows),
                              command=model.DeleteModels)
        self.assertIn('active', message)
        self.assertIn('1 of 3 models were not deleted', message)
        self.assertEqual([rows[0]['id']], [*self.cloud.rows['models']])
