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
"""Whatever is done to logs: each line is stored once."""

import bz2
import collections
import gzip
import lzma
import os
import pathlib
import re
import shutil
import tempfile
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st
import polars as pl

from openstack_rca import exception
from openstack_rca.engine import ingest
from openstack_rca.engine import tail
from openstack_rca.store import parquet
from openstack_rca.tests import base

LINE = ('2026-11-20 03:%02d:%02d.%03d 4711 INFO nova.compute.manager '
        '[req-11111111-1111-1111-1111-111111111111 - - -] word-%d %s\n')
_NUMBER = re.compile(r'word-(\d+)')
_OPENERS: dict[str, Any] = {'gz': gzip.open, 'bz2': bz2.open,
                            'xz': lzma.open}


def line(number: int, more: str = 'text') -> str:
    """A line that no other is like."""
    return LINE % (number // 60000 % 60, number // 1000 % 60, number % 1000,
                   number, more)


def words(store: parquet.ParquetStore) -> collections.Counter[int]:
    """How often each line is stored."""
    found: collections.Counter[int] = collections.Counter()
    for text in store.scan().select('text').collect()['text']:
        found.update(int(n) for n in _NUMBER.findall(text))
    return found


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        self.number = 0
        self.store = parquet.ParquetStore(self.tmp / 'store')
        self.tail = tail.Tail(self.logs, self.store)

    def append(self, name: str = 'nova-compute.log', count: int = 3,
               more: str = 'text') -> None:
        path = self.logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open('a') as out:
            for _ in range(count):
                self.number += 1
                out.write(line(self.number, more))

    def move(self, old: str, new: str) -> None:
        (self.logs / old).rename(self.logs / new)

    def pack(self, name: str, ending: str = 'gz') -> None:
        path = self.logs / name
        with _OPENERS[ending](f'{path}.{ending}', 'wb') as out:
            out.write(path.read_bytes())
        path.unlink()

    def look(self, listing: bool = True) -> tail.Looked:
        return self.tail.look(listing)

    def again(self) -> None:
        """Another process goes on."""
        self.store = parquet.ParquetStore(self.tmp / 'store')
        self.tail = tail.Tail(self.logs, self.store)

    def held(self) -> dict[str, int]:
        return {s: r.events for s, r in sorted(self.store.files().items())}

    def assert_once(self) -> None:
        for store in (self.store,
                      parquet.ParquetStore(self.tmp / 'store')):
            self.assertEqual({n: 1 for n in range(1, self.number + 1)},
                             dict(words(store)))
        events = self.store.scan().group_by(
            'source').len().collect().rows()
        self.assertEqual(dict(events), {
            s: r.events for s, r in self.store.files().items() if r.events})


