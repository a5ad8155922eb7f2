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
"""Tests of the evaluation of detectors that learn."""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import io
import json
import os
import pathlib
import random
import tarfile
from typing import Any
from typing import Self
from unittest import mock

import numpy as np

from openstack_rca import exception
from openstack_rca.cmd import manage
from openstack_rca.detectors import base as detectors
from openstack_rca.evaluation import charts
from openstack_rca.evaluation import crossval
from openstack_rca.evaluation import dataset
from openstack_rca.evaluation import metrics
from openstack_rca.evaluation import recordings
from openstack_rca.evaluation import tables
from openstack_rca.tests import base


class FakeDetector(detectors.LearnedDetector):
    """Its score rises with the share of harmed recordings it learned from.

    So it would tell whether it was shown the label of what it judges.
    """

    seen: list[tuple[list[str], list[str]]] = []

    def __init__(self) -> None:
        self._share = 0.0
        self._names: list[str] = []

    def fit(self, corpus: Sequence[detectors.Recording],
            settings: detectors.Settings,
            progress: detectors.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        if not corpus:
            raise exception.InvalidInput(reason='There is nothing.')
        self._share = sum(r.harmed is True for r in corpus) / len(corpus)
        self._names = [r.name for r in corpus]
        type(self).seen.append((self._names, []))
        return {}

    def score(self, recording: detectors.Recording) -> float:
        assert recording.harmed is None
        assert not recording.group
        type(self).seen[-1][1].append(recording.name)
        lines = recording.store.narrow(recording.query).collect().height
        return self._share / 2 + lines / 1000

    def explain(self, recording: detectors.Recording, score: float) -> Any:
        return detectors.no_symptoms()

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {}, {}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        return cls()


class OtherDetector(FakeDetector):
    """Cannot learn."""

    def fit(self, corpus: Sequence[detectors.Recording],
            settings: detectors.Settings,
            progress: detectors.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        raise exception.InvalidInput(reason='It never learns.')


def case(number: int) -> dict[str, Any]:
    """What is true of a case of the small dataset."""
    failure = number % 2 == 0
    return {'case_id': f'c{number}', 'group': f'g{number // 3}',
            'failure': failure, 'tier': 'A' if failure else (
                'N1_err' if number % 5 == 0 else 'N1'),
            'hard': failure and number % 4 == 0, 'silent': number == 6}


def write(folder: pathlib.Path, count: int = 18,
          truth: bool = True) -> pathlib.Path:
    """A small dataset."""
    (folder / 'logs').mkdir(parents=True)
    rows = [case(number) for number in range(count)]
    (folder / 'cases.jsonl').write_text(''.join(json.dumps({
        'case_id': row['case_id'], 'issue': None,
        'window': ['2026-11-21 02:00:00', '2026-11-21 02:59:59']}) + '\n'
        for row in rows))
    if truth:
        (folder / 'truth.jsonl').write_text(''.join(
            json.dumps(row) + '\n' for row in rows))
    for number, row in enumerate(rows):
        levels = ['INFO'] * (3 + number)
        if row['failure'] and not row['silent']:
            levels += ['ERROR'] * number
        # An ERROR before the window, which no figure may count.
        text = '2026-11-21 01:59:00.000 7 ERROR nova.api [-] early\n'
        text += ''.join(
            f'2026-11-21 02:{n:02}:00.000 7 {level} nova.api [-] said\n'
            for n, level in enumerate(levels))
        data = text.encode()
        path = folder / 'logs' / f'{row["case_id"]}.tar.xz'
        with tarfile.open(path, 'w:xz') as tar:
            member = tarfile.TarInfo('nova/nova-api.log')
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return folder


class FoldsTest(base.TestCase):
    """Cases are dealt by their groups."""

    def test_groups_are_never_split(self) -> None:
        rng = random.Random(1)
        groups = {f'c{n}': f'g{rng.randrange(40)}' for n in range(300)}
        dealt = crossval.folds(groups)
        self.assertEqual(sorted(groups), sorted(sum(dealt, [])))
        where: dict[str, set[int]] = {}
        for number, fold in enumerate(dealt):
            for name in fold:
                where.setdefault(groups[name], set()).add(number)
        self.assertEqual({1}, {len(found) for found in where.values()})
        sizes = [len(fold) for fold in dealt]
        self.assertLessEqual(max(sizes) - min(sizes), 15)
        self.assertEqual(dealt, crossval.folds(groups))

    def test_too_few_groups(self) -> None:
        error = self.assertRaises(exception.InvalidInput, crossval.folds,
                                  {'a': 'x', 'b': 'y', 'c': 'x'})
        self.assertIn('2 groups', str(error))


class MetricsTest(base.TestCase):
    """Figures mean what they say."""

    def test_average_precision_by_brute_force(self) -> None:
        rng = random.Random(2)
        for _ in range(50):
            scored = [(float(rng.randrange(8)), rng.random() < 0.4)
                      for _ in range(rng.randrange(1, 40))]
            positives = sum(positive for _, positive in scored)
            wanted = 0.0
            for bound in sorted({score for score, _ in scored}):
                above = [p for score, p in scored if score >= bound]
                step = sum(p for score, p in scored if score == bound)
                wanted += step / max(1, positives) * sum(above) / len(above)
            self.assertAlmostEqual(wanted,
                                   metrics.average_precision(scored))

    def test_recall_at_a_budget(self) -> None:
        rng = random.Random(3)
        cases = [metrics.Judged(
            f'g{n % 30}', n % 2 == 0, n % 4 == 0, False,
            'A' if n % 2 == 0 else ('N1', 'N2', 'N1_err')[n % 3],
            rng.random() + (n % 2 == 0) * 0.4, n % 7 == 0, n % 11 == 0)
            for n in range(300)]
        found = metrics.figures(cases, rounds=100)
        normal = sorted((c.score for c in cases if c.tier == 'N1'),
                        reverse=True)
        failures = [c for c in cases if c.failure]
        bound = normal[int(.05 * len(normal))]
        value = found['recall at 5 % false alarms, all']
        assert isinstance(value, tuple)
        self.assertAlmostEqual(
            sum(c.score > bound for c in failures) / 150, value[0])
        self.assertLessEqual(value[1], value[0])
        self.assertGreaterEqual(value[2], value[0])
        self.assertGreater(value[2], value[1])
        self.assertLessEqual(sum(s > bound for s in normal),
                             .05 * len(normal))
        # Nothing silent is there to be found.
        self.assertIsNone(found['recall at 5 % false alarms, silent'])
        alarmed = [c for c in cases if c.alarm
                   and (c.failure or c.tier == 'N1')]
        precision = sum(c.failure for c in alarmed) / len(alarmed)
        self.assertEqual(precision, found['precision'])
        for name, tier in (('false-alarm rate', 'N1'),
                           ('alarms on noisy harmless runs', 'N1_err')):
            some = [c.alarm for c in cases if c.tier == tier]
            self.assertEqual(sum(some) / len(some), found[name])

        loud = [c.alarm for c in cases if c.tier == 'N1_err' and c.loud]
        self.assertTrue(loud)
        self.assertEqual(sum(loud) / len(loud),
                         found['  those with an ERROR in the window'])

    def test_nothing_normal(self) -> None:
        found = metrics.figures([metrics.Judged(
            'g', True, False, False, 'A', 1.0, True)], rounds=10)
        self.assertIsNone(found['recall at 5 % false alarms, all'])
        self.assertIsNone(found['false-alarm rate'])
        self.assertIn(' - ', tables.table('t', {'x': found, 'y': found}))

    def test_plot(self) -> None:
        told = charts.plot({'<x>': metrics.curve([
            (1.0, True), (0.0, False)])}, 'recall', 'precision')
        self.assertIn('points="400.0,0.0 400.0,200.0"', told)
        self.assertIn('&lt;x&gt;', told)


class EvaluateTest(base.TestCase):
    """The command as a whole, with small detectors."""

    def setUp(self) -> None:
        super().setUp()
        FakeDetector.seen = []
        self.data = write(self.tmp / 'data')
        self.all = self.tmp / 'all'
        self.target = self.tmp / 'out.jsonl'
        patch = mock.patch.object(crossval, 'learners', lambda: {
            'lstm': FakeDetector, 'other': OtherDetector})
        patch.start()
        self.addCleanup(patch.stop)

    def _run(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            self.assertEqual(status, manage.run([
                'evaluate', 'detection', str(self.data), '--output',
                str(self.target), '--jobs', '1', *arguments]),
                stderr.getvalue())
        self.assertNotIn('Traceback', stderr.getvalue())
        return stdout.getvalue(), stderr.getvalue()

    def _all(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        return self._run('--all-output', str(self.all), *arguments,
                         status=status)

    def _written(self, path: pathlib.Path | None = None) -> dict[str, Any]:
        return {row['case_id']: row for row in map(
            json.loads, (path or self.target).read_text().splitlines())}

    def test_cross_validation(self) -> None:
        told, complaints = self._all()
        self.assertIn('5 folds, 18 cases', told)
        self.assertIn('fold 1', told)
        # c5 and c15 are noisy by their tier, but not in their window.
        self.assertRegex(told, r'noisy harmless runs +0\.000')
        self.assertRegex(told, r'those with an ERROR in the window +-')
        self.assertIn('other: It never learns.', complaints)
        self.assertTrue(told.endswith('\nother  It never learns.\n'))
        self.assertRegex(told, r'from fault to alarm, median +-')
        self.assertEqual([f'c{n}' for n in range(18)],
                         list(self._written()))
        self.assertEqual(5, len(FakeDetector.seen))
        groups = {row['case_id']: row['group']
                  for row in map(case, range(18))}
        for training, tested in FakeDetector.seen:
            self.assertFalse({groups[name] for name in training}
                             & {groups[name] for name in tested})
            self.assertEqual(set(groups), {*training, *tested})
        self.assertEqual(self._written(),
                         self._written(self.all / 'lstm.jsonl'))
        rule = self._written(self.all / 'ERROR-records.jsonl')
        self.assertEqual(
            [float(n if n % 2 == 0 and n != 6 else 0) for n in range(18)],
            [row['score'] for row in rule.values()])
        some = self._written(self.all / 'any-ERROR.jsonl')
        self.assertEqual([n % 2 == 0 and n not in (0, 6)
                          for n in range(18)],
                         [row['alarm'] for row in some.values()])
        self.assertIn('<svg', (self.all / 'precision-recall.svg'
                               ).read_text())

    def test_only_the_default_one_where_nobody_wants_the_others(
            self) -> None:
        told, complaints = self._run()
        self.assertIn('5 folds, 18 cases', told)
        self.assertNotIn('fold 1', told)
        self.assertEqual('', complaints)
        self.assertEqual(18, len(self._written()))

    def test_a_detector_with_a_bug(self) -> None:
        with mock.patch.object(OtherDetector, 'fit', autospec=True,
                               side_effect=ZeroDivisionError('x')):
            told, complaints = self._all()
        self.assertIn('other: it has a bug: ZeroDivisionError: x',
                      complaints)
        self.assertIn('\nother  it has a bug', told)

    def test_time_from_fault_to_alarm(self) -> None:
        # In each failure that is alarmed, the first ERROR is said as many
        # minutes after two o'clock as it has lines before: 3 + number.
        rows = [case(number) for number in range(18)]
        for row in rows:
            # The case 4 has its first ERROR by then.
            row['activation'] = ['2026-11-21 02:20:00.5', (
                '2026-11-21 02:07:00.5' if row['case_id'] == 'c4'
                else '2026-11-21 02:00:00.5')]
        (self.data / 'truth.jsonl').write_text(''.join(
            json.dumps(row) + '\n' for row in rows))
        told = self._all()[0]
        delays: dict[str, float] = {}
        for path in self.all.glob('cache/folds/*.json'):
            delays |= json.loads(path.read_text())['delays']
        # Steps of ten seconds, from half a second after two on.
        self.assertEqual({f'c{n}': 60.0 * (3 + n) if n != 4 else 0.0
                          for n in range(2, 18, 2) if n != 6}, delays)
        self.assertRegex(told, r'those alarmed before the fault +- .* 0\.143')
        self.assertRegex(
            told, r'seconds from fault to alarm, median +- .* 780\n')
        # What was kept tells the same.
        with mock.patch.object(crossval, '_delay', autospec=True,
                               side_effect=AssertionError):
            self.assertEqual(told, self._all()[0])
        for row in rows:
            row['activation'] = 'soon'
        (self.data / 'truth.jsonl').write_text(''.join(
            json.dumps(row) + '\n' for row in rows))
        self.assertIn('the activation of c0 is no time',
                      self._all(status=1)[1])

    def test_labels_of_the_tested_fold_change_nothing(self) -> None:
        self._all()
        before = self._written()
        tested = set(FakeDetector.seen[0][1])
        rows = dataset.truth(self.data)
        for name in tested:
            rows[name]['failure'] = not rows[name]['failure']
            rows[name]['tier'] = 'N2'
        (self.data / 'truth.jsonl').write_text(''.join(
            json.dumps(row) + '\n' for row in rows.values()))
        FakeDetector.seen = []
        with mock.patch.object(crossval, '_read', autospec=True,
                               return_value=None):
            self._all()
        self.assertEqual(tested, set(FakeDetector.seen[0][1]))
        after = self._written()
        for name in tested:
            self.assertEqual(before[name], after[name])
        # The others learned from what was changed.
        self.assertNotEqual(before, after)

    def test_a_second_run_starts_at_once(self) -> None:
        first = self._all()[0]
        FakeDetector.seen = []
        with mock.patch.object(recordings, '_parsed', autospec=True,
                               side_effect=AssertionError):
            self.assertEqual(first, self._all()[0])
        self.assertEqual([], FakeDetector.seen)
        before = self._written()
        # A fold that was damaged is predicted anew, a changed case parsed.
        path = next(self.all.glob('cache/folds/*.json'))
        path.write_text('{"predictions": 1}')
        archive = self.data / 'logs' / 'c1.tar.xz'
        archive.write_bytes((self.data / 'logs' / 'c3.tar.xz').read_bytes())
        os.utime(archive, (1, 1))
        self._all()
        self.assertEqual(5, len(FakeDetector.seen))
        # It has two lines more now.
        after = self._written()
        self.assertAlmostEqual(before.pop('c1')['score'] + 0.002,
                               after.pop('c1')['score'])
        self.assertEqual(before, after)

    def test_other_settings_are_other_folds(self) -> None:
        self._all()
        FakeDetector.seen = []
        with mock.patch.object(detectors, 'Settings', autospec=True,
                               return_value=detectors.Settings(seed=2)):
            self._all()
        self.assertEqual(5, len(FakeDetector.seen))

    def test_transfer(self) -> None:
        (self.data / 'truth.jsonl').unlink()
        other = write(self.tmp / 'other', 9)
        (other / 'quiet.jsonl').write_text('{"case_id": "q"}\n')
        (other / 'q.tar.xz').write_bytes(
            (other / 'logs' / 'c1.tar.xz').read_bytes())
        told, complaints = self._run('--train', str(other), '--all-output',
                                     str(self.all))
        self.assertIn('trained on 10 recordings of other, 18 cases', told)
        self.assertIn('other: It never learns.', complaints)
        # Without a truth nobody knows how good it is.
        self.assertNotIn('precision', told)
        self.assertIn('events/s', told)
        self.assertEqual([([*(f'c{n}' for n in range(9)), 'q'],
                           [f'c{n}' for n in range(18)])],
                         FakeDetector.seen)
        self.assertEqual(18, len(self._written()))

    def test_a_case_that_cannot_be_read(self) -> None:
        (self.data / 'logs' / 'c4.tar.xz').write_text('broken')
        _, complaints = self._all(status=1)
        self.assertIn('c4: ', complaints)
        self.assertEqual({'case_id': 'c4', 'score': 0.0, 'alarm': False},
                         self._written()['c4'])

    def test_a_default_that_cannot_learn(self) -> None:
        with mock.patch.object(crossval, 'learners',
                               lambda: {'lstm': OtherDetector}):
            self.assertIn('It never learns.', self._all(status=1)[1])

    def test_without_truth_the_report_tells(self) -> None:
        (self.data / 'truth.jsonl').unlink()
        self.assertEqual(('', ''), self._run('--limit', '2'))
        self.assertEqual(['c0', 'c1'], list(self._written()))
        self.assertEqual([], FakeDetector.seen)
        self.assertIn('--train', self._all(status=1)[1])

    def test_truth_that_cannot_be_used(self) -> None:
        for text, wanted in (('nonsense', 'truth.jsonl cannot be used'),
                             ('[]', 'truth.jsonl cannot be used'),
                             ('{"case_id": "c0"}', '17 cases')):
            (self.data / 'truth.jsonl').write_text(text)
            self.assertIn(wanted, self._all(status=1)[1])

    def test_one_at_a_time(self) -> None:
        with recordings.Shelf(self.all / 'cache'):
            self.assertIn('Another evaluation', self._all(status=1)[1])


class LearnersTest(base.TestCase):
    """What is installed."""

    def test_the_default_is_first(self) -> None:
        found = crossval.learners()
        self.assertEqual(crossval.DEFAULT, next(iter(found)))
        self.assertNotIn('novelty', found)
        for one in found.values():
            self.assertTrue(issubclass(one, detectors.LearnedDetector))
