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
"""What is known: documents, resolved incidents, judged analyses."""

from typing import Any

import falcon
from oslo_config import cfg

from openstack_rca import exception
from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base
from openstack_rca.db import knowledge as db
from openstack_rca.knowledge import documents
from openstack_rca.knowledge import entries


class Knowledge(base.Resource):
    """All entries of a project."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._given = validation.Body(conf, schemas.KNOWLEDGE_REQUEST)
        self._listed = validation.Query(
            schemas.knowledge_parameters(conf.api.max_limit))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Keep a document, or entries of a backup."""
        caller = base.authorized(req, 'rca:knowledge:create')
        given = self._given.read(req)
        values = given.get('entries')
        source = None
        if values is None:
            source = ' '.join(given['name'].split())
            values = _sections(given, source)
        base.show(resp, db.put(caller.project_id, caller.user_id, values,
                               source), 201)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the entries, the newest first."""
        caller = base.authorized(req, 'rca:knowledge:list', parameters=True)
        asked = self._listed.read(req)
        rows, more = db.entry_list(
            caller.project_id, asked['limit'], marker=asked.get('marker'),
            kind=asked.get('kind'), service=asked.get('service'),
            source=asked.get('source'), whole=asked['texts'] == 'true')
        base.show_page(req, resp, 'knowledge', rows, more, asked)


def _sections(given: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """A document as values of entries.

    :raises InvalidInput: its format is not told
    :raises DocumentInvalid: it cannot be read
    """
    kind = given.get('format') or documents.format_of(source)
    if kind is None:
        raise exception.InvalidInput(
            'format: is missing, and the name does not tell it by its '
            f'ending; one of {", ".join(documents.FORMATS)}')
    return [{
        'kind': entries.DOCUMENT, 'title': section.title,
        'text': section.text, 'source': source,
        'service': given.get('service'), 'tags': given.get('tags') or [],
        'url': given.get('url')} for section in documents.sections(
            given['content'], kind, source)]


class Entry(base.Resource):
    """One entry."""

    def on_get(self, req: falcon.Request, resp: falcon.Response,
               id: str) -> None:
        """Show the entry with its text."""
        caller = base.authorized(req, 'rca:knowledge:show')
        base.show(resp, db.entry_get(
            caller.project_id, base.identified('entry', id)))

    def on_delete(self, req: falcon.Request, resp: falcon.Response,
                  id: str) -> None:
        """Delete the entry."""
        caller = base.authorized(req, 'rca:knowledge:delete')
        db.entry_delete(caller.project_id, base.identified('entry', id))
        resp.status = 204
