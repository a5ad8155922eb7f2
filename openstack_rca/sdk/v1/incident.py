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
"""Incidents: troubles with a life."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Incident(_base.Resource):
    """A trouble that is open, acknowledged, resolved or suppressed."""

    resources_key = 'incidents'
    base_path = '/incidents'

    allow_fetch = True
    allow_commit = True
    allow_list = True
    commit_method = 'PATCH'

    _query_mapping = resource.QueryParameters('status')

    #: open, acknowledged, resolved or suppressed.
    status = resource.Body('status')
    #: How it was solved, or why it is suppressed, in words.
    resolution = resource.Body('resolution')
    #: What it is about.
    title = resource.Body('title')
    #: The answer of its analysis in a sentence or two.
    summary = resource.Body('summary')
    #: The faulty part.
    component = resource.Body('component')
    #: The category of the cause.
    category = resource.Body('category')
    #: The host of the faulty part.
    host = resource.Body('host')
    #: How bad it is.
    severity = resource.Body('severity')
    #: How sure the cause is, from 0 to 1. *Type: float*
    confidence = resource.Body('confidence')
    #: The analysis with its report.
    analysis_id = resource.Body('analysis_id')
    #: The project that it belongs to.
    project_id = resource.Body('project_id')
    #: When it was opened.
    created_at = resource.Body('created_at')
    #: When it was changed last.
    updated_at = resource.Body('updated_at')
    #: When somebody took it on.
    acknowledged_at = resource.Body('acknowledged_at')
    #: Who did.
    acknowledged_by = resource.Body('acknowledged_by')
    #: When it was solved.
    resolved_at = resource.Body('resolved_at')
    #: Who solved it.
    resolved_by = resource.Body('resolved_by')
    #: Who opened it: engine or analysis.
    origin = resource.Body('origin')
    #: When its first symptom was logged.
    first_seen = resource.Body('first_seen')
    #: When its last symptom was logged.
    last_seen = resource.Body('last_seen')
    #: How many symptoms it has. *Type: int*
    symptoms = resource.Body('symptoms')
    #: How often engines opened it again. *Type: int*
    reopened = resource.Body('reopened')
    #: The incident that it turned out to be a part of.
    merged_into = resource.Body('merged_into')
    #: Until when it is suppressed; none, for good.
    suppressed_until = resource.Body('suppressed_until')
    #: Who suppressed it.
    suppressed_by = resource.Body('suppressed_by')
