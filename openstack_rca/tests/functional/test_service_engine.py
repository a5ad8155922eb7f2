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
"""Engines that die, end, share and are full; logs that change."""

from collections.abc import Callable
import concurrent.futures
import os
import random
import shutil
import signal
import string
import time

from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import service
from openstack_rca.tests.functional.servers import shared

LINE = ('2026-11-21 05:10:{second:02d}.250 2211 ERROR nova.compute.manager '
        '[None req-0b1f5a4e-7f3d-4f2b-9f0e-1d2c3b4a5968 demo demo - - '
        'default default] {text}\n')


class TestDeath(service_case.ServiceCase):

    def _children(self, engine: service.Engine) -> set[tuple[int, str]]:
        return {(engine.pid, servers.started(engine.pid)),
                *servers.descendants(engine.pid)}

    def _wait_gone(self, processes: set[tuple[int, str]]) -> None:
        self.wait_for('all processes are gone', lambda: not [
            process for process in processes if servers.lives(*process)])

    def test_another_engine_takes_over(self) -> None:
        made = self.own_service()
        first, = made.engines
        first.freeze()
        name = self.post()
        self.assertEqual(1, self.wait_running(name)['attempts'])
        holder = made.jobs()[name]['lease_holder']
        self.assertTrue(holder.startswith('engine0:'))
        processes = self._children(first)
        second = made.start_engine()
        # Master and child, as by a power cut; what they started is left
        # alone, one of it stopped, and has to see to itself.
        child, = first.processes()
        os.kill(first.pid, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        self.assertGreaterEqual(len(processes), 4)
        self._wait_gone(processes)
        self.wait_complete(name)
        self.assertEqual(2, made.jobs()[name]['attempts'])
        self.assertIn(f'Took the analysis {name}, attempt 2', second.said())
        # The first one comes back, finds nothing to do, and works.
        first.stop()
        first.start()
        self.wait_complete(self.post())
        self.no_traceback(made.said())

    def test_workers_that_die(self) -> None:
        made = self.own_service()
        engine, = made.engines
        process = self.command('analyze', '--issue', 'x')
        deadline = time.monotonic() + service_case.PATIENCE
        killed = set()
        while process.poll() is None and time.monotonic() < deadline:
            # Long before they are ready for their first job.
            for pid in engine.processes('worker'):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.05)
        out, err = self.end(process, status=1)
        self.assertEqual('', out)
        self.assertIn('Given up after 3 attempts.', err)
        self.assertIn('killed by signal 9', err)
        self.assertGreaterEqual(len(killed), 3)
        (name, job), = made.jobs().items()
        self.assertEqual(('failed', 3), (job['state'], job['attempts']))
        self.assertIn('Given up after 3 attempts.', self.wait_failed(name))
        self.assertIn('Given up after 3 attempts.', self.end(self.command(
            'analysis', 'show', name))[0])
        # The engine itself is fine.
        self.wait_complete(self.post())

    def test_limits(self) -> None:
        made = self.own_service(engine={'job_timeout': 20})
        engine, = made.engines
        frozen = engine.freeze()
        told = self.wait_failed(self.post())
        self.assertIn('It took more than 20 s ([engine] job_timeout)', told)
        self.wait_for('the slow process is gone', lambda: not (
            set(frozen) & set(engine.processes('worker'))))
        self.wait_complete(self.post())
        self.no_traceback(engine.said())

    def test_memory(self) -> None:
        logs = self.tmp / 'logs'
        logs.mkdir()
        # Each line says something new, and something long.
        chosen = random.Random(1)
        with (logs / 'nova-compute.log').open('w') as out:
            for number in range(60000):
                out.write(LINE.format(second=number % 60, text=' '.join(
                    ''.join(chosen.choices(string.ascii_lowercase, k=8))
                    for _ in range(30))))
        # Torch alone is nearly as large.
        made = self.own_service(logs, engine={'job_memory': 256 << 20},
                                detectors={'enabled': 'novelty'})
        self.assertIn('It needs more than 256 MiB of memory '
                      '([engine] job_memory)',
                      self.wait_failed(self.post()))
        self.no_traceback(made.said())


