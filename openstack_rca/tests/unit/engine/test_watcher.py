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

import collections
import datetime
import json
import os
import subprocess
import sys
import time
from typing import Any
from unittest import mock

import fixtures
import polars as pl

from openstack_rca import exception
from openstack_rca.analysis import alarms
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import counts
from openstack_rca.detectors import novelty
from openstack_rca.engine import learned
from openstack_rca.engine import state
from openstack_rca.engine import watcher
from openstack_rca.store import base as stores
from openstack_rca.tests.unit.engine import test_learned
from openstack_rca.tests.unit.engine import tiny

at = test_learned.at
lines = test_learned.lines


def rounded(moment: datetime.datetime) -> datetime.datetime:
    """The whole second that a window ends at, or the tick before it."""
    return (moment + learned.TICK).replace(microsecond=0)


class Windows(tiny.TinyDetector):
    """Says which times it was asked about."""

    asked: list[tuple[datetime.datetime, datetime.datetime]] = []

    def score(self, recording: detectors.Recording) -> float:
        """Never an alarm."""
        query = recording.query
        assert query.since is not None and query.until is not None
        self.asked.append((query.since - learned.TICK, query.until))
        return 0.0


class WatcherCase(test_learned.LearnedCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(
            'openstack_rca.engine', format='%(levelname)s %(message)s'))
        self.folder = self.tmp / 'one'
        self.folder.mkdir()
        self.told: list[dict[str, Any]] = []
        #: Whether the engine writes down at once what it is told.
        self.writes = True
        # Those of other tests do not tell of this one.
        self.replace(Windows, 'asked', [])
        #: How often each detector judged.
        self.runs: collections.Counter[str] = collections.Counter()

    def write(self, text: str, name: str = 'nova-compute.log') -> None:
        """Add to a log, and have it read."""
        with (self.folder / name).open('a') as log:
            log.write(text)
        self.config('sources', log_dirs={'a': str(self.folder)})
        self.read()

    def started(self, **versions: str) -> watcher.Watcher:
        """A process that watches."""

        def tell(message: dict[str, Any]) -> None:
            found = message.get('symptoms') or []
            self.told += found
            if self.writes:
                made.written += len(found)
            for name, (runs, seconds) in message.get(
                    'metrics', {}).get('detectors', {}).items():
                self.assertLess(0, seconds)
                self.runs[name] += runs

        made = watcher.Watcher(state.sources(), tell)
        self.addCleanup(made.close)
        made.wanted = versions
        return made

    def look(self, made: watcher.Watcher) -> int:
        """Judge all that there is.

        :returns: how many looks it took
        """
        for number in range(1, 100):
            if not made.look():
                return number
        raise AssertionError('It never ends.')

    def until(self) -> datetime.datetime:
        """How far was judged, as the next process finds it."""
        mark = state.read_mark()
        assert mark is not None
        self.assertEqual(0, mark.tries)
        return mark.until


