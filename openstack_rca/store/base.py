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
"""The interface of event stores: events by time, identity, template, text."""

import abc
import dataclasses
import datetime
import pathlib

import polars as pl

from openstack_rca import exception


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """What a store holds of one file.

    :param source: name of the file
    :param unit: the file of the disk that it is or is in
    :param identity: content identity of the unit when it was parsed, at
        the latest
    :param kind: ``log``, ``journal`` or ``notifications``
    :param service: project that wrote it
    :param binary: program that wrote it
    :param host: host that wrote it
    :param format: format of most of its records
    :param clock: IANA name of the zone that its local times were read in
    :param events: records
    :param lines: lines
    :param unparsed: lines that are no part of any record
    :param bytes: bytes of uncompressed text, which is where a file that only
        grew is read on
    :param since: time of the first event, UTC, ISO 8601, or None
    :param until: time of the last event, or None
    :param start: where the segments that this record completes begin; what
        older ones hold of the bytes before it stays
    :param pieces: how many times the file was read on, and 1
    :param fingerprint: what :meth:`sources.Source.fingerprint` said of the
        bytes parsed, empty where the file cannot be read on
    :param inode: device and number of the file of the disk, empty where
        there is none
    :param first: what :func:`sources.first_line` said of it, or ''
    :param last_offset: where the last record begins, which may go on; -1
        where that is not known. What follows it without a header belongs
        to it here
    :param last_line: its number
    :param last_length: its bytes, without the last newline
    :param last_events: how many events it stands for
    :param last_lines: how many lines
    :param last_raw: how many lines that are no part of a record
    """

    source: str
    unit: str
    identity: str
    kind: str
    service: str
    binary: str
    host: str
    format: str
    clock: str
    events: int
    lines: int
    unparsed: int
    bytes: int
    since: str | None
    until: str | None
    start: int = 0
    pieces: int = 1
    fingerprint: str = ''
    inode: str = ''
    first: str = ''
    last_offset: int = -1
    last_line: int = 0
    last_length: int = 0
    last_events: int = 0
    last_lines: int = 0
    last_raw: int = 0


@dataclasses.dataclass(frozen=True)
class Dropped:
    """What was given up to keep a store within its bounds.

    :param events: how many
    :param bytes: of the disk
    """

    events: int = 0
    bytes: int = 0

    def __add__(self, other: 'Dropped') -> 'Dropped':
        return Dropped(self.events + other.events, self.bytes + other.bytes)


class DamagedError(exception.StoreError):
    """A segment cannot be read, whatever the disk does.

    :param path: the segment
    :param reason: what is wrong with it
    """

    def __init__(self, path: pathlib.Path, reason: str) -> None:
        super().__init__(path=path, reason=reason)
        self.path = path


@dataclasses.dataclass(frozen=True)
class Query:
    """Which events are wanted; what is None or empty does not restrict.

    :param since: first moment, UTC without a zone
    :param until: last moment, UTC without a zone
    :param requests: request ids, local or global
    :param resources: identifiers that an event names
    :param services: projects or binaries
    :param hosts: host names
    :param level: least severity (10 to 50)
    :param templates: template ids
    :param words: all of these stand in the text, in any case
    :param kinds: ``log``, ``access``, ``notification``, ``raw``
    :param limit: the first so many in order of time
    """

    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    requests: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    level: int | None = None
    templates: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    limit: int | None = None


