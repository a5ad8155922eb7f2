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
"""Tests of the rows of symptoms.

They run on SQLite in the unit tests, and on real servers in the functional
ones.
"""

import datetime
from typing import Any

import sqlalchemy as sa

from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.db import symptoms
from openstack_rca.tests.unit.db import suite

HOST = 'engine-1'


def symptom(second: int = 0, lasts: int = 10,
            **changed: Any) -> dict[str, Any]:
    """What a watcher tells."""
    since = datetime.datetime(2026, 11, 21, 3) + datetime.timedelta(
        seconds=second)
    until = since + datetime.timedelta(seconds=lasts, microseconds=5)
    return {
        'detector': 'lstm', 'version': '20261121T030000Z-1a2b3c4d',
        'service': 'nova', 'binary': 'nova-compute', 'event_host': 'cmp1',
        'template': '00000000000000ff', 'since': since.isoformat(),
        'until': until.isoformat(), 'sign': 'model', 'score': 0.5,
        'why': 'it lacks ' + suite.ODD} | changed


class SymptomSuite(suite.DatabaseTestCase):
    """Rows of symptoms."""

    def found(self) -> list[dict[str, Any]]:
        """All rows, the oldest first."""
        table = models.SYMPTOMS
        with session.reader() as connection:
            return [dict(row) for row in connection.execute(
                sa.select(table).order_by(table.c.since)).mappings()]

    def record(self, *told: dict[str, Any]) -> int:
        """Write symptoms down.

        :returns: how many are new
        """
        return len(symptoms.record(HOST, told))

    def test_a_new_one(self) -> None:
        told = symptom()
        self.assertEqual([told], symptoms.record(HOST, [told]))
        row, = self.found()
        for name in ('detector', 'version', 'service', 'binary',
                     'event_host', 'template', 'sign', 'score', 'why'):
            self.assertEqual(told[name], row[name])
        for name in ('since', 'until'):
            self.assertEqual(told[name], row[name].isoformat())
        self.assertEqual((HOST, 1), (row['host'], row['count']))

    def test_times_of_other_zones(self) -> None:
        self.record(symptom(since='2026-11-21T05:00:00+02:00'))
        self.assertEqual(datetime.datetime(2026, 11, 21, 3),
                         self.found()[0]['since'])

    def test_seen_again(self) -> None:
        self.assertEqual(1, self.record(symptom()))
        self.assertEqual(0, self.record(
            symptom(60, score=0.75, why='worse', version='v2'),
            symptom(300 + 70, score=0.25, why='better')))
        row, = self.found()
        self.assertEqual(
            (3, 0.75, 'worse', symptom()['since'], symptom(370)['until']),
            (row['count'], row['score'], row['why'],
             row['since'].isoformat(), row['until'].isoformat()))
        self.assertEqual(symptom()['version'], row['version'])
        # Long after.
        self.assertEqual(1, self.record(symptom(370 + 311)))
        self.assertEqual([3, 1], [r['count'] for r in self.found()])

    def test_two_rows_at_once(self) -> None:
        # What was found bit by bit is found at once after a crash.
        self.record(symptom(), symptom(1000))
        self.assertEqual(0, self.record(symptom(lasts=1005)))
        self.assertEqual([symptom()['since'], symptom(1000)['since']],
                         [r['since'].isoformat() for r in self.found()])

    def test_told_twice(self) -> None:
        told = [symptom(), symptom(20), symptom(400)]
        self.assertEqual(2, self.record(*told))
        before = self.found()
        self.assertEqual(0, self.record(*told))
        self.assertEqual(before, self.found())

    def test_others(self) -> None:
        told = [symptom() | {name: value} for name, value in (
            ('sign', 'new'), ('detector', 'novelty'), ('service', None),
            ('binary', 'nova-api'), ('event_host', 'cmp2'),
            ('template', None))]
        self.assertEqual(7, self.record(symptom(), *told))
        self.assertEqual(0, self.record(*told))
        self.assertEqual(1, len(symptoms.record('engine-2', told[:1])))

    def test_whatever_a_log_holds(self) -> None:
        odd = '\x00\ud800' + 'x' * 3000
        self.assertEqual(1, self.record(symptom(
            binary=odd, event_host=odd, service=odd, why=odd)))
        self.assertEqual(0, self.record(symptom(
            5, binary=odd, event_host=odd, service=odd, why=odd)))
        row, = self.found()
        self.assertEqual((64, 255, 255, 2000), tuple(
            len(row[n]) for n in ('service', 'binary', 'event_host', 'why')))
        self.assertEqual(2, row['count'])

    def test_many_at_once(self) -> None:
        told = self.run_together(*[
            lambda: self.record(*(symptom(10 * m) for m in range(9)))
            for _ in range(8)])
        self.assertEqual(1, sum(told))
        self.assertEqual(1, self.count(models.SYMPTOMS))

    def test_purge(self) -> None:
        self.record(symptom(), symptom(sign='new'))
        old = rows.utcnow() - datetime.timedelta(days=10)
        with session.writer() as connection:
            connection.execute(models.SYMPTOMS.update().where(
                models.SYMPTOMS.c.sign == 'new').values(updated_at=old))
        self.assertEqual(1, jobs.purge(9)['symptoms'])
        self.assertEqual(['model'], [r['sign'] for r in self.found()])
