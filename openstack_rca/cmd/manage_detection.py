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
"""``openstack-rca-manage evaluate detection`` of detectors that learn."""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import json
import pathlib
import re
import sys
from typing import Any
from typing import TYPE_CHECKING

from oslo_log import log as logging

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.detectors import base as detectors
    from openstack_rca.evaluation import crossval
    from openstack_rca.evaluation import dataset
    from openstack_rca.evaluation import recordings
    from openstack_rca.osc import output

LOG = logging.getLogger(__name__)


def wanted(args: argparse.Namespace) -> bool:
    """Whether detectors are to be trained.

    :param args: the parsed command line
    :raises InvalidInput: options that contradict each other
    """
    learn = args.task == 'detection' and bool(
        args.train or (pathlib.Path(args.dataset) / 'truth.jsonl').is_file())
    if not learn and (args.train or args.all_output):
        raise exception.InvalidInput(
            reason='--train and --all-output are for "evaluate detection", '
            'and --all-output needs a truth.jsonl in the dataset or --train.')
    return learn


def evaluate(args: argparse.Namespace,
             cases: 'Sequence[dataset.Case]') -> int:
    """Train detectors, predict with them, and print what they are worth.

    :param args: the parsed command line
    :param cases: what to predict
    :returns: 0, or 1 when a case could not be predicted
    :raises RCAException: a dataset, a folder or the default detector cannot
        be used
    """
    with shelf(args) as opened:
        return _Evaluation(args, cases, opened).run()


def shelf(args: argparse.Namespace) -> 'recordings.Shelf':
    """Where parsed cases and predictions are kept.

    :param args: the parsed command line
    """
    from openstack_rca.engine import cache
    from openstack_rca.evaluation import recordings
    folder = cache.cache_root() / 'evaluation'
    if args.all_output:
        folder = pathlib.Path(args.all_output) / 'cache'
    return recordings.Shelf(folder)


def read(opened: 'recordings.Shelf', cases: 'Sequence[dataset.Case]',
         truth: Mapping[str, Mapping[str, Any]], normal: Iterable[str],
         jobs: int, line: 'output.Progress') -> 'list[crossval.Known]':
    """Parse cases, and say which cannot be read.

    :param opened: where they are kept
    :param cases: which
    :param truth: what is true of them, as far as it is known
    :param normal: names of those that are known to be without a fault
    :param jobs: worker processes
    :param line: shows how far it came
    :returns: those that can be read
    :raises StoreError: what was parsed cannot be read
    """
    def progress(done: int, name: str, error: str | None) -> None:
        if error is not None:
            say(line, f'{name}: {error}')
        line.update(f'read {done} of {len(cases)} cases', done / len(cases))

    try:
        return opened.recordings(cases, truth, frozenset(normal), jobs,
                                 progress)
    finally:
        line.clear()


def say(line: 'output.Progress', message: str) -> None:
    """Print a message where a line shows how far something came.

    :param line: is taken away
    :param message: one line
    """
    from openstack_rca.osc import text
    line.clear()
    print(text.visible(message), file=sys.stderr)


