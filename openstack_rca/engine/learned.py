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
"""A model in the cloud that it watches.

What harm looks like is much the same in every cloud, and what its processes
say when all is well is not: a model that was trained on another cloud first
learns what is normal here, and again when that is hours old.
"""

from collections.abc import Iterator
import datetime

from oslo_log import log as logging
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import novelty
from openstack_rca.engine import active
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

MINUTE = datetime.timedelta(minutes=1)
TICK = datetime.timedelta(microseconds=1)

#: From which score on a symptom of a detector that learns nothing counts.
LOUD = 0.7

#: The last minutes tell whether a model was trained on this cloud.
_KNOWN = 10
#: Minutes that it learns from what is normal here: so many at least, of so
#: many at most.
_LEAST_NORMAL = 10
_LATELY = 120
#: After which time it learns anew, and tries again where it could not. Ten
#: minutes show little of what is normal: as long as it has learned from less
#: than half of what it may, it does so again after as many minutes.
_AGAIN = datetime.timedelta(hours=6)
_RETRY = MINUTE
#: Share of normal windows that may be alarmed: these overlap, so that one
#: odd minute is in several of them.
_FALSE_ALARMS = 0.01


class Learned:
    """A detector with its model.

    :param driver: the detector
    :param version: of the model
    :raises RCAException: the model cannot be used
    """

    def __init__(self, driver: active.Driver, version: str) -> None:
        self.name = driver.name
        self.version = version
        self._driver = driver
        self._detector = self._load()
        #: Whether it was trained on this cloud; None before anybody looked.
        self._at_home: bool | None = None
        self._settled: datetime.datetime | None = None
        #: After which time it has to learn that anew.
        self._holds = _AGAIN
        self._tried: datetime.datetime | None = None

    def _load(self) -> detectors.LearnedDetector:
        return active.load(self.name, self.version, self._driver.made)

    @property
    def window(self) -> datetime.timedelta:
        """How much is judged at once."""
        return datetime.timedelta(seconds=self._detector.window)

    def prepare(self, store: stores.Store,
                end: datetime.datetime) -> bool:
        """Make sure that it knows what is normal here.

        :param store: all events
        :param end: of the window that is to be judged
        :returns: whether it does
        """
        if self._at_home is None:
            known = [self._detector.knows(r) for r in minutes(
                store, end - _KNOWN * MINUTE, end)]
            if not known:
                return False
            self._at_home = 2 * sum(known) >= len(known)
            if self._at_home:
                LOG.info('The model %s/%s knows what is normal here',
                         self.name, self.version)
            else:
                LOG.info('The model %s/%s was trained on another cloud: it '
                         'is silent until it has seen %d quiet minutes of '
                         'this one', self.name, self.version, _LEAST_NORMAL)
        if self._at_home:
            return True
        until = end - self.window
        if (self._settled is None
                or until - self._settled >= self._holds) and (
                self._tried is None or until - self._tried >= _RETRY):
            self._tried = until
            self._settle(store, until)
        return self._settled is not None

    def _settle(self, store: stores.Store,
                until: datetime.datetime) -> None:
        """Learn what is normal here, from what was logged lately."""
        quiet = normal(store, until)
        if len(quiet) < _LEAST_NORMAL:
            LOG.debug('%d quiet minutes are too few for the model %s/%s',
                      len(quiet), self.name, self.version)
            return
        # What it learned the last time is no part of what it learns now.
        fresh = self._load()
        try:
            fresh.settle(quiet, detectors.Settings(
                false_alarms=_FALSE_ALARMS))
        except exception.InvalidInput as error:
            LOG.warning('The model %s/%s learns nothing from %d quiet '
                        'minutes: %s', self.name, self.version, len(quiet),
                        error)
            return
        self._detector = fresh
        self._settled = until
        self._holds = (_AGAIN if len(quiet) >= _LATELY / 2
                       else len(quiet) * MINUTE)
        LOG.info('The model %s/%s has learned what is normal here, from %d '
                 'quiet minutes before %s', self.name, self.version,
                 len(quiet), until)

    def judge(self, store: stores.Store, since: datetime.datetime,
              until: datetime.datetime) -> pl.DataFrame:
        """What is abnormal in a window.

        :param store: all events
        :param since: its first moment
        :param until: its last moment
        :returns: symptoms
        """
        recording = detectors.Recording('now', store, stores.Query(
            since=since, until=until))
        score = self._detector.score(recording)
        LOG.debug('%s/%s: %.3f from %s to %s', self.name, self.version,
                  score, since, until)
        if score < detectors.ALARM:
            return detectors.no_symptoms()
        return self._detector.explain(recording, score)


def minutes(store: stores.Store, since: datetime.datetime,
            until: datetime.datetime) -> Iterator[detectors.Recording]:
    """The whole minutes of a time in which something was logged.

    They are counted back from its end.

    :param store: all events
    :param since: first moment
    :param until: last moment
    """
    back = (pl.lit(until, pl.Datetime('us')) - pl.col('timestamp'))
    found = store.narrow(stores.Query(since=since, until=until)).select(
        number=back.dt.total_microseconds() // 60_000_000).unique().collect(
            engine='streaming')['number'].sort(descending=True)
    for number in found:
        end = until - number * MINUTE
        begin = end - MINUTE + TICK
        if begin >= since:
            yield detectors.Recording(
                f'{begin}', store, stores.Query(since=begin, until=end),
                group=f'{begin}')


def normal(store: stores.Store,
           until: datetime.datetime) -> list[detectors.Recording]:
    """The minutes before a moment in which nothing was loud.

    :param store: all events
    :param until: the moment
    """
    since = until - _LATELY * MINUTE
    profile = detectors.profile(store.narrow(stores.Query(
        since=since, until=until)))
    judge = novelty.NoveltyDetector()
    found = []
    for recording in minutes(store, since, until):
        begin, end = recording.query.since, recording.query.until
        # Windows of the profile that reach into it, at either end.
        inside = (pl.col('last') >= begin) & (pl.col('first') <= end)
        symptoms = judge.detect(profile.filter(inside),
                                profile.filter(~inside))
        if symptoms.filter(pl.col('score') >= LOUD).is_empty():
            found.append(recording)
    return found
