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
"""Asking a cloud, and one that does not answer as it should."""

import datetime
import json
import subprocess
import sys
import threading
from typing import Any

import jsonschema

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import cloud
from openstack_rca.analysis import cloudfacts
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope
from openstack_rca.api import schemas
from openstack_rca.engine import local
from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import html
from openstack_rca.tests import base
from openstack_rca.tests import standin

BEGIN = datetime.datetime(2026, 11, 21, 14, 20)
DAY = datetime.timedelta(days=1)
#: Where an answer that has to come is waited for.
PATIENT = 60.0


def about(*resources: str, since: datetime.datetime | None = None,
          until: datetime.datetime | None = None) -> scope.Scope:
    return scope.Scope(
        since=since, until=until, requests=(), resources=resources, names=(),
        services=(), only_services=(), words=frozenset(), asked=False)


class CloudCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.there = self.useFixture(standin.StandIn())

    def connect(self, limit: float = PATIENT, **more: Any) -> cloud.Cloud:
        path = self.tmp / 'rca.conf'
        told = self.there.options() | {
            'time_limit': str(min(limit, 60)), **more}
        path.write_text('[cloud]\n' + ''.join(
            f'{name} = {value}\n' for name, value in told.items()))
        conf.load(files=[str(path)])
        made = cloud.configured()
        assert made is not None
        return made

    def ask(self, made: cloud.Cloud, *resources: str,
            others: tuple[ranking.Finding, ...] = (),
            present: bool = True, **times: Any) -> cloud.Answer:
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        return made.ask(about(*resources, **times), BEGIN,
                        now if present else now - DAY).answer(others)

    def sources(self, answer: cloud.Answer) -> list[str]:
        return [f.source for f in answer.facts]

    def blamed(self, answer: cloud.Answer) -> set[tuple[str, str]]:
        return {(f.component, f.clue) for f in answer.findings([])}


