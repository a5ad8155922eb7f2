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
"""A report in words: one question to a model, or none.

Whatever a model does, the report goes out: without an answer, or with none
that holds, the words are those of the backend ``none``, and ``skipped`` tells
why.
"""

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import os
import pathlib
import time
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import drivers
from openstack_rca import exception
from openstack_rca.llms import base
from openstack_rca.llms import budget
from openstack_rca.llms import claims
from openstack_rca.llms import egress
from openstack_rca.llms import none
from openstack_rca.llms import prompts
from openstack_rca.llms import redaction

LOG = logging.getLogger(__name__)

NAMESPACE = 'openstack_rca.llms'
NONE = 'none'
#: What makes words without asking anybody.
_OFFLINE = frozenset((NONE,))


def narrate(report: dict[str, Any]) -> dict[str, Any]:
    """Tell a report in words.

    :param report: the verified document; its ``narrative``, ``skipped`` and
        ``statistics`` are changed
    :returns: the same
    """
    begun = time.perf_counter()
    name = conf.CONF.llm.backend
    narrative: dict[str, Any] = {}
    if report['hypotheses'] and name not in _OFFLINE:
        narrative = _careful(name, report)
    if not narrative.get('claims'):
        # What it cost, and what was dropped, stays to be seen.
        narrative = _plain(report) | {
            key: value for key, value in narrative.items()
            if key in ('dropped', 'tokens', 'cost', 'cached')}
    report['narrative'] = narrative
    seconds = report['statistics']['seconds']
    took = round(time.perf_counter() - begun, 4)
    seconds['narrate'] = took
    seconds['total'] = round(seconds.get('total', 0.0) + took, 4)
    return report


def answer(found: dict[str, Any], report: Mapping[str, Any],
           question: str) -> dict[str, Any]:
    """Have a model answer a question about a report from what was found.

    What was found stays below its words; without a model, or where nothing
    that it says holds, it is the answer. Of what is known nothing is sent.

    :param found: the answer of the search; changed
    :param report: what is asked about
    :param question: in words
    :returns: the same, with ``model``, ``claims``, ``dropped``, ``tokens``,
        ``cost``, ``cached`` and ``skipped`` where a model was asked
    """
    begun = time.perf_counter()
    name = conf.CONF.llm.backend
    if name in _OFFLINE or not found['evidence']:
        return found
    document = _following(found, report, question)
    told = _careful(name, document)
    if told.get('claims'):
        found['backend'] = name
        found['text'] = f'{told["text"]}\n{found["text"]}'
    found |= {key: told[key] for key in (
        'model', 'claims', 'dropped', 'tokens', 'cost', 'cached')
        if key in told}
    found['skipped'] = document['skipped']
    found['statistics']['narrate'] = round(time.perf_counter() - begun, 4)
    return found


def preview_answer(found: dict[str, Any], report: Mapping[str, Any],
                   question: str) -> dict[str, Any]:
    """What would be sent for a question, as of :func:`preview`.

    :param found: the answer of the search
    :param report: what is asked about
    :param question: in words
    """
    return preview(_following(found, report, question))


def _following(found: dict[str, Any], report: Mapping[str, Any],
               question: str) -> dict[str, Any]:
    """A question in the shape of a report, which gate and checks know."""
    shown = {item['id'] for item in found['evidence']}
    return {
        'id': report.get('id'), 'project_id': report.get('project_id'),
        'issue': question, 'following': True,
        'verdict': report.get('verdict'), 'evidence': found['evidence'],
        'timeline': [], 'impact': report.get('impact'), 'skipped': [],
        'hypotheses': [
            h | {'evidence': [e for e in h['evidence'] if e in shown]}
            for h in report.get('hypotheses') or ()
            if shown.intersection(h.get('evidence') or ())]}


def _careful(name: str, report: dict[str, Any]) -> dict[str, Any]:
    """What a backend says, or what it cost, with the reason told."""
    narrative: dict[str, Any] = {}
    try:
        narrative = _asked(name, report)
        if narrative['claims']:
            return narrative
        reason = ('its evidence carries none of the '
                  f'{len(narrative["dropped"])} claims of the answer.'
                  if narrative['dropped'] else 'it had nothing to say.')
    except base.LLMError as error:
        LOG.warning('The report %s is told without a language model: %s',
                    report['id'], error)
        reason = str(error)
        narrative = {'tokens': error.tokens, 'cost': round(error.cost, 6)}
    except exception.RCAException as error:
        LOG.warning('The report %s is told without a language model: %s',
                    report['id'], error)
        reason = str(error)
    except Exception as error:
        # A driver is code of others, and an analysis is never lost for it.
        LOG.error('The backend %s failed: %s', name, type(error).__name__)
        LOG.debug('The backend %s failed', name, exc_info=True)
        reason = (f'the backend failed ({type(error).__name__}); the log '
                  'of level DEBUG has more.')
    _skip(report, name, reason)
    return narrative


