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
"""Which release this is, for logs and reports of the services."""

from pbr import version

VENDOR = 'OpenStack'
PRODUCT = 'openstack-rca'

version_info = version.VersionInfo('openstack_rca')


def vendor_string() -> str:
    """Who made it, for oslo.reports."""
    return VENDOR


def product_string() -> str:
    """What it is, for oslo.reports."""
    return PRODUCT


def version_string_with_package() -> str:
    """Which release, for oslo.reports."""
    release: str = version_info.version_string()
    return release
