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
"""Options that bound what a folder of logs may cost."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'limits',
    title='Limits of the input',
    help="""
Logs come from anywhere: these limits keep a damaged or hostile file from
taking the memory, the disk or the time of the machine. What is left out
because of one of them is listed in the report under ``skipped``.
""")

OPTIONS = (
    cfg.IntOpt(
        'max_line_bytes',
        default=1 << 20,
        min=1024,
        help="""
Bytes of one line that are kept; the rest of a longer line is left out. The
default is 1 MiB.
"""),
    cfg.IntOpt(
        'max_total_bytes',
        default=64 << 30,
        min=1 << 20,
        help="""
Bytes of uncompressed text that one command reads from all files together. The
default is 64 GiB.
"""),
    cfg.IntOpt(
        'max_uncompressed_bytes',
        default=8 << 30,
        min=1 << 20,
        help="""
Bytes that one compressed file or archive may unpack to. The default is 8 GiB.

Related options:

* ``[limits] max_ratio``
"""),
    cfg.IntOpt(
        'max_ratio',
        default=1000,
        min=2,
        help="""
How many times its stored size a compressed file may unpack to before it is
taken for a decompression bomb. The first 64 MiB of a file are free: short logs
that say the same again and again shrink to next to nothing.

Related options:

* ``[limits] max_uncompressed_bytes``
"""),
    cfg.IntOpt(
        'max_members',
        default=100000,
        min=1,
        help='Members that one archive may have. The rest is left out.'),
    cfg.IntOpt(
        'max_files',
        default=200000,
        min=1,
        help='Files that a folder may have. The rest is left out.'),
)
