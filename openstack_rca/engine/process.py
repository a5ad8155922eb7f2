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
import resource
import sys
import threading
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca.engine import pipe
from openstack_rca.engine import state

LOG = logging.getLogger(__name__)

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
    """Give the memory of what was done back to the system.

    The C library keeps what was freed between two things that stay; so does
    it in a process that loads models and then waits for days.
    """
    # Not every C library can; then it stays.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


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

    threading.Thread(target=listen, name='engine', daemon=True).start()
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
