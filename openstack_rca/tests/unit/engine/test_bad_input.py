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
"""Damaged and hostile folders: an error that says why, or a report."""

import gzip
import io
import json
import os
import pathlib
import tarfile
import tracemalloc
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.engine import local
from openstack_rca.tests import base

ROOT = pathlib.Path(__file__).parents[4]
SCHEMA = {
    'version': int, 'id': str, 'status': str, 'verdict': str,
    'error': type(None), 'project_id': type(None),
    'incident_id': type(None), 'created_at': str, 'finished_at': str,
    'issue': str, 'mode': str, 'scope': dict, 'summary': str,
    'category': str, 'severity': str, 'confidence': float, 'impact': dict,
    'hypotheses': list, 'evidence': list, 'timeline': list,
    'patterns': dict, 'similar': list, 'recommendations': list,
    'coverage': list, 'skipped': list, 'statistics': dict}
EVIDENCE = {
    'id', 'kind', 'timestamp', 'host', 'service', 'binary', 'level',
    'source', 'line', 'offset', 'request_id', 'resources', 'template',
    'text', 'score', 'why'}
HYPOTHESIS = {
    'rank', 'cause', 'component', 'category', 'host', 'confidence',
    'location', 'locations', 'evidence', 'remedy', 'signature'}


def line(second: int, text: str, level: str = 'INFO') -> bytes:
    return (f'2026-11-20 03:{second // 60:02}:{second % 60:02}.123 4833 '
            f'{level} nova.api [-] {text}\n').encode()


GOOD = b''.join(line(i, f'fine {i}') for i in range(60)) + line(
    70, 'Connection to amqp failed', 'ERROR')


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()

    def put(self, name: str, data: bytes) -> pathlib.Path:
        path = self.logs / name
        path.write_bytes(data)
        return path

    def analyze(self, **values: Any) -> dict[str, Any]:
        session = local.open_folder(self.logs, cache=False)
        document = session.analyze(scope.Question(
            values.pop('issue', 'servers cannot be made'), **values))
        self.assert_report(document)
        return document

    def assert_report(self, document: dict[str, Any]) -> None:
        """It has the shape of a report, and everything that it cites."""
        json.loads(json.dumps(document, allow_nan=False))
        for name, kind in SCHEMA.items():
            self.assertIsInstance(document[name], kind)
        self.assertEqual(1, document['version'])
        self.assertIn('narrative', document)
        self.assertEqual('complete', document['status'])
        self.assertIn(document['verdict'], (
            'cause_found', 'insufficient_evidence', 'nothing_abnormal'))
        known = set()
        for row in document['evidence']:
            self.assertEqual(EVIDENCE, set(row))
            known.add(row['id'])
        for rank, row in enumerate(document['hypotheses'], 1):
            self.assertEqual(HYPOTHESIS, set(row))
            self.assertEqual(rank, row['rank'])
            self.assertNotEqual([], row['evidence'])
            self.assertLessEqual(set(row['evidence']), known)
        for row in document['timeline']:
            self.assertIn(row['evidence'], known)
        for row in document['skipped']:
            self.assertEqual({'source', 'reason', 'bytes'}, set(row))
        self.assertLessEqual(len(document['hypotheses']), 10)
        self.assertLessEqual(len(document['evidence']), 200)
        self.assertLessEqual(len(document['timeline']), 200)

    def assert_skipped(self, name: str, reason: str,
                       document: dict[str, Any] | None = None) -> None:
        document = document or self.analyze()
        found = {s['source']: s['reason'] for s in document['skipped']}
        self.assertIn(name, found)
        self.assertIn(reason, found[name])
        # What could be read was analysed.
        self.assertIn('nova-api.log',
                      [c['source'] for c in document['coverage']])
        self.assertIn('Connection to amqp failed',
                      json.dumps(document['evidence']))


class TestExample(TestCase):

    def test_report_of_the_example(self) -> None:
        self.logs = ROOT / 'examples' / 'no-valid-host' / 'logs'
        document = self.analyze(
            issue=(self.logs.parent / 'ISSUE').read_text())
        self.assertEqual('cause_found', document['verdict'])
        self.assertEqual([], document['skipped'])
        self.assertEqual(24, len(document['coverage']))
        texts: dict[pathlib.Path, bytes] = {}
        for row in document['evidence']:
            path = self.logs / row['source']
            if path.suffix == '.gz':
                continue
            data = texts.setdefault(path, path.read_bytes())
            there = data[row['offset']:].decode()
            self.assertTrue(there.startswith(row['text']))
            self.assertEqual(row['line'],
                             data[:row['offset']].count(b'\n') + 1)


