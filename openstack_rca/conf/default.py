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
"""Options that belong to no part alone."""

import socket

from oslo_config import cfg

GROUP = cfg.OptGroup('DEFAULT')

OPTIONS = (
    cfg.StrOpt(
        'state_path',
        default='/var/lib/openstack-rca',
        help="""
Folder in which the engine keeps the events that it parsed. It is made with
mode 0700 when it is missing. It holds the text of the logs: treat it like
them.

Each engine needs a folder of its own, on a disk of its host.
"""),
    cfg.StrOpt(
        'host',
        default=socket.gethostname(),
        max_length=255,
        sample_default='<host name>',
        help="""
Name of this engine among the engines that share a database. Two engines on
one host need two names.
"""),
)
