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
"""Tests of the commands that ask the service, over real HTTP."""

import argparse
import datetime
import io
import json
import pathlib
import stat
from typing import Any
from unittest import mock

from openstack import connection
from osc_lib import exceptions

from openstack_rca.osc import output
from openstack_rca.osc import plugin
from openstack_rca.osc.v1 import analysis
from openstack_rca.osc.v1 import analyze
from openstack_rca.osc.v1 import base as commands
from openstack_rca.osc.v1 import event
from openstack_rca.osc.v1 import incident
from openstack_rca.osc.v1 import source
from openstack_rca.osc.v1 import trace
from openstack_rca.sdk.v1 import _proxy
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample
from openstack_rca.tests.unit.sdk import fake

HOSTILE = '\x1b[2Jgone\u202e'


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Case(base.TestCase):
    command: type[commands.RCACommand]

    def setUp(self) -> None:
        super().setUp()
        self.cloud = self.useFixture(fake.Cloud())
        self.app = mock.Mock()
        self.app.stdout = io.StringIO()
        self.app.command_manager.namespace = 'openstack.cli'
        manager = mock.Mock()
        manager.sdk_connection = connection.Connection(
            auth=self.cloud.login, auth_type='password',
            region_name='RegionOne', root_cause_analysis_api_version='1')
        self.addCleanup(manager.sdk_connection.close)
        # As python-openstackclient does: made when it is asked for.
        type(self.app.client_manager).root_cause_analysis = (
            mock.PropertyMock(side_effect=lambda: plugin.make_client(manager)))
        self.now = 1000.0
        clock = mock.patch.object(_proxy, 'time', autospec=True)
        patched = clock.start()
        self.addCleanup(clock.stop)
        patched.monotonic.side_effect = lambda: self.now
        patched.sleep.side_effect = self._sleep
        self.stderr = io.StringIO()
        screen = mock.patch('sys.stderr', self.stderr)
        screen.start()
        self.addCleanup(screen.stop)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _run(self, *arguments: str,
             command: type[commands.RCACommand] | None = None) -> str:
        self.app.stdout = io.StringIO()
        made = (command or self.command)(self.app, argparse.Namespace())
        parser = made.get_parser('openstack rca')
        status = made.run(parser.parse_args(list(arguments)))
        self.assertEqual(0, status)
        text: str = self.app.stdout.getvalue()
        return text

    def _fails(self, *arguments: str,
               command: type[commands.RCACommand] | None = None) -> str:
        error = self.assertRaises(exceptions.CommandError, self._run,
                                  *arguments, command=command)
        message = str(error)
        self.assertTrue(message.replace('\n', '').isprintable())
        self.assertNotIn('bug in openstack_rca', message)
        return message

    def _warned(self, *arguments: str) -> tuple[str, list[str]]:
        with self.assertLogs(self.command.log, 'WARNING') as caught:
            shown = self._run(*arguments)
        return shown, [record.getMessage() for record in caught.records]


