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
"""Several stores seen as one, each file with the name of its store."""

from collections.abc import Mapping
import dataclasses
import pathlib

import polars as pl

from openstack_rca import exception
from openstack_rca.events import schema
from openstack_rca.store import base


class UnionStore(base.Store):
    """What some stores hold together. It is read and never written.

    :param path: names the union in messages
    :param members: stores by name; a file is called ``NAME/FILE``
    """

    def __init__(self, path: pathlib.Path,
                 members: Mapping[str, base.Store]) -> None:
        super().__init__(path)
        self._members = members

    def files(self) -> dict[str, base.FileRecord]:
        return {f'{name}/{source}': dataclasses.replace(
            record, source=f'{name}/{source}', unit=f'{name}/{record.unit}')
            for name, store in self._members.items()
            for source, record in store.files().items()}

    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[base.FileRecord]) -> None:
        raise exception.StoreError(path=self.path, reason='it is read only.')

    def forget(self, sources: set[str]) -> None:
        raise exception.StoreError(path=self.path, reason='it is read only.')

    def scan(self) -> pl.LazyFrame:
        frames = [store.scan().with_columns(
            source=pl.lit(f'{name}/') + pl.col('source'))
            for name, store in self._members.items()]
        if not frames:
            return schema.empty().lazy()
        return pl.concat(frames)

    def templates(self) -> pl.DataFrame:
        if not self._members:
            return pl.DataFrame(schema=schema.TEMPLATES)
        return pl.concat([s.templates() for s in self._members.values()]
                         ).unique('template', keep='any')

    def query(self, query: base.Query) -> pl.DataFrame:
        frame = self.narrow(query).sort(
            'timestamp', 'source', 'line', maintain_order=True)
        if query.limit is not None:
            frame = frame.head(query.limit)
        try:
            return frame.collect(engine='streaming')
        except OSError as error:
            raise exception.StoreError(
                path=self.path, reason=error.strerror or error) from error
        except (pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            raise exception.StoreError(
                path=self.path, reason=error) from error
