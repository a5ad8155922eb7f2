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
"""Telling others what happens."""

import json
import threading
import time
from typing import Any
from unittest import mock

import fixtures
import oslo_messaging as messaging
from oslo_messaging import transport as messaging_transport

from openstack_rca import exception
from openstack_rca import rpc
from openstack_rca.db import outbox
from openstack_rca.engine import metrics
from openstack_rca.engine import publisher
from openstack_rca.engine import webhooks
from openstack_rca.tests import base
from openstack_rca.tests import receiver
from openstack_rca.tests.unit.db import outbox_suite

#: Seconds after which something that does not happen never will.
_LONG = 60.0


class PublisherCase(outbox_suite.OutboxCase):
    """A test with a publisher, the database of a test, and a receiver."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(
            publisher.__name__, format='%(levelname)s %(message)s'))
        self.receiver = self.useFixture(receiver.Receiver())
        self.config('webhooks', timeout=1,
                    urls={'pager': self.receiver.url})
        for name, value in (('_POLL', 0.02), ('_LOOK', 0.1),
                            ('_GRACE', _LONG)):
            self._patch(publisher, name, value)
        self._patch(publisher, 'backoff', lambda attempt: 0.02)
        # Where the time of the database counts whole seconds, all is due.
        kept = outbox.put_off
        self._patch(outbox, 'put_off', lambda item, reason, _, age: kept(
            item, reason, 0, age))

    def _patch(self, where: Any, name: str, value: Any) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def start(self) -> publisher.Publisher:
        """Begin to tell; ends with the test."""
        made = publisher.Publisher()

        def end() -> None:
            made.stop()
            made.wait()

        self.addCleanup(end)
        made.start()
        return made

    def wait_for(self, what: str, true: Any) -> None:
        """Wait until something is the case."""
        end = time.monotonic() + _LONG
        while not true():
            if time.monotonic() > end:
                self.fail(f'It did not happen: {what}')
            time.sleep(0.01)

    def wait_states(self, *states: str) -> None:
        """Wait until the rows are in some states."""
        self.wait_for(str(states), lambda: sorted(
            state for _, state in self.states()) == sorted(states))

    def ids(self) -> list[str]:
        """The events that the receiver was told of, by request."""
        return [headers['webhook-id'] for headers, _ in self.receiver.asked]


class TestPublisher(PublisherCase):

    def test_told(self) -> None:
        self.start()
        names = [self.add(kind) for kind in (
            outbox.CREATE, outbox.UPDATE, outbox.RESOLVE)]
        self.wait_states('sent', 'sent', 'sent')
        self.assertEqual(names, self.ids())
        self.assertNotIn(outbox_suite.SAID, str(self.receiver.asked))
        self.assertIn('told to: webhook:pager', self.log.output)
        self.assertNotIn('ERROR', self.log.output)

    def test_nobody(self) -> None:
        self.config('webhooks', urls={})
        made = self.start()
        self.add()
        self.wait_states()
        self.assertEqual({}, made.described())
        self.assertIn('told to: nobody', self.log.output)

    def test_only_some_events(self) -> None:
        self.config('webhooks', events=[outbox.RESOLVE])
        self.start()
        self.add()
        name = self.add(outbox.RESOLVE)
        self.wait_states('sent')
        self.assertEqual([name], self.ids())

    def test_receiver_fails_and_comes_back(self) -> None:
        self.receiver.behaviour = 500
        made = self.start()
        names = [self.add(name='i1'), self.add(outbox.RESOLVE, 'i1'),
                 self.add(name='i2')]
        self.wait_for('it was asked', lambda: len(self.receiver.asked) > 5)
        self.assertEqual({'webhook:pager': 'cannot be told'},
                         made.described())
        # Nothing overtakes.
        self.assertEqual({names[0], names[2]}, set(self.ids()))
        self.receiver.behaviour = 200
        self.wait_states('sent', 'sent', 'sent')
        last = self.ids()
        self.assertLess(last.index(names[0]), last.index(names[1]))
        self.assertEqual({'webhook:pager': 'well'}, made.described())
        # Said once, however often it is tried.
        self.assertEqual(1, self.log.output.count('ERROR'))
        self.assertIn('webhook:pager could not be told: HTTP status 500',
                      self.log.output)
        self.assertIn('INFO The target webhook:pager is told again',
                      self.log.output)
        self.assertNotIn(self.receiver.url, self.log.output)

    def test_one_that_hangs_holds_up_nobody(self) -> None:
        slow = self.useFixture(receiver.Receiver())
        slow.behaviour = receiver.HANG
        self.config('webhooks', timeout=60, urls={
            'pager': self.receiver.url, 'slow': slow.url})
        self.start()
        for number in range(3):
            self.add(name=f'i{number}')
        self.wait_for('all are told', lambda: len(self.ids()) == 3)
        self.assertLess(len(slow.asked), 2)
        slow.over.set()

    def test_given_up(self) -> None:
        self.receiver.behaviour = 404
        before = self.published('given_up')
        self.start()
        self.add()
        self.wait_for('it was asked', lambda: len(self.receiver.asked) > 1)
        self.age(86400 + 60)
        self.wait_states('failed')
        self.assertIn('given up after', self.log.output)
        self.assertEqual(before + 1, self.published('given_up'))

    def published(self, result: str) -> float:
        """How often the counter of metrics was there."""
        value: float = metrics.PUBLISHED.labels(
            'webhook:pager', result)._value.get()
        return value

    def test_database_away_after_it_was_told(self) -> None:
        tries: list[str] = []
        kept = outbox.sent

        def sent(item: outbox.Item) -> bool:
            tries.append(item.id)
            if len(tries) < 4:
                raise exception.DatabaseUnavailable(reason='x')
            return kept(item)

        self._patch(outbox, 'sent', sent)
        made = publisher.Publisher()
        # It does not wait for long between two tries.
        real = made._stopping.wait
        self._patch(made._stopping, 'wait',
                    lambda seconds: real(min(seconds, 0.02)))
        self.addCleanup(made.wait)
        self.addCleanup(made.stop)
        made.start()
        name = self.add()
        self.wait_states('sent')
        self.assertEqual([name] * 4, tries)
        # Told once all the same.
        self.assertEqual([name], self.ids())

    def test_database_away(self) -> None:
        failing = threading.Event()
        failing.set()
        for function in ('hand_out', 'claim'):
            kept = getattr(outbox, function)

            def maybe(*args: Any, kept: Any = kept) -> Any:
                if failing.is_set():
                    raise exception.DatabaseUnavailable(reason='x')
                return kept(*args)

            self._patch(outbox, function, maybe)
        name = self.add()
        self.start()
        failing.clear()
        self.wait_states('sent')
        self.assertEqual([name], self.ids())
        self.assertNotIn('ERROR', self.log.output)

    def test_a_bug_ends_nothing(self) -> None:
        real = webhooks.message
        bugs = [ValueError('odd'), KeyError('odd')]

        def message(*args: Any) -> Any:
            if bugs:
                raise bugs.pop()
            return real(*args)

        self._patch(webhooks, 'message', message)
        self._patch(publisher, '_LEASE', -1)
        self.start()
        self.add()
        self.wait_states('sent')
        self.assertIn('goes on after a bug', self.log.output)

    def test_purge(self) -> None:
        self._patch(publisher, '_PURGE', 0.0)
        self.config('publishing', keep=0)
        self.start()
        self.add()
        self.wait_for('it was told', self.ids)
        # Where the time of the database counts whole seconds.
        self.wait_for('it is gone', lambda: not self.states())

    def test_lost_target(self) -> None:
        self.add()
        self.hand_out('webhook:gone')
        self.age(3 * 86400)
        self.due()
        self._patch(publisher, '_PURGE', 0.0)
        self.start()
        self.wait_states('failed')
        self.wait_for('it is told', lambda: 'no engine knows any more'
                      in self.log.output)


class TestNotifications(PublisherCase):

    def setUp(self) -> None:
        super().setUp()
        rpc.configured()
        self.config(host='engine-1', transport_url='fake:/')
        self.config('webhooks', urls={})
        rpc.notifies()
        self.config('oslo_messaging_notifications', driver=['messagingv2'],
                    topics=['alarms'])

    def listen(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Listen as another service does.

        :returns: publisher, type and payload of what comes
        """
        came: list[tuple[str, str, dict[str, Any]]] = []

        class Endpoint:
            def info(self, context: Any, publisher_id: str, event_type: str,
                     payload: dict[str, Any], metadata: Any) -> None:
                came.append((publisher_id, event_type, payload))

        server = messaging.get_notification_listener(
            rpc.notification_transport(),
            [messaging.Target(topic='alarms', exchange=rpc.EXCHANGE)],
            [Endpoint()])
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        return came

    def test_told(self) -> None:
        self.config('publishing', public_endpoint='http://rca:8990')
        came = self.listen()
        self.start()
        name = self.add()
        self.wait_states('sent')
        self.wait_for('it came', lambda: came)
        (who, what, payload), = came
        self.assertEqual(('rca.engine-1', outbox.CREATE), (who, what))
        self.assertEqual(name, payload.pop('event_id'))
        self.assertEqual('http://rca:8990/v1/incidents/i1',
                         payload.pop('link'))
        self.assertEqual(set(outbox.FIELDS['rca.incident.']), set(payload))
        self.assertNotIn(outbox_suite.SAID, json.dumps(payload))

    def test_a_bus_that_hangs_is_left_to_who_has_it(self) -> None:
        """It is noticed after 110 s; nobody else tries before that."""
        leases = set()
        kept = outbox.claim

        def claim(target: str, lease: int) -> outbox.Item | None:
            leases.add((target, lease))
            return kept(target, lease)

        self._patch(outbox, 'claim', claim)
        self.config('webhooks', urls={'pager': self.receiver.url})
        self.start()
        self.wait_for('both were looked for', lambda: len(leases) == 2)
        found = dict(leases)
        self.assertGreater(found[publisher.NOTIFICATION], 110)
        self.assertLess(found['webhook:pager'], 110)

    def test_bus_away(self) -> None:
        away = threading.Event()
        away.set()
        kept = messaging_transport.Transport._send_notification

        def send(*args: Any, **kwargs: Any) -> None:
            if away.is_set():
                raise messaging.MessageDeliveryFailure('rabbit://me:sesame@')
            kept(*args, **kwargs)

        self._patch(messaging_transport.Transport, '_send_notification',
                    send)
        came = self.listen()
        self.start()
        self.add()
        self.wait_for('it was tried', lambda: 'could not be told'
                      in self.log.output)
        self.assertEqual([], came)
        away.clear()
        self.wait_states('sent')
        self.wait_for('it came', lambda: came)
        self.assertIn('MessageDeliveryFailure', self.log.output)
        self.assertNotIn('sesame', self.log.output)

    def test_who_notifies(self) -> None:
        self.assertTrue(rpc.notifies())
        for driver in ([], ['noop'], ['']):
            self.config('oslo_messaging_notifications', driver=driver)
            self.assertFalse(rpc.notifies())

    def test_no_bus(self) -> None:
        self.config(transport_url='')
        self.assertFalse(rpc.notifies())
        self.config('oslo_messaging_notifications', transport_url='fake:/')
        self.assertTrue(rpc.notifies())

    def test_wrong_bus(self) -> None:
        self.config('oslo_messaging_notifications',
                    transport_url='pigeon://me:sesame@loft/')
        error = self.assertRaises(exception.InvalidInput, publisher.check)
        self.assertIn('[oslo_messaging_notifications]', str(error))
        self.assertNotIn('sesame', str(error))


class TestCheck(base.TestCase):

    def test_as_it_is(self) -> None:
        publisher.check()

    def test_wrong_receiver(self) -> None:
        self.config('webhooks', urls={'a': 'gopher://x/'})
        self.assertRaises(exception.InvalidInput, publisher.check)


class TestBackoff(base.TestCase):

    def test_grows_up_to_a_bound(self) -> None:
        for attempt, least, most in ((1, 0.5, 1), (2, 1, 2), (4, 4, 8),
                                     (7, 30, 60), (1000, 30, 60)):
            found = {publisher.backoff(attempt) for _ in range(50)}
            self.assertTrue(all(least <= f <= most for f in found), found)
            # Two engines do not come back at the same moment.
            self.assertLess(1, len(found))
