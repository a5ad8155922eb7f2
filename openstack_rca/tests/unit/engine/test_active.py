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

import dataclasses
from importlib import util
import json
import subprocess
import sys
from typing import Any
from unittest import mock

import numpy as np

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import novelty
from openstack_rca.engine import active
from openstack_rca.engine import drivers
from openstack_rca.engine import local
from openstack_rca.models import base as models
from openstack_rca.models import filesystem
from openstack_rca.tests import base
from openstack_rca.tests.unit.engine import test_worker
from openstack_rca.tests.unit.engine import tiny


class ActiveCase(test_worker.TestCase):
    """A test with the detectors ``novelty`` and ``tiny``."""

    def setUp(self) -> None:
        super().setUp()
        self.config('detectors', enabled=['novelty', 'tiny'])
        self.broken: Exception | None = None
        real = drivers.load

        def load(namespace: str, name: str) -> Any:
            if (namespace, name) != ('openstack_rca.detectors', 'tiny'):
                return real(namespace, name)
            if self.broken is not None:
                raise self.broken
            return tiny.TinyDetector

        self.replace(drivers, 'load', load)
        self.replace(active, '_LOADED', {})

    def replace(self, module: Any, name: str, value: Any) -> None:
        """Put something else there for this test."""
        patch = mock.patch.object(module, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def keep(self, mean: float, store: models.Store | None = None) -> str:
        """Keep a model.

        :param mean: what it has learned
        :returns: its version
        """
        arrays, told = tiny.TinyDetector(mean).state()
        return (store or drivers.model_store()).save(models.Draft(
            detector='tiny', trained_on={}, settings={}, metrics={},
            thresholds={}, state=told), arrays).version

    def damage(self, version: str) -> None:
        """Change a byte of the weights."""
        path = (self.tmp / 'state' / 'models' / 'tiny' / version
                / filesystem.WEIGHTS)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)


class TestChosen(ActiveCase):

    def full(self, **versions: str) -> tuple[
            list[tuple[str, Any]], list[dict[str, Any]]]:
        """What full mode looks with."""
        return active.chosen('full', versions)

    def mean(self, **versions: str) -> float:
        """What the tiny detector has learned."""
        found = dict(self.full(**versions)[0])['tiny']
        return float(found._detector.mean)

    def test_fast_leaves_those_out_that_learn(self) -> None:
        found, skipped = active.chosen('fast', {'tiny': self.keep(1)})
        self.assertEqual([], skipped)
        (name, detector), = found
        self.assertEqual('novelty', name)
        self.assertIsInstance(detector, novelty.NoveltyDetector)

    def test_full_follows_the_versions(self) -> None:
        first, second = self.keep(1), self.keep(2)
        store = drivers.model_store()
        self.replace(drivers, 'model_store', mock.Mock(return_value=store))
        load = mock.Mock(side_effect=store.load)
        self.replace(store, 'load', load)
        for version, mean in ((first, 1), (first, 1), (second, 2),
                              (second, 2), (first, 1)):
            self.assertEqual(mean, self.mean(tiny=version))
        # Each change once; one that is not used any more is not held.
        self.assertEqual(3, load.call_count)
        self.assertEqual(1, len(active._LOADED))

    def test_without_a_model(self) -> None:
        found, skipped = self.full()
        self.assertEqual((['novelty', 'tiny'], []),
                         ([name for name, _ in found], skipped))

    def test_missing_and_damaged(self) -> None:
        bad = self.keep(1)
        self.damage(bad)
        gone = '20261121T030000Z-1a2b3c4d'
        for version, reason in ((bad, 'checksum'),
                                (gone, 'There is no model')):
            found, skipped = self.full(tiny=version)
            self.assertEqual(['novelty'], [name for name, _ in found])
            row, = skipped
            self.assertEqual((f'model tiny/{version}', 0),
                             (row['source'], row['bytes']))
            self.assertIn(reason, row['reason'])
        # The next one is used all the same.
        self.assertEqual(3, self.mean(tiny=self.keep(3)))

    def test_foreign(self) -> None:
        version = drivers.model_store().save(models.Draft(
            detector='tiny', trained_on={}, settings={}, metrics={},
            thresholds={}, state={}), {'other': np.zeros(1)}).version
        row, = self.full(tiny=version)[1]
        self.assertIn('it is another', row['reason'])

    def test_without_torch(self) -> None:
        version = self.keep(1)
        self.replace(util, 'find_spec', lambda name: None)
        row, = self.full(tiny=version)[1]
        self.assertIn('torch is not installed', row['reason'])
        self.assertIn('openstack_rca[engine]', row['reason'])

    def test_without_another_library(self) -> None:
        self.broken = ModuleNotFoundError('No module', name='numpy')
        self.assertEqual([], active.chosen('fast', {})[1])
        row, = self.full()[1]
        self.assertEqual('detector tiny', row['source'])
        self.assertIn('numpy is not installed', row['reason'])

    def test_not_installed(self) -> None:
        self.broken = exception.DriverNotFound(
            name='tiny', namespace='x', known='y')
        for mode in ('fast', 'full'):
            self.assertRaises(exception.DriverNotFound, active.chosen, mode,
                              {})

    def test_those_of_the_package(self) -> None:
        folder = self.tmp / 'package'
        store = filesystem.FilesystemStore(folder, folder)
        self.replace(filesystem, '_SHIPPED', folder)
        self.keep(9)
        self.assertEqual({}, active.shipped(store))
        old = self.keep(1, filesystem.FilesystemStore(
            folder, self.tmp / 'none'))
        new = self.keep(2, filesystem.FilesystemStore(
            folder, self.tmp / 'none'))
        self.assertEqual({'tiny': max(old, new)}, active.shipped(store))
        found, skipped = active.chosen('full', None)
        self.assertEqual([], skipped)
        mean = dict(found)['tiny']._detector.mean  # type: ignore
        self.assertEqual(1 if old > new else 2, mean)


