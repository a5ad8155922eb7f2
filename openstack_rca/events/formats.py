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
"""The header formats of the programs that an OpenStack cloud runs.

Each format is one anchored regular expression over a line; its named groups
fill the columns of an event. ``head`` spans the header. Sources: oslo.log's
``_options.py`` (defaults from Pike to 2026.2), uWSGI's ``logging`` page,
Apache's ``mod_log_config`` and ``core`` (ErrorLogFormat), MariaDB's error
log, RabbitMQ's logger formatter, libvirt's ``virlog.c``, Open vSwitch's
``vlog``, RFC 3164, RFC 5424 and rsyslog's traditional file format.
"""

import dataclasses

import polars as pl

from openstack_rca.events import schema

_ISO = r'\d{4}-\d\d-\d\d[ T][ \d]\d:\d\d:\d\d'
_ZONE = r'(?P<zone>Z|[+-]\d\d:?\d\d)?'
_OSLO_LEVEL = (r'(?P<level>TRACE|DEBUG|INFO|AUDIT|WARNING|WARN|ERROR|'
               r'CRITICAL)')
_CONTEXT = r'(?: (?:\[(?P<ctx>(?:-|None|req-)[^\]\n]*)\] ?)?|$)'
#: What services put in front of the message of a server. It is looked for
#: apart: two optional brackets in one expression would cost twice the time.
_INSTANCE = r'^\[instance: ([0-9a-f\-]{36})\] ?'
#: What may stand between quotes: Apache escapes a quote in it.
_TEXT = r'(?:[^"\\]|\\.)*'
_DAYS = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
_MONTH_NAMES = ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep',
                'Oct', 'Nov', 'Dec')
_MONTHS = f'(?:{"|".join(_MONTH_NAMES)})'

#: The columns that formats can fill.
GROUPS = ('head', 'ts', 'zone', 'pid', 'level', 'logger', 'ctx', 'instance',
          'host', 'tag', 'method', 'path', 'status', 'latency', 'priority')


@dataclasses.dataclass(frozen=True)
class Format:
    """One way to write a line.

    :param name: shown by ``source list``
    :param pattern: with named groups out of :data:`GROUPS`
    :param clock: how ``ts`` is written: ``iso``, ``ctime``, ``clf``,
        ``bsd``, or ``none`` where something in front of it has the time
    :param level: severity where the line has none
    :param folds: whether a line without header continues this record
    :param per_second: what ``latency`` has to be divided by to be seconds
    :param instance: whether the message can begin with a server's UUID
    """

    name: str
    pattern: str
    clock: str = 'iso'
    level: int = 0
    folds: bool = True
    per_second: float = 1.0
    instance: bool = False


#: Nearly all lines of OpenStack's services. It matches nothing that OSLO
#: does not match alike, and takes a quarter of its time: with no optional part
#: that the next character does not decide, the engine passes over a line once.
OSLO_COMMON = Format('oslo', (
    r'^(?P<head>(?P<ts>[0-9]{4}-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:[0-9][0-9]'
    r':[0-9][0-9][.,][0-9]{1,6}) (?P<pid>[0-9]+) '
    rf'{_OSLO_LEVEL} (?P<logger>[A-Za-z_][0-9A-Za-z_.\-]*) '
    r'\[(?P<ctx>(?:-|None|req-)[^\]\n]*)\] )'), instance=True)

OSLO = Format('oslo', (
    rf'^(?P<head>(?P<ts>{_ISO}(?:[.,]\d{{1,6}})?){_ZONE} '
    rf'(?:(?P<pid>\d+) )?{_OSLO_LEVEL} '
    rf'(?P<logger>[A-Za-z_][0-9A-Za-z_.\-]*){_CONTEXT})'), instance=True)

