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
"""Bytes from files, compressed files and tar archives, front to back.

Whatever is wrong with the bytes ends a stream early and is told by its
``problem``; nothing here raises for what a file contains. The archives come
from anywhere, so each layer bounds what it holds in memory and what it
unpacks.
"""

import bz2
import codecs
from collections.abc import Iterator
import dataclasses
import io
import lzma
import os
import tarfile
from typing import Protocol
import zlib

import zstandard

BLOCK = 512
_PIECE = 1 << 18
# One zstd block of four bytes can stand for 128 KiB, and that decoder knows
# no limit for its output: the less it is given at once, the less it returns.
_INPUT = {'gz': 1 << 15, 'bz2': 1 << 15, 'xz': 1 << 15, 'zst': 1 << 8}
# Limits are looked at after so many bytes at the latest.
_OUTPUT = 1 << 20
_XZ_MEMORY = 256 << 20
_ZSTD_WINDOW = 1 << 28
# Headers that hold a long name or PAX records; real ones are tiny.
_MAX_EXTENSION = 1 << 18


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much is read, so that no input can exhaust the machine.

    :param max_total_bytes: bytes read and unpacked from all files together
    :param max_uncompressed: bytes that one compressed file may unpack to
    :param max_ratio: how many times its size a compressed file may unpack
        to, once it gave ``ratio_after`` bytes
    :param ratio_after: see ``max_ratio``
    :param max_line: bytes of a line that are kept
    :param max_members: members of one archive
    :param max_files: files of a folder
    :param max_depth: folders within folders
    :param spool: an archive that unpacks to no more than this is held in
        memory, so that its members are read in their proper order
    """

    max_total_bytes: int = 64 << 30
    max_uncompressed: int = 8 << 30
    max_ratio: int = 1000
    ratio_after: int = 64 << 20
    max_line: int = 1 << 20
    max_members: int = 100_000
    max_files: int = 200_000
    max_depth: int = 32
    spool: int = 64 << 20


class Budget:
    """What may still be read.

    :param limit: bytes in total
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.spent = 0

    def spend(self, amount: int) -> str:
        """Count bytes.

        :param amount: bytes just read
        :returns: what to tell the operator once too much was read, or ''
        """
        self.spent += amount
        if self.spent <= self.limit:
            return ''
        return (f'the limit of {human(self.limit)} for everything that is '
                'read together was reached')


def human(size: int) -> str:
    """A size in words.

    :param size: bytes
    :returns: ``12 MiB``
    """
    value = float(size)
    for unit in ('bytes', 'KiB', 'MiB', 'GiB'):
        if value < 1024:
            return f'{value:.4g} {unit}'
        value /= 1024
    return f'{value:.4g} TiB'


class Stream:
    """Bytes that are read once, from front to back."""

    #: why the bytes ended before their time, or ''
    problem = ''
    #: whether ``read`` never returns more than asked for
    exact = True

    def read(self, size: int) -> bytes:
        """The next bytes.

        :param size: about how many; at least one byte unless at the end
        :returns: bytes, none at the end
        """
        raise NotImplementedError

    def skip(self, size: int) -> int:
        """Pass over bytes.

        :param size: how many
        :returns: how many there were
        """
        left = size
        while left > 0:
            data = self.read(min(left, _PIECE))
            if not data:
                break
            left -= len(data)
        return size - left


class FileStream(Stream):
    """A file of the disk.

    :param file: opened without buffering
    :param budget: what may still be read
    """

    def __init__(self, file: io.FileIO, budget: Budget) -> None:
        self._file = file
        self._budget = budget

    def read(self, size: int) -> bytes:
        if self.problem:
            return b''
        try:
            data = self._file.read(size) or b''
        except OSError as exc:
            self.problem = 'reading failed: %s' % (exc.strerror or exc)
            return b''
        self.problem = self._budget.spend(len(data))
        return data

    def skip(self, size: int) -> int:
        try:
            there = self._file.tell()
            end = os.fstat(self._file.fileno()).st_size
            step = max(0, min(size, end - there))
            self._file.seek(there + step)
        except OSError as exc:
            self.problem = 'reading failed: %s' % (exc.strerror or exc)
            return 0
        return step


