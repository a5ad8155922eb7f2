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
"""Counts a subunit stream: prints the passed, the failed, the skipped.

Nothing is printed where no test was run.
"""

import sys

import subunit
import testtools


def main() -> int:
    """Read the stream from standard input.

    :returns: 0 when no test failed, otherwise 1
    """
    outcomes: dict[str, str] = {}

    def keep(test: dict[str, object]) -> None:
        outcomes[str(test['id'])] = str(test['status'])

    result = testtools.StreamToDict(keep)
    result.startTestRun()
    # What is no subunit is what stestr says when it has nothing to tell.
    subunit.ByteStreamToStreamResult(
        sys.stdin.buffer, non_subunit_name='stdout').run(result)
    # Tests that started and never ended are told here, as 'inprogress'.
    result.stopTestRun()
    counted = list(outcomes.values())
    if not counted:
        return 1
    passed = sum(counted.count(word) for word in ('success', 'xfail'))
    skipped = counted.count('skip')
    failed = len(counted) - passed - skipped
    sys.stdout.write(f'{passed} {failed} {skipped}\n')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
