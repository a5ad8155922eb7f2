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
"""Who asked whom about what: the identity graph of events.

Nodes are requests, resources, processes and the components behind them. Two
requests are joined by what both services logged of the call: the global
request id, a request id that one names, the id of an RPC message, a call over
HTTP and its access line. Where nothing of that was logged, a call is guessed:
a change of a resource while one request of another service was at work on it,
or by the same user and project. Each join has a strength, and a way is as
strong as the product of its joins, so that a guess is not followed as far as
a global id.

Everything is one pass over the columns of events and joins of what it left;
no event is a Python object.
"""

from collections.abc import Iterable
import datetime
import functools

import polars as pl

from openstack_rca.analysis import components
from openstack_rca.events import schema
from openstack_rca.store import base as stores

#: How far each kind of join is trusted.
STRENGTHS = {
    # Both requests carry the id, or one logs the other's.
    'global': 1.0,
    'message': 0.95,
    'named': 0.9,
    'call': 0.8,
    # The only request that was at work on the resource at that time.
    'resource': 0.6,
    # One of several.
    'shared': 0.3,
    # The last one that the same user and project began before.
    'token': 0.35,
}
#: A way is followed while the product of its strengths is as much: through
#: any number of ids, one guess, and no two guesses.
LEAST = 0.5
_STEPS = 8
#: A request that names more others is a list of them.
_MOST_NAMED = 50
#: A resource that more requests touch says nothing of who calls whom.
_MOST_TOUCHING = 40
#: A user or project that stays idle for longer begins something new.
_IDLE = datetime.timedelta(seconds=60)
#: Time stamps of access lines of some services are whole seconds.
_SLACK = datetime.timedelta(seconds=1)
#: How long an answer over HTTP may take.
_ANSWER = datetime.timedelta(seconds=120)

#: What the word in front of an identifier says of it.
KINDS = {
    'servers': 'server', 'instance': 'server', 'instances': 'server',
    'server_uuid': 'server', 'device_id': 'server', 'allocations': 'server',
    'consumers': 'server', 'ports': 'port', 'port': 'port',
    'port_id': 'port', 'networks': 'network', 'network': 'network',
    'network_id': 'network', 'volumes': 'volume', 'volume': 'volume',
    'volume_id': 'volume', 'os-volume_attachments': 'volume',
    'images': 'image', 'image': 'image', 'subnets': 'subnet',
    'subnet': 'subnet', 'routers': 'router', 'router': 'router',
    'floatingips': 'floatingip', 'snapshots': 'snapshot',
    'snapshot': 'snapshot', 'attachments': 'attachment',
    'resource_providers': 'provider', 'backups': 'backup',
    'stacks': 'stack',
}
#: First word of a notification to the kind of what it is about.
_EVENTS = {'instance': 'server', 'compute': 'server', 'volume': 'volume',
           'snapshot': 'snapshot', 'image': 'image'}
#: Notifications of what somebody asked for.
_CHANGES = r'\.(?:create|update|delete)\b'
#: Loggers of what is about one server.
_OF_SERVER = (r'^nova\.(?:compute\.(?:manager|claims)$|'
              r'virt\.\w+(?:\.driver)?$)')
_UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
_IN_PATH = rf'[a-z_\-]+(?:/|=|%3D){_UUID}'
_IN_MESSAGE = (r'\b(instance|port|volume|image|network|router|snapshot)'
               r'(?: with id| ID| uuid|:)? <\*>')
#: Words of a template in which a message id or a call may stand.
_MESSAGE_IDS = '(?i)msg_?id'
_MESSAGE_ID = "(?i)msg_?id'?:? *u?'?([0-9a-f]{32})"
_CALLS = 'REQ: curl'
_CALL = r'REQ: curl .*?-X (\w+) "?https?://[^/ "]+(/[^ "]*)'

_EDGES = pl.Schema({'a': pl.String(), 'b': pl.String(), 'kind': pl.String(),
                    'strength': pl.Float64()})


