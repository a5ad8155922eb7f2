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
"""Faults of Nova and Placement."""

import os
import pathlib
import signal
import uuid

from tools.cloud import bootstrap
from tools.cloud import infra
from tools.cloud.scenarios import base


class ComputeKilled(base.Stopped):
    name = 'compute_killed'
    cause = ('nova-compute of cmp3, the only host of zone az2, was killed: '
             'servers for that zone wait, then find no host')
    truths = (base.Truth(('nova-compute',), ('process_down',),
                         ('nova', 'nova-scheduler', 'nova-conductor',
                          'nova-compute'), 'cmp3'),)
    parts = ('nova-compute-cmp3',)
    number = signal.SIGKILL
    lasts = 110.0

    def provoke(self) -> None:
        self.boot(zone='az2')


class ComputeFrozen(base.Frozen):
    name = 'compute_frozen'
    cause = ('nova-compute of cmp3, the only host of zone az2, hangs: calls '
             'to it time out, then it counts as down')
    truths = (base.Truth(('nova-compute',), ('hang', 'process_down'),
                         ('nova', 'nova-api', 'nova-scheduler',
                          'nova-conductor', 'nova-compute'), 'cmp3'),)
    parts = ('nova-compute-cmp3',)
    lasts = 110.0

    def provoke(self) -> None:
        self.boot(zone='az2')


class ConductorStopped(base.Stopped):
    name = 'conductor_stopped'
    cause = ('nova-conductor was stopped: compute hosts cannot write what '
             'happens, and no server is built')
    truths = (base.Truth(('nova-conductor',), ('process_down', 'hang'),
                         ('nova', 'nova-compute', 'nova-api')),)
    parts = ('nova-conductor',)
    lasts = 90.0


class ConductorFrozen(base.Frozen):
    name = 'conductor_frozen'
    cause = ('nova-conductor hangs: its queue has a consumer that does not '
             'answer, and calls of compute hosts time out')
    truths = (base.Truth(('nova-conductor',), ('hang', 'process_down'),
                         ('nova', 'nova-compute', 'nova-api')),)
    parts = ('nova-conductor',)
    lasts = 90.0


class SchedulerStopped(base.Stopped):
    name = 'scheduler_stopped'
    cause = ('nova-scheduler was stopped: nova-conductor waits for hosts and '
             'times out')
    truths = (base.Truth(('nova-scheduler',), ('process_down', 'hang'),
                         ('nova', 'nova-conductor')),)
    parts = ('nova-scheduler',)
    lasts = 90.0


class SchedulerFrozen(base.Frozen):
    name = 'scheduler_frozen'
    cause = ('nova-scheduler hangs: its queue has a consumer that does not '
             'answer, and nova-conductor times out')
    truths = (base.Truth(('nova-scheduler',), ('hang', 'process_down'),
                         ('nova', 'nova-conductor')),)
    parts = ('nova-scheduler',)
    lasts = 90.0


class NovaAPIStopped(base.Stopped):
    name = 'nova_api_stopped'
    cause = ("Nova's API was stopped: Neutron cannot tell it what becomes of "
             'the ports of servers')
    truths = (base.Truth(('nova-api',), ('process_down', 'connectivity'),
                         ('neutron', 'neutron-api', 'neutron-rpc-server',
                          'cinder', 'nova')),)
    parts = ('nova-api',)

    def learn(self) -> None:
        super().learn()
        self._port = self.tenant('demo').network.create_port(
            network_id=self.network('demo'), name=f'{base.PREFIX}port',
            device_id=str(uuid.UUID(int=self.random.getrandbits(128))),
            device_owner='compute:az1')

    def provoke(self) -> None:
        # Neutron tells Nova of what changes at a port of a server; who asks
        # nova-api itself gets no answer that anybody logs.
        self.tenant('demo').network.update_port(
            self._port, name=f'{base.PREFIX}{self.random.randrange(99999)}')


class PlacementStopped(base.Stopped):
    name = 'placement_stopped'
    cause = ('Placement was stopped: nova-scheduler and the compute hosts '
             'get connection refused')
    truths = (base.Truth(('placement',), ('process_down', 'connectivity'),
                         ('nova', 'nova-scheduler', 'nova-compute',
                          'nova-conductor')),)
    parts = ('placement-api',)
    lasts = 70.0


class PlacementFrozen(base.Frozen):
    name = 'placement_frozen'
    cause = ('Placement hangs: nova-scheduler waits for its answer, and '
             'nova-conductor for that of nova-scheduler')
    truths = (base.Truth(('placement',), ('hang', 'process_down'),
                         ('nova', 'nova-scheduler', 'nova-compute',
                          'nova-conductor', 'placement')),)
    parts = ('placement-api',)
    lasts = 100.0


class DiskFull(base.Scenario):
    name = 'disk_full'
    cause = ('the file system of the images of cmp1 is full: none can be '
             'fetched there, and no server is built')
    truths = (base.Truth(('disk', 'nova-compute'), ('storage', 'capacity'),
                         ('nova', 'nova-compute', 'nova-conductor'), 'cmp1'),)
    recovers = 'there is room again'

    @property
    def _images(self) -> pathlib.Path:
        return self.cloud.layout.data / 'nova' / 'cmp1' / 'instances' / '_base'

    def inject(self) -> None:
        # A small file system over the folder, which only root may mount.
        self._images.mkdir(exist_ok=True)
        infra.run([infra.program('mount'), '-t', 'tmpfs', '-o', 'size=64k',
                   'tmpfs', str(self._images)], dict(os.environ),
                  self.cloud.layout)

    def provoke(self) -> None:
        self.boot(project='admin', zone='az1:cmp1')

    def clear(self) -> None:
        if self._images.is_mount():
            # At once: somebody may just have a file of it open.
            infra.run([infra.program('umount'), '--lazy', str(self._images)],
                      dict(os.environ), self.cloud.layout)


class NoValidHost(base.Scenario):
    name = 'no_valid_host'
    cause = ('servers are asked for that are larger than any compute host: '
             'Placement has no candidate')
    truths = (base.Truth(('compute-capacity',), ('capacity',),
                         ('nova', 'nova-conductor', 'nova-scheduler',
                          'placement')),)
    recovers = 'nobody asks for them any more'
    sign = r'(?i)No valid host|allocation candidate'
    every = 7.0

    def inject(self) -> None:
        self.provoke()

    def provoke(self) -> None:
        self.boot('m1.giant')

    def clear(self) -> None:
        """The last server was asked for."""


class QuotaExceeded(base.Scenario):
    name = 'quota_exceeded'
    cause = ('the quota of project demo was set to one server: it is '
             'refused more')
    truths = (base.Truth(('nova-api',), ('quota',), ('nova', 'nova-api')),)
    recovers = 'the quota is set to what it was'
    sign = r'(?i)quota exceeded'
    every = 6.0

    def _project(self) -> str:
        return str(self.admin.identity.find_project('demo').id)

    def inject(self) -> None:
        bootstrap.quota(self.admin, self._project(), 1)

    def provoke(self) -> None:
        self.boot('m1.small', project='demo')

    def clear(self) -> None:
        bootstrap.quota(self.admin, self._project())
