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
"""Tests of records that are JSON."""

import datetime
import json
from typing import Any

from openstack_rca.tests import base as tests
from openstack_rca.tests.unit.events import base
from openstack_rca.tests.unit.events import test_parser

at = test_parser.at

USER = 'fad5d52d7d994013b06bab4b87f233d5'
PROJECT = 'fa86c96207b848bea03ec6fa74787457'
OWN = 'req-25aaf121-0f7b-4089-9044-0122348d7d7c'
GLOBAL = 'req-bd5b58a8-080a-4aec-b1e2-3f9bc50dbabb'


class TestOslo(test_parser.FixtureCase):

    def test_records(self) -> None:
        rows = self.rows('oslo-json.log')
        self.assertEqual(test_parser.TestOslo.LEVELS,
                         [r['level'] for r in rows])
        self.assertRow(
            rows[0], timestamp=at('05:34:38.484553'), kind='log', pid=20374,
            host='vm', logger='nova.service', request_id=None,
            message='Starting compute node (version 0.0.1)', user_id=None)
        self.assertRow(
            rows[2], request_id=base.REQUEST, global_request_id=None,
            user_id=USER, project_id=PROJECT, resources=[base.SERVER],
            timestamp=at('05:34:38.485260'))
        # An instance by its UUID alone, and a resource.
        self.assertRow(rows[4], resources=[base.SERVER])
        self.assertRow(rows[6], resources=[
            'aeef1592-3ccb-4639-a401-b8cc9fc49ca2'])
        self.assertRow(rows[5], request_id=OWN, global_request_id=GLOBAL,
                       user_id=USER, project_id=PROJECT)
        self.assertEqual(3, len(rows[10]['message'].split('\n')))

    def test_traceback(self) -> None:
        row = self.rows('oslo-json.log')[11]
        self.assertRow(row, lines=1, pattern='Instance failed to spawn')
        self.assertIn('\n  File "/opt/fx/oslo_log_sample.py", line 41, in '
                      'claim\n', row['message'])
        self.assertTrue(row['message'].endswith(
            'RuntimeError: Claim failed'))

    def test_traceback_as_a_list(self) -> None:
        # Releases before Ocata.
        row, = base.rows(json.dumps({
            'levelname': 'ERROR', 'message': 'a', 'created': 1.5,
            'traceback': ['Traceback:\n  File "x"', 'ValueError\n']}))
        self.assertEqual('a\nTraceback:\n  File "x"\nValueError',
                         row['message'])
        self.assertEqual(datetime.datetime(1970, 1, 1, 0, 0, 1, 500000),
                         row['timestamp'])

    def test_local_time(self) -> None:
        record = {'levelname': 'INFO', 'message': 'a', 'msecs': 250.5,
                  'asctime': '2026-11-21 05:34:38'}
        row, = base.rows(json.dumps(record), timezone='Europe/Berlin')
        self.assertEqual(at('04:34:38.250500'), row['timestamp'])

    def test_two_errors_are_two(self) -> None:
        line = json.dumps({'levelname': 'ERROR', 'message': 'a',
                           'name': 'x.y', 'created': 1.5, 'process': 1})
        self.assertEqual(2, len(base.rows(f'{line}\n{line}\n')))

    def test_among_plain_lines(self) -> None:
        record = (base.LOGS / 'oslo-json.log').read_text().splitlines()[0]
        plain = '2026-11-21 05:33:52.786 1 INFO nova.x [-] hello'
        for text in (f'{plain}\n{record}\nstray\n{plain}\n',
                     f'stray\n{record}\n{plain}\n{record}\n'):
            rows = base.rows(text)
            self.assertEqual(
                ['log'] * 2, [r['kind'] for r in rows if r['logger']][:2])
            self.assertEqual(text.count('nova.service'), sum(
                r['logger'] == 'nova.service' for r in rows))
            self.assertEqual(text.count('nova.x'), sum(
                r['logger'] == 'nova.x' for r in rows))

    def test_dump_in_a_record(self) -> None:
        rows = base.rows('2026-11-21 05:33:52.786 1 DEBUG nova.x [-] got\n'
                         '{"a": {\n}\n{"b": 1}\n')
        self.assertEqual([4], [r['lines'] for r in rows])


