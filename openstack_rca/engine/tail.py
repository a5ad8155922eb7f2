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
"""A folder of logs that is written to, and its store.

The store keeps what was logged: a file that is rotated has another name from
then on, one that is deleted stays until it is too old. Files are known again
by their bytes, under whatever name, compressed or not, so that nothing is
stored twice and nothing is left out.
"""

import collections
from collections.abc import Iterable
import dataclasses
import json
import os
import pathlib
import re
import sys
from typing import Any

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import drivers
from openstack_rca import exception
from openstack_rca.engine import folder as folders
from openstack_rca.engine import ingest
from openstack_rca.events import schema
from openstack_rca.sources import base as sources
from openstack_rca.sources import files
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: A record that goes on for so many bytes is not read again from its front.
_LONGEST = 1 << 18
#: Reasons of one file that are kept.
_MOST_REASONS = 20
#: Behind the name of a file whose name another one has.
_FORMER = re.compile(r'~\d+$')
#: Where what belongs to no file stands among the notes.
_LOOSE = '*'


@dataclasses.dataclass
class Looked:
    """What came of a look.

    :param changed: whether the store holds anything else now
    :param skipped: what was not read: ``source``, ``reason``, ``bytes``
    :param lines: lines that were read
    :param bytes: of uncompressed text
    """

    changed: bool = False
    skipped: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    lines: int = 0
    bytes: int = 0


@dataclasses.dataclass
class _Plan:
    """What a look has to do.

    :param renames: names of units, by the old ones
    :param reads: units to read
    :param resumes: where to read them on, by their new names
    :param touched: records of files that only look different
    :param copies: units that hold what another one holds, and which
    """

    renames: dict[str, str] = dataclasses.field(default_factory=dict)
    reads: list[sources.Unit] = dataclasses.field(default_factory=list)
    resumes: dict[str, ingest.Resume] = dataclasses.field(
        default_factory=dict)
    touched: list[stores.FileRecord] = dataclasses.field(
        default_factory=list)
    copies: dict[str, str] = dataclasses.field(default_factory=dict)


