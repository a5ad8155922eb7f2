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
"""Tests of the parser on lines of the real programs."""

import collections
import datetime
from typing import Any

import polars as pl

from openstack_rca.events import parser
from openstack_rca.events import schema
from openstack_rca.tests import base as tests
from openstack_rca.tests.unit.events import base

#: Records, lines and unparsed lines of each fixture.
COUNTS = {
    'apache-access-timed.log': (13, 13, 0), 'apache-access.log': (13, 13, 0),
    # A traceback of four lines belongs to the record before it.
    'apache-error.log': (29, 33, 0),
    'cinder-api.log': (14, 14, 0), 'cinder-volume.log': (8, 8, 0),
    'eventlet-access.log': (12, 19, 0),
    'eventlet-nova-access.log': (9, 16, 0), 'glance-api.log': (14, 24, 0),
    # A traceback whose lines are entries of their own.
    'journal.jsonl': (37, 45, 0),
    'keystone.log': (24, 26, 0), 'libvirtd.log': (41, 52, 0),
    'mariadb-error.log': (31, 32, 0),
    # memcached writes no times: nothing tells where a record begins.
    'memcached.log': (1, 21, 21),
    'neutron-api.log': (16, 16, 0), 'neutron-rpc-server.log': (12, 12, 0),
    'notifications.jsonl': (25, 25, 0), 'nova-api.log': (24, 24, 0),
    'nova-compute.log': (14, 54, 0), 'nova-conductor.log': (3, 59, 0),
    'nova-scheduler.log': (19, 24, 0), 'oslo-2026.2.log': (15, 49, 0),
    'oslo-antelope.log': (15, 49, 0), 'oslo-json.log': (15, 15, 0),
    'oslo-pike.log': (15, 49, 0), 'oslo-queens.log': (15, 49, 0),
    'oslo-stein.log': (15, 49, 0), 'oslo-train.log': (15, 49, 0),
    'oslo-wallaby.log': (15, 49, 0), 'ovs-vswitchd.log': (60, 60, 0),
    'ovsdb-server.log': (35, 35, 0), 'placement-api.log': (12, 12, 0),
    # A record of several lines has its header on each.
    'rabbitmq.log': (33, 59, 0),
    'syslog-iso.log': (15, 15, 0), 'syslog-rfc5424.log': (15, 15, 0),
    'syslog-traditional.log': (15, 15, 0), 'uwsgi.log': (22, 49, 0),
}

FORMATS = {
    'apache-access': ('apache-access-timed.log', 'apache-access.log'),
    'apache-error': ('apache-error.log',), 'journal': ('journal.jsonl',),
    'libvirt': ('libvirtd.log',), 'mariadb': ('mariadb-error.log',),
    'notification': ('notifications.jsonl',),
    'openvswitch': ('ovs-vswitchd.log', 'ovsdb-server.log'),
    'oslo-json': ('oslo-json.log',), 'rabbitmq': ('rabbitmq.log',),
    'syslog': ('syslog-iso.log', 'syslog-rfc5424.log',
               'syslog-traditional.log'),
    'uwsgi': ('uwsgi.log',),
}


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f'2026-11-21 {text}')


class FixtureCase(tests.TestCase):
    """Helpers of tests on fixtures."""

    def rows(self, name: str) -> list[dict[str, Any]]:
        return base.with_messages(base.fixture(name))

    def assertRow(self, row: dict[str, Any], **expected: Any) -> None:
        """The fields named are as expected; latency nearly."""
        latency = expected.pop('latency', None)
        self.assertEqual(expected, {k: row[k] for k in expected})
        if latency is not None:
            self.assertAlmostEqual(latency, row['latency'], 6)

    def levels(self, name: str) -> dict[int, int]:
        return dict(collections.Counter(
            base.fixture(name).events['level'].to_list()))


