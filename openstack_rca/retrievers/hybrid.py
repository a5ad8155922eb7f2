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
"""Words and meaning together.

Documents that either finds are ranked by the sum of both scores, each scaled
to its best.
"""

from collections.abc import Collection
from collections.abc import Mapping
import pathlib

from openstack_rca.retrievers import base
from openstack_rca.retrievers import bm25
from openstack_rca.retrievers import faiss

#: What the meaning counts beside the words; see the page on retrieval.
MEANING = 0.75
#: Documents of each that are looked at.
_DEEP = 200


class HybridRetriever(base.Retriever):
    """Finds what says or means the same.

    :param folder: where embeddings are kept
    :param model: see :class:`faiss.FaissRetriever`
    """

    def __init__(self, folder: pathlib.Path | None = None,
                 model: str = '') -> None:
        super().__init__(folder)
        self._words = bm25.Bm25Retriever(folder)
        self._meaning = faiss.FaissRetriever(folder, model)

    def fill(self, documents: Mapping[str, str],
             told: base.Told | None = None) -> base.Health:
        """Know these documents and no others, see the abstract class."""
        self._words.fill(documents)
        return self._meaning.fill(documents, told)

    def search(self, question: str, limit: int,
               among: Collection[str] | None = None) -> list[base.Hit]:
        """The documents that fit best, see the abstract class."""
        deep = max(limit, _DEEP)
        found: dict[str, float] = {}
        said, close = ({hit.id: hit.score for hit in part.search(
            question, deep, among)} for part in (self._words, self._meaning))
        names = {*said, *close}
        # A document that is first in one is seldom among the first of the
        # other, and yet not without any likeness there.
        said |= self._words.scores(question, names - said.keys())
        close |= self._meaning.scores(question, names - close.keys())
        for weight, scores in ((1.0, said), (MEANING, close)):
            best = max(scores.values(), default=0.0)
            for name in names if best > 0 else ():
                found[name] = (found.get(name, 0.0)
                               + weight * scores.get(name, 0.0) / best)
        return [base.Hit(name, score / (1 + MEANING))
                for name, score in sorted(
                    found.items(), key=lambda f: (-f[1], f[0]))[:limit]]

    def clear(self) -> None:
        """Give up what is kept on disk."""
        self._meaning.clear()
