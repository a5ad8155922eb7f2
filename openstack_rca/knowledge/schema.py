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
"""What a signature file may hold, and what is wrong with one.

A signature is a YAML file, read as a tree whose every node knows its line:
what is wrong is told with file, line and field, and with what to write
instead. Nothing of a file is run: there are no tags, no aliases, no regular
expressions; patterns are literal text with ``*`` and ``{name}``.
"""

import dataclasses
import pathlib
import re
import string
from typing import Any

import yaml

from openstack_rca import exception
from openstack_rca.events import parts
from openstack_rca.events import schema
from openstack_rca.knowledge import patterns

#: Names of parts that a signature can blame; those of reports.
COMPONENTS = parts.COMPONENTS
#: The part whose process logged the record.
REPORTER = 'reporter'
#: Kinds of fault; those of reports.
CATEGORIES = parts.CATEGORIES
#: What two records of an order or an absence have in common.
SAME = ('request', 'host', 'process', 'resource')
LEVELS = {'DEBUG': 10, 'INFO': 20, 'WARNING': schema.WARNING,
          'ERROR': schema.ERROR, 'CRITICAL': 50}
#: Variables that every signature has: those of the record.
GIVEN = ('host', 'service', 'program', 'request', 'count')

MAX_BYTES = 64 << 10
MAX_NODES = 2000
MAX_TEXTS = 20
MAX_WORDS = 2000
MAX_COUNT = 200
MAX_SECONDS = 86400

_ID = re.compile(r'[a-z0-9][a-z0-9-]{2,63}\Z')
_URL = re.compile(r'https://[\w./?=&%#~:+@,-]{4,300}\Z', re.ASCII)
_VERSION = re.compile(r'[0-9][0-9A-Za-z.]{0,20}\Z', re.ASCII)


@dataclasses.dataclass(frozen=True)
class Records:
    """Which records are meant.

    :param message: what the message says, in its own words
    :param texts: all of these stand in the record
    :param any_of: one of these stands in it, where there are any
    :param none_of: none of these does
    :param level: least severity
    :param services: projects or programs that log it, empty for all
    :param statuses: HTTP statuses, empty for all
    """

    message: patterns.Pattern
    texts: tuple[patterns.Pattern, ...] = ()
    any_of: tuple[patterns.Pattern, ...] = ()
    none_of: tuple[patterns.Pattern, ...] = ()
    level: int = 0
    services: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    def variables(self) -> set[str]:
        """Names that the patterns capture."""
        return {name for pattern in (
            self.message, *self.texts, *self.any_of)
            for name in pattern.names}


@dataclasses.dataclass(frozen=True)
class Other:
    """Records that stand before or after.

    :param records: which
    :param within: seconds between
    :param same: what they have in common with the record, or an empty string
    """

    records: Records
    within: float
    same: str = ''


@dataclasses.dataclass(frozen=True)
class Versions:
    """Which releases are concerned; empty where that makes no difference.

    :param affects: releases or versions
    :param fixed: first versions without the fault
    :param backports: release and version of each backport of the fix
    """

    affects: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    backports: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Example:
    """A record that was logged by the real program.

    :param file: name of the file that it stood in
    :param recorded: by which version of what, and what was done to it
    :param lines: the lines
    """

    file: str
    recorded: str
    lines: str


@dataclasses.dataclass(frozen=True)
class Signature:
    """A known failure.

    :param id: its name, which is that of its file
    :param title: what it is called
    :param cause: the cause in words, with variables
    :param component: who is at fault, ``reporter``, or a variable in braces
    :param category: kind of fault
    :param weight: how sure its records show the cause, 0 to 1
    :param direct: whether they show the fault itself, not an effect of it
    :param host: the host that is meant, with variables, or empty
    :param find: the records that it is known by
    :param count: how many there are at least
    :param within: seconds in which they are, None for any time
    :param after: what stands before each of them
    :param before: what stands after each of them
    :param without: what does not stand after any of them
    :param remedy: what to do
    :param bug: address of the bug report
    :param references: addresses of what to read
    :param versions: which releases are concerned
    :param related: signatures that match the same records
    :param path: file that it was read from
    """

    id: str
    title: str
    cause: str
    component: str
    category: str
    weight: float
    direct: bool
    host: str
    find: Records
    count: int
    within: float | None
    after: Other | None
    before: Other | None
    without: Other | None
    remedy: tuple[str, ...]
    bug: str
    references: tuple[str, ...]
    versions: Versions
    related: tuple[str, ...]
    path: str


