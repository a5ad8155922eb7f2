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
"""Whether evidence carries what a claim says.

A model may have been talked into anything by what it read. A claim is kept
where it cites evidence that is there and that speaks to no reader; where every
id, address, host, service, place in the code, number and time in it stands in
that evidence; where its words stand there, mean the same as words there, or
mean nothing by themselves; and where it does not say the opposite. It tells
what happened: one that tells somebody to do something is no claim.
"""

import base64
import binascii
import dataclasses
import datetime
import functools
import re
from typing import Any
import unicodedata
from urllib import parse

from openstack_rca.llms import base
from openstack_rca.llms import prompts
from openstack_rca.llms import redaction
from openstack_rca.llms import vocabulary

#: Pieces of evidence that one claim may cite: who cites all proves nothing.
_MOST_CITED = 15
#: Dropped claims that a report shows, and characters of one.
_MOST_DROPPED = 20
_MOST_SHOWN = 300

#: Punctuation of good typography, which claims may have.
_TYPOGRAPHY = str.maketrans({
    '\u2018': "'", '\u2019': "'", '\u201c': '"', '\u201d': '"',
    '\u2010': '-', '\u2011': '-', '\u2012': '-', '\u2013': '-',
    '\u2014': '-', '\u2026': '...', '\u00a0': ' ', '\u202f': ' ',
    '\u2192': '->'})

_MARKUP = re.compile(
    r'<\s*[/!?]?\s*[A-Za-z]|!\[|\]\s*\(|\]\s*:|```|~~~|&#?\w+;|\$\(|\$\{|'
    r'javascript:|vbscript:|data:\w+/|\bon\w+\s*=|\{\{|\{%|\\x1b|\\u00|'
    r'\\e\[|\x1b|^\s*[#>|]|\|\s*-{2,}', re.IGNORECASE)
#: A command, whoever is to type it.
_COMMAND = re.compile(
    r'\b(?:sudo|su -|rm\s+-|chmod|chown|curl|wget|bash|/bin/\w*sh|sh\s+-c|'
    r'nc\s+-|systemctl|service\s+\S+\s+(?:re)?start|mysql\s+-|mkfs\S*|'
    r'dd\s+if=|powershell|eval|exec\(|drop\s+(?:table|database)|'
    r'truncate\s+table|delete\s+from|iptables|ovs-\w+ctl\s|rabbitmqctl\s|'
    r'virsh\s|docker\s|kubectl\s|pip\s+install|apt(?:-get)?\s|'
    r'(?:openstack|nova|neutron|cinder|glance|keystone)\s+[a-z]+\s+'
    r'(?:set|delete|create|unset|add|remove|update)\b)|&&|\|\||\|\s*\w*sh\b|'
    r';\s*(?:rm|cat|wget|curl|sh)\b|>\s*/', re.IGNORECASE)
_VERBS = (
    'add|allow|apply|approve|call|change|check|click|confirm|consult|contact|'
    'copy|create|delete|destroy|disable|do|download|drop|edit|email|empty|'
    'enable|ensure|erase|evacuate|execute|export|flush|follow|force|forward|'
    'free|give|go|grant|ignore|increase|inspect|install|issue|kill|launch|'
    r'leave|load|log|look|lower|make|migrate|move|note|open(?!\s+v)|paste|patch|'
    'perform|post|print|provide|purge|put|raise|read|reboot|rebuild|reduce|'
    'remember|remove|rename|repair|replace|report|reset|resize|restart|'
    'restore|resume|retry|review|revoke|rotate|run|say|scan|see|send|set|'
    'share|show|shut|skip|start|state|stop|submit|suspend|tell|transfer|'
    'treat|trust|try|turn|type|uninstall|unlock|update|upgrade|upload|use|'
    'verify|visit|wait|wipe|write')
