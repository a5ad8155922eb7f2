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
"""Rows of trained models: what the API shows, what engines follow.

A model that is to be trained is a row at once, and a job that works on it; the
job has its id. Weights lie in the stores of the engines: a model that is
deleted goes from the lists at once, and from the disk when the engine that
has it looks (:func:`models_deleting`).

Each function is one transaction, and raises
:class:`exception.DatabaseUnavailable` when the database cannot be used.
"""

import datetime
import json
from typing import Any
import uuid

import sqlalchemy as sa

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.db import api
from openstack_rca.db import jobs
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.models import drift

SHIPPED = 'shipped'
TRAINED = 'trained'
IMPORTED = 'imported'
ORIGINS = (SHIPPED, TRAINED, IMPORTED)

#: Is not shown any more; an engine has to delete its weights.
DELETING = 'deleting'

#: Steps of the past that one model shows.
_MOST_STEPS = 100
#: Reports that are read for the verdicts of operators.
_MOST_VERDICTS = 200

#: Makes the ids of models that no job trained: the same on every engine.
_IDS = uuid.UUID('b3f0c8ce-5a3e-4a2e-9d2a-6d1f6e6f7467')

_LISTED = ('id', 'detector', 'version', 'origin', 'status', 'host',
           'project_id', 'user_id')
_TIMES = ('created_at', 'started_at', 'finished_at')
_DOCUMENTED = ('trained_at', 'trained_on', 'settings', 'metrics',
               'thresholds', 'libraries', 'sha256', 'bytes')


def _missing(model_id: str) -> exception.NotFound:
    return exception.NotFound(f'There is no model {model_id}.')


def _shown(row: Any, active: set[str]) -> dict[str, Any]:
    """A model as a list shows it."""
    return {
        **{name: row[name] for name in _LISTED},
        **{name: rows.iso(row[name]) for name in _TIMES},
        'active': row['id'] in active,
        'sources': json.loads(row['sources']),
        'progress': json.loads(row['progress'])
        if row['progress'] and row['status'] == rows.RUNNING else None,
        'error': rows.error(row['error'])
        if row['status'] == rows.FAILED else None}


def _active_ids(connection: sa.Connection) -> dict[str, str]:
    """The active model of each detector, by detector."""
    pointers, table = models.ACTIVE_MODELS, models.MODELS
    found: dict[str, str] = {}
    # The newest is the last.
    for row in connection.execute(
            sa.select(table.c.detector, table.c.id).where(
                table.c.origin == SHIPPED,
                table.c.status == rows.COMPLETE).order_by(
                    table.c.version)):
        found[row.detector] = row.id
    for row in connection.execute(
            sa.select(pointers.c.detector, pointers.c.model_id)):
        found[row.detector] = row.model_id
    return found


@session.guarded
def models_active() -> dict[str, str]:
    """Which version of each detector is active. Cheap: two small reads."""
    table = models.MODELS
    with session.reader() as connection:
        ids = list(_active_ids(connection).values())
        return {row.detector: row.version for row in connection.execute(
            sa.select(table.c.detector, table.c.version).where(
                table.c.id.in_(ids)))}


@session.guarded
def model_create(project_id: str, user_id: str, request: dict[str, Any],
                 max_queued: int) -> dict[str, Any]:
    """Have a model trained: write its row, and the job that works on it.

    :param project_id: of the caller
    :param user_id: of the caller
    :param request: what was asked, in the shape of the API
    :param max_queued: unfinished jobs that a project may have
    :returns: the model
    :raises InvalidInput: no engine reads such a source
    :raises TooManyJobs: the project has as many already
    """
    table, sources = models.MODELS, models.SOURCES
    with session.writer() as connection:
        known = sorted(set(connection.execute(
            sa.select(sources.c.name)).scalars()))
        if not known:
            raise exception.InvalidInput(
                reason='sources: no engine has told of a source yet, so '
                'there is nothing to learn from. Name folders in [sources] '
                'log_dirs of the engines.')
        wanted = request.get('sources') or known
        for number, name in enumerate(wanted):
            if name not in known:
                raise exception.InvalidInput(
                    reason=f'sources[{number}]: no engine reads a source of '
                    f'this name. Known: {", ".join(known)}.')
        request = request | {'sources': list(dict.fromkeys(wanted))}
        job = api.insert_job(connection, rows.TRAIN, project_id, user_id,
                             request, max_queued)
        connection.execute(table.insert().values(
            id=job['id'], detector=request['detector'], version=None,
            origin=TRAINED, status=rows.QUEUED, host=None,
            project_id=project_id, user_id=user_id,
            sources=rows.dump(request['sources']), progress=None,
            error=None, created_at=job['created_at'], started_at=None,
            finished_at=None, document=None, drift=None))
        return _get(connection, job['id'])


