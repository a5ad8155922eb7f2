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
"""Tests for the list of sources."""

from typing import Any

from openstack_rca.tests.unit.api import base


class TestSources(base.APITestCase):

    def test_list(self) -> None:
        source: dict[str, Any] = {
            'id': 'var-log', 'host': 'controller', 'status': 'ready',
            'error': None, 'updated_at': base.TIME, 'events': 5,
            'bytes': 500, 'files': [], 'skipped': []}
        self.db.source_list.return_value = [source]
        answer = self.call('GET', '/v1/sources')
        self.assertEqual((200, {'sources': [source]}),
                         (answer.code, answer.json))
        self.db.source_list.assert_called_once_with()
