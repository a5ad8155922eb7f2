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
"""Options of what others are told."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'publishing',
    title='Publishing',
    help="""
What happens to incidents and analyses goes out as notifications, see
``[oslo_messaging_notifications] driver``, and to the receivers of
``[webhooks] urls``. It is written into the database with the change itself,
and any engine sends it: all engines of a database should have the same values
here, there, and in ``[webhooks]``.
""")

OPTIONS = (
    cfg.URIOpt(
        'public_endpoint',
        schemes=['http', 'https'],
        mutable=True,
        help="""
Address of the API as people reach it, such as
``https://cloud.example.org:8990``. What goes out links to the incident or the
analysis below it. Without it there are no links.
"""),
    cfg.IntOpt(
        'give_up_after',
        default=86400,
        min=60,
        max=30 * 86400,
        mutable=True,
        help="""
Seconds after which nobody tries any more to tell a receiver that cannot be
told. It is counted then, and logged. The default is a day.
"""),
    cfg.IntOpt(
        'keep',
        default=86400,
        min=0,
        mutable=True,
        help="""
Seconds for which the database keeps what was sent, or was given up. The
default is a day.
"""),
)
