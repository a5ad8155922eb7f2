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
"""What the engine does: claims jobs, has them worked on, keeps its leases.

Threads of the engine::

    claims   takes rows while a slot is free; woken by nudges, or after a
             second
    leases   renews what is held, three times in a lease
    slot N   one job at a time, in a process of its own; keeps the limits
    reader   starts the process that reads the sources, and writes what it
             tells into the database
    listener starts the process that stores the notifications of services
    watcher  starts the process that judges what is logged
    symptoms writes what that one finds into the database, as incidents
    models   writes down the models that there are, deletes and measures them
    outbox   tells others what happened, see openstack_rca.engine.publisher

None of them imports what analyses need: this process stays small, and has
its hands free.
"""

import collections
from collections.abc import Callable
from collections.abc import Mapping
import functools
import os
import threading
import time
from typing import Any
import uuid

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.db import jobs
from openstack_rca.db import models_api
from openstack_rca.db import rows
from openstack_rca.engine import child
from openstack_rca.engine import correlator
from openstack_rca.engine import keeper
from openstack_rca.engine import metrics
from openstack_rca.engine import publisher
from openstack_rca.engine import state
from openstack_rca.engine import waiting

LOG = logging.getLogger(__name__)

#: Seconds between two looks for rows, without a nudge.
_POLL = 1.0
#: Seconds between two looks at a working process.
_WATCH = 0.1
#: Seconds that running jobs have at the end of the engine.
_GRACE = 10.0
#: Seconds in which a process has to be ready for its first job.
_START = 120.0
#: Seconds until another process is started for one that died idle.
_REST = 5.0
#: Seconds between two tries to reach a database that is away, at most.
_AWAY = 5.0

#: Seconds between two looks at the models.
_KEEP = 5.0

#: Seconds between two looks at which models are active.
_FOLLOW = 2.0

#: Seconds between two looks at what incidents are due.
_LOOK_AFTER = 3.0

#: Seconds after which a process that stays was healthy before it ended.
_HEALTHY = 300.0

#: Memory of a burst goes back at once: the process that judges stays.
THRIFTY = {'_RJEM_MALLOC_CONF': 'dirty_decay_ms:0,muzzy_decay_ms:0'}

_NONE = object()

_WORKER = 'openstack_rca.engine.worker'
_READER = 'openstack_rca.engine.reader'
_LISTENER = 'openstack_rca.engine.listener'
_WATCHER = 'openstack_rca.engine.watcher'


