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
"""What every test stands on: nothing of the user's own is read or written."""

import os
import pathlib
import time
from unittest import mock

import fixtures
import hypothesis
from oslotest import base

from openstack_rca import conf
from openstack_rca.models import filesystem

# How fast a machine is must not decide a test.
hypothesis.settings.register_profile('openstack_rca', deadline=None)
hypothesis.settings.load_profile('openstack_rca')


class TestCase(base.BaseTestCase):
    """A test with folders, an environment and a clock zone of its own.

    :ivar tmp: a temporary folder that is gone after the test
    :ivar conf: the options, with their defaults and no configuration file;
        change them with :meth:`config`
    """

    def setUp(self) -> None:
        super().setUp()
        self.tmp = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name in ('CACHE', 'CONFIG', 'DATA', 'STATE'):
            folder = self.tmp / 'xdg' / name.lower()
            folder.mkdir(parents=True, mode=0o700)
            self._env(f'XDG_{name}_HOME', str(folder))
        # A cloud that the developer has at hand must not answer a test.
        for name in [name for name in os.environ if name.startswith('OS_')
                     and not name.startswith(('OS_TEST', 'OS_STDOUT',
                                              'OS_STDERR', 'OS_LOG',
                                              'OS_DEBUG'))]:
            self._env(name, None)
        self._env('NO_COLOR', None)
        self._env('COLUMNS', None)
        # Cleanups run in reverse: tzset comes after TZ has its old value.
        self.addCleanup(time.tzset)
        self._env('TZ', 'UTC')
        time.tzset()
        self.conf = conf.CONF
        self.conf.reset()
        self.addCleanup(self.conf.reset)
        self.conf([], project='openstack-rca', default_config_files=[],
                  default_config_dirs=[])

    def without_shipped_models(self) -> None:
        """Let there be no model but those that the test makes."""
        patch = mock.patch.object(filesystem, '_SHIPPED', self.tmp / 'none')
        patch.start()
        self.addCleanup(patch.stop)

    def _env(self, name: str, value: str | None) -> None:
        self.useFixture(fixtures.EnvironmentVariable(name, value))

    def config(self, group: str | None = None, **options: object) -> None:
        """Set options for the length of this test.

        :param group: their group, none for ``[DEFAULT]``
        :param options: values by name
        """
        for name, value in options.items():
            self.conf.set_override(name, value, group=group)
            self.addCleanup(self.conf.clear_override, name, group=group)
