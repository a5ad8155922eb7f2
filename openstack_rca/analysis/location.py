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
"""Where in the code a failure starts.

Evidence is gathered for places. A traceback is read from both ends: the frame
that failed stands inside, and a value that was wrong there came from
somewhere. Exceptions tell which: one that says that a value is not what it
should be (``'NoneType' object is not iterable``, a missing key) blames the
code that made the value, any other the code that failed. Where a value came
from is followed through the code map: to the function whose result a variable
keeps, and through arguments to the frame that gave them. Frames of libraries
and of the transport (RPC dispatch, WSGI, database sessions, decorators) pass
faults on and do not make them, so that they are left aside. An error line
without a traceback is looked up in the map by its template.

Without a map of the service and release, the frames and loggers are left.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import re

from openstack_rca.analysis import codemap
from openstack_rca.analysis import components
from openstack_rca.analysis import tracebacks
from openstack_rca.analysis import valuetrail

#: How evidence counts, each with its reason. They are near to what folds that
#: never split a file agree on, see the page on ranking in the documentation.
WEIGHTS: dict[str, float] = {
    # Each frame further out than the innermost one of a service, which
    # counts 1: a fault passes few of them before it does harm.
    'outward': 0.5,
    # The innermost frame where a value was wrong: it was made elsewhere.
    'victim': 0.4,
    # What is left of that when the frame was given the value.
    'handed': 0.4,
    # The function whose result was the wrong value counts 1. Each step from
    # there to functions whose result it returns: most hand on what they get.
    'inward': 0.95,
    # A frame that gave the wrong value on as an argument.
    'giver': 0.6,
    # A function that a message names: who wrote it had a reason.
    'named': 0.8,
    # A traceback of one that waited for another service, which failed.
    'sent': 0.4,
    # The statement that logged an error line, or its module: it tells who
    # noticed.
    'statement': 0.2,
    # Each later failure: the first one causes the others.
    'later': 0.5,
    # How much less code counts that many others call, as a power of their
    # number: all of these would fail with it.
    'shared': 0.1,
}

#: How sure the first place is: the logistic function of these, fitted in folds
#: that never split a file, on maps of the release, of another one and none.
SURENESS: dict[str, float] = {
    'always': -3.2,
    # What speaks for the first file, as a share of what speaks for any.
    'share': 2.8,
    # What speaks for the first place, by itself.
    'strength': 3.2,
    # A value was wrong: it was made elsewhere.
    'wrong': -1.0,
}

#: DEBUG lines end with the function and the place that logged them.
_SUFFIX = re.compile(
    r'(\w+) /[\w./\-]*?(?:site|dist)-packages/([\w./\-]+\.py):(\d+)\s*'
    r'(?:\}\})?$')
#: A function with its module; the class of an object that is printed is none.
_DOTTED = re.compile(
    r'(?<![<.\w])((?:' + '|'.join(tracebacks.SERVICES)
    + r')(?:\.\w+){2,})(?! object at)')
#: An exception that a message tells with its text.
_KINDS = re.compile(r'\b([A-Z]\w*[a-z]\w*): ')
#: Functions that raise an exception, with which it still says something.
_MOST_RAISERS = 2
_EXCEPTIONS = frozenset(('exception', 'exceptions', 'exception_Remote',
                         'exceptions_Remote'))
#: Characters of a message in which names are looked for.
_HEAD = 2000
#: Frames of services that count.
_MOST_FRAMES = 8

Place = tracebacks.Place


@dataclasses.dataclass(frozen=True)
class Record:
    """What is read of an error record.

    :param text: the whole record
    :param logger: its logger
    :param level: its severity
    :param pattern: its template
    """

    text: str
    logger: str | None = None
    level: int = 0
    pattern: str = ''


def frames(text: str) -> list[Place]:
    """Frames of services in the tracebacks of a text, innermost first."""
    return [f.place for t in tracebacks.read(text)
            for f in reversed(t.frames) if tracebacks.own(f.place.file)]


def of_logger(logger: str | None) -> Place | None:
    """The module that a logger is named after."""
    if not logger or logger.split('.', 1)[0] not in tracebacks.SERVICES \
            or '.' not in logger:
        return None
    return Place(logger.replace('.', '/') + '.py', None)


def of_suffix(text: str) -> Place | None:
    """The place that a DEBUG line names at its end."""
    match = _SUFFIX.search(text)
    if match and tracebacks.own(match[2]):
        return Place(match[2], match[1])
    return None


class Evidence:
    """Places with what speaks for them.

    :param atlas: code maps, or None
    :param weights: see :data:`WEIGHTS`
    """

    def __init__(self, atlas: codemap.Atlas | None = None,
                 weights: Mapping[str, float] = WEIGHTS) -> None:
        self._atlas = atlas
        self._weights = weights
        self._scores: dict[Place, float] = {}
        self._seen: set[tuple[Place, str]] = set()
        self._wrong: bool | None = None

    def ranked(self) -> list[Place]:
        """All places, the likeliest first."""
        return sorted(self._scores, key=lambda p: -self._scores[p])

    def sureness(self) -> float:
        """How likely the file of the first place is the right one, 0 to 1.

        Logistic regression; see :data:`SURENESS`.
        """
        if not self._scores:
            return 0.0
        files: dict[str, float] = {}
        for place, score in self._scores.items():
            files[place.file] = max(files.get(place.file, 0.0), score)
        strength = max(files.values())
        told = (SURENESS['always']
                + SURENESS['share'] * strength / sum(files.values())
                + SURENESS['strength'] * strength
                + SURENESS['wrong'] * bool(self._wrong))
        return 1 / (1 + math.exp(-told))

    def _add(self, place: Place, weight: float) -> None:
        self._scores[place] = self._scores.get(place, 0.0) + weight

    def record(self, record: Record, share: float) -> bool:
        """Read an error record.

        :param record: the record
        :param share: how much it counts
        :returns: whether it says what earlier ones did not
        """
        fresh = False
        told = tracebacks.read(record.text)
        passed = {p for t in told for f in t.frames for p in (
            f.place, Place(f.place.file, None))}
        for traceback in told:
            inner = traceback.own
            if not inner or (inner[0].place, traceback.kind) in self._seen:
                continue
            self._seen.add((inner[0].place, traceback.kind))
            fresh = True
            if self._wrong is None:
                self._wrong = bool(tracebacks.wrong_value(traceback))
            for place, weight in self.traceback(traceback).items():
                self._add(place, weight * share)
        for place, weight in self._said(record, told):
            if place not in passed and (place, '') not in self._seen:
                self._seen.add((place, ''))
                self._add(place, weight * share)
        return fresh

    def _said(self, record: Record,
              told: Sequence[tracebacks.Traceback]) -> Iterator[
                  tuple[Place, float]]:
        """Places that a record itself speaks of."""
        for place in self.named('\n'.join((
                tracebacks.plain(record.text)[:_HEAD],
                *(t.text for t in told)))):
            yield place, self._weights['named']
        module = of_logger(record.logger)
        if module is None or any(t.own for t in told):
            # Who logs a traceback caught it.
            return
        known = self._atlas.place(record.pattern, record.logger,
                                  record.level) if self._atlas else None
        yield (Place(*known) if known else module,
               self._weights['statement'])
        for place in self._raisers(record):
            yield place, self._weights['statement']

    def _raisers(self, record: Record) -> list[Place]:
        """Functions that raise an exception that a message tells of."""
        known = self._atlas.of_logger(record.logger) if self._atlas else None
        if known is None:
            return []
        module = of_logger(record.logger)
        found: dict[Place, None] = {}
        for kind in _KINDS.findall(tracebacks.plain(record.text)[:_HEAD]):
            kind = kind.removesuffix('_Remote')
            if not known.defines(kind):
                continue
            places = dict.fromkeys(
                Place(f.file, f.bare or None) for f in (
                    known.functions[n] for n, _line, _text
                    in known.raises(kind)))
            # Who catches an exception is mostly next to who raises it.
            near = [p for p in places if module and p.file == module.file]
            if len(near or places) <= _MOST_RAISERS:
                for place in near or places:
                    found.setdefault(place)
        return list(found)

    def named(self, text: str) -> list[Place]:
        """Functions and classes that a message names with their module."""
        found: dict[Place, None] = {}
        for name in _DOTTED.findall(text):
            place = self._dotted(name)
            if place is not None:
                found.setdefault(place)
        return list(found)

    def _dotted(self, name: str) -> Place | None:
        parts = name.split('.')
        if _EXCEPTIONS.intersection(parts):
            # Its class is where an exception is described, not raised.
            return None
        cut = next((i for i, p in enumerate(parts) if p[:1].isupper()), None)
        if self._atlas is not None:
            known = self._atlas.of(parts[0])
            if known is not None:
                found = known.dotted(name)
                return Place(*found) if found else None
        if cut is None or cut < 2:
            return None
        return Place('/'.join(parts[:cut]) + '.py',
                     parts[cut + 1] if len(parts) > cut + 1 else None)

    def traceback(self, traceback: tracebacks.Traceback) -> dict[Place, float]:
        """What one traceback says.

        :param traceback: the traceback
        :returns: weights by place
        """
        weights = self._weights
        inner = traceback.own
        found: dict[Place, float] = {}

        def add(place: Place, weight: float) -> None:
            weight /= self._shared(place) ** weights['shared']
            found[place] = max(found.get(place, 0.0), weight)

        wrong = tracebacks.wrong_value(traceback)
        share = weights['sent'] if tracebacks.waited(traceback) else 1.0
        if wrong:
            share *= weights['victim']
        for frame in inner[:_MOST_FRAMES]:
            add(frame.place, share)
            share *= weights['outward']
        if wrong and self._atlas is not None:
            trail = valuetrail.Trail(self._atlas, weights, traceback)
            made = trail.follow()
            if trail.handed:
                found[inner[0].place] *= weights['handed']
            for place, weight in made:
                add(place, weight)
        return found

    def _shared(self, place: Place) -> int:
        """How many functions call a function, and 1."""
        known = self._atlas.of_file(place.file) if self._atlas else None
        if known is None or place.function is None:
            return 1
        return 1 + max((len(known.callers(n)) for n in known.find(
            place.file, place.function)), default=0)


def weigh(records: Sequence[Record],
          atlas: codemap.Atlas | None = None,
          weights: Mapping[str, float] = WEIGHTS) -> Evidence:
    """What error records say of places.

    :param records: the oldest first
    :param atlas: code maps, where there are any
    :param weights: see :data:`WEIGHTS`
    """
    evidence = Evidence(atlas, weights)
    share = 1.0
    for record in records:
        if evidence.record(record, share):
            share *= weights['later']
    return evidence


def rank(records: Sequence[Record],
         atlas: codemap.Atlas | None = None,
         weights: Mapping[str, float] = WEIGHTS) -> list[Place]:
    """Places of error records, the likeliest first, each once.

    :param records: the oldest first
    :param atlas: code maps, where there are any
    :param weights: see :data:`WEIGHTS`
    """
    return weigh(records, atlas, weights).ranked()


def service_of(place: Place) -> str:
    """The project that a place belongs to."""
    return components.of_service(place.file.split('/', 1)[0])
