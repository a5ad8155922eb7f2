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
"""The report for a terminal, and for the person in front of it at night."""

from typing import Any

from openstack_rca.osc import text as text_utils
from openstack_rca.osc.formatters import base
from openstack_rca.osc.formatters import view

_CODES = {'bold': '1', 'dim': '2', 'red': '31', 'green': '32',
          'yellow': '33', 'blue': '34', 'cyan': '36'}

_LEVELS = {'CRITICAL': 'bold red', 'FATAL': 'bold red', 'ERROR': 'red',
           'TRACE': 'red', 'WARNING': 'yellow', 'WARN': 'yellow',
           'DEBUG': 'dim'}

_SEVERITIES = {'critical': 'bold red', 'high': 'bold red', 'error': 'red',
               'major': 'red', 'medium': 'yellow', 'warning': 'yellow',
               'minor': 'yellow', 'low': 'cyan', 'info': 'cyan',
               'none': 'green'}

#: How much of long lists a screen gets; the document has all of it.
_EVIDENCE_FIRST = 5
_EVIDENCE_OTHERS = 3
_TIMELINE = 20
_PATTERNS = 8
_SKIPPED = 8
#: More sources than these are summed up.
_COVERAGE = 8
_OTHERS = 3
_NOTES = 8
_EVENTS = 30
#: How an operation can end that needs no one.
_OUTCOMES = {'finished': 'green', 'not finished when the logs end': 'yellow',
             'no record of its end': 'yellow', 'refused': 'yellow'}


class _Page:
    """Lines under construction.

    :param options: the place where they go
    """

    def __init__(self, options: base.Options) -> None:
        self.columns = options.columns
        self.colour = options.colour
        self.ellipsis = '\u2026' if options.unicode else '...'
        self.bullet = '\u2022' if options.unicode else '-'
        self.dot = ' \u00b7 ' if options.unicode else ' - '
        self.rule = '\u2500' if options.unicode else '-'
        self.arrow = '\u2192' if options.unicode else '->'
        self.lines: list[str] = []

    def paint(self, text: str, style: str) -> str:
        """Give a text a colour where that is welcome."""
        if not self.colour or not style or not text:
            return text
        codes = ';'.join(_CODES[name] for name in style.split())
        return f'\x1b[{codes}m{text}\x1b[0m'

    def add(self, line: str = '') -> None:
        """Add a finished line."""
        self.lines.append(line.rstrip())

    def title(self, text: str) -> None:
        """Begin a part of the report."""
        self.add()
        line = self.rule * max(self.columns - text_utils.width(text) - 1, 3)
        self.add(self.paint(text.upper(), 'bold') + ' '
                 + self.paint(line, 'dim'))

    def flow(self, text: object, indent: int = 0, first: str | None = None,
             style: str = '') -> None:
        """Add a paragraph, wrapped.

        :param text: what to say
        :param indent: columns to leave free
        :param first: what stands at the beginning, within the indent
        :param style: a colour
        """
        lead = ' ' * indent if first is None else first.ljust(indent)
        for line in text_utils.wrap(text_utils.visible(text),
                                    self.columns - indent):
            self.add(lead + self.paint(line, style))
            lead = ' ' * indent

    def facts(self, parts: list[tuple[str, str]]) -> None:
        """Add short facts, as many on a line as fit.

        :param parts: texts and their colours
        """
        line, used = '', 0
        for part, style in parts:
            part = text_utils.shorten(part, self.columns, self.ellipsis)
            if used and used + 3 + text_utils.width(part) > self.columns:
                self.add(line)
                line, used = '', 0
            line += (self.dot if used else '') + self.paint(part, style)
            used += (3 if used else 0) + text_utils.width(part)
        if line:
            self.add(line)

    def pairs(self, rows: list[tuple[str, str]], indent: int = 2) -> None:
        """Add labels with their values, the values under each other."""
        if not rows:
            return
        label = min(max(len(name) for name, _ in rows) + 2, 20)
        for name, value in rows:
            self.flow(value, indent + label, ' ' * indent + name)

    def text(self) -> str:
        """The whole page."""
        return '\n'.join(self.lines) + '\n'


class ReportFormatter(base.DocumentFormatter):
    """Made for reading: causes first, each with the lines that prove it."""

    kinds = frozenset({'report', 'trace', 'answer'})

    def render(self, kind: str, document: dict[str, Any],
               options: base.Options) -> str:
        """Write a document, see the base class."""
        page = _Page(options)
        if kind == 'trace' and 'operations' in document:
            _story(page, document)
        elif kind == 'trace':
            _trace(page, document)
        elif kind == 'answer':
            _answer(page, document)
        else:
            _report(page, document)
        return page.text()