class Graph:
    """Requests, resources and processes of some events, and their joins.

    :param events: events with the columns of ``schema.EVENTS``
    :param templates: templates, with the columns of ``schema.TEMPLATES``
    """

    def __init__(self, events: pl.LazyFrame,
                 templates: pl.DataFrame) -> None:
        self._all = events
        self._templates = templates
        # What stands in the text is costly to read: only what must is.
        self._events = events.select(
            'timestamp', 'kind', 'service', 'binary', 'host', 'level',
            'logger', 'request_id', 'global_request_id', 'user_id',
            'project_id', 'method', 'path', 'status', 'template', 'source',
            'line',
            pl.when(pl.col('resources').list.len() > 0).then('resources'),
        ).collect(engine='streaming')

    @classmethod
    def of(cls, store: stores.Store,
           query: stores.Query | None = None) -> 'Graph':
        """The graph of the events that a query wants.

        :param store: events
        :param query: which of them, all when None
        """
        return cls(store.narrow(query or stores.Query()), store.templates())

    # Nodes

    @functools.cached_property
    def steps(self) -> pl.DataFrame:
        """What each process did for each request.

        :returns: ``request``, ``service``, ``binary``, ``host``, ``first``,
            ``last``, ``events``, ``errors``
        """
        return self._events.lazy().filter(
            pl.col('request_id').is_not_null()).group_by(
                pl.col('request_id').alias('request'), 'service', 'binary',
                'host').agg(
                    first=pl.col('timestamp').min(),
                    last=pl.col('timestamp').max(), events=pl.len(),
                    errors=(pl.col('level') >= schema.ERROR).sum()).collect()

    @functools.cached_property
    def requests(self) -> pl.DataFrame:
        """Local requests.

        :returns: ``request``, ``global`` (the id that it was given by who
            asked, or null), ``user``, ``project``, ``service`` (of its
            first event), ``first``, ``last``, ``events``, ``errors``,
            ``method``, ``path``, ``status`` (of its access line, or null),
            ``changed`` (whether a notification tells that it changed
            something)
        """
        access = pl.all_horizontal(pl.col(n).is_not_null() for n in (
            'method', 'path', 'status'))
        # The greatest of values that are mostly equal is found while events
        # stream by, the first one is not.
        whole = self._events.lazy().filter(
            pl.col('request_id').is_not_null()).select(
                'timestamp', 'level', 'user_id', 'project_id',
                pl.col('request_id').alias('request'),
                pl.col('global_request_id').alias('global'),
                *[pl.when(access).then(n).alias(n)
                  for n in ('method', 'path', 'status')],
                changed=(pl.col('kind') == 'notification')
                & pl.col('logger').str.contains(_CHANGES)).group_by(
                    'request').agg(
                        pl.col('global').max(), user=pl.col('user_id').max(),
                        project=pl.col('project_id').max(),
                        first=pl.col('timestamp').min(),
                        last=pl.col('timestamp').max(), events=pl.len(),
                        errors=(pl.col('level') >= schema.ERROR).sum(),
                        method=pl.col('method').max(),
                        path=pl.col('path').max(),
                        status=pl.col('status').max(),
                        changed=pl.col('changed').any())
        begun = self.steps.lazy().group_by('request').agg(
            pl.col('service').get(pl.col('first').arg_min()))
        return whole.join(begun, on='request', how='left').collect(
            engine='streaming')

    @functools.cached_property
    def processes(self) -> pl.DataFrame:
        """Processes, told apart by program and host.

        :returns: ``service``, ``binary``, ``host``, ``component``,
            ``first``, ``last``, ``events``, ``errors``
        """
        rows = self._events.lazy().group_by('service', 'binary', 'host').agg(
            first=pl.col('timestamp').min(), last=pl.col('timestamp').max(),
            events=pl.len(),
            errors=(pl.col('level') >= schema.ERROR).sum()).sort(
                'first', 'binary', 'host').collect()
        return rows.with_columns(component=pl.Series(
            [components.of_binary(b or '') for b in rows['binary']],
            dtype=pl.String))

    @property
    def hosts(self) -> pl.DataFrame:
        """Hosts with what runs there.

        :returns: ``host``, ``binaries``, ``first``, ``last``, ``events``
        """
        return self.processes.filter(
            pl.col('host').fill_null('') != '').group_by(
                'host', maintain_order=True).agg(
                    binaries=pl.col('binary').unique().sort(),
                    first=pl.col('first').min(), last=pl.col('last').max(),
                    events=pl.col('events').sum())

    @property
    def needs(self) -> pl.DataFrame:
        """Which components those that logged depend on.

        :returns: ``component``, ``needs``
        """
        seen = self.processes['component'].unique().sort()
        pairs = [(c, n) for c in seen for n in components.NEEDS.get(c, ())]
        return pl.DataFrame(pairs, schema={
            'component': pl.String(), 'needs': pl.String()}, orient='row')

    @functools.cached_property
    def _named(self) -> pl.DataFrame:
        """Which request names which identifiers, once each."""
        return self._events.lazy().filter(
            pl.col('request_id').is_not_null()
            & pl.col('resources').is_not_null()).select(
                pl.col('request_id').alias('request'), 'resources').explode(
                    'resources').rename({'resources': 'name'}).group_by(
                        'request', 'name').agg(events=pl.len()).collect()

    @functools.cached_property
    def known(self) -> pl.DataFrame:
        """Resources whose kind something tells.

        :returns: ``resource``, ``kind``
        """
        first = pl.col('resources').list.first()
        events = self._events.lazy()
        votes = [
            # Nova's lines name the server in front of all else.
            events.filter((pl.col('kind') == 'log')
                          & pl.col('logger').str.contains(_OF_SERVER)
                          & pl.col('resources').is_not_null()).group_by(
                resource=first).agg(votes=pl.len()).with_columns(
                    kind=pl.lit('server')),
            # Neutron's do not say which of their ids is the thing's own.
            events.filter((pl.col('kind') == 'notification')
                          & pl.col('resources').is_not_null()).group_by(
                resource=first,
                kind=pl.col('logger').str.extract('^([a-z]+)').replace_strict(
                    _EVENTS, default=None, return_dtype=pl.String)).agg(
                        votes=pl.len() * 3),
            self._in_paths(), self._in_messages()]
        return pl.concat([
            v.select('resource', 'kind', pl.col('votes').cast(pl.Int64))
            for v in votes]).filter(
                pl.col('kind').is_not_null()
                & pl.col('resource').is_not_null()
                & ~pl.col('resource').str.starts_with('req-')).group_by(
                    'resource', 'kind').agg(pl.col('votes').sum()).sort(
                        'votes', 'kind', descending=[True, False]).unique(
                            'resource', keep='first').select(
                                'resource', 'kind').collect()

    def _in_paths(self) -> pl.LazyFrame:
        """Votes of the paths of access lines: ``/v2.0/ports/UUID``."""
        part = pl.col('path').str.extract_all(_IN_PATH)
        return self._events.lazy().filter(
            pl.col('path').str.contains('-', literal=True)).group_by(
                'path').agg(votes=pl.len()).select(
                    'votes', path=part).explode('path').filter(
                        pl.col('path').is_not_null()).select(
                            'votes',
                            resource=pl.col('path').str.tail(36),
                            kind=pl.col('path').str.extract(
                                '^([a-z_-]+?)(?:/|=|%3D)').replace_strict(
                                    KINDS, default=None,
                                    return_dtype=pl.String))

    def _in_messages(self) -> pl.LazyFrame:
        """Votes of messages: ``Attempt 1 to provision port UUID``."""
        words = self._templates.lazy().select(
            'template', kind=pl.col('pattern').str.extract(
                _IN_MESSAGE).replace_strict(
                    KINDS, default=None, return_dtype=pl.String)).filter(
                        pl.col('kind').is_not_null())
        # Where there is more than one identifier, none is certain.
        return self._events.lazy().filter(
            (pl.col('kind') == 'log')
            & (pl.col('resources').list.len() == 1)).select(
                'template', resource=pl.col('resources').list.first()).join(
                    words, on='template').group_by('resource', 'kind').agg(
                        votes=pl.len())

    @functools.cached_property
    def touches(self) -> pl.DataFrame:
        """Which request concerns which resource.

        :returns: ``request``, ``resource``, ``kind``, ``events``
        """
        return self._named.join(
            self.known, left_on='name', right_on='resource').rename(
                {'name': 'resource'}).select(
                    'request', 'resource', 'kind', 'events')

    def resources(self, kind: str | None = None) -> pl.DataFrame:
        """Resources, of one kind or all.

        :param kind: ``server``, ``port``, ``volume``, ``image``,
            ``network``, ...
        :returns: ``resource``, ``kind``, ``requests``
        """
        rows = self.known.join(self.touches.group_by('resource').agg(
            requests=pl.len()), on='resource', how='left').with_columns(
                pl.col('requests').fill_null(0))
        return rows if kind is None else rows.filter(pl.col('kind') == kind)

    def requests_of(self, resource: str) -> pl.DataFrame:
        """Requests that name a resource, in order of time.

        :param resource: its UUID
        :returns: rows of :attr:`requests`
        """
        mine = self._named.filter(pl.col('name') == resource)
        return self.requests.filter(pl.col('request').is_in(
            mine['request'].implode())).sort('first', 'request')

    def rows(self, requests: Iterable[str],
             without: pl.Series | None = None) -> pl.DataFrame:
        """Where the events of requests stand, and those that name them.

        :param requests: local or global ids
        :param without: requests whose events are left out all the same
        :returns: ``source``, ``line``
        """
        wanted = pl.Series(list(requests), dtype=pl.String).implode()
        mine = (pl.col('request_id').is_in(wanted)
                | pl.col('global_request_id').is_in(wanted))
        naming = self._events.lazy().filter(
            pl.col('resources').is_not_null()).select(
                'request_id', 'source', 'line', 'resources').explode(
                    'resources').filter(pl.col('resources').is_in(wanted))
        found = pl.concat([
            self._events.lazy().filter(mine.fill_null(False)).select(
                'request_id', 'source', 'line'),
            naming.select('request_id', 'source', 'line')]).unique()
        if without is not None and without.len():
            found = found.filter(
                pl.col('request_id').is_in(wanted).fill_null(True)
                | ~pl.col('request_id').is_in(without.implode()).fill_null(
                    False))
        return found.select('source', 'line').collect()

    # Joins

    @functools.cached_property
    def edges(self) -> pl.DataFrame:
        """Joins of requests.

        :returns: ``a``, ``b`` (request ids; of a join that has a direction
            the one that asked is ``a``), ``kind``, ``strength``
        """
        sure = pl.concat([self._global(), self._names(), self._messages(),
                          self._calls()])
        return pl.concat([sure, *self._guessed(sure)])

    def _edges(self, pairs: pl.DataFrame, kind: str) -> pl.DataFrame:
        return pairs.filter(pl.col('a') != pl.col('b')).select(
            'a', 'b').unique(maintain_order=True).with_columns(
                kind=pl.lit(kind), strength=pl.lit(STRENGTHS[kind]))

    def _global(self) -> pl.DataFrame:
        pairs = self._events.lazy().filter(
            pl.col('global_request_id').is_not_null()
            & pl.col('request_id').is_not_null()).select(
                a='global_request_id', b='request_id').unique().collect()
        return self._edges(pairs, 'global')

    def _names(self) -> pl.DataFrame:
        named = self._named.lazy().filter(
            pl.col('name').str.starts_with('req-')).select(
                a='request', b='name').collect()
        return self._edges(named.filter(
            pl.len().over('a') <= _MOST_NAMED), 'named')

    def _telling(self, words: str) -> pl.LazyFrame:
        """Events of requests whose template holds some words."""
        wanted = self._templates.filter(
            pl.col('pattern').str.contains(words))['template']
        if wanted.is_empty():
            return schema.empty().lazy()
        return self._all.filter(
            pl.col('request_id').is_not_null()
            & pl.col('template').is_in(wanted.implode()))

    def _messages(self) -> pl.DataFrame:
        """Requests that log the same RPC message, the first one asking."""
        rows = self._telling(_MESSAGE_IDS).select(
            'timestamp', 'request_id',
            message=pl.col('text').str.extract(_MESSAGE_ID)).filter(
                pl.col('message').is_not_null()).sort('timestamp').unique(
                    ['request_id', 'message'], keep='first',
                    maintain_order=True).collect(engine='streaming')
        asked = rows.unique('message', keep='first', maintain_order=True)
        return self._edges(rows.join(asked, on='message', suffix='_asked').
                           select(a='request_id_asked', b='request_id'),
                           'message')

    def _calls(self) -> pl.DataFrame:
        """Calls over HTTP and the one access line that fits each."""
        calls = self._telling(_CALLS).select(
            'timestamp', 'request_id', found=pl.col(
                'text').str.extract_groups(_CALL)).filter(
                    pl.col('found').struct.field('1').is_not_null()).select(
                        'timestamp', 'request_id',
                        method=pl.col('found').struct.field('1'),
                        path=pl.col('found').struct.field('2')).collect(
                            engine='streaming')
        served = self._events.filter(
            pl.col('status').is_not_null()
            & pl.col('method').is_not_null()
            & pl.col('request_id').is_not_null()).select(
                'method', 'path', b='request_id', end='timestamp')
        if calls.is_empty() or served.is_empty():
            return pl.DataFrame(schema=_EDGES)
        # Of equal calls at one time nobody can tell which is whose.
        pairs = calls.with_row_index('call').join(
            served, on=['method', 'path']).filter(
                (pl.col('end') >= pl.col('timestamp'))
                & (pl.col('end') <= pl.col('timestamp') + _ANSWER)).sort(
                    'end').unique('call', keep='first').filter(
                        pl.len().over('b') == 1)
        return self._edges(pairs.select('b', a='request_id'), 'call')

    def _guessed(self, sure: pl.DataFrame) -> list[pl.DataFrame]:
        """Changes that nobody logged to have asked for, and who may have.

        A look (GET) is never guessed: those who wait for a server ask for it
        again and again.
        """
        rows = self.requests
        # A service that logs global ids says so itself: its requests without
        # one are those of users.
        telling = rows.filter(
            pl.col('global').is_not_null())['service'].unique()
        lost = rows.filter(
            pl.col('global').is_null()
            & ~pl.col('service').is_in(telling.implode())
            & (pl.col('method').is_in(['POST', 'PUT', 'PATCH', 'DELETE'])
               | (pl.col('method').is_null() & pl.col('changed')))
            & ~pl.col('request').is_in(sure['b'].implode())
            & ~pl.col('request').is_in(sure.filter(
                pl.col('kind') == 'global')['a'].implode())).select(
                    'request', 'user', 'project', 'service', 'first', 'last')
        # Who asks is at work before, and still afterwards. Those who only
        # look change nothing elsewhere either.
        able = rows.filter(
            (pl.col('first') < pl.col('last'))
            & pl.col('user').is_not_null()
            & (pl.col('method').fill_null('') != 'GET')).select(
                'request', 'user', 'project', 'service', 'first', 'last')
        if lost.is_empty() or able.is_empty():
            return []
        return [*self._of_resource(lost, able), self._of_token(lost, able)]

    def _of_resource(self, lost: pl.DataFrame,
                     able: pl.DataFrame) -> list[pl.DataFrame]:
        touched = self.touches.filter(
            pl.len().over('resource') <= _MOST_TOUCHING)
        pairs = touched.lazy().select('request', 'resource').join(
            lost.lazy(), on='request').join(
                touched.lazy().select('request', 'resource').join(
                    able.lazy(), on='request'),
                on='resource', suffix='_a').filter(_asking()).select(
                    a='request_a', b='request').unique().collect()
        only = pl.len().over('b') == 1
        return [self._edges(pairs.filter(only), 'resource'),
                self._edges(pairs.filter(~only), 'shared')]

    def _of_token(self, lost: pl.DataFrame,
                  able: pl.DataFrame) -> pl.DataFrame:
        by = ['user', 'project']
        known = pl.all_horizontal(pl.col(n).is_not_null() for n in by)
        pairs = lost.filter(known).sort('first').join_asof(
            able.filter(known).sort('first').with_columns(
                first_a='first', service_a='service', last_a='last',
                request_a='request').select(
                    *by, 'first', 'first_a', 'service_a', 'last_a',
                    'request_a'),
            on='first', by=by, strategy='backward', tolerance=_IDLE,
            allow_exact_matches=False, check_sortedness=False).filter(
                pl.col('request_a').is_not_null()).filter(_asking())
        return self._edges(pairs.select(a='request_a', b='request'), 'token')

    # Ways

    def _start(self, request_id: str) -> set[str]:
        """Servers that a request is about, or those that share its id."""
        own = self.requests.filter(
            (pl.col('request') == request_id)
            | (pl.col('global') == request_id))['request']
        mine = self.touches.filter(
            (pl.col('kind') == 'server')
            & pl.col('request').is_in([request_id]))['resource']
        if mine.is_empty():
            mine = self.touches.filter(
                (pl.col('kind') == 'server')
                & pl.col('request').is_in(own.implode()))['resource']
        return set(mine.to_list())

    def foreign(self, request_id: str) -> pl.Series:
        """Requests that are about other servers alone.

        A context of a process that many requests go through (Neutron sends
        Nova the events of all servers in one, Nova looks after all servers
        in the context of its last request) leads to them.

        :param request_id: the request that is followed
        """
        servers = self._start(request_id)
        if not servers:
            return pl.Series(dtype=pl.String)
        return self.touches.filter(
            (pl.col('kind') == 'server')
            & (pl.col('request') != request_id)).group_by('request').agg(
                ours=pl.col('resource').is_in(sorted(servers)).any()).filter(
                    ~pl.col('ours'))['request']

    def path(self, request_id: str, least: float = LEAST) -> pl.DataFrame:
        """The requests that belong to one.

        Those that are about other servers alone are left out.

        :param request_id: local or global
        :param least: how strong a way has to be
        :returns: ``request`` (the global ids among them, too), ``strength``,
            ``kind`` (of the join that led to it, ``asked`` for the first),
            ``from`` (whence), in the order in which they were reached
        """
        edges = self.edges
        foreign = self.foreign(request_id).implode()
        edges = edges.filter(~pl.col('a').is_in(foreign)
                             & ~pl.col('b').is_in(foreign))
        # Guesses of different kinds for the same pair support each other.
        strong = pl.col('strength') >= least
        weak = edges.filter(~strong).group_by('a', 'b').agg(
            kind=pl.col('kind').sort().str.join('+'),
            strength=1 - (1 - pl.col('strength')).product()).select(
                *_EDGES).filter(strong)
        edges = pl.concat([edges.filter(strong), weak])
        both = pl.concat([edges, edges.select(
            a='b', b='a', kind='kind', strength='strength')])
        reached = pl.DataFrame(
            {'request': [request_id], 'strength': [1.0], 'kind': ['asked'],
             'from': [None]}, schema_overrides={'from': pl.String})
        fresh = reached
        for _ in range(_STEPS):
            fresh = both.join(
                fresh.select(a='request', so_far='strength'), on='a').select(
                    pl.col('b').alias('request'),
                    strength=pl.col('strength') * pl.col('so_far'),
                    kind='kind', **{'from': pl.col('a')}).filter(
                        (pl.col('strength') >= least)
                        & ~pl.col('request').is_in(
                            reached['request'].implode())).sort(
                                'strength', 'request',
                                descending=[True, False]).unique(
                                    'request', keep='first',
                                    maintain_order=True)
            if fresh.is_empty():
                break
            reached = pl.concat([reached, fresh])
        return reached

    def neighbours(self, node: str) -> pl.DataFrame:
        """What is one join away from a request, resource or component.

        :param node: request id, UUID, or the name of a component
        :returns: ``node``, ``type`` (``request``, ``resource``,
            ``component``), ``kind``, ``strength``
        """
        found = [
            self.edges.filter(pl.col('a') == node).select(
                pl.col('b').alias('node'), pl.lit('request').alias('type'),
                'kind', 'strength'),
            self.edges.filter(pl.col('b') == node).select(
                pl.col('a').alias('node'), pl.lit('request').alias('type'),
                'kind', 'strength'),
            self.touches.filter(pl.col('request') == node).select(
                pl.col('resource').alias('node'),
                pl.lit('resource').alias('type'), 'kind',
                pl.lit(1.0).alias('strength')),
            self.touches.filter(pl.col('resource') == node).select(
                pl.col('request').alias('node'),
                pl.lit('request').alias('type'), 'kind',
                pl.lit(1.0).alias('strength')),
            self.steps.filter(pl.col('request') == node).join(
                self.processes, on=['service', 'binary', 'host'],
                nulls_equal=True).select(
                    pl.col('component').alias('node'),
                    pl.lit('component').alias('type'),
                    pl.lit('logged').alias('kind'),
                    pl.lit(1.0).alias('strength')).unique(
                        maintain_order=True),
            self.needs.filter(pl.col('component') == node).select(
                pl.col('needs').alias('node'),
                pl.lit('component').alias('type'),
                pl.lit('needs').alias('kind'),
                pl.lit(1.0).alias('strength'))]
        return pl.concat(found)

    def servers_of(self, requests: Iterable[str]) -> pl.DataFrame:
        """Servers that requests are about.

        :returns: ``request``, ``resource``
        """
        return self.touches.filter(
            (pl.col('kind') == 'server')
            & pl.col('request').is_in(list(requests))).select(
                'request', 'resource')


def _asking() -> pl.Expr:
    """Whether a service that calls another was at work around a change."""
    return (pl.concat_str('service_a', 'service', separator='>').is_in(
                _CALLERS)
            & (pl.col('first_a') < pl.col('first'))
            & (pl.col('last_a') + _SLACK >= pl.col('first')))


#: Which service calls which; Neutron and Cinder tell Nova what is ready.
_CALLERS = sorted({'neutron>nova', 'cinder>nova'} | {
    f'{components.of_service(name)}>{components.of_service(needed)}'
    for name, needs in components.NEEDS.items() for needed in needs
    if components.of_service(name) != components.of_service(needed)})
