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
"""The identity view of a line: who and what it speaks of.

Works on columns: one regular expression a question, over a whole batch.
"""

import re

import polars as pl

_HEX = '[0-9a-f]'
#: A UUID, or a request id, which is told apart by its prefix; or what may be
#: a UUID without dashes (Keystone's ids), if it is not longer.
_DASHED = (rf'(?:req-)?{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}'
           rf'-{_HEX}{{12}}')
IDENTIFIER = rf'{_DASHED}|{_HEX}{{32,}}'

_OCTET = '(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})'
_V4 = rf'(?-u:\b)(?:{_OCTET}\.){{3}}{_OCTET}(?::[0-9]{{1,5}})?(?-u:\b)'
_GROUP = '[0-9A-Fa-f]{1,4}'
_GROUPS = rf'{_GROUP}(?::{_GROUP})*'
_FULL = rf'(?:{_GROUP}:){{7}}{_GROUP}'
_BRACKETED = (rf'\[(?:{_FULL}|(?:{_GROUPS})?::(?:{_GROUPS})?)\]'
              rf'(?::[0-9]{{1,5}})?')
# Without brackets, "::" alone is punctuation.
_V6 = rf'(?-u:\b)(?:{_FULL}|[0-9A-Fa-f]{{2,4}}(?::{_GROUP})*::(?:{_GROUPS})?)'
_NAME = r'[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*'
_END = r'(?:[\s/?#,;|)\]}>"\']|$)'
#: In a URL any port goes; elsewhere a word and a short number are no peer.
_URL = rf'//{_NAME}:[0-9]{{1,5}}{_END}'
_PEERS = (rf'(?:^|[\s"\'(=@,])[A-Za-z]{_NAME}:[0-9]{{4,5}}'
          rf'(?:,{_NAME}:[0-9]{{4,5}})*{_END}')
_ADDRESS = f'{_URL}|{_V4}|{_BRACKETED}|{_V6}|{_PEERS}'
_AROUND = '/?#,;|(){}=@>"\' \t'
_SOURCE_LINE = r'\.(?:py|c|go|rb|sh):\d'

_UUID = re.compile(
    r'(?<![0-9a-f])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-'
    r'[0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-f])', re.IGNORECASE)
_REQUEST = re.compile(r'\breq-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-'
                      r'[0-9a-f]{4}-[0-9a-f]{12}\b', re.IGNORECASE)


def resources(text: pl.Expr) -> pl.Expr:
    """UUIDs and request ids that a text names, each once, in order."""
    found = pl.element()
    return text.str.extract_all(IDENTIFIER).list.eval(found.filter(
        found.str.contains('-', literal=True)
        | (found.str.len_bytes() == 32))).list.unique(maintain_order=True)


def addresses(text: pl.Expr) -> pl.Expr:
    """IP addresses and ``host:port`` peers that a text names, each once.

    With the port where there is one: ``10.0.0.5``, ``10.0.0.5:5672``,
    ``fd00::5``, ``[fd00::5]:5672``, ``controller:5672``.
    """
    found = pl.element()
    plain = found.str.strip_chars(_AROUND).str.replace(
        r'^\[?([^\[\]]*)\]$', '${1}')
    return text.str.extract_all(_ADDRESS).list.eval(plain.filter(
        ~plain.str.contains(_SOURCE_LINE)).str.split(',').explode(
            empty_as_null=False)).list.unique(maintain_order=True)


def context(ctx: pl.Series) -> pl.DataFrame:
    """The fields of oslo.log's request context.

    ``-``, ``req-L user project - domains``, ``None req-L user project``,
    ``req-G req-L user project``: oslo.log put the global request id in front
    with the 2023.1 release, services that configured it did before. DevStack
    writes two names instead, the project's first.

    :param ctx: what stands between the brackets, repeats allowed
    :returns: ``ctx`` (each value once), ``global_request_id``,
        ``request_id``, ``user_id``, ``project_id``
    """
    part = pl.col('part').list
    own = part.get(1, null_on_oob=True).str.starts_with('req-').fill_null(
        False).cast(pl.Int64)
    names = part.len().cast(pl.Int64) == own + 3

    def known(value: pl.Expr) -> pl.Expr:
        return pl.when(value.is_in(['-', 'None', ''])).then(None).otherwise(
            value)

    def after(place: int) -> pl.Expr:
        return part.get(own + place, null_on_oob=True)

    return pl.DataFrame({'ctx': ctx.drop_nulls().unique()}).with_columns(
        part=pl.col('ctx').str.split(' ')).select(
            'ctx',
            global_request_id=known(pl.when(own == 1).then(part.get(0))),
            request_id=known(after(0)),
            user_id=known(pl.when(names).then(after(2)).otherwise(after(1))),
            project_id=known(pl.when(names).then(after(1)).otherwise(
                after(2))))


def find_requests(text: str) -> list[str]:
    """Request ids in free text, each once, in order."""
    return list(dict.fromkeys(m.lower() for m in _REQUEST.findall(text)))


def find_uuids(text: str) -> list[str]:
    """UUIDs in free text that are no request ids, each once, in order."""
    return list(dict.fromkeys(
        m.lower() for m in _UUID.findall(_REQUEST.sub(' ', text))))
