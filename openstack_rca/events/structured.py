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
import json
from typing import Any

import polars as pl

from openstack_rca.events import schema

_PRIORITIES = (50, 50, 50, 40, 30, 20, 20, 10)

#: Fields of a notification's payload that say how it went, in the order in
#: which they are told.
_TOLD = ('state', 'old_state', 'state_description', 'task_state',
         'old_task_state', 'new_task_state', 'status', 'host', 'node',
         'display_name', 'name', 'binding:vif_type', 'instance_type',
         'availability_zone', 'message', 'reason', 'code', 'outcome')


def _moment(value: Any) -> datetime.datetime | None:
    """A time stamp of a notification, UTC without a zone."""
    try:
        moment = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return moment


def _oslo(record: dict[str, Any]) -> dict[str, Any] | None:
    """A record of oslo.log's JSON formatter."""
    if 'levelname' not in record or 'message' not in record:
        return None
    moment = _moment(str(record.get('asctime', '')).replace(',', '.'))
    if moment is None:
        return None
    if moment.microsecond == 0:
        moment += datetime.timedelta(
            milliseconds=float(record.get('msecs') or 0))
    context = record.get('context')
    context = context if isinstance(context, dict) else {}
    trace = record.get('traceback') or []
    message = str(record['message'])
    if isinstance(trace, list) and trace:
        message += '\n' + '\n'.join(str(t).rstrip('\n') for t in trace)
    extra = record.get('extra')
    extra = extra if isinstance(extra, dict) else {}
    instance = extra.get('instance') or record.get('instance')
    return {
        'timestamp': moment, 'kind': 'log', 'format': 'oslo-json',
        'pid': record.get('process'),
        'level': schema.LEVELS.get(str(record['levelname']).upper(), 0),
        'logger': record.get('name'), 'message': message,
        'host': record.get('hostname'),
        'instance': _uuid(instance),
        'ctx': _context(context)}


def _uuid(value: Any) -> str | None:
    """The UUID of an instance field, which may be a whole object."""
    if isinstance(value, dict):
        value = value.get('uuid')
    return str(value) if value else None


def _context(context: dict[str, Any]) -> str | None:
    """A request context in oslo.log's own order of fields."""
    request = context.get('request_id')
    if not request:
        return None
    return ' '.join(str(v or '-') for v in (
        context.get('global_request_id'), request,
        context.get('user_id') or context.get('user'),
        context.get('project_id') or context.get('project')
        or context.get('tenant')))


def _journal(record: dict[str, Any]) -> dict[str, Any] | None:
    """An entry of ``journalctl -o json``."""
    if '__REALTIME_TIMESTAMP' not in record:
        return None
    stamp = record.get('_SOURCE_REALTIME_TIMESTAMP',
                       record['__REALTIME_TIMESTAMP'])
    moment = datetime.datetime.fromtimestamp(
        int(stamp) / 1e6, datetime.UTC).replace(tzinfo=None)
    message = record.get('MESSAGE') or ''
    if isinstance(message, list):
        # journalctl writes what is no UTF-8 as an array of bytes.
        message = bytes(message).decode('utf-8', 'replace')
    priority = record.get('PRIORITY')
    unit = str(record.get('_SYSTEMD_UNIT', '')).removesuffix('.service')
    tag = record.get('SYSLOG_IDENTIFIER') or unit
    trace = record.get('EXCEPTION_TEXT')
    if trace:
        message = f'{message}\n{trace}'
    context = {k.lower(): v for k, v in record.items()
               if k in ('REQUEST_ID', 'GLOBAL_REQUEST_ID', 'USER_ID',
                        'PROJECT_ID', 'USER', 'PROJECT')}
    return {
        'timestamp': moment, 'kind': 'log', 'format': 'journal',
        'pid': record.get('_PID') or record.get('SYSLOG_PID'),
        'level': (_PRIORITIES[int(priority)]
                  if str(priority) in '01234567' and priority else 0),
        'logger': record.get('LOGGER_NAME'), 'message': str(message),
        'host': record.get('_HOSTNAME'),
        'tag': unit.removeprefix('devstack@') if 'devstack@' in unit
        else tag, 'ctx': _context(context)}


def data_of(value: Any) -> Any:
    """A payload without the wrapping of versioned objects."""
    if isinstance(value, dict):
        if 'nova_object.data' in value:
            value = value['nova_object.data']
        return {k: data_of(v) for k, v in value.items()}
    if isinstance(value, list):
        return [data_of(v) for v in value]
    return value


