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
"""Tests of the text that people see."""

import hypothesis
from hypothesis import strategies

from openstack_rca.osc import text
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


class VisibleTest(base.TestCase):
    """What acts on a screen becomes visible."""

    def test_plain_text_stays(self) -> None:
        for plain in ('No valid host', 'Größe 5 µs', '没有主机', ''):
            self.assertEqual(plain, text.visible(plain))

    def test_controls_are_shown(self) -> None:
        self.assertEqual(r'\x1b[2J\x07', text.visible('\x1b[2J\x07'))
        self.assertEqual(r'\x9b31m\x7f\x00', text.visible('\x9b31m\x7f\0'))
        self.assertEqual(r'a\nb\rc d', text.visible('a\nb\rc\td'))

    def test_format_controls_are_shown(self) -> None:
        self.assertEqual(r'\u202egnp\u200b', text.visible('\u202egnp\u200b'))
        self.assertEqual(r'\ufeff\u2028', text.visible('\ufeff\u2028'))
        self.assertEqual(r'\U000e0041', text.visible('\U000e0041'))
        self.assertEqual(r'\udc80', text.visible('\udc80'))

    def test_odd_spaces_become_spaces(self) -> None:
        self.assertEqual('a b', text.visible('a\u00a0b'))

    def test_kept_characters_stay(self) -> None:
        self.assertEqual('a\nb\\x1b', text.visible('a\nb\x1b', keep='\n'))

    @hypothesis.given(strategies.text())
    def test_never_anything_unprintable(self, value: str) -> None:
        self.assertTrue(text.visible(value).isprintable())

    def test_sound_replaces_undecodable_bytes(self) -> None:
        self.assertEqual('a\ufffdb', text.sound('a\udcffb'))


class LayoutTest(base.TestCase):
    """Lines fit, whatever is in them."""

    @hypothesis.given(strategies.text(), strategies.integers(10, 120))
    def test_wrapped_lines_fit(self, value: str, columns: int) -> None:
        shown = text.visible(value)
        lines = text.wrap(shown, columns)
        for line in lines:
            self.assertLessEqual(text.width(line), columns)
        self.assertEqual(''.join(shown.split()),
                         ''.join(''.join(lines).split()))

    @hypothesis.given(strategies.text(), strategies.integers(12, 120),
                      strategies.integers(0, 500))
    def test_shortened_lines_fit(self, value: str, columns: int,
                                 around: int) -> None:
        shown = text.visible(value)
        at = min(around, len(shown))
        for position in (None, at):
            line = text.shorten(shown, columns, '...', position)
            self.assertLessEqual(text.width(line), columns)

    def test_shortening_keeps_the_telling_part(self) -> None:
        line = 'a ' * 100 + 'Connection refused by peer ' + 'b ' * 100
        short = text.shorten(line, 60, '...', text.telling(line))
        self.assertIn('refused', short)
        self.assertTrue(short.startswith('...') and short.endswith('...'))

    def test_shortening_shows_the_end(self) -> None:
        line = 'a ' * 100 + 'Connection refused'
        short = text.shorten(line, 60, '...', text.telling(line))
        self.assertTrue(short.endswith('Connection refused'), short)

    def test_wide_characters_take_two_columns(self) -> None:
        self.assertEqual(4, text.width('没有'))
        self.assertEqual(['没有没有没', '有没有'],
                         text.wrap('没有没有没有没有', 10))


