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
"""All options: what registration and the sample file are made of."""

from oslo_config import cfg

from openstack_rca.conf import analysis
from openstack_rca.conf import api
from openstack_rca.conf import cloud
from openstack_rca.conf import default
from openstack_rca.conf import detectors
from openstack_rca.conf import engine
from openstack_rca.conf import incidents
from openstack_rca.conf import knowledge
from openstack_rca.conf import limits
from openstack_rca.conf import llm
from openstack_rca.conf import local_cache
from openstack_rca.conf import metrics
from openstack_rca.conf import models
from openstack_rca.conf import notifications
from openstack_rca.conf import publishing
from openstack_rca.conf import retrieval
from openstack_rca.conf import sources
from openstack_rca.conf import store
from openstack_rca.conf import webhooks

GROUPS: tuple[tuple[cfg.OptGroup, tuple[cfg.Opt, ...]], ...] = tuple(
    (module.GROUP, module.OPTIONS)
    for module in (default, analysis, api, cloud, detectors, engine, incidents,
                   knowledge, limits, llm, local_cache, metrics, models,
                   notifications, publishing, retrieval, sources, store,
                   webhooks))


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """The options by group, for oslo.config's tools."""
    return [(group, [*options, *(
        cloud.auth_options() if group is cloud.GROUP else ())])
        for group, options in GROUPS]
