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
"""What was done to a server, and how each operation ended.

Nova tells the life of a server in three ways: notifications of each phase
with the state that the server has by then, access lines of its API, and
messages of its processes. Each row of the server is read as a *mark* (this
operation begins, ends, fails, takes a step) and marks become operations: by
the request id, or, where a process logs under the id of another request (an
external event overtakes the request that it waited for), by the operation of
that kind that is under way.

An end is not believed by itself: the server has to be in the state, and a
resize to have changed what it should have changed.
"""

from collections.abc import Iterable
import dataclasses
import datetime
import json
import re
from typing import Any

from openstack_rca.events import schema
from openstack_rca.events import structured

FINISHED = 'finished'
FAILED = 'failed'
REFUSED = 'refused'
UNFINISHED = 'never finished'
SILENT = 'said to be finished, but is not'
RUNNING = 'not finished when the logs end'
UNKNOWN = 'no record of its end'

#: Silence after which an operation counts as given up, in seconds.
PATIENCE = 60.0

#: Seconds without a record that a finished operation is asked about.
_SLOW = 20.0

#: Phases of notifications to the operation that they belong to.
_PHASES = {
    'create': 'create', 'resize_prep': 'resize', 'resize': 'resize',
    'resize_finish': 'resize', 'rebuild_scheduled': 'rebuild',
    'live_migration_pre': 'live migrate', 'live_migration': 'live migrate',
    'live_migration_post': 'live migrate',
    'live_migration_post_dest': 'live migrate',
    'live_migration_rollback': 'live migrate',
    'live_migration_rollback_dest': 'live migrate',
    'resize_confirm': 'confirm resize', 'resize_revert': 'revert resize',
    'delete': 'delete', 'soft_delete': 'delete', 'force_delete': 'delete',
    'restore': 'restore', 'reboot': 'reboot', 'rebuild': 'rebuild',
    'evacuate': 'evacuate', 'pause': 'pause', 'unpause': 'unpause',
    'suspend': 'suspend', 'resume': 'resume', 'power_off': 'stop',
    'power_on': 'start', 'shelve': 'shelve', 'shelve_offload': 'shelve',
    'unshelve': 'unshelve', 'rescue': 'rescue', 'unrescue': 'unrescue',
    'snapshot': 'snapshot', 'backup': 'snapshot',
    'volume_attach': 'attach volume', 'volume_detach': 'detach volume',
    'volume_swap': 'swap volume', 'interface_attach': 'attach interface',
    'interface_detach': 'detach interface', 'lock': 'lock',
    'unlock': 'unlock',
}
#: Names of Nova's older notifications for the same phases.
_OLDER = {'finish_resize': 'resize_finish', 'live_migration_pre':
          'live_migration_pre', 'volume_attach': 'volume_attach'}
#: The last phase of operations with several.
_LAST = {'resize': 'resize_finish', 'live migrate': 'live_migration_post'}
#: What a conductor tells when a task fails, in its notifications.
_TASKS = {'compute_task.build_instances': 'create',
          'compute_task.migrate_server': 'resize',
          'compute_task.rebuild_server': 'rebuild'}
_REASON = re.compile(r'^.*? reason=')
_MESSAGE = re.compile(r"""'message': ['"](.*?)['"](?:, '|\}|$)""")
#: What is told once, when it is done.
_AT_ONCE = frozenset(('lock', 'unlock'))
#: In which state an operation leaves the server.
_LEAVES = {
    'create': ('active',), 'resize': ('resized', 'active', 'stopped'),
    'confirm resize': ('active', 'stopped'),
    'revert resize': ('active', 'stopped'), 'pause': ('paused',),
    'unpause': ('active',), 'suspend': ('suspended',),
    'resume': ('active',), 'stop': ('stopped',), 'start': ('active',),
    'reboot': ('active',), 'rebuild': ('active', 'stopped'),
    'unshelve': ('active',), 'rescue': ('rescued',),
    'unrescue': ('active',), 'delete': ('deleted', 'soft-delete'),
    'shelve': ('shelved', 'shelved_offloaded'),
}

