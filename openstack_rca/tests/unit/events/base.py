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
"""What the tests of events share."""

import pathlib
from typing import Any

import polars as pl

from openstack_rca.events import parser
from openstack_rca.events import schema

LOGS = pathlib.Path(__file__).parents[2] / 'fixtures' / 'logs'

REQUEST = 'req-3f70af37-fd21-41f8-a824-477224556426'
SERVER = '4fcd1a3e-2f5b-4c5e-9d4c-3a1f3f0a7b11'


def kind_of(name: str) -> str:
    """Kind of file of a fixture."""
    return {'journal.jsonl': 'journal',
            'notifications.jsonl': 'notifications'}.get(name, 'log')


def names() -> list[str]:
    """All fixtures."""
    return sorted(p.name for p in LOGS.iterdir() if p.suffix != '.rst')


def parse(data: bytes | str, kind: str = 'log',
          **origin: Any) -> parser.Piece:
    """The events of one file."""
    if isinstance(data, str):
        data = data.encode()
    origin = {'source': 'x.log', 'year': 2026, **origin}
    return parser.parse([parser.Part(data, parser.Origin(
        kind=kind, **origin))])


def rows(data: bytes | str, kind: str = 'log',
         **origin: Any) -> list[dict[str, Any]]:
    """The events of one file as rows, with message and pattern."""
    return with_messages(parse(data, kind, **origin))


def fixture(name: str) -> parser.Piece:
    """The events of a fixture."""
    return parse((LOGS / name).read_bytes(), kind_of(name), source=name)


def with_messages(piece: parser.Piece) -> list[dict[str, Any]]:
    """Events as rows; ``message`` is always there, and ``pattern``."""
    return piece.events.with_columns(message=schema.message()).join(
        piece.templates, on='template', how='left',
        maintain_order='left').to_dicts()


def message(text: str) -> dict[str, Any]:
    """The event of one oslo.log line with a message."""
    return rows(f'2026-11-21 05:33:52.786 1 INFO nova.x [-] {text}\n')[0]


def column(values: list[str]) -> pl.DataFrame:
    """Texts as a frame."""
    return pl.DataFrame({'text': values}, schema={'text': pl.String()})
