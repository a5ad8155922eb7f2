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
"""How well the service serves, computed from the rows that it has.

What operators said of reports is a label for evaluation, and with the times
of incidents it makes the figures. Deleted and purged rows count no more.

Each function raises :class:`exception.DatabaseUnavailable` when the database
cannot be used.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import datetime
import json
import statistics
from typing import Any

import sqlalchemy as sa

from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session

#: Rows that are held at once: reports are long.
_MOST_ROWS = 200


@session.guarded
def figures(since: datetime.datetime | None = None,
            project_id: str | None = None) -> dict[str, Any]:
    """What the judgements and the times of incidents come to.

    Of several judgements of an analysis the last one counts. The first
    symptom of an incident is the earliest that a detector saw of what the
    report of its analysis cites for the first cause.

    :param since: only what was judged, and incidents that were opened, from
        then on, UTC without a zone; None for all
    :param project_id: only of this project; None for all
    :returns: ``rated`` with the counts of ``right``, ``partly`` and
        ``wrong``, ``helpful`` as the share that is right; ``incidents``;
        and of ``symptom_to_incident``, ``incident_to_analysis`` and
        ``incident_to_resolution`` the ``count`` and the ``median`` in
        seconds. A share or a median of nothing is None.
    """
    with session.reader() as connection:
        given = [row['rating'] for row in _verdicts(
            connection, since, project_id)]
        taken: dict[str, list[float]] = {
            'symptom_to_incident': [], 'incident_to_analysis': [],
            'incident_to_resolution': []}
        count = 0
        for incident in _incidents(connection, since, project_id):
            count += 1
            created = incident['created_at']
            for name, begin, end in (
                    ('symptom_to_incident',
                     _first_symptom(connection, incident), created),
                    ('incident_to_analysis', created,
                     _first_analysis(connection, incident)),
                    ('incident_to_resolution', created,
                     incident['resolved_at'])):
                if begin is not None and end is not None:
                    # An incident may be opened by the analysis, and clocks
                    # differ: nothing ends before it begins.
                    taken[name].append(max(
                        0.0, (end - begin).total_seconds()))
    return {
        'rated': len(given),
        **{name: given.count(name) for name in ('right', 'partly', 'wrong')},
        'helpful': given.count('right') / len(given) if given else None,
        'incidents': count,
        **{name: {'count': len(all_),
                  'median': statistics.median(all_) if all_ else None}
           for name, all_ in taken.items()}}


@session.guarded
def labels(since: datetime.datetime | None = None,
           project_id: str | None = None) -> list[dict[str, Any]]:
    """What operators said of reports, beside what these said.

    :param since: only what was judged from then on, UTC without a zone;
        None for all
    :param project_id: only of this project; None for all
    :returns: of each analysis that was judged, the oldest judgement first:
        ``analysis_id``, ``project_id``, ``issue``; what the report says as
        ``verdict``, ``component``, ``category`` and ``confidence``;
        ``rating``, the last word on it; ``cause`` and ``true_component`` as
        the operator told them, which for a report that is right is what it
        says, otherwise None where nothing was told; ``comment`` and
        ``rated_at``
    """
    table = models.ANALYSES
    found = []
    with session.reader() as connection:
        for some in _parts(_verdicts(connection, since, project_id)):
            told = {row['id']: row for row in connection.execute(sa.select(
                *(table.c[name] for name in (
                    'id', 'issue', 'verdict', 'component', 'category',
                    'confidence'))).where(table.c.id.in_(
                        [r['analysis_id'] for r in some]))).mappings()}
            for rating in some:
                row = told[rating['analysis_id']]
                right = rating['rating'] == 'right'
                cause = rating['cause']
                if right and not cause:
                    first = _first(_report(connection, row['id']))
                    cause = first.get('cause')
                found.append({
                    'analysis_id': row['id'],
                    'project_id': rating['project_id'],
                    **{name: row[name] for name in (
                        'issue', 'verdict', 'component', 'category',
                        'confidence')},
                    'rating': rating['rating'], 'cause': cause,
                    'true_component': rating['component'] or (
                        row['component'] if right else None),
                    'comment': rating['comment'],
                    'rated_at': rows.iso(rating['updated_at'])})
    return found


def _verdicts(connection: sa.Connection, since: datetime.datetime | None,
              project_id: str | None) -> list[sa.RowMapping]:
    """The last word on each analysis, the oldest first."""
    table = models.RATINGS
    statement = sa.select(table).order_by(
        table.c.updated_at, table.c.analysis_id, table.c.user_id)
    if since is not None:
        statement = statement.where(table.c.updated_at >= since)
    if project_id is not None:
        statement = statement.where(table.c.project_id == project_id)
    last: dict[str, sa.RowMapping] = {}
    for row in connection.execute(statement).mappings():
        last.pop(row['analysis_id'], None)
        last[row['analysis_id']] = row
    return list(last.values())


def _incidents(connection: sa.Connection, since: datetime.datetime | None,
               project_id: str | None) -> Iterator[sa.RowMapping]:
    table = models.INCIDENTS
    statement = sa.select(*(table.c[name] for name in (
        'id', 'analysis_id', 'created_at', 'resolved_at')))
    if since is not None:
        statement = statement.where(table.c.created_at >= since)
    if project_id is not None:
        statement = statement.where(table.c.project_id == project_id)
    return iter(connection.execute(statement).mappings().all())


def _first_analysis(connection: sa.Connection, incident: sa.RowMapping
                    ) -> datetime.datetime | None:
    """When the first analysis of an incident was complete."""
    table = models.ANALYSES
    found: datetime.datetime | None = connection.execute(sa.select(
        sa.func.min(table.c.finished_at)).where(
            table.c.status == rows.COMPLETE, sa.or_(
                table.c.id == incident['analysis_id'],
                table.c.incident_id == incident['id']))).scalar()
    return found


def _first_symptom(connection: sa.Connection, incident: sa.RowMapping
                   ) -> datetime.datetime | None:
    """When detectors saw the first of what the first cause is proved by."""
    report = _report(connection, incident['analysis_id'])
    cited = set(_first(report).get('evidence') or ())
    seen = [e for e in report.get('evidence') or ()
            if e.get('timestamp') and (not cited or e.get('id') in cited)]
    if not seen:
        return None
    table = models.SYMPTOMS
    times = [datetime.datetime.fromisoformat(e['timestamp']).astimezone(
        datetime.UTC).replace(tzinfo=None) for e in seen]
    about: list[sa.ColumnElement[bool]] = [table.c.template.in_(
        sorted({e['template'] for e in seen if e.get('template')}))]
    # Others are about a process as a whole.
    for binary, host in sorted({
            (e['binary'], e.get('host') or '') for e in seen
            if e.get('binary')}):
        process: list[sa.ColumnElement[bool]] = [
            table.c.template.is_(None), table.c.binary == binary]
        if host:
            process.append(table.c.event_host == host)
        about.append(sa.and_(*process))
    found: datetime.datetime | None = connection.execute(sa.select(
        sa.func.min(table.c.since)).where(
            table.c.since <= max(times), table.c.until >= min(times),
            sa.or_(*about))).scalar()
    return found


def _report(connection: sa.Connection,
            analysis_id: str | None) -> dict[str, Any]:
    table = models.ANALYSES
    text = analysis_id and connection.execute(sa.select(
        table.c.report).where(table.c.id == analysis_id)).scalar()
    report: dict[str, Any] = json.loads(text) if text else {}
    return report


def _first(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (report.get('hypotheses') or [{}])[0]
    return found


def _parts(values: Sequence[sa.RowMapping]
           ) -> Iterable[Sequence[sa.RowMapping]]:
    return (values[at:at + _MOST_ROWS]
            for at in range(0, len(values), _MOST_ROWS))
