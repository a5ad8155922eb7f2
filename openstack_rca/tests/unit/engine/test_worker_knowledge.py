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
"""Answers of a worker from what is known."""

import json
import pathlib
from typing import Any

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import knowledge
from openstack_rca.db import migration
from openstack_rca.db import session
from openstack_rca.engine import shelf
from openstack_rca.engine import state
from openstack_rca.engine import worker
from openstack_rca.tests.unit.engine import test_worker

MINE, THEIRS, ME = 'project-1', 'project-2', 'user-1'


class TestKnowledge(test_worker.TestCase):

    def setUp(self) -> None:
        super().setUp()
        session.dispose()
        self.addCleanup(session.dispose)
        self.config('database',
                    connection=f'sqlite:///{self.tmp}/rca.sqlite')
        migration.sync()
        self.config('retrieval', driver='bm25')
        self.config('sources', log_dirs={'control': str(test_worker.LOGS)})
        self.read()
        self.worker = worker.Worker(
            state.sources(), None, shelf.Shelf(
                knowledge, pathlib.Path(self.tmp / 'index')))
        self.addCleanup(self.worker.close)

    def answer(self, kind: str, project: str = MINE,
               **request: Any) -> dict[str, Any]:
        """What a job gives."""
        told: dict[str, Any] = json.loads(self.worker.answer(
            kind, request, project_id=project))
        return told

    def incident(self, project: str = MINE,
                 **more: Any) -> tuple[str, dict[str, Any]]:
        """An incident of the example.

        :returns: its id, and the document of its analysis
        """
        row = api.analysis_create(project, ME, {
            'issue': 'server web-3 went to ERROR', 'mode': 'fast',
            'incident': True}, 99)
        item, = jobs.claim('e', 60, 9, 3)
        report = self.answer('analysis', project, **item.request)
        self.assertTrue(jobs.complete(item, json.dumps(report | more)))
        whole = api.analysis_get(project, row['id'])
        return str(whole['incident_id']), whole

    def test_resolution_is_found_by_the_next_question(self) -> None:
        name, first = self.incident()
        self.assertNotIn('incident', [s['kind'] for s in first['similar']])
        incidents.incident_update(MINE, name, ME, {
            'status': 'resolved', 'resolution': 'added a compute host'})
        found = self.answer('search', question='no valid host was found',
                            kinds=['incident'])
        row, = found['found']
        self.assertEqual((name, 'added a compute host'),
                         (row['incident_id'], row['resolution']))
        self.assertIsNone(found['index']['problem'])
        again = self.incident()[1]
        past, = (s for s in again['similar'] if s['kind'] == 'incident')
        self.assertEqual('added a compute host', past['resolution'])
        self.assertGreater(past['score'], .9)
        # Another project had no such incident.
        other = self.incident(THEIRS)[1]
        self.assertNotIn('incident', [s['kind'] for s in other['similar']])
        self.assertEqual([], self.answer(
            'search', THEIRS, question='no valid host was found',
            kinds=['incident'])['found'])

    def test_filters_of_a_search(self) -> None:
        knowledge.put(MINE, ME, [
            {'kind': 'document', 'title': 'a', 'text': 'rabbit',
             'service': 'nova'},
            {'kind': 'document', 'title': 'b', 'text': 'rabbit',
             'service': 'cinder'}])
        for wanted, more in (
                ({'a', 'b'}, {}), ({'a'}, {'service': 'nova'}),
                (set(), {'until': '2020-01-01T00:00:00+00:00'}),
                ({'a', 'b'}, {'since': '2020-01-01T00:00:00+00:00'})):
            self.assertEqual(wanted, {
                row['title'] for row in self.answer(
                    'search', question='rabbit', kinds=['document'],
                    **more)['found']})

    def test_index(self) -> None:
        for action in ('status', 'verify', 'rebuild', 'clear'):
            told = self.answer('index', action=action)
            self.assertEqual('engine-1', told['host'])
            index = told['index']
            self.assertEqual(index['entries'], index['ready'])
            self.assertGreater(index['entries'], 0)

    def test_question(self) -> None:
        _name, whole = self.incident()
        asked = knowledge.message_create(
            MINE, ME, whole['id'], 'what did placement answer?', 'fast', 99)
        item, = jobs.claim('e', 60, 9, 3)
        answer = self.answer('question', **item.request)
        jobs.complete(item, json.dumps(answer))
        shown = knowledge.message_get(MINE, whole['id'], asked['id'])
        self.assertIn('Got no allocation candidates',
                      shown['answer']['text'])
        error = self.assertRaises(
            exception.NotFound, self.worker.answer, 'question', item.request,
            project_id=THEIRS)
        self.assertEqual(404, error.code)

    def test_database_is_away(self) -> None:
        self.config('database', connection=f'sqlite:///{self.tmp}/no/db')
        session.dispose()
        self.assertRaises(exception.DatabaseUnavailable,
                          self.answer, 'search', question='rabbit')
        report = self.answer('analysis', issue='server web-3 went to ERROR',
                             mode='fast')
        self.assertEqual('cause_found', report['verdict'])
