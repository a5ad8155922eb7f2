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
"""The features that learned detectors see, and what is normal for them.

Everything is relative to recordings in which nobody was harmed: what they
never said, what their requests are always followed by, how long these take.
How many records call themselves an error is not among the features, since
that is what a harmless fault and a failure have in common.

A *key* is what a process says, coarser than a template: process, logger and
the first words of the template; for an access record process, method, class
of the path and status. So a key survives other ids, numbers and patch
levels. A *class* of requests is process, method and class of the path.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import functools
import math
import re
from typing import Any
from typing import NamedTuple
from typing import Self

import numpy as np
import polars as pl

from openstack_rca import exception
from openstack_rca.detectors import base
from openstack_rca.events import schema
from openstack_rca.store import base as stores


class Feature(NamedTuple):
    """A feature.

    :param family: what it is about
    :param definition: how it is computed
    """

    family: str
    definition: str


#: Every feature in the order of a vector.
FEATURES: dict[str, Feature] = {
    'answers_5xx': Feature(
        'latency and status', 'Answers with HTTP 500 or more.'),
    'refused_changes': Feature(
        'latency and status',
        'Answers 400 to 499 to POST, PUT, PATCH and DELETE.'),
    'refused_reads': Feature(
        'latency and status',
        'Answers 400 to 499 to a GET whose path names a UUID.'),
    'new_answers': Feature(
        'context', 'Distinct keys of access records with a status of 400 or '
        'more that normal recordings lack.'),
    'new_debug': Feature(
        'text', 'Distinct keys of level DEBUG, or of no level, that normal '
        'recordings lack.'),
    'new_info': Feature(
        'text', 'Distinct keys of level INFO that normal recordings lack.'),
    'new_warning': Feature(
        'text', 'Distinct keys of level WARNING that normal recordings '
        'lack.'),
    'tracebacks': Feature(
        'text', 'Tracebacks in records below ERROR.'),
    'error_states': Feature(
        'resource', 'Records below ERROR that speak of a status or a state '
        '"error".'),
    'polling': Feature(
        'rate and burst', 'The longest time over which a client asked an '
        'API process for one thing by its UUID, three times or more, not 45 '
        's apart, and got an answer of the same status and length; divided '
        'by the 99th percentile of normal times of its class and 10 s.'),
    'latency': Feature(
        'time', 'The longest latency of a request, divided by the 99th '
        'percentile of its class, which counts as half a second at least.'),
    'lack_weight': Feature(
        'request', 'The most that one request lacks: the sum of -log(1 - p + '
        '1/n) over the keys that the share p of n like requests has.'),
    'lack_requests': Feature(
        'request', 'Requests that lack a key which 98 % of at least 30 like '
        'requests have.'),
    'lack_share': Feature(
        'sequence', 'The largest share of what is expected of a request that '
        'one lacks.'),
    'resource_weight': Feature(
        'resource', 'As lack_weight, over what other processes than APIs say '
        'of a resource within a minute after a request has made or changed '
        'it.'),
    'resource_requests': Feature(
        'resource', 'Requests after which the other processes do not say of '
        'a resource what they say after 98 % of at least 30 like requests.'),
    'resource_share': Feature(
        'sequence', 'The largest share of what is expected of a resource '
        'after a request that is lacking.'),
}

#: No count says more than so many.
_MOST = 50.0

#: A relation holds for so many of the like, of which there are so many.
_HOLDS = 0.98
_LIKE = 30
#: What may hold once the recordings of one group are left out.
_ALMOST = 0.95
#: How much later than 99 % of the like something has to be to be lacking.
_LATER = 1.5
_SLACK = 5.0
#: Seconds for which a change of a resource is followed.
_FOLLOWED = 60.0
#: Seconds before the time in question in which its first requests may have
#: begun.
_LEAD = datetime.timedelta(seconds=60)
_INSTANT = datetime.timedelta(microseconds=1)
#: Requests of a class that tell how long these take.
_TIMED = 20
_LEAST_LATENCY = 0.5
#: Polling: questions, seconds between them, seconds added to what is usual.
_POLLS = 3
_POLL_GAP = 45.0
_POLL_SLACK = 10.0
#: Characters of a message that are looked at, and words of a template.
_MESSAGE = 600
_WORDS = 12

_UUID = r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
_ID = rf'{_UUID}|[0-9a-f]{{32}}'
_STATE = (r"(?i)(?:status|state)['\"]?\]?\s*(?::|=|to|is)\s*"
          r"u?['\"]?error\b")
_LENGTH = r'(?:len: |generated )(\d+)'
_CHANGES = ('POST', 'PUT', 'PATCH', 'DELETE')
#: Changes that are not asked for by a user.
_INTERNAL = 'external-events|/tokens'
_API = r'-api$'
#: Reads of these are part of every request.
_NOT_POLLED = 'placement|metadata'
_FRONT = 'api|keystone|neutron-server|registry|metadata'
_WHO = ('service', 'binary', 'host', 'template')

_MASK = re.compile(r'<[^<>]{0,40}>')
#: Where Python is installed is no matter.
_FILE = re.compile(r'(?:/[\w.+<>*-]{1,80}){2,20}\.py')
_QUOTED = re.compile(r"'[^']*'|\"[^\"]{0,300}\"")
_NESTED = re.compile(r'[\[{(].*')
_TOLD = re.compile(r'\b\w*(?:state|status|description)=[^\s=]{1,40}')
_WORD = re.compile(r'[^\W\d_]{3,}')


@dataclasses.dataclass(frozen=True)
class Tables:
    """What features are computed from, of one recording.

    Moments are seconds since the first event.

    :param start: of the first event; None where there is none
    :param events: how many there are
    :param keys: what was said: ``k``, ``key``, ``words``, who said it first,
        when, how often, how bad
    :param requests: ``r``, ``class``, ``begin``, ``left`` (seconds of log
        after its begin), ``latency``, ``change``, who answered
    :param said: ``r``, ``k``, ``delay`` of each key of each request
    :param followed: ``r``, ``class``, ``left`` of each change that resources
        are followed after
    :param after: ``r``, ``k``, ``delay`` of what was said of its resources
    :param polls: ``class``, ``times``, ``seconds`` of each series of like
        answers to one question
    :param marks: events that are a sign by themselves, by ``feature``
    """

    start: datetime.datetime | None
    events: int
    keys: pl.DataFrame
    requests: pl.DataFrame
    said: pl.DataFrame
    followed: pl.DataFrame
    after: pl.DataFrame
    polls: pl.DataFrame
    marks: pl.DataFrame


@functools.lru_cache(maxsize=65536)
def words(pattern: str) -> str:
    """The first words of a template, without what varies.

    :param pattern: of the template
    """
    line = _MASK.sub(' ', _FILE.sub(' ', pattern.partition('\n')[0]))
    if len(line) > 200:
        line = _NESTED.sub(' ', line)
    line = _QUOTED.sub(' ', line)
    return ' '.join(_WORD.findall(line)[:_WORDS]).lower()


@functools.lru_cache(maxsize=65536)
def notified(pattern: str) -> str:
    """The words of a notification: its type, and the states that it tells.

    Which names it has beside depends on what the resource has.

    :param pattern: of the template
    """
    kind, _, rest = pattern.partition(' ')
    return ' '.join(_WORD.findall(f'{kind} {" ".join(_TOLD.findall(rest))}')
                    ).lower()


def _path_class(path: pl.Expr) -> pl.Expr:
    """A path without ids, numbers, and what is asked for."""
    return (path.str.replace(r'\?.*$', '?')
            .str.replace(r'https?://[^/]+', '')
            .str.replace_all(_ID, '#')
            .str.replace_all(r'/[^/?]*\d[^/?]*', '/*'))


def tables(store: stores.Store, query: stores.Query) -> Tables:
    """Read a recording.

    :param store: its events
    :param query: which of them
    :raises StoreError: the store cannot be read
    """
    return _tabled(*_events(store, query))


def windows(store: stores.Store, query: stores.Query, seconds: float,
            most: int | None = None) -> Iterator[tuple[int, Tables]]:
    """Read a recording in windows, one after the other.

    What is left over at the end belongs to the last window.

    :param store: its events
    :param query: which of them
    :param seconds: length of a window, 0 for all of it in one
    :param most: read so many windows at most: half of them from the
        beginning, half of them from the end
    :returns: number and tables of each
    :raises StoreError: the store cannot be read
    """
    if not seconds:
        yield 0, tables(store, query)
        return
    first, last = store.narrow(query).select(
        first=pl.col('timestamp').min(),
        last=pl.col('timestamp').max()).collect().row(0)
    if first is None:
        return
    step = datetime.timedelta(seconds=seconds)
    count = max(1, math.floor((last - first) / step))
    wanted = range(count)
    parts = [wanted]
    if most is not None and count > most:
        parts = [wanted[:most - most // 2], wanted[count - most // 2:]]
    for part in filter(len, parts):
        begin = first + part[0] * step
        end = last if part[-1] == count - 1 else (
            first + (part[-1] + 1) * step - _INSTANT)
        frame, early = _events(store, dataclasses.replace(
            query, since=begin, until=end))
        moments = pl.concat([early['timestamp'], frame['timestamp']])
        frame = pl.concat([early, frame], how='diagonal')
        for n in part:
            since = first + n * step
            until = end if n == part[-1] else since + step - _INSTANT
            low, inside, high = (
                moments.search_sorted(since - _LEAD, 'left'),
                moments.search_sorted(since, 'left'),
                moments.search_sorted(until, 'right'))
            yield n, _tabled(frame[inside:high], frame[low:inside])


def _events(store: stores.Store, query: stores.Query) -> tuple[
        pl.DataFrame, pl.DataFrame]:
    """The events of a recording with their keys, in order of time.

    :returns: what was asked for, and what lies shortly before it
    """
    wide = query
    if query.since is not None:
        wide = dataclasses.replace(query, since=query.since - _LEAD)
    # Records of one microsecond keep the order in which they were read.
    frame = store.narrow(wide).filter(
        pl.col('timestamp').is_not_null()).select(
            'timestamp', 'service', 'binary', 'host', 'level', 'logger',
            'request_id', 'resources', 'method', 'path', 'status', 'latency',
            'template', 'kind',
            traceback=pl.col('text').str.contains(
                'Traceback (most recent call last)', literal=True),
            state=schema.message().str.slice(0, _MESSAGE).str.contains(
                _STATE),
            size=pl.when(pl.col('method') == 'GET').then(
                pl.col('text')).str.extract(_LENGTH)).collect(
                    engine='streaming').sort('timestamp', maintain_order=True)
    early = 0
    if query.since is not None:
        early = int(frame['timestamp'].search_sorted(query.since, 'left'))
    return (_keyed(frame[early:], store.templates()),
            frame[:early].select('timestamp', 'request_id'))


def _tabled(frame: pl.DataFrame, early: pl.DataFrame) -> Tables:
    """What features need of events.

    :param frame: of :func:`_events`
    :param early: what lies before them: requests may have begun there
    """
    start = frame['timestamp'].min()
    if not isinstance(start, datetime.datetime):
        start = None
    t = (pl.col('timestamp') - pl.lit(start, pl.Datetime('us'))
         ).dt.total_microseconds() / 1e6
    frame = frame.with_columns(t=t)
    begun = pl.concat([
        early.select('request_id', t=t), frame.select('request_id', 't')
    ]).group_by('request_id').agg(begin=pl.col('t').min())
    requests = _requests(frame, begun)
    asked = frame.select('request_id', 'k', 't').join(
        requests.select('request_id', 'r', 'begin', 'change'),
        on='request_id')
    said = asked.group_by('r', 'k').agg(
        delay=(pl.col('t') - pl.col('begin')).min())
    followed, after = _followed(frame, requests)
    return Tables(start, frame.height, _spoken(frame, asked), requests,
                  said, followed, after, _polls(frame), _marks(frame))


def _keyed(frame: pl.DataFrame, templates: pl.DataFrame) -> pl.DataFrame:
    """Number the keys of events, and class their paths."""
    paths = frame.select('path').unique().with_columns(
        place=_path_class(pl.col('path')))
    frame = frame.join(paths, on='path', how='left')
    parts = ['binary', 'logger', 'template', 'method', 'place', 'status',
             'kind']
    combined = frame.select(parts).unique()
    used = templates.select('template', 'pattern').join(
        combined.select('template', 'kind').unique(), on='template').unique(
            ['template', 'kind'])
    told = pl.col('pattern')
    used = used.select('template', 'kind', words=pl.when(
        pl.col('kind') == 'notification').then(told.map_elements(
            notified, return_dtype=pl.String)).otherwise(told.map_elements(
                words, return_dtype=pl.String)))
    access = pl.col('method').is_not_null()
    combined = combined.join(used, on=['template', 'kind'],
                             how='left').with_columns(
        pl.col('words').fill_null('')).with_columns(
            key=pl.when(access).then(pl.format(
                '{}|{} {} {}', pl.col('binary').fill_null(''), 'method',
                pl.col('place').fill_null(''),
                pl.col('status').cast(pl.String).fill_null('-')))
            .otherwise(pl.format(
                '{}|{}|{}', pl.col('binary').fill_null(''),
                pl.col('logger').fill_null(''), 'words')),
            words=pl.when(access).then(pl.format(
                '{} {}', 'method', pl.col('place').fill_null('')))
            .otherwise('words'))
    combined = combined.with_columns(
        k=(pl.col('key').rank('dense') - 1).cast(pl.UInt32))
    return frame.join(combined, on=parts, how='left', nulls_equal=True,
                      maintain_order='left')


def _requests(frame: pl.DataFrame, begun: pl.DataFrame) -> pl.DataFrame:
    """The requests that users made, and their classes."""
    named = frame.filter(pl.col('request_id').is_not_null())
    access = named.filter(pl.col('method').is_not_null())
    columns = ['request_id', *_WHO, 'method', 'path', 'class', 'status',
               'latency', 'answered']
    whose = pl.col('binary').fill_null('')
    told = access.group_by('request_id', maintain_order=True).agg(
        *(pl.col(name).first() for name in (*_WHO, 'method', 'path')),
        pl.format('{}|{} {}', whose, 'method',
                  pl.col('place').fill_null('')).first().alias('class'),
        pl.col('status').max(), pl.col('latency').max(),
        answered=pl.col('t').last()).select(columns)
    # Where the access log names no request, the first that an API process
    # says of one tells what it is.
    mute = named.filter(whose.str.contains(_API)).join(
        access.select('binary').unique(), on='binary', how='anti').join(
            told, on='request_id', how='anti')
    untold = mute.group_by('request_id', maintain_order=True).agg(
        *(pl.col(name).first() for name in (*_WHO, 'method', 'path')),
        pl.col('key').first().alias('class'), pl.col('status').max(),
        pl.col('latency').max(), answered=pl.col('t').last()).select(columns)
    end = frame['t'].max()
    return pl.concat([told, untold]).join(
        begun, on='request_id').filter(pl.col('begin') >= 0).sort(
            'begin', 'request_id').with_columns(
                left=pl.lit(end, pl.Float64) - pl.col('begin'),
                latency=pl.col('latency').cast(pl.Float64).fill_null(0.0),
                change=pl.col('method').is_in(_CHANGES).fill_null(False)
                & ~pl.col('class').str.contains(_INTERNAL)).with_row_index(
                    'r')


def _spoken(frame: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """What was said, each key once."""
    by = asked.group_by('k').agg(changing=pl.col('change').any())
    return frame.group_by('k').agg(
        pl.col('key').first(), pl.col('words').first(),
        *(pl.col(name).first() for name in _WHO),
        pl.col('level').max().fill_null(0), pl.col('traceback').any(),
        pl.col('status').max().fill_null(0),
        count=pl.len(), first=pl.col('t').min(), last=pl.col('t').max(),
        get=(pl.col('method') == 'GET').any().fill_null(False),
        notified=(pl.col('kind') == 'notification').any().fill_null(False),
        access=pl.col('method').is_not_null().any()).join(
            by, on='k', how='left').with_columns(
                asked=pl.col('changing').is_not_null(),
                changing=pl.col('changing').fill_null(False)).sort('k')


def _followed(frame: pl.DataFrame, requests: pl.DataFrame) -> tuple[
        pl.DataFrame, pl.DataFrame]:
    """What other processes say of resources that requests changed."""
    changes = requests.filter('change').select(
        'request_id', 'r', 'class', 'path', 'begin', 'left')
    named = frame.filter(pl.col('resources').list.len() > 0).select(
        'k', 't', 'request_id', 'binary', resource='resources').explode(
            'resource')
    named = named.filter(pl.col('resource').is_not_null())
    made = named.group_by('resource', maintain_order=True).agg(
        pl.col('request_id').first())
    pairs = pl.concat([
        made.join(changes, on='request_id').select('resource', 'r'),
        changes.select(
            pl.col('path').str.extract_all(_UUID).alias('resource'),
            'r').explode('resource').filter(
                pl.col('resource').is_not_null()),
    ]).unique()
    begins = changes.select('r', 'begin')
    touched = pl.concat([
        named.join(changes.select('request_id', 'r'), on='request_id')
        .select('resource', 'r'), pairs]).unique().join(begins, on='r')
    # What the next change of a resource brings is not owed to this one.
    pairs = pairs.join(changes.select('r', 'class', 'begin', 'left'), on='r')
    later = pairs.select('resource', 'r', 'begin').join(
        touched.select('resource', next='begin'), on='resource').filter(
            pl.col('next') > pl.col('begin')).group_by('resource', 'r').agg(
                pl.col('next').min())
    pairs = pairs.join(later, on=['resource', 'r'], how='left').with_columns(
        left=pl.min_horizontal(
            pl.lit(_FOLLOWED), 'left', pl.col('next') - pl.col('begin')))
    after = pairs.join(
        named.filter(~pl.col('binary').fill_null('').str.contains(_FRONT))
        .select('resource', 'k', 't'), on='resource').with_columns(
            delay=pl.col('t') - pl.col('begin')).filter(
                pl.col('delay').is_between(0, pl.col('left'))).group_by(
                    'r', 'k').agg(pl.col('delay').min())
    followed = pairs.group_by('r', 'class').agg(pl.col('left').max()).sort(
        'r')
    return followed, after


def _polls(frame: pl.DataFrame) -> pl.DataFrame:
    """Series of the same answer to the same question."""
    asked = frame.filter(
        (pl.col('method') == 'GET')
        & pl.col('binary').str.contains(_API)
        & ~pl.col('binary').str.contains(_NOT_POLLED)
        & pl.col('path').str.contains(_UUID)).sort(
            'binary', 'path', 't', maintain_order=True)
    whose = ['binary', 'path']
    same = (pl.col('size').eq_missing(pl.col('size').shift())
            & pl.col('status').eq_missing(pl.col('status').shift())
            & (pl.col('t') - pl.col('t').shift() < _POLL_GAP)).over(whose)
    return asked.with_columns(
        series=(~same.fill_null(False)).cum_sum()).group_by('series').agg(
            *(pl.col(name).first() for name in _WHO),
            pl.format('{}|{}', pl.col('binary').first(),
                      pl.col('place').first()).alias('class'),
            times=pl.len(), since=pl.col('t').min(),
            until=pl.col('t').max()).with_columns(
                seconds=pl.col('until') - pl.col('since')).sort('series')


def _marks(frame: pl.DataFrame) -> pl.DataFrame:
    """Events that are a sign by themselves."""
    low = pl.col('level').fill_null(0) < schema.ERROR
    refused = pl.col('status').is_between(400, 499)
    signs = {
        'answers_5xx': pl.col('status') >= 500,
        'refused_changes': refused & pl.col('method').is_in(_CHANGES),
        'refused_reads': refused & (pl.col('method') == 'GET')
        & pl.col('path').str.contains(_UUID),
        'tracebacks': pl.col('traceback') & low,
        'error_states': pl.col('state') & low,
    }
    return pl.concat([
        frame.filter(sign).select(
            *_WHO, 't', 'method', 'place', 'status', 'words',
            feature=pl.lit(name)) for name, sign in signs.items()])


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What is normal.

    :param recordings: how many it was learned from
    :param keys: ``key``, ``id``, ``docs`` (recordings that have it)
    :param classes: ``class``, ``c``, ``usual`` (99th percentile of the
        latency, infinite where too few are known)
    :param polls: ``class``, ``usual`` (99th percentile of the seconds)
    :param polled: the 99.5th percentile of all classes
    :param relations: ``kind`` (0 of requests, 1 of resources), ``c``,
        ``id``, ``within`` (seconds after which it is late), ``watched``
        (like requests), ``held`` (those of them that have it)
    :param own_recordings: recordings of each group
    :param own_keys: ``group``, ``id``, ``docs``
    :param own_relations: ``group``, ``relation``, ``watched``, ``held``
    """

    recordings: int
    keys: pl.DataFrame
    classes: pl.DataFrame
    polls: pl.DataFrame
    polled: float
    relations: pl.DataFrame
    own_recordings: Mapping[str, int] = dataclasses.field(
        default_factory=dict)
    own_keys: pl.DataFrame | None = None
    own_relations: pl.DataFrame | None = None

    @classmethod
    def learn(cls, normal: Iterable[tuple[str, Tables]]) -> Self:
        """Learn from recordings in which nobody was harmed.

        :param normal: group and tables of each
        """
        read = list(normal)
        names = sorted({group for group, _ in read})
        number = {name: n for n, name in enumerate(names)}
        keys = pl.concat([pl.DataFrame(schema={
            'key': pl.String(), 'group': pl.Int32()})] + [
                t.keys.select('key', group=pl.lit(
                    number[group], pl.Int32)) for group, t in read])
        known = keys.group_by('key').agg(docs=pl.len()).sort(
            'key').with_row_index('id')
        own = keys.join(known, on='key').group_by('group', 'id').agg(
            docs=pl.len()).sort('group', 'id')
        times = pl.concat([pl.DataFrame(schema={
            'class': pl.String(), 'latency': pl.Float64()})] + [
                t.requests.select('class', 'latency') for _, t in read])
        usual = pl.col('latency').quantile(0.99, 'linear').clip(
            _LEAST_LATENCY)
        classes = times.group_by('class').agg(
            usual=pl.when(pl.len() >= _TIMED).then(usual).otherwise(
                float('inf'))).sort('class').with_row_index('c')
        series = pl.concat([pl.DataFrame(schema={
            'class': pl.String(), 'seconds': pl.Float64()})] + [
                t.polls.select('class', 'seconds') for _, t in read])
        polls = series.group_by('class').agg(
            pl.len().alias('n'),
            usual=pl.col('seconds').quantile(0.99, 'linear')).filter(
                pl.col('n') >= _TIMED).sort('class').select('class', 'usual')
        polled = series['seconds'].quantile(0.995, 'linear')
        parts = [_relations(kind, read, number, known, classes)
                 for kind in (0, 1)]
        relations = pl.concat([p[0] for p in parts])
        shift = parts[0][0].height
        groups = pl.concat([parts[0][1], parts[1][1].with_columns(
            relation=pl.col('relation') + shift)])
        counted: dict[str, int] = {}
        for group, _ in read:
            counted[group] = counted.get(group, 0) + 1
        named = pl.DataFrame({'name': names}, schema={'name': pl.String()}
                             ).with_row_index('group').cast(
                                 {'group': pl.Int32()})
        return cls(
            len(read), known, classes, polls, float(polled or 0.0),
            relations, counted,
            own.join(named, on='group').select(
                pl.col('name').alias('group'), 'id', 'docs'),
            groups.join(named, on='group').select(
                pl.col('name').alias('group'), 'relation', 'watched',
                'held'))

    def without(self, group: str) -> 'Baseline':
        """What is normal when one group is left out.

        Percentiles of times stay, since one group hardly moves them.

        :param group: of recordings; one that is not known changes nothing
        """
        if not self.own_recordings.get(group):
            return self
        if self.own_keys is None or self.own_relations is None:
            raise ValueError('the groups of the baseline were not kept')
        mine = pl.col('group') == group
        keys = self.keys.join(
            self.own_keys.filter(mine).select('id', own='docs'), on='id',
            how='left', maintain_order='left').select(
                'id', 'key', docs=pl.col('docs') - pl.col('own').fill_null(0))
        relations = self.relations.with_row_index('relation').join(
            self.own_relations.filter(mine).select(
                'relation', less='watched', fewer='held'), on='relation',
            how='left', maintain_order='left').with_columns(
                watched=pl.col('watched') - pl.col('less').fill_null(0),
                held=pl.col('held') - pl.col('fewer').fill_null(0)).drop(
                    'relation', 'less', 'fewer')
        return dataclasses.replace(
            self, recordings=self.recordings - self.own_recordings[group],
            keys=keys, relations=relations, own_recordings={},
            own_keys=None, own_relations=None)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, without the groups that are left out at will."""
        related = self.relations
        return {
            'key_docs': self.keys['docs'].to_numpy().astype(np.int32),
            'class_usual': self.classes['usual'].to_numpy().astype(
                np.float64),
            'poll_usual': self.polls['usual'].to_numpy().astype(np.float64),
            'relation_ids': related.select('kind', 'c', 'id').to_numpy()
            .astype(np.int32).reshape(-1, 3),
            'relation_within': related['within'].to_numpy().astype(
                np.float64),
            'relation_counts': related.select('watched', 'held').to_numpy()
            .astype(np.int32).reshape(-1, 2),
        }, {
            'recordings': self.recordings,
            'keys': self.keys['key'].to_list(),
            'classes': self.classes['class'].to_list(),
            'polls': self.polls['class'].to_list(),
            'polled': self.polled,
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """A baseline that was learned.

        :param arrays: of :meth:`state`
        :param metadata: of :meth:`state`
        :raises ModelError: they do not fit each other
        """
        try:
            names = {name: [str(v) for v in metadata[name]]
                     for name in ('keys', 'classes', 'polls')}
            for name, told in (('key_docs', 'keys'),
                               ('class_usual', 'classes'),
                               ('poll_usual', 'polls')):
                _shaped(name, arrays[name], (len(names[told]),))
            ids = arrays['relation_ids']
            _shaped('relation_ids', ids, (len(ids), 3))
            _shaped('relation_within', arrays['relation_within'],
                    (len(ids),))
            _shaped('relation_counts', arrays['relation_counts'],
                    (len(ids), 2))
            if len(ids) and (
                    ids.min() < 0 or ids[:, 0].max() > 1
                    or ids[:, 1].max() >= len(names['classes'])
                    or ids[:, 2].max() >= len(names['keys'])):
                raise ValueError('relation_ids points nowhere')
            return cls(
                int(metadata['recordings']),
                pl.DataFrame({'key': names['keys'],
                              'docs': arrays['key_docs'].tolist()},
                             schema={'key': pl.String(), 'docs': pl.Int64()}
                             ).with_row_index('id'),
                pl.DataFrame({'class': names['classes'],
                              'usual': arrays['class_usual'].tolist()},
                             schema={'class': pl.String(),
                                     'usual': pl.Float64()}
                             ).with_row_index('c'),
                pl.DataFrame({'class': names['polls'],
                              'usual': arrays['poll_usual'].tolist()},
                             schema={'class': pl.String(),
                                     'usual': pl.Float64()}),
                float(metadata['polled']),
                pl.DataFrame({
                    'kind': ids[:, 0].tolist(), 'c': ids[:, 1].tolist(),
                    'id': ids[:, 2].tolist(),
                    'within': arrays['relation_within'].tolist(),
                    'watched': arrays['relation_counts'][:, 0].tolist(),
                    'held': arrays['relation_counts'][:, 1].tolist(),
                }, schema=_RELATIONS))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise exception.ModelError(
                name='baseline', reason=f'{error}. Train it again.'
            ) from error

    def knows(self, read: Tables) -> float:
        """Which share of what a recording says is known, 0 to 1.

        :param read: of the recording
        """
        if not read.keys.height:
            return 0.0
        known = read.keys.join(self.keys.filter(pl.col('docs') > 0),
                               on='key', how='semi')
        return known.height / read.keys.height


_RELATIONS = {'kind': pl.UInt8(), 'c': pl.UInt32(), 'id': pl.UInt32(),
              'within': pl.Float64(), 'watched': pl.Int64(),
              'held': pl.Int64()}


def _shaped(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f'{name} is of shape {array.shape}, not {shape}')


def _relations(kind: int, read: list[tuple[str, Tables]],
               number: Mapping[str, int], known: pl.DataFrame,
               classes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What requests of a class nearly always have, and its delay.

    :returns: relations, and what each group adds to them
    """
    asked = [pl.DataFrame(schema={
        'rec': pl.Int32(), 'group': pl.Int32(), 'r': pl.UInt32(),
        'c': pl.UInt32(), 'left': pl.Float64()})]
    had = [pl.DataFrame(schema={
        'rec': pl.Int32(), 'r': pl.UInt32(), 'id': pl.UInt32(),
        'delay': pl.Float64()})]
    for n, (group, t) in enumerate(read):
        watched, said = ((t.requests, t.said), (t.followed, t.after))[kind]
        asked.append(watched.join(classes, on='class').select(
            pl.lit(n, pl.Int32).alias('rec'),
            pl.lit(number[group], pl.Int32).alias('group'), 'r', 'c',
            'left'))
        local = t.keys.select('k', 'key').join(known, on='key').select(
            'k', 'id')
        had.append(said.join(local, on='k').select(
            pl.lit(n, pl.Int32).alias('rec'), 'r', 'id', 'delay'))
    requests = pl.concat(asked)
    found = pl.concat(had).join(requests, on=['rec', 'r'])
    late = found.group_by('c', 'id').agg(
        n=pl.len(), delay=pl.col('delay').quantile(0.99, 'lower')).filter(
            pl.col('n') >= _LIKE).with_columns(
                within=pl.col('delay') * _LATER + _SLACK).sort('c', 'id')
    # Counted by class in sorted arrays: requests times keys would be large.
    sizes = np.zeros(late.height, np.int64)
    lefts = {int(c[0]): np.sort(part['left'].to_numpy())
             for c, part in requests.group_by('c')}
    of_class = late['c'].to_numpy()
    within = late['within'].to_numpy()
    for c in np.unique(of_class):
        rows = np.flatnonzero(of_class == c)
        sizes[rows] = len(lefts[int(c)]) - np.searchsorted(
            lefts[int(c)], within[rows], 'left')
    held = found.join(late.select('c', 'id', 'within'), on=['c', 'id']
                      ).filter(pl.col('left') >= pl.col('within'))
    late = late.with_columns(watched=pl.Series(sizes, dtype=pl.Int64)).join(
        held.group_by('c', 'id').agg(held=pl.len().cast(pl.Int64)),
        on=['c', 'id'], maintain_order='left').filter(
            (pl.col('watched') >= _LIKE)
            & (pl.col('held') >= _ALMOST * pl.col('watched')))
    relations = late.select(
        kind=pl.lit(kind, pl.UInt8), c='c', id='id', within='within',
        watched='watched', held='held')
    numbered = relations.with_row_index('relation')
    watching = requests.join(
        numbered.select('relation', 'c', 'within'), on='c').filter(
            pl.col('left') >= pl.col('within')).group_by(
                'group', 'relation').agg(watched=pl.len().cast(pl.Int64))
    holding = held.join(numbered.select('relation', 'c', 'id'),
                        on=['c', 'id']).group_by('group', 'relation').agg(
                            held=pl.len().cast(pl.Int64))
    groups = watching.join(holding, on=['group', 'relation'], how='left'
                           ).with_columns(pl.col('held').fill_null(0))
    return relations, groups


