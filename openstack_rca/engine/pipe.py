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
"""Messages between the engine and its processes: lines of JSON.

A process takes messages from its standard input, and sends others where its
standard output was; what libraries print goes to standard error.
"""

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any
from typing import BinaryIO

_PR_SET_PDEATHSIG = 1


class Pipe:
    """The end of a process that was started by the engine.

    :param receiving: where messages come from
    :param sending: where they go
    """

    def __init__(self, receiving: BinaryIO, sending: BinaryIO) -> None:
        self._receiving = receiving
        self._sending = sending
        self._lock = threading.Lock()

    @classmethod
    def of_this_process(cls) -> 'Pipe':
        """Take over standard input and output.

        From now on this process ends with the one that started it, even if
        that one is killed.
        """
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
        # Both signals are the engine's affair: it ends its processes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Asks for a Guru Meditation Report, which the engine writes.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        sending = os.fdopen(os.dup(1), 'wb')
        os.dup2(2, 1)
        return cls(sys.stdin.buffer, sending)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message. Threads may do so at the same time.

        :param message: what JSON can hold
        :raises BrokenPipeError: the other end is gone
        """
        line = json.dumps(message, separators=(',', ':')).encode() + b'\n'
        with self._lock:
            self._sending.write(line)
            self._sending.flush()

    def receive(self) -> dict[str, Any] | None:
        """Wait for a message; None where the other end is gone."""
        line = self._receiving.readline()
        if not line.endswith(b'\n'):
            return None
        message: dict[str, Any] = json.loads(line)
        return message