class TestAll(FixtureCase):

    def test_every_fixture_is_known(self) -> None:
        self.assertEqual(sorted(COUNTS), base.names())

    def test_counts(self) -> None:
        formats = {n: f for f, names in FORMATS.items() for n in names}
        for name, counts in COUNTS.items():
            piece = base.fixture(name)
            part = piece.parts.row(0, named=True)
            self.assertEqual(counts, (piece.events.height, part['lines'],
                                      part['unparsed']), name)
            self.assertEqual(piece.events.height, part['events'], name)
            self.assertEqual(None if counts[2] else
                             formats.get(name, 'oslo'), part['format'], name)

    def test_schema(self) -> None:
        for name in COUNTS:
            piece = base.fixture(name)
            self.assertEqual(schema.EVENTS, dict(piece.events.schema), name)
            self.assertEqual(schema.TEMPLATES, dict(piece.templates.schema))

    def test_coverage_is_that_of_the_events(self) -> None:
        for name in COUNTS:
            piece = base.fixture(name)
            part = piece.parts.row(0, named=True)
            stamps = piece.events['timestamp']
            self.assertEqual((stamps.min(), stamps.max()),
                             (part['since'], part['until']), name)

    def test_together(self) -> None:
        """Small files parsed at once hold what they hold alone."""
        names = [n for n in COUNTS if base.kind_of(n) == 'log']
        parts = [parser.Part((base.LOGS / n).read_bytes(), parser.Origin(
            n, service='s', host=n[:3], binary=n, year=2026))
            for n in names]
        piece = parser.parse(parts)
        for index, name in enumerate(names):
            alone = parser.parse([parts[index]])
            here = piece.events.filter(pl.col('source') == name)
            self.assertEqual(alone.events.to_dicts(), here.to_dicts(), name)
            self.assertEqual(
                {**alone.parts.row(0, named=True), 'part': index},
                piece.parts.row(index, named=True))


