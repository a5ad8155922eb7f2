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
"""Code maps: what is kept is what was read, and templates find it."""

import gzip
import json
import pathlib
import re
import string
from typing import Any

import hypothesis
from hypothesis import strategies
import polars as pl

from openstack_rca import exception
from openstack_rca.analysis import codemap
from openstack_rca.analysis import codesource
from openstack_rca.events import templates
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources


def template(*messages: str) -> list[str]:
    """The templates of messages."""
    frame = pl.DataFrame({'text': messages}).with_columns(
        masked=templates.mask(pl.col('text')))
    known = templates.identify(frame['masked'])
    return list(frame.join(known, on='masked', how='left',
                           maintain_order='left')['pattern'])


class KeptTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.tmp / 'nova.codemap.gz'
        self.document = codemap.build(sources.package(release='34.0.0'))

    def damaged(self, **change: Any) -> str:
        """What is said of a map with parts of it changed."""
        data = json.dumps(self.document | change).encode()
        self.path.write_bytes(gzip.compress(data))
        error = self.assertRaises(exception.CodeMapError, codemap.load,
                                  self.path)
        self.assertIn(str(self.path), str(error))
        return str(error)

    def test_round(self) -> None:
        size = codemap.save(self.document, self.path)
        self.assertEqual(size, self.path.stat().st_size)
        found = codemap.load(self.path)
        self.assertEqual(('nova', '34.0.0'), (found.package, found.release))
        self.assertEqual(
            {'files': 9, 'functions': 11, 'logs': 9, 'raises': 1, 'calls': 8,
             'skipped': 0}, found.counts())
        [number] = found.find('nova/compute/api.py', 'start')
        self.assertEqual('self,context,uuid',
                         found.functions[number].arguments)
        get, check = found.steps(number)
        self.assertEqual(('API.get', 'instance', 'context,uuid', True), (
            found.functions[get.callees[0]].name, get.target, get.given,
            get.sure))
        [caller] = found.callers(number)
        self.assertEqual('Manager.run', found.functions[caller].name)
        [maker] = found.find('nova/db/api.py', 'instance_get')
        [step] = found.steps(maker)
        self.assertEqual({'nova/db/api.py', 'nova/db/sqlalchemy/api.py'},
                         {found.functions[c].file for c in step.callees})
        self.assertFalse(step.sure)
        self.assertEqual('return', step.target)
        [(raiser, line, said)] = found.raises('HostNotFound')
        self.assertEqual(('API._check', 27, ''), (
            found.functions[raiser].name, line, said))
        self.assertTrue(found.defines('HostNotFound'))
        self.assertFalse(found.defines('ValueError'))

    def test_the_same_source_gives_the_same_bytes(self) -> None:
        codemap.save(self.document, self.path)
        first = self.path.read_bytes()
        backwards = dict(reversed(sources.NOVA.items()))
        codemap.save(codemap.build(sources.package(
            backwards, release='34.0.0')), self.path)
        self.assertEqual(first, self.path.read_bytes())
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)

    def test_dotted_names(self) -> None:
        codemap.save(self.document, self.path)
        found = codemap.load(self.path)
        for name, place in (
                ('nova.compute.api.API.start',
                 ('nova/compute/api.py', 'start')),
                ('nova.compute.api.API.start-123',
                 ('nova/compute/api.py', None)),
                ('nova.compute.api', ('nova/compute/api.py', None)),
                ('nova.compute.API', ('nova/compute/__init__.py', 'API')),
                ('nova.other.thing', None), ('nova', None)):
            self.assertEqual(place, found.dotted(name), name)

    def test_two_functions_of_a_name(self) -> None:
        codemap.save(codemap.build(sources.package({
            'a/__init__.py': 'class A:\n  def f(self):\n    pass\n'
                             'class B:\n  def f(self):\n    pass\n'})),
            self.path)
        found = codemap.load(self.path)
        self.assertEqual(['A.f', 'B.f'], [
            found.functions[found.find('a/__init__.py', 'f', line)[0]].name
            for line in (1, 7)])

    def test_what_cannot_be_read(self) -> None:
        missing = self.assertRaises(exception.CodeMapError, codemap.load,
                                    self.tmp / 'missing')
        self.assertIn('No such file', str(missing))
        codemap.save(self.document, self.path)
        data = self.path.read_bytes()
        for broken in (b'', b'text', data[:-20], gzip.compress(b'{'),
                       gzip.compress(b'\xff'), gzip.compress(b'[' * 10**5),
                       gzip.compress(b'[]')):
            self.path.write_bytes(broken)
            self.assertRaises(exception.CodeMapError, codemap.load,
                              self.path)
        self.assertRaises(exception.CodeMapError, codemap.save,
                          self.document, self.tmp / 'no' / 'folder')
        self.assertEqual(['nova.codemap.gz', 'xdg'],
                         sorted(p.name for p in self.tmp.iterdir()))

    def test_what_is_no_map(self) -> None:
        self.assertIn('something else', self.damaged(format='x'))
        self.assertIn('codemap build', self.damaged(version=2))
        changes: tuple[dict[str, Any], ...] = (
            {'package': 1}, {'release': None}, {'strings': [1]},
            {'files': {}}, {'skipped': ['ab']}, {'logs': []}, {'calls': {}})
        for change in changes:
            self.damaged(**change)
        logs = self.document['logs']
        for column, value in (('line', -1), ('line', True), ('line', 1.0),
                              ('text', 10**6), ('function', 10**6),
                              ('text', '1')):
            self.damaged(logs={**logs, column: [value, *logs[column][1:]]})
        self.damaged(logs={**logs, 'line': logs['line'][1:]})
        calls = self.document['calls']
        for value in (10**6, -10**6):
            self.damaged(calls={
                **calls, 'callee': [value, *calls['callee'][1:]]})

    @hypothesis.given(strategies.recursive(
        strategies.none() | strategies.booleans() | strategies.integers()
        | strategies.text(max_size=5),
        lambda x: strategies.lists(x, max_size=3)
        | strategies.dictionaries(strategies.sampled_from(
            ('strings', 'files', 'functions', 'logs', 'raises', 'calls',
             'exceptions', 'skipped', 'file', 'name', 'line')), x,
            max_size=4), max_leaves=10))
    def test_any_document(self, change: Any) -> None:
        if not isinstance(change, dict) or not change:
            return
        self.path.write_bytes(gzip.compress(
            json.dumps(self.document | change).encode()))
        try:
            codemap.load(self.path)
        except exception.CodeMapError:
            hypothesis.event('refused')


class MatchTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.atlas = sources.atlas(self.tmp)
        found = self.atlas.of('nova')
        assert found is not None
        self.map = found

    def match(self, message: str, logger: str | None = 'nova.manager',
              level: int = 0) -> list[str | None]:
        return [m.function for m in self.map.match(
            template(message)[0], logger, level)]

    def test_messages(self) -> None:
        for message, functions in (
                ('second thing 17', ['run']), ('first of all', ['run']),
                ('nothing', ['run']), ('Nothing 5% done', ['run']),
                ('[instance: 0a1b2c3d-1111-4222-8333-444455556666] second '
                 'thing of a kind', ['run']),
                ('Host cmp1 went away: timed out', ['run']),
                ('Odd 1 in a place', ['run']),
                ('Cannot run  the thing', ['inner']),
                ('nothing: nova.exception_Remote.HostNotFound_Remote: Host '
                 'cmp1 could not be found.', ['run']),
                ('nothing: OSError: [Errno 28] No space', ['run']),
                ('nothing: else', []),
                ('Something else', []), ('thing second 17', []),
                ('', []), ('17', []), ('Host cmp1 went', [])):
            self.assertEqual(functions, self.match(message), message)

    def test_logger_and_level_rank(self) -> None:
        one = 'Starting instance 17 now'
        best = self.map.match(template(one)[0], 'nova.compute.api', 20)[0]
        self.assertEqual(('nova/compute/api.py', 'start', 23), (
            best.file, best.function, best.line))
        for logger, level in (('nova.other', 20), ('nova.compute.api', 40)):
            other = self.map.match(template(one)[0], logger, level)[0]
            self.assertLess(other.quality, best.quality)
        self.assertEqual(best.quality, self.map.match(
            template(one)[0], None)[0].quality)

    def test_atlas(self) -> None:
        self.assertEqual(
            ('nova/compute/api.py', 'start'),
            self.atlas.place(template('Starting instance 17 now')[0],
                             'nova.compute.api', 20))
        for pattern, logger in (('', 'nova.x'), ('odd', None),
                                ('Starting instance <*> now', 'cinder.x'),
                                ('x', '../../etc/passwd.x')):
            self.assertIsNone(self.atlas.place(pattern, logger))

    def test_a_map_that_is_damaged_is_none(self) -> None:
        (self.tmp / 'cinder.codemap.gz').write_text('x')
        self.assertIsNone(self.atlas.of('cinder'))
        self.assertIsNone(self.atlas.of_file('glance/x.py'))

    def test_a_long_message_is_cut(self) -> None:
        self.assertEqual(['run'], self.match(
            'Host ' + 'h' * 400 + ' went away: ' + 'word ' * 300))
        codemap.save(codemap.build(sources.package({
            'a/__init__.py': '',
            'a/b.py': 'LOG.info("Start of %s and then the end", x)\n'})),
            self.tmp / 'a.codemap.gz')
        pattern = template('Start of ' + 'x ' * 700 + 'and then the end')
        self.assertEqual(('a/b.py', None),
                         self.atlas.place(pattern[0], 'a.b'))

    WORDS = strategies.lists(strategies.text(
        string.ascii_letters + string.digits + ' .:,-_/()[]{}\'"=<>',
        min_size=0, max_size=12), min_size=1, max_size=4)

    @hypothesis.given(
        strategies.lists(strategies.text(string.ascii_lowercase, min_size=4,
                                         max_size=9), min_size=2,
                         max_size=6),
        strategies.lists(strategies.sampled_from(
            ('%s', '%(x)s', '%d', "'%s'", '[%s]', '%s,', '(%s)', 'x=%s')),
            min_size=1, max_size=5),
        strategies.lists(strategies.one_of(
            strategies.uuids().map(str), strategies.integers().map(str),
            strategies.text(string.ascii_letters, min_size=1, max_size=8),
            strategies.just('two words')), min_size=5, max_size=5))
    def test_what_is_rendered_is_found(self, words: list[str],
                                       holes: list[str],
                                       values: list[str]) -> None:
        parts = []
        for i in range(max(len(words), len(holes))):
            parts += words[i:i + 1] + holes[i:i + 1]
        form = ' '.join(parts)
        given = iter(values)
        said = re.sub(r'%(?:\(x\))?[sd]', lambda m: next(given), form)
        path = self.tmp / 'a.codemap.gz'
        codemap.save(codemap.build(sources.package({
            'a/__init__.py': 'def f():\n'
            '  LOG.warning("entirely different %s thing", x)\n'
            f'def g():\n  LOG.error({form!r}, x)\n'})), path)
        found = codemap.load(path).match(template(said)[0], 'a', 40)
        self.assertEqual(['g'], [m.function for m in found][:1], said)


