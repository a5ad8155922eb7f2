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
"""Which resource, filter, host, port or peer a message speaks of.

A clue says of what kind a fault is; what an operator needs beside that stands
in the same message. Nothing is told that the message does not hold: a report
cites it. All patterns are linear, and what they take is bounded.
"""

from collections.abc import Callable
from collections.abc import Iterable
import re
import urllib.parse

#: Details of one cause, and characters of one.
MOST = 3
_LENGTH = 160
#: Characters of a message that are looked through for a host.
_READ = 6000

#: Reads details out of the message that a clue matched.
Reader = Callable[['re.Match[str]'], list[str]]

_UUID = r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
_NAME = r'[\w.\-]{1,64}'


def nothing(match: 're.Match[str]') -> list[str]:
    """Of most kinds there is nothing more to tell."""
    return []


def bounded(found: Iterable[str]) -> tuple[str, ...]:
    """Details, none too long, and each thing once.

    :param found: in the order in which they are told; what stands before a
        colon is what a detail is about
    """
    kept: dict[str, str] = {}
    for text in found:
        text = ' '.join(text.split())[:_LENGTH]
        about = text.partition(': ')[0]
        # Of two that begin alike the longer one tells more.
        shorter = [k for k in kept if about.startswith(k)]
        if about in kept or any(k.startswith(about) for k in kept):
            continue
        for key in shorter:
            del kept[key]
        kept[about] = text
    return tuple(kept.values())[:MOST]


def _amounts(text: str) -> str:
    """``VCPU:64,DISK_GB:1`` in words."""
    return ', '.join(
        ' '.join(part.split(':', 1)) for part in text.split(',') if part)


_ASKED = re.compile(r'[?&]resources\w{0,16}=([^&\s"]{1,400})')


def asked(match: 're.Match[str]') -> list[str]:
    """The resources that Placement was asked for at once."""
    return [f'{_amounts(urllib.parse.unquote(found))} on one host'
            for found in _ASKED.findall(match[0])]


def providers(match: 're.Match[str]') -> list[str]:
    """The resource that no provider has."""
    return [f'no provider has {match["amount"]} {match["what"]}']


_STEP = re.compile(r'(\w{1,64}): \(start: (\d{1,9}), end: (\d{1,9})\)')


def filters(match: 're.Match[str]') -> list[str]:
    """The filter that took away the last hosts, and how many there were."""
    found = [f'{name} left no host of {start}' for name, start, end
             in _STEP.findall(match.string[match.start():][:2000])
             if int(start) and not int(end)]
    single = re.search(r'Filter (\w{1,64}) returned 0 hosts', match[0])
    return found or ([f'{single[1]} left no host'] if single else [])


_SILENT = re.compile(rf'\(({_NAME}), [^)\n]{{1,128}}\)')


def silent(match: 're.Match[str]') -> list[str]:
    """The host that was not heard from."""
    line = match.string[:match.end()].rpartition('\n')[2]
    found = _SILENT.search(line)
    return [f'{found[1]} has not been heard from'] if found else []


_REASON = re.compile(r'No valid host was found\. +([A-Z][^\n"\']{4,200})')


def reason(match: 're.Match[str]') -> list[str]:
    """What the scheduler says beside that there is no host."""
    found = _REASON.search(match.string, match.start())
    if not found or found[1].startswith('Traceback'):
        return []
    return [found[1].rstrip('. ')]


_CLAIM = (
    (re.compile(r'Over capacity for (\w{1,64}) on resource provider '
                rf'({_UUID})\. Needed: (\d+), Used: (\d+), '
                r'Capacity: ([\d.]+)'),
     '{0} on resource provider {1}: needed {2}, used {3} of {4}'),
    (re.compile(r"Unable to create allocation for '?(\w{1,64})'? on resource "
                rf"provider '?({_UUID})"), '{0} on resource provider {1}'),
    (re.compile(r'Allocation for (\w{1,64}) on resource provider '
                rf'({_UUID}) violates[^\n]{{1,60}}Requested: (\d+), '
                r'min_unit: (\d+), max_unit: (\d+)'),
     '{0} on resource provider {1}: requested {2}, allowed {3} to {4}'),
    (re.compile(r'Insufficient compute resources: ([^\n"]{1,150})'), '{0}'),
    (re.compile(r'(requested (?:memory|disk|vcpus?) [^\n]{1,80})', re.I),
     '{0}'))


def claim(match: 're.Match[str]') -> list[str]:
    """The resource that was claimed, and how much of it there is."""
    for pattern, words in _CLAIM:
        found = pattern.search(match.string)
        if found:
            return [words.format(*found.groups()).rstrip('. ')]
    return []