def _skip(report: dict[str, Any], name: str, reason: str) -> None:
    report['skipped'] = [{'source': f'language model {name}',
                          'reason': reason, 'bytes': 0}, *report['skipped']]


def _plain(report: dict[str, Any]) -> dict[str, Any]:
    """The words of no model."""
    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    try:
        kept, dropped = claims.sort(report, none.Plain().claims(report))
    except Exception as error:
        # Logs hold anything; the report is there, with words or without.
        LOG.error('The report %s cannot be told in words: %s', report['id'],
                  type(error).__name__)
        LOG.debug('The report cannot be told in words', exc_info=True)
        _skip(report, NONE, 'the report cannot be told in words '
                            f'({type(error).__name__}).')
    if kept:
        text = claims.prose(kept)
        advice = [(a['text'], a['evidence'])
                  for a in report.get('recommendations') or ()][:2]
        text = ' '.join((text, *(
            f'What to do: {told.rstrip(".")} ({", ".join(cites[:4])}).'
            for told, cites in advice)))
    elif report['verdict'] == 'nothing_abnormal':
        text = 'What was read looks like the quiet part of the same logs.'
    else:
        text = 'The evidence does not prove a cause.'
    return {'backend': NONE, 'model': None, 'text': text, 'claims': kept,
            'dropped': dropped, 'tokens': 0, 'cost': 0.0, 'cached': False}


