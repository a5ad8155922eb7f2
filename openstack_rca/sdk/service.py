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
"""How openstacksdk finds the service in a catalog, and talks to it.

This package imports nothing else of the project: it is all that a program
needs that asks the service::

    conn = openstack.connect(cloud='mycloud')
    conn.add_service(service.RootCauseAnalysisService())
    conn.root_cause_analysis.create_analysis(issue='web-3 went to ERROR')
"""

from typing import Any

from openstack import service_description

from openstack_rca.sdk.v1 import _proxy

SERVICE_TYPE = 'root-cause-analysis'


class RootCauseAnalysisService(
        service_description.ServiceDescription[_proxy.Proxy]):
    """The root cause analysis service.

    :param service_type: its type in the catalog
    :param kwargs: see openstacksdk's class
    """

    supported_versions = {'1': _proxy.Proxy}

    def __init__(self, service_type: str = SERVICE_TYPE,
                 **kwargs: Any) -> None:
        super().__init__(service_type, **kwargs)
