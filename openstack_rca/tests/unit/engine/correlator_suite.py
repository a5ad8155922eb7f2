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
"""The tests of what becomes one incident, for any database.

They run on SQLite in the unit tests, and on real servers in the functional
ones.
"""

import datetime
from typing import Any
from unittest import mock
import zlib

import sqlalchemy as sa

from openstack_rca import conf
from openstack_rca.analysis import alarms
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.engine import correlator
from openstack_rca.tests.unit.db import suite

PROJECT = 'a' * 32
HOST = 'engine-1'
BEGAN = datetime.datetime(2026, 11, 21, 3)

SERVICES = {'keystone': 'keystone', 'glance-api': 'glance',
            'cinder-volume': 'cinder-volume'}


def reason(component: str, weight: float = 0.85, direct: bool = True,
           category: str = 'unknown', host: str = '',
           **changed: Any) -> dict[str, Any]:
    """Why somebody is blamed."""
    return {'component': component, 'category': category,
            'clue': 'log', 'weight': weight, 'direct': direct,
            'cause': f'{component} does not work', 'host': host} | changed


BUS = reason('rabbitmq', category='messaging')
DATABASE = reason('mariadb', 0.95, category='database')
DISK = reason('storage', 0.9, category='storage', host='cmp3')


def plain(component: str) -> dict[str, Any]:
    """What the bare fact of an error says."""
    return reason(component, 0.25, False, clue='errors')


def symptom(second: float, binary: str, *reasons: dict[str, Any],
            host: str = 'ctl1', opens: bool = True, text: str = '',
            **changed: Any) -> dict[str, Any]:
    """What an alarm tells.

    :param second: when it was logged
    :param binary: by whom
    :param reasons: whom it blames; itself, where nobody says
    :param text: what makes its template
    """
    moment = (BEGAN + datetime.timedelta(seconds=second)).isoformat()
    component = SERVICES.get(binary, binary)
    blamed = list(reasons or (plain(component),))
    severe = 'error' not in changed or changed['error']
    return {
        'detector': alarms.NAME, 'version': None,
        'service': binary.partition('-')[0], 'binary': binary,
        'event_host': host,
        'template': f'{zlib.crc32((binary + text).encode()):016x}',
        'since': moment, 'until': moment, 'sign': 'level',
        'score': max([0.5, *(r['weight'] for r in blamed)]),
        'why': blamed[0]['cause'], 'requests': [], 'resources': [],
        'component': component, 'reasons': blamed, 'error': severe,
        'text': text or f'{binary} failed', 'opens': opens} | changed


def learned(second: float, binary: str = 'nova-compute',
            **changed: Any) -> dict[str, Any]:
    """What a detector tells that learned what is usual."""
    moment = (BEGAN + datetime.timedelta(seconds=second)).isoformat()
    return {
        'detector': 'lstm', 'version': 'v1', 'service': 'nova',
        'binary': binary, 'event_host': 'cmp1', 'template': None,
        'since': moment, 'until': moment, 'sign': 'model', 'score': 0.8,
        'why': 'it is unusual'} | changed


