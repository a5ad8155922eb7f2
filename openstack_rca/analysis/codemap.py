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
"""The code map: from what a service logs to the place that logs it.

A map holds the log statements, raises and calls of one release of one
service, as :mod:`openstack_rca.analysis.codesource` reads them. It is gzip
over JSON, with each text once and numbers in columns: small, the same for the
same source, and safe to read from anywhere.

A template finds its statement by the words that both hold. The words of a
format string are masked as messages are, so that both sides look alike; a
placeholder may stand for any number of words.
"""

import collections
from collections.abc import Mapping
import dataclasses
import functools
import gzip
import io
import json
import os
import pathlib
import re
import tempfile
from typing import Any
import zlib

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import codecalls
from openstack_rca.analysis import codesource
from openstack_rca.events import templates

FORMAT = 'openstack-rca code map'
VERSION = 1
SUFFIX = '.codemap.gz'
#: Maps of the current release, which come with the package.
SHIPPED = pathlib.Path(__file__).parent / 'data' / 'codemap'

#: Bytes of a map, packed and not. The largest of OpenStack has 1 MB and 8.
_MOST_PACKED = 32 << 20
_MOST_BYTES = 256 << 20
#: Matches of a template that are worth a look.
_MOST_MATCHES = 5
#: Functions of one name among which a guess still says something.
_MOST_GUESSES = 4
#: What a match counts where the level, or the logger, is another one.
_OTHER_LEVEL = 0.8
_OTHER_LOGGER = 0.6
_LEAST_QUALITY = 0.3

_COLUMNS = {
    'functions': ('file', 'name', 'first', 'last', 'gives', 'arguments'),
    'logs': ('function', 'line', 'level', 'text'),
    'raises': ('function', 'line', 'name', 'text'),
    'calls': ('caller', 'line', 'callee', 'target', 'given'),
    'exceptions': ('file', 'name', 'text'),
}
#: What the numbers of a column count.
_COUNTS = {'file': 'files', 'name': 'strings', 'text': 'strings',
           'target': 'strings', 'given': 'strings', 'arguments': 'strings',
           'function': 'functions', 'caller': 'functions'}

LOG = logging.getLogger(__name__)

#: oslo.log ends the line of an exception with its class and text.
_TOLD = re.compile(r': (?:[a-z]\w*\.)*[A-Z]\w*(?:: |:?$)')
_PLAIN = re.compile(r'[^\W\d_]')


@dataclasses.dataclass(frozen=True)
class Function:
    """One function of a map.

    :param file: path from the package's parent on
    :param name: qualified name; empty for the body of a module
    :param first: first line
    :param last: last line
    :param gives: whether it returns a value
    :param arguments: names of its arguments, joined by commas
    """

    file: str
    name: str
    first: int
    last: int
    gives: bool
    arguments: str

    @property
    def bare(self) -> str:
        """The name as a traceback tells it."""
        return self.name.rpartition('.')[2]

    @property
    def called(self) -> str:
        """The name as a call tells it: that of the class for ``__init__``."""
        parts = self.name.split('.')
        return parts[-2] if parts[-1] == '__init__' and len(parts) > 1 \
            else parts[-1]


@dataclasses.dataclass(frozen=True)
class Step:
    """One call.

    :param line: where it stands in the caller
    :param callees: numbers of the functions that may be meant
    :param target: variables that keep the result, joined by commas
    :param given: its arguments, see :class:`codesource.Call`
    :param sure: whether names alone tell the callee
    """

    line: int
    callees: tuple[int, ...]
    target: str
    given: str
    sure: bool


@dataclasses.dataclass(frozen=True)
class Match:
    """A log statement that a template may come from.

    :param file: its file
    :param function: bare name of its function, None for a module's body
    :param line: its line
    :param quality: how well it fits, 0 to 1
    :param number: of the function in its map
    """

    file: str
    function: str | None
    line: int
    quality: float
    number: int