#: Fields of a signature: whether it has to be there, and what it means.
FIELDS: dict[str, tuple[bool, str]] = {
    'id': (True, 'Name of the signature, which is the name of its file '
                 'without ``.yaml``: 3 to 64 lower-case letters, digits and '
                 'dashes.'),
    'title': (True, 'What the failure is called; may hold variables.'),
    'find': (True, 'The records that it is known by, see below.'),
    'count': (False, 'How many of these records there are at least; 1 '
                     'without it, 200 at most.'),
    'within': (False, 'Seconds in which that many are logged; any time '
                      'without it.'),
    'after': (False, 'Records of which one stands before each record of '
                     '``find``, see below.'),
    'before': (False, 'Records of which one stands after each record of '
                      '``find``, see below.'),
    'without': (False, 'Records of which none stands after a record of '
                       '``find``, see below.'),
    'component': (True, 'The part that is at fault, by a name of reports; '
                        '``reporter`` for the one that logs it; or a '
                        'variable in braces, for the one whose program it '
                        'names.'),
    'category': (True, 'The kind of fault, by a name of reports.'),
    'cause': (True, 'The cause in one sentence, without its full stop; may '
                    'hold variables.'),
    'host': (False, 'The host that is meant, such as ``{host}``; none '
                    'without it.'),
    'weight': (False, 'How sure the records show this cause, .05 to .95; .7 '
                      'without it.'),
    'direct': (False, '``false`` where the records show an effect that '
                      'something behind the component may have as well; '
                      '``true`` without it.'),
    'remedy': (True, 'What to do, a list of 1 to 5 sentences; may hold '
                     'variables.'),
    'bug': (False, 'Address of the bug report.'),
    'references': (False, 'Addresses of what to read, at most 5.'),
    'versions': (False, 'Releases concerned, see below.'),
    'related': (False, 'Names of signatures that match the same records.'),
    'examples': (True, 'Real records that match and that do not, see '
                       'below.'),
}
#: Fields of ``find``, ``after``, ``before`` and ``without``.
RECORD_FIELDS: dict[str, tuple[bool, str]] = {
    'message': (True, 'A pattern of what the message says, in whole words. '
                      'It has to hold some that stand outside of quotes and '
                      'brackets, in its first line and first 600 '
                      'characters: by these the records are found.'),
    'all': (False, 'Patterns that stand in the record as well, its '
                   'traceback included.'),
    'any': (False, 'Patterns of which one stands in the record.'),
    'none': (False, 'Patterns that do not stand in the record.'),
    'level': (False, 'Least severity: ``DEBUG``, ``INFO``, ``WARNING``, '
                     '``ERROR`` or ``CRITICAL``.'),
    'service': (False, 'Projects or programs that log it, such as '
                       '``nova-compute``; a name or a list.'),
    'status': (False, 'HTTP statuses, such as ``409``; a number or a list.'),
}
#: Further fields of ``after``, ``before`` and ``without``.
OTHER_FIELDS: dict[str, tuple[bool, str]] = {
    'within': (True, 'Seconds between the two, 86400 at most.'),
    'same': (False, 'What both have in common: ``request``, ``host``, '
                    '``process`` (program and host) or ``resource``; '
                    'nothing without it.'),
}
VERSION_FIELDS: dict[str, tuple[bool, str]] = {
    'affects': (False, 'Releases or versions that have the fault.'),
    'fixed': (False, 'First versions without it.'),
    'backports': (False, 'Release and version of each backport of the fix, '
                         'such as ``2025.1: 31.0.1``.'),
}
EXAMPLE_FIELDS: dict[str, tuple[bool, str]] = {
    'matches': (True, 'Examples that the signature matches, at least one.'),
    'misses': (True, 'Examples that look alike and do not match, at least '
                     'one.'),
}
LINES_FIELDS: dict[str, tuple[bool, str]] = {
    'file': (True, 'Name of the log file, such as ``nova-compute.log``: it '
                   'tells the program.'),
    'recorded': (True, 'Which version of what logged it, and what was done '
                       'to it.'),
    'lines': (True, 'The lines as they were logged.'),
}


