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
"""Words: BM25 over documents whose words are counted."""

from collections.abc import Collection
from collections.abc import Mapping
import heapq
import pathlib

from openstack_rca.retrievers import base
from openstack_rca.retrievers import words


class Bm25Retriever(base.Retriever):
    """Finds what says the same words.

    Nothing is kept: counting a thousand documents takes less time than
    reading what was counted.
    """

    def __init__(self, folder: pathlib.Path | None = None) -> None:
        super().__init__(folder)
        self._documents: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._words = words.Words([])

    def fill(self, documents: Mapping[str, str],
             told: base.Told | None = None) -> base.Health:
        """Know these documents and no others, see the abstract class."""
        if self._documents != documents:
            self._documents = dict(documents)
            self._ids = list(documents)
            self._places = {name: n for n, name in enumerate(self._ids)}
            self._words = words.Words(list(documents.values()))
        if told:
            told(len(documents), len(documents))
        return base.Health(len(documents))

    def search(self, question: str, limit: int,
               among: Collection[str] | None = None) -> list[base.Hit]:
        """The documents that fit best, see the abstract class."""
        whole = self._whole(question)
        found = heapq.nsmallest(limit, (
            (-score, name) for name, score in zip(
                self._ids, self._words.scores(question), strict=True)
            if score > 0 and (among is None or name in among)))
        return [base.Hit(name, min(1.0, -score / whole))
                for score, name in found]

    def scores(self, question: str,
               wanted: Collection[str]) -> dict[str, float]:
        """How well documents fit.

        :param question: what is asked
        :param wanted: ids of documents
        :returns: scores from 0 to 1 by id
        """
        if not wanted:
            return {}
        whole = self._whole(question)
        scores = self._words.scores(question)
        return {name: min(1.0, scores[self._places[name]] / whole)
                for name in wanted if name in self._places}

    def _whole(self, question: str) -> float:
        """The score of a document that says all words of a question."""
        return self._words.most(question) or 1.0
