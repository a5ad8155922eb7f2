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
"""Questions about analyses that are complete."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Question(_base.Resource):
    """A question about an analysis, and what answers it."""

    resources_key = 'questions'
    base_path = '/analyses/%(analysis_id)s/questions'

    allow_create = True
    allow_fetch = True
    allow_list = True

    #: The analysis.
    analysis_id = resource.URI('analysis_id')
    #: What was asked.
    question = resource.Body('question')
    #: fast or full.
    mode = resource.Body('mode')
    #: queued, running, complete or failed.
    status = resource.Body('status')
    #: text, evidence, knowledge and what it is about. *Type: dict*
    answer = resource.Body('answer')
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
