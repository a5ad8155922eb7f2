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
"""Tests of openstack-rca-manage."""

import contextlib
import io
import json
import pathlib
import stat
import subprocess
import sys
from unittest import mock

from openstack_rca.cmd import manage
from openstack_rca.evaluation import dataset
from openstack_rca.evaluation import runner
from openstack_rca.models import filesystem
from openstack_rca.tests import base


def _predict(task: str, case: dataset.Case,
             codemaps: str | None = None) -> tuple[dict[str, str], None]:
    row = {'case_id': case.case_id, **(
        {'codemaps': codemaps} if codemaps else {})}
    return row, None


class ManageTest(base.TestCase):
    """Predictions in a file, and messages for the operator."""

    def setUp(self) -> None:
        super().setUp()
        self.data = self.tmp / 'data'
        self.data.mkdir()
        self.target = self.tmp / 'out.jsonl'
        (self.data / 'cases.jsonl').write_text(''.join(
            json.dumps({'case_id': f'c{number}', 'issue': 'broken'}) + '\n'
            for number in range(3)))

    def _run(self, *arguments: str) -> tuple[int, str]:
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            status = manage.run([
                'evaluate', 'incidents', str(self.data), '--output',
                str(self.target), '--jobs', '1', *arguments])
        self.assertNotIn('Traceback', stderr.getvalue())
        return status, stderr.getvalue()

    def _written(self) -> list[str]:
        return [json.loads(line)['case_id']
                for line in self.target.read_text().splitlines()]

    def test_predictions(self) -> None:
        with mock.patch.object(runner, 'predict', _predict):
            self.assertEqual((0, ''), self._run())
        self.assertEqual(['c0', 'c1', 'c2'], self._written())
        self.assertEqual(0o600, stat.S_IMODE(self.target.stat().st_mode))

    def test_some_cases(self) -> None:
        with mock.patch.object(runner, 'predict', _predict):
            self._run('--limit', '2')
            self.assertEqual(['c0', 'c1'], self._written())
            self._run('--case', 'c2', '--case', 'c1', '--case', 'c2')
            self.assertEqual(['c2', 'c1'], self._written())

    def test_code_maps(self) -> None:
        with mock.patch.object(runner, 'predict', _predict):
            self._run('--codemap', str(self.tmp))
        self.assertEqual([str(self.tmp)] * 3, [
            json.loads(line)['codemaps']
            for line in self.target.read_text().splitlines()])
        status, told = self._run('--codemap', 'nowhere')
        self.assertEqual(1, status)
        self.assertIn('nowhere is not a folder', told)

    def test_unknown_case(self) -> None:
        status, told = self._run('--case', 'c9')
        self.assertEqual(1, status)
        self.assertIn('c9', told)

    def test_failed_cases_are_told(self) -> None:
        # There is no archive of any case.
        status, told = self._run()
        self.assertEqual(1, status)
        self.assertIn('c1.tar.xz', told)
        self.assertIn('3 of 3 cases failed', told)
        self.assertEqual(['c0', 'c1', 'c2'], self._written())

    def test_no_dataset(self) -> None:
        (self.data / 'cases.jsonl').unlink()
        status, told = self._run()
        self.assertEqual(1, status)
        self.assertIn('cases.jsonl', told)
        self.assertFalse(self.target.exists())

    def test_output_is_checked_first(self) -> None:
        self.target.mkdir()
        status, told = self._run()
        self.assertEqual(1, status)
        self.assertIn('not a file', told)

    def test_interrupt(self) -> None:
        with mock.patch.object(runner, 'run', autospec=True,
                               side_effect=KeyboardInterrupt):
            self.assertEqual((130, ''), self._run())

    def test_bug(self) -> None:
        with mock.patch.object(runner, 'run', autospec=True,
                               side_effect=KeyError('x')):
            status, told = self._run()
        self.assertEqual(1, status)
        self.assertIn('This is a bug in openstack_rca: KeyError', told)

    def test_without_the_libraries_of_the_service(self) -> None:
        (self.data / 'cases.jsonl').write_text(json.dumps(
            {'case_id': 'c0', 'issue': None,
             'window': ['2026-11-21T03:00Z', '2026-11-21T03:05Z']}))
        (self.data / 'truth.jsonl').write_text(
            '{"case_id": "c0", "failure": false}')
        model, = pathlib.Path(filesystem.__file__).parent.glob(
            'data/lstm/*')
        for library, arguments in (
                ('numpy', ['train', '--detector', 'lstm', '--from',
                           str(self.data)]),
                ('numpy', ['evaluate', 'detection', str(self.data),
                           '--output', str(self.target)]),
                ('safetensors', ['model', 'import', str(model)]),
                ('alembic', ['db', 'version'])):
            done = subprocess.run(
                [sys.executable, '-c',
                 f'import sys; sys.modules[{library!r}] = None\n'
                 'from openstack_rca.cmd import manage\n'
                 'sys.exit(manage.run(sys.argv[1:]))', *arguments],
                stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual((1, f'{library} is not installed. Install '
                              'openstack_rca[engine].\n'),
                             (done.returncode, done.stderr))

    def test_wrong_use(self) -> None:
        for arguments in ([], ['evaluate'], ['evaluate', 'x', 'y'],
                          ['nope']):
            with contextlib.redirect_stderr(io.StringIO()):
                error = self.assertRaises(SystemExit, manage.run, arguments)
            self.assertEqual(2, error.code)
        for limit in ('0', 'x'):
            error = self.assertRaises(SystemExit, self._run, '--limit',
                                      limit)
            self.assertEqual(2, error.code)
