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
"""How models age."""

import datetime

import hypothesis
from hypothesis import strategies

from openstack_rca.models import drift
from openstack_rca.tests import base

LIMITS = drift.Limits(age=90.0, unseen=0.1, shift=0.25)
NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


class TestUnseen(base.TestCase):

    def test_shares(self) -> None:
        self.assertEqual(
            {'templates': 0.5, 'events': 0.1},
            drift.unseen(['a', 'b'], {'a': 90, 'new': 10}))
        self.assertEqual({'templates': 0.0, 'events': 0.0},
                         drift.unseen({'a'}, {'a': 1}))
        self.assertEqual({'templates': 1.0, 'events': 1.0},
                         drift.unseen({'a'}, {'b': 1}))

    def test_nothing_to_say(self) -> None:
        self.assertIsNone(drift.unseen({'a'}, {}))
        self.assertIsNone(drift.unseen([], {'a': 1}))


class TestShift(base.TestCase):

    def test_the_same_scores(self) -> None:
        scores = [number / 100 for number in range(100)]
        reference = drift.histogram(scores)
        assert reference is not None
        self.assertAlmostEqual(1.0, sum(reference['shares']))
        self.assertEqual(0.0, drift.shift(reference, scores))

    def test_other_scores(self) -> None:
        reference = drift.histogram([n / 1000 for n in range(100)])
        moved = drift.shift(reference, [0.9] * 100)
        a_little = drift.shift(reference,
                               [(n + 5) / 1000 for n in range(100)])
        assert moved is not None and a_little is not None
        self.assertGreater(moved, 0.25)
        self.assertGreater(moved, a_little)
        self.assertLess(a_little, 0.25)

    def test_by_hand(self) -> None:
        # (.25 - .5) ln(.25 / .5) + (.75 - .5) ln(.75 / .5)
        self.assertAlmostEqual(0.274653, drift.shift(
            {'edges': [0.5], 'shares': [0.5, 0.5]},
            [0.1] * 10 + [0.9] * 30) or 0.0, 6)

    def test_all_scores_alike(self) -> None:
        reference = drift.histogram([0.0] * 100)
        self.assertEqual(0.0, drift.shift(reference, [0.0] * 30))
        self.assertIsNotNone(drift.shift(reference, [-1.0] * 30))

    def test_too_few(self) -> None:
        self.assertIsNone(drift.histogram([0.1] * 19))
        self.assertIsNone(drift.histogram([float('nan')] * 100))
        self.assertIsNone(drift.shift(drift.histogram([0.1] * 20),
                                      [0.1] * 19))

    def test_a_reference_that_is_none(self) -> None:
        for reference in (None, {}, {'edges': [1]}, {'edges': 1,
                                                     'shares': 2},
                          {'edges': [2.0, 1.0], 'shares': [0.1] * 3},
                          {'edges': [0.5], 'shares': [0.5]},
                          {'edges': ['a'], 'shares': [0.5, 0.5]},
                          {'edges': [float('nan')], 'shares': [0.5, 0.5]}):
            self.assertIsNone(drift.shift(reference, [0.1] * 100))

    @hypothesis.given(
        strategies.lists(strategies.floats(0, 1), min_size=20, max_size=99),
        strategies.lists(strategies.floats(0, 1), min_size=20, max_size=99))
    def test_never_below_zero(self, before: list[float],
                              now: list[float]) -> None:
        index = drift.shift(drift.histogram(before), now)
        assert index is not None
        self.assertGreaterEqual(index, 0.0)
        self.assertEqual(0.0, drift.shift(drift.histogram(before), before))


class TestAssess(base.TestCase):

    def test_age(self) -> None:
        self.assertEqual(20.0, drift.age('2026-11-01T00:00:00+00:00', NOW))
        self.assertEqual(0.0, drift.age('2027-01-01T00:00:00+00:00', NOW))
        for text in ('', 'soon', '2026-11-01T00:00:00'):
            self.assertIsNone(drift.age(text, NOW))

    def test_good(self) -> None:
        told = drift.assess(10.0, {'unseen_events': 0.1, 'psi': 0.25},
                            LIMITS)
        self.assertFalse(told['stale'])
        self.assertEqual([], told['reasons'])
        self.assertEqual(10.0, told['age_days'])

    def test_each_reason(self) -> None:
        for days, measured, said in (
                (91.0, {}, '91 days'),
                (None, {'unseen_events': 0.11}, '11.0% of the events'),
                (None, {'psi': 0.3}, '0.30')):
            told = drift.assess(days, measured, LIMITS)
            self.assertTrue(told['stale'])
            reason, = told['reasons']
            self.assertIn(said, reason)
            self.assertIn('[models] max_', reason)

    def test_unknown(self) -> None:
        told = drift.assess(None, {}, LIMITS)
        self.assertEqual({
            'age_days': None, 'unseen_templates': None,
            'unseen_events': None, 'psi': None, 'measured_at': None,
            'stale': False, 'reasons': []}, told)

    def test_no_age_is_too_old(self) -> None:
        self.assertFalse(drift.assess(
            1e6, {}, drift.Limits(0.0, 0.1, 0.25))['stale'])