def _lacks(kind: int, read: Tables, normal: Baseline) -> tuple[
        pl.DataFrame, pl.DataFrame]:
    """What requests lack that their like have.

    :returns: ``r``, ``key``, ``weight``, ``share`` of the like for each
        that is lacking; ``r``, ``needed`` of each request
    """
    watched, said = ((read.requests, read.said),
                     (read.followed, read.after))[kind]
    share = pl.col('held') / pl.col('watched')
    holding = normal.relations.filter(
        (pl.col('kind') == kind) & (pl.col('watched') >= _LIKE)
        & (share >= _HOLDS)).with_columns(
            share=share, weight=-(1 - share + 1 / pl.col('watched')).log()
        ).select('c', 'id', 'within', 'share', 'weight')
    expected = watched.select('r', 'class', 'left').join(
        normal.classes.select('class', 'c'), on='class').join(
            holding, on='c').filter(pl.col('left') >= pl.col('within'))
    local = read.keys.select('k', 'key').join(
        normal.keys.select('key', 'id'), on='key').select('k', 'id')
    lacking = expected.join(said.join(local, on='k'), on=['r', 'id'],
                            how='anti').join(
                                normal.keys.select('id', 'key'), on='id')
    return (lacking.select('r', 'key', 'weight', 'share'),
            expected.group_by('r').agg(needed=pl.len()))


