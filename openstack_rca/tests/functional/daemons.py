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
"""Daemons as systemd starts them, and programs that a test needs."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest

from openstack_rca.tests import base
from openstack_rca.tests.functional.servers import base as servers

ROOT = servers.ROOT

# Programs of the environment that runs the tests.
PROGRAMS = f'{pathlib.Path(sys.executable).parent}/'

# Seconds; a machine of CI that does five things at once is slow.
PATIENCE = 120

# What systemd does for our units, as far as a process can do it to itself:
# die with the parent, no new privileges and, where the kernel knows it (6.3
# or newer), no memory that is written and then run.
_WRAPPER = '''
import ctypes, os, sys
prctl = ctypes.CDLL(None).prctl
prctl(1, 9, 0, 0, 0)
prctl(38, 1, 0, 0, 0)
if sys.argv[1] == 'yes':
    prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[2], sys.argv[2:])
'''


def require_program(case: unittest.TestCase, name: str, package: str) -> str:
    """Find a program, or skip the test; in CI, fail it.

    :param case: the test
    :param name: the program
    :param package: the distribution package that has it, see bindep.txt
    :returns: its path
    """
    found = servers.find_program(name)
    if found is not None:
        return found
    reason = f'{name} is missing (package {package} of bindep.txt)'
    if servers.required():
        case.fail(reason)
    case.skipTest(reason)


def program(name: str) -> str:
    """A program of the environment that runs the tests."""
    return PROGRAMS + name


class Daemon:
    """A process that tells systemd when it is ready.

    :param case: the test, which ends it if need be
    :param command: the command line
    :param home: home of the process, where it finds its configuration
    :param no_write_execute: whether memory may not be written and run
    """

    def __init__(self, case: base.TestCase, command: list[str],
                 home: pathlib.Path, no_write_execute: bool = False) -> None:
        self._case = case
        self.log = case.tmp / f'{pathlib.Path(command[0]).name}.log'
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self._socket.close)
        address = case.tmp / 'notify'
        address.unlink(missing_ok=True)
        self._socket.bind(str(address))
        self.messages: list[str] = []
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-c', _WRAPPER,
                 'yes' if no_write_execute else 'no', *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, umask=0o077, cwd='/',
                env={'HOME': str(home), 'LANG': 'C.UTF-8',
                     'PATH': os.environ.get('PATH', os.defpath),
                     'NOTIFY_SOCKET': str(address)})
        case.addCleanup(self._end)

    def _end(self) -> None:
        # The group is a session of its own: nobody else is in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def said(self) -> str:
        """What it wrote to stdout and stderr."""
        return self.log.read_text(errors='replace')

    def _listen(self, seconds: float) -> None:
        self._socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            self.messages += self._socket.recv(65536).decode().splitlines()

    def wait_ready(self) -> None:
        """Wait until it says READY=1."""
        deadline = time.monotonic() + PATIENCE
        while 'READY=1' not in self.messages:
            if self.process.poll() is not None:
                self._case.fail(f'it ended: {self.said()}')
            if time.monotonic() > deadline:
                self._case.fail(f'it did not get ready: {self.said()}')
            self._listen(0.2)

    def wait_said(self, words: str, times: int = 1) -> None:
        """Wait until it wrote something.

        :param words: a part of it
        :param times: how often
        """
        deadline = time.monotonic() + PATIENCE
        while self.said().count(words) < times:
            if self.process.poll() is not None or (
                    time.monotonic() > deadline):
                self._case.fail(f'it did not say {words!r}: {self.said()}')
            time.sleep(0.1)

    def wait_end(self) -> int:
        """Wait for its end.

        :returns: the exit status
        """
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._case.fail(f'it does not end: {self.said()}')

    def stop(self) -> int:
        """Stop it as systemd does with KillMode=mixed.

        :returns: the exit status
        """
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def children(self) -> set[tuple[int, str]]:
        """The processes that it started, and theirs."""
        return servers.descendants(self.process.pid)