class TestFolders(TestCase):

    def test_missing(self) -> None:
        self.logs = self.tmp / 'nowhere'
        self.assertRaises(exception.SourceNotFound, self.analyze)

    def test_empty(self) -> None:
        self.assertRaises(exception.SourceEmpty, self.analyze)

    def test_unreadable(self) -> None:
        self.put('nova-api.log', GOOD)
        self.logs.chmod(0)
        self.addCleanup(self.logs.chmod, 0o700)
        # Root may read everything: the system has to refuse it by itself.
        with mock.patch('os.scandir', autospec=True,
                        side_effect=PermissionError(
                            13, 'Permission denied')):
            error = self.assertRaises(exception.SourceUnreadable,
                                      self.analyze)
        self.assertIn('Run as a user', str(error))

    def test_unreadable_file(self) -> None:
        self.put('nova-api.log', GOOD)
        self.put('nova-compute.log', GOOD)
        real = os.open

        def refuse(path: Any, *args: Any, **values: Any) -> int:
            if str(path).endswith('nova-compute.log'):
                raise PermissionError(13, 'Permission denied')
            return real(path, *args, **values)

        with mock.patch('os.open', refuse):
            self.assert_skipped('nova-compute.log', 'permission denied')

    def test_neither_folder_nor_file(self) -> None:
        self.logs = pathlib.Path('/dev/null')
        self.assertRaises(exception.SourceUnreadable, self.analyze)

    def test_no_log_line(self) -> None:
        self.put('nova-api.log', b'once upon a time\n' * 9)
        self.assertRaises(exception.NothingRecognised, self.analyze)

    def test_binary_alone(self) -> None:
        self.put('nova-api.log', bytes(range(256)) * 40)
        error = self.assertRaises(exception.SourceEmpty, self.analyze)
        self.assertIn('binary', str(error))

    def test_symlink_loop(self) -> None:
        self.put('nova-api.log', GOOD)
        (self.logs / 'loop.log').symlink_to('loop.log')
        (self.logs / 'up').symlink_to('..')
        (self.logs / 'self').symlink_to('.')
        self.assert_skipped('loop.log', 'leads back to itself')

    def test_link_to_the_outside(self) -> None:
        self.put('nova-api.log', GOOD)
        (self.tmp / 'secret.log').write_bytes(line(1, 'secret'))
        (self.logs / 'x.log').symlink_to(self.tmp / 'secret.log')
        document = self.analyze()
        self.assert_skipped('x.log', 'outside', document)
        self.assertNotIn('secret', json.dumps(document['evidence']))

    def test_pipe(self) -> None:
        self.put('nova-api.log', GOOD)
        os.mkfifo(self.logs / 'pipe.log')
        self.assert_skipped('pipe.log', 'a pipe')


