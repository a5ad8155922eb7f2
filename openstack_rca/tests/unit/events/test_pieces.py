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
"""Tests of files that are parsed in pieces."""

from typing import Any

import polars as pl

from openstack_rca.events import parser
from openstack_rca.tests import base as tests
from openstack_rca.tests.unit.events import base
from openstack_rca.tests.unit.events import test_parser


def in_pieces(data: bytes, cuts: list[int], kind: str = 'log',
              preferred: bool = True
              ) -> tuple[pl.DataFrame, dict[str, int], set[int]]:
    """Parse a file cut at some lines, and unite the pieces.

    :param cuts: numbers of lines, from 0, where pieces begin
    :returns: events; lines, events and unparsed lines; ids of templates
    """
    lines = data.splitlines(keepends=True)
    origin = parser.Origin('x.log', kind=kind, service='s', binary='b',
                           host='h', year=2026)
    events: list[pl.DataFrame] = []
    last: pl.DataFrame | None = None
    counts = {'events': 0, 'lines': 0, 'unparsed': 0}
    templates: set[int] = set()
    form = None
    for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        piece = parser.parse([parser.Part(
            b''.join(lines[start:end]), origin,
            sum(map(len, lines[:start])), start + 1)], form)
        part = piece.parts.row(0, named=True)
        if preferred:
            form = form or part['format']
        for name in counts:
            counts[name] += part[name]
        templates |= set(piece.templates['template'])
        here = piece.events
        if last is not None:
            united = parser.unite(last, piece)
            here = united.events
            counts['events'] -= united.joined
            counts['unparsed'] -= united.parsed
        last, here = here.tail(1), here.head(-1)
        events.append(here)
    assert last is not None
    return pl.concat([*events, last]), counts, templates


class TestPieces(tests.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.known: dict[bytes, parser.Piece] = {}

    def assertSame(self, data: bytes, cuts: list[int], name: str,
                   **more: Any) -> None:
        kind = base.kind_of(name)
        if data not in self.known:
            self.known[data] = base.parse(data, kind, service='s',
                                          binary='b', host='h')
        whole = self.known[data]
        events, counts, templates = in_pieces(data, cuts, kind, **more)
        for there, here in zip(whole.events.to_dicts(), events.to_dicts(),
                               strict=False):
            self.assertEqual(there, here, f'{name} {cuts}')
        self.assertEqual(whole.events.height, events.height,
                         f'{name} {cuts}')
        part = whole.parts.row(0, named=True)
        self.assertEqual({n: part[n] for n in counts}, counts,
                         f'{name} {cuts}')
        self.assertEqual(set(), set(events['template']) - templates)

    def test_each_line_can_be_the_first(self) -> None:
        for name in ('nova-conductor.log', 'apache-error.log',
                     'journal.jsonl'):
            data = (base.LOGS / name).read_bytes()
            for cut in range(1, data.count(b'\n')):
                self.assertSame(data, [cut], name)

    def test_every_fixture_in_small_pieces(self) -> None:
        for name in test_parser.COUNTS:
            data = (base.LOGS / name).read_bytes()
            count = data.count(b'\n')
            for size in (3, 10):
                self.assertSame(data, list(range(size, count, size)), name)

    def test_programs_that_share_a_file(self) -> None:
        data = b''.join((base.LOGS / n).read_bytes() for n in (
            'memcached.log', 'uwsgi.log', 'nova-conductor.log',
            'oslo-json.log', 'apache-access.log', 'memcached.log',
            'rabbitmq.log', 'syslog-iso.log', 'oslo-pike.log'))
        count = data.count(b'\n')
        for start in range(1, 12, 3):
            self.assertSame(data, list(range(start, count, 29)), 'x.log')

    def test_blank_lines(self) -> None:
        access = (base.LOGS / 'uwsgi.log').read_bytes().splitlines()[25]
        plain = b'2026-11-21 05:33:52.786 1 INFO nova.x [-] hello'
        data = b'\n'.join([b'', access, b'', b'', b'text', access, b'text',
                           b'', plain, b'', b'text', b'', access, b''])
        count = data.count(b'\n')
        for cut in range(1, count):
            self.assertSame(data, [cut], 'x.log')
        self.assertSame(data, list(range(1, count)), 'x.log')

    def test_long_record(self) -> None:
        data = (b'2026-11-21 05:33:52.786 1 INFO nova.x [-] dump\n'
                + b'x' * 99 + b'\n') + b'y' * 40 + b'\n'
        data += (b'z' * 999 + b'\n') * 100
        self.assertSame(data, [2, 50, 60], 'x.log')
        events, _counts, _templates = in_pieces(data, [2, 50, 60])
        self.assertEqual(parser.MAX_TEXT, len(events['text'][0]))
        self.assertEqual(len(data) - 1, events['length'][0])

    def test_preferred_format_decides_nothing(self) -> None:
        for name in test_parser.COUNTS:
            if base.kind_of(name) != 'log':
                continue
            data = (base.LOGS / name).read_bytes()
            part = parser.Part(data, parser.Origin(name, year=2026))
            alone = parser.parse([part])
            for form in ('oslo', 'generic', 'syslog', 'uwsgi', 'mariadb'):
                self.assertEqual(
                    alone.events.to_dicts(),
                    parser.parse([part], form).events.to_dicts(), name)


class TestContinues(tests.TestCase):

    TRACE = '2026-11-21 05:33:52.786 1 ERROR nova.x '

    def _continues(self, last: str, lead: str) -> bool:
        return parser.continues(lead, base.rows(last)[-1])

    def test_oslo(self) -> None:
        error = f'{self.TRACE}[-] broken'
        self.assertTrue(self._continues(error, f'{self.TRACE}Traceback:'))
        self.assertTrue(self._continues(error, '  File "x"'))
        self.assertFalse(self._continues(error, f'{self.TRACE}[-] again'))
        self.assertFalse(self._continues(error, self.TRACE.replace(
            '.786', '.787')))
        self.assertFalse(self._continues(error, self.TRACE.replace(
            'nova.x', 'nova.y')))

    def test_access(self) -> None:
        access = (base.LOGS / 'uwsgi.log').read_text().splitlines()[25]
        self.assertFalse(self._continues(access, 'Traceback'))
        # A record of oslo.log's can go on, whatever it tells.
        self.assertTrue(self._continues(
            '2026-11-21 05:33:52.786 1 INFO nova.x [-] 1.2.3.4 "GET /v2 '
            'HTTP/1.1" status: 200', 'more'))

    def test_notification(self) -> None:
        last = base.fixture('notifications.jsonl').events.row(-1, named=True)
        self.assertFalse(parser.continues('{}', last, 'notifications'))
