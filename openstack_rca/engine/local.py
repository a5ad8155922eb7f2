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
"""The local door: questions to a folder of logs, in process.

The folder is parsed into a store once. The store is kept in the cache folder
of the user, so that a second question about the same folder starts at once;
files that changed are parsed again.
"""

from collections.abc import Callable
import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any
import weakref
import zoneinfo

import polars as pl
from stevedore import driver

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import analyzer
from openstack_rca.analysis import report
from openstack_rca.analysis import scope
from openstack_rca.analysis import trace
from openstack_rca.engine import ingest
from openstack_rca.events import schema
from openstack_rca.sources import base as sources
from openstack_rca.store import base as stores

#: Part of the key of the cache: stored events of another version are not
#: read.
PARSER_VERSION = 1

_LOCK = 'lock'
_NOTES = 'skipped.json'
_USED = 'used'

Progress = Callable[[str, float], None]


def load_driver(namespace: str, name: str) -> Any:
    """The class of a driver.

    :param namespace: entry point namespace, such as ``openstack_rca.stores``
    :param name: name of the driver
    :raises DriverNotFound: there is none of that name
    """
    try:
        return driver.DriverManager(namespace, name).driver
    except driver.NoMatches as error:
        known = driver.ExtensionManager(namespace).names()
        raise exception.DriverNotFound(
            name=name, namespace=namespace,
            known=', '.join(sorted(known)) or 'none; is the package '
            'installed?') from error


class LocalSession:
    """A parsed folder, ready for questions.

    :param store: its events
    :param skipped: what was not read: ``source``, ``reason``, ``bytes``
    :param baseline: events of a quiet time, or None
    """

    def __init__(self, store: stores.Store, skipped: list[dict[str, Any]],
                 baseline: stores.Store | None = None) -> None:
        self.store = store
        self.skipped = skipped
        self.baseline = baseline

    @property
    def coverage(self) -> list[dict[str, Any]]:
        """What was read: ``source``, ``from``, ``to``, ``events``,
        ``clock``."""
        return [{'source': r.source, 'from': _utc(r.since),
                 'to': _utc(r.until), 'events': r.events, 'clock': r.clock}
                for r in self._records()]

    def _records(self) -> list[stores.FileRecord]:
        return sorted(self.store.files().values(), key=lambda r: r.source)

    def analyze(self, question: scope.Question) -> dict[str, Any]:
        """Answer a question with a report.

        :param question: what the operator wants to know
        :returns: the report document
        :raises InvalidInput: the question contradicts itself
        :raises UnknownRequest: a request id that no event carries
        """
        return analyzer.Analyzer(
            self.store, self.baseline, detectors=[
                (name, load_driver('openstack_rca.detectors', name)())
                for name in conf.CONF.detectors.enabled],
            limits=report.Limits(
                hypotheses=conf.CONF.analysis.max_hypotheses,
                evidence=conf.CONF.analysis.max_evidence,
                timeline=conf.CONF.analysis.max_timeline),
        ).analyze(question, self.coverage, self.skipped)

    def events(self, *, since: datetime.datetime | None = None,
               until: datetime.datetime | None = None,
               request_id: str | None = None, server: str | None = None,
               service: str | None = None, level: str | None = None,
               template: str | None = None,
               words: tuple[str, ...] | list[str] | str | None = None,
               limit: int = 1000) -> list[dict[str, Any]]:
        """Events in order of time.

        :param since: first moment, aware
        :param until: last moment, aware
        :param request_id: local or global request id
        :param server: UUID or name of a server
        :param service: project or binary
        :param level: least level, by name
        :param template: id of a template, 16 hex digits
        :param words: all of these stand in the text
        :param limit: at most so many
        :raises InvalidInput: a value cannot be understood
        """
        scope.check_order(since, until)
        if isinstance(words, str):
            words = (words,)
        query = stores.Query(
            since=scope.naive(since), until=scope.naive(until),
            requests=(request_id,) if request_id else (),
            resources=scope.identifiers(self.store, server)
            if server else (),
            services=(service,) if service else (),
            level=scope.level_number(level) if level else None,
            templates=(scope.template_number(template),)
            if template else (),
            words=tuple(words or ()), limit=limit)
        found = self.store.query(query)
        return describe(found, self.store.templates())

    def trace(self, request_id: str) -> dict[str, Any]:
        """One request's way through all services.

        :param request_id: local or global request id
        :returns: ``request_ids``, ``global_request_id``, ``services``,
            ``events``
        :raises UnknownRequest: no event carries the id
        """
        way = trace.follow(self.store, request_id)
        rows = describe(way.events, self.store.templates())
        start = way.events['timestamp'][0]
        for row, moment in zip(rows, way.events['timestamp'], strict=True):
            row['delta_ms'] = round(
                (moment - start).total_seconds() * 1e3, 3)
        return {'request_ids': way.request_ids,
                'global_request_id': way.global_request_id,
                'services': way.services, 'events': rows}

    def sources(self) -> list[dict[str, Any]]:
        """What was read, a row a file."""
        return [{
            'source': r.source, 'kind': r.kind, 'format': r.format,
            'service': r.service, 'binary': r.binary, 'host': r.host,
            'events': r.events, 'lines': r.lines, 'unparsed': r.unparsed,
            'from': _utc(r.since), 'to': _utc(r.until), 'bytes': r.bytes}
            for r in self._records()]


