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
"""The report document: findings, evidence and times in one structure."""

import dataclasses
import datetime
import itertools
import json
import re
import time
from typing import Any

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import known
from openstack_rca.analysis import location
from openstack_rca.analysis import ranking
from openstack_rca.analysis import relevance as relevances
from openstack_rca.events import schema

VERSION = 1
MAX_HYPOTHESES = 10
MAX_EVIDENCE = 200
MAX_TIMELINE = 200
MAX_BYTES = 1 << 20
#: Characters of one piece of evidence. A traceback fits.
MAX_TEXT = 12000
#: To what texts are shortened in a report that is too large.
_SHORTER = (2000, 500)
_PER_FINDING = 4
_PER_HYPOTHESIS = 12
_MAX_LOCATIONS = 10
#: Below this score a cause is a guess, and the code that worked for users a
#: guess as good.
_WEAK = 0.25
#: What never was says more than what grew.
_SIGNS = {'status': 0, 'new': 1, 'latency': 2, 'burst': 3}
_MAX_PATTERNS = 40
_MOST_TELLING = 40
_MAX_NAMES = 50

#: Kinds of fault that start outside of the code.
_NOT_CODE = frozenset((
    'capacity', 'quota', 'authentication', 'permission', 'configuration'))
#: Kinds of fault that start in the code. Others show in it.
_DEFECTS = frozenset(('code_defect', 'unknown', 'data'))
#: Kinds of fault for which the code that did the work is worth a look.
_CODE = _DEFECTS | {'hang', 'image'}
_INFRASTRUCTURE = frozenset((
    'mariadb', 'rabbitmq', 'memcached', 'libvirt', 'storage', 'disk',
    'network', 'dns', 'clock', 'client', 'other', 'ovn'))


class Clock:
    """Measures the stages of an analysis.

    :param parse: seconds that reading took before
    """

    def __init__(self, parse: float) -> None:
        self._last = time.perf_counter()
        self._start = self._last - parse
        # A report has all stages; there is no retriever and no language
        # model yet, so that these take no time.
        self._laps = {'parse': round(parse, 4), 'retrieve': 0.0,
                      'narrate': 0.0}

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self._laps[stage] = round(now - self._last, 4)
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Seconds a stage, and in total."""
        return {**self._laps,
                'total': round(time.perf_counter() - self._start, 4)}


def utc(moment: datetime.datetime | None) -> str | None:
    """A moment of an event as ISO 8601 with its zone."""
    return None if moment is None else moment.isoformat() + '+00:00'


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much a report holds at most.

    :param hypotheses: causes
    :param evidence: pieces of evidence
    :param timeline: entries of the timeline
    """

    hypotheses: int = MAX_HYPOTHESES
    evidence: int = MAX_EVIDENCE
    timeline: int = MAX_TIMELINE


