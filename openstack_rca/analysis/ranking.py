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
"""Who is to blame: findings, united a component, and weighed.

A *finding* is one reason to blame a component: a clue in messages, a process
that fell silent or was replaced. Reasons of different kinds add up by the
noisy-or rule (Pearl, "Probabilistic Reasoning in Intelligent Systems", 1988),
reasons of one kind do not: a thousand equal lines are one reason. An effect
is explained away by a cause: a reason that a fault behind the component would
produce as well counts less the surer that fault is.
"""

from collections.abc import Container
from collections.abc import Iterable
import dataclasses
import datetime
from typing import Any

from openstack_rca.analysis import components
from openstack_rca.events import levels

#: How much of a reason is explained away by a certain fault behind the
#: component, for reasons that show the fault itself and for those that show
#: an effect.
_EXPLAINED_DIRECT = 0.3
_EXPLAINED_EFFECT = 0.9
#: What each doubling of the complaining processes adds to a reason.
_BREADTH = 0.06
#: How much more a reason counts that concerns the very entity asked about.
_RELATED = 1.35
#: A component that the words of the question point at.
_TOPIC = 1.08
#: The component that the first error record speaks of.
_FIRST = 1.25
#: What is the cause of another incident, beside the cause of this one.
_ELSEWHERE = 0.5
#: Below this score nobody is named as the cause.
LEAST = 0.25
#: How strong a reason has to be, beside the strongest one, to say when the
#: fault began.
_BEGINS = 0.25
#: Weights never make certain.
_CERTAIN = 0.97


@dataclasses.dataclass
class Finding:
    """One reason to blame a component.

    :param component: who is blamed
    :param category: kind of fault
    :param clue: what kind of reason it is
    :param weight: strength by itself, 0 to 1
    :param cause: the cause in words
    :param remedy: what to do
    :param direct: whether it shows the fault itself
    :param events: rows of the events that show it, oldest first
    :param host: the host that is meant, or an empty string
    :param related: whether it concerns the entity asked about
    :param since: when it begins
    :param processes: the processes that say so
    :param via: parts whose fault explains it as well, though the blamed one
        does not need them
    """

    component: str
    category: str
    clue: str
    weight: float
    cause: str
    remedy: tuple[str, ...]
    direct: bool
    events: list[dict[str, Any]]
    host: str = ''
    related: bool = False
    since: datetime.datetime | None = None
    processes: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    via: tuple[str, ...] = ()

    def failed(self) -> datetime.datetime | None:
        """When the first error record among the events was logged."""
        return min((e['timestamp'] for e in self.events
                    if e['kind'] not in ('notification', 'resource')
                    and (e['level'] >= levels.ERROR
                         or 'Traceback (most recent' in e['text'])),
                   default=None)

    def strength(self) -> float:
        """Weight with breadth and relation to the question."""
        breadth = 1 + _BREADTH * (len(self.processes).bit_length() - 1
                                  if self.processes else 0)
        value = self.weight * breadth * (_RELATED if self.related else 1)
        return min(_CERTAIN, value)


