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
"""From a question to a report.

scope -> profile and symptoms -> events -> findings -> ranking -> report ->
verification. Each step is a module; this one joins them.
"""

import collections
import datetime
from typing import Any
import uuid

import polars as pl

from openstack_rca.analysis import activity
from openstack_rca.analysis import changes
from openstack_rca.analysis import cloud as clouds
from openstack_rca.analysis import codemap
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import known
from openstack_rca.analysis import location
from openstack_rca.analysis import paths
from openstack_rca.analysis import processes
from openstack_rca.analysis import ranking
from openstack_rca.analysis import relevance
from openstack_rca.analysis import report
from openstack_rca.analysis import scope as scopes
from openstack_rca.analysis import verify
from openstack_rca.detectors import base as detectors
from openstack_rca.events import schema
from openstack_rca.knowledge import signatures
from openstack_rca.store import base as stores

#: What is seen in healthy clouds too, and the score from which it is a cause
#: all the same.
_QUIET = frozenset(('silence', 'process replaced', 'slow requests',
                    'activity', 'missing step'))
_LEAST_QUIETLY = 0.45
#: From this score on the messages are clear enough without a look at the
#: paths of single requests, which takes a third of a second of a million
#: events.
_CLEAR = 0.6
#: Below this score a candidate is not worth a line.
_LEAST_SHOWN = 0.05
#: Quiet windows in which an error has to occur to be a habit.
_HABIT = 2
#: Error records whose tracebacks are read.
_MOST_ERRORS = 400


