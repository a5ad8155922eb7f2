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
"""Figures of answers, from predictions and the truth.

How high the right one stands, and whether a stated confidence holds: the
expected calibration error (Naeini, Cooper and Hauskrecht, "Obtaining Well
Calibrated Probabilities Using Bayesian Binning", AAAI 2015) over ten equal
bins, and the area under the ROC curve of right against wrong answers.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import random
from typing import Any

from openstack_rca.evaluation import tables

BINS = 10
_HITS = (1, 3)
_ROUNDS = 1000
_SEED = 1


@dataclasses.dataclass(frozen=True)
class Answer:
    """A prediction beside the truth.

    :param group: what belongs together
    :param ranks: how high the right one stands, from 1, by what was ranked;
        None where it is not named
    :param strata: kinds of cases that this one is
    :param confidence: stated for the first hypothesis, 0 to 1; None where
        nothing states any
    :param answered: a cause was named
    """

    group: str
    ranks: Mapping[str, int | None]
    strata: tuple[str, ...] = ()
    confidence: float | None = None
    answered: bool = True

    @property
    def right(self) -> bool:
        """The first thing named is the right one."""
        return next(iter(self.ranks.values())) == 1


def rank_of(wanted: Callable[[Any], bool],
            named: Iterable[Any]) -> int | None:
    """How high the first right one stands, from 1, or None.

    :param wanted: whether one is right
    :param named: what was named, repeats and None aside
    """
    return next((rank for rank, name in enumerate(
        (n for n in dict.fromkeys(named) if n), 1) if wanted(name)), None)


def figures(answers: Sequence[Answer],
            rounds: int = _ROUNDS) -> dict[str, tables.Figure]:
    """How often the right one is named first, and among the first three.

    :param answers: of a stratum, at least one
    :param rounds: of the bootstrap over groups that gives the intervals
    """
    found: dict[str, tables.Figure] = {}
    for what in answers[0].ranks:
        for most in _HITS:
            found[f'{what} hit@{most}'] = _share([
                (a.group, (a.ranks[what] or most + 1) <= most)
                for a in answers], rounds)
    found['cases'] = len(answers)
    return found


def _share(hits: Sequence[tuple[str, bool]], rounds: int) -> tables.Figure:
    """Share of hits, and where it lies when groups are drawn anew."""
    groups: dict[str, list[bool]] = collections.defaultdict(list)
    for group, hit in hits:
        groups[group].append(hit)
    parts = [(sum(some), len(some)) for some in groups.values()]
    value = sum(hit for _, hit in hits) / len(hits)
    if len(parts) < 2 or rounds < 1:
        return value
    # The default generator is not for secrets, and this is none.
    dice = random.Random(_SEED)  # noqa: S311
    drawn = []
    for _ in range(rounds):
        some = dice.choices(parts, k=len(parts))
        drawn.append(sum(h for h, _ in some) / sum(n for _, n in some))
    drawn.sort()
    return (value, drawn[int(0.025 * rounds)],
            drawn[min(rounds - 1, int(0.975 * rounds))])


@dataclasses.dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence.

    :param cases: how many
    :param stated: mean confidence
    :param right: share of right ones
    """

    cases: int
    stated: float
    right: float


def _told(answers: Iterable[Answer]) -> list[tuple[float, bool]]:
    return [(a.confidence, a.right) for a in answers
            if a.answered and a.confidence is not None]


def bins(answers: Iterable[Answer]) -> dict[int, Bin]:
    """Answers by the tenth that their confidence falls into.

    :param answers: those that name no cause are left out
    :returns: by tenth, 0 to 9, only those that hold any
    """
    parts: dict[int, list[tuple[float, bool]]] = collections.defaultdict(list)
    for stated, right in _told(answers):
        parts[min(BINS - 1, int(stated * BINS))].append((stated, right))
    return {n: Bin(len(part), sum(s for s, _ in part) / len(part),
                   sum(r for _, r in part) / len(part))
            for n, part in sorted(parts.items())}


def calibration(answers: Sequence[Answer]) -> dict[str, tables.Figure]:
    """Whether a stated confidence holds.

    :param answers: at least one
    :returns: figures by name; None where there are no cases to tell it by
    """
    told = _told(answers)
    parts = bins(answers).values()
    right = [stated for stated, yes in told if yes]
    wrong = [stated for stated, yes in told if not yes]
    return {
        'calibration error': sum(
            abs(b.stated - b.right) * b.cases for b in parts) / len(told)
        if told else None,
        'AUROC, right against wrong': sum(
            (r > w) + 0.5 * (r == w) for r in right for w in wrong)
        / (len(right) * len(wrong)) if right and wrong else None,
        'share answered': sum(a.answered for a in answers) / len(answers),
        'right of those answered': len(right) / len(told)
        if told else None}


def diagram(answers: Iterable[Answer]) -> str:
    """The reliability diagram as text, a line a tenth."""
    rows: dict[str, dict[str, tables.Figure]] = {
        'cases': {}, 'stated': {}, 'right': {}}
    for number, part in bins(answers).items():
        name = f'{10 * number} to {10 * number + 10} %'
        rows['cases'][name] = part.cases
        rows['stated'][name] = part.stated
        rows['right'][name] = part.right
    return tables.table('confidence', rows)
