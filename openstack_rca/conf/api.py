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
"""Options of the API."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'api',
    title='API',
    help="""
What one caller of the API may cost.
""")

OPTIONS = (
    cfg.IntOpt(
        'max_limit',
        default=1000,
        min=1,
        max=1000,
        help='Rows that one page of a list holds at most.'),
    cfg.IntOpt(
        'max_body',
        default=1 << 20,
        min=1 << 10,
        max=16 << 20,
        help="""
Bytes that the body of a request may have. The default is 1 MiB.
"""),
    cfg.IntOpt(
        'max_queued',
        default=1000,
        min=1,
        help="""
Analyses and queries that one project may have waiting or running. Further
ones are refused with status 429 until some are complete.
"""),
)
