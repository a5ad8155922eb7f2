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
"""The project's own API and engine, beside the cloud that they watch.

They run from the virtual environment of whoever runs this tool, on the
cloud's Keystone, MariaDB and RabbitMQ.
"""

import os
import pathlib
import sys
from typing import Any

from openstack import connection

from openstack_rca.sdk import service as sdk
from tools.cloud import bootstrap
from tools.cloud import config
from tools.cloud import infra
from tools.cloud import layout
from tools.cloud import services
from tools.cloud import unit

_BINARIES = pathlib.Path(sys.executable).parent

# Seconds without a symptom after which an incident is over. The default of
# ten minutes would make each check take as long.
RESOLVE_AFTER = 60


class API(services.API):
    """The API, under uWSGI."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'rca-api', 'openstack_rca.wsgi.api', 1, {
            'OS_RCA_CONFIG_FILES': str(cloud.product / 'rca.conf')})
        self.binaries = _BINARIES
        # The engine must not read what it causes.
        self.log = cloud.output / 'rca-api.uwsgi.log'


class Engine(unit.Unit):
    """The engine."""

    def __init__(self, cloud: layout.Layout) -> None:
        super().__init__(cloud, 'rca-engine')
        self._output = cloud.output / 'rca-engine.txt'
        self._since = 0

    def prepare(self) -> None:
        # What an earlier start said is no answer of this one.
        self._since = (self._output.stat().st_size
                       if self._output.exists() else 0)

    def command(self) -> list[str]:
        return [str(_BINARIES / 'openstack-rca-engine'), '--config-file',
                str(self.cloud.product / 'rca.conf')]

    def ready(self) -> bool:
        if not self._output.exists():
            return False
        with self._output.open('rb') as said:
            said.seek(self._since)
            return b'works with' in said.read()


class Product:
    """API and engine.

    :param cloud: which runs
    :param options: more of their options, by group
    """

    def __init__(self, cloud: layout.Layout,
                 options: config.Options | None = None) -> None:
        self._cloud = cloud
        self._options = options or {}
        self.api = API(cloud)
        self.engine = Engine(cloud)

    def up(self) -> None:
        """Start both, with a database that is up to date.

        :raises layout.CloudError: when one does not come up
        """
        self._configure()
        infra.run([str(_BINARIES / 'openstack-rca-manage'), '--config-file',
                   str(self._cloud.product / 'rca.conf'), 'db', 'sync'],
                  self.engine.environment(), self._cloud)
        self.api.start()
        self.engine.start()

    def down(self) -> None:
        """Stop both."""
        self.engine.stop()
        self.api.stop()

    def _configure(self) -> None:
        project = bootstrap.connect(self._cloud).identity.find_project(
            'admin', ignore_missing=False)
        options: config.Options = {
            'DEFAULT': {'state_path': self._cloud.product / 'state',
                        'host': 'rca', 'transport_url': self._cloud.bus},
            'database': {'connection': self._cloud.database('rca')},
            'keystone_authtoken': config.tokens(
                self._cloud, bootstrap.PRODUCT[0]),
            'sources': {'log_dirs': f'cloud:{self._cloud.logs}'},
            'metrics': {'port': self._cloud.ports['rca-metrics']},
            'notifications': {'enabled': True},
            'oslo_messaging_notifications': {
                'transport_url': self._cloud.bus},
            'incidents': {'project_id': project.id,
                          'resolve_after': RESOLVE_AFTER,
                          # Each scenario is to open its own.
                          'reopen_within': 0}}
        for group, values in self._options.items():
            options.setdefault(group, {}).update(values)
        config.save(self._cloud.product / 'rca.conf', options)


def connect(cloud: layout.Layout) -> Any:
    """The service's calls, as the admin.

    :param cloud: where
    :returns: the SDK's proxy
    """
    made: connection.Connection = bootstrap.connect(cloud, timeout=10)
    made.add_service(sdk.RootCauseAnalysisService())
    return made.root_cause_analysis


def environment(cloud: layout.Layout) -> dict[str, str]:
    """What the ``openstack`` command wants in its environment.

    :param cloud: where
    """
    return {**os.environ, 'OS_CLIENT_CONFIG_FILE': str(cloud.clouds),
            'OS_CLOUD': 'admin'}
