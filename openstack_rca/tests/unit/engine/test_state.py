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
"""The folder of an engine."""

import datetime
import os
import pathlib
import subprocess
import sys
from unittest import mock

from openstack_rca import exception
from openstack_rca.engine import state
from openstack_rca.tests import base


class TestState(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(state_path=str(self.tmp / 'state'))

    def _sources(self, **told: str) -> list[state.SourceDir]:
        self.config('sources', log_dirs=told)
        return state.sources()

    def test_sources(self) -> None:
        self.config('sources', log_dirs={
            'net-1.b_c': '/srv/net', 'control': '/var/log'})
        found = state.sources()
        self.assertEqual(
            [('control', '/var/log'), ('net-1.b_c', '/srv/net')],
            [(s.name, str(s.path)) for s in found])
        for source in found:
            self.assertEqual(self.tmp / 'state' / 'events',
                             source.store.parent)
            self.assertTrue(source.store.name.startswith(source.name + '-'))

    def test_notifications(self) -> None:
        self.config('sources', log_dirs={'zeta': '/srv/z', 'a': '/srv/a'})
        self.assertIsNone(state.notifications())
        self.assertEqual(['a', 'zeta'], [s.name for s in state.stores()])
        self.config('notifications', transport_url=['rabbit://'])
        self.assertEqual(['a', 'notifications', 'zeta'],
                         [s.name for s in state.stores()])
        self.assertEqual(['a', 'zeta'], [s.name for s in state.sources()])
        found = state.notifications()
        assert found is not None
        # What cannot be read again stays when other options change.
        self.config('sources', timezone='Europe/Paris')
        self.config('limits', max_line_bytes=5000)
        self.assertEqual(found, state.notifications())
        self.config('notifications', enabled=False)
        self.assertIsNone(state.notifications())
        self.config('notifications', transport_url=[], enabled=True)
        self.assertEqual(found, state.notifications())

    def test_notifications_of_others(self) -> None:
        self.config('notifications', enabled=True, pool='')
        self.assertRaisesRegex(exception.InvalidInput, 'other services',
                               state.notifications)
        self.config('notifications', topics=['rca'])
        self.assertIsNotNone(state.notifications())
        self.config('notifications', exchanges=[])
        self.assertRaisesRegex(exception.InvalidInput, 'at least',
                               state.notifications)

    def test_name_of_notifications(self) -> None:
        self.assertTrue(self._sources(notifications='/srv/a'))
        self.config('notifications', enabled=True)
        self.assertRaisesRegex(exception.InvalidInput, 'message bus',
                               self._sources, notifications='/srv/a')

    def test_notifications_are_kept(self) -> None:
        self.config('notifications', enabled=True)
        state.prepare()
        found = state.notifications()
        assert found is not None
        found.store.mkdir()
        state.sweep([])
        self.assertTrue(found.store.is_dir())
        self.config('notifications', enabled=False)
        state.sweep([])
        self.assertFalse(found.store.exists())

    def test_no_sources(self) -> None:
        self.assertEqual([], state.sources())

    def test_wrong_names(self) -> None:
        for name in ('', '.', '..', '../x', 'a/b', '-a', 'a b', 'a\n',
                     'a' * 65, 'ä', 'a\0b', 'a:b'):
            self.config('sources', log_dirs={name: '/var/log'})
            error = self.assertRaises(exception.InvalidInput, state.sources)
            self.assertIn('[sources] log_dirs', str(error))

    def test_longest_name(self) -> None:
        self.assertEqual(1, len(self._sources(**{'a' * 64: '/x'})))

    def test_wrong_paths(self) -> None:
        for path in ('', 'var/log', './x', '~/x'):
            self.config('sources', log_dirs={'a': path})
            error = self.assertRaises(exception.InvalidInput, state.sources)
            self.assertIn("'a'", str(error))
            self.assertIn('slash', str(error))

    def test_wrong_time_zones(self) -> None:
        for zone in ('', 'Mars/Base', '../../etc/passwd', '/etc/passwd',
                     'Europe', 'UTC\0'):
            self.config('sources', timezone=zone)
            error = self.assertRaises(exception.InvalidInput, state.sources)
            self.assertIn('[sources] timezone', str(error))

    def test_what_a_store_depends_on(self) -> None:
        first, = self._sources(a='/var/log')
        keys = {first.store.name}
        self.assertEqual(keys, {self._sources(a='/var/log/')[0].store.name})
        keys.add(self._sources(a='/var/log2')[0].store.name)
        self.config('sources', timezone='Europe/Berlin')
        keys.add(self._sources(a='/var/log')[0].store.name)
        self.config('limits', max_line_bytes=5000)
        keys.add(self._sources(a='/var/log')[0].store.name)
        self.assertEqual(4, len(keys))

    def test_prepare(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        (self.tmp / 'state').mkdir(mode=0o755)
        for _ in range(2):
            state.prepare()
            for folder in ('', 'events', 'snapshots'):
                self.assertEqual(0o700, (self.tmp / 'state' / folder).stat()
                                 .st_mode & 0o777)

    def test_prepare_where_that_is_impossible(self) -> None:
        (self.tmp / 'file').write_text('')
        self.config(state_path=str(self.tmp / 'file' / 'state'))
        error = self.assertRaises(exception.StoreError, state.prepare)
        self.assertIn('[DEFAULT] state_path', str(error))

    def test_sweep(self) -> None:
        state.prepare()
        kept, = self._sources(a='/var/log')
        for folder in (kept.store, state.root() / 'events' / 'b-old',
                       state.snapshots() / f'{os.getpid()}-1-a',
                       state.snapshots() / '999999999-1-a',
                       state.snapshots() / 'odd'):
            folder.mkdir()
            (folder / 'x').write_text('')
        state.sweep([kept])
        self.assertEqual([kept.store.name], os.listdir(kept.store.parent))
        self.assertEqual([f'{os.getpid()}-1-a'],
                         os.listdir(state.snapshots()))

    def test_empty(self) -> None:
        folder = self.tmp / 'store'
        (folder / 'deep' / 'er').mkdir(parents=True)
        (folder / 'file').write_text('')
        outside = self.tmp / 'outside'
        outside.mkdir()
        (outside / 'file').write_text('')
        (folder / 'link').symlink_to(outside)
        state.empty(folder)
        self.assertEqual([], list(folder.iterdir()))
        self.assertTrue((outside / 'file').exists())

    def _lock_elsewhere(self) -> str:
        return subprocess.run(
            [sys.executable, '-c',
             'import sys; from openstack_rca import conf; '
             'from openstack_rca.engine import state; '
             'conf.CONF([], default_config_files=[]); '
             'conf.CONF.set_override("state_path", sys.argv[1]); '
             'print(state.take_lock() is not None)',
             str(state.root())], check=True, capture_output=True,
            text=True).stdout.strip()

    def test_waits(self) -> None:
        state.prepare()
        with mock.patch.object(os, 'open', autospec=True, side_effect=OSError(
                30, 'Read-only file system')):
            self.assertEqual(
                f'{state.root()} cannot be written to: Read-only file system',
                state.waits('reader', 'reads into'))
        self.assertIsNone(state.waits('reader', 'reads into'))
        self.assertEqual(f'Another process reads into {state.root()}',
                         state.waits('reader', 'reads into'))

    def test_one_reader(self) -> None:
        state.prepare()
        handle = state.take_lock()
        assert handle is not None
        self.assertIsNone(state.take_lock())
        self.assertEqual('False', self._lock_elsewhere())
        os.close(handle)
        # The process that had it next is gone.
        self.assertEqual('True', self._lock_elsewhere())
        again = state.take_lock()
        assert again is not None
        os.close(again)
        self.assertEqual(0o600, pathlib.Path(
            self.tmp / 'state' / 'reader.lock').stat().st_mode & 0o777)


class TestMark(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(state_path=str(self.tmp / 'state'))
        state.prepare()
        self.path = self.tmp / 'state' / 'watched.json'

    def test_there_and_back(self) -> None:
        self.assertIsNone(state.read_mark())
        for mark in (state.Mark(datetime.datetime(2026, 11, 21, 3)),
                     state.Mark(datetime.datetime(
                         2026, 11, 21, 3, 0, 0, 5), 2)):
            state.write_mark(mark)
            self.assertEqual(mark, state.read_mark())
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)
        self.assertEqual(['watched.json'], [
            p.name for p in self.path.parent.iterdir() if p.is_file()])

    def test_damaged(self) -> None:
        for text in ('', '{', '[]', '{}', '{"until": 5, "tries": 0}',
                     '{"until": "2026", "tries": 0}',
                     '{"until": "2026-11-21T03:00:00", "tries": null}',
                     '\xff'):
            self.path.write_text(text)
            self.assertIsNone(state.read_mark(), text)

    def test_no_disk(self) -> None:
        self.path.mkdir()
        error = self.assertRaises(exception.StoreError, state.write_mark,
                                  state.Mark(datetime.datetime(2026, 1, 1)))
        self.assertIn('watched.json', str(error))

    def test_locks_of_two_kinds(self) -> None:
        for name in ('reader', 'watcher'):
            handle = state.take_lock(name)
            assert handle is not None
            self.assertIsNone(state.take_lock(name))
            self.addCleanup(os.close, handle)
