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
"""A part of the cloud that can be started, stopped, killed and frozen."""

import abc
from collections.abc import Callable
import contextlib
import http.client
import os
import signal
import socket
import time

from tools.cloud import layout
from tools.cloud import processes

# Seconds. Two cores that load six APIs at once are slow.
PATIENCE = 240


class Unit(abc.ABC):
    """One part: a server, an API, an agent.

    :param cloud: whose part it is
    :cvar name: as in the logs, the commands and the scenarios
    """

    def __init__(self, cloud: layout.Layout, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self.process = processes.Process(
            name, cloud.run / f'{name}.pid', cloud.output / f'{name}.txt')

    @abc.abstractmethod
    def command(self) -> list[str]:
        """Its command line; it stays in the foreground."""

    def environment(self) -> dict[str, str]:
        """Its whole environment: nothing of the caller's options."""
        return {'HOME': str(self.cloud.run), 'LANG': 'C.UTF-8', 'TZ': 'UTC',
                'PYTHONWARNINGS': 'ignore',
                'PATH': os.pathsep.join((
                    os.environ.get('PATH', os.defpath), '/usr/sbin',
                    '/sbin'))}

    def prepare(self) -> None:
        """What has to be there before each start; nothing by default."""

    def ready(self) -> bool:
        """Whether it answers; a process without a port runs, no more."""
        return self.running

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process.pid is not None

    def start(self, wait: bool = True) -> None:
        """Start it; no change when it runs.

        :param wait: until it answers
        :raises layout.CloudError: when it does not come up
        """
        if not self.running:
            self.prepare()
            self.process.start(self.command(), self.environment(),
                               self.cloud.run)
        if wait:
            self.wait()

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until it answers.

        :param patience: for so many seconds
        :raises layout.CloudError: when it does not
        """
        def ended() -> bool:
            return not self.running

        if not wait_for(self.ready, patience, ended):
            reason = ('it ended' if ended() else
                      f'no answer after {patience:.0f} seconds')
            raise layout.CloudError(
                f'{self.name} does not start: {reason}. What it printed last '
                f'({self.cloud.output}/{self.name}.txt):\n'
                f'{self.process.tail()}\nIts log, if it came so far, is in '
                f'{self.cloud.logs}.')

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it in good order, and wait for its end.

        :param number: how it is asked
        """
        self.process.stop(number)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()

    def freeze(self) -> None:
        """Let it hang."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self.process.thaw()


def wait_for(true: Callable[[], bool], patience: float,
             give_up: Callable[[], bool] | None = None) -> bool:
    """Wait until something is true.

    :param true: what is asked
    :param patience: for so many seconds
    :param give_up: ends the waiting when it says so
    :returns: whether it became true
    """
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline or (give_up is not None
                                           and give_up()):
            return False
        time.sleep(0.2)
    return True


def greets(port: int, length: int, question: bytes = b'') -> bytes:
    """What a port says first.

    :param port: of 127.0.0.1
    :param length: how many bytes of it
    :param question: what it is asked; nothing, when it greets
    :returns: less than that when there is no more, or no server
    """
    answer = b''
    with contextlib.suppress(OSError), socket.create_connection(
            ('127.0.0.1', port), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(question)
        while len(answer) < length:
            more = connection.recv(length - len(answer))
            if not more:
                break
            answer += more
    return answer


def serves(port: int) -> bool:
    """Whether a port answers HTTP requests, whatever it says.

    :param port: of 127.0.0.1
    """
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
    try:
        connection.request('GET', '/')
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
