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
"""The way of a request, and the story of a server."""

import pathlib
from typing import Any

from openstack_rca import exception
from openstack_rca.analysis import operations
from openstack_rca.analysis import trace
from openstack_rca.engine import local
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples


def request(number: int) -> str:
    return f'req-{number:08}-0000-0000-0000-000000000000'


SHARED = request(99)
SERVER = '5f0f5e3c-7f4e-4f0a-9a3c-1d2e3f405162'
OTHER = '6a0f5e3c-7f4e-4f0a-9a3c-1d2e3f405162'
EXAMPLE = pathlib.Path(__file__).parents[4] / 'examples' / 'no-valid-host'


class TestFollow(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')

    def texts(self, name: str) -> list[str]:
        return [str(t) for t in
                trace.follow(self.store, name).events['text']]

    def test_shared_id(self) -> None:
        samples.fill(
            self.store,
            samples.event(0, 'api', request_id=request(1),
                          global_request_id=SHARED, binary='nova-api'),
            samples.event(1, 'neutron', request_id=request(2),
                          global_request_id=SHARED, level=40,
                          service='neutron', binary='neutron-server'),
            samples.event(2, 'other', request_id=request(3)))
        for name in (SHARED, request(1), request(2), request(1)[4:]):
            way = trace.follow(self.store, name)
            self.assertEqual(['api', 'neutron'], list(way.events['text']))
            self.assertEqual(SHARED, way.global_request_id)
            self.assertEqual({request(1), request(2)}, set(way.request_ids))
            self.assertEqual(
                [('nova-api', 0), ('neutron-server', 1)],
                [(s['binary'], s['errors']) for s in way.services])

    def test_ids_that_others_name(self) -> None:
        samples.fill(
            self.store,
            samples.event(0, 'nova asks', request_id=request(1),
                          resources=[request(2)]),
            samples.event(1, 'neutron', request_id=request(2)),
            samples.event(2, 'glance of it', request_id=request(3),
                          resources=[request(2)]),
            samples.event(3, 'other', request_id=request(4)))
        for name in (request(1), request(2), request(3)):
            way = trace.follow(self.store, name)
            self.assertEqual(['nova asks', 'neutron', 'glance of it'],
                             list(way.events['text']))
            self.assertIsNone(way.global_request_id)
            self.assertEqual(3, len(way.request_ids))

    def test_own_global_id_comes_first(self) -> None:
        samples.fill(
            self.store,
            samples.event(0, 'before', request_id=request(2),
                          global_request_id=request(98),
                          resources=[request(1)]),
            samples.event(1, 'own', request_id=request(1),
                          global_request_id=SHARED))
        self.assertEqual(SHARED, trace.follow(
            self.store, request(1)).global_request_id)

    def test_without_a_time(self) -> None:
        samples.fill(
            self.store,
            samples.event(None, 'no time', resources=[request(1)],
                          binary='x'),
            samples.event(5, 'time', request_id=request(1)))
        way = trace.follow(self.store, request(1))
        self.assertEqual(['time', 'no time'], list(way.events['text']))
        self.assertIsNone(way.services[1]['first'])

    def test_unknown(self) -> None:
        samples.fill(self.store, samples.event(0, request_id=request(1)))
        for name in (request(2), '', 'req-', '44444444' * 4):
            self.assertRaises(exception.UnknownRequest, trace.follow,
                              self.store, name)

    def test_project_is_no_request(self) -> None:
        project = '44444444444444444444444444444444'
        samples.fill(self.store, samples.event(0, project_id=project))
        self.assertRaises(exception.UnknownRequest, trace.follow,
                          self.store, project)

    def test_circle(self) -> None:
        samples.fill(
            self.store,
            samples.event(0, 'a', request_id=request(1),
                          resources=[request(2)]),
            samples.event(1, 'b', request_id=request(2),
                          resources=[request(1)]))
        self.assertEqual(['a', 'b'], self.texts(request(1)))

    def test_crowd(self) -> None:
        samples.fill(self.store, samples.event(
            0, 'all', resources=[request(i) for i in range(900)]))
        self.assertEqual(['all'], self.texts(request(7)))

    def test_without_other_servers(self) -> None:
        def look(seconds: float, server: str, number: int) -> dict[str, Any]:
            return samples.event(
                seconds, server, resources=[server],
                logger='nova.compute.manager', request_id=request(number),
                global_request_id=SHARED)

        samples.fill(
            self.store, look(0, SERVER, 1), look(1, OTHER, 2),
            samples.event(2, 'mine', request_id=request(3),
                          global_request_id=SHARED))
        self.assertEqual([SERVER, 'mine'], self.texts(request(1)))
        self.assertEqual([OTHER, 'mine'], self.texts(request(2)))


class TestStory(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')

    def event(self, seconds: float, text: str, number: int = 1,
              **values: Any) -> dict[str, Any]:
        return samples.event(seconds, text, **{
            'request_id': request(number), 'user_id': 'u' * 32,
            'resources': [SERVER]} | values)

    def test_operations_looks_and_others(self) -> None:
        asked: dict[str, Any] = {
            'kind': 'access', 'binary': 'nova-api', 'method': 'POST',
            'path': '/v2.1/servers', 'status': 202}
        tagged = f'[instance: {OTHER}] Terminating instance'
        samples.fill(
            self.store,
            self.event(0, 'POST', resources=[], **asked),
            self.event(1, 'Claim successful on node x'),
            self.event(2, 'Took 1.0 seconds to build instance.'),
            self.event(3, 'GET', 2, **asked | {
                'method': 'GET', 'path': f'/v2.1/servers/{SERVER}',
                'status': 200}),
            # The process goes on with another server under the same id.
            self.event(4, tagged, resources=[OTHER],
                       body=len(tagged) - 20),
            self.event(9, 'x', 3, resources=[], user_id=None))
        told = trace.story(self.store, SERVER)
        self.assertEqual(
            [('create', operations.FINISHED)],
            [(o.name, o.outcome) for o in told.operations])
        self.assertEqual(1, told.looks)
        self.assertEqual(3, told.events.height)
        self.assertEqual(SERVER, told.server['id'])
        self.assertEqual([], told.notes)

    def test_nobody(self) -> None:
        samples.fill(self.store, self.event(0, 'x'))
        for name in (OTHER, 'web', '', 'x' * 999, '%', '\x00'):
            self.assertRaises(exception.InvalidInput, trace.story,
                              self.store, name)

    def test_recorded(self) -> None:
        store = local.open_folder(EXAMPLE / 'logs', cache=False).store
        told = trace.story(store, 'web-4')
        self.assertEqual('web-4', told.server['name'])
        self.assertEqual('error', told.server['state'])
        create = told.operations[0]
        self.assertEqual(('create', operations.FAILED),
                         (create.name, create.outcome))
        self.assertIn('No valid host', create.reason)
        told = trace.story(store, 'web-2')
        self.assertEqual(
            [('create', operations.FINISHED),
             ('delete', operations.FINISHED)],
            [(o.name, o.outcome) for o in told.operations])
        self.assertEqual(['cmp1'], told.operations[0].hosts)
        self.assertTrue(told.looks)
        way = trace.follow(store, create.requests[0])
        self.assertLessEqual(
            {'nova-api', 'nova-conductor', 'nova-scheduler'},
            {s['binary'] for s in way.services})
