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
"""A running engine judges with a trained model what is logged."""

import datetime
import pathlib
from typing import Any
from unittest import mock

import sqlalchemy as sa

from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import lstm
from openstack_rca.models import base as kept
from openstack_rca.models import filesystem
from openstack_rca.tests.functional import service_case
from openstack_rca.tests.unit.detectors import runs

#: Runs of each label that a model is trained on.
TRAINED = 28
#: Minutes that were logged before the engine came.
BEFORE = 14


def odd(number: int) -> runs.Run:
    """A minute in which servers get lost, with a word about it."""
    return runs.Run(number, silent=[2, 4], stuck=[2, 4], compute=[runs.line(
        number * runs.APART + 20, 'nova.virt.driver', 'the domain vanished',
        'WARNING')])


class TestWatcher(service_case.ServiceCase):

    def setUp(self) -> None:
        super().setUp()
        # A run a minute, so that all of them lie in the past.
        now = datetime.datetime.now(datetime.UTC).replace(
            tzinfo=None, microsecond=0)
        for name, value in (('APART', 60.0), ('REQUESTS', 11),
                            ('T', now - datetime.timedelta(minutes=30))):
            patch = mock.patch.object(runs, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()

    def _model(self) -> tuple[kept.Draft, dict[str, Any]]:
        """A model that was trained on labelled runs like those to come."""
        count = 2 * TRAINED
        parts = runs.recordings(
            self.tmp / 'trained',
            [odd(n) if n % 2 else runs.Run(n) for n in range(count)],
            [bool(n % 2) for n in range(count)])
        made = lstm.LstmDetector()
        made.fit(parts, detectors.Settings(
            learning_rate=0.01, epochs=6, device='cpu'))
        arrays, told = made.state()
        self.assertTrue(told['sequence'], 'The network is no part of it.')
        return kept.Draft('lstm', {'recordings': count}, {}, {}, {},
                          told), arrays

    def _write(self, *minutes: runs.Run) -> None:
        """Log some minutes."""
        for minute in minutes:
            for name, text in zip(('nova-api.log', 'nova-compute.log'),
                                  minute.lines(), strict=True):
                with (self.logs / name).open('a') as log:
                    log.write('\n'.join(sorted(text)) + '\n')

    def _symptoms(self, **wanted: Any) -> list[dict[str, Any]]:
        """Rows of symptoms."""
        self.made.use_database()
        self.addCleanup(session.dispose)
        table = models.SYMPTOMS
        with session.reader() as connection:
            return [dict(row) for row in connection.execute(
                sa.select(table).where(*(
                    table.c[name] == value
                    for name, value in wanted.items()))).mappings()]

    @staticmethod
    def _mapped(pid: int) -> str:
        return pathlib.Path(f'/proc/{pid}/maps').read_text()

    def test_models_are_used_and_followed(self) -> None:
        self._write(*(runs.Run(n) for n in range(BEFORE)))
        self.made = self.own_service(self.logs, learned=True, detectors={
            'watch_interval': 0.5})
        engine, = self.made.engines
        # Out of the box it is the model of the package.
        shipped, = filesystem.FilesystemStore.of_package().names()
        self.wait_for('it watches with what came with it', lambda: (
            f'Watches with the model lstm/{shipped[1]}' in engine.said()))
        # Brought here from another engine.
        store = filesystem.FilesystemStore(
            self.made.folder / 'state0' / 'models')
        draft, arrays = self._model()
        first = store.save(draft, arrays).version
        second = store.save(draft, arrays | {
            'weights': arrays['weights'] * 1.01}).version
        engine.stop()
        engine.start()
        self.wait_for('they have rows', lambda: 3 == len(self.rca_json(
            'model', 'list', '--detector', 'lstm')))
        self.rca('model', 'activate', f'lstm/{first}')
        self.wait_for('it watches', lambda: (
            f'Watches with the model lstm/{first}' in engine.said()))
        self._write(odd(BEFORE), runs.Run(BEFORE + 1))
        rows = self.wait_for('a symptom', lambda: self._symptoms(
            detector='lstm', version=first))
        self.assertEqual({('engine0', 'model')}, {
            (row['host'], row['sign']) for row in rows})
        begin = runs.T + datetime.timedelta(minutes=BEFORE)
        for row in rows:
            self.assertLessEqual(begin, row['until'])
        pid, = engine.processes('watcher')
        self.assertIn('libtorch', self._mapped(pid))
        self.assertIn(f'(lstm/{first}, model, score', engine.said())
        # Another one is followed, by the same process.
        self.rca('model', 'activate', f'lstm/{second}')
        self.wait_for('it watches with the other', lambda: (
            f'Watches with the model lstm/{second}' in engine.said()))
        later = BEFORE + 8
        self._write(*(runs.Run(n) for n in range(BEFORE + 2, later)),
                    odd(later), runs.Run(later + 1))
        self.wait_for('a symptom by the other', lambda: self._symptoms(
            detector='lstm', version=second))
        self.assertEqual([pid], engine.processes('watcher'))
        self._look_into_reports(second)
        # The next process judges nothing anew.
        before = self._symptoms()
        engine.stop()
        engine.start()
        self.wait_for('it watches again', lambda: engine.said().count(
            f'Watches with the model lstm/{second}') >= 2)
        self._write(runs.Run(later + 2))
        self.wait_for('it goes on', lambda: (
            self.made.folder / 'state0' / 'watched.json').read_text().find(
                str((runs.T + datetime.timedelta(
                    minutes=later + 3)).isoformat())) > 0)
        self.assertEqual(before, self._symptoms())
        self.no_traceback(self.made.said())

    def _look_into_reports(self, version: str) -> None:
        """Analyses use the model in full mode, and not in fast mode."""
        engine, = self.made.engines
        since = f'{runs.T + datetime.timedelta(minutes=BEFORE + 8)}'
        asked = ('analyze', '--issue', 'servers get lost', '--since', since)
        full = self.rca_json(*asked)
        self.assertEqual('full', full['mode'])
        self.assertIn(f'Uses the model lstm/{version}', engine.said())
        self.assertEqual([], full['skipped'])
        fast = self.rca_json(*asked, '--mode', 'fast')
        self.assertEqual('fast', fast['mode'])
        found, others = ({row['why'] for row in report['evidence']}
                         for report in (full, fast))
        self.assertNotEqual(set(), found - others)
