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
"""Uniting segments changes nothing that anybody can see."""

import pathlib
import shutil
import tempfile
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

_SOURCES = ('a', 'b', 'c')


def put(store: stores.Store, told: dict[str, list[tuple[int, str]]],
        starts: dict[str, int] | None = None, ends: bool = True) -> None:
    """Write one segment.

    :param told: offsets and texts of events, by source
    :param starts: by source, where a file that only grew is read on
    :param ends: whether the files are complete with it
    """
    rows = samples.frame(*(
        samples.event(offset / 100, text, source=source,
                      line=offset // 100 + 2, offset=offset)
        for source, events in told.items() for offset, text in events))
    store.write(rows, samples.patterns(rows), [
        samples.record(source, start=(starts or {}).get(source, 0),
                       identity=told[source][-1][1],
                       bytes=told[source][-1][0] + 100)
        for source in told] if ends else [])


def contents(store: stores.Store) -> dict[str, list[tuple[int, str]]]:
    """What a store holds, in the shape that :func:`put` takes."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in store.scan().sort('source', 'offset').collect().iter_rows(
            named=True):
        found.setdefault(row['source'], []).append(
            (row['offset'], row['text']))
    return found


class TestCompact(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.tmp / 'store'
        self.store = parquet.ParquetStore(self.folder)

    def _reopen(self) -> parquet.ParquetStore:
        return parquet.ParquetStore(self.folder)

    def _segments(self) -> list[str]:
        return sorted(p.name for p in self.folder.glob('*.parquet')
                      if not p.name.endswith('.tpl.parquet'))

    def _small(self, small: int) -> None:
        patch = mock.patch.object(parquet, '_SMALL', small)
        patch.start()
        self.addCleanup(patch.stop)

    def test_few_are_left_alone(self) -> None:
        for number in range(7):
            put(self.store, {f's{number}': [(0, 'one')]})
        before = self._segments()
        self.store.compact()
        self.assertEqual(before, self._segments())

    def test_many_become_one(self) -> None:
        for number in range(8):
            put(self.store, {f's{number}': [(0, f'one {number}')]})
        before, files = contents(self.store), self.store.files()
        templates = set(self.store.templates()['pattern'])
        self.store.compact()
        self.assertEqual(1, len(self._segments()))
        for store in (self.store, self._reopen()):
            self.assertEqual(before, contents(store))
            self.assertEqual(files, store.files())
            self.assertEqual(templates, set(store.templates()['pattern']))

    def test_large_ones_are_never_touched(self) -> None:
        put(self.store, {'big': [(0, 'one')]})
        large = self._segments()
        with mock.patch.object(
                parquet, '_LARGE', (self.folder / large[0]).stat().st_size):
            # Not larger than that.
            for number in range(7):
                put(self.store, {f's{number}': [(0, 'one')]})
            self.store.compact()
        self.assertEqual(1, len(self._segments()))
        with mock.patch.object(parquet, '_LARGE', 1):
            for number in range(9):
                put(self.store, {f't{number}': [(0, 'one')]})
            self.store.compact()
        self.assertEqual(10, len(self._segments()))

    def test_not_while_a_file_is_being_read(self) -> None:
        for number in range(8):
            put(self.store, {f's{number}': [(0, 'one')]})
        put(self.store, {'big': [(0, 'part')]}, ends=False)
        self.store.compact()
        self.assertEqual(9, len(self._segments()))
        put(self.store, {'big': [(100, 'rest')]})
        self.store.compact()
        self.assertEqual(1, len(self._segments()))
        self.assertEqual([(0, 'part'), (100, 'rest')],
                         contents(self._reopen())['big'])

    def test_file_that_grows_behind_a_large_segment(self) -> None:
        self._small(1)
        put(self.store, {'big': [(i * 100, f'{i * 7919 ** 3} text')
                                 for i in range(2000)]})
        model = contents(self.store)['big']
        for number in range(2000, 2100):
            new = [(number * 100 - 100, 'once more'),
                   (number * 100, f'new {number}')]
            put(self.store, {'big': new}, {'big': new[0][0]})
            model = model[:-1] + new
            self.store.compact()
            self.assertGreater(16, len(self._segments()))
        for store in (self.store, self._reopen()):
            self.assertEqual({'big': model}, contents(store))

    def test_what_is_forgotten_behind_a_large_segment(self) -> None:
        self._small(1)
        put(self.store, {f's{n:03d}': [
            (i * 100, f'{i * n * 7919 ** 3}') for i in range(50)]
            for n in range(100)})
        for number in range(40):
            self.store.forget({f's{number:03d}'})
            put(self.store, {'small': [(0, f'new {number}')]})
            self.store.compact()
            self.assertGreater(16, len(self._segments()))
        for store in (self.store, self._reopen()):
            self.assertEqual({f's{n:03d}' for n in range(40, 100)}
                             | {'small'}, set(contents(store)))

    def test_once_is_enough(self) -> None:
        self._small(1)
        put(self.store, {f's{n:03d}': [
            (i * 100, f'{i * n * 7919 ** 3}') for i in range(50)]
            for n in range(100)})
        for number in range(20):
            self.store.forget({f's{number:03d}'})
        put(self.store, {'s099': [(4900, 'more')]}, {'s099': 4900})
        self.store.compact()
        before = self._segments()
        self.store.compact()
        self.assertEqual(before, self._segments())

    def test_interrupted_reading_by_the_same_process(self) -> None:
        put(self.store, {'a': [(0, 'one')]}, ends=False)
        put(self.store, {'a': [(100, 'two')]}, ends=False)
        # It failed there, and is read again.
        put(self.store, {'a': [(0, 'one')]}, ends=False)
        put(self.store, {'a': [(100, 'two'), (200, 'three')]})
        for store in (self.store, self._reopen()):
            self.assertEqual({'a': [(0, 'one'), (100, 'two'),
                                    (200, 'three')]}, contents(store))


class _Machine(stateful.RuleBasedStateMachine):
    """A store, and the dict that it has to be equal to."""

    def __init__(self) -> None:
        super().__init__()
        self.tmp = pathlib.Path(tempfile.mkdtemp())
        self.folder = self.tmp / 'store'
        self.store = parquet.ParquetStore(self.folder)
        self.model: dict[str, list[tuple[int, str]]] = {}
        self.number = 0
        self._patches: list[Any] = [mock.patch.object(parquet, '_MANY', 2),
                         mock.patch('os.fsync', autospec=True)]
        for patch in self._patches:
            patch.start()

    def teardown(self) -> None:
        for patch in self._patches:
            patch.stop()
        shutil.rmtree(self.tmp)

    def _events(self, start: int, count: int) -> list[tuple[int, str]]:
        self.number += 1
        return [(start + i * 100, f'{self.number} {i}')
                for i in range(count)]

    @stateful.rule(sources=st.sets(st.sampled_from(_SOURCES), min_size=1),
                   count=st.integers(1, 4))
    def write(self, sources: set[str], count: int) -> None:
        told = {s: self._events(0, count) for s in sorted(sources)}
        put(self.store, told)
        self.model |= told

    @stateful.rule(source=st.sampled_from(_SOURCES),
                   parts=st.integers(2, 3))
    def write_in_parts(self, source: str, parts: int) -> None:
        events = self._events(0, parts)
        for event in events[:-1]:
            put(self.store, {source: [event]}, ends=False)
        put(self.store, {source: events[-1:]})
        self.model[source] = events

    @stateful.rule(source=st.sampled_from(_SOURCES))
    def break_off(self, source: str) -> None:
        put(self.store, {source: self._events(0, 2)}, ends=False)

    @stateful.rule(source=st.sampled_from(_SOURCES),
                   back=st.integers(1, 3), count=st.integers(1, 3),
                   parts=st.booleans())
    def grow(self, source: str, back: int, count: int, parts: bool) -> None:
        held = self.model.get(source)
        if not held or held[-1][0] < back * 100:
            return
        start = held[-back][0]
        new = self._events(start, count + 1)
        if parts:
            put(self.store, {source: new[:1]}, ends=False)
            put(self.store, {source: new[1:]}, {source: start})
        else:
            put(self.store, {source: new}, {source: start})
        self.model[source] = [e for e in held if e[0] < start] + new

    @stateful.rule(sources=st.sets(st.sampled_from(_SOURCES), min_size=1))
    def forget(self, sources: set[str]) -> None:
        self.store.forget(sources)
        for source in sources:
            self.model.pop(source, None)

    @stateful.rule(small=st.sampled_from((1, 1 << 20)),
                   large=st.sampled_from((5000, 32 << 20)))
    def compact(self, small: int, large: int) -> None:
        with mock.patch.object(parquet, '_SMALL', small), \
                mock.patch.object(parquet, '_LARGE', large):
            self.store.compact()

    @stateful.rule()
    def reopen(self) -> None:
        self.store = parquet.ParquetStore(self.folder)

    @stateful.rule(large=st.sampled_from((5000, 32 << 20)))
    def crash_in_compact(self, large: int) -> None:
        """The new segment is there, and none was deleted yet."""
        with mock.patch.object(parquet, '_LARGE', large), \
                mock.patch.object(parquet.ParquetStore, '_clean',
                                  autospec=True):
            self.store.compact()
        self.store = parquet.ParquetStore(self.folder)

    @stateful.rule()
    def crash_while_deleting(self) -> None:
        """Some of what is to be deleted is gone, and some is not."""
        seen: list[pathlib.Path] = []
        real = pathlib.Path.unlink

        def unlink(path: pathlib.Path, missing_ok: bool = False) -> None:
            seen.append(path)
            if len(seen) > 3:
                raise KeyboardInterrupt
            real(path, missing_ok)

        with mock.patch.object(pathlib.Path, 'unlink', unlink):
            try:
                self.store.compact()
            except KeyboardInterrupt:
                pass
        self.store = parquet.ParquetStore(self.folder)

    @stateful.invariant()
    def same(self) -> None:
        assert contents(self.store) == self.model
        assert {s: r.identity for s, r in self.store.files().items()} == {
            s: events[-1][1] for s, events in self.model.items()}
        assert set(self.store.templates()['pattern']) >= {
            text for events in self.model.values() for _, text in events}

    @stateful.invariant()
    def same_to_others(self) -> None:
        self.number += 1
        folder = self.tmp / f'snapshot-{self.number}'
        found = parquet.ParquetStore.snapshot(self.folder, folder)
        assert contents(found) == self.model
        assert found.files().keys() == self.model.keys()
        shutil.rmtree(folder)


TestMachine = _Machine.TestCase
TestMachine.settings = hypothesis.settings(
    max_examples=25, stateful_step_count=20, deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck))
