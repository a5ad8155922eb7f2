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
"""Options of what is already known."""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'knowledge',
    title='Knowledge',
    help="""
What is already known of failures: signatures, by which an analysis
recognises them.
""")

OPTIONS = (
    cfg.ListOpt(
        'signature_dirs',
        default=[],
        help="""
Folders of your own signatures, beside those that come with the package. Each
file ``*.yaml`` of them is a signature; one with the name of another replaces
it, that of a later folder that of an earlier one and of the package.

Possible values:

* Paths of folders, separated by commas, such as
  ``/etc/openstack-rca/signatures``. A folder that cannot be read, or a file
  that is no signature, is left out, and logged with what is wrong with it.
* Empty (default): the signatures of the package alone.
"""),
)
