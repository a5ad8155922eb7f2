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
"""The identity graph: nodes, joins, and how far they are followed."""

from typing import Any

import hypothesis
from hypothesis import strategies
import polars as pl

from openstack_rca.analysis import graph
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

USER = 'u' * 32
PROJECT = 'p' * 32


def request(number: int) -> str:
    return f'req-{number:08}-0000-0000-0000-000000000000'


def uuid(number: int) -> str:
    return f'{number:08}-1111-1111-1111-111111111111'


def of(*rows: dict[str, Any]) -> graph.Graph:
    """The graph of some rows."""
    events = samples.frame(*rows)
    return graph.Graph(events.lazy(), samples.patterns(events))


def call(seconds: float, number: int, method: str, path: str,
         **values: Any) -> dict[str, Any]:
    """An access line."""
    return samples.event(seconds, f'{method} {path}', **{
        'kind': 'access', 'method': method, 'path': path, 'status': 200,
        'request_id': request(number), 'user_id': USER,
        'project_id': PROJECT, 'logger': None} | values)


def work(seconds: float, number: int, **values: Any) -> dict[str, Any]:
    """A record of a request of a user in Nova."""
    return samples.event(seconds, **{
        'text': 'works', 'request_id': request(number), 'user_id': USER,
        'project_id': PROJECT} | values)


class TestNodes(base.TestCase):
    """Requests, resources, hosts and services."""

    def test_requests(self) -> None:
        found = of(
            work(2, 1, level=40),
            call(1, 1, 'POST', '/v2.1/servers', status=202,
                 global_request_id=request(9)),
            call(3, 2, 'GET', '/v2.1/servers')).requests.sort('request')
        row = found.row(0, named=True)
        self.assertEqual(
            (request(1), request(9), USER, PROJECT, 2, 1, 'POST', 202),
            tuple(row[n] for n in ('request', 'global', 'user', 'project',
                                   'events', 'errors', 'method', 'status')))
        self.assertEqual((samples.at(1), samples.at(2)),
                         (row['first'], row['last']))

    def test_kinds_of_resources(self) -> None:
        port = samples.event(
            3, f'Attempt to bind port {uuid(5)}', resources=[uuid(5)],
            binary='neutron-api', logger='neutron.plugins')
        port['template'] = 77
        rows = samples.frame(
            call(0, 1, 'GET', f'/v2.1/servers/{uuid(1)}',
                 resources=[uuid(1)]),
            call(0, 2, 'GET', f'/v2.0/ports?device_id={uuid(1)}&x=y',
                 resources=[uuid(1)]),
            call(1, 3, 'DELETE', f'/v3/{PROJECT}/volumes/{uuid(2)}',
                 resources=[uuid(2)]),
            samples.event(2, kind='notification', logger='image.create',
                          resources=[uuid(3)]),
            port,
            samples.event(4, logger='nova.compute.manager',
                          resources=[uuid(4)]),
            samples.event(5, logger='other', resources=[uuid(6)]))
        templates = pl.DataFrame(
            {'template': [77], 'pattern': ['Attempt <*> to bind port <*>']},
            schema_overrides={'template': pl.UInt64})
        found = graph.Graph(rows.lazy(), templates)
        self.assertEqual(
            {uuid(1): 'server', uuid(2): 'volume', uuid(3): 'image',
             uuid(4): 'server', uuid(5): 'port'},
            dict(found.known.iter_rows()))
        self.assertEqual([uuid(2)],
                         found.resources('volume')['resource'].to_list())
        self.assertEqual(
            [request(1), request(2)],
            found.requests_of(uuid(1))['request'].to_list())

    def test_processes_hosts_and_needs(self) -> None:
        found = of(samples.event(0, host='cmp1'),
                   samples.event(1, binary='keystone', service='keystone',
                                 host=None))
        self.assertEqual(['nova-compute', 'keystone'],
                         found.processes['component'].to_list())
        self.assertEqual(['cmp1'], found.hosts['host'].to_list())
        self.assertIn(('nova-compute', 'rabbitmq'), found.needs.rows())
        self.assertIn('mariadb',
                      found.neighbours('keystone')['node'].to_list())

    def test_nothing(self) -> None:
        store = parquet.ParquetStore(self.tmp / 'store')
        found = graph.Graph.of(store)
        for table in (found.requests, found.steps, found.edges,
                      found.touches, found.known, found.processes,
                      found.hosts, found.needs, found.neighbours('x')):
            self.assertTrue(table.is_empty())
        self.assertEqual([request(1)],
                         found.path(request(1))['request'].to_list())

    def test_query_restricts(self) -> None:
        store = parquet.ParquetStore(self.tmp / 'store')
        samples.fill(store, work(0, 1), work(9, 2))
        found = graph.Graph.of(store, stores.Query(since=samples.at(5)))
        self.assertEqual([request(2)], found.requests['request'].to_list())


