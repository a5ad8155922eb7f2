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

from collections.abc import Sequence
import datetime
from typing import Any
from unittest import mock

import fixtures

from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import lstm
from openstack_rca.engine import active
from openstack_rca.engine import learned
from openstack_rca.engine import local
from openstack_rca.store import base as stores
from openstack_rca.tests.unit.detectors import runs
from openstack_rca.tests.unit.engine import test_active
from openstack_rca.tests.unit.engine import tiny

T = datetime.datetime(2026, 11, 20, 3)
LINE = ('{:%Y-%m-%d %H:%M:%S}.{:03d} 100 {} nova.compute.manager '
        '[req-11111111-1111-1111-1111-111111111111 - - - - -] {}\n')


def at(second: float) -> datetime.datetime:
    """A moment of the logs."""
    return T + datetime.timedelta(seconds=second)


def lines(seconds: Sequence[float], text: str = 'Took a while.',
          level: str = 'INFO') -> str:
    """Lines of nova-compute at some moments."""
    return ''.join(LINE.format(at(s), round(s * 1000) % 1000, level, text)
                   for s in seconds)


class Strange(tiny.TinyDetector):
    """Knows no cloud before it has settled there."""

    def __init__(self, mean: float = 0.0, seed: int = 0) -> None:
        super().__init__(mean, seed)
        self.normal: list[Any] = []

    def knows(self, recording: detectors.Recording) -> bool:
        """Whether it has settled."""
        return bool(self.normal)

    def settle(self, normal: Sequence[detectors.Recording],
               settings: detectors.Settings) -> None:
        """Remember what it was given."""
        if self.normal:
            raise AssertionError('It was not as it was trained.')
        self.normal = list(normal)


class LearnedCase(test_active.ActiveCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(learned.__name__))

    def store(self, text: str) -> stores.Store:
        """The events of a log."""
        folder = self.tmp / 'logs'
        folder.mkdir(exist_ok=True)
        (folder / 'nova-compute.log').write_text(text)
        return local.open_folder(folder, cache=False).store

    def learned(self, mean: float = 0.0,
                made: type[detectors.Detector] = tiny.TinyDetector
                ) -> learned.Learned:
        """A detector with a model."""
        return learned.Learned(active.Driver('tiny', made), self.keep(mean))


class TestTimes(LearnedCase):

    def test_minutes(self) -> None:
        store = self.store(lines([5, 61, 62, 130, 250, 299]))
        self.assertEqual(
            [(at(0), at(60)), (at(60), at(120)), (at(120), at(180)),
             (at(240), at(300))],
            [(m.query.since - learned.TICK, m.query.until)  # type: ignore
             for m in learned.minutes(store, at(0) + learned.TICK, at(300))])
        # Only whole ones, counted from the end.
        self.assertEqual(
            [(at(10), at(70)), (at(70), at(130))],
            [(m.query.since - learned.TICK, m.query.until)  # type: ignore
             for m in learned.minutes(store, at(0) + learned.TICK, at(130))])
        self.assertEqual([], list(learned.minutes(store, at(400), at(900))))

    def test_minutes_leave_nothing_out(self) -> None:
        seconds = [n * 0.7 for n in range(900)]
        store = self.store(lines(seconds))
        until = at(seconds[-1])
        parts = learned.minutes(store, until - 10 * learned.MINUTE
                                + learned.TICK, until)
        found = [store.query(p.query).height for p in parts]
        self.assertEqual(10, len(found))
        self.assertEqual(
            sum(at(s) > until - 10 * learned.MINUTE for s in seconds),
            sum(found))

    def test_loud_minutes_are_not_normal(self) -> None:
        seconds = range(0, 1200, 5)
        store = self.store(lines(seconds) + lines(
            [330], 'The disk is on fire', 'ERROR'))
        found = [m.query.until for m in learned.normal(store, at(1200))]
        self.assertEqual([at(n) for n in range(0, 1201, 60) if n != 360],
                         found)

    def test_two_hours_at_most(self) -> None:
        store = self.store(lines(range(0, 3 * 3600, 30)))
        found = learned.normal(store, at(3 * 3600))
        self.assertEqual(120, len(found))
        self.assertEqual(120, len({m.group for m in found}))


