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
import dataclasses
import pathlib
import sys
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base


class Analyze(base.DocumentCommand):
    """Find the root cause of a problem in logs, with the lines that prove it.

    The root cause analysis service of the cloud answers, from the logs that
    its engines read. With --log-dir the logs of a folder are read instead,
    in process and without a cloud: plain or compressed logs of any
    OpenStack services and of what they stand on (MariaDB, RabbitMQ, libvirt,
    Open vSwitch), journal exports, tar archives of these and
    notifications.jsonl.
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
            '--mode', choices=('fast', 'full'),
            help='How to look: fast uses statistics and words, full the '
                 'detectors that learn, too; default: full, with --log-dir '
                 'fast')
        parser.add_argument(
            '--output', metavar='<file>',
            help='Keep the report in this file too, as JSON, readable by '
                 'you alone')
        parser.add_argument(
            '--dry-run-llm', action='store_true',
            help='Of a folder of logs: print what would be sent to the '
                 'language model of the configuration, as JSON, and send '
                 'nothing')
        group = base.add_wait_options(parser)
        group.add_argument(
            '--incident', action='store_true',
            help='Let the service keep the answer as an incident')
        group.add_argument(
            '--no-wait', action='store_true',
            help='Print the id of the analysis, and do not wait for the '
                 'answer')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Answer the question, see cliff."""
        from openstack_rca.osc import output
        local = base.is_local(parsed_args)
        if parsed_args.dry_run_llm:
            self._dry_run(local, parsed_args)
            return
        target = None
        if parsed_args.output:
            if parsed_args.no_wait:
                raise exception.InvalidInput(
                    reason='--output: with --no-wait there is no report yet '
                           'to keep. Leave one of them out.')
            target = pathlib.Path(parsed_args.output)
            output.check_target(target)
        document = (self._local(parsed_args) if local
                    else self._service(parsed_args))
        if target is not None:
            output.keep(target, output.as_json(document))
        if parsed_args.no_wait and parsed_args.formatter not in (
                'json', 'yaml'):
            self._announce(str(document['id']))
            return
        self.show(document, parsed_args)

    def _dry_run(self, local: bool,
                 parsed_args: argparse.Namespace) -> None:
        """Print what a language model would be asked."""
        if not local:
            raise exception.InvalidInput(
                reason='--dry-run-llm: it works on a folder of logs, with '
                       'the configuration of this host. Name one with '
                       '--log-dir.')
        from openstack_rca.llms import narrator
        from openstack_rca.osc import output
        document = self._local(parsed_args, narrate=False)
        output.write(self.app.stdout,
                     output.as_json(narrator.preview(document)))

    def _local(self, parsed_args: argparse.Namespace,
               narrate: bool = True) -> dict[str, Any]:
        base.folder(parsed_args)
        question = dataclasses.replace(
            base.question(parsed_args), mode=parsed_args.mode or 'fast')
        baseline = (pathlib.Path(parsed_args.baseline)
                    if parsed_args.baseline else None)
        session = base.open_session(parsed_args, baseline)
        if not narrate:
            return session.analyze(question, narrate=False)
        return session.analyze(question)

    def _service(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        request = base.request(parsed_args)
        if not request:
            raise exception.InvalidInput(
                reason='There is no question. Say what is wrong with '
                       '--issue, or name a time, a request, a server or a '
                       'service.')
        if parsed_args.incident:
            request['incident'] = True
        client = self.client()
        analysis = client.create_analysis(mode=parsed_args.mode, **request)
        if parsed_args.no_wait:
            return dict(analysis.document)
        timeout = parsed_args.wait_timeout or base.WAIT_TIMEOUT
        return dict(base.outcome(client.wait_for_analysis, analysis,
                                 timeout, 'analysis').document)

    def _announce(self, name: str) -> None:
        """Print an id for scripts, and for people what to do with it."""
        from openstack_rca.osc import output
        from openstack_rca.osc import text as text_utils
        name = text_utils.visible(name)
        output.write(self.app.stdout, f'{name}\n')
        output.write(sys.stderr, f'The analysis is queued. "openstack rca '
                                 f'analysis show {name}" shows it.\n')
