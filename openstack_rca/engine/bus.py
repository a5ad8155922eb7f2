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
"""Listening to the notifications of other services, over oslo.messaging.

A message is acknowledged after it is stored. Until then the broker keeps it,
and hands it out again where this process ends or the connection does.

oslo.messaging is told nothing of priorities and endpoints here: its own
dispatcher stumbles over a message whose priority is no text, and would have
the whole batch come again for ever.
"""

import collections
from collections.abc import Callable
import logging as plain
import threading
import time
from typing import Any
from typing import NamedTuple
import urllib.parse

from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_messaging import dispatcher
from oslo_messaging import opts
from oslo_messaging.notify import listener as listeners

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import rpc

LOG = logging.getLogger(__name__)

#: All priorities that there are: a driver subscribes to each of them.
PRIORITIES = ('audit', 'debug', 'info', 'warn', 'error', 'critical', 'sample')

_GROUP = 'oslo_messaging_notifications'
_PREFETCH = 'rabbit_qos_prefetch_count'
#: Drivers that know that option.
_RABBIT = ('rabbit', 'kombu')
#: What these write of a connection, and of a message that nobody can read.
_GONE = ('is unreachable', 'closed the connection', 'Connection failed')
_BACK = 'Reconnected to'
_FIRST = 'the first connection'
_UNREADABLE = 'Failed to process message'
#: What logs whatever goes wrong with its traceback. oslo.log writes some of
#: the names with a dot.
_LOUD = tuple(f'{first}{rest}' for rest in (
    'messaging._drivers.impl_rabbit', 'messaging._drivers.amqpdriver',
    'messaging._drivers.impl_kafka', 'messaging.notify.listener',
    'utils.excutils') for first in ('oslo_', 'oslo.')) + ('amqp',)
#: What is said of each message that comes after the last one.
_LATER = 'during closing channel'

#: Seconds until another try to listen, at least and at most.
_SOON = 1.0
_LATE = 30.0
#: Seconds after which what a driver said of a connection is old.
_STALE = 90.0
#: Seconds in which the last acknowledgements are sent.
_LAST = 0.2


class Incoming(NamedTuple):
    """A message as the bus gave it.

    :param context: of the request that it is about
    :param message: of whatever type
    :param number: what the bus knows it by, None where it has no number
    """

    context: Any
    message: Any
    number: str | None


#: Stores messages; returns whether they are, or will never be.
Take = Callable[[list[Incoming]], bool]


def urls() -> list[messaging.TransportURL]:
    """The message buses to listen to.

    :raises InvalidInput: there is none, or what is named is no bus
    """
    told = list(conf.CONF.notifications.transport_url)
    option = '[notifications] transport_url'
    if not told:
        for group, options in opts.list_opts():
            if group == _GROUP:
                conf.CONF.register_opts(options, group=group)
        url = conf.CONF[_GROUP].transport_url
        option = f'[{_GROUP}] transport_url'
        if not url and rpc.configured():
            url, option = conf.CONF.transport_url, '[DEFAULT] transport_url'
        if not url:
            raise exception.InvalidInput(
                reason='[notifications] enabled is true, and no message bus '
                       'is named. Set [notifications] transport_url.')
        told = [url]
    found = []
    for url in told:
        try:
            parsed = messaging.TransportURL.parse(conf.CONF, url)
            if not urllib.parse.urlsplit(url).scheme:
                raise ValueError
            if parsed.transport in _RABBIT:
                parsed.query.setdefault(
                    _PREFETCH, str(conf.CONF.notifications.prefetch))
            # Loads the driver, and does not connect.
            messaging.get_notification_transport(conf.CONF, parsed).cleanup()
        except (messaging.DriverLoadFailure, messaging.InvalidTransportURL,
                ValueError, TypeError, AttributeError) as error:
            raise exception.InvalidInput(
                reason=f'{option} names no message bus that can be used. It '
                       'looks like rabbit://user:password@host:5672/.'
            ) from error
        found.append(parsed)
    return found