class CorrelatorSuite(suite.DatabaseTestCase):
    """Symptoms become incidents."""

    def setUp(self) -> None:
        super().setUp()
        self.config('incidents', project_id=PROJECT)
        self.now = BEGAN
        patch = mock.patch.object(rows, 'utcnow', lambda: self.now)
        patch.start()
        self.addCleanup(patch.stop)
        self.correlator = correlator.Correlator(HOST)

    def tell(self, *found: dict[str, Any]) -> list[dict[str, Any]]:
        """Tell symptoms as soon as they are logged.

        :returns: those that are new
        """
        last = max(datetime.datetime.fromisoformat(s['until'])
                   for s in found)
        self.now = max(self.now, last)
        return self.correlator.take(found)

    def wait(self, seconds: float) -> None:
        """Let time pass, and have incidents looked after."""
        self.now += datetime.timedelta(seconds=seconds)
        self.correlator.look_after()

    def all(self) -> list[dict[str, Any]]:
        """Each incident that is no part of another one, oldest first."""
        return sorted(incidents.incident_list(PROJECT, 100)[0],
                      key=lambda row: (row['created_at'],
                                       row['first_seen'] or ''))

    def one(self) -> dict[str, Any]:
        """The one incident."""
        found, = self.all()
        return found

    def step(self, status: str, **values: Any) -> dict[str, Any]:
        """What an operator does with the one incident."""
        return incidents.incident_update(
            PROJECT, self.one()['id'], 'user-1',
            {'status': status, **values})

    def rows_of(self, table: sa.Table) -> list[dict[str, Any]]:
        """All rows of a table."""
        with session.reader() as connection:
            return [dict(row) for row in connection.execute(
                sa.select(table)).mappings()]

    def belongs(self) -> set[str | None]:
        """The incidents of all symptoms."""
        return {row['incident_id'] for row in self.rows_of(models.SYMPTOMS)}

    def told(self) -> list[str]:
        """What others are told, in its order."""
        return [row['event_type'].removeprefix('rca.incident.')
                for row in sorted(self.rows_of(models.OUTBOX),
                                  key=lambda row: row['number'])]

    def asked(self) -> list[dict[str, Any]]:
        """Analyses that were asked for."""
        return self.rows_of(models.ANALYSES)

    def answer(self, component: str, confidence: float = 0.9,
               **changed: Any) -> None:
        """Have the last analysis finished."""
        item, = jobs.claim('worker', 60, 1, 3)
        self.assertTrue(jobs.complete(item, rows.dump({
            'version': 1, 'status': 'complete', 'verdict': 'cause_found',
            'category': 'configuration', 'severity': 'high',
            'confidence': confidence, 'summary': f'It is {component}.',
            'hypotheses': [{
                'rank': 1, 'component': component, 'host': None,
                'category': 'configuration', 'confidence': confidence,
                'cause': f'{component} is told\nthe wrong thing'}]}
            | changed)))

    # One or two

    def test_one_fault(self) -> None:
        found = [
            symptom(0, 'nova-conductor', BUS, plain('nova-conductor')),
            symptom(1, 'neutron-server', BUS),
            symptom(2, 'nova-api'),
            symptom(3, 'cinder-volume', BUS),
            symptom(4, 'nova-compute', reason(
                'nova-conductor', 0.55, False), host='cmp1'),
            symptom(5, 'nova-compute', text='other', host='cmp2')]
        for seen in (found[:1], found[1:4], found[4:]):
            self.assertEqual(seen, self.tell(*seen))
        made = self.one()
        self.assertEqual(
            ('open', 'engine', 'rabbitmq', 'messaging', 'critical', 6, 0),
            tuple(made[name] for name in (
                'status', 'origin', 'component', 'category', 'severity',
                'symptoms', 'reopened')))
        self.assertEqual('rabbitmq does not work', made['title'])
        self.assertEqual(rows.iso(BEGAN), made['first_seen'])
        self.assertEqual(rows.iso(self.now), made['last_seen'])
        self.assertEqual({made['id']}, self.belongs())
        # Nobody heard of others meanwhile.
        self.assertEqual(1, self.told().count('create'))
        self.assertNotIn('resolve', self.told())

    def test_all_at_once(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS), symptom(1, 'nova-api'),
                  symptom(2, 'cinder-volume', BUS), symptom(2, 'nova-api'))
        self.assertEqual('rabbitmq', self.one()['component'])
        self.assertEqual(1, self.told().count('create'))

    def test_two_faults(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS),
                  symptom(1, 'neutron-server', BUS),
                  symptom(2, 'nova-compute', DISK, host='cmp3'))
        self.tell(symptom(3, 'cinder-volume', BUS),
                  symptom(4, 'nova-compute', DISK, host='cmp3', text='x'))
        self.assertEqual([('rabbitmq', None, 3), ('storage', 'cmp3', 2)], [
            (row['component'], row['host'], row['symptoms'])
            for row in self.all()])
        self.assertEqual(0, self.told().count('resolve'))

    def test_the_user_of_a_service(self) -> None:
        self.tell(symptom(0, 'nova-compute', reason(
            'nova-compute', category='authentication')))
        # Keystone's word for the same.
        self.tell(symptom(1, 'keystone', reason(
            'nova-api', category='authentication')))
        self.assertEqual(2, self.one()['symptoms'])
        self.tell(symptom(2, 'keystone', reason(
            'cinder-api', category='authentication'), text='another user'))
        self.assertEqual(2, len(self.all()))

    def test_the_same_fault_of_two_machines(self) -> None:
        self.tell(symptom(0, 'nova-compute', DISK, host='cmp3'))
        self.tell(symptom(1, 'nova-compute', DISK | {'host': 'cmp4'},
                          host='cmp4', text='y'))
        self.assertEqual(['cmp3', 'cmp4'],
                         [row['host'] for row in self.all()])

    def test_the_cause_speaks_last(self) -> None:
        self.tell(symptom(0, 'keystone'))
        self.tell(symptom(1, 'glance-api'))
        first, second = self.all()
        self.tell(symptom(2, 'mysqld', DATABASE, component='mariadb'))
        made = self.one()
        self.assertEqual(
            (first['id'], 'mariadb', 'database', 'critical', 3),
            tuple(made[name] for name in (
                'id', 'component', 'category', 'severity', 'symptoms')))
        self.assertEqual({made['id']}, self.belongs())
        gone = incidents.incident_get(PROJECT, second['id'])
        self.assertEqual(('resolved', made['id'], incidents.ENGINE), (
            gone['status'], gone['merged_into'], gone['resolved_by']))
        # What the other one was known by is known of this one.
        self.tell(symptom(3, 'glance-api', reason('glance', 0.9)))
        self.assertEqual(4, self.one()['symptoms'])

    def test_what_a_part_passes_on(self) -> None:
        """Nova's API is away when Neutron tells of a port: a wait is vain."""
        gone = reason('nova-api', category='process_down')
        missed = reason('neutron-l2-agent', 0.7, False, 'network',
                        clue='plugging timed out', via=['nova-api'])
        self.tell(symptom(0, 'neutron-server', gone))
        self.tell(symptom(30, 'nova-compute', missed, host='cmp3'))
        self.assertEqual(['nova-api'], [
            one['component'] for one in self.all()])
        # What it passes nothing on of is another matter.
        self.tell(symptom(40, 'neutron-server', reason(
            'neutron-l2-agent', 0.7, False, 'network', clue='binding failed'),
            text='No agent is alive'))
        self.assertEqual(['nova-api', 'neutron-l2-agent'], [
            one['component'] for one in self.all()])

    def test_a_request_holds_together(self) -> None:
        self.tell(symptom(0, 'nova-api', requests=['req-1']))
        self.tell(symptom(400, 'cinder-volume', requests=['req-1']))
        self.tell(symptom(401, 'glance-api', resources=['vol-1']))
        self.assertEqual([2, 1], [row['symptoms'] for row in self.all()])

    def test_keys_of_any_kind(self) -> None:
        odd = 'x' * 400 + '\0\ud800'
        for second in (0, 400):
            self.tell(symptom(second, 'nova-api', text=str(second),
                              requests=[odd, '\0' + odd]))
        self.assertEqual(2, self.one()['symptoms'])

    def test_long_ago_is_another_one(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.tell(symptom(conf.CONF.incidents.window + 1, 'neutron-server',
                          BUS))
        self.assertEqual(2, len(self.all()))

    def test_what_opens_none(self) -> None:
        quiet = symptom(0, 'nova-api', opens=False)
        self.assertEqual([quiet], self.tell(quiet))
        self.assertEqual(([], {None}), (self.all(), self.belongs()))
        # It says the same as long as nothing else is wrong.
        self.tell(symptom(1, 'nova-conductor', BUS))
        self.tell(symptom(2, 'nova-api', opens=False))
        self.assertEqual(2, self.one()['symptoms'])

    # Once more

    def test_replay_changes_nothing(self) -> None:
        found = [symptom(0, 'nova-conductor', BUS), symptom(1, 'nova-api'),
                 symptom(2, 'nova-compute', DISK, host='cmp3'),
                 learned(3)]
        self.assertEqual(4, len(self.tell(*found)))
        tables = (models.INCIDENTS, models.SYMPTOMS, models.OUTBOX,
                  models.INCIDENT_KEYS)
        before = [self.rows_of(table) for table in tables[:3]]
        keys = {row['key'] for row in self.rows_of(tables[3])}
        for piece in (found, found[2:], found[::-1]):
            self.now += datetime.timedelta(seconds=1)
            self.assertEqual([], self.correlator.take(piece))
        self.assertEqual(before, [self.rows_of(t) for t in tables[:3]])
        self.assertEqual(keys, {row['key'] for row in self.rows_of(
            tables[3])})

    def test_seen_again(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.assertEqual([], self.tell(symptom(30, 'nova-conductor', BUS)))
        self.assertEqual(2, self.one()['symptoms'])
        self.assertEqual(rows.iso(self.now), self.one()['last_seen'])

    # Suppressed

    def test_suppressed(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS, text='known'))
        self.step('suppressed')
        before = self.told()
        self.tell(symptom(1, 'nova-conductor', BUS, text='known'))
        self.tell(symptom(2, 'nova-conductor', BUS, DATABASE, text='known',
                          host='ctl2'))
        self.wait(3600)
        made = self.one()
        self.assertEqual(('suppressed', 3),
                         (made['status'], made['symptoms']))
        self.assertEqual((before, []), (self.told(), self.asked()))
        # What else is wrong is told.
        self.tell(symptom(3600, 'nova-conductor', BUS, text='new'))
        self.assertEqual(['suppressed', 'open'],
                         [row['status'] for row in self.all()])

    def test_suppressed_for_some_time(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        until = rows.iso(BEGAN + datetime.timedelta(seconds=1000))
        self.step('suppressed', suppressed_until=until)
        self.wait(999)
        self.tell(symptom(999, 'nova-conductor', BUS))
        self.assertEqual('suppressed', self.one()['status'])
        self.wait(2)
        made = self.one()
        self.assertEqual(('resolved', incidents.ENGINE, None), (
            made['status'], made['resolved_by'], made['suppressed_until']))
        self.tell(symptom(1002, 'nova-conductor', BUS))
        self.assertEqual(('open', made['id'], 1), tuple(
            self.one()[name] for name in ('status', 'id', 'reopened')))

    def test_suppressed_no_more(self) -> None:
        for status in ('resolved', 'open'):
            with self.subTest(status):
                self.tell(symptom(0, 'nova-conductor', BUS, text=status))
                made = self.all()[-1]
                for step in ('suppressed', status):
                    incidents.incident_update(PROJECT, made['id'], 'user-1',
                                              {'status': step})
                self.tell(symptom(400, 'nova-conductor', BUS, text=status))
                last = self.all()[-1]
                self.assertEqual('open', last['status'])
                self.assertEqual(status == 'open', last['id'] == made['id'])
                incidents.incident_update(PROJECT, last['id'], 'user-1',
                                          {'status': 'resolved'})

    # Time

    def test_resolved_and_back(self) -> None:
        quiet = conf.CONF.incidents.resolve_after
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.tell(symptom(1, 'nova-api'))
        self.wait(quiet)
        self.assertEqual('open', self.one()['status'])
        self.wait(1)
        made = self.one()
        self.assertEqual(('resolved', incidents.ENGINE, rows.iso(self.now)),
                         (made['status'], made['resolved_by'],
                          made['resolved_at']))
        self.assertEqual('resolve', self.told()[-1])
        again = quiet + 60
        self.tell(symptom(again, 'nova-conductor', BUS))
        back = self.one()
        self.assertEqual(('open', made['id'], 1, None, None, 3), tuple(
            back[name] for name in ('status', 'id', 'reopened',
                                    'resolved_at', 'resolved_by',
                                    'symptoms')))
        self.assertEqual(1, self.told().count('create'))
        self.wait(quiet + 1)
        # It is another one after so long.
        self.tell(symptom(again + quiet + 2
                          + conf.CONF.incidents.reopen_within,
                          'nova-conductor', BUS))
        self.assertEqual(['resolved', 'open'],
                         [row['status'] for row in self.all()])

    def test_another_cause_is_another_one(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS, text='same'))
        self.wait(conf.CONF.incidents.resolve_after + 1)
        self.tell(symptom(700, 'nova-conductor', DATABASE, text='same'))
        self.assertEqual([('resolved', 'rabbitmq'), ('open', 'mariadb')], [
            (row['status'], row['component']) for row in self.all()])

    def test_never_resolved(self) -> None:
        self.config('incidents', resolve_after=0)
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.wait(10**7)
        self.assertEqual('open', self.one()['status'])

    def test_what_a_person_resolved_stays_so(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.step('resolved', resolution='restarted it')
        self.tell(symptom(30, 'nova-conductor', BUS))
        self.assertEqual(
            [('resolved', 'restarted it'), ('open', None)],
            [(row['status'], row['resolution']) for row in self.all()])

    def test_acknowledged_is_left_alone(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.step('acknowledged')
        self.tell(symptom(1, 'neutron-server', BUS))
        self.wait(10 * conf.CONF.incidents.resolve_after)
        made = self.one()
        self.assertEqual(('acknowledged', 2),
                         (made['status'], made['symptoms']))

    # Analyses

    def test_analysed_once_it_settled(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS, text='what it says',
                          requests=['req-1']))
        self.wait(3.5)
        self.assertEqual([], self.asked())
        self.wait(1)
        made, = self.asked()
        self.assertEqual(
            ('queued', PROJECT, incidents.ENGINE, 'what it says', 'full',
             self.one()['id']),
            tuple(made[name] for name in (
                'status', 'project_id', 'user_id', 'issue', 'mode',
                'incident_id')))
        item, = jobs.claim('worker', 60, 1, 3)
        self.assertEqual(
            ('2026-11-21T02:55:00+00:00', ['req-1'], 'full'),
            tuple(item.request[name] for name in (
                'since', 'request_ids', 'mode')))
        self.wait(1000)
        self.assertEqual(1, len(self.asked()))

    def test_looks_not_at_what_was_over(self) -> None:
        """A fault of before, whose cause is known, is none of this one."""
        over = '2026-11-21T03:00:40.000001+00:00'
        for blamed, status, since in (
                (reason('placement'), 'open', over),
                # It may have been another cause.
                (plain('placement'), 'open', '2026-11-21T02:57:00+00:00'),
                (plain('placement'), 'resolved', over)):
            with self.subTest(blamed=blamed, status=status):
                self._clean()
                self.tell(symptom(0, 'placement-api', blamed))
                self.wait(5)
                item, = jobs.claim('worker', 60, 1, 3)
                jobs.fail(item, 'no')
                self.tell(symptom(40, 'placement-api', blamed, text='2'))
                if status != 'open':
                    self.step(status)
                self.tell(symptom(120, 'cinder-volume', DISK))
                self.wait(5)
                item, = jobs.claim('worker', 60, 1, 3)
                self.assertEqual(since, item.request['since'])
                jobs.fail(item, 'no')

    def _clean(self) -> None:
        """Forget all that was."""
        self.now = BEGAN
        with session.writer() as connection:
            for table in reversed(models.METADATA.sorted_tables):
                connection.execute(table.delete())

    def test_analysed_again_when_the_cause_changes(self) -> None:
        causes = ('rabbitmq', 'mariadb', 'libvirt', 'dns', 'clock')
        asked = []
        for number, name in enumerate(causes):
            # More and more reasons speak for the next one.
            self.tell(*(symptom(
                40 * number, 'nova-api', reason(name, 0.7, clue=f'c{n}'),
                text=f'{number} {n}', requests=['req-1'], error=False)
                for n in range(1 + number)))
            self.assertEqual(name, self.one()['component'])
            for _ in range(4):
                self.wait(9)
                asked.append((self.now, len(self.asked())))
        self.assertEqual(3, asked[-1][1])
        times = [min(now for now, count in asked if count == n)
                 for n in (1, 2, 3)]
        for one, two in zip(times, times[1:], strict=False):
            self.assertLessEqual(datetime.timedelta(seconds=60), two - one)

    def test_not_analysed(self) -> None:
        self.config('incidents', analyze=False)
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.wait(100)
        self.assertEqual([], self.asked())

    def test_resolved_before_it_was_analysed(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.step('resolved')
        self.wait(100)
        self.assertEqual([], self.asked())

    def test_what_an_analysis_finds(self) -> None:
        self.tell(symptom(0, 'nova-api', requests=['req-1']))
        self.wait(5)
        self.answer('placement')
        made = self.one()
        self.assertEqual(
            ('placement', 'configuration', 0.9, 'high',
             'placement is told the wrong thing', 'It is placement.',
             self.asked()[0]['id']),
            tuple(made[name] for name in (
                'component', 'category', 'confidence', 'severity', 'title',
                'summary', 'analysis_id')))
        # It knows better than what comes later.
        self.tell(symptom(10, 'nova-api', BUS, text='later',
                          requests=['req-1']))
        self.assertEqual(('placement', 2), (
            self.one()['component'], self.one()['symptoms']))

    def test_an_analysis_that_finds_nothing(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.wait(5)
        self.answer('other', verdict='insufficient_evidence',
                    hypotheses=[])
        made = self.one()
        self.assertEqual(('rabbitmq', self.asked()[0]['id']),
                         (made['component'], made['analysis_id']))

    def test_merged_once_they_are_analysed(self) -> None:
        self.tell(symptom(0, 'nova-api'))
        self.tell(symptom(0.5, 'cinder-volume'))
        first, second = self.all()
        self.wait(5)
        self.assertEqual(2, len(self.asked()))
        for _ in range(2):
            self.answer('keystone')
        self.assertEqual(2, len(self.all()))
        self.wait(1)
        self.assertEqual((first['id'], 'keystone', 2), tuple(
            self.one()[name] for name in ('id', 'component', 'symptoms')))
        self.assertEqual(first['id'], incidents.incident_get(
            PROJECT, second['id'])['merged_into'])
        self.assertEqual({first['id']}, self.belongs())

    def test_what_was_found_of_the_other_holds(self) -> None:
        self.tell(symptom(0, 'nova-api'))
        self.tell(symptom(0.5, 'cinder-volume'))
        first, _ = self.all()
        self.wait(5)
        for _ in range(2):
            item, = jobs.claim('worker', 60, 1, 3)
            if item.request['incident_id'] != first['id']:
                jobs.release(item, None)
                self.answer('keystone')
                break
            jobs.fail(item, 'no')
        self.wait(1)
        self.assertEqual((first['id'], 'keystone'), tuple(
            self.one()[name] for name in ('id', 'component')))

    def test_what_is_over_takes_nothing_in(self) -> None:
        self.tell(symptom(0, 'nova-api'))
        self.tell(symptom(0.5, 'cinder-volume'))
        first, second = self.all()
        self.wait(5)
        incidents.incident_update(PROJECT, first['id'], 'user-1',
                                  {'status': 'resolved'})
        for _ in range(2):
            self.answer('keystone')
        self.wait(1)
        self.assertEqual(
            [('resolved', None), ('open', None)],
            [(row['status'], row['merged_into']) for row in self.all()])
        self.assertEqual(second['id'], self.all()[1]['id'])

    def test_the_cause_of_another_fault(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS),
                  symptom(1, 'nova-compute', DISK, host='cmp3'))
        self.wait(5)
        both = [{'component': name, 'category': 'unknown', 'host': None,
                 'confidence': 0.9, 'cause': f'{name} is broken'}
                for name in ('rabbitmq', 'storage')]
        for _ in range(2):
            self.answer('rabbitmq', hypotheses=both)
        self.wait(1)
        self.assertEqual(['rabbitmq', 'storage'],
                         [row['component'] for row in self.all()])

    def test_another_kind_of_fault_of_the_same_part(self) -> None:
        """What stopped it and what it does since are not one fault."""
        for found, category in (
                (symptom(0, 'nova-conductor', BUS), 'process_down'),
                (symptom(20, 'nova-compute', DISK, host='cmp3'),
                 'authentication')):
            self.tell(found)
            self.wait(5)
            self.answer('rabbitmq', hypotheses=[
                {'component': name, 'category': category, 'host': None,
                 'confidence': 0.9, 'cause': f'{name} is broken'}
                for name in ('rabbitmq', 'storage')])
        self.assertEqual(
            {('rabbitmq', 'process_down'), ('rabbitmq', 'authentication')},
            {(row['component'], row['category']) for row in self.all()})

    def test_an_analysis_knows_of_the_others(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS),
                  symptom(1, 'nova-compute', DISK, host='cmp3'))
        self.wait(5)
        told = {}
        while found := jobs.claim('worker', 60, 1, 3):
            told[found[0].request.get('own')] = found[0].request.get(
                'elsewhere')
        self.assertEqual({
            'rabbitmq': [['storage', 'storage'], ['storage', 'unknown']],
            'storage': [['rabbitmq', category] for category in (
                'process_down', 'hang', 'connectivity', 'network',
                'messaging', 'database', 'unknown')]}, told)

    def test_an_analysis_of_what_names_no_fault(self) -> None:
        self.tell(symptom(0, 'placement-api', plain('placement')))
        self.tell(symptom(1, 'nova-compute', DISK, host='cmp3'))
        self.wait(5)
        told = [item.request.get('own') for item in (
            jobs.claim('worker', 60, 1, 3) + jobs.claim('worker', 60, 1, 3))]
        self.assertEqual({None, 'storage'}, set(told))

    # Others

    def test_only_learned(self) -> None:
        self.tell(learned(-130))
        self.assertEqual([], self.all())
        self.tell(learned(0))
        made = self.one()
        self.assertEqual(('open', None, 'unknown', 'it is unusual', 1),
                         tuple(made[name] for name in (
                             'status', 'component', 'category', 'title',
                             'symptoms')))
        self.tell(learned(20))
        self.tell(learned(30, 'nova-api'))
        self.assertEqual(3, self.one()['symptoms'])

    def test_one_odd_minute(self) -> None:
        self.tell(learned(0))
        # Windows overlap: this is of the same minute.
        self.tell(learned(50, 'nova-api'), learned(110, 'nova-api'))
        self.assertEqual([], self.all())
        # What is only unusual, of one that learned nothing.
        self.tell(learned(100, score=0.9, sign='burst', detector='novelty'))
        self.assertEqual([], self.all())
        # Long after that it is another one.
        self.tell(learned(600))
        self.assertEqual([], self.all())

    def test_odd_minutes_in_a_row(self) -> None:
        self.tell(learned(0))
        self.tell(learned(130, 'nova-api'))
        self.assertEqual(('open', 1), (
            self.one()['status'], self.one()['symptoms']))
        self.tell(learned(140))
        self.assertEqual(2, self.one()['symptoms'])

    def test_learned_beside_an_incident(self) -> None:
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.tell(learned(10))
        self.assertEqual(('rabbitmq', 2), (
            self.one()['component'], self.one()['symptoms']))

    def test_without_a_project(self) -> None:
        self.config('incidents', project_id='')
        found = [symptom(0, 'nova-conductor', BUS), learned(1)]
        self.assertEqual(found, self.tell(*found))
        self.assertEqual([], self.tell(*found))
        self.wait(10)
        self.assertEqual(2, len(self.rows_of(models.SYMPTOMS)))
        for table in (models.INCIDENTS, models.OUTBOX, models.JOBS):
            self.assertEqual([], self.rows_of(table))

    def test_incidents_of_people_take_no_symptoms(self) -> None:
        self.incident(PROJECT)
        self.tell(symptom(0, 'nova-conductor', BUS))
        self.assertEqual({('analysis', 0), ('engine', 1)}, {
            (row['origin'], row['symptoms']) for row in self.all()})

    def test_engines_at_once(self) -> None:
        engines = [correlator.Correlator(f'engine-{n}') for n in range(4)]
        for number in range(3):
            told = self.run_together(*[
                lambda e=e, n=n: e.take([symptom(
                    number, 'nova-api', BUS, text=f'{number} {n}',
                    host=f'ctl{n}')])
                for n, e in enumerate(engines)])
            for found in told:
                self.assertIsInstance(found, list)
        made = self.one()
        self.assertEqual(12, made['symptoms'])
        self.assertEqual({made['id']}, self.belongs())
        self.assertEqual(1, self.told().count('create'))

    def test_an_analysis_ends_while_symptoms_come(self) -> None:
        self.tell(symptom(0, 'nova-api'))
        self.wait(5)
        told = self.run_together(
            lambda: self.answer('placement'),
            *[lambda n=n: self.correlator.take([symptom(
                6, 'nova-api', text=str(n))]) for n in range(4)])
        self.assertEqual([], [one for one in told if isinstance(
            one, BaseException)])
        made = self.one()
        self.assertEqual(('placement', 5),
                         (made['component'], made['symptoms']))