def _utc(moment: str | None) -> str | None:
    return f'{moment}+00:00' if moment else None


def describe(events: pl.DataFrame,
             templates: pl.DataFrame) -> list[dict[str, Any]]:
    """Events as people see them.

    :param events: with the columns of ``schema.EVENTS``
    :param templates: with the columns of ``schema.TEMPLATES``
    """
    rows = events.join(templates, on='template', how='left',
                       maintain_order='left')
    return [{
        'timestamp': r['timestamp'].isoformat() + '+00:00'
        if r['timestamp'] else None,
        'host': r['host'], 'service': r['service'], 'binary': r['binary'],
        'level': schema.LEVEL_NAMES.get(r['level'], ''),
        'logger': r['logger'], 'request_id': r['request_id'],
        'global_request_id': r['global_request_id'],
        'resources': list(dict.fromkeys(r['resources'] or ())),
        'template': schema.template_name(r['template']),
        'pattern': r['pattern'], 'text': r['text'], 'source': r['source'],
        'line': r['line'], 'offset': r['offset'], 'kind': r['kind'],
    } for r in rows.iter_rows(named=True)]


def open_folder(path: pathlib.Path, *, timezone: str = 'UTC',
                cache: bool = True, baseline: pathlib.Path | None = None,
                progress: Progress | None = None) -> LocalSession:
    """Parse a folder, or what changed of it, and open it for questions.

    :param path: folder, log file or tar archive
    :param timezone: IANA name of the zone of times without an offset
    :param cache: keep what is parsed, and use what was kept
    :param baseline: a folder of quiet logs to compare with
    :param progress: called with a stage and the share that is done
    :raises InvalidInput: there is no such time zone
    :raises SourceNotFound: the folder is not there
    :raises SourceUnreadable: it cannot be read
    :raises SourceEmpty: there is no log in it
    :raises NothingRecognised: no line of it is a log record
    """
    try:
        zoneinfo.ZoneInfo(timezone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise exception.InvalidInput(
            f"There is no time zone '{timezone}'. Use a name such as UTC "
            f'or Europe/Berlin.') from error
    store, skipped = _parsed(path, timezone, cache, progress)
    quiet = None
    if baseline is not None:
        quiet = _parsed(baseline, timezone, cache, progress)[0]
    return LocalSession(store, skipped, quiet)


def _parsed(path: pathlib.Path, timezone: str, cache: bool,
            progress: Progress | None) -> tuple[
                stores.Store, list[dict[str, Any]]]:
    """The store of a folder, up to date."""
    limits = conf.CONF.limits
    source = load_driver('openstack_rca.sources', 'files')(
        path, max_line=limits.max_line_bytes,
        max_uncompressed=limits.max_uncompressed_bytes,
        max_ratio=limits.max_ratio, max_members=limits.max_members,
        max_files=limits.max_files,
        max_total_bytes=limits.max_total_bytes)
    units = source.units()
    folder = _cache_folder(path, timezone) if cache else None
    store_class = load_driver('openstack_rca.stores', 'parquet')
    store = None
    if folder is not None and _lock(folder):
        # A damaged cache costs time, never an answer.
        with contextlib.suppress(exception.StoreError):
            store = store_class(folder)
    if store is None:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='openstack-rca-'))
        store = store_class(folder)
        weakref.finalize(store, shutil.rmtree, folder, True)
    assert folder is not None
    notes = _read_notes(folder)
    changed = _changed(units, store, notes)
    if changed:
        store.forget({r.source for r in store.files().values()
                      if r.unit in {u.source for u in changed}}
                     | {u.source for u in changed})
        ingest.ingest(source, changed, store, timezone, progress)
    gone = {r.source for r in store.files().values()} - {
        r.source for r in store.files().values()
        if r.unit in {u.source for u in units}}
    store.forget(gone)
    skipped = _keep_notes(folder, notes, units, changed, source.skipped)
    (folder / _USED).touch()
    records = store.files().values()
    if not records or all(r.unparsed == r.lines for r in records):
        detail = ' '.join(f'{s["source"]}: {s["reason"]}.'
                          for s in skipped[:3])
        if not records:
            raise exception.SourceEmpty(path=path, detail=detail)
        raise exception.NothingRecognised(
            path=path, files=len(records), detail=detail)
    return store, skipped


