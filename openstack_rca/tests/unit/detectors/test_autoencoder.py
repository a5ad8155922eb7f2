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
"""Tests of the autoencoder over windows."""

import numpy as np

from openstack_rca.detectors import autoencoder
from openstack_rca.detectors import windows
from openstack_rca.tests.unit.detectors import learned
from openstack_rca.tests.unit.detectors import runs


class AutoencoderTestCase(learned.Cases, learned.LearnedTestCase):

    driver = autoencoder.AutoencoderDetector

    def wrong_states(self, told):  # type: ignore
        return [*super().wrong_states(told), {**told, 'features': ['other']},
                {**told, 'normal': {}}]

    def test_spread_is_positive(self) -> None:
        learner = autoencoder.AutoencoderDetector()
        learner.fit(self.unlabelled(), learned.SETTINGS)
        arrays, told = learner.state()
        self.assertRaisesRegex(
            Exception, 'spread', self.driver.from_state,
            {**arrays, 'spread': -arrays['spread']}, told)

    def test_vectors(self) -> None:
        """The numbers of a vector are what their names say."""
        parts = self.unlabelled(runs.Run(12, took=9.0))
        learner = autoencoder.AutoencoderDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        read = [windows.read(p.store, p.query)[0] for p in parts[11:]]
        usual, slow = (dict(zip(autoencoder.INPUTS, row, strict=True))
                       for row in learner._vectors(read))
        self.assertEqual(len(autoencoder.INPUTS), len(usual))
        for name in ('slowest', 'latency_max highest',
                     'latency_mean mean'):
            self.assertEqual(0.0, usual[name])
            self.assertGreater(slow[name], 3.0)
        self.assertEqual(usual['errors highest'], slow['errors highest'])
        self.assertEqual(usual['error share'], slow['error share'])
        assert learner._normal is not None
        seen = learner._normal.vectors(read).numbers[1, :7]
        for n, name in enumerate(windows.NUMERIC):
            self.assertAlmostEqual(float(seen[:, n].mean()),
                                   float(slow[f'{name} mean']), places=4)
            self.assertAlmostEqual(float(seen[:, n].std()),
                                   float(slow[f'{name} deviation']),
                                   places=4)
            self.assertEqual(seen[:, n].min(), slow[f'{name} lowest'])

    def test_harm_is_not_learned(self) -> None:
        """Labels change who is judged, and not what is learned."""
        parts = self.labelled()
        with_labels = autoencoder.AutoencoderDetector()
        with_labels.fit(parts, learned.SETTINGS)
        keys = with_labels.state()[1]['normal']['keys']
        self.assertFalse([k for k in keys if 'vanished' in k])

    def test_explain_names_the_feature(self) -> None:
        parts = self.unlabelled(runs.Run(12, took=9.0))
        learner = autoencoder.AutoencoderDetector()
        learner.fit(parts[:12], learned.SETTINGS)
        score = learner.score(parts[12])
        self.assertGreater(score, 0.5)
        why = ' '.join(learner.explain(parts[12], score)['why'])
        self.assertRegex(why, r'(latency_\w+ \w+|slowest) is at least 1.54, '
                              r'expected was [\d.]+; behind it: '
                              r'POST /\*/servers/\*/')
        self.assertTrue(np.isfinite(score))
