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
"""Tests for the description of the API."""

from typing import Any

import jsonschema

from openstack_rca import policies
from openstack_rca.api import app
from openstack_rca.api import openapi
from openstack_rca.tests.unit.api import base
from openstack_rca.tests.unit.osc import sample

METHODS = ('get', 'post', 'put', 'patch', 'delete')


class TestDocument(base.APITestCase):

    def setUp(self) -> None:
        super().setUp()
        self.document = openapi.document(self.conf)
        self.operations = {
            (method.upper(), path): operation
            for path, item in self.document['paths'].items()
            for method, operation in item.items() if method in METHODS}

    def _fits(self, name: str, value: Any) -> None:
        jsonschema.Draft202012Validator({
            '$ref': f'#/components/schemas/{name}',
            'components': self.document['components']}).validate(value)

    def test_any_valid_token_shows_it(self) -> None:
        self.tokens.add_token_data('nobody', user_id='u')
        self.system_token('system')
        for token in ('admin', 'nobody', 'system'):
            answer = self.call('GET', '/v1/openapi.json', token=token)
            self.assertEqual((200, self.document),
                             (answer.code, answer.json))
        self.assert_error(401, self.call('GET', '/v1/openapi.json',
                                         token=None))

    def test_every_route_is_described(self) -> None:
        routed = {
            (method.upper(), path)
            for path, resource in app.routes(self.conf).items()
            for method in METHODS if hasattr(resource, f'on_{method}')}
        self.assertEqual(routed | {('GET', '/healthcheck')},
                         set(self.operations))

    def test_every_guarded_operation_has_a_rule(self) -> None:
        ruled = {(operation['method'], operation['path'])
                 for rule in policies.list_rules()
                 for operation in rule.operations}
        guarded = {name for name, operation in self.operations.items()
                   if 'security' not in operation}
        self.assertEqual(ruled | {('GET', '/v1/openapi.json')}, guarded)

    def test_names_are_unique(self) -> None:
        names = [operation['operationId']
                 for operation in self.operations.values()]
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_schemas_are_schemas(self) -> None:
        for schema in self.document['components']['schemas'].values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_limits_are_those_of_the_configuration(self) -> None:
        self.config(group='api', max_limit=20)
        item = openapi.document(self.conf)['paths']['/v1/analyses']
        limit = item['get']['parameters'][0]['schema']
        self.assertEqual((20, 20), (limit['maximum'], limit['default']))

    def test_rows_fit(self) -> None:
        self._fits('Analysis', base.ANALYSIS)
        self._fits('AnalysisSummary', base.SUMMARY)
        self._fits('Query', base.QUERY)
        self._fits('Incident', base.INCIDENT)
        self._fits('EntrySummary', base.ENTRY_SUMMARY)
        self._fits('Entry', base.ENTRY)
        self._fits('Question', base.MESSAGE)
        self._fits('Question', base.MESSAGE | {'answer': {
            'text': 'x', 'backend': 'none', 'evidence': [],
            'knowledge': [base.FOUND], 'scope': {}, 'statistics': {}}})
        for result in ({'found': [base.FOUND], 'index': base.HEALTH},
                       {'host': 'ctl1', 'index': base.HEALTH}):
            self._fits('Query', base.QUERY | {'result': result})
        self._fits('ModelSummary', base.MODEL_SUMMARY)
        self._fits('Model', base.MODEL)
        self._fits('Model', base.MODEL | {'drift': None, 'bytes': None})

    def test_reports_fit(self) -> None:
        for report in (sample.report(), sample.nothing()):
            # Of a local analysis, which belongs to no project.
            self._fits('Analysis', report | {'project_id': base.PROJECT})

    def test_rows_with_holes_do_not_fit(self) -> None:
        for name, row in (('Analysis', base.ANALYSIS),
                          ('Query', base.QUERY),
                          ('Incident', base.INCIDENT),
                          ('Model', base.MODEL)):
            for field in ('id', 'status', 'created_at'):
                row = {key: value for key, value in row.items()
                       if key != field}
                self.assertRaises(jsonschema.ValidationError, self._fits,
                                  name, row)

    def test_errors_fit(self) -> None:
        self._fits('Error', self.call('GET', '/v1/analyses',
                                      token=None).json)
