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
"""Trained models: which there are, and which are active."""

import falcon
from oslo_config import cfg

from openstack_rca import exception
from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base
from openstack_rca.db import models_api as db
from openstack_rca.engine import drivers
from openstack_rca.engine import rpcapi


class Models(base.Resource):
    """All models. They serve the cloud, and belong to no project."""

    def __init__(self, conf: cfg.ConfigOpts, engine: rpcapi.EngineAPI
                 ) -> None:
        self._conf = conf
        self._engine = engine
        self._asked = validation.Body(conf, schemas.MODEL_REQUEST)
        self._listed = validation.Query(
            schemas.model_parameters(conf.api.max_limit))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Train a detector."""
        caller = base.authorized(req, 'rca:models:create')
        asked = self._asked.read(req)
        since, until = validation.span(asked)
        labels = []
        for number, label in enumerate(asked.get('labels', [])):
            try:
                begin, end = validation.span(label)
            except exception.InvalidInput as error:
                raise exception.InvalidInput(
                    f'labels[{number}].{error}') from error
            labels.append({'since': begin, 'until': end,
                           'harmed': label['harmed']})
        try:
            drivers.check('openstack_rca.detectors', [asked['detector']])
        except exception.DriverNotFound as error:
            raise exception.InvalidInput(f'detector: {error}') from error
        if asked.get('verdicts'):
            labels += db.verdicts(caller.project_id)
        settings = asked.get('settings', {})
        model = db.model_create(
            caller.project_id, caller.user_id, {
                'detector': asked['detector'],
                'sources': asked.get('sources', []),
                'since': since,
                'until': until,
                'labels': labels,
                'settings': {
                    # A whole number that JSON wrote as 1.0 is one.
                    name: int(value) if properties['type'] == 'integer'
                    else value
                    for name, properties in schemas.MODEL_REQUEST[
                        'properties']['settings']['properties'].items()
                    if (value := settings.get(name)) is not None},
            }, self._conf.api.max_queued)
        self._engine.nudge(model['id'])
        base.show_accepted(req, resp, 'models', model)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the models, the newest first."""
        base.authorized(req, 'rca:models:list', parameters=True)
        asked = self._listed.read(req)
        rows, more = db.model_list(
            asked['limit'], marker=asked.get('marker'),
            detector=asked.get('detector'), status=asked.get('status'),
            origin=asked.get('origin'))
        base.show_page(req, resp, 'models', rows, more, asked)


class Model(base.Resource):
    """One model."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._changed = validation.Body(conf, schemas.MODEL_UPDATE)

    def on_get(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """Show the model, or how far its training is."""
        base.authorized(req, 'rca:models:show')
        base.show(resp, db.model_get(base.identified('model', id)))

    def on_patch(self, req: falcon.Request, resp: falcon.Response,
                 id: str) -> None:
        """Make the model the active one of its detector."""
        caller = base.authorized(req, 'rca:models:activate')
        self._changed.read(req)
        base.show(resp, db.model_activate(
            caller.user_id, base.identified('model', id)))

    def on_delete(self, req: falcon.Request, resp: falcon.Response,
                  id: str) -> None:
        """Delete the model; work on it is dropped."""
        base.authorized(req, 'rca:models:delete')
        db.model_delete(base.identified('model', id))
        resp.status = 204
