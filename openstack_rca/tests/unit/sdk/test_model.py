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
"""Tests of the calls for models."""

from openstack import exceptions

from openstack_rca.tests.unit.sdk import fake
from openstack_rca.tests.unit.sdk import test_proxy


class ModelTest(test_proxy._Case):
    """A model, from training to deletion."""

    def test_life(self) -> None:
        made = self.client.train_model('lstm', sources=['control'],
                                       since=None, settings={'seed': 2})
        self.assertEqual([('/v1/models', {
            'detector': 'lstm', 'sources': ['control'],
            'settings': {'seed': 2}})], self.cloud.calls('POST'))
        seen = []
        done = self.client.wait_for_model(
            made, progress=lambda model: seen.append(
                (model.status, model.progress)))
        self.assertEqual(
            [('queued', None), ('complete', None)], seen)
        self.assertEqual(self.cloud.rows['models'][made.id], done.document)
        self.assertEqual({'f1': .5}, done.metrics)
        self.assertFalse(done.active)
        self.assertTrue(self.client.activate_model(done).active)
        self.assertEqual([(f'/v1/models/{made.id}', {'active': True})],
                         self.cloud.calls('PATCH'))
        self.assertRaises(exceptions.ConflictException,
                          self.client.delete_model, made.id)
        self.cloud.rows['models'][made.id]['active'] = False
        self.client.delete_model(made)
        self.assertEqual({}, self.cloud.rows['models'])
        self.client.delete_model(made)
        self.assertRaises(exceptions.NotFoundException,
                          self.client.delete_model, made, False)

    def test_activate_one_that_was_fetched(self) -> None:
        row, = self.cloud.models(1)
        model = self.client.get_model(row['id'])
        self.assertTrue(model.active)
        self.client.activate_model(model)
        self.assertEqual(1, len(self.cloud.calls('PATCH')))

    def test_progress(self) -> None:
        self.cloud.looks = 3
        seen = []
        self.client.wait_for_model(
            self.client.train_model('lstm'),
            progress=lambda model: seen.append(model.progress))
        self.assertIn({'what': 'epoch 3', 'share': .25,
                       'figures': {'loss': .125}}, seen)

    def test_failure(self) -> None:
        self.cloud.failed = {'code': 400, 'title': 'Bad Request',
                             'message': 'Too little to learn from.'}
        error = self.assertRaises(
            exceptions.ResourceFailure, self.client.wait_for_model,
            self.client.train_model('lstm'))
        self.assertIn('Too little to learn from.', str(error))

    def test_list(self) -> None:
        self.cloud.page = 2
        rows = list(self.cloud.models(5))
        self.assertEqual(
            [row['id'] for row in reversed(rows)],
            [model.id for model in self.client.models(detector='lstm')])
        self.assertEqual([], list(self.client.models(origin='shipped')))
        self.assertRaises(exceptions.NotFoundException,
                          self.client.get_model, fake.identity(99))
