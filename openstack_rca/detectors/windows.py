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
"""Windows of five minutes in steps of ten seconds, as features.

A recording is cut into windows; each step of a window has numbers, flags
and categories, and the window as a whole has aggregates. A recording that
lasts longer than a window is covered by whole ones, the last of which ends
with it: how long a recording is says nothing about it. A hole of more than
five minutes counts as five. No feature knows a host, a date, an hour or a
language.

Numbers are logarithms, less the median of normal steps and divided by
their deviation: what is usual in a large cloud and in a small one is alike.
What nothing tells (no request, so no latency) counts as usual.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import functools
import re
from typing import Any
from typing import NamedTuple
from typing import Self

import numpy as np
import polars as pl

from openstack_rca.detectors import base
from openstack_rca.detectors import calibration
from openstack_rca.detectors import features
from openstack_rca.events import schema
from openstack_rca.store import base as stores


class Feature(NamedTuple):
    """A feature.

    :param kind: ``numeric``, ``binary`` and ``categorical`` ones are of a
        step, an ``aggregate`` is of a window
    :param family: what it is about
    :param definition: how it is computed
    """

    kind: str
    family: str
    definition: str


#: Every feature, those of a kind in the order of a vector.
FEATURES: dict[str, Feature] = {
    'memory': Feature(
        'numeric', 'resource', 'The largest share of its memory that a '
        'hypervisor tells to be in use: "phys_ram=" and "used_ram=", "Total '
        'memory: ... used: ..." or "memory limit: ... free: ...".'),
    'duration': Feature(
        'numeric', 'resource', 'The longest seconds that a record tells: '
        '"Took ... seconds to build instance" and its like, "waited ...s" '
        'and "held ...s" of locks.'),
    'latency_mean': Feature(
        'numeric', 'latency and status', 'Mean seconds of the answers that '
        'access logs tell.'),
    'latency_p95': Feature(
        'numeric', 'latency and status', 'The 95th percentile of these '
        'seconds.'),
    'latency_max': Feature(
        'numeric', 'latency and status', 'The longest of them.'),
    'events': Feature(
        'numeric', 'rate and burst', 'Records.'),
    'errors': Feature(
        'numeric', 'rate and burst', 'Records of level ERROR and above.'),
    'warnings': Feature(
        'numeric', 'rate and burst', 'Records of level WARNING.'),
    'requests': Feature(
        'numeric', 'request', 'Answers to requests.'),
    'failed': Feature(
        'numeric', 'latency and status', 'Answers with HTTP 500 or more.'),
    'refused': Feature(
        'numeric', 'latency and status', 'Answers with HTTP 400 to 499.'),
    'templates': Feature(
        'numeric', 'text', 'Distinct templates.'),
    'unseen': Feature(
        'numeric', 'text', 'Records whose key no normal recording of another '
        'group has.'),
    'gap': Feature(
        'numeric', 'time', 'The longest seconds between a record and the '
        'one before it, or since the last one.'),
    'error': Feature(
        'binary', 'text', 'There is a record of level ERROR or above.'),
    'traceback': Feature('binary', 'text', 'There is a traceback.'),
    'failure': Feature(
        'binary', 'latency and status', 'There is an answer with HTTP 500 or '
        'more.'),
    'timeout': Feature(
        'binary', 'text', 'A template or a traceback speaks of a timeout.'),
    'disconnected': Feature(
        'binary', 'text', 'A template or a traceback speaks of a '
        'connection that was refused, reset or lost, or of what is '
        'unreachable.'),
    'rate_spike': Feature(
        'binary', 'rate and burst', 'Three times as many records as the '
        'median step of the window, and more than 99 % of normal steps '
        'have.'),
    'latency_spike': Feature(
        'binary', 'latency and status', 'An answer that takes three times '
        'as long as the longest of the median step of the window, and longer '
        'than the longest of 99 % of normal steps.'),
    'silence': Feature(
        'binary', 'sequence', 'A process that spoke in each of three steps '
        'is silent in this one and in the two before.'),
    'binary': Feature(
        'categorical', 'context', 'The program with the most records.'),
    'event': Feature(
        'categorical', 'text', 'The key that the fewest normal recordings '
        'have.'),
    'method': Feature(
        'categorical', 'request', 'The most frequent HTTP method.'),
    'level': Feature('categorical', 'context', 'The highest level.'),
    'status': Feature(
        'categorical', 'latency and status', 'The class of the highest HTTP '
        'status.'),
    'path': Feature(
        'categorical', 'request', 'The most frequent path, ids and numbers '
        'taken out.'),
    'error_share': Feature(
        'aggregate', 'text', 'The share of records of level ERROR and '
        'above.'),
    'failed_share': Feature(
        'aggregate', 'latency and status', 'The share of answers with HTTP '
        '500 or more.'),
    'refused_share': Feature(
        'aggregate', 'latency and status', 'The share of answers with HTTP '
        '400 to 499.'),
    'unseen_keys': Feature(
        'aggregate', 'text', 'Distinct keys that no normal recording of '
        'another group has.'),
    'slowest': Feature(
        'aggregate', 'time', 'The longest seconds of an answer.'),
    'burst': Feature(
        'aggregate', 'rate and burst', 'Records of the busiest step, divided '
        'by those of the median step.'),
    'longest_silence': Feature(
        'aggregate', 'sequence', 'The longest run of steps in which a '
        'process that spoke in each of three steps before is silent.'),
    'request_records': Feature(
        'aggregate', 'request', 'Records of a request on average.'),
    'request_reach': Feature(
        'aggregate', 'sequence', 'Programs that a request is known to on '
        'average.'),
}


def names(kind: str) -> list[str]:
    """The features of a kind, in the order of a vector."""
    return [name for name, f in FEATURES.items() if f.kind == kind]


NUMERIC = names('numeric')
BINARY = names('binary')
CATEGORICAL = names('categorical')
AGGREGATE = names('aggregate')
#: How many values a category has, with those for none and for others.
SIZES = {'binary': 32, 'event': 128, 'method': 12, 'level': 8, 'status': 8,
         'path': 96}

STEP_SECONDS = 10.0
#: Steps of a window.
STEPS = 30

#: What a number is compared with before its logarithm is taken.
_UNITS = {'memory': 0.1, 'duration': 0.1, 'latency_mean': 0.01,
          'latency_p95': 0.01, 'latency_max': 0.01, 'gap': 0.1,
          'error_share': 0.01, 'failed_share': 0.01, 'refused_share': 0.01,
          'slowest': 0.01}
#: The least deviation of a logarithm, and the most that a number may say.
_LEAST_SCALE = 0.25
_MOST = 8.0
_SPIKE = 3.0
#: Steps in which a process speaks before its silence says something, and
#: steps of silence.
_SPOKE = 3
_SILENT = 3
#: Codes of categories that are no value: none, and one that is not known.
_OTHER = 1

_TIMEOUT = re.compile(
    r'(?i:timed out|(?<![-_\w])time-?out(?![=_]))|[a-z]Timeout\b')
_TRACED_TIMEOUT = r'[a-z]Timeout\b|timed out'
_DISCONNECTED = re.compile(
    r'(?i)\brefused\b|connection (?:was )?(?:reset|lost|closed|aborted)|'
    r'reset by peer|unreachable|broken pipe|no route to host|lost connection')
_DURATION = re.compile(r'\bTook |\bwaited |\bheld ')
_MEMORY = re.compile(r'used_ram=|memory limit: |Total memory: ')
_TOLD = r'(?:\bTook |\bwaited |\bheld )(\d+(?:\.\d+)?) ?s'
_USED = r'(?:phys_ram=|Total memory: )(\d+(?:\.\d+)?) ?MB,? ' \
        r'(?:used_ram=|used: )(\d+(?:\.\d+)?)'
_FREE = r'memory limit: (\d+(?:\.\d+)?) MB, free: (\d+(?:\.\d+)?)'
#: Who says what.
WHO = ('service', 'binary', 'host', 'template')


@dataclasses.dataclass(frozen=True)
class Window:
    """A window that was read.

    :param number: of the last window that begins no later; the last one
        of a recording overlaps with the one of its number
    :param start: its first record
    :param steps: a row a step with what features are made of
    :param whole: the aggregates but ``unseen_keys``
    :param records: ``step``, who, ``key``, ``words``, ``level``,
        ``status``, ``method``, ``place``, how often (``n``), ``first``,
        ``last``: what was said in each step
    """

    number: int
    start: datetime.datetime
    steps: pl.DataFrame
    whole: Mapping[str, float]
    records: pl.DataFrame


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Windows as models see them.

    :param numbers: windows, steps, numbers and flags
    :param categories: windows, steps, codes
    :param there: which steps are not padding
    :param wholes: windows, aggregates
    """

    numbers: np.ndarray
    categories: np.ndarray
    there: np.ndarray
    wholes: np.ndarray


