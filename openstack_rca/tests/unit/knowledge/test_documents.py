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
"""Documents as text."""

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.knowledge import documents
from openstack_rca.tests import base

RST = '''
.. _cells:

=====
Cells
=====

Intro with :nova-doc:`a link <admin/cells>` and ``code``.

Mapping
-------

.. code-block:: console

   $ nova-manage cell_v2 discover_hosts

.. versionadded:: 29.0.0

   Only then.

.. toctree::
   :maxdepth: 1

   other/page

Deep
~~~~

* one
* two
'''


def read(text: str, kind: str, name: str = 'a/doc.x') -> list[
        tuple[str, str]]:
    """Titles and texts of a document."""
    return [(s.title, s.text) for s in documents.sections(text, kind, name)]


class TestFormats(base.TestCase):

    def test_rst(self) -> None:
        first, mapping, deep = read(RST, 'rst')
        self.assertEqual(('Cells', 'Intro with a link and code.'), first)
        self.assertEqual('Cells: Mapping', mapping[0])
        self.assertIn('$ nova-manage cell_v2 discover_hosts', mapping[1])
        self.assertIn('Only then.', mapping[1])
        self.assertNotIn('other/page', mapping[1])
        self.assertEqual(('Cells: Mapping: Deep', 'one\n\ntwo'), deep)

    def test_rst_reads_nothing_and_runs_nothing(self) -> None:
        secret = self.tmp / 'secret'
        secret.write_text('TOP SECRET')
        text = f'''
Title
=====

.. include:: {secret}

.. literalinclude:: {secret}

.. csv-table::
   :file: {secret}

.. csv-table::
   :url: http://127.0.0.1:9/x

.. raw:: html
   :file: {secret}

.. raw:: html

   <script>alert(1)</script>

.. image:: http://127.0.0.1:9/x.png

Words.
'''
        found = read(text, 'rst')
        self.assertEqual([('Title', 'Words.')], found)

    def test_rst_that_is_wrong(self) -> None:
        (title, text), = read('Title\n====\n\n`unfinished\n\n* a\n b\n'
                              '.. note::\n', 'rst')
        self.assertEqual('Title', title)
        self.assertIn('unfinished', text)

    def test_markdown(self) -> None:
        found = read('''intro

# Top *it*

one [link](javascript:x) ![image](http://x/y.png)
line `code`

## Below

```
some code
```

<script>alert(1)</script>

| a | b |
|---|---|
| 1 | 2 |
''', 'markdown')
        self.assertEqual(['Top it', 'Top it', 'Top it: Below'],
                         [title for title, _text in found])
        self.assertEqual('intro', found[0][1])
        self.assertIn('line code', found[1][1])
        self.assertIn('some code', found[2][1])
        self.assertIn('2', found[2][1])
        everything = str(found)
        self.assertNotIn('http://x/y.png', everything)
        self.assertNotIn('alert', everything.replace('some', ''))

    def test_html(self) -> None:
        found = read('''<html><head><title>T</title><style>p {}</style>
<script src="http://x/"></script></head><body><nav>menu</nav>
<h1>Top <em>x</em><a>\xb6</a></h1><p>one<br>two &amp; &lt;b&gt;</p>
<script>if (a < b) { alert("</p>") }</script>
<ul><li>i1<li>i2</ul><h2>Below</h2><pre>a
  b</pre><img src="http://x/y.png"><table><tr><td>1<td>2</table>''', 'html')
        self.assertEqual([
            ('Top x', 'one\ntwo & <b>\n\ni1\n\ni2'),
            ('Top x: Below', 'a\n  b\n\n1 2')],
            [(title, text.replace(' \n', '\n'))
             for title, text in found])

    def test_text(self) -> None:
        self.assertEqual([('doc', 'one\n\ntwo')],
                         read('one\r\n\r\n\r\ntwo\n', 'text'))

    def test_nothing(self) -> None:
        for kind in documents.FORMATS:
            self.assertEqual([], read(' \n', kind))
        self.assertEqual([], read('.. toctree::\n\n   a\n   b\n', 'rst'))

    def test_long_sections_are_parted(self) -> None:
        text = '\n\n'.join(f'{n} ' + 'word ' * 100 for n in range(100))
        found = read('# T\n' + text, 'markdown')
        self.assertGreater(len(found), 5)
        self.assertEqual(['T', 'T (2)'], [t for t, _text in found[:2]])
        self.assertLessEqual(max(len(t) for _title, t in found),
                             documents.MOST_SECTION)
        self.assertEqual(text.split(), ' '.join(
            t for _title, t in found).split())
        # Without any place to part it.
        self.assertEqual(3, len(read('x' * 20000, 'text')))

    def test_control_characters_are_gone(self) -> None:
        for kind in documents.FORMATS:
            (_title, text), = read('a\x1b[2J\x00\ud800b', kind)
            self.assertEqual('a [2J  b'.split(), text.split())

    def test_too_much(self) -> None:
        for text in ('x' * (documents.MOST_BYTES + 1),
                     '\n'.join(f'# {n}\ntext' for n in range(2001))):
            error = self.assertRaises(
                exception.DocumentInvalid, documents.sections, text,
                'markdown', 'big.md')
            self.assertIn('big.md', str(error))
            self.assertIn('Part it', str(error))

    def test_deep_nesting_is_no_accident(self) -> None:
        for kind, text in (
                ('html', '<div>' * 20000 + 'x'),
                ('html', '<svg>' * 20000 + 'x'),
                ('markdown', '> ' * 5000 + 'x'),
                ('markdown', '[' * 20000 + 'x'),
                ('rst', ''.join('  ' * n + '* x\n\n' for n in range(300)))):
            try:
                read(text, kind)
            except exception.DocumentInvalid as error:
                self.assertIn('nested', str(error))

    @settings(max_examples=60, deadline=None)
    @given(strategies.sampled_from(documents.FORMATS), strategies.text(
        '<>&;/!-[]()`*_#=.:| \n\tabscriptyle"\'{}', max_size=300))
    def test_anything_can_be_read(self, kind: str, text: str) -> None:
        for section in documents.sections(text, kind, 'x'):
            self.assertTrue(section.text.strip())
            self.assertTrue(section.title)


class TestDecode(base.TestCase):

    def test_encodings(self) -> None:
        for data in ('gr\xfc\xdf'.encode(),
                     '\ufeffgr\xfc\xdf'.encode(),
                     'gr\xfc\xdf'.encode('utf-16')):
            self.assertEqual('gr\xfc\xdf', documents.decode(data, 'x'))

    def test_what_is_no_text(self) -> None:
        for data, said in ((b'\x7fELF\0\0', 'binary'),
                           ('gr\xfc\xdf'.encode('latin-1'), 'UTF-8'),
                           (b'\xff\xfea', 'UTF-8'),
                           (b'x' * (documents.MOST_BYTES + 1), 'Part it')):
            error = self.assertRaises(exception.DocumentInvalid,
                                      documents.decode, data, 'x.bin')
            self.assertIn('x.bin', str(error))
            self.assertIn(said, str(error))

    def test_formats_of_names(self) -> None:
        for name, kind in (('a/b.RST', 'rst'), ('x.md', 'markdown'),
                           ('x.htm', 'html'), ('x.txt', 'text'),
                           ('x.pdf', None), ('README', None)):
            self.assertEqual(kind, documents.format_of(name))
