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
"""What every scenario has: a fault, its end, and the truth about it."""

import abc
from collections.abc import Callable
import contextlib
import dataclasses
import datetime
import logging
import random
import re
import signal
import threading
import time
from typing import Any
from typing import ClassVar

from tools.cloud import bootstrap
from tools.cloud import cloud as clouds
from tools.cloud import layout
from tools.cloud import load

LOG = logging.getLogger(__name__)

LIBRARY: dict[str, type['Scenario']] = {}

# What a scenario makes itself.
PREFIX = 'flt-'


@dataclasses.dataclass(frozen=True)
class Truth:
    """What is wrong, as a report ought to say it.

    :ivar components: the faulty part; several where each of them is right
    :ivar categories: of the cause; several where each of them is right
    :ivar services: services or binaries, one of which a report has to cite
    :ivar host: where one host is meant
    """

    components: tuple[str, ...]
    categories: tuple[str, ...]
    services: tuple[str, ...]
    host: str | None = None


class Scenario(abc.ABC):
    """One fault by real means.

    A contributor adds one with a class in a file of this package: ``name``
    puts it into the library, :meth:`inject` and :meth:`clear` make the fault
    and end it, and the load goes on all the while.

    :cvar name: by which it is asked for; empty: it is a base of others
    :cvar cause: what is wrong, in words
    :cvar truths: one for each fault that is made
    :cvar recovers: what ends it
    :cvar lasts: seconds from the injection to the end
    :cvar sign: what the first line that tells of it looks like; by default
        any line of level ERROR or CRITICAL
    :cvar incidents: how many are right, at most
    :param cloud: where
    :param seed: of what is drawn
    """

    name: ClassVar[str] = ''
    cause: ClassVar[str] = ''
    truths: ClassVar[tuple[Truth, ...]] = ()
    recovers: ClassVar[str] = ''
    lasts: ClassVar[float] = 70.0
    sign: ClassVar[str] = r' (?:ERROR|CRITICAL) '
    # Seconds between two servers that the scenario itself asks for; none
    # where the load does what is needed.
    every: ClassVar[float] = 10.0

    def __init__(self, cloud: clouds.Cloud, seed: int = 1) -> None:
        self.cloud = cloud
        self.random = random.Random(seed)
        self.requests: list[str] = []
        self.instances: list[str] = []
        self.notes: list[str] = []
        self._admin = bootstrap.connect(cloud.layout)
        self._tenants = {project: bootstrap.connect(cloud.layout, project)
                         for project in layout.TENANTS}
        self._ids: dict[str, str] = {}
        self.learn()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__dict__.get('name'):
            LIBRARY[cls.name] = cls

    # -- what a scenario defines

    @abc.abstractmethod
    def inject(self) -> None:
        """Make the fault."""

    @abc.abstractmethod
    def clear(self) -> None:
        """End it; also called when :meth:`inject` failed half way."""

    def provoke(self) -> None:
        """Ask for what the fault spoils, once; by default a server."""
        self.boot()

    # -- what it is given

    @property
    def admin(self) -> Any:
        """The admin's connection, which logged in before the fault."""
        return self._admin

    def learn(self) -> None:
        """Look up what is needed, while everything works."""
        for project, connection in self._tenants.items():
            self._ids[f'net-{project}'] = connection.network.find_network(
                f'net-{project}', ignore_missing=False).id
            connection.compute.get('/limits')
        self._ids[bootstrap.IMAGE] = self.admin.image.find_image(
            bootstrap.IMAGE, ignore_missing=False).id
        for flavor in self.admin.compute.flavors():
            self._ids[flavor.name] = flavor.id

    def tenant(self, project: str) -> Any:
        """A tenant's connection.

        :param project: its project
        """
        return self._tenants[project]

    def network(self, project: str) -> str:
        """A tenant's own network.

        :param project: its project
        :returns: its id
        """
        return self._ids[f'net-{project}']

    def boot(self, flavor: str = 'm1.tiny', image: str | None = None,
             network: str | None = None, zone: str | None = None,
             project: str | None = None,
             volume: str | None = None) -> str | None:
        """Ask for a server, and do not wait for it.

        :param flavor: its name
        :param image: its id; by default that of everybody
        :param network: its id; by default that of the project
        :param zone: its availability zone
        :param project: whose it is; by default one that is drawn
        :param volume: id of the volume that it starts from; by default it
            starts from its image
        :returns: its id; None where it was refused
        """
        project = project or self.random.choice(list(layout.TENANTS))
        connection = (self.admin if project == 'admin'
                      else self._tenants[project])
        body: dict[str, Any] = {
            'name': f'{PREFIX}{self.random.randrange(99999)}',
            'imageRef': image or self._ids[bootstrap.IMAGE],
            'flavorRef': self._ids[flavor],
            'networks': [{'uuid': network or self.network(
                project if project in layout.TENANTS else 'demo')}]}
        if zone:
            body['availability_zone'] = zone
        if volume:
            del body['imageRef']
            body['block_device_mapping_v2'] = [{
                'uuid': volume, 'source_type': 'volume',
                'destination_type': 'volume', 'boot_index': 0}]
        answer = connection.compute.post('/servers', json={'server': body})
        request = answer.headers.get('x-openstack-request-id')
        if request:
            self.requests.append(request)
        if not answer.ok:
            self.notes.append(f'{answer.status_code}: {answer.text[:200]}')
            return None
        server = str(answer.json()['server']['id'])
        self.instances.append(server)
        return server

    def keep_on(self, ended: Callable[[], bool]) -> None:
        """Provoke it again and again.

        :param ended: tells when that is enough
        """
        while not ended():
            # In a thread: with many a fault the call hangs.
            threading.Thread(target=self._try, daemon=True).start()
            pause = time.monotonic() + self.random.uniform(
                0.6, 1.4) * self.every
            while time.monotonic() < pause and not ended():
                time.sleep(0.2)

    def _try(self) -> None:
        try:
            self.provoke()
        except Exception as error:
            self.notes.append(f'{type(error).__name__}: {error}'[:200])

    def tidy(self) -> None:
        """Delete what it made, when everything works again."""
        load.clean(self.cloud.layout, PREFIX)

    # -- the truth

    @classmethod
    def told(cls) -> dict[str, Any]:
        """The truth, as it is written beside a recording."""
        return {
            'scenario': cls.name, 'cause': cls.cause,
            'recovers': cls.recovers,
            'faults': [dataclasses.asdict(truth) for truth in cls.truths],
            # As older recordings have it: of all faults together.
            'components': [name for truth in cls.truths
                           for name in truth.components],
            'categories': [name for truth in cls.truths
                           for name in truth.categories]}

    @classmethod
    def tells(cls, line: str) -> bool:
        """Whether a line of a log may be the first sign of it.

        :param line: the line
        """
        return re.search(cls.sign, line) is not None


