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
"""No fault at all, and several at once."""

from collections.abc import Callable
import time
from typing import ClassVar

from tools.cloud import cloud as clouds
from tools.cloud import layout
from tools.cloud.scenarios import base
from tools.cloud.scenarios import image
from tools.cloud.scenarios import network
from tools.cloud.scenarios import volume


class _Normal(base.Scenario):
    """Nothing is wrong, and no incident is right."""

    recovers = 'nothing has to'

    def inject(self) -> None:
        """Nothing is wrong."""

    def clear(self) -> None:
        """Nothing was wrong."""


class Quiet(_Normal):
    name = 'quiet'
    cause = 'nothing is wrong: users work, and make their mistakes'
    lasts = 300.0

    def keep_on(self, ended: Callable[[], bool]) -> None:
        while not ended():
            time.sleep(0.2)


class DeletedWhileBuilt(_Normal):
    """Nova tells of errors of these builds."""

    name = 'deleted_while_built'
    cause = ('nothing is wrong: users change their minds, and delete servers '
             'that are still built')
    lasts = 90.0
    every = 4.0

    def provoke(self) -> None:
        project = self.random.choice(list(layout.TENANTS))
        server = self.boot(project=project)
        time.sleep(self.random.uniform(0.2, 4.0))
        self.tenant(project).compute.delete_server(server)


class _Overlap(base.Scenario):
    """Several faults, one after the other, none ended before all are there.

    :cvar faults: the scenarios
    :cvar apart: seconds between two injections
    """

    faults: ClassVar[tuple[type[base.Scenario], ...]] = ()
    apart: ClassVar[float] = 20.0
    recovers = 'both are ended'
    lasts = 100.0

    def __init__(self, cloud: clouds.Cloud, seed: int = 1) -> None:
        super().__init__(cloud, seed)
        self._made = [fault(cloud, seed + number)
                      for number, fault in enumerate(self.faults)]
        self._turn = 0

    def inject(self) -> None:
        for number, fault in enumerate(self._made):
            if number:
                self._made[0].provoke()
                time.sleep(self.apart)
            self.notes.append(f'{fault.name} at {base.now()}')
            fault.inject()

    def provoke(self) -> None:
        fault = self._made[self._turn % len(self._made)]
        self._turn += 1
        fault.provoke()

    def clear(self) -> None:
        for fault in self._made:
            fault.clear()
            self.requests += fault.requests
            self.instances += fault.instances
            self.notes += fault.notes


class VolumeAndImage(_Overlap):
    name = 'overlap_volume_image'
    cause = 'cinder-volume was killed, then glance-api was stopped'
    faults = (volume.VolumeKilled, image.GlanceStopped)
    truths = volume.VolumeKilled.truths + image.GlanceStopped.truths


class AgentsAndVolume(_Overlap):
    name = 'overlap_agents_volume'
    cause = ('the L2 agents were killed, then the folder of the volumes was '
             'gone')
    faults = (network.L2AgentsKilled, volume.StorageGone)
    truths = network.L2AgentsKilled.truths + volume.StorageGone.truths


class SchedulerAndImage(_Overlap):
    name = 'overlap_scheduler_image'
    cause = 'cinder-scheduler was stopped, then an image was damaged'
    faults = (volume.VolumeSchedulerStopped, image.ImageDamaged)
    truths = (volume.VolumeSchedulerStopped.truths
              + image.ImageDamaged.truths)
