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
"""Questions to the events and to what is known."""

from typing import Any

import falcon
from oslo_config import cfg

from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base
from openstack_rca.db import api as db
from openstack_rca.engine import rpcapi


class Queries(base.Resource):
    """All queries of a project."""

    def __init__(self, conf: cfg.ConfigOpts, engine: rpcapi.EngineAPI
                 ) -> None:
        self._conf = conf
        self._engine = engine
        self._asked = validation.Body(conf, schemas.QUERY_KIND)
        self._kinds = {
            'events': validation.Body(conf, schemas.EVENTS_REQUEST),
            'trace': validation.Body(conf, schemas.TRACE_REQUEST),
            'search': validation.Body(conf, schemas.SEARCH_REQUEST)}
        self._listed = validation.Query(
            schemas.query_parameters(conf.api.max_limit))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Ask for events, a trace, or what is known."""
        caller = base.authorized(req, 'rca:queries:create')
        asked = self._asked.read(req)
        kind = asked['kind']
        # A kind of its own for each check, so that a message speaks of the
        # kind that was meant.
        self._kinds[kind].check(asked)
        request: dict[str, Any] = {
            name: value for name, value in asked.items()
            if name != 'kind' and value is not None}
        if kind != 'trace':
            for name, time in zip(('since', 'until'),
                                  validation.span(asked), strict=True):
                if time is not None:
                    request[name] = time
            request['limit'] = int(asked.get(
                'limit', self._kinds[kind].default('limit')))
        query = db.query_create(caller.project_id, caller.user_id, kind,
                                request, self._conf.api.max_queued)
        self._engine.nudge(query['id'])
        base.show_accepted(req, resp, 'queries', query)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the queries without their results, the newest first."""
        caller = base.authorized(req, 'rca:queries:list',
                                 parameters=True)
        asked = self._listed.read(req)
        rows, more = db.query_list(
            caller.project_id, asked['limit'], marker=asked.get('marker'),
            status=asked.get('status'), kind=asked.get('kind'))
        base.show_page(req, resp, 'queries', rows, more, asked)


class Query(base.Resource):
    """One query."""

    def on_get(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """Show the query and its result."""
        caller = base.authorized(req, 'rca:queries:show')
        base.show(resp, db.query_get(
            caller.project_id, base.identified('query', id)))
