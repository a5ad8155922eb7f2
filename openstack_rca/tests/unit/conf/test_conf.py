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
"""Tests of the options."""

import fixtures
from keystoneauth1 import loading
from oslo_config import cfg

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.conf import cloud
from openstack_rca.conf import opts
from openstack_rca.tests import base


class TestLoad(base.TestCase):

    def _file(self, text: str) -> str:
        path = self.tmp / 'rca.conf'
        path.write_text(text)
        return str(path)

    def test_no_file_is_fine(self) -> None:
        loaded = conf.load(files=[])
        self.assertEqual('', loaded.local_cache.directory)
        self.assertEqual(['novelty', 'lstm'], loaded.detectors.enabled)
        self.assertEqual(10, loaded.analysis.max_hypotheses)

    def test_file(self) -> None:
        loaded = conf.load(files=[self._file(
            '[local_cache]\nmax_age = 60\n[detectors]\nenabled = counts\n')])
        self.assertEqual(60, loaded.local_cache.max_age)
        self.assertEqual(['counts'], loaded.detectors.enabled)

    def test_command_line_of_the_process_is_not_read(self) -> None:
        # "openstack" has options of its own, which are none of ours.
        self.useFixture(fixtures.MonkeyPatch(
            'sys.argv', ['openstack', '--no-such-option', 'rca']))
        conf.load(files=[])

    def test_file_of_another_program_is_not_read(self) -> None:
        # oslo.config looks for a file named like the program, too.
        home = self.tmp / 'home'
        home.mkdir()
        (home / 'openstack.conf').write_text('[local_cache]\nmax_age = 1\n')
        (home / 'openstack-rca.conf').write_text(
            '[local_cache]\nmax_age = 2\n')
        self.useFixture(fixtures.EnvironmentVariable('HOME', str(home)))
        self.useFixture(fixtures.MonkeyPatch(
            'sys.argv', ['/usr/bin/openstack']))
        self.assertEqual(2, conf.load().local_cache.max_age)

    def test_missing_file(self) -> None:
        missing = str(self.tmp / 'missing.conf')
        error = self.assertRaises(exception.InvalidInput, conf.load,
                                  files=[missing])
        self.assertIn(missing, str(error))

    def test_file_without_sense(self) -> None:
        error = self.assertRaises(
            exception.InvalidInput, conf.load,
            files=[self._file('max_age = 1\n[cache\n')])
        self.assertIn('rca.conf', str(error))

    def test_wrong_values_are_named(self) -> None:
        for text, name in (('[local_cache]\nmax_age = soon\n', 'max_age'),
                           ('[local_cache]\nmax_size = -1\n', 'max_size'),
                           ('[analysis]\nmax_evidence = 201\n',
                            'max_evidence'),
                           ('[limits]\nmax_ratio = 1\n', 'max_ratio')):
            error = self.assertRaises(exception.InvalidInput, conf.load,
                                      files=[self._file(text)])
            self.assertIn(name, str(error))


class TestOptions(base.TestCase):

    def test_list_opts_is_what_is_registered(self) -> None:
        fresh = cfg.ConfigOpts()
        conf.register_opts(fresh)
        # What needs keystoneauth is registered where it is used, and the
        # options of a plugin with the plugin.
        cloud.register_auth(fresh)
        plugins: dict[str, cfg.Opt] = {}
        for plugin in cloud.PLUGINS:
            for option in loading.get_auth_plugin_conf_options(plugin):
                plugins.setdefault(option.dest, option)
        for option in plugins.values():
            option.required = False
        fresh.register_opts([*plugins.values()], group=cloud.GROUP.name)
        fresh([], default_config_files=[], default_config_dirs=[])
        listed = {(group.name, option.dest)
                  for group, options in opts.list_opts()
                  for option in options}
        registered = {(group, option) for group in fresh
                      if isinstance(fresh[group], cfg.ConfigOpts.GroupAttr)
                      for option in fresh[group]}
        # What stands in no group is listed among the groups, and so are the
        # options of oslo.config itself.
        empty = cfg.ConfigOpts()
        empty([], default_config_files=[], default_config_dirs=[])
        registered |= {('DEFAULT', name) for name in {*fresh} - {*empty}
                       if (name, name) not in registered
                       and name not in {group for group, _ in registered}}
        self.assertEqual(registered, listed)

    def test_every_option_has_help(self) -> None:
        for group, options in opts.list_opts():
            for option in options:
                self.assertTrue((option.help or '').strip(),
                                f'[{group.name}] {option.name}')
