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
"""What the API reads and writes.

Every function is one transaction, and sees the rows of one project only.
Each raises :class:`exception.DatabaseUnavailable` when the database cannot
be used.
"""

import json
from typing import Any

from oslo_utils import uuidutils
import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import knowledge
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session


@session.guarded
def ping() -> None:
    """Ask the database for an answer."""
    with session.reader() as connection:
        connection.execute(sa.select(1)).scalar()


# Jobs, in general


def insert_job(connection: sa.Connection, kind: str, project_id: str,
               user_id: str, request: dict[str, Any],
               max_queued: int) -> dict[str, Any]:
    """Write a job, in a transaction of somebody else.

    :raises TooManyJobs: the project has as many unfinished ones already
    """
    jobs = models.JOBS
    count = connection.execute(
        sa.select(sa.func.count()).select_from(jobs).where(
            jobs.c.project_id == project_id,
            jobs.c.state.in_(rows.UNFINISHED))).scalar_one()
    if count >= max_queued:
        raise exception.TooManyJobs(count=count)
    row = {
        'id': uuidutils.generate_uuid(), 'kind': kind, 'state': rows.QUEUED,
        'project_id': project_id, 'user_id': user_id,
        'request': rows.dump(request), 'result': None, 'error': None,
        'attempts': 0, 'created_at': rows.utcnow(), 'started_at': None,
        'finished_at': None}
    connection.execute(jobs.insert().values(row))
    return row


def _position(connection: sa.Connection, job: Any) -> int | None:
    """How many jobs an engine takes before this one."""
    if job['state'] != rows.QUEUED:
        return None
    jobs = models.JOBS
    return connection.execute(
        sa.select(sa.func.count()).select_from(jobs).where(
            jobs.c.state == rows.QUEUED,
            jobs.c.created_at <= job['created_at'],
            sa.or_(jobs.c.created_at < job['created_at'],
                   jobs.c.id < job['id']))).scalar_one()


# Analyses


@session.guarded
def analysis_create(project_id: str, user_id: str, request: dict[str, Any],
                    max_queued: int) -> dict[str, Any]:
    """Ask: write an analysis, and the job that works on it.

    :param project_id: of the caller
    :param user_id: of the caller
    :param request: what was asked, in the shape of the API
    :param max_queued: unfinished jobs that a project may have
    :returns: the document of the analysis
    :raises TooManyJobs: the project has as many already
    """
    with session.writer() as connection:
        job = insert_job(connection, rows.ANALYSIS, project_id, user_id,
                         request, max_queued)
        row = {
            'id': job['id'], 'project_id': project_id, 'user_id': user_id,
            'status': rows.QUEUED, 'issue': request.get('issue') or '',
            'mode': request.get('mode') or 'fast', 'incident_id': None,
            'created_at': job['created_at'], 'started_at': None,
            'finished_at': None, 'error': None}
        connection.execute(models.ANALYSES.insert().values(row))
        return rows.unfinished(row, request, 0, _position(connection, job))


@session.guarded
def analysis_list(project_id: str, user_id: str, limit: int,
                  marker: str | None = None, status: str | None = None,
                  verdict: str | None = None
                  ) -> tuple[list[dict[str, Any]], bool]:
    """A page of analyses, the newest first.

    :param user_id: whose ratings are shown
    :param limit: rows of the page
    :param marker: id of the analysis before the page
    :param status: only those in this status
    :param verdict: only those with this verdict
    :returns: the summaries, and whether there are more
    :raises MarkerNotFound: there is no such analysis in the project
    """
    table = models.ANALYSES
    conditions = []
    if status is not None:
        conditions.append(table.c.status == status)
    if verdict is not None:
        conditions.append(table.c.verdict == verdict)
    with session.reader() as connection:
        found, more = rows.page(
            connection, rows.listed_analyses(user_id), table, conditions,
            'analysis', project_id, limit, marker)
        return [rows.summary(row) for row in found], more


@session.guarded
def analysis_get(project_id: str, analysis_id: str) -> dict[str, Any]:
    """The document of one analysis: its report, once it is complete.

    :raises NotFound: there is none in the project
    """
    table, jobs = models.ANALYSES, models.JOBS
    with session.reader() as connection:
        row = connection.execute(sa.select(table).where(
            table.c.id == analysis_id,
            table.c.project_id == project_id)).mappings().first()
        if row is None:
            raise exception.NotFound(what='analysis', id=analysis_id)
        if row['report'] is not None:
            document: dict[str, Any] = json.loads(row['report'])
            return document | {
                'id': row['id'], 'status': row['status'], 'error': None,
                'project_id': project_id, 'incident_id': row['incident_id'],
                'created_at': rows.iso(row['created_at']),
                'finished_at': rows.iso(row['finished_at'])}
        job = connection.execute(sa.select(jobs).where(
            jobs.c.id == analysis_id)).mappings().first()
        request = json.loads(job['request']) if job else {}
        return rows.unfinished(
            row, request, job['attempts'] if job else 0,
            _position(connection, job) if job else None)