def compared(read: Tables, normal: Baseline) -> pl.DataFrame:
    """The keys of a recording, and how usual each is.

    :param read: of :func:`tables`
    :param normal: what is normal
    :returns: the keys, with ``docs`` (normal recordings that have it) and
        ``known`` (their share)
    """
    return read.keys.join(
        normal.keys.select('key', 'docs'), on='key', how='left',
        maintain_order='left').with_columns(
            pl.col('docs').fill_null(0)).with_columns(
                known=pl.col('docs') / max(1, normal.recordings))


#: Which of the keys that normal recordings lack count for a feature.
_NEW = {
    'new_answers': pl.col('access') & (pl.col('status') >= 400),
    'new_debug': pl.col('level') <= 10,
    'new_info': pl.col('level') == 20,
    'new_warning': pl.col('level') == schema.WARNING,
}


def _times(read: Tables, normal: Baseline) -> tuple[
        pl.DataFrame, pl.DataFrame]:
    """Polling and latency of a recording against what is usual."""
    polls = read.polls.filter(pl.col('times') >= _POLLS).join(
        normal.polls, on='class', how='left').with_columns(
            pl.col('usual').fill_null(normal.polled)).with_columns(
                value=pl.col('seconds') / (pl.col('usual') + _POLL_SLACK))
    slow = read.requests.join(
        normal.classes.select('class', 'usual'), on='class').with_columns(
            value=pl.col('latency') / pl.col('usual'))
    return polls, slow