def read(store: stores.Store, query: stores.Query) -> list[Window]:
    """Cut a recording into windows.

    :param store: its events
    :param query: which of them
    :returns: none where there is no event
    :raises StoreError: the store cannot be read
    """
    templates = store.templates()
    frame = _events(store, query, templates)
    if frame.is_empty():
        return []
    # A clock that was set by years must not make millions of steps.
    gap = pl.col('timestamp').diff().dt.total_microseconds().clip(
        upper_bound=round(STEPS * STEP_SECONDS * 1e6))
    frame = frame.with_columns(
        gap=gap / 1e6, passed=gap.fill_null(0).cum_sum()).with_columns(
            t=pl.col('passed') / 1e6,
            step=(pl.col('passed') // round(STEP_SECONDS * 1e6)).cast(
                pl.Int32)).drop('passed')
    records = _records(frame, templates)
    count = int(records['step'].max()) + 1  # type: ignore[arg-type]
    steps = _steps(frame, records, count)
    found = []
    for first, last in _ranges(count):
        own = steps.slice(first, last - first + 1)
        if not own['events'].sum():
            # Nothing was said that can be judged.
            continue
        events, said = (_between(f, first, last) for f in (frame, records))
        start = events['timestamp'][0]
        found.append(Window(
            first // STEPS, start, own, _whole(own, events),
            said.with_columns(pl.col('step') - first)))
    return found


