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
"""How a process of the engine begins, and how it hears that it may end."""

from collections.abc import Callable
import contextlib
import ctypes
import pathlib
import re
import resource
import sys
import threading
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca.engine import pipe
from openstack_rca.engine import state

LOG = logging.getLogger(__name__)

#: Seconds until memory is given back: what begins is loaded by then; and
#: seconds until it is once more.
_SETTLED = 60.0
_REST = 600.0
#: See madvise(2).
_DONTNEED = 4
#: The first line of a mapping, see proc_pid_smaps(5).
_MAPPING = re.compile(
    r'(?P<begin>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<access>\S{4}) \S+ \S+ '
    r'\d+\s*(?P<path>.*)')
#: Seconds between two looks whether another process has ended.
_PACE = 1.0


def begin() -> pipe.Pipe:
    """Take over standard input and output, and read the configuration.

    :returns: what the engine is spoken with
    :raises ConfigurationError: an option is wrong
    """
    ends = pipe.Pipe.of_this_process()
    conf.load(sys.argv[1:])
    logging.setup(conf.CONF, conf.PROJECT)
    return ends


def bound(most: int) -> None:
    """Limit what this process may take: where memory is short, it goes.

    :param most: bytes of memory that may be mapped
    """
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    # A core would hold the text of logs.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        pathlib.Path('/proc/self/oom_score_adj').write_text('500')


def give_back() -> None:
    """Give memory back that this process does not need while it waits.

    The C library keeps what was freed between two things that stay. And the
    text of libraries is in the page cache of the system, too, from where it
    comes again in milliseconds. Libraries stay where they are; what else is
    mapped, as weights are, may just go, and its place be somebody else's.
    """
    # Not every C library can; then it stays.
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        for begin, end in _unchanged():
            library.madvise(ctypes.c_void_p(begin),
                            ctypes.c_size_t(end - begin), _DONTNEED)


def _unchanged() -> list[tuple[int, int]]:
    """Where program text is mapped, as its files have it.

    A mapping of which a single page is this process's own is left alone.

    :returns: first address, and that behind the last one
    """
    found = []
    place: tuple[int, int] | None = None
    with open('/proc/self/smaps', encoding='utf-8',
              errors='replace') as told:
        for line in told:
            if match := _MAPPING.match(line):
                place = None
                if (match['access'] == 'r-xp'
                        and match['path'].startswith('/')):
                    place = int(match['begin'], 16), int(match['end'], 16)
            elif place and line.startswith('Anonymous:'):
                if line.split() == ['Anonymous:', '0', 'kB']:
                    found.append(place)
                place = None
    return found


def hear(ends: pipe.Pipe,
         heard: Callable[[dict[str, Any]], None] | None = None,
         ended: Callable[[], None] | None = None) -> threading.Event:
    """Hear the engine in a thread of its own.

    :param ends: what it is spoken with
    :param heard: called with each message, in that thread
    :param ended: called in that thread once the engine is gone
    :returns: what is set once the engine is gone
    """
    gone = threading.Event()

    def listen() -> None:
        while (message := ends.receive()) is not None:
            if heard is not None:
                heard(message)
        gone.set()
        if ended is not None:
            ended()

    def rest() -> None:
        pause = _SETTLED
        while not gone.wait(pause):
            give_back()
            pause = _REST

    threading.Thread(target=listen, name='engine', daemon=True).start()
    threading.Thread(target=rest, name='rest', daemon=True).start()
    return gone


def alone(ends: pipe.Pipe, gone: threading.Event, name: str,
          what: str) -> bool:
    """Wait until this process is the one of its kind in the state folder.

    :param ends: told that it waits
    :param gone: set once the engine is gone
    :param name: of the kind
    :param what: that kind does with the state folder, in words
    :returns: whether it is; otherwise the engine is gone
    :raises BrokenPipeError: the engine is gone
    """
    told = None
    while (why := state.waits(name, what)) is not None:
        if why != told:
            LOG.warning('%s. This process waits until that is over.', why)
            ends.send({'waiting': True})
            told = why
        if gone.wait(_PACE):
            return False
    return True
