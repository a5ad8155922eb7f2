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
"""What questions are about."""

import datetime
from typing import Any

import hypothesis
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

SERVER = '33333333-3333-3333-3333-333333333333'
FLAVOR = '66666666-6666-6666-6666-666666666666'
REQUEST = 'req-11111111-1111-1111-1111-111111111111'
NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)


class TestTimes(base.TestCase):

    def test_moments(self) -> None:
        for text, timezone, wanted in (
                ('2026-11-21 02:40', 'UTC', '2026-11-21T02:40:00+00:00'),
                ('2026-11-21T02:40:30.5', 'UTC',
                 '2026-11-21T02:40:30.500000+00:00'),
                ('2026-11-21', 'UTC', '2026-11-21T00:00:00+00:00'),
                ('2026-11-21 02:40', 'Asia/Tokyo',
                 '2026-11-20T17:40:00+00:00'),
                ('2026-11-21T02:40:00+01:00', 'Asia/Tokyo',
                 '2026-11-21T01:40:00+00:00'),
                ('2026-11-21T02:40:00Z', 'Asia/Tokyo',
                 '2026-11-21T02:40:00+00:00')):
            self.assertEqual(wanted, scope.parse_time(
                text, timezone).isoformat())

    def test_spans(self) -> None:
        for text, seconds in (('90m', 5400), ('2h ago', 7200), ('1 day',
                              86400), ('1.5h', 5400), ('30 seconds', 30)):
            self.assertEqual(NOW - datetime.timedelta(seconds=seconds),
                             scope.parse_time(text, now=NOW))

    def test_nonsense(self) -> None:
        for text in ('', 'yesterday', '2026-13-45', '25:00', '9' * 400 + 'd',
                     '0001-01-01T00:00:00+14:00', '-5m'):
            self.assertRaises(exception.InvalidInput, scope.parse_time, text)

    def test_unknown_zone(self) -> None:
        self.assertRaises(exception.InvalidInput, scope.parse_time,
                          '2026-11-21 02:40', 'Nowhere/City')

    @hypothesis.settings(deadline=None)
    @hypothesis.given(strategies.text(max_size=40))
    def test_anything(self, text: str) -> None:
        try:
            self.assertIsNotNone(scope.parse_time(text).tzinfo)
        except exception.InvalidInput:
            return

    def test_order(self) -> None:
        scope.check_order(None, NOW)
        scope.check_order(NOW, NOW)
        self.assertRaises(exception.InvalidInput, scope.check_order,
                          NOW, NOW - datetime.timedelta(1))

    def test_naive(self) -> None:
        zone = datetime.timezone(datetime.timedelta(hours=1))
        self.assertIsNone(scope.naive(None))
        self.assertEqual(datetime.datetime(2026, 11, 21, 12, 0),
                         scope.naive(NOW.astimezone(zone)))


class TestValues(base.TestCase):

    def test_levels(self) -> None:
        self.assertEqual([40, 30, 50], [scope.level_number(n) for n in (
            'error', 'Warning', 'CRITICAL')])
        self.assertRaises(exception.InvalidInput, scope.level_number, 'loud')

    def test_templates(self) -> None:
        self.assertEqual(255, scope.template_number('00000000000000ff'))
        for name in ('', 'x', '-1', '1' + '0' * 16):
            self.assertRaises(exception.InvalidInput, scope.template_number,
                              name)


class TestResolve(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')
        samples.fill(
            self.store,
            samples.event(0, 'Something', request_id=REQUEST),
            samples.event(60, '{"display_name": "web-3"}',
                          kind='notification',
                          resources=[SERVER, FLAVOR], request_id=REQUEST),
            samples.event(120, 'web-31 is another',
                          resources=['77777777-7777-7777-7777-777777777777'],
                          binary='nova-api'))

    def resolve(self, issue: str = '', **values: Any) -> scope.Scope:
        return scope.resolve(scope.Question(issue, **values), self.store)

    def test_nothing(self) -> None:
        found = self.resolve()
        self.assertEqual(((), (), (), (), None, None, False), (
            found.requests, found.resources, found.names, found.services,
            found.since, found.until, found.asked))

    def test_identifiers(self) -> None:
        found = self.resolve(
            f'{SERVER.upper()} is broken, see {REQUEST} and {REQUEST}')
        self.assertEqual((SERVER,), found.resources)
        self.assertEqual((REQUEST,), found.requests)

    def test_name_of_a_server(self) -> None:
        found = self.resolve('server web-3 went to ERROR')
        self.assertEqual(('web-3',), found.names)
        self.assertEqual((SERVER,), found.resources)
        self.assertEqual((REQUEST,), found.requests)
        self.assertIn('nova', found.services)

    def test_server_by_name(self) -> None:
        self.assertEqual((SERVER,), self.resolve(
            servers=('web-3',)).resources)
        self.assertEqual((SERVER,), scope.identifiers(self.store, SERVER))
        for name in ('web-4', 'web', '3', '', 'x' * 9999, '.*', '\\', '('):
            self.assertRaises(exception.InvalidInput, scope.identifiers,
                              self.store, name)

    def test_unknown_request(self) -> None:
        self.assertRaises(
            exception.UnknownRequest, self.resolve,
            request_ids=('req-00000000-0000-0000-0000-000000000000',))

    def test_services(self) -> None:
        self.assertEqual(('nova-api',), self.resolve(
            services=('nova-api',)).only_services)
        error = self.assertRaises(exception.InvalidInput, self.resolve,
                                  services=('nova-api', 'swift'))
        self.assertIn('swift', str(error))
        self.assertIn('nova-compute', str(error))

    def test_topics(self) -> None:
        for issue, service in (('volume cannot be attached', 'cinder'),
                               ('no ip on the port', 'neutron'),
                               ('image upload', 'glance'),
                               ('login fails', 'keystone')):
            self.assertIn(service, self.resolve(issue).services)

    def test_times_of_the_caller(self) -> None:
        when = NOW.replace(day=20, hour=3)
        found = self.resolve('at 2026-11-20 03:02', since=when)
        self.assertTrue(found.asked)
        self.assertEqual((scope.naive(when), None),
                         (found.since, found.until))

    def test_times_in_words(self) -> None:
        one, two = samples.at(60), samples.at(120)
        around = datetime.timedelta(minutes=10)
        for issue, since, until in (
                ('failing since 2026-11-20 03:01', one, None),
                ('until 2026-11-20T03:02:00Z', None, two),
                ('between 2026-11-20 03:01 and 2026-11-20 03:02', one, two),
                ('from 2026-11-20 03:01 to 2026-11-20 03:02.', one, two),
                ('from 2026-11-20 04:01+01:00', one, None),
                ('at 2026-11-20 03:01', one - around, one + around),
                # Of these no event is: another clock is meant.
                ('since 2030-01-01 00:00', None, None),
                ('since 2026-99-99 99:99', None, None),
                ('between 2026-11-20 03:02 and 2026-11-20 03:01',
                 None, None)):
            found = self.resolve(issue)
            self.assertEqual((since, until), (found.since, found.until),
                             issue)
            self.assertFalse(found.asked)
