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
"""No claim without its proof: every citation is looked up again."""

from collections.abc import Iterable
from collections.abc import Iterator
import re
from typing import Any

import polars as pl

from openstack_rca import exception
from openstack_rca.analysis import cloudfacts
from openstack_rca.analysis import codemap
from openstack_rca.analysis import components
from openstack_rca.analysis import location
from openstack_rca.analysis import report
from openstack_rca.events import identity
from openstack_rca.store import base as stores

_NOTHING = 'There is not enough evidence to name a cause.'


def checked(document: dict[str, Any], store: stores.Store,
            atlas: codemap.Atlas | None = None,
            facts: Iterable[cloudfacts.Fact] = ()) -> dict[str, Any]:
    """A report in which every citation holds.

    Evidence is looked up in the store by its source, line and offset, and
    its text has to be that of the event; what the cloud said is looked up
    among the facts that came. Evidence that is not found is left out, and
    with it hypotheses, entries of the timeline and recommendations that have
    no other. A host that no evidence of a hypothesis names is no longer
    claimed. A cause that names an id, an address or a host that none of them
    carries is told in words without it, and a place in the code that none
    shows stands first among the alternatives instead.

    :param document: the report
    :param store: the events that it is about
    :param atlas: code maps that it was made with
    :param facts: what the cloud said
    :returns: the report, perhaps with less in it
    """
    said = {f.source: f for f in facts}
    rows = document['evidence']
    if not rows:
        if document['hypotheses']:
            _lead(document, [])
        document['hypotheses'] = []
        document['timeline'] = []
        document['recommendations'] = []
        return document
    events = [r for r in rows if r.get('kind') != 'resource']
    wanted = pl.DataFrame(
        {'source': [r['source'] for r in events],
         'line': [r['line'] for r in events]},
        schema={'source': pl.String(), 'line': pl.UInt32()})
    found = store.narrow(stores.Query()).filter(
        pl.col('source').is_in(wanted['source'].unique().implode())
        & pl.col('line').is_in(wanted['line'].unique().implode())).join(
            wanted.lazy(), on=['source', 'line'], how='semi').select(
                'source', 'line', 'offset', 'text', 'host', 'binary',
                'resources', 'logger', 'level', 'template', 'request_id',
                'global_request_id').collect()
    patterns = dict(store.templates().filter(pl.col('template').is_in(
        found['template'].unique().implode())).iter_rows())
    held = {(r['source'], r['line']): r
            for r in found.iter_rows(named=True)}
    proven = {}
    for row in rows:
        if row.get('kind') == 'resource':
            fact = said.get(row['source'])
            if fact and fact.text.startswith(row['text']) \
                    and fact.host == row['host']:
                proven[row['id']] = _event(fact)
            continue
        event = held.get((row['source'], row['line']))
        if event and event['offset'] == row['offset'] \
                and event['text'].startswith(row['text']):
            proven[row['id']] = event
    hosts = {r['host'].split('@')[0] for r in proven.values() if r['host']}
    hosts |= {h['host'] for h in document['hypotheses'] if h['host']}
    document['evidence'] = [r for r in rows if r['id'] in proven]
    kept = []
    first = _claim(document['hypotheses'][:1])
    for hypothesis in document['hypotheses']:
        hypothesis['evidence'] = [e for e in hypothesis['evidence']
                                  if e in proven]
        if not hypothesis['evidence']:
            continue
        _entities(hypothesis, [proven[e] for e in hypothesis['evidence']],
                  hosts)
        _place(hypothesis, [location.Record(
            proven[e]['text'], proven[e]['logger'], proven[e]['level'],
            patterns.get(proven[e]['template'], ''))
            for e in hypothesis['evidence']], atlas)
        kept.append(hypothesis)
    for rank, hypothesis in enumerate(kept, 1):
        hypothesis['rank'] = rank
    if first != _claim(kept[:1]):
        _lead(document, kept)
    document['hypotheses'] = kept
    document['timeline'] = [t for t in document['timeline']
                            if t['evidence'] in proven]
    advice = [{**r, 'evidence': [e for e in r['evidence'] if e in proven]}
              for r in document['recommendations']]
    document['recommendations'] = [r for r in advice if r['evidence']]
    return document


def sound(document: dict[str, Any]) -> dict[str, Any]:
    """A report that is fit to be published.

    This is what the rest of the program promises, seen once more from the
    outside: whoever breaks a promise is found here and not by a reader.

    :param document: the finished report
    :returns: the same
    :raises ReportInvalid: it contradicts itself
    """
    reason = next(_wrong(document), None)
    if reason:
        raise exception.ReportInvalid(reason=reason)
    return document


