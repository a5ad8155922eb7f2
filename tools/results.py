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
"""Tells of a subunit stream, from standard input, how its tests ended.

::

    results.py count     the passed, the failed, the skipped; nothing where
                         no test was run
    results.py failed    which tests failed, and the end of what each said
    results.py skipped   which were left out: a paragraph a reason, so that
                         what is missing on a machine is said once
"""

import sys
from typing import Any

import subunit
import testtools

#: Outcomes that are no failure.
_PASSED = ('success', 'xfail')
#: Lines of a traceback that are repeated, the last ones.
_LINES = 30


def read() -> list[dict[str, Any]]:
    """Read the stream.

    :returns: the last outcome of each test, as
        :class:`testtools.StreamToDict` gives it, by id
    """
    tests: dict[str, dict[str, Any]] = {}

    def keep(test: dict[str, Any]) -> None:
        tests[str(test['id'])] = test

    result = testtools.StreamToDict(keep)
    result.startTestRun()
    # What is no subunit is what stestr says when it has nothing to tell.
    subunit.ByteStreamToStreamResult(
        sys.stdin.buffer, non_subunit_name='stdout').run(result)
    # Tests that started and never ended are told here, as 'inprogress'.
    result.stopTestRun()
    return [tests[name] for name in sorted(tests)]


def count(tests: list[dict[str, Any]]) -> None:
    """Print the counts.

    :param tests: what was read
    """
    if not tests:
        return
    outcomes = [test['status'] for test in tests]
    passed = sum(map(outcomes.count, _PASSED))
    skipped = outcomes.count('skip')
    sys.stdout.write(f'{passed} {len(outcomes) - passed - skipped} '
                     f'{skipped}\n')


def failed(tests: list[dict[str, Any]]) -> None:
    """Print which tests failed, and why.

    :param tests: what was read
    """
    for test in tests:
        if test['status'] in (*_PASSED, 'skip'):
            continue
        sys.stdout.write(f'* {test["id"]} ({test["status"]})\n')
        told = test['details'].get('traceback')
        lines = told.as_text().splitlines() if told else []
        for line in lines[-_LINES:]:
            sys.stdout.write(f'    {line[:200]}\n')


def skipped(tests: list[dict[str, Any]]) -> None:
    """Print which tests were left out, by reason.

    :param tests: what was read
    """
    reasons: dict[str, list[str]] = {}
    for test in tests:
        if test['status'] == 'skip':
            told = test['details'].get('reason')
            reason = told.as_text().strip() if told else 'no reason was given'
            reasons.setdefault(reason, []).append(str(test['id']))
    for reason, names in sorted(reasons.items()):
        number = '1 test' if len(names) == 1 else f'{len(names)} tests'
        sys.stdout.write(f'* {reason}: {number}\n')
        for name in names:
            sys.stdout.write(f'    {name}\n')


def main() -> int:
    """Tell what is asked for.

    :returns: 0, or 2 when the question is none of those above
    """
    questions = {'count': count, 'failed': failed, 'skipped': skipped}
    if len(sys.argv) != 2 or sys.argv[1] not in questions:
        sys.stderr.write(f'Usage: {sys.argv[0]} {"|".join(questions)} '
                         '< STREAM\n')
        return 2
    questions[sys.argv[1]](read())
    return 0


if __name__ == '__main__':
    sys.exit(main())
