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
"""What an engine stands on gives way: its disk, and its message bus."""

import collections
from collections.abc import Callable
import datetime
import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
from typing import Any
import unittest
import uuid

import amqp
import polars as pl

from openstack_rca.db import api
from openstack_rca.db import clock
from openstack_rca.db import incidents
from openstack_rca.db import models
from openstack_rca.db import session
from openstack_rca.store import parquet
from openstack_rca.tests.faults import test_notifications
from openstack_rca.tests.faults import test_service_publishing
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import publishing
from openstack_rca.tests.functional.servers import service
from openstack_rca.tests.functional.servers import shared

#: Bytes of a disk: some segments, and soon full.
SIZE = 16 << 20
#: Seconds for which a broker hangs.
HANGS = 60.0

_NUMBER = r'step (\d+) of the work'


class Disk:
    """A small disk of a test's own, in memory, which root may mount.

    :param case: the test; without the right to mount it is skipped, and
        fails where servers are required
    :param path: where it is mounted
    """

    def __init__(self, case: unittest.TestCase, path: pathlib.Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._filler = path / 'filler'
        reason = self._mount('-t', 'tmpfs', '-o', f'size={SIZE},mode=700',
                             'openstack-rca-test')
        if reason:
            reason = f'No disk can be mounted: {reason}'
            if servers.required():
                case.fail(reason)
            case.skipTest(reason)
        case.addCleanup(self._clean_up)
        # What is mounted above it is not to be seen elsewhere.
        self._run('mount', '--make-private', str(path))

    def fill(self) -> bool:
        """Take all the room that there is.

        :returns: always false: somebody may give some back
        """
        with self._filler.open('ab', buffering=0) as out:
            try:
                while True:
                    out.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        return False

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def lock(self) -> None:
        """Let nobody write to it.

        A disk that somebody has a file open on for writing, as the engine
        has its locks, cannot be mounted read-only. So it is mounted once
        more above itself: files that are open stay so, all others are opened
        through what is above.
        """
        self._run('mount', '--bind', str(self.path), str(self.path))
        self._run('mount', '-o', 'remount,bind,ro', str(self.path))

    def unlock(self) -> None:
        """Let everybody write to it again."""
        self._unmount()

    def _clean_up(self) -> None:
        while self.path.is_mount():
            self._unmount()

    def _unmount(self) -> None:
        # Whoever reads from it may go on.
        self._run('umount', '--lazy', str(self.path))

    def _mount(self, *words: str) -> str:
        """Mount something.

        :returns: why that is not possible
        """
        program = servers.find_program('mount')
        if program is None:
            return 'mount is missing (package mount)'
        done = subprocess.run(
            [program, *words, str(self.path)], check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True)
        # It goes on with where to look for more.
        return (done.stderr or 'it failed').splitlines()[0] if (
            done.returncode) else ''

    @staticmethod
    def _run(name: str, *words: str) -> None:
        program = servers.find_program(name)
        assert program is not None
        subprocess.run([program, *words], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL)


class Work(threading.Thread):
    """Services that log numbered lines all the time.

    :param folder: of their logs
    """

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self._paths = [folder / f'nova-compute-cmp{n}.log' for n in range(3)]
        self._ended = threading.Event()
        #: Whether one of them has a trouble.
        self.trouble = False
        self.number = 0

    def run(self) -> None:
        while not self._ended.wait(0.05):
            for path in self._paths:
                with path.open('a') as out:
                    out.write(''.join(self._line() for _ in range(5)))
            if self.trouble:
                self.trouble = False
                with self._paths[0].open('a') as out:
                    out.write(self._line('ERROR', ' failed'))

    def _line(self, level: str = 'INFO', more: str = '') -> str:
        self.number += 1
        now = datetime.datetime.now(datetime.UTC)
        return (f'{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03} 4711 '
                f'{level} nova.compute.manager [None req-0c5bd1c7-f2a6-4f0f-'
                '9c0a-7e9ac2f0f5a1 - - - - - -] '
                f'step {self.number} of the work{more}\n')

    def end(self) -> int:
        """Log no more.

        :returns: the number of the last line
        """
        self._ended.set()
        self.join()
        return self.number


class TestDisk(test_service_publishing.PublishingCase):
    """An engine that reads logs, and whose state is on a disk of its own."""

    def begin(self, **options: dict[str, Any]) -> None:
        """Start the services and the engine, which is well then.

        :param options: more of them, by group
        """
        logs = self.tmp / 'logs'
        logs.mkdir()
        self.made = self.publishing(engines=0, options={
            'sources': {'log_dirs': f'logs:{logs}'},
            'detectors': {'enabled': 'novelty', 'watch_interval': 0.5},
            'incidents': {'project_id': test_service_publishing.PROJECT,
                          'mode': 'fast'},
            'metrics': {'unhealthy_after': 20}, **options})
        self.disk = Disk(self, self.made.folder / 'state0')
        self.work = Work(logs)
        self.addCleanup(self.work.end)
        self.work.start()
        self.engine = self.made.start_engine()
        self.wait_for('lines are stored', lambda: len(self.stored()) > 100)
        self.wait_for('they are watched', lambda: 'is judged'
                      in self.engine.said())
        self.assertEqual([], self.incidents())

    def stored(self) -> collections.Counter[int]:
        """How often each line is stored."""
        found = list(self.disk.path.glob('events/logs-*'))
        if not found:
            return collections.Counter()
        # Of the same disk, since it is made of hard links.
        folder = self.disk.path / f'look-{uuid.uuid4().hex}'
        rows = parquet.ParquetStore.snapshot(found[0], folder).scan().select(
            pl.col('text').str.extract(_NUMBER).cast(pl.Int64)).collect()
        shutil.rmtree(folder)
        return collections.Counter(rows.to_series().drop_nulls().to_list())

    @staticmethod
    def source(name: str = 'logs') -> dict[str, Any]:
        """What the API says of a source."""
        return next((one for one in api.source_list() if one['id'] == name),
                    {'status': '', 'events': 0})

    @staticmethod
    def incidents() -> list[dict[str, Any]]:
        """What the engine found."""
        found, _ = incidents.incident_list(
            test_service_publishing.PROJECT, 10)
        return found

    def away(self, begin: Callable[[], object], reason: str) -> None:
        """Take the disk away, and let services log."""
        failing = self.wait_for('the source fails', lambda: begin() or (
            told := self.source())['status'] == 'failed' and told)
        self.assertIn(reason, failing['error'])
        self.assertIn(str(self.disk.path), failing['error'])
        self.assertIn(reason, self.engine.said())
        self.work.trouble = True
        before = self.work.number
        self.wait_for('much more is logged',
                      lambda: self.work.number > before + 2000)
        self.assertTrue(self.healthy())
        self.assertEqual('failed', self.source()['status'])

    def back(self) -> None:
        """Look whether all is well again, and nothing was lost."""
        self.wait_for('the source is well',
                      lambda: self.source()['status'] == 'ready')
        self.assertIsNone(self.source()['error'])
        # What was logged meanwhile is watched.
        self.wait_for('an incident is open', self.incidents)
        count = self.work.end()
        self.wait_for('every line is stored',
                      lambda: len(self.stored()) >= count)
        self.assertEqual({n: 1 for n in range(1, count + 1)},
                         dict(self.stored()))
        self.assertEqual(1, len(self.incidents()))
        # No window is given up for what the disk does.
        self.assertNotIn('processes ended that tried', self.engine.said())
        self.no_traceback(self.made)
        self.assertEqual(0, self.engine.end())
        self.assertEqual([], list(self.disk.path.rglob('*.partial')))

    def test_full(self) -> None:
        self.begin()
        self.away(self.disk.fill, os.strerror(errno.ENOSPC))
        self.disk.empty()
        self.back()
        self.assertNotIn('It is started again', self.engine.said())

    def test_read_only(self) -> None:
        self.begin()
        self.disk.lock()
        self.away(lambda: None, os.strerror(errno.EROFS))
        self.disk.unlock()
        self.back()
        self.assertNotIn('It is started again', self.engine.said())

    def test_read_only_and_killed(self) -> None:
        bus = shared.rabbitmq(self)
        url = bus.create_virtual_host() + publishing.DURABLE
        self.begin(notifications={'transport_url': url})
        self.wait_for('it listens', lambda: 'Listens to notifications'
                      in self.engine.said())
        self.disk.lock()
        self.away(lambda: None, os.strerror(errno.EROFS))
        for name in ('reader', 'listener', 'watcher'):
            process, = self.engine.processes(name)
            os.kill(process, signal.SIGKILL)
        publishing.notifier(url).info({}, 'load.number', {'number': 1})
        self.wait_for('the new ones wait', lambda: self.engine.said().count(
            f'{self.disk.path} cannot be written to') == 3)
        self.disk.unlock()
        self.wait_for('the notification is stored',
                      lambda: self.source('notifications')['events'] == 1)
        self.back()


class TestListener(test_notifications.ListenerCase):

    def test_full(self) -> None:
        disk = Disk(self, self.tmp / 'state')
        self.snapshots = disk.path / 'snapshots'
        self.snapshots.mkdir()
        one = self.listener()
        load = self.load(pace=0.002)
        self.until_stored(100)
        self.until('it is told', lambda: disk.fill() or one.listen()['error'])
        self.assertEqual('failed', one.told['status'])
        self.assertIn(os.strerror(errno.ENOSPC), one.told['error'])
        self.assertIn(os.strerror(errno.ENOSPC), one.said())
        before = len(load.published)
        self.until('others go on', lambda: len(load.published) > before + 500)
        self.assertTrue(one.process.alive())
        disk.empty()
        self.until('all is well', lambda: not one.listen()['error'])
        self.check(load.end())
        self.until('the queue is empty', lambda: not self.waiting())


class TestBroker(test_service_publishing.PublishingCase):
    """An engine that tells a message bus and a webhook what happens."""

    def setUp(self) -> None:
        super().setUp()
        self.bus = shared.rabbitmq(self)
        self.url = self.bus.create_virtual_host()
        self.made = self.publishing(options={
            'DEFAULT': {'transport_url': self.url},
            'metrics': {'unhealthy_after': 20},
            'oslo_messaging_notifications': {
                'driver': 'messagingv2', 'topics': 'alarms'},
            'oslo_messaging_rabbit': {'amqp_durable_queues': True}})
        self.engine, = self.made.engines
        self.wait_complete(self.post(incident=True))
        # There is a connection, on which nothing more is answered.
        self.wait_for('both are told', lambda: self.metric(
            'openstack_rca_published_total{result="sent",'
            'target="notification"}') == 2)
        self.frozen = [self.bus.pid, *(
            pid for pid, _ in servers.descendants(self.bus.pid))]
        self.addCleanup(service.Engine.melt, self.frozen)

    def freeze(self) -> None:
        """Let the broker hang."""
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def came(self) -> list[str]:
        """Take the ids of what the bus was told."""
        found = []
        with amqp.Connection(
                f'127.0.0.1:{self.bus.port}',
                virtual_host=self.url.rpartition('/')[2]) as connection:
            channel = connection.channel()
            while (message := channel.basic_get(
                    'alarms.info', no_ack=True)) is not None:
                told = json.loads(json.loads(message.body)['oslo.message'])
                found.append(told['payload']['event_id'])
        return found

    def check(self, count: int) -> None:
        """Look whether the bus is told what the webhook was.

        :param count: of events
        """
        told = {event['commonAnnotations']['event_id']
                for event in self.receiver.events}
        self.assertEqual(count, len(told))
        came: set[str] = set()

        def whole() -> bool:
            came.update(self.came())
            return came >= told

        self.wait_for('the bus is told', whole)
        self.assertEqual(told, came)
        self.no_traceback(self.made)

    def test_hangs(self) -> None:
        self.freeze()
        until = time.monotonic() + HANGS
        for name in [self.post(incident=True) for _ in range(3)]:
            self.wait_complete(name)
        self.wait_told('rca.incident.create', 4)
        while time.monotonic() < until:
            self.assertTrue(self.healthy())
            time.sleep(1.0)
        self.wait_complete(self.post(incident=True))
        self.wait_told('rca.analysis.complete', 5)
        service.Engine.melt(self.frozen)
        self.wait_complete(self.post(incident=True))
        self.wait_told('rca.analysis.complete', 6)
        self.check(12)
        self.wait_for('nobody waits', lambda: self.metric(
            'openstack_rca_outbox{target="notification"}') is None)
        self.assertTrue(self.healthy())
        self.assertEqual(0, self.engine.end())

    def test_ends_while_it_hangs(self) -> None:
        self.freeze()
        self.wait_complete(self.post(incident=True))
        self.wait_told('rca.analysis.complete', 2)
        self.assertEqual(0, self.engine.end())
        service.Engine.melt(self.frozen)
        # What the engine had in hand is its own for a while.
        with session.writer() as connection:
            connection.execute(models.OUTBOX.update().values(
                next_at=clock.now(-1)))
        self.made.start_engine()
        self.check(4)
