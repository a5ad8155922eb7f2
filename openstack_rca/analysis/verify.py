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

from typing import Any

import polars as pl

from openstack_rca.analysis import codemap
from openstack_rca.analysis import location
from openstack_rca.store import base as stores

_NOTHING = 'There is not enough evidence to name a cause.'


def checked(document: dict[str, Any], store: stores.Store,
            atlas: codemap.Atlas | None = None) -> dict[str, Any]:
    """A report in which every citation holds.

    Evidence is looked up in the store by its source, line and offset, and
    its text has to be that of the event. Evidence that is not found is left
    out, and with it hypotheses, entries of the timeline and recommendations
    that have no other. A host that no evidence of a hypothesis names is no
    longer claimed, and a place in the code that none shows stands first among
    the alternatives instead.

    :param document: the report
    :param store: the events that it is about
    :param atlas: code maps that it was made with
    :returns: the report, perhaps with less in it
    """
    rows = document['evidence']
    if not rows:
        if document['hypotheses']:
            _lead(document, [])
        document['hypotheses'] = []
        document['timeline'] = []
        document['recommendations'] = []
        return document
    wanted = pl.DataFrame(
        {'source': [r['source'] for r in rows],
         'line': [r['line'] for r in rows]},
        schema={'source': pl.String(), 'line': pl.UInt32()})
    found = store.narrow(stores.Query()).filter(
        pl.col('source').is_in(wanted['source'].unique().implode())
        & pl.col('line').is_in(wanted['line'].unique().implode())).join(
            wanted.lazy(), on=['source', 'line'], how='semi').select(
                'source', 'line', 'offset', 'text', 'host', 'binary',
                'resources', 'logger', 'level', 'template').collect()
    patterns = dict(store.templates().filter(pl.col('template').is_in(
        found['template'].unique().implode())).iter_rows())
    held = {(r['source'], r['line']): r
            for r in found.iter_rows(named=True)}
    proven = {}
    for row in rows:
        event = held.get((row['source'], row['line']))
        if event and event['offset'] == row['offset'] \
                and event['text'].startswith(row['text']):
            proven[row['id']] = event
    document['evidence'] = [r for r in rows if r['id'] in proven]
    kept = []
    for hypothesis in document['hypotheses']:
        hypothesis['evidence'] = [e for e in hypothesis['evidence']
                                  if e in proven]
        if not hypothesis['evidence']:
            continue
        host = hypothesis['host']
        if host and not any(
                host in (proven[e]['host'] or '') or host in
                proven[e]['text'] for e in hypothesis['evidence']):
            hypothesis['host'] = None
        _place(hypothesis, [location.Record(
            proven[e]['text'], proven[e]['logger'], proven[e]['level'],
            patterns.get(proven[e]['template'], ''))
            for e in hypothesis['evidence']], atlas)
        kept.append(hypothesis)
    for rank, hypothesis in enumerate(kept, 1):
        hypothesis['rank'] = rank
    if document['hypotheses'][:1] != kept[:1]:
        _lead(document, kept)
    document['hypotheses'] = kept
    document['timeline'] = [t for t in document['timeline']
                            if t['evidence'] in proven]
    advice = [{**r, 'evidence': [e for e in r['evidence'] if e in proven]}
              for r in document['recommendations']]
    document['recommendations'] = [r for r in advice if r['evidence']]
    return document


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
