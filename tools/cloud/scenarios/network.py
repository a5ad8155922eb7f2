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
"""Faults of Neutron and its agents."""

import signal

from tools.cloud import layout
from tools.cloud.scenarios import base


class NeutronStopped(base.Stopped):
    name = 'neutron_stopped'
    cause = ('the API of Neutron was stopped: servers get no network, '
             'connection refused')
    truths = (base.Truth(('neutron-server',),
                         ('process_down', 'connectivity'),
                         ('nova', 'nova-api', 'nova-compute', 'neutron')),)
    parts = ('neutron-api',)
    lasts = 70.0


class NeutronFrozen(base.Frozen):
    name = 'neutron_frozen'
    cause = ('the API of Neutron hangs: who makes or shows a server waits '
             'for it')
    truths = (base.Truth(('neutron-server',), ('hang', 'process_down'),
                         ('nova', 'nova-api', 'nova-compute', 'neutron')),)
    parts = ('neutron-api',)
    lasts = 100.0


class NeutronRPCFrozen(base.Frozen):
    name = 'neutron_rpc_frozen'
    cause = ('neutron-rpc-server hangs: agents can neither report nor set '
             'ports up, and servers wait for their interfaces')
    truths = (base.Truth(('neutron-rpc-server',),
                         ('hang', 'process_down', 'messaging'),
                         ('neutron', 'neutron-l2-agent', 'nova',
                          'nova-compute')),)
    parts = ('neutron-rpc-server',)
    lasts = 90.0


class L2AgentsKilled(base.Stopped):
    name = 'l2_agents_killed'
    cause = ('the L2 agents of all hosts were killed: ports do not come up, '
             'servers wait for their interfaces in vain')
    truths = (base.Truth(('neutron-l2-agent',), ('process_down', 'network'),
                         ('nova', 'nova-compute', 'neutron')),)
    parts = tuple(f'neutron-l2-agent-{host}' for host in layout.HOSTS)
    number = signal.SIGKILL
    lasts = 90.0


class BindingFailed(base.Scenario):
    name = 'binding_failed'
    cause = ('a network lies on physnet2, for which no agent has a bridge: '
             'its ports cannot be bound')
    truths = (base.Truth(('neutron-l2-agent', 'neutron-server'),
                         ('network', 'configuration'),
                         ('neutron', 'nova', 'nova-compute')),)
    recovers = 'the network is deleted'
    sign = r'(?i) (?:ERROR|WARNING) .*(?:binding|bind port)'
    _network = ''

    def inject(self) -> None:
        network = self.admin.network
        made = network.find_network(f'{base.PREFIX}physnet2')
        if made is None:
            made = network.create_network(
                name=f'{base.PREFIX}physnet2', is_shared=True,
                provider_network_type='flat',
                provider_physical_network='physnet2')
            network.create_subnet(
                network_id=made.id, ip_version=4, cidr='198.18.0.0/20',
                enable_dhcp=False)
        self._network = made.id

    def provoke(self) -> None:
        self.boot(network=self._network)

    def clear(self) -> None:
        self.tidy()
