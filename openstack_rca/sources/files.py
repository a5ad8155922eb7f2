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
"""Logs of a folder, of a single file or of a tar archive."""

from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import stat

from openstack_rca import exception
from openstack_rca.sources import archives
from openstack_rca.sources import base
from openstack_rca.sources import naming

_HEAD = 4096
_SNIFF = 1 << 16
# So many bytes of zero at the front are a hole, not a file format.
_HOLE = 512
# Names on disks are no longer; much longer ones would cost much time.
_MAX_NAME = 4096
#: What programs of this project are called.
_OWN = 'openstack-rca-'
# So many entries of ``skipped`` may say the same before they are summed up.
_MAX_ALIKE = 100

_MAGICS = (
    (b'LPKSHHRH', 'a binary journal of systemd: export it with '
                  '"journalctl -o json --directory=DIR > journal.json"'),
    (b'SQLite format 3\x00', 'an SQLite database'),
    (b'\x89PNG', 'an image'),
    (b'GIF8', 'an image'),
    (b'\xff\xd8\xff', 'an image'),
    (b'\x7fELF', 'a program'),
    (b'%PDF', 'a PDF document'),
    (b'PK\x03\x04', 'a zip archive: unpack it, or make it a tar archive'),
    (b'7z\xbc\xaf\x27\x1c', 'a 7z archive: unpack it, or make it a tar '
                            'archive'),
    (b'Rar!\x1a\x07', 'a rar archive: unpack it, or make it a tar archive'),
    (b'\x04\x22\x4d\x18', 'compressed by lz4: unpack it, or use gz, bz2, xz '
                          'or zst'),
    (b'\x1f\x9d', 'compressed by compress: unpack it, or use gz, bz2, xz or '
                  'zst'),
    (b'__CURSOR=', 'a journal in the export format: export it with '
                   '"journalctl -o json"'),
)

# Text that is no log. What is binary is told by its bytes.
_NO_LOG = frozenset((
    'adoc', 'asc', 'bash', 'c', 'cc', 'cert', 'cfg', 'cnf', 'conf', 'config',
    'cpp', 'crt', 'css', 'csr', 'csv', 'db', 'dot', 'env', 'frm', 'go', 'h',
    'htm', 'html', 'ibd', 'ini', 'ipynb', 'j2', 'java', 'js', 'key', 'lock',
    'map', 'md', 'mount', 'mo', 'net', 'pem', 'php', 'pid', 'pl', 'po',
    'properties', 'pub', 'py', 'pyc', 'pyi', 'rb', 'repo', 'rng', 'rs',
    'rst', 'rules', 'service', 'sh', 'slice', 'sls', 'sock', 'socket', 'sql',
    'subunit', 'svg', 'target', 'tf', 'timer', 'toml', 'ts', 'xml', 'xsd',
    'xsl', 'yaml', 'yml'))
_NO_LOG_NAMES = frozenset((
    'authors', 'changelog', 'copying', 'dockerfile', 'gemfile', 'jenkinsfile',
    'license', 'makefile', 'manifest', 'notice', 'readme', 'vagrantfile'))
_NO_LOG_FOLDERS = frozenset((
    '__pycache__', 'boot', 'etc', 'node_modules', 'proc', 'sos_logs',
    'sos_reports', 'sos_strings', 'sys'))
_LOG_NAME = re.compile(r'(?:^|[._-])log(?:[._-]|$)|\.jsonl?(?:[._-]|$)')
_SOS_LOG = re.compile(r'^journalctl_|_logs?_|(?:^|[._-])log(?:[._-]\d+)?$')
# What stands in the first lines of about every log there is.
_DATED = re.compile(
    rb'\d{4}-\d\d-\d\d[ T]\d\d:\d\d'
    rb'|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*'
    rb' {1,2}\d{1,2},? (?:\d{4} )?\d\d:\d\d:\d\d'
    rb'|\d\d/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d'
    rb'|\d{2,4}[/-]\d\d[/-]\d\d \d\d:\d\d:\d\d'
    rb'|\d{6} {1,2}\d{1,2}:\d\d:\d\d'
    rb'|"(?:asctime|@timestamp|timestamp|time)"')
_CONTROLS = bytes(sorted({*range(0x20), 0x7f} - set(b'\b\t\n\f\r\x1b')))


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One file of the disk that is to be read."""

    unit: base.Unit
    path: str
    modified: float
    # None for what has to be unpacked to know what is in it.
    log: base.LogFile | None


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What a look at a file of the disk gave.

    :param key: what ``stat`` said of it
    :param entry: the file, where it is to be read
    :param reason: why it is not, '' for one with nothing in it
    """

    key: tuple[int, ...]
    entry: _Entry | None
    reason: str = ''


class _Tap(archives.Stream):
    """Notes the marks of a text that is read through it.

    :param inner: the text
    :param ends: offsets to take marks at
    """

    exact = False

    def __init__(self, inner: archives.Stream,
                 ends: Collection[int] = ()) -> None:
        self._inner = inner
        self._ends = sorted(ends, reverse=True)
        self._head = b''
        self._tail = b''
        self._found: dict[int, str] = {}
        self._end = 0

    @property
    def problem(self) -> str:  # type: ignore[override]
        return self._inner.problem

    def read(self, size: int) -> bytes:
        data = self._inner.read(size)
        if len(self._head) < _HEAD:
            self._head += data[:_HEAD - len(self._head)]
        while self._ends and self._ends[-1] <= self._end + len(data):
            end = self._ends.pop()
            part = data[:end - self._end]
            self._found[end] = self._mark(end, (self._tail + part)[-_HEAD:])
        self._end += len(data)
        self._tail = (self._tail + data[-_HEAD:])[-_HEAD:]
        return data

    def _mark(self, end: int, tail: bytes) -> str:
        return _digest(str(end), self._head[:end], tail)

    def marks(self) -> base.Marks:
        """What was noted so far."""
        return base.Marks(
            dict(self._found), self._end, self._mark(self._end, self._tail),
            base.first_line(self._head))