class TestOslo(FixtureCase):

    GLOBAL = 'req-bd5b58a8-080a-4aec-b1e2-3f9bc50dbabb'
    OWN = 'req-25aaf121-0f7b-4089-9044-0122348d7d7c'
    USER = 'fad5d52d7d994013b06bab4b87f233d5'
    PROJECT = 'fa86c96207b848bea03ec6fa74787457'
    #: Release: second and milliseconds of the first record, and its pid.
    RELEASES = {
        'pike': ('05:33:52.786', 19957), 'queens': ('05:33:53.289', None),
        'stein': ('05:33:53.794', 19975), 'train': ('05:33:54.279', None),
        'wallaby': ('05:33:54.750', None),
        'antelope': ('05:33:55.220', 20002),
        '2026.2': ('05:33:55.697', 20012)}
    LEVELS = [20, 10, 20, 10, 30, 20, 20, 20, 20, 10, 20, 40, 40, 40, 50]

    def test_releases(self) -> None:
        for release, (stamp, pid) in self.RELEASES.items():
            rows = self.rows(f'oslo-{release}.log')
            self.assertEqual(at(stamp), rows[0]['timestamp'])
            self.assertEqual(1, len({r['pid'] for r in rows}))
            if pid:
                self.assertEqual(pid, rows[0]['pid'])
            self.assertEqual(self.LEVELS, [r['level'] for r in rows])
            self.assertRow(
                rows[0], kind='log', logger='nova.service', request_id=None,
                global_request_id=None, user_id=None, project_id=None,
                message='Starting compute node (version 0.0.1)', body=52,
                line=1, lines=1, offset=0, resources=[])
            self.assertRow(
                rows[2], logger='nova.compute.manager',
                request_id=base.REQUEST, global_request_id=None,
                user_id=self.USER, project_id=self.PROJECT,
                resources=[base.SERVER], message='Attempting claim on node '
                'cmp1: memory 2048 MB, disk 10 GB')
            self.assertRow(rows[3], resources=[], request_id=base.REQUEST)
            # By default the global request id is logged since 2023.1.
            self.assertRow(
                rows[5], request_id=self.OWN, user_id=self.USER,
                project_id=self.PROJECT, resources=[base.SERVER],
                global_request_id=self.GLOBAL if release in (
                    'antelope', '2026.2') else None)
            self.assertRow(
                rows[8], user_id=None, project_id=None,
                request_id='req-c388ceab-1317-4721-bece-1df8e872782b')
            self.assertEqual('Unicode is kept: ä世 and a % sign',
                             rows[13]['message'])

    def test_several_lines(self) -> None:
        row = self.rows('oslo-2026.2.log')[10]
        self.assertRow(row, line=11, lines=3, message=(
            'Command output:\nFilesystem  Size  Used\n/dev/vda1  10G  9.9G'))
        self.assertEqual('Command output:', row['pattern'])

    def test_traceback_with_a_repeated_header(self) -> None:
        for release in self.RELEASES:
            rows = self.rows(f'oslo-{release}.log')
            for row, line in ((rows[11], 14), (rows[12], 31)):
                self.assertRow(row, line=line, lines=17, level=40)
                self.assertIn('Traceback (most recent', row['text'])
                self.assertIn('RuntimeError: Claim failed', row['message'])
                self.assertTrue(row['pattern'].endswith(
                    'RuntimeError: Claim failed'), row['pattern'])
            self.assertRow(rows[11], resources=[base.SERVER])
            # The record behind them has a context of its own.
            self.assertRow(rows[13], line=48, lines=1)

    def test_traceback_without_header_of_another_process(self) -> None:
        rows = self.rows('nova-conductor.log')
        self.assertEqual([(1, 1), (2, 48), (50, 10)],
                         [(r['line'], r['lines']) for r in rows])
        self.assertRow(rows[1], level=40, logger='nova.conductor.manager',
                       timestamp=at('05:08:11.088'),
                       request_id=base.REQUEST)
        self.assertIn('_schedule_instances', rows[1]['text'])
        self.assertTrue(rows[2]['text'].endswith(
            '\n    raise exception.NoValidHost(reason="")\n'))

    def test_services(self) -> None:
        compute = self.rows('nova-compute.log')
        failed = [r for r in compute if r['lines'] > 1]
        self.assertEqual([35, 7], [r['lines'] for r in failed])
        self.assertIn('No space left on device', failed[0]['message'])
        scheduler = self.rows('nova-scheduler.log')
        self.assertEqual({1: 18, 6: 1}, dict(collections.Counter(
            r['lines'] for r in scheduler)))
        keystone = self.rows('keystone.log')
        self.assertRow(keystone[19], lines=3, logger='py.warnings', level=30)
        glance = self.rows('glance-api.log')
        self.assertRow(glance[6], level=40,
                       addresses=['127.0.0.1:5672'], resources=[
                           '03a6ebb4-b3f3-4879-9226-e7866c4c6887'])
        self.assertRow(glance[-1], lines=11, level=40)
        neutron = self.rows('neutron-api.log')
        self.assertRow(
            neutron[3], request_id='req-a9562af2-d879-434a-86d0-8d534671325a',
            global_request_id='req-70c08a16-7a98-4a74-9937-fffd902d407e')

    def test_without_milliseconds(self) -> None:
        row, = base.rows('2026-11-21 05:33:52 19957 INFO nova.x [-] hello\n')
        self.assertRow(row, timestamp=at('05:33:52'), pid=19957, level=20,
                       logger='nova.x', message='hello')

    def test_offset_and_separators(self) -> None:
        for text, stamp in (
                ('2026-11-21T05:33:52.786+01:00', '04:33:52.786'),
                ('2026-11-21 05:33:52,786', '05:33:52.786'),
                ('2026-11-21 05:33:52.786Z', '05:33:52.786'),
                ('2026-11-21 05:33:52.786-0530', '11:03:52.786')):
            row, = base.rows(f'{text} 7 INFO nova.x [-] hello\n',
                             timezone='Europe/Berlin')
            if text[-3:] == '786':
                stamp = f'0{int(stamp[1]) - 1}{stamp[2:]}'
            self.assertRow(row, timestamp=at(stamp), logger='nova.x')

    def test_two_errors_at_once_are_two(self) -> None:
        line = '2026-11-21 05:33:52.786 1 ERROR nova.x [-] {}\n'
        self.assertEqual(2, len(base.rows(line.format('a')
                                          + line.format('b'))))


