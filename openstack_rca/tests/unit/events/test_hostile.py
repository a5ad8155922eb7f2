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
"""Tests of the parser on input that no program should write."""

import datetime
from typing import Any

import hypothesis
from hypothesis import strategies as st

from openstack_rca.events import parser
from openstack_rca.tests import base as tests
from openstack_rca.tests.unit.events import base
from openstack_rca.tests.unit.events import test_parser

SETTINGS = hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck))

#: Lines of every fixture, to be mixed and damaged.
LINES = [line for name in base.names() for line in (
    base.LOGS / name).read_bytes().splitlines()[:6]]

HEADERS = [
    b'2026-13-45 25:61:61.999 1 ERROR nova.x [-] impossible',
    b'0000-00-00 00:00:00.000 1 INFO nova.x [-] zero',
    b'9999-12-31 23:59:59.999 1 INFO nova.x [-] last',
    b'0001-01-01 00:00:00.000+2359 1 INFO nova.x [-] first',
    b'2026-02-30 05:00:00.000 1 INFO nova.x [-] no such day',
    b'2026-11-21 05:00:00.000+99:99 [info] <0.1.0> offset',
    b'1999-01-01 05:00:00.000 99999999999999999999 INFO nova.x [-] pid',
    b'2026-11-21 05:00:00.000 1 ERROR nova.x [',
    b'2026-11-21 05:00:00.000 1 ERROR nova.x [req- ] [instance: ',
    b'2026-11-21 05:00:00.000 1 INFO nova.x [-] "GET / HTTP/1.1" status: 999'
    b' len: 1 time: ' + b'9' * 400 + b'.0000',
    b'[pid: 99999999999|app: 0|req: 1/1] x () {} [Sat Nov 21 05:00:00 2026]'
    b' GET / => generated 1 bytes in ' + b'9' * 60 + b' msecs (HTTP/1.1 200)',
    b'[pid: 1|app: 0|req: 1/1] x () {} [Mon Feb 31 05:00:00 2026] GET / => '
    b'generated 1 bytes in 1 msecs (HTTP/1.1 200)',
    b'1 - - [99/Nov/2026:05:00:00 +0000] "GET / HTTP/1.1" 200 1',
    b'1 - - [21/Nov/2026:05:00:00 +9999] "GET / HTTP/1.1" 200 1 "" "" '
    + b'9' * 99,
    b'Feb 30 05:00:00 h app[99999999999]: x', b'Nov 21 05:00:00 h app: x',
    b'<999>1 2026-11-21T05:00:00Z h app 1 - - x',
    b'<14>1 2026-11-21T05:00:00.' + b'9' * 30 + b'Z h app 1 - - x',
    b'2026-11-21T05:00:00Z|1|m|ERR|x', b'{', b'{}', b'{"a": ' * 50,
    b'{"levelname": [], "message": {}, "created": "x", "asctime": 1}',
    b'{"levelname": "INFO", "message": "\\ud800", "created": 1e308}',
    b'{"__REALTIME_TIMESTAMP": "1e9", "MESSAGE": [1, "a", null]}',
    b'{"__REALTIME_TIMESTAMP": "1795239601370001", "_PID": [], "MESSAGE": '
    b'{"a": 1}, "PRIORITY": {}}',
    b'{"event_type": [], "timestamp": "0001-01-01T00:00:00+23:59"}',
    b'\x1b[31mred\x1b[0m \x1b]0;title\x07', b'\xff\xfe\x00', b'\x00' * 9, b'',
    b' ', b'\t', b'\r', b'a\rb', '\u2028\u0085\ufeff'.encode(),
    b'\xed\xa0\x80', b'x' * 70000,
]

TEXTS = st.one_of(
    st.sampled_from(LINES), st.sampled_from(HEADERS),
    st.binary(max_size=80).map(lambda b: b.replace(b'\n', b'')),
    st.text(max_size=60).map(
        lambda t: t.replace('\n', '').encode('utf-8', 'replace')),
    st.tuples(st.sampled_from(LINES + HEADERS), st.integers(0, 200),
              st.binary(max_size=4)).map(
        lambda p: (p[0][:p[1]] + p[2] + p[0][p[1] + 1:]).replace(
            b'\n', b'')))