@session.guarded
def analysis_delete(project_id: str, analysis_id: str) -> None:
    """Delete an analysis. Work on it is dropped.

    :raises NotFound: there is none in the project
    """
    table, jobs = models.ANALYSES, models.JOBS
    with session.writer() as connection:
        knowledge.forget_analysis(connection, project_id, analysis_id)
        gone = connection.execute(table.delete().where(
            table.c.id == analysis_id, table.c.project_id == project_id))
        if not gone.rowcount:
            raise exception.NotFound(what='analysis', id=analysis_id)
        connection.execute(jobs.delete().where(jobs.c.id == analysis_id))
        connection.execute(models.INCIDENTS.update().where(
            models.INCIDENTS.c.analysis_id == analysis_id).values(
                analysis_id=None))


@session.guarded
def rating_set(project_id: str, user_id: str, analysis_id: str, rating: str,
               component: str | None = None, comment: str | None = None,
               cause: str | None = None) -> dict[str, Any]:
    """Say how right a report is; a second word replaces the first.

    What is learned from it is knowledge at once.

    :param rating: ``right``, ``partly`` or ``wrong``
    :param component: what was faulty in truth
    :param comment: in the words of the user
    :param cause: the cause in truth, in words
    :returns: the rating
    :raises NotFound: there is no such analysis in the project
    :raises Conflict: it has no report
    """
    table, ratings = models.ANALYSES, models.RATINGS
    with session.writer() as connection:
        status = connection.execute(sa.select(table.c.status).where(
            table.c.id == analysis_id,
            table.c.project_id == project_id)).scalar()
        if status is None:
            raise exception.NotFound(what='analysis', id=analysis_id)
        if status != rows.COMPLETE:
            raise exception.Conflict(
                reason=f'The analysis {analysis_id} is {status}: only a '
                'complete one has a report that can be rated.')
        now = rows.utcnow()
        values = {'rating': rating, 'component': component,
                  'comment': comment, 'cause': cause, 'updated_at': now}
        mine = sa.and_(ratings.c.analysis_id == analysis_id,
                       ratings.c.user_id == user_id)
        changed = connection.execute(
            ratings.update().where(mine).values(values))
        if not changed.rowcount:
            connection.execute(ratings.insert().values(
                analysis_id=analysis_id, user_id=user_id,
                project_id=project_id, created_at=now, **values))
        row = connection.execute(
            sa.select(ratings).where(mine)).mappings().one()
        knowledge.learn_rating(connection, row)
        return {name: row[name] for name in (
            'analysis_id', 'user_id', 'rating', 'component', 'comment',
            'cause')} | {
            'created_at': rows.iso(row['created_at']),
            'updated_at': rows.iso(row['updated_at'])}


# Queries


@session.guarded
def query_create(project_id: str, user_id: str, kind: str,
                 request: dict[str, Any],
                 max_queued: int) -> dict[str, Any]:
    """Write a query, which is a job.

    :param kind: ``events`` or ``trace``
    :param request: what was asked, in the shape of the API
    :param max_queued: unfinished jobs that a project may have
    :raises TooManyJobs: the project has as many already
    """
    with session.writer() as connection:
        return rows.query(insert_job(connection, kind, project_id, user_id,
                                     request, max_queued))


@session.guarded
def query_list(project_id: str, limit: int, marker: str | None = None,
               status: str | None = None, kind: str | None = None
               ) -> tuple[list[dict[str, Any]], bool]:
    """A page of queries without their results, the newest first.

    :raises MarkerNotFound: there is no such query in the project
    """
    table = models.JOBS
    conditions: list[sa.ColumnElement[bool]] = [
        table.c.kind.not_in(rows.WITH_ROWS)]
    if status is not None:
        conditions.append(table.c.state == status)
    if kind is not None:
        conditions.append(table.c.kind == kind)
    with session.reader() as connection:
        found, more = rows.page(
            connection,
            sa.select(*(c for c in table.c if c.name != 'result')), table,
            conditions, 'query', project_id, limit, marker)
        return [rows.query(row, whole=False) for row in found], more


@session.guarded
def query_get(project_id: str, query_id: str) -> dict[str, Any]:
    """One query with its result.

    :raises NotFound: there is none in the project
    """
    table = models.JOBS
    with session.reader() as connection:
        row = connection.execute(sa.select(table).where(
            table.c.id == query_id, table.c.project_id == project_id,
            table.c.kind.not_in(rows.WITH_ROWS))).mappings().first()
        if row is None:
            raise exception.NotFound(what='query', id=query_id)
        return rows.query(row)


# Sources


@session.guarded
def source_list() -> list[dict[str, Any]]:
    """What the engines read, by name and host."""
    table = models.SOURCES
    with session.reader() as connection:
        found = connection.execute(sa.select(table).order_by(
            table.c.name, table.c.host)).mappings().all()
    return [{
        'id': row['name'], 'host': row['host'], 'status': row['status'],
        'error': row['error'], 'updated_at': rows.iso(row['updated_at']),
        'events': row['events'], 'bytes': row['bytes'],
        'files': json.loads(row['files']),
        'skipped': json.loads(row['skipped'])} for row in found]
