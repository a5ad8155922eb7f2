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
"""Who may do what."""

from typing import Any

from openstack_rca import context
from openstack_rca import exception
from openstack_rca import policies
from openstack_rca import policy
from openstack_rca.tests import base


class TestAuthorize(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        policy.reset()
        self.addCleanup(policy.reset)
        self.rules = [rule.name for rule in policies.list_rules()
                      if rule.name.startswith('rca:')]

    @staticmethod
    def _caller(*roles: str, **values: Any) -> context.RequestContext:
        return context.RequestContext(
            **{'user_id': 'u1', 'project_id': 'p1', 'roles': list(roles)}
            | values)

    def test_admin_may(self) -> None:
        self.assertNotEqual([], self.rules)
        for rule in self.rules:
            policy.authorize(self._caller('admin', 'member', 'reader'), rule)

    def test_nobody_else_may(self) -> None:
        for rule in self.rules:
            for roles in ((), ('reader',), ('member', 'reader'),
                          ('service',), ('manager', 'member')):
                error = self.assertRaises(
                    exception.Forbidden, policy.authorize,
                    self._caller(*roles), rule)
                self.assertEqual(403, error.code)
                self.assertIn(rule, str(error))

    def test_token_of_the_system(self) -> None:
        for rule in self.rules:
            error = self.assertRaises(
                exception.Forbidden, policy.authorize, self._caller(
                    'admin', project_id=None, system_scope='all'), rule)
            self.assertIn('--os-project-name', str(error))
            self.assertIn(rule, str(error))

    def test_token_of_a_domain(self) -> None:
        self.assertRaises(
            exception.Forbidden, policy.authorize, self._caller(
                'admin', project_id=None, domain_id='d1'), self.rules[0])

    def _file(self, text: str) -> None:
        path = self.tmp / 'policy.yaml'
        path.write_text(text)
        self.config('oslo_policy', policy_file=str(path))
        policy.reset()

    def test_file(self) -> None:
        self._file('"rca:analyses:list": "role:reader"\n')
        policy.authorize(self._caller('reader'), 'rca:analyses:list')
        self.assertRaises(exception.Forbidden, policy.authorize,
                          self._caller('reader'), 'rca:analyses:create')

    def test_broken_file(self) -> None:
        for text in ('"rca:analyses:list": [\n', 'just text', '- a\n'):
            self._file(text)
            error = self.assertRaises(
                exception.RCAException, policy.authorize,
                self._caller('admin'), 'rca:analyses:list')
            self.assertEqual(500, error.code)
            self.assertIn('[oslo_policy] policy_file', str(error))

    def test_broken_rule_allows_nothing(self) -> None:
        self._file('"rca:analyses:list": "role:(("\n')
        self.assertRaises(exception.Forbidden, policy.authorize,
                          self._caller('admin'), 'rca:analyses:list')

    def test_target_is_the_project_of_the_caller(self) -> None:
        self._file('"rca:analyses:list": "project_id:%(project_id)s"\n')
        policy.authorize(self._caller(), 'rca:analyses:list')
        self.assertRaises(
            exception.Forbidden, policy.authorize, self._caller(),
            'rca:analyses:list', {'project_id': 'p2'})

    def test_tools_read_the_same_rules(self) -> None:
        self.assertIs(policy.get_enforcer(), policy.enforcer())
        self.assertLessEqual(
            set(self.rules), set(policy.enforcer().registered_rules))
