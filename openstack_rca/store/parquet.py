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
files that it completes and those that it makes forgotten: what is held
follows from the segments alone, in the order of their numbers.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import uuid

import polars as pl

from openstack_rca import exception
from openstack_rca.events import schema
from openstack_rca.store import base

_META = 'openstack_rca'
_TEMPLATES = '.tpl.parquet'
#: Bytes of segments that are never united with others.
_LARGE = 32 << 20
#: Bytes below which segments are united, whatever is behind them.
_SMALL = 1 << 20
#: So many segments are united at once, at least.
_MANY = 8
_SNAPSHOTS = 20
_ASK_AGAIN = 'Delete the folder, or ask again with --no-cache.'


@dataclasses.dataclass
class _Segment:
    """One file of events, as its metadata describes it.

    :param name: of the file
    :param run: which writer wrote it; a file is completed by the run that
        began it
    :param sources: files that it has events of, and where these begin
    :param files: records of those that are complete with it
    :param forgets: files of which nothing before it counts
    :param live: sources whose events in it count, and below which offset,
        None meaning all
    """

    name: str
    run: str
    sources: dict[str, int]
    files: list[base.FileRecord]
    forgets: list[str]
    live: dict[str, int | None] = dataclasses.field(default_factory=dict)

    def told(self) -> str:
        """What the metadata of the file says."""
        return json.dumps({
            'run': self.run, 'sources': self.sources,
            'files': [dataclasses.asdict(f) for f in self.files],
            'forgets': self.forgets})