def _answer(page: _Page, document: dict[str, Any]) -> None:
    for line in str(document.get('text') or '').split('\n'):
        listed = line.startswith('- ')
        page.flow(line.removeprefix('- '), 4 if listed else 0,
                  f'  {page.bullet} ' if listed else None)
    note = view.narrative({'narrative': document})[1]
    if note:
        page.add()
        page.flow(note, style='dim')
    for item in view.items(document, 'skipped'):
        page.add()
        page.flow(text_utils.visible(
            f'{item.get("source") or ""}: {item.get("reason") or ""}'))
    places = [(text_utils.visible(item.get('id') or ''), view.place(item))
              for item in view.items(document, 'evidence')]
    places += [(text_utils.visible(item.get('number') or ''),
                text_utils.visible(f'{item.get("kind")} {item.get("id")}'
                                   + (f', {item["url"]}' if item.get('url')
                                      else '')))
               for item in view.items(document, 'knowledge')]
    if places:
        page.title('Where it stands')
        page.pairs(places)


def _report(page: _Page, document: dict[str, Any]) -> None:
    _headline(page, document)
    _narrative(page, document)
    hypotheses, unlikely = view.likely(document)
    if hypotheses:
        page.title('Causes' if len(hypotheses) > 1 else 'Cause')
    shown: set[str] = set()
    for index, hypothesis in enumerate(hypotheses):
        _hypothesis(page, document, hypothesis, index, shown)
    if unlikely:
        page.add()
        page.flow('Less likely', 4, style='bold')
    for hypothesis in unlikely:
        cites = ', '.join(view.words(hypothesis.get('evidence'))[:3])
        page.flow(
            f'{text_utils.visible(hypothesis.get("cause") or "")} '
            f'({view.at_host(hypothesis)}, '
            f'{text_utils.percent(hypothesis.get("confidence"))}'
            + (f', {cites})' if cites else ')'), 6, f'    {page.bullet} ')
    if not hypotheses:
        _observations(page, document)
    _timeline(page, document)
    _section(page, 'Impact', view.impact(document))
    _patterns(page, document)
    _similar(page, document)
    _recommendations(page, document)
    _coverage(page, document)


def _headline(page: _Page, document: dict[str, Any]) -> None:
    severity = text_utils.visible(document.get('severity') or '')
    style = _SEVERITIES.get(severity.lower(), '')
    verdict = str(document.get('verdict') or '')
    if verdict == 'nothing_abnormal':
        style = 'green'
    facts = [(view.headline(document).upper(), 'bold')]
    if severity:
        facts.append((f'severity {severity}', style))
    if document.get('category') and document.get('category') != 'unknown':
        facts.append((text_utils.visible(document['category']), ''))
    if view.items(document, 'hypotheses') and document.get(
            'confidence') is not None:
        facts.append(('confidence '
                      + text_utils.percent(document['confidence']), ''))
    page.facts(facts)
    page.add()
    page.flow(view.explanation(document))
    if not view.items(document, 'hypotheses'):
        hint = view.NO_CAUSE.get(verdict, '')
        if hint and hint != document.get('summary'):
            page.flow(hint)
    error = document.get('error')
    if error:
        message = error.get('message') if isinstance(error, dict) else error
        page.flow(message, style='red')
    page.add()
    rows = view.asked(document)
    if document.get('issue'):
        rows.insert(0, ('Question', text_utils.visible(document['issue'])))
    read = view.seconds(document)
    if read:
        rows.append(('Read', read))
    page.pairs(rows, 0)


def _narrative(page: _Page, document: dict[str, Any]) -> None:
    text, note = view.narrative(document)
    if text or note:
        page.title('In words')
    if text:
        page.flow(text)
    if note:
        page.flow(note, style='dim')