class Analyzer:
    """Answers questions over a store.

    :param store: events
    :param baseline: events of a quiet time, or None
    :param detectors: name and instance of each detector
    :param limits: how much a report holds
    :param atlas: code maps; without it those that are configured
    :param cloud: whose logs these are, to be asked beside them, or None
    :param library: signatures; without it those that are configured
    :param embed: gives the meaning of texts, None in fast mode
    """

    def __init__(self, store: stores.Store,
                 baseline: stores.Store | None = None, *,
                 detectors: list[tuple[str, detectors.Detector]],
                 limits: report.Limits | None = None,
                 atlas: codemap.Atlas | None = None,
                 cloud: clouds.Cloud | None = None,
                 library: signatures.Library | None = None,
                 embed: relevance.Embed | None = None) -> None:
        self._atlas = atlas or codemap.configured()
        self._cloud = cloud
        self._embed = embed
        self._library = library or signatures.Library.configured()
        self._limits = limits or report.Limits()
        self._store = store
        self._baseline = baseline
        self._detectors = detectors

    def analyze(self, question: scopes.Question,
                coverage: list[dict[str, Any]],
                skipped: list[dict[str, Any]],
                parse_seconds: float = 0.0) -> dict[str, Any]:
        """The report that answers a question.

        :param question: what the operator asks
        :param coverage: what was read
        :param skipped: what was not
        :param parse_seconds: how long reading took
        :raises InvalidInput: the question contradicts itself
        :raises UnknownRequest: a request id that no event carries
        :raises ReportInvalid: the report contradicts itself
        """
        clock = report.Clock(parse_seconds)
        created = datetime.datetime.now(datetime.UTC)
        scope = scopes.resolve(question, self._store)
        inquiry = self._ask(scope)
        clock.lap('scope')
        seen = gathering.gather(self._store, self._baseline, scope,
                                self._detectors)
        clock.lap('detect')
        findings = gathering.findings(seen)
        findings += processes.findings(self._store, scope, seen)
        matches = known.look(self._store, scope, seen, self._library)
        findings += known.findings(matches, scope, seen, findings)
        answer = None
        if inquiry:
            answer = inquiry.answer(findings)
            findings += answer.findings(findings)
            skipped = skipped + answer.missing
            clock.lap('cloud')
        processes.corroborate(findings)
        findings += changes.findings(self._store, scope, seen, findings)
        relevant = relevance.Relevance(
            self._templates(seen), question.issue, self._embed)
        errors = self._errors(scope, seen)
        busy = activity.busiest(self._store, scope, self._atlas)
        if not errors and scope.words:
            findings += activity.suspect(self._store, scope, busy)
        ranked = self._ranked(findings, scope, question)
        worked = [a.place for a in busy]
        if (scope.requests or scope.resources or not ranked
                or ranked[0].score < _CLEAR):
            ways = paths.read(self._store, scope, seen)
            findings += paths.findings(self._store, scope, seen, ways)
            ranked = self._ranked(findings, scope, question)
            worked = worked or paths.ends(self._store, scope, seen,
                                          self._atlas, ways)
        ranked = [c for c in ranked if c.score >= _LEAST_SHOWN]
        places = location.weigh(self._records(errors), self._atlas)
        clock.lap('rank')
        builder = report.Builder(seen, relevant, self._limits)
        document = builder.build(ranked, places, errors, worked)
        events, levels, services = self._counts(seen)
        verdict = self._verdict(ranked, levels, events)
        document |= {
            'id': str(uuid.uuid4()), 'verdict': verdict,
            'created_at': created.isoformat(),
            'issue': question.issue, 'mode': question.mode,
            'scope': {
                'since': report.utc(scope.since),
                'until': report.utc(scope.until),
                'request_ids': list(scope.requests),
                'resources': list(scope.resources),
                'services': list(scope.only_services or scope.services)},
            'coverage': coverage,
            'skipped': skipped + known.skipped(self._library)}
        document['similar'] += known.similar(matches)
        document['patterns'] |= {'services': services, 'levels': levels}
        document = verify.checked(document, self._store, self._atlas,
                                  answer.facts if answer else ())
        if not document['hypotheses'] and verdict == 'cause_found':
            document['verdict'] = 'insufficient_evidence'
        clock.lap('report')
        document['statistics'] = {
            'events': events, 'templates': seen.current[
                'template'].n_unique(), 'seconds': clock.seconds()}
        document['finished_at'] = datetime.datetime.now(
            datetime.UTC).isoformat()
        return verify.sound(report.finish(document))

    @staticmethod
    def _ranked(findings: list[ranking.Finding], scope: scopes.Scope,
                question: scopes.Question) -> list[ranking.Candidate]:
        """Who is to blame, the likeliest first."""
        return ranking.aside(ranking.rank(findings, scope.services),
                             question.own, question.elsewhere)

    @staticmethod
    def _templates(seen: gathering.Evidence) -> dict[int, str]:
        """Patterns of templates, the most abnormal ones first."""
        scores: dict[int, float] = {}
        for row in seen.samples:
            scores[row['template']] = max(
                float(row.get('score') or 0.0),
                scores.get(row['template'], 0.0))
        return dict(sorted(seen.templates.items(), key=lambda t: (
            -scores.get(t[0], 0.0), t[0])))

    def _ask(self, scope: scopes.Scope) -> clouds.Inquiry | None:
        """Begin to ask the cloud; it answers while events are read."""
        if self._cloud is None:
            return None
        files = self._store.files().values()
        since = min((r.since for r in files if r.since), default=None)
        until = max((r.until for r in files if r.until), default=None)
        return self._cloud.ask(
            scope,
            datetime.datetime.fromisoformat(since) if since else None,
            datetime.datetime.fromisoformat(until) if until else None)

    def _errors(self, scope: scopes.Scope,
                seen: gathering.Evidence) -> list[dict[str, Any]]:
        """Error records that are no habit, the oldest first.

        The first of them may stand before the onset, which is where errors
        become many.
        """
        # A warning with a traceback is the first sign of many a failure.
        rows = self._store.narrow(stores.Query(
            since=scope.since, until=scope.until, level=schema.WARNING,
            services=scope.only_services, kinds=('log',))).filter(
                (pl.col('level') >= schema.ERROR)
                | pl.col('text').str.contains(gathering.TRACEBACK,
                                              literal=True)).sort(
                    'timestamp', 'source', 'line').head(
                        _MOST_ERRORS).collect()
        habit = seen.reference.group_by('template').agg(
            windows=pl.col('window').n_unique()).filter(
                pl.col('windows') > _HABIT)['template']
        return list(rows.filter(~pl.col('template').is_in(
            habit.implode())).iter_rows(named=True))

    def _records(self, errors: list[dict[str, Any]]) -> list[
            location.Record]:
        """What is read of error records."""
        templates = {r['template'] for r in errors}
        patterns = dict(self._store.templates().filter(
            pl.col('template').is_in(pl.Series(
                sorted(templates), dtype=pl.UInt64).implode())).iter_rows())
        return [location.Record(
            r['text'], r['logger'], r['level'],
            patterns.get(r['template'], '')) for r in errors]

    @staticmethod
    def _counts(seen: gathering.Evidence) -> tuple[
            int, dict[str, int], dict[str, int]]:
        """Events under question: all, by level, by service."""
        current = seen.current
        levels: dict[str, int] = collections.Counter()
        for level, count in current.filter(
                pl.col('kind') != 'notification').group_by('level').agg(
                    pl.col('count').sum()).sort('level').iter_rows():
            levels[schema.LEVEL_NAMES.get(level, '') or 'NONE'] += count
        services = dict(current.group_by('binary').agg(
            pl.col('count').sum()).sort(
                'count', 'binary', descending=[True, False]).iter_rows())
        return (int(current['count'].sum()), dict(levels), services)

    @staticmethod
    def _verdict(ranked: list[ranking.Candidate],
                 levels: dict[str, int], events: int) -> str:
        if ranked and ranked[0].score >= ranking.LEAST and (
                ranked[0].score >= _LEAST_QUIETLY
                or any(f.clue not in _QUIET for f in ranked[0].findings)):
            return 'cause_found'
        # Where nothing was logged, nothing is known.
        if not events or ranked or levels.get('ERROR') \
                or levels.get('CRITICAL'):
            return 'insufficient_evidence'
        return 'nothing_abnormal'
