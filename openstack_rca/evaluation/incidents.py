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
"""Which part of a cloud is faulty and how, as a report says it."""

from typing import Any


def empty() -> dict[str, Any]:
    """The prediction of a case that has none."""
    return {'hypotheses': []}


def predict(report: dict[str, Any], archive: str = '') -> dict[str, Any]:
    """Derive a prediction from a report, and from nothing else.

    :param report: the report document
    :param archive: name of the archive that was analysed
    :returns: ``hypotheses`` with component and category, ranked
    """
    return {'hypotheses': [
        {'component': hypothesis.get('component'),
         'category': hypothesis.get('category')}
        for hypothesis in report.get('hypotheses') or ()]}