class TestRotation(TestCase):

    def test_by_rename(self) -> None:
        self.append()
        self.look()
        # Written between the last look and the rotation.
        self.append(count=2)
        self.move('nova-compute.log', 'nova-compute.log.1')
        self.append(count=1)
        self.look()
        self.assertEqual({'nova-compute.log': 1, 'nova-compute.log.1': 5},
                         self.held())
        self.assert_once()

    def test_a_long_series_costs_no_parsing(self) -> None:
        for age in range(14):
            self.append()
            self.look()
            for number in range(age, 0, -1):
                self.move(f'nova-compute.log.{number}',
                          f'nova-compute.log.{number + 1}')
            self.move('nova-compute.log', 'nova-compute.log.1')
        with mock.patch.object(ingest, 'ingest', autospec=True) as parse:
            self.look()
        parse.assert_not_called()
        self.assertEqual({f'nova-compute.log.{n}': 3 for n in range(1, 15)},
                         self.held())
        self.assert_once()

    def test_the_last_one_is_deleted(self) -> None:
        for _ in range(4):
            self.append()
            self.look()
            (self.logs / 'nova-compute.log.3').unlink(missing_ok=True)
            for number in (2, 1):
                if (self.logs / f'nova-compute.log.{number}').exists():
                    self.move(f'nova-compute.log.{number}',
                              f'nova-compute.log.{number + 1}')
            self.move('nova-compute.log', 'nova-compute.log.1')
        self.look()
        self.assertEqual({
            'nova-compute.log.1': 3, 'nova-compute.log.2': 3,
            'nova-compute.log.3': 3, 'nova-compute.log.3~1': 3},
            self.held())
        self.assert_once()

    def test_copied_and_truncated(self) -> None:
        self.append()
        self.look()
        self.append()
        shutil.copy(self.logs / 'nova-compute.log',
                    self.logs / 'nova-compute.log.1')
        # For a moment, there are two.
        looked = self.look()
        self.assertEqual(['the same as nova-compute.log'],
                         [s['reason'] for s in looked.skipped])
        os.truncate(self.logs / 'nova-compute.log', 0)
        self.look()
        # Larger than what was read before, at once.
        self.append(count=30)
        self.look()
        self.assertEqual({'nova-compute.log': 30, 'nova-compute.log.1': 6},
                         self.held())
        self.assert_once()

    def test_written_between_copy_and_look(self) -> None:
        self.append(count=4)
        self.look()
        shutil.copy(self.logs / 'nova-compute.log',
                    self.logs / 'nova-compute.log.1')
        # What copytruncate loses was read already.
        self.append(count=2)
        self.look()
        os.truncate(self.logs / 'nova-compute.log', 0)
        self.append(count=2)
        self.look()
        self.assertEqual({'nova-compute.log': 2, 'nova-compute.log.1': 6},
                         self.held())
        self.assert_once()
        # It is not looked into again and again.
        with mock.patch.object(parquet.ParquetStore, 'scan', autospec=True,
                               side_effect=AssertionError):
            self.assertFalse(self.look().changed)

    def test_packed_while_nobody_looked(self) -> None:
        for ending in ('gz', 'bz2', 'xz'):
            self.append()
            self.look()
            self.append()
            for number in (2, 1):
                for other in ('gz', 'bz2', 'xz'):
                    old = f'nova-compute.log.{number}.{other}'
                    if (self.logs / old).exists():
                        self.move(old,
                                  f'nova-compute.log.{number + 1}.{other}')
            self.move('nova-compute.log', 'nova-compute.log.1')
            self.pack('nova-compute.log.1', ending)
            self.append()
            self.again()
            self.look()
            self.assert_once()
        self.assertEqual({
            'nova-compute.log': 3, 'nova-compute.log.1.xz': 9,
            'nova-compute.log.2.bz2': 9, 'nova-compute.log.3.gz': 6},
            self.held())
        self.assertFalse(self.look().changed)

    def test_packed_while_both_are_there(self) -> None:
        self.append(count=4000)
        self.look()
        self.move('nova-compute.log', 'nova-compute.log.1')
        with gzip.open(self.logs / 'nova-compute.log.1.gz', 'wb') as out:
            data = (self.logs / 'nova-compute.log.1').read_bytes()
            out.write(data[:100000])
            out.flush()
            # It is half written.
            self.look()
            self.assert_once()
            out.write(data[100000:])
        self.look()
        (self.logs / 'nova-compute.log.1').unlink()
        self.look()
        self.assertEqual({'nova-compute.log.1.gz': 4000}, self.held())
        self.assert_once()

    def test_inode_of_another(self) -> None:
        self.append()
        self.look()
        # What is written in the place of a file is another one.
        (self.logs / 'nova-compute.log').write_text('')
        self.append(count=9)
        self.look()
        self.assertEqual({'nova-compute.log': 9, 'nova-compute.log~1': 3},
                         self.held())
        self.assert_once()

    def test_deleted_and_made_again(self) -> None:
        self.append()
        self.look()
        for times in range(3):
            (self.logs / 'nova-compute.log').unlink()
            if times:
                self.assertRaises(exception.SourceEmpty, self.look)
            self.append()
            self.look()
        self.assertEqual({'nova-compute.log': 3, 'nova-compute.log~1': 3,
                          'nova-compute.log~2': 3, 'nova-compute.log~3': 3},
                         self.held())
        self.assert_once()

    def test_same_text_of_two_hosts(self) -> None:
        self.append('cmp1/nova-compute.log')
        shutil.copytree(self.logs / 'cmp1', self.logs / 'cmp2')
        self.look()
        self.assertEqual({'cmp1/nova-compute.log': 3,
                          'cmp2/nova-compute.log': 3}, self.held())

    def test_moved_to_another_folder(self) -> None:
        self.append('nova/nova-compute.log')
        self.look()
        (self.logs / 'old').mkdir()
        self.append('nova/nova-compute.log')
        self.move('nova/nova-compute.log', 'old/nova-compute.log.1')
        self.look()
        self.assertEqual({'old/nova-compute.log.1': 6}, self.held())
        self.assert_once()

    def test_touched(self) -> None:
        self.append()
        self.look()
        os.utime(self.logs / 'nova-compute.log', (1, 1))
        with mock.patch.object(ingest, 'ingest', autospec=True) as parse:
            self.look()
            self.assertFalse(self.look().changed)
        parse.assert_not_called()
        self.assert_once()

    def test_archive_comes_changes_and_stays(self) -> None:
        aside = self.tmp / 'aside'
        for text in ('one', 'two'):
            aside.mkdir(exist_ok=True)
            (aside / f'nova-{text}.log').write_text(line(1, text))
            shutil.make_archive(str(self.logs / 'old'), 'tar', aside)
            shutil.rmtree(aside)
            self.look()
        self.assertEqual({'old.tar!nova-two.log': 1}, self.held())
        self.move('old.tar', 'older.tar')
        self.assertTrue(self.look().changed)
        self.assertFalse(self.look().changed)
        self.assertEqual({'older.tar!nova-two.log': 1}, self.held())
        (self.logs / 'older.tar').unlink()
        self.append('nova-api.log', 1)
        self.look()
        self.assertEqual({'nova-api.log': 1, 'older.tar!nova-two.log': 1},
                         self.held())


