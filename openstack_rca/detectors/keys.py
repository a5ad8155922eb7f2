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
"""Message keys as the networks that read them in their order see them.

A key is the meaning of its words and a few flags, so that one which was
never seen still has a place.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from openstack_rca.detectors import meaning

#: Numbers of a text's meaning, and their weight beside the flags.
MEANING = 32
_MEANING_WEIGHT = 0.3
_FLAGS = 8
#: Numbers that describe a key.
INPUTS = _FLAGS + MEANING

#: What is read of keys, see :class:`openstack_rca.detectors.features.Tables`.
SCHEMA: dict[str, pl.DataType] = {
    'key': pl.String(), 'binary': pl.String(), 'words': pl.String(),
    'level': pl.UInt8(), 'status': pl.UInt16(),
    'traceback': pl.Boolean(), 'access': pl.Boolean(),
    'get': pl.Boolean()}


def often(tables: Sequence[pl.DataFrame], least: int,
          most: int) -> pl.DataFrame:
    """The keys that several parts have, those of the most parts first.

    :param tables: keys of each part
    :param least: parts that a key has to be in
    :param most: keys, at most
    """
    return pl.concat([pl.DataFrame(schema=SCHEMA), *(
        t.select(*SCHEMA) for t in tables)]).group_by('key').agg(
            *(pl.col(name).first() for name in SCHEMA if name != 'key'),
            docs=pl.len()).filter(pl.col('docs') >= least).sort(
                'docs', 'key', descending=[True, False]).head(most)


def texts(keys: pl.DataFrame) -> list[str]:
    """What keys are embedded as.

    :param keys: with the columns of :data:`SCHEMA`
    """
    return keys.select(pl.format(
        '{}: {}', pl.col('binary').fill_null(''), 'words')).to_series(
            ).to_list()


def described(keys: pl.DataFrame, space: meaning.Space,
              most: int | None = None) -> np.ndarray:
    """Keys as the network sees them.

    :param keys: with the columns of :data:`SCHEMA`
    :param space: of :data:`MEANING` axes
    :param most: so many new texts are embedded
    :returns: a row of :data:`INPUTS` numbers each
    :raises ModelError: messages cannot be embedded
    """
    level, status = pl.col('level'), pl.col('status')
    flags = keys.select(
        level >= 40, level.eq(30).alias('warning'),
        level.eq(20).alias('info'), 'traceback', 'access', 'get',
        status.ge(500).alias('failed'),
        status.is_between(400, 499).alias('refused')).cast(
            pl.Float32).to_numpy().reshape(-1, _FLAGS)
    return np.concatenate([flags, space.place(
        texts(keys), most) * _MEANING_WEIGHT], 1).astype(np.float32)
