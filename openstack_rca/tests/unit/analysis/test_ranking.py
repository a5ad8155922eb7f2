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
"""Tests of the ranking of candidates."""

import dataclasses
import datetime
from typing import Any

import hypothesis
from hypothesis import strategies

from openstack_rca.analysis import components
from openstack_rca.analysis import ranking
from openstack_rca.tests import base

T = datetime.datetime(2026, 11, 21)


def event(second: float = 0, level: int = 40) -> dict[str, Any]:
    return {'timestamp': T + datetime.timedelta(seconds=second),
            'level': level, 'kind': 'log', 'text': ''}


def finding(component: str, weight: float = 0.6, clue: str = 'c',
            category: str = 'hang', direct: bool = True, second: float = 0,
            **more: Any) -> ranking.Finding:
    return ranking.Finding(
        component, category, clue, weight, f'{component} fails', ('do',),
        direct, [event(second)], since=event(second)['timestamp'], **more)


class RankingTestCase(base.TestCase):

    def _order(self, *findings: ranking.Finding) -> list[str]:
        return [c.component for c in ranking.rank(list(findings))]

    def test_stronger_first(self) -> None:
        self.assertEqual(['glance', 'placement'], self._order(
            finding('placement', 0.3, second=1),
            finding('glance', 0.8, second=1)))

    def test_what_a_part_passes_on(self) -> None:
        """Nobody needs it, and yet what it does not pass on is missed."""
        missed = finding('neutron-l2-agent', 0.7, direct=False,
                         via=('nova-api',))
        gone = finding('nova-api', 0.65, second=1)
        self.assertEqual(['nova-api', 'neutron-l2-agent'],
                         self._order(missed, gone))
        for other in (dataclasses.replace(missed, via=()),
                      dataclasses.replace(missed, via=('glance',))):
            self.assertEqual(['neutron-l2-agent', 'nova-api'],
                             self._order(other, gone))

    def test_weak_reasons_do_not_say_when_it_began(self) -> None:
        slow = finding('glance', 0.15, 'slow', second=-40)
        hangs = finding('glance', 0.8, 'hangs', second=5)
        fails = finding('glance', 0.3, 'fails', second=3)
        for reasons, second in (((slow, hangs), 5), ((slow, hangs, fails), 3),
                                ((slow,), -40), ((fails, slow), -40)):
            first, = ranking.rank(list(reasons))
            self.assertEqual(T + datetime.timedelta(seconds=second),
                             first.since)

    def test_causes_of_other_incidents(self) -> None:
        found = [finding('glance', 0.9, second=1),
                 finding('cinder-volume', 0.5, second=2)]
        kind = found[0].category
        for own, elsewhere, first in (
                ('cinder-volume', [('glance', kind)], 'cinder-volume'),
                # Another fault of it than that of the other incident.
                ('cinder-volume', [('glance', 'none')], 'glance'),
                ('cinder-volume', [], 'glance'),
                ('', [('glance', kind)], 'glance'),
                # Nothing speaks for what its symptoms blamed.
                ('placement', [('glance', kind)], 'glance'),
                ('glance', [('glance', kind)], 'glance')):
            with self.subTest(own=own, elsewhere=elsewhere):
                ranked = ranking.aside(ranking.rank(found), own, elsewhere)
                self.assertEqual(first, ranked[0].component)
                self.assertEqual(2, len(ranked))
                self.assertGreaterEqual(ranked[0].score, ranked[1].score)
        weak = [found[0], finding('cinder-volume', 0.1, second=2)]
        self.assertEqual('glance', ranking.aside(
            ranking.rank(weak), 'cinder-volume',
            [('glance', kind)])[0].component)

    def test_equal_lines_are_one_reason(self) -> None:
        one = ranking.rank([finding('glance', 0.5)])
        many = ranking.rank([finding('glance', 0.5) for _ in range(1000)])
        self.assertEqual(one[0].score, many[0].score)

    def test_different_reasons_add_up(self) -> None:
        one = ranking.rank([finding('glance', 0.5)])
        two = ranking.rank([finding('glance', 0.5),
                            finding('glance', 0.5, clue='d')])
        self.assertGreater(two[0].score, one[0].score)

    def test_effect_is_explained_by_what_is_behind(self) -> None:
        self.assertEqual('rabbitmq', self._order(
            finding('nova-conductor', 0.9, direct=False),
            finding('rabbitmq', 0.8))[0])

    def test_who_complains_passes_the_blame_on(self) -> None:
        blamed = finding('neutron-l2-agent', 0.7, direct=False,
                         processes={('nova-compute', 'cmp1')})
        for process, first in (
                ('neutron-openvswitch-agent', 'neutron-rpc-server'),
                # As incidents name it.
                ('neutron-openvswitch-agent@cmp1', 'neutron-rpc-server'),
                ('nova-compute', 'neutron-l2-agent')):
            self.assertEqual(first, self._order(blamed, finding(
                'neutron-rpc-server', 0.6, direct=False, second=1,
                processes={(process, 'cmp1')}))[0], process)

    def test_cause_is_not_explained_by_who_needs_it(self) -> None:
        ranked = ranking.rank([finding('mariadb', 0.9),
                               finding('nova-api', 0.9)])
        self.assertEqual('mariadb', ranked[0].component)

    def test_first_failure_counts(self) -> None:
        self.assertEqual('placement', self._order(
            finding('glance', 0.6, second=5),
            finding('placement', 0.6, second=1))[0])

    def test_related_counts(self) -> None:
        self.assertEqual('glance', self._order(
            finding('placement', 0.5), finding(
                'glance', 0.5, related=True))[0])

    def test_category_of_most_reasons(self) -> None:
        candidate = ranking.rank([
            finding('glance', 0.9, category='unknown'),
            finding('glance', 0.3, clue='d', category='image')])[0]
        self.assertEqual('image', candidate.category)

    def test_host_only_when_there_is_one(self) -> None:
        same = ranking.rank([finding('disk', host='cmp1'),
                             finding('disk', host='cmp1')])
        other = ranking.rank([finding('disk', host='cmp1'),
                              finding('disk', host='cmp2')])
        self.assertEqual('cmp1', same[0].host)
        self.assertEqual('', other[0].host)

    def test_confidence_falls_with_rivals(self) -> None:
        alone = ranking.rank([finding('glance', 0.6)])
        rivals = ranking.rank([finding('glance', 0.6),
                               finding('placement', 0.58)])
        self.assertGreater(ranking.confidence(alone, 0),
                           ranking.confidence(rivals, 0))

    @hypothesis.given(strategies.lists(strategies.builds(
        finding, strategies.sampled_from(components.COMPONENTS),
        strategies.floats(0, 1), strategies.sampled_from('abc'),
        strategies.sampled_from(components.CATEGORIES),
        strategies.booleans(), strategies.floats(0, 100)), max_size=12))
    def test_bounds(self, findings: list[ranking.Finding]) -> None:
        ranked = ranking.rank(findings)
        self.assertEqual({f.component for f in findings},
                         {c.component for c in ranked})
        scores = [c.score for c in ranked]
        self.assertEqual(sorted(scores, reverse=True), scores)
        for index, candidate in enumerate(ranked):
            self.assertTrue(0 <= candidate.score < 1)
            self.assertTrue(0 <= ranking.confidence(ranked, index) <= 0.95)
            self.assertIn(candidate.category, components.CATEGORIES)
