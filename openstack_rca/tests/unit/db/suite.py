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
"""The tests of the database, for any database.

They run on SQLite in the unit tests, and on real servers in the functional
ones.
"""

from collections.abc import Callable
import concurrent.futures
import datetime
import json
import pathlib
import threading
from typing import Any
from unittest import mock
import uuid

from oslo_db import exception as db_exc
import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import clock
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import migration
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.tests import base

MINE = 'project-1'
THEIRS = 'project-2'
ME = 'user-1'
YOU = 'user-2'
MANY = 1000
NOBODY = str(uuid.UUID(int=0))

#: Four bytes in UTF-8, a quotation mark, a backslash and a line end.
ODD = 'gr\u00fc\u00df \U0001f600 "\\ \'%s\n'

REPORT: dict[str, Any] = {
    'version': 1, 'id': 'local', 'status': 'complete', 'error': None,
    'verdict': 'cause_found', 'category': 'messaging', 'severity': 'high',
    'confidence': 0.75, 'summary': 'RabbitMQ ' + ODD,
    'hypotheses': [{'rank': 1, 'component': 'rabbitmq', 'host': 'ctl1'}]}


#: An SQLite file that has our tables and no row: most tests take less time
#: than to make the tables.
_TABLES: list[bytes] = []


class DatabaseTestCase(base.TestCase):
    """A test with an empty database that has our tables."""

    def url(self) -> str:
        """Where an empty database is, made for this test."""
        return f'sqlite:///{self.tmp}/rca.sqlite'

    def setUp(self) -> None:
        super().setUp()
        session.dispose()
        self.addCleanup(session.dispose)
        url = self.url()
        self.config('database', connection=url)
        file = (pathlib.Path(url.removeprefix('sqlite:///'))
                if url.startswith('sqlite:') else None)
        if file and _TABLES:
            file.write_bytes(_TABLES[0])
            return
        migration.sync()
        if file:
            # All of it is in the one file then.
            session.dispose()
            _TABLES.append(file.read_bytes())

    def ask(self, project: str = MINE, **request: Any) -> str:
        """Write an analysis.

        :returns: its id
        """
        asked = {'issue': 'broken', 'mode': 'fast', 'incident': False}
        return str(api.analysis_create(
            project, ME, asked | request, MANY)['id'])

    def query(self, project: str = MINE, kind: str = 'events',
              **request: Any) -> str:
        """Write a query.

        :returns: its id
        """
        return str(api.query_create(project, ME, kind, request, MANY)['id'])

    def claim(self, holder: str = 'e1', lease: int = 60, most: int = 1,
              attempts: int = 3) -> list[jobs.Claim]:
        """Take jobs."""
        return jobs.claim(holder, lease, most, attempts)

    def take(self, job_id: str) -> jobs.Claim:
        """Take the one job that there is."""
        item, = self.claim(most=MANY)
        self.assertEqual(job_id, item.id)
        return item

    def solved(self, project: str = MINE, **request: Any) -> str:
        """Write an analysis that is complete.

        :returns: its id
        """
        found = self.ask(project, **request)
        self.assertTrue(jobs.complete(self.take(found), json.dumps(REPORT)))
        return found

    def incident(self, project: str = MINE) -> str:
        """Open an incident.

        :returns: its id
        """
        return str(api.analysis_get(project, self.solved(
            project, incident=True))['incident_id'])

    def change(self, table: sa.Table, row_id: str | None = None,
               **values: Any) -> None:
        """Change rows behind everybody's back."""
        statement = table.update().values(**values)
        if row_id is not None:
            statement = statement.where(table.c.id == row_id)
        with session.writer() as connection:
            connection.execute(statement)

    def row(self, table: sa.Table, row_id: str) -> dict[str, Any]:
        """A row as it is stored."""
        with session.reader() as connection:
            return dict(connection.execute(sa.select(table).where(
                table.c.id == row_id)).mappings().one())

    def count(self, table: sa.Table) -> int:
        """How many rows a table has."""
        with session.reader() as connection:
            return connection.execute(sa.select(
                sa.func.count()).select_from(table)).scalar_one()

    def run_together(self, *functions: Callable[[], Any]) -> list[Any]:
        """Call functions in threads that begin at the same moment.

        :returns: what each returned, or the exception that it raised
        """
        gate = threading.Barrier(len(functions))

        def run(function: Callable[[], Any]) -> Any:
            gate.wait()
            return function()

        with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
            told = [pool.submit(run, f) for f in functions]
            return [t.exception() or t.result() for t in told]


