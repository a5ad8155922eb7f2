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
"""What the API says to the engines. Imports nothing of the engine."""

import contextlib
import os
import queue
import threading

from oslo_log import log as logging
import oslo_messaging as messaging

from openstack_rca import exception
from openstack_rca import rpc

LOG = logging.getLogger(__name__)

#: Nudges that wait for a slow bus. One is as good as many: engines look for
#: rows, not for messages.
_MOST = 16


class EngineAPI:
    """Nudges engines, as well as that can be done.

    A thread of its own sends them, so that a bus that is away never holds
    up a request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._waiting: queue.Queue[str] = queue.Queue(_MOST)

    def nudge(self, job_id: str) -> None:
        """Tell an engine that there is a row for it.

        Never waits and never fails: without the nudge an engine finds the
        row within a second.

        :param job_id: id of the row
        """
        with self._lock:
            # Threads do not live through a fork of the WSGI server.
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._waiting = queue.Queue(_MOST)
                threading.Thread(target=self._send, args=(self._waiting,),
                                 name='nudges', daemon=True).start()
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(job_id)

    @staticmethod
    def _send(waiting: 'queue.Queue[str]') -> None:
        client = None
        try:
            if rpc.configured():
                client = messaging.get_rpc_client(
                    rpc.transport(), rpc.target(), version_cap=rpc.VERSION)
        except exception.RCAException as error:
            LOG.error('%s Engines find new rows without it.', error)
        except Exception as error:
            LOG.error('The message bus cannot be used (%s). Engines find '
                      'new rows without it.', type(error).__name__)
        while True:
            job_id = waiting.get()
            if client is None:
                continue
            try:
                client.prepare(retry=0).cast({}, 'nudge', job_id=job_id)
            except Exception as error:
                # Whatever a driver raises: the row is there.
                LOG.warning('The message bus did not take a nudge (%s). '
                            'Engines find the row without it.',
                            type(error).__name__)
