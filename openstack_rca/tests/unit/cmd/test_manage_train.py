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
"""openstack-rca-manage train: a model from folders of logs."""

import contextlib
import dataclasses
import datetime
import io
import json
import pathlib
import re
import shutil
import stat
from typing import Any
from unittest import mock

import fixtures

from openstack_rca import exception
from openstack_rca.cmd import manage
from openstack_rca.cmd import manage_train
from openstack_rca.db import models_api
from openstack_rca.db import session
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import drivers
from openstack_rca.models import filesystem
from openstack_rca.tests import base
from openstack_rca.tests.unit.engine import tiny

LINE = '2026-11-{:02} {:02}:{:02}:00.000 1 INFO nova.compute [-] Took {} s.\n'


class TestTrain(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.without_shipped_models()
        session.dispose()
        self.addCleanup(session.dispose)
        self.path = self.tmp / 'rca.conf'
        self.path.write_text(
            f'[DEFAULT]\nhost = engine-1\nstate_path = {self.tmp}\n'
            f'[database]\nconnection = sqlite:///{self.tmp}/rca.sqlite\n')
        real = drivers.load

        def load(namespace: str, name: str) -> Any:
            if (namespace, name) == ('openstack_rca.detectors', 'tiny'):
                return tiny.TinyDetector
            return real(namespace, name)

        patch = mock.patch.object(drivers, 'load', load)
        patch.start()
        self.addCleanup(patch.stop)
        self.logs = self.folder('logs', 20)
        self.store = filesystem.FilesystemStore(self.tmp / 'models')

    def folder(self, name: str, day: int, minutes: int = 60) -> pathlib.Path:
        """A recording with a line every minute."""
        folder = self.tmp / name
        folder.mkdir(parents=True)
        (folder / 'nova-compute.log').write_text(''.join(
            LINE.format(day, 3 + minute // 60, minute % 60, minute)
            for minute in range(minutes)))
        return folder

    def _run(self, *arguments: object, status: int = 0) -> tuple[str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        session.dispose()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            found = manage.run(['--config-file', str(self.path), 'train',
                                *map(str, arguments)])
        self.assertNotIn('bug in openstack_rca', stderr.getvalue())
        self.assertEqual(status, found, stderr.getvalue())
        return stdout.getvalue(), stderr.getvalue()

    def _database(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(0, manage.run(
                ['--config-file', str(self.path), 'db', 'sync']))

    def _train(self, *arguments: object, status: int = 0) -> tuple[str, str]:
        return self._run('--detector', 'tiny', '--from', self.logs,
                         *arguments, status=status)

    def test_a_model_comes_of_it(self) -> None:
        self._database()
        told, progress = self._train()
        self.assertIn('0 % count, loss 0.5000\n', progress)
        (name, version, _), = self.store.names()
        self.assertIn(f'openstack rca model activate {name}/{version}', told)
        self.assertRegex(told, r'\nf1 +0\.5\n')
        self.assertIn('6 recordings with 60 events', told)
        kept = self.store.verify(name, version)
        self.assertEqual(('tiny', ['logs'], dataclasses.asdict(
            detectors.Settings())), (
                kept.detector, kept.trained_on['sources'], kept.settings))
        row, = models_api.model_list(10)[0]
        self.assertEqual((version, 'engine-1'), (row['version'],
                                                 row['host']))

    def test_without_a_database(self) -> None:
        told, _ = self._train()
        self.assertIn('The engine finds it when it starts again', told)
        self.assertEqual(1, len(self.store.names()))

    def test_recordings_of_other_days(self) -> None:
        self._run('--detector', 'tiny', '--from', self.logs, '--from',
                  self.folder('more/logs', 28, 30), '--from',
                  f'{self.logs}/', '--output', self.tmp / 'new')
        kept, _ = filesystem.read(self.tmp / 'new')
        self.assertEqual((['logs', 'logs-2'], 9, 90), tuple(
            kept.trained_on[name]
            for name in ('sources', 'recordings', 'events')))

    def test_into_a_folder(self) -> None:
        target = self.tmp / 'new'
        told, _ = self._train('--output', target)
        kept, arrays = filesystem.read(target)
        self.assertIn(kept.name, told)
        self.assertEqual({'model.json', 'weights.safetensors'},
                         {path.name for path in target.iterdir()})
        self.assertEqual(10.0, arrays['mean'][0])
        self.assertEqual([], self.store.names())
        # Nothing else is left behind.
        self.assertEqual([], [path for path in self.tmp.iterdir()
                              if path.name.startswith('.')])
        # It can be brought to an engine.
        self._database()
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(0, manage.run(
                ['--config-file', str(self.path), 'model', 'import',
                 str(target)]))
        self.assertEqual(1, len(self.store.names()))
        for path in (target, self.path, self.tmp / 'missing' / 'x'):
            with mock.patch.object(tiny.TinyDetector, 'fit', autospec=True,
                                   side_effect=AssertionError):
                self.assertIn('--output: ', self._train(
                    '--output', path, status=1)[1])

    def test_settings(self) -> None:
        # Each setting has an option, with its default.
        fields = {field.name: field.default
                  for field in dataclasses.fields(detectors.Settings)}
        self.assertEqual({
            name: re.sub(r'.*default: ', '', told) for name, (_, told)
            in manage_train.SETTINGS.items()}, {
                name: str(value) for name, value in fields.items()})
        given = {'seed': 3, 'learning_rate': 0.01, 'weight_decay': 0.0,
                 'batch': 8, 'epochs': 2, 'patience': 3,
                 'plateau_patience': 1, 'plateau_factor': 0.25,
                 'validation': 0.5, 'false_alarms': 0.01, 'device': 'cpu'}
        arguments: list[object] = []
        for name, value in given.items():
            arguments += ['--' + name.replace('_', '-'), value]
        self._train('--output', self.tmp / 'new', *arguments)
        self.assertEqual(given, filesystem.read(self.tmp / 'new')[0].settings)
        for name, value in (('seed', 'x'), ('seed', -1), ('epochs', 0),
                            ('epochs', 1.5), ('false-alarms', 0.9),
                            ('learning-rate', 'nan'), ('device', 'tpu')):
            error = self.assertRaises(SystemExit, self._train,
                                      f'--{name}={value}')
            self.assertEqual(2, error.code)

    def _labels(self, *rows: Any) -> pathlib.Path:
        path = self.tmp / 'labels.jsonl'
        path.write_text(''.join(
            (row if isinstance(row, str) else json.dumps(row)) + '\n'
            for row in rows))
        return path

    def test_labels(self) -> None:
        path = self._labels(
            {'since': '2026-11-20T03:10:00Z', 'until': '2026-11-20 04:20+01',
             'harmed': True}, '',
            {'since': '2026-11-20T03:40', 'until': '2026-11-20T03:45',
             'harmed': False})
        self._train('--labels', path, '--output', self.tmp / 'new')
        kept, _ = filesystem.read(self.tmp / 'new')
        self.assertEqual((1, 1, 5), tuple(
            kept.trained_on[name]
            for name in ('harmed', 'unharmed', 'recordings')))

    def test_labels_that_cannot_be_used(self) -> None:
        good = {'since': '2026-11-20T03:10', 'until': '2026-11-20T03:20',
                'harmed': True}
        for row, said in (
                ('{', 'line 2 of'), ('[]', 'since, until and harmed'),
                ('[' * 100_000, 'line 2 of'), ('NaN', 'and nothing else'),
                ({**good, 'why': ''}, 'and nothing else'),
                ({**good, 'harmed': 1}, 'harmed is neither'),
                ({**good, 'since': 3}, 'since is no time'),
                ({**good, 'until': 'soon'}, 'until is no time in ISO 8601'),
                ({**good, 'until': good['since']}, 'not before'),
                ({**good, 'since': '0001-01-01T00:00+10:00'}, 'not before')):
            self.assertIn(said, self._train(
                '--labels', self._labels(good, row), status=1)[1])
        self.assertIn('cannot be read', self._train(
            '--labels', self.tmp / 'missing', status=1)[1])
        (self.tmp / 'binary').write_bytes(b'\xff\x00')
        self.assertIn('cannot be read', self._train(
            '--labels', self.tmp / 'binary', status=1)[1])

    def test_going_on(self) -> None:
        fit = tiny.TinyDetector.fit
        found: list[list[str]] = []
        dying = True

        def half(detector: tiny.TinyDetector, corpus: Any, settings: Any,
                 progress: Any, checkpoint: pathlib.Path) -> dict[str, float]:
            found.append(sorted(p.name for p in checkpoint.iterdir()))
            if dying:
                (checkpoint / 'sequence').write_text('half')
                raise KeyboardInterrupt
            return fit(detector, corpus, settings, progress)

        anew, going = ['until'], ['sequence', 'until']
        patch = mock.patch.object(tiny.TinyDetector, 'fit', half)
        patch.start()
        self.addCleanup(patch.stop)
        for arguments in ([], ['--output', self.tmp / 'new']):
            found.clear()
            dying = True
            told = self._train(*arguments, status=130)[1]
            self.assertIn('The same command goes on', told)
            self.assertNotIn('Going on', told)
            # Another training is not mixed up with it.
            told = self._train('--seed', 4, *arguments, status=130)[1]
            self.assertNotIn('Going on', told)
            told = self._train('--seed', 4, '--restart', *arguments,
                               status=130)[1]
            self.assertNotIn('Going on', told)
            self.assertEqual([anew] * 3, found)
            dying = False
            self.assertIn('Going on', self._train(*arguments)[1])
            self.assertEqual(going, found[-1])
        # Once it is complete, nothing is left of it.
        shutil.rmtree(self.tmp / 'new')
        self.assertNotIn('Going on', self._train(*arguments)[1])
        self.assertEqual(anew, found[-1])

    def test_the_folder_is_private(self) -> None:
        with mock.patch.object(tiny.TinyDetector, 'fit', autospec=True,
                               side_effect=KeyboardInterrupt):
            self._train(status=130)
        folder, = (self.tmp / 'models' / '.training').iterdir()
        self.assertEqual(0o700, stat.S_IMODE(folder.stat().st_mode))
        self.assertEqual([], self.store.names())
        self.assertEqual(datetime.datetime(2026, 11, 20, 3, 59),
                         datetime.datetime.fromisoformat(
                             (folder / 'until').read_text()))

    def test_refused(self) -> None:
        for arguments, said in (
                (('--detector', 'nothing', '--from', self.logs), 'novelty'),
                (('--detector', 'novelty', '--from', self.logs),
                 'learns nothing'),
                (('--detector', 'tiny', '--from', self.tmp / 'missing'),
                 'does not exist'),
                (('--detector', 'tiny', '--from', self.tmp / 'xdg'),
                 'no log file'),
                (('--detector', 'tiny', '--from', self.logs, '--timezone',
                  'Mars/Olympus'), 'no time zone')):
            self.assertIn(said, self._run(*arguments, status=1)[1])
        for error, said in (
                (exception.InvalidInput(reason='There is too little.'),
                 'There is too little.'),
                (ModuleNotFoundError('No', name='torch'), 'package torch')):
            with mock.patch.object(tiny.TinyDetector, 'fit', autospec=True,
                                   side_effect=error):
                self.assertIn(said, self._train(status=1)[1])
        shutil.rmtree(self.tmp / 'models')
        (self.tmp / 'models').write_text('')
        self.assertIn('cannot be kept', self._train(status=1)[1])

    def test_wrong_use(self) -> None:
        for arguments in ((), ('--detector', 'tiny'),
                          ('--from', self.logs), ('x',)):
            error = self.assertRaises(SystemExit, self._run, *arguments)
            self.assertEqual(2, error.code)

    def test_a_terminal_shows_a_bar(self) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        screen = Terminal()
        self.useFixture(fixtures.EnvironmentVariable('TERM', 'xterm'))
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(screen):
            self.assertEqual(0, manage.run([
                '--config-file', str(self.path), 'train', '--detector',
                'tiny', '--from', str(self.logs)]))
        self.assertIn('% count, loss 0.5000', screen.getvalue())
        self.assertTrue(screen.getvalue().endswith('\r\x1b[K'))