class FolderSource(base.Source):
    """Logs of a folder, of a single file or of a tar archive.

    Files may be compressed by gz, bz2, xz or zst and may lie in tar archives,
    and these one level deep in others. What a file is is told by its first
    bytes; its path tells whether to look at all, and service, binary and
    host.

    :param path: folder, log or archive
    :param max_total_bytes: bytes read and unpacked from all files together
    :param max_uncompressed: bytes that one compressed file may unpack to
    :param max_ratio: how many times its size a compressed file may unpack
        to, once it gave ``ratio_after`` bytes
    :param ratio_after: see ``max_ratio``
    :param max_line: bytes of a line that are kept
    :param max_members: members of one archive
    :param max_files: files of the folder
    :param max_depth: folders within folders
    :param spool: an archive that unpacks to no more than this is held in
        memory, so that its members are read in their proper order; those of
        a larger one come as they are stored
    :param own: paths of logs of this program, which would be read for ever,
        each line for one more; None where they are nothing special
    :raises SourceNotFound: it is not there
    :raises SourceUnreadable: it cannot be read
    """

    def __init__(self, path: pathlib.Path | str, *,
                 max_total_bytes: int = 64 << 30,
                 max_uncompressed: int = 8 << 30, max_ratio: int = 1000,
                 ratio_after: int = 64 << 20, max_line: int = 1 << 20,
                 max_members: int = 100_000, max_files: int = 200_000,
                 max_depth: int = 32, spool: int = 64 << 20,
                 own: Collection[str] | None = None) -> None:
        super().__init__(pathlib.Path(path))
        self.limits = archives.Limits(
            max_total_bytes, max_uncompressed, max_ratio, ratio_after,
            max(max_line, 1), max_members, max_files, max_depth, spool)
        self._empties: set[str] = set()
        self._budget = archives.Budget(max_total_bytes)
        self._entries: list[_Entry] | None = None
        self._files: list[base.LogFile] | None = None
        self._where: dict[str, _Entry] = {}
        self._noted: set[tuple[str, str]] = set()
        self._alike: dict[str, list[int]] = {}
        self._spooled: tuple[str, bytes] | None = None
        self._own = None if own is None else frozenset(own)
        #: What was found by name, and why the rest was not.
        self._listed: list[tuple[str, str]] | None = None
        self._unlisted: list[tuple[str, str, int]] = []
        self._seen: dict[str, _Seen] = {}
        self._taps: dict[str, _Tap] = {}
        #: Files that could not be looked at the last time.
        self._failed: set[str] = set()
        #: Folders that the last list of files is of.
        self.folders: list[str] = []
        self._check()

    def _check(self) -> None:
        """Make sure that there is something to look into."""
        shown = archives.printable(str(self.path))
        try:
            status = os.stat(self.path)
            # A name of a symbolic link is as good as what it points to.
            self._root = os.path.realpath(self.path)
            if stat.S_ISDIR(status.st_mode):
                os.scandir(self._root).close()
            elif stat.S_ISREG(status.st_mode):
                with open(self._root, 'rb'):
                    pass
            else:
                raise exception.SourceUnreadable(
                    path=shown, reason='it is neither a folder nor a file.')
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise exception.SourceNotFound(path=shown) from exc
        except PermissionError as exc:
            raise exception.SourceUnreadable(
                path=shown, reason='permission denied. Run as a user who may '
                'read it.') from exc
        except (OSError, ValueError) as exc:
            reason = getattr(exc, 'strerror', None) or str(exc)
            raise exception.SourceUnreadable(
                path=shown, reason=f'{reason}.') from exc
        self._single = stat.S_ISREG(status.st_mode)
        self._context = (os.path.dirname(self._root) if self._single
                         else self._root)

    @property
    def empty(self) -> int:
        """Number of files with nothing in them, as far as met."""
        return len(self._empties)

    # What is there

    def again(self, listing: bool = True) -> None:
        """Look once more; what did not change is not opened.

        :param listing: whether there may be other files than before
        :raises SourceNotFound: it is not there any more
        :raises SourceUnreadable: it cannot be read
        """
        self.skipped = []
        self._empties = set()
        self._budget.spent = 0
        self._entries = self._files = None
        self._noted, self._alike = set(), {}
        self._taps = {}
        self.close()
        if listing or self._rotated():
            self._check()
            self._listed = None

    def _rotated(self) -> bool:
        """Whether a name is that of another file by now."""
        for _, path in self._listed or ():
            seen = self._seen.get(path)
            try:
                if seen is not None and seen.key[:2] != _key(
                        os.stat(path, follow_symlinks=False))[:2]:
                    return True
            except OSError:
                if path not in self._failed:
                    return True
        return False

    def stirred(self) -> bool:
        """Whether one of the files is not as it was at the last look."""
        for _, path in self._listed or ():
            if path in self._failed:
                continue
            seen = self._seen.get(path)
            try:
                if seen is None or seen.key != _key(
                        os.stat(path, follow_symlinks=False)):
                    return True
            except OSError:
                return True
        return False

    def units(self) -> list[base.Unit]:
        """Files of the disk, rotated series in order, oldest first.

        Archives are not unpacked for it, so that this is quick.

        :raises SourceEmpty: there is nothing that could hold a log
        """
        found = [entry.unit for entry in self._scan()]
        if not found:
            raise self._nothing()
        return found

    def files(self) -> list[base.LogFile]:
        """What there is to read, rotated series in order, oldest first.

        Archives are unpacked for it; :meth:`read_all` needs no call of this
        before.

        :raises SourceEmpty: there is no log at all
        """
        if self._files is None:
            self._budget.spent = 0
            found = []
            for entry in self._scan():
                logs = [log for log, _stream in self._open(entry)]
                logs.sort(key=lambda log: _age(log.source))
                found += logs
            self._budget.spent = 0
            self._files = found
        if not self._files:
            raise self._nothing()
        return list(self._files)

    def chunks(self, file: base.LogFile, size: int = 8 << 20,
               start: int = 0) -> base.Pieces:
        """Pieces of one file; see :meth:`base.Source.chunks`.

        To read a member of an archive, the archive is unpacked up to it:
        :meth:`read_all` is the quick way to read them all.

        :param file: one of :meth:`files`
        :param size: wanted size of a piece in bytes of uncompressed text
        :param start: offset of the line to begin with, of a file that has a
            fingerprint
        :returns: offset of the piece in uncompressed bytes, and the bytes
        """
        self._scan()
        name = file.source
        while name not in self._where:
            name, inside, _member = name.rpartition('!')
            if not inside:
                raise self._foreign(file.source)
        entry = self._where[name]
        for log, stream in self._open(entry):
            if log.source == file.source:
                yield from self._pieces(log, stream, size, start)
                return

    def fingerprint(self, unit: base.Unit, end: int) -> str:
        """What a plain file that only grows keeps.

        :param unit: one of :meth:`units`
        :param end: offset in bytes
        :returns: an empty string for an archive, text in UTF-16 or UTF-32, a
            file that is shorter, and a compressed file but at its end and
            once it was read
        """
        entry = self._entry(unit)
        if entry.log is None:
            tap = self._taps.get(unit.source)
            told = tap.marks() if tap is not None else None
            return told.last if told is not None and told.end == end else ''
        return self._marks_of(entry, (end,)).found.get(end, '')

    def marks(self, unit: base.Unit, ends: Collection[int] = ()
              ) -> base.Marks | None:
        """By what a file is known again.

        :param unit: one of :meth:`units`
        :param ends: offsets in bytes of text
        :returns: None for what is no one text: a tar archive
        """
        entry = self._entry(unit)
        if entry.log is not None:
            return self._marks_of(entry, ends)
        found = None
        try:
            with self._file(entry.path) as file:
                raw = archives.Buffered(archives.FileStream(
                    file, archives.Budget(self.limits.max_total_bytes)))
                kind = archives.compression(raw.peek(archives.BLOCK))
                if not kind:
                    return None
                text = archives.Buffered(archives.Decompressed(
                    raw, kind, self.limits,
                    archives.Budget(self.limits.max_total_bytes)))
                head = text.peek(archives.BLOCK)
                if (archives.is_tar(head) or _wide(head)
                        or _empty_tar(unit.source, head)):
                    return None
                tap = _Tap(text, ends)
                while tap.read(1 << 18):
                    pass
                found = tap.marks()
        except OSError:
            return None
        return found

    def first(self, unit: base.Unit) -> str:
        """By what a file is known from its first line on.

        :param unit: one of :meth:`units`
        :returns: '' where that line is not complete
        """
        return base.first_line(self.text(unit, 0, _HEAD))

    def text(self, unit: base.Unit, start: int, size: int) -> bytes:
        """Some bytes of the text of a file, compressed or not.

        :param unit: one of :meth:`units`
        :param start: offset
        :param size: how many
        """
        entry = self._entry(unit)
        try:
            with self._file(entry.path) as file:
                raw = archives.Buffered(archives.FileStream(
                    file, archives.Budget(self.limits.max_total_bytes)))
                kind = archives.compression(raw.peek(archives.BLOCK))
                if kind and entry.log is None:
                    raw = archives.Buffered(archives.Decompressed(
                        raw, kind, self.limits,
                        archives.Budget(self.limits.max_total_bytes)))
                raw.skip(start)
                return raw.fill(size)
        except OSError:
            return b''

    def _marks_of(self, entry: _Entry, ends: Collection[int]) -> base.Marks:
        """The marks of a plain file; none where it is another by now."""
        none = base.Marks({}, 0, '', '')
        try:
            with self._file(entry.path) as file:
                handle = file.fileno()
                status = os.fstat(handle)
                if _inode(status) != entry.unit.inode:
                    return none
                head = os.pread(handle, _HEAD, 0)
                if _wide(head):
                    return none
                size = status.st_size
                found = {end: _digest(
                    str(end), head[:end],
                    os.pread(handle, min(end, _HEAD), max(0, end - _HEAD)))
                    for end in {*ends, size} if 0 < end <= size}
        except OSError:
            return none
        return base.Marks({e: found[e] for e in ends if e in found}, size,
                          found.get(size, ''), base.first_line(head))

    def still(self, unit: base.Unit) -> bool:
        """Whether what was read a moment ago is the file that was seen.

        :param unit: one of :meth:`units`
        """
        try:
            with self._file(self._entry(unit).path) as file:
                status = os.fstat(file.fileno())
        except OSError:
            return False
        return (_inode(status) == unit.inode
                and status.st_size >= unit.size)

    def _entry(self, unit: base.Unit) -> _Entry:
        self._scan()
        entry = self._where.get(unit.source)
        if entry is None:
            raise self._foreign(unit.source)
        return entry

    def read_unit(self, unit: base.Unit, size: int = 8 << 20, start: int = 0
                  ) -> Iterator[tuple[base.LogFile, base.Pieces]]:
        """All files of one unit with their pieces, in one pass.

        :param unit: one of :meth:`units`
        :param size: as in :meth:`chunks`
        :param start: as in :meth:`chunks`
        :returns: file and pieces as :meth:`chunks` gives them
        """
        for log, stream in self._open(self._entry(unit)):
            yield log, self._pieces(log, stream, size, start)

    def read_all(self, size: int = 8 << 20
                 ) -> Iterator[tuple[base.LogFile, base.Pieces]]:
        """All files with their pieces; every archive is unpacked once.

        :param size: as in :meth:`chunks`
        :returns: as :meth:`read_unit`
        :raises SourceEmpty: there is no log at all
        """
        self._budget.spent = 0
        none = True
        for entry in self._scan():
            for log, stream in self._open(entry):
                none = False
                yield log, self._pieces(log, stream, size)
        if none:
            raise self._nothing()

    def close(self) -> None:
        """Let go of the archive that is held in memory."""
        self._spooled = None

    def _foreign(self, source: str) -> exception.SourceUnreadable:
        return exception.SourceUnreadable(
            path=source, reason='it is not one of the files of '
            f'{archives.printable(str(self.path))}.')

    def _nothing(self) -> exception.SourceEmpty:
        said = []
        if self.empty:
            said.append('1 file is empty.' if self.empty == 1
                        else f'{self.empty} files are empty.')
        for skipped in self.skipped[:3]:
            said.append(f'{skipped.source}: {skipped.reason}.')
        if len(self.skipped) > 3:
            said.append(f'And {len(self.skipped) - 3} more such reasons.')
        if not said:
            said.append('It is empty.')
        return exception.SourceEmpty(
            path=archives.printable(str(self.path)), detail=' '.join(said))

    # What is left out

    def _skip(self, source: str, reason: str, size: int = 0) -> None:
        """Note something that is not read, once however often it is met."""
        if (source, reason) in self._noted:
            return
        self._noted.add((source, reason))
        kind = re.sub(r'\d+(?:\.\d+)?', '#', reason)
        seen = self._alike.setdefault(kind, [0, 0, -1])
        seen[0] += 1
        if seen[0] <= _MAX_ALIKE:
            self.skipped.append(base.Skipped(source, reason, size))
            return
        seen[1] += size
        more = base.Skipped(
            '*', f'{seen[0] - _MAX_ALIKE} more files: {reason}', seen[1])
        if seen[2] < 0:
            seen[2] = len(self.skipped)
            self.skipped.append(more)
        else:
            self.skipped[seen[2]] = more

    # The files of the disk

    def _scan(self) -> list[_Entry]:
        if self._entries is None:
            entries = []
            if self._listed is None:
                self.folders = []
                self._unlisted = []
                self._listed = list(self._walk())
                self._unlisted = [(s.source, s.reason, s.size)
                                  for s in self.skipped]
                paths = {path for _, path in self._listed}
                self._failed &= paths
                self._seen = {p: s for p, s in self._seen.items()
                              if p in paths}
            else:
                for told in self._unlisted:
                    self._skip(*told)
            for source, path in self._listed:
                entry = self._look(source, path)
                if entry is not None:
                    entries.append(entry)
            entries.sort(key=lambda entry: _age(entry.unit.source))
            self._entries = entries
            self._where = {entry.unit.source: entry for entry in entries}
        return self._entries

    def _walk(self) -> Iterator[tuple[str, str]]:
        """Source and path of each file whose name may be that of a log."""
        if self._single:
            name = os.path.basename(os.path.abspath(self.path))
            self.folders.append(self._context)
            yield archives.printable(name), self._root
            return
        others = _Others()
        count = 0
        todo = [('', self._root, 0, False)]
        inodes: dict[tuple[int, int], str] = {}
        while todo:
            prefix, folder, depth, sos = todo.pop()
            below = []
            items = self._list(prefix, folder)
            sos = sos or any(item.name == 'sos_commands' for item in items)
            for item in items:
                source = prefix + archives.printable(item.name)
                try:
                    status = item.stat(follow_symlinks=False)
                except OSError as exc:
                    self._skip(source, _reason(exc))
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if not _folder_wanted(item.name):
                        others.folder(source)
                    elif depth >= self.limits.max_depth:
                        self._skip(source, 'more than '
                                   f'{self.limits.max_depth} folders deep')
                    else:
                        below.append((f'{source}/', item.path, depth + 1,
                                      sos))
                    continue
                if stat.S_ISLNK(status.st_mode):
                    reason = self._link(item.path)
                    if reason:
                        self._skip(source, reason)
                    continue
                if not stat.S_ISREG(status.st_mode):
                    self._skip(source, _special(status.st_mode))
                    continue
                if not _file_wanted(source, sos):
                    others.file(source, status.st_size)
                    continue
                if self._is_own(item.path):
                    self._skip(source, 'the log of this program itself',
                               status.st_size)
                    continue
                key = (status.st_dev, status.st_ino)
                if status.st_nlink > 1 and key in inodes:
                    self._skip(source, f'the same file as {inodes[key]}',
                               0)
                    continue
                inodes[key] = source
                count += 1
                if count > self.limits.max_files:
                    self._skip(prefix or '.', 'the folder holds more than '
                               f'the limit of {self.limits.max_files} files; '
                               'those that follow are not read')
                    others.note(self, '.')
                    return
                yield source, item.path
            todo.extend(reversed(below))
        others.note(self, '.')

    def _is_own(self, path: str) -> bool:
        """Whether a file, or what it was rotated from, is ours."""
        if self._own is None:
            return False
        folder, _, name = path.rpartition('/')
        return (name.startswith(_OWN) or f'{folder}/'
                f'{naming.split_rotation(name)[0]}' in self._own)

    def _list(self, prefix: str,
              folder: str) -> list[os.DirEntry[str]]:
        self.folders.append(folder)
        try:
            with os.scandir(folder) as items:
                return sorted(items, key=lambda item: item.name)
        except OSError as exc:
            self._skip(prefix or '.', _reason(exc))
            return []

    def _link(self, path: str) -> str:
        """Why the target of a link is not read, if it is not."""
        try:
            target = os.path.realpath(path, strict=True)
        except OSError as exc:
            if exc.errno == errno.ELOOP:
                return 'a symbolic link that leads back to itself'
            return 'a symbolic link that leads nowhere'
        if target != self._root and not target.startswith(
                self._root.rstrip('/') + '/'):
            return 'a symbolic link to something outside of the folder'
        # What it points to is read where it lies.
        return ''

    @contextlib.contextmanager
    def _file(self, path: str) -> Iterator[io.FileIO]:
        # A pipe that took the place of a file must not block.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        handle = os.open(path, flags)
        with io.FileIO(handle, 'r') as file:
            yield file

    def _look(self, source: str, path: str) -> _Entry | None:
        """Decide by the first bytes of a file what it is."""
        seen = self._seen.get(path)
        try:
            status = os.stat(path, follow_symlinks=False)
            if seen is None or seen.key != _key(status):
                self._seen.pop(path, None)
                with self._file(path) as file:
                    seen = self._look_into(source, path, file)
                self._seen[path] = seen
        except OSError as exc:
            self._failed.add(path)
            self._skip(source, _reason(exc))
            return None
        self._failed.discard(path)
        if seen.reason:
            self._skip(source, seen.reason, seen.key[2])
        elif seen.entry is None:
            self._empties.add(source)
        return seen.entry

    def _look_into(self, source: str, path: str, file: io.FileIO) -> _Seen:
        status = os.fstat(file.fileno())
        key = _key(status)
        if not stat.S_ISREG(status.st_mode):
            return _Seen(key, None, _special(status.st_mode))
        head = file.read(_HEAD) or b''
        if not head:
            return _Seen(key, None)
        tail = b''
        if status.st_size > _HEAD:
            tail = os.pread(file.fileno(), _HEAD,
                            max(_HEAD, status.st_size - _HEAD))
        inode = _inode(status)
        identity = _digest(
            str(status.st_dev), str(status.st_ino), str(status.st_size),
            str(status.st_mtime_ns), head, tail)
        size = status.st_size
        series = describe(source, self._context).series
        if (archives.compression(head) or archives.is_tar(head)
                or _empty_tar(source, head)):
            unit = base.Unit(source, identity, size, True, inode, series)
            return _Seen(key, _Entry(unit, path, status.st_mtime, None))
        if b'\n' not in head and len(head) == _HEAD or head[:1] == b'{':
            head += file.read(_SNIFF - _HEAD) or b''
        if head.count(0) > len(head) // 2 and tail.count(0) < len(tail) // 2:
            # Truncated while its writer kept its place: a hole, then text.
            head = tail
        elif head[:_HOLE].count(0) == _HOLE:
            head = head.lstrip(b'\x00') or head
        log, reason = self._judge(source, head, size, identity,
                                  status.st_mtime)
        if log is None:
            return _Seen(key, None, reason)
        return _Seen(key, _Entry(
            base.Unit(source, identity, size, False, inode, series), path,
            status.st_mtime, log))

    def _judge(self, source: str, head: bytes, size: int, identity: str,
               modified: float) -> tuple[base.LogFile | None, str]:
        """A file by its path and its first bytes, or why it is no log."""
        kind, reason = sniff(source, head)
        name = describe(source, self._context)
        if not reason and kind == 'log' and not self._single:
            reason = _doubt(source, name, head)
        if reason:
            return None, reason
        return base.LogFile(source, kind, name.service, name.binary,
                            name.host, identity, size, name.series,
                            modified), ''

    # What is in them

    def _open(self, entry: _Entry
              ) -> Iterator[tuple[base.LogFile, archives.Buffered]]:
        """Logs of a file of the disk with their bytes, in one pass."""
        try:
            with self._file(entry.path) as file:
                if _inode(os.fstat(file.fileno())) != entry.unit.inode:
                    self._skip(entry.unit.source, 'another file took its '
                               'place before it was read', entry.unit.size)
                    return
                raw = archives.FileStream(file, self._budget)
                if entry.log is not None:
                    yield entry.log, archives.Buffered(raw)
                else:
                    yield from self._container(entry, raw)
        except OSError as exc:
            self._skip(entry.unit.source, _reason(exc), entry.unit.size)

    def _container(self, entry: _Entry, raw: archives.Stream
                   ) -> Iterator[tuple[base.LogFile, archives.Buffered]]:
        unit = entry.unit
        held = self._spooled
        if held is not None and held[0] == unit.identity:
            stream = archives.Buffered(archives.MemoryStream(held[1]))
        else:
            stream = archives.Buffered(raw)
            kind = archives.compression(stream.peek(archives.BLOCK))
            if kind:
                stream = archives.Buffered(archives.Decompressed(
                    stream, kind, self.limits, self._budget))
        head = stream.peek(archives.BLOCK)
        if not (archives.is_tar(head) or _empty_tar(unit.source, head)):
            if not _wide(head):
                self._taps[unit.source] = tap = _Tap(stream)
                stream = archives.Buffered(tap)
            yield from self._content(unit.source, stream, unit.size,
                                     unit.identity, entry.modified, 0, True)
            return
        if held is not None and held[0] == unit.identity:
            yield from self._members(unit.source, unit.identity, stream, 1,
                                     True)
            return
        data = stream.fill(self.limits.spool)
        small = len(data) < self.limits.spool or not stream.peek(1)
        if small and not stream.problem:
            self._spooled = (unit.identity, data)
        # What ended the stream early is still told by the stream itself.
        yield from self._members(
            unit.source, unit.identity,
            archives.Buffered(archives.MemoryStream(data, stream)), 1, small)

    def _members(self, source: str, identity: str, tar: archives.Buffered,
                 depth: int, small: bool
                 ) -> Iterator[tuple[base.LogFile, archives.Buffered]]:
        """Logs of an archive.

        :param source: name of the archive
        :param identity: identity of the archive
        :param tar: its bytes, decompressed
        :param depth: 2 for an archive within an archive
        :param small: whether its members may be held to sort them
        :returns: logs and their bytes
        """
        wanted = self._wanted(source, tar)
        if small:
            held = [(name, member, archives.MemoryStream(
                member.stream.take(), member.stream))
                for name, member in wanted]
            held.sort(key=lambda item: _age(f'{source}!{item[0]}'))
            for name, member, stream in held:
                yield from self._member(f'{source}!{name}', identity, member,
                                        archives.Buffered(stream), depth)
        else:
            for name, member in wanted:
                yield from self._member(f'{source}!{name}', identity, member,
                                        archives.Buffered(member.stream),
                                        depth)

    def _member(self, source: str, identity: str, member: archives.Member,
                stream: archives.Buffered, depth: int
                ) -> Iterator[tuple[base.LogFile, archives.Buffered]]:
        identity = _digest(identity, source, str(member.size),
                           str(member.mtime))
        yield from self._content(source, stream, member.size, identity,
                                 float(member.mtime), depth, False)

    def _wanted(self, source: str, tar: archives.Buffered
                ) -> Iterator[tuple[str, archives.Member]]:
        """Members of an archive whose names may be those of logs."""
        others = _Others()
        names: set[str] = set()
        reader = archives.TarReader(tar)
        for count, member in enumerate(reader, 1):
            if count > self.limits.max_members:
                self._skip(source, 'the archive holds more than the limit of '
                           f'{self.limits.max_members} members; those that '
                           'follow are not read')
                break
            name = archives.printable(member.name)
            while name.startswith('./'):
                name = name[2:].lstrip('/')
            full = f'{source}!{name}'
            parts = name.split('/')
            if (name.startswith(('/', '\\')) or '..' in parts
                    or re.match('[A-Za-z]:[\\\\/]', name)):
                self._skip(full, 'refused: the name leads out of the archive',
                           member.size)
                continue
            if member.kind == 'folder' or not name:
                continue
            if len(name) > _MAX_NAME:
                self._skip(f'{full[:200]}...', 'refused: the name has more '
                           f'than {_MAX_NAME} characters', member.size)
                continue
            if not (all(map(_folder_wanted, parts[:-1]))
                    and _file_wanted(name)):
                others.file(name, member.size)
                continue
            if member.kind != 'file':
                self._skip(full, {
                    'link': 'a link within an archive; what it points to is '
                            'read where it lies, if it is there',
                    'sparse': 'stored as a sparse file: make the archive '
                              'without "tar --sparse"',
                }.get(member.kind, 'a device or a pipe'), member.size)
                continue
            if name in names:
                self._skip(full, 'a second member of the same name',
                           member.size)
                continue
            names.add(name)
            yield name, member
        if reader.problem:
            self._skip(source, 'the archive was read in part: '
                       + reader.problem)
        others.note(self, source)

    def _content(self, source: str, stream: archives.Buffered, size: int,
                 identity: str, modified: float, depth: int, unpacked: bool
                 ) -> Iterator[tuple[base.LogFile, archives.Buffered]]:
        """Decide by the first bytes of a stream what it is."""
        head = stream.peek(archives.BLOCK)
        kind = archives.compression(head)
        if kind and not unpacked:
            stream = archives.Buffered(archives.Decompressed(
                stream, kind, self.limits, self._budget))
            head = stream.peek(archives.BLOCK)
            kind = archives.compression(head)
        if kind:
            self._skip(source, 'compressed more than once', size)
        elif archives.is_tar(head) or _empty_tar(source, head):
            if depth > 1:
                self._skip(source, 'an archive more than one level deep in '
                           'another: unpack the outer one', size)
                return
            yield from self._members(source, identity, stream, depth + 1,
                                     False)
        elif not head:
            if stream.problem:
                self._skip(source, stream.problem, size)
            else:
                self._empties.add(source)
        else:
            log, reason = self._judge(source, stream.peek(_SNIFF), size,
                                      identity, modified)
            if log is not None:
                yield log, stream
            else:
                self._skip(source, reason, size)

    # Their bytes

    def _pieces(self, log: base.LogFile, stream: archives.Buffered,
                size: int, start: int = 0) -> base.Pieces:
        offset = stream.skip(start)
        head = b'' if start else stream.peek(4)
        encoding = _wide(head)
        if encoding:
            # Offsets are then those of the text as UTF-8.
            stream = archives.Buffered(archives.Transcoded(stream, encoding))
        elif head[:3] == b'\xef\xbb\xbf':
            offset = stream.skip(3)
        cutter = Cutter(stream, max(size, 1), self.limits.max_line, offset)
        yield from cutter
        if cutter.lines:
            limit = archives.human(self.limits.max_line)
            what = ('a line is' if cutter.lines == 1
                    else f'{cutter.lines} lines are')
            self._skip(log.source, f'{what} longer than {limit}: only the '
                       'beginning was read', cutter.dropped)
        if stream.problem:
            self._skip(log.source, stream.problem)


