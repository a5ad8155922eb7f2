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
"""Options of the cache of parsed logs."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'local_cache',
    title='Cache of parsed logs',
    help="""
What a local analysis (``--log-dir``) parsed is kept, so that the next
question about the same folder does not parse it again. The cache holds the
text of the logs: treat it like them. Its folders have mode 0700 and its files
0600.
""")

OPTIONS = (
    cfg.StrOpt(
        'directory',
        default='',
        help="""
Folder of the cache. It is made when it is missing.

Possible values:

* A path. ``~`` is the home directory.
* Empty (default): ``openstack-rca`` in ``$XDG_CACHE_HOME``, which is
  ``~/.cache`` where that variable is not set.
"""),
    cfg.IntOpt(
        'max_age',
        default=7 * 24 * 3600,
        min=0,
        help="""
Seconds after which a parsed folder that nobody asked about is deleted.

Possible values:

* 0: keep nothing from one command to the next.
* Any positive number; the default is 7 days.

Related options:

* ``[local_cache] max_size`` can delete earlier.
"""),
    cfg.IntOpt(
        'max_size',
        default=2 << 30,
        min=0,
        help="""
Bytes that the cache may take. When it is larger, what was used longest ago is
deleted first.

Possible values:

* 0: keep nothing from one command to the next.
* Any positive number; the default is 2 GiB.

Related options:

* ``[local_cache] max_age``
"""),
)