class AnalyzeTest(_Case):
    """A question to the service, and its answer."""

    command = analyze.Analyze

    def test_question(self) -> None:
        shown = self._run(
            '--issue', 'broken \udcff', '--since', '2026-11-21',
            '--until', '2026-11-21 01:00', '--timezone', 'Europe/Paris',
            '--request-id', 'req-1', '--request-id', 'req-2', '--server',
            'web-3', '--service', 'nova', '--incident')
        self.assertTrue(shown.startswith('CAUSE FOUND'))
        self.assertEqual([('/v1/analyses', {
            'issue': 'broken \ufffd', 'incident': True,
            'since': '2026-11-20T23:00:00+00:00',
            'until': '2026-11-21T00:00:00+00:00',
            'request_ids': ['req-1', 'req-2'], 'servers': ['web-3'],
            'services': ['nova']})], self.cloud.calls('POST'))
        # No login before it is needed, and one then.
        self.assertEqual(1, self.app.prepare_to_run_command.call_count)
        self.assertEqual('', self.stderr.getvalue())

    def test_mode(self) -> None:
        self._run('--issue', 'x', '--mode', 'fast')
        self.assertEqual([('/v1/analyses', {'issue': 'x', 'mode': 'fast'})],
                         self.cloud.calls('POST'))

    def test_the_id_is_shown(self) -> None:
        shown = self._run('--issue', 'x')
        (name,) = self.cloud.rows['analyses']
        self.assertIn(f'Analysis   {name}', shown)

    def test_json_is_the_document(self) -> None:
        shown = self._run('--issue', 'x', '-f', 'json')
        (row,) = self.cloud.rows['analyses'].values()
        self.assertEqual(row, json.loads(shown))
        self.assertEqual(list(row), list(json.loads(shown)))

    def test_output(self) -> None:
        target = self.tmp / 'report.json'
        self._run('--issue', 'x', '--output', str(target))
        (row,) = self.cloud.rows['analyses'].values()
        self.assertEqual(row, json.loads(target.read_text()))
        self.assertEqual(0o600, stat.S_IMODE(target.stat().st_mode))
        self.assertTrue(self._run(
            '--report', str(target),
            command=analysis.ShowAnalysis).startswith('CAUSE FOUND'))

    def test_no_wait(self) -> None:
        shown = self._run('--issue', 'x', '--no-wait')
        (name,) = self.cloud.rows['analyses']
        self.assertEqual(f'{name}\n', shown)
        self.assertIn(f'openstack rca analysis show {name}',
                      self.stderr.getvalue())
        self.assertEqual([], self.cloud.calls('GET'))

    def test_no_wait_as_json(self) -> None:
        shown = self._run('--issue', 'x', '--no-wait', '-f', 'json')
        (row,) = self.cloud.rows['analyses'].values()
        self.assertEqual(row, json.loads(shown))

    def test_no_wait_keeps_nothing(self) -> None:
        self.assertIn('--output', self._fails(
            '--issue', 'x', '--no-wait', '--output', str(self.tmp / 'x')))
        self.assertEqual([], self.cloud.logins)

    def test_a_question_is_needed(self) -> None:
        self.assertIn('--issue', self._fails())
        self.assertIn('--issue', self._fails('--issue', ''))
        self.assertFalse(self.app.prepare_to_run_command.called)

    def test_options_of_a_folder(self) -> None:
        for arguments in (['--no-cache'], ['--baseline', '/quiet']):
            self.assertIn(f'{arguments[0]}: for a folder of logs only',
                          self._fails('--issue', 'x', *arguments))
        self.assertFalse(self.app.prepare_to_run_command.called)

    def test_times_in_order(self) -> None:
        self.assertIn('is after', self._fails(
            '--since', '2026-11-22', '--until', '2026-11-21'))

    def test_failure(self) -> None:
        self.cloud.failed = {'code': 500, 'title': 'Failed',
                             'message': f'It failed 3 times. {HOSTILE}'}
        message = self._fails('--issue', 'x')
        (name,) = self.cloud.rows['analyses']
        self.assertEqual(f'The analysis {name} failed: It failed 3 times. '
                         f'\\x1b[2Jgone\\u202e', message)

    def test_timeout(self) -> None:
        self.cloud.looks = 10000
        message = self._fails('--issue', 'x', '--wait-timeout', '7')
        (name,) = self.cloud.rows['analyses']
        self.assertIn('still running after 7 seconds', message)
        self.assertIn(f'openstack rca analysis show {name}', message)
        self.assertEqual(1007.0, round(self.now, 6))

    def test_interrupt(self) -> None:
        with mock.patch.object(_proxy.Proxy, 'wait_for_analysis',
                               autospec=True, side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self._run, '--issue', 'x')
        (name,) = self.cloud.rows['analyses']
        self.assertIn('The analysis goes on', self.stderr.getvalue())
        self.assertIn(f'analysis show {name}', self.stderr.getvalue())

    def test_deleted_meanwhile(self) -> None:
        name = fake.identity(1, 8)
        self.cloud.answers[('GET', f'/v1/analyses/{name}')] = [
            fake.failure(404, 'There is no such analysis.')]
        self.assertIn('was deleted', self._fails('--issue', 'x'))

    def test_the_service_goes_away(self) -> None:
        name = fake.identity(1, 8)
        self.cloud.answers[('GET', f'/v1/analyses/{name}')] = [
            fake.failure(503, 'The database does not answer.')] * 100
        message = self._fails('--issue', 'x')
        self.assertIn('The database does not answer. Try again', message)
        self.assertIn(f'The analysis goes on: "openstack rca analysis show '
                      f'{name}"', message)

    def test_too_many(self) -> None:
        self.cloud.answers[('POST', '/v1/analyses')] = [
            fake.failure(429, 'This project has 1000 unfinished analyses.')]
        message = self._fails('--issue', 'x')
        self.assertIn('1000 unfinished', message)
        self.assertIn('rca analysis list --status queued', message)
        self.assertIn('HTTP 429, request req-of-the-service', message)

    def test_progress(self) -> None:
        terminal = _Terminal()
        self.cloud.looks = 3
        with mock.patch('sys.stderr', terminal):
            self._run('--issue', 'x')
        shown = terminal.getvalue()
        self.assertIn('queued for 0 s (3 before it)', shown)
        self.assertIn('running for', shown)
        self.assertTrue(shown.endswith('\r\x1b[K'))


