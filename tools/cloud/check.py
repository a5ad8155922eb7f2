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
"""Judge what the engine makes of the faults of a cloud."""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import json
import logging
import threading
import time
from typing import Any

from tools.cloud import cloud as clouds
from tools.cloud import install
from tools.cloud import layout
from tools.cloud import load
from tools.cloud import player
from tools.cloud import product
from tools.cloud import recorder
from tools.cloud import scenarios
from tools.cloud import table
from tools.cloud import unit
from tools.cloud.scenarios import base

LOG = logging.getLogger(__name__)

# Seconds: what an incident may take to be over after the fault, beside the
# time without symptoms that it needs; and what is watched after a fault at
# least.
_OVER = 150.0
_LINGER = 20.0
# The same where no incident is right: one may come late.
_LINGER_QUIET = 60.0
# How long a fault goes on that was found, where time is short.
_FOUND = 10.0
# Until the engine has read what was logged at the start.
_CAUGHT_UP = 20.0


@dataclasses.dataclass
class Verdict:
    """What came of one scenario.

    :ivar scenario: its name
    :ivar expected: the components that are right, those of each fault
    :ivar incidents: how many were opened for it, merged ones left out
    :ivar seconds: from the first line that tells of it to the incident; that
        may be one which any end of a connection leaves
    :ivar since_error: from the first line of level ERROR or CRITICAL
    :ivar named: the components that incidents and their analyses name first
    :ivar categories: the categories they name
    :ivar cited: services and binaries that the first causes cite
    :ivar closed: seconds from the end of the fault to that of the last
        incident; None: not all of them ended
    :ivar faults: what is not as it should be
    """

    scenario: str
    expected: list[str]
    incidents: int = 0
    seconds: float | None = None
    since_error: float | None = None
    named: list[str] = dataclasses.field(default_factory=list)
    categories: list[str] = dataclasses.field(default_factory=list)
    cited: list[str] = dataclasses.field(default_factory=list)
    closed: float | None = None
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all is as it should be."""
        return not self.faults


class Watch:
    """Looks at the incidents all the while, as an operator's screen does.

    :param where: the cloud
    """

    def __init__(self, where: layout.Layout) -> None:
        self._where = where
        self._proxy: Any = None
        self._lock = threading.Lock()
        self._seen: dict[str, dict[str, Any]] = {}
        self._reports: dict[str, dict[str, Any]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(15)

    def since(self, moment: str | None) -> list[dict[str, Any]]:
        """The incidents of a moment and later, oldest first.

        One that is opened later for what was logged before is none of them.

        :param moment: as a timestamp
        """
        with self._lock:
            return sorted(
                (dict(one) for one in self._seen.values()
                 if moment is None or (
                     one['created_at'] >= moment
                     and (one.get('last_seen') or moment) >= moment)),
                key=lambda one: str(one['created_at']))

    def look(self) -> None:
        """Fetch the incidents, once.

        :raises Exception: whatever the client raises
        """
        if self._proxy is None:
            self._proxy = product.connect(self._where)
        found = {one.id: one.to_dict() for one in self._proxy.incidents()}
        with self._lock:
            self._seen = found

    def settle(self) -> None:
        """Resolve what is open, as an operator does who knows why.

        :raises Exception: whatever the client raises
        """
        for one in list(self._proxy.incidents()):
            if one.status in ('open', 'acknowledged'):
                # It may just end by itself, or become a part of another.
                with contextlib.suppress(Exception):
                    self._proxy.resolve_incident(one.id)

    def analysis(self, incident: Mapping[str, Any]) -> dict[str, Any] | None:
        """The report of an incident's analysis, when there is one.

        :param incident: which
        """
        identity = incident.get('analysis_id')
        if not identity:
            return None
        if identity not in self._reports:
            found: dict[str, Any] = self._proxy.get_analysis(
                identity).to_dict()
            if found.get('status') != 'complete':
                return None
            self._reports[identity] = found
        return self._reports[identity]

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            # With Keystone or the database gone there is no answer; what
            # counts is what the service says afterwards.
            with contextlib.suppress(Exception):
                self.look()


def judge(kind: type[base.Scenario], truth: Mapping[str, Any],
          incidents: Sequence[Mapping[str, Any]],
          analyses: Sequence[Mapping[str, Any] | None],
          first: datetime.datetime | None,
          error: datetime.datetime | None = None) -> Verdict:
    """Compare incidents with the truth.

    :param kind: the scenario
    :param truth: as it was played
    :param incidents: those opened since the injection, oldest first
    :param analyses: the report of each, None where there is none
    :param first: when the first line told of the fault
    :param error: when the first error was logged
    """
    own = [(incident, analysis) for incident, analysis
           in zip(incidents, analyses, strict=True)
           if not incident.get('merged_into')]
    verdict = Verdict(kind.name, [' or '.join(one.components)
                                  for one in kind.truths], len(own))
    for incident, analysis in own:
        verdict.named.append(str(incident.get('component')))
        verdict.categories.append(str(incident.get('category')))
        verdict.cited += _cited(analysis)
    if not kind.truths:
        if own:
            verdict.faults.append('an incident without a fault')
        return verdict
    if not own:
        verdict.faults.append('no incident')
        return verdict
    opened = _moment(own[0][0]['created_at'])
    verdict.seconds = _after(first, opened)
    verdict.since_error = _after(error, opened)
    for expected in kind.truths:
        _judge_one(expected, own, verdict)
    ends = [incident.get('resolved_at') for incident, _ in own]
    if all(ends):
        verdict.closed = round(max(
            _moment(str(end)) - _moment(truth['cleared_at'])
            for end in ends).total_seconds(), 1)
    else:
        verdict.faults.append('not closed')
    if len(own) > len(kind.truths):
        verdict.faults.append(f'{len(own)} incidents for '
                              f'{len(kind.truths)}')
    return verdict


def _judge_one(expected: base.Truth, own: Sequence[tuple[
        Mapping[str, Any], Mapping[str, Any] | None]], verdict: Verdict
        ) -> None:
    """Look for the incident of one fault."""
    right = [(incident, analysis) for incident, analysis in own
             if incident.get('component') in expected.components]
    names = ' or '.join(expected.components)
    if not right:
        verdict.faults.append(f'no incident names {names}')
        return
    reports = [analysis for _, analysis in right if analysis is not None]
    if not reports:
        verdict.faults.append(f'no analysis of {names}')
        return
    firsts = [(report.get('hypotheses') or [{}])[0] for report in reports]
    if not any(one.get('component') in expected.components
               for one in firsts):
        verdict.faults.append(f'no analysis names {names} first')
    if not any(set(_cited(report)) & set(expected.services)
               for report in reports):
        verdict.faults.append(
            f'no line of {" or ".join(expected.services)} cited')


def _cited(analysis: Mapping[str, Any] | None) -> list[str]:
    """Services and binaries whose lines the first cause cites."""
    if not analysis or not analysis.get('hypotheses'):
        return []
    wanted = set(analysis['hypotheses'][0].get('evidence') or ())
    found: list[str] = []
    for one in analysis.get('evidence') or ():
        if one.get('id') in wanted:
            found += [str(one[name]) for name in ('service', 'binary')
                      if one.get(name) and one[name] not in found]
    return list(dict.fromkeys(found))


def _after(first: datetime.datetime | None,
           opened: datetime.datetime) -> float | None:
    return None if first is None else round(
        (opened - first).total_seconds(), 1)


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


class Checker:
    """Brings everything up, then plays and judges.

    :param where: the cloud's layout
    :param rate: workflows of the load, a minute
    :param brief: end a fault soon after it was found
    :param lasts: seconds of a scenario, instead of its own
    """

    def __init__(self, where: layout.Layout, rate: float = 10.0,
                 brief: bool = False, lasts: float | None = None) -> None:
        self._where = where
        self._brief = brief
        self._lasts = lasts
        self.cloud = clouds.Cloud(where)
        self.product = product.Product(where)
        self.folder = where.folder / 'check'
        self.folder.mkdir(exist_ok=True)
        operations = where.folder / 'ops.jsonl'
        self._load = load.Load(where, operations, rate)
        self._player = player.Player(self.cloud, operations, self.folder)
        self._watch = Watch(where)
        self._number = 0
        self.verdicts: list[Verdict] = []

    def up(self) -> None:
        """Start the cloud, the product, the load and the watch.

        :raises layout.CloudError: when something does not come up
        """
        install.install(self._where)
        self.cloud.up()
        LOG.info('Starting the API and the engine')
        self.product.up()
        self._load.start()
        self._watch.look()
        self._watch.start()
        time.sleep(_CAUGHT_UP)
        # What services said while others still started is nobody's concern.
        self._watch.settle()

    def down(self, keep: bool = False) -> None:
        """Stop what :meth:`up` started.

        :param keep: leave the cloud and the product running
        """
        self._load.stop()
        self._watch.stop()
        if not keep:
            self.product.down()
            self.cloud.down()

    def check(self, kind: type[base.Scenario]) -> Verdict:
        """Play one scenario and judge it.

        :param kind: the scenario
        :raises layout.CloudError: when the cloud does not recover
        """
        self._number += 1
        # What an earlier fault, or the start, has left would take what is
        # to come for its own.
        if not unit.wait_for(lambda: all(
                one['status'] == 'resolved'
                for one in self._watch.since(None)),
                product.RESOLVE_AFTER + _OVER):
            LOG.warning('Incidents are open before %s: they are resolved now',
                        kind.name)
            try:
                self._watch.settle()
            except Exception as error:
                # The next scenarios are to be played all the same.
                return self._unplayed(kind, error)
        begun = base.now()
        found: float | None = None

        def enough() -> bool:
            nonlocal found
            if not self._brief or not kind.truths:
                return False
            if found is None and self._analysed(begun, len(kind.truths)):
                found = time.monotonic()
            return found is not None and time.monotonic() - found > _FOUND

        cleared: float | None = None

        def over() -> bool:
            nonlocal cleared
            now = time.monotonic()
            if cleared is None:
                cleared = now
            if now - cleared > product.RESOLVE_AFTER + _OVER:
                return True
            opened = self._watch.since(begun)
            return (now - cleared > (
                        _LINGER if kind.truths else _LINGER_QUIET)
                    # On a busy machine the engine comes later.
                    and bool(opened or not kind.truths)
                    and all(one['status'] == 'resolved' for one in opened)
                    and not self._pending(begun))

        try:
            truth = self._player.play(
                kind, kind.name, seed=self._number, after=over,
                enough=enough, lasts=self._lasts,
                before=player.BEFORE if not self._brief else 10.0)
        except Exception as error:
            # The next scenarios are to be played all the same.
            return self._unplayed(kind, error)
        folder = self.folder / kind.name
        self._look()
        incidents = self._watch.since(begun)
        analyses = [self._watch.analysis(one) for one in incidents]
        line, severe = (recorder.first_line(
            folder, truth['injected_at'], tells) if kind.truths else None
            for tells in (kind.tells, base.Scenario.tells))
        verdict = judge(kind, truth, incidents, analyses,
                        line[0] if line else None,
                        severe[0] if severe else None)
        (folder / 'verdict.json').write_text(json.dumps({
            **dataclasses.asdict(verdict), 'passed': verdict.passed,
            'first_line': list(map(str, line)) if line else None,
            'incidents_seen': incidents, 'analyses': analyses},
            indent=2, default=str) + '\n')
        self._keep(verdict)
        # Deleting what has failed is work for the cloud, too.
        try:
            self._player.tidy()
        except layout.CloudError as error:
            LOG.warning('%s: %s', kind.name, error)
            self._heal()
        return verdict

    def _keep(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        self._write()
        LOG.info('%s: %s', verdict.scenario, 'as it should be'
                 if verdict.passed else '; '.join(verdict.faults))

    def _unplayed(self, kind: type[base.Scenario], error: Exception
                  ) -> Verdict:
        verdict = Verdict(kind.name, [' or '.join(one.components)
                                      for one in kind.truths], faults=[
            f'not played to its end: {type(error).__name__}: {error}'[:500]])
        self._keep(verdict)
        self._heal()
        return verdict

    def _heal(self) -> None:
        """Start a cloud again that does not recover by itself."""
        self.cloud.down()
        self.cloud.up()

    def _pending(self, begun: str) -> bool:
        """Whether an analysis that was begun is not complete yet."""
        with contextlib.suppress(Exception):
            return any(one.get('analysis_id')
                       and self._watch.analysis(one) is None
                       for one in self._watch.since(begun))
        return True

    def _analysed(self, begun: str, wanted: int) -> bool:
        """Whether there are enough incidents, and all are analysed."""
        incidents = self._watch.since(begun)
        with contextlib.suppress(Exception):
            return len(incidents) >= wanted and all(
                self._watch.analysis(one) is not None for one in incidents)
        return False

    def _look(self) -> None:
        """Ask again until there is an answer: Keystone just came back."""
        for _ in range(30):
            try:
                self._watch.look()
                return
            except Exception as error:
                LOG.debug('No answer yet: %s', error)
                time.sleep(1)
        self._watch.look()

    def _write(self) -> None:
        rows = [{**dataclasses.asdict(one), 'passed': one.passed}
                for one in self.verdicts]
        (self.folder / 'table.json').write_text(
            json.dumps(table.document(rows), indent=2) + '\n')
        (self.folder / 'table.txt').write_text(table.text(rows))


def run(where: layout.Layout, names: Sequence[str], *, rate: float = 10.0,
        brief: bool = False, lasts: float | None = None,
        keep: bool = False) -> int:
    """Play and judge scenarios, and print the table.

    :param where: the cloud's layout
    :param names: of the scenarios
    :param rate: workflows of the load, a minute
    :param brief: end a fault soon after it was found
    :param lasts: seconds of each scenario, instead of its own
    :param keep: leave everything running
    :returns: the exit status: 0 when all is as it should be
    :raises layout.CloudError: when somebody else plays on this cloud, or it
        does not come up
    """
    known = scenarios.library()
    failed = 0
    with where.claim():
        checker = Checker(where, rate, brief, lasts)
        try:
            checker.up()
            for name in names:
                failed += not checker.check(known[name]).passed
        finally:
            checker.down(keep)
            if checker.verdicts:
                print((checker.folder / 'table.txt').read_text())
    print(f'{len(checker.verdicts) - failed} passed, {failed} failed')
    return 1 if failed else 0
