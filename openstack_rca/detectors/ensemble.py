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
"""Several detectors as one: their calibrated scores, weighed.

The distances of the members from their thresholds are added up. With
labels, the weights are those of a logistic regression over recordings that
no member has learned from; none is negative, and without reason none is
far from the others (stacking; Wolpert, "Stacked generalization", 1992).
Without labels, or with few of them, it is the mean. The threshold is set
anew, by what is held out.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import importlib.metadata
import pathlib
from typing import Any
from typing import ClassVar
from typing import Self

import numpy as np
import polars as pl
from stevedore import driver
from stevedore import exception as driver_exceptions

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.detectors import calibration

_NAME = 'ensemble'
_VERSION = 1
_NAMESPACE = 'openstack_rca.detectors'

#: No member is surer than this.
_SUREST = 10.0
#: Held-out recordings of each label that weights are learned from.
_LEAST_LABELLED = 5
#: How firmly it is believed that all members are worth the same.
_PULL = 0.1
#: With fewer normal recordings, the end of each is held out, in parts.
_LEAST_RECORDINGS = 5
_INSTANT = datetime.timedelta(microseconds=1)


class EnsembleDetector(base.LearnedDetector):
    """Judges by what its members say together.

    :cvar MEMBERS: names of the drivers; a class that inherits may name
        others
    """

    MEMBERS: ClassVar[Sequence[str]] = ('lstm', 'transformer')
    #: As long as that of the member that needs the longest.
    window = 300.0

    def __init__(self) -> None:
        self._members: dict[str, base.LearnedDetector] = {}
        self._weights = np.zeros(0)
        self._bias = 0.0
        self._threshold = 0.0

    # Learning

    def fit(self, corpus: Sequence[base.Recording], settings: base.Settings,
            progress: base.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn, see the abstract class."""
        self.__init__()  # type: ignore[misc]
        corpus, both = calibration.usable(corpus)
        learned, held = self._divided(corpus, settings)
        told: dict[str, float] = {}
        for place, name in enumerate(self.MEMBERS):
            member = _member(name)()
            figures = member.fit(
                learned, settings, progress and _share(
                    progress, name, place, len(self.MEMBERS)),
                checkpoint and checkpoint / name)
            told |= {f'{name}_{key}': value
                     for key, value in figures.items()}
            self._members[name] = member
        self._weights = np.full(len(self._members), 1 / len(self._members))
        labels = np.array([r.harmed is True for r in held], bool)
        logits = np.array([self._logits(r) for r in held])
        if min(labels.sum(), (~labels).sum()) >= _LEAST_LABELLED:
            from openstack_rca.detectors import training
            self._weights, self._bias = training.head(
                logits, labels, 1 / len(self._members), _PULL)
        values = logits @ self._weights + self._bias
        self._threshold = calibration.limit(values[~labels],
                                            settings.false_alarms)
        alarmed = np.array([calibration.score(v, self._threshold)
                            >= base.ALARM for v in values])
        told |= {f'{name}_weight': float(weight) for name, weight in zip(
            self._members, self._weights, strict=True)}
        return told | {'recordings': float(len(learned) + len(held))
                       } | calibration.figures(alarmed, labels, both)

    def settle(self, normal: Sequence[base.Recording],
               settings: base.Settings) -> None:
        """Keep the weights, and learn anew what is normal.

        :param normal: recordings of the cloud in which nobody was harmed
        :param settings: with the share of false alarms
        :raises InvalidInput: there are too few
        :raises ModelError: nothing was learned
        """
        self._check()
        learned, held = self._divided([
            dataclasses.replace(r, harmed=None) for r in normal], settings)
        for member in self._members.values():
            member.settle(learned, settings)
        self._threshold = calibration.limit(
            np.array([self._value(r) for r in held]), settings.false_alarms)

    @staticmethod
    def _divided(corpus: Sequence[base.Recording],
                 settings: base.Settings) -> tuple[
                     list[base.Recording], list[base.Recording]]:
        """What the members learn from, and what their scores are weighed by.

        :raises InvalidInput: there is too little
        """
        groups = [r.group or f'\0{n}' for n, r in enumerate(corpus)]
        labels = np.array([r.harmed is True for r in corpus], bool)
        quiet = {g for g, harmed in zip(groups, labels, strict=True)
                 if not harmed}
        if len(quiet) >= _LEAST_RECORDINGS:
            out = calibration.held_out(groups, labels, settings)
            return ([r for r, o in zip(corpus, out, strict=True) if not o],
                    [r for r, o in zip(corpus, out, strict=True) if o])
        if labels.any():
            raise exception.InvalidInput(
                reason='There is too little to learn from: at least '
                f'{_LEAST_RECORDINGS} recordings, or groups of them, in '
                'which nobody was harmed are needed beside those in which '
                'somebody was.')
        learned, held = [], []
        for one in corpus:
            begin, end = _cut(one, settings.validation)
            learned += begin
            held += end
        if len(held) < calibration.LEAST_NORMAL:
            raise exception.InvalidInput(
                reason='There is too little to learn from: the last '
                f'{100 * settings.validation:.0f} % of the recordings are to '
                f'hold {calibration.LEAST_NORMAL} minutes at least, or give '
                f'{_LEAST_RECORDINGS} recordings.')
        return learned, held

    # Judging

    def _check(self) -> None:
        if not self._members:
            raise calibration.nothing_learned(_NAME)

    def _logits(self, recording: base.Recording) -> np.ndarray:
        """How far each member is from its threshold."""
        self._check()
        return np.clip([calibration.logit(m.score(recording))
                        for m in self._members.values()], -_SUREST, _SUREST)

    def _value(self, recording: base.Recording) -> float:
        return float(self._logits(recording) @ self._weights) + self._bias

    def score(self, recording: base.Recording) -> float:
        """How likely it is that users were harmed, from 0 to 1.

        :param recording: what is judged; its label is not looked at
        :raises ModelError: nothing was learned
        """
        return calibration.score(self._value(recording), self._threshold)

    def explain(self, recording: base.Recording,
                score: float) -> pl.DataFrame:
        """What the members say, in proportion to what each adds.

        :param recording: what was judged
        :param score: of :meth:`score`
        """
        logits = self._logits(recording)
        adds = self._weights * np.maximum(logits, 0.0)
        if not adds.any():
            adds = self._weights
        told = [base.no_symptoms()]
        for (name, member), logit, share in zip(
                self._members.items(), logits, adds / max(
                    1e-9, float(adds.max())), strict=True):
            if not share:
                continue
            told.append(member.explain(
                recording, calibration.score(logit, 0.0)).with_columns(
                    why=pl.format('{}: {}', pl.lit(name), 'why'),
                    score=(pl.col('score') * share).clip(0, score)))
        return pl.concat(told).sort(
            'score', 'since', 'why', descending=[True, False, False])

    def knows(self, recording: base.Recording) -> bool:
        """Whether every member knows most of what is said.

        :param recording: of the cloud
        """
        return bool(self._members) and all(
            m.knows(recording) for m in self._members.values())

    # Keeping

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, see the abstract class."""
        self._check()
        arrays, told = {'weights': self._weights}, {}
        for name, member in self._members.items():
            own, told[name] = member.state()
            arrays |= {f'{name}.{key}': array for key, array in own.items()}
        return arrays, {
            'driver': _NAME, 'version': _VERSION, 'bias': self._bias,
            'threshold': self._threshold, 'members': told,
            # JSON objects are read back in another order by some.
            'order': list(self._members)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """A detector that has learned, see the abstract class."""
        try:
            return cls._restored(arrays, metadata)
        except (KeyError, TypeError, ValueError, AttributeError,
                exception.DriverNotFound, exception.InvalidInput) as error:
            raise calibration.foreign(_NAME, error) from error

    @classmethod
    def _restored(cls, arrays: Mapping[str, np.ndarray],
                  metadata: Mapping[str, Any]) -> Self:
        calibration.check_told(metadata, {'driver': _NAME,
                                          'version': _VERSION})
        self = cls()
        names = [str(name) for name in metadata['order']]
        if not names or sorted(names) != sorted(metadata['members']):
            raise ValueError('its members are not named once each')
        rest = dict(arrays)
        for name in names:
            prefix = f'{name}.'
            self._members[name] = _member(name).from_state(
                {key.removeprefix(prefix): rest.pop(key)
                 for key in arrays if key.startswith(prefix)},
                metadata['members'][name])
        calibration.check_shapes(rest, {'weights': (len(names),)})
        self._weights = rest['weights'].astype(np.float64)
        if (self._weights < 0).any():
            raise ValueError('a weight is negative')
        self._bias = calibration.number(metadata, 'bias')
        self._threshold = calibration.number(metadata, 'threshold')
        return self


def _member(name: str) -> type[base.LearnedDetector]:
    """The class of a member.

    :raises DriverNotFound: there is no driver of that name
    :raises InvalidInput: it learns nothing, or has members itself
    """
    try:
        found: Any = driver.DriverManager(_NAMESPACE, name).driver
    except driver_exceptions.NoMatches as error:
        raise exception.DriverNotFound(
            name=name, namespace=_NAMESPACE,
            known=', '.join(sorted({point.name for point in (
                importlib.metadata.entry_points(
                    group=_NAMESPACE))}))) from error
    if not (isinstance(found, type)
            and issubclass(found, base.LearnedDetector)
            and not issubclass(found, EnsembleDetector)):
        raise exception.InvalidInput(
            reason=f'The detector "{name}" can not be a member of an '
            'ensemble: it learns nothing, or is one.')
    return found


def _share(progress: base.Progress, name: str, place: int,
           count: int) -> base.Progress:
    """The progress of one of several members."""
    def told(stage: str, share: float,
             figures: Mapping[str, float]) -> None:
        progress(f'{name}: {stage}', (place + share) / count, figures)

    return told


def _cut(recording: base.Recording, share: float) -> tuple[
        list[base.Recording], list[base.Recording]]:
    """The beginning of a recording, and its end in parts."""
    first, last = recording.store.narrow(recording.query).select(
        first=pl.col('timestamp').min(),
        last=pl.col('timestamp').max()).collect().row(0)
    if first is None:
        return [], []
    edge = last - (last - first) * share
    # Five minutes each, or shorter ones where these are too few.
    count = max(calibration.LEAST_NORMAL, int(
        (last - edge) / datetime.timedelta(seconds=EnsembleDetector.window)))
    length = (last - edge) / count
    if length < datetime.timedelta(minutes=1):
        count = int((last - edge) / datetime.timedelta(minutes=1))
        length = (last - edge) / max(1, count)

    def part(since: datetime.datetime,
             until: datetime.datetime) -> base.Recording:
        return dataclasses.replace(recording, query=dataclasses.replace(
            recording.query, since=since, until=until))

    return [part(first, edge - _INSTANT)], [
        part(edge + n * length, edge + (n + 1) * length - _INSTANT)
        for n in range(count)]