class TestGrowth(TestCase):

    def test_read_on_again_and_again(self) -> None:
        for _ in range(40):
            self.append(count=1)
            self.look(False)
            self.store.compact()
        self.assert_once()
        self.assertEqual({'nova-compute.log': 40}, self.held())

    def test_record_that_goes_on(self) -> None:
        self.append()
        self.look()
        with (self.logs / 'nova-compute.log').open('a') as out:
            out.write('  and more of it\n')
        self.look()
        self.append(count=1)
        self.look()
        self.assertEqual(4, self.held()['nova-compute.log'])
        self.assertEqual(2, max(self.store.scan().select(
            'lines').collect()['lines']))
        self.assert_once()

    def test_half_a_line(self) -> None:
        self.append()
        path = self.logs / 'nova-compute.log'
        whole = line(4)
        for end in (10, 60, len(whole)):
            path.write_text(''.join(map(line, (1, 2, 3))) + whole[:end])
            self.look()
        self.number = 4
        self.assert_once()

    def test_no_header_for_a_long_time(self) -> None:
        self.append()
        with (self.logs / 'nova-compute.log').open('a') as out:
            for _ in range(40):
                out.write('no header here\n' * 2000)
                out.flush()
                looked = self.look()
        # Not all of it is read each time.
        self.assertGreater(3 * tail._LONGEST, looked.bytes)
        self.append()
        self.look()
        self.assert_once()
        record = self.store.files()['nova-compute.log']
        self.assertEqual(80006, record.lines)
        self.assertEqual((self.logs / 'nova-compute.log').stat().st_size,
                         record.bytes)

    def test_many_files_are_one_segment(self) -> None:
        for number in range(20):
            self.append(f'nova-{number}.log')
        self.look()
        with mock.patch.object(parquet.ParquetStore, 'write', autospec=True,
                               side_effect=parquet.ParquetStore.write
                               ) as write:
            for number in range(20):
                self.append(f'nova-{number}.log', 1)
            self.look(False)
        self.assertEqual(1, write.call_count)
        self.assert_once()

    def test_another_takes_the_name_while_it_is_read(self) -> None:
        self.append()
        self.look()
        self.append()
        real = self.tail._source.read_unit

        def read(*args: Any) -> Any:
            self.move('nova-compute.log', 'nova-compute.log.1')
            self.append(count=200)
            return real(*args)

        with mock.patch.object(self.tail._source, 'read_unit', read):
            self.look()
        self.look()
        self.assertEqual({'nova-compute.log': 200, 'nova-compute.log.1': 6},
                         self.held())
        self.assert_once()

    def test_truncated_while_it_is_read(self) -> None:
        self.append()
        self.look()
        self.append()
        path = self.logs / 'nova-compute.log'
        real = self.tail._source.still
        calls: list[int] = []

        def still(*args: Any) -> Any:
            calls.append(1)
            if len(calls) == 1:
                shutil.copy(path, self.logs / 'nova-compute.log.1')
                os.truncate(path, 0)
                self.append(count=200)
            return real(*args)

        with mock.patch.object(self.tail._source, 'still', still):
            self.look()
        self.assertEqual({'nova-compute.log': 3}, self.held())
        self.look()
        self.assertEqual({'nova-compute.log': 200, 'nova-compute.log.1': 6},
                         self.held())
        self.assert_once()

    def test_deleted_while_it_is_read(self) -> None:
        self.append()
        self.append('nova-api.log')
        real = self.tail._source.read_unit

        def read(unit: Any, *args: Any) -> Any:
            if unit.source == 'nova-api.log':
                (self.logs / unit.source).unlink()
            return real(unit, *args)

        with mock.patch.object(self.tail._source, 'read_unit', read):
            self.look()
        self.assertEqual({'nova-compute.log': 3}, self.held())

    def test_unreadable_for_a_while(self) -> None:
        self.append()
        self.append('nova-api.log')
        real = os.open

        def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
            if str(path).endswith('nova-api.log'):
                raise PermissionError(13, 'Permission denied')
            return real(path, *args, **kwargs)

        with mock.patch('os.open', refuse):
            looked = self.look()
            self.assertEqual([('nova-api.log', 'permission denied')], [
                (s['source'], s['reason']) for s in looked.skipped])
            # Only the next list of files tries again.
            self.assertFalse(self.tail.stirred())
        self.look()
        self.assert_once()

    def test_own_logs_are_not_read(self) -> None:
        self.append()
        with mock.patch.object(tail, 'own_logs', autospec=True,
                               return_value=[str(self.logs / 'rca.log')]):
            self.tail = tail.Tail(self.logs, self.store)
        for name in ('rca.log', 'rca.log.1', 'openstack-rca-engine.log'):
            (self.logs / name).write_text(line(9))
        looked = self.look()
        self.assertEqual({'rca.log', 'rca.log.1',
                          'openstack-rca-engine.log'}, {
            s['source'] for s in looked.skipped
            if s['reason'] == 'the log of this program itself'})
        self.assert_once()


