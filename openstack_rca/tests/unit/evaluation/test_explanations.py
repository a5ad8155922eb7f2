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
"""Tests of how good explanations are."""

from typing import Any

from openstack_rca.evaluation import explanations
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample

CAUSE = 'RabbitMQ was stopped: AMQP connections are refused'
TRUTH = {'components': ['rabbitmq'], 'categories': ['messaging'],
         'cause': CAUSE}


def told(text: str, category: str = 'messaging',
         remedies: tuple[str, ...] = ()) -> dict[str, Any]:
    """An explanation."""
    return {'text': text, 'category': category, 'remedies': list(remedies),
            'cited': 1.0}


class ExplanationsTest(base.TestCase):
    """Each measure tells what it should."""

    def _figure(self, name: str, row: dict[str, Any]) -> float:
        found = explanations.figures([(row, TRUTH)])[name]
        assert isinstance(found, float)
        return found

    def test_relevance(self) -> None:
        self.assertEqual(1, self._figure('relevance', told(CAUSE)))
        self.assertEqual(0, self._figure('relevance', told('all is well')))
        some = self._figure('relevance', told('AMQP connections refused.'))
        self.assertTrue(0 < some < 1)

    def test_accuracy(self) -> None:
        for text, category, value in (
                ('rabbitmq does not answer.', 'messaging', 1),
                ('rabbitmq does not answer.', 'hang', .5),
                ('Nothing answers. Perhaps rabbitmq.', 'messaging', .5),
                ('mariadb does not answer, not rabbitmq-2.', 'messaging', 0),
                ('Both rabbitmq and mariadb are down.', 'messaging', 1)):
            self.assertEqual(value, self._figure(
                'accuracy', told(text, category)), text)

    def test_actionability(self) -> None:
        for remedies, value in (
                ((), 0), (('Wait.',), 1), (('Start rabbitmq.',), 2),
                (('Look at rabbitmqctl status.',), 2),
                (('Wait.', 'Start rabbitmq: systemctl start it.'), 3)):
            self.assertEqual(value / 3, self._figure(
                'actionability', told('x', remedies=remedies)),
                str(remedies))

    def test_of_a_report(self) -> None:
        report = sample.report()
        first = report['evidence'][0]['id']
        report['narrative'] = {'text': 'It broke. It is mended.', 'claims': [
            {'text': 'It broke.', 'evidence': [first]},
            {'text': 'It is mended.', 'evidence': ['E999']}]}
        row = explanations.read(report)
        self.assertEqual('It broke. It is mended.', row['text'])
        self.assertEqual(.5, row['cited'])
        self.assertEqual(report['hypotheses'][0]['remedy'], row['remedies'])
        nothing = explanations.read(sample.nothing())
        self.assertEqual(0, nothing['cited'])
        self.assertEqual([], nothing['remedies'])

    def test_floor(self) -> None:
        row = explanations.floor('AMQP connection refused')
        self.assertEqual(0, self._figure('actionability', row))
        self.assertLess(0, self._figure('relevance', row))
