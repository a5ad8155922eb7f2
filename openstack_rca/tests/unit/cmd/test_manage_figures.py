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
"""The commands that tell what operators said."""

import contextlib
import io
import json
import stat

from openstack_rca import conf
from openstack_rca.cmd import manage
from openstack_rca.db import api
from openstack_rca.db import models
from openstack_rca.db import rows
from openstack_rca.db import session
from openstack_rca.tests.unit.db import suite


class TestFigures(suite.DatabaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.tmp / 'rca.conf'
        self.path.write_text(f'[database]\nconnection = {self.url()}\n')
        self.file = self.tmp / 'labels.jsonl'

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        session.dispose()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            status = manage.run(['--config-file', str(self.path),
                                 *arguments])
        self.assertNotIn('bug in openstack_rca', stderr.getvalue())
        return status, stdout.getvalue(), stderr.getvalue()

    def _fill(self) -> str:
        conf.load(files=[str(self.path)])
        resolved = self.incident()
        found = self.solved(issue=suite.ODD)
        api.rating_set(suite.MINE, suite.ME, found, 'wrong', cause='a disk')
        found = self.solved(suite.THEIRS)
        api.rating_set(suite.THEIRS, suite.ME, found, 'right')
        now = rows.utcnow().replace(microsecond=0)
        self.change(models.INCIDENTS, resolved, created_at=now,
                    resolved_at=now.replace(year=now.year + 1))
        return resolved

    def test_nothing(self) -> None:
        status, told, error = self._run('figures')
        self.assertEqual((0, ''), (status, error))
        self.assertEqual('''\
                                count
rated analyses                      0
  right                             0               -
  partly                            0               -
  wrong                             0               -
incidents                           0          median
  first symptom to incident         0               -
  incident to analysis              0               -
  incident to resolution            0               -
''', told)

    def test_figures(self) -> None:
        self._fill()
        status, told, error = self._run('figures', '--days', '1')
        self.assertEqual((0, ''), (status, error))
        self.assertRegex(told, r'(?m)^rated analyses +2$')
        self.assertRegex(told, r'(?m)^  right +1 +50 %$')
        self.assertRegex(told, r'(?m)^  first symptom to incident +0 +-$')
        self.assertRegex(told, r'(?m)^  incident to resolution +1 '
                         r'+31,[56]\d\d,\d00 s$')
        told = self._run('figures', '--project', suite.MINE)[1]
        self.assertRegex(told, r'(?m)^  wrong +1 +100 %$')

    def test_json(self) -> None:
        self._fill()
        status, told, error = self._run('figures', '--json', '--days', '2',
                                        '--project', suite.MINE)
        self.assertEqual((0, ''), (status, error))
        found = json.loads(told)
        self.assertEqual((2, suite.MINE, 1, 0.0, 1), tuple(
            found[name] for name in ('days', 'project_id', 'rated',
                                     'helpful', 'incidents')))
        self.assertEqual({'count': 0, 'median': None},
                         found['symptom_to_incident'])

    def test_labels(self) -> None:
        self._fill()
        status, told, error = self._run('labels', '--output',
                                        str(self.file))
        self.assertEqual((0, ''), (status, error))
        self.assertEqual(f'2 rated analyses, 1 with a cause: {self.file}.\n',
                         told)
        found = [json.loads(line) for line in
                 self.file.read_text().splitlines()]
        self.assertEqual(
            [(suite.ODD, 'wrong', 'a disk'), ('broken', 'right', None)],
            [(r['issue'], r['rating'], r['cause']) for r in found])
        self.assertEqual(0o600, stat.S_IMODE(self.file.stat().st_mode))
        self._run('labels', '--output', str(self.file), '--days', '0')
        self.assertEqual('', self.file.read_text())

    def test_labels_are_evaluated(self) -> None:
        self._fill()
        self._run('labels', '--output', str(self.file))
        status, told, error = self._run(
            'evaluate', 'ratings', str(self.file), '--output',
            str(self.tmp / 'judged'), '--reliability',
            str(self.tmp / 'diagram.svg'))
        self.assertEqual((0, ''), (status, error))
        self.assertRegex(told, r'(?m)^cause hit@1 +0.500 ')
        self.assertRegex(told, r'(?m)^cases +2$')
        self.assertRegex(told, r'(?m)^share answered +')
        self.assertIn('<svg', (self.tmp / 'diagram.svg').read_text())
        self.assertEqual(['wrong', 'right'], [
            json.loads(line)['rating'] for line in
            (self.tmp / 'judged').read_text().splitlines()])

    def test_labels_that_are_none(self) -> None:
        self.file.write_text('\n')
        wanted = ('evaluate', 'ratings', str(self.file), '--output',
                  str(self.tmp / 'judged'))
        self.assertEqual((0, 'Nobody judged an analysis.\n', ''),
                         self._run(*wanted))
        for text in ('x', '[]', '{}', '[' * 100000,
                     '{"analysis_id": "a", "rating": "nice"}',
                     '{"analysis_id": "a", "rating": ["right"]}',
                     '{"analysis_id": "a", "rating": "right", '
                     '"confidence": 7}',
                     '{"analysis_id": "a", "rating": "right", '
                     '"component": 7}'):
            self.file.write_text('\n' + text)
            status, _told, error = self._run(*wanted)
            self.assertEqual(1, status)
            self.assertIn('line 2 is no label', error)
        self.file.write_bytes(b'\xff')
        self.assertIn('it is no text', self._run(*wanted)[2])
        self.file.unlink()
        self.assertIn('No such file', self._run(*wanted)[2])

    def test_what_cannot_be_done(self) -> None:
        status, told, error = self._run(
            'labels', '--output', str(self.tmp / 'none' / 'labels'))
        self.assertEqual((1, ''), (status, told))
        self.assertIn('Create it first', error)
        self.path.write_text(
            f'[database]\nconnection = sqlite:///{self.tmp}/other.sqlite\n')
        for arguments in (('figures',),
                          ('labels', '--output', str(self.file))):
            status, told, error = self._run(*arguments)
            self.assertEqual((1, ''), (status, told))
            self.assertIn('openstack-rca-manage db sync', error)
        self.assertFalse(self.file.exists())
        for wrong in (('figures', '--days', '-1'), ('labels',)):
            failure = self.assertRaises(SystemExit, self._run, *wrong)
            self.assertEqual(2, failure.code)
