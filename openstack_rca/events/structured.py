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
"""Records that are JSON: oslo.log's formatter, the journal, notifications.

These are the only formats that a Python loop reads: their fields nest and
differ from record to record. Formats: oslo.log ``formatters.JSONFormatter``;
``journalctl -o json`` (systemd, Journal Export Formats); oslo.messaging's
notification envelope, Nova's legacy and versioned payloads.
"""

from collections.abc import Iterator
import datetime
import functools
import json
import re
from typing import Any
import zoneinfo

import polars as pl

from openstack_rca.events import schema

#: Severity of a priority of syslog, emergency first.
PRIORITIES = (50, 50, 50, 40, 30, 20, 20, 10)

#: No log is older or newer; what the zones of local times move stays within
#: what Python knows.
TIMES = (datetime.datetime(1970, 1, 1), datetime.datetime(9998, 12, 31))

#: Fields of a notification's payload that say how it went, in the order in
#: which they are told.
_TOLD = ('state', 'old_state', 'state_description', 'task_state',
         'old_task_state', 'new_task_state', 'status', 'host', 'node',
         'display_name', 'name', 'binding:vif_type', 'instance_type',
         'availability_zone', 'message', 'reason', 'code', 'outcome')
_FAULTS = ('fault', 'exception', 'exception_message', 'error', 'reason')

#: The programs behind the publishers of notifications.
_PUBLISHERS = {
    'aggregate': 'nova-api', 'api': 'nova-api', 'backup': 'cinder-backup',
    'central': 'designate-central', 'compute': 'nova-compute',
    'compute_task': 'nova-conductor', 'conductor': 'nova-conductor',
    'group': 'cinder-volume', 'identity': 'keystone', 'image': 'glance-api',
    'keypair': 'nova-api', 'metering': 'neutron-metering-agent',
    'network': 'neutron-server', 'orchestration': 'heat-engine',
    'scheduler': 'nova-scheduler', 'servergroup': 'nova-api',
    'share': 'manila-share', 'snapshot': 'cinder-volume',
    'taskmanager': 'trove-taskmanager', 'volume': 'cinder-volume'}

#: What oslo.messaging's and oslo.log's handlers publish: a record of a log.
_LOGGED = 'logrecord'
_ERROR = 'error_notification'
_HANDLER = 'error.publisher'

#: Whose identifiers are those of the thing that a notification is about.
#: Flavors are everybody's; users and projects have columns of their own.
_OWN = re.compile(r'(?:^|_)(?:u?u?id|ids|ref|resource_info|base_image_ref)$'
                  r'|^volume$|^port$')
_OTHERS = re.compile(r'user|project|tenant|flavor|domain|owner|request|'
                     r'reservation|message|context|instance_type|initiator|'
                     r'observer|volume_type|keypair|cell|agent|_obj')
_UUID = re.compile(r'[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}')
_MOST_NAMED = 64
_DEEPEST = 12

#: Colours that DevStack's services write into the journal.
_COLOUR = re.compile(r'\x1b\[[\d;]*m')