class TestAccess(FixtureCase):

    def test_eventlet(self) -> None:
        rows = self.rows('eventlet-access.log')
        self.assertEqual(10, sum(r['kind'] == 'access' for r in rows))
        self.assertRow(
            rows[2], method='GET', status=200, latency=0.00098, level=20,
            path='/v2.1/servers/detail?all_tenants=1&limit=10',
            timestamp=at('05:34:51.606'), pid=20470)
        self.assertRow(rows[6], method='DELETE', status=204,
                       resources=[base.SERVER])
        self.assertRow(rows[7], kind='log', lines=8, status=None)
        self.assertRow(rows[8], status=500, latency=0.001486)
        self.assertRow(rows[10], addresses=['192.0.2.17', '127.0.0.1'])
        rows = self.rows('eventlet-nova-access.log')
        self.assertRow(rows[5], method='GET', path='/v2.1/slow', status=200,
                       latency=0.6010783, kind='access')
        self.assertRow(rows[8], status=500, path='/v2.1/boom')

    def test_services(self) -> None:
        rows = self.rows('nova-api.log')
        self.assertRow(
            rows[1], kind='access', method='POST', status=200,
            path='/v2.1/os-server-external-events', latency=0.026573,
            request_id='req-e59cd8b3-63ce-4d65-8ca4-093da35745ae',
            global_request_id='req-cbfb3d67-c506-4fcb-86a5-f697977d90a3')
        self.assertRow(rows[3], status=404, level=20)
        self.assertTrue(any(r['kind'] == 'access' for r in self.rows(
            'placement-api.log')))
        row = next(r for r in self.rows('cinder-api.log')
                   if 'returned with HTTP' in r['text'])
        self.assertRow(row, kind='access', method=None)
        self.assertIn(str(row['status']), row['text'])
        self.assertTrue(row['path'].startswith('http'))

    def test_uwsgi(self) -> None:
        rows = self.rows('uwsgi.log')
        self.assertRow(rows[0], kind='log', lines=25, level=20,
                       timestamp=at('05:03:59'))
        self.assertRow(
            rows[1], kind='access', pid=5537, method='GET', path='/v2.1',
            status=200, latency=0.007, timestamp=at('05:04:35'), line=26)
        self.assertRow(rows[9], method='POST', status=202, latency=1.202)
        self.assertEqual([500], [r['status'] for r in rows
                                 if (r['status'] or 0) >= 500])
        self.assertRow(rows[-1], kind='log', lines=4,
                       timestamp=at('05:38:13'))

    def test_line_after_an_access_line(self) -> None:
        access = (base.LOGS / 'uwsgi.log').read_text().splitlines()[25]
        rows = base.rows(f'{access}\nTraceback:\n  x\n{access}\n')
        self.assertEqual(['access', 'raw', 'access'],
                         [r['kind'] for r in rows])
        self.assertRow(rows[1], lines=2, timestamp=at('05:04:35'), level=0)
        self.assertEqual(2, base.parse(f'{access}\nTraceback:\n  x\n').parts[
            'unparsed'][0])

    def test_apache(self) -> None:
        rows = self.rows('apache-access.log')
        self.assertEqual(
            [404, 200, 200, 404, 404, 500, 200, 403, 503, 200, 200, 400, 400],
            [r['status'] for r in rows])
        self.assertRow(rows[5], kind='access', method='GET', level=20,
                       path='/identity/v3/boom', latency=None,
                       timestamp=at('05:36:43'), pid=None)
        self.assertIsNone(rows[5]['latency'])
        rows = self.rows('apache-access-timed.log')
        self.assertRow(rows[2], latency=0.402504)
        # Quotes in quotes.
        self.assertRow(rows[10], latency=0.000826, status=200)

    def test_apache_without_a_request(self) -> None:
        rows = base.rows(
            '10.0.0.1 - - [21/Nov/2026:06:36:43 +0100] "-" 408 - "-" "-"\n'
            'vh:80 ::1 - - [21/Nov/2026:05:36:43 +0000] "\\x16\\x03" 400 226\n'
            '10.0.0.1 - demo [21/Nov/2026:05:36:43 +0000] '
            '"GET /a b HTTP/1.1" 200 1\n')
        self.assertEqual([408, 400, 200], [r['status'] for r in rows])
        self.assertEqual([None, None, '/a'], [r['path'] for r in rows])
        self.assertEqual([at('05:36:43')] * 3,
                         [r['timestamp'] for r in rows])

    def test_apache_error(self) -> None:
        rows = self.rows('apache-error.log')
        self.assertEqual({20: 23, 40: 6}, self.levels('apache-error.log'))
        self.assertRow(rows[0], timestamp=at('05:36:40.592189'), level=20,
                       pid=21028, logger='wsgi', kind='log')
        self.assertRow(rows[8], line=9, lines=5, level=40,
                       addresses=['127.0.0.1:36868'])
        self.assertTrue(rows[8]['text'].endswith(
            'RuntimeError: no such table: user'))
        self.assertRow(rows[9], line=14, lines=1)
        self.assertRow(rows[11], logger='proxy',
                       addresses=['127.0.0.1:18999'])


