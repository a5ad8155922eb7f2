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
"""A stand-in for servers of models, over real HTTP.

It speaks the Messages API of Anthropic and the chat completions of OpenAI,
says whatever a test wants it to say, and fails in all the ways of a server.
"""

from collections.abc import Callable
import http.server
import json
import re
import threading
import time
from typing import Any

import fixtures

#: Ways to answer, beside statuses such as 429: ``ok``, ``whole`` (no stream,
#: OpenAI alone), ``cut`` (the stream ends early), ``error`` (in the stream),
#: ``slow`` (a byte now and then), ``hang`` (never), ``endless``, ``garbage``,
#: ``redirect``, ``length`` (the answer is longer than allowed).
Way = int | str


class Model(fixtures.Fixture):
    """A model that obeys everything.

    :param says: what it answers, from the question; without it no claim
    :ivar ways: how it answers, one after the other; then as the last one
    :ivar asked: body of each question, and headers in small letters
    """

    def __init__(self, says: Callable[[str], str] | str = '{"claims": []}'
                 ) -> None:
        super().__init__()
        self.says = says
        self.ways: list[Way] = ['ok']
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.retry_after: str | None = None
        self.over = threading.Event()

    def _setUp(self) -> None:
        self.server = _Server(('127.0.0.1', 0), _handler(self))
        thread = threading.Thread(target=self.server.serve_forever,
                                  daemon=True, kwargs={'poll_interval': .01})
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.over.set)

    @property
    def url(self) -> str:
        """Its address."""
        return f'http://127.0.0.1:{self.server.server_port}'

    def answer(self, body: dict[str, Any]) -> str:
        """What it says to a question."""
        if not callable(self.says):
            return self.says
        return self.says(str(body['messages'][-1]['content']))

    def data(self, number: int = -1) -> list[dict[str, Any]]:
        """The objects of the data that it was asked about."""
        told = str(self.asked[number]['messages'][-1]['content'])
        return [json.loads(line) for line in told.split('\n')
                if line.startswith('{')]


def claims(*told: tuple[str, list[str]]) -> str:
    """An answer of the form that is asked for."""
    return json.dumps({'claims': [
        {'text': text, 'evidence': evidence} for text, evidence in told]})


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away in the middle is what some tests are about.
        pass


def _handler(model: Model) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            length = int(self.headers['content-length'])
            body = json.loads(self.rfile.read(length))
            number = len(model.asked)
            model.asked.append(body)
            model.headers.append(
                {k.lower(): v for k, v in self.headers.items()})
            way = model.ways[min(number, len(model.ways) - 1)]
            self.close_connection = True
            anthropic = self.path == '/v1/messages'
            if not anthropic and self.path != '/v1/chat/completions':
                way = 404
            if isinstance(way, int):
                self._refuse(way, anthropic)
            elif way == 'redirect':
                self.send_response(307)
                self.send_header('Location', f'{model.url}/elsewhere')
                self.send_header('Content-Length', '0')
                self.end_headers()
            elif way == 'hang':
                model.over.wait(30)
            elif way == 'whole':
                self._send(200, 'application/json', json.dumps({
                    'model': body['model'], 'choices': [{
                        'message': {'content': model.answer(body)},
                        'finish_reason': 'stop'}],
                    'usage': {'prompt_tokens': 100,
                              'completion_tokens': 20}}).encode())
            else:
                events = (_anthropic if anthropic else _openai)(
                    body, model.answer(body), way)
                self._stream(events, way)

        def _refuse(self, status: int, anthropic: bool) -> None:
            error = {'type': {
                400: 'invalid_request_error', 401: 'authentication_error',
                404: 'not_found_error', 429: 'rate_limit_error',
                500: 'api_error', 529: 'overloaded_error'}.get(
                    status, 'error'), 'message': 'no: response_format'}
            body = {'type': 'error', 'error': error} if anthropic else {
                'error': error}
            self._send(status, 'application/json', json.dumps(body).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header('Content-Type', kind)
            self.send_header('Content-Length', str(len(body)))
            if model.retry_after is not None and status != 200:
                self.send_header('Retry-After', model.retry_after)
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, events: list[str], way: Way) -> None:
            self.send_response(200)
            self.send_header('Content-Type', 'text/event-stream')
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            for event in events:
                self._chunk(event)
                if way == 'slow':
                    for _ in range(600):
                        if model.over.wait(.05):
                            return
                        self._chunk(': wait\n\n')
            while way == 'endless':
                self._chunk(events[-1])
                time.sleep(0)
            if way != 'cut':
                self.wfile.write(b'0\r\n\r\n')

        def _chunk(self, text: str) -> None:
            raw = text.encode()
            self.wfile.write(b'%x\r\n%s\r\n' % (len(raw), raw))
            self.wfile.flush()
    return Handler


def _parts(text: str) -> list[str]:
    return re.findall('(?s).{1,40}', text)


def _anthropic(body: dict[str, Any], text: str, way: Way) -> list[str]:
    """The events of a message."""
    def event(kind: str, **more: Any) -> str:
        return f'event: {kind}\ndata: {json.dumps({"type": kind, **more})}\n\n'

    if way == 'garbage':
        return ['event: message_start\ndata: {"type": "mess\n\n']
    out = [event('message_start', message={
        'id': 'msg_1', 'type': 'message', 'role': 'assistant',
        'model': body['model'], 'content': [], 'stop_reason': None,
        'stop_sequence': None, 'usage': {
            'input_tokens': 100, 'output_tokens': 1,
            'cache_read_input_tokens': 30,
            'cache_creation_input_tokens': 10}}),
        event('content_block_start', index=0,
              content_block={'type': 'text', 'text': ''})]
    parts = [event('content_block_delta', index=0, delta={
        'type': 'text_delta', 'text': part}) for part in _parts(text)]
    if way == 'cut':
        return out + parts[:1]
    if way == 'endless':
        return out + parts[:1]
    if way == 'error':
        return [*out, *parts[:1], event('error', error={
            'type': 'overloaded_error', 'message': 'Overloaded'})]
    return [*out, *parts, event('content_block_stop', index=0),
            event('message_delta', delta={
                'stop_reason': 'max_tokens' if way == 'length'
                else 'end_turn', 'stop_sequence': None},
                usage={'output_tokens': 20}), event('message_stop')]


def _openai(body: dict[str, Any], text: str, way: Way) -> list[str]:
    """The events of a completion."""
    def event(choices: list[Any], **more: Any) -> str:
        told = json.dumps({'object': 'chat.completion.chunk',
                           'model': body['model'], 'choices': choices,
                           **more})
        return f'data: {told}\n\n'

    def choice(delta: dict[str, str], reason: str | None = None) -> list[Any]:
        return [{'index': 0, 'delta': delta, 'finish_reason': reason}]

    if way == 'garbage':
        return ['data: {"choices": [{"del\n\n']
    parts = [event(choice({'content': part})) for part in _parts(text)]
    if way in ('cut', 'endless'):
        return parts[:1]
    if way == 'error':
        return [*parts[:1], event([], error={'message': 'out of memory'})]
    return [event(choice({'role': 'assistant'})), *parts,
            event(choice({}, 'length' if way == 'length' else 'stop')),
            event([], usage={
                'prompt_tokens': 100, 'completion_tokens': 20,
                'prompt_tokens_details': {'cached_tokens': 30}}),
            'data: [DONE]\n\n']
