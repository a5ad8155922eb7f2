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
"""Faults of Cinder and of its storage."""

import signal

from tools.cloud import layout
from tools.cloud.scenarios import base


class _Volumes(base.Scenario):
    """What volumes show."""

    def provoke(self) -> None:
        connection = self.tenant(self.random.choice(list(layout.TENANTS)))
        answer = connection.block_storage.post('/volumes', json={'volume': {
            'size': 1,
            'name': f'{base.PREFIX}{self.random.randrange(99999)}'}})
        self.requests.append(answer.headers['x-openstack-request-id'])


class VolumeKilled(base.Stopped, _Volumes):
    name = 'volume_killed'
    cause = ('cinder-volume was killed: volumes stay in creating, then the '
             'scheduler finds no backend')
    truths = (base.Truth(('cinder-volume',), ('process_down', 'storage'),
                         ('cinder', 'cinder-scheduler', 'cinder-api')),)
    parts = ('cinder-volume',)
    number = signal.SIGKILL
    lasts = 100.0


class VolumeFrozen(base.Frozen, _Volumes):
    name = 'volume_frozen'
    cause = ('cinder-volume hangs: calls of cinder-api to it time out, then '
             'the scheduler finds no backend')
    truths = (base.Truth(('cinder-volume',), ('hang', 'process_down',
                                              'storage'),
                         ('cinder', 'cinder-scheduler', 'cinder-api',
                          'nova', 'nova-compute')),)
    parts = ('cinder-volume',)
    lasts = 100.0


class VolumeAPIStopped(base.Stopped):
    name = 'volume_api_stopped'
    cause = ('cinder-api was stopped: Nova gets connection refused for '
             'volumes of servers')
    truths = (base.Truth(('cinder-api',), ('process_down', 'connectivity'),
                         ('cinder', 'nova', 'nova-api', 'nova-compute')),)
    parts = ('cinder-api',)
    lasts = 90.0
    _volume = ''

    def learn(self) -> None:
        super().learn()
        self._volume = self.tenant('demo').block_storage.create_volume(
            size=1, name=f'{base.PREFIX}root').id

    def provoke(self) -> None:
        # Who asks cinder-api itself gets no answer that anybody logs.
        self.boot(project='demo', volume=self._volume)


class VolumeSchedulerStopped(base.Stopped, _Volumes):
    name = 'volume_scheduler_stopped'
    cause = ('cinder-scheduler was stopped: volumes stay in creating, and '
             'nothing says why')
    truths = (base.Truth(('cinder-scheduler',), ('process_down', 'hang'),
                         ('cinder', 'cinder-api', 'nova')),)
    parts = ('cinder-scheduler',)
    lasts = 90.0


class StorageGone(base.FolderGone, _Volumes):
    name = 'storage_gone'
    cause = ('the folder of the volumes is gone from under cinder-volume, '
             'as a file system that is not mounted: No such file')
    truths = (base.Truth(('storage', 'cinder-volume', 'disk'),
                         ('storage', 'configuration'),
                         ('cinder', 'cinder-volume')),)
    folder = ('cinder', 'volumes')