class Bus:
    """Listens to all message buses of the configuration.

    :param take: stores messages
    :param unreadable: called for each message that the driver cannot read
    """

    def __init__(self, take: Take, unreadable: Callable[[], None]) -> None:
        self._stored = take
        self._unreadable = unreadable
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        #: Of buses; connections to them have others.
        self._names: set[str] = set()
        #: Why nothing comes, by connection, and since when that is known.
        self._wrong: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._overheard = _Overheard(self._hear)

    def start(self) -> None:
        """Begin to listen; whoever is away is waited for.

        :raises InvalidInput: what is configured is no bus
        """
        for name in _LOUD:
            plain.getLogger(name).addFilter(self._overheard)
        for number, url in enumerate(urls()):
            name = f'bus {number}'
            self._names.add(name)
            thread = threading.Thread(
                target=self._run, args=(name, url), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wrong(self) -> str:
        """Why nothing comes, in words; empty where all is well."""
        now = time.monotonic()
        with self._lock:
            # A driver that tries says so again and again, and not always
            # that it succeeded.
            return ' '.join(dict.fromkeys(
                reason for name, (since, reason) in self._wrong.items()
                if name in self._names or now - since < _STALE))

    def stop(self, seconds: float) -> bool:
        """Take no more messages, and have those that are here stored.

        :param seconds: how long that may take
        :returns: whether all that came was stored and acknowledged
        """
        self._stopping.set()
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        for name in _LOUD:
            plain.getLogger(name).removeFilter(self._overheard)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, name: str, url: messaging.TransportURL) -> None:
        """Listen to one bus until the end."""
        pause = _SOON
        self._tell(name, 'The message bus does not answer yet.')
        while not self._stopping.is_set():
            reason = self._listen(name, url)
            if not reason:
                return
            self._tell(name, reason)
            LOG.error('%s Trying again in %d seconds.', reason, pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LATE)

    def _tell(self, name: str, reason: str) -> None:
        with self._lock:
            self._wrong.pop(name, None)
            if reason:
                self._wrong[name] = time.monotonic(), reason

    def _listen(self, name: str, url: messaging.TransportURL) -> str:
        """Listen to one bus.

        :returns: why that is not possible; empty at the end
        """
        told = conf.CONF.notifications
        rabbit = url.transport in _RABBIT
        transport = None
        try:
            transport = messaging.get_notification_transport(
                conf.CONF, url)
            server = _Server(
                transport, [messaging.Target(topic=topic, exchange=exchange)
                            for exchange in told.exchanges
                            for topic in told.topics],
                _Dispatcher(self._take), allow_requeue=rabbit,
                pool=told.pool or None, batch_size=told.batch_size,
                batch_timeout=told.batch_timeout)
            server.stopping = self._stopping
            # In order, and no more at once than is stored at once.
            server.start(override_pool_size=1)
        except Exception as error:
            # Each driver has exceptions of its own.
            if transport is not None:
                transport.cleanup()
            return _reason(error)
        self._tell(name, '')
        self._tell(_FIRST, '')
        LOG.info('Listens to notifications on %s', _shown(url))
        self._stopping.wait()
        server.stop()
        server.wait()
        transport.cleanup()
        return ''

    def _take(self, incoming: list[Incoming]) -> bool:
        """Have messages stored: there is a connection."""
        with self._lock:
            self._wrong = {name: wrong for name, wrong in self._wrong.items()
                           if name in self._names}
        return self._stored(incoming)

    def _hear(self, record: plain.LogRecord) -> None:
        """Learn from what a driver logs what it tells nobody."""
        if record.exc_info:
            # What went wrong is the last line of it.
            record.msg = f'{record.getMessage()} ({record.exc_info[1]!r})'
            record.args = ()
            record.exc_info = record.exc_text = None
        said = record.getMessage()
        if said.startswith(_UNREADABLE):
            self._unreadable()
        # Only a connection that was made has a name.
        which = said.partition(']')[0] if said.startswith('[') else _FIRST
        if any(words in said for words in _GONE):
            self._tell(which, 'The message bus is away: '
                       f'{said.partition("] ")[2] or said}')
        elif _BACK in said:
            self._tell(which, '')


def _reason(error: Exception) -> str:
    said = ' '.join(str(error).split())
    if 'PRECONDITION_FAILED' in said:
        return (f'The queues cannot be used: {said}. An exchange or a queue '
                'of that name is there with other properties. Set '
                'amqp_durable_queues or rabbit_quorum_queue in '
                '[oslo_messaging_rabbit] to what the services have, and '
                'delete the queue of [notifications] pool if it was made '
                'with others.')
    return f'The message bus cannot be used: {said or type(error).__name__}.'


def _shown(url: messaging.TransportURL) -> str:
    """A bus without its secrets."""
    return ', '.join(f'{host.hostname}:{host.port}' for host in url.hosts)


class _Overheard(plain.Filter):
    """Lets pass what is logged, after it was looked at."""

    def __init__(self, hear: Callable[[plain.LogRecord], None]) -> None:
        super().__init__()
        self._hear = hear

    def filter(self, record: plain.LogRecord) -> bool:
        self._hear(record)
        return _LATER not in str(record.msg)


class _Dispatcher(dispatcher.DispatcherBase):
    """Gives whole batches away, whatever is in them."""

    supported_priorities = PRIORITIES

    def __init__(self, take: Take) -> None:
        self._take = take

    def dispatch(self, incoming: list[Any]) -> set[Any]:
        """Have messages stored.

        :param incoming: messages of the driver
        :returns: those that have to come again
        """
        messages = [Incoming(one.ctxt, one.message,
                             getattr(one, 'unique_id', None))
                    for one in incoming]
        return set() if self._take(messages) else set(incoming)


class _Server(listeners.BatchNotificationServer):
    """Acknowledges every message, the last and those that came again."""

    stopping: threading.Event

    def _create_listener(self) -> Any:
        made = super()._create_listener()
        # The driver knows its last messages, and never acknowledges one of
        # them that comes again. We know all by their own ids.
        cache = getattr(getattr(made, '_poll_style_listener', None),
                        'msg_id_cache', None)
        if cache is not None:
            cache.prev_msgids = collections.deque(maxlen=0)
        return made

    def _process_incoming(self, incoming: list[Any]) -> None:
        super()._process_incoming(incoming)
        if self.stopping.is_set():
            # Another thread sends the acknowledgements, and ends with the
            # last batch, whether they are sent or not.
            time.sleep(_LAST)