#: Keys of the body of an action to operations.
_ACTIONS = {
    'resize': 'resize', 'migrate': 'resize', 'confirmResize':
    'confirm resize', 'revertResize': 'revert resize', 'reboot': 'reboot',
    'rebuild': 'rebuild', 'evacuate': 'evacuate', 'pause': 'pause',
    'unpause': 'unpause', 'suspend': 'suspend', 'resume': 'resume',
    'os-stop': 'stop', 'os-start': 'start', 'shelve': 'shelve',
    'shelveOffload': 'shelve', 'unshelve': 'unshelve', 'rescue': 'rescue',
    'unrescue': 'unrescue', 'createImage': 'snapshot', 'createBackup':
    'snapshot', 'os-migrateLive': 'live migrate', 'lock': 'lock',
    'unlock': 'unlock', 'forceDelete': 'delete', 'restore': 'restore',
    'addFloatingIp': 'add floating IP', 'removeFloatingIp':
    'remove floating IP', 'addSecurityGroup': 'add security group',
    'removeSecurityGroup': 'remove security group', 'os-resetState':
    'reset state', 'changePassword': 'change password',
}
_ACTION = re.compile(
    r"Action: '\w+', calling method: .*?body: \{\"?'?([\w\-]+)")
_PATHS = (
    (re.compile(r'/servers/?$'), 'POST', 'create'),
    (re.compile(r'/servers/[0-9a-f-]{36}/?$'), 'DELETE', 'delete'),
    (re.compile(r'/os-volume_attachments/?$'), 'POST', 'attach volume'),
    (re.compile(r'/os-volume_attachments/[^/?]+/?$'), 'DELETE',
     'detach volume'),
    (re.compile(r'/os-volume_attachments/[^/?]+/?$'), 'PUT', 'swap volume'),
    (re.compile(r'/os-interface/?$'), 'POST', 'attach interface'),
    (re.compile(r'/os-interface/[^/?]+/?$'), 'DELETE', 'detach interface'),
    (re.compile(r'/servers/[0-9a-f-]{36}/action/?$'), 'POST', 'action'),
)
#: Messages of Nova's processes, with what they mean: an operation and
#: ``start``, ``step``, ``end`` or ``error``.
_MESSAGES = tuple((re.compile(pattern), name, stage) for pattern, name, stage
                  in (
    (r'^(?:Attempting claim|Claim successful)', 'create', 'step'),
    (r'^Creating image', 'create', 'step'),
    (r'^Instance spawned successfully', 'create', 'step'),
    (r'^Took [\d.]+ seconds to spawn', 'create', 'step'),
    (r'^Took [\d.]+ seconds to build instance', 'create', 'end'),
    (r'^Terminating instance', 'delete', 'start'),
    (r'^Took [\d.]+ seconds to destroy', 'delete', 'step'),
    (r'^Took [\d.]+ seconds to deallocate', 'delete', 'step'),
    (r'^Deletion of \S+ complete', 'delete', 'end'),
    (r'^Deleted allocations? for instance', 'delete', 'step'),
    (r'deleting from database', 'delete', 'step'),
    (r'^Rebooting instance', 'reboot', 'start'),
    (r'^Instance rebooted successfully', 'reboot', 'end'),
    (r'^Rebuilding instance', 'rebuild', 'start'),
    (r'^Migrating$', 'resize', 'start'),
    (r'^Updating resource usage from migration', 'resize', 'step'),
    (r'^Pausing', 'pause', 'start'), (r'^Unpausing', 'unpause', 'start'),
    (r'^Suspending', 'suspend', 'start'), (r'^Resuming', 'resume', 'start'),
    (r'^Shelving', 'shelve', 'start'), (r'^Unshelving', 'unshelve', 'start'),
    (r'^Rescuing', 'rescue', 'start'), (r'^Unrescuing', 'unrescue', 'start'),
    (r'^[Ii]nstance snapshotting', 'snapshot', 'start'),
    (r'^Snapshot image upload complete', 'snapshot', 'end'),
    (r'^Attaching volume', 'attach volume', 'start'),
    (r'^Detaching volume', 'detach volume', 'start'),
    (r'^Attempting to driver detach volume', 'detach volume', 'step'),
    (r'^Migration operation has completed', 'live migrate', 'end'),
    (r'^Evacuating|^Evacuation', 'evacuate', 'start'),
))
#: What a compute process logs of an operation when it does anything for it.
_HAS_TO_LOG = {'create': 'Claim successful',
               'attach volume': 'Attaching volume',
               'detach volume': 'Detaching volume',
               'reboot': 'Rebooting instance',
               'rebuild': 'Rebuilding instance', 'pause': 'Pausing',
               'unpause': 'Unpausing'}
