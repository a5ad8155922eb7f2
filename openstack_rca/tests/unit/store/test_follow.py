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
"""Files that are renamed, segments that are united aside, and their end."""

import threading
from typing import Any
from unittest import mock

import polars as pl

from openstack_rca import exception
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples
from openstack_rca.tests.unit.store import test_compact

put = test_compact.put
contents = test_compact.contents


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.tmp / 'store'
        self.store = parquet.ParquetStore(self.folder)

    def assert_holds(self, told: dict[str, list[tuple[int, str]]],
                     *more: str) -> None:
        """What the store holds, in every way to look at it."""
        for store in (self.store, parquet.ParquetStore.snapshot(
                self.folder, self.tmp / f'snapshot-{id(told)}-{len(more)}'),
                parquet.ParquetStore(self.folder)):
            self.assertEqual(told, contents(store))
            self.assertEqual(told.keys() | set(more), store.files().keys())


class TestRename(TestCase):

    def test_a_chain_at_once(self) -> None:
        put(self.store, {'a': [(0, 'old')], 'b': [(0, 'older')]})
        self.store.rename({'a': 'b', 'b': 'c'})
        self.assert_holds({'b': [(0, 'old')], 'c': [(0, 'older')]})
        # Its name is free.
        put(self.store, {'a': [(0, 'new')]})
        put(self.store, {'b': [(0, 'old'), (100, 'more')]}, {'b': 0})
        self.assert_holds({
            'a': [(0, 'new')], 'b': [(0, 'old'), (100, 'more')],
            'c': [(0, 'older')]})
        self.store.rename({'a': 'b', 'b': 'c', 'c': 'd'})
        for number in range(8):
            put(self.store, {f's{number}': [(0, 'x')]})
        self.store.compact()
        self.store.forget({f's{number}' for number in range(8)})
        self.assert_holds({
            'b': [(0, 'new')], 'c': [(0, 'old'), (100, 'more')],
            'd': [(0, 'older')]})

    def test_back_to_its_first_name(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        self.store.rename({'a': 'b'})
        self.store.rename({'b': 'a'})
        put(self.store, {'a': [(100, 'two')]}, {'a': 100})
        self.assert_holds({'a': [(0, 'one'), (100, 'two')]})

    def test_what_is_in_an_archive(self) -> None:
        rows = samples.frame(samples.event(0, 'one', source='a.tar!x'),
                             samples.event(0, 'two', source='a.tar!y'))
        self.store.write(rows, samples.patterns(rows), [
            samples.record('a.tar!x', unit='a.tar'),
            samples.record('a.tar!y', unit='a.tar')])
        self.store.rename({'a.tar': 'b.tar'})
        self.assertEqual({'b.tar!x': 'b.tar', 'b.tar!y': 'b.tar'}, {
            s: r.unit for s, r in self.store.files().items()})

    def test_two_of_one_name(self) -> None:
        put(self.store, {'a': [(0, 'one')], 'b': [(0, 'two')]})
        self.assertRaises(exception.StoreError, self.store.rename,
                          {'a': 'b'})
        self.assert_holds({'a': [(0, 'one')], 'b': [(0, 'two')]})

    def test_unknown(self) -> None:
        self.store.rename({'a': 'b'})
        self.assertEqual([], list(self.folder.iterdir()))

    def test_forgotten_under_its_new_name(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        self.store.rename({'a': 'b'})
        put(self.store, {'a': [(0, 'two')]})
        self.store.forget({'b'})
        self.assert_holds({'a': [(0, 'two')]})

    def test_in_parts(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        self.store.rename({'a': 'b'})
        put(self.store, {'a': [(0, 'two')]}, ends=False)
        put(self.store, {'a': [(100, 'three')]})
        self.assert_holds({'a': [(0, 'two'), (100, 'three')],
                           'b': [(0, 'one')]})

    def test_given_up(self) -> None:
        put(self.store, {'a': [(0, 'one')]}, ends=False)
        self.store.abandon()
        self.assertEqual([], list(self.folder.iterdir()))
        put(self.store, {'a': [(100, 'two')]})
        self.assert_holds({'a': [(100, 'two')]})


class TestUniteAside(TestCase):

    def _while_it_writes(self, act: Any) -> None:
        """Unite eight segments, and do something meanwhile."""
        for number in range(8):
            put(self.store, {f's{number}': [(0, f'one {number}')]})
        real = parquet.ParquetStore._put
        inside, done = threading.Event(), threading.Event()

        def put_slowly(store: Any, name: str, *args: Any) -> None:
            if threading.current_thread() is thread and '.1.' in name:
                inside.set()
                self.assertTrue(done.wait(60))
            real(store, name, *args)

        failed: list[BaseException] = []

        def unite() -> None:
            try:
                self.store.compact()
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=unite)
        with mock.patch.object(parquet.ParquetStore, '_put', put_slowly):
            thread.start()
            self.assertTrue(inside.wait(60))
            try:
                act()
            finally:
                done.set()
                thread.join(60)
        self.assertEqual([], failed)

    def test_written_behind_it(self) -> None:
        def act() -> None:
            put(self.store, {'s1': [(0, 'one 1'), (100, 'more')]},
                {'s1': 0})
            put(self.store, {'t': [(0, 'new')]})
            self.store.rename({'s2': 's3', 's3': 's4', 's4': 's2'})
            self.store.forget({'s5'})
            # Not while the segments are read.
            self.store.compact()
            self.assertEqual(stores.Dropped(), self.store.expire(9e9, 0))

        self._while_it_writes(act)
        self.assert_holds({
            's0': [(0, 'one 0')], 's1': [(0, 'one 1'), (100, 'more')],
            's3': [(0, 'one 2')], 's4': [(0, 'one 3')],
            's2': [(0, 'one 4')], 's6': [(0, 'one 6')],
            's7': [(0, 'one 7')], 't': [(0, 'new')]})
        # It stands where they stood.
        self.assertEqual('00000008.1.parquet', min(
            p.name for p in self.folder.glob('*.parquet')))

    def test_all_of_it_is_forgotten(self) -> None:
        self._while_it_writes(lambda: self.store.forget(
            {f's{n}' for n in range(8)}))
        self.assert_holds({})
        self.assertEqual([], list(self.folder.iterdir()))

    def test_it_fails(self) -> None:
        for number in range(8):
            put(self.store, {f's{number}': [(0, f'one {number}')]})
        with mock.patch('os.fsync', autospec=True, side_effect=OSError(
                28, 'No space left on device')):
            self.assertRaises(exception.StoreError, self.store.compact)
        self.assertEqual([], list(self.folder.glob('*.partial')))
        self.store.compact()
        self.assertEqual(1, len(self.store._segments))
        self.assertEqual(8, len(contents(self.store)))

    def test_the_old_ones_are_still_there(self) -> None:
        """The process ended before it deleted them."""
        for number in range(8):
            put(self.store, {'a': [(number * 100, f'{number}')]},
                {'a': number * 100})
        with mock.patch.object(parquet.ParquetStore, '_delete',
                               autospec=True):
            self.store.compact()
        self.assertEqual(9, len(list(self.folder.glob('*[0-9].parquet'))))
        self.assert_holds({'a': [(n * 100, f'{n}') for n in range(8)]})
        self.assertEqual(1, len(list(self.folder.glob('*[0-9].parquet'))))

    def test_not_over_too_long_a_time(self) -> None:
        self.store.span = 100.0
        for number in range(12):
            with mock.patch('time.time', autospec=True,
                            return_value=1000.0 + 20 * number):
                put(self.store, {f's{number}': [(0, 'x')]})
        with mock.patch.object(parquet, '_MANY', 2):
            self.store.compact()
        self.assertEqual([1, 2, 3, 4, 5, 6, 12],
                         [s.number for s in self.store._segments])


class TestExpire(TestCase):

    def test_a_file_that_is_read_anew(self) -> None:
        put(self.store, {'a': [(0, 'one'), (100, 'two')]})
        self.assertEqual(2, self.store.expire(9e9, 0).events)
        self.assert_holds({}, 'a')
        put(self.store, {'a': [(0, 'three')]})
        self.assertEqual(1, self.store.files()['a'].events)
        self.assert_holds({'a': [(0, 'three')]})

    def test_again_and_again(self) -> None:
        for number in range(30):
            put(self.store, {'a': [(number * 100, f'{number}')]},
                {'a': number * 100})
            self.store.compact()
            if number % 3 == 2:
                self.store.expire(self.store._segments[-1].written[1], 0)
        self.assertEqual([(2900, '29')], contents(self.store)['a'])
        # What is empty is one segment.
        self.assertEqual(2, len(self.store._segments))

    def test_a_snapshot_of_before(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        before = parquet.ParquetStore.snapshot(
            self.folder, self.tmp / 'snapshot')
        self.store.expire(9e9, 0)
        self.assertEqual({'a': [(0, 'one')]}, contents(before))

    def test_damaged(self) -> None:
        for number in range(3):
            put(self.store, {f's{number}': [(0, 'x')]})
        self.store.check()
        with mock.patch.object(pl, 'scan_parquet', autospec=True,
                               side_effect=OSError(5, 'Input/output error')):
            # The disk may be read later.
            error = self.assertRaises(exception.StoreError, self.store.check)
            self.assertNotIsInstance(error, stores.DamagedError)
        path = self.folder / '00000002.parquet'
        data = bytearray(path.read_bytes())
        length = int.from_bytes(data[-8:-4], 'little') + 8
        data[4:-length] = bytes(len(data) - length - 4)
        path.write_bytes(data)
        for error in (
                self.assertRaises(stores.DamagedError, self.store.check),
                self.assertRaises(stores.DamagedError, self.store.expire,
                                  9e9, 0)):
            self.assertEqual(path, error.path)
        path.unlink()
        self.store = parquet.ParquetStore(self.folder)
        self.assertEqual(2, self.store.expire(9e9, 0).events)

    def test_position(self) -> None:
        rows = samples.frame(samples.event(0, 'one', source='a'))
        for position in ('first', 'second'):
            self.store.write_at(rows, samples.patterns(rows),
                                [samples.record('a')], position)
        for number in range(9):
            put(self.store, {f's{number}': [(0, 'x')]})
        self.store.compact()
        self.store.expire(9e9, 0)
        self.store.forget(set(self.store.files()))
        for store in (self.store, parquet.ParquetStore(self.folder)):
            self.assertEqual('second', store.position)


class TestSnapshotAgain(TestCase):

    def test_only_what_is_new_is_read(self) -> None:
        for number in range(5):
            put(self.store, {f's{number}': [(0, 'x')]})
        before = parquet.ParquetStore.snapshot(self.folder,
                                               self.tmp / 'one')
        put(self.store, {'s1': [(0, 'y')]})
        with mock.patch.object(
                parquet.ParquetStore, '_read', autospec=True,
                side_effect=parquet.ParquetStore._read) as read:
            after = parquet.ParquetStore.snapshot(
                self.folder, self.tmp / 'two', before)
        self.assertEqual(['00000006.parquet'],
                         [call.args[0].name for call in read.mock_calls])
        self.assertEqual(contents(self.store), contents(after))
        self.assertEqual([(0, 'x')], contents(before)['s1'])