class Buffered(Stream):
    """A stream that can be looked into and read in exact sizes.

    :param inner: where the bytes come from
    """

    def __init__(self, inner: Stream) -> None:
        self._inner = inner
        self._buffer = b''
        self._at = 0

    @property
    def problem(self) -> str:  # type: ignore[override]
        return self._inner.problem

    def peek(self, size: int) -> bytes:
        """The next bytes, without taking them.

        :param size: how many
        :returns: fewer only at the end
        """
        held = len(self._buffer) - self._at
        if held < size:
            parts = [self._buffer[self._at:]]
            while held < size:
                data = self._inner.read(max(size - held, 4096))
                if not data:
                    break
                parts.append(data)
                held += len(data)
            self._buffer = b''.join(parts)
            self._at = 0
        return self._buffer[self._at:self._at + size]

    def read(self, size: int) -> bytes:
        """The next bytes, never more than asked for."""
        if self._at >= len(self._buffer):
            self._at = 0
            self._buffer = self._inner.read(max(size, 4096))
        if self._at == 0 and len(self._buffer) <= size:
            data, self._buffer = self._buffer, b''
            return data
        data = self._buffer[self._at:self._at + size]
        self._at += len(data)
        return data

    def fill(self, size: int) -> bytes:
        """The next bytes.

        :param size: how many
        :returns: fewer only at the end
        """
        data = self.read(size)
        if len(data) == size or not data:
            return data
        parts = [data]
        left = size - len(data)
        while left:
            data = self.read(left)
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b''.join(parts)

    def skip(self, size: int) -> int:
        held = min(size, len(self._buffer) - self._at)
        self._at += held
        if held == size:
            return size
        if not self._inner.exact:
            return held + super().skip(size - held)
        return held + self._inner.skip(size - held)


class MemoryStream(Stream):
    """Bytes that are at hand, and then those of another stream.

    :param data: the bytes
    :param then: what follows them
    """

    def __init__(self, data: bytes, then: Stream | None = None) -> None:
        self._data = data
        self._at = 0
        self._then = then

    @property
    def problem(self) -> str:  # type: ignore[override]
        return self._then.problem if self._then else ''

    def read(self, size: int) -> bytes:
        data = self._data[self._at:self._at + size]
        self._at += len(data)
        if data or not size or self._then is None:
            return data
        self._data = b''
        return self._then.read(size)

    def skip(self, size: int) -> int:
        held = min(size, max(0, len(self._data) - self._at))
        self._at += held
        if held == size or self._then is None:
            return held
        return held + self._then.skip(size - held)


class Transcoded(Stream):
    """UTF-16 or UTF-32 text as UTF-8.

    :param inner: bytes that start with a byte order mark
    :param encoding: ``utf-16`` or ``utf-32``
    """

    exact = False

    def __init__(self, inner: Stream, encoding: str) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder(encoding)('replace')
        self._ended = False

    @property
    def problem(self) -> str:  # type: ignore[override]
        return self._inner.problem

    def read(self, size: int) -> bytes:
        while not self._ended:
            data = self._inner.read(size)
            self._ended = not data
            text = self._decoder.decode(data, final=self._ended)
            if text:
                return text.encode('utf-8', 'replace')
        return b''


def compression(head: bytes) -> str:
    """How bytes are compressed, by their first bytes.

    :param head: at least six bytes where there are that many
    :returns: ``gz``, ``bz2``, ``xz``, ``zst`` or ''
    """
    if head[:3] == b'\x1f\x8b\x08':
        return 'gz'
    if head[:3] == b'BZh' and head[3:4] in b'123456789' and len(head) > 3:
        return 'bz2' if head[4:6] in (b'1A', b'\x17r') else ''
    if head[:6] == b'\xfd7zXZ\x00':
        return 'xz'
    if head[:4] == b'\x28\xb5\x2f\xfd' or (
            head[1:4] == b'\x2a\x4d\x18' and 0x50 <= head[0] <= 0x5f):
        return 'zst'
    return ''


class _Decoder(Protocol):
    """What the decoders of the four formats have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """gzip with the manners of the decoders of bz2 and xz."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decompress(
            self._decoder.unconsumed_tail + data, max_length)


class _Zstd:
    """zstd with the manners of the decoders of bz2 and xz."""

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(
            max_window_size=_ZSTD_WINDOW).decompressobj()

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return True

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decompress(data) if data else b''


def _decoder(kind: str) -> _Decoder:
    if kind == 'gz':
        return _Gzip()
    if kind == 'bz2':
        return bz2.BZ2Decompressor()
    if kind == 'xz':
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
    return _Zstd()


