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
"""Known failures: signatures are read, and looked for in a store.

A failure that was understood once is written down as a signature (see
:mod:`openstack_rca.knowledge.schema`) and found again by what it logs. The
work is done once a template: the words of all signatures are sought in the
templates at the same time, and only events of templates that hold some are
read.
"""

from collections.abc import Iterable
import dataclasses
import datetime
import functools
import pathlib
from typing import Any
from typing import Literal

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.events import schema as events
from openstack_rca.knowledge import patterns
from openstack_rca.knowledge import schema
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

#: Where the signatures are that come with the package.
SHIPPED = pathlib.Path(__file__).parent / 'signatures'
#: Files of a folder that are read.
MAX_FILES = 2000
#: Events of a template that are read, the first ones.
_PER_TEMPLATE = schema.MAX_COUNT
#: Events of which all are read, however few templates they are of.
_MANY = 5_000
#: Events of a match that are kept: a report cites a few.
_SAMPLES = 3
_MAX_VALUE = 200

_COLUMNS = {'host': 'host', 'service': 'service', 'program': 'binary',
            'request': 'request_id'}


@dataclasses.dataclass(frozen=True)
class Match:
    """A signature that was found.

    :param signature: which one
    :param variables: what its variables stand for, the values of the events
        kept
    :param events: some of the rows that it matches, with different values
        where there are such, the oldest first
    :param count: how many it matches; of very many, at least so many
    :param processes: program and host of all
    """

    signature: schema.Signature
    variables: dict[str, tuple[str, ...]]
    events: list[dict[str, Any]]
    count: int
    processes: frozenset[tuple[str, str]]

    def fill(self, text: str) -> str:
        """A text of the signature with its variables.

        :param text: title, cause, host or remedy
        """
        return text.format_map(_Words({
            name: ' and '.join(filter(None, (
                ', '.join(values[:-1]), values[-1])))
            for name, values in self.variables.items() if values}))

    @property
    def host(self) -> str:
        """The one host that is meant, or an empty string."""
        text = self.signature.host
        if any(len(self.variables.get(name, ())) != 1
               for name in schema.variables(text)):
            return ''
        return self.fill(text)


class _Words(dict[str, str]):
    """What variables stand for, in words where a record does not tell."""

    def __missing__(self, name: str) -> str:
        return 'its host' if name == 'host' else f'an unknown {name}'


class Library:
    """Signatures, ready to be looked for.

    :param signatures: all of them; one of the same name replaces an earlier
        one
    :param problems: what was wrong with files that were left out
    """

    def __init__(self, signatures: Iterable[schema.Signature],
                 problems: tuple[exception.RCAException, ...] = ()) -> None:
        held = {s.id: s for s in signatures}
        self.signatures = tuple(held[name] for name in sorted(held))
        self.problems = problems

    @classmethod
    def configured(cls) -> 'Library':
        """The shipped signatures and those of the operator's own folders.

        A file of an operator that is wrong is left out, logged, and told in
        ``problems``: a spelling mistake must not stop an analysis.

        :raises SignatureInvalid: a shipped signature is wrong
        """
        folders = [SHIPPED, *map(
            pathlib.Path, conf.CONF.knowledge.signature_dirs)]
        problems: list[exception.RCAException] = []
        stamps = []
        for folder in folders:
            try:
                stamps.append(tuple(_stamps(folder)))
            except exception.SignaturesUnreadable as e:
                LOG.warning('%s', e)
                problems.append(e)
        return _configured(tuple(stamps), tuple(problems))

    def match(self, store: stores.Store,
              since: datetime.datetime | None = None,
              until: datetime.datetime | None = None) -> list[Match]:
        """Which known failures the events show.

        :param store: events
        :param since: first moment, UTC without a zone
        :param until: last moment
        :returns: the surest first
        :raises StoreError: the store cannot be read
        """
        templates = _templates(self._records(), store.templates())
        wanted = [s for s in self.signatures if all(
            templates[r] for r in (s.find, *(
                o.records for o in (s.after, s.before) if o)))]
        if not wanted:
            return []
        frame = _events(wanted, templates, store, since, until)
        if frame.is_empty():
            return []
        parts = {key[0]: part for key, part in frame.partition_by(
            'template', as_dict=True).items()}
        held = {r: _of(r, parts, templates)
                for s in wanted for r in _parts(s)}
        end = max((datetime.datetime.fromisoformat(r.until).replace(
            tzinfo=None) for r in store.files().values() if r.until),
            default=None)
        found = [match for signature in wanted if (match := _match(
            signature, held, (since, until), end))]
        return sorted(found, key=lambda m: (
            -m.signature.weight, m.signature.id))

    def _records(self) -> list[schema.Records]:
        return [r for s in self.signatures for r in _parts(s)]


