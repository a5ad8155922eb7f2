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
"""``openstack rca event list``: look at the events themselves."""

import argparse
from collections.abc import Iterable
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base

#: The most events that the service gives at once.
_MOST = 1000

_COLUMNS = (('Timestamp', 'timestamp'), ('Host', 'host'),
            ('Binary', 'binary'), ('Level', 'level'),
            ('Request ID', 'request_id'), ('Text', 'text'),
            ('Source', 'source'), ('Line', 'line'))
_LONG = (('Service', 'service'), ('Logger', 'logger'),
         ('Global Request ID', 'global_request_id'),
         ('Resources', 'resources'), ('Template', 'template'),
         ('Offset', 'offset'), ('Kind', 'kind'))


class ListEvents(base.Lister):
    """List events of logs: parsed records, tracebacks folded in"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_folder_options(parser)
        base.add_scope_options(parser, many=False)
        parser.add_argument(
            '--level', metavar='<level>', type=str.upper,
            choices=('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'),
            help='Only events of this level or a worse one')
        parser.add_argument(
            '--template', metavar='<template-id>',
            help='Only events that say the same thing, by template id')
        parser.add_argument('--words', metavar='<text>',
                            help='Only events that hold these words')
        parser.add_argument(
            '--limit', metavar='<number>', type=base.positive, default=1000,
            help='The most events to list, default: 1000')
        parser.add_argument('--long', action='store_true',
                            help='List all fields')
        base.add_wait_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the events, see cliff."""
        from openstack_rca.osc.v1 import columns
        found = (self._local if base.is_local(parsed_args)
                 else self._service)
        events, more = found(parsed_args)
        if more:
            raise_it = (', or raise --limit' if parsed_args.log_dir
                        or parsed_args.limit < _MOST else '')
            self.log.warning(
                'There are more than %d events: narrow the time or the '
                'words%s.', len(events), raise_it)
        chosen = parsed_args.formatter
        shown: tuple[tuple[str, str], ...] = _COLUMNS
        if (parsed_args.long or parsed_args.columns
                or chosen in columns.ENCODED):
            shown = _COLUMNS + _LONG
        return tuple(name for name, _ in shown), [
            tuple(columns.log_text(event.get(key), chosen) if key == 'text'
                  else columns.cell(event.get(key), chosen)
                  for _, key in shown) for event in events]

    def _local(self, parsed_args: argparse.Namespace) -> tuple[
            list[dict[str, Any]], bool]:
        base.folder(parsed_args)
        since, until = base.times(parsed_args)
        session = base.open_session(parsed_args)
        # One more than is shown tells whether there are more.
        events = session.events(
            since=since, until=until, request_id=parsed_args.request_id,
            server=parsed_args.server, service=parsed_args.service,
            level=parsed_args.level, template=parsed_args.template,
            words=parsed_args.words, limit=parsed_args.limit + 1)
        most = parsed_args.limit
        return events[:most], len(events) > most

    def _service(self, parsed_args: argparse.Namespace) -> tuple[
            list[dict[str, Any]], bool]:
        from openstack_rca.osc import text as text_utils
        if parsed_args.limit > _MOST:
            raise exception.InvalidInput(
                reason=f'--limit: the service gives {_MOST} events at most. '
                       f'Narrow the time or the words.')
        since, until = base.times(parsed_args)
        asked = {name: text_utils.sound(getattr(parsed_args, name))
                 for name in ('request_id', 'server', 'service', 'level',
                              'template') if getattr(parsed_args, name)}
        result = self.find(
            'events', parsed_args, since=since and since.isoformat(),
            until=until and until.isoformat(), limit=parsed_args.limit,
            words=([text_utils.sound(parsed_args.words)]
                   if parsed_args.words else None), **asked)
        events = result.get('events')
        return (events if isinstance(events, list) else [],
                bool(result.get('more')))
