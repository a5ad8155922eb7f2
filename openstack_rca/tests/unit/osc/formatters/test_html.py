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
"""Tests of the page that stands alone."""

import copy
from html import parser

from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import html
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample

_VOID = {'meta', 'line'}

_TAGS = {'html', 'head', 'meta', 'title', 'style', 'body', 'header', 'h1',
         'h2', 'h3', 'p', 'div', 'span', 'dl', 'dt', 'dd', 'section',
         'code', 'pre', 'a', 'ul', 'ol', 'li', 'strong', 'i', 'svg', 'g',
         'line', 'text', 'circle', 'table', 'thead', 'tbody', 'tr', 'th',
         'td'}

_ATTRIBUTES = {'lang', 'charset', 'http-equiv', 'content', 'name', 'class',
               'href', 'id', 'style', 'viewbox', 'role', 'aria-label', 'x',
               'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy', 'r', 'text-anchor'}


class _Page(parser.HTMLParser):
    """Reads a page, strictly."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ''
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str,
                        attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str,
                           attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            raise AssertionError(f'</{tag}> closes nothing')

    def handle_data(self, data: str) -> None:
        self.text += data


class HtmlTest(base.TestCase):
    """Escaped, alone and complete."""

    def _render(self, document: object) -> str:
        return html.HtmlFormatter().render(
            'report', document,  # type: ignore[arg-type]
            formatters.Options())

    def _check(self, document: object) -> _Page:
        source = self._render(document)
        self.assertTrue(source.isascii())
        page = _Page(source)
        self.assertEqual([], page.open)
        for tag, attributes in page.tags:
            self.assertIn(tag, _TAGS)
            self.assertLessEqual(set(attributes), _ATTRIBUTES, tag)
            target = attributes.get('href') or '#'
            self.assertTrue(target.startswith('#'), target)
        return page

    def test_stands_alone(self) -> None:
        page = self._check(sample.report())
        policy = [attributes['content'] for tag, attributes in page.tags
                  if attributes.get('http-equiv')]
        self.assertEqual(1, len(policy))
        self.assertIn("default-src 'none'; style-src 'unsafe-inline'; "
                      'img-src data:', str(policy[0]))

    def test_links_lead_somewhere(self) -> None:
        page = self._check(sample.report())
        targets = {f'#{attributes["id"]}' for _, attributes in page.tags
                   if attributes.get('id')}
        links = {attributes['href'] for _, attributes in page.tags
                 if 'href' in attributes}
        self.assertEqual({'#E1', '#E2', '#E3', '#E4'}, links)
        self.assertLessEqual(links, targets)

    def test_says_everything(self) -> None:
        page = self._check(sample.report())
        for text in ('Cause found', 'nova-compute@cmp3', 'confidence 82 %',
                     'nova/nova-scheduler.log:7', 'Start nova-compute',
                     'No valid host was found', 'keystone was silent',
                     'Filter <*> returned <*> hosts', 'not a text file',
                     'server web-3 went to ERROR', 'Traceback'):
            self.assertIn(text, page.text)

    def test_picture(self) -> None:
        page = self._check(sample.report())
        dots = [attributes for tag, attributes in page.tags
                if tag == 'circle']
        self.assertEqual(4, len(dots))
        classes = [attributes.get('class') for tag, attributes in page.tags
                   if tag == 'g']
        self.assertEqual('bad proof', classes[-1])
        self.assertIn('warn', [str(name).strip() for name in classes])

    def test_picture_of_one_moment(self) -> None:
        document = sample.report(timeline=[])
        document['evidence'] = document['evidence'][:1]
        page = self._check(document)
        self.assertEqual(1, [tag for tag, _ in page.tags].count('circle'))

    def test_hostile_text_stays_text(self) -> None:
        page = self._check(sample.hostile())
        self.assertIn('<script>alert(1)</script>', page.text)
        self.assertIn('\\x1b[2J', page.text)
        for char in page.text:
            self.assertTrue(char.isprintable() or char == '\n', repr(char))

    def test_nothing_found(self) -> None:
        page = self._check(sample.nothing())
        self.assertIn('Nothing abnormal', page.text)

    def test_any_part_may_be_missing(self) -> None:
        whole = sample.report()
        for name in whole:
            for value in sample.ODD:
                document = copy.deepcopy(whole)
                document[name] = value
                self._check(document)
        self._check({})
