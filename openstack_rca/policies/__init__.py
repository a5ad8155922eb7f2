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
"""Rules in code, one module for each resource."""

import itertools

from oslo_policy import policy

from openstack_rca.policies import analyses
from openstack_rca.policies import incidents
from openstack_rca.policies import index
from openstack_rca.policies import knowledge
from openstack_rca.policies import models
from openstack_rca.policies import queries
from openstack_rca.policies import questions
from openstack_rca.policies import sources


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """All rules, for the enforcer and for oslo.policy's tools."""
    return list(itertools.chain(
        analyses.RULES, incidents.RULES, index.RULES, knowledge.RULES,
        models.RULES, queries.RULES, questions.RULES, sources.RULES))
