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
"""The plugin of python-openstackclient.

Everything here is imported whenever ``openstack`` starts, whatever the
command: it must cost next to nothing.
"""

import argparse
import os
from typing import Any

from openstack_rca import exception

DEFAULT_API_VERSION = '1'
API_VERSION_OPTION = 'os_root_cause_analysis_api_version'
API_NAME = 'root_cause_analysis'
API_VERSIONS = ('1',)


def make_client(instance: Any) -> Any:
    """Hand out the client of the service.

    :param instance: the client manager of python-openstackclient
    :raises InvalidInput: always: this release works in process, on a folder
        of logs
    """
    raise exception.InvalidInput(
        reason='This release has no root cause analysis service. Name a '
               'folder of logs with --log-dir.')


def build_option_parser(
        parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the global options of the plugin.

    :param parser: the parser of ``openstack``
    :returns: the same parser
    """
    parser.add_argument(
        '--os-root-cause-analysis-api-version',
        metavar='<root-cause-analysis-api-version>',
        default=os.environ.get('OS_ROOT_CAUSE_ANALYSIS_API_VERSION',
                               DEFAULT_API_VERSION),
        help='Root cause analysis API version, default='
             f'{DEFAULT_API_VERSION} '
             '(Env: OS_ROOT_CAUSE_ANALYSIS_API_VERSION)')
    return parser
