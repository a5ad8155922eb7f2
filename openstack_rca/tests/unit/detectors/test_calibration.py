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
"""Tests of what makes the scores of detectors comparable."""

import pathlib
import re
import textwrap
from typing import Any

import hypothesis
from hypothesis import strategies
import numpy as np

import openstack_rca
from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import calibration
from openstack_rca.tests import base
from openstack_rca.tests.unit.detectors import learned

PAGE = (pathlib.Path(openstack_rca.__path__[0]).parent / 'doc' / 'source'
        / 'contributor' / 'detectors.rst')
FLOATS = strategies.floats(-1e6, 1e6)


class CalibrationTestCase(base.TestCase):

    @hypothesis.given(FLOATS, FLOATS, strategies.floats(1e-3, 1e3))
    def test_half_is_the_threshold(self, value: float, threshold: float,
                                   scale: float) -> None:
        score = calibration.score(value, threshold, scale)
        self.assertTrue(0 <= score <= 1)
        self.assertEqual(
            (value - threshold) / scale >= calibration._MARGIN, score >= 0.5)

    @hypothesis.given(strategies.floats(-9, 9))
    def test_logit(self, value: float) -> None:
        self.assertAlmostEqual(value - calibration._MARGIN, calibration.logit(
            calibration.score(value, 0.0)), places=4)
        self.assertTrue(all(np.isfinite(calibration.logit(s))
                            for s in (0.0, 1.0)))

    @hypothesis.given(
        strategies.lists(FLOATS, min_size=1, max_size=60),
        strategies.floats(0.0, 0.5))
    def test_limit_keeps_the_budget(self, values: list[float],
                                    share: float) -> None:
        limit = calibration.limit(np.array(values), share)
        self.assertTrue(np.isfinite(limit))
        self.assertLessEqual(float((np.array(values) > limit).mean()),
                             share + 1e-9)

    def test_limit_spends_the_budget(self) -> None:
        for share in (0.05, 0.2):
            limit = calibration.limit(np.arange(100.0), share)
            self.assertEqual(
                share, float((np.arange(100.0) > limit).mean()))
        # What could not be counted lies beyond what was seen.
        self.assertGreater(calibration.limit(np.arange(100.0), 0.001), 99.0)

    def test_groups_are_not_split(self) -> None:
        labels = np.array([n % 2 == 0 for n in range(40)])
        groups = [f'g{n // 8}' for n in range(40)]
        held = calibration.held_out(groups, labels, learned.SETTINGS)
        self.assertTrue(0 < held.sum() < 40)
        for name in set(groups):
            mine = held[[g == name for g in groups]]
            self.assertEqual(mine.all(), mine.any())
        self.assertRaises(
            exception.InvalidInput, calibration.held_out, ['one'] * 40,
            labels, learned.SETTINGS)

    def test_shapes(self) -> None:
        good: dict[str, np.ndarray] = {
            'a': np.zeros((2, 3)), 'b': np.zeros(1, np.int32)}
        shapes = {'a': (2, 3), 'b': (1,)}
        calibration.check_shapes(good, shapes)
        wrongs: list[dict[str, np.ndarray]] = [
            {'a': good['a']}, {**good, 'c': good['b']},
            {**good, 'a': good['a'].T},
            {**good, 'a': np.full((2, 3), np.inf)}]
        for wrong in wrongs:
            self.assertRaises(ValueError, calibration.check_shapes, wrong,
                              shapes)

    def test_figures(self) -> None:
        told = calibration.figures(
            np.array([True, True, False, False]),
            np.array([True, False, True, False]), True)
        self.assertEqual(
            {'held_out': 4.0, 'false_alarms': 0.5, 'precision': 0.5,
             'recall': 0.5, 'f1': 0.5}, told)


def documented() -> type[Any]:
    """The detector that the page shows."""
    page = PAGE.read_text()
    code, = re.findall(
        r'\.\. code-block:: python\n\n((?:   .*\n|\n)+)', page)
    names: dict[str, Any] = {}
    exec(textwrap.dedent(code), names)  # noqa: S102
    found: type[Any] = names['ErrorsDetector']
    return found


class DocumentedTestCase(learned.LearnedTestCase):
    """What the page says is enough to write a detector."""

    def test_documented(self) -> None:
        driver = documented()
        parts = self.unlabelled(learned.odd(12))
        learner = driver()
        self.assertRaises(exception.ModelError, learner.score, parts[0])
        self.assertRaises(exception.ModelError, learner.state)
        figures = learner.fit(parts[:12], learned.SETTINGS)
        self.assertEqual(0.0, figures['false_alarms'])
        self.assertLess(learner.score(parts[11]), 0.5)
        score = learner.score(parts[12])
        self.assertGreater(score, 0.5)
        found = learner.explain(parts[12], score)
        self.assertEqual(detectors.SYMPTOMS, dict(found.schema))
        self.assertEqual(['an error, 1 times'], found['why'].to_list())
        arrays, told = learner.state()
        again = driver.from_state(arrays, told)
        self.assertEqual(score, again.score(parts[12]))
        for wrong in ({}, {'usual': np.array([np.nan])},
                      {**arrays, 'more': np.zeros(1)}):
            self.assertRaises(exception.ModelError, driver.from_state,
                              wrong, told)
        learner.settle(parts[:11], learned.SETTINGS)
        self.assertLess(learner.score(parts[11]), 0.5)