_ORDER = re.compile(
    rf'(?:^|[.!?;:]\s+|["\'(]|,\s*(?:then|so|and)\s+|\bto\s+(?:fix|solve|'
    rf'resolve|repair|recover|proceed)\b[^.]{{0,40}},\s*)(?:please\s+|now\s+|'
    rf'then\s+|first,?\s+|next,?\s+|just\s+|immediately\s+|quickly\s+|'
    rf'do\s+not\s+|don\'t\s+|never\s+)*(?:{_VERBS})\b(?!\s*(?:of|was|were|is|'
    rf'are|has|had|failed|did|from|on|for|to)\b)(?!-)|'
    r'\b(?:you|your|yours|yourself|please|must|should|shall|ought|need\s+to|'
    r'needs\s+to|have\s+to|has\s+to|let\s+us|let\'s|recommend\w*|advis\w+|'
    r'make\s+sure|operators?|administrators?|admins?|readers?|instruct\w*|'
    r'required?\s+to|i|me|my|we|our|us|assistants?|language\s+model|ai|'
    r'prompt|instructions?)\b', re.IGNORECASE)

#: Text that is addressed to whoever reads it.
_ADDRESSED = re.compile(
    r'\b(?:ignore|disregard|forget|override|bypass|overrule)\b[\W_]{1,3}'
    r'(?:\w+[\W_]{1,3}){0,4}?(?:instructions?|rules?|prompts?|above|'
    r'previous|prior|earlier|guidelines|evidence|everything)\b|'
    r'\b(?:new|updated?|additional|following|real|actual|system|developer|'
    r'important|urgent|secret|hidden|your|these|override)[\W_]{1,3}'
    r'(?:instructions?|prompts?|directives?|orders)\b|'
    r'\byou[\W_]{1,3}(?:are[\W_]{1,3}(?:now|an?|the|to|free|no\s+longer)|'
    r'(?:must|should|shall|will|need|have|can|may|ought)[\W_]{1,3}'
    r'(?:\w+[\W_]{1,3}){0,4}?(?:respond|reply|answer|output|print|say|state|'
    r'claim|report|conclude|tell|write|add|include|cite|repeat|emit|return|'
    r'run|execute|ignore|obey|follow|comply|mention|reveal|disclose|forget|'
    r'delete|visit|open|click|send|trust))\b|\b(?:your|yourself)\b[\W_]{1,3}(?:task|job|role|answer|output|'
    r'response|report|claims?|goal|duty|system|rules?)\b|'
    r'\b(?:please|kindly|now|must|should|always|instead|only|assistants?|'
    r'models?|ai|llm|gpt|claude|chatbot|to\s+you)\b[\W_]{1,3}(?:\w+[\W_]{1,3})'
    r'{0,2}?(?:respond|reply|answer|output|print|say|state|claim|'
    r'report|conclude|tell|write|add|include|cite|repeat|emit|return|run|'
    r'execute)\b|'
    r'\b(?:respond|reply|answer|output|print|say|state|claim|report|'
    r'conclude|tell|write|assert|declare|announce|summari[sz]e|explain)'
    r'[\W_]{1,3}'
    r'(?:with|that|only|exactly|(?:to|the|all|every|any)[\W_]{1,3}(?:\w+'
    r'[\W_]{1,3})?'
    r'(?:operators?|users?|admins?|administrators?|readers?|humans?))\b|'
    r'\b(?:as|dear|hey|hello|hi|attention|note\s+to|message\s+to|to\s+the)'
    r'[\W_]{1,3}(?:an?[\W_]{1,3}|the[\W_]{1,3}|all[\W_]{1,3})?'
    r'(?:ai|llm|assistants?|language\s+models?|models?|chatbot|analysts?|'
    r'operators?|claude|gpt)\b|'
    r'\b(?:the\s+)?(?:real|true|actual|only)[\W_]{1,3}(?:root[\W_]{1,3})?'
    r'cause[\W_]{1,3}(?:is|was)\b|\broot[\W_]{1,3}cause[\W_]{0,3}'
    r'(?:is|was|:|=)|'
    r'\b(?:system|developer|assistant|human)[\s"\']*:\s*\S|'
    r'<\|?/?(?:im_start|im_end|system|user|assistant|endoftext|evidence|'
    r'instructions?|data|tool\w*)\b|\[/?INST\]|<<SYS>>|'
    r'\b(?:begin|end)[\W_]{1,3}(?:of[\W_]{1,3})?(?:the[\W_]{1,3})?'
    r'(?:data|evidence|logs?|input|prompt|context)\b|'
    r'"?\bclaims"?\s*:\s*\[|"evidence"\s*:\s*\[|"id"\s*:\s*"E\d{1,4}"|'
    r'\bE\d{1,4}\s+(?:proves|shows|confirms|says|states|is\s+the)\b|'
    r'\bcit(?:e|es|ing)\s+E\d|\b(?:evidence|hypothesis)\s+E?\d+\s*[:=]|'
    r'\bprompt[\W_]{0,2}injection|\bjailbreak|\bdeveloper\s+mode|'
    r'\bact\s+as\s+(?:an?|the)\b|\bpretend\b|\bfrom\s+now\s+on\b|'
    r'\b(?:operators?|admins?|administrators?|sysadmins?|reader)[\W_]{1,3}'
    r'(?:must|should|shall|has\s+to|have\s+to|needs?\s+to|to\s+run|please|'
    r'run|execute|is\s+asked)\b|'
    r'!\[[^\]]*\]\(|<(?:img|script|iframe|svg|object|embed|link|style|'
    r'meta|form|a\s+href)\b|\]\(\s*(?:https?|javascript|data):',
    re.IGNORECASE)
