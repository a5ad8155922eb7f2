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
"""The process that stores the notifications of other services.

Run as ``python -m openstack_rca.engine.listener`` by the engine. It tells the
engine what came; the engine writes that into the database.

Notifications of a day are a file of their source, though there is no such
file: their lines stand behind each other as they came. A segment of the store
is the commit, as everywhere. What came twice is known by its id for a day;
the ids are in the lines, so that they outlive this process with them.
"""

from openstack_rca import threads  # noqa: F401

# isort: split
import collections
from collections.abc import Iterable
import dataclasses
import datetime
import json
import os
import threading
import time
from typing import Any

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.engine import bus as buses
from openstack_rca.engine import drivers
from openstack_rca.engine import folder as folders
from openstack_rca.engine import pipe
from openstack_rca.engine import process
from openstack_rca.engine import session
from openstack_rca.engine import state
from openstack_rca.events import parser
from openstack_rca.sources import notifications
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: Days of which the engine is told.
_MOST_ROWS = 2000
#: Seconds after which the source tells of itself though nothing came.
_HEARTBEAT = 60.0
#: Seconds between two signs of life.
_ALIVE = 5.0
#: Seconds between two messages to the engine.
_PACE = 1.0
#: Seconds until a store that fails is tried again, at least and at most.
_SOON = 1.0
_LATE = 30.0
#: Seconds in which what came is stored at the end.
_GRACE = 4.0

#: Seconds for which an id is known, how many are in a sorted list, and how
#: many are known at most (eight bytes each).
_DAY = 86400.0
_BUCKET = 1 << 16
_MOST_IDS = 1 << 24

#: Seconds between two looks for what is too old, and how many parts of a
#: time of retention go at once.
_EXPIRE = 60.0
_SPANS = 8

_NOTES = 'skipped.json'
#: Events of our own: nobody needs to be told what he said.
_OWN = 'rca.'


class Ids:
    """Ids of the last day, each as a hash of eight bytes."""

    def __init__(self) -> None:
        self._fresh: set[str] = set()
        self._old: list[tuple[float, pl.Series]] = []

    def add(self, ids: Iterable[str]) -> None:
        """Know ids from now on."""
        self._fresh.update(ids)
        if len(self._fresh) >= _BUCKET:
            self.load(pl.Series(list(self._fresh), dtype=pl.String))
            self._fresh = set()

    def load(self, ids: pl.Series) -> None:
        """Know many ids from now on.

        :param ids: texts
        """
        now = time.monotonic()
        self._old.append((now, ids.hash().sort()))
        while self._old and (
                now - self._old[0][0] > _DAY
                or sum(len(b) for _, b in self._old) > _MOST_IDS):
            del self._old[0]

    def known(self, ids: list[str]) -> set[str]:
        """Which of some ids came before."""
        found = self._fresh.intersection(ids)
        hashes = pl.Series(ids, dtype=pl.String).hash()
        for _, bucket in self._old:
            if bucket.is_empty():
                continue
            places = bucket.search_sorted(hashes).clip(
                0, len(bucket) - 1)
            hits = bucket.gather(places) == hashes
            found.update(one for one, hit in zip(ids, hits, strict=True)
                         if hit)
        return found


@dataclasses.dataclass
class Counts:
    """What came, since this process began.

    :param stored: notifications
    :param twice: those that were stored before
    :param cut: those that were too large, and are stored in part
    :param lag: seconds between the moment that the last one names and its
        storing
    """

    stored: int = 0
    twice: int = 0
    cut: int = 0
    lag: float = 0.0


