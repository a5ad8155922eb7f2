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
"""What must not leave: finding it, hiding it, and putting names back.

Rules find secrets by what stands before them (``password=``), by their form
(a Fernet token, a private key) and by looking like nothing that people write.
They rather hide too much than too little: the model reads a log line as well
without a checksum. What is hidden becomes a placeholder, the same one for the
same text throughout an analysis. Names and addresses can be put back into an
answer; secrets stay hidden.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import ipaddress
import math
import re
import unicodedata

#: Kinds of placeholders. Those of the second row are never put back.
_NAMES = ('ip', 'mac', 'email', 'host', 'project', 'uuid', 'id', 'name')
_SECRETS = ('secret', 'certificate')
PLACEHOLDER = re.compile(f'<(?:{"|".join(_NAMES + _SECRETS)})-[0-9]+>')
_LOOKALIKE = re.compile(f'<({"|".join(_NAMES + _SECRETS)})-([0-9]+)>',
                        re.IGNORECASE)

_ANSI = re.compile(r'\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?'
                   r'|[@-Z\\-_])')

#: Found, and of which kind: begin, end, kind.
Span = tuple[int, int, str]

#: Names that every cloud has, and that tell nobody anything.
GENERIC = frozenset("""
admin administrator adminurl all any api apis app application backend block
broker cache cell cell0 cell1 central cinder cloud cluster cmd compute
computes conductor config console container control controller controllers
data database db default demo disabled dns down enabled endpoint error external
fake false gateway general glance guest head heat host hostname hosts http
https image images info infra instance internal ip ironic keystone kvm libvirt
local localdomain localhost lvm manila manager master member memcached
metadata mgmt mysql network networks neutron no node nodes none nova null
octavia octets off ok on openstack openvswitch ovn ovs placement primary
project projects proxy public qemu queue rabbit rabbitmq raw reader region
regionone role root scheduler secondary self server servers service services
shard source status storage swift system target task tenant test token true
undefined unknown up user username users value volume volumes web worker
workers yes zone
""".split())

_KEYWORDS = (
    r'pass(?:word|wd|phrase|code|wort)?|pwd?|secret|contrase(?:ñ|n)a|'
    r'tokens?|credentials?|api[_-]?key|auth[_-]?key|service[_-]?key|'
    r'account[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key|'
    r'(?:db|database)[_-]?(?:key|pass)|priv(?:ate)?[_-]?key|'
    r'client[_-]?key|key[_-]?pass|encryption[_-]?key|hmac[_-]?key|'
    r'shared[_-]?secret|psk|user[_-]?data|community|signature|'
    r'temp_url_sig|session[_-]?id')
#: What stands in quotes, those of JSON in JSON too; or up to the end of the
#: line.
_QUOTED = r'(?<!\\)(?P<b>\\*)(?P<q>["\'`])(?P<v>.*?)(?:(?<!\\)(?P=b)(?P=q)|$)'

#: One of these is in everything that _KEYWORDS finds.
_HINTS = ('pass pw secret contrase token credential key psk user_data '
          'user-data userdata community signature temp_url session')

_I, _M, _S = re.IGNORECASE, re.MULTILINE, re.DOTALL


def _rule(kind: str, pattern: str, flags: int = 0, needs: str = ''
          ) -> Callable[[str, str], Iterator[Span]]:
    """What a regular expression finds: its group ``v``, or all of it.

    :param needs: words in small letters, one of which a text has to hold for
        the expression to find something; looking for them is much faster
    """
    compiled = re.compile(pattern, flags)
    group: int | str = 'v' if 'v' in compiled.groupindex else 0
    words = needs.split()

    def find(text: str, lower: str) -> Iterator[Span]:
        if words and not any(word in lower for word in words):
            return
        for match in compiled.finditer(text):
            begin, end = match.span(group)
            if end > begin:
                yield begin, end, kind
    return find


_HEADERS = (r'(?:proxy-)?authorization|x-(?:auth|subject|service|storage|'
            r'vault|amz-security|csrf)-?token|x-api-key|api-key|'
            r'x-trust-id|(?:set-)?cookie2?')

#: By what stands around them, and by their form. None of them can take time
#: that grows faster than the text times the length of a line.
_RULES = (
    # Keys and certificates, also where the end was cut off, and with the
    # newlines of JSON in JSON.
    _rule('certificate', r'-----BEGIN (?:X509 |TRUSTED )?(?:CERTIFICATE'
          r'|PUBLIC KEY)[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)',
          _S),
    _rule('secret', r'-{0,5}BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}'
          r'.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)', _S),
    _rule('secret', r'PuTTY-User-Key-File-.*', _S),
    # Who opens a connection as whom.
    _rule('secret', r'(?<=://)(?:[^\s"\'<>]{1,400}|[^\s]{1,400}?)(?=@)'),
    # Headers, as servers and clients log them.
    _rule('secret', rf'(?:{_HEADERS})\\*["\']?\s*[:=,]\s*{_QUOTED}', _I | _M,
          'auth cookie x- api-key'),
    _rule('secret', rf'(?:{_HEADERS})\\*["\']?\s*[:=]\s*'
          r'(?P<v>[^"\'`\s\\][^"\'`\n\\]*)', _I, 'auth cookie x- api-key'),
    _rule('secret', r'\b(?:bearer|basic|digest|negotiate|token)\s+'
          r'(?P<v>[A-Za-z0-9+/=_.~-]{8,})(?<![a-z]{8})', _I,
          'bearer basic digest negotiate token'),
    # Names of secrets before something in quotes, and before a word.
    _rule('secret', rf'(?:{_KEYWORDS})\w*+[\]\'"\\]{{0,4}}+\s{{0,40}}'
          r'(?:\[\d*\])?\s{0,40}'
          rf'(?:[:=!]{{1,3}}>?|\.assign\(|\(|,)?\s{{0,40}}@?{_QUOTED}',
          _I | _M, _HINTS),
    _rule('secret', rf'(?:{_KEYWORDS})[^\s"\'`]{{0,50}}\s{{0,40}}{_QUOTED};',
          _I | _M, _HINTS),
    _rule('secret', r'(?P<q>["\'`])(?P<v>[^"\'`\n]{1,200})(?P=q)\s{0,40}'
          rf'[!=]{{2,3}}\s{{0,40}}\w{{0,60}}(?:{_KEYWORDS})', _I, _HINTS),
    _rule('secret', rf'(?:{_KEYWORDS})s?\d*\\*[\]"\']{{0,2}}\s{{0,40}}'
          r'[:=!]{1,3}>?\s{0,40}(?P<v>(?!\\*["\'`]|<secret-\d)\S+?)'
          r'(?=[,;)}\]\'"]*(?:\s|$))', _I, _HINTS),
    _rule('secret', r'key\\*[\]"\']{0,4}\s{0,40}[:=]{1,3}>?\s{0,40}\\*["\'`]?'
          r'(?P<v>[A-Za-z0-9+/=_-]{16,})', _I, 'key'),
    _rule('secret', rf'(?:{_KEYWORDS}|key)\\*[\]"\']{{0,4}}[\s:=!>]{{1,44}}'
          r'\\*["\'`]?(?P<v>[A-Za-z0-9]{20,})', _I, _HINTS),
    _rule('secret', r'\b(?:password|passwd|passphrase|pwd)\s+'
          r'(?:is\s+|was\s+|of\s+)?(?P<v>\S*\d\S*|"[^"\n]+"|\'[^\'\n]+\')',
          _I),
    _rule('secret', r'--?[\w-]*(?:password|passwd|secret|token|key|pass)'
          r'[ =]+(?P<v>[^\s-]\S*)', _I, 'pass secret token key'),
    _rule('secret', r'\b(?:mysql\w*|sshpass)\b[^\n]{0,80}?\s-p\s?(?P<v>\S+)'),
    _rule('secret', r'\s(?:-u|--user)[ =]+[^\s:]+:(?P<v>\S+)'),
    # Forms.
    _rule('secret', r'gAAAA[\w=-]{8,}'),
    _rule('secret', r'eyJ[\w=-]{4,}\.[\w=-]+(?:\.[\w.+/=-]*)?'),
    _rule('secret', r'(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|AIDA|AROA)'
          r'[0-9A-Z]{16}'),
    _rule('secret', r'aws.{0,60}?["\'](?P<v>[0-9a-zA-Z/+]{40})["\']', _I),
    _rule('secret', r'(?<![A-Za-z0-9])(?:AKC[a-zA-Z0-9]{10,}'
          r'|AP[\dABCDEF][a-zA-Z0-9]{8,})'),
    _rule('secret', r'[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27}'),
    _rule('secret', r'gh[pousr]_\w{36,}|github_pat_\w{20,}'),
    _rule('secret', r'(?:gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-'
          r'|GR1348941)[\w-]{20,}'),
    _rule('secret', r'xox[a-z]-[\w-]+', _I),
    _rule('secret', r'hooks\.slack\.com/services/\S+', _I),
    _rule('secret', r'\bsk-[\w-]{16,}|[rs]k_(?:live|test)_[0-9A-Za-z]{16,}'),
    _rule('secret', r'pypi-[\w-]{20,}|npm_[A-Za-z0-9]{16,}'
          r'|_authToken=\s*\S+', 0, 'pypi- npm_ _authtoken'),
    _rule('secret', r'SG\.[\w-]{16,}\.[\w-]{16,}|sq0\w{3}-[\w\\-]{22,}'),
    _rule('secret', r'\d{8,10}:[\w-]{35}'),
    _rule('secret', r'(?:AC|SK)[a-z0-9]{32}|[0-9a-z]{32}-us[0-9]{1,2}'),
    _rule('secret', r'AccountKey=[\w+/=]{16,}'),
    # People and interfaces.
    _rule('email', r'[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+'),
    _rule('mac', r'(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}'
          r'(?![\w:-]*[0-9A-Fa-f]{2}(?![\w]))'),
    _rule('mac', r'(?<![\w.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?![\w.])'),
)

_IPV4 = re.compile(r'(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d)(?!\.\d)')
_IPV6 = re.compile(r'(?<![\w:])[0-9A-Fa-f:]{2,45}(?:\.\d{1,3}){0,3}(?!\w)')
_DASHED = re.compile(r'\bip-(?:\d{1,3}-){3}\d{1,3}\b')

_HEX = re.compile(r'(?<![0-9A-Za-z])(?!0x)[0-9A-Fa-f]{16,}(?![0-9A-Za-z])')
_OPAQUE = re.compile(r'[A-Za-z0-9+/=_\\-]{16,}')
_QUOTED_WORD = re.compile(r'(["\'])([A-Za-z0-9+/=_\\-]{9,})\1')
_UUID = re.compile(r'(?:req-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
                   _I)

#: Parts of a name that end names of hosts, and no names of modules.
_FQDN = re.compile(
    r'(?<![\w.@/-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}'
    r'(?:com|net|org|edu|gov|mil|int|eu|de|fr|uk|us|ch|nl|jp|cn|example|'
    r'invalid|lan|localdomain|internal|intranet|corp|private)(?![\w-])')
_URL_HOST = re.compile(r'(?<=://)(?:[^\s/@]{1,400}@)?'
                       r'(?P<v>[A-Za-z0-9][A-Za-z0-9.-]{0,253})')
_HOST_KEY = re.compile(
    r'(?:\b|_|:)(?:host(?:_?name)?|fqdn|node(?:_?name)?)\\*["\']?\s?[:=]\s?'
    r'\\*["\']?(?P<v>[A-Za-z0-9][\w.-]{0,253})', _I)
_PROJECT_KEY = re.compile(
    r'(?:\b|_)(?:project|tenant|user|domain|owner)(?:_?name)?\\*["\']?'
    r'(?:\s?[:=]\s?\\*["\']?|\s+\\*["\'])(?P<v>[A-Za-z0-9][\w.@-]{0,253})',
    _I)
#: What oslo.log writes in front: request ids, then who asks.
_CONTEXT = re.compile(
    r'\[(?:None |req-[0-9a-f-]{36} ?)(?:None |req-[0-9a-f-]{36} ?)?'
    r'(?P<v>[^\]\n]{1,400})\]')


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is hidden beside secrets, addresses and e-mail.

    :param hosts: names of hosts
    :param projects: names of projects and users
    :param uuids: UUIDs and request ids
    :param words: further words
    """

    hosts: bool = True
    projects: bool = True
    uuids: bool = False
    words: tuple[str, ...] = ()


