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
"""The interface of detectors: what is abnormal, how much, and why.

A detector sees a *profile*: how often each template of each process was
logged in each short window. It compares the profile under question with a
reference, which is the quiet part of the same logs or a baseline. Both are
small whatever the size of the logs, since everything is counted once a
template.

A driver is one class on this interface, registered in the entry point
namespace ``openstack_rca.detectors``.
"""

import abc
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import pathlib
from typing import Any
from typing import Self
from typing import TYPE_CHECKING

import polars as pl

from openstack_rca.store import base as stores

if TYPE_CHECKING:
    import numpy as np

#: Width of a window of the profile.
WINDOW = '10s'
WINDOW_SECONDS = 10.0

#: What tells whether a cloud is known, before something went wrong.
_BEFORE = datetime.timedelta(minutes=10)

#: Columns of a profile: who said what in which window, how often, how bad.
PROFILE: dict[str, pl.DataType] = {
    'service': pl.String(),
    'binary': pl.String(),
    'host': pl.String(),
    'template': pl.UInt64(),
    'window': pl.Datetime('us'),
    'kind': pl.String(),
    'count': pl.UInt32(),
    'level': pl.UInt8(),
    'status': pl.UInt16(),
    'latency': pl.Float32(),
    'first': pl.Datetime('us'),
    'last': pl.Datetime('us'),
}

#: Columns of symptoms. ``template`` is null where a whole process is meant;
#: ``score`` runs from 0 (normal) to 1; ``sign`` is one of ``new``, ``rare``,
#: ``burst``, ``level``, ``status``, ``latency``, ``silence``, ``mixture``,
#: ``model``.
SYMPTOMS: dict[str, pl.DataType] = {
    'service': pl.String(),
    'binary': pl.String(),
    'host': pl.String(),
    'template': pl.UInt64(),
    'since': pl.Datetime('us'),
    'until': pl.Datetime('us'),
    'sign': pl.String(),
    'score': pl.Float64(),
    'why': pl.String(),
}


def profile(events: pl.LazyFrame) -> pl.DataFrame:
    """Count events a template, process and window.

    :param events: events, with the columns of ``schema.EVENTS``; those
        without a time are left out
    :returns: a profile
    """
    return events.filter(pl.col('timestamp').is_not_null()).group_by(
        'service', 'binary', 'host', 'template',
        pl.col('timestamp').dt.truncate(WINDOW).alias('window')).agg(
            kind=pl.col('kind').first(),
            count=pl.len(),
            level=pl.col('level').max(),
            status=pl.col('status').max(),
            latency=pl.col('latency').max(),
            first=pl.col('timestamp').min(),
            last=pl.col('timestamp').max(),
        ).select(list(PROFILE)).collect(engine='streaming')


def no_symptoms() -> pl.DataFrame:
    """An empty table of symptoms."""
    return pl.DataFrame(schema=SYMPTOMS)


def seconds(table: pl.DataFrame) -> float:
    """How long a profile lasts, at least one window."""
    if table.is_empty():
        return WINDOW_SECONDS
    span = table['window'].max() - table['window'].min()  # type: ignore
    return float(span.total_seconds()) + WINDOW_SECONDS  # type: ignore


@dataclasses.dataclass(frozen=True)
class View:
    """What an analysis looks at.

    :param current: profile of the time under question
    :param reference: profile of a quiet time; may be empty
    :param store: all events
    :param query: which of them are under question
    :param onset: where the quiet time ends that lies before them, or None
    """

    current: pl.DataFrame
    reference: pl.DataFrame
    store: stores.Store
    query: stores.Query
    onset: datetime.datetime | None = None


class Detector(abc.ABC):
    """Finds what is abnormal in a profile."""

    def look(self, view: View) -> pl.DataFrame:
        """What is abnormal in what an analysis looks at.

        A driver overrides this one where profiles are not enough.

        :param view: profiles, and the events behind them
        :returns: symptoms, with the columns of :data:`SYMPTOMS`
        """
        return self.detect(view.current, view.reference)

    @abc.abstractmethod
    def detect(self, current: pl.DataFrame,
               reference: pl.DataFrame) -> pl.DataFrame:
        """What is abnormal.

        :param current: profile of the time under question
        :param reference: profile of a quiet time; may be empty, then only
            what is abnormal by itself is found
        :returns: symptoms, with the columns of :data:`SYMPTOMS`
        """