def read(path: pathlib.Path) -> schema.Signature:
    """Read a signature from its file.

    :param path: the file
    :raises SignatureInvalid: it is no signature
    """
    try:
        with path.open('rb') as file:
            data = file.read(schema.MAX_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as e:
        raise exception.SignatureInvalid(
            path=path, line=1, reason=f'it cannot be read: {e}') from None
    return schema.load(text, str(path))


def _stamps(folder: pathlib.Path) -> list[tuple[str, int, int]]:
    """The files of a folder, and what tells that one changed."""
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix == '.yaml')
        if len(paths) > MAX_FILES:
            raise exception.SignaturesUnreadable(
                path=folder,
                reason=f'it holds more than {MAX_FILES} files')
        return [(str(p), s.st_mtime_ns, s.st_size)
                for p in paths for s in (p.stat(),)]
    except OSError as e:
        raise exception.SignaturesUnreadable(
            path=folder, reason=e.strerror or str(e)) from None


@functools.lru_cache(maxsize=4)
def _configured(stamps: tuple[tuple[tuple[str, int, int], ...], ...],
                problems: tuple[exception.RCAException, ...]) -> Library:
    """The library of some files; a process reads them once."""
    found: list[schema.Signature] = []
    wrong = list(problems)
    for folder in stamps:
        for name, _changed, _size in folder:
            path = pathlib.Path(name)
            try:
                found.append(read(path))
            except exception.SignatureInvalid as e:
                if path.parent == SHIPPED:
                    raise
                LOG.warning('A signature is left out: %s', e)
                wrong.append(e)
    return Library(found, tuple(wrong))


def _parts(signature: schema.Signature) -> list[schema.Records]:
    """All records that a signature speaks of."""
    return [signature.find, *(o.records for o in (
        signature.after, signature.before, signature.without) if o)]


def _templates(records: list[schema.Records], table: pl.DataFrame) -> dict[
        schema.Records, frozenset[int]]:
    """The templates that may be those of some records."""
    anchors = sorted({r.message.anchor for r in records})
    hits = table.lazy().select('template', 'pattern', anchor=pl.col(
        'pattern').str.extract_many(anchors, overlapping=True)).explode(
            'anchor').drop_nulls('anchor').unique().collect()
    by_anchor = hits.partition_by('anchor', as_dict=True)
    found = {}
    for record in records:
        part = by_anchor.get((record.message.anchor,))
        found[record] = frozenset() if part is None else frozenset(
            part.filter(pl.col('pattern').str.contains(
                record.message.masked))['template'])
    return found


def _events(wanted: list[schema.Signature],
            templates: dict[schema.Records, frozenset[int]],
            store: stores.Store, since: datetime.datetime | None,
            until: datetime.datetime | None) -> pl.DataFrame:
    """The events that may matter, in order of time."""
    longest = max((o.within for s in wanted for o in (
        s.after, s.before, s.without) if o), default=0.0)
    margin = datetime.timedelta(seconds=longest)
    ids = {t for s in wanted for r in _parts(s) for t in templates[r]}
    least = min(r.level for s in wanted for r in _parts(s))
    frame = store.narrow(stores.Query(
        since=since - margin if since else None,
        until=until + margin if until else None, level=least or None,
        templates=tuple(sorted(ids)), kinds=('log', 'access', 'raw'))).filter(
            pl.col('timestamp').is_not_null())
    places = frame.select('timestamp', 'template', 'source', 'line').collect(
        engine='streaming')
    if places.height > _MANY:
        # A storm repeats itself.
        places = places.sort('timestamp', 'source', 'line').group_by(
            'template', maintain_order=True).head(_PER_TEMPLATE)
        frame = frame.join(places.select('source', 'line').lazy(),
                           on=['source', 'line'], how='semi')
    return frame.collect(engine='streaming').sort(
        'timestamp', 'source', 'line').with_columns(
            said=events.message())


def _of(records: schema.Records, parts: dict[int, pl.DataFrame],
        templates: dict[schema.Records, frozenset[int]]) -> pl.DataFrame:
    """The events that are meant by some records.

    :param records: which
    :param parts: what may matter, by template: a regular expression sees
        the events of its own templates alone
    :param templates: those of each
    """
    frames = [parts[t] for t in sorted(templates[records]) if t in parts]
    if not frames:
        return next(iter(parts.values())).clear()
    keep = pl.col('level') >= records.level
    if records.services:
        keep &= (pl.col('service').is_in(records.services)
                 | pl.col('binary').is_in(records.services))
    if records.statuses:
        keep &= pl.col('status').is_in(records.statuses)
    keep &= _holds('said', records.message)
    for pattern in records.texts:
        keep &= _holds('text', pattern)
    if records.any_of:
        keep &= pl.any_horizontal(
            _holds('text', p) for p in records.any_of)
    for pattern in records.none_of:
        keep &= ~_holds('text', pattern)
    return pl.concat(frames).filter(keep).sort(
        'timestamp', 'source', 'line')


