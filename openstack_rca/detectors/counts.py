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
"""Processes that fall silent, and windows with another mixture than usual.

Silence: the gaps between the windows in which a process logs are compared
with the longest gap of quiet times and with what a Poisson process of the
same rate would leave. Mixture: the counts of a process' templates in the
time under question against the reference, by the Jensen-Shannon divergence
(Lin, IEEE Transactions on Information Theory 1991).
"""

from collections.abc import Iterator
import datetime
import math

import polars as pl

from openstack_rca.detectors import base

#: A gap has to be this long, and so many times the longest quiet one.
_LEAST_GAP = 25.0
_LONGER = 2.0
#: Expected windows with lines in the gap: below, silence says little.
_LEAST_EXPECTED = 3.0
#: Seconds between reference and current up to which they are one recording.
_ADJACENT = 120.0
_MIXTURE = 0.35
_LEAST_LINES = 30


class CountsDetector(base.Detector):
    """Silent processes and unusual mixtures of templates."""

    def detect(self, current: pl.DataFrame,
               reference: pl.DataFrame) -> pl.DataFrame:
        # Notifications are about what happens, not signs of life.
        living = pl.col('kind') != 'notification'
        current, reference = current.filter(living), reference.filter(living)
        if current.is_empty() or reference.is_empty():
            return base.no_symptoms()
        rows = [*self._silent(current, reference),
                *self._mixed(current, reference)]
        if not rows:
            return base.no_symptoms()
        return pl.DataFrame(rows, schema=base.SYMPTOMS).sort(
            'score', descending=True)

    @staticmethod
    def _silent(current: pl.DataFrame,
                reference: pl.DataFrame) -> list[dict[str, object]]:
        """Processes that logged in quiet times and stop."""
        began = _moment(reference['window'].min())
        onset = _moment(current['window'].min())
        end = _moment(current['last'].max())
        # A baseline of another day says how often lines come, and no more.
        ended = _moment(reference['last'].max())
        joined = began <= onset and (
            onset - ended).total_seconds() <= _ADJACENT
        rows: list[dict[str, object]] = []
        then = dict(_windows(reference))
        now = dict(_windows(current))
        for key, past in then.items():
            if len(past) < 2:
                continue
            here = now.get(key, [])
            if joined:
                gaps = _gaps([*past, *here], began, end)
                late = [g for g in gaps if g[2] > onset]
                early = [g for g in gaps if g[2] <= onset]
            else:
                late = _gaps(here, onset, end)
                early = _gaps(past, began, ended)
            if not late:
                continue
            gap, since, until = max(late)
            before = [p for p in past if p[0] <= since] if joined else past
            spent = max((min(since, ended) - began).total_seconds(),
                        base.WINDOW_SECONDS)
            rate = len(before) / (spent / base.WINDOW_SECONDS)
            expected = rate * gap / base.WINDOW_SECONDS
            longest = max((g[0] for g in early), default=0.0)
            if (gap < _LEAST_GAP or gap < _LONGER * longest
                    or expected < _LEAST_EXPECTED or len(before) < 2):
                continue
            rows.append({
                'service': key[0], 'binary': key[1], 'host': key[2],
                'template': None, 'since': since, 'until': until,
                'sign': 'silence',
                'score': min(0.8, 0.3 + 0.1 * math.log2(expected)),
                'why': f'no line for {gap:.0f} s, at most {longest:.0f} s '
                       f'before'})
        return rows

    @staticmethod
    def _mixed(current: pl.DataFrame,
               reference: pl.DataFrame) -> list[dict[str, object]]:
        """Processes that say other things than before."""
        rows: list[dict[str, object]] = []
        for key, part in current.group_by('service', 'binary', 'host'):
            past = reference.filter(
                (pl.col('binary') == key[1]) & (pl.col('host') == key[2]))
            now = part.group_by('template').agg(p=pl.col('count').sum())
            then = past.group_by('template').agg(q=pl.col('count').sum())
            if (now['p'].sum() < _LEAST_LINES
                    or then['q'].sum() < _LEAST_LINES):
                continue
            both = now.join(then, on='template', how='full',
                            coalesce=True).fill_null(0)
            p = both['p'] / both['p'].sum()
            q = both['q'] / both['q'].sum()
            divergence = _divergence(p.to_list(), q.to_list())
            if divergence < _MIXTURE:
                continue
            rows.append({
                'service': key[0], 'binary': key[1], 'host': key[2],
                'template': None, 'since': part['first'].min(),
                'until': part['last'].max(), 'sign': 'mixture',
                'score': min(0.6, divergence),
                'why': f'logs another mixture of messages than in quiet '
                       f'times (divergence {divergence:.2f} of 1)'})
        return rows


def _moment(value: object) -> datetime.datetime:
    """A time out of a column that is not empty."""
    assert isinstance(value, datetime.datetime)
    return value


def _windows(profile: pl.DataFrame) -> Iterator[tuple[
        tuple[str, str, str],
        list[tuple[datetime.datetime, datetime.datetime]]]]:
    """First and last line of each process in each window with lines."""
    table = profile.group_by('service', 'binary', 'host', 'window').agg(
        first=pl.col('first').min(), last=pl.col('last').max()).sort('first')
    for key, part in table.group_by('service', 'binary', 'host',
                                    maintain_order=True):
        yield ((str(key[0]), str(key[1]), str(key[2])),
               part.select('first', 'last').rows())


def _gaps(windows: list[tuple[datetime.datetime, datetime.datetime]],
          start: datetime.datetime, end: datetime.datetime) -> list[
              tuple[float, datetime.datetime, datetime.datetime]]:
    """The times without a line: seconds, from, to."""
    found = []
    last = start
    for first, final in windows:
        found.append(((first - last).total_seconds(), last, first))
        last = max(last, final)
    found.append(((end - last).total_seconds(), last, end))
    return found


def _divergence(p: list[float], q: list[float]) -> float:
    """Jensen-Shannon divergence in bits, 0 to 1."""
    total = 0.0
    for a, b in zip(p, q, strict=True):
        m = (a + b) / 2
        total += a / 2 * math.log2(a / m) if a else 0.0
        total += b / 2 * math.log2(b / m) if b else 0.0
    return total
