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
"""Asking back."""

import gzip
import json
import pathlib
from typing import Any

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.engine import asking
from openstack_rca.engine import local
from openstack_rca.engine import session
from openstack_rca.knowledge import entries
from openstack_rca.tests import base
from openstack_rca.tests.unit.llms import standin

LOGS = (pathlib.Path(__file__).parents[4] / 'examples' / 'no-valid-host'
        / 'logs')


class TestAsk(base.TestCase):

    opened: session.Session
    report: dict[str, Any]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.report = {}

    def setUp(self) -> None:
        super().setUp()
        self.opened = local.open_folder(LOGS, cache=False)
        if not self.report:
            type(self).report = self.opened.analyze(scope.Question(
                issue='server web-3 went to ERROR'))
        self.before: list[str] = []

    def ask(self, question: str, *known: entries.Entry,
            **report: Any) -> dict[str, Any]:
        """Ask, and remember that it was asked."""
        answer = self.opened.ask(self.report | report, question, self.before,
                                 local.known(known))
        self.before.append(question)
        # The service hands it on as JSON.
        told: dict[str, Any] = json.loads(json.dumps(answer))
        return told

    def texts(self, answer: dict[str, Any]) -> str:
        """All that an answer stands on."""
        return '\n'.join(item['text'] for item in answer['evidence'])

    def test_words(self) -> None:
        answer = self.ask('what did placement answer?')
        self.assertIn('Got no allocation candidates', self.texts(answer))
        self.assertEqual('none', answer['backend'])
        for item in answer['evidence']:
            self.assertIn(f'[{item["id"]}]', answer['text'])

    def test_evidence_of_the_report_keeps_its_number(self) -> None:
        known = {(e['source'], e['line']): e['id']
                 for e in self.report['evidence']}
        answer = self.ask('what did placement answer?')
        numbers = [e['id'] for e in answer['evidence']]
        self.assertEqual(len(set(numbers)), len(numbers))
        for item in answer['evidence']:
            place = (item['source'], item['line'])
            if place in known:
                self.assertEqual(known[place], item['id'])
            else:
                self.assertNotIn(item['id'], known.values())

    def test_text_is_verbatim(self) -> None:
        for item in self.ask('no valid host')['evidence']:
            data = (LOGS / item['source']).read_bytes()
            if item['source'].endswith('.gz'):
                data = gzip.decompress(data)
            line = data.decode().split('\n')[item['line'] - 1]
            self.assertIn(item['text'].split('\n', 1)[0], line)

    def test_silence(self) -> None:
        answer = self.ask('zebra crossing?')
        self.assertEqual(([], []), (answer['evidence'],
                                    answer['knowledge']))
        self.assertIn('Neither the logs nor what is known', answer['text'])

    def test_why(self) -> None:
        answer = self.ask('and why?')
        self.assertTrue(answer['evidence'])
        self.assertEqual(self.report['scope']['resources'],
                         answer['scope']['resources'])

    def test_why_tells_the_cause_and_its_proof(self) -> None:
        first = self.report['hypotheses'][0]
        answer = self.ask('why?')
        self.assertIn(f'The likeliest cause is: {first["cause"]} [',
                      answer['text'])
        self.assertEqual(set(first['evidence']),
                         {item['id'] for item in answer['evidence']})
        self.assertEqual({'the report cites it'},
                         {item['why'] for item in answer['evidence']})
        # A report without a cause has nothing to tell of one.
        self.assertNotIn('likeliest', self.ask('why?', hypotheses=[])['text'])

    def test_evidence_by_its_number(self) -> None:
        self.assertEqual({'E1', 'E9'}, {
            item['id'] for item in self.ask('what about E1 and E9?')[
                'evidence']})
        self.assertEqual([], self.ask('what is E9999?')['evidence'])

    def test_service_that_a_question_names(self) -> None:
        proof = {e['id'] for e in self.report['evidence']
                 if e['service'] == 'placement'
                 and e['id'] in self.report['hypotheses'][0]['evidence']}
        self.assertTrue(proof)
        found = {item['id'] for item in self.ask(
            'what did placement answer?')['evidence']}
        self.assertLessEqual(proof, found)
        # Whatever the report says of it, its errors count.
        answer = self.ask('zebra in nova?', evidence=[], hypotheses=[])
        self.assertTrue(answer['evidence'])
        self.assertEqual({('nova', 'ERROR')}, {
            (item['service'], item['level']) for item in answer['evidence']})

    def test_no_is_no_word_to_look_for(self) -> None:
        found = self.texts(self.ask('why did Placement have no candidates?'))
        self.assertIn('Got no allocation candidates', found)
        self.assertNotIn('DHCP', found)

    def who(self, answer: dict[str, Any]) -> set[tuple[str, str]]:
        """Programs and hosts that an answer stands on."""
        return {(e['binary'], e['host']) for e in answer['evidence']}

    def test_program_and_host_that_a_question_names(self) -> None:
        answer = self.ask('what did nova-compute on cmp1 log?')
        self.assertEqual({('nova-compute', 'cmp1')}, self.who(answer))
        self.assertEqual({'logged by what the question names'},
                         {item['why'] for item in answer['evidence']})
        # What is loud, and what was logged when the cause was seen.
        self.assertIn('WARNING', {e['level'] for e in answer['evidence']})
        first = min(e['timestamp'] for e in self.report['evidence']
                    if e['id'] in self.report['hypotheses'][0]['evidence'])
        self.assertTrue(any(e['timestamp'][:16] == first[:16]
                            for e in answer['evidence']))
        self.assertEqual({'cmp2'}, {host for _, host in self.who(
            self.ask('what happened on cmp2?'))})

    def test_program_and_words(self) -> None:
        answer = self.ask('what did neutron-api log about ports?')
        self.assertEqual({'neutron-api'}, {
            name for name, _ in self.who(answer)})
        self.assertIn('port', self.texts(answer).lower())

    def test_level_that_a_question_names(self) -> None:
        answer = self.ask('did neutron log an error?')
        self.assertEqual([], answer['evidence'])
        self.assertEqual('Nothing that was logged by neutron as ERROR or '
                         'worse fits the question.', answer['text'])
        found = self.ask('did nova log an error?')['evidence']
        self.assertTrue(found)
        self.assertEqual({('nova', 'ERROR')}, {
            (item['service'], item['level']) for item in found})
        self.assertEqual({'WARNING'}, {item['level'] for item in self.ask(
            'show me the warnings of nova-scheduler')['evidence']})

    def test_what_a_program_says_of_a_host(self) -> None:
        answer = self.ask('what did nova-compute log about cmp2?')
        self.assertTrue(answer['evidence'])
        self.assertEqual({'nova-compute'}, {
            name for name, _ in self.who(answer)})
        for item in answer['evidence']:
            self.assertIn('cmp2', item['text'] + item['message'])
        self.assertEqual([], self.ask(
            'what did nova-compute log about cmp9?')['evidence'])

    def test_time_alone(self) -> None:
        answer = self.ask('what happened since 2026-11-21 05:08:15?',
                          scope={})
        self.assertTrue(answer['evidence'])
        for item in answer['evidence']:
            self.assertGreaterEqual(item['timestamp'],
                                    '2026-11-21T05:08:15')
        near = self.ask('2026-11-21 05:07:25?', scope={}, hypotheses=[])
        self.assertIn('2026-11-21T05:07:25.', str([
            item['timestamp'] for item in near['evidence']]))
        self.assertNotIn('likeliest', near['text'])

    def test_what_a_question_names(self) -> None:
        server = self.report['scope']['resources'][0]
        answer = self.ask(f'what happened to {server}?', scope={})
        self.assertEqual([server], answer['scope']['resources'])
        self.assertTrue(answer['evidence'])
        for item in answer['evidence']:
            self.assertEqual('concerns what the question is about',
                             item['why'])
        # The next question is about the same.
        self.assertEqual([server], self.ask(
            'no valid host?', scope={})['scope']['resources'])

    def test_time_of_a_question(self) -> None:
        answer = self.ask('no valid host since 2026-11-21 05:08:15?')
        self.assertTrue(answer['evidence'])
        for item in answer['evidence']:
            self.assertGreaterEqual(item['timestamp'],
                                    '2026-11-21T05:08:15')

    def test_times_of_the_report(self) -> None:
        asked = self.report['scope'] | {
            'since': '2026-11-21T05:08:15+00:00'}
        for item in self.ask('no valid host?', scope=asked)['evidence']:
            self.assertGreaterEqual(item['timestamp'],
                                    '2026-11-21T05:08:15')

    def test_what_is_known(self) -> None:
        answer = self.ask('zebra crossing?', entries.Entry(
            'x', 'incident', 'The zebra crossed', 'at night',
            resolution='built a crossing\nand more'))
        known, = answer['knowledge']
        self.assertEqual(('K1', 'x', 'incident'), (
            known['number'], known['id'], known['kind']))
        self.assertIn('The zebra crossed: built a crossing [K1]',
                      answer['text'])

    def test_size(self) -> None:
        self.config('retrieval', context_size=500)
        answer = self.ask('no valid host?')
        self.assertEqual(1, len(answer['evidence']))
        self.assertLess(sum(len(k['text']) for k in answer['knowledge']),
                        500)

    def test_strange_questions(self) -> None:
        for question in ('\x1b[2J \u202e', '"; DROP', '(' * 500, 'a' * 10000,
                         'req-00000000-0000-0000-0000-000000000000?',
                         'since 2026-11-22 10:00 until 2026-11-21 09:00'):
            try:
                answer = self.ask(question)
            except exception.RCAException as error:
                self.fail(f'{question}: {error}')
            self.assertTrue(answer['text'])

    def test_report_of_another_time(self) -> None:
        answer = asking.ask(self.opened.store, {}, 'no valid host', [],
                            lambda question, limit, kinds=(): [])
        self.assertTrue(answer['evidence'])
        self.assertEqual('E1', sorted(
            e['id'] for e in answer['evidence'])[0])

    def _model(self, *claims: tuple[str, list[str]]) -> standin.Model:
        model = self.useFixture(standin.Model(standin.claims(*claims)))
        for name, value in {
                'backend': 'openai', 'model': 'some-model', 'retries': 0,
                'base_url': model.url + '/v1',
                'directory': str(self.tmp / 'llm')}.items():
            self.config('llm', **{name: value})
        return model

    def test_model(self) -> None:
        plain = self.ask('why?')
        self.before = []
        model = self._model(
            ('Got no allocation candidates from the Placement API.', ['E3']),
            ('cmp9 was hacked.', ['E3']), ('All is well.', []))
        answer = self.ask('why?')
        self.assertEqual(('openai', 'some-model'),
                         (answer['backend'], answer['model']))
        # What was found stays below the words.
        words, _, rest = answer['text'].partition('\n')
        self.assertEqual('Got no allocation candidates from the Placement '
                         'API (E3).', words)
        self.assertEqual(plain['text'], rest)
        self.assertEqual(plain['evidence'], answer['evidence'])
        self.assertEqual(2, len(answer['dropped']))
        self.assertGreater(answer['tokens'], 0)
        self.assertEqual([], answer['skipped'])
        sent, = model.asked
        self.assertIn('Answer the question', str(sent['messages'][0]))
        self.assertIn('why?', str(sent['messages'][1]))
        # The same again costs nothing.
        self.before = []
        self.assertTrue(self.ask('why?')['cached'])
        self.assertEqual(1, len(model.asked))

    def test_model_gets_what_the_gate_lets_through(self) -> None:
        model = self._model()
        self.ask('why? password=hunter2verysecret mail bob@example.org')
        sent = json.dumps(model.asked)
        for secret in ('hunter2verysecret', 'bob@', 'cmp3', 'ctl1'):
            self.assertNotIn(secret, sent)

    def test_model_that_does_not_answer(self) -> None:
        plain = self.ask('no valid host?')
        self.before = []
        model = self._model(('cmp9 was hacked.', ['E3']))
        for way in ('ok', 500, 'garbage'):
            model.ways = [way]
            self.config('llm', cache_time=0)
            answer = self.ask('no valid host?')
            self.before = []
            self.assertEqual((plain['text'], 'none'),
                             (answer['text'], answer['backend']))
            self.assertEqual('language model openai',
                             answer['skipped'][0]['source'])

    def test_model_is_not_asked_about_nothing(self) -> None:
        model = self._model()
        self.assertNotIn('skipped', self.ask('zebra crossing?'))
        self.assertEqual([], model.asked)

    def test_essence(self) -> None:
        self.assertEqual('placement answer?', asking.essence(
            'what did placement answer?'))
