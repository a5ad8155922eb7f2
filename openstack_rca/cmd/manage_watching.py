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
"""``openstack-rca-manage evaluate detection`` where a model watches."""

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import json
import pathlib
import sys
from typing import Any
from typing import TYPE_CHECKING

from openstack_rca import exception
from openstack_rca.cmd import manage_detection

if TYPE_CHECKING:
    from openstack_rca.detectors import base as detectors
    from openstack_rca.evaluation import dataset
    from openstack_rca.evaluation import watching
    from openstack_rca.models import base as models


def wanted(args: argparse.Namespace) -> bool:
    """Whether a model is to watch.

    :param args: the parsed command line
    :raises InvalidInput: options that contradict each other
    """
    from openstack_rca.evaluation import dataset
    folder = pathlib.Path(args.dataset)
    watch = (args.task == 'detection' and not args.train
             and (folder / 'quiet.jsonl').is_file())
    if args.model and not watch:
        raise exception.InvalidInput(
            reason='--model is for "evaluate detection" of a dataset with '
            'quiet.jsonl, and without --train.')
    # Where cases are labelled, detectors can be trained on folds of them.
    return watch and (bool(args.model) or not any(
        'failure' in told for told in dataset.truth(folder).values()))


def evaluate(args: argparse.Namespace,
             cases: 'Sequence[dataset.Case]') -> int:
    """Let a model watch recordings, and print how soon it notices.

    :param args: the parsed command line
    :param cases: recordings of incidents
    :returns: 0, or 1 when one could not be read
    :raises RCAException: the dataset or the model cannot be used
    """
    from openstack_rca.evaluation import crossval
    from openstack_rca.evaluation import dataset
    from openstack_rca.evaluation import watching
    from openstack_rca.osc import output
    folder = pathlib.Path(args.dataset)
    quiet = dataset.quiet(folder)
    faults = _faults(folder, dataset.truth(folder))
    description, detector = model(args.model)
    line = output.Progress(sys.stderr)
    found: dict[str, watching.Watched] = {}
    with manage_detection.shelf(args) as shelf:
        known = manage_detection.read(shelf, [*cases, *quiet], {}, (),
                                      args.jobs, line)
        try:
            for number, one in enumerate(known, 1):
                found[one.recording.name] = watching.watch(
                    detector, one, crossval.digest(
                        description.sha256, description.state),
                    shelf.predictions)
                line.update(f'watched {number} of {len(known)} recordings',
                            number / len(known))
        finally:
            line.clear()
    _write(args, cases, found)
    print('\n'.join(_tables(description.name, found,
                            [case.case_id for case in quiet], faults)),
          end='')
    return 1 if len(found) < len(cases) + len(quiet) else 0


def model(name: str | None) -> 'tuple[models.Description, ' \
                               'detectors.LearnedDetector]':
    """A model that was trained.

    :param name: ``DETECTOR/VERSION``, a folder, or None for the newest one
        of the default detector
    :raises ModelError: it cannot be used, or there is none
    """
    from openstack_rca.engine import drivers
    from openstack_rca.engine import trainer
    from openstack_rca.evaluation import crossval
    from openstack_rca.models import filesystem
    store = drivers.model_store()
    if name is None:
        versions = [version for detector, version, _ in store.names()
                    if detector == crossval.DEFAULT]
        if not versions:
            raise exception.ModelError(
                f'There is no model of {crossval.DEFAULT} on this machine. '
                'Train one with openstack-rca-manage train, or name the '
                'folder of one with --model.')
        name = f'{crossval.DEFAULT}/{max(versions)}'
    if pathlib.Path(name).is_dir():
        description, arrays = filesystem.read(pathlib.Path(name))
    else:
        detector, _, version = name.partition('/')
        description, arrays = store.load(detector, version)
    return description, trainer.learned(description.detector).from_state(
        arrays, description.state)


def _faults(folder: pathlib.Path,
            truth: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """When faults began and ended, by recording."""
    from openstack_rca.evaluation import watching
    found = {}
    for name, told in truth.items():
        try:
            found[name] = watching.moments(told)
        except ValueError as error:
            raise exception.DatasetError(
                path=folder, task='detection',
                reason=f'truth.jsonl cannot be used: {name}: {error}'
            ) from error
    return found


def _write(args: argparse.Namespace, cases: 'Sequence[dataset.Case]',
           found: 'Mapping[str, watching.Watched]') -> None:
    """Write predictions, and all that was seen."""
    from openstack_rca.detectors import base as detectors
    from openstack_rca.evaluation import detection
    from openstack_rca.osc import output
    rows = []
    for case in cases:
        said = detection.empty()
        if case.case_id in found:
            score = max((score for _, score in found[case.case_id].windows),
                        default=0.0)
            said = {'score': score, 'alarm': score >= detectors.ALARM}
        rows.append({'case_id': case.case_id, **said})
    output.keep(pathlib.Path(args.output), ''.join(
        json.dumps(row) + '\n' for row in rows))
    if args.all_output:
        output.keep(pathlib.Path(args.all_output) / 'watched.jsonl', ''.join(
            json.dumps(seen.document()) + '\n' for seen in found.values()),
            '--all-output')


def _tables(name: str, found: 'Mapping[str, watching.Watched]',
            quiet: Sequence[str], faults: Mapping[str, Any]) -> list[str]:
    from openstack_rca.evaluation import tables
    from openstack_rca.evaluation import watching
    noticed = {case: watching.noticed(found[case], *faults[case])
               for case in found if case in faults}
    rows: dict[str, dict[str, tables.Figure]] = {
        column: {} for column in (
            'known', 'windows', 'highest score', 'false alarms',
            'seconds to alarm')}
    for case, seen in found.items():
        rows['known'][case] = float(seen.known)
        rows['windows'][case] = float(len(seen.windows))
        rows['highest score'][case] = max(
            (score for _, score in seen.windows), default=None)
        if case in noticed:
            rows['false alarms'][case] = float(watching.runs(
                noticed[case].before))
            rows['seconds to alarm'][case] = noticed[case].delay
        elif case in quiet:
            rows['false alarms'][case] = float(watching.runs(seen.windows))
    return [tables.table('recording', rows), tables.table(
        'watched', {name: watching.figures(
            [seen for case, seen in found.items() if case in quiet],
            list(noticed.values()))})]
