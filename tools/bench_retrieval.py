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
searched by the index that so many get, and by one that compares all. At last
the recording in ``examples/`` is analysed in mode full with and without
looking for what is known, by turns; the documents and the signatures are what
is known.
"""

import argparse
import pathlib
import resource
import shutil
import statistics
import tempfile
import time

import faiss
import numpy as np

from openstack_rca import conf
from openstack_rca.analysis import scope
from openstack_rca.detectors import meaning
from openstack_rca.engine import local
from openstack_rca.engine import shelf
from openstack_rca.evaluation import retrieval
from openstack_rca.knowledge import entries
from openstack_rca.retrievers import faiss as retriever
from openstack_rca.retrievers import vectors

DOCUMENTS = 1000
VECTORS = 100_000
QUESTIONS = 500
MOST = 10
NOISE = 0.02
TURNS = 15
EXAMPLE = (pathlib.Path(__file__).resolve().parent.parent / 'examples'
           / 'no-valid-host' / 'logs')


def ask(index, rows):
    """What is found for each row, and milliseconds in the middle."""
    found, took = [], []
    for row in rows:
        begin = time.perf_counter()
        _, places = index.search(row[None], MOST)
        took.append(time.perf_counter() - begin)
        found.append(set(places[0].tolist()))
    return found, 1e3 * statistics.median(took)


def analyse(documents, kept):
    """What an analysis takes without and with what is known, by turns."""
    conf.load([])
    opened = local.open_folder(EXAMPLE, cache=False)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name, 'index')
        shutil.copytree(kept / 'index', folder)
        known = shelf.Shelf(folder=folder, extra=[
            entries.Entry(i, entries.DOCUMENT, '', text)
            for i, text in documents.items()])
        known.refresh()
        known.catch_up()
        ways = {'without': None,
                'with': lambda report: known.add_similar(report, None)}
        took = {way: [] for way in ways}
        # The first turn loads what the others need.
        for turn in range(TURNS + 1):
            for way, opened.similar in ways.items():
                # No question is remembered from the turn before.
                known.search(f'turn {turn}', 1, (entries.DOCUMENT,),
                             mode='full')
                begin, cpu = time.perf_counter(), time.process_time()
                report = opened.analyze(scope.Question(
                    issue='server web-3 went to ERROR', mode='full'))
                if turn:
                    took[way].append((time.perf_counter() - begin,
                                      time.process_time() - cpu))
    kinds = sorted({s['kind'] for s in report['similar']})
    wall, cpu = (1e3 * statistics.median(
        b[n] - a[n] for a, b in zip(took['without'], took['with'],
                                    strict=True)) for n in (0, 1))
    whole = 1e3 * statistics.median(t for t, _ in took['without'])
    print(f'analysis, told by {report["narrative"]["backend"]}: {whole:.0f} '
          f'ms in the middle; with {len(documents):,d} documents and '
          f'signatures {wall:+.0f} ms ({cpu:+.0f} ms of processors), median '
          f'of {TURNS} pairs; finds {" and ".join(kinds) or "nothing"}')


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
    analyse(documents, args.kept)


if __name__ == '__main__':
    main()
