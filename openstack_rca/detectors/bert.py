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
"""The encoder of all-MiniLM-L6-v2, forward only; needs torch.

sentence-transformers gives the same numbers and takes 150 MB of memory and
seconds more, for libraries that do much else: too much for a process that
watches a cloud all day. The network is that of BERT (Devlin et al., 2019):
embeddings, layers of attention and feed-forward with a norm after each.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import json
import pathlib

import numpy as np
from safetensors import torch as weights
import tokenizers
import torch
from torch.nn import functional

#: Tokens of a text that the model has learned to look at, and those that are
#: encoded at once, padding included. What a layer makes of these fits a cache
#: (more takes longer), and what an allocator keeps of it is little.
_TOKENS = 256
_BATCH = 4 * _TOKENS


class Encoder:
    """Turns texts into points.

    :param folder: with ``config.json``, ``tokenizer.json`` and
        ``model.safetensors``
    :raises OSError: a file cannot be read
    """

    def __init__(self, folder: pathlib.Path) -> None:
        config = json.loads((folder / 'config.json').read_text('utf-8'))
        self._layers = int(config['num_hidden_layers'])
        self._heads = int(config['num_attention_heads'])
        self._eps = float(config['layer_norm_eps'])
        #: Parameters by their names.
        self.weights = weights.load_file(folder / 'model.safetensors')
        self._tokens = tokenizers.Tokenizer.from_file(
            str(folder / 'tokenizer.json'))
        self._tokens.enable_truncation(_TOKENS)
        self._tokens.no_padding()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The mean of the tokens of each text, of length 1.

        :param texts: any
        :returns: a row each
        """
        found: dict[int, np.ndarray] = {}
        given = self._tokens.encode_batch(list(texts))
        for rows in _batches([len(g.ids) for g in given]):
            with torch.no_grad():
                made = self._forward(*_padded([given[n].ids for n in rows]))
            found |= dict(zip(rows, made.numpy(), strict=True))
        return np.array([found[n] for n in range(len(texts))], np.float32)

    def points(self, texts: Sequence[str]) -> torch.Tensor:
        """The same for one batch, through which gradients flow.

        :param texts: any
        :returns: a row each
        """
        return self._forward(*_padded(
            [g.ids for g in self._tokens.encode_batch(list(texts))]))

    def _forward(self, ids: torch.Tensor,
                 there: torch.Tensor) -> torch.Tensor:
        """Points of texts.

        :param ids: texts, tokens
        :param there: which tokens are not padding
        """
        w = self.weights
        place = torch.arange(ids.shape[1])
        hidden = self._norm('embeddings', (
            w['embeddings.word_embeddings.weight'][ids]
            + w['embeddings.position_embeddings.weight'][place]
            + w['embeddings.token_type_embeddings.weight'][0]))
        mask = there[:, None, None, :].bool()
        for number in range(self._layers):
            name = f'encoder.layer.{number}'
            query, key, value = (
                self._linear(f'{name}.attention.self.{part}', hidden)
                .view(*ids.shape, self._heads, -1).transpose(1, 2)
                for part in ('query', 'key', 'value'))
            seen = functional.scaled_dot_product_attention(
                query, key, value, mask).transpose(1, 2).flatten(2)
            hidden = self._norm(f'{name}.attention.output', hidden
                                + self._linear(
                                    f'{name}.attention.output.dense', seen))
            inner = functional.gelu(
                self._linear(f'{name}.intermediate.dense', hidden))
            hidden = self._norm(f'{name}.output', hidden + self._linear(
                f'{name}.output.dense', inner))
        weight = there[..., None].to(hidden.dtype)
        return functional.normalize(
            (hidden * weight).sum(1) / weight.sum(1).clamp(min=1), dim=1)

    def _linear(self, name: str, given: torch.Tensor) -> torch.Tensor:
        return functional.linear(given, self.weights[f'{name}.weight'],
                                 self.weights[f'{name}.bias'])

    def _norm(self, name: str, given: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(
            given, given.shape[-1:],
            self.weights[f'{name}.LayerNorm.weight'],
            self.weights[f'{name}.LayerNorm.bias'], self._eps)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which texts are encoded at once.

    :param lengths: tokens of each text
    :returns: numbers of texts; those of like lengths together, which need
        little padding
    """
    rows: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        # The last one is the longest.
        if rows and (len(rows) + 1) * lengths[number] > _BATCH:
            yield rows
            rows = []
        rows.append(number)
    if rows:
        yield rows


def _padded(texts: Sequence[Sequence[int]]
            ) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts as long as the longest, and where tokens are.

    :param texts: the tokens of each
    """
    length = max(map(len, texts))
    ids = torch.zeros(len(texts), length, dtype=torch.long)
    there = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, :len(text)] = torch.tensor(text)
        there[row, :len(text)] = 1
    return ids, there
