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

from collections.abc import Callable
from concurrent import futures
import itertools
from typing import Any

import requests

from tools.cloud import bootstrap
from tools.cloud import config
from tools.cloud import layout
from tools.cloud.scenarios import base

_ALL = ('keystone', 'nova', 'neutron', 'cinder', 'glance', 'placement')


# Tokens that no service has seen, and what is asked for with them.
_TOKENS = 16
_LISTS = (('compute', '/servers'), ('block-storage', '/volumes'),
          ('network', '/v2.0/networks'), ('image', '/v2/images'))


class _Keystone(base.Scenario):
    """Users logged in just before: services have to ask about their tokens.

    What the others use is in the caches of the services, for minutes.
    """

    def learn(self) -> None:
        super().learn()
        self._urls = [self.admin.endpoint_for(service) + path
                      for service, path in _LISTS]
        projects = itertools.islice(itertools.cycle(layout.TENANTS), _TOKENS)
        self._tokens = [
            bootstrap.connect(self.cloud.layout, project).authorize()
            for project in projects]

    def provoke(self) -> None:
        if self._tokens:
            answer = requests.get(
                self.random.choice(self._urls), timeout=60,
                headers={'X-Auth-Token': self._tokens.pop()})
            self.requests.append(
                answer.headers.get('x-openstack-request-id', ''))


class KeystoneStopped(_Keystone, base.Stopped):
    name = 'keystone_stopped'
    cause = ('Keystone was stopped: tokens are neither made nor checked, '
             'services that need one get connection refused')
    truths = (base.Truth(('keystone',), ('process_down', 'connectivity',
                                         'authentication'), _ALL),)
    parts = ('keystone',)
    lasts = 90.0


class KeystoneFrozen(_Keystone, base.Frozen):
    name = 'keystone_frozen'
    cause = ('Keystone hangs: requests to make or check a token get no '
             'answer; what has cached tokens goes on')
    truths = (base.Truth(('keystone',), ('hang', 'connectivity',
                                         'authentication'), _ALL),)
    parts = ('keystone',)
    lasts = 100.0


class TokenKeysGone(base.FolderGone, _Keystone):
    name = 'token_keys_gone'
    cause = ('the folder of the keys of tokens is gone from under Keystone: '
             'it can neither make a token nor read one')
    truths = (base.Truth(('keystone',), ('configuration', 'authentication',
                                         'storage'), _ALL),)
    folder = ('keystone', 'fernet')
    lasts = 90.0


class PermissionDenied(base.Scenario):
    name = 'permission_denied'
    cause = ('a program of project demo asks many times a minute for what '
             'only administrators may see: it is refused by policy')
    truths = (base.Truth(
        ('client', 'nova-api', 'keystone', 'cinder-api', 'neutron-server'),
        ('permission',), ('nova', 'nova-api', 'keystone', 'cinder-api',
                          'cinder', 'neutron', 'neutron-server')),)
    recovers = 'it asks no longer'
    sign = r' 403 |[Pp]olicy'
    every = 0.7

    def inject(self) -> None:
        self.provoke()

    def provoke(self) -> None:
        connection = self.tenant('demo')
        ask: Callable[[], Any] = self.random.choice((
            lambda: connection.compute.get('/os-services'),
            lambda: connection.compute.get('/os-hypervisors'),
            lambda: connection.compute.get('/os-aggregates'),
            lambda: connection.identity.get('/users'),
            lambda: connection.identity.post(
                '/projects', json={'project': {'name': 'x'}}),
            lambda: connection.block_storage.get('/os-services'),
            lambda: connection.network.post('/v2.0/networks', json={
                'network': {'name': 'x', 'shared': True}})))
        self.requests.append(ask().headers.get('x-openstack-request-id', ''))

    def clear(self) -> None:
        """It asked for the last time."""


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