class TestExpiry(TestCase):

    def _expire(self, segments: int) -> int:
        """Drop so many segments, however old they are."""
        last = self.store._segments[segments - 1]
        return self.tail.expire(last.written[1] + 1e-6, 0).events

    def test_what_is_dropped_is_not_read_again(self) -> None:
        self.append()
        self.look()
        self.append(count=2)
        self.look()
        self.assertEqual(3, self._expire(1))
        for _ in range(2):
            self.assertEqual({'nova-compute.log': 2}, self.held())
            self.assertEqual({4, 5}, set(words(self.store)))
            self.assertFalse(self.look().changed)
            self.again()
        self.append()
        self.look()
        self.assertEqual({'nova-compute.log': 5}, self.held())
        self.assertEqual(2, self._expire(2))
        self.assertEqual({'nova-compute.log': 3}, self.held())
        self.assertEqual({6, 7, 8}, set(words(self.store)))

    def test_a_file_that_is_gone_is_forgotten(self) -> None:
        self.append()
        self.look()
        (self.logs / 'nova-compute.log').unlink()
        self.append('nova-api.log')
        self.look()
        self.assertEqual(3, self._expire(1))
        self.assertEqual({'nova-api.log': 3}, self.held())
        self.assertEqual(3, self._expire(len(self.store._segments)))
        # Its position is still needed.
        self.assertEqual({'nova-api.log': 0}, self.held())
        self.assertFalse(self.look().changed)
        self.assertEqual({}, dict(words(self.store)))

    def test_by_size(self) -> None:
        for _ in range(5):
            self.append(count=50)
            self.look()
        sizes = [s.size for s in self.store._segments]
        dropped = self.tail.expire(0.0, sum(sizes[2:]))
        self.assertEqual((100, sum(sizes[:2])),
                         (dropped.events, dropped.bytes))
        self.assertEqual(set(range(101, 251)), set(words(self.store)))
        self.assertEqual(0, self.tail.expire(0.0, sum(sizes)).events)

    def test_position_of_a_renamed_file_stays(self) -> None:
        self.append()
        self.look()
        self.move('nova-compute.log', 'nova-compute.log.1')
        self.append(count=1)
        self.look()
        self._expire(1)
        self.move('nova-compute.log.1', 'nova-compute.log.2')
        self.again()
        self.look()
        self.assertEqual({'nova-compute.log': 1, 'nova-compute.log.2': 0},
                         self.held())
        self.assertEqual({4}, set(words(self.store)))