def _hypothesis(page: _Page, document: dict[str, Any],
                hypothesis: dict[str, Any], index: int,
                shown: set[str]) -> None:
    rank = hypothesis.get('rank') or index + 1
    if index:
        page.add()
    lead = f'{rank:>2}. ' if isinstance(rank, int) else '    '
    for line in text_utils.wrap(
            text_utils.visible(hypothesis.get('cause') or 'Unknown cause'),
            page.columns - 4):
        page.add(lead + page.paint(line, 'bold'))
        lead = '    '
    facts = [view.at_host(hypothesis)]
    if hypothesis.get('category'):
        facts.append(text_utils.visible(hypothesis['category']))
    if hypothesis.get('confidence') is not None:
        facts.append('confidence '
                     + text_utils.percent(hypothesis['confidence']))
    if hypothesis.get('signature'):
        facts.append('known as '
                     + text_utils.visible(hypothesis['signature']))
    page.flow(page.dot.join(facts), 4, style='cyan')
    location = view.code(hypothesis.get('location'))
    if location:
        page.flow(f'in the code: {location}', 4, style='dim')
    pieces = view.alike(view.cited(document, hypothesis.get('evidence')))
    most = _EVIDENCE_FIRST if index == 0 else _EVIDENCE_OTHERS
    for piece, others in pieces[:most]:
        again = str(piece.get('id')) in shown
        shown.add(str(piece.get('id')))
        _evidence(page, document, piece, others, again)
    names = [name for piece, others in pieces[most:]
             for name in (text_utils.visible(piece.get('id')), *others)]
    more = len(names)
    if more:
        listed = ', '.join(names[:6]) + (
            page.ellipsis if len(names) > 6 else '')
        page.flow(f'and {text_utils.plural(more, "more line")}: {listed} '
                  f'(-f json has them)', 4, style='dim')
    remedies = view.words(hypothesis.get('remedy'))
    if remedies:
        page.add(' ' * 4 + page.paint('What to do', 'bold'))
    for remedy in remedies:
        page.flow(remedy, 6, f'    {page.bullet} ')


def _evidence(page: _Page, document: dict[str, Any],
              piece: dict[str, Any], others: list[str] | None = None,
              again: bool = False) -> None:
    level = text_utils.visible(piece.get('level') or '')
    name = text_utils.visible(piece.get('id') or '')
    where = view.place(piece)
    time = text_utils.clock(piece.get('timestamp'))
    # The path is what gets copied into an editor: it is never cut, the rest
    # goes to a line of its own where both do not fit.
    facts = [time, level, view.who(piece)]
    if again:
        facts.append('(shown above)')
    facts = [fact for fact in facts if fact]
    tail = ' '.join(facts)
    head = f'    {name} ' if name else '    '
    if text_utils.width(head + where) + 2 + len(tail) <= page.columns:
        page.add(page.paint(head, 'dim') + page.paint(where, 'blue') + '  '
                 + _painted_tail(page, tail, level))
    else:
        page.add(page.paint(head, 'dim') + page.paint(where, 'blue'))
        page.add(' ' * len(head) + _painted_tail(
            page, text_utils.shorten(tail, page.columns - len(head),
                                     page.ellipsis), level))
    if again:
        return
    lines, hidden = text_utils.excerpt(
        view.said(piece), page.columns - 8, 3, page.ellipsis,
        view.issue_words(document))
    for line in lines:
        page.add(' ' * 8 + line)
    notes = []
    if hidden:
        notes.append(f'{text_utils.plural(hidden, "more line")} of this '
                     f'event')
    notes += view.words(piece.get('why'))
    if others:
        notes.append(f'{len(others)} more like it: ' + ', '.join(others[:4])
                     + (page.ellipsis if len(others) > 4 else ''))
    if notes:
        page.add(' ' * 8 + page.paint(text_utils.shorten(
            f'({"; ".join(notes)})', page.columns - 8, page.ellipsis),
            'dim'))


def _painted_tail(page: _Page, tail: str, level: str) -> str:
    style = _LEVELS.get(level.upper(), '')
    before, found, after = tail.partition(f' {level} ')
    if not level or not found or not style:
        return page.paint(tail, 'dim')
    return (page.paint(before, 'dim') + ' ' + page.paint(level, style) + ' '
            + page.paint(after, 'dim'))


def _observations(page: _Page, document: dict[str, Any]) -> None:
    pieces = view.items(document, 'evidence')
    if not pieces:
        return
    page.title('What was seen')
    for piece in pieces[:_EVIDENCE_FIRST]:
        _evidence(page, document, piece)
    more = len(pieces) - _EVIDENCE_FIRST
    if more > 0:
        page.flow(f'and {text_utils.plural(more, "more line")} '
                  f'(-f json has them)', 4, style='dim')


