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
"""Faults of Keystone, and of who logs in."""

from concurrent import futures

from tools.cloud import config
from tools.cloud import layout
from tools.cloud.scenarios import base

_ALL = ('keystone', 'nova', 'neutron', 'cinder', 'glance', 'placement')


class KeystoneStopped(base.Stopped):
    name = 'keystone_stopped'
    cause = ('Keystone was stopped: tokens are neither made nor checked, '
             'services that need one get connection refused')
    truths = (base.Truth(('keystone',), ('process_down', 'connectivity',
                                         'authentication'), _ALL),)
    parts = ('keystone',)
    # Until tokens that the services have cached are not enough.
    lasts = 90.0


class KeystoneFrozen(base.Frozen):
    name = 'keystone_frozen'
    cause = ('Keystone hangs: requests to make or check a token get no '
             'answer; what has cached tokens goes on')
    truths = (base.Truth(('keystone',), ('hang', 'connectivity',
                                         'authentication'), _ALL),)
    parts = ('keystone',)
    lasts = 100.0


class WrongPassword(base.Scenario):
    name = 'wrong_password'
    cause = ('the compute hosts were given a wrong password for Neutron: '
             'Keystone refuses it, and no server gets its network')
    truths = (base.Truth(
        ('nova-compute', 'keystone'), ('authentication', 'configuration'),
        ('nova', 'nova-compute', 'keystone')),)
    recovers = 'the password is set right, the hosts are started again'
    # Until the hosts have come up again.
    lasts = 100.0

    def _restart(self, password: str | None) -> None:
        where = self.cloud.layout
        config.nova(where, config.common(where), password)
        hosts = [self.cloud[f'nova-compute-{host}'] for host in layout.HOSTS]
        with futures.ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(lambda one: one.stop(), hosts))
        for one in hosts:
            one.start()

    def inject(self) -> None:
        self._restart('not-the-password')

    def clear(self) -> None:
        self._restart(None)
