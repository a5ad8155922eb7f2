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
"""The networks of detectors, and what they are taught; needs torch.

Only imported by a detector that learns or scores, since torch takes seconds
to load.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import math

import numpy as np
import torch
from torch import nn

from openstack_rca.detectors import training

#: Every so many steps, or keys, one is hidden when a network is judged, so
#: that each is hidden once in as many passes.
PASSES = 5
#: The share that is hidden in training, or dropped at most.
_HIDDEN = 0.3
_DROPPED = 0.5


def arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """What a network has learned.

    :param network: on the CPU
    :returns: its tensors, their names beginning with ``network.``
    """
    return {f'network.{name}': tensor.detach().cpu().numpy()
            for name, tensor in network.state_dict().items()}


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of :func:`arrays`.

    :param network: of any weights
    """
    return {f'network.{name}': tuple(tensor.shape)
            for name, tensor in network.state_dict().items()}


def load(network: nn.Module, kept: Mapping[str, np.ndarray]) -> None:
    """Give a network what it has learned, and let it judge.

    :param network: of the same form
    :param kept: of :func:`arrays`, of the right shapes
    """
    network.load_state_dict({
        name: torch.from_numpy(np.array(kept[f'network.{name}']))
        .to(tensor.dtype) for name, tensor in network.state_dict().items()})
    network.eval()


def waves(length: int, width: int) -> torch.Tensor:
    """Sinusoidal positions (Vaswani et al., 2017).

    :param length: how many positions
    :param width: numbers of each, even
    """
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (
        -math.log(10000.0) / width))
    found = torch.zeros(length, width)
    found[:, 0::2] = torch.sin(place * rate)
    found[:, 1::2] = torch.cos(place * rate)
    return found


class EncoderLayer(nn.Module):
    """A layer of a transformer that tells what it attends to.

    :param width: of its input
    :param heads: of the attention
    :param inner: width of the feed-forward part
    :param dropout: share of what is dropped in training
    """

    def __init__(self, width: int, heads: int, inner: int,
                 dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(
            width, heads, dropout=dropout, batch_first=True)
        self.forward_part = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(inner, width))
        self.before = nn.LayerNorm(width)
        self.between = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor, there: torch.Tensor) -> tuple[
            torch.Tensor, torch.Tensor]:
        """One layer further, and the weights of each head.

        :param hidden: sequences, places, numbers
        :param there: which places are not padding
        """
        eased = self.before(hidden)
        seen, weights = self.attention(
            eased, eased, eased, key_padding_mask=~there,
            need_weights=True, average_attn_weights=False)
        hidden = hidden + self.dropout(seen)
        return hidden + self.dropout(
            self.forward_part(self.between(hidden))), weights


class Encoder(nn.Module):
    """Layers of a transformer.

    :param width: of its input
    :param heads: of the attention
    :param inner: width of the feed-forward parts
    :param layers: how many
    :param dropout: share of what is dropped in training
    """

    def __init__(self, width: int, heads: int, inner: int, layers: int,
                 dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, inner, dropout)
            for _ in range(layers))
        self.last = nn.LayerNorm(width)

    def forward(self, hidden: torch.Tensor, there: torch.Tensor) -> tuple[
            torch.Tensor, torch.Tensor]:
        """What was seen, and the attention of each layer and head.

        :param hidden: sequences, places, numbers
        :param there: which places are not padding
        :returns: the same shape; sequences, layers, heads, from, to
        """
        weights = []
        for layer in self.layers:
            hidden, attended = layer(hidden, there)
            weights.append(attended)
        return self.last(hidden), torch.stack(weights, 1)


