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
"""The process of an engine that judges what is logged.

Run as ``python -m openstack_rca.engine.watcher`` by the engine. It tells the
engine the symptoms that it finds; the engine writes them into the database.

What is judged is a window that ends with the newest event. It moves on by
ten seconds or, where judging is slow, by twice the time that it takes: a
burst is judged less often and in shorter windows, and no queue of it grows.
Nothing is left out: a window begins where the last one ended, at the latest.
Beside these, every second or so, single records raise alarms
(:mod:`openstack_rca.analysis.alarms`).

How far it came is written down once the engine has what was found in the
database: what a crash takes away is found again.
"""

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import time
from typing import Any
from typing import NamedTuple

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import alarms
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import active
from openstack_rca.engine import learned
from openstack_rca.engine import process
from openstack_rca.engine import snapshots
from openstack_rca.engine import state
from openstack_rca.events import schema
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: How far the window moves on at least.
_STEP = datetime.timedelta(seconds=10)
#: The window of detectors that learn nothing.
_WINDOW = learned.MINUTE
#: What these compare it with: so much of what lies before it, at least so
#: many seconds; how long that is used.
_REFERENCE = 60 * learned.MINUTE
_LEAST_REFERENCE = 120.0
_USED = learned.MINUTE
#: Symptoms of one judgement of a detector.
_MOST = 20
#: Events of a window, where ten seconds have not more: they are held in
#: memory while it is judged.
_EVENTS = 200_000
#: Seconds between two signs of life where nothing is found.
_HEARTBEAT = 5.0
#: Symptoms of one message to the engine.
_TOLD_AT_ONCE = 500
#: Symptoms that wait for the database.
_MOST_WAITING = 1000
#: A clock that is further ahead is wrong: its events wait for their time.
_AHEAD = learned.MINUTE
#: Windows that are judged before anybody may ask for something else.
_AT_ONCE = 5
#: How often a window is begun that ends the process.
_TRIES = 3
#: Seconds until a model is tried again that could not be used.
_AGAIN = 60.0
#: Bytes that may be mapped: much more than is ever used.
_MAPPED = 6 << 30


class _Window(NamedTuple):
    """What is judged at once.

    :param end: its last moment
    :param earliest: where it begins at the earliest: with more there would
        be too many events in it
    """

    end: datetime.datetime
    earliest: datetime.datetime