class AnalysisSuite(DatabaseTestCase):
    """Analyses and their ratings."""

    def test_document_of_a_new_one(self) -> None:
        request = {
            'issue': ODD, 'since': '2026-11-20T01:00:00+01:00',
            'until': None, 'request_ids': ['req-1'], 'servers': ['web'],
            'services': ['nova'], 'mode': 'fast', 'incident': False}
        made = api.analysis_create(MINE, ME, request, MANY)
        created = datetime.datetime.fromisoformat(made['created_at'])
        self.assertEqual(datetime.timedelta(0), created.utcoffset())
        self.assertEqual(str(uuid.UUID(made['id'])), made['id'])
        self.assertEqual({
            'version': 1, 'id': made['id'], 'status': 'queued',
            'verdict': None, 'error': None, 'project_id': MINE,
            'incident_id': None, 'created_at': made['created_at'],
            'started_at': None, 'finished_at': None, 'issue': ODD,
            'mode': 'fast', 'scope': {
                'since': '2026-11-20T01:00:00+01:00', 'until': None,
                'request_ids': ['req-1'], 'resources': ['web'],
                'services': ['nova']},
            'attempts': 0, 'queue_position': 0}, made)
        self.assertEqual(made, api.analysis_get(MINE, made['id']))

    def test_position_in_the_queue(self) -> None:
        made = [self.ask(), self.query(), self.ask(THEIRS), self.ask()]
        self.assertEqual(
            3, api.analysis_get(MINE, made[3])['queue_position'])
        self.claim()
        self.assertIsNone(api.analysis_get(MINE, made[0])['queue_position'])
        self.assertEqual(
            2, api.analysis_get(MINE, made[3])['queue_position'])

    def test_position_at_one_moment(self) -> None:
        made = sorted(self.ask() for _ in range(4))
        self.change(models.JOBS, created_at=rows.utcnow())
        self.assertEqual([0, 1, 2, 3], [
            api.analysis_get(MINE, i)['queue_position'] for i in made])
        self.assertEqual(made, [c.id for c in self.claim(most=4)])

    def test_running(self) -> None:
        found = self.ask()
        self.claim()
        shown = api.analysis_get(MINE, found)
        self.assertEqual(('running', 1, None), (
            shown['status'], shown['attempts'], shown['queue_position']))
        self.assertIsNotNone(shown['started_at'])
        self.assertIsNone(shown['finished_at'])

    def test_complete(self) -> None:
        found = self.solved()
        shown = api.analysis_get(MINE, found)
        self.assertIsNotNone(shown.pop('created_at'))
        self.assertIsNotNone(shown.pop('finished_at'))
        self.assertEqual(REPORT | {
            'id': found, 'project_id': MINE, 'incident_id': None}, shown)
        summary, = api.analysis_list(MINE, ME, 10)[0]
        for name in ('created_at', 'started_at', 'finished_at'):
            self.assertIsNotNone(summary.pop(name))
        self.assertEqual({
            'id': found, 'project_id': MINE, 'user_id': ME,
            'status': 'complete', 'verdict': 'cause_found',
            'issue': 'broken', 'mode': 'fast', 'category': 'messaging',
            'component': 'rabbitmq', 'severity': 'high', 'confidence': 0.75,
            'summary': REPORT['summary'], 'incident_id': None,
            'rating': None, 'error': None}, summary)

    def test_report_without_hypotheses(self) -> None:
        found = self.ask(incident=True, issue='')
        jobs.complete(self.take(found), json.dumps({
            'verdict': 'nothing_abnormal', 'hypotheses': [],
            'category': None, 'severity': None, 'confidence': None,
            'summary': None}))
        self.assertEqual('nothing_abnormal',
                         api.analysis_get(MINE, found)['verdict'])
        made, = incidents.incident_list(MINE, 10)[0]
        self.assertEqual('Analysis ' + found, made['title'])

    def test_report_of_a_mebibyte(self) -> None:
        # ASCII in the column, as workers write it.
        text = '\U0001f600' * (1 << 17)
        found = self.ask()
        report = json.dumps(REPORT | {'patterns': text})
        self.assertLess(1 << 20, len(report))
        self.assertTrue(jobs.complete(self.take(found), report))
        self.assertEqual(text, api.analysis_get(MINE, found)['patterns'])

    def test_long_summary_is_cut(self) -> None:
        found = self.ask(incident=True, issue='\U0001f600 ' * 5000)
        jobs.complete(self.take(found), json.dumps(
            REPORT | {'summary': '\U0001f600' * 9000}))
        summary, = api.analysis_list(MINE, ME, 10)[0]
        self.assertEqual('\U0001f600' * 3999 + '\u2026', summary['summary'])
        made, = incidents.incident_list(MINE, 10)[0]
        self.assertEqual(summary['summary'], made['summary'])
        self.assertEqual(255, len(made['title']))
        self.assertEqual(summary['issue'], '\U0001f600 ' * 5000)

    def test_what_no_column_takes_is_replaced(self) -> None:
        # What a report quotes comes from logs.
        found = self.ask(incident=True, issue='')
        hostile = 'NUL \0 and half \ud800'
        jobs.complete(self.take(found), json.dumps(REPORT | {
            'summary': hostile, 'hypotheses': [
                {'component': 'other', 'host': hostile}]}))
        self.assertEqual(hostile, api.analysis_get(MINE, found)['summary'])
        summary, = api.analysis_list(MINE, ME, 10)[0]
        self.assertEqual('NUL \ufffd and half \ufffd', summary['summary'])
        made, = incidents.incident_list(MINE, 10)[0]
        self.assertEqual('NUL \ufffd and half \ufffd', made['title'])
        self.assertEqual('NUL \ufffd and half \ufffd', made['host'])

    def test_failed(self) -> None:
        found = self.ask()
        self.assertTrue(jobs.fail(self.take(found), 'No ' + ODD, 404))
        error = {'code': 404, 'title': 'Not Found', 'message': 'No ' + ODD}
        shown = api.analysis_get(MINE, found)
        self.assertEqual(('failed', error, 1), (
            shown['status'], shown['error'], shown['attempts']))
        self.assertIsNotNone(shown['finished_at'])
        summary, = api.analysis_list(MINE, ME, 10)[0]
        self.assertEqual(error, summary['error'])

    def test_others_see_nothing(self) -> None:
        found = self.solved()
        self.assertEqual(([], False), api.analysis_list(THEIRS, ME, 10))
        for project, row_id in ((THEIRS, found), (MINE, NOBODY),
                                (MINE.upper(), found),
                                (MINE, found.upper().replace('-', ''))):
            for call in (
                    lambda p, i: api.analysis_get(p, i),
                    lambda p, i: api.analysis_delete(p, i),
                    lambda p, i: api.rating_set(p, ME, i, 'right')):
                error = self.assertRaises(
                    exception.NotFound, call, project, row_id)
                self.assertIn(row_id, str(error))
            self.assertRaises(exception.MarkerNotFound, api.analysis_list,
                              project, ME, 10, marker=row_id)
        self.assertEqual(1, self.count(models.ANALYSES))
        self.assertEqual(0, self.count(models.RATINGS))

    def test_most_unfinished(self) -> None:
        for create in (
                lambda p, most: api.analysis_create(p, ME, {}, most),
                lambda p, most: api.query_create(p, ME, 'trace', {}, most)):
            self.assertRaises(exception.TooManyJobs, create, MINE, 0)
        self.ask()
        self.query()
        self.claim()
        self.assertRaises(exception.TooManyJobs, api.analysis_create, MINE,
                          ME, {}, 2)
        error = self.assertRaises(exception.TooManyJobs, api.query_create,
                                  MINE, ME, 'trace', {}, 2)
        self.assertIn('2', str(error))
        self.assertEqual(2, self.count(models.JOBS))
        self.assertEqual(1, self.count(models.ANALYSES))
        api.analysis_create(THEIRS, ME, {}, 2)
        for item in self.claim(most=9):
            jobs.fail(item, 'no')
        api.analysis_create(MINE, ME, {}, 2)

    def test_pages(self) -> None:
        made = [self.ask() for _ in range(7)]
        self.ask(THEIRS)
        # Three of them came at the same moment.
        moment = rows.utcnow()
        for number, row_id in enumerate(made):
            self.change(models.ANALYSES, row_id,
                        created_at=moment + datetime.timedelta(
                            microseconds=min(max(number, 2), 4)))
        wanted = [r['id'] for r in sorted(
            api.analysis_list(MINE, ME, 100)[0],
            key=lambda r: (r['created_at'], r['id']), reverse=True)]
        self.assertEqual(set(made), set(wanted))
        for limit in (1, 2, 3, 7, 8):
            seen: list[str] = []
            more = True
            while more:
                page, more = api.analysis_list(
                    MINE, ME, limit, marker=seen[-1] if seen else None)
                self.assertLessEqual(len(page), limit)
                seen += [r['id'] for r in page]
            self.assertEqual(wanted, seen)

    def test_page_behind_the_last(self) -> None:
        found = self.ask()
        self.assertEqual(([], False), api.analysis_list(
            MINE, ME, 10, marker=found))

    def test_filters(self) -> None:
        done = self.solved()
        waiting = self.ask()
        for told, wanted in (
                ({'status': 'complete'}, [done]),
                ({'status': 'queued'}, [waiting]),
                ({'status': 'failed'}, []),
                ({'verdict': 'cause_found'}, [done]),
                ({'verdict': 'cause_found', 'status': 'queued'}, []),
                ({'status': 'complete', 'marker': waiting}, [done])):
            found, more = api.analysis_list(MINE, ME, 10, **told)
            self.assertEqual(wanted, [r['id'] for r in found], str(told))
            self.assertFalse(more)

    def test_delete(self) -> None:
        found = self.incident()
        analysis = str(incidents.incident_get(MINE, found)['analysis_id'])
        api.rating_set(MINE, ME, analysis, 'right')
        api.analysis_delete(MINE, analysis)
        self.assertRaises(exception.NotFound, api.analysis_delete, MINE,
                          analysis)
        for table in (models.ANALYSES, models.JOBS, models.RATINGS):
            self.assertEqual(0, self.count(table))
        self.assertIsNone(incidents.incident_get(MINE, found)['analysis_id'])

    def test_delete_while_it_is_worked_on(self) -> None:
        item = self.take(self.ask(incident=True))
        api.analysis_delete(MINE, item.id)
        self.assertEqual([item], jobs.renew([item], 60))
        self.assertFalse(jobs.complete(item, json.dumps(REPORT)))
        self.assertFalse(jobs.fail(item, 'no'))
        self.assertFalse(jobs.release(item, None))
        for table in (models.ANALYSES, models.JOBS, models.INCIDENTS):
            self.assertEqual(0, self.count(table))

    def test_rating(self) -> None:
        found = self.solved()
        first = api.rating_set(MINE, ME, found, 'wrong', 'nova-api', ODD)
        self.assertEqual({
            'analysis_id': found, 'user_id': ME, 'rating': 'wrong',
            'cause': None,
            'component': 'nova-api', 'comment': ODD,
            'created_at': first['created_at'],
            'updated_at': first['created_at']}, first)
        api.rating_set(MINE, YOU, found, 'right')
        second = api.rating_set(MINE, ME, found, 'partly')
        self.assertEqual(
            ('partly', None, None, first['created_at']),
            (second['rating'], second['component'], second['comment'],
             second['created_at']))
        self.assertGreater(second['updated_at'], second['created_at'])
        self.assertEqual(2, self.count(models.RATINGS))
        for user, rating in ((ME, 'partly'), (YOU, 'right'),
                             ('other', None), (ME.upper(), None)):
            listed, = api.analysis_list(MINE, user, 10)[0]
            self.assertEqual(rating, listed['rating'], user)

    def test_rating_of_what_is_not_complete(self) -> None:
        found = self.ask()
        error = self.assertRaises(exception.Conflict, api.rating_set, MINE,
                                  ME, found, 'right')
        self.assertIn('queued', str(error))
        item = self.take(found)
        self.assertRaises(exception.Conflict, api.rating_set, MINE, ME,
                          found, 'right')
        jobs.fail(item, 'no')
        self.assertRaises(exception.Conflict, api.rating_set, MINE, ME,
                          found, 'right')

    def test_first_ratings_at_the_same_time(self) -> None:
        for _ in range(5):
            found = self.solved()
            told = self.run_together(*[
                lambda r=r: api.rating_set(
                    MINE, ME, found, r)  # noqa: B023
                for r in ('right', 'wrong', 'partly', 'right')])
            self.assertEqual([found] * 4, [
                t['analysis_id'] for t in told])
        self.assertEqual(5, self.count(models.RATINGS))


