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
"""The tests of the outbox, for any database."""

import concurrent.futures
import datetime
import json
from typing import Any

import sqlalchemy as sa

from openstack_rca.db import clock
from openstack_rca.db import gauges
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import outbox
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.tests.unit.db import suite

PAGER = 'webhook:pager'
BUS = 'notification'
ALL = (outbox.CREATE, outbox.UPDATE, outbox.RESOLVE, outbox.COMPLETE)
TARGETS = {PAGER: ALL, BUS: ALL}
DAY = 86400
#: What must never go out.
SAID = 'Traceback of the log'


class Undone(Exception):
    """A transaction is rolled back by it."""


class OutboxCase(suite.DatabaseTestCase):
    """A test of what others are told."""

    def incident_row(self, name: str = 'i1', **values: Any
                     ) -> dict[str, Any]:
        """An incident as its table has it."""
        return {
            'id': name, 'project_id': suite.MINE, 'status': 'open',
            'title': SAID, 'summary': SAID, 'resolution': SAID,
            'component': 'rabbitmq', 'category': 'messaging',
            'host': 'ctl1.example.org', 'severity': 'high',
            'confidence': 0.5, 'analysis_id': None,
            'created_at': datetime.datetime(2026, 11, 21, 3),
            'updated_at': rows.utcnow(), **values}

    def add(self, event_type: str = outbox.CREATE, name: str = 'i1',
            **values: Any) -> str:
        """Write an event in a transaction of its own.

        :returns: its id
        """
        with session.writer() as connection:
            return outbox.add(connection, event_type,
                              self.incident_row(name, **values))

    def hand_out(self, *targets: str) -> int:
        """Hand out to some targets."""
        return outbox.hand_out({t: ALL for t in targets or (PAGER,)})

    def item(self, target: str = PAGER) -> outbox.Item:
        """What a target is to be told next."""
        found = outbox.claim(target, 60)
        assert found is not None
        return found

    def age(self, seconds: int, column: str = 'created_at') -> None:
        """Make all rows older."""
        with session.writer() as connection:
            connection.execute(models.OUTBOX.update().values({
                column: clock.now(-seconds)}))

    def due(self) -> None:
        """Let what was put off be tried now."""
        self.age(1, 'next_at')

    def states(self) -> list[tuple[str, str]]:
        """The target and the state of each row."""
        table = models.OUTBOX
        with session.reader() as connection:
            return [(row.target, row.state) for row in connection.execute(
                sa.select(table).order_by(table.c.number))]


