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
"""``openstack rca source list``: what was read, and what was not."""

import argparse
from collections.abc import Iterable
from typing import Any

from openstack_rca.osc.v1 import base

_COLUMNS = (('Source', 'source'), ('Kind', 'kind'), ('Service', 'service'),
            ('Binary', 'binary'), ('Host', 'host'), ('Events', 'events'),
            ('Lines', 'lines'), ('Unparsed', 'unparsed'), ('From', 'from'),
            ('To', 'to'), ('Bytes', 'bytes'))
_LONG = (('Format', 'format'),)

#: What the service tells of the source that a file belongs to.
_OWNER = (('Name', 'id'), ('Engine Host', 'host'), ('Status', 'status'))
_OWNED = (('Source', 'source'), ('Service', 'service'), ('Host', 'host'),
          ('Events', 'events'), ('From', 'from'), ('To', 'to'))
_OWNED_LONG = (('Kind', 'kind'), ('Binary', 'binary'), ('Lines', 'lines'),
               ('Unparsed', 'unparsed'), ('Bytes', 'bytes'),
               ('Format', 'format'))
_OWNER_LONG = (('Updated At', 'updated_at'),)

#: Files left out that are named one by one.
_NAMED = 20


class ListSources(base.Lister):
    """List the sources of events: the files that were read and their times"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_folder_options(parser)
        parser.add_argument('--long', action='store_true',
                            help='List all fields')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the sources, see cliff."""
        if base.is_local(parsed_args):
            return self._local(parsed_args)
        return self._service(parsed_args)

    def _local(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        from openstack_rca.osc.v1 import columns
        session = base.open_session(parsed_args)
        chosen = parsed_args.formatter
        shown = _COLUMNS + (_LONG if columns.all_wanted(parsed_args) else ())
        rows = [tuple(columns.cell(source.get(key), chosen)
                      for _, key in shown)
                for source in session.sources()]
        self._skipped(list(session.skipped))
        return tuple(name for name, _ in shown), rows

    def _service(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        from openstack_rca.osc.v1 import columns
        chosen = parsed_args.formatter
        every = columns.all_wanted(parsed_args)
        of_file = _OWNED + (_OWNED_LONG if every else ())
        of_source = _OWNER_LONG if every else ()
        sources = [source.to_dict(computed=False, headers=False)
                   for source in self.client().sources()]
        rows: list[tuple[Any, ...]] = []
        skipped: list[dict[str, Any]] = []
        for source in sources:
            # A source that holds no file yet is one all the same.
            for item in source.get('files') or [{}]:
                rows.append(tuple(
                    [columns.cell(source.get(key), chosen)
                     for _, key in _OWNER]
                    + [columns.cell(item.get(key), chosen)
                       for _, key in of_file]
                    + [columns.cell(source.get(key), chosen)
                       for _, key in of_source]))
            skipped += source.get('skipped') or []
            self._state(source)
        if not sources:
            self.log.warning(
                'No engine has told of a source: see that '
                'openstack-rca-engine runs, and what [sources] log_dirs '
                'names.')
        self._skipped(skipped)
        return tuple(name for name, _ in _OWNER + of_file + of_source), rows

    def _state(self, source: dict[str, Any]) -> None:
        """Tell of a source that is not what it should be."""
        from openstack_rca.osc import text as text_utils
        name = text_utils.visible(source.get('id') or '')
        host = text_utils.visible(source.get('host') or '')
        if source.get('status') == 'failed':
            self.log.warning('Source %s on %s failed: %s', name, host,
                             text_utils.visible(source.get('error') or ''))
        elif source.get('status') == 'reading':
            self.log.warning('Source %s on %s is being read: more events '
                             'will come.', name, host)

    def _skipped(self, skipped: list[dict[str, Any]]) -> None:
        """Tell of files that were not read."""
        from openstack_rca.osc import text as text_utils
        for item in skipped[:_NAMED]:
            self.log.warning('Not read: %s: %s',
                             text_utils.visible(item.get('source') or ''),
                             text_utils.visible(item.get('reason') or ''))
        if len(skipped) > _NAMED:
            self.log.warning('Not read: %d more', len(skipped) - _NAMED)
