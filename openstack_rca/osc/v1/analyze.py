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
"""``openstack rca analyze``: ask why."""

import argparse
import pathlib

from openstack_rca.osc.v1 import base


class Analyze(base.DocumentCommand):
    """Find the root cause of a problem in logs, with the lines that prove it

    The folder may hold plain or compressed logs of any OpenStack services
    and of what they stand on (MariaDB, RabbitMQ, libvirt, Open vSwitch),
    journal exports, tar archives of these and notifications.jsonl.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--issue', metavar='<text>', default='',
            help='What is wrong, in your words: times, request ids, UUIDs, '
                 'names of services and error texts in it are understood')
        base.add_folder_options(parser)
        parser.add_argument(
            '--baseline', metavar='<folder>',
            help='Folder of logs of healthy days to compare with, default: '
                 'the quiet part of the same logs')
        base.add_scope_options(parser)
        parser.add_argument(
            '--mode', choices=('fast',), default='fast',
            help='How to look: fast uses statistics and words, default: fast')
        parser.add_argument(
            '--output', metavar='<file>',
            help='Keep the report in this file too, as JSON, readable by '
                 'you alone')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Answer the question, see cliff."""
        base.folder(parsed_args)
        from openstack_rca.osc import output
        target = None
        if parsed_args.output:
            target = pathlib.Path(parsed_args.output)
            output.check_target(target)
        question = base.question(parsed_args)
        baseline = (pathlib.Path(parsed_args.baseline)
                    if parsed_args.baseline else None)
        session = base.open_session(parsed_args, baseline)
        document = session.analyze(question)
        if target is not None:
            output.keep(target, output.as_json(document))
        self.show(document, parsed_args)