class TestOthers(FixtureCase):

    def test_mariadb(self) -> None:
        rows = self.rows('mariadb-error.log')
        self.assertEqual({20: 26, 30: 5}, self.levels('mariadb-error.log'))
        self.assertRow(rows[0], timestamp=at('05:03:12'), level=20, pid=0,
                       resources=[])
        # A line without a header.
        self.assertRow(rows[17], line=18, lines=2)
        self.assertIn('\nVersion: ', rows[17]['message'])
        self.assertRow(rows[18], level=30, pid=13, line=20,
                       timestamp=at('05:03:27'))

    def test_rabbitmq(self) -> None:
        rows = self.rows('rabbitmq.log')
        self.assertEqual({20: 26, 30: 2, 40: 5}, self.levels('rabbitmq.log'))
        self.assertRow(rows[1], lines=3, level=20,
                       timestamp=at('05:03:16.381416'))
        closing = next(r for r in rows if r['level'] == 30)
        self.assertRow(closing, line=29, lines=2)
        self.assertIn('client unexpectedly closed', closing['message'])
        self.assertEqual([2, 2, 2, 9, 6], [
            r['lines'] for r in rows if r['level'] == 40])

    def test_rabbitmq_before_it_repeated_the_header(self) -> None:
        rows = base.rows(
            '2020-01-02 03:04:05.678 [error] <0.1.0> one:\nmore\n'
            '2020-01-02 03:04:05.678 [error] <0.1.0> two\n')
        self.assertEqual([2, 1], [r['lines'] for r in rows])

    def test_libvirt(self) -> None:
        rows = self.rows('libvirtd.log')
        self.assertRow(rows[0], timestamp=at('05:37:48.293'), level=20,
                       pid=21551, logger=None)
        self.assertRow(rows[9], level=40, logger='dnsmasqCapsNewFromBinary')
        self.assertEqual([2, 6, 3, 2, 3],
                         [r['lines'] for r in rows if r['lines'] > 1])
        self.assertTrue(any(r['resources'] == [base.SERVER] for r in rows))

    def test_openvswitch(self) -> None:
        rows = self.rows('ovsdb-server.log')
        self.assertRow(rows[0], timestamp=at('05:37:38.061'), level=20,
                       logger='vlog', pid=None)
        self.assertRow(rows[2], level=30, logger='jsonrpc',
                       addresses=['127.0.0.1:39404'])
        self.assertRow(rows[6], level=40, logger='socket_util')
        self.assertEqual({20: 38, 30: 22}, self.levels('ovs-vswitchd.log'))

    def test_memcached(self) -> None:
        row, = self.rows('memcached.log')
        self.assertRow(row, kind='raw', timestamp=None, lines=21, level=0)

    def test_qemu(self) -> None:
        rows = base.rows(
            '2026-11-21 05:37:48.293+0000: starting up libvirt version: 9\n'
            'LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\\n'
            '2026-11-21T05:38:48.293456Z qemu-system-x86_64: terminating on '
            'signal 15\n'
            '2026-11-21 05:39:48.293+0000: shutting down, reason=destroyed\n')
        self.assertEqual([(3, 'starting up'), (1, 'qemu-system-x86_64'),
                          (1, 'shutting down')],
                         [(r['lines'], r['logger']) for r in rows])

    def test_generic(self) -> None:
        rows = base.rows('2026-11-21 05:37:48.293 [ERROR] it broke\n'
                         '2026-11-21T05:37:48Z INFO app: started\n'
                         '[2026-11-21 05:37:48] plain\n')
        self.assertEqual([40, 20, 0], [r['level'] for r in rows])
        self.assertEqual(['it broke', 'app: started', 'plain'],
                         [r['message'].strip() for r in rows])