class Tail:
    """Follows a folder of logs.

    :param path: folder, log file or tar archive
    :param store: what was read before, and is now
    :param timezone: IANA name of the zone of times without an offset
    :raises SourceNotFound: the folder is not there
    :raises SourceUnreadable: it cannot be read
    """

    def __init__(self, path: pathlib.Path, store: stores.Store,
                 timezone: str = 'UTC') -> None:
        limits = conf.CONF.limits
        self._source: files.FolderSource = drivers.load(
            'openstack_rca.sources', 'files')(
                path, max_line=limits.max_line_bytes,
                max_total_bytes=limits.max_total_bytes,
                max_uncompressed=limits.max_uncompressed_bytes,
                max_ratio=limits.max_ratio, max_members=limits.max_members,
                max_files=limits.max_files, own=own_logs())
        self.store = store
        self._timezone = timezone
        self._notes = folders.read_notes(store.path)
        self._notes.pop(_LOOSE, None)
        self._kept = ''
        #: Whether what is on the disk has to be read anew.
        self.heal = False
        #: Copies that were found: what they and the other were, and which.
        self._copies: dict[str, tuple[str, str]] = {}
        self._units: set[str] | None = None

    @property
    def folders(self) -> list[str]:
        """The folders that are looked into."""
        return self._source.folders

    def stirred(self) -> bool:
        """Whether a file is not as it was at the last look."""
        return self._source.stirred()

    def look(self, listing: bool = True,
             progress: ingest.Progress | None = None) -> Looked:
        """Store what is new.

        :param listing: whether there may be other files than before
        :param progress: called with a stage and the share that is done
        :raises SourceEmpty: there is no log
        :raises StoreError: what was read cannot be written
        """
        self._source.again(listing)
        units = self._source.units()
        self._units = {u.source for u in units}
        before = self.store.files()
        plan = _Matcher(self._source, self.store, self._notes,
                        self._copies).plan(units)
        if self.heal:
            # A part of the store is lost, and nobody knows of which files.
            here = set(plan.renames) | self._units
            self.store.forget({r.source for r in before.values()
                               if r.unit in here})
            self._notes = {}
            before = self.store.files()
            plan = _Matcher(self._source, self.store, {},
                            self._copies).plan(units)
            self.heal = False
        if plan.renames:
            self.store.rename(plan.renames)
            self._notes = {plan.renames.get(u, u): n
                           for u, n in self._notes.items()}
            before = self.store.files()
        left: set[str] = set()
        try:
            if plan.touched:
                self.store.write(
                    schema.empty(), pl.DataFrame(schema=schema.TEMPLATES),
                    plan.touched)
            if plan.reads:
                left = ingest.ingest(
                    self._source, plan.reads, self.store, self._timezone,
                    progress, plan.resumes, True)
        finally:
            # What was begun and not finished is read again.
            self.store.abandon()
        self._forget_members(plan)
        after = self.store.files()
        looked = Looked(
            bool(plan.renames or plan.touched or plan.reads),
            self._keep_notes(plan, units, after, left))
        read = {u.source for u in plan.reads}
        for name, record in after.items():
            if record.unit in read:
                old = before.get(name) if (
                    record.unit in plan.resumes) else None
                looked.lines += record.lines - (old.lines if old else 0)
                looked.bytes += record.bytes - (old.bytes if old else 0)
        return looked

    def _forget_members(self, plan: _Plan) -> None:
        """Forget what is no more in an archive that was read again."""
        held = self.store.files().values()
        for unit in plan.reads:
            if unit.container and unit.source not in plan.resumes:
                mine = [r for r in held if r.unit == unit.source]
                old = {r.source for r in mine
                       if r.identity != unit.identity}
                if len(old) < len(mine):
                    self.store.forget(old)

    def _keep_notes(self, plan: _Plan, units: list[sources.Unit],
                    after: dict[str, stores.FileRecord], left: set[str]
                    ) -> list[dict[str, Any]]:
        """Write down what the records in the store do not say."""
        fresh = {u.source for u in plan.reads} - left
        touched = {r.unit for r in plan.touched}
        held = collections.Counter(r.unit for r in after.values())
        mine: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
        loose: list[dict[str, Any]] = [
            {'source': name, 'reason': f'the same as {other}', 'size': 0}
            for name, other in plan.copies.items()]
        for row in map(dataclasses.asdict, self._source.skipped):
            name = row['source']
            while name not in fresh and '!' in name:
                name = name.rpartition('!')[0]
            (mine[name] if name in fresh else loose).append(row)
        notes = {}
        for unit in units:
            note = self._notes.get(unit.source)
            if unit.source in fresh:
                rows = mine[unit.source]
                if unit.source in plan.resumes and note is not None:
                    rows = _merged([*note['skipped'], *rows])
                note = {'identity': unit.identity,
                        'files': held[unit.source], 'skipped': rows}
                if (not rows and not unit.container
                        and unit.source in after):
                    # The record says it all.
                    note = None
            elif unit.source in touched:
                note = {'identity': unit.identity,
                        'files': held[unit.source],
                        'skipped': note['skipped'] if note else []}
                if not unit.container and not note['skipped']:
                    note = None
            if note is not None:
                notes[unit.source] = note
        self._notes = notes
        kept = json.dumps({**notes, _LOOSE: {
            'identity': '', 'files': 0, 'skipped': loose}})
        if kept != self._kept:
            folders.write_private(self.store.path / folders.NOTES, kept)
            self._kept = kept
        return [{'source': r['source'], 'reason': r['reason'],
                 'bytes': r['size']} for r in [
                     *loose, *(r for n in notes.values()
                               for r in n['skipped'])]]

    def expire(self, before: float, limit: int) -> stores.Dropped:
        """Drop what is too old or too much.

        :param before: seconds of the epoch; what was stored before goes
        :param limit: bytes of the disk, 0 for any
        :raises StoreError: it cannot be written
        """
        dropped = self.store.expire(before, limit)
        here = self._units
        if dropped.bytes and here is not None:
            self.store.forget({
                r.source for r in self.store.files().values()
                if r.events <= 0 and r.unit not in here})
        return dropped