def _changed(units: list[sources.Unit], store: stores.Store,
             notes: dict[str, Any]) -> list[sources.Unit]:
    """The units that are not in the store as they are now."""
    have = {r.unit: r.identity for r in store.files().values()}
    have |= {unit: note['identity'] for unit, note in notes.items()
             if note.get('empty')}
    return [u for u in units if have.get(u.source) != u.identity]


def _read_notes(folder: pathlib.Path) -> dict[str, Any]:
    try:
        notes = json.loads((folder / _NOTES).read_text())
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _keep_notes(folder: pathlib.Path, notes: dict[str, Any],
                units: list[sources.Unit], changed: list[sources.Unit],
                found: list[sources.Skipped]) -> list[dict[str, Any]]:
    """What was skipped, now and when unchanged files were parsed."""
    fresh = {u.source for u in changed}
    names = {u.source: u.identity for u in units}
    kept = {unit: note for unit, note in notes.items()
            if unit in names and unit not in fresh and unit != ''}
    rows = [dataclasses.asdict(s) for s in found]
    for unit in fresh:
        mine = [r for r in rows if r['source'] == unit
                or r['source'].startswith(f'{unit}!')]
        kept[unit] = {'identity': names[unit], 'skipped': mine}
    owned = {(r['source'], r['reason']) for note in kept.values()
             for r in note['skipped']}
    loose = [r for r in rows if (r['source'], r['reason']) not in owned]
    with contextlib.suppress(OSError):
        aside = folder / (_NOTES + '.partial')
        aside.write_text(json.dumps(kept))
        aside.chmod(0o600)
        aside.rename(folder / _NOTES)
    every = loose + [r for note in kept.values() for r in note['skipped']]
    return [{'source': r['source'], 'reason': r['reason'],
             'bytes': r['size']} for r in every]


def cache_root() -> pathlib.Path:
    """The folder of the cache, by the XDG Base Directory Specification."""
    told = conf.CONF.cache.directory
    if told:
        return pathlib.Path(told).expanduser()
    base = os.environ.get('XDG_CACHE_HOME', '')
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser('~'), '.cache')
    return pathlib.Path(base) / 'openstack-rca'


def _cache_folder(path: pathlib.Path,
                  timezone: str) -> pathlib.Path | None:
    """The folder of one source in the cache; None where there is none."""
    if not conf.CONF.cache.max_age or not conf.CONF.cache.max_size:
        return None
    root = cache_root()
    key = hashlib.blake2b(
        f'{PARSER_VERSION}\0{timezone}\0{os.path.realpath(path)}'.encode(
            'utf-8', 'surrogateescape'), digest_size=16).hexdigest()
    folder = root / 'events' / key
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _evict(folder.parent, keep=folder)
    except OSError:
        return None
    return folder


def _evict(root: pathlib.Path, keep: pathlib.Path) -> None:
    """Delete what is too old or too much, least recently used first."""
    aged = []
    for folder in root.iterdir():
        if folder == keep or not folder.is_dir():
            continue
        try:
            mark = folder / _USED
            used = (mark if mark.exists() else folder).stat().st_mtime
        except OSError:
            continue
        aged.append((used, folder))
    sizes = {folder: sum(f.stat().st_size for f in folder.glob('*')
                         if f.is_file()) for _, folder in aged}
    sizes[keep] = sum(f.stat().st_size for f in keep.glob('*')
                      if f.is_file())
    total = sum(sizes.values())
    oldest = time.time() - conf.CONF.cache.max_age
    for used, folder in sorted(aged):
        if used >= oldest and total <= conf.CONF.cache.max_size:
            continue
        if _lock(folder, hold=False):
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


_held: dict[str, int] = {}


def _lock(folder: pathlib.Path, hold: bool = True) -> bool:
    """Whether no other process uses a folder of the cache."""
    name = str(folder)
    if name in _held:
        return hold
    try:
        handle = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    if hold:
        # Held until the process ends: its segments must not be evicted
        # while they are read.
        _held[name] = handle
    else:
        os.close(handle)
    return True
