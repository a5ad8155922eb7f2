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
"""The process that keeps the stores like the sources."""

import json
import os
import select
import subprocess
import sys
from typing import Any
from unittest import mock

from openstack_rca import exception
from openstack_rca.engine import child
from openstack_rca.engine import folder as folders
from openstack_rca.engine import ingest
from openstack_rca.engine import reader
from openstack_rca.engine import state
from openstack_rca.engine import tail
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests.unit.engine import test_worker

LINE = test_worker.LINE
_LONG = 120.0


class TestReader(test_worker.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.logs('logs', 'first', 'second')
        self.config('sources', log_dirs={'a': str(self.folder)})
        self.ends = test_worker.Ends()
        self.reader = self._reader()

    def _reader(self) -> reader.Reader:
        made = reader.Reader(state.sources(),
                             self.ends)  # type: ignore[arg-type]
        self.addCleanup(made.close)
        return made

    def _look(self, made: reader.Reader | None = None
              ) -> list[dict[str, Any]]:
        """What it tells of sources in one look."""
        self.ends.sent.clear()
        (made or self.reader).look()
        (made or self.reader).settle()
        return [m for m in self.ends.sent if 'source' in m]

    def _texts(self) -> list[str]:
        store = parquet.ParquetStore.snapshot(
            state.sources()[0].store, self.tmp / f'snap-{os.urandom(4).hex()}')
        return [t.split()[-1] for t in store.query(stores.Query())['text']]

    def _append(self, name: str = 'nova-compute.log',
                *texts: str) -> None:
        with (self.folder / name).open('a') as log:
            for number, text in enumerate(texts):
                log.write(LINE.format(30 + number, text))

    def test_first_look(self) -> None:
        told, = self._look()
        file, = told.pop('files')
        self.assertEqual({
            'source': 'a', 'status': 'ready', 'error': None, 'events': 2,
            'bytes': (self.folder / 'nova-compute.log').stat().st_size,
            'skipped': []}, told)
        self.assertEqual(('nova-compute.log', 'nova', 2),
                         (file['source'], file['service'], file['events']))

    def test_nothing_new_is_not_told(self) -> None:
        self._look()
        self.assertEqual([], self._look())
        with mock.patch.object(reader, '_HEARTBEAT', -1.0):
            self.assertEqual(1, len(self._look()))

    def test_growth(self) -> None:
        self._look()
        for number in range(40):
            self._append('nova-compute.log', f'new-{number}')
            told, = self._look()
            self.assertEqual(number + 3, told['events'])
        self.assertEqual(['first', 'second', *(
            f'new-{n}' for n in range(40))], self._texts())
        self.assertGreater(16, len(list(
            state.sources()[0].store.glob('*.parquet'))))

    def test_file_comes_and_goes(self) -> None:
        self._look()
        self._append('nova-api.log', 'third')
        self.assertEqual(3, self._look()[0]['events'])
        (self.folder / 'nova-api.log').unlink()
        # What it held stays until it is too old.
        self.assertEqual([], self._look())
        self.assertEqual(['first', 'second', 'third'], self._texts())

    def test_the_last_file_goes(self) -> None:
        self._look()
        (self.folder / 'nova-compute.log').unlink()
        told, = self._look()
        self.assertEqual(('failed', 2), (told['status'], told['events']))
        self.assertIn('no log file', told['error'])
        self._append('nova-compute.log', 'back')
        told, = self._look()
        self.assertEqual(('ready', None, 3), (
            told['status'], told['error'], told['events']))
        self.assertEqual({'nova-compute.log~1': 2, 'nova-compute.log': 1}, {
            f['source']: f['events'] for f in told['files']})

    def test_folder_vanishes_and_comes_back(self) -> None:
        self._look()
        self.folder.rename(self.tmp / 'away')
        told, = self._look()
        self.assertEqual('failed', told['status'])
        self.assertIn(str(self.folder), told['error'])
        # A disk that is not mounted for a while: questions are answered.
        self.assertEqual(2, told['events'])
        self.assertEqual(['first', 'second'], self._texts())
        self.assertEqual([], self._look())
        (self.tmp / 'away').rename(self.folder)
        told, = self._look()
        self.assertEqual(('ready', 2), (told['status'], told['events']))

    def test_another_reader_goes_on(self) -> None:
        self._look()
        with mock.patch.object(ingest, 'ingest', autospec=True) as parse:
            told, = self._look(self._reader())
        self.assertEqual(('ready', 2), (told['status'], told['events']))
        parse.assert_not_called()

    def test_damaged_store_is_made_anew(self) -> None:
        self._look()
        store = state.sources()[0].store
        for name in ('00000001.parquet', '00000001.tpl.parquet'):
            path, = store.glob(name)
            path.write_bytes(b'PAR1')
        (store / '00000001.tpl.parquet').unlink()
        told, = self._look(self._reader())
        self.assertEqual(('ready', 2), (told['status'], told['events']))
        self.assertEqual(['first', 'second'], self._texts())

    def test_damaged_pages(self) -> None:
        """What cannot be united is given up, and read again."""
        for number in range(7):
            self._append('nova-compute.log', f'new-{number}')
            self._look()
        path, = state.sources()[0].store.glob('00000003.parquet')
        data = bytearray(path.read_bytes())
        data[4:len(data) // 3] = b'\xff' * (len(data) // 3 - 4)
        path.write_bytes(data)
        self._append('nova-compute.log', 'last')
        for _ in range(3):
            self._look()
        self.assertEqual(['first', 'second', *(
            f'new-{n}' for n in range(7)), 'last'], self._texts())

    def test_retention(self) -> None:
        self._look()
        self.config('store', retention_days=1.0)
        self._append('nova-compute.log', 'third')
        for now, left in ((0.5, 3), (1.5, 0), (2.0, 0)):
            made = self._reader()
            made._began = (made._began[0] + now * 86400, made._began[1])
            told, = self._look(made)
            self.assertEqual(left, len(self._texts()))
            self.assertEqual(
                {'retention': 3} if now == 1.5 else None,
                made._metrics().get('dropped'))
        self.assertEqual(('ready', 0), (told['status'], told['events']))

    def test_read_only(self) -> None:
        with mock.patch.object(folders, 'write_private', autospec=True,
                               side_effect=exception.StoreError(
                                   path='x', reason='Read-only')):
            told, = self._look()
            self.assertEqual('failed', told['status'])
        self.assertEqual(['ready'], [t['status'] for t in self._look()])
        self.assertEqual(['first', 'second'], self._texts())

    def test_full_disk(self) -> None:
        with mock.patch('os.fsync', autospec=True, side_effect=OSError(
                28, 'No space left on device')):
            told, = self._look()
            self.assertEqual('failed', told['status'])
            self.assertIn('No space left', told['error'])
            # The same error is told once, as long as nothing else is.
            self.assertEqual([], self._look())
        told, = self._look()
        self.assertEqual(('ready', 2), (told['status'], told['events']))

    def test_progress_and_the_same_error_again(self) -> None:
        def look(follower: tail.Tail, listing: bool, progress: Any) -> Any:
            progress('reading', 0.5)
            raise exception.StoreError(path='x', reason='full')

        with mock.patch.object(reader, '_PACE', -1.0), \
                mock.patch.object(tail.Tail, 'look', look):
            for _ in range(2):
                told, = self._look()
                self.assertEqual('failed', told['status'])
                # Otherwise it would be shown as one that is read.
                self.assertEqual({'reading': 'a', 'fraction': 0.5},
                                 self.ends.sent[0])

    def test_one_bad_source_of_two(self) -> None:
        self.config('sources', log_dirs={
            'a': str(self.tmp / 'missing'), 'b': str(self.folder)})
        told = self._look(self._reader())
        self.assertEqual([('a', 'failed'), ('b', 'ready')],
                         [(t['source'], t['status']) for t in told])

    def test_interrupted_in_the_middle(self) -> None:
        """A reading that failed half-way leaves nothing behind."""
        self._append('big.log', *(f'word{n}' for n in range(20)))
        real = parquet.ParquetStore.write
        calls: list[int] = []

        def write(store: parquet.ParquetStore, events: Any,
                  templates: Any, files: Any, *more: Any) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise exception.SourceUnreadable(path='x', reason='gone')
            real(store, events, templates, files, *more)

        with mock.patch.object(ingest, '_SEGMENT', 2), \
                mock.patch.object(ingest, '_PIECE', 300), \
                mock.patch.object(ingest, '_SMALL', 10):
            with mock.patch.object(parquet.ParquetStore, 'write', write):
                told, = self._look()
                self.assertEqual('failed', told['status'])
            told, = self._look()
        self.assertEqual(22, told['events'])
        self.assertEqual(22, len(self._texts()))


class TestProcess(test_worker.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.logs('logs', 'first')
        self.path = self.tmp / 'rca.conf'
        self._configure('')

    def _configure(self, more: str) -> None:
        self.path.write_text(
            f'[DEFAULT]\nstate_path = {self.tmp}/state\n'
            f'[sources]\ninterval = 0.1\nlog_dirs = a:{self.folder}\n'
            + more)

    def _start(self) -> child.Child:
        made = child.Child('openstack_rca.engine.reader',
                           ['--config-file', str(self.path)])
        self.addCleanup(made.end)
        return made

    def _told(self, made: child.Child) -> dict[str, Any]:
        """What it tells of a source next."""
        while 'source' not in (told := made.receive(_LONG) or {}):
            self.assertTrue(told['looked'])
        return told

    def _looked(self, made: child.Child) -> None:
        """Wait until it has looked once."""
        while 'looked' not in (told := made.receive(_LONG) or {}):
            self.assertNotEqual({}, told)

    def test_life(self) -> None:
        made = self._start()
        told = made.receive(_LONG)
        assert told is not None
        self.assertEqual(('a', 1), (told['source'], told['events']))
        self.assertTrue((made.receive(_LONG) or {})['looked'])
        with (self.folder / 'nova-compute.log').open('a') as log:
            log.write(LINE.format(5, 'second'))
        told = self._told(made)
        self.assertEqual(('a', 2), (told['source'], told['events']))
        # It ends when the engine does not want it any more.
        made.end(grace=_LONG)
        self.assertEqual('it ended with status 0', made.ending())

    def test_second_one_waits(self) -> None:
        first = self._start()
        self._looked(first)
        second = self._start()
        self.assertEqual({'waiting': True}, second.receive(_LONG))
        first.end()
        told = second.receive(_LONG)
        assert told is not None
        self.assertEqual('a', told['source'])

    def test_ends_while_it_waits(self) -> None:
        handle = state.take_lock()
        assert handle is not None
        self.addCleanup(os.close, handle)
        made = self._start()
        self.assertEqual({'waiting': True}, made.receive(_LONG))
        made.end(grace=_LONG)
        self.assertEqual('it ended with status 0', made.ending())

    def test_dies_with_the_engine(self) -> None:
        # A process that starts a reader, tells its id, and is killed.
        engine = subprocess.Popen(
            [sys.executable, '-c',
             'import sys, time; from openstack_rca.engine import child; '
             'made = child.Child("openstack_rca.engine.reader", '
             'sys.argv[1:]); made.receive(120); '
             'print(made.pid, flush=True); time.sleep(600)',
             '--config-file', str(self.path)],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(engine.wait)
        self.addCleanup(engine.kill)
        assert engine.stdout is not None
        pid = int(engine.stdout.readline())
        self.addCleanup(engine.stdout.close)
        gone = os.pidfd_open(pid)
        self.addCleanup(os.close, gone)
        engine.kill()
        self.assertTrue(_readable(gone))

    def test_sweeps_what_others_left(self) -> None:
        old = state.snapshots() / '999999999-1-a'
        old.mkdir()
        made = self._start()
        self._looked(made)
        self.assertFalse(old.exists())
        self.assertEqual([state.key(self.folder, 'UTC')], [
            p.name.rpartition('-')[2] for p in (
                self.tmp / 'state' / 'events').iterdir()])

    def test_messages_are_lines_of_json(self) -> None:
        found = subprocess.run(
            [sys.executable, '-m', 'openstack_rca.engine.reader',
             '--config-file', str(self.path)], input='', check=True,
            capture_output=True, text=True)
        for line in found.stdout.splitlines():
            self.assertIsInstance(json.loads(line), dict)
        self.assertNotIn('Traceback', found.stderr)


def _readable(handle: int) -> bool:
    return bool(select.select([handle], [], [], _LONG)[0])