@session.guarded
def model_list(limit: int, marker: str | None = None,
               detector: str | None = None, status: str | None = None,
               origin: str | None = None
               ) -> tuple[list[dict[str, Any]], bool]:
    """A page of models, the newest first.

    :raises MarkerNotFound: there is no such model
    """
    table = models.MODELS
    conditions = [table.c.status != DELETING]
    for column, value in ((table.c.detector, detector),
                          (table.c.status, status),
                          (table.c.origin, origin)):
        if value is not None:
            conditions.append(column == value)
    wanted = sa.select(*(table.c[name] for name in (
        *_LISTED, *_TIMES, 'sources', 'progress', 'error')))
    with session.reader() as connection:
        try:
            found, more = rows.page(connection, wanted, table, conditions,
                                    'model', None, limit, marker)
        except exception.MarkerNotFound as error:
            raise exception.MarkerNotFound(
                f'marker: there is no model {marker}. List from the '
                'beginning.') from error
        active = set(_active_ids(connection).values())
        return [_shown(row, active) for row in found], more


@session.guarded
def model_get(model_id: str) -> dict[str, Any]:
    """One model, with how it ages and when it was activated.

    :raises NotFound: there is none
    """
    with session.reader() as connection:
        return _get(connection, model_id)


def _row(connection: sa.Connection, model_id: str,
         lock: bool = False) -> Any:
    table = models.MODELS
    wanted = sa.select(table).where(
        table.c.id == model_id, table.c.status != DELETING)
    if lock:
        # Nobody activates and deletes it in the same moment. SQLite, which
        # has no such thing, has one writer at a time.
        wanted = wanted.with_for_update()
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise _missing(model_id)
    return row


def _get(connection: sa.Connection, model_id: str) -> dict[str, Any]:
    steps, requests = models.ACTIVATIONS, models.JOBS
    row = _row(connection, model_id)
    document = json.loads(row['document']) if row['document'] else {}
    shown = _shown(row, set(_active_ids(connection).values())) | {
        name: document.get(name) for name in _DOCUMENTED}
    asked = connection.execute(sa.select(requests.c.request).where(
        requests.c.id == model_id)).scalar()
    shown['request'] = json.loads(asked) if asked else None
    shown['drift'] = None
    if row['status'] == rows.COMPLETE:
        told = conf.CONF.models
        shown['drift'] = drift.assess(
            drift.age(document.get('trained_at') or '',
                      datetime.datetime.now(datetime.UTC)),
            json.loads(row['drift']) if row['drift'] else {},
            drift.Limits(told.max_age, told.max_unseen, told.max_shift))
    shown['activations'] = [{
        'activated_at': rows.iso(step.activated_at),
        'activated_by': step.activated_by} for step in connection.execute(
            sa.select(steps).where(
                steps.c.detector == row['detector'],
                steps.c.version == row['version']).order_by(
                    steps.c.id.desc()).limit(_MOST_STEPS))]
    return shown