def _timeline(page: _Page, document: dict[str, Any]) -> None:
    entries = view.timeline(document, _TIMELINE)
    if not entries:
        return
    known = view.evidence_by_id(document)
    page.title('Timeline (UTC)')
    today = ''
    names = [view.who(entry) for _, entry in entries if entry]
    column = min(max((text_utils.width(name) for name in names), default=0),
                 26)
    last = ''
    for skipped, entry in entries:
        if skipped:
            page.add(page.paint(
                f'  {page.ellipsis} {skipped} more', 'dim'))
        if not entry:
            continue
        said = f'{view.who(entry)} {entry.get("text")}'
        if said == last and not skipped:
            page.add(page.paint(
                f'  {text_utils.clock(entry.get("timestamp"))}  '
                f'{" " * column} the same again', 'dim'))
            continue
        last = said
        day = text_utils.day(entry.get('timestamp'))
        if day and day != today:
            page.add(page.paint(f'  {day}', 'dim'))
            today = day
        level = view.level(entry, known)
        name = text_utils.shorten(view.who(entry), column, page.ellipsis)
        name += ' ' * (column - text_utils.width(name))
        cites = ','.join(view.words(entry.get('evidence'))[:2]).rjust(4)
        room = page.columns - 17 - column - len(cites) - 2
        text = text_utils.visible(text_utils.message(
            str(entry.get('text') or '').split('\n', 1)[0][:5000]))
        text = text_utils.shorten(text, room, page.ellipsis,
                                  text_utils.telling(text))
        line = page.paint(text, _LEVELS.get(level.upper(), ''))
        line += ' ' * (room - text_utils.width(text) + 2) + page.paint(
            cites, 'dim')
        page.add(f'  {text_utils.clock(entry.get("timestamp")):12}  '
                 f'{page.paint(name, "cyan")} {line}')


