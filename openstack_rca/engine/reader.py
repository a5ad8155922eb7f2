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

from concurrent import futures
import contextlib
import dataclasses
import threading
import time
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import drivers
from openstack_rca import exception
from openstack_rca.engine import folder as folders
from openstack_rca.engine import ingest
from openstack_rca.engine import journal
from openstack_rca.engine import pipe
from openstack_rca.engine import process
from openstack_rca.engine import session
from openstack_rca.engine import state
from openstack_rca.engine import tail
from openstack_rca.engine import wake
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: Files and skipped files of one source that the database holds.
_MOST_ROWS = 2000
#: Seconds after which a source tells of itself though nothing changed.
_HEARTBEAT = 60.0
#: Seconds between two messages of progress.
_PACE = 1.0
#: Seconds between two messages about a source that is written to.
_TELL = 2.0
#: Seconds from one look to the next, at least: what comes meanwhile is read
#: together.
_PERIOD = 0.4
#: Seconds from the first write after a pause to the look at it.
_GATHER = 0.1
#: Seconds between two looks at what is too old.
_EXPIRE = 60.0
#: What is united spans so much of the time that events are kept.
_SPANS = 8


@dataclasses.dataclass
class _Followed:
    """One source on its way into its store.

    :param source: as it is configured
    :param store: where its events go; None while that cannot be opened
    :param follower: what reads it
    :param listing: whether there may be other files than before
    :param due: when to look in any case
    :param since: since when there may have been something to read
    :param moment: when the engine was told of it
    :param error: what it was told
    :param news: whether there is something to tell
    :param expired: when what is too old was looked for
    :param lost: whether a part of the store is, so that what is there has to
        be read again
    """

    source: state.SourceDir
    store: stores.Store | None = None
    follower: tail.Tail | journal.Tail | None = None
    listing: bool = True
    due: float = 0.0
    since: float = 0.0
    moment: float = 0.0
    error: str = 'nothing'
    news: bool = False
    expired: float = 0.0
    lost: bool = False


