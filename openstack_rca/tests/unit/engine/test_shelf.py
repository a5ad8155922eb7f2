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
"""What is known, ready to be searched."""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import fcntl
import pathlib
from typing import Any
from unittest import mock

import numpy as np

from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.engine import shelf
from openstack_rca.knowledge import entries
from openstack_rca.knowledge import similar
from openstack_rca.retrievers import base as retrievers
from openstack_rca.retrievers import faiss
from openstack_rca.tests import base

NOW = datetime.datetime(2026, 11, 21)
MINE, THEIRS = 'project-1', 'project-2'


class Table:
    """Rows that a test makes up."""

    def __init__(self) -> None:
        self.rows: dict[str, entries.Entry] = {}
        self.reads: list[datetime.datetime | None] = []
        self._ticks = 0

    def put(self, name: str, text: str, project: str = MINE,
            **more: Any) -> None:
        """Write a row."""
        self._ticks += 1
        self.rows[name] = entries.Entry(
            name, more.pop('kind', 'document'), f'Title {name}', text,
            project, written=more.pop('written', NOW + datetime.timedelta(
                seconds=self._ticks)), **more)

    def mark(self) -> tuple[int, datetime.datetime | None]:
        """What changes."""
        return len(self.rows), max(
            (r.written for r in self.rows.values() if r.written),
            default=None)

    def read(self, since: datetime.datetime | None = None) -> tuple[
            set[str], list[entries.Entry]]:
        """The rows."""
        self.reads.append(since)
        return set(self.rows), [
            r for r in self.rows.values()
            if since is None or r.written and r.written >= since]


def embed(texts: Sequence[str]) -> np.ndarray:
    """An embedding of the letters that a text has."""
    made = np.zeros((len(texts), 384), np.float32)
    for row, text in zip(made, texts, strict=True):
        for letter in text.lower():
            row[ord(letter) % 384] += 1
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.table = Table()
        patcher = mock.patch.object(shelf, 'known_signatures',
                                    lambda: self.signed)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.signed: list[entries.Entry] = []
        self.embedded: list[str] = []

        def counted(texts: Sequence[str]) -> np.ndarray:
            self.embedded += texts
            return embed(texts)
        maker = mock.patch.object(faiss, '_embedder',
                                  lambda model: (counted, 384))
        maker.start()
        self.addCleanup(maker.stop)

    def made(self, folder: bool = True) -> shelf.Shelf:
        """A shelf that has looked at the rows."""
        made = shelf.Shelf(self.table,
                           self.tmp / 'index' if folder else None)
        made.refresh()
        return made

    @staticmethod
    def ids(found: Sequence[similar.Found]) -> list[str]:
        """Names of what was found."""
        return [f.entry.id for f in found]


