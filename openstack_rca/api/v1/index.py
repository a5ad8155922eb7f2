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
"""The index of what is known: a cache, one an engine."""

import falcon
from oslo_config import cfg

from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base
from openstack_rca.db import api as db
from openstack_rca.engine import rpcapi

KIND = 'index'


class Index(base.Resource):
    """What was done to the index."""

    def __init__(self, conf: cfg.ConfigOpts, engine: rpcapi.EngineAPI
                 ) -> None:
        self._conf = conf
        self._engine = engine
        self._asked = validation.Body(conf, schemas.INDEX_REQUEST)
        self._listed = validation.Query(
            schemas.index_parameters(conf.api.max_limit))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Look at the index, verify, rebuild or clear it."""
        caller = base.authorized(req, 'rca:index:change')
        asked = self._asked.read(req)
        job = db.query_create(caller.project_id, caller.user_id, KIND,
                              {'action': asked['action']},
                              self._conf.api.max_queued)
        self._engine.nudge(job['id'])
        # It is followed like every query.
        base.show_accepted(req, resp, 'queries', job)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List what was done, the newest first."""
        caller = base.authorized(req, 'rca:index:list', parameters=True)
        asked = self._listed.read(req)
        rows, more = db.query_list(
            caller.project_id, asked['limit'], marker=asked.get('marker'),
            status=asked.get('status'), kind=KIND)
        base.show_page(req, resp, 'index', rows, more, asked)
