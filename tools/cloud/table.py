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
"""The table of all scenarios: what a release says of itself."""

from collections.abc import Mapping
from collections.abc import Sequence
import statistics
from typing import Any

_COLUMNS = (('scenario', 'scenario', 26), ('expected', 'expected', 30),
            ('named', 'named', 30), ('incidents', 'n', 3),
            ('seconds', 'opened', 7), ('since_error', 'error', 7),
            ('closed', 'closed', 7),
            ('faults', 'not as it should be', 0))


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of all scenarios together.

    :param rows: the verdicts
    """
    faults = [row for row in rows if row['expected']]
    single = [row for row in faults if len(row['expected']) == 1]
    double = [row for row in faults if len(row['expected']) > 1]
    return {
        'scenarios': len(rows),
        'passed': sum(bool(row['passed']) for row in rows),
        'opened': sum(row['incidents'] > 0 for row in faults),
        'of_faults': len(faults),
        'median_seconds_to_incident': _median(
            [row['seconds'] for row in faults]),
        'median_seconds_from_an_error': _median(
            [row['since_error'] for row in faults]),
        'median_seconds_to_close': _median(
            [row['closed'] for row in faults]),
        'median_incidents_of_one_fault': _median(
            [row['incidents'] for row in single]),
        'median_incidents_of_two_faults': _median(
            [row['incidents'] for row in double]),
        'incidents_without_a_fault': sum(
            row['incidents'] for row in rows if not row['expected'])}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    # Half of two sums of tenths is no number of tenths.
    return round(statistics.median(known), 2) if known else None


def document(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The table for programs.

    :param rows: the verdicts
    """
    return {'summary': summary(rows), 'scenarios': [dict(row)
                                                    for row in rows]}


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for people.

    :param rows: the verdicts
    """
    lines = [' '.join(title.ljust(width) for _, title, width in _COLUMNS)]
    for row in rows:
        lines.append(' '.join(
            _cell(row[name]).ljust(width) for name, _, width in _COLUMNS))
    lines += ['', *(f'{name.replace("_", " ")}: {_cell(value)}'
                    for name, value in summary(rows).items())]
    return '\n'.join(line.rstrip() for line in lines) + '\n'


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return '; '.join(map(str, value)) or '-'
    return '-' if value is None else str(value)
