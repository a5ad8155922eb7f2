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
"""Figures as text."""

from collections.abc import Mapping

#: A count, a value, a value with its interval of 95 %, or nothing to tell it
#: by.
Figure = int | float | tuple[float, float, float] | None


def _cell(value: Figure) -> str:
    if value is None:
        return '-'
    if isinstance(value, int):
        return f'{value:,d}'
    if isinstance(value, tuple):
        return f'{value[0]:.3f} [{value[1]:.2f}, {value[2]:.2f}]'
    return f'{value:.3f}' if abs(value) < 100 else f'{value:,.0f}'


def table(title: str, columns: Mapping[str, Mapping[str, Figure]]) -> str:
    """Figures as text, a column a detector.

    :param title: of the table
    :param columns: figures by detector
    """
    rows = list(dict.fromkeys(
        name for figures in columns.values() for name in figures))
    grid = [[title, *columns]]
    grid += [[row, *(_cell(figures.get(row))
                     for figures in columns.values())] for row in rows]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return ''.join('  '.join(
        cell.rjust(width) if n else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(line, widths, strict=True))
    ).rstrip() + '\n' for line in grid)
