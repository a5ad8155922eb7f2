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
"""The report as Markdown, for a ticket or a page of a wiki.

Text of logs stands in code spans and fenced blocks that it cannot close.
Prose may quote it too, so everything that Markdown would act on is escaped:
no link, no image, no mention and no HTML of a log comes alive.
"""

import re
from typing import Any

from openstack_rca.osc import text as text_utils
from openstack_rca.osc.formatters import base
from openstack_rca.osc.formatters import view

_SPECIAL = re.compile(r'([\\`*_{}\[\]<>#|~!$^])')
_LIVE = {'@': '&#64;', '://': '&#58;//', 'www.': 'www&#46;'}
_LIVE_RE = re.compile(r'@|://|www\.', re.IGNORECASE)
_START = re.compile(r'^(\s*)([-+=]|\d+[.)])')

#: Lines of one event that a fenced block shows.
_LINES = 40
_COLUMNS = 1000


def escape(text: object) -> str:
    """Make a text mean itself in Markdown.

    :param text: anything
    :returns: one line without living Markdown or HTML
    """
    flat = ' '.join(text_utils.visible(text, keep='\n').split())
    flat = flat.replace('&', '&amp;')
    flat = _SPECIAL.sub(r'\\\1', flat)
    flat = _LIVE_RE.sub(
        lambda match: _LIVE.get(match[0].lower(), match[0]), flat)
    start = _START.match(flat)
    if start:
        mark = start[2]
        flat = start[1] + (mark[:-1] + '\\' + mark[-1]) + flat[start.end():]
    return flat


def code(text: object) -> str:
    """A text in a code span that it cannot leave, nor the table around it."""
    flat = ' '.join(text_utils.visible(text, keep='\n').split())
    if not flat:
        return ''
    longest = max((len(run) for run in re.findall('`+', flat)), default=0)
    fence = '`' * (longest + 1)
    pad = ' ' if flat[0] == '`' or flat[-1] == '`' else ''
    return f'{fence}{pad}{flat}{pad}{fence}'


def block(text: object) -> list[str]:
    """A text in a fenced block that it cannot leave."""
    lines = []
    raw = str(text)[:_LINES * _COLUMNS].split('\n')
    for line in raw[:_LINES]:
        lines.append(text_utils.shorten(text_utils.visible(line), _COLUMNS))
    if len(raw) > _LINES:
        lines.append(f'... {len(raw) - _LINES} more lines')
    longest = max((len(run) for line in lines
                   for run in re.findall('`+', line)), default=0)
    fence = '`' * max(3, longest + 1)
    return [f'{fence}text', *lines, fence]


class MarkdownFormatter(base.DocumentFormatter):
    """A page of Markdown that carries nothing from elsewhere."""

    kinds = frozenset({'report'})

    def render(self, kind: str, document: dict[str, Any],
               options: base.Options) -> str:
        """Write a document, see the base class."""
        lines = [*_headline(document)]
        for part in (_narrative, _causes, _evidence, _timeline, _impact,
                     _patterns, _similar, _recommendations, _coverage):
            lines += part(document)
        return '\n'.join(lines) + '\n'


def _headline(document: dict[str, Any]) -> list[str]:
    lines = [f'# Root cause analysis: {escape(view.headline(document))}', '']
    text = view.explanation(document)
    if text:
        lines += [escape(text), '']
    rows = [('Question', document.get('issue')),
            ('Severity', document.get('severity')),
            ('Category', document.get('category'))]
    if view.items(document, 'hypotheses'):
        rows.append(('Confidence', text_utils.percent(
            document.get('confidence'))))
    rows += view.asked(document)
    rows.append(('Read', view.seconds(document)))
    lines += [f'- **{label}:** {escape(value)}'
              for label, value in rows if value]
    error = document.get('error')
    if error:
        message = error.get('message') if isinstance(error, dict) else error
        lines += ['', f'**Error:** {escape(message)}']
    return [*lines, '']


def _narrative(document: dict[str, Any]) -> list[str]:
    text, note = view.narrative(document)
    lines = ['## In words', ''] if text or note else []
    for part in (text, note):
        if part:
            lines += [escape(part), '']
    return lines


