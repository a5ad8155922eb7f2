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
"""Features, and LSTMs over what is said in which order.

The wide branch is a logistic regression over the features of
:mod:`openstack_rca.detectors.features`, with weights that are not negative
and are drawn to a common prior; a feature counts by how much it exceeds
what it is in quiet times. What is used beside it depends on the data:

* Without labels, a stacked LSTM learns from quiet times what a request or a
  process says next (:mod:`openstack_rca.detectors.next_event`). Its
  surprise is one more feature, the weights keep their prior, and recordings
  are judged in windows of a minute.
* With labels, the weights are learned, and a stacked LSTM over the rarest
  messages of a recording in their order, each represented by the meaning of
  its words, learns what the features get wrong.
* With few labels, or where nothing is in order, the wide branch is alone: a
  feed-forward network over tabular windows.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import copy
import dataclasses
import datetime
import pathlib
from typing import Any
from typing import Self
from typing import TYPE_CHECKING

import numpy as np
from oslo_log import log as logging
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.detectors import calibration
from openstack_rca.detectors import features
from openstack_rca.detectors import meaning
from openstack_rca.detectors import next_event
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

#: What nobody has labelled is cut into windows of so many seconds. With
#: fewer groups than this, so many windows that follow each other are one:
#: what they say is much the same.
_CUT_SECONDS = 60.0
_LEAST_GROUPS = 3
_BLOCK = 5
_LEAST_BLOCKS = 10
#: The share of normal recordings in which a feature is what it usually is.
_USUAL = 0.95
#: Folds in which what is said next is learned and judged.
_FOLDS = 4
#: Windows that an analysis judges, and those that tell what is normal.
_MOST_JUDGED = 30
_MOST_SETTLED = 120
_QUIET = datetime.timedelta(days=1)
_INSTANT = datetime.timedelta(microseconds=1)

#: Messages that each of both LSTMs tells.
_SUSPECTS = 3
#: Windows that symptoms are told of.
_EXPLAINED = 3


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
        #: What each feature is in quiet times.
        self._usual = np.zeros(count)
        self._next = next_event.NextEvents()
        #: Seconds of a window that is judged at once, 0 for all of it.
        self._window = 0.0
        self._network: training.SequenceNetwork | None = None
        self._space = meaning.Space(_MEANING)

    # What the product asks for

    def look(self, view: base.View) -> pl.DataFrame:
        """What is abnormal, see the abstract class.

        Where the model was trained on another cloud, or not at all, the
        quiet part of the same logs takes the place of what it learned.
        """
        query = view.query
        if view.onset is not None:
            query = dataclasses.replace(query, since=view.onset)
        judge: LstmDetector | None = self
        read = [t for _, t in features.windows(
            view.store, query, self._window or _CUT_SECONDS, _MOST_JUDGED)]
        if self._baseline is None or read and not any(
                self._baseline.knows(t) >= calibration.AT_HOME
                for t in read):
            judge = self._at_home(view)
        if judge is None or not read:
            return base.no_symptoms()
        if not judge._window:
            read = [features.tables(view.store, query)]
        scored = sorted(
            ((judge._calibrated(judge._logit(t)), -n)
             for n, t in enumerate(read)), reverse=True)[:_EXPLAINED]
        found = [judge._symptoms(read[-n], score)
                 for score, n in scored if score >= base.ALARM]
        return pl.concat(found or [base.no_symptoms()])

    def explain(self, recording: base.Recording,
                score: float) -> pl.DataFrame:
        """Why a recording has its score, see the abstract class."""
        read = [t for _, t in features.windows(
            recording.store, recording.query, self._window)]
        if not read:
            return base.no_symptoms()
        return self._symptoms(max(read, key=self._logit), score)

    def knows(self, recording: base.Recording) -> bool:
        """Whether most of what is said was learned, see the class above."""
        return self._baseline is not None and self._baseline.knows(
            features.tables(recording.store, recording.query)
        ) >= calibration.AT_HOME

    def score(self, recording: base.Recording) -> float:
        """How likely it is that users were harmed, from 0 to 1.

        :param recording: what is judged; its label is not looked at
        :raises ModelError: nothing was learned
        """
        return max((self._calibrated(self._logit(read)) for _, read
                    in features.windows(
                        recording.store, recording.query, self._window)),
                   default=self._calibrated(self._bias))

    def fit(self, corpus: Sequence[base.Recording], settings: base.Settings,
            progress: base.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn, see the abstract class."""
        self.__init__()  # type: ignore[misc]
        corpus, both = calibration.usable(corpus)
        # A window of a recording in which users were harmed need not be
        # the one in which they were.
        self._window = 0.0 if both else _CUT_SECONDS
        examples = self._read(corpus, progress)
        labels = np.array([e.harmed is True for e in examples], bool)
        self._check(int((~labels).sum()))
        self._baseline = features.Baseline.learn(
            (e.group, e.read) for e in examples if e.harmed is not True)
        squashed = self._squashed(examples, progress)
        held = calibration.held_out([e.group for e in examples], labels,
                                    settings)
        self._usual = np.quantile(squashed[~labels], _USUAL, axis=0)
        figures: dict[str, float] = {}
        if both:
            figures |= self._learn(examples, squashed, labels, held,
                                   settings, progress, checkpoint)
        else:
            figures |= self._next.fit(
                [e.read for e in examples],
                _dealt([e.group for e in examples], settings.seed), settings,
                progress, checkpoint and checkpoint / 'next')
        logits = self._logits(examples, squashed, labels)
        # Without labels no example was learned from but as what others are
        # compared with.
        judged = held if both else np.ones(len(held), bool)
        self._threshold = calibration.limit(logits[judged & ~labels],
                                            settings.false_alarms)
        alarmed = (logits > self._threshold)[judged]
        harmed = labels[judged]
        figures |= calibration.figures(alarmed, harmed, both)
        return figures | {'recordings': float(len(examples))}

    def settle(self, normal: Sequence[base.Recording],
               settings: base.Settings) -> None:
        """Keep the weights and learn anew what is normal, see above."""
        # What was learned from whole recordings judges whole ones.
        if self._window or self._baseline is None \
                or len(normal) < calibration.LEAST_NORMAL:
            self._window = _CUT_SECONDS
        examples = self._read(normal, None, _MOST_SETTLED)
        self._check(len(examples))
        self._baseline = features.Baseline.learn(
            (e.group, e.read) for e in examples)
        squashed = self._squashed(examples, None)
        self._usual = np.quantile(squashed, _USUAL, axis=0)
        self._next.settle([e.read for e in examples])
        self._threshold = calibration.limit(
            self._logits(examples, squashed, np.zeros(len(examples), bool)),
            settings.false_alarms)

    # Learning

    @staticmethod
    def _check(normal: int) -> None:
        """Make sure that there are enough examples of what is normal."""
        if normal < calibration.LEAST_NORMAL:
            raise exception.InvalidInput(
                reason='There is too little to learn from: at least '
                f'{calibration.LEAST_NORMAL} recordings, or minutes, in '
                'which nobody was harmed are needed.')

    def _read(self, corpus: Sequence[base.Recording],
              progress: base.Progress | None,
              most: int | None = None) -> list[_Example]:
        """Read recordings, or the windows of them."""
        found: list[tuple[int, int, base.Recording, features.Tables]] = []
        each = most and max(1, most // max(1, len(corpus)))
        for number, one in enumerate(corpus):
            found += [(number, window, one, read)
                      for window, read in features.windows(
                          one.store, one.query, self._window, each)]
            if progress is not None:
                progress('read', (number + 1) / len(corpus), {})
        groups = [one.group or f'\0{number}'
                  for number, _, one, _ in found]
        block = max(1, min(_BLOCK, len(found) // _LEAST_BLOCKS))
        if self._window and len(set(groups)) < _LEAST_GROUPS:
            groups = [f'{group}\0{window // block}' for group, (
                _, window, _, _) in zip(groups, found, strict=True)]
        return [_Example(group, read, one.harmed) for group, (
            _, _, one, read) in zip(groups, found, strict=True)]

    def _squashed(self, examples: Sequence[_Example],
                  progress: base.Progress | None) -> np.ndarray:
        """The features of examples, each against the groups of others."""
        assert self._baseline is not None
        vectors = []
        for number, one in enumerate(examples):
            vectors.append(features.values(one.read, self._baseline,
                                           one.group))
            if progress is not None:
                progress('features', (number + 1) / len(examples), {})
        return features.squash(np.array(vectors))

    def _logits(self, examples: Sequence[_Example], squashed: np.ndarray,
                labels: np.ndarray) -> np.ndarray:
        """The logits of examples, none judged by what it is itself."""
        groups = np.array([e.group for e in examples])
        before = self._usual
        found = []
        for n, (row, one) in enumerate(zip(squashed, examples, strict=True)):
            others = ~labels & (groups != one.group)
            if self._window and others.any():
                self._usual = np.quantile(squashed[others], _USUAL, axis=0)
            found.append(self._wide(row) + (
                self._next.totals[n] / _PLAIN_SCALE * _PRIOR
                if self._next.learned else self._deep(one.read, one.group)))
        self._usual = before
        return np.array(found)

    def _learn(self, examples: Sequence[_Example], squashed: np.ndarray,
               labels: np.ndarray, held: np.ndarray,
               settings: base.Settings,
               progress: base.Progress | None,
               checkpoint: pathlib.Path | None) -> dict[str, float]:
        """Learn from labels."""
        import torch

        from openstack_rca.detectors import training
        excess = np.maximum(0.0, squashed - self._usual)
        self._scale = np.maximum(_LEAST_SCALE, excess[~held].std(0))
        scaled = excess / self._scale
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
        self._space.learn(texts)
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
        local = copy.copy(self)
        local._next = copy.copy(self._next)
        try:
            local.settle([quiet], base.Settings())
        except exception.InvalidInput:
            LOG.info('The quiet time before %s is too short to tell what is '
                     'normal.', view.onset)
            return None
        return local

    # Judging

    def _calibrated(self, logit: float) -> float:
        """The score of a logit."""
        return calibration.score(logit, self._threshold)

    def _logit(self, read: features.Tables) -> float:
        if self._baseline is None:
            raise calibration.nothing_learned(_NAME)
        row = features.squash(features.values(read, self._baseline))
        return self._wide(row) + self._deep(read)

    def _parts(self, squashed: np.ndarray) -> np.ndarray:
        """What each feature adds to the logit."""
        parts: np.ndarray = np.maximum(
            0.0, squashed - self._usual) / self._scale * self._weights
        return parts

    def _wide(self, squashed: np.ndarray) -> float:
        """What the features say."""
        return float(self._parts(squashed).sum()) + self._bias

    def _deep(self, read: features.Tables, group: str = '') -> float:
        """What the order of messages adds."""
        if self._next.learned:
            return self._unexpected(self._next.judge(read))
        if self._network is None or self._baseline is None:
            return 0.0
        import torch

        from openstack_rca.detectors import training
        sequence, there = self._sequence(
            _rarest(read, self._baseline, group))
        with training.one_thread(), torch.no_grad():
            return float(self._network(torch.from_numpy(sequence)[None],
                                       torch.from_numpy(there)[None])[0])

    def _unexpected(self, told: pl.DataFrame) -> float:
        """What unexpected messages add: as much as any other feature."""
        return self._next.total(told) / _PLAIN_SCALE * _PRIOR

    def _sequence(self, bag: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Messages as the network sees them, and which are there."""
        texts = bag['words'].to_list()
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
        # Only what training has not met is embedded: at most one sequence.
        sequence[:len(texts), _FLAGS:] = (
            self._space.place(texts) * _MEANING_WEIGHT)
        return sequence, np.arange(_LENGTH) < len(texts)

    def _symptoms(self, read: features.Tables,
                  score: float) -> pl.DataFrame:
        """What an alarm is about, in proportion to what it adds."""
        assert self._baseline is not None
        row = features.squash(features.values(read, self._baseline))
        parts = dict(zip(features.FEATURES, self._parts(row), strict=True))
        # What is missing is counted in three ways and told once.
        for name in ('lack', 'resource'):
            parts[f'{name}_weight'] += parts.pop(f'{name}_requests')
            parts[f'{name}_weight'] += parts.pop(f'{name}_share')
        adds = pl.DataFrame({'feature': list(parts),
                             'adds': [float(v) for v in parts.values()]})
        told = features.explain(read, self._baseline).join(
            adds, on='feature', maintain_order='left')
        told = pl.concat([told.with_columns(why=pl.format(
            '{} ({})', 'why', 'feature')), self._suspects(read),
            self._surprises(read)])
        return calibration.symptoms(told, score)

    def _suspects(self, read: features.Tables) -> pl.DataFrame:
        """The messages that raise the logit of the sequence most."""
        shape = pl.Schema(calibration.REASONS)
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

    def _surprises(self, read: features.Tables) -> pl.DataFrame:
        """The messages that were least expected."""
        shape = pl.Schema(calibration.REASONS)
        if not self._next.learned or read.start is None:
            return pl.DataFrame(schema=shape)
        told = self._next.judge(read)
        share = pl.col('excess') / max(1e-9, told['excess'].sum())
        return told.head(_SUSPECTS).select(
            pl.lit('order').alias('feature'), 'service', 'binary', 'host',
            'template', since=features.moment(read.start, 'first'),
            until=features.moment(read.start, 'last'),
            why=pl.format(
                '"{}" was said where quiet times lead to expect "{}" (order)',
                'words', 'expected'),
            adds=share * self._unexpected(told)).cast(shape)

    # Keeping

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, see the abstract class.

        :raises ModelError: nothing was learned
        """
        if self._baseline is None:
            raise calibration.nothing_learned(_NAME)
        kept, told = self._baseline.state()
        arrays = {f'baseline.{name}': a for name, a in kept.items()}
        arrays |= {'scale': self._scale, 'weights': self._weights,
                   'usual': self._usual}
        following, order = self._next.state()
        arrays |= {f'next.{name}': a for name, a in following.items()}
        texts: list[str] = []
        if self._network is not None:
            from openstack_rca.detectors import networks
            placed, texts = self._space.state()
            arrays |= {f'space.{name}': a for name, a in placed.items()}
            arrays |= networks.arrays(self._network)
        return arrays, {
            'driver': _NAME, 'version': _VERSION,
            'features': list(features.FEATURES), 'baseline': told,
            'bias': self._bias, 'threshold': self._threshold,
            'window': self._window, 'texts': texts, 'next': order,
            'sequence': self._network is not None}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """A detector that has learned, see the abstract class."""
        try:
            return cls._restored(arrays, metadata)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise calibration.foreign(_NAME, error) from error

    @classmethod
    def _restored(cls, arrays: Mapping[str, np.ndarray],
                  metadata: Mapping[str, Any]) -> Self:
        calibration.check_told(metadata, {
            'driver': _NAME, 'version': _VERSION,
            'features': list(features.FEATURES)})
        self = cls()
        count = len(features.FEATURES)
        shapes: dict[str, tuple[int, ...]] = {
            'scale': (count,), 'weights': (count,), 'usual': (count,)}
        network = None
        if metadata['sequence']:
            from openstack_rca.detectors import networks
            network = _network()
            shapes |= networks.shapes(network)
        rest = dict(arrays)
        own, following, placed = (
            {name.removeprefix(prefix): rest.pop(name)
             for name in arrays if name.startswith(prefix)}
            for prefix in ('baseline.', 'next.', 'space.'))
        calibration.check_shapes(rest, shapes)
        if (rest['scale'] <= 0).any() or (rest['weights'] < 0).any():
            raise ValueError('a scale or a weight is negative')
        self._baseline = features.Baseline.from_state(
            own, metadata['baseline'])
        self._scale = rest['scale'].astype(np.float64)
        self._weights = rest['weights'].astype(np.float64)
        self._usual = rest['usual'].astype(np.float64)
        self._next = next_event.NextEvents.from_state(
            following, metadata['next'])
        self._bias = calibration.number(metadata, 'bias')
        self._threshold = calibration.number(metadata, 'threshold')
        self._window = calibration.number(metadata, 'window')
        if network is not None:
            networks.load(network, rest)
            self._network = network
            self._space = meaning.Space.from_state(
                placed, metadata['texts'], _MEANING)
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


def _dealt(groups: Sequence[str], seed: int) -> np.ndarray:
    """The fold of each example; no group is split."""
    names, place = np.unique(np.array(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % min(_FOLDS, len(names)))[place]