def _holds(column: str, pattern: patterns.Pattern) -> pl.Expr:
    return pl.col(column).str.contains(pattern.regex)


def _match(signature: schema.Signature,
           held: dict[schema.Records, pl.DataFrame],
           span: tuple[datetime.datetime | None, datetime.datetime | None],
           end: datetime.datetime | None) -> Match | None:
    """A signature over the events that may matter."""
    rows = held[signature.find]
    since, until = span
    if since:
        rows = rows.filter(pl.col('timestamp') >= since)
    if until:
        rows = rows.filter(pl.col('timestamp') <= until)
    strategy: Literal['backward', 'forward']
    for other, strategy in ((signature.after, 'backward'),
                            (signature.before, 'forward')):
        if other and not rows.is_empty():
            rows = _beside(rows, held[other.records], other, True,
                           strategy)
    if signature.without and not rows.is_empty():
        other = signature.without
        if end is not None:
            # What was not logged yet may still come.
            rows = rows.filter(pl.col('timestamp') <= end
                               - datetime.timedelta(seconds=other.within))
        rows = _beside(rows, held[other.records], other, False, 'forward')
    if rows.height < signature.count or not _dense(
            rows['timestamp'], signature.count, signature.within):
        return None
    count = rows.height
    processes = rows.select('binary', 'host').unique()
    rows = _captured(signature, rows)
    names = [c.removeprefix(_OURS) for c in rows.columns
             if c.startswith(_OURS)]
    if names:
        # What differs says more than what is repeated.
        rows = rows.unique([_OURS + n for n in names], keep='first',
                           maintain_order=True)
    rows = rows.head(_SAMPLES)
    variables = {name: tuple(dict.fromkeys(
        ' '.join(str(v)[:_MAX_VALUE].split())
        for v in rows[_OURS + name] if v)) for name in names}
    return Match(
        signature, variables | {'count': (str(count),)},
        list(rows.select(list(events.EVENTS)).iter_rows(named=True)), count,
        frozenset((str(b), str(h)) for b, h in processes.iter_rows()))


#: What columns of variables begin with.
_OURS = 'variable '


def _captured(signature: schema.Signature, rows: pl.DataFrame) -> \
        pl.DataFrame:
    """The events with the variables that the signature's texts use."""
    used = {name for text in (
        signature.title, signature.cause, signature.host,
        signature.component, *signature.remedy)
        for name in schema.variables(text)}
    records = signature.find
    columns: dict[str, pl.Expr] = {}
    for column, pattern in (('said', records.message), *(
            ('text', p) for p in (*records.texts, *records.any_of))):
        if used.intersection(pattern.names):
            groups = pl.col(column).str.extract_groups(pattern.regex)
            for name in used.intersection(pattern.names):
                value = groups.struct.field(name)
                columns[name] = pl.coalesce(columns[name], value) \
                    if name in columns else value
    for name in used.difference(columns):
        if name in _COLUMNS:
            columns[name] = pl.col(_COLUMNS[name])
    return rows.with_columns(**{
        _OURS + name: value for name, value in sorted(columns.items())})


def _beside(rows: pl.DataFrame, others: pl.DataFrame, other: schema.Other,
            wanted: bool, strategy: Literal['backward', 'forward']) -> \
        pl.DataFrame:
    """The events that have another one near in time, or have none.

    What has no request, or names no resource, tells nothing where these have
    to be the same.
    """
    keys = _KEYS[other.same]
    left = rows.with_row_index('row').select('row', 'timestamp', *keys)
    right = others.select('timestamp', *keys)
    if other.same == 'resource':
        left, right = left.explode(keys), right.explode(keys)
    left = left.drop_nulls(keys or None)
    near = left.join_asof(
        right.drop_nulls(keys or None).sort('timestamp').with_columns(
            near=pl.lit(True)),
        on='timestamp', by=keys or None, strategy=strategy,
        tolerance=datetime.timedelta(seconds=other.within),
        check_sortedness=False)
    found = near.filter(pl.col('near').is_not_null())['row']
    keep = pl.col('row').is_in(found.implode()) if wanted else (
        pl.col('row').is_in(left['row'].implode())
        & ~pl.col('row').is_in(found.implode()))
    return rows.with_row_index('row').filter(keep).drop('row')


#: Columns that two events have in common.
_KEYS: dict[str, list[str]] = {
    '': [], 'request': ['request_id'], 'host': ['host'],
    'process': ['binary', 'host'], 'resource': ['resources']}


def _dense(times: pl.Series, count: int, within: float | None) -> bool:
    """Whether so many of some times lie within so many seconds."""
    if within is None or count < 2:
        return True
    spans = times.shift(-(count - 1)) - times
    return bool((spans <= datetime.timedelta(seconds=within)).any())
