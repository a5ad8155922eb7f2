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
"""Tests of the process that stores notifications."""

import datetime
import json
import os
import pathlib
import threading
from typing import Any
from unittest import mock

import polars as pl

from openstack_rca import exception
from openstack_rca.engine import bus
from openstack_rca.engine import folder as folders
from openstack_rca.engine import listener
from openstack_rca.engine import state
from openstack_rca.events import parser
from openstack_rca.sources import notifications
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base

NOW = datetime.datetime(2026, 11, 21, 18, 0, 0, tzinfo=datetime.UTC)


def incoming(number: int, **more: Any) -> bus.Incoming:
    """A notification with a number for an id."""
    return bus.Incoming({}, {
        'message_id': f'id-{number}', 'event_type': 'a.b',
        'publisher_id': 'compute.cmp1', 'priority': 'INFO',
        'timestamp': '2026-11-21 17:59:59', 'payload': {'number': number},
        **more}, None)


def message(number: int, **more: Any) -> notifications.Message:
    """The same as a line."""
    one = incoming(number, **more)
    return notifications.message(one.context, one.message, NOW)


class TestIds(base.TestCase):

    def test_known(self) -> None:
        ids = listener.Ids()
        self.assertEqual(set(), ids.known(['a']))
        ids.add(['a', 'b'])
        self.assertEqual({'a'}, ids.known(['a', 'c']))

    def test_many(self) -> None:
        ids = listener.Ids()
        with mock.patch.object(listener, '_BUCKET', 100):
            for first in range(0, 1000, 40):
                ids.add(f'id-{n}' for n in range(first, first + 40))
        asked = [f'id-{n}' for n in range(0, 2000, 3)]
        self.assertEqual({f'id-{n}' for n in range(0, 1000, 3)},
                         ids.known(asked))

    def test_bounds(self) -> None:
        ids = listener.Ids()
        with mock.patch.object(listener, '_MOST_IDS', 250):
            for first in range(0, 500, 100):
                ids.load(pl.Series([f'id-{n}' for n in range(
                    first, first + 100)]))
        self.assertEqual({'id-499'}, ids.known(['id-0', 'id-499']))
        with mock.patch.object(listener, '_DAY', -1.0):
            ids.load(pl.Series(['new']))
        self.assertEqual(set(), ids.known(['id-499', 'new']))


class LedgerCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.source = state.SourceDir(
            'notifications', pathlib.Path('bus'), self.tmp / 'store')
        self.ledger = listener.Ledger(self.source)

    def rows(self) -> list[dict[str, Any]]:
        """What is stored, in order."""
        return parquet.ParquetStore.snapshot(
            self.source.store, self.tmp / os.urandom(8).hex()).query(
                stores.Query()).sort('source', 'offset').to_dicts()

    def numbers(self) -> list[int]:
        """The numbers of what is stored, in order."""
        return [json.loads(row['text'])['payload']['number']
                for row in self.rows()]


