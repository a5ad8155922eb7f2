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
"""What makes the scores of detectors comparable, and what these share.

A detector gives a value, higher where it is more abnormal, in a unit of its
own. Its threshold is what a share of normal values exceeds that were held
out of training; the score is the logistic function of the distance from it,
so that 0.5 is where an alarm begins in every detector.
"""

import abc
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import pathlib
from typing import Any
from typing import ClassVar
from typing import Generic
from typing import Self
from typing import TypeVar

import numpy as np
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.detectors import features

#: Parts that a threshold can be set by, at least.
LEAST_NORMAL = 4

#: The share of the highest values whose tail is extrapolated where a
#: threshold is to be exceeded less often than could be counted.
_TAIL = 0.1
_COUNTED = 3
#: What lies on the threshold is no alarm, nor is what differs from it as
#: sums in another order do.
_MARGIN = 1e-3
_LEAST_SCALE = 0.05
#: A model that knows less of what is said is of another cloud.
AT_HOME = 0.5
#: No symptom of a model outdoes an error that says what is broken.
_MOST_SCORE = 0.7


def score(value: float, threshold: float, scale: float = 1.0) -> float:
    """A value as a score.

    :param value: of a detector
    :param threshold: what is no alarm yet
    :param scale: what is a large difference
    :returns: 0 to 1, more than half above the threshold
    """
    distance = (value - threshold) / scale - _MARGIN
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, distance))))


def logit(value: float) -> float:
    """The distance from the threshold that a score tells.

    :param value: a score
    """
    inside = min(1 - 1e-12, max(1e-12, value))
    return math.log(inside / (1 - inside))


def limit(values: np.ndarray, share: float) -> float:
    """The value that no more than a share of normal ones exceeds.

    Where that is fewer than could be counted, the tail of the highest ones
    is taken to be exponential: peaks over threshold (Siffer et al., KDD
    2017) with the shape that needs no fit.

    :param values: of what is normal
    :param share: of them that may be alarmed
    """
    ordered = np.sort(values)[::-1]
    place = min(len(ordered) - 1, int(share * len(ordered)))
    if share * len(ordered) >= _COUNTED or share >= _TAIL:
        return float(ordered[place])
    begin = float(np.quantile(values, 1 - _TAIL))
    above = ordered[ordered > begin]
    mean = float((above - begin).mean()) if len(above) else 0.0
    return max(float(ordered[place]),
               begin + mean * math.log(_TAIL / max(share, 1e-6)))


def usable(corpus: Sequence[base.Recording]) -> tuple[
        list[base.Recording], bool]:
    """The recordings that can be learned from.

    :param corpus: what was given
    :returns: those with a label, where there are labels of both kinds, and
        those in which nobody is known to have been harmed otherwise;
        whether there are labels of both kinds
    """
    both = {True, False} <= {r.harmed for r in corpus}
    return [r for r in corpus if (
        r.harmed is not None if both else r.harmed is not True)], both


def held_out(groups: Sequence[str], labels: np.ndarray,
             settings: base.Settings) -> np.ndarray:
    """Which examples are for validation; no group is split.

    :param groups: of each example
    :param labels: whether each was harmed
    :param settings: with the share that is held out
    :raises InvalidInput: the normal ones are all of one group
    """
    names, place = np.unique(np.array(groups), return_inverse=True)
    rng = np.random.default_rng(settings.seed)
    held = np.zeros(len(groups), bool)
    for wanted in (labels, ~labels):
        goal = settings.validation * wanted.sum()
        for group in rng.permutation(len(names)):
            mine = place == group
            if (held & wanted).sum() >= goal:
                break
            if not (wanted & mine).any():
                continue
            if not (~labels & ~held & ~mine).any():
                continue
            held |= mine
    if not (held & ~labels).any():
        raise exception.InvalidInput(
            reason='The recordings in which nobody was harmed are all of '
            'one group, so that none can be held out to set a threshold '
            'by. Add recordings of other groups.')
    return held


def figures(alarmed: np.ndarray, labels: np.ndarray,
            both: bool) -> dict[str, float]:
    """How good alarms are.

    :param alarmed: whether each held-out example is alarmed
    :param labels: whether it was harmed
    :param both: whether there are labels of both kinds
    """
    hits = float((alarmed & labels).sum())
    told = {'held_out': float(len(labels)),
            'false_alarms': float((alarmed & ~labels).sum()
                                  / max(1, (~labels).sum()))}
    if both:
        told |= {'precision': hits / max(1.0, float(alarmed.sum())),
                 'recall': hits / max(1.0, float(labels.sum())),
                 'f1': 2 * hits / max(1.0, float(
                     alarmed.sum() + labels.sum()))}
    return told


#: Columns of reasons: those of an explanation, and what each adds.
REASONS: dict[str, pl.DataType] = {
    **features.EXPLAINED, 'adds': pl.Float64()}


