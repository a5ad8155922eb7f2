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
"""Folders, files and archives of logs, good and bad."""

import bz2
import collections.abc
import gzip
import io
import itertools
import json
import lzma
import os
import pathlib
import shutil
import socket
import tarfile
import tracemalloc
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import strategies
import zstandard

from openstack_rca import exception
from openstack_rca.sources import archives
from openstack_rca.sources import base as sources
from openstack_rca.sources import files
from openstack_rca.tests import base

LINE = b'2026-11-20 03:00:00.123 4833 INFO nova.api.wsgi [-] text\n'
NOTIFICATION = (b'{"event_type": "compute.instance.create.end", '
                b'"publisher_id": "compute.cmp1", "payload": {}}\n')
JOURNAL = (b'{"__REALTIME_TIMESTAMP": "1763607600000000", '
           b'"MESSAGE": "text"}\n')
PACK: dict[str, collections.abc.Callable[[bytes], bytes]] = {
    'gz': gzip.compress, 'bz2': bz2.compress, 'xz': lzma.compress,
    'zst': zstandard.ZstdCompressor().compress}


def pack_tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1763607600
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class TreeTestCase(base.TestCase):
    """Tests over a folder that each of them fills."""

    def setUp(self) -> None:
        super().setUp()
        self.root = self.tmp / 'case'
        self.root.mkdir()

    def write(self, path: str, data: bytes = LINE) -> pathlib.Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    def open(self, path: str = '', **limits: Any) -> files.FolderSource:
        return files.FolderSource(self.root / path, **limits)

    def read(self, source: files.FolderSource,
             size: int = 8 << 20) -> dict[str, bytes]:
        """What read_all gives, after files and chunks gave the same."""
        found: dict[str, bytes] = {}
        for log, pieces in source.read_all(size):
            self.assertNotIn(log.source, found)
            found[log.source] = b''.join(data for _at, data in pieces)
        logs = source.files()
        self.assertEqual(sorted(found), sorted(log.source for log in logs))
        for log in logs:
            self.assertEqual(
                found[log.source],
                b''.join(data for _at, data in source.chunks(log, size)))
        return found

    def reasons(self, source: files.FolderSource) -> dict[str, str]:
        self.assertEqual(
            len(source.skipped), len(set(source.skipped)),
            str(source.skipped))
        return {item.source: item.reason for item in source.skipped}