class Cutter:
    """Cuts bytes into pieces of whole lines.

    :param stream: the bytes
    :param size: bytes to read for a piece
    :param max_line: bytes of a line that are kept
    :param offset: where the stream starts
    """

    def __init__(self, stream: archives.Buffered, size: int, max_line: int,
                 offset: int = 0) -> None:
        self._stream = stream
        self._size = size
        self._max_line = max_line
        self._offset = offset
        #: number of lines that were cut, and bytes cut off
        self.lines = 0
        self.dropped = 0

    def __iter__(self) -> base.Pieces:
        pending = b''
        while True:
            block = self._stream.fill(self._size)
            ended = not block
            if pending:
                block = pending + block
            end = block.rfind(b'\n') + 1
            pending = block[end:]
            if end:
                if end > self._max_line:
                    yield from self._lines(block[:end] if pending else block)
                else:
                    yield self._offset, block[:end] if pending else block
                self._offset += end
            if len(pending) > self._max_line:
                yield self._offset, pending[:self._max_line] + b'\n'
                pending = self._rest(pending)
            elif ended:
                break
        if pending:
            yield self._offset, pending

    def _lines(self, block: bytes) -> base.Pieces:
        """Pieces of a block of whole lines, those too long cut."""
        limit = self._max_line
        first = at = 0
        while len(block) - at > limit + 1:
            newline = block.rfind(b'\n', at, at + limit + 1)
            if newline >= 0:
                at = newline + 1
                continue
            # The line at ``at`` is longer than the limit.
            yield (self._offset + first,
                   block[first:at + limit] + b'\n')
            newline = block.index(b'\n', at + limit)
            self.lines += 1
            self.dropped += newline - at - limit
            first = at = newline + 1
        if first < len(block):
            yield self._offset + first, block[first:] if first else block

    def _rest(self, pending: bytes) -> bytes:
        """Pass over the rest of a line that has no end yet."""
        self.lines += 1
        self.dropped += len(pending) - self._max_line
        self._offset += len(pending)
        while True:
            block = self._stream.fill(1 << 18)
            newline = block.find(b'\n')
            if newline >= 0:
                self.dropped += newline
                self._offset += newline + 1
                return block[newline + 1:]
            self.dropped += len(block)
            self._offset += len(block)
            if not block:
                return b''


