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
"""What the commands share: options of a folder, formats, honest endings."""

import argparse
from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import io
import pathlib
import sys
from typing import Any
from typing import TYPE_CHECKING

from osc_lib import exceptions
from osc_lib.command import command

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.analysis import scope
    from openstack_rca.engine import local

FORMATTERS = 'openstack_rca.formatters'


class RCACommand(command.Command):
    """A command of this plugin.

    It works without a cloud and ends with a plain message, whatever happens.
    The analysis and all that it needs are imported when the command runs:
    ``openstack --help`` looks at every command and must stay fast.
    """

    # Commands that work on a folder need no cloud, no clouds.yaml and no
    # password.
    auth_required = False

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, see cliff.

        :param parsed_args: the options
        :returns: the exit status
        :raises CommandError: with a message for the operator
        """
        from openstack_rca.osc import text as text_utils
        try:
            return super().run(parsed_args)
        except exception.RCAException as exc:
            raise exceptions.CommandError(
                text_utils.visible(exc, keep='\n')) from exc
        except (exceptions.CommandError, BrokenPipeError,
                KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except MemoryError as exc:
            raise exceptions.CommandError(
                'There is not enough memory for this. Name a smaller folder '
                'or a shorter time with --since and --until.') from exc
        except OSError as exc:
            what = f'{exc.filename}: ' if exc.filename else ''
            raise exceptions.CommandError(text_utils.visible(
                f'{what}{exc.strerror or exc}')) from exc
        except BaseException as exc:
            # BaseException: a panic of a native library is one, too.
            if isinstance(exc, ValueError) and 'column names' in str(exc):
                # cliff's answer to a wrong --column.
                raise exceptions.CommandError(
                    text_utils.visible(exc)) from exc
            detail = text_utils.shorten(text_utils.visible(exc), 300)
            raise exceptions.CommandError(
                f'This is a bug in openstack_rca: {type(exc).__name__}: '
                f'{detail}. Run the same command with --debug to see where, '
                f'and report it.') from exc


class Lister(RCACommand, command.Lister):
    """A command that lists rows."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Iterable[Sequence[Any]]) -> int:
        """Print the rows, see cliff.

        :raises BrokenPipeError: nobody reads any more
        """
        from openstack_rca.osc import output
        # cliff writes row by row, and fails in the middle where the stream
        # cannot encode a character.
        stream = self.app.stdout
        self.app.stdout = io.StringIO()
        try:
            status: int = super().produce_output(parsed_args, column_names,
                                                 data)
            text = self.app.stdout.getvalue()
        finally:
            self.app.stdout = stream
        output.write(stream, text)
        return status


class DocumentCommand(RCACommand):
    """A command that prints one document.

    Its formats come from a namespace of their own, so that no other command
    grows them.

    :cvar kind: the kind of document, see the formatters
    """

    kind = 'report'

    @property
    def formatter_namespace(self) -> str:
        """Where the formats are found."""
        return FORMATTERS

    @property
    def formatter_default(self) -> str:
        """The format without ``-f``."""
        return 'report'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        from stevedore import extension
        parser = super().get_parser(prog_name)
        found: extension.ExtensionManager[Any] = extension.ExtensionManager(
            self.formatter_namespace)
        self._formatters = {item.name: item.plugin for item in found
                            if self.kind in item.plugin.kinds}
        group = parser.add_argument_group('output')
        group.add_argument(
            '-f', '--format', dest='formatter',
            choices=sorted(self._formatters),
            default=self.formatter_default,
            help=f'Output format, default: {self.formatter_default}')
        group.add_argument(
            '--no-color', '--no-colour', dest='no_color',
            action='store_true',
            help='No colour, not even on a terminal (the environment '
                 'variable NO_COLOR says the same)')
        return parser

    def show(self, document: dict[str, Any],
             parsed_args: argparse.Namespace) -> None:
        """Print a document in the format that was asked for.

        :param document: the document
        :param parsed_args: the options
        :raises BrokenPipeError: nobody reads any more
        """
        from openstack_rca.osc import output
        from openstack_rca.osc.formatters import base
        stream = self.app.stdout
        options = base.Options(
            columns=output.columns(stream),
            colour=output.colour_wanted(stream, parsed_args.no_color),
            unicode=output.unicode_fits(stream))
        formatter = self._formatters[parsed_args.formatter]()
        output.write(stream, formatter.render(self.kind, document, options))


