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
"""Tests of the drivers, against servers that speak their protocols."""

import json
import os
from typing import Any

import fixtures

from openstack_rca.llms import anthropic
from openstack_rca.llms import base as llms
from openstack_rca.llms import egress
from openstack_rca.llms import openai
from openstack_rca.llms import prompts
from openstack_rca.tests import base
from openstack_rca.tests.unit.llms import standin

_SAID = standin.claims(('No valid host was found.', ['E1']))


class _Case(base.TestCase):
    """What all drivers have in common; subclasses say which.

    :cvar made: the driver
    :cvar path: behind the address of the server
    """

    made: type[llms.Remote]
    path = ''

    def setUp(self) -> None:
        super().setUp()
        self.model = self.useFixture(standin.Model(_SAID))
        self.request = llms.Request('Explain.', 'BEGIN DATA',
                                    prompts.SCHEMA, 500)

    def _driver(self, **more: str) -> llms.Remote:
        return self.made(llms.Settings(**{
            'model': 'some-model', 'base_url': self.model.url + self.path,
            'api_key': 'key-of-the-model', **more}))

    def _fails(self, *ways: standin.Way, timeout: float = 20.0
               ) -> llms.Unavailable:
        self.model.ways = list(ways)
        error = self.assertRaises(
            llms.Unavailable, self._driver().complete, self.request, timeout)
        self.assertNotIn('key-of-the-model', str(error))
        return error


class _Common:
    """Tests of each driver."""

    def test_an_answer(self: Any) -> None:
        reply = self._driver().complete(self.request, 20.0)
        self.assertEqual(_SAID, reply.text)
        self.assertEqual('some-model', reply.model)
        asked = self.model.asked[0]
        body = self._driver().body(self.request)
        self.assertEqual(body, {key: asked[key] for key in body})
        self.assertNotIn('key-of-the-model', json.dumps(asked))

    def test_refusals(self: Any) -> None:
        for status, again, hint in ((401, False, 'api_key'),
                                    (404, False, 'model'),
                                    (413, False, 'max_request_bytes'),
                                    (429, True, ''), (500, True, ''),
                                    (503, True, ''), (529, True, '')):
            error = self._fails(status)
            self.assertEqual(again, error.again, status)
            self.assertIn(str(status), str(error))
            self.assertIn(hint, str(error))
            self.assertEqual(0, error.charged)

    def test_as_long_as_the_server_wants(self: Any) -> None:
        self.model.retry_after = '7'
        self.assertEqual(7.0, self._fails(429).after)
        self.model.retry_after = 'soon'
        self.assertIsNone(self._fails(429).after)

    def test_answers_that_break_off(self: Any) -> None:
        for way in ('cut', 'error', 'garbage'):
            error = self._fails(way)
            self.assertTrue(error.again, way)

    def test_answers_that_are_too_long(self: Any) -> None:
        error = self._fails('length')
        self.assertIn('max_tokens', str(error))
        self.assertFalse(error.again)
        error = self._fails('endless')
        self.assertFalse(error.again)

    def test_answers_that_take_too_long(self: Any) -> None:
        for way in ('slow', 'hang'):
            self.model.ways = [way]
            error = self.assertRaises(
                llms.Unavailable, egress.send, self._driver(), self.request,
                timeout=.4, retries=2)
            self.assertIn('too long', str(error))
            self.assertEqual(1, error.charged)

    def test_nobody_there(self: Any) -> None:
        self.model.server.shutdown()
        self.model.server.server_close()
        error = self.assertRaises(
            llms.Unavailable, self._driver().complete, self.request, 20.0)
        self.assertTrue(error.again)
        self.assertIn('cannot be reached', str(error))

    def test_redirects_are_not_followed(self: Any) -> None:
        self._fails('redirect')
        self.assertEqual(1, len(self.model.asked))

    def test_without_a_model(self: Any) -> None:
        error = self.assertRaises(llms.LLMError, self._driver, model='')
        self.assertIn('[llm] model', str(error))


