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
"""Documents as text: reStructuredText, Markdown, HTML, plain text.

A document becomes sections, each with its heading. Nothing is fetched,
included or run: directives that read files are refused by docutils, raw parts,
scripts and styles are dropped, and links lead nowhere.
"""

import dataclasses
import html.parser
import io
import pathlib
import re
from typing import Any

from openstack_rca import exception

#: Bytes of a document.
MOST_BYTES = 1 << 20
#: Characters of a section; longer ones are parted between paragraphs. An
#: embedder reads no more of one.
MOST_SECTION = 8000
MOST_SECTIONS = 2000
#: Depth of markup that is followed: nobody writes deeper, and parsers
#: recurse.
_DEPTH = 60

#: Formats by the endings of names.
ENDINGS = {'.rst': 'rst', '.md': 'markdown', '.markdown': 'markdown',
           '.html': 'html', '.htm': 'html', '.xhtml': 'html',
           '.txt': 'text', '.text': 'text', '.log': 'text'}
FORMATS = ('rst', 'markdown', 'html', 'text')

_CONTROL = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]')
_BLANK = re.compile(r'\n[ \t]*\n\s*')
_SPACES = re.compile(r'[ \t\xa0]+')


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a document.

    :param title: headings that lead to it
    :param text: what it says
    """

    title: str
    text: str


def format_of(name: str) -> str | None:
    """The format of a document, by its name.

    :param name: of the file
    :returns: one of :data:`FORMATS`, or None
    """
    return ENDINGS.get(pathlib.PurePath(name).suffix.lower())


def decode(data: bytes, name: str) -> str:
    """The text of a document's bytes.

    :param data: of the file
    :param name: of the file, for messages
    :raises DocumentInvalid: it is too large, or no text in UTF-8
    """
    if len(data) > MOST_BYTES:
        raise exception.DocumentInvalid(
            name=name, reason=f'it has {len(data)} bytes, and at most '
            f'{MOST_BYTES} are taken. Part it')
    if b'\0' in data[:8192] and data[:2] not in (b'\xff\xfe', b'\xfe\xff'):
        raise exception.DocumentInvalid(
            name=name, reason='it is no text, but a binary file')
    try:
        # A byte order mark tells other encodings.
        if data[:2] in (b'\xff\xfe', b'\xfe\xff'):
            return data.decode('utf-16')
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise exception.DocumentInvalid(
            name=name, reason=f'byte {error.start} of it is no UTF-8. Store '
            'it in UTF-8 first') from error


def sections(text: str, kind: str, name: str) -> list[Section]:
    """A document, parted at its headings.

    :param text: the document
    :param kind: one of :data:`FORMATS`
    :param name: of the document, its title where it has none
    :returns: sections that say something; none of a table of contents
    :raises DocumentInvalid: it is too large, or cannot be read
    """
    if len(text) > MOST_BYTES:
        raise exception.DocumentInvalid(
            name=name, reason=f'it has {len(text)} characters, and at most '
            f'{MOST_BYTES} are taken. Part it')
    text = _CONTROL.sub(' ', text.replace('\r\n', '\n').replace('\r', '\n'))
    reader = {'rst': _rst, 'markdown': _markdown, 'html': _html,
              'text': _text}[kind]
    try:
        parts = reader(text)
    except RecursionError as error:
        raise exception.DocumentInvalid(
            name=name, reason='its parts are nested too deeply') from error
    found = _whole(parts, name)
    if len(found) > MOST_SECTIONS:
        raise exception.DocumentInvalid(
            name=name, reason=f'it has {len(found)} sections, and at most '
            f'{MOST_SECTIONS} are taken. Part it')
    return found


class _Parts:
    """Collects headings and what stands below each."""

    def __init__(self) -> None:
        self.found: list[tuple[tuple[str, ...], list[str]]] = [((), [])]
        self._path: list[tuple[int, str]] = []

    def heading(self, level: int, title: str) -> None:
        """Begin a section."""
        title = ' '.join(title.split())
        if not title:
            return
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, title))
        self.found.append((tuple(t for _l, t in self._path), []))

    def add(self, text: str) -> None:
        """Add a paragraph."""
        if text.strip():
            self.found[-1][1].append(text)


def _whole(parts: _Parts, name: str) -> list[Section]:
    """Sections of the size that searches are made for."""
    top = next((p[0] for p, _t in parts.found if p), '')
    base = top or pathlib.PurePath(name).stem or name
    made = []
    for path, texts in parts.found:
        below = [t for t in path if t != base]
        title = ': '.join([base, *below[-2:]])
        pieces = _pieces('\n\n'.join(
            _BLANK.sub('\n\n', t.strip('\n')) for t in texts).strip())
        for number, piece in enumerate(pieces, 1):
            made.append(Section(
                title + (f' ({number})' if number > 1 else ''), piece))
    return made


def _pieces(text: str) -> list[str]:
    """A text in pieces that are not too long, between paragraphs."""
    pieces: list[str] = []
    while len(text) > MOST_SECTION:
        cut = max(text.rfind('\n\n', 1, MOST_SECTION),
                  text.rfind('\n', MOST_SECTION // 2, MOST_SECTION),
                  text.rfind(' ', MOST_SECTION * 3 // 4, MOST_SECTION))
        cut = cut if cut > 0 else MOST_SECTION
        pieces.append(text[:cut].strip())
        text = text[cut:].strip()
    pieces.append(text)
    return [piece for piece in pieces if piece]


def _text(text: str) -> _Parts:
    parts = _Parts()
    parts.add(text)
    return parts


def _rst(text: str) -> _Parts:
    """Sections of reStructuredText, by docutils."""
    from docutils import core
    from docutils import nodes
    from docutils import utils
    # Reading a document of Sphinx, docutils meets directives and roles that
    # it does not know: their words are kept, see below.
    settings = {
        'file_insertion_enabled': False, 'raw_enabled': False,
        'report_level': utils.Reporter.SEVERE_LEVEL + 1,
        'halt_level': utils.Reporter.SEVERE_LEVEL + 1,
        'warning_stream': io.StringIO(), 'input_encoding': 'unicode',
        'doctitle_xform': False, 'sectsubtitle_xform': False,
        '_disable_config': True, 'smart_quotes': False,
        'line_length_limit': MOST_BYTES, 'embed_stylesheet': False,
        'traceback': True, 'syntax_highlight': 'none'}
    parts = _Parts()
    try:
        tree = core.publish_doctree(_known(text), settings_overrides=settings)
    except RecursionError:
        raise
    except Exception:
        # A parser must not stop at what somebody wrote: the words count.
        return _text(text)

    def walk(node: Any, depth: int) -> None:
        if depth > _DEPTH:
            return
        for child in node.children:
            if isinstance(child, nodes.section):
                first = child.next_node(nodes.title)
                parts.heading(depth + 1, first.astext() if first else '')
                walk(child, depth + 1)
            elif isinstance(child, (
                    nodes.system_message, nodes.comment, nodes.raw,
                    nodes.title, nodes.substitution_definition)):
                continue
            elif isinstance(child, (
                    nodes.paragraph, nodes.literal_block, nodes.term,
                    nodes.field_name, nodes.caption, nodes.line,
                    nodes.rubric, nodes.doctest_block)):
                parts.add(child.astext())
            elif hasattr(child, 'children'):
                walk(child, depth)
    walk(tree, 0)
    return parts


#: What Sphinx adds to reStructuredText: a role such as :nova-doc:`text <x>`.
_ROLE = re.compile(r':[\w.+:-]+:`([^`<\n]*?)\s*(?:<[^`>\n]*>)?`')
#: Directives that docutils itself knows, whose content it reads.
_DIRECTIVES = frozenset((
    'note', 'warning', 'tip', 'important', 'caution', 'danger', 'error',
    'hint', 'attention', 'admonition', 'code', 'topic', 'sidebar', 'rubric',
    'epigraph', 'table', 'list-table', 'csv-table', 'parsed-literal',
    'container', 'compound', 'class', 'replace', 'image', 'figure', 'raw',
    'include', 'contents', 'math', 'highlights'))
_DIRECTIVE = re.compile(
    r'^(?P<indent>[ \t]*)\.\.[ \t]+(?P<name>[\w.+:-]+)::[ \t]*'
    r'(?P<rest>.*)$', re.MULTILINE)
_CODE = frozenset(('code-block', 'sourcecode', 'console', 'literalinclude'))
#: Directives whose content is for Sphinx alone.
_SILENT = frozenset(('toctree', 'index', 'highlight', 'meta', 'only',
                     'currentmodule', 'default-domain', 'autosummary'))


def _known(text: str) -> str:
    """The words of what Sphinx alone understands, for docutils."""
    def replace(found: re.Match[str]) -> str:
        name = found['name'].lower()
        if name in _DIRECTIVES:
            return found[0]
        if name in _CODE:
            return f'{found["indent"]}.. code::'
        if name in _SILENT:
            # With its content, a comment.
            return f'{found["indent"]}.. {name}'
        return (f'{found["indent"]}.. admonition:: '
                f'{found["rest"].strip() or name}')
    return _ROLE.sub(lambda found: found[1].lstrip('~!') or ' ',
                     _DIRECTIVE.sub(replace, text))


def _markdown(text: str) -> _Parts:
    """Sections of Markdown, by markdown-it."""
    import markdown_it
    parts = _Parts()
    made = markdown_it.MarkdownIt('commonmark', {'maxNesting': _DEPTH})
    made.enable('table')
    level = 0
    for token in made.parse(text):
        if token.type == 'heading_open':
            level = int(token.tag[1:])
        elif token.type == 'heading_close':
            level = 0
        elif token.type == 'inline':
            said = _inline(token.children or [])
            if level:
                parts.heading(level, said)
            else:
                parts.add(said)
        elif token.type in ('fence', 'code_block'):
            parts.add(token.content)
        elif token.type == 'html_block':
            for _path, texts in _html(token.content).found:
                for said in texts:
                    parts.add(said)
    return parts


def _inline(tokens: list[Any]) -> str:
    said = ''
    for token in tokens:
        if token.type in ('text', 'code_inline'):
            said += token.content
        elif token.type in ('softbreak', 'hardbreak'):
            said += '\n'
        elif token.type == 'image':
            said += token.content
    return said


def _html(text: str) -> _Parts:
    """Sections of HTML."""
    reader = _Html()
    reader.feed(text)
    reader.close()
    reader.flush()
    return reader.parts


#: Elements whose content is no text to read.
_DROPPED = frozenset(('script', 'style', 'template', 'noscript', 'svg',
                      'math', 'iframe', 'object', 'nav', 'footer', 'head',
                      'form', 'button', 'select', 'textarea'))
_BLOCKS = frozenset((
    'p', 'div', 'section', 'article', 'main', 'li', 'ul', 'ol', 'dl', 'dt',
    'dd', 'table', 'tr', 'pre', 'blockquote', 'br', 'hr', 'figure',
    'figcaption', 'aside', 'header', 'body', 'details', 'summary'))
_HEADINGS = frozenset(('h1', 'h2', 'h3', 'h4', 'h5', 'h6'))
_VOID = frozenset(('br', 'hr', 'img', 'input', 'link', 'meta', 'wbr', 'col',
                   'area', 'base', 'embed', 'source', 'track', 'param'))


class _Html(html.parser.HTMLParser):
    """Headings and paragraphs of HTML, whatever its shape."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts = _Parts()
        self._said: list[str] = []
        self._heading = 0
        self._dropped: list[str] = []
        self._kept = 0

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if self._dropped:
            if tag == self._dropped[-1] and tag not in _VOID:
                self._dropped.append(tag)
            return
        if tag in _DROPPED:
            self._dropped.append(tag)
        elif tag in _HEADINGS:
            self.flush()
            self._heading = int(tag[1])
        elif tag in _BLOCKS:
            self._break(tag)
            self._kept += tag == 'pre'
        elif tag in ('td', 'th'):
            self._said.append(' ')

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if self._dropped:
            if tag == self._dropped[-1]:
                self._dropped.pop()
            return
        if tag in _HEADINGS and self._heading:
            title, self._said = ''.join(self._said), []
            self.parts.heading(self._heading, title.replace('\xb6', ''))
            self._heading = 0
        elif tag in _BLOCKS:
            self._break(tag)
            if tag == 'pre':
                self._kept = max(0, self._kept - 1)

    def handle_startendtag(self, tag: str,
                           attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        if tag in _BLOCKS and not self._dropped:
            self._break(tag)

    def _break(self, tag: str) -> None:
        # A heading goes on to its end, whatever stands in it.
        if self._heading or tag == 'br' or tag == 'tr':
            self._said.append('\n')
        else:
            self.flush()

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._dropped:
            return
        self._said.append(data if self._kept else _SPACES.sub(
            ' ', data.replace('\n', ' ')))

    def flush(self) -> None:
        """End a paragraph."""
        said, self._said = ''.join(self._said), []
        self._heading = 0
        if said.strip():
            self.parts.add(said.strip('\n '))