#: Operations whose end is logged at INFO.
_TELLS_END = frozenset(('create',))
#: What an API tells of a request that it refuses.
_THROWN = re.compile(r'^HTTP exception thrown: (.*)')
_MOST_STEPS = 12
_LONGEST = 400


@dataclasses.dataclass
class Facts:
    """What a record says of the server at its moment; None where nothing."""

    state: str | None = None
    task: str | None = None
    old_task: str | None = None
    host: str | None = None
    flavor: str | None = None
    image: str | None = None
    name: str | None = None
    fault: str | None = None


@dataclasses.dataclass
class Mark:
    """What one row says of an operation.

    :param name: the operation
    :param stage: ``start``, ``step``, ``end``, ``error``, ``call`` (of the
        API), ``named`` and ``thrown`` (by it) or ``state``
    :param phase: the phase of the operation
    :param row: the event
    :param facts: what it says of the server
    :param text: in words
    """

    name: str
    stage: str
    phase: str
    row: dict[str, Any]
    facts: Facts
    text: str


@dataclasses.dataclass
class Operation:
    """One thing that was done to the server.

    :param name: what
    :param marks: the rows that show it, oldest first
    :param outcome: one of the constants of this module
    :param reason: why that is said, or an empty string
    :param before: flavor, host and state in front of it
    """

    name: str
    marks: list[Mark]
    outcome: str = UNKNOWN
    reason: str = ''
    before: Facts = dataclasses.field(default_factory=Facts)
    proof: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def requests(self) -> list[str]:
        """Request ids, that of the API first."""
        ordered = sorted(self.marks, key=lambda m: m.stage != 'call')
        return list(dict.fromkeys(m.row['request_id'] for m in ordered
                                  if m.row['request_id']))

    @property
    def begin(self) -> datetime.datetime | None:
        """When it began: an access line is written when the call ends."""
        times = []
        for mark in self.marks:
            moment = mark.row['timestamp']
            if moment is None:
                continue
            if mark.stage == 'call' and mark.row['latency']:
                moment -= datetime.timedelta(
                    seconds=min(float(mark.row['latency']), 3600.0))
            times.append(moment)
        return min(times, default=None)

    @property
    def last(self) -> datetime.datetime | None:
        """The last record of it."""
        return max((m.row['timestamp'] for m in self.marks
                    if m.row['timestamp']), default=None)

    @property
    def hosts(self) -> list[str]:
        """Where it was at work, in order."""
        found = []
        for mark in self.marks:
            if mark.facts.host:
                found.append(mark.facts.host)
            elif mark.row['binary'] == 'nova-compute' \
                    and mark.row['kind'] == 'log':
                found.append(str(mark.row['host'] or ''))
        return [h for h in dict.fromkeys(found) if h]

    def has(self, stage: str, phase: str = '') -> bool:
        """Whether a mark of a stage is there."""
        return any(m.stage == stage and phase in ('', m.phase)
                   for m in self.marks)


def message(row: dict[str, Any]) -> str:
    """The message of an event row, its first line."""
    text = str(row['message'] if row['message'] is not None
               else row['text'][row['body']:])
    return text.strip().partition('\n')[0][:_LONGEST]