class ListTest(_Case):
    """Lists of analyses, newest first."""

    command = analysis.ListAnalyses

    def test_table(self) -> None:
        for row in self.cloud.summaries(3):
            row['issue'] = f'{HOSTILE} {row["issue"]} ' + 90 * 'x'
        shown = self._run()
        self.assertNotIn('\x1b', shown)
        lines = shown.splitlines()
        self.assertIn('| ID ', lines[1])
        self.assertNotIn('Summary', lines[1])
        self.assertLess(shown.index('issue 3'), shown.index('issue 1'))
        self.assertIn('...', shown)

    def test_all_fields(self) -> None:
        list(self.cloud.summaries(1))
        for arguments in (['--long'], ['-f', 'json']):
            shown = self._run(*arguments)
            for name in ('Rating', 'Incident ID', 'Finished At'):
                self.assertIn(name, shown)
        (row,) = json.loads(self._run('-f', 'json'))
        self.assertEqual('issue 1', row['Issue'])
        self.assertEqual(.8, row['Confidence'])

    def test_chosen_columns(self) -> None:
        list(self.cloud.summaries(2))
        self.assertEqual('high\nhigh\n', self._run('-f', 'value', '-c',
                                                   'Severity'))

    def test_limit_marker_and_filters(self) -> None:
        rows = list(self.cloud.summaries(9))
        self.cloud.page = 2
        shown = self._run('--limit', '3', '--marker', rows[7]['id'],
                          '--status', 'complete', '--verdict',
                          'cause_found', '-f', 'value', '-c', 'ID')
        self.assertEqual([rows[number]['id'] for number in (6, 5, 4)],
                         shown.split())
        self.assertEqual(2, len(self.cloud.calls('GET')))

    def test_more_than_a_page(self) -> None:
        rows = list(self.cloud.summaries(250))
        shown = self._run('--limit', '205', '-f', 'value', '-c', 'ID')
        self.assertEqual([row['id'] for row in reversed(rows)][:205],
                         shown.split())
        self.assertEqual(('/v1/analyses', None), self.cloud.calls('GET')[0])

    def test_unknown_marker(self) -> None:
        self.assertIn('marker: there is no', self._fails(
            '--marker', fake.identity(1)))

    def test_nothing(self) -> None:
        self.assertEqual('[]', self._run('-f', 'json').strip())

    def test_wrong_use(self) -> None:
        for arguments in (['--status', 'open'], ['--verdict', 'x'],
                          ['--limit', '0'], ['--marker', '../x']):
            error = self.assertRaises(SystemExit, self._run, *arguments)
            self.assertEqual(2, error.code)


