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
"""Who may use what is known."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:knowledge:create',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Import documents, or entries of a backup.',
        operations=[{'method': 'POST', 'path': '/v1/knowledge'}]),
    policy.DocumentedRuleDefault(
        name='rca:knowledge:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List or export what is known.',
        operations=[{'method': 'GET', 'path': '/v1/knowledge'}]),
    policy.DocumentedRuleDefault(
        name='rca:knowledge:show',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Show an entry of what is known.',
        operations=[{'method': 'GET', 'path': '/v1/knowledge/{id}'}]),
    policy.DocumentedRuleDefault(
        name='rca:knowledge:delete',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Delete an entry of what is known.',
        operations=[{'method': 'DELETE', 'path': '/v1/knowledge/{id}'}]),
)
