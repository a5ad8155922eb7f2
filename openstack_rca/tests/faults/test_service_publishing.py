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
"""Engines that tell others, and of themselves.

Without the API and Keystone, which have no part in it: what users do is done
in the database, as the API does it.
"""

from collections.abc import Callable
import json
import os
import queue
import signal
import time
from typing import Any
from typing import TypeVar

import oslo_messaging as messaging
import requests
from testtools import content

from openstack_rca import conf
from openstack_rca.db import api
from openstack_rca.db import clock
from openstack_rca.db import incidents
from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.tests import base
from openstack_rca.tests import receiver
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import service
from openstack_rca.tests.functional.servers import shared

SECRET = 'sesame-of-the-receivers'
PROJECT, USER = 'project-1', 'user-1'
FIELDS = {'event_id', 'link', 'id', 'project_id', 'analysis_id', 'status',
          'component', 'category', 'severity', 'host', 'confidence',
          'origin', 'merged_into', 'first_seen', 'last_seen', 'created_at',
          'updated_at', 'acknowledged_at', 'resolved_at'}

# Seconds after which something that does not happen never will.
PATIENCE = 120

_T = TypeVar('_T')


class _NoCloud:
    """A cloud that nobody asks."""

    url = ''

    def authtoken(self) -> dict[str, str]:
        """No way to it."""
        return {}


class PublishingCase(base.TestCase):
    """A test with a receiver, and the port of an engine's metrics."""

    def setUp(self) -> None:
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        self.port = servers.free_port()

    def publishing(self, connection: str | None = None, engines: int = 1,
                   options: dict[str, dict[str, Any]] | None = None
                   ) -> service.Service:
        """Use engines of the test's own that tell the receiver."""
        folder = self.tmp / 'service'
        folder.mkdir()
        told: dict[str, dict[str, Any]] = {
            'engine': {'workers': 1}, 'detectors': {'watch_interval': 0},
            'webhooks': {'urls': f'pager:{self.receiver.url}', 'timeout': 2,
                         'secrets': SECRET},
            'publishing': {'public_endpoint': 'https://rca.example.org'},
            'metrics': {'port': self.port, 'unhealthy_after': 15}}
        for group, values in (options or {}).items():
            told.setdefault(group, {}).update(values)
        cloud: Any = _NoCloud()
        made = service.Service(
            folder, connection or f'sqlite:///{folder}/rows.sqlite',
            {'logs': service.LOGS}, cloud, told)
        made.sync()
        self.addCleanup(self._stop, made)
        made.use_database()
        self.addCleanup(session.dispose)
        for _ in range(engines):
            made.start_engine()
        return made

    def _stop(self, made: service.Service) -> None:
        for engine in made.engines:
            self.addDetail('engine', content.text_content(engine.tail()))
            engine.cleanUp()

    def said(self, made: service.Service) -> str:
        """All logs of the engines."""
        return '\n'.join(engine.said() for engine in made.engines)

    def no_traceback(self, made: service.Service) -> None:
        """Look whether the logs are fit for an operator."""
        said = self.said(made)
        at = said.find('Traceback (most recent call last)')
        self.assertEqual(-1, at, said[max(0, at - 500):at + 3000])

    def wait_for(self, what: str, function: Callable[[], _T | None]) -> _T:
        """Wait until something is the case.

        :param what: what is waited for, for the message
        :param function: returns something true then
        """
        deadline = time.monotonic() + PATIENCE
        while not (found := function()):
            if time.monotonic() > deadline:
                self.fail(f'It did not happen: {what}')
            time.sleep(0.1)
        return found

    def post(self, incident: bool = False) -> str:
        """Ask for an analysis.

        :returns: its id
        """
        return str(api.analysis_create(PROJECT, USER, {
            'issue': 'server web-3 went to ERROR', 'mode': 'fast',
            'incident': incident}, 1000)['id'])

    def wait_complete(self, name: str) -> dict[str, Any]:
        """Wait for a report."""
        found = self.wait_for('it is finished', lambda: self._finished(name))
        self.assertEqual('complete', found['status'], found['error'])
        return found

    @staticmethod
    def _finished(name: str) -> dict[str, Any] | None:
        found = api.analysis_get(PROJECT, name)
        return found if found['status'] in ('complete', 'failed') else None

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What the receiver was told, of one kind of event."""
        return [event for event in self.receiver.events if
                event['commonAnnotations']['event_type'] == kind]

    def wait_told(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the receiver was told so many different events."""

        def found() -> list[dict[str, Any]] | None:
            events = {e['commonAnnotations']['event_id']: e
                      for e in self.told(kind)}
            return list(events.values()) if len(events) >= count else None

        return self.wait_for(f'{count} {kind}', found)

    def metric(self, name: str) -> float | None:
        """A line of the metrics, by all that stands before its value."""
        answer = requests.get(f'http://127.0.0.1:{self.port}/metrics',
                              timeout=PATIENCE)
        self.assertEqual(200, answer.status_code)
        for line in answer.text.splitlines():
            if line.startswith(name + ' '):
                return float(line.rpartition(' ')[2])
        return None

    def healthy(self) -> bool:
        """Whether the engine says that it is well."""
        try:
            answer = requests.get(
                f'http://127.0.0.1:{self.port}/healthcheck',
                timeout=PATIENCE)
        except requests.ConnectionError:
            return False
        self.assertIn((answer.status_code, answer.text), (
            (200, 'OK\n'), (503, 'not ok\n')))
        return answer.status_code == 200