class CodeMap:
    """A map that was read.

    :param document: its JSON, validated by :func:`load`
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.package: str = document['package']
        self.release: str = document['release']
        self.skipped: list[list[str]] = document['skipped']
        strings: list[str] = document['strings']
        self._strings = strings
        files: list[str] = document['files']
        table = document['functions']
        self.functions = [
            Function(files[f], strings[n], first, last, bool(gives),
                     strings[arguments])
            for f, n, first, last, gives, arguments in zip(
                *(table[c] for c in _COLUMNS['functions']), strict=True)]
        self._logs = document['logs']
        self._raises = document['raises']
        self._calls = document['calls']
        self._exceptions = document['exceptions']

    def counts(self) -> dict[str, int]:
        """How much of what the map holds."""
        return {'files': len({f.file for f in self.functions}),
                **{name: len(getattr(self, f'_{name}')['line'])
                   for name in ('logs', 'raises', 'calls')},
                'functions': sum(bool(f.name) for f in self.functions),
                'skipped': len(self.skipped)}

    @functools.cached_property
    def _places(self) -> dict[tuple[str, str], list[int]]:
        places: dict[tuple[str, str], list[int]] = {}
        for number, function in enumerate(self.functions):
            places.setdefault((function.file, function.bare), []).append(
                number)
        return places

    @functools.cached_property
    def _named(self) -> dict[str, list[int]]:
        named: dict[str, list[int]] = {}
        for number, function in enumerate(self.functions):
            if function.name:
                named.setdefault(function.bare, []).append(number)
        return named

    def named(self, name: str) -> list[int]:
        """Functions of a bare name."""
        return self._named.get(name, [])

    def defines(self, kind: str) -> bool:
        """Whether a class of exceptions is the service's own."""
        return kind in self._kinds

    @functools.cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(self._strings[n].rpartition('.')[2]
                         for n in self._exceptions['name'])

    def dotted(self, name: str) -> tuple[str, str | None] | None:
        """File and function that a dotted name begins with, or None.

        :param name: module, perhaps with a class and a function behind it
        """
        parts = name.split('.')
        for cut in range(len(parts), 1, -1):
            base = '/'.join(parts[:cut])
            for file in (f'{base}.py', f'{base}/__init__.py'):
                if file not in self._held:
                    continue
                function = next((p for p in reversed(parts[cut:])
                                 if self._places.get((file, p))), None)
                return file, function
        return None

    @functools.cached_property
    def _held(self) -> frozenset[str]:
        return frozenset(f.file for f in self.functions)

    def find(self, file: str, name: str | None,
             line: int | None = None) -> list[int]:
        """Functions of a bare name in a file, the nearest to a line first."""
        found = self._places.get((file, name or ''), [])
        if line is None or len(found) < 2:
            return found
        return sorted(found, key=lambda n: self._distance(n, line))

    def _distance(self, number: int, line: int) -> int:
        function = self.functions[number]
        if function.first <= line <= function.last:
            return 0
        return min(abs(function.first - line), abs(function.last - line))

    @functools.cached_property
    def _steps(self) -> dict[int, list[Step]]:
        steps: dict[int, list[Step]] = {}
        for caller, line, callee, target, given in zip(
                *(self._calls[c] for c in _COLUMNS['calls']), strict=True):
            callees: tuple[int, ...] = (callee,)
            sure = callee >= 0
            if not sure:
                callees = tuple(self._named.get(self._strings[~callee], ()))
                if not callees or len(callees) > _MOST_GUESSES:
                    continue
            steps.setdefault(caller, []).append(Step(
                line, callees, self._strings[target],
                self._strings[given], sure))
        return steps

    def steps(self, number: int) -> list[Step]:
        """Calls of a function, in the order of its lines."""
        return self._steps.get(number, [])

    @functools.cached_property
    def _back(self) -> dict[int, list[int]]:
        back: dict[int, dict[int, None]] = {}
        for caller, steps in self._steps.items():
            for step in steps:
                for callee in step.callees:
                    back.setdefault(callee, {}).setdefault(caller)
        return {callee: list(callers) for callee, callers in back.items()}

    def callers(self, number: int) -> list[int]:
        """Functions that call a function."""
        return self._back.get(number, [])

    def raises(self, name: str) -> list[tuple[int, int, str]]:
        """Where an exception is raised: function, line, message."""
        return self._raised.get(name, [])

    @functools.cached_property
    def _raised(self) -> dict[str, list[tuple[int, int, str]]]:
        raised: dict[str, list[tuple[int, int, str]]] = {}
        for function, line, name, text in zip(
                *(self._raises[c] for c in _COLUMNS['raises']), strict=True):
            raised.setdefault(self._strings[name], []).append(
                (function, line, self._strings[text]))
        return raised

    # Log statements.

    @functools.cached_property
    def _index(self) -> '_Index':
        return _Index([self._strings[t] for t in self._logs['text']])

    def match(self, pattern: str, logger: str | None = None,
              level: int = 0) -> list[Match]:
        """Statements that a template may come from, the best first.

        :param pattern: the template
        :param logger: dotted name of the logger
        :param level: severity of its events; 0 where it is not known
        """
        found = self._match(pattern, logger, level)
        told = None if found else _TOLD.search(pattern)
        if told:
            found = self._match(pattern[:told.start()], logger, level)
        return list(found)

    @functools.lru_cache(maxsize=65536)
    def _match(self, pattern: str, logger: str | None,
               level: int) -> tuple[Match, ...]:
        found = []
        for number, quality in self._index.search(pattern):
            function = self._logs['function'][number]
            said, place = self._logs['level'][number], \
                self.functions[function]
            if level and said and said != level:
                quality *= _OTHER_LEVEL
            if logger and _module(place.file) != logger:
                quality *= _OTHER_LOGGER
            if quality >= _LEAST_QUALITY:
                found.append(Match(
                    place.file, place.bare or None,
                    self._logs['line'][number], round(quality, 3), function))
        found.sort(key=lambda m: (-m.quality, m.file, m.line))
        return tuple(found[:_MOST_MATCHES])


