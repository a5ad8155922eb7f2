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
"""What the resources share."""

import dataclasses
import json
from typing import Any
import urllib.parse

import falcon

from openstack_rca import context
from openstack_rca import exception
from openstack_rca import policy
from openstack_rca.api import middleware
from openstack_rca.api import validation


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who may do what was asked for, and in whose project."""

    project_id: str
    user_id: str


class Resource:
    """What answers at one path."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """HEAD is GET whose body falcon leaves out."""
        super().__init_subclass__(**kwargs)
        if hasattr(cls, 'on_get'):
            cls.on_head = cls.on_get  # type: ignore[attr-defined]


def authenticated(req: falcon.Request) -> tuple[
        context.RequestContext, str]:
    """Who asks: the context, and the id of the user.

    :raises falcon.HTTPUnauthorized: nobody whom Keystone knows
    """
    asking: context.RequestContext = req.env[middleware.CONTEXT]
    if not asking.user_id:
        # Doors has seen to that; a wrong entry there must not open this.
        raise falcon.HTTPUnauthorized()
    return asking, asking.user_id


def authorized(req: falcon.Request, rule: str,
               parameters: bool = False) -> Caller:
    """Who asks, and may.

    :param rule: name of the rule that decides
    :param parameters: whether the query string may hold something
    :raises Forbidden: the token has no project, or the policy says no
    :raises InvalidInput: there is a query string, and none is taken
    """
    asking, user_id = authenticated(req)
    if not asking.project_id:
        raise exception.Forbidden(
            'This token belongs to no project, and every analysis, query '
            'and incident does. Use a project-scoped token '
            '(--os-project-name).')
    caller = Caller(project_id=asking.project_id, user_id=user_id)
    # Rows are looked for in the project of the caller alone.
    policy.authorize(asking, rule, dataclasses.asdict(caller))
    if not parameters:
        validation.NO_PARAMETERS.read(req)
    return caller


def identified(what: str, text: str) -> str:
    """The id of a path.

    :param what: what has the id, in words
    :param text: part of the path
    :raises NotFound: no row has such an id
    """
    if not validation.is_id(text):
        # Not repeated: it can be anything.
        raise exception.NotFound(what=what, id='with this id')
    return text.lower()


def show(resp: falcon.Response, document: Any, code: int = 200) -> None:
    """Answer with a document."""
    resp.status = code
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json.dumps(document, allow_nan=False,
                           separators=(',', ':')).encode()


def show_page(req: falcon.Request, resp: falcon.Response, name: str,
              rows: list[dict[str, Any]], more: bool,
              asked: dict[str, Any], path: str | None = None) -> None:
    """Answer with a page of a list, and where the next one is.

    :param name: what the list holds
    :param more: whether rows follow
    :param asked: the query parameters of this page
    :param path: of the list, below the version; its name where None
    """
    document: dict[str, Any] = {name: rows}
    if more:
        query = urllib.parse.urlencode(asked | {'marker': rows[-1]['id']})
        document[f'{name}_links'] = [{
            'rel': 'next', 'href': f'{req.prefix}/v1/{path or name}?{query}'}]
    show(resp, document)


def show_accepted(req: falcon.Request, resp: falcon.Response, name: str,
                  document: dict[str, Any]) -> None:
    """Answer that a row was written, and where it can be followed."""
    resp.set_header('Location', f'{req.prefix}/v1/{name}/{document["id"]}')
    show(resp, document, 202)
