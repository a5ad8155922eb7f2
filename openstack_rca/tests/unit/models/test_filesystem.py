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
"""Models in folders: what is kept, and what is refused."""

import hashlib
import json
import os
import pathlib
import stat
from typing import Any
from unittest import mock

import hypothesis
from hypothesis import strategies
import numpy as np
import safetensors.numpy

from openstack_rca import exception
from openstack_rca.models import base as models
from openstack_rca.models import filesystem
from openstack_rca.tests import base


def draft(detector: str = 'tiny', **changed: Any) -> models.Draft:
    """A model that is to be kept."""
    values: dict[str, Any] = {
        'detector': detector,
        'trained_on': {'sources': ['control'], 'events': 7},
        'settings': {'seed': 1}, 'metrics': {'f1': 0.5},
        'thresholds': {'score': 0.9}, 'state': {'words': ['gr\u00fc\u00df']},
        'reference': {'templates': ['00000000000000ff']}}
    return models.Draft(**values | changed)


ARRAYS: dict[str, Any] = {
    'weight': np.arange(6, dtype=np.float32).reshape(2, 3),
    'bias': np.array([1, 2], dtype=np.int64)}


class TestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = self.tmp / 'models'
        self.package = self.tmp / 'package'
        self.store = filesystem.FilesystemStore(self.root, self.package)

    def folder(self, kept: models.Description,
               root: pathlib.Path | None = None) -> pathlib.Path:
        """Where a model lies."""
        return (root or self.root) / kept.detector / kept.version

    def refused(self, kept: models.Description, *said: str) -> None:
        """Check that a model cannot be used any more."""
        error = self.assertRaises(exception.ModelError, self.store.load,
                                  kept.detector, kept.version)
        for word in said:
            self.assertIn(word, str(error))
        self.assertIn((kept.detector, kept.version), {
            name[:2] for name in self.store.names()})

    def rewrite(self, kept: models.Description, sign: bool = True,
                **changed: Any) -> None:
        """Change a description behind everybody's back."""
        path = self.folder(kept) / filesystem.DESCRIPTION
        document = json.loads(path.read_text()) | changed
        if sign:
            document['sha256'] = filesystem._digest(document)
        path.write_text(json.dumps(document))


