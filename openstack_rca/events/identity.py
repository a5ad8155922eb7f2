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
#: A UUID with or without dashes (Keystone writes its ids without), or a
#: request id. Request ids are told apart afterwards by their prefix.
IDENTIFIER = (rf'(?:req-)?{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}'
              rf'-?{_HEX}{{12}}')
_ADDRESS = (r'(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|//[\w.\-]+:|'
            r'\[[0-9a-f:]+\]:)(?::?\d{2,5})?')

_UUID = re.compile(r'\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-'
                   r'[0-9a-f]{12}|[0-9a-f]{32})\b', re.IGNORECASE)
_REQUEST = re.compile(r'\breq-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-'
                      r'[0-9a-f]{4}-[0-9a-f]{12}\b', re.IGNORECASE)


def resources(text: pl.Expr) -> pl.Expr:
    """UUIDs and request ids that a text names, in order, with repeats."""
    return text.str.extract_all(IDENTIFIER)


def addresses(text: pl.Expr) -> pl.Expr:
    """IP addresses and ``host:port`` peers that a text names."""
    return text.str.extract_all(_ADDRESS).list.eval(
        pl.element().str.strip_prefix('//').str.strip_suffix(':'))


def context(ctx: pl.Series) -> pl.DataFrame:
    """The fields of oslo.log's request context.

    ``-``, ``req-L user project - domains``, ``None req-L user project``,
    ``req-G req-L user project``: oslo.log put the global request id in front
    with the 2023.1 release, services had it behind before.

    :param ctx: what stands between the brackets, repeats allowed
    :returns: ``ctx`` (each value once), ``global_request_id``,
        ``request_id``, ``user_id``, ``project_id``
    """
    frame = pl.DataFrame({'ctx': ctx.drop_nulls().unique()})
    part = pl.col('part').list
    two = part.get(1, null_on_oob=True).str.starts_with('req-').fill_null(
        False)

    def known(value: pl.Expr) -> pl.Expr:
        return pl.when(value.is_in(['-', 'None', ''])).then(None).otherwise(
            value)

    return frame.with_columns(part=pl.col('ctx').str.split(' ')).select(
        'ctx',
        global_request_id=known(pl.when(two).then(part.get(0))),
        request_id=known(pl.when(two).then(part.get(1)).otherwise(
            part.get(0, null_on_oob=True))),
        user_id=known(pl.when(two).then(part.get(2, null_on_oob=True))
                      .otherwise(part.get(1, null_on_oob=True))),
        project_id=known(pl.when(two).then(part.get(3, null_on_oob=True))
                         .otherwise(part.get(2, null_on_oob=True))))


def find_requests(text: str) -> list[str]:
    """Request ids in free text, each once, in order."""
    return list(dict.fromkeys(m.lower() for m in _REQUEST.findall(text)))


def find_uuids(text: str) -> list[str]:
    """UUIDs in free text that are no request ids, each once, in order."""
    return list(dict.fromkeys(
        m.lower() for m in _UUID.findall(_REQUEST.sub(' ', text))))