# The servers below tell at once which connections have ended.
_ENDED = r' (?:ERROR|CRITICAL) |\[(?:warning|error|Warning|ERROR)\] '


class Stopped(Scenario):
    """Parts that are stopped, and started again.

    :cvar parts: their names
    :cvar number: the signal: SIGTERM, or SIGKILL
    """

    parts: ClassVar[tuple[str, ...]] = ()
    number: ClassVar[signal.Signals] = signal.SIGTERM
    sign = _ENDED
    recovers = 'it is started again'

    def inject(self) -> None:
        for name in self.parts:
            self.cloud[name].stop(self.number)

    def clear(self) -> None:
        for name in self.parts:
            self.cloud[name].start(wait=False)
        for name in self.parts:
            self.cloud[name].wait()


class Frozen(Scenario):
    """Parts that hang, and then go on.

    :cvar parts: their names
    """

    parts: ClassVar[tuple[str, ...]] = ()
    # Who asks again after a time limit warns of it first.
    sign = _ENDED + '| timed out'
    recovers = 'it goes on where it hung'

    def inject(self) -> None:
        for name in self.parts:
            self.cloud[name].freeze()

    def clear(self) -> None:
        for name in self.parts:
            with contextlib.suppress(layout.CloudError):
                self.cloud[name].thaw()


class FolderGone(Scenario):
    """A folder that is gone, as a file system that is not mounted.

    :cvar folder: its path, below the cloud's data
    """

    folder: ClassVar[tuple[str, ...]] = ()
    recovers = 'the folder is there again'

    def inject(self) -> None:
        folder = self.cloud.layout.data.joinpath(*self.folder)
        folder.rename(folder.with_name('unmounted'))

    def clear(self) -> None:
        folder = self.cloud.layout.data.joinpath(*self.folder)
        elsewhere = folder.with_name('unmounted')
        if elsewhere.exists():
            elsewhere.rename(folder)


def now() -> str:
    """The time, as logs and the service write it."""
    return datetime.datetime.now(datetime.UTC).isoformat()
