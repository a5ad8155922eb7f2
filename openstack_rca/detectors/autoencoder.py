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
"""An autoencoder over windows: what cannot be rebuilt is abnormal.

A window is one vector: its aggregates, and of each number of its steps
(:mod:`openstack_rca.detectors.windows`) the mean, the deviation and the
extremes, and of each flag the share of the steps that have it. A network
with a narrow place in its middle learns to rebuild the vectors of normal
windows, each number by the others too, since some are hidden in training
(Vincent et al., "Extracting and composing robust features with denoising
autoencoders", 2008). It never learns from recordings in which users were
harmed: labels only tell how good it is.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from openstack_rca.detectors import base
from openstack_rca.detectors import calibration
from openstack_rca.detectors import windows

if TYPE_CHECKING:
    from openstack_rca.detectors import networks

_WIDTH = 64
_NARROW = 12
_DROPOUT = 0.1
#: The least deviation of an error, and the least error.
_LEAST_SPREAD = 0.1
_LEAST_ERROR = 1e-6
#: Errors that make the value of a window: the largest ones.
_TOP = 8
#: Features that an explanation names, and records of each.
_FEATURES = 4
_RECORDS = 2

#: What is taken of each number of the steps.
_STATISTICS = ('mean', 'deviation', 'highest', 'lowest')
#: The numbers of a vector.
INPUTS = [
    *windows.AGGREGATE,
    *(f'{name} {what}' for what in _STATISTICS for name in windows.NUMERIC),
    *(f'{name} share' for name in windows.BINARY)]


class AutoencoderDetector(windows.WindowDetector):
    """Judges windows of five minutes by how badly they are rebuilt."""

    name = 'autoencoder'

    def __init__(self) -> None:
        super().__init__()
        self._network: networks.AutoEncoder | None = None
        #: How large the error of each number is in normal windows.
        self._spread = np.ones(len(INPUTS))

    def _learn(self, examples: calibration.Examples[windows.Window],
               settings: base.Settings, progress: base.Progress | None,
               checkpoint: pathlib.Path | None) -> dict[str, float]:
        """Learn from what was not harmed, see the abstract class."""
        import torch

        from openstack_rca.detectors import networks
        from openstack_rca.detectors import training
        unharmed = ~examples.labels[examples.owner]
        held = examples.held[examples.owner][unharmed]
        self._normal = windows.Normal.learn(examples.normal)
        vectors = self._vectors([p for _, p in examples.normal],
                                [g for g, _ in examples.normal])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._network = network()
            told = training.teach(
                self._network, networks.Mirroring(vectors), held, settings,
                progress, checkpoint and checkpoint / self.name)
        self._spread = self._spreads(vectors)
        return told

    def _settle(self, normal: Sequence[tuple[str, windows.Window]]) -> None:
        assert self._normal is not None
        self._normal = windows.Normal.learn(normal, self._normal.values)
        self._spread = self._spreads(self._vectors(
            [p for _, p in normal], [g for g, _ in normal]))

    def _vectors(self, parts: Sequence[windows.Window],
                 groups: Sequence[str] = ()) -> np.ndarray:
        """Windows as the network sees them."""
        if self._normal is None:
            raise self.nothing_learned()
        seen = self._normal.vectors(parts, groups)
        count = len(windows.NUMERIC)
        there = seen.there[..., None]
        steps = there.sum(1)
        numbers = seen.numbers[..., :count]
        mean = (numbers * there).sum(1) / steps
        deviation = np.sqrt((
            (numbers - mean[:, None]) ** 2 * there).sum(1) / steps)
        highest = np.where(there, numbers, -np.inf).max(1)
        lowest = np.where(there, numbers, np.inf).min(1)
        flags = (seen.numbers[..., count:] * there).sum(1) / steps
        made: np.ndarray = np.concatenate(
            [seen.wholes, mean, deviation, highest, lowest, flags],
            1).astype(np.float32)
        return made

    def _rebuilt(self, vectors: np.ndarray) -> np.ndarray:
        """What is expected of each number."""
        if self._network is None:
            raise self.nothing_learned()
        import torch

        from openstack_rca.detectors import training
        with training.one_thread(), torch.no_grad():
            made: np.ndarray = self._network(
                torch.from_numpy(vectors)).numpy()
        return made

    def _spreads(self, vectors: np.ndarray) -> np.ndarray:
        """How far numbers of normal windows are from what is expected."""
        spread: np.ndarray = np.maximum(_LEAST_SPREAD, np.sqrt(
            ((self._rebuilt(vectors) - vectors) ** 2).mean(0)))
        return spread.astype(np.float64)

    def _errors(self, vectors: np.ndarray) -> np.ndarray:
        """Squared errors of numbers, 1 on average in normal windows."""
        errors: np.ndarray = (
            (self._rebuilt(vectors) - vectors) / self._spread) ** 2
        return errors

    def _values(self, parts: Sequence[windows.Window],
                groups: Sequence[str] = ()) -> np.ndarray:
        """The logarithm of the largest errors of windows."""
        errors = self._errors(self._vectors(parts, groups))
        top = np.sort(errors, 1)[:, -_TOP:].mean(1)
        values: np.ndarray = np.log(top + _LEAST_ERROR).astype(np.float64)
        return values

    def _reasons(self, part: windows.Window) -> pl.DataFrame:
        """The numbers that are rebuilt worst, and what is behind them."""
        assert self._normal is not None
        vectors = self._vectors([part])
        errors = self._errors(vectors)[0]
        expected = self._rebuilt(vectors)[0]
        told = self._normal.compared(part).with_columns(
            stands=windows.stands_out(self._normal.groups))
        rows, named = [], set[str]()
        for place in np.argsort(-errors, kind='stable'):
            name = INPUTS[place]
            feature = name.partition(' ')[0]
            # Mean and extremes of one number are one reason.
            if feature in named:
                continue
            named.add(feature)
            seen, usual = (self._told(name, float(v[place]))
                           for v in (vectors[0], expected))
            about = windows.behind(feature, told).sort(
                'stands', 'first', 'key', descending=[True, False, False])
            about = about.unique(list(windows.WHO), maintain_order=True)
            rows.append(about.head(_RECORDS).select(
                pl.lit(feature).alias('feature'), *windows.WHO,
                pl.col('first').alias('since'),
                pl.col('last').alias('until'), why=pl.format(
                    '{} is {}, expected was {}; behind it: {}',
                    pl.lit(name), pl.lit(seen), pl.lit(usual), 'words'),
                adds=pl.lit(float(np.sqrt(errors[place])))
                * pl.col('stands') / (1 + pl.col('stands'))))
            if len(named) == _FEATURES:
                break
        return pl.concat(rows).cast(
            calibration.REASONS)  # type: ignore[arg-type]

    def _told(self, name: str, value: float) -> str:
        """A number of a vector, for people."""
        assert self._normal is not None
        feature, _, what = name.partition(' ')
        if feature in windows.BINARY:
            return f'{100 * max(0.0, min(1.0, value)):.0f} % of the steps'
        if what == 'deviation':
            return f'{max(0.0, value):.2g} deviations'
        return self._normal.told(feature, value)

    def _kept(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if self._normal is None or self._network is None:
            raise self.nothing_learned()
        from openstack_rca.detectors import networks
        kept, told = self._normal.state()
        return ({f'normal.{n}': a for n, a in kept.items()}
                | {'spread': self._spread} | networks.arrays(self._network),
                {'normal': told, 'features': list(windows.FEATURES)})

    def _take(self, arrays: Mapping[str, np.ndarray],
              metadata: Mapping[str, Any]) -> None:
        from openstack_rca.detectors import networks
        made = network()
        self._normal = windows.restored(arrays, metadata, {
            'spread': (len(INPUTS),), **networks.shapes(made)})
        self._spread = arrays['spread'].astype(np.float64)
        if (self._spread <= 0).any():
            raise ValueError('a spread is not positive')
        networks.load(made, arrays)
        self._network = made


def network() -> 'networks.AutoEncoder':
    """The network before it has learned."""
    from openstack_rca.detectors import networks
    return networks.AutoEncoder(len(INPUTS), _WIDTH, _NARROW, _DROPOUT)
