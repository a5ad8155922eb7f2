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
"""Sources: what the engines read."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Source(_base.Resource):
    """One configured source of an engine; its id is its name there."""

    resources_key = 'sources'
    base_path = '/sources'

    allow_list = True

    #: The host of the engine that reads it.
    host = resource.Body('host')
    #: ready, reading or failed.
    status = resource.Body('status')
    #: Why it failed.
    error = resource.Body('error')
    #: When the engine last told.
    updated_at = resource.Body('updated_at')
    #: How many events it holds. *Type: int*
    events = resource.Body('events')
    #: How large it is. *Type: int*
    bytes = resource.Body('bytes')
    #: The files in it. *Type: list*
    files = resource.Body('files')
    #: What was not read, and why. *Type: list*
    skipped = resource.Body('skipped')
