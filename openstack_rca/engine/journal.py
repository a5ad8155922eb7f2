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
"""A journal of systemd that is written to, and its store.

How far it was read is a cursor of the journal, which stands in the segment
with the events up to it.
"""

from collections.abc import Iterator
import datetime
import json
import pathlib
from typing import Any

from oslo_log import log as logging
import polars as pl

from openstack_rca import drivers
from openstack_rca.engine import folder as folders
from openstack_rca.engine import ingest
from openstack_rca.engine import tail
from openstack_rca.events import parser
from openstack_rca.events import schema
from openstack_rca.sources import base as sources
from openstack_rca.sources import journal
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: A place in front of all entries.
_FRONT = '{}'


class Tail:
    """Follows a journal.

    :param path: folder of the journal
    :param store: what was read before, and is now
    :param timezone: IANA name of the zone of times without an offset
    :raises SourceNotFound: there is no such folder
    """

    def __init__(self, path: pathlib.Path, store: stores.Store,
                 timezone: str = 'UTC') -> None:
        self._source: journal.JournalSource = drivers.load(
            'openstack_rca.sources', 'journal')(path)
        self.store = store
        self._timezone = timezone
        #: Whether what is on the disk has to be read anew.
        self.heal = False
        self._state: dict[str, tuple[int, ...]] | None = None
        #: How far it was read; what was left out behind the last event that
        #: is stored is not worth a segment.
        self._position = ''
        self._skipped = [
            {'source': r['source'], 'reason': r['reason'],
             'size': r['bytes']} for r in folders.skipped(store.path)]
        self._kept = json.dumps(self._skipped)

    @property
    def folders(self) -> list[str]:
        """The folders that are looked into."""
        return self._source.folders

    def stirred(self) -> bool:
        """Whether something was written since the last look."""
        return self._state is not None and (
            self._state != self._source.state())

    def look(self, listing: bool = True,
             progress: ingest.Progress | None = None) -> tail.Looked:
        """Store what is new.

        :param listing: means nothing here
        :param progress: called with a stage and the share that is done
        :raises SourceUnreadable: the journal cannot be read
        :raises StoreError: what was read cannot be written
        """
        del listing
        self._state = self._source.state()
        looked = tail.Looked()
        position = self._position or self.store.position
        if self.heal:
            # A part of the store is lost, and nobody knows which.
            self.store.forget(set(self.store.files()))
            position = _FRONT
            self.heal = False
        try:
            for batch in self._source.batches(position):
                if batch.gap:
                    self._note('*', 'entries that were deleted before they '
                               'were read: keep more of the journal, see '
                               'SystemMaxUse in journald.conf(5)')
                if batch.lines:
                    self._take(batch, looked)
                self._position = batch.position
                if progress:
                    progress('reading', 0.0)
        finally:
            self.store.abandon()
        for name in sorted(self._source.own):
            self._note(name, 'the log of this program itself')
        self._keep_notes()
        looked.skipped = [{'source': r['source'], 'reason': r['reason'],
                           'bytes': r['size']} for r in self._skipped]
        return looked

    def _note(self, name: str, reason: str) -> None:
        row = {'source': name, 'reason': reason, 'size': 0}
        if row not in self._skipped:
            if name == '*':
                LOG.warning('The journal in %s: %s', self._source.path,
                            reason)
            self._skipped.append(row)

    def _keep_notes(self) -> None:
        kept = json.dumps(self._skipped)
        if kept != self._kept:
            folders.write_private(
                self.store.path / folders.NOTES, json.dumps({
                    '*': {'identity': '', 'files': 0,
                          'skipped': self._skipped}}))
            self._kept = kept

    def _take(self, batch: journal.Batch, looked: tail.Looked) -> None:
        """Store the entries of a batch, and how far they go."""
        held = self.store.files()
        parts = []
        for source, lines in batch.lines.items():
            before = held.get(source)
            file = batch.files[source]
            parts.append(parser.Part(
                b'\n'.join(lines) + b'\n', parser.Origin(
                    source=source, kind='journal', service=file.service,
                    binary=file.binary, host=file.host,
                    timezone=self._timezone),
                before.bytes if before else 0,
                before.lines + 1 if before else 1))
            looked.lines += len(lines)
            looked.bytes += len(parts[-1].data)
        pieces = list(self._parse(parts))
        self.store.write_at(
            pl.concat([schema.empty(), *(p.events for _, p in pieces)]),
            pl.concat([pl.DataFrame(schema=schema.TEMPLATES),
                       *(p.templates for _, p in pieces)]).unique('template'),
            [self._record(part, batch, held.get(part.origin.source), counts)
             for some, piece in pieces for part, counts in zip(
                 some, piece.parts.iter_rows(named=True), strict=True)],
            batch.position)
        looked.changed = True

    def _parse(self, parts: list[parser.Part]) -> Iterator[
            tuple[list[parser.Part], parser.Piece]]:
        """What some parts hold, as far as that can be parsed."""
        try:
            yield parts, parser.parse(parts)
        except (ValueError, OverflowError, pl.exceptions.PolarsError,
                pl.exceptions.PanicException) as error:
            if len(parts) > 1:
                # One bad entry must not take those of others with it.
                for part in parts:
                    yield from self._parse([part])
                return
            self._note(parts[0].origin.source, 'some entries could not be '
                       f'parsed ({type(error).__name__})')

    def _record(self, part: parser.Part, batch: journal.Batch,
                before: stores.FileRecord | None,
                counts: dict[str, Any]) -> stores.FileRecord:
        file: sources.LogFile = batch.files[part.origin.source]
        times = [t for t in (
            counts['since'], counts['until'], *(
                datetime.datetime.fromisoformat(t) for t in (
                    (before.since, before.until) if before else ()) if t))
                 if t is not None]
        return stores.FileRecord(
            source=file.source, unit=file.source, identity=batch.position,
            kind='journal', service=file.service, binary=file.binary,
            host=file.host, format=counts['format'] or 'journal',
            clock=self._timezone,
            events=counts['events'] + (before.events if before else 0),
            lines=counts['lines'] + (before.lines if before else 0),
            unparsed=counts['unparsed'] + (
                before.unparsed if before else 0),
            bytes=part.offset + len(part.data),
            since=min(times).isoformat() if times else None,
            until=max(times).isoformat() if times else None,
            start=part.offset)

    def expire(self, before: float, limit: int) -> stores.Dropped:
        """Drop what is too old or too much.

        :param before: seconds of the epoch; what was stored before goes
        :param limit: bytes of the disk, 0 for any
        :raises StoreError: it cannot be written
        """
        return self.store.expire(before, limit)