class ShowTest(_Case):
    """One analysis, however far it is."""

    command = analysis.ShowAnalysis

    def _made(self, **values: Any) -> str:
        self.cloud.looks = 10000
        self._run('--issue', 'why', '--no-wait', command=analyze.Analyze)
        (name,) = self.cloud.rows['analyses']
        self.cloud.rows['analyses'][name].update(values)
        return name

    def test_queued(self) -> None:
        name = self._made()
        shown = self._run(name)
        self.assertTrue(shown.startswith('THE ANALYSIS IS QUEUED'))
        self.assertIn('3 before it', shown)
        self.assertIn(f'Analysis  {name}', shown)

    def test_running(self) -> None:
        name = self._made(status='running', attempts=2, queue_position=None)
        self.cloud.left[name] = 9
        for chosen, mark in (('report', 'THE ANALYSIS IS RUNNING'),
                             ('markdown', '# Root cause analysis: The '
                                          'analysis is running'),
                             ('html', '<!DOCTYPE html>')):
            shown = self._run(name, '-f', chosen)
            self.assertTrue(shown.startswith(mark), shown[:80])
            self.assertIn('This is attempt 2', shown)
            self.assertIn('no answer yet', shown)
        document = json.loads(self._run(name, '-f', 'json'))
        self.assertEqual('running', document['status'])
        self.assertIsNone(document['verdict'])

    def test_failed(self) -> None:
        name = self._made(status='failed', error={
            'code': 500, 'title': 'x', 'message': f'Because. {HOSTILE}'})
        shown = self._run(name)
        self.assertIn('THE ANALYSIS FAILED', shown)
        self.assertIn('Because. \\x1b[2J', shown)

    def test_unknown(self) -> None:
        message = self._fails(fake.identity(3))
        self.assertIn(f'There is no analysis {fake.identity(3)}', message)
        self.assertIn('rca analysis list', message)

    def test_report_needs_no_cloud(self) -> None:
        path = self.tmp / 'report.json'
        path.write_text(output.as_json(sample.report()))
        self.assertEqual(sample.report(), json.loads(self._run(
            '--report', str(path), '-f', 'json')))
        self.assertFalse(self.app.prepare_to_run_command.called)
        self.assertEqual([], self.cloud.asked)

    def test_files_that_are_no_report(self) -> None:
        for number, content in enumerate((
                b'', b'{', b'[]', b'{}', b'7', b'\xff\xfe', b'[' * 100000,
                b'{"verdict": ')):
            path = self.tmp / f'{number}.json'
            path.write_bytes(content)
            self.assertIn('is no report', self._fails('--report', str(path)))
        self.assertIn('not a file', self._fails('--report', str(self.tmp)))
        self.assertIn('No such file', self._fails(
            '--report', str(self.tmp / 'none')))
        self.assertIn('not the name', self._fails('--report', 'a\0b'))
        self.assertIn('not the name', self._fails('--report', ''))

    def test_a_huge_file(self) -> None:
        path = self.tmp / 'huge.json'
        with path.open('wb') as stream:
            stream.truncate(1 << 30)
        with mock.patch.object(pathlib.Path, 'read_bytes',
                               autospec=True) as read:
            self.assertIn('is no report', self._fails('--report', str(path)))
        self.assertFalse(read.called)

    def test_odd_parts(self) -> None:
        path = self.tmp / 'report.json'
        for value in sample.ODD:
            path.write_text(json.dumps(dict.fromkeys(
                [*sample.report(), 'queue_position', 'attempts'], value)))
            self._run('--report', str(path))

    def test_one_of_both(self) -> None:
        self.assertIn('either', self._fails())
        self.assertIn('either', self._fails(fake.identity(1), '--report',
                                            'x'))


class ChangeTest(_Case):
    """What commands change, and say nothing."""

    command = analysis.DeleteAnalysis

    def test_delete(self) -> None:
        one, two, three = self.cloud.summaries(3)
        self.assertEqual('', self._run(one['id'], two['id'], one['id']))
        self.assertEqual([three['id']], list(self.cloud.rows['analyses']))

    def test_delete_what_can_be(self) -> None:
        (one,) = self.cloud.summaries(1)
        message = self._fails(fake.identity(1), one['id'])
        self.assertIn(f'There is no analysis {fake.identity(1)}', message)
        self.assertIn('1 of 2 analyses were not deleted.', message)
        self.assertEqual({}, self.cloud.rows['analyses'])

    def test_rate(self) -> None:
        (one,) = self.cloud.summaries(1)
        for value in ('right', 'partly', 'wrong'):
            self.assertEqual('', self._run(
                one['id'], f'--{value}', command=analysis.RateAnalysis))
        self._run(one['id'], '--wrong', '--component', 'rabbitmq',
                  '--comment', 'x\udcff', command=analysis.RateAnalysis)
        self.assertEqual(
            [{'rating': 'right'}, {'rating': 'partly'}, {'rating': 'wrong'},
             {'rating': 'wrong', 'component': 'rabbitmq',
              'comment': 'x\ufffd'}],
            [body for _, body in self.cloud.calls('PUT')])

    def test_rate_too_early(self) -> None:
        (one,) = self.cloud.summaries(1)
        one['status'] = 'running'
        self.assertIn('not complete', self._fails(
            one['id'], '--right', command=analysis.RateAnalysis))

    def test_rate_needs_a_rating(self) -> None:
        for arguments in ([], ['--right', '--wrong']):
            error = self.assertRaises(
                SystemExit, self._run, fake.identity(1), *arguments,
                command=analysis.RateAnalysis)
            self.assertEqual(2, error.code)