class LayoutTestCase(TreeTestCase):

    def test_trees(self) -> None:
        paths = {
            'var/log/nova/nova-compute.log': 'nova-compute',
            'var/log/neutron/server.log': 'neutron-server',
            'var/log/kolla/nova/nova-api.log': 'nova-api',
            'var/log/syslog': 'syslog',
            'controller/logs/screen-n-cpu.txt': 'nova-compute',
            'cmp1/var/log/nova/nova-compute.log': 'nova-compute',
            'logs/nova-compute-cmp2.log': 'nova-compute',
            'strange/thing.out': 'thing',
        }
        for path in paths:
            self.write(path)
        source = self.open()
        self.assertEqual(paths, {log.source: log.binary
                                 for log in source.files()})
        hosts = {log.source: log.host for log in source.files()}
        self.assertEqual('cmp1', hosts['cmp1/var/log/nova/nova-compute.log'])
        self.assertEqual('cmp2', hosts['logs/nova-compute-cmp2.log'])
        self.assertEqual('controller',
                         hosts['controller/logs/screen-n-cpu.txt'])
        self.assertEqual([], source.skipped)

    def test_sosreport(self) -> None:
        top = 'sosreport-cmp1-2026-11-20-abcdefg/'
        logs = [top + 'sos_commands/logs/journalctl_--no-pager',
                top + 'var/log/messages',
                top + 'var/log/nova/nova-compute.log']
        others = ['sos_commands/process/ps_auxwww', 'etc/nova/nova.conf',
                  'proc/meminfo', 'uname', 'sos_reports/sos.txt',
                  'sos_commands/openstack_nova/nova_service-list']
        for path in logs:
            self.write(path)
        for path in others:
            self.write(top + path, b'2026-11-20 03:00:00 a date\n')
        # As it lies there, as it is packed, and named by itself.
        source = self.open()
        self.assertEqual(logs, [log.source for log in source.files()])
        self.assertEqual({'cmp1'}, {log.host for log in source.files()})
        said = ' '.join(item.reason for item in source.skipped)
        self.assertIn('ps_auxwww', said)
        self.assertIn('proc', said)
        source = self.open(top)
        self.assertEqual(
            [path.removeprefix(top) for path in logs],
            [log.source for log in source.files()])
        self.assertEqual({'cmp1'}, {log.host for log in source.files()})
        packed = self.tmp / 'packed'
        packed.mkdir()
        shutil.make_archive(str(packed / 'sosreport-cmp1'), 'xztar',
                            self.root)
        source = files.FolderSource(packed)
        self.assertEqual([f'sosreport-cmp1.tar.xz!{path}' for path in logs],
                         [log.source for log in source.files()])

    def test_rotated_series_oldest_first(self) -> None:
        series = ['nova/nova-api.log-20261118.gz',
                  'nova/nova-api.log-20261119-1700.gz',
                  'nova/nova-api.log.10', 'nova/nova-api.log.2.gz',
                  'nova/nova-api.log.1', 'nova/nova-api.log']
        members = {}
        for path in reversed(series):
            data = gzip.compress(LINE) if path.endswith('gz') else LINE
            self.write(path, data)
            members[path] = data
        logs = self.open().files()
        self.assertEqual(series, [log.source for log in logs])
        self.assertEqual({'nova/nova-api.log'}, {log.series for log in logs})
        packed = self.write('../all.tar', pack_tar(members))
        source = files.FolderSource(packed)
        expected = [f'all.tar!{path}' for path in series]
        self.assertEqual(expected, [log.source for log in source.files()])
        self.assertEqual(expected,
                         [log.source for log, _ in source.read_all()])

    def test_single_file_takes_its_folder_for_the_name(self) -> None:
        self.write('neutron/server.log')
        source = self.open('neutron/server.log')
        self.assertEqual(
            [('server.log', 'neutron-server')],
            [(log.source, log.binary) for log in source.files()])

    def test_single_file_is_read_whatever_its_name(self) -> None:
        self.write('strange.conf', b'no date here\n')
        self.assertEqual({'strange.conf': b'no date here\n'},
                         self.read(self.open('strange.conf')))

    def test_folder_by_symbolic_link(self) -> None:
        self.write('nova/nova-api.log')
        link = self.tmp / 'link'
        link.symlink_to(self.root)
        self.assertEqual({'nova/nova-api.log': LINE},
                         self.read(files.FolderSource(link)))

    def test_what_is_no_log(self) -> None:
        self.write('nova/nova-api.log')
        for path in ('nova.conf', 'main.py', 'README.rst', '.hidden'):
            self.write(path)
        self.write('pip-freeze.txt', b'nova==34.0.0\n')
        self.write('cases.jsonl', b'{"case_id": "1"}\n')
        self.write('server.json', b'{\n  "server": 1\n}\n')
        self.write('odd.txt', LINE)
        source = self.open()
        self.assertEqual(['nova/nova-api.log', 'odd.txt'],
                         [log.source for log in source.files()])
        reasons = self.reasons(source)
        self.assertIn('4, such as', reasons['.'])
        self.assertIn('no log', reasons['pip-freeze.txt'])
        self.assertIn('JSON', reasons['cases.jsonl'])
        self.assertIn('JSON', reasons['server.json'])

    def test_many_alike_are_summed_up(self) -> None:
        self.write('nova/nova-api.log')
        for number in range(150):
            self.write(f'folder/{number:03}.dat', bytes(100))
        source = self.open()
        source.files()
        self.assertEqual(101, len(source.skipped))
        self.assertIn('50 more files', source.skipped[-1].reason)
        self.assertEqual(5000, source.skipped[-1].size)


class KindTestCase(TreeTestCase):

    def kinds(self) -> dict[str, str]:
        return {log.source: log.kind for log in self.open().files()}

    def test_kinds(self) -> None:
        self.write('notifications.jsonl', NOTIFICATION)
        self.write('other.jsonl', NOTIFICATION)
        self.write('packed.jsonl.gz', gzip.compress(NOTIFICATION))
        self.write('enveloped.jsonl', json.dumps({
            'oslo.version': '2.0',
            'oslo.message': NOTIFICATION.decode()}).encode())
        self.write('journal.json', JOURNAL)
        self.write('journal.log', JOURNAL)
        self.write('nova-api.log', b'{"message": "text", "asctime": "2026"}')
        self.write('nova-cpu.json', b'{"message": "a", "payload": "b"}\n')
        self.write('nova-compute.log')
        self.assertEqual({
            'notifications.jsonl': 'notifications',
            'other.jsonl': 'notifications',
            'packed.jsonl.gz': 'notifications',
            'enveloped.jsonl': 'notifications',
            'journal.json': 'journal', 'journal.log': 'journal',
            'nova-api.log': 'log', 'nova-cpu.json': 'log',
            'nova-compute.log': 'log'}, self.kinds())

    def test_first_line_longer_than_what_is_looked_at(self) -> None:
        long = json.dumps({'event_type': 'a', 'payload': 'x' * 200_000})
        self.write('some.jsonl', long.encode())
        escaped = json.dumps({'oslo.message': long})
        self.write('more.jsonl', escaped.encode())
        self.write('journal', b'{"__REALTIME_TIMESTAMP": "1", "MESSAGE": "'
                   + b'x' * 200_000 + b'"}\n')
        self.assertEqual({'some.jsonl': 'notifications',
                          'more.jsonl': 'notifications',
                          'journal': 'journal'}, self.kinds())

    def test_notifications_with_a_damaged_beginning(self) -> None:
        self.write('notifications.jsonl', b'"half": 1}\n' + NOTIFICATION)
        self.assertEqual({'notifications.jsonl': 'notifications'},
                         self.kinds())

    def test_journals_in_other_forms(self) -> None:
        self.write('nova-api.log')
        self.write('a.journal', b'LPKSHHRH' + bytes(1000))
        self.write('b.journal', b'__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\n')
        self.write('c.json', b'{\n\t"__REALTIME_TIMESTAMP" : "1"\n}\n')
        source = self.open()
        source.files()
        for reason in self.reasons(source).values():
            self.assertIn('journalctl -o json', reason)
        self.assertEqual(3, len(source.skipped))


