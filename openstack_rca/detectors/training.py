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
"""What the training of neural detectors shares; needs torch.

Only imported by a detector that learns or scores, since torch takes seconds
to load.
"""

import abc
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import copy
import dataclasses
import importlib.metadata
import math
import pathlib
import time
from typing import Any

import numpy as np
from oslo_log import log as logging
import torch
from torch import nn

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.detectors import checkpoints

LOG = logging.getLogger(__name__)

#: Steps of an epoch, at least: few examples make smaller batches.
_STEPS = 8
#: Norm to which gradients are clipped.
_CLIP = 1.0
#: Examples that are judged at once.
_JUDGED = 1024
_HEAD_STEPS = 400
_HEAD_RATE = 0.03
#: Seconds between two looks at how far a training came.
_PACE = 3.0


def device(name: str) -> torch.device:
    """The device to compute on.

    :param name: ``auto``, ``cpu``, ``cuda`` or ``mps``
    :raises InvalidInput: this machine has no such device
    """
    there = {'cpu': True, 'cuda': torch.cuda.is_available(),
             'mps': torch.backends.mps.is_available()}
    if name == 'auto':
        name = next(n for n in ('cuda', 'mps', 'cpu') if there[n])
    if not there.get(name):
        raise exception.InvalidInput(
            reason=f'There is no device "{name}" here. Use one of '
                   f'{", ".join(n for n in there if there[n])}, or auto.')
    return torch.device(name)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread.

    The networks are so small that threads wait longer than they work, and
    sums of one thread are the same on every machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def head(vectors: np.ndarray, labels: np.ndarray, prior: float,
         pull: float) -> tuple[np.ndarray, float]:
    """Weights of a logistic regression that are not negative.

    Each feature is a sign of harm, and none is trusted far more than
    another unless the recordings say so: the squared distance of the
    weights from the prior is part of the loss.

    :param vectors: one row a recording
    :param labels: 0 or 1
    :param prior: the weight that is believed beforehand
    :param pull: how firmly
    :returns: weights and bias
    """
    x = torch.tensor(vectors, dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32)
    weight = torch.full((x.shape[1],), prior, requires_grad=True)
    bias = torch.tensor(-1.0, requires_grad=True)
    loss = nn.BCEWithLogitsLoss(pos_weight=_balance(y))
    optimizer = torch.optim.Adam([weight, bias], _HEAD_RATE)
    for _ in range(_HEAD_STEPS):
        logits = x @ weight.clamp(min=0) + bias
        error = loss(logits, y) + pull * ((weight - prior) ** 2).sum()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return (weight.clamp(min=0).detach().numpy().astype(np.float64),
            float(bias.detach()))


def _balance(labels: torch.Tensor) -> torch.Tensor:
    """The weight of a positive example that makes both labels weigh alike."""
    positive = labels.sum().clamp(min=1.0)
    return (len(labels) - labels.sum()).clamp(min=1.0) / positive


