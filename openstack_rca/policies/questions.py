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
"""Who may ask about analyses that are complete."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:questions:create',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Ask something about an analysis.',
        operations=[{'method': 'POST',
                     'path': '/v1/analyses/{id}/questions'}]),
    policy.DocumentedRuleDefault(
        name='rca:questions:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List what was asked about an analysis.',
        operations=[{'method': 'GET',
                     'path': '/v1/analyses/{id}/questions'}]),
    policy.DocumentedRuleDefault(
        name='rca:questions:show',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Show a question about an analysis and its answer.',
        operations=[{'method': 'GET',
                     'path': '/v1/analyses/{id}/questions/{question_id}'}]),
)
