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
"""What single records say, and that it is said once."""

from collections.abc import Iterable
import datetime
import json
import pathlib
from typing import Any
from unittest import mock
import uuid

from openstack_rca import conf
from openstack_rca.analysis import alarms
from openstack_rca.analysis import evidence
from openstack_rca.engine import local
from openstack_rca.store import base as stores
from openstack_rca.tests import base

RECORDINGS = pathlib.Path(__file__).parents[2] / 'fixtures' / 'recordings'
T = datetime.datetime(2026, 11, 20, 3)
LINE = ('{:%Y-%m-%d %H:%M:%S}.{:03d} 100 {} nova.compute.manager '
        '[req-{:08d}-1111-1111-1111-111111111111 - - - - -] {}\n')
FIRE = 'The disk is on fire'
#: What a service calls no error.
QUOTA = ('Quota exceeded for cores,ram,instances: Requested 1, but already '
         'used 10 of 10 cores')


def at(second: float) -> datetime.datetime:
    """A moment of the logs."""
    return T + datetime.timedelta(seconds=second)


def lines(seconds: Iterable[float], text: str = 'Took a while.',
          level: str = 'INFO') -> str:
    """Lines of different requests."""
    return ''.join(LINE.format(at(s), round(s * 1000) % 1000, level,
                               round(s) % 10**8, text) for s in seconds)


class AlarmsTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        conf.load([])
        self.folder = self.tmp / 'logs'
        self.folder.mkdir()

    def store(self, *texts: str, name: str = 'nova-compute.log'
              ) -> stores.Store:
        """All events, with those that are added to a log."""
        with (self.folder / name).open('a') as log:
            log.writelines(texts)
        return local.open_folder(self.folder, cache=False).store