class Watcher:
    """Judges what the reader stored.

    :param sources: what there is
    :param tell: called with the symptoms that were found, and with how long
        detectors took, see :func:`openstack_rca.engine.metrics.taken`
    """

    def __init__(self, sources: list[state.SourceDir],
                 tell: Callable[[dict[str, Any]], None]) -> None:
        self._tell = tell
        #: How often each detector judged, and for how many seconds, since
        #: that was told; and when.
        self._took: dict[str, tuple[int, float]] = {}
        self._last = 0.0
        self._snapshots = snapshots.Snapshots(sources)
        #: Versions of the models to use, by detector; set by any thread.
        self.wanted: Mapping[str, str] | None = None
        self._versions: Mapping[str, str] | None = None
        self._plain: list[tuple[str, detectors.Detector]] = []
        self._learned: list[learned.Learned] = []
        self._mark = state.read_mark()
        self._alarms: alarms.Alarms | None = None
        #: Symptoms that were told, and of these the ones that are written.
        self._told_symptoms = 0
        self.written = 0
        #: What the file says, and what it is to say once so many symptoms
        #: are written.
        self._kept = self._mark
        #: Windows before which all is to be written that came of others: one
        #: that ended the process before can be told from them then.
        self._careful = (_AT_ONCE if self._mark is not None
                         and self._mark.tries else 0)
        self._later: list[tuple[int, state.Mark]] = []
        #: What lies before was logged before the first engine came.
        self._begun = self._mark.begun if self._mark else None
        self._floor = datetime.datetime.min
        self._step = _STEP
        #: When to look again for models that could not be used.
        self._again: float | None = None
        self._before: tuple[datetime.datetime, pl.DataFrame] | None = None
        #: What went wrong and was told already.
        self._told: set[tuple[str, str]] = set()

    def close(self) -> None:
        """Give the snapshots up."""
        self._snapshots.close()

    def look(self) -> bool:
        """Judge what is new.

        :returns: whether there is more to judge now
        :raises RCAException: it cannot be judged, and why
        """
        if self.wanted is None:
            return False
        if (self.wanted != self._versions
                or self._again is not None and time.monotonic() > self._again):
            self._equip(self.wanted)
        if self._told_symptoms - self.written > _MOST_WAITING:
            # The database is away. What was logged is still there then.
            self.keep()
            return False
        changed = self._snapshots.refresh()
        store = self._snapshots.whole()
        newest = _newest(store, self._mark)
        if newest is None:
            return False
        mark = self._mark or self._begin(newest)
        if self._alarms is None:
            self._alarms = alarms.Alarms(
                mark.until + learned.TICK, self._begun)
        if changed:
            self._send(self._guard(alarms.NAME, [], self._alarms.look,
                                   store, newest))
        # Behind the alarms: these need no disk that takes anything.
        self.keep()
        # Where nothing more comes, there is time for what came last.
        if newest <= mark.until or (
                changed and newest - mark.until < self._step):
            return False
        windows = self._windows(store, mark.until, newest)
        for window in windows[:_AT_ONCE]:
            if self._careful:
                if self._told_symptoms > self.written:
                    return False
                self._careful -= 1
            self._try(store, window)
        return len(windows) > _AT_ONCE

    def _begin(self, newest: datetime.datetime) -> state.Mark:
        """Where an engine begins that has judged nothing yet."""
        until = newest - datetime.timedelta(
            seconds=conf.CONF.detectors.watch_lookback)
        self._floor = self._begun = until + learned.TICK
        mark = self._at(until)
        self._move(mark)
        LOG.info('What was logged after %s is judged', mark.until)
        return mark

    def _at(self, until: datetime.datetime, tries: int = 0) -> state.Mark:
        return state.Mark(until, tries, self._begun)

    def _move(self, mark: state.Mark) -> None:
        """Remember how far it came, for now and for the next process."""
        if mark.tries:
            # Until when is the affair of what was written.
            kept = self._at((self._kept or mark).until, mark.tries)
            # What cannot be written down was not tried.
            state.write_mark(kept)
            self._mark, self._kept = mark, kept
            return
        self._mark = mark
        self._later.append((self._told_symptoms, mark))
        self.keep()
        if self._kept is not None and self._kept.tries:
            # The window did not end the process.
            kept = self._at(self._kept.until)
            state.write_mark(kept)
            self._kept = kept

    def keep(self) -> None:
        """Write down how far it came, as far as the engine has it."""
        done = [mark for told, mark in self._later if told <= self.written]
        if done:
            state.write_mark(done[-1])
            self._kept = done[-1]
            del self._later[:len(done)]

    def _send(self, found: list[dict[str, Any]]) -> None:
        for start in range(0, len(found), _TOLD_AT_ONCE):
            piece = found[start:start + _TOLD_AT_ONCE]
            self._told_symptoms += len(piece)
            self._tell({'symptoms': piece})

    def live(self) -> None:
        """Tell what detectors did; nothing now and then is a sign of life."""
        now = time.monotonic()
        if not self._took and now - self._last < _HEARTBEAT:
            return
        self._last = now
        self._tell({'metrics': {'detectors': {
            name: list(took) for name, took in self._took.items()}}})
        self._took.clear()

    def _equip(self, versions: Mapping[str, str]) -> None:
        """Take the detectors of the configuration, and the active models."""
        if versions != self._versions:
            self._told.clear()
        self._again = None
        found, skipped = active.configured()
        for row in skipped:
            self._tell_once(f'The {row["source"]}', row['reason'])
        self._plain = [(d.name, d.made()) for d in found if not d.learns]
        before = {(one.name, one.version): one for one in self._learned}
        self._learned = []
        for driver in found:
            if driver.learns:
                self._take(driver, versions.get(driver.name), before)
        self._versions = dict(versions)

    def _take(self, driver: active.Driver, version: str | None,
              before: Mapping[tuple[str, str], learned.Learned]) -> None:
        """Take a detector that learns, where there is a model."""
        if version is None:
            self._tell_once(f'The detector {driver.name}', 'There is no '
                            'model of it. Train and activate one.')
            return
        one = before.get((driver.name, version))
        if one is None:
            try:
                one = learned.Learned(driver, version)
            except exception.RCAException as error:
                # It may be brought here, or mended.
                self._again = time.monotonic() + _AGAIN
                self._tell_once(f'The detector {driver.name}', str(error))
                return
            LOG.info('Watches with the model %s/%s', driver.name, version)
        self._learned.append(one)

    def _tell_once(self, what: str, why: str) -> None:
        if (what, why) not in self._told:
            self._told.add((what, why))
            LOG.error('%s does not watch. %s', what, why)

    def _windows(self, store: stores.Store, since: datetime.datetime,
                 until: datetime.datetime) -> list[_Window]:
        """Windows that leave nothing out between two moments.

        Where nothing was logged, nothing is judged.
        """
        width = min([_WINDOW, *(one.window for one in self._learned)])
        found = _slots(store, since - width, since, until)
        pieces: list[tuple[datetime.datetime, datetime.datetime, int]] = []
        for number, (slot, _, new) in enumerate(found):
            end = min(slot + _STEP - learned.TICK, until)
            if not new:
                continue
            if pieces:
                begin, _, first = pieces[-1]
                events = sum(n for _, n, _ in found[first:number + 1])
                if end - begin <= width and events <= _EVENTS:
                    pieces[-1] = begin, end, first
                    continue
            pieces.append((max(since, slot - learned.TICK), end, number))
        windows = []
        for _, end, first in pieces:
            last = sum(1 for slot, _, _ in found if slot <= end)
            events = sum(n for _, n, _ in found[first:last])
            # What was judged already is judged again with what is new, as
            # far as that is not too much.
            while first and events + found[first - 1][1] <= _EVENTS:
                first -= 1
                events += found[first][1]
            windows.append(_Window(
                end, found[first][0] if first else datetime.datetime.min))
        return windows

    def _try(self, store: stores.Store, window: _Window) -> None:
        """Judge a window, unless it ended this process before."""
        mark, end = self._mark, window.end
        assert mark is not None
        if mark.tries >= _TRIES:
            LOG.error('What was logged between %s and %s is not judged: %d '
                      'processes ended that tried', mark.until, end, _TRIES)
        else:
            self._move(self._at(mark.until, mark.tries + 1))
            ready = [one for one in self._learned if self._guard(
                one.name, False, one.prepare, store, end)]
            began = time.monotonic()
            self._judge(store, window, ready)
            self._step = max(_STEP, 2 * datetime.timedelta(
                seconds=time.monotonic() - began))
        self._move(self._at(end))
        self.live()

    def _judge(self, store: stores.Store, window: _Window,
               ready: list[learned.Learned]) -> None:
        """Judge a window with every detector."""
        end, floor = window.end, max(window.earliest, self._floor)
        for one in ready:
            since = max(end - one.window + learned.TICK, floor)
            self._report(one.name, one.version, self._guard(
                one.name, detectors.no_symptoms(), one.judge, store, since,
                end))
        since = max(end - _WINDOW + learned.TICK, floor)
        reference = self._reference(store, since)
        if detectors.seconds(reference) < _LEAST_REFERENCE:
            return
        current = detectors.profile(store.narrow(stores.Query(
            since=since, until=end)))
        for name, detector in self._plain:
            found = self._guard(name, detectors.no_symptoms(),
                                detector.detect, current, reference)
            self._report(name, None, found.filter(
                pl.col('score') >= learned.LOUD))

    def _reference(self, store: stores.Store,
                   since: datetime.datetime) -> pl.DataFrame:
        """What was logged before a window."""
        if (self._before is None
                or not self._before[0] <= since < self._before[0] + _USED):
            self._before = since, detectors.profile(store.narrow(
                stores.Query(since=since - _REFERENCE,
                             until=since - learned.TICK)))
        return self._before[1]

    def _guard(self, name: str, otherwise: Any,
               function: Callable[..., Any], *args: Any) -> Any:
        """Call a detector: what goes wrong in one is no other's affair."""
        began = time.perf_counter()
        try:
            return function(*args)
        except exception.RCAException as error:
            told = (name, str(error))
            if told not in self._told:
                LOG.error('The detector %s: %s', name, error)
        except (Exception, pl.exceptions.PanicException) as error:
            told = (name, type(error).__name__)
            if told not in self._told:
                LOG.exception('The detector %s has a bug', name)
        finally:
            runs, seconds = self._took.get(name, (0, 0.0))
            self._took[name] = (
                runs + 1, seconds + time.perf_counter() - began)
        self._told.add(told)
        return otherwise

    def _report(self, name: str, version: str | None,
                found: pl.DataFrame) -> None:
        """Tell the worst symptoms."""
        if found.is_empty():
            return
        worst = found.drop_nulls(['since', 'until']).sort(
            'score', descending=True).head(_MOST)
        self._send([{
            'detector': name, 'version': version,
            'service': row['service'], 'binary': row['binary'],
            'event_host': row['host'],
            'template': None if row['template'] is None
            else schema.template_name(row['template']),
            'since': row['since'].isoformat(),
            'until': row['until'].isoformat(), 'sign': row['sign'],
            'score': round(row['score'], 6), 'why': row['why']}
            for row in worst.iter_rows(named=True)])