class OutboxSuite(OutboxCase):
    """What others are told."""

    def test_nothing(self) -> None:
        self.assertEqual(0, self.hand_out())
        self.assertIsNone(outbox.claim(PAGER, 60))
        self.assertEqual(0, outbox.purge(DAY, DAY))

    def test_told_once(self) -> None:
        event = self.add()
        self.assertEqual(1, self.hand_out(PAGER, BUS))
        self.assertEqual(0, self.hand_out(PAGER, BUS))
        for target in (PAGER, BUS):
            item = self.item(target)
            self.assertEqual((event, outbox.CREATE, 1), (
                item.id, item.event_type, item.attempt))
            self.assertIsNone(outbox.claim(target, 60))
            self.assertTrue(outbox.sent(item))
            self.assertFalse(outbox.sent(item))
            self.assertIsNone(outbox.claim(target, 60))

    def test_goes_with_its_transaction(self) -> None:
        def undone() -> None:
            with session.writer() as connection:
                outbox.add(connection, outbox.CREATE, self.incident_row())
                raise Undone

        self.assertRaises(Undone, undone)
        self.assertEqual(0, self.hand_out())

    def test_what_is_told(self) -> None:
        self.add(resolved_at='2026-11-21T04:00:00+00:00')
        self.hand_out()
        told = self.item().payload
        self.assertEqual(set(outbox.FIELDS['rca.incident.']), set(told))
        self.assertEqual(
            ('i1', suite.MINE, 'open', 'rabbitmq', 'messaging', 'high',
             'ctl1.example.org', 0.5, '2026-11-21T03:00:00+00:00',
             '2026-11-21T04:00:00+00:00'),
            tuple(told[name] for name in (
                'id', 'project_id', 'status', 'component', 'category',
                'severity', 'host', 'confidence', 'created_at',
                'resolved_at')))
        self.assertNotIn(SAID, json.dumps(told))

    def test_no_words_of_a_log(self) -> None:
        for name in ('host', 'component', 'category', 'severity'):
            for value in (SAID, 'a b', '<b>', 'a\nb', '$(reboot)', 'a;b',
                          '', 'x' * 256, '-rf', 'gr\u00fcn'):
                self.add(**{name: value})
        self.hand_out()
        with session.reader() as connection:
            for payload in connection.execute(sa.select(
                    models.OUTBOX.c.payload)).scalars():
                told = json.loads(payload)
                self.assertEqual(1, sum(told[name] is None for name in (
                    'host', 'component', 'category', 'severity')), told)

    def test_analysis(self) -> None:
        name = self.solved(incident=True)
        self.hand_out()
        opened, complete = self.item(), self.item()
        self.assertEqual((outbox.CREATE, outbox.COMPLETE), (
            opened.event_type, complete.event_type))
        self.assertEqual(name, opened.payload['analysis_id'])
        self.assertEqual(
            (name, opened.payload['id'], 'complete', 'cause_found',
             'rabbitmq', 'ctl1'),
            tuple(complete.payload[field] for field in (
                'id', 'incident_id', 'status', 'verdict', 'component',
                'host')))
        self.assertIsNotNone(complete.payload['finished_at'])
        for item in (opened, complete):
            self.assertNotIn('RabbitMQ', json.dumps(item.payload))
            self.assertNotIn('broken', json.dumps(item.payload))

    def test_not_for_what_is_not_complete(self) -> None:
        self.ask()
        item, = self.claim()
        jobs.fail(item, 'no')
        self.assertEqual(0, self.hand_out())

    def test_only_what_a_target_wants(self) -> None:
        self.add()
        self.add(outbox.RESOLVE)
        outbox.hand_out({PAGER: (outbox.RESOLVE,), BUS: ()})
        self.assertEqual(outbox.RESOLVE, self.item().event_type)
        self.assertIsNone(outbox.claim(BUS, 60))
        self.assertEqual([(PAGER, 'waiting')], self.states())

    def test_nobody_to_tell(self) -> None:
        self.add()
        self.assertEqual(1, outbox.hand_out({}))
        self.assertEqual([], self.states())

    def test_in_order(self) -> None:
        names = [self.add(outbox.CREATE), self.add(outbox.UPDATE),
                 self.add(outbox.CREATE, 'i2'), self.add(outbox.RESOLVE)]
        self.hand_out(PAGER, BUS)
        first = self.item()
        self.assertEqual(names[0], first.id)
        # Of another subject.
        other = self.item()
        self.assertEqual(names[2], other.id)
        self.assertTrue(outbox.sent(other))
        self.assertIsNone(outbox.claim(PAGER, 60))
        # The other target does not wait for this one.
        self.assertEqual(names[0], self.item(BUS).id)
        outbox.put_off(first, 'away', 30, DAY)
        self.assertIsNone(outbox.claim(PAGER, 60))
        self.due()
        first = self.item()
        self.assertEqual((names[0], 2), (first.id, first.attempt))
        outbox.sent(first)
        for name in (names[1], names[3]):
            item = self.item()
            self.assertEqual(name, item.id)
            outbox.sent(item)

    def test_in_order_before_it_is_handed_out(self) -> None:
        self.add()
        second = self.add(outbox.RESOLVE)
        table = models.OUTBOX
        with session.writer() as connection:
            # As if another engine had handed out the second one alone.
            connection.execute(table.update().where(
                table.c.id == second).values(target=PAGER,
                                             place=table.c.number))
        self.assertIsNone(outbox.claim(PAGER, 60))
        self.hand_out()
        self.assertEqual(outbox.CREATE, self.item().event_type)
        self.assertIsNone(outbox.claim(PAGER, 60))

    def test_numbers_come_once(self) -> None:
        # What is handed out last would be the place of the next one.
        for _ in range(3):
            self.add()
            self.hand_out()
        table = models.OUTBOX
        with session.reader() as connection:
            places = list(connection.execute(sa.select(
                table.c.place).order_by(table.c.number)).scalars())
        self.assertEqual(3, len(set(places)))
        self.assertEqual(sorted(places), places)

    def test_holder_dies(self) -> None:
        self.add()
        self.hand_out()
        mine = self.item()
        self.assertIsNone(outbox.claim(PAGER, 60))
        self.due()
        theirs = self.item()
        self.assertEqual((mine.id, 2), (theirs.id, theirs.attempt))
        # What the first one writes now changes nothing.
        self.assertFalse(outbox.sent(mine))
        outbox.put_off(mine, 'away', 3600, 0)
        self.assertTrue(outbox.sent(theirs))

    def test_given_up(self) -> None:
        self.add()
        self.add(outbox.RESOLVE)
        self.hand_out()
        item = self.item()
        self.assertFalse(outbox.put_off(item, 'away', 1, DAY))
        self.due()
        item = self.item()
        self.age(DAY + 60)
        self.assertTrue(outbox.put_off(item, 'HTTP status 500', 1, DAY))
        # What comes after it does not wait any more.
        self.assertEqual(outbox.RESOLVE, self.item().event_type)
        with session.reader() as connection:
            row = connection.execute(sa.select(models.OUTBOX).where(
                models.OUTBOX.c.number == item.number)).mappings().one()
        self.assertEqual(('failed', 'HTTP status 500', 2), (
            row['state'], row['error'], row['attempts']))

    def test_purge(self) -> None:
        self.add()
        self.add(name='i2')
        self.hand_out()
        outbox.sent(self.item())
        self.assertEqual(0, outbox.purge(DAY, DAY))
        self.assertEqual(2, len(self.states()))
        self.age(DAY + 60, 'done_at')
        self.age(60, 'created_at')
        with session.writer() as connection:
            connection.execute(models.OUTBOX.update().where(
                models.OUTBOX.c.state == 'waiting').values(done_at=None))
        self.assertEqual(0, outbox.purge(DAY, DAY, most=1))
        self.assertEqual([(PAGER, 'waiting')], self.states())

    def test_purge_of_the_database(self) -> None:
        self.add()
        self.hand_out()
        self.age(3 * DAY)
        self.add(name='i2')
        # Whether anybody was ever told of it or not.
        self.assertEqual(1, jobs.purge(2)['deliveries'])
        self.assertEqual([('', 'waiting')], self.states())

    def test_target_of_the_past(self) -> None:
        self.add()
        self.hand_out('webhook:gone')
        self.age(2 * DAY + 60)
        self.due()
        self.assertEqual(1, outbox.purge(DAY, DAY))
        self.assertEqual([('webhook:gone', 'failed')], self.states())

    def test_many_engines(self) -> None:
        names = [self.add(name=f'i{n}') for n in range(20)]
        told: list[str] = []

        def engine(_: int) -> None:
            while outbox.hand_out(TARGETS):
                pass
            for target in TARGETS:
                while (item := outbox.claim(target, 60)) is not None:
                    told.append(f'{target} {item.id}')
                    assert outbox.sent(item)

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(engine, range(6)))
            # Some found nothing while others handed out.
            list(pool.map(engine, range(2)))
        self.assertEqual(
            sorted(f'{t} {n}' for t in TARGETS for n in names),
            sorted(told))

    def test_gauges(self) -> None:
        self.incident()
        self.hand_out()
        self.add()
        self.ask()
        self.assertEqual(1, len(self.claim()))
        self.query()
        found = gauges.gauges()
        self.assertEqual({('open', 'high'): 1}, found['incidents'])
        self.assertEqual({('',): 1, (PAGER,): 2}, found['outbox'])
        self.assertEqual({('events', 'queued'): 1,
                          ('analysis', 'running'): 1}, found['jobs'])