class _Others:
    """Counts what is left alone because of its name."""

    def __init__(self) -> None:
        self._count = 0
        self._size = 0
        self._folders: list[str] = []
        self._some: list[str] = []

    def file(self, source: str, size: int) -> None:
        self._count += 1
        self._size += size
        if len(self._some) < 3:
            self._some.append(source)

    def folder(self, source: str) -> None:
        self._folders.append(source)

    def note(self, owner: FolderSource, source: str) -> None:
        if self._folders:
            some = ', '.join(self._folders[:3])
            owner._skip(source, 'folders that hold no logs by their names '
                        f'({len(self._folders)}, such as {some})')
        if self._count:
            owner._skip(source, 'files that are no logs by their names '
                        f'({self._count}, such as {", ".join(self._some)})',
                        self._size)


def sniff(source: str, head: bytes) -> tuple[str, str]:
    """What a file is, by its first bytes.

    :param source: its name
    :param head: the first bytes, uncompressed
    :returns: kind, and why it is not to be read, or ''
    """
    for magic, reason in _MAGICS:
        if head.startswith(magic):
            return 'log', reason
    if _wide(head):
        return 'log', ''
    if _is_binary(head):
        return 'log', 'binary data, not text'
    name = naming.split_rotation(source.rpartition('/')[2].rpartition('!')[2]
                                 )[0].lower()
    kind, reason = _sniff_json(head)
    if (kind == 'log' and not reason.startswith('a journal')
            and name.startswith('notifications')
            and name.endswith('.jsonl')):
        return 'notifications', ''
    if reason == '-':
        # A record that is no log in a file that is called a log is kept:
        # what is not understood is counted, not hidden.
        json_name = name.endswith(('.json', '.jsonl'))
        reason = 'JSON that holds no log records' if json_name else ''
    return kind, reason