UWSGI = Format('uwsgi', (
    rf'^(?P<head>\[pid: (?P<pid>\d+)\|app: [^|]*\|req: [^\]]*\] \S+ '
    rf'\([^)]*\) \{{[^}}]*\}} \[(?P<ts>{_DAYS} {_MONTHS} [ \d]\d '
    rf'\d\d:\d\d:\d\d \d{{4}})\] )(?P<method>[A-Z]+) (?P<path>\S+) => '
    rf'generated \d+ bytes in (?P<latency>\d+) msecs '
    rf'\([^ )]+ (?P<status>\d{{3}})\)'),
    clock='ctime', level=20, folds=False, per_second=1e3)

#: uWSGI's own words: only at its start and at its end do they carry a time,
#: and the lines that follow belong to them.
UWSGI_NOTE = Format('uwsgi', (
    rf'^(?P<head>(?:\*\*\* Starting uWSGI [^\[\n]*\[)?(?P<ts>{_DAYS} '
    rf'{_MONTHS} [ \d]\d \d\d:\d\d:\d\d \d{{4}})(?:\] \*\*\*$| - ))'),
    clock='ctime', level=20)

APACHE_ACCESS = Format('apache-access', (
    rf'^(?P<head>\S+ \S+ [^\[\n]*\[(?P<ts>\d\d/{_MONTHS}/\d{{4}}:'
    rf'\d\d:\d\d:\d\d [+-]\d{{4}})\] )"(?:(?P<method>[A-Z]+) '
    rf'(?P<path>[^\s"]+))?{_TEXT}" (?P<status>\d{{3}}) \S+'
    rf'(?: "{_TEXT}" "{_TEXT}"(?: (?P<latency>\d+))?)?'),
    clock='clf', level=20, folds=False, per_second=1e6)

APACHE_ERROR = Format('apache-error', (
    rf'^(?P<head>\[(?P<ts>{_DAYS} {_MONTHS} [ \d]\d \d\d:\d\d:\d\d'
    rf'(?:\.\d+)? \d{{4}})\] \[(?P<logger>\w*):(?P<level>[a-z]+\d?)\] '
    rf'\[pid (?P<pid>\d+)(?::tid \d+)?\] )'), clock='ctime')

MARIADB = Format('mariadb', (
    rf'^(?P<head>(?P<ts>{_ISO}(?:\.\d+)?)(?P<zone>Z|[+-]\d\d:\d\d)? '
    rf'(?P<pid>\d+) \[(?P<level>Note|Warning|ERROR|System)\] '
    rf'(?:\[(?P<logger>MY-\d+)\] \[\w+\] )?)'))

RABBITMQ = Format('rabbitmq', (
    rf'^(?P<head>(?P<ts>{_ISO}\.\d+){_ZONE} '
    rf'\[(?P<level>debug|info|notice|warning|error|critical|alert|'
    rf'emergency)\] (?:<[\d.]+> )?)'))

LIBVIRT = Format('libvirt', (
    rf'^(?P<head>(?P<ts>{_ISO}\.\d+){_ZONE}: (?P<pid>\d+): '
    rf'(?P<level>debug|info|warning|error) : '
    rf'(?:(?P<logger>[\w.]+):\d+ : )?)'))

QEMU = Format('qemu', (
    rf'^(?P<head>(?P<ts>{_ISO}\.\d+)(?P<zone>Z|[+-]\d{{4}}):? '
    rf'(?P<logger>qemu-[\w\-]+|starting up|shutting down):?,? ?)'),
    level=20)

OVS = Format('openvswitch', (
    rf'^(?P<head>(?P<ts>{_ISO}\.\d+)(?P<zone>Z)\|\d+\|'
    rf'(?P<logger>[\w()\-]+)\|(?P<level>EMER|ERR|WARN|INFO|DBG)\|)'))

SYSLOG_5424 = Format('syslog', (
    rf'^(?P<head><(?P<priority>\d{{1,3}})>1 (?P<ts>{_ISO}(?:\.\d+)?){_ZONE} '
    rf'(?P<host>\S+) (?P<tag>\S+) (?:(?P<pid>\d+)|\S+) \S+ '
    rf'(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ? ?)'))