_QUOTA = re.compile(r'Quota exceeded for ([\w, ]{1,120}): Requested '
                    r'([\d, ]{1,80}), but already used ([\d, ]{1,80}) of '
                    r'([\d, ]{1,80})')
_QUOTAS = (
    # Cinder.
    (re.compile(r'exceeds allowed (\w{1,64}) quota\. Requested (\d+)G, quota '
                r'is (\d+)G and (\d+)G has been consumed'),
     '{0}: requested {1}, used {3} of {2}'),
    (re.compile(r'exceeds allowed Backup gigabytes quota\. Requested (\d+)G, '
                r'quota is (\d+)G and (\d+)G has been consumed'),
     'backup gigabytes: requested {0}, used {2} of {1}'),
    (re.compile(r'Maximum number of (\w{1,64}) allowed \((\d+)\) exceeded'),
     '{0}: all of {1} are used'),
    # Keystone's unified limits, by oslo.limit.
    (re.compile(r'Resource ([\w:]{1,64}) is over limit of (\d+) due to '
                r'current usage (\d+) and delta (\d+)'),
     '{0}: requested {3}, used {2} of {1}'),
    # Glance.
    (re.compile(r'The size of the data (\d+) will exceed the limit\. (\d+) '
                r'bytes remaining'), '{0} bytes, {1} are left'),
    # Neutron, and nova where it says no numbers.
    (re.compile(r"Quota exceeded for resources: \[?([\w', ]{1,120})\]?"),
     '{0}'))


def quota(match: 're.Match[str]') -> list[str]:
    """The resources at their quota, with the numbers where they are told."""
    text = match.string
    found = _QUOTA.search(text)
    if found:
        columns = [[cell.strip() for cell in group.split(',')]
                   for group in found.groups()]
        if len({len(c) for c in columns}) == 1:
            return [f'{name}: requested {wanted}, used {used} of {most}'
                    for name, wanted, used, most
                    in zip(*columns, strict=True)]
    for pattern, words in _QUOTAS:
        found = pattern.search(text)
        if found:
            return [words.format(*(
                g.replace("'", '') for g in found.groups()))]
    return []


_DATABASE = (
    (re.compile(r"Can't connect to (?:local )?(?:MySQL |MariaDB )?server "
                r"(?:on|through socket) '([^'\n]{1,100})'"
                r'(?: \(\[Errno \d+\] ([^)\n]{1,60})\))?'), '{0} ({1})'),
    (re.compile(r'(Lost connection to (?:MySQL|MariaDB)[^\'"\n]{0,40})'),
     '{0}'),
    (re.compile(r'QueuePool (limit of size \d+ overflow \d+ reached)'),
     'the pool of the service, {0}'),
    (re.compile(r"Access denied for user ('[^'\n]{1,64}'@'[^'\n]{1,64}')"),
     'user {0}'),
    (re.compile(r'\[SQL: (UPDATE|DELETE FROM|INSERT INTO)\s`?(\w{1,64})'),
     'at {0} {1}'),
    (re.compile(r'\[SQL: SELECT [^\[\]]{0,3000}?\sFROM\s`?(\w{1,64})'),
     'at SELECT FROM {0}'))


def database(match: 're.Match[str]') -> list[str]:
    """Where the database is, what it says, and at which statement."""
    for pattern, words in _DATABASE:
        found = pattern.search(match.string)
        if found:
            told = words.format(*(g or '' for g in found.groups()))
            return [told.removesuffix(' ()')]
    return []


def user(match: 're.Match[str]') -> list[str]:
    """Who is refused."""
    return [f'user {match["user"]}']


_FOLDER = re.compile(r'access it: (/\S{1,120})')


def keys(match: 're.Match[str]') -> list[str]:
    """The folder of the keys."""
    found = _FOLDER.search(match.string[match.end():][:400])
    return [found[1]] if found else []


_BUS = re.compile(rf'AMQP server on ({_NAME}:\d{{1,5}})')
_ERRNO = re.compile(r'\[Errno \d+\] ([A-Za-z][\w ]{1,40})')
_URL = re.compile(rf'https?://(\[[0-9a-f:]{{2,45}}\]|{_NAME})(:\d{{1,5}})?')
_POOL = re.compile(rf"host='?({_NAME})'?, port=(\d{{1,5}})")


def _failed(text: str) -> str:
    found = _ERRNO.search(text)
    return f' ({found[1].strip()})' if found else ''