def _module(file: str) -> str:
    """Dotted name of a file's module."""
    return file.removesuffix('.py').removesuffix('/__init__').replace(
        '/', '.')


# --------------------------------------------------------------- matching

def _masked(texts: list[str]) -> list[str]:
    """Format strings as messages of theirs are masked."""
    frame = pl.DataFrame(
        {'text': [t.strip().split('\n', 1)[0] for t in texts]},
        schema={'text': pl.String()}).with_columns(
            masked=templates.mask(pl.col('text')))
    known = templates.identify(frame['masked'])
    return frame.join(known, on='masked', how='left',
                      maintain_order='left')['pattern'].to_list()


@dataclasses.dataclass(frozen=True)
class _Skeleton:
    """What is literal in a statement.

    :param runs: words that stand together
    :param starts: whether nothing stands before the first run
    :param ends: whether nothing stands behind the last one
    :param words: how many there are
    """

    runs: tuple[tuple[str, ...], ...]
    starts: bool
    ends: bool
    words: int


def _skeleton(pattern: str) -> _Skeleton | None:
    """The literal words of a masked format string; None without any."""
    tokens: list[str | None] = [
        None if codesource.HOLE in t or templates.VARIABLE in t else t
        for t in pattern.split()]
    for i, token in enumerate(tokens):
        # Masking unites variables with what stands between them.
        beside = (i > 0 and tokens[i - 1] is None) or (
            i + 1 < len(tokens) and tokens[i + 1] is None)
        if token is not None and beside and (
                token == 'and'  # noqa: S105
                or not _PLAIN.search(token)):
            tokens[i] = None
    runs: list[list[str]] = []
    fresh = True
    for token in tokens:
        if token is None:
            fresh = True
            continue
        if fresh:
            runs.append([])
        runs[-1].append(token)
        fresh = False
    words = sum(bool(_PLAIN.search(w)) for r in runs for w in r)
    if not words:
        return None
    return _Skeleton(tuple(tuple(r) for r in runs), tokens[0] is not None,
                     tokens[-1] is not None, words)


