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
"""How a model ages: what it has never seen, and how its scores move.

Nothing here reads logs: counts and scores come from who does.
"""

import bisect
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import math
from typing import Any

#: Bins of a histogram of scores.
BINS = 10
#: Share that an empty bin counts as: its logarithm is taken.
_LEAST = 1e-4
#: Scores with which two histograms can be compared at all.
_ENOUGH = 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """From when on a model is said to be stale.

    :param age: days; 0 for never
    :param unseen: share of events with templates unseen
    :param shift: population stability index of the scores
    """

    age: float
    unseen: float
    shift: float


def unseen(known: Collection[str],
           counts: Mapping[str, int]) -> dict[str, float] | None:
    """How much of what is logged the model has never seen.

    :param known: ids of the templates that it knows
    :param counts: how many events each template had lately, by its id
    :returns: shares ``templates`` and ``events``; None where nothing was
        logged, or it is not known what the model knows
    """
    total = sum(counts.values())
    if not known or not total:
        return None
    seen = known if isinstance(known, (set, frozenset)) else frozenset(known)
    strange = [name for name in counts if name not in seen]
    return {'templates': len(strange) / len(counts),
            'events': sum(counts[name] for name in strange) / total}


def histogram(scores: Sequence[float],
              bins: int = BINS) -> dict[str, list[float]] | None:
    """The distribution of scores, as a model keeps it.

    The bins hold equal shares, so that each says as much as any other.

    :param scores: of the time that the model was trained on
    :param bins: how many
    :returns: ``edges`` between the bins, ascending, and ``shares``, one
        more; None where there are too few scores
    """
    told = sorted(score for score in scores if math.isfinite(score))
    if len(told) < _ENOUGH:
        return None
    edges = sorted({told[len(told) * number // bins]
                    for number in range(1, bins)})
    return {'edges': edges, 'shares': _shares(edges, told)}


def _shares(edges: Sequence[float], scores: Sequence[float]) -> list[float]:
    counts = [0] * (len(edges) + 1)
    for score in scores:
        counts[bisect.bisect_right(edges, score)] += 1
    return [count / len(scores) for count in counts]


def shift(reference: Mapping[str, Any] | None,
          scores: Sequence[float]) -> float | None:
    """The population stability index of scores.

    :param reference: of :func:`histogram`
    :param scores: of lately
    :returns: 0 where both are distributed alike; None where there are too
        few scores, or the reference is none
    """
    told = [score for score in scores if math.isfinite(score)]
    if not reference or len(told) < _ENOUGH:
        return None
    edges = _numbers(reference.get('edges'))
    before = _numbers(reference.get('shares'))
    if len(before) != len(edges) + 1 or edges != sorted(edges):
        return None
    index = 0.0
    for was, now in zip(before, _shares(edges, told), strict=True):
        was, now = max(was, _LEAST), max(now, _LEAST)
        index += (now - was) * math.log(now / was)
    return index


def _numbers(values: Any) -> list[float]:
    """Numbers of a file; none where something else is among them."""
    if isinstance(values, (list, tuple)) and all(
            isinstance(value, (int, float)) and math.isfinite(value)
            for value in values):
        return list(values)
    return []


def age(trained_at: str, now: datetime.datetime) -> float | None:
    """How old a model is.

    :param trained_at: ISO 8601 with an offset
    :param now: aware
    :returns: days, 0 at least; None where the time is none
    """
    try:
        then = datetime.datetime.fromisoformat(trained_at)
        return max((now - then).total_seconds() / 86400, 0.0)
    except (TypeError, ValueError):
        return None


def assess(days: float | None, measured: Mapping[str, Any],
           limits: Limits) -> dict[str, Any]:
    """Whether a model still fits what is logged.

    :param days: its age, None where unknown
    :param measured: ``unseen_templates``, ``unseen_events``, ``psi`` and
        ``measured_at``; what is missing or None was not measured
    :param limits: from when on it does not
    :returns: these, ``age_days``, ``stale``, and ``reasons`` in words
    """
    reasons = []
    if limits.age and days is not None and days > limits.age:
        reasons.append(f'It is {days:.0f} days old; [models] max_age is '
                       f'{limits.age:g}.')
    share = measured.get('unseen_events')
    if share is not None and share > limits.unseen:
        reasons.append(f'{share:.1%} of the events have templates that it '
                       f'has never seen; [models] max_unseen is '
                       f'{limits.unseen:g}.')
    index = measured.get('psi')
    if index is not None and index > limits.shift:
        reasons.append(f'Its scores have moved by {index:.2f} (population '
                       f'stability index); [models] max_shift is '
                       f'{limits.shift:g}.')
    return {
        'age_days': None if days is None else round(days, 2),
        'unseen_templates': measured.get('unseen_templates'),
        'unseen_events': share, 'psi': index,
        'measured_at': measured.get('measured_at'),
        'stale': bool(reasons), 'reasons': reasons}
