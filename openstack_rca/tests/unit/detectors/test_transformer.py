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
"""Tests of the transformer over windows."""

import datetime

import numpy as np
import safetensors.numpy

from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import calibration
from openstack_rca.detectors import transformer
from openstack_rca.detectors import windows
from openstack_rca.tests.unit.detectors import learned
from openstack_rca.tests.unit.detectors import runs


class TransformerTestCase(learned.Cases, learned.LearnedTestCase):

    driver = transformer.TransformerDetector

    def wrong_states(self, told):  # type: ignore
        return [*super().wrong_states(told), {**told, 'features': ['other']},
                {**told, 'normal': {}},
                {**told, 'normal': {**told['normal'], 'values': {
                    **told['normal']['values'],
                    'method': [str(n) for n in range(99)]}}}]

    def test_size(self) -> None:
        network = transformer.network()
        count = sum(p.numel() for p in network.parameters())
        self.assertTrue(430e3 < count < 480e3, count)
        learner = transformer.TransformerDetector()
        learner.fit(self.unlabelled(), learned.SETTINGS)
        kept = safetensors.numpy.save(learner.state()[0])
        self.assertLess(len(kept), 5e6)

    def test_padding_says_nothing(self) -> None:
        import torch
        network = transformer.network().eval()
        rng = np.random.default_rng(3)
        numbers = torch.from_numpy(rng.normal(
            size=(1, windows.STEPS, 22)).astype(np.float32))
        codes = torch.ones(1, windows.STEPS, 6, dtype=torch.long)
        there = torch.arange(windows.STEPS)[None] < 7
        wholes = torch.zeros(1, 9)
        other = numbers.clone()
        other[0, 7:] = 99.0
        with torch.no_grad():
            last = network.head[-1]
            assert isinstance(last, torch.nn.Linear)
            torch.nn.init.normal_(last.weight)
            torch.testing.assert_close(
                network(numbers, codes, there, wholes),
                network(other, codes, there, wholes))
            weights = network.attended(other, codes, there)
            short = network(numbers[:, :7], codes[:, :7], there[:, :7],
                            wholes)
            torch.testing.assert_close(
                network(numbers, codes, there, wholes), short)
        self.assertEqual(0.0, float(weights[0, 7:].sum()))
        self.assertAlmostEqual(1.0, float(weights.sum()), places=5)

    def test_attention(self) -> None:
        parts = self.unlabelled(learned.odd(12))
        learner = transformer.TransformerDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        window, = windows.read(parts[12].store, parts[12].query)
        weights = learner.attention(window)
        self.assertEqual(window.steps.height, len(weights))
        self.assertAlmostEqual(1.0, float(weights.sum()), places=5)
        found = learner.explain(parts[12], 0.9)
        why = found['why'][0]
        moment = runs.T + datetime.timedelta(
            seconds=12 * runs.APART + 20)
        self.assertIn(f'the step at {moment:%H:%M:%S} has ', why)
        share = float(why.split(' has ')[1].split()[0])
        self.assertAlmostEqual(
            float(weights[2] * len(weights)), share, places=2)
        self.assertIn('error', why)

    def test_worst_window(self) -> None:
        """A recording is judged by the worst of its windows."""
        parts = self.unlabelled(learned.odd(12), runs.Run(13))
        learner = transformer.TransformerDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        both = detectors.Recording('both', parts[0].store, type(
            parts[0].query)(since=parts[12].query.since,
                            until=parts[13].query.until))
        parts_of = windows.read(both.store, both.query)
        values = learner._values(parts_of)
        self.assertEqual(2, len(values))
        worst = parts_of[int(values.argmax())]
        score = learner.score(both)
        self.assertEqual(score, calibration.score(
            float(values.max()), learner._threshold, learner._scale))
        found = learner.explain(both, score)
        self.assertTrue((found['since'] >= worst.start).all())
        self.assertLessEqual(
            set(found['template']), set(worst.records['template']))
