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
"""Benchmark datasets: recorded failures, one archive of logs a case."""

from collections.abc import Iterator
import dataclasses
import datetime
import json
import pathlib
import re
from typing import Any

from openstack_rca import exception

TASKS = ('localization', 'detection', 'incidents')

#: A case id names a file of the dataset and nothing else.
_CASE_ID = re.compile(r'[A-Za-z0-9_][A-Za-z0-9._-]{0,199}')


@dataclasses.dataclass(frozen=True)
class Case:
    """One question of a dataset.

    :param case_id: its name
    :param issue: what the user saw, None where nothing failed
    :param since: begin of the time in question
    :param until: end of the time in question
    :param archive: the logs
    """

    case_id: str
    issue: str | None
    since: datetime.datetime | None
    until: datetime.datetime | None
    archive: pathlib.Path


def read(folder: pathlib.Path, task: str) -> list[Case]:
    """Read the cases of a dataset; what is true of them is never looked at.

    :param folder: the dataset
    :param task: what is to be predicted, one of :data:`TASKS`
    :returns: the cases of this task, in their order
    :raises DatasetError: the folder is no such dataset
    """
    cases = [case for case in _cases(folder, task)
             if task == 'detection' or case.issue is not None]
    if not cases:
        raise exception.DatasetError(
            path=folder, task=task,
            reason='cases.jsonl holds no case with an issue.'
            if task != 'detection' else 'cases.jsonl holds no case.')
    return cases


def recordings(folder: pathlib.Path) -> list[Case]:
    """Read all that a dataset has to learn from.

    :param folder: the dataset
    :returns: its cases, whether something failed or not, and the quiet
        recordings
    :raises DatasetError: the folder is no such dataset
    """
    return list(_cases(folder, 'incidents')) + quiet(folder)


def quiet(folder: pathlib.Path) -> list[Case]:
    """Read the recordings without a fault.

    :param folder: the dataset
    :raises DatasetError: they cannot be read
    """
    if not (folder / 'quiet.jsonl').is_file():
        return []
    return list(_cases(folder, 'incidents', 'quiet.jsonl'))


def truth(folder: pathlib.Path,
          task: str = 'detection') -> dict[str, dict[str, Any]]:
    """Read what is true of the cases of a dataset.

    :param folder: the dataset
    :param task: what is predicted, one of :data:`TASKS`
    :returns: the lines of truth.jsonl by case; none where there is no such
        file
    :raises DatasetError: it cannot be read
    """
    def wrong(reason: object) -> exception.DatasetError:
        return exception.DatasetError(
            path=folder, task=task,
            reason=f'truth.jsonl cannot be used: {reason}')

    found: dict[str, dict[str, Any]] = {}
    try:
        for line in (folder / 'truth.jsonl').read_text('utf-8').splitlines():
            if line.strip():
                row = json.loads(line)
                found[str(row['case_id'])] = dict(row)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError,
            RecursionError) as exc:
        raise wrong(exc) from exc
    return found


def _cases(folder: pathlib.Path, task: str,
           name: str = 'cases.jsonl') -> Iterator[Case]:
    def wrong(reason: str) -> exception.DatasetError:
        return exception.DatasetError(path=folder, task=task, reason=reason)

    if not folder.is_dir():
        raise wrong('there is no such folder.')
    try:
        lines = (folder / name).read_text('utf-8').splitlines()
    except FileNotFoundError as exc:
        raise wrong(f'it holds no file {name}.') from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise wrong(f'{name} cannot be read: {exc}') from exc
    seen = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = _case(folder, task, json.loads(line))
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            raise wrong(f'line {number} of {name} is no case: '
                        f'{exc}') from exc
        if case.case_id in seen:
            raise wrong(f'line {number} of {name} repeats the case '
                        f'{case.case_id}.')
        seen.add(case.case_id)
        yield case


def _case(folder: pathlib.Path, task: str, row: Any) -> Case:
    if not isinstance(row, dict):
        raise TypeError('it is no object.')
    name, issue = row.get('case_id'), row.get('issue')
    if not isinstance(name, str) or not _CASE_ID.fullmatch(name):
        raise ValueError('its case_id is no plain name.')
    if issue is not None and not isinstance(issue, str):
        raise ValueError('its issue is no text.')
    window = row.get('window')
    if window is None:
        if task != 'incidents':
            raise ValueError('it has no window.')
        since = until = None
    else:
        since, until = map(_moment, window)
    archive = folder / 'logs' / f'{name}.tar.xz'
    if not archive.is_file():
        archive = folder / f'{name}.tar.xz'
    return Case(name, issue, since, until, archive)


def _moment(text: str) -> datetime.datetime:
    """A time of a dataset; without a zone it is UTC."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC)
