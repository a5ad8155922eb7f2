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
"""What is said next: learned from quiet times, judged, kept."""

from typing import Any
from unittest import mock
import uuid

import numpy as np
import polars as pl

from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import features
from openstack_rca.detectors import meaning
from openstack_rca.detectors import next_event
from openstack_rca.tests import base
from openstack_rca.tests.unit.detectors import learned
from openstack_rca.tests.unit.detectors import runs

SETTINGS = detectors.Settings(learning_rate=0.02, epochs=60, device='cpu')
#: What a process does about a request, in this order.
STEPS = ('claim granted', 'image fetched', 'network plugged', 'guest started')


def run(number: int, steps: tuple[str, ...] = STEPS) -> runs.Run:
    """A run in which each request takes the same steps on the host."""
    start = number * runs.APART
    return runs.Run(number, compute=[
        runs.line(start + n * runs.EVERY + 1 + 0.5 * m, 'nova.virt.driver',
                  step, request=runs.request_id(number, n))
        for n in range(runs.REQUESTS) for m, step in enumerate(steps)])


class NextEventsTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        doubles: dict[str, object] = {
            '_embedder': lambda: learned.Encoder(), '_EMBEDDINGS': {}}
        for name, value in doubles.items():
            patcher = mock.patch.object(meaning, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def read(self, *wanted: runs.Run) -> list[features.Tables]:
        return [features.tables(r.store, r.query) for r in runs.recordings(
            self.tmp / uuid.uuid4().hex, list(wanted))]

    def learned(self) -> tuple[next_event.NextEvents, dict[str, float]]:
        made = next_event.NextEvents()
        figures = made.fit(self.read(*(run(n) for n in range(8))),
                           np.arange(8) % 2, SETTINGS)
        return made, figures

    def test_a_step_out_of_order(self) -> None:
        made, figures = self.learned()
        self.assertLess(figures['next_loss'], 1.0)
        # Each request takes the same way: there is one sequence a process.
        self.assertLess(figures['next_sequences'], 8)
        odd = (STEPS[0], STEPS[3], STEPS[1], STEPS[2])
        usual, strange = self.read(run(0), run(1, odd))
        self.assertEqual(0.0, made.total(made.judge(usual)))
        told = made.judge(strange)
        self.assertGreater(made.total(told), 0.0)
        first = told.row(0, named=True)
        self.assertEqual('nova-compute', first['binary'])
        self.assertIn(first['words'], odd)
        out_of_place = told.filter(pl.col('words') == STEPS[3]).row(
            0, named=True)
        self.assertEqual(f'nova-compute: {STEPS[1]}',
                         out_of_place['expected'])
        self.assertGreater(out_of_place['excess'], 0.0)

    def test_state(self) -> None:
        made, _ = self.learned()
        arrays, told = made.state()
        again = next_event.NextEvents.from_state(arrays, told)
        odd, = self.read(run(0, STEPS[::-1]))
        self.assertEqual(made.judge(odd).rows(), again.judge(odd).rows())
        for name, array in again.state()[0].items():
            self.assertEqual(arrays[name].tobytes(), array.tobytes(), name)
        self.assertEqual(told, again.state()[1])

    def test_foreign_state(self) -> None:
        arrays, told = self.learned()[0].state()
        bad: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({n: a for n, a in arrays.items() if n != 'usual'}, told),
            (arrays | {'usual': arrays['usual'] * np.nan}, told),
            (arrays | {'inputs': arrays['inputs'][:, 1:]}, told),
            (arrays | {'space.axes': arrays['space.axes'][1:]}, told),
            (arrays, told | {'words': []}),
            (arrays, told | {'often': float('nan')}),
        ]
        for wrong, description in bad:
            self.assertRaises(ValueError, next_event.NextEvents.from_state,
                              wrong, description)
        self.assertRaises(KeyError, next_event.NextEvents.from_state,
                          arrays, {})

    def test_same_seed_same_weights(self) -> None:
        one, two = (self.learned()[0].state()[0] for _ in range(2))
        for name, array in one.items():
            self.assertEqual(array.tobytes(), two[name].tobytes(), name)

    def test_unseen_messages_are_context(self) -> None:
        """A message nobody knows is no target, and what follows is judged."""
        made, _ = self.learned()
        read, = self.read(run(0, ('never met', *STEPS)))
        told = made.judge(read)
        self.assertNotIn('never met', told['words'].to_list())

    def test_nothing_to_learn(self) -> None:
        made = next_event.NextEvents()
        self.assertEqual({}, made.fit([], np.zeros(0, int), SETTINGS))
        self.assertFalse(made.learned)
        self.assertEqual(({}, {}), made.state())
        self.assertFalse(next_event.NextEvents.from_state({}, {}).learned)
        self.assertEqual(0, made.judge(self.read(run(0))[0]).height)