class ParquetStore(base.Store):
    """The default store: no server, columns read one by one."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        self._run = uuid.uuid4().hex
        self._segments: list[_Segment] = []
        self._records: dict[str, base.FileRecord] = {}
        #: Segments that hold parts of a file that is not complete.
        self._begun: dict[str, list[_Segment]] = {}
        self._last = 0
        with self._failing():
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            for aside in path.glob('*.partial'):
                aside.unlink()
            for file in sorted(path.glob('*.parquet')):
                if not file.name.endswith(_TEMPLATES):
                    self._add(self._read(file))
            self._clean(pending=False)

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
            return _Segment(
                path.name, str(told['run']),
                {str(s): int(o) for s, o in told['sources'].items()},
                [base.FileRecord(**r) for r in told['files']],
                list(told['forgets']))
        except (KeyError, ValueError, TypeError, AttributeError,
                pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            raise exception.StoreError(
                path=path, reason='not a segment of this program '
                f'({error}). {_ASK_AGAIN}') from error

    # What counts

    def _add(self, segment: _Segment) -> None:
        """Work out what counts, now that this segment is the last one."""
        for source in segment.forgets:
            self._drop(source, 0)
            self._records.pop(source, None)
            self._begun.pop(source, None)
        self._segments.append(segment)
        self._last = int(segment.name.split('.')[0])
        for source, first in segment.sources.items():
            # What begins anew was interrupted the last time.
            self._begun[source] = [
                s for s in self._begun.get(source, ())
                if s.sources[source] < first] + [segment]
        for record in segment.files:
            self._drop(record.source, record.start)
            for part in self._begun.pop(record.source, ()):
                if (part.run == segment.run
                        and part.sources[record.source] >= record.start):
                    part.live[record.source] = None
            self._records[record.source] = record

    def _drop(self, source: str, start: int) -> None:
        """Let events from an offset on count no more."""
        for segment in self._segments:
            if source not in segment.live:
                continue
            if start <= segment.sources[source]:
                del segment.live[source]
                continue
            below = segment.live[source]
            segment.live[source] = start if below is None else min(
                below, start)

    def _clean(self, pending: bool = True) -> None:
        """Delete segments of which nothing counts.

        :param pending: keep those with parts of files that are not complete
        """
        begun = {id(s) for parts in self._begun.values() for s in parts}
        later: dict[str, int] = {}
        masks: list[set[str]] = []
        for segment in reversed(self._segments):
            masks.append(set())
            for source, start in (*((s, 0) for s in segment.forgets),
                                  *((r.source, r.start)
                                    for r in segment.files)):
                if source not in later or start < later[source]:
                    masks[-1].add(source)
                    later[source] = start
        older: set[str] = set()
        kept = []
        for segment, masked in zip(self._segments, reversed(masks),
                                   strict=True):
            if (segment.live or pending and id(segment) in begun
                    # What it makes forgotten must not come to life again.
                    or older & masked
                    or any(self._records.get(r.source) is r
                           for r in segment.files)):
                kept.append(segment)
                older |= set(segment.sources)
                continue
            (self.path / segment.name).unlink(missing_ok=True)
            (self.path / _beside(segment.name)).unlink(missing_ok=True)
        self._segments = kept
        if not pending:
            self._begun = {}
            names = {_beside(s.name) for s in kept}
            for file in self.path.glob(f'*{_TEMPLATES}'):
                if file.name not in names:
                    file.unlink()

    def files(self) -> dict[str, base.FileRecord]:
        return dict(self._records)

    # Writing

    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[base.FileRecord]) -> None:
        self._write(events, templates, files, [])

    def forget(self, sources: set[str]) -> None:
        known = sources & {*self._records, *self._begun}
        if known:
            self._write(schema.empty(),
                        pl.DataFrame(schema=schema.TEMPLATES), [],
                        sorted(known))

    def compact(self) -> None:
        """Unite the last segments, where they are many and small.

        As in a log-structured merge tree, a segment is united with those
        behind it once these together are larger: there are about as many
        segments as the logarithm of what is held, and every event is
        written about so often.
        """
        with self._failing():
            sizes = [(self.path / s.name).stat().st_size
                     for s in self._segments]
        first = len(sizes)
        behind = 0
        for index in range(len(sizes) - 1, -1, -1):
            if sizes[index] > _LARGE:
                break
            if sizes[index] < max(behind, _SMALL):
                first = index
            behind += sizes[index]
        tail = self._segments[first:]
        if len(tail) < _MANY or self._begun:
            return
        live = {source for s in tail for source in s.live}
        told = {r.source for s in tail for r in s.files
                if self._records.get(r.source) is r}
        with self._failing():
            events = pl.concat([
                _scan([self.path / s.name]).filter(_counting(s))
                for s in tail if s.live] or [schema.empty().lazy()]
            ).collect(engine='streaming')
            templates = _scan([
                self.path / _beside(s.name) for s in tail]).unique(
                    'template', keep='any').collect()
        before = self._segments[:first]
        starts: dict[str, int] = {}
        for segment in before:
            for source, below in segment.live.items():
                starts[source] = min(
                    starts.get(source, below or sys.maxsize),
                    below or sys.maxsize)
        for segment in tail:
            for source in segment.live.keys() & starts:
                starts[source] = min(starts[source], segment.sources[source])
        held = {source for s in before for source in s.sources}
        self._write(events, templates, [
            dataclasses.replace(record, pieces=1,
                                start=starts.get(source, 0))
            for source, record in sorted(self._records.items())
            if source in live | told],
            # What is forgotten in older segments stays so.
            sorted({source for s in tail for source in s.forgets
                    if source not in self._records} & held))

    @classmethod
    def snapshot(cls, path: pathlib.Path,
                 folder: pathlib.Path) -> 'ParquetStore':
        """Hard links to the segments, which stay when the writer deletes."""
        for _ in range(_SNAPSHOTS):
            whole = False
            try:
                folder.mkdir(parents=True, mode=0o700)
                for file in sorted(path.glob('*.parquet')):
                    if file.name.endswith(_TEMPLATES):
                        continue
                    # Those of a new segment may not have been in the list.
                    for name in (_beside(file.name), file.name):
                        os.link(path / name, folder / name)
                found = cls(folder)
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

    def _write(self, events: pl.DataFrame, templates: pl.DataFrame,
               files: list[base.FileRecord], forgets: list[str]) -> None:
        segment = _Segment(
            f'{self._last + 1:08d}.parquet', self._run,
            dict(events.group_by('source').agg(
                pl.col('offset').min()).sort('source').iter_rows()),
            files, forgets)
        with self._failing():
            self._put(_beside(segment.name), templates, '')
            self._put(segment.name, events, segment.told())
            self._sync_folder()
            self._add(segment)
            self._clean()

    def _put(self, name: str, frame: pl.DataFrame, told: str) -> None:
        path = self.path / name
        aside = self.path / f'{name}.partial'
        handle = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        with os.fdopen(handle, 'wb') as out:
            frame.write_parquet(out, compression='zstd', compression_level=1,
                                statistics=True, metadata={_META: told})
            out.flush()
            os.fsync(out.fileno())
        aside.rename(path)

    def _sync_folder(self) -> None:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    # Reading

    def scan(self) -> pl.LazyFrame:
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
        if whole:
            frames.insert(0, _scan(whole))
        if not frames:
            return schema.empty().lazy()
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def templates(self) -> pl.DataFrame:
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


def _beside(name: str) -> str:
    """The file of the templates of a segment."""
    return name.replace('.parquet', _TEMPLATES)


def _scan(paths: list[pathlib.Path]) -> pl.LazyFrame:
    # A folder called a=b or [x] must mean nothing.
    return pl.scan_parquet(paths, glob=False, hive_partitioning=False)


def _counting(segment: _Segment) -> pl.Expr:
    """Which rows of a segment count."""
    whole = [s for s, below in segment.live.items() if not below]
    counts = pl.col('source').is_in(whole)
    for source, below in segment.live.items():
        if below:
            counts |= ((pl.col('source') == source)
                       & (pl.col('offset') < below))
    return counts
