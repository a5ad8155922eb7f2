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
"""Models behind the chat completions API of OpenAI, such as of vLLM, Ollama.

The servers differ in what they know. One that does not know JSON schemas is
asked for JSON, and one that does not know that either is asked in words.
"""

import contextlib
import json
import time
from typing import Any

import requests

from openstack_rca.llms import base

_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
#: How the form of an answer can be asked for, the strictest first.
_FORMS = ('json_schema', 'json_object', '')
#: Seconds to connect: what does not listen is noticed at once.
_CONNECT = 5.0


class OpenAI(base.Remote):
    """Asks a server that speaks like OpenAI's."""

    def __init__(self, settings: base.Settings) -> None:
        super().__init__(settings)
        if not settings.base_url:
            raise base.LLMError(
                reason='[llm] base_url is not set. It looks like '
                       'http://llm.example.org:8000/v1.')
        self._form = _FORMS[0]
        self._limit = 'max_tokens'

    @property
    def address(self) -> str:
        """Where questions go."""
        return self.settings.base_url.rstrip('/') + '/chat/completions'

    def body(self, request: base.Request) -> dict[str, Any]:
        """What is sent for a request, see the abstract class."""
        system = request.system
        if self._form != 'json_schema':
            system += ('\nAnswer with JSON that fits this schema, and with '
                       f'nothing else:\n{json.dumps(request.schema)}\n')
        body: dict[str, Any] = {
            'model': self.settings.model,
            self._limit: request.max_tokens,
            'messages': [{'role': 'system', 'content': system},
                         {'role': 'user', 'content': request.user}],
            'stream': True, 'stream_options': {'include_usage': True}}
        if self._form == 'json_schema':
            body['response_format'] = {
                'type': 'json_schema', 'json_schema': {
                    'name': 'claims', 'strict': True,
                    'schema': request.schema}}
        elif self._form:
            body['response_format'] = {'type': self._form}
        return body

    def complete(self, request: base.Request, timeout: float) -> base.Reply:
        """Ask once, see the abstract class."""
        until = time.monotonic() + timeout
        while True:
            try:
                return self._asked(request, until)
            except _NotUnderstood as error:
                if not self._simpler(str(error)):
                    raise base.Unavailable(
                        f'the server answers {error.status}. Check [llm] '
                        'model and base_url.', again=False) from error
            except requests.exceptions.Timeout as error:
                raise base.Unavailable(
                    'the server took too long.', again=False,
                    charged=1) from error
            except requests.exceptions.ChunkedEncodingError as error:
                raise base.Unavailable(
                    'the server broke off its answer.', again=True,
                    charged=1) from error
            except requests.exceptions.ConnectionError as error:
                # A read that takes too long ends in one, too.
                slow = 'timed out' in str(error).lower()
                raise base.Unavailable(
                    'the server took too long.' if slow else
                    f'{self.address} cannot be reached.', again=not slow,
                    charged=int(slow)) from error
            except (requests.exceptions.RequestException, OSError) as error:
                raise base.Unavailable(
                    f'{self.address} cannot be asked '
                    f'({type(error).__name__}).', again=False) from error

    def _simpler(self, said: str) -> bool:
        """Ask for less than what a server did not understand.

        :param said: what it complained about
        :returns: whether there is less
        """
        if 'max_completion_tokens' in said and self._limit == 'max_tokens':
            self._limit = 'max_completion_tokens'
            return True
        with contextlib.suppress(IndexError):
            self._form = _FORMS[_FORMS.index(self._form) + 1]
            return True
        return False

    def _asked(self, request: base.Request, until: float) -> base.Reply:
        headers = {'Accept': 'text/event-stream, application/json'}
        if self.settings.api_key:
            headers['Authorization'] = f'Bearer {self.settings.api_key}'
        left = max(until - time.monotonic(), .05)
        with requests.Session() as session:
            # Neither a .netrc with another password, nor a redirect to
            # another server.
            session.auth = _no_auth
            with session.post(
                    self.address, json=self.body(request), headers=headers,
                    timeout=(min(left, _CONNECT), left), stream=True,
                    allow_redirects=False,
                    verify=self.settings.ca_file or True) as response:
                self._refused(response)
                kind = response.headers.get('content-type', '')
                if 'json' in kind:
                    return self._whole(_read(response, until, self.MOST))
                return self._streamed(response, until)

    @staticmethod
    def _refused(response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in (400, 422):
            said = response.raw.read(4096, decode_content=True).decode(
                'utf-8', 'replace')
            raise _NotUnderstood(status, said)
        hint = {401: ' Check [llm] api_key.', 403: ' Check [llm] api_key.',
                404: ' Check [llm] model and base_url.',
                413: ' Lower [llm] max_request_bytes.'}.get(status, '')
        after = None
        with contextlib.suppress(KeyError, ValueError):
            after = max(0.0, float(response.headers['retry-after']))
        raise base.Unavailable(f'the server answers {status}.{hint}',
                               again=status in _AGAIN, after=after)

    def _whole(self, raw: bytes) -> base.Reply:
        """An answer of a server that does not stream."""
        try:
            document = json.loads(raw)
            choice = document['choices'][0]
            text = choice['message']['content'] or ''
            reason = choice.get('finish_reason')
            model = str(document.get('model') or self.settings.model)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise base.Unavailable(
                'the server does not answer like OpenAI. Check [llm] '
                'base_url.', again=False) from error
        _ended(reason)
        return base.Reply(str(text), _usage(document.get('usage')), model)

    def _streamed(self, response: requests.Response,
                  until: float) -> base.Reply:
        parts: list[str] = []
        reason, usage, model = None, None, self.settings.model
        size = 0
        for line in response.iter_lines(chunk_size=512):
            size += len(line)
            if size > 16 * self.MOST or sum(map(len, parts[-1:])) > self.MOST:
                raise base.Unavailable('the answer does not end.',
                                       again=False, charged=1)
            if time.monotonic() > until:
                raise base.Unavailable('the server took too long.',
                                       again=False, charged=1)
            if not line.startswith(b'data:'):
                continue
            data = line[5:].strip()
            if data == b'[DONE]':
                break
            try:
                event = json.loads(data)
                if event.get('error'):
                    raise base.Unavailable('the server broke off its answer '
                                           'with an error.', again=True,
                                           charged=1)
                usage = event.get('usage') or usage
                model = str(event.get('model') or model)
                for choice in event.get('choices') or ():
                    parts.append((choice.get('delta') or {}).get(
                        'content') or '')
                    reason = choice.get('finish_reason') or reason
            except (ValueError, AttributeError, TypeError) as error:
                raise base.Unavailable(
                    'the server does not answer like OpenAI.', again=True,
                    charged=1) from error
        _ended(reason)
        return base.Reply(''.join(parts), _usage(usage), model)


class _NotUnderstood(Exception):
    """A server that does not know what it was asked for.

    :param status: of HTTP
    :param said: its complaint
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(response: requests.Response, until: float, most: int) -> bytes:
    """A body that is neither too long nor too slow."""
    raw = b''
    for chunk in response.iter_content(8192):
        raw += chunk
        if len(raw) > most:
            raise base.Unavailable('the answer does not end.', again=False,
                                   charged=1)
        if time.monotonic() > until:
            raise base.Unavailable('the server took too long.', again=False,
                                   charged=1)
    return raw


def _ended(reason: object) -> None:
    """Make sure that an answer is all there."""
    if reason == 'stop':
        return
    if reason is None:
        raise base.Unavailable('the server broke off its answer.',
                               again=True, charged=1)
    raise base.Unavailable(
        'the answer is longer than [llm] max_tokens.' if reason == 'length'
        else f'the model stopped ({str(reason)[:40]}).', again=False,
        charged=1)


def _usage(told: Any) -> base.Usage | None:
    """Tokens, as the server counted them."""
    try:
        kept = int((told.get('prompt_tokens_details') or {}).get(
            'cached_tokens') or 0)
        return base.Usage(int(told['prompt_tokens']) - kept,
                          int(told['completion_tokens']), kept)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
