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
"""Notifications of OpenStack's services, as lines of a log.

What comes over the message bus becomes one line of JSON each, as recorded
notifications have it: the parser reads both alike. Services differ in what
they send, and anybody on the bus can send anything: whatever it is becomes a
line of a bounded size, without secrets of the context it came in.
"""

from collections.abc import Mapping
import datetime
import functools
import hashlib
import json
import re
from typing import Any
from typing import NamedTuple

#: What begins a line: the ids of what is stored can be found again, even
#: where the line is cut.
ID = re.compile(r'^\{"message_id": "([^"]{1,128})"')

#: What of a context is kept. The rest is secrets (``auth_token``,
#: ``service_catalog``), or nothing that anybody asks for.
_CONTEXT = ('request_id', 'global_request_id', 'user_id', 'user',
            'user_name', 'project_id', 'project', 'project_name', 'tenant',
            'resource_uuid', 'is_admin')

#: Fields of a payload that nobody should have sent have one of these in
#: their names. Most lines have none, and that is to be seen soon.
_SECRETS = ('password', 'passwd', 'passphrase', 'adminpass', 'admin_pass',
            'secret', 'token', 'credential', 'private_key', 'privatekey',
            'encryption_key', 'user_data', 'userdata', 'api_key', 'apikey')
_HIDDEN = '***'

#: Characters of a line; the parser keeps 64 Ki of a record.
_LONGEST = 1 << 18
#: What is left of a longer one: characters of a text, items of a list or
#: an object, and depth. The last is that of a line that nobody can read.
_CUTS = ((4096, 256, 12), (1024, 64, 8), (256, 16, 4), (64, 4, 2))
#: Characters of a name, such as that of a publisher.
_NAME = 255
_DEEPEST = 32


class Message(NamedTuple):
    """A notification on its way into the store.

    :param id: by which it is known again
    :param line: as it is stored, without an end of line
    :param cut: whether something of it was left out
    """

    id: str
    line: bytes
    cut: bool


def message(context: Any, told: Any, received: datetime.datetime,
            number: str | None = None) -> Message:
    """Make a line of what came over the bus.

    :param context: of the request that it is about
    :param told: the notification, of whatever type
    :param received: when it came, UTC
    :param number: what the bus knows it by, where it has no id of its own
    """
    record = told if isinstance(told, Mapping) else {'payload': told}
    head = {
        'message_id': '', 'received_at': received.isoformat(),
        'priority': _name(record.get('priority')),
        'publisher_id': _name(record.get('publisher_id')),
        'event_type': _name(record.get('event_type')) or 'unknown',
        'timestamp': _name(record.get('timestamp'))}
    kept = {name: context[name] for name in _CONTEXT
            if context.get(name) is not None} if isinstance(
                context, Mapping) else {}
    payload = record.get('payload')
    if 'event_type' not in record and isinstance(told, Mapping):
        # No notification: all of it is what it says.
        payload = told
    line, cut = _written({**head, 'ctxt': kept, 'payload': payload})
    name = _name(record.get('message_id')) or number or ''
    if not name or len(name) > 128 or not name.isprintable() or '"' in name \
            or '\\' in name:
        # It comes again as it is now, but for the time.
        name = hashlib.blake2b(
            line.replace(head['received_at'], '', 1).encode(
                'utf-8', 'replace'), digest_size=16).hexdigest()
    line = line.replace('""', f'"{name}"', 1)
    return Message(name, line.encode('utf-8', 'replace'), cut)


def _name(value: Any) -> str:
    """A short text; empty where it is none."""
    return value[:_NAME] if isinstance(value, str) else ''


def _written(record: dict[str, Any]) -> tuple[str, bool]:
    """A line of a bounded size, and whether it had to be cut."""
    try:
        line = _dumps(record)
        if _named(line):
            line = _dumps({**record,
                           'payload': _without(record['payload'])})
        if len(line) <= _LONGEST:
            return line, False
    except (ValueError, TypeError, RecursionError):
        # Deeper than Python goes, or nothing that JSON has.
        line = ''
    for text, items, depth in _CUTS:
        cut = {name: _cut(value, text, items, depth)
               for name, value in record.items()}
        line = _dumps(cut)
        if len(line) <= _LONGEST:
            break
    return line, True


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _named(text: str) -> bool:
    """Whether the name of a secret stands in a text."""
    lower = text.lower()
    return any(word in lower for word in _SECRETS)


_secret = functools.lru_cache(4096)(_named)


def _without(value: Any, depth: int = 0) -> Any:
    """A payload with what its secrets say hidden.

    :raises RecursionError: it is too deep
    """
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, Mapping):
        return {name: _HIDDEN if held and _secret(str(name)[:_NAME])
                and isinstance(held, str | Mapping | list)
                else _without(held, depth + 1)
                for name, held in value.items()}
    if isinstance(value, list):
        return [_without(held, depth + 1) for held in value]
    return value


def _cut(value: Any, text: int, items: int, depth: int) -> Any:
    """What is left of a value that is too long or too deep."""
    if isinstance(value, str):
        return value if len(value) <= text else f'{value[:text]}...'
    if isinstance(value, Mapping):
        if depth <= 0:
            return {}
        # What is short says more than what comes first.
        names = sorted(value, key=lambda name: not isinstance(
            value[name], str | int | float | None))[:items]
        return {str(name)[:_NAME]: _HIDDEN if value[name]
                and _secret(str(name)[:_NAME])
                else _cut(value[name], text, items, depth - 1)
                for name in names}
    if isinstance(value, list | tuple):
        return [_cut(held, text, items, depth - 1)
                for held in value[:items]] if depth > 0 else []
    if isinstance(value, float | bool | None):
        return value
    if isinstance(value, int):
        # Python refuses to write a number of thousands of digits.
        return value if abs(value) < 1 << 64 else None
    return str(type(value).__name__)
