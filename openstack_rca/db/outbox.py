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
"""Rows of the outbox: what others are to be told.

What happens is written here in the transaction that makes it happen, so that
neither is there without the other. An engine hands it out to the targets
that it is configured with, as one more row for each; engines claim these by
compare-and-swap on the number of attempts, for a while by the clock of the
database. So each target is told at least once, of one subject in the order
in which things happened, and knows what it was told before by its id.

Each function but :func:`add` raises
:class:`exception.DatabaseUnavailable` when the database cannot be used.
"""

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import datetime
import json
import re
from typing import Any

from oslo_utils import uuidutils
import sqlalchemy as sa

from openstack_rca.db import clock
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session

WAITING = 'waiting'
SENT = 'sent'
FAILED = 'failed'

CREATE = 'rca.incident.create'
UPDATE = 'rca.incident.update'
RESOLVE = 'rca.incident.resolve'
COMPLETE = 'rca.analysis.complete'

_TIMES = ('created_at', 'updated_at', 'acknowledged_at', 'resolved_at',
          'started_at', 'finished_at', 'first_seen', 'last_seen')

#: What others are told. Titles, summaries and reasons may quote a log, and
#: stay; so does what looks like no id, name of a host or word of ours.
FIELDS: Mapping[str, tuple[str, ...]] = {
    'rca.incident.': (
        'id', 'project_id', 'analysis_id', 'status', 'component', 'category',
        'severity', 'host', 'confidence', 'origin', 'merged_into',
        'first_seen', 'last_seen', 'created_at', 'updated_at',
        'acknowledged_at', 'resolved_at'),
    'rca.analysis.': (
        'id', 'project_id', 'incident_id', 'status', 'verdict', 'component',
        'category', 'severity', 'host', 'confidence', 'created_at',
        'started_at', 'finished_at'),
}
_PLAIN = re.compile(r'[A-Za-z0-9][A-Za-z0-9._:-]{0,254}')

#: Rows that are handed out in one transaction.
_BATCH = 100


@dataclasses.dataclass(frozen=True)
class Item:
    """What one target is to be told, claimed by this engine.

    :param number: of the row
    :param id: of the event, whatever the target and the attempt
    :param event_type: such as ``rca.incident.create``
    :param payload: what is told
    :param created_at: when it happened, UTC without a zone
    :param attempt: which attempt this is, from 1
    """

    number: int
    id: str
    event_type: str
    payload: dict[str, Any]
    created_at: datetime.datetime
    attempt: int


def add(connection: sa.Connection, event_type: str,
        row: Mapping[str, Any]) -> str:
    """Have others told, once the transaction of somebody else is committed.

    :param connection: in that transaction
    :param event_type: ``rca.incident.create``, ``rca.incident.update``,
        ``rca.incident.resolve`` or ``rca.analysis.complete``
    :param row: the incident or the analysis as it is now, with more than
        others are told; times as the table or as the API has them
    :returns: the id of the event
    """
    event = uuidutils.generate_uuid()
    connection.execute(models.OUTBOX.insert().values(
        id=event, target='', event_type=event_type, subject=row['id'],
        place=0, payload=rows.dump(_payload(event_type, row)), state=WAITING,
        attempts=0, next_at=clock.now(), created_at=clock.now()))
    return event


