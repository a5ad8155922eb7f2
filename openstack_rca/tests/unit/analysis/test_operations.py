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
"""What was done to a server, and how each operation ended."""

import json
from typing import Any

import hypothesis
from hypothesis import strategies

from openstack_rca.analysis import operations
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

SERVER = '5f0f5e3c-7f4e-4f0a-9a3c-1d2e3f405162'
END = 1000


def request(number: int) -> str:
    return f'req-{number:08}-0000-0000-0000-000000000000'


def told(seconds: float, event: str, state: str = 'active', number: int = 1,
         **payload: Any) -> dict[str, Any]:
    """A versioned notification."""
    data = {'uuid': SERVER, 'state': state, 'task_state': None,
            'host': 'cmp1', 'flavor': {'nova_object.data': {
                'name': 'm1.small'}}, 'fault': None} | payload
    return samples.event(
        seconds, json.dumps({
            'event_type': f'instance.{event}',
            'payload': {'nova_object.data': data}}),
        kind='notification', logger=f'instance.{event}',
        request_id=request(number), resources=[SERVER], message=event)


def line(seconds: float, text: str, number: int = 1,
         **values: Any) -> dict[str, Any]:
    """A record of nova-compute."""
    return samples.event(seconds, text, resources=[SERVER],
                         **{'request_id': request(number)} | values)


def call(seconds: float, method: str, path: str, status: int = 202,
         number: int = 1) -> dict[str, Any]:
    """An access line of nova-api."""
    return samples.event(
        seconds, f'"{method} {path}" status: {status}', kind='access',
        binary='nova-api', method=method, path=path, status=status,
        latency=0.5, request_id=request(number))


def read(*rows: dict[str, Any], computes: bool = True
         ) -> list[operations.Operation]:
    """The operations that rows show."""
    return operations.read(rows, samples.at(END), computes)[0]


ACTION = f'/v2.1/servers/{SERVER}/action'


