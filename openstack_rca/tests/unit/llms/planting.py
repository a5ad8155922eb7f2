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
"""Secrets made by the rules of somebody else: those of detect-secrets.

A secret is drawn from the expressions of a plugin, and that plugin has to
find it where it is planted. What leaves is looked at by all plugins.
"""

import base64
from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import json
import random
from re import _constants as codes
from re import _parser as parser
import string
from typing import Any

from detect_secrets import settings
from detect_secrets.core.plugins import initialize
from detect_secrets.plugins import base as plugins
from detect_secrets.plugins import high_entropy_strings
from detect_secrets.plugins import ip_public
from detect_secrets.plugins import jwt
from detect_secrets.plugins import keyword

from openstack_rca.llms import redaction

_WORD = string.ascii_letters + string.digits + '_'
_PRINTED = string.ascii_letters + string.digits + '-_.~+/='
_CLASSES = {codes.CATEGORY_DIGIT: string.digits,
            codes.CATEGORY_WORD: _WORD, codes.CATEGORY_SPACE: ' ',
            codes.CATEGORY_NOT_SPACE: _PRINTED,
            codes.CATEGORY_NOT_DIGIT: string.ascii_letters,
            codes.CATEGORY_NOT_WORD: '-.:'}


@dataclasses.dataclass(frozen=True)
class Planted:
    """A secret in a text.

    :param kind: name of the plugin whose rules made it, or what it is
    :param text: with the secret in it
    :param secret: what must not leave
    """

    kind: str
    text: str
    secret: str


def _drawn(pattern: str, dice: random.Random, flags: int) -> str:
    """A text that a regular expression matches, most of the time."""
    groups: dict[int, str] = {}

    def several(nodes: Any) -> str:
        return ''.join(one(code, value) for code, value in nodes)

    def one(code: Any, value: Any) -> str:
        if code is codes.LITERAL:
            return chr(value)
        if code is codes.NOT_LITERAL:
            return dice.choice([c for c in _PRINTED if ord(c) != value])
        if code is codes.ANY:
            return dice.choice(_PRINTED)
        if code is codes.IN:
            return dice.choice(chars(value))
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT,
                    codes.POSSESSIVE_REPEAT):
            least, most, what = value
            count = dice.randint(least, min(most, least + 12))
            return ''.join(several(what) for _ in range(count))
        if code is codes.SUBPATTERN:
            text = several(value[-1])
            if value[0] is not None:
                groups[value[0]] = text
            return text
        if code is codes.BRANCH:
            return several(dice.choice(value[1]))
        if code is codes.CATEGORY:
            return dice.choice(_CLASSES[value])
        return groups.get(value, '') if code is codes.GROUPREF else ''

    def chars(parts: Any) -> str:
        negated = parts[0][0] is codes.NEGATE
        found = ''
        for code, value in parts:
            if code is codes.LITERAL:
                found += chr(value)
            elif code is codes.RANGE:
                found += ''.join(map(chr, range(value[0], value[1] + 1)))
            elif code is codes.CATEGORY:
                found += _CLASSES[value]
        return ''.join(c for c in _PRINTED if c not in found) if negated \
            else found

    return several(parser.parse(pattern, flags))


