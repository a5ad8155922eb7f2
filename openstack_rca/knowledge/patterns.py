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
r"""Patterns of signatures: literal text, ``*`` and ``{name}``.

``*`` stands for anything within a line, ``{name}`` for the same and keeps
it; at the end of a pattern, ``{name}`` is the next word. ``\*``, ``\{``,
``\}`` and ``\\`` stand for the characters themselves. A pattern becomes a
regular expression of Rust's engine, which is linear in the text whatever the
pattern is.

Records are found by their templates first, in which words with digits and
what stands in quotes, brackets and braces is masked. :attr:`Pattern.masked`
is the pattern of what is left of the words then.
"""

import dataclasses
import functools
import re

import polars as pl

MAX_LENGTH = 400
MAX_NAMES = 8
_NAME = re.compile(r'[a-z][a-z_]{0,31}\Z')
_GAP_MARK = '\x00'
#: What templates mask: words that hold a digit, and what is in quotes that
#: follow one of some characters, and in brackets and braces.
_WORD = re.compile(r'[\w.\-]*[\d\x00][\w.\-]*')
_QUOTED = re.compile(r"""(?:(?<=[\s(\[{=:,@])|^)u?(?:'[^'\n]*'|"[^"\n]*")""")
_OPEN_QUOTE = re.compile(r"""(?:(?<=[\s(\[{=:,@])|^)u?['"].*\Z""", re.DOTALL)
_BRACED = re.compile(r'\{[^{}\n]*\}|\[[^\[\]\n]*\]')
_BREAK = re.compile(r"""[\x00'"\[\]{}<>\n]+""")
#: Separators at the ends of a piece: templates drop those between variables.
_LOST = re.compile(r'\A(?:[\s,:;/|]|and )+|(?:[\s,:;/|]| and)+\Z')
_LETTERS = re.compile(r'[^\W\d_]')
_LEAST_LETTERS = 3
#: Anything within a line, as short as can be.
_GAP = r'[^\n]*?'
_LAST = r'[^\s\'",;)\]}>]*[^\s\'",;)\]}>.:]'


@dataclasses.dataclass(frozen=True)
class Pattern:
    """What a text is compared with.

    :param text: the pattern as it was written
    :param regex: regular expression in Rust's syntax
    :param names: names of what it keeps, in their order
    :param masked: regular expression for the templates of messages
    :param anchor: longest literal text of ``masked``
    """

    text: str
    regex: str
    names: tuple[str, ...]
    masked: str
    anchor: str


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> Pattern:
    """Read a pattern.

    :param text: the pattern
    :raises ValueError: it is none; the message says what to write
    """
    parts = _parts(text)
    names = tuple(name for kind, name in parts if kind == 'name' and name)
    if len(set(names)) < len(names):
        raise ValueError('a variable is captured twice; rename one')
    if len(names) > MAX_NAMES:
        raise ValueError(f'it has more than {MAX_NAMES} variables')
    if not any(kind == 'text' and value.strip() for kind, value in parts):
        raise ValueError('write some literal text beside the variables')
    regex = ''
    for n, (kind, value) in enumerate(parts):
        if kind == 'text':
            regex += pl.escape_regex(value)
        else:
            inner = _GAP if n + 1 < len(parts) else _LAST
            regex += f'(?P<{value}>{inner})' if value else inner
    pieces = _pieces(parts)
    return Pattern(
        text, regex, names,
        '(?s)' + '.*?'.join(pl.escape_regex(p) for p in pieces),
        max(pieces, key=len, default=''))


def _parts(text: str) -> list[tuple[str, str]]:
    """Literal texts and gaps of a pattern; gaps with their names."""
    parts: list[tuple[str, str]] = []
    literal = ''
    place = 0
    while place < len(text):
        char = text[place]
        place += 1
        if char == '\\':
            if text[place:place + 1] not in ('*', '{', '}', '\\'):
                raise ValueError(
                    r'write \\ for a backslash; only *, {, } and \ follow '
                    'one')
            literal += text[place]
            place += 1
            continue
        if char == '}':
            raise ValueError(r'write \} for a brace')
        if char not in '*{':
            literal += char
            continue
        name = ''
        if char == '{':
            name, closed, _rest = text[place:].partition('}')
            if not closed or not _NAME.match(name):
                raise ValueError(
                    r'write a variable as {name}, of lower-case letters and '
                    r'underscores, and \{ for a brace')
            place += len(name) + 1
        if literal:
            parts.append(('text', literal))
            literal = ''
        elif parts:
            raise ValueError('write some text between two variables')
        parts.append(('name', name))
    if literal:
        parts.append(('text', literal))
    return parts


def _pieces(parts: list[tuple[str, str]]) -> list[str]:
    """What of a pattern a template is sure to show, in its order.

    The same is masked here as in a message, a variable being like a digit.
    """
    text = ''.join(value if kind == 'text' else _GAP_MARK
                   for kind, value in parts)
    # A quote that does not end here ends further on in the message.
    for mask in (_QUOTED, _OPEN_QUOTE, _BRACED, _WORD):
        text = mask.sub(_GAP_MARK, text)
    return [piece for piece in (
        _LOST.sub('', run) for run in _BREAK.split(text))
        if len(_LETTERS.findall(piece)) >= _LEAST_LETTERS]
