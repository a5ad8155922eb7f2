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
"""The interface of detectors: what is abnormal, how much, and why.

A detector sees a *profile*: how often each template of each process was
logged in each short window. It compares the profile under question with a
reference, which is the quiet part of the same logs or a baseline. Both are
small whatever the size of the logs, since everything is counted once a
template.

A driver is one class on this interface, registered in the entry point
namespace ``openstack_rca.detectors``.
"""

import abc

import polars as pl

#: Width of a window of the profile.
WINDOW = '10s'
WINDOW_SECONDS = 10.0

#: Columns of a profile: who said what in which window, how often, how bad.
PROFILE: dict[str, pl.DataType] = {
    'service': pl.String(),
    'binary': pl.String(),
    'host': pl.String(),
    'template': pl.UInt64(),
    'window': pl.Datetime('us'),
    'kind': pl.String(),
    'count': pl.UInt32(),
    'level': pl.UInt8(),
    'status': pl.UInt16(),
    'latency': pl.Float32(),
    'first': pl.Datetime('us'),
    'last': pl.Datetime('us'),
}

#: Columns of symptoms. ``template`` is null where a whole process is meant;
#: ``score`` runs from 0 (normal) to 1; ``sign`` is one of ``new``, ``rare``,
#: ``burst``, ``level``, ``status``, ``latency``, ``silence``, ``mixture``.
SYMPTOMS: dict[str, pl.DataType] = {
    'service': pl.String(),
    'binary': pl.String(),
    'host': pl.String(),
    'template': pl.UInt64(),
    'since': pl.Datetime('us'),
    'until': pl.Datetime('us'),
    'sign': pl.String(),
    'score': pl.Float64(),
    'why': pl.String(),
}


def profile(events: pl.LazyFrame) -> pl.DataFrame:
    """Count events a template, process and window.

    :param events: events, with the columns of ``schema.EVENTS``; those
        without a time are left out
    :returns: a profile
    """
    return events.filter(pl.col('timestamp').is_not_null()).group_by(
        'service', 'binary', 'host', 'template',
        pl.col('timestamp').dt.truncate(WINDOW).alias('window')).agg(
            kind=pl.col('kind').first(),
            count=pl.len(),
            level=pl.col('level').max(),
            status=pl.col('status').max(),
            latency=pl.col('latency').max(),
            first=pl.col('timestamp').min(),
            last=pl.col('timestamp').max(),
        ).select(list(PROFILE)).collect(engine='streaming')


def no_symptoms() -> pl.DataFrame:
    """An empty table of symptoms."""
    return pl.DataFrame(schema=SYMPTOMS)


def seconds(table: pl.DataFrame) -> float:
    """How long a profile lasts, at least one window."""
    if table.is_empty():
        return WINDOW_SECONDS
    span = table['window'].max() - table['window'].min()  # type: ignore
    return float(span.total_seconds()) + WINDOW_SECONDS  # type: ignore


class Detector(abc.ABC):
    """Finds what is abnormal in a profile."""

    @abc.abstractmethod
    def detect(self, current: pl.DataFrame,
               reference: pl.DataFrame) -> pl.DataFrame:
        """What is abnormal.

        :param current: profile of the time under question
        :param reference: profile of a quiet time; may be empty, then only
            what is abnormal by itself is found
        :returns: symptoms, with the columns of :data:`SYMPTOMS`
        """
