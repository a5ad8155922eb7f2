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
"""Whose words a question asks for."""

import unittest.mock

import polars as pl

from openstack_rca.engine import voices
from openstack_rca.events import schema
from openstack_rca.store import base as stores
from openstack_rca.tests import base

#: Who logged: host, binary, service.
_WHO = (('cmp1', 'nova-compute', 'nova'), ('cmp2', 'nova-compute', 'nova'),
        ('ctl1.example.org', 'neutron-server', 'neutron'),
        ('', '', 'rabbitmq'), (None, None, None))


class TestVoices(base.TestCase):

    def find(self, question: str) -> voices.Voices:
        """Whose events a question asks for."""
        store = unittest.mock.create_autospec(stores.Store)
        store.scan.return_value = pl.LazyFrame(
            _WHO, ['host', 'binary', 'service'], orient='row')
        return voices.find(question, store)

    def check(self, question: str, programs: str = '', hosts: str = '',
              level: int | None = None) -> voices.Voices:
        """Check whose events a question asks for."""
        found = self.find(question)
        self.assertEqual(
            (programs.split(), hosts.split(), level),
            ([*found.programs], [*found.hosts], found.level), question)
        self.assertEqual(bool(programs or hosts or level), bool(found))
        return found

    def test_who_logs(self) -> None:
        self.check('What did nova-compute on cmp1 log?', 'nova-compute',
                   'cmp1')
        self.check('what do NOVA-COMPUTE and neutron say?',
                   'nova-compute neutron')
        self.check('what did ctl1 log', hosts='ctl1.example.org')
        self.check('log of the hosts cmp1 and cmp2?', hosts='cmp1 cmp2')
        self.check('what happened on cmp2?', hosts='cmp2')

    def test_levels(self) -> None:
        self.check('did neutron log an error?', 'neutron',
                   level=schema.ERROR)
        self.check('errors of nova on cmp1', 'nova', 'cmp1', schema.ERROR)
        self.check('nova warnings', 'nova', level=schema.WARNING)
        self.check('did anybody log errors or warnings?',
                   level=schema.WARNING)
        self.check('did rabbitmq log a critical error?', 'rabbitmq',
                   level=schema.ERROR)

    def test_who_is_spoken_of(self) -> None:
        for question in ('why was cmp1 not chosen?',
                         'why could nobody reach neutron?',
                         'why did the server go to ERROR in nova?',
                         'zebra in nova?', 'what did placement answer?',
                         '', '?', 'log file'):
            found = self.check(question)
            self.assertEqual(question.replace('log', ' '), found.rest)
        found = self.check('what did nova-compute log about neutron?',
                           'nova-compute')
        self.assertIn('neutron', found.rest)
        found = self.check('what did nova say about cmp1?', 'nova')
        self.assertEqual(('cmp1',), found.others)

    def test_what_is_left(self) -> None:
        found = self.find('did neutron log an error about the quota since '
                          '2026-11-21 05:08?')
        self.assertEqual('did   log an error about the quota since '
                         '2026-11-21 05:08?', found.question)
        self.assertEqual('did     an   about the quota since '
                         '2026-11-21 05:08?', found.rest)

    def test_words(self) -> None:
        self.assertEqual('by nova or neutron on cmp1 as ERROR or worse',
                         self.find('did nova or neutron log an error on cmp1'
                                   ).told())
        self.assertEqual('on cmp1', self.find('on cmp1?').told())
        self.assertEqual('', self.find('why?').told())

    def test_allowed(self) -> None:
        event = {'binary': 'nova-compute', 'service': 'nova', 'host': 'cmp1',
                 'level': schema.ERROR}
        found = self.find('did nova log an error on cmp1?')
        self.assertTrue(found.allows(event))
        for change in ({'binary': 'x', 'service': 'y'}, {'host': 'cmp2'},
                       {'level': schema.WARNING}):
            self.assertFalse(found.allows(event | change))
        self.assertTrue(self.find('why?').allows(event))
        query = found.query(limit=3)
        self.assertEqual((('nova',), ('cmp1',), schema.ERROR, 3), (
            query.services, query.hosts, query.level, query.limit))
