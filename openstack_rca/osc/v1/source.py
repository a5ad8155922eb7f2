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


class ListSources(base.Lister):
    """List the sources of events: the files of a folder and their times"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_folder_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the sources, see cliff."""
        from openstack_rca.osc import text as text_utils
        from openstack_rca.osc.v1 import columns
        session = base.open_session(parsed_args)
        chosen = parsed_args.formatter
        rows = [tuple(columns.cell(source.get(key), chosen)
                      for _, key in _COLUMNS)
                for source in session.sources()]
        for item in session.skipped[:20]:
            self.log.warning('Not read: %s: %s',
                             text_utils.visible(item.get('source') or ''),
                             text_utils.visible(item.get('reason') or ''))
        if len(session.skipped) > 20:
            self.log.warning('Not read: %d more', len(session.skipped) - 20)
        return tuple(name for name, _ in _COLUMNS), rows