def _sniff_json(head: bytes) -> tuple[str, str]:
    """Kind of JSON lines; '-' as reason for none that is known."""
    text = head.lstrip(b'\xef\xbb\xbf \t\r\n\x00')
    if text[:1] not in (b'{', b'['):
        return 'log', '' if _DATED.search(head) else '-'
    line, newline, _rest = text.partition(b'\n')
    if line.strip() in (b'{', b'['):
        if b'"__REALTIME_TIMESTAMP"' in text:
            return 'log', ('a journal in another form of JSON: export it '
                           'with "journalctl -o json"')
        return 'log', '-'
    keys: set[str] = set()
    with contextlib.suppress(ValueError, RecursionError):
        record = json.loads(line)
        if not isinstance(record, dict):
            return 'log', '-'
        inner = record.get('oslo.message')
        if isinstance(inner, str):
            record = json.loads(inner)
        if isinstance(record, dict):
            keys = set(record)
    if not keys:
        # Longer than what was looked at, or damaged: by what it mentions.
        known = ('__REALTIME_TIMESTAMP', 'event_type', 'publisher_id',
                 'payload', 'message', 'asctime')
        plain = line.replace(b'\\"', b'"')
        keys = {key for key in known if b'"%s"' % key.encode() in plain}
    if '__REALTIME_TIMESTAMP' in keys:
        return 'journal', ''
    if 'event_type' in keys and keys & {'publisher_id', 'payload'}:
        return 'notifications', ''
    if keys & {'message', 'msg', 'log', 'MESSAGE', 'asctime', '@timestamp'}:
        return 'log', ''
    return 'log', '-'


