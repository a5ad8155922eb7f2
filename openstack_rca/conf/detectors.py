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
"""Options of the detectors."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'detectors',
    title='Detectors',
    help="""
Detectors say which events and windows are abnormal. Each is a driver in the
entry point namespace ``openstack_rca.detectors``.
""")

OPTIONS = (
    cfg.ListOpt(
        'enabled',
        default=['novelty', 'lstm'],
        help="""
Names of the detectors that analyses use, and that watch what is logged. Those
that learn are used by analyses in mode ``full``, and need a model: the newest
one that came with the package, or the one that was activated.

Possible values:

* ``novelty``: templates unseen or rare against the quiet part of the same
  logs or against a baseline, bursts, levels, failed and slow requests.
* ``counts``: processes that fall silent, and those that log another mixture
  of templates than they do at other times.
* ``lstm``: learns what requests and processes do when all is well and, from
  labels, in which order rare messages are a sign of harm.
* The name of any other driver that is installed in the namespace
  ``openstack_rca.detectors``. A name that is not installed stops the command
  with a message.
"""),
    cfg.FloatOpt(
        'watch_interval',
        default=1.0,
        min=0.0,
        max=3600.0,
        help="""
Seconds between two looks of the engine for new events to judge. What it finds
is a symptom: a row of the database, and a warning in the log of the engine.

Possible values:

* 0: never; logs are only looked at when somebody asks.
* Any positive number up to 3600; the default is 1 second.
"""),
    cfg.IntOpt(
        'watch_lookback',
        default=600,
        min=0,
        help="""
Seconds before the newest event that are judged when an engine starts for the
first time. What is older is history, and opens no symptom.
"""),
)