class TestJoins(base.TestCase):
    """Each kind of join."""

    def kinds(self, found: graph.Graph) -> set[tuple[str, str, str]]:
        return {(a[4:12].lstrip('0'), b[4:12].lstrip('0'), kind)
                for a, b, kind, _s in found.edges.iter_rows()}

    def test_ids(self) -> None:
        self.assertEqual({('1', '2', 'global'), ('1', '3', 'named')},
                         self.kinds(of(
                             work(0, 1, resources=[request(3)]),
                             work(1, 2, global_request_id=request(1)),
                             work(2, 3))))

    def test_message(self) -> None:
        text = 'CALL msg_id: ' + 'a' * 32
        self.assertEqual(
            {('1', '2', 'message')}, self.kinds(of(
                work(1, 2, text=text.replace('CALL', 'received')),
                work(0, 1, text=text),
                work(2, 3, text='CALL msg_id: ' + 'b' * 32))))

    def test_call_and_access_line(self) -> None:
        path = f'/v2.0/ports/{uuid(1)}'
        asks = f'REQ: curl -g -i -X GET http://10.0.0.1:9696{path} -H "x"'
        served = call(2, 2, 'GET', path, service='neutron')
        self.assertEqual(
            {('1', '2', 'call')},
            self.kinds(of(work(1, 1, text=asks), served)))
        # Before the call, another path, and two equal calls at a time.
        for rows in ((work(3, 1, text=asks), served),
                     (work(1, 1, text=asks.replace('ports', 'nets')),
                      served),
                     (work(1, 1, text=asks), work(1, 3, text=asks),
                      served)):
            self.assertEqual(set(), self.kinds(of(*rows)))

    def test_guess_by_resource(self) -> None:
        touched = {'resources': [uuid(1)], 'logger': 'nova.compute.manager'}
        other = call(2, 2, 'DELETE', f'/allocations/{uuid(1)}',
                     service='placement', resources=[uuid(1)],
                     user_id='s' * 32)
        rows = (work(0, 1, **touched), work(5, 1, **touched))
        self.assertEqual({('1', '2', 'resource')},
                         self.kinds(of(*rows, other)))
        more = (work(1, 4, **touched), work(4, 4, **touched))
        self.assertEqual({('1', '2', 'shared'), ('4', '2', 'shared')},
                         self.kinds(of(*rows, *more, other)))
        # Who looks asks for nothing, and who looks was asked by nobody.
        look = [r | {'kind': 'access', 'method': 'GET', 'path': '/x',
                     'status': 200} for r in rows]
        self.assertEqual(set(), self.kinds(of(*look, other)))
        self.assertEqual(set(), self.kinds(of(
            *rows, other | {'method': 'GET'})))
        # Where a service logs global ids, what has none came from a user.
        self.assertEqual({('9', '8', 'global')}, self.kinds(of(
            *rows, other, call(9, 8, 'GET', '/', service='placement',
                               global_request_id=request(9)))))

    def test_guess_by_token(self) -> None:
        rows = (work(0, 1), work(5, 1))
        port = call(2, 2, 'POST', '/v2.0/ports', service='neutron')
        self.assertEqual({('1', '2', 'token')}, self.kinds(of(*rows, port)))
        for other in (port | {'user_id': 'x' * 32},
                      port | {'timestamp': samples.at(30)},
                      port | {'service': 'nova'}):
            self.assertEqual(set(), self.kinds(of(*rows, other)))


