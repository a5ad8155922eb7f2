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
"""Answers of a worker, from what the reader stored."""

import datetime
import io
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any
from unittest import mock

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.engine import local
from openstack_rca.engine import reader
from openstack_rca.engine import state
from openstack_rca.engine import worker
from openstack_rca.tests import base
from openstack_rca.tests import standin

LOGS = (pathlib.Path(__file__).parents[4] / 'examples' / 'no-valid-host'
        / 'logs')

LINE = ('2026-11-20 03:00:{:02d}.000 100 ERROR nova.compute.manager '
        '[req-11111111-1111-1111-1111-111111111111 - - - - -] {}\n')


class Ends:
    """What a process would be told, kept for the test."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        # What cannot be sent must fail here, too.
        self.sent.append(json.loads(json.dumps(message)))


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(state_path=str(self.tmp / 'state'), host='engine-1')
        state.prepare()

    def open(self, **told: pathlib.Path | str) -> worker.Worker:
        """A worker, once a reader has read these folders."""
        self.config('sources', log_dirs={
            name: str(path) for name, path in told.items()})
        self.read()
        made = worker.Worker(state.sources())
        self.addCleanup(made.close)
        return made

    def read(self) -> list[dict[str, Any]]:
        """Let a new reader look.

        :returns: what it tells
        """
        ends = Ends()
        reader.Reader(state.sources(), ends).look()  # type: ignore
        return ends.sent

    def logs(self, name: str, *texts: str) -> pathlib.Path:
        """A folder with one log."""
        folder = self.tmp / name
        folder.mkdir(exist_ok=True)
        (folder / 'nova-compute.log').write_text(''.join(
            LINE.format(n, text) for n, text in enumerate(texts)))
        return folder


def _same(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs from one analysis to the next."""
    return {name: value for name, value in report.items() if name not in (
        'id', 'created_at', 'finished_at')} | {
        'statistics': report['statistics'] | {'seconds': None}}


class TestCloud(TestCase):

    def test_is_asked(self) -> None:
        there = self.useFixture(standin.StandIn())
        path = self.tmp / 'rca.conf'
        path.write_text('[cloud]\ntime_limit = 60\n' + ''.join(
            f'{name} = {value}\n'
            for name, value in there.options().items()))
        conf.load(files=[str(path)])
        self.config(state_path=str(self.tmp / 'state'), host='engine-1')
        asked = worker._cloud()
        self.config('sources', log_dirs={'control': str(LOGS)})
        self.read()
        made = worker.Worker(state.sources(), asked)
        self.addCleanup(made.close)
        report = json.loads(made.answer('analysis', {
            'issue': f'server {standin.SERVER} failed'}))
        self.assertIn('resource', {e['kind'] for e in report['evidence']})

    def test_bad_credentials_stop_nothing(self) -> None:
        path = self.tmp / 'rca.conf'
        path.write_text('[cloud]\nauth_type = nonsense\n')
        conf.load(files=[str(path)])
        with self.assertLogs(worker.LOG.logger, 'ERROR') as told:
            self.assertIsNone(worker._cloud())
        self.assertIn('[cloud]', told.output[0])


