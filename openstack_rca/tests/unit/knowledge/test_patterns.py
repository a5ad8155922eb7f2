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
"""Patterns of signatures: what they match, and by what they are found."""

import re

import hypothesis
from hypothesis import strategies
import polars as pl

from openstack_rca.events import templates
from openstack_rca.knowledge import patterns
from openstack_rca.tests import base


def masked(message: str) -> str:
    """The template of a message."""
    found = pl.DataFrame({'m': [message]}).select(templates.mask(
        pl.col('m')))['m']
    return str(templates.identify(found)['pattern'][0])


def groups(pattern: str, text: str) -> dict[str, str] | None:
    """What a pattern keeps of a text, None where it does not match."""
    compiled = patterns.compiled(pattern)
    column = pl.Series([text])
    if not column.str.contains(compiled.regex)[0]:
        return None
    if not compiled.names:
        return {}
    return dict(column.str.extract_groups(compiled.regex)[0])


class TestCompiled(base.TestCase):

    def test_text_is_literal(self) -> None:
        self.assertEqual({}, groups('a.c (1)', 'xx a.c (1) yy'))
        self.assertIsNone(groups('a.c (1)', 'abc (1)'))

    def test_star_stays_within_a_line(self) -> None:
        self.assertEqual({}, groups('host * is down', 'host cmp1 is down'))
        self.assertIsNone(groups('host * is down', 'host\nis down'))

    def test_variables(self) -> None:
        self.assertEqual(
            {'host': 'cmp1', 'node': 'node-1'},
            groups('({host}, {node}) ram:', '(cmp1, node-1) ram: 3MB'))

    def test_variable_at_the_end_is_a_word(self) -> None:
        for text in ('on rabbit@ctl1.', 'on rabbit@ctl1, then',
                     "on rabbit@ctl1' x", 'on rabbit@ctl1'):
            self.assertEqual({'node': 'rabbit@ctl1'},
                             groups('on {node}', text), text)

    def test_escapes(self) -> None:
        self.assertEqual({}, groups(r'a \* \{b\} \\', r'a * {b} \ c'))
        self.assertIsNone(groups(r'a \* \{b\}', 'a x {b}'))

    def test_what_is_no_pattern(self) -> None:
        for text, told in (
                ('{Host} x', 'variable'), ('{host', 'variable'),
                ('x }', 'brace'), (r'x \d', 'backslash'),
                ('{a}{b} x', 'between'), ('a ** b', 'between'),
                ('{a} x {a}', 'twice'), ('{a}', 'literal'), ('*', 'literal'),
                (' '.join(f'{{{c}}} x' for c in 'abcdefghi'), 'more than')):
            error = self.assertRaises(ValueError, patterns.compiled, text)
            self.assertIn(told, str(error), text)

    def test_anchor_is_what_a_template_keeps(self) -> None:
        for pattern, anchor in (
                ('AMQP server on {server} is unreachable: [Errno 111]',
                 'AMQP server on'),
                ("no exchange '{exchange}' in vhost", 'no exchange'),
                ('Filter ComputeFilter returned 0 hosts',
                 'Filter ComputeFilter returned'),
                ("(1040, 'Too many connections')", ''),
                ('[all in brackets] 12', '')):
            self.assertEqual(anchor, patterns.compiled(pattern).anchor)

    def test_open_quote_hides_the_rest(self) -> None:
        self.assertEqual('', patterns.compiled(
            '(2003, "Cannot connect to {server}').anchor)

    @hypothesis.given(strategies.text(max_size=60))
    def test_any_text_is_a_pattern_or_is_told(self, text: str) -> None:
        try:
            compiled = patterns.compiled(text)
        except ValueError as e:
            self.assertTrue(str(e))
            return
        # The engine takes what comes out, for texts and for templates.
        column = pl.Series(['some text', text])
        column.str.contains(compiled.regex)
        column.str.contains(compiled.masked)

    @hypothesis.given(
        strategies.lists(strategies.sampled_from((
            'Failed to', 'bind', "'quoted'", '[1]', 'on host', 'x1', '12',
            '{a}', '*', '{b}', 'and', 'no', '(in', 'more)', ':', ',',
            '"two words"', '{{"j"', 'req-1')), min_size=1, max_size=9),
        strategies.lists(strategies.sampled_from((
            'cmp1', '10.0.0.1', '7', 'a1-b2', 'x_9')), min_size=9,
            max_size=9))
    def test_template_of_a_match_is_found(self, words: list[str],
                                          values: list[str]) -> None:
        """Where variables hold a digit, no template escapes."""
        text = ' '.join(w.replace('{{', r'\{') for w in words)
        try:
            compiled = patterns.compiled(text)
        except ValueError:
            return
        given = iter(values)
        message = re.sub(r'(?<!\\)\{\w\}|\*', lambda _: next(given),
                         text).replace('\\', '')
        hypothesis.assume(groups(text, message) is not None)
        template = pl.Series([masked(message)])
        self.assertTrue(template.str.contains(compiled.masked)[0],
                        (text, template[0], compiled.masked))
        self.assertIn(compiled.anchor, template[0])
