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
"""Some stores as one."""

import polars as pl

from openstack_rca import exception
from openstack_rca.events import schema
from openstack_rca.store import base as stores
from openstack_rca.store import parquet
from openstack_rca.store import union
from openstack_rca.tests import base
from openstack_rca.tests.unit.store import samples


class TestUnion(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.members = {name: parquet.ParquetStore(self.tmp / name)
                        for name in ('north', 'south', 'empty')}
        samples.fill(self.members['north'],
                     samples.event(3, 'late', source='n.log'),
                     samples.event(1, 'same', source='n.log'))
        samples.fill(self.members['south'],
                     samples.event(2, 'between', source='n.log', level=40),
                     samples.event(1, 'same', source='s.log'))
        self.store = union.UnionStore(self.tmp, self.members)

    def test_files(self) -> None:
        files = self.store.files()
        self.assertEqual({'north/n.log', 'south/n.log', 'south/s.log'},
                         set(files))
        for name, record in files.items():
            self.assertEqual((name, name), (record.source, record.unit))

    def test_everything_in_order_of_time(self) -> None:
        found = self.store.query(stores.Query())
        self.assertEqual(
            [('same', 'north/n.log'), ('same', 'south/s.log'),
             ('between', 'south/n.log'), ('late', 'north/n.log')],
            list(found.select('text', 'source').iter_rows()))
        self.assertEqual(schema.EVENTS, dict(found.schema))
        self.assertEqual(schema.EVENTS,
                         dict(self.store.scan().collect_schema()))

    def test_conditions(self) -> None:
        self.assertEqual(['between'], self.store.query(
            stores.Query(level=40))['text'].to_list())
        self.assertEqual(['same', 'same'], self.store.query(
            stores.Query(limit=2))['text'].to_list())

    def test_templates_are_told_once(self) -> None:
        found = self.store.templates()
        self.assertEqual(['between', 'late', 'same'],
                         sorted(found['pattern']))
        self.assertEqual(schema.TEMPLATES, dict(found.schema))

    def test_of_nothing(self) -> None:
        for members in ({}, {'empty': self.members['empty']}):
            store = union.UnionStore(self.tmp, members)
            self.assertEqual({}, store.files())
            self.assertEqual(0, store.query(stores.Query()).height)
            self.assertEqual(schema.TEMPLATES,
                             dict(store.templates().schema))

    def test_read_only(self) -> None:
        self.assertRaises(exception.StoreError, self.store.write,
                          schema.empty(),
                          pl.DataFrame(schema=schema.TEMPLATES), [])
        self.assertRaises(exception.StoreError, self.store.forget, {'x'})
        self.store.compact()
        self.assertEqual(3, len(self.store.files()))

    def test_damaged_member(self) -> None:
        next((self.tmp / 'south').glob('00000001.parquet')).unlink()
        self.assertRaises(exception.StoreError, self.store.query,
                          stores.Query())
