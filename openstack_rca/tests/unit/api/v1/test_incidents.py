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
"""Tests for incidents."""

from typing import Any

from openstack_rca import exception
from openstack_rca.tests.unit.api import base

PATH = f'/v1/incidents/{base.ID}'


class TestIncidents(base.APITestCase):

    def test_list(self) -> None:
        self.incidents.incident_list.return_value = ([base.INCIDENT], True)
        answer = self.call('GET', '/v1/incidents?limit=1&status=open')
        self.assertEqual([base.INCIDENT], answer.json['incidents'])
        self.assertIn(f'status=open&marker={base.ID}',
                      answer.json['incidents_links'][0]['href'])
        self.incidents.incident_list.assert_called_once_with(
            base.PROJECT, 1, marker=None, status='open')

    def test_bad_parameters(self) -> None:
        for query in ('status=queued', 'limit=0', 'marker=1', 'kind=trace'):
            self.assert_error(400,
                              self.call('GET', f'/v1/incidents?{query}'))
        self.incidents.incident_list.assert_not_called()

    def test_show(self) -> None:
        self.incidents.incident_get.return_value = base.INCIDENT
        answer = self.call('GET', PATH)
        self.assertEqual((200, base.INCIDENT), (answer.code, answer.json))
        self.incidents.incident_get.assert_called_once_with(
            base.PROJECT, base.ID)

    def test_not_there(self) -> None:
        gone = exception.NotFound(what='incident', id=base.ID)
        self.incidents.incident_get.side_effect = gone
        self.incidents.incident_update.side_effect = gone
        for path in (PATH, '/v1/incidents/x'):
            self.assert_error(404, self.call('GET', path))
            self.assert_error(404, self.call('PATCH', path,
                                             {'status': 'open'}))

    def test_update(self) -> None:
        self.incidents.incident_update.return_value = base.INCIDENT
        for body in ({'status': 'acknowledged'},
                     {'status': 'resolved', 'resolution': 'More memory.'},
                     {'status': 'suppressed', 'suppressed_until': None},
                     {'resolution': None}):
            self.incidents.incident_update.reset_mock()
            answer = self.call('PATCH', PATH, body)
            self.assertEqual((200, base.INCIDENT),
                             (answer.code, answer.json))
            self.incidents.incident_update.assert_called_once_with(
                base.PROJECT, base.ID, base.USER, body)

    def test_suppressed_until(self) -> None:
        self.incidents.incident_update.return_value = base.INCIDENT
        # A leap second is none of Python's.
        answer = self.call('PATCH', PATH, {
            'status': 'suppressed', 'resolution': 'We know.',
            'suppressed_until': '2998-12-31T23:59:60.5+01:00'})
        self.assertEqual(200, answer.code)
        self.incidents.incident_update.assert_called_once_with(
            base.PROJECT, base.ID, base.USER, {
                'status': 'suppressed', 'resolution': 'We know.',
                'suppressed_until': '2998-12-31T23:00:00.500000+00:00'})

    def test_bad_fields(self) -> None:
        bodies: tuple[tuple[Any, str], ...] = (
            ({}, 'at least one of status, resolution, suppressed_until'),
            ({'status': 'closed'}, 'must be one of open, acknowledged'),
            ({'suppressed_until': 'tomorrow'}, 'offset from UTC'),
            ({'suppressed_until': '2998-12-31T00:00:00'}, 'offset from UTC'),
            ({'status': None}, 'status: must be'),
            ({'resolution': 'x' * 10001}, '10001 characters'),
            ({'resolution': 5}, 'must be a string or null'),
            ({'title': 'x'}, "'title' is not known here"))
        for body, said in bodies:
            self.assert_error(400, self.call('PATCH', PATH, body), said)
        self.incidents.incident_update.assert_not_called()

    def test_a_time_that_is_over(self) -> None:
        self.assert_error(409, self.call('PATCH', PATH, {
            'status': 'suppressed',
            'suppressed_until': '2026-11-20T23:59:59Z'}),
            'must not be over yet')
        self.incidents.incident_update.assert_not_called()

    def test_illegal_step(self) -> None:
        self.incidents.incident_update.side_effect = exception.Conflict(
            reason='It is resolved.')
        self.assert_error(409, self.call('PATCH', PATH, {
            'status': 'acknowledged'}), 'It is resolved.')