class Builder:
    """Numbers the evidence and puts the parts of a report together.

    :param seen: what was looked at
    :param relevance: how well events answer the question
    :param limits: how much the report holds
    """

    def __init__(self, seen: gathering.Evidence,
                 relevance: relevances.Relevance,
                 limits: Limits) -> None:
        self._limits = limits
        self._busy: list[location.Place] = []
        self._seen = seen
        self._relevance = relevance
        self._numbers: dict[tuple[str, int], str] = {}
        self._rows: list[dict[str, Any]] = []

    def build(self, ranked: list[ranking.Candidate],
              places: location.Evidence,
              errors: list[dict[str, Any]],
              busy: list[location.Place]) -> dict[str, Any]:
        """A report without its frame.

        :param ranked: candidates, the likeliest first
        :param places: what speaks for places in the code
        :param errors: error records, the oldest first
        :param busy: places that did most of the work for users
        """
        self._busy = busy
        top = ranked[:self._limits.hypotheses]
        hypotheses = [self._hypothesis(i, c, ranked, places, errors)
                      for i, c in enumerate(top)]
        # A place that is not sure must not make the first look less likely
        # than the next.
        for before, after in itertools.pairwise(hypotheses):
            after['confidence'] = min(before['confidence'],
                                      after['confidence'])
        for row in errors[:10]:
            self._cite(row, 'an error record')
        for row in self._telling()[:_MOST_TELLING]:
            # What a model points at need not call itself an error.
            if (row['level'] >= schema.ERROR or row['related']
                    or row.get('sign') == 'model'):
                self._cite(row, row.get('why'))
        timeline = self._timeline(top)
        first = hypotheses[0] if hypotheses else None
        return {
            'version': VERSION, 'status': 'complete', 'error': None,
            'project_id': None, 'incident_id': None,
            'summary': self._summary(top),
            'category': first['category'] if first else 'unknown',
            'severity': self._severity(top),
            'confidence': first['confidence'] if first else 0.0,
            'impact': self._impact(),
            'hypotheses': hypotheses, 'evidence': self._rows,
            'timeline': timeline, 'patterns': self._patterns(),
            'similar': [], 'recommendations': self._advice(hypotheses),
            'narrative': {
                'backend': 'none', 'model': None,
                'text': self._summary(top), 'claims': [], 'dropped': [],
                'tokens': 0, 'cost': 0.0}}

    def _cite(self, row: dict[str, Any], why: str | None) -> str | None:
        """The number of an event as evidence; None when there are enough."""
        key = (row['source'], row['line'])
        if key in self._numbers:
            return self._numbers[key]
        if len(self._rows) >= self._limits.evidence:
            return None
        number = f'E{len(self._rows) + 1}'
        self._numbers[key] = number
        # What the cloud says stands in no file, and is of no template.
        event = row['kind'] != 'resource'
        self._rows.append({
            'id': number,
            'kind': row['kind'] if row['kind'] in (
                'notification', 'resource') else 'log',
            'timestamp': utc(row['timestamp']), 'host': row['host'],
            'service': row['service'], 'binary': row['binary'],
            'level': schema.LEVEL_NAMES.get(row['level'], ''),
            'source': row['source'],
            'line': row['line'] if event else None,
            'offset': row['offset'] if event else None,
            'request_id': row['request_id'],
            'resources': list(dict.fromkeys(row['resources'] or ()))[:20],
            'template': schema.template_name(row['template'])
            if event else None,
            'text': row['text'][:MAX_TEXT],
            'score': round(self._relevance.of(row), 3),
            'why': why or 'shows what is claimed'})
        return number

    def _hypothesis(self, index: int, candidate: ranking.Candidate,
                    ranked: list[ranking.Candidate],
                    places: location.Evidence,
                    errors: list[dict[str, Any]]) -> dict[str, Any]:
        cited: dict[str, None] = {}
        # What failed first is what a reader wants to see first.
        own = [r for f in candidate.findings for r in f.events
               if r['kind'] != 'notification'
               and (r['level'] >= schema.ERROR
                    or gathering.TRACEBACK in r['text'])]
        if index == 0:
            own += self._before(own, errors)
        for row in sorted(own, key=lambda r: (
                r['timestamp'], r['source'], r['line']))[:2]:
            number = self._cite(row, row.get('why'))
            if number:
                cited.setdefault(number)
        for finding in candidate.findings:
            rows = sorted(finding.events, key=lambda r: (
                not r.get('related'), r['timestamp']))
            for row in rows[:_PER_FINDING]:
                if len(cited) >= _PER_HYPOTHESIS:
                    break
                number = self._cite(row, finding.clue)
                if number:
                    cited.setdefault(number)
        category = candidate.category
        failure = known.named(candidate.findings, category)
        if failure:
            # A known failure is named with a record that shows it.
            number = self._cite(failure.events[0], failure.clue)
            if number:
                cited.setdefault(number)
        best = next(f for f in candidate.findings if f.category == category)
        remedy = list(dict.fromkeys([
            *(failure.remedy if failure else ()),
            *(r for f in candidate.findings if f.category == category
              for r in f.remedy)]))[:3]
        others = where = self._places(index, candidate, places.ranked())
        first = None
        sure = ranking.confidence(ranked, index)
        if where and category in _DEFECTS:
            first, others = _place(where[0]), where[1:]
            # Who claims more is right less often.
            if index or candidate.score < _WEAK:
                sure *= places.sureness()
            else:
                sure = places.sureness()
        if index == 0 and (candidate.score < _WEAK or (
                category in _CODE
                and candidate.component not in _INFRASTRUCTURE)):
            held = {p.file for p in where}
            others = others + [p for p in self._busy
                               if p.file not in held]
        return {
            'rank': index + 1, 'cause': self._cause(best, candidate),
            'component': candidate.component, 'category': category,
            'host': candidate.host or None,
            'confidence': round(sure, 3),
            'location': first,
            'locations': [_place(p) for p in others[:_MAX_LOCATIONS]],
            'evidence': list(cited), 'remedy': remedy,
            'signature': failure.clue.removeprefix(known.CLUE)
            if failure else None}

    @staticmethod
    def _before(own: list[dict[str, Any]],
                errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The first error record of a hypothesis' processes or requests."""
        processes = {(r['binary'], r['host']) for r in own}
        requests = {r['request_id'] for r in own if r['request_id']}
        return [r for r in errors if (r['binary'], r['host']) in processes
                or r['request_id'] in requests][:1]

    @staticmethod
    def _cause(best: ranking.Finding, candidate: ranking.Candidate) -> str:
        return f'{best.cause}{_where(best.cause, candidate.host)}.'

    @staticmethod
    def _places(index: int, candidate: ranking.Candidate,
                places: list[location.Place]) -> list[location.Place]:
        """Places in the code of a component's own project."""
        if candidate.component in _INFRASTRUCTURE:
            return []
        if candidate.category in _NOT_CODE:
            # Only what its own events show, not what else went wrong.
            shown = sorted((e for f in candidate.findings
                            for e in f.events), key=lambda e: (
                                e['timestamp'], e['line']))
            places = location.rank([location.Record(e['text'])
                                    for e in shown])
        service = components.of_service(candidate.component)
        if index == 0:
            # They are in the order of what speaks for them, and the fault
            # of a part of one service may be in the code of another.
            return places
        return [p for p in places if location.service_of(p) == service]

    def _telling(self) -> list[dict[str, Any]]:
        """Sampled events, the most telling first."""
        return sorted((r for r in self._seen.samples
                       if gathering.unusual(r) >= 0.3), key=lambda r: (
            *self._relevance.key(r), r['timestamp']))

    def _timeline(self, top: list[ranking.Candidate]) -> list[
            dict[str, Any]]:
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        for candidate in top[:3]:
            for finding in candidate.findings:
                for row in finding.events[:3]:
                    rows.setdefault((row['source'], row['line']), row)
        for row in self._telling():
            if len(rows) >= 60:
                break
            # A warning that says nothing of a fault is no event of a story.
            if (row['level'] >= schema.ERROR
                    or row['kind'] == 'notification' and row['related']
                    or (row['status'] or 0) >= 500
                    or gathering.TRACEBACK in row['text']):
                rows.setdefault((row['source'], row['line']), row)
        ordered = sorted(rows.values(), key=lambda r: (
            r['timestamp'], r['source'], r['line']))[:self._limits.timeline]
        return [{
            'timestamp': utc(r['timestamp']),
            'service': r['binary'] or r['service'], 'host': r['host'],
            'text': gathering.message(r).split('\n', 1)[0][:300],
            'evidence': self._cite(r, r.get('why') or 'in the timeline')}
            for r in ordered]

    def _patterns(self) -> dict[str, Any]:
        rows = self._seen.symptoms.filter(
            pl.col('template').is_not_null()
            & pl.col('sign').is_in(['new', 'burst', 'latency', 'status'])
        ).with_columns(order=pl.col('sign').replace_strict(
            _SIGNS, return_dtype=pl.UInt8)).sort(
                'order', 'score', 'binary', 'host', 'template',
                descending=[False, True, False, False, False]).unique(
                    ['binary', 'template'], keep='first',
                    maintain_order=True)
        counts = dict(self._seen.current.group_by('template').agg(
            pl.col('count').sum()).iter_rows())
        return {
            'templates': [{
                'template': schema.template_name(r['template']),
                'pattern': self._seen.templates.get(r['template'], ''),
                'service': r['binary'], 'sign': r['sign'],
                'why': r['why'], 'count': counts.get(r['template'], 0),
                'score': round(r['score'], 3)}
                for r in rows.head(_MAX_PATTERNS).iter_rows(named=True)],
            'relevant_events': len(self._seen.samples)}

    def _impact(self) -> dict[str, Any]:
        bad = [r for r in self._seen.samples
               if r['level'] >= schema.ERROR or (r['status'] or 0) >= 500]
        resources: dict[str, None] = {}
        for row in bad:
            for name in row['resources'] or ():
                if '-' in name and not name.startswith('req-'):
                    resources.setdefault(name)
        return {
            'services': sorted({r['binary'] for r in bad
                                if r['binary']})[:_MAX_NAMES],
            'hosts': sorted({r['host'] for r in bad
                             if r['host']})[:_MAX_NAMES],
            'projects': sorted({r['project_id'] for r in bad
                                if r['project_id']})[:_MAX_NAMES],
            'resources': list(resources)[:_MAX_NAMES],
            'requests_failed': len({r['request_id'] for r in bad
                                    if r['request_id']})}

    def _severity(self, top: list[ranking.Candidate]) -> str:
        impact = self._impact()
        if not top:
            return 'low'
        services = len(impact['services'])
        if services >= 4 and top[0].score >= 0.6:
            return 'critical'
        if services >= 2 or impact['requests_failed'] >= 5:
            return 'high'
        if services or top[0].score >= 0.5:
            return 'medium'
        return 'low'

    @staticmethod
    def _summary(top: list[ranking.Candidate]) -> str:
        if not top:
            return 'Nothing in these logs points at a fault.'
        best = top[0]
        finding = next(f for f in best.findings
                       if f.category == best.category)
        host = _where(finding.cause, best.host)
        since = f', since {best.since:%Y-%m-%d %H:%M:%S} UTC' \
            if best.since else ''
        return f'{finding.cause}{host} ({best.component}){since}.'

    @staticmethod
    def _advice(hypotheses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        advice: dict[str, list[str]] = {}
        for hypothesis in hypotheses[:3]:
            for text in hypothesis['remedy']:
                advice.setdefault(text, hypothesis['evidence'][:3])
        return [{'text': t, 'evidence': e} for t, e in advice.items()]


def _where(cause: str, host: str) -> str:
    """The host that a cause means, unless its words name it already."""
    named = re.search(rf'(?<![\w-]){re.escape(host)}(?![\w-])', cause)
    return f' on {host}' if host and not named else ''


def _place(place: location.Place) -> dict[str, Any]:
    return {'module': place.module, 'file': place.file,
            'function': place.function}


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """Keep a report below its greatest size.

    Texts of evidence are shortened first, then evidence that no hypothesis
    and no entry of the timeline cites is left out.
    """
    if len(json.dumps(document)) <= MAX_BYTES:
        return document
    for most in _SHORTER:
        for row in document['evidence']:
            row['text'] = row['text'][:most]
        if len(json.dumps(document)) <= MAX_BYTES:
            return document
    cited = {e for h in document['hypotheses'] for e in h['evidence']}
    cited |= {t['evidence'] for t in document['timeline']}
    document['evidence'] = [e for e in document['evidence']
                            if e['id'] in cited]
    document['coverage'] = document['coverage'][:1000]
    document['skipped'] = document['skipped'][:1000]
    return document
