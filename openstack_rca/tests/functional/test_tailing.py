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
"""The reader as a process: logs that move, its end at any time, no room."""

import collections
import datetime
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from typing import Any
import unittest
from unittest import mock
import uuid

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.engine import child
from openstack_rca.engine import journal as tails
from openstack_rca.engine import state
from openstack_rca.sources import journal
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.unit.engine import test_tail
from openstack_rca.tests.unit.engine import test_worker

_PATIENCE = 120.0
_REMOTE = 'systemd-journal-remote'


def remote(case: unittest.TestCase) -> str:
    """What writes files of the journal, or the end of the test."""
    found = servers.find_program(_REMOTE, '/lib/systemd', '/usr/lib/systemd')
    if found is None or servers.find_program('journalctl') is None:
        reason = (f'{_REMOTE} or journalctl is missing (packages systemd and '
                  f'{_REMOTE} of bindep.txt)')
        if servers.required():
            case.fail(reason)
        case.skipTest(reason)
    return found


class ReaderCase(test_worker.TestCase):
    """A reader of its own, and what it stores."""

    def setUp(self) -> None:
        super().setUp()
        self.logs_folder = self.tmp / 'logs'
        self.logs_folder.mkdir()
        self.settings = self.tmp / 'rca.conf'
        self.configure(f'a:{self.logs_folder}')

    def configure(self, log_dirs: str) -> None:
        """Say what is read."""
        self.settings.write_text(
            f'[DEFAULT]\nstate_path = {self.tmp}/state\n[sources]\n'
            f'interval = 0.5\nlog_dirs = {log_dirs}\n')
        conf.CONF.set_override('log_dirs', dict(
            [log_dirs.split(':', 1)]), 'sources')

    def start(self) -> child.Child:
        """Start a reader."""
        made = child.Child('openstack_rca.engine.reader',
                           ['--config-file', str(self.settings)])
        self.addCleanup(made.end)
        return made

    def told(self, made: child.Child) -> dict[str, Any]:
        """What it tells of the source next."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            message = made.receive(1.0)
            if message is not None and 'source' in message:
                return message
        raise AssertionError('The reader tells nothing')

    def snapshot(self) -> stores.Store:
        """What is stored now."""
        return parquet.ParquetStore.snapshot(
            state.sources()[0].store, self.tmp / uuid.uuid4().hex)

    def words(self) -> collections.Counter[int]:
        """How often each line is stored."""
        store = self.snapshot()
        found: collections.Counter[int] = collections.Counter()
        for text in store.scan().select('text').collect()['text']:
            found.update(int(n) for n in test_tail._NUMBER.findall(text))
        shutil.rmtree(store.path)
        return found

    def wait_for(self, count: int) -> None:
        """Wait until so many lines are stored, each of them once."""
        end = time.monotonic() + _PATIENCE
        while len(found := self.words()) < count:
            if time.monotonic() > end:
                missing = sorted(set(range(1, count + 1)) - set(found))
                self.fail(f'{len(missing)} of {count} lines are missing, '
                          f'such as {missing[:5]}')
            time.sleep(0.2)
        self.assertEqual({n: 1 for n in range(1, count + 1)}, dict(found))


class Writer(threading.Thread):
    """Writes lines to some files, and rotates them."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._random = random.Random(11)
        self.enough = threading.Event()
        self.number = 0

    def run(self) -> None:
        names = ('nova-api.log', 'nova-compute.log', 'neutron-server.log')
        while not self.enough.wait(0.02):
            path = self._folder / self._random.choice(names)
            with path.open('a') as out:
                for _ in range(self._random.randint(1, 20)):
                    self.number += 1
                    out.write(test_tail.line(self.number))
            if self._random.random() < 0.08:
                self._rotate(path)

    def _rotate(self, path: pathlib.Path) -> None:
        for age in range(9, 0, -1):
            for ending in ('', '.gz'):
                old = path.with_name(f'{path.name}.{age}{ending}')
                if old.exists():
                    old.rename(path.with_name(
                        f'{path.name}.{age + 1}{ending}'))
        first = path.with_name(f'{path.name}.1')
        if self._random.random() < 0.5:
            path.rename(first)
        else:
            shutil.copy(path, first)
            os.truncate(path, 0)
        second = path.with_name(f'{path.name}.2')
        if second.exists():
            subprocess.run(['gzip', str(second)], check=True)