def values(read: Tables, baseline: Baseline,
           leave_out_group: str = '') -> np.ndarray:
    """The features of a recording that was read.

    :param read: of :func:`tables`
    :param baseline: what is normal
    :param leave_out_group: what is normal is what other groups say
    :returns: one number a feature, in the order of :data:`FEATURES`
    """
    normal = baseline.without(leave_out_group)
    found = dict.fromkeys(FEATURES, 0.0)
    for name, count in read.marks.group_by('feature').agg(pl.len()).rows():
        found[name] = float(count)
    new = compared(read, normal).filter(pl.col('docs') == 0)
    counts = new.select(**{name: sign.sum() for name, sign in _NEW.items()})
    for name, count in zip(counts.columns, counts.row(0), strict=True):
        found[name] = float(count or 0)
    polls, slow = _times(read, normal)
    found['polling'] = _largest(polls['value'])
    found['latency'] = _largest(slow['value'])
    for kind, name in enumerate(('lack', 'resource')):
        lacking, expected = _lacks(kind, read, normal)
        sums = lacking.group_by('r').agg(
            pl.col('weight').sum(), n=pl.len()).join(expected, on='r')
        found[f'{name}_weight'] = _largest(sums['weight'])
        found[f'{name}_requests'] = float(sums.height)
        found[f'{name}_share'] = _largest(sums['n'] / sums['needed'])
    return np.array([found[name] for name in FEATURES])


