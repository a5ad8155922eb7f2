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
"""Events in parquet files, one file a segment.

A segment is written aside, synchronised, renamed, and its folder
synchronised. Its parquet metadata names the files that it has events of, the
files that it completes, those that it makes forgotten and those that have
another name from now on: what is held follows from the segments alone, in
the order of their numbers.

A file has a key in the segments, which is its first name and stays when the
file is renamed. Segments that are united become one that stands where they
stood: while it is written, others may be added behind it.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import threading
import time
from typing import Any
import uuid

import polars as pl

from openstack_rca import exception
from openstack_rca.events import schema
from openstack_rca.store import base

_META = 'openstack_rca'
_TEMPLATES = '.tpl.parquet'
#: Bytes of segments that are never united with others. All parquet files are
#: written by one set of threads: what is new waits while a union is written.
_LARGE = 4 << 20
#: Bytes below which segments are united, whatever is behind them.
_SMALL = 1 << 20
#: So many segments are united at once, at least.
_MANY = 8
#: Rows that are held while segments are united.
_ROWS = 50_000
_SNAPSHOTS = 20
_ASK_AGAIN = 'Delete the folder, or ask again with --no-cache.'


@dataclasses.dataclass
class _Segment:
    """One file of events, as its metadata describes it.

    :param name: of the file
    :param run: which writer wrote it; a file is completed by the run that
        began it
    :param sources: keys of the files that it has events of, and the offsets
        of the first and the last of these
    :param files: records of those that are complete with it, with their
        keys as their names
    :param forgets: files of which nothing before it counts
    :param names: name and unit of files that have not the name of their key
    :param first: number of the first segment that it stands for
    :param written: when the oldest and the newest of what it holds was
        written, seconds of the epoch
    :param dropped: events and lines of files that stood here once
    :param position: how far the source was read
    :param live: files whose events in it count, and below which offset,
        None meaning all
    :param stamp: tells whether a file of this name is this one
    :param size: bytes of the disk
    """

    name: str
    run: str
    sources: dict[str, tuple[int, int]]
    files: list[base.FileRecord]
    forgets: list[str]
    names: dict[str, tuple[str, str]]
    first: int
    written: tuple[float, float]
    dropped: dict[str, tuple[int, int]] = dataclasses.field(
        default_factory=dict)
    position: str = ''
    live: dict[str, int | None] = dataclasses.field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)
    size: int = 0

    @property
    def number(self) -> int:
        """Place among the segments; the last that it stands for."""
        return int(self.name.partition('.')[0])

    @property
    def generation(self) -> int:
        """How often what is in it was united with others."""
        middle = self.name.split('.')[1]
        return int(middle) if middle.isdigit() else 0

    def told(self) -> str:
        """What the metadata of the file says."""
        return json.dumps({
            'run': self.run, 'sources': self.sources,
            'files': [_sparse(f) for f in self.files],
            'forgets': self.forgets, 'names': self.names,
            'first': self.first, 'written': self.written,
            'dropped': self.dropped, 'position': self.position})

    @classmethod
    def of(cls, name: str, told: dict[str, Any]) -> '_Segment':
        """The opposite of :meth:`told`."""
        return cls(
            name, str(told['run']),
            {str(s): (int(a), int(b)) for s, (a, b) in
             told['sources'].items()},
            [base.FileRecord(**r) for r in told['files']],
            list(told['forgets']),
            {str(k): (str(a), str(b)) for k, (a, b) in
             told['names'].items()},
            int(told['first']),
            (float(told['written'][0]), float(told['written'][1])),
            {str(k): (int(a), int(b)) for k, (a, b) in
             told['dropped'].items()}, str(told['position']))


@dataclasses.dataclass
class _Union:
    """Some segments in a row, to be made one.

    :param segment: what they become
    :param parts: these segments
    :param events: what counts of them
    """

    segment: _Segment
    parts: list[_Segment]
    events: pl.LazyFrame


class ParquetStore(base.Store):
    """The default store: no server, columns read one by one."""

    def __init__(self, path: pathlib.Path,
                 known: 'Iterable[_Segment]' = ()) -> None:
        super().__init__(path)
        self._run = uuid.uuid4().hex
        self._lock = threading.RLock()
        #: A thread that unites segments reads them.
        self._uniting = False
        self._segments: list[_Segment] = []
        self._last = 0
        self._reset()
        with self._failing():
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for aside in path.glob('*.partial'):
                aside.unlink()
            found = self._found({(s.name, s.stamp): s for s in known})
            for segment in found:
                self._add(segment)
            self._clean(pending=False)

    def _found(self, known: dict[tuple[str, tuple[int, int]], _Segment]
               ) -> list[_Segment]:
        """The segments in their order, without those that were united."""
        found = []
        for file in self.path.glob('*.parquet'):
            if file.name.endswith(_TEMPLATES):
                continue
            status = file.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            segment = known.get((file.name, stamp))
            if segment is None:
                segment = self._read(file)
                segment.stamp = stamp
                segment.size = status.st_size
            else:
                segment = dataclasses.replace(segment, live={})
            found.append(segment)
        found.sort(key=lambda s: (-s.generation, s.number))
        kept: list[_Segment] = []
        for segment in found:
            if any(k.first <= segment.number <= k.number
                   and k.generation > segment.generation for k in kept):
                self._delete(segment)
            else:
                kept.append(segment)
        return sorted(kept, key=lambda s: s.number)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Turns what the system and polars say into an expected error."""
        try:
            yield
        except OSError as error:
            raise exception.StoreError(
                path=self.path, reason=error.strerror or error) from error
        except (pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            raise exception.StoreError(
                path=self.path, reason=f'{error}. {_ASK_AGAIN}') from error

    @staticmethod
    def _read(path: pathlib.Path) -> _Segment:
        try:
            told = json.loads(pl.read_parquet_metadata(path)[_META])
            int(path.name.split('.')[0])
            if not path.with_name(_beside(path.name)).exists():
                raise ValueError('its templates are missing')
            return _Segment.of(path.name, told)
        except (KeyError, ValueError, TypeError, AttributeError,
                pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            raise base.DamagedError(
                path, 'not a segment of this program '
                f'({error}). {_ASK_AGAIN}') from error

    # What counts

    def _reset(self) -> None:
        #: Records by key.
        self._records: dict[str, base.FileRecord] = {}
        #: The segments that these are in.
        self._told: dict[str, _Segment] = {}
        #: Segments that hold parts of a file that is not complete.
        self._begun: dict[str, list[_Segment]] = {}
        #: Segments with events that count, in their order.
        self._holders: dict[str, list[_Segment]] = {}
        #: Names and units by key, and the segments that say so.
        self._names: dict[str, tuple[str, str]] = {}
        self._namers: dict[str, _Segment] = {}
        #: Keys of what is being read, by name.
        self._pending: dict[str, str] = {}
        self._dropped: dict[str, tuple[int, int]] = {}
        self._placer: _Segment | None = None
        self._files: dict[str, base.FileRecord] | None = None
        self._keys: dict[str, str] | None = None

    def _replay(self) -> None:
        """Work out anew what counts."""
        segments, begun = self._segments, self._begun
        pending = self._pending
        self._segments = []
        self._reset()
        for segment in segments:
            segment.live = {}
            self._add(segment)
        self._pending = pending
        # What was given up stays so.
        self._begun = {k: v for k, v in self._begun.items() if k in begun}

    def _add(self, segment: _Segment) -> None:
        """Work out what counts, now that this segment is the last one."""
        self._files = self._keys = None
        for key in segment.forgets:
            for holder in self._holders.pop(key, ()):
                holder.live.pop(key, None)
            for table in (self._records, self._told, self._begun,
                          self._names, self._namers, self._dropped):
                table.pop(key, None)
        self._segments.append(segment)
        self._last = max(self._last, segment.number)
        for key, (first, _) in segment.sources.items():
            # What begins anew was interrupted the last time.
            self._begun[key] = [
                s for s in self._begun.get(key, ())
                if s.sources[key][0] < first] + [segment]
        for record in segment.files:
            key = record.source
            self._drop(key, record.start)
            for part in self._begun.pop(key, ()):
                if (part.run == segment.run
                        and part.sources[key][0] >= record.start):
                    part.live[key] = None
                    self._holders.setdefault(key, []).append(part)
            self._records[key] = record
            self._told[key] = segment
            if not record.start:
                self._dropped.pop(key, None)
        for key, named in segment.names.items():
            self._names[key] = named
            self._namers[key] = segment
        for key, (events, lines) in segment.dropped.items():
            held = self._dropped.get(key, (0, 0))
            self._dropped[key] = held[0] + events, held[1] + lines
        if segment.position:
            self._placer = segment

    def _drop(self, key: str, start: int) -> None:
        """Let events from an offset on count no more."""
        holders = self._holders.get(key, [])
        while holders:
            segment = holders[-1]
            first, last = segment.sources[key]
            if start > last:
                return
            if start > first:
                below = segment.live[key]
                segment.live[key] = start if below is None else min(
                    below, start)
                return
            del segment.live[key]
            holders.pop()

    def _clean(self, pending: bool = True) -> None:
        """Delete segments of which nothing counts.

        :param pending: keep those with parts of files that are not complete
        """
        if not pending:
            self._begun = {}
            self._pending = {}
        if self._uniting:
            return
        begun = {id(s) for parts in self._begun.values() for s in parts}
        dead = [s for s in self._segments if not (
            s.live or id(s) in begun or s is self._placer
            or any(self._told.get(r.source) is s for r in s.files)
            or any(self._namers.get(k) is s and k in self._records
                   for k in s.names)
            or any(k in self._records for k in s.dropped))]
        if dead:
            self._delete_dead({id(s) for s in dead})
        if not pending:
            names = {_beside(s.name) for s in self._segments}
            for file in self.path.glob(f'*{_TEMPLATES}'):
                if file.name not in names:
                    file.unlink()

    def _delete_dead(self, dead: set[int]) -> None:
        """Delete those whose end lets nothing come to life again."""
        later: dict[str, int] = {}
        masks: list[set[str]] = []
        for segment in reversed(self._segments):
            masks.append(set())
            for key, start in (*((s, 0) for s in segment.forgets),
                               *((r.source, r.start)
                                 for r in segment.files)):
                if key not in later or start < later[key]:
                    masks[-1].add(key)
                    later[key] = start
        older: set[str] = set()
        kept = []
        for segment, masked in zip(self._segments, reversed(masks),
                                   strict=True):
            if id(segment) not in dead or older & masked:
                kept.append(segment)
                older |= set(segment.sources)
                # A record alone counts as well.
                older |= {r.source for r in segment.files}
                continue
            self._delete(segment)
        self._segments = kept

    def _delete(self, segment: _Segment) -> None:
        (self.path / segment.name).unlink(missing_ok=True)
        (self.path / _beside(segment.name)).unlink(missing_ok=True)

    def files(self) -> dict[str, base.FileRecord]:
        with self._lock:
            if self._files is None:
                self._files = {r.source: r for r in map(
                    self._shown, self._records)}
            return dict(self._files)

    def _shown(self, key: str) -> base.FileRecord:
        """A record as others see it."""
        record = self._records[key]
        events, lines = self._dropped.get(key, (0, 0))
        name, unit = self._names.get(key, (key, record.unit))
        if not events and name == key and unit == record.unit:
            return record
        return dataclasses.replace(
            record, source=name, unit=unit,
            events=max(0, record.events - events),
            lines=max(0, record.lines - lines))

    @property
    def position(self) -> str:
        return self._placer.position if self._placer else ''

    # Names

    def _key(self, name: str) -> str:
        """What a file is called in the segments."""
        if self._keys is None:
            self._keys = {self._names.get(k, (k, ''))[0]: k
                          for k in self._records}
        key = self._keys.get(name) or self._pending.get(name)
        if key is None:
            # A file that was renamed since may have had this name.
            key, number = name, 1
            taken = {*self._records, *self._pending.values()}
            while key in taken:
                number += 1
                key = f'{name}#{number}'
        return key

    def rename(self, units: dict[str, str]) -> None:
        with self._lock:
            names = {}
            held = self.files()
            keys = {r.source: self._key(r.source) for r in held.values()}
            for record in held.values():
                unit = units.get(record.unit)
                if unit is not None and unit != record.unit:
                    names[keys[record.source]] = (
                        unit + record.source[len(record.unit):], unit)
            if not names:
                return
            after = [names.get(keys[r.source], (r.source, ''))[0]
                     for r in held.values()]
            if len(set(after)) < len(after):
                raise exception.StoreError(
                    path=self.path, reason='two files have one name.')
            self._write(schema.empty(),
                        pl.DataFrame(schema=schema.TEMPLATES), [], [],
                        names)

    # Writing

    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[base.FileRecord]) -> None:
        self.write_at(events, templates, files, '')

    def write_at(self, events: pl.DataFrame, templates: pl.DataFrame,
                 files: list[base.FileRecord], position: str) -> None:
        with self._lock:
            names = {r.source for r in files}
            names.update(events['source'].unique().to_list())
            keys = {name: self._key(name) for name in names}
            renamed = {n: k for n, k in keys.items() if n != k}
            if renamed:
                events = events.with_columns(
                    pl.col('source').replace(renamed))
            self._write(events, templates, [
                self._whole(r, keys[r.source]) for r in files], [], {
                    keys[r.source]: (r.source, r.unit) for r in files
                    if r.source in renamed
                    or keys[r.source] in self._names}, position)
            self._pending |= keys
            for record in files:
                self._pending.pop(record.source, None)

    def _whole(self, record: base.FileRecord,
               key: str) -> base.FileRecord:
        """A record as it is stored: with what was dropped since."""
        events, lines = self._dropped.get(key, (0, 0))
        if not record.start:
            events = lines = 0
        return dataclasses.replace(record, source=key,
                                   events=record.events + events,
                                   lines=record.lines + lines)

    def forget(self, sources: set[str]) -> None:
        with self._lock:
            known = {self._key(s) for s in sources} & {
                *self._records, *self._begun}
            for name in sources:
                self._pending.pop(name, None)
            if known:
                self._write(schema.empty(),
                            pl.DataFrame(schema=schema.TEMPLATES), [],
                            sorted(known), {})

    def abandon(self) -> None:
        with self._lock:
            self._begun = {}
            self._pending = {}
            with self._failing():
                self._clean()

    def _write(self, events: pl.DataFrame, templates: pl.DataFrame,
               files: list[base.FileRecord], forgets: list[str],
               names: dict[str, tuple[str, str]],
               position: str = '') -> None:
        number, now = self._last + 1, time.time()
        segment = _Segment(
            f'{number:08d}.parquet', self._run,
            {s: (a, b) for s, a, b in events.group_by('source').agg(
                first=pl.col('offset').min(),
                last=pl.col('offset').max()).sort('source').iter_rows()},
            files, forgets, names, number, (now, now), position=position)
        with self._failing():
            self._put(_beside(segment.name), templates, '')
            self._put(segment.name, events, segment.told())
            self._sync_folder()
            self._stamp(segment)
            self._add(segment)
            self._clean()

    def _put(self, name: str, frame: pl.DataFrame | pl.LazyFrame,
             told: str) -> None:
        path = self.path / name
        aside = self.path / f'{name}.partial'
        handle = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        try:
            with os.fdopen(handle, 'wb') as out:
                if isinstance(frame, pl.DataFrame):
                    frame.write_parquet(
                        out, compression='zstd', compression_level=1,
                        statistics=True, metadata={_META: told})
                    out.flush()
                else:
                    frame.sink_parquet(
                        aside, compression='zstd', compression_level=1,
                        statistics=True, metadata={_META: told},
                        row_group_size=_ROWS, engine='streaming')
                os.fsync(out.fileno())
            aside.rename(path)
        except pl.exceptions.PolarsError as error:
            # What is wrong is the disk and not what is on it.
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise exception.StoreError(path=path, reason=error) from error
        except Exception:
            # Where the disk is full, this is what fills it.
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise

    def _stamp(self, segment: _Segment) -> None:
        status = (self.path / segment.name).stat()
        segment.stamp = (status.st_ino, status.st_mtime_ns)
        segment.size = status.st_size

    def _sync_folder(self) -> None:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    # Uniting

    def compact(self) -> None:
        """Unite the last segments, where they are many and small.

        As in a log-structured merge tree, a segment is united with those
        behind it once these together are larger: there are about as many
        segments as the logarithm of what is held, and every event is
        written about so often.
        """
        with self._lock:
            # What is begun has to be completed by who began it.
            tail = [] if self._begun or self._uniting else self._tail()
            if len(tail) < _MANY:
                return
            union = self._unite(tail, True)
            self._uniting = True
        self._replace(union)

    def _tail(self) -> list[_Segment]:
        """The segments at the end that are worth being united."""
        first = len(self._segments)
        behind = 0
        for index in range(len(self._segments) - 1, -1, -1):
            segment = self._segments[index]
            if segment.size > _LARGE or self.span and (
                    self._segments[-1].written[1] - segment.written[0]
                    > self.span):
                break
            if segment.size < max(behind, _SMALL):
                first = index
            behind += segment.size
        return self._segments[first:]

    def _unite(self, parts: list[_Segment], keep: bool) -> _Union:
        """What some segments in a row become.

        :param parts: the segments
        :param keep: their events, too
        """
        place = self._segments.index(parts[0])
        before = {k for s in self._segments[:place]
                  for k in (*s.sources, *(r.source for r in s.files))}
        forgets: set[str] = set()
        records: dict[str, base.FileRecord] = {}
        starts: dict[str, int] = {}
        sources: dict[str, tuple[int, int]] = {}
        names: dict[str, tuple[str, str]] = {}
        dropped: dict[str, tuple[int, int]] = {}
        position = ''
        for part in parts:
            for key in part.forgets:
                forgets.add(key)
                for table in (records, starts, names, dropped):
                    table.pop(key, None)
            names |= part.names
            position = part.position or position
            for record in part.files:
                records[record.source] = record
                if not record.start:
                    dropped.pop(record.source, None)
                starts[record.source] = min(
                    record.start, starts.get(record.source, sys.maxsize))
            for key, (events, lines) in part.dropped.items():
                held = dropped.get(key, (0, 0))
                dropped[key] = held[0] + events, held[1] + lines
            for key, below in part.live.items():
                first, last = part.sources[key]
                if below is not None:
                    last = min(last, below - 1)
                sources[key] = sources.get(key, (first, last))[0], last
        if not keep:
            for key, (events, lines) in self._count(parts).items():
                held = dropped.get(key, (0, 0))
                dropped[key] = held[0] + events, held[1] + lines
            sources = {}
        known = self._records
        segment = _Segment(
            f'{parts[-1].number:08d}.'
            f'{max(p.generation for p in parts) + 1}.parquet', self._run,
            {k: v for k, v in sorted(sources.items())},
            [dataclasses.replace(r, pieces=1, start=starts[k] if k not in
                                 forgets else 0)
             for k, r in sorted(records.items()) if k in known],
            # What is forgotten in older segments stays so.
            sorted(forgets & before),
            {k: v for k, v in names.items() if k in known}, parts[0].first,
            (parts[0].written[0], parts[-1].written[1]),
            {k: v for k, v in dropped.items() if k in known}, position)
        events_of = [
            _scan([self.path / p.name]).filter(_counting(p))
            for p in parts if p.live] if keep else []
        return _Union(segment, parts, pl.concat(events_of) if events_of
                      else schema.empty().lazy())

    def _count(self, parts: list[_Segment]) -> dict[str, tuple[int, int]]:
        """Events and lines of files that count in some segments."""
        found = [_scan([self.path / p.name]).filter(_counting(p))
                 for p in parts if p.live]
        if not found:
            return {}
        try:
            with self._failing():
                return {s: (e, n) for s, e, n in pl.concat(found).group_by(
                    'source').agg(events=pl.len(), lines=pl.col(
                        'lines').sum()).collect(
                            engine='streaming').iter_rows()}
        except exception.StoreError:
            for part in parts:
                self._check(part)
            raise

    def _replace(self, union: _Union) -> None:
        """Write what some segments became, and delete them."""
        segment, parts = union.segment, union.parts
        try:
            with self._failing():
                templates = _scan([
                    self.path / _beside(p.name) for p in parts]).unique(
                        'template', keep='any').collect() if (
                            segment.sources) else pl.DataFrame(
                                schema=schema.TEMPLATES)
                self._put(_beside(segment.name), templates, '')
                self._put(segment.name, union.events, segment.told())
                self._sync_folder()
                self._stamp(segment)
        except BaseException:
            self._uniting = False
            for part in parts:
                self._check(part)
            raise
        with self._lock, self._failing():
            self._uniting = False
            inside = [s for s in self._segments
                      if segment.first <= s.number <= segment.number]
            at = self._segments.index(inside[0])
            self._segments[at:at + len(inside)] = [segment]
            self._replay()
            for part in parts:
                self._delete(part)
            self._clean()

    def check(self) -> None:
        with self._lock:
            for segment in self._segments:
                self._check(segment)

    def _check(self, segment: _Segment) -> None:
        """Make sure that a segment can be read."""
        path = self.path / segment.name
        try:
            with self._failing():
                _scan([path]).select(pl.all().count()).collect(
                    engine='streaming')
        except exception.StoreError as error:
            if isinstance(error.__cause__, OSError):
                raise
            raise base.DamagedError(path, f'{error.__cause__}') from error

    def expire(self, before: float, limit: int) -> base.Dropped:
        with self._lock:
            if self._begun or self._uniting:
                return base.Dropped()
            held = [s.size if s.live else 0 for s in self._segments]
            total, freed, number = sum(held), 0, 0
            for index, segment in enumerate(self._segments):
                if not (segment.written[1] < before
                        or limit and total - freed > limit):
                    break
                freed += held[index]
                number = index + 1
            parts = self._segments[:number]
            if not any(p.live for p in parts):
                return base.Dropped()
            count = sum(e for e, _ in self._count(parts).values())
            union = self._unite(parts, False)
            self._uniting = True
            self._replace(union)
            return base.Dropped(count, freed)

    @classmethod
    def snapshot(cls, path: pathlib.Path, folder: pathlib.Path,
                 before: base.Store | None = None) -> 'ParquetStore':
        """Hard links to the segments, which stay when the writer deletes."""
        known = before._segments if isinstance(before, cls) else ()
        for _ in range(_SNAPSHOTS):
            whole = False
            try:
                folder.mkdir(parents=True, mode=0o700)
                listed = _listed(path)
                for name in listed:
                    # Those of a new segment may not have been in the list.
                    for one in (_beside(name), name):
                        os.link(path / one, folder / one)
                if _listed(path) != listed:
                    # While segments were united, the list may have held
                    # neither them nor what they became.
                    continue
                found = cls(folder, known)
                whole = True
                return found
            except FileNotFoundError:
                # United with others or superseded, by a segment that the
                # list does not have: both are seen the next time.
                continue
            except OSError as error:
                raise exception.StoreError(
                    path=path, reason=error.strerror or error) from error
            finally:
                if not whole:
                    shutil.rmtree(folder, ignore_errors=True)
        raise exception.StoreError(
            path=path, reason='it changes faster than it can be read.')

    # Reading

    def scan(self) -> pl.LazyFrame:
        with self._lock:
            whole = []
            frames = []
            for segment in self._segments:
                if not segment.live:
                    continue
                path = self.path / segment.name
                if (len(segment.live) == len(segment.sources)
                        and not any(segment.live.values())):
                    whole.append(path)
                    continue
                frames.append(_scan([path]).filter(_counting(segment)))
            names = {k: n for k, (n, _) in self._names.items() if k != n}
        if whole:
            frames.insert(0, _scan(whole))
        if not frames:
            return schema.empty().lazy()
        frame = frames[0] if len(frames) == 1 else pl.concat(frames)
        if names:
            frame = frame.with_columns(pl.col('source').replace(names))
        return frame

    def templates(self) -> pl.DataFrame:
        with self._lock:
            paths = [self.path / _beside(s.name) for s in self._segments
                     if s.live]
        if not paths:
            return pl.DataFrame(schema=schema.TEMPLATES)
        return self._collect(_scan(paths).unique('template', keep='any'))

    def query(self, query: base.Query) -> pl.DataFrame:
        frame = self.narrow(query).sort(
            'timestamp', 'source', 'line', maintain_order=True)
        if query.limit is not None:
            frame = frame.head(query.limit)
        return self._collect(frame)

    def _collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        with self._failing():
            return frame.collect(engine='streaming')


def _listed(path: pathlib.Path) -> list[str]:
    """The files of segments in a folder."""
    return sorted(p.name for p in path.glob('*.parquet')
                  if not p.name.endswith(_TEMPLATES))


def _beside(name: str) -> str:
    """The file of the templates of a segment."""
    return name.replace('.parquet', _TEMPLATES)


def _sparse(record: base.FileRecord) -> dict[str, Any]:
    """A record without what is as it is by default."""
    return {f.name: value for f in dataclasses.fields(record)
            if (value := getattr(record, f.name)) != f.default}


def _scan(paths: list[pathlib.Path]) -> pl.LazyFrame:
    # A folder called a=b or [x] must mean nothing.
    return pl.scan_parquet(paths, glob=False, hive_partitioning=False)


def _counting(segment: _Segment) -> pl.Expr:
    """Which rows of a segment count."""
    below = {s: b for s, b in segment.live.items() if b is not None}
    if len(segment.live) == len(segment.sources):
        counts = pl.lit(True)
    else:
        counts = pl.col('source').is_in(sorted(segment.live))
    if below:
        counts &= pl.col('offset') < pl.col('source').replace_strict(
            below, default=sys.maxsize, return_dtype=pl.Int64)
    return counts
