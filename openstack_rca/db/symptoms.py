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
"""Rows of symptoms: what engines see in the logs before anybody asks.

The same symptom seen again within five minutes is the same row. What is told
twice, as after a restart, changes nothing.

Each function raises :class:`exception.DatabaseUnavailable` when the database
cannot be used.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import datetime
import hashlib
import json
from typing import Any

from oslo_utils import uuidutils
import sqlalchemy as sa

from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session

#: For so long after its last sight a symptom is the same one.
_SAME = datetime.timedelta(minutes=5)
#: Characters of a reason.
_WHY = 2000

#: What makes a symptom the same one, on one engine.
_IDENTITY = ('detector', 'service', 'binary', 'event_host', 'template',
             'sign')
_LENGTHS = {'detector': 64, 'version': 64, 'service': 64, 'binary': 255,
            'event_host': 255, 'template': 16, 'sign': 16, 'why': _WHY}


@session.guarded
def record(host: str,
           found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write symptoms down.

    :param host: name of the engine
    :param found: of each ``detector``, ``version``, ``service``,
        ``binary``, ``event_host``, ``template``, ``since``, ``until``,
        ``sign``, ``score`` and ``why``; times are ISO 8601, UTC
    :returns: those that are new
    """
    new = []
    with session.writer() as connection:
        for symptom in found:
            _, _, news, again = _put(connection, _row(host, symptom))
            if news and not again:
                new.append(dict(symptom))
    return new


def see(connection: sa.Connection, host: str,
        symptom: Mapping[str, Any]) -> tuple[str, str | None, bool]:
    """Write a symptom down, in a transaction of somebody else.

    :param connection: of the transaction
    :param host: name of the engine
    :param symptom: as :func:`record` takes it
    :returns: the id of the row, its incident, and whether it says more than
        was known
    """
    name, incident, news, _ = _put(connection, _row(host, symptom))
    return name, incident, news


def _put(connection: sa.Connection,
         row: dict[str, Any]) -> tuple[str, str | None, bool, bool]:
    """Write a row, or extend the one of a symptom that is known.

    :returns: its id, its incident, whether it says more than was known, and
        whether it was known
    """
    table = models.SYMPTOMS
    rows_before = connection.execute(sa.select(
        table.c.id, table.c.since, table.c.until, table.c.score,
        table.c.why, table.c.count, table.c.incident_id).where(
            table.c.dedup == row['dedup'],
            table.c.since <= row['until'] + _SAME,
            table.c.until >= row['since'] - _SAME).order_by(
                table.c.since.desc()).limit(2)).mappings().all()
    if not rows_before:
        connection.execute(table.insert().values(row))
        return row['id'], None, True, False
    before = rows_before[0]
    # What lies before is the affair of an older row, where there is one.
    since = before['since'] if len(rows_before) > 1 else min(
        row['since'], before['since'])
    again = since < before['since'] or row['until'] > before['until']
    worse = row['score'] > before['score']
    if again or worse:
        connection.execute(table.update().where(
            table.c.id == before['id']).values(
                since=since,
                until=max(row['until'], before['until']),
                score=max(row['score'], before['score']),
                why=row['why'] if worse else before['why'],
                version=row['version'], updated_at=row['updated_at'],
                count=before['count'] + again))
    return before['id'], before['incident_id'], again, True


def _row(host: str, symptom: Mapping[str, Any]) -> dict[str, Any]:
    """A symptom as the table has it."""
    now = rows.utcnow()
    identity = json.dumps([host, *(symptom[n] for n in _IDENTITY)])
    return {
        'id': uuidutils.generate_uuid(), 'host': host,
        'dedup': hashlib.blake2b(identity.encode(),
                                 digest_size=16).hexdigest(),
        **{name: rows.clip(symptom[name], most)
           for name, most in _LENGTHS.items()},
        'since': moment(symptom['since']),
        'until': moment(symptom['until']),
        'score': float(symptom['score']), 'count': 1, 'created_at': now,
        'updated_at': now}


def moment(text: str) -> datetime.datetime:
    """A time as the tables have it: UTC without a zone.

    :param text: ISO 8601; UTC where it tells no zone
    """
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is None:
        return found
    return found.astimezone(datetime.UTC).replace(tzinfo=None)
