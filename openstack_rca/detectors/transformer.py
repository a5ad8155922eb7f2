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
"""A transformer over the steps of five-minute windows.

Numbers, flags and categories of each step (:mod:`openstack_rca.detectors.
windows`) are brought into one vector; an encoder relates the steps; what is
seen in them on average is joined with the aggregates of the window and
judged by a head of three layers (Vaswani et al., "Attention is all you
need", 2017).

With labels it learns to tell harmed recordings from others, each by the
most abnormal of its windows. Without, it learns to tell hidden steps by the
others, and what it cannot tell is abnormal.
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

#: Windows that are judged at once.
_BATCH = 256
#: The least abnormal steps tell nothing: so many of the most abnormal ones
#: make the value of a window where there were no labels.
_TOP_STEPS = 3
_LEAST_ERROR = 1e-6

#: Steps and records of each that an explanation names.
_STEPS = 3
_RECORDS = 3
_DEVIATING = 2


class TransformerDetector(windows.WindowDetector):
    """Judges windows of five minutes by their steps."""

    name = 'transformer'

    def __init__(self) -> None:
        super().__init__()
        self._network: networks.WindowNetwork | None = None
        self._labelled = False

    def _learn(self, examples: calibration.Examples[windows.Window],
               settings: base.Settings, progress: base.Progress | None,
               checkpoint: pathlib.Path | None) -> dict[str, float]:
        """Learn, see the abstract class."""
        import torch

        from openstack_rca.detectors import networks
        from openstack_rca.detectors import training
        self._labelled = examples.both
        self._normal = windows.Normal.learn(examples.normal)
        seen = self._normal.vectors(examples.parts, examples.part_groups)
        lesson: training.Lesson
        if examples.both:
            lesson = networks.Bags(
                [seen.numbers, seen.categories, seen.there, seen.wholes],
                _bags(examples.owner), examples.labels)
        else:
            lesson = networks.Rebuilding(seen.numbers, seen.categories,
                                         seen.there)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._network = network()
            return training.teach(
                self._network, lesson, examples.held, settings, progress,
                checkpoint and checkpoint / self.name)

    def _settle(self, normal: Sequence[tuple[str, windows.Window]]) -> None:
        assert self._normal is not None
        self._normal = windows.Normal.learn(normal, self._normal.values)

    def _values(self, parts: Sequence[windows.Window],
                groups: Sequence[str] = ()) -> np.ndarray:
        """Logits of windows, or how badly their steps are told."""
        if self._normal is None or self._network is None:
            raise self.nothing_learned()
        import torch

        from openstack_rca.detectors import training
        found = []
        for first in range(0, len(parts), _BATCH):
            tensors = _tensors(self._normal.vectors(
                parts[first:first + _BATCH], groups[first:first + _BATCH]))
            with training.one_thread(), torch.no_grad():
                if self._labelled:
                    found.append(self._network(*tensors))
                    continue
                errors = self._network.errors(*tensors[:3]).mean(-1)
                top = errors.topk(_TOP_STEPS, 1).values.mean(1)
                found.append((top + _LEAST_ERROR).log())
        values: np.ndarray = torch.cat(found).numpy().astype(np.float64)
        return values

    def _unit(self, normal: np.ndarray) -> float:
        """Logits are in a unit of their own."""
        return 1.0 if self._labelled else super()._unit(normal)

    def attention(self, window: windows.Window) -> np.ndarray:
        """How much each step of a window is attended to, 1 in all.

        :param window: that was read
        :raises ModelError: nothing was learned
        """
        if self._normal is None or self._network is None:
            raise self.nothing_learned()
        import torch

        from openstack_rca.detectors import training
        tensors = _tensors(self._normal.vectors([window]))
        with training.one_thread(), torch.no_grad():
            weights: np.ndarray = self._network.attended(
                *tensors[:3])[0].numpy().astype(np.float64)
        return weights[:window.steps.height]

    def _reasons(self, part: windows.Window) -> pl.DataFrame:
        """The attended steps, and what stands out in them."""
        assert self._normal is not None and self._network is not None
        weights = self.attention(part)
        told = self._normal.compared(part).with_columns(
            adds=windows.stands_out(self._normal.groups)
            * pl.lit(pl.Series(weights * len(weights))).gather(
                pl.col('step')),
            begin=pl.col('first').min().over('step').dt.strftime('%H:%M:%S'))
        steps = told.group_by('step').agg(pl.col('adds').max()).sort(
            'adds', 'step', descending=[True, False]).head(_STEPS)['step']
        numbers = self._normal.vectors([part]).numbers[0]
        rows = []
        for step in steps:
            share = round(float(weights[step]) * len(weights), 2)
            deviates = windows.deviating(self._normal, numbers[step],
                                         _DEVIATING)
            said = told.filter(pl.col('step') == step).sort(
                'adds', 'key', descending=[True, False]).unique(
                    list(windows.WHO), maintain_order=True)
            rows.append(said.head(_RECORDS).select(
                pl.lit('attention').alias('feature'), *windows.WHO,
                pl.col('first').alias('since'),
                pl.col('last').alias('until'),
                pl.format(
                    'the step at {} has {} times the mean attention of its '
                    'window ({}); in it: {}', 'begin', pl.lit(share),
                    pl.lit(deviates), 'words').alias('why'), 'adds'))
        return pl.concat(rows).cast(
            calibration.REASONS)  # type: ignore[arg-type]

    def _kept(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if self._normal is None or self._network is None:
            raise self.nothing_learned()
        from openstack_rca.detectors import networks
        kept, told = self._normal.state()
        return {f'normal.{n}': a for n, a in kept.items()} | networks.arrays(
            self._network), {'normal': told, 'labelled': self._labelled,
                             'features': list(windows.FEATURES)}

    def _take(self, arrays: Mapping[str, np.ndarray],
              metadata: Mapping[str, Any]) -> None:
        from openstack_rca.detectors import networks
        made = network()
        self._normal = windows.restored(arrays, metadata,
                                        networks.shapes(made))
        networks.load(made, arrays)
        self._network = made
        self._labelled = bool(metadata['labelled'])


def network() -> 'networks.WindowNetwork':
    """The network before it has learned."""
    from openstack_rca.detectors import networks
    return networks.WindowNetwork(
        len(windows.NUMERIC) + len(windows.BINARY),
        [windows.SIZES[name] for name in windows.CATEGORICAL],
        len(windows.AGGREGATE), windows.STEPS)


def _tensors(seen: windows.Vectors) -> list[Any]:
    """Windows as the network takes them."""
    import torch
    return [torch.from_numpy(a) for a in (
        seen.numbers, seen.categories, seen.there, seen.wholes)]


def _bags(owner: np.ndarray) -> np.ndarray:
    """The windows of each recording, -1 where there is none."""
    sizes = np.bincount(owner)
    found = np.full((len(sizes), sizes.max()), -1, np.int64)
    for number, size in enumerate(sizes):
        found[number, :size] = np.flatnonzero(owner == number)
    return found
