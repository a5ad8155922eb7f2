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
"""The figures of ``evaluate localization`` and ``evaluate incidents``."""

import argparse
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack_rca.evaluation import answers
    from openstack_rca.evaluation import runner


def show(args: argparse.Namespace,
         outcomes: 'Sequence[runner.Outcome]') -> None:
    """Print how good the answers are, where the truth is known.

    :param args: the command line
    :param outcomes: of all cases
    :raises RCAException: truth.jsonl cannot be used, or the diagram cannot
        be written
    """
    from openstack_rca.evaluation import answers as scoring
    from openstack_rca.evaluation import charts
    from openstack_rca.evaluation import dataset
    from openstack_rca.evaluation import explanations
    from openstack_rca.evaluation import localization
    from openstack_rca.evaluation import tables
    from openstack_rca.osc import output

    truth = dataset.truth(pathlib.Path(args.dataset), args.task)
    predictions = {o.case_id: o.prediction for o in outcomes}
    found = _answers(args.task, truth, predictions)
    if not found:
        return
    trivial = {o.case_id: o.floor or o.prediction for o in outcomes}
    floor = _answers(args.task, truth, trivial)
    # Kinds of cases before services.
    strata = sorted({s for answer in found.values() for s in answer.strata},
                    key=lambda s: (s not in localization.KINDS, s))
    for stratum in ('all', *strata):
        print(tables.table(f'{args.task}, {stratum}', {
            name: scoring.figures([
                a for a in side.values()
                if stratum == 'all' or stratum in a.strata])
            for name, side in (('analysis', found), ('floor', floor))}))
    if args.task == 'incidents':
        print(tables.table('explanation', {
            name: explanations.figures([
                (row['explanation'], truth[case])
                for case, row in rows.items()
                if case in found and 'explanation' in row])
            for name, rows in (('analysis', predictions),
                               ('floor', trivial))}))
    print(tables.table('confidence', {
        'analysis': scoring.calibration(list(found.values()))}))
    print(scoring.diagram(found.values()), end='')
    if args.reliability:
        output.keep(pathlib.Path(args.reliability), charts.plot({
            args.task: [(b.stated, b.right) for b in scoring.bins(
                found.values()).values()]}, 'stated', 'right',
            diagonal=True), '--reliability')


def _answers(task: str, truth: dict[str, dict[str, Any]],
             predictions: dict[str, dict[str, Any]]) -> dict[
                 str, 'answers.Answer']:
    """Predictions beside the truth, those that have any."""
    from openstack_rca.evaluation import incidents
    from openstack_rca.evaluation import localization

    judge = {'localization': localization, 'incidents': incidents}[task]
    pairs = {case: judge.answer(row, truth[case])
             for case, row in predictions.items() if case in truth}
    return {case: answer for case, answer in pairs.items() if answer}
