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
"""Tests of which events answer a question."""

from collections.abc import Sequence

import numpy as np

from openstack_rca.analysis import relevance
from openstack_rca.tests import base

TEMPLATES = {1: 'No valid host was found', 2: 'Volume <*> is busy',
             3: 'Disk is full\nTraceback'}


def _embed(texts: Sequence[str]) -> np.ndarray:
    """A meaning: whether a text is about room."""
    return np.array([
        [1.0, 0.0] if 'full' in t or 'room' in t else [0.0, 1.0]
        if 'host' in t else [-0.6, 0.8] for t in texts])


def _row(template: int, score: float = 0.0,
         related: bool = False) -> dict[str, object]:
    return {'template': template, 'score': score, 'related': related}


class RelevanceTest(base.TestCase):
    """Each score counts, and the entities of the question come first."""

    def test_words(self) -> None:
        told = relevance.Relevance(TEMPLATES, 'my volume is busy')
        self.assertEqual([2, 1, 3], sorted(
            TEMPLATES, key=lambda t: -told.of(_row(t))))
        self.assertEqual(0, told.of(_row(1)))
        self.assertEqual(0, told.of(_row(99)))

    def test_detector_before_words(self) -> None:
        told = relevance.Relevance(TEMPLATES, 'my volume is busy')
        self.assertGreater(told.of(_row(1, .8)), told.of(_row(2, .1)))
        self.assertGreater(told.of(_row(2, .8)), told.of(_row(1, .8)))

    def test_meaning(self) -> None:
        plain = relevance.Relevance(TEMPLATES, 'room left')
        told = relevance.Relevance(TEMPLATES, 'room left', _embed)
        self.assertEqual(0, plain.of(_row(3)))
        self.assertGreater(told.of(_row(3)), told.of(_row(1)))
        # What means the contrary is not worse than what means nothing.
        self.assertEqual(0, told.of(_row(2)))

    def test_entities_first(self) -> None:
        told = relevance.Relevance(TEMPLATES, 'volume busy')
        rows = [_row(2, 1.0), _row(1, 0.0, True), _row(3, .5, True)]
        self.assertEqual([3, 1, 2], [r['template'] for r in sorted(
            rows, key=told.key)])

    def test_between_0_and_1(self) -> None:
        told = relevance.Relevance({3: TEMPLATES[3]}, 'full', _embed)
        self.assertEqual(1, told.of(_row(3, 1.0)))
        for issue in ('', '  ', '?!'):
            nothing = relevance.Relevance(TEMPLATES, issue)
            self.assertEqual(0, nothing.of(_row(1)))
        self.assertEqual(0, relevance.Relevance({}, 'x', _embed).of(_row(1)))

    def test_a_score_that_is_missing(self) -> None:
        told = relevance.Relevance(TEMPLATES, '')
        self.assertEqual(0, told.of({'template': None, 'score': None,
                                     'related': False}))
