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
"""One request's way through the services, and a server's whole story."""

import dataclasses
import datetime
from typing import Any

import polars as pl

from openstack_rca import exception
from openstack_rca.analysis import graph
from openstack_rca.analysis import operations
from openstack_rca.analysis import scope
from openstack_rca.events import identity
from openstack_rca.events import schema
from openstack_rca.store import base as stores

#: Events of one request or server that are shown at most.
LIMIT = 5000
_MOST_REQUESTS = 200
#: Events of a server that are read: those who wait for it ask again and
#: again, and these look-ups are left out.
_MOST_READ = 50_000
#: Notifications about a server.
_OF_SERVER = r'^(?:compute\.)?instance\.'


@dataclasses.dataclass
class Way:
    """The events of one request.

    :param request_ids: its local ids, the one asked for first
    :param global_request_id: the id that they share, or None
    :param events: in order of time, those without a time last
    :param services: one row a process: ``service``, ``binary``, ``host``,
        ``first``, ``last``, ``events``, ``errors``
    """

    request_ids: list[str]
    global_request_id: str | None
    events: pl.DataFrame
    services: list[dict[str, Any]]


@dataclasses.dataclass
class Story:
    """The life of one server.

    :param server: ``id``, ``name``, ``flavor``, ``image``, ``host``,
        ``state``, ``task_state`` as they were told last, and ``others``:
        servers of the same name
    :param operations: what was done to it, oldest first
    :param notes: what an operator should know beyond that, with a time
    :param looks: how often it was only looked at
    :param events: its events and those of the requests that changed it, in
        order of time
    :param services: as of a :class:`Way`
    """

    server: dict[str, Any]
    operations: list[operations.Operation]
    notes: list[dict[str, Any]]
    looks: int
    events: pl.DataFrame
    services: list[dict[str, Any]]


def follow(store: stores.Store, request_id: str) -> Way:
    """All events of a request, whoever logged them.

    Services that pass a global request id on share it; where they do not, a
    service that names another's request id in its own records is followed
    (Neutron's notifier names the request of Nova's answer, Nova logs the
    request id that a client library got back), and so are the other joins of
    :mod:`openstack_rca.analysis.graph`, as far as they are strong enough.

    :param store: where to look
    :param request_id: local or global request id, with ``req-`` in front
        or without
    :raises UnknownRequest: no event carries it
    """
    if identity.find_uuids(request_id):
        # An id without its prefix is that of a project or a user, too.
        request_id = f'req-{request_id}'
    whole = graph.Graph.of(store)
    known = whole.path(request_id)['request'].head(_MOST_REQUESTS).to_list()
    # Other servers' requests, under an id of this one, are none of it.
    places = whole.rows(known, whole.foreign(request_id)) \
        if request_id.startswith('req-') else pl.DataFrame()
    if places.is_empty():
        raise exception.UnknownRequest(request_id=request_id)
    events = _read(store, places)
    shared = events.filter(pl.col('request_id').is_in(known)
                           | pl.col('global_request_id').is_in(known))
    globals_ = shared['global_request_id'].drop_nulls().unique(
        maintain_order=True).to_list()
    local = set(shared['request_id'].drop_nulls().to_list())
    own = shared.filter(pl.col('request_id') == request_id)[
        'global_request_id'].drop_nulls().to_list()
    main = request_id if request_id in globals_ else next(
        iter([*own, *globals_]), None)
    return Way(
        # A service that begins a request lends its local id to the others.
        request_ids=[r for r in known if r not in globals_
                     or r in local],
        global_request_id=main, events=events, services=_services(events))


def _read(store: stores.Store, places: pl.DataFrame) -> pl.DataFrame:
    """The first events at some places, in order of time.

    Lines that no record in front of them dates come last.
    """
    return store.scan().filter(
        pl.col('source').is_in(places['source'].unique().implode())
        & pl.col('line').is_in(places['line'].unique().implode())).join(
            places.lazy(), on=['source', 'line'], how='semi').sort(
                'timestamp', 'source', 'line', nulls_last=True).head(
                    LIMIT).collect(engine='streaming')


def story(store: stores.Store, server: str) -> Story:
    """The life of a server: what was done to it, and how that went.

    :param store: where to look
    :param server: UUID or name
    :raises InvalidInput: no event names it
    """
    uuid, others = _server(store, server)
    mine = store.query(stores.Query(resources=(uuid,), limit=_MOST_READ))
    if mine.is_empty():
        raise exception.InvalidInput(
            f"No event names the server {uuid}. Check the UUID and the time "
            f"range; 'openstack rca source list' shows what was read.")
    looked = _looks(mine)
    looks = int(looked.sum())
    mine = mine.filter(~looked)
    # Those that name the server only because they look for something else,
    # or are the context of a process, are told by what they log of it.
    asking = _asking(mine)
    more = store.query(stores.Query(requests=tuple(asking), limit=LIMIT)) \
        if asking else mine.head(0)
    shown = pl.concat([mine, more.filter(~_looks(more))]).unique(
        ['source', 'line', 'offset'], maintain_order=True).filter(
            ~_of_others(uuid)).sort(
                'timestamp', 'source', 'line', nulls_last=True)
    records = store.files().values()
    until = _last(r.until for r in records)
    binaries = {r.binary for r in records}
    found, loose = operations.read(
        shown.filter(pl.col('timestamp').is_not_null()).iter_rows(
            named=True), until, 'nova-compute' in binaries)
    told = _told(uuid, others, shown, server)
    return Story(told, found, _notes(found, loose, told), looks,
                 shown.head(LIMIT), _services(shown))


