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
"""From pieces of a file to events, a whole piece at a time.

A piece becomes one column of lines; headers are matched by regular
expressions over that column, continuation lines are folded into the record
that they belong to, and templates and identities are taken from what is
left. There is no Python loop over lines, except where a piece holds JSON.
"""

import dataclasses
import functools
from typing import Any

import polars as pl

from openstack_rca.events import formats
from openstack_rca.events import identity
from openstack_rca.events import schema
from openstack_rca.events import structured
from openstack_rca.events import templates
from openstack_rca.sources import naming

#: A record longer than this keeps its beginning. A traceback has 10 KB; what
#: is larger is a dump.
MAX_TEXT = 65536
_LONGEST = (1 << 32) - 1

#: Whom Apache served when it wrote a line.
_CLIENT = r'^\[((?:client|remote) [^\]]*)\] '

_CANONICAL: dict[str, pl.DataType] = {
    'index': pl.UInt32(), 'timestamp': pl.Datetime('us'),
    'kind': pl.String(), 'body': pl.UInt32(), 'pid': pl.UInt32(),
    'level': pl.UInt8(), 'logger': pl.String(), 'ctx': pl.String(),
    'instance': pl.String(), 'host': pl.String(), 'tag': pl.String(),
    'method': pl.String(), 'path': pl.String(), 'status': pl.UInt16(),
    'latency': pl.Float32(), 'message': pl.String(), 'folds': pl.Boolean(),
    'format': pl.String(), 'named': pl.String(),
}

#: Severity of a priority of syslog, emergency first.
_PRIORITIES = {str(facility * 8 + priority): level
               for facility in range(24) for priority, level in enumerate(
                   structured.PRIORITIES)}

#: Formats that carry records of others.
_CARRIERS = ('syslog', 'journal')


@dataclasses.dataclass
class Origin:
    """What is known of a file before it is read.

    :param source: name of the file in the report
    :param kind: ``log``, ``journal`` or ``notifications``
    :param service: project that wrote it, or an empty string
    :param binary: program that wrote it, or an empty string
    :param host: host that wrote it, or an empty string
    :param timezone: IANA name of the zone of its local times
    :param year: year of time stamps that have none
    :param month: last month of that year, 1 to 12: the file was written last
        in it, so that time stamps of a later one are of the year before
    """

    source: str
    kind: str = 'log'
    service: str = ''
    binary: str = ''
    host: str = ''
    timezone: str = 'UTC'
    year: int = 1970
    month: int = 12


@dataclasses.dataclass
class Part:
    """Whole lines of one file.

    :param data: the bytes
    :param origin: the file
    :param offset: position in bytes of uncompressed text
    :param line: number of the first line, from 1
    """

    data: bytes
    origin: Origin
    offset: int = 0
    line: int = 1


@dataclasses.dataclass
class Piece:
    """What some parts hold.

    :param events: one row a record, part by part in the order of the files
    :param templates: the templates of these events
    :param parts: one row a part: ``part``, ``events``, ``lines``,
        ``unparsed`` (lines without a header that continue no record),
        ``since``, ``until``, ``format`` (of most records)
    :param leads: whether the first event may continue the last record of
        the piece before
    :param kind: of the files
    """

    events: pl.DataFrame
    templates: pl.DataFrame
    parts: pl.DataFrame
    leads: bool
    kind: str = 'log'


@dataclasses.dataclass
class United:
    """The last record of a piece with what continues it in the next piece.

    :param events: that record and the rest of the events of the next piece
    :param joined: how many events of the next piece went into the record
    :param parsed: how many of their lines were counted as unparsed and are
        not any more
    """

    events: pl.DataFrame
    joined: int
    parsed: int