def positive(text: str) -> int:
    """A number from 1 on, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1 or value > 10**9:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number from 1 to 1000000000')
    return value


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is read.

    :param parser: where to add them
    """
    group = parser.add_argument_group('logs')
    group.add_argument(
        '--log-dir', metavar='<folder>',
        help='Folder of logs to read, in process and without a cloud: a copy '
             'of /var/log, a sosreport, a CI artifact, or a tar archive of '
             'one')
    group.add_argument(
        '--timezone', metavar='<zone>', default='UTC',
        help='Time zone of timestamps that carry none, and of --since and '
             '--until, such as Europe/Paris, default: UTC')
    group.add_argument(
        '--no-cache', action='store_true',
        help='Parse again, and keep nothing for the next question')


def add_scope_options(parser: argparse.ArgumentParser,
                      many: bool = True) -> None:
    """Add the options that say which events are meant.

    :param parser: where to add them
    :param many: whether identities may be given several times
    """
    group = parser.add_argument_group('scope')
    group.add_argument(
        '--since', metavar='<time>',
        help='Only events from this time on: "2026-11-21 03:00", an ISO '
             '8601 time, or an age such as "2h ago"')
    group.add_argument('--until', metavar='<time>',
                       help='Only events up to this time, as in --since')
    more = ' (repeat for several)' if many else ''
    for option, dest, metavar, text in (
            ('--request-id', 'request_id', '<request-id>',
             'Only events of this request, global id or not'),
            ('--server', 'server', '<server>',
             'Only events of this server, by UUID or name'),
            ('--service', 'service', '<service>',
             'Only events of this service or binary, such as nova or '
             'nova-compute')):
        if many:
            group.add_argument(option, metavar=metavar, dest=dest,
                               action='append', default=[],
                               help=text + more)
        else:
            group.add_argument(option, metavar=metavar, dest=dest, help=text)


def folder(parsed_args: argparse.Namespace) -> pathlib.Path:
    """The folder of logs that was named.

    :raises InvalidInput: none was
    """
    if not parsed_args.log_dir:
        raise exception.InvalidInput(
            reason='Name a folder of logs with --log-dir. This release works '
                   'on logs in process; the root cause analysis service that '
                   'answers without --log-dir is not part of it yet.')
    if '\0' in parsed_args.log_dir:
        raise exception.InvalidInput(
            reason='--log-dir: a path cannot hold a NUL character.')
    return pathlib.Path(parsed_args.log_dir)


def times(parsed_args: argparse.Namespace) -> tuple[
        datetime.datetime | None, datetime.datetime | None]:
    """``--since`` and ``--until`` as moments.

    :raises InvalidInput: one cannot be understood, or they leave no time
        between them
    """
    from openstack_rca.analysis import scope
    since = until = None
    if parsed_args.since:
        since = scope.parse_time(parsed_args.since, parsed_args.timezone)
    if parsed_args.until:
        until = scope.parse_time(parsed_args.until, parsed_args.timezone)
    if since and until and since > until:
        raise exception.InvalidInput(
            reason=f'--since ({since:%Y-%m-%d %H:%M:%S} UTC) is after '
                   f'--until ({until:%Y-%m-%d %H:%M:%S} UTC). Exchange them.')
    return since, until


def question(parsed_args: argparse.Namespace) -> 'scope.Question':
    """The question that the options ask.

    :param parsed_args: options of :func:`add_scope_options`, ``issue`` too
    :raises InvalidInput: the options contradict each other
    """
    from openstack_rca.analysis import scope
    from openstack_rca.osc import text as text_utils
    since, until = times(parsed_args)
    return scope.Question(
        issue=text_utils.sound(parsed_args.issue or ''), since=since,
        until=until, request_ids=tuple(parsed_args.request_id),
        servers=tuple(parsed_args.server),
        services=tuple(parsed_args.service))


def open_session(parsed_args: argparse.Namespace,
                 baseline: pathlib.Path | None = None
                 ) -> 'local.LocalSession':
    """Read the folder, with progress on stderr where a person watches.

    :param parsed_args: options of :func:`add_folder_options`
    :param baseline: folder of logs of healthy days
    :returns: the parsed folder
    :raises RCAException: it cannot be read
    """
    path = folder(parsed_args)
    from openstack_rca import conf
    from openstack_rca.engine import local
    from openstack_rca.osc import output
    conf.load()
    progress = output.Progress(sys.stderr)
    try:
        return local.open_folder(
            path, timezone=parsed_args.timezone,
            cache=not parsed_args.no_cache, baseline=baseline,
            progress=progress.callback)
    finally:
        progress.clear()