def _facts(payload: Any) -> Iterator[str]:
    """What a payload says of how it went, as ``key=value``."""
    if not isinstance(payload, dict):
        return
    for inner in (payload, *[v for v in payload.values()
                             if isinstance(v, dict)]):
        for key in _TOLD:
            value = inner.get(key)
            if isinstance(value, str | int) and value not in ('', None):
                yield f'{key}={value}'
    for key in ('fault', 'exception', 'exception_message', 'error'):
        value = payload.get(key)
        if isinstance(value, dict):
            value = ' '.join(str(value[k]) for k in (
                'exception', 'exception_message', 'message',
                'module_name', 'function_name') if value.get(k))
        if value:
            yield f'{key}={value}'


def _notification(record: dict[str, Any]) -> dict[str, Any] | None:
    """One oslo.messaging notification."""
    if isinstance(record.get('oslo.message'), str):
        record = json.loads(record['oslo.message'])
    event_type = record.get('event_type')
    if not event_type:
        return None
    moment = (_moment(record.get('timestamp'))
              or _moment(record.get('received_at')))
    if moment is None:
        return None
    publisher = str(record.get('publisher_id', ''))
    binary, _, host = publisher.replace(':', '.').partition('.')
    payload = data_of(record.get('payload'))
    priority = str(record.get('priority', 'info')).upper()
    context = record.get('ctxt') or record.get('_context') or {}
    facts = ' '.join(dict.fromkeys(_facts(payload)))
    level = schema.LEVELS.get(priority, 20)
    if str(event_type).endswith('.error'):
        level = max(level, schema.ERROR)
    request = context.get('request_id') or (
        payload.get('request_id') if isinstance(payload, dict) else None)
    return {
        'timestamp': moment, 'kind': 'notification',
        'format': 'notification', 'level': level, 'logger': event_type,
        'message': f'{event_type} {facts}'.strip(),
        'host': host or None,
        'tag': _publisher(binary, str(event_type)),
        'instance': _server(payload),
        'ctx': _context({**context, 'request_id': request})}


def _publisher(name: str, event_type: str) -> str:
    """The binary behind a publisher id such as ``compute.cmp1``."""
    if '-' in name:
        return name
    project = {'compute': 'nova', 'conductor': 'nova', 'scheduler': 'nova',
               'api': 'nova', 'network': 'neutron', 'volume': 'cinder',
               'snapshot': 'cinder', 'image': 'glance'}.get(name)
    if name in ('identity', 'keystone'):
        return 'keystone'
    if name == 'network':
        return 'neutron-server'
    return f'{project}-{name}' if project else name


def _server(payload: Any) -> str | None:
    """The UUID of the server that a payload is about."""
    if not isinstance(payload, dict):
        return None
    for key in ('instance_id', 'instance_uuid'):
        if payload.get(key):
            return str(payload[key])
    if 'flavor' in payload and payload.get('uuid'):
        return str(payload['uuid'])
    return None


_READERS = {'log': _oslo, 'journal': _journal,
            'notifications': _notification}


def headers(lines: pl.DataFrame, kind: str,
            canonical: dict[str, pl.DataType]) -> pl.DataFrame:
    """The fields of every line that is a record of the kind.

    :param lines: ``index`` and ``raw``
    :param kind: ``log``, ``journal`` or ``notifications``
    :param canonical: columns of the result
    :returns: one row a record; lines that are none are left out
    """
    read = _READERS[kind]
    rows = []
    for index, raw in lines.select('index', 'raw').iter_rows():
        if not raw.startswith('{'):
            continue
        try:
            record = json.loads(raw)
            found = read(record) if isinstance(record, dict) else None
        except (ValueError, TypeError, AttributeError, OverflowError,
                RecursionError):
            continue
        if found is not None:
            found['index'] = index
            rows.append(found)
    return _frame(rows, canonical)


def _frame(rows: list[dict[str, Any]],
           canonical: dict[str, pl.DataType]) -> pl.DataFrame:
    """Rows as a typed frame; a value of a wrong type becomes null."""
    strings = {n for n, t in canonical.items() if t == pl.String()}
    columns: dict[str, list[Any]] = {n: [] for n in canonical}
    for row in rows:
        for name in canonical:
            value = row.get(name)
            if name in strings and value is not None:
                value = str(value).encode('utf-8', 'replace').decode()
            elif name in ('pid', 'level') and value is not None:
                value = int(value) if str(value).isdigit() else None
                value = value if value is None or value < 1 << 32 else None
            columns[name].append(value)
    columns['body'] = [0] * len(rows)
    columns['folds'] = [False] * len(rows)
    return pl.DataFrame(columns, schema=canonical, strict=False)