def _causes(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    hypotheses, unlikely = view.likely(document)
    for index, item in enumerate(hypotheses, 1):
        if index == 1:
            lines += ['## Causes', '']
        cause = escape(item.get('cause') or 'Unknown cause')
        facts = [code(view.at_host(item))]
        if item.get('category'):
            facts.append(escape(item['category']))
        facts.append(
            f'confidence {text_utils.percent(item.get("confidence"))}')
        lines += [f'### {item.get("rank") or index}\\. {cause}', '',
                  ', '.join(facts)]
        location = view.code(item.get('location'))
        if location:
            lines += ['', f'In the code: {code(location)}']
        pieces = view.alike(view.cited(document, item.get('evidence')))
        if pieces:
            lines += ['', 'Evidence:', '']
        for piece, others in pieces[:5]:
            more = f' ({len(others)} more like it)' if others else ''
            lines.append(_cite(piece) + more)
        rest = [name for piece, others in pieces[5:]
                for name in (str(piece.get('id')), *others)]
        if rest:
            names = ', '.join(escape(name) for name in rest[:20])
            lines.append(f'- and {len(rest)} more: {names}')
        remedies = view.words(item.get('remedy'))
        if remedies:
            lines += ['', 'What to do:', '']
            lines += [f'- {escape(remedy)}' for remedy in remedies]
        lines.append('')
    if unlikely:
        lines += ['### Less likely', '']
    for item in unlikely:
        lines.append(f'- {escape(item.get("cause") or "")} '
                     f'({code(view.at_host(item))}, '
                     f'{text_utils.percent(item.get("confidence"))})')
    return [*lines, ''] if unlikely else lines


def _cite(piece: dict[str, Any]) -> str:
    shown, _ = text_utils.excerpt(view.said(piece), 200, 2)
    parts = [escape(piece.get('id') or ''), code(view.place(piece)),
             text_utils.clock(piece.get('timestamp')),
             escape(piece.get('level') or '')]
    head = ' '.join(part for part in parts if part)
    body = code(' '.join(shown))
    return f'- {head}: {body}' if body else f'- {head}'


def _evidence(document: dict[str, Any]) -> list[str]:
    wanted: dict[str, dict[str, Any]] = {}
    for item in view.likely(document)[0]:
        for piece, _ in view.alike(
                view.cited(document, item.get('evidence')))[:5]:
            wanted.setdefault(str(piece.get('id')), piece)
    if not wanted:
        wanted = {str(piece.get('id')): piece
                  for piece in view.items(document, 'evidence')[:10]}
    lines: list[str] = []
    for name, piece in wanted.items():
        if not lines:
            lines += ['## Evidence', '']
        facts = [code(view.place(piece)),
                 text_utils.instant(piece.get('timestamp')),
                 escape(piece.get('level') or ''), escape(view.who(piece))]
        why = '; '.join(view.words(piece.get('why')))
        lines += [f'**{escape(name)}** '
                  + ', '.join(fact for fact in facts if fact)
                  + (f' ({escape(why)})' if why else ''), '']
        lines += [*block(piece.get('text') or ''), '']
    return lines


def _timeline(document: dict[str, Any]) -> list[str]:
    entries = view.timeline(document, 60)
    if not entries:
        return []
    lines = ['## Timeline', '', '| Time (UTC) | Who | What | Evidence |',
             '|---|---|---|---|']
    for skipped, entry in entries:
        if skipped:
            lines.append(f'| | | {skipped} more | |')
        if entry:
            text = text_utils.visible(text_utils.message(
                str(entry.get('text') or '').split('\n', 1)[0][:5000]))
            cites = ', '.join(view.words(entry.get('evidence'))[:4])
            lines.append(
                f'| {escape(text_utils.instant(entry.get("timestamp")))} '
                f'| {escape(view.who(entry))} '
                f'| {escape(text_utils.shorten(text, 160))} '
                f'| {escape(cites)} |')
    return [*lines, '']


def _pairs(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return [f'## {title}', '',
            *(f'- **{escape(label)}:** {escape(value)}'
              for label, value in rows), '']


def _impact(document: dict[str, Any]) -> list[str]:
    return _pairs('Impact', view.impact(document))


def _patterns(document: dict[str, Any]) -> list[str]:
    rows = [('Events', view.counted(document, 'services')),
            ('Levels', view.counted(document, 'levels'))]
    lines = _pairs('Patterns', [row for row in rows if row[1]])
    found = view.templates(document)
    if found and not lines:
        lines = ['## Patterns', '']
    for note, text in found[:20]:
        body = code(text_utils.shorten(text, 300))
        lines.append(f'- {body}' + (f' ({escape(note)})' if note else ''))
    return [*lines, ''] if found else lines


def _similar(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for item in view.items(document, 'similar')[:10]:
        if not lines:
            lines += ['## Similar', '']
        parts = [escape(item.get('kind') or ''),
                 escape(item.get('title') or item.get('id') or ''),
                 escape(item.get('resolution') or ''),
                 code(item.get('url') or '')]
        lines.append('- ' + ', '.join(part for part in parts if part))
    return [*lines, ''] if lines else []


def _recommendations(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for index, item in enumerate(view.items(document, 'recommendations'), 1):
        if not lines:
            lines += ['## What to do next', '']
        cites = ', '.join(view.words(item.get('evidence'))[:4])
        lines.append(f'{index}. {escape(item.get("text") or "")}'
                     + (f' ({escape(cites)})' if cites else ''))
    return [*lines, ''] if lines else []


def _coverage(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for item in view.items(document, 'coverage')[:200]:
        if not lines:
            lines += ['## What was read', '',
                      '| Source | From | To | Events | Clock |',
                      '|---|---|---|---:|---|']
        cells = [escape(item.get('source') or ''),
                 escape(text_utils.instant(item.get('from'))),
                 escape(text_utils.instant(item.get('to'))),
                 escape(text_utils.number(item.get('events') or 0)),
                 escape(item.get('clock') or '')]
        lines.append('| ' + ' | '.join(cells) + ' |')
    if lines:
        lines.append('')
    skipped = view.items(document, 'skipped')
    if skipped:
        lines += ['## What was not read', '']
    for item in skipped[:200]:
        amount = item.get('bytes')
        lines.append(f'- {code(item.get("source") or "")}: '
                     f'{escape(item.get("reason") or "")}'
                     + (f' ({text_utils.size(amount)})' if amount else ''))
    return [*lines, ''] if skipped else lines
