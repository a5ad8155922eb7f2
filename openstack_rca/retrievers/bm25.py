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

from openstack_rca.retrievers import base
from openstack_rca.retrievers import words


class Bm25Retriever(base.Retriever):
    """Finds what says the same words.

    Nothing is kept: counting a thousand documents takes less time than
    reading what was counted.
    """

    _ids: list[str]
    _documents: dict[str, str] | None = None
    _words: words.Words

    def fill(self, documents: Mapping[str, str],
             told: base.Told | None = None) -> base.Health:
        """Know these documents and no others, see the abstract class."""
        if self._documents != documents:
            self._documents = dict(documents)
            self._ids = list(documents)
            self._words = words.Words(list(documents.values()))
        if told:
            told(len(documents), len(documents))
        return base.Health(len(documents))

    def search(self, question: str, limit: int,
               among: Collection[str] | None = None) -> list[base.Hit]:
        """The documents that fit best, see the abstract class."""
        if not self._documents:
            return []
        scores = self._words.scores(question)
        found = [(s, i) for i, s in zip(self._ids, scores, strict=True)
                 if s > 0 and (among is None or i in among)]
        found.sort(key=lambda f: (-f[0], f[1]))
        # Beside a document that says all words of the question.
        whole = self._words.most(question)
        return [base.Hit(i, min(1.0, s / whole)) for s, i in found[:limit]]
