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
"""Tests of writing to terminals, pipes and files."""

import io
import json
import os
import pathlib
import stat
from unittest import mock

from openstack_rca import exception
from openstack_rca.osc import output
from openstack_rca.tests import base


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class WriteTest(base.TestCase):
    """Any text goes to any stream."""

    def _written(self, text: str, encoding: str) -> bytes:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        output.write(stream, text)
        return raw.getvalue()

    def test_utf8(self) -> None:
        self.assertEqual('a µ …'.encode(), self._written('a µ …', 'utf-8'))

    def test_what_the_stream_cannot_carry_is_shown(self) -> None:
        self.assertEqual(b'a \\xb5 \\u2026',
                         self._written('a µ …', 'ascii'))
        self.assertEqual(b'a \xb5 \\u2026', self._written('a µ …', 'latin-1'))

    def test_broken_pipe_stays_quiet_afterwards(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        stream = os.fdopen(writer, 'w')
        self.assertRaises(BrokenPipeError, output.write, stream, 'x' * 100)
        # Closing flushes what is left, which must not fail a second time.
        stream.close()

    def test_signs_fit(self) -> None:
        for encoding, fits in (('utf-8', True), ('ascii', False),
                               ('latin-1', False)):
            stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            self.assertIs(fits, output.unicode_fits(stream))


class TerminalTest(base.TestCase):
    """Colour and width are for people."""

    def test_colour_on_a_terminal_only(self) -> None:
        self._env('TERM', 'xterm')
        self.assertTrue(output.colour_wanted(_Terminal(), False))
        self.assertFalse(output.colour_wanted(io.StringIO(), False))

    def test_colour_can_be_refused(self) -> None:
        self._env('TERM', 'xterm')
        self.assertFalse(output.colour_wanted(_Terminal(), True))
        self._env('NO_COLOR', '1')
        self.assertFalse(output.colour_wanted(_Terminal(), False))
        self._env('NO_COLOR', '')
        self.assertTrue(output.colour_wanted(_Terminal(), False))
        self._env('TERM', 'dumb')
        self.assertFalse(output.colour_wanted(_Terminal(), False))

    def test_columns(self) -> None:
        self.assertEqual(80, output.columns(io.StringIO()))
        self._env('COLUMNS', '132')
        self.assertEqual(132, output.columns(_Terminal()))
        self._env('COLUMNS', '100000')
        self.assertEqual(160, output.columns(_Terminal()))
        self._env('COLUMNS', '3')
        self.assertEqual(40, output.columns(_Terminal()))


class ProgressTest(base.TestCase):
    """Progress is for a terminal and leaves nothing behind."""

    def test_nothing_in_a_pipe(self) -> None:
        stream = io.StringIO()
        progress = output.Progress(stream)
        self.assertIsNone(progress.callback)
        progress.update('reading', .5)
        progress.clear()
        self.assertEqual('', stream.getvalue())

    def test_line_is_taken_away(self) -> None:
        self._env('TERM', 'xterm')
        stream = _Terminal()
        progress = output.Progress(stream)
        self.assertIsNotNone(progress.callback)
        progress.update('reading \x1b[2J a.log', 2.0)
        progress.clear()
        shown = stream.getvalue()
        self.assertIn('100 % reading \\x1b[2J a.log', shown)
        self.assertTrue(shown.endswith('\r\x1b[K'))

    def test_a_stream_that_goes_away_is_no_error(self) -> None:
        self._env('TERM', 'xterm')
        stream = _Terminal()
        progress = output.Progress(stream)
        with mock.patch.object(stream, 'write', autospec=True,
                               side_effect=OSError):
            progress.update('reading', 1.0)
        self.assertIsNone(progress.callback)


class KeepTest(base.TestCase):
    """Reports are kept whole and private."""

    def test_private_and_whole(self) -> None:
        target = self.tmp / 'report.json'
        target.write_text('old')
        target.chmod(0o644)
        output.keep(target, 'new')
        self.assertEqual('new', target.read_text())
        self.assertEqual(0o600, stat.S_IMODE(target.stat().st_mode))
        self.assertEqual(['report.json'], sorted(
            path.name for path in self.tmp.iterdir() if path.is_file()))

    def test_failure_keeps_the_old_file(self) -> None:
        target = self.tmp / 'report.json'
        target.write_text('old')
        with mock.patch.object(os, 'replace', autospec=True,
                               side_effect=OSError(28, 'No space left')):
            error = self.assertRaises(exception.InvalidInput, output.keep,
                                      target, 'new')
        self.assertIn('No space left', str(error))
        self.assertEqual('old', target.read_text())
        self.assertEqual(['report.json'], sorted(
            path.name for path in self.tmp.iterdir() if path.is_file()))

    def test_targets_are_checked_first(self) -> None:
        output.check_target(self.tmp / 'new.json')
        for target, word in ((self.tmp, 'not a file'),
                             (self.tmp / 'no' / 'x', 'does not exist'),
                             (pathlib.Path('/dev/null'), 'not a file'),
                             (self.tmp / ('x' * 5000), 'cannot be used'),
                             (pathlib.Path('a\0b'), 'cannot be used')):
            error = self.assertRaises(exception.InvalidInput,
                                      output.check_target, target)
            self.assertIn(word, str(error))

    def test_json_is_ascii(self) -> None:
        text = output.as_json({'a': '\x1b\u202e\ud800µ'})
        self.assertTrue(text.isascii())
        self.assertNotIn('\x1b', text)
        self.assertEqual({'a': '\x1b\u202e\ud800µ'}, json.loads(text))