def _moment(value: Any, timezone: str = 'UTC') -> datetime.datetime | None:
    """A time stamp in UTC, without a zone.

    :param timezone: of stamps that have no offset
    """
    try:
        moment = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.tzinfo is None:
        if timezone == 'UTC':
            return moment
        moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _since_epoch(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(
        seconds, datetime.UTC).replace(tzinfo=None)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _oslo(record: dict[str, Any], timezone: str) -> dict[str, Any] | None:
    """A record of oslo.log's JSON formatter."""
    if 'levelname' not in record or 'message' not in record:
        return None
    created = record.get('created')
    if isinstance(created, int | float) and not isinstance(created, bool):
        moment: datetime.datetime | None = _since_epoch(created)
    else:
        moment = _moment(str(record.get('asctime', '')).replace(',', '.'),
                         timezone)
        if moment is not None and moment.microsecond == 0:
            moment += datetime.timedelta(
                milliseconds=float(record.get('msecs') or 0))
    if moment is None:
        return None
    trace = record.get('traceback') or []
    if not isinstance(trace, list):
        trace = str(trace).split('\n')
    extra = _dict(record.get('extra'))
    instance = (extra.get('instance') or extra.get('instance_uuid')
                or record.get('instance'))
    return {
        'timestamp': moment, 'kind': 'log', 'format': 'oslo-json',
        'pid': record.get('process'),
        'level': schema.LEVELS.get(str(record['levelname']).upper(), 0),
        'logger': record.get('name'),
        'message': '\n'.join([str(record['message']),
                              *(str(t).rstrip('\n') for t in trace)]),
        'host': record.get('hostname'),
        'instance': _uuid(instance), 'named': extra.get('resource'),
        'ctx': _context(_dict(record.get('context'))) or '-'}


def _uuid(value: Any) -> str | None:
    """The UUID of an instance field, which may be a whole object."""
    if isinstance(value, dict):
        value = value.get('uuid')
    return str(value) if value else None


def _context(context: dict[str, Any]) -> str | None:
    """A request context in oslo.log's own order of fields."""
    def field(*names: str) -> str:
        found = next((context[n] for n in names if context.get(n)), '-')
        # A blank would shift the fields behind it.
        return '_'.join(str(found).split()) or '-'

    request = field('request_id')
    who = (field('user_id', 'user'),
           field('project_id', 'project', 'tenant'))
    if request == who[0] == who[1] == '-':
        return None
    origin = field('global_request_id')
    front = () if origin == '-' else (origin,)
    return ' '.join((*front, request, *who, '-'))


def _message(value: Any) -> str:
    """The message of an entry, as ``journalctl`` writes it.

    What is no UTF-8 or cannot be shown is an array of bytes; a field that
    stands there more than once is an array of texts.
    """
    if isinstance(value, list):
        if all(isinstance(v, str) for v in value):
            value = '\n'.join(value)
        else:
            value = bytes(value).decode('utf-8', 'replace')
    return _COLOUR.sub('', str(value or ''))


def _journal(record: dict[str, Any],
             timezone: str) -> dict[str, Any] | None:
    """An entry of ``journalctl -o json``."""
    del timezone
    if '__REALTIME_TIMESTAMP' not in record:
        return None
    stamp = record.get('_SOURCE_REALTIME_TIMESTAMP',
                       record['__REALTIME_TIMESTAMP'])
    message = _message(record.get('MESSAGE'))
    trace = _message(record.get('EXCEPTION_TEXT'))
    if trace and trace not in message:
        message = f'{message}\n{trace}'
    unit = str(record.get('_SYSTEMD_UNIT') or '').removesuffix('.service')
    tag = record.get('SYSLOG_IDENTIFIER') or unit
    if unit.startswith('devstack@') and tag != 'systemd':
        tag = unit.removeprefix('devstack@')
    priority = str(record.get('PRIORITY'))
    logger = record.get('LOGGER_NAME')
    context = {k.lower(): v for k, v in record.items()
               if k in ('REQUEST_ID', 'GLOBAL_REQUEST_ID', 'USER_ID',
                        'PROJECT_ID', 'USER', 'PROJECT')}
    return {
        'timestamp': _since_epoch(int(stamp) / 1e6), 'kind': 'log',
        'format': 'journal',
        'pid': record.get('_PID') or record.get('SYSLOG_PID'),
        'level': (PRIORITIES[int(priority)]
                  if len(priority) == 1 and priority in '01234567' else 0),
        'logger': logger, 'message': message,
        'host': record.get('_HOSTNAME'), 'tag': tag or None,
        'ctx': _context(context) or ('-' if logger else None)}


def data_of(value: Any, depth: int = 0) -> Any:
    """A payload without the wrapping of versioned objects.

    :param value: what the payload holds
    :param depth: how deep it stands; what is too deep is left out
    """
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        if 'nova_object.data' in value:
            value = value['nova_object.data']
            return data_of(value, depth + 1)
        return {k: data_of(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [data_of(v, depth + 1) for v in value]
    return value


def _facts(payload: dict[str, Any]) -> Iterator[str]:
    """What a payload says of how it went, as ``key=value``."""
    for inner in (payload, *[v for v in payload.values()
                             if isinstance(v, dict)]):
        for key in _TOLD:
            value = inner.get(key)
            if isinstance(value, str | int) and value != '':
                yield f'{key}={_line(value)}'
    for key in _FAULTS:
        value = payload.get(key)
        if isinstance(value, dict):
            value = ' '.join(_line(value[k]) for k in (
                'class', 'exception', 'exception_message', 'message',
                'module_name', 'function_name') if value.get(k))
        if value:
            yield f'{key}={_line(value)}'


def _line(value: Any) -> str:
    """The first line of a text: a remote error brings its traceback."""
    return str(value).strip().partition('\n')[0].rstrip()


@functools.lru_cache(4096)
def _is_own(key: str) -> bool | None:
    """Whether a field names the thing itself; None for that of others."""
    key = key[:256]
    if _OTHERS.search(key):
        return None
    return bool(_OWN.search(key))


def _identifiers(payload: dict[str, Any]) -> str:
    """UUIDs of what a payload is about, those nearest to its top first."""
    if str(payload.get('typeURI', '')).endswith('cloud/audit/1.0/event'):
        # CADF: the record, its initiator and its observer have ids as well.
        payload = {k: v for k, v in payload.items()
                   if k not in ('id', 'initiator', 'observer')}
        payload |= {f'{k}_id': payload.get(k) for k in (
            'project', 'user', 'role') if k in payload}
    found: dict[str, None] = {}
    level: list[tuple[str, Any]] = list(payload.items())
    while level and len(found) < _MOST_NAMED:
        below: list[tuple[str, Any]] = []
        for key, value in level:
            own = _is_own(key)
            if own is None:
                continue
            if isinstance(value, str):
                if own and len(value) in (32, 36) and _UUID.fullmatch(value):
                    found.setdefault(value)
            elif isinstance(value, dict):
                below.extend((str(k), v) for k, v in value.items())
            elif isinstance(value, list):
                below.extend((key, v) for v in value[:_MOST_NAMED])
        level = below
    return ' '.join(found)


def _notification(record: dict[str, Any],
                  timezone: str) -> dict[str, Any] | None:
    """One oslo.messaging notification.

    What a listener wrote down has the time at which it came: whatever it
    is, it is an event.
    """
    del timezone
    if isinstance(record.get('oslo.message'), str):
        record = _dict(json.loads(record['oslo.message']))
    came = _known(record.get('received_at'))
    moment = _known(record.get('timestamp')) or came
    event_type = str(record.get('event_type') or '') or (
        'unknown' if came else '')
    if not event_type or moment is None:
        return None
    publisher = str(record.get('publisher_id') or '')
    payload = data_of(record.get('payload'))
    context = {**_dict(record.get('_context')), **_dict(record.get('ctxt'))}
    found = {
        'timestamp': moment, 'kind': 'notification',
        'format': 'notification', 'logger': event_type,
        'level': schema.LEVELS.get(str(record.get('priority')).upper(), 20),
        **_publisher(publisher)}
    if event_type == _LOGGED and isinstance(payload, dict):
        return {**found, **_logged(payload, context)}
    if event_type.endswith('.error') or event_type == _ERROR:
        found['level'] = max(found['level'], schema.ERROR)
    if not isinstance(payload, dict):
        payload = {'message': payload if isinstance(payload, str) else None}
    initiator = _dict(payload.get('initiator'))
    for name in ('request_id', 'user_id', 'project_id',
                 'global_request_id'):
        context[name] = (context.get(name) or initiator.get(name)
                         or payload.get(name))
    facts = ' '.join(dict.fromkeys(_facts(payload)))
    return {**found, 'message': f'{event_type} {facts}'.strip(),
            'instance': _server(payload), 'named': _identifiers(payload),
            'ctx': _context(context)}


def _known(value: Any) -> datetime.datetime | None:
    """A time stamp that can be one of a log."""
    try:
        moment = _moment(value) if value else None
    except OverflowError:
        return None
    return moment if moment and TIMES[0] <= moment <= TIMES[1] else None


def _publisher(publisher: str) -> dict[str, Any]:
    """Host and program that published a notification."""
    if publisher == _HANDLER:
        # It tells neither.
        return {'host': None, 'tag': None}
    binary, _, host = publisher.replace(':', '.', 1).partition('.')
    # Cinder's hosts name a back end and a pool.
    return {'host': host.partition('@')[0] or None,
            'tag': _PUBLISHERS.get(binary, binary) or None}


def _logged(payload: dict[str, Any],
            context: dict[str, Any]) -> dict[str, Any]:
    """A record of a log that came as a notification: it is one of a log."""
    logger = str(payload.get('name') or '')
    extra = _dict(payload.get('extra'))
    message = str(payload.get('msg') or '')
    trace = payload.get('exc_info')
    if isinstance(trace, list) and len(trace) > 1 and trace[1]:
        # The frames are lost on the way.
        message = f'{message}\n{trace[1]}'
    found = {
        'kind': 'log', 'logger': logger or None, 'message': message,
        'level': schema.LEVELS.get(
            str(payload.get('levelname')).upper(), schema.ERROR),
        'pid': payload.get('process'),
        'instance': _uuid(extra.get('instance')
                          or extra.get('instance_uuid')),
        'named': _identifiers(extra),
        'ctx': _context({**context, **_dict(extra.get('context')),
                         **{k: v for k, v in extra.items() if v}}) or '-'}
    if logger:
        found['tag'] = logger.partition('.')[0]
    return found


def _server(payload: dict[str, Any]) -> str | None:
    """The UUID of the server that a payload is about."""
    for key in ('instance_id', 'instance_uuid'):
        if payload.get(key):
            return str(payload[key])
    if 'flavor' in payload and payload.get('uuid'):
        return str(payload['uuid'])
    properties = _dict(_dict(payload.get('request_spec')).get(
        'instance_properties'))
    return str(properties['uuid']) if properties.get('uuid') else None


_READERS = {'log': _oslo, 'journal': _journal,
            'notifications': _notification}


def headers(lines: pl.DataFrame, kind: str,
            canonical: dict[str, pl.DataType],
            timezone: str = 'UTC') -> pl.DataFrame:
    """The fields of every line that is a record of the kind.

    :param lines: ``index`` and ``raw``
    :param kind: ``log``, ``journal`` or ``notifications``
    :param canonical: columns of the result
    :param timezone: IANA name of the zone of time stamps without an offset
    :returns: one row a record; lines that are none are left out
    """
    read = _READERS[kind]
    rows = []
    for index, raw in lines.select('index', 'raw').filter(
            pl.col('raw').str.starts_with('{')).iter_rows():
        try:
            record = json.loads(raw)
            found = read(record, timezone)
        except (ValueError, TypeError, AttributeError, LookupError, OSError,
                ArithmeticError, RecursionError):
            # Whatever else the line is, it is kept as it stands.
            continue
        if found is not None and TIMES[0] <= found['timestamp'] <= TIMES[1]:
            found['index'] = index
            rows.append(found)
    return _frame(rows, canonical)


def _whole(value: Any) -> int | None:
    """A process number, if it is one."""
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if int(text) < 1 << 32 else None


def _frame(rows: list[dict[str, Any]],
           canonical: dict[str, pl.DataType]) -> pl.DataFrame:
    """Rows as a typed frame; a value of a wrong type becomes null."""
    strings = {n for n, t in canonical.items() if t == pl.String()}
    columns: dict[str, list[Any]] = {n: [] for n in canonical}
    for row in rows:
        for name in canonical:
            value = row.get(name)
            if name in strings and value is not None:
                value = str(value)
                if not value.isascii():
                    # A lone surrogate is no text that could be stored.
                    value = value.encode('utf-8', 'replace').decode()
            elif name == 'pid':
                value = _whole(value)
            columns[name].append(value)
    columns['body'] = [0] * len(rows)
    columns['folds'] = [False] * len(rows)
    return pl.DataFrame(columns, schema=canonical, strict=False)
