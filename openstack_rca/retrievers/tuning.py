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
"""Teach the embedder what belongs together; needs torch.

Pairs of what is asked and what is known about it are drawn together, and away
from the other pairs of their batch (InfoNCE; van den Oord, Li and Vinyals,
"Representation Learning with Contrastive Predictive Coding", 2018; in both
directions). The embeddings of words stay as they are: pairs are few, and a
word that none of them has must keep its meaning.
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import random
import shutil
import tempfile
from typing import Any

import numpy as np
from oslo_log import log as logging
from safetensors import torch as files
import torch
from torch.nn import functional

from openstack_rca import exception
from openstack_rca.detectors import bert
from openstack_rca.detectors import checkpoints

LOG = logging.getLogger(__name__)

#: How much the likeness of a pair counts against that of others.
_SHARP = 20.0
_DECAY = 0.01
_WEIGHTS = 'model.safetensors'
_CHECKPOINT = '.checkpoint.safetensors'
#: So many pairs are needed, so that some can be held out.
LEAST = 20

#: Told the epoch, the share of it that is done, and figures.
Told = Callable[[int, float, dict[str, float]], None]


@dataclasses.dataclass(frozen=True)
class Pair:
    """What belongs together.

    :param asked: an issue, the lines of a failure
    :param known: its cause, its resolution
    """

    asked: str
    known: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the embedder is taught.

    :param epochs: passes over the pairs
    :param rate: learning rate of AdamW
    :param batch: pairs of a step
    :param held: share of the pairs that is not learned from
    :param seed: of everything that is random
    """

    epochs: int = 3
    rate: float = 2e-5
    batch: int = 16
    held: float = 0.2
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of it.

    :param learned: pairs that were learned from
    :param held: pairs that were held out
    :param before: share of these whose known side was found first among all
        known sides, before
    :param after: and after
    :param epoch: the best one, 0 where none was better than before
    """

    learned: int
    held: int
    before: float
    after: float
    epoch: int


def tune(pairs: Sequence[Pair], source: pathlib.Path, target: pathlib.Path,
         settings: Settings | None = None,
         told: Told | None = None) -> Outcome:
    """Teach a model, and keep it as a folder of its own.

    An interrupted run goes on after its last whole epoch when it is called
    again with the same pairs, settings and target.

    :param pairs: at least :data:`LEAST`
    :param source: folder of a sentence-transformers model of BERT's kind
    :param target: where the model goes; nothing may be there
    :param settings: how
    :param told: called while it goes on
    :raises InvalidInput: there are too few pairs, or something is at the
        target
    :raises ModelError: the model cannot be read or kept
    """
    settings = settings or Settings()
    pairs = list(dict.fromkeys(pairs))
    if len(pairs) < LEAST:
        raise exception.InvalidInput(
            reason=f'There are {len(pairs)} pairs of what is asked and what '
            f'is known; at least {LEAST} are needed. Record resolutions of '
            'incidents and rate analyses, or import knowledge that has them.')
    if target.exists():
        raise exception.InvalidInput(
            reason=f'{target} is there already. Name a new folder.')
    try:
        encoder = bert.Encoder(source)
    except (OSError, ValueError, KeyError) as error:
        raise exception.ModelError(
            name=str(source), reason=f'it is no model of the kind that can '
            f'be taught: {error}') from error
    learned, held = _divided(pairs, settings)
    teacher = _Teacher(encoder, settings, target.with_name(
        target.name + _CHECKPOINT), checkpoints.identity({
            'pairs': [[p.asked, p.known] for p in pairs],
            'settings': dataclasses.asdict(settings)}))
    before = found(encoder, held, pairs)
    best = teacher.run(learned, lambda: found(encoder, held, pairs), before,
                       told)
    try:
        _keep(encoder, source, target)
    except OSError as error:
        raise exception.ModelError(
            name=str(target),
            reason=f'it cannot be kept: {error.strerror or error}'
        ) from error
    checkpoints.remove(teacher.path)
    return Outcome(len(learned), len(held), before, best[0], best[1])


def _divided(pairs: Sequence[Pair],
             settings: Settings) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from, and others; what is known is never in both."""
    known = sorted({p.known for p in pairs})
    random.Random(settings.seed).shuffle(known)  # noqa: S311
    away = set(known[:max(1, round(settings.held * len(known)))])
    return ([p for p in pairs if p.known not in away],
            [p for p in pairs if p.known in away])


def found(encoder: bert.Encoder, asked: Sequence[Pair],
          pairs: Sequence[Pair]) -> float:
    """Share of pairs whose known side is the nearest of all.

    :param encoder: gives the points
    :param asked: pairs that are asked about
    :param pairs: whose known sides there are
    """
    known = list(dict.fromkeys(p.known for p in pairs))
    near = (encoder.encode([p.asked for p in asked])
            @ encoder.encode(known).T).argmax(1)
    return float(np.mean([known[place] == pair.known for place, pair in zip(
        near, asked, strict=True)]))


