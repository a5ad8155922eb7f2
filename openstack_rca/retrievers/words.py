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
"""Words of texts, and how well texts fit the words of a question.

BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and
Beyond", 2009). Identifiers count as a whole and by their parts, so that
"volume type" finds ``VolumeTypeNotFound`` and ``volume_type``.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import logging
import math
import re

_WORD = re.compile(r'[A-Za-z_][A-Za-z0-9_]+')
#: Parts of an identifier: at underscores and changes of case.
_PART = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+')
_LEAST_PART = 3
#: Words that tell nothing.
_COMMON = frozenset((
    'the', 'an', 'of', 'to', 'in', 'for', 'is', 'and', 'on', 'this', 'that',
    'it', 'with', 'as', 'be', 'are', 'by', 'from', 'was', 'not', 'we',
    'when', 'if', 'or', 'at', 'so', 'can', 'has', 'have', 'which', 'will',
    'but', 'there'))
_ENDINGS = ('ing', 'ed', 'es', 's')
_ROOT = 4
#: How soon saying a word again adds nothing, and how much long texts count
#: less. Near the usual 1.2 and .75; measured, see the page on retrieval.
_K1 = 0.9
_B = 0.9


def terms(text: str) -> Iterator[str]:
    """Words of a text and the parts of its identifiers, in lower case.

    :param text: any
    """
    for word in _WORD.findall(text):
        whole = word.lower()
        yield whole
        for part in dict.fromkeys(p.lower() for p in _PART.findall(word)):
            if len(part) >= _LEAST_PART and part != whole:
                yield part


def roots(text: str) -> Iterator[str]:
    """Terms without common words and endings.

    Endings of plurals and verbs are cut off, no more: of log lines and
    function names little else changes its form.

    :param text: any
    """
    for term in terms(text):
        if term in _COMMON:
            continue
        for ending in _ENDINGS:
            if term.endswith(ending) and len(term) - len(ending) >= _ROOT:
                term = term[:-len(ending)]
                break
        yield term


class Words:
    """Texts whose words are counted.

    :param texts: they are known by their place
    """

    def __init__(self, texts: Sequence[str]) -> None:
        # Only questions with words pay for it.
        import bm25s  # type: ignore[import-untyped]
        # It lets everything through, whatever the configuration says.
        logging.getLogger('bm25s').setLevel(logging.WARNING)
        documents = [list(roots(text)) for text in texts]
        self._count = len(documents)
        # Texts without a word have no index.
        self._index = None
        if any(documents):
            self._index = bm25s.BM25(method='lucene', k1=_K1, b=_B)
            self._index.index(documents, show_progress=False)

    def scores(self, question: str) -> list[float]:
        """How well each text fits, 0 where no word does.

        :param question: its words count once each
        """
        asked = self._asked(question)
        if self._index is None or not asked:
            return [0.0] * self._count
        return [float(s) for s in self._index.get_scores(asked)]

    def most(self, question: str) -> float:
        """What no text can score more than.

        :param question: words that no text has count nothing
        """
        if self._index is None:
            return 0.0
        starts = self._index.scores['indptr']
        total = 0.0
        for term in self._asked(question):
            number = self._index.vocab_dict.get(term)
            if number is not None:
                often = int(starts[number + 1] - starts[number])
                total += math.log(
                    1 + (self._count - often + 0.5) / (often + 0.5))
        return total

    @staticmethod
    def _asked(question: str) -> list[str]:
        return list(dict.fromkeys(roots(question)))