class QuerySuite(DatabaseTestCase):
    """Queries."""

    def test_life(self) -> None:
        made = api.query_create(MINE, ME, 'events', {'words': [ODD]}, MANY)
        self.assertEqual({
            'id': made['id'], 'kind': 'events', 'status': 'queued',
            'project_id': MINE, 'user_id': ME, 'request': {'words': [ODD]},
            'result': None, 'error': None, 'created_at': made['created_at'],
            'started_at': None, 'finished_at': None}, made)
        self.assertEqual(made, api.query_get(MINE, made['id']))
        item = self.take(made['id'])
        self.assertEqual({'words': [ODD]}, item.request)
        self.assertEqual('running',
                         api.query_get(MINE, made['id'])['status'])
        self.assertTrue(jobs.complete(item, json.dumps({'events': [ODD]})))
        shown = api.query_get(MINE, made['id'])
        self.assertEqual(('complete', {'events': [ODD]}),
                         (shown['status'], shown['result']))
        self.assertIsNotNone(shown['started_at'])
        self.assertIsNotNone(shown['finished_at'])
        listed, = api.query_list(MINE, 10)[0]
        self.assertNotIn('result', listed)
        del shown['result']
        self.assertEqual(shown, listed)

    def test_result_of_two_mebibytes(self) -> None:
        item = self.take(self.query())
        result = json.dumps({'events': ['x' * ((2 << 20) - 100)]})
        self.assertTrue(jobs.complete(item, result))
        self.assertEqual(json.loads(result),
                         api.query_get(MINE, item.id)['result'])

    def test_an_analysis_is_none(self) -> None:
        analysis, found = self.ask(), self.query()
        self.assertRaises(exception.NotFound, api.query_get, MINE, analysis)
        self.assertRaises(exception.NotFound, api.analysis_get, MINE, found)
        self.assertEqual([found], [
            r['id'] for r in api.query_list(MINE, 10)[0]])

    def test_others_see_nothing(self) -> None:
        found = self.query()
        self.assertEqual(([], False), api.query_list(THEIRS, 10))
        for project, row_id in ((THEIRS, found), (MINE, NOBODY)):
            self.assertRaises(exception.NotFound, api.query_get, project,
                              row_id)
            self.assertRaises(exception.MarkerNotFound, api.query_list,
                              project, 10, marker=row_id)

    def test_filters_and_pages(self) -> None:
        events, way = self.query(), self.query(kind='trace')
        jobs.fail(self.claim()[0], 'no')
        for told, wanted in (
                ({'kind': 'events'}, [events]), ({'kind': 'trace'}, [way]),
                ({'status': 'failed'}, [events]),
                ({'status': 'queued'}, [way]),
                ({'status': 'queued', 'kind': 'events'}, []),
                ({'marker': way}, [events]), ({'marker': events}, [])):
            found, _ = api.query_list(MINE, 10, **told)
            self.assertEqual(wanted, [r['id'] for r in found], str(told))
        found, more = api.query_list(MINE, 1)
        self.assertEqual(([way], True), ([r['id'] for r in found], more))

    def test_reason_of_a_new_attempt_is_no_error_yet(self) -> None:
        found = self.query()
        jobs.release(self.take(found), 'The process died.')
        for shown in (api.query_get(MINE, found),
                      api.query_list(MINE, 10)[0][0]):
            self.assertEqual(('queued', None),
                             (shown['status'], shown['error']))


