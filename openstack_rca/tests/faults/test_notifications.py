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
"""Notifications of real notifiers, over a real RabbitMQ."""

import collections
import configparser
import contextlib
import json
import logging
import os
import pathlib
import random
import resource
import signal
import sys
import time
from typing import Any
from unittest import mock
import uuid

import amqp
from oslo_config import cfg
from oslo_context import context
import oslo_messaging as messaging
from oslo_messaging.notify import log_handler
import polars as pl
from testtools import content

from openstack_rca.engine import child
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import publishing
from openstack_rca.tests.functional.servers import shared

PATIENCE = 120

REQUEST = 'req-6a1cd1d8-9d1f-4d9b-8f5f-0d43a24a2a11'
SERVER = '3c0a4f3e-5b3a-4c55-9f6c-2b8b0e6f2a77'
USER = uuid.uuid4().hex
CONTEXT = context.RequestContext(request_id=REQUEST, user_id=USER,
                                 project_id=uuid.uuid4().hex)


class Listener:
    """The process of an engine that listens, without the engine.

    :param folder: its ``state_path``
    :param url: the bus
    :param options: of ``[notifications]``
    """

    def __init__(self, folder: pathlib.Path, url: str,
                 **options: Any) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / 'events').mkdir(exist_ok=True)
        parser = configparser.ConfigParser(interpolation=None)
        parser['DEFAULT'] = {'state_path': str(folder)}
        parser['notifications'] = {
            'transport_url': url, 'batch_timeout': '0.2',
            **{name: str(value) for name, value in options.items()}}
        parser['oslo_messaging_rabbit'] = {
            'rabbit_interval_max': '2', 'kombu_reconnect_delay': '0.1'}
        config = folder / 'listener.conf'
        with config.open('w') as out:
            parser.write(out)
        self.log = folder / 'listener.log'
        self._args = ['--config-file', str(config), '--log-file',
                      str(self.log)]
        self.told: dict[str, Any] = {'skipped': []}
        self.start()

    def start(self) -> None:
        """Start it (again)."""
        self.process = child.Child('openstack_rca.engine.listener',
                                   self._args)

    def listen(self, seconds: float = 0.2) -> dict[str, Any]:
        """What it said last."""
        # One that was ended has nothing more to say.
        with contextlib.suppress(EOFError, ValueError):
            if message := self.process.receive(seconds):
                # It tells of some things only when they change.
                self.told |= message
        return self.told

    def said(self) -> str:
        """What it logged."""
        return self.log.read_text() if self.log.exists() else ''

    def kill(self) -> None:
        """End it as the kernel does without memory."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.end()

    def end(self) -> None:
        """End it as the engine does."""
        self.process.end(grace=20.0)

    def events(self, folder: pathlib.Path) -> pl.DataFrame:
        """What it stored.

        :param folder: where a snapshot may be
        """
        found = sorted((self.folder / 'events').glob('notifications-*'))
        if not found:
            return pl.DataFrame(schema={'text': pl.String()})
        store = parquet.ParquetStore.snapshot(
            found[0], folder / f'snapshot-{uuid.uuid4().hex}')
        return store.query(stores.Query())

    def numbers(self, folder: pathlib.Path) -> collections.Counter[int]:
        """How often it stored each number of a load."""
        return collections.Counter(
            json.loads(text)['payload']['number']
            for text in self.events(folder)['text'])


class ListenerCase(base.TestCase):
    """A test of listeners on a virtual host of their own."""

    def setUp(self) -> None:
        super().setUp()
        self.broker = shared.rabbitmq(self)
        self.url = self.broker.create_virtual_host() + publishing.DURABLE
        self.listeners: list[Listener] = []
        self.snapshots = self.tmp / 'snapshots'
        self.snapshots.mkdir()

    def listener(self, name: str = 'state', **options: Any) -> Listener:
        """Start a listener, and wait until it listens."""
        made = Listener(self.tmp / name, self.url, **options)
        self.listeners.append(made)
        # Another process of this name may be started in the meantime.
        self.addCleanup(lambda: made.process.end())
        self.addOnException(lambda _: self.addDetail(
            name, content.text_content(made.said()[-8000:])))
        self.until(f'{name} listens',
                   lambda: 'Listens to notifications' in made.said())
        return made

    def notifier(self, *about: Any, **more: Any) -> messaging.Notifier:
        """A service that publishes."""
        made = publishing.notifier(self.url, *about, **more)
        self.addCleanup(made.transport.cleanup)
        return made

    def load(self, **more: Any) -> publishing.Load:
        """A service that publishes all the time."""
        made = publishing.Load(self.url, **more)
        self.addCleanup(made.transport.cleanup)
        self.addCleanup(made.stopping.set)
        made.start()
        return made

    def until(self, what: str, function: Any) -> None:
        """Wait until something is the case."""
        deadline = time.monotonic() + PATIENCE
        while not function():
            if time.monotonic() > deadline:
                self.fail(f'It did not happen: {what}')
            for one in self.listeners:
                one.listen(0.05)

    def until_stored(self, count: int) -> None:
        """Wait until so many numbers are stored, in any of them."""
        self.until(f'{count} are stored', lambda: sum(
            one.events(self.snapshots).height
            for one in self.listeners) >= count)

    def check(self, published: list[int]) -> None:
        """Look whether each number is stored, and once."""
        self.until_stored(len(published))
        found: collections.Counter[int] = collections.Counter()
        for one in self.listeners:
            found += one.numbers(self.snapshots)
        self.assertEqual([], sorted(set(published) - set(found)), 'lost')
        # A notifier that loses its connection sends once more what it had
        # no answer for, and under the same id.
        self.assertEqual({}, {n: c for n, c in found.items() if c > 1},
                         'twice')
        for one in self.listeners:
            self.assertNotIn('Traceback', one.said())

    def waiting(self) -> int:
        """How many messages are in the queue, handed out or not."""
        return self.broker.queues(
            self.url.partition('?')[0])['openstack_rca']

    def raw(self, body: bytes, content_type: str = 'application/json',
            topic: str = 'notifications.info') -> None:
        """Publish what no notifier would."""
        host = self.url.partition('?')[0].rpartition('/')[2]
        with amqp.Connection(f'127.0.0.1:{self.broker.port}',
                             virtual_host=host) as connection:
            connection.channel().basic_publish(
                amqp.Message(body, content_type=content_type,
                             content_encoding='utf-8'),
                exchange='nova', routing_key=topic)


class TestKinds(ListenerCase):

    def _events(self, count: int) -> list[dict[str, Any]]:
        self.until_stored(count)
        one, = self.listeners
        return one.events(self.snapshots).to_dicts()

    def test_priorities(self) -> None:
        self.listener()
        notifier = self.notifier()
        for name in ('audit', 'debug', 'info', 'warn', 'error', 'critical',
                     'sample'):
            getattr(notifier, name)(CONTEXT, f'a.{name}', {'number': 1})
        rows = {row['logger']: row for row in self._events(7)}
        self.assertEqual(
            {'a.audit': 20, 'a.debug': 10, 'a.info': 20, 'a.warn': 30,
             'a.error': 40, 'a.critical': 50, 'a.sample': 20},
            {name: row['level'] for name, row in rows.items()})
        for row in rows.values():
            self.assertEqual('notification', row['kind'])
            self.assertEqual(REQUEST, row['request_id'])
            self.assertEqual('nova', row['service'])
            self.assertEqual('host1', row['host'])
            self.assertEqual(USER, row['user_id'])

    def test_services(self) -> None:
        self.listener()
        fault = {'nova_object.data': {
            'exception': 'NoValidHost', 'exception_message': 'No host'},
            'nova_object.name': 'ExceptionPayload'}
        for exchange, publisher, topic, event_type, payload in (
                ('nova', 'compute.cmp1', 'notifications',
                 'compute.instance.create.error',
                 {'instance_id': SERVER, 'state': 'building',
                  'exception': 'No host', 'code': 500}),
                ('nova', 'nova-compute:cmp1', 'versioned_notifications',
                 'instance.create.error',
                 {'nova_object.name': 'InstanceCreatePayload',
                  'nova_object.data': {'uuid': SERVER, 'state': 'error',
                                       'flavor': {}, 'fault': fault}}),
                ('neutron', 'network.ctl1', 'notifications',
                 'port.create.end', {'port': {'device_id': SERVER}}),
                ('cinder', 'volume.ctl1@lvm#pool', 'notifications',
                 'volume.attach.end', {'instance_uuid': SERVER}),
                ('glance', 'image.ctl1', 'notifications', 'image.create',
                 {'id': SERVER}),
                ('keystone', 'identity.ctl1', 'notifications',
                 'identity.authenticate',
                 {'typeURI': 'http://schemas.dmtf.org/cloud/audit/1.0/event',
                  'outcome': 'failure', 'initiator': {'user_id': 'u1'}}),
                ('heat', 'orchestration.ctl1', 'notifications',
                 'orchestration.stack.create.error', {'state': 'FAILED'}),
                ('ironic', 'ironic-conductor.ctl1',
                 'versioned_notifications', 'baremetal.node.power_set.error',
                 {'ironic_object.data': {'uuid': SERVER}})):
            self.notifier(exchange, publisher, topic).info(
                CONTEXT, event_type, payload)
        rows = {row['logger']: row for row in self._events(8)}
        self.assertEqual(
            {'compute.instance.create.error': ('nova-compute', 40),
             'instance.create.error': ('nova-compute', 40),
             'port.create.end': ('neutron-server', 20),
             'volume.attach.end': ('cinder-volume', 20),
             'image.create': ('glance-api', 20),
             'identity.authenticate': ('keystone', 20),
             'orchestration.stack.create.error': ('heat-engine', 40),
             'baremetal.node.power_set.error': ('ironic-conductor', 40)},
            {name: (row['binary'], row['level'])
             for name, row in rows.items()})
        for name, row in rows.items():
            self.assertEqual(REQUEST, row['request_id'], name)
        for name in ('compute.instance.create.error', 'port.create.end',
                     'instance.create.error', 'volume.attach.end'):
            self.assertIn(SERVER, rows[name]['resources'], name)

    def test_logs(self) -> None:
        self.listener()
        settings = publishing.configuration(self.url)

        class Handler(messaging.LoggingNotificationHandler):
            CONF = settings

        record = logging.getLogger('nova.compute.manager').makeRecord
        try:
            raise OSError('no space')
        except OSError:
            Handler(None).emit(record(
                'nova.compute.manager', logging.ERROR, __file__, 1,
                'Instance %s is lost', (SERVER,), sys.exc_info(),
                extra={'extra': {'request_id': REQUEST}}))
        # It takes the configuration of the whole process.
        with mock.patch.object(cfg, 'CONF', settings):
            log_handler.PublishErrorsHandler().emit(
                logging.makeLogRecord({'msg': 'It broke'}))
        rows = {row['kind']: row for row in self._events(2)}
        row = rows['log']
        self.assertEqual(('nova.compute.manager', 'nova', 40, REQUEST),
                         (row['logger'], row['service'], row['level'],
                          row['request_id']))
        self.assertIn(SERVER, row['resources'])
        self.assertIn('no space', row['message'])
        row = rows['notification']
        self.assertEqual(('error_notification', 40, None),
                         (row['logger'], row['level'], row['binary'] or None))
        self.assertIn('It broke', row['message'])

    def test_secrets(self) -> None:
        self.listener()
        # As releases of oslo.messaging did that are not old.
        self.raw(json.dumps({
            '_context_auth_token': 'gAAAAABsecret',
            '_context_service_catalog': [{'name': 'gAAAAABsecret'}],
            '_context_request_id': REQUEST, 'message_id': 'a',
            'publisher_id': 'compute.host1', 'priority': 'INFO',
            'event_type': 'compute.instance.rebuild.start',
            'timestamp': '2026-11-21 10:00:00',
            'payload': {'instance_id': SERVER, 'rows': [
                {'adminPass': 'gAAAAABsecret'}]}}).encode())
        row, = self._events(1)
        self.assertEqual(REQUEST, row['request_id'])
        self.assertNotIn('gAAAAABsecret', row['text'])
        self.assertIn('***', row['text'])

    def test_others_lose_nothing(self) -> None:
        self.listener()
        notifier = self.notifier()
        for number in range(10):
            notifier.info({}, 'load.number', {'number': number})
        self._events(10)
        self.assertEqual(10, self.broker.queues(
            self.url.partition('?')[0])['notifications.info'])

    def test_own_topic(self) -> None:
        self.listener(topics='rca', pool='')
        self.notifier(topic='rca').info(
            {}, 'load.number', {'number': 1})
        row, = self._events(1)
        self.assertEqual('load.number', row['logger'])

    def test_not_our_own(self) -> None:
        self.listener()
        notifier = self.notifier()
        notifier.info({}, 'rca.incident.create', {'number': 1})
        notifier.info({}, 'load.number', {'number': 2})
        row, = self._events(1)
        self.assertEqual('load.number', row['logger'])

    def test_poison(self) -> None:
        one = self.listener()
        notifier = self.notifier()
        notifier.info({}, 'load.number', {'number': 1})
        deep = b'[' * 5000 + b']' * 5000
        unreadable = (b'no JSON', b'"a text"', b'[1, 2]', b'17',
                      b'{"event_type": "a", "payload": ' + deep + b'}',
                      b'{"oslo.version": "9.0", "oslo.message": "{}"}')
        for body in unreadable:
            self.raw(body)
        self.raw(b'{}', 'application/x-python-serialize')
        for message in (
                {}, {'priority': 7, 'event_type': ['a'], 'payload': [1]},
                {'event_type': 'text', 'payload': 'only a text'},
                {'event_type': 'null', 'payload': None, 'message_id': 7,
                 'timestamp': 'soon'},
                {'event_type': 'old', 'timestamp': '0001-01-01 00:00:00'},
                {'event_type': 'large', 'timestamp': '2026-01-01 00:00:00',
                 'payload': {'instance_id': SERVER, 'console': 'x' * (5 << 20),
                             'rows': [{'a': 'b' * 99}] * 10000}},
                {'event_type': 'surrogate', 'payload': {'a': '\ud800'}}):
            self.raw(json.dumps(message).encode())
        notifier.info({}, 'load.number', {'number': 2})
        rows = {row['logger']: row for row in self._events(8)}
        self.assertEqual({'load.number', 'unknown', 'text', 'null', 'old',
                          'large', 'surrogate'}, set(rows))
        self.assertIn(SERVER, rows['large']['resources'])
        self.until('the drops are told', lambda: (
            one.listen()['skipped']
            and one.told['skipped'][0]['reason'].startswith('7 ')))
        self.until('the queue is empty', lambda: not self.waiting())
        self.assertEqual('ready', one.told['status'])
        self.assertNotIn('Traceback', one.said())
        one.end()
        one.start()
        self.until('the drops are told again', lambda: (
            one.listen()['skipped'][0]['reason'].startswith('7 ')))


class TestFaults(ListenerCase):

    def test_broker_away(self) -> None:
        one = self.listener()
        load = self.load(pace=0.002)
        self.until_stored(200)
        self.broker.stop()
        self.until('it is told', lambda: one.listen().get('error'))
        self.assertIn('The message bus is away', one.told['error'])
        time.sleep(5.0)
        self.broker.start()
        before = len(load.published)
        self.until('it goes on', lambda: len(load.published) > before + 200)
        self.broker.kill()
        self.broker.start()
        before = len(load.published)
        self.until('it goes on', lambda: len(load.published) > before + 200)
        self.check(load.end())
        self.until('all is well', lambda: not one.listen()['error'])
        self.until('the queue is empty', lambda: not self.waiting())

    def test_broker_late(self) -> None:
        self.broker.stop()
        made = Listener(self.tmp / 'state', self.url)
        self.addCleanup(lambda: made.process.end())
        self.listeners.append(made)
        self.until('it is told', lambda: made.listen().get('error'))
        self.broker.start()
        self.until('it listens', lambda: not made.listen()['error'])
        self.notifier().info({}, 'load.number', {'number': 1})
        self.check([1])

    def test_ends_without_broker(self) -> None:
        one = self.listener()
        self.broker.stop()
        self.until('it is told', lambda: one.listen().get('error'))
        one.end()
        self.assertFalse(one.process.alive())
        self.assertNotIn('Traceback', one.said())

    def test_killed(self) -> None:
        one = self.listener(batch_timeout=0.05)
        load = self.load()
        chance = random.Random(self.id())
        for _ in range(6):
            time.sleep(chance.uniform(0.0, 0.4))
            one.kill()
            said = one.said().count('Listens to')
            one.start()
            self.until('it listens again', lambda: (
                one.said().count('Listens to') > said))
        self.check(load.end())
        self.until('the queue is empty', lambda: not self.waiting())

    def test_drained(self) -> None:
        one = self.listener(batch_timeout=1.0)
        load = self.load()
        self.until_stored(100)
        one.end()
        published = load.end()
        stored = one.numbers(self.snapshots)
        # Each is where it was acknowledged from, and nowhere else.
        self.until('the rest waits', lambda: (
            self.waiting() == len(published) - len(stored)))
        one.start()
        self.check(published)

    def test_disk_full(self) -> None:
        one = self.listener()
        load = self.load(pace=0.002)
        self.until_stored(100)
        limits = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE,
                         (0, limits[1]))
        self.until('it is told', lambda: one.listen().get('error'))
        self.assertEqual('failed', one.told['status'])
        before = len(load.published)
        self.until('others go on', lambda: len(load.published) > before + 200)
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, limits)
        self.check(load.end())
        self.until('all is well', lambda: not one.listen()['error'])

    def test_two_share(self) -> None:
        one = self.listener('one')
        other = self.listener('other')
        load = self.load()
        self.until('both work', lambda: all(
            one.events(self.snapshots).height > 100 for one in (one, other)))
        other.end()
        before = len(load.published)
        self.until('it goes on', lambda: len(load.published) > before + 200)
        self.check(load.end())

    def test_published_twice(self) -> None:
        one = self.listener()
        body = json.dumps({
            'message_id': str(uuid.uuid4()), 'event_type': 'load.number',
            'publisher_id': 'a.b', 'timestamp': '2026-11-21 10:00:00',
            'priority': 'INFO', 'payload': {'number': 1}}).encode()
        self.raw(body)
        self.raw(body)
        self.until('it is known', lambda: one.listen().get('twice') == 1)
        one.end()
        one.start()
        self.raw(body)
        self.until('it is known again',
                   lambda: one.listen().get('twice') == 1)
        self.check([1])


class TestEngine(service_case.ServiceCase):

    def test_in_the_service(self) -> None:
        broker = shared.rabbitmq(self)
        url = broker.create_virtual_host() + publishing.DURABLE
        made = self.own_service(notifications={'transport_url': url})
        engine, = made.engines
        self.wait_for('it listens', lambda: (
            'Listens to notifications' in engine.said()))
        publishing.notifier(url).error(
            CONTEXT, 'compute.instance.create.error',
            {'instance_id': SERVER, 'message': 'No valid host'})

        def stored() -> bool:
            return any(row['id'] == 'notifications' and row['events']
                       for row in self.ask('GET', '/v1/sources', 200).json()[
                           'sources'])

        self.wait_for('it is a source', stored)
        self.assertIn('notifications', self.rca('source', 'list'))
        rows = self.rca_json('event', 'list', '--request-id', REQUEST)
        self.assertEqual(1, len(rows), rows)
        listener, = engine.processes('listener')
        os.kill(listener, signal.SIGKILL)
        self.wait_for('it is started again', lambda: engine.processes(
            'listener') not in ([], [listener]))
        self.assertEqual(0, engine.end())
        self.no_traceback(made.said())
