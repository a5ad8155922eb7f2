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

import os
import shutil

from openstack_rca import exception
from openstack_rca.engine import snapshots
from openstack_rca.engine import state
from openstack_rca.tests.unit.engine import test_worker


class TestSnapshots(test_worker.TestCase):

    def test_what_is_new(self) -> None:
        self.open(a=self.logs('one', 'first'), b=self.logs('two', 'other'))
        made = snapshots.Snapshots(state.sources())
        self.addCleanup(made.close)
        self.assertTrue(made.refresh())
        self.assertFalse(made.refresh())
        first = dict(made.stores)
        self.logs('one', 'first', 'second')
        self.read()
        self.assertTrue(made.refresh())
        self.assertIs(first['b'], made.stores['b'])
        self.assertEqual(3, made.whole().scan().collect().height)
        # Only the newest is kept.
        self.assertEqual(2, len(os.listdir(state.snapshots())))
        made.close()
        self.assertEqual([], os.listdir(state.snapshots()))

    def test_one_source_is_itself(self) -> None:
        self.open(a=self.logs('one', 'first'))
        made = snapshots.Snapshots(state.sources())
        self.addCleanup(made.close)
        made.refresh()
        self.assertIs(made.stores['a'], made.whole())

    def test_damaged_store(self) -> None:
        self.open(a=self.logs('one', 'first'))
        store = state.sources()[0].store
        (store / '00000001.parquet').write_bytes(b'PAR1')
        made = snapshots.Snapshots(state.sources())
        self.assertRaises(exception.StoreError, made.refresh)
        shutil.rmtree(store)
        self.read()
        self.assertTrue(made.refresh())
        made.close()