def _section(page: _Page, title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        page.title(title)
        page.pairs(rows)


def _patterns(page: _Page, document: dict[str, Any]) -> None:
    found = view.templates(document)
    rows = []
    for label, name in (('Events', 'services'), ('Levels', 'levels')):
        counts = view.counted(document, name)
        if counts:
            rows.append((label, counts))
    if not found and not rows:
        return
    page.title('Patterns')
    page.pairs(rows)
    for note, text in found[:_PATTERNS]:
        lead = f'  {page.bullet} '
        body = text_utils.shorten(text, 2 * (page.columns - 4) - 4,
                                  page.ellipsis, text_utils.telling(text))
        page.flow(body, 4, lead)
        if note:
            page.flow(note, 4, style='dim')
    if len(found) > _PATTERNS:
        page.flow(f'and {len(found) - _PATTERNS} more (-f json has them)', 4,
                  style='dim')


def _similar(page: _Page, document: dict[str, Any]) -> None:
    found = view.items(document, 'similar')
    if not found:
        return
    page.title('Similar')
    for item in found[:5]:
        title = text_utils.visible(item.get('title') or item.get('id') or '')
        kind = text_utils.visible(item.get('kind') or '')
        page.flow(f'{kind}: {title}' if kind else title, 4,
                  f'  {page.bullet} ')
        for name in ('resolution', 'url'):
            if item.get(name):
                page.flow(item[name], 4, style='dim')


def _recommendations(page: _Page, document: dict[str, Any]) -> None:
    told = {remedy for item in view.likely(document)[0]
            for remedy in view.words(item.get('remedy'))}
    found = [item for item in view.items(document, 'recommendations')
             if text_utils.visible(item.get('text') or '') not in told]
    if not found:
        return
    page.title('What to do next')
    for index, item in enumerate(found, 1):
        cites = ', '.join(view.words(item.get('evidence'))[:4])
        text = text_utils.visible(item.get('text') or '')
        page.flow(f'{text} ({cites})' if cites else text, 5, f'{index:>3}. ')


def _coverage(page: _Page, document: dict[str, Any]) -> None:
    coverage = view.items(document, 'coverage')
    skipped = view.items(document, 'skipped')
    if coverage:
        page.title('What was read')
        begin = min((item['from'] for item in coverage if item.get('from')),
                    default=None)
        end = max((item['to'] for item in coverage if item.get('to')),
                  default=None)
        if begin and end:
            page.flow(f'{text_utils.plural(len(coverage), "source")}, '
                      f'{text_utils.instant(begin)} to '
                      f'{text_utils.instant(end)} UTC', 2)
        few = len(coverage) <= _COVERAGE
        for item in coverage if few else ():
            _covered(page, item)
        if not few:
            page.flow("'openstack rca source list' shows them.", 2,
                      style='dim')
    if skipped:
        page.title('What was not read')
    for item in skipped[:_SKIPPED]:
        amount = item.get('bytes')
        size = f' ({text_utils.size(amount)})' if amount else ''
        page.flow(f'{text_utils.visible(item.get("source") or "")}: '
                  f'{text_utils.visible(item.get("reason") or "")}{size}',
                  4, f'  {page.bullet} ')
    if len(skipped) > _SKIPPED:
        page.flow(f'and {len(skipped) - _SKIPPED} more (-f json has them)',
                  4, style='dim')


def _covered(page: _Page, item: dict[str, Any]) -> None:
    events = item.get('events')
    count = text_utils.plural(events, 'event') if isinstance(
        events, int) else ''
    facts = [count]
    clock = text_utils.visible(item.get('clock') or '')
    if clock and clock.upper() != 'UTC':
        facts.append(f'clock {clock}')
    tail = text_utils.shorten(page.dot.join(fact for fact in facts if fact),
                              page.columns // 2, page.ellipsis)
    source = text_utils.shorten(
        text_utils.visible(item.get('source') or ''),
        max(page.columns - len(tail) - 4, 20), page.ellipsis)
    gap = max(page.columns - text_utils.width(source) - len(tail) - 2, 2)
    page.add(f'  {source}{" " * gap}{page.paint(tail, "dim")}')


def _trace(page: _Page, document: dict[str, Any]) -> None:
    events = view.items(document, 'events')
    ids = view.words(document.get('request_ids'))
    shared = text_utils.visible(document.get('global_request_id') or '')
    page.add(page.paint('TRACE', 'bold') + page.dot
             + page.paint(text_utils.plural(len(events), 'event'), 'dim'))
    rows = []
    if shared:
        rows.append(('Global id', shared))
    if ids:
        rows.append(('Requests', ' '.join(ids)))
    page.pairs(rows, 0)
    _services(page, document)
    _events(page, events, 'Events (UTC)')


def _story(page: _Page, document: dict[str, Any]) -> None:
    server = document.get('server')
    server = server if isinstance(server, dict) else {}
    done = view.items(document, 'operations')
    page.facts([('SERVER ' + text_utils.visible(
        server.get('name') or server.get('id') or ''), 'bold'),
        (text_utils.visible(server.get('state') or 'state not told'),
         'red' if server.get('state') == 'error' else ''),
        (text_utils.plural(len(done), 'operation'), 'dim')])
    page.add()
    page.pairs([(label, text_utils.visible(server[key])) for label, key in (
        ('UUID', 'id'), ('Task', 'task_state'), ('Host', 'host'),
        ('Flavor', 'flavor'), ('Image', 'image')) if server.get(key)], 0)
    others = view.words(server.get('others'))
    if others:
        page.pairs([('Same name', ' '.join(others[:_OTHERS]))], 0)
    if done:
        page.title('Operations (UTC)')
    for item in done:
        _operation(page, item)
    notes = view.items(document, 'notes')
    if notes:
        page.title('Beside these')
    for note in notes[:_NOTES]:
        page.flow(f'{text_utils.clock(note.get("timestamp"))} '
                  + text_utils.visible(note.get('text') or ''),
                  4, f'  {page.bullet} ')
    if len(notes) > _NOTES:
        page.flow(f'and {len(notes) - _NOTES} more (-f json has them)', 4,
                  style='dim')
    _services(page, document)
    events = view.items(document, 'events')
    bad = {(view.who(e), e.get('template')): e for e in reversed(events)
           if e.get('level') in ('WARNING', 'ERROR', 'CRITICAL')}
    # One of those that say the same, the first.
    told = list(reversed(bad.values())) or events
    shown = told[-_EVENTS:]
    _events(page, shown, 'Warnings and errors (UTC)'
            if told is not events else 'Events (UTC)')
    looks = document.get('looks')
    rest = [text_utils.plural(len(events) - len(shown), 'other event')
            + ' (-f json has them)'] if len(events) > len(shown) else []
    if isinstance(looks, int) and looks:
        rest.append(f'{text_utils.plural(looks, "look")} at the server, '
                    f'left out')
    if rest:
        page.add()
        page.flow('; '.join(rest), style='dim')


def _operation(page: _Page, item: dict[str, Any]) -> None:
    outcome = text_utils.visible(item.get('outcome') or '')
    style = _OUTCOMES.get(outcome, 'red' if outcome else '')
    seconds = item.get('seconds')
    hosts = view.words(item.get('hosts'))
    facts = [(text_utils.clock(item.get('start')), 'dim'),
             (text_utils.visible(item.get('operation') or ''), 'bold'),
             (outcome, style)]
    if isinstance(seconds, int | float):
        facts.append((f'{seconds:.1f} s', ''))
    if hosts:
        facts.append((f' {page.arrow} '.join(hosts), ''))
    page.facts([(f'  {facts[0][0]}', facts[0][1]), *facts[1:]])
    for name in view.words(item.get('request_ids'))[:1]:
        page.add('      ' + page.paint(name, 'dim'))
    if item.get('reason'):
        page.flow(item['reason'], 6, style='' if style == 'green' else style)
    if style == 'green' and not item.get('reason'):
        return
    for step in view.items(item, 'steps'):
        text = text_utils.visible(step.get('text') or '')
        who = view.who(step)
        page.add('      ' + text_utils.shorten(
            f'{text_utils.clock(step.get("timestamp"))} {who}: {text}',
            page.columns - 6, page.ellipsis))


def _services(page: _Page, document: dict[str, Any]) -> None:
    services = view.items(document, 'services')
    if services:
        page.title('Services')
    names = [view.who(item) for item in services]
    column = min(max((text_utils.width(name) for name in names), default=0),
                 34)
    for item, name in zip(services, names, strict=True):
        errors = item.get('errors')
        name = text_utils.shorten(name, column, page.ellipsis)
        count = item.get('events')
        tail = text_utils.plural(count, 'event') if isinstance(
            count, int) else ''
        line = (f'  {name}{" " * (column - text_utils.width(name))}  '
                f'{text_utils.clock(item.get("first"))} {page.arrow} '
                f'{text_utils.clock(item.get("last"))}  {tail}')
        if isinstance(errors, int) and errors:
            line += ', ' + page.paint(text_utils.plural(errors, 'error'),
                                      'red')
        page.add(line)


def _events(page: _Page, events: list[dict[str, Any]], title: str) -> None:
    if events:
        page.title(title)
    column = min(max((text_utils.width(view.who(event)) for event in events),
                     default=0), 26)
    today = ''
    for event in events:
        day = text_utils.day(event.get('timestamp'))
        if day and day != today:
            page.add(page.paint(f'  {day}', 'dim'))
            today = day
        _step(page, event, column)


def _step(page: _Page, event: dict[str, Any], column: int) -> None:
    level = text_utils.visible(event.get('level') or '')
    name = text_utils.shorten(view.who(event), column, page.ellipsis)
    name += ' ' * (column - text_utils.width(name))
    delta = event.get('delta_ms')
    step = _delta(delta) if isinstance(delta, (int, float)) else ''
    short = {'WARNING': 'WARN', 'CRITICAL': 'CRIT'}.get(level, level)[:5]
    indent = 2 + 12 + 1 + 9 + 1 + column + 1 + 5 + 1
    room = page.columns - indent
    own_line = room < 30
    columns = page.columns - 8 if own_line else room
    lines, hidden = text_utils.excerpt(
        view.said(event), columns, 2, page.ellipsis)
    head = (f'  {text_utils.clock(event.get("timestamp")):12} '
            f'{page.paint(step.rjust(9), "dim")} {page.paint(name, "cyan")} '
            f'{page.paint(short.ljust(5), _LEVELS.get(level, ""))} ')
    style = _LEVELS.get(level, '') if level in view.ERRORS else ''
    if own_line:
        page.add(head + page.paint(text_utils.shorten(
            view.place(event), max(room, 10), page.ellipsis), 'dim'))
        lead = ' ' * 8
    else:
        page.add(head + (page.paint(lines[0], style) if lines else ''))
        lead = ' ' * indent
        lines = lines[1:]
    for line in lines:
        page.add(lead + page.paint(line, style))
    if hidden:
        page.add(lead + page.paint(
            f'({text_utils.plural(hidden, "more line")})', 'dim'))


def _delta(milliseconds: float) -> str:
    """The time since the first event, in at most nine columns."""
    value = max(milliseconds, -999999.0)
    if abs(value) < 10_000:
        return f'{value:+.0f}ms'
    if abs(value) < 600_000:
        return f'{value / 1000:+.1f}s'
    return f'{value / 60000:+.0f}min'