#: Letters of other scripts that look like those of ours.
_TWINS = str.maketrans(
    '\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501'
    '\u04bb\u051b\u051d\u043a\u043c\u0442\u043d\u0432\u0433\u043f\u0391\u0392'
    '\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7'
    '\u03bf\u03b1\u03b5\u03b9\u03ba\u03bd\u03c1\u03c4\u03c5\u03c7\u0410\u0412'
    '\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423\u0406'
    '\u0131\u0261\u026a\u0578\u0585\u057d\u0570',
    'aeopcyxijsdhqwkmthbrnABEZHIKMNOPTYXoaeiknptuxABEKMHOPCTXYIigInosh')
_LEET = str.maketrans('013457@$', 'oieastas')
#: Some of what signs for letters would be used to write.
_SIGNS = ('ignore', 'disregard', 'instruct', 'previous', 'assistant',
          'prompt', 'operator', 'respond', 'claim', 'cause', 'answer',
          'execute', 'report', 'output', 'must', 'should', 'system')
_BLOB = re.compile(r'[A-Za-z0-9+/_-]{16,}={0,2}')

_UUID = re.compile(r'(?:req-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
                   re.IGNORECASE)
_MOMENT = re.compile(
    r'(?<![\d:.-])(?:(\d{4}-\d\d-\d\d)(?:[T ]+(?:at )?(?=\d\d?:))?)?'
    r'(?:(\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)(?!\d|:\d)'
    r'\s*([ap]\.?m\b\.?)?)?(?:Z\b|[+-]\d\d:?\d\d(?!\d))?')
_DAY = re.compile(
    r'\b(?:(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?)?('
    + '|'.join(sorted(vocabulary.MONTHS, key=len, reverse=True))
    + r')\b\.?(?:\s+(\d{1,2})(?:st|nd|rd|th)?(?![\d:]))?'
    r'(?:,?\s+(\d{4})(?![\d:]))?', re.IGNORECASE)
_NUMBER = re.compile(
    r'(?<![\w.])[-+~]?(\d{1,3}(?:,\d{3})+(?!\d)|\d+)(\.\d+)?'
    r'(?:\s?(%|[A-Za-z\u00b5]{1,7}\b))?')
_NUMBERS_HELD = re.compile(r'(?<![A-Za-z_\d.])(\d+(?:\.\d+)?)')
_SPELLED = re.compile(
    r'(?<![\w-])(' + '|'.join(sorted(vocabulary.NUMBERS, key=len,
                                     reverse=True))
    + r')(?![\w-])(?:\s+([A-Za-z]+))?', re.IGNORECASE)
