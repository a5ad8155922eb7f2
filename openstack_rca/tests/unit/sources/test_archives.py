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
"""Streams: compressed data, whole and damaged, and tar archives."""

import bz2
import collections.abc
import gzip
import io
import lzma
import os
import random
import tarfile

import hypothesis
from hypothesis import strategies
import zstandard

from openstack_rca.sources import archives
from openstack_rca.tests import base

PACK: dict[str, collections.abc.Callable[[bytes], bytes]] = {
    'gz': gzip.compress, 'bz2': bz2.compress, 'xz': lzma.compress,
    'zst': zstandard.ZstdCompressor().compress}


def unpacked(data: bytes, kind: str,
             limits: archives.Limits | None = None,
             budget: int = 1 << 40) -> tuple[bytes, str]:
    """All that comes out, and why it ended."""
    stream = archives.Buffered(archives.Decompressed(
        archives.MemoryStream(data), kind, limits or archives.Limits(),
        archives.Budget(budget)))
    return stream.fill(1 << 30), stream.problem


def tar_of(*members: tuple[str, bytes], form: int = tarfile.GNU_FORMAT
           ) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read_tar(data: bytes) -> tuple[list[tuple[str, str, bytes]], str]:
    reader = archives.TarReader(archives.Buffered(
        archives.MemoryStream(data)))
    found = [(member.name, member.kind, member.stream.take())
             for member in reader]
    return found, reader.problem


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same in every run."""
    return random.Random(1).randbytes(size)


class DecompressedTestCase(base.TestCase):

    @hypothesis.given(strategies.binary(max_size=5000),
                      strategies.sampled_from(sorted(PACK)))
    def test_round_trip(self, data: bytes, kind: str) -> None:
        packed = PACK[kind](data)
        self.assertEqual(kind, archives.compression(packed))
        self.assertEqual((data, ''), unpacked(packed, kind))

    def test_larger_than_any_buffer(self) -> None:
        data = (noise(100_000) + bytes(500_000)) * 5
        for kind, pack in PACK.items():
            self.assertEqual((data, ''), unpacked(pack(data), kind), kind)

    def test_streams_in_a_row(self) -> None:
        for kind, pack in PACK.items():
            data = pack(b'one\n') + pack(b'two\n') + pack(b'three\n')
            self.assertEqual((b'one\ntwo\nthree\n', ''),
                             unpacked(data, kind), kind)

    def test_filled_up_with_zeros(self) -> None:
        data = gzip.compress(b'one\n') + bytes(1000)
        self.assertEqual((b'one\n', ''), unpacked(data, 'gz'))

    def test_something_else_behind(self) -> None:
        text, problem = unpacked(gzip.compress(b'one\n') + b'rest of it',
                                 'gz')
        self.assertEqual(b'one\n', text)
        self.assertIn('not gz', problem)

    def test_cut_off(self) -> None:
        whole = b''.join(b'line %d of a log\n' % number
                         for number in range(200_000))
        for kind, pack in PACK.items():
            packed = pack(whole)
            text, problem = unpacked(packed[:len(packed) // 2], kind)
            self.assertTrue(whole.startswith(text), kind)
            if kind != 'bz2':
                self.assertGreater(len(text), len(whole) // 10, kind)
            self.assertIn('cut off', problem, kind)

    def test_cut_off_by_one_byte(self) -> None:
        for kind, pack in PACK.items():
            _text, problem = unpacked(pack(b'some text\n')[:-1], kind)
            self.assertIn('cut off', problem, kind)

    def test_damaged_in_the_middle(self) -> None:
        whole = noise(1 << 20)
        for kind, pack in PACK.items():
            packed = bytearray(pack(whole))
            at = len(packed) // 2
            packed[at:at + 64] = bytes(64)
            text, problem = unpacked(bytes(packed), kind)
            self.assertTrue(problem or text != whole, kind)
            self.assertLessEqual(len(text), len(whole), kind)
            if kind in ('gz', 'bz2', 'xz'):
                self.assertIn('damaged', problem, kind)

    @hypothesis.given(strategies.binary(max_size=300),
                      strategies.sampled_from(sorted(PACK)),
                      strategies.data())
    def test_any_damage_is_told_or_harmless(
            self, data: bytes, kind: str,
            draw: strategies.DataObject) -> None:
        packed = bytearray(PACK[kind](data))
        at = draw.draw(strategies.integers(0, len(packed) - 1))
        packed[at] ^= draw.draw(strategies.integers(1, 255))
        text, problem = unpacked(bytes(packed), kind)
        # zstd's own default carries no checksum to tell by.
        if kind != 'zst' and text != data:
            self.assertNotEqual('', problem)

    def test_bomb_by_ratio(self) -> None:
        limits = archives.Limits(ratio_after=1 << 20, max_ratio=100)
        for kind, pack in PACK.items():
            packed = pack(bytes(64 << 20))
            text, problem = unpacked(packed, kind, limits)
            self.assertGreater(len(text), 1 << 20, kind)
            self.assertLess(len(text), 48 << 20, kind)
            self.assertIn('bomb', problem, kind)

    def test_limit_of_one_file(self) -> None:
        limits = archives.Limits(max_uncompressed=1 << 20)
        for kind, pack in PACK.items():
            text, problem = unpacked(pack(noise(8 << 20)), kind, limits)
            self.assertGreater(len(text), 1 << 20, kind)
            self.assertLess(len(text), 8 << 20, kind)
            self.assertIn('more than the limit of 1 MiB', problem, kind)

    def test_limit_of_everything(self) -> None:
        text, problem = unpacked(gzip.compress(bytes(4 << 20)), 'gz',
                                 budget=1 << 20)
        self.assertLess(len(text), 4 << 20)
        self.assertIn('read together', problem)

    def test_compression_by_magic(self) -> None:
        for head in (b'', b'BZ', b'BZh', b'BZh9 was here', b'\x1f\x8b',
                     b'2026-11-20 03:00:00'):
            self.assertEqual('', archives.compression(head), repr(head))


class BufferedTestCase(base.TestCase):

    @hypothesis.given(
        strategies.binary(max_size=400),
        strategies.lists(strategies.tuples(
            strategies.sampled_from(('peek', 'read', 'fill', 'skip')),
            strategies.integers(0, 60)), max_size=30))
    def test_like_a_file(self, data: bytes,
                         steps: list[tuple[str, int]]) -> None:
        class Drops(archives.MemoryStream):
            def read(self, size: int) -> bytes:
                return super().read(min(size, 7))

        stream = archives.Buffered(Drops(data))
        at = 0
        for step, size in steps:
            if step == 'peek':
                self.assertEqual(data[at:at + size], stream.peek(size))
            elif step == 'fill':
                self.assertEqual(data[at:at + size], stream.fill(size))
                at = min(len(data), at + size)
            elif step == 'skip':
                there = min(size, len(data) - at)
                self.assertEqual(there, stream.skip(size))
                at += there
            else:
                part = stream.read(size)
                self.assertLessEqual(len(part), size)
                self.assertEqual(data[at:at + len(part)], part)
                at += len(part)

    def test_skip_in_a_file_knows_its_end(self) -> None:
        path = self.tmp / 'file'
        path.write_bytes(b'0123456789')
        with io.FileIO(path) as file:
            stream = archives.Buffered(archives.FileStream(
                file, archives.Budget(100)))
            self.assertEqual(b'01', stream.peek(2))
            self.assertEqual(10, stream.skip(50))
            self.assertEqual(b'', stream.read(1))

    def test_skip_over_a_stream_that_gives_too_much(self) -> None:
        data = b'%d ' * 20_000 % tuple(range(20_000))
        for kind, pack in PACK.items():
            stream = archives.Buffered(archives.Decompressed(
                archives.MemoryStream(pack(data)), kind, archives.Limits(),
                archives.Budget(1 << 30)))
            self.assertEqual(data[:3], stream.fill(3))
            self.assertEqual(50_000, stream.skip(50_000))
            self.assertEqual(data[50_003:50_010], stream.fill(7))

    def test_reading_fails(self) -> None:
        handle = os.open(self.tmp, os.O_RDONLY)
        self.addCleanup(os.close, handle)

        class Broken(io.FileIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise OSError(5, 'Input/output error')

        path = self.tmp / 'file'
        path.write_bytes(b'x')
        with Broken(path) as file:
            stream = archives.FileStream(file, archives.Budget(100))
            self.assertEqual(b'', stream.read(1))
        self.assertIn('Input/output error', stream.problem)


class TarTestCase(base.TestCase):

    def test_all_formats(self) -> None:
        long = '/'.join(['a-folder-with-a-long-name'] * 12) + '/n.log'
        members = [('nova/api.log', b'x' * 1000), (long, b''),
                   ('k\u00e4se.log', b'y' * 512), ('last.log', b'z')]
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            data = tar_of(*members, form=form)
            self.assertTrue(archives.is_tar(data))
            found, problem = read_tar(data)
            self.assertEqual([(name, 'file', text)
                              for name, text in members], found)
            self.assertEqual('', problem)

    @hypothesis.given(strategies.lists(strategies.tuples(
        strategies.text('abc/.\u00e9', min_size=1, max_size=200).filter(
            lambda name: name.strip('/')),
        strategies.binary(max_size=1100)), max_size=5))
    def test_like_the_standard_library(
            self, members: list[tuple[str, bytes]]) -> None:
        data = tar_of(*members, form=tarfile.PAX_FORMAT)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            expected = []
            for info in tar:
                file = tar.extractfile(info)
                if file is not None:
                    expected.append((info.name.rstrip('/'), file.read()))
        found, problem = read_tar(data)
        self.assertEqual('', problem)
        self.assertEqual(expected, [(name.rstrip('/'), text)
                                    for name, kind, text in found
                                    if kind == 'file'])

    def test_members_left_unread(self) -> None:
        data = tar_of(('a', b'x' * 2000), ('b', b'y'))
        reader = archives.TarReader(archives.Buffered(
            archives.MemoryStream(data)))
        self.assertEqual(['a', 'b'], [member.name for member in reader])
        self.assertEqual('', reader.problem)

    def test_links_and_devices(self) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as tar:
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                         tarfile.FIFOTYPE, tarfile.DIRTYPE):
                info = tarfile.TarInfo('name')
                info.type = kind
                info.linkname = '/etc/passwd'
                tar.addfile(info)
        found, _problem = read_tar(out.getvalue())
        self.assertEqual(['link', 'link', 'special', 'special', 'folder'],
                         [kind for _name, kind, _text in found])

    def test_cut_off(self) -> None:
        data = tar_of(('a', b'x' * 2000), ('b', b'y' * 2000))
        found, problem = read_tar(data[:512 + 2048 + 512 + 100])
        self.assertEqual([('a', 'file', b'x' * 2000),
                          ('b', 'file', b'y' * 100)], found)
        self.assertIn('ends within b', problem)
        found, problem = read_tar(data[:512 + 2048 + 100])
        self.assertEqual(1, len(found))
        self.assertIn('within a header', problem)

    def test_no_end_mark(self) -> None:
        found, problem = read_tar(tar_of(('a', b'x'))[:1024])
        self.assertEqual(([('a', 'file', b'x')], ''), (found, problem))

    def test_damaged_header(self) -> None:
        data = bytearray(tar_of(('a', b'x'), ('b', b'y')))
        data[1024 + 10] ^= 0xff
        found, problem = read_tar(bytes(data))
        self.assertEqual(['a'], [name for name, _kind, _text in found])
        self.assertIn('damaged', problem)

    def test_huge_extended_header(self) -> None:
        for kind in (b'x', b'L'):
            info = tarfile.TarInfo('big')
            info.type = kind
            info.size = 8 << 30
            _found, problem = read_tar(info.tobuf(tarfile.GNU_FORMAT)
                                       + bytes(10_000))
            self.assertIn('an extended header claims 8 GiB', problem)

    def test_negative_size(self) -> None:
        info = tarfile.TarInfo('odd')
        info.size = -512
        _found, problem = read_tar(info.tobuf(tarfile.GNU_FORMAT)
                                   + bytes(1024))
        self.assertIn('negative', problem)

    @hypothesis.given(strategies.data())
    def test_any_damage(self, draw: strategies.DataObject) -> None:
        data = bytearray(tar_of(('a' * 150, b'x' * 600), ('b', b'y')))
        for _time in range(draw.draw(strategies.integers(1, 5))):
            at = draw.draw(strategies.integers(0, len(data) - 1))
            data[at] = draw.draw(strategies.integers(0, 255))
        found, _problem = read_tar(bytes(data))
        self.assertLessEqual(sum(len(text) for _n, _k, text in found),
                             len(data))

    def test_text_is_no_tar(self) -> None:
        line = b'2026-11-20 03:00:00.123 1 INFO nova.api [-] text\n'
        self.assertFalse(archives.is_tar(line * 100))
        self.assertFalse(archives.is_tar(line))


class NamesTestCase(base.TestCase):

    def test_printable(self) -> None:
        self.assertEqual('k\u00e4se.log', archives.printable('k\u00e4se.log'))
        self.assertEqual('a\\x1b[2Jb\\n',
                         archives.printable('a\x1b[2Jb\n'))
        self.assertEqual('a\\xff', archives.printable('a\udcff'))

    def test_human(self) -> None:
        self.assertEqual('12 bytes', archives.human(12))
        self.assertEqual('1.5 KiB', archives.human(1536))
        self.assertEqual('64 GiB', archives.human(64 << 30))
        self.assertEqual('2 TiB', archives.human(2 << 40))
