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

from openstack_rca.analysis import verify
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources
from openstack_rca.tests.unit.store import samples


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
