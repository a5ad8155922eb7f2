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
"""Who may use trained models."""

from oslo_policy import policy

from openstack_rca.policies import base

RULES = (
    policy.DocumentedRuleDefault(
        name='rca:models:create',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Train a detector.',
        operations=[{'method': 'POST', 'path': '/v1/models'}]),
    policy.DocumentedRuleDefault(
        name='rca:models:list',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='List the models of the cloud.',
        operations=[{'method': 'GET', 'path': '/v1/models'}]),
    policy.DocumentedRuleDefault(
        name='rca:models:show',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Show a model of the cloud.',
        operations=[{'method': 'GET', 'path': '/v1/models/{id}'}]),
    policy.DocumentedRuleDefault(
        name='rca:models:activate',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Make a model the one that its detector uses.',
        operations=[{'method': 'PATCH', 'path': '/v1/models/{id}'}]),
    policy.DocumentedRuleDefault(
        name='rca:models:delete',
        check_str=base.ADMIN,
        scope_types=base.SCOPES,
        description='Delete a model that is not active.',
        operations=[{'method': 'DELETE', 'path': '/v1/models/{id}'}]),
)