class TestContent(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.put('nova-api.log', GOOD)

    def test_binary(self) -> None:
        self.put('core.log', bytes(range(256)) * 40)
        self.assert_skipped('core.log', 'binary')

    def test_no_utf8(self) -> None:
        self.put('nova-compute.log', line(
            71, 'Failed badly', 'ERROR').replace(b'\n', b'\xff\xfe\n'))
        document = self.analyze()
        self.assertIn('Failed badly\ufffd\ufffd',
                      [e['text'][-14:] for e in document['evidence']])

    def test_nul_bytes(self) -> None:
        self.put('nova-compute.log', b'\0' * 5000 + line(
            71, 'Failed \0 badly', 'ERROR') * 200)
        self.assertIn('badly', json.dumps(self.analyze()['evidence']))

    def test_terminal_escapes(self) -> None:
        self.put('nova-compute.log', line(
            71, '\x1b]0;owned\x07\x1b[31mFailed\x1b[0m \u202etxt', 'ERROR'))
        # Verbatim: what shows it has to make it harmless.
        self.assertIn('\x1b[31mFailed', ''.join(
            e['text'] for e in self.analyze()['evidence']))

    def test_other_line_ends(self) -> None:
        self.put('nova-compute.log', line(
            71, 'Failed', 'ERROR').replace(b'\n', b'\r\n') * 3)
        self.assertEqual(0, sum(
            '\r' in e['text'] for e in self.analyze()['evidence']))

    def test_times_that_go_backwards(self) -> None:
        self.put('nova-compute.log', b''.join(
            line(59 - i, f'back {i}', 'ERROR') for i in range(60)))
        document = self.analyze()
        times = [t['timestamp'] for t in document['timeline']]
        self.assertEqual(sorted(times), times)
        covered = {c['source']: c for c in document['coverage']}
        self.assertEqual(
            ('2026-11-20T03:00:00.123000+00:00',
             '2026-11-20T03:00:59.123000+00:00'),
            (covered['nova-compute.log']['from'],
             covered['nova-compute.log']['to']))

    def test_times_that_do_not_exist(self) -> None:
        self.put('nova-compute.log', b''.join(
            stamp + line(1, 'odd', 'ERROR')[19:] for stamp in (
                b'2026-13-45 03:00:00', b'2026-02-30 03:00:00',
                b'0000-00-00 00:00:00', b'9999-12-31 23:59:59',
                b'2026-11-20 24:61:61')))
        self.analyze()

    def test_lines_without_any_time(self) -> None:
        name = 'req-11111111-1111-1111-1111-111111111111'
        self.put('nova-compute.log', f'{name} and no time\n'.encode())
        self.analyze()
        session = local.open_folder(self.logs, cache=False)
        way = session.trace(name)
        self.assertEqual([None], [e['delta_ms'] for e in way['events']])
        self.put('nova-conductor.log', line(5, f'Calls {name}'))
        way = local.open_folder(self.logs, cache=False).trace(name)
        self.assertEqual([0.0, None],
                         [e['delta_ms'] for e in way['events']])

    def test_line_of_100_megabytes(self) -> None:
        with (self.logs / 'nova-compute.log').open('wb') as out:
            out.write(line(1, 'before'))
            out.write(line(2, 'long')[:-1])
            for _ in range(100):
                out.write(b'x' * (1 << 20))
            out.write(b'\n' + line(3, 'after', 'ERROR'))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        session = local.open_folder(self.logs, cache=False)
        peak = tracemalloc.get_traced_memory()[1]
        self.assertLess(peak, 48 << 20)
        self.assertEqual(
            ['before', 'long', 'after'],
            [e['text'].partition('[-] ')[2][:6].rstrip('x')
             for e in session.events(service='nova-compute')])
        self.assert_skipped('nova-compute.log', 'longer than 1 MiB')

    def test_traceback_without_end(self) -> None:
        self.put('nova-compute.log', line(1, 'x', 'ERROR')
                 + b'  File "x.py", line 1, in f\n' * 200_000)
        self.analyze()

    @hypothesis.settings(max_examples=30, deadline=None)
    @hypothesis.given(strategies.lists(strategies.one_of(
        strategies.binary(max_size=60),
        strategies.text(max_size=60).map(lambda t: line(
            9, t, 'ERROR')[:-1] if t.isprintable() else t.encode(
                'utf-8', 'replace')),
        strategies.sampled_from((
            b'', b'{', b'{}', b'[', b'null', b'{"message": 1}',
            b'{"message": {"a": []}, "asctime": 5, "levelname": []}',
            b'{"event_type": 1, "publisher_id": [], "payload": 3}',
            b'{"__REALTIME_TIMESTAMP": "x", "MESSAGE": [255, 0]}',
            b'{"__REALTIME_TIMESTAMP": "99999999999999999999"}',
            b'{"oslo.message": "{"}', b'{"oslo.message": "[]"}',
            b'\xff\xfe', b'\0' * 30, b'Mar  1 03:00:00 h t[1]: x',
            b'<13>1 2026-11-20T03:00:00Z h t 1 - - x'))), max_size=12),
        strategies.sampled_from((
            'nova-compute.log', 'notifications.jsonl', 'journal.json',
            'x.jsonl')))
    def test_anything(self, lines: list[bytes], name: str) -> None:
        path = self.put(name, b'\n'.join(lines))
        self.analyze()
        path.unlink()


class TestArchives(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.put('nova-api.log', GOOD)

    def test_truncated(self) -> None:
        whole = gzip.compress(os.urandom(500).hex().encode().join(
            line(i, 'x') for i in range(500)))
        self.put('nova-compute.log.gz', whole[:-700])
        document = self.analyze()
        self.assertIn('nova-compute.log.gz',
                      [c['source'] for c in document['coverage']])
        self.assert_skipped('nova-compute.log.gz', '', document)

    def test_no_archive_at_all(self) -> None:
        self.put('nova-compute.log.gz', b'\x1f\x8b\x08' + b'junk' * 30)
        self.assert_skipped('nova-compute.log.gz', '')

    def test_decompression_bomb(self) -> None:
        self.config(group='limits', max_uncompressed_bytes=1 << 20)
        self.put('nova-compute.log.gz', gzip.compress(
            b''.join(line(i % 60, 'x' * 200) for i in range(20_000))))
        document = self.analyze()
        self.assert_skipped('nova-compute.log.gz', '', document)
        covered = {c['source']: c['events'] for c in document['coverage']}
        self.assertLess(covered['nova-compute.log.gz'], 10_000)

    def test_members_that_lead_out(self) -> None:
        with tarfile.open(self.logs / 'logs.tar.gz', 'w:gz') as tar:
            for name in ('../evil.log', '/etc/evil.log', 'a/../../evil.log',
                         'fine.log'):
                data = line(1, 'in the archive')
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            for name, kind in (('link.log', tarfile.SYMTYPE),
                               ('hard.log', tarfile.LNKTYPE),
                               ('pipe.log', tarfile.FIFOTYPE)):
                member = tarfile.TarInfo(name)
                member.type = kind
                member.linkname = '/etc/passwd'
                tar.addfile(member)
        document = self.analyze()
        for name in ('../evil.log', '/etc/evil.log', 'a/../../evil.log'):
            self.assert_skipped(f'logs.tar.gz!{name}', 'refused', document)
        for name in ('link.log', 'hard.log', 'pipe.log'):
            self.assert_skipped(f'logs.tar.gz!{name}', 'a ', document)
        self.assertIn('logs.tar.gz!fine.log',
                      [c['source'] for c in document['coverage']])
        self.assertEqual([], list(self.tmp.rglob('evil.log')))

    def test_members_of_no_time(self) -> None:
        with tarfile.open(self.logs / 'logs.tar', 'w',
                          format=tarfile.GNU_FORMAT) as tar:
            for name, moment in (('a.log', 2 ** 70), ('b.log', -2 ** 70),
                                 ('c.log', 0)):
                data = b'Mar  1 03:00:00 cmp1 nova-compute[7]: text\n'
                member = tarfile.TarInfo(name)
                member.size = len(data)
                member.mtime = moment
                tar.addfile(member, io.BytesIO(data))
        self.assertEqual(4, len(self.analyze()['coverage']))


class TestQuestions(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.put('nova-api.log', GOOD)

    def test_unknown_request(self) -> None:
        name = 'req-00000000-0000-0000-0000-000000000000'
        error = self.assertRaises(exception.UnknownRequest, self.analyze,
                                  request_ids=(name,))
        self.assertIn(name, str(error))

    def test_unknown_server(self) -> None:
        self.assertRaises(exception.InvalidInput, self.analyze,
                          servers=('no-such-server',))

    def test_unknown_service(self) -> None:
        error = self.assertRaises(exception.InvalidInput, self.analyze,
                                  services=('no-such-service',))
        self.assertIn('nova-api', str(error))

    def test_times_in_the_wrong_order(self) -> None:
        self.assertRaises(
            exception.InvalidInput, self.analyze,
            since=scope.parse_time('2026-11-20 04:00'),
            until=scope.parse_time('2026-11-20 03:00'))

    def test_time_of_which_there_is_nothing(self) -> None:
        document = self.analyze(since=scope.parse_time('2030-01-01'))
        self.assertEqual([], document['hypotheses'])
        self.assertEqual(0, document['statistics']['events'])

    def test_no_words(self) -> None:
        self.analyze(issue='')

    def test_a_book(self) -> None:
        self.analyze(issue='the server web-1 failed ' * 5000)

    @hypothesis.settings(max_examples=25, deadline=None)
    @hypothesis.given(strategies.text(max_size=200))
    def test_any_words(self, issue: str) -> None:
        self.analyze(issue=f'server {issue} network {issue}')