def _slots(store: stores.Store, since: datetime.datetime,
           after: datetime.datetime, until: datetime.datetime) -> list[
               tuple[datetime.datetime, int, int]]:
    """How much was logged in each ten seconds of a time, in order.

    :returns: their beginning, their events, and those after a moment
    """
    return store.narrow(stores.Query(since=since, until=until)).group_by(
        slot=pl.col('timestamp').dt.truncate('10s')).agg(
            count=pl.len(), new=(pl.col('timestamp') > after).sum()).collect(
                engine='streaming').sort('slot').rows()


def _newest(store: stores.Store,
            mark: state.Mark | None) -> datetime.datetime | None:
    """When the newest event happened that can have happened."""
    found = max((r.until for r in store.files().values() if r.until),
                key=datetime.datetime.fromisoformat, default=None)
    if found is None:
        return None
    newest = datetime.datetime.fromisoformat(found)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + _AHEAD
    if newest <= now:
        return newest
    told = store.narrow(stores.Query(
        since=mark.until if mark else None, until=now)).select(
            pl.col('timestamp').max()).collect(engine='streaming').item()
    return told if isinstance(told, datetime.datetime) else None


def main() -> None:
    """Judge until the engine is gone."""
    ends = process.begin()
    process.bound(_MAPPED)
    watcher: Watcher | None = None
    wanted: Mapping[str, str] | None = None
    written = 0

    def heard(message: dict[str, Any]) -> None:
        nonlocal wanted, written
        wanted = message.get('models', wanted)
        written += int(message.get('written') or 0)

    gone = process.hear(ends, heard)
    try:
        if not process.alone(ends, gone, 'watcher', 'watches for'):
            return
        watcher = Watcher(state.stores(), ends.send)
        told = ''
        while not gone.is_set():
            more = False
            watcher.wanted = wanted
            watcher.written = written
            try:
                more = watcher.look()
                told = ''
            except exception.RCAException as error:
                # Said once, and not every time.
                if str(error) != told:
                    LOG.error('What is logged is not judged: %s', error)
                told = str(error)
            watcher.live()
            gone.wait(0.0 if more else conf.CONF.detectors.watch_interval)
    except BrokenPipeError:
        LOG.debug('The engine is gone')
    finally:
        if watcher is not None:
            watcher.close()


if __name__ == '__main__':
    main()
