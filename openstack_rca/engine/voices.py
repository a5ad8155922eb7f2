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
"""Whose words a question asks for.

"What did nova-compute on cmp1 log?" is about what that program wrote, and not
about what others say of it; "why was cmp1 not chosen?" is about these.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import re
from typing import Any

from openstack_rca.events import schema
from openstack_rca.store import base as stores

#: Words of a question, and the names of programs and hosts in it.
_TOKEN = re.compile(r'[A-Za-z0-9](?:[\w.\-]*\w)?')
#: What somebody does whose words are asked for.
_TELLING = frozenset((
    'log', 'logs', 'logged', 'say', 'says', 'said', 'report', 'reports',
    'reported', 'write', 'writes', 'wrote', 'written', 'complain',
    'complains', 'complained', 'print', 'prints', 'printed', 'emit',
    'emits', 'emitted'))
_LEVELS = {
    'warning': schema.WARNING, 'warnings': schema.WARNING,
    'warn': schema.WARNING, 'warned': schema.WARNING,
    'error': schema.ERROR, 'errors': schema.ERROR,
    'critical': schema.LEVELS['CRITICAL']}
#: A level behind one of these is the state of something.
_STATE = frozenset(('to', 'in', 'into'))
#: What stands before a name that is spoken of.
_OBJECT = frozenset((
    'about', 'mention', 'mentions', 'mentioning', 'mentioned', 'regarding',
    'concerning', 'against', 'to', 'reach', 'reached', 'toward', 'towards',
    'for', 'with', 'asked', 'call', 'called'))
#: And before one that something comes from.
_ORIGIN = frozenset(('of', 'in', 'on', 'by', 'from', 'at', 'inside'))
#: What may stand between these and the name.
_BETWEEN = frozenset((
    'the', 'host', 'hosts', 'node', 'nodes', 'service', 'services', 'agent',
    'program', 'and', 'or', 'both'))


@dataclasses.dataclass(frozen=True)
class Voices:
    """Whose events a question asks for; what is empty does not restrict.

    :param programs: binaries or services, as events name them
    :param hosts: as events name them
    :param level: least level
    :param others: hosts that it names beside
    :param question: the question without the names of whom it asks for
    :param rest: and without the words that ask for what somebody logged
    """

    programs: tuple[str, ...]
    hosts: tuple[str, ...]
    level: int | None
    others: tuple[str, ...]
    question: str
    rest: str

    def __bool__(self) -> bool:
        return bool(self.programs or self.hosts or self.level)

    def query(self, **conditions: Any) -> stores.Query:
        """Only their events.

        :param conditions: what else is wanted
        """
        return stores.Query(**{
            'services': self.programs, 'hosts': self.hosts,
            'level': self.level} | conditions)

    def allows(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is one of theirs."""
        return ((not self.programs or event['binary'] in self.programs
                 or event['service'] in self.programs)
                and (not self.hosts or event['host'] in self.hosts)
                and event['level'] >= (self.level or 0))

    def told(self) -> str:
        """Who that is, in words."""
        level = schema.LEVEL_NAMES.get(self.level or 0, '')
        return ' '.join(f'{how} {who}' for how, who in (
            ('by', ' or '.join(self.programs)),
            ('on', ' or '.join(self.hosts)),
            ('as', level and f'{level} or worse')) if who)


def find(question: str, store: stores.Store) -> Voices:
    """Whose events a question asks for.

    :param question: in words
    :param store: knows who logged at all; another name is only a word
    """
    found = list(_TOKEN.finditer(question))
    tokens = [match[0].lower() for match in found]
    known = store.scan().select('host', 'binary', 'service').unique(
        ).collect()
    programs = {name.lower(): name for column in ('service', 'binary')
                for name in known[column] if name}
    hosts: dict[str, list[str]] = {}
    for name in known['host'].drop_nulls().unique().sort():
        for said in {name.lower(), name.lower().partition('.')[0]} - {''}:
            hosts.setdefault(said, []).append(name)
    names = {at for at, token in enumerate(tokens)
             if token in programs or token in hosts}
    before = {at: _before(tokens, names, at) for at in names}
    spoken = {at for at in names if before[at] not in _OBJECT}
    levels = [at for at, token in enumerate(tokens) if token in _LEVELS
              and (not at or tokens[at - 1] not in _STATE)]
    telling = [at for at, token in enumerate(tokens) if token in _TELLING]
    if not telling and not (levels and any(
            before[at] in _ORIGIN or at + 1 in levels for at in spoken)):
        # "What happened on cmp1?"
        spoken = {at for at in spoken if tokens[at] in hosts
                  and before[at] in _ORIGIN}
        levels = []
    return Voices(
        _unique(programs[tokens[at]] for at in sorted(spoken)
                if tokens[at] in programs),
        _unique(name for at in sorted(spoken) if tokens[at] not in programs
                for name in hosts[tokens[at]]),
        min((_LEVELS[tokens[at]] for at in levels), default=None),
        _unique(tokens[at] for at in sorted(names - spoken)
                if tokens[at] in hosts),
        _without(question, found, spoken),
        _without(question, found, {*spoken, *levels, *telling}))


def _before(tokens: Sequence[str], names: set[int], at: int) -> str:
    """The word that tells what a name is there for."""
    at -= 1
    while at >= 0 and (tokens[at] in _BETWEEN or at in names):
        at -= 1
    return tokens[at] if at >= 0 else ''


def _unique(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _without(question: str, found: Sequence[re.Match[str]],
             left: set[int]) -> str:
    """A question without some of its words."""
    for at in sorted(left, reverse=True):
        begin, end = found[at].span()
        question = question[:begin] + ' ' + question[end:]
    return question