class TestJournal(test_parser.FixtureCase):

    def test_lines_of_a_service(self) -> None:
        rows = self.rows('journal.jsonl')
        self.assertRow(
            rows[0], service='nova', binary='nova-compute', host='cmp1',
            pid=20012, level=20, timestamp=at('05:33:55.697'),
            logger='nova.service', kind='log',
            message='Starting compute node (version 0.0.1)')
        self.assertRow(
            rows[5], request_id=OWN, global_request_id=GLOBAL, user_id=USER,
            project_id=PROJECT, resources=[base.SERVER])
        self.assertRow(rows[11], message='Filesystem  Size  Used', pid=4711,
                       level=20, logger=None,
                       timestamp=at('05:40:16.440012'))

    def test_traceback(self) -> None:
        row = self.rows('journal.jsonl')[13]
        self.assertRow(row, line=14, lines=9, level=40, request_id=OWN,
                       resources=[base.SERVER])
        message = row['message'].split('\n')
        self.assertEqual(9, len(message))
        self.assertEqual('Traceback (most recent call last):', message[1])
        self.assertEqual('  File "/opt/fx/oslo_log_sample.py", line 41, in '
                         'claim', message[2])
        self.assertEqual(9, len(row['text'].split('\n')))

    def test_other_programs(self) -> None:
        rows = {r['line']: r for r in self.rows('journal.jsonl')}
        self.assertRow(rows[23], binary='systemd', pid=1, level=20,
                       timestamp=at('05:40:31.510023'))
        self.assertRow(rows[25], level=30)
        self.assertRow(rows[26], level=40, binary='kern', service='system')
        self.assertRow(rows[27], binary='sshd', addresses=['192.0.2.10'])
        self.assertRow(rows[28], binary='libvirtd', service='libvirt')

    def test_bytes(self) -> None:
        row = {r['line']: r for r in self.rows('journal.jsonl')}[29]
        self.assertRow(row, message='qemu-img said: \ufffd\ufffd broken '
                       '\ufffd output', logger='nova.virt.images', level=40,
                       timestamp=at('05:33:26.900'))

    def test_handler_of_oslo_log(self) -> None:
        rows = {r['line']: r for r in self.rows('journal.jsonl')}
        self.assertRow(rows[30], message='a message of\nseveral lines')
        self.assertRow(rows[33], request_id=base.REQUEST, user_id=USER,
                       project_id=PROJECT, pid=22902)
        self.assertEqual(1, rows[42]['message'].count(
            'Unable to allocate on host cmp1'))

    def _entry(self, **fields: Any) -> str:
        return json.dumps({'__REALTIME_TIMESTAMP': '1795239601370001',
                           '_HOSTNAME': 'h', **fields}) + '\n'

    def _rows(self, *entries: str) -> list[dict[str, Any]]:
        return base.rows(''.join(entries), 'journal')

    def test_handler_alone(self) -> None:
        rows = self._rows(
            self._entry(MESSAGE='a', LOGGER_NAME='nova.x', PRIORITY='3',
                        REQUEST_ID=base.REQUEST, PROJECT_ID=PROJECT,
                        EXCEPTION_TEXT='Traceback:\nValueError'),
            self._entry(MESSAGE='b', LOGGER_NAME='nova.x', PRIORITY='3'),
            self._entry(MESSAGE='c', LOGGER_NAME='nova.x', PRIORITY='3'))
        self.assertEqual(['a\nTraceback:\nValueError', 'b', 'c'],
                         [r['message'] for r in rows])
        self.assertRow(rows[0], request_id=base.REQUEST, user_id=None,
                       project_id=PROJECT, logger='nova.x', level=40)

    def test_colours(self) -> None:
        text = (f'\x1b[00;36mINFO nova.x [\x1b[01;36mNone {base.REQUEST} '
                '\x1b[00;36mdemo admin\x1b[00;36m] \x1b[01;35m'
                '\x1b[00;36mhello\x1b[00m')
        row, = self._rows(self._entry(
            MESSAGE=list(text.encode()), _SYSTEMD_UNIT='devstack@n-sch'
            '.service', SYSLOG_IDENTIFIER='nova-scheduler'))
        self.assertRow(row, message='hello', request_id=base.REQUEST,
                       level=20, binary='nova-scheduler', logger='nova.x')

    def test_fields_of_other_shapes(self) -> None:
        rows = self._rows(
            self._entry(MESSAGE=None), self._entry(MESSAGE=['a', 'b']),
            self._entry(MESSAGE=[300]), self._entry(PRIORITY='9'),
            self._entry(_PID='9' * 99), self._entry(_PID='²'),
            self._entry(__REALTIME_TIMESTAMP='9' * 30),
            self._entry(_SOURCE_REALTIME_TIMESTAMP=None))
        self.assertEqual(['', 'a\nb'], [r['message'] for r in rows[:2]])
        self.assertEqual(8, sum(r['lines'] for r in rows))


