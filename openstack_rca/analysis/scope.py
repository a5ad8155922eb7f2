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
"""What a question is about: its time, its entities, its words."""

import dataclasses
import datetime
import re
import zoneinfo

import polars as pl

from openstack_rca import exception
from openstack_rca.events import identity
from openstack_rca.events import schema
from openstack_rca.store import base as stores

_AGO = re.compile(r'^(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|'
                  r'hours?|d|days?)(?:\s+ago)?$', re.IGNORECASE)
#: Days of a length of time.
_LONGEST = 36525
_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
_STAMP = re.compile(
    r'(?:\b(?P<how>since|after|from|between|until|till|before|to|and)\s+)?'
    r'\b(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?'
    r'(?:Z|[+-]\d\d:?\d\d)?)(?!\d)', re.IGNORECASE)
_BEGINS = ('since', 'after', 'from', 'between')
_ENDS = ('until', 'till', 'before', 'to', 'and')
#: How much time before and after a moment that a question names counts.
_AROUND = datetime.timedelta(minutes=10)
_NAME = re.compile(
    r"\b(?:server|instance|vm|volume|network|image|port|host)s?\s+"
    r"[\"']?([A-Za-z0-9][\w.\-]*[\w])[\"']?", re.IGNORECASE)
_WORD = re.compile(r'[A-Za-z][A-Za-z0-9_]+')

#: Names of resources have no more characters.
_MOST_NAME = 255

#: Words of questions that name no resource.
_COMMON = frozenset((
    'in', 'from', 'is', 'are', 'was', 'went', 'goes', 'go', 'does', 'do',
    'not', 'stay', 'stays', 'to', 'fail', 'fails', 'failed', 'creation',
    'create', 'created', 'error', 'build', 'actions', 'on', 'with', 'and',
    'then', 'cannot', 'can', 'has', 'have', 'stuck', 'that', 'which', 'of',
    'start', 'list', 'hang', 'hangs', 'group', 'groups', 'type', 'set',
    'show', 'add', 'delete', 'remove', 'boot', 'the', 'a', 'for', 'at'))

#: Which services the words of a question point at.
_TOPICS = {
    'nova': ('server', 'servers', 'instance', 'instances', 'vm', 'vms',
             'boot', 'build', 'hypervisor', 'flavor', 'nova', 'migrate',
             'resize', 'host', 'keypair', 'compute'),
    'neutron': ('network', 'networks', 'port', 'ports', 'subnet', 'router',
                'floating', 'ip', 'neutron', 'dhcp', 'security', 'ssh',
                'reached', 'unreachable', 'ping', 'vif'),
    'cinder': ('volume', 'volumes', 'snapshot', 'snapshots', 'backup',
               'cinder', 'attach', 'detach'),
    'glance': ('image', 'images', 'glance', 'upload'),
    'keystone': ('token', 'tokens', 'login', 'password', 'keystone',
                 'authentication', 'identity', 'role', 'unauthorized'),
    'placement': ('placement', 'allocation', 'inventory'),
    'heat': ('stack', 'stacks', 'heat', 'template'),
}