class IncidentSuite(DatabaseTestCase):
    """Incidents."""

    def test_opened_with_an_analysis(self) -> None:
        found = self.incident()
        shown = incidents.incident_get(MINE, found)
        analysis = shown['analysis_id']
        self.assertEqual(found,
                         api.analysis_get(MINE, analysis)['incident_id'])
        self.assertEqual(found, api.analysis_list(
            MINE, ME, 10)[0][0]['incident_id'])
        self.assertEqual({
            'id': found, 'project_id': MINE, 'status': 'open',
            'title': 'broken', 'summary': REPORT['summary'],
            'component': 'rabbitmq', 'category': 'messaging',
            'host': 'ctl1', 'severity': 'high', 'confidence': 0.75,
            'analysis_id': analysis, 'created_at': shown['created_at'],
            'updated_at': shown['created_at'], 'acknowledged_at': None,
            'acknowledged_by': None, 'resolved_at': None,
            'resolved_by': None, 'resolution': None, 'origin': 'analysis',
            'first_seen': None, 'last_seen': None, 'symptoms': 0,
            'reopened': 0, 'merged_into': None, 'suppressed_until': None,
            'suppressed_by': None}, shown)
        self.assertTrue(shown['created_at'].endswith('+00:00'))

    def test_others_see_nothing(self) -> None:
        found = self.incident()
        self.assertEqual(([], False), incidents.incident_list(THEIRS, 10))
        for project, row_id in ((THEIRS, found), (MINE, NOBODY)):
            self.assertRaises(exception.NotFound, incidents.incident_get,
                              project, row_id)
            self.assertRaises(exception.NotFound, incidents.incident_update,
                              project, row_id, ME, {'status': 'resolved'})
            self.assertRaises(
                exception.MarkerNotFound, incidents.incident_list, project,
                10, marker=row_id)
        self.assertEqual('open', incidents.incident_get(MINE, found)['status'])

    def test_filter_and_pages(self) -> None:
        made = [self.incident() for _ in range(3)]
        incidents.incident_update(MINE, made[1], ME, {'status': 'resolved'})
        for told, wanted in (
                ({}, made[::-1]), ({'status': 'resolved'}, [made[1]]),
                ({'status': 'open'}, [made[2], made[0]]),
                ({'status': 'acknowledged'}, []),
                ({'status': 'suppressed'}, []),
                ({'marker': made[1]}, [made[0]])):
            found, _ = incidents.incident_list(MINE, 10, **told)
            self.assertEqual(wanted, [r['id'] for r in found], str(told))
        self.assertTrue(incidents.incident_list(MINE, 2)[1])

    def test_parts_are_left_out(self) -> None:
        made = [self.incident() for _ in range(2)]
        incidents.incident_update(MINE, made[0], ME, {'status': 'resolved'})
        self.change(models.INCIDENTS, made[0], merged_into=made[1])
        for told, wanted in (({}, [made[1]]),
                             ({'status': 'resolved'}, [made[0]])):
            found, _ = incidents.incident_list(MINE, 10, **told)
            self.assertEqual(wanted, [r['id'] for r in found], str(told))
        self.assertEqual(made[1], incidents.incident_get(
            MINE, made[0])['merged_into'])
        opened = incidents.incident_update(MINE, made[0], ME,
                                           {'status': 'open'})
        self.assertIsNone(opened['merged_into'])

    def _in(self, status: str) -> str:
        found = self.incident()
        self.change(models.INCIDENTS, found, origin='engine')
        if status != 'open':
            incidents.incident_update(MINE, found, YOU, {
                'status': status} | (
                    {'resolution': 'was'} if status == 'resolved' else {}))
        return found

    def test_every_step(self) -> None:
        legal = {('open', 'acknowledged'), ('open', 'resolved'),
                 ('acknowledged', 'open'), ('acknowledged', 'resolved'),
                 ('resolved', 'open'), ('suppressed', 'open'),
                 ('suppressed', 'resolved')}
        states = ('open', 'acknowledged', 'resolved', 'suppressed')
        legal |= {(state, 'suppressed') for state in states[:3]}
        for before in states:
            for after in states:
                found = self._in(before)
                old = incidents.incident_get(MINE, found)
                if before == after:
                    self.assertEqual(old, incidents.incident_update(
                        MINE, found, ME, {'status': after}))
                elif (before, after) not in legal:
                    error = self.assertRaises(
                        exception.Conflict, incidents.incident_update, MINE,
                        found, ME, {'status': after})
                    self.assertIn(f'is {before}', str(error))
                    self.assertIn(after, str(error))
                    self.assertEqual(old, incidents.incident_get(MINE, found))
                else:
                    new = incidents.incident_update(MINE, found, ME,
                                              {'status': after})
                    self.assertEqual(after, new['status'])
                    self.assertGreater(new['updated_at'], old['updated_at'])
                    self.assertEqual(new, incidents.incident_get(MINE, found))

    def test_acknowledge_and_resolve(self) -> None:
        found = self.incident()
        new = incidents.incident_update(MINE, found, ME,
                                  {'status': 'acknowledged'})
        self.assertEqual((ME, new['updated_at'], None), (
            new['acknowledged_by'], new['acknowledged_at'],
            new['resolved_at']))
        done = incidents.incident_update(MINE, found, YOU, {
            'status': 'resolved', 'resolution': ODD * 500})
        self.assertEqual(
            (YOU, done['updated_at'], ODD * 500, ME, new['updated_at']),
            (done['resolved_by'], done['resolved_at'], done['resolution'],
             done['acknowledged_by'], done['acknowledged_at']))

    def test_open_again(self) -> None:
        for status in ('acknowledged', 'resolved', 'suppressed'):
            found = self._in(status)
            new = incidents.incident_update(MINE, found, ME,
                                            {'status': 'open'})
            for name in ('acknowledged_at', 'acknowledged_by',
                         'resolved_at', 'resolved_by', 'resolution',
                         'suppressed_by', 'suppressed_until'):
                self.assertIsNone(new[name], name)

    def test_suppress(self) -> None:
        until = '2998-11-21T03:00:00.500000+00:00'
        for before in ('open', 'acknowledged', 'resolved'):
            found = self._in(before)
            new = incidents.incident_update(MINE, found, ME, {
                'status': 'suppressed', 'suppressed_until': until,
                'resolution': 'we know'})
            self.assertEqual(('suppressed', ME, until, 'we know'), (
                new['status'], new['suppressed_by'],
                new['suppressed_until'], new['resolution']))
            # The same once more changes nothing.
            self.assertEqual(new, incidents.incident_update(
                MINE, found, YOU, {'suppressed_until': until}))
            longer = incidents.incident_update(
                MINE, found, YOU, {'suppressed_until': None})
            self.assertEqual(('suppressed', ME, None, 'we know'), (
                longer['status'], longer['suppressed_by'],
                longer['suppressed_until'], longer['resolution']))
            # Why it was suppressed is not how it was solved.
            done = incidents.incident_update(MINE, found, YOU,
                                             {'status': 'resolved'})
            self.assertEqual(('resolved', YOU, None, None, None), (
                done['status'], done['resolved_by'], done['resolution'],
                done['suppressed_by'], done['suppressed_until']))

    def test_suppressed_until_without_being_so(self) -> None:
        for status in ('open', 'acknowledged', 'resolved'):
            found = self._in(status)
            self.assertRaises(
                exception.Conflict, incidents.incident_update, MINE, found,
                ME, {'suppressed_until': '2998-11-21T03:00:00+00:00'})
            self.assertRaises(
                exception.Conflict, incidents.incident_update, MINE,
                self._in('suppressed'), ME, {
                    'status': 'open',
                    'suppressed_until': '2998-11-21T03:00:00+00:00'})

    def test_nothing_to_suppress(self) -> None:
        error = self.assertRaises(
            exception.Conflict, incidents.incident_update, MINE,
            self.incident(), ME, {'status': 'suppressed'})
        self.assertIn('no engine adds symptoms', str(error))
        found, other = self._in('resolved'), self._in('open')
        self.change(models.INCIDENTS, found, merged_into=other)
        error = self.assertRaises(
            exception.Conflict, incidents.incident_update, MINE, found, ME,
            {'status': 'suppressed'})
        self.assertIn(other, str(error))

    def test_what_others_are_told(self) -> None:
        found = self._in('open')
        for status in ('acknowledged', 'suppressed', 'resolved', 'open'):
            incidents.incident_update(MINE, found, ME, {'status': status})
        # Nothing changes: nothing is told.
        incidents.incident_update(MINE, found, ME, {'status': 'open'})
        table = models.OUTBOX
        with session.reader() as connection:
            told = connection.execute(sa.select(table.c.event_type).where(
                table.c.subject == found).order_by(
                    table.c.number)).scalars().all()
        self.assertEqual([
            'rca.incident.create', 'rca.incident.update',
            'rca.incident.update', 'rca.incident.resolve',
            'rca.incident.update'], told)

    def test_resolution(self) -> None:
        for status in ('open', 'acknowledged'):
            found = self._in(status)
            for values in ({'resolution': 'x'},
                           {'status': status, 'resolution': 'x'}):
                self.assertRaises(
                    exception.Conflict, incidents.incident_update, MINE,
                    found, ME, values)
            self.assertIsNone(incidents.incident_update(
                MINE, found, ME, {'resolution': None})['resolution'])
        found = self._in('resolved')
        before = incidents.incident_get(MINE, found)
        self.assertRaises(
            exception.Conflict, incidents.incident_update, MINE, found, ME,
            {'status': 'open', 'resolution': 'x'})
        for value in ('better', None):
            new = incidents.incident_update(MINE, found, ME,
                                      {'resolution': value})
            self.assertEqual(
                (value, 'resolved', before['resolved_at'], YOU),
                (new['resolution'], new['status'], new['resolved_at'],
                 new['resolved_by']))
        again = incidents.incident_update(MINE, found, ME, {
            'status': 'resolved', 'resolution': 'once more'})
        self.assertEqual(('once more', YOU),
                         (again['resolution'], again['resolved_by']))

    def test_two_at_the_same_time(self) -> None:
        found = self.incident()
        told = self.run_together(*[
            lambda u=u, s=s: incidents.incident_update(
                MINE, found, u, {'status': s})
            for u in (ME, YOU) for s in ('acknowledged', 'resolved')])
        for one in told:
            if isinstance(one, BaseException):
                self.assertIsInstance(one, exception.Conflict)
        last = incidents.incident_get(MINE, found)
        self.assertIn(last['status'], ('acknowledged', 'resolved'))
        self.assertIn(last, told)


