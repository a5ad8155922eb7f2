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
"""Segments: what they hold, what supersedes them, what damage does."""

import datetime
import os
from typing import Any
from unittest import mock

import polars as pl

from openstack_rca import exception
from openstack_rca.events import schema
from openstack_rca.events import templates
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

REQUEST = 'req-11111111-1111-1111-1111-111111111111'
SHARED = 'req-22222222-2222-2222-2222-222222222222'
SERVER = '33333333-3333-3333-3333-333333333333'
PROJECT = '44444444444444444444444444444444'
DASHED = '44444444-4444-4444-4444-444444444444'


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.tmp / 'store'
        self.store = parquet.ParquetStore(self.folder)

    def reopen(self) -> parquet.ParquetStore:
        return parquet.ParquetStore(self.folder)

    def put(self, source: str, *texts: str, start: int = 0,
            finish: bool = True, store: stores.Store | None = None,
            **values: Any) -> None:
        rows = samples.frame(*(samples.event(
            (start + i * 100) / 100, text, source=source,
            line=start // 100 + i + 1, offset=start + i * 100)
            for i, text in enumerate(texts)))
        (store or self.store).write(
            rows, samples.patterns(rows),
            [samples.record(source, start=start, **values)]
            if finish else [])

    def texts(self, store: stores.Store | None = None,
              **conditions: Any) -> list[str]:
        found = (store or self.store).query(stores.Query(**conditions))
        return [str(t) for t in found['text']]

    def names(self) -> list[str]:
        return sorted(p.name for p in self.folder.iterdir())


class TestQuery(TestCase):

    def setUp(self) -> None:
        super().setUp()
        samples.fill(
            self.store,
            samples.event(0, 'Plain', request_id=REQUEST),
            samples.event(1, 'Warned (100%)', level=30, host='cmp2',
                          global_request_id=SHARED),
            samples.event(2, 'Failed', level=40, binary='nova-api',
                          resources=[SERVER], user_id='u1'),
            samples.event(3, 'Asked', kind='access', service='keystone',
                          binary='keystone', project_id=PROJECT),
            samples.event(4, 'Told', kind='notification',
                          resources=[REQUEST, DASHED]))

    def test_everything_in_order_of_time(self) -> None:
        self.assertEqual(
            ['Plain', 'Warned (100%)', 'Failed', 'Asked', 'Told'],
            self.texts())

    def test_columns(self) -> None:
        found = self.store.query(stores.Query())
        self.assertEqual(schema.EVENTS, dict(found.schema))

    def test_time_includes_both_ends(self) -> None:
        self.assertEqual(['Warned (100%)', 'Failed'], self.texts(
            since=samples.at(1), until=samples.at(2)))

    def test_request_by_context_and_by_name(self) -> None:
        self.assertEqual(['Plain', 'Told'], self.texts(requests=(REQUEST,)))

    def test_global_request(self) -> None:
        self.assertEqual(['Warned (100%)'], self.texts(requests=(SHARED,)))

    def test_resource(self) -> None:
        self.assertEqual(['Failed'], self.texts(resources=(SERVER,)))

    def test_uuid_with_and_without_dashes(self) -> None:
        for value in (PROJECT, DASHED):
            self.assertEqual(['Asked', 'Told'],
                             self.texts(resources=(value,)))

    def test_user(self) -> None:
        self.assertEqual(['Failed'], self.texts(resources=('u1',)))

    def test_service_and_binary(self) -> None:
        self.assertEqual(['Asked'], self.texts(services=('keystone',)))
        self.assertEqual(['Failed'], self.texts(services=('nova-api',)))
        self.assertEqual(['Plain', 'Warned (100%)', 'Failed', 'Told'],
                         self.texts(services=('nova',)))

    def test_host(self) -> None:
        self.assertEqual(['Warned (100%)'], self.texts(hosts=('cmp2',)))

    def test_level(self) -> None:
        self.assertEqual(['Warned (100%)', 'Failed'], self.texts(level=30))

    def test_template(self) -> None:
        self.assertEqual(['Failed'], self.texts(
            templates=(templates.digest('Failed'),)))

    def test_words_in_any_case_and_never_a_pattern(self) -> None:
        self.assertEqual(['Warned (100%)'], self.texts(
            words=('WARN', '(100%)')))
        self.assertEqual([], self.texts(words=('warn', 'failed')))
        self.assertEqual([], self.texts(words=('.*',)))

    def test_kind(self) -> None:
        self.assertEqual(['Asked', 'Told'], self.texts(
            kinds=('access', 'notification')))

    def test_limit(self) -> None:
        self.assertEqual(['Plain', 'Warned (100%)'], self.texts(limit=2))

    def test_all_conditions_together(self) -> None:
        self.assertEqual(['Failed'], self.texts(
            since=samples.at(1), until=samples.at(3), resources=(SERVER,),
            services=('nova',), hosts=('cmp1',), level=40, words=('fail',),
            templates=(templates.digest('Failed'),), kinds=('log',),
            limit=5))

    def test_same_time_goes_by_source_and_line(self) -> None:
        samples.fill(self.store,
                     samples.event(9, 'second', source='b.log', line=1),
                     samples.event(9, 'third', source='b.log', line=2),
                     samples.event(9, 'first', source='a.log', line=7))
        self.assertEqual(['first', 'second', 'third'],
                         self.texts(since=samples.at(9)))


class TestSegments(TestCase):

    def test_empty(self) -> None:
        for store in (self.store, self.reopen()):
            self.assertEqual({}, store.files())
            self.assertEqual(0, store.query(stores.Query()).height)
            self.assertEqual(0, store.templates().height)
            self.assertEqual(schema.TEMPLATES,
                             dict(store.templates().schema))

    def test_survives(self) -> None:
        self.put('a', 'one', 'two')
        self.put('b', 'three')
        store = self.reopen()
        self.assertEqual(self.store.files(), store.files())
        self.assertEqual({'a', 'b'}, set(store.files()))
        self.assertEqual(['one', 'three', 'two'], sorted(self.texts(store)))
        self.assertEqual({'one', 'two', 'three'},
                         set(store.templates()['pattern']))

    def test_templates_are_told_once(self) -> None:
        self.put('a', 'same')
        self.put('b', 'same')
        self.assertEqual(1, self.store.templates().height)

    def test_newer_record_supersedes(self) -> None:
        self.put('a', 'old', 'older')
        self.put('a', 'new', identity='i2')
        for store in (self.store, self.reopen()):
            self.assertEqual(['new'], self.texts(store))
            self.assertEqual('i2', store.files()['a'].identity)

    def test_superseded_segments_are_deleted(self) -> None:
        for number in range(5):
            self.put('a', f'version {number}')
        self.assertEqual(2, len(self.names()))

    def test_superseded_segment_of_two_files_stays(self) -> None:
        rows = samples.frame(samples.event(0, 'a1', source='a'),
                             samples.event(1, 'b1', source='b'))
        self.store.write(rows, samples.patterns(rows), [
            samples.record('a'), samples.record('b')])
        for number in range(2, 9):
            self.put('a', f'a{number}')
        for store in (self.store, self.reopen()):
            self.assertEqual({'a8', 'b1'}, set(self.texts(store)))
        # The first for b, the last for a.
        self.assertEqual(4, len(self.names()))


    def test_pieces_of_one_reading(self) -> None:
        self.put('a', 'one', finish=False)
        rows = samples.frame(samples.event(2, 'two', source='a', line=2,
                                           offset=100))
        self.store.write(rows, samples.patterns(rows),
                         [samples.record('a')])
        for store in (self.store, self.reopen()):
            self.assertEqual(['one', 'two'], self.texts(store))

    def test_interrupted_reading_is_never_seen(self) -> None:
        self.put('a', 'one', finish=False)
        store = self.reopen()
        self.assertEqual([], self.texts(store))
        self.assertEqual([], self.names())
        self.put('a', 'again', store=store)
        self.assertEqual(['again'], self.texts(store))

    def test_interrupted_reading_beside_a_finished_file(self) -> None:
        rows = samples.frame(samples.event(0, 'part', source='a'),
                             samples.event(1, 'whole', source='b'))
        self.store.write(rows, samples.patterns(rows),
                         [samples.record('b')])
        store = self.reopen()
        self.assertEqual(['whole'], self.texts(store))
        self.put('a', 'again', store=store)
        for found in (store, self.reopen()):
            self.assertEqual({'again', 'whole'}, set(self.texts(found)))

    def test_interrupted_rereading_keeps_what_was_there(self) -> None:
        self.put('a', 'old')
        self.put('a', 'new', finish=False)
        self.assertEqual(['old'], self.texts(self.reopen()))

    def test_read_on(self) -> None:
        self.put('a', 'one', 'two', 'half a')
        self.put('a', 'half a record', 'four', start=200, identity='i2')
        for store in (self.store, self.reopen()):
            self.assertEqual(['one', 'two', 'half a record', 'four'],
                             self.texts(store))
            self.assertEqual('i2', store.files()['a'].identity)

    def test_read_on_twice_and_from_the_start(self) -> None:
        self.put('a', 'one', 'two', 'x')
        self.put('a', 'three', 'y', start=200)
        self.put('a', 'four', start=300)
        self.assertEqual(['one', 'two', 'three', 'four'],
                         self.texts(self.reopen()))
        self.put('a', 'anew')
        self.assertEqual(['anew'], self.texts(self.reopen()))
        self.assertEqual(2, len(self.names()))

    def test_forget(self) -> None:
        self.put('a', 'one')
        self.put('b', 'two')
        self.store.forget({'a', 'unknown'})
        for store in (self.store, self.reopen()):
            self.assertEqual(['two'], self.texts(store))
            self.assertEqual({'b'}, set(store.files()))

    def test_forget_in_a_shared_segment(self) -> None:
        samples.fill(self.store, samples.event(0, 'a1', source='a'),
                     samples.event(1, 'b1', source='b'))
        self.store.forget({'a'})
        for store in (self.store, self.reopen()):
            self.assertEqual(['b1'], self.texts(store))
        self.put('a', 'a2')
        self.assertEqual({'a2', 'b1'}, set(self.texts(self.reopen())))

    def test_forget_everything_leaves_nothing(self) -> None:
        self.put('a', 'one')
        self.store.forget({'a'})
        self.assertEqual([], self.names())
        self.assertEqual([], self.texts())

    def test_forget_what_was_begun(self) -> None:
        self.put('a', 'one', finish=False)
        self.store.forget({'a'})
        self.put('a', 'two')
        for store in (self.store, self.reopen()):
            self.assertEqual(['two'], self.texts(store))

    def test_names_are_not_used_twice(self) -> None:
        self.put('a', 'one')
        self.put('a', 'two')
        self.put('b', 'three')
        self.assertEqual({'two', 'three'}, set(self.texts(self.reopen())))

    def test_modes(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        folder = self.tmp / 'fresh'
        store = parquet.ParquetStore(folder)
        samples.fill(store, samples.event())
        self.assertEqual(0o700, folder.stat().st_mode & 0o777)
        for path in folder.iterdir():
            self.assertEqual(0o600, path.stat().st_mode & 0o777,
                             str(path))

    def test_folder_with_odd_names(self) -> None:
        for name in ('a=1', '[x]*?', 'ä b'):
            store = parquet.ParquetStore(self.tmp / name)
            samples.fill(store, samples.event(0, 'one'))
            found = parquet.ParquetStore(self.tmp / name).query(
                stores.Query())
            self.assertEqual(schema.EVENTS, dict(found.schema))
            self.assertEqual(1, found.height)


class TestFailures(TestCase):

    def test_crash_before_rename_leaves_no_trace(self) -> None:
        self.put('a', 'one')
        names = self.names()
        with mock.patch('pathlib.Path.rename', autospec=True,
                        side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.put, 'b', 'two')
        self.assertNotEqual(names, self.names())
        store = self.reopen()
        self.assertEqual(names, self.names())
        self.assertEqual(['one'], self.texts(store))
        self.assertEqual({'a'}, set(store.files()))

    def test_crash_between_the_two_files(self) -> None:
        self.put('a', 'one')
        names = self.names()
        real = parquet.ParquetStore._put

        def put(store: parquet.ParquetStore, name: str,
                table: pl.DataFrame, told: str) -> None:
            if not name.endswith('.tpl.parquet'):
                raise KeyboardInterrupt
            real(store, name, table, told)

        with mock.patch.object(parquet.ParquetStore, '_put', put):
            self.assertRaises(KeyboardInterrupt, self.put, 'b', 'two')
        self.reopen()
        self.assertEqual(names, self.names())

    def test_full_disk(self) -> None:
        with mock.patch('os.fsync', autospec=True, side_effect=OSError(
                28, 'No space left on device')):
            error = self.assertRaises(exception.StoreError, self.put, 'a',
                                      'one')
        self.assertIn('No space left', str(error))
        self.assertEqual([], self.texts())

    def test_damaged_segment(self) -> None:
        self.put('a', 'one')
        path = self.folder / '00000001.parquet'
        whole = path.read_bytes()
        for data in (b'', b'PAR1', whole[:-5], whole[:200],
                     b'\0' * len(whole)):
            path.write_bytes(data)
            error = self.assertRaises(exception.StoreError, self.reopen)
            self.assertIn('--no-cache', str(error))

    def test_segment_of_another_program(self) -> None:
        pl.DataFrame({'a': [1]}).write_parquet(
            self.folder / '00000001.parquet')
        self.assertRaises(exception.StoreError, self.reopen)

    def test_segment_of_another_version(self) -> None:
        pl.DataFrame({'a': [1]}).write_parquet(
            self.folder / '00000001.parquet',
            metadata={'openstack_rca': '[]'})
        self.assertRaises(exception.StoreError, self.reopen)

    def test_missing_templates(self) -> None:
        self.put('a', 'one')
        (self.folder / '00000001.tpl.parquet').unlink()
        self.assertRaises(exception.StoreError, self.reopen)

    def test_segment_that_vanished(self) -> None:
        self.put('a', 'one')
        (self.folder / '00000001.parquet').unlink()
        self.assertRaises(exception.StoreError, self.store.query,
                          stores.Query())

    def test_damaged_pages(self) -> None:
        rows = samples.frame(*(samples.event(i, f'text {i * 7919}')
                               for i in range(5000)))
        self.store.write(rows, samples.patterns(rows), [samples.record()])
        path = self.folder / '00000001.parquet'
        data = bytearray(path.read_bytes())
        data[4:len(data) // 2] = b'\xff' * (len(data) // 2 - 4)
        path.write_bytes(data)
        self.assertRaises(exception.StoreError, self.reopen().query,
                          stores.Query())

    def test_folder_cannot_be_made(self) -> None:
        (self.tmp / 'file').write_text('')
        self.assertRaises(exception.StoreError, parquet.ParquetStore,
                          self.tmp / 'file' / 'store')

    def test_span_of_one_moment(self) -> None:
        self.put('a', 'one')
        when = datetime.datetime(2026, 11, 20, 3, 0)
        self.assertEqual(['one'], self.texts(since=when, until=when))
