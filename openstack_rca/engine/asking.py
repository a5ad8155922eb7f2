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
"""Asking back: what the logs and what is known say to one more question.

A question about a report is a search of its own: what it names is looked for
first, and what its words mean after that. One that names nothing is about what
the questions before it were about, or the report.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import re
import time
from typing import Any

import polars as pl

from openstack_rca import exception
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import relevance
from openstack_rca.analysis import report as reports
from openstack_rca.analysis import scope as scopes
from openstack_rca.engine import voices
from openstack_rca.events import identity
from openstack_rca.events import schema
from openstack_rca.knowledge import similar
from openstack_rca.llms import narrator
from openstack_rca.retrievers import words
from openstack_rca.store import base as stores

#: Events of an answer, and entries of what is known.
_MOST_EVENTS = 15
_MOST_KNOWN = 5
#: Share of the words of a question that an event has to say, and that an entry
#: has to, rare words counting more: less are chance words.
_LEAST_SAID = 0.3
_LEAST_KNOWN = 0.5
#: How well an event has to fit by its meaning alone.
_LEAST_MEANT = 0.15
#: Templates that fit the words, and those that are given a meaning.
_MOST_TEMPLATES = 12
_MOST_FITTING = 200
_MOST_MEANT = 100
#: Events that are read of what a question names.
_MOST_READ = 2000
#: Events of an answer that say the same.
_EACH = 3
#: Characters of an event in an answer, and of an entry.
_MOST_TEXT = 2000
_MOST_LINE = 240
#: How much more an event counts that calls itself an error, or concerns what
#: the question is about, beside how well it answers.
_ERROR = 0.3
_NAMED = 0.5
#: And one that the report itself cites for what the question means.
_CITED = 1.0
#: Warnings and errors that are read of a time or a service that a question
#: names.
_MOST_LOUD = 200
#: Words that ask, and say nothing of what is asked for.
_ASKING = frozenset(words.roots(
    'why what how who where did do does done happen happened any '
    'anything else then after afterward afterwards before tell me show '
    'you could would should about were been had more its they them '
    'cause because see seen since until till around between utc no '
    'during while time ever line'))
#: From what was found, the report, and the question.
Tell = Callable[[dict[str, Any], Mapping[str, Any], str], dict[str, Any]]

_NUMBER = re.compile(r'E(\d+)\Z')
#: Evidence of the report, as a question names it.
_REFERENCE = re.compile(r'\bE\d{1,4}\b')
#: A name, which templates do not have: it has digits, and is no number, time
#: or identifier.
_LITERAL = re.compile(
    r'(?<![\w.:+-])(?=[a-z])(?!req-|e\d)[a-z][a-z_.-]*\d[\w.-]{0,60}(?<=\w)'
    r'(?![\w:])', re.IGNORECASE)
_MOST_LITERALS = 3


def ask(store: stores.Store, report: Mapping[str, Any], question: str,
        before: Sequence[str], search: similar.Search, *,
        embed: relevance.Embed | None = None, most: int = 12000,
        tell: Tell = narrator.answer) -> dict[str, Any]:
    """Answer a question about a report.

    :param store: the events
    :param report: what is asked about
    :param question: in words
    :param before: questions that were asked before, the oldest first
    :param search: finds what is known
    :param embed: gives the meaning of texts, None in fast mode
    :param most: characters of what the answer is made of
    :param tell: makes an answer of what was found
    :returns: the answer: ``text``, ``backend``, ``evidence``,
        ``knowledge``, ``scope`` and ``statistics``, and what a language model
        said, where there is one
    :raises InvalidInput: the question contradicts itself
    """
    begin = time.perf_counter()
    said_by = voices.find(question, store)
    own = scopes.resolve(scopes.Question(issue=said_by.question), store)
    scope = _scope(store, report, own, before)
    named = bool(own.requests or own.resources)
    bare = not (named or before or said_by
                or set(words.roots(question)) - _ASKING)
    cited = _cited(store, _meant(report, question, own, bare))
    if said_by and not _REFERENCE.search(question):
        cited = [row for row in cited if said_by.allows(row)]
    rows = _events(store, scope, said_by, own, cited, embed,
                   _first_seen(report))
    evidence = _numbered(rows, report, most * 2 // 3)
    left = most - sum(len(item['text']) for item in evidence)
    known = []
    for number, found in enumerate((
            f for f in search(essence(said_by.rest), _MOST_KNOWN)
            if f.score >= _LEAST_KNOWN), 1):
        item = similar.described(found, min(_MOST_TEXT, max(0, left)))
        left -= len(item['text'])
        known.append({'number': f'K{number}', **item})
    return tell({
        'text': told(evidence, known, _first(report)
                     if bare and not (own.since or own.until) else None,
            said_by.told()),
        'backend': 'none',
        'evidence': evidence, 'knowledge': known,
        'scope': {
            'since': reports.utc(scope.since),
            'until': reports.utc(scope.until),
            'request_ids': list(scope.requests),
            'resources': list(scope.resources),
            'services': list(scope.services)},
        'statistics': {'seconds': round(time.perf_counter() - begin, 3)}},
        report, question)


def essence(question: str) -> str:
    """The words of a question that say what is asked for.

    :param question: in words
    """
    return ' '.join(
        word for word in question.split()
        if not set(words.roots(word)) or set(words.roots(word)) - _ASKING)


def _scope(store: stores.Store, report: Mapping[str, Any],
           own: scopes.Scope, before: Sequence[str]) -> scopes.Scope:
    """What a question is about, by itself or by those before it.

    :param own: what it says by itself
    """
    asked = report.get('scope') or {}
    requests, resources = own.requests, own.resources
    since, until = own.since, own.until
    if since is None and until is None:
        since, until = (_moment(asked.get(name))
                        for name in ('since', 'until'))
    for earlier in reversed(before):
        if requests or resources:
            break
        try:
            past = scopes.resolve(scopes.Question(issue=earlier), store)
        except exception.RCAException:
            continue
        requests, resources = past.requests, past.resources
    if not requests and not resources:
        requests = tuple(asked.get('request_ids') or ())
        resources = tuple(asked.get('resources') or ())
    return scopes.Scope(
        since=since, until=until, requests=requests, resources=resources,
        names=own.names, services=own.services, only_services=(),
        words=own.words, asked=own.asked)


def _moment(text: str | None) -> Any:
    return scopes.naive(scopes.parse_time(text)) if text else None


def _first(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """The likeliest cause of a report."""
    first: Mapping[str, Any] = (report.get('hypotheses') or [{}])[0]
    return first


def _meant(report: Mapping[str, Any], question: str, own: scopes.Scope,
           bare: bool) -> list[Mapping[str, Any]]:
    """Evidence of the report that a question means.

    By its number; that of the first cause, where the question is no more
    than "why?" or a time; and of that, what a service says that the question
    names.

    :param own: what the question says by itself
    :param bare: whether it says nothing
    """
    pieces = report.get('evidence') or ()
    numbers = set(_REFERENCE.findall(question))
    proof = set(_first(report).get('evidence') or ())
    services = _services(question, own)
    return [item for item in pieces if item.get('id') in numbers or (
        item.get('id') in proof
        and (bare or item.get('service') in services))]


def _services(question: str, own: scopes.Scope) -> set[str]:
    """Services that a question calls by name.

    A word such as "server" only hints at one.
    """
    said = set(words.terms(question))
    return {name for name in own.services if name in said}


def _cited(store: stores.Store, pieces: Sequence[Mapping[str, Any]]
           ) -> list[dict[str, Any]]:
    """The events of evidence, those that the store has."""
    places = {(item.get('source'), item.get('line')) for item in pieces}
    templates = set()
    for item in pieces:
        try:
            templates.add(scopes.template_number(str(item.get('template'))))
        except exception.InvalidInput:
            # It is no event, such as the state of a server.
            continue
    if not templates:
        return []
    frame = store.narrow(stores.Query(templates=tuple(templates))).filter(
        pl.col('source').is_in([str(s) for s, _ in places]),
        pl.col('line').is_in([n for _, n in places if n is not None]))
    return [row | {'related': True, 'cited': True}
            for row in frame.collect().iter_rows(named=True)
            if (row['source'], row['line']) in places]


def _first_seen(report: Mapping[str, Any]) -> datetime.datetime | None:
    """When the likeliest cause of a report is seen first."""
    proof = set(_first(report).get('evidence') or ())
    return min((moment for item in report.get('evidence') or ()
                if item.get('id') in proof
                and (moment := _moment(item.get('timestamp')))),
               default=None)


def _events(store: stores.Store, scope: scopes.Scope,
            said_by: voices.Voices, own: scopes.Scope,
            cited: Sequence[dict[str, Any]], embed: relevance.Embed | None,
            onset: datetime.datetime | None) -> list[dict[str, Any]]:
    """The events that answer a question, the best first.

    :param scope: what it is about
    :param said_by: whose events it asks for
    :param own: what the question itself says of that; where it names
        nothing, only what fits its words counts
    :param cited: events of the report that it means
    :param onset: what is near to it is told first, where no time is asked for
    """
    question = said_by.rest
    named = bool(own.requests or own.resources)
    patterns = dict(store.templates().select(
        'template', 'pattern').iter_rows())
    if said_by:
        theirs = store.narrow(said_by.query()).select(
            'template').unique().collect()['template']
        patterns = {t: patterns[t] for t in theirs if t in patterns}
    asked = set(words.roots(question)) - _ASKING
    fit = relevance.Relevance(patterns, ' '.join(sorted(asked)))
    ordered = sorted(patterns, key=lambda t: -fit.of({'template': t}))
    if embed and asked:
        near = {t: patterns[t] for t in ordered[:_MOST_MEANT]}
        fit = relevance.Relevance(near, question, embed, most=_MOST_MEANT)
        ordered = sorted(near, key=lambda t: -fit.of({'template': t}))
    fitting = {t for t in ordered[:_MOST_FITTING] if asked and (
        len(asked.intersection(words.roots(patterns[t])))
        >= _LEAST_SAID * len(asked)
        or embed and fit.of({'template': t}) >= _LEAST_MEANT)}
    rows = {(row['source'], row['line']): row for row in cited
            if row['timestamp'] is None
            or (own.since is None or row['timestamp'] >= own.since)
            and (own.until is None or row['timestamp'] <= own.until)}
    for requests, resources in ((scope.requests, ()), ((), scope.resources)):
        if requests or resources:
            for row in store.query(said_by.query(
                    since=scope.since, until=scope.until, limit=_MOST_READ,
                    requests=requests, resources=resources)).iter_rows(
                        named=True):
                # "Why?" is about what went wrong there.
                if row['template'] in fitting or (
                        (named or not asked and not cited)
                        and (_telling(row) or said_by)):
                    rows.setdefault((row['source'], row['line']),
                                    row | {'related': True})
    for row in _naming(store, scope, said_by, own):
        if row['template'] in fitting or said_by or (
                row['level'] >= schema.WARNING):
            rows.setdefault((row['source'], row['line']),
                            row | {'related': True})
    for row in _loud(store, question, own,
                     not asked and not said_by).iter_rows(named=True):
        rows.setdefault((row['source'], row['line']),
                        row | {'related': True})
    # A time that is told is the middle of what is looked at.
    middle = (own.since + (own.until - own.since) / 2
              if own.since and own.until else
              own.since or onset if said_by else None)
    if said_by and not asked and not named:
        for row in _all_of(store, scope, said_by, middle):
            rows.setdefault((row['source'], row['line']),
                            row | {'related': False, 'theirs': True})
    wanted = tuple(t for t in ordered if t in fitting)[:_MOST_TEMPLATES]
    if wanted:
        frame = store.narrow(said_by.query(
            since=scope.since, until=scope.until, templates=wanted)).filter(
                pl.col('timestamp').is_not_null())
        for row in frame.sort('timestamp', 'source', 'line').group_by(
                'template', maintain_order=True).head(_EACH).collect(
                    ).iter_rows(named=True):
            rows.setdefault((row['source'], row['line']),
                            row | {'related': False})

    start = middle or datetime.datetime.min

    def rank(row: dict[str, Any]) -> tuple[
            float, datetime.timedelta, str, int]:
        score = fit.of(row) + (_ERROR if row['level'] >= schema.ERROR
                               else 0.0) + (
            _NAMED if row['related'] else 0.0) + (
            _CITED if row.get('cited') else 0.0)
        moment = row['timestamp']
        far = abs(moment - start) if moment else datetime.timedelta.max
        return -score, far, row['source'], row['line']

    chosen: list[dict[str, Any]] = []
    often: dict[int, int] = {}
    for row in sorted(rows.values(), key=rank):
        if len(chosen) == _MOST_EVENTS:
            break
        often[row['template']] = often.get(row['template'], 0) + 1
        if often[row['template']] <= _EACH:
            chosen.append(row | {'fits': fit.of(row)})
    return chosen


def _loud(store: stores.Store, question: str, own: scopes.Scope,
          bare: bool) -> pl.DataFrame:
    """What went wrong in a time or in a service that a question names.

    :param own: what it says by itself
    :param bare: whether it has no words that could be looked for
    """
    services = tuple(sorted(_services(question, own)))
    timed = bare and (own.since is not None or own.until is not None)
    if own.requests or own.resources or not (services or timed):
        return pl.DataFrame(schema=schema.EVENTS)
    return store.query(stores.Query(
        since=own.since, until=own.until, services=services,
        level=schema.WARNING if timed else schema.ERROR, limit=_MOST_LOUD))


def _naming(store: stores.Store, scope: scopes.Scope,
            said_by: voices.Voices,
            own: scopes.Scope) -> Iterator[dict[str, Any]]:
    """Events that say a name of the question, such as that of a host."""
    names = [name for name in dict.fromkeys((
        *said_by.others, *(_LITERAL.findall(said_by.rest) if said_by else ())))
        if name not in own.names and not identity.find_uuids(name)]
    for name in names[:_MOST_LITERALS]:
        frame = store.narrow(said_by.query(
            since=scope.since, until=scope.until)).filter(
                pl.col('text').str.contains(
                    rf'(?i)(?:^|[^\w.\-]){pl.escape_regex(name)}'
                    r'(?:[^\w\-]|$)'))
        yield from frame.sort('timestamp', 'source', 'line').head(
            _MOST_LOUD).collect().iter_rows(named=True)


def _all_of(store: stores.Store, scope: scopes.Scope,
            said_by: voices.Voices, middle: datetime.datetime | None
            ) -> list[dict[str, Any]]:
    """What somebody logged: what is loud, and what is near in time."""
    frame = store.narrow(said_by.query(
        since=scope.since, until=scope.until))
    far = (pl.col('timestamp') - pl.lit(
        middle or datetime.datetime.min, pl.Datetime('us'))).abs()
    loud = pl.col('level') >= schema.WARNING
    return [row for part in (frame.filter(loud), frame.filter(~loud))
            for row in part.sort(far, 'source', 'line', nulls_last=True).head(
                _MOST_LOUD).collect().iter_rows(named=True)]


def _telling(row: Mapping[str, Any]) -> bool:
    """Whether an event tells something to somebody who asks for nothing."""
    return (row['level'] >= schema.WARNING or row['kind'] == 'notification'
            or (row['status'] or 0) >= 400)


def _numbered(rows: Sequence[Mapping[str, Any]], report: Mapping[str, Any],
              most: int) -> list[dict[str, Any]]:
    """Events as evidence; those of the report keep their numbers."""
    known = {(item.get('source'), item.get('line')): item['id']
             for item in report.get('evidence') or ()}
    numbers = [int(found[1]) for name in known.values()
               if (found := _NUMBER.match(str(name)))]
    following = max(numbers, default=0)
    made: list[dict[str, Any]] = []
    for row in rows:
        text = row['text'][:_MOST_TEXT]
        most -= len(text)
        if most < 0 and made:
            break
        number = known.get((row['source'], row['line']))
        if number is None:
            following += 1
            number = f'E{following}'
        moment = row['timestamp']
        made.append({
            'id': number,
            'kind': 'notification' if row['kind'] == 'notification'
            else 'log',
            'timestamp': reports.utc(moment) if moment else None,
            'host': row['host'], 'service': row['service'],
            'binary': row['binary'],
            'level': schema.LEVEL_NAMES.get(row['level'], ''),
            'source': row['source'], 'line': row['line'],
            'offset': row['offset'], 'request_id': row['request_id'],
            'resources': list(dict.fromkeys(row['resources'] or ()))[:20],
            'template': schema.template_name(row['template']),
            'text': text, 'message': gathering.message(dict(row)).split(
                '\n', 1)[0][:_MOST_LINE],
            'score': round(row['fits'], 3),
            'why': 'the report cites it' if row.get('cited')
            else 'concerns what the question is about' if row['related']
            else 'logged by what the question names' if row.get('theirs')
            else 'fits the words of the question'})
    return made


def told(evidence: Sequence[Mapping[str, Any]],
         known: Sequence[Mapping[str, Any]],
         first: Mapping[str, Any] | None = None, who: str = '') -> str:
    """An answer without a language model: what was found, and nothing else.

    :param evidence: events, the best first
    :param known: entries of what is known, the best first
    :param first: the likeliest cause of the report, where the question asks
        for it
    :param who: whose events the question asks for, where it says so
    :returns: sentences that name what they stand on
    """
    lines = []
    shown = {item['id'] for item in evidence}
    cites = [name for name in (first or {}).get('evidence') or ()
             if name in shown]
    if first and cites:
        lines.append(f'The likeliest cause is: {first.get("cause")} '
                     f'[{", ".join(cites)}]')
    if evidence:
        lines.append('The logs say to this:')
        for item in sorted(evidence, key=lambda e: e['timestamp'] or ''):
            speaker = ' on '.join(filter(None, (
                item['binary'] or item['service'], item['host'])))
            lines.append(f'- {_clock(item["timestamp"])}{speaker}: '
                         f'{item["message"]} [{item["id"]}]')
    elif who:
        lines.append(f'Nothing that was logged {who} fits the question.')
    if known:
        lines.append('What is known:')
        for item in known:
            solved = (item['resolution'] or '').split('\n', 1)[0]
            lines.append(
                f'- {item["title"]}'
                + (f': {solved[:_MOST_LINE]}' if solved else '')
                + f' [{item["number"]}]')
    if not lines:
        return ('Neither the logs nor what is known say anything to this. '
                'Name a request, a server, a time, or words of a message.')
    return '\n'.join(lines)


def _clock(moment: str | None) -> str:
    """The time of an event as people write it."""
    return f'{moment[:19].replace("T", " ")} ' if moment else ''