class CompressedTestCase(TreeTestCase):

    def test_by_magic_not_by_name(self) -> None:
        for kind, pack in PACK.items():
            self.write(f'nova/{kind}.log', pack(LINE))
            self.write(f'nova/{kind}-named.log.{kind}', pack(LINE))
        self.write('nova/plain.log.gz', LINE)
        found = self.read(self.open())
        self.assertEqual(9, len(found))
        self.assertEqual({LINE}, set(found.values()))

    def test_archives(self) -> None:
        data = pack_tar({'nova/nova-api.log': LINE * 3,
                         './cinder/volume.log.1': LINE,
                         'cinder/volume.log.2.gz': gzip.compress(LINE * 2),
                         'notifications.jsonl': NOTIFICATION,
                         'image.png': b'\x89PNG....'})
        expected = {'nova/nova-api.log': LINE * 3,
                    'cinder/volume.log.1': LINE,
                    'cinder/volume.log.2.gz': LINE * 2,
                    'notifications.jsonl': NOTIFICATION}
        plain: dict[str, collections.abc.Callable[[bytes], bytes]] = {
            '': bytes}
        for kind, pack in (plain | PACK).items():
            name = f'logs.tar.{kind}'.rstrip('.')
            path = self.write(name, pack(data))
            for source in (self.open(), self.open(name),
                           self.open(spool=1000)):
                self.assertEqual(
                    {f'{name}!{key}': text
                     for key, text in expected.items()},
                    self.read(source), name)
                self.assertEqual({f'{name}!image.png': 'an image'},
                                 self.reasons(source))
            path.unlink()

    def test_archive_without_a_telling_name(self) -> None:
        self.write('upload', gzip.compress(pack_tar({'nova-api.log': LINE})))
        self.assertEqual({'upload!nova-api.log': LINE},
                         self.read(self.open()))

    def test_archive_in_an_archive(self) -> None:
        inner = gzip.compress(pack_tar({'nova-api.log': LINE}))
        innermost = pack_tar({'more.tar': pack_tar({'a.log': LINE})})
        self.write('outer.tar.xz', lzma.compress(pack_tar({
            'cmp1.tar.gz': inner, 'cmp2.tar': innermost})))
        source = self.open()
        self.assertEqual({'outer.tar.xz!cmp1.tar.gz!nova-api.log': LINE},
                         self.read(source))
        self.assertEqual('cmp1', source.files()[0].host)
        self.assertIn('level deep', self.reasons(source)[
            'outer.tar.xz!cmp2.tar!more.tar'])

    def test_compressed_twice(self) -> None:
        self.write('nova-api.log')
        self.write('twice.log.gz', gzip.compress(gzip.compress(LINE)))
        source = self.open()
        source.files()
        self.assertEqual({'twice.log.gz': 'compressed more than once'},
                         self.reasons(source))

    def test_members_of_bad_names(self) -> None:
        data = pack_tar({'../../etc/cron.log': LINE, '/var/log/syslog': LINE,
                         'nova/../../nova.log': LINE, 'C:\\a.log': LINE,
                         'nova-api.log': LINE})
        self.write('bad.tar', data)
        source = self.open()
        self.assertEqual({'bad.tar!nova-api.log': LINE}, self.read(source))
        self.assertEqual(4, len(source.skipped))
        for item in source.skipped:
            self.assertIn('refused', item.reason)
            self.assertEqual(len(LINE), item.size)

    def test_member_of_a_huge_name(self) -> None:
        self.write('huge.tar', pack_tar({'a-' * 10_000 + '.log': LINE,
                                         'nova-api.log': LINE}))
        source = self.open()
        self.assertEqual({'huge.tar!nova-api.log': LINE}, self.read(source))
        self.assertIn('more than 4096', source.skipped[0].reason)
        self.assertLess(len(source.skipped[0].source), 300)

    def test_members_that_are_no_files(self) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as tar:
            for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE,
                                           tarfile.CHRTYPE)):
                info = tarfile.TarInfo(f'{number}.log')
                info.type = kind
                info.linkname = '/etc/passwd'
                tar.addfile(info)
            info = tarfile.TarInfo('nova-api.log')
            info.size = len(LINE)
            tar.addfile(info, io.BytesIO(LINE))
        self.write('links.tar', out.getvalue())
        source = self.open()
        self.assertEqual({'links.tar!nova-api.log': LINE}, self.read(source))
        reasons = self.reasons(source)
        self.assertIn('link', reasons['links.tar!0.log'])
        self.assertIn('link', reasons['links.tar!1.log'])
        self.assertIn('device', reasons['links.tar!2.log'])

    def test_same_member_twice(self) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as tar:
            for data in (LINE, LINE * 2):
                info = tarfile.TarInfo('nova-api.log')
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        self.write('twice.tar', out.getvalue())
        source = self.open()
        self.assertEqual({'twice.tar!nova-api.log': LINE}, self.read(source))
        self.assertIn('same name', source.skipped[0].reason)

    def test_too_many_members(self) -> None:
        self.write('many.tar.gz', gzip.compress(pack_tar(
            {f'nova/{number}.log': LINE for number in range(10)})))
        source = self.open(max_members=4)
        self.assertEqual(4, len(self.read(source)))
        self.assertIn('limit of 4 members',
                      self.reasons(source)['many.tar.gz'])

    def test_truncated(self) -> None:
        whole = b''.join(b'%d %s' % (number, LINE)
                         for number in range(50_000))
        for kind, pack in PACK.items():
            packed = pack(whole)
            self.write(f'nova/{kind}.log.{kind}',
                       packed[:len(packed) * 3 // 4])
        source = self.open()
        found = self.read(source)
        reasons = self.reasons(source)
        for kind in PACK:
            name = f'nova/{kind}.log.{kind}'
            self.assertTrue(whole.startswith(found[name]), kind)
            self.assertGreater(len(found[name]), 0, kind)
            self.assertLess(len(found[name]), len(whole), kind)
            self.assertIn('cut off', reasons[name])

    def test_truncated_archive(self) -> None:
        whole = b''.join(b'%d %s' % (number, LINE)
                         for number in range(20_000))
        data = pack_tar({'a/nova-api.log': LINE, 'b/nova-api.log': whole})
        cut = len(data) // 2
        self.write('a.tar', data[:cut])
        packed = gzip.compress(data)
        self.write('b.tar.gz', packed[:len(packed) // 2])
        for spool in (64 << 20, 1000):
            source = self.open(spool=spool)
            found = self.read(source)
            reasons = self.reasons(source)
            for name in ('a.tar', 'b.tar.gz'):
                self.assertEqual(LINE, found[f'{name}!a/nova-api.log'])
                part = found[f'{name}!b/nova-api.log']
                self.assertTrue(whole.startswith(part))
                self.assertGreater(len(part), 1000)
                self.assertIn('in part', reasons[name])
                self.assertIn('are missing',
                              reasons[f'{name}!b/nova-api.log'])

    def test_bomb(self) -> None:
        self.write('nova/nova-api.log')
        bomb = gzip.compress(LINE + b' ' * (40 << 20))
        self.write('nova/bomb.log.gz', bomb)
        self.write('bomb.tar.gz', gzip.compress(pack_tar(
            {'nova-api.log': LINE, 'spaces.log': LINE + b' ' * (
                40 << 20)})))
        source = self.open(ratio_after=4 << 20, max_ratio=100,
                           spool=1 << 20)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        found = {log.source: sum(len(data) for _at, data in pieces)
                 for log, pieces in source.read_all(1 << 20)}
        self.assertLess(tracemalloc.get_traced_memory()[1], 24 << 20)
        self.assertEqual(len(LINE), found['nova/nova-api.log'])
        self.assertEqual(len(LINE), found['bomb.tar.gz!nova-api.log'])
        reasons = self.reasons(source)
        self.assertIn('bombs', reasons['nova/bomb.log.gz'])
        self.assertIn('bombs', reasons['bomb.tar.gz'])

    def test_limit_of_one_compressed_file(self) -> None:
        self.write('nova/nova-api.log.gz', gzip.compress(LINE * 100_000))
        source = self.open(max_uncompressed=1 << 20)
        found = self.read(source)['nova/nova-api.log.gz']
        self.assertLess(len(found), 3 << 20)
        self.assertGreater(len(found), 1 << 20)
        self.assertIn('limit of 1 MiB',
                      self.reasons(source)['nova/nova-api.log.gz'])

    def test_limit_of_everything(self) -> None:
        for name in 'abc':
            self.write(f'nova/{name}.log', LINE * 1000)
        source = self.open(max_total_bytes=len(LINE) * 1500)
        found = {log.source: sum(len(data) for _at, data in pieces)
                 for log, pieces in source.read_all(1000)}
        self.assertEqual(1000 * len(LINE), found['nova/a.log'])
        self.assertLess(found['nova/b.log'], 600 * len(LINE))
        self.assertLess(found['nova/c.log'], 100 * len(LINE))
        self.assertIn('read together', self.reasons(source)['nova/b.log'])
        self.assertIn('read together', self.reasons(source)['nova/c.log'])

    def test_empty_archives(self) -> None:
        self.write('empty.tar', pack_tar({}))
        self.write('empty.log.gz', gzip.compress(b''))
        error = self.assertRaises(exception.SourceEmpty, self.open().files)
        self.assertIn('1 file is empty', str(error))


class BadTestCase(TreeTestCase):

    def test_not_there(self) -> None:
        error = self.assertRaises(exception.SourceNotFound, self.open,
                                  'missing')
        self.assertIn('missing does not exist', str(error))
        self.write('file')
        self.assertRaises(exception.SourceNotFound, self.open, 'file/below')

    def test_names_that_cannot_be(self) -> None:
        self.assertRaises(exception.SourceUnreadable, files.FolderSource,
                          'a\x00b')
        self.assertRaises(exception.SourceUnreadable, files.FolderSource,
                          'a' * 5000)

    def test_neither_folder_nor_file(self) -> None:
        os.mkfifo(self.root / 'pipe')
        error = self.assertRaises(exception.SourceUnreadable, self.open,
                                  'pipe')
        self.assertIn('neither', str(error))

    def test_permission_denied(self) -> None:
        self.write('nova.log')
        denied = PermissionError(13, 'Permission denied')
        with mock.patch('os.scandir', autospec=True, side_effect=denied):
            error = self.assertRaises(exception.SourceUnreadable, self.open)
        self.assertIn('permission denied', str(error))

    def test_unreadable_within(self) -> None:
        self.write('nova/nova-api.log')
        self.write('nova/secret.log')
        self.write('closed/nova-api.log')
        really_open = os.open
        really_list = os.scandir

        def opening(path: Any, *args: Any, **kwargs: Any) -> int:
            if str(path).endswith('secret.log'):
                raise PermissionError(13, 'Permission denied', path)
            return really_open(path, *args, **kwargs)

        def listing(path: Any) -> Any:
            if str(path).endswith('closed'):
                raise PermissionError(13, 'Permission denied', path)
            return really_list(path)

        with mock.patch('os.open', opening), \
                mock.patch('os.scandir', listing):
            source = self.open()
            self.assertEqual({'nova/nova-api.log': LINE}, self.read(source))
        self.assertEqual({'nova/secret.log': 'permission denied',
                          'closed/': 'permission denied'},
                         self.reasons(source))

    def test_empty_folder(self) -> None:
        for method in ('files', 'units'):
            error = self.assertRaises(exception.SourceEmpty,
                                      getattr(self.open(), method))
            self.assertIn('It is empty.', str(error))
        self.assertRaises(exception.SourceEmpty, list,
                          self.open().read_all())

    def test_only_empty_files(self) -> None:
        self.write('a.log', b'')
        self.write('b.log', b'')
        source = self.open()
        error = self.assertRaises(exception.SourceEmpty, source.files)
        self.assertIn('2 files are empty', str(error))
        self.assertEqual([], source.skipped)
        self.assertEqual(2, source.empty)

    def test_only_binary_files(self) -> None:
        self.write('image.log', b'\x89PNG' + bytes(100))
        error = self.assertRaises(exception.SourceEmpty, self.open().files)
        self.assertIn('image.log: an image', str(error))

    def test_binary_files(self) -> None:
        self.write('nova-api.log')
        self.write('wtmp', (b'\x02\x00\x00\x00tty1' + bytes(300)) * 40)
        self.write('data.sqlite3', b'SQLite format 3\x00' + bytes(100))
        self.write('random', bytes(range(256)) * 100)
        self.write('core', b'\x7fELF' + bytes(100))
        self.write('a.zip', b'PK\x03\x04' + bytes(100))
        source = self.open()
        self.assertEqual({'nova-api.log': LINE}, self.read(source))
        reasons = self.reasons(source)
        self.assertEqual({'wtmp', 'data.sqlite3', 'random', 'core', 'a.zip'},
                         set(reasons))
        self.assertEqual('binary data, not text', reasons['wtmp'])
        self.assertEqual('binary data, not text', reasons['random'])

    def test_nul_bytes_and_bad_utf8_are_kept(self) -> None:
        data = LINE * 20 + b'\x00' * 50 + b'\xff\xfe bad \xc3\x28\n' + LINE
        self.write('nova-api.log', data)
        self.write('nova-compute.log', b'gr\xfc\xdfe \xe4\n' * 50)
        found = self.read(self.open())
        self.assertEqual(data, found['nova-api.log'])
        self.assertIn('nova-compute.log', found)

    def test_hole_at_the_beginning(self) -> None:
        data = bytes(300_000) + b'\n' + LINE * 100
        self.write('nova-api.log', data)
        self.assertEqual({'nova-api.log': data}, self.read(self.open()))

    def test_symbolic_links(self) -> None:
        self.write('nova/nova-api.log')
        outside = self.tmp / 'outside.log'
        outside.write_bytes(LINE)
        link = self.root / 'nova'
        (link / 'same.log').symlink_to('nova-api.log')
        (link / 'again').symlink_to('.')
        (link / 'loop.log').symlink_to('loop.log')
        (link / 'nowhere.log').symlink_to('missing')
        (link / 'outside.log').symlink_to(outside)
        (link / 'root').symlink_to('/')
        source = self.open()
        self.assertEqual({'nova/nova-api.log': LINE}, self.read(source))
        reasons = self.reasons(source)
        self.assertEqual({'nova/loop.log', 'nova/nowhere.log',
                          'nova/outside.log', 'nova/root'}, set(reasons))
        self.assertIn('back to itself', reasons['nova/loop.log'])
        self.assertIn('nowhere', reasons['nova/nowhere.log'])
        self.assertIn('outside', reasons['nova/outside.log'])

    def test_hard_links_are_read_once(self) -> None:
        self.write('nova/nova-api.log')
        os.link(self.root / 'nova/nova-api.log', self.root / 'same.log')
        source = self.open()
        self.assertEqual(1, len(self.read(source)))
        self.assertIn('the same file', source.skipped[0].reason)

    def test_pipes_and_sockets(self) -> None:
        self.write('nova-api.log')
        os.mkfifo(self.root / 'pipe.log')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.root / 'socket.log'))
            source = self.open()
            source.files()
        self.assertEqual({'pipe.log': 'a pipe', 'socket.log': 'a socket'},
                         self.reasons(source))

    def test_too_deep(self) -> None:
        self.write('a/b/c/nova-api.log')
        self.write('a/nova-api.log')
        source = self.open(max_depth=2)
        self.assertEqual({'a/nova-api.log': LINE}, self.read(source))
        self.assertIn('more than 2 folders', self.reasons(source)['a/b/c'])

    def test_too_many_files(self) -> None:
        for number in range(5):
            self.write(f'nova/{number}.log')
        source = self.open(max_files=3)
        self.assertEqual(3, len(self.read(source)))
        self.assertIn('limit of 3 files', self.reasons(source)['nova/'])

    def test_disappears(self) -> None:
        path = self.write('nova-api.log')
        self.write('nova-compute.log')
        source = self.open()
        logs = source.files()
        path.unlink()
        self.assertEqual([], list(source.chunks(logs[0])))
        self.assertIn('disappeared', self.reasons(source)['nova-api.log'])
        self.assertEqual([(0, LINE)], list(source.chunks(logs[1])))

    def test_becomes_a_link_or_a_pipe(self) -> None:
        path = self.write('nova-api.log')
        source = self.open()
        logs = source.files()
        path.unlink()
        path.symlink_to('/etc/passwd')
        self.assertEqual([], list(source.chunks(logs[0])))
        self.assertIn('symbolic link', self.reasons(source)['nova-api.log'])

    def test_grows(self) -> None:
        path = self.write('nova-api.log', LINE * 100)
        pieces = self.open().chunks(self.open().files()[0], len(LINE) * 10)
        self.assertEqual((0, LINE * 10), next(pieces))
        with path.open('ab') as file:
            file.write(LINE)
        self.assertEqual(LINE * 91, b''.join(data for _at, data in pieces))

    def test_when_it_was_written(self) -> None:
        path = self.write('a.log')
        os.utime(path, (0, 1_600_000_000))
        packed = self.write('b.log.gz', gzip.compress(LINE))
        os.utime(packed, (0, 1_700_000_000))
        self.write('c.tar', pack_tar({'d.log': LINE}))
        self.assertEqual(
            [('a.log', 1_600_000_000), ('b.log.gz', 1_700_000_000),
             ('c.tar!d.log', 1_763_607_600)],
            [(log.source, log.modified) for log in self.open().files()])

    def test_names_with_terminal_escapes(self) -> None:
        self.write('nova\x1b[2J.log')
        os.rename(os.fsencode(self.root / 'nova\x1b[2J.log'),
                  os.fsencode(self.root) + b'/nova\x1b[2J\xff.log')
        source = self.open()
        self.assertEqual({'nova\\x1b[2J\\xff.log': LINE}, self.read(source))

    def test_not_one_of_its_files(self) -> None:
        self.write('nova-api.log')
        other = sources.LogFile('other.log', 'log', '', '', '', '', 0, '')
        error = self.assertRaises(exception.SourceUnreadable, list,
                                  self.open().chunks(other))
        self.assertIn('not one of the files', str(error))
        error = self.assertRaises(
            exception.SourceUnreadable, list,
            self.open().read_unit(sources.Unit('other.log', '', 0, False)))
        self.assertIn('not one of the files', str(error))


class IdentityTestCase(TreeTestCase):

    def identity(self) -> str:
        found, = self.open().files()
        unit, = self.open().units()
        if not unit.container:
            self.assertEqual(unit.identity, found.identity)
        return found.identity

    def test_of_a_file(self) -> None:
        path = self.write('nova-api.log', LINE * 1000)
        first = self.identity()
        self.assertEqual(first, self.identity())
        status = path.stat()
        with path.open('r+b') as file:
            file.seek(-3, os.SEEK_END)
            file.write(b'X')
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        second = self.identity()
        self.assertNotEqual(first, second)
        os.utime(path, ns=(0, status.st_mtime_ns + 1))
        self.assertNotEqual(second, self.identity())
        third = self.identity()
        with path.open('ab') as file:
            file.write(b'X')
        self.assertNotEqual(third, self.identity())

    def test_of_members(self) -> None:
        path = self.write('a.tar', pack_tar({'nova-api.log': LINE}))
        first = self.identity()
        self.assertEqual(first, self.identity())
        path.write_bytes(pack_tar({'nova-api.log': LINE * 2}))
        self.assertNotEqual(first, self.identity())

    def test_of_members_differ(self) -> None:
        self.write('a.tar', pack_tar({'a/nova-api.log': LINE,
                                      'b/nova-api.log': LINE}))
        self.assertEqual(2, len({log.identity
                                 for log in self.open().files()}))

    def test_units_do_not_unpack(self) -> None:
        self.write('nova-api.log')
        self.write('a.tar.gz', gzip.compress(pack_tar(
            {'nova-api.log': LINE})))
        source = self.open()
        with mock.patch.object(archives, 'Decompressed',
                               autospec=True) as unpack:
            units = source.units()
        unpack.assert_not_called()
        self.assertEqual([('a.tar.gz', True), ('nova-api.log', False)],
                         [(unit.source, unit.container) for unit in units])
        found = [(log.source, b''.join(data for _at, data in pieces))
                 for unit in units
                 for log, pieces in source.read_unit(unit)]
        self.assertEqual([('a.tar.gz!nova-api.log', LINE),
                          ('nova-api.log', LINE)], found)

    def test_an_archive_is_unpacked_once(self) -> None:
        self.write('a.tar.gz', gzip.compress(pack_tar(
            {f'nova/{number}.log': LINE for number in range(20)})))
        for spool in (1000, 64 << 20):
            source = self.open(spool=spool)
            with mock.patch.object(
                    archives, 'Decompressed',
                    wraps=archives.Decompressed) as unpack:
                self.assertEqual(20, sum(1 for _ in source.read_all()))
            self.assertEqual(1, unpack.call_count)

    def test_pieces_may_be_left(self) -> None:
        self.write('a.tar.gz', gzip.compress(pack_tar(
            {f'nova/{number}.log': LINE * 1000 for number in range(3)})))
        for spool in (1000, 64 << 20):
            source = self.open(spool=spool)
            firsts = [next(pieces)[1][:len(LINE)]
                      for _log, pieces in source.read_all(1000)]
            self.assertEqual([LINE] * 3, firsts)
            self.assertEqual([], source.skipped)


class DefaultsTestCase(base.TestCase):
    """What a driver gets that has only files and chunks."""

    def test_units_and_all(self) -> None:
        log = sources.LogFile('a', 'log', '', 'a', '', 'id', 3, 'a')

        class Simple(sources.Source):
            def files(self) -> list[sources.LogFile]:
                return [log]

            def chunks(self, file: sources.LogFile,
                       size: int = 8 << 20, start: int = 0) -> sources.Pieces:
                yield 0, b'abc'

        source = Simple(pathlib.Path('x'))
        self.assertEqual([sources.Unit('a', 'id', 3, False)],
                         source.units())
        self.assertEqual([(log, [(0, b'abc')])],
                         [(file, list(pieces))
                          for file, pieces in source.read_all()])


class PiecesTestCase(TreeTestCase):

    def pieces(self, data: bytes, size: int = 8 << 20,
               **limits: Any) -> tuple[list[tuple[int, bytes]],
                                       files.FolderSource]:
        # The name alone makes it a log, its bytes do not matter.
        path = self.root / 'nova-api.log'
        path.write_bytes(data)
        source = self.open('nova-api.log', **limits)
        return list(source.chunks(source.files()[0], size)), source

    def test_whole_lines(self) -> None:
        pieces, source = self.pieces(LINE * 100 + b'no end',
                                     len(LINE) * 30 + 7)
        self.assertEqual(LINE * 100 + b'no end',
                         b''.join(data for _at, data in pieces))
        self.assertGreater(len(pieces), 3)
        at = 0
        for offset, data in pieces:
            self.assertEqual(at, offset)
            at += len(data)
        for _at, data in pieces[:-1]:
            self.assertTrue(data.endswith(b'\n'))
        self.assertEqual([], source.skipped)

    def test_carriage_returns_stay(self) -> None:
        pieces, _source = self.pieces(b'one\r\ntwo\r\n')
        self.assertEqual([(0, b'one\r\ntwo\r\n')], pieces)

    def test_line_too_long(self) -> None:
        data = b'first\n' + b'x' * 5000 + b'\nlast\n'
        for size in (10, 1000, 5006, 8 << 20):
            pieces, source = self.pieces(data, size, max_line=100)
            text = b''.join(part for _at, part in pieces)
            self.assertEqual(b'first\n' + b'x' * 100 + b'\nlast\n', text)
            offset, last = pieces[-1]
            self.assertEqual(
                data.index(b'last'), offset + last.index(b'last'))
            item, = source.skipped
            self.assertEqual(('nova-api.log', 4900), (item.source, item.size))
            self.assertIn('longer than 100 bytes', item.reason)

    def test_line_of_exactly_the_limit(self) -> None:
        data = b'x' * 100 + b'\n' + b'y' * 101 + b'\n' + b'z' * 100
        pieces, source = self.pieces(data, max_line=100)
        self.assertEqual(
            b'x' * 100 + b'\n' + b'y' * 100 + b'\n' + b'z' * 100,
            b''.join(part for _at, part in pieces))
        self.assertEqual(1, source.skipped[0].size)

    def test_hundred_megabytes_without_an_end(self) -> None:
        path = self.root / 'nova-api.log'
        with path.open('wb') as file:
            file.write(LINE)
            for _time in range(100):
                file.write(b'x' * (1 << 20))
            file.write(b'\n' + LINE)
        source = self.open()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        pieces = list(source.chunks(source.files()[0], 1 << 20))
        self.assertLess(tracemalloc.get_traced_memory()[1], 12 << 20)
        self.assertEqual(len(LINE) + (1 << 20) + 1 + len(LINE),
                         sum(len(data) for _at, data in pieces))
        self.assertEqual((len(LINE) + (100 << 20) + 1, LINE), pieces[-1])
        self.assertEqual(99 << 20, source.skipped[0].size)

    def test_utf16(self) -> None:
        text = 'erste Zeile \u00e4\nsecond line\n'
        for encoding in ('utf-16', 'utf-32'):
            pieces, _source = self.pieces(text.encode(encoding))
            self.assertEqual([(0, text.encode())], pieces)

    def test_byte_order_mark_is_passed_over(self) -> None:
        pieces, _source = self.pieces(b'\xef\xbb\xbf' + LINE)
        self.assertEqual([(3, LINE)], pieces)

    @hypothesis.given(
        strategies.lists(strategies.binary(max_size=50), max_size=30),
        strategies.integers(1, 200), strategies.integers(1, 60))
    def test_any_bytes(self, lines: list[bytes], size: int,
                       max_line: int) -> None:
        data = b'\n'.join(lines)
        cutter = files.Cutter(
            archives.Buffered(archives.MemoryStream(data)), size, max_line)
        pieces = list(cutter)
        for _at, part in pieces[:-1]:
            self.assertTrue(part.endswith(b'\n'))
        every = data.split(b'\n')
        long = [line for line in every if len(line) > max_line]
        self.assertEqual(len(long), cutter.lines)
        self.assertEqual(sum(len(line) - max_line for line in long),
                         cutter.dropped)
        if not long:
            self.assertEqual(data, b''.join(part for _at, part in pieces))
        # Each line that came has its number and its offset.
        starts = [0, *itertools.accumulate(len(line) + 1 for line in every)]
        number = 0
        for offset, part in pieces:
            for line in part.split(b'\n')[:part.count(b'\n')]:
                self.assertEqual(every[number][:max_line], line)
                self.assertEqual(starts[number], offset)
                offset += len(line) + 1
                number += 1

    @hypothesis.settings(
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture
                               ], max_examples=50)
    @hypothesis.given(
        strategies.binary(min_size=1, max_size=3000),
        strategies.integers(1, 5000),
        strategies.sampled_from(['plain', 'tar', *PACK]))
    def test_any_file(self, data: bytes, size: int, form: str) -> None:
        data = LINE + data
        name = 'nova-api.log'
        if form == 'tar':
            self.write(name, pack_tar({'nova-api.log': data}))
        else:
            self.write(name, PACK[form](data) if form in PACK else data)
        source = self.open()
        try:
            found = list(self.read(source, size).values())
        except exception.SourceEmpty:
            # Too little of it is text.
            self.assertEqual(['binary data, not text'],
                             [item.reason for item in source.skipped])
        else:
            self.assertEqual([data], found)
