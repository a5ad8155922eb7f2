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
"""Signature files: what is read of them, and how a mistake is told."""

import pathlib
import re

import hypothesis
from hypothesis import strategies
import yaml

import openstack_rca
from openstack_rca import exception
from openstack_rca.analysis import components
from openstack_rca.knowledge import schema
from openstack_rca.tests import base

PLAIN = """\
id: disk-full
title: The disk of {host} is full
find:
  message: 'No space left on {device}'
  level: ERROR
component: disk
category: storage
cause: '{device} on {host} is full.'
remedy:
- Free space on {device}.
examples:
  matches:
  - file: nova-compute.log
    recorded: nova 34.0.0
    lines: x
  misses:
  - file: nova-compute.log
    recorded: nova 34.0.0
    lines: y
"""


class TestLoad(base.TestCase):

    def load(self, text: str) -> schema.Signature:
        return schema.load(text, '/srv/disk-full.yaml')

    def wrong(self, text: str) -> str:
        return str(self.assertRaises(
            exception.SignatureInvalid, self.load, text))

    def test_plain(self) -> None:
        found = self.load(PLAIN)
        self.assertEqual('disk-full', found.id)
        self.assertEqual('{device} on {host} is full', found.cause)
        self.assertEqual((40, ()), (found.find.level, found.find.services))
        self.assertEqual((.7, True, '', 1, None), (
            found.weight, found.direct, found.host, found.count,
            found.within))

    def test_everything(self) -> None:
        found = self.load(PLAIN + """\
count: 3
within: 60
weight: .9
direct: false
host: '{host}'
before: {message: Build failed, within: 5, same: request}
after: {message: Starting build, within: 5.5, any: [a b, c d]}
without: {message: Build ended, within: 9, same: host, none: [later]}
bug: https://bugs.launchpad.net/nova/+bug/1
references: ['https://docs.openstack.org/nova/latest/']
versions:
  affects: [2024.2, 2025.1]
  fixed: 32.0.0
  backports: {2025.1: 31.0.1}
related: [other-one]
""")
        self.assertEqual((3, 60.0, .9, False, '{host}'), (
            found.count, found.within, found.weight, found.direct,
            found.host))
        assert found.after and found.before and found.without
        self.assertEqual(('', 5.5, 2), (
            found.after.same, found.after.within,
            len(found.after.records.any_of)))
        self.assertEqual('request', found.before.same)
        self.assertEqual('host', found.without.same)
        self.assertEqual(schema.Versions(
            ('2024.2', '2025.1'), ('32.0.0',), (('2025.1', '31.0.1'),)),
            found.versions)
        self.assertEqual(('other-one',), found.related)

    def test_mistakes_are_told_with_line_and_field(self) -> None:
        for old, new, *told in (
                ('component: disk', 'component: disc', 'line 6', 'component',
                 'nova-api'),
                ('category: storage', 'category: full', 'line 7', 'capacity'),
                ('level: ERROR', 'level: 40', 'line 5', 'find.level',
                 'CRITICAL'),
                ('title: The', 'titel: The', 'line 2', 'titel',
                 'no such field', 'title'),
                ('- Free space on {device}.', '- Free {room}.', 'line 10',
                 'remedy[0]', '{room}', 'device'),
                ('- Free space on {device}.', '- Free {device!r}.', 'line 10'),
                ('- Free space on {device}.', '- Free {device.x}.',
                 'line 10'),
                ('- Free space on {device}.', '- Free { .', 'line 10', '{{'),
                ("'No space left on {device}'", "'No space {Left}'",
                 'line 4', 'find.message', 'lower-case'),
                ("'No space left on {device}'", "'[No space] {device}'",
                 'line 4', 'outside of quotes', 'all'),
                ('id: disk-full', 'id: Disk', 'line 1', 'id', 'lower-case'),
                ('id: disk-full', 'id: full-disk', 'disk-full',
                 'full-disk.yaml'),
                ('remedy:\n- Free space on {device}.', 'remedy: Free it',
                 'line 9', 'write a list'),
                ('category: storage', 'category: storage\ncount: many',
                 'line 8', 'count', 'from 1 to 200'),
                ('category: storage', 'category: storage\ncount: 201',
                 'line 8', 'count'),
                ('category: storage', 'category: storage\nwithin: 5',
                 'line 8', 'count: 2'),
                ('category: storage', 'category: storage\nweight: 1',
                 'line 8', '0.95'),
                ('category: storage', 'category: storage\ndirect: maybe',
                 'line 8', 'true or false'),
                ('category: storage', 'category: storage\nbug: LP 1',
                 'line 8', 'https://'),
                ('category: storage', 'category: storage\ncategory: quota',
                 'line 8', 'twice'),
                ('category: storage\n', '', 'category', 'missing'),
                ('category: storage', 'category: [storage]', 'line 7',
                 'write a text'),
                ('category: storage', 'category: !!python/name:os.system x',
                 'line 7'),
                ('category: storage', 'category: &a storage', 'line 7',
                 'instead of &'),
                ('category: storage', 'category: *a', 'line 7'),
                ('category: storage', 'category: "storage', 'no YAML'),
                ('category: storage', '\tcategory: storage', 'no YAML')):
            self.assertIn(old, PLAIN)
            message = self.wrong(PLAIN.replace(old, new))
            for part in ('/srv/disk-full.yaml', *told):
                self.assertIn(part, message, new)

    def test_order_needs_a_time(self) -> None:
        self.assertIn('before.within: it is missing', self.wrong(
            PLAIN + 'before: {message: Build failed}\n'))
        self.assertIn('request, host, process, resource', self.wrong(
            PLAIN + 'before: {message: Build failed, within: 1, '
                    'same: day}\n'))

    def test_variable_is_captured_once(self) -> None:
        self.assertIn('captured twice', self.wrong(PLAIN.replace(
            'level: ERROR', "all: ['also on {device}']")))

    def test_variable_names_the_component(self) -> None:
        found = self.load(PLAIN.replace(
            'component: disk', "component: '{device}'"))
        self.assertEqual('{device}', found.component)

    def test_empty_and_other_documents(self) -> None:
        for text in ('', '# nothing\n', '[]', 'text', '- a', '1', 'null',
                     PLAIN + '---\n' + PLAIN):
            self.assertIn('disk-full.yaml, line', self.wrong(text))

    def test_bombs(self) -> None:
        bomb = 'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n'
        self.assertIn('instead of &', self.wrong(bomb))
        self.assertIn('too many parts', self.wrong(
            'related: [' + 'a, ' * schema.MAX_NODES + ']'))
        self.assertIn('bytes', self.wrong('#' * (schema.MAX_BYTES + 1)))
        self.wrong('[' * 900)
        self.wrong('{a: ' * 5000)
        self.wrong(PLAIN.replace('The disk', '\x00'))

    @hypothesis.given(strategies.text(max_size=300))
    def test_any_text_is_a_signature_or_is_told(self, text: str) -> None:
        try:
            self.load(text)
        except exception.SignatureInvalid as e:
            self.assertIn('line', str(e))

    @hypothesis.given(strategies.data())
    def test_any_value_is_taken_or_is_told(
            self, data: strategies.DataObject) -> None:
        """A wrong value anywhere is an error of ours, and no other."""
        document = yaml.safe_load(PLAIN)
        value = data.draw(strategies.recursive(
            strategies.none() | strategies.booleans() | strategies.integers()
            | strategies.floats() | strategies.text(max_size=20)
            | strategies.dates(), lambda inner: strategies.lists(
                inner, max_size=4) | strategies.dictionaries(
                    strategies.text(max_size=8), inner, max_size=3),
            max_leaves=6))
        where = data.draw(strategies.sampled_from((
            *schema.FIELDS, 'find')))
        if where == 'find' and data.draw(strategies.booleans()):
            document['find'][data.draw(strategies.sampled_from(
                tuple(schema.RECORD_FIELDS)))] = value
        else:
            document[where] = value
        try:
            self.load(yaml.safe_dump(document))
        except exception.SignatureInvalid as e:
            self.assertIn('line', str(e))


