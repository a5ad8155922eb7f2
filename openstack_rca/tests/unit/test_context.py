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
"""The caller of a request."""

from openstack_rca import context
from openstack_rca.tests import base


class TestContext(base.TestCase):

    def test_what_policies_see(self) -> None:
        caller = context.RequestContext.from_environ({
            'HTTP_X_USER_ID': 'u1', 'HTTP_X_PROJECT_ID': 'p1',
            'HTTP_X_ROLES': 'admin,member',
            'HTTP_X_IDENTITY_STATUS': 'Confirmed'})
        self.assertIsInstance(caller, context.RequestContext)
        values = caller.to_policy_values()
        self.assertEqual(('u1', 'p1', ['admin', 'member']), (
            values['user_id'], values['project_id'], values['roles']))

    def test_every_request_has_an_id(self) -> None:
        self.assertNotEqual(context.RequestContext().request_id,
                            context.RequestContext().request_id)
