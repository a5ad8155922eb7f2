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
"""Options of the analysis and of the report."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'analysis',
    title='Analysis',
    help="""
How much a report may hold. The greatest values are those of the report
format: a reader of reports can rely on them.
""")

OPTIONS = (
    cfg.IntOpt(
        'max_hypotheses',
        default=10,
        min=1,
        max=10,
        help='Causes that a report names at most.'),
    cfg.IntOpt(
        'max_evidence',
        default=200,
        min=1,
        max=200,
        help='Pieces of evidence that a report holds at most.'),
    cfg.IntOpt(
        'max_timeline',
        default=200,
        min=1,
        max=200,
        help='Entries that the timeline of a report holds at most.'),
    cfg.StrOpt(
        'codemaps',
        help="""
Folder of the code maps of the services' own release, one file
``PACKAGE.codemap.gz`` each, which tell what part of their source logs a
message and what it calls. Without it the maps of OpenStack 2026.2 that come
with the package are used. A service without a map is analysed all the same.

Related options:

* ``openstack-rca-manage codemap build`` makes such files.
"""),
)