def _lines(parts: list[Part]) -> pl.DataFrame:
    """The lines of all parts.

    ``index``, ``raw``, ``size``, ``part``, ``start`` (bytes from the start
    of the file) and ``number``. Bytes that are no UTF-8 become U+FFFD;
    ``start`` and ``size`` count the bytes of the file all the same.
    """
    data = [p.data[:-1] if p.data.endswith(b'\n') else p.data for p in parts]
    counts = [d.count(b'\n') + 1 for d in data]
    whole = data[0] if len(data) == 1 else b'\n'.join(data)
    del data
    try:
        # Polars looks whether it is UTF-8, faster than a detour by Python.
        raw = pl.Series('raw', [whole]).cast(pl.String).str.split(
            '\n').explode(empty_as_null=False)
        sizes = raw.str.len_bytes()
    except pl.exceptions.PolarsError:
        pieces = whole.split(b'\n')
        raw = pl.Series('raw', [p.decode('utf-8', 'replace')
                                for p in pieces], dtype=pl.String)
        sizes = pl.Series([len(p) for p in pieces], dtype=pl.UInt32)
    frame = pl.DataFrame({'raw': raw, 'size': sizes.cast(pl.Int64) + 1})
    if b'\r' in whole:
        frame = frame.with_columns(pl.col('raw').str.strip_suffix('\r'))
    frame = frame.with_columns(
        index=pl.int_range(pl.len(), dtype=pl.UInt32),
        start=pl.col('size').cum_sum() - pl.col('size'))
    table = pl.DataFrame({
        'part': pl.Series(range(len(parts)), dtype=pl.UInt32),
        'count': pl.Series(counts, dtype=pl.UInt32),
        'offset': pl.Series([p.offset for p in parts], dtype=pl.Int64),
        'line': pl.Series([p.line for p in parts], dtype=pl.Int64)})
    if len(parts) == 1:
        return frame.with_columns(
            part=pl.lit(0, dtype=pl.UInt32),
            start=pl.col('start') + parts[0].offset,
            number=pl.col('index').cast(pl.Int64) + parts[0].line)
    spread = table.select(pl.all().repeat_by('count').explode())
    frame = pl.concat([frame, spread], how='horizontal')
    first = pl.col('index') == pl.col('index').first().over('part')
    frame = frame.with_columns(
        before=pl.when(first).then(pl.col('start')).forward_fill(),
        ahead=pl.when(first).then(pl.col('index')).forward_fill())
    return frame.select(
        'raw', 'size', 'index', 'part',
        start=pl.col('start') - pl.col('before') + pl.col('offset'),
        number=pl.col('index').cast(pl.Int64) - pl.col('ahead')
        + pl.col('line'))


def _headers(lines: pl.DataFrame, origin: Origin,
             preferred: str | None) -> pl.DataFrame:
    """The header fields of every line that has one."""
    order = formats.in_order(preferred)
    left = lines.select('index', 'raw')
    found: list[pl.DataFrame] = []
    for form in order:
        if left.is_empty():
            break
        hit = formats.match(left, form)
        if hit.is_empty():
            continue
        found.append(_canonical(hit, form, origin))
        left = left.join(hit.select('index'), on='index', how='anti',
                         maintain_order='left')
        if form is order[0]:
            # What is left of a file in one format are continuation lines,
            # most of which begin with a blank or cannot be a header.
            left = left.filter(pl.col('raw').str.contains(
                r'^(?:[\[<\d]|(?:\S+ ){2}|[A-Z][a-z]{2} )'))
    if not found:
        return pl.DataFrame(schema=_CANONICAL)
    heads = found[0] if len(found) == 1 else pl.concat(found).sort('index')
    # A stamp that is no real time (2026-13-45) makes no header.
    return heads.filter(pl.col('timestamp').is_not_null())


def _canonical(hit: pl.DataFrame, form: formats.Format,
               origin: Origin) -> pl.DataFrame:
    """Groups of a format as typed columns."""
    have = set(hit.columns)

    def text(name: str) -> pl.Expr:
        return (pl.col(name) if name in have
                else pl.lit(None, dtype=pl.String))

    level = (text('level').str.strip_chars_end('0123456789')
             .str.to_uppercase().replace_strict(
                 schema.LEVELS, default=form.level, return_dtype=pl.UInt8)
             if 'level' in have else
            text('priority').replace_strict(
                _PRIORITIES, default=0, return_dtype=pl.UInt8)
            if 'priority' in have else pl.lit(form.level, dtype=pl.UInt8))
    access = 'status' in have
    moment = formats.timestamps(
        pl.col('ts') if 'ts' in have else pl.lit(None, dtype=pl.String),
        pl.col('zone') if 'zone' in have else None,
        form.clock, origin.timezone, origin.year, origin.month)
    return hit.select(
        pl.col('index'),
        timestamp=pl.when(moment.is_between(*structured.TIMES)).then(moment),
        kind=pl.lit('access' if access else 'log'),
        body=pl.col('head').str.len_chars(),
        pid=text('pid').cast(pl.UInt32, strict=False),
        level=level,
        logger=text('logger'), ctx=text('ctx'), instance=text('instance'),
        host=text('host'), tag=text('tag'), method=text('method'),
        path=text('path'),
        status=text('status').cast(pl.UInt16, strict=False),
        latency=(_number(text('latency')) / form.per_second).cast(
            pl.Float32),
        message=pl.lit(None, dtype=pl.String),
        named=pl.lit(None, dtype=pl.String),
        folds=pl.lit(form.folds),
        format=pl.lit(form.name)).select(list(_CANONICAL)).cast(
            _CANONICAL)  # type: ignore[arg-type]