@session.guarded
def model_activate(user_id: str, model_id: str) -> dict[str, Any]:
    """Make a model the one that its detector uses, everywhere.

    :param user_id: who wants it
    :param model_id: an older one, to roll back
    :returns: the model
    :raises NotFound: there is none
    :raises Conflict: it is not trained yet, or failed
    """
    pointers = models.ACTIVE_MODELS
    with session.writer() as connection:
        row = _row(connection, model_id, lock=True)
        if row['status'] != rows.COMPLETE:
            raise exception.Conflict(
                reason=f'The model {model_id} is {row["status"]}: only a '
                'complete one can be active.')
        now = rows.utcnow()
        mine = pointers.c.detector == row['detector']
        before = connection.execute(
            sa.select(pointers.c.model_id).where(mine)).scalar()
        if before == model_id:
            return _get(connection, model_id)
        values = {'model_id': model_id, 'activated_at': now,
                  'activated_by': user_id}
        if before is None:
            connection.execute(pointers.insert().values(
                detector=row['detector'], **values))
        else:
            connection.execute(pointers.update().where(mine).values(values))
        connection.execute(models.ACTIVATIONS.insert().values(
            detector=row['detector'], version=row['version'],
            activated_at=now, activated_by=user_id))
        return _get(connection, model_id)


@session.guarded
def model_delete(model_id: str) -> None:
    """Delete a model. Work on it is dropped.

    :raises NotFound: there is none
    :raises Conflict: it is active, or came with the package
    """
    table, requests = models.MODELS, models.JOBS
    pointers = models.ACTIVE_MODELS
    with session.writer() as connection:
        row = _row(connection, model_id, lock=True)
        if row['origin'] == SHIPPED:
            raise exception.Conflict(
                reason=f'The model {model_id} came with the package, and '
                'goes with it.')
        if connection.execute(sa.select(pointers.c.detector).where(
                pointers.c.model_id == model_id).with_for_update()
                ).scalar() is not None:
            raise exception.Conflict(
                reason=f'The model {model_id} is the active one of '
                f'{row["detector"]}. Activate another one first.')
        connection.execute(requests.delete().where(
            requests.c.id == model_id))
        if row['version'] is None:
            connection.execute(table.delete().where(
                table.c.id == model_id))
        else:
            connection.execute(table.update().where(
                table.c.id == model_id).values(
                    status=DELETING, finished_at=rows.utcnow()))


# What engines do


@session.guarded
def models_deleting(host: str) -> list[dict[str, str]]:
    """Models whose weights an engine has to delete.

    :param host: name of the engine
    :returns: ``id``, ``detector`` and ``version`` of each
    """
    table = models.MODELS
    with session.reader() as connection:
        return [dict(row) for row in connection.execute(
            sa.select(table.c.id, table.c.detector, table.c.version).where(
                table.c.status == DELETING, table.c.host == host)
            ).mappings()]


@session.guarded
def model_gone(model_id: str) -> None:
    """Forget a model whose weights are deleted."""
    table = models.MODELS
    with session.writer() as connection:
        connection.execute(table.delete().where(
            table.c.id == model_id, table.c.status == DELETING))


@session.guarded
def models_register(host: str, found: list[dict[str, Any]]) -> list[str]:
    """Write down models that have no row.

    :param host: name of the engine whose store has them
    :param found: of each what :meth:`Description.public` says of it
    :returns: names of those that are new, as ``detector/version``
    """
    table = models.MODELS
    with session.reader() as connection:
        known = {(row.detector, row.version) for row in connection.execute(
            sa.select(table.c.detector, table.c.version).where(
                table.c.version.is_not(None)))}
    new = []
    for document in found:
        name = (document['detector'], document['version'])
        if name not in known:
            _register(host, document)
            new.append('/'.join(name))
    return new


@session.guarded
def _register(host: str, document: dict[str, Any]) -> None:
    table = models.MODELS
    detector, version = document['detector'], document['version']
    shipped = document['origin'] == SHIPPED
    moment = _trained(document)
    with session.writer() as connection:
        # Another engine may have been faster since.
        if connection.execute(sa.select(table.c.id).where(
                table.c.detector == detector,
                table.c.version == version)).scalar() is not None:
            return
        connection.execute(table.insert().values(
            id=str(uuid.uuid5(_IDS, f'{detector}/{version}')),
            detector=detector, version=version,
            origin=SHIPPED if shipped else IMPORTED, status=rows.COMPLETE,
            host=None if shipped else host, project_id=None, user_id=None,
            sources=rows.dump([]), progress=None, error=None,
            created_at=moment, started_at=None, finished_at=moment,
            document=rows.dump(document), drift=None))


