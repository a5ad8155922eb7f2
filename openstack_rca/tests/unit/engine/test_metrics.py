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
"""What the engine tells of itself."""

import json
import pathlib
import re
import socket
import threading
import time
from typing import Any
from unittest import mock

import fixtures
from prometheus_client import parser
import requests

from openstack_rca import exception
from openstack_rca.db import gauges
from openstack_rca.engine import metrics
from openstack_rca.tests import base
from openstack_rca.tests.functional.servers import base as servers

_LONG = 60.0
_DOCS = (pathlib.Path(__file__).resolve().parents[4] / 'doc' / 'source'
         / 'admin' / 'monitoring.rst')


def value(name: str, **labels: str) -> float:
    """A metric as Prometheus reads it; 0 where there is none."""
    return metrics.REGISTRY.get_sample_value(
        f'openstack_rca_{name}', labels) or 0.0


class TestTaken(base.TestCase):
    """What processes tell."""

    def test_counted(self) -> None:
        name = self.id()
        message: dict[str, Any] = {'metrics': {
            'lines': {name: 7}, 'dropped': {name: 2}, 'lag': {name: 0.5},
            'queues': {name: 3}, 'detectors': {name: [2, 0.25]}}}
        metrics.taken('watcher', message)
        metrics.taken('watcher', message)
        self.assertEqual(
            (14.0, 4.0, 0.5, 3.0, 4.0, 0.5),
            (value('lines_total', source=name),
             value('dropped_total', reason=name),
             value('source_lag_seconds', source=name),
             value('queue_depth', queue=name),
             value('detector_runs_total', detector=name),
             value('detector_seconds_total', detector=name)))

    def test_sign_of_life(self) -> None:
        health = metrics.Health(lambda: 0.0)
        with mock.patch.object(metrics, 'HEALTH', health):
            for name in ('reader', 'listener', 'watcher', 'worker'):
                metrics.taken(name, {'metrics': {}})
            self.assertEqual({'database', 'reader', 'listener', 'watcher'},
                             health.described().keys())
            metrics.taken('watcher', {'waiting': True})
        self.assertNotIn('watcher', health.described())

    def test_symptoms(self) -> None:
        name = self.id()
        metrics.taken('watcher', {'symptoms': [
            {'detector': name}, {'detector': name}]})
        self.assertEqual(2, value('symptoms_total', detector=name))

    def test_source(self) -> None:
        name = self.id()
        metrics.taken('reader', {
            'source': name, 'events': 5, 'bytes': 900, 'files': [
                {'to': '2026-11-21T03:00:00+00:00'}, {'to': None},
                {'to': '2026-11-21T02:00:00'}]})
        self.assertEqual((5, 900, 1795230000.0), (
            value('source_events', source=name),
            value('source_bytes', source=name),
            value('source_newest_timestamp_seconds', source=name)))
        metrics.taken('reader', {'source': name, 'events': 0, 'bytes': 0,
                                 'files': []})
        self.assertEqual(0, value('source_events', source=name))

    def test_nothing_to_count(self) -> None:
        messages: tuple[dict[str, Any], ...] = (
            {}, {'looked': True}, {'metrics': {}}, {'symptoms': []},
            {'reading': 'x', 'fraction': 0.5})
        for message in messages:
            metrics.taken('reader', message)


class TestFinished(base.TestCase):

    def test_report(self) -> None:
        before = value('llm_tokens_total'), value('llm_cost_total')
        count = value('jobs_finished_total', kind='analysis',
                      result='complete')
        seconds = value('job_duration_seconds_count', kind='analysis')
        metrics.finished('analysis', 'complete', 3.0, json.dumps(
            {'narrative': {'tokens': 100, 'cost': 0.25}}))
        metrics.finished('analysis', 'complete', 3.0, json.dumps(
            {'narrative': {'tokens': None, 'text': ''}}))
        metrics.finished('question', 'complete', 3.0, json.dumps(
            {'tokens': 10, 'cost': 0.5}))
        metrics.finished('events', 'complete', 3.0, '{"tokens": 1000}')
        metrics.finished('analysis', 'failed', 3.0)
        self.assertEqual((before[0] + 110, before[1] + 0.75), (
            value('llm_tokens_total'), value('llm_cost_total')))
        self.assertEqual(count + 2, value(
            'jobs_finished_total', kind='analysis', result='complete'))
        self.assertEqual(seconds + 3, value(
            'job_duration_seconds_count', kind='analysis'))


