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
"""Events, templates and records made by hand."""

import datetime
from typing import Any

import polars as pl

from openstack_rca.events import schema
from openstack_rca.events import templates
from openstack_rca.store import base as stores

START = datetime.datetime(2026, 11, 20, 3, 0, 0)


def at(seconds: float) -> datetime.datetime:
    """So many seconds after the start of all samples."""
    return START + datetime.timedelta(seconds=seconds)


def event(seconds: float | None = 0.0, text: str = 'text',
          **values: Any) -> dict[str, Any]:
    """One event as a row.

    :param seconds: its time, None for none
    :param text: what it says; its template is this text
    :param values: other columns
    """
    return {
        'timestamp': None if seconds is None else at(seconds),
        'kind': 'log', 'service': 'nova', 'binary': 'nova-compute',
        'host': 'cmp1', 'pid': 100, 'level': 20, 'logger': 'nova.compute',
        'request_id': None, 'global_request_id': None, 'user_id': None,
        'project_id': None, 'resources': [], 'addresses': [],
        'method': None, 'path': None, 'status': None, 'latency': None,
        'template': templates.digest(text), 'source': 'nova-compute.log',
        'line': 1, 'lines': 1, 'offset': 0, 'length': len(text), 'body': 0,
        'message': None, 'text': text} | values


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Events as a table; lines and offsets count up where not given."""
    numbered = []
    for number, row in enumerate(rows):
        if row['line'] == 1 and row['offset'] == 0:
            row = row | {'line': number + 1, 'offset': number * 100}
        numbered.append(row)
    return pl.DataFrame(numbered, schema=schema.EVENTS)


def patterns(events: pl.DataFrame) -> pl.DataFrame:
    """The templates of events."""
    return events.select('template', pattern='text').unique('template')


def record(source: str = 'nova-compute.log',
           **values: Any) -> stores.FileRecord:
    """What a store says of a file."""
    told: dict[str, Any] = {
        'source': source, 'unit': source, 'identity': 'i1', 'kind': 'log',
        'service': 'nova', 'binary': 'nova-compute', 'host': 'cmp1',
        'format': 'oslo', 'clock': 'UTC', 'events': 1, 'lines': 1,
        'unparsed': 0, 'bytes': 100, 'since': None, 'until': None} | values
    return stores.FileRecord(**told)


def fill(store: stores.Store, *rows: dict[str, Any]) -> None:
    """Write events as one segment that completes all their files."""
    events = frame(*rows)
    store.write(events, patterns(events), [
        record(s) for s in events['source'].unique().sort()])
