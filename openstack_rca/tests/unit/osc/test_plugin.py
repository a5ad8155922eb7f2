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
"""Tests of what the plugin costs and offers."""

import argparse
import json
import os
import subprocess
import sys
from unittest import mock

from keystoneauth1 import exceptions as keystone
from openstack import connection

from openstack_rca import exception
from openstack_rca.osc import errors
from openstack_rca.osc import plugin
from openstack_rca.sdk.v1 import _proxy
from openstack_rca.tests import base
from openstack_rca.tests.unit.sdk import fake

_HEAVY = ('polars', 'torch', 'numpy', 'openstack_rca.engine',
          'openstack_rca.analysis', 'openstack_rca.store',
          'openstack_rca.osc.formatters.html', 'openstack_rca.conf',
          'openstack_rca.osc.errors', 'openstack_rca.sdk')

_LOADED = '''
import json, sys
from openstackclient import shell
try:
    shell.main(sys.argv[1:])
except SystemExit:
    pass
sys.stdout.flush()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
'''


class PluginTest(base.TestCase):
    """python-openstackclient finds what it looks for."""

    def test_interface(self) -> None:
        self.assertEqual('root_cause_analysis', plugin.API_NAME)
        self.assertIn(plugin.DEFAULT_API_VERSION, plugin.API_VERSIONS)
        parser = plugin.build_option_parser(argparse.ArgumentParser())
        options = parser.parse_args([])
        self.assertEqual(plugin.DEFAULT_API_VERSION,
                         getattr(options, plugin.API_VERSION_OPTION))

    def test_version_from_the_environment(self) -> None:
        self._env('OS_ROOT_CAUSE_ANALYSIS_API_VERSION', '7')
        parser = plugin.build_option_parser(argparse.ArgumentParser())
        self.assertEqual('7', getattr(parser.parse_args([]),
                                      plugin.API_VERSION_OPTION))


class ClientTest(base.TestCase):
    """The client of the service is found in the catalog."""

    def setUp(self) -> None:
        super().setUp()
        self.cloud = self.useFixture(fake.Cloud())
        self.instance = mock.Mock()
        self.instance.sdk_connection = connection.Connection(
            auth=self.cloud.login, auth_type='password',
            region_name='RegionOne', root_cause_analysis_api_version='1')
        self.addCleanup(self.instance.sdk_connection.close)

    def test_client(self) -> None:
        client = plugin.make_client(self.instance)
        self.assertIsInstance(client, _proxy.Proxy)
        self.assertEqual(f'{self.cloud.api}/v1/', client.get_endpoint())

    def test_catalog_with_a_version(self) -> None:
        self.cloud.api += '/v1'
        client = plugin.make_client(self.instance)
        self.cloud.api = self.cloud.api.removesuffix('/v1')
        self.assertEqual([], list(client.analyses()))
        self.assertEqual([('/v1/analyses', None)], self.cloud.calls('GET'))

    def test_not_in_the_catalog(self) -> None:
        self.cloud.catalogued = False
        error = self.assertRaises(exception.RCAException,
                                  plugin.make_client, self.instance)
        self.assertEqual(errors.NO_ENDPOINT, str(error))

    def test_the_reason_is_found(self) -> None:
        self.cloud.answers[('GET', '/')] = [
            fake.failure(503, 'No database.')] * 5
        with self.assertNoLogs('keystoneauth.discover', 'WARNING'):
            error = self.assertRaises(keystone.ServiceUnavailable,
                                      plugin.make_client, self.instance)
        self.assertIn('No database. Try again in a moment',
                      str(errors.explain(error)))

    def test_nothing_listens(self) -> None:
        self.cloud.api = 'http://127.0.0.1:1/rca'
        error = self.assertRaises(keystone.ConnectFailure,
                                  plugin.make_client, self.instance)
        self.assertIn('Cannot reach http://127.0.0.1:1/rca/',
                      str(errors.explain(error)))

    def test_something_else_answers(self) -> None:
        self.cloud.api = f'{self.cloud.url}/elsewhere'
        error = self.assertRaises(keystone.NotFound, plugin.make_client,
                                  self.instance)
        self.assertIn('openstack catalog list', str(errors.explain(error)))


class CostTest(base.TestCase):
    """Help is printed without the libraries of the analysis."""

    def _modules(self, *arguments: str) -> tuple[str, set[str]]:
        done = subprocess.run(
            [sys.executable, '-c', _LOADED, *arguments], check=True,
            capture_output=True, text=True, timeout=120,
            env={**os.environ, 'PYTHONWARNINGS': 'ignore'})
        return done.stdout, set(json.loads(done.stderr.splitlines()[-1]))

    def _check(self, modules: set[str]) -> None:
        self.assertIn('openstack_rca.osc.plugin', modules)
        self.assertEqual(set(), modules & set(_HEAVY))

    def test_help_of_all_commands(self) -> None:
        shown, modules = self._modules('--help')
        self._check(modules)
        for command in ('rca analyze', 'rca event list', 'rca trace',
                        'rca source list', 'rca analysis show',
                        'rca incident resolve'):
            self.assertIn(command, shown)

    def test_help_of_our_commands(self) -> None:
        _, modules = self._modules('rca', '--help')
        self._check(modules)

    def test_help_of_one_command(self) -> None:
        shown, modules = self._modules('rca', 'event', 'list', '--help')
        self._check(modules)
        self.assertIn('--log-dir', shown)
        self.assertTrue(shown.strip().endswith(
            'This command is provided by the openstack_rca plugin.'), shown)
