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
"""Who may use analyses and their reports."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:analyses:create',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Ask why: create an analysis.',
        operations=[{'method': 'POST', 'path': '/v1/analyses'}]),
    policy.DocumentedRuleDefault(
        name='rca:analyses:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List analyses.',
        operations=[{'method': 'GET', 'path': '/v1/analyses'}]),
    policy.DocumentedRuleDefault(
        name='rca:analyses:show',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Show an analysis and its report.',
        operations=[{'method': 'GET', 'path': '/v1/analyses/{id}'}]),
    policy.DocumentedRuleDefault(
        name='rca:analyses:delete',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Delete an analysis and its report.',
        operations=[{'method': 'DELETE', 'path': '/v1/analyses/{id}'}]),
    policy.DocumentedRuleDefault(
        name='rca:analyses:rate',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Say whether a report was right.',
        operations=[{'method': 'PUT', 'path': '/v1/analyses/{id}/rating'}]),
)
