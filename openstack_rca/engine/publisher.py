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
"""Tells others what happens: the bus of the cloud, and receivers by HTTP.

Threads::

    outbox          hands out what happened, see openstack_rca.db.outbox
    outbox TARGET   tells one target after the other, as long as it takes

Each target has a thread of its own, so that one that hangs holds up nobody
else. All are daemons: what a thread is about to tell when the engine ends is
told by the next one.
"""

from collections.abc import Callable
import functools
import random
import threading
import time
from typing import Any

from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_messaging import transport as messaging_transport

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import rpc
from openstack_rca.conf import webhooks as options
from openstack_rca.db import outbox
from openstack_rca.engine import metrics
from openstack_rca.engine import webhooks

LOG = logging.getLogger(__name__)

NOTIFICATION = 'notification'

#: Seconds between two looks for what happened.
_POLL = 1.0
#: Seconds between two looks of a thread that was not woken: another engine
#: may have handed out, or died; and of one that has nobody to hand out to.
_LOOK = 5.0
#: Seconds between two attempts, at most.
_LONGEST = 60.0
#: Seconds beyond the time limit of a receiver until another engine may try.
_LEASE = 60
#: Seconds in which a message bus that hangs is noticed: oslo.messaging and
#: the sockets below it have limits of their own, and came to 110 together.
_HUNG = 120
#: Seconds between two times that old rows are deleted.
_PURGE = 600.0
#: Seconds that an attempt in progress has at the end of the engine.
_GRACE = 2.0

#: Tells a target; why it could not be told, or None.
Tell = Callable[[outbox.Item], str | None]


def check() -> None:
    """Refuse a configuration with which nobody could be told.

    :raises InvalidInput: what is wrong, without any address
    """
    webhooks.configured()
    if rpc.notifies():
        rpc.notification_transport().cleanup()


class Notifications:
    """Tells the bus of the cloud, as services of OpenStack do.

    :raises InvalidInput: the configuration names no bus that there is
    """

    def __init__(self) -> None:
        self._transport = _Attentive(rpc.notification_transport())
        self._notifier = messaging.Notifier(
            self._transport, publisher_id=f'rca.{conf.CONF.host}', retry=0)

    def __call__(self, item: outbox.Item) -> str | None:
        """Tell the bus.

        :param item: what
        :returns: why it could not be told, or None
        """
        self._transport.failure = None
        self._notifier.info({}, item.event_type, {
            'event_id': item.id, **item.payload,
            'link': webhooks.link(item)})
        return self._transport.failure


