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
"""Where the fault is, as a report says it."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from openstack_rca.analysis import location
from openstack_rca.engine import session
from openstack_rca.evaluation import answers

#: Kinds of failures: the errors, if any, point elsewhere; there are none.
KINDS = ('hard', 'silent')
#: Error records that the floor reads.
_MOST_ERRORS = 400

#: Components by their service, where the first part of the name does not
#: tell.
SERVICES = {
    'placement': 'nova',
    'compute-capacity': 'nova',
    'libvirt': 'nova',
    'ovn': 'neutron',
    'network': 'neutron',
    'dns': 'neutron',
    'storage': 'cinder',
}

KNOWN = frozenset({'nova', 'neutron', 'cinder', 'glance', 'keystone', 'heat',
                   'placement'})


def empty() -> dict[str, Any]:
    """The prediction of a case that has none."""
    return {'locations': [], 'services': [], 'evidence': []}


def predict(report: dict[str, Any], archive: str = '') -> dict[str, Any]:
    """Derive a prediction from a report, and from nothing else.

    :param report: the report document
    :param archive: name of the archive that was analysed
    :returns: ``locations``, ``services`` and ``evidence``, each ranked
    """
    return {'locations': list(_locations(report)),
            'services': list(dict.fromkeys(_services(report))),
            'evidence': list(_evidence(report, archive))}


def _hypotheses(report: dict[str, Any]) -> list[dict[str, Any]]:
    return list(report.get('hypotheses') or ())


def _locations(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    seen = set()
    for hypothesis in _hypotheses(report):
        for claim in (hypothesis.get('location'),
                      *(hypothesis.get('locations') or ())):
            if not claim or not claim.get('file'):
                continue
            place = (claim['file'], claim.get('function'))
            if place not in seen:
                seen.add(place)
                yield {'file': place[0], 'function': place[1]}


def _cited(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    pieces = {piece.get('id'): piece
              for piece in report.get('evidence') or ()}
    names = dict.fromkeys(
        name for hypothesis in _hypotheses(report)
        for name in hypothesis.get('evidence') or ())
    for name in names:
        if name in pieces:
            yield pieces[name]


def service_of(component: str) -> str:
    """The service that a component belongs to, or an empty string."""
    name = component.partition('@')[0]
    if name in SERVICES:
        return SERVICES[name]
    first = name.partition('-')[0]
    return first if first in KNOWN else ''


def _services(report: dict[str, Any]) -> Iterator[str]:
    for hypothesis in _hypotheses(report):
        service = service_of(str(hypothesis.get('component') or ''))
        if service:
            yield service
        path = str((hypothesis.get('location') or {}).get('file') or '')
        if path.partition('/')[0] in KNOWN:
            yield path.partition('/')[0]
    for piece in (*_cited(report), *(report.get('evidence') or ())):
        service = service_of(str(piece.get('service') or ''))
        if service:
            yield service


def _evidence(report: dict[str, Any],
              archive: str) -> Iterator[dict[str, Any]]:
    for piece in _cited(report):
        source, timestamp = piece.get('source'), piece.get('timestamp')
        if not source or not timestamp:
            continue
        outer, mark, member = source.partition('!')
        if mark and (not archive or outer == archive):
            source = member
        yield {'timestamp': timestamp, 'source': source.removeprefix('./')}


def answer(prediction: Mapping[str, Any],
           truth: Mapping[str, Any]) -> answers.Answer | None:
    """A prediction beside its line of ``truth.jsonl``.

    :param prediction: of :func:`predict`, with ``confidence`` and
        ``answered``
    :param truth: the line
    :returns: None where nothing failed
    """
    file, function = truth.get('file'), truth.get('function')
    if not file:
        return None
    places = [(p.get('file'), p.get('function'))
              for p in prediction['locations']]
    strata = [name for name in KINDS if truth.get(name)]
    return answers.Answer(
        # Cases of one file share what makes them easy or hard.
        str(file), {
            'file': answers.rank_of(file.__eq__, (f for f, _ in places)),
            'function': answers.rank_of((file, function).__eq__, (
                place for place in places if place[1]))},
        (*strata, str(truth.get('service') or 'other')),
        prediction.get('confidence'), bool(prediction.get('answered')))


def floor(opened: session.Session) -> dict[str, Any]:
    """What the error records say by themselves.

    :param opened: the logs of a case
    :returns: a prediction: for each error record, the oldest first, the
        frames of services in its traceback, innermost first, and the module
        that its logger is named after
    """
    places: dict[location.Place, None] = {}
    for event in opened.events(level='ERROR', limit=_MOST_ERRORS):
        if event['kind'] == 'notification':
            continue
        for place in (*location.frames(event['text']),
                      location.of_logger(event['logger'])):
            if place:
                places.setdefault(place)
    return empty() | {'locations': [
        {'file': p.file, 'function': p.function} for p in places]}