def _trained(document: dict[str, Any]) -> datetime.datetime:
    """When a model was trained, as the tables have it."""
    try:
        told = datetime.datetime.fromisoformat(document['trained_at'])
        return told.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return rows.utcnow()


@session.guarded
def model_progress(claim: jobs.Claim, progress: dict[str, Any]) -> None:
    """Write down how far a training is.

    :param claim: the job
    :param progress: what is done, the share that is done, and figures
    """
    table = models.MODELS
    with session.writer() as connection:
        connection.execute(table.update().where(
            table.c.id == claim.id,
            table.c.status == rows.RUNNING).values(
                progress=rows.dump(progress)))


@session.guarded
def model_measured(detector: str, version: str,
                   measured: dict[str, Any]) -> bool:
    """Write down how a model fits what is logged lately.

    :param measured: ``unseen_templates``, ``unseen_events``, ``psi``; what
        was not measured is None
    :returns: whether there is such a model
    """
    table = models.MODELS
    with session.writer() as connection:
        done = connection.execute(table.update().where(
            table.c.detector == detector, table.c.version == version).values(
                drift=rows.dump(measured | {
                    'measured_at': rows.iso(rows.utcnow())})))
        return bool(done.rowcount)


@session.guarded
def models_due(host: str, days: float) -> list[dict[str, Any]]:
    """Requests for models that are to be trained again.

    These are the active ones that an engine trained so long ago, where
    none of the detector is newer or being trained.

    :param host: name of the engine
    :param days: how long ago
    :returns: what was asked for the active one, without its times
    """
    table, requests = models.MODELS, models.JOBS
    before = rows.utcnow() - datetime.timedelta(days=days)
    with session.reader() as connection:
        ids = list(_active_ids(connection).values())
        old = connection.execute(sa.select(
            table.c.id, table.c.detector, table.c.sources,
            requests.c.request).select_from(table.outerjoin(
                requests, requests.c.id == table.c.id)).where(
                table.c.id.in_(ids), table.c.origin == TRAINED,
                table.c.host == host,
                table.c.finished_at < before)).mappings().all()
        newer = set(connection.execute(sa.select(table.c.detector).where(
            table.c.created_at >= before)).scalars())
    due = []
    for row in old:
        if row['detector'] not in newer:
            asked = json.loads(row['request']) if row['request'] else {}
            due.append({
                'detector': row['detector'],
                'sources': json.loads(row['sources']),
                'settings': asked.get('settings') or {}})
    return due


# Verdicts of operators


@session.guarded
def verdicts(project_id: str) -> list[dict[str, Any]]:
    """What operators said of reports, as labels to learn from.

    A cause that was found and is right, or partly, means harm in the time
    of the report; so does "nothing abnormal" that is wrong. "Nothing
    abnormal" that is right means none. The rest says nothing.

    :param project_id: whose verdicts
    :returns: ``since``, ``until`` and ``harmed`` of each
    """
    analyses, ratings = models.ANALYSES, models.RATINGS
    wanted = sa.select(
        analyses.c.verdict, ratings.c.rating, analyses.c.report).join(
            ratings, ratings.c.analysis_id == analyses.c.id).where(
                analyses.c.project_id == project_id,
                analyses.c.status == rows.COMPLETE).order_by(
                    ratings.c.updated_at.desc()).limit(_MOST_VERDICTS)
    labels = []
    with session.reader() as connection:
        for verdict, rating, report in connection.execute(wanted):
            harmed = {
                ('cause_found', 'right'): True,
                ('cause_found', 'partly'): True,
                ('nothing_abnormal', 'wrong'): True,
                ('nothing_abnormal', 'right'): False,
            }.get((verdict, rating))
            scope = json.loads(report or '{}').get('scope') or {}
            if harmed is not None and scope.get('since') \
                    and scope.get('until'):
                labels.append({'since': scope['since'],
                               'until': scope['until'], 'harmed': harmed})
    return labels
