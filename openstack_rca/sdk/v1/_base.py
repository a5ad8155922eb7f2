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
"""What the resources of the service have in common."""

from collections.abc import Generator
from collections.abc import Mapping
import copy
from typing import Any
from typing import Self
import urllib.parse

from keystoneauth1 import adapter
from openstack import exceptions
from openstack import resource
import requests

_STRANGE = 'The answer is not one of the root cause analysis service.'


class Resource(resource.Resource):
    """A resource whose lists are read page by page."""

    # Every resource of openstacksdk has a name, ours have none.
    _query_mapping = resource.QueryParameters()

    #: The body of the last answer about this resource, as it came.
    _document: dict[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The resource as the service gave it, with every field.

        :returns: a copy, empty before the resource was fetched or created
        """
        return copy.deepcopy(self._document or {})

    def _translate_response(self, response: requests.Response,
                            has_body: bool | None = None,
                            error_message: str | None = None,
                            **kwargs: Any) -> None:
        document = None
        if response.status_code < 400 and has_body is not False:
            try:
                document = response.json()
            except ValueError:
                document = None
            if not isinstance(document, dict):
                raise exceptions.InvalidResponse(_STRANGE)
            # What the service says no more is true no more.
            for name in [name for name in self._body.attributes
                         if name not in document and name != 'id']:
                del self._body.attributes[name]
        super()._translate_response(response, has_body, error_message,
                                    **kwargs)
        if document is not None:
            self._document = document

    @classmethod
    def list(cls, session: adapter.Adapter, *args: Any,
             **kwargs: Any) -> Generator[Self, None, None]:
        """List the resources, see openstacksdk.

        :raises InvalidResponse: what answers is not the service
        """
        try:
            yield from super().list(session, *args, **kwargs)
        except (AttributeError, KeyError, TypeError,
                requests.exceptions.JSONDecodeError) as exc:
            raise exceptions.InvalidResponse(_STRANGE) from exc

    @classmethod
    def _get_next_link(cls, uri: str, response: requests.Response,
                       data: dict[str, Any], marker: str | None,
                       limit: Any, total_yielded: int) -> tuple[
                           str | None, Mapping[str, Any]]:
        # Only the service knows whether there is more: openstacksdk would
        # ask once more for a page that is empty. Of its link the query is
        # taken and the address is not: it may name a host that is reached
        # through a proxy under another name, and the token goes nowhere
        # else.
        links = data.get(f'{cls.resources_key}_links')
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get('rel') == 'next':
                query = urllib.parse.urlsplit(str(link.get('href'))).query
                return uri, dict(urllib.parse.parse_qsl(query))
        return None, {}
