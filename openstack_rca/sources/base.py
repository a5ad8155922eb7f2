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
"""The interface of sources: where records come from, and their positions.

A source driver turns something that a user names (a folder, an archive, a
journal, a message bus) into :class:`LogFile` objects. The event parser reads
their bytes in pieces and never needs to know how they were stored.
"""

import abc
from collections.abc import Iterator
import dataclasses
import hashlib
import pathlib

#: A first line is known by so many bytes, at the most.
_FIRST = 1024


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something that was not read, for the report.

    :param source: name relative to what the user gave
    :param reason: why, in words for the operator
    :param size: bytes not read, as far as known
    """

    source: str
    reason: str
    size: int = 0


@dataclasses.dataclass(frozen=True)
class LogFile:
    """One file of one binary on one host, ready to be read.

    :param source: name relative to what the user gave
        (``archive.tar.gz!member`` inside an archive)
    :param kind: ``log`` (lines of text), ``journal`` (``journalctl -o json``)
        or ``notifications`` (one JSON notification a line)
    :param service: OpenStack project or program (``nova``, ``rabbitmq``), or
        an empty string where the name does not tell
    :param binary: ``nova-compute``, ``keystone``, ``ovs-vswitchd``
    :param host: host that the name of the file tells, or an empty string
    :param identity: what the cached parse of this file is keyed by: changes
        when the content changes
    :param size: size in bytes as stored (compressed where it is compressed)
    :param series: rotated files of one log share it; they are read in the
        order given, oldest first
    :param modified: when it was written last, in seconds of the epoch, or 0;
        what dates without a year are read by
    """

    source: str
    kind: str
    service: str
    binary: str
    host: str
    identity: str
    size: int
    series: str
    modified: float = 0.0


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is opened at once: one file of the disk, with all that is in it.

    A cache is best keyed by units: whether an archive is unchanged is known
    without unpacking it.

    :param source: name relative to what the user gave
    :param identity: changes when the content changes
    :param size: size in bytes as stored
    :param container: an archive, of which :meth:`Source.read_unit` gives the
        members
    :param inode: device and number of the file of the disk, or ''
    :param series: rotated files of one log share it
    """

    source: str
    identity: str
    size: int
    container: bool
    inode: str = ''
    series: str = ''


@dataclasses.dataclass(frozen=True)
class Marks:
    """By what the text of a file is known again, under whatever name.

    :param found: fingerprints by the offsets that were asked for, as far as
        the text goes
    :param end: bytes of text
    :param last: the fingerprint at the end
    :param first: that of the first line, '' where there is none yet
    """

    found: dict[int, str]
    end: int
    last: str
    first: str


Pieces = Iterator[tuple[int, bytes]]


def first_line(head: bytes) -> str:
    """By what a log is known from its first line on.

    :param head: its first bytes
    :returns: '' where that line is not complete
    """
    end = head.find(b'\n', 0, _FIRST) + 1
    if not end and len(head) < _FIRST:
        return ''
    return hashlib.blake2b(head[:end or _FIRST], digest_size=16).hexdigest()


class Source(abc.ABC):
    """A place that holds logs.

    :param path: what the user named
    :raises SourceNotFound: it is not there
    :raises SourceUnreadable: it cannot be read
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.skipped: list[Skipped] = []

    @abc.abstractmethod
    def files(self) -> list[LogFile]:
        """What there is to read, rotated series in order, oldest first.

        What is left out is appended to ``self.skipped``.

        :raises SourceEmpty: there is no log at all
        """

    @abc.abstractmethod
    def chunks(self, file: LogFile, size: int = 8 << 20,
               start: int = 0) -> Pieces:
        """Pieces of one file, in order.

        Every piece but the last ends with a newline, so that a record is
        never cut inside a line. Pieces follow each other without a gap, with
        one exception: a line that is too long is cut. The piece that holds
        its beginning then ends there, with a newline added, and the next
        piece starts, at its true offset, with the line that follows. So the
        number of a line is always the number of newlines before it plus one,
        and its offset is that of its piece plus its place in the piece.

        A damaged end (truncated compression, a limit reached) is not an
        error: what came before it is yielded, and the rest is noted in
        ``self.skipped``.

        :param file: one of :meth:`files`
        :param size: wanted size of a piece in bytes of uncompressed text
        :param start: offset of the line to begin with, of a file that has a
            fingerprint
        :returns: offset of the piece in uncompressed bytes, and the bytes
        """

    def fingerprint(self, unit: Unit, end: int) -> str:
        """What a file that only grows keeps.

        As long as the answer for the same end stays the same, the bytes
        before that end are the same, and the rest may be read alone.

        :param unit: one of :meth:`units`
        :param end: offset in bytes
        :returns: an empty string for what cannot be read from the middle
        """
        return ''

    def still(self, unit: Unit) -> bool:
        """Whether what was read a moment ago is the file that was seen.

        :param unit: one of :meth:`units`
        :returns: false where another took its name, or where it was
            truncated: what was read may be half of each
        """
        return True

    def units(self) -> list[Unit]:
        """What :meth:`read_unit` takes, in the order of reading.

        :raises SourceEmpty: there is no log at all
        """
        return [Unit(file.source, file.identity, file.size, False)
                for file in self.files()]

    def read_unit(self, unit: Unit, size: int = 8 << 20, start: int = 0
                  ) -> Iterator[tuple[LogFile, Pieces]]:
        """All files of one unit with their pieces, in one pass.

        The pieces of a file must be taken before the next file is asked for;
        those left are passed over.

        :param unit: one of :meth:`units`
        :param size: as in :meth:`chunks`
        :param start: as in :meth:`chunks`
        :returns: file and pieces as :meth:`chunks` gives them
        """
        for file in self.files():
            if file.source == unit.source:
                yield file, self.chunks(file, size, start)

    def read_all(self, size: int = 8 << 20
                 ) -> Iterator[tuple[LogFile, Pieces]]:
        """All files with their pieces; every archive is unpacked once.

        :param size: as in :meth:`chunks`
        :returns: as :meth:`read_unit`
        :raises SourceEmpty: there is no log at all
        """
        for unit in self.units():
            yield from self.read_unit(unit, size)
