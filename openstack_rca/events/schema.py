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
"""The shape of events: one row a log record or notification."""

import polars as pl

from openstack_rca.events import levels

LEVELS = levels.LEVELS
LEVEL_NAMES = levels.LEVEL_NAMES
WARNING = levels.WARNING
ERROR = levels.ERROR

#: Columns of the event table. ``text`` is the record as the file holds it,
#: folded lines joined by a newline; ``body`` is how many characters of it
#: are header; ``message`` stands only where the text is not the message
#: itself (JSON). ``offset`` and ``length`` are bytes of uncompressed text.
EVENTS: dict[str, pl.DataType] = {
    'timestamp': pl.Datetime('us'),
    'kind': pl.String(),
    'service': pl.String(),
    'binary': pl.String(),
    'host': pl.String(),
    'pid': pl.UInt32(),
    'level': pl.UInt8(),
    'logger': pl.String(),
    'request_id': pl.String(),
    'global_request_id': pl.String(),
    'user_id': pl.String(),
    'project_id': pl.String(),
    'resources': pl.List(pl.String()),
    'addresses': pl.List(pl.String()),
    'method': pl.String(),
    'path': pl.String(),
    'status': pl.UInt16(),
    'latency': pl.Float32(),
    'template': pl.UInt64(),
    'source': pl.String(),
    'line': pl.UInt32(),
    'lines': pl.UInt32(),
    'offset': pl.Int64(),
    'length': pl.UInt32(),
    'body': pl.UInt32(),
    'message': pl.String(),
    'text': pl.String(),
}

#: Columns of the template table.
TEMPLATES: dict[str, pl.DataType] = {
    'template': pl.UInt64(),
    'pattern': pl.String(),
}


def empty() -> pl.DataFrame:
    """An event table without rows."""
    return pl.DataFrame(schema=EVENTS)


def message() -> pl.Expr:
    """The message of each event: its text without the header."""
    return pl.coalesce(pl.col('message'),
                       pl.col('text').str.slice(pl.col('body')))


def template_name(template: int) -> str:
    """The id of a template as people see and type it: 16 hex digits."""
    return f'{template:016x}'
