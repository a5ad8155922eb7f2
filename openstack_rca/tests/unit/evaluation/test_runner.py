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
"""Tests of running a dataset."""

import io
import pathlib
import tarfile
from unittest import mock

from openstack_rca.evaluation import dataset
from openstack_rca.evaluation import runner
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


def archive(path: pathlib.Path, text: str) -> None:
    """An archive of logs that holds one file."""
    data = text.encode()
    with tarfile.open(path, 'w:xz') as tar:
        member = tarfile.TarInfo('nova/nova-conductor.log')
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


class RunnerTest(base.TestCase):
    """Every case gets a row, whatever happens to it."""

    def _case(self, name: str) -> dataset.Case:
        path = self.tmp / f'{name}.tar.xz'
        return dataset.Case(name, 'no valid host', None, None, path)

    def test_real_cases_in_order(self) -> None:
        cases = [self._case(name) for name in ('b', 'missing', 'a')]
        for case in (cases[0], cases[2]):
            archive(case.archive, f'{sample.FILTER}\n{sample.NO_HOST}\n')
        seen: list[int] = []
        for jobs in (1, 2):
            outcomes = runner.run('incidents', cases, jobs,
                                  lambda done, _: seen.append(done))
            self.assertEqual(['b', 'missing', 'a'], [
                outcome.prediction['case_id'] for outcome in outcomes])
            self.assertIsNone(outcomes[0].error)
            self.assertTrue(outcomes[0].prediction['hypotheses'])
            self.assertIs(True, outcomes[0].prediction['answered'])
            floor = outcomes[0].floor or {}
            self.assertEqual([{
                'component': 'nova-conductor', 'category': 'unknown'}],
                floor['hypotheses'])
            self.assertIn('No valid host', floor['explanation']['text'])
            self.assertIn('missing.tar.xz', str(outcomes[1].error))
            self.assertEqual({'case_id': 'missing', 'hypotheses': []},
                             outcomes[1].prediction)
        self.assertEqual([1, 2, 3, 1, 2, 3], seen)

    def test_a_bug_ends_one_case(self) -> None:
        with mock.patch.object(runner, 'predict', autospec=True,
                               side_effect=[KeyError('x'),
                                            ({'score': 1}, None)]):
            first, second = runner.run(
                'detection', [self._case('a'), self._case('b')], 1)
        self.assertIn('KeyError', str(first.error))
        self.assertEqual({'case_id': 'a', 'score': 0.0, 'alarm': False},
                         first.prediction)
        self.assertEqual({'score': 1}, second.prediction)
