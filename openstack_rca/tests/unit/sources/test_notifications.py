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
"""Tests of notifications as lines."""

import datetime
import json
from typing import Any

import hypothesis
from hypothesis import strategies

from openstack_rca.events import parser
from openstack_rca.sources import notifications
from openstack_rca.tests import base

NOW = datetime.datetime(2026, 11, 21, 18, 0, 0, tzinfo=datetime.UTC)

_VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers()
    | strategies.floats() | strategies.text(), lambda inner:
    strategies.lists(inner, max_size=4) | strategies.dictionaries(
        strategies.text(max_size=9) | strategies.sampled_from((
            'event_type', 'payload', 'message_id', 'timestamp', 'priority',
            'publisher_id', 'nova_object.data', 'initiator', 'oslo.message',
            'received_at', 'flavor', 'uuid', 'fault', 'typeURI')),
        inner, max_size=5))


def told(**more: Any) -> dict[str, Any]:
    """A notification of Nova, with other fields."""
    return {'message_id': '6d7f', 'publisher_id': 'compute.cmp1',
            'event_type': 'compute.instance.update', 'priority': 'INFO',
            'timestamp': '2026-11-21 17:59:59.5',
            'payload': {'state': 'active'}, **more}


class TestMessage(base.TestCase):

    def _record(self, context: Any, message: Any) -> dict[str, Any]:
        made = notifications.message(context, message, NOW)
        record: dict[str, Any] = json.loads(made.line)
        self.assertEqual(made.id, record['message_id'])
        return record

    def test_whole(self) -> None:
        made = notifications.message({'request_id': 'req-1'}, told(), NOW)
        self.assertFalse(made.cut)
        self.assertEqual('6d7f', made.id)
        self.assertEqual(
            {**told(), 'received_at': '2026-11-21T18:00:00+00:00',
             'ctxt': {'request_id': 'req-1'}}, json.loads(made.line))
        # Ids are found in lines that are cut.
        found = notifications.ID.match(made.line.decode())
        assert found is not None
        self.assertEqual('6d7f', found[1])

    def test_context(self) -> None:
        record = self._record(
            {'request_id': 'req-1', 'auth_token': 'gAAAA', 'project': 'p',
             'service_catalog': [{'a': 'gAAAA'}], 'user_id': None,
             'password': 'gAAAA'}, told())
        self.assertEqual({'request_id': 'req-1', 'project': 'p'},
                         record['ctxt'])

    def test_secrets_of_payload(self) -> None:
        made = notifications.message({}, told(payload={
            'adminPass': 'hidden', 'user_data': 'hidden', 'key_name': 'mine',
            'password_set': False, 'rows': [{'access_token': 'hidden'}],
            'credentials': {'a': 'hidden'}, 'secret': ''}), NOW)
        self.assertNotIn(b'hidden', made.line)
        payload = json.loads(made.line)['payload']
        self.assertEqual('***', payload['adminPass'])
        self.assertEqual('***', payload['rows'][0]['access_token'])
        self.assertEqual('mine', payload['key_name'])
        self.assertIs(False, payload['password_set'])

    def test_secrets_of_what_is_cut(self) -> None:
        made = notifications.message({}, told(payload={
            'console': 'x' * 300_000, 'adminPass': 'hidden'}), NOW)
        self.assertTrue(made.cut)
        self.assertNotIn(b'hidden', made.line)

    def test_no_id(self) -> None:
        # What comes again later is the same.
        first = notifications.message({}, told(message_id=None), NOW)
        later = notifications.message(
            {}, told(message_id=None), NOW + datetime.timedelta(hours=1))
        other = notifications.message(
            {}, told(message_id=None, priority='WARN'), NOW)
        self.assertEqual(first.id, later.id)
        self.assertNotEqual(first.id, other.id)
        numbered = notifications.message({}, told(message_id=7), NOW, 'n1')
        self.assertEqual('n1', numbered.id)
        for wrong in ('a"b', 'a\\b', 'a\nb', 'x' * 200):
            made = notifications.message({}, told(message_id=wrong), NOW)
            self.assertEqual(made.id, json.loads(made.line)['message_id'])
            self.assertRegex(made.id, r'^[0-9a-f]{32}$')

    def test_no_notification(self) -> None:
        record = self._record({}, {'what': 'ever'})
        self.assertEqual('unknown', record['event_type'])
        self.assertEqual({'what': 'ever'}, record['payload'])
        for message in ('text', [1], None, 7):
            record = self._record(None, message)
            self.assertEqual('unknown', record['event_type'])
            self.assertEqual(message, record['payload'])

    def test_large(self) -> None:
        payload = {'console': 'x' * (5 << 20), 'instance_id': 'a-b',
                   'rows': [{'a': ['b' * 100] * 50}] * 5000}
        made = notifications.message({}, told(payload=payload), NOW)
        self.assertTrue(made.cut)
        self.assertLess(len(made.line), 1 << 19)
        record = json.loads(made.line)
        self.assertEqual('6d7f', record['message_id'])
        self.assertEqual('a-b', record['payload']['instance_id'])

    def test_deep(self) -> None:
        deep: Any = 'core'
        for _ in range(900):
            deep = {'a': deep, 'password': 'hidden'}
        made = notifications.message({}, told(payload=deep), NOW)
        self.assertTrue(made.cut)
        self.assertNotIn(b'hidden', made.line)
        json.loads(made.line)

    def test_no_json(self) -> None:
        made = notifications.message({}, told(payload={'a': {1, 2}}), NOW)
        self.assertIn('1, 2', json.loads(made.line)['payload']['a'])

    @hypothesis.given(_VALUES, _VALUES)
    def test_whatever(self, context: Any, message: Any) -> None:
        made = notifications.message(context, message, NOW)
        self.assertNotIn(b'\n', made.line)
        piece = parser.parse([parser.Part(
            made.line + b'\n', parser.Origin('d', kind='notifications'))])
        row, = piece.events.to_dicts()
        self.assertIn(row['kind'], ('notification', 'log'))
        self.assertEqual(0, piece.parts['unparsed'][0])