class TestLife(ReaderCase):

    def test_killed_at_any_time(self) -> None:
        writer = Writer(self.logs_folder)
        rng = random.Random(5)
        writer.start()
        for _ in range(8):
            made = self.start()
            with self.subTest(pid=made.pid):
                made.receive(_PATIENCE)
                time.sleep(rng.random() * 1.5)
                os.kill(made.pid, signal.SIGKILL)
                made.end()
        writer.enough.set()
        writer.join()
        self.start()
        self.wait_for(writer.number)
        self.assertGreater(writer.number, 100)

    def test_no_room_for_a_while(self) -> None:
        writer = Writer(self.logs_folder)
        made = self.start()
        writer.start()
        while self.told(made)['status'] != 'ready':
            pass
        # The disk is full, as far as this process can tell.
        before = resource.prlimit(made.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(made.pid, resource.RLIMIT_FSIZE, (0, before[1]))
        while (told := self.told(made))['status'] == 'ready':
            pass
        self.assertIn('too large', told['error'])
        resource.prlimit(made.pid, resource.RLIMIT_FSIZE, before)
        while self.told(made)['status'] != 'ready':
            pass
        writer.enough.set()
        writer.join()
        self.wait_for(writer.number)
        self.assertEqual([], list(state.sources()[0].store.glob(
            '*.partial')))

    def test_wakes_up_by_a_write(self) -> None:
        self.settings.write_text(self.settings.read_text().replace(
            'interval = 0.5', 'interval = 3600'))
        (self.logs_folder / 'nova-api.log').write_text(test_tail.line(1))
        self.start()
        self.wait_for(1)
        for number, name in ((2, 'nova-api.log'), (3, 'nova-new.log')):
            with (self.logs_folder / name).open('a') as out:
                out.write(test_tail.line(number))
            self.wait_for(number)
        (self.logs_folder / 'below').mkdir()
        with (self.logs_folder / 'below' / 'nova-api.log').open('a') as out:
            out.write(test_tail.line(4))
        self.wait_for(4)


class TestJournal(ReaderCase):

    def setUp(self) -> None:
        super().setUp()
        self.program = remote(self)
        self.folder = self.tmp / 'journal'
        self.folder.mkdir()
        self.boot, self.machine = uuid.uuid4().hex, uuid.uuid4().hex
        self.number = 0
        self.configure(f'a:journal:{self.folder}')

    def write(self, count: int = 3, file: str = 'one.journal',
              unit: str = 'devstack@n-cpu.service',
              program: str = 'nova-compute', **more: str) -> None:
        """Write entries, as journald would."""
        entries = []
        begin = int(datetime.datetime(
            2026, 11, 20, 3, tzinfo=datetime.UTC).timestamp() * 1e6)
        for _ in range(count):
            self.number += 1
            entries.append('\n'.join(f'{k}={v}' for k, v in {
                '__REALTIME_TIMESTAMP': begin + self.number * 1000,
                '__MONOTONIC_TIMESTAMP': self.number * 1000,
                '_BOOT_ID': self.boot, '_MACHINE_ID': self.machine,
                '_HOSTNAME': 'cmp1', '_SYSTEMD_UNIT': unit,
                'SYSLOG_IDENTIFIER': program, 'PRIORITY': '6', '_PID': '42',
                'MESSAGE': 'INFO nova.compute.manager [-] word-'
                f'{self.number} text', **more}.items()) + '\n\n')
        subprocess.run(
            [self.program, '-o', str(self.folder / file), '-'],
            input=''.join(entries), text=True, check=True,
            capture_output=True)

    def tail(self) -> tails.Tail:
        """What follows it, in this process."""
        source = state.sources()[0]
        self.assertEqual('journal', source.driver)
        return tails.Tail(source.path, parquet.ParquetStore(source.store))

    def test_of_this_host(self) -> None:
        self.configure('a:journal:')
        source = state.sources()[0]
        self.assertEqual(('journal', journal.SYSTEM),
                         (source.driver, str(source.path)))
        made = journal.JournalSource(source.path)
        for batch in made.batches():
            self.assertTrue(batch.position)
            break

    def test_none_there(self) -> None:
        shutil.rmtree(self.folder)
        self.assertRaises(exception.SourceNotFound, self.tail)
        error = self.assertRaises(
            exception.SourceUnreadable, self._without_journalctl)
        self.assertIn('a part of systemd', str(error))

    def _without_journalctl(self) -> None:
        with mock.patch.object(journal, '_PROGRAM', 'no-such-program'):
            list(journal.JournalSource(journal.SYSTEM).batches())

    def test_what_an_entry_becomes(self) -> None:
        self.write(1)
        self.write(1, unit='', program='kernel', MESSAGE='word-2 oops',
                   PRIORITY='3')
        self.tail().look()
        rows = self.snapshot().query(stores.Query()).to_dicts()
        self.assertEqual([
            ('cmp1/n-cpu', 'nova', 'nova-compute', 'cmp1', 20, 42, 1),
            ('cmp1/kernel', 'system', 'kern', 'cmp1', 40, 42, 1)], [
            (r['source'], r['service'], r['binary'], r['host'], r['level'],
             r['pid'], r['line']) for r in rows])
        self.assertEqual('word-1 text', rows[0]['message'])

    def test_followed(self) -> None:
        made = self.start()
        self.write()
        self.wait_for(3)
        for count in (4, 5):
            self.write(1)
            self.wait_for(count)
        # The next one goes on where this one was.
        os.kill(made.pid, signal.SIGKILL)
        made.end()
        self.write(2, 'two.journal')
        self.write(2, unit='cinder-volume.service', program='cinder-volume')
        self.start()
        self.wait_for(9)
        files = self.snapshot().files()
        self.assertEqual({'cmp1/n-cpu': 7, 'cmp1/cinder-volume': 2},
                         {s: r.events for s, r in files.items()})

    def test_older_entries_are_deleted(self) -> None:
        self.write()
        follower = self.tail()
        follower.look()
        self.assertFalse(follower.stirred())
        (self.folder / 'one.journal').unlink()
        self.write(2)
        self.assertTrue(follower.stirred())
        looked = follower.look()
        self.wait_for(5)
        self.assertIn('deleted before they were read',
                      looked.skipped[0]['reason'])
        # It is told of in reports, too, and once.
        self.write(1)
        self.assertEqual(1, len(self.tail().look().skipped))
        self.wait_for(6)

    def test_a_cursor_of_another_world(self) -> None:
        self.write()
        follower = self.tail()
        follower.look()
        follower._position = json.dumps({
            **json.loads(follower.store.position), 'cursor': 'nonsense'})
        self.write(2)
        follower.look()
        self.wait_for(5)

    def test_own_entries(self) -> None:
        self.write(1)
        self.write(2, unit='openstack-rca-engine.service',
                   program='openstack-rca-engine')
        follower = self.tail()
        self.assertEqual(['the log of this program itself'], [
            r['reason'] for r in follower.look().skipped])
        self.assertEqual({1: 1}, dict(self.words()))
        self.assertFalse(follower.look().changed)

    def test_large_and_binary_fields(self) -> None:
        self.write(1, MESSAGE='word-1 ' + 'x' * 50_000)
        self.write(1, MESSAGE='word-2 \u00e4 \x1b[31mred\x1b[0m')
        self.tail().look()
        self.assertEqual({1: 1}, {1: self.words()[1]})
        messages = self.snapshot().query(stores.Query())['message']
        self.assertEqual(50_007, len(messages[0]))
        self.assertEqual('word-2 \u00e4 red', messages[1])

    def test_much_of_it(self) -> None:
        self.write(3000)
        source = journal.JournalSource(self.folder)
        batches = list(source.batches(size=1 << 16))
        self.assertGreater(len(batches), 5)
        self.assertEqual(3000, sum(
            len(lines) for b in batches for lines in b.lines.values()))
        # From each of them one can go on.
        rest = list(source.batches(batches[2].position))
        self.assertEqual(
            sum(len(ls) for b in batches[3:] for ls in b.lines.values()),
            sum(len(ls) for b in rest for ls in b.lines.values()))
        file, = source.files()
        self.assertEqual(3000, sum(
            data.count(b'\n') for _, data in source.chunks(file)))
