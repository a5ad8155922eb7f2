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
"""openstack-rca-manage codemap."""

import contextlib
import io

from openstack_rca.analysis import codemap
from openstack_rca.cmd import manage
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources


class TestCodemap(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.tree = self.tmp / 'tree'
        sources.write(self.tree, sources.NOVA)
        self.target = self.tmp / 'maps'
        self.target.mkdir()

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), \
                contextlib.redirect_stderr(stderr):
            status = manage.run(['codemap', *arguments])
        self.assertNotIn('bug in openstack_rca', stderr.getvalue())
        return status, stdout.getvalue(), stderr.getvalue()

    def _build(self, *arguments: str) -> tuple[int, str, str]:
        return self._run('build', '--output', str(self.target), *arguments)

    def test_build_and_show(self) -> None:
        status, told, error = self._build(
            '--source', str(self.tree), '--release', '34.0.0')
        self.assertEqual((0, ''), (status, error))
        path = self.target / 'nova.codemap.gz'
        line = ('nova 34.0.0: 9 files, 11 functions, 9 log statements, '
                '1 raises, 8 calls')
        self.assertEqual(
            f'{line}, {path.stat().st_size} bytes in {path}\n', told)
        self.assertEqual((0, f'{line}\n', ''), self._run('show', str(path)))

    def test_shipped_maps_are_shown(self) -> None:
        status, told, error = self._run('show')
        self.assertEqual((0, ''), (status, error))
        self.assertEqual(
            ['cinder 29.0.0', 'glance 33.0.0', 'keystone 30.0.0',
             'neutron 29.0.0', 'nova 34.0.0', 'placement 16.0.0'],
            [line.partition(':')[0] for line in told.splitlines()])

    def test_installed_packages(self) -> None:
        for name in ('nova', 'cinder'):
            sources.write(self.tmp / 'site', {
                f'{name}/__init__.py': 'LOG.info("a")\n',
                f'{name}-9.dist-info/METADATA':
                f'Name: {name}\nVersion: 9\n',
                f'{name}-9.dist-info/RECORD': f'{name}/__init__.py,,\n'})
        status, _told, error = self._build(
            '--path', str(self.tmp / 'site'), '--package', 'nova',
            '--package', 'cinder')
        self.assertEqual((0, ''), (status, error))
        self.assertEqual('9', codemap.load(
            self.target / 'cinder.codemap.gz').release)

    def test_what_cannot_be_read_is_told(self) -> None:
        sources.write(self.tree, {
            f'nova/b{i:02}\x1b.py': '(' for i in range(12)})
        status, told, error = self._build(
            '--source', str(self.tree), '--release', '1')
        self.assertEqual(1, status)
        self.assertIn('12 files left out', told)
        self.assertIn('  left out nova/b00', told)
        self.assertIn('  left out 2 more', told)
        self.assertNotIn('\x1b', told)
        self.assertIn('another version of Python', error)

    def test_what_is_wrong(self) -> None:
        source = ('--source', str(self.tree))
        release = ('--release', '1')
        for arguments, said in (
                ((), '--package'), (source, '--release'),
                ((*source, '--release', 'x' * 99), '--release'),
                ((*source, '--release', 'a\nb'), '--release'),
                (('--source', str(self.tmp / 'no'), *release), 'No such'),
                (('--package', 'no-such-thing'), 'no-such-thing'),
                ((*source, *source, *release, '--output',
                  str(self.tmp / 'file')), 'no folder'),
                ((*source, *release, '--output',
                  str(self.tmp / 'no' / 'file')), 'cannot be written')):
            status, _told, error = self._build(*arguments)
            self.assertEqual(1, status)
            self.assertIn(said, error)
        status, _told, error = self._run('show', str(self.tree))
        self.assertEqual(1, status)
        self.assertIn('no code map', error)
