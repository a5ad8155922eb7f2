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
"""Tracebacks, as records hold them.

They stand in the record, each line behind the header that oslo.log repeats,
or quoted in a message, which is how exceptions travel between services.
"""

import dataclasses
import re

SERVICES = ('nova', 'neutron', 'cinder', 'glance', 'keystone', 'placement',
            'heat', 'ironic', 'manila', 'octavia', 'designate', 'barbican')

#: Frame of a traceback, with the line of source that follows it.
_FRAME = re.compile(
    r'File "([^"\n]{1,500})", line (\d{1,7}), in ([\w<>]+)'
    r'(?:\n(?![^\n]{0,20}File ")([^\n]*))?')
_PACKAGED = re.compile(r'(?:^|/)(?:site|dist)-packages/([\w./\-]+\.py)$')
#: A service's folder in a tree, which often stands in one of its own name.
_TREE = re.compile(r'(?:^|/)(?:([a-z]+)/(?=\1/))?((?:' + '|'.join(SERVICES)
                   + r')/[\w./\-]+\.py)$')
_TRACEBACK = re.compile(r'Traceback \(most recent call last\):?')
#: oslo.log repeats the header in front of every line.
_HEADER = re.compile(
    r'^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]?\d* \d+ [A-Z]+ [\w.\-]+ '
    r'(?:\[instance: [0-9a-f\-]+\] ?)?', re.MULTILINE)
#: An exception that was sent is a list of quoted lines.
_QUOTES = re.compile(r"""\\n['"], u?['"]|['"], u?['"]|\\\\n|\\n""")
_RAISED = re.compile(r'^\s*(?:[a-z_]\w*\.)*([A-Z]\w+)(?:: ?(.*))?$',
                     re.MULTILINE)

#: What exceptions say when a value is not what it should be.
_WRONG_VALUE = re.compile(
    r"'?NoneType|has no attribute|not iterable|not subscriptable|"
    r'unsupported operand|must be (?:str|string|int|a )|indices must|'
    r'Cannot load|expected str|not callable|unpack')
_WRONG_VALUES = frozenset(('KeyError', 'IndexError', 'UnboundLocalError'))
#: And when a call does not fit the function.
_WRONG_CALL = re.compile(
    r'\btakes\b.*argument|missing \d+ required|unexpected keyword|'
    r'multiple values for')
#: Libraries that ask other services.
_CLIENT = re.compile(r'^(?:\w+client|keystoneauth1|openstack|'
                     r'oslo_messaging/(?:rpc/client|_drivers))\b')

#: Parts of services that hand calls on: decorators and wrappers.
_WRAPPERS = frozenset((
    'wrapped', 'wrapper', 'inner', 'decorated_function', '__exit__',
    'force_reraise', '_wrapper', 'add_context_to_args', 'dispatch',
    '_dispatch', '_do_dispatch', '_process_incoming', 'new_func',
    '_synchronized', 'decorator', '_wrapped', '_decorator',
    '_object_dispatch', '__call__', '_process_stack'))

#: Characters of a text in which tracebacks are looked for, and of a line of
#: source.
_LONGEST = 65536
_LONGEST_LINE = 1000
_MOST_FRAMES = 60


@dataclasses.dataclass(frozen=True)
class Place:
    """A place in the code.

    :param file: path below the package root, ``nova/compute/manager.py``
    :param function: name, or None where only the module is known
    """

    file: str
    function: str | None

    @property
    def module(self) -> str:
        """Dotted name of the module."""
        return self.file.removesuffix('.py').replace('/', '.')


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame of a traceback.

    :param place: file, as far as it is one of a package, and function
    :param line: number of the line
    :param source: the line, or an empty string
    """

    place: Place
    line: int
    source: str


@dataclasses.dataclass(frozen=True)
class Traceback:
    """One traceback.

    :param frames: outermost first
    :param kind: class of the exception, without its module
    :param text: what it says
    """

    frames: tuple[Frame, ...]
    kind: str
    text: str

    @property
    def own(self) -> list[Frame]:
        """Frames of services that do work, innermost first."""
        return [f for f in reversed(self.frames) if own(f.place.file)
                and f.place.function not in _WRAPPERS]


def own(file: str) -> bool:
    """Whether a file is a service's own rather than a library's."""
    return file.split('/', 1)[0] in SERVICES


def plain(text: str) -> str:
    """A text with its quoted tracebacks as they were printed."""
    text = _HEADER.sub('', text[:_LONGEST])
    return _QUOTES.sub('\n', text).replace('\\"', '"').replace("\\'", "'")


def read(text: str) -> list[Traceback]:
    """Tracebacks of a text, also those that a message quotes.

    :param text: a record
    """
    if 'File ' not in text:
        return []
    parts = _TRACEBACK.split(plain(text))
    found = []
    for part in parts[1:] or parts:
        frames, end = [], 0
        for match in _FRAME.finditer(part):
            file = _PACKAGED.search(match[1]) or _TREE.search(match[1])
            frames.append(Frame(
                Place(file[file.re.groups] if file else match[1],
                      match[3]),
                int(match[2]), (match[4] or '').strip()[:_LONGEST_LINE]))
            end = match.end()
        if not frames:
            continue
        raised = _RAISED.search(part, end, end + 4000)
        found.append(Traceback(
            tuple(frames[-_MOST_FRAMES:]), raised[1] if raised else '',
            (raised[2] or '').strip()[:_LONGEST_LINE]
            if raised else ''))
    return found


def wrong_value(traceback: Traceback) -> bool:
    """Whether a value was wrong, rather than the code that met it."""
    if _WRONG_CALL.search(traceback.text):
        return False
    return traceback.kind in _WRONG_VALUES or bool(
        _WRONG_VALUE.search(traceback.text))


def waited(traceback: Traceback) -> bool:
    """Whether another service failed, and this one waited for it."""
    if traceback.kind.endswith('_Remote'):
        return True
    behind = []
    for frame in reversed(traceback.frames):
        if own(frame.place.file):
            break
        behind.append(frame.place.file)
    return any(_CLIENT.search(f) for f in behind)
