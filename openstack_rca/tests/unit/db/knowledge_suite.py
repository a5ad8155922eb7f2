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
"""The tests of knowledge and of questions to analyses, for any database."""

import json
from typing import Any
from unittest import mock

import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import knowledge
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.tests.unit.db import suite

MINE, THEIRS, ME, YOU = suite.MINE, suite.THEIRS, suite.ME, suite.YOU
ODD = suite.ODD


def document(**values: Any) -> dict[str, Any]:
    """Values of a section of a document."""
    return {'kind': 'document', 'title': 'Cells', 'text': 'Map the hosts.',
            'source': 'cells.rst', 'service': 'nova', 'tags': ['a', 'b'],
            'url': None, 'resolution': None, **values}


class KnowledgeSuite(suite.DatabaseTestCase):
    """What is known."""

    def _put(self, *values: dict[str, Any], source: str | None = None,
             project: str = MINE) -> dict[str, int]:
        return knowledge.put(project, ME, values, source)

    def _texts(self, project: str = MINE) -> set[str]:
        found, _more = knowledge.entry_list(project, 100, whole=True)
        return {row['text'] for row in found}

    def test_put_and_get(self) -> None:
        self.assertEqual({'added': 1, 'kept': 0, 'removed': 0},
                         self._put(document(text=ODD)))
        row, = knowledge.entry_list(MINE, 10)[0]
        self.assertNotIn('text', row)
        whole = knowledge.entry_get(MINE, row['id'])
        self.assertEqual(row | {'text': ODD}, whole)
        self.assertEqual(['a', 'b'], whole['tags'])
        self.assertEqual((MINE, ME, 'nova', 'cells.rst'), (
            whole['project_id'], whole['user_id'], whole['service'],
            whole['source']))
        self.assertTrue(whole['created_at'].endswith('+00:00'))

    def test_long_and_strange_texts_fit(self) -> None:
        self._put(document(title='x' * 300 + ODD, text='\0' + 'y' * 2**20,
                           source='z' * 999, url='https://a.invalid/',
                           resolution='r' * 10**5))
        row, = knowledge.entry_list(MINE, 10, whole=True)[0]
        self.assertEqual(255, len(row['title']))
        self.assertEqual(2**20, len(row['text']))
        self.assertEqual('\ufffd', row['text'][0])
        self.assertEqual(255, len(row['source']))

    def test_what_is_there_stays(self) -> None:
        self._put(document(), document(text='Other.'))
        before = knowledge.mark()
        self.assertEqual({'added': 0, 'kept': 2, 'removed': 0},
                         self._put(document(), document(text='Other.'),
                                   source='cells.rst'))
        self.assertEqual(before, knowledge.mark())

    def test_document_replaces_itself_alone(self) -> None:
        self._put(document(text='1'), document(text='2'))
        self._put(document(text='3', source='other.rst'))
        self._put(document(text='1'), project=THEIRS)
        self.assertEqual({'added': 1, 'kept': 1, 'removed': 1}, self._put(
            document(text='2'), document(text='4'), source='cells.rst'))
        self.assertEqual({'2', '3', '4'}, self._texts())
        self.assertEqual({'1'}, self._texts(THEIRS))

    def test_no_more_than_the_project_may_have(self) -> None:
        self.config('retrieval', max_entries=2)
        self._put(document(text='1'))
        error = self.assertRaises(
            exception.Conflict, self._put, document(text='2'),
            document(text='3'))
        self.assertIn('max_entries', str(error))
        self.assertEqual({'1'}, self._texts())
        # Of other projects none counts, nor does what is replaced.
        self._put(document(text='2'), document(text='3'), project=THEIRS)
        self._put(document(text='5'), document(text='6'),
                  source='cells.rst')
        self.assertEqual({'5', '6'}, self._texts())

    def test_of_another_project_is_not_there(self) -> None:
        self._put(document())
        row, = knowledge.entry_list(MINE, 10)[0]
        self.assertEqual(([], False), knowledge.entry_list(THEIRS, 10))
        for call in (knowledge.entry_get, knowledge.entry_delete):
            self.assertRaises(exception.NotFound, call, THEIRS, row['id'])
        self.assertRaises(exception.MarkerNotFound, knowledge.entry_list,
                          THEIRS, 10, row['id'])
        knowledge.entry_delete(MINE, row['id'])
        self.assertRaises(exception.NotFound, knowledge.entry_delete, MINE,
                          row['id'])

    def test_pages_and_filters(self) -> None:
        for number in range(5):
            self._put(document(text=str(number),
                               service='nova' if number % 2 else None))
        first, more = knowledge.entry_list(MINE, 3, whole=True)
        self.assertTrue(more)
        rest, more = knowledge.entry_list(MINE, 3, first[-1]['id'],
                                          whole=True)
        self.assertFalse(more)
        self.assertEqual(['4', '3', '2', '1', '0'],
                         [row['text'] for row in first + rest])
        self.assertEqual({'1', '3'}, {
            row['text'] for row in knowledge.entry_list(
                MINE, 9, service='nova', whole=True)[0]})
        self._put(document(text='5', service='nova-compute'))
        self._put(document(text='6', service='nova_x%'))
        for service, wanted in (('nova', {'1', '3', '5'}), ('n%', set()),
                                ('nova-compute', {'5'})):
            self.assertEqual(wanted, {
                row['text'] for row in knowledge.entry_list(
                    MINE, 9, service=service, whole=True)[0]})
        self.assertEqual([], knowledge.entry_list(
            MINE, 9, kind='incident')[0])
        self.assertEqual(7, len(knowledge.entry_list(
            MINE, 9, kind='document', source='cells.rst')[0]))

    def test_engines_see_every_change(self) -> None:
        marks = [knowledge.mark()]
        self.assertEqual((0, None), marks[0])
        self._put(document())
        marks.append(knowledge.mark())
        ids, first = knowledge.read()
        self.assertEqual(ids, {e.id for e in first})
        entry, = first
        self.assertEqual(('document', 'Cells', MINE, ('a', 'b')), (
            entry.kind, entry.title, entry.project_id, entry.tags))
        # By a clock that is coarser than a test is quick.
        self.change(models.KNOWLEDGE, updated_at=rows.utcnow().replace(
            year=2020))
        self._put(document(text='new'), project=THEIRS)
        marks.append(knowledge.mark())
        ids, fresh = knowledge.read(marks[-1][1])
        self.assertEqual(['new'], [e.text for e in fresh])
        self.assertEqual(2, len(ids))
        knowledge.entry_delete(MINE, entry.id)
        marks.append(knowledge.mark())
        self.assertEqual(4, len(set(marks)))

    # Incidents

    def test_resolution_is_knowledge_at_once(self) -> None:
        found = self.incident()
        self.assertEqual(0, knowledge.mark()[0])
        incidents.incident_update(MINE, found, ME, {
            'status': 'resolved', 'resolution': 'restart rabbit ' + ODD})
        row, = knowledge.entry_list(MINE, 9, whole=True)[0]
        self.assertEqual(
            ('incident', found, 'restart rabbit ' + ODD, 'rabbitmq'),
            (row['kind'], row['incident_id'], row['resolution'],
             row['service']))
        self.assertIn('rabbitmq', row['text'])
        incidents.incident_update(MINE, found, YOU, {'resolution': 'more RAM'})
        again, = knowledge.entry_list(MINE, 9)[0]
        self.assertEqual((row['id'], 'more RAM', YOU), (
            again['id'], again['resolution'], again['user_id']))

    def test_what_is_open_again_is_forgotten(self) -> None:
        found = self.incident()
        incidents.incident_update(MINE, found, ME, {
            'status': 'resolved', 'resolution': 'restart'})
        incidents.incident_update(MINE, found, ME, {'status': 'open'})
        self.assertEqual(0, knowledge.mark()[0])

    def test_nothing_is_learned_from_nothing(self) -> None:
        found = self.incident()
        incidents.incident_update(MINE, found, ME, {'status': 'resolved'})
        self.assertEqual(0, knowledge.mark()[0])
        incidents.incident_update(MINE, found, ME, {'resolution': '  '})
        self.assertEqual(0, knowledge.mark()[0])

    def test_nothing_is_learned_where_nobody_wants_it(self) -> None:
        self.config('retrieval', learn_from_incidents=False)
        found = self.incident()
        incidents.incident_update(MINE, found, ME, {
            'status': 'resolved', 'resolution': 'restart'})
        api.rating_set(MINE, ME, self.solved(), 'wrong', cause='the disk')
        self.assertEqual(0, knowledge.mark()[0])

    def test_both_happen_or_none(self) -> None:
        found = self.incident()
        with mock.patch.object(knowledge, '_insert', autospec=True,
                               side_effect=RuntimeError):
            self.assertRaises(
                RuntimeError, incidents.incident_update, MINE, found, ME,
                {'status': 'resolved', 'resolution': 'restart'})
        self.assertEqual('open', incidents.incident_get(MINE, found)['status'])

    def test_backup_of_an_incident_is_the_incident(self) -> None:
        found = self.incident()
        incidents.incident_update(MINE, found, ME, {
            'status': 'resolved', 'resolution': 'restart'})
        row, = knowledge.entry_list(MINE, 9, whole=True)[0]
        self.assertEqual(1, self._put(row)['kept'])
        self.assertEqual(1, self._put(row | {'text': 'older'})['added'])
        self.assertEqual(1, knowledge.mark()[0])
        self.assertEqual(1, self._put(row, project=THEIRS)['added'])

    def test_knowledge_outlives_the_purge(self) -> None:
        found = self.incident()
        incidents.incident_update(MINE, found, ME, {
            'status': 'resolved', 'resolution': 'restart'})
        past = rows.utcnow().replace(year=2020)
        self.change(models.INCIDENTS, resolved_at=past)
        self.change(models.ANALYSES, finished_at=past)
        jobs.purge(30)
        self.assertRaises(exception.NotFound, incidents.incident_get, MINE,
                          found)
        self.assertEqual(1, knowledge.mark()[0])

    # Ratings

    def test_what_was_right_is_knowledge(self) -> None:
        found = self.solved()
        shown = api.rating_set(MINE, ME, found, 'right', comment='as ever')
        self.assertIsNone(shown['cause'])
        # The report of the suite names no cause.
        self.assertEqual(0, knowledge.mark()[0])
        self.change(models.ANALYSES, found, report=json.dumps({
            'hypotheses': [{'cause': 'RabbitMQ is down', 'remedy': [
                'start it'], 'component': 'rabbitmq', 'evidence': ['E1']}],
            'evidence': [{'id': 'E1', 'text': 'AMQP server on 10.0.0.1:5672 '
                          'is unreachable\nTraceback'}]}))
        api.rating_set(MINE, ME, found, 'right', comment='as ever')
        row, = knowledge.entry_list(MINE, 9, whole=True)[0]
        self.assertEqual(
            ('analysis', 'RabbitMQ is down', found, 'as ever\nstart it'),
            (row['kind'], row['title'], row['analysis_id'],
             row['resolution']))
        self.assertIn('AMQP server on', row['text'])
        self.assertNotIn('10.0.0.1', row['text'])
        self.assertNotIn('Traceback', row['text'])

    def test_cause_in_truth_is_knowledge(self) -> None:
        found = self.solved()
        self.change(models.ANALYSES, found, report=json.dumps({
            'hypotheses': [{'cause': 'RabbitMQ is down', 'remedy': ['x']}]}))
        shown = api.rating_set(MINE, ME, found, 'wrong', 'disk', None,
                               'the disk was full')
        self.assertEqual('the disk was full', shown['cause'])
        row, = knowledge.entry_list(MINE, 9, whole=True)[0]
        self.assertEqual('the disk was full', row['title'])
        self.assertNotIn('RabbitMQ is down', row['text'])
        self.assertIsNone(row['resolution'])
        # Without the cause, nobody knows.
        api.rating_set(MINE, ME, found, 'wrong')
        self.assertEqual(0, knowledge.mark()[0])

    def test_deleted_analysis_takes_it_along(self) -> None:
        found, other = self.solved(), self.solved()
        api.rating_set(MINE, ME, found, 'wrong', cause='the disk')
        api.rating_set(MINE, ME, other, 'wrong', cause='the net')
        self.assertRaises(exception.NotFound, api.analysis_delete, THEIRS,
                          found)
        self.assertEqual(2, knowledge.mark()[0])
        api.analysis_delete(MINE, found)
        row, = knowledge.entry_list(MINE, 9)[0]
        self.assertEqual('the net', row['title'])