#: libyaml's parser where PyYAML was built with it: many times as fast.
_Loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


@dataclasses.dataclass
class _Place:
    """Where in a file something stands."""

    path: str
    field: str
    node: yaml.Node

    def wrong(self, what: str) -> exception.SignatureInvalid:
        """An error that names the place.

        :param what: what is wrong, and what to write
        """
        return exception.SignatureInvalid(
            path=self.path, line=self.node.start_mark.line + 1,
            reason=f'{self.field}: {what}' if self.field else what)

    def inner(self, field: str | int, node: yaml.Node) -> '_Place':
        """A place within this one."""
        name = f'[{field}]' if isinstance(field, int) else (
            f'.{field}' if self.field else field)
        return _Place(self.path, self.field + name, node)


def load(text: str, path: str) -> Signature:
    """Read a signature.

    :param text: the YAML document
    :param path: name of its file, for what is wrong
    :raises SignatureInvalid: it is no signature
    """
    place = _compose(text, path)
    fields = _mapping(place, FIELDS)
    name = _text(fields['id'], 64)
    if not _ID.match(name):
        raise fields['id'].wrong(
            'write 3 to 64 lower-case letters, digits and dashes')
    if name != pathlib.PurePath(path).stem:
        raise fields['id'].wrong(
            f'write the name of the file, or call the file {name}.yaml')
    find = _records(fields['find'], _mapping(fields['find'], RECORD_FIELDS))
    known = find.variables() | set(GIVEN)
    count = _integer(fields.get('count'), 1, 1, MAX_COUNT)
    within = _number(fields.get('within'), None, 0.001, MAX_SECONDS)
    if within is not None and count < 2:
        raise fields['within'].wrong('write "count: 2" or more beside it')
    component = _one(fields['component'], (
        *COMPONENTS, REPORTER, *(f'{{{n}}}' for n in sorted(
            find.variables()))))
    return Signature(
        id=name, title=_filled(fields['title'], known),
        cause=_filled(fields['cause'], known).rstrip('.'),
        component=component,
        category=_one(fields['category'], CATEGORIES),
        weight=_number(fields.get('weight'), 0.7, 0.05, 0.95) or 0.0,
        direct=_truth(fields.get('direct'), True),
        host=_filled(fields['host'], known) if 'host' in fields else '',
        find=find, count=count, within=within,
        after=_other(fields.get('after')),
        before=_other(fields.get('before')),
        without=_other(fields.get('without')),
        remedy=tuple(_filled(p, known) for p in _list(
            fields['remedy'], 1, 5)),
        bug=_url(fields['bug']) if 'bug' in fields else '',
        references=tuple(_url(p) for p in _list(
            fields.get('references'), 0, 5)),
        versions=_versions(fields.get('versions')),
        related=tuple(_text(p, 64) for p in _list(
            fields.get('related'), 0, MAX_TEXTS)),
        path=path)


def examples(text: str, path: str) -> dict[str, tuple[Example, ...]]:
    """The examples of a signature: what matches, and what does not.

    :param text: the YAML document
    :param path: name of its file
    :raises SignatureInvalid: there is something wrong with them
    """
    fields = _mapping(_compose(text, path), FIELDS)
    parts = _mapping(fields['examples'], EXAMPLE_FIELDS)
    found = {}
    for name, part in parts.items():
        rows = []
        for item in _list(part, 1, 10):
            held = _mapping(item, LINES_FIELDS)
            rows.append(Example(
                _text(held['file'], 100), _text(held['recorded'], 300),
                _text(held['lines'], MAX_BYTES)))
        found[name] = tuple(rows)
    return found


def variables(text: str) -> set[str]:
    """The variables that stand in a text for people."""
    return {name for _t, name, _s, _c in string.Formatter().parse(text)
            if name}


