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
"""``evaluate retrieval``: every retriever on questions with known answers."""

import argparse
import json
import pathlib
import sys

#: What the others are set beside.
_FLOOR = 'bm25'
#: Whose predictions are written.
_DEFAULT = 'hybrid'
#: What uses embeddings.
_MEANT = ('faiss', 'hybrid')


def evaluate(args: argparse.Namespace) -> int:
    """Ask every retriever all questions of a dataset.

    :param args: the command line
    :returns: 0
    :raises RCAException: the dataset, a retriever or a file cannot be used
    """
    from importlib import metadata

    from openstack_rca.engine import drivers
    from openstack_rca.evaluation import retrieval
    from openstack_rca.evaluation import tables
    from openstack_rca.osc import output

    documents, queries = retrieval.read(pathlib.Path(args.dataset))
    queries = queries[:args.limit]
    names = sorted({p.name for p in metadata.entry_points(
        group='openstack_rca.retrievers')}, key=lambda n: (n != _FLOOR, n))
    folder = pathlib.Path(args.all_output) if args.all_output else None
    line = output.Progress(sys.stderr)
    found: dict[str, retrieval.Outcome] = {}
    for name in names:
        driver = drivers.load('openstack_rca.retrievers', name)
        kept = folder / 'index' if folder else None
        made = (driver(kept, args.embedder)
                if args.embedder and name in _MEANT else driver(kept))

        def told(done: int, all_: int, name: str = name) -> None:
            line.update(f'{name}: {done} of {all_}', done / max(1, all_))

        try:
            found[name] = retrieval.run(made, documents, queries, told)
        finally:
            line.clear()
        text = ''.join(json.dumps(row) + '\n'
                       for row in retrieval.rows(found[name]))
        if name == _DEFAULT:
            output.keep(pathlib.Path(args.output), text)
        if folder:
            output.keep(folder / f'{name}.jsonl', text, '--all-output')
    print(tables.table(
        f'{len(documents)} documents, {len(queries)} queries', {
            name: retrieval.figures(outcome, queries, (
                found[_FLOOR] if name != _FLOOR else None))
            for name, outcome in found.items()}), end='')
    return 0