class Store(abc.ABC):
    """Events that were parsed, on disk.

    A segment is written whole or not at all, and its writing is the commit:
    what it says of its files is true once it is there. Events of a file
    count from the segment on that completes it, so that what an interrupted
    command left is never seen. A store has one writer at a time.

    :param path: folder of the store; made when it is not there
    :raises StoreError: it cannot be made or read
    """

    #: Segments that were written further apart, in seconds, are not united;
    #: 0 for any. What is dropped by its age is dropped by the segment.
    span = 0.0

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    @abc.abstractmethod
    def files(self) -> dict[str, FileRecord]:
        """What is held, by source."""

    @abc.abstractmethod
    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[FileRecord]) -> None:
        """Add a segment.

        :param events: with the columns of ``schema.EVENTS``
        :param templates: with the columns of ``schema.TEMPLATES``
        :param files: the files that end in this segment. Each counts with
            all its events since the last record of it; an older record of
            the same source is superseded, and so are its events from
            ``start`` on
        :raises StoreError: it could not be written
        """

    def write_at(self, events: pl.DataFrame, templates: pl.DataFrame,
                 files: list[FileRecord], position: str) -> None:
        """Add a segment of a source whose position is not that of a file.

        :param events: as :meth:`write` takes them
        :param templates: as :meth:`write` takes them
        :param files: as :meth:`write` takes them
        :param position: how far the source was read with it
        :raises StoreError: it could not be written
        """
        raise NotImplementedError

    @property
    def position(self) -> str:
        """The last position that was written, or ''."""
        return ''

    @abc.abstractmethod
    def forget(self, sources: set[str]) -> None:
        """Drop the events of files, finished or not.

        :param sources: names of files, known or not
        :raises StoreError: it could not be written
        """

    def rename(self, units: dict[str, str]) -> None:
        """Give files other names, all of them at once.

        :param units: new names of files of the disk by the old ones; what
            is in them is renamed alike
        :raises StoreError: it could not be written
        """
        raise NotImplementedError

    def abandon(self) -> None:
        """Give up what was begun and is not complete."""

    def expire(self, before: float, limit: int) -> Dropped:
        """Drop the oldest events, and remember how far files were read.

        :param before: seconds of the epoch; what was stored before goes
        :param limit: bytes that the events may take on the disk; 0 for any
        :returns: what was dropped
        :raises StoreError: it could not be written
        """
        raise NotImplementedError

    def compact(self) -> None:
        """Unite what was written in many small pieces.

        It may be called by a thread beside the one that writes.

        :raises StoreError: it could not be written
        """

    def check(self) -> None:
        """Make sure that all of it can be read.

        :raises DamagedError: a segment cannot, whatever the disk does
        :raises StoreError: the disk cannot be read at the moment
        """

    @classmethod
    def snapshot(cls, path: pathlib.Path, folder: pathlib.Path,
                 before: 'Store | None' = None) -> 'Store':
        """What a store holds at this moment, for reading.

        The store may have a writer meanwhile, which the snapshot does not
        see.

        :param path: folder of the store
        :param folder: where the snapshot may keep files; on the same disk,
            and not there yet
        :param before: an older snapshot: what is the same is not read again
        :raises StoreError: the store cannot be read
        """
        return cls(path)

    @abc.abstractmethod
    def scan(self) -> pl.LazyFrame:
        """All events, lazily, with the columns of ``schema.EVENTS``."""

    @abc.abstractmethod
    def templates(self) -> pl.DataFrame:
        """All templates, each once."""

    @abc.abstractmethod
    def query(self, query: Query) -> pl.DataFrame:
        """The events that a query wants, in order of time.

        :raises StoreError: the store cannot be read
        """

    def narrow(self, query: Query) -> pl.LazyFrame:
        """The events that a query wants, lazily and in no order.

        The meaning of each condition is the same in every driver.
        """
        frame = self.scan()
        if query.since is not None:
            frame = frame.filter(pl.col('timestamp') >= query.since)
        if query.until is not None:
            frame = frame.filter(pl.col('timestamp') <= query.until)
        if query.level is not None:
            frame = frame.filter(pl.col('level') >= query.level)
        if query.kinds:
            frame = frame.filter(pl.col('kind').is_in(query.kinds))
        if query.templates:
            frame = frame.filter(pl.col('template').is_in(
                pl.Series(query.templates, dtype=pl.UInt64).implode()))
        if query.services:
            frame = frame.filter(pl.col('service').is_in(query.services)
                                 | pl.col('binary').is_in(query.services))
        if query.hosts:
            frame = frame.filter(pl.col('host').is_in(query.hosts))
        if query.requests:
            frame = frame.filter(
                pl.col('request_id').is_in(query.requests)
                | pl.col('global_request_id').is_in(query.requests)
                | _names(query.requests))
        if query.resources:
            frame = frame.filter(_names(query.resources))
        for word in query.words:
            # Lower case of all texts would be made for each word.
            frame = frame.filter(pl.col('text').str.contains(
                f'(?i){pl.escape_regex(word)}'))
        return frame


def _names(identifiers: tuple[str, ...]) -> pl.Expr:
    """Whether an event names one of some identifiers.

    A UUID is the same with and without dashes: Keystone and Neutron write
    the same project differently.
    """
    wanted = set(identifiers)
    for value in identifiers:
        bare = value.replace('-', '')
        if len(bare) == 32 and not value.startswith('req-'):
            wanted |= {bare, f'{bare[:8]}-{bare[8:12]}-{bare[12:16]}-'
                             f'{bare[16:20]}-{bare[20:]}'}
    any_of = pl.lit(False)
    for value in sorted(wanted):
        any_of = any_of | pl.col('resources').list.contains(value)
    return (any_of | pl.col('user_id').is_in(sorted(wanted)).fill_null(False)
            | pl.col('project_id').is_in(sorted(wanted)).fill_null(False))