class JobSuite(DatabaseTestCase):
    """What engines do with jobs."""

    def later(self, seconds: int = 120) -> None:
        """Let all leases be older, by the clock of the database."""
        self.change(models.JOBS, lease_until=clock.now(-seconds))

    def test_claim(self) -> None:
        found = self.ask(issue=ODD)
        item = self.take(found)
        self.assertEqual(
            (found, 'analysis', MINE, 'e1', 1, ODD),
            (item.id, item.kind, item.project_id, item.holder, item.attempt,
             item.request['issue']))
        self.assertEqual([], self.claim(most=9))

    def test_the_oldest_first_and_no_more_than_asked(self) -> None:
        made = [self.ask(), self.query(), self.ask(THEIRS), self.query()]
        self.assertEqual(made[:3], [c.id for c in self.claim(most=3)])
        self.assertEqual(made[3:], [c.id for c in self.claim(most=3)])

    def test_lease_runs_out_by_the_clock_of_the_database(self) -> None:
        found = self.ask()
        first, = self.claim('e1')
        self.assertEqual([], self.claim('e2'))
        # A clock that is wrong on the host of an engine changes nothing.
        with mock.patch.object(rows, 'utcnow', autospec=True, return_value=(
                rows.utcnow() + datetime.timedelta(days=1))):
            self.assertEqual([], self.claim('e2'))
        self.later()
        second, = self.claim('e2')
        self.assertEqual((found, 'e2', 2),
                         (second.id, second.holder, second.attempt))
        self.assertEqual([], self.claim('e3'))
        self.assertEqual('running', api.analysis_get(MINE, found)['status'])

    def test_lease_in_the_past(self) -> None:
        self.ask()
        first, = self.claim('e1', lease=-5)
        second, = self.claim('e2', lease=-5)
        self.assertEqual((1, 2), (first.attempt, second.attempt))

    def test_own_work_is_not_taken_again(self) -> None:
        found = self.ask()
        item = self.take(found)
        # As after a while without the database, in its last attempt.
        self.later()
        self.assertEqual([], jobs.claim('e1', 60, 9, 1, (found,)))
        self.assertEqual('running', api.analysis_get(MINE, found)['status'])
        self.assertTrue(jobs.release(item, None))
        self.assertEqual([], jobs.claim('e1', 60, 9, 3, (found,)))
        again, = jobs.claim('e1', 60, 9, 3)
        self.assertEqual((found, 2), (again.id, again.attempt))

    def test_lease_is_as_long_as_asked(self) -> None:
        item = self.take(self.ask())
        for seconds in (7, 600):
            jobs.renew([item], seconds)
            table = models.JOBS
            with session.reader() as connection:
                for other, more in ((seconds - 5, True),
                                    (seconds + 5, False)):
                    self.assertEqual(more, bool(connection.execute(
                        sa.select(table.c.lease_until > clock.now(other))
                    ).scalar()))

    def test_renew(self) -> None:
        self.ask()
        self.ask()
        both = self.claim(most=2)
        self.later()
        self.assertEqual([], jobs.renew(both, 60))
        self.assertEqual([], self.claim('e2'))
        self.later()
        taken, = self.claim('e2')
        lost, = jobs.renew(both, 60)
        self.assertEqual(taken.id, lost.id)
        self.assertEqual([], jobs.renew([taken], 60))
        self.assertEqual([], jobs.renew([], 60))

    def test_what_comes_late_changes_nothing(self) -> None:
        for kind in ('analysis', 'events'):
            found = self.ask(incident=True) if kind == 'analysis' \
                else self.query()
            late, = self.claim('e1')
            self.later()
            item, = self.claim('e2')
            before = self.row(models.JOBS, found)
            self.assertFalse(jobs.complete(late, json.dumps(REPORT)))
            self.assertFalse(jobs.fail(late, 'no'))
            self.assertFalse(jobs.release(late, 'no'))
            self.assertFalse(jobs.release(late, None, False))
            self.assertEqual([late], jobs.renew([late], 999))
            self.assertEqual(before, self.row(models.JOBS, found))
            self.assertTrue(jobs.complete(item, json.dumps(REPORT)))
            done = self.row(models.JOBS, found)
            self.assertFalse(jobs.complete(item, json.dumps(REPORT)))
            self.assertFalse(jobs.fail(item, 'no'))
            self.assertEqual(done, self.row(models.JOBS, found))
        self.assertEqual(1, self.count(models.INCIDENTS))

    def test_the_same_holder_again_is_another_one(self) -> None:
        self.ask()
        late, = self.claim('e1')
        self.later()
        self.claim('e1')
        self.assertFalse(jobs.complete(late, json.dumps(REPORT)))

    def test_given_up(self) -> None:
        for ask in (self.query, self.ask):
            found = ask()
            for attempt in range(3):
                item, = self.claim()
                self.assertEqual(attempt + 1, item.attempt)
                self.assertTrue(jobs.release(item, f'It died {attempt}.'))
            self.assertEqual([], self.claim())
            told = self.row(models.JOBS, found)
            self.assertEqual('failed', told['state'])
            error = rows.error(told['error'])
            assert error is not None
            self.assertEqual(500, error['code'])
            self.assertIn('3 attempts', error['message'])
            self.assertIn('It died 2.', error['message'])
        shown = api.analysis_list(MINE, ME, 10)[0][0]
        self.assertEqual(('failed', True), (
            shown['status'], 'It died 2.' in shown['error']['message']))

    def test_given_up_when_engines_vanish(self) -> None:
        found = self.ask()
        for _ in range(2):
            self.assertEqual(1, len(self.claim(attempts=2)))
            self.later()
        # It does not take the place of another one.
        other = self.ask()
        self.assertEqual([other], [c.id for c in self.claim(attempts=2)])
        shown = api.analysis_get(MINE, found)
        self.assertEqual('failed', shown['status'])
        self.assertIn('went away', shown['error']['message'])

    def test_release(self) -> None:
        found = self.ask()
        self.assertTrue(jobs.release(self.take(found), None, False))
        shown = api.analysis_get(MINE, found)
        self.assertEqual(('queued', 0, 0), (
            shown['status'], shown['attempts'], shown['queue_position']))
        item = self.take(found)
        self.assertEqual(1, item.attempt)
        self.assertTrue(jobs.release(item, 'died'))
        item = self.take(found)
        self.assertEqual(2, item.attempt)
        self.assertTrue(jobs.complete(item, json.dumps(REPORT)))
        self.assertIsNone(self.row(models.JOBS, found)['error'])
        self.assertIsNone(api.analysis_get(MINE, found)['error'])

    def test_no_job_is_taken_twice(self) -> None:
        made = [self.ask() for _ in range(30)]
        for number in range(3):
            taken: list[list[jobs.Claim]] = self.run_together(*[
                lambda n=n: self.claim(
                    f'{number}-{n}', most=3)  # noqa: B023
                for n in range(8)])
            seen = [c.id for some in taken for c in some]
            self.assertEqual(len(set(seen)), len(seen))
            held = {c.id: c for some in taken for c in some}
            for row_id, item in held.items():
                self.assertEqual(item.holder, self.row(
                    models.JOBS, row_id)['lease_holder'])
            # All leases run out at once, and all are taken over.
            self.later()
        self.assertEqual(30, len(made))

    def test_tried_by_another_one_in_between(self) -> None:
        found = self.query()
        real = session.writer
        calls: list[int] = []

        def writer() -> Any:
            calls.append(1)
            if len(calls) == 1:
                other, = self.claim('e2')
                jobs.release(other, 'It died.')
            return real()

        with mock.patch.object(session, 'writer', writer):
            # The attempt of the other one must not be lost.
            self.assertEqual([], self.claim('e1'))
        self.assertEqual(2, self.take(found).attempt)

    def test_all_are_taken(self) -> None:
        made = {self.ask() for _ in range(20)}

        def drain(holder: str) -> list[str]:
            found: list[str] = []
            while some := self.claim(holder, most=2):
                for item in some:
                    found.append(item.id)
                    assert jobs.complete(item, json.dumps(REPORT))
            return found

        told = self.run_together(*[
            lambda n=n: drain(f'e{n}') for n in range(4)])
        self.assertEqual(sorted(made), sorted(i for t in told for i in t))
        self.assertEqual({'complete'}, {
            r['status'] for r in api.analysis_list(MINE, ME, 100)[0]})

    def test_deadlock_between_two_claims(self) -> None:
        made = [self.ask(), self.ask()]
        real = session.writer
        calls = []

        def writer() -> Any:
            calls.append(1)
            if len(calls) == 2:
                raise db_exc.DBDeadlock
            return real()

        with mock.patch.object(session, 'writer', writer):
            found = self.claim(most=2)
        # The first one was taken, and must not be lost.
        self.assertEqual(made, [c.id for c in found])
        self.assertEqual([1, 1], [c.attempt for c in found])

    def test_database_away_between_two_claims(self) -> None:
        made = [self.ask(), self.ask()]
        real = session.writer
        calls = []

        def writer() -> Any:
            calls.append(1)
            if len(calls) >= 2:
                raise db_exc.DBConnectionError
            return real()

        with mock.patch.object(session, 'writer', writer):
            self.assertEqual(made[:1], [c.id for c in self.claim(most=2)])
        with mock.patch.object(session, 'writer', writer):
            self.assertRaises(exception.DatabaseUnavailable, self.claim)


