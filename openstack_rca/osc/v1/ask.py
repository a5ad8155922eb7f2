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
"""``openstack rca ask`` and ``chat``: asking back."""

import argparse
from collections.abc import Callable
import sys
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base

#: Words that end a conversation.
_END = frozenset(('exit', 'quit', 'bye'))
_PROMPT = '\nask> '

#: Gives the answer to a question.
Asked = Callable[[str], dict[str, Any]]


class _Questions(base.DocumentCommand):
    """Asks about one report."""

    kind = 'answer'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        from openstack_rca.osc.v1 import knowledge
        parser = super().get_parser(prog_name)
        parser.add_argument('analysis', metavar='<analysis-id>', nargs='?',
                            type=base.identifier,
                            help='Analysis to ask about (id)')
        parser.add_argument(
            '--report', metavar='<file>',
            help='Ask about a report that was kept with "analyze --output" '
                 'instead, over the logs of --log-dir and without a cloud')
        parser.add_argument(
            '--mode', choices=('fast', 'full'),
            help='How to look: fast by words, full by meaning too; default: '
                 'full, with --log-dir fast')
        base.add_folder_options(parser)
        knowledge.add_knowledge_option(parser)
        base.add_wait_options(parser)
        return parser

    def asked(self, parsed_args: argparse.Namespace,
              dry: bool = False) -> Asked:
        """What answers: the service, or the logs of a folder.

        :param dry: tell what a language model would be sent instead
        :raises InvalidInput: options contradict each other
        """
        local = base.is_local(parsed_args)
        if ((parsed_args.analysis is None) == (parsed_args.report is None)
                or local != (parsed_args.report is not None)):
            raise exception.InvalidInput(
                'Name either an analysis by its id, or the file of a report '
                'with --report and the folder of its logs with --log-dir.')
        if not local and parsed_args.knowledge:
            raise exception.InvalidInput(
                '--knowledge: for a folder of logs only.')
        if dry and not local:
            raise exception.InvalidInput(
                '--dry-run-llm: it works on a folder of logs, with the '
                'configuration of this host. Name one with --log-dir.')
        return (self._local(parsed_args, dry) if local
                else self._service(parsed_args))

    def _local(self, parsed_args: argparse.Namespace,
               dry: bool = False) -> Asked:
        from openstack_rca.osc.v1 import analysis
        from openstack_rca.osc.v1 import knowledge
        report = analysis.read_report(parsed_args.report)
        extra = knowledge.backup(parsed_args)
        session = base.open_session(parsed_args)
        from openstack_rca.engine import local
        from openstack_rca.llms import narrator
        known = local.known(extra)
        before: list[str] = []
        tell = narrator.preview_answer if dry else narrator.answer

        def ask(question: str) -> dict[str, Any]:
            answer = session.ask(report, question, before, known,
                                 parsed_args.mode or 'fast', tell)
            before.append(question)
            return answer
        return ask

    def _service(self, parsed_args: argparse.Namespace) -> Asked:
        client = self.client()
        timeout = parsed_args.wait_timeout or base.WAIT_TIMEOUT

        def ask(question: str) -> dict[str, Any]:
            from openstack import exceptions as sdk

            from openstack_rca.osc import text as text_utils
            job = client.ask_analysis(parsed_args.analysis, question,
                                      mode=parsed_args.mode)
            try:
                done = base.wait(client.wait_for_question, job, timeout)
            except sdk.ResourceTimeout as exc:
                raise exception.RCAException(
                    f'The question is still {exc.extra_data.status} after '
                    f'{text_utils.plural(timeout, "second")}. See that '
                    'openstack-rca-engine runs.') from exc
            except sdk.ResourceFailure as exc:
                raise exception.RCAException(
                    base.reason(exc.extra_data)) from exc
            return done.answer if isinstance(done.answer, dict) else {}
        return ask


class Ask(_Questions):
    """Ask something about an analysis.

    The logs and what is known are searched again for what the question
    names and says. The answer stands on what was found there.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('question', metavar='<question>',
                            help='What else you want to know')
        parser.add_argument(
            '--dry-run-llm', action='store_true',
            help='Of a folder of logs: print what would be sent to the '
                 'language model of the configuration, as JSON, and send '
                 'nothing')
        # Otherwise what stands before an option would be the question.
        parser.parse_args = (  # type: ignore[method-assign]
            parser.parse_intermixed_args)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Answer the question, see cliff."""
        question = _sound(parsed_args.question)
        if not question:
            raise exception.InvalidInput('There is no question.')
        if parsed_args.dry_run_llm:
            from openstack_rca.osc import output
            output.write(self.app.stdout, output.as_json(
                self.asked(parsed_args, dry=True)(question)))
            return
        self.show(self.asked(parsed_args)(question), parsed_args)


class Chat(_Questions):
    """Ask about an analysis, one question after the other.

    Each line is a question; an empty one is passed over. "exit" or the end
    of the input ends it.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Answer until nobody asks any more, see cliff."""
        from openstack_rca.osc import output
        from openstack_rca.osc import text as text_utils
        ask = self.asked(parsed_args)
        stream = self.app.stdin or sys.stdin
        shown = output.is_terminal(stream)
        while True:
            if shown:
                output.write(self.app.stdout, _PROMPT)
            line = stream.readline()
            question = _sound(line)
            if not line or question.lower() in _END:
                break
            if not question:
                continue
            try:
                self.show(ask(question), parsed_args)
            except exception.InvalidInput as exc:
                # The next question may be better.
                output.write(sys.stderr,
                             text_utils.visible(exc, keep='\n') + '\n')
        if shown and not line:
            output.write(self.app.stdout, '\n')


def _sound(text: str) -> str:
    from openstack_rca.osc import text as text_utils
    return text_utils.sound(text).strip()
