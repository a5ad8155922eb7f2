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
"""Models: what detectors have learned."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Model(_base.Resource):
    """A trained model, or one that is being trained."""

    resources_key = 'models'
    base_path = '/models'

    allow_create = True
    allow_fetch = True
    allow_commit = True
    allow_delete = True
    allow_list = True
    commit_method = 'PATCH'

    _query_mapping = resource.QueryParameters('detector', 'status', 'origin')

    #: The detector that it is for.
    detector = resource.Body('detector')
    #: The sources that it is trained on. *Type: list*
    sources = resource.Body('sources')
    #: Only what happened from this time on, ISO 8601 with an offset.
    since = resource.Body('since')
    #: Only what happened up to this time.
    until = resource.Body('until')
    #: Times in which users were harmed, or not. *Type: list*
    labels = resource.Body('labels')
    #: Whether ratings of analyses are labels, too. *Type: bool*
    verdicts = resource.Body('verdicts')
    #: How it is trained. *Type: dict*
    settings = resource.Body('settings')

    #: Sorts by time; None before it is trained.
    version = resource.Body('version')
    #: shipped, trained or imported.
    origin = resource.Body('origin')
    #: queued, running, complete or failed.
    status = resource.Body('status')
    #: Whether its detector uses it. *Type: bool*
    active = resource.Body('active')
    #: The engine that has its weights.
    host = resource.Body('host')
    #: What is being done: what, share, figures. *Type: dict*
    progress = resource.Body('progress')
    #: Why it failed: code, title, message. *Type: dict*
    error = resource.Body('error')
    #: The project that asked for it.
    project_id = resource.Body('project_id')
    #: The user who asked for it.
    user_id = resource.Body('user_id')
    #: When somebody asked for it.
    created_at = resource.Body('created_at')
    #: When the work began.
    started_at = resource.Body('started_at')
    #: When it was there.
    finished_at = resource.Body('finished_at')
    #: When it was trained.
    trained_at = resource.Body('trained_at')
    #: Sources, events, times, templates. *Type: dict*
    trained_on = resource.Body('trained_on')
    #: Figures of the held-out part. *Type: dict*
    metrics = resource.Body('metrics')
    #: From which score on something is abnormal. *Type: dict*
    thresholds = resource.Body('thresholds')
    #: Versions of what trained it. *Type: dict*
    libraries = resource.Body('libraries')
    #: The checksum of its weights.
    sha256 = resource.Body('sha256')
    #: The size of its weights. *Type: int*
    bytes = resource.Body('bytes')
    #: What was asked for. *Type: dict*
    request = resource.Body('request')
    #: Age, unseen templates, shift of scores. *Type: dict*
    drift = resource.Body('drift')
    #: When it was activated, and by whom. *Type: list*
    activations = resource.Body('activations')
