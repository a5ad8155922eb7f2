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
"""A folder of logs and its store, kept alike.

The store follows the folder: what changed is parsed again, what only grew is
read on, what is gone is forgotten.
"""

import collections
import dataclasses
import datetime
import json
import os
import pathlib
from typing import Any
import zoneinfo

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.engine import ingest
from openstack_rca.sources import base as sources
from openstack_rca.store import base as stores

#: Beside a store; its time is that of the last look.
USED = 'used'

#: A file that was read on so often is parsed anew, as a whole: each time
#: leaves a segment.
_MOST_PIECES = 32

LOG = logging.getLogger(__name__)

#: Beside a store, what was not read.
NOTES = 'skipped.json'


@dataclasses.dataclass(frozen=True)
class Refreshed:
    """What came of a look at a folder.

    :param changed: whether the store holds anything else now
    :param skipped: what was not read: ``source``, ``reason``, ``bytes``
    """

    changed: bool
    skipped: list[dict[str, Any]]


def refresh(path: pathlib.Path, store: stores.Store, timezone: str = 'UTC',
            progress: ingest.Progress | None = None) -> Refreshed:
    """Parse what changed in a folder since the last time.

    :param path: folder, log file or tar archive
    :param store: what was parsed before, and is now
    :param timezone: IANA name of the zone of times without an offset
    :param progress: called with a stage and the share that is done
    :raises SourceNotFound: the folder is not there
    :raises SourceUnreadable: it cannot be read
    :raises SourceEmpty: there is no log in it
    :raises StoreError: what was parsed cannot be written
    """
    limits = conf.CONF.limits
    source = drivers.load('openstack_rca.sources', 'files')(
        path, max_line=limits.max_line_bytes,
        max_total_bytes=limits.max_total_bytes,
        max_uncompressed=limits.max_uncompressed_bytes,
        max_ratio=limits.max_ratio, max_members=limits.max_members,
        max_files=limits.max_files)
    units = source.units()
    notes = read_notes(store.path)
    changed = _changed(units, store, notes)
    resumes = _grown(source, changed, store)
    if changed:
        ingest.ingest(source, changed, store, timezone, progress, resumes)
    now = {u.source: u.identity for u in units}
    gone = {r.source for r in store.files().values()
            if now.get(r.unit) != r.identity}
    store.forget(gone)
    skipped = _keep_notes(store, notes, units, changed, source.skipped,
                          set(resumes))
    return Refreshed(bool(changed or gone), skipped)


def check_timezone(timezone: str) -> None:
    """Refuse a time zone that there is not.

    :param timezone: IANA name
    :raises InvalidInput: there is no such time zone
    """
    try:
        zoneinfo.ZoneInfo(timezone)
        # Of two time zone databases, both have to know it.
        pl.Series([datetime.datetime(2026, 1, 1)]).dt.replace_time_zone(
            timezone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError,
            pl.exceptions.ComputeError) as error:
        raise exception.InvalidInput(
            f"There is no time zone '{timezone}'. Use a name such as UTC "
            f'or Europe/Berlin.') from error


def _changed(units: list[sources.Unit], store: stores.Store,
             notes: dict[str, Any]) -> list[sources.Unit]:
    """The units that are not in the store, whole and as they are now.

    Notes are written once everything is parsed, so that an archive of which
    only some members are stored is read again.
    """
    held = collections.Counter(
        (r.unit, r.identity) for r in store.files().values())
    return [u for u in units if (note := notes.get(u.source)) is None
            or note['identity'] != u.identity
            or note['files'] != held[u.source, u.identity]]


def _grown(source: sources.Source, changed: list[sources.Unit],
           store: stores.Store) -> dict[str, ingest.Resume]:
    """Where to read on those files that only grew."""
    records = store.files()
    grown = {}
    for unit in changed:
        record = records.get(unit.source)
        if (record is not None and record.fingerprint
                and record.pieces < _MOST_PIECES
                and record.inode == unit.inode
                and record.fingerprint == source.fingerprint(
                    unit, record.bytes)
                and (resume := ingest.Resume.of(record)) is not None):
            grown[unit.source] = resume
    return grown


def skipped(folder: pathlib.Path) -> list[dict[str, Any]]:
    """What the last look at a folder did not read, as a report lists it.

    :param folder: of the store
    """
    return [{'source': r['source'], 'reason': r['reason'],
             'bytes': r['size']}
            for note in read_notes(folder).values()
            for r in note['skipped']]


def read_notes(folder: pathlib.Path) -> dict[str, Any]:
    """What was written beside the store.

    :param folder: of the store
    :returns: by unit, its ``identity``, how many ``files`` were in it, and
        what was ``skipped``
    """
    try:
        notes = json.loads((folder / NOTES).read_text())
        return {str(unit): {
            'identity': str(note['identity']), 'files': int(note['files']),
            'skipped': [{'source': str(s['source']),
                         'reason': str(s['reason']), 'size': int(s['size'])}
                        for s in note['skipped']]}
            for unit, note in notes.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _keep_notes(store: stores.Store, notes: dict[str, Any],
                units: list[sources.Unit], changed: list[sources.Unit],
                found: list[sources.Skipped],
                resumed: set[str]) -> list[dict[str, Any]]:
    """What was skipped, now and when unchanged files were parsed."""
    fresh = {u.source for u in changed}
    held = collections.Counter(r.unit for r in store.files().values())
    kept = {u.source: notes[u.source] for u in units
            if u.source not in fresh}
    mine: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    loose: list[dict[str, Any]] = []
    for row in map(dataclasses.asdict, found):
        name = row['source']
        while name not in fresh and '!' in name:
            name = name.rpartition('!')[0]
        (mine[name] if name in fresh else loose).append(row)
    for unit in changed:
        rows = mine[unit.source]
        if unit.source in resumed and unit.source in notes:
            rows = [*notes[unit.source]['skipped'], *rows]
        kept[unit.source] = {
            'identity': unit.identity, 'files': held[unit.source],
            'skipped': rows}
    write_private(store.path / NOTES, json.dumps(kept))
    write_private(store.path / USED, '')
    every = loose + [r for note in kept.values() for r in note['skipped']]
    return [{'source': r['source'], 'reason': r['reason'],
             'bytes': r['size']} for r in every]


def write_private(path: pathlib.Path, text: str) -> None:
    """Write a file that nobody else may read, all of it or nothing.

    :param path: in the folder of a store
    :param text: what it is to hold
    :raises StoreError: it cannot be written
    """
    aside = path.with_name(f'{path.name}.partial')
    try:
        handle = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, 'w', encoding='utf-8') as out:
            out.write(text)
        aside.rename(path)
    except OSError as error:
        raise exception.StoreError(
            path=path.parent, reason=error.strerror or error) from error
