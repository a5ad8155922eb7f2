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
"""Which versions of the API there are. Open to everybody, as discovery is."""

from typing import Any

import falcon

from openstack_rca.api.v1 import base

_UPDATED = '2026-11-21T00:00:00Z'


def _version(req: falcon.Request) -> dict[str, Any]:
    # No microversions: the empty strings say so to keystoneauth.
    return {
        'id': 'v1.0', 'status': 'CURRENT', 'min_version': '', 'version': '',
        'updated': _UPDATED,
        'links': [{'rel': 'self', 'href': f'{req.prefix}/v1/'}]}


class Versions(base.Resource):
    """All versions."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the versions."""
        base.show(resp, {'versions': [_version(req)]})


class Version(base.Resource):
    """The first version."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the version."""
        base.show(resp, {'version': _version(req)})
