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
"""Tests of the identity view."""

import polars as pl

from openstack_rca.events import identity
from openstack_rca.tests import base as tests
from openstack_rca.tests.unit.events import base

ONE = '5225f36f-a7a2-40e6-858b-c5218a80ecdf'
TWO = '1704e687-a0aa-4ede-89dd-4f94867acf4c'
PLAIN = 'fa86c96207b848bea03ec6fa74787457'


def resources(text: str) -> list[str]:
    found: list[str] = base.column([text]).select(
        found=identity.resources(pl.col('text')))['found'].to_list()[0]
    return found


def addresses(text: str) -> list[str]:
    found: list[str] = base.column([text]).select(
        found=identity.addresses(pl.col('text')))['found'].to_list()[0]
    return found


class TestResources(tests.TestCase):

    def test_found(self) -> None:
        self.assertEqual([ONE, f'req-{TWO}', PLAIN], resources(
            f'image {ONE} for req-{TWO} of {PLAIN}'))

    def test_each_once_in_order(self) -> None:
        self.assertEqual([TWO, ONE], resources(f'{TWO} {ONE} {TWO} {ONE}'))

    def test_within_names(self) -> None:
        self.assertEqual([ONE, TWO], resources(
            f'rbd {ONE}_disk, volume-{TWO}'))

    def test_no_identifiers(self) -> None:
        self.assertEqual([], resources(''))
        self.assertEqual([], resources(
            'revision 5843d8475120241667a7ce0f8a1abb6c9b43a273'))
        self.assertEqual([], resources('5225f36f-a7a2-40e6-858b'))
        self.assertEqual([], resources(f'{PLAIN}{PLAIN}'))


class TestAddresses(tests.TestCase):

    def test_found(self) -> None:
        for text, found in (
                ('AMQP server on 127.0.0.1:5672 is unreachable',
                 ['127.0.0.1:5672']),
                ('from 192.0.2.10 port 50222', ['192.0.2.10']),
                ('10.10.0.5, 10.10.0.6;10.10.0.5',
                 ['10.10.0.5', '10.10.0.6']),
                ('(127.0.0.1:40136 -> 127.0.0.1:5672)',
                 ['127.0.0.1:40136', '127.0.0.1:5672']),
                ('[client 127.0.0.1:36820] denied', ['127.0.0.1:36820']),
                ('tcp:127.0.0.1:16641: connecting...', ['127.0.0.1:16641']),
                ('[fd00::5]:5672 is down', ['[fd00::5]:5672']),
                ('http://[::1]:9696/v2.0', ['[::1]:9696']),
                ('listens on [::1]', ['::1']),
                ('address fe80::f816:3eff:fe12:3456 used',
                 ['fe80::f816:3eff:fe12:3456']),
                ('2001:db8:0:0:0:0:0:1', ['2001:db8:0:0:0:0:0:1']),
                ('http://controller:8774/v2.1/servers',
                 ['controller:8774']),
                ('see http://ctl.example.org:80.',
                 []),
                ('http://ctl.example.org:80', ['ctl.example.org:80']),
                ('server controller:5672 closed', ['controller:5672']),
                ('memcached_servers=ctl1:11211,ctl2:11211',
                 ['ctl1:11211', 'ctl2:11211']),
                ('rabbit://nova:secret@ctl1:5672,nova:secret@ctl2:5672//',
                 ['ctl1:5672', 'ctl2:5672']),
                ('rabbit://nova:secret@10.0.0.5:5672//',
                 ['10.0.0.5:5672']),
                ('10.0.0.0/24', ['10.0.0.0'])):
            self.assertEqual(found, addresses(text), text)

    def test_no_password(self) -> None:
        self.assertEqual(['ctl:3306'], addresses(
            'mysql+pymysql://root:1234@ctl:3306/nova'))

    def test_no_addresses(self) -> None:
        for text in ('', 'mac fa:16:3e:12:34:56', 'at 05:03:12',
                     '[21/Nov/2026 05:34:51]', 'Lock "a" :: waited 0.1s',
                     'inner /usr/lib/lockutils.py:2701', 'x.py:2701 ',
                     'version 300.1.2.3', 'keystone-manage:5330:fb96e5db',
                     'name:12', 'Python 3.11.7'):
            self.assertEqual([], addresses(text), text)


class TestContext(tests.TestCase):

    def _context(self, text: str) -> tuple[str | None, ...]:
        row = identity.context(pl.Series([text, None, text])).row(
            0, named=True)
        return (row['global_request_id'], row['request_id'], row['user_id'],
                row['project_id'])

    def test_releases(self) -> None:
        for text, found in (
                ('-', (None, None, None, None)),
                ('None', (None, None, None, None)),
                ('req-a', (None, 'req-a', None, None)),
                ('req-a - - - - -', (None, 'req-a', None, None)),
                ('req-a u p - d d', (None, 'req-a', 'u', 'p')),
                ('None req-a u p - - d d', (None, 'req-a', 'u', 'p')),
                ('None req-a - - - - - -', (None, 'req-a', None, None)),
                ('req-g req-a u p - - d d', ('req-g', 'req-a', 'u', 'p'))):
            self.assertEqual(found, self._context(text), text)

    def test_devstack_names_the_project_first(self) -> None:
        self.assertEqual((None, 'req-a', 'demo', 'alt'),
                         self._context('None req-a alt demo'))
        self.assertEqual((None, 'req-a', 'demo', 'alt'),
                         self._context('req-a alt demo'))

    def test_empty(self) -> None:
        self.assertEqual(0, identity.context(
            pl.Series([None], dtype=pl.String)).height)


class TestFind(tests.TestCase):

    def test_uuids(self) -> None:
        self.assertEqual([ONE, PLAIN], identity.find_uuids(
            f'why is {ONE.upper()} of {PLAIN} gone? req-{TWO} {ONE}'))
        self.assertEqual([], identity.find_uuids(f'{PLAIN}0 req-{TWO}'))
        self.assertEqual([ONE, TWO], identity.find_uuids(
            f'no {ONE}_disk for volume-{TWO}'))

    def test_requests(self) -> None:
        self.assertEqual([f'req-{TWO}'], identity.find_requests(
            f'Req-{TWO} req-{TWO} {ONE}'))
