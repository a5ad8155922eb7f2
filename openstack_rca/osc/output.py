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
"""Writing to terminals, pipes and files without surprises."""

from collections.abc import Callable
import errno
import json
import os
import pathlib
import shutil
import stat
import sys
import tempfile
import time
from typing import Any
from typing import TextIO

from openstack_rca import exception
from openstack_rca.osc import text as text_utils


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def unicode_fits(stream: TextIO) -> bool:
    """Whether the stream can carry the signs that reports are drawn with."""
    encoding = getattr(stream, 'encoding', None) or 'ascii'
    try:
        '\u2500\u2502\u25cf\u2026\u00b7'.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def colour_wanted(stream: TextIO, no_color: bool) -> bool:
    """Whether colour helps: on a terminal, unless somebody says no.

    :param stream: where the report goes
    :param no_color: the ``--no-color`` option
    """
    if no_color or os.environ.get('NO_COLOR'):
        return False
    return is_terminal(stream) and os.environ.get('TERM') != 'dumb'


def columns(stream: TextIO) -> int:
    """Columns of a line: the terminal's, 80 in a pipe, never absurd."""
    if not is_terminal(stream) and 'COLUMNS' not in os.environ:
        return 80
    return min(max(shutil.get_terminal_size((80, 24)).columns, 40), 160)


def write(stream: TextIO, text: str) -> None:
    """Write a whole text, in whatever encoding the stream has.

    :raises BrokenPipeError: the reader went away; nothing more will be
        written, not even when the interpreter shuts down
    """
    encoding = getattr(stream, 'encoding', None) or 'utf-8'
    try:
        text.encode(encoding)
    except LookupError:
        text = text.encode('ascii', 'backslashreplace').decode('ascii')
    except UnicodeEncodeError:
        text = text.encode(encoding, 'backslashreplace').decode(encoding)
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        close_quietly(stream)
        raise


def close_quietly(stream: TextIO) -> None:
    """Let a stream without a reader swallow what is still buffered."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def check_target(path: pathlib.Path, option: str = '--output') -> None:
    """Refuse a file that cannot be written before work goes into it.

    :raises InvalidInput: the folder is not there or not writable, or the
        path is something else than a file
    """
    try:
        try:
            plain = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            plain = True
        if not plain:
            raise exception.InvalidInput(
                reason=f'{option}: {path} is not a file. Name a file that '
                       f'may be written.')
        parent = path.parent
        if not parent.is_dir():
            raise exception.InvalidInput(
                reason=f'{option}: the folder {parent} does not exist. '
                       f'Create it first.')
        if not os.access(parent, os.W_OK | os.X_OK):
            raise exception.InvalidInput(
                reason=f'{option}: the folder {parent} is not writable.')
    except (OSError, ValueError) as exc:
        raise exception.InvalidInput(
            reason=f'{option}: {path} cannot be used: {exc}') from exc


def keep(path: pathlib.Path, text: str, option: str = '--output') -> None:
    """Replace a file by a text as a whole, readable by its owner alone.

    :param path: the file
    :param text: its new content
    :param option: the option that named it, for messages
    :raises InvalidInput: it cannot be written
    """
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f'.{path.name[:100]}.')
        with os.fdopen(descriptor, 'w', encoding='utf-8') as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o600)
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as exc:
        raise exception.InvalidInput(
            reason=f'{option}: {path} cannot be written: '
                   f'{exc.strerror or exc}') from exc
    finally:
        if temporary is not None:
            pathlib.Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: pathlib.Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # Some network file systems cannot; the rename stands all the same.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def as_json(document: Any) -> str:
    """A document as JSON text, in ASCII, which no terminal obeys."""
    return json.dumps(document, indent=2, ensure_ascii=True) + '\n'


class Progress:
    """One line on stderr that says what goes on, on a terminal only.

    :param stream: where to write, stderr when not given
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.shown = (is_terminal(self.stream)
                      and os.environ.get('TERM') != 'dumb')
        self._next = 0.0
        self._dirty = False

    @property
    def callback(self) -> Callable[[str, float], None] | None:
        """What to hand on, or None where nobody would see it."""
        return self.update if self.shown else None

    def update(self, stage: str, fraction: float) -> None:
        """Show a stage and how much of it is done.

        :param stage: what is being done
        :param fraction: from 0 to 1
        """
        now = time.monotonic()
        if not self.shown or (now < self._next and fraction < 1):
            return
        self._next = now + 0.1
        done = min(max(fraction, 0.0), 1.0)
        bar = ('#' * round(20 * done)).ljust(20, '.')
        self._line(f'[{bar}] {100 * done:3.0f} % ', stage)

    def note(self, text: str) -> None:
        """Show what is waited for, where nobody knows how much is done.

        :param text: the state
        """
        if self.shown:
            self._line('', text)

    def clear(self) -> None:
        """Take the line away."""
        if self._dirty:
            self._send('\r\x1b[K')
            self._dirty = False

    def _line(self, head: str, text: str) -> None:
        room = columns(self.stream) - len(head) - 1
        label = text_utils.shorten(text_utils.visible(text), room)
        label = label.encode('ascii', 'replace').decode('ascii')
        self._send(f'\r\x1b[K{head}{label}')
        self._dirty = True

    def _send(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            # Progress is a courtesy; the answer does not depend on it.
            self.shown = False
