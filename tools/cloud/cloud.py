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
"""A whole cloud: its parts, brought up and down."""

from concurrent import futures
import logging
import time

from openstack import exceptions
import requests

from tools.cloud import bootstrap
from tools.cloud import config
from tools.cloud import install
from tools.cloud import layout
from tools.cloud import services
from tools.cloud import unit

LOG = logging.getLogger(__name__)


class Cloud:
    """The parts of one cloud.

    :param where: its layout
    :ivar units: all parts, by name
    """

    def __init__(self, where: layout.Layout) -> None:
        self.layout = where
        self.servers = services.servers(where)
        self.services = services.openstack(where)
        self.units: dict[str, unit.Unit] = {**self.servers, **self.services}

    def __getitem__(self, name: str) -> unit.Unit:
        """A part.

        :param name: of the part
        :raises layout.CloudError: when it has none of that name
        """
        if name not in self.units:
            raise layout.CloudError(
                f'There is no part {name}; there are '
                f'{", ".join(self.units)}.')
        return self.units[name]

    def up(self, debug: bool = False) -> None:
        """Start everything, and set it up when it is new.

        :param debug: whether services log at DEBUG
        :raises layout.CloudError: when something does not come up
        """
        install.drivers(self.layout)
        config.write(self.layout, debug)
        for one in self.servers.values():
            LOG.info('Starting %s', one.name)
            one.start()
        # Its last step; what was not finished is done again.
        built = self.layout.data / 'built'
        new = not built.exists()
        if new:
            LOG.info('Making the tables of six services')
            bootstrap.schemas(self.layout)
            self['listener'].start()
            self['keystone'].start()
            LOG.info('Making users and the catalog')
            bootstrap.identity(self.layout)
        LOG.info('Starting %s', ', '.join(self.services))
        for one in self.services.values():
            one.start(wait=False)
        for one in self.services.values():
            one.wait()
        if new:
            LOG.info('Making flavors, networks and zones')
            self._wait_for_hosts()
            bootstrap.discover(self.layout)
            bootstrap.resources(self.layout)
            built.write_text('')
        LOG.info('Waiting until all services say that they are up')
        self.wait_healthy()

    def down(self) -> None:
        """Stop everything, servers last."""
        with futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(one.stop)
                         for one in self.services.values()]:
                done.result()
        for one in reversed(self.servers.values()):
            one.stop()

    def _wait_for_hosts(self) -> None:
        admin = bootstrap.connect(self.layout)

        def registered() -> bool:
            told = admin.compute.get('/os-services?binary=nova-compute')
            hosts = {one['host'] for one in told.json().get('services', ())}
            # A host is there for Placement a moment after its service.
            there = {one['name'] for one in admin.placement.get(
                '/resource_providers').json().get('resource_providers', ())}
            return hosts >= set(layout.HOSTS) and there >= set(layout.HOSTS)

        if not unit.wait_for(registered, unit.PATIENCE):
            raise layout.CloudError(
                'The compute hosts have not come up; their logs '
                f'nova-compute-*.log are in {self.layout.logs}.')

    def ailing(self) -> list[str]:
        """What does not say that it is up, by asking the APIs."""
        admin = bootstrap.connect(self.layout, timeout=20)
        try:
            found = [f'{one.binary} on {one.host}'
                     for one in admin.compute.services()
                     if one.state != 'up']
            agents = list(admin.network.agents())
            found += [f'{one.binary} on {one.host}' for one in agents
                      if not one.is_alive]
            volumes = list(admin.block_storage.services())
            found += [f'{one.binary} on {one.host}' for one in volumes
                      if one.state != 'up']
            if len(agents) < len(layout.HOSTS) or len(volumes) < 2:
                found.append('agents or volume services that have not '
                             'come yet')
            list(admin.image.images(limit=1))
        except (exceptions.SDKException, requests.RequestException,
                OSError) as error:
            return [f'{type(error).__name__}: {error}'[:300]]
        except Exception as error:
            # keystoneauth's own: there is no common class to name.
            return [f'{type(error).__name__}: {error}'[:300]]
        finally:
            admin.close()
        return found

    def wait_healthy(self, patience: float = unit.PATIENCE) -> None:
        """Wait until all services say that they are up.

        :param patience: for so many seconds
        :raises layout.CloudError: when they do not
        """
        deadline = time.monotonic() + patience
        while ailing := self.ailing():
            if time.monotonic() > deadline:
                raise layout.CloudError(
                    f'Not up after {patience:.0f} seconds: '
                    f'{"; ".join(ailing)}. The logs are in '
                    f'{self.layout.logs}.')
            time.sleep(2)