class SourceSuite(DatabaseTestCase):
    """What engines tell of their sources."""

    VALUES: dict[str, Any] = {
        'status': 'ready', 'error': None, 'events': 5 << 40,
        'bytes': 7 << 40, 'files': [{'source': ODD}],
        'skipped': [{'source': 'x', 'reason': ODD, 'bytes': 1}]}

    def test_set(self) -> None:
        jobs.source_set('h1', 'control', self.VALUES)
        shown, = api.source_list()
        self.assertTrue(shown.pop('updated_at').endswith('+00:00'))
        self.assertEqual(self.VALUES | {'id': 'control', 'host': 'h1'},
                         shown)

    def test_reading_and_failed(self) -> None:
        jobs.source_reading('h1', 'control')
        shown, = api.source_list()
        self.assertEqual(('reading', None, 0, 0, [], []), tuple(
            shown[name] for name in ('status', 'error', 'events', 'bytes',
                                     'files', 'skipped')))
        jobs.source_set('h1', 'control', self.VALUES)
        jobs.source_failed('h1', 'control', ODD)
        shown, = api.source_list()
        self.assertEqual(('failed', ODD, self.VALUES['files']), (
            shown['status'], shown['error'], shown['files']))
        jobs.source_set('h1', 'control', self.VALUES)
        self.assertIsNone(api.source_list()[0]['error'])

    def test_names_are_told_apart(self) -> None:
        for host, name in (('h1', 'control'), ('h1', 'Control'),
                           ('H1', 'control'), ('h2', 'a')):
            jobs.source_reading(host, name)
            jobs.source_reading(host, name)
        self.assertEqual(4, self.count(models.SOURCES))

    def test_order(self) -> None:
        for host, name in (('h2', 'b'), ('h1', 'b'), ('h3', 'a')):
            jobs.source_reading(host, name)
        self.assertEqual([('a', 'h3'), ('b', 'h1'), ('b', 'h2')], [
            (s['id'], s['host']) for s in api.source_list()])

    def test_keep(self) -> None:
        for host, name in (('h1', 'a'), ('h1', 'b'), ('h2', 'c')):
            jobs.source_reading(host, name)
        jobs.sources_keep('h1', ['b', 'new'])
        self.assertEqual(['b', 'c'], [s['id'] for s in api.source_list()])
        jobs.sources_keep('h1', [])
        self.assertEqual(['c'], [s['id'] for s in api.source_list()])

    def test_files_of_some_megabytes(self) -> None:
        files = [{'source': f'{n:05d}' + 'x' * 700} for n in range(2000)]
        jobs.source_set('h1', 'control', self.VALUES | {'files': files})
        self.assertEqual(files, api.source_list()[0]['files'])


