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
"""What a report resembles."""

from typing import Any

from openstack_rca.knowledge import entries
from openstack_rca.knowledge import signatures
from openstack_rca.knowledge import similar
from openstack_rca.tests import base

REPORT: dict[str, Any] = {
    'verdict': 'cause_found', 'similar': [],
    'hypotheses': [{'cause': 'RabbitMQ is full', 'component': 'rabbitmq',
                    'category': 'messaging', 'evidence': ['E2']}],
    'evidence': [
        {'id': 'E1', 'text': 'other line'},
        {'id': 'E2', 'text': 'AMQP server on 10.0.0.1:5672 is unreachable '
                             'for req-0b535135-6aca-40ef-8f94-4b673f5986f8'
                             '\nTraceback'},
        {'id': 'E3', 'text': 'AMQP server on 10.0.0.2:5672 is unreachable '
                             'for req-1b535135-6aca-40ef-8f94-4b673f5986f8'
         }]}


def found(kind: str, likeness: float, name: str = 'x') -> similar.Found:
    """Something that a search finds."""
    return similar.Found(entries.Entry(
        name, kind, f'title of {name}', 'text', resolution='restart',
        source='doc.rst'), 0.9, likeness)


class TestEntries(base.TestCase):

    def test_symptoms_are_those_of_every_time(self) -> None:
        lines = entries.symptoms(REPORT).split('\n')
        self.assertEqual(
            ['RabbitMQ is full', 'rabbitmq', 'messaging',
             'AMQP server on : is unreachable for', 'other line'], lines)

    def test_symptoms_of_what_was_wrong(self) -> None:
        told = entries.symptoms(REPORT, judged=False)
        self.assertNotIn('full', told)
        self.assertIn('AMQP', told)

    def test_symptoms_of_nothing(self) -> None:
        self.assertEqual('', entries.symptoms({}))

    def test_fingerprint_is_of_all_that_it_says(self) -> None:
        values = {'kind': 'document', 'title': 'a', 'text': 'b'}
        first = entries.fingerprint(values)
        self.assertEqual(first, entries.fingerprint(
            values | {'id': 'x', 'service': None, 'tags': []}))
        for more in ({'text': 'c'}, {'tags': ['t']}, {'service': 'nova'},
                     {'title': 'ab', 'text': ''}):
            self.assertNotEqual(first, entries.fingerprint(values | more))


class TestAdd(base.TestCase):

    def _add(self, *known: similar.Found, **report: Any) -> Any:
        def search(question: str, limit: int, kinds: Any = ()) -> Any:
            self.questions.append(question)
            return [f for f in known if f.entry.kind in kinds][:limit]
        self.questions: list[str] = []
        told = REPORT | report
        similar.add(told, search, threshold=.7, incidents=2, documents=1)
        return told['similar']

    def test_what_is_near_enough(self) -> None:
        told = self._add(
            found('incident', .69, 'far'), found('analysis', .7, 'near'),
            found('signature', .2, 'known'), found('document', .19, 'chance'))
        self.assertEqual([('analysis', 'near', .7), (
            'signature', 'known', .2)], [
                (t['kind'], t['id'], t['score']) for t in told])
        self.assertEqual(
            {'kind', 'id', 'title', 'score', 'resolution', 'url'},
            set(told[0]))
        self.assertEqual(('restart', 'doc.rst'),
                         (told[0]['resolution'], told[0]['url']))
        self.assertEqual({entries.symptoms(REPORT)}, set(self.questions))

    def test_no_more_than_wanted(self) -> None:
        told = self._add(*(found('incident', .8, str(n)) for n in range(5)),
                         *(found('document', .8, str(n)) for n in range(5)))
        self.assertEqual(['incident', 'incident', 'document'],
                         [t['kind'] for t in told])

    def test_the_likest_first(self) -> None:
        told = self._add(found('incident', .8, 'a'),
                         found('analysis', .9, 'b'))
        self.assertEqual(['b', 'a'], [t['id'] for t in told])

    def test_nothing_resembles_nothing(self) -> None:
        self.assertEqual([], self._add(found('incident', 1.0),
                                       verdict='nothing_abnormal'))
        self.assertEqual([], self._add(found('incident', 1.0),
                                       hypotheses=[], evidence=[]))
        self.assertEqual([], self.questions)


class TestSignatures(base.TestCase):

    def test_all_can_be_found(self) -> None:
        known = signatures.Library.configured().signatures
        made = similar.of_signatures(known)
        self.assertEqual([s.id for s in known], [e.id for e in made])
        for entry in made:
            self.assertEqual('signature', entry.kind)
            self.assertIsNone(entry.project_id)
            self.assertTrue(entry.resolution, entry.id)
            self.assertNotIn('{', entry.words, entry.id)
