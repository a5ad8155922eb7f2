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
"""Retrievers on a dataset of questions whose documents are known.

The dataset holds ``corpus.jsonl.xz`` (``id``, ``text``) and ``queries.jsonl``
(``id``, ``query``, ``description``, ``relevant``, and perhaps
``service_log``).
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import lzma
import pathlib
import random
import statistics
import time
from typing import Any

from openstack_rca import exception
from openstack_rca.evaluation import answers
from openstack_rca.evaluation import tables
from openstack_rca.retrievers import base

#: Documents that are named for a question.
MOST = 50
_HITS = (1, 3, 10)
_ROUNDS = 2000
_SEED = 1


@dataclasses.dataclass(frozen=True)
class Query:
    """A question.

    :param id: its name
    :param text: what is asked
    :param relevant: ids of the documents that answer it
    :param service_log: it stems from the log of a service
    """

    id: str
    text: str
    relevant: frozenset[str]
    service_log: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a retriever found.

    :param ranked: ids of documents by query
    :param milliseconds: of a query, in the middle
    :param filling: seconds that filling it took
    """

    ranked: dict[str, list[str]]
    milliseconds: float
    filling: float


def read(folder: pathlib.Path) -> tuple[dict[str, str], list[Query]]:
    """The documents by id, and the queries.

    :param folder: the dataset
    :raises DatasetError: it is no such dataset
    """
    try:
        with lzma.open(folder / 'corpus.jsonl.xz', 'rt',
                       encoding='utf-8') as file:
            documents = {str(row['id']): str(row['text'])
                         for row in map(json.loads, file)}
        queries = [Query(
            str(row['id']),
            f'{row["query"]}\n{row.get("description") or ""}',
            frozenset(map(str, row.get('relevant') or ())),
            bool(row.get('service_log')))
            for row in map(json.loads, (
                folder / 'queries.jsonl').read_text('utf-8').splitlines())]
    except (OSError, EOFError, lzma.LZMAError, ValueError, TypeError,
            KeyError, RecursionError) as exc:
        raise exception.DatasetError(
            path=folder, task='retrieval',
            reason='it needs corpus.jsonl.xz and queries.jsonl: '
            f'{exc}') from exc
    if not documents or not queries:
        raise exception.DatasetError(
            path=folder, task='retrieval', reason='it holds no document, or '
            'no query.')
    return documents, queries


def run(retriever: base.Retriever, documents: Mapping[str, str],
        queries: Sequence[Query], told: base.Told | None = None) -> Outcome:
    """Ask a retriever everything.

    :param retriever: it is filled first
    :param documents: texts by id
    :param queries: what is asked
    :param told: called while it is filled
    """
    begin = time.perf_counter()
    retriever.fill(documents, told)
    filling = time.perf_counter() - begin
    ranked, took = {}, []
    for query in queries:
        begin = time.perf_counter()
        ranked[query.id] = [h.id for h in retriever.search(query.text, MOST)]
        took.append(time.perf_counter() - begin)
    return Outcome(ranked, 1e3 * statistics.median(took), filling)


def _hits(outcome: Outcome, queries: Sequence[Query],
          most: int) -> list[bool]:
    return [(answers.rank_of(q.relevant.__contains__, outcome.ranked[q.id])
             or most + 1) <= most for q in queries]


def figures(outcome: Outcome, queries: Sequence[Query],
            beside: Outcome | None = None) -> dict[str, tables.Figure]:
    """How often a right document is found.

    :param outcome: of the retriever
    :param queries: what was asked
    :param beside: of another one: by how much this one is better, with the
        interval of a paired bootstrap over queries
    """
    found: dict[str, tables.Figure] = {}
    logs = [q for q in queries if q.service_log]
    for name, some in (('all', list(queries)), ('service log', logs)):
        for most in _HITS if some else ():
            hits = _hits(outcome, some, most)
            found[f'{name} hit@{most}'] = sum(hits) / len(hits)
            if beside:
                found[f'{name} hit@{most}, gain'] = _gain(
                    hits, _hits(beside, some, most))
    found['ms a query'] = outcome.milliseconds
    found['filling, s'] = outcome.filling
    return found


def _gain(hits: Sequence[bool], others: Sequence[bool]) -> tables.Figure:
    differences = [a - b for a, b in zip(hits, others, strict=True)]
    # The default generator is not for secrets, and this is none.
    dice = random.Random(_SEED)  # noqa: S311
    drawn = sorted(
        sum(dice.choices(differences, k=len(differences))) / len(differences)
        for _ in range(_ROUNDS))
    return (sum(differences) / len(differences),
            drawn[int(0.025 * _ROUNDS)], drawn[int(0.975 * _ROUNDS)])


def rows(outcome: Outcome) -> list[dict[str, Any]]:
    """Predictions, one row a query."""
    return [{'id': name, 'ranked': ranked}
            for name, ranked in outcome.ranked.items()]