class ExcerptTest(base.TestCase):
    """The part of an event that tells why."""

    def test_header_is_left_out(self) -> None:
        self.assertEqual('Filter ComputeFilter returned 0 hosts',
                         text.message(sample.FILTER))

    def test_instance_stays(self) -> None:
        line = ('2026-11-21 03:00:03.900 7 INFO nova.compute.manager '
                '[None req-1 a b - - - -] [instance: 12] Took 3 seconds')
        self.assertEqual('[instance: 12] Took 3 seconds', text.message(line))

    def test_other_text_stays(self) -> None:
        self.assertEqual('GET / HTTP/1.1', text.message('GET / HTTP/1.1'))

    def test_traceback_shows_its_last_line(self) -> None:
        event = ('2026-11-21 03:00:04.250 1 ERROR nova.x [-] It broke\n'
                 'Traceback (most recent call last):\n'
                 '  File "x.py", line 1, in f\n'
                 'nova.exception.PortBindingFailed: Binding failed for 1')
        lines, hidden = text.excerpt(event, 72)
        self.assertEqual(['It broke', 'nova.exception.PortBindingFailed: '
                          'Binding failed for 1'], lines)
        self.assertEqual(2, hidden)

    def test_reason_is_not_said_twice(self) -> None:
        lines, _ = text.excerpt(sample.NO_HOST, 200)
        self.assertEqual(1, len(lines))

    def test_prefixed_traceback_lines(self) -> None:
        head = '2026-11-21 03:00:04.250 1 ERROR nova.x [-] '
        event = (head + 'It broke\n' + head
                 + 'Traceback (most recent call last):\n' + head
                 + 'OSError: [Errno 28] No space left on device')
        lines, hidden = text.excerpt(event, 72)
        self.assertEqual(['It broke', 'OSError: [Errno 28] No space left on '
                          'device'], lines)
        self.assertEqual(1, hidden)

    @hypothesis.given(strategies.text(), strategies.integers(12, 100),
                      strategies.integers(1, 5))
    def test_any_text_gives_few_short_lines(self, value: str, columns: int,
                                            most: int) -> None:
        lines, hidden = text.excerpt(value, columns, most)
        self.assertLessEqual(len(lines), most)
        self.assertGreaterEqual(hidden, 0)
        for line in lines:
            self.assertLessEqual(text.width(line), columns)
            self.assertTrue(line.isprintable())

    def test_notifications(self) -> None:
        for value in ('{"event_type": "compute_task.build_instances", '
                      '"payload": {"state": "error", "reason": "No valid '
                      'host was found."',
                      '{"oslo.message": "{\\"event_type\\": '
                      '\\"compute_task.build_instances\\", '
                      '\\"state\\": \\"error\\", \\"reason\\": '
                      '\\"No valid host was found.\\"}"}'):
            self.assertEqual('compute_task.build_instances: error: No valid '
                             'host was found.', text.notification(value))
        self.assertIsNone(text.notification('{"a": 1}'))

    def test_words_left_out_are_marked(self) -> None:
        lines, _ = text.excerpt('longer words do ' * 9, 20, 2)
        self.assertEqual(2, len(lines))
        self.assertTrue(lines[-1].endswith('...'), lines)

    def test_enormous_line(self) -> None:
        lines, _ = text.excerpt('x' * 10_000_000, 72)
        self.assertLessEqual(len(lines), 3)


class ValueTest(base.TestCase):
    """Numbers and times as people read them."""

    def test_times(self) -> None:
        stamp = '2026-11-21T04:00:03.900123+01:00'
        self.assertEqual('03:00:03.900', text.clock(stamp))
        self.assertEqual('2026-11-21', text.day(stamp))
        self.assertEqual('2026-11-21 03:00:03', text.instant(stamp))
        self.assertEqual('03:00:03.000', text.clock('2026-11-21T03:00:03Z'))

    def test_no_times(self) -> None:
        self.assertEqual('', text.clock(None))
        self.assertEqual('', text.day('soon'))
        self.assertEqual(r'\x1b', text.instant('\x1b'))

    def test_numbers(self) -> None:
        self.assertEqual('1,234', text.number(1234))
        self.assertEqual('1 line', text.plural(1, 'line'))
        self.assertEqual('1,200 lines', text.plural(1200, 'line'))
        self.assertEqual('82 %', text.percent(.82))
        self.assertEqual('unknown', text.percent(None))

    def test_sizes(self) -> None:
        self.assertEqual('999 bytes', text.size(999))
        self.assertEqual('1.5 MB', text.size(1_500_000))
        self.assertEqual('5000.0 GB', text.size(5 * 10**12))
