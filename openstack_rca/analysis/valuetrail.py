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
"""A wrong value, followed back to where it was made.

A traceback tells where a value did harm, seldom where it came from. The code
map leads there: a variable keeps the result of a call, so that the function
called may have made the value, or the one whose result that returns in turn;
or it is an argument, which the frame further out gave.
"""

from collections.abc import Mapping
import re

from openstack_rca.analysis import codemap
from openstack_rca.analysis import codesource
from openstack_rca.analysis import tracebacks

_NAMES = re.compile(r'(?<![\w.])([A-Za-z_]\w*(?:\.\w+)*)(?![\w(.]|=(?!=))')
_WORD = re.compile(r'[A-Za-z_]\w*')
_LACKS = re.compile(r"has no attribute u?'(\w+)'")
_CALLED = re.compile(r'(\w+)\(')
_LITERAL = re.compile(r"""u?'[^'\n]*'|u?"[^"\n]*\"""")
_KEYWORDS = frozenset((
    'if', 'for', 'in', 'return', 'not', 'and', 'or', 'is', 'None', 'True',
    'False', 'self', 'cls', 'raise', 'else', 'elif', 'lambda', 'yield',
    'with', 'as', 'while', 'print', 'assert', 'del', 'u', 'str', 'len',
    'dict', 'list', 'set', 'int', 'getattr', 'setattr', 'any', 'all'))

#: Steps from function to function, functions and frames that are looked at.
_DEEPEST = 4
_MOST_MAKERS = 40
_MOST_FRAMES = 8
#: Calls that a variable may keep the result of.
_MOST_KEPT = 6
#: Lines between a frame and a call that it may mean: releases differ.
_NEAR = 80
#: Lines that a call may go on.
_CONTINUED = 6