def _between(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """The rows of some steps, out of a frame in their order."""
    low, high = (int(frame['step'].search_sorted(step, 'left'))
                 for step in (first, last + 1))
    return frame[low:high]


def _ranges(count: int) -> list[tuple[int, int]]:
    """First and last step of each window; the last one is whole too."""
    firsts = [n * STEPS for n in range(count // STEPS)]
    if count % STEPS:
        firsts.append(max(0, count - STEPS))
    return [(first, min(count, first + STEPS) - 1) for first in firsts]


def _events(store: stores.Store, query: stores.Query,
            templates: pl.DataFrame) -> pl.DataFrame:
    """What is needed of each event, in order of time."""
    # What a template can not hold is not looked for in its events.
    patterns = templates.unique('template').sort('template')
    speak = {name: patterns.filter(pl.Series(
        [bool(sign.search(p)) for p in patterns['pattern']],
        dtype=pl.Boolean))['template'].implode()
        for name, sign in {'timeout': _TIMEOUT, 'memory': _MEMORY,
                           'disconnected': _DISCONNECTED,
                           'duration': _DURATION}.items()}
    template = pl.col('template')
    text = pl.col('text')

    def told(name: str, pattern: str, group: int) -> pl.Expr:
        return pl.when(template.is_in(speak[name])).then(text).str.extract(
            pattern, group).cast(pl.Float64, strict=False)

    traceback = text.str.contains('Traceback (most recent call last)',
                                  literal=True)
    # A template is of the first line, and an exception is named in the last.
    traced = pl.when(traceback).then(text).otherwise(pl.lit(''))
    return store.narrow(query).filter(
        pl.col('timestamp').is_not_null()).select(
            'timestamp', *WHO, 'request_id', 'method', 'path', 'status',
            'latency', pl.col('level').fill_null(0),
            timeout=template.is_in(speak['timeout'])
            | traced.str.contains(_TRACED_TIMEOUT),
            disconnected=template.is_in(speak['disconnected'])
            | traced.str.contains(_DISCONNECTED.pattern),
            duration=told('duration', _TOLD, 1),
            total=pl.coalesce(told('memory', _USED, 1),
                              told('memory', _FREE, 1)),
            used=told('memory', _USED, 2), free=told('memory', _FREE, 2),
            traceback=traceback).collect(engine='streaming').with_columns(
            memory=pl.when(pl.col('total') > 0).then(pl.coalesce(
                pl.col('used') / pl.col('total'),
                1 - pl.col('free') / pl.col('total')))).drop(
                    'total', 'used', 'free').sort(
                        'timestamp', maintain_order=True)


def _records(frame: pl.DataFrame, templates: pl.DataFrame) -> pl.DataFrame:
    """What was said in each step, each thing once."""
    paths = frame.select('path').unique().with_columns(
        place=pl.col('path').str.replace(r'\?.*$', '')
        .str.replace(r'^https?://[^/]+', '')
        .str.replace_all(r'/[^/]*\d[^/]*', '/*'))
    said = frame.group_by('step', *WHO, 'method', 'path', 'status').agg(
        pl.col('level').max(), n=pl.len(), first=pl.col('timestamp').min(),
        last=pl.col('timestamp').max()).join(
            paths, on='path', how='left', nulls_equal=True)
    used = templates.unique('template').join(
        said.select('template').unique(), on='template', how='semi')
    used = used.select('template', words=pl.col('pattern').map_elements(
        features.words, return_dtype=pl.String))
    asked = pl.format('{} {} {}', 'method', pl.col('place').fill_null(''),
                      pl.col('status').cast(pl.String).fill_null('-'))
    return said.join(used, on='template', how='left').with_columns(
        words=pl.when(pl.col('method').is_not_null()).then(asked).otherwise(
            pl.col('words').fill_null(''))).with_columns(
        key=pl.format('{}|{}', pl.col('binary').fill_null(''), 'words')
        ).group_by(
            'step', *WHO, 'method', 'place', 'status', 'words', 'key').agg(
                pl.col('level').max(), pl.col('n').sum(),
                pl.col('first').min(), pl.col('last').max()).sort(
                    'step', 'first', 'key', *WHO)


def _steps(frame: pl.DataFrame, records: pl.DataFrame,
           count: int) -> pl.DataFrame:
    """What the steps are like, those without a record too."""
    level, status, latency = (pl.col(c) for c in (
        'level', 'status', 'latency'))
    sums = frame.group_by('step').agg(
        pl.col('memory', 'duration', 'gap').max(),
        latency_mean=latency.mean(),
        latency_p95=latency.quantile(0.95, 'linear'),
        latency_max=latency.max(), events=pl.len(),
        errors=(level >= schema.ERROR).sum(),
        warnings=(level == schema.WARNING).sum(),
        requests=pl.col('method').is_not_null().sum(),
        failed=(status >= 500).sum(),
        refused=status.is_between(400, 499).sum(),
        templates=pl.col('template').n_unique(),
        ended=pl.col('t').max(), highest=level.max(), worst=status.max(),
        **{name: pl.col(name).any() for name in (
            'traceback', 'timeout', 'disconnected')})
    steps = pl.DataFrame({'step': np.arange(count, dtype=np.int32)}).join(
        sums, on='step', how='left', maintain_order='left')
    counts = ['events', 'errors', 'warnings', 'requests', 'failed',
              'refused', 'templates']
    silent = _silent(records, count)
    steps = steps.with_columns(
        pl.col(*counts).fill_null(0),
        pl.col('traceback', 'timeout', 'disconnected').fill_null(False),
        gap=pl.coalesce(
            'gap', (pl.col('step') + 1) * STEP_SECONDS
            - pl.col('ended').forward_fill()),
        silent=pl.Series(silent)).with_columns(
            error=pl.col('errors') > 0, failure=pl.col('failed') > 0,
            silence=pl.col('silent') >= _SILENT,
            level=pl.col('highest').cast(pl.String),
            status=(pl.col('worst') // 100).cast(pl.String))
    for name, column in {'binary': 'binary', 'method': 'method',
                         'path': 'place'}.items():
        steps = steps.join(records.filter(
            pl.col(column).is_not_null()).group_by('step', column).agg(
                pl.col('n').sum()).sort(
                    'step', 'n', column, descending=[False, True, False])
            .group_by('step', maintain_order=True).agg(
                pl.col(column).first().alias(name)),
            on='step', how='left', maintain_order='left')
    return steps.drop('ended', 'highest', 'worst')


def _silent(records: pl.DataFrame, count: int) -> np.ndarray:
    """For how many steps the process is silent that is so the longest.

    Only a process counts that spoke in each of the steps before.
    """
    longest = np.zeros(count, np.int32)
    spoken = records.filter(pl.col('key').str.len_chars() > 0).select(
        'binary', 'host', 'step').unique().sort('binary', 'host', 'step')
    for _, own in spoken.group_by('binary', 'host', maintain_order=True):
        spoke = np.zeros(count, bool)
        spoke[own['step'].to_numpy()] = True
        steps = np.arange(count)
        last = np.maximum.accumulate(np.where(spoke, steps, -1))
        run = np.convolve(spoke, np.ones(_SPOKE, int))[:count] == _SPOKE
        steady = (last >= 0) & run[np.maximum(last, 0)]
        longest = np.maximum(longest, np.where(steady, steps - last, 0))
    return longest


def _whole(steps: pl.DataFrame, frame: pl.DataFrame) -> dict[str, float]:
    """The aggregates of a window, but for what nobody said before."""
    sums = {name: float(steps[name].sum()) for name in (
        'events', 'errors', 'requests', 'failed', 'refused')}
    median = steps['events'].median()
    busiest = steps['events'].max()
    asked = frame.filter(pl.col('request_id').is_not_null()).group_by(
        'request_id').agg(n=pl.len(), reach=pl.col('binary').n_unique())
    slowest = steps['latency_max'].max()
    means = [asked[name].mean() for name in ('n', 'reach')]
    nothing = float('nan')
    return {
        'error_share': sums['errors'] / max(1.0, sums['events']),
        'failed_share': sums['failed'] / max(1.0, sums['requests']),
        'refused_share': sums['refused'] / max(1.0, sums['requests']),
        'slowest': nothing if slowest is None else float(
            slowest),  # type: ignore[arg-type]
        'burst': float(busiest) / max(  # type: ignore[arg-type]
            1.0, float(median)),  # type: ignore[arg-type]
        'longest_silence': float(
            steps['silent'].max()),  # type: ignore[arg-type]
        'request_records': nothing if means[0] is None else float(
            means[0]),  # type: ignore[arg-type]
        'request_reach': nothing if means[1] is None else float(
            means[1]),  # type: ignore[arg-type]
    }


def _squash(name: str, values: np.ndarray) -> np.ndarray:
    """A number as its logarithm, in units of what is hardly anything."""
    squashed: np.ndarray = np.log1p(
        np.maximum(values, 0.0) / _UNITS.get(name, 1.0))
    return squashed


@dataclasses.dataclass(frozen=True)
class Normal:
    """What windows are like in which nobody was harmed.

    :param groups: how many groups of recordings it was learned from
    :param keys: ``key``, ``docs`` (groups that have it)
    :param centers: median of each number and aggregate, as its logarithm
    :param scales: deviation of each
    :param limits: 99th percentile of records, and of the longest latency
    :param values: of each category, the values that have a code
    :param own: ``group``, ``key``: what is left out of a group's own
    """

    groups: int
    keys: pl.DataFrame
    centers: np.ndarray
    scales: np.ndarray
    limits: np.ndarray
    values: Mapping[str, Sequence[str]]
    own: pl.DataFrame | None = None

    @classmethod
    def learn(cls, windows: Iterable[tuple[str, Window]],
              values: Mapping[str, Sequence[str]] | None = None) -> Self:
        """Learn from windows in which nobody was harmed.

        :param windows: group and window
        :param values: of categories, where these are to stay what they are
        """
        given = list(windows)
        own = pl.concat([pl.DataFrame(
            schema={'key': pl.String(), 'group': pl.String()})] + [
                w.records.select('key', group=pl.lit(group))
                for group, w in given]).unique()
        keys = own.group_by('key').agg(docs=pl.len().cast(pl.Int64)).sort(
            'key')
        count = len(NUMERIC) + len(AGGREGATE)
        learned = cls(len({g for g, _ in given}), keys, np.zeros(count),
                      np.ones(count), np.full(2, np.inf), values or {}, own)
        raw = [_raw(w, learned.compared(w, group)) for group, w in given]
        steps = pl.concat([r[0] for r in raw])
        wholes = pl.DataFrame([r[1] for r in raw])
        limits = np.array([
            _percentile(steps[name]) for name in ('events', 'latency_max')])
        columns = [(n, steps[n]) for n in NUMERIC] + [
            (n, wholes[n]) for n in AGGREGATE]
        centers, scales = np.zeros(count), np.ones(count)
        for place, (name, column) in enumerate(columns):
            known = column.cast(pl.Float64).to_numpy()
            known = _squash(name, known[np.isfinite(known)])
            if len(known):
                centers[place] = np.median(known)
                scales[place] = max(_LEAST_SCALE, float(known.std()))
        if values is None:
            values = {}
            for name in CATEGORICAL:
                often = steps[name].drop_nulls().value_counts(
                    sort=False).sort('count', name, descending=[True, False])
                values[name] = often[name].to_list()[
                    :SIZES[name] - _OTHER - 1]
        return dataclasses.replace(
            learned, centers=centers, scales=scales, limits=limits,
            values=values)

    def compared(self, window: Window, group: str = '') -> pl.DataFrame:
        """What was said, and how usual each is.

        :param window: that was read
        :param group: whose own recordings do not count
        :returns: its records, with ``docs`` (groups that have the key)
        """
        found = window.records.join(
            self.keys, on='key', how='left', maintain_order='left'
        ).with_columns(pl.col('docs').fill_null(0))
        if self.own is None or not group:
            return found
        mine = self.own.filter(pl.col('group') == group).select(
            'key', own=pl.lit(1, pl.Int64))
        return found.join(
            mine, on='key', how='left', maintain_order='left').with_columns(
                docs=pl.col('docs') - pl.col('own').fill_null(0)).drop('own')

    def knows(self, windows: Iterable[Window]) -> float:
        """Which share of what windows say is known, 0 to 1."""
        said = pl.concat([pl.DataFrame(schema={'key': pl.String()})] + [
            w.records.select('key') for w in windows]).unique()
        known = said.join(self.keys, on='key', how='semi')
        return known.height / said.height if said.height else 0.0

    def vectors(self, windows: Sequence[Window],
                groups: Sequence[str] = ()) -> Vectors:
        """Windows as models see them.

        :param windows: that were read
        :param groups: of each, whose own recordings do not count
        """
        count = len(windows)
        made = Vectors(
            np.zeros((count, STEPS, len(NUMERIC) + len(BINARY)), np.float32),
            np.zeros((count, STEPS, len(CATEGORICAL)), np.int64),
            np.zeros((count, STEPS), bool),
            np.zeros((count, len(AGGREGATE)), np.float32))
        for n, window in enumerate(windows):
            steps, whole = _raw(window, self.compared(
                window, groups[n] if groups else ''))
            length = steps.height
            columns = [self._placed(i, name, steps[name].cast(
                pl.Float64).to_numpy()) for i, name in enumerate(NUMERIC)]
            columns += [self._flag(name, steps) for name in BINARY]
            made.numbers[n, :length] = np.stack(columns, 1)
            for i, name in enumerate(CATEGORICAL):
                codes = self._codes[name]
                made.categories[n, :length, i] = [
                    0 if v is None else codes.get(v, _OTHER)
                    for v in steps[name].to_list()]
            made.there[n, :length] = True
            made.wholes[n] = [
                self._placed(len(NUMERIC) + i, name,
                             np.array(whole[name]))
                for i, name in enumerate(AGGREGATE)]
        return made

    @functools.cached_property
    def _codes(self) -> dict[str, dict[str, int]]:
        return {name: {v: n + _OTHER + 1 for n, v in enumerate(
            self.values.get(name, ()))} for name in CATEGORICAL}

    def _placed(self, place: int, name: str,
                values: np.ndarray) -> np.ndarray:
        """A number by what is usual; 0 where nothing tells it."""
        z = (_squash(name, values) - self.centers[place]) / self.scales[place]
        placed: np.ndarray = np.clip(np.nan_to_num(z), -_MOST, _MOST)
        return placed

    def _flag(self, name: str, steps: pl.DataFrame) -> np.ndarray:
        """A flag of each step."""
        place = {'rate_spike': 'events', 'latency_spike': 'latency_max'}
        if name not in place:
            return steps[name].to_numpy().astype(np.float64)
        values = steps[place[name]].cast(pl.Float64).fill_null(
            0.0).to_numpy()
        told = values[values > 0]
        usual = float(np.median(told)) if len(told) else 0.0
        spike: np.ndarray = (values > max(
            _SPIKE * usual, self.limits[list(place).index(name)])).astype(
                np.float64)
        return spike

    def told(self, name: str, place: float) -> str:
        """A number in its own unit, for people.

        :param name: of a numeric feature or an aggregate
        :param place: as models see it, who see no more than so much
        """
        at = (NUMERIC + AGGREGATE).index(name)
        value = float(np.expm1(np.clip(
            place * self.scales[at] + self.centers[at], 0.0, 50.0))
            * _UNITS.get(name, 1.0))
        return f'{value:.3g}' if place < _MOST else f'at least {value:.3g}'

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What was learned, without the groups that are left out at will."""
        return {
            'docs': self.keys['docs'].to_numpy().astype(np.int32),
            'centers': self.centers, 'scales': self.scales,
            # JSON and safetensors both hold what is finite.
            'limits': np.minimum(self.limits, 1e30),
        }, {'groups': self.groups, 'keys': self.keys['key'].to_list(),
            'values': {n: list(v) for n, v in self.values.items()}}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray],
                   metadata: Mapping[str, Any]) -> Self:
        """What was learned.

        :param arrays: of :meth:`state`, of the right shapes and finite, see
            :meth:`shapes`
        :param metadata: of :meth:`state`
        :raises ValueError: they do not fit
        """
        values = {name: [str(v) for v in metadata['values'][name]]
                  for name in CATEGORICAL}
        for name, told in values.items():
            if len(told) > SIZES[name] - _OTHER - 1:
                raise ValueError(f'{name} has too many values')
        if (arrays['scales'] <= 0).any():
            raise ValueError('a scale is not positive')
        return cls(
            int(metadata['groups']), pl.DataFrame(
                {'key': [str(k) for k in metadata['keys']],
                 'docs': arrays['docs'].tolist()},
                schema={'key': pl.String(), 'docs': pl.Int64()}),
            arrays['centers'].astype(np.float64),
            arrays['scales'].astype(np.float64),
            arrays['limits'].astype(np.float64), values)

    @staticmethod
    def shapes(metadata: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """The shapes that the arrays of a state have to have.

        :param metadata: of :meth:`state`
        """
        count = len(NUMERIC) + len(AGGREGATE)
        return {'docs': (len(metadata['keys']),), 'centers': (count,),
                'scales': (count,), 'limits': (2,)}


def _percentile(column: pl.Series) -> float:
    """The 99th percentile of what is told."""
    value = column.cast(pl.Float64).drop_nulls().quantile(0.99, 'linear')
    return float('inf') if value is None else float(value)


def _raw(window: Window, compared: pl.DataFrame) -> tuple[
        pl.DataFrame, dict[str, float]]:
    """Steps and aggregates, with what only a comparison tells."""
    new = pl.col('docs') <= 0
    rare = compared.sort('step', 'docs', 'key').group_by(
        'step', maintain_order=True).agg(
            event=pl.col('key').first(),
            unseen=pl.col('n').filter(new).sum())
    first = window.steps['step'].first()
    steps = window.steps.with_columns(
        pl.col('step') - first).join(
            rare, on='step', how='left', maintain_order='left').with_columns(
                pl.col('unseen').fill_null(0))
    return steps, {**window.whole, 'unseen_keys': float(
        compared.filter(new)['key'].n_unique())}


def restored(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any],
             more: Mapping[str, tuple[int, ...]]) -> Normal:
    """What is normal, out of the state of a detector.

    :param arrays: its own, and those of :meth:`Normal.state` whose names
        begin with ``normal.``
    :param metadata: with ``features``, and :meth:`Normal.state` as
        ``normal``
    :param more: the shapes of the detector's own arrays
    :raises ValueError: something is missing, foreign or no number
    """
    if metadata['features'] != list(FEATURES):
        raise ValueError('its features are others')
    told = metadata['normal']
    calibration.check_shapes(arrays, {**more, **{
        f'normal.{name}': shape
        for name, shape in Normal.shapes(told).items()}})
    return Normal.from_state({
        name.removeprefix('normal.'): array for name, array
        in arrays.items() if name.startswith('normal.')}, told)


class WindowDetector(calibration.CalibratedDetector[Window]):
    """A detector whose parts are windows of five minutes."""

    def __init__(self) -> None:
        super().__init__()
        self._normal: Normal | None = None

    def _read(self, recording: base.Recording) -> list[tuple[int, Window]]:
        return [(w.number, w) for w in read(recording.store,
                                            recording.query)]

    def _known(self, parts: Sequence[Window]) -> float:
        if self._normal is None:
            raise self.nothing_learned()
        return self._normal.knows(parts)


def stands_out(groups: int) -> pl.Expr:
    """How much a record stands out by itself.

    :param groups: of normal recordings, see :meth:`Normal.compared`
    """
    level, status = pl.col('level').cast(pl.Int32), pl.col('status')
    return (-((pl.col('docs').clip(0) + 0.5) / (groups + 1)).log()
            + pl.when(level >= schema.ERROR).then(2.0).when(
                level >= schema.WARNING).then(1.0).otherwise(0.0)
            + pl.when(status.fill_null(0) >= 500).then(2.0).otherwise(0.0))


def deviating(normal: Normal, step: np.ndarray, most: int) -> str:
    """The numbers of a step that deviate most, in words.

    :param normal: what is normal
    :param step: numbers and flags, as models see them
    :param most: so many of them
    """
    numbers = step[:len(NUMERIC)]
    told = [flag for flag, up in zip(BINARY, step[len(NUMERIC):],
                                     strict=True) if up]
    for place in np.argsort(-np.abs(numbers), kind='stable')[:most]:
        name = NUMERIC[place]
        told.append(f'{name} {normal.told(name, float(numbers[place]))}, '
                    f'usual {normal.told(name, 0.0)}')
    return '; '.join(told)


def behind(feature: str, compared: pl.DataFrame) -> pl.DataFrame:
    """The records that a feature is about.

    :param feature: one of :data:`FEATURES`
    :param compared: of :meth:`Normal.compared`
    :returns: those of them; all where it is about none of them in
        particular
    """
    status = pl.col('status').fill_null(0)
    signs = {
        'latency': pl.col('method').is_not_null(),
        'slowest': pl.col('method').is_not_null(),
        'request': pl.col('method').is_not_null(),
        'error': pl.col('level') >= schema.ERROR,
        'traceback': pl.col('level') >= schema.WARNING,
        'warnings': pl.col('level') == schema.WARNING,
        'fail': status >= 500,
        'refused': status.is_between(400, 499),
        'unseen': pl.col('docs') <= 0,
        'event': pl.lit(True),
    }
    for name, sign in signs.items():
        if feature.startswith(name):
            found = compared.filter(sign)
            return found if found.height else compared
    return compared