class TestAnswers(CloudCase):

    def test_recorded(self) -> None:
        answer = self.ask(self.connect(), standin.SERVER)
        self.assertEqual([], answer.missing)
        found = self.sources(answer)
        self.assertIn(f'nova:/servers/{standin.SERVER}', found)
        self.assertIn('nova:/os-services?host=cmp2&binary=nova-compute',
                      found)
        self.assertIn(f'nova:/os-quota-sets/{standin.PROJECT}/detail', found)
        self.assertTrue([s for s in found if 'os-instance-actions' in s])
        self.assertEqual(len(found), len(set(found)))
        # What is asked about comes first.
        self.assertEqual([True] * 2, [f.related for f in answer.facts][:2])
        self.assertIn(('compute-capacity', 'no valid host'),
                      self.blamed(answer))

    def test_only_reads(self) -> None:
        self.ask(self.connect(), standin.SERVER)
        self.assertEqual({('POST', '/v3/auth/tokens')}, {
            (method, path) for method, path in self.there.asked
            if method != 'GET'})
        self.assertEqual(
            [], [b for (method, _), b in zip(
                self.there.asked, self.there.bodies, strict=True)
                if method == 'GET' and b])

    def test_what_is_a_server_is_no_volume(self) -> None:
        # It would be logged, in a line that names the server.
        self.ask(self.connect(), standin.SERVER)
        self.assertEqual([], [p for p in self.there.paths() if p.endswith(
            (f'/volumes/{standin.SERVER}', f'/ports/{standin.SERVER}'))])

    def test_no_room(self) -> None:
        def candidates(path: str) -> Any:
            short = 'MEMORY_MB:262144' in path
            return {'allocation_requests': [] if short else [{}]}

        self.there.answers['placement /allocation_candidates'] = candidates
        answer = self.ask(self.connect(), standin.SERVER)
        [fact] = [f for f in answer.facts if f.service == 'placement']
        self.assertIn('No provider has MEMORY_MB:262144.', fact.text)
        self.assertTrue(fact.related)
        self.assertIn(('compute-capacity', 'no room'), self.blamed(answer))

    def test_ports_and_volumes_of_the_server(self) -> None:
        server = self.there.answers[f'compute /servers/{standin.SERVER}']
        volume = '99999999-2222-4333-8444-555555555555'
        now = datetime.datetime.now(datetime.UTC).isoformat()
        server['server']['os-extended-volumes:volumes_attached'] = [
            {'id': volume}]
        self.there.answers |= {
            f'block_storage /volumes/{volume}': {'volume': {
                'id': volume, 'status': 'error', 'updated_at': now}},
            'network /ports': {'ports': [{
                'id': volume, 'device_id': standin.SERVER,
                'binding:vif_type': 'binding_failed'}]}}
        answer = self.ask(self.connect(), standin.SERVER)
        self.assertLessEqual(
            {f'cinder:/volumes/{volume}', f'neutron:/ports/{volume}'},
            {*self.sources(answer)})
        self.assertLessEqual(
            {('neutron-l2-agent', 'binding failed'),
             ('cinder-volume', 'volume error')}, self.blamed(answer))

    def test_ids_of_other_things(self) -> None:
        uuid = '99999999-2222-4333-8444-555555555555'
        now = datetime.datetime.now(datetime.UTC).isoformat()
        self.there.answers |= {
            f'network /ports/{uuid}': {'port': {
                'id': uuid, 'binding:vif_type': 'binding_failed'}},
            f'block_storage /volumes/{uuid}': {'volume': {
                'id': uuid, 'status': 'error', 'updated_at': now}}}
        answer = self.ask(self.connect(), uuid)
        self.assertEqual([True, True], [
            f.related for f in answer.facts if uuid in f.resources])
        # That it is no server is nothing that is missing.
        self.assertEqual([], answer.missing)

    def test_failed_servers_that_nobody_named(self) -> None:
        server = self.there.answers[f'compute /servers/{standin.SERVER}'][
            'server']
        self.there.answers['compute /servers/detail'] = {
            'servers': [server]}
        answer = self.ask(self.connect())
        self.assertIn(f'nova:/servers/{standin.SERVER}',
                      self.sources(answer))
        self.assertFalse(any(f.related for f in answer.facts))
        [asked] = [p for p in self.there.paths('compute')
                   if '/servers/detail' in p]
        self.assertIn('changes-since=2026-11-21T14%3A20%3A00Z', asked)

    def test_host_of_the_server(self) -> None:
        path = f'compute /servers/{standin.SERVER}'
        self.there.answers[path]['server']['OS-EXT-SRV-ATTR:host'] = 'cmp2'
        answer = self.ask(self.connect(), standin.SERVER)
        self.assertEqual([True], [
            f.related for f in answer.facts if f.kind == 'service'])

    def test_project_of_a_refusal(self) -> None:
        refused = ranking.Finding(
            'nova-api', 'quota', 'quota', .9, 'x', (), True,
            [{'project_id': standin.PROJECT}, {'project_id': None},
             {'project_id': '../../servers'}])
        answer = self.ask(self.connect(), others=(refused,))
        self.assertIn(f'nova:/os-quota-sets/{standin.PROJECT}/detail',
                      self.sources(answer))
        self.assertEqual([], [p for p in self.there.paths() if '..' in p])

    def test_services_that_are_not_there(self) -> None:
        self.there.services = ('compute',)
        answer = self.ask(self.connect(), standin.SERVER)
        self.assertEqual([], answer.missing)
        self.assertIn(f'nova:/servers/{standin.SERVER}',
                      self.sources(answer))
        self.assertEqual([], self.there.paths('network'))

    def test_as_many_as_wanted(self) -> None:
        answer = self.ask(self.connect(max_items=1), standin.SERVER)
        self.assertEqual([True], [f.related for f in answer.facts])


