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
"""What is abnormal in profiles made by hand, and what is not."""

from typing import Any

import polars as pl

from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import counts
from openstack_rca.detectors import novelty
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

#: Where the time under question begins.
ONSET = 600


def row(second: float, template: int = 1, count: int = 1,
        **values: Any) -> dict[str, Any]:
    """One row of a profile; the lines are all at one moment."""
    moment = samples.at(second)
    return {'service': 'nova', 'binary': 'nova-compute', 'host': 'cmp1',
            'template': template, 'kind': 'log', 'count': count,
            'window': samples.at(second // 10 * 10), 'level': 20,
            'status': None, 'latency': None, 'first': moment,
            'last': moment} | values


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=detectors.PROFILE)


def steady(start: int, end: int, template: int = 1, step: int = 10,
           **values: Any) -> list[dict[str, Any]]:
    """The same again and again."""
    return [row(s, template, **values) for s in range(start, end, step)]


QUIET = steady(0, ONSET)
CURRENT = steady(ONSET, ONSET + 120)


class TestCase(base.TestCase):

    detector: detectors.Detector

    def detect(self, current: list[dict[str, Any]],
               reference: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = self.detector.detect(table(*current), table(*reference))
        self.assertEqual(detectors.SYMPTOMS, dict(found.schema))
        rows = list(found.iter_rows(named=True))
        for symptom in rows:
            self.assertTrue(0 < symptom['score'] <= 1, symptom['sign'])
            self.assertLessEqual(symptom['since'], symptom['until'])
            self.assertNotEqual('', symptom['why'])
        return rows

    def signs(self, current: list[dict[str, Any]],
              reference: list[dict[str, Any]]) -> list[tuple[str, Any]]:
        return sorted((s['sign'], s['template'])
                      for s in self.detect(current, reference))


class TestProfile(base.TestCase):

    def test_counts(self) -> None:
        found = detectors.profile(samples.frame(
            samples.event(1, 'a', level=30, status=200, latency=.5),
            samples.event(9, 'a', level=40, status=503, latency=.25),
            samples.event(11, 'a'), samples.event(1, 'b'),
            samples.event(1, 'a', host='cmp2'),
            samples.event(None, 'a')).lazy())
        self.assertEqual(detectors.PROFILE, dict(found.schema))
        self.assertEqual(4, found.height)
        worst = found.sort('level', descending=True).row(0, named=True)
        self.assertEqual(
            (2, 40, 503, 0.5, samples.at(0), samples.at(1), samples.at(9)),
            tuple(worst[k] for k in ('count', 'level', 'status', 'latency',
                                     'window', 'first', 'last')))

    def test_of_nothing(self) -> None:
        found = detectors.profile(samples.frame().lazy())
        self.assertEqual(0, found.height)
        self.assertEqual(detectors.WINDOW_SECONDS, detectors.seconds(found))

    def test_length(self) -> None:
        self.assertEqual(120.0, detectors.seconds(table(*CURRENT)))


class TestNovelty(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.detector = novelty.NoveltyDetector()

    def test_nothing(self) -> None:
        self.assertEqual([], self.detect([], []))
        self.assertEqual([], self.detect([], QUIET))

    def test_the_usual(self) -> None:
        self.assertEqual([], self.detect(CURRENT, QUIET))

    def test_new(self) -> None:
        self.assertEqual([('new', 2)], self.signs(
            [*CURRENT, row(ONSET + 5, 2)], QUIET))

    def test_new_says_when(self) -> None:
        symptom, = self.detect([*CURRENT, row(ONSET + 5, 2),
                                row(ONSET + 55, 2)], QUIET)
        self.assertEqual((samples.at(ONSET + 5), samples.at(ONSET + 55)),
                         (symptom['since'], symptom['until']))
        self.assertIn('600 s', symptom['why'])

    def test_new_after_a_long_quiet_says_more(self) -> None:
        new = [*CURRENT, row(ONSET + 5, 2)]
        long, = self.detect(new, QUIET)
        short, = self.detect(new, QUIET[-3:])
        self.assertGreater(long['score'], short['score'])

    def test_what_another_host_says_is_not_new(self) -> None:
        self.assertEqual([], self.signs(
            [*CURRENT, *steady(ONSET, ONSET + 120, 1, host='cmp2')],
            [*QUIET, *QUIET, *QUIET]))

    def test_what_another_service_says_is_new(self) -> None:
        self.assertEqual([('new', 1)], self.signs(
            [*CURRENT, row(ONSET, 1, binary='nova-api')], QUIET))

    def test_rare(self) -> None:
        self.assertEqual([('rare', 2)], self.signs(
            [*CURRENT, row(ONSET + 5, 2)], [*QUIET, row(77, 2)]))

    def test_nothing_is_rare_after_a_short_quiet(self) -> None:
        self.assertEqual([], self.signs(
            [*CURRENT, row(ONSET + 5, 2)], [*QUIET[-5:], row(590, 2)]))

    def test_burst(self) -> None:
        symptom, = self.detect([*CURRENT, row(ONSET + 5, 1, 100)], QUIET)
        self.assertEqual('burst', symptom['sign'])
        self.assertIn('112 times', symptom['why'])

    def test_level(self) -> None:
        for level in (40, 50):
            self.assertIn(('level', 2), self.signs(
                [*CURRENT, row(ONSET, 2, level=level)], QUIET))
        self.assertNotIn(('level', 2), self.signs(
            [*CURRENT, row(ONSET, 2, level=30)], QUIET))

    def test_habitual_errors_say_less(self) -> None:
        habit, = self.detect(steady(ONSET, ONSET + 120, 2, level=40),
                             steady(0, ONSET, 2, level=40))
        fresh = max(self.detect([*CURRENT, row(ONSET, 2, level=40)], QUIET),
                    key=lambda s: float(s['score']))
        self.assertGreater(fresh['score'], habit['score'])

    def test_status(self) -> None:
        for status, found in ((200, 0), (404, 0), (500, 1), (503, 1)):
            signs = self.signs(
                [*CURRENT, row(ONSET, 1, status=status)], QUIET)
            self.assertEqual(found, signs.count(('status', 1)), str(status))

    def test_latency(self) -> None:
        usual = steady(0, ONSET, 1, latency=0.5)
        for seconds, found in ((0.5, 0), (1.4, 0), (1.6, 1), (60.0, 1)):
            signs = self.signs(
                steady(ONSET, ONSET + 120, 1, latency=seconds), usual)
            self.assertEqual(found, signs.count(('latency', 1)),
                             str(seconds))

    def test_fast_is_never_slow(self) -> None:
        self.assertEqual([], self.signs(
            steady(ONSET, ONSET + 120, 1, latency=0.9),
            steady(0, ONSET, 1, latency=0.001)))

    def test_no_reference(self) -> None:
        self.assertEqual([('level', 2), ('status', 3)], self.signs(
            [*CURRENT, row(ONSET, 2, level=40), row(ONSET, 3, status=500),
             row(ONSET, 4, latency=99.0)], []))

    def test_worst_first(self) -> None:
        scores = [s['score'] for s in self.detect(
            [*CURRENT, row(ONSET, 2), row(ONSET, 3, level=50),
             row(ONSET, 4, status=500)], QUIET)]
        self.assertEqual(sorted(scores, reverse=True), scores)


class TestCounts(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.detector = counts.CountsDetector()
        #: Another process, by which it is known how long the logs are.
        self.other: dict[str, Any] = {'binary': 'nova-api', 'host': 'ctl1'}
        self.quiet = [*QUIET, *steady(0, ONSET, 9, **self.other)]
        self.after = steady(ONSET, ONSET + 120, 9, **self.other)

    def test_nothing(self) -> None:
        self.assertEqual([], self.detect([], []))
        self.assertEqual([], self.detect([], QUIET))
        self.assertEqual([], self.detect(CURRENT, []))

    def test_the_usual(self) -> None:
        self.assertEqual([], self.detect([*CURRENT, *self.after],
                                         self.quiet))

    def test_silence_to_the_end(self) -> None:
        symptom, = self.detect([*CURRENT[:2], *self.after], self.quiet)
        self.assertEqual(
            ('silence', 'nova-compute', 'cmp1', None),
            tuple(symptom[k] for k in ('sign', 'binary', 'host',
                                       'template')))
        self.assertEqual((samples.at(ONSET + 10), samples.at(ONSET + 110)),
                         (symptom['since'], symptom['until']))

    def test_silence_from_the_onset(self) -> None:
        symptom, = self.detect(self.after, self.quiet)
        self.assertEqual(samples.at(ONSET - 10), symptom['since'])

    def test_silence_and_back(self) -> None:
        symptom, = self.detect(
            [*CURRENT[:2], *CURRENT[-2:], *self.after], self.quiet)
        self.assertEqual((samples.at(ONSET + 10), samples.at(ONSET + 100)),
                         (symptom['since'], symptom['until']))

    def test_who_is_often_silent(self) -> None:
        self.assertEqual([], self.detect(
            self.after, [*steady(0, ONSET, 1, 90),
                         *steady(0, ONSET, 9, **self.other)]))

    def test_who_says_little(self) -> None:
        self.assertEqual([], self.detect(
            self.after, [row(5), row(500),
                         *steady(0, ONSET, 9, **self.other)]))

    def test_notifications_are_no_sign_of_life(self) -> None:
        told = steady(ONSET, ONSET + 120, 5, kind='notification')
        self.assertEqual([('silence', None)], self.signs(
            [*told, *self.after], self.quiet))

    def test_mixture(self) -> None:
        symptom, = self.detect(
            steady(ONSET, ONSET + 120, 2, count=10),
            steady(0, ONSET, 1, count=10))
        self.assertEqual(('mixture', 'nova-compute'),
                         (symptom['sign'], symptom['binary']))
        self.assertIn('divergence 1.00', symptom['why'])

    def test_same_mixture_of_another_amount(self) -> None:
        self.assertEqual([], self.detect(
            [*steady(ONSET, ONSET + 120, 1, count=50),
             *steady(ONSET, ONSET + 120, 2, count=100)],
            [*steady(0, ONSET, 1, count=5),
             *steady(0, ONSET, 2, count=10)]))

    def test_few_lines_are_no_mixture(self) -> None:
        self.assertEqual([], self.detect(
            steady(ONSET, ONSET + 120, 2), steady(0, ONSET, 1)))

    def test_baseline_of_another_day(self) -> None:
        day = 86400
        later = [r | {k: samples.at(day + s) for k in (
            'window', 'first', 'last')} for r, s in zip(
                CURRENT, range(0, 120, 10), strict=True)]
        self.assertEqual([], self.detect(later, QUIET))
