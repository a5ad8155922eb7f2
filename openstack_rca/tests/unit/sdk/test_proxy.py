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
"""Tests of the calls, over a real connection to a service of one process."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re
from typing import Any
from unittest import mock

from keystoneauth1 import exceptions as keystone
from openstack import connection
from openstack import exceptions

import openstack_rca.sdk
from openstack_rca.sdk import service
from openstack_rca.sdk.v1 import _proxy
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample
from openstack_rca.tests.unit.sdk import fake


class _Case(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.cloud = self.useFixture(fake.Cloud())
        self.connection = connection.Connection(
            auth=self.cloud.login, auth_type='password',
            region_name='RegionOne')
        self.addCleanup(self.connection.close)
        self.connection.add_service(service.RootCauseAnalysisService())
        self.client: Any = getattr(self.connection, 'root_cause_analysis')
        self.slept: list[float] = []
        self.now = 1000.0
        clock = mock.patch.object(_proxy, 'time', autospec=True)
        patched = clock.start()
        self.addCleanup(clock.stop)
        patched.monotonic.side_effect = lambda: self.now
        patched.sleep.side_effect = self._sleep

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class ServiceTest(_Case):
    """How a program finds the service."""

    def test_discovery_without_a_version(self) -> None:
        self.assertIsInstance(self.client, _proxy.Proxy)
        self.assertEqual(f'{self.cloud.api}/v1/', self.client.get_endpoint())

    def test_nothing_else_of_the_project_is_imported(self) -> None:
        names = [f'openstack_rca.sdk.{item.name}' for item in
                 pkgutil.walk_packages(openstack_rca.sdk.__path__)]
        names += ['openstack_rca.sdk.v1._proxy']
        self.assertIn('openstack_rca.sdk.service', names)
        folder = pathlib.Path(openstack_rca.sdk.__path__[0])
        seen = 0
        for path in folder.rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    seen += 1
                    module = str(node.module)
                    if module.split('.')[0] == 'openstack_rca':
                        self.assertTrue(
                            module.startswith('openstack_rca.sdk'), module)
        self.assertTrue(seen)
        for name in names:
            importlib.import_module(name)


class PageTest(base.TestCase):
    """The page of the documentation names what there is."""

    def test_calls(self) -> None:
        root = pathlib.Path(openstack_rca.sdk.__path__[0]).parents[1]
        page = (root / 'doc' / 'source' / 'user' / 'python.rst').read_text()
        documented = dict(re.findall(r'^``(\w+)\(([^)]*)\)', page,
                                     re.MULTILINE))
        calls = {name: value for name, value in vars(_proxy.Proxy).items()
                 if not name.startswith('_')}
        self.assertEqual(set(calls), set(documented))
        for name, value in calls.items():
            known = [str(item).partition(':')[0] for item in
                     inspect.signature(value).parameters.values()][1:]
            self.assertEqual(known, re.findall(r'[\w*]+',
                                               documented[name]), name)
        for name in re.findall(r'\brca\.(\w+)\(', page):
            self.assertIn(name, calls)


class AnalysisTest(_Case):
    """A question, from the first call to the rating."""

    def test_create(self) -> None:
        made = self.client.create_analysis(
            issue='x', since='2026-11-21T00:00:00+00:00', until=None,
            request_ids=['req-1'], incident=True)
        self.assertEqual([('/v1/analyses', {
            'issue': 'x', 'since': '2026-11-21T00:00:00+00:00',
            'request_ids': ['req-1'], 'incident': True})],
            self.cloud.calls('POST'))
        self.assertEqual('queued', made.status)
        self.assertEqual(3, made.queue_position)
        self.assertEqual(self.cloud.rows['analyses'][made.id], made.document)

    def test_an_empty_question(self) -> None:
        error = self.assertRaises(exceptions.BadRequestException,
                                  self.client.create_analysis)
        self.assertEqual([('/v1/analyses', {})], self.cloud.calls('POST'))
        self.assertTrue(error.details)

    def test_wait(self) -> None:
        self.cloud.looks = 7
        seen = []
        made = self.client.create_analysis(issue='why')
        done = self.client.wait_for_analysis(
            made, progress=lambda job: seen.append(job.status))
        self.assertEqual(['queued'] + 6 * ['running'] + ['complete'], seen)
        self.assertEqual([.1, .2, .4, .8, 1.6, 2, 2], self.slept)
        self.assertEqual('cause_found', done.verdict)
        self.assertEqual(sample.report()['hypotheses'], done.hypotheses)
        self.assertEqual(self.cloud.rows['analyses'][made.id], done.document)
        # What was true while it was queued is true no more.
        self.assertIsNone(done.queue_position)

    def test_wait_by_id(self) -> None:
        made = self.client.create_analysis(issue='why')
        self.assertEqual('complete',
                         self.client.wait_for_analysis(made.id).status)

    def test_wait_no_longer(self) -> None:
        self.cloud.looks = 1000
        made = self.client.create_analysis(issue='why')
        error = self.assertRaises(exceptions.ResourceTimeout,
                                  self.client.wait_for_analysis, made, 3)
        self.assertEqual([.1, .2, .4, .8, 1.5], [
            round(delay, 6) for delay in self.slept])
        self.assertIn(made.id, str(error))
        self.assertEqual('running', error.extra_data.status)

    def test_wait_for_a_failure(self) -> None:
        self.cloud.failed = {'code': 500, 'title': 'Failed',
                             'message': 'It took its worker three times.'}
        made = self.client.create_analysis(issue='why')
        error = self.assertRaises(exceptions.ResourceFailure,
                                  self.client.wait_for_analysis, made)
        self.assertIn('It took its worker three times.', str(error))
        self.assertEqual('failed', error.extra_data.document['status'])

    def test_wait_through_trouble(self) -> None:
        made = self.client.create_analysis(issue='why')
        self.cloud.answers[('GET', f'/v1/analyses/{made.id}')] = [
            fake.failure(code, 'later') for code in (503, 502, 504, 429)]
        self.assertEqual('complete',
                         self.client.wait_for_analysis(made).status)

    def test_wait_through_trouble_that_stays(self) -> None:
        made = self.client.create_analysis(issue='why')
        self.cloud.answers[('GET', f'/v1/analyses/{made.id}')] = [
            fake.failure(503, 'The database does not answer.')] * 100
        error = self.assertRaises(exceptions.HttpException,
                                  self.client.wait_for_analysis, made)
        self.assertEqual('The database does not answer.', error.details)
        self.assertIn(round(sum(self.slept)), range(60, 63))

    def test_wait_for_what_is_gone(self) -> None:
        self.assertRaises(exceptions.NotFoundException,
                          self.client.wait_for_analysis, fake.identity(1))
        self.assertEqual([], self.slept)

    def test_wait_when_nobody_listens(self) -> None:
        made = self.client.create_analysis(issue='why')
        with mock.patch.object(self.client, 'request', autospec=True,
                               side_effect=keystone.ConnectFailure('gone')):
            self.assertRaises(keystone.ConnectFailure,
                              self.client.wait_for_analysis, made)
        self.assertIn(round(sum(self.slept)), range(60, 63))

    def test_pages(self) -> None:
        made = list(self.cloud.summaries(7))
        self.cloud.page = 3
        found = list(self.client.analyses())
        self.assertEqual([row['id'] for row in reversed(made)],
                         [row.id for row in found])
        self.assertEqual('issue 7', found[0].issue)
        # Three pages, none of them in vain, all from the service itself
        # though its links name another host.
        self.assertEqual(3, len(self.cloud.calls('GET')))

    def test_pages_of_a_size(self) -> None:
        list(self.cloud.summaries(4))
        found = list(self.client.analyses(limit=2))
        self.assertEqual(4, len(found))
        self.assertEqual(2, len(self.cloud.calls('GET')))

    def test_filters(self) -> None:
        list(self.cloud.summaries(2))
        self.client.create_analysis(issue='why')
        self.assertEqual(['why'], [row.issue for row in self.client.analyses(
            status='queued', verdict=None)])
        self.assertEqual([('/v1/analyses?status=queued', None)],
                         self.cloud.calls('GET'))

    def test_unknown_marker(self) -> None:
        error = self.assertRaises(
            exceptions.BadRequestException, list,
            self.client.analyses(marker=fake.identity(1)))
        self.assertIn('marker', str(error.details))

    def test_get(self) -> None:
        (row,) = self.cloud.summaries(1)
        self.assertEqual(row, self.client.get_analysis(row['id']).document)
        error = self.assertRaises(exceptions.NotFoundException,
                                  self.client.get_analysis,
                                  fake.identity(5))
        self.assertEqual(f'There is no analysis {fake.identity(5)} in this '
                         f'project.', error.details)

    def test_delete(self) -> None:
        (row,) = self.cloud.summaries(1)
        self.client.delete_analysis(row['id'])
        self.assertEqual({}, self.cloud.rows['analyses'])
        self.client.delete_analysis(row['id'])
        self.assertRaises(exceptions.NotFoundException,
                          self.client.delete_analysis, row['id'],
                          ignore_missing=False)

    def test_rate(self) -> None:
        (row,) = self.cloud.summaries(1)
        rating = self.client.rate_analysis(
            self.client.get_analysis(row['id']), 'wrong', 'rabbitmq', 'no')
        self.assertEqual([(f'/v1/analyses/{row["id"]}/rating', {
            'rating': 'wrong', 'component': 'rabbitmq', 'comment': 'no'})],
            self.cloud.calls('PUT'))
        self.assertEqual(('wrong', fake.USER, row['id']),
                         (rating.rating, rating.user_id, rating.analysis_id))

    def test_rate_too_early(self) -> None:
        made = self.client.create_analysis(issue='why')
        self.assertRaises(exceptions.ConflictException,
                          self.client.rate_analysis, made, 'right')


class QueryTest(_Case):
    """A look at the events."""

    def test_events(self) -> None:
        made = self.client.create_query('events', level='ERROR', limit=5,
                                        words=['no host'], server=None)
        self.assertEqual([('/v1/queries', {
            'kind': 'events', 'level': 'ERROR', 'limit': 5,
            'words': ['no host']})], self.cloud.calls('POST'))
        done = self.client.wait_for_query(made)
        self.assertEqual(sample.trace()['events'], done.result['events'])
        self.assertIs(False, done.result['more'])
        self.assertEqual('complete',
                         self.client.get_query(made.id).status)

    def test_list(self) -> None:
        self.client.create_query('trace', request_id='req-1')
        self.client.create_query('events')
        self.assertEqual(['events', 'trace'], [
            row.kind for row in self.client.queries()])
        self.assertEqual(['trace'], [
            row.kind for row in self.client.queries(kind='trace')])


class IncidentTest(_Case):
    """The life of a trouble."""

    def test_life(self) -> None:
        first, second = self.cloud.incidents(2)
        self.assertEqual([second['id'], first['id']], [
            row.id for row in self.client.incidents(status='open')])
        found = self.client.get_incident(first['id'])
        self.assertEqual(first, found.document)
        self.assertEqual('acknowledged',
                         self.client.acknowledge_incident(found).status)
        done = self.client.resolve_incident(found.id, 'restarted it')
        self.assertEqual('restarted it', done.resolution)
        self.assertRaises(exceptions.ConflictException,
                          self.client.acknowledge_incident, found.id)
        self.assertEqual('open', self.client.reopen_incident(found).status)
        self.assertEqual([
            {'status': 'acknowledged'},
            {'status': 'resolved', 'resolution': 'restarted it'},
            {'status': 'acknowledged'}, {'status': 'open'}],
            [body for _, body in self.cloud.calls('PATCH')])

    def test_suppress(self) -> None:
        (row,) = self.cloud.incidents(1)
        until = '2998-11-21T03:00:00+00:00'
        found = self.client.suppress_incident(row['id'], until, 'known')
        self.assertEqual(('suppressed', until, 'known', 3), (
            found.status, found.suppressed_until, found.resolution,
            found.symptoms))
        # For good, whatever was said before.
        self.client.suppress_incident(found)
        self.assertEqual([
            {'status': 'suppressed', 'suppressed_until': until,
             'resolution': 'known'},
            {'status': 'suppressed', 'suppressed_until': None}],
            [body for _, body in self.cloud.calls('PATCH')])

    def test_the_same_status_is_sent(self) -> None:
        (row,) = self.cloud.incidents(1)
        self.client.reopen_incident(self.client.get_incident(row['id']))
        self.assertEqual(1, len(self.cloud.calls('PATCH')))


class StrangeTest(_Case):
    """What answers is not the service."""

    def test_sources(self) -> None:
        self.cloud.sources = [{'id': 'logs', 'host': 'ctl1',
                               'status': 'ready', 'files': [{'lines': 3}]}]
        (found,) = self.client.sources()
        self.assertEqual(('logs', 'ctl1', [{'lines': 3}]),
                         (found.id, found.host, found.files))

    def test_pages_of_something_else(self) -> None:
        answers: list[Any] = [b'<html>hello', {}, {'analyses': [7]}, []]
        for content in answers:
            self.cloud.answers[('GET', '/v1/analyses')] = [
                (200, content, {})]
            self.assertRaises(exceptions.InvalidResponse, list,
                              self.client.analyses())

    def test_documents_of_something_else(self) -> None:
        name = fake.identity(1)
        for content in (b'<html>hello', [1]):
            self.cloud.answers[('GET', f'/v1/analyses/{name}')] = [
                (200, content, {})]
            self.assertRaises(exceptions.InvalidResponse,
                              self.client.get_analysis, name)