class Manager:
    """The work of one engine.

    :param args: options of the command line, for the processes
    """

    def __init__(self, args: list[str]) -> None:
        self._args = args
        # Another process of the same name must not be taken for this one.
        self.holder = f'{conf.CONF.host}:{os.getpid()}:{uuid.uuid4().hex[:8]}'
        self._stopping = threading.Event()
        self._news = threading.Condition()
        self._nudged = False
        self._ready = threading.Event()
        self._waiting: collections.deque[jobs.Claim] = collections.deque()
        self._held: dict[str, jobs.Claim] = {}
        self._lost: set[str] = set()
        self._away = False
        self._active: dict[str, str] = {}
        self._symptoms = waiting.Waiting()
        self._correlator = correlator.Correlator(conf.CONF.host)
        self._looked_after = 0.0
        self._publisher = publisher.Publisher()
        metrics.DEPTH.labels('symptoms').set_function(
            lambda: len(self._symptoms))
        metrics.SNAPSHOT.held = lambda: [
            item.kind for item in list(self._held.values())]
        self._threads: list[threading.Thread] = []

    # Life

    def start(self) -> None:
        """Begin to work."""
        settings = conf.CONF.engine
        if not conf.CONF.sources.log_dirs:
            LOG.warning('[sources] log_dirs is empty: this engine reads no '
                        'logs, and can answer nothing from them.')
        if not conf.CONF.incidents.project_id:
            LOG.warning('[incidents] project_id is empty: this engine opens '
                        'no incidents.')
        for name, function in (
                ('claims', self._claim), ('leases', self._renew),
                ('reader', self._reader), ('listener', self._listener),
                ('watcher', self._watcher),
                ('symptoms', self._write_symptoms),
                ('models', self._models),
                *((f'slot {number}', functools.partial(self._slot, number))
                  for number in range(settings.workers))):
            thread = threading.Thread(
                target=self._forever, args=(function,), name=name,
                daemon=True)
            self._threads.append(thread)
            thread.start()
        self._publisher.start()
        LOG.info('Engine %s works with %d processes', self.holder,
                 settings.workers)

    def stop(self) -> None:
        """Take no more jobs; what runs has some seconds to end."""
        self._stopping.set()
        with self._news:
            self._news.notify_all()
        self._publisher.stop()

    def wait(self) -> None:
        """Wait until all work has ended, and its processes have."""
        for thread in self._threads:
            thread.join()
        # What was found while that thread ended.
        while self._symptoms.wait(0.0) and self._write_symptoms_once():
            LOG.debug('The last symptoms are written')
        self._publisher.wait()
        # What was taken while the slots ended.
        while self._waiting:
            self._persist('Giving a job back', self._waiting.popleft(),
                          jobs.release, None, False)

    def nudge(self) -> None:
        """Look for rows now."""
        with self._news:
            self._nudged = True
            self._news.notify_all()

    def described(self) -> dict[str, Any]:
        """What it does now, for a Guru Meditation Report.

        It waits for nothing, and holds nothing that a project asked.
        """
        return {
            'holder': self.holder, 'stopping': self._stopping.is_set(),
            'reads its sources': self._ready.is_set(),
            'database away': self._away,
            'sources': sorted(conf.CONF.sources.log_dirs),
            'jobs held': {item.id: f'{item.kind}, attempt {item.attempt}'
                          for item in list(self._held.values())},
            'jobs that wait for a process': len(self._waiting),
            'symptoms that wait': len(self._symptoms),
            'active models': dict(self._active),
            'told': self._publisher.described(),
            'processes': metrics.HEALTH.described()}

    # The database

    def _database(self, what: str, function: Any, *args: Any) -> Any:
        """Call a function of the database, and say once that it is away.

        :returns: what it returns; :data:`_NONE` where the database is away
        """
        try:
            result = function(*args)
        except exception.DatabaseUnavailable as error:
            if not self._away:
                LOG.error('%s: %s Trying again.', what, error)
            self._away = True
            return _NONE
        if self._away:
            self._away = False
            LOG.info('The database is back')
        return result

    def _persist(self, what: str, item: jobs.Claim, function: Any,
                 *args: Any) -> None:
        """Write what came of a job, as long as the database takes.

        A job that somebody else holds by then needs nothing more.
        """
        pause = 0.1
        while item.id not in self._lost:
            done = self._database(what, function, item, *args)
            if done is not _NONE:
                if not done:
                    LOG.info('The job %s is not ours any more', item.id)
                return
            if self._stopping.wait(pause) and pause >= _AWAY:
                # Its lease runs out, and another engine takes it.
                return
            if self._stopping.is_set():
                time.sleep(pause)
            pause = min(2 * pause, _AWAY)

    def _note_down(self, function: Any, *args: Any) -> None:
        self._database('Writing down a source', function, conf.CONF.host,
                       *args)

    def _forever(self, function: Any) -> None:
        """Call a function until the end: no bug of one round ends it."""
        while not self._stopping.is_set():
            try:
                function()
            except Exception:
                LOG.exception('The thread %s goes on after a bug',
                              threading.current_thread().name)
                self._stopping.wait(1.0)

    # Claims and leases

    def _claim(self) -> None:
        """Take rows while slots are free; otherwise wait for news."""
        if not self._ready.wait(0.2):
            return
        settings = conf.CONF.engine
        with self._news:
            held = tuple(self._held)
            free = settings.workers - len(held)
        found: Any = ()
        if free > 0:
            found = self._database(
                'Looking for jobs', jobs.claim, self.holder, settings.lease,
                free, settings.max_attempts, held)
            if found is _NONE:
                self._stopping.wait(1.0)
                return
        with self._news:
            for item in found:
                LOG.info('Took the %s %s, attempt %d', item.kind, item.id,
                         item.attempt)
                self._held[item.id] = item
                self._waiting.append(item)
            if found:
                self._news.notify_all()
            elif not self._nudged and not self._stopping.is_set():
                self._news.wait(_POLL)
            self._nudged = False

    def _renew(self) -> None:
        lease = conf.CONF.engine.lease
        self._stopping.wait(lease / 3)
        with self._news:
            held = list(self._held.values())
        if not held:
            return
        lost = self._database('Renewing leases', jobs.renew, held, lease)
        if lost is _NONE:
            return
        for item in lost:
            with self._news:
                mine = item.id in self._held
                if mine:
                    self._lost.add(item.id)
            if mine:
                LOG.warning('The job %s was deleted, or is worked on by '
                            'another engine: its work is dropped', item.id)

    # Slots

    def _slot(self, number: int) -> None:
        """Work on one job at a time until the end."""
        worker: child.Child | None = None
        idle_since = time.monotonic()
        while True:
            if not number and worker is None and not self._stopping.is_set():
                worker = self._start()
            with self._news:
                if not self._waiting and not self._stopping.is_set():
                    self._news.wait(1.0)
                item = self._waiting.popleft() if self._waiting else None
            if item is not None:
                worker = self._work(item, worker)
                with self._news:
                    self._held.pop(item.id, None)
                    self._lost.discard(item.id)
                    self._nudged = True
                    self._news.notify_all()
                idle_since = time.monotonic()
                continue
            if self._stopping.is_set():
                break
            idle = time.monotonic() - idle_since
            if worker is not None and not worker.alive():
                LOG.error('A process that waited for work is gone: %s.',
                          worker.ending())
                worker.end()
                worker = None
                # One that cannot live must not be started again at once.
                self._stopping.wait(_REST)
            elif (worker is not None and number
                  and idle > conf.CONF.engine.worker_idle):
                worker.end()
                worker = None
        if worker is not None:
            worker.end(grace=2.0)

    def _start(self) -> child.Child | None:
        """A process that is warm when the first question comes."""
        try:
            return child.Child(_WORKER, self._args)
        except OSError as error:
            LOG.error('No process can be started: %s', error)
            self._stopping.wait(5.0)
            return None

    def _work(self, item: jobs.Claim,
              worker: child.Child | None) -> child.Child | None:
        """Have a job done.

        :returns: the process, where it can do another one
        """
        if self._stopping.is_set():
            self._persist('Giving a job back', item, jobs.release, None,
                          False)
            return worker
        try:
            return self._do(item, worker)
        except Exception as error:
            # It is tried again, so many times.
            LOG.exception('The job %s met a bug', item.id)
            reason = (f'This is a bug in openstack_rca: '
                      f'{type(error).__name__}. The log of the engine on '
                      f'{conf.CONF.host} says where.')
        try:
            self._persist('Giving a job back', item, jobs.release, reason)
        except Exception:
            # Its lease runs out.
            LOG.exception('The job %s cannot be given back', item.id)
        return None

    def _do(self, item: jobs.Claim,
            worker: child.Child | None) -> child.Child | None:
        began = time.monotonic()
        try:
            if worker is None or not worker.alive():
                if worker is not None:
                    worker.end()
                worker = child.Child(_WORKER, self._args)
            answer = self._await(item, worker)
        except EOFError:
            assert worker is not None
            metrics.RESTARTS.labels('worker').inc()
            metrics.finished(item.kind, 'lost', time.monotonic() - began)
            reason = (f'The process that worked on it on '
                      f'{conf.CONF.host} did not finish: '
                      f'{worker.ending()}.')
            LOG.error('Job %s, attempt %d: %s', item.id, item.attempt,
                      reason)
            worker.end()
            self._persist('Giving a job back', item, jobs.release, reason)
            return None
        except OSError as error:
            # No process can be started: too many, or no memory.
            LOG.error('Job %s: %s', item.id, error)
            self._persist('Giving a job back', item, jobs.release,
                          f'{conf.CONF.host} could not start a process: '
                          f'{error.strerror}.')
            self._stopping.wait(1.0)
            return None
        if answer is None:
            worker.end()
            return None
        result = answer.get('result')
        metrics.finished(item.kind, 'failed' if result is None
                         else 'complete', time.monotonic() - began, result)
        if result is not None:
            self._persist('Writing a result', item, jobs.complete, result)
            LOG.info('The %s %s is complete', item.kind, item.id)
        else:
            self._persist('Writing an error', item, jobs.fail,
                          str(answer.get('error')),
                          int(answer.get('code') or 500))
            LOG.info('The %s %s failed: %s', item.kind, item.id,
                     answer.get('error'))
        if worker.memory() > conf.CONF.engine.job_memory / 2:
            # What it keeps leaves too little for the next one.
            worker.end()
            return None
        return worker

    def _await(self, item: jobs.Claim,
               worker: child.Child) -> dict[str, Any] | None:
        """What a process answers.

        :returns: None where it has to be ended, and the job is settled
        :raises EOFError: it ended
        """
        settings = conf.CONF.engine
        told = {'id': item.id, 'kind': item.kind, 'request': item.request,
                'project_id': item.project_id}
        if item.kind == rows.ANALYSIS:
            told['models'] = self._models_active()
        if not worker.send(told):
            raise EOFError
        limit, option = settings.job_timeout, '[engine] job_timeout'
        advice = 'Ask about a shorter time.'
        if item.kind == 'train':
            limit = conf.CONF.models.train_timeout
            option = '[models] train_timeout'
            advice = 'Train on a shorter time, with since and until.'
        elif item.kind == 'index':
            advice = 'What is done is kept: ask again.'
        elif item.kind in ('search', rows.QUESTION):
            advice = 'Ask for less.'
        # The time of a job begins when its process does.
        end = time.monotonic() + limit
        started = time.monotonic()
        stop_at: float | None = None
        while True:
            answer = worker.receive(_WATCH)
            now = time.monotonic()
            if answer is not None and answer.get('ready'):
                end = now + limit
                continue
            if answer is not None and 'progress' in answer:
                self._database('Writing progress', models_api.model_progress,
                               item, answer['progress'])
            elif answer is not None:
                return answer
            if item.id in self._lost:
                return None
            if self._stopping.is_set():
                stop_at = stop_at or now + _GRACE
                if now > stop_at:
                    self._persist('Giving a job back', item, jobs.release,
                                  None, False)
                    return None
            held = worker.memory()
            if held > settings.job_memory:
                self._limit(item, worker, f'It needs more than '
                            f'{settings.job_memory >> 20} MiB of memory '
                            f'([engine] job_memory). {advice}')
                return None
            if now > max(end, started + min(limit, _START)):
                self._limit(item, worker, f'It took more than {limit} s '
                            f'({option}). {advice}')
                return None

    def _limit(self, item: jobs.Claim, worker: child.Child,
               reason: str) -> None:
        """Fail a job that is over a limit: it would be the next time, too."""
        # At once, however long the database is away.
        worker.end()
        metrics.FINISHED.labels(item.kind, 'failed').inc()
        LOG.error('Job %s: %s', item.id, reason)
        self._persist('Writing an error', item, jobs.fail, reason, 500)

    # Models

    def _models(self) -> None:
        """Look after the models until the end."""
        kept = keeper.Keeper(self._args, self._stopping.wait)
        while not self._stopping.is_set():
            kept.look()
            self._stopping.wait(_KEEP)

    def _models_active(self) -> dict[str, str]:
        """Which version of each detector counts, as far as is known."""
        try:
            found = self._database('Looking for active models',
                                   keeper.active)
        except exception.RCAException as error:
            # The one who looks after the models has said so.
            LOG.debug('Active models: %s', error)
            found = _NONE
        if found is not _NONE:
            self._active = found
        return self._active

    # Processes that stay

    def _keep_alive(self, run: Callable[[], tuple[str, str]],
                    lost: Callable[[str, str], None]) -> None:
        """Run a process again and again until the end.

        :param run: runs it, and returns why it ended, empty where it had
            to, and what it was at
        :param lost: called with both before it is started again
        """
        pause = 1.0
        while not self._stopping.is_set():
            began = time.monotonic()
            reason, where = run()
            if not reason:
                return
            if time.monotonic() - began > _HEALTHY:
                pause = 1.0
            LOG.error('%s It is started again in %d s.', reason, pause)
            lost(reason, where)
            self._stopping.wait(pause)
            pause = min(2 * pause, 60.0)

    def _converse(self, module: str, what: str,
                  heard: Callable[[child.Child, dict[str, Any] | None],
                                  None],
                  environment: Mapping[str, str] | None = None) -> str:
        """Run one process, and listen to it.

        :param module: what runs
        :param what: what that does, in words
        :param heard: called with each message, and with None twice a
            second without any
        :param environment: variables of the process that differ
        :returns: why it ended, empty where it had to
        """
        name = module.rpartition('.')[2]
        try:
            process = child.Child(module, self._args, environment)
        except OSError as error:
            metrics.process(name, False)
            return f'No process can be started: {error}.'
        metrics.process(name, True)
        try:
            while not self._stopping.is_set():
                message = process.receive(0.5)
                if message is not None:
                    metrics.taken(name, message)
                heard(process, message)
        except EOFError:
            metrics.RESTARTS.labels(name).inc()
            return (f'The process that {what} did not finish: '
                    f'{process.ending()}.')
        finally:
            metrics.process(name, False)
            process.end(grace=5.0)
        return ''

    # The reader

    def _reader(self) -> None:
        """Have the sources read until the end."""
        names = sorted(conf.CONF.sources.log_dirs)
        listened = [state.NOTIFICATIONS] if state.notifications() else []
        while self._database(
                'Writing down the sources', jobs.sources_keep,
                conf.CONF.host, [*names, *listened]) is _NONE:
            if self._stopping.wait(1.0):
                return
        if not names:
            self._ready.set()
            self._stopping.wait()
            return

        def lost(reason: str, where: str) -> None:
            for name in names:
                if name == where or not where:
                    self._note_down(jobs.source_failed, name, reason)
            # Questions are answered from what there is.
            self._ready.set()

        self._keep_alive(self._read, lost)

    def _read(self) -> tuple[str, str]:
        """Run one process that reads the sources.

        :returns: why it ended, empty where it had to, and what it was
            reading then
        """
        reading = ''

        def heard(_: child.Child, message: dict[str, Any] | None) -> None:
            nonlocal reading
            if message is not None:
                reading = message.get('reading', reading)
                self._note(message)

        reason = self._converse(_READER, 'reads the logs', heard,
                                THRIFTY)
        return reason, reading

    def _note(self, message: dict[str, Any]) -> None:
        """Write down what the reader tells."""
        if message.get('looked') or message.get('waiting'):
            self._ready.set()
        elif 'reading' in message:
            self._note_down(jobs.source_reading, message['reading'])
        elif 'source' in message:
            self._note_down(jobs.source_set, message['source'], {
                name: message[name] for name in (
                    'status', 'error', 'events', 'bytes', 'files',
                    'skipped')})

    # The listener

    def _listener(self) -> None:
        """Have notifications stored until the end."""
        if state.notifications() is None:
            self._stopping.wait()
            return
        self._keep_alive(
            self._listen, lambda reason, where: self._note_down(
                jobs.source_failed, where, reason))

    def _listen(self) -> tuple[str, str]:
        """Run one process that listens to notifications.

        :returns: why it ended, empty where it had to, and its source
        """

        def heard(_: child.Child, message: dict[str, Any] | None) -> None:
            if message is not None:
                self._note(message)

        return self._converse(_LISTENER, 'listens to notifications', heard,
                              THRIFTY), state.NOTIFICATIONS

    # The watcher

    def _watcher(self) -> None:
        """Have what is logged judged until the end."""
        if not ((conf.CONF.sources.log_dirs or state.notifications())
                and conf.CONF.detectors.watch_interval):
            self._stopping.wait()
            return
        # What was logged before the first look is history.
        if self._ready.wait(0.5):
            self._keep_alive(self._watch, lambda reason, where: None)

    def _watch(self) -> tuple[str, str]:
        """Run one process that judges what is logged.

        :returns: why it ended, empty where it had to, and nothing
        """
        told: dict[str, str] | None = None
        looked = -_FOLLOW
        # What the process before this one told is not its own.
        settled = self._symptoms.added

        def heard(process: child.Child,
                  message: dict[str, Any] | None) -> None:
            nonlocal told, looked, settled
            if message is not None and 'symptoms' in message:
                self._symptoms.add(message['symptoms'])
            done = self._symptoms.written - settled
            if done > 0 and process.send({'written': done}):
                settled += done
            if time.monotonic() - looked < _FOLLOW:
                return
            looked = time.monotonic()
            active = self._models_active()
            # One that is gone takes no message, and is heard of next.
            if active != told and process.send({'models': active}):
                told = active

        return self._converse(_WATCHER, 'watches the logs', heard,
                              THRIFTY), ''

    def _write_symptoms(self) -> None:
        """Write down what the watcher found, and look after incidents."""
        if self._symptoms.wait(0.5) and not self._write_symptoms_once():
            self._stopping.wait(1.0)
        if time.monotonic() - self._looked_after >= _LOOK_AFTER:
            self._looked_after = time.monotonic()
            self._database('Looking after incidents',
                           self._correlator.look_after)

    def _write_symptoms_once(self) -> bool:
        """Write down some symptoms; False where the database is away."""

        def record(found: list[dict[str, Any]]) -> (
                list[dict[str, Any]] | None):
            try:
                new: Any = self._database(
                    'Writing symptoms', self._correlator.take, found)
            except Exception:
                LOG.exception('Some symptoms met a bug: they are written one '
                              'by one')
                new = self._database('Writing symptoms', self._each, found)
            return None if new is _NONE else new

        return self._symptoms.write(record)

    def _each(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write symptoms one by one: one that cannot be stops no other."""
        new = []
        for symptom in found:
            try:
                new += self._correlator.take([symptom])
            except exception.DatabaseUnavailable:
                raise
            except Exception as error:
                metrics.DROPPED.labels('symptoms').inc()
                LOG.error('A symptom of %s is dropped, it cannot be written: '
                          '%s', symptom.get('binary'), type(error).__name__)
        return new