class TestTimes(CloudCase):

    def test_the_present_says_nothing_of_yesterday(self) -> None:
        for more in ({'present': False},
                     {'until': datetime.datetime(2026, 11, 21, 14, 30)}):
            answer = self.ask(self.connect(recent=1), standin.SERVER, **more)
            self.assertEqual({'server', 'action'},
                             {f.kind for f in answer.facts})
            for path in ('os-services', 'agents', 'quota', 'hypervisors',
                         'allocation', 'ports'):
                self.assertEqual([], [
                    p for p in self.there.paths() if path in p])

    def test_faults_of_another_time(self) -> None:
        answer = self.ask(
            self.connect(recent=1), standin.SERVER, present=False,
            until=datetime.datetime(2026, 11, 21, 14, 25))
        self.assertEqual([], answer.facts)

    def test_until_now(self) -> None:
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        answer = self.ask(self.connect(), present=False, until=now)
        self.assertIn('service', {f.kind for f in answer.facts})


class TestKept(CloudCase):

    def test_ten_analyses_ask_once(self) -> None:
        made = self.connect(cache_time=3600)
        first = self.ask(made, standin.SERVER)
        asked = len(self.there.asked)
        for _ in range(9):
            again = self.ask(made, standin.SERVER)
            self.assertEqual(first.facts, again.facts)
        self.assertEqual(asked, len(self.there.asked))

    def test_asks_again_later(self) -> None:
        made = self.connect(cache_time=0)
        self.ask(made)
        self.there.answers['compute /os-services'] = {'services': []}
        self.assertNotIn('service', {f.kind for f in self.ask(made).facts})

    def test_a_refusal_is_not_repeated(self) -> None:
        # It would fill the very logs that are read.
        self.there.answers |= {
            'compute /os-services': (403, {}), 'network': (403, {})}
        made = self.connect(cache_time=0)
        for _ in range(3):
            answer = self.ask(made)
            self.assertEqual(
                ['neutron:/agents', 'nova:/os-services'],
                [m['source'] for m in answer.missing])
        for path in ('/compute/v2.1/os-services', '/network/v2.0/agents'):
            self.assertEqual(1, len([p for p in self.there.paths()
                                     if p.partition('?')[0] == path]))

    def test_what_is_under_way_is_waited_for(self) -> None:
        wait, over = standin.hanging()
        self.addCleanup(over.set)
        self.there.answers['compute /os-services'] = wait
        made = self.connect(limit=0.5)
        for _ in range(2):
            answer = self.ask(made)
            self.assertIn('nova:/os-services',
                          [m['source'] for m in answer.missing])
        self.assertEqual(1, len([p for p in self.there.paths('compute')
                                 if 'os-services' in p]))


