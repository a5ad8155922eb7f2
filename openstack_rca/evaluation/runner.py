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
"""Run a dataset through the analysis, case by case, on all cores."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import multiprocessing
import os
from typing import Any

from openstack_rca import exception
from openstack_rca.evaluation import dataset
from openstack_rca.evaluation import detection
from openstack_rca.evaluation import incidents
from openstack_rca.evaluation import localization

_TASKS: dict[str, Any] = {
    'localization': localization,
    'detection': detection,
    'incidents': incidents,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one case.

    :param case_id: its name
    :param prediction: a row of the predictions
    :param error: why the prediction is empty, or None
    :param floor: what a trivial rule predicts, where the task has one
    """

    case_id: str
    prediction: dict[str, Any]
    error: str | None = None
    floor: dict[str, Any] | None = None


def predict(task: str, case: dataset.Case,
            codemaps: str | None = None) -> tuple[
                dict[str, Any], dict[str, Any] | None]:
    """Answer one case as a user would be answered, and read the answer.

    :param task: one of :data:`dataset.TASKS`
    :param case: the case
    :param codemaps: folder of code maps instead of those configured
    :returns: a row of the predictions, and what a trivial rule predicts
        from the same logs, where the task has one
    :raises RCAException: the logs cannot be analysed
    """
    from openstack_rca import conf
    from openstack_rca.analysis import scope
    from openstack_rca.engine import local
    conf.load()
    if codemaps:
        conf.CONF.set_override('codemaps', codemaps, group='analysis')
    session = local.open_folder(case.archive, cache=False)
    # A user who asks why something failed gives the end of the trouble at
    # most; a detector is asked about a window.
    since = case.since if task == 'detection' else None
    try:
        report = session.analyze(scope.Question(
            issue=case.issue or '', since=since, until=case.until))
        floor = (None if task == 'detection'
                 else _TASKS[task].floor(session))
    finally:
        conf.CONF.clear_override('codemaps', group='analysis')
    row = {'case_id': case.case_id,
           **_TASKS[task].predict(report, case.archive.name)}
    if task != 'detection':
        row |= {'confidence': report['confidence'],
                'answered': report['verdict'] == 'cause_found'}
    return row, floor


def _failed(task: str, case: dataset.Case, error: str) -> Outcome:
    return Outcome(case.case_id, {'case_id': case.case_id,
                                  **_TASKS[task].empty()}, error)


def _attempt(task: str, case: dataset.Case,
             codemaps: str | None = None) -> Outcome:
    """One case in a worker process: one bad case must not end a run."""
    try:
        row, floor = predict(task, case, codemaps)
        return Outcome(case.case_id, row, floor=floor)
    except exception.RCAException as exc:
        return _failed(task, case, str(exc))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        # BaseException: a panic of a native library is one, too.
        return _failed(task, case, f'{type(exc).__name__}: {exc}')


def _share_cores(threads: int) -> None:
    """Let the workers not fight for the cores; polars reads it at import."""
    os.environ.setdefault('POLARS_MAX_THREADS', str(threads))


def workers(jobs: int) -> futures.ProcessPoolExecutor:
    """Processes that share the cores.

    :param jobs: how many
    """
    # Native libraries with threads of their own do not survive a fork.
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return futures.ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context('spawn'),
        initializer=_share_cores, initargs=(threads,))


def _parallel(task: str, cases: Sequence[dataset.Case], jobs: int,
              codemaps: str | None) -> Iterator[Outcome]:
    again = []
    pool = workers(jobs)
    try:
        running = {pool.submit(_attempt, task, case, codemaps): case
                   for case in cases}
        for future in futures.as_completed(running):
            try:
                yield future.result()
            except futures.BrokenExecutor:
                again.append(running[future])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    # A worker that is killed takes all that waited with it: each of these
    # gets a process of its own, and the guilty one is found that way.
    for case in again:
        with workers(1) as single:
            try:
                yield single.submit(_attempt, task, case,
                                    codemaps).result()
            except futures.BrokenExecutor:
                yield _failed(task, case, 'the worker process was killed, '
                                          'possibly for its memory')


def run(task: str, cases: Sequence[dataset.Case], jobs: int,
        progress: Callable[[int, Outcome], None] | None = None,
        codemaps: str | None = None) -> list[Outcome]:
    """Predict all cases.

    :param task: one of :data:`dataset.TASKS`
    :param cases: what to predict
    :param jobs: worker processes; 1 works in this process
    :param progress: called with the number of finished cases and the last
        of them
    :param codemaps: folder of code maps instead of those configured
    :returns: one outcome a case, in the order of the cases
    """
    found: dict[str, Outcome] = {}
    stream = (_parallel(task, cases, jobs, codemaps) if jobs > 1
              else (_attempt(task, case, codemaps) for case in cases))
    for outcome in stream:
        found[outcome.case_id] = outcome
        if progress:
            progress(len(found), outcome)
    return [found[case.case_id] for case in cases]
