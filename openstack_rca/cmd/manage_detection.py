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
import json
import pathlib
import re
import sys
from typing import Any
from typing import TYPE_CHECKING

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.detectors import base as detectors
    from openstack_rca.evaluation import crossval
    from openstack_rca.evaluation import dataset


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
    from openstack_rca import conf
    from openstack_rca.engine import cache
    from openstack_rca.evaluation import recordings
    conf.load()
    folder = cache.cache_root() / 'evaluation'
    if args.all_output:
        folder = pathlib.Path(args.all_output) / 'cache'
    with recordings.Shelf(folder) as shelf:
        return _Evaluation(args, cases, shelf).run()


class _Evaluation:

    def __init__(self, args: argparse.Namespace,
                 cases: 'Sequence[dataset.Case]', shelf: Any) -> None:
        from openstack_rca.detectors import base as detectors
        from openstack_rca.evaluation import dataset
        from openstack_rca.osc import output
        self._args = args
        self._cases = cases
        self._shelf = shelf
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

    def run(self) -> int:
        from openstack_rca.evaluation import crossval
        known = self._read(self._cases, self._truth)
        learners = list(crossval.learners())
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
        def progress(done: int, name: str, error: str | None) -> None:
            if error is not None:
                self._say(f'{name}: {error}')
            self._line.update(f'read {done} of {len(cases)} cases',
                              done / len(cases))

        try:
            return list(self._shelf.recordings(
                cases, truth, frozenset(normal), self._args.jobs, progress))
        finally:
            self._line.clear()

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
            except exception.RCAException as exc:
                self._say(f'{name}: {exc}')
            else:
                self._write(name, first[name])
        self._plot(every)
        return [self._table(f'{len(dealt)} folds, {len(known)} cases',
                            every),
                self._table(f'fold 1, {len(dealt[0])} cases', first)]

    def _fold(self, name: str, number: int,
              training: 'Sequence[crossval.Known]',
              tested: 'Sequence[crossval.Known]') -> 'crossval.Fold':
        from openstack_rca.evaluation import crossval
        return crossval.predict(
            name, training, tested, self._settings, self._shelf.predictions,
            self._progress(f'{name}, fold {number}'))

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
                    self._shelf.predictions, self._progress(name))
            except exception.RCAException as exc:
                if name == crossval.DEFAULT:
                    raise
                self._say(f'{name}: {exc}')
            else:
                self._write(name, found[name])
        self._plot(found)
        return [self._table(f'trained on {len(training)} recordings of '
                            f'{other.name}, {len(known)} cases', found)]

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
        from openstack_rca.evaluation import metrics
        loud = {case for case, (score, _)
                in found[crossval.ANY].predictions.items() if score}
        return metrics.table(title, {
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
                    / 'precision-recall.svg', metrics.plot(curves),
                    '--all-output')

    def _say(self, line: str) -> None:
        from openstack_rca.osc import text
        self._line.clear()
        print(text.visible(line), file=sys.stderr)