def _payload(event_type: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """What others may know of a row."""
    fields = FIELDS[event_type.rpartition('.')[0] + '.']
    told: dict[str, Any] = {}
    for name in fields:
        value = row.get(name)
        if name in _TIMES:
            # The tables have a time without a zone, the API a text.
            value = (rows.iso(value) if isinstance(value, datetime.datetime)
                     else value and datetime.datetime.fromisoformat(
                         value).isoformat())
        elif name == 'confidence':
            value = None if value is None else float(value)
        else:
            value = _plain(value)
        told[name] = value
    return told


def _plain(value: Any) -> str | None:
    """A word, where it is one."""
    text = '' if value is None else str(value)
    return text if _PLAIN.fullmatch(text) else None


@session.guarded
def hand_out(targets: Mapping[str, Collection[str]]) -> int:
    """Hand out what happened to those who are to be told.

    :param targets: the types of events that each one is told
    :returns: how much was handed out, at most a batch
    """
    table = models.OUTBOX
    fresh = sa.and_(table.c.state == WAITING, table.c.target == '')
    with session.reader() as connection:
        # Mostly there is nothing, and SQLite has one writer.
        if connection.execute(sa.select(table.c.number).where(
                fresh).limit(1)).first() is None:
            return 0
    with session.writer() as connection:
        found = connection.execute(sa.select(table).where(fresh).order_by(
            table.c.number).limit(_BATCH)).mappings().all()
        for row in found:
            mine = connection.execute(table.delete().where(
                table.c.number == row['number']))
            if not mine.rowcount:
                # Another engine did.
                continue
            for target, types in targets.items():
                if row['event_type'] in types:
                    connection.execute(table.insert().values({
                        **{name: row[name] for name in (
                            'id', 'event_type', 'subject', 'payload',
                            'created_at')},
                        'target': target, 'place': row['number'],
                        'state': WAITING, 'attempts': 0,
                        'next_at': clock.now()}))
    return len(found)


@session.guarded
def claim(target: str, lease: int) -> Item | None:
    """Take what a target is to be told next.

    :param target: who
    :param lease: seconds until others may try
    """
    table = models.OUTBOX
    before = table.alias()
    free = sa.and_(table.c.state == WAITING, table.c.target == target,
                   table.c.next_at <= clock.now())
    # Of one subject nothing is told before what came first: an incident is
    # not opened after it was resolved.
    first = ~sa.exists().where(
        before.c.state == WAITING, before.c.subject == table.c.subject,
        sa.or_(sa.and_(before.c.target == target,
                       before.c.place < table.c.place),
               sa.and_(before.c.target == '',
                       before.c.number < table.c.place)))
    with session.reader() as connection:
        # What failed goes behind what was not tried. Some more, for those
        # that another engine takes first.
        found = connection.execute(sa.select(table).where(
            free, first).order_by(table.c.next_at, table.c.place).limit(
                8)).mappings().all()
    for row in found:
        with session.writer() as connection:
            taken = connection.execute(table.update().where(
                free, table.c.number == row['number'],
                table.c.attempts == row['attempts']).values(
                    attempts=row['attempts'] + 1,
                    next_at=clock.now(lease)))
        if taken.rowcount:
            return Item(row['number'], row['id'], row['event_type'],
                        json.loads(row['payload']), row['created_at'],
                        row['attempts'] + 1)
    return None


def _held(item: Item) -> sa.ColumnElement[bool]:
    table = models.OUTBOX
    return sa.and_(table.c.number == item.number, table.c.state == WAITING,
                   table.c.attempts == item.attempt)


@session.guarded
def sent(item: Item) -> bool:
    """Write down that a target was told.

    :param item: what it was told
    :returns: whether this engine still had it
    """
    table = models.OUTBOX
    with session.writer() as connection:
        return bool(connection.execute(table.update().where(
            _held(item)).values(state=SENT, error=None,
                                done_at=clock.now())).rowcount)


@session.guarded
def put_off(item: Item, reason: str, seconds: int, age: int) -> bool:
    """Write down that a target could not be told.

    :param item: what it was to be told
    :param reason: why not, in words that hold no address and no secret
    :param seconds: until the next attempt
    :param age: seconds after which nobody tries any more
    :returns: whether that is so now
    """
    table = models.OUTBOX
    with session.writer() as connection:
        if connection.execute(table.update().where(
                _held(item), table.c.created_at < clock.now(-age)).values(
                    state=FAILED, error=reason,
                    done_at=clock.now())).rowcount:
            return True
        connection.execute(table.update().where(_held(item)).values(
            error=reason, next_at=clock.now(seconds)))
    return False


@session.guarded
def purge(age: int, keep: int, most: int = 1000) -> int:
    """Delete what was settled long ago.

    What has waited for twice the time in which it is tried belongs to a
    target that no engine has any more, and is given up.

    :param age: seconds in which a target is tried
    :param keep: seconds for which a settled row stays
    :param most: rows of one transaction
    :returns: how many were given up
    """
    table = models.OUTBOX
    with session.writer() as connection:
        lost: int = connection.execute(table.update().where(
            table.c.state == WAITING, table.c.target != '',
            table.c.next_at < clock.now(),
            table.c.created_at < clock.now(-2 * age)).values(
                state=FAILED, done_at=clock.now(),
                error='No engine has this target any more.')).rowcount
    while True:
        with session.writer() as connection:
            old = list(connection.execute(sa.select(table.c.number).where(
                table.c.done_at < clock.now(-keep)).limit(most)).scalars())
            connection.execute(table.delete().where(
                table.c.number.in_(old)))
        if len(old) < most:
            return lost