class TestNotifications(test_parser.FixtureCase):

    SERVER = '1704e687-a0aa-4ede-89dd-4f94867acf4c'
    IMAGE = '5225f36f-a7a2-40e6-858b-c5218a80ecdf'
    PORT = 'edb414e7-eb39-4cfa-8c61-67a3d2dc5cda'
    NETWORK = '872edb31-05e6-4ee8-9e24-df50395c312c'
    REQUEST = 'req-f1ac9e0b-2d77-4c2e-9a3a-b013c69e708e'

    def setUp(self) -> None:
        super().setUp()
        self.events = {r['line']: r for r in self.rows(
            'notifications.jsonl')}

    def test_all(self) -> None:
        for row in self.events.values():
            self.assertRow(row, kind='notification', lines=1, pid=None)
            self.assertTrue(row['message'].startswith(row['logger']))
        self.assertEqual({18, 19, 23, 24}, {
            n for n, r in self.events.items() if r['level'] == 40})

    def test_keystone(self) -> None:
        self.assertRow(
            self.events[1], service='keystone', binary='keystone', host='vm',
            level=20, timestamp=at('05:03:56.330512'),
            logger='identity.project.created',
            request_id='req-0189a1e3-dc6f-4670-98d3-bad7b0928652',
            user_id='4ce4713545f0471c868e08d04d287e86',
            project_id='bed76a8f07ec45cfb70c62852f3e800e',
            resources=['21abf071a4be4b12ac09509aa588a675'])
        self.assertRow(
            self.events[25], user_id=USER, project_id=None,
            request_id='req-c65672e1-df6d-43e4-badd-5bf89c17975d',
            message='identity.authenticate outcome=failure name=demo')

    def test_glance(self) -> None:
        self.assertRow(self.events[6], service='glance', binary='glance-api',
                       host='localhost', request_id=None,
                       resources=[self.IMAGE],
                       message='image.upload status=active name=cirros-0.6')

    def test_neutron(self) -> None:
        self.assertRow(self.events[7], service='neutron', host='ctl1',
                       binary='neutron-server', resources=[self.NETWORK])
        row = self.events[13]
        self.assertRow(
            row, request_id='req-ec3885a2-4875-4e5f-a3f3-7c2e145881db',
            global_request_id=self.REQUEST, message='port.create.end '
            'status=DOWN')
        self.assertEqual([self.PORT, self.NETWORK, self.SERVER],
                         row['resources'][:3])
        self.assertIn('binding:vif_type=ovs', self.events[14]['message'])

    def test_nova_legacy(self) -> None:
        self.assertRow(
            self.events[10], service='nova', binary='nova-conductor',
            host='ctl1', request_id=self.REQUEST, user_id=USER,
            project_id=PROJECT, logger='compute.instance.update',
            resources=[self.SERVER, self.IMAGE])
        self.assertIn('state=building', self.events[10]['message'])
        self.assertRow(self.events[12], binary='nova-compute', host='cmp2')
        self.assertRow(self.events[18], binary='nova-conductor', level=40,
                       resources=['e985dd82-0912-43eb-994d-4a31d5a01938'])
        self.assertRow(self.events[23], binary='nova-compute', level=40,
                       host='cmp1')
        self.assertIn("exception=OSError(28, 'No space left on device')",
                      self.events[23]['message'])

    def test_nova_versioned(self) -> None:
        self.assertRow(
            self.events[15], service='nova', binary='nova-compute',
            host='cmp2', level=20, request_id=self.REQUEST,
            resources=[self.SERVER, self.IMAGE, self.PORT],
            message='instance.create.end state=active host=cmp2 node=cmp2 '
            'display_name=ld-health availability_zone=az1 name=m1.nano')
        self.assertIn('fault=OSError [Errno 28] No space left on device '
                      'nova.image.glance _verify_and_write',
                      self.events[24]['message'])
        self.assertIn('reason=NoValidHost_Remote No valid host was found.',
                      self.events[19]['message'])

    def test_cinder(self) -> None:
        self.assertRow(
            self.events[20], service='cinder', binary='cinder-volume',
            host='ctl1', resources=['aeef1592-3ccb-4639-a401-b8cc9fc49ca2'])
        self.assertRow(
            self.events[22], binary='cinder-volume', host='ctl1', resources=[
                'aeef1592-3ccb-4639-a401-b8cc9fc49ca2',
                'ae3e98d4-66b5-490c-9023-ec6e7533a3a3'])

    def test_envelope(self) -> None:
        line = (base.LOGS / 'notifications.jsonl').read_text().splitlines()[
            14]
        wrapped = json.dumps({'oslo.version': '2.0', 'oslo.message': line})
        row, = base.rows(wrapped, 'notifications')
        self.assertRow(row, message=self.events[15]['message'],
                       resources=self.events[15]['resources'])

    def test_other_lines(self) -> None:
        for line in ('{}', '[]', 'null', '{"event_type": "a"}', '"x"', '{',
                     '{"event_type": "a", "timestamp": "yesterday"}',
                     '{"oslo.message": "[1]"}', '{"oslo.message": "{"}'):
            row, = base.rows(line, 'notifications')
            self.assertRow(row, kind='raw', text=line)

    def test_shapes(self) -> None:
        frame = {'event_type': 'a.b', 'timestamp': '2026-11-21 05:00:00',
                 'publisher_id': 'x.y'}
        for more in ({'payload': [1]}, {'payload': 'x'}, {'ctxt': 'x'},
                     {'priority': 3}, {'publisher_id': None},
                     {'payload': {'fault': 'x', 'name': ['y']}},
                     {'payload': {'id': {'id': {'id': 1}}}},
                     {'ctxt': {'request_id': 'a b', 'user': ['c d']}}):
            row, = base.rows(json.dumps(frame | more), 'notifications')
            self.assertRow(row, kind='notification', logger='a.b',
                           timestamp=at('05:00:00'))

    def test_logrecord(self) -> None:
        request = 'req-6a1cd1d8-9d1f-4d9b-8f5f-0d43a24a2a11'
        server = '3c0a4f3e-5b3a-4c55-9f6c-2b8b0e6f2a77'
        row, = base.rows(json.dumps({
            'event_type': 'logrecord', 'priority': 'ERROR',
            'timestamp': '2026-11-21 05:00:00', 'publisher_id': None,
            'payload': {
                'name': 'nova.compute.manager', 'levelname': 'WARNING',
                'process': 4711, 'msg': 'Lost it',
                'exc_info': ["<class 'OSError'>", 'no space', '<traceback>'],
                'extra': {'request_id': request, 'instance': {
                    'uuid': server}}}}), 'notifications')
        self.assertRow(
            row, kind='log', service='nova', logger='nova.compute.manager',
            level=30, pid=4711, message='Lost it\nno space', host='',
            request_id=request, resources=[server])
        # Nobody has to send what the handler does.
        for payload in ({}, {'name': 7, 'msg': [1], 'extra': 'x',
                             'exc_info': [1], 'levelname': {}}):
            row, = base.rows(json.dumps({
                'event_type': 'logrecord', 'payload': payload,
                'timestamp': '2026-11-21 05:00:00'}), 'notifications')
            self.assertRow(row, kind='log', level=40)

    def test_error_notification(self) -> None:
        row, = base.rows(json.dumps({
            'event_type': 'error_notification', 'priority': 'ERROR',
            'timestamp': '2026-11-21 05:00:00',
            'publisher_id': 'error.publisher',
            'payload': {'error': 'It broke'}}), 'notifications')
        self.assertRow(row, kind='notification', level=40, binary='',
                       host='',
                       message='error_notification error=It broke')

    def test_whatever_a_listener_wrote(self) -> None:
        came = {'received_at': '2026-11-21T05:00:00+00:00'}
        for more in ({}, {'payload': 'text'}, {'event_type': 7},
                     {'timestamp': '0001-01-01 00:00:00+14:00'},
                     {'timestamp': '1950-01-01 00:00:00'},
                     {'timestamp': 'soon', 'event_type': None}):
            row, = base.rows(json.dumps(came | more), 'notifications')
            self.assertRow(row, kind='notification',
                           timestamp=at('05:00:00'))
        self.assertEqual('unknown', row['logger'])
        row, = base.rows(json.dumps({
            **came, 'event_type': 'a', 'payload': 'No\nroom'}),
            'notifications')
        self.assertRow(row, message='a message=No')


