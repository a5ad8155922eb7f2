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
"""What a request or a process says next, learned from quiet times.

Two kinds of sequences, each key once, in the order in which it is first
said: all that services say of one request, and what one process says beside
its requests in a window. A stacked LSTM predicts each key from those before
it. What goes in and what is compared with at the output are the same
vectors, made of the meaning of the words and a few flags, so that a message
that was never seen still has a place as context. (Du et al., DeepLog, 2017,
predicts keys without a meaning; Meng et al., LogAnomaly, 2019, with one.)

A key that is always hard to predict is no news: what counts is by how much
its surprise exceeds what it had in quiet times that were not learned from.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import math
import pathlib
from typing import Any
from typing import Self
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from openstack_rca.detectors import base
from openstack_rca.detectors import calibration
from openstack_rca.detectors import features
from openstack_rca.detectors import keys
from openstack_rca.detectors import meaning

if TYPE_CHECKING:
    from openstack_rca.detectors import training

#: What is said within so many seconds of each other is in no order.
_TOGETHER = 0.25
#: Keys of a sequence that are looked at.
_LENGTH = 32
#: Recordings, or windows, in which a key has to be to be predicted.
_LEAST_SEEN = 2
_MOST_KEYS = 4000
#: Distinct sequences that are learned from, the most frequent ones.
_MOST_SEQUENCES = 20000
_WIDTH = 64
_LAYERS = 2
_DROPOUT = 0.1
#: New texts that one judgement embeds.
_MOST_NEW = 64
#: Held-out occurrences by which a key is judged by itself, the percentile
#: of all keys otherwise, and what is added to both.
_ENOUGH = 5
_OFTEN = 0.995
_MARGIN = 1.0
#: The share of quiet windows whose surprises are called usual.
_WINDOWS = 0.95
#: Surprises that are added up.
_TOP = 5

_SURPRISES = pl.Schema({
    'service': pl.String(), 'binary': pl.String(), 'host': pl.String(),
    'template': pl.UInt64(), 'first': pl.Float64(), 'last': pl.Float64(),
    'words': pl.String(), 'excess': pl.Float64(), 'expected': pl.String()})


class NextEvents:
    """Predicts keys, and tells which ones were not to be expected."""

    def __init__(self) -> None:
        self._space = meaning.Space(keys.MEANING)
        self._keys: dict[str, int] = {}
        self._words: list[str] = []
        self._inputs = np.zeros((0, keys.INPUTS), np.float32)
        #: The surprise of each key in quiet times.
        self._usual = np.zeros(0)
        #: The sum of a window's surprises in quiet times.
        self._often = 0.0
        #: Those of the windows that were learned from, each judged by a
        #: network that did not learn from it.
        self.totals: list[float] = []
        self._network: training.NextNetwork | None = None

    @property
    def learned(self) -> bool:
        """Whether there is something to predict with."""
        return self._network is not None

    def fit(self, read: Sequence[features.Tables], folds: np.ndarray,
            settings: base.Settings, progress: base.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn from quiet times.

        Each fold is judged by a network that learned from the others, which
        tells what surprise is usual; the last one of them is kept.

        :param read: recordings, or windows
        :param folds: number of the fold of each, from 0 on
        :param settings: how
        :param progress: called after each epoch
        :param checkpoint: folder that remembers how far it came, or None
        :returns: figures; none where there is too little to learn from
        :raises ModelError: messages cannot be embedded
        """
        import torch

        from openstack_rca.detectors import training
        known = keys.often([t.keys for t in read], _LEAST_SEEN, _MOST_KEYS)
        count = len(np.unique(folds))
        if known.height < 2 or count < 2:
            return {}
        self._keys = {key: n for n, key in enumerate(known['key'])}
        self._words = keys.texts(known)
        self._space.learn(sorted(set(self._words)))
        self._inputs = keys.described(known, self._space)
        found = [_sequences(t) for t in read]
        told: list[tuple[int, pl.DataFrame]] = []
        figures: list[dict[str, float]] = []
        distinct = np.zeros((0, _LENGTH), np.int64)
        for fold in range(count):
            distinct, held_out = self._distinct(read, found, folds == fold)
            if held_out.all() or not held_out.any():
                continue
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(settings.seed)
                network = _network()
                figures.append(training.teach(
                    network, training.Next(distinct, self._inputs), held_out,
                    settings, _part(progress, fold, count),
                    checkpoint and checkpoint / str(fold)))
            self._network = network
            told += [(n, self._surprises(read[n]))
                     for n in np.flatnonzero(folds == fold).tolist()]
        if not told:
            return {}
        self._calibrate([t for _, t in told])
        sums = {n: self._sum(self._exceeding(t)) for n, t in told}
        self._often = float(np.quantile(list(sums.values()), _WINDOWS))
        self.totals = [max(0.0, sums.get(n, 0.0) - self._often)
                       for n in range(len(read))]
        return {'next_loss': float(np.mean([
                    f['validation_loss'] for f in figures])),
                'next_epochs': sum(f['epochs'] for f in figures),
                'next_keys': float(len(self._keys)),
                'next_sequences': float(len(distinct))}

    def settle(self, read: Sequence[features.Tables]) -> None:
        """Learn anew how surprising each key is in quiet times.

        :param read: recordings, or windows, that were not learned from
        """
        if self._network is None:
            return
        told = [self._surprises(t) for t in read]
        self._calibrate(told)
        sums = [self._sum(self._exceeding(t)) for t in told]
        self._often = float(np.quantile(sums, _WINDOWS)) if sums else 0.0
        self.totals = [max(0.0, s - self._often) for s in sums]

    def _calibrate(self, told: Sequence[pl.DataFrame]) -> None:
        """See how surprising each key is where nothing is wrong."""
        every = pl.concat(told)
        # A key that is seldom seen is news where something else was firmly
        # expected: no surprise below that of a blind guess is.
        common = max(math.log(len(self._keys)), float(
            every['surprise'].quantile(_OFTEN) or 0.0))
        self._usual = np.full(len(self._keys), common)
        for key, most, count in every.group_by('v').agg(
                pl.col('surprise').max(), pl.len()).iter_rows():
            self._usual[key] = most if count >= _ENOUGH else max(
                most, common)
        self._usual += _MARGIN

    def _exceeding(self, told: pl.DataFrame) -> pl.DataFrame:
        """Surprises beyond what is usual, each key once, most first."""
        return told.with_columns(excess=pl.col('surprise') - pl.Series(
            self._usual[told['v'].to_numpy()], dtype=pl.Float64)).filter(
                pl.col('excess') > 0).sort(
                    'excess', 'k', descending=[True, False]).unique(
                        'k', maintain_order=True)

    def judge(self, read: features.Tables) -> pl.DataFrame:
        """What was not to be expected, most of all first.

        :param read: a recording, or a window
        :returns: the key that was said (who, ``template``, ``words``, its
            ``first`` and ``last`` moment as seconds), by how much its
            surprise exceeds what is usual (``excess``, in nats), and the
            words of what was ``expected``
        """
        if self._network is None:
            return pl.DataFrame(schema=_SURPRISES)
        told = self._exceeding(self._surprises(read))
        expected = pl.Series([self._words[n] for n in told['best']],
                             dtype=pl.String)
        return told.with_columns(expected=expected).join(
            read.keys, on='k', maintain_order='left').select(
                list(_SURPRISES)).cast(_SURPRISES)

    def total(self, told: pl.DataFrame) -> float:
        """One number for what :meth:`judge` told, less what is usual."""
        return max(0.0, self._sum(told) - self._often)

    @staticmethod
    def _sum(told: pl.DataFrame) -> float:
        return float(features.squash(np.array(
            told['excess'].head(_TOP).sum())))

    def _surprises(self, read: features.Tables) -> pl.DataFrame:
        """How surprising each known key of each distinct sequence is.

        :returns: ``k``, ``v`` (number of the key), ``surprise`` in nats,
            ``best`` (the most likely key)
        """
        import torch

        from openstack_rca.detectors import training
        assert self._network is not None
        shape = pl.Schema({'k': pl.UInt32(), 'v': pl.Int64(),
                           'surprise': pl.Float64(), 'best': pl.Int64()})
        rows = _sequences(read).unique('sequence', maintain_order=True)
        if rows.is_empty():
            return pl.DataFrame(schema=shape)
        local = read.keys.select('k', *keys.SCHEMA)
        number = dict(zip(local['k'], local['key'], strict=True))
        strange = local.filter(~pl.col('key').is_in(list(self._keys)))
        place = {key: len(self._keys) + n
                 for n, key in enumerate(strange['key'])}
        place |= self._keys
        table = np.concatenate([self._inputs, keys.described(
            strange, self._space, _MOST_NEW)])
        ks = [list(row) for row in rows['ks']]
        padded = np.full((len(ks), _LENGTH), -1, np.int64)
        for n, row in enumerate(ks):
            padded[n, :len(row)] = [place[number[k]] for k in row]
        with training.one_thread(), torch.no_grad():
            likely = self._network(
                torch.from_numpy(padded), torch.from_numpy(table),
                len(self._keys))
            best = likely.argmax(-1).numpy()
            known = padded.clip(0, len(self._keys) - 1)
            surprise = -likely.gather(
                -1, torch.from_numpy(known)[..., None])[..., 0].numpy()
        # With what a sequence begins is no news: nothing leads to it.
        at = np.argwhere((padded >= 0) & (padded < len(self._keys)))
        at = at[at[:, 1] > 0]
        return pl.DataFrame({
            'k': [ks[n][m] for n, m in at],
            'v': [int(padded[n, m]) for n, m in at],
            'surprise': [float(surprise[n, m]) for n, m in at],
            'best': [int(best[n, m]) for n, m in at]}, schema=shape)

    def _distinct(self, read: Sequence[features.Tables],
                  found: Sequence[pl.DataFrame], held: np.ndarray) -> tuple[
                      np.ndarray, np.ndarray]:
        """Distinct sequences of known keys, and which are for validation.

        One that occurs in both parts is learned from.
        """
        counts: dict[tuple[int, ...], int] = {}
        apart: dict[tuple[int, ...], int] = {}
        for t, rows, out in zip(read, found, held, strict=True):
            number = dict(zip(t.keys['k'], t.keys['key'], strict=True))
            into = apart if out else counts
            for ks in rows['ks']:
                row = tuple(self._keys[number[k]] for k in ks
                            if number[k] in self._keys)
                if row:
                    into[row] = into.get(row, 0) + 1
        ordered = sorted(counts, key=lambda row: (-counts[row], row))[
            :_MOST_SEQUENCES]
        kept = sorted((row for row in apart if row not in counts),
                      key=lambda row: (-apart[row], row))[:_MOST_SEQUENCES]
        # With nothing new in it, the held-out part is validated by itself.
        kept = kept or sorted(apart)
        padded = np.full((len(ordered) + len(kept), _LENGTH), -1, np.int64)
        for n, row in enumerate([*ordered, *kept]):
            padded[n, :len(row)] = row
        return padded, np.arange(len(padded)) >= len(ordered)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned: arrays, and what else JSON can hold."""
        if self._network is None:
            return {}, {}
        from openstack_rca.detectors import networks
        arrays, texts = self._space.state()
        arrays = {f'space.{name}': array for name, array in arrays.items()}
        arrays |= {'inputs': self._inputs, 'usual': self._usual}
        arrays |= networks.arrays(self._network)
        return arrays, {'keys': list(self._keys), 'words': self._words,
                        'texts': texts, 'often': self._often}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """What was learned.

        :param arrays: of :meth:`state`
        :param metadata: of :meth:`state`
        :raises KeyError: something is missing
        :raises ValueError: they do not fit each other
        """
        self = cls()
        if not metadata and not arrays:
            return self
        from openstack_rca.detectors import networks
        self._keys = {str(key): n for n, key in enumerate(metadata['keys'])}
        self._words = [str(text) for text in metadata['words']]
        self._often = calibration.number(metadata, 'often')
        count = len(self._keys)
        network = _network()
        own = {name: array for name, array in arrays.items()
               if not name.startswith('space.')}
        if len(self._words) != count:
            raise ValueError('keys and words do not fit each other')
        calibration.check_shapes(own, {
            'inputs': (count, keys.INPUTS), 'usual': (count,),
            **networks.shapes(network)})
        self._space = meaning.Space.from_state(
            {name.removeprefix('space.'): array
             for name, array in arrays.items()
             if name.startswith('space.')}, metadata['texts'], keys.MEANING)
        self._inputs = own['inputs'].astype(np.float32)
        self._usual = own['usual'].astype(np.float64)
        networks.load(network, own)
        self._network = network
        return self


def _part(progress: base.Progress | None, number: int,
          count: int) -> base.Progress | None:
    """The progress of one of several trainings."""
    if progress is None:
        return None

    def tell(what: str, share: float, figures: Mapping[str, float]) -> None:
        progress(what, (number + share) / count, figures)
    return tell


def _network() -> 'training.NextNetwork':
    from openstack_rca.detectors import training
    return training.NextNetwork(keys.INPUTS, _WIDTH, _LAYERS, _DROPOUT)


def _sequences(read: features.Tables) -> pl.DataFrame:
    """Sequences of a recording: ``sequence`` as a word, ``ks`` its keys."""
    # Notifications carry the clock of whoever sends them, at another moment
    # than the log line: which of both is first says nothing.
    own = read.keys.select('k', 'key', 'binary', 'host', 'notified', 'first',
                           'asked', 'access')
    asked = read.said.join(own, on='k').select(
        'r', 'binary', 'host', 'notified', 'k', 'key', t='delay')
    # What access logs tell of nobody's request is in no order either.
    alone = own.filter(~pl.col('asked') & ~pl.col('access')).select(
        pl.lit(None, pl.UInt32).alias('r'), 'binary', 'host', 'notified',
        'k', 'key', t='first')
    whose = ['r', 'binary', 'host', 'notified']
    said = pl.concat([asked.cast({'r': pl.UInt32}), alone]).sort(
        *whose, 't', 'key').with_columns(
            step=(pl.col('t').diff() > _TOGETHER).fill_null(False)
            .cum_sum().over(whose))
    return said.sort(*whose, 'step', 'key').group_by(
        whose, maintain_order=True).agg(ks=pl.col('k').head(_LENGTH)).select(
            'ks', sequence=pl.col('ks').cast(pl.List(pl.String())).list.join(
                ' '))