class TestAnalyses(ActiveCase):

    def report(self, mode: str, **versions: str) -> dict[str, Any]:
        """The report of a worker."""
        made = self.open(a=test_worker.LOGS)
        found: dict[str, Any] = json.loads(made.answer(
            'analysis', {'issue': 'No valid host', 'mode': mode}, None,
            versions))
        return found

    def why(self, report: dict[str, Any]) -> str:
        """All reasons for evidence."""
        return ' '.join(str(row['why']) for row in report['evidence'])

    def test_full_mode_uses_the_model(self) -> None:
        # So far from what it learned that it alarms.
        version = self.keep(10_000)
        report = self.report('full', tiny=version)
        self.assertEqual('full', report['mode'])
        self.assertIn('so many events', self.why(report))
        self.assertEqual('cause_found', report['verdict'])
        report = self.report('fast', tiny=version)
        self.assertNotIn('so many events', self.why(report))

    def test_it_goes_on_without_a_damaged_one(self) -> None:
        version = self.keep(10_000)
        self.damage(version)
        report = self.report('full', tiny=version)
        self.assertEqual('cause_found', report['verdict'])
        self.assertEqual([f'model tiny/{version}'],
                         [row['source'] for row in report['skipped']])

    def test_it_goes_on_when_one_fails(self) -> None:
        version = self.keep(1)
        self.replace(tiny.TinyDetector, 'score', mock.Mock(
            side_effect=exception.ModelError(name='tiny', reason='ill.')))
        report = self.report('full', tiny=version)
        self.assertEqual('cause_found', report['verdict'])
        row, = report['skipped']
        self.assertIn('ill.', row['reason'])

    def test_locally(self) -> None:
        self.config('models', directory=str(self.tmp / 'not-mine'))
        (self.tmp / 'not-mine').mkdir(mode=0)
        found = local.open_folder(test_worker.LOGS, cache=False)
        report = found.analyze(scope.Question(issue='No valid host',
                                              mode='full'))
        self.assertEqual('cause_found', report['verdict'])
        self.assertEqual([], report['skipped'])

    def test_no_more_events_than_can_be_held(self) -> None:
        asked: list[tuple[int, int]] = []

        def look(_: Any, view: detectors.View) -> Any:
            quiet = dataclasses.replace(
                view.query, since=None, until=view.onset)
            asked.append(tuple(  # type: ignore[arg-type]
                view.store.query(q).height for q in (view.query, quiet)))
            return detectors.no_symptoms()

        self.replace(tiny.TinyDetector, 'look', look)
        self.report('full')
        self.replace(active, '_MOST_EVENTS', 30)
        self.report('full')
        (whole, before), (part, less) = asked
        self.assertGreater(whole, part)
        self.assertGreater(before, less)
        for count in (part, less):
            # Whole windows of the profile, and no more than one too many.
            self.assertTrue(0 < count <= 200, count)

    def test_careful_ones_detect(self) -> None:
        made = active._Careful('novelty', None, novelty.NoveltyDetector(),
                               [])
        profile = local.open_folder(test_worker.LOGS, cache=False).store
        current = detectors.profile(profile.scan())
        self.assertFalse(made.detect(current, current.head(0)).is_empty())


class TestImports(base.TestCase):

    def _imported(self, code: str) -> set[str]:
        """What of the heavy libraries some code imports."""
        found = subprocess.run(
            [sys.executable, '-c', f'''
import json, pathlib, sys
from openstack_rca import conf
from openstack_rca.analysis import scope
from openstack_rca.engine import active
from openstack_rca.engine import local
conf.load([], [])
{code}
print(json.dumps(sorted(sys.modules)))
'''], check=True, capture_output=True, text=True)
        return set(json.loads(found.stdout)) & {
            'torch', 'faiss', 'sentence_transformers', 'transformers'}

    def test_fast_mode_imports_no_torch(self) -> None:
        self.assertEqual(set(), self._imported(f'''
assert 'lstm' in conf.CONF.detectors.enabled
report = local.open_folder(
    pathlib.Path({str(test_worker.LOGS)!r}), cache=False).analyze(
        scope.Question(issue='No valid host'))
assert report['mode'] == 'fast' and not report['skipped']
'''))

    def test_words_alone_import_no_torch(self) -> None:
        self.assertEqual(set(), self._imported(f'''
conf.CONF.set_override('enabled', ['novelty'], 'detectors')
conf.CONF.set_override('driver', 'bm25', 'retrieval')
active.warm()
report = local.open_folder(
    pathlib.Path({str(test_worker.LOGS)!r}), cache=False).analyze(
        scope.Question(issue='No valid host', mode='full'))
assert report['mode'] == 'full' and not report['skipped']
'''))