def _number(digits: pl.Expr) -> pl.Expr:
    """A number that is not without bounds."""
    number = digits.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _nested(lines: pl.DataFrame, heads: pl.DataFrame,
            origin: Origin) -> pl.DataFrame:
    """Headers inside messages that syslog or the journal carried."""
    outer = heads.filter(pl.col('format').is_in(_CARRIERS))
    if outer.is_empty():
        return heads
    inner = outer.select('index', 'body', 'message').join(
        lines.select('index', 'raw'), on='index').select(
            'index', 'body', raw=pl.coalesce(
                'message', pl.col('raw').str.slice(pl.col('body'))))
    parts = []
    for form in formats.NESTED:
        hit = formats.match(inner.select('index', 'raw'), form)
        if hit.is_empty():
            continue
        parts.append(_canonical(hit, form, origin))
        inner = inner.join(hit.select('index'), on='index', how='anti')
    if not parts:
        return heads
    # A nested header is more exact than the one around it; the outer one
    # fills what the inner one does not say.
    within = pl.concat(parts).drop('format', 'folds', 'message', 'named')
    joined = heads.join(within, on='index', how='left', suffix='_in',
                        maintain_order='left')
    hit_in = pl.col('kind_in').is_not_null()
    names = [c for c in _CANONICAL
             if c not in ('index', 'body', 'message', 'folds', 'format',
                          'named')]
    return joined.select(
        'index',
        *[pl.coalesce(f'{n}_in', n).alias(n) for n in names],
        body=pl.when(hit_in & pl.col('message').is_null()).then(
            pl.col('body') + pl.col('body_in')).otherwise(pl.col('body')),
        message=pl.when(hit_in & pl.col('message').is_not_null()).then(
            pl.col('message').str.slice(pl.col('body_in'))).otherwise(
                pl.col('message')),
        folds='folds', format='format', named='named').select(
            list(_CANONICAL))


def parse(parts: list[Part], preferred: str | None = None) -> Piece:
    """The events of whole lines of one or many files.

    Small files are parsed together, since a pass has a cost of its own.

    :param parts: lines of files of one kind; JSON is read one part at a time
    :param preferred: name of the format to try first
    :returns: events, templates and counts
    """
    lines = _lines(parts)
    origin = parts[0].origin
    heads = None
    if origin.kind != 'log' or any(
            p.data[:1] == b'{' or b'\n{' in p.data for p in parts):
        heads = structured.headers(lines, origin.kind, _CANONICAL,
                                   origin.timezone)
    if heads is None or (heads.is_empty() and origin.kind == 'log'):
        heads = _headers(lines, origin, preferred)
    elif origin.kind == 'log' and heads.height < lines.height:
        rest = lines.join(heads.select('index'), on='index', how='anti',
                          maintain_order='left')
        heads = pl.concat([heads, _headers(rest, origin, preferred)]).sort(
            'index')
    return _fold(lines, _nested(lines, heads, origin), parts)


