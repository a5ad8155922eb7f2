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
"""The local door: what is parsed, kept, parsed again and answered."""

import datetime
import fcntl
import gzip
import io
import json
import os
import pathlib
import tarfile
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.engine import cache as caches
from openstack_rca.engine import drivers
from openstack_rca.engine import folder as folders
from openstack_rca.engine import ingest
from openstack_rca.engine import local
from openstack_rca.engine import session
from openstack_rca.events import parser
from openstack_rca.store import base as stores
from openstack_rca.tests import base

ROOT = pathlib.Path(__file__).parents[4]
FIXTURES = ROOT / 'openstack_rca' / 'tests' / 'fixtures' / 'logs'
EXAMPLE = ROOT / 'examples' / 'no-valid-host'
SERVER = '33333333-3333-3333-3333-333333333333'
LOCAL = 'req-11111111-1111-1111-1111-111111111111'
OTHER = 'req-55555555-5555-5555-5555-555555555555'
SHARED = 'req-22222222-2222-2222-2222-222222222222'


def line(second: int, text: str, level: str = 'INFO',
         context: str = '-') -> str:
    return (f'2026-11-20 03:{second // 60:02}:{second % 60:02}.123 4833 '
            f'{level} nova.api [{context}] {text}\n')


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        self.parsed: list[str] = []
        real = parser.parse

        def parse(parts: list[parser.Part], *args: Any) -> parser.Piece:
            self.parsed += [p.origin.source for p in parts
                            if p.origin.source]
            return real(parts, *args)

        patch = mock.patch.object(parser, 'parse', parse)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(self.release)

    def release(self) -> None:
        """Give up the cache, as the end of the process does."""
        while caches._HELD:
            os.close(caches._HELD.popitem()[1])

    def log(self, name: str, *lines: str) -> pathlib.Path:
        path = self.logs / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(''.join(lines))
        return path

    def open(self, path: pathlib.Path | None = None,
             **values: Any) -> session.Session:
        self.parsed.clear()
        return local.open_folder(path or self.logs, **values)

    def texts(self, session: session.Session, **values: Any) -> list[str]:
        return [e['text'].rpartition('] ')[2]
                for e in session.events(**values)]

    @property
    def cache(self) -> pathlib.Path:
        return self.tmp / 'xdg' / 'cache' / 'openstack-rca' / 'events'

    def kept(self) -> list[pathlib.Path]:
        return sorted(self.cache.iterdir()) if self.cache.exists() else []