class TestPath(base.TestCase):
    """How far joins are followed."""

    def path(self, found: graph.Graph, number: int) -> set[int]:
        return {int(r[4:12]) for r in found.path(request(number))['request']}

    def test_ids_far_and_guesses_near(self) -> None:
        found = of(work(0, 1), work(5, 1),
                   work(1, 2, global_request_id=request(1)),
                   work(2, 2, resources=[request(3)]), work(3, 3),
                   call(2, 4, 'POST', '/v2.0/ports', service='neutron',
                        user_id='n' * 32))
        self.assertEqual({1, 2, 3}, self.path(found, 1))
        self.assertEqual({1, 2, 3}, self.path(found, 3))

    def test_token_alone_is_not_followed(self) -> None:
        found = of(work(0, 1), work(5, 1),
                   call(2, 2, 'POST', '/v2.0/ports', service='neutron'))
        self.assertEqual({1}, self.path(found, 1))
        self.assertEqual([request(2)],
                         found.neighbours(request(1))['node'].to_list()[:1])

    def test_guesses_support_each_other(self) -> None:
        touched = {'resources': [uuid(1)], 'logger': 'nova.compute.manager'}
        found = of(work(1, 1, **touched), work(5, 1, **touched),
                   work(0, 3, **touched), work(6, 3, **touched),
                   call(2, 2, 'POST', f'/v2.0/ports?device_id={uuid(1)}',
                        service='neutron', resources=[uuid(1)]))
        self.assertEqual({1, 2}, self.path(found, 1))
        self.assertEqual({3}, self.path(found, 3))

    def test_other_servers_are_foreign(self) -> None:
        def server(seconds: float, number: int, which: int,
                   **values: Any) -> dict[str, Any]:
            return work(seconds, number, resources=[uuid(which)],
                        logger='nova.compute.manager', **values)

        found = of(
            server(0, 1, 1), work(1, 5, global_request_id=request(1)),
            server(2, 6, 1, global_request_id=request(5)),
            server(3, 7, 2, global_request_id=request(5)))
        self.assertEqual({1, 5, 6}, self.path(found, 1))
        self.assertEqual({5, 6, 7}, self.path(found, 5) - {1})
        self.assertEqual([request(7)], found.foreign(request(1)).to_list())

    def test_circle_and_crowd(self) -> None:
        found = of(work(0, 1, resources=[request(2)]),
                   work(1, 2, resources=[request(1)]),
                   work(2, 3, resources=[request(i) for i in range(400)]))
        self.assertEqual({1, 2}, self.path(found, 1))

    def test_rows(self) -> None:
        found = of(work(0, 1), work(1, 2, global_request_id=request(1)),
                   samples.event(2, resources=[request(1)]), work(3, 4))
        lines = found.rows([request(1)])['line'].sort().to_list()
        self.assertEqual([1, 2, 3], lines)
        without = found.rows([request(1)], pl.Series([request(2)]))
        self.assertEqual([1, 3], without['line'].sort().to_list())

    @hypothesis.settings(deadline=None, max_examples=40)
    @hypothesis.given(strategies.lists(strategies.fixed_dictionaries({
        'text': strategies.text(max_size=30),
        'path': strategies.none() | strategies.text(max_size=20),
        'method': strategies.sampled_from([None, 'GET', 'POST', 'x']),
        'status': strategies.sampled_from([None, 200, 500]),
        'logger': strategies.none() | strategies.text(max_size=9),
        'service': strategies.sampled_from([None, 'nova', 'neutron']),
        'binary': strategies.sampled_from([None, 'nova-api', 'x']),
        'host': strategies.none() | strategies.text(max_size=3),
        'kind': strategies.sampled_from(['log', 'access', 'notification']),
        'request_id': strategies.sampled_from(
            [None, '', 'x', *map(request, range(4))]),
        'global_request_id': strategies.sampled_from(
            [None, '', *map(request, range(4))]),
        'user_id': strategies.sampled_from([None, 'u']),
        'project_id': strategies.sampled_from([None, 'p']),
        'timestamp': strategies.sampled_from(
            [None, *map(samples.at, range(5))]),
        'resources': strategies.lists(strategies.sampled_from(
            [request(1), uuid(1), uuid(2), 'x', '']), max_size=3)}),
        max_size=12))
    def test_whatever_is_logged(self, rows: list[dict[str, Any]]) -> None:
        found = of(*[samples.event(0) | row for row in rows])
        for number in range(4):
            way = found.path(request(number))
            self.assertEqual(request(number), way['request'][0])
            self.assertTrue((way['strength'] >= graph.LEAST).all())
            self.assertEqual(way.height, way['request'].n_unique())
            found.neighbours(request(number))
        found.resources('server')
        found.requests_of(uuid(1))
