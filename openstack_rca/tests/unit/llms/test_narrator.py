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
"""Tests of the narrative of a report."""

import json
import pathlib
import threading
from typing import Any
from unittest import mock

from openstack_rca import exception
from openstack_rca.llms import base as llms
from openstack_rca.llms import budget
from openstack_rca.llms import claims
from openstack_rca.llms import egress
from openstack_rca.llms import narrator
from openstack_rca.llms import none
from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import html
from openstack_rca.osc.formatters import markdown
from openstack_rca.osc.formatters import terminal
from openstack_rca.tests import base
from openstack_rca.tests.unit.llms import corpus
from openstack_rca.tests.unit.llms import standin

_TRUE = ('nova-compute on <host-1> could not connect to the database at '
         '02:43:13.', ['E1'])
_OPTIONS = formatters.Options(columns=80, colour=False, unicode=True)


class _Case(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config('llm', directory=str(self.tmp / 'state'))
        self.model = self.useFixture(standin.Model(standin.claims(_TRUE)))
        self.report = corpus.report('incident-09')

    def _ask(self, backend: str = 'openai', **options: object) -> None:
        path = '/v1' if backend == 'openai' else ''
        for name, value in {
                'backend': backend, 'model': 'some-model', 'api_key': 'k-1',
                'base_url': self.model.url + path, 'retries': 0,
                **options}.items():
            self.config('llm', **{name: value})

    def _told(self, report: dict[str, Any] | None = None) -> dict[str, Any]:
        document = narrator.narrate(report or corpus.report('incident-09'))
        self.report = document
        told: dict[str, Any] = document['narrative']
        return told

    def _why(self) -> str:
        reason = self.report['skipped'][0]
        self.assertTrue(reason['source'].startswith('language model '))
        return str(reason['reason'])

    def _spent(self) -> tuple[int, float]:
        return budget.Ledger(self.tmp / 'state' / 'llm.sqlite').spent()


class TestNone(_Case):

    def test_every_claim_is_carried(self) -> None:
        reports = {r['id']: r for r, _ in corpus.by_hand()}
        self.assertGreater(len(reports), 15)
        for report in reports.values():
            told = self._told(report)
            self.assertEqual('none', told['backend'])
            self.assertEqual([], told['dropped'])
            self.assertTrue(told['claims'])
            for claim in told['claims']:
                self.assertIs(True, claim['verified'])
                self.assertTrue(claim['evidence'])
            self.assertTrue(2 <= told['text'].count('). ') + 1 <= 8)

    def test_what_is_said(self) -> None:
        told = self._told()
        text = told['text']
        self.assertIn('The database does not accept connections', text)
        self.assertIn('mariadb at 02:43:13 UTC on 2026-11-21', text)
        self.assertIn('What to do: ', text)
        self.assertIn('(E5)', text)
        self.assertEqual((0, 0.0, None), (told['tokens'], told['cost'],
                                          told['model']))
        self.assertEqual([], self.model.asked)
        self.assertEqual([], self.report['skipped'])
        again = narrator.narrate(corpus.report('incident-09'))
        self.assertEqual(told, again['narrative'])

    def test_without_a_cause(self) -> None:
        report = corpus.report('incident-09')
        report |= {'hypotheses': [], 'verdict': 'nothing_abnormal'}
        self._ask()
        self.assertIn('quiet part', self._told(report)['text'])
        report |= {'verdict': 'insufficient_evidence'}
        self.assertIn('does not prove', self._told(report)['text'])
        self.assertEqual([], self.model.asked)

    def test_what_cannot_be_told_is_no_failure(self) -> None:
        with mock.patch.object(none.Plain, 'claims', autospec=True,
                               side_effect=RecursionError):
            told = self._told()
        self.assertEqual([], told['claims'])
        self.assertIn('RecursionError', self._why())

    def test_time_is_counted(self) -> None:
        self._told()
        seconds = self.report['statistics']['seconds']
        self.assertGreater(seconds['narrate'], 0)
        self.assertGreater(seconds['total'], .2)


class TestRemote(_Case):

    def test_both_protocols(self) -> None:
        for backend, tokens in (('openai', 120), ('anthropic', 160)):
            self._ask(backend, price_input=10.0, price_output=100.0,
                      cache_time=0)
            told = self._told()
            self.assertEqual(backend, told['backend'])
            self.assertEqual('some-model', told['model'])
            self.assertEqual([{
                'text': 'nova-compute on cmp2 could not connect to the '
                        'database at 02:43:13.',
                'evidence': ['E1'], 'verified': True}], told['claims'])
            self.assertEqual(
                'nova-compute on cmp2 could not connect to the database at '
                '02:43:13 (E1).', told['text'])
            self.assertEqual(tokens, told['tokens'])
            self.assertGreater(told['cost'], .001)
            self.assertEqual([], self.report['skipped'])
        self.assertEqual(280, self._spent()[0])

    def test_one_question_for_the_same_evidence(self) -> None:
        self._ask()
        first = self._told()
        again = self._told()
        self.assertEqual(1, len(self.model.asked))
        self.assertEqual(first['text'], again['text'])
        self.assertEqual((True, 0, 0.0), (
            again['cached'], again['tokens'], again['cost']))
        # Another project shares nothing.
        self._told(corpus.report('incident-09') | {'project_id': 'p2'})
        self.assertEqual(2, len(self.model.asked))

    def test_one_question_at_a_time(self) -> None:
        self._ask()
        threads = [threading.Thread(target=narrator.narrate, args=(
            corpus.report('incident-09'),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(1, len(self.model.asked))

    def test_claims_that_are_not_carried(self) -> None:
        self.model.says = standin.claims(
            _TRUE, ('cmp9 was hacked.', ['E1']), ('All is well.', []))
        self._ask()
        told = self._told()
        self.assertEqual(1, len(told['claims']))
        self.assertEqual(['cites', 'names'], sorted(
            d['reason'].split()[0] for d in told['dropped']))
        self.assertNotIn('hacked', told['text'])

    def test_no_claim_is_carried(self) -> None:
        self.model.says = standin.claims(('cmp9 was hacked.', ['E1']))
        self._ask()
        told = self._told()
        self.assertEqual('none', told['backend'])
        self.assertEqual(120, told['tokens'])
        self.assertEqual(1, len(told['dropped']))
        self.assertIn('none of the 1 claims', self._why())
        self.assertTrue(told['claims'])

    def test_failures_never_fail_the_report(self) -> None:
        for backend in ('openai', 'anthropic'):
            for way in (400, 401, 429, 500, 529, 'cut', 'error', 'garbage',
                        'length', 'endless', 'redirect', 'hang', 'slow'):
                self.model.ways = [way]
                self._ask(backend, timeout=.4, breaker_failures=100)
                told = self._told()
                self.assertEqual('none', told['backend'], str(way))
                self.assertTrue(told['claims'])
                self.assertIn('language model', self._why())

    def test_answers_that_are_none(self) -> None:
        for says in ('', 'Sorry.', '[]', '{"claims": 3}'):
            self.model.says = says
            self._ask()
            told = self._told()
            self.assertEqual(('none', 120), (told['backend'],
                                             told['tokens']))
            self.assertIn('its answer', self._why())

    def test_again(self) -> None:
        self.model.ways = [529, 'cut', 'ok']
        self._ask(retries=2)
        told = self._told()
        self.assertEqual('openai', told['backend'])
        # The one that broke off may be charged.
        self.assertGreater(told['tokens'], 120)

    def test_what_failed_may_be_charged(self) -> None:
        self.model.ways = ['cut']
        self._ask(price_input=1.0, price_output=1.0)
        told = self._told()
        self.assertEqual('none', told['backend'])
        self.assertEqual((told['tokens'], told['cost']), (
            self._spent()[0], round(self._spent()[1], 6)))
        self.assertGreater(told['tokens'], 1000)

    def test_a_server_that_fails_is_left_alone(self) -> None:
        self.model.ways = [500]
        self._ask(breaker_failures=2)
        for _ in range(4):
            self._told()
        self.assertEqual(2, len(self.model.asked))
        self.assertIn('left alone', self._why())

    def test_limits(self) -> None:
        for options, name in (
                ({'max_tokens_per_analysis': 100}, 'per_analysis'),
                ({'max_tokens_per_day': 100}, 'max_tokens_per_day'),
                ({'max_cost_per_day': .0001, 'price_input': 10.0,
                  'price_output': 10.0}, 'max_cost_per_day'),
                ({'max_cost_per_day': 1.0, 'price_input': 0.0},
                 'price_input'),
                ({'max_request_bytes': 4096, 'max_evidence': 1,
                  'max_cost_per_day': 0.0, 'api_key_file': '/nowhere',
                  'api_key': ''}, 'api_key_file')):
            self._ask(**options)
            self.assertEqual('none', self._told()['backend'])
            self.assertIn(name, self._why())
            for option in options:
                self.conf.clear_override(option, group='llm')
        self.assertEqual([], self.model.asked)

    def test_the_key_comes_from_a_file(self) -> None:
        (self.tmp / 'key').write_text('key-of-file\n')
        self._ask(api_key='', api_key_file=str(self.tmp / 'key'))
        self._told()
        self.assertEqual('Bearer key-of-file',
                         self.model.headers[0]['authorization'])

    def test_nothing_is_sent_that_cannot_be_hidden(self) -> None:
        self._ask()
        with mock.patch('openstack_rca.llms.redaction.Redactor.text',
                        autospec=True, side_effect=ValueError):
            self._told()
        self.assertIn('Nothing was sent', self._why())
        self.assertEqual([], self.model.asked)

    def test_nothing_is_asked_that_cannot_be_counted(self) -> None:
        (self.tmp / 'file').write_text('')
        self._ask(directory=str(self.tmp / 'file'))
        self._told()
        self.assertIn('[llm] directory', self._why())
        self.assertEqual([], self.model.asked)

    def test_a_backend_that_is_not_there(self) -> None:
        self._ask('gpt')
        self._told()
        self.assertIn("There is no driver 'gpt'", self._why())

    def test_a_backend_of_others_that_breaks(self) -> None:
        self._ask()
        with mock.patch.object(narrator, 'load', autospec=True,
                               side_effect=ZeroDivisionError):
            self._told()
        self.assertIn('ZeroDivisionError', self._why())

    def test_a_local_backend_of_others(self) -> None:
        class Mine(llms.Local):
            def claims(self, report: dict[str, Any]) -> list[llms.Claim]:
                return [llms.Claim('The database was down.', ('E2',)),
                        llms.Claim('It was hacked.', ('E2',))]

        self.config('llm', backend='mine')
        with mock.patch.object(narrator, 'load', autospec=True,
                               return_value=Mine):
            told = self._told()
        self.assertEqual('mine', told['backend'])
        self.assertEqual('The database was down (E2).', told['text'])
        self.assertEqual(1, len(told['dropped']))

    def test_where_it_is_counted(self) -> None:
        self.config('llm', directory='')
        self.config(state_path=str(self.tmp / 'missing'))
        self.assertEqual(self.tmp / 'xdg' / 'cache' / 'openstack-rca',
                         narrator._directory())
        self.config('local_cache', directory=str(self.tmp / 'cache'))
        self.assertEqual(self.tmp / 'cache', narrator._directory())
        self.config(state_path=str(self.tmp))
        self.assertEqual(self.tmp, narrator._directory())


class TestPreview(_Case):

    def test_it_is_what_is_sent(self) -> None:
        for backend in ('openai', 'anthropic'):
            self._ask(backend, cache_time=0)
            shown = narrator.preview(self.report)
            self.assertEqual([], self.model.asked)
            self._told()
            asked = self.model.asked.pop()
            self.assertEqual(shown['body'],
                             {key: asked[key] for key in shown['body']})
            self.assertIn(self.model.url, shown['address'])
            self.assertGreater(shown['tokens'], 1000)
            self.assertEqual(4, shown['hidden']['host'])

    def test_nothing_would_leave(self) -> None:
        shown = narrator.preview(self.report)
        self.assertIsNone(shown['body'])
        self.assertIn('nothing leaves', shown['reason'])
        self._ask()
        shown = narrator.preview(self.report | {'hypotheses': []})
        self.assertIn('nothing to explain', shown['reason'])
        self._ask('gpt')
        self.assertRaises(exception.DriverNotFound, narrator.preview,
                          self.report)


class TestAttacks(_Case):
    """A model that obeys everything, from the log to the screen."""

    def test_nothing_it_says_reaches_anybody(self) -> None:
        told = [(text, [corpus.FORGED, 'E1']) for text in corpus.OBEYED]
        told += [(text, list(cites)) for text, cites in corpus.UNCITED]
        self._ask(cache_time=0, max_tokens_per_day=0)
        for number, (payload, report) in enumerate(corpus.attacked()):
            if number % 11:
                continue
            begin = number % len(told)
            said = (told + told)[begin:begin + 11]
            self.model.says = standin.claims(
                *said, ('No valid host was found.', ['E1']))
            narrative = self._told(report)
            self.assertEqual(['No valid host was found.'],
                             [c['text'] for c in narrative['claims']])
            self.assertEqual('No valid host was found (E1).',
                             narrative['text'])
            self.assertNotIn(payload, str(self.model.data()))
            self._shown(report)

    def _shown(self, report: dict[str, Any]) -> None:
        document = json.loads(json.dumps(report)) | {
            'status': 'complete', 'severity': 'low', 'category': 'unknown'}
        told = document['narrative']
        # What was dropped acts on nothing, wherever it is shown.
        self.assertTrue(str(told['dropped']).isascii())
        for formatter in (terminal.ReportFormatter(),
                          markdown.MarkdownFormatter(),
                          html.HtmlFormatter()):
            page = formatter.render('report', document, _OPTIONS)
            self.assertNotIn('\x1b', page)
            self.assertNotIn('\u202e', page)
            self.assertNotIn('![x](', page)
            self.assertNotIn('<img', page)
            self.assertNotIn('<script', page)
            self.assertIn('No valid host was found', page)
            self.assertIn('sentences of the model', page.replace('\n', ' '))

    def test_the_model_is_no_way_to_a_command(self) -> None:
        # Neither module starts anything.
        folder = pathlib.Path(egress.__file__).parent
        for path in folder.glob('*.py'):
            text = path.read_text()
            for word in ('subprocess', 'os.system', 'popen', 'exec(',
                         'eval(', 'pickle', 'yaml'):
                if path.name == 'claims.py':
                    # It knows what commands look like.
                    continue
                self.assertNotIn(word, text, path.name)

    def test_plain_words_hold_for_attacked_reports(self) -> None:
        for _, report in list(corpus.attacked())[::13]:
            told = none.Plain().claims(report)
            kept, dropped = claims.sort(report, told)
            self.assertEqual([], dropped)
            for claim in kept:
                self.assertNotIn(corpus.FORGED, claim['evidence'])
