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
"""Ratings: whether an analysis was right."""

from openstack import resource

from openstack_rca.sdk.v1 import _base


class Rating(_base.Resource):
    """The judgement of one user about one analysis."""

    base_path = '/analyses/%(analysis_id)s/rating'
    # There is one for each user: the address needs no id.
    requires_id = False

    allow_commit = True
    commit_method = 'PUT'

    #: The analysis.
    analysis_id = resource.URI('analysis_id')
    #: right, partly or wrong.
    rating = resource.Body('rating')
    #: The part that was faulty in truth.
    component = resource.Body('component')
    #: What else there is to say.
    comment = resource.Body('comment')
    #: The cause in truth, in words.
    cause = resource.Body('cause')
    #: Who judged.
    user_id = resource.Body('user_id')
    #: When the judgement was given first.
    created_at = resource.Body('created_at')
    #: When it was changed last.
    updated_at = resource.Body('updated_at')
