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
"""Tests of the figures of answers."""

import contextlib
import io
import json
import tarfile

from openstack_rca.cmd import manage
from openstack_rca.evaluation import answers
from openstack_rca.evaluation import incidents
from openstack_rca.evaluation import localization
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


def answer(rank: int | None, confidence: float | None = None,
           group: str = 'g', answered: bool = True) -> answers.Answer:
    """An answer whose right one stands at a rank."""
    return answers.Answer(group, {'file': rank}, (), confidence, answered)


class FiguresTest(base.TestCase):
    """Known answers have known figures."""

    def test_rank(self) -> None:
        for wanted, rank in (('a', 1), ('b', 2), ('c', 3), ('d', None)):
            self.assertEqual(rank, answers.rank_of(
                wanted.__eq__, ['a', None, 'b', 'a', '', 'c']))

    def test_hits(self) -> None:
        found = answers.figures([answer(1), answer(3), answer(4),
                                 answer(None)])
        self.assertEqual({'file hit@1': .25, 'file hit@3': .5, 'cases': 4},
                         found)

    def test_interval_over_groups(self) -> None:
        some = [answer(1, group='a')] * 50 + [answer(None, group='b')] * 50
        value, low, high = self._interval(some)
        # Two groups, not a hundred cases.
        self.assertEqual((.5, 0.0, 1.0), (value, low, high))
        many = [answer(n % 2 or None, group=str(n)) for n in range(100)]
        value, low, high = self._interval(many)
        self.assertEqual(.5, value)
        self.assertTrue(.35 < low < .45 < .55 < high < .65, (low, high))

    @staticmethod
    def _interval(some: list[answers.Answer]) -> tuple[float, float, float]:
        found = answers.figures(some)['file hit@1']
        assert isinstance(found, tuple)
        return found

    def test_calibrated(self) -> None:
        some = [answer(1 if n < 8 else 2, .8) for n in range(10)]
        found = answers.calibration(some)
        self.assertEqual(0, round(float(str(
            found['calibration error'])), 6))
        self.assertEqual(.5, found['AUROC, right against wrong'])
        self.assertEqual(1, found['share answered'])
        self.assertEqual(.8, found['right of those answered'])

    def test_sure_of_what_is_wrong(self) -> None:
        some = [answer(2, 1.0), answer(1, .5)]
        found = answers.calibration(some)
        self.assertEqual(.75, found['calibration error'])
        self.assertEqual(0, found['AUROC, right against wrong'])
        self.assertEqual({5: answers.Bin(1, .5, 1.0),
                          9: answers.Bin(1, 1.0, 0.0)}, answers.bins(some))

    def test_unanswered_count_for_the_share_alone(self) -> None:
        found = answers.calibration([
            answer(1, .75), answer(None, .1, answered=False)])
        self.assertEqual(.5, found['share answered'])
        self.assertEqual(.25, found['calibration error'])
        self.assertIsNone(found['AUROC, right against wrong'])
        found = answers.calibration([answer(1, .5, answered=False)])
        self.assertIsNone(found['calibration error'])

    def test_diagram(self) -> None:
        told = answers.diagram([answer(1, 1.0), answer(2, .93),
                                answer(1, .31)])
        self.assertEqual(
            ['confidence   cases  stated  right',
             '30 to 40 %       1   0.310  1.000',
             '90 to 100 %      2   0.965  0.500'], told.splitlines())


class TruthTest(base.TestCase):
    """Predictions beside the truth."""

    def test_localization(self) -> None:
        found = localization.answer(
            {'locations': [{'file': 'nova/a.py', 'function': None},
                           {'file': 'nova/b.py', 'function': 'run'},
                           {'file': 'nova/a.py', 'function': 'go'}],
             'confidence': .4, 'answered': True},
            {'file': 'nova/a.py', 'function': 'go', 'hard': True,
             'silent': False, 'service': 'nova'})
        self.assertEqual(answers.Answer(
            'nova/a.py', {'file': 1, 'function': 2}, ('hard', 'nova'), .4,
            True), found)
        self.assertIsNone(localization.answer(
            localization.empty(), {'failure': False}))

    def test_incidents(self) -> None:
        found = incidents.answer(
            {'hypotheses': [
                {'component': 'nova-compute', 'category': 'hang'},
                {'component': 'neutron-l2-agent@cmp1', 'category': 'hang'},
                {'component': 'neutron-l2-agent', 'category': 'network'}]},
            {'case_id': 'x', 'components': ['neutron-openvswitch-agent'],
             'categories': ['network']})
        assert found
        self.assertEqual({'component': 2, 'component and category': 3},
                         found.ranks)
        self.assertIs(False, found.answered)
        self.assertIsNone(incidents.answer(incidents.empty(), {}))


class CommandTest(base.TestCase):
    """What the command prints."""

    def setUp(self) -> None:
        super().setUp()
        self.data = self.tmp / 'data'
        self.data.mkdir()
        (self.data / 'cases.jsonl').write_text(json.dumps(
            {'case_id': 'one', 'issue': 'no valid host'}))
        text = f'{sample.FILTER}\n{sample.NO_HOST}\n'.encode()
        with tarfile.open(self.data / 'one.tar.xz', 'w:xz') as tar:
            member = tarfile.TarInfo('nova/nova-conductor.log')
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))

    def _run(self, *more: str, status: int = 0) -> tuple[str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            self.assertEqual(status, manage.run([
                'evaluate', 'incidents', str(self.data), '--output',
                str(self.tmp / 'out.jsonl'), '--jobs', '1', *more]))
        return stdout.getvalue(), stderr.getvalue()

    def _truth(self, text: str) -> None:
        (self.data / 'truth.jsonl').write_text(text)

    def test_no_truth_no_figures(self) -> None:
        self.assertEqual(('', ''), self._run())
        row = json.loads((self.tmp / 'out.jsonl').read_text())
        self.assertIs(True, row['answered'])
        self.assertTrue(0 < row['confidence'] <= 1)

    def test_figures(self) -> None:
        self._truth(json.dumps({
            'case_id': 'one', 'components': ['nova-compute'],
            'categories': ['process_down']}))
        target = self.tmp / 'reliability.svg'
        told, _ = self._run('--reliability', str(target))
        self.assertRegex(told, r'component hit@1 +1\.000 +0\.000')
        self.assertRegex(told, r'share answered +1\.000')
        self.assertRegex(told, r'\d0 to \d+ % +1 ')
        self.assertIn('stroke-dasharray', target.read_text())
        # The truth changes no prediction.
        before = (self.tmp / 'out.jsonl').read_text()
        self._truth(json.dumps({
            'case_id': 'one', 'components': ['keystone'],
            'categories': ['hang']}))
        told, _ = self._run()
        self.assertRegex(told, r'component hit@1 +0\.000')
        self.assertEqual(before, (self.tmp / 'out.jsonl').read_text())

    def test_no_place_for_the_diagram(self) -> None:
        # Said before the cases are predicted, not after.
        _, told = self._run('--reliability', str(self.tmp / 'no' / 'x.svg'),
                            status=1)
        self.assertIn('--reliability', told)
        self.assertFalse((self.tmp / 'out.jsonl').exists())

    def test_broken_truth(self) -> None:
        self._truth('{')
        _, told = self._run(status=1)
        self.assertIn('truth.jsonl cannot be used', told)
