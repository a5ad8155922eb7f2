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
"""The tests of the rows of models, for any database."""

import datetime
import json
from typing import Any

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import models_api
from openstack_rca.db import rows
from openstack_rca.tests.unit.db import suite

HOST = 'engine-1'


def version(number: int) -> str:
    """A version, the greater the newer."""
    return f'20261121T0300{number:02d}Z-1a2b3c4d'


def public(number: int = 1, detector: str = 'lstm',
           **changed: Any) -> dict[str, Any]:
    """What a model says of itself."""
    return {
        'detector': detector, 'version': version(number),
        'trained_at': '2026-11-21T03:00:00+00:00',
        'trained_on': {'sources': ['control'], 'events': 5},
        'settings': {'seed': 1}, 'metrics': {'f1': 0.5},
        'thresholds': {'score': 0.9}, 'libraries': {'numpy': '2'},
        'sha256': 'ab' * 32, 'bytes': 17, 'origin': 'kept'} | changed


class ModelSuite(suite.DatabaseTestCase):
    """Rows of models."""

    def setUp(self) -> None:
        super().setUp()
        for name in ('control', 'network'):
            jobs.source_reading(HOST, name)

    def asked(self, detector: str = 'lstm', **request: Any) -> str:
        """Have a model trained.

        :returns: its id
        """
        return str(models_api.model_create(
            suite.MINE, suite.ME, {'detector': detector} | request,
            suite.MANY)['id'])

    def trained(self, number: int = 1, detector: str = 'lstm') -> str:
        """A model that is trained.

        :returns: its id
        """
        found = self.asked(detector)
        self.assertTrue(jobs.complete(self.take(found), json.dumps(
            public(number, detector) | {'host': HOST})))
        return found

    def shipped(self, *numbers: int, detector: str = 'lstm') -> None:
        """Models that came with the package."""
        models_api.models_register(HOST, [
            public(number, detector, origin='shipped')
            for number in numbers])

    def listed(self, **filters: Any) -> list[str]:
        """Ids of the models."""
        return [row['id'] for row in
                models_api.model_list(suite.MANY, **filters)[0]]

    # Training

    def test_a_new_one(self) -> None:
        shown = models_api.model_create(
            suite.MINE, suite.ME,
            {'detector': 'lstm', 'sources': ['network', 'network'],
             'settings': {'seed': 2}}, suite.MANY)
        self.assertEqual({
            'detector': 'lstm', 'version': None, 'origin': 'trained',
            'status': 'queued', 'host': None, 'project_id': suite.MINE,
            'user_id': suite.ME, 'started_at': None, 'finished_at': None,
            'active': False, 'sources': ['network'], 'progress': None,
            'error': None, 'trained_at': None, 'trained_on': None,
            'settings': None, 'metrics': None, 'thresholds': None,
            'libraries': None, 'sha256': None, 'bytes': None,
            'drift': None, 'activations': [],
            'request': {'detector': 'lstm', 'sources': ['network'],
                        'settings': {'seed': 2}}},
            {name: value for name, value in shown.items()
             if name not in ('id', 'created_at')})
        item = self.take(shown['id'])
        self.assertEqual(('train', shown['request']),
                         (item.kind, item.request))
        self.assertEqual('running',
                         models_api.model_get(shown['id'])['status'])

    def test_all_sources(self) -> None:
        found = self.asked()
        self.assertEqual(['control', 'network'],
                         models_api.model_get(found)['sources'])

    def test_unknown_source(self) -> None:
        error = self.assertRaises(exception.InvalidInput, self.asked,
                                  sources=['control', 'nowhere'])
        self.assertIn('sources[1]', str(error))
        self.assertIn('control, network', str(error))
        self.assertEqual(0, self.count(models.JOBS))

    def test_no_source_at_all(self) -> None:
        jobs.sources_keep(HOST, [])
        error = self.assertRaises(exception.InvalidInput, self.asked)
        self.assertIn('[sources] log_dirs', str(error))

    def test_most_unfinished(self) -> None:
        self.asked()
        self.assertRaises(
            exception.TooManyJobs, models_api.model_create, suite.MINE,
            suite.ME, {'detector': 'lstm'}, 1)

    def test_progress(self) -> None:
        found = self.asked()
        item = self.take(found)
        told = {'what': 'epoch 3 ' + suite.ODD, 'share': 0.5,
                'figures': {'loss': 0.1}}
        models_api.model_progress(item, told)
        self.assertEqual(told, models_api.model_get(found)['progress'])
        jobs.complete(item, json.dumps(public() | {'host': HOST}))
        models_api.model_progress(item, told)
        self.assertIsNone(models_api.model_get(found)['progress'])

    def test_trained(self) -> None:
        found = self.trained()
        shown = models_api.model_get(found)
        self.assertEqual('complete', shown['status'])
        for name, value in public(origin='trained').items():
            self.assertEqual(value, shown[name], name)
        self.assertEqual(HOST, shown['host'])
        self.assertFalse(shown['active'])
        self.assertIsNotNone(shown['finished_at'])

    def test_what_comes_late_changes_nothing(self) -> None:
        found = self.asked()
        item = self.take(found)
        models_api.model_delete(found)
        self.assertFalse(jobs.complete(
            item, json.dumps(public() | {'host': HOST})))
        self.assertRaises(exception.NotFound, models_api.model_get, found)
        self.assertEqual([], self.listed())

    def test_failed_and_given_back(self) -> None:
        found = self.asked()
        item = self.take(found)
        self.assertTrue(jobs.release(item, None, False))
        self.assertEqual('queued', models_api.model_get(found)['status'])
        self.assertTrue(jobs.fail(self.take(found), 'Too little.', 400))
        shown = models_api.model_get(found)
        self.assertEqual(('failed', 'Too little.'),
                         (shown['status'], shown['error']['message']))
        self.assertIsNone(shown['drift'])

    def test_found_by_another_engine_in_between(self) -> None:
        found = self.asked()
        item = self.take(found)
        models_api.models_register('engine-2', [public()])
        self.assertTrue(jobs.complete(
            item, json.dumps(public() | {'host': HOST})))
        self.assertEqual([found], self.listed())

    def test_no_query(self) -> None:
        found = self.asked()
        self.assertEqual(([], False), api.query_list(suite.MINE, 10))
        self.assertRaises(exception.NotFound, api.query_get, suite.MINE,
                          found)

    # Lists

    def test_filters_and_pages(self) -> None:
        first = self.trained(1)
        second = self.trained(2, 'transformer')
        third = self.asked()
        self.shipped(3, detector='logbert')
        shipped, = self.listed(origin='shipped')
        self.assertEqual({first, second, third, shipped},
                         set(self.listed()))
        self.assertEqual([third, first], self.listed(detector='lstm'))
        self.assertEqual([third], self.listed(status='queued'))
        self.assertEqual([second, first], self.listed(
            status='complete', origin='trained'))
        every = self.listed()
        page, more = models_api.model_list(3)
        self.assertEqual((every[:3], True), ([r['id'] for r in page], more))
        page, more = models_api.model_list(3, every[2])
        self.assertEqual((every[3:], False), ([r['id'] for r in page], more))
        error = self.assertRaises(
            exception.MarkerNotFound, models_api.model_list, 3,
            suite.NOBODY)
        self.assertNotIn('project', str(error))

    # Active ones

    def test_the_newest_shipped_one_is_active_by_itself(self) -> None:
        self.assertEqual({}, models_api.models_active())
        self.shipped(2, 3, 1)
        self.shipped(1, detector='transformer')
        self.trained(9)
        self.assertEqual({'lstm': version(3), 'transformer': version(1)},
                         models_api.models_active())
        self.assertEqual(
            {version(3)}, {row['version'] for row in models_api.model_list(
                10, detector='lstm')[0] if row['active']})
        self.shipped(4)
        self.assertEqual(version(4), models_api.models_active()['lstm'])

    def test_activate_and_roll_back(self) -> None:
        self.shipped(1)
        old, new = self.trained(2), self.trained(3)
        self.assertTrue(models_api.model_activate(suite.ME, old)['active'])
        self.assertTrue(models_api.model_activate(suite.YOU, new)['active'])
        self.assertEqual({'lstm': version(3)}, models_api.models_active())
        self.shipped(9)
        self.assertEqual({'lstm': version(3)}, models_api.models_active())
        # The same again is no step.
        models_api.model_activate(suite.ME, new)
        models_api.model_activate(suite.YOU, old)
        self.assertEqual({'lstm': version(2)}, models_api.models_active())
        steps = models_api.model_get(old)['activations']
        self.assertEqual([suite.YOU, suite.ME],
                         [step['activated_by'] for step in steps])
        self.assertLess(steps[1]['activated_at'], steps[0]['activated_at'])
        self.assertEqual(1, len(models_api.model_get(new)['activations']))
        shipped = next(row['id'] for row in models_api.model_list(10)[0]
                       if row['version'] == version(1))
        models_api.model_activate(suite.ME, shipped)
        self.assertEqual({'lstm': version(1)}, models_api.models_active())

    def test_each_detector_has_its_own(self) -> None:
        one, other = self.trained(1), self.trained(1, 'transformer')
        for found in (one, other):
            models_api.model_activate(suite.ME, found)
        self.assertEqual({'lstm': version(1), 'transformer': version(1)},
                         models_api.models_active())

    def test_activate_what_is_not_trained(self) -> None:
        found = self.asked()
        for status in ('queued', 'running', 'failed'):
            error = self.assertRaises(
                exception.Conflict, models_api.model_activate, suite.ME,
                found)
            self.assertIn(status, str(error))
            if status == 'queued':
                item = self.take(found)
            elif status == 'running':
                jobs.fail(item, 'x')
        self.assertRaises(exception.NotFound, models_api.model_activate,
                          suite.ME, suite.NOBODY)
        self.assertEqual({}, models_api.models_active())

    def test_first_activations_at_the_same_time(self) -> None:
        made = [self.trained(number) for number in range(4)]
        done = self.run_together(*(
            lambda found=found: models_api.model_activate(
                suite.ME, found)
            for found in made))
        for outcome in done:
            self.assertTrue(isinstance(outcome, dict), outcome)
        self.assertEqual(1, self.count(models.ACTIVE_MODELS))
        self.assertEqual(4, self.count(models.ACTIVATIONS))

    # Deleting

    def test_delete(self) -> None:
        found = self.trained()
        models_api.model_delete(found)
        self.assertEqual([], self.listed())
        for call in (models_api.model_get, models_api.model_delete):
            self.assertRaises(exception.NotFound, call, found)
        self.assertRaises(exception.NotFound, models_api.model_activate,
                          suite.ME, found)
        self.assertEqual([], models_api.models_deleting('engine-2'))
        self.assertEqual(
            [{'id': found, 'detector': 'lstm', 'version': version(1)}],
            models_api.models_deleting(HOST))
        # It is not found again while its weights are there.
        self.assertEqual([], models_api.models_register(HOST, [public()]))
        models_api.model_gone(found)
        self.assertEqual((0, 0), (self.count(models.MODELS),
                                  self.count(models.JOBS)))

    def test_active_and_shipped_ones_stay(self) -> None:
        self.shipped(1)
        found = self.trained(2)
        models_api.model_activate(suite.ME, found)
        error = self.assertRaises(exception.Conflict,
                                  models_api.model_delete, found)
        self.assertIn('Activate another one first', str(error))
        shipped, = self.listed(origin='shipped')
        error = self.assertRaises(exception.Conflict,
                                  models_api.model_delete, shipped)
        self.assertIn('came with the package', str(error))
        models_api.model_gone(found)
        self.assertEqual(2, self.count(models.MODELS))

    def test_activated_and_deleted_at_the_same_time(self) -> None:
        for number in range(5):
            found = self.trained(number, f'd{number}')
            self.run_together(
                lambda: models_api.model_activate(
                    suite.ME, found),
                lambda: models_api.model_delete(found))
            active = f'd{number}' in models_api.models_active()
            self.assertEqual(active, found in self.listed())

    # What engines find

    def test_register(self) -> None:
        found = [public(1, origin='shipped'), public(2)]
        self.assertEqual([f'lstm/{version(1)}', f'lstm/{version(2)}'],
                         models_api.models_register(HOST, found))
        self.assertEqual([], models_api.models_register('engine-2', found))
        told = {row['origin']: row for row in models_api.model_list(9)[0]}
        self.assertEqual((None, HOST), (told['shipped']['host'],
                                        told['imported']['host']))
        self.assertEqual('2026-11-21T03:00:00+00:00',
                         told['shipped']['created_at'])

    def test_registered_at_the_same_time(self) -> None:
        found = [public(number, origin='shipped') for number in range(3)]
        done = self.run_together(*[
            lambda: models_api.models_register(HOST, found)] * 4)
        for outcome in done:
            self.assertTrue(isinstance(outcome, list), outcome)
        self.assertEqual(3, self.count(models.MODELS))

    # Age and drift

    def test_drift(self) -> None:
        found = self.trained()
        told = models_api.model_get(found)['drift']
        self.assertIsNone(told['psi'])
        measured = {'unseen_templates': 0.5, 'unseen_events': 0.2,
                    'psi': 0.3}
        self.assertTrue(models_api.model_measured('lstm', version(1),
                                                  measured))
        self.assertFalse(models_api.model_measured('lstm', version(2),
                                                   measured))
        told = models_api.model_get(found)['drift']
        self.assertEqual(measured, {name: told[name] for name in measured})
        self.assertTrue(told['stale'])
        self.assertEqual(2, len(told['reasons']))
        self.assertIsNotNone(told['measured_at'])

    def test_age(self) -> None:
        self.config('models', max_age=1.0)
        self.shipped(1)
        shipped, = self.listed()
        old = rows.utcnow() - datetime.timedelta(days=3)
        self.change(models.MODELS, shipped, document=json.dumps(
            public(trained_at=rows.iso(old))))
        told = models_api.model_get(shipped)['drift']
        self.assertEqual((3.0, True),
                         (round(told['age_days'], 1), told['stale']))

    def test_due(self) -> None:
        found = self.trained()
        models_api.model_activate(suite.ME, found)
        self.assertEqual([], models_api.models_due(HOST, 7))
        old = rows.utcnow() - datetime.timedelta(days=8)
        self.change(models.MODELS, found, created_at=old, finished_at=old)
        self.assertEqual([], models_api.models_due('engine-2', 7))
        self.assertEqual([], models_api.models_due(HOST, 9))
        due, = models_api.models_due(HOST, 7)
        self.assertEqual({'detector': 'lstm', 'settings': {},
                          'sources': ['control', 'network']}, due)
        self.asked(**due)
        self.assertEqual([], models_api.models_due(HOST, 7))

    def test_purge(self) -> None:
        failed, deleted, kept = self.asked(), None, None
        jobs.fail(self.take(failed), 'x')
        deleted, kept = self.trained(1), self.trained(2)
        models_api.model_delete(deleted)
        self.assertEqual(0, jobs.purge(1)['models'])
        self.change(models.MODELS, finished_at=(
            rows.utcnow() - datetime.timedelta(days=10)))
        self.change(models.JOBS, finished_at=(
            rows.utcnow() - datetime.timedelta(days=10)))
        counts = jobs.purge(9)
        self.assertEqual((2, 0), (counts['models'], counts['queries']))
        self.assertEqual([kept], self.listed())
        self.assertIsNotNone(models_api.model_get(kept)['request'])

    # Verdicts

    def test_verdicts(self) -> None:
        scope = {'since': '2026-11-21T03:00:00+00:00',
                 'until': '2026-11-21T03:10:00+00:00'}
        for verdict, rating in (('cause_found', 'right'),
                                ('cause_found', 'partly'),
                                ('cause_found', 'wrong'),
                                ('nothing_abnormal', 'right'),
                                ('nothing_abnormal', 'wrong'),
                                ('insufficient_evidence', 'right')):
            found = self.ask()
            jobs.complete(self.take(found), json.dumps(
                suite.REPORT | {'verdict': verdict, 'scope': scope}))
            api.rating_set(suite.MINE, suite.ME, found, rating)
        # Without a time, and of others.
        api.rating_set(suite.MINE, suite.ME, self.solved(), 'right')
        api.rating_set(suite.THEIRS, suite.ME, self.solved(suite.THEIRS),
                       'right')
        told = models_api.verdicts(suite.MINE)
        self.assertEqual([False, True, True, True],
                         sorted(label['harmed'] for label in told))
        self.assertEqual(scope, {name: told[0][name] for name in scope})