def clean(text: str) -> str:
    """A text without what hides other text, or acts on a screen.

    Zero-width and bidirectional characters could cut a secret so that no rule
    sees it; wide letters could spell one.

    :param text: of a log
    """
    text = _ANSI.sub('', text)
    if not text.isascii():
        text = unicodedata.normalize('NFKC', text)
        text = ''.join(c for c in text
                       if unicodedata.category(c) not in ('Cf', 'Cs', 'Cn'))
    return ''.join(c if c in '\n\t' or c.isprintable() else ' '
                   for c in text)


class Redactor:
    """Hides, and puts back, for one analysis.

    :param rules: what is hidden beside secrets
    """

    def __init__(self, rules: Rules = Rules()) -> None:  # noqa: B008
        self._rules = rules
        self._known: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._add('name', rules.words)

    def know(self, hosts: Iterable[str], texts: Iterable[str]) -> None:
        """Learn names, so that they are found wherever they stand.

        :param hosts: names of hosts
        :param texts: in which names of projects and users stand behind what
            calls them so
        """
        if self._rules.hosts:
            self._add('host', hosts)
        for text in texts:
            text = clean(text)
            if self._rules.projects:
                self._add('project', (text[b:e] for b, e, _ in _projects(
                    text)))
            if self._rules.hosts:
                self._add('host', (text[b:e] for b, e, _ in _hosts(text)))

    def _add(self, kind: str, names: Iterable[str]) -> None:
        for name in names:
            name = clean(name).strip().lower()
            if len(name) < 2 or kind != 'name' and not _tells(name):
                continue
            self._known.setdefault(name, kind)
            # A host is called by its short name, too.
            short = name.partition('.')[0].partition('@')[0]
            if kind == 'host' and len(short) > 1 and _tells(short):
                self._known.setdefault(short, kind)
        self._pattern = re.compile(
            '(?<![A-Za-z0-9])(?:' + '|'.join(re.escape(n) for n in sorted(
                self._known, key=lambda n: (-len(n), n)))
            + r')(?:(?=[^A-Za-z0-9])|$)', _I) if self._known else None

    def text(self, text: str) -> str:
        """A text in which everything is hidden that has to be.

        :param text: of a log
        :raises ValueError: something shows again and again
        """
        text = _LOOKALIKE.sub(r'(\1 \2)', clean(text))
        return self.settle(text)

    def settle(self, text: str) -> str:
        """Hide what a text shows that holds placeholders already.

        What is hidden changes what stands beside the rest, so that a rule may
        see more than before.

        :param text: of this redactor
        :raises ValueError: something shows again and again
        """
        for _ in range(4):
            spans = self._spans(text)
            if not spans:
                return text
            text = self._hidden(text, spans)
        if self._spans(text):
            raise ValueError('What has to be hidden shows again and again.')
        return text

    def restore(self, text: str) -> str:
        """Put names and addresses back into an answer.

        :param text: of the model
        :returns: with the placeholders of secrets, and those that stand for
            nothing, as they are
        """
        return PLACEHOLDER.sub(
            lambda m: self._values.get(m[0], m[0]), text)

    def counts(self) -> dict[str, int]:
        """How many different texts of each kind were hidden."""
        return dict(sorted(self._counts.items()))

    def _spans(self, text: str) -> list[Span]:
        """What has to be hidden, in order and without overlaps."""
        found: list[Span] = []
        lower = text.lower()
        for rule in _RULES:
            found += rule(text, lower)
        found += _addresses(text)
        found += _opaque(text)
        if self._rules.hosts:
            found += _hosts(text)
        if self._rules.projects:
            found += _projects(text)
        if self._rules.uuids:
            found += ((*m.span(), 'uuid') for m in _UUID.finditer(text))
        if self._pattern:
            found += ((*m.span(), self._known[m[0].lower()])
                      for m in self._pattern.finditer(text))
        return _united(text, found)

    def _hidden(self, text: str, spans: list[Span]) -> str:
        out: list[str] = []
        last = 0
        for begin, end, kind in spans:
            out += text[last:begin], self._placeholder(kind, text[begin:end])
            last = end
        return ''.join((*out, text[last:]))

    def _placeholder(self, kind: str, value: str) -> str:
        # Names of hosts are the same in any case.
        key = kind, value.lower() if kind in ('host', 'mac', 'ip') else value
        if key not in self._placeholders:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            made = f'<{kind}-{self._counts[kind]}>'
            self._placeholders[key] = made
            # One that swallowed a placeholder would bring it back as it is.
            if kind in _NAMES:
                self._values[made] = self.restore(value)
        return self._placeholders[key]