class TestEnd(service_case.ServiceCase):

    def test_work_is_given_back(self) -> None:
        made = self.own_service()
        engine, = made.engines
        engine.freeze()
        running = self.post()
        self.wait_running(running)
        waiting = self.post()
        processes = servers.descendants(engine.pid)
        self.assertEqual(0, engine.end())
        self.assertEqual([], [process for process in processes
                              if servers.lives(*process)])
        jobs = made.jobs()
        for name in (running, waiting):
            self.assertEqual(('queued', 0, None), (
                jobs[name]['state'], jobs[name]['attempts'],
                jobs[name]['lease_holder']))
        self.assertEqual('queued', self.show(running)['status'])
        engine.start()
        for name in (running, waiting):
            self.wait_complete(name)
            self.assertEqual(1, made.jobs()[name]['attempts'])
        self.no_traceback(made.said())

    def test_new_configuration(self) -> None:
        made = self.own_service()
        engine, = made.engines
        master = engine.pid
        child, = engine.processes()
        names = [self.post() for _ in range(10)]
        made.write(engine.config.name, DEFAULT={
            'state_path': made.folder / 'state0', 'host': 'engine0',
            'debug': True})
        self.assertNotIn(' DEBUG ', engine.said())
        os.kill(master, signal.SIGHUP)
        names += [self.post() for _ in range(10)]
        for name in names:
            self.wait_complete(name)
            self.assertEqual(1, made.jobs()[name]['attempts'])
        self.wait_for('it is verbose', lambda: ' DEBUG ' in engine.said())
        self.assertEqual(master, engine.pid)
        self.assertTrue(engine.running)
        self.wait_for('a new process works',
                      lambda: engine.processes() not in ([], [child]))
        self.wait_complete(self.post())
        # So it is when that process dies.
        child, = engine.processes()
        os.kill(child, signal.SIGKILL)
        self.wait_complete(self.post())
        self.assertEqual(master, engine.pid)
        self.no_traceback(made.said())


class TestSharing(service_case.ServiceCase):

    def test_two_hundred_at_once(self) -> None:
        logs = self.tmp / 'logs'
        logs.mkdir()
        shutil.copy(service.LOGS / 'nova-scheduler.log', logs)
        shutil.copy(service.LOGS / 'nova-conductor.log', logs)
        made = self.own_service(
            logs, shared.mariadb(self).create_database(), engines=2,
            engine={'workers': 2, 'lease': 60})
        made.token('demo-admin')
        with concurrent.futures.ThreadPoolExecutor(20) as clients:
            names = list(clients.map(
                lambda number: self.post(f'{number}'), range(200)))
        self.assertEqual(200, len(set(names)))
        self.wait_for('all are finished', lambda: not [
            job for job in made.jobs().values()
            if job['state'] in ('queued', 'running')])
        jobs = made.jobs()
        self.assertEqual(set(names), set(jobs))
        self.assertEqual({('complete', 1)}, {
            (job['state'], job['attempts']) for job in jobs.values()})
        for number, name in enumerate(names):
            if not number % 20:
                self.assertEqual(f'{number}',
                                 self.wait_complete(name)['issue'])
        counts = [engine.said().count('Took the analysis')
                  for engine in made.engines]
        self.assertEqual(200, sum(counts))
        self.assertTrue(all(counts), counts)
        self.no_traceback(made.said())

    def test_two_engines_of_one_folder(self) -> None:
        logs = self.tmp / 'logs'
        shutil.copytree(service.LOGS, logs)
        made = self.own_service(logs)
        first, = made.engines
        second = made.start_engine(DEFAULT={
            'state_path': made.folder / 'state0'})
        self.wait_for('the second one waits',
                      lambda: 'waits until that is over' in second.said())
        # Each of them answers while the other one is as if it was not there.
        for other, engine in ((first, second), (second, first)):
            child, = other.processes()
            os.kill(child, signal.SIGSTOP)
            name = self.post()
            self.wait_complete(name)
            os.kill(child, signal.SIGCONT)
            self.assertIn(f'Took the analysis {name}', engine.said())
        self.assertEqual(0, first.end())
        with (logs / 'nova-compute-cmp1.log').open('a') as out:
            out.write(LINE.format(second=1, text='The disk is on fire'))
        self.wait_for('the second one reads', lambda: 'on fire' in self.rca(
            'event', 'list', '--level', 'ERROR'))
        self.no_traceback(made.said())


