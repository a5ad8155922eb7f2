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
"""Tests of listening to the bus."""

import logging
import threading
import time
from typing import Any
from unittest import mock

import oslo_messaging as messaging

from openstack_rca import exception
from openstack_rca import rpc
from openstack_rca.engine import bus
from openstack_rca.tests import base


class TestUrls(base.TestCase):

    def test_own(self) -> None:
        self.config(group='notifications', prefetch=77, transport_url=[
            'rabbit://u:p@one:5672/', 'rabbit://u:p@two:5672/v?'
            'rabbit_qos_prefetch_count=5&amqp_durable_queues=true'])
        one, two = bus.urls()
        self.assertEqual('one', one.hosts[0].hostname)
        self.assertEqual('77', one.query['rabbit_qos_prefetch_count'])
        self.assertEqual('5', two.query['rabbit_qos_prefetch_count'])
        self.assertEqual('true', two.query['amqp_durable_queues'])

    def test_of_others(self) -> None:
        self.config(group='notifications', enabled=True)
        rpc.notifies()
        self.conf.set_override('transport_url', 'rabbit://third:5672/')
        self.addCleanup(self.conf.clear_override, 'transport_url')
        self.assertEqual('third', bus.urls()[0].hosts[0].hostname)
        self.config(group='oslo_messaging_notifications',
                    transport_url='rabbit://other:5672/')
        self.assertEqual('other', bus.urls()[0].hosts[0].hostname)

    def test_none(self) -> None:
        self.config(group='notifications', enabled=True)
        self.assertRaisesRegex(exception.InvalidInput, 'no message bus',
                               bus.urls)

    def test_wrong(self) -> None:
        for url in ('nonsense', 'http://here/', 'rabbit://u:p@h:port/',
                    'rabbit://h/?no_such_option=1'):
            self.config(group='notifications', transport_url=[url])
            error = self.assertRaises(exception.InvalidInput, bus.urls)
            self.assertIn('[notifications] transport_url', str(error), url)
            self.assertNotIn('u:p', str(error))

    def test_kafka(self) -> None:
        # Its driver is no part of the tests.
        self.config(group='notifications',
                    transport_url=['kafka://one:9092/'])
        with mock.patch.object(messaging, 'get_notification_transport',
                               autospec=True):
            url, = bus.urls()
        self.assertEqual({}, url.query)


class TestBus(base.TestCase):

    def _bus(self, take: Any = lambda incoming: True) -> bus.Bus:
        return bus.Bus(take, self._unreadable)

    def setUp(self) -> None:
        super().setUp()
        self._unreadable = mock.Mock()

    def test_dispatch(self) -> None:
        taken: list[bus.Incoming] = []

        def take(incoming: list[bus.Incoming]) -> bool:
            taken.extend(incoming)
            return bool(incoming[0].message != 'later')

        dispatcher = bus._Dispatcher(take)
        self.assertEqual(
            {'audit', 'debug', 'info', 'warn', 'error', 'critical',
             'sample'}, set(dispatcher.supported_priorities))
        # Other drivers have no number.
        first = mock.Mock(spec=('ctxt', 'message'), ctxt={}, message='a')
        second = mock.Mock(ctxt={'b': 1}, message=[1], unique_id='n')
        self.assertEqual(set(), dispatcher.dispatch([first, second]))
        self.assertEqual([({}, 'a', None), ({'b': 1}, [1], 'n')], taken)
        later = mock.Mock(ctxt={}, message='later', unique_id='n')
        self.assertEqual({later, second},
                         dispatcher.dispatch([later, second]))

    def test_overheard(self) -> None:
        one = self._bus()
        logger = logging.getLogger('oslo.messaging._drivers.impl_rabbit')
        logger.addFilter(one._overheard)
        self.addCleanup(logger.removeFilter, one._overheard)
        with self.assertLogs(logger, 'INFO') as logs:
            logger.error('[c1] AMQP server on %s is unreachable: %s.',
                         'host:5672', 'refused')
            self.assertIn('host:5672 is unreachable: refused', one.wrong())
            logger.error('[c2] AMQP server on host is unreachable.')
            logger.info('[c1] Reconnected to AMQP server on host')
            self.assertNotIn('refused', one.wrong())
            logger.info('[c2] Reconnected to AMQP server on host')
            self.assertEqual('', one.wrong())
            try:
                raise KeyError('secret')
            except KeyError:
                logger.exception('Failed to process message ... skipping it.')
        self._unreadable.assert_called_once_with()
        self.assertNotIn('Traceback', '\n'.join(logs.output))
        self.assertIn("KeyError('secret')", logs.output[-1])

    def test_comes_again(self) -> None:
        one = self._bus()
        one._tell('c1', 'away')
        self.assertTrue(one._take([]))
        self.assertEqual('', one.wrong())

    def test_silent_success(self) -> None:
        one = self._bus()
        one._tell('c1', 'away')
        self.assertEqual('away', one.wrong())
        with mock.patch.object(bus, '_STALE', 0.0):
            self.assertEqual('', one.wrong())

    def test_reasons(self) -> None:
        self.assertIn('amqp_durable_queues', bus._reason(Exception(
            "PRECONDITION_FAILED - inequivalent arg 'durable'")))
        self.assertEqual('The message bus cannot be used: KeyError.',
                         bus._reason(KeyError()))

    def test_fake(self) -> None:
        self.config(group='notifications', transport_url=['fake:/'],
                    exchanges=['nova'], batch_timeout=0.05)
        came = threading.Event()

        def take(incoming: list[bus.Incoming]) -> bool:
            self.assertEqual('a.b', incoming[0].message['event_type'])
            came.set()
            return True

        messaging.TransportURL.parse(self.conf, 'fake:/')
        self.config(control_exchange='nova')
        one = self._bus(take)
        with mock.patch.object(bus, '_RABBIT', ('fake',)), mock.patch.object(
                bus, '_PREFETCH', 'none'):
            one.start()
            while one.wrong():
                time.sleep(0.01)
        messaging.Notifier(
            messaging.get_notification_transport(self.conf, 'fake:/'),
            'compute.host', driver='messagingv2', topics=['notifications']
        ).warn({}, 'a.b', {})
        self.assertTrue(came.wait(60.0))
        self.assertTrue(one.stop(10.0))
