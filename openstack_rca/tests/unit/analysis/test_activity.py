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
"""Which code worked for users, and what its functions are called."""

from typing import Any

from openstack_rca.analysis import activity
from openstack_rca.analysis import scope
from openstack_rca.store import parquet
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources
from openstack_rca.tests.unit.store import samples

SCOPE = scope.Scope(None, None, (), (), (), ('nova',), (), frozenset(), False)


class BusiestTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.store = parquet.ParquetStore(self.tmp / 'store')
        self.atlas = sources.atlas(self.tmp)

    def fill(self, *told: tuple[str, str]) -> None:
        rows: list[dict[str, Any]] = [
            samples.event(i, text, logger=logger, user_id='u' * 32)
            for i, (logger, text) in enumerate(told)]
        # Nobody asked for this one.
        rows += [samples.event(99, 'Periodic', logger='nova.periodic',
                               line=999, offset=99900)] * 20
        samples.fill(self.store, *rows[:len(told) + 1])

    def places(self, mapped: bool) -> list[tuple[str, str | None]]:
        found = activity.busiest(self.store, SCOPE,
                                 self.atlas if mapped else None)
        return [(a.place.file, a.place.function) for a in found]

    def test_functions_of_the_map(self) -> None:
        self.fill(('nova.compute.api', 'Starting instance one now'),
                  ('nova.compute.api', 'Starting instance one now'),
                  ('nova.compute.api', 'Something that no map knows'),
                  ('nova.other', 'Host cmp went away: x'))
        self.assertEqual(
            [('nova/compute/api.py', 'start'), ('nova/other.py', None)],
            self.places(mapped=True))
        self.assertEqual(
            [('nova/compute/api.py', None), ('nova/other.py', None)],
            self.places(mapped=False))

    def test_lines_that_tell_their_function(self) -> None:
        text = ('Starting instance one now go /usr/lib/python3.11/'
                'site-packages/nova/compute/api.py:1')
        self.fill(('nova.compute.api', text))
        self.assertEqual([('nova/compute/api.py', 'go')],
                         self.places(mapped=True))