class TestSameAsLocally(TestCase):

    def test_analysis(self) -> None:
        made = self.open(control=LOGS)
        for asked in (
                {'issue': 'No valid host was found'},
                {'issue': '', 'services': ['nova'],
                 'since': '2026-01-01T01:00:00+01:00',
                 'until': '2027-01-01T00:00:00+00:00'}):
            found = json.loads(made.answer('analysis', asked))
            question = scope.Question(
                issue=asked['issue'],  # type: ignore[arg-type]
                services=tuple(asked.get('services', ())),
                since=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
                if 'since' in asked else None,
                until=datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
                if 'until' in asked else None)
            wanted = local.open_folder(LOGS, cache=False).analyze(question)
            self.assertEqual(_same(wanted), _same(found))
            self.assertNotEqual([], found['coverage'])

    def test_events(self) -> None:
        made = self.open(control=LOGS)
        for asked in ({}, {'level': 'ERROR'}, {'service': 'nova'},
                      {'words': ['No VALID', 'host']}, {'limit': 2},
                      {'since': '2026-01-01T00:00:00+00:00', 'limit': 5}):
            found = json.loads(made.answer('events', asked))
            values = dict(asked)
            if 'since' in values:
                values['since'] = datetime.datetime.fromisoformat(
                    str(values['since']))
            opened = local.open_folder(LOGS, cache=False)
            wanted = opened.events(**values | {  # type: ignore[arg-type]
                'limit': asked.get('limit', 1000)})
            self.assertNotEqual([], wanted)
            self.assertEqual(wanted, found['events'])
            self.assertEqual(
                len(opened.events(**values | {  # type: ignore[arg-type]
                    'limit': 10**6})) > len(wanted), found['more'])

    def test_trace(self) -> None:
        made = self.open(control=LOGS)
        opened = local.open_folder(LOGS, cache=False)
        request = next(e['request_id'] for e in opened.events(level='ERROR')
                       if e['request_id'])
        self.assertEqual(
            opened.trace(request) | {'more': False},
            json.loads(made.answer('trace', {'request_id': request})))

    def test_story(self) -> None:
        made = self.open(control=LOGS)
        opened = local.open_folder(LOGS, cache=False)
        server = next(
            r for e in opened.events(words='Setting instance to ERROR state')
            for r in e['resources'] if not r.startswith('req-'))
        told = opened.story(server)
        self.assertIn('failed', [o['outcome'] for o in told['operations']])
        self.assertEqual(
            told | {'more': False},
            json.loads(made.answer('trace', {'server': server})))
        answer = worker._message(made, {
            'id': 'j1', 'kind': 'trace',
            'request': {'server': '0' * 8 + server[8:]}})
        self.assertEqual(400, answer['code'])

    def test_unknown_request(self) -> None:
        made = self.open(control=LOGS)
        answer = worker._message(made, {'id': 'j1', 'kind': 'trace',
                                        'request': {'request_id': 'req-x'}})
        self.assertEqual(404, answer['code'])
        self.assertIn('req-x', answer['error'])

    def test_two_sources(self) -> None:
        made = self.open(b=self.logs('one', 'first'),
                         a=self.logs('two', 'second', 'third'))
        found = json.loads(made.answer('events', {}))['events']
        self.assertEqual(
            {('first', 'b/nova-compute.log'),
             ('second', 'a/nova-compute.log'),
             ('third', 'a/nova-compute.log')},
            {(e['text'].split('] ')[-1].strip(), e['source'])
             for e in found})
        report = json.loads(made.answer('analysis', {'issue': 'first'}))
        self.assertEqual(['a/nova-compute.log', 'b/nova-compute.log'],
                         [c['source'] for c in report['coverage']])