class TestHostile(tests.TestCase):

    def test_lone_surrogate(self) -> None:
        row, = base.rows('{"levelname": "INFO", "message": "a\\ud800b", '
                         '"created": 1, "name": "\\udfff"}')
        self.assertEqual(('a?b', '?'), (row['message'], row['logger']))

    def test_duplicate_keys(self) -> None:
        row, = base.rows('{"levelname": "INFO", "message": "a", "message": '
                         '"b", "created": 1}')
        self.assertEqual('b', row['message'])

    def test_deep_nesting(self) -> None:
        deep = '[' * 100000 + ']' * 100000
        row, = base.rows('{"levelname": "INFO", "message": ' + deep + '}')
        self.assertEqual('raw', row['kind'])
        nested = '{"a": ' * 200 + '1' + '}' * 200
        row, = base.rows('{"event_type": "a", "timestamp": "2026-11-21", '
                         '"payload": ' + nested + '}', 'notifications')
        self.assertEqual('notification', row['kind'])

    def test_numbers(self) -> None:
        for created in ('1e400', '-1e400', 'NaN', '1e18', '-1e18', '9' * 50,
                        '9' * 5000, 'true', '"x"', '[]'):
            rows = base.rows('{"levelname": "INFO", "message": "a", '
                             f'"created": {created}, "process": {created}}}')
            self.assertEqual(1, len(rows), created)
