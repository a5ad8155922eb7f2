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
"""Tests of the commands, over an analysis that is given."""

import argparse
import datetime
import io
import json
import pathlib
import stat
from typing import Any
from unittest import mock

from osc_lib import exceptions

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.engine import local
from openstack_rca.osc.v1 import analyze
from openstack_rca.osc.v1 import base as commands
from openstack_rca.osc.v1 import event
from openstack_rca.osc.v1 import source
from openstack_rca.osc.v1 import trace
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample

_DAY = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


class _Session:
    """Answers with samples, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.skipped = [{'source': 'core.\x1b[31m1', 'reason': 'binary',
                         'bytes': 5}]

    def analyze(self, question: scope.Question) -> dict[str, Any]:
        self.asked.append(question)
        return sample.report(issue=question.issue)

    def events(self, **filters: Any) -> list[dict[str, Any]]:
        self.asked.append(filters)
        rows: list[dict[str, Any]] = sample.trace()['events']
        rows[0].update(host='\x1b[31mred', text='one\x1b[2J two')
        return rows[:filters['limit']]

    def trace(self, request_id: str) -> dict[str, Any]:
        self.asked.append(request_id)
        if request_id != sample.REQUEST:
            raise exception.UnknownRequest(request_id=request_id)
        return sample.trace()

    def story(self, server: str) -> dict[str, Any]:
        self.asked.append(server)
        return sample.story()

    def sources(self) -> list[dict[str, Any]]:
        return [{'source': 'a\x1b[2J.log', 'kind': 'log', 'format': 'oslo',
                 'service': 'nova', 'binary': 'nova-api', 'host': '',
                 'events': 12, 'lines': 14, 'unparsed': 1,
                 'from': '2026-11-21T03:00:00+00:00',
                 'to': '2026-11-21T04:00:00+00:00', 'bytes': 999}]


class _Case(base.TestCase):
    command: type[commands.RCACommand]

    def setUp(self) -> None:
        super().setUp()
        self.session = _Session()
        opener = mock.patch.object(local, 'open_folder', autospec=True,
                                   return_value=self.session)
        self.opened = opener.start()
        self.addCleanup(opener.stop)
        self.app = mock.Mock()
        self.app.stdout = io.StringIO()
        self.app.command_manager.namespace = 'openstack.cli'

    def _run(self, *arguments: str) -> str:
        command = self.command(self.app, argparse.Namespace())
        parser = command.get_parser('openstack rca')
        status = command.run(parser.parse_args(list(arguments)))
        self.assertEqual(0, status)
        text: str = self.app.stdout.getvalue()
        return text

    def _fails(self, *arguments: str) -> str:
        error = self.assertRaises(exceptions.CommandError, self._run,
                                  *arguments)
        message = str(error)
        self.assertTrue(message.replace('\n', '').isprintable())
        return message


class SharedTest(_Case):
    """What all commands do alike."""

    command = analyze.Analyze

    def test_needs_no_cloud(self) -> None:
        for command in (analyze.Analyze, event.ListEvents, trace.Trace,
                        source.ListSources):
            self.assertFalse(command.auth_required)

    def test_an_empty_name_is_no_folder(self) -> None:
        self.assertIn('empty', self._fails('--log-dir', '', '--issue', 'x'))
        self.assertFalse(self.opened.called)

    def test_options_of_the_service(self) -> None:
        for option in (['--incident'], ['--no-wait'],
                       ['--wait-timeout', '5']):
            message = self._fails('--log-dir', '/logs', *option)
            self.assertIn(f'{option[0]}: for the service only', message)
        self.assertFalse(self.opened.called)
        self.assertFalse(self.app.prepare_to_run_command.called)

    def test_folder_options(self) -> None:
        self._run('--log-dir', '/logs', '--timezone', 'Europe/Paris',
                  '--no-cache', '--baseline', '/quiet')
        self.opened.assert_called_once_with(
            pathlib.Path('/logs'), timezone='Europe/Paris', cache=False,
            baseline=pathlib.Path('/quiet'), progress=None)

    def test_expected_errors_are_told(self) -> None:
        self.opened.side_effect = exception.SourceNotFound(path='/no\x1b[1m')
        self.assertEqual(
            '/no\\x1b[1m does not exist. Name a folder of logs, or a tar '
            'archive of one.', self._fails('--log-dir', '/no'))

    def test_bugs_are_told(self) -> None:
        class Panic(BaseException):
            pass

        for error in (KeyError('x'), Panic('rust'), AssertionError()):
            self.opened.side_effect = error
            message = self._fails('--log-dir', '/logs')
            self.assertIn('This is a bug in openstack_rca', message)
            self.assertIn(type(error).__name__, message)
            self.assertIn('--debug', message)

    def test_system_errors_are_told(self) -> None:
        self.opened.side_effect = OSError(28, 'No space left', '/cache')
        self.assertEqual('/cache: No space left',
                         self._fails('--log-dir', '/logs'))
        self.opened.side_effect = MemoryError()
        self.assertIn('memory', self._fails('--log-dir', '/logs'))

    def test_leaving_is_no_error(self) -> None:
        for error in (KeyboardInterrupt, BrokenPipeError, SystemExit):
            self.opened.side_effect = error
            self.assertRaises(error, self._run, '--log-dir', '/logs')

    def test_paths_with_nul(self) -> None:
        self.assertIn('NUL', self._fails('--log-dir', 'a\0b'))

    def test_limits_are_numbers(self) -> None:
        self.assertEqual(7, commands.positive('7'))
        for text in ('0', '-1', 'x', '1.5', '9' * 30):
            self.assertRaises(argparse.ArgumentTypeError, commands.positive,
                              text)


class AnalyzeTest(_Case):
    """The question, and its answer in every format."""

    command = analyze.Analyze

    def test_question(self) -> None:
        self._run('--log-dir', '/logs', '--issue', 'broken \udcff',
                  '--since', '2026-11-21', '--until', '2026-11-21 01:00',
                  '--timezone', 'Europe/Paris', '--request-id', 'req-1',
                  '--request-id', 'req-2', '--server', 'web-3',
                  '--service', 'nova')
        (question,) = self.session.asked
        hour = datetime.timedelta(hours=1)
        self.assertEqual(scope.Question(
            issue='broken \ufffd', since=_DAY - hour, until=_DAY,
            request_ids=('req-1', 'req-2'), servers=('web-3',),
            services=('nova',)), question)

    def test_formats(self) -> None:
        for name, mark in (('report', 'CAUSE FOUND'), ('json', '{'),
                           ('yaml', 'version: 1'),
                           ('markdown', '# Root cause'),
                           ('html', '<!DOCTYPE html>')):
            self.app.stdout = io.StringIO()
            self.assertTrue(self._run('--log-dir', '/logs', '-f',
                                      name).startswith(mark))

    def test_mode(self) -> None:
        for options, mode in (((), 'fast'), (('--mode', 'full'), 'full')):
            with mock.patch.object(_Session, 'analyze', autospec=True,
                                   side_effect=_Session.analyze) as asked:
                self._run('--log-dir', '/logs', *options)
            self.assertEqual(mode, asked.call_args.args[1].mode)

    def test_report_is_the_default(self) -> None:
        self.assertTrue(self._run('--log-dir', '/logs').startswith(
            'CAUSE FOUND'))

    def test_output_keeps_the_document(self) -> None:
        target = self.tmp / 'report.json'
        shown = self._run('--log-dir', '/logs', '--output', str(target))
        self.assertIn('CAUSE FOUND', shown)
        self.assertEqual(sample.report(issue=''),
                         json.loads(target.read_text()))
        self.assertEqual(0o600, stat.S_IMODE(target.stat().st_mode))

    def test_output_is_checked_first(self) -> None:
        self._fails('--log-dir', '/logs', '--output', str(self.tmp))
        self.assertFalse(self.opened.called)

    def test_times_in_order(self) -> None:
        message = self._fails('--log-dir', '/logs', '--since', '2026-11-22',
                              '--until', '2026-11-21')
        self.assertIn('is after', message)

    def test_times_that_are_none(self) -> None:
        self.assertIn('soon', self._fails('--log-dir', '/logs', '--since',
                                          'soon'))

    def test_wrong_use(self) -> None:
        for arguments in (['-f', 'pdf'], ['--mode', 'slow'], ['--nope']):
            error = self.assertRaises(SystemExit, self._run, *arguments)
            self.assertEqual(2, error.code)


class EventTest(_Case):
    """Rows that are safe to look at."""

    command = event.ListEvents

    def test_filters(self) -> None:
        self._run('--log-dir', '/logs', '--since', '2026-11-21',
                  '--request-id', 'req-1', '--server', 'web', '--service',
                  'nova', '--level', 'error', '--template', 'a1', '--words',
                  'no host', '--limit', '5')
        self.assertEqual([{
            'since': _DAY, 'until': None, 'request_id': 'req-1',
            'server': 'web', 'service': 'nova', 'level': 'ERROR',
            'template': 'a1', 'words': 'no host', 'limit': 6}],
            self.session.asked)

    def test_tables_and_lines_are_visible(self) -> None:
        for chosen in ('table', 'value', 'csv'):
            self.app.stdout = io.StringIO()
            shown = self._run('--log-dir', '/logs', '-f', chosen, '--long')
            self.assertTrue(shown.replace('\n', '').replace(
                '\r', '').isprintable())
            self.assertIn('\\x1b[31mred', shown)

    def test_json_is_verbatim(self) -> None:
        rows = json.loads(self._run('--log-dir', '/logs', '-f', 'json'))
        self.assertEqual('one\x1b[2J two', rows[0]['Text'])
        self.assertEqual(7, rows[0]['Line'])
        self.assertEqual(f'{1:016x}', rows[0]['Template'])

    def test_chosen_columns(self) -> None:
        self.assertEqual(f'{1:016x}\n' * 2, self._run(
            '--log-dir', '/logs', '-f', 'value', '-c', 'Template'))

    def test_unknown_columns(self) -> None:
        message = self._fails('--log-dir', '/logs', '-c', 'Nope')
        self.assertIn('No recognized column names', message)
        self.assertNotIn('bug', message)

    def test_more_than_the_limit(self) -> None:
        with self.assertLogs(event.ListEvents.log, 'WARNING') as caught:
            shown = self._run('--log-dir', '/logs', '--limit', '1', '-f',
                              'value', '-c', 'Line')
        self.assertEqual('7\n', shown)
        self.assertIn('--limit', caught.output[0])


class TraceTest(_Case):
    """One request."""

    command = trace.Trace

    def test_formats(self) -> None:
        shown = self._run('--log-dir', '/logs', sample.REQUEST)
        self.assertTrue(shown.startswith('TRACE'))
        self.app.stdout = io.StringIO()
        self.assertEqual(sample.trace(), json.loads(self._run(
            '--log-dir', '/logs', sample.REQUEST, '-f', 'json')))

    def test_story(self) -> None:
        shown = self._run('--log-dir', '/logs', '--server', 'web-3')
        self.assertTrue(shown.startswith('SERVER web-3'))
        for words in ('OPERATIONS', 'failed', 'cmp1', '12 looks',
                      'BESIDE THESE', 'WARNINGS AND ERRORS'):
            self.assertIn(words, shown)
        self.assertLess(shown.index('OPERATIONS'), shown.index('SERVICES'))
        self.app.stdout = io.StringIO()
        self.assertEqual(sample.story(), json.loads(self._run(
            '--log-dir', '/logs', '--server', 'web-3', '-f', 'json')))

    def test_either_request_or_server(self) -> None:
        for words in ((), (sample.REQUEST, '--server', 'web-3')):
            self.assertIn('one of them',
                          self._fails('--log-dir', '/logs', *words))

    def test_reports_only_are_pages(self) -> None:
        error = self.assertRaises(SystemExit, self._run, '--log-dir',
                                  '/logs', sample.REQUEST, '-f', 'html')
        self.assertEqual(2, error.code)

    def test_unknown_request(self) -> None:
        self.assertIn('req-2', self._fails('--log-dir', '/logs', 'req-2'))


class SourceTest(_Case):
    """What was read."""

    command = source.ListSources

    def test_rows_and_what_was_not_read(self) -> None:
        with self.assertLogs(source.ListSources.log, 'WARNING') as caught:
            shown = self._run('--log-dir', '/logs', '-f', 'csv')
        self.assertIn('x1b[2J.log', shown)
        self.assertNotIn('\x1b', shown)
        self.assertIn('core.\\x1b[31m1: binary', caught.output[0])
