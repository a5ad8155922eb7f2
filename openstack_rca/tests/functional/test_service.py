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
"""The whole way: commands, Keystone, the API, an engine, and back."""

import json
import os
from typing import Any

import yaml

from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import service

# What differs between two doors of one answer: whose it is, and when.
OWN = ('id', 'created_at', 'started_at', 'finished_at', 'project_id',
       'incident_id')


def plain(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs between two doors."""
    rest = {name: value for name, value in report.items()
            if name not in OWN}
    rest['statistics'] = {name: value for name, value
                          in report['statistics'].items()
                          if name != 'seconds'}
    # What other tests resolved is known to the service alone.
    rest['similar'] = [item for item in report['similar']
                       if item['kind'] == 'signature']
    return rest


class TestCommands(service_case.ServiceCase):

    def setUp(self) -> None:
        super().setUp()
        self.shared_service()

    def test_both_doors_give_the_same_report(self) -> None:
        through = self.command('analyze', '--issue', service_case.ISSUE,
                               '-f', 'json')
        beside = self.command(
            'analyze', '--issue', service_case.ISSUE, '-f', 'json',
            '--mode', 'full', '--log-dir', str(service.LOGS), environment={})
        told, note = self.end(through)
        report = json.loads(told)
        local = json.loads(self.end(beside)[0])
        # No terminal, no progress.
        self.assertEqual('', note)
        self.assertEqual('complete', report['status'])
        self.assertEqual('cause_found', report['verdict'])
        self.assertEqual('compute-capacity',
                         report['hypotheses'][0]['component'])
        self.assertTrue(report['evidence'])
        self.assertEqual(set(local), set(report) - {'started_at'})
        self.assertEqual(plain(local), plain(report))
        self.assertEqual(set(local['statistics']['seconds']),
                         set(report['statistics']['seconds']))
        self.assertEqual(self.deployed.cloud.project_id('demo'),
                         report['project_id'])
        self.assertIsNone(report['incident_id'])

    def test_life_of_an_analysis(self) -> None:
        name = self.rca('analyze', '--server', 'web-3', '--no-wait').strip()
        self.wait_complete(name)
        listed = self.rca_json('analysis', 'list', '--status', 'complete')
        row, = (row for row in listed if row['ID'] == name)
        self.assertEqual('complete', row['Status'])
        self.assertIsNone(row['Rating'])
        self.assertIn('CAUSE', self.rca('analysis', 'show', name))
        self.rca('analysis', 'rate', name, '--partly', '--component',
                 'nova-scheduler', '--comment', 'nearly')
        row, = (row for row in self.rca_json('analysis', 'list', '--limit',
                                             '100') if row['ID'] == name)
        self.assertEqual('partly', row['Rating'])
        self.rca('analysis', 'delete', name)
        told = self.refused('analysis', 'show', name)
        self.assertIn('HTTP 404', told)
        self.ask('GET', f'/v1/analyses/{name}', 404)
        self.assertNotIn(name, self.deployed.jobs())

    def test_life_of_an_incident(self) -> None:
        report = self.rca_json('analyze', '--issue', service_case.ISSUE,
                               '--incident')
        name = report['incident_id']
        row, = (row for row in self.rca_json('incident', 'list')
                if row['ID'] == name)
        self.assertEqual(report['id'], row['Analysis ID'])
        self.assertEqual('open', row['Status'])
        self.assertEqual(service_case.ISSUE, row['Title'])
        self.assertEqual('compute-capacity', row['Component'])
        self.rca('incident', 'acknowledge', name)
        found = self.rca_json('incident', 'show', name)
        self.assertEqual('acknowledged', found['status'])
        admin = self.deployed.cloud.user_id('demo-admin')
        self.assertEqual(admin, found['acknowledged_by'])
        self.rca('incident', 'resolve', name, '--resolution',
                 'more hosts')
        found = self.rca_json('incident', 'show', name)
        self.assertEqual('resolved', found['status'])
        self.assertEqual('more hosts', found['resolution'])
        self.assertEqual(admin, found['resolved_by'])
        # A step that there is not is refused, with the reason.
        self.assertIn('HTTP 409', self.refused('incident', 'acknowledge',
                                               name))

    def test_events_traces_and_sources(self) -> None:
        words = ('event', 'list', '--level', 'ERROR')
        events = self.rca_json(*words)
        local = json.loads(self.end(self.command(
            *words, '--log-dir', str(service.LOGS), '-f', 'json',
            environment={}))[0])
        self.assertTrue(events)
        self.assertEqual(local, events)
        request = next(event['Request ID'] for event in events
                       if event['Request ID'])
        words = ('trace', request, '-f', 'json')
        trace = json.loads(self.rca(*words))
        local = json.loads(self.end(self.command(
            *words, '--log-dir', str(service.LOGS), environment={}))[0])
        trace.pop('more', None)
        local.pop('more', None)
        self.assertEqual(local, trace)
        self.assertIn(request, trace['request_ids'])
        named = ('trace', '--server', 'web-4', '-f', 'json')
        story = json.loads(self.rca(*named))
        local = json.loads(self.end(self.command(
            *named, '--log-dir', str(service.LOGS), environment={}))[0])
        self.assertEqual(local, story)
        self.assertEqual('failed', story['operations'][0]['outcome'])
        sources = self.rca_json('source', 'list')
        files = {row['Source']: row for row in sources}
        self.assertEqual({path.name for path in service.LOGS.iterdir()},
                         set(files))
        row = files['nova-scheduler.log']
        self.assertEqual(('logs', 'engine0', 'ready'),
                         (row['Name'], row['Engine Host'], row['Status']))
        self.assertTrue(row['Events'])

    def test_an_answer_that_takes_too_long(self) -> None:
        engine, = self.deployed.engines
        frozen = engine.freeze()
        try:
            told = self.refused('analyze', '--issue', 'x', '--wait-timeout',
                                '1')
        finally:
            engine.melt(frozen)
        self.assertIn('still', told)
        self.assertIn('after 1 second', told)
        name = told.partition('analysis show ')[2].partition('"')[0]
        self.wait_complete(name)


class TestLogin(service_case.ServiceCase):
    """Ways to log in that every ``openstack`` command has."""

    def setUp(self) -> None:
        super().setUp()
        self.shared_service()

    def _works(self, environment: dict[str, str], *words: str) -> None:
        told, _ = self.end(self.command(
            'analysis', 'list', '--limit', '1', '-f', 'json', *words,
            environment=environment))
        self.assertEqual(1, len(json.loads(told)))

    def test_ways(self) -> None:
        self.wait_complete(self.post())
        cloud = self.deployed.cloud
        self._works(cloud.application_credential())
        place = {'OS_AUTH_URL': cloud.url, 'OS_IDENTITY_API_VERSION': '3',
                 'OS_PROJECT_NAME': 'demo',
                 'OS_PROJECT_DOMAIN_ID': 'default',
                 'OS_REGION_NAME': keystone.REGION}
        self._works({**place, 'OS_AUTH_TYPE': 'v3token',
                     'OS_TOKEN': cloud.token()})
        self._works(place, '--os-auth-type', 'token', '--os-token',
                    cloud.token())
        file = self.tmp / 'clouds.yaml'
        file.write_text(yaml.safe_dump({'clouds': {'mine': {
            'region_name': keystone.REGION, 'auth': {
                'auth_url': cloud.url, 'username': 'demo-admin',
                'password': keystone.PASSWORD, 'project_name': 'demo',
                'user_domain_id': 'default',
                'project_domain_id': 'default'}}}}))
        os.chmod(file, 0o600)
        told = {'OS_CLIENT_CONFIG_FILE': str(file)}
        self._works({**told, 'OS_CLOUD': 'mine'})
        self._works(told, '--os-cloud', 'mine')

    def test_wrong_ways(self) -> None:
        login = self.login()
        started = {
            self.command('analyze', '--issue', 'x', environment=environment):
            said for said, environment in (
                ('Keystone refuses the login',
                 {**login, 'OS_PASSWORD': 'wrong'}),
                ('Log in as for every openstack command', {}),
                ('Cannot reach http://127.0.0.1:1',
                 {**login, 'OS_AUTH_URL': 'http://127.0.0.1:1/v3'}))}
        for process, said in started.items():
            out, err = self.end(process, status=1)
            self.assertEqual('', out)
            self.assertIn(said, err)
            self.assertNotIn(keystone.PASSWORD, err)