def f1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Harmonic mean of precision and recall, where 0 is the threshold.

    :param logits: of a model
    :param labels: 0 or 1
    """
    alarmed = logits > 0
    hits = float((alarmed & (labels > 0)).sum())
    return 2 * hits / max(1.0, float(alarmed.sum() + (labels > 0).sum()))


class Lesson(abc.ABC):
    """What a network is to learn: examples, each a row, and what is wrong.

    :param data: arrays with one row an example
    """

    def __init__(self, *data: np.ndarray) -> None:
        self.data = [torch.from_numpy(np.ascontiguousarray(a)) for a in data]

    def move(self, place: torch.device) -> None:
        """Bring the examples to the device of the network."""
        self.data = [d.to(place) for d in self.data]

    def prepare(self, rows: torch.Tensor) -> None:
        """See which examples are for training, before it begins.

        :param rows: their numbers
        """

    @abc.abstractmethod
    def loss(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """How wrong a network is on some examples, on average.

        :param network: in training or not, as the caller wants it
        :param rows: numbers of examples
        """

    def judge(self, network: nn.Module, parts: Sequence[torch.Tensor]
              ) -> tuple[float, dict[str, float]]:
        """How good a network is on examples that it does not learn from.

        :param network: not in training
        :param parts: numbers of examples, in batches
        :returns: what is to grow, and further figures for people
        """
        return -self._mean_loss(network, parts), {}

    def _mean_loss(self, network: nn.Module,
                   parts: Sequence[torch.Tensor]) -> float:
        total = sum(float(self.loss(network, part)) * len(part)
                    for part in parts)
        return total / max(1, sum(len(part) for part in parts))


class Labelled(Lesson):
    """Telling two kinds of examples apart by their labels.

    :param inputs: of the network, which gives a logit a row
    :param labels: 0 or 1
    :param offset: is added to the logits
    """

    def __init__(self, inputs: Sequence[np.ndarray], labels: np.ndarray,
                 offset: np.ndarray | None = None) -> None:
        rest = np.zeros(len(labels)) if offset is None else offset
        super().__init__(*inputs, labels.astype(np.float32),
                         rest.astype(np.float32))
        self._measure = nn.BCEWithLogitsLoss()

    def prepare(self, rows: torch.Tensor) -> None:
        """Let both labels weigh alike, see the abstract class."""
        self._measure = nn.BCEWithLogitsLoss(
            pos_weight=_balance(self.data[-2][rows]))

    def _logits(self, network: nn.Module,
                rows: torch.Tensor) -> torch.Tensor:
        *inputs, _, offset = self.data
        logits: torch.Tensor = network(*(d[rows] for d in inputs))
        return logits + offset[rows]

    def loss(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """The binary cross entropy, see the abstract class."""
        error: torch.Tensor = self._measure(
            self._logits(network, rows), self.data[-2][rows])
        return error

    def judge(self, network: nn.Module, parts: Sequence[torch.Tensor]
              ) -> tuple[float, dict[str, float]]:
        """The F1, see the abstract class."""
        logits = torch.cat([self._logits(network, part) for part in parts])
        labels = torch.cat([self.data[-2][part] for part in parts])
        grade = f1(logits.cpu().numpy(), labels.cpu().numpy())
        return grade, {'f1': grade}


class _Course:
    """A training under way, and all that decides how it goes on.

    :param network: what is trained, on its device
    :param settings: how
    :param place: the device
    """

    def __init__(self, network: nn.Module, settings: base.Settings,
                 place: torch.device) -> None:
        self.network = network
        self.optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate,
            weight_decay=settings.weight_decay)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, mode='max', factor=settings.plateau_factor,
            patience=settings.plateau_patience)
        self.rng = np.random.default_rng(settings.seed)
        self.epoch = self.when = self.since = 0
        self.best = (-math.inf, -math.inf)
        self.kept = copy.deepcopy(network.state_dict())
        self._place = place

    def judged(self, now: tuple[float, float]) -> None:
        """Note how good the network is by now.

        :param now: higher is better
        """
        if now > self.best:
            self.best, self.since, self.when = now, 0, self.epoch
            self.kept = copy.deepcopy(self.network.state_dict())
        else:
            self.since += 1

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays, and what else JSON can hold."""
        tensors = {f'network.{name}': tensor for name, tensor
                   in self.network.state_dict().items()}
        tensors |= {f'best.{name}': tensor
                    for name, tensor in self.kept.items()}
        moments = self.optimizer.state_dict()
        for number, held in moments['state'].items():
            tensors |= {f'optimizer.{number}.{name}': tensor
                        for name, tensor in held.items()}
        tensors['random'] = torch.get_rng_state()
        if self._place.type == 'cuda':
            tensors['random.cuda'] = torch.cuda.get_rng_state(self._place)
        elif self._place.type == 'mps':
            tensors['random.mps'] = torch.mps.get_rng_state()
        return {name: np.ascontiguousarray(tensor.detach().cpu().numpy())
                for name, tensor in tensors.items()}, {
            'epoch': self.epoch, 'when': self.when, 'since': self.since,
            'best': self.best, 'random': self.rng.bit_generator.state,
            'plateau': self.plateau.state_dict(),
            'rates': [group['lr'] for group in moments['param_groups']]}

    def go_on(self, arrays: Mapping[str, np.ndarray],
              told: Mapping[str, Any]) -> None:
        """Be where another training was.

        :param arrays: of :meth:`state`
        :param told: of :meth:`state`
        """
        tensors = {name: torch.from_numpy(array.copy())
                   for name, array in arrays.items()}
        names = list(self.network.state_dict())
        self.network.load_state_dict({
            name: tensors[f'network.{name}'] for name in names})
        self.kept = {name: tensors[f'best.{name}'].to(self._place)
                     for name in names}
        moments = self.optimizer.state_dict()
        moments['state'] = {}
        for name, tensor in tensors.items():
            what, _, rest = name.partition('.')
            if what == 'optimizer':
                number, _, key = rest.partition('.')
                moments['state'].setdefault(int(number), {})[key] = tensor
        for group, rate in zip(moments['param_groups'], told['rates'],
                               strict=True):
            group['lr'] = rate
        self.optimizer.load_state_dict(moments)
        self.plateau.load_state_dict(told['plateau'])
        self.rng.bit_generator.state = told['random']
        self.epoch, self.when, self.since = (
            told['epoch'], told['when'], told['since'])
        self.best = (told['best'][0], told['best'][1])
        torch.set_rng_state(tensors['random'])
        if self._place.type == 'cuda':
            torch.cuda.set_rng_state(tensors['random.cuda'], self._place)
        elif self._place.type == 'mps':
            torch.mps.set_rng_state(tensors['random.mps'])


