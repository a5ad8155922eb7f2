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
"""A model that watches recordings: windows, alarms and how soon they come."""

import contextlib
import datetime
import io
import json
import pathlib
import tarfile
from typing import Any
from unittest import mock

import numpy as np
import polars as pl

from openstack_rca import exception
from openstack_rca.cmd import manage
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import drivers
from openstack_rca.evaluation import watching
from openstack_rca.models import base as models
from openstack_rca.models import filesystem
from openstack_rca.tests import base
from openstack_rca.tests.unit.engine import tiny

T = datetime.datetime(2026, 11, 21, 2)
SETTINGS: dict[str, Any] = {
    'trained_on': {}, 'settings': {}, 'metrics': {}, 'thresholds': {}}


def at(seconds: float) -> datetime.datetime:
    return T + datetime.timedelta(seconds=seconds)


def seen(*alarmed: int, name: str = 'q', first: float = 60.0,
         count: int = 20) -> watching.Watched:
    """A recording in which windows of some numbers are alarmed."""
    return watching.Watched(name, T, at(first + 10 * count), True, tuple(
        (at(first + 10 * n), 0.5 if n in alarmed else 0.49)
        for n in range(count)))


class FiguresTest(base.TestCase):
    """Figures mean what they say."""

    def test_windows_in_a_row_are_one_alarm(self) -> None:
        for alarmed, wanted in (((), 0), ((0,), 1), ((0, 1, 2), 1),
                                ((0, 2), 2), ((3, 4, 18, 19), 2),
                                (range(20), 1)):
            self.assertEqual(wanted, watching.runs(seen(*alarmed).windows))

    def test_when_a_fault_is_noticed(self) -> None:
        # Windows end at 60, 70, ...
        injected = at(100)
        for alarmed, cleared, wanted in (
                ((), None, None), ((4,), None, None), ((5,), None, 10.0),
                ((0, 4, 7, 8), None, 30.0), ((12,), at(180), 80.0),
                ((13,), at(180), None)):
            found = watching.noticed(seen(*alarmed), injected, cleared)
            self.assertEqual(wanted, found.delay)
            self.assertEqual([at(n) for n in (60, 70, 80, 90, 100)],
                             [end for end, _ in found.before])
            self.assertEqual(100.0, found.since)

    def test_figures(self) -> None:
        quiet = [seen(1, 2, 5), seen(count=7)]
        faulty = [watching.noticed(seen(*alarmed), at(100), at(200))
                  for alarmed in ((0, 6), (11,), (2, 4), (5,))]
        found = watching.figures(quiet, faulty)
        hours = (260 + 130) / 3600
        self.assertEqual({
            'quiet recordings, hours': hours,
            'false alarms an hour': 2 / hours,
            '  share of windows': 3 / 27,
            'before a fault, hours': 400 / 3600,
            'false alarms an hour before a fault': 3 / (400 / 3600),
            '  share of windows before a fault': 3 / 20,
            'incidents': 4.0,
            'alarmed within 60 s': 0.5,
            'alarmed while it lasts': 0.75,
            'seconds from fault to alarm, median': 20.0}, found)

    def test_nothing_to_tell_by(self) -> None:
        found = watching.figures([], [])
        self.assertEqual({0.0, None}, set(found.values()))


