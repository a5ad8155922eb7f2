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
import contextlib
import dataclasses
import datetime
import os
import zoneinfo

from oslo_log import log as logging
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
#: By so much of it, a file is known again.
_HEAD = 4096

LOG = logging.getLogger(__name__)

Progress = Callable[[str, float], None]


@dataclasses.dataclass
class _Job:
    """Parts to parse, and the file that each is from.

    :param parts: whole lines, the whole of many files or a piece of one
    :param files: the file that each part is from
    :param ends: whether the files end here
    :param piece: what came of it
    """

    parts: list[parser.Part]
    files: list['_Reading']
    ends: bool = True
    piece: 'futures.Future[list[_Parsed]] | None' = None


@dataclasses.dataclass
class _Parsed:
    """What came of a job, or of a part of it.

    :param files: the file that each part is from
    :param piece: what is in them; None where that cannot be parsed
    :param lines: how many lines could not be parsed
    """

    files: list['_Reading']
    piece: parser.Piece | None
    lines: int = 0


@dataclasses.dataclass(frozen=True)
class Resume:
    """Where to read a file on that only grew since it was parsed.

    :param offset: of the last record that was parsed, which may go on
    :param line: its number
    :param record: what the store said of the file, without that record
    """

    offset: int
    line: int
    record: stores.FileRecord

    @classmethod
    def of(cls, record: stores.FileRecord) -> 'Resume | None':
        """Where to read a file on, if that is known.

        :param record: what the store says of it
        """
        if record.last_offset < 0:
            return None
        return cls(record.last_offset, record.last_line, dataclasses.replace(
            record, events=record.events - record.last_events,
            lines=record.lines - record.last_lines,
            unparsed=record.unparsed - record.last_raw))

    @classmethod
    def behind(cls, record: stores.FileRecord) -> 'Resume':
        """Where to read on one whose last record is long enough.

        :param record: what the store says of it
        """
        return cls(record.bytes, record.lines + 1, dataclasses.replace(
            record, last_length=-1))


@dataclasses.dataclass
class _Last:
    """The last record of a file, and what follows it without a header."""

    offset: int
    line: int
    length: int
    events: int
    lines: int
    raw: int


@dataclasses.dataclass
class _Reading:
    """A file on its way into the store."""

    file: sources.LogFile
    unit: sources.Unit
    resume: Resume | None = None
    start: int = 0
    end: int = 0
    fingerprint: str = ''
    first: str = ''
    final: _Last | None = None
    format: str = ''
    events: int = 0
    lines: int = 0
    unparsed: int = 0
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    last: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.resume is not None:
            before = self.resume.record
            self.start = self.resume.offset
            self.first = before.first
            self.format = before.format
            self.events = before.events
            self.lines = before.lines
            self.unparsed = before.unparsed
            self.since, self.until = (
                datetime.datetime.fromisoformat(t) if t else None
                for t in (before.since, before.until))


def ingest(source: sources.Source, units: list[sources.Unit],
           store: stores.Store, timezone: str = 'UTC',
           progress: Progress | None = None,
           resumes: dict[str, Resume] | None = None,
           moving: bool = False) -> set[str]:
    """Parse files and write what they hold.

    :param source: where the files are
    :param units: which to read
    :param store: where the events go
    :param timezone: IANA name of the zone of time stamps without an offset
    :param progress: called with a stage and the share that is done
    :param resumes: by unit, where to read on those that only grew
    :param moving: the files may be rotated meanwhile: one that is not what
        it was is left for the next time
    :returns: names of the units that were left
    :raises StoreError: events cannot be written
    """
    total = sum(u.size for u in units) or 1
    left: set[str] = set()
    workers = os.cpu_count() or 1
    waiting: collections.deque[_Job] = collections.deque()
    with futures.ThreadPoolExecutor(workers) as pool, \
            futures.ThreadPoolExecutor(1) as aside:
        writer = _Writer(store, timezone, aside)
        done = 0
        for job, size in _jobs(source, units, timezone,
                               resumes or {}, left if moving else None):
            job.piece = pool.submit(_parse, source, job)
            waiting.append(job)
            done += size
            while len(waiting) > workers + 1:
                writer.take(waiting.popleft())
                if progress:
                    progress('reading', min(1.0, done / total))
        while waiting:
            writer.take(waiting.popleft())
        writer.close()
    return left


