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
"""The report as one HTML page that needs nothing else.

The page has no script and loads nothing; its content policy says so to the
browser too. Everything that comes from the document is escaped, and the page
is plain ASCII, so that it reads the same however it is stored or sent.
"""

from collections.abc import Iterable
import datetime
import html
import re
from typing import Any

from openstack_rca.osc import text as text_utils
from openstack_rca.osc.formatters import base
from openstack_rca.osc.formatters import view

POLICY = ("default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
          "base-uri 'none'; form-action 'none'")

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2127;--dim:#5d6873;
--line:#d8dee4;--card:#f6f8fa;--link:#0a5bc4;--bad:#c21f32;--warn:#a15c00;
--ok:#1a7f45;--info:#3b6ea8;--dot:#8a97a3}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e3e8ed;
--dim:#9aa6b2;--line:#333c46;--card:#1c2229;--link:#7db4ff;--bad:#ff7b86;
--warn:#f0b35a;--ok:#5fd18d;--info:#86b7ef;--dot:#74818d}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:64rem;
background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.6rem;margin:0 0 .25rem;line-height:1.25}
h2{font-size:1.15rem;margin:2.2rem 0 .7rem;padding-bottom:.25rem;
border-bottom:1px solid var(--line)}
h3{font-size:1.05rem;margin:0}
p{margin:.5rem 0}a{color:var(--link)}
.sub,.dim{color:var(--dim)}.sub{margin:0 0 .3rem;font-size:.9rem}
.lead{font-size:1.1rem;margin:.6rem 0 1rem}
.chips{display:flex;flex-wrap:wrap;gap:.4rem;margin:.5rem 0}
.chip{border:1px solid var(--line);border-radius:1rem;padding:.05rem .7rem;
font-size:.88rem;background:var(--card)}
.chip.bad{color:var(--bad);border-color:currentColor}
.chip.warn{color:var(--warn);border-color:currentColor}
.chip.ok{color:var(--ok);border-color:currentColor}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;
margin:.5rem 0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.cause{border:1px solid var(--line);border-left:4px solid var(--dot);
border-radius:.4rem;padding:.8rem 1rem;margin:.8rem 0;background:var(--card)}
.cause.first{border-left-color:var(--bad)}
.meter{height:.35rem;border-radius:.2rem;background:var(--line);
margin:.5rem 0 .6rem;max-width:16rem}
.meter i{display:block;height:100%;border-radius:.2rem;
background:var(--info)}
.piece{margin:.6rem 0}.piece .where{font-size:.86rem;overflow-wrap:anywhere}
.piece .where code{color:var(--link)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
font-size:.84rem}
pre{margin:.2rem 0 0;padding:.5rem .7rem;border:1px solid var(--line);
border-radius:.3rem;background:var(--bg);white-space:pre-wrap;
overflow-wrap:anywhere;max-height:26rem;overflow:auto}
.bad{color:var(--bad)}.warn{color:var(--warn)}.ok{color:var(--ok)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top;
border-bottom:1px solid var(--line)}
td{overflow-wrap:anywhere}td.t{white-space:nowrap;
font-variant-numeric:tabular-nums}td.n,th.n{text-align:right}
th{color:var(--dim);font-weight:600}
ul,ol{margin:.4rem 0;padding-left:1.4rem}
svg{display:block;width:100%;min-width:40rem;height:auto}
svg text{fill:var(--dim);font-size:12px;font-family:inherit}
svg .lane{stroke:var(--line)}svg .tick{stroke:var(--line);
stroke-dasharray:2 4}
svg .name{fill:var(--fg)}svg circle{fill:var(--dot);fill-opacity:.85}
svg .bad circle{fill:var(--bad)}svg .warn circle{fill:var(--warn)}
svg .ok circle{fill:var(--info)}
svg .proof circle{stroke:var(--fg);stroke-width:1.6}
.key{display:flex;flex-wrap:wrap;gap:1rem;font-size:.84rem;
color:var(--dim);margin:.3rem 0}
.key i{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;
margin-right:.35rem;background:var(--dot)}
.key .bad i{background:var(--bad)}.key .warn i{background:var(--warn)}
.key .ok i{background:var(--info)}.key span{color:var(--dim)}
.key .proof i{background:none;border:2px solid var(--fg)}
:target{outline:2px solid var(--link);outline-offset:4px}
@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--card:#fff;
--link:#000;--bad:#a00;--warn:#850;--ok:#063;--info:#036;--dot:#666}
body{max-width:none;padding:0;font-size:10pt}
pre{max-height:none;overflow:visible}.scroll{overflow:visible}
.cause,.piece,svg,tr{break-inside:avoid}h2,h3{break-after:avoid}
svg{min-width:0}a{text-decoration:none}}
"""

_LEVEL_CLASS = {'CRITICAL': 'bad', 'FATAL': 'bad', 'ERROR': 'bad',
                'TRACE': 'bad', 'WARNING': 'warn', 'WARN': 'warn',
                'INFO': 'ok', 'NOTICE': 'ok', 'AUDIT': 'ok'}

_SEVERITY_CLASS = {'critical': 'bad', 'high': 'bad', 'error': 'bad',
                   'major': 'bad', 'medium': 'warn', 'warning': 'warn',
                   'minor': 'warn', 'low': '', 'info': '', 'none': 'ok'}

#: Lines and characters of one event on the page.
_LINES = 80
_CHARACTERS = 20000
#: Entries of the long lists on the page.
_TIMELINE = 100
_PATTERNS = 50
_SOURCES = 300
_LANES = 24


def escape(text: object, keep: str = '') -> str:
    """Make a text mean itself in HTML.

    :param text: anything
    :param keep: control characters that stay
    """
    return html.escape(text_utils.visible(text, keep=keep), quote=True)


class HtmlFormatter(base.DocumentFormatter):
    """One page that stands alone, with a picture of the timeline."""

    kinds = frozenset({'report'})

    def render(self, kind: str, document: dict[str, Any],
               options: base.Options) -> str:
        """Write a document, see the base class."""
        title = escape(f'Root cause analysis: {view.headline(document)}')
        parts = [
            '<!DOCTYPE html>', '<html lang="en">', '<head>',
            '<meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            f'content="{html.escape(POLICY, quote=True)}">',
            '<meta name="viewport" '
            'content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f'<title>{title}</title>', f'<style>{_STYLE}</style>', '</head>',
            '<body>', *_headline(document), *_narrative(document),
            *_causes(document), *_picture(document),
            *_recommendations(document),
            *_timeline(document), *_impact(document), *_patterns(document),
            *_similar(document), *_evidence(document), *_coverage(document),
            *_footer(document), '</body>', '</html>']
        page = '\n'.join(parts) + '\n'
        return page.encode('ascii', 'xmlcharrefreplace').decode('ascii')


def _anchor(name: object) -> str:
    """An id that is safe in an address."""
    return re.sub(r'[^A-Za-z0-9_-]', '_', str(name))[:40]


def _links(names: Iterable[str], known: Iterable[str]) -> str:
    known = set(known)
    return ', '.join(
        f'<a href="#{_anchor(name)}">{escape(name)}</a>'
        if name in known else escape(name) for name in names)


def _chip(text: object, kind: str = '') -> str:
    return f'<span class="chip {kind}">{escape(text)}</span>'


def _list(rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return ['<dl>', *(f'<dt>{escape(label)}</dt><dd>{escape(value)}</dd>'
                      for label, value in rows if value), '</dl>']


def _headline(document: dict[str, Any]) -> list[str]:
    out = ['<header>', '<p class="sub">Root cause analysis</p>',
           f'<h1>{escape(view.headline(document))}</h1>']
    text = view.explanation(document)
    out.append(f'<p class="lead">{escape(text)}</p>')
    chips = []
    severity = str(document.get('severity') or '')
    if severity:
        chips.append(_chip(f'severity {severity}',
                           _SEVERITY_CLASS.get(severity.lower(), '')))
    if document.get('category'):
        chips.append(_chip(document['category']))
    if view.items(document, 'hypotheses'):
        chips.append(_chip('confidence ' + text_utils.percent(
            document.get('confidence'))))
    if chips:
        out.append(f'<div class="chips">{"".join(chips)}</div>')
    error = document.get('error')
    if error:
        message = error.get('message') if isinstance(error, dict) else error
        out.append(f'<p class="bad">{escape(message)}</p>')
    rows = view.asked(document)
    if document.get('issue'):
        rows.insert(0, ('Question', str(document['issue'])))
    rows.append(('Read', view.seconds(document)))
    return [*out, *_list(rows), '</header>']


def _narrative(document: dict[str, Any]) -> list[str]:
    text, note = view.narrative(document)
    out = ['<h2>In words</h2>'] if text or note else []
    if text:
        out.append(f'<p>{escape(text)}</p>')
    if note:
        out.append(f'<p class="dim">{escape(note)}</p>')
    return out


def _where(piece: dict[str, Any]) -> str:
    level = str(piece.get('level') or '')
    kind = _LEVEL_CLASS.get(level.upper(), '')
    kind = '' if kind == 'ok' else kind
    parts = [f'<code>{escape(view.place(piece))}</code>',
             escape(_moment(piece.get('timestamp'))),
             f'<span class="{kind}">{escape(level)}</span>' if level else '',
             escape(view.who(piece))]
    return ' &middot; '.join(part for part in parts if part)


def _moment(value: object) -> str:
    day = text_utils.day(value)
    return f'{day} {text_utils.clock(value)}' if day else (
        text_utils.clock(value))


def _causes(document: dict[str, Any]) -> list[str]:
    hypotheses, unlikely = view.likely(document)
    known = view.evidence_by_id(document)
    out = ['<h2>Causes</h2>'] if hypotheses else []
    for index, item in enumerate(hypotheses, 1):
        rank = item.get('rank') or index
        out += [f'<section class="cause {"first" if index == 1 else ""}">',
                f'<h3>{escape(rank)}. '
                f'{escape(item.get("cause") or "Unknown cause")}</h3>',
                '<div class="chips">', _chip(view.at_host(item))]
        if item.get('category'):
            out.append(_chip(item['category']))
        if item.get('signature'):
            out.append(_chip(f'known as {item["signature"]}'))
        confidence = item.get('confidence')
        out.append(_chip(f'confidence {text_utils.percent(confidence)}'))
        out.append('</div>')
        if isinstance(confidence, (int, float)):
            share = min(max(round(100 * confidence), 0), 100)
            out.append(f'<div class="meter"><i style="width:{share}%"></i>'
                       '</div>')
        location = view.code(item.get('location'))
        if location:
            out.append('<p class="dim">In the code: '
                       f'<code>{escape(location)}</code></p>')
        pieces = view.alike(view.cited(document, item.get('evidence')))
        for piece, others in pieces[:5]:
            out += _piece(piece, others, known)
        rest = [name for piece, others in pieces[5:]
                for name in (str(piece.get('id')), *others)]
        if rest:
            out.append(f'<p class="dim">and {len(rest)} more: '
                       f'{_links(rest[:40], known)}</p>')
        remedies = view.words(item.get('remedy'))
        if remedies:
            out += ['<p><strong>What to do</strong></p>', '<ul>']
            out += [f'<li>{escape(remedy)}</li>' for remedy in remedies]
            out.append('</ul>')
        out.append('</section>')
    if unlikely:
        out += ['<h3>Less likely</h3>', '<ul>']
    for item in unlikely:
        cites = _links(view.words(item.get('evidence'))[:6], known)
        out.append(f'<li>{escape(item.get("cause") or "")} '
                   f'<span class="dim">({escape(view.at_host(item))}, '
                   f'{text_utils.percent(item.get("confidence"))}'
                   + (f', {cites}' if cites else '') + ')</span></li>')
    if unlikely:
        out.append('</ul>')
    return out


def _piece(piece: dict[str, Any], others: list[str],
           known: Iterable[str]) -> list[str]:
    """A cited piece, shortened, with a link to all of it."""
    name = str(piece.get('id') or '')
    lines, hidden = text_utils.excerpt(view.said(piece), 110, 4)
    text = '\n'.join(lines)
    if hidden:
        text += f'\n... {text_utils.plural(hidden, "more line")}'
    return [f'<div class="piece"><div class="where">'
            f'<a href="#{_anchor(name)}">{escape(name)}</a> '
            f'{_where(piece)}</div>',
            f'<pre>{escape(text, keep=chr(10))}</pre>'
            + (f'<div class="where dim">{len(others)} more like it: '
               f'{_links(others[:12], known)}</div>' if others else '')
            + '</div>']


def _picture(document: dict[str, Any]) -> list[str]:
    """Services as lanes, events as dots on them."""
    known = view.evidence_by_id(document)
    points: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in view.items(document, 'timeline'):
        names = view.words(entry.get('evidence'))
        found = known.get(names[0], {}) if names else {}
        point = {**found, **{key: value for key, value in entry.items()
                             if value}}
        point['id'] = names[0] if names and names[0] in known else None
        point['level'] = view.level(entry, known)
        _add_point(points, point)
    for piece in known.values():
        _add_point(points, piece)
    drawn = sorted(points.values(), key=lambda point: point['at'])
    if not drawn:
        return []
    proof = {str(name) for item in view.items(document, 'hypotheses')[:1]
             for name in item.get('evidence') or ()}
    return ['<h2>What happened when</h2>', *_svg(drawn, proof),
            '<div class="key"><span class="bad"><i></i>error</span>'
            '<span class="warn"><i></i>warning</span>'
            '<span class="ok"><i></i>information</span>'
            '<span><i></i>other</span>'
            '<span class="proof"><i></i>proof of the first cause</span>'
            '</div>']


def _add_point(points: dict[tuple[str, str, str], dict[str, Any]],
               item: dict[str, Any]) -> None:
    at = text_utils.moment(item.get('timestamp'))
    lane = text_utils.visible(item.get('binary') or item.get('service')
                              or item.get('kind') or '')
    if at is None or not lane:
        return
    name = item.get('id')
    key = ((str(name), '', '') if name
           else (str(item.get('text')), lane, at.isoformat()))
    points.setdefault(key, {**item, 'at': at, 'lane': lane})


def _svg(points: list[dict[str, Any]], proof: set[str]) -> list[str]:
    lanes = list(dict.fromkeys(point['lane'] for point in points))[:_LANES]
    left, right, lane_height, top = 150, 940, 30, 26
    height = top + lane_height * len(lanes) + 12
    first, last = points[0]['at'], points[-1]['at']
    span = (last - first).total_seconds()
    out = ['<div class="scroll">',
           f'<svg viewBox="0 0 960 {height}" role="img" '
           f'aria-label="Events by service and time, '
           f'{escape(text_utils.instant(first.isoformat()))} to '
           f'{escape(text_utils.instant(last.isoformat()))} UTC">']
    for index in range(6 if span else 1):
        share = index / 5 if span else .5
        x = left + share * (right - left)
        at = first + datetime.timedelta(seconds=span * index / 5)
        pattern = '%d %b %H:%M' if span > 86400 else '%H:%M:%S'
        label = at.strftime(pattern)
        if 0 < span < 10:
            label += f'.{at.microsecond // 1000:03d}'
        anchor = 'end' if index == 5 else 'middle'
        out.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" '
                   f'y1="{top - 6}" y2="{height - 8}"/>'
                   f'<text x="{x:.1f}" y="14" text-anchor="{anchor}">'
                   f'{label}</text>')
    rows = {lane: top + lane_height * index + lane_height / 2
            for index, lane in enumerate(lanes)}
    for lane, y in rows.items():
        name = text_utils.shorten(lane, 20)
        out.append(f'<line class="lane" x1="{left}" x2="{right}" '
                   f'y1="{y}" y2="{y}"/>'
                   f'<text class="name" x="{left - 14}" y="{y + 4}" '
                   f'text-anchor="end">{escape(name)}</text>')
    # Errors are drawn last, so that nothing covers them.
    rank = {'bad': 3, 'warn': 2, 'ok': 1}
    for point in sorted(points, key=lambda item: rank.get(_kind(item), 0)):
        if point['lane'] in rows:
            share = ((point['at'] - first).total_seconds() / span
                     if span else .5)
            out += _dot(point, left + share * (right - left),
                        rows[point['lane']], proof)
    return [*out, '</svg>', '</div>']


def _kind(point: dict[str, Any]) -> str:
    return _LEVEL_CLASS.get(str(point.get('level') or '').upper(), '')


def _dot(point: dict[str, Any], x: float, y: float,
         proof: set[str]) -> list[str]:
    name = point.get('id')
    text = text_utils.shorten(text_utils.visible(text_utils.message(
        str(point.get('text') or '').split('\n', 1)[0][:5000])), 200)
    title = ' '.join(part for part in (
        str(name or ''), _moment(point.get('timestamp')),
        str(point.get('level') or ''), view.who(point), text) if part)
    kinds = _kind(point) + (' proof' if str(name) in proof else '')
    dot = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5">'
           f'<title>{escape(title)}</title></circle>')
    if name:
        dot = f'<a href="#{_anchor(name)}">{dot}</a>'
    return [f'<g class="{kinds}">{dot}</g>']


def _table(heads: list[str], rows: list[list[str]],
           numbers: frozenset[int] = frozenset()) -> list[str]:
    """A table of cells that are HTML already."""
    def cell(tag: str, index: int, text: str) -> str:
        kind = ' class="n"' if index in numbers else (
            ' class="t"' if index == 0 and tag == 'td'
            and heads[0].startswith('Time') else '')
        return f'<{tag}{kind}>{text}</{tag}>'

    out = ['<div class="scroll"><table>', '<thead><tr>' + ''.join(
        cell('th', i, escape(head)) for i, head in enumerate(heads))
        + '</tr></thead>', '<tbody>']
    out += ['<tr>' + ''.join(cell('td', i, text)
                             for i, text in enumerate(row)) + '</tr>'
            for row in rows]
    return [*out, '</tbody></table></div>']


def _timeline(document: dict[str, Any]) -> list[str]:
    known = view.evidence_by_id(document)
    rows = []
    for skipped, entry in view.timeline(document, _TIMELINE):
        if skipped:
            rows.append(['', '', f'<span class="dim">{skipped} more</span>',
                         ''])
        if not entry:
            continue
        text = text_utils.shorten(text_utils.visible(text_utils.message(
            str(entry.get('text') or '').split('\n', 1)[0][:5000])), 220)
        kind = _LEVEL_CLASS.get(view.level(entry, known).upper(), '')
        style = kind if kind in ('bad', 'warn') else ''
        rows.append([escape(_moment(entry.get('timestamp'))),
                     escape(view.who(entry)),
                     f'<span class="{style}">{escape(text)}</span>',
                     _links(view.words(entry.get('evidence'))[:4], known)])
    if not rows:
        return []
    return ['<h2>Timeline</h2>', *_table(
        ['Time (UTC)', 'Who', 'What', 'Evidence'], rows)]


def _impact(document: dict[str, Any]) -> list[str]:
    rows = view.impact(document)
    return ['<h2>Impact</h2>', *_list(rows)] if rows else []


def _patterns(document: dict[str, Any]) -> list[str]:
    rows = [('Events', view.counted(document, 'services')),
            ('Levels', view.counted(document, 'levels'))]
    rows = [row for row in rows if row[1]]
    found = view.templates(document)
    if not rows and not found:
        return []
    out = ['<h2>Patterns</h2>', *_list(rows)]
    if found:
        out.append('<ul>')
        for note, text in found[:_PATTERNS]:
            extra = (f' <span class="dim">({escape(note)})</span>'
                     if note else '')
            out.append(f'<li><code>{escape(text_utils.shorten(text, 400))}'
                       f'</code>{extra}</li>')
        out.append('</ul>')
    if len(found) > _PATTERNS:
        out.append(f'<p class="dim">and {len(found) - _PATTERNS} more</p>')
    return out


def _similar(document: dict[str, Any]) -> list[str]:
    found = view.items(document, 'similar')
    if not found:
        return []
    out = ['<h2>Similar</h2>', '<ul>']
    for item in found[:10]:
        # An address is shown and not made a link: it may come from a log.
        parts = [escape(item.get(name)) for name in (
            'kind', 'title', 'resolution', 'url') if item.get(name)]
        out.append(f'<li>{" &middot; ".join(parts)}</li>')
    return [*out, '</ul>']


def _recommendations(document: dict[str, Any]) -> list[str]:
    found = view.items(document, 'recommendations')
    if not found:
        return []
    known = view.evidence_by_id(document)
    out = ['<h2>What to do next</h2>', '<ol>']
    for item in found:
        cites = _links(view.words(item.get('evidence'))[:6], known)
        extra = f' <span class="dim">({cites})</span>' if cites else ''
        out.append(f'<li>{escape(item.get("text") or "")}{extra}</li>')
    return [*out, '</ol>']


def _evidence(document: dict[str, Any]) -> list[str]:
    pieces = view.items(document, 'evidence')
    if not pieces:
        return []
    out = ['<h2>Evidence</h2>']
    for piece in pieces:
        name = str(piece.get('id') or '')
        text = str(piece.get('text') or '')
        lines = text[:_CHARACTERS].split('\n')
        shown = '\n'.join(lines[:_LINES])
        if len(lines) > _LINES or len(text) > _CHARACTERS:
            shown += f'\n... ({len(text):,} characters in all)'
        why = '; '.join(view.words(piece.get('why')))
        out.append(f'<div class="piece" id="{_anchor(name)}">'
                   f'<div class="where"><strong>{escape(name)}</strong> '
                   f'{_where(piece)}'
                   + (f' &middot; <span class="dim">{escape(why)}</span>'
                      if why else '') + '</div>')
        out.append(f'<pre>{escape(shown, keep=chr(10))}</pre></div>')
    return out


def _coverage(document: dict[str, Any]) -> list[str]:
    out = []
    coverage = view.items(document, 'coverage')
    if coverage:
        rows = [[f'<code>{escape(item.get("source") or "")}</code>',
                 escape(text_utils.instant(item.get('from'))),
                 escape(text_utils.instant(item.get('to'))),
                 escape(text_utils.number(item.get('events') or 0)),
                 escape(item.get('clock') or '')]
                for item in coverage[:_SOURCES]]
        out += ['<h2>What was read</h2>', *_table(
            ['Source', 'From', 'To', 'Events', 'Clock'], rows,
            frozenset({3}))]
        if len(coverage) > _SOURCES:
            out.append(f'<p class="dim">and {len(coverage) - _SOURCES} '
                       'more</p>')
    skipped = view.items(document, 'skipped')
    if skipped:
        rows = [[f'<code>{escape(item.get("source") or "")}</code>',
                 escape(item.get('reason') or ''),
                 escape(text_utils.size(item.get('bytes') or 0))]
                for item in skipped[:_SOURCES]]
        out += ['<h2>What was not read</h2>', *_table(
            ['Source', 'Why', 'Size'], rows, frozenset({2}))]
    return out


def _footer(document: dict[str, Any]) -> list[str]:
    facts = [f'analysis {document["id"]}' if document.get('id') else '',
             text_utils.instant(document.get('finished_at')) + ' UTC'
             if document.get('finished_at') else '']
    text = ', '.join(fact for fact in facts if fact)
    return [f'<p class="sub">{escape(text)}</p>'] if text else []
