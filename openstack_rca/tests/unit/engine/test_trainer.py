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
"""Training, from stores of events to a model that is kept."""

import collections
import datetime
import json
import os
import pathlib
import stat
from typing import Any
from unittest import mock

from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.engine import trainer
from openstack_rca.engine import worker
from openstack_rca.tests.unit.engine import test_worker
from openstack_rca.tests.unit.engine import tiny

LINE = ('2026-11-20 {:%H:%M:%S}.000 100 INFO nova.compute.manager '
        '[req-11111111-1111-1111-1111-111111111111 - - - - -] {}\n')


class TestCase(test_worker.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.without_shipped_models()
        real = drivers.load

        def load(namespace: str, name: str) -> Any:
            if (namespace, name) == ('openstack_rca.detectors', 'tiny'):
                return tiny.TinyDetector
            return real(namespace, name)

        patch = mock.patch.object(drivers, 'load', load)
        patch.start()
        self.addCleanup(patch.stop)

    def hours(self, name: str, count: float, text: str = 'Took {} s.',
              start: int = 3) -> pathlib.Path:
        """A folder with a line every minute."""
        folder = self.tmp / name
        folder.mkdir(exist_ok=True)
        begin = datetime.datetime(2026, 11, 20, start)
        (folder / 'nova-compute.log').write_text(''.join(
            LINE.format(begin + datetime.timedelta(minutes=minute),
                        text.format(minute))
            for minute in range(round(60 * count))))
        return folder

    def train(self, made: worker.Worker, told: Any = None,
              **request: Any) -> dict[str, Any]:
        """Train the tiny detector."""
        made.refresh()
        found: dict[str, Any] = json.loads(made.answer(
            'train', {'detector': 'tiny'} | request, told))
        return found


class TestTraining(TestCase):

    def test_a_model_comes_of_it(self) -> None:
        made = self.open(control=self.hours('control', 4),
                         network=self.hours('network', 2, 'Bound port {}.'))
        found = self.train(made, settings={'seed': 3})
        self.assertEqual('engine-1', found['host'])
        self.assertEqual({
            'sources': ['control', 'network'], 'recordings': 48,
            'harmed': 0, 'unharmed': 0, 'events': 360, 'templates': 2,
            'from': '2026-11-20T03:00:00+00:00',
            'to': '2026-11-20T06:59:00+00:00'}, found['trained_on'])
        self.assertEqual(({'f1': 0.5}, {'score': 0.5}, 3),
                         (found['metrics'], found['thresholds'],
                          found['settings']['seed']))
        kept, arrays = drivers.model_store().load('tiny', found['version'])
        self.assertEqual(found, kept.public() | {'host': 'engine-1'})
        self.assertEqual(2, len(kept.reference['templates']))
        self.assertAlmostEqual(1.0, sum(kept.reference['scores']['shares']))
        learned = tiny.TinyDetector.from_state(arrays, kept.state)
        self.assertEqual((360 / 48, 3), (learned.mean, learned.seed))

    def test_sources_and_times(self) -> None:
        made = self.open(control=self.hours('control', 4),
                         network=self.hours('network', 2))
        found = self.train(made, sources=['control'],
                           since='2026-11-20T05:00:00+01:00',
                           until='2026-11-20T04:29:00+00:00')
        self.assertEqual((['control'], 30, 3), tuple(
            found['trained_on'][name]
            for name in ('sources', 'events', 'recordings')))

    def test_progress(self) -> None:
        told: list[dict[str, Any]] = []
        self.train(self.open(control=self.hours('control', 1)), told.append)
        self.assertEqual([{'what': 'count', 'share': 0.0,
                           'figures': {'loss': 0.5}}], told)

    def test_refused(self) -> None:
        made = self.open(control=self.hours('control', 1))
        for request, said in (
                ({'detector': 'novelty'}, 'learns nothing'),
                ({'sources': ['control', 'other']}, 'reads no source other'),
                ({'settings': {'device': 'cpu', 'depth': 3}},
                 'no setting depth'),
                ({'since': '2027-01-01T00:00:00+00:00'}, 'no event'),
                ({'labels': [{'since': '2026-11-20T00:00:00+00:00',
                              'until': '2026-11-21T00:00:00+00:00',
                              'harmed': True}]}, 'Too little')):
            error = self.assertRaises(exception.InvalidInput, self.train,
                                      made, **request)
            self.assertIn(said, str(error))
        self.assertRaises(exception.DriverNotFound, self.train, made,
                          detector='no-such-one')
        self.assertEqual([], drivers.model_store().names())

    def test_error_of_a_job(self) -> None:
        made = self.open(control=self.hours('control', 1))
        answer = worker._message(made, {
            'id': 'x', 'kind': 'train', 'request': {'detector': 'novelty'}})
        self.assertEqual(400, answer['code'])
        self.assertIn('learns nothing', answer['error'])


class TestRecordings(TestCase):

    def _cut(self, hours: float, **request: Any) -> list[
            tuple[str, str, bool | None, str]]:
        made = self.open(control=self.hours('control', hours))
        made.refresh()
        return [(f'{r.query.since:%H:%M:%S}', f'{r.query.until:%H:%M:%S}',
                 r.harmed, r.group)
                for r in trainer.recordings(made._snapshots.stores, request)]

    def test_pieces(self) -> None:
        found = self._cut(1)
        self.assertEqual(
            [('03:00:00', '03:09:59'), ('03:10:00', '03:19:59')],
            [piece[:2] for piece in found[:2]])
        self.assertEqual('03:59:00', found[-1][1])
        self.assertEqual(6, len({piece[3] for piece in found}))
        self.assertEqual({None}, {piece[2] for piece in found})

    def test_labels(self) -> None:
        found = self._cut(1, labels=[
            {'since': '2026-11-20T03:15:00+00:00',
             'until': '2026-11-20T04:22:00+01:00', 'harmed': True},
            {'since': '2026-11-20T03:40:00+00:00',
             'until': '2026-11-20T03:45:00+00:00', 'harmed': False},
            {'since': '2026-11-19T03:40:00+00:00',
             'until': '2026-11-19T03:45:00+00:00', 'harmed': True}])
        self.assertEqual(
            [('03:15:00', '03:22:00', True, 'label-0'),
             ('03:40:00', '03:45:00', False, 'label-1')], found[:2])
        # What is near a label is left out: half of it would be of neither.
        self.assertEqual(['03:00:00', '03:30:00', '03:50:00'],
                         [piece[0] for piece in found[2:]])

    def test_no_more_than_a_hundred(self) -> None:
        self.assertEqual(100, len(self._cut(20.5)))


    def test_what_has_a_gap_between_is_cut_for_itself(self) -> None:
        made = self.open(early=self.hours('early', 1, start=3),
                         late=self.hours('late', 1, start=20),
                         same=self.hours('same', 0.5, start=20))
        made.refresh()
        found = trainer.recordings(made._snapshots.stores, {})
        self.assertEqual(
            [('early', 6), ('late', 6), ('same', 6)],
            sorted(collections.Counter(
                r.name.partition(' ')[0] for r in found).items()))
        # All that was logged at one time is of one group.
        self.assertEqual(12, len({r.group for r in found}))
        self.assertEqual(
            {'2026-11-20T20:30:00'},
            {r.name.partition(' ')[2] for r in found
             if r.group == 'time-2026-11-20T20:30:00'})


class Killed(BaseException):
    """The process is gone."""


class TestGoingOn(TestCase):
    """A training whose process is gone is tried again."""

    def setUp(self) -> None:
        super().setUp()
        self.seen: list[pathlib.Path] = []
        self.died = 1
        fit = tiny.TinyDetector.fit

        def half(detector: tiny.TinyDetector, corpus: Any, settings: Any,
                 progress: Any, checkpoint: pathlib.Path) -> dict[str, float]:
            found = [p.name for p in checkpoint.iterdir()]
            self.seen.append(checkpoint)
            if self.died:
                self.died -= 1
                (checkpoint / 'sequence').write_text('half')
                raise Killed
            return fit(detector, corpus, settings, progress) | {
                'found': float('sequence' in found)}

        patch = mock.patch.object(tiny.TinyDetector, 'fit', half)
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_job_goes_on(self) -> None:
        made = self.open(control=self.hours('control', 1))
        self.assertRaises(Killed, self.train, made, settings={'seed': 3})
        self.assertEqual(0o700, stat.S_IMODE(self.seen[0].stat().st_mode))
        # What is logged meanwhile would make another training of it.
        made.close()
        self.hours('control', 2)
        made = self.open(control=self.tmp / 'control')
        found = self.train(made, settings={'seed': 3})
        self.assertEqual((1.0, 60), (found['metrics']['found'],
                                     found['trained_on']['events']))
        self.assertEqual(self.seen[0], self.seen[1])
        # It is no model, and gone once the training is complete.
        self.assertFalse(self.seen[0].exists())
        (name, version, _), = drivers.model_store().names()
        drivers.model_store().delete(name, version)
        self.assertEqual(120, self.train(
            made, settings={'seed': 3})['trained_on']['events'])

    def test_another_one_does_not(self) -> None:
        made = self.open(control=self.hours('control', 1))
        self.assertRaises(Killed, self.train, made, settings={'seed': 3})
        self.assertEqual(0.0, self.train(made, settings={'seed': 4})[
            'metrics']['found'])
        self.assertTrue(self.seen[0].exists())

    def test_what_nobody_goes_on_with(self) -> None:
        made = self.open(control=self.hours('control', 1))
        self.assertRaises(Killed, self.train, made)
        os.utime(self.seen[0] / 'until', (1, 1))
        self.assertEqual(0.0, self.train(made)['metrics']['found'])
        # What others left long ago is gone, too.
        other = self.seen[0].parent / 'other'
        for path in (other, self.seen[0].parent / 'young'):
            path.mkdir()
            (path / 'until').touch()
        os.utime(other / 'until', (1, 1))
        self.train(made, since='2026-11-20T03:25:00+00:00')
        self.assertEqual(['young'], [
            path.name for path in self.seen[0].parent.iterdir()])

    def test_what_cannot_be_trained_leaves_nothing(self) -> None:
        made = self.open(control=self.hours('control', 1))
        with mock.patch.object(drivers, 'model_store',
                               autospec=True) as store:
            store.return_value.save.side_effect = exception.ModelError(
                'There is no room.')
            self.died = 0
            self.assertRaises(exception.ModelError, self.train, made)
        self.assertFalse(self.seen[0].exists())

    def test_where_nothing_can_be_kept(self) -> None:
        made = self.open(control=self.hours('control', 1))
        self.config(group='models', directory=str(self.tmp / 'file'))
        (self.tmp / 'file').write_text('')
        error = self.assertRaises(exception.ModelError, self.train, made)
        self.assertIn(str(self.tmp / 'file'), str(error))

    def test_a_package_that_is_missing(self) -> None:
        made = self.open(control=self.hours('control', 1))
        with mock.patch.object(
                tiny.TinyDetector, 'fit', autospec=True,
                side_effect=ModuleNotFoundError("No module named 'torch'",
                                                name='torch')):
            error = self.assertRaises(exception.InvalidInput, self.train,
                                      made)
        self.assertIn('package torch', str(error))


class TestMeasure(TestCase):

    def measure(self, made: worker.Worker,
                active: dict[str, str]) -> list[dict[str, Any]]:
        """Measure models, as a worker does."""
        made.refresh()
        found: list[dict[str, Any]] = json.loads(
            made.answer('measure', {'active': active}))
        return found

    def test_the_same_logs(self) -> None:
        made = self.open(control=self.hours('control', 4))
        version = self.train(made)['version']
        told, = self.measure(made, {'tiny': version})
        self.assertEqual(
            {'detector': 'tiny', 'version': version, 'psi': 0.0,
             'unseen_templates': 0.0, 'unseen_events': 0.0}, told)

    def test_other_logs(self) -> None:
        made = self.open(control=self.hours('control', 4))
        version = self.train(made)['version']
        made.close()
        other = self.open(control=self.hours(
            'later', 12, 'Other words {}.'))
        told, = self.measure(other, {'tiny': version})
        self.assertEqual((1.0, 1.0), (told['unseen_templates'],
                                      told['unseen_events']))

    def test_only_the_last_day(self) -> None:
        folder = self.hours('control', 1, 'Old {}.')
        text = (folder / 'nova-compute.log').read_text()
        (folder / 'nova-compute.log').write_text(
            text.replace('2026-11-20', '2026-11-18') + LINE.format(
                datetime.datetime(2026, 11, 20, 3), 'New.'))
        made = self.open(control=folder)
        version = self.train(made, until='2026-11-19T00:00:00+00:00'
                             )['version']
        told, = self.measure(made, {'tiny': version})
        self.assertEqual(1.0, told['unseen_events'])
        self.assertIsNone(told['psi'])

    def test_what_cannot_be_measured(self) -> None:
        made = self.open(control=self.hours('control', 1))
        with self.assertLogs(trainer.LOG.logger, 'WARNING') as caught:
            self.assertEqual([], self.measure(made, {
                'novelty': 'x', 'tiny': '20261121T030000Z-1a2b3c4d'}))
        self.assertEqual(2, len(caught.records))