def _jobs(source: sources.Source, units: list[sources.Unit],
          timezone: str, resumes: dict[str, Resume],
          left: set[str] | None) -> Iterator[tuple[_Job, int]]:
    """Work for the parser: small files together, large ones in pieces.

    :param left: takes the names of units that moved; None where none does
    """
    parts: list[parser.Part] = []
    files: list[_Reading] = []
    held = stored = 0
    for unit in units:
        stored += unit.size
        resume = resumes.get(unit.source)
        some = False
        for file, pieces in source.read_unit(
                unit, _PIECE, resume.offset if resume else 0):
            reading = _Reading(file, unit, resume)
            origin = _origin(file, timezone)
            line = resume.line if resume else 1
            before: tuple[int, bytes] | None = None
            for offset, data in pieces:
                if before is not None:
                    yield _Job([parser.Part(before[1], origin, before[0],
                                            line)], [reading],
                               False), stored
                    line += before[1].count(b'\n')
                    stored = 0
                before = (offset, data)
                if offset == 0:
                    reading.first = sources.first_line(data[:_HEAD])
            if before is None:
                continue
            part = parser.Part(before[1], origin, before[0], line)
            reading.end = before[0] + len(before[1])
            if file.source == unit.source:
                reading.fingerprint = source.fingerprint(unit, reading.end)
            if left is not None and _moved(source, unit, resume):
                break
            some = True
            if (len(part.data) <= _SMALL and before[0] == reading.start
                    and file.kind == 'log' and part.data[:1] != b'{'):
                if parts and (parts[0].origin.year, parts[0].origin.month
                              ) != (origin.year, origin.month):
                    # Dates without a year are read by that of the job.
                    yield _Job(parts, files), stored
                    parts, files, held, stored = [], [], 0, 0
                parts.append(part)
                files.append(reading)
                held += len(part.data)
                if held >= _PIECE or len(parts) >= _MOST_TOGETHER:
                    yield _Job(parts, files), stored
                    parts, files, held, stored = [], [], 0, 0
                continue
            yield _Job([part], [reading]), stored
            stored = 0
        if left is not None and not some and not source.still(unit):
            left.add(unit.source)
    if parts:
        yield _Job(parts, files), stored


def _moved(source: sources.Source, unit: sources.Unit,
           resume: Resume | None) -> bool:
    """Whether a file is another than it was when it was opened.

    What was read of it may then be of both, and counts for nothing.
    """
    if not source.still(unit):
        return True
    if resume is None or unit.container or not resume.record.fingerprint:
        return False
    return resume.record.fingerprint != source.fingerprint(
        unit, resume.record.bytes)


def _parse(source: sources.Source, job: _Job) -> list[_Parsed]:
    """What a job holds, as far as it can be parsed."""
    try:
        return [_Parsed(job.files, parser.parse(
            job.parts, job.files[0].format or None))]
    except (ValueError, OverflowError, pl.exceptions.PolarsError,
            pl.exceptions.PanicException) as error:
        if len(job.parts) > 1:
            # One bad file must not take the others with it.
            return [parsed for part, file in zip(
                job.parts, job.files, strict=True)
                for parsed in _parse(source, _Job([part], [file]))]
        part = job.parts[0]
        LOG.debug('Parsing %s failed: %s', part.origin.source, error)
        source.skipped.append(sources.Skipped(
            part.origin.source, f'what begins at line {part.line} could not '
            f'be parsed ({type(error).__name__})', len(part.data)))
        return [_Parsed(job.files, None, part.data.count(b'\n') + (
            not part.data.endswith(b'\n')))]
    finally:
        job.parts.clear()


def _origin(file: sources.LogFile, timezone: str) -> parser.Origin:
    moment = datetime.datetime.now(datetime.UTC)
    if file.modified:
        # Archives can claim any time.
        with contextlib.suppress(ValueError, OverflowError, OSError):
            moment = datetime.datetime.fromtimestamp(
                file.modified, zoneinfo.ZoneInfo(timezone))
    return parser.Origin(
        source=file.source, kind=file.kind, service=file.service,
        binary=file.binary, host=file.host, timezone=timezone,
        year=moment.year, month=moment.month)


