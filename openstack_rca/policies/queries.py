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
"""Who may use queries for events and traces."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:queries:create',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Search events, or the way of a request.',
        operations=[{'method': 'POST', 'path': '/v1/queries'}]),
    policy.DocumentedRuleDefault(
        name='rca:queries:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List queries.',
        operations=[{'method': 'GET', 'path': '/v1/queries'}]),
    policy.DocumentedRuleDefault(
        name='rca:queries:show',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Show a query and its result.',
        operations=[{'method': 'GET', 'path': '/v1/queries/{id}'}]),
)
