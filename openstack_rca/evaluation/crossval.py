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
"""Detectors that learn, judged on cases that they have not learned from.

The cases of a dataset are dealt into folds; cases of one group are never
split. Each fold is predicted by a detector that was fitted on the others.
Of the fold that is predicted nothing is known but the logs, the window and
the names of the groups, which the folds are made by.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import functools
import hashlib
import inspect
import json
import math
import pathlib
import statistics
import time
from typing import Any
from typing import TypeVar

from oslo_log import log as logging
import polars as pl
from stevedore import extension

import openstack_rca
from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import drivers
from openstack_rca.engine import state
from openstack_rca.evaluation import metrics
from openstack_rca.evaluation import tables
from openstack_rca.events import schema

LOG = logging.getLogger(__name__)

T = TypeVar('T')

NAMESPACE = 'openstack_rca.detectors'
#: The detector that is fitted on every fold.
DEFAULT = 'lstm'
FOLDS = 5
#: A detector that learns alarms from this score on.
ALARM = 0.5

_SEED = 1
#: Seconds of log that come in between two looks for the first alarm, and how
#: many alarmed cases of a fold are looked at: each costs many scores.
_STEP = 10.0
_DELAYED = 12
#: Packages whose code decides what is predicted, beside this module.
_CODE = ('detectors', 'events', 'store')


@dataclasses.dataclass(frozen=True)
class Known:
    """A case with what is true of it.

    :param recording: the case, with its label and its group
    :param identity: tells whether its logs or its window have changed
    """

    recording: detectors.Recording
    identity: str


@dataclasses.dataclass(frozen=True)
class Fold:
    """What became of the cases of one fold.

    :param predictions: ``score`` and ``alarm`` by case
    :param fitted: seconds that the training took
    :param scored: seconds that the predictions took
    :param events: how many were judged
    :param delays: seconds from the fault to the first alarm by case, of
        some of those that are alarmed
    """

    predictions: dict[str, tuple[float, bool]]
    fitted: float
    scored: float
    events: int
    delays: dict[str, float] = dataclasses.field(default_factory=dict)


class Rule:
    """A trivial rule: count the ERROR records.

    :param most: count no more than so many
    """

    def __init__(self, most: float = math.inf) -> None:
        self._most = most
        self._limit = 0.0

    def fit(self, corpus: Sequence[detectors.Recording],
            settings: detectors.Settings) -> None:
        """Set the threshold by what is normal, where there is a choice.

        :param corpus: what to learn from
        :param settings: how
        """
        normal = [self.score(r) for r in corpus if r.harmed is not True]
        if normal and self._most > 1:
            self._limit = metrics.limit(normal, settings.false_alarms)

    def score(self, recording: detectors.Recording) -> float:
        """How many ERROR records there are.

        :param recording: what is judged
        """
        return min(self._most, float(_count(
            recording, pl.col('level') >= schema.ERROR)))

    def alarm(self, score: float) -> bool:
        """Whether a score is an alarm.

        :param score: of :meth:`score`
        """
        return score > self._limit


#: The rule that tells where there is an ERROR record.
ANY = 'any ERROR'
#: What every detector is set beside.
RULES: dict[str, Callable[[], Rule]] = {
    'ERROR records': Rule,
    ANY: functools.partial(Rule, 1.0),
}


def learners() -> dict[str, type[detectors.LearnedDetector]]:
    """The installed detectors that learn, the default one first.

    :raises DriverNotFound: the default one is not installed
    """
    found: dict[str, type[detectors.LearnedDetector]] = {
        DEFAULT: drivers.load(NAMESPACE, DEFAULT)}
    one: Any
    for one in extension.ExtensionManager(NAMESPACE):
        if inspect.isclass(one.plugin) and issubclass(
                one.plugin, detectors.LearnedDetector):
            found[one.name] = one.plugin
    return {name: found[name] for name in sorted(
        found, key=lambda name: (name != DEFAULT, name))}


def folds(groups: Mapping[str, str], count: int = FOLDS) -> list[list[str]]:
    """Deal cases into folds of about the same size.

    No label has a say: the folds are made by the groups alone.

    :param groups: group by case
    :param count: how many folds
    :returns: the cases of each fold, in their order
    :raises InvalidInput: there are fewer groups than folds
    """
    members: dict[str, list[str]] = {}
    for case, group in groups.items():
        members.setdefault(group, []).append(case)
    if len(members) < count:
        raise exception.InvalidInput(
            reason=f'The cases are of {len(members)} groups, which cannot '
            f'be dealt into {count} folds. Use a larger dataset, or --train '
            f'to learn from another one.')
    dealt: list[set[str]] = [set() for _ in range(count)]
    for group in sorted(members, key=lambda name: (
            -len(members[name]), digest(_SEED, name))):
        min(dealt, key=len).update(members[group])
    return [[case for case in groups if case in fold] for fold in dealt]


def predict(name: str, training: Sequence[Known], tested: Sequence[Known],
            settings: detectors.Settings, kept: pathlib.Path,
            progress: detectors.Progress | None = None,
            faults: Mapping[str, datetime.datetime] | None = None) -> Fold:
    """Fit a detector on some cases and let it judge others.

    :param name: of the detector, or of a rule
    :param training: what it learns from
    :param tested: what it judges; their labels are not handed on
    :param settings: of the training
    :param kept: folder that holds what was predicted before
    :param progress: called now and then
    :param faults: when users began to be harmed by case, for the delays;
        looked at when the predictions are made
    :returns: predictions, as they were kept where nothing that decides
        them has changed
    :raises InvalidInput: there is too little to learn from
    :raises RCAException: the detector, or a store, cannot be used
    """
    made = RULES[name] if name in RULES else learners()[name]
    begun = {k.recording.name: faults[k.recording.name] for k in tested
             if faults and k.recording.name in faults}
    path = kept / (digest(
        code(made), name, dataclasses.asdict(settings),
        [(k.identity, k.recording.group, k.recording.harmed)
         for k in training], [k.identity for k in tested],
        [str(moment) for moment in begun.values()]) + '.json')
    wanted = [k.recording.name for k in tested]
    return remembered(
        path, lambda told: _read(told, wanted),
        lambda: _predict(made(), [k.recording for k in training],
                         [k.recording for k in tested], settings, progress,
                         begun),
        dataclasses.asdict)


def _predict(detector: Rule | detectors.LearnedDetector,
             training: Sequence[detectors.Recording],
             tested: Sequence[detectors.Recording],
             settings: detectors.Settings,
             progress: detectors.Progress | None,
             faults: Mapping[str, datetime.datetime]) -> Fold:
    start = time.perf_counter()
    if isinstance(detector, Rule):
        detector.fit(training, settings)
    else:
        detector.fit(training, settings, progress)
    fitted = time.perf_counter() - start
    predictions = {}
    events, scored = 0, 0.0
    for number, one in enumerate(tested):
        start = time.perf_counter()
        predictions[one.name] = _judge(detector, one)
        scored += time.perf_counter() - start
        events += _count(one)
        if progress is not None:
            progress('score', (number + 1) / len(tested), {})
    late = sorted((one for one in tested if one.name in faults
                   and predictions[one.name][1]),
                  key=lambda one: digest(_SEED, one.name))[:_DELAYED]
    delays = {}
    for number, one in enumerate(late):
        delay = _delay(detector, one, faults[one.name])
        if delay is not None:
            delays[one.name] = delay
        if progress is not None:
            progress('time to the alarm', (number + 1) / len(late), {})
    return Fold(predictions, fitted, scored, events, delays)


def _judge(detector: Rule | detectors.LearnedDetector,
           one: detectors.Recording) -> tuple[float, bool]:
    """The score of a recording, and whether it is an alarm."""
    score = float(detector.score(
        dataclasses.replace(one, harmed=None, group='')))
    if not math.isfinite(score):
        raise exception.ModelError(
            name=type(detector).__name__,
            reason=f'Its score of {one.name} is no number.')
    return score, (detector.alarm(score) if isinstance(detector, Rule)
                   else score >= ALARM)


def _delay(detector: Rule | detectors.LearnedDetector,
           one: detectors.Recording,
           fault: datetime.datetime) -> float | None:
    """Seconds from a fault to the alarm, while the log grows.

    It is 0 where what was logged before was alarmed already.
    """
    since, until = one.query.since, one.query.until
    if until is None or fault > until:
        return None
    fault = max(fault, since or fault)
    seen = fault
    while seen < until and not _judge(detector, dataclasses.replace(
            one, query=dataclasses.replace(one.query, until=seen)))[1]:
        seen = min(until, seen + datetime.timedelta(seconds=_STEP))
    return (seen - fault).total_seconds()


def together(parts: Sequence[Fold]) -> Fold:
    """The folds of one detector as one.

    :param parts: each with other cases
    """
    return Fold({case: said for part in parts
                 for case, said in part.predictions.items()},
                sum(p.fitted for p in parts), sum(p.scored for p in parts),
                sum(p.events for p in parts),
                {case: delay for part in parts
                 for case, delay in part.delays.items()})


def figures(fold: Fold, truth: Mapping[str, Mapping[str, Any]] | None,
            loud: Collection[str] = ()) -> dict[str, tables.Figure]:
    """What a detector is worth, and what it costs.

    :param fold: what it predicted
    :param truth: lines of ``truth.jsonl`` by case, None where nobody knows
    :param loud: cases with an ERROR record in their window
    """
    found: dict[str, tables.Figure] = {}
    if truth is not None:
        found |= metrics.figures([
            metrics.judged(truth[case], *said, case in loud)
            for case, said in fold.predictions.items()])
        found['seconds from fault to alarm, median'] = (
            statistics.median(fold.delays.values()) if fold.delays else None)
        found['  those alarmed before the fault'] = (
            sum(not d for d in fold.delays.values()) / len(fold.delays)
            if fold.delays else None)
    return {**found, 'training, seconds': fold.fitted,
            'events/s': fold.events / max(1e-9, fold.scored)}


def _count(recording: detectors.Recording,
           which: pl.Expr | None = None) -> int:
    """Events of a recording."""
    frame = recording.store.narrow(recording.query)
    if which is not None:
        frame = frame.filter(which)
    return int(frame.select(pl.len()).collect().item())


def digest(*parts: object) -> str:
    """What tells some things from others.

    :param parts: what JSON can hold
    """
    return hashlib.blake2b(json.dumps(parts).encode(),
                           digest_size=16).hexdigest()


@functools.cache
def code(made: object) -> str:
    """Changes with the code that predictions come from.

    Read once: what a process has imported stays as it is.

    :param made: what predicts
    """
    root = pathlib.Path(openstack_rca.__file__).parent
    paths = {pathlib.Path(__file__)}
    paths |= {path for name in _CODE for path in (root / name).glob('*.py')}
    if inspect.isclass(made):
        paths.add(pathlib.Path(inspect.getfile(made)))
    found = hashlib.blake2b(str(state.PARSER_VERSION).encode())
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()


def _read(told: Any, wanted: Sequence[str]) -> Fold | None:
    said = {str(case): (float(score), bool(alarm))
            for case, (score, alarm) in told['predictions'].items()}
    if list(said) != list(wanted):
        return None
    return Fold(said, float(told['fitted']), float(told['scored']),
                int(told['events']), {
                    str(case): float(delay)
                    for case, delay in told['delays'].items()})


def remembered(path: pathlib.Path, read: Callable[[Any], T | None],
               make: Callable[[], T], told: Callable[[T], Any]) -> T:
    """What was kept in a file, if it is whole, or what is made now.

    :param path: of the file
    :param read: what it holds, from JSON; None where it is of no use
    :param make: makes it anew
    :param told: as JSON can hold it
    :raises StoreError: it cannot be written
    """
    try:
        found = read(json.loads(path.read_text('utf-8')))
        if found is not None:
            return found
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        LOG.debug('What %s held is made anew: %s', path, exc)
    made = make()
    aside = path.with_suffix('.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside.write_text(json.dumps(told(made)), 'utf-8')
        aside.rename(path)
    except OSError as exc:
        raise exception.StoreError(
            path=path, reason=exc.strerror or exc) from exc
    return made
