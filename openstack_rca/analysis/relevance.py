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
"""Which events answer the question.

Three scores are added: how abnormal a detector finds an event, how well its
words fit those of the question (BM25 over templates), and how close its
meaning is (the cosine of sentence embeddings, full mode only). Whatever
concerns the entities that the question names comes first.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from openstack_rca.retrievers import words

#: What each score adds. A detector knows what is unusual here; questions are
#: vague, so that what fits their words only breaks ties.
WEIGHTS: dict[str, float] = {'detector': 1.0, 'words': 0.5, 'meaning': 0.5}
#: Characters of a template whose meaning counts: a traceback tells where, not
#: what.
_MOST_TEXT = 120
#: Templates whose meaning is made for a question: a hundred new ones take a
#: second.
_MOST_MEANT = 48

#: Texts to rows of length 1.
Embed = Callable[[Sequence[str]], Any]


class Relevance:
    """How well events answer a question.

    :param templates: patterns of the templates that may be asked about, the
        most abnormal first
    :param issue: the question in words
    :param embed: gives the meaning of texts, None in fast mode
    :param weights: see :data:`WEIGHTS`
    :param most: so many templates, the first ones, are given a meaning
    """

    def __init__(self, templates: Mapping[int, str], issue: str,
                 embed: Embed | None = None,
                 weights: Mapping[str, float] = WEIGHTS,
                 most: int = _MOST_MEANT) -> None:
        self._weights = weights
        self._words = _words(templates, issue)
        self._meaning = _meaning(templates, issue, embed, most)

    def of(self, row: Mapping[str, Any]) -> float:
        """How well an event answers the question, 0 to 1.

        :param row: an event with the ``score`` of a detector, if it has any
        """
        template = row['template']
        told = (self._weights['detector'] * float(row.get('score') or 0.0)
                + self._weights['words'] * self._words.get(template, 0.0)
                + self._weights['meaning']
                * self._meaning.get(template, 0.0))
        return told / sum(self._weights.values())

    def key(self, row: Mapping[str, Any]) -> tuple[bool, float]:
        """What to sort events by, the most relevant first.

        :param row: an event, ``related`` where it concerns an entity of the
            question
        """
        return not row['related'], -self.of(row)


def _words(templates: Mapping[int, str], issue: str) -> dict[int, float]:
    """How well templates fit the words of a question, the best 1."""
    if not issue.strip() or not templates:
        return {}
    scores = words.Words(list(templates.values())).scores(issue)
    best = max(scores)
    return {t: s / best for t, s in zip(templates, scores, strict=True)
            if s > 0}


def _meaning(templates: Mapping[int, str], issue: str,
             embed: Embed | None, most: int) -> dict[int, float]:
    """How close templates are to a question, 0 to 1."""
    if embed is None or not issue.strip() or not templates:
        return {}
    known = list(templates)[:most]
    rows = embed([issue, *(
        templates[t].split('\n', 1)[0][:_MOST_TEXT] for t in known)])
    return {t: max(0.0, float(row @ rows[0]))
            for t, row in zip(known, rows[1:], strict=True)}