_TOKEN = re.compile(r'\S+')
_EDGE = '.,;:!?()[]{}"\'*`'
_SECONDS = {'s': 1, 'sec': 1, 'secs': 1, 'second': 1, 'seconds': 1,
            'm': 60, 'min': 60, 'mins': 60, 'minute': 60, 'minutes': 60,
            'h': 3600, 'hour': 3600, 'hours': 3600, 'ms': .001,
            'millisecond': .001, 'milliseconds': .001, 'msec': .001,
            'msecs': .001}
_BYTES = {'kb': 10, 'kib': 10, 'mb': 20, 'mib': 20, 'gb': 30, 'gib': 30,
          'tb': 40, 'tib': 40, 'byte': 0, 'bytes': 0}
_UNITS = (*_SECONDS, *_BYTES, '%', 'x', 'vcpus', 'vcpu', 'st', 'nd', 'rd',
          'th')
_HELD_MOMENT = re.compile(
    r'(\d{4}-\d\d-\d\d)[T ]+(\d{1,2}:\d\d:\d\d(?:[.,]\d+)?)'
    r'|(?<![\d:])(\d{1,2}:\d\d:\d\d(?:[.,]\d+)?)(?![\d:])')
#: What stands before each line of a traceback in a log.
_HEADER = re.compile(r'^\d{4}-\d\d-\d\d [\d:.]+ \d+ [A-Z]+ [\w.]+ '
                     r'?(?:\[[^\]]*\] ?)?')
_HELD_DAY = re.compile(r'(?<!\d)\d{4}-\d\d-\d\d(?!\d)')


@dataclasses.dataclass
class _Carrier:
    """What some pieces of evidence hold, all together."""

    text: str
    said: str
    words: frozenset[str]
    stems: frozenset[str]
    numbers: frozenset[float]
    moments: frozenset[tuple[str, str]]
    derived: frozenset[int]
    spans: tuple[float, ...]


class Checker:
    """Checks claims about one report.

    :param report: the verified document
    """

    def __init__(self, report: dict[str, Any]) -> None:
        self._rows = {e['id']: e for e in report['evidence']}
        self._hypotheses = report['hypotheses']
        self._addressed: dict[str, bool] = {}
        self._hosts = {
            str(r['host']).lower() for r in (
                *report['evidence'], *report['hypotheses'])
            if r.get('host')} - redaction.GENERIC
        self._carriers: dict[tuple[str, ...], _Carrier] = {}

    def reason(self, claim: base.Claim) -> str | None:
        """Why a claim is dropped.

        :param claim: with the names that are hidden from the model
        :returns: in words, or None where the evidence carries it
        """
        cited = tuple(dict.fromkeys(claim.evidence))
        for reason in (_form(claim.text), self._cites(cited)):
            if reason:
                return reason
        text = plain(claim.text)
        carrier = self._carrier(cited)
        return (_quoted(text, carrier) or self._held(text, carrier, cited)
                or _opposite(text, carrier))

    def _cites(self, cited: tuple[str, ...]) -> str | None:
        if not cited:
            return 'cites nothing'
        if len(cited) > _MOST_CITED:
            return f'cites {len(cited)} pieces of evidence at once'
        for name in cited:
            if name not in self._rows:
                return f'cites {_visible(name)}, which is not there'
            if name not in self._addressed:
                self._addressed[name] = addressed(self._rows[name])
            if self._addressed[name]:
                return f'cites {name}, which speaks to its reader'
        return None

    def _carrier(self, cited: tuple[str, ...]) -> _Carrier:
        if cited not in self._carriers:
            rows = [self._rows[name] for name in cited]
            told = ' '.join(
                f'{h["cause"]} {h["component"]} {h["category"]}'
                for h in self._hypotheses if set(cited) & set(h['evidence']))
            self._carriers[cited] = _carried(rows, told)
        return self._carriers[cited]

    def _held(self, text: str, carrier: _Carrier,
              cited: tuple[str, ...]) -> str | None:
        """What of a claim its evidence does not hold."""
        rest, reason = _moments(text, carrier)
        if reason:
            return reason
        rest, reason = _numbers(rest, carrier)
        if reason:
            return reason
        for match in _TOKEN.finditer(rest):
            reason = self._token(match[0].strip(_EDGE), carrier, cited)
            if reason:
                return reason
        return None

    def _token(self, token: str, carrier: _Carrier,
               cited: tuple[str, ...]) -> str | None:
        token = re.sub(r"(?:'s|'|\(\))$", '', token).strip(_EDGE + '=<>~-+/')
        if not token:
            return None
        if re.fullmatch(r'E\d+', token):
            return (None if token in cited else
                    f'names {token} and does not cite it')
        if token.lower() in self._hosts:
            return (None if _names(carrier.text, token) else
                    f'names the host {_visible(token)}, which its evidence '
                    'does not')
        if token.isalpha() and token.isascii():
            return _word(token, carrier)
        if token.lower() in carrier.words or _names(carrier.text, token):
            return None
        parts = [p for p in re.split(r"[-/@,;:=()\[\]'\"+]+|\.{2,}", token)
                 if p]
        if len(parts) > 1 and not _UUID.search(token) and (
                '_' not in token and not re.search(r'\d', token)
                or '@' in token or ',' in token):
            for part in parts:
                reason = self._token(part, carrier, cited)
                if reason:
                    return reason
            if re.search(r'[@,;:=]', token) or all(
                    p.islower() and _plain(p) for p in parts):
                return None
        return f'names {_visible(token)}, which its evidence does not hold'


