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
"""A detector that learns next to nothing, for the tests of training."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import Self

import numpy as np
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base


class TinyDetector(base.LearnedDetector):
    """Learns how many events a recording has."""

    def __init__(self, mean: float = 0.0, seed: int = 0) -> None:
        self.mean = mean
        self.seed = seed

    @staticmethod
    def _events(recording: base.Recording) -> int:
        return int(recording.store.narrow(recording.query).select(
            pl.len()).collect().item())

    def fit(self, corpus: Sequence[base.Recording], settings: base.Settings,
            progress: base.Progress | None = None,
            checkpoint: pathlib.Path | None = None) -> dict[str, float]:
        """Learn, see the abstract class."""
        counts = [self._events(recording) for recording in corpus
                  if recording.harmed is not True]
        if not counts:
            raise exception.InvalidInput(reason='Too little to learn from.')
        for number, _ in enumerate(counts):
            if progress is not None:
                progress('count', number / len(counts), {'loss': 0.5})
        self.mean = sum(counts) / len(counts)
        self.seed = settings.seed
        return {'f1': 0.5}

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was learned, see the abstract class."""
        return ({'mean': np.array([self.mean])},
                {'seed': self.seed, 'thresholds': {'score': 0.5}})

    @classmethod
    def from_state(cls, arrays: Mapping[str, Any],
                   metadata: Mapping[str, Any]) -> Self:
        """A detector that has learned, see the abstract class."""
        if set(arrays) != {'mean'} or 'seed' not in metadata:
            raise exception.ModelError(name='tiny', reason='it is another.')
        return cls(float(arrays['mean'][0]), int(metadata['seed']))

    def score(self, recording: base.Recording) -> float:
        """How abnormal the number of events is."""
        return min(abs(self._events(recording) - self.mean) / 1000, 1.0)

    def explain(self, recording: base.Recording,
                score: float) -> pl.DataFrame:
        """The first template, see the abstract class."""
        first = recording.store.narrow(recording.query).filter(
            pl.col('timestamp').is_not_null()).sort('timestamp').head(
                1).collect()
        return first.select(
            'service', 'binary', 'host', 'template',
            since='timestamp', until='timestamp', sign=pl.lit('model'),
            score=pl.lit(score), why=pl.lit('so many events')).cast(
                base.SYMPTOMS)  # type: ignore[arg-type]
