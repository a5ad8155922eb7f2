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
"""Who failed first on a path, and what did not happen there."""

from typing import Any

from openstack_rca.analysis import evidence
from openstack_rca.analysis import location
from openstack_rca.analysis import paths
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples

LATE = 500
SERVER = '5f0f5e3c-7f4e-4f0a-9a3c-1d2e3f405162'


def request(number: int) -> str:
    return f'req-{number:08}-0000-0000-0000-000000000000'


class TestPaths(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')
        self.rows: list[dict[str, Any]] = []

    def log(self, seconds: float, number: int, text: str,
            **values: Any) -> None:
        self.rows.append(samples.event(
            seconds, text, request_id=request(number),
            line=len(self.rows) + 1, offset=len(self.rows) + 1) | values)

    def create(self, seconds: float, number: int, steps: int = 3) -> None:
        """A request that takes so many steps."""
        self.log(seconds, number, 'POST', kind='access', binary='nova-api',
                 method='POST', path='/v2.1/servers', status=202)
        for step, (binary, text) in enumerate((
                ('nova-conductor', 'Schedules'), ('nova-compute', 'Claims'),
                ('nova-compute', 'Spawned'))[:steps]):
            self.log(seconds + step + 1, number, text, binary=binary,
                     logger=f'nova.{text.lower()}')

    def read(self, words: str = 'server', onset: float | None = None
             ) -> tuple[list[ranking.Finding], list[location.Place]]:
        self.log(LATE, 999, 'end')
        samples.fill(self.store, *self.rows)
        profile = detectors.profile(self.store.scan())
        bad = [r | {'related': False, 'together': 1, 'expected': 0.0}
               for r in samples.frame(*self.rows).iter_rows(named=True)
               if r['level'] >= 40]
        seen = evidence.Evidence(
            current=profile, reference=profile.head(0),
            onset=None if onset is None else samples.at(onset),
            symptoms=detectors.no_symptoms(), samples=bad, templates={})
        wanted = scope.resolve(scope.Question(issue=words), self.store)
        return (paths.findings(self.store, wanted, seen),
                paths.ends(self.store, wanted, seen))

    def test_all_well(self) -> None:
        for number in range(6):
            self.create(number * 10, number)
        self.assertEqual([], self.read()[0])

    def test_stopped_without_an_error(self) -> None:
        for number in range(5):
            self.create(number * 10, number)
        for number in (6, 7):
            self.create(number * 10, number, steps=2)
        (found,), places = self.read(onset=55)
        self.assertEqual(
            ('nova-compute', 'hang', 'missing step'),
            (found.component, found.category, found.clue))
        self.assertEqual("The request stopped before: 'Spawned'",
                         found.cause)
        self.assertEqual(['Claims', 'Claims'],
                         [e['text'] for e in found.events])
        self.assertEqual(['nova/spawned.py', 'nova/claims.py'],
                         [p.file for p in places])
        self.assertFalse(found.direct)

    def test_one_counts_less_than_two(self) -> None:
        for number in range(5):
            self.create(number * 10, number)
        self.create(60, 6, steps=2)
        one, = self.read()[0]
        self.assertLess(one.weight, 0.25)

    def test_too_few_to_compare(self) -> None:
        for number in range(2):
            self.create(number * 10, number)
        self.create(60, 6, steps=2)
        self.assertEqual([], self.read()[0])

    def test_may_be_at_it(self) -> None:
        for number in range(5):
            self.create(number * 10, number)
        self.create(LATE - 5, 6, steps=2)
        self.assertEqual([], self.read()[0])

    def test_actions_differ(self) -> None:
        for number in range(6):
            self.log(number, number, 'POST', kind='access',
                     binary='nova-api', method='POST', status=202,
                     path=f'/v2.1/servers/{SERVER}/action')
            self.log(number + 0.5, number,
                     'Pausing' if number < 4 else 'Rebooting instance')
        self.assertEqual([], self.read()[0])

    def test_first_to_fail(self) -> None:
        for number in range(3):
            self.log(number * 10, number, 'bind', level=40,
                     service='neutron', binary='neutron-server')
            self.log(number * 10 + 1, number, 'fail', level=40)
        (found,), places = self.read()
        self.assertEqual(
            ('neutron-server', 'failed first on the path'),
            (found.component, found.clue))
        self.assertIn('3 of 3 requests', found.cause)
        self.assertEqual([], places)

    def test_alone_is_not_first(self) -> None:
        self.log(0, 1, 'fail', level=40)
        self.assertEqual([], self.read()[0])

    def test_last_places(self) -> None:
        self.create(0, 1, steps=0)
        self.log(1, 1, 'Builds build /usr/lib/python3/site-packages/nova/'
                 'compute/api.py:77', level=10)
        self.log(2, 1, 'Waits')
        found, places = self.read()
        self.assertEqual([], found)
        self.assertEqual([location.Place('nova/compute/api.py', 'build')],
                         places)

    def test_nothing(self) -> None:
        self.assertEqual(([], []), self.read(''))
