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
"""How right reports were, in the eyes of those who judged them.

The labels that ``openstack-rca-manage labels`` writes are the truth, and what
they quote of the reports is the prediction.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import json
import pathlib
from typing import Any

from openstack_rca import exception
from openstack_rca.evaluation import answers

TASK = 'ratings'
#: How high the cause stands in a report that was judged so: below the first
#: one, or nowhere.
_RANKS = {'right': 1, 'partly': 2, 'wrong': None}


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The labels of a file, the oldest judgement first.

    :param path: that ``openstack-rca-manage labels`` wrote
    :raises DatasetError: it is no such file
    """
    try:
        lines = path.read_text('utf-8').split('\n')
    except (OSError, ValueError) as error:
        raise exception.DatasetError(
            path=path, task=TASK, reason='it cannot be read: '
            f'{getattr(error, "strerror", None) or "it is no text"}. Name '
            'the file that "openstack-rca-manage labels" wrote.') from error
    return [_label(path, number, line)
            for number, line in enumerate(lines, 1) if line.strip()]


def _label(path: pathlib.Path, number: int, line: str) -> dict[str, Any]:
    """A line of the file.

    :raises DatasetError: it is no label
    """
    try:
        row = json.loads(line)
        stated = row.get('confidence')
        names = [row.get(n) for n in ('component', 'true_component')]
        sound = (isinstance(row['analysis_id'], str)
                 and row['rating'] in _RANKS
                 and all(n is None or isinstance(n, str) for n in names)
                 and (stated is None or 0 <= stated <= 1))
    except (ValueError, TypeError, KeyError, AttributeError,
            RecursionError):
        sound = False
    if not sound:
        raise exception.DatasetError(
            path=path, task=TASK, reason=f'line {number} is no label of '
            '"openstack-rca-manage labels".')
    label: dict[str, Any] = row
    return label


def judged(labels: Sequence[dict[str, Any]]) -> list[answers.Answer]:
    """Reports beside the last word on them."""
    return [answers.Answer(
        row['analysis_id'], {'cause': _RANKS[row['rating']]}, (),
        row.get('confidence'), row.get('component') is not None)
        for row in labels]


def parts(labels: Sequence[dict[str, Any]]) -> Iterator[tuple[
        answers.Answer, answers.Answer]]:
    """The part that a report blames beside the one that was faulty.

    :param labels: the oldest first; those without a true component are left
        out
    :returns: of each the answer of the report, and that of a trivial rule:
        the part that was faulty most often before, the last one of these
    """
    often: dict[str, int] = {}
    for row in labels:
        true = row.get('true_component')
        if true is None:
            continue
        usual = max(often, key=lambda n: often[n], default=None)
        yield (_named(row, row.get('component'), true),
               _named(row, usual, true))
        # In front: of those that are as frequent the last one wins.
        often = {true: often.pop(true, 0) + 1} | often


def _named(row: dict[str, Any], name: str | None,
           true: str) -> answers.Answer:
    return answers.Answer(row['analysis_id'], {
        'component': 1 if name == true else None})