def _word(word: str, carrier: _Carrier) -> str | None:
    """Whether a plain word is carried; what is wrong with it."""
    lower = word.lower()
    stem = vocabulary.stem(lower)
    if lower in carrier.words or stem in carrier.stems:
        return None
    if word[1:] != word[1:].lower() and not word.isupper() and _names(
            carrier.text, word):
        return None
    for concept in vocabulary.CONCEPTS.get(stem, ()):
        if concept.search(carrier.said):
            return None
    if stem in vocabulary.NEUTRAL:
        return None
    # Words of one family: authenticate, authentication.
    if len(stem) > 5 and word[1:] == word[1:].lower() and any(
            _family(stem, s) for s in carrier.stems if s[:6] == stem[:6]):
        return None
    return f'says "{_visible(word)}", which its evidence does not'


def _family(one: str, other: str) -> bool:
    """Whether most of the longer word begins the shorter one, too."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False))
                 if a != b), min(len(one), len(other)))
    return same >= max(6, .6 * max(len(one), len(other)))


def _plain(word: str) -> bool:
    stem = vocabulary.stem(word)
    return stem in vocabulary.NEUTRAL or stem in vocabulary.CONCEPTS


def _form(text: str) -> str | None:
    """What is wrong with how a claim is written."""
    if not text.strip():
        return 'says nothing'
    if len(text) > prompts.MOST_CHARACTERS:
        return 'is too long'
    text = text.translate(_TYPOGRAPHY)
    if not all(c.isprintable() for c in text):
        return 'holds characters that do not show'
    for char in text:
        if ord(char) > 127 and not char.isalnum():
            return 'holds signs that no claim needs'
    if redaction.PLACEHOLDER.search(text):
        return 'names something that is hidden'
    if _MARKUP.search(text):
        return 'holds markup'
    if _COMMAND.search(text):
        return 'holds a command'
    # What somebody else says may be quoted; whether it was said is checked.
    if _ORDER.search(re.sub(r'"[^"]{2,200}"', ' ', text)):
        return 'tells somebody to do something'
    return None


def plain(text: str) -> str:
    """A claim without emphasis and typography, which say nothing.

    :param text: of the model
    """
    text = text.translate(_TYPOGRAPHY)
    text = re.sub(r'`([^`]*)`', r'\1', text)
    text = re.sub(r'\*\*([^*]*)\*\*', r'\1', text)
    return ' '.join(text.split())


def _quoted(text: str, carrier: _Carrier) -> str | None:
    """A quotation has to stand in the evidence as it is."""
    for match in re.finditer(r'"([^"]{2,400})"', text):
        said = _folded(match[1]).strip(' .,;:!')
        if said and said not in carrier.text:
            return f'quotes "{_visible(match[1][:60])}", which is not there'
    return None


def _opposite(text: str, carrier: _Carrier) -> str | None:
    """Whether a claim says of something the opposite of its evidence."""
    # A name, such as update_available_resource, says nothing.
    text = re.sub(r'[\w.]*(?:_|\w\.\w)[\w.]*', ' ', text.lower())
    for match in re.finditer(r"[a-z]+", text):
        word = match[0]
        if word not in vocabulary.POLAR or _negated(
                text, match.start(), match.end()):
            continue
        stem = vocabulary.stem(word)
        seen = False
        for held in re.finditer(rf'(?<![a-z]){re.escape(stem)}[a-z]*',
                                carrier.text):
            seen = True
            if not _negated(carrier.text, held.start(), held.end()):
                break
        else:
            if seen:
                return f'says "{word}", where its evidence says the opposite'
            if word in vocabulary.WELL:
                return f'says "{word}", which its evidence does not'
    return None


def _negated(text: str, begin: int, end: int) -> bool:
    """Whether a word stands near a "not"."""
    before = ' '.join(text[max(0, begin - 60):begin].split()[-6:])
    after = ' '.join(text[end:end + 60].split()[:4])
    return bool(vocabulary.NEGATION.search(before) or re.match(
        r'(?:no|not|0|nothing)\b|(?:\w+ ){0,3}fail(?:s|ed)\b', after))


def _moments(text: str, carrier: _Carrier) -> tuple[str, str | None]:
    """Times and dates of a claim, taken out of it."""
    for match in list(_DAY.finditer(text))[::-1]:
        day = match[1] or match[3]
        if not day:
            continue
        month = vocabulary.MONTHS[match[2].lower()]
        ends = f'-{month:02d}-{int(day):02d}'
        if not any(d.endswith(ends) and d.startswith(match[4] or '')
                   for d, _ in carrier.moments):
            return '', f'names the day {_visible(match[0].strip())}, which ' \
                       'its evidence does not hold'
        text = f'{text[:match.start()]} {text[match.end():]}'
    out, last = [], 0
    for match in _MOMENT.finditer(text):
        day, clock, half = match[1], match[2], match[3]
        if not day and not clock:
            continue
        clock = (clock or '').replace(',', '.')
        if clock.count(':') == 1 and not half and not re.search(
                r'(?:at|since|from|until|to|by|around|after|before|and|T| |^)'
                r'\s*$', text[:match.start(2)]):
            continue
        if half:
            hour = int(clock.split(':')[0]) % 12 + (
                12 if half.lower().startswith('p') else 0)
            clock = f'{hour:02d}:{clock.split(":", 1)[1]}'
        if len(clock.split(':')[0]) == 1:
            clock = f'0{clock}'
        if not any((not day or d == day) and t.startswith(
                clock if match[2] else '') for d, t in carrier.moments):
            return '', f'names the time {_visible(match[0].strip())}, ' \
                       'which its evidence does not hold'
        out.append(text[last:match.start()])
        last = match.end()
    return ' '.join((*out, text[last:])), None


def _numbers(text: str, carrier: _Carrier) -> tuple[str, str | None]:
    """Numbers of a claim, taken out of it."""
    out, last = [], 0
    for match in _NUMBER.finditer(text):
        # Part of a name, such as an address or a version.
        if re.match(r'[\w./:@-]*[\w/@]', text[match.end():]) and not (
                match[3]) or re.search(r'[\w./:@_-]$', text[:match.start()]):
            continue
        value = float(match[1].replace(',', '') + (match[2] or ''))
        unit = (match[3] or '').lower()
        known = unit in _UNITS
        if not _counted(value, unit if known else '', carrier):
            return '', f'names the number {_visible(match[0].strip())}, ' \
                       'which its evidence does not hold'
        out.append(text[last:match.start()])
        last = match.end() if known or not unit else match.start(3)
    text = ' '.join((*out, text[last:]))
    return _spelled(text, carrier)


def _spelled(text: str, carrier: _Carrier) -> tuple[str, str | None]:
    """Numbers in words, taken out of a claim."""
    for match in _SPELLED.finditer(text):
        word, unit = match[1].lower(), (match[2] or '').lower()
        if word not in carrier.words and not _counted(
                float(vocabulary.NUMBERS[word]),
                unit if unit in _UNITS else '', carrier):
            return '', f'names the number {match[0].strip()}, which its ' \
                       'evidence does not hold'
    return _SPELLED.sub(lambda m: f' {m[2] or ""} ', text), None


def _counted(value: float, unit: str, carrier: _Carrier) -> bool:
    if value in carrier.numbers:
        return True
    if unit in _SECONDS:
        seconds = value * _SECONDS[unit]
        return any(round(n, 3) == round(seconds, 3) for n in (
            *carrier.numbers, *(n / 1000 for n in carrier.numbers))) or any(
                abs(span - seconds) < _SECONDS[unit] for span in
                carrier.spans)
    if unit in _BYTES:
        power = _BYTES[unit]
        return any(value * 2.0 ** (power - other) in carrier.numbers
                   for other in (0, 10, 20, 30, 40) if other != power)
    return not unit and value in carrier.derived


def _carried(rows: list[dict[str, Any]], told: str) -> _Carrier:
    """What pieces of evidence hold together."""
    own = '\n'.join(_all(row) for row in rows)
    own = f'{own}\n{parse.unquote(own)}' if '%' in own else own
    moments = {_moment(d, t or u) for d, t, u in _HELD_MOMENT.findall(own)}
    moments |= {(d, '') for d in _HELD_DAY.findall(own)}
    stamps = sorted(s for s in (_stamp(r.get('timestamp')) for r in rows)
                    if s)
    bare = _UUID.sub(' ', _HELD_MOMENT.sub(' ', own))
    said = f'{_said(own)}\n{told}'
    words = frozenset(re.findall(r'[^\W_]+(?:[-_][^\W_]+)*',
                                 _folded(said)))
    split = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|_', ' ', said)
    parts = {w.lower() for w in re.findall('[A-Za-z]{2,}', split)}
    derived = {len(rows)} | {
        len({r.get(name) for r in rows if r.get(name)})
        for name in ('host', 'binary', 'service', 'request_id', 'source')}
    return _Carrier(
        _folded(f'{own}\n{told}'), _folded(said), words | parts,
        frozenset(map(vocabulary.stem, words | parts)),
        frozenset(float(n) for n in _NUMBERS_HELD.findall(bare)),
        frozenset(moments), frozenset(derived - {0}),
        (stamps[-1] - stamps[0],) if len(stamps) > 1 else ())


def _said(text: str) -> str:
    """Text without the code of tracebacks, which says nothing happened.

    The names in it are places that evidence shows; its words are not.
    """
    if 'File "' not in text and 'File \\' not in text:
        return text
    lines = re.split(r'\n|(?:\\+n)', text)
    kept, code = [], False
    for line in lines:
        body = _HEADER.sub('', line)
        place = re.match(r'\s*[\'",]*\s*File \\*"', body) is not None
        indented = body.startswith('  ') or not body.strip(' ^~')
        code = place or code and indented
        if not code:
            kept.append(line)
    return '\n'.join(kept)


def _moment(day: str, clock: str) -> tuple[str, str]:
    clock = clock.replace(',', '.')
    return day, clock if clock[1:2] != ':' else f'0{clock}'


def _stamp(value: object) -> float | None:
    try:
        return datetime.datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return None


def _all(row: dict[str, Any]) -> str:
    """All that a piece of evidence says, its fields too."""
    return '\n'.join(str(v) for v in (
        row['text'], row.get('host'), row.get('service'), row.get('binary'),
        row.get('level'), row.get('timestamp'), row.get('request_id'),
        ' '.join(row.get('resources') or ()), row.get('source'),
        row.get('why')) if v)


def _folded(text: str) -> str:
    return ' '.join(text.lower().split())


def _names(text: str, name: str) -> bool:
    """Whether a text names something, and not what only begins like it."""
    name = name.lower()
    end = r'(?![a-z0-9])' if name[-1].isalnum() else ''
    # A place, an address or a name goes on with a dot or a dash.
    more = r'(?![.-]\d)' if re.fullmatch(r'[\d.]+', name) else ''
    return re.search(rf'(?<![a-z0-9]){re.escape(name)}{end}{more}',
                     text) is not None


def addressed(row: dict[str, Any]) -> bool:
    """Whether a text of a log is written for who reads it.

    It may hide that: behind letters of other scripts, invisible ones, signs
    for letters, or Base64.

    :param row: a piece of evidence
    """
    return _addressed(_all(row))


@functools.lru_cache(maxsize=256)
def _addressed(text: str) -> bool:
    """The same for a text: it is asked for each time that it is cited."""
    views = {text, redaction.clean(text), parse.unquote(text)}
    if not text.isascii():
        folded = unicodedata.normalize('NFKD', redaction.clean(text))
        views.add(''.join(c for c in folded if not unicodedata.combining(c)
                          ).translate(_TWINS))
    for view in tuple(views):
        words = re.sub(r'[_+.\-/]+', ' ', view)
        views.add(words)
        lower = words.lower()
        leet = lower.translate(_LEET)
        if any(sign in leet and sign not in lower for sign in _SIGNS):
            views.add(leet)
        for blob in _BLOB.findall(view)[:200]:
            views.add(_decoded(blob))
    # Letters with a space between each.
    views |= {re.sub(r'(?<=\b\w) (?=\w\b)', '', view) for view in views
              if re.search(r'(?:\b\w ){6}', view)}
    return any(_ADDRESSED.search(view) for view in views if view)


def _decoded(blob: str) -> str:
    """What stands in Base64, where it is text."""
    blob = blob.rstrip('=').replace('-', '+').replace('_', '/')
    try:
        raw = base64.b64decode(blob + '=' * (-len(blob) % 4), validate=True)
        text = raw.decode('ascii')
    except (binascii.Error, ValueError):
        return ''
    return text if text.isprintable() else ''


def _visible(text: str) -> str:
    """A text that acts on nothing, for a reason."""
    return ascii(text[:80])[1:-1]


def sort(report: dict[str, Any], claims: list[base.Claim]) -> tuple[
        list[dict[str, Any]], list[dict[str, Any]]]:
    """Claims as a report shows them.

    :param report: the verified document
    :param claims: with the names that were hidden from the model
    :returns: what evidence carries, and what was dropped, with the reason
    """
    checker = Checker(report)
    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for claim in claims:
        reason = checker.reason(claim)
        cited = list(dict.fromkeys(claim.evidence))
        if reason is None:
            kept.append({'text': _sentence(plain(claim.text)),
                         'evidence': cited, 'verified': True})
        elif len(dropped) < _MOST_DROPPED:
            shown = ascii(claim.text)[1:-1]
            dropped.append({
                'text': shown[:_MOST_SHOWN] + '...' * (
                    len(shown) > _MOST_SHOWN),
                'evidence': [_visible(c) for c in cited[:_MOST_CITED]],
                'reason': reason})
    return kept, dropped


def _sentence(text: str) -> str:
    return text if text.endswith(('.', '!', '?')) else f'{text}.'


def prose(kept: list[dict[str, Any]]) -> str:
    """The text of a narrative: what was kept, with what it cites.

    :param kept: claims as a report shows them
    """
    return ' '.join(f'{c["text"][:-1]} ({", ".join(c["evidence"])}).'
                    for c in kept)
