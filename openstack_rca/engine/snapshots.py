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
"""What the reader stored, as a process sees it at one moment."""

import contextlib
import itertools
import os
import pathlib
import shutil

from openstack_rca.engine import drivers
from openstack_rca.engine import state
from openstack_rca.store import base as stores
from openstack_rca.store import union

_NUMBERS = itertools.count(1)


class Snapshots:
    """One snapshot of each source, the newest that was asked for.

    :param sources: what there is
    """

    def __init__(self, sources: list[state.SourceDir]) -> None:
        self._sources = sources
        self._seen: dict[str, tuple[tuple[str, int, int], ...]] = {}
        #: Stores by the names of their sources.
        self.stores: dict[str, stores.Store] = {}

    def refresh(self) -> bool:
        """See what the reader stored since the last time.

        :returns: whether it stored anything
        :raises StoreError: a store cannot be read
        """
        driver = drivers.load('openstack_rca.stores', 'parquet')
        changed = False
        for source in self._sources:
            listed = _listed(source.store)
            if self._seen.get(source.name) == listed:
                continue
            folder = state.snapshots() / (
                f'{os.getpid()}-{next(_NUMBERS)}-{source.name}')
            before = self.stores.get(source.name)
            # What the last one knows of its segments is not read again.
            self.stores[source.name] = driver.snapshot(
                source.store, folder, before)
            self._seen[source.name] = listed
            changed = True
            if before is not None:
                shutil.rmtree(before.path, ignore_errors=True)
        return changed

    def whole(self) -> stores.Store:
        """All sources as one store; there has to be one."""
        if len(self.stores) == 1:
            store, = self.stores.values()
            return store
        return union.UnionStore(state.root(), self.stores)

    def close(self) -> None:
        """Give the snapshots up."""
        for store in self.stores.values():
            shutil.rmtree(store.path, ignore_errors=True)
        self.stores = {}
        self._seen = {}


def _listed(store: pathlib.Path) -> tuple[tuple[str, int, int], ...]:
    """The segments of a store, by more than their names.

    In a store that was made anew, the names are the same.
    """
    found = []
    for path in store.glob('*.parquet'):
        with contextlib.suppress(FileNotFoundError):
            told = path.stat()
            found.append((path.name, told.st_ino, told.st_mtime_ns))
    return tuple(sorted(found))