def _payload(row: dict[str, Any]) -> dict[str, Any]:
    """The payload of a notification; empty where it cannot be read."""
    try:
        record = json.loads(row['text'])
        if isinstance(record.get('oslo.message'), str):
            record = json.loads(record['oslo.message'])
        payload = structured.data_of(record.get('payload'))
    except (ValueError, TypeError, AttributeError, RecursionError):
        # A very long one was cut.
        return {}
    return payload if isinstance(payload, dict) else {}


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != '' \
        else None


def _quoted(text: str) -> str:
    """The message in an exception that was printed as a dictionary."""
    found = _MESSAGE.search(text)
    return found[1] if found else text


def facts_of(row: dict[str, Any]) -> Facts:
    """What a notification says of the server.

    :param row: an event
    """
    if row['kind'] != 'notification':
        return Facts()
    payload = _payload(row)
    update = payload.get('state_update')
    update = update if isinstance(update, dict) else payload
    flavor = payload.get('flavor')
    fault = payload.get('fault') or payload.get('exception')
    if isinstance(fault, dict):
        fault = ': '.join(str(fault[k]) for k in (
            'exception', 'class', 'exception_message', 'message')
            if fault.get(k))
    elif fault:
        fault = payload.get('message') or _quoted(str(fault))
    image = _text(payload.get('image_uuid')
                  or payload.get('image_ref_url'))
    task = payload.get('task_state', payload.get('state_description'))
    return Facts(
        state=_text(payload.get('state')), task=_text(task),
        old_task=_text(update.get('old_task_state')),
        host=_text(payload.get('host')),
        flavor=_text(flavor.get('name') if isinstance(flavor, dict)
                     else payload.get('instance_type')),
        image=image.rpartition('/')[2] if image else None,
        name=_text(payload.get('display_name')),
        fault=str(fault).strip().partition('\n')[0][:_LONGEST]
        if fault else None)


def phase_of(event_type: str) -> tuple[str, str]:
    """Phase and stage of a notification about a server.

    :param event_type: such as ``compute.instance.finish_resize.start``
    :returns: such as ``resize_finish`` and ``start``; empty where it is
        about something else
    """
    parts = event_type.removeprefix('compute.').split('.')
    if parts[0] != 'instance' or len(parts) < 2:
        return '', ''
    stage = parts[-1] if parts[-1] in ('start', 'end', 'error') else ''
    phase = '_'.join(parts[1:-1] if stage else parts[1:]).replace('__', '_')
    return _OLDER.get(phase, phase), stage


def mark(row: dict[str, Any]) -> Mark | None:
    """What a row says of an operation, or None.

    :param row: an event that names the server, or is of a request that does
    """
    if row['kind'] == 'notification':
        return _told(row)
    if row['service'] != 'nova':
        return None
    if row['method'] and row['status'] is not None:
        return _called(row)
    text = message(row)
    action = _ACTION.search(text)
    if action and action[1] in _ACTIONS:
        return Mark(_ACTIONS[action[1]], 'named', '', row, Facts(),
                    f'asked for: {action[1]}')
    for pattern, name, stage in _MESSAGES:
        if pattern.search(text):
            return Mark(name, stage, '', row, Facts(), text)
    if row['level'] >= schema.ERROR:
        return Mark('', 'error', '', row, Facts(), text)
    thrown = _THROWN.match(text)
    if thrown:
        return Mark('', 'thrown', '', row, Facts(), thrown[1])
    return None


def _told(row: dict[str, Any]) -> Mark | None:
    kind = str(row['logger'] or '')
    task = _TASKS.get(kind.removesuffix('.error'))
    if task:
        text = message(row)
        return Mark(task, 'error', '', row, Facts(),
                    _quoted(_REASON.sub('', text)))
    phase, stage = phase_of(kind)
    facts = facts_of(row)
    if phase == 'update':
        return Mark('', 'state', '', row, facts, _state(facts))
    name = _PHASES.get(phase, '')
    if not name:
        return None
    if not stage:
        # Nova's older notification of attaching is sent when it is done.
        stage = 'end' if name in _AT_ONCE or phase.startswith('volume_') \
            else 'step'
    words = f'{phase} {stage}'
    if facts.fault:
        words += f': {facts.fault}'
        stage = 'error' if stage != 'end' else stage
    return Mark(name, stage, phase, row, facts, words)


