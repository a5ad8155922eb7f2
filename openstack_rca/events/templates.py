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
"""The template view of a line: what it says, whoever it says it of.

A message is masked by regular expressions instead of being clustered: the
result depends on the line alone, so that it is the same in every process,
order and release, and the whole column is done at once. Any word that holds
a digit is a variable (identifiers, numbers, addresses, names with a number),
and so is what stands in quotes, brackets and braces. Compared with Drain
(He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
ICWS 2017) there is no state and no threshold.
"""

import hashlib

import polars as pl

VARIABLE = '<*>'

_WORD = r'[\w.\-]*\d[\w.\-]*'
#: Function, file and line, which oslo.log adds to DEBUG records (DevStack in
#: braces): where a release is installed is no part of what it says.
_PLACE = r' (?:\{\{(?:\(pid=<\*>\) )?)?\S+ /\S+\.py:<\*>(?:\}\})?$'
_QUOTED = r"""([\s(\[{=:,@])u?(?:'[^'\n]*'|"[^"\n]*")|^'[^'\n]*'"""
_BRACED = r'\{[^{}\n]*\}|\[[^\[\]\n]*\]'
_REPEATED = r'<\*>(?:[\s,:;/|]*(?:and )?<\*>)+'

#: Characters of a message that its template looks at. What a service says
#: stands at the front; the end of long lines is data.
MASKED_LENGTH = 600


def mask(message: pl.Expr) -> pl.Expr:
    """Each message with its words that hold a digit masked.

    The first of two steps: what it leaves are few distinct texts, and the
    costlier second step, :func:`identify`, looks at each once.
    """
    first = pl.when(message.str.len_bytes() > MASKED_LENGTH).then(
        message.str.head(MASKED_LENGTH)).otherwise(message)
    return first.str.replace_all(_WORD, VARIABLE)


def _finish(text: pl.Expr) -> pl.Expr:
    """Mask quoted, braced and repeated variables, drop the place."""
    return (text
            .str.replace(_PLACE, '')
            .str.replace_all(_QUOTED, '${1}' + VARIABLE)
            .str.replace_all(_BRACED, VARIABLE)
            .str.replace_all(_REPEATED, VARIABLE)
            .str.strip_chars())


def identify(masked: pl.Series) -> pl.DataFrame:
    """Templates and their stable ids.

    :param masked: results of :func:`mask`, repeats allowed
    :returns: ``masked`` (each once), ``pattern``, and ``template``, the
        first 64 bits of the pattern's BLAKE2b hash
    """
    frame = pl.DataFrame({'masked': masked.unique()}).with_columns(
        pattern=_finish(pl.col('masked')))
    return frame.with_columns(template=pl.Series(
        [digest(p) for p in frame['pattern']], dtype=pl.UInt64))


def digest(pattern: str) -> int:
    """The id of one template."""
    return int.from_bytes(hashlib.blake2b(
        pattern.encode('utf-8', 'replace'), digest_size=8).digest(), 'big')
