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
"""Processes of the engine, and what they may do to it."""

import json
import os
import pathlib
from typing import Any
from unittest import mock

import fixtures

from openstack_rca.engine import child
from openstack_rca.tests import base

#: Found by its folder: what our packages import would take too long.
ACTOR = 'actor'

#: Seconds for which a test waits at most for what has to come.
_LONG = 120.0


class TestChild(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.EnvironmentVariable(
            'PYTHONPATH', str(pathlib.Path(__file__).parent)))

    def _start(self, what: str) -> child.Child:
        process = child.Child(ACTOR, [what])
        self.addCleanup(process.end)
        return process

    def _ask(self, what: str) -> child.Child:
        process = self._start(what)
        self.assertEqual({'ready': True}, process.receive(_LONG))
        self.assertTrue(process.send({'id': 'j1'}))
        return process

    def _ends(self, what: str) -> child.Child:
        process = self._ask(what)
        self.assertRaises(EOFError, process.receive, _LONG)
        return process

    def test_question_and_answer(self) -> None:
        process = self._ask('echo')
        answer = process.receive(_LONG)
        assert answer is not None
        self.assertEqual({'asked': {'id': 'j1'}},
                         json.loads(answer['result']))
        self.assertTrue(process.alive())
        self.assertLess(1 << 20, process.memory())

    def test_message_of_megabytes(self) -> None:
        process = self._ask('echo')
        process.receive(_LONG)
        told = {'text': '\U0001f600' * (1 << 19)}
        self.assertTrue(process.send(told))
        answer = process.receive(_LONG)
        assert answer is not None
        self.assertEqual({'asked': told}, json.loads(answer['result']))

    def test_nothing_in_this_time(self) -> None:
        process = self._ask('sleep')
        self.assertIsNone(process.receive(0))
        self.assertIsNone(process.receive(0.01))
        self.assertTrue(process.alive())

    def test_messages_in_pieces(self) -> None:
        process = self._ask('pieces')
        found: list[dict[str, Any] | None] = [
            process.receive(_LONG) for _ in range(3)]
        self.assertEqual([{'result': r} for r in '123'], found)

    def test_what_is_no_message(self) -> None:
        for what in ('garbage', 'number', 'deep'):
            process = self._ends(what)
            # It lives on, and must not hold up the engine.
            self.assertTrue(process.alive())
            self.assertEqual('what it said is no message', process.ending())
            self.assertFalse(process.alive())

    def test_message_without_end(self) -> None:
        with mock.patch.object(child, '_MOST', 1 << 18):
            process = self._ends('flood')
        self.assertIn('no message', process.ending())
        self.assertFalse(process.alive())

    def test_end_in_the_middle_of_a_message(self) -> None:
        self.assertEqual('it ended with status 0',
                         self._ends('half').ending())

    def test_ends(self) -> None:
        self.assertEqual('it ended with status 3',
                         self._ends('exit').ending())

    def test_killed(self) -> None:
        told = self._ends('kill').ending()
        self.assertIn('signal 9', told)
        self.assertIn('out of memory', told)

    def test_says_nothing_any_more_and_lives(self) -> None:
        process = self._ends('mute')
        with mock.patch.object(child, '_LAST', 0.01):
            self.assertIn('nothing any more', process.ending())
        self.assertFalse(process.alive())

    def test_send_to_the_dead(self) -> None:
        process = self._ends('exit')
        process.ending()
        self.assertFalse(process.send({'id': 'j2'}))
        self.assertEqual(0, process.memory())

    def test_end_by_itself(self) -> None:
        process = self._ask('echo')
        process.receive(_LONG)
        process.end(grace=_LONG)
        self.assertEqual('it ended with status 0', process.ending())

    def test_end_of_what_does_not_listen(self) -> None:
        process = self._start('deaf')
        process.end(grace=0.01)
        self.assertIn('signal 9', process.ending())
        process.end()

    def test_nothing_is_left_open(self) -> None:
        before = os.listdir('/proc/self/fd')
        for what in ('echo', 'exit', 'garbage'):
            process = self._ask(what)
            process.end()
        self.assertEqual(len(before), len(os.listdir('/proc/self/fd')))
