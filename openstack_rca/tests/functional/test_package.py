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
"""The package as it is installed: its programs, entry points and weight."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import openstack_rca
from openstack_rca.analysis import codemap
from openstack_rca.tests import base

ROOT = pathlib.Path(openstack_rca.__path__[0]).parent
NAME = 'openstack_rca'


def entry_points() -> list[importlib.metadata.EntryPoint]:
    """What the package registers, the policies of the engine too."""
    return list(importlib.metadata.distribution(NAME).entry_points)


class TestEntryPoints(base.TestCase):

    def test_all_can_be_loaded(self) -> None:
        points = entry_points()
        self.assertGreater(len(points), 10)
        for point in points:
            self.assertIsNotNone(point.load(), point.name)


class TestWeight(base.TestCase):

    HEAVY = ('faiss', 'numpy', 'polars', 'sentence_transformers', 'torch')

    def _loaded(self, *words: str) -> list[str]:
        """Heavy modules that a command line imports."""
        code = ('import atexit, sys\n'
                'atexit.register(lambda: print("LOADED", *sorted('
                f'set({self.HEAVY!r}) & set(sys.modules))))\n'
                'from openstackclient import shell\n'
                'sys.exit(shell.main(sys.argv[1:]))\n')
        done = subprocess.run(
            [sys.executable, '-c', code, *words], capture_output=True,
            text=True, check=False, env={**os.environ, 'COLUMNS': '80'})
        self.assertEqual(0, done.returncode, done.stderr)
        told = [line for line in done.stdout.splitlines()
                if line.startswith('LOADED')]
        self.assertEqual(1, len(told), done.stdout)
        return told[0].split()[1:]

    def test_help_is_light(self) -> None:
        for words in (('--help',), ('rca', '--help'),
                      ('rca', 'analyze', '--help')):
            self.assertEqual([], self._loaded(*words), ' '.join(words))

    def test_fast_mode_imports_no_torch(self) -> None:
        loaded = self._loaded(
            'rca', 'analyze', '--no-cache', '--issue', 'No valid host',
            '--log-dir', str(ROOT / 'examples' / 'no-valid-host' / 'logs'))
        self.assertIn('polars', loaded)
        self.assertNotIn('torch', loaded)
        self.assertNotIn('faiss', loaded)


class TestData(base.TestCase):

    def test_code_maps_come_with_the_wheel(self) -> None:
        # What was built before must not stand in for what is built now.
        tree = self.tmp / 'tree'
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(
            '.*', 'build', 'dist', '*.egg-info', '__pycache__', 'tests'))
        done = subprocess.run(
            [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--quiet',
             '--wheel-dir', str(self.tmp), str(tree)],
            capture_output=True, text=True, check=False,
            env={**os.environ, 'PBR_VERSION': '1.0.0'})
        self.assertEqual(0, done.returncode, done.stderr)
        [wheel] = self.tmp.glob('*.whl')
        with zipfile.ZipFile(wheel) as archive:
            held = {pathlib.PurePath(name).name
                    for name in archive.namelist()
                    if '/data/codemap/' in name}
        self.assertEqual({
            f'{name}{codemap.SUFFIX}' for name in (
                'cinder', 'glance', 'keystone', 'neutron', 'nova',
                'placement')}, held)


class TestPrograms(base.TestCase):

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = pathlib.Path(sys.executable).parent / words[0]
        return subprocess.run([str(program), *words[1:]],
                              capture_output=True, text=True, check=False,
                              cwd=self.tmp)

    def test_analyze_of_the_readme(self) -> None:
        example = ROOT / 'examples' / 'no-valid-host'
        done = self._run('openstack', 'rca', 'analyze', '--issue',
                         (example / 'ISSUE').read_text().strip(),
                         '--log-dir', str(example / 'logs'))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('compute-capacity', done.stdout)
        self.assertIn('nova-scheduler.log:', done.stdout)
        self.assertNotIn('\x1b', done.stdout)

    def test_configuration_is_read(self) -> None:
        example = ROOT / 'examples' / 'no-valid-host'
        # The home of this process is the test's own.
        folder = pathlib.Path.home() / '.openstack-rca'
        folder.mkdir()
        for text, told in (('[detectors]\nenabled = counts,nonsense\n',
                            'nonsense'),
                           ('[local_cache]\nmax_age = soon\n', 'max_age'),
                           ('[cache\n', 'openstack-rca.conf')):
            (folder / 'openstack-rca.conf').write_text(text)
            done = self._run('openstack', 'rca', 'analyze',
                             '--log-dir', str(example / 'logs'))
            self.assertEqual(1, done.returncode, done.stdout)
            self.assertIn(told, done.stderr)
            self.assertNotIn('Traceback', done.stderr)

    def test_manage_has_help(self) -> None:
        done = self._run('openstack-rca-manage', '--help')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('evaluate', done.stdout)

    def test_a_sample_configuration_can_be_written_and_read(self) -> None:
        sample = self.tmp / 'sample.conf'
        done = self._run('oslo-config-generator', '--namespace', NAME,
                         '--output-file', str(sample))
        self.assertEqual(0, done.returncode, done.stderr)
        text = sample.read_text()
        self.assertIn('[local_cache]', text)
        # As an operator would change it.
        sample.write_text(text.replace('#max_age = 604800', 'max_age = 60'))
        self.conf([], default_config_files=[str(sample)])
        self.assertEqual(60, self.conf.local_cache.max_age)

    def test_a_sample_policy_can_be_written(self) -> None:
        done = self._run('oslopolicy-sample-generator', '--namespace', NAME)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('"rca:analyses:create": "role:admin"', done.stdout)
