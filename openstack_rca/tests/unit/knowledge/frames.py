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
"""A store of a few events in memory, for tests of what reads one."""

import pathlib

import polars as pl

from openstack_rca.events import parser
from openstack_rca.events import schema
from openstack_rca.sources import naming
from openstack_rca.store import base as stores
from openstack_rca.tests.unit.store import samples


class FrameStore(stores.Store):
    """A store that is a table.

    :param events: with the columns of ``schema.EVENTS``
    :param templates: with the columns of ``schema.TEMPLATES``
    """

    def __init__(self, events: pl.DataFrame, templates: pl.DataFrame) -> None:
        super().__init__(pathlib.Path())
        self._events = events
        self._templates = templates

    def files(self) -> dict[str, stores.FileRecord]:
        return {str(key[0]): samples.record(
            str(key[0]), until=part['timestamp'].max().isoformat())  # type: ignore[union-attr]
            for key, part in self._events.drop_nulls('timestamp').group_by(
                'source')}

    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[stores.FileRecord]) -> None:
        raise NotImplementedError

    def forget(self, sources: set[str]) -> None:
        raise NotImplementedError

    def scan(self) -> pl.LazyFrame:
        return self._events.lazy()

    def templates(self) -> pl.DataFrame:
        return self._templates

    def query(self, query: stores.Query) -> pl.DataFrame:
        return self.narrow(query).sort('timestamp', 'source', 'line').collect()


def parsed(*files: tuple[str, str]) -> FrameStore:
    """A store of some log files, read as any other.

    :param files: name and text of each
    """
    parts = []
    for name, text in files:
        told = naming.describe(name)
        parts.append(parser.Part(text.encode(), parser.Origin(
            source=name, service=told.service, binary=told.binary,
            host=told.host, year=2026)))
    pieces = [parser.parse([p]) for p in parts]
    return FrameStore(
        pl.concat([schema.empty(), *(p.events for p in pieces)]),
        pl.concat([pl.DataFrame(schema=schema.TEMPLATES),
                   *(p.templates for p in pieces)]).unique('template'))


def logged(*lines: str, name: str = 'nova-compute-cmp1.log') -> FrameStore:
    """A store of one file of oslo.log's lines.

    :param lines: second within a minute, level and message, such as
        ``3 ERROR It broke``, each perhaps with ``[req-...]`` before the
        message
    :param name: name of the file
    """
    text = ''
    for line in lines:
        second, level, message = line.split(' ', 2)
        request = '-'
        if message.startswith('[req-'):
            request, _, message = message[1:].partition('] ')
            request += ' u p - - - -'
        text += (f'2026-11-21 03:00:{float(second):06.3f} 1 {level} nova.x '
                 f'[{request}] {message}\n')
    return parsed((name, text))