class _Teacher:
    """One training.

    :param encoder: what is taught
    :param settings: how
    :param path: of the checkpoint
    :param name: what tells this training from others
    """

    def __init__(self, encoder: bert.Encoder, settings: Settings,
                 path: pathlib.Path, name: str) -> None:
        self.path = path
        self._encoder = encoder
        self._name = name
        self._settings = settings
        self._taught = {key: value for key, value in sorted(
            encoder.weights.items()) if key.startswith('encoder.')}
        for value in self._taught.values():
            value.requires_grad_()
        self._optimizer = torch.optim.AdamW(
            self._taught.values(), lr=settings.rate, weight_decay=_DECAY)

    def run(self, pairs: Sequence[Pair], judge: Callable[[], float],
            before: float, told: Told | None) -> tuple[float, int]:
        """Teach, and leave the best weights in the encoder.

        :param pairs: what is learned
        :param judge: how good it is, higher is better
        :param before: how good it was
        :param told: called while it goes on
        :returns: how good the best one is, and its epoch
        """
        best, kept = (before, 0), self._copied()
        first = 0
        held = checkpoints.read(self.path, self._name)
        if held:
            first, best, kept = self._resumed(*held)
            LOG.info('Goes on after epoch %d of %s', first, self.path)
        for epoch in range(first, self._settings.epochs):
            loss = self._epoch(pairs, epoch, told)
            value = judge()
            if value > best[0]:
                best, kept = (value, epoch + 1), self._copied()
            self._write(epoch + 1, best, kept)
            if told:
                told(epoch + 1, 1.0, {'loss': loss, 'found': value})
        with torch.no_grad():
            for key, value_ in kept.items():
                self._taught[key].copy_(value_)
        return best

    def _epoch(self, pairs: Sequence[Pair], epoch: int,
               told: Told | None) -> float:
        dice = random.Random(self._settings.seed * 1000 + epoch)  # noqa: S311
        order = list(pairs)
        dice.shuffle(order)
        size = self._settings.batch
        losses = []
        for at in range(0, len(order), size):
            some = order[at:at + size]
            loss = self._step(some)
            losses.append(loss)
            if told:
                told(epoch + 1, min(1.0, (at + size) / len(order)),
                     {'loss': sum(losses) / len(losses)})
        return sum(losses) / max(1, len(losses))

    def _step(self, pairs: Sequence[Pair]) -> float:
        left = self._encoder.points([p.asked for p in pairs])
        right = self._encoder.points([p.known for p in pairs])
        likeness = _SHARP * left @ right.T
        # What has the same known side is no other.
        same = torch.tensor([[a.known == b.known and a is not b
                              for b in pairs] for a in pairs])
        likeness = likeness.masked_fill(same, -1e4)
        place = torch.arange(len(pairs))
        loss = (functional.cross_entropy(likeness, place)
                + functional.cross_entropy(likeness.T, place)) / 2
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._taught.values(), 1.0)
        self._optimizer.step()
        return float(loss.detach())

    def _copied(self) -> dict[str, torch.Tensor]:
        return {k: v.detach().clone() for k, v in self._taught.items()}

    def _write(self, epoch: int, best: tuple[float, int],
               kept: dict[str, torch.Tensor]) -> None:
        arrays: dict[str, np.ndarray] = {}
        for key, value in self._taught.items():
            state = self._optimizer.state[value]
            arrays |= {f'now.{key}': value.detach().numpy(),
                       f'best.{key}': kept[key].numpy(),
                       f'first.{key}': state['exp_avg'].numpy(),
                       f'second.{key}': state['exp_avg_sq'].numpy()}
        step = float(next(iter(self._optimizer.state.values()))['step'])
        checkpoints.write(self.path, self._name, arrays, {
            'epoch': epoch, 'best': best, 'step': step})

    def _resumed(self, arrays: dict[str, np.ndarray],
                 beside: dict[str, Any]) -> tuple[
                     int, tuple[float, int], dict[str, torch.Tensor]]:
        kept = {}
        with torch.no_grad():
            for key, value in self._taught.items():
                value.copy_(torch.from_numpy(arrays[f'now.{key}']))
                kept[key] = torch.from_numpy(arrays[f'best.{key}'].copy())
                self._optimizer.state[value] = {
                    'step': torch.tensor(float(beside['step'])),
                    'exp_avg': torch.from_numpy(
                        arrays[f'first.{key}'].copy()),
                    'exp_avg_sq': torch.from_numpy(
                        arrays[f'second.{key}'].copy())}
        value_, epoch = beside['best']
        return int(beside['epoch']), (float(value_), int(epoch)), kept


def _keep(encoder: bert.Encoder, source: pathlib.Path,
          target: pathlib.Path) -> None:
    """Write a model beside its target, and then in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = pathlib.Path(tempfile.mkdtemp(prefix='.new-', dir=target.parent))
    try:
        for path in source.iterdir():
            if path.is_dir():
                shutil.copytree(path, aside / path.name)
            elif path.name != _WEIGHTS:
                shutil.copyfile(path, aside / path.name)
        files.save_file({k: v.detach().contiguous() for k, v
                         in encoder.weights.items()}, aside / _WEIGHTS)
        os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
