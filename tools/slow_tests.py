#!/usr/bin/env python3
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
"""Tells stestr how long tests take, so that its processes end together.

With a record of its own stestr knows nothing of earlier runs, and deals
classes out like cards: one process can have twice the work of another one.
Beside this program lies a list of what takes seconds. It need not be exact,
and a test that it does not name runs all the same::

    slow_tests.py RECORD                    writes it into a new record
    stestr last --subunit | slow_tests.py   prints one of the last run
"""

from dbm import dumb
import pathlib
import sys

from stestr.repository import file
import subunit
import testtools

LIST = pathlib.Path(__file__).with_suffix('.txt')

#: Seconds below which a test is not worth a line.
LEAST = 2.0


def seed(record: str) -> None:
    """Write the list into a record that has no run yet.

    :param record: folder of the record
    """
    file.RepositoryFactory().initialise(record)
    with dumb.open(f'{record}/.stestr/times.dbm', 'c') as times:
        for line in LIST.read_text('utf-8').splitlines():
            seconds, _, test = line.partition(' ')
            times[test] = seconds


def show() -> None:
    """Print the list of a subunit stream from standard input."""
    rows: list[tuple[str, float]] = []

    def keep(test: dict[str, object]) -> None:
        moments = test['timestamps']
        assert isinstance(moments, list)
        begin, end = moments
        if begin and end and (end - begin).total_seconds() >= LEAST:
            rows.append((str(test['id']), (end - begin).total_seconds()))

    result = testtools.StreamToDict(keep)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(
        sys.stdin.buffer, non_subunit_name='stdout').run(result)
    result.stopTestRun()
    for test, seconds in sorted(rows):
        sys.stdout.write(f'{seconds:.0f} {test}\n')


if __name__ == '__main__':
    if len(sys.argv) > 1:
        seed(sys.argv[1])
    else:
        show()