class TestWindows(WatcherCase):

    def setUp(self) -> None:
        super().setUp()
        self.replace(tiny, 'TinyDetector', Windows)
        self.version = self.keep(0)

    def test_history_is_left_out(self) -> None:
        self.config('detectors', watch_lookback=150)
        self.write(lines(range(0, 1000, 5)))
        made = self.started(tiny=self.version)
        self.look(made)
        self.assertEqual(
            [(at(850), at(910)), (at(910), at(970)), (at(935), at(995))],
            [(rounded(a), rounded(b)) for a, b in Windows.asked])
        self.assertEqual(at(995), self.until())

    def test_nothing_before_the_first_models(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started()
        made.wanted = None
        self.assertFalse(made.look())
        self.assertIsNone(state.read_mark())

    def test_a_step_is_ten_seconds(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        self.look(made)
        Windows.asked.clear()
        self.write(lines([100, 104]))
        self.look(made)
        self.assertEqual([], Windows.asked)
        self.write(lines([105]))
        self.look(made)
        self.assertEqual([(at(45), at(105))], Windows.asked)
        # What comes last need not wait for ever.
        self.write(lines([106]))
        self.look(made)
        self.assertEqual(1, len(Windows.asked))
        self.look(made)
        self.assertEqual((at(46), at(106)), Windows.asked[-1])
        self.look(made)
        self.assertEqual(2, len(Windows.asked))

    def test_slow_judging_takes_longer_steps(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        moments = iter(range(0, 10000, 13))
        with mock.patch.object(time, 'monotonic',
                               lambda: next(moments)):
            self.look(made)
        Windows.asked.clear()
        self.write(lines([120]))
        self.look(made)
        self.assertEqual([], Windows.asked)
        self.write(lines([121]))
        self.look(made)
        self.assertEqual([(at(61), at(121))], Windows.asked)

    def test_a_burst_leaves_nothing_out(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        self.look(made)
        Windows.asked.clear()
        seconds = [100 + n * 0.37 for n in range(2000)]
        self.write(lines(seconds))
        self.assertGreater(self.look(made), 1)
        self.assertEqual(at(100), rounded(Windows.asked[0][0]))
        for (since, until), (after, _) in zip(
                Windows.asked, Windows.asked[1:], strict=False):
            self.assertEqual(learned.MINUTE, until - since)
            self.assertLessEqual(after, until)
        self.assertEqual(self.until(), Windows.asked[-1][1])
        self.assertLess(at(seconds[-1]) - self.until(), learned.TICK * 1000)

    def test_a_window_has_no_more_events_than_can_be_held(self) -> None:
        self.replace(watcher, '_EVENTS', 100)
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        self.look(made)
        Windows.asked.clear()
        seconds = [100 + n * 0.2 for n in range(600)]
        self.write(lines(seconds))
        self.look(made)
        last = at(100)
        for since, until in Windows.asked:
            self.assertLessEqual(rounded(since), last)
            self.assertLessEqual(sum(
                since < at(s) <= until for s in seconds), 100)
            last = rounded(until)
        self.assertEqual(at(219), last)

    def test_where_nothing_was_logged_nothing_is_judged(self) -> None:
        self.write(lines([0]))
        made = self.started(tiny=self.version)
        self.look(made)
        Windows.asked.clear()
        self.write(lines([5000, 10_000]))
        self.look(made)
        self.assertEqual(2, len(Windows.asked))
        for second, (since, until) in zip((5000, 10_000), Windows.asked,
                                          strict=True):
            self.assertTrue(since < at(second) <= until)

    def test_the_next_process_goes_on(self) -> None:
        self.write(lines(range(0, 100, 5)))
        self.look(self.started(tiny=self.version))
        Windows.asked.clear()
        self.look(self.started(tiny=self.version))
        self.assertEqual([], Windows.asked)
        self.write(lines(range(100, 400, 5)))
        self.look(self.started(tiny=self.version))
        self.assertEqual(at(100), rounded(Windows.asked[0][0]))
        self.assertEqual(at(395), self.until())

    def test_a_window_that_ended_no_process_is_begun_anew(self) -> None:
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        self.look(self.started())
        kept = self.until()
        self.write(lines([620], 'The disk is on fire', 'ERROR'))
        self.writes = False
        # Each is killed before the engine has written anything down.
        for _ in range(5):
            self.told.clear()
            self.look(self.started())
            self.assertEqual(['alarms', 'novelty'],
                             [s['detector'] for s in self.told])
            self.assertEqual(kept, self.until())

    def test_a_window_behind_one_that_is_not_written_yet(self) -> None:
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        self.look(self.started())
        self.write(lines([620], 'The disk is on fire', 'ERROR')
                   + lines([900], 'The roof is on fire', 'ERROR'))
        real = watcher.Watcher._judge

        class End(BaseException):
            pass

        def judge(made: watcher.Watcher, store: stores.Store,
                  window: Any, ready: Any) -> None:
            if window.end >= at(900):
                raise End
            real(made, store, window, ready)

        self.replace(watcher.Watcher, '_judge', judge)
        self.writes = False
        self.assertRaises(End, self.started().look)
        kept = []
        for _ in range(3):
            made = self.started()
            with self.assertRaises(End):
                for _ in range(10):
                    made.look()
                    # Nothing is begun before that.
                    made.look()
                    made.written = made._told_symptoms
            mark = state.read_mark()
            assert mark is not None
            kept.append((mark.until, mark.tries))
        self.assertEqual([(at(630) - learned.TICK, n) for n in (1, 2, 3)],
                         kept)
        self.writes = True
        self.look(self.started())
        self.assertIn('is not judged: 3 processes', self.log.output)

    def test_how_far_it_came_waits_for_the_database(self) -> None:
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        self.look(made)
        kept = self.until()
        self.writes = False
        self.write(lines([620], 'The disk is on fire', 'ERROR'))
        made.look()
        told = len(self.told)
        self.assertLess(0, told)
        # Nobody has written it down.
        self.assertEqual(kept, self.until())
        made.written = told - 1
        made.keep()
        self.assertEqual(kept, self.until())
        again = self.started()
        again.look()
        self.assertEqual(self.told[:told], self.told[told:])
        made.written = told
        made.keep()
        self.assertEqual(at(620), self.until())

    def test_it_waits_for_the_database(self) -> None:
        self.replace(watcher, '_MOST_WAITING', 0)
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        self.look(made)
        self.writes = False
        self.write(lines([620], 'The disk is on fire', 'ERROR'))
        made.look()
        told = len(self.told)
        self.write(lines([640], 'The roof is on fire', 'ERROR'))
        for _ in range(3):
            self.assertFalse(made.look())
        self.assertEqual(told, len(self.told))
        made.written += told
        made.look()
        self.assertLess(told, len(self.told))
        self.assertIn(at(640).isoformat(), [s['since'] for s in self.told])

    def test_what_ends_processes_is_left_out(self) -> None:
        self.write(lines(range(0, 100, 5)))
        self.look(self.started(tiny=self.version))
        self.write(lines(range(100, 200, 5)))
        Windows.asked.clear()

        class End(BaseException):
            pass

        with mock.patch.object(Windows, 'score', autospec=True,
                               side_effect=End):
            for _ in range(3):
                self.assertRaises(End, self.started(
                    tiny=self.version).look)
        self.look(self.started(tiny=self.version))
        self.assertIn('is not judged: 3 processes', self.log.output)
        self.assertEqual([(at(135), at(195))], Windows.asked)

    def test_a_full_disk_ends_no_process(self) -> None:
        self.config('detectors', enabled=['tiny', 'novelty'])
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        self.look(made)
        kept = self.until()
        self.write(lines(range(100, 200, 5))
                   + lines([197], 'The disk is on fire', 'ERROR'))
        Windows.asked.clear()
        with mock.patch.object(os, 'fsync', autospec=True,
                               side_effect=OSError(28, 'No space left')):
            for _ in range(5):
                self.assertRaises(exception.StoreError, made.look)
        # These need no room.
        self.assertEqual({'alarms'}, {s['detector'] for s in self.told})
        self.assertEqual(([], kept), (Windows.asked, self.until()))
        self.look(made)
        self.assertNotIn('processes ended that tried', self.log.output)
        self.assertEqual(at(100), rounded(Windows.asked[0][0]))
        self.assertEqual(at(197), self.until())

    def test_clocks_that_are_ahead(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        self.look(made)
        self.write('2999-01-01 00:00:00.000 1 INFO nova.x [-] far away\n')
        self.write(lines([120]))
        self.look(made)
        self.assertEqual(at(120), self.until())
        self.look(made)
        self.assertEqual(at(120), self.until())

    def test_a_clock_that_was_always_ahead(self) -> None:
        self.write('2999-01-01 00:00:00.000 1 INFO nova.x [-] far away\n')
        self.look(self.started(tiny=self.version))
        self.assertIsNone(state.read_mark())

    def test_no_logs(self) -> None:
        self.config('sources', log_dirs={'a': str(self.folder)})
        self.read()
        self.assertFalse(self.started().look())

    def test_one_snapshot(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started(tiny=self.version)
        for number in range(4):
            self.write(lines([100 + 20 * number]))
            self.look(made)
        self.assertEqual(1, len(os.listdir(state.snapshots())))


class TestSymptoms(WatcherCase):

    def found(self, detector: str) -> list[dict[str, Any]]:
        """What a detector told."""
        return [s for s in self.told if s['detector'] == detector]

    def test_classical(self) -> None:
        self.config('detectors', enabled=['novelty', 'counts'])
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        self.look(made)
        self.assertEqual([], self.told)
        self.write(lines([600, 620], 'The disk is on fire', 'ERROR'))
        self.look(made)
        row = json.loads(json.dumps(self.found('novelty')[0]))
        self.assertEqual(
            ('novelty', None, 'nova', 'nova-compute', 'level', 0.8),
            tuple(row[n] for n in ('detector', 'version', 'service',
                                   'binary', 'sign', 'score')))
        self.assertEqual(at(600).isoformat(), row['since'])
        self.assertEqual(at(620).isoformat(), row['until'])
        self.assertRegex(row['template'], '^[0-9a-f]{16}$')
        # The weak ones do not count.
        self.assertEqual({'level'}, {s['sign'] for s in self.told})

    def test_a_short_reference_tells_nothing(self) -> None:
        self.write(lines(range(0, 100, 5)))
        made = self.started()
        self.look(made)
        self.write(lines([120], 'The disk is on fire', 'ERROR'))
        self.look(made)
        self.assertEqual([], self.found('novelty'))
        # In history it is no symptom either.
        self.told.clear()
        self.config('detectors', watch_lookback=0)
        os.unlink(self.tmp / 'state' / 'watched.json')
        self.write(lines(range(125, 1000, 5)))
        self.write(lines([1001], 'The disk is on fire', 'ERROR'))
        self.look(self.started())
        self.assertEqual([], self.told)

    def test_reference_is_kept_for_a_minute(self) -> None:
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        self.look(made)
        real = made._reference
        made._before = None
        asked = []
        profile = detectors.profile

        def count(events: pl.LazyFrame) -> pl.DataFrame:
            asked.append(1)
            return profile(events)

        self.replace(detectors, 'profile', count)
        store = made._snapshots.whole()
        for second in (500, 510, 559.9, 560, 600):
            found = real(store, at(second))
            self.assertEqual(0, found.filter(
                pl.col('last') >= at(second)).height)
        self.assertEqual(2, len(asked))
        real(store, at(100))
        self.assertEqual(3, len(asked))

    def test_learned(self) -> None:
        version = self.keep(10_000)
        self.write(lines(range(0, 600, 5)))
        made = self.started(tiny=version)
        self.look(made)
        found = self.found('tiny')
        self.assertEqual({(version, 'model', 'so many events')}, {
            (s['version'], s['sign'], s['why']) for s in found})
        self.assertIn(f'Watches with the model tiny/{version}',
                      self.log.output)

    def test_another_model_is_followed(self) -> None:
        quiet, loud = self.keep(0), self.keep(10_000)
        self.write(lines(range(0, 600, 5)))
        made = self.started(tiny=quiet)
        self.look(made)
        kept = made._learned[0]
        made.wanted = {'tiny': quiet, 'other': 'x'}
        self.look(made)
        self.assertIs(kept, made._learned[0])
        self.assertEqual([], self.told)
        made.wanted = {'tiny': loud}
        self.write(lines([620]))
        self.look(made)
        self.assertEqual([loud], [s['version'] for s in self.told])
        made.wanted = {}
        self.write(lines([640]))
        self.look(made)
        self.assertEqual(1, len(self.told))
        self.assertIn('There is no model', self.log.output)

    def test_damaged_model(self) -> None:
        version = self.keep(10_000)
        self.damage(version)
        self.write(lines(range(0, 600, 5)))
        made = self.started(tiny=version)
        self.look(made)
        self.write(lines([620], 'The disk is on fire', 'ERROR'))
        self.look(made)
        self.assertEqual(['alarms', 'novelty'],
                         [s['detector'] for s in self.told])
        self.assertEqual(1, self.log.output.count('checksum'))

    def test_model_that_comes_later(self) -> None:
        self.write(lines(range(0, 600, 5)))
        version = self.keep(10_000)
        folder = self.tmp / 'state' / 'models' / 'tiny' / version
        folder.rename(self.tmp / version)
        made = self.started(tiny=version)
        self.look(made)
        (self.tmp / version).rename(folder)
        self.write(lines([620]))
        self.look(made)
        self.assertEqual([], self.told)
        self.replace(watcher, '_AGAIN', -1.0)
        made._again = 0.0
        self.write(lines([640]))
        self.look(made)
        self.assertEqual(1, len(self.told))
        self.assertEqual(1, self.log.output.count('does not watch'))

    def test_a_detector_with_a_bug(self) -> None:
        version = self.keep(10_000)
        self.config('detectors', enabled=['tiny', 'novelty', 'counts'])
        self.write(lines(range(0, 600, 5)))
        made = self.started(tiny=version)
        with mock.patch.object(tiny.TinyDetector, 'score', autospec=True,
                               side_effect=KeyError), \
                mock.patch.object(counts.CountsDetector, 'detect',
                                  autospec=True,
                                  side_effect=ZeroDivisionError):
            self.look(made)
            self.write(lines([620], 'The disk is on fire', 'ERROR'))
            self.look(made)
        self.assertEqual(['alarms', 'novelty'],
                         [s['detector'] for s in self.told])
        for name in ('tiny', 'counts'):
            self.assertEqual(1, self.log.output.count(
                f'The detector {name} has a bug'))
        self.assertEqual(at(620), self.until())

    def test_an_alarm_of_one_record(self) -> None:
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        self.look(made)
        # Before there is a window to judge.
        self.write(lines([602], 'The disk is on fire', 'ERROR'))
        self.look(made)
        row = json.loads(json.dumps(self.told))[0]
        self.assertEqual(('alarms', at(602).isoformat(), True), (
            row['detector'], row['since'], row['opens']))
        self.assertEqual(at(595), self.until())
        self.look(made)
        self.assertEqual(['alarms', 'novelty'],
                         [s['detector'] for s in self.told])

    def test_told_in_pieces(self) -> None:
        self.replace(watcher, '_TOLD_AT_ONCE', 2)
        pieces: list[int] = []
        made = watcher.Watcher([], lambda message: pieces.append(
            len(message['symptoms'])))
        made._send([{'why': str(n)} for n in range(5)])
        made._send([])
        self.assertEqual([2, 2, 1], pieces)

    def test_what_detectors_took(self) -> None:
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        self.look(made)
        made.live()
        self.runs.clear()
        self.write(lines([620], 'The disk is on fire', 'ERROR'))
        self.look(made)
        made.live()
        self.assertEqual({'alarms': 1, 'novelty': 1}, self.runs)

    def test_a_fast_detector_takes_time_too(self) -> None:
        told: list[dict[str, Any]] = []
        made = watcher.Watcher([], told.append)
        with mock.patch.object(time, 'perf_counter', autospec=True,
                               side_effect=(1.0, 1.00002)):
            made._guard('swift', None, lambda: None)
        made.live()
        (runs, seconds), = told[0]['metrics']['detectors'].values()
        self.assertEqual(1, runs)
        self.assertAlmostEqual(0.00002, seconds)

    def test_sign_of_life(self) -> None:
        told: list[dict[str, Any]] = []
        made = watcher.Watcher([], told.append)
        with mock.patch.object(
                time, 'monotonic', autospec=True) as clock:
            for moment in (100.0, 101.0, 104.9, 105.0, 106.0):
                clock.return_value = moment
                made.live()
        self.assertEqual([{'metrics': {'detectors': {}}}] * 2, told)

    def test_alarms_with_a_bug(self) -> None:
        self.config('detectors', enabled=['novelty'])
        self.write(lines(range(0, 600, 5)))
        made = self.started()
        with mock.patch.object(alarms.Alarms, 'look', autospec=True,
                               side_effect=ZeroDivisionError):
            self.look(made)
            self.write(lines([620], 'The disk is on fire', 'ERROR'))
            self.look(made)
        self.assertEqual(['novelty'], [s['detector'] for s in self.told])
        self.assertEqual(1, self.log.output.count(
            'The detector alarms has a bug'))

    def test_no_more_than_so_many(self) -> None:
        self.write(lines(range(0, 600, 5)))
        many = pl.DataFrame([{
            'service': None, 'binary': f'b{n}', 'host': None,
            'template': None, 'since': at(n), 'until': at(n), 'sign': 'new',
            'score': 0.7 + n / 1000, 'why': 'x'} for n in range(100)],
            schema=detectors.SYMPTOMS)
        self.config('detectors', enabled=['novelty'])
        with mock.patch.object(novelty.NoveltyDetector, 'detect',
                               autospec=True, return_value=many):
            made = self.started()
            made._equip({})
            made._judge(self._store(), watcher._Window(
                at(599), datetime.datetime.min), [])
        self.assertEqual([f'b{n}' for n in range(99, 79, -1)],
                         [s['binary'] for s in self.told])

    def _store(self) -> stores.Store:
        """What the reader stored."""
        made = self.started()
        made._snapshots.refresh()
        return made._snapshots.whole()


class TestProcess(WatcherCase):

    def test_life(self) -> None:
        self.write(lines(range(0, 600, 5)) + lines(
            [610], 'The disk is on fire', 'ERROR'))
        path = self.tmp / 'rca.conf'
        path.write_text('[DEFAULT]\nhost = engine-1\n'
                        f'state_path = {self.tmp}/state\n'
                        f'[sources]\nlog_dirs = a:{self.folder}\n'
                        '[detectors]\nenabled = novelty\n'
                        'watch_interval = 0.1\n')
        made = subprocess.Popen(
            [sys.executable, '-m', 'openstack_rca.engine.watcher',
             '--config-file', str(path)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(made.kill)
        assert made.stdin is not None and made.stdout is not None
        made.stdin.write(b'{"models":{}}\n')
        made.stdin.flush()
        found: list[str] = []
        while len(found) < 2:
            told = json.loads(made.stdout.readline())
            found += [s['detector'] for s in told.get('symptoms', ())]
        self.assertEqual(['alarms', 'novelty'], found)
        _, said = made.communicate()
        self.assertEqual(0, made.returncode)
        self.assertNotIn(b'Traceback', said)
        # It took its snapshot with it.
        self.assertEqual([], os.listdir(state.snapshots()))
