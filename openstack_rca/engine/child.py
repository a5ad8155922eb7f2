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
"""A process of the engine, seen from the engine.

Analyses and parsing run in processes of their own: native libraries with
threads do not survive a fork, and what goes wrong in one ends nobody else.
They are started anew (never forked), and speak JSON, so that nothing of a
damaged process is ever executed in the engine.
"""

from collections.abc import Mapping
import json
import os
import select
import subprocess
import sys
import time
from typing import Any

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: Bytes of a message; a result has at most 2 MiB.
_MOST = 16 << 20


#: Seconds from the last word of a process to its end.
_LAST = 10.0

#: The C library would make a heap for each of a process's threads, and keep
#: in all of them what is free.
FEW_HEAPS = {'MALLOC_ARENA_MAX': '2'}


class Child:
    """A started process.

    The thread that starts it has to live as long as the process: Linux ends
    the process with that thread.

    :param module: what runs, such as ``openstack_rca.engine.worker``
    :param args: options of the configuration
    :param environment: variables that differ
    """

    def __init__(self, module: str, args: list[str],
                 environment: Mapping[str, str] | None = None) -> None:
        # One of our own modules, and the options of our own command line.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, '-m', module, *args], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, bufsize=0,
            env={**FEW_HEAPS, **os.environ, **(environment or {})})
        self._garbled = False
        self._rest = b''
        self._lines: list[bytes] = []

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message.

        :returns: whether it was taken; a process that ended takes none
        """
        assert self._process.stdin is not None
        line = json.dumps(message, separators=(',', ':')).encode() + b'\n'
        try:
            while line:
                sent = self._process.stdin.write(line)
                line = line[sent or 0:]
        except OSError:
            return False
        return True

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """Wait for a message.

        :param seconds: how long
        :returns: None where there was none in this time
        :raises EOFError: the process ended, or sent what is no message
        """
        end = time.monotonic() + seconds
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        while not self._lines:
            left = end - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                return None
            data = os.read(handle, 1 << 16)
            if not data:
                raise EOFError
            *lines, self._rest = (self._rest + data).split(b'\n')
            self._lines += lines
            if max(map(len, (self._rest, *lines))) > _MOST:
                self._garbled = True
                raise EOFError
        try:
            message = json.loads(self._lines.pop(0))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._garbled = True
            raise EOFError
        return message

    def memory(self) -> int:
        """Bytes of memory that it holds."""
        try:
            with open(f'/proc/{self.pid}/statm', encoding='ascii') as told:
                return int(told.read().split()[1]) * os.sysconf(
                    'SC_PAGE_SIZE')
        except (OSError, IndexError, ValueError):
            return 0

    def end(self, grace: float = 0.0) -> None:
        """End it, and wait until it is gone.

        :param grace: seconds in which it may end by itself, once it learns
            that no more messages come
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:
            LOG.debug('Process %s did not read its last message', self.pid)
        if grace:
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                LOG.debug('Process %s does not end by itself', self.pid)
        if self.alive():
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def ending(self) -> str:
        """How it ended, in words. It is ended where it did not.

        :returns: such as ``it was killed by signal 9``
        """
        if self._garbled:
            self.end()
            return 'what it said is no message'
        try:
            self._process.wait(_LAST)
        except subprocess.TimeoutExpired:
            self.end()
            return 'it said nothing any more, and was ended'
        code = self._process.returncode
        if code < 0:
            return (f'it was killed by signal {-code}'
                    + (' (the system may have run out of memory)'
                       if code == -9 else ''))
        return f'it ended with status {code}'