class MessageSuite(suite.DatabaseTestCase):
    """Questions to analyses."""

    def _ask(self, analysis: str, question: str = 'and then?',
             project: str = MINE) -> str:
        return str(knowledge.message_create(
            project, ME, analysis, question, 'fast', suite.MANY)['id'])

    def _jobs(self) -> set[str]:
        with session.reader() as connection:
            return set(connection.execute(sa.select(
                models.JOBS.c.id)).scalars())

    def test_life_of_a_question(self) -> None:
        analysis = self.solved()
        asked = self._ask(analysis, ODD)
        shown = knowledge.message_get(MINE, analysis, asked)
        self.assertEqual(('queued', ODD, None), (
            shown['status'], shown['question'], shown['answer']))
        item = self.take(asked)
        self.assertEqual(
            ('question', {'analysis_id': analysis, 'question': ODD,
                          'mode': 'fast'}), (item.kind, item.request))
        self.assertEqual('running', knowledge.message_get(
            MINE, analysis, asked)['status'])
        self.assertEqual([], knowledge.conversation(MINE, analysis)[1])
        self.assertTrue(jobs.complete(item, json.dumps({'text': ODD})))
        shown = knowledge.message_get(MINE, analysis, asked)
        self.assertEqual(('complete', {'text': ODD}), (
            shown['status'], shown['answer']))
        self.assertTrue(shown['finished_at'])
        report, messages = knowledge.conversation(MINE, analysis)
        self.assertEqual('messaging', report['category'])
        self.assertEqual([shown], messages)
        # It is none of the queries.
        self.assertEqual(([], False), api.query_list(MINE, 9))
        self.assertRaises(exception.NotFound, api.query_get, MINE, asked)

    def test_failure_is_told(self) -> None:
        analysis = self.solved()
        asked = self._ask(analysis)
        jobs.fail(self.take(asked), 'No log.', 400)
        shown = knowledge.message_get(MINE, analysis, asked)
        self.assertEqual(('failed', 'No log.', 400), (
            shown['status'], shown['error']['message'],
            shown['error']['code']))

    def test_only_a_report_can_be_asked(self) -> None:
        analysis = self.ask()
        self.assertRaises(exception.Conflict, self._ask, analysis)
        self.assertRaises(exception.NotFound, knowledge.conversation, MINE,
                          analysis)
        self.assertRaises(exception.NotFound, self._ask, suite.NOBODY)

    def test_of_another_project_is_not_there(self) -> None:
        analysis = self.solved()
        asked = self._ask(analysis)
        other = self.solved_beside(THEIRS)
        for call, args in (
                (knowledge.message_list, (THEIRS, analysis, 9)),
                (knowledge.message_get, (THEIRS, analysis, asked)),
                (knowledge.message_get, (THEIRS, other, asked)),
                (knowledge.message_get, (MINE, other, asked)),
                (knowledge.conversation, (THEIRS, analysis))):
            self.assertRaises(exception.NotFound, call, *args)
        self.assertRaises(exception.NotFound, self._ask, analysis,
                          project=THEIRS)

    def solved_beside(self, project: str) -> str:
        """An analysis that is complete, while other jobs wait."""
        found = self.ask(project)
        for item in self.claim(most=suite.MANY):
            if item.id == found:
                jobs.complete(item, json.dumps(suite.REPORT))
            else:
                jobs.release(item, None, False)
        return found

    def test_pages(self) -> None:
        analysis, other = self.solved(), self.solved()
        asked = [self._ask(analysis, str(n)) for n in range(4)]
        self._ask(other)
        first, more = knowledge.message_list(MINE, analysis, 3)
        self.assertTrue(more)
        rest, more = knowledge.message_list(MINE, analysis, 3,
                                            first[-1]['id'])
        self.assertFalse(more)
        self.assertEqual(asked[::-1], [m['id'] for m in first + rest])

    def test_too_many(self) -> None:
        analysis = self.solved()
        self._ask(analysis)
        self.assertRaises(
            exception.TooManyJobs, knowledge.message_create, MINE, ME,
            analysis, 'why?', 'fast', 1)

    def test_go_with_the_analysis(self) -> None:
        analysis, other = self.solved(), self.solved()
        asked, kept = self._ask(analysis), self._ask(other)
        self.assertLessEqual({asked, kept}, self._jobs())
        api.analysis_delete(MINE, analysis)
        self.assertRaises(exception.NotFound, knowledge.message_get, MINE,
                          analysis, asked)
        self.assertNotIn(asked, self._jobs())
        self.assertIn(kept, self._jobs())
        self.change(models.ANALYSES, finished_at=rows.utcnow().replace(
            year=2020))
        jobs.purge(30)
        self.assertNotIn(kept, self._jobs())