def _asked(name: str, report: dict[str, Any]) -> dict[str, Any]:
    """What a backend of the configuration says.

    :raises LLMError: it says nothing
    :raises DriverNotFound: there is no such backend
    """
    made = load(name)
    if issubclass(made, base.Local):
        told, answer = made().claims(report), _Answer()
    else:
        told, answer = _remote(name, made, report)
    kept, dropped = claims.sort(report, told)
    return {'backend': name, 'model': answer.model,
            'text': claims.prose(kept), 'claims': kept, 'dropped': dropped,
            'tokens': answer.tokens, 'cost': round(answer.cost, 6),
            'cached': answer.cached}


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What an answer took."""

    model: str | None = None
    tokens: int = 0
    cost: float = 0.0
    cached: bool = False


def _remote(name: str, made: type[base.Remote], report: dict[str, Any]
            ) -> tuple[list[base.Claim], _Answer]:
    """Ask a model, or find its answer to the same question."""
    options = conf.CONF.llm
    backend = made(_settings())
    gate = _gate()
    request = gate.request(report)
    if gate.left_out:
        _skip(report, name, 'not shown to it, since it speaks to its reader: '
              f'{", ".join(gate.left_out[:20])}.')
    ledger = budget.Ledger(_directory() / 'llm.sqlite')
    key = _key(name, backend, request, report.get('project_id'))
    with ledger.asking(key, options.timeout + 5):
        reply = ledger.kept(key, options.cache_time) \
            if options.cache_time else None
        if reply is not None:
            return (_claims(reply, gate), _Answer(reply.model, cached=True))
        reply, tokens, cost = _paid(backend, request, ledger)
        try:
            found = _claims(reply, gate)
        except base.LLMError as error:
            error.tokens, error.cost = tokens, cost
            raise
        if options.cache_time:
            ledger.keep(key, reply)
        return found, _Answer(reply.model, tokens, cost)


def _paid(backend: base.Remote, request: base.Request,
          ledger: budget.Ledger) -> tuple[base.Reply, int, float]:
    """Ask within the limits.

    :returns: the answer, the tokens that it took, and what they cost
    """
    options = conf.CONF.llm
    prices = _prices()
    question = egress.estimate(request)
    most = base.Usage(question, request.max_tokens)
    # What could be charged is counted at the highest price.
    dear = dataclasses.replace(
        prices, sent=max(prices.sent, prices.cache_written))
    target = f'{backend.address} {backend.settings.model}'
    ledger.admit(target, options.breaker_time)
    reserved = ledger.reserve(most.total, dear.of(most), budget.Limits(
        options.max_tokens_per_analysis, options.max_tokens_per_day,
        options.max_cost_per_analysis, options.max_cost_per_day))
    try:
        reply, charged = egress.send(
            backend, request, timeout=options.timeout,
            retries=options.retries)
    except base.Unavailable as error:
        lost = base.Usage(question * error.charged,
                          request.max_tokens * error.charged)
        error.tokens, error.cost = lost.total, prices.of(lost)
        ledger.settle(reserved, error.tokens, error.cost)
        ledger.failed(target, options.breaker_failures, options.breaker_time)
        raise
    ledger.worked(target)
    usage = reply.usage or base.Usage(
        question, len(reply.text.encode()) // 3 + 1)
    lost = base.Usage(question * charged)
    tokens = usage.total + lost.total
    cost = prices.of(usage) + prices.of(lost)
    ledger.settle(reserved, tokens, cost)
    return reply, tokens, cost


def _claims(reply: base.Reply, gate: egress.Gate) -> list[base.Claim]:
    """The claims of an answer, with names put back."""
    return [base.Claim(gate.restore(c.text), c.evidence)
            for c in prompts.parse(reply.text)]


def preview(report: dict[str, Any]) -> dict[str, Any]:
    """What would be sent for a report. Nothing is.

    :param report: the verified document
    :returns: ``backend``, ``model``, ``address``, ``body`` as the server
        would get it, ``bytes`` of it, ``tokens`` at most with the answer,
        ``hidden`` (how many texts of each kind), and ``reason`` where nothing
        would be sent
    :raises LLMError: the configuration lacks something
    :raises DriverNotFound: there is no such backend
    """
    name = conf.CONF.llm.backend
    told: dict[str, Any] = {
        'backend': name, 'model': None, 'address': None, 'body': None,
        'bytes': 0, 'tokens': 0, 'hidden': {}, 'reason': None}
    made = load(name)
    if issubclass(made, base.Local):
        return told | {'reason': f'The backend {name} asks nobody: nothing '
                                 'leaves. See [llm] backend.'}
    if report.get('following') and not report['evidence']:
        return told | {'reason': 'No event answers the question, and the '
                                 'model is not asked.'}
    if not report['hypotheses'] and not report.get('following'):
        return told | {'reason': 'There is nothing to explain: no cause was '
                                 'found, and the model is not asked.'}
    backend = made(_settings())
    gate = _gate()
    request = gate.request(report)
    body = backend.body(request)
    return told | {
        'model': backend.settings.model, 'address': backend.address,
        'body': body, 'bytes': len(json.dumps(body)),
        'tokens': egress.estimate(request) + request.max_tokens,
        'hidden': gate.hidden()}


def load(name: str) -> Any:
    """The class of a backend.

    :param name: of the configuration
    :raises DriverNotFound: there is none of that name
    """
    return none.Plain if name == NONE else drivers.load(NAMESPACE, name)


def _settings() -> base.Settings:
    options = conf.CONF.llm
    key = options.api_key or ''
    if not key and options.api_key_file:
        try:
            key = pathlib.Path(options.api_key_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise base.LLMError(
                reason=f'[llm] api_key_file: {options.api_key_file} cannot '
                       'be read: '
                       f'{getattr(error, "strerror", None) or "no text"}.'
            ) from error
    if not key.isascii() or not key.isprintable():
        raise base.LLMError(reason='[llm] api_key is no key: it has '
                                   'characters that keys do not have.')
    return base.Settings(options.model, options.base_url or '', key,
                         options.ca_file or '')


def _gate() -> egress.Gate:
    options = conf.CONF.llm
    rules = redaction.Rules(
        options.redact_hosts, options.redact_projects, options.redact_uuids,
        tuple(options.redact_words)) if options.redact else None
    return egress.Gate(
        rules, most_evidence=options.max_evidence,
        most_characters=options.max_evidence_chars,
        most_bytes=options.max_request_bytes,
        max_tokens=options.max_tokens)


def _prices() -> budget.Prices:
    """Prices of the configuration.

    :raises LLMError: money is limited, and there are none
    """
    options = conf.CONF.llm
    if (options.max_cost_per_analysis or options.max_cost_per_day) and not (
            options.price_input and options.price_output):
        raise base.LLMError(
            reason='[llm] limits the cost, and price_input or price_output '
                   'is not set.')

    def price(value: float | None) -> float:
        return options.price_input if value is None else value
    return budget.Prices(
        options.price_input, options.price_output,
        price(options.price_cache_read), price(options.price_cache_write))


def _directory() -> pathlib.Path:
    """The folder of what is counted and kept."""
    if conf.CONF.llm.directory:
        return pathlib.Path(conf.CONF.llm.directory).expanduser()
    state = pathlib.Path(conf.CONF.state_path)
    if state.is_dir() and os.access(state, os.W_OK | os.X_OK):
        return state
    if conf.CONF.local_cache.directory:
        return pathlib.Path(conf.CONF.local_cache.directory).expanduser()
    home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return pathlib.Path(home).expanduser() / 'openstack-rca'


def _key(name: str, backend: base.Remote, request: base.Request,
         project: str | None) -> str:
    """What makes two questions the same. Projects share nothing."""
    return hashlib.sha256(json.dumps([
        name, backend.address, project, backend.body(request)],
        sort_keys=True).encode()).hexdigest()
