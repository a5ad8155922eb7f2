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
"""The real ``openstack`` command over real folders, good and bad."""

import gzip
import io
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import time

import yaml

import openstack_rca
from openstack_rca.tests import base

ROOT = pathlib.Path(openstack_rca.__path__[0])
FIXTURES = ROOT / 'tests' / 'fixtures' / 'logs'
EXAMPLE = ROOT.parent / 'examples' / 'no-valid-host'

REQUEST = 'req-0b1f5a4e-7f3d-4f2b-9f0e-1d2c3b4a5968'

LINE = ('2026-11-21 03:00:{second:02d}.250 2211 {level} nova.scheduler.'
        f'manager [None {REQUEST} demo demo - - default default] '
        '{text}\n')


def lines(text: str = 'No valid host was found. ', level: str = 'ERROR',
          count: int = 5) -> str:
    """Lines of a log."""
    return ''.join(LINE.format(second=second, level=level, text=text)
                   for second in range(count))


class _Case(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()

    def _run(self, *words: str, status: int | None = 0,
             **environment: str) -> subprocess.CompletedProcess[str]:
        program = pathlib.Path(sys.executable).parent / 'openstack'
        done = subprocess.run(
            [str(program), 'rca', *words], capture_output=True, check=False,
            encoding='utf-8', errors='surrogateescape', cwd=self.tmp,
            timeout=280, env={**os.environ, **environment})
        if status is not None:
            self.assertEqual(status, done.returncode,
                             done.stdout[-2000:] + done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        self.assertNotIn('This is a bug', done.stderr)
        # Whatever is in the logs, no terminal is told anything.
        for text in (done.stdout, done.stderr):
            for line in text.splitlines():
                self.assertTrue(line.isprintable(), repr(line[:300]))
        return done

    def _report(self, *words: str) -> dict[str, object]:
        document: dict[str, object] = json.loads(self._run(
            'analyze', '--log-dir', str(self.logs), '-f', 'json',
            *words).stdout)
        return document

    def _refused(self, *words: str) -> str:
        done = self._run('analyze', '--log-dir', str(self.logs), *words,
                         status=1)
        self.assertEqual('', done.stdout)
        self.assertTrue(done.stderr.strip())
        return done.stderr

    def _skipped(self, document: dict[str, object]) -> dict[str, str]:
        skipped = document['skipped']
        assert isinstance(skipped, list)
        return {item['source']: item['reason'] for item in skipped}


class ExampleTest(_Case):
    """The recorded incident of the repository."""

    def setUp(self) -> None:
        super().setUp()
        self.logs = EXAMPLE / 'logs'
        self.issue = (EXAMPLE / 'ISSUE').read_text().strip()

    def _analyze(self, *words: str) -> str:
        return self._run('analyze', '--issue', self.issue, '--log-dir',
                         str(self.logs), *words).stdout

    def test_report(self) -> None:
        page = self._analyze()
        self.assertTrue(page.startswith('CAUSE FOUND'), page)
        cited = re.findall(r'^ +E\d+ ([\w./-]+):(\d+) ', page, re.MULTILINE)
        self.assertTrue(cited)
        for name, line in cited:
            path = self.logs / name
            opened = gzip.open(path, 'rt') if path.suffix == '.gz' else (
                path.open())
            with opened as stream:
                self.assertLessEqual(int(line), len(list(stream)))

    def test_every_format_tells_the_same(self) -> None:
        kept = self.tmp / 'report.json'
        same = self._analyze('-f', 'yaml', '--output', str(kept))
        self.assertEqual(0o600, stat.S_IMODE(kept.stat().st_mode))
        document = json.loads(kept.read_text())
        self.assertEqual(document, yaml.safe_load(same))
        cause = document['hypotheses'][0]['cause']
        page = self._analyze('-f', 'html')
        self.assertIn(cause, page)
        self.assertIn("default-src 'none'", page.replace('&#x27;', "'"))
        self.assertIn('<svg', page)
        # An underscore would make what follows it italic.
        self.assertIn(cause.replace('_', r'\_'),
                      self._analyze('-f', 'markdown'))
        self.assertIn(cause, ' '.join(
            self._analyze('-f', 'report').split()))

    def test_first_and_second_question(self) -> None:
        cold = json.loads(self._analyze('-f', 'json'))
        cached = json.loads(self._analyze('-f', 'json'))
        apart = json.loads(self._analyze('-f', 'json', '--no-cache'))
        for name in ('hypotheses', 'evidence', 'timeline', 'coverage'):
            self.assertEqual(cold[name], cached[name])
            self.assertEqual(cold[name], apart[name])

    def test_one_request_through_the_services(self) -> None:
        truth = json.loads((EXAMPLE / 'truth.json').read_text())
        rows = json.loads(self._run(
            'event', 'list', '--log-dir', str(self.logs), '--level',
            'error', '-f', 'json').stdout)
        failed = [row['Request ID'] for row in rows if row['Request ID']]
        self.assertIn(failed[0], json.dumps(truth))
        way = json.loads(self._run(
            'trace', failed[0], '--log-dir', str(self.logs), '-f',
            'json').stdout)
        passed = {service['binary'] for service in way['services']}
        self.assertLessEqual({'nova-api', 'nova-scheduler',
                              'nova-conductor'}, passed)
        page = self._run('trace', failed[0], '--log-dir',
                         str(self.logs)).stdout
        self.assertIn('nova-scheduler', page)

    def test_story_of_a_server(self) -> None:
        truth = json.loads((EXAMPLE / 'truth.json').read_text())
        wanted = {server['name']: server for server in truth['servers']}
        for name, state in (('web-4', 'failed'), ('web-2', 'finished')):
            for server in (name, wanted[name]['id']):
                told = json.loads(self._run(
                    'trace', '--server', server, '--log-dir',
                    str(self.logs), '-f', 'json').stdout)
                self.assertEqual(wanted[name]['id'], told['server']['id'])
                create = told['operations'][0]
                self.assertEqual(('create', state),
                                 (create['operation'], create['outcome']))
                self.assertEqual([wanted[name]['request_id']],
                                 create['request_ids'])
        page = self._run('trace', '--server', 'web-4', '--log-dir',
                         str(self.logs)).stdout
        self.assertTrue(page.startswith('SERVER web-4'))
        self.assertIn('No valid host', page)
        for words in (('--server', 'nobody'), (),
                      ('req-1', '--server', 'web-4')):
            done = self._run('trace', *words, '--log-dir', str(self.logs),
                             status=1)
            self.assertNotIn('Traceback', done.stderr)

    def test_sources(self) -> None:
        rows = json.loads(self._run('source', 'list', '--log-dir',
                                    str(self.logs), '-f', 'json').stdout)
        self.assertEqual(
            sorted(path.name for path in self.logs.iterdir()),
            sorted(row['Source'] for row in rows))

    def test_poor_terminals(self) -> None:
        page = self._run('analyze', '--log-dir', str(self.logs), LC_ALL='C',
                         PYTHONIOENCODING='',
                         PYTHONUTF8='0', PYTHONCOERCECLOCALE='0').stdout
        self.assertTrue(page.isascii())
        self.assertTrue(page.startswith('CAUSE FOUND'))

    def test_reader_that_goes_away(self) -> None:
        program = pathlib.Path(sys.executable).parent / 'openstack'
        for words in (('analyze',), ('event', 'list')):
            with subprocess.Popen(
                    [str(program), 'rca', *words, '--log-dir',
                     str(self.logs)], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True) as process:
                assert process.stdout and process.stderr
                process.stdout.close()
                told = process.stderr.read()
            self.assertNotIn('Traceback', told)
            self.assertNotIn('BrokenPipe', told)


class FixturesTest(_Case):
    """Logs of every program that is known."""

    def setUp(self) -> None:
        super().setUp()
        for path in FIXTURES.iterdir():
            if path.suffix in ('.log', '.jsonl'):
                shutil.copy(path, self.logs)

    def test_all_are_read(self) -> None:
        rows = json.loads(self._run('source', 'list', '--log-dir',
                                    str(self.logs), '-f', 'json').stdout)
        self.assertEqual({path.name for path in self.logs.iterdir()},
                         {row['Source'] for row in rows})
        for row in rows:
            self.assertGreater(row['Events'], 0, row['Source'])

    def test_formats_and_filters(self) -> None:
        for chosen in ('table', 'csv', 'json'):
            done = self._run('event', 'list', '--log-dir', str(self.logs),
                             '--limit', '20', '--long', '-f', chosen)
            self.assertTrue(done.stdout.strip())
        done = self._run('event', 'list', '--log-dir', str(self.logs),
                         '--words', 'nowhere to be found', '-f', 'json')
        self.assertEqual([], json.loads(done.stdout))

    def test_analyze(self) -> None:
        for chosen in ('report', 'html'):
            self.assertTrue(self._run('analyze', '--log-dir',
                                      str(self.logs), '-f', chosen).stdout)


class BadInputTest(_Case):
    """A clear message and an exit status; what can be read is read."""

    def test_no_folder_named(self) -> None:
        done = self._run('analyze', '--issue', 'x', status=1)
        self.assertIn('--log-dir', done.stderr)

    def test_missing_folder(self) -> None:
        self.logs = self.tmp / 'no'
        self.assertIn('does not exist', self._refused())
        for words in (('event', 'list'), ('trace', REQUEST),
                      ('source', 'list')):
            done = self._run(*words, '--log-dir', str(self.logs), status=1)
            self.assertIn('does not exist', done.stderr)

    def test_names_that_are_no_text(self) -> None:
        self.logs = self.tmp / 'no\udcff\x1b[2J'
        self.assertIn('does not exist', self._refused())

    def test_empty_folder(self) -> None:
        self.assertIn('no log file', self._refused())

    def test_unreadable_folder(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        self.logs.chmod(0)
        self.addCleanup(self.logs.chmod, 0o700)
        if os.access(self.logs, os.R_OK):
            # Nothing is unreadable to root: a socket is, to anybody.
            self.logs.chmod(0o700)
            self.logs = pathlib.Path('/proc/self/mem')
        self.assertTrue(self._refused())

    def test_no_openstack_line(self) -> None:
        (self.logs / 'story.log').write_text('Once upon a time\n' * 50)
        self.assertIn('log record', self._refused())

    def test_binary_files(self) -> None:
        (self.logs / 'core.log').write_bytes(bytes(range(256)) * 400)
        self._refused()
        (self.logs / 'nova-api.log').write_text(lines())
        document = self._report()
        self.assertEqual(['nova-api.log'], [
            item['source'] for item in
            document['coverage']])  # type: ignore[attr-defined]
        self.assertIn('core.log', self._skipped(document))

    def test_hostile_lines(self) -> None:
        (self.logs / 'nova-scheduler.log').write_bytes(
            lines().encode() + lines('\x1b[2J\x1b]0;owned\x07 red').encode()
            + lines('bad').encode().replace(b'bad', b'bad \xff\xfe utf')
            + lines('nul').encode().replace(b'nul', b'nul \x00\x00 byte')
            + lines('\u202egnp.exe').encode()
            + lines('<script>alert(1)</script>').encode())
        document = self._report()
        self.assertTrue(document['hypotheses'] or document['evidence'])
        for chosen in ('report', 'yaml', 'html', 'markdown'):
            shown = self._run('analyze', '--log-dir', str(self.logs), '-f',
                              chosen).stdout
            if chosen == 'html':
                self.assertNotIn('<script', shown)
        for chosen in ('table', 'value', 'json'):
            self._run('event', 'list', '--log-dir', str(self.logs), '-f',
                      chosen)
        self._run('trace', REQUEST, '--log-dir', str(self.logs))

    def test_enormous_line(self) -> None:
        with (self.logs / 'nova-scheduler.log').open('w') as stream:
            stream.write(lines())
            stream.write(lines('x' * 100_000_000, count=1))
            stream.write(lines())
        document = self._report('--no-cache')
        self.assertTrue(document['coverage'])

    def test_truncated_gzip(self) -> None:
        whole = gzip.compress(''.join(
            lines(f'No valid host {os.urandom(20).hex()}')
            for _ in range(400)).encode())
        (self.logs / 'nova-scheduler.log.1.gz').write_bytes(
            whole[:len(whole) // 2])
        document = self._report()
        self.assertIn('nova-scheduler.log.1.gz', self._skipped(document))
        self.assertTrue(document['coverage'])

    def test_archive_with_evil_members(self) -> None:
        archive = self.tmp / 'logs.tar.gz'
        with tarfile.open(archive, 'w:gz') as tar:
            for name, kind in (('../evil.log', tarfile.REGTYPE),
                               ('/abs.log', tarfile.REGTYPE),
                               ('link.log', tarfile.SYMTYPE),
                               ('hard.log', tarfile.LNKTYPE),
                               ('nova/nova-scheduler.log', tarfile.REGTYPE)):
                member = tarfile.TarInfo(name)
                member.type = kind
                member.linkname = '/etc/passwd'
                data = lines().encode() if kind == tarfile.REGTYPE else b''
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        self.logs = archive
        document = self._report()
        self.assertEqual(['nova/nova-scheduler.log'], [
            item['source'].rpartition('!')[2] for item in
            document['coverage']])  # type: ignore[attr-defined]
        self.assertEqual(4, len(self._skipped(document)))
        self.assertEqual(['logs.tar.gz'], sorted(
            path.name for path in self.tmp.iterdir() if path.is_file()))

    def test_decompression_bomb(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        with gzip.open(self.logs / 'bomb.log.gz', 'wb') as stream:
            for _ in range(3000):
                stream.write(bytes(1 << 20))
        document = self._report()
        self.assertIn('bomb.log.gz', self._skipped(document))
        self.assertTrue(document['coverage'])

    def test_symlink_loop(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        (self.logs / 'loop').symlink_to(self.logs)
        (self.logs / 'self.log').symlink_to('self.log')
        document = self._report()
        self.assertEqual(1, len(
            document['coverage']))  # type: ignore[arg-type]

    def test_times_that_go_backwards(self) -> None:
        rows = lines(count=30).splitlines(keepends=True)
        (self.logs / 'nova-api.log').write_text(''.join(reversed(rows)))
        shown = json.loads(self._run(
            'event', 'list', '--log-dir', str(self.logs), '-f',
            'json').stdout)
        times = [row['Timestamp'] for row in shown]
        self.assertEqual(30, len(times))
        self.assertEqual(sorted(times), times)
        self._report()

    def test_unknown_request(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        unknown = REQUEST.replace('0b1f', '0000')
        done = self._run('trace', unknown, '--log-dir', str(self.logs),
                         status=1)
        self.assertIn(unknown, done.stderr)
        self.assertIn(unknown, self._refused('--request-id', unknown))

    def test_times_in_the_wrong_order(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        for words in (('analyze',), ('event', 'list')):
            done = self._run(*words, '--log-dir', str(self.logs), '--since',
                             '2026-11-22', '--until', '2026-11-21', status=1)
            self.assertIn('is after', done.stderr)

    def test_values_that_are_none(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        for words, told in ((('--since', 'soon'), 'soon'),
                            (('--timezone', 'Mars/Base'), 'Mars/Base'),
                            (('--timezone', '../../etc/passwd'), 'passwd'),
                            (('--since', '9' * 400 + 'h'), '999'),
                            (('--output', str(self.logs)), 'not a file'),
                            (('--output', '/no/such/x'), 'does not exist'),
                            (('--baseline', '/no/such'), 'does not exist')):
            self.assertIn(told, self._refused(*words))
        for words in (('--level', 'loud'), ('--limit', '0'), ('-f', 'pdf')):
            self._run('event', 'list', '--log-dir', str(self.logs), *words,
                      status=2)
        done = self._run('event', 'list', '--log-dir', str(self.logs),
                         '--template', 'zz', status=1)
        self.assertIn('template', done.stderr)

    def test_nothing_in_the_time_asked_for(self) -> None:
        (self.logs / 'nova-api.log').write_text(lines())
        document = self._report('--since', '2030-01-01')
        self.assertNotEqual('cause_found', document['verdict'])

    def test_interrupt_is_quiet(self) -> None:
        with (self.logs / 'nova-api.log').open('w') as stream:
            for _ in range(60):
                stream.write(lines(count=60) * 300)
        program = pathlib.Path(sys.executable).parent / 'openstack'
        with subprocess.Popen(
                [str(program), 'rca', 'analyze', '--log-dir',
                 str(self.logs), '--no-cache'], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True) as process:
            # Interrupts before Python is up end it in its own way.
            deadline = time.monotonic() + 60
            while (time.monotonic() < deadline
                   and 'polars' not in _mapped(process.pid)
                   and process.poll() is None):
                time.sleep(.02)
            process.send_signal(2)
            _, told = process.communicate(timeout=120)
        self.assertIn(process.returncode, (0, 130), told)
        self.assertNotIn('Traceback', told)


def _mapped(pid: int) -> str:
    """The libraries that a process has loaded."""
    try:
        return pathlib.Path(f'/proc/{pid}/maps').read_text()
    except OSError:
        return ''
