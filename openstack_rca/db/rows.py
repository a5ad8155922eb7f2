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
"""What the functions of this package share: times, pages, documents."""

import datetime
import http
import json
import re
from typing import Any

import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import models

QUEUED = 'queued'
RUNNING = 'running'
COMPLETE = 'complete'
FAILED = 'failed'
UNFINISHED = (QUEUED, RUNNING)

ANALYSIS = 'analysis'
TRAIN = 'train'
QUESTION = 'question'
#: Kinds of jobs that work on a row of another table; others are queries.
WITH_ROWS = (ANALYSIS, TRAIN, QUESTION)

#: NUL, and halves of characters: no database takes them all.
_UNSTORABLE = re.compile('[\x00\ud800-\udfff]')

Row = sa.RowMapping | dict[str, Any]

#: The columns of an analysis that a list shows.
_LISTED = ('id', 'project_id', 'user_id', 'status', 'verdict', 'issue',
           'mode', 'category', 'component', 'severity', 'confidence',
           'summary', 'incident_id', 'created_at', 'started_at',
           'finished_at')


def utcnow() -> datetime.datetime:
    """Now, as the tables have it: UTC without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def iso(moment: datetime.datetime | None) -> str | None:
    """A time of a table as people and programs read it."""
    return None if moment is None else moment.isoformat() + '+00:00'


def failure(message: str, code: int = 500) -> str:
    """An error as a column holds it.

    :param message: for the one who asked
    :param code: the HTTP status that says the same
    """
    return dump({'code': code, 'title': http.HTTPStatus(code).phrase,
                 'message': message})


def error(text: str | None) -> dict[str, Any] | None:
    """The error of a row, in the shape of the API."""
    if text is None:
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def dump(document: Any) -> str:
    """A document as a column holds it.

    ASCII only: a column takes every text then, whatever its character set.
    """
    return json.dumps(document, separators=(',', ':'))


def summary(row: Row) -> dict[str, Any]:
    """An analysis as a list shows it."""
    shown = {name: row[name] for name in _LISTED}
    for name in ('created_at', 'started_at', 'finished_at'):
        shown[name] = iso(row[name])
    return shown | {'rating': row['rating'], 'error': error(row['error'])}


def unfinished(row: Row, request: dict[str, Any],
               attempts: int, position: int | None) -> dict[str, Any]:
    """An analysis that has no report, or not yet."""
    return {
        'version': 1, 'id': row['id'], 'status': row['status'],
        'verdict': None, 'error': error(row['error']),
        'project_id': row['project_id'], 'incident_id': row['incident_id'],
        'created_at': iso(row['created_at']),
        'started_at': iso(row['started_at']),
        'finished_at': iso(row['finished_at']), 'issue': row['issue'],
        'mode': row['mode'],
        'scope': {
            'since': request.get('since'), 'until': request.get('until'),
            'request_ids': request.get('request_ids') or [],
            'resources': request.get('servers') or [],
            'services': request.get('services') or []},
        'attempts': attempts, 'queue_position': position}


def query(row: Row, whole: bool = True) -> dict[str, Any]:
    """A query as the API shows it.

    :param row: of the jobs
    :param whole: with its result
    """
    shown = {
        'id': row['id'], 'kind': row['kind'], 'status': row['state'],
        'project_id': row['project_id'], 'user_id': row['user_id'],
        'request': json.loads(row['request']),
        # What an attempt met before is none as long as there is another one.
        'error': error(row['error']) if row['state'] == FAILED else None}
    for name in ('created_at', 'started_at', 'finished_at'):
        shown[name] = iso(row[name])
    if whole:
        shown['result'] = json.loads(row['result']) if row['result'] else None
    return shown


def incident(row: Row) -> dict[str, Any]:
    """An incident as the API shows it."""
    return {name: shown(value) for name, value in row.items()
            # What only the engines read.
            if name not in ('state', 'touched_at')}


def shown(value: Any) -> Any:
    """A value of a column as the API shows it."""
    return iso(value) if isinstance(value, datetime.datetime) else value


def page(connection: sa.Connection, statement: sa.Select[Any],
         table: sa.Table, conditions: list[sa.ColumnElement[bool]],
         what: str, project_id: str | None, limit: int,
         marker: str | None) -> tuple[list[sa.RowMapping], bool]:
    """One page of rows, the newest first.

    :param connection: where to read
    :param statement: selects from the table
    :param table: has ``id``, ``created_at`` and perhaps ``project_id``
    :param conditions: which rows are listed
    :param what: what a row is, in words
    :param project_id: whose rows; None where they belong to no project
    :param limit: rows of the page
    :param marker: id of the row before the page
    :returns: the rows, and whether there are more
    :raises MarkerNotFound: the project has no such row
    """
    visible = (sa.true() if project_id is None
               else table.c.project_id == project_id)
    wanted = sa.select(table.c.id).where(visible, *conditions)
    if marker is not None:
        created = connection.execute(
            sa.select(table.c.created_at).where(
                table.c.id == marker, visible)).scalar()
        if created is None:
            raise exception.MarkerNotFound(what=what, id=marker)
        # The first condition follows from the second, and is what an index
        # can be used for.
        wanted = wanted.where(
            table.c.created_at <= created,
            sa.or_(table.c.created_at < created,
                   sa.and_(table.c.created_at == created,
                           table.c.id < marker)))
    order = (table.c.created_at.desc(), table.c.id.desc())
    # The ids come from an index alone. Asked for whole rows, MariaDB reads
    # all rows of the project that stand before the page, with their reports:
    # ten seconds instead of ten milliseconds.
    ids = wanted.order_by(*order).limit(limit + 1).subquery()
    found = connection.execute(statement.where(
        table.c.id.in_(sa.select(ids.c.id))).order_by(*order)
    ).mappings().all()
    return list(found[:limit]), len(found) > limit


def clip(text: str | None, most: int) -> str | None:
    """A text that fits into a column, whatever a log held."""
    if text is None:
        return None
    text = _UNSTORABLE.sub('\ufffd', text)
    if len(text) <= most:
        return text
    return text[:most - 1] + '…'


def listed_analyses(user_id: str) -> sa.Select[Any]:
    """Selects analyses as lists show them, with the caller's rating."""
    analyses, ratings = models.ANALYSES, models.RATINGS
    return sa.select(
        *(analyses.c[name] for name in _LISTED), analyses.c.error,
        ratings.c.rating).select_from(analyses.outerjoin(
            ratings, sa.and_(ratings.c.analysis_id == analyses.c.id,
                             ratings.c.user_id == user_id)))
