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
"""Tests of the words of texts."""

import hypothesis
from hypothesis import strategies

from openstack_rca.retrievers import words
from openstack_rca.tests import base


class WordsTest(base.TestCase):
    """Words, parts of identifiers, and how well they fit."""

    def test_terms(self) -> None:
        self.assertEqual(
            ['volumetypenotfound', 'volume', 'type', 'not', 'found',
             'foo_bar', 'foo', 'bar', 'httperror', 'http', 'error', 'it'],
            list(words.terms('VolumeTypeNotFound: foo_bar, HTTPError - it')))

    def test_best_fit(self) -> None:
        known = words.Words([
            'No valid host was found', '', 'VolumeTypeNotFound',
            'Volume is busy', '<*> <*>'])
        scores = known.scores('which volume type?')
        self.assertEqual(2, scores.index(max(scores)))
        self.assertGreater(scores[3], 0)
        self.assertEqual([0, 0, 0], [scores[0], scores[1], scores[4]])

    def test_rare_words_say_more(self) -> None:
        known = words.Words(['server quota', *['server went away'] * 20])
        scores = known.scores('server quota')
        self.assertGreater(scores[0], 3 * scores[1])

    def test_nothing_fits(self) -> None:
        self.assertEqual([0, 0], words.Words(['a b', 'server']).scores('zz'))
        self.assertEqual([0], words.Words(['server']).scores('?'))
        self.assertEqual([0, 0], words.Words(['', '!']).scores('server'))
        self.assertEqual([], words.Words([]).scores('server'))

    @hypothesis.given(strategies.lists(strategies.text(), max_size=5),
                      strategies.text())
    def test_any_text(self, texts: list[str], question: str) -> None:
        scores = words.Words(texts).scores(question)
        self.assertEqual(len(texts), len(scores))
        self.assertTrue(all(s >= 0 for s in scores))