class TestSyslog(FixtureCase):

    NAMES = ('syslog-traditional.log', 'syslog-iso.log',
             'syslog-rfc5424.log')

    def test_files(self) -> None:
        for name in self.NAMES:
            rows = self.rows(name)
            self.assertEqual({'vm'}, {r['host'] for r in rows})
            self.assertEqual(
                ['CRON', 'sshd', 'systemd', 'systemd', 'systemd', 'kern',
                 'kern', 'dnsmasq-dhcp', 'haproxy', 'nova-compute',
                 'keepalived_vrrp', 'sudo', 'root', 'libvirtd'],
                [r['binary'] for r in rows[:14]], name)
            self.assertEqual(
                [812, 901, 1, 1, 1, None, None, 2201, 3301, 4711, 711, None,
                 None, 555], [r['pid'] for r in rows[:14]], name)
            self.assertRow(rows[2], message='Started OpenStack Compute.',
                           kind='log', logger=None)
            self.assertEqual(
                at('05:39:35') if name == self.NAMES[0]
                else at('05:39:35.051805'), rows[2]['timestamp'])
            self.assertIn('a line sent over the network',
                          rows[14]['message'])

    def test_record_of_a_service(self) -> None:
        for name in self.NAMES:
            self.assertRow(
                self.rows(name)[9], timestamp=at('05:33:26.882'), level=40,
                service='nova', binary='nova-compute', host='vm', pid=4711,
                logger='nova.compute.manager', request_id=base.REQUEST,
                resources=[base.SERVER], message='Instance failed to spawn')

    def test_without_a_tag(self) -> None:
        self.assertRow(self.rows('syslog-traditional.log')[14],
                       binary='neutron-server', pid=6001, service='neutron')
        row, = base.rows('Nov 21 05:39:35 vm one two\n')
        self.assertRow(row, host='vm', message='one two',
                       timestamp=at('05:39:35'))

    def test_priority(self) -> None:
        levels = [r['level'] for r in self.rows('syslog-rfc5424.log')]
        self.assertEqual([20, 20, 20, 20, 30, 30, 40, 20, 20, 40, 20, 20, 20,
                          40, 30], levels)

    def test_structured_data(self) -> None:
        row, = base.rows('<28>1 2026-11-21T05:39:35Z vm app 6 ID47 '
                         '[a@1 x="\\]"][b y="1"] hello\n')
        self.assertRow(row, message='hello', level=30, pid=6)

    def test_devstack(self) -> None:
        head = 'Nov 21 05:39:35.123456 vm nova-compute[4711]: '
        rows = base.rows(
            f'{head}DEBUG nova.compute.manager [None {base.REQUEST} demo '
            f'admin] [instance: {base.SERVER}] Checking state '
            '{{(pid=4711) _get /opt/stack/nova/nova/compute/manager.py:1}}\n'
            f'{head}ERROR nova.compute.manager [None {base.REQUEST} demo '
            'admin] It broke: ValueError\n'
            f'{head}ERROR nova.compute.manager Traceback (most recent call '
            'last):\n'
            f'{head}ERROR nova.compute.manager   File "x.py", line 1\n'
            f'{head}ERROR nova.compute.manager ValueError\n'
            f'{head}ERROR nova.compute.manager \n'
            f'{head}ERROR nova.compute.manager [-] Another\n')
        self.assertEqual([1, 5, 1], [r['lines'] for r in rows])
        self.assertRow(
            rows[0], level=10, logger='nova.compute.manager', pid=4711,
            request_id=base.REQUEST, resources=[base.SERVER],
            user_id='admin', project_id='demo', service='nova',
            timestamp=at('05:39:35.123456'), pattern='Checking state')

    def test_year(self) -> None:
        lines = ('Dec 31 23:59:59 vm app: a\nJan  1 00:00:00 vm app: b\n'
                 'Feb 29 00:00:00 vm app: c\n')
        rows = base.rows(lines, year=2025, month=1)
        # There was no 29 February in 2024 + 1, but in the year before.
        self.assertEqual(
            [datetime.datetime(2024, 12, 31, 23, 59, 59),
             datetime.datetime(2025, 1, 1),
             datetime.datetime(2024, 2, 29)],
            [r['timestamp'] for r in rows])
        rows = base.rows(lines, year=2028)
        self.assertEqual([2028] * 3, [r['timestamp'].year for r in rows])