def _fold(lines: pl.DataFrame, heads: pl.DataFrame,
          parts: list[Part]) -> Piece:
    """Unite records with their continuation lines."""
    frame = lines.join(heads, on='index', how='left', maintain_order='left')
    repeats = _repeats(frame, set(heads['format'].unique()))
    frame = frame.join(repeats, on='index', how='left', maintain_order='left')
    head = pl.col('kind').is_not_null()
    frame = frame.with_columns(
        begins=(pl.col('part') != pl.col('part').shift()).fill_null(True),
        opens=head & pl.col('more').is_null(),
        after=pl.col('folds').forward_fill().fill_null(True))
    # A headless line after an access line is not part of it, and opens a
    # record of its own.
    loose = ~head & ~pl.col('after') & head.shift(fill_value=False)
    frame = frame.with_columns(
        opens=pl.col('opens') | loose | pl.col('begins'))
    frame = frame.with_columns(record=pl.col('opens').cum_sum())
    opened = frame.filter(pl.col('opens'))
    if opened.height < frame.height:
        opened = _join(frame, opened)
    else:
        opened = opened.with_columns(lines=pl.lit(1, dtype=pl.UInt32),
                                     first=pl.col('raw'))
    first = opened.row(0, named=True)
    leads = parts[0].offset > 0 and (
        first['kind'] is None
        or first['format'] in ('rabbitmq', 'apache-error')
        or (first['logger'] is not None and first['ctx'] is None
            and first['level'] >= schema.ERROR))
    events = _finish(opened, parts)
    known = templates.identify(events['masked'])
    events = events.join(known, on='masked', how='left',
                         maintain_order='left')
    return Piece(
        events=events.select(list(schema.EVENTS)).cast(
            schema.EVENTS),  # type: ignore[arg-type]
        templates=known.select(list(schema.TEMPLATES)).unique('template'),
        parts=_count(opened), leads=leads, kind=parts[0].origin.kind)


def _repeats(frame: pl.DataFrame, found: set[str]) -> pl.DataFrame:
    """Lines with a header that continue the record before them.

    :param frame: lines with their headers
    :param found: names of the formats in it
    :returns: ``index`` of these lines and ``more``, true
    """
    def same(*names: str) -> pl.Expr:
        return pl.all_horizontal(pl.col(n).eq_missing(pl.col(n).shift())
                                 for n in names)

    def back(column: str) -> pl.Expr:
        return pl.col(column).shift()

    rows = frame.lazy().filter(pl.col('kind').is_not_null())
    # oslo.log repeats the header, without a context, on each line of a
    # traceback (logging_exception_prefix).
    trace = (pl.col('logger').is_not_null() & pl.col('ctx').is_null()
             & (pl.col('level') >= schema.ERROR)
             & same('pid', 'logger', 'part', 'format'))
    more = ((pl.col('format') == 'oslo') & trace & same('timestamp'))
    if found & set(_CARRIERS):
        # Each line has the time at which the carrier got it. Only a header
        # of oslo.log in it leaves the context null.
        more = more | (pl.col('format').is_in(_CARRIERS) & trace
                       & same('host', 'tag'))
    if 'rabbitmq' in found:
        # RabbitMQ has repeated its header on each line since 3.9, where it
        # began to write microseconds: no two records have the same. What
        # has an empty first line is a banner.
        rows = rows.with_columns(
            begin=pl.when(pl.col('format') == 'rabbitmq').then(
                pl.col('raw').str.slice(0, pl.col('body'))),
            blank=pl.col('raw').str.len_chars() <= pl.col('body'))
        more = more | (pl.col('begin').str.contains(r'^\S+ \S+\.\d{6}')
                       & same('begin', 'part') & ~back('blank'))
    if 'apache-error' in found:
        # mod_wsgi writes each line of a traceback as a record.
        rows = rows.with_columns(
            said=pl.when(pl.col('format') == 'apache-error').then(
                pl.col('raw').str.slice(pl.col('body')))).with_columns(
            client=pl.col('said').str.extract(_CLIENT),
            said=pl.col('said').str.replace(_CLIENT, ''))
        more = more | (
            pl.col('said').str.contains(r'^(?:\s|$|Traceback \(most recent)')
            | back('said').str.contains(r'^(?:    |$)')
            ) & same('client', 'pid', 'level', 'logger', 'part', 'format')
    return rows.select('index', more=more).filter('more').collect()


def _count(opened: pl.DataFrame) -> pl.DataFrame:
    """What each part held."""
    return opened.group_by('part', maintain_order=True).agg(
        events=pl.len(), lines=pl.col('lines').sum(),
        unparsed=pl.col('lines').filter(pl.col('kind').is_null()).sum(),
        since=pl.col('timestamp').min(), until=pl.col('timestamp').max(),
        format=pl.col('format').drop_nulls().mode().first())


