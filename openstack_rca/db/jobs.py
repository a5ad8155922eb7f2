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
"""What engines do with jobs: claim, renew, finish, give back.

A job is claimed by compare-and-swap on its number of attempts, for a while
by the clock of the database. Who holds it is fenced by (holder, attempts):
what an engine finishes after another one took the job over changes nothing.

Each function raises :class:`exception.DatabaseUnavailable` when the database
cannot be used.
"""

from collections.abc import Collection
import dataclasses
import json
from typing import Any

from oslo_utils import uuidutils
import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import clock
from openstack_rca.db import incidents
from openstack_rca.db import models
from openstack_rca.db import outbox
from openstack_rca.db import rows
from openstack_rca.db import session


@dataclasses.dataclass(frozen=True)
class Claim:
    """A job that this engine holds.

    :param id: of the job
    :param kind: ``analysis``, ``events``, ``trace``, ``search``,
        ``question``, ``index`` or ``train``
    :param project_id: whose job it is
    :param request: what was asked
    :param holder: name of the holder
    :param attempt: which attempt this is, from 1
    """

    id: str
    kind: str
    project_id: str
    request: dict[str, Any]
    holder: str
    attempt: int


#: Where the row is that a job works on, by its kind.
_ROWS = {rows.ANALYSIS: models.ANALYSES, rows.TRAIN: models.MODELS,
         rows.QUESTION: models.MESSAGES}


def _held(claim: Claim) -> sa.ColumnElement[bool]:
    table = models.JOBS
    return sa.and_(table.c.id == claim.id, table.c.state == rows.RUNNING,
                   table.c.lease_holder == claim.holder,
                   table.c.attempts == claim.attempt)


@session.guarded
def claim(holder: str, lease: int, most: int, max_attempts: int,
          held: Collection[str] = ()) -> list[Claim]:
    """Take jobs that wait, or whose holder went away, the oldest first.

    Jobs whose holders went away too often fail here.

    :param holder: name of this engine's process, unique among all
    :param lease: seconds until others may take them
    :param most: how many to take
    :param max_attempts: how often a job is tried
    :param held: ids of jobs that this engine has not let go of yet, though
        their leases may have run out while the database was away
    """
    table = models.JOBS
    free = table.c.id.not_in(held)
    lost = sa.and_(table.c.state == rows.RUNNING,
                   table.c.lease_until < clock.now(), free)
    queued = sa.and_(table.c.state == rows.QUEUED, free)
    wanted = (table.c.id, table.c.kind, table.c.project_id, table.c.request,
              table.c.attempts, table.c.error)
    with session.reader() as connection:
        # Mostly there is nothing, and every engine asks each second.
        if connection.execute(sa.select(table.c.id).where(
                sa.or_(lost, queued)).limit(1)).first() is None:
            return []
        found = list(connection.execute(sa.select(*wanted).where(lost)
                                        .limit(most + 8)).mappings())
        found += connection.execute(
            sa.select(*wanted).where(queued)
            # Some more, for those that another engine takes first.
            .order_by(table.c.created_at, table.c.id).limit(most + 8)
        ).mappings()
    claims: list[Claim] = []
    for row in found:
        if len(claims) == most:
            break
        mine = sa.and_(table.c.id == row['id'],
                       table.c.attempts == row['attempts'],
                       sa.or_(table.c.state == rows.QUEUED, lost))
        try:
            if row['attempts'] >= max_attempts:
                _give_up(row, mine)
                continue
            taken = _take(row, mine, holder, lease)
        except exception.DatabaseUnavailable:
            if claims:
                # These are held, and nobody else will work on them.
                return claims
            raise
        if taken is not None:
            claims.append(taken)
    return claims


@session.guarded
def _take(row: Any, mine: sa.ColumnElement[bool], holder: str,
          lease: int) -> Claim | None:
    table = models.JOBS
    with session.writer() as connection:
        taken = connection.execute(table.update().where(mine).values(
            state=rows.RUNNING, attempts=row['attempts'] + 1,
            lease_until=clock.now(lease), lease_holder=holder,
            started_at=rows.utcnow()))
        if not taken.rowcount:
            return None
        _follow(connection, row['id'], row['kind'], status=rows.RUNNING,
                started_at=rows.utcnow())
    return Claim(row['id'], row['kind'], row['project_id'],
                 json.loads(row['request']), holder, row['attempts'] + 1)


@session.guarded
def _give_up(row: Any, mine: sa.ColumnElement[bool]) -> None:
    last = rows.error(row['error'])
    reason = (f'Given up after {row["attempts"]} attempts. The last one: '
              + (last['message'] if last
                 else 'the engine that worked on it went away.'))
    with session.writer() as connection:
        _end(connection, row['id'], row['kind'], mine, rows.FAILED,
             error=rows.failure(reason))


@session.guarded
def renew(claims: list[Claim], lease: int) -> list[Claim]:
    """Hold jobs for longer.

    :param claims: what this engine holds
    :param lease: seconds from now
    :returns: those that it does not hold any more: deleted, or taken over
    """
    lost = []
    for item in claims:
        with session.writer() as connection:
            kept = connection.execute(models.JOBS.update().where(
                _held(item)).values(lease_until=clock.now(lease)))
            # MySQL counts changed rows, but a lease always changes.
            if not kept.rowcount:
                lost.append(item)
    return lost