class WindowNetwork(nn.Module):
    """Judges windows by the numbers, flags and categories of their steps.

    How many steps a window has is no sign of anything: in training, steps
    are dropped at random and the first one stands anywhere.

    :param numbers: numbers and flags of a step
    :param sizes: values of each category
    :param aggregates: of a window
    :param steps: of a window, at most
    :param width: of the layers
    :param heads: of the attention
    :param layers: of the encoder
    :param inner: width of its feed-forward parts
    :param place: numbers of a category's value
    :param dropout: share of what is dropped in training
    """

    def __init__(self, numbers: int, sizes: Sequence[int], aggregates: int,
                 steps: int, width: int = 128, heads: int = 4,
                 layers: int = 2, inner: int = 512, place: int = 16,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.enter = nn.Linear(numbers, width)
        self.places = nn.ModuleList(
            nn.Embedding(size, place, padding_idx=0) for size in sizes)
        self.name = nn.Linear(place * len(sizes), width)
        self.combine = nn.Linear(2 * width, width)
        self.register_buffer('waves', waves(2 * steps, width),
                             persistent=False)
        self.hidden = nn.Parameter(torch.zeros(width))
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(width, heads, inner, layers, dropout)
        self.head = nn.Sequential(
            nn.Linear(width + aggregates, 64), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(64, 32), nn.ReLU(),
            nn.Linear(32, 1))
        self.rebuild = nn.Linear(width, numbers)

    def encode(self, numbers: torch.Tensor, categories: torch.Tensor,
               there: torch.Tensor, hidden: torch.Tensor | None = None
               ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is seen in each step, and the attention.

        :param numbers: windows, steps, numbers and flags
        :param categories: windows, steps, codes
        :param there: which steps are not padding
        :param hidden: steps of which only the place is seen
        """
        named = torch.cat([place(categories[..., n])
                           for n, place in enumerate(self.places)], -1)
        seen = self.combine(torch.cat([
            torch.relu(self.enter(numbers)), torch.relu(self.name(named))],
            -1))
        if hidden is not None:
            seen = torch.where(hidden[..., None], self.hidden, seen)
        count, steps = there.shape
        first = torch.zeros(count, 1, dtype=torch.long,
                            device=numbers.device)
        if self.training:
            first = torch.randint(steps, (count, 1), device=numbers.device)
        position = first + torch.arange(steps, device=numbers.device)
        waved: torch.Tensor = self.waves[position]  # type: ignore[index]
        encoded: tuple[torch.Tensor, torch.Tensor] = self.encoder(
            self.dropout(seen + waved), there)
        return encoded

    def forward(self, numbers: torch.Tensor, categories: torch.Tensor,
                there: torch.Tensor, aggregates: torch.Tensor
                ) -> torch.Tensor:
        """A logit for each window.

        :param numbers: windows, steps, numbers and flags
        :param categories: windows, steps, codes
        :param there: which steps are not padding
        :param aggregates: windows, aggregates
        """
        if self.training:
            share = torch.rand(len(there), 1, device=there.device)
            drawn = torch.rand(there.shape, device=there.device)
            kept = there & (drawn >= share * _DROPPED)
            # A window of which nothing is left stays what it was.
            there = torch.where(kept.any(1, keepdim=True), kept, there)
        seen, _ = self.encode(numbers, categories, there)
        inside = there[..., None]
        pooled = (seen * inside).sum(1) / inside.sum(1).clamp(min=1)
        logits: torch.Tensor = self.head(
            torch.cat([pooled, aggregates], -1))[..., 0]
        return logits

    def attended(self, numbers: torch.Tensor, categories: torch.Tensor,
                 there: torch.Tensor) -> torch.Tensor:
        """How much each step is attended to, 1 in all.

        :param numbers: windows, steps, numbers and flags
        :param categories: windows, steps, codes
        :param there: which steps are not padding
        """
        _, weights = self.encode(numbers, categories, there)
        # Only what real steps look at counts.
        seen = (weights * there[:, None, None, :, None]).sum((1, 2, 3))
        share: torch.Tensor = seen / seen.sum(1, keepdim=True).clamp(
            min=1e-9)
        return share

    def errors(self, numbers: torch.Tensor, categories: torch.Tensor,
               there: torch.Tensor) -> torch.Tensor:
        """How far each number is from what the other steps say it is.

        :param numbers: windows, steps, numbers and flags
        :param categories: windows, steps, codes
        :param there: which steps are not padding
        :returns: squared distances, 0 in padding
        """
        found = torch.zeros_like(numbers)
        turn = torch.arange(there.shape[1], device=there.device) % PASSES
        for number in range(PASSES):
            hidden = (turn == number) & there
            seen, _ = self.encode(numbers, categories, there, hidden)
            distance = (self.rebuild(seen) - numbers) ** 2
            found = torch.where(hidden[..., None], distance, found)
        return found


class Bags(training.Labelled):
    """Telling recordings apart by the most abnormal of their windows.

    :param windows: what the network needs of each window
    :param bags: the windows of each recording, -1 where there is none
    :param labels: of the recordings, 0 or 1
    """

    def __init__(self, windows: Sequence[np.ndarray], bags: np.ndarray,
                 labels: np.ndarray) -> None:
        super().__init__([*windows, bags], labels)

    def _logits(self, network: nn.Module,
                rows: torch.Tensor) -> torch.Tensor:
        *windows, bags, _, offset = self.data
        mine = bags[rows]
        there = mine >= 0
        logits = network(*(w[mine[there]] for w in windows))
        spread = torch.full(mine.shape, -torch.inf, device=logits.device)
        most: torch.Tensor = spread.masked_scatter(
            there, logits).amax(1) + offset[rows]
        return most


class Rebuilding(training.Lesson):
    """Telling the numbers of hidden steps by those of the others.

    :param numbers: windows, steps, numbers and flags
    :param categories: windows, steps, codes
    :param there: which steps are not padding
    """

    def __init__(self, numbers: np.ndarray, categories: np.ndarray,
                 there: np.ndarray) -> None:
        super().__init__(numbers, categories, there)

    def loss(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """The squared distance, see the abstract class."""
        assert isinstance(network, WindowNetwork)
        numbers, categories, there = (d[rows] for d in self.data)
        if not network.training:
            distance = network.errors(numbers, categories, there)
            return distance.sum() / (
                there.sum().clamp(min=1) * numbers.shape[-1])
        hidden = there & (torch.rand(
            there.shape, device=there.device) < _HIDDEN)
        seen, _ = network.encode(numbers, categories, there, hidden)
        rebuilt = network.rebuild(seen)
        distance = nn.functional.huber_loss(
            rebuilt, numbers, reduction='none', delta=2.0)
        return (distance * hidden[..., None]).sum() / (
            hidden.sum().clamp(min=1) * numbers.shape[-1])


class AutoEncoder(nn.Module):
    """Squeezes vectors through a narrow place, and rebuilds them.

    :param inputs: numbers of a vector
    :param width: of the outer layers
    :param narrow: of the inner one
    :param dropout: share of the numbers that are hidden in training, so
        that they are told by the others
    """

    def __init__(self, inputs: int, width: int, narrow: int,
                 dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(inputs, width), nn.ReLU(),
            nn.Linear(width, narrow), nn.ReLU(),
            nn.Linear(narrow, width), nn.ReLU(),
            nn.Linear(width, inputs))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """What is expected of each number.

        :param vectors: one a row
        """
        expected: torch.Tensor = self.layers(vectors)
        return expected


class Mirroring(training.Lesson):
    """Rebuilding vectors.

    :param vectors: one a row
    """

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__(vectors)

    def loss(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """The squared distance, see the abstract class."""
        vectors = self.data[0][rows]
        return nn.functional.mse_loss(network(vectors), vectors)


class KeyNetwork(nn.Module):
    """Tells hidden keys of sequences, and how far a sequence lies out.

    What goes in and what is compared with at the output are the same
    vectors, made of the meaning of keys, so that one which was never seen
    still has a place as context (LogBERT, Guo et al., 2021).

    :param inputs: numbers that describe a key
    :param length: keys of a sequence, at most
    :param width: of the layers
    :param heads: of the attention
    :param layers: of the encoder
    :param dropout: share of what is dropped in training
    """

    def __init__(self, inputs: int, length: int, width: int, heads: int,
                 layers: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.hidden = nn.Parameter(torch.randn(width) * 0.1)
        self.whole = nn.Parameter(torch.randn(width) * 0.1)
        self.register_buffer('waves', waves(length, width) * 0.3,
                             persistent=False)
        #: The middle of normal sequences, which follows the training.
        self.register_buffer('middle', torch.zeros(width))
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(width, heads, 2 * width, layers, dropout)
        self.leave = nn.Linear(width, width)

    def forward(self, sequences: torch.Tensor, table: torch.Tensor,
                known: int, hidden: torch.Tensor) -> tuple[
                    torch.Tensor, torch.Tensor]:
        """Log-probabilities of keys, and where sequences lie.

        :param sequences: numbers of keys, -1 where there is none
        :param table: what describes each key, the known ones first
        :param known: how many of them can be told
        :param hidden: which places are hidden
        :returns: hidden places in their order, known keys; sequences,
            numbers
        """
        placed = torch.tanh(self.enter(table))
        there = sequences >= 0
        seen = torch.where(hidden[..., None], self.hidden,
                           placed[sequences.clamp(min=0)])
        waved = self.waves[:sequences.shape[1]]  # type: ignore[index]
        whole = self.whole.expand(len(sequences), 1, -1)
        found, _ = self.encoder(
            self.dropout(torch.cat([whole, seen + waved], 1)),
            torch.cat([torch.ones_like(there[:, :1]), there], 1))
        # Only what is hidden is told: keys are many.
        logits = self.leave(found[:, 1:][hidden]) @ placed[:known].T
        return torch.log_softmax(logits, -1), found[:, 0]

    def distances(self, whole: torch.Tensor) -> torch.Tensor:
        """How far sequences lie from the middle, squared.

        :param whole: of :meth:`forward`
        """
        found: torch.Tensor = (
            (whole - self.middle) ** 2).mean(-1)  # type: ignore[operator]
        return found


class HiddenKeys(training.Lesson):
    """Telling hidden keys, while sequences are drawn to their middle.

    :param sequences: numbers of keys, -1 where there is none
    :param table: what describes each key
    :param pull: weight of the distance from the middle
    """

    #: How fast the middle follows.
    _PACE = 0.1

    def __init__(self, sequences: np.ndarray, table: np.ndarray,
                 pull: float) -> None:
        super().__init__(sequences)
        self._table = torch.from_numpy(table)
        self._pull = pull

    def move(self, place: torch.device) -> None:
        """Bring all to the device of the network, see the abstract class."""
        super().move(place)
        self._table = self._table.to(place)

    def loss(self, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        """Cross entropy and distance, see the abstract class."""
        assert isinstance(network, KeyNetwork)
        wanted = self.data[0][rows]
        there = wanted >= 0
        if network.training:
            drawn = torch.rand(wanted.shape, device=wanted.device)
            # At least one is hidden of each, or nothing is learned of it.
            drawn = drawn.masked_fill(~there, 2.0)
            first = drawn <= drawn.amin(1, keepdim=True)
            masks = [there & ((drawn < _HIDDEN) | first)]
        else:
            turn = torch.arange(
                wanted.shape[1], device=wanted.device) % PASSES
            masks = [there & (turn == n) for n in range(PASSES)]
        error = distance = torch.zeros((), device=wanted.device)
        for hidden in masks:
            likely, whole = network(wanted, self._table, len(self._table),
                                    hidden)
            error = error + nn.functional.nll_loss(
                likely, wanted[hidden], reduction='sum')
            distance = distance + network.distances(whole).mean()
            if network.training:
                with torch.no_grad():
                    network.middle.lerp_(  # type: ignore[operator]
                        whole.detach().mean(0), self._PACE)
        told = torch.stack(masks).sum().clamp(min=1)
        return error / told + self._pull * distance / len(masks)
