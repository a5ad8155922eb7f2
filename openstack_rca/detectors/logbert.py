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
"""Hidden messages, and how far a sequence lies from the normal ones.

LogBERT (Guo, Yuan and Wu, "LogBERT: Log anomaly detection via BERT", 2021):
a transformer learns to tell hidden message keys of normal sequences by the
others, and to draw these sequences together around one middle (the volume
of a hypersphere). A sequence is abnormal when hidden keys are not among
those that were most to be expected, and when it lies far from the middle.

A sequence is all that services say of one request in five minutes, or what
one process says beside its requests, each key once, in the order in which
it is first said. Unlike in the paper a key is not a number but the meaning
of its words (a sentence embedding) and a few flags, so that one which was
never seen still has a place as context; it is never expected. What is hard
to tell in quiet times counts less, and what is missed in many sequences counts
once.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.detectors import calibration
from openstack_rca.detectors import features
from openstack_rca.detectors import keys
from openstack_rca.detectors import meaning

if TYPE_CHECKING:
    from openstack_rca.detectors import networks

_SECONDS = 300.0
#: Keys of a sequence that are looked at.
_LENGTH = 32
#: Parts in which a key has to be to be expected.
_LEAST_SEEN = 2
_MOST_KEYS = 4000
#: Distinct sequences that are learned from, the most frequent ones.
_MOST_SEQUENCES = 20000
#: Steps of an epoch, at least.
_STEPS = 32
_WIDTH = 64
_HEADS = 4
_LAYERS = 2
_DROPOUT = 0.1
#: New texts that one judgement embeds.
_MOST_NEW = 64
#: Weight of the distance from the middle in training, and in a judgement.
_PULL = 0.1
_OUTLYING = 0.1
#: A key is expected when it is among so many.
_CANDIDATES = 5
#: How much less a key counts that is hard to tell: by a factor of e where
#: one in so many of its occurrences in quiet times is not expected.
_HARDNESS = 8.0
#: Messages, and sequences, that make the value of a part.
_TOP = 5
#: Times that a key is believed to have been as hard to tell as all are.
_BELIEVED = 2.0
#: Percentile of normal distances beyond which a sequence lies out.
_FAR = 0.95
_LEAST_RADIUS = 1e-6
#: Messages that an explanation names.
_SUSPECTS = 8

#: Kinds of keys: five levels, answers, and those of 400 or more.
_KINDS = 7

class LogbertDetector(calibration.CalibratedDetector[features.Tables]):
    """Judges five minutes by the messages that were not to be expected."""

    name = 'logbert'

    def __init__(self) -> None:
        super().__init__()
        self._space = meaning.Space(keys.MEANING)
        self._keys: dict[str, int] = {}
        self._words: list[str] = []
        self._inputs = np.zeros((0, keys.INPUTS), np.float32)
        #: How often each key is not expected in quiet times.
        self._hard = np.zeros(0)
        #: How many keys of each kind that nobody knows a quiet part has.
        self._new = np.zeros(_KINDS)
        self._radius = 1.0
        self._network: networks.KeyNetwork | None = None

    def _read(self, recording: base.Recording) -> list[
            tuple[int, features.Tables]]:
        return [(number, t) for number, t in features.windows(
            recording.store, recording.query, _SECONDS)
            if t.start is not None]

    # Learning

    def _learn(self, examples: calibration.Examples[features.Tables],
               settings: base.Settings, progress: base.Progress | None,
               checkpoint: pathlib.Path | None) -> dict[str, float]:
        """Learn from what was not harmed, see the abstract class."""
        import torch

        from openstack_rca.detectors import networks
        from openstack_rca.detectors import training
        held = examples.held[examples.owner][~examples.labels[
            examples.owner]]
        learned, apart = (
            [t for (_, t), out in zip(examples.normal, held, strict=True)
             if out is wanted] for wanted in (np.False_, np.True_))
        known = keys.often([t.keys for t in learned], _LEAST_SEEN,
                           _MOST_KEYS)
        if known.height < 2:
            raise exception.InvalidInput(
                reason='There is too little to learn from: hardly a message '
                'is said more than once. Add recordings.')
        self._keys = {key: n for n, key in enumerate(known['key'])}
        self._words = known['words'].to_list()
        self._space.learn(sorted(set(keys.texts(known))))
        self._inputs = keys.described(known, self._space)
        sequences, out = self._distinct(learned, apart)
        # What is said again and again is one sequence: an epoch is short.
        settings = dataclasses.replace(settings, batch=max(1, min(
            settings.batch, int((~out).sum()) // _STEPS)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._network = network()
            told = training.teach(
                self._network, networks.HiddenKeys(
                    sequences, self._inputs, _PULL), out, settings,
                progress, checkpoint and checkpoint / self.name)
        self._settled(apart)
        return told | {'keys': float(len(self._keys)),
                       'sequences': float(len(sequences))}

    def _distinct(self, learned: Sequence[features.Tables],
                  apart: Sequence[features.Tables]) -> tuple[
                      np.ndarray, np.ndarray]:
        """Distinct sequences of known keys, and which are for validation.

        One that occurs in both parts is learned from.
        """
        counts: list[dict[tuple[int, ...], int]] = [{}, {}]
        for into, part in zip(counts, (learned, apart), strict=True):
            for t in part:
                number = _numbers(t)
                for ks in _sequences(t)['ks']:
                    row = tuple(self._keys[number[k]] for k in ks
                                if number[k] in self._keys)
                    if row:
                        into[row] = into.get(row, 0) + 1
        train, rest = (sorted(c, key=lambda row: (-c[row], row))[
            :_MOST_SEQUENCES] for c in counts)
        # With nothing new in it, the held-out part is validated by itself.
        new = [row for row in rest if row not in counts[0]] or rest or train
        padded = np.full((len(train) + len(new), _LENGTH), -1, np.int64)
        for n, row in enumerate([*train, *new]):
            padded[n, :len(row)] = row
        return padded, np.arange(len(padded)) >= len(train)

    def _settle(self, normal: Sequence[
            tuple[str, features.Tables]]) -> None:
        self._settled([t for _, t in normal])

    def _settled(self, normal: Sequence[features.Tables]) -> None:
        """Learn how hard each key is to tell, and how far sequences lie."""
        missed = np.zeros(len(self._keys))
        often = np.zeros(len(self._keys))
        new = np.zeros(_KINDS)
        far: list[np.ndarray] = []
        for t in normal:
            told, distances = self._told(t)
            known = told.filter(pl.col('v') >= 0)
            np.add.at(often, known['v'].to_numpy(), 1.0)
            np.add.at(missed, known['v'].to_numpy(),
                      known['missed'].to_numpy().astype(np.float64))
            np.add.at(new, told.filter(pl.col('v') < 0).unique('k')[
                'kind'].to_numpy(), 1.0)
            far.append(distances)
        all_in_all = float(missed.sum() / max(1.0, often.sum()))
        self._hard = (missed + _BELIEVED * all_in_all) / (often + _BELIEVED)
        self._new = new / max(1, len(normal))
        every = np.concatenate(far) if far else np.zeros(0)
        self._radius = max(_LEAST_RADIUS, float(
            np.quantile(every, _FAR)) if len(every) else 1.0)

    # Judging

    def _told(self, read: features.Tables) -> tuple[
            pl.DataFrame, np.ndarray]:
        """What each key of each distinct sequence was expected to be.

        :returns: ``sequence`` (its number), ``k``, ``v`` (number of the
            key, -1 of one that is not known), ``kind`` (see :func:`_kind`),
            ``missed``, ``best`` (the key that was most to be expected);
            distances of the sequences
        """
        if self._network is None:
            raise self.nothing_learned()
        import torch

        from openstack_rca.detectors import networks
        from openstack_rca.detectors import training
        known = len(self._keys)
        number = _numbers(read)
        strange = read.keys.select(*keys.SCHEMA).filter(
            ~pl.col('key').is_in(list(self._keys)))
        place = self._keys | {
            key: known + n for n, key in enumerate(strange['key'])}
        table = torch.from_numpy(np.concatenate([
            self._inputs, keys.described(strange, self._space, _MOST_NEW)]))
        rows = list(dict.fromkeys(
            tuple(ks) for ks in _sequences(read)['ks']))
        padded = np.full((len(rows), _LENGTH), -1, np.int64)
        for n, row in enumerate(rows):
            padded[n, :len(row)] = [place[number[k]] for k in row]
        sequences = torch.from_numpy(padded)
        missed = np.zeros(padded.shape, bool)
        best = np.zeros(padded.shape, np.int64)
        distances = np.zeros(len(rows))
        turn = torch.arange(_LENGTH) % networks.PASSES
        with training.one_thread(), torch.no_grad():
            for one in range(networks.PASSES):
                hidden = (sequences >= 0) & (turn == one)
                likely, whole = self._network(sequences, table, known,
                                              hidden)
                top = likely.topk(min(_CANDIDATES, known), -1).indices
                met = (top == sequences[hidden][:, None]).any(-1)
                missed[hidden.numpy()] = ~met.numpy()
                best[hidden.numpy()] = top[:, 0].numpy()
                distances += self._network.distances(
                    whole).numpy() / networks.PASSES
        at = np.argwhere(padded >= 0)
        v = padded[padded >= 0]
        return pl.DataFrame({
            'sequence': at[:, 0].astype(np.int64),
            'k': pl.Series([rows[n][m] for n, m in at], dtype=pl.UInt32()),
            'v': np.where(v < known, v, -1), 'missed': missed[padded >= 0],
            'best': best[padded >= 0]}).join(
                read.keys.select('k', kind=_kind()), on='k', how='left',
                maintain_order='left'), distances

    def _weighed(self, read: features.Tables) -> tuple[
            pl.DataFrame, np.ndarray]:
        """What was not to be expected, and how far sequences lie out.

        :returns: as :meth:`_told`, each ``k`` once where it was expected
            least, with ``adds``, the largest first; what lies within the
            normal distance is 0
        """
        told, distances = self._told(read)
        v = told['v'].to_numpy()
        weight = np.where(
            v < 0, 1 / (1 + self._new[told['kind'].to_numpy()]),
            np.exp(-_HARDNESS * self._hard[np.maximum(v, 0)]))
        told = told.with_columns(adds=pl.Series(
            weight * told['missed'].to_numpy(), dtype=pl.Float64)).sort(
                'adds', 'k', 'sequence',
                descending=[True, False, False]).unique(
                    'k', maintain_order=True)
        return told, np.log(np.maximum(distances / self._radius, 1.0))

    def _values(self, parts: Sequence[features.Tables],
                groups: Sequence[str] = ()) -> np.ndarray:
        """The share of what was least to be expected, and the distances."""
        values = []
        for part in parts:
            told, outlying = self._weighed(part)
            values.append((
                float(told['adds'].head(_TOP).sum())
                + _OUTLYING * float(np.sort(outlying)[-_TOP:].sum())) / _TOP)
        return np.array(values)

    def _known(self, parts: Sequence[features.Tables]) -> float:
        if self._network is None:
            raise self.nothing_learned()
        said = {key for t in parts for key in t.keys['key']}
        return len(said & self._keys.keys()) / max(1, len(said))

    def _reasons(self, part: features.Tables) -> pl.DataFrame:
        """The messages that were not to be expected."""
        told, _ = self._weighed(part)
        expected = pl.Series([self._words[n] for n in told['best']],
                             dtype=pl.String)
        told = told.with_columns(
            expected=expected, never=pl.col('v') < 0).filter(
                pl.col('adds') > 0).head(_SUSPECTS)
        quiet = pl.when('never').then(pl.lit(
            'which quiet times never say')).otherwise(pl.lit(
                'which is seldom said there'))
        # Of what is as unexpected, the louder is told first.
        loud = 1 + pl.col('level').cast(pl.Float64) / 100
        return told.join(part.keys, on='k', maintain_order='left').select(
            pl.lit('order').alias('feature'), 'service', 'binary', 'host',
            'template', since=features.moment(part.start, 'first'),
            until=features.moment(part.start, 'last'),
            why=pl.format('"{}", {}: the messages around it lead to expect '
                          '"{}"', 'words', quiet, 'expected'),
            adds=pl.col('adds') * loud).cast(
                calibration.REASONS)  # type: ignore[arg-type]

    # Keeping

    def _kept(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if self._network is None:
            raise self.nothing_learned()
        from openstack_rca.detectors import networks
        placed, texts = self._space.state()
        return {f'space.{n}': a for n, a in placed.items()} | {
            'inputs': self._inputs, 'hard': self._hard, 'new': self._new,
            'radius': np.array([self._radius])} | networks.arrays(
                self._network), {
            'keys': list(self._keys), 'words': self._words, 'texts': texts}

    def _take(self, arrays: Mapping[str, np.ndarray],
              metadata: Mapping[str, Any]) -> None:
        from openstack_rca.detectors import networks
        self._keys = {str(key): n for n, key in enumerate(metadata['keys'])}
        self._words = [str(text) for text in metadata['words']]
        count = len(self._keys)
        if len(self._words) != count or count < 2:
            raise ValueError('keys and words do not fit each other')
        made = network()
        calibration.check_shapes(arrays, {
            'inputs': (count, keys.INPUTS), 'hard': (count,),
            'new': (_KINDS,), 'radius': (1,),
            'space.center': (meaning.WIDTH,),
            'space.axes': (meaning.WIDTH, keys.MEANING),
            'space.places': (len(metadata['texts']), keys.MEANING),
            **networks.shapes(made)})
        self._space = meaning.Space.from_state(
            {name.removeprefix('space.'): array
             for name, array in arrays.items()
             if name.startswith('space.')}, metadata['texts'], keys.MEANING)
        self._inputs = arrays['inputs'].astype(np.float32)
        self._hard = arrays['hard'].astype(np.float64)
        self._new = arrays['new'].astype(np.float64)
        self._radius = float(arrays['radius'][0])
        if self._radius <= 0 or (self._new < 0).any():
            raise ValueError('its radius or a count is not positive')
        networks.load(made, arrays)
        self._network = made


def network() -> 'networks.KeyNetwork':
    """The network before it has learned."""
    from openstack_rca.detectors import networks
    return networks.KeyNetwork(keys.INPUTS, _LENGTH, _WIDTH, _HEADS,
                               _LAYERS, _DROPOUT)


def _kind() -> pl.Expr:
    """What a key is, as far as one that nobody knows tells.

    How often new ones are met in quiet times differs: among DEBUG records
    there are always some.
    """
    return pl.when(pl.col('access')).then(
        pl.when(pl.col('status') >= 400).then(6).otherwise(5)).otherwise(
            (pl.col('level').cast(pl.Int32) // 10).clip(0, 4))


def _numbers(read: features.Tables) -> dict[int, str]:
    """The keys of a part by their numbers in it."""
    return dict(zip(read.keys['k'], read.keys['key'], strict=True))


def _sequences(read: features.Tables) -> pl.DataFrame:
    """Sequences of a part: ``ks``, the numbers of their keys."""
    asked = read.said.sort('r', 'delay', 'k').group_by(
        'r', maintain_order=True).agg(ks=pl.col('k').head(_LENGTH))
    alone = read.keys.filter(~pl.col('asked')).sort('first', 'k').group_by(
        'binary', 'host', maintain_order=True).agg(
            ks=pl.col('k').head(_LENGTH))
    return pl.concat([asked.select('ks'), alone.select('ks')])