class TestLearned(LearnedCase):

    def test_one_that_knows_this_cloud(self) -> None:
        store = self.store(lines(range(0, 60, 5)))
        one = self.learned(2000)
        self.assertTrue(one.prepare(store, at(60)))
        found = one.judge(store, at(0), at(20))
        self.assertEqual(['model'], found['sign'].to_list())
        self.assertIn('knows what is normal here', self.log.output)

    def test_no_alarm(self) -> None:
        store = self.store(lines(range(0, 60, 5)))
        one = self.learned(5)
        self.assertTrue(one.judge(store, at(0), at(20)).is_empty())

    def test_silent_until_it_has_settled(self) -> None:
        store = self.store(lines(range(0, 1500, 5)))
        one = self.learned(2000, Strange)
        self.assertFalse(one.prepare(store, at(-100)))
        self.assertEqual('', self.log.output)
        self.assertFalse(one.prepare(store, at(590)))
        self.assertIn('is silent until', self.log.output)
        # It looks again once a minute.
        with mock.patch.object(learned, 'normal', autospec=True) as asked:
            self.assertFalse(one.prepare(store, at(649)))
            self.assertFalse(asked.called)
        self.assertTrue(one.prepare(store, at(650)))
        self.assertIn('learned what is normal here, from 10', self.log.output)
        self.assertEqual(
            at(590), one._detector.normal[-1].query.until)  # type: ignore
        before = one._detector
        # Ten minutes are little: it learns from twice as many when there are.
        self.assertTrue(one.prepare(store, at(650 + 599)))
        self.assertIs(before, one._detector)
        self.assertTrue(one.prepare(store, at(650 + 600)))
        self.assertIn('learned what is normal here, from 20', self.log.output)

    def test_it_settles_again(self) -> None:
        store = self.store(lines(range(0, 9 * 3600, 30)))
        one = self.learned(2000, Strange)
        self.assertTrue(one.prepare(store, at(7200)))
        first = one._detector
        self.assertTrue(one.prepare(store, at(7200 + 6 * 3600 - 1)))
        self.assertIs(first, one._detector)
        self.assertTrue(one.prepare(store, at(7200 + 6 * 3600)))
        self.assertIsNot(first, one._detector)
        self.assertEqual(120, len(
            one._detector.normal))  # type: ignore[attr-defined]

    def test_too_little_for_the_detector(self) -> None:
        store = self.store(lines(range(0, 1500, 5)))
        one = self.learned(2000, Strange)
        with mock.patch.object(Strange, 'settle', autospec=True, side_effect=(
                exception.InvalidInput(reason='Not enough.'))):
            self.assertFalse(one.prepare(store, at(900)))
        self.assertIn('Not enough.', self.log.output)
        self.assertTrue(one.prepare(store, at(960)))

    def test_model_that_cannot_be_used(self) -> None:
        driver = active.Driver('tiny', tiny.TinyDetector)
        self.assertRaises(exception.ModelError, learned.Learned, driver,
                          '20261121T030000Z-1a2b3c4d')


class TestLstm(LearnedCase):

    def test_weights_without_labels(self) -> None:
        """The default detector settles, and sees what is missing."""
        def folder(name: str, made: list[runs.Run]) -> list[
                detectors.Recording]:
            return runs.recordings(self.tmp / name, made)

        detector = lstm.LstmDetector()
        detector.fit(folder('trained', [runs.Run(n) for n in range(10)]),
                     detectors.Settings())
        arrays, told = detector.state()
        self.replace(runs, 'APART', 60.0)
        self.replace(runs, 'REQUESTS', 11)
        minutes = [runs.Run(n) for n in range(15)]
        minutes.append(runs.Run(15, silent=[2, 3], stuck=[2, 3]))
        parts = folder('watched', minutes)
        self.replace(active, 'load', lambda *args: (
            lstm.LstmDetector.from_state(arrays, told)))
        self.replace(lstm.LstmDetector, 'knows', lambda *args: False)
        one = learned.Learned(active.Driver('lstm', lstm.LstmDetector), 'v1')
        end = runs.T + datetime.timedelta(seconds=15 * 60)
        self.assertTrue(one.prepare(parts[0].store, end + learned.MINUTE))
        good = one.judge(parts[0].store, end - learned.MINUTE, end)
        self.assertTrue(good.is_empty(), good)
        bad = one.judge(parts[0].store, end + learned.TICK,
                        end + learned.MINUTE)
        self.assertEqual({'model'}, set(bad['sign']))
        self.assertIn('nova-api', bad['binary'].to_list())