@session.guarded
def release(item: Claim, reason: str | None, counted: bool = True) -> bool:
    """Give a job back, to be tried again.

    :param item: the job
    :param reason: what went wrong, or None
    :param counted: whether this attempt counts
    :returns: whether it was still held
    """
    with session.writer() as connection:
        done = connection.execute(models.JOBS.update().where(
            _held(item)).values(
                state=rows.QUEUED, lease_until=None, lease_holder=None,
                error=rows.failure(reason) if reason else None,
                attempts=item.attempt if counted else item.attempt - 1))
        if done.rowcount:
            _follow(connection, item.id, item.kind, status=rows.QUEUED)
        return bool(done.rowcount)


@session.guarded
def fail(item: Claim, reason: str, code: int = 500) -> bool:
    """End a job without a result.

    :param item: the job
    :param reason: why, in words for the one who asked
    :param code: the HTTP status that says the same
    :returns: whether it was still held
    """
    with session.writer() as connection:
        return _end(connection, item.id, item.kind, _held(item),
                    rows.FAILED, error=rows.failure(reason, code))


@session.guarded
def complete(item: Claim, result: str) -> bool:
    """End a job with its result.

    :param item: the job
    :param result: the report or the result, as JSON
    :returns: whether it was still held
    """
    with session.writer() as connection:
        if item.kind == rows.TRAIN:
            return _trained(connection, item, result)
        if item.kind == rows.QUESTION:
            done = _end(connection, item.id, item.kind, _held(item),
                        rows.COMPLETE)
            if done:
                _follow(connection, item.id, item.kind, answer=result)
            return done
        if item.kind != rows.ANALYSIS:
            return _end(connection, item.id, item.kind, _held(item),
                        rows.COMPLETE, result=result)
        if not _end(connection, item.id, item.kind, _held(item),
                    rows.COMPLETE):
            return False
        report = json.loads(result)
        incident_id = item.request.get('incident_id')
        if incident_id:
            incident_id = incidents.analysed(connection, incident_id,
                                             item.id, report)
        elif item.request.get('incident'):
            incident_id = _open_incident(connection, item, report)
        first = (report.get('hypotheses') or [{}])[0]
        table = models.ANALYSES
        connection.execute(table.update().where(
            table.c.id == item.id).values(
                report=result, verdict=report.get('verdict'),
                category=report.get('category'),
                component=first.get('component'),
                severity=report.get('severity'),
                confidence=report.get('confidence'),
                summary=rows.clip(report.get('summary'), models.SUMMARY),
                incident_id=incident_id))
        told = connection.execute(sa.select(*(
            c for c in table.c if c.name != 'report')).where(
                table.c.id == item.id)).mappings().one()
        outbox.add(connection, outbox.COMPLETE,
                   {**told, 'host': first.get('host')})
        return True


def _end(connection: sa.Connection, job_id: str, kind: str,
         condition: sa.ColumnElement[bool], state: str,
         error: str | None = None, result: str | None = None) -> bool:
    now = rows.utcnow()
    done = connection.execute(models.JOBS.update().where(condition).values(
        state=state, error=error, result=result, lease_until=None,
        lease_holder=None, finished_at=now))
    if done.rowcount:
        _follow(connection, job_id, kind, status=state, error=error,
                finished_at=now)
    return bool(done.rowcount)


def _follow(connection: sa.Connection, job_id: str, kind: str,
            **values: Any) -> None:
    """Change the row that a job works on, where there is one."""
    table = _ROWS.get(kind)
    if table is not None:
        connection.execute(table.update().where(
            table.c.id == job_id).values(values))


def _trained(connection: sa.Connection, item: Claim, result: str) -> bool:
    """Write down a model that is trained.

    :param result: what it says of itself, and the ``host`` that has it
    """
    if not _end(connection, item.id, item.kind, _held(item), rows.COMPLETE):
        return False
    table = models.MODELS
    document = json.loads(result)
    # An engine that was started in between may have found it in its store.
    connection.execute(table.delete().where(
        table.c.detector == document['detector'],
        table.c.version == document['version'], table.c.id != item.id))
    _follow(connection, item.id, item.kind, version=document['version'],
            host=document.pop('host'), document=rows.dump(document),
            progress=None)
    return True


def _open_incident(connection: sa.Connection, item: Claim,
                   report: dict[str, Any]) -> str:
    first = (report.get('hypotheses') or [{}])[0]
    now = rows.utcnow()
    incident_id = uuidutils.generate_uuid()
    title = (item.request.get('issue') or report.get('summary')
             or 'Analysis ' + item.id)
    row = {
        'id': incident_id, 'project_id': item.project_id, 'status': 'open',
        'title': rows.clip(' '.join(title.split()), models.TITLE),
        'summary': rows.clip(report.get('summary'), models.SUMMARY),
        'component': first.get('component'),
        'category': report.get('category'),
        'host': rows.clip(first.get('host'), 255),
        'severity': report.get('severity'),
        'confidence': report.get('confidence'), 'analysis_id': item.id,
        'origin': 'analysis', 'created_at': now, 'updated_at': now}
    connection.execute(models.INCIDENTS.insert().values(row))
    outbox.add(connection, outbox.CREATE, row)
    return incident_id