class TestWorker(TestCase):

    def texts(self, made: worker.Worker) -> list[str]:
        """The last word of each event."""
        return [e['text'].split()[-1] for e in json.loads(
            made.answer('events', {}))['events']]

    def test_new_lines_are_seen(self) -> None:
        folder = self.logs('one', 'first')
        made = self.open(a=folder)
        self.assertEqual(['first'], self.texts(made))
        with (folder / 'nova-compute.log').open('a') as log:
            log.write(LINE.format(1, 'second'))
        self.read()
        self.assertEqual(['first', 'second'], self.texts(made))

    def test_one_snapshot_of_each_source(self) -> None:
        folder = self.logs('one', 'first')
        made = self.open(a=folder)
        held = ['first']
        for number in range(4):
            self.logs('one', f'version {number}')
            self.read()
            # What is written in the place of a log is another one.
            held.append(str(number))
            self.assertEqual(sorted(held), sorted(self.texts(made)))
            self.texts(made)
        self.assertEqual(1, len(os.listdir(state.snapshots())))
        made.close()
        self.assertEqual([], os.listdir(state.snapshots()))

    def test_store_made_anew_with_the_same_names(self) -> None:
        folder = self.logs('one', 'first')
        made = self.open(a=folder)
        self.assertEqual(['first'], self.texts(made))
        store = state.sources()[0].store
        names = sorted(p.name for p in store.glob('*.parquet'))
        shutil.rmtree(store)
        self.logs('one', 'second')
        self.read()
        self.assertEqual(names,
                         sorted(p.name for p in store.glob('*.parquet')))
        self.assertEqual(['second'], self.texts(made))

    def test_damaged_store_costs_no_disk(self) -> None:
        made = self.open(a=self.logs('one', 'first'))
        store = state.sources()[0].store
        (store / '00000001.parquet').write_bytes(b'PAR1')
        for _ in range(3):
            self.assertRaises(exception.StoreError, made.answer, 'events',
                              {})
        self.assertEqual([], os.listdir(state.snapshots()))

    def test_no_sources(self) -> None:
        made = worker.Worker([])
        error = self.assertRaises(exception.SourceEmpty, made.answer,
                                  'analysis', {'issue': 'x'})
        self.assertIn('[sources] log_dirs', str(error))

    def test_nothing_read(self) -> None:
        (self.tmp / 'empty').mkdir()
        made = self.open(a=self.tmp / 'empty')
        error = self.assertRaises(exception.SourceEmpty, made.answer,
                                  'analysis', {'issue': 'x'})
        self.assertIn('openstack rca source list', str(error))

    def test_unknown_kind(self) -> None:
        made = self.open(a=self.logs('one', 'first'))
        error = self.assertRaises(exception.InvalidInput, made.answer,
                                  'dance', {})
        self.assertIn("'dance'", str(error))
        self.assertIn('older than the API', str(error))

    def test_bug(self) -> None:
        made = mock.create_autospec(worker.Worker, instance=True)
        stderr = io.StringIO()
        handler = logging.StreamHandler(stderr)
        worker.LOG.logger.addHandler(handler)
        self.addCleanup(worker.LOG.logger.removeHandler, handler)
        for bug in (KeyError('a line of a log'), MemoryError(),
                    type('PanicException', (BaseException,), {})('a line')):
            made.answer.side_effect = bug
            answer = worker._message(made, {'id': 'j1', 'kind': 'events',
                                            'request': {}})
            self.assertEqual(500, answer['code'])
            for word in ('bug in openstack_rca', type(bug).__name__, 'j1',
                         'engine-1'):
                self.assertIn(word, answer['error'])
            self.assertNotIn('line', answer['error'])
        self.assertIn('a line of a log', stderr.getvalue())


class TestFitted(base.TestCase):

    def test_all(self) -> None:
        for count in (0, 1, 5):
            events = [{'n': n} for n in range(count)]
            self.assertEqual(
                {'x': 1, 'events': events, 'more': False}, json.loads(
                    worker.fitted({'x': 1, 'events': events}, 5)))

    def test_too_many(self) -> None:
        found = json.loads(worker.fitted(
            {'events': [{'n': n} for n in range(6)]}, 5))
        self.assertEqual((5, True), (len(found['events']), found['more']))

    def test_too_large(self) -> None:
        events = [{'text': '\U0001f600' * 1000} for _ in range(1000)]
        told = worker.fitted({'events': events, 'ids': ['x' * 1000]}, 1000)
        self.assertLessEqual(len(told), worker.MOST_RESULT)
        # The next one would not have fitted.
        self.assertGreater(len(told) + len(json.dumps(events[0])),
                           worker.MOST_RESULT)
        found = json.loads(told)
        self.assertTrue(found['more'])
        self.assertEqual(events[:len(found['events'])], found['events'])

    def test_one_that_is_too_large(self) -> None:
        found = json.loads(worker.fitted(
            {'events': [{'text': 'x' * worker.MOST_RESULT}, {}]}, 10))
        self.assertEqual(([], True), (found['events'], found['more']))


class TestProcess(TestCase):

    def test_life(self) -> None:
        folder = self.logs('one', 'first')
        path = self.tmp / 'rca.conf'
        path.write_text('[DEFAULT]\nhost = engine-1\n'
                        f'state_path = {self.tmp}/state\n'
                        f'[sources]\nlog_dirs = a:{folder}\n')
        self.open(a=folder)
        questions = [{'id': 'j1', 'kind': 'events', 'request': {}},
                     {'id': 'j2', 'kind': 'dance', 'request': {}}]
        found = subprocess.run(
            [sys.executable, '-m', 'openstack_rca.engine.worker',
             '--config-file', str(path)],
            input=''.join(json.dumps(q) + '\n' for q in questions),
            check=True, capture_output=True, text=True)
        ready, first, second = map(json.loads, found.stdout.splitlines())
        self.assertEqual({'ready': True}, ready)
        self.assertEqual(1, len(json.loads(first['result'])['events']))
        self.assertEqual(400, second['code'])
        # It took its snapshot with it.
        self.assertEqual([], os.listdir(state.snapshots()))
        self.assertNotIn('Traceback', found.stderr)