def _join(frame: pl.DataFrame, opened: pl.DataFrame) -> pl.DataFrame:
    """Texts and sizes of records of more than one line."""
    many = frame.filter(pl.col('record').is_in(
        frame.filter(~pl.col('opens'))['record'].unique().implode()))
    told = pl.col('message').drop_nulls()
    joined = many.group_by('record', maintain_order=True).agg(
        long=pl.col('raw').str.join('\n').str.head(MAX_TEXT),
        total=pl.col('size').sum(), lines=pl.len(),
        told=pl.when(told.len() > 0).then(told.str.join('\n')))
    return opened.join(joined, on='record', how='left',
                       maintain_order='left').with_columns(
        first=pl.col('raw'),
        raw=pl.coalesce('long', 'raw'),
        size=pl.coalesce('total', 'size'),
        message=pl.coalesce('told', 'message'),
        lines=pl.col('lines').fill_null(1)).drop('long', 'total', 'told')


def _finish(opened: pl.DataFrame, parts: list[Part]) -> pl.DataFrame:
    """All columns of the event table, and the masked text."""
    if (opened['size'].max() or 0) > MAX_TEXT:  # type: ignore[operator]
        opened = opened.with_columns(
            pl.col('raw', 'first', 'message').str.head(MAX_TEXT))
    opened = opened.with_columns(
        body=pl.col('body').fill_null(0),
        kind=pl.col('kind').fill_null('raw'),
        # Lines in front of the first header belong to its time.
        timestamp=(pl.col('timestamp').forward_fill().backward_fill()
                   .over('part') if len(parts) > 1 else
                   pl.col('timestamp').forward_fill().backward_fill()))
    opened = opened.with_columns(
        head_message=pl.coalesce(
            pl.col('message').str.split('\n').list.first(),
            pl.col('first').str.slice(pl.col('body'))),
        told=pl.coalesce('message', pl.col('raw').str.slice(
            pl.col('body'))))
    opened = _access(opened)
    contexts = identity.context(opened['ctx'])
    opened = opened.join(contexts, on='ctx', how='left',
                         maintain_order='left')
    told = pl.col('told')
    if opened['named'].null_count() < opened.height:
        told = pl.concat_str('told', 'named', separator='\n',
                             ignore_nulls=True)
    found = identity.resources(told)
    return opened.with_columns(
        masked=_masked(),
        resources=pl.when(pl.col('instance').is_not_null()).then(
            pl.concat_list('instance', found).list.unique(
                maintain_order=True)).otherwise(found),
        addresses=identity.addresses(pl.col('told')),
        level=pl.col('level').fill_null(0),
        line=pl.col('number'), offset=pl.col('start'),
        length=pl.col('size') - 1, text=pl.col('raw'),
        **_origins(opened, parts))


def _origins(opened: pl.DataFrame,
             parts: list[Part]) -> dict[str, pl.Expr]:
    """What the name of the file says, where the line says nothing."""
    def told(name: str) -> pl.Expr:
        values = [getattr(p.origin, name) for p in parts]
        if len(set(values)) == 1:
            return pl.lit(values[0])
        return pl.lit(pl.Series(values, dtype=pl.String)).gather(
            pl.col('part'))

    service, binary = told('service'), told('binary')
    tags = opened['tag'].drop_nulls().unique().to_list()
    if tags:
        programs = {tag: _program(tag) for tag in tags}
        service = pl.coalesce(pl.col('tag').replace_strict(
            {t: p[0] for t, p in programs.items()}, default=None,
            return_dtype=pl.String), service)
        binary = pl.coalesce(pl.col('tag').replace_strict(
            {t: p[1] for t, p in programs.items()}, default=None,
            return_dtype=pl.String), binary)
    return {'source': told('source'), 'service': service, 'binary': binary,
            'host': pl.coalesce('host', told('host'))}


@functools.lru_cache(4096)
def _program(tag: str) -> tuple[str | None, str]:
    """Service and binary of a program that syslog or the journal names."""
    plain = tag[:256].replace('/', '-').replace('!', '-')
    name = naming.describe(f'{plain}.log')
    if name.known and name.service:
        # dnsmasq-dhcp is no dnsmasq of a host named dhcp.
        return name.service, tag if name.host else name.binary
    return None, tag


