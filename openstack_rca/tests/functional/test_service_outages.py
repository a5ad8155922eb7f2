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
"""What the service does while something that it needs is away."""

import time

import requests

from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import shared

# Longer than the lease of a job.
OUTAGE = 12.0


class TestBus(service_case.ServiceCase):

    def _nudged(self) -> bool:
        """Whether the engine heard of a new row from the API."""
        name = self.post()
        self.wait_complete(name)
        engine, = self.deployed.engines
        return f'Nudged for the job {name}' in engine.said()

    def test_restarted(self) -> None:
        made = self.shared_service()
        bus = shared.rabbitmq(self)
        self.wait_for('a nudge arrives', self._nudged)
        bus.stop()
        names = [self.post() for _ in range(8)]
        for name in names:
            self.wait_complete(name)
        bus.start()
        self.wait_for('a nudge arrives again', self._nudged)
        bus.kill()
        self.wait_complete(self.post())
        bus.start()
        self.wait_for('a nudge arrives at last', self._nudged)
        self.no_traceback(made.said())

    def test_never_there(self) -> None:
        made = self.own_service(DEFAULT={
            'transport_url':
                f'rabbit://guest:guest@127.0.0.1:{servers.free_port()}/'})
        engine, = made.engines
        for name in [self.post() for _ in range(8)]:
            self.wait_complete(name)
        self.assertEqual(0, engine.end())
        self.no_traceback(made.said())

    def test_not_wanted(self) -> None:
        made = self.own_service()
        for name in [self.post() for _ in range(8)]:
            self.wait_complete(name)
        said = made.said()
        self.assertIn('transport_url is not set', said)
        # The default of oslo.messaging is a RabbitMQ on this host.
        self.assertNotIn('5672', said)


class TestDatabase(service_case.ServiceCase):

    def _healthy(self) -> bool:
        answer = requests.get(self.deployed.api.url + '/healthcheck',
                              timeout=service_case.PATIENCE)
        # Open to everybody: that it is not well, and no more.
        self.assertIn((answer.status_code, answer.text), (
            (200, 'OK'), (503, 'not ok')))
        return answer.status_code == 200

    def test_away_for_a_while(self) -> None:
        made = self.shared_service()
        database = shared.mariadb(self)
        engine, = made.engines
        processes = {engine.pid, made.api.pid, *engine.processes()}
        self.assertTrue(self._healthy())
        frozen = engine.freeze()
        self.addCleanup(engine.melt, frozen)
        running = self.post()
        self.wait_running(running)
        waiting = self.post()
        database.stop()
        # There is a report, and nowhere to keep it.
        engine.melt(frozen)
        gone = time.monotonic()
        while time.monotonic() < gone + OUTAGE:
            for method, path, body in (
                    ('POST', '/v1/analyses', {'issue': 'x'}),
                    ('GET', f'/v1/analyses/{running}', None),
                    ('GET', '/v1/incidents', None),
                    ('GET', '/v1/sources', None)):
                answer = self.ask(method, path, 503, json=body)
                self.assertIn('database',
                              answer.json()['error']['message'])
            self.assertFalse(self._healthy())
            time.sleep(1.0)
        self.assertIn('HTTP 503', self.refused('analyze', '--issue', 'x'))
        self.assertIn('Trying again.', engine.said()[-100000:])
        database.start()
        self.wait_for('it is healthy', self._healthy)
        self.wait_for('the database is found', lambda: requests.get(
            f'{made.api.url}/v1/analyses/{running}', timeout=60, headers={
                'X-Auth-Token': made.token('demo-admin')}).status_code == 200)
        for name in (running, waiting, self.post()):
            self.wait_complete(name)
            # No work was done again.
            self.assertEqual(1, made.jobs()[name]['attempts'])
        self.assertEqual(processes, {engine.pid, made.api.pid,
                                     *engine.processes()})
        self.no_traceback(made.said())


class TestKeystone(service_case.ServiceCase):

    def test_away_for_a_while(self) -> None:
        made = self.shared_service()
        cloud = made.cloud
        self.ask('GET', '/v1/analyses', 200)
        fresh = cloud.token()
        waiting = self.post()
        command = self.command('analyze', '--issue', 'x',
                               environment={**self.login()})
        self.end(command)
        cloud.stop()
        answer = self.ask('GET', '/v1/analyses', 503, token=fresh)
        self.assertIn('Keystone', answer.json()['error']['message'])
        # What one of the processes has seen before, it may believe.
        self.assertIn(self.ask('GET', '/v1/analyses').status_code,
                      (200, 503))
        self.ask('GET', '/', 200, token='')
        self.assertIn(f'Cannot reach {cloud.url}',
                      self.refused('analysis', 'list'))
        self.wait_for('work goes on', lambda: (
            made.jobs()[waiting]['state'] == 'complete'))
        cloud.start()
        for _ in range(4):
            self.ask('GET', '/v1/analyses', 200, token=fresh)
        self.wait_complete(waiting)
        self.assertTrue(self.rca('analysis', 'list'))
        self.no_traceback(made.said())
