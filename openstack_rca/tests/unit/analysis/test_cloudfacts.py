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
"""What answers of the cloud's APIs say."""

import datetime
from typing import Any

import hypothesis
from hypothesis import strategies

from openstack_rca.analysis import cloudfacts
from openstack_rca.analysis import clues
from openstack_rca.analysis import components
from openstack_rca.analysis import ranking
from openstack_rca.tests import base
from openstack_rca.tests import standin

NOW = datetime.datetime(2026, 11, 21, 14, 40)
UUID = '11111111-2222-4333-8444-555555555555'
WINDOW = cloudfacts.Window(NOW - datetime.timedelta(minutes=20), None, NOW,
                           True)
PAST = cloudfacts.Window(None, NOW - datetime.timedelta(hours=1), NOW, False)


def blamed(facts: list[cloudfacts.Fact], named: bool = False,
           others: tuple[ranking.Finding, ...] = ()) -> list[
               tuple[str, str, str, str]]:
    found = cloudfacts.findings(facts, list(others), NOW, named)
    return [(f.component, f.category, f.clue, f.host) for f in found]


def weights(facts: list[cloudfacts.Fact], named: bool = False,
            others: tuple[ranking.Finding, ...] = ()) -> list[float]:
    return [f.weight for f in cloudfacts.findings(
        facts, list(others), NOW, named)]


def refusal(component: str, category: str) -> ranking.Finding:
    return ranking.Finding(component, category, 'x', .9, 'x', (), True, [])


