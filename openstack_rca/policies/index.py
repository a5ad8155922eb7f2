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
"""Who may use the index of what is known."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:index:change',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Look at the index of an engine, verify, rebuild or '
                    'clear it. Nothing is lost by any of these.',
        operations=[{'method': 'POST', 'path': '/v1/index'}]),
    policy.DocumentedRuleDefault(
        name='rca:index:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List what was done to the index.',
        operations=[{'method': 'GET', 'path': '/v1/index'}]),
)