def _wide(head: bytes) -> str:
    """UTF-16 or UTF-32 by the byte order mark."""
    if head[:4] in (b'\xff\xfe\x00\x00', b'\x00\x00\xfe\xff'):
        return 'utf-32'
    if head[:2] in (b'\xff\xfe', b'\xfe\xff'):
        return 'utf-16'
    return ''


def _is_binary(head: bytes) -> bool:
    size = len(head)
    if head.count(0) * 10 > size * (1 if size >= 512 else 5):
        return True
    controls = size - len(head.translate(None, _CONTROLS)) - head.count(0)
    if controls * 3 > size:
        return True
    if controls * 20 <= size:
        return False
    # Bytes of no order hold control characters and bad UTF-8; text of
    # another encoding holds no control characters.
    return len(head.decode('utf-8', 'ignore').encode()) < size - 3


def _doubt(source: str, name: naming.Name, head: bytes) -> str:
    """Why a text is no log, by its name and its first lines together."""
    if name.known or _wide(head):
        return ''
    last = name.series.rpartition('/')[2].rpartition('!')[2].lower()
    if _LOG_NAME.search(last) or 'sos_commands' in source.split('/'):
        return ''
    if _DATED.search(head[:_SNIFF]):
        return ''
    return 'text that is no log: neither its name nor its first lines say so'