class ShippedTestCase(base.TestCase):

    RELEASES = {'cinder': '29.0.0', 'glance': '33.0.0',
                'keystone': '30.0.0', 'neutron': '29.0.0',
                'nova': '34.0.0', 'placement': '16.0.0'}

    def test_all_services(self) -> None:
        total = 0
        for package, release in self.RELEASES.items():
            path = codemap.SHIPPED / f'{package}{codemap.SUFFIX}'
            found = codemap.load(path)
            self.assertEqual((package, release, []), (
                found.package, found.release, found.skipped))
            self.assertGreater(found.counts()['logs'], 50)
            self.assertLess(path.stat().st_size, 1_500_000)
            total += path.stat().st_size
        self.assertLess(total, 5_000_000)
        self.assertEqual(
            sorted(f'{p}{codemap.SUFFIX}' for p in self.RELEASES),
            sorted(p.name for p in codemap.SHIPPED.iterdir()))

    def test_lines_of_a_cloud(self) -> None:
        atlas = codemap.atlas()
        for logger, level, message, place in (
                ('nova.compute.manager', 20,
                 'Took 3.52 seconds to build instance.',
                 ('nova/compute/manager.py', '_do_build_and_run_instance')),
                ('cinder.volume.manager', 20,
                 'Created volume successfully.',
                 ('cinder/volume/manager.py', 'create_volume')),
                ('neutron.plugins.ml2.managers', 40,
                 'Failed to bind port 0a1b2c3d-1111-4222-8333-444455556666 '
                 'on host cmp1 for vnic_type normal using segments []',
                 ('neutron/plugins/ml2/managers.py', 'bind_port'))):
            self.assertEqual(place, atlas.place(
                template(message)[0], logger, level))

    def test_another_folder(self) -> None:
        self.config('analysis', codemaps=str(self.tmp))
        self.assertIsNone(codemap.configured().of('nova'))
        self.config('analysis', codemaps=None)
        self.assertIsNotNone(codemap.configured().of('nova'))


class PathTestCase(base.TestCase):

    def test_no_path_of_a_machine_is_kept(self) -> None:
        tree = self.tmp / 'tree'
        sources.write(tree, {**sources.NOVA, 'nova/bad.py': '('})
        document = codemap.build(codesource.given(pathlib.Path(tree)))
        self.assertNotIn(str(self.tmp), json.dumps(document))
        self.assertEqual('nova/bad.py', document['skipped'][0][0])