class TestHealing(TestCase):

    def test_a_lost_segment(self) -> None:
        for _ in range(3):
            self.append()
            self.look()
        self.append('nova-api.log')
        self.look()
        self.move('nova-api.log', '.gone')
        (self.tmp / 'store' / '00000002.parquet').unlink()
        self.again()
        self.tail.heal = True
        self.look()
        self.assert_once()
        self.assertEqual({'nova-api.log': 3, 'nova-compute.log': 9},
                         self.held())


_NAMES = ('nova-api.log', 'nova-compute.log')


class _Machine(stateful.RuleBasedStateMachine):
    """Logs, everything that is done to them, and what is to be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.tmp = pathlib.Path(tempfile.mkdtemp())
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        self.number = 0
        #: Lines that have to be stored, once.
        self.must: set[int] = set()
        #: Lines that nobody could read before they were gone.
        self.may: set[int] = set()
        self._patches: list[Any] = [
            mock.patch.object(parquet, '_MANY', 3),
            mock.patch('os.fsync', autospec=True)]
        for patch in self._patches:
            patch.start()
        self._open()

    def teardown(self) -> None:
        for patch in self._patches:
            patch.stop()
        shutil.rmtree(self.tmp)

    def _open(self) -> None:
        self.store = parquet.ParquetStore(self.tmp / 'store')
        self.tail = tail.Tail(self.logs, self.store)

    def _unread(self, path: pathlib.Path) -> None:
        """A file is lost: what of it was not stored, may be missing."""
        if path.exists():
            found = {int(n) for n in _NUMBER.findall(path.read_text())}
            self.may |= found & self.must - set(words(self.store))

    @stateful.rule(name=st.sampled_from(_NAMES), count=st.integers(1, 30),
                   long=st.booleans())
    def append(self, name: str, count: int, long: bool) -> None:
        with (self.logs / name).open('a') as out:
            for _ in range(count):
                self.number += 1
                self.must.add(self.number)
                out.write(line(self.number, 'x' * 400 if long else 'y'))

    @stateful.rule(name=st.sampled_from(_NAMES), packed=st.booleans(),
                   copied=st.booleans())
    def rotate(self, name: str, packed: bool, copied: bool) -> None:
        """As logrotate does, and the third one is deleted."""
        path = self.logs / name
        if not path.exists():
            return
        for ending in ('', '.gz'):
            last = self.logs / f'{name}.3{ending}'
            if last.exists():
                data = (gzip.decompress(last.read_bytes()) if ending
                        else last.read_bytes()).decode()
                self.may |= {int(n) for n in _NUMBER.findall(data)
                             } - set(words(self.store))
                last.unlink()
            for number in (2, 1):
                old = self.logs / f'{name}.{number}{ending}'
                if old.exists():
                    old.rename(self.logs / f'{name}.{number + 1}{ending}')
        first = self.logs / f'{name}.1'
        if copied:
            shutil.copy(path, first)
            os.truncate(path, 0)
        else:
            path.rename(first)
        if packed:
            with gzip.open(f'{first}.gz', 'wb') as out:
                out.write(first.read_bytes())
            first.unlink()

    @stateful.rule(name=st.sampled_from(_NAMES))
    def copy_and_look_and_truncate(self, name: str) -> None:
        path = self.logs / name
        if not path.exists() or not path.stat().st_size:
            return
        target = self.logs / f'{name}.{20261100 + self.number % 28 + 1}'
        if target.exists():
            return
        shutil.copy(path, target)
        self.append(name, 2, False)
        self.look(True)
        os.truncate(path, 0)

    @stateful.rule(name=st.sampled_from(_NAMES), number=st.integers(0, 3),
                   ending=st.sampled_from(('', '.gz')))
    def delete(self, name: str, number: int, ending: str) -> None:
        path = self.logs / (f'{name}.{number}{ending}' if number else name)
        if path.exists():
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == '.gz' else data
                    ).decode()
            self.may |= {int(n) for n in _NUMBER.findall(text)
                         } - set(words(self.store))
            path.unlink()

    @stateful.rule(name=st.sampled_from(_NAMES), number=st.integers(1, 3))
    def pack(self, name: str, number: int) -> None:
        path = self.logs / f'{name}.{number}'
        target = self.logs / f'{name}.{number}.gz'
        if path.exists() and not target.exists():
            with gzip.open(target, 'wb') as out:
                out.write(path.read_bytes())
            path.unlink()

    @stateful.rule(listing=st.booleans())
    def look(self, listing: bool) -> None:
        try:
            self.tail.look(listing)
            if listing:
                assert set(words(self.store)) >= self.must - self.may
        except exception.SourceEmpty:
            pass

    @stateful.rule()
    def compact(self) -> None:
        self.store.compact()

    @stateful.rule()
    def reopen(self) -> None:
        self._open()

    @stateful.rule(after=st.integers(0, 4))
    def crash(self, after: int) -> None:
        """The process ends in the middle of what it writes."""
        real = parquet.ParquetStore._put
        calls: list[int] = []

        def put(*args: Any) -> None:
            calls.append(1)
            if len(calls) > after:
                raise KeyboardInterrupt
            real(*args)

        with mock.patch.object(parquet.ParquetStore, '_put', put):
            try:
                self.tail.look()
            except (KeyboardInterrupt, exception.SourceEmpty):
                pass
        self._open()

    @stateful.invariant()
    def once(self) -> None:
        found = words(self.store)
        assert set(found) <= self.must
        assert set(found.values()) <= {1}
        assert dict(self.store.scan().group_by('source').agg(
            pl.len()).collect().rows()) == {
            s: r.events for s, r in self.store.files().items() if r.events}


TestMachine = _Machine.TestCase
TestMachine.settings = hypothesis.settings(
    max_examples=30, stateful_step_count=30, deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck))
