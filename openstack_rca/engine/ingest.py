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
"""From sources to the store: read, parse on all cores, write segments."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import dataclasses
import datetime
import os

import polars as pl

from openstack_rca.events import parser
from openstack_rca.events import schema
from openstack_rca.sources import base as sources
from openstack_rca.store import base as stores

#: Bytes that are parsed at once. Larger pieces do not parse faster and take
#: memory in proportion.
_PIECE = 8 << 20
#: Files up to this size are parsed together with others.
_SMALL = 1 << 20
_MOST_TOGETHER = 500
#: Rows of a segment: few enough to be held, enough for good compression.
_SEGMENT = 250_000

Progress = Callable[[str, float], None]


@dataclasses.dataclass
class _Job:
    """Parts to parse, and the file that each is from."""

    parts: list[parser.Part]
    files: list['_Reading']
    piece: 'futures.Future[parser.Piece] | None' = None


@dataclasses.dataclass
class _Reading:
    """A file on its way into the store."""

    file: sources.LogFile
    unit: sources.Unit
    format: str = ''
    events: int = 0
    lines: int = 0
    unparsed: int = 0
    size: int = 0
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    last: pl.DataFrame | None = None
    ended: bool = False


def ingest(source: sources.Source, units: list[sources.Unit],
           store: stores.Store, timezone: str = 'UTC',
           progress: Progress | None = None) -> None:
    """Parse files and write what they hold.

    :param source: where the files are
    :param units: which to read
    :param store: where the events go
    :param timezone: IANA name of the zone of time stamps without an offset
    :param progress: called with a stage and the share that is done
    :raises StoreError: events cannot be written
    """
    total = sum(u.size for u in units) or 1
    workers = os.cpu_count() or 1
    waiting: collections.deque[_Job] = collections.deque()
    with futures.ThreadPoolExecutor(workers) as pool, \
            futures.ThreadPoolExecutor(1) as aside:
        writer = _Writer(store, timezone, aside)
        done = 0
        for job, size in _jobs(source, units, timezone):
            job.piece = pool.submit(parser.parse, job.parts,
                                    job.files[0].format or None)
            waiting.append(job)
            done += size
            while len(waiting) > workers + 1:
                writer.take(waiting.popleft())
                if progress:
                    progress('reading', min(1.0, done / total))
        while waiting:
            writer.take(waiting.popleft())
        writer.close()


def _jobs(source: sources.Source, units: list[sources.Unit],
          timezone: str) -> Iterator[tuple[_Job, int]]:
    """Work for the parser: small files together, large ones in pieces."""
    parts: list[parser.Part] = []
    files: list[_Reading] = []
    held = stored = 0
    for unit in units:
        stored += unit.size
        for file, pieces in source.read_unit(unit, _PIECE):
            reading = _Reading(file, unit)
            origin = _origin(file, timezone)
            line = 1
            before: tuple[int, bytes] | None = None
            for offset, data in pieces:
                if before is not None:
                    yield _Job([parser.Part(before[1], origin, before[0],
                                            line)], [reading]), stored
                    line += before[1].count(b'\n')
                    stored = 0
                before = (offset, data)
            if before is None:
                continue
            part = parser.Part(before[1], origin, before[0], line)
            reading.ended = True
            if (line == 1 and len(part.data) <= _SMALL
                    and file.kind == 'log' and part.data[:1] != b'{'):
                parts.append(part)
                files.append(reading)
                held += len(part.data)
                if held >= _PIECE or len(parts) >= _MOST_TOGETHER:
                    yield _Job(parts, files), stored
                    parts, files, held, stored = [], [], 0, 0
                continue
            yield _Job([part], [reading]), stored
            stored = 0
    if parts:
        yield _Job(parts, files), stored


def _origin(file: sources.LogFile, timezone: str) -> parser.Origin:
    modified = getattr(file, 'modified', 0.0)
    year = datetime.datetime.fromtimestamp(
        modified, datetime.UTC).year if modified else datetime.datetime.now(
            datetime.UTC).year
    return parser.Origin(
        source=file.source, kind=file.kind, service=file.service,
        binary=file.binary, host=file.host, timezone=timezone, year=year)


class _Writer:
    """Collects events in the order of the files and writes segments."""

    def __init__(self, store: stores.Store, timezone: str,
                 pool: futures.Executor) -> None:
        self._store = store
        self._timezone = timezone
        self._pool = pool
        self._writing: futures.Future[None] | None = None
        self._events: list[pl.DataFrame] = []
        self._templates: list[pl.DataFrame] = []
        self._records: list[stores.FileRecord] = []
        self._rows = 0

    def take(self, job: _Job) -> None:
        """Add what a job found."""
        assert job.piece is not None
        piece = job.piece.result()
        job.parts.clear()
        events = piece.events
        for reading, counts in zip(job.files, piece.parts.iter_rows(
                named=True), strict=True):
            reading.events += counts['events']
            reading.lines += counts['lines']
            reading.unparsed += counts['unparsed']
            reading.format = reading.format or counts['format'] or ''
            for name, pick in (('since', min), ('until', max)):
                times = [t for t in (getattr(reading, name), counts[name])
                         if t is not None]
                setattr(reading, name, pick(times) if times else None)
        reading = job.files[0]
        if reading.last is not None:
            events = self._unite(reading, piece, events)
        if len(job.files) == 1 and not reading.ended:
            # The next piece may begin with the rest of the last record.
            reading.last = events.tail(1)
            events = events.head(events.height - 1)
        self._add(events, piece.templates)
        for reading in job.files:
            if reading.ended:
                self._records.append(self._record(reading))
        if self._rows >= _SEGMENT:
            self.flush()

    def _unite(self, reading: _Reading, piece: parser.Piece,
               events: pl.DataFrame) -> pl.DataFrame:
        """Put the front of a piece to the record that it continues."""
        last, reading.last = reading.last, None
        assert last is not None
        row = last.row(0, named=True)
        first = events.row(0, named=True)
        if piece.leads and parser.continues(first['text'], row):
            text = (row['text'] + '\n' + first['text'])[:parser.MAX_TEXT]
            last = last.with_columns(
                text=pl.lit(text),
                lines=pl.lit(row['lines'] + first['lines'], dtype=pl.UInt32),
                length=pl.lit(first['offset'] + first['length']
                              - row['offset'], dtype=pl.UInt32),
                resources=pl.lit(pl.Series(
                    [row['resources'] + first['resources']],
                    dtype=pl.List(pl.String))))
            events = events.slice(1)
            reading.events -= 1
            if first['kind'] == 'raw':
                reading.unparsed -= first['lines']
        return pl.concat([last, events])

    def _add(self, events: pl.DataFrame, templates: pl.DataFrame) -> None:
        self._events.append(events)
        self._templates.append(templates)
        self._rows += events.height

    def _record(self, reading: _Reading) -> stores.FileRecord:
        file = reading.file

        def iso(moment: datetime.datetime | None) -> str | None:
            return moment.isoformat() if moment else None

        return stores.FileRecord(
            source=file.source, unit=reading.unit.source,
            identity=reading.unit.identity, kind=file.kind,
            service=file.service, binary=file.binary, host=file.host,
            format=reading.format, clock=self._timezone,
            events=reading.events, lines=reading.lines,
            unparsed=reading.unparsed, bytes=file.size,
            since=iso(reading.since), until=iso(reading.until))

    def flush(self) -> None:
        """Have what was collected written as one segment.

        One segment is written while the next one is parsed, never two, so
        that memory stays bounded and segments keep their order.
        """
        self._wait()
        if not self._events:
            return
        self._writing = self._pool.submit(
            self._write, self._events, self._templates, self._records)
        self._events, self._templates, self._records = [], [], []
        self._rows = 0

    def _write(self, events: list[pl.DataFrame],
               templates: list[pl.DataFrame],
               records: list[stores.FileRecord]) -> None:
        self._store.write(pl.concat(events),
                          pl.concat(templates).unique('template'), records)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        """Write the rest, and wait until it is written."""
        self.flush()
        self._wait()
