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
"""What is tested of every detector that is judged by windows."""

from collections.abc import Mapping
from collections.abc import Sequence
import importlib.metadata
import json
import subprocess
import sys
from typing import Any
from unittest import mock
import zlib

import numpy as np
import safetensors.numpy

from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import meaning
from openstack_rca.events import schema
from openstack_rca.tests import base
from openstack_rca.tests.unit.detectors import runs

SETTINGS = detectors.Settings(learning_rate=3e-3, epochs=4, device='cpu')


class Encoder:
    """Gives a text always the same place, and counts what it is asked.

    It stands in for the real one, whose model takes seconds to load.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], **_more: Any) -> np.ndarray:
        self.asked += texts
        rows = np.stack([np.random.default_rng(
            zlib.crc32(text.encode())).normal(size=384) for text in texts])
        made: np.ndarray = rows / np.linalg.norm(rows, axis=1)[:, None]
        return made


def odd(number: int, level: str = 'ERROR') -> runs.Run:
    """A run in which a server gets lost, with a word about it."""
    at = number * runs.APART + 20
    return runs.Run(number, silent=[2], stuck=[2], compute=[runs.line(
        at, 'nova.virt.driver', 'the domain vanished', level)])


class LearnedTestCase(base.TestCase):
    """With a cloud to learn from, and a meaning that is quick to tell."""

    def setUp(self) -> None:
        super().setUp()
        for name, value in (('_embedder', Encoder), ('_EMBEDDINGS', {})):
            patcher: Any = mock.patch.object(meaning, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def unlabelled(self, *more: runs.Run,
                   folder: str = 'logs') -> list[detectors.Recording]:
        """Twelve normal runs, and others."""
        return runs.recordings(self.tmp / folder, [
            *(runs.Run(n) for n in range(12)), *more])

    def labelled(self) -> list[detectors.Recording]:
        """Normal and odd runs in turn."""
        count = 24
        return runs.recordings(
            self.tmp / 'logs',
            [odd(n) if n % 2 else runs.Run(n) for n in range(count)],
            [bool(n % 2) for n in range(count)])


class Cases:
    """Tests of one driver, mixed into a :class:`LearnedTestCase`.

    :cvar driver: its class
    """

    driver: type[detectors.LearnedDetector]

    def wrong_states(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Metadata that do not belong to the driver."""
        return [{}, {**told, 'driver': 'tiny'}, {**told, 'version': 99},
                {**told, 'threshold': float('nan')}, {**told, 'scale': 0.0},
                {**told, 'scale': 'wide'}]

    def test_entry_point(self: Any) -> None:
        name = self.driver.__module__.rpartition('.')[2]
        point, = importlib.metadata.entry_points(
            group='openstack_rca.detectors', name=name)
        self.assertIs(self.driver, point.load())

    def test_torch_is_not_loaded(self: Any) -> None:
        done = subprocess.run(
            [sys.executable, '-c', 'import sys\n'
             f'from {self.driver.__module__} import {self.driver.__name__}\n'
             f'{self.driver.__name__}()\n'
             'print("torch" in sys.modules)'],
            capture_output=True, text=True, check=True)
        self.assertEqual('False', done.stdout.strip())

    def test_without_labels(self: Any) -> None:
        parts = self.unlabelled(runs.Run(12), odd(13))
        learner = self.driver()
        told: list[tuple[str, float]] = []
        figures = learner.fit(
            parts[:12], SETTINGS,
            lambda stage, share, _f: told.append((stage, share)))
        self.assertEqual(0.0, figures['false_alarms'])
        self.assertNotIn('f1', figures)
        self.assertLessEqual({'read', 'train'}, {
            stage.rpartition(' ')[2] for stage, _ in told})
        usual, strange = (learner.score(p) for p in parts[12:])
        self.assertLess(usual, 0.5)
        self.assertGreater(strange, 0.5)
        self.assertLessEqual(strange, 1.0)

    def test_labels(self: Any) -> None:
        parts = self.labelled()
        learner = self.driver()
        figures = learner.fit(parts, SETTINGS)
        self.assertEqual(0.0, figures['false_alarms'])
        self.assertEqual(1.0, figures['recall'])
        self.assertEqual(24.0, figures['recordings'])
        scores = [learner.score(p) for p in parts[:8]]
        self.assertTrue(max(scores[::2]) < 0.5 < min(scores[1::2]), scores)

    def test_same_seed_same_model(self: Any) -> None:
        parts = self.unlabelled()
        made = []
        for seed in (1, 1, 2):
            learner = self.driver()
            learner.fit(parts, detectors.Settings(
                seed=seed, learning_rate=3e-3, epochs=2, device='cpu'))
            made.append(learner.state())
        for name, array in made[0][0].items():
            self.assertEqual(array.tobytes(), made[1][0][name].tobytes(),
                             name)
        self.assertEqual(made[0][1], made[1][1])
        self.assertTrue(any(
            array.tobytes() != made[2][0][name].tobytes()
            for name, array in made[0][0].items() if 'network.' in name))

    def test_goes_on(self: Any) -> None:
        """A training that was interrupted ends as if it had not been."""
        def stop(stage: str, share: float, _f: Mapping[str, float]) -> None:
            if stage.endswith('train') and share >= 0.25:
                raise InterruptedError

        parts = self.unlabelled()
        made = []
        for checkpoint in (None, self.tmp / 'checkpoint'):
            learner = self.driver()
            if checkpoint is not None:
                self.assertRaises(InterruptedError, learner.fit, parts,
                                  SETTINGS, stop, checkpoint)
                self.assertTrue([p for p in checkpoint.rglob('*')
                                 if p.is_file()])
                learner = self.driver()
            learner.fit(parts, SETTINGS, None, checkpoint)
            made.append(learner.state())
        self.assertEqual(made[0][1], made[1][1])
        for name, array in made[0][0].items():
            self.assertEqual(array.tobytes(), made[1][0][name].tobytes(),
                             name)

    def test_state(self: Any) -> None:
        parts = self.unlabelled(odd(12))
        learner = self.driver()
        learner.fit(parts[:12], SETTINGS)
        arrays, told = learner.state()
        # What is kept is files: safetensors and JSON.
        again = self.driver.from_state(
            safetensors.numpy.load(safetensors.numpy.save(arrays)),
            json.loads(json.dumps(told, sort_keys=True)))
        self.assertEqual([learner.score(p) for p in parts[9:]],
                         [again.score(p) for p in parts[9:]])
        self.assertEqual(told, again.state()[1])
        self.assertTrue(learner.explain(parts[12], 0.9).equals(
            again.explain(parts[12], 0.9)))

    def test_foreign_state(self: Any) -> None:
        learner = self.driver()
        learner.fit(self.unlabelled(), SETTINGS)
        arrays, told = learner.state()
        name = max(arrays, key=lambda n: arrays[n].size)
        holed = np.array(arrays[name], np.float64)
        holed.flat[0] = np.nan
        wrong = [(arrays, metadata) for metadata in self.wrong_states(told)]
        wrong += [({n: a for n, a in arrays.items() if n != name}, told),
                  ({}, told), ({**arrays, 'more': arrays[name]}, told),
                  ({**arrays, name: arrays[name][1:]}, told),
                  ({**arrays, name: holed}, told)]
        for given, metadata in wrong:
            error = self.assertRaises(
                exception.ModelError, self.driver.from_state, given,
                metadata)
            self.assertIn('Train it again', str(error))

    def test_nothing_learned(self: Any) -> None:
        parts = runs.recordings(self.tmp / 'logs', [runs.Run(0)])
        learner = self.driver()
        for call in (lambda: learner.score(parts[0]), learner.state,
                     lambda: learner.settle(parts, SETTINGS)):
            self.assertRaises(exception.ModelError, call)

    def test_too_little(self: Any) -> None:
        parts = runs.recordings(self.tmp / 'logs', [runs.Run(0)])
        for few in (parts, []):
            self.assertRaises(exception.InvalidInput, self.driver().fit,
                              few, SETTINGS)

    def test_nothing_said(self: Any) -> None:
        """A time without a record is no reason for an alarm."""
        parts = self.unlabelled()
        empty = detectors.Recording('empty', parts[0].store, type(
            parts[0].query)(since=runs.T.replace(year=2030)))
        learner = self.driver()
        learner.fit([*parts, empty], SETTINGS)
        self.assertLess(learner.score(empty), 0.5)
        self.assertTrue(learner.explain(empty, 0.9).is_empty())
        self.assertFalse(learner.knows(empty))

    def test_explain(self: Any) -> None:
        parts = self.unlabelled(odd(12))
        learner = self.driver()
        learner.fit(parts[:12], SETTINGS)
        score = learner.score(parts[12])
        found = learner.explain(parts[12], score)
        self.assertEqual(detectors.SYMPTOMS, dict(found.schema))
        self.assertEqual({'model'}, set(found['sign']))
        self.assertTrue(found['score'].is_between(0, score).all())
        self.assertTrue((found['since'] <= found['until']).all())
        self.assertIn('the domain vanished', found['why'][0])
        pattern = dict(parts[0].store.templates().select(
            list(schema.TEMPLATES)).iter_rows())[found['template'][0]]
        self.assertEqual('the domain vanished', pattern)
        self.assertEqual(('nova', 'nova-compute'),
                         found.select('service', 'binary').row(0))

    def test_settle(self: Any) -> None:
        """In another cloud the weights stay and what is normal is new."""
        learner = self.driver()
        learner.fit(self.unlabelled(), SETTINGS)
        weights = {n: a.tobytes() for n, a in learner.state()[0].items()
                   if 'network.' in n}
        self.assertGreater(len(weights), 0)
        other = [runs.Run(n, compute=[runs.line(
            n * runs.APART + s, 'nova.virt.driver', text)
            for s, text in enumerate((
                'one habit', 'another of its habits', 'and yet a third',
                'some more of it', 'a last one of many'))])
            for n in range(12)]
        parts = runs.recordings(self.tmp / 'other', other)
        self.assertTrue(learner.knows(parts[11]))
        before = learner.score(parts[11])
        learner.settle(parts[:11], SETTINGS)
        self.assertLess(learner.score(parts[11]), min(0.5, before))
        self.assertEqual(weights, {
            n: a.tobytes() for n, a in learner.state()[0].items()
            if 'network.' in n})
        self.assertRaises(exception.InvalidInput, learner.settle, [],
                          SETTINGS)