class IncidentTest(_Case):
    """Troubles."""

    command = incident.ListIncidents

    def test_list(self) -> None:
        one, two = self.cloud.incidents(2)
        two.update(status='acknowledged', title=HOSTILE)
        shown = self._run()
        self.assertNotIn('\x1b', shown)
        self.assertLess(shown.index(two['id']), shown.index(one['id']))
        for name in ('Symptoms', 'Last Seen'):
            self.assertIn(name, shown)
        for name in ('Resolution', 'Origin', 'First Seen', 'Reopened',
                     'Suppressed Until', 'Suppressed By', 'Merged Into'):
            self.assertNotIn(name, shown)
            self.assertIn(name, self._run('--long'))
        self.assertEqual(f'{one["id"]}\n', self._run(
            '--status', 'open', '--limit', '1', '-f', 'value', '-c', 'ID'))

    def test_show(self) -> None:
        (one,) = self.cloud.incidents(1)
        one['summary'] = HOSTILE
        shown = self._run(one['id'], command=incident.ShowIncident)
        self.assertNotIn('\x1b', shown)
        self.assertIn('\\x1b[2Jgone', shown)
        self.assertEqual(one, json.loads(self._run(
            one['id'], '-f', 'json', command=incident.ShowIncident)))

    def test_show_unknown(self) -> None:
        message = self._fails(fake.identity(1),
                              command=incident.ShowIncident)
        self.assertIn('There is no incident', message)
        self.assertIn('rca incident list', message)

    def test_life(self) -> None:
        one, two = self.cloud.incidents(2)
        self._run(one['id'], two['id'],
                  command=incident.AcknowledgeIncident)
        self.assertEqual('acknowledged', two['status'])
        self._run(one['id'], '--resolution', 'restarted it',
                  command=incident.ResolveIncident)
        self._run(two['id'], command=incident.ResolveIncident)
        self.assertEqual([
            {'status': 'acknowledged'}, {'status': 'acknowledged'},
            {'status': 'resolved', 'resolution': 'restarted it'},
            {'status': 'resolved'}],
            [body for _, body in self.cloud.calls('PATCH')])
        self.assertIn('opened again', self._fails(
            one['id'], command=incident.AcknowledgeIncident))


class SuppressTest(_Case):
    """Known noise."""

    command = incident.SuppressIncident

    def _sent(self, *arguments: str) -> dict[str, Any]:
        (one,) = self.cloud.incidents(1)
        self._run(one['id'], *arguments)
        body: dict[str, Any] = self.cloud.calls('PATCH')[-1][1]
        return body

    def test_for_good(self) -> None:
        self.assertEqual({'status': 'suppressed', 'suppressed_until': None},
                         self._sent())
        shown = self._run('--status', 'suppressed', '-f', 'value', '-c',
                          'Status', command=incident.ListIncidents)
        self.assertEqual('suppressed\n', shown)

    def test_until(self) -> None:
        self.assertEqual({
            'status': 'suppressed', 'resolution': 'they \ufffd know',
            'suppressed_until': '2998-11-20T23:00:00+00:00'}, self._sent(
                '--until', '2998-11-21', '--timezone', 'Europe/Paris',
                '--reason', 'they \udcff know'))

    def test_for_some_time(self) -> None:
        for text, span in (('90m', {'minutes': 90}), ('7d', {'days': 7}),
                           ('1.5 hours', {'hours': 1.5})):
            before = datetime.datetime.now(datetime.UTC)
            until = datetime.datetime.fromisoformat(
                self._sent('--for', text)['suppressed_until'])
            after = datetime.datetime.now(datetime.UTC)
            self.assertTrue(
                before <= until - datetime.timedelta(**span) <= after, text)

    def test_bad_times(self) -> None:
        (one,) = self.cloud.incidents(1)
        for option, text, said in (
                ('--for', 'long', 'is no length of time'),
                ('--for', '7d ago', 'is no length of time'),
                ('--for', '0s', 'is no length of time'),
                ('--for', '9' * 400 + 'd', 'is no length of time'),
                ('--until', 'soon', 'is no time'),
                ('--until', '1h ago', 'is over already'),
                ('--until', '2001-01-01', 'is over already')):
            self.assertIn(said, self._fails(one['id'], option, text))
        self.assertEqual([], self.cloud.calls('PATCH'))


