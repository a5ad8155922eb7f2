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
"""Files become the same events, however they are cut and grouped."""

import datetime
import os
import pathlib
from typing import Any
from unittest import mock

import polars as pl

from openstack_rca import exception
from openstack_rca.engine import ingest
from openstack_rca.events import parser
from openstack_rca.sources import base as sources
from openstack_rca.sources import files
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base

ROOT = pathlib.Path(__file__).parents[4]
FIXTURES = ROOT / 'openstack_rca' / 'tests' / 'fixtures' / 'logs'
EXAMPLE = ROOT / 'examples' / 'no-valid-host' / 'logs'
HEAD = '2026-11-20 03:00:%02d.123 4833 INFO nova.api.wsgi [-] '
UUID = '33333333-3333-3333-3333-333333333333'


class TestCase(base.TestCase):

    count = 0

    def ingest(self, path: pathlib.Path, piece: int = 0, small: int = -1,
               **values: Any) -> parquet.ParquetStore:
        """Everything of a folder in a store of its own."""
        self.count += 1
        store = parquet.ParquetStore(self.tmp / f'store{self.count}')
        source = files.FolderSource(path)
        with mock.patch.multiple(
                ingest, _PIECE=piece or ingest._PIECE,
                _SMALL=small if small >= 0 else ingest._SMALL):
            ingest.ingest(source, source.units(), store, **values)
        self.skipped = source.skipped
        return store

    def rows(self, store: stores.Store) -> pl.DataFrame:
        return store.query(stores.Query()).sort('source', 'line', 'offset')

    def log(self, text: str | bytes,
            name: str = 'nova-api.log') -> pathlib.Path:
        folder = self.tmp / 'logs'
        folder.mkdir(exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(data)
        return folder

    def assert_same(self, left: pl.DataFrame, right: pl.DataFrame) -> None:
        for name in ('text', *left.columns):
            for row, (a, b) in enumerate(zip(left[name].to_list(),
                                             right[name].to_list(),
                                             strict=True)):
                self.assertEqual(a, b, f'{name} of {left["text"][row]}')

    def assert_cut_alike(self, path: pathlib.Path,
                         *sizes: int) -> parquet.ParquetStore:
        whole = self.ingest(path, 64 << 20, 0)
        for size in sizes:
            cut = self.ingest(path, size, 0)
            self.assert_same(self.rows(whole), self.rows(cut))
            for source, record in whole.files().items():
                other = cut.files()[source]
                for name in ('events', 'lines', 'unparsed', 'bytes',
                             'since', 'until', 'fingerprint'):
                    self.assertEqual(
                        getattr(record, name), getattr(other, name),
                        f'{name} of {source} by {size}')
        return whole


class TestPieces(TestCase):

    def test_fixtures_are_alike_however_cut(self) -> None:
        self.assert_cut_alike(FIXTURES, 6000)

    def test_example_is_alike_however_cut(self) -> None:
        self.assert_cut_alike(EXAMPLE, 100000)

    def test_together_and_alone(self) -> None:
        together = self.ingest(FIXTURES)
        alone = self.ingest(FIXTURES, small=0)
        self.assert_same(self.rows(together), self.rows(alone))
        self.assertEqual(together.files(), alone.files())

    def test_many_segments(self) -> None:
        one = self.ingest(FIXTURES, 15000, 0)
        with mock.patch.object(ingest, '_SEGMENT', 50):
            many = self.ingest(FIXTURES, 15000, 0)
        self.assertGreater(len(list(many.path.glob('*.tpl.parquet'))), 5)
        self.assert_same(self.rows(one), self.rows(many))
        self.assertEqual(one.files(), many.files())
        self.assertEqual(one.files(),
                         parquet.ParquetStore(many.path).files())

    def test_record_over_many_pieces(self) -> None:
        body = ''.join(f'  line {i} of {UUID} at 10.0.0.{i % 250}\n'
                       for i in range(200))
        folder = self.log(f'{HEAD % 1}one {UUID}\n{body}{HEAD % 2}two\n')
        store = self.assert_cut_alike(folder, 400, 3000)
        first = self.rows(store).row(0, named=True)
        self.assertEqual(201, first['lines'])
        self.assertEqual(2, store.files()['nova-api.log'].events)
        self.assertEqual(0, store.files()['nova-api.log'].unparsed)

    def test_record_longer_than_is_kept(self) -> None:
        body = f'{UUID} is named again and again\n' * 3000
        folder = self.log(f'{HEAD % 1}[instance: {UUID}] one\n{body}'
                          f'{HEAD % 2}two\n')
        store = self.assert_cut_alike(folder, 10000)
        first = self.rows(store).row(0, named=True)
        self.assertEqual(parser.MAX_TEXT, len(first['text']))
        self.assertEqual(3001, first['lines'])

    def test_lines_before_the_first_header(self) -> None:
        folder = self.log('no header\n' * 50 + f'{HEAD % 1}one\n')
        store = self.assert_cut_alike(folder, 100)
        self.assertEqual(50, store.files()['nova-api.log'].unparsed)
        self.assertEqual(1, self.rows(store)['timestamp'].n_unique())

    def test_no_header_at_all(self) -> None:
        folder = self.log('no header\n' * 50)
        store = self.assert_cut_alike(folder, 100)
        record = store.files()['nova-api.log']
        self.assertEqual((50, 50, 1),
                         (record.lines, record.unparsed, record.events))
        self.assertIsNone(record.since)

    def test_lines_after_an_access_line(self) -> None:
        access = ('[pid: 1|app: 0|req: 1/1] 10.0.0.1 () {1 vars in 2 bytes} '
                  '[Fri Nov 20 03:00:%02d 2026] GET /v3 => generated 5 bytes '
                  'in 7 msecs (HTTP/1.1 200) 1 headers in 2 bytes\n')
        folder = self.log((access % 1 + 'loose\n' + access % 9) * 5,
                          'keystone.uwsgi.log')
        self.assert_cut_alike(folder, 200)

    def test_repeated_headers_of_a_traceback(self) -> None:
        head = '2026-11-20 03:00:01.123 7 ERROR nova.compute.manager '
        folder = self.log(
            f'{head}[{"req-" + UUID} u p] Failed\n'
            + f'{head}Traceback (most recent call last):\n' * 40
            + f'{HEAD % 2}two\n')
        store = self.assert_cut_alike(folder, 200, 1000)
        self.assertEqual(2, store.files()['nova-api.log'].events)

    def test_sizes_are_those_of_the_text(self) -> None:
        folder = self.log(f'{HEAD % 1}one\n')
        self.assertEqual(
            len(HEAD % 1) + 4,
            self.ingest(folder).files()['nova-api.log'].bytes)

    def test_offsets_point_at_the_text(self) -> None:
        folder = self.log(''.join(f'{HEAD % (i % 60)}{i} ä\n  more\n'
                                  for i in range(60)))
        data = (folder / 'nova-api.log').read_bytes()
        for row in self.rows(self.ingest(folder, 100, 0)).iter_rows(
                named=True):
            self.assertEqual(
                row['text'].encode(),
                data[row['offset']:row['offset'] + row['length']])


class TestOrigins(TestCase):

    def test_year_of_dates_without_one(self) -> None:
        line = 'Mar  1 03:00:00 cmp1 nova-compute[7]: text\n'
        for name, year in (('a.log', 2019), ('b.log', 2024)):
            folder = self.log(line, name)
            moment = datetime.datetime(year, 6, 1).timestamp()
            os.utime(folder / name, (moment, moment))
        found = self.rows(self.ingest(folder))
        self.assertEqual([2019, 2024],
                         found['timestamp'].dt.year().to_list())

    def test_time_that_no_calendar_has(self) -> None:
        for modified in (1e30, -1e30, float('nan'), 2.0 ** 60):
            file = sources.LogFile('a', 'log', '', '', '', 'i', 1, 'a',
                                   modified)
            self.assertGreater(ingest._origin(file, 'UTC').year, 2000)

    def test_time_zone(self) -> None:
        folder = self.log(f'{HEAD % 1}one\n')
        found = self.rows(self.ingest(folder, timezone='Asia/Tokyo'))
        self.assertEqual(datetime.datetime(2026, 11, 19, 18, 0, 1, 123000),
                         found['timestamp'][0])


class TestFailures(TestCase):

    def test_bad_file_does_not_take_the_others(self) -> None:
        for name in ('a.log', 'bad.log', 'c.log'):
            folder = self.log(f'{HEAD % 1}{name}\n', name)
        real = parser.parse

        def parse(parts: list[parser.Part],
                  preferred: str | None = None) -> parser.Piece:
            if any(p.origin.source == 'bad.log' for p in parts):
                raise pl.exceptions.ComputeError('no')
            return real(parts, preferred)

        with mock.patch.object(parser, 'parse', parse):
            store = self.ingest(folder)
        self.assertEqual(2, store.query(stores.Query()).height)
        self.assertEqual(['bad.log'], [s.source for s in self.skipped])
        record = store.files()['bad.log']
        self.assertEqual((0, 1, 1), (record.events, record.lines,
                                     record.unparsed))

    def test_bad_piece_does_not_take_the_others(self) -> None:
        folder = self.log(''.join(f'{HEAD % i}{i}\n' for i in range(30)))
        real = parser.parse
        calls = []

        def parse(parts: list[parser.Part],
                  preferred: str | None = None) -> parser.Piece:
            calls.append(parts[0].line)
            if len(calls) == 2:
                raise ValueError('no')
            return real(parts, preferred)

        with mock.patch.object(parser, 'parse', parse), \
                mock.patch('os.cpu_count', autospec=True, return_value=1):
            store = self.ingest(folder, 600, 0)
        record = store.files()['nova-api.log']
        self.assertEqual(30, record.lines)
        self.assertEqual(30 - record.unparsed, record.events)
        self.assertGreater(record.unparsed, 0)
        self.assertEqual(record.events, store.query(stores.Query()).height)

    def test_full_disk(self) -> None:
        folder = self.log(f'{HEAD % 1}one\n')
        with mock.patch('os.fsync', autospec=True,
                        side_effect=OSError(28, 'No space')):
            self.assertRaises(exception.StoreError, self.ingest, folder)

    def test_progress_never_goes_back(self) -> None:
        seen: list[tuple[str, float]] = []
        self.ingest(FIXTURES, 15000, 0,
                    progress=lambda stage, share: seen.append(
                        (stage, share)))
        self.assertEqual({'reading'}, {stage for stage, _ in seen})
        shares = [share for _, share in seen]
        self.assertEqual(sorted(shares), shares)
        self.assertTrue(0 <= shares[0] <= shares[-1] <= 1)
