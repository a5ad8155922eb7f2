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
"""Keep every notification of a cloud, one JSON object a line.

    RCA_CLOUD_BUS=rabbit://... python -m tools.cloud.listener FILE

On a pool of its own, so that nobody else's notifications are taken.
"""

import datetime
import json
import os
import pathlib
import signal
import sys
import threading
from typing import Any
from typing import TextIO

from oslo_config import cfg
from oslo_service import backend

# Before oslo.messaging is imported.
backend.register_backend_default_hook(lambda: backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402

EXCHANGES = ('nova', 'neutron', 'glance', 'cinder', 'keystone', 'openstack')
TOPICS = ('notifications', 'versioned_notifications')
PRIORITIES = ('audit', 'debug', 'info', 'warn', 'error', 'critical',
              'sample')

# Credentials, which nobody needs to keep.
_SECRET = frozenset(('auth_token', 'service_catalog', 'trust_id'))


class Endpoint:
    """Writes what comes on one topic.

    :param topic: its name
    :param file: where to
    :param lock: of the file
    """

    def __init__(self, topic: str, file: TextIO, lock: threading.Lock
                 ) -> None:
        self._topic = topic
        self._file = file
        self._lock = lock
        # A listener subscribes to the priorities that its endpoint has.
        for priority in PRIORITIES:
            setattr(self, priority, self._method(priority))

    def _method(self, priority: str) -> Any:
        def take(context: dict[str, Any], publisher_id: str, event_type: str,
                 payload: Any, metadata: dict[str, Any]) -> Any:
            line = json.dumps({
                'received_at': datetime.datetime.now(
                    datetime.UTC).isoformat(),
                'topic': self._topic, 'priority': priority,
                'publisher_id': publisher_id, 'event_type': event_type,
                'message_id': metadata.get('message_id'),
                'timestamp': metadata.get('timestamp'),
                'ctxt': {name: value for name, value
                         in (context or {}).items() if name not in _SECRET},
                'payload': payload}, default=str)
            with self._lock:
                self._file.write(line + '\n')
            return oslo_messaging.NotificationResult.HANDLED
        return take


def main() -> None:
    """Listen until SIGTERM comes."""
    conf = cfg.ConfigOpts()
    conf([], project='rca-cloud')
    transport = oslo_messaging.get_notification_transport(
        conf, url=os.environ['RCA_CLOUD_BUS'])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with pathlib.Path(sys.argv[1]).open('a', buffering=1) as file:
        lock = threading.Lock()
        listeners = []
        for topic in TOPICS:
            listener = oslo_messaging.get_notification_listener(
                transport,
                [oslo_messaging.Target(exchange=exchange, topic=topic)
                 for exchange in EXCHANGES],
                [Endpoint(topic, file, lock)], executor='threading',
                pool=f'rca-cloud-{topic}')
            listener.start()
            listeners.append(listener)
        ended.wait()
        for listener in listeners:
            listener.stop()
            listener.wait()


if __name__ == '__main__':
    main()
