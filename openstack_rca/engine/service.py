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
"""The engine as a service: what oslo.service starts and stops."""

import contextlib
import threading
from typing import Any

from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_messaging.rpc import dispatcher
from oslo_service import service

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import rpc
from openstack_rca.engine import manager
from openstack_rca.engine import meditation
from openstack_rca.engine import metrics
from openstack_rca.engine import state

LOG = logging.getLogger(__name__)

#: Seconds that the message bus has at the end.
_GOODBYE = 3.0


class Endpoint:
    """What other processes may call.

    :param work: the manager
    """

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self, work: manager.Manager) -> None:
        self._work = work

    @messaging.expose
    def nudge(self, context: dict[str, Any], job_id: str) -> None:
        """There is a row for an engine.

        :param context: of the caller, not used
        :param job_id: id of the row
        """
        LOG.debug('Nudged for the job %s', job_id)
        self._work.nudge()


class EngineService(service.Service):
    """One engine. Everything is opened after the fork.

    :param args: options of the command line, for the engine's processes
    """

    def __init__(self, args: list[str]) -> None:
        super().__init__()
        self._args = args
        self._manager: manager.Manager | None = None
        self._monitor = metrics.Monitor()
        self._server: Any = None

    def start(self) -> None:
        """Begin to work, see oslo.service."""
        state.prepare()
        self._manager = manager.Manager(self._args)
        self._manager.start()
        meditation.ENGINE.describe = self._manager.described
        self._monitor.start()
        if rpc.configured():
            # It may have to wait for a bus that is away.
            threading.Thread(target=self._listen, name='bus',
                             daemon=True).start()
        else:
            LOG.info('[DEFAULT] transport_url is not set: new rows are '
                     'looked for, and nobody nudges')

    def _listen(self) -> None:
        assert self._manager is not None
        try:
            self._server = messaging.get_rpc_server(
                rpc.transport(), rpc.target(conf.CONF.host),
                [Endpoint(self._manager)],
                access_policy=dispatcher.ExplicitRPCAccessPolicy)
            self._server.start()
        except exception.RCAException as error:
            LOG.error('%s New rows are found without it.', error)
        except Exception as error:
            # Whatever a driver raises: the engine works without.
            LOG.error('The message bus cannot be used (%s). New rows are '
                      'found without it.', type(error).__name__)

    def stop(self, graceful: bool = True) -> None:
        """End the work, see oslo.service.

        :param graceful: running jobs get some seconds either way
        """
        # First of all: the engine that follows may be waiting for the port.
        self._monitor.stop()
        if self._manager is not None:
            self._manager.stop()
        if self._server is not None:
            # A bus that is away must not hold up the end.
            goodbye = threading.Thread(target=self._hang_up, daemon=True)
            goodbye.start()
            goodbye.join(_GOODBYE)
        if self._manager is not None:
            self._manager.wait()
        super().stop(graceful)

    def _hang_up(self) -> None:
        with contextlib.suppress(Exception):
            self._server.stop()
            self._server.wait()

    def wait(self) -> None:
        """Wait for the end, see oslo.service."""
        super().wait()

    def reset(self) -> None:
        """A new configuration: oslo.service starts a new engine with it."""