def _united(text: str, found: list[Span]) -> list[Span]:
    """Spans without overlaps: what touches another one goes with it."""
    out: list[Span] = []
    for begin, end, kind in sorted(found):
        if not _shows(text[begin:end]):
            continue
        if out and begin < out[-1][1]:
            before = out[-1]
            # Secrets are not put back, and what holds one is one.
            kind = kind if kind in _SECRETS and (
                before[2] not in _SECRETS) else before[2]
            out[-1] = before[0], max(end, before[1]), kind
        else:
            out.append((begin, end, kind))
    return [_whole(text, span) for span in out]


def _whole(text: str, span: Span) -> Span:
    """A span that cuts no placeholder in two."""
    begin, end, kind = span
    around = text[max(0, begin - 20):end + 20]
    if '<' not in around and '>' not in around:
        return span
    for match in PLACEHOLDER.finditer(text, max(0, begin - 20), end + 20):
        if match.start() < begin < match.end():
            begin = match.start()
        if match.start() < end < match.end():
            end = match.end()
    return begin, end, kind


def _shows(text: str) -> bool:
    """Whether something of it is not hidden yet."""
    return any(c.isalnum() for c in PLACEHOLDER.sub('', text))


def _tells(name: str) -> bool:
    """Whether a name is more than what every cloud has."""
    return (len(name) > 1 and name not in GENERIC and not name.isdigit()
            and not PLACEHOLDER.search(name) and not _loopback(name))