class CommandTest(base.TestCase):
    """The command as a whole, with a small model."""

    def setUp(self) -> None:
        super().setUp()
        self.without_shipped_models()
        real = drivers.load

        def load(namespace: str, name: str) -> Any:
            if namespace == 'openstack_rca.detectors':
                return tiny.TinyDetector
            return real(namespace, name)

        patch = mock.patch.object(drivers, 'load', load)
        patch.start()
        self.addCleanup(patch.stop)
        self.path = self.tmp / 'rca.conf'
        self.path.write_text(f'[DEFAULT]\nstate_path = {self.tmp}\n')
        self.data = self.tmp / 'data'
        self.data.mkdir()
        # A line a second; from the fault on, ten a second.
        self._archive('quiet', range(200))
        self._archive('i1', sorted([*range(200), *(
            second for second in range(100, 130) for _ in range(30))]))
        self._archive('i2', range(200))
        (self.data / 'quiet.jsonl').write_text('{"case_id": "quiet"}\n')
        (self.data / 'cases.jsonl').write_text(''.join(
            json.dumps({'case_id': name, 'issue': 'broken'}) + '\n'
            for name in ('i1', 'i2')))
        self._truth()
        self.target = self.tmp / 'out.jsonl'
        self.store = filesystem.FilesystemStore(self.tmp / 'models')

    def _truth(self, **more: Any) -> None:
        (self.data / 'truth.jsonl').write_text(''.join(json.dumps({
            'case_id': name, 'injected_at': f'{at(95)}+00:00',
            'cleared_at': f'{at(150)}+00:00'} | more) + '\n'
            for name in ('i1', 'i2')))

    def _archive(self, name: str, seconds: Any) -> None:
        data = ''.join(f'{at(n)}.000 7 INFO nova.api [-] said\n'
                       for n in seconds).encode()
        with tarfile.open(self.data / f'{name}.tar.xz', 'w:xz') as tar:
            member = tarfile.TarInfo('nova/nova-api.log')
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

    def _model(self, root: pathlib.Path | None = None,
               mean: float = 60.0) -> models.Description:
        store = filesystem.FilesystemStore(root) if root else self.store
        return store.save(models.Draft(
            detector='lstm', state={'seed': 1}, **SETTINGS),
            {'mean': np.array([mean])})

    def _run(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            self.assertEqual(status, manage.run([
                '--config-file', str(self.path), 'evaluate', 'detection',
                str(self.data), '--output', str(self.target), '--jobs', '1',
                *arguments]), stderr.getvalue())
        self.assertNotIn('Traceback', stderr.getvalue())
        self.assertNotIn('bug in openstack_rca', stderr.getvalue())
        return stdout.getvalue(), stderr.getvalue()

    def _written(self) -> dict[str, tuple[float, bool]]:
        return {row['case_id']: (row['score'], row['alarm']) for row in map(
            json.loads, self.target.read_text().splitlines())}

    def test_a_model_watches(self) -> None:
        model = self._model()
        told, complaints = self._run('--all-output', str(self.tmp))
        self.assertEqual('', complaints)
        self.assertIn(model.name, told)
        # The first window with 600 lines too many ends 25 s after it.
        for line in (r'quiet recordings, hours +0\.055',
                     r'false alarms an hour +0\.000', r'incidents +2\.000',
                     r'alarmed within 60 s +0\.500',
                     r'fault to alarm, median +25\.000',
                     r'\ni1 +1\.000 +14\.000 +0\.900 +0\.000 +25\.000',
                     r'\ni2 +1\.000 +14\.000 +0\.000 +0\.000 +-',
                     r'\nquiet +1\.000 +14\.000 +0\.000 +0\.000 +-'):
            self.assertRegex(told, line)
        self.assertEqual({'i1': (0.9, True), 'i2': (0.0, False)},
                         self._written())
        rows = [json.loads(line) for line in (
            self.tmp / 'watched.jsonl').read_text().splitlines()]
        # Each window has the seconds up to its end, and not its end.
        self.assertEqual({0.0}, {score for _, score in rows[2]['windows']})
        self.assertEqual([str(at(60 + 10 * n)) for n in range(14)],
                         [end.replace('T', ' ')
                          for end, _ in rows[2]['windows']])
        # The second time, nothing is judged.
        with mock.patch.object(tiny.TinyDetector, 'score', autospec=True,
                               side_effect=AssertionError):
            self.assertEqual(told, self._run('--all-output',
                                             str(self.tmp))[0])

    def test_the_label_is_not_looked_at(self) -> None:
        self._model()
        self._run()
        before = self._written()
        (self.data / 'truth.jsonl').unlink()
        told, _ = self._run()
        self.assertEqual(before, self._written())
        self.assertRegex(told, r'\nincidents +0\.000')

    def test_models(self) -> None:
        self.assertIn('There is no model of lstm', self._run(status=1)[1])
        old = self._model()
        other = self._model(self.tmp / 'elsewhere', mean=900.0)
        self.assertIn(other.name, self._run(
            '--model', str(self.tmp / 'elsewhere' / other.detector
                           / other.version))[0])
        # It takes what is normal for too little.
        self.assertEqual((0.84, True), self._written()['i2'])
        self.assertIn(old.name, self._run('--model', old.name)[0])
        self.assertEqual((0.0, False), self._written()['i2'])
        for name in ('lstm/20261121T030000Z-1a2b3c4d', '../x', 'lstm'):
            self._run('--model', name, status=1)

    def test_labelled_cases_are_for_folds(self) -> None:
        model = self._model()
        self._truth(failure=True)
        (self.data / 'quiet.jsonl').touch()
        self.assertIn('it has no window', self._run(status=1)[1])
        self.assertIn(model.name, self._run('--model', model.name)[0])

    def test_refused(self) -> None:
        self._model()
        self._truth(injected_at=None)
        self.assertIn('i1: it has no injected_at', self._run(status=1)[1])
        self._truth(cleared_at='later')
        self.assertIn('truth.jsonl cannot be used', self._run(status=1)[1])
        self.assertIn('quiet.jsonl', self._run(
            '--model', 'x', '--train', str(self.data), status=1)[1])
        self._truth()
        with mock.patch.object(tiny.TinyDetector, 'score', autospec=True,
                               return_value=float('nan')):
            self.assertIn('no number', self._run(status=1)[1])

    def test_a_recording_that_cannot_be_read(self) -> None:
        self._model()
        (self.data / 'i1.tar.xz').write_text('broken')
        told, complaints = self._run(status=1)
        self.assertIn('i1: ', complaints)
        self.assertEqual((0.0, False), self._written()['i1'])
        self.assertRegex(told, r'\nincidents +1\.000')

    def test_no_time(self) -> None:
        store = mock.Mock()
        store.narrow.return_value = pl.LazyFrame(
            schema={'timestamp': pl.Datetime('us')})
        self.assertRaises(
            exception.InvalidInput, watching._watch, tiny.TinyDetector(),
            detectors.Recording('x', store), 10.0)