def _masked() -> pl.Expr:
    """The masked message; the outcome of a request belongs to it."""
    masked = templates.mask(pl.col('head_message'))
    outcome = pl.format('{} HTTP {}', masked, pl.col('status'))
    return pl.when(pl.col('status').is_not_null()).then(outcome).otherwise(
        masked)


def _access(opened: pl.DataFrame) -> pl.DataFrame:
    """Method, path, status and latency out of services' own request logs."""
    maybe = opened.filter(
        pl.col('status').is_null()
        & (pl.col('head_message').str.contains(' status: ', literal=True)
           | pl.col('head_message').str.contains(' HTTP', literal=True)))
    if maybe.is_empty():
        return opened
    rows = maybe.select('index', raw='head_message')
    parts = []
    for pattern in formats.ACCESS_MESSAGES:
        hit = rows.with_columns(
            groups=pl.col('raw').str.extract_groups(pattern)).select(
                'index', 'groups').unnest('groups').filter(
                    pl.col('status').is_not_null())
        for name in ('method', 'latency'):
            if name not in hit.columns:
                hit = hit.with_columns(pl.lit(None, pl.String).alias(name))
        parts.append(hit.select(
            'index', 'method', 'path',
            pl.col('status').cast(pl.UInt16, strict=False),
            _number(pl.col('latency')).cast(pl.Float32)))
    hits = pl.concat(parts).unique('index', keep='first')
    if hits.is_empty():
        return opened
    return opened.join(hits, on='index', how='left', suffix='_own',
                       maintain_order='left').with_columns(
        kind=pl.when(pl.col('status_own').is_not_null()
                     & (pl.col('kind') == 'log'))
        .then(pl.lit('access')).otherwise(pl.col('kind')),
        **{n: pl.coalesce(n, f'{n}_own')
           for n in ('method', 'path', 'status', 'latency')})


def continues(lead: str, last: dict[str, Any], kind: str = 'log') -> bool:
    """Whether the front of a piece belongs to the last record before it.

    :param lead: text at the front of the piece
    :param last: last event of the piece before, as a row
    :param kind: of the file
    """
    if last['kind'] == 'notification':
        return False
    text = f'{last["text"]}\n{lead.partition(chr(10))[0]}\n'
    probe = parse([Part(text.encode('utf-8', 'replace'),
                        Origin('', kind=kind))])
    return probe.events.height == 1


def unite(last: pl.DataFrame, piece: Piece) -> United:
    """Put the front of a piece to the record that it continues.

    The pieces of a file that are united in this way hold the same records as
    the file parsed at once.

    :param last: the last event of the piece before
    :param piece: what follows
    """
    events = piece.events
    row = last.row(0, named=True)
    joined = parsed = 0
    leads = piece.leads
    while events.height:
        first = events.row(0, named=True)
        if not leads or not continues(first['text'], row, piece.kind):
            break
        row = _joined(row, first)
        if first['kind'] == 'raw' and row['kind'] != 'raw':
            parsed += first['lines']
        events = events.slice(1)
        joined += 1
        # Behind lines without a header may come the rest of a traceback.
        leads = first['kind'] == 'raw'
    if events.height:
        first = events.row(0, named=True)
        if row['timestamp'] is None:
            # Lines in front of the first header belong to its time.
            row['timestamp'] = first['timestamp']
        elif first['kind'] == 'raw':
            events = pl.concat([
                events.head(1).with_columns(timestamp=pl.lit(
                    row['timestamp'], dtype=schema.EVENTS['timestamp'])),
                events.slice(1)])
    return United(pl.concat([
        pl.DataFrame([row], schema=schema.EVENTS), events]), joined, parsed)


def _joined(row: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A record with what continues it."""
    joined = dict(row)
    joined['text'] = f'{row["text"]}\n{more["text"]}'[:MAX_TEXT]
    if row['message'] is not None:
        joined['message'] = (
            f'{row["message"]}\n{more["message"] or ""}'[:MAX_TEXT])
    joined['lines'] = row['lines'] + more['lines']
    joined['length'] = min(more['offset'] + more['length'] - row['offset'],
                           _LONGEST)
    for name in ('resources', 'addresses'):
        joined[name] = list(dict.fromkeys(row[name] + more[name]))
    return joined
