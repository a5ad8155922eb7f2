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
"""Options of what the engine keeps of the logs."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'store',
    title='Stored events',
    help="""
How long the engine keeps what it read. A log that is rotated away or deleted
stays until then; what is dropped here is not read again, even if its file is
still there. The oldest goes first, in segments of some megabytes.
""")

OPTIONS = (
    cfg.FloatOpt(
        'retention_days',
        default=30.0,
        min=0.0,
        max=36500.0,
        help="""
Days that events are kept. They count from when an event was stored, so that a
wrong clock in a log drops nothing.

Possible values:

* A number of days. Events go at most an eighth of that time later.
* ``0``: events are kept, whatever their age.
"""),
    cfg.IntOpt(
        'max_bytes',
        default=0,
        min=0,
        help="""
Bytes of the disk that the events of one source may take. What is over it is
dropped, the oldest first.

Possible values:

* A number of bytes. While segments are united, they take some MiB more.
* ``0`` (default): as many as there are.
"""),
)
