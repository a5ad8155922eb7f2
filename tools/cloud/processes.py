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
"""Processes that outlive the command that started them, by id."""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
import pathlib
import signal
import subprocess
import time

from openstack_rca.tests.functional.servers import base
from tools.cloud import layout


class Process:
    """One process and its children.

    Its id and the time of its start stand in a file, so that a later command
    finds it and never takes another process of the same id for it.

    :param name: its name
    :param file: where its id is kept
    :param output: where what it prints goes
    """

    def __init__(self, name: str, file: pathlib.Path, output: pathlib.Path
                 ) -> None:
        self.name = name
        self._file = file
        self._output = output

    @property
    def pid(self) -> int | None:
        """Its id; None: it does not run."""
        try:
            pid, since = self._file.read_text().split()
            number = int(pid)
        except (OSError, ValueError):
            return None
        return number if base.lives(number, since) else None

    def start(self, command: Sequence[str], environment: Mapping[str, str],
              folder: pathlib.Path) -> None:
        """Start it; no change when it runs.

        :param command: its command line
        :param environment: the whole of its environment
        :param folder: where it is started
        """
        if self.pid is not None:
            return
        with self._output.open('ab') as output:
            # A session of its own: Ctrl-C ends the command, not the cloud.
            started = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, env=dict(environment), cwd=folder,
                start_new_session=True)
        with contextlib.suppress(base.ServerError):
            self._file.write_text(
                f'{started.pid} {base.started(started.pid)}\n')

    def stop(self, number: signal.Signals = signal.SIGTERM,
             patience: float = 20.0) -> None:
        """End it and its children, and wait for their end.

        :param number: how it is asked
        :param patience: seconds after which it is killed
        """
        pid = self.pid
        if pid is None:
            self._file.unlink(missing_ok=True)
            return
        family = self._family(pid)
        # A frozen process would not hear of it.
        _signal(family, signal.SIGCONT)
        _signal(family if number == signal.SIGKILL else family[:1], number)
        if not _ended(family, patience):
            _signal(family, signal.SIGKILL)
            _ended(family, patience)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        self._file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it and its children, as the kernel does without memory."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hang: it keeps its ports and does nothing.

        :raises layout.CloudError: when it does not run
        """
        self._all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on.

        :raises layout.CloudError: when it does not run
        """
        self._all(signal.SIGCONT)

    def memory(self) -> int:
        """How much memory it and its children take, in bytes."""
        pid = self.pid
        pages = 0
        for number, _ in self._family(pid) if pid is not None else ():
            with contextlib.suppress(OSError, ValueError):
                pages += int(pathlib.Path(f'/proc/{number}/statm').read_text(
                    ).split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE')

    def tail(self, lines: int = 15) -> str:
        """The end of what it printed.

        :param lines: how many
        """
        try:
            text = self._output.read_text(errors='replace')
        except OSError:
            return ''
        return '\n'.join(text.splitlines()[-lines:])

    def _all(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            raise layout.CloudError(f'{self.name} does not run.')
        _signal(self._family(pid), number)

    def _family(self, pid: int) -> list[tuple[int, str]]:
        """It and its descendants, with the time when each started."""
        try:
            return [(pid, base.started(pid)),
                    *sorted(base.descendants(pid))]
        except base.ServerError:
            return []


def _signal(family: Sequence[tuple[int, str]], number: signal.Signals
            ) -> None:
    for pid, since in family:
        if base.lives(pid, since):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _ended(family: Sequence[tuple[int, str]], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(base.lives(*one) for one in family):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