class Reader:
    """Keeps the stores like the sources.

    :param sources: what to read
    :param ends: where to tell of it
    :param pace: seconds between two messages about one source
    """

    def __init__(self, sources: list[state.SourceDir], ends: pipe.Pipe,
                 pace: float = 0.0) -> None:
        self._all = [_Followed(source) for source in sources]
        self._ends = ends
        self._pace = pace
        self._began = (time.time(), time.monotonic())
        #: Unites segments while others are written.
        self._aside = futures.ThreadPoolExecutor(1, 'unite')
        self._uniting: dict[str, futures.Future[None]] = {}
        #: What was said, by source and by what it is about.
        self._said: dict[tuple[str, str], str] = {}
        self._lines: dict[str, int] = {}
        self._lag: dict[str, float] = {}
        self._dropped: dict[str, int] = {}

    def close(self) -> None:
        """Wait for what is being written aside."""
        self._aside.shutdown()

    def look(self) -> None:
        """Read what is new in all sources."""
        for one in self._all:
            self._read(one, True)

    def turn(self) -> None:
        """Read what is new where something happened, or where it is time."""
        for one in self._all:
            if self._is_due(one) or self._stirred(one):
                self._read(one, one.listing or one.due <= time.monotonic())
            elif one.news:
                self._tell(one, False, None)

    @staticmethod
    def _is_due(one: _Followed) -> bool:
        return one.listing or one.follower is None and not one.due or (
            one.due <= time.monotonic())

    @staticmethod
    def _stirred(one: _Followed) -> bool:
        return one.follower is not None and one.follower.stirred()

    def follow(self, gone: threading.Event, waker: wake.Wake) -> None:
        """Read until the end.

        :param gone: set when it has come
        :param waker: what tells of changes
        """
        while not gone.is_set():
            began = time.monotonic()
            self.turn()
            self._ends.send({'looked': True, 'metrics': self._metrics()})
            waker.watch(f for one in self._all if one.follower is not None
                        for f in one.follower.folders)
            for one in self._all:
                one.since = began
            gone.wait(max(_GATHER, began + _PERIOD - time.monotonic()))
            while not gone.is_set() and not self._wanted(waker):
                now = time.monotonic()
                times = [one.due - now for one in self._all]
                times += [one.moment + self._pace - now
                          for one in self._all if one.news]
                if waker.wait(min(times, default=3600.0)):
                    for one in self._all:
                        one.since = time.monotonic()
                    gone.wait(_GATHER)

    def _wanted(self, waker: wake.Wake) -> bool:
        """Whether it is time for a look."""
        moved = waker.moved()
        now = time.monotonic()
        for one in self._all:
            if one.follower is not None and moved & set(one.follower.folders):
                one.listing = True
        # From now on, nothing is missed.
        waker.arm()
        return any(self._is_due(one) or self._stirred(one)
                   or one.news and one.moment + self._pace <= now
                   for one in self._all)

    def _read(self, one: _Followed, listing: bool) -> None:
        changed = False
        error = None
        now = time.monotonic()
        if listing:
            one.listing = False
            one.due = now + conf.CONF.sources.interval
        try:
            follower = self._follower(one)
            done = follower.look(listing, self._progress(one))
            changed = done.changed
            if done.lines:
                name = one.source.name
                self._lines[name] = self._lines.get(name, 0) + done.lines
                self._lag[name] = time.monotonic() - (one.since or now)
            self._settle(one, changed)
        except exception.RCAException as failure:
            error = str(failure)
            # A new try is a matter of seconds, and not of a look.
            one.due = now + conf.CONF.sources.interval
            if isinstance(failure, exception.StoreError):
                one.store = one.follower = None
            elif not isinstance(failure, exception.SourceEmpty):
                one.follower = None
        if error is not None and one.error != error:
            LOG.warning('Source %s: %s', one.source.name, error)
        self._tell(one, changed, error)

    def _follower(self, one: _Followed) -> tail.Tail | journal.Tail:
        """What reads a source, with its store."""
        if one.store is None:
            one.store = self._open(one)
        if one.follower is None:
            made = journal.Tail if one.source.driver == 'journal' else (
                tail.Tail)
            one.follower = made(one.source.path, one.store,
                            conf.CONF.sources.timezone)
            one.follower.heal, one.lost = one.lost, False
        return one.follower

    def _open(self, one: _Followed) -> stores.Store:
        """The store of a source, with what of it can be read."""
        driver = drivers.load('openstack_rca.stores', 'parquet')
        while True:
            try:
                store: stores.Store = driver(one.source.store)
                break
            except stores.DamagedError as error:
                self._give_up(one, error)
        # What is dropped together has to be about as old.
        store.span = conf.CONF.store.retention_days * 86400 / _SPANS
        return store

    def _settle(self, one: _Followed, changed: bool) -> None:
        """Have the store kept small, beside what is read."""
        name = one.source.name
        running = self._uniting.get(name)
        if running is not None:
            if not running.done():
                return
            del self._uniting[name]
            failure = running.exception()
            if isinstance(failure, stores.DamagedError):
                self._give_up(one, failure)
                return
            if failure is not None and not isinstance(
                    failure, exception.StoreError):
                raise failure
            self._say(name, 'unite', str(failure or ''),
                      'Its segments are not united')
        now = time.monotonic()
        late = now - one.expired >= _EXPIRE
        if changed or late:
            if late:
                one.expired = now
            assert one.follower is not None and one.store is not None
            self._uniting[name] = self._aside.submit(
                self._unite, name, one.follower, one.store, late)

    @staticmethod
    def _give_up(one: _Followed, error: stores.DamagedError) -> None:
        """Do without a segment that cannot be read."""
        # A damaged store costs time, never an answer.
        LOG.warning('A part of the store of source %s is given up; the files '
                    'that are there are read again: %s', one.source.name,
                    error)
        try:
            error.path.unlink(missing_ok=True)
        except OSError as failure:
            raise exception.StoreError(
                path=error.path, reason=failure.strerror or failure
            ) from failure
        one.store = one.follower = None
        one.lost = one.listing = True

    def _say(self, name: str, about: str, text: str, what: str) -> None:
        """Warn of something, once and not every time."""
        if text and self._said.get((name, about)) != text:
            LOG.warning('Source %s: %s: %s', name, what, text)
        self._said[name, about] = text

    def _unite(self, name: str, follower: tail.Tail | journal.Tail,
               store: stores.Store, late: bool) -> None:
        """Unite what is small, and drop what is too old or too much."""
        store.compact()
        settings = conf.CONF.store
        if not late or not (settings.retention_days or settings.max_bytes):
            return
        # A clock that is put forward makes nothing older.
        now = self._began[0] + time.monotonic() - self._began[1]
        before = (now - settings.retention_days * 86400
                  if settings.retention_days else 0.0)
        dropped = follower.expire(before, settings.max_bytes)
        if dropped.bytes:
            LOG.info('Source %s: %d events (%d bytes) are dropped: they are '
                     'older than [store] retention_days, or more than '
                     '[store] max_bytes', name, dropped.events,
                     dropped.bytes)
            self._dropped[name] = (self._dropped.get(name, 0)
                                   + dropped.events)

    def settle(self) -> None:
        """Wait until what is written aside is written."""
        for running in list(self._uniting.values()):
            with contextlib.suppress(exception.StoreError):
                running.result()

    def _metrics(self) -> dict[str, Any]:
        """What was done since the last time."""
        told: dict[str, Any] = {'lines': self._lines, 'lag': {
            one.source.name: round(self._lag.get(one.source.name, 0.0), 3)
            for one in self._all}}
        expired = sum(self._dropped.values())
        if expired:
            told['dropped'] = {'retention': expired}
        self._lines, self._lag, self._dropped = {}, {}, {}
        return told

    def _progress(self, one: _Followed) -> ingest.Progress:
        next_one = time.monotonic() + _PACE

        def told(stage: str, fraction: float) -> None:
            nonlocal next_one
            if time.monotonic() >= next_one:
                next_one = time.monotonic() + _PACE
                # What comes next is news, even if it is the same.
                one.moment, one.error = 0.0, 'nothing'
                self._ends.send({'reading': one.source.name,
                                 'fraction': round(fraction, 3)})
        return told

    def _tell(self, one: _Followed, changed: bool,
              error: str | None) -> None:
        """Tell the engine, where there is news or it is time."""
        now = time.monotonic()
        same = one.error == (error or '')
        one.news = one.news or changed
        if same and (not one.news and now - one.moment < _HEARTBEAT
                     or one.news and now - one.moment < self._pace):
            return
        one.moment, one.error, one.news = now, error or '', False
        files = session.Session(one.store, []).sources() if one.store else []
        skipped = folders.skipped(one.source.store)
        self._ends.send({
            'source': one.source.name,
            'status': 'failed' if error else 'ready',
            'error': error, 'events': sum(f['events'] for f in files),
            'bytes': sum(f['bytes'] for f in files),
            'files': files[:_MOST_ROWS], 'skipped': skipped[:_MOST_ROWS]})


def main() -> None:
    """Read until the engine is gone."""
    ends = process.begin()
    sources = state.sources()
    folders.check_timezone(conf.CONF.sources.timezone)
    waker = wake.Wake()
    gone = process.hear(ends, ended=waker.tell)
    reader = None
    try:
        if not process.alone(ends, gone, 'reader', 'reads into'):
            return
        state.sweep(sources)
        reader = Reader(sources, ends, _TELL)
        reader.follow(gone, waker)
    except BrokenPipeError:
        LOG.debug('The engine is gone')
    finally:
        if reader is not None:
            reader.close()


if __name__ == '__main__':
    main()
