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
"""Knowledge: documents, resolved incidents, judged analyses."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Entry(_base.Resource):
    """Something that is known: a section of a document, for example."""

    resources_key = 'knowledge'
    base_path = '/knowledge'

    allow_fetch = True
    allow_delete = True
    allow_list = True

    _query_mapping = resource.QueryParameters('kind', 'service', 'source',
                                              'texts')

    #: document, incident or analysis.
    kind = resource.Body('kind')
    #: What it is called.
    title = resource.Body('title')
    #: What it says; lists have it where it was asked for.
    text = resource.Body('text')
    #: The document that it is a section of.
    source = resource.Body('source')
    #: The service that it is about.
    service = resource.Body('service')
    #: Words that searches find it by. *Type: list*
    tags = resource.Body('tags')
    #: Where it can be read.
    url = resource.Body('url')
    #: What solved it.
    resolution = resource.Body('resolution')
    #: The incident that it was learned from.
    incident_id = resource.Body('incident_id')
    #: The analysis that it was learned from.
    analysis_id = resource.Body('analysis_id')
    #: The project that it belongs to.
    project_id = resource.Body('project_id')
    #: Who wrote it down.
    user_id = resource.Body('user_id')
    #: When it was written down.
    created_at = resource.Body('created_at')
    #: When it was changed last.
    updated_at = resource.Body('updated_at')


class Import(_base.Resource):
    """What is handed in, and how much of it was new."""

    base_path = '/knowledge'

    allow_create = True

    #: What the document is known by.
    source_name = resource.Body('name')
    #: The document.
    content = resource.Body('content')
    #: rst, markdown, html or text.
    format = resource.Body('format')
    #: The service that it is about.
    service = resource.Body('service')
    #: Words that searches find it by. *Type: list*
    tags = resource.Body('tags')
    #: Where it can be read.
    url = resource.Body('url')
    #: Entries of a backup instead of a document. *Type: list*
    entries = resource.Body('entries')

    #: How many entries are new. *Type: int*
    added = resource.Body('added')
    #: How many were there. *Type: int*
    kept = resource.Body('kept')
    #: How many the document does not hold any more. *Type: int*
    removed = resource.Body('removed')