def _lasts(events: pl.DataFrame) -> pl.DataFrame:
    """The last record of each file, and the lines without one behind it.

    :returns: ``source``, the fields of :class:`_Last`, and whether there is
        a record at all
    """
    headed = pl.col('kind') != 'raw'
    return events.select('source', 'offset', 'line', 'length', 'lines',
                         'kind').with_columns(
        begin=pl.col('offset').filter(headed).max().over('source')).filter(
            pl.col('begin').is_null() | (pl.col('offset') >= pl.col('begin'))
        ).group_by('source').agg(
            pl.col('offset').first(), pl.col('line').first(),
            pl.col('length').first(), events=pl.len(),
            count=pl.col('lines').sum(),
            raw=pl.col('lines').filter(~headed).sum(),
            headed=pl.col('begin').is_not_null().first())


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
        for parsed in job.piece.result():
            if parsed.piece is None:
                self._take_nothing(parsed)
            else:
                self._take_piece(parsed.files, parsed.piece, job.ends)
        if job.ends:
            self._records += map(self._record, job.files)
        if self._rows >= _SEGMENT:
            self.flush()

    def _take_nothing(self, parsed: _Parsed) -> None:
        """Go on behind what could not be parsed."""
        reading = parsed.files[0]
        reading.lines += parsed.lines
        reading.unparsed += parsed.lines
        if reading.last is not None:
            self._add([reading], reading.last)
            reading.last = None

    def _take_piece(self, files: list[_Reading], piece: parser.Piece,
                    ends: bool) -> None:
        events = piece.events
        for reading, counts in zip(files, piece.parts.iter_rows(
                named=True), strict=True):
            reading.events += counts['events']
            reading.lines += counts['lines']
            reading.unparsed += counts['unparsed']
            reading.format = reading.format or counts['format'] or ''
            for name, pick in (('since', min), ('until', max)):
                times = [t for t in (getattr(reading, name), counts[name])
                         if t is not None]
                setattr(reading, name, pick(times) if times else None)
        reading = files[0]
        if reading.last is not None:
            # A record may go on where a piece was cut.
            united = parser.unite(reading.last, piece)
            reading.last = None
            reading.events -= united.joined
            reading.unparsed -= united.parsed
            events = united.events
        if not ends:
            # The next piece may begin with the rest of the last record.
            reading.last = events.tail(1)
            events = events.head(events.height - 1)
        self._templates.append(piece.templates)
        self._add(files, events)

    def _add(self, files: list[_Reading], events: pl.DataFrame) -> None:
        by_source = {f.file.source: f for f in files}
        for name, *last in _lasts(events).iter_rows():
            reading = by_source[name]
            found, before = _Last(*last[:6]), reading.final
            if not last[6] and before is not None:
                # Nothing but lines without a header: the last record is
                # the one before them.
                found = dataclasses.replace(
                    before, events=before.events + found.events,
                    lines=before.lines + found.lines,
                    raw=before.raw + found.raw)
            reading.final = found
        events = self._new(files, events)
        self._events.append(events)
        self._rows += events.height

    @staticmethod
    def _new(files: list[_Reading], events: pl.DataFrame) -> pl.DataFrame:
        """Events without the last ones of before that are as they were.

        So most of what is stored stays as it is when a file is read on.
        """
        same = []
        for reading in files:
            if reading.resume is None or reading.start != (
                    reading.resume.offset):
                continue
            record = reading.resume.record
            if record.last_events == 1 and record.last_length >= 0:
                same.append((record.source, record.last_offset,
                             record.last_length))
        if not same:
            return events
        known = pl.DataFrame(same, orient='row', schema={
            n: schema.EVENTS[n] for n in ('source', 'offset', 'length')})
        kept = events.join(known, on=known.columns, how='anti',
                           maintain_order='left')
        if kept.height < events.height:
            gone = set(events.join(known, on=known.columns, how='semi')[
                'source'].to_list())
            for reading in files:
                if reading.file.source in gone:
                    reading.start += 1
        return kept

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
            unparsed=reading.unparsed, bytes=reading.end,
            since=iso(reading.since), until=iso(reading.until),
            start=reading.start,
            pieces=reading.resume.record.pieces + 1
            if reading.resume else 1,
            fingerprint=reading.fingerprint, inode=reading.unit.inode,
            first=reading.first, **{} if reading.final is None else {
                f'last_{n}': v for n, v in dataclasses.asdict(
                    reading.final).items()})

    def flush(self) -> None:
        """Have what was collected written as one segment.

        One segment is written while the next one is parsed, never two, so
        that memory stays bounded and segments keep their order.
        """
        self._wait()
        if not self._events and not self._records:
            return
        self._writing = self._pool.submit(
            self._write, self._events, self._templates, self._records)
        self._events, self._templates, self._records = [], [], []
        self._rows = 0

    def _write(self, events: list[pl.DataFrame],
               templates: list[pl.DataFrame],
               records: list[stores.FileRecord]) -> None:
        self._store.write(
            pl.concat([schema.empty(), *events]), pl.concat([
                pl.DataFrame(schema=schema.TEMPLATES), *templates]).unique(
                    'template'), records)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        """Write the rest, and wait until it is written."""
        self.flush()
        self._wait()