class EventTest(_Case):
    """Events by way of a query."""

    command = event.ListEvents

    def test_filters(self) -> None:
        self._run('--since', '2026-11-21', '--until', '2026-11-22',
                  '--request-id', 'req-1', '--server', 'web', '--service',
                  'nova', '--level', 'error', '--template', 'a' * 16,
                  '--words', 'no host', '--limit', '5', '--timezone',
                  'Europe/Paris')
        self.assertEqual([('/v1/queries', {
            'kind': 'events', 'since': '2026-11-20T23:00:00+00:00',
            'until': '2026-11-21T23:00:00+00:00', 'request_id': 'req-1',
            'server': 'web', 'service': 'nova', 'level': 'ERROR',
            'template': 'a' * 16, 'words': ['no host'], 'limit': 5})],
            self.cloud.calls('POST'))

    def test_rows(self) -> None:
        self.cloud.results['events']['events'][0]['text'] = HOSTILE
        shown = self._run('--long')
        self.assertNotIn('\x1b', shown)
        self.assertIn('\\x1b[2Jgone', shown)
        rows = json.loads(self._run('-f', 'json'))
        self.assertEqual(HOSTILE, rows[0]['Text'])

    def test_more(self) -> None:
        self.cloud.results['events']['more'] = True
        _, warnings = self._warned('--limit', '2')
        self.assertEqual(['There are more than 2 events: narrow the time or '
                          'the words, or raise --limit.'], warnings)
        _, warnings = self._warned()
        self.assertNotIn('--limit', warnings[0])

    def test_limit(self) -> None:
        self.assertIn('1000 events at most', self._fails('--limit', '1001'))
        self.assertEqual([], self.cloud.logins)

    def test_failure(self) -> None:
        self.cloud.failed = {'code': 400, 'title': 'x',
                             'message': f'No such server. {HOSTILE}'}
        self.assertEqual('No such server. \\x1b[2Jgone\\u202e',
                         self._fails('--server', 'x'))

    def test_timeout(self) -> None:
        self.cloud.looks = 10000
        message = self._fails('--wait-timeout', '3')
        self.assertIn('still running after 3 seconds', message)
        self.assertIn('openstack-rca-engine', message)

    def test_options_of_a_folder(self) -> None:
        self.assertIn('--no-cache', self._fails('--no-cache'))


class TraceTest(_Case):
    """The way of a request by way of a query."""

    command = trace.Trace

    def test_document(self) -> None:
        self.assertEqual(sample.trace(), json.loads(self._run(
            sample.REQUEST, '-f', 'json')))
        self.assertEqual(
            [('/v1/queries', {'kind': 'trace',
                              'request_id': sample.REQUEST})],
            self.cloud.calls('POST'))
        self.assertTrue(self._run(sample.REQUEST).startswith('TRACE'))

    def test_story(self) -> None:
        self.cloud.results['trace'] = {**sample.story(), 'more': False}
        self.assertEqual(sample.story(), json.loads(self._run(
            '--server', 'web-3', '-f', 'json')))
        self.assertEqual(
            [('/v1/queries', {'kind': 'trace', 'server': 'web-3'})],
            self.cloud.calls('POST'))

    def test_more(self) -> None:
        self.cloud.results['trace']['more'] = True
        shown, warnings = self._warned(sample.REQUEST, '-f', 'json')
        self.assertIs(True, json.loads(shown)['more'])
        self.assertIn('more events', warnings[0])

    def test_unknown_request(self) -> None:
        self.cloud.failed = {'code': 404, 'title': 'x', 'message':
                             'No event carries the request id req-2.'}
        self.assertEqual('No event carries the request id req-2.',
                         self._fails('req-2'))

    def test_options_of_a_folder(self) -> None:
        self.assertIn('--timezone: for a folder', self._fails(
            'req-1', '--timezone', 'Europe/Paris'))


