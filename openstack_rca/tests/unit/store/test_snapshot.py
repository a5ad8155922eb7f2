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
"""Reading a store that has a writer."""

import os
import pathlib
import threading
from typing import Any
from unittest import mock

from openstack_rca import exception
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import test_compact

put = test_compact.put
contents = test_compact.contents


class TestSnapshot(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.tmp / 'store'
        self.store = parquet.ParquetStore(self.folder)
        self.number = 0

    def _snapshot(self) -> stores.Store:
        self.number += 1
        return parquet.ParquetStore.snapshot(
            self.folder, self.tmp / 'snapshots' / str(self.number))

    def test_writer_is_not_seen(self) -> None:
        put(self.store, {'a': [(0, 'old')]})
        before = self._snapshot()
        put(self.store, {'a': [(0, 'new')]})
        self.store.forget({'a'})
        self.assertEqual([], list(self.folder.iterdir()))
        self.assertEqual({'a': [(0, 'old')]}, contents(before))
        self.assertEqual({'old'}, set(before.templates()['pattern']))
        self.assertEqual({}, contents(self._snapshot()))

    def test_nothing_is_copied(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        found = self._snapshot()
        for path in found.path.iterdir():
            self.assertEqual(path.stat().st_ino,
                             (self.folder / path.name).stat().st_ino)
        self.assertEqual(0o700, found.path.stat().st_mode & 0o777)

    def test_reader_changes_nothing(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        put(self.store, {'b': [(0, 'part')]}, ends=False)
        before = sorted(self.folder.iterdir())
        self.assertEqual({'a': [(0, 'one')]}, contents(self._snapshot()))
        self.assertEqual(before, sorted(self.folder.iterdir()))
        put(self.store, {'b': [(100, 'rest')]})
        self.assertEqual([(0, 'part'), (100, 'rest')],
                         contents(self._snapshot())['b'])

    def test_no_store_yet(self) -> None:
        for path in (self.folder, self.tmp / 'missing'):
            found = parquet.ParquetStore.snapshot(
                path, self.tmp / f'snapshot-of-{path.name}')
            self.assertEqual({}, found.files())

    def _linking(self, act: Any) -> Any:
        """Let the writer act in the middle of a snapshot."""
        real = os.link
        calls: list[int] = []

        def link(*args: Any) -> None:
            calls.append(1)
            if len(calls) == 3:
                act()
            real(*args)

        return mock.patch('os.link', link)

    def test_united_meanwhile(self) -> None:
        for number in range(9):
            put(self.store, {f's{number}': [(0, f'one {number}')]})
        before = contents(self.store)
        with self._linking(self.store.compact):
            self.assertEqual(before, contents(self._snapshot()))
        self.assertEqual(1, len(self.store._segments))

    def test_written_meanwhile(self) -> None:
        # The list of files can have the events, and not their templates.
        real = pathlib.Path.glob
        put(self.store, {'a': [(0, 'one')]})

        def glob(path: pathlib.Path, pattern: str) -> Any:
            return [p for p in real(path, pattern)
                    if path != self.folder
                    or not p.name.endswith('.tpl.parquet')]

        with mock.patch.object(pathlib.Path, 'glob', glob):
            self.assertEqual({'a': [(0, 'one')]},
                             contents(self._snapshot()))

    def test_damaged_store_leaves_nothing(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        (self.folder / '00000001.parquet').write_bytes(b'PAR1')
        self.assertRaises(exception.StoreError, self._snapshot)
        self.assertEqual([], list((self.tmp / 'snapshots').iterdir()))

    def test_another_disk(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        with mock.patch('os.link', autospec=True, side_effect=OSError(
                18, 'Invalid cross-device link')):
            error = self.assertRaises(exception.StoreError, self._snapshot)
        self.assertIn('cross-device', str(error))
        self.assertEqual([], list((self.tmp / 'snapshots').iterdir()))

    def test_changes_all_the_time(self) -> None:
        put(self.store, {'a': [(0, 'one')]})
        with mock.patch('os.link', autospec=True,
                        side_effect=FileNotFoundError):
            error = self.assertRaises(exception.StoreError, self._snapshot)
        self.assertIn('changes faster', str(error))
        self.assertEqual([], list((self.tmp / 'snapshots').iterdir()))

    def test_while_it_is_written_in_a_loop(self) -> None:
        done = threading.Event()
        failed: list[BaseException] = []

        def write() -> None:
            try:
                for number in range(150):
                    # Both files always say the same.
                    put(self.store, {name: [
                        (i * 100, f'{number} {i}')
                        for i in range(number % 7 + 1)]
                        for name in ('a', 'b')})
                    put(self.store, {f'c{number % 12}': [(0, 'x')]})
                    self.store.compact()
            except BaseException as error:
                failed.append(error)
            finally:
                done.set()

        with mock.patch('os.fsync', autospec=True):
            thread = threading.Thread(target=write)
            thread.start()
            seen = -1
            while True:
                last = done.is_set()
                found = self._snapshot()
                held = contents(found)
                self.assertEqual(held.get('a'), held.get('b'))
                self.assertEqual(found.files().keys(), held.keys())
                if 'a' in held:
                    number = int(held['a'][0][1].split()[0])
                    self.assertEqual(number % 7 + 1, len(held['a']))
                    self.assertLessEqual(seen, number)
                    seen = number
                if last:
                    break
            thread.join()
        self.assertEqual([], failed)
        self.assertEqual(149, seen)
