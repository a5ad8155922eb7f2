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
"""A model as an engine uses it: false alarms, and how soon it notices.

Recordings are judged in windows that follow each other, as if the cloud were
watched while they were made. Nothing is trained, and what is true of them is
looked at only when the scores are there.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import math
import pathlib
import statistics
from typing import Any

import polars as pl

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.evaluation import crossval
from openstack_rca.evaluation import tables

#: Seconds from a window to the next one.
STEP = 10.0
#: Seconds in which a fault is to be noticed.
SOON = 60.0

_TICK = datetime.timedelta(microseconds=1)


@dataclasses.dataclass(frozen=True)
class Watched:
    """What was seen in a recording.

    :param name: of the recording
    :param since: its first event
    :param until: its last event
    :param known: whether it is of a cloud like those the model learned from
    :param windows: when each window ends, and its score
    """

    name: str
    since: datetime.datetime
    until: datetime.datetime
    known: bool
    windows: tuple[tuple[datetime.datetime, float], ...]

    def document(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {'case_id': self.name, 'since': self.since.isoformat(),
                'until': self.until.isoformat(), 'known': self.known,
                'windows': [[end.isoformat(), score]
                            for end, score in self.windows]}


def watch(detector: detectors.LearnedDetector, one: crossval.Known,
          model: str, kept: pathlib.Path, step: float = STEP) -> Watched:
    """Judge a recording window by window.

    :param detector: what judges
    :param one: the recording; its label is not handed on
    :param model: tells the model from every other one
    :param kept: folder that holds what was seen before
    :param step: seconds from a window to the next one
    :returns: as it was kept, where nothing that decides it has changed
    :raises RCAException: the detector, or the store, cannot be used
    """
    path = kept / (crossval.digest(
        crossval.code(type(detector)), model, one.identity,
        detector.window, step) + '.json')
    return crossval.remembered(
        path, lambda told: _read(told, one.recording.name),
        lambda: _watch(detector, one.recording, step), Watched.document)


def _watch(detector: detectors.LearnedDetector,
           recording: detectors.Recording, step: float) -> Watched:
    first, last = recording.store.narrow(recording.query).select(
        first=pl.col('timestamp').min(),
        last=pl.col('timestamp').max()).collect().row(0)
    if first is None:
        raise exception.InvalidInput(
            reason=f'No event of {recording.name} has a time.')
    blind = dataclasses.replace(recording, harmed=None, group='')
    width = datetime.timedelta(seconds=detector.window)
    windows = []
    end = first + width
    while end <= last + _TICK:
        score = float(detector.score(dataclasses.replace(
            blind, query=dataclasses.replace(
                blind.query, since=end - width, until=end - _TICK))))
        if not math.isfinite(score):
            raise exception.ModelError(
                name=type(detector).__name__,
                reason=f'Its score of {recording.name} is no number.')
        windows.append((end, score))
        end += datetime.timedelta(seconds=step)
    return Watched(recording.name, first, last, detector.knows(blind),
                   tuple(windows))


def _read(told: Any, name: str) -> Watched | None:
    moment = datetime.datetime.fromisoformat
    if told['case_id'] != name:
        return None
    return Watched(name, moment(told['since']), moment(told['until']),
                   bool(told['known']), tuple(
                       (moment(end), float(score))
                       for end, score in told['windows']))


def runs(windows: Iterable[tuple[datetime.datetime, float]]) -> int:
    """How many alarms there are: windows in a row are one.

    :param windows: ends and scores, in order
    """
    count, before = 0, False
    for _, score in windows:
        alarmed = score >= detectors.ALARM
        count += alarmed and not before
        before = alarmed
    return count


@dataclasses.dataclass(frozen=True)
class Noticed:
    """What became of a fault.

    :param before: windows that end before it
    :param since: how long the recording went on before it, seconds
    :param delay: seconds until the end of the first alarmed window that
        has some of it, None where there is none
    """

    before: tuple[tuple[datetime.datetime, float], ...]
    since: float
    delay: float | None


def noticed(seen: Watched, injected: datetime.datetime,
            cleared: datetime.datetime | None = None) -> Noticed:
    """When a fault was noticed.

    :param seen: the recording
    :param injected: when the fault began, UTC without a zone
    :param cleared: when it was over; what is alarmed later is not counted
    """
    delays = [(end - injected).total_seconds() for end, score in seen.windows
              if injected < end and score >= detectors.ALARM
              and (cleared is None or end <= cleared)]
    return Noticed(
        tuple(w for w in seen.windows if w[0] <= injected),
        max(0.0, (injected - seen.since).total_seconds()),
        min(delays, default=None))


def moments(truth: Mapping[str, Any]) -> tuple[
        datetime.datetime, datetime.datetime | None]:
    """When a fault began and ended.

    :param truth: its line of ``truth.jsonl``
    :returns: UTC without a zone
    :raises ValueError: it does not say so
    """
    told = truth.get('injected_at'), truth.get('cleared_at')
    if not isinstance(told[0], str):
        raise ValueError('it has no injected_at')
    first, last = (scope.naive(datetime.datetime.fromisoformat(str(text)))
                   if text is not None else None for text in told)
    assert first is not None
    return first, last


def figures(quiet: Sequence[Watched], faulty: Sequence[Noticed],
            soon: float = SOON) -> dict[str, tables.Figure]:
    """What a model is worth where it watches.

    :param quiet: recordings without a fault
    :param faulty: what became of faults
    :param soon: seconds in which one is to be noticed
    """
    hours = sum((w.until - w.since).total_seconds() for w in quiet) / 3600
    before = sum(f.since for f in faulty) / 3600
    alarms = sum(runs(w.windows) for w in quiet)
    early = [w for f in faulty for w in f.before]
    delays = [f.delay for f in faulty if f.delay is not None]

    def share(count: float, of: float) -> float | None:
        return count / of if of else None

    return {
        'quiet recordings, hours': hours,
        'false alarms an hour': share(alarms, hours),
        '  share of windows': share(
            sum(score >= detectors.ALARM
                for w in quiet for _, score in w.windows),
            sum(len(w.windows) for w in quiet)),
        'before a fault, hours': before,
        'false alarms an hour before a fault': share(
            sum(runs(f.before) for f in faulty), before),
        '  share of windows before a fault': share(
            sum(score >= detectors.ALARM for _, score in early),
            len(early)),
        'incidents': float(len(faulty)),
        f'alarmed within {soon:.0f} s': share(
            sum(delay <= soon for delay in delays), len(faulty)),
        'alarmed while it lasts': share(len(delays), len(faulty)),
        'seconds from fault to alarm, median': (
            statistics.median(delays) if delays else None)}
