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
"""How networks are taught, and how a training goes on after its end."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import os
import pathlib
import stat
from typing import Any
from unittest import mock

import numpy as np
import torch

from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import checkpoints
from openstack_rca.detectors import training
from openstack_rca.tests import base

SETTINGS = detectors.Settings(
    learning_rate=0.02, epochs=7, batch=16, plateau_patience=1, patience=6,
    device='cpu')


class Interrupted(Exception):
    """Somebody has pressed Ctrl-C, or pulled the plug."""


class TestCheckpoints(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.tmp / 'state' / 'sequence'
        # As if each epoch took a while.
        patch = mock.patch.object(training, '_PACE', 0.0)
        patch.start()
        self.addCleanup(patch.stop)

    def teach(self, epochs: int = 0, path: pathlib.Path | None = None,
              turn: int = 0, **settings: Any
              ) -> tuple[dict[str, np.ndarray], dict[str, float],
                         list[tuple[float, Mapping[str, float]]]]:
        """Train a small network with dropout.

        :param epochs: after how many it is interrupted, 0 for never
        :param path: of the checkpoint
        :param turn: by how much the examples are turned
        """
        rng = np.random.default_rng(3)
        rows = np.roll(rng.normal(size=(60, 5, 4)).astype(np.float32), turn)
        labels = (rows[:, :, 0].mean(1) > 0) ^ (rng.random(60) < 0.2)
        told: list[tuple[float, Mapping[str, float]]] = []

        def progress(what: str, share: float,
                     figures: Mapping[str, float]) -> None:
            told.append((share, dict(figures)))
            if len(told) == epochs:
                raise Interrupted

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            network = training.SequenceNetwork(4, 8, 2, 0.3)
            lesson = training.Labelled(
                [rows, np.ones((60, 5), bool)], labels)
            figures = training.teach(
                network, lesson, np.arange(60) % 4 == 0,
                dataclasses.replace(SETTINGS, **settings), progress, path)
        return {name: tensor.numpy() for name, tensor
                in network.state_dict().items()}, figures, told

    def test_ends_as_if_it_had_not_been_interrupted(self) -> None:
        weights, figures, told = self.teach()
        self.assertEqual(7, len(told))
        self.assertRaises(Interrupted, self.teach, 2, self.path)
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
        self.assertEqual([self.path], list(self.path.parent.iterdir()))
        self.assertRaises(Interrupted, self.teach, 3, self.path)
        # What comes of other random numbers meanwhile is not looked at.
        torch.rand(7)
        again, same, rest = self.teach(0, self.path)
        self.assertEqual(told[5:], rest)
        self.assertEqual(figures, same)
        for name, array in weights.items():
            np.testing.assert_array_equal(array, again[name])
        self.assertEqual([], list(self.path.parent.iterdir()))

    def test_every_part_is_needed(self) -> None:
        # Nothing is kept that would not change what comes of it.
        told = self.teach()[2]
        self.assertRaises(Interrupted, self.teach, 2, self.path)
        real = checkpoints.read

        def without(change: Callable[[dict[str, np.ndarray], Any], None]
                    ) -> Callable[..., Any]:
            def read(path: pathlib.Path, name: str) -> Any:
                found = real(path, name)
                assert found is not None
                change(*found)
                return found
            return read

        def zero(what: str) -> Callable[[dict[str, np.ndarray], Any], None]:
            def change(arrays: dict[str, np.ndarray], _: Any) -> None:
                for name in arrays:
                    if name.startswith(what):
                        arrays[name] = np.zeros_like(arrays[name])
            return change

        def number(name: str, value: Any
                   ) -> Callable[[dict[str, np.ndarray], Any], None]:
            def change(_: Any, beside: Any) -> None:
                beside[name] = value
            return change

        def other_dropout(arrays: dict[str, np.ndarray], _: Any) -> None:
            arrays['random'] = torch.Generator().manual_seed(
                9).get_state().numpy()

        kept = self.path.read_bytes()
        for change in (
                zero('network.'), zero('optimizer.'), other_dropout,
                number('random',
                       np.random.default_rng(9).bit_generator.state),
                number('rates', [0.5]), number('epoch', 4)):
            self.path.write_bytes(kept)
            with mock.patch.object(checkpoints, 'read', without(change)):
                self.assertNotEqual(told[2:], self.teach(
                    0, self.path)[2])

    def test_another_training_is_not_gone_on_with(self) -> None:
        others: list[dict[str, Any]] = [
            {'turn': 1}, {'seed': 2}, {'learning_rate': 0.01}]
        for more in others:
            wanted = self.teach(**more)
            self.assertRaises(Interrupted, self.teach, 2, self.path)
            with self.assertLogs(checkpoints.LOG.logger, 'INFO') as caught:
                found = self.teach(path=self.path, **more)
            self.assertIn('another training', caught.output[0])
            self.assertEqual(wanted[1:], found[1:])
            self.assertFalse(self.path.exists())

    def test_what_a_lesson_has_beside_its_examples(self) -> None:
        class Lesson(training.Labelled):
            def __init__(self, table: float, pull: float) -> None:
                super().__init__([np.zeros((4, 2), np.float32)],
                                 np.array([0, 1, 0, 1]))
                self.table, self.pull = torch.full((2,), table), pull

        torch.manual_seed(1)
        network = training.SequenceNetwork(4, 8, 2, 0.3)
        held = np.array([True, False, True, False])
        names = [training._identity(network, lesson, held, SETTINGS,
                                    torch.device('cpu'))
                 for lesson in (Lesson(0, 0.5), Lesson(0, 0.5),
                                Lesson(1, 0.5), Lesson(0, 0.6))]
        self.assertEqual(names[0], names[1])
        self.assertEqual(3, len(set(names)))
        self.assertNotEqual(names[0], training._identity(
            network, Lesson(0, 0.5), ~held, SETTINGS, torch.device('cpu')))

    def test_damaged(self) -> None:
        wanted = self.teach()
        self.assertRaises(Interrupted, self.teach, 2, self.path)
        data = self.path.read_bytes()
        for damaged in (b'', b'\x00' * 40, data[:-1], data[:-1] + bytes([
                data[-1] ^ 1]), data.replace(b'identity', b'ydentity')):
            self.path.write_bytes(damaged)
            with self.assertLogs(checkpoints.LOG.logger,
                                 'WARNING') as caught:
                found = self.teach(path=self.path)
            self.assertIn('damaged', caught.output[0])
            self.assertEqual(wanted[1:], found[1:])
            self.assertFalse(self.path.exists())

    def test_where_nothing_can_be_written(self) -> None:
        (self.tmp / 'state').write_text('')
        with self.assertLogs(checkpoints.LOG.logger, 'WARNING') as caught:
            self.assertEqual(self.teach()[1:],
                             self.teach(path=self.path)[1:])
        self.assertIn('cannot be kept', caught.output[0])

    def test_the_old_file_stays_where_the_new_one_fails(self) -> None:
        self.assertRaises(Interrupted, self.teach, 2, self.path)
        before = self.path.read_bytes()
        with mock.patch.object(os, 'fsync', autospec=True,
                               side_effect=OSError(28, 'No space left')):
            self.assertFalse(checkpoints.write(
                self.path, 'x', {'a': np.zeros(2)}, {}))
        self.assertEqual(before, self.path.read_bytes())
        self.assertEqual([self.path], list(self.path.parent.iterdir()))
