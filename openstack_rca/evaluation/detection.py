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
"""How abnormal a time is, as a report says it."""

from typing import Any

_ERRORS = ('ERROR', 'CRITICAL', 'TRACE')


def empty() -> dict[str, Any]:
    """The prediction of a case that has none."""
    return {'score': 0.0, 'alarm': False}


def score(report: dict[str, Any]) -> float:
    """How abnormal the scope of a report is: its records of errors.

    :param report: the report document
    :returns: a finite number, higher where more is wrong
    """
    levels = (report.get('patterns') or {}).get('levels') or {}
    return float(sum(levels.get(level) or 0 for level in _ERRORS))


def predict(report: dict[str, Any], archive: str = '') -> dict[str, Any]:
    """Derive a prediction from a report, and from nothing else.

    :param report: the report document
    :param archive: name of the archive that was analysed
    :returns: ``score`` and ``alarm``
    """
    return {'score': score(report),
            'alarm': report.get('verdict') == 'cause_found'}
