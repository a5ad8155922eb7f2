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
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import datetime
import io
import itertools
import pathlib
import re
import sys
import time
from typing import Any
from typing import TYPE_CHECKING

from osc_lib import exceptions
from osc_lib.command import command

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.analysis import scope
    from openstack_rca.engine import session

FORMATTERS = 'openstack_rca.formatters'

#: Seconds that a command waits for the service.
WAIT_TIMEOUT = 600

_UUID = re.compile('[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')

#: Options of one way only, by their places in the parsed arguments.
_LOCAL_ONLY = (('no_cache', '--no-cache'), ('baseline', '--baseline'))
_SERVICE_ONLY = (('incident', '--incident'), ('no_wait', '--no-wait'),
                 ('wait_timeout', '--wait-timeout'))


class RCACommand(command.Command):
    """A command of this plugin.

    It ends with a plain message, whatever happens. The analysis and all that
    it needs, the client of the service too, are imported when the command
    runs: ``openstack --help`` looks at every command and must stay fast.
    """

    # Commands that work on a folder need no cloud, no clouds.yaml and no
    # password: the login waits until :meth:`client` needs it.
    auth_required = False

    def get_epilog(self) -> str:
        """Say whose command this is, see cliff.

        cliff would look for it in the metadata of all that is installed,
        whether help is asked for or not.
        """
        return 'This command is provided by the openstack_rca plugin.'

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
        except BaseException as exc:
            # BaseException: a panic of a native library is one, too.
            raise exceptions.CommandError(
                text_utils.visible(_told(exc), keep='\n')) from exc

    def client(self) -> Any:
        """Log in, and hand out the client of the service.

        :returns: the proxy of openstacksdk
        :raises CommandError: there are no credentials
        """
        from openstack_rca.osc import errors
        # What python-openstackclient does before commands that always need
        # a cloud.
        self.auth_required = True
        try:
            self.app.prepare_to_run_command(self)
        except exceptions.CommandError as exc:
            raise exceptions.CommandError(f'{exc}\n{errors.LOG_IN}') from exc
        manager: Any = self.app.client_manager
        return manager.root_cause_analysis

    def whole(self, produce: Callable[[], int]) -> int:
        """Write what cliff prints as a whole.

        cliff writes row by row, and fails in the middle where the stream
        cannot encode a character.

        :param produce: what prints
        :returns: what it returns
        :raises BrokenPipeError: nobody reads any more
        """
        from openstack_rca.osc import output
        stream = self.app.stdout
        self.app.stdout = io.StringIO()
        try:
            status = produce()
            text = self.app.stdout.getvalue()
        finally:
            self.app.stdout = stream
        output.write(stream, text)
        return status

    def find(self, kind: str, parsed_args: argparse.Namespace,
             **attrs: Any) -> dict[str, Any]:
        """Ask the service for events, and wait for them.

        :param kind: the kind of query
        :param parsed_args: options of :func:`add_wait_options`
        :param attrs: what is asked for
        :returns: what was found
        :raises CommandError: the query failed or takes too long
        """
        from openstack import exceptions as sdk

        from openstack_rca.osc import text as text_utils
        client = self.client()
        query = client.create_query(kind, **attrs)
        timeout = parsed_args.wait_timeout or WAIT_TIMEOUT
        try:
            found = wait(client.wait_for_query, query, timeout)
        except sdk.ResourceTimeout as exc:
            raise exception.RCAException(
                f'The query {query.id} is still {exc.extra_data.status} '
                f'after {text_utils.plural(timeout, "second")}. Ask for '
                f'less, wait longer with --wait-timeout, or see that '
                f'openstack-rca-engine runs.') from exc
        except sdk.ResourceFailure as exc:
            raise exception.RCAException(reason(exc.extra_data)) from exc
        return found.result if isinstance(found.result, dict) else {}


def _told(exc: BaseException) -> str:
    """What an operator is told of an error."""
    from openstack_rca.osc import text as text_utils
    if isinstance(exc, MemoryError):
        return ('There is not enough memory for this. Name a smaller folder '
                'or a shorter time with --since and --until.')
    from openstack_rca.osc import errors
    told = errors.explain(exc)
    if told is not None:
        return told
    if isinstance(exc, OSError):
        what = f'{exc.filename}: ' if exc.filename else ''
        return f'{what}{exc.strerror or exc}'
    if isinstance(exc, ValueError) and 'column names' in str(exc):
        # cliff's answer to a wrong --column.
        return str(exc)
    detail = text_utils.shorten(text_utils.visible(exc), 300)
    return (f'This is a bug in openstack_rca: {type(exc).__name__}: '
            f'{detail}. Run the same command with --debug to see where, and '
            f'report it.')