class TestServices(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.answer = standin.recorded()['compute /os-services']

    def test_recorded(self) -> None:
        [fact] = cloudfacts.down(self.answer, 'nova', WINDOW)
        host, since = standin.DOWN
        self.assertEqual(
            ('nova:/os-services?host=cmp2&binary=nova-compute', host,
             datetime.datetime.fromisoformat(since)),
            (fact.source, fact.host, fact.timestamp))
        self.assertIn(f'nova-compute on {host} is down: it last reported at '
                      f'{since} UTC', fact.text)
        self.assertEqual([('nova-compute', 'process_down', 'service down',
                           'cmp2')], blamed([fact]))

    def test_down_for_long_counts_little(self) -> None:
        long = [cloudfacts.Window(NOW, None, NOW, True)]
        for window, name in ((WINDOW, 'down'), (long[0], 'down before')):
            self.assertEqual(
                [cloudfacts.WEIGHTS[name]],
                weights(cloudfacts.down(self.answer, 'nova', window)))

    def test_went_down_behind_the_time(self) -> None:
        until = datetime.datetime(2026, 11, 21, 14, 28)
        self.assertEqual([], cloudfacts.down(
            self.answer, 'nova', cloudfacts.Window(None, until, NOW, True)))

    def test_disabled_is_no_fault(self) -> None:
        for row in self.answer['services']:
            if row['state'] == 'down':
                row['status'] = 'disabled'
        self.assertEqual([], cloudfacts.down(self.answer, 'nova', WINDOW))

    def test_none_left(self) -> None:
        for row in self.answer['services']:
            if row['binary'] == 'nova-compute':
                row['status'] = 'disabled'
        self.assertEqual(
            [('nova-compute', 'process_down', 'no compute service', '')],
            blamed(cloudfacts.down(self.answer, 'nova', WINDOW)))

    def test_volume_service(self) -> None:
        answer = standin.recorded()['block_storage /os-services']
        self.assertEqual([], cloudfacts.down(answer, 'cinder', WINDOW))
        answer['services'][0]['state'] = 'down'
        [fact] = cloudfacts.down(answer, 'cinder', WINDOW)
        self.assertEqual('ctl1@fake1', fact.host)
        self.assertEqual([('cinder-volume', 'process_down', 'service down',
                           'ctl1')], blamed([fact]))

    def test_agents(self) -> None:
        answer = standin.recorded()['network /agents']
        for row in answer['agents']:
            row['alive'] = row['host'] != 'cmp1'
        found = cloudfacts.dead(answer, WINDOW)
        self.assertEqual([('neutron-l2-agent', 'process_down', 'agent down',
                           'cmp1')], blamed(found))
        self.assertRegex(found[0].source, '^neutron:/agents/[0-9a-f-]{36}$')
        for binary, component in (
                ('neutron-l3-agent', 'neutron-l3-agent'),
                ('neutron-dhcp-agent', 'neutron-dhcp-agent'),
                ('neutron-metadata-agent', 'neutron-metadata-agent'),
                ('ovn-controller', 'ovn')):
            for row in answer['agents']:
                row['binary'] = binary
            self.assertEqual([component], [
                b[0] for b in blamed(cloudfacts.dead(answer, WINDOW))])
        for row in answer['agents']:
            row['admin_state_up'] = False
        self.assertEqual([], cloudfacts.dead(answer, WINDOW))


class TestServers(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.answers = standin.recorded()
        self.row = self.answers[f'compute /servers/{standin.SERVER}'][
            'server']

    def test_recorded(self) -> None:
        server, [fact] = cloudfacts.server(self.row, WINDOW)
        self.assertEqual(
            ('ERROR', True, 'VCPU:64,MEMORY_MB:262144,DISK_GB:100',
             standin.PROJECT),
            (server.status, server.failed, server.resources, server.project))
        self.assertEqual(f'nova:/servers/{standin.SERVER}', fact.source)
        self.assertEqual((standin.SERVER,), fact.resources)
        self.assertIn('No valid host was found', fact.text)
        self.assertIn('in _schedule_instances', fact.text)
        self.assertEqual({('compute-capacity', 'capacity')}, {
            b[:2] for b in blamed([fact]) if b[2] == 'no valid host'})

    def test_fault_of_another_time(self) -> None:
        self.assertEqual([], cloudfacts.server(self.row, PAST)[1])
        self.row['fault']['created'] = 'yesterday'
        self.assertEqual([], cloudfacts.server(self.row, WINDOW)[1])

    def test_second_that_began_before(self) -> None:
        # The API tells whole seconds.
        since = datetime.datetime(2026, 11, 21, 14, 28, 36, 900000)
        self.assertTrue(cloudfacts.server(
            self.row, cloudfacts.Window(since, None, NOW, True))[1])

    def test_fault_without_a_clue(self) -> None:
        self.row['fault'] = {'created': '2026-11-21T14:38:36Z',
                             'message': 'Something odd'}
        self.assertEqual(
            [('nova-conductor', 'unknown', 'server fault', '')],
            blamed(cloudfacts.server(self.row, WINDOW)[1]))
        self.row['OS-EXT-SRV-ATTR:host'] = 'cmp3'
        self.assertEqual(
            [('nova-compute', 'unknown', 'server fault', 'cmp3')],
            blamed(cloudfacts.server(self.row, WINDOW)[1]))

    def test_name_is_no_clue(self) -> None:
        self.row['fault'] = {'created': '2026-11-21T14:38:36Z',
                             'message': 'Something odd'}
        self.row['name'] = ('x [Errno 111] Connection refused '
                            'http://10.0.0.1:9292\x1b[31m\u202e' + 'y' * 999)
        [fact] = cloudfacts.server(self.row, WINDOW)[1]
        self.assertEqual(['server fault'], [b[2] for b in blamed([fact])])
        self.assertLess(len(fact.text), 700)
        self.assertNotRegex(fact.text, '[\x1b\u202e]')

    def test_secrets_stay_behind(self) -> None:
        self.row |= {'OS-EXT-SRV-ATTR:user_data': 'c2VjcmV0',
                     'metadata': {'password': 'hunter2'},
                     'adminPass': 'hunter2'}
        text = repr(cloudfacts.server(self.row, WINDOW))
        self.assertNotIn('c2VjcmV0', text)
        self.assertNotIn('hunter2', text)

    def test_what_is_asked_of_placement(self) -> None:
        for change, wanted in (
                ({'image': ''}, 'VCPU:64,MEMORY_MB:262144'),
                ({'flavor': {'vcpus': 1, 'ram': 2, 'disk': 1, 'ephemeral': 4,
                             'swap': 1025}}, 'VCPU:1,MEMORY_MB:2,DISK_GB:7'),
                ({'flavor': {'vcpus': 1, 'ram': 2, 'extra_specs': {
                    'resources:VCPU': '0'}}}, '')):
            self.assertEqual(wanted, cloudfacts.server(
                self.row | change, WINDOW)[0].resources)

    def test_action(self) -> None:
        path = f'compute /servers/{standin.SERVER}/os-instance-actions'
        [request] = cloudfacts.actions(self.answers[path], WINDOW)
        self.assertEqual([], cloudfacts.actions(self.answers[path], PAST))
        _hosts, [fact] = cloudfacts.action(
            self.answers[f'{path}/{request}'], standin.SERVER, WINDOW)
        self.assertEqual((request, 'nova-conductor', (standin.SERVER,)),
                         (fact.request, fact.binary, fact.resources))
        self.assertIn('Traceback (most recent call last):\n', fact.text)
        self.assertIn('conductor_schedule_and_build_instances', fact.source)
        self.assertIn('no valid host', [b[2] for b in blamed([fact])])

    def test_action_without_an_end(self) -> None:
        path = f'compute /servers/{standin.SERVER}/os-instance-actions'
        [request] = cloudfacts.actions(self.answers[path], WINDOW)
        answer = self.answers[f'{path}/{request}']
        answer['instanceAction']['events'] = [{
            'event': 'compute__do_build_and_run_instance', 'host': 'cmp3',
            'start_time': '2026-11-21T14:28:00.000000', 'finish_time': None,
            'result': None, 'traceback': None}]
        hosts, facts = cloudfacts.action(answer, UUID, WINDOW)
        self.assertEqual(['cmp3'], hosts)
        self.assertEqual([('nova-compute', 'hang', 'action unfinished',
                           'cmp3')], blamed(facts))
        early = cloudfacts.Window(None, None, datetime.datetime(
            2026, 11, 21, 14, 30), True)
        for window in (early, PAST):
            self.assertEqual((['cmp3'], []),
                             cloudfacts.action(answer, UUID, window))

    def test_no_room(self) -> None:
        server, _ = cloudfacts.server(self.row, WINDOW)
        nothing: dict[str, Any] = {'allocation_requests': [],
                                   'provider_summaries': {}}
        some: dict[str, Any] = {'allocation_requests': [{}]}
        odd: dict[str, Any] = {'allocation_requests': None}
        answers = dict.fromkeys(server.resources.split(','), some) | {
            server.resources: nothing, 'MEMORY_MB:262144': nothing}
        [fact] = cloudfacts.no_room(answers, server)
        self.assertIn('No provider has MEMORY_MB:262144.', fact.text)
        self.assertNotIn('No provider has VCPU', fact.text)
        self.assertEqual(
            [('compute-capacity', 'capacity', 'no room', '')],
            blamed([fact]))
        answers['MEMORY_MB:262144'] = some
        self.assertIn('not all on one provider', cloudfacts.no_room(
            answers, server)[0].text)
        for other in (some, {}, odd):
            answers[server.resources] = other
            self.assertEqual([], cloudfacts.no_room(answers, server))

    def test_what_others_suffer_counts_less(self) -> None:
        _, facts = cloudfacts.server(self.row, WINDOW)
        alone, named = weights(facts), weights(facts, named=True)
        self.assertEqual([w / 2 for w in alone], named)

    def test_no_allocation(self) -> None:
        server, _ = cloudfacts.server(self.row | {'status': 'ACTIVE'},
                                      WINDOW)
        for answer, found in (({'allocations': {}}, ['no allocation']),
                              ({'allocations': {'x': {}}}, []), ({}, [])):
            self.assertEqual(found, [b[2] for b in blamed(
                cloudfacts.unallocated(answer, server))])


class TestPortsAndVolumes(base.TestCase):

    def port(self, **more: Any) -> dict[str, Any]:
        return {'ports': [{
            'id': UUID, 'device_id': standin.SERVER, 'status': 'DOWN',
            'binding:vif_type': 'ovs', 'binding:host_id': 'cmp1',
            'updated_at': '2026-11-21T14:30:00Z', 'project_id': 'p',
            'admin_state_up': True} | more]}

    def server(self, status: str) -> cloudfacts.Server:
        return cloudfacts.Server(standin.SERVER, status, 'cmp1', 'p', False,
                                 '', ())

    def test_binding_failed(self) -> None:
        found = cloudfacts.ports(self.port(**{
            'binding:vif_type': 'binding_failed'}), self.server('ERROR'))
        self.assertEqual([('neutron-l2-agent', 'network', 'binding failed',
                           'cmp1')], blamed(found))
        self.assertEqual((UUID, standin.SERVER), found[0].resources)

    def test_down(self) -> None:
        for status, state, found in (
                ('ACTIVE', 'DOWN', ['port down']), ('ERROR', 'DOWN', []),
                ('ACTIVE', 'ACTIVE', [])):
            self.assertEqual(found, [b[2] for b in blamed(cloudfacts.ports(
                self.port(status=state), self.server(status)))])

    def test_volumes(self) -> None:
        for row, window, found in (
                ({'status': 'error'}, WINDOW, ['volume error']),
                ({'status': 'error_deleting'}, WINDOW, ['volume error']),
                ({'status': 'error'}, PAST, []),
                ({'status': 'attaching'}, WINDOW, ['volume stuck']),
                ({'status': 'attaching'}, PAST, []),
                ({'status': 'creating',
                  'updated_at': '2026-11-21T14:39:00'}, WINDOW, []),
                ({'status': 'available'}, WINDOW, [])):
            whole = {'id': UUID, 'name': 'v', 'os-vol-host-attr:host':
                   'ctl1@lvm#pool', 'updated_at':
                   '2026-11-21T14:25:00.000000'} | row
            facts = cloudfacts.volumes([whole], window)
            self.assertEqual(found, [b[2] for b in blamed(facts)], str(row))
            self.assertEqual(['ctl1'] * len(facts),
                             [b[3] for b in blamed(facts)])


class TestLimits(base.TestCase):

    def test_quota(self) -> None:
        answers = standin.recorded()
        path = f'/os-quota-sets/{standin.PROJECT}/detail'
        [fact] = cloudfacts.quotas(answers[f'compute {path}'], 'nova',
                                   standin.PROJECT, f'nova:{path}')
        self.assertIn('instances 9 of 8', fact.text)
        self.assertNotIn('cores', fact.text)
        self.assertEqual([('nova-api', 'quota', 'quota reached', '')],
                         blamed([fact]))
        self.assertEqual([], cloudfacts.quotas(
            answers[f'network /quotas/{standin.PROJECT}/details'], 'neutron',
            standin.PROJECT, 'x'))

    def test_quota_counts_where_something_was_refused(self) -> None:
        [fact] = cloudfacts.quotas({'quota_set': {'volumes': {
            'limit': 3, 'in_use': 2, 'reserved': 1}}}, 'cinder', 'p', 'x')
        self.assertEqual([cloudfacts.WEIGHTS['quota']], weights([fact]))
        self.assertEqual(
            [cloudfacts.WEIGHTS['quota']],
            weights([fact], others=(refusal('nova-api', 'quota'),)))
        self.assertEqual(
            [cloudfacts.WEIGHTS['quota and refused']],
            weights([fact], others=(refusal('cinder-api', 'quota'),)))

    def test_what_is_no_limit(self) -> None:
        for limit, used in ((-1, 9), (0, 0), (9, 8), (None, 9), ('9', 9),
                            (True, 9)):
            self.assertEqual([], cloudfacts.quotas({'quota': {'port': {
                'limit': limit, 'used': used}}}, 'neutron', 'p', 'x'))

    def test_hypervisors(self) -> None:
        answer = standin.recorded()['compute /os-hypervisors/detail']
        self.assertEqual([], cloudfacts.full(answer))
        for row in answer['hypervisors']:
            if row['state'] == 'up':
                row['free_ram_mb'] = 100
        facts = cloudfacts.full(answer)
        self.assertEqual([('compute-capacity', 'capacity', 'hosts full',
                           '')], blamed(facts))
        self.assertEqual([cloudfacts.WEIGHTS['full']], weights(facts))
        self.assertEqual(
            [cloudfacts.WEIGHTS['full and missed']],
            weights(facts, others=(
                refusal('compute-capacity', 'capacity'),)))

    def test_resource_class(self) -> None:
        self.assertEqual([], cloudfacts.used_up(
            {'allocation_requests': [{}]}, 'VCPU'))
        [fact] = cloudfacts.used_up({'allocation_requests': []}, 'VCPU')
        self.assertIn('No resource provider has one VCPU left', fact.text)


class TestWeights(base.TestCase):

    def test_each_is_a_share(self) -> None:
        for name, weight in cloudfacts.WEIGHTS.items():
            self.assertTrue(0 < weight < 1, name)

    def test_what_healthy_clouds_have_names_no_cause(self) -> None:
        # A quarter is the score from which a cause is named.
        for name in ('quota', 'full', 'down before', 'api slow',
                     'api failing'):
            finding = ranking.Finding(
                'nova-api', 'quota', name, cloudfacts.WEIGHTS[name], 'x', (),
                True, [])
            self.assertLess(ranking.rank([finding], ('nova',))[0].score,
                            0.25, name)


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats() | strategies.text(max_size=9)
    | strategies.sampled_from(['ERROR', 'down', 'enabled', UUID,
                               '2026-11-21T14:39:00Z', 'nova-compute']),
    lambda inner: strategies.lists(inner, max_size=3)
    | strategies.dictionaries(strategies.sampled_from([
        'id', 'status', 'state', 'binary', 'host', 'fault', 'message',
        'created', 'events', 'event', 'result', 'limit', 'in_use', 'flavor',
        'updated_at', 'start_time', 'alive', 'free_ram_mb', 'name']), inner,
        max_size=8), max_leaves=20)


class TestNonsense(base.TestCase):

    @hypothesis.given(body=JSON)
    def test_any_answer_is_read(self, body: Any) -> None:
        whole = {name: body for name in (
            'services', 'agents', 'hypervisors', 'ports', 'server',
            'instanceActions', 'instanceAction', 'allocation_requests',
            'allocations', 'quota', 'quota_set')}
        facts = cloudfacts.down(whole, 'nova', WINDOW)
        facts += cloudfacts.dead(whole, WINDOW) + cloudfacts.full(whole)
        facts += cloudfacts.used_up(whole, 'VCPU')
        server, more = cloudfacts.server(
            cloudfacts.part(whole, 'server'), WINDOW)
        facts += more
        facts += cloudfacts.no_room({server.resources: whole}, server)
        facts += cloudfacts.unallocated(whole, server)
        cloudfacts.actions(whole, WINDOW)
        facts += cloudfacts.action(whole, UUID, WINDOW)[1]
        facts += cloudfacts.ports(whole, server)
        facts += cloudfacts.volumes(cloudfacts.rows(whole, 'ports'), WINDOW)
        for name in ('nova', 'neutron'):
            facts += cloudfacts.quotas(whole, name, 'p', 'x')
        for finding in cloudfacts.findings(facts, [], NOW):
            self.assertIn(finding.component, components.COMPONENTS)
            self.assertIn(finding.category, components.CATEGORIES)
            self.assertIsInstance(finding.events[0]['text'], str)

    @hypothesis.given(strategies.text())
    def test_text_can_be_shown(self, value: str) -> None:
        found = cloudfacts.text(value, 80)
        self.assertLess(len(found), 90)
        found.encode()
        self.assertTrue(found.isprintable() or all(
            c.isprintable() or ord(c) > 0x9f for c in found), repr(found))

    def test_api_clues_are_weighed(self) -> None:
        for how, (clue, category, _cause) in cloudfacts.API_CLUES.items():
            fact = cloudfacts.api('cinder', '/x', how, 'did not answer')
            self.assertEqual([('cinder-api', category, clue, '')],
                             blamed([fact]))
            self.assertIsInstance(fact.blames[0], clues.Blame)
