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
"""One request's way through the services."""

import dataclasses
from typing import Any

import polars as pl

from openstack_rca import exception
from openstack_rca.events import identity
from openstack_rca.store import base as stores

#: Events of one request that are followed at most.
LIMIT = 5000
#: A request calls others, which call others: so many steps are followed.
_STEPS = 4
_MOST_REQUESTS = 200


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


def follow(store: stores.Store, request_id: str) -> Way:
    """All events of a request, whoever logged them.

    Services that pass a global request id on share it; where they do not, a
    service that names another's request id in its own records is followed
    (Neutron's notifier names the request of Nova's answer, Nova logs the
    request id that a client library got back).

    :param store: where to look
    :param request_id: local or global request id, with ``req-`` in front
        or without
    :raises UnknownRequest: no event carries it
    """
    if identity.find_uuids(request_id):
        # An id without its prefix is that of a project or a user, too.
        request_id = f'req-{request_id}'
    known: list[str] = [request_id]
    asked: set[str] = set()
    for _ in range(_STEPS):
        fresh = tuple(r for r in known if r not in asked)
        if not fresh or len(known) > _MOST_REQUESTS:
            break
        asked |= set(fresh)
        rows = store.narrow(stores.Query(requests=fresh)).select(
            'request_id', 'global_request_id', 'resources').unique(
                maintain_order=False).head(LIMIT).collect()
        named = rows['resources'].explode().drop_nulls()
        ids = pl.concat([
            rows['request_id'].drop_nulls(),
            rows['global_request_id'].drop_nulls(),
            named.filter(named.str.starts_with('req-'))]).unique()
        known += [r for r in sorted(ids.to_list()) if r not in known]
    known = known[:_MOST_REQUESTS]
    events = store.query(stores.Query(requests=tuple(known), limit=LIMIT))
    if events.is_empty():
        raise exception.UnknownRequest(request_id=request_id)
    shared = events.filter(pl.col('request_id').is_in(known)
                           | pl.col('global_request_id').is_in(known))
    globals_ = shared['global_request_id'].drop_nulls().unique(
        maintain_order=True).to_list()
    local = set(shared['request_id'].drop_nulls().to_list())
    own = shared.filter(pl.col('request_id') == request_id)[
        'global_request_id'].drop_nulls().to_list()
    main = request_id if request_id in globals_ else next(
        iter([*own, *globals_]), None)
    # Lines that no record in front of them dates come last.
    events = events.sort('timestamp', nulls_last=True, maintain_order=True)
    return Way(
        # A service that begins a request lends its local id to the others.
        request_ids=[r for r in known if r not in globals_
                     or r in local],
        global_request_id=main, events=events, services=_services(events))


def _services(events: pl.DataFrame) -> list[dict[str, Any]]:
    rows = events.group_by('service', 'binary', 'host',
                           maintain_order=True).agg(
        first=pl.col('timestamp').min(), last=pl.col('timestamp').max(),
        events=pl.len(), errors=(pl.col('level') >= 40).sum())
    return [{**r, **{name: r[name].isoformat() + '+00:00'
                     if r[name] else None for name in ('first', 'last')}}
            for r in rows.sort('first', nulls_last=True,
                               maintain_order=True).iter_rows(named=True)]