class Decompressed(Stream):
    """What a compressed stream holds, as far as it is whole.

    :param inner: compressed bytes
    :param kind: as :func:`compression` tells
    :param limits: how much may come out
    :param budget: what may still be read
    """

    exact = False

    def __init__(self, inner: Stream, kind: str, limits: Limits,
                 budget: Budget) -> None:
        self._inner = inner
        self._kind = kind
        self._limits = limits
        self._budget = budget
        self._input = b''
        self._decoder: _Decoder | None = None
        self._ended = False
        self.consumed = 0
        self.produced = 0

    def read(self, size: int) -> bytes:
        """The next bytes; there may be more than asked for."""
        while not self._ended:
            try:
                data = self._step(min(max(size, 4096), _OUTPUT))
            except (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError,
                    EOFError, ValueError, MemoryError) as exc:
                self._stop(f'damaged {self._kind} data after '
                           f'{human(self.produced)} of text: {exc}')
                break
            if data:
                self._count(len(data))
                return data
        return b''

    def _stop(self, problem: str) -> None:
        self._ended = True
        self._decoder = None
        self._input = b''
        self.problem = problem or self._inner.problem

    def _more(self) -> bytes:
        data = self._inner.read(_INPUT[self._kind])
        self.consumed += len(data)
        return data

    def _step(self, size: int) -> bytes:
        decoder = self._decoder
        if decoder is None:
            if not self._start():
                return b''
            decoder = self._decoder = _decoder(self._kind)
        data = self._input
        self._input = b''
        at_end = False
        if not data and decoder.needs_input:
            data = self._more()
            at_end = not data
        if at_end and self._kind in ('bz2', 'xz', 'zst'):
            out = b''
        else:
            out = decoder.decompress(data, size)
        if decoder.eof:
            self._input = decoder.unused_data
            self._decoder = None
        elif at_end and not out:
            self._stop(self._inner.problem or
                       f'the {self._kind} data is cut off after '
                       f'{human(self.produced)} of text')
        return out

    def _start(self) -> bool:
        """Find the next of several compressed streams in a row."""
        data = self._input
        while True:
            # Files on tapes and in some archives are filled up with zeros.
            if self.produced:
                data = data.lstrip(b'\x00')
            if len(data) >= 6:
                break
            more = self._more()
            if not more:
                break
            data += more
        if not data:
            self._stop('')
            return False
        if compression(data) != self._kind:
            self._stop(f'what follows the {self._kind} data is not '
                       f'{self._kind}')
            return False
        self._input = data
        return True

    def _count(self, amount: int) -> None:
        self.produced += amount
        limits = self._limits
        problem = self._budget.spend(amount)
        if self.produced > limits.max_uncompressed:
            problem = ('it unpacks to more than the limit of '
                       f'{human(limits.max_uncompressed)}')
        elif (self.produced > limits.ratio_after
              and self.produced > limits.max_ratio * self.consumed):
            problem = (f'it unpacks to more than {limits.max_ratio} times '
                       'its size, as decompression bombs do')
        if problem:
            self._stop(problem)


def is_tar(head: bytes) -> bool:
    """Whether bytes start a tar archive.

    :param head: the first block
    :returns: true also for the old formats that have no magic
    """
    if len(head) < BLOCK:
        return False
    if head[257:262] == b'ustar':
        return True
    if not head[0] or head[0] < 0x20:
        return False
    try:
        info = tarfile.TarInfo.frombuf(head[:BLOCK], 'utf-8',
                                       'surrogateescape')
    except (tarfile.TarError, ValueError):
        return False
    return bool(info.name) and info.size >= 0


class MemberStream(Stream):
    """The bytes of one member.

    :param tar: bytes of the archive, at the start of the member
    :param size: size that the archive tells
    """

    def __init__(self, tar: Stream, size: int) -> None:
        self._tar = tar
        self.left = size

    def read(self, size: int) -> bytes:
        if not self.left or not size:
            return b''
        data = self._tar.read(min(size, self.left))
        self.left -= len(data)
        if not data:
            self._lost()
        return data

    def skip(self, size: int) -> int:
        size = min(size, self.left)
        done = self._tar.skip(size)
        self.left -= done
        if done < size:
            self._lost()
        return done

    def take(self) -> bytes:
        """All that is left."""
        parts = []
        while self.left:
            data = self.read(self.left)
            if not data:
                break
            parts.append(data)
        return b''.join(parts)

    def _lost(self) -> None:
        self.problem = ('the archive ends within this file, '
                        f'{human(self.left)} are missing')
        if self._tar.problem:
            self.problem += ': ' + self._tar.problem


