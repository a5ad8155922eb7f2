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
"""The one way out: what is sent to a model elsewhere goes through here.

The gate takes from a report what a model needs to know, hides what must not
leave, and looks at the result once more. Whatever goes wrong on the way,
nothing is sent.
"""

from collections.abc import Callable
import random
import re
import threading
import time
from typing import Any

from oslo_log import log as logging

from openstack_rca.llms import base
from openstack_rca.llms import claims
from openstack_rca.llms import prompts
from openstack_rca.llms import redaction

LOG = logging.getLogger(__name__)

#: Hypotheses that are told, and characters of the question.
_MOST_HYPOTHESES = 5
_MOST_ISSUE = 2000
#: More of a text is not even looked at; a report has no longer ones.
_MOST_LOOKED_AT = 12000
#: Characters of a word that is left out where a text is cut in it.
_MOST_WORD = 100
#: Seconds before the second attempt; twice as many before each further one.
_PAUSE = .5
#: Seconds that a driver has beyond its time to tell what went wrong.
_GRACE = .5
#: Bytes of a token, counted low, so that estimates are high.
_BYTES_PER_TOKEN = 3


class Gate:
    """The way out for one analysis.

    :param rules: what is hidden, None for a gate that hides nothing
    :param most_evidence: pieces of evidence that are sent
    :param most_characters: of one piece
    :param most_bytes: of the whole question
    :param max_tokens: of the answer
    :ivar left_out: ids of evidence that speaks to its reader
    """

    def __init__(self, rules: redaction.Rules | None, *,
                 most_evidence: int = 40, most_characters: int = 1200,
                 most_bytes: int = 65536, max_tokens: int = 2048) -> None:
        self._redactor = redaction.Redactor(rules) if rules else None
        self._most_evidence = most_evidence
        self._most_characters = most_characters
        self._most_bytes = most_bytes
        self._max_tokens = max_tokens
        self.left_out: list[str] = []

    def request(self, report: dict[str, Any]) -> base.Request:
        """What is sent for a report.

        :param report: the verified document, or with ``following`` what
            was found to a question about one
        :raises EgressRefused: it cannot be made fit to be sent
        """
        try:
            return self._request(report)
        except base.EgressRefused:
            raise
        except Exception as error:
            # Whatever it was, what it was about may be a secret.
            LOG.error('Hiding secrets failed: %s', type(error).__name__)
            raise base.EgressRefused(
                reason='hiding secrets and names failed '
                       f'({type(error).__name__}).') from None

    def _request(self, report: dict[str, Any]) -> base.Request:
        evidence = self._shown(report)
        if self._redactor:
            self._redactor.know(_hosts(report), (
                e['text'][:_MOST_LOOKED_AT] for e in evidence))
        known = {e['id'] for e in evidence}
        lines = [
            self._line('question', {
                'text': self._fit(report.get('issue') or '', _MOST_ISSUE),
                'verdict': report['verdict']}),
            *(self._line('hypothesis', self._hypothesis(h, known))
              for h in report['hypotheses'][:_MOST_HYPOTHESES]),
            *(self._line('evidence', self._piece(e)) for e in evidence)]
        while True:
            user = prompts.question(lines)
            if len(user.encode()) <= self._most_bytes:
                system = prompts.SYSTEM + (
                    prompts.FOLLOWING if report.get('following') else '')
                return base.Request(system, user, prompts.SCHEMA,
                                    self._max_tokens)
            if len(lines) < 3:
                raise base.EgressRefused(
                    reason='the question alone is larger than '
                           f'{self._most_bytes} bytes ([llm] '
                           'max_request_bytes).')
            # The last ones say least.
            lines = lines[:max(2, len(lines) * 4 // 5)]

    def _line(self, name: str, value: dict[str, Any]) -> str:
        """One object as it is sent.

        What stands side by side only now is looked at, too. Where something
        has to be hidden there, no text of a log is told.
        """
        told = prompts.line(name, value)
        if self._redactor is None or self._redactor.settle(told) == told:
            return told
        short = {key: '' if isinstance(text, str) and key not in (
            'id', 'kind', 'component', 'category', 'verdict') else text
            for key, text in value.items()}
        told = prompts.line(name, short)
        if self._redactor.settle(told) != told:
            raise ValueError('A line without texts shows something.')
        return told

    def _shown(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """The evidence that is sent: none that speaks to its reader."""
        shown: list[dict[str, Any]] = []
        for row in _chosen(report):
            if len(shown) == self._most_evidence:
                break
            if claims.addressed(row):
                self.left_out.append(row['id'])
            else:
                shown.append(row)
        return shown

    def _hypothesis(self, hypothesis: dict[str, Any],
                    known: set[str]) -> dict[str, Any]:
        place = hypothesis.get('location') or {}
        cause = hypothesis['cause']
        if claims.addressed({'text': cause}):
            cause = f'{hypothesis["component"]} is at fault.'
        return {
            'rank': hypothesis['rank'],
            'cause': self._fit(cause, 1000),
            'component': hypothesis['component'],
            'category': hypothesis['category'],
            'host': self._fit(hypothesis.get('host') or '', 255),
            'file': self._fit(place.get('file') or '', 255),
            'confidence': hypothesis['confidence'],
            'evidence': [e for e in hypothesis['evidence'] if e in known]}

    def _piece(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            'id': row['id'], 'kind': row['kind'],
            'time': self._fit(row.get('timestamp') or '', 40),
            'host': self._fit(row.get('host') or '', 255),
            'service': self._fit(row.get('binary') or row.get('service')
                                 or '', 100),
            'level': self._fit(row.get('level') or '', 20),
            'request_id': self._fit(row.get('request_id') or '', 60),
            'why': self._fit(row.get('why') or '', 200),
            'text': self._fit(row['text'], self._most_characters)}

    def _fit(self, text: str, most: int) -> str:
        """A text as it is sent.

        It is hidden before it is cut: half of a key is not seen as one.
        """
        text = str(text)[:_MOST_LOOKED_AT]
        text = (self._redactor.text(text) if self._redactor
                else redaction.clean(text))
        if len(text) <= most:
            return text
        head = most * 2 // 5
        return f'{_cut(text[:head])} [...] {_cut(text[head - most:], True)}'

    def restore(self, text: str) -> str:
        """Put names back into what a model said.

        :param text: of the model
        """
        return self._redactor.restore(text) if self._redactor else text

    def hidden(self) -> dict[str, int]:
        """How many different texts of each kind were hidden."""
        return self._redactor.counts() if self._redactor else {}


def send(backend: base.Remote, request: base.Request, *, timeout: float,
         retries: int, sleep: Callable[[float], None] = time.sleep
         ) -> tuple[base.Reply, int]:
    """Ask, and ask again where that may help.

    :param backend: whom
    :param request: of a gate
    :param timeout: seconds, all attempts together
    :param retries: further attempts
    :param sleep: waits
    :returns: the answer, and how many failed attempts may be charged
    :raises Unavailable: there is no answer
    """
    until = time.monotonic() + timeout
    charged = 0
    for attempt in range(retries + 1):
        left = until - time.monotonic()
        try:
            return _bounded(backend, request, max(left, .05)), charged
        except base.Unavailable as error:
            charged += error.charged
            pause = error.after if error.after is not None else (
                _PAUSE * 2 ** attempt * random.uniform(.75, 1.25))  # noqa: S311
            left = until - time.monotonic()
            if not error.again or attempt == retries or pause >= left:
                error.charged = charged
                raise
            LOG.info('Asks the language model again in %.1f seconds: %s',
                     pause, error)
            sleep(pause)
    raise AssertionError('There is at least one attempt.')


def _bounded(backend: base.Remote, request: base.Request,
             timeout: float) -> base.Reply:
    """What a driver gives, if it does in time.

    A server that sends a byte now and then breaks no limit of a library.

    :raises Unavailable: it does not
    """
    results: list[base.Reply] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(backend.complete(request, timeout))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True, name='llm')
    thread.start()
    thread.join(timeout + _GRACE)
    if errors:
        raise errors[0]
    if not results:
        raise base.Unavailable('the server took too long.', again=False,
                               charged=1)
    return results[0]


def estimate(request: base.Request) -> int:
    """Tokens of a question, rather too many than too few."""
    return (len(request.system.encode()) + len(request.user.encode())
            ) // _BYTES_PER_TOKEN + 200


def _cut(text: str, front: bool = False) -> str:
    """A text without the part of a word or a placeholder at its end."""
    if front:
        space = re.search(r'\s', text[:_MOST_WORD])
        return text[space.end():] if space else text
    space = re.search(r'\s\S*$', text[-_MOST_WORD:])
    return text[:len(text) - len(space[0])] if space else text


def _chosen(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Evidence, those pieces first that say most."""
    known = {e['id']: e for e in report['evidence']}
    order: dict[str, None] = {}
    # In turns, so that each hypothesis can be told.
    cited = [h['evidence'] for h in report['hypotheses'][:_MOST_HYPOTHESES]]
    for index in range(max(map(len, cited), default=0)):
        for ids in cited:
            order.update(dict.fromkeys(ids[index:index + 1]))
    order.update(dict.fromkeys(
        t['evidence'] for t in report['timeline'] if t.get('evidence')))
    order.update(dict.fromkeys(known))
    return [known[e] for e in order if e in known]


def _hosts(report: dict[str, Any]) -> set[str]:
    """Names of hosts that a report knows."""
    rows = [*report['evidence'], *report['hypotheses'], *report['timeline']]
    found = {r.get('host') for r in rows}
    found.update((report.get('impact') or {}).get('hosts') or ())
    return {str(h) for h in found if h}
