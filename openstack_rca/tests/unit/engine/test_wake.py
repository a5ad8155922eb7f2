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
"""When the sources are looked at again."""

import threading
from unittest import mock

import inotify_simple

from openstack_rca.engine import wake
from openstack_rca.tests import base

_LONG = 60.0


class TestWake(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.tmp / 'logs'
        self.folder.mkdir()
        self.log = self.folder / 'a.log'
        self.log.write_text('one\n')
        self.wake = wake.Wake()
        self.addCleanup(self.wake.close)
        self.wake.watch([str(self.folder)])

    def _moved(self) -> set[str]:
        return self.wake.moved()

    def test_nothing_happens(self) -> None:
        self.wake.arm()
        self.assertFalse(self.wake.wait(0.01))
        self.assertEqual(set(), self._moved())

    def test_a_write(self) -> None:
        self.wake.arm()
        with self.log.open('a') as out:
            out.write('two\n')
        self.assertTrue(self.wake.wait(_LONG))
        # It says nothing of which files there are.
        self.assertEqual(set(), self._moved())
        # And it is not watched for any more.
        with self.log.open('a') as out:
            out.write('three\n')
        self.assertFalse(self.wake.wait(0.01))

    def test_files_come_and_go(self) -> None:
        for act in (lambda: self.log.rename(self.folder / 'a.log.1'),
                    lambda: self.log.write_text('new\n'),
                    lambda: self.log.unlink()):
            act()
            self.assertTrue(self.wake.wait(_LONG))
            self.assertEqual({str(self.folder)}, self._moved())
            self.assertEqual(set(), self._moved())

    def test_folder_that_is_made_again(self) -> None:
        self.log.unlink()
        self.folder.rmdir()
        self.assertEqual({str(self.folder)}, self._moved())
        self.wake.watch([str(self.folder)])
        self.folder.mkdir()
        self.wake.watch([str(self.folder)])
        self.log.write_text('new\n')
        self.assertEqual({str(self.folder)}, self._moved())

    def test_other_folders(self) -> None:
        other = self.tmp / 'other'
        other.mkdir()
        self.wake.watch([str(other)])
        self._moved()
        self.log.unlink()
        self.assertEqual(set(), self._moved())
        (other / 'b.log').write_text('new\n')
        self.assertEqual({str(other)}, self._moved())

    def test_told_by_a_thread(self) -> None:
        threading.Thread(target=self.wake.tell).start()
        self.assertTrue(self.wake.wait(_LONG))

    def test_too_much_at_once(self) -> None:
        with mock.patch.object(inotify_simple.INotify, 'read', autospec=True,
                               return_value=[inotify_simple.Event(
                                   -1, wake._FLAGS.Q_OVERFLOW, 0, '')]):
            self.assertEqual({str(self.folder)}, self._moved())

    def test_nothing_to_watch_with(self) -> None:
        for name in ('__init__', 'add_watch'):
            with mock.patch.object(
                    inotify_simple.INotify, name, autospec=True,
                    side_effect=OSError(28, 'No space left on device')), \
                    mock.patch.object(wake.LOG, 'warning',
                                      autospec=True) as warn:
                made = wake.Wake()
                made.watch([str(self.folder), str(self.tmp)])
                made.arm()
                self.assertEqual(set(), made.moved())
                # It is polled, as before.
                self.assertFalse(made.wait(0.01))
                made.close()
            self.assertEqual(1, warn.call_count)