def _state(facts: Facts) -> str:
    text = f'state {facts.state}'
    if facts.task:
        text += f', task {facts.task}'
    return text + (f' on {facts.host}' if facts.host else '')


def _called(row: dict[str, Any]) -> Mark | None:
    path = str(row['path'] or '').partition('?')[0]
    for pattern, method, name in _PATHS:
        if row['method'] == method and pattern.search(path):
            return Mark(name, 'call', '', row, Facts(),
                        f'{method} {path} answered {row["status"]}')
    return None


def read(rows: Iterable[dict[str, Any]], until: datetime.datetime | None,
         computes: bool) -> tuple[list[Operation], list[Mark]]:
    """The operations that rows show.

    :param rows: events of one server and of the requests that concern it,
        in order of time; the first reads of each request id decide
    :param until: where the logs end
    :param computes: whether there are logs of compute processes
    :returns: operations in order of their begin, and the changes of state
        that belong to none
    """
    marks = [m for m in map(mark, rows) if m is not None]
    operations, loose = _grouped(marks)
    states = [m for m in marks if m.facts.state]
    for operation in operations:
        operation.before = _before(states, operation)
    told = any(m.row['kind'] == 'notification' for m in marks)
    for index, operation in enumerate(operations):
        later = operations[index + 1:]
        _judge(operation, later, states, until, told, computes)
    return operations, loose


def _grouped(marks: list[Mark]) -> tuple[list[Operation], list[Mark]]:
    """Marks by operation."""
    names = {m.row['request_id']: m.name for m in marks
             if m.stage == 'named'}
    asked: dict[str, Operation] = {}
    operations: list[Operation] = []
    loose: list[Mark] = []

    def open_as(item: Mark, name: str) -> None:
        operation = Operation(name, [item])
        operations.append(operation)
        if item.row['request_id']:
            asked[item.row['request_id']] = operation

    # What begins an operation first, whoever logged it first.
    firm = {'start', 'call', 'named', 'end', 'error', 'step'}
    for item in marks:
        request = item.row['request_id']
        name = item.name
        if name == 'action':
            name = names.get(request, name)
        known = asked.get(request) if request else None
        if item.stage == 'state' or not name:
            if known is not None:
                known.marks.append(item)
            else:
                loose.append(item)
        elif known is not None:
            if known.name == 'action' or (
                    known.name == 'rebuild' and name == 'evacuate'):
                known.name = name
            known.marks.append(item)
        elif item.stage in ('step', 'end') and (
                running := _under_way(operations, name)):
            # Logged under the id of another request.
            running.marks.append(item)
        elif item.stage in firm and not (
                item.stage == 'call' and request is None):
            if item.stage == 'step' and item.row['kind'] != 'notification':
                loose.append(item)
            else:
                open_as(item, name)
    # A request may change the state before its first record of a name.
    rest = []
    for item in loose:
        known = asked.get(item.row['request_id']) \
            if item.row['request_id'] else None
        if known is not None:
            known.marks.append(item)
        else:
            rest.append(item)
    _christen(operations)
    for operation in operations:
        operation.marks.sort(key=_moment)
    operations.sort(key=lambda o: o.begin or datetime.datetime.max)
    return operations, rest


def _christen(operations: list[Operation]) -> None:
    """Unite a call with the line that names its action.

    Both are of one request, but may be logged under two ids.
    """
    for told in [o for o in operations if len(o.marks) == 1
                 and o.marks[0].stage == 'named']:
        moment = _moment(told.marks[0])
        call = next((o for o in operations if o.name == 'action' and o.begin
                     and o.last and o.begin <= moment <= o.last), None)
        if call is not None:
            call.name = told.name
            call.marks += told.marks
            operations.remove(told)


