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
"""Models of Anthropic, through the Messages API."""

import time
from typing import Any

from openstack_rca.llms import base

_ADDRESS = 'https://api.anthropic.com'
#: Busy, or something that passes. 529 is "overloaded".
_AGAIN = frozenset((408, 409, 429, 500, 502, 503, 504, 529))


class Anthropic(base.Remote):
    """Asks with the library of Anthropic, which is in the extra [engine].

    The answer is held to the schema by the server, and comes as a stream, so
    that a server which hangs is noticed. What the model is to do is marked
    for the cache of the provider.
    """

    def __init__(self, settings: base.Settings) -> None:
        super().__init__(settings)
        if not settings.api_key:
            raise base.LLMError(
                reason='[llm] api_key or api_key_file is not set.')
        try:
            import anthropic
        except ImportError as error:
            raise base.LLMError(
                reason=f'{error.name} is not installed. Install '
                       'openstack_rca[engine].') from error
        self._library: Any = anthropic

    @property
    def address(self) -> str:
        """Where questions go."""
        return (self.settings.base_url or _ADDRESS).rstrip('/')

    def body(self, request: base.Request) -> dict[str, Any]:
        """What is sent for a request, see the abstract class."""
        return {
            'model': self.settings.model,
            'max_tokens': request.max_tokens,
            'system': [{'type': 'text', 'text': request.system,
                        'cache_control': {'type': 'ephemeral'}}],
            'messages': [{'role': 'user', 'content': request.user}],
            'output_config': {'format': {
                'type': 'json_schema', 'schema': request.schema}}}

    def complete(self, request: base.Request, timeout: float) -> base.Reply:
        """Ask once, see the abstract class."""
        library = self._library
        until = time.monotonic() + timeout
        options: dict[str, Any] = {}
        if self.settings.ca_file:
            options['verify'] = self.settings.ca_file
        try:
            # A redirect would take the question to where nobody sent it.
            with library.DefaultHttpxClient(
                    follow_redirects=False, **options) as http, \
                    library.Anthropic(
                        api_key=self.settings.api_key, base_url=self.address,
                        timeout=timeout, max_retries=0, http_client=http,
                        open_telemetry=False) as client:
                return self._streamed(client, request, until)
        except library.APIStatusError as error:
            # An error in the middle of a stream comes with status 200.
            begun = error.status_code == 200
            raise base.Unavailable(
                _said(error), again=begun or error.status_code in _AGAIN,
                after=_after(error.response), charged=int(begun)) from error
        except library.APITimeoutError as error:
            raise base.Unavailable(
                'the server took too long.', again=False,
                charged=1) from error
        except library.APIConnectionError as error:
            raise base.Unavailable(
                f'{self.address} cannot be reached '
                f'({type(error.__cause__ or error).__name__}).',
                again=True) from error
        except OSError as error:
            raise base.Unavailable(
                f'{error.strerror or type(error).__name__}.',
                again=False) from error
        except base.LLMError:
            raise
        except Exception as error:
            # Errors of the library below, such as those of a stream that was
            # cut: they are not among those of the library itself.
            raise base.Unavailable(
                'the server broke off its answer '
                f'({type(error).__name__}).', again=True,
                charged=1) from error

    def _streamed(self, client: Any, request: base.Request,
                  until: float) -> base.Reply:
        size = 0
        with client.messages.stream(**self.body(request)) as stream:
            for text in stream.text_stream:
                size += len(text)
                if size > self.MOST:
                    raise base.Unavailable('the answer does not end.',
                                           again=False, charged=1)
                if time.monotonic() > until:
                    raise base.Unavailable('the server took too long.',
                                           again=False, charged=1)
            message = stream.get_final_message()
        usage = base.Usage(
            message.usage.input_tokens or 0, message.usage.output_tokens or 0,
            message.usage.cache_read_input_tokens or 0,
            message.usage.cache_creation_input_tokens or 0)
        if message.stop_reason != 'end_turn':
            reason = {
                None: 'the server broke off its answer.',
                'max_tokens': 'the answer is longer than [llm] max_tokens.',
                'refusal': 'the model refuses to answer.'}.get(
                    message.stop_reason,
                    f'the model stopped ({message.stop_reason}).')
            raise base.Unavailable(
                reason, again=message.stop_reason is None, charged=1)
        return base.Reply(''.join(
            b.text for b in message.content if b.type == 'text'), usage,
            str(message.model))


def _said(error: Any) -> str:
    """Why a server refused, in short."""
    kind = getattr(error, 'type', None) or 'error'
    hint = {401: ' Check [llm] api_key.', 403: ' Check [llm] api_key.',
            404: ' Check [llm] model and base_url.',
            413: ' Lower [llm] max_request_bytes.'}.get(
                error.status_code, '')
    return f'the server answers {error.status_code} ({str(kind)[:60]}).{hint}'


def _after(response: Any) -> float | None:
    """Seconds that a server wants to be left alone."""
    try:
        return max(0.0, float(response.headers['retry-after']))
    except (KeyError, ValueError):
        return None
