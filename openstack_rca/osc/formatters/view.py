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
"""What the formats made for people have in common.

The functions here read a document and choose; they never change it, and
they take a document that lacks a part as one that has nothing to say there.
"""

from collections.abc import Iterable
from typing import Any

from openstack_rca.osc import text as text_utils

VERDICTS = {
    'cause_found': 'Cause found',
    'insufficient_evidence': 'Insufficient evidence',
    'nothing_abnormal': 'Nothing abnormal',
}

#: What an answer without a cause means to the person who asked.
NO_CAUSE = {
    'insufficient_evidence':
        'Something is wrong, and what was read does not prove the cause. '
        'Read more logs (other services, other hosts, DEBUG level) or name '
        'the time, the request or the server.',
    'nothing_abnormal':
        'What was read in this scope looks like the quiet part of the same '
        'logs. Check the time range and that the logs of all services were '
        'read.',
}

#: What there is to say of an analysis that has no verdict yet.
STATES = {
    'queued': 'The analysis is queued',
    'running': 'The analysis is running',
    'failed': 'The analysis failed',
}

#: Hypotheses below this confidence are told in one line.
UNLIKELY = 0.05

ERRORS = frozenset({'ERROR', 'CRITICAL', 'FATAL', 'TRACE'})


def items(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects of a document."""
    value = document.get(name)
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def mapping(document: dict[str, Any], name: str) -> dict[str, Any]:
    """An object of a document."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def words(value: Any) -> list[str]:
    """A list of texts, whatever stands there."""
    if value is None or value == '':
        return []
    if isinstance(value, (list, tuple)):
        return [text_utils.visible(item) for item in value if item != '']
    return [text_utils.visible(value)]


def evidence_by_id(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pieces of evidence by their ids."""
    return {str(item.get('id')): item
            for item in items(document, 'evidence')}


def cited(document: dict[str, Any],
          ids: Iterable[Any] | None) -> list[dict[str, Any]]:
    """The pieces of evidence that a claim cites, in its order."""
    known = evidence_by_id(document)
    return [known[str(name)] for name in ids or () if str(name) in known]


def alike(pieces: list[dict[str, Any]]) -> list[
        tuple[dict[str, Any], list[str]]]:
    """Pieces of evidence without those that say the same again.

    :param pieces: cited pieces, in order
    :returns: the first of each kind, and the ids of the others like it
    """
    groups: dict[object, tuple[dict[str, Any], list[str]]] = {}
    for index, piece in enumerate(pieces):
        key = ((piece['template'], piece.get('binary'), piece.get('host'))
               if piece.get('template') else index)
        if key in groups:
            groups[key][1].append(text_utils.visible(piece.get('id')))
        else:
            groups[key] = (piece, [])
    return list(groups.values())


def likely(document: dict[str, Any]) -> tuple[
        list[dict[str, Any]], list[dict[str, Any]]]:
    """The hypotheses worth a person's time, and the rest.

    :returns: the first and all that are not unlikely, and the others
    """
    first: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for item in items(document, 'hypotheses'):
        confidence = item.get('confidence')
        unlikely = (isinstance(confidence, (int, float))
                    and confidence < UNLIKELY)
        (rest if unlikely and (first or rest) else first).append(item)
    return first, rest


def place(item: dict[str, Any]) -> str:
    """Where a piece of evidence stands: ``file:line``."""
    source = text_utils.visible(item.get('source') or '')
    line = item.get('line')
    if not source:
        return text_utils.visible(item.get('kind') or '')
    return f'{source}:{line}' if line else source


def code(location: Any) -> str:
    """A location in code: ``nova/compute/manager.py, _build_resources``."""
    if not isinstance(location, dict):
        return ''
    path = text_utils.visible(
        location.get('file') or location.get('module') or '')
    function = text_utils.visible(location.get('function') or '')
    if path and function:
        return f'{path}, {function}()'
    return path or function


def at_host(hypothesis: dict[str, Any]) -> str:
    """The faulty part: ``nova-compute@cmp1``."""
    component = text_utils.visible(hypothesis.get('component') or 'unknown')
    host = text_utils.visible(hypothesis.get('host') or '')
    return f'{component}@{host}' if host else component


def who(item: dict[str, Any]) -> str:
    """Who says it: the binary or the service, and its host."""
    name = text_utils.visible(item.get('binary') or item.get('service')
                              or item.get('kind') or '')
    host = text_utils.visible(item.get('host') or '')
    return f'{name}@{host}' if host else name


def said(item: dict[str, Any]) -> str:
    """The text of an event, for an excerpt."""
    text = str(item.get('text') or '')
    if item.get('kind') == 'notification':
        return text_utils.notification(text) or text
    return text


def issue_words(document: dict[str, Any]) -> list[str]:
    """Words of the question that are worth looking for in a line."""
    issue = document.get('issue')
    if not isinstance(issue, str):
        return []
    return [word for word in issue.lower().split() if len(word) > 5][:20]


def headline(document: dict[str, Any]) -> str:
    """The verdict in words."""
    status = str(document.get('status') or '')
    if status in STATES:
        return STATES[status]
    verdict = str(document.get('verdict') or '')
    return VERDICTS.get(verdict) or text_utils.visible(verdict or 'Unknown')


def narrative(document: dict[str, Any]) -> tuple[str, str]:
    """The report in words, and who wrote them.

    :returns: the text, empty where there is none, and a note on it
    """
    told = mapping(document, 'narrative')
    text = told.get('text')
    if not isinstance(text, str) or not told.get('claims'):
        text = ''
    notes = []
    model = told.get('model')
    if model and text:
        notes.append(f'Written by {text_utils.visible(model)}; each sentence '
                     'was checked against the evidence that it names.')
    dropped = told.get('dropped')
    if isinstance(dropped, list) and dropped:
        notes.append(f'{text_utils.plural(len(dropped), "sentence")} of the '
                     'model dropped, since the evidence does not carry '
                     'it.' if len(dropped) == 1 else
                     f'{len(dropped)} sentences of the model dropped, since '
                     'the evidence does not carry them.')
    return text, ' '.join(notes)


def explanation(document: dict[str, Any]) -> str:
    """What the verdict means, in a sentence or two."""
    summary = document.get('summary')
    if summary:
        return str(summary)
    verdict = str(document.get('verdict') or '')
    if verdict in NO_CAUSE:
        return NO_CAUSE[verdict]
    if document.get('status') not in ('queued', 'running'):
        return ''
    before = document.get('queue_position')
    text = ''
    if document['status'] == 'queued' and isinstance(before, int):
        text = ('It is the next one. ' if before == 0 else
                f'{before:,} before it. ')
    attempts = document.get('attempts')
    if isinstance(attempts, int) and attempts > 1:
        text += f'This is attempt {attempts}. '
    return text + 'There is no answer yet: ask for it again in a moment.'


def asked(document: dict[str, Any]) -> list[tuple[str, str]]:
    """The scope of the question, as label and value."""
    scope = mapping(document, 'scope')
    out = []
    # Only the service keeps analyses; other ids lead nowhere.
    if document.get('project_id'):
        for label, name in (('Analysis', 'id'), ('Incident', 'incident_id')):
            if document.get(name):
                out.append((label, text_utils.visible(document[name])))
    since, until = scope.get('since'), scope.get('until')
    if since or until:
        begin = text_utils.instant(since) if since else 'the first event'
        end = text_utils.instant(until) if until else 'the last event'
        if since and until and text_utils.day(since) == text_utils.day(until):
            end = end.rpartition(' ')[2]
        out.append(('Time', f'{begin} to {end} UTC'))
    for label, name in (('Requests', 'request_ids'),
                        ('Resources', 'resources'),
                        ('Services', 'services')):
        values = words(scope.get(name))
        if values:
            more = f' and {len(values) - 6} more' if len(values) > 6 else ''
            out.append((label, ', '.join(values[:6]) + more))
    return out


def impact(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What is hit, as label and value."""
    out = []
    for name, value in mapping(document, 'impact').items():
        label = text_utils.visible(name).replace('_', ' ').capitalize()
        if isinstance(value, dict):
            text = ', '.join(
                f'{text_utils.visible(key)} {text_utils.number(count)}'
                for key, count in list(value.items())[:8])
            count = len(value)
        elif isinstance(value, (list, tuple)):
            text = ', '.join(words(value)[:8])
            count = len(value)
        else:
            text = text_utils.number(value) if value is not None else ''
            count = 0
        if count > 8:
            text += f' and {count - 8} more'
        if text and text != '0':
            out.append((label, text))
    return out


def counted(document: dict[str, Any], name: str) -> str:
    """Counts of the patterns in one line: ``nova 120 · neutron 33``."""
    counts = mapping(mapping(document, 'patterns'), name)
    ranked = sorted(
        ((key, value) for key, value in counts.items()
         if isinstance(value, int)), key=lambda pair: -pair[1])
    return ', '.join(f'{text_utils.visible(key)} {value:,}'
                     for key, value in ranked[:10])


def templates(document: dict[str, Any]) -> list[tuple[str, str]]:
    """New or bursting templates: what is special, and the text."""
    value = mapping(document, 'patterns').get('templates')
    out = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, dict):
            out.append(('', text_utils.visible(item)))
            continue
        notes = []
        for name in ('reason', 'why', 'kind', 'state'):
            if item.get(name):
                notes += words(item[name])
                break
        count = item.get('count', item.get('events'))
        if isinstance(count, int) and f'{count} times' not in ''.join(notes):
            notes.append(f'{count:,} times' if count != 1 else 'once')
        for name in ('binary', 'service'):
            if item.get(name):
                notes.append(text_utils.visible(item[name]))
                break
        text = (item.get('pattern') or item.get('text')
                or item.get('template'))
        out.append((', '.join(notes), text_utils.visible(text or '')))
    return out


def timeline(document: dict[str, Any],
             most: int) -> list[tuple[int, dict[str, Any]]]:
    """The timeline in at most so many entries, the proving ones first.

    :param document: a report
    :param most: the most entries, 0 for all
    :returns: how many entries were left out before each, and the entry; a
        last pair with an empty entry counts those left out at the end
    """
    entries = items(document, 'timeline')
    keep = set(range(len(entries)))
    if most and len(entries) > most:
        proving: dict[str, int] = {}
        for hypothesis in items(document, 'hypotheses'):
            for name in hypothesis.get('evidence') or ():
                proving.setdefault(str(name), len(proving))
        order = sorted(
            keep, key=lambda i: (
                min((proving[name] for name in words(
                    entries[i].get('evidence')) if name in proving),
                    default=len(proving)), i))
        keep = set(order[:most])
    out = []
    skipped = 0
    for index, entry in enumerate(entries):
        if index in keep:
            out.append((skipped, entry))
            skipped = 0
        else:
            skipped += 1
    if skipped:
        out.append((skipped, {}))
    return out


def level(entry: dict[str, Any], known: dict[str, dict[str, Any]]) -> str:
    """The level of a timeline entry: its own or that of its evidence."""
    if entry.get('level'):
        return str(entry['level'])
    for name in words(entry.get('evidence')):
        found = known.get(name, {}).get('level')
        if found:
            return str(found)
    return ''


def seconds(document: dict[str, Any]) -> str:
    """How much was read, and how long it took."""
    statistics = mapping(document, 'statistics')
    parts = []
    if isinstance(statistics.get('events'), int):
        parts.append(text_utils.plural(statistics['events'], 'event'))
    if isinstance(statistics.get('templates'), int):
        parts.append(text_utils.plural(statistics['templates'], 'template'))
    total = mapping(statistics, 'seconds').get('total')
    if isinstance(total, (int, float)):
        parts.append(f'{total:.1f} seconds')
    return ', '.join(parts)
