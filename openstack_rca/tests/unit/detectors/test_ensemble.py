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
"""Tests of several detectors as one."""

from typing import Any
from unittest import mock

import numpy as np

from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import calibration
from openstack_rca.detectors import ensemble
from openstack_rca.tests.unit.detectors import learned
from openstack_rca.tests.unit.detectors import runs


class EnsembleTestCase(learned.Cases, learned.LearnedTestCase):

    driver = ensemble.EnsembleDetector

    def setUp(self) -> None:
        super().setUp()
        # Two that learn quickly stand for the members.
        patcher = mock.patch.object(ensemble.EnsembleDetector, 'MEMBERS',
                                    ('autoencoder', 'transformer'))
        patcher.start()
        self.addCleanup(patcher.stop)

    def wrong_states(self, told: Any) -> list[dict[str, Any]]:
        members = told['members']
        return [{}, {**told, 'driver': 'tiny'}, {**told, 'version': 99},
                {**told, 'threshold': float('nan')}, {**told, 'order': []},
                {**told, 'order': ['transformer']},
                {**told, 'order': ['magic'], 'members': {'magic': {}}},
                {**told, 'order': ['novelty'], 'members': {'novelty': {}}},
                {**told, 'order': ['ensemble'],
                 'members': {'ensemble': told}},
                {**told, 'members': {**members, 'transformer': {}}}]

    def test_progress(self) -> None:
        told: list[tuple[str, float]] = []
        ensemble.EnsembleDetector().fit(
            self.unlabelled(), learned.SETTINGS,
            lambda stage, share, _f: told.append((stage, share)))
        self.assertEqual({
            'autoencoder: read', 'autoencoder: train', 'transformer: read',
            'transformer: train'}, {stage for stage, _ in told})
        trained = [share for stage, share in told
                   if stage == 'transformer: train']
        self.assertGreater(min(trained), 0.5)
        self.assertEqual(1.0, trained[-1])

    def test_mean_without_labels(self) -> None:
        learner = ensemble.EnsembleDetector()
        figures = learner.fit(self.unlabelled(), learned.SETTINGS)
        self.assertEqual([0.5, 0.5], learner.state()[0]['weights'].tolist())
        self.assertEqual(12.0, figures['recordings'])
        self.assertEqual(0.5, figures['transformer_weight'])
        self.assertIn('autoencoder_epochs', figures)

    def test_weights_with_labels(self) -> None:
        """A member that says the wrong thing is not believed."""
        class Right(detectors.LearnedDetector):
            sign = 1.0

            def fit(self, *_a: Any, **_k: Any) -> dict[str, float]:
                return {}

            def score(self, recording: detectors.Recording) -> float:
                number = int(recording.name.rpartition('-')[2])
                return calibration.score(
                    self.sign * (3.0 if number % 2 else -3.0), 0.0)

            def explain(self, *_a: Any) -> Any:
                return detectors.no_symptoms()

            state = from_state = mock.Mock()

        class Wrong(Right):
            sign = -1.0

        with mock.patch.object(ensemble, '_member', {
                'autoencoder': Right, 'transformer': Wrong}.__getitem__), (
                mock.patch.object(ensemble, '_LEAST_LABELLED', 2)):
            learner = ensemble.EnsembleDetector()
            figures = learner.fit(self.labelled(), learned.SETTINGS)
        right, wrong = learner._weights
        self.assertGreater(right, 0.5)
        self.assertLess(wrong, 0.2)
        self.assertEqual(1.0, figures['f1'])

    def test_members_do_not_learn_from_what_is_held_out(self) -> None:
        seen: list[str] = []
        fit = calibration.CalibratedDetector.fit

        def noted(self: Any, corpus: Any, *rest: Any) -> Any:
            seen.extend(r.name for r in corpus)
            return fit(self, corpus, *rest)

        with mock.patch.object(calibration.CalibratedDetector, 'fit', noted):
            figures = ensemble.EnsembleDetector().fit(
                self.labelled(), learned.SETTINGS)
        self.assertGreater(figures['held_out'], 2.0)
        self.assertEqual(24 - figures['held_out'], len(set(seen)))

    def test_one_recording_is_cut(self) -> None:
        parts = self.unlabelled()
        whole = detectors.Recording('all', parts[0].store)
        learned_from, held = ensemble.EnsembleDetector._divided(
            [whole], learned.SETTINGS)
        only, = learned_from
        self.assertGreaterEqual(len(held), 4)
        assert only.query.until is not None
        for one in held:
            assert one.query.since is not None
            self.assertGreater(one.query.since, only.query.until)
        figures = ensemble.EnsembleDetector().fit([whole], learned.SETTINGS)
        self.assertEqual(float(len(held)), figures['held_out'])

    def test_explain_names_the_member(self) -> None:
        parts = self.unlabelled(learned.odd(12))
        learner = ensemble.EnsembleDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        found = learner.explain(parts[12], learner.score(parts[12]))
        self.assertEqual({'autoencoder', 'transformer'}, {
            why.partition(': ')[0] for why in found['why']})
        learner._weights = np.array([0.0, 1.0])
        found = learner.explain(parts[12], 0.9)
        self.assertEqual({'transformer'}, {
            why.partition(': ')[0] for why in found['why']})

    def test_few_unharmed_with_labels(self) -> None:
        parts = runs.recordings(
            self.tmp / 'logs', [runs.Run(n) for n in range(6)],
            [True, True, True, False, False, False])
        self.assertRaises(
            exception.InvalidInput, ensemble.EnsembleDetector().fit, parts,
            learned.SETTINGS)

    def test_members(self) -> None:
        self.assertRaises(exception.DriverNotFound, ensemble._member,
                          'magic')
        for name in ('novelty', 'ensemble'):
            self.assertRaises(exception.InvalidInput, ensemble._member, name)


class DefaultMembersTestCase(learned.LearnedTestCase):

    def test_lstm_and_transformer(self) -> None:
        parts = self.unlabelled(learned.odd(12))
        learner = ensemble.EnsembleDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        self.assertEqual(['lstm', 'transformer'],
                         learner.state()[1]['order'])
        self.assertGreater(learner.score(parts[12]), 0.5)
        again = ensemble.EnsembleDetector.from_state(*learner.state())
        self.assertEqual(learner.score(parts[12]), again.score(parts[12]))
