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
"""Columns that are safe to look at."""

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from cliff import columns

from openstack_rca.osc import text as text_utils

#: Columns of text that a table shows of one event.
TEXT_COLUMNS = 110

#: Columns of words that a table shows of one row.
PHRASE_COLUMNS = 60

#: Fields that hold words.
PHRASES = frozenset({'issue', 'summary', 'title', 'resolution'})

#: Formats whose own encoding keeps control characters from a terminal.
ENCODED = frozenset({'json', 'yaml'})


class LogText(columns.FormattableColumn[str]):
    """Verbatim text of a log, shortened in tables."""

    def human_readable(self) -> str:
        """Show the telling part on one line."""
        told = text_utils.notification(self._value) if (
            self._value.startswith('{')) else None
        first, _, rest = (told or self._value).partition('\n')
        text = text_utils.visible(text_utils.message(first[:20000]))
        text = text_utils.shorten(text.strip(), TEXT_COLUMNS,
                                  around=text_utils.telling(text))
        more = rest.count('\n') + 1 if rest.strip() else 0
        if more:
            text += f' (+{text_utils.plural(more, "line")})'
        return text


def cell(value: Any, formatter: str) -> Any:
    """Make a value of a log fit for a cell.

    :param value: what the cell holds
    :param formatter: the output format
    :returns: the value itself for the formats that encode what they write,
        otherwise with its control characters shown
    """
    if formatter in ENCODED:
        return value
    if value is None:
        return ''
    if isinstance(value, (list, tuple)):
        return ' '.join(text_utils.visible(item) for item in value)
    return text_utils.visible(value) if isinstance(value, str) else value


def log_text(value: Any, formatter: str) -> Any:
    """Make the text of an event fit for a cell, see :func:`cell`."""
    if formatter == 'table':
        return LogText(str(value or ''))
    return cell(value, formatter)


class Phrase(columns.FormattableColumn[str]):
    """Words of a person or of the service, shortened in tables."""

    def human_readable(self) -> str:
        """Show the beginning on one line."""
        text = ' '.join(text_utils.visible(self._value, keep='\n').split())
        return text_utils.shorten(text, PHRASE_COLUMNS)


def phrase(value: Any, formatter: str) -> Any:
    """Make words fit for a cell, see :func:`cell`."""
    if formatter == 'table':
        return Phrase(str(value or ''))
    return cell(value, formatter)


def all_wanted(parsed_args: argparse.Namespace) -> bool:
    """Whether all fields are listed, and not those alone that fit."""
    return bool(parsed_args.long or parsed_args.columns
                or parsed_args.formatter in ENCODED)


def rows(items: Iterable[Any], shown: Sequence[tuple[str, str]],
         formatter: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Rows of a list of the service, in its order.

    :param items: what is listed: mappings
    :param shown: names of the columns, and the fields in them
    :param formatter: the output format
    :returns: names of the columns, and the rows
    """
    return tuple(name for name, _ in shown), [
        tuple(phrase(item[key], formatter) if key in PHRASES
              else cell(item[key], formatter) for _, key in shown)
        for item in items]
