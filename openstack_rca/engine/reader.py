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
"""The process that reads the sources into their stores.

Run as ``python -m openstack_rca.engine.reader`` by the engine. It tells the
engine what it read; the engine writes that into the database.
"""

import sys
import threading
import time
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.engine import folder as folders
from openstack_rca.engine import pipe
from openstack_rca.engine import session
from openstack_rca.engine import state
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: Files and skipped files of one source that the database holds.
_MOST_ROWS = 2000
#: Seconds after which a source tells of itself though nothing changed.
_HEARTBEAT = 60.0
#: Seconds between two messages of progress.
_PACE = 1.0


class Reader:
    """Keeps the stores like the sources.

    :param sources: what to read
    :param ends: where to tell of it
    """

    def __init__(self, sources: list[state.SourceDir],
                 ends: pipe.Pipe) -> None:
        self._sources = sources
        self._ends = ends
        self._stores: dict[str, stores.Store] = {}
        self._told: dict[str, tuple[float, str]] = {}

    def look(self) -> None:
        """Read what is new in all sources."""
        for source in self._sources:
            self._read(source)

    def _read(self, source: state.SourceDir) -> None:
        store = None
        changed = False
        error = None
        try:
            store = self._store(source)
            done = folders.refresh(
                source.path, store, conf.CONF.sources.timezone,
                self._progress(source))
            changed = done.changed
            if changed:
                store.compact()
        except exception.SourceEmpty as failure:
            # All of it may have been there a moment ago.
            error = str(failure)
            if store is not None:
                store.forget(set(store.files()))
        except exception.RCAException as failure:
            error = str(failure)
            # A damaged store costs time, never an answer.
            if isinstance(failure, exception.StoreError):
                self._stores.pop(source.name, None)
        if error is not None and self._told.get(
                source.name, (0.0, ''))[1] != error:
            LOG.warning('Source %s: %s', source.name, error)
        self._tell(source, store, changed, error)

    def _store(self, source: state.SourceDir) -> stores.Store:
        if source.name not in self._stores:
            driver = drivers.load('openstack_rca.stores', 'parquet')
            try:
                self._stores[source.name] = driver(source.store)
            except exception.StoreError as error:
                LOG.warning('The store of source %s is made anew: %s',
                            source.name, error)
                state.empty(source.store)
                self._stores[source.name] = driver(source.store)
        return self._stores[source.name]

    def _progress(self, source: state.SourceDir) -> Any:
        next_one = time.monotonic() + _PACE

        def told(stage: str, fraction: float) -> None:
            nonlocal next_one
            if time.monotonic() >= next_one:
                next_one = time.monotonic() + _PACE
                # What comes next is news, even if it is the same.
                self._told.pop(source.name, None)
                self._ends.send({'reading': source.name,
                                 'fraction': round(fraction, 3)})
        return told

    def _tell(self, source: state.SourceDir, store: stores.Store | None,
              changed: bool, error: str | None) -> None:
        """Tell the engine, where there is news or it is time."""
        moment, before = self._told.get(source.name, (0.0, 'nothing'))
        now = time.monotonic()
        if not changed and before == (error or '') \
                and now - moment < _HEARTBEAT:
            return
        self._told[source.name] = (now, error or '')
        files = session.Session(store, []).sources() if store else []
        skipped = folders.skipped(source.store)
        self._ends.send({
            'source': source.name, 'status': 'failed' if error else 'ready',
            'error': error, 'events': sum(f['events'] for f in files),
            'bytes': sum(f['bytes'] for f in files),
            'files': files[:_MOST_ROWS], 'skipped': skipped[:_MOST_ROWS]})


def main() -> None:
    """Read until the engine is gone."""
    ends = pipe.Pipe.of_this_process()
    conf.load(sys.argv[1:])
    logging.setup(conf.CONF, conf.PROJECT)
    sources = state.sources()
    folders.check_timezone(conf.CONF.sources.timezone)
    gone = threading.Event()

    def listen() -> None:
        while ends.receive() is not None:
            LOG.debug('The engine says something to the reader')
        gone.set()

    threading.Thread(target=listen, name='engine', daemon=True).start()
    try:
        waited = False
        while state.take_lock() is None:
            if not waited:
                LOG.warning('Another process reads into %s. This one waits '
                            'until it ends.', state.root())
                ends.send({'waiting': True})
                waited = True
            if gone.wait(1.0):
                return
        state.sweep(sources)
        reader = Reader(sources, ends)
        while True:
            reader.look()
            ends.send({'looked': True})
            if gone.wait(conf.CONF.sources.interval):
                return
    except BrokenPipeError:
        LOG.debug('The engine is gone')


if __name__ == '__main__':
    main()