class PurgeSuite(DatabaseTestCase):
    """Deleting what is old."""

    def _age(self) -> None:
        old = rows.utcnow() - datetime.timedelta(days=10)
        for table, names in (
                (models.JOBS, ('created_at', 'finished_at')),
                (models.ANALYSES, ('created_at', 'finished_at')),
                (models.INCIDENTS, ('created_at', 'resolved_at')),
                (models.SOURCES, ('updated_at',))):
            for name in names:
                with session.writer() as connection:
                    connection.execute(table.update().where(
                        table.c[name].is_not(None)).values({name: old}))

    def test_old_and_new(self) -> None:
        done = self.solved()
        api.rating_set(MINE, ME, done, 'right')
        jobs.complete(self.take(self.query()), '{}')
        jobs.source_reading('h1', 'old')
        self._age()
        new = self.solved(THEIRS)
        jobs.source_reading('h1', 'new')
        self.assertEqual({'analyses': 0, 'queries': 0, 'incidents': 0,
                          'models': 0, 'symptoms': 0, 'deliveries': 0,
                          'sources': 0}, jobs.purge(11))
        self.assertEqual({'analyses': 1, 'queries': 1, 'incidents': 0,
                          'models': 0, 'symptoms': 0, 'deliveries': 0,
                          'sources': 1}, jobs.purge(9))
        self.assertEqual((1, 1, 0), tuple(map(self.count, (
            models.ANALYSES, models.JOBS, models.RATINGS))))
        self.assertEqual('complete',
                         api.analysis_get(THEIRS, new)['status'])
        self.assertEqual(['new'], [s['id'] for s in api.source_list()])

    def test_unfinished_ones_stay(self) -> None:
        self.ask()
        self.query()
        self.claim()
        self._age()
        self.assertEqual(0, sum(jobs.purge(0).values()))
        self.assertEqual(2, self.count(models.JOBS))

    def test_incidents(self) -> None:
        made = {status: self.incident() for status in (
            'open', 'acknowledged', 'resolved')}
        for status, found in made.items():
            incidents.incident_update(MINE, found, ME, {'status': status})
        analyses = {status: incidents.incident_get(MINE, found)['analysis_id']
                    for status, found in made.items()}
        self._age()
        for name in made.values():
            incidents.write(MINE, lambda book: book.name(name, ['t:1:x']))
        self.assertEqual(
            {'analyses': 1, 'queries': 0, 'incidents': 1, 'models': 0,
             'symptoms': 0, 'deliveries': 0, 'sources': 0},
            jobs.purge(1))
        self.assertEqual({made['open'], made['acknowledged']}, {
            i['id'] for i in incidents.incident_list(MINE, 10)[0]})
        for status in ('open', 'acknowledged'):
            shown = incidents.incident_get(MINE, made[status])
            self.assertEqual(analyses[status], shown['analysis_id'])
            self.assertEqual(made[status], api.analysis_get(
                MINE, analyses[status])['incident_id'])
        # Nobody is known any more by what is gone.
        self.assertEqual(
            {made['open'], made['acknowledged']}, incidents.write(
                MINE, lambda book: book.known(['t:1:x']))['t:1:x'])

    def test_incident_resolved_lately(self) -> None:
        found = self.incident()
        self._age()
        incidents.incident_update(MINE, found, ME, {'status': 'resolved'})
        self.assertEqual(1, jobs.purge(1)['analyses'])
        self.assertIsNone(incidents.incident_get(MINE, found)['analysis_id'])

    def test_in_small_transactions(self) -> None:
        for _ in range(5):
            self.solved()
        self._age()
        self.assertEqual(5, jobs.purge(1, most=2)['analyses'])
        self.assertEqual(0, self.count(models.ANALYSES))
        self.assertEqual(0, self.count(models.JOBS))

    def test_a_hundred_years(self) -> None:
        self.solved()
        self._age()
        self.assertEqual(0, sum(jobs.purge(36500).values()))