def _file_wanted(source: str, sos: bool = False) -> bool:
    """Whether a name may be that of a log.

    :param source: path in the folder or in the archive
    :param sos: whether it is known to lie in a sosreport
    :returns: false for what is left alone without a look inside
    """
    parts = source.rpartition('!')[2].split('/')
    name, _rank = naming.split_rotation(parts[-1].lower())
    if 'sos_commands' in parts:
        return _SOS_LOG.search(name) is not None
    if name.startswith('.'):
        return False
    if naming.is_archive(parts[-1]):
        return True
    ending = name.rpartition('.')[2]
    if ending in _NO_LOG and '.' in name:
        return False
    if name.partition('.')[0] in _NO_LOG_NAMES:
        return False
    if sos or (len(parts) > 1 and parts[0].startswith('sosreport-')):
        return 'log' in parts[:-1] or _LOG_NAME.search(name) is not None
    return True


def _folder_wanted(name: str) -> bool:
    return name not in _NO_LOG_FOLDERS and not name.startswith('.')


def _empty_tar(source: str, head: bytes) -> bool:
    """Whether this is a tar archive with nothing but its end."""
    return (naming.is_archive(source) and len(head) >= archives.BLOCK
            and not head[:archives.BLOCK].strip(b'\x00'))


@functools.lru_cache(1 << 16)
def describe(source: str, context: str = '') -> naming.Name:
    """What the path of a log tells; see :func:`naming.describe`.

    :param source: path relative to what the user named
    :param context: path of the folder that holds it
    """
    return naming.describe(source, context)


def _key(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size,
            status.st_mtime_ns, status.st_mode)


def _inode(status: os.stat_result) -> str:
    return f'{status.st_dev}:{status.st_ino}'


@functools.lru_cache(1 << 16)
def _age(source: str) -> tuple[str, tuple[int, int], str]:
    """What sorts rotated series, oldest first."""
    name = describe(source)
    return name.series, name.rank, source


def _special(mode: int) -> str:
    for check, reason in ((stat.S_ISFIFO, 'a pipe'),
                          (stat.S_ISSOCK, 'a socket'),
                          (stat.S_ISBLK, 'a device'),
                          (stat.S_ISCHR, 'a device')):
        if check(mode):
            return reason
    return 'not a file'


def _reason(exc: OSError) -> str:
    if isinstance(exc, PermissionError):
        return 'permission denied'
    if isinstance(exc, FileNotFoundError):
        return 'it disappeared before it was read'
    if exc.errno == errno.ELOOP:
        return 'it became a symbolic link before it was read'
    return 'reading failed: %s' % (exc.strerror or exc)


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = (part.encode('utf-8', 'surrogatepass')
                if isinstance(part, str) else part)
        digest.update(b'%d:' % len(data))
        digest.update(data)
    return digest.hexdigest()