def _loopback(name: str) -> bool:
    return name.startswith('127.') or name in ('::1', '::')


def _addresses(text: str) -> Iterator[Span]:
    """IP addresses but those of the host itself."""
    for match in _IPV4.finditer(text):
        if not _loopback(match[0]) and all(
                int(part) < 256 for part in match[0].split('.')):
            yield *match.span(), 'ip'
    for match in _IPV6.finditer(text):
        value = match[0]
        while value.count(':') > 1 and value:
            try:
                address = ipaddress.IPv6Address(value)
            except ValueError:
                # "fe80::1: no route", and the port behind an address.
                value = value[:-1] if value.endswith(':') else (
                    value.rpartition(':')[0])
                continue
            if not _loopback(value) and (len(value) > 3 or int(address) > 99):
                yield match.start(), match.start() + len(value), 'ip'
            break
    for match in _DASHED.finditer(text):
        yield *match.span(), 'ip'


def _opaque(text: str) -> Iterator[Span]:
    """What looks like nothing that people or programs write to be read."""
    known = [m.span() for m in _UUID.finditer(text)]
    for match in _HEX.finditer(text):
        if not match[0].isdigit() or len(match[0]) > 24:
            yield *match.span(), 'id'
    known += [m.span() for m in _HEX.finditer(text)]
    known.sort()
    for match in _OPAQUE.finditer(text):
        begin = match.start()
        # A UUID may stand in a longer word; what is left of it is judged.
        parts = []
        for left, right in known:
            if begin <= left and right <= match.end():
                parts.append((begin, left))
                begin = right
        for left, right in (*parts, (begin, match.end())):
            word = text[left:right]
            if right - left >= 16 and (_unreadable(word) or any(
                    _unreadable(run) for run in re.findall(
                        '[A-Za-z0-9]{14,}', word) if run != word)):
                yield left, right, 'secret'
    for match in _QUOTED_WORD.finditer(text):
        word = match[2]
        if _UUID.fullmatch(word):
            continue
        entropy = _entropy(word)
        if entropy > 4.4 or entropy > 2.9 and not set(word) - set(
                '0123456789abcdefABCDEF') and (
                    not word.isdigit() or len(word) > 12):
            yield *match.span(2), 'id'


