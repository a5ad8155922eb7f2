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
"""What each part of the relevance of events is worth.

    python tools/ablate_relevance.py ../incidents

The folder holds recordings with one fault each, as ``evaluate incidents``
reads them, and their truth. Events of all are put into one heap. "pooled" is
the share of the twenty most relevant ones that belong to the recording whose
issue was asked about, and to the time of its fault; the issues are vague on
purpose. "within" is the average precision with which the events of the fault
stand before the others of the same recording.
"""

import argparse
import datetime
import itertools
import pathlib
import random

from openstack_rca import conf
from openstack_rca.analysis import evidence as gathering
from openstack_rca.analysis import relevance
from openstack_rca.analysis import scope as scopes
from openstack_rca.detectors import meaning
from openstack_rca.engine import active
from openstack_rca.engine import local
from openstack_rca.evaluation import dataset

MOST = 20
#: Faults show a while after they are over.
LATE = datetime.timedelta(seconds=60)


def read(folder):
    """What is read of each recording, and what of it belongs to the fault."""
    truth = dataset.truth(folder, 'incidents')
    found = []
    for case in dataset.read(folder, 'incidents'):
        opened = local.open_folder(case.archive)
        scope = scopes.resolve(scopes.Question(issue=case.issue),
                               opened.store)
        detectors, _ = active.chosen('fast', None)
        seen = gathering.gather(opened.store, None, scope, detectors)
        begin, end = (scopes.naive(datetime.datetime.fromisoformat(
            truth[case.case_id][name]))
            for name in ('injected_at', 'cleared_at'))
        rows = [(r, gathering.unusual(r) >= 0.3
                 and begin <= r['timestamp'] <= end + LATE)
                for r in seen.samples]
        found.append((case.issue, seen.templates, rows))
    return found


def average_precision(right):
    """Mean of the precision at each right one."""
    hits = [n for n, yes in enumerate(right, 1) if yes]
    return sum(k / n for k, n in enumerate(hits, 1)) / len(hits)


def measure(found, weights):
    """The two figures, averaged over the issues."""
    templates = {t: p for _, known, _ in found for t, p in known.items()}
    heap = [(number, row, belongs) for number, (_, _, rows)
            in enumerate(found) for row, belongs in rows]
    random.Random(1).shuffle(heap)
    embed = meaning.embed if weights['meaning'] else None
    pooled, within = [], []
    for number, (issue, _, _) in enumerate(found):
        told = relevance.Relevance(templates, issue, embed, weights,
                                   len(templates))
        ranked = sorted(heap, key=lambda e: -told.of(e[1]))
        pooled.append(sum(n == number and belongs for n, _, belongs
                          in ranked[:MOST]) / MOST)
        within.append(average_precision(
            [belongs for n, _, belongs in ranked if n == number]))
    return sum(pooled) / len(found), sum(within) / len(found)


def main():
    """Measure all combinations of parts."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=pathlib.Path)
    folder = parser.parse_args().folder
    conf.load([])
    found = read(folder)
    names = list(relevance.WEIGHTS)
    print(f'{"parts":28}  pooled  within')
    for count in range(len(names), 0, -1):
        for some in itertools.combinations(names, count):
            pooled, within = measure(found, {
                n: w if n in some else 0.0
                for n, w in relevance.WEIGHTS.items()})
            print(f'{", ".join(some):28}  {pooled:6.3f}  {within:6.3f}')


if __name__ == '__main__':
    main()