class _Attentive(messaging_transport.NotificationTransport):
    """Knows whether the last message went out.

    oslo.messaging logs a message that does not, and forgets it.
    """

    def __init__(self, transport: Any) -> None:
        super().__init__(transport._driver)
        self.failure: str | None = None

    def _send_notification(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._send_notification(*args, **kwargs)
        except Exception as error:
            # Whatever a driver raises; it may name the bus with a password.
            self.failure = type(error).__name__


class Publisher:
    """Tells all targets of the configuration until it is stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._targets: dict[str, frozenset[str]] = {}
        self._news: dict[str, threading.Event] = {}
        self._failing: set[str] = set()

    def start(self) -> None:
        """Begin to tell, in threads of its own."""
        self._start('outbox', self._hand_out)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        for news in self._news.values():
            news.set()

    def wait(self) -> None:
        """Wait some time for what is being told."""
        end = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def described(self) -> dict[str, str]:
        """Who is told, and how that goes."""
        return {target: 'cannot be told' if target in self._failing
                else 'well' for target in sorted(self._targets)}

    def _start(self, name: str, function: Callable[[], None]) -> None:
        thread = threading.Thread(
            target=self._forever, args=(function,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _forever(self, function: Callable[[], None]) -> None:
        """Call a function until the end: no bug of one round ends it."""
        while not self._stopping.is_set():
            try:
                function()
            except exception.DatabaseUnavailable as error:
                # Those who look for jobs say so, too, and louder.
                LOG.debug('The outbox: %s', error)
                self._stopping.wait(2.0)
            except Exception:
                LOG.exception('The thread %s goes on after a bug',
                              threading.current_thread().name)
                self._stopping.wait(1.0)

    def _tellers(self) -> dict[str, Tell]:
        """What tells each target of the configuration."""
        found: dict[str, Tell] = {}
        for hook in webhooks.configured():
            self._targets[hook.target] = frozenset(conf.CONF.webhooks.events)
            found[hook.target] = hook
        if rpc.notifies():
            self._targets[NOTIFICATION] = frozenset(options.EVENTS)
            found[NOTIFICATION] = Notifications()
        return found

    def _hand_out(self) -> None:
        """Hand out what happens, and delete what happened long ago."""
        for target, tell in self._tellers().items():
            self._news[target] = threading.Event()
            self._start(f'outbox {target}',
                        functools.partial(self._serve, target, tell))
        LOG.info('Incidents and analyses are told to: %s',
                 ', '.join(sorted(self._targets)) or 'nobody')
        settings = conf.CONF.publishing
        # Engines that start together need not delete together.
        purge_at = time.monotonic() + random.uniform(0, _PURGE)  # noqa: S311
        while not self._stopping.is_set():
            try:
                found = outbox.hand_out(self._targets)
                if found:
                    for news in self._news.values():
                        news.set()
                    continue
                if time.monotonic() > purge_at:
                    purge_at = time.monotonic() + _PURGE
                    lost = outbox.purge(settings.give_up_after,
                                        settings.keep)
                    if lost:
                        LOG.error('%d events were given up, whose receivers '
                                  'no engine knows any more', lost)
            except exception.DatabaseUnavailable as error:
                LOG.debug('The outbox: %s', error)
                self._stopping.wait(2.0)
            self._stopping.wait(_POLL if self._targets else _LOOK)

    def _serve(self, target: str, tell: Tell) -> None:
        """Tell one target all that there is, then wait for more."""
        failures = 0
        while not self._stopping.is_set():
            self._news[target].clear()
            limit = (_HUNG if target == NOTIFICATION
                     else conf.CONF.webhooks.timeout)
            item = outbox.claim(target, limit + _LEASE)
            if item is None:
                self._news[target].wait(_LOOK)
                continue
            reason = tell(item)
            if reason is None:
                if failures:
                    LOG.info('The target %s is told again', target)
                failures = 0
                self._failing.discard(target)
                metrics.PUBLISHED.labels(target, 'sent').inc()
                self._settle(outbox.sent, item)
                continue
            metrics.PUBLISHED.labels(target, 'failed').inc()
            if not failures:
                LOG.error('The target %s could not be told: %s. It is tried '
                          'again.', target, reason)
            failures += 1
            self._failing.add(target)
            if self._settle(outbox.put_off, item, reason,
                            max(1, int(backoff(item.attempt))),
                            conf.CONF.publishing.give_up_after):
                metrics.PUBLISHED.labels(target, 'given_up').inc()
                LOG.error('The target %s was not told of the event %s (%s '
                          '%s): given up after %d attempts', target, item.id,
                          item.event_type, item.payload['id'], item.attempt)
            # One that is away need not be asked for each event.
            self._stopping.wait(backoff(failures))

    def _settle(self, function: Callable[..., bool], *args: Any) -> bool:
        """Write down what became of an attempt, as long as it takes.

        Forgotten, it would be told once more.
        """
        while True:
            try:
                return function(*args)
            except exception.DatabaseUnavailable as error:
                LOG.debug('The outbox: %s', error)
            if self._stopping.wait(2.0):
                return False


def backoff(attempt: int) -> float:
    """Seconds to wait after an attempt that failed.

    :param attempt: how many failed
    """
    longest = min(_LONGEST, 2.0 ** min(attempt - 1, 10))
    # Engines that met the same failure at once do not come back at once.
    return random.uniform(longest / 2, longest)  # noqa: S311
