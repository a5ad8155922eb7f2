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
"""Options of the engine."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'engine',
    title='Engine',
    help="""
How openstack-rca-engine does its work. Every analysis and every query is a
row of the database; engines claim rows for a while (a lease), and work on
each in a process of its own.
""")

OPTIONS = (
    cfg.IntOpt(
        'workers',
        default=2,
        min=1,
        max=64,
        help="""
Analyses and queries that one engine works on at the same time. Each has a
process of its own; the others wait in the database.
"""),
    cfg.IntOpt(
        'job_timeout',
        default=300,
        min=1,
        help="""
Seconds that one analysis or query may take. Its process is ended then, and it
fails.
"""),
    cfg.IntOpt(
        'job_memory',
        default=4 << 30,
        min=256 << 20,
        help="""
Bytes of memory that the process of one analysis or query may hold. It is
ended when it holds more, and the analysis fails. The default is 4 GiB.
"""),
    cfg.IntOpt(
        'worker_idle',
        default=600,
        min=1,
        help="""
Seconds after which an idle process is ended. One stays, so that the next
question is answered at once.
"""),
    cfg.IntOpt(
        'lease',
        default=60,
        min=3,
        max=3600,
        help="""
Seconds for which an engine claims a row. It renews the claim three times in
that time. When an engine dies, another one takes its rows when the claim has
run out. All engines of a database should have the same value.
"""),
    cfg.IntOpt(
        'max_attempts',
        default=3,
        min=1,
        max=10,
        help="""
How often a row is tried whose process or engine dies, before it fails: an
analysis that kills its process must not walk through all engines for ever.
"""),
)