def _identity(network: nn.Module, lesson: Lesson, held_out: np.ndarray,
              settings: base.Settings, place: torch.device) -> str:
    """What has to be the same for a training to be the same."""
    told: dict[str, Any] = {
        'settings': dataclasses.asdict(settings), 'device': place.type,
        'network': repr(network), 'lesson': type(lesson).__qualname__,
        'versions': [torch.__version__,
                     importlib.metadata.version('openstack_rca')]}
    tensors = [*network.state_dict().values()]
    for name, value in sorted(vars(lesson).items()):
        if isinstance(value, (int, float, str)):
            told[f'lesson.{name}'] = value
        else:
            tensors += [t for t in (value if isinstance(value, list)
                                    else [value])
                        if isinstance(t, torch.Tensor)]
    return checkpoints.identity(told, *(
        tensor.detach().cpu().numpy() for tensor in tensors), held_out)


@one_thread()
def teach(network: nn.Module, lesson: Lesson, held_out: np.ndarray,
          settings: base.Settings, progress: base.Progress | None = None,
          checkpoint: pathlib.Path | None = None) -> dict[str, float]:
    """Train a network, and leave it as it was at its best.

    AdamW; the learning rate falls and the training ends by how good the
    network is on the held-out part, where of two epochs that are as good
    the one with the lower loss is better.

    :param network: what is trained; on the CPU before and afterwards
    :param lesson: what it learns
    :param held_out: which examples are for validation
    :param settings: how
    :param progress: called after each epoch
    :param checkpoint: file that remembers how far a training came, or None.
        A training that was interrupted goes on from there and ends as if it
        had not been; what another one left is overwritten. It is gone once
        the training is complete.
    :returns: figures of the best epoch
    :raises InvalidInput: this machine has no such device
    """
    place = device(settings.device)
    name = '' if checkpoint is None else _identity(
        network, lesson, held_out, settings, place)
    network.to(place)
    lesson.move(place)
    rows = torch.as_tensor(np.flatnonzero(~held_out), device=place)
    checks = torch.split(
        torch.as_tensor(np.flatnonzero(held_out), device=place), _JUDGED)
    lesson.prepare(rows)
    steps = max(_STEPS, math.ceil(len(rows) / settings.batch))

    def judged() -> tuple[tuple[float, float], dict[str, float]]:
        network.eval()
        with torch.no_grad():
            grade, told = lesson.judge(network, checks)
            return (grade, -lesson._mean_loss(network, checks)), told

    course = _Course(network, settings, place)
    left = checkpoint and checkpoints.read(checkpoint, name)
    if left:
        course.go_on(*left)
        LOG.info('The training goes on after epoch %d', course.epoch)
    else:
        course.best, _ = judged()
    next_one = 0.0
    while course.epoch < settings.epochs and (
            course.since < settings.patience):
        course.epoch += 1
        network.train()
        total = 0.0
        order = torch.as_tensor(course.rng.permutation(len(rows)),
                                device=place)
        for part in order.tensor_split(steps):
            if not len(part):
                continue
            error = lesson.loss(network, rows[part])
            course.optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
            course.optimizer.step()
            total += float(error.detach()) * len(part)
        now, told = judged()
        course.plateau.step(now[0])
        course.judged(now)
        if checkpoint is not None and time.monotonic() >= next_one:
            checkpoints.write(checkpoint, name, *course.state())
            next_one = time.monotonic() + _PACE
        if progress is not None:
            progress('train', course.epoch / settings.epochs,
                     {'loss': total / max(1, len(rows)), **told})
    network.load_state_dict(course.kept)
    network.to('cpu').eval()
    if checkpoint is not None:
        checkpoints.remove(checkpoint)
    return {'epochs': float(course.epoch),
            'best_epoch': float(course.when),
            'validation_loss': -course.best[1]}