class TestCache(TestCase):

    def test_second_question_parses_nothing(self) -> None:
        self.log('nova-api.log', line(1, 'one'))
        self.log('nova-compute.log', line(2, 'two'))
        first = self.open()
        self.assertEqual(2, len(self.parsed))
        second = self.open()
        self.assertEqual([], self.parsed)
        self.assertEqual(first.events(), second.events())
        self.assertEqual(first.coverage, second.coverage)
        self.assertEqual(first.sources(), second.sources())

    def test_changed_file_is_parsed_again(self) -> None:
        self.log('a.log', line(1, 'one'), line(2, 'two'))
        self.log('b.log', line(3, 'three'))
        self.open()
        self.log('a.log', line(1, 'uno'), line(2, 'due'))
        session = self.open()
        self.assertEqual(['a.log'], self.parsed)
        self.assertEqual(['uno', 'due', 'three'], self.texts(session))

    def test_new_file_alone_is_parsed(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.open()
        self.log('b.log', line(2, 'two'))
        self.assertEqual(['one', 'two'], self.texts(self.open()))
        self.assertEqual(['b.log'], self.parsed)

    def test_deleted_file_is_forgotten(self) -> None:
        self.log('a.log', line(1, 'one'))
        gone = self.log('b.log', line(2, 'two'))
        self.open()
        gone.unlink()
        session = self.open()
        self.assertEqual([], self.parsed)
        self.assertEqual(['one'], self.texts(session))
        self.assertEqual(['a.log'], [s['source'] for s in session.coverage])

    def test_file_that_lost_everything(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.log('b.log', line(2, 'two'))
        self.open()
        self.log('b.log', '')
        self.assertEqual(['one'], self.texts(self.open()))

    def test_no_cache(self) -> None:
        self.log('a.log', line(1, 'one'))
        for _ in range(2):
            session = self.open(cache=False)
            self.assertEqual(['a.log'], self.parsed)
            self.assertEqual(['one'], self.texts(session))
        self.assertEqual([], self.kept())

    def test_temporary_folder_goes_with_the_session(self) -> None:
        self.log('a.log', line(1, 'one'))
        session = self.open(cache=False)
        folder = session.store.path
        self.assertEqual(0o700, folder.stat().st_mode & 0o777)
        del session
        self.assertFalse(folder.exists())

    def test_time_zone_is_part_of_the_key(self) -> None:
        self.log('a.log', line(1, 'one'))
        utc = self.open().events()[0]['timestamp']
        tokyo = self.open(timezone='Asia/Tokyo')
        self.assertEqual(['a.log'], self.parsed)
        self.assertEqual('2026-11-20T03:00:01.123000+00:00', utc)
        self.assertEqual('2026-11-19T18:00:01.123000+00:00',
                         tokyo.events()[0]['timestamp'])
        self.assertEqual('Asia/Tokyo', tokyo.coverage[0]['clock'])

    def test_limits_are_part_of_the_key(self) -> None:
        self.log('a.log', line(1, 'x' * 5000))
        self.assertEqual([], self.open().skipped)
        self.config(group='limits', max_line_bytes=2000)
        session = self.open()
        self.assertEqual(['a.log'], [s['source'] for s in session.skipped])

    def test_modes(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.log('a.log', line(1, 'one'))
        self.open()
        folder, = self.kept()
        for path in (folder, self.cache, self.cache.parent):
            self.assertEqual(0o700, path.stat().st_mode & 0o777, str(path))
        for path in folder.iterdir():
            self.assertEqual(0o600, path.stat().st_mode & 0o777, str(path))

    def test_folder_of_the_configuration_keeps_its_mode(self) -> None:
        shared = self.tmp / 'shared'
        shared.mkdir(mode=0o755)
        self.config(group='local_cache', directory=str(shared))
        self.log('a.log', line(1, 'one'))
        self.open()
        self.assertEqual(0o755, shared.stat().st_mode & 0o777)
        self.assertEqual(0o700,
                         (shared / 'events').stat().st_mode & 0o777)

    def test_cache_switched_off(self) -> None:
        self.log('a.log', line(1, 'one'))
        for option in ('max_age', 'max_size'):
            self.config(group='local_cache', **{option: 0})
            self.open()
            self.assertEqual([], self.kept())
            self.conf.clear_override(option, group='local_cache')

    def test_eviction_by_age(self) -> None:
        self.log('a.log', line(1, 'one'))
        other = self.log('other/b.log', line(1, 'one')).parent
        self.open(other)
        old, = self.kept()
        self.release()
        self.config(group='local_cache', max_age=1000)
        os.utime(old / 'used', (1, 1))
        self.open()
        self.assertFalse(old.exists())
        self.assertEqual(1, len(self.kept()))

    def test_eviction_by_size_takes_the_oldest(self) -> None:
        folders: list[pathlib.Path] = []
        for name in 'abc':
            folder = self.log(f'{name}/x.log', line(1, name)).parent
            self.open(folder)
            new, = set(self.kept()) - set(folders)
            folders.append(new)
        self.release()
        for age, folder in zip((500, 900, 100), folders, strict=True):
            os.utime(folder / 'used', (folder.stat().st_mtime - age,) * 2)
        size = max(caches._size(f) for f in folders)
        self.config(group='local_cache', max_size=int(size * 2.5))
        self.open(self.logs / 'a')
        self.assertEqual([True, False, True],
                         [f.exists() for f in folders])

    def test_folder_in_use_is_not_evicted(self) -> None:
        self.log('a/x.log', line(1, 'one'))
        self.log('b/x.log', line(1, 'two'))
        session = self.open(self.logs / 'a')
        os.utime(session.store.path / 'used', (1, 1))
        self.config(group='local_cache', max_age=1000)
        self.open(self.logs / 'b')
        self.assertEqual(['one'], self.texts(session))

    def test_second_process_uses_a_temporary_folder(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.open()
        folder, = self.kept()
        self.release()
        with open(folder / 'lock') as lock:
            # The lock of another open file is like that of a process.
            fcntl.flock(lock, fcntl.LOCK_EX)
            session = self.open()
        self.assertNotEqual(folder, session.store.path)
        self.assertEqual(['a.log'], self.parsed)
        self.assertEqual(['one'], self.texts(session))

    def test_unwritable_cache(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.cache.parent.write_text('in the way')
        self.assertEqual(['one'], self.texts(self.open()))

    def test_lock_of_an_evicted_folder(self) -> None:
        folder = self.tmp / 'folder'
        folder.mkdir()
        real = fcntl.flock

        def flock(handle: int, how: int) -> None:
            (folder / 'lock').unlink()
            real(handle, how)

        with mock.patch('fcntl.flock', flock):
            self.assertFalse(caches._lock(folder))
        self.assertTrue(caches._lock(folder))

    def test_damaged_cache_is_made_anew(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.open()
        folder, = self.kept()
        for path in folder.glob('*.parquet'):
            path.write_bytes(b'damaged')
        (folder / 'odd').mkdir()
        self.assertEqual(['one'], self.texts(self.open()))
        self.assertEqual(['a.log'], self.parsed)
        self.open()
        self.assertEqual([], self.parsed)
        self.assertEqual([folder], self.kept())

    def test_damaged_notes(self) -> None:
        self.log('a.log', line(1, 'one'))
        for notes in ('', '[]', '{"a.log": 1}', '{"a.log": {}}',
                      '{"a.log": {"identity": "x", "files": 1, '
                      '"skipped": [1]}}', '\0'):
            self.open()
            folder, = self.kept()
            (folder / 'skipped.json').write_text(notes)
            self.assertEqual(['one'], self.texts(self.open()))
            self.assertEqual(['a.log'], self.parsed)

    def test_segments_that_vanished(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.open()
        folder, = self.kept()
        for path in folder.glob('*.parquet'):
            path.unlink()
        self.assertEqual(['one'], self.texts(self.open()))

    def test_interrupted(self) -> None:
        for name in 'abcdef':
            self.log(f'{name}.log', *(line(i, name) for i in range(9)))
        with mock.patch.multiple(ingest, _SEGMENT=5, _SMALL=0, _PIECE=150):
            with mock.patch.object(folders, '_keep_notes', autospec=True,
                                   side_effect=KeyboardInterrupt):
                self.assertRaises(KeyboardInterrupt, self.open)
        self.assertEqual([name for name in 'abcdef' for _ in range(9)],
                         sorted(self.texts(self.open())))

    def test_archive_of_which_some_members_are_stored(self) -> None:
        path = self.logs / 'logs.tar'
        with tarfile.open(path, 'w') as tar:
            for name in 'abcdef':
                data = line(1, name).encode()
                member = tarfile.TarInfo(f'{name}.log')
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        writes: list[int] = []
        real = ingest._Writer._write

        def write(writer: Any, *args: Any) -> None:
            writes.append(1)
            if len(writes) > 3:
                raise exception.StoreError(path='x', reason='full')
            real(writer, *args)

        with mock.patch.multiple(ingest, _SEGMENT=1, _SMALL=0), \
                mock.patch.object(ingest._Writer, '_write', write):
            self.assertRaises(exception.StoreError, self.open)
        self.assertEqual(list('abcdef'), sorted(self.texts(self.open())))

    def test_skipped_is_told_each_time(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.log('long.log', line(1, 'x' * 5000))
        (self.logs / 'image.log').write_bytes(b'\x89PNG\0\0\0')
        whole = gzip.compress(b''.join(
            line(i % 60, str(i)).encode() for i in range(999)), mtime=0)
        (self.logs / 'cut.log.gz').write_bytes(whole[:len(whole) // 2])
        (self.logs / 'bad.log.gz').write_bytes(whole[:12])
        self.config(group='limits', max_line_bytes=1024)
        first = self.open().skipped
        self.assertEqual({'long.log', 'image.log', 'cut.log.gz',
                          'bad.log.gz'}, {s['source'] for s in first})
        second = self.open()
        self.assertEqual([], self.parsed)
        self.assertEqual(sorted(first, key=str),
                         sorted(second.skipped, key=str))
        self.log('long.log', line(1, 'short'))
        self.assertEqual({'image.log', 'cut.log.gz', 'bad.log.gz'},
                         {s['source'] for s in self.open().skipped})

    def test_baseline(self) -> None:
        self.log('now/a.log', line(1, 'one'))
        self.log('quiet/a.log', line(1, 'two'))
        session = self.open(self.logs / 'now', baseline=self.logs / 'quiet')
        self.assertEqual(['one'], self.texts(session))
        assert session.baseline is not None
        self.assertEqual(1, session.baseline.query(stores.Query()).height)
        self.assertEqual('complete', session.analyze(
            scope.Question('what?'))['status'])

    def test_progress(self) -> None:
        self.log('a.log', line(1, 'one'))
        seen: list[str] = []
        self.open(progress=lambda stage, share: seen.append(stage))
        self.open(progress=lambda stage, share: seen.append(stage))


class TestGrowth(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.log('nova-api.log', *(
            line(i, f'old {i}') for i in range(200)))
        self.log('other.log', line(7, 'other'))
        self.pieces: list[tuple[int, int]] = []
        real = parser.parse

        def parse(parts: list[parser.Part], *args: Any) -> parser.Piece:
            self.pieces += [(p.offset, p.line) for p in parts
                            if p.origin.source == 'nova-api.log']
            return real(parts, *args)

        patch = mock.patch.object(parser, 'parse', parse)
        patch.start()
        self.addCleanup(patch.stop)

    def append(self, *lines: str) -> None:
        with self.path.open('a') as out:
            out.write(''.join(lines))

    def assert_like_anew(self, session: session.Session) -> None:
        """What was read on is what reading it whole gives."""
        anew = self.open(cache=False)
        self.assertEqual(anew.events(limit=5000), session.events(limit=5000))
        self.assertEqual(anew.sources(), session.sources())
        self.assertEqual(anew.coverage, session.coverage)

    def grow(self, *lines: str) -> None:
        self.open()
        self.append(*lines)
        self.pieces.clear()
        session = self.open()
        self.assertEqual({'nova-api.log'}, set(self.parsed))
        self.assert_grown()
        self.assert_like_anew(session)

    def assert_grown(self) -> None:
        self.assertGreater(min(self.pieces)[0], 0)

    def test_only_the_new_part_is_parsed(self) -> None:
        size = self.path.stat().st_size
        self.open()
        self.append(line(300, 'new'))
        self.pieces.clear()
        session = self.open()
        # From the last record on, since that may have gone on.
        self.assertEqual([(size - len(line(199, 'old 199')), 200)],
                         self.pieces)
        self.assertEqual(['new'], self.texts(session)[-1:])
        self.assert_like_anew(session)

    def test_last_record_goes_on(self) -> None:
        self.grow('Traceback (most recent call last):\n', '  more\n',
                  line(300, 'new'))

    def test_half_a_line(self) -> None:
        self.append('2026-11-20 03:04')
        self.grow(line(250, 'whole')[16:], line(251, 'next'))

    def test_half_a_character(self) -> None:
        with self.path.open('ab') as out:
            out.write(line(250, 'Zürich').encode()[:-6])
        self.open()
        with self.path.open('ab') as out:
            out.write(line(250, 'Zürich').encode()[-6:])
        self.pieces.clear()
        session = self.open()
        self.assert_grown()
        self.assert_like_anew(session)

    def test_nothing_but_headless_lines(self) -> None:
        self.append(*(f'  {i}\n' for i in range(50)))
        self.grow(*(f'  {i}\n' for i in range(50, 99)))

    def test_again_and_again(self) -> None:
        self.open()
        with mock.patch.object(folders, '_MOST_PIECES', 4):
            wholes = 0
            for i in range(10):
                self.append(line(300 + i, f'new {i}'), '  and more\n')
                self.pieces.clear()
                session = self.open()
                wholes += (0, 1) in self.pieces
                records = session.store.files()
                self.assertEqual(202 + i,
                                 sum(r.events for r in records.values()))
            self.assertEqual(2, wholes)
        folder, = self.kept()
        self.assertLess(len(list(folder.glob('*.tpl.parquet'))), 7)
        self.assert_like_anew(session)

    def test_touched(self) -> None:
        self.open()
        os.utime(self.path, (1, 1))
        self.assert_like_anew(self.open())

    def test_rewritten_and_longer(self) -> None:
        self.open()
        self.path.write_text(''.join(
            line(i, f'other {i}') for i in range(300)))
        self.pieces.clear()
        session = self.open()
        self.assertIn((0, 1), self.pieces)
        self.assert_like_anew(session)

    def test_truncated(self) -> None:
        self.open()
        self.path.write_text(line(1, 'old 1'))
        self.assert_like_anew(self.open())

    def test_rotated(self) -> None:
        self.open()
        self.path.rename(self.logs / 'nova-api.log.1')
        self.path.write_text(line(400, 'fresh'))
        self.assert_like_anew(self.open())

    def test_in_pieces(self) -> None:
        with mock.patch.multiple(ingest, _SMALL=0, _PIECE=700, _SEGMENT=50):
            self.grow(*(line(200 + i, f'new {i}') + '  more\n'
                        for i in range(100)))

    def test_notifications_and_json(self) -> None:
        for name in ('notifications.jsonl', 'oslo-json.log',
                     'journal.jsonl'):
            data = (FIXTURES / name).read_bytes()
            for part in (3, 2):
                (self.logs / name).unlink(missing_ok=True)
                (self.logs / name).write_bytes(data[:len(data) // part])
                self.open()
                with (self.logs / name).open('ab') as out:
                    out.write(data[len(data) // part:])
                self.assert_like_anew(self.open())

    def test_skipped_lines_stay_told(self) -> None:
        self.config(group='limits', max_line_bytes=1024)
        self.append(line(250, 'x' * 3000), line(251, 'short'))
        self.open()
        self.append(line(252, 'new'), line(253, 'last'))
        session = self.open()
        self.assertEqual(['nova-api.log'],
                         [s['source'] for s in session.skipped])

    def test_archives_are_read_whole(self) -> None:
        packed = self.logs / 'x.log.gz'
        packed.write_bytes(gzip.compress(line(1, 'one').encode()))
        self.open()
        with packed.open('ab') as out:
            out.write(gzip.compress(line(2, 'two').encode()))
        self.assert_like_anew(self.open())

    def test_damaged_cache(self) -> None:
        self.open()
        self.append(line(300, 'new'))
        folder, = self.kept()
        for path in folder.glob('*.parquet'):
            if not path.name.endswith('.tpl.parquet'):
                data = bytearray(path.read_bytes())
                data[4:3000] = b'\xff' * 2996
                path.write_bytes(data)
        # An answer, or an error that says what to do.
        try:
            self.open()
        except exception.StoreError as error:
            self.assertIn('--no-cache', str(error))


class TestErrors(TestCase):

    def test_not_there(self) -> None:
        error = self.assertRaises(exception.SourceNotFound, self.open,
                                  self.tmp / 'nowhere')
        self.assertIn('nowhere', str(error))

    def test_empty_folder(self) -> None:
        self.assertRaises(exception.SourceEmpty, self.open)

    def test_nothing_recognised(self) -> None:
        self.log('a.log', 'once upon\n', 'a time\n')
        for _ in range(2):
            error = self.assertRaises(exception.NothingRecognised, self.open)
            self.assertIn('1 files', str(error))

    def test_nothing_recognised_in_a_long_file(self) -> None:
        self.log('a.log', 'once upon a time\n' * 500)
        with mock.patch.multiple(ingest, _SMALL=0, _PIECE=700):
            self.assertRaises(exception.NothingRecognised, self.open)

    def test_bad_time_zone(self) -> None:
        self.log('a.log', line(1, 'one'))
        for name in ('Nowhere/City', '', '../etc/passwd', 'Europe', '\0',
                     'localtime', 'right/UTC', 'x' * 999):
            error = self.assertRaises(exception.InvalidInput, self.open,
                                      timezone=name)
            self.assertIn('Europe/Berlin', str(error))

    def test_unknown_driver(self) -> None:
        error = self.assertRaises(
            exception.DriverNotFound, drivers.load,
            'openstack_rca.stores', 'punchcards')
        self.assertIn('parquet', str(error))

    def test_unknown_detector(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.config(group='detectors', enabled=['oracle'])
        error = self.assertRaises(
            exception.DriverNotFound, self.open().analyze,
            scope.Question('what?'))
        self.assertIn('novelty', str(error))

    def test_baseline_that_is_not_there(self) -> None:
        self.log('a.log', line(1, 'one'))
        self.assertRaises(exception.SourceNotFound, self.open,
                          baseline=self.tmp / 'nowhere')

    def test_no_temporary_folder(self) -> None:
        self.log('a.log', line(1, 'one'))
        with mock.patch('tempfile.mkdtemp', autospec=True,
                        side_effect=OSError(
                            28, 'No space left on device')):
            error = self.assertRaises(exception.StoreError, self.open,
                                      cache=False)
        self.assertIn('No space left', str(error))

    def test_store_that_is_damaged_later(self) -> None:
        self.log('a.log', *(line(i, f'{i * 7919}') for i in range(500)))
        session = self.open()
        for path in session.store.path.glob('*.parquet'):
            path.unlink()
        for ask in (lambda: session.analyze(scope.Question('what?')),
                    session.events, lambda: session.trace(LOCAL)):
            self.assertRaises(exception.StoreError, ask)


class TestAnswers(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log('nova-api.log',
                 line(1, f'Asked for server {SERVER}', 'INFO',
                      f'{SHARED} {LOCAL} u1 p1 - - - -'),
                 line(4, 'Answered', 'WARNING',
                      f'{SHARED} {LOCAL} u1 p1 - - - -'),
                 line(9, 'Something else'))
        self.log('nova-compute.log',
                 line(2, f'[instance: {SERVER}] Failed to build', 'ERROR',
                      f'{SHARED} {OTHER} u1 p1 - - - -'))
        self.session = self.open()

    def test_events(self) -> None:
        self.assertEqual(4, len(self.session.events()))
        event = self.session.events(level='error')[0]
        self.assertEqual('2026-11-20T03:00:02.123000+00:00',
                         event['timestamp'])
        self.assertEqual(('nova', 'nova-compute', 'ERROR', OTHER, SHARED),
                         (event['service'], event['binary'], event['level'],
                          event['request_id'], event['global_request_id']))
        self.assertEqual(('nova-compute.log', 1, 0),
                         (event['source'], event['line'], event['offset']))
        self.assertEqual([SERVER], event['resources'])
        json.dumps(self.session.events())

    def test_conditions(self) -> None:
        at = datetime.datetime(2026, 11, 20, 3, 0, 4, 123000,
                               tzinfo=datetime.UTC)
        template = self.session.events(level='error')[0]['template']
        for count, conditions in (
                (2, {'since': at}), (3, {'until': at}),
                (2, {'request_id': LOCAL}), (3, {'request_id': SHARED}),
                (2, {'server': SERVER}), (1, {'service': 'nova-compute'}),
                (2, {'level': 'warning'}), (1, {'template': template}),
                (1, {'words': 'FAILED'}), (0, {'words': ('failed', 'x')}),
                (2, {'limit': 2})):
            self.assertEqual(
                count, len(self.session.events(
                    **conditions)), conditions)  # type: ignore[arg-type]

    def test_moments_of_another_zone(self) -> None:
        zone = datetime.timezone(datetime.timedelta(hours=1))
        self.assertEqual(['Something else'], self.texts(
            self.session, since=datetime.datetime(
                2026, 11, 20, 4, 0, 5, tzinfo=zone)))

    def test_conditions_that_make_no_sense(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        for conditions in (
                {'since': now, 'until': now - datetime.timedelta(1)},
                {'level': 'loud'}, {'template': 'xyz'},
                {'template': 'f' * 17}, {'server': 'no-such-name'},
                {'server': 'x' * 100000}, {'limit': 0}, {'limit': -1}):
            self.assertRaises(exception.InvalidInput, self.session.events,
                              **conditions)

    @hypothesis.settings(max_examples=40, deadline=None)
    @hypothesis.given(strategies.text(max_size=60))
    def test_hostile_words(self, text: str) -> None:
        for conditions in ({'words': text}, {'server': text},
                           {'service': text}, {'template': text},
                           {'level': text}, {'request_id': text}):
            try:
                self.session.events(**conditions)  # type: ignore[arg-type]
            except exception.InvalidInput:
                continue

    def test_trace(self) -> None:
        for name in (SHARED, LOCAL, OTHER, LOCAL[4:]):
            way = self.session.trace(name)
            json.dumps(way)
            self.assertEqual(SHARED, way['global_request_id'])
            self.assertEqual({LOCAL, OTHER}, set(way['request_ids']))
            self.assertEqual([0.0, 1000.0, 3000.0],
                             [e['delta_ms'] for e in way['events']])
            self.assertEqual(
                [('nova-api', 2, 0), ('nova-compute', 1, 1)],
                [(s['binary'], s['events'], s['errors'])
                 for s in way['services']])

    def test_trace_of_nobody(self) -> None:
        for name in ('req-00000000-0000-0000-0000-000000000000', '', 'x',
                     SERVER):
            self.assertRaises(exception.UnknownRequest, self.session.trace,
                              name)

    def test_sources(self) -> None:
        rows = self.session.sources()
        json.dumps(rows)
        self.assertEqual(['nova-api.log', 'nova-compute.log'],
                         [r['source'] for r in rows])
        self.assertEqual(
            ('log', 'oslo', 'nova', 'nova-api', 3, 3, 0),
            tuple(rows[0][k] for k in (
                'kind', 'format', 'service', 'binary', 'events', 'lines',
                'unparsed')))
        self.assertEqual((self.logs / 'nova-api.log').stat().st_size,
                         rows[0]['bytes'])

    def test_coverage(self) -> None:
        self.assertEqual({
            'source': 'nova-compute.log', 'events': 1, 'clock': 'UTC',
            'from': '2026-11-20T03:00:02.123000+00:00',
            'to': '2026-11-20T03:00:02.123000+00:00'},
            self.session.coverage[1])
