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
"""Drivers by their names, and the one of the configuration for models."""

from openstack_rca import conf
from openstack_rca import drivers
from openstack_rca.models import base as models

check = drivers.check
load = drivers.load


def model_store() -> models.Store:
    """Where trained models are kept.

    :raises DriverNotFound: ``[models] driver`` names none
    """
    made: models.Store = load('openstack_rca.models',
                              conf.CONF.models.driver)()
    return made