SYSLOG_ISO = Format('syslog', (
    rf'^(?P<head>(?P<ts>{_ISO}(?:\.\d+)?)(?P<zone>Z|[+-]\d\d:\d\d) '
    rf'(?P<host>[A-Za-z][\w.\-]*) (?P<tag>[\w.\-@/()]+)'
    rf'(?:\[(?P<pid>\d+)\]:?|:) ?)'))

SYSLOG_BSD = Format('syslog', (
    rf'^(?P<head>(?P<ts>{_MONTHS} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?) '
    rf'(?P<host>[\w.\-]+) (?:(?P<tag>[\w.\-@/()]+)'
    rf'(?:\[(?P<pid>\d+)\]:?|:) ?)?)'), clock='bsd')

GENERIC = Format('generic', (
    rf'^(?P<head>\[?(?P<ts>{_ISO}(?:[.,]\d+)?){_ZONE}\]?[ \t:|\-]+'
    rf'(?:\[?(?P<level>TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL|'
    rf'FATAL|debug|info|notice|warning|error|critical)\]?[ :])?)'))

#: What a service prints when something in front of it adds the time: the
#: journal, syslog, a container engine.
BARE = Format('bare', (
    rf'^(?P<head>{_OSLO_LEVEL} (?P<logger>[a-z_][\w.\-]*)'
    rf' \[(?P<ctx>(?:-|None|req-)[^\]\n]*)\] ?)'), clock='none',
    instance=True)

#: The same in front of the lines of a traceback.
BARE_TRACE = Format('bare', (
    r'^(?P<head>(?P<level>ERROR|CRITICAL) '
    r'(?P<logger>[a-z_][\w\-]*(?:\.[\w\-]+)+) ?)'), clock='none',
    instance=True)

#: In the order in which they are tried. The last takes whatever begins with
#: a time; none of the others takes a line of another.
FORMATS = (OSLO_COMMON, OSLO, UWSGI, RABBITMQ, MARIADB, LIBVIRT, OVS,
           APACHE_ACCESS, APACHE_ERROR, UWSGI_NOTE, QEMU, SYSLOG_5424,
           SYSLOG_ISO, SYSLOG_BSD, GENERIC)

#: What messages of syslog and of the journal can begin with.
NESTED = (OSLO, BARE, BARE_TRACE, UWSGI, RABBITMQ, MARIADB, LIBVIRT, OVS,
          APACHE_ACCESS, APACHE_ERROR)

#: Access lines that a service writes with its own logger: the request logs
#: of Nova and Placement, eventlet, and Cinder's "returned with HTTP".
ACCESS_MESSAGES = (
    r'"(?P<method>[A-Z]+) (?P<path>\S+)(?: HTTP/[\d.]+)?" (?:status: )?'
    r'(?P<status>\d{3})\b(?:[^\n]*?(?P<latency>\d+\.\d{4,})\s*$)?',
    r'(?P<path>https?://\S+) returned with HTTP (?P<status>\d{3})',
)


def in_order(preferred: str | None) -> list[Format]:
    """The formats, the likely one first.

    Which of them takes a line does not depend on what is preferred.

    :param preferred: name of the format of most lines, where it is known
    """
    if preferred == GENERIC.name:
        return list(FORMATS)
    return sorted(FORMATS, key=lambda form: form.name != preferred)