@dataclasses.dataclass(frozen=True)
class Member:
    """One entry of an archive.

    :param name: as stored, with its encoding made good
    :param kind: ``file``, ``folder``, ``link``, ``sparse`` or ``special``
    :param size: bytes
    :param mtime: seconds
    :param stream: the bytes, to be read before the next member is asked for
    """

    name: str
    kind: str
    size: int
    mtime: int
    stream: MemberStream


def _pax(data: bytes) -> dict[str, bytes]:
    """Records of a PAX header.

    :param data: ``20 path=some/where\\n`` and so on
    :returns: records by keyword; empty if damaged
    """
    records: dict[str, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b' ', at, at + 20)
        if space < 0 or not data[at:space].isdigit():
            return {}
        end = at + int(data[at:space])
        key, equals, value = data[space + 1:end - 1].partition(b'=')
        if end > len(data) or end <= space + 1 or not equals:
            return {}
        records[key.decode('utf-8', 'replace')] = value
        at = end
    return records


class TarReader:
    """The members of a tar archive, one after the other.

    The standard library's reader trusts the sizes in headers with its memory
    and jumps about in the file; this one does neither.

    :param stream: the archive, decompressed
    """

    def __init__(self, stream: Buffered) -> None:
        self._stream = stream
        self.problem = ''

    def __iter__(self) -> Iterator[Member]:
        name: bytes | None = None
        pax: dict[str, bytes] = {}
        while True:
            info = self._header()
            if info is None:
                return
            if info.type in (b'L', b'x', b'X', b'K', b'g'):
                if info.type in (b'K', b'g'):
                    self._pass(self._padded(info.size))
                    continue
                if info.size > _MAX_EXTENSION:
                    self.problem = ('damaged: an extended header claims '
                                    f'{human(info.size)}')
                    return
                data = self._stream.fill(self._padded(info.size))
                if info.type == b'L':
                    name = data[:info.size].partition(b'\x00')[0]
                else:
                    pax = _pax(data[:info.size])
                continue
            size = info.size
            stored = pax.get('path', name)
            text = info.name if stored is None else stored.decode(
                'utf-8', 'surrogateescape')
            if pax.get('size', b'').isdigit():
                size = int(pax['size'])
            kind = self._kind(info, pax)
            if kind in ('link', 'folder', 'special'):
                # Their size field, if any, tells of no bytes that follow.
                size = 0
            stream = MemberStream(self._stream, size)
            yield Member(text, kind, size, int(info.mtime), stream)
            name, pax = None, {}
            stream.skip(stream.left)
            if stream.problem:
                self.problem = (f'it ends within {printable(text)}'
                                if not self._stream.problem
                                else self._stream.problem)
                return
            self._pass(-size % BLOCK)

    @staticmethod
    def _padded(size: int) -> int:
        return size + -size % BLOCK

    def _pass(self, size: int) -> None:
        self._stream.skip(size)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._stream.fill(BLOCK)
        if self._stream.problem and len(block) < BLOCK:
            self.problem = self._stream.problem
            return None
        if not block or not block.strip(b'\x00'):
            return None
        if len(block) < BLOCK:
            self.problem = 'it ends within a header'
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, 'utf-8', 'surrogateescape')
        except (tarfile.TarError, ValueError) as exc:
            self.problem = f'damaged: {exc}'
            return None
        if info.size < 0:
            self.problem = 'damaged: a member of negative size'
            return None
        if info.type == b'S' and block[482]:
            more = b'\x01' * BLOCK
            while len(more) == BLOCK and more[504]:
                more = self._stream.fill(BLOCK)
        return info

    @staticmethod
    def _kind(info: tarfile.TarInfo, pax: dict[str, bytes]) -> str:
        if info.type == b'S' or any(
                key.startswith('GNU.sparse.') for key in pax):
            return 'sparse'
        if info.type in (b'0', b'\x00', b'7'):
            return 'file'
        if info.type == b'5':
            return 'folder'
        if info.type in (b'1', b'2'):
            return 'link'
        if info.type in (b'3', b'4', b'6'):
            return 'special'
        # What no standard knows is treated as a file, as POSIX asks.
        return 'file'


def printable(name: str) -> str:
    """A name of a file that can be stored and shown.

    :param name: as the disk or an archive has it, bad bytes as surrogates
    :returns: the same with bad bytes and control characters spelled out
    """
    if name.isascii() and name.isprintable():
        return name
    text = name.encode('utf-8', 'surrogateescape').decode(
        'utf-8', 'backslashreplace')
    return ''.join(
        char if char.isprintable() else
        char.encode('unicode_escape').decode('ascii') for char in text)