class TestOperations(base.TestCase):

    def test_finished(self) -> None:
        found, = read(
            call(1, 'POST', '/v2.1/servers'),
            told(2, 'create.start', 'building'),
            line(3, 'Took 1.0 seconds to build instance.'),
            told(3, 'create.end'))
        self.assertEqual(
            ('create', 'finished', ''),
            (found.name, found.outcome, found.reason))
        self.assertEqual(samples.at(0.5), found.begin)
        self.assertEqual(samples.at(3), found.last)
        self.assertEqual(['cmp1'], found.hosts)
        self.assertEqual([request(1)], found.requests)

    def test_failed_with_a_fault(self) -> None:
        found, = read(
            told(1, 'create.start', 'building'),
            told(2, 'create.error', 'building', fault={
                'exception': 'NoSpace', 'exception_message': 'disk is full'
            }), told(3, 'update', 'error'))
        self.assertEqual(('failed', 'NoSpace: disk is full'),
                         (found.outcome, found.reason))

    def test_error_state_without_a_fault(self) -> None:
        found, = read(told(1, 'resize_prep.start'),
                      told(3, 'update', 'error'))
        self.assertEqual('failed', found.outcome)
        self.assertIn('no record says why', found.reason)

    def test_refused_and_failed_calls(self) -> None:
        for status, outcome in ((409, 'refused'), (500, 'failed')):
            found, = read(
                call(1, 'DELETE', f'/v2.1/servers/{SERVER}', status),
                line(1, 'HTTP exception thrown: It is locked'))
            self.assertEqual(outcome, found.outcome)
            self.assertEqual(f'HTTP {status}: It is locked', found.reason)

    def test_accepted_and_nothing_followed(self) -> None:
        found, = read(call(1, 'POST', '/v2.1/servers'))
        self.assertEqual('never finished', found.outcome)
        self.assertIn('nothing followed', found.reason)
        # Nobody who would have told it was read.
        found, = read(call(1, 'POST', '/v2.1/servers'), computes=False)
        self.assertEqual('no record of its end', found.outcome)

    def test_start_without_an_end(self) -> None:
        rows = (told(1, 'resize_prep.start'), told(2, 'resize_prep.end'),
                told(3, 'resize.start'), told(4, 'resize.end'))
        found, = read(*rows)
        self.assertEqual('never finished', found.outcome)
        self.assertIn('resize end', found.reason)
        found = operations.read(rows, samples.at(10), True)[0][0]
        self.assertEqual('not finished when the logs end', found.outcome)

    def test_resize_that_changed_nothing(self) -> None:
        before = told(0, 'update', number=9)
        rows = [told(1, 'resize_prep.start'), told(2, 'resize_prep.end'),
                told(3, 'resize.start'), told(4, 'resize.end'),
                told(5, 'resize_finish.start', 'resized')]
        for change, outcome in (
                ({}, 'said to be finished, but is not'),
                ({'flavor': {'nova_object.data': {'name': 'm1.big'}}},
                 'finished'), ({'host': 'cmp2'}, 'finished')):
            found, = read(before, *rows, told(
                6, 'resize_finish.end', 'resized', **change))
            self.assertEqual(outcome, found.outcome)

    def test_end_in_a_wrong_state(self) -> None:
        found, = read(told(1, 'pause.start'), told(2, 'pause.end'))
        self.assertEqual('said to be finished, but is not', found.outcome)
        self.assertIn('state active and not paused', found.reason)
        found, = read(told(1, 'pause.start'), told(2, 'pause.end', 'paused'))
        self.assertEqual('finished', found.outcome)

    def test_attached_says_the_api_alone(self) -> None:
        path = f'/v2.1/servers/{SERVER}/os-volume_attachments'
        found, = read(call(1, 'POST', path, 200))
        self.assertEqual('said to be finished, but is not', found.outcome)
        found, = read(call(1, 'POST', path, 200),
                      line(2, 'Attaching volume x to /dev/vdb'))
        self.assertEqual('no record of its end', found.outcome)

    def test_logged_under_another_request(self) -> None:
        found, = read(
            call(1, 'POST', '/v2.1/servers'),
            line(3, 'Took 9 seconds to build instance.', number=7))
        self.assertEqual('finished', found.outcome)
        self.assertEqual({request(1), request(7)}, set(found.requests))

    def test_names_of_actions(self) -> None:
        named = "Action: 'action', calling method: <x>, body: {\"%s\": null}"
        for number in (1, 5):
            # The line may carry the id of another request.
            found, = read(
                line(0.8, named % 'os-stop', number=number),
                call(1, 'POST', ACTION))
            self.assertEqual('stop', found.name)
        found, = read(call(1, 'POST', ACTION), line(2, 'Rebooting instance'))
        self.assertEqual('reboot', found.name)
        found, = read(call(1, 'POST', ACTION))
        self.assertEqual('action', found.name)

    def test_older_notifications(self) -> None:
        for event, phase in (
                ('compute.instance.finish_resize.end', 'resize_finish'),
                ('compute.instance.resize.confirm.end', 'resize_confirm'),
                ('instance.resize_revert.end', 'resize_revert'),
                ('compute.instance.live_migration._post.end',
                 'live_migration_post')):
            self.assertEqual((phase, 'end'), operations.phase_of(event))
        self.assertEqual(('volume_attach', ''), operations.phase_of(
            'compute.instance.volume.attach'))
        for event in ('port.create.end', 'instance', '', '..', 'instance.'):
            operations.phase_of(event)
        self.assertEqual(('', ''), operations.phase_of('port.create.end'))

    def test_migration_without_a_host(self) -> None:
        row = samples.event(
            2, '{}', kind='notification', request_id=request(1),
            logger='compute_task.migrate_server.error',
            message="compute_task.migrate_server.error state=active reason="
                    "{'message': 'No valid host', 'class': 'NoValidHost'}")
        found, = read(call(1, 'POST', ACTION), row)
        self.assertEqual(('resize', 'failed', 'No valid host'),
                         (found.name, found.outcome, found.reason))

    def test_finished_after_a_failure(self) -> None:
        found, = read(
            told(1, 'create.start', 'building'),
            line(2, 'Failed to build and run instance: x', level=40),
            told(30, 'create.start', 'building'), told(31, 'create.end'))
        self.assertEqual('finished', found.outcome)
        self.assertIn('after a failure: Failed to build', found.reason)

    def test_where_it_stood_still(self) -> None:
        found, = read(told(1, 'update', 'building', task_state='scheduling'),
                      told(91, 'create.start', 'building'),
                      told(93, 'create.end'))
        self.assertEqual('finished', found.outcome)
        self.assertIn('stood still for 90 seconds', found.reason)
        self.assertIn('task scheduling', found.reason)

    def test_many_in_order(self) -> None:
        found = read(
            told(1, 'create.start', 'building'), told(2, 'create.end'),
            told(5, 'reboot.start', number=2), told(6, 'reboot.end',
                                                    number=2),
            told(8, 'delete.start', number=3),
            told(9, 'delete.end', 'deleted', number=3))
        self.assertEqual(
            [('create', 'finished'), ('reboot', 'finished'),
             ('delete', 'finished')], [(o.name, o.outcome) for o in found])

    def test_steps_are_few(self) -> None:
        found, = read(told(0, 'create.start', 'building'), *[
            told(1 + i, 'update', 'building', task_state=f't{i}')
            for i in range(50)], told(60, 'create.end'))
        steps = operations.steps(found)
        self.assertLess(len(steps), 20)
        self.assertEqual('create start', steps[0].text)
        self.assertEqual('create end', steps[-1].text)

    @hypothesis.settings(deadline=None, max_examples=60)
    @hypothesis.given(strategies.lists(strategies.tuples(
        strategies.sampled_from([
            'create.start', 'create.end', 'resize.start', 'update',
            'resize_finish.end', 'delete.error', 'lock', '.', '']),
        strategies.recursive(
            strategies.none() | strategies.booleans() | strategies.text(
                max_size=5) | strategies.integers(),
            lambda inner: strategies.lists(inner, max_size=3)
            | strategies.dictionaries(strategies.sampled_from(
                ['state', 'fault', 'flavor', 'exception', 'state_update',
                 'task_state', 'host', 'nova_object.data', 'message']),
                inner, max_size=4), max_leaves=12)), max_size=6),
        strategies.text(max_size=40))
    def test_whatever_is_sent(
            self, payloads: list[tuple[str, Any]], text: str) -> None:
        rows = [samples.event(
            i, json.dumps({'payload': payload}), kind='notification',
            logger=f'instance.{event}', request_id=request(i % 2),
            message=text) for i, (event, payload) in enumerate(payloads)]
        rows.append(samples.event(3, text, kind='notification',
                                  logger='instance.create.end'))
        rows.append(samples.event(4, text, level=40,
                                  request_id=request(1)))
        for found in read(*rows):
            self.assertIn(found.outcome, (
                'finished', 'failed', 'never finished', 'refused',
                'said to be finished, but is not', 'no record of its end',
                'not finished when the logs end'))
            json.dumps([found.reason, found.hosts, found.requests])