class MigrationSuite(DatabaseTestCase):
    """Making and changing the tables."""

    def test_same_as_the_models(self) -> None:
        self.assertEqual([], migration.compare())

    def test_a_difference_is_seen(self) -> None:
        with session.writer() as connection:
            connection.execute(sa.text('DROP TABLE sources'))
        self.assertNotEqual([], migration.compare())

    def test_tables(self) -> None:
        self.assertEqual({'alembic_version', *models.METADATA.tables},
                         set(migration.tables()))

    def test_again_changes_nothing(self) -> None:
        found = self.ask()
        migration.sync()
        migration.sync(migration.head())
        self.assertEqual(migration.head(), migration.version())
        self.assertEqual(found, api.analysis_get(MINE, found)['id'])

    def test_unknown_version(self) -> None:
        error = self.assertRaises(exception.InvalidInput, migration.sync,
                                  '9999')
        self.assertIn('9999', str(error))
        self.assertIn(migration.head(), str(error))

    def test_newer_database(self) -> None:
        with session.writer() as connection:
            connection.execute(sa.text(
                "UPDATE alembic_version SET version_num = '9999'"))
        self.assertEqual('9999', migration.version())
        error = self.assertRaises(exception.InvalidInput, migration.sync)
        self.assertIn('9999', str(error))
        self.assertIn('newer release', str(error))
        self.assertEqual('9999', migration.version())

    def test_older_tables(self) -> None:
        found = self.ask()
        with session.writer() as connection:
            connection.execute(sa.text(
                'ALTER TABLE analyses RENAME COLUMN verdict TO other'))
        for call in (lambda: api.analysis_list(MINE, ME, 10),
                     lambda: api.analysis_get(MINE, found)):
            error = self.assertRaises(exception.DatabaseUnavailable, call)
            self.assertIn('openstack-rca-manage db sync', str(error))

    def test_no_tables(self) -> None:
        models.METADATA.drop_all(session.engine())
        with session.writer() as connection:
            connection.execute(sa.text('DROP TABLE alembic_version'))
        error = self.assertRaises(exception.DatabaseUnavailable,
                                  api.source_list)
        self.assertIn('openstack-rca-manage db sync', str(error))
        self.assertNotIn('SELECT', str(error))
        error = self.assertRaises(
            exception.DatabaseUnavailable, api.analysis_create, MINE, ME,
            {'issue': 'secret'}, MANY)
        self.assertIn('openstack-rca-manage db sync', str(error))
        self.assertNotIn('secret', str(error))
        self.assertIsNone(migration.version())
        # It answers all the same.
        api.ping()


class LoadSuite(DatabaseTestCase):
    """Many at once."""

    def test_fifty_writers(self) -> None:
        def work(number: int) -> str:
            found = self.ask(issue=f'issue {number}')
            api.analysis_list(MINE, ME, 10)
            self.query()
            api.analysis_get(MINE, found)
            return found

        told = self.run_together(*[
            lambda n=n: work(n) for n in range(50)])
        self.assertEqual([], [
            t for t in told if isinstance(t, BaseException)])
        self.assertEqual(50, len(set(told)))
        self.assertEqual(100, self.count(models.JOBS))
        self.assertEqual(50, self.count(models.ANALYSES))
