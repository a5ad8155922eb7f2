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
"""Rows of incidents: troubles, from open to resolved.

Operators read and change them by the API. Engines open them, through a
:class:`Book`: one transaction at a time in all engines, so that two of them
that see the same trouble write it down once.

Each function raises :class:`exception.DatabaseUnavailable` when the database
cannot be used.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
import datetime
import json
from typing import Any
from typing import TypeVar

from oslo_utils import uuidutils
import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import knowledge
from openstack_rca.db import models
from openstack_rca.db import outbox
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.db import symptoms

OPEN = 'open'
ACKNOWLEDGED = 'acknowledged'
RESOLVED = 'resolved'
SUPPRESSED = 'suppressed'

#: Who an engine is where a user is asked for.
ENGINE = 'openstack-rca-engine'

#: Which states of an incident follow which.
STEPS = {
    OPEN: (ACKNOWLEDGED, RESOLVED, SUPPRESSED),
    ACKNOWLEDGED: (OPEN, RESOLVED, SUPPRESSED),
    RESOLVED: (OPEN, SUPPRESSED),
    SUPPRESSED: (OPEN, RESOLVED),
}

#: Key of the row that a transaction of an engine holds.
_LOCK = 'lock'
#: Keys of one incident that are asked for at once.
_AT_ONCE = 500
#: Keys that one incident is known by.
_MOST_KEYS = 2000

#: What one analysis looks at, before and after the symptoms.
_TOGETHER = datetime.timedelta(minutes=5)

#: As what a part that is gone is told, by it and by others.
GONE = ('process_down', 'hang', 'connectivity', 'network', 'messaging',
        'database', 'unknown')

_T = TypeVar('_T')


def alike(category: str) -> tuple[str, ...]:
    """The categories as which one fault of a part may be told.

    A part whose credentials are refused is not the one that is gone.
    """
    return GONE if category in GONE else (category, 'unknown')


class Book:
    """What an engine may do with incidents, in one transaction.

    :param connection: of the transaction
    :param project_id: whose incidents these are
    """

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._connection = connection
        self._project_id = project_id
        self.now = rows.utcnow()

    def see(self, host: str, symptom: dict[str, Any]) -> tuple[
            str, str | None, bool]:
        """Write a symptom down.

        :param host: name of the engine
        :param symptom: see :func:`symptoms.record`
        :returns: its id, the incident that it belongs to, and whether it
            says anything that was not known
        """
        return symptoms.see(self._connection, host, symptom)

    def assign(self, symptom_id: str, incident_id: str) -> None:
        """Say where a symptom belongs."""
        self._connection.execute(models.SYMPTOMS.update().where(
            models.SYMPTOMS.c.id == symptom_id).values(
                incident_id=incident_id))

    def active(self, since: datetime.datetime) -> dict[str, dict[str, Any]]:
        """Incidents of engines that may take symptoms.

        :param since: those that were resolved by an engine may have been so
            from then on
        :returns: by id: rows with ``state`` as a document
        """
        table = models.INCIDENTS
        found = self._connection.execute(sa.select(table).where(
            table.c.project_id == self._project_id,
            table.c.origin == 'engine', table.c.merged_into.is_(None),
            sa.or_(
                table.c.status.in_((OPEN, ACKNOWLEDGED)),
                sa.and_(table.c.status == SUPPRESSED, sa.or_(
                    table.c.suppressed_until.is_(None),
                    table.c.suppressed_until > self.now)),
                sa.and_(table.c.status == RESOLVED,
                        table.c.resolved_by == ENGINE,
                        table.c.resolved_at >= since))).order_by(
            table.c.created_at, table.c.id)).mappings().all()
        return {row['id']: {**row, 'state': json.loads(row['state'] or '{}')}
                for row in found}

    def past(self, since: datetime.datetime,
             until: datetime.datetime) -> list[dict[str, Any]]:
        """Incidents that had their last symptom in a time.

        :param since: its begin
        :param until: its end, which is no part of it
        :returns: ``confidence``, ``status`` and ``last_seen`` of each
        """
        table = models.INCIDENTS
        return [dict(row) for row in self._connection.execute(
            sa.select(table.c.confidence, table.c.status,
                      table.c.last_seen).where(
                table.c.project_id == self._project_id,
                table.c.merged_into.is_(None), table.c.last_seen >= since,
                table.c.last_seen < until)).mappings()]

    def heard(self, sign: str, since: datetime.datetime,
              until: datetime.datetime) -> bool:
        """Whether a symptom of no incident was seen in a time.

        :param sign: of the symptom
        :param since: its begin
        :param until: its end
        """
        table = models.SYMPTOMS
        return self._connection.execute(sa.select(table.c.id).where(
            table.c.sign == sign, table.c.incident_id.is_(None),
            table.c.since >= since, table.c.since <= until).limit(1)
            ).first() is not None

    def known(self, keys: Collection[str]) -> dict[str, set[str]]:
        """Incidents by the keys that they are known by."""
        table = models.INCIDENT_KEYS
        found: dict[str, set[str]] = {}
        wanted = sorted(keys)
        for start in range(0, len(wanted), _AT_ONCE):
            for key, name in self._connection.execute(sa.select(
                    table.c.key, table.c.incident_id).where(
                        table.c.key.in_(wanted[start:start + _AT_ONCE]))):
                found.setdefault(key, set()).add(name)
        return found

    def name(self, incident_id: str, keys: Iterable[str]) -> None:
        """Have an incident known by more keys."""
        table = models.INCIDENT_KEYS
        held = set(self._connection.execute(sa.select(table.c.key).where(
            table.c.incident_id == incident_id)).scalars())
        for key in sorted(set(keys) - held)[:_MOST_KEYS - len(held)]:
            self._connection.execute(table.insert().values(
                key=key, incident_id=incident_id, seen_at=self.now))

    def open(self, values: dict[str, Any]) -> dict[str, Any]:
        """Open an incident.

        :param values: of its columns
        :returns: its row
        """
        row = {
            'id': uuidutils.generate_uuid(), 'project_id': self._project_id,
            'status': OPEN, 'origin': 'engine', 'created_at': self.now,
            'updated_at': self.now, **self._packed(values)}
        self._connection.execute(models.INCIDENTS.insert().values(row))
        whole = self._whole(row['id'])
        outbox.add(self._connection, 'rca.incident.create', whole)
        return {**whole, 'state': values['state']}

    def change(self, incident_id: str, told: bool = True,
               **values: Any) -> None:
        """Change an incident.

        :param incident_id: which
        :param told: whether others are to hear of it
        :param values: of its columns
        """
        table = models.INCIDENTS
        self._connection.execute(table.update().where(
            table.c.id == incident_id).values(
                **self._packed(values),
                **({'updated_at': self.now} if told else {})))
        if told:
            ended = values.get('status') == RESOLVED
            outbox.add(self._connection, 'rca.incident.resolve' if ended
                       else 'rca.incident.update', self._whole(incident_id))

    def merge(self, gone: str, kept: str, values: dict[str, Any]) -> None:
        """End an incident as a part of another one.

        :param gone: the one that ends
        :param kept: the other one
        :param values: of the columns of the other one
        """
        table, keys = models.SYMPTOMS, models.INCIDENT_KEYS
        self._connection.execute(table.update().where(
            table.c.incident_id == gone).values(incident_id=kept))
        names = list(self._connection.execute(sa.select(keys.c.key).where(
            keys.c.incident_id == gone)).scalars())
        self._connection.execute(keys.delete().where(
            keys.c.incident_id == gone))
        self.name(kept, names)
        self.change(gone, status=RESOLVED, resolved_at=self.now,
                    resolved_by=ENGINE, merged_into=kept)
        self.change(kept, **values)

    def analyse(self, incident_id: str, request: dict[str, Any]) -> str:
        """Have an incident analysed.

        :param incident_id: which
        :param request: what is asked, in the shape of the API
        :returns: the id of the analysis
        """
        job = {
            'id': uuidutils.generate_uuid(), 'kind': rows.ANALYSIS,
            'state': rows.QUEUED, 'project_id': self._project_id,
            'user_id': ENGINE, 'request': rows.dump(
                {**request, 'incident_id': incident_id}),
            'attempts': 0, 'created_at': self.now}
        self._connection.execute(models.JOBS.insert().values(job))
        self._connection.execute(models.ANALYSES.insert().values(
            id=job['id'], project_id=self._project_id, user_id=ENGINE,
            status=rows.QUEUED, issue=request.get('issue') or '',
            mode=request.get('mode') or 'fast', incident_id=incident_id,
            created_at=self.now))
        return str(job['id'])

    def due(self, moment: datetime.datetime) -> list[dict[str, Any]]:
        """Open incidents of engines without a symptom since a moment."""
        table = models.INCIDENTS
        return [dict(row) for row in self._connection.execute(
            sa.select(table.c.id, table.c.analysis_id).where(
                table.c.project_id == self._project_id,
                table.c.origin == 'engine', table.c.status == OPEN,
                table.c.touched_at < moment)).mappings()]

    def expired(self) -> list[str]:
        """Suppressed incidents whose time is over."""
        table = models.INCIDENTS
        return list(self._connection.execute(sa.select(table.c.id).where(
            table.c.project_id == self._project_id,
            table.c.status == SUPPRESSED,
            table.c.suppressed_until <= self.now)).scalars())

    def _whole(self, incident_id: str) -> dict[str, Any]:
        table = models.INCIDENTS
        return dict(self._connection.execute(sa.select(table).where(
            table.c.id == incident_id)).mappings().one())

    @staticmethod
    def _packed(values: dict[str, Any]) -> dict[str, Any]:
        """Values as the table has them."""
        packed = dict(values)
        for name, most in (('title', models.TITLE),
                           ('summary', models.SUMMARY), ('host', 255)):
            if name in packed:
                packed[name] = rows.clip(packed[name], most)
        if 'state' in packed:
            packed['state'] = rows.dump(packed['state'])
        return packed


@session.guarded
def waiting(project_id: str, resolve_after: int) -> bool:
    """Whether there may be an incident with which something is to be done.

    :param project_id: whose incidents
    :param resolve_after: seconds of quiet after which one is resolved; 0:
        never
    """
    table = models.INCIDENTS
    now = rows.utcnow()
    due = [
        sa.and_(table.c.status == SUPPRESSED,
                table.c.suppressed_until <= now),
        # As rows.dump() writes what the correlator remembers.
        sa.and_(table.c.status.in_((OPEN, ACKNOWLEDGED)), sa.or_(
            table.c.state.contains('"due":"', autoescape=True),
            table.c.state.contains('"fresh":true', autoescape=True)))]
    if resolve_after:
        due.append(sa.and_(
            table.c.status == OPEN,
            table.c.touched_at < now - datetime.timedelta(
                seconds=resolve_after)))
    with session.reader() as connection:
        return connection.execute(sa.select(table.c.id).where(
            table.c.project_id == project_id, table.c.origin == 'engine',
            sa.or_(*due)).limit(1)).first() is not None


@session.guarded
def write(project_id: str, function: Callable[[Book], _T]) -> _T:
    """Do something with incidents that nobody else does at the same time.

    :param project_id: whose incidents
    :param function: called in a transaction; more than once where it has to
        be done again
    """
    with session.writer() as connection:
        _hold(connection)
        return function(Book(connection, project_id))


def _hold(connection: sa.Connection) -> None:
    """Wait until no other transaction changes incidents."""
    keys, now = models.INCIDENT_KEYS, rows.utcnow()
    held = connection.execute(keys.update().where(
        keys.c.key == _LOCK, keys.c.incident_id == '').values(seen_at=now))
    if not held.rowcount:
        connection.execute(keys.insert().values(
            key=_LOCK, incident_id='', seen_at=now))


def analysed(connection: sa.Connection, incident_id: str, analysis_id: str,
             report: dict[str, Any]) -> str | None:
    """Take over what an analysis found, in a transaction of somebody else.

    :param connection: of the transaction
    :param incident_id: which was analysed; it may be part of another one by
        now
    :param analysis_id: of the analysis
    :param report: of the analysis
    :returns: the incident that has it now; None where it was deleted
    """
    table = models.INCIDENTS
    _hold(connection)
    # As it is now, and not as it was when this transaction began to read.
    row = connection.execute(sa.select(table).where(
        table.c.id == incident_id).with_for_update()).mappings().first()
    if row is None:
        return None
    if row['merged_into']:
        # The other one is analysed by itself.
        return incident_id
    state = json.loads(row['state'] or '{}')
    values: dict[str, Any] = {'analysis_id': analysis_id}
    found = _found(connection, row, state.get('lead') or {}, report)
    if found is not None:
        state |= {'analysed': True, 'fresh': True, 'found': {
            'component': found['component'], 'category': found['category'],
            'host': found.get('host') or '', 'score': found['confidence'],
            'cause': found['cause'], 'weight': found['confidence'],
            'direct': True, 'named': True}}
        values |= {
            'component': found['component'], 'category': found['category'],
            'host': rows.clip(found.get('host'), 255),
            'confidence': found['confidence'],
            'title': rows.clip(' '.join(found['cause'].split()),
                               models.TITLE),
            'summary': rows.clip(report.get('summary'), models.SUMMARY),
            'severity': report.get('severity') or row['severity']}
    connection.execute(table.update().where(
        table.c.id == incident_id).values(
            updated_at=rows.utcnow(), state=rows.dump(state), **values))
    outbox.add(connection, 'rca.incident.update', dict(
        connection.execute(sa.select(table).where(
            table.c.id == incident_id)).mappings().one()))
    return incident_id


def _found(connection: sa.Connection, row: sa.RowMapping,
           lead: dict[str, Any],
           report: dict[str, Any]) -> dict[str, Any] | None:
    """The hypothesis that is the cause of an incident.

    Two faults at a time are in one time of the logs: what is the cause of
    another incident of that time is not this one's, where its own symptoms
    name another.
    """
    found: list[dict[str, Any]] = report.get('hypotheses') or []
    if report.get('verdict') != 'cause_found' or not found:
        return None
    first = found[0]
    if not lead.get('named') or lead['component'] == first['component']:
        return first
    table = models.INCIDENTS
    taken = connection.execute(sa.select(sa.func.count()).where(
        table.c.project_id == row['project_id'], table.c.id != row['id'],
        table.c.origin == 'engine', table.c.merged_into.is_(None),
        table.c.first_seen <= row['last_seen'] + _TOGETHER,
        table.c.last_seen >= row['first_seen'] - _TOGETHER,
        table.c.component == first['component'],
        table.c.category.in_(alike(first['category'])))).scalar_one()
    own = next((h for h in found if h['component'] == lead['component']),
               None)
    return own if taken and own else first


# For the API


@session.guarded
def incident_list(project_id: str, limit: int, marker: str | None = None,
                  status: str | None = None
                  ) -> tuple[list[dict[str, Any]], bool]:
    """A page of incidents, the newest first.

    Those that turned out to be a part of another one are left out, where
    nobody asks for a status.

    :raises MarkerNotFound: there is no such incident in the project
    """
    table = models.INCIDENTS
    conditions: list[sa.ColumnElement[bool]] = (
        [table.c.merged_into.is_(None)] if status is None
        else [table.c.status == status])
    with session.reader() as connection:
        found, more = rows.page(connection, sa.select(table), table,
                                conditions, 'incident', project_id, limit,
                                marker)
        return [rows.incident(row) for row in found], more


@session.guarded
def incident_get(project_id: str, incident_id: str) -> dict[str, Any]:
    """One incident.

    :raises NotFound: there is none in the project
    """
    with session.reader() as connection:
        return _incident(connection, project_id, incident_id)


def _incident(connection: sa.Connection, project_id: str,
              incident_id: str) -> dict[str, Any]:
    table = models.INCIDENTS
    row = connection.execute(sa.select(table).where(
        table.c.id == incident_id,
        table.c.project_id == project_id)).mappings().first()
    if row is None:
        raise exception.NotFound(what='incident', id=incident_id)
    return rows.incident(row)


@session.guarded
def incident_update(project_id: str, incident_id: str, user_id: str,
                    values: dict[str, Any]) -> dict[str, Any]:
    """Take an incident a step further, or write down how it was resolved.

    :param values: ``status``, ``resolution`` (why, for a suppressed one),
        ``suppressed_until`` or several of them
    :returns: the incident as it is now
    :raises NotFound: there is none in the project
    :raises Conflict: the step is none that an incident can take, or there
        is a resolution for what is neither resolved nor suppressed
    """
    table = models.INCIDENTS
    with session.writer() as connection:
        _hold(connection)
        before = _incident(connection, project_id, incident_id)
        was = before['status']
        status = values.get('status') or was
        if status != was and status not in STEPS[was]:
            raise exception.Conflict(
                reason=f'The incident {incident_id} is {was} and cannot '
                f'become {status}: only {" or ".join(STEPS[was])}.')
        if status == SUPPRESSED != was:
            _check_heard(before)
        if values.get('resolution') is not None and status not in (
                RESOLVED, SUPPRESSED):
            raise exception.Conflict(
                reason=f'The incident {incident_id} is {status}: only a '
                'resolved or suppressed one has a resolution.')
        if values.get('suppressed_until') and status != SUPPRESSED:
            raise exception.Conflict(
                reason=f'The incident {incident_id} is {status}: only a '
                'suppressed one is so until a time.')
        now = rows.utcnow()
        change = _step(before, status, user_id, values, now)
        if any(before[name] != rows.shown(value)
               for name, value in change.items()):
            done = connection.execute(table.update().where(
                table.c.id == incident_id, table.c.status == was).values(
                    updated_at=now, **change))
            if not done.rowcount:
                raise exception.Conflict(
                    reason=f'Somebody else changed the incident '
                    f'{incident_id} at the same time. Look at it again.')
            knowledge.learn_incident(connection, project_id, incident_id,
                                     user_id)
            outbox.add(
                connection, 'rca.incident.resolve' if status == RESOLVED
                and was != RESOLVED else 'rca.incident.update',
                dict(connection.execute(sa.select(table).where(
                    table.c.id == incident_id)).mappings().one()))
        return _incident(connection, project_id, incident_id)


def _check_heard(incident: dict[str, Any]) -> None:
    """Refuse to suppress what engines do not add symptoms to."""
    if incident['merged_into']:
        raise exception.Conflict(
            reason=f'The incident {incident["id"]} is a part of '
            f'{incident["merged_into"]}. Suppress that one.')
    if incident['origin'] != 'engine':
        raise exception.Conflict(
            reason=f'The incident {incident["id"]} was opened with an '
            'analysis, and no engine adds symptoms to it: there is nothing '
            'to suppress. Resolve it.')


def _step(before: dict[str, Any], status: str, user_id: str,
          values: dict[str, Any],
          now: datetime.datetime) -> dict[str, Any]:
    """The columns that change with a step."""
    change: dict[str, Any] = {}
    if status != before['status']:
        change['status'] = status
        if status == ACKNOWLEDGED:
            change |= {'acknowledged_at': now, 'acknowledged_by': user_id}
        elif status == RESOLVED:
            change |= {'resolved_at': now, 'resolved_by': user_id}
        elif status == SUPPRESSED:
            change |= {'suppressed_by': user_id, 'suppressed_until': None}
        else:
            change |= dict.fromkeys((
                'acknowledged_at', 'acknowledged_by', 'resolved_at',
                'resolved_by', 'resolution'))
            # It may be quiet for the whole time again.
            change['touched_at'] = now
            change['merged_into'] = None
        if before['status'] == SUPPRESSED:
            # Why it was suppressed is not how it was resolved.
            change |= dict.fromkeys((
                'suppressed_by', 'suppressed_until', 'resolution'))
    if 'resolution' in values and status in (RESOLVED, SUPPRESSED):
        change['resolution'] = values['resolution']
    if 'suppressed_until' in values and status == SUPPRESSED:
        change['suppressed_until'] = (
            symptoms.moment(values['suppressed_until'])
            if values['suppressed_until'] else None)
    return change