class TestHealth(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = 1000.0
        self.health = metrics.Health(lambda: self.now)

    def later(self, seconds: float) -> None:
        """Let time pass while the database answers."""
        self.now += seconds
        self.health.database()

    def test_fresh(self) -> None:
        self.assertTrue(self.health.ok(60))

    def test_database(self) -> None:
        self.now += 59
        self.assertTrue(self.health.ok(60))
        self.now += 2
        self.assertFalse(self.health.ok(60))
        self.health.database()
        self.assertTrue(self.health.ok(60))

    def test_process(self) -> None:
        self.health.process('watcher', True)
        self.later(1000)
        self.assertTrue(self.health.ok(60))
        self.health.process('watcher', False)
        self.later(59)
        # It may be started again and again, and end each time.
        self.health.process('watcher', False)
        self.assertTrue(self.health.ok(60))
        self.later(2)
        self.assertFalse(self.health.ok(60))
        self.health.process('watcher', True)
        self.assertTrue(self.health.ok(60))

    def test_silence(self) -> None:
        self.health.process('reader', True)
        self.health.heard('reader')
        self.later(59)
        self.assertTrue(self.health.ok(60))
        self.later(2)
        self.assertFalse(self.health.ok(60))
        self.assertTrue(self.health.ok(60, 5))
        self.later(5)
        self.assertFalse(self.health.ok(60, 5))
        self.health.heard('reader')
        self.assertTrue(self.health.ok(60))
        # Another engine on this host reads.
        self.health.heard('reader', waits=True)
        self.later(1000)
        self.assertTrue(self.health.ok(60))

    def test_described(self) -> None:
        self.health.process('reader', True)
        self.health.heard('reader')
        self.health.process('watcher', False)
        self.now += 5
        self.assertEqual({
            'database': 'answered 5 s ago', 'reader': 'heard of 5 s ago',
            'watcher': 'ended 5 s ago'}, self.health.described())


class TestMonitor(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(
            metrics.__name__, format='%(levelname)s %(message)s'))
        self.port = servers.free_port()
        self.config('metrics', port=self.port)
        self.found: Any = {
            'jobs': {('analysis', 'queued'): 4}, 'outbox': {('bus',): 2},
            'incidents': {('open', 'high'): 3}}
        self._patch(gauges, 'gauges', self._gauges)
        self._patch(metrics, '_LOOK', 0.02)
        self._patch(metrics.SNAPSHOT, 'values', {})
        self.health = metrics.Health()
        self._patch(metrics, 'HEALTH', self.health)

    def _patch(self, where: Any, name: str, value: Any) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def _gauges(self) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def start(self) -> metrics.Monitor:
        """Begin to answer; ends with the test."""
        made = metrics.Monitor()
        self.addCleanup(made.stop)
        made.start()
        return made

    def ask(self, path: str, method: str = 'GET') -> requests.Response:
        """Ask, as soon as somebody answers."""
        end = time.monotonic() + _LONG
        while True:
            try:
                return requests.request(
                    method, f'http://127.0.0.1:{self.port}{path}',
                    timeout=_LONG)
            except requests.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def wait_for(self, what: str, true: Any) -> None:
        """Wait until something is the case."""
        end = time.monotonic() + _LONG
        while not true():
            if time.monotonic() > end:
                self.fail(f'It did not happen: {what}')
            time.sleep(0.01)

    def test_metrics(self) -> None:
        self.start()
        self.wait_for('the database was asked',
                      lambda: value('database_up') == 1)
        answer = self.ask('/metrics')
        self.assertEqual(200, answer.status_code)
        self.assertTrue(answer.headers['Content-Type'].startswith(
            'text/plain; version='))
        told = {sample.name: sample for family in
                parser.text_string_to_metric_families(answer.text)
                for sample in family.samples}
        self.assertEqual(3, told['openstack_rca_incidents'].value)
        self.assertEqual({'status': 'open', 'severity': 'high'},
                         told['openstack_rca_incidents'].labels)
        self.assertIn('process_cpu_seconds_total', told)
        self.assertIn('openstack_rca_build_info', told)

    def test_held(self) -> None:
        self._patch(metrics.SNAPSHOT, 'held',
                    lambda: ['analysis', 'events', 'analysis'])
        self.assertEqual((2, 1), (value('jobs_held', kind='analysis'),
                                  value('jobs_held', kind='events')))

    def test_database_away(self) -> None:
        self.start()
        self.wait_for('it answered', lambda: value('database_up') == 1)
        self.config('metrics', unhealthy_after=15)
        self.assertEqual((200, 'OK\n'), (
            self.ask('/healthcheck').status_code,
            self.ask('/healthcheck').text))
        for error in (exception.DatabaseUnavailable(reason='x'),
                      ValueError('odd')):
            self.found = error
            self.wait_for('it is missed', lambda: value('database_up') == 0)
            self.assertEqual(200, self.ask('/metrics').status_code)
            self.found = {}
            self.wait_for('it is back', lambda: value('database_up') == 1)
        self.health._now = lambda: 0.0
        self.health._database = -16.0
        self.found = exception.DatabaseUnavailable(reason='x')
        self.wait_for('it is not well', lambda: self.ask(
            '/healthcheck').status_code == 503)
        self.assertEqual('not ok\n', self.ask('/healthcheck').text)

    def test_does_not_wait_for_the_database(self) -> None:
        hangs = threading.Event()
        self.addCleanup(hangs.set)

        def hang() -> dict[str, gauges.Gauge]:
            hangs.wait()
            return {}

        self._patch(gauges, 'gauges', hang)
        self.start()
        self.assertEqual(200, self.ask('/metrics').status_code)
        self.assertEqual(200, self.ask('/healthcheck').status_code)

    def test_other_questions(self) -> None:
        self.start()
        for path in ('/', '/metrics/', '/healthcheck/x', '/../etc/passwd',
                     '/%2e%2e/', '/debug'):
            self.assertEqual(404, self.ask(path).status_code, path)
        for method in ('POST', 'PUT', 'DELETE', 'OPTIONS'):
            self.assertEqual(501, self.ask('/metrics', method).status_code)
        head = self.ask('/metrics', 'HEAD')
        self.assertEqual((200, ''), (head.status_code, head.text))
        self.assertEqual(200, self.ask('/healthcheck?full=1').status_code)
        self.assertEqual('openstack-rca', self.ask('/').headers[
            'Server'].strip())

    def test_who_says_nothing_holds_up_nobody(self) -> None:
        self.start()
        self.ask('/healthcheck')
        for _ in range(8):
            silent = socket.create_connection(('127.0.0.1', self.port))
            self.addCleanup(silent.close)
            silent.sendall(b'GET /met')
        self.assertEqual(200, self.ask('/metrics').status_code)

    def test_port_is_free_at_once(self) -> None:
        for _ in range(3):
            made = self.start()
            self.assertEqual(200, self.ask('/healthcheck').status_code)
            made.stop()
        self.assertNotIn('WARNING', self.log.output)

    def test_port_in_use(self) -> None:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(('127.0.0.1', self.port))
            other.listen()
            self.start()
            self.wait_for('it is said',
                          lambda: 'Trying again' in self.log.output)
        self.assertEqual(200, self.ask('/healthcheck').status_code)
        self.assertEqual(1, self.log.output.count('WARNING'))

    def test_not_wanted(self) -> None:
        self.config('metrics', enabled=False)
        made = self.start()
        self.wait_for('the database was asked',
                      lambda: value('database_up') == 1)
        self.assertIsNone(made._server)

    def test_open_to_others(self) -> None:
        self.config('metrics', listen='0.0.0.0')
        self.start()
        self.ask('/metrics')
        self.assertIn('WARNING [metrics] listen is no address of the '
                      'loopback', self.log.output)

    def test_loopback(self) -> None:
        for address in ('127.0.0.1', '127.8.0.1', '::1', 'localhost'):
            self.assertTrue(metrics.loopback(address), address)
        for address in ('0.0.0.0', '::', '10.0.0.1', 'example.org', ''):
            self.assertFalse(metrics.loopback(address), address)


class TestDocs(base.TestCase):

    def test_each_metric_is_described(self) -> None:
        """The table is what the registry has, and says the same."""
        text = _DOCS.read_text()
        rows = dict(re.findall(
            r'^   \* - ``(openstack_rca_\w+)``\n     - (.*(?:\n       .*)*)',
            text, re.MULTILINE))
        labels = dict(re.findall(
            r'^   \* - ``(openstack_rca_\w+)``\n(?:     .*\n)*?'
            r'     - ((?:``\w+``(?:, )?)+|none)$', text, re.MULTILINE))
        names = {}
        for family in metrics.REGISTRY.collect():
            if family.name.startswith('openstack_rca_'):
                name = family.name + (
                    '_total' if family.type == 'counter' else '')
                names[name] = family.documentation
        self.assertEqual(set(names), set(rows))
        for name, what in names.items():
            self.assertEqual(what, ' '.join(rows[name].split()), name)
        known = {f'{metrics._PREFIX}_{n}': told for n, (_, told)
                 in metrics._Snapshot.NAMES.items()}
        for thing in vars(metrics).values():
            if hasattr(thing, '_labelnames'):
                family, = thing.describe()
                known[family.name + ('_total' if family.type == 'counter'
                                     else '')] = thing._labelnames
        self.assertEqual(
            {name: ', '.join(f'``{label}``' for label in told) or 'none'
             for name, told in known.items()}, labels)
