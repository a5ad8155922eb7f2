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
"""Tests of the engine's thread that keeps the listener."""

from typing import Any
from unittest import mock

from openstack_rca.db import api
from openstack_rca.db import jobs
from openstack_rca.engine import child
from openstack_rca.engine import manager
from openstack_rca.tests.unit.engine import test_manager

TOLD = {'source': 'notifications', 'status': 'ready', 'error': None,
        'events': 5, 'bytes': 6, 'files': [], 'skipped': [{
            'source': 'notifications', 'reason': '1 notifications were no '
            'JSON object', 'bytes': 0}], 'stored': 5, 'twice': 1, 'cut': 0,
        'lag': 0.1, 'metrics': {'lines': {'notifications': 5}, 'dropped': {
            'unreadable': 1}, 'lag': {'notifications': 0.1}}}


class TestListener(test_manager.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config('notifications', enabled=True)
        self.config('sources', log_dirs={'a': '/srv/a'})

    def _listen(self, *messages: dict[str, Any]) -> list[str]:
        """Run the listener until it ends.

        :returns: what was started
        """
        started = []

        class Listener:
            messages: list[dict[str, Any]] = []

            def receive(self, seconds: float) -> dict[str, Any]:
                if not self.messages:
                    raise EOFError
                return self.messages.pop(0)

            def ending(self) -> str:
                return 'it ended with status 7'

            def end(self, grace: float = 0.0) -> None:
                self.messages = []

        def start(module: str, *args: Any) -> Listener:
            started.append(module)
            made = Listener()
            made.messages = list(messages)
            return made

        self._patch(child, 'Child', start)
        made = manager.Manager([])
        with mock.patch.object(made._stopping, 'wait',
                               lambda seconds: made._stopping.set()):
            made._listener()
        return started

    def test_it_tells(self) -> None:
        made = manager.Manager([])
        made._note(TOLD)
        row, = api.source_list()
        self.assertEqual(
            ('notifications', 'engine-1', 'ready', 5),
            tuple(row[n] for n in ('id', 'host', 'status', 'events')))
        self.assertEqual(TOLD['skipped'], row['skipped'])
        # That folders are read is another matter.
        self.assertFalse(made._ready.is_set())

    def test_it_ends(self) -> None:
        self.assertEqual([manager._LISTENER], self._listen(TOLD))
        row, = api.source_list()
        self.assertEqual('failed', row['status'])
        self.assertIn('status 7', str(row['error']))

    def test_not_wanted(self) -> None:
        self.config('notifications', enabled=False)
        made = manager.Manager([])
        self._patch(child, 'Child', mock.Mock(side_effect=AssertionError))
        made._stopping.set()
        made._listener()

    def test_its_row_stays(self) -> None:
        for name in ('notifications', 'old', 'a'):
            jobs.source_reading('engine-1', name)
        made = manager.Manager([])
        self._patch(made, '_keep_alive', mock.Mock())
        made._reader()
        self.assertEqual({'a', 'notifications'},
                         {s['id'] for s in api.source_list()})
        self.config('notifications', enabled=False)
        made._reader()
        self.assertEqual({'a'}, {s['id'] for s in api.source_list()})
