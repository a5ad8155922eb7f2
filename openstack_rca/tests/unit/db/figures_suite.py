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
"""The tests of figures and labels, for any database."""

import datetime
import json
from typing import Any

from openstack_rca.db import api
from openstack_rca.db import figures
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.db import symptoms
from openstack_rca.tests.unit.db import suite
from openstack_rca.tests.unit.db import symptoms_suite

MINE, THEIRS, ME, YOU = suite.MINE, suite.THEIRS, suite.ME, suite.YOU
ODD = suite.ODD
#: When the failure that the symptoms and reports are about began.
BEGAN = datetime.datetime(2026, 11, 21, 3)
TEMPLATE = '00000000000000ff'
NOTHING = {'count': 0, 'median': None}


def after(seconds: float) -> datetime.datetime:
    """A moment of the failure."""
    return BEGAN + datetime.timedelta(seconds=seconds)


def evidence(name: str, second: float = 0, **values: Any) -> dict[str, Any]:
    """What a report cites."""
    return {'id': name, 'timestamp': after(second).isoformat() + '+00:00',
            'template': TEMPLATE, 'binary': 'nova-compute', 'host': '',
            **values}


class FiguresSuite(suite.DatabaseTestCase):
    """What rows come to."""

    def report(self, *seen: dict[str, Any], cited: tuple[str, ...] = (),
               project: str = MINE, cause: str = 'broken') -> str:
        """Write an incident with an analysis that has a report.

        :returns: the id of the incident
        """
        name = self.ask(project, incident=True)
        self.assertTrue(jobs.complete(self.take(name), json.dumps(
            suite.REPORT | {'evidence': seen, 'hypotheses': [{
                'rank': 1, 'component': 'rabbitmq', 'host': 'ctl1',
                'cause': cause, 'evidence': cited}]})))
        return str(api.analysis_get(project, name)['incident_id'])

    def rate(self, *ratings: str, project: str = MINE) -> list[str]:
        """Write analyses that are rated.

        :returns: their ids
        """
        found = []
        for rating in ratings:
            found.append(self.solved(project))
            api.rating_set(project, ME, found[-1], rating)
        return found

    def test_nothing(self) -> None:
        for choice in ((), (rows.utcnow(), MINE)):
            self.assertEqual({
                'rated': 0, 'right': 0, 'partly': 0, 'wrong': 0,
                'helpful': None, 'incidents': 0,
                'symptom_to_incident': NOTHING,
                'incident_to_analysis': NOTHING,
                'incident_to_resolution': NOTHING}, figures.figures(*choice))
        self.assertEqual([], figures.labels())

    def test_share_of_helpful_ones(self) -> None:
        self.rate('right', 'right', 'partly', 'wrong', 'right')
        self.rate('wrong', project=THEIRS)
        self.solved()
        found = figures.figures()
        self.assertEqual((6, 3, 1, 2, 0.5), tuple(found[name] for name in (
            'rated', 'right', 'partly', 'wrong', 'helpful')))
        self.assertEqual(0.6, figures.figures(project_id=MINE)['helpful'])
        self.assertEqual(0.0, figures.figures(project_id=THEIRS)['helpful'])
        self.assertIsNone(figures.figures(project_id='p3')['helpful'])

    def test_last_word_counts(self) -> None:
        name, = self.rate('right')
        api.rating_set(MINE, YOU, name, 'wrong', cause='the disk')
        found = figures.figures()
        self.assertEqual((1, 0, 1), (
            found['rated'], found['right'], found['wrong']))
        self.assertEqual(['wrong'], [r['rating'] for r in figures.labels()])
        api.rating_set(MINE, ME, name, 'partly')
        self.assertEqual(1, figures.figures()['partly'])

    def test_only_of_the_time_asked_for(self) -> None:
        old, _new = self.rate('wrong', 'right')
        self.report()
        long_ago = rows.utcnow() - datetime.timedelta(days=10)
        self.change(models.INCIDENTS, created_at=long_ago)
        self.report()
        with_old = figures.figures(long_ago)
        self.assertEqual((2, 2), (with_old['rated'], with_old['incidents']))
        with session.writer() as connection:
            connection.execute(models.RATINGS.update().where(
                models.RATINGS.c.analysis_id == old).values(
                    updated_at=long_ago))
        since = long_ago + datetime.timedelta(days=1)
        found = figures.figures(since)
        self.assertEqual((1, 1.0, 1), (
            found['rated'], found['helpful'], found['incidents']))
        self.assertEqual(1, len(figures.labels(since)))
        self.assertEqual(2, len(figures.labels(long_ago)))

    def test_medians(self) -> None:
        for took in (30, 600, 90):
            name = self.report()
            self.change(models.INCIDENTS, name, created_at=BEGAN,
                        resolved_at=after(took))
            self.change(models.ANALYSES, incidents.incident_get(
                MINE, name)['analysis_id'], finished_at=after(took / 10))
        self.report(project=THEIRS)
        found = figures.figures(project_id=MINE)
        self.assertEqual({'count': 3, 'median': 90.0},
                         found['incident_to_resolution'])
        self.assertEqual({'count': 3, 'median': 9.0},
                         found['incident_to_analysis'])
        self.assertEqual(3, found['incidents'])
        # The one of the other project is open, and was opened by its
        # analysis, at the same moment or just after.
        found = figures.figures(project_id=THEIRS)
        self.assertEqual(NOTHING, found['incident_to_resolution'])
        self.assertEqual({'count': 1, 'median': 0.0},
                         found['incident_to_analysis'])

    def test_first_analysis_that_is_complete(self) -> None:
        name = self.report()
        self.change(models.INCIDENTS, name, created_at=BEGAN)
        self.change(models.ANALYSES, finished_at=after(50))
        for second, status in ((10, 'failed'), (20, 'complete'),
                               (30, 'complete')):
            other = self.solved()
            self.change(models.ANALYSES, other, incident_id=name,
                        status=status, finished_at=after(second))
        self.assertEqual({'count': 1, 'median': 20.0},
                         figures.figures()['incident_to_analysis'])
        api.analysis_delete(
            MINE, incidents.incident_get(MINE, name)['analysis_id'])
        self.assertEqual(20.0,
                         figures.figures()['incident_to_analysis']['median'])

    def _symptom_to_incident(self, *seen: dict[str, Any],
                             cited: tuple[str, ...] = ()) -> float | None:
        name = self.report(*seen, cited=cited)
        self.change(models.INCIDENTS, created_at=after(100))
        found = figures.figures()['symptom_to_incident']
        median: float | None = found['median']
        self.assertEqual(median is not None, found['count'] == 1)
        api.analysis_delete(
            MINE, incidents.incident_get(MINE, name)['analysis_id'])
        with session.writer() as connection:
            connection.execute(models.INCIDENTS.delete())
        return median

    def test_first_symptom(self) -> None:
        symptoms.record('e1', [
            symptoms_suite.symptom(5, sign='new'),
            symptoms_suite.symptom(8, sign='level'),
            # Of something else, or of the same at another time.
            symptoms_suite.symptom(0, template='0000000000000001'),
            symptoms_suite.symptom(-9000, sign='burst')])
        self.assertEqual(95.0, self._symptom_to_incident(evidence('E1', 9)))
        self.assertIsNone(self._symptom_to_incident())
        self.assertIsNone(self._symptom_to_incident(
            evidence('E1', 9, template='0000000000000002')))
        self.assertIsNone(self._symptom_to_incident(
            evidence('E1', 3600)))
        # In another zone, and what has no time.
        self.assertEqual(95.0, self._symptom_to_incident(
            evidence('E1', timestamp='2026-11-21T05:00:09+02:00'),
            {'id': 'E2', 'kind': 'document', 'timestamp': None}))

    def test_first_symptom_of_what_is_cited(self) -> None:
        symptoms.record('e1', [
            symptoms_suite.symptom(20),
            symptoms_suite.symptom(1, template='0000000000000001')])
        seen = (evidence('E1', 25),
                evidence('E2', 2, template='0000000000000001'))
        self.assertEqual(99.0, self._symptom_to_incident(*seen))
        self.assertEqual(80.0,
                         self._symptom_to_incident(*seen, cited=('E1',)))
        self.assertEqual(99.0, self._symptom_to_incident(
            *seen, cited=('E1', 'E2')))

    def test_first_symptom_of_a_process(self) -> None:
        symptoms.record('e1', [symptoms_suite.symptom(
            30, template=None, sign='silence')])
        self.assertEqual(70.0, self._symptom_to_incident(
            evidence('E1', 35, template=None)))
        self.assertEqual(70.0, self._symptom_to_incident(
            evidence('E1', 35, template=None, host='cmp1')))
        for other in ({'host': 'cmp2'}, {'binary': 'nova-api'},
                      {'binary': None}):
            self.assertIsNone(self._symptom_to_incident(
                evidence('E1', 35, template=None) | other))

    def test_labels(self) -> None:
        self.report(cause='the queue is full')
        right = api.analysis_list(MINE, ME, 1)[0][0]['id']
        wrong = self.solved(issue=ODD)
        theirs = self.solved(THEIRS)
        api.rating_set(MINE, ME, right, 'right')
        api.rating_set(MINE, ME, wrong, 'wrong', 'disk', ODD, 'full disk')
        api.rating_set(THEIRS, ME, theirs, 'wrong')
        found = figures.labels()
        for row in found:
            self.assertTrue(row.pop('rated_at').endswith('+00:00'))
        said = {'verdict': 'cause_found', 'component': 'rabbitmq',
                'category': 'messaging', 'confidence': 0.75}
        self.assertEqual([
            {'analysis_id': right, 'project_id': MINE, 'issue': 'broken',
             **said, 'rating': 'right', 'cause': 'the queue is full',
             'true_component': 'rabbitmq', 'comment': None},
            {'analysis_id': wrong, 'project_id': MINE, 'issue': ODD,
             **said, 'rating': 'wrong', 'cause': 'full disk',
             'true_component': 'disk', 'comment': ODD},
            {'analysis_id': theirs, 'project_id': THEIRS, 'issue': 'broken',
             **said, 'rating': 'wrong', 'cause': None,
             'true_component': None, 'comment': None}], found)
        self.assertEqual([theirs], [
            r['analysis_id'] for r in figures.labels(project_id=THEIRS)])
