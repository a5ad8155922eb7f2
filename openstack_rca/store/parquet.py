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
synchronised. Its parquet metadata names the files that it completes, so that
what is held follows from the segments alone.
"""

import dataclasses
import json
import os
import pathlib

import polars as pl

from openstack_rca import exception
from openstack_rca.events import schema
from openstack_rca.store import base

_META = 'openstack_rca'
_FORGOTTEN = 'forgotten.json'


class ParquetStore(base.Store):
    """The default store: no server, columns read one by one."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._segments: dict[str, list[base.FileRecord]] = {}
            for name in sorted(p.name for p in path.glob('*.parquet')
                               if not p.name.endswith('.tpl.parquet')):
                self._segments[name] = self._read_meta(path / name)
            self._stale = self._read_stale()
        except OSError as error:
            raise exception.StoreError(
                path=path, reason=error.strerror or error) from error

    def _read_meta(self, path: pathlib.Path) -> list[base.FileRecord]:
        try:
            told = pl.read_parquet_metadata(path)[_META]
            return [base.FileRecord(**r) for r in json.loads(told)]
        except (KeyError, ValueError, TypeError, OSError,
                pl.exceptions.PolarsError) as error:
            raise exception.StoreError(
                path=path, reason=f'not a segment of this program ({error}); '
                'remove the file, or ask again with --no-cache') from error

    def _read_stale(self) -> dict[str, list[str]]:
        """Sources whose events in a segment no longer count."""
        path = self.path / _FORGOTTEN
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text()))
        except ValueError:
            return {}

    def files(self) -> dict[str, base.FileRecord]:
        return {r.source: r for name, records in self._segments.items()
                for r in records
                if r.source not in self._stale.get(name, ())}

    def _name(self) -> str:
        last = max((int(n.split('.')[0]) for n in self._segments), default=0)
        return f'{last + 1:08d}.parquet'

    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[base.FileRecord]) -> None:
        name = self._name()
        told = json.dumps([dataclasses.asdict(f) for f in files])
        try:
            self._put(name.replace('.parquet', '.tpl.parquet'), templates,
                      '[]')
            self._put(name, events, told)
            self._sync_folder()
        except OSError as error:
            raise exception.StoreError(
                path=self.path, reason=error.strerror or error) from error
        self._segments[name] = files

    def _put(self, name: str, frame: pl.DataFrame, told: str) -> None:
        path = self.path / name
        aside = path.with_suffix('.partial')
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

    def forget(self, sources: set[str]) -> None:
        if not sources:
            return
        # Parts of a file that was never finished have no record, so every
        # segment there is forgets the source.
        for name in list(self._segments):
            stale = set(self._stale.get(name, ())) | sources
            if self._segments[name] and all(
                    r.source in stale for r in self._segments[name]):
                (self.path / name).unlink(missing_ok=True)
                (self.path / name.replace(
                    '.parquet', '.tpl.parquet')).unlink(missing_ok=True)
                del self._segments[name]
                self._stale.pop(name, None)
            else:
                self._stale[name] = sorted(stale)
        aside = self.path / (_FORGOTTEN + '.partial')
        aside.write_text(json.dumps(self._stale))
        aside.chmod(0o600)
        aside.rename(self.path / _FORGOTTEN)

    def scan(self) -> pl.LazyFrame:
        if not self._segments:
            return schema.empty().lazy()
        fresh = [self.path / n for n in self._segments
                 if not self._stale.get(n)]
        frames = []
        if fresh:
            frames.append(pl.scan_parquet(fresh))
        for name, stale in self._stale.items():
            if name in self._segments and stale:
                frames.append(pl.scan_parquet(self.path / name).filter(
                    ~pl.col('source').is_in(stale)))
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def templates(self) -> pl.DataFrame:
        paths = [self.path / n.replace('.parquet', '.tpl.parquet')
                 for n in self._segments]
        if not paths:
            return pl.DataFrame(schema=schema.TEMPLATES)
        return self._run(pl.scan_parquet(paths).unique('template',
                                                       keep='any'))

    def query(self, query: base.Query) -> pl.DataFrame:
        frame = self.narrow(query).sort(
            'timestamp', 'source', 'line', maintain_order=True)
        if query.limit is not None:
            frame = frame.head(query.limit)
        return self._run(frame)

    def _run(self, frame: pl.LazyFrame) -> pl.DataFrame:
        try:
            return frame.collect(engine='streaming')
        except (OSError, pl.exceptions.PolarsError) as error:
            raise exception.StoreError(
                path=self.path, reason=error) from error
