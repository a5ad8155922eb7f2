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
import logging
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
    :returns: the proxy of openstacksdk, see :mod:`openstack_rca.sdk`
    :raises RCAException: the catalog does not name the service
    """
    from openstack import exceptions

    from openstack_rca.osc import errors
    from openstack_rca.sdk import service
    from openstack_rca.sdk.v1 import _proxy
    connection = instance.sdk_connection
    connection.add_service(service.RootCauseAnalysisService())
    # keystoneauth says that it falls back to something where the service
    # does not answer; what is the matter is told below.
    quiet = logging.getLogger('keystoneauth.discover')
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        client = connection.root_cause_analysis
        if isinstance(client, _proxy.Proxy):
            return client
        raise exception.RCAException(errors.NO_ENDPOINT)
    except exceptions.NotSupported:
        # openstacksdk found no version at the address. Ask there once more
        # for the reason: it is down, or it is something else.
        adapter = connection.config.get_session_client(service.SERVICE_TYPE)
        connection.session.get(adapter.get_endpoint(skip_discovery=True),
                               authenticated=False)
        raise
    finally:
        quiet.setLevel(before)


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