class Source:
    """Draws secrets.

    :param dice: what decides
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        with settings.default_settings():
            self.plugins: list[plugins.BasePlugin] = [
                initialize.from_plugin_classname(name) for name in sorted(
                    settings.get_settings().plugins)]

    def draw(self) -> Planted:
        """A secret, found by the plugin that it is made for."""
        while True:
            plugin = self._dice.choice(self.plugins)
            text = self._text(plugin)
            found = [s.secret_value or '' for s in plugin.analyze_line(
                filename='log', line=text, line_number=1)]
            found = [f for f in found if f and f in text]
            if found:
                return Planted(type(plugin).__name__, text,
                               max(found, key=len))

    def _text(self, plugin: plugins.BasePlugin) -> str:
        dice = self._dice
        if isinstance(plugin, keyword.KeywordDetector):
            return self._assigned()
        if isinstance(plugin, high_entropy_strings.HighEntropyStringsPlugin):
            quote = dice.choice('"\'')
            word = self._random(plugin.charset, dice.randint(20, 64))
            return f'{quote}{word}{quote}'
        if isinstance(plugin, jwt.JwtTokenDetector):
            return '.'.join((self._json(), self._json(), self._random(
                string.ascii_letters, 43)))
        if isinstance(plugin, ip_public.IPPublicDetector):
            return '.'.join(str(dice.randint(1, 254)) for _ in range(4))
        pattern = dice.choice(list(plugin.denylist))  # type: ignore
        text = _drawn(pattern.pattern, dice, pattern.flags & ~32)
        if 'KEY' in text and 'BEGIN' in text:
            lines = '\n'.join(self._random(string.ascii_letters
                                           + string.digits + '+/', 64)
                              for _ in range(3))
            return f'-----{text}-----\n{lines}\n-----{text}-----'.replace(
                f'\n-----{text}', f'\n-----{text.replace("BEGIN", "END")}')
        return text

    def _json(self) -> str:
        told = json.dumps({self._random(string.ascii_lowercase, 3):
                           self._random(_WORD, 9)}).encode()
        return base64.urlsafe_b64encode(told).decode().rstrip('=')

    def _random(self, chars: str, length: int) -> str:
        return ''.join(self._dice.choices(chars, k=length))

    def _assigned(self) -> str:
        """A secret by its name, in the ways of programs and files."""
        dice = self._dice
        name = dice.choice(keyword.DENYLIST).replace('_?', dice.choice(
            ('', '_')))
        name = dice.choice(('', 'my_', 'nova_', 'rabbit_', 'os-')) + name
        name = dice.choice((name, name.upper(), name.title()))
        value = self._random(string.ascii_letters + string.digits + '!#$%^*.',
                             dice.randint(8, 24))
        value = dice.choice(string.ascii_letters) + value + 'x'
        return dice.choice((
            '{0} = "{1}"', "{0}='{1}'", '"{0}": "{1}"', "'{0}': '{1}'",
            '{0} := "{1}"', '{0} => "{1}"', '{0}("{1}")', '{0}[] = "{1}";',
            '{0} == "{1}"', '"{1}" == {0}', '{0} "{1}";',
            '{0}_value = "{1}"', "u'{0}': u'{1}', ", '--{0}="{1}"',
            '{0}.assign("{1}",3)')).format(name, value)

    def openstack(self) -> Planted:
        """A secret of OpenStack that detect-secrets has no rule for."""
        dice = self._dice
        word = self._random(string.ascii_letters + string.digits, 14) + '1a'
        token = 'gAAAAAB' + self._random(_WORD + '-', dice.randint(90, 200))
        ways: tuple[Callable[[], tuple[str, str, str]], ...] = (
            lambda: ('fernet', token, token),
            lambda: ('fernet', f'token {token[:150]} is expired',
                     token[:150]),
            lambda: ('header', f'X-Auth-Token: {word}', word),
            lambda: ('header', f'-H "X-Subject-Token: {word}" -X GET', word),
            lambda: ('header', f'"X-Auth-Token": "{word}"', word),
            lambda: ('header', f'\\"X-Service-Token\\": \\"{word}\\"', word),
            lambda: ('bearer', f'Authorization: Bearer {word}', word),
            lambda: ('basic', f'authorization: Basic {word}', word),
            lambda: ('cookie', f'Set-Cookie: session={word}; path=/', word),
            lambda: ('cookie', f"'Cookie': 'csrftoken={word}; a=b'", word),
            lambda: ('url', f'mysql+pymysql://nova:{word}@db1/nova', word),
            lambda: ('url', f'rabbit://a:{word}@mq1:5672,b:c@mq2/', word),
            lambda: ('url', f'http://user:{word}@10.0.0.5:8774/v2.1', word),
            lambda: ('option', f'transport_password = {word}', word),
            lambda: ('option', f'openstack --os-password {word} server list',
                     word),
            lambda: ('json', json.dumps({'adminPass': word}), word),
            lambda: ('json', json.dumps(json.dumps({'password': word})),
                     word),
            lambda: ('repr', repr({'admin_password': word}), word),
            lambda: ('userdata', f'"user_data": "{word * 3}"', word),
            lambda: ('email', f'{word}@example.org', word),
            lambda: self._pem('CERTIFICATE'),
            lambda: self._pem('EC PRIVATE KEY'),
            lambda: (('ipv4',) + (
                '10.' + '.'.join(str(dice.randint(1, 254))
                                 for _ in range(3)),) * 2),
            lambda: (('ipv6',) + (
                '2001:db8:' + ':'.join(f'{dice.randint(4096, 65535):x}'
                                       for _ in range(6)),) * 2),
            lambda: (('mac',) + (
                'fa:16:3e:' + ':'.join(f'{dice.randint(16, 255):02x}'
                                       for _ in range(3)),) * 2),
        )
        return Planted(*(lambda t: (t[0], t[1], t[2]))(dice.choice(ways)()))

    def _pem(self, kind: str) -> tuple[str, str, str]:
        body = self._random(string.ascii_letters + string.digits + '+/', 64)
        end = self._dice.choice(('\n', '\\n'))
        return ('pem', f'-----BEGIN {kind}-----{end}{body}{end}'
                f'{body[:30]}{end}-----END {kind}-----', body)

    def seen(self, text: str) -> Iterator[tuple[str, str]]:
        """What the plugins find in a text, but for what was hidden."""
        for line in text.split('\n'):
            for plugin in self.plugins:
                for secret in plugin.analyze_line(
                        filename='log', line=line, line_number=1):
                    rest = redaction.PLACEHOLDER.sub(
                        '', secret.secret_value or '')
                    if any(c.isalnum() for c in rest):
                        yield type(plugin).__name__, secret.secret_value or ''