class TestAlarms(AlarmsTestCase):

    def test_an_error(self) -> None:
        made = alarms.Alarms(at(0))
        found, = made.look(self.store(
            lines([5]), lines([6, 7], FIRE, 'ERROR')), at(10))
        self.assertEqual(found, json.loads(json.dumps(found)))
        self.assertEqual(
            ('alarms', None, 'nova', 'nova-compute', 'level', True, True,
             at(6).isoformat(), at(7).isoformat(), 'nova-compute', FIRE),
            tuple(found[name] for name in (
                'detector', 'version', 'service', 'binary', 'sign', 'opens',
                'error', 'since', 'until', 'component', 'text')))
        self.assertRegex(found['template'], '^[0-9a-f]{16}$')
        self.assertEqual([f'req-{n:08d}-1111-1111-1111-111111111111'
                          for n in (6, 7)], found['requests'])
        # A bare error names no fault.
        self.assertTrue(all(r['weight'] < 0.5 for r in found['reasons']))

    def test_once_for_each_look(self) -> None:
        made = alarms.Alarms(at(0))
        store = self.store(lines([5, 6, 7], FIRE, 'ERROR'))
        self.assertEqual(1, len(made.look(store, at(10))))
        for second in (10, 11, 100, 500):
            self.assertEqual([], made.look(store, at(second)))
        store = self.store(lines([501], FIRE, 'ERROR'))
        found, = made.look(store, at(501))
        self.assertEqual(at(501).isoformat(), found['since'])

    def test_history_raises_none(self) -> None:
        made = alarms.Alarms(at(100))
        self.assertEqual([], made.look(self.store(
            lines([99], FIRE, 'ERROR')), at(200)))

    def test_late_records_are_seen_once(self) -> None:
        made = alarms.Alarms(at(0))
        store = self.store(lines(range(0, 300, 10)))
        self.assertEqual([], made.look(store, at(290)))
        # Of another machine, whose logs come late.
        store = self.store(lines([190], FIRE, 'ERROR'), name='late.log')
        found = made.look(store, at(290))
        self.assertEqual([at(190).isoformat()], [s['since'] for s in found])
        for second in (290, 295, 300):
            self.assertEqual([], made.look(store, at(second)))
        # It is too late by now.
        store = self.store(lines([100], 'Gone', 'ERROR'), name='late.log')
        self.assertEqual([], made.look(store, at(300)))

    def test_a_clock_that_goes_back(self) -> None:
        made = alarms.Alarms(at(0))
        store = self.store(lines([5], FIRE, 'ERROR'), lines([400]))
        self.assertEqual(1, len(made.look(store, at(400))))
        for second in (100, 400):
            self.assertEqual([], made.look(store, at(second)))

    def test_habits_open_nothing(self) -> None:
        made = alarms.Alarms(at(1000))
        store = self.store(
            lines(range(100, 1000, 60), FIRE, 'ERROR'),
            lines([900, 930], 'Seen twice', 'ERROR'),
            lines([1001], FIRE, 'ERROR'),
            lines([1002], 'Seen twice', 'ERROR'),
            lines([1003], 'Never seen', 'ERROR'))
        self.assertEqual(
            [(FIRE, False), ('Seen twice', True), ('Never seen', True)],
            [(s['text'], s['opens']) for s in made.look(store, at(1010))])

    def test_refusals_take_three(self) -> None:
        made = alarms.Alarms(at(0))
        store = self.store(lines([5], QUOTA))
        found, = made.look(store, at(6))
        self.assertEqual((False, False, 'nova-api', 'quota'), (
            found['opens'], found['error'],
            found['reasons'][0]['component'],
            found['reasons'][0]['category']))
        # Long ago counts no more.
        store = self.store(lines([100, 101], QUOTA))
        self.assertEqual([False], [
            s['opens'] for s in made.look(store, at(102))])
        store = self.store(lines([103], QUOTA))
        self.assertEqual([True], [
            s['opens'] for s in made.look(store, at(104))])

    def test_three_at_once(self) -> None:
        found, = alarms.Alarms(at(0)).look(
            self.store(lines([5, 6, 7], QUOTA)), at(10))
        self.assertTrue(found['opens'])

    def test_plain_warnings_are_none(self) -> None:
        self.assertEqual([], alarms.Alarms(at(0)).look(self.store(
            lines([5], 'That was slow', 'WARNING'),
            lines([6], 'It failed', 'INFO')), at(10)))

    def test_a_warning_that_names_a_fault(self) -> None:
        found, = alarms.Alarms(at(0)).look(self.store(lines(
            [5], 'AMQP server on 10.0.0.1:5672 is unreachable: [Errno 111] '
            'ECONNREFUSED. Trying again in 1 seconds.', 'WARNING')), at(10))
        self.assertEqual(('rabbitmq', True), (
            found['reasons'][0]['component'], found['opens']))

    def test_servers_deleted_while_they_are_built(self) -> None:
        """Nova calls that an error of the build; its user wanted it."""
        made = alarms.Alarms(at(0))

        def told(kind: str, message: str) -> str:
            return json.dumps({
                'message_id': str(uuid.uuid4()), 'priority': 'ERROR',
                'publisher_id': 'compute.cmp3',
                'event_type': 'compute.instance.create.error',
                'timestamp': str(at(7).replace(tzinfo=None)), 'payload': {
                    'instance_id': str(uuid.uuid4()), 'state': 'building',
                    'host': 'cmp3', 'message': message,
                    'exception': {'class': kind, 'message': message}}}) + '\n'

        conflict = ('Conflict updating instance 42cd715c. Expected: '
                    "{'task_state': ['spawning']}. Actual: {'task_state': "
                    "'deleting'}")
        gone = 'Instance 42cd715c could not be found.'
        kind = 'UnexpectedDeletingTaskStateError_Remote'
        store = self.store(
            told(kind, conflict), told('InstanceNotFound_Remote', gone),
            name='notifications.jsonl')
        store = self.store(lines(
            [6], 'Exception during message handling: nova.exception_Remote.'
            f'{kind}: {conflict}', 'ERROR'))
        rows = store.scan().collect()
        self.assertEqual(3, rows.height)
        self.assertEqual([], made.look(store, at(10)))
        # Nor is anybody blamed for it in an analysis.
        for row in rows.iter_rows(named=True):
            self.assertEqual([], evidence.blames({**row, 'count': None}))
        # A state that nobody asked for is one.
        store = self.store(told(
            'UnexpectedTaskStateError_Remote',
            conflict.replace("'deleting'", "'rebuilding'")),
            name='notifications.jsonl')
        found, = made.look(store, at(10))
        self.assertTrue(found['opens'])

    def test_a_process_that_was_told_to_end(self) -> None:
        made = alarms.Alarms(at(0))
        store = self.store(
            lines([5], 'Graceful shutdown start'),
            lines([6], 'Dynamic interval looping call failed', 'ERROR'))
        found, = made.look(store, at(7))
        self.assertFalse(found['opens'])
        self.assertEqual('level', found['sign'])
        # A process that came after it, and one before it was told so.
        store = self.store(lines([8], FIRE, 'ERROR').replace(' 100 ', ' 101 '))
        self.assertEqual([True], [s['opens'] for s in made.look(
            store, at(9))])
        store = self.store(lines([4], 'All is lost', 'ERROR'))
        self.assertEqual([True], [s['opens'] for s in made.look(
            store, at(9))])
        # Both at once: one of them was not told.
        store = self.store(lines([10], 'Woe', 'ERROR'),
                           lines([11], 'Woe', 'ERROR').replace(
                               ' 100 ', ' 101 '))
        self.assertEqual([True], [s['opens'] for s in made.look(
            store, at(12))])
        # It does not end.
        store = self.store(lines([300], 'It hangs', 'ERROR'))
        self.assertEqual([True], [s['opens'] for s in made.look(
            store, at(301))])

    def test_owners_hold_nothing_together(self) -> None:
        project, server = 'c' * 32, '0b7dd6a8-4d4c-4e40-8f0b-9f4f2c1f6e11'
        line = (f'{at(5):%Y-%m-%d %H:%M:%S}.000 100 ERROR '
                'nova.compute.manager [None req-00000005-1111-1111-1111-'
                f'111111111111 {"b" * 32} {project} - - default default] '
                f'[instance: {server}] {FIRE} of {project}\n')
        found, = alarms.Alarms(at(0)).look(self.store(line), at(10))
        self.assertEqual([server], found['resources'])

    def test_catching_up(self) -> None:
        made = alarms.Alarms(at(0))
        hour = 3600
        # Two faults with hours and years between them.
        store = self.store(
            lines([1, 2], FIRE, 'ERROR'), lines([5 * hour], FIRE, 'ERROR'),
            lines([900 * 24 * hour], FIRE, 'ERROR'))
        with mock.patch.object(made, '_look', autospec=True,
                               side_effect=made._look) as looked:
            found = made.look(store, at(900 * 24 * hour))
        # No time is one trouble that is not.
        self.assertEqual(
            [(at(1), at(2)), (at(5 * hour), at(5 * hour)),
             (at(900 * 24 * hour), at(900 * 24 * hour))],
            [tuple(datetime.datetime.fromisoformat(s[name]) for name in (
                'since', 'until')) for s in found])
        # Where nothing was logged, nothing is looked at.
        self.assertLess(looked.call_count, 10)
        self.assertEqual([], made.look(store, at(900 * 24 * hour)))

    def test_catching_up_is_as_looking_on(self) -> None:
        seconds = [*range(0, 4000, 7)]
        store = self.store(
            lines(seconds), lines(range(50, 4000, 300), FIRE, 'ERROR'))
        late = alarms.Alarms(at(0)).look(store, at(4000))
        made = alarms.Alarms(at(0))
        told = []
        for second in range(0, 4001, 10):
            told += made.look(store, at(second))
        self.assertEqual({s['template'] for s in told},
                         {s['template'] for s in late})
        self.assertEqual(14, len(told))
        self.assertEqual(told[-1]['until'], late[-1]['until'])