class TestLedger(LedgerCase):

    def test_file_of_a_day(self) -> None:
        self.ledger.take([message(1), message(2)])
        self.ledger.take([message(3)])
        rows = self.rows()
        self.assertEqual([1, 2, 3], [r['line'] for r in rows])
        day = rows[0]['source']
        self.assertRegex(day, r'^\d{4}-\d\d-\d\d$')
        # As if the lines were in a file.
        end = 0
        for row in rows:
            self.assertEqual((day, end), (row['source'], row['offset']))
            end += row['length'] + 1
        self.ledger = listener.Ledger(self.source)
        self.ledger.take([message(4)])
        row = self.rows()[3]
        self.assertEqual((4, end), (row['line'], row['offset']))
        told = self.ledger.told()
        self.assertEqual(4, told['events'])
        file, = told['files']
        self.assertEqual((day, 'notifications', 4, 0), (
            file['source'], file['kind'], file['lines'], file['unparsed']))

    def test_next_day(self) -> None:
        with mock.patch.object(listener, '_day', autospec=True,
                               return_value='2026-11-01'):
            self.ledger.take([message(1)])
        self.ledger.take([message(2)])
        self.assertEqual([(1, 0), (1, 0)], [
            (r['line'], r['offset']) for r in self.rows()])

    def test_twice(self) -> None:
        self.ledger.take([message(1), message(1), message(2)])
        self.ledger.take([message(2), message(3)])
        self.assertEqual([1, 2, 3], self.numbers())
        self.ledger = listener.Ledger(self.source)
        self.ledger.take([message(3), message(4), message(1)])
        self.assertEqual([1, 2, 3, 4], self.numbers())
        self.assertEqual((1, 2), (self.ledger.counts.stored,
                                  self.ledger.counts.twice))

    def test_twice_where_lines_are_cut(self) -> None:
        long = message(1, payload={'number': 1, 'text': 'x' * 200_000})
        self.ledger.take([long])
        self.ledger = listener.Ledger(self.source)
        self.ledger.take([long])
        self.assertEqual(1, self.ledger.counts.twice)

    def test_many_small(self) -> None:
        for number in range(60):
            self.ledger.take([message(number)])
            self.ledger.tidy()
        self.assertEqual(list(range(60)), self.numbers())
        self.assertLess(len(list(self.source.store.glob('*.parquet'))), 40)

    def test_disk_full(self) -> None:
        self.ledger.take([message(1)])
        with mock.patch.object(os, 'fsync', autospec=True, side_effect=OSError(
                28, 'No space left on device')):
            for _ in range(3):
                self.assertRaisesRegex(
                    exception.StoreError, 'No space', self.ledger.take,
                    [message(1), message(2)])
        self.ledger.take([message(1), message(2), message(3)])
        self.assertEqual([1, 2, 3], self.numbers())
        # However often it was tried.
        self.assertEqual((3, 1), (self.ledger.counts.stored,
                                  self.ledger.counts.twice))

    def test_written_and_not_tidied(self) -> None:
        self.ledger.take([message(1)])
        with mock.patch.object(
                parquet.ParquetStore, '_clean', autospec=True,
                side_effect=OSError(5, 'Input/output error')):
            self.ledger.take([message(2)])
        self.ledger.take([message(2), message(3)])
        self.assertEqual([1, 2, 3], self.numbers())

    def test_one_that_cannot_be_parsed(self) -> None:
        real = parser.parse

        def parse(parts: list[parser.Part]) -> parser.Piece:
            if b'"number": 2}' in parts[0].data:
                raise ValueError('no')
            return real(parts)

        with mock.patch.object(parser, 'parse', parse):
            self.ledger.take([message(1), message(2), message(3)])
        self.assertEqual([1, 3], self.numbers())
        self.assertEqual([1, 2], [r['line'] for r in self.rows()])
        row, = folders.skipped(self.source.store)
        self.assertEqual('1 notifications could not be parsed',
                         row['reason'])
        self.ledger = listener.Ledger(self.source)
        self.ledger.drop('could not be parsed', 10)
        row, = self.ledger.told()['skipped']
        self.assertEqual('2 notifications could not be parsed',
                         row['reason'])

    def test_damaged(self) -> None:
        self.ledger.take([message(1)])
        self.ledger.take([message(2)])
        last = max(p for p in self.source.store.glob('*.parquet')
                   if '.tpl.' not in p.name)
        last.write_bytes(b'PAR1 no more')
        self.ledger = listener.Ledger(self.source)
        self.ledger.take([message(2), message(3)])
        self.assertEqual([1, 2, 3], self.numbers())

    def test_disk_that_cannot_be_read(self) -> None:
        self.ledger.take([message(1)])
        for number, text in ((5, 'Input/output error'),
                             (24, 'Too many open files')):
            with mock.patch.object(
                    pl, 'read_parquet_metadata', autospec=True,
                    side_effect=OSError(number, text)):
                self.assertRaisesRegex(exception.StoreError, text,
                                       listener.Ledger, self.source)
        # Nothing was given up for that.
        self.ledger = listener.Ledger(self.source)
        self.ledger.take([message(1), message(2)])
        self.assertEqual([1, 2], self.numbers())

    def _damage(self, number: int) -> None:
        """Let the disk lose the events of a segment, and not its end."""
        path = self.source.store / f'{number:08d}.parquet'
        data = bytearray(path.read_bytes())
        length = int.from_bytes(data[-8:-4], 'little') + 8
        data[4:-length] = bytes(len(data) - length - 4)
        path.write_bytes(data)

    def test_damaged_inside(self) -> None:
        for number in (1, 2, 3):
            self.ledger.take([message(number)])
        self._damage(2)
        self.ledger = listener.Ledger(self.source)
        self.ledger.take([message(n) for n in (1, 2, 3, 4)])
        self.assertEqual([1, 2, 3, 4], sorted(self.numbers()))

    def test_damaged_meanwhile(self) -> None:
        for number in range(8):
            self.ledger.take([message(number)])
        self._damage(2)
        self.ledger.tidy()
        self.ledger.take([message(8)])
        self.assertEqual([0, *range(2, 9)], self.numbers())
        self.ledger.tidy()
        # One, and its templates.
        self.assertEqual(2, len(list(self.source.store.glob('*.parquet'))))

    def test_retention(self) -> None:
        for number in range(40):
            self.ledger.take([message(number)])
        self.config(group='store', max_bytes=1)
        with mock.patch.object(listener, '_EXPIRE', 0.0):
            self.ledger.tidy()
        self.assertEqual([], self.numbers())
        told = self.ledger.told()
        self.assertEqual({'retention': 40}, told['metrics'][
            'dropped'])
        self.assertEqual({}, self.ledger.told()['metrics'][
            'dropped'])
        self.ledger.take([message(40)])
        self.assertEqual([40], self.numbers())
        self.assertEqual(41, self.rows()[0]['line'])


