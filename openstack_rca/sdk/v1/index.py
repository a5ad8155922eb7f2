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
"""The index of what is known."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Index(_base.Resource):
    """Something done to the index of an engine; a query follows it."""

    resources_key = 'index'
    base_path = '/index'

    allow_create = True
    allow_list = True

    _query_mapping = resource.QueryParameters('status')

    #: status, verify, rebuild or clear.
    action = resource.Body('action')
    #: queued, running, complete or failed.
    status = resource.Body('status')
    #: What was asked. *Type: dict*
    request = resource.Body('request')
    #: Why it failed: code, title, message. *Type: dict*
    error = resource.Body('error')
    #: The project that asked.
    project_id = resource.Body('project_id')
    #: The user who asked.
    user_id = resource.Body('user_id')
    #: When it was asked.
    created_at = resource.Body('created_at')
    #: When the work began.
    started_at = resource.Body('started_at')
    #: When it was done.
    finished_at = resource.Body('finished_at')