def _compose(text: str, path: str) -> _Place:
    """The tree of a document, as far as it is small and plain."""
    start = _at(path, None)
    if len(text) > MAX_BYTES:
        raise start.wrong(
            f'the file has more than {MAX_BYTES} bytes; write one signature '
            'a file, and short examples')
    try:
        loader = _Loader(text)
        try:
            for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
                if number > MAX_NODES:
                    raise start.wrong('the file has too many parts')
                if isinstance(event, yaml.AliasEvent) or getattr(
                        event, 'anchor', None):
                    raise _at(path, event.start_mark).wrong(
                        'write the value itself instead of & or *, or quote '
                        'the text')
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as e:
        mark = getattr(e, 'problem_mark', None)
        what = getattr(e, 'problem', None) or getattr(
            e, 'reason', None) or 'it cannot be read'
        raise _at(path, mark).wrong(f'this is no YAML: {what}') from None
    except (RecursionError, UnicodeError, ValueError) as e:
        raise start.wrong(
            f'this is no YAML that can be read ({type(e).__name__})'
        ) from None
    if root is None:
        raise start.wrong('the file is empty; write a signature')
    return _Place(path, '', root)


def _at(path: str, mark: Any) -> _Place:
    """A place in a file, its beginning without a mark."""
    return _Place(path, '', yaml.ScalarNode(
        '', '', mark or yaml.Mark(path, 0, 0, 0, '', 0)))


def _mapping(place: _Place, fields: dict[str, tuple[bool, str]]) -> dict[
        str, _Place]:
    """The values of a mapping that has just some fields."""
    if not isinstance(place.node, yaml.MappingNode):
        raise place.wrong('write fields: ' + ', '.join(fields))
    held: dict[str, _Place] = {}
    for key, value in place.node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ''
        inner = place.inner(str(name)[:40], key)
        if name not in fields:
            raise inner.wrong('there is no such field; there are '
                              + ', '.join(fields))
        if name in held:
            raise inner.wrong('it stands here twice; keep one')
        held[name] = place.inner(name, value)
    for name, (needed, _meaning) in fields.items():
        if needed and name not in held:
            raise place.inner(name, place.node).wrong(
                'it is missing; write it')
    return held


def _scalar(place: _Place, tag: str, what: str) -> str:
    node = place.node
    if not isinstance(node, yaml.ScalarNode) \
            or node.tag != f'tag:yaml.org,2002:{tag}':
        raise place.wrong(what)
    return str(node.value)


def _text(place: _Place, most: int) -> str:
    """A text that is neither empty nor too long."""
    node = place.node
    # A version such as 2025.1 is read as a number, and is meant as text.
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (
            f'tag:yaml.org,2002:{t}' for t in ('str', 'int', 'float')):
        raise place.wrong('write a text, in quotes where needed')
    text = str(node.value).strip()
    if not text or len(text) > most:
        raise place.wrong(f'write 1 to {most} characters')
    if any(ord(c) < 32 and c not in '\n\t\x1b' for c in text):
        raise place.wrong('leave out the control characters')
    return text


def _filled(place: _Place, known: set[str]) -> str:
    """A text for people in which variables stand."""
    text = ' '.join(_text(place, MAX_WORDS).split())
    try:
        named = [(field, spec, conversion) for _text, field, spec, conversion
                 in string.Formatter().parse(text) if field is not None]
    except ValueError:
        raise place.wrong(
            'write a variable as {name}, and a brace as {{ or }}') from None
    for field, spec, conversion in named:
        if field not in known or spec or conversion:
            raise place.wrong(
                f'there is no variable {{{field[:40]}}}; there are '
                + ', '.join(sorted(known)))
    return text


def _one(place: _Place, among: tuple[str, ...]) -> str:
    text = _text(place, 64)
    if text not in among:
        raise place.wrong('write one of ' + ', '.join(among))
    return text


def _integer(place: _Place | None, default: int, least: int,
             most: int) -> int:
    if place is None:
        return default
    what = f'write a whole number from {least} to {most}'
    digits = _scalar(place, 'int', what)
    if not re.fullmatch(r'[0-9]{1,9}', digits) \
            or not least <= int(digits) <= most:
        raise place.wrong(what)
    return int(digits)