class Lister(RCACommand, command.Lister):
    """A command that lists rows."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Iterable[Sequence[Any]]) -> int:
        """Print the rows, see cliff.

        :raises BrokenPipeError: nobody reads any more
        """
        produce = super().produce_output
        return self.whole(lambda: produce(parsed_args, column_names, data))


class ShowOne(RCACommand, command.ShowOne):
    """A command that shows the fields of one thing."""

    def produce_output(self, parsed_args: argparse.Namespace,
                       column_names: Sequence[str],
                       data: Sequence[Any]) -> int:
        """Print the fields, see cliff.

        :raises BrokenPipeError: nobody reads any more
        """
        produce = super().produce_output
        return self.whole(lambda: produce(parsed_args, column_names, data))


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
             'one. Without it the root cause analysis service is asked')
    group.add_argument(
        '--timezone', metavar='<zone>',
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


def add_wait_options(parser: argparse.ArgumentParser,
                     default: int = WAIT_TIMEOUT) -> Any:
    """Add the options of those who wait for the service.

    :param parser: where to add them
    :param default: seconds that are waited where nobody says
    :returns: their group
    """
    group = parser.add_argument_group('service')
    group.add_argument(
        '--wait-timeout', metavar='<seconds>', type=positive,
        help=f'How long to wait for the answer of the service, default: '
             f'{default}')
    return group


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of those who list rows of the service.

    :param parser: where to add them
    """
    parser.add_argument(
        '--limit', metavar='<number>', type=positive,
        help='The most to list, default: all')
    parser.add_argument(
        '--marker', metavar='<id>', type=identifier,
        help='Go on behind this one')
    parser.add_argument('--long', action='store_true',
                        help='List all fields')


def page(listed: Callable[..., Iterable[Any]],
         parsed_args: argparse.Namespace, **filters: Any) -> list[Any]:
    """As many rows of the service as were asked for, in its order.

    :param listed: the call that lists them
    :param parsed_args: options of :func:`add_page_options`
    :param filters: what they have in common
    """
    most = parsed_args.limit
    # The service has pages of a hundred by itself; asking for more than it
    # allows would be refused.
    size = most if most is not None and most < 100 else None
    return list(itertools.islice(listed(
        limit=size, marker=parsed_args.marker, **filters), most))


def each(values: Iterable[str], work: Callable[[str], Any], done: str,
         noun: str) -> None:
    """Do something with each of several things, whatever becomes of others.

    :param values: their ids
    :param work: what to do with one
    :param done: what is done with them, for messages
    :param noun: what they are, in the plural
    :raises CommandError: it could not be done with all of them
    """
    from openstack import exceptions as sdk

    from openstack_rca.osc import errors
    from openstack_rca.osc import text as text_utils
    failed = []
    count = 0
    for value in dict.fromkeys(values):
        count += 1
        try:
            work(value)
        except sdk.SDKException as exc:
            failed.append(errors.explain(exc) or str(exc))
    if failed:
        message = '\n'.join(failed)
        if count > 1:
            message += f'\n{len(failed)} of {count} {noun} were not {done}.'
        raise exceptions.CommandError(text_utils.visible(message, keep='\n'))


def wait(call: Callable[..., Any], job: Any, timeout: float) -> Any:
    """Wait for a job, with its state on stderr where a person watches.

    :param call: what waits
    :param job: the analysis or query
    :param timeout: the most seconds
    :returns: the finished job
    """
    from openstack_rca.osc import output
    progress = output.Progress(sys.stderr)
    begun: dict[str, float] = {}

    def told(looked: Any) -> None:
        status = str(looked.status)
        now = time.monotonic()
        seconds = now - begun.setdefault(status, now)
        text = f'{status} for {seconds:.0f} s'
        before = looked.document.get('queue_position')
        if status == 'queued' and isinstance(before, int):
            text += f' ({before} before it)'
        text += _training(looked.document.get('progress'))
        progress.note(text)

    try:
        return call(job, timeout, told if progress.shown else None)
    finally:
        progress.clear()


