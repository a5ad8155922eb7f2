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
"""How right reports were."""

from typing import Any

from openstack_rca.evaluation import answers
from openstack_rca.evaluation import ratings
from openstack_rca.tests import base


def label(rating: str, component: str | None = None,
          true: str | None = None, **more: Any) -> dict[str, Any]:
    """What an operator said of a report."""
    return {'analysis_id': 'a', 'rating': rating, 'component': component,
            'true_component': true, **more}


class TestRatings(base.TestCase):

    def test_judged(self) -> None:
        found = ratings.judged([
            label('right', 'nova-api', confidence=.9), label('partly', 'x'),
            label('wrong')])
        self.assertEqual([1, 2, None], [a.ranks['cause'] for a in found])
        self.assertEqual([.9, None, None], [a.confidence for a in found])
        self.assertEqual([True, True, False], [a.answered for a in found])
        told = answers.figures(found, 0)
        self.assertEqual((1 / 3, 2 / 3, 3), tuple(told.values()))

    def test_parts_beside_what_was_usual_before(self) -> None:
        found = list(ratings.parts([
            label('right', 'nova-api', 'nova-api'), label('wrong', 'x'),
            label('wrong', 'x', 'nova-api'),
            label('right', 'glance', 'glance'),
            label('wrong', None, 'nova-api')]))
        self.assertEqual([True, False, True, False],
                         [mine.right for mine, _ in found])
        # The first one has nothing before it.
        self.assertEqual([False, True, False, True],
                         [usual.right for _, usual in found])
        self.assertEqual([], list(ratings.parts([label('right', 'x')])))
