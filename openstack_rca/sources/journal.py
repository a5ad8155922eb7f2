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
"""Entries of a journal of systemd, read by ``journalctl``."""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
from typing import Any

from openstack_rca import exception
from openstack_rca.sources import archives
from openstack_rca.sources import base
from openstack_rca.sources import naming

#: The journal of this host, which has a part elsewhere until it is kept.
SYSTEM = '/var/log/journal'
_VOLATILE = '/run/log/journal'
_PROGRAM = 'journalctl'
_OWN = re.compile(r'^openstack-rca-')
#: Characters of a name that are kept.
_MOST_NAME = 120
#: Bytes of what journalctl said that are told.
_MOST_TOLD = 300


@dataclasses.dataclass
class Batch:
    """Some entries, by who wrote them.

    :param lines: entries as lines of JSON, by the name of their file
    :param files: these files
    :param position: where to read on behind them
    :param gap: whether entries in front of them are gone
    """

    lines: dict[str, list[bytes]]
    files: dict[str, base.LogFile]
    position: str
    gap: bool = False


class JournalSource(base.Source):
    """A journal of systemd.

    The entries of one unit of one host, or of one program where there is no
    unit, are like a file of their own.

    :param path: folder of the journal; ``/var/log/journal`` stands for the
        journal of this host, wherever it is
    :raises SourceNotFound: there is no such folder
    """

    def __init__(self, path: pathlib.Path | str) -> None:
        super().__init__(pathlib.Path(path))
        #: Entries of this project, which would be read for ever.
        self.own: set[str] = set()
        if str(self.path) != SYSTEM and not self.path.is_dir():
            raise exception.SourceNotFound(
                path=archives.printable(str(self.path)))

    @property
    def folders(self) -> list[str]:
        """The folders that hold files of the journal."""
        found = []
        roots = [str(self.path)]
        if roots == [SYSTEM]:
            roots.append(_VOLATILE)
        for root in roots:
            with contextlib.suppress(OSError):
                with os.scandir(root) as items:
                    found += [root, *sorted(
                        i.path for i in items
                        if i.is_dir(follow_symlinks=False))]
        return found

    def state(self) -> dict[str, tuple[int, ...]]:
        """What changes when an entry is written."""
        found: dict[str, tuple[int, ...]] = {}
        for folder in self.folders:
            with contextlib.suppress(OSError), os.scandir(folder) as items:
                for item in items:
                    if item.name.endswith('.journal'):
                        told = item.stat()
                        found[item.path] = (told.st_ino, told.st_size,
                                            told.st_mtime_ns)
        return found

    def batches(self, position: str = '', size: int = 4 << 20
                ) -> Iterator[Batch]:
        """The entries behind a position.

        :param position: of a batch, or '' for the front
        :param size: bytes of a batch, about
        :raises SourceUnreadable: journalctl is not there or fails
        """
        told = _position(position)
        try:
            yield from self._batches(told, size, [
                '--cursor', told['cursor']] if told['cursor'] else [])
        except _BadCursor:
            # It is of another journal, as far as journalctl knows.
            told['cursor'] = ''
            yield from self._batches(told, size, [
                '--since', f'@{told["moment"] // 1000000}'])

    def _batches(self, told: dict[str, Any], size: int,
                 where: list[str]) -> Iterator[Batch]:
        at, moment = told['cursor'], told['moment']
        first = True
        for lines in self._lines(where, size):
            batch = Batch({}, {}, '')
            for line in lines:
                entry = _entry(line)
                if entry is None:
                    continue
                cursor = str(entry.get('__CURSOR', ''))
                when = _whole(entry.get('__REALTIME_TIMESTAMP'))
                if first and at:
                    first = False
                    if cursor == at:
                        continue
                    # journald deleted what this was the end of.
                    batch.gap = True
                elif first and when <= moment:
                    continue
                at, moment = cursor, max(moment, when)
                first = False
                self._put(batch, entry, line)
            if at:
                batch.position = json.dumps({'cursor': at,
                                             'moment': moment})
                yield batch

    def _put(self, batch: Batch, entry: dict[str, Any],
             line: bytes) -> None:
        unit = str(entry.get('_SYSTEMD_UNIT') or '').removesuffix('.service')
        program = str(entry.get('SYSLOG_IDENTIFIER') or '')
        if _OWN.match(unit) or _OWN.match(program):
            self.own.add(unit or program)
            return
        unit = unit.removeprefix('devstack@')
        host = _name(entry.get('_HOSTNAME'))
        name = _name(program if unit in ('', 'init.scope') else unit)
        source = f'{host or "journal"}/{name or "unknown"}'
        if source not in batch.files:
            told = naming.describe(f'{name}.log')
            batch.files[source] = base.LogFile(
                source, 'journal', told.service, told.binary, host, source,
                0, source)
        batch.lines.setdefault(source, []).append(line)

    def _lines(self, where: list[str], size: int) -> Iterator[list[bytes]]:
        """Whole lines of journalctl, so many bytes at a time."""
        command = [_PROGRAM, '--output', 'json', '--all', '--no-pager',
                   '--quiet', *where]
        if str(self.path) != SYSTEM:
            command += ['--directory', str(self.path)]
        try:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env={**os.environ, 'LC_ALL': 'C'})
        except OSError as error:
            raise exception.SourceUnreadable(
                path=self.path, reason=f'{_PROGRAM}: '
                f'{error.strerror or error}. It is a part of systemd.'
            ) from error
        assert process.stdout is not None and process.stderr is not None
        some = False
        try:
            pending = b''
            while data := process.stdout.read(size):
                data = pending + data
                end = data.rfind(b'\n') + 1
                pending = data[end:]
                if end:
                    some = True
                    yield data[:end].splitlines()
            said = process.stderr.read(_MOST_TOLD)
            if process.wait() and not some:
                self._failed(where, said)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
            process.stderr.close()

    def _failed(self, where: list[str], said: bytes) -> None:
        text = archives.printable(said.decode('utf-8', 'replace').strip())
        if where[:1] == ['--cursor'] and 'cursor' in text:
            raise _BadCursor
        if 'No such file' in text and not self.path.exists():
            raise exception.SourceNotFound(path=self.path)
        raise exception.SourceUnreadable(
            path=self.path, reason=f'{_PROGRAM}: {text or "it failed"}.')

    def files(self) -> list[base.LogFile]:
        """The units that wrote entries, and programs without one.

        :raises SourceEmpty: there is no entry
        """
        found: dict[str, base.LogFile] = {}
        for batch in self.batches():
            found.update(batch.files)
        if not found:
            raise exception.SourceEmpty(
                path=self.path, detail='The journal has no entry.')
        return [found[name] for name in sorted(found)]

    def chunks(self, file: base.LogFile, size: int = 8 << 20,
               start: int = 0) -> base.Pieces:
        """The entries of one unit; see :meth:`base.Source.chunks`."""
        offset = 0
        for batch in self.batches(size=size):
            data = b''.join(line + b'\n'
                            for line in batch.lines.get(file.source, ()))
            begin = max(0, start - offset)
            if len(data) > begin:
                yield offset + begin, data[begin:]
            offset += len(data)


class _BadCursor(Exception):
    """There is no such place in the journal."""


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _position(told: str) -> dict[str, Any]:
    found = _entry(told.encode()) or {}
    return {'cursor': str(found.get('cursor') or ''),
            'moment': _whole(found.get('moment'))}


def _whole(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(
        text) < 20 else 0


def _name(value: Any) -> str:
    """What may stand in the name of a file."""
    text = archives.printable(str(value or ''))[:_MOST_NAME]
    return text.replace('/', '-').replace('!', '-')