class SourceTest(_Case):
    """What the engines read."""

    command = source.ListSources

    def setUp(self) -> None:
        super().setUp()
        self.cloud.sources = [
            {'id': 'controller', 'host': 'ctl1', 'status': 'ready',
             'error': None, 'updated_at': fake.TIME, 'events': 5,
             'bytes': 10, 'skipped': [{'source': 'core\x1b[2J',
                                       'reason': 'binary', 'bytes': 3}],
             'files': [{'source': name, 'kind': 'log', 'format': 'oslo',
                        'service': 'nova', 'binary': 'nova-api',
                        'host': 'api1', 'events': 5, 'lines': 6,
                        'unparsed': 1, 'from': fake.TIME, 'to': fake.TIME,
                        'bytes': 10} for name in ('a.log', 'b\x1b[2J.log')]},
            {'id': 'old', 'host': 'ctl2', 'status': 'failed',
             'error': f'No folder. {HOSTILE}', 'updated_at': fake.TIME,
             'events': 0, 'bytes': 0, 'files': [], 'skipped': []},
            {'id': 'new', 'host': 'ctl3', 'status': 'reading',
             'error': None, 'updated_at': fake.TIME, 'events': 0,
             'bytes': 0, 'files': [], 'skipped': []}]

    def test_rows_and_warnings(self) -> None:
        shown, warnings = self._warned('-f', 'value', '-c', 'Name', '-c',
                                       'Engine Host', '-c', 'Status', '-c',
                                       'Source', '-c', 'Lines')
        self.assertEqual(['controller ctl1 ready a.log 6',
                          'controller ctl1 ready b\\x1b[2J.log 6',
                          'old ctl2 failed', 'new ctl3 reading'],
                         [line.strip() for line in shown.splitlines()])
        self.assertEqual([
            'Source old on ctl2 failed: No folder. \\x1b[2Jgone\\u202e',
            'Source new on ctl3 is being read: more events will come.',
            'Not read: core\\x1b[2J: binary'], warnings)

    def test_long(self) -> None:
        shown, _ = self._warned()
        self.assertNotIn('Unparsed', shown)
        self.assertNotIn('None', shown)
        shown, _ = self._warned('--long')
        for name in ('Unparsed', 'Format', 'Updated At'):
            self.assertIn(name, shown)

    def test_much_was_skipped(self) -> None:
        self.cloud.sources[0]['skipped'] *= 30
        _, warnings = self._warned()
        self.assertEqual('Not read: 10 more', warnings[-1])

    def test_no_engine(self) -> None:
        self.cloud.sources = []
        _, (warning,) = self._warned()
        self.assertIn('openstack-rca-engine', warning)


class ErrorTest(_Case):
    """Whatever the cloud answers, an operator reads what to do."""

    command = analysis.ListAnalyses

    def test_statuses(self) -> None:
        for code, hint in ((400, ''), (401, 'log in again'), (403, 'admin'),
                           (413, ''), (415, 'release'), (500, 'The log'),
                           (502, 'openstack-rca-api'),
                           (503, 'Try again'), (504, 'Try again')):
            self.cloud.answers[('GET', '/v1/analyses')] = [
                fake.failure(code, f'What is wrong {HOSTILE}')] * 2
            message = self._fails()
            self.assertIn('What is wrong \\x1b[2Jgone\\u202e.', message)
            self.assertIn(hint, message)
            self.assertIn(f'(HTTP {code}, request req-of-the-service)',
                          message)

    def test_pages_of_a_proxy(self) -> None:
        self.cloud.answers[('GET', '/v1/analyses')] = [
            (502, b'<html><h1>Bad Gateway</h1></html>', {})]
        self.assertIn('Bad Gateway. ', self._fails())

    def test_something_else(self) -> None:
        answers: list[Any] = [b'<html>hello', {'servers': []}]
        for content in answers:
            self.cloud.answers[('GET', '/v1/analyses')] = [
                (200, content, {})]
            self.assertIn('is not this service', self._fails())

    def test_no_service_in_the_catalog(self) -> None:
        self.cloud.catalogued = False
        message = self._fails()
        self.assertIn('openstack endpoint create', message)
        self.assertIn('--log-dir', message)

    def test_keystone_is_down(self) -> None:
        self.cloud.answers[('POST', '/identity/v3/auth/tokens')] = [
            fake.failure(503, 'Later.')] * 3
        self.assertIn('Later. Try again', self._fails())

    def test_no_credentials(self) -> None:
        self.app.prepare_to_run_command.side_effect = (
            exceptions.CommandError('Missing value auth-url required.'))
        message = self._fails()
        self.assertIn('Missing value auth-url required.', message)
        self.assertIn('clouds.yaml', message)