class TestWords(base.TestCase):

    def test_words_are_those_of_reports(self) -> None:
        self.assertEqual(components.COMPONENTS, schema.COMPONENTS)
        self.assertEqual(components.CATEGORIES, schema.CATEGORIES)


class TestPage(base.TestCase):
    """The reference says what the code takes."""

    def table(self, mark: str) -> dict[str, str]:
        """Field and meaning of the table after a mark."""
        page = (pathlib.Path(openstack_rca.__path__[0]).parent / 'doc'
                / 'source' / 'reference' / 'signatures.rst').read_text()
        body = page.split(f'.. {mark} fields')[1].split('==\n')[1]
        rows: dict[str, str] = {}
        name = ''
        for line in body.splitlines()[:-1]:
            found = re.match(r'``(\w+)`` +(.*)', line)
            if found:
                name, line = found[1], found[2]
            rows[name] = ' '.join((rows.get(name, '') + ' ' + line).split())
        return rows

    def test_fields(self) -> None:
        for mark, fields in (
                ('signature', schema.FIELDS),
                ('record', schema.RECORD_FIELDS),
                ('order', schema.OTHER_FIELDS),
                ('version', schema.VERSION_FIELDS),
                ('example', schema.EXAMPLE_FIELDS),
                ('lines', schema.LINES_FIELDS)):
            self.assertEqual({
                name: ('Needed. ' if needed else '') + meaning
                for name, (needed, meaning) in fields.items()},
                self.table(mark), mark)