def _number(place: _Place | None, default: float | None, least: float,
            most: float) -> float | None:
    if place is None:
        return default
    what = f'write a number from {least:g} to {most:g}'
    node = place.node
    value = node.value if isinstance(node, yaml.ScalarNode) else ''
    if not re.fullmatch(r'[0-9]{0,9}(?:\.[0-9]{1,9})?', str(value)) \
            or not value or not least <= float(value) <= most:
        raise place.wrong(what)
    return float(value)


def _truth(place: _Place | None, default: bool) -> bool:
    if place is None:
        return default
    what = 'write true or false'
    value = _scalar(place, 'bool', what).lower()
    if value not in ('true', 'false'):
        raise place.wrong(what)
    return value == 'true'


def _list(place: _Place | None, least: int, most: int,
          single: bool = False) -> list[_Place]:
    """The places of a list's items.

    :param single: one value is a list of one
    """
    if place is None:
        return []
    if single and isinstance(place.node, yaml.ScalarNode):
        return [place]
    if not isinstance(place.node, yaml.SequenceNode):
        raise place.wrong('write a list')
    items = [place.inner(n, node) for n, node in enumerate(
        place.node.value)]
    if not least <= len(items) <= most:
        raise place.wrong(f'write {least} to {most} of them')
    return items


def _url(place: _Place) -> str:
    text = _text(place, 300)
    if not _URL.match(text):
        raise place.wrong('write an address that begins with https://')
    return text


def _pattern(place: _Place) -> patterns.Pattern:
    try:
        return patterns.compiled(_text(place, patterns.MAX_LENGTH))
    except ValueError as e:
        raise place.wrong(str(e)) from None


def _records(place: _Place, fields: dict[str, _Place]) -> Records:
    message = _pattern(fields['message'])
    if not message.anchor:
        raise fields['message'].wrong(
            'it holds no word of three letters outside of quotes, brackets '
            'and variables, by which records could be found; write more of '
            'the message, and what stands in quotes below "all"')
    texts, any_of, none_of = (tuple(_pattern(p) for p in _list(
        fields.get(name), 1, MAX_TEXTS)) for name in ('all', 'any', 'none'))
    names = [n for p in (message, *texts) for n in p.names]
    if len(set(names)) < len(names):
        raise place.wrong('a variable is captured twice; rename one')
    level = 0
    if 'level' in fields:
        level = LEVELS[_one(fields['level'], tuple(LEVELS))]
    return Records(
        message, texts, any_of, none_of, level,
        tuple(_text(p, 64) for p in _list(
            fields.get('service'), 1, MAX_TEXTS, True)),
        tuple(_integer(p, 0, 100, 599) for p in _list(
            fields.get('status'), 1, MAX_TEXTS, True)))


def _other(place: _Place | None) -> Other | None:
    if place is None:
        return None
    fields = _mapping(place, RECORD_FIELDS | OTHER_FIELDS)
    return Other(
        _records(place, fields),
        _number(fields['within'], None, 0.001, MAX_SECONDS) or 0.0,
        _one(fields['same'], SAME) if 'same' in fields else '')


def _versions(place: _Place | None) -> Versions:
    if place is None:
        return Versions()
    fields = _mapping(place, VERSION_FIELDS)

    def version(at: _Place) -> str:
        text = _text(at, 21)
        if not _VERSION.match(text):
            raise at.wrong('write a release or version, such as 2026.2')
        return text
    backports = []
    if 'backports' in fields:
        node = fields['backports'].node
        if not isinstance(node, yaml.MappingNode):
            raise fields['backports'].wrong(
                'write release and version, such as 2025.1: 31.0.1')
        for key, value in node.value[:MAX_TEXTS]:
            release = version(fields['backports'].inner('release', key))
            backports.append((release, version(
                fields['backports'].inner(release, value))))
    return Versions(
        tuple(version(p) for p in _list(
            fields.get('affects'), 1, MAX_TEXTS, True)),
        tuple(version(p) for p in _list(
            fields.get('fixed'), 1, MAX_TEXTS, True)),
        tuple(backports))