class TestWebhook(PublishingCase):

    def test_told_whatever_the_receiver_does(self) -> None:
        made = self.publishing()
        name = self.post(incident=True)
        self.wait_complete(name)
        event, = self.wait_told('rca.incident.create')
        incident = event['groupLabels']['incident_id']
        self.assertEqual('firing', event['status'])
        link = f'https://rca.example.org/v1/incidents/{incident}'
        self.assertEqual(link, event['alerts'][0]['generatorURL'])
        complete, = self.wait_told('rca.analysis.complete')
        self.assertEqual((name, incident), (
            complete['groupLabels']['analysis_id'],
            complete['commonAnnotations']['incident_id']))
        for values, kind, status in (
                ({'status': 'acknowledged'}, 'rca.incident.update',
                 'firing'),
                ({'status': 'resolved', 'resolution': SECRET},
                 'rca.incident.resolve', 'resolved')):
            shown = incidents.incident_update(PROJECT, incident, USER, values)
            event = self.wait_told(kind)[-1]
            self.assertEqual(status, event['status'])
            self.assertEqual(values['status'],
                             event['commonAnnotations']['rca_status'])
        self.assertEqual(shown['resolved_at'],
                         event['alerts'][0]['endsAt'])
        # Nothing of a log, and no word of a person.
        said = json.dumps(self.receiver.events)
        for words in (shown['title'], shown['summary'], SECRET):
            self.assertNotIn(words, said)
        for headers, _ in self.receiver.asked:
            self.assertRegex(headers['webhook-signature'], '^v1,')
        self.assertNotIn(SECRET, self.said(made))
        self.assertNotIn(self.receiver.url, self.said(made))
        for behaviour in (500, receiver.CUT, receiver.HANG):
            self.receiver.behaviour = behaviour
            self.receiver.asked.clear()
            self.wait_complete(self.post())
            self.wait_for('it was tried', lambda: self.receiver.asked)
        self.receiver.behaviour = 200
        self.wait_told('rca.analysis.complete', 3)
        self.wait_for('nobody waits', lambda: self.metric(
            'openstack_rca_outbox{target="webhook:pager"}') is None)
        self.no_traceback(made)

    def test_engines_share_and_die(self) -> None:
        made = self.publishing(
            shared.mariadb(self).create_database(), engines=2)
        names = {self.post(incident=True) for _ in range(6)}
        for name in names:
            self.wait_complete(name)
        self.wait_told('rca.incident.create', 6)
        self.wait_told('rca.analysis.complete', 6)
        # None of them died: nothing is told twice.
        self.assertEqual(12, len({headers['webhook-id'] for headers, _
                                  in self.receiver.asked}))
        self.assertEqual(12, len(self.receiver.asked))
        self.no_traceback(made)
        self.receiver.behaviour = receiver.HANG
        names = {self.post() for _ in range(4)}
        for name in names:
            self.wait_complete(name)
        self.wait_for('somebody tells',
                      lambda: len(self.receiver.asked) > 12)
        for engine in made.engines:
            engine.kill()
        self.receiver.behaviour = 200
        self.receiver.asked.clear()
        # What the dead ones had in hand is theirs for a while.
        with session.writer() as connection:
            connection.execute(models.OUTBOX.update().values(
                next_at=clock.now(-1)))
        made.start_engine()
        events = self.wait_told('rca.analysis.complete', 4)
        self.assertEqual(names, {e['groupLabels']['analysis_id']
                                 for e in events})


