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
"""What an engine does with its models by itself."""

import datetime
import json
from typing import Any
from unittest import mock

import numpy as np

from openstack_rca import exception
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import models_api
from openstack_rca.db import rows
from openstack_rca.engine import child
from openstack_rca.engine import drivers
from openstack_rca.engine import keeper
from openstack_rca.engine import manager
from openstack_rca.models import base as kept_models
from openstack_rca.tests.unit.db import suite
from openstack_rca.tests.unit.engine import test_manager
from openstack_rca.tests.unit.models import test_filesystem


class TestCase(suite.DatabaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(host='engine-1', state_path=str(self.tmp / 'state'))
        self.store = drivers.model_store()
        self.ended = False

    def keep(self, **changed: Any) -> kept_models.Description:
        """A model in the store."""
        number = len(self.store.names())
        return self.store.save(test_filesystem.draft(**changed),
                               {'w': np.array([number])})

    def keeper(self) -> keeper.Keeper:
        """Of this engine."""
        return keeper.Keeper(['actor'], lambda _: self.ended)

    def listed(self) -> list[dict[str, Any]]:
        """Rows of the models that did not come with the package."""
        return [row for row in models_api.model_list(suite.MANY)[0]
                if row['origin'] != 'shipped']


class TestRows(TestCase):

    def test_what_is_there_gets_rows(self) -> None:
        made = {self.keep().version, self.keep().version}
        looking = self.keeper()
        looking.look()
        self.assertEqual(made, {row['version'] for row in self.listed()})
        self.assertEqual({('imported', 'engine-1', 'complete')}, {
            (row['origin'], row['host'], row['status'])
            for row in self.listed()})
        looking.look()
        self.keeper().look()
        self.assertEqual(2, len(self.listed()))

    def test_shipped_ones_are_active(self) -> None:
        self.keeper().look()
        self.assertEqual(
            {name for name, _, origin in self.store.names()
             if origin == 'shipped'}, set(models_api.models_active()))

    def test_active_ones(self) -> None:
        store = self.store
        before = keeper.active()
        kept = self.keep()
        names = store.names()
        with mock.patch.object(drivers, 'model_store', autospec=True) as other:
            other.return_value.names.return_value = sorted([
                *names, ('a', 'v1', 'shipped'), ('a', 'v2', 'shipped'),
                ('b', 'v1', 'kept')])
            # Rows say nothing yet.
            self.assertEqual(before | {'a': 'v2'}, keeper.active())
            models_api.models_register('engine-1', [
                kept.public() | {'detector': 'a', 'version': 'v1'}])
            row, = (r for r in models_api.model_list(suite.MANY)[0]
                    if r['detector'] == 'a')
            models_api.model_activate(suite.ME, row['id'])
            self.assertEqual('v1', keeper.active()['a'])

    def test_damaged_ones_get_none(self) -> None:
        bad, good = self.keep(), self.keep()
        (self.tmp / 'state' / 'models' / 'tiny' / bad.version
         / 'model.json').write_text('{}')
        with self.assertLogs(keeper.LOG.logger, 'ERROR') as caught:
            self.keeper().look()
        self.assertIn(bad.version, caught.output[0])
        self.assertEqual([good.version],
                         [row['version'] for row in self.listed()])

    def test_deleted_ones_go_from_the_disk(self) -> None:
        gone, other = self.keep(), self.keep()
        looking = self.keeper()
        looking.look()
        found = {row['version']: row['id'] for row in self.listed()}
        models_api.model_delete(found[gone.version])
        self.config(host='engine-2')
        looking.look()
        self.assertEqual(2, sum(origin == 'kept' for _, _, origin
                                in self.store.names()))
        self.conf.clear_override('host')
        self.config(host='engine-1')
        looking.look()
        self.assertEqual([other.version], [
            version for _, version, origin in self.store.names()
            if origin == 'kept'])
        # Also where somebody deleted the folder before.
        models_api.model_delete(found[other.version])
        self.store.delete('tiny', other.version)
        looking.look()
        self.assertEqual([], models_api.models_deleting('engine-1'))

    def test_trouble_is_said_once(self) -> None:
        looking = self.keeper()
        with mock.patch.object(
                models_api, 'models_register', autospec=True,
                side_effect=exception.DatabaseUnavailable(reason='x')), \
                self.assertLogs(keeper.LOG.logger, 'ERROR') as caught:
            looking.look()
            looking.look()
        self.assertEqual(1, len(caught.records))
        self.keep()
        looking.look()
        self.assertEqual(1, len(self.listed()))

    def test_trained_again(self) -> None:
        jobs.source_reading('engine-1', 'control')
        found = models_api.model_create(suite.MINE, suite.ME, {
            'detector': 'tiny', 'settings': {'seed': 7}}, 10)['id']
        jobs.complete(self.take(found), json.dumps(
            self.keep().public() | {'host': 'engine-1'}))
        models_api.model_activate(suite.ME, found)
        old = rows.utcnow() - datetime.timedelta(days=9)
        self.change(models.MODELS, found, created_at=old, finished_at=old)
        looking = self.keeper()
        looking.look()
        self.assertEqual(1, len(self.listed()))
        self.config('models', retrain_interval=8.0)
        looking.look()
        looking.look()
        new, before = self.listed()
        self.assertEqual((found, 'queued'), (before['id'], new['status']))
        self.assertEqual(
            {'detector': 'tiny', 'sources': ['control'],
             'settings': {'seed': 7}},
            models_api.model_get(new['id'])['request'])


class TestMeasure(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.version = self.keep().version
        self.looking = self.keeper()
        self.looking.look()
        row, = self.listed()
        self.model_id = row['id']
        models_api.model_activate(suite.ME, self.model_id)
        self.config('models', measure_interval=1)
        self.config('sources', log_dirs={'control': '/nowhere'})
        self.looking._measured -= 10

    def measured(self, *answers: Any) -> dict[str, Any]:
        """What is told of the model, with these answers of the process."""
        process = mock.create_autospec(child.Child, instance=True)
        process.receive.side_effect = answers
        process.memory.return_value = 0
        process.ending.return_value = 'it ended'
        with mock.patch.object(child, 'Child', autospec=True,
                               return_value=process):
            self.looking.look()
        self.sent = process.send.call_args_list
        if answers:
            process.end.assert_called_once_with()
        told: dict[str, Any] = models_api.model_get(self.model_id)['drift']
        return told

    def test_what_a_process_tells(self) -> None:
        told = self.measured({'ready': True}, None, {'result': json.dumps([
            {'detector': 'tiny', 'version': self.version,
             'unseen_templates': 0.5, 'unseen_events': 0.25, 'psi': None}])})
        self.assertEqual((0.25, None), (told['unseen_events'], told['psi']))
        message = self.sent[0].args[0]
        self.assertEqual('measure', message['kind'])
        self.assertEqual(self.version, message['request']['active']['tiny'])
        # Not before the next hour.
        self.config('models', measure_interval=3600)
        self.measured()
        self.assertEqual([], self.sent)

    def test_what_goes_wrong(self) -> None:
        for answers in ([EOFError()], [{'error': 'x', 'code': 500}]):
            self.looking._measured -= 10
            with self.assertLogs(keeper.LOG.logger, 'ERROR'):
                told = self.measured(*answers)
            self.assertIsNone(told['measured_at'])

    def test_never(self) -> None:
        self.config('models', measure_interval=0)
        self.measured()
        self.assertEqual([], self.sent)

    def test_the_engine_ends(self) -> None:
        self.ended = True
        process = mock.create_autospec(child.Child, instance=True)
        with mock.patch.object(child, 'Child', autospec=True,
                               return_value=process):
            self.assertEqual([], self.looking._measure({'tiny': 'x'}))
        process.end.assert_called_once_with()


class TestManager(test_manager.TestCase):
    """Trainings among the jobs of an engine."""

    def setUp(self) -> None:
        super().setUp()
        jobs.source_reading('engine-1', 'control')
        self.found = models_api.model_create(
            suite.MINE, suite.ME, {'detector': 'tiny'}, 10)['id']

    def shown(self) -> dict[str, Any]:
        """The model."""
        return models_api.model_get(self.found)

    def test_progress_and_result(self) -> None:
        result = json.dumps(kept_models.Description(
            **vars(test_filesystem.draft()), created_at='x',
            version='20261121T030000Z-1a2b3c4d').public()
            | {'host': 'engine-1'})
        process = mock.create_autospec(child.Child, instance=True)
        process.alive.return_value = True
        process.memory.return_value = 0
        seen = []

        def receive(_: float) -> dict[str, Any]:
            seen.append(self.shown()['progress'])
            return {'progress': {'what': 'epoch'}} if len(seen) < 3 else {
                'result': result}

        process.receive.side_effect = receive
        made = manager.Manager(['x'])
        made._do(self.take(self.found), process)
        self.assertEqual([None, {'what': 'epoch'}, {'what': 'epoch'}], seen)
        self.assertEqual(('complete', '20261121T030000Z-1a2b3c4d'),
                         (self.shown()['status'], self.shown()['version']))

    def test_time_limit(self) -> None:
        self.config('models', train_timeout=1)
        self.config('engine', job_timeout=1000)
        self.engine('sleep').start()
        self.until(lambda: self.shown()['status'] == 'failed')
        said = self.shown()['error']['message']
        self.assertIn('([models] train_timeout). Train on a shorter time',
                      said)

    def test_memory_limit(self) -> None:
        self.config('engine', job_memory=256 << 20)
        self.engine('eat').start()
        self.until(lambda: self.shown()['status'] == 'failed')
        self.assertIn('([engine] job_memory). Train on a shorter time',
                      self.shown()['error']['message'])

    def test_longer_than_a_question(self) -> None:
        self.config('engine', job_timeout=1)
        query = self.query()
        self.config('engine', workers=2)
        made = self.engine('sleep')
        made.start()
        self.assertEqual('failed', self.ended(query)['status'])
        self.assertEqual('running', self.shown()['status'])

    def test_models_of_the_store_get_rows(self) -> None:
        kept = drivers.model_store().save(test_filesystem.draft(),
                                   {'w': np.array([1])})
        self.engine('sleep').start()
        self.until(lambda: kept.version in {
            row['version'] for row in models_api.model_list(99)[0]})
