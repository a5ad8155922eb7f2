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
"""Queries: a look at the events themselves."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Query(_base.Resource):
    """One look at the events, and what it found."""

    resources_key = 'queries'
    base_path = '/queries'

    allow_create = True
    allow_fetch = True
    allow_list = True

    _query_mapping = resource.QueryParameters('status', 'kind')

    #: events, trace, search or index.
    kind = resource.Body('kind')
    #: What a search looks for.
    question = resource.Body('question')
    #: Kinds of entries that a search finds. *Type: list*
    kinds = resource.Body('kinds')
    #: fast or full, for a search.
    mode = resource.Body('mode')
    #: Only events from this time on, ISO 8601 with an offset.
    since = resource.Body('since')
    #: Only events up to this time.
    until = resource.Body('until')
    #: Only events of this request; the request that a trace follows.
    request_id = resource.Body('request_id')
    #: Only events of this server, by UUID or name; the server whose story a
    #: trace tells.
    server = resource.Body('server')
    #: Only events of this service or binary.
    service = resource.Body('service')
    #: Only events of this level or a worse one.
    level = resource.Body('level')
    #: Only events that say the same thing, by template id.
    template = resource.Body('template')
    #: Only events that hold all of these. *Type: list*
    words = resource.Body('words')
    #: The most events to return. *Type: int*
    limit = resource.Body('limit')

    #: queued, running, complete or failed.
    status = resource.Body('status')
    #: What was asked. *Type: dict*
    request = resource.Body('request')
    #: What was found, None before it is complete. *Type: dict*
    result = resource.Body('result')
    #: Why it failed: code, title, message. *Type: dict*
    error = resource.Body('error')
    #: The project that asked.
    project_id = resource.Body('project_id')
    #: The user who asked.
    user_id = resource.Body('user_id')
    #: When the question came.
    created_at = resource.Body('created_at')
    #: When the work began.
    started_at = resource.Body('started_at')
    #: When the answer was there.
    finished_at = resource.Body('finished_at')
