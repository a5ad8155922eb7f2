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
"""``openstack rca trace``: one request's way through all services."""

import argparse

from openstack_rca.osc.v1 import base


class Trace(base.DocumentCommand):
    """Show the way of one request through all services"""

    kind = 'trace'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'request_id', metavar='<request-id>',
            help='Request id (req-...), global or of one service; every '
                 'request that shares its global id is followed')
        base.add_folder_options(parser)
        base.add_wait_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Follow the request, see cliff."""
        from openstack_rca.osc import text as text_utils
        if base.is_local(parsed_args):
            session = base.open_session(parsed_args)
            document = session.trace(parsed_args.request_id)
        else:
            document = self.find(
                'trace', parsed_args,
                request_id=text_utils.sound(parsed_args.request_id))
            # The same document as of a folder, unless something is missing.
            if not document.get('more'):
                document.pop('more', None)
            else:
                self.log.warning(
                    'The request has more events than these: "openstack rca '
                    'event list --request-id" with --since shows later '
                    'ones.')
        self.show(document, parsed_args)
