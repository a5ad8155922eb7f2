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
"""Analyses: a question, and the report that answers it."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Analysis(_base.Resource):
    """One question and its answer.

    A list gives the summary of each; :meth:`Proxy.get_analysis` gives the
    whole report, in its attributes and as ``document``.
    """

    resources_key = 'analyses'
    base_path = '/analyses'

    allow_create = True
    allow_fetch = True
    allow_delete = True
    allow_list = True

    _query_mapping = resource.QueryParameters('status', 'verdict')

    #: What is wrong, in the words of the person who asked.
    issue = resource.Body('issue')
    #: Only events from this time on, ISO 8601 with an offset.
    since = resource.Body('since')
    #: Only events up to this time.
    until = resource.Body('until')
    #: Only events of these requests. *Type: list*
    request_ids = resource.Body('request_ids')
    #: Only events of these servers, by UUID or name. *Type: list*
    servers = resource.Body('servers')
    #: Only events of these services or binaries. *Type: list*
    services = resource.Body('services')
    #: How to look: fast or full.
    mode = resource.Body('mode')
    #: Whether to keep the answer as an incident. *Type: bool*
    incident = resource.Body('incident')

    #: queued, running, complete or failed.
    status = resource.Body('status')
    #: cause_found, insufficient_evidence or nothing_abnormal.
    verdict = resource.Body('verdict')
    #: Why it failed: code, title, message. *Type: dict*
    error = resource.Body('error')
    #: How many analyses are before it while it is queued. *Type: int*
    queue_position = resource.Body('queue_position')
    #: How often the work was begun. *Type: int*
    attempts = resource.Body('attempts')
    #: The project that asked.
    project_id = resource.Body('project_id')
    #: The user who asked.
    user_id = resource.Body('user_id')
    #: The incident that the answer is kept as.
    incident_id = resource.Body('incident_id')
    #: The caller's own judgement: right, partly or wrong.
    rating = resource.Body('rating')
    #: When the question came.
    created_at = resource.Body('created_at')
    #: When the work began.
    started_at = resource.Body('started_at')
    #: When the answer was there.
    finished_at = resource.Body('finished_at')

    #: The version of the document. *Type: int*
    version = resource.Body('version')
    #: What was looked at: times, requests, resources, services.
    scope = resource.Body('scope')
    #: The answer in a sentence or two.
    summary = resource.Body('summary')
    #: The category of the first cause.
    category = resource.Body('category')
    #: The faulty part (in lists).
    component = resource.Body('component')
    #: How bad it is.
    severity = resource.Body('severity')
    #: How sure the answer is, from 0 to 1. *Type: float*
    confidence = resource.Body('confidence')
    #: What is hit. *Type: dict*
    impact = resource.Body('impact')
    #: The possible causes, the likeliest first. *Type: list*
    hypotheses = resource.Body('hypotheses')
    #: The records that prove them. *Type: list*
    evidence = resource.Body('evidence')
    #: What happened, in order. *Type: list*
    timeline = resource.Body('timeline')
    #: What stands out in numbers. *Type: dict*
    patterns = resource.Body('patterns')
    #: What it resembles. *Type: list*
    similar = resource.Body('similar')
    #: What to do. *Type: list*
    recommendations = resource.Body('recommendations')
    #: The answer as prose, where a language model wrote one. *Type: dict*
    narrative = resource.Body('narrative')
    #: What was read. *Type: list*
    coverage = resource.Body('coverage')
    #: What was not read, and why. *Type: list*
    skipped = resource.Body('skipped')
    #: How much was read, and how long it took. *Type: dict*
    statistics = resource.Body('statistics')