class _Index:
    """Statements by the rarest of their words.

    :param texts: format strings
    """

    def __init__(self, texts: list[str]) -> None:
        self._skeletons = [_skeleton(p) for p in _masked(texts)]
        counts = collections.Counter(
            word for s in self._skeletons if s
            for word in {w for r in s.runs for w in r})
        self._by_word: dict[str, list[int]] = {}
        for number, skeleton in enumerate(self._skeletons):
            if skeleton is None:
                continue
            rarest = min(
                (w for r in skeleton.runs for w in r if _PLAIN.search(w)),
                key=lambda w: (counts[w], w))
            self._by_word.setdefault(rarest, []).append(number)

    def search(self, pattern: str) -> list[tuple[int, float]]:
        """Statements that fit a template, with the share that they say."""
        tokens = pattern.split()
        said = sum(bool(_PLAIN.search(t)) for t in tokens
                   if templates.VARIABLE not in t)
        found = []
        for word in set(tokens):
            for number in self._by_word.get(word, ()):
                skeleton = self._skeletons[number]
                assert skeleton is not None
                if _fits(tokens, skeleton,
                         len(pattern) > templates.MASKED_LENGTH * 2 // 3):
                    # One word says little, however much of a line it is.
                    sure = skeleton.words / (skeleton.words + 0.5)
                    found.append((number, sure * (
                        0.5 + 0.5 * min(1.0, skeleton.words
                                        / max(1, said)))))
        return found


def _fits(tokens: list[str], skeleton: _Skeleton, cut: bool) -> bool:
    """Whether the runs of a statement stand in a template in order.

    :param tokens: words of the template
    :param skeleton: the statement
    :param cut: whether the template may lack the end of its messages
    """
    at = 0
    last = len(skeleton.runs) - 1
    for i, run in enumerate(skeleton.runs):
        size = len(run)
        if i == last and skeleton.ends:
            start = len(tokens) - size
            if start < at or tuple(tokens[start:]) != run:
                return cut and i > 0
            if i == 0 and skeleton.starts and start > _before(tokens):
                return False
            return True
        if i == 0 and skeleton.starts:
            begin = next((s for s in range(_before(tokens) + 1)
                          if tuple(tokens[s:s + size]) == run), None)
        else:
            begin = _seek(tokens, run, at)
        if begin is None:
            return cut and i > 0
        at = begin + size
    return True


def _before(tokens: list[str]) -> int:
    """Words that the log adds in front: what a line is about."""
    return int(bool(tokens) and tokens[0] == templates.VARIABLE)


def _seek(tokens: list[str], run: tuple[str, ...], at: int) -> int | None:
    size = len(run)
    for start in range(at, len(tokens) - size + 1):
        if tokens[start] == run[0] \
                and tuple(tokens[start:start + size]) == run:
            return start
    return None


# --------------------------------------------------------- making, keeping

def build(package: codesource.Package) -> dict[str, Any]:
    """The document of a map.

    :param package: what was read
    :returns: JSON, the same for the same source
    """
    strings: dict[str, int] = {'': 0}

    def text(value: str) -> int:
        # A lone surrogate of an escape is no text.
        value = value.encode('utf-8', 'replace').decode()
        return strings.setdefault(value, len(strings))

    table: dict[str, dict[str, list[int]]] = {
        name: {column: [] for column in columns}
        for name, columns in _COLUMNS.items()}

    def add(name: str, *values: int) -> None:
        for column, value in zip(_COLUMNS[name], values, strict=True):
            table[name][column].append(value)

    number = -1
    for index, module in enumerate(package.modules):
        for function in module.functions:
            number += 1
            add('functions', index, text(function.name), function.first,
                function.last, int(function.gives),
                text(','.join(function.arguments)))
            for line, level, said in function.logs:
                add('logs', number, line, level, text(said))
            for line, what, said in function.raises:
                add('raises', number, line, text(what), text(said))
        for held in module.classes.values():
            if held.text:
                add('exceptions', index, text(held.name), text(held.text))
    for caller, calls in codecalls.edges(package):
        for line, callee, target, given in calls:
            add('calls', caller, line, callee if isinstance(callee, int)
                else ~text(callee), text(target), text(given))
    return {'format': FORMAT, 'version': VERSION, 'package': package.name,
            'release': package.release, 'strings': list(strings),
            'files': [m.file for m in package.modules],
            'skipped': [list(s) for s in package.skipped], **table}


def save(document: Mapping[str, Any], path: pathlib.Path) -> int:
    """Write a map, as a whole or not at all.

    :param document: what :func:`build` made
    :param path: where it goes
    :returns: its bytes
    :raises CodeMapError: it cannot be written
    """
    packed = io.BytesIO()
    # Neither a time nor a name: the same source gives the same bytes.
    with gzip.GzipFile(filename='', mode='wb', compresslevel=9,
                       fileobj=packed, mtime=0) as stream:
        stream.write(json.dumps(document, separators=(',', ':'),
                                ensure_ascii=False).encode())
    data = packed.getvalue()
    try:
        handle, aside = tempfile.mkstemp(dir=path.parent,
                                         prefix=f'.{path.name}.')
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(data)
            os.chmod(aside, 0o644)
            os.replace(aside, path)
        except OSError:
            os.unlink(aside)
            raise
    except OSError as error:
        raise exception.CodeMapError(
            path=path, reason=f'it cannot be written: {error.strerror}. '
            'Name a file in a folder that you may write.') from error
    return len(data)


def load(path: pathlib.Path) -> CodeMap:
    """Read a map.

    :param path: the file
    :raises CodeMapError: it is not there, or no map of this version
    """
    try:
        if path.stat().st_size > _MOST_PACKED:
            raise exception.CodeMapError(path=path,
                                         reason='it is too large.')
        with gzip.open(path) as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise exception.CodeMapError(
            path=path, reason=f'it cannot be read: '
            f'{reason or "it is damaged, or no gzip file"}.') from error
    if len(data) > _MOST_BYTES:
        raise exception.CodeMapError(path=path, reason='it is too large.')
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise exception.CodeMapError(
            path=path, reason='it is no JSON.') from error
    wrong = _wrong(document)
    if wrong:
        raise exception.CodeMapError(
            path=path, reason=f'{wrong} Build it again with '
            '"openstack-rca-manage codemap build".')
    return CodeMap(document)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, str) for v in value)


