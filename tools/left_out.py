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
"""Tells of a subunit stream which tests were skipped, and why.

One paragraph a reason: how many tests it kept from running, and which. What
is missing on a machine is then said once, and plainly.
"""

import sys

import subunit
import testtools


def main() -> int:
    """Read the stream from standard input.

    :returns: 0
    """
    reasons: dict[str, list[str]] = {}

    def keep(test: dict[str, object]) -> None:
        if test['status'] != 'skip':
            return
        details = test['details']
        assert isinstance(details, dict)
        told = details.get('reason')
        reason = told.as_text().strip() if told else 'no reason was given'
        reasons.setdefault(reason, []).append(str(test['id']))

    result = testtools.StreamToDict(keep)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(
        sys.stdin.buffer, non_subunit_name='stdout').run(result)
    result.stopTestRun()
    for reason, tests in sorted(reasons.items()):
        count = '1 test' if len(tests) == 1 else f'{len(tests)} tests'
        sys.stdout.write(f'* {reason}: {count}\n')
        for test in sorted(tests):
            sys.stdout.write(f'    {test}\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
