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
"""Citations that hold, and those that do not."""

from typing import Any

from openstack_rca import exception
from openstack_rca.analysis import cloudfacts
from openstack_rca.analysis import verify
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources
from openstack_rca.tests.unit.store import samples

UUID = '11111111-2222-4333-8444-555555555555'
REQUEST = 'req-' + UUID


class TestChecked(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')
        samples.fill(self.store,
                     samples.event(0, 'one', line=1, offset=0),
                     samples.event(1, 'two on cmp9', line=2, offset=100),
                     samples.event(2, 'three', line=3, offset=200))

    def document(self) -> dict[str, Any]:
        return {
            'summary': 'first', 'category': 'quota', 'confidence': 0.9,
            'evidence': [
                {'id': f'E{i}', 'source': 'nova-compute.log', 'line': i,
                 'offset': i * 100 - 100, 'text': text}
                for i, text in ((1, 'one'), (2, 'two'), (3, 'three'))],
            'hypotheses': [
                {'rank': 1, 'cause': 'first', 'category': 'quota',
                 'confidence': 0.9, 'host': 'cmp1', 'evidence': ['E1']},
                {'rank': 2, 'cause': 'second', 'category': 'network',
                 'confidence': 0.4, 'host': 'cmp9',
                 'evidence': ['E2', 'E3']}],
            'timeline': [{'evidence': f'E{i}'} for i in (1, 2, 3)],
            'recommendations': [{'text': 'a', 'evidence': ['E1']},
                                {'text': 'b', 'evidence': ['E1', 'E2']}]}

    def checked(self, document: dict[str, Any]) -> dict[str, Any]:
        return verify.checked(document, self.store)

    def test_all_holds(self) -> None:
        self.assertEqual(self.document(), self.checked(self.document()))

    def test_place_that_no_evidence_shows(self) -> None:
        shown = {'module': 'two.on', 'file': 'two', 'function': None}
        other = {'module': 'nova.x', 'file': 'nova/x.py', 'function': 'f'}
        document = self.document()
        document['hypotheses'][0] |= {'location': dict(other),
                                      'locations': [dict(shown)]}
        document['hypotheses'][1] |= {'location': dict(shown),
                                      'locations': []}
        first, second = self.checked(document)['hypotheses']
        self.assertIsNone(first['location'])
        self.assertEqual([other, shown], first['locations'])
        self.assertEqual(shown, second['location'])

    def test_place_that_the_code_map_shows(self) -> None:
        text = ('2026-11-21 02:00:00.000 7 ERROR nova.compute.manager '
                'Traceback (most recent call last):\n'
                '  File "/usr/lib/python3/dist-packages/nova/compute/api.py"'
                ', line 23, in start\n    self._check(context, instance)\n'
                '  File "/usr/lib/python3/dist-packages/nova/compute/api.py"'
                ', line 27, in _check\n    if instance.host is None:\n'
                "AttributeError: 'NoneType' object has no attribute 'host'")
        other = parquet.ParquetStore(self.tmp / 'other')
        samples.fill(other, samples.event(0, text, line=1, offset=0))
        maker = {'module': 'nova.db.api', 'file': 'nova/db/api.py',
                 'function': 'instance_get'}
        atlas = sources.atlas(self.tmp)
        for place, maps, shown in (
                (maker, atlas, True), (maker, None, False),
                ({**maker, 'function': 'other'}, atlas, False),
                ({**maker, 'file': 'nova/manager.py',
                  'module': 'nova.manager'}, atlas, False)):
            document = self.document()
            document['evidence'] = [{**document['evidence'][0],
                                     'text': text}]
            document['hypotheses'] = [document['hypotheses'][0] | {
                'location': dict(place), 'locations': []}]
            [found] = verify.checked(document, other, maps)['hypotheses']
            self.assertEqual((place, []) if shown else (None, [place]),
                             (found['location'], found['locations']))

    def test_what_does_not(self) -> None:
        for change in ({'source': 'other.log'}, {'line': 7}, {'line': 2},
                       {'offset': 1}, {'text': 'One'},
                       {'text': 'one and more'}):
            document = self.document()
            document['evidence'][0] |= change
            found = self.checked(document)
            self.assertEqual(['E2', 'E3'],
                             [e['id'] for e in found['evidence']])
            self.assertEqual([('second', 1)], [
                (h['cause'], h['rank']) for h in found['hypotheses']])
            self.assertEqual(('second', 'network', 0.4), (
                found['summary'], found['category'], found['confidence']))
            self.assertEqual(['E2', 'E3'],
                             [t['evidence'] for t in found['timeline']])
            self.assertEqual([{'text': 'b', 'evidence': ['E2']}],
                             found['recommendations'])

    def test_some_evidence_is_enough(self) -> None:
        document = self.document()
        document['evidence'][2]['text'] = 'invented'
        found = self.checked(document)
        self.assertEqual(['E2'], found['hypotheses'][1]['evidence'])
        self.assertEqual('first', found['summary'])

    def test_host_that_nobody_names(self) -> None:
        document = self.document()
        document['hypotheses'][0]['host'] = 'cmp5'
        found = self.checked(document)
        self.assertEqual([None, 'cmp9'],
                         [h['host'] for h in found['hypotheses']])

    def resource(self, **more: Any) -> tuple[
            dict[str, Any], cloudfacts.Fact]:
        fact = cloudfacts.Fact(
            'nova:/os-services?host=cmp7', 'service', 'It is down on cmp7.',
            host='cmp7', resources=(UUID,), request=REQUEST)
        row = {'id': 'E4', 'kind': 'resource', 'source': fact.source,
               'line': None, 'offset': None, 'text': fact.text,
               'host': fact.host}
        document = self.document()
        document['evidence'].append(row | more)
        document['hypotheses'][0] |= {'evidence': ['E4'], 'host': 'cmp7'}
        return document, fact

    def test_what_the_cloud_said(self) -> None:
        document, fact = self.resource()
        found = verify.checked(document, self.store, facts=[fact])
        self.assertEqual(['E1', 'E2', 'E3', 'E4'],
                         [e['id'] for e in found['evidence']])
        self.assertEqual(('cmp7', ['E4']), (
            found['hypotheses'][0]['host'],
            found['hypotheses'][0]['evidence']))

    def test_what_the_cloud_did_not_say(self) -> None:
        for more in ({'text': 'It is up on cmp7.'}, {'source': 'nova:/x'},
                     {'host': 'cmp8'}, {'kind': 'log', 'line': 1}):
            document, fact = self.resource(**more)
            found = verify.checked(document, self.store, facts=[fact])
            self.assertEqual(['second'],
                             [h['cause'] for h in found['hypotheses']])
        document, _ = self.resource()
        self.assertEqual(['second'], [
            h['cause'] for h in self.checked(document)['hypotheses']])

    def test_only_what_the_cloud_said(self) -> None:
        document, fact = self.resource()
        document['evidence'] = document['evidence'][3:]
        found = verify.checked(document, self.store, facts=[fact])
        self.assertEqual([1], [h['rank'] for h in found['hypotheses']])

    def test_what_a_cause_names(self) -> None:
        for cause, held in (
                (f'Server {UUID} has no host.', True),
                (f'Request {REQUEST} failed.', True),
                ('It fails on cmp7.', True),
                (f'Server {UUID[:-1]}0 has no host.', False),
                (f'Request {REQUEST[:-1]}0 failed.', False),
                ('10.0.0.1 does not answer.', False),
                ('It fails on cmp9.', False),
                # A version, and a host of no evidence, are words.
                ('Python 3.11.7 fails on cmp70.', True)):
            document, fact = self.resource()
            document['hypotheses'][0] |= {
                'cause': cause, 'component': 'nova-api',
                'category': 'hang'}
            found = verify.checked(document, self.store, facts=[fact])
            told = cause if held else 'nova-api does not answer in time.'
            self.assertEqual(told, found['hypotheses'][0]['cause'])
            self.assertEqual('first' if held else told, found['summary'])

    def test_host_of_a_longer_name(self) -> None:
        document = self.document()
        document['hypotheses'][1] |= {'host': 'cmp', 'cause':
                                      'It fails on cmp.'}
        found = self.checked(document)['hypotheses'][1]
        self.assertEqual((None, 'It fails.'), (found['host'],
                                               found['cause']))

    def test_nothing_holds(self) -> None:
        for evidence in ([], [{'id': 'E1', 'source': 'x', 'line': 1,
                               'offset': 0, 'text': 'one'}]):
            document = self.document() | {'evidence': evidence}
            found = self.checked(document)
            for name in ('evidence', 'hypotheses', 'timeline',
                         'recommendations'):
                self.assertEqual([], found[name])
            self.assertEqual(('unknown', 0.0), (
                found['category'], found['confidence']))
            self.assertNotEqual('first', found['summary'])

    def test_nothing_claimed(self) -> None:
        document = self.document() | {
            'evidence': [], 'hypotheses': [], 'timeline': [],
            'recommendations': [], 'summary': 'Nothing is wrong.'}
        self.assertEqual('Nothing is wrong.',
                         self.checked(document)['summary'])


class TestSound(base.TestCase):

    def document(self) -> dict[str, Any]:
        return {
            'verdict': 'cause_found',
            'evidence': [{'id': 'E1', 'kind': 'log', 'source': 'a.log',
                          'text': 'one'}],
            'hypotheses': [{
                'rank': 1, 'cause': 'It.', 'component': 'nova-api',
                'category': 'hang', 'confidence': 0.5, 'evidence': ['E1']}],
            'timeline': [{'evidence': 'E1'}],
            'recommendations': [{'evidence': ['E1']}]}

    def test_is(self) -> None:
        document = self.document()
        self.assertIs(document, verify.sound(document))
        verify.sound({'verdict': 'nothing_abnormal', 'evidence': [],
                      'hypotheses': [], 'timeline': [],
                      'recommendations': []})

    def test_is_not(self) -> None:
        for name, change in (
                ('hypotheses', {'rank': 2}), ('hypotheses', {'cause': ' '}),
                ('hypotheses', {'component': 'nova'}),
                ('hypotheses', {'category': 'bad luck'}),
                ('hypotheses', {'confidence': 1.1}),
                ('hypotheses', {'evidence': []}),
                ('hypotheses', {'evidence': ['E1', 'E2']}),
                ('evidence', {'kind': 'rumour'}), ('evidence', {'text': ''}),
                ('evidence', {'source': ''}), ('evidence', {'id': 'E2'}),
                ('timeline', {'evidence': 'E2'}),
                ('recommendations', {'evidence': []}),
                ('recommendations', {'evidence': ['E2']})):
            document = self.document()
            document[name][0] |= change
            error = self.assertRaises(exception.ReportInvalid, verify.sound,
                                      document)
            self.assertIn('not published', str(error))
        for name, most in (('evidence', 200), ('timeline', 200)):
            document = self.document()
            document[name] = [row | {'id': f'E{i + 1}'} for i, row in
                              enumerate(document[name] * (most + 1))]
            self.assertRaises(exception.ReportInvalid, verify.sound,
                              document)
        document = self.document()
        document['evidence'] *= 2
        self.assertRaises(exception.ReportInvalid, verify.sound, document)
        self.assertRaises(
            exception.ReportInvalid, verify.sound,
            self.document() | {'hypotheses': [], 'recommendations': []})