def _wrong(document: Any) -> str | None:
    """What is wrong with a document, or None."""
    if not isinstance(document, dict) or document.get('format') != FORMAT:
        return 'it is something else.'
    if document.get('version') != VERSION:
        return (f'it has version {document.get("version")!r}, and this '
                f'release reads version {VERSION}.')
    if not (isinstance(document.get('package'), str)
            and isinstance(document.get('release'), str)
            and _texts(document.get('strings'))
            and _texts(document.get('files'))
            and isinstance(document.get('skipped'), list)
            and all(_texts(s) and len(s) == 2
                    for s in document['skipped'])):
        return 'a part of it is missing or of another type.'
    for name, columns in _COLUMNS.items():
        table = document.get(name)
        if not isinstance(table, dict) or not all(
                isinstance(table.get(c), list) for c in columns):
            return f'its {name} are missing.'
        if len({len(table[c]) for c in columns}) != 1:
            return f'columns of its {name} differ in length.'
        for column in columns:
            low, high = _range(document, column)
            if not all(type(v) is int and low <= v < high
                       for v in table[column]):
                return f'{name}.{column} holds what it may not.'
    return None


def _range(document: Mapping[str, Any], column: str) -> tuple[int, int]:
    """What the numbers of a column may be."""
    if column == 'callee':
        return (-len(document['strings']),
                len(document['functions']['file']))
    if column not in _COUNTS:
        return 0, 1 << 31
    counted = document[_COUNTS[column]]
    return 0, len(counted['file'] if isinstance(counted, dict)
                  else counted)


# ------------------------------------------------------------------ atlas

class Atlas:
    """Maps of several services, each read when it is asked for.

    :param folder: holds ``PACKAGE.codemap.gz``
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._maps: dict[str, CodeMap | None] = {}

    def of(self, package: str) -> CodeMap | None:
        """The map of a service, or None where there is none.

        :param package: its name, such as ``nova``
        """
        if package not in self._maps:
            path = self._folder / f'{package}{SUFFIX}'
            found = None
            if package.isidentifier() and path.is_file():
                try:
                    found = load(path)
                except exception.CodeMapError as error:
                    # An analysis goes on without what a map would add.
                    LOG.warning('%s', error)
            self._maps[package] = found
        return self._maps[package]

    def of_file(self, file: str) -> CodeMap | None:
        """The map that a file of source is in."""
        return self.of(file.partition('/')[0])

    def place(self, pattern: str, logger: str | None,
              level: int = 0) -> tuple[str, str | None] | None:
        """File and function that log a template, or None.

        :param pattern: the template
        :param logger: dotted name of the logger
        :param level: severity of its events; 0 where it is not known
        """
        found = self.of_logger(logger)
        if found is None or not pattern:
            return None
        for match in found.match(pattern, logger, level)[:1]:
            return match.file, match.function
        return None

    def of_logger(self, logger: str | None) -> CodeMap | None:
        """The map that a logger is in."""
        return self.of((logger or '').partition('.')[0])


def configured() -> Atlas:
    """The maps that ``[analysis] codemaps`` names."""
    return atlas(conf.CONF.analysis.codemaps or '')


@functools.lru_cache(maxsize=4)
def atlas(folder: str = '') -> Atlas:
    """The maps of a folder.

    :param folder: its path; empty for those that come with the package
    """
    return Atlas(pathlib.Path(folder) if folder else SHIPPED)
