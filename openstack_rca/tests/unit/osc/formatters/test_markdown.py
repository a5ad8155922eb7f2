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
"""Tests of the report as Markdown."""

import copy
import re

import hypothesis
from hypothesis import strategies

from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import markdown
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


def _prose(page: str) -> str:
    """What is left without fenced blocks, code spans and escapes."""
    out = []
    fence = ''
    for line in page.split('\n'):
        mark = re.match(r'(`{3,})', line)
        if fence:
            if line == fence:
                fence = ''
        elif mark:
            fence = mark[1]
        else:
            line = re.sub(r'\\.', '', line)
            out.append(re.sub(r'(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)', '', line))
    assert not fence, 'a block is open at the end'
    return '\n'.join(out)


class MarkdownTest(base.TestCase):
    """Nothing of a log comes alive."""

    def _render(self, document: object) -> str:
        return markdown.MarkdownFormatter().render(
            'report', document,  # type: ignore[arg-type]
            formatters.Options())

    def test_says_everything(self) -> None:
        page = self._render(sample.report())
        for text in ('# Root cause analysis: Cause found',
                     '### 1\\. nova-compute stopped reporting',
                     '`nova-compute@cmp3`', 'confidence 82 %',
                     '`nova/nova-scheduler.log:7`',
                     '- Start nova-compute on cmp3.', '## Timeline',
                     '`Filter <*> returned <*> hosts`',
                     '`nova/core.1234`: not a text file (52.4 MB)'):
            self.assertIn(text, page)

    def test_hostile_text_stays_text(self) -> None:
        page = self._render(sample.hostile())
        for line in page.split('\n'):
            self.assertTrue(line.isprintable(), repr(line))
        prose = _prose(page)
        for live in ('<script', '<img', '![', '](', '://', '@', 'www.',
                     '&lt;'):
            self.assertNotIn(live, prose)

    def test_heads_are_ours(self) -> None:
        heads = [line for line in _prose(self._render(
            sample.hostile())).split('\n') if line.startswith('#')]
        ours = ('# Root cause analysis', '## Causes', '### 1', '### 2',
                '### Less likely', '## Evidence', '## Timeline', '## Impact',
                '## Patterns', '## What to do next', '## What was read',
                '## What was not read')
        for head in heads:
            self.assertTrue(head.startswith(ours), head)

    def test_tables_keep_their_columns(self) -> None:
        prose = _prose(self._render(sample.hostile()))
        rows = [line for line in prose.split('\n') if line.startswith('|')]
        self.assertTrue(rows)
        for row in rows:
            self.assertIn(row.count('|'), (5, 6), row)

    @hypothesis.given(strategies.text())
    def test_blocks_cannot_be_left(self, value: str) -> None:
        lines = markdown.block(value)
        fence = lines[-1]
        self.assertEqual(f'{fence}text', lines[0])
        for line in lines[1:-1]:
            self.assertNotIn(fence, line)
            self.assertTrue(line.isprintable())

    @hypothesis.given(strategies.text())
    def test_spans_cannot_be_left(self, value: str) -> None:
        span = markdown.code(value)
        if span:
            mark = re.match('`+', span)
            assert mark is not None
            inner = span[mark.end():-mark.end()]
            self.assertNotIn(mark[0], re.findall('`+', inner))

    @hypothesis.given(strategies.text(
        alphabet=r'\`*_{}[]()<>#+-.!|~@:/w$^&;1 a' + '\n'))
    def test_escaped_text_is_dead(self, value: str) -> None:
        shown = markdown.escape(value)
        self.assertNotIn('\n', shown)
        # What stands around an escaped character does not meet.
        bare = re.sub(r'\\.|&(?:amp|#\d+);', 'x', shown)
        self.assertIsNone(re.search(r'[`*_{}\[\]<>#|~!$^@&\\]|://', bare),
                          bare)
        self.assertIsNone(re.match(r'[-+=]|\d+[.)]', shown), shown)

    def test_any_part_may_be_missing(self) -> None:
        whole = sample.report()
        for name in whole:
            for value in sample.ODD:
                document = copy.deepcopy(whole)
                document[name] = value
                self.assertTrue(self._render(document))
        self.assertTrue(self._render({}))
