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
"""What source says, whatever it is packed in and however odd it is."""

import io
import os
import tarfile
import zipfile

import hypothesis
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.analysis import codesource
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources

HOLE = codesource.HOLE


def parse(text: str) -> codesource.Module:
    return codesource.parse('a/b.py', text.encode())


class ParseTestCase(base.TestCase):

    def logs(self, text: str) -> list[tuple[int, str]]:
        return [(level, said) for f in parse(text).functions
                for _line, level, said in f.logs]

    def test_forms_of_messages(self) -> None:
        for said, level, text in (
                ("LOG.error('a %s b', x)", 40, f'a {HOLE} b'),
                ("LOG.warn(_LW('a %(n)05.2f b') % v)", 30, f'a {HOLE} b'),
                ("self.log.info('100%% of ' + x)", 20, f'100% of {HOLE}'),
                ("LOG.debug(f'a {x!r:>5} b %s')", 10, f'a {HOLE} b {HOLE}'),
                ("logging.critical('{} and {{}}'.format(x))", 50,
                 f'{HOLE} and {{}}'),
                ("LOG.exception(e)", 40, HOLE),
                ("LOG.log(logging.WARNING, 'a ' 'b')", 30, 'a b'),
                ("LOG.log(level, 'a')", 0, 'a'),
                ("_logger.audit(msg='a')", 20, 'a'),
                ("LOG.info(('a %s' if x else y) % z)", 20, f'a {HOLE}')):
            self.assertEqual([(level, text)], self.logs(said), said)

    def test_what_is_no_log_statement(self) -> None:
        for text in ("catalog.error('a')", "dialog.info('a')",
                     "LOG.setLevel('a')", "LOG.log('a')", "LOG.error()",
                     "error('a')", "math.log(1, 2)"):
            self.assertEqual([], self.logs(text), text)

    def test_a_variable_may_hold_several_messages(self) -> None:
        self.assertEqual(
            [(40, 'one'), (40, f'two {HOLE}')],
            self.logs("def f():\n if x:\n  m = 'one'\n else:\n"
                      "  m = _('two %s')\n LOG.error(m, y)\n"))
        self.assertEqual([(20, 'a'), (20, 'b')],
                         self.logs("LOG.info('a' if x else 'b')"))
        # What another function calls so is something else.
        self.assertEqual([(40, HOLE)], self.logs(
            "def g():\n m = 'one'\ndef f(m):\n LOG.error(m)\n"))

    def test_functions(self) -> None:
        module = parse('''
class A(b.C):
    msg_fmt = _("Odd %(x)s")

    def one(self, x, *, y=f()):
        def inner():
            return 1
        self.d = e.F()
        z = x.call(ctxt, 'remote', y)
        return z

async def two():
    raise exc.Wrong(reason=_('No %s') % 1)
''')
        found = {f.name: f for f in module.functions}
        self.assertEqual(['', 'A.one', 'A.one.inner', 'two'], list(found))
        one = found['A.one']
        self.assertTrue(one.gives and not found['two'].gives)
        self.assertEqual(('A', ['self', 'x', 'y'], {'z'}),
                         (one.owner, one.arguments, one.returned))
        self.assertEqual(
            [('e.F', 'd', ''), ('x.call', 'z', 'ctxt,,y'),
             ('.remote', 'z', 'ctxt,,y')],
            [(c.chain, c.target, c.given) for c in one.calls])
        self.assertEqual([(13, 'Wrong', f'No {HOLE}')], found['two'].raises)
        self.assertEqual((['b.C'], f'Odd {HOLE}', {'d': 'e.F'}), (
            module.classes['A'].bases, module.classes['A'].text,
            module.classes['A'].types))

    def test_what_keeps_a_result(self) -> None:
        for text, target, given in (
                ('x = f(a)', 'x', 'a'), ('x: int = f(a.b)', 'x', 'a.b'),
                ('a, (b.c, *d) = f(g(1), "x")', 'a,c,d', 'g(),'),
                ('for a in f(b or 1): pass', 'a', 'b'),
                ('with f(b[0], k=[c]) as d: pass', 'd', 'b,k=c'),
                ('[a for a in f(*b, **c)]', 'a', 'b,**=c'),
                ('f(1)', '', ''), ('x += f(1)', '', ''),
                ('x = [f(1)]', 'x', '')):
            [call] = [c for c in parse(text).functions[0].calls
                      if c.chain == 'f']
            self.assertEqual((target, given), (call.target, call.given),
                             text)
        function = parse('def f(x):\n  if x:\n    return g(x)\n'
                         '  return 1\n').functions[1]
        self.assertEqual((True, codesource.RETURN), (
            function.gives, function.calls[0].target))

    def test_relative_imports(self) -> None:
        module = codesource.parse('a/b/c.py', b'from . import d\n'
                                  b'from ..e import f as g\n'
                                  b'from .... import h\nimport i.j\n'
                                  b'from k import *\n')
        self.assertEqual({'d': 'a.b.d', 'g': 'a.e.f', 'h': 'h', 'i': 'i'},
                         module.names)
        self.assertEqual(['k'], module.stars)
        self.assertEqual({'d': 'a.b.d'}, codesource.parse(
            'a/b/__init__.py', b'from . import d').names)

    def test_python_2(self) -> None:
        module = codesource.parse('a/b.py', b'''# -*- coding: latin-1 -*-
def f(async=False):
    try:
        print "gr\xfc\xdfe"
        os.chmod(x, 0644)
    except (A, B), e:
        LOG.error(ur'Oh %s', async.x)
''')
        self.assertEqual([(7, 40, f'Oh {HOLE}')], module.functions[1].logs)

    def test_what_is_no_source(self) -> None:
        for data in (b'def f(:', b'x = `1`', b'\x00', b'# coding: nonsense',
                     b'x = "\xff"', b'(' * 5000,
                     b'x = ' + b'-' * 20000 + b'1'):
            self.assertRaises((SyntaxError, ValueError), codesource.parse,
                              'a/b.py', data)

    @hypothesis.given(strategies.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        try:
            codesource.parse('a/b.py', data)
        except (SyntaxError, ValueError):
            hypothesis.event('refused')

    @hypothesis.given(strategies.text(
        strategies.characters(exclude_characters='%'), max_size=60))
    def test_percent(self, text: str) -> None:
        self.assertEqual(text, codesource.percent(text))
        self.assertEqual(f'{text}{HOLE}%', codesource.percent(
            f'{text}%(x)s%%'))


class SourceTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.tree = self.tmp / 'tree'
        sources.write(self.tree, sources.NOVA)

    def files(self, package: codesource.Package) -> list[str]:
        return [m.file for m in package.modules]

    def everything(self) -> list[str]:
        return sorted(sources.NOVA)

    def test_trees(self) -> None:
        sources.write(self.tree, {'nova/tests/__init__.py': '',
                                  'nova/tests/unit/test_x.py': '',
                                  'setup.py': 'import nothing\n',
                                  'other/__init__.py': ''})
        for path in (self.tree, self.tree / 'nova'):
            package = codesource.given(path)
            self.assertEqual(('nova', '', self.everything(), []), (
                package.name, package.release, self.files(package),
                package.skipped))

    def test_release_of_the_metadata(self) -> None:
        sources.write(self.tree, {
            'x-1.dist-info/METADATA': 'Name: x\nVersion: 7\n',
            'nova-1.dist-info/METADATA': 'Name: nova\nVersion: 34.0.0\n'})
        self.assertEqual('34.0.0', codesource.given(self.tree).release)
        self.assertEqual('3', codesource.given(self.tree, '3').release)

    def test_links_and_pipes_are_left_aside(self) -> None:
        secret = self.tmp / 'secret.py'
        secret.write_text('LOG.error("secret")')
        outside = self.tmp / 'outside'
        sources.write(outside, {'more.py': ''})
        (self.tree / 'nova' / 'link.py').symlink_to(secret)
        (self.tree / 'nova' / 'folder').symlink_to(outside)
        (self.tree / 'nova' / 'broken.py').symlink_to('nowhere')
        os.mkfifo(self.tree / 'nova' / 'pipe.py')
        self.assertEqual(self.everything(),
                         self.files(codesource.given(self.tree)))

    def test_bad_files_are_told(self) -> None:
        sources.write(self.tree, {
            'nova/bad.py': 'def f(:\n', 'nova/nul.py': b'\x00',
            'nova/latin.py': b'x = "\xff"',
            'nova/large.py': b'#' * (codesource.MAX_FILE + 1)})
        package = codesource.given(self.tree)
        self.assertEqual(self.everything(), self.files(package))
        self.assertEqual(
            ['nova/bad.py', 'nova/large.py', 'nova/latin.py', 'nova/nul.py'],
            [path for path, _reason in package.skipped])
        self.assertNotIn(str(self.tmp), str(package.skipped))

    def tar(self, names: dict[str, str]) -> str:
        path = self.tmp / 'a.tar.gz'
        with tarfile.open(path, 'w:gz') as archive:
            for name, text in names.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
            link = tarfile.TarInfo('nova-2.0/nova/link.py')
            link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
            archive.addfile(link)
        return str(path)

    def test_tar_with_evil_members(self) -> None:
        path = self.tar({
            **{f'nova-2.0/{n}': t for n, t in sources.NOVA.items()},
            'nova-2.0/PKG-INFO': 'Name: nova\nVersion: 2.0\n',
            'nova-2.0/doc/conf.py': '', '../nova/evil.py': '',
            '/nova/evil.py': '', 'nova-2.0/nova/../../evil.py': '',
            'nova-2.0/nova\\evil.py': ''})
        package = codesource.given(self.tmp / path)
        self.assertEqual(('nova', '2.0', self.everything()), (
            package.name, package.release, self.files(package)))
        self.assertEqual(['a.tar.gz', 'tree', 'xdg'], sorted(
            p.name for p in self.tmp.iterdir()))

    def test_wheel(self) -> None:
        path = self.tmp / 'a.whl'
        with zipfile.ZipFile(path, 'w') as archive:
            for name, text in sources.NOVA.items():
                archive.writestr(name, text)
            archive.writestr('nova-9.dist-info/METADATA',
                             'Name: nova\nVersion: 9\n')
        package = codesource.given(path)
        self.assertEqual(('9', self.everything()),
                         (package.release, self.files(package)))
        # A member that is damaged is one file less.
        data = bytearray(path.read_bytes())
        at = data.index(b'class NovaException')
        data[at] ^= 1
        path.write_bytes(bytes(data))
        self.assertEqual(['nova/exception.py'], [
            name for name, _reason in codesource.given(path).skipped])

    def test_what_holds_no_package(self) -> None:
        empty = self.tmp / 'empty'
        empty.mkdir()
        text = self.tmp / 'text'
        text.write_text('no archive')
        broken = self.tmp / 'broken.tar.gz'
        broken.write_bytes(b'\x1f\x8b\x08' + b'0' * 50)
        for path in (empty, text, broken, self.tmp / 'missing'):
            self.assertRaises(exception.CodeMapError, codesource.given, path)
        self.assertRaises(exception.CodeMapError, codesource.given,
                          self.tmp / self.tar({'a.py': ''}))
        sources.write(empty, {'a/__init__.py': '('})
        self.assertRaises(exception.CodeMapError, codesource.given, empty)

    def test_installed(self) -> None:
        package = codesource.installed('stevedore')
        self.assertEqual('stevedore', package.name)
        self.assertIn('stevedore/extension.py', self.files(package))
        error = self.assertRaises(exception.CodeMapError,
                                  codesource.installed, 'no-such-thing')
        self.assertIn('--source', str(error))
        self.assertRaises(exception.CodeMapError, codesource.installed,
                          'nova', str(self.tree))
        sources.write(self.tree, {
            'nova-9.dist-info/METADATA': 'Name: nova\nVersion: 9\n',
            'nova-9.dist-info/RECORD': ''.join(
                f'{name},,\n' for name in (*sources.NOVA, '../evil.py',
                                           'nova/missing.py'))})
        package = codesource.installed('nova', str(self.tree))
        self.assertEqual(('nova', '9', self.everything()), (
            package.name, package.release, self.files(package)))
