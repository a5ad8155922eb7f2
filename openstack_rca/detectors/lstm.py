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
"""Features and an LSTM over what is seldom said.

Two branches give one logit. The wide one is a logistic regression over the
features of :mod:`openstack_rca.detectors.features`, with weights that are
not negative and are drawn to a common prior. The other is a stacked LSTM
over the rarest messages in their order, each represented by the meaning of
its words (a sentence embedding, which is made once for each text), so that
a message that was never seen in training still has a place; it learns what
the features get wrong.

What is used depends on the data: without labels the wide branch keeps its
prior weights and only the threshold is learned; with few labels, or where
nothing is in order, the wide branch is alone.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import math
import pathlib
from typing import Any
from typing import Self
from typing import TYPE_CHECKING

import numpy as np
from oslo_log import log as logging
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.detectors import features
from openstack_rca.detectors import meaning
from openstack_rca.store import base as stores

if TYPE_CHECKING:
    from openstack_rca.detectors import training

LOG = logging.getLogger(__name__)

_NAME = 'lstm'
_VERSION = 1

#: The weight that each feature is believed to have, and how firmly.
_PRIOR = 0.5
_PULL = 0.02
#: The least deviation of a feature, and that of each without labels.
_LEAST_SCALE = 0.15
_PLAIN_SCALE = 0.5

#: Messages of a sequence; those that more of the normal recordings have are
#: left out, unless they are errors.
_LENGTH = 64
_COMMON = 0.3
_SELDOM = 0.02
#: Numbers of a text's meaning, and their weight beside the flags.
_MEANING = 32
_MEANING_WEIGHT = 0.3
_FLAGS = 12
_WIDTH = 32
_LAYERS = 2
_DROPOUT = 0.2
#: Examples of each label that the sequence is learned from, at least.
_LEAST_LABELLED = 20

#: With fewer normal recordings than this, each is cut into windows.
_LEAST_NORMAL = 5
_CUT_SECONDS = 60.0
#: Windows that a threshold can be set by, at least.
_LEAST_WINDOWS = 4
#: A baseline that knows less of what is said is of another cloud.
_AT_HOME = 0.5
_QUIET = datetime.timedelta(days=1)
_INSTANT = datetime.timedelta(microseconds=1)

#: No symptom of a model outdoes an error that says what is broken.
_MOST_SCORE = 0.7
_SUSPECTS = 3


@dataclasses.dataclass(frozen=True)
class _Example:
    """A recording, or a window of one, that was read."""

    group: str
    read: features.Tables
    harmed: bool | None


class LstmDetector(base.LearnedDetector):
    """Judges a time by its features and by the order of rare messages.

    The score is the logistic function of the logit less the threshold,
    which is the logit that the allowed share of held-out normal recordings
    exceeds: 0.5 is where an alarm begins, whatever was trained on.

    Without weights it can still :meth:`look`: then the quiet part of the
    same logs tells what is normal.
    """

    def __init__(self) -> None:
        count = len(features.FEATURES)
        self._baseline: features.Baseline | None = None
        self._scale = np.full(count, _PLAIN_SCALE)
        self._weights = np.full(count, _PRIOR)
        self._bias = 0.0
        self._threshold = 0.0
        #: Seconds of a window that is judged at once, 0 for all of it.
        self._window = 0.0
        self._network: training.SequenceNetwork | None = None
        self._center = np.zeros(meaning.WIDTH, np.float32)
        self._axes = np.zeros((meaning.WIDTH, _MEANING), np.float32)
        self._meanings: dict[str, np.ndarray] = {}

    # What the product asks for

    def look(self, view: base.View) -> pl.DataFrame:
        """What is abnormal, see the abstract class.

        Where the model was trained on another cloud, or not at all, the
        quiet part of the same logs takes the place of what it learned.
        """
        query = view.query
        if view.onset is not None:
            query = dataclasses.replace(query, since=view.onset)
        recording = base.Recording('now', view.store, query)
        read = features.tables(view.store, query)
        judge: LstmDetector | None = self
        if self._baseline is None or self._baseline.knows(read) < _AT_HOME:
            judge = self._at_home(view)
        if judge is None or read.start is None:
            return base.no_symptoms()
        score = judge.score(recording)
        if score < base.ALARM:
            return base.no_symptoms()
        return judge._symptoms(read, score)

    def explain(self, recording: base.Recording,
                score: float) -> pl.DataFrame:
        """Why a recording has its score, see the abstract class."""
        return self._symptoms(
            features.tables(recording.store, recording.query), score)

    def knows(self, recording: base.Recording) -> bool:
        """Whether most of what is said was learned, see the class above."""
        return self._baseline is not None and self._baseline.knows(
            features.tables(recording.store, recording.query)) >= _AT_HOME

    def score(self, recording: base.Recording) -> float:
        """How likely it is that users were harmed, from 0 to 1.

        :param recording: what is judged; its label is not looked at
        :raises ModelError: nothing was learned
        """
        return max((self._calibrated(self._logit(read)) for _, read
                    in _windows(recording, self._window)),
                   default=self._calibrated(self._bias))

    def fit(self, corpus: Sequence[base.Recording], settings: base.Settings,
            progress: base.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn, see the abstract class.

        Without labels, fewer than five recordings are cut into windows of
        a minute, and each window is then a recording of its own.
        """
        self.__init__()  # type: ignore[misc]
        both = {True, False} <= {r.harmed for r in corpus}
        corpus = [r for r in corpus if not both or r.harmed is not None]
        # A window of a recording in which users were harmed need not be
        # the one in which they were.
        examples = self._read(corpus, progress, cut=not both)
        labels = np.array([e.harmed is True for e in examples], bool)
        if (~labels).sum() < _LEAST_WINDOWS:
            raise exception.InvalidInput(
                reason='There is too little to learn from: at least '
                f'{_LEAST_WINDOWS} recordings, or minutes, in which nobody '
                'was harmed are needed.')
        self._baseline = features.Baseline.learn(
            (e.group, e.read) for e in examples if e.harmed is not True)
        vectors = []
        for number, one in enumerate(examples):
            vectors.append(features.values(one.read, self._baseline,
                                           one.group))
            if progress is not None:
                progress('features', (number + 1) / len(examples), {})
        squashed = features.squash(np.array(vectors))
        held = _held_out([e.group for e in examples], labels, settings)
        figures: dict[str, float] = {}
        if both:
            known = squashed[~held]
            self._scale = np.maximum(_LEAST_SCALE, known.std(0))
            figures |= self._learn(examples, squashed, labels, held,
                                   settings, progress, checkpoint)
        logits = np.array([
            self._wide(row) + self._deep(one.read, one.group)
            for row, one in zip(squashed, examples, strict=True)])
        self._threshold = _limit(logits[held & ~labels],
                                 settings.false_alarms)
        alarmed = (logits > self._threshold)[held]
        harmed = labels[held]
        hits = float((alarmed & harmed).sum())
        figures |= {
            'recordings': float(len(examples)),
            'held_out': float(held.sum()),
            'false_alarms': float((alarmed & ~harmed).sum()
                                  / max(1, (~harmed).sum()))}
        if both:
            figures |= {
                'precision': hits / max(1.0, float(alarmed.sum())),
                'recall': hits / max(1.0, float(harmed.sum())),
                'f1': 2 * hits / max(1.0, float(
                    alarmed.sum() + harmed.sum()))}
        return figures

    def settle(self, normal: Sequence[base.Recording],
               settings: base.Settings) -> None:
        """Keep the weights, and learn anew what is normal.

        What harm looks like is much the same in every cloud, and what its
        processes say when all is well is not.

        :param normal: recordings of the cloud in which nobody was harmed
        :param settings: with the share of false alarms
        :raises InvalidInput: there are too few
        """
        self._window = 0.0
        examples = self._read(normal, None, cut=True)
        if len(examples) < _LEAST_WINDOWS:
            raise exception.InvalidInput(
                reason='There is too little to learn from: at least '
                f'{_LEAST_WINDOWS} recordings, or minutes, in which nobody '
                'was harmed are needed.')
        self._baseline = features.Baseline.learn(
            (e.group, e.read) for e in examples)
        self._threshold = _limit(np.array([
            self._wide(features.squash(features.values(
                e.read, self._baseline, e.group)))
            + self._deep(e.read, e.group) for e in examples]),
            settings.false_alarms)

    # Learning

    def _read(self, corpus: Sequence[base.Recording],
              progress: base.Progress | None, *,
              cut: bool) -> list[_Example]:
        """Read recordings, or windows of them where these are few."""
        normal = {r.group or f'\0{n}' for n, r in enumerate(corpus)
                  if r.harmed is not True}
        if cut and len(normal) < _LEAST_NORMAL:
            self._window = _CUT_SECONDS
        found = []
        for number, one in enumerate(corpus):
            group = one.group or f'\0{number}'
            for window, read in _windows(one, self._window):
                found.append(_Example(
                    f'{group}\0{window}' if self._window else group, read,
                    one.harmed))
            if progress is not None:
                progress('read', (number + 1) / len(corpus), {})
        return found

    def _learn(self, examples: Sequence[_Example], squashed: np.ndarray,
               labels: np.ndarray, held: np.ndarray,
               settings: base.Settings,
               progress: base.Progress | None,
               checkpoint: pathlib.Path | None) -> dict[str, float]:
        """Learn from labels."""
        import torch

        from openstack_rca.detectors import training
        scaled = squashed / self._scale
        self._weights, self._bias = training.head(
            scaled[~held], labels[~held], _PRIOR, _PULL)
        known = labels[~held]
        if min(known.sum(), (~known).sum()) < _LEAST_LABELLED:
            LOG.info('Fewer than %d recordings of a label: the order of '
                     'messages is not learned.', _LEAST_LABELLED)
            return {}
        assert self._baseline is not None
        bags = [_rarest(e.read, self._baseline, e.group) for e in examples]
        texts = sorted({t for bag in bags for t in bag['words']})
        if not texts:
            return {}
        meant = meaning.embed(texts)
        self._center = meant.mean(0)
        _, _, axes = np.linalg.svd(meant - self._center,
                                   full_matrices=False)
        self._axes = np.zeros((meaning.WIDTH, _MEANING), np.float32)
        self._axes[:, :len(axes[:_MEANING])] = axes[:_MEANING].T
        placed = (meant - self._center) @ self._axes
        spread = float(placed.std()) or 1.0
        self._axes /= spread
        self._meanings = dict(zip(texts, placed / spread, strict=True))
        inputs = [self._sequence(bag) for bag in bags]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = _network()
            figures = training.teach(
                network, training.Labelled(
                    [np.stack([i[0] for i in inputs]),
                     np.stack([i[1] for i in inputs])], labels,
                    np.array([self._wide(row) for row in squashed])),
                held, settings, progress,
                checkpoint and checkpoint / 'sequence')
        self._network = network
        return figures

    def _at_home(self, view: base.View) -> 'LstmDetector | None':
        """A detector that knows the quiet part of what is looked at."""
        if view.onset is None:
            return None
        quiet = base.Recording('quiet', view.store, stores.Query(
            since=view.onset - _QUIET, until=view.onset - _INSTANT,
            services=view.query.services, hosts=view.query.hosts))
        local = LstmDetector()
        try:
            local.fit([quiet], base.Settings())
        except exception.InvalidInput:
            LOG.info('The quiet time before %s is too short to tell what is '
                     'normal.', view.onset)
            return None
        return local

    # Judging

    def _calibrated(self, logit: float) -> float:
        """The score of a logit."""
        return 1 / (1 + math.exp(-max(-50.0, min(
            50.0, logit - self._threshold))))

    def _logit(self, read: features.Tables) -> float:
        if self._baseline is None:
            raise exception.ModelError(
                name=_NAME, reason='It has learned nothing yet. Train it '
                'with openstack-rca-manage train, or activate a model.')
        row = features.squash(features.values(read, self._baseline))
        return self._wide(row) + self._deep(read)

    def _wide(self, squashed: np.ndarray) -> float:
        """What the features say."""
        return float(squashed / self._scale @ self._weights) + self._bias

    def _deep(self, read: features.Tables, group: str = '') -> float:
        """What the order of rare messages adds."""
        if self._network is None or self._baseline is None:
            return 0.0
        import torch

        from openstack_rca.detectors import training
        sequence, there = self._sequence(
            _rarest(read, self._baseline, group))
        with training.one_thread(), torch.no_grad():
            return float(self._network(torch.from_numpy(sequence)[None],
                                       torch.from_numpy(there)[None])[0])

    def _sequence(self, bag: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Messages as the network sees them, and which are there."""
        texts = bag['words'].to_list()
        # Only what training has not met is embedded: at most one sequence.
        new = [t for t in texts if t not in self._meanings]
        if new:
            found = (meaning.embed(new) - self._center) @ self._axes
            fresh = dict(zip(new, found, strict=True))
        else:
            fresh = {}
        level, status = pl.col('level'), pl.col('status')
        flags = bag.select(
            level >= 40, level.eq(30).alias('warning'),
            level.eq(20).alias('info'), pl.col('traceback'),
            pl.col('asked'), pl.col('changing'),
            status.ge(500).alias('failed'),
            status.is_between(400, 499).alias('refused'),
            (status.ge(400) & ~pl.col('get')).alias('refused_change'),
            (pl.col('count').log1p() / 5).alias('often'),
            pl.col('known').eq(0).alias('new'),
            pl.col('known').lt(_SELDOM).alias('seldom')).cast(
                pl.Float32).to_numpy()
        sequence = np.zeros((_LENGTH, _FLAGS + _MEANING), np.float32)
        sequence[:len(texts), :_FLAGS] = flags
        for n, text in enumerate(texts):
            place = fresh[text] if text in fresh else self._meanings[text]
            sequence[n, _FLAGS:] = place * _MEANING_WEIGHT
        return sequence, np.arange(_LENGTH) < len(texts)

    def _symptoms(self, read: features.Tables,
                  score: float) -> pl.DataFrame:
        """What an alarm is about, in proportion to what it adds."""
        assert self._baseline is not None
        row = features.squash(features.values(read, self._baseline))
        parts = dict(zip(features.FEATURES,
                         row / self._scale * self._weights, strict=True))
        # What is missing is counted in three ways and told once.
        for name in ('lack', 'resource'):
            parts[f'{name}_weight'] += parts.pop(f'{name}_requests')
            parts[f'{name}_weight'] += parts.pop(f'{name}_share')
        adds = pl.DataFrame({'feature': list(parts),
                             'adds': [float(v) for v in parts.values()]})
        told = features.explain(read, self._baseline).join(
            adds, on='feature', maintain_order='left').filter(
                pl.col('adds') > 0)
        told = pl.concat([told.with_columns(why=pl.format(
            '{}: {}', 'feature', 'why')), self._suspects(read)])
        most = told['adds'].max()
        if not isinstance(most, float):
            return base.no_symptoms()
        return told.with_columns(
            sign=pl.lit('model'),
            score=(pl.col('adds') / most * score).clip(0, 1) * _MOST_SCORE
        ).select(list(base.SYMPTOMS)).sort(
            'score', 'since', descending=[True, False]).cast(
                base.SYMPTOMS)  # type: ignore[arg-type]

    def _suspects(self, read: features.Tables) -> pl.DataFrame:
        """The messages that raise the logit of the sequence most."""
        shape = pl.Schema({**features.EXPLAINED, 'adds': pl.Float64()})
        if self._network is None or self._baseline is None:
            return pl.DataFrame(schema=shape)
        import torch

        from openstack_rca.detectors import training
        bag = _rarest(read, self._baseline)
        sequence, _ = self._sequence(bag)
        with training.one_thread(), torch.no_grad():
            steps = self._network.steps(
                torch.from_numpy(sequence)[None])[0].numpy()
        return bag.with_columns(
            adds=pl.Series(steps[:bag.height].astype(np.float64))).filter(
                pl.col('adds') > 0).sort(
                    'adds', descending=True).head(_SUSPECTS).select(
            pl.lit('sequence').alias('feature'), 'service', 'binary',
            'host', 'template',
            since=features.moment(read.start, 'first'),
            until=features.moment(read.start, 'last'),
            why=pl.format('where it stands in the order of rare messages it '
                          'is a sign of harm: {}', 'words'),
            adds='adds').cast(shape)

    # Keeping

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, see the abstract class.

        :raises ModelError: nothing was learned
        """
        if self._baseline is None:
            raise exception.ModelError(
                name=_NAME, reason='It has learned nothing yet.')
        kept, told = self._baseline.state()
        arrays = {f'baseline.{name}': a for name, a in kept.items()}
        arrays |= {'scale': self._scale, 'weights': self._weights}
        texts = sorted(self._meanings) if self._network is not None else []
        if self._network is not None:
            arrays |= {
                'center': self._center, 'axes': self._axes,
                'meanings': np.array([self._meanings[t] for t in texts],
                                     np.float32).reshape(-1, _MEANING)}
            arrays |= {f'network.{name}': tensor.detach().cpu().numpy()
                       for name, tensor
                       in self._network.state_dict().items()}
        return arrays, {
            'driver': _NAME, 'version': _VERSION,
            'features': list(features.FEATURES), 'baseline': told,
            'bias': self._bias, 'threshold': self._threshold,
            'window': self._window, 'texts': texts,
            'sequence': self._network is not None}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """A detector that has learned, see the abstract class."""
        try:
            return cls._restored(arrays, metadata)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise exception.ModelError(
                name=_NAME, reason=f'It is not a model of this version of '
                f'the detector ({error}). Train it again.') from error

    @classmethod
    def _restored(cls, arrays: Mapping[str, np.ndarray],
                  metadata: Mapping[str, Any]) -> Self:
        for name, wanted in (('driver', _NAME), ('version', _VERSION),
                             ('features', list(features.FEATURES))):
            if metadata[name] != wanted:
                raise ValueError(f'its {name} is another')
        self = cls()
        count = len(features.FEATURES)
        shapes: dict[str, tuple[int, ...]] = {
            'scale': (count,), 'weights': (count,)}
        texts = [str(t) for t in metadata['texts']]
        network = None
        if metadata['sequence']:
            network = _network()
            shapes |= {'center': (meaning.WIDTH,),
                       'axes': (meaning.WIDTH, _MEANING),
                       'meanings': (len(texts), _MEANING)}
            shapes |= {f'network.{name}': tuple(tensor.shape)
                       for name, tensor in network.state_dict().items()}
        prefix = 'baseline.'
        own = {n.removeprefix(prefix): a for n, a in arrays.items()
               if n.startswith(prefix)}
        rest = {n: a for n, a in arrays.items() if not n.startswith(prefix)}
        if rest.keys() != shapes.keys():
            raise ValueError('arrays are missing or foreign: ' + ', '.join(
                sorted(rest.keys() ^ shapes.keys())))
        for name, shape in shapes.items():
            if rest[name].shape != shape:
                raise ValueError(f'{name} is of shape {rest[name].shape}, '
                                 f'not {shape}')
            if not np.isfinite(rest[name]).all():
                raise ValueError(f'{name} holds what is no number')
        if (rest['scale'] <= 0).any() or (rest['weights'] < 0).any():
            raise ValueError('a scale or a weight is negative')
        self._baseline = features.Baseline.from_state(
            own, metadata['baseline'])
        self._scale = rest['scale'].astype(np.float64)
        self._weights = rest['weights'].astype(np.float64)
        for name in ('bias', 'threshold', 'window'):
            number = float(metadata[name])
            if not math.isfinite(number):
                raise ValueError(f'{name} is no number')
            setattr(self, f'_{name}', number)
        if network is not None:
            import torch
            network.load_state_dict({
                name: torch.from_numpy(np.array(
                    rest[f'network.{name}'], np.float32))
                for name in network.state_dict()})
            network.eval()
            self._network = network
            self._center = rest['center'].astype(np.float32)
            self._axes = rest['axes'].astype(np.float32)
            self._meanings = dict(zip(
                texts, rest['meanings'].astype(np.float32), strict=True))
        return self


def _network() -> 'training.SequenceNetwork':
    """The branch of sequences, before it has learned."""
    from openstack_rca.detectors import training
    return training.SequenceNetwork(_FLAGS + _MEANING, _WIDTH, _LAYERS,
                                    _DROPOUT)


def _rarest(read: features.Tables, baseline: features.Baseline,
            group: str = '') -> pl.DataFrame:
    """The keys of a recording that normal ones have least, in order."""
    loud = (pl.col('level') >= 40) | (pl.col('status') >= 500)
    return features.compared(read, baseline.without(group)).filter(
        (pl.col('known') < _COMMON) | loud).sort(
            ~loud, 'known', 'key').head(_LENGTH).sort('first', 'key')


def _windows(recording: base.Recording, seconds: float) -> list[
        tuple[int, features.Tables]]:
    """A recording, or windows of so many seconds of it."""
    query = recording.query
    if not seconds:
        return [(0, features.tables(recording.store, query))]
    first, last = recording.store.narrow(query).select(
        first=pl.col('timestamp').min(),
        last=pl.col('timestamp').max()).collect().row(0)
    found: list[tuple[int, features.Tables]] = []
    if first is None:
        return found
    step = datetime.timedelta(seconds=seconds)
    # What is left over at the end belongs to the last window.
    count = max(1, math.floor((last - first) / step))
    for n in range(count):
        until = last if n == count - 1 else (
            first + (n + 1) * step - _INSTANT)
        found.append((n, features.tables(
            recording.store, dataclasses.replace(
                query, since=first + n * step, until=until))))
    return found


def _held_out(groups: Sequence[str], labels: np.ndarray,
              settings: base.Settings) -> np.ndarray:
    """Which examples are for validation; no group is split.

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


def _limit(logits: np.ndarray, share: float) -> float:
    """The logit that no more than a share of normal ones exceeds."""
    ordered = np.sort(logits)[::-1]
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
