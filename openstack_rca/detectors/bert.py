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

from collections.abc import Sequence
import json
import pathlib

import numpy as np
from safetensors import torch as weights
import tokenizers
import torch
from torch.nn import functional

#: Texts that are encoded at once, and tokens of each that the model has
#: learned to look at.
_BATCH = 32
_TOKENS = 256


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
        self._tokens.enable_padding()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The mean of the tokens of each text, of length 1.

        :param texts: any
        :returns: a row each
        """
        found: dict[int, np.ndarray] = {}
        # Texts of one length need little padding.
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        for start in range(0, len(order), _BATCH):
            rows = order[start:start + _BATCH]
            with torch.no_grad():
                made = self.points([texts[n] for n in rows])
            found |= dict(zip(rows, made.numpy(), strict=True))
        return np.array([found[n] for n in range(len(texts))], np.float32)

    def points(self, texts: Sequence[str]) -> torch.Tensor:
        """The same for one batch, through which gradients flow.

        :param texts: any
        :returns: a row each
        """
        given = self._tokens.encode_batch(list(texts))
        return self._forward(
            torch.tensor([g.ids for g in given]),
            torch.tensor([g.attention_mask for g in given]))

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