class Trail:
    """Follows a wrong value back to where it was made.

    :param atlas: code maps
    :param weights: see :data:`location.WEIGHTS`
    :param traceback: where it did harm
    :ivar handed: whether the innermost frame was given the value
    """

    def __init__(self, atlas: codemap.Atlas,
                 weights: Mapping[str, float],
                 traceback: tracebacks.Traceback) -> None:
        self._atlas = atlas
        self._weights = weights
        self._inner = traceback.own
        self._text = traceback.text
        self._found: dict[tracebacks.Place, float] = {}
        self._known: set[tuple[int, int]] = set()
        self.handed = False

    def _add(self, place: tracebacks.Place, weight: float) -> None:
        self._found[place] = max(self._found.get(place, 0.0), weight)

    def follow(self) -> list[tuple[tracebacks.Place, float]]:
        """Places that had the value in hand, with their weights."""
        share = 1.0
        names: set[str] = set()
        below: codemap.Function | None = None
        for frame in self._inner[:_MOST_FRAMES]:
            found = self._atlas.of_file(frame.place.file)
            numbers = found.find(frame.place.file, frame.place.function,
                                 frame.line) if found else []
            if found is None or not numbers:
                break
            number = numbers[0]
            steps = found.steps(number)
            if below is None:
                names = suspects(frame.source, self._text)
                # A call in the very line has answered already: else there
                # was a frame of it.
                for step in self._line(found, steps, frame):
                    self._maker(found, step, share, 0)
                for name in names:
                    self._property(found, number, name, share)
            else:
                self._add(frame.place, self._weights['giver'] * share)
                names = self._given(found, below, number, frame, names, share)
            arguments = set(found.functions[number].arguments.split(','))
            for step in _makers(steps, {_head(n) for n in names}
                                | {n.rpartition('.')[2] for n in names},
                                frame.line):
                self._maker(found, step, share, 0)
            names = {n for n in names if _head(n) in arguments
                     and n not in ('self', 'cls')}
            if not names:
                break
            if below is None and not self._found:
                self.handed = True
            if below is not None:
                share *= self._weights['outward']
            below = found.functions[number]
        return list(self._found.items())

    def _line(self, found: codemap.CodeMap,
              steps: list[codemap.Step],
              frame: tracebacks.Frame) -> list[codemap.Step]:
        """Calls that stand in the line of a frame.

        Of a call that takes several lines, old interpreters tell the last
        one: then its arguments, or where it is, have to do.
        """
        source = frame.source
        called = set(_CALLED.findall(source))
        lacks = _LACKS.search(self._text)
        if lacks:
            called.discard(lacks[1])
        held = [s for s in steps if any(
            found.functions[c].called in called for c in s.callees)
            and abs(s.line - frame.line) < _NEAR]
        if held or source.count(')') <= source.count('('):
            return held
        words = set(_WORD.findall(_LITERAL.sub('', source)))
        near = [(len(words.intersection(_WORD.findall(s.given))),
                 -abs(frame.line - s.line), s) for s in steps
                if abs(frame.line - s.line) < _NEAR]
        near = [n for n in near if n[0] or n[1] > -_CONTINUED]
        if not near:
            return []
        return [max(near, key=lambda n: n[:2])[2]]

    def _property(self, found: codemap.CodeMap, number: int, name: str,
                  share: float) -> None:
        """Blame what an attribute is, where it is a function."""
        head, _dot, rest = name.partition('.')
        if not rest:
            return
        last = rest.rpartition('.')[2]
        function = found.functions[number]
        for other in (found.find(function.file, last) if head == 'self'
                      else found.named(last)[:2]):
            if found.functions[other].gives:
                self._add(tracebacks.Place(found.functions[other].file, last),
                          share)

    def _given(self, found: codemap.CodeMap, below: codemap.Function,
               number: int, frame: tracebacks.Frame, names: set[str],
               share: float) -> set[str]:
        """What a frame gave the function below for its arguments."""
        steps = found.steps(number)
        calls = sorted((s for s in steps if any(
            found.functions[c].bare == below.bare
            for c in s.callees)), key=lambda s: abs(s.line - frame.line))
        if not calls:
            return suspects(frame.source, '')
        arguments = below.arguments.split(',')
        if arguments[:1] in (['self'], ['cls']):
            arguments = arguments[1:]
        given: set[str] = set()
        for i, value in enumerate(calls[0].given.split(',')):
            key, mark, rest = value.partition('=')
            name = key if mark else (
                arguments[i] if i < len(arguments) else '')
            value = rest if mark else value
            if name not in {_head(n) for n in names}:
                continue
            if value.endswith('()'):
                for step in steps:
                    if step.line >= calls[0].line - 1 and any(
                            found.functions[c].called == value[:-2]
                            for c in step.callees):
                        self._maker(found, step, share, 0)
                        break
            elif value:
                given.add(value)
                self._property(found, number, value, share)
        return given

    def _maker(self, found: codemap.CodeMap, step: codemap.Step,
               share: float, depth: int) -> None:
        """Blame what a call calls, and what that returns the result of."""
        weight = share * self._weights['inward'] ** depth
        for callee in step.callees:
            key = (id(found), callee)
            if key in self._known or len(self._known) > _MOST_MAKERS:
                continue
            self._known.add(key)
            function = found.functions[callee]
            if function.gives and function.bare:
                self._add(tracebacks.Place(function.file, function.bare),
                          weight)
            if depth < _DEEPEST:
                steps = found.steps(callee)
                for inner in steps:
                    if codesource.RETURN not in inner.target.split(','):
                        continue
                    self._maker(found, inner, share, depth + 1)
                    names = {_head(n) for n in inner.given.split(',')} \
                        - {'self', 'cls', 'context', ''}
                    for other in _makers(steps, names, inner.line):
                        self._maker(found, other, share, depth + 1)


def _head(name: str) -> str:
    """The variable of a dotted name."""
    first, _dot, rest = name.partition('.')
    return rest.partition('.')[0] if first in ('self', 'cls') and rest \
        else first


def suspects(source: str, text: str) -> set[str]:
    """Variables of a line that may be what was wrong.

    :param source: the line
    :param text: what the exception says
    """
    lacks = _LACKS.search(text)
    if lacks:
        held = re.findall(
            r'([A-Za-z_][\w.]*)(?:\(\)|\[[^\]]*\])?\.'
            + re.escape(lacks[1]) + r'\b', source)
        if held:
            return set(held)
    names = set(_NAMES.findall(_LITERAL.sub('', source)))
    return {n for n in names if n not in _KEYWORDS}


def _makers(steps: list[codemap.Step], names: set[str],
            line: int) -> list[codemap.Step]:
    """Calls whose results variables keep, the last before a line first."""
    found = [s for s in steps if names.intersection(s.target.split(','))]
    return sorted(found, key=lambda s: (s.line > line + 3,
                                        abs(line - s.line)))[:_MOST_KEPT]
