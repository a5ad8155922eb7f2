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
"""Tests of hidden messages and their hypersphere."""

from unittest import mock

import numpy as np

from openstack_rca.detectors import features
from openstack_rca.detectors import keys
from openstack_rca.detectors import logbert
from openstack_rca.detectors import meaning
from openstack_rca.tests.unit.detectors import learned
from openstack_rca.tests.unit.detectors import runs


class LogbertTestCase(learned.Cases, learned.LearnedTestCase):

    driver = logbert.LogbertDetector

    def wrong_states(self, told):  # type: ignore
        return [*super().wrong_states(told), {**told, 'keys': []},
                {**told, 'words': told['words'][1:]},
                {**told, 'texts': told['texts'][1:]}]

    def test_what_was_expected(self) -> None:
        parts = self.unlabelled(learned.odd(12))
        learner = logbert.LogbertDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        found = learner.explain(parts[12], learner.score(parts[12]))
        why = found['why'][0]
        self.assertIn('which quiet times never say', why)
        _, _, expected = why.partition('lead to expect ')
        self.assertIn(expected.strip('"'), learner.state()[1]['words'])

    def test_sequences(self) -> None:
        """What is said of a request, and what a process says beside."""
        part, = runs.recordings(self.tmp / 'logs', [runs.Run(0)])
        read = features.tables(part.store, part.query)
        words = dict(zip(read.keys['k'], read.keys['words'], strict=True))
        said = [[words[k] for k in ks]
                for ks in logbert._sequences(read)['ks']]
        self.assertEqual(runs.REQUESTS + 1, len(said))
        self.assertEqual(['calling method reboot'], [s[0] for s in said[:1]])
        self.assertIn('rebooting instance asked', said[0])
        self.assertEqual(['auditing locally available resources',
                          'lifecycle event resumed was received'], said[-1])

    def test_unseen_text_has_a_place(self) -> None:
        learner = logbert.LogbertDetector()
        learner.fit(self.unlabelled(), learned.SETTINGS)
        strange = runs.recordings(self.tmp / 'more', [runs.Run(
            0, compute=[runs.line(9, 'nova.virt.driver',
                                  'never met while learning')])])
        with mock.patch.object(meaning, 'embed', autospec=True,
                               side_effect=meaning.embed) as embed:
            learner.score(strange[0])
        embed.assert_called_once_with(
            ['nova-compute: never met while learning'])

    def test_missed_keys(self) -> None:
        """A key that nobody knows is never expected."""
        parts = self.unlabelled(learned.odd(12))
        learner = logbert.LogbertDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        read = features.tables(parts[12].store, parts[12].query)
        told, distances = learner._told(read)
        unknown = told.filter(told['v'] < 0)
        self.assertEqual(1, unknown.height)
        self.assertTrue(unknown['missed'].all())
        self.assertTrue((distances >= 0).all())
        usual, _ = learner._told(features.tables(
            parts[11].store, parts[11].query))
        # Fewer keys than candidates: whatever is known is expected.
        self.assertLessEqual(len(learner._keys), logbert._CANDIDATES)
        self.assertFalse(usual['missed'].any())

    def test_distance_counts(self) -> None:
        """What lies far from the middle is abnormal, expected or not."""
        import torch
        parts = self.unlabelled()
        learner = logbert.LogbertDetector()
        learner.fit(parts, learned.SETTINGS)
        before = learner.score(parts[0])
        assert learner._network is not None
        learner._network.load_state_dict({
            **learner._network.state_dict(),
            'middle': torch.full((logbert._WIDTH,), 3.0)})
        self.assertGreater(learner.score(parts[0]), before)

    def test_the_middle_follows(self) -> None:
        """In training it moves to the sequences, otherwise it stays."""
        import torch

        from openstack_rca.detectors import networks
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = logbert.network()
            table = torch.randn(5, keys.INPUTS).numpy()
            lesson = networks.HiddenKeys(
                np.array([[0, 1, 2, -1], [3, 4, -1, -1]]), table, 0.1)
            rows = torch.arange(2)

            def middle() -> torch.Tensor:
                found: torch.Tensor = network.state_dict()['middle']
                return found.clone()

            network.eval()
            lesson.loss(network, rows)
            self.assertEqual(0.0, float(middle().abs().max()))
            network.train()
            lesson.loss(network, rows)
            first = middle()
            self.assertGreater(float(first.abs().max()), 0.0)
            lesson.loss(network, rows)
        self.assertGreater(float(middle().norm()),
                           float(first.norm()))