class TestRecording(AlarmsTestCase):
    """A real fault of a cloud: quotas that are too small."""

    def look(self, name: str) -> list[dict[str, Any]]:
        """What is told of a recording, second by second."""
        store = local.open_folder(RECORDINGS / f'{name}.tar.xz').store
        times = store.scan().select('timestamp').collect()['timestamp']
        begin, end = times.min(), times.max()
        assert isinstance(begin, datetime.datetime)
        assert isinstance(end, datetime.datetime)
        made, found = alarms.Alarms(begin), []
        now = begin
        while now < end:
            now = min(end, now + datetime.timedelta(seconds=5))
            found += made.look(store, now)
        return found

    def test_quota(self) -> None:
        found = self.look('quota-ram')
        opening = [s for s in found if s['opens']]
        self.assertTrue(opening)
        self.assertEqual({('nova-api', 'quota')}, {
            (s['reasons'][0]['component'], s['reasons'][0]['category'])
            for s in opening})
        # The first refusals open nothing.
        self.assertLess(found[0]['since'], opening[0]['since'])

    def test_a_service_is_gone(self) -> None:
        found = self.look('service-down')
        blamed = {r['component'] for s in found if s['opens']
                  for r in s['reasons'] if r['weight'] >= 0.5}
        self.assertIn('glance', blamed)
