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
"""Options of the webhooks."""

from oslo_config import cfg
from oslo_config import types

GROUP = cfg.OptGroup(
    'webhooks',
    title='Webhooks',
    help="""
Receivers that are told of incidents and analyses by HTTP, as Alertmanager
tells its webhook receivers. They get ids, component, category, severity, host,
times and a link, and nothing that a log says. The addresses come from here
alone: no user of the API can name one.
""")

EVENTS = ('rca.incident.create', 'rca.incident.update',
          'rca.incident.resolve', 'rca.analysis.complete')

OPTIONS = (
    cfg.DictOpt(
        'urls',
        default={},
        secret=True,
        mutable=True,
        help="""
Who is told: names, each with a URL, such as
``pager:https://pager.example.org/hook,chat:https://chat.example.org/rca``. A
name has small letters, digits, ``_`` and ``-``. Redirects are not followed,
and no proxy is used.
"""),
    cfg.ListOpt(
        'events',
        default=list(EVENTS),
        item_type=types.String(choices=EVENTS),
        mutable=True,
        help='What the receivers are told of.'),
    cfg.ListOpt(
        'secrets',
        default=[],
        secret=True,
        mutable=True,
        help="""
What each request is signed with (HMAC-SHA256, as Standard Webhooks has it), so
that a receiver knows who sent it. With more than one secret there are as many
signatures: name the new one beside the old one until all receivers know it. A
secret that begins with ``whsec_`` is base64 after that; any other one is taken
as it stands. Without a secret nothing is signed.
"""),
    cfg.IntOpt(
        'timeout',
        default=10,
        min=1,
        max=60,
        mutable=True,
        help='Seconds that a receiver has for the whole of its answer.'),
    cfg.StrOpt(
        'ca_file',
        mutable=True,
        help="""
File of the certificates that receivers are checked with, instead of those of
the system.
"""),
    cfg.BoolOpt(
        'insecure',
        default=False,
        mutable=True,
        help="""
Whether the certificates of receivers go unchecked. Then anybody between the
engine and a receiver can read and change what it is told.

Related options:

* ``[webhooks] ca_file``
"""),
)