class Ledger:
    """The store of notifications, and what is known of it.

    :param source: where it is
    :raises StoreError: it cannot be opened
    """

    def __init__(self, source: state.SourceDir) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._ids = Ids()
        while True:
            self._store = self._open()
            try:
                self._remember()
                break
            except stores.DamagedError as error:
                self._give_up(error)
        self.counts = Counts()
        #: How many of what kind were dropped, and their bytes.
        self._dropped: dict[str, tuple[int, int]] = {
            row['reason'].partition(' ')[2]: (
                int(row['reason'].partition(' ')[0]), row['bytes'])
            for row in folders.skipped(source.store)}
        self._untold = False
        #: What was dropped since the engine was told.
        self._more: collections.Counter[str] = collections.Counter()
        self._before = 0
        self._expired = time.monotonic()
        self._said = ''

    def _open(self) -> stores.Store:
        driver = drivers.load('openstack_rca.stores', 'parquet')
        while True:
            try:
                opened: Any = driver(self._source.store)
                break
            except stores.DamagedError as error:
                self._give_up(error)
        # What is dropped together has to be about as old.
        opened.span = conf.CONF.store.retention_days * 86400 / _SPANS
        return opened  # type: ignore[no-any-return]

    @staticmethod
    def _give_up(error: stores.DamagedError) -> None:
        """Do without a segment that cannot be read."""
        # What is in it is lost either way; the rest is not.
        LOG.error('A part of the stored notifications is given up: %s',
                  error)
        try:
            error.path.unlink(missing_ok=True)
        except OSError as failure:
            raise exception.StoreError(
                path=error.path, reason=failure.strerror or failure
            ) from failure

    def _remember(self) -> None:
        """Know the ids of what was stored in the last day."""
        today = datetime.datetime.now(datetime.UTC)
        days = [_day(today - datetime.timedelta(days=n)) for n in (1, 0)]
        events = self._store.scan().filter(pl.col('source').is_in(days))
        try:
            ids = events.select(pl.col('text').str.extract(
                notifications.ID.pattern)).collect(
                    engine='streaming').to_series()
            # Where lines were dropped, there are fewer than their number.
            self._lines: dict[str, int] = dict(events.group_by('source').agg(
                pl.col('line').max()).collect(
                    engine='streaming').iter_rows())
        except (OSError, pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            # It says so itself where more than the disk is wrong.
            self._store.check()
            raise exception.StoreError(
                path=self._source.store, reason=error) from error
        self._ids.load(ids.drop_nulls())

    def take(self, messages: list[notifications.Message]) -> None:
        """Store messages, each once.

        :param messages: what came
        :raises StoreError: they are not stored, and can come again
        """
        if not messages:
            return
        with self._lock:
            known = self._ids.known([m.id for m in messages])
            fresh = {m.id: m for m in messages if m.id not in known}
            if fresh:
                self._write(list(fresh.values()))
            # What is not stored comes again, and is not counted again.
            self.counts.twice += len(messages) - len(fresh)
            if self._untold:
                self._note()

    def _write(self, messages: list[notifications.Message]) -> None:
        now = datetime.datetime.now(datetime.UTC)
        day = _day(now)
        before = self._store.files().get(day)
        offset = before.bytes if before else 0
        line = self._lines.get(day, 0)
        pieces, size = self._parse(messages, parser.Origin(
            source=day, kind='notifications', year=now.year,
            month=now.month), offset, line)
        if pieces:
            events = pl.concat(p.events for p in pieces)
            record = _record(day, before, offset, size, pieces)
            try:
                self._store.write(
                    events, pl.concat(p.templates for p in pieces).unique(
                        'template'), [record])
            except exception.StoreError:
                after = self._store.files().get(day)
                if after is None or after.bytes < record.bytes:
                    raise
                # It is written: what failed is the tidying behind it.
            self._lines = {day: line + events.height}
            self.counts.stored += events.height
            newest = events['timestamp'].max()
            assert isinstance(newest, datetime.datetime)
            self.counts.lag = max(0.0, (datetime.datetime.now(
                datetime.UTC).replace(tzinfo=None) - newest).total_seconds())
        self.counts.cut += sum(m.cut for m in messages)
        self._ids.add(m.id for m in messages)

    def tidy(self) -> None:
        """Unite what is small, and drop what is too old or too much.

        It may run beside :meth:`take`, and for longer than that.
        """
        settings = conf.CONF.store
        now = time.monotonic()
        try:
            self._store.compact()
            if (now - self._expired < _EXPIRE or not (
                    settings.retention_days or settings.max_bytes)):
                return
            self._expired = now
            with self._lock:
                dropped = self._store.expire(
                    time.time() - settings.retention_days * 86400
                    if settings.retention_days else 0.0, settings.max_bytes)
        except exception.StoreError as error:
            # It is there for speed and room: the next time will do.
            self._not_tidied(error)
            return
        if dropped.bytes:
            LOG.info('%d notifications (%d bytes) are dropped: they are '
                     'older than [store] retention_days, or more than '
                     '[store] max_bytes', dropped.events, dropped.bytes)
            with self._lock:
                self._more['retention'] += dropped.events

    def _not_tidied(self, error: exception.StoreError) -> None:
        """Do without what is damaged, and say once what else is wrong."""
        if isinstance(error, stores.DamagedError):
            try:
                with self._lock:
                    self._give_up(error)
                    self._store = self._open()
                return
            except exception.StoreError as failure:
                error = failure
        if str(error) != self._said:
            LOG.warning('Stored notifications are not tidied: %s', error)
        self._said = str(error)

    def _parse(self, messages: list[notifications.Message],
               origin: parser.Origin, offset: int, line: int
               ) -> tuple[list[parser.Piece], int]:
        """Events of messages, and how many bytes they have as lines."""
        data = b''.join(m.line + b'\n' for m in messages)
        try:
            return [parser.parse([parser.Part(data, origin, offset,
                                              line + 1)])], len(data)
        except (ValueError, OverflowError, pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            if len(messages) == 1:
                LOG.debug('Parsing %s failed: %s', messages[0].id, error)
                self._drop('could not be parsed', len(data))
                return [], 0
        pieces: list[parser.Piece] = []
        size = 0
        for message in messages:
            # One bad message must not take the others with it.
            found, more = self._parse([message], origin, offset + size,
                                      line + len(pieces))
            pieces += found
            size += more
        return pieces, size

    def drop(self, why: str, size: int = 0) -> None:
        """Count a message that cannot be stored.

        :param why: in words, behind "N notifications"
        :param size: bytes of it, where that is known
        """
        with self._lock:
            self._drop(why, size)

    def _drop(self, why: str, size: int) -> None:
        count, held = self._dropped.get(f'notifications {why}', (0, 0))
        self._dropped[f'notifications {why}'] = (count + 1, held + size)
        self._more['unreadable'] += 1
        self._untold = True

    def _note(self) -> None:
        """Write down beside the store what was dropped."""
        path = self._source.store / _NOTES
        aside = path.with_suffix('.new')
        rows = [{'source': state.NOTIFICATIONS, 'reason': f'{count} {why}',
                 'size': size}
                for why, (count, size) in self._dropped.items()]
        try:
            handle = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
                             0o600)
            with open(handle, 'w', encoding='utf-8') as out:
                json.dump({state.NOTIFICATIONS: {
                    'identity': '', 'files': 0, 'skipped': rows}}, out)
            aside.rename(path)
            self._untold = False
        except OSError as error:
            LOG.warning('What was dropped is not written down: %s', error)

    def came(self) -> int:
        """How many messages there were, whatever became of them."""
        with self._lock:
            return self.counts.stored + self.counts.twice + sum(
                count for count, _ in self._dropped.values())

    def told(self) -> dict[str, Any]:
        """What the engine is told of the source."""
        with self._lock:
            if self._untold:
                self._note()
            files = session.Session(self._store, []).sources()
            return {
                'events': sum(f['events'] for f in files),
                'bytes': sum(f['bytes'] for f in files),
                'files': files[-_MOST_ROWS:],
                'skipped': [{'source': state.NOTIFICATIONS,
                             'reason': f'{count} {why}', 'bytes': size}
                            for why, (count, size) in self._dropped.items()],
                'metrics': self._metrics(), **dataclasses.asdict(self.counts)}

    def _metrics(self) -> dict[str, Any]:
        """What was done since the last time."""
        lines = self.counts.stored - self._before
        self._before = self.counts.stored
        more, self._more = dict(self._more), collections.Counter()
        return {'lines': {state.NOTIFICATIONS: lines}, 'dropped': more,
                'lag': {state.NOTIFICATIONS: round(
                    self.counts.lag if lines else 0.0, 3)}}


def _day(moment: datetime.datetime) -> str:
    return f'{moment:%Y-%m-%d}'


def _record(day: str, before: stores.FileRecord | None, offset: int,
            size: int, pieces: list[parser.Piece]) -> stores.FileRecord:
    """What the store holds of a day, with some more of it."""
    parts = pl.concat(p.parts for p in pieces)
    since, until = parts['since'].min(), parts['until'].max()
    assert isinstance(since, datetime.datetime)
    assert isinstance(until, datetime.datetime)
    first, last = since.isoformat(), until.isoformat()
    if before is not None:
        first = min(first, before.since or first)
        last = max(last, before.until or last)
    return stores.FileRecord(
        source=day, unit=day, identity=day, kind='notifications', service='',
        binary='', host='', format='notification', clock='UTC',
        events=(before.events if before else 0) + int(parts['events'].sum()),
        lines=(before.lines if before else 0) + int(parts['lines'].sum()),
        unparsed=(before.unparsed if before else 0) + int(
            parts['unparsed'].sum()),
        bytes=offset + size, since=first, until=last, start=offset)


class Listener:
    """Stores what comes, as long as it takes.

    :param ledger: where it goes
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.stopping = threading.Event()
        #: Why nothing can be stored at the moment.
        self.error = ''

    def take(self, incoming: list[buses.Incoming]) -> bool:
        """Store messages.

        Where the disk is full they wait here, and the broker hands out no
        more than it may: asked to keep them, it would give them back at
        once, and away for good after some times.

        :param incoming: as they came
        :returns: whether they need not come again
        """
        messages = self._made(incoming)
        pause = _SOON
        while True:
            try:
                self._ledger.take(messages)
                self.error = ''
                return True
            except exception.StoreError as error:
                if str(error) != self.error:
                    LOG.error('%s Notifications wait.', error)
                self.error = str(error)
            except Exception:
                LOG.exception('Storing notifications met a bug')
                if not self._one_by_one(messages):
                    return False
                return True
            if self.stopping.wait(pause):
                return False
            pause = min(2 * pause, _LATE)

    def _made(self, incoming: list[buses.Incoming]
              ) -> list[notifications.Message]:
        """Messages as lines, without our own."""
        now = datetime.datetime.now(datetime.UTC)
        made = []
        for one in incoming:
            try:
                event_type = (one.message.get('event_type')
                              if isinstance(one.message, dict) else None)
                if isinstance(event_type, str) and event_type.startswith(
                        _OWN):
                    continue
                made.append(notifications.message(
                    one.context, one.message, now, one.number))
            except Exception as error:
                # Anybody can send anything, and it must not come again.
                LOG.warning('A notification could not be read: %r', error)
                self._ledger.drop('could not be read')
        return made

    def _one_by_one(self, messages: list[notifications.Message]) -> bool:
        """Store what can be, and count what cannot."""
        for message in messages:
            try:
                self._ledger.take([message])
            except exception.StoreError:
                return False
            except Exception as error:
                LOG.debug('Dropped %s: %r', message.id, error)
                self._ledger.drop('could not be stored', len(message.line))
        return True


class _Telling:
    """Tells the engine of the source, where there is news or it is time."""

    def __init__(self, ends: pipe.Pipe) -> None:
        self._ends = ends
        self._last: tuple[float, str, int] = (-_HEARTBEAT, '', -1)
        self._alive = 0.0

    def failed(self, error: str) -> None:
        """Tell that there is no store."""
        self._ends.send({
            'source': state.NOTIFICATIONS, 'status': 'failed',
            'error': error, 'events': 0, 'bytes': 0, 'files': [],
            'skipped': []})

    def look(self, ledger: Ledger, error: str) -> None:
        """Tell what came."""
        moment, before, count = self._last
        now = time.monotonic()
        came = ledger.came()
        if (error, came) == (before, count) and now - moment < _HEARTBEAT:
            if now - self._alive >= _ALIVE:
                self._alive = now
                self._ends.send({'metrics': {}})
            return
        self._last = now, error, came
        self._alive = now
        self._ends.send({
            'source': state.NOTIFICATIONS,
            'status': 'failed' if error else 'ready', 'error': error or None,
            **ledger.told()})


def _opened(source: state.SourceDir, telling: _Telling,
            gone: threading.Event) -> Ledger | None:
    """The ledger, as soon as it can be opened; None at the end."""
    pause = _SOON
    while True:
        try:
            return Ledger(source)
        except exception.StoreError as error:
            LOG.error('%s Trying again in %d seconds.', error, pause)
            telling.failed(str(error))
        if gone.wait(pause):
            return None
        pause = min(2 * pause, _LATE)


def _listen(source: state.SourceDir, telling: _Telling,
            gone: threading.Event) -> bool:
    """Listen until the engine is gone.

    :returns: whether all that came is stored and acknowledged
    """
    ledger = _opened(source, telling, gone)
    if ledger is None:
        return True
    listener = Listener(ledger)
    bus = buses.Bus(listener.take,
                    lambda: ledger.drop('were no JSON object'))
    bus.start()
    try:
        while not gone.wait(_PACE):
            telling.look(ledger, listener.error or bus.wrong())
            ledger.tidy()
    finally:
        listener.stopping.set()
        done = bus.stop(_GRACE)
    return done


def main() -> None:
    """Listen until the engine is gone."""
    ends = process.begin()
    source = state.notifications()
    if source is None:
        return
    gone = process.hear(ends)
    done = True
    try:
        if not process.alone(ends, gone, 'listener', 'listens for'):
            return
        done = _listen(source, _Telling(ends), gone)
    except BrokenPipeError:
        LOG.debug('The engine is gone')
    if not done:
        # A thread waits for a broker that is away, and would for ever.
        os._exit(0)


if __name__ == '__main__':
    main()