def symptoms(reasons: pl.DataFrame, value: float) -> pl.DataFrame:
    """Reasons as symptoms, in proportion to what they add.

    :param reasons: with the columns of :data:`REASONS`
    :param value: the score that they explain
    :returns: symptoms, the strongest first
    """
    told = reasons.filter(pl.col('adds') > 0)
    most = told['adds'].max()
    if not isinstance(most, float):
        return base.no_symptoms()
    return told.with_columns(
        sign=pl.lit('model'),
        score=(pl.col('adds') / most * value).clip(0, 1) * _MOST_SCORE
    ).select(list(base.SYMPTOMS)).sort(
        'score', 'since', 'why', descending=[True, False, False]).cast(
            base.SYMPTOMS)  # type: ignore[arg-type]


def check_shapes(arrays: Mapping[str, np.ndarray],
                 shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Make sure that arrays are what they have to be.

    :param arrays: that were kept
    :param shapes: that they have to have
    :raises ValueError: one is missing, foreign, of another shape, or holds
        what is no number
    """
    if arrays.keys() != shapes.keys():
        raise ValueError('arrays are missing or foreign: ' + ', '.join(
            sorted(arrays.keys() ^ shapes.keys())))
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f'{name} is of shape {arrays[name].shape}, not '
                             f'{shape}')
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f'{name} holds what is no number')


def check_told(metadata: Mapping[str, Any],
               wanted: Mapping[str, Any]) -> None:
    """Make sure that metadata are of the same form of the same driver.

    :param metadata: that were kept
    :param wanted: what they have to say
    :raises KeyError: something is missing
    :raises ValueError: something is another
    """
    for key, value in wanted.items():
        if metadata[key] != value:
            raise ValueError(f'its {key} is another')


def number(metadata: Mapping[str, Any], key: str) -> float:
    """A number of metadata.

    :param metadata: that were kept
    :param key: its name
    :raises KeyError: it is missing
    :raises ValueError: it is none; so does TypeError
    """
    found = float(metadata[key])
    if not math.isfinite(found):
        raise ValueError(f'its {key} is no number')
    return found


def nothing_learned(name: str) -> exception.ModelError:
    """What is raised before anything was learned.

    :param name: of the driver
    """
    return exception.ModelError(
        name=name, reason='It has learned nothing yet. Train it with '
        'openstack-rca-manage train, or activate a model.')


def foreign(name: str, error: Exception) -> exception.ModelError:
    """What is raised where the state of a detector cannot be used.

    :param name: of the driver
    :param error: what is wrong with it
    """
    return exception.ModelError(
        name=name, reason='It is not a model of this version of the '
        f'detector ({error}). Train it again.')


_Part = TypeVar('_Part')


@dataclasses.dataclass(frozen=True)
class Examples(Generic[_Part]):
    """What is learned from: recordings, or parts of them.

    :param parts: of all examples
    :param owner: the number of the example that each part belongs to
    :param groups: of each example
    :param labels: whether each example was harmed
    :param held: which of them are for validation
    :param both: whether there are labels of both kinds
    """

    parts: Sequence[_Part]
    owner: np.ndarray
    groups: Sequence[str]
    labels: np.ndarray
    held: np.ndarray
    both: bool

    @property
    def part_groups(self) -> list[str]:
        """The group of each part."""
        return [self.groups[n] for n in self.owner]

    @property
    def normal(self) -> list[tuple[str, _Part]]:
        """Group and part of what was not harmed."""
        return [(self.groups[n], part) for n, part in zip(
            self.owner, self.parts, strict=True) if not self.labels[n]]


class CalibratedDetector(base.LearnedDetector, Generic[_Part]):
    """A detector that judges a recording by its most abnormal part.

    A driver says how a recording is cut into parts, what a part is worth,
    and why. Without labels each part is an example by itself; with labels
    a recording is one, since only some of its parts need be harmed.

    :cvar name: of the driver
    :cvar version: of the form of its state
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    #: A part is five minutes at most.
    window = 300.0

    def __init__(self) -> None:
        self._threshold = 0.0
        self._scale = 1.0

    # What a driver says

    @abc.abstractmethod
    def _read(self, recording: base.Recording) -> list[tuple[int, _Part]]:
        """The parts of a recording, and the blocks that they are of.

        Parts of one block overlap, and are not split between training and
        validation.
        """

    @abc.abstractmethod
    def _learn(self, examples: Examples[_Part], settings: base.Settings,
               progress: base.Progress | None,
               checkpoint: pathlib.Path | None) -> dict[str, float]:
        """Learn all but the threshold, and tell figures."""

    @abc.abstractmethod
    def _settle(self, normal: Sequence[tuple[str, _Part]]) -> None:
        """Learn anew what is normal, and keep the weights."""

    @abc.abstractmethod
    def _values(self, parts: Sequence[_Part],
                groups: Sequence[str] = ()) -> np.ndarray:
        """How abnormal parts are.

        :param parts: at least one
        :param groups: of each, whose own recordings say nothing of what is
            normal
        """

    @abc.abstractmethod
    def _known(self, parts: Sequence[_Part]) -> float:
        """Which share of what is said in parts was learned."""

    @abc.abstractmethod
    def _reasons(self, part: _Part) -> pl.DataFrame:
        """Why a part has its value, see :data:`REASONS`."""

    @abc.abstractmethod
    def _kept(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, but for the threshold.

        :raises ModelError: nothing was learned
        """

    @abc.abstractmethod
    def _take(self, arrays: Mapping[str, np.ndarray],
              metadata: Mapping[str, Any]) -> None:
        """Be what was kept.

        :raises ValueError: it does not fit; so do KeyError and TypeError
        """

    def _unit(self, normal: np.ndarray) -> float:
        """What is a large difference of values, by those of normal parts."""
        return max(_LEAST_SCALE, float(normal.std()))

    # What the product asks for

    def fit(self, corpus: Sequence[base.Recording], settings: base.Settings,
            progress: base.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn, see the abstract class."""
        self.__init__()  # type: ignore[misc]
        corpus, both = usable(corpus)
        examples = self._examples(corpus, settings, both, progress)
        told = self._learn(examples, settings, progress, checkpoint)
        values = self._judged(examples)
        held, labels = examples.held, examples.labels
        self._calibrate(values[held & ~labels], settings)
        alarmed = np.array([score(v, self._threshold, self._scale)
                            >= base.ALARM for v in values[held]])
        return told | {'recordings': float(len(values))} | figures(
            alarmed, labels[held], both)

    def settle(self, normal: Sequence[base.Recording],
               settings: base.Settings) -> None:
        """Keep the weights, and learn anew what is normal.

        :param normal: recordings of the cloud in which nobody was harmed
        :param settings: with the share of false alarms
        :raises InvalidInput: there are too few
        :raises ModelError: nothing was learned
        """
        self._kept()
        examples = self._examples(normal, settings, False, None)
        self._settle(examples.normal)
        self._calibrate(self._judged(examples), settings)

    def score(self, recording: base.Recording) -> float:
        """How likely it is that users were harmed, from 0 to 1.

        :param recording: what is judged; its label is not looked at
        :raises ModelError: nothing was learned
        """
        parts = [part for _, part in self._read(recording)]
        if not parts:
            return 0.0
        return score(float(self._values(parts).max()), self._threshold,
                     self._scale)

    def explain(self, recording: base.Recording,
                score: float) -> pl.DataFrame:
        """Why a recording has its score, see the abstract class."""
        parts = [part for _, part in self._read(recording)]
        if not parts:
            return base.no_symptoms()
        worst = parts[int(self._values(parts).argmax())]
        return symptoms(self._reasons(worst), score)

    def knows(self, recording: base.Recording) -> bool:
        """Whether most of what is said was learned.

        :param recording: of the cloud
        """
        parts = [part for _, part in self._read(recording)]
        return bool(parts) and self._known(parts) >= AT_HOME

    def _examples(self, corpus: Sequence[base.Recording],
                  settings: base.Settings, both: bool,
                  progress: base.Progress | None) -> Examples[_Part]:
        """Read recordings."""
        parts: list[_Part] = []
        owner: list[int] = []
        groups: list[str] = []
        labels: list[bool] = []
        for number, one in enumerate(corpus):
            group = one.group or f'\0{number}'
            read = self._read(one)
            for place, (block, part) in enumerate(read):
                if not both or not place:
                    groups.append(group if both else f'{group}\0{block}')
                    labels.append(one.harmed is True)
                parts.append(part)
                owner.append(len(groups) - 1)
            if progress is not None:
                progress('read', (number + 1) / len(corpus), {})
        harmed = np.array(labels, bool)
        if (~harmed).sum() < LEAST_NORMAL:
            raise exception.InvalidInput(
                reason='There is too little to learn from: at least '
                f'{LEAST_NORMAL} '
                + ('recordings' if both else 'times of five minutes')
                + ' in which nobody was harmed are needed.')
        return Examples(parts, np.array(owner), groups, harmed,
                        held_out(groups, harmed, settings), both)

    def _judged(self, examples: Examples[_Part]) -> np.ndarray:
        """The value of each example: the highest one of its parts."""
        found = np.full(len(examples.groups), -np.inf)
        np.maximum.at(found, examples.owner, self._values(
            examples.parts, examples.part_groups))
        return found

    def _calibrate(self, normal: np.ndarray,
                   settings: base.Settings) -> None:
        self._scale = self._unit(normal)
        self._threshold = limit(normal, settings.false_alarms)

    # Keeping

    def nothing_learned(self) -> exception.ModelError:
        """What is raised before anything was learned."""
        return nothing_learned(self.name)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, see the abstract class."""
        arrays, told = self._kept()
        return arrays, {**told, 'driver': self.name, 'version': self.version,
                        'threshold': self._threshold, 'scale': self._scale}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """A detector that has learned, see the abstract class."""
        try:
            check_told(metadata, {'driver': cls.name,
                                  'version': cls.version})
            self = cls()
            self._threshold = number(metadata, 'threshold')
            self._scale = number(metadata, 'scale')
            if self._scale <= 0:
                raise ValueError('its scale is not positive')
            self._take(arrays, metadata)
            return self
        except (KeyError, TypeError, ValueError, AttributeError,
                IndexError) as error:
            raise foreign(cls.name, error) from error
