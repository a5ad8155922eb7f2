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
"""The engine between the database and its processes."""

from collections.abc import Callable
import json
import pathlib
import subprocess
import sys
import threading
import time
from typing import Any
from unittest import mock

import fixtures
import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import clock
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.engine import child
from openstack_rca.engine import keeper
from openstack_rca.engine import manager
from openstack_rca.tests import base
from openstack_rca.tests.unit.db import suite
from openstack_rca.tests.unit.db import symptoms_suite

#: Found by its folder: what our packages import would take too long.
ACTOR = 'actor'

#: Seconds for which a test waits at most for what has to come.
_LONG = 120.0


class TestCase(suite.DatabaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(host='engine-1', state_path=str(self.tmp / 'state'))
        self.config('engine', workers=1, lease=60)
        self.useFixture(fixtures.EnvironmentVariable(
            'PYTHONPATH', str(pathlib.Path(__file__).parent)))
        for name in ('_WORKER', '_READER', '_WATCHER'):
            self._patch(manager, name, ACTOR)
        self._patch(manager, '_POLL', 0.02)
        self._patch(manager, '_WATCH', 0.01)
        self._patch(manager, '_GRACE', 0.0)

    def _patch(self, where: Any, name: str, value: Any) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def engine(self, what: str = 'echo') -> manager.Manager:
        """An engine whose processes act in this way."""
        made = manager.Manager([what])
        self.addCleanup(self._stop, made)
        return made

    @staticmethod
    def _stop(made: manager.Manager) -> None:
        made.stop()
        made.wait()

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what has to come."""
        end = time.monotonic() + _LONG
        while not true():
            self.assertLess(time.monotonic(), end, 'It never came.')
            time.sleep(0.01)

    def state(self, job_id: str) -> str:
        """The state of a job."""
        return str(api.query_get(suite.MINE, job_id)['status'])

    def ended(self, job_id: str) -> dict[str, Any]:
        """A query once it is complete, or has failed."""
        self.until(lambda: self.state(job_id) in ('complete', 'failed'))
        return api.query_get(suite.MINE, job_id)


class TestJobs(TestCase):

    def test_result(self) -> None:
        found = self.query(words=[suite.ODD])
        self.engine().start()
        shown = self.ended(found)
        self.assertEqual({'asked': {
            'id': found, 'kind': 'events', 'project_id': suite.MINE,
            'request': {'words': [suite.ODD]}}}, shown['result'])

    def test_many(self) -> None:
        self.config('engine', workers=3)
        made = [self.query() for _ in range(30)]
        self.engine().start()
        for found in made:
            self.assertEqual('complete', self.ended(found)['status'])

    def test_analyses_get_the_active_models(self) -> None:
        active = {'lstm': '20261121T030000Z-1a2b3c4d'}
        self._patch(keeper, 'active', lambda: active)
        sent: list[dict[str, Any]] = []
        real = child.Child.send

        def send(process: child.Child, message: dict[str, Any]) -> bool:
            sent.append(message)
            return real(process, message)

        self._patch(child.Child, 'send', send)
        asked = self.ask()
        self.engine().start()
        self.until(lambda: bool(sent))
        self.assertEqual((asked, active), (sent[0]['id'],
                                           sent[0]['models']))

    def test_active_models_while_the_database_is_away(self) -> None:
        made = manager.Manager([])
        for error in (None, exception.DatabaseUnavailable(reason='gone.'),
                      exception.ModelError(name='x', reason='no store.')):
            self._patch(keeper, 'active', mock.Mock(
                side_effect=[error] if error else [{'lstm': 'v1'}]))
            self.assertEqual({'lstm': 'v1'}, made._models_active())

    def test_error(self) -> None:
        found = self.query()
        self.engine('error').start()
        self.assertEqual(
            {'code': 404, 'title': 'Not Found',
             'message': 'There is no such thing.'},
            self.ended(found)['error'])

    def test_process_that_dies_three_times(self) -> None:
        for what, reason in (('exit', 'status 3'), ('kill', 'signal 9'),
                             ('garbage', 'no message'),
                             ('never', 'status 5'),
                             ('half', 'status 0')):
            found = self.query()
            made = self.engine(what)
            made.start()
            shown = self.ended(found)
            self._stop(made)
            self.assertEqual('failed', shown['status'])
            for word in ('3 attempts', 'engine-1', reason):
                self.assertIn(word, shown['error']['message'])

    def test_the_next_job_is_done_all_the_same(self) -> None:
        self.config('engine', max_attempts=1)
        first = self.query()
        real = child.Child
        started = []

        def start(module: str, *args: Any) -> child.Child:
            started.append(1)
            return real(module, ['kill' if len(started) < 2 else 'echo'])

        self._patch(child, 'Child', start)
        self.engine().start()
        self.assertEqual('failed', self.ended(first)['status'])
        self.assertEqual('complete', self.ended(self.query())['status'])

    def test_time_limit(self) -> None:
        self.config('engine', job_timeout=1)
        found = self.query()
        self.engine('sleep').start()
        shown = self.ended(found)
        self.assertEqual('failed', shown['status'])
        self.assertIn('([engine] job_timeout). Ask about a shorter time.',
                      shown['error']['message'])

    def test_memory_limit(self) -> None:
        self.config('engine', job_memory=256 << 20)
        found = self.query()
        self.engine('eat').start()
        shown = self.ended(found)
        self.assertEqual('failed', shown['status'])
        self.assertIn('256 MiB', shown['error']['message'])
        self.assertIn('([engine] job_memory). Ask about a shorter time.',
                      shown['error']['message'])

    def test_no_process_can_be_started(self) -> None:
        self._patch(subprocess, 'Popen', mock.Mock(
            side_effect=OSError(11, 'Resource temporarily unavailable')))
        found = self.query()
        made = manager.Manager(['echo'])
        for _ in range(3):
            with mock.patch.object(made._stopping, 'wait', autospec=True):
                made._work(self.take(found), None)
        self.assertEqual([], self.claim())
        told = api.query_get(suite.MINE, found)['error']['message']
        self.assertIn('temporarily unavailable', told)

    def test_deleted_while_it_runs(self) -> None:
        found = self.ask()
        self.config('engine', lease=3)
        made = self.engine('sleep')
        made.start()
        self.until(lambda: found in made._held)
        api.analysis_delete(suite.MINE, found)
        self.until(lambda: found not in made._held)

    def test_lease_is_renewed(self) -> None:
        found = self.query()
        made = self.engine('sleep')
        made.start()
        self.until(lambda: found in made._held)
        with mock.patch.object(made._stopping, 'wait',
                               autospec=True):
            self.change(models.JOBS,
                        lease_until=clock.now(-60))
            made._renew()
        self.assertEqual([], self.claim('e2'))

    def test_work_taken_over_is_dropped(self) -> None:
        found = self.query()
        made = self.engine('sleep')
        made.start()
        self.until(lambda: found in made._held)
        self.change(models.JOBS, lease_until=clock.now(-60))
        other, = self.claim('e2')
        with mock.patch.object(made._stopping, 'wait',
                               autospec=True):
            made._renew()
        self.until(lambda: found not in made._held)
        self.assertTrue(jobs.complete(other, '{"by": "e2"}'))
        self.assertEqual({'by': 'e2'},
                         api.query_get(suite.MINE, found)['result'])

    def test_no_more_than_slots(self) -> None:
        self.config('engine', workers=2)
        made = [self.query() for _ in range(5)]
        engine = self.engine('sleep')
        engine.start()
        self.until(lambda: len(engine._held) == 2)
        self.assertEqual(made[:2], sorted(engine._held, key=made.index))
        self.assertEqual(['queued'] * 3, [self.state(i) for i in made[2:]])


class TestDatabase(TestCase):

    def test_away_and_back(self) -> None:
        found = self.query()
        made = self.engine()
        away = threading.Event()
        away.set()
        asked: list[str] = []

        def wrap(name: str) -> None:
            real = getattr(jobs, name)

            def call(*args: Any) -> Any:
                if away.is_set():
                    asked.append(name)
                    raise exception.DatabaseUnavailable(reason='gone.')
                return real(*args)

            self._patch(jobs, name, call)

        for name in ('claim', 'complete', 'renew', 'sources_keep',
                     'source_set', 'source_reading', 'source_failed'):
            wrap(name)
        made.start()
        self.until(lambda: 'sources_keep' in asked)
        away.clear()
        self.assertEqual('complete', self.ended(found)['status'])
        # It goes between the question and the answer.
        taken = jobs.claim

        def claim(*args: Any) -> list[jobs.Claim]:
            found: list[jobs.Claim] = taken(*args)
            if found:
                away.set()
            return found

        self._patch(jobs, 'claim', claim)
        second = self.query()
        self.until(lambda: 'complete' in asked)
        self.assertEqual('running', self.state(second))
        away.clear()
        self.assertEqual('complete', self.ended(second)['status'])

    def test_limit_ends_the_process_though_the_database_is_away(
            self) -> None:
        item = self.take(self.query())
        made = self.engine()
        worker = child.Child(ACTOR, ['sleep'])
        self.addCleanup(worker.end)
        alive: list[bool] = []

        def fail(*args: Any) -> bool:
            alive.append(worker.alive())
            if len(alive) < 3:
                raise exception.DatabaseUnavailable(reason='gone.')
            return True

        self._patch(jobs, 'fail', fail)
        made._limit(item, worker, 'too much')
        self.assertEqual([False] * 3, alive)

    def test_bug_in_writing(self) -> None:
        made = self.engine()
        real = jobs.complete
        self._patch(jobs, 'complete', mock.Mock(side_effect=KeyError('x')))
        found = self.query()
        made.start()
        shown = self.ended(found)
        self.assertIn('bug in openstack_rca: KeyError',
                      shown['error']['message'])
        self._patch(jobs, 'complete', real)
        self.assertEqual('complete', self.ended(self.query())['status'])

    def test_bug_that_nothing_can_be_written_of(self) -> None:
        made = self.engine()
        release = mock.Mock(side_effect=KeyError('x'))
        self._patch(jobs, 'complete', mock.Mock(side_effect=KeyError('x')))
        self._patch(jobs, 'release', release)
        found = self.query()
        made.start()
        self.until(lambda: release.called)
        # The slot is free again.
        self.until(lambda: found not in made._held)
        self.assertEqual('running', self.state(found))


class TestThreads(TestCase):

    def test_bug_in_one_round(self) -> None:
        real = jobs.claim
        calls: list[int] = []

        def claim(*args: Any) -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise ZeroDivisionError
            return real(*args)

        self._patch(jobs, 'claim', claim)
        found = self.query()
        self.engine().start()
        self.assertEqual('complete', self.ended(found)['status'])

    def test_nudge_wakes_at_once(self) -> None:
        # Without a nudge it would sleep for ever.
        self._patch(manager, '_POLL', None)
        made = self.engine()
        looked = threading.Event()
        real = jobs.claim

        def claim(*args: Any) -> Any:
            try:
                return real(*args)
            finally:
                looked.set()

        self._patch(jobs, 'claim', claim)
        made.start()
        self.assertTrue(looked.wait(_LONG))
        for _ in range(3):
            found = self.query()
            made.nudge()
            self.assertEqual('complete', self.ended(found)['status'])

    def test_end_of_a_job_wakes_at_once(self) -> None:
        self._patch(manager, '_POLL', None)
        made = [self.query() for _ in range(5)]
        self.engine().start()
        for found in made:
            self.assertEqual('complete', self.ended(found)['status'])

    def test_stop_gives_back_what_runs(self) -> None:
        self.config('engine', workers=2)
        made = [self.query() for _ in range(3)]
        engine = self.engine('sleep')
        engine.start()
        self.until(lambda: len(engine._held) == 2)
        self._stop(engine)
        for found in made:
            row = self.row(models.JOBS, found)
            self.assertEqual(('queued', 0, None, None), (
                row['state'], row['attempts'], row['lease_holder'],
                row['error']))

    def test_stop_lets_what_runs_end(self) -> None:
        self._patch(manager, '_GRACE', _LONG)
        made = self.engine()
        real = child.Child.send

        def send(process: child.Child, message: dict[str, Any]) -> bool:
            made.stop()
            return real(process, message)

        self._patch(child.Child, 'send', send)
        found = self.query()
        made.start()
        made.wait()
        self.assertEqual('complete', self.state(found))

    def test_taken_while_the_slots_end(self) -> None:
        made = self.engine()
        found = self.query()
        real = jobs.claim

        def claim(*args: Any) -> Any:
            taken = real(*args)
            if taken:
                made.stop()
                for thread in made._threads:
                    if thread.name.startswith('slot'):
                        thread.join()
            return taken

        self._patch(jobs, 'claim', claim)
        made.start()
        made.wait()
        row = self.row(models.JOBS, found)
        self.assertEqual(('queued', 0), (row['state'], row['attempts']))

    def test_nothing_is_left_running(self) -> None:
        pids: list[int] = []
        real = child.Child

        def start(*args: Any) -> child.Child:
            made = real(*args)
            pids.append(made.pid)
            return made

        self._patch(child, 'Child', start)
        self.config('engine', workers=2)
        engine = self.engine()
        engine.start()
        for found in [self.query() for _ in range(6)]:
            self.ended(found)
        self._stop(engine)
        self.assertNotEqual([], pids)
        for pid in pids:
            self.assertFalse((pathlib.Path('/proc') / str(pid))
                             .exists())
        self.assertEqual([], [t for t in engine._threads if t.is_alive()])


class TestReader(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config('sources', log_dirs={'a': '/a', 'b': '/b'})

    class _Reader:
        """A reader that says what a test tells it, and then ends."""

        def __init__(self, *messages: dict[str, Any]) -> None:
            self.messages = list(messages)

        def receive(self, seconds: float) -> dict[str, Any]:
            if not self.messages:
                raise EOFError
            return self.messages.pop(0)

        def ending(self) -> str:
            return 'it ended with status 7'

        def end(self, grace: float = 0.0) -> None:
            self.messages = []

    def _read(self, *messages: dict[str, Any]) -> manager.Manager:
        made = manager.Manager([])
        self._patch(child, 'Child',
                    lambda *args: self._Reader(*messages))
        with mock.patch.object(made._stopping, 'wait',
                               lambda seconds: made._stopping.set()):
            made._reader()
        return made

    def _told(self) -> dict[str, tuple[str, str | None]]:
        return {s['id']: (s['status'], s['error'])
                for s in api.source_list()}

    def test_what_it_tells(self) -> None:
        values = {'status': 'ready', 'error': None, 'events': 5, 'bytes': 6,
                  'files': [{'source': 'x'}], 'skipped': []}
        made = manager.Manager([])
        for message in ({'reading': 'a', 'fraction': 0.5},
                        {'source': 'b', **values}):
            made._note(message)
        shown = {s['id']: s for s in api.source_list()}
        self.assertEqual('reading', shown['a']['status'])
        self.assertEqual('engine-1', shown['b']['host'])
        self.assertEqual(values, {n: shown['b'][n] for n in values})
        self.assertFalse(made._ready.is_set())

    def test_no_questions_before_the_first_look(self) -> None:
        for message in ({'looked': True}, {'waiting': True}):
            made = manager.Manager([])
            made._note(message)
            self.assertTrue(made._ready.is_set())

    def test_it_ends_while_it_reads(self) -> None:
        made = self._read({'reading': 'b', 'fraction': 0.1})
        told = self._told()
        self.assertEqual({'b'}, set(told))
        self.assertEqual('failed', told['b'][0])
        self.assertIn('status 7', str(told['b'][1]))
        self.assertTrue(made._ready.is_set())

    def test_it_ends_before_it_reads(self) -> None:
        self._read()
        self.assertEqual({'a', 'b'}, set(self._told()))

    def test_what_is_not_read_any_more_is_dropped(self) -> None:
        for host, name in (('engine-1', 'old'), ('engine-2', 'old')):
            jobs.source_reading(host, name)
        self._read({'looked': True})
        self.assertEqual({('engine-2', 'old'), ('engine-1', 'a'),
                          ('engine-1', 'b')}, {
            (s['host'], s['id']) for s in api.source_list()})

    def test_nothing_to_read(self) -> None:
        self.config('sources', log_dirs={})
        found = self.query()
        self.engine().start()
        self.assertEqual('complete', self.ended(found)['status'])

    def test_it_is_started_again(self) -> None:
        started = []
        made = self.engine()

        def start(module: str, *args: Any) -> Any:
            started.append(module)
            if len(started) > 3:
                made.stop()
            return self._Reader()

        self._patch(child, 'Child', start)
        with mock.patch.object(made._stopping, 'wait',
                               autospec=True):
            made._reader()
        self.assertEqual([manager._READER] * 4, started)


class TestWatcher(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config('sources', log_dirs={'a': '/a'})
        self.active: Any = {'lstm': 'v1'}
        self._patch(keeper, 'active', lambda: self.active)
        self._patch(manager, '_FOLLOW', 0.0)

    class _Watcher:
        """A watcher that says what a test tells it, and then ends."""

        def __init__(self, *messages: dict[str, Any] | None) -> None:
            self.messages = list(messages)
            self.sent: list[dict[str, Any]] = []

        def receive(self, seconds: float) -> dict[str, Any] | None:
            if not self.messages:
                raise EOFError
            return self.messages.pop(0)

        def send(self, message: dict[str, Any]) -> bool:
            self.sent.append(message)
            return True

        def ending(self) -> str:
            return 'it ended with status 7'

        def end(self, grace: float = 0.0) -> None:
            self.messages = []

    def _told(self) -> list[tuple[str, int]]:
        with session.reader() as connection:
            return [(row['host'], row['count']) for row in connection.execute(
                sa.select(models.SYMPTOMS)).mappings()]

    def test_symptoms_become_rows(self) -> None:
        made = manager.Manager([])
        found = [symptoms_suite.symptom(), symptoms_suite.symptom(20)]
        process = self._Watcher({'symptoms': found[:1]},
                                {'symptoms': found[1:]})
        self._patch(child, 'Child', lambda *args: process)
        reason, _ = made._watch()
        self.assertIn('status 7', reason)
        made._write_symptoms()
        self.assertEqual([('engine-1', 2)], self._told())

    def test_while_the_database_is_away(self) -> None:
        made = self.engine()
        made._symptoms.add([symptoms_suite.symptom()])
        real = incidents.write
        away = mock.Mock(side_effect=exception.DatabaseUnavailable(
            reason='gone.'))
        self._patch(incidents, 'write', away)
        made.start()
        self.until(lambda: away.called)
        self.assertEqual([], self._told())
        self._patch(incidents, 'write', real)
        self.until(lambda: bool(self._told()))

    def test_symptoms_become_incidents(self) -> None:
        self.config('incidents', project_id=suite.MINE)
        made = manager.Manager([])
        made._symptoms.add([symptoms_suite.symptom(opens=True)])
        made._write_symptoms()
        found, = incidents.incident_list(suite.MINE, 10)[0]
        self.assertEqual(('open', 'engine'),
                         (found['status'], found['origin']))
        made._looked_after = -manager._LOOK_AFTER
        with mock.patch.object(made._correlator, 'look_after',
                               autospec=True) as looked:
            made._write_symptoms()
            made._write_symptoms()
        self.assertEqual(1, looked.call_count)

    def test_the_watcher_hears_what_is_written(self) -> None:
        made = manager.Manager([])
        # Of the process before.
        made._symptoms.add([symptoms_suite.symptom(n) for n in range(3)])
        process = self._Watcher({'symptoms': [symptoms_suite.symptom(5)]},
                                None, None)
        real = process.receive

        def receive(seconds: float) -> dict[str, Any] | None:
            found = real(seconds)
            if found is None:
                made._write_symptoms_once()
            return found

        self._patch(process, 'receive', receive)
        self._patch(child, 'Child', lambda *args: process)
        made._watch()
        self.assertEqual([1], [m['written'] for m in process.sent
                               if 'written' in m])

    def test_no_project_is_told(self) -> None:
        for project, count in (('', 1), (suite.MINE, 0)):
            self.config('incidents', project_id=project)
            log = self.useFixture(fixtures.FakeLogger(manager.__name__))
            made = self.engine()
            made.start()
            self._stop(made)
            self.assertEqual(count, log.output.count(
                '[incidents] project_id is empty'))

    def test_what_is_left_at_the_end(self) -> None:
        made = manager.Manager([])
        made._symptoms.add([symptoms_suite.symptom()])
        made.stop()
        made.wait()
        self.assertEqual([('engine-1', 1)], self._told())

    def test_it_is_told_of_other_models_once(self) -> None:
        made = manager.Manager([])
        process = self._Watcher(*[None] * 4)
        versions = ['v1', 'v1', 'v2', 'v2']
        self._patch(keeper, 'active', lambda: {'lstm': versions.pop(0)})
        self._patch(child, 'Child', lambda *args: process)
        made._watch()
        self.assertEqual([{'models': {'lstm': 'v1'}},
                          {'models': {'lstm': 'v2'}}], process.sent)

    def test_it_is_started_again(self) -> None:
        started = []
        made = self.engine()
        made._ready.set()

        def start(module: str, *args: Any) -> Any:
            started.append(module)
            if len(started) > 3:
                made.stop()
            return self._Watcher()

        self._patch(child, 'Child', start)
        with mock.patch.object(made._stopping, 'wait', autospec=True):
            made._watcher()
        self.assertEqual([manager._WATCHER] * 4, started)

    def test_not_before_the_first_look(self) -> None:
        started = mock.Mock(side_effect=OSError)
        self._patch(child, 'Child', started)
        made = manager.Manager([])
        made._watcher()
        self.assertFalse(started.called)

    def test_switched_off(self) -> None:
        started = mock.Mock(side_effect=OSError)
        self._patch(child, 'Child', started)
        for group, values in (('detectors', {'watch_interval': 0}),
                              ('sources', {'log_dirs': {}})):
            made = manager.Manager([])
            made._ready.set()
            self.config(group, **values)
            with mock.patch.object(made._stopping, 'wait',
                                   autospec=True) as waited:
                made._watcher()
            self.assertTrue(waited.called)
            self.config('detectors', watch_interval=5)
        self.assertFalse(started.called)


class TestImports(base.TestCase):

    def test_main_process_stays_small(self) -> None:
        found = subprocess.run(
            [sys.executable, '-c', 'import openstack_rca.cmd.engine, sys, '
             'json; print(json.dumps(sorted(sys.modules)))'],
            check=True, capture_output=True, text=True)
        loaded = set(json.loads(found.stdout.splitlines()[-1]))
        self.assertIn('openstack_rca.engine.manager', loaded)
        self.assertEqual(set(), loaded & {
            'polars', 'torch', 'faiss', 'numpy', 'openstack_rca.store.base',
            'openstack_rca.engine.session'})