def match(lines: pl.DataFrame, form: Format) -> pl.DataFrame:
    """The lines that have a format, with what their headers say.

    :param lines: ``index`` and ``raw``
    :param form: the format to try
    :returns: ``index`` and the groups of the format, matched lines only
    """
    hit = (lines.lazy()
           .with_columns(pl.col('raw').str.extract_groups(form.pattern)
                         .alias('groups'))
           .unnest('groups')
           .filter(pl.col('head').is_not_null()))
    if form.instance:
        rest = pl.col('raw').str.slice(pl.col('head').str.len_chars())
        shown = pl.when(pl.col('raw').str.contains('[instance: ',
                                                   literal=True)).then(rest)
        hit = hit.with_columns(
            instance=shown.str.extract(_INSTANCE, 1),
            head=pl.col('head') + shown.str.extract(
                _INSTANCE, 0).fill_null(''))
    elif form is UWSGI_NOTE:
        # The time is a part of what these lines say.
        hit = hit.with_columns(head=pl.lit(''))
    elif form is SYSLOG_ISO:
        # "INFO app:" is a level and a word, not a host and a program.
        hit = hit.filter(~pl.col('host').is_in(list(schema.LEVELS)))
    return hit.drop('raw').collect()


def timestamps(ts: pl.Expr, zone: pl.Expr | None, clock: str,
               timezone: str, year: int, month: int = 12) -> pl.Expr:
    """Moments in UTC, without a zone.

    :param ts: the text of the time stamp
    :param zone: its offset, where the format can have one
    :param clock: how it is written
    :param timezone: IANA name of the zone of stamps without an offset
    :param year: the year of stamps that have none
    :param month: the last month of that year; stamps of a later one are of
        the year before
    """
    if clock == 'none':
        return pl.lit(None, dtype=pl.Datetime('us'))
    if clock == 'clf':
        return ts.str.to_datetime(
            '%d/%b/%Y:%H:%M:%S %z', time_unit='us',
            strict=False).dt.convert_time_zone('UTC').dt.replace_time_zone(
                None)
    if clock == 'iso':
        # MariaDB pads the hour with a blank; others write a comma.
        plain = (ts.str.replace_all(',', '.', literal=True)
                 .str.replace('T', ' ', literal=True)
                 .str.replace('  ', ' 0', literal=True))
        local = plain.str.to_datetime('%Y-%m-%d %H:%M:%S%.f', time_unit='us',
                                      strict=False)
    elif clock == 'ctime':
        local = pl.coalesce(
            ts.str.to_datetime('%a %b %e %H:%M:%S %Y', time_unit='us',
                               strict=False),
            ts.str.to_datetime('%a %b %e %H:%M:%S%.f %Y', time_unit='us',
                               strict=False))
    else:
        later = ts.str.head(3).is_in(_MONTH_NAMES[month:])
        dated = pl.when(later).then(pl.lit(f'{year - 1:04} ')).otherwise(
            pl.lit(f'{year:04} ')) + ts
        local = dated.str.to_datetime('%Y %b %e %H:%M:%S%.f', time_unit='us',
                                      strict=False)
    moment = local if timezone == 'UTC' else _in_utc(local, timezone)
    if zone is None:
        return moment
    sign = pl.when(zone.str.starts_with('-')).then(-1).otherwise(1)
    minutes = (zone.str.slice(1, 2).cast(pl.Int32, strict=False) * 60
               + zone.str.slice(-2).cast(pl.Int32, strict=False)) * sign
    offset = pl.duration(minutes=pl.when(zone == 'Z').then(0).otherwise(
        minutes))
    return pl.when(zone.is_not_null()).then(local - offset).otherwise(moment)


def _in_utc(local: pl.Expr, timezone: str) -> pl.Expr:
    """Moments that a zone's clock showed.

    An hour that it shows twice is taken for the first of the two. An hour
    that it leaves out was shown by a clock that was not yet put forward.
    """
    def moment(clock: pl.Expr) -> pl.Expr:
        return clock.dt.replace_time_zone(
            timezone, ambiguous='earliest', non_existent='null'
        ).dt.convert_time_zone('UTC').dt.replace_time_zone(None)

    return pl.coalesce(moment(local), *(
        moment(local.dt.offset_by(f'-{gap}')).dt.offset_by(gap)
        for gap in ('1h', '1d')))
