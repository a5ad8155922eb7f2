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
"""Analyses, their reports and ratings, and questions to them."""

import falcon
from oslo_config import cfg

from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base
from openstack_rca.db import api as db
from openstack_rca.db import knowledge
from openstack_rca.engine import rpcapi


class Analyses(base.Resource):
    """All analyses of a project."""

    def __init__(self, conf: cfg.ConfigOpts, engine: rpcapi.EngineAPI
                 ) -> None:
        self._conf = conf
        self._engine = engine
        self._asked = validation.Body(conf, schemas.ANALYSIS_REQUEST)
        self._listed = validation.Query(
            schemas.analysis_parameters(conf.api.max_limit))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Ask why."""
        caller = base.authorized(req, 'rca:analyses:create')
        asked = self._asked.read(req)
        since, until = validation.span(asked)
        analysis = db.analysis_create(
            caller.project_id, caller.user_id, {
                'issue': asked.get('issue', ''),
                'since': since,
                'until': until,
                'request_ids': asked.get('request_ids', []),
                'servers': asked.get('servers', []),
                'services': asked.get('services', []),
                'mode': asked.get('mode', 'full'),
                'incident': asked.get('incident', False),
            }, self._conf.api.max_queued)
        self._engine.nudge(analysis['id'])
        base.show_accepted(req, resp, 'analyses', analysis)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the analyses, the newest first."""
        caller = base.authorized(req, 'rca:analyses:list',
                                 parameters=True)
        asked = self._listed.read(req)
        rows, more = db.analysis_list(
            caller.project_id, caller.user_id, asked['limit'],
            marker=asked.get('marker'), status=asked.get('status'),
            verdict=asked.get('verdict'))
        base.show_page(req, resp, 'analyses', rows, more, asked)


class Analysis(base.Resource):
    """One analysis."""

    def on_get(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """Show the analysis and its report."""
        caller = base.authorized(req, 'rca:analyses:show')
        base.show(resp, db.analysis_get(
            caller.project_id, base.identified('analysis', id)))

    def on_delete(self, req: falcon.Request, resp: falcon.Response,
                  id: str) -> None:
        """Delete the analysis; work on it is dropped."""
        caller = base.authorized(req, 'rca:analyses:delete')
        db.analysis_delete(caller.project_id,
                           base.identified('analysis', id))
        resp.status = 204


class Rating(base.Resource):
    """How right a report is, in the eyes of one user."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._rated = validation.Body(conf, schemas.RATING_REQUEST)

    def on_put(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """Rate the report."""
        caller = base.authorized(req, 'rca:analyses:rate')
        rated = self._rated.read(req)
        base.show(resp, db.rating_set(
            caller.project_id, caller.user_id,
            base.identified('analysis', id), rated['rating'],
            rated.get('component'), rated.get('comment'),
            rated.get('cause')))


class Questions(base.Resource):
    """What was asked about an analysis."""

    def __init__(self, conf: cfg.ConfigOpts, engine: rpcapi.EngineAPI
                 ) -> None:
        self._conf = conf
        self._engine = engine
        self._asked = validation.Body(conf, schemas.QUESTION_REQUEST)
        self._listed = validation.Query(
            schemas.question_parameters(conf.api.max_limit))

    def on_post(self, req: falcon.Request, resp: falcon.Response,
                id: str) -> None:
        """Ask something about the analysis."""
        caller = base.authorized(req, 'rca:questions:create')
        asked = self._asked.read(req)
        name = base.identified('analysis', id)
        message = knowledge.message_create(
            caller.project_id, caller.user_id, name, asked['question'],
            asked.get('mode', 'full'), self._conf.api.max_queued)
        self._engine.nudge(message['id'])
        base.show_accepted(req, resp, f'analyses/{name}/questions', message)

    def on_get(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """List the questions, the newest first."""
        caller = base.authorized(req, 'rca:questions:list', parameters=True)
        asked = self._listed.read(req)
        name = base.identified('analysis', id)
        rows, more = knowledge.message_list(
            caller.project_id, name, asked['limit'], asked.get('marker'))
        base.show_page(req, resp, 'questions', rows, more, asked,
                       f'analyses/{name}/questions')


class Question(base.Resource):
    """One question about an analysis."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str,
               question_id: str) -> None:
        """Show the question and its answer."""
        caller = base.authorized(req, 'rca:questions:show')
        base.show(resp, knowledge.message_get(
            caller.project_id, base.identified('analysis', id),
            base.identified('question', question_id)))
