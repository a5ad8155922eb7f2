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
"""Options of the sources that the engine reads."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'sources',
    title='Sources',
    help="""
What the engine reads. The events are kept below ``[DEFAULT] state_path``,
which holds the text of the logs: treat it like them.
""")

OPTIONS = (
    cfg.DictOpt(
        'log_dirs',
        default={},
        help="""
Folders of logs, log files, tar archives of logs and journals on the host of
the engine, each with the name that users of the API see.

Possible values:

* ``name:path`` pairs, separated by commas, such as
  ``control:/var/log,network:/srv/logs/network``. A name has at most 64
  letters, digits, dots, dashes and underscores. Paths with a comma can not
  be given; make a symbolic link.
* ``name:journal:`` for the journal of the host, ``name:journal:/path`` for one
  in a folder. They are read by ``journalctl``.
* Empty (default): the engine reads nothing, and says so at its start.

Related options:

* The options of ``[limits]`` bound what is read.
* The options of ``[store]`` say how long it is kept.
"""),
    cfg.FloatOpt(
        'interval',
        default=5.0,
        min=0.1,
        max=3600.0,
        help="""
Seconds between two looks for what is new in the folders, where the kernel
does not tell of it: on network file systems, and when it has no watches left.
Otherwise new lines are read within a second.
"""),
    cfg.StrOpt(
        'timezone',
        default='UTC',
        help="""
Time zone of timestamps in the logs that carry none.

Possible values:

* A name of the IANA time zone database, such as ``Europe/Paris``.
"""),
)