def bus(match: 're.Match[str]') -> list[str]:
    """Where the message bus is, and what is wrong with the connection."""
    found = _BUS.search(match.string)
    if not found:
        return []
    return [found[1] + _failed(match.string[found.end():][:200])]


def peer(match: 're.Match[str]') -> list[str]:
    """The address that does not answer."""
    near = match.string[max(0, match.start() - 300):match.end() + 300]
    url = _URL.search(near)
    if url:
        return [url[0] + _failed(near)]
    pool = _POOL.search(near)
    return [f'{pool[1]}:{pool[2]}{_failed(near)}'] if pool else []


def exchange(match: 're.Match[str]') -> list[str]:
    """The exchange or queue that is missing."""
    return [f'there is {match[0]}']


_BIND = re.compile(
    rf'Failed to bind port ({_UUID}) on host ({_NAME})')
_SEGMENT = re.compile(r"'network_type': '(\w{1,32})', 'physical_network': "
                      rf"(?:None|'({_NAME})')")
_REFUSED = re.compile(rf'Refusing to bind port ({_UUID})')
_UNBOUND = re.compile(rf'[Bb]inding failed for port ({_UUID})')
_TYPE = re.compile(r"'agent_type': '([\w ]{1,40})'")
_HOST = re.compile(rf"'host': '({_NAME})'")
_BEAT = re.compile(r"'heartbeat_timestamp': datetime\.datetime\((\d{4}), "
                   r'(\d{1,2}), (\d{1,2}), (\d{1,2}), (\d{1,2})'
                   r'(?:, (\d{1,2}))?')


def binding(match: 're.Match[str]') -> list[str]:
    """The port that is not bound, its host and network, and its agent."""
    text = match.string
    refused, agent = _REFUSED.search(text), _TYPE.search(text)
    host, beat = _HOST.search(text), _BEAT.search(text)
    if refused and agent and host:
        last = ''
        if beat:
            year, *rest = (int(n or 0) for n in beat.groups())
            last = (', last heartbeat {}-{:02}-{:02} {:02}:{:02}:{:02}'
                    .format(year, *rest))
        return [f'the {agent[1]} on {host[1]} is dead{last}']
    failed = _BIND.search(text)
    if failed:
        segment = _SEGMENT.search(text)
        network = ''
        if segment:
            network = f', {segment[1]} network' + (
                f' on {segment[2]}' if segment[2] else '')
        return [f'port {failed[1]} on host {failed[2]}{network}']
    unbound = _UNBOUND.search(text)
    return [f'port {unbound[1]}'] if unbound else []


_PLUGGED = re.compile(rf'network-vif-plugged-({_UUID})')
_AFTER = re.compile(r'timed out after (\d{1,9}(?:\.\d{1,9})?) seconds')


def plugging(match: 're.Match[str]') -> list[str]:
    """The port that was never plugged, and how long was waited for it."""
    found = _PLUGGED.search(match.string)
    if not found:
        return []
    after = _AFTER.search(match.string)
    return [f'port {found[1]}' + (
        f' was not plugged within {float(after[1]):g} seconds'
        if after else ' was not plugged')]


#: A line of the table of Neutron's health check.
_AGENT = re.compile(
    r'^[ \t]{0,40}(\w[\w \-]{1,40}?) {2,60}'
    rf'(\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d) ({_NAME})[ \t]{{0,40}}$', re.M)


def agents(match: 're.Match[str]') -> list[str]:
    """The agents that are dead, and since when."""
    return [f'{kind} on {host}, last heartbeat {beat}' for kind, beat, host
            in _AGENT.findall(match.string[match.start():][:3000])]


_NAMED = re.compile(
    rf"(?:on host ({_NAME}) for vnic_type|'host': '({_NAME})'|"
    rf'\(host: ({_NAME})(?:@[\w.\-#]{{1,80}})?\)|'
    rf"Compute service of ({_NAME}) is unavailable|"
    rf"instance's host ({_NAME}) is down)")


def host(text: str) -> str:
    """The one host that a message is about, or an empty string.

    :param text: of the message
    """
    found = {next(filter(None, groups))
             for groups in _NAMED.findall(text[:_READ])}
    # Nova says so of a server that no host has yet.
    found.discard('None')
    return found.pop() if len(found) == 1 else ''


_BACKEND = re.compile(r'\(host: ([\w.\-@#]{1,120})\)')


def backend(match: 're.Match[str]') -> list[str]:
    """The volume backend that is down."""
    found = _BACKEND.search(match.string)
    return [found[1]] if found else []
