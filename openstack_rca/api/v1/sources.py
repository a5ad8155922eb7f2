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
"""What the engines read."""

import falcon

from openstack_rca.api.v1 import base
from openstack_rca.db import api as db


class Sources(base.Resource):
    """All sources, of every engine."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the sources."""
        base.authorized(req, 'rca:sources:list')
        base.show(resp, {'sources': db.source_list()})
