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
"""``openstack rca analysis``: the questions that the service keeps."""

import argparse
from collections.abc import Iterable
import json
import pathlib
import stat
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base

_COLUMNS = (('ID', 'id'), ('Status', 'status'), ('Verdict', 'verdict'),
            ('Component', 'component'), ('Issue', 'issue'),
            ('Created At', 'created_at'))
_LONG = (('Category', 'category'), ('Severity', 'severity'),
         ('Confidence', 'confidence'), ('Summary', 'summary'),
         ('Incident ID', 'incident_id'), ('Rating', 'rating'),
         ('Mode', 'mode'), ('User ID', 'user_id'),
         ('Started At', 'started_at'), ('Finished At', 'finished_at'))

#: A report has a megabyte at most; a file of more is something else.
_LARGEST = 16 << 20


class ListAnalyses(base.Lister):
    """List analyses of the project, newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_page_options(parser)
        parser.add_argument(
            '--status', choices=('queued', 'running', 'complete', 'failed'),
            help='Only analyses in this state')
        parser.add_argument(
            '--verdict', choices=('cause_found', 'insufficient_evidence',
                                  'nothing_abnormal'),
            help='Only analyses that came to this verdict')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the analyses, see cliff."""
        from openstack_rca.osc.v1 import columns
        found = base.page(self.client().analyses, parsed_args,
                          status=parsed_args.status,
                          verdict=parsed_args.verdict)
        shown = _COLUMNS + (_LONG if columns.all_wanted(parsed_args) else ())
        return columns.rows(found, shown, parsed_args.formatter)


class ShowAnalysis(base.DocumentCommand):
    """Show an analysis: its report, or how far it is"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('analysis', metavar='<analysis-id>', nargs='?',
                            type=base.identifier, help='Analysis (id)')
        parser.add_argument(
            '--report', metavar='<file>',
            help='Show a report that was kept with "analyze --output", '
                 'without a cloud')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Show the analysis, see cliff."""
        if (parsed_args.analysis is None) == (parsed_args.report is None):
            raise exception.InvalidInput(
                reason='Name either an analysis by its id, or the file of a '
                       'report with --report.')
        if parsed_args.report is not None:
            document = read_report(parsed_args.report)
        else:
            client = self.client()
            document = client.get_analysis(parsed_args.analysis).document
        self.show(document, parsed_args)


def read_report(name: str) -> dict[str, Any]:
    """Read a report that was kept in a file.

    :param name: the file
    :returns: the document
    :raises InvalidInput: it cannot be read, or is no report
    """
    if not name or '\0' in name:
        raise exception.InvalidInput(
            reason='--report: this is not the name of a file.')
    path = pathlib.Path(name)
    wrong = (f'--report: {path} is no report. Reports are kept with '
             f'"openstack rca analyze --output".')
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise exception.InvalidInput(
                reason=f'--report: {path} is not a file.')
        if found.st_size > _LARGEST:
            raise exception.InvalidInput(reason=wrong)
        document = json.loads(path.read_bytes())
    except OSError as exc:
        raise exception.InvalidInput(
            reason=f'--report: {path} cannot be read: '
                   f'{exc.strerror or exc}') from exc
    except (ValueError, RecursionError) as exc:
        raise exception.InvalidInput(reason=wrong) from exc
    if not isinstance(document, dict) or 'verdict' not in document:
        raise exception.InvalidInput(reason=wrong)
    return document


class DeleteAnalysis(base.RCACommand):
    """Delete analyses, finished or not"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('analyses', metavar='<analysis-id>', nargs='+',
                            type=base.identifier,
                            help='Analysis to delete (id)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the analyses, see cliff."""
        client = self.client()
        base.each(
            parsed_args.analyses,
            lambda name: client.delete_analysis(name, ignore_missing=False),
            'deleted', 'analyses')


class RateAnalysis(base.RCACommand):
    """Say whether an analysis was right.

    Every user has one judgement of an analysis; a new one replaces it.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('analysis', metavar='<analysis-id>',
                            type=base.identifier, help='Analysis (id)')
        group = parser.add_mutually_exclusive_group(required=True)
        for value, options, text in (
                ('right', ('--right', '--helpful'),
                 'The first cause is the cause'),
                ('partly', ('--partly',),
                 'The cause is among the others, or not whole'),
                ('wrong', ('--wrong',), 'The cause is another one')):
            group.add_argument(*options, dest='rating',
                               action='store_const', const=value, help=text)
        parser.add_argument(
            '--component', metavar='<component>',
            help='The part that was faulty in truth, such as nova-compute')
        parser.add_argument(
            '--cause', metavar='<text>',
            help='The cause in truth, in your words: it becomes knowledge')
        parser.add_argument('--comment', metavar='<text>',
                            help='What else there is to say')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Keep the judgement, see cliff."""
        from openstack_rca.osc import text as text_utils
        given = {name: text_utils.sound(getattr(parsed_args, name))
                 for name in ('component', 'comment', 'cause')
                 if getattr(parsed_args, name) is not None}
        self.client().rate_analysis(parsed_args.analysis, parsed_args.rating,
                                    **given)