class _Evaluation:

    def __init__(self, args: argparse.Namespace,
                 cases: 'Sequence[dataset.Case]',
                 opened: 'recordings.Shelf') -> None:
        from openstack_rca.detectors import base as detectors
        from openstack_rca.evaluation import dataset
        from openstack_rca.osc import output
        self._args = args
        self._cases = cases
        self._shelf = opened
        self._settings = detectors.Settings()
        self._line = output.Progress(sys.stderr)
        truth = dataset.truth(pathlib.Path(args.dataset))
        missing = [c.case_id for c in cases if c.case_id not in truth]
        if truth and missing:
            raise exception.DatasetError(
                path=args.dataset, task='detection',
                reason=f'truth.jsonl has no line for {len(missing)} cases, '
                f'such as {missing[0]}.')
        self._truth = truth
        self._faults = {
            case: moment for case, told in truth.items()
            if (moment := _fault(pathlib.Path(args.dataset), told))}
        #: Why a detector has no figures.
        self._failed: list[str] = []

    def run(self) -> int:
        from openstack_rca.evaluation import crossval
        known = self._read(self._cases, self._truth)
        learners = list(crossval.learners())
        if not self._args.all_output:
            learners = [crossval.DEFAULT]
        try:
            if self._args.train:
                told = self._transfer(known, learners)
            else:
                told = self._folds(known, learners)
        finally:
            self._line.clear()
        print('\n'.join(told), end='')
        return 1 if len(known) < len(self._cases) else 0

    def _read(self, cases: 'Sequence[dataset.Case]',
              truth: Mapping[str, Mapping[str, Any]],
              normal: Iterable[str] = ()) -> 'list[crossval.Known]':
        return read(self._shelf, cases, truth, normal, self._args.jobs,
                    self._line)

    def _folds(self, known: 'list[crossval.Known]',
               learners: list[str]) -> list[str]:
        """Cross-validation; the others on the first fold only."""
        from openstack_rca.evaluation import crossval
        dealt = [frozenset(fold) for fold in crossval.folds(
            {k.recording.name: k.recording.group for k in known})]
        every: dict[str, crossval.Fold] = {}
        first: dict[str, crossval.Fold] = {}
        for name in [crossval.DEFAULT, *crossval.RULES]:
            parts = [self._fold(
                name, number, [k for k in known
                               if k.recording.name not in fold],
                [k for k in known if k.recording.name in fold])
                for number, fold in enumerate(dealt, 1)]
            every[name], first[name] = crossval.together(parts), parts[0]
            self._write(name, every[name])
        for name in learners:
            if name in first:
                continue
            try:
                first[name] = self._fold(
                    name, 1, [k for k in known
                              if k.recording.name not in dealt[0]],
                    [k for k in known if k.recording.name in dealt[0]])
            except Exception as exc:
                self._fail(name, exc)
            else:
                self._write(name, first[name])
        self._plot(every)
        told = [self._table(f'{len(dealt)} folds, {len(known)} cases',
                            every)]
        if self._args.all_output:
            told.append(self._table(
                f'fold 1, {len(dealt[0])} cases', first) + self._failures())
        return told

    def _fold(self, name: str, number: int,
              training: 'Sequence[crossval.Known]',
              tested: 'Sequence[crossval.Known]') -> 'crossval.Fold':
        from openstack_rca.evaluation import crossval
        return crossval.predict(
            name, training, tested, self._settings, self._shelf.predictions,
            self._progress(f'{name}, fold {number}'), self._faults)

    def _transfer(self, known: 'list[crossval.Known]',
                  learners: list[str]) -> list[str]:
        """Learn from one dataset, and predict the other."""
        from openstack_rca.evaluation import crossval
        from openstack_rca.evaluation import dataset
        other = pathlib.Path(self._args.train)
        normal = [case.case_id for case in dataset.quiet(other)]
        training = self._read(dataset.recordings(other),
                              dataset.truth(other), normal)
        found: dict[str, crossval.Fold] = {}
        for name in [*learners, *crossval.RULES]:
            try:
                found[name] = crossval.predict(
                    name, training, known, self._settings,
                    self._shelf.predictions, self._progress(name),
                    self._faults)
            except Exception as exc:
                if name == crossval.DEFAULT:
                    raise
                self._fail(name, exc)
            else:
                self._write(name, found[name])
        self._plot(found)
        return [self._table(f'trained on {len(training)} recordings of '
                            f'{other.name}, {len(known)} cases', found)
                + self._failures()]

    def _fail(self, name: str, error: Exception) -> None:
        """Go on without a detector, whatever is wrong with it."""
        reason = ' '.join(str(error).split())
        if not isinstance(error, exception.RCAException):
            LOG.debug('The detector %s failed', name, exc_info=error)
            reason = f'it has a bug: {type(error).__name__}: {reason}'
        say(self._line, f'{name}: {reason}')
        self._failed.append(f'{name}  {reason}')

    def _failures(self) -> str:
        """The rows of detectors without figures."""
        from openstack_rca.osc import text
        return ''.join(text.visible(row) + '\n' for row in self._failed)

    def _progress(self, name: str) -> 'detectors.Progress':
        def progress(stage: str, share: float,
                     figures: Mapping[str, float]) -> None:
            self._line.update(' '.join(
                [f'{name}: {stage}', *(f'{key} {value:.3f}' for key, value
                                       in figures.items())]), share)
        return progress

    def _table(self, title: str,
               found: 'Mapping[str, crossval.Fold]') -> str:
        from openstack_rca.evaluation import crossval
        from openstack_rca.evaluation import tables
        loud = {case for case, (score, _)
                in found[crossval.ANY].predictions.items() if score}
        return tables.table(title, {
            name: crossval.figures(fold, self._truth or None, loud)
            for name, fold in found.items()})

    def _write(self, name: str, fold: 'crossval.Fold') -> None:
        """Write the predictions of a detector to where they belong."""
        from openstack_rca.evaluation import crossval
        from openstack_rca.evaluation import detection
        from openstack_rca.osc import output
        rows = []
        for case in self._cases:
            if case.case_id in fold.predictions:
                score, alarm = fold.predictions[case.case_id]
                rows.append({'case_id': case.case_id, 'score': score,
                             'alarm': alarm})
            elif name == crossval.DEFAULT:
                rows.append({'case_id': case.case_id, **detection.empty()})
        text = ''.join(json.dumps(row) + '\n' for row in rows)
        if name == crossval.DEFAULT:
            output.keep(pathlib.Path(self._args.output), text)
        if self._args.all_output:
            plain = re.sub(r'[^A-Za-z0-9._-]+', '-', name)
            output.keep(pathlib.Path(self._args.all_output)
                        / f'{plain}.jsonl', text, '--all-output')

    def _plot(self, found: 'Mapping[str, crossval.Fold]') -> None:
        from openstack_rca.evaluation import charts
        from openstack_rca.evaluation import metrics
        from openstack_rca.osc import output
        if not self._truth or not self._args.all_output:
            return
        curves = {}
        for name, fold in found.items():
            failures, normal = metrics.headline([
                metrics.judged(self._truth[case], *said)
                for case, said in fold.predictions.items()])
            curves[name] = metrics.curve(
                (c.score, c.failure) for c in (*failures, *normal))
        output.keep(pathlib.Path(self._args.all_output)
                    / 'precision-recall.svg',
                    charts.plot(curves, 'recall', 'precision'),
                    '--all-output')


def _fault(folder: pathlib.Path,
           told: Mapping[str, Any]) -> datetime.datetime | None:
    """When users began to be harmed, by a line of ``truth.jsonl``."""
    from openstack_rca.analysis import scope
    moments = told.get('activation')
    if not told.get('failure') or not moments:
        return None
    try:
        return min(scope.naive(datetime.datetime.fromisoformat(text))
                   or datetime.datetime.max
                   for text in ([moments] if isinstance(moments, str)
                                else moments))
    except (TypeError, ValueError) as exc:
        raise exception.DatasetError(
            path=folder, task='detection',
            reason=f'truth.jsonl cannot be used: the activation of '
            f'{told.get("case_id")} is no time: {exc}') from exc