class TestTrouble(CloudCase):

    def reasons(self, answer: cloud.Answer) -> dict[str, str]:
        return {m['source'].partition(':')[0]: m['reason']
                for m in answer.missing}

    def test_slow(self) -> None:
        wait, over = standin.hanging()
        self.addCleanup(over.set)
        self.there.answers['network'] = wait
        answer = self.ask(self.connect(limit=1.5), standin.SERVER)
        self.assertIn('did not answer within 1.5 s',
                      self.reasons(answer)['neutron'])
        self.assertIn(('neutron-server', 'api slow'), self.blamed(answer))
        [fact] = [f for f in answer.facts if f.kind == 'api']
        self.assertEqual('neutron:/agents', fact.source)

    def test_only_something_slow(self) -> None:
        wait, over = standin.hanging()
        self.addCleanup(over.set)
        self.there.answers['compute /os-hypervisors/detail'] = wait
        answer = self.ask(self.connect(limit=1.5), standin.SERVER)
        self.assertIn('/os-hypervisors/detail', self.reasons(answer)['nova'])
        self.assertEqual([], [f for f in answer.facts if f.kind == 'api'])

    def test_slow_yesterday(self) -> None:
        wait, over = standin.hanging()
        self.addCleanup(over.set)
        self.there.answers['compute'] = wait
        answer = self.ask(self.connect(limit=0.5), present=False)
        self.assertEqual([], answer.facts)
        self.assertEqual(['nova'], list(self.reasons(answer)))

    def test_fails(self) -> None:
        for status in (500, 503):
            self.there.answers['placement'] = (status, b'<html>')
            answer = self.ask(self.connect())
            self.assertEqual(
                {'placement': f'placement answered with {status} to GET '
                              '/allocation_candidates and 2 more'},
                self.reasons(answer))
            self.assertIn(('placement', 'api failing'), self.blamed(answer))

    def test_refuses_us(self) -> None:
        for status in (401, 403):
            self.there.answers['compute'] = (status, {'forbidden': {}})
            answer = self.ask(self.connect(), standin.SERVER)
            reason = self.reasons(answer)['nova']
            self.assertIn(f'nova refused ({status}) GET ', reason)
            self.assertIn('[cloud]', reason)
            self.assertEqual(set(), {
                f.kind for f in answer.facts if f.service == 'nova'})

    def test_refuses_connections(self) -> None:
        made = self.connect(cache_time=0)
        self.ask(made)
        self.there.stop()
        answer = self.ask(made)
        self.assertIn(('nova-api', 'api refused'), self.blamed(answer))
        self.assertIn('does not accept connections',
                      self.reasons(answer)['nova'])

    def test_identity_refuses_connections(self) -> None:
        made = self.connect()
        self.there.stop()
        answer = self.ask(made, standin.SERVER)
        self.assertEqual({('keystone', 'api refused')}, self.blamed(answer))
        self.assertEqual(['keystone:/auth/tokens'], self.sources(answer))
        self.assertIn('POST /auth/tokens', answer.facts[0].text)

    def test_wrong_password(self) -> None:
        self.there.login = 401
        answer = self.ask(self.connect())
        self.assertEqual([], answer.facts)
        self.assertIn('keystone refused (401) POST /auth/tokens',
                      self.reasons(answer)['keystone'])
        self.assertNotIn('secret-of-the-cloud', repr(answer))

    def test_slow_identity(self) -> None:
        wait, over = standin.hanging()
        self.addCleanup(over.set)
        self.there.answers['identity'] = wait
        answer = self.ask(self.connect(limit=0.5))
        self.assertEqual({('keystone', 'api slow')}, self.blamed(answer))

    def test_nonsense(self) -> None:
        for body in (b'', b'{', b'[]', b'null', b'"x"', b'[' * 100000,
                     b'\xff\xfe', b'{"services": 1}',
                     b'{"services": [1, null, {}]}', b'1' * 5000,
                     b'{"x": "' + b'y' * (3 << 20) + b'"}'):
            self.there.answers['compute /os-services'] = body
            answer = self.ask(self.connect())
            self.assertNotIn('service', {f.kind for f in answer.facts})
            self.assertLessEqual(
                {*self.reasons(answer)}, {'nova'}, body[:20])

    def test_too_much(self) -> None:
        self.there.answers['compute /os-services'] = (
            b'{"x": "' + b'y' * (3 << 20) + b'"}')
        answer = self.ask(self.connect())
        self.assertIn('answered with more than', self.reasons(
            answer)['nova'])

    def test_redirect_is_not_followed(self) -> None:
        self.there.answers['compute /os-services'] = (302, {})
        self.assertIn('answered with 302',
                      self.reasons(self.ask(self.connect()))['nova'])

    def test_bug_in_reading_is_survived(self) -> None:
        def broken(*told: Any) -> list[cloudfacts.Fact]:
            raise KeyError('x')

        self.patch(cloudfacts, 'down', broken)
        answer = self.ask(self.connect(), standin.SERVER)
        self.assertIn(f'nova:/servers/{standin.SERVER}',
                      self.sources(answer))

    def test_threads_end(self) -> None:
        made = self.connect()
        made.warm()
        self.ask(made, standin.SERVER)
        for thread in threading.enumerate():
            if thread.name == 'cloud':
                thread.join(PATIENT)
                self.assertFalse(thread.is_alive())


