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

import collections
from collections.abc import Callable
from collections.abc import Iterator
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

from oslo_log import log as logging
import polars as pl
from stevedore import driver
from stevedore import exception as driver_exceptions
from stevedore import extension

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
PARSER_VERSION = 3

#: A file that was read on so often is parsed anew, as a whole: each time
#: leaves a segment.
_MOST_PIECES = 32

LOG = logging.getLogger(__name__)

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
    except driver_exceptions.NoMatches as error:
        known = extension.ExtensionManager(namespace).names()
        raise exception.DriverNotFound(
            name=name, namespace=namespace,
            known=', '.join(sorted(known)) or 'none; is the package '
            'installed?') from error


class LocalSession:
    """A parsed folder, ready for questions.

    :param store: its events
    :param skipped: what was not read: ``source``, ``reason``, ``bytes``
    :param baseline: events of a quiet time, or None
    :param parse_seconds: how long reading the folder took
    """

    def __init__(self, store: stores.Store, skipped: list[dict[str, Any]],
                 baseline: stores.Store | None = None,
                 parse_seconds: float = 0.0) -> None:
        self.store = store
        self.skipped = skipped
        self.baseline = baseline
        self.parse_seconds = parse_seconds

    @property
    def coverage(self) -> list[dict[str, Any]]:
        """What was read, a row a file.

        :returns: rows of ``source``, ``from``, ``to``, ``events``, ``clock``
        """
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
        :raises DriverNotFound: a detector is configured that is not there
        :raises StoreError: the parsed events cannot be read
        """
        limits = report.Limits(
            hypotheses=conf.CONF.analysis.max_hypotheses,
            evidence=conf.CONF.analysis.max_evidence,
            timeline=conf.CONF.analysis.max_timeline)
        detectors = [(name, load_driver('openstack_rca.detectors', name)())
                     for name in conf.CONF.detectors.enabled]
        with self._readable():
            return analyzer.Analyzer(
                self.store, self.baseline, detectors=detectors,
                limits=limits).analyze(
                    question, self.coverage, self.skipped,
                    self.parse_seconds)

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
        :raises StoreError: the parsed events cannot be read
        """
        scope.check_order(since, until)
        if limit < 1:
            raise exception.InvalidInput(
                f'A limit of {limit} shows nothing. Use 1 or more.')
        if isinstance(words, str):
            words = (words,)
        with self._readable():
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
            return describe(self.store.query(query), self.store.templates())

    def trace(self, request_id: str) -> dict[str, Any]:
        """One request's way through all services.

        :param request_id: local or global request id
        :returns: ``request_ids``, ``global_request_id``, ``services``,
            ``events``; these have ``delta_ms``, the time since the first
            one, which is None where an event has no time
        :raises UnknownRequest: no event carries the id
        :raises StoreError: the parsed events cannot be read
        """
        with self._readable():
            way = trace.follow(self.store, request_id)
            rows = describe(way.events, self.store.templates())
        times = way.events['timestamp']
        start = times.drop_nulls().first()
        for row, moment in zip(rows, times, strict=True):
            row['delta_ms'] = None if moment is None else round(
                (moment - start).total_seconds() * 1e3, 3)
        return {'request_ids': way.request_ids,
                'global_request_id': way.global_request_id,
                'services': way.services, 'events': rows}

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns what polars says of a damaged store into an error of ours."""
        try:
            yield
        except (pl.exceptions.ComputeError, pl.exceptions.PanicException,
                OSError) as error:
            raise exception.StoreError(
                path=self.store.path, reason=f'{error}. Delete the folder, '
                'or ask again with --no-cache.') from error

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
    :raises StoreError: what was parsed cannot be written
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
    start = time.perf_counter()
    store, skipped = _parsed(path, timezone, cache, progress)
    quiet = None
    if baseline is not None:
        quiet = _parsed(baseline, timezone, cache, progress)[0]
    return LocalSession(store, skipped, quiet, time.perf_counter() - start)


def _parsed(path: pathlib.Path, timezone: str, cache: bool,
            progress: Progress | None) -> tuple[
                stores.Store, list[dict[str, Any]]]:
    """The store of a folder, up to date."""
    limits = conf.CONF.limits
    source = load_driver('openstack_rca.sources', 'files')(
        path, max_line=limits.max_line_bytes,
        max_total_bytes=limits.max_total_bytes,
        max_uncompressed=limits.max_uncompressed_bytes,
        max_ratio=limits.max_ratio, max_members=limits.max_members,
        max_files=limits.max_files)
    units = source.units()
    store = _store(_cache_folder(path, timezone) if cache else None)
    notes = _read_notes(store.path)
    changed = _changed(units, store, notes)
    resumes = _grown(source, changed, store)
    if changed:
        ingest.ingest(source, changed, store, timezone, progress, resumes)
    now = {u.source: u.identity for u in units}
    store.forget({r.source for r in store.files().values()
                  if now.get(r.unit) != r.identity})
    skipped = _keep_notes(store, notes, units, changed, source.skipped,
                          set(resumes))
    records = store.files().values()
    if not records or all(r.unparsed == r.lines for r in records):
        detail = ' '.join(f'{s["source"]}: {s["reason"]}.'
                          for s in skipped[:3])
        if not records:
            raise exception.SourceEmpty(path=path, detail=detail)
        raise exception.NothingRecognised(
            path=path, files=len(records), detail=detail)
    return store, skipped


def _store(folder: pathlib.Path | None) -> stores.Store:
    """The store in a folder of the cache, or in a temporary one."""
    store_class = load_driver('openstack_rca.stores', 'parquet')
    if folder is not None and _lock(folder):
        # A damaged cache costs time, never an answer.
        for _ in range(2):
            try:
                store: stores.Store = store_class(folder)
            except exception.StoreError as error:
                LOG.warning('The cache in %s is made anew: %s', folder,
                            error)
                _empty(folder)
            else:
                return store
    try:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='openstack-rca-'))
    except OSError as error:
        raise exception.StoreError(
            path=tempfile.gettempdir(),
            reason=error.strerror or error) from error
    store = store_class(folder)
    weakref.finalize(store, shutil.rmtree, folder, True)
    return store


def _empty(folder: pathlib.Path) -> None:
    """Delete what a folder of the cache holds, but for its lock."""
    for path in folder.iterdir():
        if path.name == _LOCK:
            continue
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


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
                and record.fingerprint == source.fingerprint(
                    unit, record.bytes)):
            grown[unit.source] = record
    if not grown:
        return {}
    # The last record may go on in what is new, and lines without a header
    # are read together with the record in front of them.
    events = store.scan().filter(pl.col('source').is_in(list(grown))).select(
        'source', 'offset', 'line', 'lines', 'kind').sort(
            'source', 'offset').with_columns(
                start=pl.col('offset').filter(pl.col('kind') != 'raw')
                .max().over('source'))
    try:
        tails = events.filter(pl.col('offset') >= pl.col('start')).group_by(
            'source', maintain_order=True).agg(
                offset=pl.col('offset').first(), line=pl.col('line').first(),
                events=pl.len(), lines=pl.col('lines').sum(),
                raw=pl.col('lines').filter(pl.col('kind') == 'raw').sum()
            ).collect(engine='streaming')
    except (OSError, pl.exceptions.PolarsError,
            pl.exceptions.PanicException) as error:
        LOG.warning('The cache in %s cannot be read: %s', store.path, error)
        return {}
    return {r['source']: ingest.Resume(r['offset'], r['line'], dataclasses
                                       .replace(
        grown[r['source']],
        events=grown[r['source']].events - r['events'],
        lines=grown[r['source']].lines - r['lines'],
        unparsed=grown[r['source']].unparsed - r['raw']))
        for r in tails.iter_rows(named=True)}


def _read_notes(folder: pathlib.Path) -> dict[str, Any]:
    """What was written beside the store.

    :returns: by unit, its ``identity``, how many ``files`` were in it, and
        what was ``skipped``
    """
    try:
        notes = json.loads((folder / _NOTES).read_text())
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
    try:
        _write_private(store.path / _NOTES, json.dumps(kept))
        _write_private(store.path / _USED, '')
    except OSError as error:
        raise exception.StoreError(
            path=store.path, reason=error.strerror or error) from error
    every = loose + [r for note in kept.values() for r in note['skipped']]
    return [{'source': r['source'], 'reason': r['reason'],
             'bytes': r['size']} for r in every]


def _write_private(path: pathlib.Path, text: str) -> None:
    """Write a file that nobody else may read, all of it or nothing."""
    aside = path.with_name(f'{path.name}.partial')
    handle = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, 'w', encoding='utf-8') as out:
        out.write(text)
    aside.rename(path)


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
    # What is read depends on the limits, too.
    limits = sorted(dict(conf.CONF.limits).items())
    key = hashlib.blake2b(
        f'{PARSER_VERSION}\0{timezone}\0{limits}\0{os.path.realpath(path)}'
        .encode('utf-8', 'surrogateescape'), digest_size=16).hexdigest()
    folder = root / 'events' / key
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The folder above may be one that the user shares with others.
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        folder.parent.chmod(0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        _evict(folder.parent, keep=folder)
    except OSError as error:
        LOG.debug('No cache in %s: %s', root, error)
        return None
    return folder


def _evict(root: pathlib.Path, keep: pathlib.Path) -> None:
    """Delete what is too old or too much, least recently used first."""
    aged = []
    total = _size(keep)
    for folder in root.iterdir():
        if folder == keep or not folder.is_dir():
            continue
        mark = folder / _USED
        with contextlib.suppress(OSError):
            used = (mark if mark.exists() else folder).stat().st_mtime
            aged.append((used, folder, _size(folder)))
            total += aged[-1][2]
    oldest = time.time() - conf.CONF.cache.max_age
    for used, folder, size in sorted(aged):
        if used >= oldest and total <= conf.CONF.cache.max_size:
            continue
        if _lock(folder, hold=False):
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _size(folder: pathlib.Path) -> int:
    total = 0
    for file in folder.glob('*'):
        # Others may be at work in their folders.
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


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
        # The folder may have been evicted between these two calls.
        if not os.path.samestat(os.fstat(handle), os.stat(folder / _LOCK)):
            raise OSError
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
