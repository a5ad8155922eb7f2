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
"""The API against its own description: whatever comes, no 5xx.

Schemathesis makes requests out of the OpenAPI document, some that fit it and
some that do not, and holds the answers against it. Everything is real but
Keystone: the middleware, the policy, and rows in a database.
"""

from collections.abc import Iterable
import json
from typing import Any

import hypothesis
from hypothesis import strategies
from keystonemiddleware import fixture
import schemathesis

from openstack_rca import policy
from openstack_rca.api import app
from openstack_rca.api import validation
from openstack_rca.db import api as db
from openstack_rca.db import incidents
from openstack_rca.db import jobs
from openstack_rca.db import knowledge
from openstack_rca.db import migration
from openstack_rca.db import models_api
from openstack_rca.db import session
from openstack_rca.tests import base
from openstack_rca.tests.unit.db import models_suite
from openstack_rca.tests.unit.osc import sample

TOKEN = 'a-token'
HEADERS = {'X-Auth-Token': TOKEN}
EXAMPLES = 50

# The same requests on every run: what fails on one machine fails on all.
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck))


def _complete(case: Any, ids: list[str]) -> None:
    """Let a request keep the rules that no schema can say."""
    if 'marker' in (case.query or {}):
        case.query['marker'] = ids[len(ids) // 2]
    if isinstance(case.body, dict) and (
            case.body.get('since') and case.body.get('until')):
        case.body['since'], case.body['until'] = sorted(
            (case.body['since'], case.body['until']), key=validation.moment)
    if isinstance(case.body, dict) and 'content' in case.body:
        # The ending of a name may tell no format.
        case.body['format'] = 'text'
    if isinstance(case.body, dict) and 'detector' in case.body:
        # One that is installed, and what an engine reads.
        case.body['detector'] = 'novelty'
        if case.body.get('sources'):
            case.body['sources'] = ['logs']
        for label in case.body.get('labels') or ():
            label['since'], label['until'] = sorted(
                (label['since'], label['until']), key=validation.moment)


class TestApiFuzz(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(group='database',
                    connection=f'sqlite:///{self.tmp}/rows.sqlite')
        # As many rows as come, for none of them is worked on.
        self.config(group='api', max_queued=1000000)
        self.config(group='keystone_authtoken',
                    www_authenticate_uri='http://keystone.invalid/')
        session.dispose()
        self.addCleanup(session.dispose)
        policy.reset()
        self.addCleanup(policy.reset)
        migration.sync()
        tokens = self.useFixture(fixture.AuthTokenFixture())
        tokens.add_token_data(TOKEN, project_id='project', user_id='user',
                              role_list=['admin'])
        self.schema = schemathesis.openapi.from_wsgi(
            '/v1/openapi.json', app.create(self.conf), headers=HEADERS,
            config=schemathesis.Config.from_dict(
                # The document says in words that no text holds NUL; each
                # request has its token.
                {'seed': 1, 'generation': {
                    'allow-x00': False, 'with-security-parameters': False}}))
        self.ids = self._rows()

    @staticmethod
    def _rows() -> dict[str, list[str]]:
        """Write rows of all kinds: complete, failed and waiting ones."""
        for number in range(40):
            db.analysis_create('project', 'user', {
                'issue': f'{number}', 'incident': True}, 1000)
            db.query_create('project', 'user', 'trace',
                            {'request_id': 'req-1'}, 1000)
        for claim in jobs.claim('engine', 60, 60, 3):
            if claim.kind == 'analysis':
                jobs.complete(claim, json.dumps(
                    sample.report() | {'id': claim.id}))
            else:
                jobs.complete(claim, json.dumps({
                    'events': [], 'more': False, 'services': [],
                    'request_ids': ['req-1'], 'global_request_id': None}))
        for claim in jobs.claim('engine', 60, 10, 3):
            jobs.fail(claim, 'The worker was ended 3 times.')
        jobs.source_set('engine', 'logs', {
            'status': 'ready', 'error': None, 'events': 0, 'bytes': 0,
            'files': [], 'skipped': []})
        models_api.models_register('engine', [
            models_suite.public(number) for number in range(30)])
        analyses = [row['id'] for row in db.analysis_list(
            'project', 'user', 1000, status='complete')[0]]
        for number in range(30):
            db.query_create('project', 'user', 'index',
                            {'action': 'status'}, 1000)
            knowledge.message_create('project', 'user', analyses[0],
                                     f'{number}', 'full', 1000)
            knowledge.put('project', 'user', [{
                'kind': 'document', 'title': 'x', 'text': f'{number}'}])
        return {
            'index': [row['id'] for row in db.query_list(
                'project', 1000, kind='index')[0]],
            'knowledge': [row['id'] for row in knowledge.entry_list(
                'project', 1000)[0]],
            'questions': [row['id'] for row in knowledge.message_list(
                'project', analyses[0], 1000)[0]],
            'asked': analyses[:1],
            'models': [row['id'] for row in models_api.model_list(1000)[0]],
            'analyses': [row['id'] for row in db.analysis_list(
                'project', 'user', 1000)[0]],
            'queries': [row['id'] for row in db.query_list(
                'project', 1000)[0]],
            'incidents': [row['id'] for row in incidents.incident_list(
                'project', 1000)[0]]}

    def _fuzz(self, mode: schemathesis.GenerationMode,
              operation: Any) -> set[int]:
        """Call an operation again and again.

        :returns: the status codes that came
        """
        path = operation.path.removeprefix('/v1/')
        ids = self.ids.get(path.partition('/')[0], [])
        if '/questions' in path:
            # The one that has any.
            ids = self.ids['asked']
        codes = set()

        @SETTINGS
        @hypothesis.given(strategies.data())
        def fuzz(data: Any) -> None:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            if 'id' in (case.path_parameters or {}):
                # Ids made at random are never those of rows.
                case.path_parameters['id'] = data.draw(
                    strategies.sampled_from(
                        [*ids, case.path_parameters['id']]))
            if 'question_id' in (case.path_parameters or {}):
                case.path_parameters['question_id'] = data.draw(
                    strategies.sampled_from([
                        *self.ids['questions'],
                        case.path_parameters['question_id']]))
            if mode is schemathesis.GenerationMode.POSITIVE:
                _complete(case, self.ids['questions']
                          if '/questions' in path else ids)
            codes.add(case.call_and_validate(headers=HEADERS).status_code)

        fuzz()
        return codes

    def _operations(self) -> list[Any]:
        found: Iterable[Any] = self.schema.get_all_operations()
        # What deletes rows comes last: the others need some.
        return sorted((result.ok() for result in found),
                      key=lambda operation: bool(
                          operation.method == 'delete'))

    def test_what_the_document_allows(self) -> None:
        codes = {
            operation.label: self._fuzz(
                schemathesis.GenerationMode.POSITIVE, operation)
            for operation in self._operations()}
        for label, found in codes.items():
            # Each was reached, and not only refused.
            self.assertTrue(found & {200, 201, 202, 204}, (label, found))

    def test_what_the_document_forbids(self) -> None:
        codes = {
            operation.label: self._fuzz(
                schemathesis.GenerationMode.NEGATIVE, operation)
            for operation in self._operations()
            if operation.body or operation.query}
        self.assertLess(8, len(codes))
        for label, found in codes.items():
            self.assertIn(400, found, label)
