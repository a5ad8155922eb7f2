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
"""Which part of a cloud is faulty and how, as a report says it."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.engine import session
from openstack_rca.evaluation import answers
from openstack_rca.evaluation import explanations
from openstack_rca.events import schema
from openstack_rca.store import base as stores


def empty() -> dict[str, Any]:
    """The prediction of a case that has none."""
    return {'hypotheses': []}


def predict(report: dict[str, Any], archive: str = '') -> dict[str, Any]:
    """Derive a prediction from a report, and from nothing else.

    :param report: the report document
    :param archive: name of the archive that was analysed
    :returns: ``hypotheses`` with component and category, ranked, and the
        ``explanation`` in words
    """
    return {'hypotheses': [
        {'component': hypothesis.get('component'),
         'category': hypothesis.get('category')}
        for hypothesis in report.get('hypotheses') or ()],
        'explanation': explanations.read(report)}


def answer(prediction: Mapping[str, Any],
           truth: Mapping[str, Any]) -> answers.Answer | None:
    """A prediction beside its line of ``truth.jsonl``.

    :param prediction: of :func:`predict`, with ``confidence`` and
        ``answered``
    :param truth: the line
    :returns: None where no component is at fault
    """
    faulty = {_name(c) for c in truth.get('components') or ()}
    if not faulty:
        return None
    said = [(_name(h.get('component')), h.get('category'))
            for h in prediction['hypotheses']]
    return answers.Answer(
        str(truth.get('scenario') or truth.get('case_id')), {
            'component': _first(said, lambda h: h[0] in faulty),
            'component and category': _first(said, lambda h: (
                h[0] in faulty
                and h[1] in (truth.get('categories') or ())))},
        (), prediction.get('confidence'), bool(prediction.get('answered')))


def _first(said: list[tuple[str, Any]],
           wanted: Callable[[tuple[str, Any]], bool]) -> int | None:
    return next((rank for rank, hypothesis in enumerate(said, 1)
                 if wanted(hypothesis)), None)


def _name(component: Any) -> str:
    """A component without its host, by the name that this project uses."""
    name = str(component or '').partition('@')[0]
    known = components.of_binary(name)
    return name if known == 'other' else known


def floor(opened: session.Session) -> dict[str, Any]:
    """Who logs most error records.

    :param opened: the logs of a case
    :returns: a prediction: programs by the number of their error records,
        and the first of these for an explanation
    """
    counts = opened.store.narrow(stores.Query(
        level=schema.ERROR, kinds=('log', 'access'))).group_by('binary').agg(
            pl.len()).sort('len', 'binary', descending=[True, False]).collect()
    first = next((e['text'] for e in opened.events(level='ERROR', limit=20)
                  if e['kind'] != 'notification'), '')
    return {'hypotheses': [{'component': binary, 'category': 'unknown'}
                           for binary in counts['binary']],
            'explanation': explanations.floor(first)}