class TestReport(CloudCase):

    def setUp(self) -> None:
        super().setUp()
        folder = self.tmp / 'logs'
        folder.mkdir()
        (folder / 'nova-conductor.log').write_text(''.join(
            f'2026-11-21 14:{minute}:00.000 7 INFO nova.conductor.manager '
            '[-] All is well.\n' for minute in range(20, 30)))
        self.session = local.open_folder(folder, cache=False)

    def analyze(self, made: cloud.Cloud | None,
                issue: str = '') -> dict[str, Any]:
        self.session.cloud = made
        return self.session.analyze(scope.Question(
            issue=issue or f'server {standin.SERVER} went to ERROR'))

    def test_resources_are_evidence(self) -> None:
        report = self.analyze(self.connect())
        self.assertEqual('cause_found', report['verdict'])
        first = report['hypotheses'][0]
        self.assertEqual(('compute-capacity', 'capacity'),
                         (first['component'], first['category']))
        cited = [e for e in report['evidence'] if e['id'] in
                 first['evidence']]
        self.assertEqual({'resource'}, {e['kind'] for e in cited})
        piece = next(e for e in cited if e['source']
                     == f'nova:/servers/{standin.SERVER}')
        self.assertEqual(
            (None, None, None, '', '2026-11-21T14:28:36+00:00'),
            (piece['line'], piece['offset'], piece['template'],
             piece['level'], piece['timestamp']))
        self.assertIn(standin.SERVER, piece['resources'])
        self.assertIn('No valid host was found', piece['text'])
        self.assertIn(piece['id'],
                      [t['evidence'] for t in report['timeline']])
        self.assertIn('cloud', report['statistics']['seconds'])
        # The whole is what the API publishes.
        jsonschema.Draft202012Validator(
            schemas.COMPONENTS['Analysis']['properties']['evidence']
        ).validate(report['evidence'])

    def test_without_a_cloud(self) -> None:
        report = self.analyze(None)
        self.assertEqual(set(), {e['kind'] for e in report['evidence']}
                         & {'resource'})
        self.assertNotIn('cloud', report['statistics']['seconds'])
        self.assertEqual([], self.there.asked)

    def test_hostile_names(self) -> None:
        server = self.there.answers[f'compute /servers/{standin.SERVER}'][
            'server']
        server['name'] = ('</pre><script>alert(1)</script>`[x](http://y)'
                          '\x1b[2J\u202e [Errno 111] Connection refused '
                          'http://10.0.0.1:9292')
        report = self.analyze(self.connect())
        self.assertNotIn('glance', [h['component']
                                    for h in report['hypotheses']])
        text = json.dumps(report, ensure_ascii=False)
        self.assertNotIn('\x1b', text)
        self.assertNotIn('\u202e', text)
        page = html.HtmlFormatter().render('report', report,
                                           formatters.Options())
        self.assertNotIn('<script', page)

    def test_a_cloud_in_ruins_is_no_failure(self) -> None:
        self.there.answers |= {
            'compute': b'garbage', 'network': (500, {}),
            'block_storage': (403, {}), 'placement': (302, {})}
        # The logs end in the past.
        report = self.analyze(self.connect(recent=10 ** 9))
        self.assertEqual('complete', report['status'])
        self.assertEqual(
            {'nova', 'neutron', 'cinder', 'placement'},
            {s['source'].partition(':')[0] for s in report['skipped']})

    def test_what_was_not_said_is_not_cited(self) -> None:
        made = self.connect()
        real = cloud.Answer.findings

        def invented(answer: cloud.Answer,
                     others: list[ranking.Finding]) -> list[
                         ranking.Finding]:
            found = real(answer, others)
            for finding in found:
                for event in finding.events:
                    event['text'] = 'Invented.'
            return found

        self.patch(cloud.Answer, 'findings', invented)
        report = self.analyze(made)
        self.assertEqual('insufficient_evidence', report['verdict'])
        self.assertEqual([], report['evidence'])


