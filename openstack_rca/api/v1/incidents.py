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
"""Incidents and their life."""

import datetime

import falcon
from oslo_config import cfg

from openstack_rca import exception
from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base
from openstack_rca.db import incidents as db


class Incidents(base.Resource):
    """All incidents of a project."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._listed = validation.Query(
            schemas.incident_parameters(conf.api.max_limit))

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the incidents, the newest first."""
        caller = base.authorized(req, 'rca:incidents:list',
                                 parameters=True)
        asked = self._listed.read(req)
        rows, more = db.incident_list(
            caller.project_id, asked['limit'], marker=asked.get('marker'),
            status=asked.get('status'))
        base.show_page(req, resp, 'incidents', rows, more, asked)


class Incident(base.Resource):
    """One incident."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._changed = validation.Body(conf, schemas.INCIDENT_UPDATE)

    def on_get(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """Show the incident."""
        caller = base.authorized(req, 'rca:incidents:show')
        base.show(resp, db.incident_get(
            caller.project_id, base.identified('incident', id)))

    def on_patch(self, req: falcon.Request, resp: falcon.Response,
                 id: str) -> None:
        """Take the incident a step further."""
        caller = base.authorized(req, 'rca:incidents:update')
        changed = self._changed.read(req)
        if changed.get('suppressed_until'):
            until = validation.moment(changed['suppressed_until'])
            if until <= datetime.datetime.now(datetime.UTC):
                # What is right or wrong with the time of day is no matter
                # of the schema.
                raise exception.Conflict(
                    reason='suppressed_until: must not be over yet')
            changed['suppressed_until'] = until.isoformat()
        base.show(resp, db.incident_update(
            caller.project_id, base.identified('incident', id),
            caller.user_id, changed))