@dataclasses.dataclass
class Candidate:
    """A component with all reasons to blame it.

    :param component: its name
    :param findings: the reasons, the strongest first
    :param score: 0 to 1
    :param order: the score before it was bounded, which tells two apart
        that are both nearly sure
    """

    component: str
    findings: list[Finding]
    score: float = 0.0
    order: float = 0.0

    @property
    def category(self) -> str:
        """The kind of fault that the reasons speak for most."""
        votes: dict[str, float] = {}
        for finding in self.findings:
            # A reason that names no kind of fault leaves the word to those
            # that do.
            share = 0.1 if finding.category == 'unknown' else 1.0
            votes[finding.category] = votes.get(
                finding.category, 0.0) + finding.strength() * share
        return max(votes, key=lambda c: votes[c])

    @property
    def since(self) -> datetime.datetime | None:
        """When the reasons begin, without those that are weak beside others.

        A request may be slow a minute before its service hangs.
        """
        least = _BEGINS * max((f.strength() for f in self.findings
                               if f.since), default=0.0)
        return min((f.since for f in self.findings
                    if f.since and f.strength() >= least), default=None)

    @property
    def host(self) -> str:
        """The one host that is meant, or an empty string."""
        hosts = {f.host for f in self.findings
                 if f.category == self.category and f.host}
        return hosts.pop() if len(hosts) == 1 else ''


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each component, clue and category."""
    merged: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.component, finding.clue, finding.category)
        held = merged.get(key)
        if held is None:
            merged[key] = dataclasses.replace(
                finding, events=list(finding.events),
                processes=set(finding.processes))
            continue
        held.weight = max(held.weight, finding.weight)
        held.events += finding.events
        held.processes |= finding.processes
        held.related |= finding.related
        if held.host != finding.host:
            held.host = ''
        times = [t for t in (held.since, finding.since) if t]
        held.since = min(times) if times else None
    return list(merged.values())


def _either(strengths: Iterable[float]) -> float:
    """Noisy-or."""
    left = 1.0
    for strength in strengths:
        left *= 1 - min(_CERTAIN, max(0.0, strength))
    return 1 - left


def _complaint(name: str, group: list[Finding]) -> float:
    """How strongly a component itself says that another one fails.

    Whoever complains lives, and passes on what it is blamed for.

    :param name: of the component
    :param group: reasons to blame the other one
    """
    return max((f.strength() for f in group if any(
        components.of_binary(binary.partition('@')[0]) == name
        for binary, _ in f.processes)), default=0.0)


def rank(findings: list[Finding],
         topics: tuple[str, ...] = ()) -> list[Candidate]:
    """Components in the order of how likely they are at fault.

    :param findings: all reasons
    :param topics: projects that the words of the question point at
    :returns: candidates, the likeliest first
    """
    by_component: dict[str, list[Finding]] = {}
    for finding in merge(findings):
        by_component.setdefault(finding.component, []).append(finding)
    sure = {name: _either(f.strength() for f in group if f.direct)
            for name, group in by_component.items()}
    first = min((t for group in by_component.values() for f in group
                 if (t := f.failed()) is not None), default=None)
    ranked = []
    for name, group in by_component.items():
        cover = max((max(sure[b], _complaint(name, by_component[b]))
                     for b in components.behind(name) if b in sure),
                    default=0.0)
        strengths = []
        for finding in group:
            share = _EXPLAINED_DIRECT if finding.direct \
                else _EXPLAINED_EFFECT
            by = max((cover, *(sure.get(p, 0.0) for p in finding.via)))
            strengths.append(finding.strength() * (1 - share * by))
        score = _either(strengths)
        if components.of_service(name) in topics:
            score *= _TOPIC
        if first and any(f.failed() == first for f in group):
            score *= _FIRST
        group.sort(key=lambda f: -f.strength())
        ranked.append(Candidate(name, group, min(_CERTAIN, score), score))
    return _sorted(ranked)


def aside(ranked: list[Candidate], own: str,
          elsewhere: Container[tuple[str, str]]) -> list[Candidate]:
    """Have the causes of other incidents stand behind an incident's own.

    Two faults at a time are in one time of the logs.

    :param ranked: candidates; changed in place
    :param own: the component that the incident's own symptoms blame
    :param elsewhere: component and category of the others' causes
    :returns: candidates, the likeliest first
    """
    mine = next((c for c in ranked if c.component == own), None)
    if mine is not None and mine.score >= LEAST:
        for one in ranked:
            if one is not mine and (one.component,
                                    one.category) in elsewhere:
                one.score = min(one.score, _ELSEWHERE * mine.score)
                one.order = min(one.order, _ELSEWHERE * mine.order)
    return _sorted(ranked)


def _sorted(ranked: list[Candidate]) -> list[Candidate]:
    return sorted(ranked, key=lambda c: (
        -c.order, c.since or datetime.datetime.max, c.component))


def confidence(ranked: list[Candidate], index: int) -> float:
    """How sure a candidate is, given its rivals, 0 to 0.95.

    :param ranked: all candidates
    :param index: which one
    """
    score = ranked[index].score
    rivals = max((c.score for i, c in enumerate(ranked) if i != index),
                 default=0.0)
    total = score + rivals
    return round(min(0.95, score * (score / total if total else 0.0) * 1.6
                     if rivals > 0.2 * score else score), 3)