class TestWarm(CloudCase):

    def warm(self, made: cloud.Cloud) -> None:
        made.warm()
        for thread in threading.enumerate():
            if thread.name == 'cloud':
                thread.join(PATIENT)

    def test_logs_in_and_finds_services(self) -> None:
        made = self.connect(cache_time=0)
        self.warm(made)
        self.assertIn(('POST', '/v3/auth/tokens'), self.there.asked)
        before = len(self.there.asked)
        self.ask(made, standin.SERVER)
        again = self.there.asked[before:]
        self.assertEqual([], [p for m, p in again if m == 'POST'
                              or self.there.versions(p) is not None])

    def test_cannot(self) -> None:
        made = self.connect()
        self.there.stop()
        self.warm(made)
        self.assertIn(('keystone', 'api refused'),
                      self.blamed(self.ask(made)))


class TestCheck(CloudCase):

    def test_all_is_well(self) -> None:
        self.assertEqual([], self.connect().check())

    def test_region_without_services(self) -> None:
        [told] = self.connect(region_name='elsewhere').check()
        self.assertIn('no endpoint', told)

    def test_what_is_refused(self) -> None:
        self.there.answers |= {'compute': (403, {}),
                               'placement': (503, {})}
        told = self.connect().check()
        self.assertEqual(3, len(told))
        self.assertEqual('nova refused (403) GET /os-services', told[0])
        self.assertIn('placement answered with 503', told[1])
        self.assertIn('lack a role', told[2])

    def test_agents_that_are_not_shown(self) -> None:
        # Neutron shows those without the role an empty list.
        self.there.answers['network /agents'] = {'agents': []}
        [told] = self.connect().check()
        self.assertIn('neutron', told)

    def test_wrong_password(self) -> None:
        self.there.login = 401
        told, advice = self.connect().check()
        self.assertIn('keystone refused (401)', told)
        self.assertIn('password', advice)


class TestConfigured(base.TestCase):

    def load(self, text: str) -> cloud.Cloud | None:
        path = self.tmp / 'rca.conf'
        path.write_text('[cloud]\n' + text)
        conf.load(files=[str(path)])
        return cloud.configured()

    def test_none(self) -> None:
        for text in ('', 'enabled = false\nauth_type = password\n'):
            self.assertIsNone(self.load(text))

    def test_incomplete(self) -> None:
        for text, told in (
                ('auth_type = password\n', 'auth_url'),
                ('auth_type = nonsense\n', 'nonsense'),
                ('auth_type = password\nauth_url = http://x/v3\n'
                 'timeout = soon\n', 'timeout')):
            error = self.assertRaises(exception.InvalidInput, self.load,
                                      text)
            self.assertIn('[cloud]', str(error))
            self.assertIn(told, str(error))

    def test_section_of_its_own(self) -> None:
        self.assertIsNotNone(self.load(
            'auth_section = elsewhere\n[elsewhere]\nauth_type = password\n'
            'auth_url = http://x/v3\nusername = a\npassword = b\n'))

    def test_the_configuration_can_be_read_again(self) -> None:
        self.load('auth_type = password\nauth_url = http://x/v3\n')
        self.assertIsNone(self.load(''))

    def test_nothing_of_it_is_imported_before(self) -> None:
        told = subprocess.run(
            [sys.executable, '-c',
             'import sys\n'
             'from openstack_rca.analysis import analyzer\n'
             'from openstack_rca.engine import local\n'
             'print(sorted({"keystoneauth1", "openstack", "requests"}'
             ' & set(sys.modules)))'],
            capture_output=True, text=True, check=True)
        self.assertEqual('[]', told.stdout.strip())