def _largest(column: pl.Series) -> float:
    """The maximum of numbers, 0 where there is none."""
    most = column.max()
    return float(most) if isinstance(most, int | float) else 0.0


def vector(recording: base.Recording, baseline: Baseline,
           leave_out_group: str = '') -> np.ndarray:
    """The features of a recording.

    :param recording: what is looked at
    :param baseline: what is normal
    :param leave_out_group: what is normal is what other groups say
    :returns: one number a feature, in the order of :data:`FEATURES`
    :raises StoreError: the store cannot be read
    """
    return values(tables(recording.store, recording.query), baseline,
                  leave_out_group)


def squash(vectors: np.ndarray) -> np.ndarray:
    """Features as models see them: the first of a kind says the most.

    :param vectors: of :func:`values`, one or many
    """
    squashed: np.ndarray = np.log1p(np.clip(vectors, 0.0, _MOST))
    return squashed


#: Columns of an explanation: the feature, who, and the moments.
EXPLAINED: dict[str, pl.DataType] = {
    'feature': pl.String(), 'service': pl.String(), 'binary': pl.String(),
    'host': pl.String(), 'template': pl.UInt64(),
    'since': pl.Datetime('us'), 'until': pl.Datetime('us'),
    'why': pl.String(),
}


def explain(read: Tables, baseline: Baseline,
            most: int = 5) -> pl.DataFrame:
    """The templates and requests that made the features what they are.

    :param read: of :func:`tables`
    :param baseline: what is normal
    :param most: rows of one feature
    :returns: the columns of :data:`EXPLAINED`
    """
    if read.start is None:
        return pl.DataFrame(schema=EXPLAINED)
    rows: list[pl.DataFrame] = []

    def add(feature: str, frame: pl.DataFrame, since: str, until: str,
            why: pl.Expr) -> None:
        rows.append(frame.head(most).select(
            pl.lit(feature).alias('feature'), *_WHO,
            moment(read.start, since).alias('since'),
            moment(read.start, until).alias('until'), why.alias('why')))

    who = ['service', 'binary', 'host']
    marks = read.marks.group_by(
        'feature', *who, 'template', 'method', 'place', 'status',
        'words').agg(n=pl.len(), since=pl.col('t').min(),
                     until=pl.col('t').max()).sort(
                         'n', 'since', descending=[True, False])
    answered = pl.format('{} {} answered with HTTP {}, {} times',
                         pl.col('method').fill_null('a request'),
                         pl.col('place').fill_null(''),
                         pl.col('status').fill_null(0), 'n')
    for name, why in {
            'answers_5xx': answered, 'refused_changes': answered,
            'refused_reads': answered,
            'tracebacks': pl.format(
                'a traceback below ERROR, {} times', 'n'),
            'error_states': pl.format(
                'speaks of a state "error", {} times', 'n')}.items():
        add(name, marks.filter(pl.col('feature') == name), 'since', 'until',
            why)
    new = compared(read, baseline).filter(pl.col('docs') == 0).sort('first')
    for name, sign in _NEW.items():
        add(name, new.filter(sign), 'first', 'last', pl.format(
            'said in none of {} normal recordings: {}',
            pl.lit(baseline.recordings), 'words'))
    polls, slow = _times(read, baseline)
    add('polling', polls.filter(pl.col('value') >= 1).sort(
        'value', descending=True), 'since', 'until', pl.format(
            'asked {} times in {} s with the same answer, usual are {} s',
            'times', pl.col('seconds').round(1), pl.col('usual').round(1)))
    slow = slow.filter(pl.col('value') > 1).sort('value', descending=True)
    add('latency', slow, 'begin', 'answered', pl.format(
        'took {} s, usual are at most {} s', pl.col('latency').round(2),
        pl.col('usual').round(2)))
    for kind, name in enumerate(('lack', 'resource')):
        lacking, _ = _lacks(kind, read, baseline)
        worst = lacking.sort('weight', 'key', descending=[True, False]
                             ).group_by('r', maintain_order=True).agg(
            pl.col('weight').sum(), pl.col('key').first(),
            pl.col('share').first(), n=pl.len()).join(
                read.requests, on='r', maintain_order='left').sort(
                    'weight', 'r', descending=[True, False])
        add(f'{name}_weight', worst, 'begin', 'answered', pl.format(
            '{}: {} expected messages are missing, such as "{}", which {} % '
            'of like requests have', 'class', 'n', 'key',
            (pl.col('share') * 100).round(1)))
    return pl.concat(rows).cast(EXPLAINED)  # type: ignore[arg-type]


def moment(start: datetime.datetime | None, name: str) -> pl.Expr:
    """A moment out of seconds since the start.

    :param start: of the recording
    :param name: of the column of seconds
    """
    return pl.lit(start, pl.Datetime('us')) + pl.duration(
        microseconds=(pl.col(name) * 1e6).round().cast(pl.Int64))