class TestAnthropic(_Case, _Common):

    made = anthropic.Anthropic

    def test_protocol(self) -> None:
        reply = self._driver().complete(self.request, 20.0)
        self.assertEqual(llms.Usage(100, 20, 30, 10), reply.usage)
        self.assertEqual(160, reply.usage.total if reply.usage else 0)
        asked, headers = self.model.asked[0], self.model.headers[0]
        self.assertEqual({'type': 'ephemeral'},
                         asked['system'][0]['cache_control'])
        self.assertEqual(
            {'type': 'json_schema', 'schema': prompts.SCHEMA},
            asked['output_config']['format'])
        self.assertIs(True, asked['stream'])
        self.assertIn('key-of-the-model', str(headers))

    def test_a_request_that_is_not_understood(self) -> None:
        error = self._fails(400)
        self.assertFalse(error.again)

    def test_the_environment_changes_nothing(self) -> None:
        for name, value in (('ANTHROPIC_BASE_URL', 'http://127.0.0.1:9'),
                            ('ANTHROPIC_API_KEY', 'another'),
                            ('ANTHROPIC_AUTH_TOKEN', 'another')):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self._driver().complete(self.request, 20.0)
        self.assertIn('key-of-the-model',
                      str(self.model.headers[0]))
        self.assertNotIn('another', str(self.model.headers[0]))
        self.assertEqual('https://api.anthropic.com',
                         self._driver(base_url='').address)

    def test_without_a_key(self) -> None:
        error = self.assertRaises(llms.LLMError, self._driver, api_key='')
        self.assertIn('api_key', str(error))

    def test_a_file_of_certificates_that_is_not_there(self) -> None:
        error = self.assertRaises(
            llms.Unavailable, self._driver(ca_file='/nowhere.pem').complete,
            self.request, 20.0)
        self.assertFalse(error.again)


class TestOpenAI(_Case, _Common):

    made = openai.OpenAI
    path = '/v1'

    def test_protocol(self) -> None:
        reply = self._driver().complete(self.request, 20.0)
        self.assertEqual(llms.Usage(70, 20, 30), reply.usage)
        asked, headers = self.model.asked[0], self.model.headers[0]
        self.assertEqual(
            {'name': 'claims', 'strict': True, 'schema': prompts.SCHEMA},
            asked['response_format']['json_schema'])
        self.assertEqual(500, asked['max_tokens'])
        self.assertEqual('Bearer key-of-the-model', headers['authorization'])

    def test_servers_that_know_less(self) -> None:
        for ways, form in (([400, 'ok'], {'type': 'json_object'}),
                           ([400, 400, 'ok'], None),
                           ([422, 'whole'], {'type': 'json_object'})):
            self.model.asked.clear()
            self.model.ways = ways  # type: ignore[assignment]
            reply = self._driver().complete(self.request, 20.0)
            self.assertEqual(_SAID, reply.text)
            asked = self.model.asked[-1]
            self.assertEqual(form, asked.get('response_format'))
            self.assertIn('"claims"', asked['messages'][0]['content'])
        self.model.asked.clear()
        error = self._fails(400)
        self.assertIn('answers 400', str(error))
        self.assertEqual(3, len(self.model.asked))

    def test_without_a_stream(self) -> None:
        self.model.ways = ['whole']
        reply = self._driver().complete(self.request, 20.0)
        self.assertEqual(_SAID, reply.text)
        self.assertEqual(llms.Usage(100, 20), reply.usage)

    def test_a_key_is_not_needed(self) -> None:
        # A .netrc with a password for the same host must not help out.
        (self.tmp / '.netrc').write_text(
            'machine 127.0.0.1 login a password b\n')
        os.chmod(self.tmp / '.netrc', 0o600)
        self.useFixture(fixtures.EnvironmentVariable(
            'NETRC', str(self.tmp / '.netrc')))
        self._driver(api_key='').complete(self.request, 20.0)
        self.assertNotIn('authorization', self.model.headers[0])

    def test_an_address_is_needed(self) -> None:
        error = self.assertRaises(llms.LLMError, self._driver, base_url='')
        self.assertIn('base_url', str(error))
        error = self.assertRaises(
            llms.Unavailable,
            self._driver(base_url=self.model.url + '/wrong').complete,
            self.request, 20.0)
        self.assertIn('base_url', str(error))


class TestParse(base.TestCase):

    def test_answers(self) -> None:
        claim = [llms.Claim('No valid host was found.', ('E1',))]
        for text in (_SAID, f'```json\n{_SAID}\n```', f'Here: {_SAID} done'):
            self.assertEqual(claim, prompts.parse(text))
        self.assertEqual([], prompts.parse('{"claims": []}'))
        self.assertEqual(
            [llms.Claim('a', ()), llms.Claim('', ()), llms.Claim('3', ('1',))],
            prompts.parse('{"claims": ["a", {"evidence": "E1"}, '
                          '{"text": 3, "evidence": [1]}]}'))
        self.assertEqual(prompts.MOST_CLAIMS, len(prompts.parse(
            json.dumps({'claims': ['x'] * 100}))))

    def test_what_is_no_answer(self) -> None:
        for text in ('', 'No.', '{', '[]', '{"claims": {}}', '{"a": 1}',
                     '[' * 100000, '{"claims": [}'):
            self.assertRaises(llms.LLMError, prompts.parse, text)
