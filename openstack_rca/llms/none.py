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
"""A few sentences made from the report itself: no model, nothing sent."""

from collections.abc import Iterator
import re
from typing import Any

from openstack_rca.llms import base
from openstack_rca.llms import claims

#: Pieces that one sentence cites, and characters that it quotes.
_CITED = 4
_QUOTED = 140
#: Another cause below this confidence is not worth a sentence.
_LIKELY = .05
_HEADER = re.compile(
    r'^\d{4}-\d\d-\d\d[ T][\d:.,]+\S*\s+(?:\d+\s+)?(?:[A-Z]+\s+)?'
    r'(?:[\w.]+\s+)?(?:\[[^\]]*\]\s*)*')


class Plain(base.Local):
    """Says what failed, where and since when, what followed, what else."""

    def claims(self, report: dict[str, Any]) -> list[base.Claim]:
        """What there is to say of a report, see the abstract class."""
        checker = claims.Checker(report)
        found = []
        for ways in _sentences(report):
            for claim in ways:
                if claim.evidence and checker.reason(claim) is None:
                    found.append(claim)
                    break
        return found


def _sentences(report: dict[str, Any]) -> Iterator[list[base.Claim]]:
    """What to say, each in several ways, the best one first."""
    hypotheses = report['hypotheses']
    if not hypotheses:
        return
    rows = {e['id']: e for e in report['evidence']}
    first = hypotheses[0]
    sure = report.get('verdict') == 'cause_found'
    yield _cause('' if sure else 'Possibly: ', first)
    pieces = sorted((rows[e] for e in first['evidence'] if e in rows),
                    key=lambda r: str(r.get('timestamp') or '~'))
    if pieces:
        yield _beginning(pieces[0])
    yield _followed(pieces, list(rows.values()))
    for other in hypotheses[1:2]:
        if other['confidence'] >= _LIKELY:
            yield _cause('Less likely: ', other)


def _cause(lead: str, hypothesis: dict[str, Any]) -> list[base.Claim]:
    """A hypothesis, with as little evidence as carries it.

    Its component is named, too, where the evidence knows it by that name.
    """
    cause, component = hypothesis['cause'], hypothesis['component']
    ways = [cause]
    if component not in cause:
        ways.insert(0, f'{component}: {cause}')
    return [base.Claim(lead + way, tuple(hypothesis['evidence'][:n]))
            for way in ways for n in (_CITED, 8, 15)]


def _beginning(row: dict[str, Any]) -> list[base.Claim]:
    """When and where it began, with the words of the record."""
    clock = str(row.get('timestamp') or '')[:19].partition('T')
    when = f'at {clock[2]} UTC on {clock[0]}' if clock[2] else 'at first'
    who = row.get('binary') or row.get('service') or 'a service'
    where = f' on {row["host"]}' if row.get('host') else ''
    said = _HEADER.sub('', row['text'].split('\n', 1)[0])[:_QUOTED]
    said = re.sub(r'\s+\S*$', '', said) if len(said) == _QUOTED else said
    told = f'The first sign of it came from {who}{where} {when}'
    ways = []
    if row['kind'] != 'notification' and said.strip() and '"' not in said:
        ways.append(base.Claim(f'{told}: "{said.strip()}".', (row['id'],)))
    return [*ways, base.Claim(f'{told}.', (row['id'],)),
            base.Claim(f'The first sign of it came {when}.', (row['id'],))]


def _followed(pieces: list[dict[str, Any]],
              rows: list[dict[str, Any]]) -> list[base.Claim]:
    """Who else logged errors after it had begun."""
    begun = str(pieces[0].get('timestamp') or '') if pieces else ''
    known = {r.get('binary') for r in pieces[:1]}
    others: dict[str, str] = {}
    for row in sorted(rows, key=lambda r: str(r.get('timestamp') or '')):
        who = row.get('binary')
        if who and who not in known and row.get('level') in (
                'ERROR', 'CRITICAL') and str(
                    row.get('timestamp') or '') >= begun:
            others.setdefault(who, row['id'])
    names = list(others)[:3]
    if not names:
        return []
    joined = ' and '.join((', '.join(names[:-1]), names[-1])
                          if names[:-1] else names)
    return [base.Claim(f'After that, errors were logged by {joined}.',
                       tuple(others[n] for n in names))]
