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
"""What was never or seldom said before, or now far more often.

The reference rate of a template is the posterior mean under a Gamma(1/2)
prior (Jeffreys), so that a template which a short reference happens to lack
is not as surprising as one which a long reference lacks. The surprise of a
count is its normal deviate after the square root transform, which makes the
variance of Poisson counts constant (Anscombe, Biometrika 1948).
"""

import math

import polars as pl

from openstack_rca.detectors import base
from openstack_rca.events import schema

#: Deviate from which a count is a burst: one in 30 thousand windows.
_BURST = 4.0
#: Times that a template is said in quiet logs to be rare, and the seconds
#: that these last at least.
_RARE = 2
_LONG_QUIET = 120.0
_RARE_SCORE = 0.1
#: How much slower than the slowest of quiet times, and at least how slow.
_SLOWER = 3.0
_SLOW_SECONDS = 1.0


class NoveltyDetector(base.Detector):
    """New and rare templates, bursts, levels, failed and slow requests."""

    def detect(self, current: pl.DataFrame,
               reference: pl.DataFrame) -> pl.DataFrame:
        if current.is_empty():
            return base.no_symptoms()
        who = ['service', 'binary', 'host', 'template']
        length = base.seconds(current)
        quiet = base.seconds(reference) if reference.height else 0.0
        now = current.group_by(who).agg(
            count=pl.col('count').sum(), level=pl.col('level').max(),
            status=pl.col('status').max(), latency=pl.col('latency').max(),
            kind=pl.col('kind').first(),
            since=pl.col('first').min(), until=pl.col('last').max())
        # A template that another host logs in quiet times is not new.
        before = reference.group_by('service', 'binary', 'template').agg(
            past=pl.col('count').sum(), past_latency=pl.col('latency').max())
        now = now.join(before, on=['service', 'binary', 'template'],
                       how='left').with_columns(
                           pl.col('past').fill_null(0))
        share = length / quiet if quiet else 1.0
        expected = (pl.col('past') + 0.5) * share
        now = now.with_columns(
            expected=expected,
            deviate=2 * ((pl.col('count') + 0.375).sqrt()
                         - (expected + 0.375).sqrt()))
        signs = [
            self._novel(now, quiet), self._rare(now, quiet),
            self._level(now), self._status(now), self._slow(now, quiet)]
        found = pl.concat([s.select(list(base.SYMPTOMS)) for s in signs])
        return found.sort('score', 'since', descending=[True, False]).cast(
            base.SYMPTOMS)  # type: ignore[arg-type]

    @staticmethod
    def _novel(now: pl.DataFrame, quiet: float) -> pl.DataFrame:
        """Templates unseen, rare or bursting against the reference."""
        if not quiet:
            return base.no_symptoms()
        # With a short reference much is unseen that is quite normal.
        trust = 1 - math.exp(-quiet / 60.0)
        new = pl.col('past') == 0
        burst = pl.col('deviate') >= _BURST
        return now.filter(new | burst).with_columns(
            sign=pl.when(new).then(pl.lit('new')).otherwise(
                pl.lit('burst')),
            score=(trust * pl.when(new).then(
                pl.lit(0.45) + 0.05 * pl.col('level').cast(pl.Float64)
                .sub(20).clip(0, 30) / 10)
                .otherwise(1 - (-pl.col('deviate') / 12).exp())
            ).clip(0, 0.7),
            why=pl.when(new).then(pl.format(
                'not seen in {} s of quiet logs', pl.lit(round(quiet))))
            .otherwise(pl.format(
                'logged {} times, {} expected', pl.col('count'),
                pl.col('expected').round(1))))

    @staticmethod
    def _rare(now: pl.DataFrame, quiet: float) -> pl.DataFrame:
        """Templates that a long reference has hardly ever.

        A weak sign: most of what is said seldom is normal.
        """
        if quiet < _LONG_QUIET:
            return base.no_symptoms()
        often = pl.col('past').is_between(1, _RARE)
        return now.filter(often & (pl.col('deviate') < _BURST)).with_columns(
            sign=pl.lit('rare'), score=pl.lit(_RARE_SCORE),
            why=pl.format('logged {} times in {} s of quiet logs',
                          pl.col('past'), pl.lit(round(quiet))))

    @staticmethod
    def _level(now: pl.DataFrame) -> pl.DataFrame:
        """Records that call themselves an error."""
        usual = (pl.col('past') > 0) & (pl.col('deviate') < _BURST)
        return now.filter(pl.col('level') >= schema.ERROR).with_columns(
            sign=pl.lit('level'),
            score=pl.when(usual).then(0.4).otherwise(
                pl.when(pl.col('level') > schema.ERROR).then(0.9)
                .otherwise(0.8)),
            why=pl.when(usual).then(pl.lit(
                'an ERROR record, as in quiet times')).otherwise(
                    pl.lit('an ERROR record')))

    @staticmethod
    def _status(now: pl.DataFrame) -> pl.DataFrame:
        """Requests that the server failed to answer."""
        return now.filter(pl.col('status') >= 500).with_columns(
            sign=pl.lit('status'), score=pl.lit(0.75),
            why=pl.format('answered with HTTP {}', pl.col('status')))

    @staticmethod
    def _slow(now: pl.DataFrame, quiet: float) -> pl.DataFrame:
        """Requests that took far longer than any in quiet times."""
        if not quiet:
            return base.no_symptoms()
        limit = (pl.col('past_latency') * _SLOWER).clip(_SLOW_SECONDS)
        return now.filter(pl.col('latency') > limit).with_columns(
            sign=pl.lit('latency'),
            score=(0.5 + 0.1 * (pl.col('latency') / limit).log()).clip(
                0.5, 0.8).cast(pl.Float64),
            why=pl.format('took {} s, at most {} s before',
                          pl.col('latency').round(2),
                          pl.col('past_latency').round(2)))
