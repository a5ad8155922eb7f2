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
"""A light L2 agent of one host: Neutron's agent RPC without Open vSwitch.

It looks at the interfaces that ``nova_virt.py`` plugs as the Open vSwitch
agent looks at br-int, and tells Neutron. Run by the services' virtual
environment: ``l2_agent.py --config-file FILE ...``.
"""

import contextlib
import os
import sys
import time
from typing import Any

from oslo_service import backend

# Before anything else imports it.
backend.init_backend(backend.BackendType.THREADING)

from neutron.agent import rpc as agent_rpc  # noqa: E402
from neutron.common import config as common_config  # noqa: E402
from neutron.conf import service as service_config  # noqa: E402
from neutron.conf.agent import common as agent_config  # noqa: E402
from neutron_lib import constants  # noqa: E402
from neutron_lib import context as neutron_context  # noqa: E402
from neutron_lib.agent import topics  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

LOG = logging.getLogger('rca_cloud.l2_agent')


class Agent:
    """The agent of one host.

    :param host: its name
    :param folder: of the interfaces that are plugged
    """

    def __init__(self, host: str, folder: str) -> None:
        self.host = host
        self.folder = folder
        self.agent_id = f'ovs-agent-{host}'
        self.address = f'127.0.1.{host[-1]}'
        self.plugin = agent_rpc.PluginApi(topics.PLUGIN)
        self.reports = agent_rpc.PluginReportStateAPI(topics.REPORTS)
        self.context = neutron_context.get_admin_context_without_session()
        # The inode and the time of each interface that is up.
        self.known: dict[str, tuple[int, int]] = {}
        self.retry: set[str] = set()
        self.reported = 0.0
        self.synced = False
        self.state: dict[str, Any] = {
            'binary': 'neutron-openvswitch-agent', 'host': host,
            'topic': constants.L2_AGENT_TOPIC,
            'agent_type': constants.AGENT_TYPE_OVS, 'start_flag': True,
            'configurations': {
                'bridge_mappings': {'physnet1': 'br-ex'},
                'tunnel_types': ['vxlan'], 'tunneling_ip': self.address,
                'l2_population': False, 'arp_responder_enabled': False,
                'enable_distributed_routing': False,
                'datapath_type': 'system',
                'ovs_capabilities': {
                    'datapath_types': ['system', 'netdev'],
                    'iface_types': ['vxlan']},
                'vhostuser_socket_dir': '/var/run/openvswitch',
                'ovs_hybrid_plug': False, 'in_distributed_mode': False,
                'log_agent_heartbeats': False, 'extensions': []}}

    def plugged(self) -> dict[str, tuple[int, int]]:
        """The interfaces that are plugged now."""
        found = {}
        for name in os.listdir(self.folder):
            with contextlib.suppress(OSError):
                status = os.stat(os.path.join(self.folder, name))
                found[name] = (status.st_ino, status.st_mtime_ns)
        return found

    def report(self) -> None:
        """Tell Neutron that it lives, every now and then."""
        now = time.monotonic()
        if now - self.reported < cfg.CONF.AGENT.report_interval:
            return
        self.reported = now
        self.state['configurations']['devices'] = len(self.known)
        try:
            self.reports.report_state(self.context, self.state,
                                      use_call=True)
            self.state.pop('start_flag', None)
            if not self.synced:
                self.plugin.tunnel_sync(self.context, self.address, 'vxlan',
                                        host=self.host)
                self.synced = True
        except Exception:
            LOG.exception('Failed reporting state!')

    def look(self) -> None:
        """Tell Neutron which interfaces came and went."""
        current = self.plugged()
        # One that was plugged again between two looks counts as new.
        up = {name for name in current
              if self.known.get(name) != current[name]}
        up |= self.retry & set(current)
        down = set(self.known) - set(current)
        if not up and not down:
            return
        details: dict[str, Any] = {'devices': [], 'failed_devices': []}
        if up:
            details = self.plugin.get_devices_details_list_and_failed_devices(
                self.context, list(up), self.agent_id, self.host)
        bound = [one['device'] for one in details['devices']
                 if 'port_id' in one]
        unbound = [one['device'] for one in details['devices']
                   if 'port_id' not in one]
        told = self.plugin.update_device_list(
            self.context, bound, list(down), self.agent_id, self.host)
        self.retry = (set(details['failed_devices'])
                      | set(told['failed_devices_up']) | set(unbound))
        self.known = {name: seen for name, seen in current.items()
                      if name not in self.retry}
        LOG.info('Devices up %s down %s retry %s', bound, list(down),
                 list(self.retry))

    def run(self) -> None:
        """Work until the process is ended."""
        LOG.info('Agent started on host %s', self.host)
        while True:
            try:
                self.report()
                self.look()
            except Exception:
                LOG.exception('Error while processing devices')
                self.retry |= set(self.plugged()) - set(self.known)
            time.sleep(1.0)


def main() -> None:
    """Run the agent of the host that the configuration names."""
    common_config.register_common_config_options()
    agent_config.register_agent_state_opts_helper(cfg.CONF)
    service_config.register_service_opts(service_config.RPC_EXTRA_OPTS)
    common_config.init(sys.argv[1:])
    common_config.setup_logging()
    folder = os.path.join(os.environ['RCA_CLOUD_VIFS'], cfg.CONF.host)
    os.makedirs(folder, exist_ok=True)
    Agent(cfg.CONF.host, folder).run()


if __name__ == '__main__':
    main()