class TestKeep(TestCase):

    def test_what_is_kept_comes_back(self) -> None:
        kept = self.store.save(draft(), ARRAYS)
        self.assertRegex(kept.version, r'^\d{8}T\d{6}Z-[0-9a-f]{8}$')
        told, arrays = self.store.load('tiny', kept.version)
        self.assertEqual(kept, told)
        self.assertEqual(draft(), models.Draft(**{
            name: getattr(told, name)
            for name in models.Draft.__dataclass_fields__}))
        self.assertEqual(set(ARRAYS), set(arrays))
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(array, arrays[name])
            self.assertEqual(array.dtype, arrays[name].dtype)
        self.assertEqual(told, self.store.describe('tiny', kept.version))
        self.assertEqual(told, self.store.verify('tiny', kept.version))
        self.assertEqual([('tiny', kept.version, 'kept')],
                         self.store.names())
        self.assertEqual(kept.sha256, kept.public()['sha256'])
        self.assertNotIn('state', kept.public())
        self.assertTrue(kept.libraries['numpy'])

    def test_views_of_arrays(self) -> None:
        kept = self.store.save(draft(), {'w': ARRAYS['weight'].T})
        np.testing.assert_array_equal(
            ARRAYS['weight'].T,
            self.store.load('tiny', kept.version)[1]['w'])

    def test_only_the_owner_can_read(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        kept = self.store.save(draft(), ARRAYS)
        folder = self.folder(kept)
        for path in (folder, folder.parent, self.root):
            self.assertEqual(0o700, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(
            {filesystem.WEIGHTS: 0o600, filesystem.DESCRIPTION: 0o600},
            {path.name: stat.S_IMODE(path.stat().st_mode)
             for path in folder.iterdir()})

    def test_nothing_is_there(self) -> None:
        self.assertEqual([], self.store.names())
        error = self.assertRaises(
            exception.ModelError, self.store.load, 'tiny',
            '20261121T030000Z-1a2b3c4d')
        self.assertIn('openstack-rca-manage model import', str(error))

    def test_default_folder(self) -> None:
        self.config(state_path=str(self.tmp / 'state'))
        kept = filesystem.FilesystemStore().save(draft(), ARRAYS)
        self.assertTrue((self.tmp / 'state' / 'models' / 'tiny'
                         / kept.version).is_dir())

    def test_nothing_half_written(self) -> None:
        for name in ('rename', 'mkdir'):
            with mock.patch.object(pathlib.Path, name, autospec=True,
                                   side_effect=OSError(28, 'No space')):
                error = self.assertRaises(
                    exception.ModelError, self.store.save, draft(), ARRAYS)
            self.assertIn('No space', str(error))
            self.assertEqual([], self.store.names())
            self.assertEqual([], [*self.tmp.glob('models/*/*')])

    def test_killed_while_writing(self) -> None:
        with mock.patch.object(pathlib.Path, 'rename', autospec=True,
                               side_effect=KeyboardInterrupt), \
                mock.patch('shutil.rmtree', autospec=True):
            self.assertRaises(KeyboardInterrupt, self.store.save, draft(),
                              ARRAYS)
        left, = (self.root / 'tiny').iterdir()
        self.assertEqual([], self.store.names())
        self.store.save(draft(), ARRAYS)
        self.assertTrue(left.exists())
        os.utime(left, (0, 0))
        self.store.save(draft(), {'w': ARRAYS['bias']})
        self.assertFalse(left.exists())

    def test_delete(self) -> None:
        kept = self.store.save(draft(), ARRAYS)
        other = self.store.save(draft('other'), ARRAYS)
        self.store.delete('tiny', kept.version)
        self.assertEqual([('other', other.version, 'kept')],
                         self.store.names())
        self.assertEqual([], [*(self.root / 'tiny').iterdir()])
        self.assertRaises(exception.ModelError, self.store.delete, 'tiny',
                          kept.version)

    def test_shipped(self) -> None:
        kept = filesystem.FilesystemStore(self.package).save(draft(), ARRAYS)
        for path in self.folder(kept, self.package).iterdir():
            path.chmod(0o644)
        self.assertEqual([('tiny', kept.version, 'shipped')],
                         self.store.names())
        self.assertEqual('shipped',
                         self.store.load('tiny', kept.version)[0].origin)
        error = self.assertRaises(exception.ModelError, self.store.delete,
                                  'tiny', kept.version)
        self.assertIn('came with the package', str(error))
        self.assertRaises(exception.ModelError, self.store.add, kept, ARRAYS)

    def test_shipped_ones_cannot_be_replaced(self) -> None:
        kept = filesystem.FilesystemStore(self.package).save(draft(), ARRAYS)
        fake = self.store.save(draft(), {'w': ARRAYS['bias']})
        self.folder(fake).rename(self.folder(kept, self.root))
        self.assertEqual('shipped',
                         self.store.load('tiny', kept.version)[0].origin)
        self.assertEqual([('tiny', kept.version, 'shipped')],
                         self.store.names())

    def test_models_of_the_package_are_good(self) -> None:
        store = filesystem.FilesystemStore(self.root)
        for detector, version, _ in store.names():
            self.assertEqual('shipped',
                             store.verify(detector, version).origin)

    def test_copied_from_another_store(self) -> None:
        kept = self.store.save(draft(), ARRAYS)
        other = filesystem.FilesystemStore(self.tmp / 'other', self.package)
        added = other.add(*filesystem.read(self.folder(kept)))
        self.assertEqual(kept, added)
        self.assertEqual(kept, other.verify('tiny', kept.version))
        error = self.assertRaises(exception.ModelError, other.add,
                                  *filesystem.read(self.folder(kept)))
        self.assertIn('already', str(error))


class TestRefused(TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.kept = self.store.save(draft(), ARRAYS)
        self.weights = self.folder(self.kept) / filesystem.WEIGHTS
        self.told = self.folder(self.kept) / filesystem.DESCRIPTION

    def test_names_that_are_paths(self) -> None:
        for detector in ('', '..', '../tiny', '/tiny', 'ti/ny', 'Tiny',
                         'tiny\n', '\0', 'x' * 65, '.tiny', '-tiny'):
            for call in (self.store.load, self.store.describe,
                         self.store.delete):
                error = self.assertRaises(exception.ModelError, call,
                                          detector, self.kept.version)
                self.assertIn('no name of a detector', str(error))
                self.assertTrue(str(error).isprintable())
            self.assertRaises(exception.ModelError, self.store.save,
                              draft(detector), ARRAYS)
        for version in ('', '.', '..', '../tiny', self.kept.version + '/',
                        self.kept.version + '\n', '20261121'):
            error = self.assertRaises(exception.ModelError, self.store.load,
                                      'tiny', version)
            self.assertIn('no version of a model', str(error))

    def test_every_flipped_bit_of_the_weights(self) -> None:
        data = self.weights.read_bytes()
        for place in range(0, len(data), 7):
            changed = bytearray(data)
            changed[place] ^= 1
            self.weights.write_bytes(changed)
            self.refused(self.kept, 'checksum', 'openstack rca model')
        self.weights.write_bytes(data)
        self.store.verify('tiny', self.kept.version)

    def test_truncated(self) -> None:
        data = self.weights.read_bytes()
        for size in (0, 1, 8, len(data) - 1):
            self.weights.write_bytes(data[:size])
            self.refused(self.kept, f'{size} bytes', 'cut')
        self.weights.write_bytes(data + b'x')
        self.refused(self.kept, 'replaced')
        text = self.told.read_text()
        for size in (0, 1, len(text) // 2, len(text) - 1):
            self.told.write_text(text[:size])
            self.refused(self.kept, filesystem.DESCRIPTION)

    def test_missing(self) -> None:
        for path in (self.weights, self.told):
            data = path.read_bytes()
            path.unlink()
            self.refused(self.kept, str(path), 'No such file')
            path.mkdir()
            self.refused(self.kept, str(path), 'not a file')
            path.rmdir()
            path.write_bytes(data)

    def test_links_and_pipes(self) -> None:
        data = self.weights.read_bytes()
        (self.tmp / 'elsewhere').write_bytes(data)
        self.weights.unlink()
        self.weights.symlink_to(self.tmp / 'elsewhere')
        self.refused(self.kept, str(self.weights))
        self.weights.unlink()
        os.mkfifo(self.weights)
        self.refused(self.kept, 'not a file')

    def test_too_big(self) -> None:
        self.config('models', max_bytes=1024)
        error = self.assertRaises(
            exception.ModelError, self.store.save, draft(),
            {'w': np.zeros(1024, dtype=np.float64)})
        self.assertIn('[models] max_bytes', str(error))
        self.conf.clear_override('max_bytes', group='models')
        kept = self.store.save(draft(), {'w': np.zeros(1024)})
        self.config('models', max_bytes=1024)
        self.refused(kept, '[models] max_bytes')
        with open(self.told, 'ab') as file:
            file.truncate((16 << 20) + 1)
        self.refused(self.kept, 'bytes; 16777216 are allowed')

    def test_foreign(self) -> None:
        for text in ('[]', '{}', '17', 'null', '"x"', '[' * 100000,
                     '{"version": 1}'):
            self.told.write_text(text)
            self.refused(self.kept, filesystem.DESCRIPTION)
        self.told.write_bytes(b'\x80\x04\x95.')
        self.refused(self.kept, 'no JSON')

    def test_another_format(self) -> None:
        for value in (0, 2, '1', None, [1]):
            self.rewrite(self.kept, format=value)
            self.refused(self.kept, 'another release')

    def test_changed_description(self) -> None:
        self.rewrite(self.kept, sign=False, thresholds={'score': 0.0})
        self.refused(self.kept, 'checksum')

    def test_description_of_wrong_kinds(self) -> None:
        text = self.told.read_text()
        changed: Any
        for changed in ({'state': []}, {'metrics': None}, {'weights': 1},
                        {'weights': {'sha256': 1, 'bytes': 1,
                                     'arrays': {}}},
                        {'weights': {'sha256': '', 'bytes': '1',
                                     'arrays': {}}}):
            self.rewrite(self.kept, **changed)
            self.refused(self.kept, 'does not say all')
            self.told.write_text(text)
        self.told.write_text(text.replace('0.5', 'NaN'))
        self.refused(self.kept, 'numbers')

    def test_moved(self) -> None:
        self.rewrite(self.kept, detector='other')
        self.refused(self.kept, 'another detector')
        self.rewrite(self.kept, detector='../../etc')
        self.refused(self.kept, 'no name of a detector')
        self.rewrite(self.kept, detector='tiny',
                     version='20200101T000000Z-00000000')
        self.refused(self.kept, 'another version')

    def _weights(self, data: bytes, arrays: dict[str, Any]) -> None:
        """Replace the weights, with checksums that hold."""
        self.weights.write_bytes(data)
        self.rewrite(self.kept, weights={
            'sha256': hashlib.sha256(data).hexdigest(), 'bytes': len(data),
            'arrays': arrays})

    def test_other_arrays(self) -> None:
        told = json.loads(self.told.read_text())['weights']['arrays']
        for arrays in ({'weight': ARRAYS['weight']},
                       {**ARRAYS, 'more': ARRAYS['bias']},
                       {**ARRAYS, 'bias': ARRAYS['bias'].astype('float32')},
                       {**ARRAYS, 'weight': ARRAYS['weight'].T.copy()}):
            self._weights(safetensors.numpy.save(arrays), told)
            self.refused(self.kept, 'other arrays')

    def test_no_safetensors(self) -> None:
        header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
        for data in (b'', b'\x80\x04\x95.', b'\xff' * 8, b'\0' * 100,
                     len(header).to_bytes(8, 'little') + header + b'\0\0'):
            self._weights(data, {})
            self.refused(self.kept)

    @hypothesis.settings(max_examples=150, suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.differing_executors])
    @hypothesis.given(strategies.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        text = self.told.read_bytes()
        self._weights(data, {'w': {'dtype': 'float32', 'shape': [1]}})
        self.assertRaises(exception.ModelError, self.store.load, 'tiny',
                          self.kept.version)
        self.told.write_bytes(data)
        self.assertRaises(exception.ModelError, self.store.load, 'tiny',
                          self.kept.version)
        self.told.write_bytes(text)

    def test_what_cannot_be_written(self) -> None:
        changed: Any
        for changed in ({'metrics': {'f1': float('nan')}},
                        {'state': {'x': object()}}):
            self.assertRaises(exception.ModelError, self.store.save,
                              draft(**changed), ARRAYS)
        for array in (np.array(['a']), np.array([object()])):
            self.assertRaises(exception.ModelError, self.store.save,
                              draft(), {'w': array})
        self.assertEqual(1, len(self.store.names()))

    def test_strangers_in_the_folder(self) -> None:
        (self.root / 'README').write_text('x')
        (self.root / 'lost+found').mkdir()
        (self.root / 'tiny' / 'x').mkdir()
        (self.root / 'tiny' / '.new-x').mkdir()
        self.assertEqual([('tiny', self.kept.version, 'kept')],
                         self.store.names())
