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
"""Whether the API can work: oslo.middleware's check, with the database."""

from collections.abc import Callable
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from oslo_middleware import healthcheck
from oslo_middleware.healthcheck import pluginbase
from stevedore import extension

from openstack_rca import exception
from openstack_rca.db import api as db

LOG = logging.getLogger(__name__)


class Database(pluginbase.HealthcheckBaseExtension):
    """Not ok while the database does not answer."""

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Ask the database for an answer."""
        try:
            db.ping()
        except exception.DatabaseUnavailable as error:
            # The way is open to everybody: the reason is for the log.
            LOG.error('%s', error)
            return pluginbase.HealthcheckResult(False, 'not ok')
        return pluginbase.HealthcheckResult(True, 'OK')


class Healthcheck(healthcheck.Healthcheck):
    """The health check with the database always among its backends.

    :param application: what answers callers that ``[healthcheck]
        allowed_source_ranges`` leaves out
    :param conf: where ``[healthcheck]`` stands
    """

    def __init__(self, application: Callable[..., Any],
                 conf: cfg.ConfigOpts) -> None:
        super().__init__(application, conf)
        self._backends.extensions.append(extension.Extension(
            'database', None, Database,  # type: ignore[arg-type]
            Database(self.oslo_conf, self.conf)))
