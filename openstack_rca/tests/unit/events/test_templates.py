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
"""Tests of the template view."""

import polars as pl

from openstack_rca.events import templates
from openstack_rca.tests import base as tests
from openstack_rca.tests.unit.events import base


def patterns(*texts: str) -> list[str]:
    frame = base.column(list(texts)).select(
        masked=templates.mask(pl.col('text')))
    known = templates.identify(frame['masked'])
    found = dict(known.select('masked', 'pattern').iter_rows())
    return [found[m] for m in frame['masked']]


class TestTemplates(tests.TestCase):

    def _same(self, *texts: str) -> None:
        found = patterns(*texts)
        self.assertEqual(1, len(set(found)), str(found))

    def test_ids_never_change(self) -> None:
        for text, pattern, number in (
                ('Instance failed to spawn', 'Instance failed to spawn',
                 0x00c5703b242af8f8),
                ('Took 1.23 seconds to build instance.',
                 'Took <*> seconds to build instance.',
                 0xa0dba8e46d26fca6),
                ("Access denied for user 'nova'@'ctl'",
                 'Access denied for user <*>@<*>',
                 0xfdb572ad24d768b3)):
            row = base.message(text)
            self.assertEqual(pattern, row['pattern'])
            self.assertEqual(templates.digest(pattern), row['template'])
            self.assertEqual(number, row['template'], hex(row['template']))

    def test_digits(self) -> None:
        self.assertEqual(
            ['Attempting claim on node <*>: memory <*> MB, disk <*> GB'],
            patterns('Attempting claim on node cmp-1.example.org: memory '
                     '2048 MB, disk 10 GB'))
        self._same('Lock on 5225f36f-a7a2-40e6-858b-c5218a80ecdf by 0x7f2a',
                   'Lock on c5218a80ecdf40e6858ba7a2c5218a8a by 0x1')

    def test_quotes(self) -> None:
        self.assertEqual(['Lock <*> acquired by <*>'], patterns(
            'Lock "compute_resources" acquired by \'nova.x.y\''))
        self._same("'demo' is no project", "'admin' is no project")
        self._same("key=u'a'", "key='b'")
        # An apostrophe is no quote.
        self.assertEqual(["Can't do what isn't there"], patterns(
            "Can't do what isn't there"))

    def test_lists(self) -> None:
        self._same("Got ['a']", "Got ['a', 'b', 'c']", 'Got []')
        self._same("Got {'a': 1}", "Got {'a': 1, 'b': 'x'}")
        self._same('ports 1, 2 and 3', 'ports 1', 'ports 1, 2')

    def test_place(self) -> None:
        self._same(
            'Lock released inner /usr/lib/python2.7/site-packages/oslo_'
            'concurrency/lockutils.py:282',
            'Lock released inner /opt/stack/venv/lib/python3.12/site-packages'
            '/oslo_concurrency/lockutils.py:409',
            'Lock released {{(pid=4711) inner /opt/stack/data/venv/lib/'
            'python3.12/site-packages/oslo_concurrency/lockutils.py:409}}',
            'Lock released {{inner /opt/stack/lockutils.py:409}}',
            'Lock released')

    def test_same_in_every_release(self) -> None:
        known = [set(base.fixture(f'oslo-{name}.log').templates['template'])
                 for name in ('pike', 'queens', 'stein', 'train', 'wallaby',
                              'antelope', '2026.2')]
        for other in known[1:]:
            self.assertEqual(known[0], other)
        # JSON and the journal carry the same messages; the exception that
        # oslo.log adds to the message is a field of its own in JSON.
        lines = {p for p in base.fixture('oslo-2026.2.log').templates[
            'pattern'] if 'RuntimeError' not in p}
        for name in ('oslo-json.log', 'journal.jsonl'):
            there = set(base.fixture(name).templates['pattern'])
            self.assertEqual(set(), lines - there, name)

    def test_outcome_of_a_request(self) -> None:
        line = '10.0.0.1 "GET /v2.1/servers HTTP/1.1" status: {} len: 1'
        found = {base.message(line.format(s))['pattern']
                 for s in (200, 404, 200)}
        self.assertEqual(2, len(found))

    def test_only_the_beginning_counts(self) -> None:
        self._same('x ' * 400, 'x ' * 400 + 'tail')
