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
"""Which known failures the events show, as reasons and as similar cases."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.detectors import base as detectors
from openstack_rca.knowledge import schema
from openstack_rca.knowledge import signatures
from openstack_rca.store import base as stores

#: What the clue of a signature begins with; its name follows.
CLUE = 'signature '
#: What remains of a signature's weight where a clue already blames the same
#: part for the same messages: they are one reason, not two.
_SAME = 0.02
#: Similar cases that a report names.
_MOST_SIMILAR = 5


def look(store: stores.Store, scope: scopes.Scope, seen: gathering.Evidence,
         library: signatures.Library) -> list[signatures.Match]:
    """The known failures of the time under question.

    :param store: events
    :param scope: what the question is about
    :param seen: what was looked at
    :param library: signatures
    """
    since = max((t for t in (scope.since, seen.onset) if t), default=None)
    return library.match(store, since, scope.until)


def findings(matches: list[signatures.Match], scope: scopes.Scope,
             seen: gathering.Evidence,
             found: list[ranking.Finding]) -> list[ranking.Finding]:
    """What known failures say of whose fault it is.

    :param matches: those that were found
    :param scope: what the question is about
    :param seen: what was looked at
    :param found: what other clues say
    """
    told = {(f.component, e['template']) for f in found for e in f.events}
    reasons = []
    for match in matches:
        signature = match.signature
        rows = _rows(match, scope, seen)
        for component, events in _blamed(match, rows).items():
            weight = signature.weight * max(
                gathering.unusual(e) for e in events)
            if any((component, e['template']) in told for e in events):
                weight *= _SAME
            reasons.append(ranking.Finding(
                component=component, category=signature.category,
                clue=CLUE + signature.id, weight=weight,
                cause=match.fill(signature.cause),
                remedy=tuple(map(match.fill, signature.remedy)),
                direct=signature.direct, events=events, host=match.host,
                related=any(e['related'] for e in events),
                since=events[0]['timestamp'],
                processes=set(match.processes)))
    return reasons


def similar(matches: list[signatures.Match]) -> list[dict[str, Any]]:
    """Known failures as the similar cases of a report."""
    return [{
        'kind': 'signature', 'id': m.signature.id,
        'title': m.fill(m.signature.title),
        'score': round(m.signature.weight, 3),
        'resolution': ' '.join((*map(m.fill, m.signature.remedy),
                                *_released(m.signature.versions))),
        'url': next(iter(filter(None, (
            m.signature.bug, *m.signature.references))), None)}
        for m in matches[:_MOST_SIMILAR]]


def skipped(library: signatures.Library) -> list[dict[str, Any]]:
    """Signatures that could not be used, as a report tells it."""
    return [{'source': 'signatures', 'reason': str(problem), 'bytes': 0}
            for problem in library.problems]


def named(findings: list[ranking.Finding],
          category: str) -> ranking.Finding | None:
    """The signature that names a candidate's failure best.

    :param findings: the reasons to blame it
    :param category: the kind of fault that most of them speak for
    """
    return max((f for f in findings if f.clue.startswith(CLUE)),
               key=lambda f: (f.category == category, f.strength()),
               default=None)


def _released(versions: schema.Versions) -> Iterator[str]:
    """Which releases have a fault, and which are without it."""
    if versions.affects:
        yield f'Concerns {", ".join(versions.affects)}.'
    if versions.fixed:
        yield f'Fixed in {", ".join(versions.fixed)}.'
    if versions.backports:
        yield 'Backports: ' + ', '.join(
            f'{version} for {release}'
            for release, version in versions.backports) + '.'


def _blamed(match: signatures.Match,
            rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The events of a match by the part that they blame."""
    name = match.signature.component
    if name in components.COMPONENTS:
        return {name: rows}
    blamed: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        # One that hung is told of by others.
        programs = (row['binary'],) if name == schema.REPORTER \
            else match.variables.get(name.strip('{}'), ())
        for component in map(components.of_binary, programs):
            if component != 'other':
                blamed.setdefault(component, []).append(row)
    return blamed


def _rows(match: signatures.Match, scope: scopes.Scope,
          seen: gathering.Evidence) -> list[dict[str, Any]]:
    """The events of a match as samples: with what is usual of them."""
    ids = pl.Series([e['template'] for e in match.events], dtype=pl.UInt64)
    share = (detectors.seconds(seen.current)
             / detectors.seconds(seen.reference)
             if seen.reference.height else 0.0)
    now, past = (dict(profile.filter(pl.col('template').is_in(
        ids.implode())).group_by('template').agg(
            pl.col('count').sum()).iter_rows())
        for profile in (seen.current, seen.reference))
    asked = {*scope.requests, *scope.resources}
    return [{
        **event, 'count': now.get(event['template']),
        'together': now.get(event['template']),
        'expected': past.get(event['template'], 0) * share,
        'score': None, 'why': match.fill(match.signature.title),
        'sign': None, 'related': not asked.isdisjoint((
            event['request_id'], event['global_request_id'],
            *(event['resources'] or ())))} for event in match.events]