class SequenceNetwork(nn.Module):
    """What the order of rare messages adds to the logit of the features.

    :param inputs: numbers that describe a message
    :param width: of the layers
    :param layers: of the LSTM
    :param dropout: share of what is dropped in training
    """

    def __init__(self, inputs: int, width: int, layers: int,
                 dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True,
                            dropout=dropout)
        self.leave = nn.Linear(width, 1)
        # Before it has learned anything it says nothing.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def steps(self, sequence: torch.Tensor) -> torch.Tensor:
        """A logit for each message, in the light of those before it."""
        hidden, _ = self.lstm(self.dropout(torch.relu(self.enter(sequence))))
        logits: torch.Tensor = self.leave(hidden)[..., 0]
        return logits

    def forward(self, sequence: torch.Tensor,
                there: torch.Tensor) -> torch.Tensor:
        """The logarithm of the mean odds of the messages.

        :param sequence: recordings, messages, numbers
        :param there: which messages are not padding
        """
        logits = self.steps(sequence).masked_fill(~there, -torch.inf)
        count = there.sum(1)
        pooled = torch.logsumexp(logits, 1) - count.clamp(min=1).log()
        return torch.where(count > 0, pooled, torch.zeros_like(pooled))


class NextNetwork(nn.Module):
    """Predicts what is said next from what was said before.

    :param inputs: numbers that describe a key
    :param width: of the layers
    :param layers: of the LSTM
    :param dropout: share of what is dropped in training
    """

    def __init__(self, inputs: int, width: int, layers: int,
                 dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True,
                            dropout=dropout)
        self.leave = nn.Linear(width, width)

    def forward(self, sequences: torch.Tensor, table: torch.Tensor,
                known: int) -> torch.Tensor:
        """Log-probabilities of the known keys at each place.

        :param sequences: numbers of keys, -1 where there is none
        :param table: what describes each key, the known ones first
        :param known: how many of them can be predicted
        :returns: sequences, places, known keys
        """
        placed = torch.tanh(self.enter(table))
        before = placed[sequences[:, :-1].clamp(min=0)]
        begin = self.start.expand(len(sequences), 1, -1)
        hidden, _ = self.lstm(self.dropout(torch.cat([begin, before], 1)))
        logits = self.leave(hidden) @ placed[:known].T
        return torch.log_softmax(logits, -1)


class Next(Lesson):
    """Predicting each key of sequences from those before it.

    :param sequences: numbers of keys, -1 where there is none
    :param table: what describes each key
    """

    def __init__(self, sequences: np.ndarray, table: np.ndarray) -> None:
        super().__init__(sequences)
        self._table = torch.from_numpy(table)

    def move(self, place: torch.device) -> None:
        """Bring all to the device of the network, see the abstract class."""
        super().move(place)
        self._table = self._table.to(place)

    def loss(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """The cross entropy of a key, see the abstract class."""
        wanted = self.data[0][rows]
        likely = network(wanted, self._table, len(self._table))
        return nn.functional.nll_loss(
            likely.flatten(0, 1), wanted.flatten(), ignore_index=-1)
