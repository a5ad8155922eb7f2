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
"""Services that publish notifications, with oslo.messaging's own notifier."""

from collections.abc import Callable
import threading
import time
from typing import Any

from oslo_config import cfg
import oslo_messaging as messaging

#: As nova, neutron and the others are told to make their queues, so that a
#: broker may go away.
DURABLE = '?amqp_durable_queues=true'


class _Serializer(messaging.NoOpSerializer):
    """Sends a context as services do."""

    def serialize_context(self, ctxt: Any) -> dict[str, Any]:
        """What goes over the bus, see oslo.messaging."""
        return dict(ctxt if isinstance(ctxt, dict) else ctxt.to_dict())


def configuration(url: str, exchange: str = 'nova') -> cfg.ConfigOpts:
    """The configuration of a service.

    :param url: the bus
    :param exchange: its ``control_exchange``
    """
    conf = cfg.ConfigOpts()
    conf([], project='publisher', default_config_files=[],
         default_config_dirs=[])
    # Registers the options.
    messaging.get_notification_transport(conf, url).cleanup()
    conf.set_override('control_exchange', exchange)
    for name, value in (('transport_url', url), ('driver', ['messagingv2']),
                        ('retry', -1)):
        conf.set_override(name, value, group='oslo_messaging_notifications')
    return conf


def notifier(url: str, exchange: str = 'nova',
             publisher_id: str = 'compute.host1',
             topic: str = 'notifications') -> messaging.Notifier:
    """A service's notifier, which waits for a broker that is away.

    :param url: the bus
    :param exchange: its ``control_exchange``
    :param publisher_id: its name
    :param topic: what it publishes under
    """
    return messaging.Notifier(
        messaging.get_notification_transport(configuration(url, exchange)),
        publisher_id=publisher_id, topics=[topic],
        serializer=_Serializer())


class Load(threading.Thread):
    """Publishes one numbered notification after the other until the end.

    :param url: the bus
    :param first: the first number
    :param pace: seconds between two, at least
    :param payload: makes a payload of a number
    """

    def __init__(self, url: str, first: int = 0, pace: float = 0.0,
                 payload: Callable[[int], dict[str, Any]] | None = None
                 ) -> None:
        super().__init__(daemon=True)
        self._notifier = notifier(url)
        self.transport = self._notifier.transport
        self._pace = pace
        self._payload = payload or (lambda number: {'number': number})
        self.stopping = threading.Event()
        self._next = first
        #: Numbers of those that the broker has.
        self.published: list[int] = []

    def run(self) -> None:
        while not self.stopping.is_set():
            # It returns when the broker has it.
            self._notifier.info({}, 'load.number',
                                self._payload(self._next))
            self.published.append(self._next)
            self._next += 1
            if self._pace:
                time.sleep(self._pace)

    def end(self) -> list[int]:
        """Stop, once the last one arrived.

        :returns: the numbers that were published
        """
        self.stopping.set()
        self.join()
        return self.published