def _wrong(document: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a report."""
    hypotheses, evidence = document['hypotheses'], document['evidence']
    ids = [e['id'] for e in evidence]
    known = set(ids)
    for name, rows, most in (
            ('hypotheses', hypotheses, report.MAX_HYPOTHESES),
            ('pieces of evidence', evidence, report.MAX_EVIDENCE),
            ('entries of the timeline', document['timeline'],
             report.MAX_TIMELINE)):
        if len(rows) > most:
            yield f'it has {len(rows)} {name}, more than {most}'
    if len(known) < len(ids):
        yield 'two pieces of evidence have the same id'
    for row in evidence:
        if row['kind'] not in _KINDS:
            yield f'{row["id"]} has the unknown kind {row["kind"]}'
        if not row['source'] or not row['text']:
            yield f'{row["id"]} shows nothing'
    for rank, row in enumerate(hypotheses, 1):
        if row['rank'] != rank:
            yield f'hypothesis {rank} has the rank {row["rank"]}'
        if not row['evidence'] or not known.issuperset(row['evidence']):
            yield f'hypothesis {rank} cites evidence that is not there'
        if not row['cause'].strip():
            yield f'hypothesis {rank} names no cause'
        if row['component'] not in components.COMPONENTS:
            yield f'there is no component {row["component"]}'
        if row['category'] not in components.CATEGORIES:
            yield f'there is no category {row["category"]}'
        if not 0 <= row['confidence'] <= 1:
            yield f'hypothesis {rank} is sure by {row["confidence"]}'
    for row in document['timeline']:
        if row['evidence'] not in known:
            yield 'the timeline cites evidence that is not there'
    for row in document['recommendations']:
        if not row['evidence'] or not known.issuperset(row['evidence']):
            yield 'a recommendation cites evidence that is not there'
    if document['verdict'] == 'cause_found' and not hypotheses:
        yield 'it found a cause and names none'


_KINDS = frozenset(('log', 'notification', 'resource', 'signature',
                    'incident', 'document'))


def _event(fact: cloudfacts.Fact) -> dict[str, Any]:
    """What of a fact can carry a claim, in the shape of an event."""
    return {'text': fact.text, 'host': fact.host, 'binary': fact.binary,
            'resources': list(fact.resources), 'logger': '', 'level': 0,
            'template': None, 'request_id': fact.request,
            'global_request_id': None}


def _claim(hypotheses: list[dict[str, Any]]) -> object:
    """What a report's summary says of its first hypothesis."""
    return [(h['cause'], h['category'], h['host'], h['confidence'])
            for h in hypotheses]


_ADDRESS = re.compile(r'(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)')


def _entities(hypothesis: dict[str, Any], events: list[dict[str, Any]],
              hosts: set[str]) -> None:
    """Claim ids, addresses and hosts only where the evidence has them.

    :param hypothesis: changed in place
    :param events: its evidence
    :param hosts: those that some evidence of the report is of
    """
    carried = '\n'.join(
        ' '.join((e['text'], e['host'] or '', e['request_id'] or '',
                  e['global_request_id'] or '', *(e['resources'] or ())))
        for e in events)
    cause = hypothesis['cause']
    host = hypothesis['host']
    if host and not _names(carried, host):
        hypothesis['host'] = None
        cause = cause.replace(f' on {host}.', '.')
        hosts = hosts | {host}
    named = {*identity.find_uuids(cause), *identity.find_requests(cause),
             *_ADDRESS.findall(cause),
             # A host may be called "network", which is a word of causes.
             *(h for h in hosts if _names(cause, f'on {h}'))}
    if not all(_names(carried, n) for n in named):
        cause = _PLAIN.get(hypothesis['category'], _PLAIN['unknown']).format(
            hypothesis.get('component') or 'A part of the cloud')
    hypothesis['cause'] = cause


def _names(text: str, name: str) -> bool:
    """Whether a text names something, and not what only begins like it."""
    return re.search(rf'(?<![\w-]){re.escape(name)}(?![\w-])', text,
                     re.IGNORECASE) is not None


#: A cause in words that name nothing but the component.
_PLAIN = {
    'process_down': '{} does not run.',
    'hang': '{} does not answer in time.',
    'quota': '{} enforces a quota that is used up.',
    'capacity': '{}: there are not enough resources.',
    'unknown': '{} is at fault.'}


def _place(hypothesis: dict[str, Any], records: list[location.Record],
           atlas: codemap.Atlas | None) -> None:
    """Claim a place only where the evidence shows it.

    A record shows a place by naming its file or its logger. It also does
    when the code map leads from it there: its template is that of a
    statement in the place, or its traceback ends where a value of the place
    was used. Both are worked out again, from the record alone.
    """
    place = hypothesis.get('location')
    if not place or any(place['file'] in r.text or place['module'] in r.text
                        for r in records):
        return
    wanted = location.Place(place['file'], place['function'])
    if atlas is None or not any(
            wanted in location.rank([r], atlas) for r in records):
        hypothesis['location'] = None
        hypothesis['locations'] = [place, *hypothesis['locations']]


def _lead(document: dict[str, Any], kept: list[dict[str, Any]]) -> None:
    """Let a report speak of the hypothesis that is now its first."""
    first = kept[0] if kept else {
        'cause': _NOTHING, 'category': 'unknown', 'confidence': 0.0}
    document['summary'] = first['cause']
    document['category'] = first['category']
    document['confidence'] = first['confidence']
