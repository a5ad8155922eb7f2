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
"""Who may use incidents."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:incidents:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List incidents.',
        operations=[{'method': 'GET', 'path': '/v1/incidents'}]),
    policy.DocumentedRuleDefault(
        name='rca:incidents:show',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Show an incident.',
        operations=[{'method': 'GET', 'path': '/v1/incidents/{id}'}]),
    policy.DocumentedRuleDefault(
        name='rca:incidents:update',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Acknowledge, resolve, suppress or reopen an incident.',
        operations=[{'method': 'PATCH', 'path': '/v1/incidents/{id}'}]),
)