@dataclasses.dataclass(frozen=True)
class Recording:
    """A time of a cloud to learn from, or to be judged.

    :param name: of the recording
    :param store: its events
    :param query: which of them
    :param harmed: whether users were harmed; None where nobody knows
    :param group: recordings of one group are never split between training
        and validation; alone where empty
    """

    name: str
    store: stores.Store
    query: stores.Query = dataclasses.field(default_factory=stores.Query)
    harmed: bool | None = None
    group: str = ''


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a detector is trained.

    :param seed: of everything that is random: the same seed and the same
        recordings give the same model
    :param learning_rate: of AdamW
    :param weight_decay: of AdamW
    :param batch: examples of one step
    :param epochs: passes over the examples, at most
    :param patience: passes without a better validation before it ends
    :param plateau_patience: passes without a better validation before the
        learning rate falls
    :param plateau_factor: by which it falls
    :param validation: share of the recordings that is held out
    :param false_alarms: share of normal windows of the held-out recordings
        that may be alarmed: what the threshold is set by
    :param device: ``auto``, ``cpu``, ``cuda`` or ``mps``
    """

    seed: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    batch: int = 256
    epochs: int = 100
    patience: int = 10
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    validation: float = 0.2
    false_alarms: float = 0.05
    device: str = 'auto'


#: The score from which on a learned detector raises an alarm.
ALARM = 0.5

#: Called with what is being done, the share that is done, and figures such
#: as ``loss`` and ``f1``.
Progress = Callable[[str, float, Mapping[str, float]], None]


class LearnedDetector(Detector):
    """A detector with weights.

    A driver says how it learns (:meth:`fit`), judges (:meth:`score`),
    gives its reasons (:meth:`explain`), and what is kept of it
    (:meth:`state`, :meth:`from_state`). The score is calibrated: 0.5 is
    where an alarm begins, whatever the detector, and its threshold is a
    share of false alarms that was met on what was held out of training.
    """

    #: Seconds of log that are judged at once while a cloud is watched.
    window = 60.0

    def detect(self, current: pl.DataFrame,
               reference: pl.DataFrame) -> pl.DataFrame:
        """Nothing: profiles tell neither requests nor their order."""
        return no_symptoms()

    def look(self, view: View) -> pl.DataFrame:
        """What is abnormal, see the abstract class.

        In a cloud that it does not know, it has nothing to say.
        """
        query = view.query
        before = query
        if view.onset is not None:
            query = dataclasses.replace(query, since=view.onset)
            # In trouble much is said that nobody has ever heard.
            before = dataclasses.replace(
                query, since=view.onset - _BEFORE, until=view.onset)
        recording = Recording('now', view.store, query)
        if not self.knows(dataclasses.replace(recording, query=before)):
            return no_symptoms()
        score = self.score(recording)
        if score < ALARM:
            return no_symptoms()
        return self.explain(recording, score)

    @abc.abstractmethod
    def fit(self, corpus: Sequence[Recording], settings: Settings,
            progress: Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn.

        With recordings of both labels it learns to tell them apart;
        otherwise it learns what is normal from those that are not harmed.

        :param corpus: what to learn from
        :param settings: how
        :param progress: called now and then
        :param checkpoint: folder that remembers how far a training came;
            the same training goes on from there, and another one ignores
            what is in it
        :returns: figures of the held-out part, by name
        :raises InvalidInput: there is too little to learn from
        """

    @abc.abstractmethod
    def score(self, recording: Recording) -> float:
        """How likely it is that users were harmed, from 0 to 1.

        :param recording: what is judged; its label is not looked at
        :returns: :data:`ALARM` or more where it is abnormal
        :raises ModelError: nothing was learned
        """

    @abc.abstractmethod
    def explain(self, recording: Recording, score: float) -> pl.DataFrame:
        """Why a recording has its score.

        :param recording: what was judged
        :param score: of :meth:`score`
        :returns: symptoms, with the columns of :data:`SYMPTOMS` and the
            sign ``model``; none of them scores more than the recording
        """

    def knows(self, recording: Recording) -> bool:
        """Whether a recording is of a cloud like those learned from.

        :param recording: of the cloud
        """
        return True

    def settle(self, normal: Sequence[Recording],
               settings: Settings) -> None:
        """Keep the weights, and learn anew what is normal.

        What harm looks like is much the same in every cloud, and what its
        processes say when all is well is not. A driver that can not do so
        leaves this as it is.

        :param normal: recordings of the cloud in which nobody was harmed
        :param settings: with the share of false alarms
        :raises InvalidInput: there are too few
        """

    @abc.abstractmethod
    def state(self) -> 'tuple[dict[str, np.ndarray], dict[str, Any]]':
        """What was learned: arrays, and what else JSON can hold.

        :raises ModelError: nothing was learned
        """

    @classmethod
    @abc.abstractmethod
    def from_state(cls, arrays: 'Mapping[str, np.ndarray]',
                   metadata: Mapping[str, Any]) -> Self:
        """A detector that has learned.

        :param arrays: of :meth:`state`
        :param metadata: of :meth:`state`
        :raises ModelError: they do not belong to this driver
        """