class TestNotification(PublishingCase):

    def test_bus_restarted(self) -> None:
        bus = shared.rabbitmq(self)
        self.addCleanup(bus.start)
        url = bus.create_virtual_host()
        made = self.publishing(
            options={
                'webhooks': {'urls': ''}, 'DEFAULT': {'transport_url': url},
                'oslo_messaging_notifications': {
                    'driver': 'messagingv2', 'topics': 'alarms'},
                'oslo_messaging_rabbit': {'amqp_durable_queues': True}})
        bus.stop()
        names = {self.post(incident=True) for _ in range(3)}
        for name in names:
            self.wait_complete(name)
        self.wait_for('it is missed', lambda: self.said(made).count(
            'The target notification could not be told'))
        bus.start()
        self.wait_for('all are told', lambda: self.metric(
            'openstack_rca_published_total{result="sent",'
            'target="notification"}') == 6)
        self.assertEqual(6, bus.queues(url)['alarms.info'])
        told = self.listen(url)
        self.assertEqual(
            {'rca.incident.create', 'rca.analysis.complete'},
            {kind for _, kind, _ in told})
        self.assertEqual({'rca.engine0'}, {who for who, _, _ in told})
        opened = [p for _, kind, p in told if kind == 'rca.incident.create']
        self.assertEqual(names, {p['analysis_id'] for p in opened})
        for payload in opened:
            self.assertEqual(FIELDS, set(payload))
        self.no_traceback(made)

    def listen(self, url: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Take six notifications, as another service would."""
        came: queue.Queue[tuple[str, str, dict[str, Any]]] = queue.Queue()

        class Endpoint:
            def info(self, context: Any, publisher_id: str, event_type: str,
                     payload: dict[str, Any], metadata: Any) -> None:
                came.put((publisher_id, event_type, payload))

        messaging.TransportURL.parse(conf.CONF, url)
        transport = messaging.get_notification_transport(
            conf.CONF, url + '?amqp_durable_queues=true')
        self.addCleanup(transport.cleanup)
        server = messaging.get_notification_listener(
            transport, [messaging.Target(topic='alarms',
                                         exchange='openstack-rca')],
            [Endpoint()])
        server.start()
        try:
            return [came.get(timeout=PATIENCE)
                    for _ in range(6)]
        finally:
            server.stop()
            server.wait()


class TestHealth(PublishingCase):

    def test_metrics(self) -> None:
        made = self.publishing()
        self.wait_complete(self.post(incident=True))
        self.post()
        self.wait_for('it is counted', lambda: self.metric(
            'openstack_rca_jobs_finished_total{kind="analysis",'
            'result="complete"}') == 2)
        self.wait_for('the incident is counted', lambda: any(
            self.metric(f'openstack_rca_incidents{{severity="{severity}",'
                        'status="open"}') == 1
            for severity in ('low', 'medium', 'high', 'critical')))
        self.assertEqual(1, self.metric('openstack_rca_database_up'))
        self.assertEqual(1, self.metric(
            'openstack_rca_process_up{process="reader"}'))
        self.assertLess(0, self.metric(
            'openstack_rca_source_events{source="logs"}') or 0)
        # Nobody but this machine can ask.
        self.assertTrue(self.healthy())
        self._guru_meditation(made)
        self._reader_down(made)

    def test_database_away(self) -> None:
        database = shared.mariadb(self)
        self.addCleanup(database.start)
        made = self.publishing(database.create_database())
        self.wait_for('it is well', self.healthy)
        database.stop()
        self.wait_for('it is not', lambda: not self.healthy())
        self.assertEqual(0, self.metric('openstack_rca_database_up'))
        database.start()
        self.wait_for('it is well again', self.healthy)
        self.no_traceback(made)

    def _reader_down(self, made: service.Service) -> None:
        engine, = made.engines
        reader, = engine.processes('reader')
        os.kill(reader, signal.SIGSTOP)
        self.addCleanup(engine.melt, [reader])
        self.wait_for('it is not', lambda: not self.healthy())
        os.kill(reader, signal.SIGCONT)
        self.wait_for('it is well again', self.healthy)
        os.kill(reader, signal.SIGKILL)
        self.wait_for('it is counted', lambda: self.metric(
            'openstack_rca_process_restarts_total{process="reader"}') == 1)
        self.wait_for('it runs again', lambda: self.metric(
            'openstack_rca_process_up{process="reader"}') == 1)

    def test_reload_and_drain(self) -> None:
        second = self.useFixture(receiver.Receiver())
        made = self.publishing()
        engine, = made.engines
        self.wait_complete(self.post())
        self.wait_told('rca.analysis.complete')
        made.options['webhooks']['urls'] = f'chat:{second.url}'
        made.write('engine0.conf', DEFAULT={
            'state_path': made.folder / 'state0', 'host': 'engine0'})
        os.kill(engine.pid, signal.SIGHUP)
        self.wait_for('it tells the other one',
                      lambda: 'told to: webhook:chat' in engine.said())
        self.wait_complete(self.post())
        self.wait_for('the other one is told', lambda: second.asked)
        self.assertEqual(1, len(self.receiver.asked))
        # The port is that of the new process.
        self.wait_for('it is well', self.healthy)
        # What is told when the engine ends is told by the next one.
        second.behaviour = receiver.HANG
        second.asked.clear()
        name = self.post()
        self.wait_complete(name)
        self.wait_for('it is told', lambda: second.asked)
        self.assertEqual(0, engine.end())
        self.no_traceback(made)
        second.behaviour = 200
        second.asked.clear()
        made.start_engine()
        self.wait_for('it is told again', lambda: second.asked)
        event, = second.events
        self.assertEqual(name, event['groupLabels']['analysis_id'])

    def _guru_meditation(self, made: service.Service) -> None:
        engine, = made.engines
        # As systemd's main process gets it.
        os.kill(engine.pid, signal.SIGUSR2)
        self.wait_for('two reports are written', lambda: engine.said().count(
            'Guru Meditation') == 2)
        said = self.wait_for('it is whole', lambda: engine.said() if
                             'reads its sources = True' in engine.said()
                             else None)
        self.assertIn('holds none', said)
        for words in ('holder = engine0:', 'webhook:pager', 'jobs held',
                      'symptoms that wait = 0', 'answered '):
            self.assertIn(words, said)
        self.assertNotIn(SECRET, said)
        self.assertNotIn(self.receiver.url, said)
        self.assertIn('urls = ***', said)
        # Its processes are still the same ones.
        self.assertEqual(1, len(engine.processes('reader')))
        os.kill(engine.processes('reader')[0], signal.SIGUSR2)
        self.wait_complete(self.post())
        self.assertNotIn('did not finish', engine.said())
