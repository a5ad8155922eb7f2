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
"""What a WSGI server loads: ``openstack_rca.wsgi.api:application``."""

from openstack_rca import threads  # noqa: F401

# isort: split
import os
import sys

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.api import app
from openstack_rca.api import middleware


def _application() -> middleware.Application:
    try:
        # Without it, the usual files are read, as by every program.
        told = os.environ.get('OS_RCA_CONFIG_FILES', '')
        conf.load(files=[f for f in told.split(';') if f] or None)
        logging.setup(conf.CONF, conf.PROJECT)
        return app.create(conf.CONF)
    except exception.RCAException as error:
        # A WSGI server prints this and stops, instead of a traceback.
        sys.exit(f'openstack-rca-api: {error}')


application = _application()