class TestSearch(TestCase):

    def test_words(self) -> None:
        self.table.put('a', 'the rabbit is full')
        self.table.put('b', 'the disk is broken')
        found = self.made().search('rabbit full', 5, project_id=MINE)
        self.assertEqual('a', found[0].entry.id)
        self.assertAlmostEqual(1.0, found[0].score)
        self.assertLess(found[0].likeness, 1.0)

    def test_other_projects_are_not_there(self) -> None:
        self.table.put('a', 'the rabbit is full')
        self.table.put('b', 'the rabbit is full', THEIRS)
        self.signed = [entries.Entry('s', 'signature', 'rabbit', 'full')]
        made = self.made()
        made.catch_up()
        for mode in ('fast', 'full'):
            for project, wanted in ((MINE, {'a', 's'}), (THEIRS, {'b', 's'}),
                                    ('other', {'s'}), (None, {'s'})):
                self.assertEqual(wanted, set(self.ids(made.search(
                    'rabbit full', 9, project_id=project, mode=mode))))

    def test_filters(self) -> None:
        self.table.put('a', 'rabbit', kind='incident',
                       service='nova-compute')
        self.table.put('b', 'rabbit', service='cinder',
                       written=NOW + datetime.timedelta(days=9))
        self.signed = [entries.Entry('s', 'signature', 'rabbit', '')]
        made = self.made()
        day = NOW + datetime.timedelta(days=1)
        for wanted, more in (
                ({'a'}, {'kinds': ('incident',)}),
                ({'a', 's'}, {'kinds': ('incident', 'signature')}),
                ({'b'}, {'service': 'cinder'}), ({'b'}, {'since': day}),
                ({'a'}, {'service': 'nova'}), (set(), {'service': 'nov'}),
                ({'a'}, {'service': 'nova-compute'}),
                (set(), {'service': 'nova-api'}),
                ({'a'}, {'until': day}),
                (set(), {'since': day, 'until': NOW})):
            self.assertEqual(wanted, set(self.ids(made.search(
                'rabbit', 9, project_id=MINE, **more))))

    def test_fresh_rows_are_found_at_once(self) -> None:
        made = self.made()
        self.assertFalse(made.refresh())
        self.table.put('a', 'rabbit')
        self.assertTrue(made.refresh())
        self.assertEqual(['a'], self.ids(made.search(
            'rabbit', 9, project_id=MINE, mode='full')))
        self.table.put('a', 'turtle')
        made.refresh()
        self.assertEqual([], made.search('rabbit', 9, project_id=MINE))
        self.assertEqual(['a'], self.ids(made.search(
            'turtle', 9, project_id=MINE)))
        del self.table.rows['a']
        made.refresh()
        self.assertEqual([], made.search('turtle', 9, project_id=MINE))
        # Only what is new was read.
        self.assertEqual(1, self.table.reads.count(None) - 1)

    def test_many_rows(self) -> None:
        with mock.patch.object(shelf, '_FEW', 3):
            for number in range(8):
                self.table.put(str(number), f'rabbit {number}')
            made = self.made()
            self.assertEqual({'5', '6', '7'}, set(self.ids(made.search(
                'rabbit', 9, project_id=MINE))))
            self.assertEqual(3, made.health()['ready'])
            self.assertTrue(made.catch_up())
            self.assertEqual(8, made.health()['ready'])
            self.table.put('new', 'rabbit new')
            made.refresh()
            self.assertEqual(9, len(made.search('rabbit', 9,
                                                project_id=MINE)))

    def test_the_same_is_alike(self) -> None:
        self.table.put('a', 'rabbit is full of carrots')
        self.table.put('b', 'disk is out of space')
        made = self.made()
        same = made.search('Title a\nrabbit is full of carrots', 1,
                           project_id=MINE)[0]
        self.assertAlmostEqual(1.0, same.likeness)
        self.assertAlmostEqual(1.0, same.score)

    def test_similar_is_told_with_its_time(self) -> None:
        report: dict[str, Any] = {
            'verdict': 'cause_found', 'similar': [], 'mode': 'full',
            'hypotheses': [{'cause': 'rabbit is full of carrots'}],
            'statistics': {'seconds': {'retrieve': 0.0, 'total': 1.0}}}
        self.table.put('a', 'rabbit is full of carrots', kind='incident')
        self.table.put('b', 'rabbit is full of carrots', THEIRS,
                       kind='incident')
        made = self.made()
        made.add_similar(report, MINE)
        self.assertEqual(['a'], [s['id'] for s in report['similar']])
        seconds = report['statistics']['seconds']
        self.assertGreaterEqual(seconds['total'], 1.0)
        self.config('retrieval', incidents=0)
        report['similar'] = []
        made.add_similar(report, MINE)
        self.assertEqual([], report['similar'])

    def test_what_is_old_or_about_another_service_is_not_similar(self) -> None:
        report: dict[str, Any] = {
            'verdict': 'cause_found', 'mode': 'fast', 'hypotheses': [
                {'cause': 'rabbit is full of carrots',
                 'component': 'nova-compute'}, {'cause': 'a disk'}]}
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        for name, days, service in (
                ('new', 1, 'cinder-volume'), ('old', 40, 'nova-compute'),
                ('kin', 2, 'nova-api'), ('none', 3, None)):
            self.table.put(name, 'nova-compute: rabbit is full of carrots',
                           kind='incident', service=service,
                           written=now - datetime.timedelta(days=days))
        self.table.put('rst', 'rabbit is full of carrots',
                       written=now - datetime.timedelta(days=900))
        made = self.made()
        self.config('retrieval', threshold=0.3)
        for wanted, settings in (
                ({'new', 'old', 'kin', 'none'}, {}),
                ({'new', 'kin', 'none'}, {'max_age': 30}),
                ({'old', 'kin'}, {'max_age': 0, 'same_service': True}),
                ({'kin'}, {'max_age': 30, 'same_service': True})):
            self.config('retrieval', **settings)
            made.add_similar(report, MINE)
            # Documents have no age.
            self.assertEqual(wanted | {'rst'}, {
                s['id'] for s in report['similar']})
            report['similar'] = []


class Slow(retrievers.Retriever):
    """A driver that finds nothing."""

    def fill(self, documents: Mapping[str, str],
             told: retrievers.Told | None = None) -> retrievers.Health:
        """Fail, as a model that is missing."""
        raise exception.ModelError(name='x', reason='no such folder.')

    def search(self, question: str, limit: int,
               among: Collection[str] | None = None) -> list[
                   retrievers.Hit]:
        """Never comes to that."""
        raise AssertionError