def _looks(events: pl.DataFrame) -> pl.Series:
    """Which events are somebody's look at the server that worked."""
    return events.select(
        (pl.col('status').is_not_null() & (pl.col('status') < 500)
         & pl.col('method').is_in(['GET', 'HEAD'])
         & (pl.col('level') < schema.WARNING)).fill_null(False)
    ).to_series()


def _of_others(uuid: str) -> pl.Expr:
    """Events of the same requests that are about something else.

    A service goes on with other servers under the id of its last request.
    """
    tagged = ((pl.col('service') == 'nova')
              & pl.col('text').str.contains('[instance: ', literal=True)
              & ~pl.col('resources').list.contains(uuid))
    told = ((pl.col('kind') == 'notification')
            & pl.col('logger').str.contains(_OF_SERVER)
            & (pl.col('resources').list.first() != uuid))
    return (tagged | told).fill_null(False)


def _asking(mine: pl.DataFrame) -> list[str]:
    """Requests of users that concern a server, in order of time."""
    return mine.filter(
        pl.col('request_id').is_not_null() & pl.col('user_id').is_not_null()
        & (pl.col('service') == 'nova')
        & ~pl.col('path').str.contains(
            'os-server-external-events', literal=True).fill_null(False)
        & ~pl.col('logger').str.ends_with(
            'server_external_events').fill_null(False))[
                'request_id'].unique(maintain_order=True).head(
                    _MOST_REQUESTS).to_list()


def _server(store: stores.Store, name: str) -> tuple[str, list[str]]:
    """The UUID of a server, and others of its name, the newest first."""
    found = identity.find_uuids(name)
    if found:
        return found[0], []
    known = tuple(scope.identifiers(store, name))
    rows = store.narrow(stores.Query(resources=known)).filter(
        (pl.col('kind') == 'notification')
        & pl.col('logger').str.contains(_OF_SERVER)
        & pl.col('text').str.contains(name, literal=True)).group_by(
            uuid=pl.col('resources').list.first()).agg(
                last=pl.col('timestamp').max()).sort(
                    'last', 'uuid', descending=True).collect()
    uuids = rows['uuid'].to_list() or list(known)
    return uuids[0], uuids[1:]


def _last(times: Any) -> datetime.datetime | None:
    found = max((t for t in times if t), default=None)
    return datetime.datetime.fromisoformat(found) if found else None


def _told(uuid: str, others: list[str], events: pl.DataFrame,
          name: str) -> dict[str, Any]:
    """What was told last of the server."""
    rows = events.filter(
        (pl.col('kind') == 'notification')
        & pl.col('logger').str.contains(_OF_SERVER))
    found: dict[str, Any] = {
        'id': uuid, 'name': None if identity.find_uuids(name) else name,
        'flavor': None, 'image': None, 'host': None, 'state': None,
        'task_state': None, 'others': others}
    for row in rows.tail(400).iter_rows(named=True):
        facts = operations.facts_of(row)
        if facts.state:
            found |= {'state': facts.state, 'task_state': facts.task,
                      'host': facts.host or found['host']}
        for key in ('flavor', 'image', 'name'):
            found[key] = getattr(facts, key) or found[key]
    return found


def _notes(found: list[operations.Operation],
           loose: list[operations.Mark],
           told: dict[str, Any]) -> list[dict[str, Any]]:
    """What no operation says."""
    notes: list[dict[str, Any]] = []
    seen: set[str] = set()
    for item in loose:
        row = item.row
        if item.stage == 'state' and item.facts.state == 'error':
            text = 'the server went to ERROR outside of any operation'
            if 'error' in seen:
                continue
            seen.add('error')
        elif item.stage == 'error' and item.text not in seen:
            seen.add(item.text)
            text = item.text
        else:
            continue
        notes.append({'row': row, 'text': text})
    last = next((o for o in reversed(found)
                 if o.outcome == operations.FINISHED
                 and o.name not in ('lock', 'unlock')), None)
    if last is not None and last.name == 'resize' \
            and told['state'] == 'resized':
        notes.append({'row': last.marks[-1].row, 'text':
                      'the resize waits to be confirmed or reverted'})
    if told['state'] == 'error' and not any(
            o.outcome == operations.FAILED for o in found) and not notes:
        notes.append({'row': None, 'text':
                      'the server is in ERROR, and no record says why'})
    return notes


def _services(events: pl.DataFrame) -> list[dict[str, Any]]:
    rows = events.group_by('service', 'binary', 'host',
                           maintain_order=True).agg(
        first=pl.col('timestamp').min(), last=pl.col('timestamp').max(),
        events=pl.len(), errors=(pl.col('level') >= 40).sum())
    return [{**r, **{name: r[name].isoformat() + '+00:00'
                     if r[name] else None for name in ('first', 'last')}}
            for r in rows.sort('first', nulls_last=True,
                               maintain_order=True).iter_rows(named=True)]
