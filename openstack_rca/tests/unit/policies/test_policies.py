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
"""Tests of the rules in code, by the real enforcer."""

from typing import Any

from oslo_config import cfg
from oslo_context import context
from oslo_policy import policy

from openstack_rca import policies
from openstack_rca.tests import base


class TestPolicies(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        self.enforcer = policy.Enforcer(conf)
        self.rules = policies.list_rules()
        self.enforcer.register_defaults(self.rules)

    def _allowed(self, rule: str, **credentials: Any) -> bool:
        return bool(self.enforcer.authorize(
            rule, {}, context.RequestContext(**credentials)))

    def test_admin_of_a_project_may(self) -> None:
        for rule in self.rules:
            self.assertTrue(self._allowed(rule.name, roles=['admin'],
                                          project_id='p'), rule.name)

    def test_nobody_else_may(self) -> None:
        for rule in self.rules:
            for roles in ([], ['reader'], ['member'], ['manager'],
                          ['service']):
                self.assertFalse(self._allowed(rule.name, roles=roles,
                                               project_id='p'), rule.name)

    def test_system_scope_is_refused(self) -> None:
        for rule in self.rules:
            self.assertFalse(self._allowed(rule.name, roles=['admin'],
                                           system_scope='all'), rule.name)

    def test_every_route_has_one_rule(self) -> None:
        routes = [(operation['method'], operation['path'])
                  for rule in self.rules for operation in rule.operations]
        self.assertEqual(sorted(set(routes)), sorted(routes))