class TestIndex(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.table.put('a', 'the rabbit is full')
        self.table.put('b', 'the disk is broken')

    def test_each_text_is_embedded_once(self) -> None:
        made = self.made()
        self.assertEqual(0, made.health()['embedded'])
        self.assertTrue(made.catch_up())
        self.assertEqual(2, made.health()['embedded'])
        self.assertEqual(2, len(self.embedded))
        self.table.put('c', 'new')
        made.refresh()
        made.catch_up()
        self.assertEqual(3, len(self.embedded))
        # Another process finds them on disk.
        other = self.made()
        other.catch_up()
        self.assertEqual(3, len(self.embedded))
        self.assertEqual(made.health(), other.health())
        self.assertGreater(other.health()['bytes'], 3 * 384 * 4)
        self.assertEqual(0o700, (self.tmp / 'index').stat().st_mode & 0o777)

    def test_nothing_is_embedded_for_words(self) -> None:
        self.config('retrieval', driver='bm25')
        made = self.made()
        self.assertTrue(made.catch_up())
        self.assertEqual([], self.embedded)
        self.assertEqual(('bm25', '', 0), tuple(
            made.health()[n] for n in ('driver', 'model', 'embedded')))

    def _damage(self) -> None:
        path = self.tmp / 'index' / 'embeddings'
        data = bytearray(path.read_bytes())
        data[100] ^= 255
        path.write_bytes(data)

    def test_a_full_disk_left_no_name_of_the_model(self) -> None:
        self.made().catch_up()
        count = len(self.embedded)
        path = self.tmp / 'index' / 'driver'
        name = path.read_text()
        path.write_text('')
        made = self.made()
        made.catch_up()
        self.assertIsNone(made.health()['problem'])
        self.assertEqual((count, name),
                         (len(self.embedded), path.read_text()))

    def test_damage_is_noticed_told_and_mended(self) -> None:
        self.made().catch_up()
        self._damage()
        made = self.made()
        made.verify()
        health = made.health()
        self.assertIn('damaged', health['problem'])
        self.assertEqual(2, health['embedded'])
        self.assertEqual(3, len(self.embedded))
        made.rebuild()
        self.assertIsNone(made.health()['problem'])
        again = self.made()
        again.verify()
        self.assertIsNone(again.health()['problem'])

    def test_another_model_is_noticed(self) -> None:
        self.made().catch_up()
        self.config('retrieval', model=str(self.tmp / 'own'))
        made = self.made()
        made.catch_up()
        self.assertIn('all-MiniLM', made.health()['problem'])
        self.assertEqual(2, made.health()['embedded'])
        self.assertEqual(4, len(self.embedded))

    def test_clear_and_rebuild(self) -> None:
        made = self.made()
        made.catch_up()
        made.clear()
        self.assertEqual(0, made.health()['embedded'])
        self.assertFalse((self.tmp / 'index' / 'embeddings').exists())
        self.assertEqual(['a'], self.ids(made.search(
            'rabbit', 1, project_id=MINE, mode='full')))
        made.rebuild()
        self.assertEqual(2, made.health()['embedded'])
        self.assertEqual(4, len(self.embedded))

    def test_one_process_at_a_time(self) -> None:
        made = self.made()
        made.catch_up()
        with (self.tmp / 'index' / 'lock').open('r+b') as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.table.put('c', 'new rabbit')
            made.refresh()
            self.assertFalse(made.catch_up(wait=False))
            # Words find it meanwhile.
            self.assertEqual({'a', 'c'}, set(self.ids(made.search(
                'rabbit', 2, project_id=MINE, mode='full'))))
            with mock.patch.object(shelf, '_PATIENCE', 0.0):
                self.assertRaises(shelf.Busy, made.verify)

    def test_words_stay_where_no_model_is(self) -> None:
        with mock.patch.object(
                drivers, 'load', autospec=True, side_effect=lambda s, n:
                Slow if n == 'hybrid' else real(s, n)):
            made = self.made()
            self.assertRaises(exception.ModelError, made.catch_up)
            made._trouble('no model')
            self.assertEqual(['a'], self.ids(made.search(
                'rabbit', 1, project_id=MINE, mode='full')))
            self.assertEqual('no model', made.health()['problem'])

    def test_folder_that_cannot_be_made(self) -> None:
        (self.tmp / 'index').write_text('a file')
        made = self.made()
        error = self.assertRaises(exception.StoreError, made.catch_up)
        self.assertIn(str(self.tmp / 'index'), str(error))

    def test_beside_the_work(self) -> None:
        made = self.made()
        made.start()
        made.close()
        # What was begun is ended, whatever there was time for.
        thread = made._thread
        assert thread is not None
        self.assertFalse(thread.is_alive())


real = drivers.load


class TestSignatures(base.TestCase):

    def test_those_of_the_package(self) -> None:
        made = shelf.Shelf()
        made.refresh()
        self.assertFalse(made.refresh())
        found = made.search('AMQP server is unreachable', 3)
        self.assertEqual({'signature'}, {f.entry.kind for f in found})
        self.assertTrue(found)

    def test_extra_entries(self) -> None:
        extra = entries.Entry('x', 'incident', 'The zebra crossed', 'zzz')
        made = shelf.Shelf(extra=[extra])
        made.refresh()
        found = made.search('zebra crossed', 1, ('incident',))
        self.assertEqual(dataclasses.asdict(extra),
                         dataclasses.asdict(found[0].entry))

    def test_nothing_needs_a_database(self) -> None:
        source = pathlib.Path(shelf.__file__).read_text()
        self.assertNotIn('openstack_rca.db ', source)