def _moment(item: Mark) -> datetime.datetime:
    moment = item.row['timestamp']
    return moment if moment is not None else datetime.datetime.max


def _under_way(operations: list[Operation], name: str) -> Operation | None:
    for operation in reversed(operations):
        if operation.name == name:
            return None if operation.has('end') else operation
    return None


def _before(states: list[Mark], operation: Operation) -> Facts:
    """What the server was before an operation, as far as it is told."""
    begin = operation.begin
    found = Facts()
    for item in states:
        if begin is not None and _moment(item) >= begin \
                and item not in operation.marks[:1]:
            break
        for name in ('state', 'host', 'flavor', 'image'):
            value = getattr(item.facts, name)
            if value is not None:
                setattr(found, name, value)
    first = next((m.facts for m in operation.marks if m.facts.state), None)
    if first is not None:
        found.flavor = found.flavor or first.flavor
        found.host = found.host or first.host
    return found


def _judge(operation: Operation, later: list[Operation], states: list[Mark],
           until: datetime.datetime | None, told: bool,
           computes: bool) -> None:
    """How an operation ended."""
    name = operation.name
    calls = [m for m in operation.marks if m.stage == 'call']
    status = max((int(m.row['status']) for m in calls), default=0)
    end = [m for m in operation.marks if m.stage == 'end'
           and m.phase in ('', _LAST.get(name, m.phase))]
    errors = [m for m in operation.marks if m.stage == 'error']
    broken = [m for m in operation.marks if m.stage == 'state'
              and m.facts.state == 'error' and operation.before.state
              != 'error' and name != 'delete']
    if status >= 400 and not end:
        operation.outcome = FAILED if status >= 500 else REFUSED
        why = next((m for m in operation.marks
                    if m.stage in ('error', 'thrown')), calls[0])
        operation.reason = f'HTTP {status}: {_reason(why)}'
        operation.proof = [why.row]
        return
    if broken or (errors and not end):
        # Of Nova's two formats one may tell the class alone.
        first = max((m for m in errors if m.facts.fault), default=None,
                    key=lambda m: len(m.facts.fault or '')) or next(
                        iter(errors), None)
        operation.outcome = FAILED
        if first is None:
            operation.reason = ('the server went to ERROR, and no record '
                                'says why')
            operation.proof = [broken[0].row]
        else:
            operation.reason = _reason(first)
            operation.proof = [m.row for m in (first, *broken[:1])]
        return
    if end:
        operation.outcome = FINISHED
        operation.proof = [end[-1].row]
        _doubt(operation, end[-1], states)
        if operation.outcome == FINISHED and errors:
            operation.reason = f'after a failure: {_reason(errors[0])}'
            operation.proof.insert(0, errors[0].row)
        elif operation.outcome == FINISHED:
            operation.reason = _waited(operation)
        return
    _left(operation, later, until, told, computes, status)


def _reason(item: Mark) -> str:
    if item.facts.fault:
        return item.facts.fault
    return item.text


def _left(operation: Operation, later: list[Operation],
          until: datetime.datetime | None, told: bool, computes: bool,
          status: int) -> None:
    """What is said of an operation without an end."""
    name = operation.name
    last = operation.last
    final = max((m for m in operation.marks if m.row['timestamp']),
                key=_moment, default=None)
    operation.proof = [final.row] if final else []
    quiet = (until - last).total_seconds() if until and last else 0.0
    begun = [m for m in operation.marks if m.row['kind'] == 'notification']
    words = final.text if final else ''
    if begun or (told and name in _PHASES.values()) or (
            name in _TELLS_END and computes):
        # Somebody would have told its end.
        if quiet >= PATIENCE or any(
                o.name not in ('attach interface', 'detach interface')
                for o in later if last and o.begin and o.begin > last):
            operation.outcome = UNFINISHED
            operation.reason = (
                f'its last record is "{words}"; nothing in the '
                f'{_span(quiet)} of logs after it ends it')
            if status and len(operation.marks) == 1:
                operation.reason = (f'{words}, and nothing followed in '
                                    f'{_span(quiet)} of logs')
        else:
            operation.outcome = RUNNING
            operation.reason = (f'its last record is "{words}", '
                                f'{_span(quiet)} before the logs end')
        return
    needed = _HAS_TO_LOG.get(name)
    if status and computes and needed and quiet >= PATIENCE and not any(
            needed in m.text for m in operation.marks):
        operation.outcome = SILENT
        operation.reason = (f'{words}, and no compute process logged '
                            f'"{needed}" in {_span(quiet)} of logs after it')
        return
    operation.reason = f'its last record is "{words}"' if words else ''


