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
"""How good the words of a report are, beside the cause in words.

Four measures from 0 to 1, which need no judge:

* *relevance*: the words of the true cause that the explanation says, rare
  words counting more;
* *accuracy*: half for a first sentence that names an accepted component, half
  for an accepted category; nothing where the first sentence blames another
  component;
* *actionability*: a third each for saying what to do, for a remedy that names
  the faulty component or a word of the cause, and for one that can be typed
  (a command, an option, a file);
* *evidence*: the claims that cite a record of the report.
"""

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import re
from typing import Any

from openstack_rca.analysis import components
from openstack_rca.evaluation import tables
from openstack_rca.retrievers import words

_SENTENCE = re.compile(r'(?<=[.!?])\s')
_TYPED = re.compile(
    r'\b(?:openstack|rabbitmqctl|systemctl|nova-manage|SHOW|kill) |--\w|'
    r'\b[a-z]+_[a-z_]+\b|\[\w+\]|/\w+/\w+')


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What a report says.

    :param text: its prose
    :param category: kind of fault that it names
    :param remedies: what to do
    :param cited: share of its claims that cite a record
    """

    text: str
    category: str
    remedies: tuple[str, ...]
    cited: float


def read(report: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation of a report, as a part of a prediction.

    :param report: the report document
    """
    narrative = report.get('narrative') or {}
    claims = narrative.get('claims') or ()
    known = {piece['id'] for piece in report['evidence']}
    cited = [bool(c['evidence']) and known.issuperset(c['evidence'])
             for c in claims]
    first = (report['hypotheses'] or [{}])[0]
    return {'text': narrative.get('text') or report['summary'],
            'category': report['category'],
            'remedies': list(first.get('remedy') or ()),
            'cited': sum(cited) / len(cited) if cited else 0.0}


def floor(text: str) -> dict[str, Any]:
    """The loudest line as an explanation.

    :param text: the first error record
    """
    return {'text': text, 'category': 'unknown', 'remedies': [],
            'cited': 1.0 if text else 0.0}


def figures(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
            ) -> dict[str, tables.Figure]:
    """Means over cases.

    :param pairs: an explanation of :func:`read`, and the line of
        ``truth.jsonl``
    """
    causes = [set(words.roots(str(truth.get('cause') or '')))
              for _, truth in pairs]
    often = collections.Counter(word for cause in causes for word in cause)
    weights = {word: math.log(1 + len(causes) / count)
               for word, count in often.items()}
    scored: dict[str, list[float]] = collections.defaultdict(list)
    for (row, truth), cause in zip(pairs, causes, strict=True):
        told = Explanation(row['text'], row['category'],
                           tuple(row['remedies']), row['cited'])
        scored['relevance'].append(_relevance(told, cause, weights))
        scored['accuracy'].append(_accuracy(told, truth))
        scored['actionability'].append(_actionability(told, truth, cause))
        scored['evidence'].append(told.cited)
    return {name: sum(some) / len(some) if some else None
            for name, some in scored.items()}


def _relevance(told: Explanation, cause: set[str],
               weights: Mapping[str, float]) -> float:
    said = cause & set(words.roots(told.text))
    return sum(weights[w] for w in said) / (
        sum(weights[w] for w in cause) or 1.0)


def _named(text: str) -> set[str]:
    """Components whose names a text says."""
    return {name for name in components.COMPONENTS
            if re.search(rf'(?<![\w-]){re.escape(name)}(?![\w-])', text)}


def _accuracy(told: Explanation, truth: Mapping[str, Any]) -> float:
    right = set(truth.get('components') or ())
    first = _named(_SENTENCE.split(told.text, maxsplit=1)[0])
    if first and not first & right:
        return 0.0
    return (0.5 * bool(first & right)
            + 0.5 * (told.category in (truth.get('categories') or ())))


def _actionability(told: Explanation, truth: Mapping[str, Any],
                   cause: set[str]) -> float:
    if not told.remedies:
        return 0.0
    text = '\n'.join(told.remedies)
    meant = (_named(text) & set(truth.get('components') or ())
             or cause & set(words.roots(text)))
    return (1 + bool(meant) + bool(_TYPED.search(text))) / 3
