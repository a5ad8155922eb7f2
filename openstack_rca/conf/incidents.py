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
"""Options of the incidents that engines open."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'incidents',
    title='Incidents',
    help="""
What engines see in the logs becomes incidents: one for each cause, however
many services complain.
""")

OPTIONS = (
    cfg.StrOpt(
        'project_id',
        default='',
        help="""
Project whose administrators see the incidents that engines open. It should be
the project in which the operators of the cloud work: logs tell of all
projects.

Possible values:

* Empty: engines write symptoms down and open no incident. They say so when
  they start.
* The id of a project, 32 hexadecimal digits
  (``openstack project show admin -c id -f value``).
"""),
    cfg.IntOpt(
        'window',
        default=180,
        min=10,
        max=3600,
        help="""
Seconds after its last symptom in which an incident takes further symptoms
that fit its cause. Those that name a request or a resource of it are taken as
long as it is not resolved.
"""),
    cfg.IntOpt(
        'resolve_after',
        default=600,
        min=0,
        help="""
Seconds without a symptom after which an engine resolves an incident that an
engine opened. An incident that somebody acknowledged is left to them.

Possible values:

* 0: never.
* Any positive number; the default is 10 minutes.
"""),
    cfg.IntOpt(
        'reopen_within',
        default=3600,
        min=0,
        help="""
Seconds after it was resolved by an engine in which an incident is opened
again when the same cause comes back, instead of a new one. An incident that a
person resolved stays resolved.
"""),
    cfg.BoolOpt(
        'analyze',
        default=True,
        help="""
Whether an incident is analysed by itself when it is opened, and again when
its likeliest cause changes.
"""),
    cfg.StrOpt(
        'mode',
        default='full',
        choices=('fast', 'full'),
        help="""
How such an analysis looks: ``fast`` by statistics and words, ``full`` with
the detectors that learn and the search by meaning, too.
"""),
)