@session.guarded
def source_set(host: str, name: str, values: dict[str, Any]) -> None:
    """Write down what an engine read of a source.

    :param host: name of the engine
    :param name: of the source
    :param values: ``status``, ``error``, ``events``, ``bytes``, ``files``
        and ``skipped``
    """
    _source_change(host, name, values | {
        'files': rows.dump(values['files']),
        'skipped': rows.dump(values['skipped'])})


def _source_change(host: str, name: str, values: dict[str, Any]) -> None:
    """Change a row of a source, which may be its first."""
    table = models.SOURCES
    now = {'updated_at': rows.utcnow(), **values}
    with session.writer() as connection:
        if not connection.execute(table.update().where(
                table.c.host == host, table.c.name == name).values(
                    now)).rowcount:
            connection.execute(table.insert().values({
                'host': host, 'name': name, 'error': None, 'events': 0,
                'bytes': 0, 'files': '[]', 'skipped': '[]', **now}))


@session.guarded
def source_reading(host: str, name: str) -> None:
    """Write down that a source is being read.

    :param host: name of the engine
    :param name: of the source
    """
    _source_change(host, name, {'status': 'reading'})


@session.guarded
def source_failed(host: str, name: str, error: str) -> None:
    """Write down that a source cannot be read.

    :param host: name of the engine
    :param name: of the source
    :param error: why
    """
    _source_change(host, name, {'status': 'failed', 'error': error})


@session.guarded
def sources_keep(host: str, names: list[str]) -> None:
    """Drop what an engine read once and does not any more.

    :param host: name of the engine
    :param names: of the sources that it reads
    """
    table = models.SOURCES
    with session.writer() as connection:
        connection.execute(table.delete().where(
            table.c.host == host, table.c.name.not_in(names)))


@session.guarded
def purge(days: float, most: int = 1000) -> dict[str, int]:
    """Delete what was finished long ago, in small transactions.

    Open and acknowledged incidents stay, and so do the analyses that they
    came from.

    :param days: age of what is deleted
    :param most: rows of one transaction
    :returns: how many rows of each kind were deleted
    """
    counts = {'analyses': 0, 'queries': 0, 'incidents': 0, 'models': 0,
              'symptoms': 0, 'deliveries': 0, 'sources': 0}
    age = -int(days * 86400)
    jobs, analyses = models.JOBS, models.ANALYSES
    table, sources = models.INCIDENTS, models.SOURCES
    trained, symptoms = models.MODELS, models.SYMPTOMS
    alive = sa.select(table.c.analysis_id).where(
        table.c.status != 'resolved',
        table.c.analysis_id.is_not(None))
    steps = (
        ('incidents', table, sa.and_(
            table.c.status == 'resolved',
            table.c.resolved_at < clock.now(age))),
        ('analyses', analyses, sa.and_(
            analyses.c.finished_at < clock.now(age),
            analyses.c.id.not_in(alive))),
        ('queries', jobs, sa.and_(
            jobs.c.kind.not_in(rows.WITH_ROWS),
            jobs.c.finished_at < clock.now(age))),
        # Of the others, operators take leave themselves.
        ('models', trained, sa.and_(
            trained.c.status.in_((rows.FAILED, 'deleting')),
            trained.c.finished_at < clock.now(age))),
        ('symptoms', symptoms, symptoms.c.updated_at < clock.now(age)),
        # Engines delete them sooner, where there is one.
        ('deliveries', models.OUTBOX,
         models.OUTBOX.c.created_at < clock.now(age)),
    )
    for what, table, old in steps:
        key, = table.primary_key.columns
        while True:
            with session.writer() as connection:
                ids = list(connection.execute(
                    sa.select(key).where(old).limit(most)).scalars())
                if not ids:
                    break
                connection.execute(table.delete().where(key.in_(ids)))
                if what in ('analyses', 'models'):
                    connection.execute(
                        jobs.delete().where(jobs.c.id.in_(ids)))
                if what == 'analyses':
                    # Their messages went with them.
                    connection.execute(jobs.delete().where(
                        jobs.c.kind == rows.QUESTION, jobs.c.id.not_in(
                            sa.select(models.MESSAGES.c.id))))
                if what == 'analyses':
                    connection.execute(models.INCIDENTS.update().where(
                        models.INCIDENTS.c.analysis_id.in_(ids)).values(
                            analysis_id=None))
                if what == 'incidents':
                    connection.execute(models.INCIDENT_KEYS.delete().where(
                        models.INCIDENT_KEYS.c.incident_id.in_(ids)))
            counts[what] += len(ids)
    with session.writer() as connection:
        counts['sources'] = connection.execute(sources.delete().where(
            sources.c.updated_at < clock.now(age))).rowcount
    return counts