def _waited(operation: Operation) -> str:
    """Where a slow operation stood still, in words."""
    marks = [m for m in sorted(operation.marks, key=_moment)
             if m.row['timestamp']]
    begin = operation.begin
    if begin is None or len(marks) < 2:
        return ''
    whole = (_moment(marks[-1]) - begin).total_seconds()
    gap, before, after = max(
        (((_moment(b) - _moment(a)).total_seconds(), a, b)
         for a, b in zip(marks, marks[1:], strict=False)),
        key=lambda g: g[0])
    if gap < _SLOW or gap < whole / 2:
        return ''
    return (f'it stood still for {_span(gap)} between "{before.text}" and '
            f'"{after.text}"')


def _span(seconds: float) -> str:
    if seconds < 120:
        return f'{seconds:.0f} seconds'
    if seconds < 7200:
        return f'{seconds / 60:.0f} minutes'
    return f'{seconds / 3600:.0f} hours'


def _doubt(operation: Operation, end: Mark, states: list[Mark]) -> None:
    """Whether the server is what the operation says to have made of it."""
    leaves = _LEAVES.get(operation.name)
    after = _after(states, end)
    state = after.state or end.facts.state
    if leaves and state and state not in leaves:
        # A server that was stopped may stay so.
        if state == operation.before.state and state in (
                'stopped', 'paused', 'suspended', 'rescued') \
                and operation.name in ('reboot', 'rebuild'):
            return
        operation.outcome = SILENT
        operation.reason = (f'"{end.text}" was told, but the server is in '
                            f'state {state} and not {leaves[0]}')
        operation.proof.append(after_row(states, end))
        return
    if operation.name == 'resize' and end.facts.flavor:
        before = operation.before
        hosts = {m.facts.host for m in operation.marks if m.facts.host}
        if before.flavor and before.host \
                and before.flavor == end.facts.flavor \
                and hosts <= {before.host}:
            operation.outcome = SILENT
            operation.reason = (
                f'"{end.text}" was told, but the server still has the '
                f'flavor {before.flavor} and runs on {before.host}')


def _after(states: list[Mark], end: Mark) -> Facts:
    """The server right after an operation: in records of its request."""
    return next((m.facts for m in reversed(states)
                 if m.row['request_id'] == end.row['request_id']
                 and _moment(m) >= _moment(end)), end.facts)


def after_row(states: list[Mark], end: Mark) -> dict[str, Any]:
    """The last record of a state in the request that an end is of."""
    return next((m.row for m in reversed(states)
                 if m.row['request_id'] == end.row['request_id']), end.row)


def steps(operation: Operation) -> list[Mark]:
    """The marks of an operation that are worth a line each.

    Both of Nova's formats tell the same phases, and states repeat.
    """
    found: list[Mark] = []
    said = ''
    seen: set[str] = set()
    for item in operation.marks:
        text = item.text
        if item.stage == 'state':
            if text == said:
                continue
            said = text
        elif text in seen:
            continue
        seen.add(text)
        found.append(item)
    if len(found) > _MOST_STEPS:
        # The begin and, above all, the end.
        found = [*found[:4], *found[4 - _MOST_STEPS:]]
    return found
