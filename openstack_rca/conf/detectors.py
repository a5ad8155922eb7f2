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
        default=['novelty', 'counts'],
        help="""
Names of the detectors that an analysis uses.

Possible values:

* ``novelty``: templates unseen or rare against the quiet part of the same
  logs or against a baseline, bursts, levels, failed and slow requests.
* ``counts``: processes that fall silent, and those that log another mixture
  of templates than they do at other times.
* The name of any other driver that is installed in the namespace
  ``openstack_rca.detectors``. A name that is not installed stops the command
  with a message.
"""),
)