class TestListener(LedgerCase):

    def setUp(self) -> None:
        super().setUp()
        self.listener = listener.Listener(self.ledger)
        for name in ('_SOON', '_LATE'):
            patch = mock.patch.object(listener, name, 0.01)
            patch.start()
            self.addCleanup(patch.stop)

    def test_own(self) -> None:
        self.assertTrue(self.listener.take([
            incoming(1, event_type='rca.incident.create'), incoming(2)]))
        self.assertTrue(self.listener.take([
            incoming(3, event_type='rca.incident.create')]))
        self.assertEqual([2], self.numbers())

    def test_waits_for_the_disk(self) -> None:
        seen = threading.Event()
        real = self.ledger.take

        def take(messages: list[notifications.Message]) -> None:
            if not seen.is_set():
                if self.listener.error:
                    seen.set()
                raise exception.StoreError(path='p', reason='full')
            real(messages)

        with mock.patch.object(self.ledger, 'take', take):
            self.assertTrue(self.listener.take([incoming(1)]))
        self.assertEqual([1], self.numbers())
        self.assertEqual('', self.listener.error)

    def test_gives_back_at_the_end(self) -> None:
        self.listener.stopping.set()
        with mock.patch.object(
                self.ledger, 'take', autospec=True,
                side_effect=exception.StoreError(
                    path='p', reason='full')):
            self.assertFalse(self.listener.take([incoming(1)]))

    def test_bug(self) -> None:
        real = self.ledger.take

        def take(messages: list[notifications.Message]) -> None:
            if any('id-2' == m.id for m in messages):
                raise KeyError('bug')
            real(messages)

        with mock.patch.object(self.ledger, 'take', take):
            # It must not come again, for ever.
            self.assertTrue(self.listener.take([
                incoming(1), incoming(2), incoming(3)]))
        self.assertEqual([1, 3], self.numbers())
        row, = self.ledger.told()['skipped']
        self.assertEqual('1 notifications could not be stored',
                         row['reason'])


class TestTelling(LedgerCase):

    def test_look(self) -> None:
        ends = mock.Mock()
        telling = listener._Telling(ends)
        telling.look(self.ledger, '')
        telling.look(self.ledger, '')
        self.assertEqual(1, ends.send.call_count)
        self.ledger.take([message(1), message(1)])
        telling.look(self.ledger, '')
        told = ends.send.call_args.args[0]
        self.assertEqual(('notifications', 'ready', None, 1, []), tuple(
            told[name] for name in (
                'source', 'status', 'error', 'events', 'skipped')))
        self.assertEqual({'notifications': 1}, told['metrics']['lines'])
        self.assertEqual((1, 1), (told['stored'], told['twice']))
        telling.look(self.ledger, 'away')
        told = ends.send.call_args.args[0]
        self.assertEqual(('failed', 'away'), (told['status'], told['error']))
        json.dumps(told)
