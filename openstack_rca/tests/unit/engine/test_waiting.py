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

from typing import Any
from unittest import mock

import fixtures

from openstack_rca.engine import waiting
from openstack_rca.tests import base
from openstack_rca.tests.unit.db import symptoms_suite


def many(count: int) -> list[dict[str, Any]]:
    """Symptoms one can tell apart."""
    return [symptoms_suite.symptom(n) for n in range(count)]


class TestWaiting(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(
            waiting.__name__, format='%(levelname)s %(message)s'))
        self.made = waiting.Waiting()
        self.written: list[dict[str, Any]] = []

    def record(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A database that is there."""
        self.written += found
        return found[:1]

    def test_in_order_and_in_pieces(self) -> None:
        self.assertFalse(self.made.wait(0.0))
        told = many(250)
        self.made.add(told[:3])
        self.made.add(told[3:])
        while self.made.wait(0.0):
            self.assertTrue(self.made.write(self.record))
        self.assertEqual(told, self.written)
        # One a piece is new.
        self.assertEqual(3, self.log.output.count('WARNING'))

    def test_nothing_is_lost_while_the_database_is_away(self) -> None:
        told = many(5)
        self.made.add(told)
        self.assertFalse(self.made.write(lambda found: None))
        self.assertEqual('', self.log.output)
        self.assertTrue(self.made.write(self.record))
        self.assertEqual(told, self.written)
        self.assertFalse(self.made.wait(0.0))

    def test_how_many_are_written(self) -> None:
        self.made.add(many(150))
        self.assertEqual((150, 0, 150), (
            self.made.added, self.made.written, len(self.made)))
        self.made.write(lambda found: None)
        self.assertEqual(0, self.made.written)
        self.made.write(self.record)
        self.assertEqual((150, 100, 50), (
            self.made.added, self.made.written, len(self.made)))

    def test_alarms_are_told_quietly(self) -> None:
        self.made.add([symptoms_suite.symptom(detector='alarms')])
        self.made.write(self.record)
        self.assertIn('INFO Symptom of nova-compute', self.log.output)
        self.assertNotIn('WARNING', self.log.output)

    def test_added_while_it_is_written(self) -> None:
        told = many(3)
        self.made.add(told[:1])

        def record(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
            self.made.add(told[1:])
            return self.record(found)

        self.made.write(record)
        self.made.write(self.record)
        self.assertEqual(told, self.written)

    def test_bug_in_writing(self) -> None:
        self.made.add(many(1))
        self.assertRaises(KeyError, self.made.write,
                          mock.Mock(side_effect=KeyError))
        self.assertTrue(self.made.wait(0.0))


class TestDescribed(base.TestCase):

    def test_what_it_says(self) -> None:
        said = waiting.described(symptoms_suite.symptom(why='it is odd'))
        self.assertEqual(
            'Symptom of nova-compute on cmp1 since 2026-11-21T03:00:00 '
            '(lstm/20261121T030000Z-1a2b3c4d, model, score 0.50): it is odd '
            '[template 00000000000000ff]', said)
        said = waiting.described(symptoms_suite.symptom(
            version=None, template=None, event_host=None, binary=None,
            why=''))
        self.assertIn('Symptom of nova since', said)
        self.assertIn('(lstm, model,', said)
        self.assertNotIn('template', said)

    def test_one_line_that_does_nothing(self) -> None:
        odd = 'a\x1b[2Jb\nc\rd\u202ee\ud800f\U0001f600'
        said = waiting.described(symptoms_suite.symptom(
            binary=odd, event_host=odd, why=odd))
        self.assertTrue(said.isprintable())
        self.assertIn('\U0001f600', said)
        self.assertIn('a\\x1b[2Jb\\nc\\rd\\u202ee\\ud800f', said)
