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
"""The clock of the database, the one clock that all engines share.

Leases are compared with it in the statement that changes them, so that no
engine needs to have the right time.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import elements
from sqlalchemy.sql import functions


class UtcNow(functions.FunctionElement[Any]):
    """Now, UTC without a zone, in microseconds where there are any.

    :param seconds: so many seconds later
    """

    type = sa.DateTime()
    inherit_cache = False

    def __init__(self, seconds: int = 0) -> None:
        super().__init__()
        self.seconds = int(seconds)


@compiler.compiles(UtcNow, 'sqlite')
def _sqlite(element: UtcNow, _: Any, **__: Any) -> str:
    # As SQLAlchemy writes times, so that text is compared with like text.
    return (f"strftime('%Y-%m-%d %H:%M:%f000', 'now', "
            f"'{element.seconds:+d} seconds')")


@compiler.compiles(UtcNow, 'mysql', 'mariadb')
def _mysql(element: UtcNow, _: Any, **__: Any) -> str:
    return (f'DATE_ADD(UTC_TIMESTAMP(6), INTERVAL {element.seconds:d} '
            f'SECOND)')


@compiler.compiles(UtcNow, 'postgresql')
def _postgresql(element: UtcNow, _: Any, **__: Any) -> str:
    # now() is the time when the transaction began.
    return (f"(timezone('utc', clock_timestamp()) + "
            f"make_interval(secs => {element.seconds:d}))")


def now(seconds: int = 0) -> elements.ColumnElement[Any]:
    """The time of the database, for a statement.

    :param seconds: so many seconds later, or earlier where negative
    """
    return UtcNow(seconds)
