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
"""How fast documents are embedded and found.

    python tools/bench_retrieval.py DATASET DIR

DATASET is one that ``evaluate retrieval`` reads, DIR what its --all-output
kept. A thousand documents are embedded; then the embeddings that were kept,
each several times with a little noise, are made a hundred thousand, which are
searched by the index that so many get, and by one that compares all.
"""

import argparse
import pathlib
import resource
import statistics
import time

import faiss
import numpy as np

from openstack_rca.detectors import meaning
from openstack_rca.evaluation import retrieval
from openstack_rca.retrievers import faiss as retriever
from openstack_rca.retrievers import vectors

DOCUMENTS = 1000
VECTORS = 100_000
QUESTIONS = 500
MOST = 10
NOISE = 0.02


def ask(index, rows):
    """What is found for each row, and milliseconds in the middle."""
    found, took = [], []
    for row in rows:
        begin = time.perf_counter()
        _, places = index.search(row[None], MOST)
        took.append(time.perf_counter() - begin)
        found.append(set(places[0].tolist()))
    return found, 1e3 * statistics.median(took)


def main():
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=pathlib.Path)
    parser.add_argument('kept', type=pathlib.Path)
    args = parser.parse_args()
    documents, _ = retrieval.read(args.folder)
    dice = np.random.default_rng(1)
    names = sorted(documents)
    texts = [retriever.pieces(documents[names[n]])[0] for n in
             dice.permutation(len(names))[:DOCUMENTS]]
    # As a retriever does: the longest of a batch sets its cost.
    texts.sort(key=len)
    meaning.embed_fresh(texts[:8])
    begin = time.perf_counter()
    rows = np.concatenate([meaning.embed_fresh(texts[at:at + 64])
                           for at in range(0, len(texts), 64)])
    print(f'embedding: {len(rows) / (time.perf_counter() - begin):.0f} '
          'documents/s')
    known = vectors.Vectors(args.kept / 'index' / 'embeddings',
                            retriever.SHIPPED, meaning.WIDTH)
    parts = {f'{name} {n}': part for name, text in documents.items()
             for n, part in enumerate(retriever.pieces(text))}
    missing = set(known.missing(parts))
    rows = known.rows([p for i, p in parts.items() if i not in missing])
    many = rows[dice.integers(len(rows), size=VECTORS)] + dice.normal(
        scale=NOISE, size=(VECTORS, rows.shape[1]))
    many = (many / np.linalg.norm(many, axis=1, keepdims=True)).astype(
        np.float32)
    begin = time.perf_counter()
    spread = retriever.Spread(many, rows.shape[1])
    placed = spread(many)
    index = retriever._index(placed, rows.shape[1])
    print(f'index of {VECTORS:,d}: {time.perf_counter() - begin:.1f} s')
    asked = spread((rows[dice.integers(len(rows), size=QUESTIONS)]
                    + dice.normal(scale=NOISE, size=(
                        QUESTIONS, rows.shape[1]))).astype(np.float32))
    exact = faiss.IndexFlatIP(rows.shape[1])
    exact.add(placed)
    right, slow = ask(exact, asked)
    found, fast = ask(index, asked)
    recall = statistics.mean(len(a & b) / MOST for a, b in zip(
        right, found, strict=True))
    print(f'search: {fast:.2f} ms in the middle (all compared: {slow:.2f} '
          f'ms), recall@{MOST} {recall:.3f}')
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f'memory at most: {peak} MiB')


if __name__ == '__main__':
    main()
