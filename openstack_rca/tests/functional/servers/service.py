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
"""The service itself: its API under uWSGI, and its engines, as processes."""

from collections.abc import Mapping
import configparser
import os
import pathlib
import subprocess
import sys
from typing import Any

from openstack_rca import conf
from openstack_rca.db import migration
from openstack_rca.db import session
from openstack_rca.tests.functional.servers import base
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import wsgi

ROOT = pathlib.Path(__file__).resolve().parents[4]
INI = ROOT / 'etc' / 'openstack-rca' / 'openstack-rca-api-uwsgi.ini'


def environment() -> dict[str, str]:
    """The environment of the service's processes."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith('OS_')}


class Engine(base.Server):
    """``openstack-rca-engine`` as a process.

    :param config: its configuration file
    :param name: of its log
    """

    TITLE = 'openstack-rca-engine'

    def __init__(self, config: pathlib.Path, name: str = 'engine') -> None:
        super().__init__()
        self.name = name
        self._config = config

    @property
    def url(self) -> str:
        return ''

    @classmethod
    def missing(cls) -> str | None:
        return None

    def _prepare(self) -> None:
        """It is configured from outside."""

    def _environment(self) -> dict[str, str]:
        return environment()

    def _command(self) -> list[str]:
        return [str(pathlib.Path(sys.executable).parent
                    / 'openstack-rca-engine'),
                '--config-file', str(self._config)]

    def _ready(self) -> bool:
        return 'works with' in self.tail(400)


class Service:
    """A deployment: one database, one API, as many engines as wanted.

    :param folder: where its files are
    :param connection: URL of its database, which is made up to date
    :param log_dirs: what its engines read, by name
    :param cloud: the Keystone that knows it
    :param options: more options, by group
    """

    def __init__(self, folder: pathlib.Path, connection: str,
                 log_dirs: Mapping[str, pathlib.Path],
                 cloud: keystone.Keystone,
                 options: Mapping[str, Mapping[str, Any]] | None = None
                 ) -> None:
        self.folder = folder
        self.cloud = cloud
        self.options: dict[str, dict[str, Any]] = {
            'DEFAULT': {'state_path': folder / 'state'},
            'database': {'connection': connection},
            'keystone_authtoken': dict(cloud.authtoken()),
            'sources': {
                'log_dirs': ','.join(f'{name}:{path}' for name, path
                                     in log_dirs.items()),
                'interval': 0.5},
            'engine': {'lease': 6}}
        for group, values in (options or {}).items():
            self.options.setdefault(group, {}).update(values)
        self.config = self.write('service.conf')
        self.api = wsgi.UWSGI(ini=INI, environment={
            **environment(), 'OS_RCA_CONFIG_FILES': str(self.config)})
        self.engines: list[Engine] = []

    def write(self, name: str, **more: Mapping[str, Any]) -> pathlib.Path:
        """Write a configuration file.

        :param name: of the file
        :param more: options that differ, by group
        """
        parser = configparser.ConfigParser(interpolation=None)
        for group in {*self.options, *more}:
            values = {**self.options.get(group, {}), **more.get(group, {})}
            parser[group] = {k: str(v) for k, v in values.items()}
        path = self.folder / name
        with path.open('w') as out:
            parser.write(out)
        return path

    def sync(self) -> None:
        """Make the tables."""
        subprocess.run(
            [str(pathlib.Path(sys.executable).parent
                 / 'openstack-rca-manage'),
             '--config-file', str(self.config), 'db', 'sync'], check=True,
            env=environment(), capture_output=True)

    def start_api(self) -> None:
        """Start the API, and tell Keystone where it is."""
        self.api.setUp()
        self.cloud.set_endpoint(self.api.url)

    def start_engine(self, **more: Mapping[str, Any]) -> Engine:
        """Start one more engine, with a state folder of its own.

        :param more: options that differ, by group
        """
        number = len(self.engines)
        defaults = {'state_path': self.folder / f'state{number}',
                    'host': f'engine{number}', **more.pop('DEFAULT', {})}
        config = self.write(f'engine{number}.conf', DEFAULT=defaults, **more)
        engine = Engine(config, f'engine{number}')
        engine.setUp()
        self.engines.append(engine)
        return engine

    def stop(self) -> None:
        """Stop all that was started."""
        for engine in self.engines:
            engine.cleanUp()
        self.api.cleanUp()

    def use_database(self) -> None:
        """Let functions of the database in this process use it, too."""
        session.dispose()
        conf.CONF.set_override(
            'connection', self.options['database']['connection'],
            group='database')
        assert migration.head()
