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
"""Where in the code a failure starts, as far as tracebacks and loggers say.

A traceback is read from the inside out. Frames of libraries and of the
transport (RPC dispatch, WSGI, database sessions, client libraries) pass
faults on and do not make them, so that they are left aside.
"""

import dataclasses
import re

from openstack_rca.analysis import components

#: Frame of a traceback, also of one that a message quotes with escapes.
_FRAME = re.compile(
    r'File \\?"(?:[^"\\\n]*/)?(?:site|dist)-packages/([\w./\-]+\.py)\\?", '
    r'line (\d+), in (\w+)')
_TREE = re.compile(
    r'File \\?"[^"\\\n]*?/((?:nova|neutron|cinder|glance|keystone|placement|'
    r'heat|ironic|manila)/[\w./\-]+\.py)\\?", line (\d+), in (\w+)')
#: DEBUG lines end with the function and the place that logged them.
_SUFFIX = re.compile(
    r'(\w+) /[\w./\-]*?(?:site|dist)-packages/([\w./\-]+\.py):(\d+)\s*'
    r'(?:\}\})?$')

_SERVICES = ('nova', 'neutron', 'cinder', 'glance', 'keystone', 'placement',
             'heat', 'ironic', 'manila', 'octavia', 'designate', 'barbican')

#: Parts of services that hand calls on: decorators and wrappers.
_WRAPPERS = frozenset((
    'wrapped', 'wrapper', 'inner', 'decorated_function', '__exit__',
    'force_reraise', '_wrapper', 'add_context_to_args', 'dispatch',
    '_dispatch', '_do_dispatch', '_process_incoming', 'new_func'))


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


def own(file: str) -> bool:
    """Whether a file is a service's own rather than a library's."""
    return file.split('/', 1)[0] in _SERVICES


def frames(text: str) -> list[Place]:
    """Frames of services in the tracebacks of a text, innermost first."""
    found = _FRAME.findall(text) or _TREE.findall(text)
    places = [Place(f, fn) for f, _line, fn in found if own(f)]
    places.reverse()
    return places


def of_logger(logger: str | None) -> Place | None:
    """The module that a logger is named after."""
    if not logger or logger.split('.', 1)[0] not in _SERVICES \
            or '.' not in logger:
        return None
    return Place(logger.replace('.', '/') + '.py', None)


def of_suffix(text: str) -> Place | None:
    """The place that a DEBUG line names at its end."""
    match = _SUFFIX.search(text)
    if match and own(match[2]):
        return Place(match[2], match[1])
    return None


def rank(records: list[tuple[str, str | None]]) -> list[Place]:
    """Places of error records, the likeliest first.

    :param records: text and logger of each record, the oldest first
    :returns: each place once
    """
    ordered: dict[Place, None] = {}
    for text, logger in records:
        for place in frames(text):
            if place.function not in _WRAPPERS:
                ordered.setdefault(place)
        module = of_logger(logger)
        if module is not None:
            ordered.setdefault(module)
    return list(ordered)


def service_of(place: Place) -> str:
    """The project that a place belongs to."""
    return components.of_service(place.file.split('/', 1)[0])
