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
"""Rows of what is known, and of what is asked about analyses.

Every function but those that take a connection is one transaction. Those for
the API see the rows of one project only; engines read all of them, and know
whose each is.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import json
from typing import Any

from oslo_utils import uuidutils
import sqlalchemy as sa

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.db import clock
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.knowledge import entries

#: What a list shows: everything but the text.
_LISTED = ('id', 'project_id', 'user_id', 'kind', 'title', 'source',
           'service', 'tags', 'url', 'resolution', 'incident_id',
           'analysis_id', 'created_at', 'updated_at')
#: Values of one condition: databases take only so many.
_MOST_VALUES = 500
#: Messages of an analysis that count when the next one is answered.
_MOST_HISTORY = 20


# What becomes knowledge by itself


def learn_incident(connection: sa.Connection, project_id: str,
                   incident_id: str, user_id: str) -> None:
    """Keep how an incident was resolved, or forget it when it was not.

    :param connection: of the transaction that changes the incident
    :param project_id: of the incident
    :param incident_id: which
    :param user_id: who changes it
    """
    table, analyses = models.INCIDENTS, models.ANALYSES
    row = connection.execute(sa.select(table).where(
        table.c.id == incident_id,
        table.c.project_id == project_id)).mappings().one()
    values = None
    if (row['status'] == 'resolved' and (row['resolution'] or '').strip()
            and conf.CONF.retrieval.learn_from_incidents):
        report = connection.execute(sa.select(analyses.c.report).where(
            analyses.c.id == row['analysis_id'],
            analyses.c.project_id == project_id)).scalar()
        values = entries.of_incident(
            dict(row), json.loads(report) if report else None)
    _learn(connection, project_id, user_id, entries.INCIDENT, incident_id,
           values)


def learn_rating(connection: sa.Connection, rating: Any) -> None:
    """Keep what the judgement of a report teaches, or forget it.

    :param connection: of the transaction that writes the rating
    :param rating: its row
    """
    analyses = models.ANALYSES
    values = None
    if conf.CONF.retrieval.learn_from_incidents:
        row = connection.execute(sa.select(
            analyses.c.issue, analyses.c.report).where(
                analyses.c.id == rating['analysis_id'])).mappings().one()
        values = entries.of_rating(
            rating['analysis_id'], row['issue'],
            json.loads(row['report'] or '{}'), rating)
    _learn(connection, rating['project_id'], rating['user_id'],
           entries.ANALYSIS, rating['analysis_id'], values)


def forget_analysis(connection: sa.Connection, project_id: str,
                    analysis_id: str) -> None:
    """Drop what was learned from an analysis, and what was asked of it.

    What was learned from its incident stays with the incident.

    :param connection: of the transaction that deletes the analysis
    """
    messages, jobs = models.MESSAGES, models.JOBS
    _learn(connection, project_id, '', entries.ANALYSIS, analysis_id, None)
    # The messages themselves go with the analysis.
    connection.execute(jobs.delete().where(jobs.c.id.in_(
        sa.select(messages.c.id).where(
            messages.c.analysis_id == analysis_id,
            messages.c.project_id == project_id))))


def _learn(connection: sa.Connection, project_id: str, user_id: str,
           kind: str, key: str, values: dict[str, Any] | None) -> None:
    """Have one entry of an incident or an analysis, or none."""
    table = models.KNOWLEDGE
    column = (table.c.incident_id if kind == entries.INCIDENT
              else table.c.analysis_id)
    mine = sa.and_(table.c.project_id == project_id, table.c.kind == kind,
                   column == key)
    if values is None:
        connection.execute(table.delete().where(mine))
        return
    found = connection.execute(sa.select(
        table.c.id, table.c.fingerprint).where(mine)).mappings().first()
    packed = _packed(values)
    if found is None:
        _insert(connection, project_id, user_id, packed)
    elif found['fingerprint'] != packed['fingerprint']:
        connection.execute(table.update().where(
            table.c.id == found['id']).values(
                user_id=user_id, updated_at=clock.now(), **packed))


def _packed(values: dict[str, Any]) -> dict[str, Any]:
    """Values of an entry as the columns have them."""
    fit = {
        'kind': values['kind'],
        'title': rows.clip(' '.join(str(values['title']).split()),
                           models.TITLE),
        'text': rows.clip(values['text'], entries.MOST_TEXT),
        'source': rows.clip(values.get('source') or '', models.SOURCE),
        'service': values.get('service'),
        'tags': list(values.get('tags') or ()),
        'url': values.get('url'),
        'resolution': rows.clip(values.get('resolution'),
                                entries.MOST_RESOLUTION),
        'incident_id': values.get('incident_id'),
        'analysis_id': values.get('analysis_id')}
    return fit | {'fingerprint': entries.fingerprint(fit),
                  'tags': rows.dump(fit['tags'])}


def _insert(connection: sa.Connection, project_id: str, user_id: str,
            packed: dict[str, Any]) -> str:
    name: str = uuidutils.generate_uuid()
    connection.execute(models.KNOWLEDGE.insert().values(
        id=name, project_id=project_id, user_id=user_id,
        created_at=rows.utcnow(), updated_at=clock.now(), **packed))
    return name


# What the API reads and writes


@session.guarded
def put(project_id: str, user_id: str, values: Sequence[dict[str, Any]],
        source: str | None = None) -> dict[str, int]:
    """Keep entries; what is there already stays as it is.

    :param project_id: of the caller
    :param user_id: of the caller
    :param values: of the entries
    :param source: the document that they are all of: what there was of it
        before and is none of them is dropped
    :returns: how many were ``added``, ``kept`` as they were, and
        ``removed``
    :raises Conflict: the project has as many entries as it may
    """
    table = models.KNOWLEDGE
    packed = {p['fingerprint']: p for p in map(_packed, values)}
    with session.writer() as connection:
        removed = 0
        if source is not None:
            gone = [row.id for row in connection.execute(sa.select(
                table.c.id, table.c.fingerprint).where(
                    table.c.project_id == project_id,
                    table.c.source == source,
                    table.c.kind == entries.DOCUMENT))
                if row.fingerprint not in packed]
            for some in _parts(gone):
                connection.execute(table.delete().where(table.c.id.in_(some)))
            removed = len(gone)
        known: set[str] = set()
        for some in _parts(list(packed)):
            known.update(connection.execute(sa.select(
                table.c.fingerprint).where(
                    table.c.project_id == project_id,
                    table.c.fingerprint.in_(some))).scalars())
        most = conf.CONF.retrieval.max_entries
        fresh = [p for name, p in packed.items() if name not in known]
        there = connection.execute(sa.select(sa.func.count()).select_from(
            table).where(table.c.project_id == project_id)).scalar_one()
        if there + len(fresh) > most:
            raise exception.Conflict(
                reason=f'This project has {there} entries of knowledge, and '
                f'may have {most} ([retrieval] max_entries). Delete some '
                'first.')
        for one in fresh:
            key = (one['incident_id'] if one['kind'] == entries.INCIDENT
                   else one['analysis_id'] if one['kind'] == entries.ANALYSIS
                   else None)
            if key:
                # One that was learned here and one of a backup are the same.
                _replace(connection, project_id, user_id, one, key)
            else:
                _insert(connection, project_id, user_id, one)
    return {'added': len(fresh), 'kept': len(known), 'removed': removed}


def _replace(connection: sa.Connection, project_id: str, user_id: str,
             packed: dict[str, Any], key: str) -> None:
    table = models.KNOWLEDGE
    column = (table.c.incident_id if packed['kind'] == entries.INCIDENT
              else table.c.analysis_id)
    connection.execute(table.delete().where(
        table.c.project_id == project_id, table.c.kind == packed['kind'],
        column == key))
    _insert(connection, project_id, user_id, packed)


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at:at + _MOST_VALUES]
            for at in range(0, len(values), _MOST_VALUES))


@session.guarded
def entry_list(project_id: str, limit: int, marker: str | None = None,
               kind: str | None = None, service: str | None = None,
               source: str | None = None, whole: bool = False
               ) -> tuple[list[dict[str, Any]], bool]:
    """A page of entries, the newest first.

    :param service: only about this service, or one of its programs
    :param whole: with their texts
    :raises MarkerNotFound: there is no such entry in the project
    """
    table = models.KNOWLEDGE
    conditions = [column == value for column, value in (
        (table.c.kind, kind), (table.c.source, source))
        if value is not None]
    if service is not None:
        conditions.append(sa.or_(
            table.c.service == service,
            table.c.service.startswith(service + '-', autoescape=True)))
    wanted = _LISTED + (('text',) if whole else ())
    with session.reader() as connection:
        found, more = rows.page(
            connection, sa.select(*(table.c[name] for name in wanted)),
            table, conditions, 'entry', project_id, limit, marker)
        return [_shown(row) for row in found], more


@session.guarded
def entry_get(project_id: str, entry_id: str) -> dict[str, Any]:
    """One entry with its text.

    :raises NotFound: there is none in the project
    """
    table = models.KNOWLEDGE
    with session.reader() as connection:
        row = connection.execute(sa.select(*(
            table.c[name] for name in (*_LISTED, 'text'))).where(
                table.c.id == entry_id,
                table.c.project_id == project_id)).mappings().first()
    if row is None:
        raise exception.NotFound(what='entry', id=entry_id)
    return _shown(row)


@session.guarded
def entry_delete(project_id: str, entry_id: str) -> None:
    """Delete an entry.

    :raises NotFound: there is none in the project
    """
    table = models.KNOWLEDGE
    with session.writer() as connection:
        gone = connection.execute(table.delete().where(
            table.c.id == entry_id, table.c.project_id == project_id))
        if not gone.rowcount:
            raise exception.NotFound(what='entry', id=entry_id)


def _shown(row: sa.RowMapping) -> dict[str, Any]:
    """An entry as the API shows it."""
    shown = {name: rows.iso(value) if isinstance(value, datetime.datetime)
             else value for name, value in row.items()}
    return shown | {'tags': json.loads(row['tags'])}


# What engines read


@session.guarded
def mark() -> tuple[int, datetime.datetime | None]:
    """What changes whenever an entry does.

    :returns: how many entries there are, and when one was written last
    """
    table = models.KNOWLEDGE
    with session.reader() as connection:
        count, last = connection.execute(sa.select(
            sa.func.count(), sa.func.max(table.c.updated_at)).select_from(
                table)).one()
    return count, last


@session.guarded
def read(since: datetime.datetime | None = None) -> tuple[
        set[str], list[entries.Entry]]:
    """All entries, of every project.

    :param since: only those that were written then or later
    :returns: the ids of all, and these entries
    """
    table = models.KNOWLEDGE
    wanted = sa.select(table)
    if since is not None:
        wanted = wanted.where(table.c.updated_at >= since)
    with session.reader() as connection:
        ids = set(connection.execute(sa.select(table.c.id)).scalars())
        found = [entries.Entry(
            id=row['id'], kind=row['kind'], title=row['title'],
            text=row['text'], project_id=row['project_id'],
            source=row['source'], service=row['service'],
            tags=tuple(json.loads(row['tags'])), url=row['url'],
            resolution=row['resolution'], incident_id=row['incident_id'],
            analysis_id=row['analysis_id'], written=row['updated_at'])
            for row in connection.execute(wanted).mappings()]
    return ids, found


# Questions to analyses that are there


@session.guarded
def message_create(project_id: str, user_id: str, analysis_id: str,
                   question: str, mode: str,
                   max_queued: int) -> dict[str, Any]:
    """Ask something of an analysis, and write the job that answers.

    :param question: in words
    :param mode: ``fast`` or ``full``
    :param max_queued: unfinished jobs that a project may have
    :returns: the message
    :raises NotFound: there is no such analysis in the project
    :raises Conflict: it has no report
    :raises TooManyJobs: the project has as many already
    """
    # Both modules write jobs.
    from openstack_rca.db import api
    table, messages = models.ANALYSES, models.MESSAGES
    with session.writer() as connection:
        status = connection.execute(sa.select(table.c.status).where(
            table.c.id == analysis_id,
            table.c.project_id == project_id)).scalar()
        if status is None:
            raise exception.NotFound(what='analysis', id=analysis_id)
        if status != rows.COMPLETE:
            raise exception.Conflict(
                reason=f'The analysis {analysis_id} is {status}: only a '
                'complete one can be asked about.')
        job = api.insert_job(
            connection, rows.QUESTION, project_id, user_id,
            {'analysis_id': analysis_id, 'question': question, 'mode': mode},
            max_queued)
        row = {
            'id': job['id'], 'analysis_id': analysis_id,
            'project_id': project_id, 'user_id': user_id,
            'status': rows.QUEUED, 'question': question, 'answer': None,
            'error': None, 'created_at': job['created_at'],
            'started_at': None, 'finished_at': None}
        connection.execute(messages.insert().values(row))
        return _message(row)


@session.guarded
def message_list(project_id: str, analysis_id: str, limit: int,
                 marker: str | None = None) -> tuple[
                     list[dict[str, Any]], bool]:
    """A page of what was asked of an analysis, the newest first.

    :raises NotFound: there is no such analysis in the project
    :raises MarkerNotFound: there is no such message
    """
    table = models.MESSAGES
    with session.reader() as connection:
        _check_analysis(connection, project_id, analysis_id)
        found, more = rows.page(
            connection, sa.select(table), table,
            [table.c.analysis_id == analysis_id], 'message', project_id,
            limit, marker)
        return [_message(row) for row in found], more


@session.guarded
def message_get(project_id: str, analysis_id: str,
                message_id: str) -> dict[str, Any]:
    """One message with its answer.

    :raises NotFound: there is none of this analysis in the project
    """
    table = models.MESSAGES
    with session.reader() as connection:
        row = connection.execute(sa.select(table).where(
            table.c.id == message_id, table.c.analysis_id == analysis_id,
            table.c.project_id == project_id)).mappings().first()
    if row is None:
        raise exception.NotFound(what='message', id=message_id)
    return _message(row)


@session.guarded
def conversation(project_id: str, analysis_id: str) -> tuple[
        dict[str, Any], list[dict[str, Any]]]:
    """What a question is asked about.

    :returns: the report, and the messages that were answered before, the
        oldest first
    :raises NotFound: there is no such analysis in the project, or no report
    """
    table, messages = models.ANALYSES, models.MESSAGES
    with session.reader() as connection:
        report = connection.execute(sa.select(table.c.report).where(
            table.c.id == analysis_id,
            table.c.project_id == project_id)).scalar()
        if report is None:
            raise exception.NotFound(what='analysis', id=analysis_id)
        found = connection.execute(sa.select(messages).where(
            messages.c.analysis_id == analysis_id,
            messages.c.project_id == project_id,
            messages.c.status == rows.COMPLETE).order_by(
                messages.c.created_at.desc(), messages.c.id.desc()).limit(
                    _MOST_HISTORY)).mappings().all()
    document: dict[str, Any] = json.loads(report)
    return document, [_message(row) for row in reversed(found)]


def _check_analysis(connection: sa.Connection, project_id: str,
                    analysis_id: str) -> None:
    table = models.ANALYSES
    if connection.execute(sa.select(table.c.id).where(
            table.c.id == analysis_id,
            table.c.project_id == project_id)).scalar() is None:
        raise exception.NotFound(what='analysis', id=analysis_id)


def _message(row: rows.Row) -> dict[str, Any]:
    """A message as the API shows it."""
    shown = {name: row[name] for name in (
        'id', 'analysis_id', 'project_id', 'user_id', 'status', 'question')}
    for name in ('created_at', 'started_at', 'finished_at'):
        shown[name] = rows.iso(row[name])
    # What an attempt met before is none as long as there is another one.
    return shown | {
        'answer': json.loads(row['answer']) if row['answer'] else None,
        'error': rows.error(row['error'])
        if row['status'] == rows.FAILED else None}