class TestLogs(service_case.ServiceCase):

    def _events(self, **asked: object) -> list[str]:
        name = self.ask('POST', '/v1/queries', 202, json={
            'kind': 'events', **asked}).json()['id']

        def result() -> dict[str, object]:
            found: dict[str, object] = self.ask(
                'GET', f'/v1/queries/{name}', 200).json()
            self.assertNotEqual('failed', found['status'], found['error'])
            return found if found['status'] == 'complete' else {}

        found = self.wait_for('the query is complete', result)
        told = found['result']
        assert isinstance(told, dict)
        return [event['text'] for event in told['events']]

    def _wait_events(self, what: str,
                     right: Callable[[list[str]], bool]) -> None:
        self.wait_for(what, lambda: right(self._events(
            level='ERROR', service='nova')))

    def test_logs_grow_and_go(self) -> None:
        logs = self.tmp / 'logs'
        shutil.copytree(service.LOGS, logs)
        made = self.own_service(logs, sources={
            'log_dirs': f'logs:{logs},missing:{self.tmp}/no-such-folder'})
        before = self._events(level='ERROR', service='nova')
        with (logs / 'nova-compute-cmp1.log').open('a') as out:
            out.write(LINE.format(second=1, text='The disk is on fire'))
        self._wait_events('the new line is found', lambda found: (
            len(found) == len(before) + 1
            and any('on fire' in text for text in found)))
        self.assertIn('on fire', self.rca('event', 'list', '--words',
                                          'on fire'))
        # Another file takes its place, as when logs are rotated.
        (logs / 'nova-compute-cmp1.log').rename(
            logs / 'nova-compute-cmp1.log.1')
        (logs / 'nova-compute-cmp1.log').write_text(
            LINE.format(second=2, text='The fire is out'))
        self._wait_events('both are found', lambda found: (
            len(found) == len(before) + 2
            and any('fire is out' in text for text in found)))
        for path in logs.glob('nova-compute-cmp1.log*'):
            path.unlink()
        # What they held stays until it is too old; another one is new.
        (logs / 'nova-compute-cmp1.log').write_text(
            LINE.format(second=3, text='Up from the ashes'))
        self._wait_events('the third is found', lambda found: (
            len([t for t in found if 'fire' in t]) == 2
            and any('ashes' in text for text in found)))
        told, note = self.end(self.command('source', 'list', '-f', 'json'))
        for name in ('cmp1.log', 'cmp1.log~1', 'cmp1.log.1', 'cmp2.log'):
            self.assertIn(f'nova-compute-{name}', told)
        self.assertIn('Source missing on engine0 failed', note)
        self.assertIn('no-such-folder', note)
        sources = {source['id']: source for source in self.ask(
            'GET', '/v1/sources', 200).json()['sources']}
        self.assertEqual({'logs': 'ready', 'missing': 'failed'}, {
            name: source['status'] for name, source in sources.items()})
        # What was missing may come.
        (self.tmp / 'no-such-folder').mkdir()
        shutil.copy(service.LOGS / 'rabbitmq.log',
                    self.tmp / 'no-such-folder')
        self.wait_for('the folder is read', lambda: {
            source['status'] for source in self.ask(
                'GET', '/v1/sources', 200).json()['sources']} == {'ready'})
        self.no_traceback(made.said())