def _unreadable(word: str) -> bool:
    """Whether letters and digits are mixed as nobody mixes them."""
    turns, before, letters = 0, '', 0
    for char in word:
        kind = ('d' if char.isdigit() else 'l' if char.islower() else
                'u' if char.isupper() else '-')
        letters += kind in 'lu'
        # A capital letter begins a word; that is no surprise.
        if before and kind != before and '-' not in (kind, before) and (
                before, kind) != ('u', 'l'):
            turns += 1
        before = kind
    plain = sum(c.isalnum() for c in word)
    if plain < 14 or not letters:
        return False
    mixed = any(c.isdigit() for c in word)
    # Random letters alone turn as often as they do not, and no word is long.
    return turns / plain > (.17 if mixed else .19) or (
        mixed and turns > 2 and plain == len(word) > 27)


def _entropy(word: str) -> float:
    return -sum(n / len(word) * math.log2(n / len(word))
                for n in (word.count(c) for c in set(word)))


def _hosts(text: str) -> Iterator[Span]:
    """Names of hosts by what stands around them."""
    for pattern in (_URL_HOST, _HOST_KEY):
        for match in pattern.finditer(text):
            name = match['v'].rstrip('.-').lower()
            if _tells(name) and not re.fullmatch(r'[\d.]+', name):
                begin = match.start('v')
                yield begin, begin + len(name), 'host'
    for match in _FQDN.finditer(text):
        yield *match.span(), 'host'


def _projects(text: str) -> Iterator[Span]:
    """Names of projects and users by what stands around them."""
    for match in _PROJECT_KEY.finditer(text):
        if _tells(match['v'].lower()):
            yield *match.span('v'), 'project'
    for match in _CONTEXT.finditer(text):
        for word in re.finditer(r'[^\s-]\S*', match['v']):
            begin = match.start('v') + word.start()
            if _tells(word[0].lower()) and not _UUID.fullmatch(word[0]) \
                    and not word[0].startswith('instance:'):
                yield begin, begin + len(word[0]), 'project'