def outcome(call: Callable[..., Any], job: Any, timeout: int, kind: str,
            work: str = '') -> Any:
    """Wait for a job, and say what else may come of it.

    :param call: waits for it
    :param job: what is waited for
    :param timeout: seconds
    :param kind: what it is, as commands name it
    :param work: what is done, where it is not called the same
    :returns: the job, complete
    :raises RCAException: it failed, takes too long or is gone
    """
    from openstack import exceptions as sdk

    from openstack_rca.osc import errors
    from openstack_rca.osc import output
    from openstack_rca.osc import text as text_utils
    work = work or kind
    later = (f'The {work} goes on: "openstack rca {kind} show {job.id}" '
             'shows it.')
    try:
        return wait(call, job, timeout)
    except KeyboardInterrupt:
        output.write(sys.stderr, f'\n{later}\n')
        raise
    except sdk.ResourceFailure as exc:
        raise exception.RCAException(
            f'The {work} {job.id} failed: {reason(exc.extra_data)}'
        ) from exc
    except sdk.ResourceTimeout as exc:
        status = exc.extra_data.status
        hint = (' See that openstack-rca-engine runs.'
                if status == 'queued' else '')
        raise exception.RCAException(
            f'The {work} is still {status} after '
            f'{text_utils.plural(timeout, "second")}. {later}{hint}'
        ) from exc
    except sdk.NotFoundException as exc:
        raise exception.RCAException(
            f'The {kind} {job.id} was deleted while this command waited for '
            'it.') from exc
    except Exception as exc:
        told = errors.explain(exc)
        if told is None:
            raise
        raise exception.RCAException(f'{told}\n{later}') from exc


def _training(progress: Any) -> str:
    """How far a training is, in words."""
    from openstack_rca.osc import text as text_utils
    if not isinstance(progress, dict):
        return ''
    share, figures = progress.get('share'), progress.get('figures')
    told = [str(progress.get('what') or 'training')]
    if isinstance(share, (int, float)):
        told.append(f'{share:.0%}')
    if isinstance(figures, dict):
        told += [f'{name} {value:.4g}' for name, value in figures.items()
                 if isinstance(value, (int, float))]
    return text_utils.shorten(text_utils.visible(': ' + ', '.join(told)), 120)


def reason(job: Any) -> str:
    """Why a job failed, as the service says."""
    error = job.error
    if isinstance(error, dict) and error.get('message'):
        return str(error['message'])
    return str(error) if error else 'The service gives no reason.'


def is_local(parsed_args: argparse.Namespace) -> bool:
    """Whether a folder is read; otherwise the service is asked.

    :raises InvalidInput: an option belongs to the other way
    """
    local = parsed_args.log_dir is not None
    strange = dict(_SERVICE_ONLY if local else _LOCAL_ONLY)
    if not local and not hasattr(parsed_args, 'since'):
        strange['timezone'] = '--timezone'
    given = [option for dest, option in strange.items()
             if getattr(parsed_args, dest, None)]
    if given and local:
        raise exception.InvalidInput(
            reason=f'{", ".join(given)}: for the service only. Leave it out, '
                   f'or leave out --log-dir to ask the service.')
    if given:
        raise exception.InvalidInput(
            reason=f'{", ".join(given)}: for a folder of logs only. Leave it '
                   f'out, or name the folder with --log-dir.')
    return local


def folder(parsed_args: argparse.Namespace) -> pathlib.Path:
    """The folder of logs that was named.

    :raises InvalidInput: the name is none of a folder
    """
    if not parsed_args.log_dir:
        raise exception.InvalidInput(
            reason='--log-dir: the name of the folder is empty.')
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
    if not parsed_args.since and not parsed_args.until:
        return None, None
    from openstack_rca.analysis import scope
    since = until = None
    timezone = parsed_args.timezone or 'UTC'
    if parsed_args.since:
        since = scope.parse_time(parsed_args.since, timezone)
    if parsed_args.until:
        until = scope.parse_time(parsed_args.until, timezone)
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


def request(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """The question that the options ask, as the service takes it.

    :param parsed_args: options of :func:`add_scope_options`, ``issue`` too
    :returns: what was given of it
    :raises InvalidInput: the options contradict each other
    """
    from openstack_rca.osc import text as text_utils
    since, until = times(parsed_args)
    given: dict[str, Any] = {
        'issue': text_utils.sound(parsed_args.issue or ''),
        'since': since and since.isoformat(),
        'until': until and until.isoformat(),
        'request_ids': [text_utils.sound(item)
                        for item in parsed_args.request_id],
        'servers': [text_utils.sound(item) for item in parsed_args.server],
        'services': [text_utils.sound(item)
                     for item in parsed_args.service]}
    return {name: value for name, value in given.items() if value}


def open_session(parsed_args: argparse.Namespace,
                 baseline: pathlib.Path | None = None
                 ) -> 'session.Session':
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
            path, timezone=parsed_args.timezone or 'UTC',
            cache=not parsed_args.no_cache, baseline=baseline,
            progress=progress.callback)
    finally:
        progress.clear()


def identifier(text: str) -> str:
    """The id of an analysis or incident, for argparse."""
    if not _UUID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no id: ids look like '
            f'5f0c1e9a-0d3b-4c57-9d55-1a2b3c4d5e6f')
    return text.lower()