@dataclasses.dataclass(frozen=True)
class Question:
    """What the operator asks.

    :param issue: in words
    :param since: first moment, aware
    :param until: last moment, aware
    :param request_ids: requests that it is about
    :param servers: UUIDs or names of servers that it is about
    :param services: projects or binaries that it is about
    :param mode: ``fast`` or ``full``
    :param own: the component that is blamed for the incident in question
    :param elsewhere: component and category of the causes of other incidents
        of that time
    """

    issue: str = ''
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    request_ids: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    mode: str = 'fast'
    own: str = ''
    elsewhere: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a question turned out to be about.

    :param since: first moment, UTC without a zone, or None
    :param until: last moment, or None
    :param requests: request ids named
    :param resources: UUIDs named or found behind a name
    :param names: names of resources
    :param services: projects that the words point at
    :param only_services: services that the caller restricts to
    :param words: words of the question, lower case
    :param asked: whether the times were given by the caller
    """

    since: datetime.datetime | None
    until: datetime.datetime | None
    requests: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...]
    services: tuple[str, ...]
    only_services: tuple[str, ...]
    words: frozenset[str]
    asked: bool


def naive(moment: datetime.datetime | None) -> datetime.datetime | None:
    """A moment as events hold it: UTC without a zone."""
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def parse_time(text: str, timezone: str = 'UTC',
               now: datetime.datetime | None = None) -> datetime.datetime:
    """A time as people write it.

    :param text: ISO 8601 with or without zone and seconds, a date, or a time
        span such as ``90m`` or ``2h ago``
    :param timezone: IANA name of the zone of times without one
    :param now: moment that spans count from; the present when None
    :raises InvalidInput: it is none of these
    """
    text = text.strip()
    now = now or datetime.datetime.now(datetime.UTC)
    span = _AGO.match(text)
    try:
        if span:
            return now - datetime.timedelta(
                seconds=float(span[1]) * _UNITS[span[2][0].lower()])
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
        return moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError, OSError,
            zoneinfo.ZoneInfoNotFoundError) as error:
        raise exception.InvalidInput(
            f"'{text}' is no time. Write it like 2026-11-21 02:40, "
            f'2026-11-21T02:40:00+01:00, or 90m for 90 minutes ago.'
        ) from error


def parse_span(text: str) -> datetime.timedelta:
    """A length of time as people write it.

    :param text: such as ``90m`` or ``7 days``
    :raises InvalidInput: it is none, or nothing, or too long
    """
    text = text.strip()
    span = _AGO.match(text)
    try:
        found = datetime.timedelta(seconds=float(span[1]) * _UNITS[
            span[2][0].lower()]) if span else None
    except OverflowError:
        found = None
    if (not found or text.lower().endswith('ago')
            or found > datetime.timedelta(days=_LONGEST)):
        raise exception.InvalidInput(
            f"'{text}' is no length of time. Write it like 90m, 12h or 7d.")
    return found


def check_order(since: datetime.datetime | None,
                until: datetime.datetime | None) -> None:
    """Refuse a time span that ends before it begins.

    :raises InvalidInput: it does
    """
    if since and until and since > until:
        raise exception.InvalidInput(
            f'--since ({since.isoformat()}) is after --until '
            f'({until.isoformat()}). Exchange them.')


def level_number(name: str) -> int:
    """The severity of a level name.

    :raises InvalidInput: there is no such level
    """
    number = schema.LEVELS.get(name.upper())
    if number is None:
        raise exception.InvalidInput(
            f"There is no level '{name}'. Use DEBUG, INFO, WARNING, ERROR "
            f'or CRITICAL.')
    return number


def template_number(name: str) -> int:
    """The number of a template id.

    :raises InvalidInput: it is no template id
    """
    try:
        number = int(name, 16)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 64:
        raise exception.InvalidInput(
            f"'{name}' is no template id, which has 16 hex digits.")
    return number


def identifiers(store: stores.Store, name: str) -> tuple[str, ...]:
    """The identifiers behind a UUID or a name.

    A name is looked up in the events that say it: notifications carry
    ``display_name`` beside the UUID.

    :raises InvalidInput: nothing has that name
    """
    found = identity.find_uuids(name)
    if found:
        return tuple(found)
    resources, _requests = _named(store, name)
    if not resources:
        raise exception.InvalidInput(
            f"No event names '{name}'. Use the UUID of the server.")
    return resources


def _named(store: stores.Store, name: str) -> tuple[
        tuple[str, ...], tuple[str, ...]]:
    """Resources and requests of the events that say a name."""
    if not 0 < len(name) <= _MOST_NAME:
        return (), ()
    pattern = rf'(?:^|[^\w.\-]){pl.escape_regex(name)}(?:[^\w\-]|$)'
    rows = store.scan().filter(pl.col('text').str.contains(pattern)).select(
        'timestamp', 'resources', 'request_id').sort(
            'timestamp').head(200).collect()
    resources: dict[str, int] = {}
    requests: dict[str, int] = {}
    for row in rows.iter_rows(named=True):
        # The first resource is what an event is about: a notification of
        # a server names its image, flavor and network behind it.
        own = [r for r in row['resources'] or ()
               if not r.startswith('req-')][:1]
        for resource in own:
            resources[resource] = resources.get(resource, 0) + 1
        if row['request_id']:
            requests[row['request_id']] = 1
    best = sorted(resources, key=lambda r: -resources[r])[:3]
    return tuple(best), tuple(requests)[:20]


def _check_services(services: tuple[str, ...],
                    store: stores.Store) -> None:
    """Refuse a question about services that logged nothing.

    :raises InvalidInput: no event is of one of them
    """
    for service in services:
        if store.query(stores.Query(services=(service,), limit=1)).height:
            continue
        known = sorted({r.binary or r.service
                        for r in store.files().values()} - {''})
        raise exception.InvalidInput(
            f"No event is of service '{service}'. There are: "
            f'{", ".join(known) or "none whose name is known"}.')


def _told_times(issue: str, store: stores.Store) -> tuple[
        datetime.datetime | None, datetime.datetime | None]:
    """The time span that the words of a question mean.

    Times without a zone are in UTC, as those of reports are. A span without
    any event does not count: the question then means another clock.
    """
    since: list[datetime.datetime] = []
    until: list[datetime.datetime] = []
    for found in _STAMP.finditer(issue):
        try:
            moment = naive(parse_time(found['time']))
            assert moment is not None
            how = (found['how'] or '').lower()
            if how in _BEGINS:
                since.append(moment)
            elif how in _ENDS:
                until.append(moment)
            else:
                since.append(moment - _AROUND)
                until.append(moment + _AROUND)
        except (exception.InvalidInput, OverflowError):
            continue
    first = min(since, default=None)
    last = max(until, default=None)
    if first and last and first > last:
        return None, None
    if (first or last) and not store.query(stores.Query(
            since=first, until=last, limit=1)).height:
        return None, None
    return first, last


def resolve(question: Question, store: stores.Store) -> Scope:
    """Find out what a question is about.

    :param question: what was asked
    :param store: where names are looked up
    :raises InvalidInput: its times contradict each other, or a server or
        a service that it names is unknown
    :raises UnknownRequest: no event carries a request id that it names
    """
    check_order(question.since, question.until)
    _check_services(question.services, store)
    issue = question.issue
    for request in question.request_ids:
        if not store.query(stores.Query(requests=(request,),
                                        limit=1)).height:
            raise exception.UnknownRequest(request_id=request)
    requests = [*question.request_ids]
    requests += [r for r in identity.find_requests(issue)
                 if r not in requests]
    resources = [*identity.find_uuids(issue)]
    for server in question.servers:
        resources += identifiers(store, server)
    names = [n for n in dict.fromkeys(_NAME.findall(issue))
             if n.lower() not in _COMMON and not identity.find_uuids(n)
             and re.search(r'[\d\-_.]', n)]
    for name in names:
        found, theirs = _named(store, name)
        resources += [r for r in found if r not in resources]
        requests += [r for r in theirs if r not in requests]
    words = frozenset(w.lower() for w in _WORD.findall(issue))
    services = tuple(s for s, keys in _TOPICS.items()
                     if words.intersection(keys))
    since, until = naive(question.since), naive(question.until)
    asked = since is not None or until is not None
    if not asked:
        since, until = _told_times(issue, store)
    return Scope(
        since=since, until=until, requests=tuple(requests),
        resources=tuple(dict.fromkeys(resources)), names=tuple(names),
        services=services, only_services=question.services, words=words,
        asked=asked)
