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
"""Figures of detectors, from predictions and the truth.

The headline sets failures against runs in which something was faulty and
nobody was harmed (tier ``N1``), or against all in which nobody was harmed
where a dataset knows no such tier.
"""

import collections
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from openstack_rca.evaluation import tables

#: Share of normal runs that may be alarmed, for the recall at a budget.
BUDGET = 0.05
_TIER = 'N1'
_NOISY = '_err'
_ROUNDS = 1000
_SEED = 1

@dataclasses.dataclass(frozen=True)
class Judged:
    """A prediction beside the truth.

    :param group: what belongs together
    :param failure: users were harmed
    :param hard: a failure whose errors, if any, point elsewhere
    :param silent: a failure without any ERROR record
    :param tier: which kind of run it was, empty where nobody says
    :param score: higher is more abnormal
    :param alarm: whether it was alarmed
    :param loud: an ERROR record is in its time
    """

    group: str
    failure: bool
    hard: bool
    silent: bool
    tier: str
    score: float
    alarm: bool
    loud: bool = False


def judged(truth: Mapping[str, Any], score: float, alarm: bool,
           loud: bool = False) -> Judged:
    """A prediction beside its line of ``truth.jsonl``.

    :param truth: the line
    :param score: what was predicted
    :param alarm: what was predicted
    :param loud: an ERROR record is in its time
    """
    return Judged(str(truth.get('group') or truth.get('case_id')),
                  bool(truth.get('failure')), bool(truth.get('hard')),
                  bool(truth.get('silent')), str(truth.get('tier') or ''),
                  score, alarm, loud)


def average_precision(scored: Iterable[tuple[float, bool]]) -> float:
    """Area under precision and recall; equal scores are one step.

    :param scored: a score, and whether it should be high
    """
    ap = before = 0.0
    for recall, precision in curve(scored):
        ap += (recall - before) * precision
        before = recall
    return ap


def curve(scored: Iterable[tuple[float, bool]]) -> list[
        tuple[float, float]]:
    """Recall and precision at each score, from the highest on.

    :param scored: a score, and whether it should be high
    """
    steps: dict[float, list[int]] = collections.defaultdict(lambda: [0, 0])
    for score, positive in scored:
        steps[score][0] += positive
        steps[score][1] += 1
    positives = max(1, sum(hits for hits, _ in steps.values()))
    points = []
    hits = seen = 0
    for score in sorted(steps, reverse=True):
        hits += steps[score][0]
        seen += steps[score][1]
        points.append((hits / positives, hits / seen))
    return points


def limit(normal: Iterable[float], share: float = BUDGET) -> float:
    """The score that no more than a share of normal ones exceeds.

    :param normal: scores, at least one
    :param share: from 0 to 1
    """
    ordered = sorted(normal, reverse=True)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def headline(cases: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """Failures, and what they are set against.

    :param cases: all of a dataset
    """
    normal = [c for c in cases if not c.failure]
    return ([c for c in cases if c.failure],
            [c for c in normal if c.tier == _TIER] or normal)


def figures(cases: Sequence[Judged],
            rounds: int = _ROUNDS) -> dict[str, tables.Figure]:
    """What a detector is worth.

    :param cases: what it predicted, beside the truth
    :param rounds: of the bootstrap that gives the intervals
    :returns: by name; a value, a value with its interval of 95 %, or None
        where there are no cases to tell it by
    """
    failures, normal = headline(cases)
    both = [*failures, *normal]
    alarms = sum(c.alarm for c in both)
    hits = sum(c.alarm for c in failures)
    precision = hits / max(1, alarms)
    recall = hits / max(1, len(failures))
    noisy = [c for c in cases if c.tier.endswith(_NOISY) and not c.failure]
    found: dict[str, tables.Figure] = {
        'average precision': average_precision(
            (c.score, c.failure) for c in both),
        'precision': precision,
        'recall': recall,
        'F1': 2 * precision * recall / max(1e-9, precision + recall)}
    if not failures:
        found = dict.fromkeys(found)
    at = _recalls(failures, normal)
    spread = _intervals(failures, normal, rounds)
    for kind in _KINDS:
        name = f'recall at 5 % false alarms, {kind}'
        value, between = at[kind], spread[kind]
        found[name] = value if value is None or between is None else (
            value, *between)
    found['false-alarm rate'] = _share(normal)
    found['alarms on noisy harmless runs'] = _share(noisy)
    found['  those with an ERROR in the window'] = _share(
        [c for c in noisy if c.loud])
    return found


_KINDS = ('all', 'hard', 'silent')


def _kind(failures: Iterable[Judged], kind: str) -> list[Judged]:
    return [c for c in failures if kind == 'all' or getattr(c, kind)]


def _share(cases: Sequence[Judged]) -> float | None:
    """Share of cases that were alarmed."""
    return sum(c.alarm for c in cases) / len(cases) if cases else None


def _recalls(failures: Sequence[Judged],
             normal: Sequence[Judged]) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(_KINDS)
    if not normal:
        return found
    bound = limit(c.score for c in normal)
    for kind in _KINDS:
        chosen = _kind(failures, kind)
        if chosen:
            found[kind] = sum(c.score > bound for c in chosen) / len(chosen)
    return found


def _intervals(failures: Sequence[Judged], normal: Sequence[Judged],
               rounds: int) -> dict[str, tuple[float, float] | None]:
    """Where the recall lies when groups are drawn anew."""
    groups: dict[str, tuple[list[Judged], list[Judged]]] = (
        collections.defaultdict(lambda: ([], [])))
    for case in (*failures, *normal):
        groups[case.group][not case.failure].append(case)
    names = sorted(groups)
    drawn: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    rng = np.random.default_rng(_SEED)
    for _ in range(rounds if names else 0):
        picked = [groups[names[n]]
                  for n in rng.integers(len(names), size=len(names))]
        found = _recalls([c for some, _ in picked for c in some],
                         [c for _, some in picked for c in some])
        for kind, value in found.items():
            if value is not None:
                drawn[kind].append(value)
    return {kind: (float(np.quantile(values, 0.025)),
                   float(np.quantile(values, 0.975))) if values else None
            for kind, values in drawn.items()}