FILES = st.lists(TEXTS, min_size=1, max_size=25).flatmap(
    lambda lines: st.sampled_from([b'\n', b'\r\n']).map(
        lambda end: end.join(lines) + end))
KINDS = st.sampled_from(['log', 'log', 'log', 'journal', 'notifications'])


class TestHostile(tests.TestCase):

    def check(self, parts: list[parser.Part]) -> parser.Piece:
        """What holds of whatever is parsed."""
        piece = parser.parse(parts)
        events = piece.events
        counts = [p.data.count(b'\n') + (not p.data.endswith(b'\n'))
                  for p in parts]
        self.assertEqual(counts, piece.parts['lines'].to_list())
        self.assertEqual(sum(counts), events['lines'].sum())
        self.assertEqual(piece.parts['events'].sum(), events.height)
        known = set(piece.templates['template'])
        self.assertEqual(set(), set(events['template']) - known)
        self.assertEqual(len(known), piece.templates.height)
        rows = events.rows(named=True)
        at = 0
        for part, count in zip(parts, piece.parts['events'], strict=True):
            own = rows[at:at + count]
            at += count
            self.check_part(part, own)
        return piece

    def check_part(self, part: parser.Part,
                   rows: list[dict[str, Any]]) -> None:
        """Events follow each other without a gap and are verbatim."""
        end, line = part.offset, part.line
        for row in rows:
            self.assertEqual((end, line), (row['offset'], row['line']))
            end += row['length'] + 1
            line += row['lines']
            self.assertLessEqual(len(row['text']), parser.MAX_TEXT)
            raw = part.data[row['offset'] - part.offset:][:row['length']]
            text = raw.decode('utf-8', 'replace')
            if '\r' not in text and len(text) <= parser.MAX_TEXT:
                self.assertEqual(text, row['text'])
            self.assertLessEqual(row['body'], len(row['text']))
        # The end of the last line counts only where it is there.
        self.assertEqual(
            part.offset + len(part.data) + (
                not part.data.endswith(b'\n')), end)

    def _origin(self, kind: str = 'log', **more: Any) -> parser.Origin:
        return parser.Origin('x', kind=kind, year=2026, **more)

    @SETTINGS
    @hypothesis.given(FILES, KINDS, st.sampled_from(
        ['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'Pacific/Apia']))
    def test_anything(self, data: bytes, kind: str, timezone: str) -> None:
        self.check([parser.Part(data, self._origin(
            kind, timezone=timezone), 1000, 7)])

    @SETTINGS
    @hypothesis.given(st.binary(min_size=1, max_size=400), KINDS)
    def test_bytes(self, data: bytes, kind: str) -> None:
        self.check([parser.Part(data, self._origin(kind))])

    @SETTINGS
    @hypothesis.given(st.lists(FILES, min_size=2, max_size=4))
    def test_files_together(self, files: list[bytes]) -> None:
        self.check([parser.Part(d, self._origin()) for d in files])

    @SETTINGS
    @hypothesis.given(st.lists(TEXTS, min_size=2, max_size=12), st.data(),
                      KINDS)
    def test_pieces(self, lines: list[bytes], data: st.DataObject,
                    kind: str) -> None:
        """A file cut anywhere holds what it holds as a whole."""
        whole = b''.join(line + b'\n' for line in lines)
        cut = data.draw(st.integers(1, len(lines) - 1))
        front = b''.join(line + b'\n' for line in lines[:cut])
        origin = self._origin(kind)
        at_once = parser.parse([parser.Part(whole, origin)])
        first = parser.parse([parser.Part(front, origin)])
        second = parser.parse([parser.Part(
            whole[len(front):], origin, len(front), cut + 1)])
        united = parser.unite(first.events.tail(1), second)
        self.assertEqual(
            at_once.events.to_dicts(),
            first.events.head(-1).to_dicts() + united.events.to_dicts())
        self.assertEqual(at_once.events.schema, united.events.schema)
        unparsed = [int(p.parts['unparsed'].sum())
                    for p in (at_once, first, second)]
        self.assertEqual(unparsed[0],
                         unparsed[1] + unparsed[2] - united.parsed)

    def test_every_fixture_is_verbatim(self) -> None:
        for name in test_parser.COUNTS:
            data = (base.LOGS / name).read_bytes()
            piece = self.check([parser.Part(
                data, self._origin(base.kind_of(name)))])
            for row in piece.events.iter_rows(named=True):
                self.assertEqual(
                    data[row['offset']:row['offset'] + row['length']]
                    .decode(), row['text'], name)

    def test_each_header(self) -> None:
        for line in HEADERS:
            for kind in ('log', 'journal', 'notifications'):
                for timezone in ('UTC', 'America/New_York'):
                    self.check([parser.Part(line + b'\n', self._origin(
                        kind, timezone=timezone))])

    def test_impossible_time_is_no_header(self) -> None:
        good = b'2026-11-21 05:00:00.000 1 INFO nova.x [-] good\n'
        rows = base.rows(good + HEADERS[0] + b'\n')
        self.assertEqual([2], [r['lines'] for r in rows])

    def test_numbers_without_bounds(self) -> None:
        rows = base.rows(b'\n'.join(HEADERS[6:12:3] + [HEADERS[10]]))
        self.assertIsNone(rows[0]['pid'])
        self.assertEqual(999, rows[1]['status'])
        self.assertIsNone(rows[1]['latency'])
        self.assertIsNone(rows[2]['pid'])

    def test_times_that_go_backwards(self) -> None:
        line = '2026-11-21 05:00:{:02}.000 1 INFO nova.x [-] hello\n'
        rows = base.rows(''.join(line.format(s) for s in (9, 5, 7, 1)))
        self.assertEqual([9, 5, 7, 1], [r['timestamp'].second for r in rows])
        self.assertEqual([1, 2, 3, 4], [r['line'] for r in rows])

    def test_lines_in_front(self) -> None:
        rows = base.rows('  rest of a traceback\nValueError\n2026-11-21 '
                         '05:00:00.000 1 INFO nova.x [-] hello\n')
        self.assertEqual(['raw', 'log'], [r['kind'] for r in rows])
        self.assertEqual([datetime.datetime(2026, 11, 21, 5)] * 2,
                         [r['timestamp'] for r in rows])

    def test_escapes_and_nul_are_kept(self) -> None:
        text = '\x1b[31mred\x1b[0m\x00\x07end'
        self.assertEqual(text, base.message(text)['message'])

    def test_carriage_returns(self) -> None:
        data = (b'2026-11-21 05:00:00.000 1 INFO nova.x [-] one\r\n'
                b'two\r\nthr\ree\r\n')
        row, = base.rows(data)
        self.assertEqual('one\ntwo\nthr\ree', row['message'])
        self.assertEqual(len(data) - 1, row['length'])

    def test_invalid_utf8(self) -> None:
        data = (b'2026-11-21 05:00:00.000 1 INFO nova.x [-] a\xffb\n'
                b'2026-11-21 05:00:01.000 1 INFO nova.x [-] \xc3\xa4\n')
        rows = base.rows(data)
        self.assertEqual(['a\ufffdb', 'ä'], [r['message'] for r in rows])
        self.assertEqual(data.index(b'\n') + 1, rows[1]['offset'])

    def test_very_long_line(self) -> None:
        head = '2026-11-21 05:00:00.000 1 INFO nova.x [-] '
        rows = base.rows(f'{head}{"ä" * 3_000_000}\n{head}next\n')
        self.assertEqual(parser.MAX_TEXT, len(rows[0]['text']))
        self.assertEqual(len(head) + 6_000_000, rows[0]['length'])
        self.assertEqual('next', rows[1]['message'])

    def test_many_lines_without_a_header(self) -> None:
        row, = base.rows(b'\n' * 50_000)
        self.assertEqual(50_000, row['lines'])

    def test_no_final_newline(self) -> None:
        rows = base.rows('a\nb')
        self.assertEqual([(2, 3)], [(r['lines'], r['length']) for r in rows])
