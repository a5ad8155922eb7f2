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
"""Tests of the narrative in all formats for people."""

from typing import Any

from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import html
from openstack_rca.osc.formatters import markdown
from openstack_rca.osc.formatters import terminal
from openstack_rca.osc.formatters import view
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample

_BAD = '\x1b[2J<img src=x>![x](http://evil.example/p)\u202e'


class NarrativeTest(base.TestCase):

    def _pages(self, narrative: dict[str, Any]) -> list[str]:
        document = sample.report() | {'narrative': narrative}
        return [made.render('report', document, formatters.Options())
                for made in (terminal.ReportFormatter(),
                             markdown.MarkdownFormatter(),
                             html.HtmlFormatter())]

    def test_it_is_shown(self) -> None:
        for page in self._pages({
                'backend': 'openai', 'model': 'big-one', 'text': 'It broke '
                '(E1).', 'claims': [{'text': 'It broke.',
                                     'evidence': ['E1'], 'verified': True}],
                'dropped': [{'text': 'a'}, {'text': 'b'}]}):
            self.assertIn('in words', page.lower())
            page = page.replace('\\', '')
            self.assertIn('It broke (E1).', page)
            flat = ' '.join(page.split())
            self.assertIn('Written by big-one; each sentence was checked',
                          flat)
            self.assertIn('2 sentences of the model dropped', flat)

    def test_nothing_of_it_acts(self) -> None:
        pages = self._pages({
                'backend': 'x', 'model': _BAD, 'text': _BAD,
                'claims': [{'text': _BAD, 'evidence': ['E1']}],
                'dropped': [{'text': _BAD}]})
        for page in pages:
            self.assertNotIn('\x1b[2J', page)
            self.assertNotIn('\u202e', page)
        for page in pages[1:]:
            self.assertNotRegex(page, r'(?<!\\)<img')
        self.assertNotIn('![x](', pages[1])

    def test_without_one(self) -> None:
        for told in (None, {}, 3, {'text': 'x'}, {'text': 3, 'claims': [1]},
                     {'claims': [], 'text': 'The evidence is thin.'}):
            document = sample.report() | {'narrative': told}
            self.assertEqual(('', ''), view.narrative(document))
            page = terminal.ReportFormatter().render(
                'report', document, formatters.Options())
            self.assertNotIn('IN WORDS', page)