class _Matcher:
    """Finds out which file of the disk is which of the store.

    :param source: the files of the disk
    :param store: what was read
    :param notes: what else is known of them
    :param copies: what was found to be a copy the last time; kept up
    """

    def __init__(self, source: files.FolderSource, store: stores.Store,
                 notes: dict[str, Any],
                 copies: dict[str, tuple[str, str]]) -> None:
        self._source = source
        self._store = store
        self._notes = notes
        self._copies = copies
        self._held: dict[str, list[stores.FileRecord]] = (
            collections.defaultdict(list))
        for record in store.files().values():
            self._held[record.unit].append(record)
        #: Units of the store, by those of the disk that they are.
        self._are: dict[str, str] = {}
        self._taken: set[str] = set()
        self._plan = _Plan()
        self._series: dict[str, list[stores.FileRecord]] = {}

    def plan(self, units: list[sources.Unit]) -> _Plan:
        """What to do, so that the store holds what the disk does.

        :param units: the files of the disk
        """
        left = [u for u in units if not self._unchanged(u)]
        if left:
            left = self._same_identity(left)
            left = self._same_file(left)
            left = self._same_text(left)
            left = self._no_copies(left, units)
            for unit in left:
                self._new(unit)
            self._names(units)
        return self._plan

    def _take(self, unit: sources.Unit, held: str) -> None:
        self._are[unit.source] = held
        self._taken.add(held)

    def _unchanged(self, unit: sources.Unit) -> bool:
        """Whether a file is stored as it is, under its name."""
        held = self._held.get(unit.source, ())
        note = self._notes.get(unit.source)
        if note is not None:
            if note['identity'] != unit.identity or note['files'] != len(
                    [r for r in held if r.identity == unit.identity]):
                return False
        elif unit.container or not held or (
                held[0].identity != unit.identity):
            return False
        self._take(unit, unit.source)
        return True

    def _same_identity(self, units: list[sources.Unit]
                       ) -> list[sources.Unit]:
        """Take those that only have another name now."""
        known = {r.identity: name for name, records in self._held.items()
                 for r in records if name not in self._taken}
        left = []
        for unit in units:
            name = known.get(unit.identity)
            if name is None or name in self._taken or name == unit.source:
                left.append(unit)
                continue
            note = self._notes.get(name)
            if unit.container and (note is None or note['files'] != len(
                    self._held[name])):
                # It was read in part.
                left.append(unit)
                continue
            self._take(unit, name)
        return left

    def _same_file(self, units: list[sources.Unit]) -> list[sources.Unit]:
        """Take those that are where they were, and grew at most."""
        inodes: dict[str, list[stores.FileRecord]] = (
            collections.defaultdict(list))
        for record in self._candidates(self._held):
            inodes[record.inode].append(record)
        left = []
        for unit in units:
            found = sorted(inodes.get(unit.inode, ()),
                           key=lambda r: r.unit != unit.source)
            same = self._held.get(unit.source, [])
            found += [r for r in self._candidates([unit.source])
                      if r not in found] if same else []
            if unit.container or not any(
                    self._goes_on(unit, record) for record in found):
                left.append(unit)
        return left

    def _goes_on(self, unit: sources.Unit,
                 record: stores.FileRecord) -> bool:
        """Take a file as what it is of the store, if its text says so."""
        if record.unit in self._taken or unit.size < record.bytes:
            return False
        marks = self._source.marks(unit, (record.bytes,))
        if marks is None or marks.found.get(
                record.bytes) != record.fingerprint:
            return False
        self._grown(unit, record, marks.end)
        return True

    def _grown(self, unit: sources.Unit, record: stores.FileRecord,
               end: int) -> None:
        """Have a file read on."""
        self._take(unit, record.unit)
        if end <= record.bytes:
            self._touch(unit, record)
            return
        resume = ingest.Resume.of(record)
        if resume is None or record.bytes - resume.offset > _LONGEST:
            resume = ingest.Resume.behind(record)
        self._plan.reads.append(unit)
        self._plan.resumes[unit.source] = dataclasses.replace(
            resume, record=dataclasses.replace(
                resume.record, source=unit.source, unit=unit.source))

    def _touch(self, unit: sources.Unit,
               record: stores.FileRecord) -> None:
        """Note that a file looks different, and says what it said."""
        self._plan.touched.append(dataclasses.replace(
            self._store.files()[record.source], source=unit.source,
            unit=unit.source, identity=unit.identity, inode=unit.inode,
            start=sys.maxsize))

    def _same_text(self, units: list[sources.Unit]) -> list[sources.Unit]:
        """Take those whose text was read from another file."""
        left = []
        for unit in units:
            if not self._is_text(unit):
                left.append(unit)
        return left

    def _is_text(self, unit: sources.Unit) -> bool:
        found = [r for r in self._of_series(unit)
                 if r.unit not in self._taken]
        first = self._source.first(unit) if found else ''
        # What has no whole first line may be the front of anything.
        found = [r for r in found if not r.first or r.first == first]
        if not found:
            return False
        marks = self._source.marks(unit, [r.bytes for r in found])
        if marks is None:
            return False
        for record in sorted(found, key=lambda r: -r.bytes):
            if marks.found.get(record.bytes) == record.fingerprint:
                self._grown(unit, record, marks.end)
                return True
        for record in found:
            # More was read of it than there was when it was copied.
            if (marks.first and record.first == marks.first
                    and marks.end < record.bytes
                    and self._is_front(unit, record, marks.end)):
                self._take(unit, record.unit)
                self._touch(unit, record)
                return True
        return False

    def _is_front(self, unit: sources.Unit, record: stores.FileRecord,
                  end: int) -> bool:
        """Whether what is stored of a file begins with another."""
        try:
            last = self._store.scan().filter(
                (pl.col('source') == record.source)
                & (pl.col('offset') + pl.col('length') <= end)).select(
                    'offset', 'length', 'text').sort('offset').tail(
                        1).collect(engine='streaming')
        except (OSError, pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            raise exception.StoreError(
                path=self._store.path, reason=error) from error
        if last.is_empty():
            return False
        offset, length, text = last.row(0)
        data = self._source.text(unit, offset, length)
        said = data.decode('utf-8', 'replace').replace('\r\n', '\n')
        return said.rstrip('\r')[:len(text)] == str(text)

    def _no_copies(self, left: list[sources.Unit],
                   units: list[sources.Unit]) -> list[sources.Unit]:
        """Those whose text is not in another file as well.

        A rotation may copy a file and truncate it, or pack it and delete
        it: for a moment, there are two.
        """
        by_name = {u.source: u for u in units}
        owners = {held: by_name[name] for name, held in self._are.items()}
        kept: list[sources.Unit] = []
        alike: dict[tuple[str, str], list[sources.Unit]] = (
            collections.defaultdict(list))
        for unit in left:
            other = self._original(unit, owners)
            if other is not None:
                self._plan.copies[unit.source] = other
                continue
            first = self._source.first(unit)
            if first:
                alike[_series(unit.source), first].append(unit)
            kept.append(unit)
        for group in alike.values():
            if len(group) > 1:
                self._copies_among(group)
        copies = self._plan.copies
        self._copies.clear()
        self._copies.update({u.source: (u.identity, copies[u.source])
                             for u in left if u.source in copies})
        return [u for u in kept if u.source not in copies]

    def _copies_among(self, group: list[sources.Unit]) -> None:
        """Note which of some new files is the front of another one."""
        ends = {u.source: marks.end for u in group
                if (marks := self._source.marks(u)) is not None}
        group = sorted((u for u in group if u.source in ends),
                       key=lambda u: -ends[u.source])
        found = {u.source: self._source.marks(u, list(ends.values()))
                 for u in group}
        for index, unit in enumerate(group):
            mine = found[unit.source]
            for other in group[:index]:
                theirs = found[other.source]
                if (mine is not None and theirs is not None
                        and other.source not in self._plan.copies
                        and theirs.found.get(mine.end) == mine.last):
                    self._plan.copies[unit.source] = other.source
                    break

    def _original(self, unit: sources.Unit,
                  owners: dict[str, sources.Unit]) -> str | None:
        """The file of the disk that begins like one and is stored."""
        known = self._copies.get(unit.source)
        if (known is not None and known[0] == unit.identity
                and known[1] in self._are):
            return known[1]
        found = [r for r in self._of_series(unit) if r.unit in owners]
        first = self._source.first(unit) if found else ''
        found = [r for r in found if not r.first or r.first == first
                 or not first]
        marks = self._source.marks(unit) if found else None
        if marks is None or not marks.end:
            return None
        for record in found:
            owner = owners[record.unit]
            if marks.end == record.bytes:
                if marks.last == record.fingerprint:
                    return owner.source
            elif not owner.container and owner.size >= marks.end:
                theirs = self._source.marks(owner, (marks.end,))
                if theirs is not None and theirs.found.get(
                        marks.end) == marks.last:
                    return owner.source
        return None

    def _candidates(self, names: Iterable[str]
                    ) -> list[stores.FileRecord]:
        """Records of single texts that may be known again."""
        return [records[0] for name in names
                if name not in self._taken
                and len(records := self._held.get(name, [])) == 1
                and records[0].source == name and records[0].fingerprint]

    def _of_series(self, unit: sources.Unit) -> list[stores.FileRecord]:
        """Records of files that one may have been rotated from."""
        if not self._series:
            for records in self._held.values():
                if (len(records) == 1 and records[0].fingerprint
                        and records[0].source == records[0].unit):
                    self._series.setdefault(_series(
                        records[0].unit), []).append(records[0])
        return self._series.get(_series(unit.source), [])

    def _new(self, unit: sources.Unit) -> None:
        """Have a file read from its front."""
        self._plan.reads.append(unit)
        held = self._held.get(unit.source)
        if held is None or unit.source in self._taken:
            return
        if not held[0].fingerprint and (
                unit.container or held[0].inode == unit.inode):
            # Nobody can tell what of it is new: it is stored anew.
            self._take(unit, unit.source)

    def _names(self, units: list[sources.Unit]) -> None:
        """Give all files of the store the names that they have now."""
        renames = {held: name for name, held in self._are.items()
                   if held != name}
        used = {u.source for u in units} | {
            renames.get(h, h) for h in self._held}
        here = {u.source for u in units} - set(self._plan.copies)
        for held in self._held:
            if held in self._taken or held not in here:
                continue
            plain = _FORMER.sub('', held)
            number = 1
            while f'{plain}~{number}' in used:
                number += 1
            renames[held] = f'{plain}~{number}'
            used.add(renames[held])
        self._plan.renames = renames


def own_logs() -> list[str]:
    """Paths of the logs that programs of this project write."""
    # Whoever does not log as the engine does has no such options.
    folder, name = (getattr(conf.CONF, n, None) or ''
                    for n in ('log_dir', 'log_file'))
    return [os.path.realpath(os.path.join(folder, name))] if name else []


def _series(name: str) -> str:
    return files.describe(_FORMER.sub('', name)).series


def _merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons of one file, each once."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        kind = re.sub(r'\d+', '#', row['reason'])
        held = found.get((row['source'], kind))
        found[row['source'], kind] = row if held is None else {
            **row, 'size': row['size'] + held['size']}
    return list(found.values())[-_MOST_REASONS:]
