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
            row = _row(host, symptom)
            if not _seen_again(connection, row):
                connection.execute(models.SYMPTOMS.insert().values(row))
                new.append(dict(symptom))
    return new


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
        'since': _moment(symptom['since']),
        'until': _moment(symptom['until']),
        'score': float(symptom['score']), 'count': 1, 'created_at': now,
        'updated_at': now}


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _seen_again(connection: sa.Connection, row: dict[str, Any]) -> bool:
    """Extend the row of a symptom that is known.

    :returns: whether there is one
    """
    table = models.SYMPTOMS
    before = connection.execute(sa.select(
        table.c.id, table.c.since, table.c.until, table.c.score,
        table.c.why, table.c.count).where(
            table.c.dedup == row['dedup'],
            table.c.since <= row['until'] + _SAME,
            table.c.until >= row['since'] - _SAME).order_by(
                table.c.since.desc()).limit(1)).mappings().first()
    if before is None:
        return False
    again = (row['since'] < before['since']
             or row['until'] > before['until'])
    worse = row['score'] > before['score']
    if again or worse:
        connection.execute(table.update().where(
            table.c.id == before['id']).values(
                since=min(row['since'], before['since']),
                until=max(row['until'], before['until']),
                score=max(row['score'], before['score']),
                why=row['why'] if worse else before['why'],
                version=row['version'], updated_at=row['updated_at'],
                count=before['count'] + again))
    return True