class TestTimezone(FixtureCase):

    def _at(self, text: str, timezone: str) -> str:
        row, = base.rows(f'2026-{text}.000 1 INFO nova.x [-] hello\n',
                         timezone=timezone)
        return f'{row["timestamp"]:%m-%d %H:%M}'

    def test_local_times(self) -> None:
        self.assertEqual('11-21 04:33',
                         self._at('11-21 05:33:00', 'Europe/Berlin'))
        self.assertEqual('07-01 03:33',
                         self._at('07-01 05:33:00', 'Europe/Berlin'))
        self.assertEqual('11-21 00:03',
                         self._at('11-21 05:33:00', 'Asia/Kolkata'))

    def test_hour_that_is_left_out(self) -> None:
        self.assertEqual('03-29 00:59',
                         self._at('03-29 01:59:00', 'Europe/Berlin'))
        self.assertEqual('03-29 01:30',
                         self._at('03-29 02:30:00', 'Europe/Berlin'))
        self.assertEqual('03-29 01:00',
                         self._at('03-29 03:00:00', 'Europe/Berlin'))

    def test_hour_that_comes_twice(self) -> None:
        self.assertEqual('10-25 00:30',
                         self._at('10-25 02:30:00', 'Europe/Berlin'))
        self.assertEqual('10-25 02:00',
                         self._at('10-25 03:00:00', 'Europe/Berlin'))

    def test_offset_wins(self) -> None:
        for name in ('rabbitmq.log', 'ovs-vswitchd.log', 'libvirtd.log',
                     'apache-access.log', 'journal.jsonl', 'oslo-json.log',
                     'notifications.jsonl'):
            data = (base.LOGS / name).read_bytes()
            kind = base.kind_of(name)
            here = base.parse(data, kind)
            there = base.parse(data, kind, timezone='Asia/Tokyo')
            # What a service writes into the journal has its local time.
            first = 15 if name == 'journal.jsonl' else 0
            self.assertEqual(
                here.events['timestamp'][first:first + 5].to_list(),
                there.events['timestamp'][first:first + 5].to_list(), name)

    def test_others_are_local(self) -> None:
        for name in ('mariadb-error.log', 'apache-error.log', 'uwsgi.log',
                     'syslog-traditional.log', 'oslo-pike.log'):
            data = (base.LOGS / name).read_bytes()
            here = base.parse(data)
            there = base.parse(data, timezone='Asia/Tokyo')
            self.assertEqual(
                [t - datetime.timedelta(hours=9)
                 for t in here.events['timestamp']],
                there.events['timestamp'].to_list(), name)
