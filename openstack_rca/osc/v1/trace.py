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
"""``openstack rca trace``: the way of a request, the story of a server."""

import argparse

from openstack_rca import exception
from openstack_rca.osc.v1 import base


class Trace(base.DocumentCommand):
    """Show the way of one request, or the whole story of one server"""

    kind = 'trace'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'request_id', metavar='<request-id>', nargs='?',
            help='Request id (req-...), global or of one service; every '
                 'request that shares its global id is followed, and those '
                 'that other records join with it')
        parser.add_argument(
            '--server', metavar='<server>',
            help='Instead of a request: a server, by UUID or name. Shows '
                 'what was done to it, and how each operation ended')
        base.add_folder_options(parser)
        base.add_wait_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Follow the request, see cliff."""
        from openstack_rca.osc import text as text_utils
        request, server = parsed_args.request_id, parsed_args.server
        if (request is None) == (server is None):
            raise exception.InvalidInput(
                'Name a request id or a server with --server, one of them.')
        if base.is_local(parsed_args):
            session = base.open_session(parsed_args)
            document = session.trace(request) if server is None \
                else session.story(server)
        else:
            asked = {'request_id': request, 'server': server}
            document = self.find('trace', parsed_args, **{
                name: text_utils.sound(value)
                for name, value in asked.items() if value is not None})
            # The same document as of a folder, unless something is missing.
            if not document.get('more'):
                document.pop('more', None)
            else:
                self.log.warning(
                    'There are more events than these: "openstack rca event '
                    'list %s" with --since shows later ones.',
                    '--server' if request is None else '--request-id')
        self.show(document, parsed_args)
