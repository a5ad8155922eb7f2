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
"""The description of the API, made of the schemas that check requests."""

from typing import Any

import falcon
from oslo_config import cfg

from openstack_rca.api import errors
from openstack_rca.api import schemas
from openstack_rca.api import validation
from openstack_rca.api.v1 import base

_REASONS = {
    400: 'The request is wrong; the message names the field.',
    401: 'There is no valid token.',
    403: 'The policy does not allow it, or the token has no project.',
    404: 'The project has no such row.',
    409: 'The row is in a state that does not allow it.',
    411: 'The body is chunked, and the WSGI server takes none of these.',
    413: 'The body is larger than [api] max_body.',
    415: 'The body is not JSON.',
    429: 'The project has as many unfinished analyses and queries as '
         '[api] max_queued allows.',
    500: 'The service failed in a way that it does not expect.',
    503: 'Keystone or the database cannot be reached.',
}

_ALWAYS = (400, 401, 500, 503)
_ROW = (403, 404)
_BODY = (411, 413, 415)

_HEADERS = {'X-Openstack-Request-Id': {
    '$ref': '#/components/headers/RequestId'}}

_LOCATION = {'Location': {
    'required': True, 'description': 'Where the row can be followed.',
    'schema': {'type': 'string', 'format': 'uri'}}}


def _response(description: str, schema: schemas.Schema | None,
              headers: dict[str, Any] | None = None) -> dict[str, Any]:
    response: dict[str, Any] = {
        'description': description, 'headers': {**_HEADERS, **(headers or {})}}
    if schema is not None:
        response['content'] = {errors.JSON: {'schema': schema}}
    return response


def _operation(name: str, summary: str, code: int,
               answer: schemas.Schema | None, codes: tuple[int, ...] = (), *,
               body: schemas.Schema | None = None,
               parameters: schemas.Schema | None = None) -> dict[str, Any]:
    """One operation that needs a token.

    :param name: of the operation
    :param summary: what it does
    :param code: the status of success
    :param answer: schema of the body then
    :param codes: the errors beside those that all have
    :param body: schema of the request's body
    :param parameters: schema of the query parameters
    """
    described: dict[str, Any] = {
        'operationId': name, 'summary': summary,
        'responses': {str(code): _response(
            'Success.', answer, _LOCATION if code == 202 else None)}}
    codes += _ALWAYS
    if body is not None:
        codes += _BODY
        described['requestBody'] = {
            'required': True, 'content': {errors.JSON: {'schema': body}}}
    if parameters is not None:
        described['parameters'] = [
            {'name': parameter, 'in': 'query', 'required': False,
             'description': schema.get('description', ''), 'schema': schema}
            for parameter, schema in parameters['properties'].items()]
    for error in sorted(codes):
        described['responses'][str(error)] = _response(
            _REASONS[error], schemas.ref('Error'))
    return described


def _open(name: str, summary: str, schema: schemas.Schema) -> dict[str, Any]:
    return {'operationId': name, 'summary': summary, 'security': [],
            'responses': {'200': _response('Success.', schema)}}


def _item(*more: str, **operations: dict[str, Any]) -> dict[str, Any]:
    return {'parameters': [{
        'name': name, 'in': 'path', 'required': True,
        'schema': {'type': 'string', 'format': 'uuid'}}
        for name in ('id', *more)], **operations}


def _paths(max_limit: int) -> dict[str, Any]:
    ref = schemas.ref
    return {
        '/': {'get': _open('listVersions', 'List the versions', {
            'type': 'object', 'required': ['versions'],
            'properties': {'versions': {
                'type': 'array', 'items': ref('Version')}}})},
        '/v1': {'get': _open('showVersion', 'Show the version', {
            'type': 'object', 'required': ['version'],
            'properties': {'version': ref('Version')}})},
        '/healthcheck': {'get': _healthcheck()},
        '/v1/openapi.json': {'get': _operation(
            'showDescription', 'Show this description', 200,
            {'type': 'object'})},
        '/v1/analyses': {
            'post': _operation(
                'createAnalysis', 'Ask why', 202, ref('Analysis'),
                (403, 429), body=ref('AnalysisRequest')),
            'get': _operation(
                'listAnalyses', 'List the analyses, the newest first', 200,
                ref('Analyses'), (403,),
                parameters=schemas.analysis_parameters(max_limit))},
        '/v1/analyses/{id}': _item(
            get=_operation(
                'showAnalysis', 'Show an analysis and its report', 200,
                ref('Analysis'), _ROW),
            delete=_operation(
                'deleteAnalysis', 'Delete an analysis; work on it is '
                'dropped', 204, None, _ROW)),
        '/v1/analyses/{id}/rating': _item(
            put=_operation(
                'rateAnalysis', 'Say how right a report is', 200,
                ref('Rating'), (*_ROW, 409), body=ref('RatingRequest'))),
        '/v1/analyses/{id}/questions': _item(
            post=_operation(
                'askAnalysis', 'Ask something about an analysis', 202,
                ref('Question'), (*_ROW, 409, 429),
                body=ref('QuestionRequest')),
            get=_operation(
                'listQuestions', 'List what was asked about an analysis, '
                'the newest first', 200, ref('Questions'), _ROW,
                parameters=schemas.question_parameters(max_limit))),
        '/v1/analyses/{id}/questions/{question_id}': _item(
            'question_id', get=_operation(
                'showQuestion', 'Show a question and its answer', 200,
                ref('Question'), _ROW)),
        '/v1/queries': {
            'post': _operation(
                'createQuery', 'Ask for events, a trace, or what is known',
                202, ref('Query'), (403, 429), body={
                    'oneOf': [ref('EventsRequest'), ref('TraceRequest'),
                              ref('SearchRequest')],
                    'discriminator': {'propertyName': 'kind', 'mapping': {
                        'events': ref('EventsRequest')['$ref'],
                        'trace': ref('TraceRequest')['$ref'],
                        'search': ref('SearchRequest')['$ref']}}}),
            'get': _operation(
                'listQueries', 'List the queries, the newest first', 200,
                ref('Queries'), (403,),
                parameters=schemas.query_parameters(max_limit))},
        '/v1/queries/{id}': _item(
            get=_operation('showQuery', 'Show a query and its result', 200,
                           ref('Query'), _ROW)),
        '/v1/incidents': {
            'get': _operation(
                'listIncidents', 'List the incidents, the newest first',
                200, ref('Incidents'), (403,),
                parameters=schemas.incident_parameters(max_limit))},
        '/v1/incidents/{id}': _item(
            get=_operation('showIncident', 'Show an incident', 200,
                           ref('Incident'), _ROW),
            patch=_operation(
                'updateIncident', 'Take an incident a step further', 200,
                ref('Incident'), (*_ROW, 409), body=ref('IncidentUpdate'))),
        '/v1/knowledge': {
            'post': _operation(
                'createKnowledge', 'Keep a document, or entries of a backup',
                201, ref('KnowledgeKept'), (403, 409),
                body=ref('KnowledgeRequest')),
            'get': _operation(
                'listKnowledge', 'List what is known, the newest first',
                200, ref('Knowledge'), (403,),
                parameters=schemas.knowledge_parameters(max_limit))},
        '/v1/knowledge/{id}': _item(
            get=_operation('showKnowledge', 'Show an entry', 200,
                           ref('Entry'), _ROW),
            delete=_operation('deleteKnowledge', 'Delete an entry', 204,
                              None, _ROW)),
        '/v1/index': {
            'post': _operation(
                'changeIndex', 'Look at the index of an engine, verify, '
                'rebuild or clear it', 202, ref('Query'), (403, 429),
                body=ref('IndexRequest')),
            'get': _operation(
                'listIndexJobs', 'List what was done to the index, the '
                'newest first', 200, ref('IndexJobs'), (403,),
                parameters=schemas.index_parameters(max_limit))},
        '/v1/models': {
            'post': _operation(
                'trainModel', 'Train a detector', 202, ref('Model'),
                (403, 429), body=ref('ModelRequest')),
            'get': _operation(
                'listModels', 'List the models, the newest first', 200,
                ref('Models'), (403,),
                parameters=schemas.model_parameters(max_limit))},
        '/v1/models/{id}': _item(
            get=_operation('showModel', 'Show a model', 200, ref('Model'),
                           _ROW),
            patch=_operation('activateModel', 'Make a model the active one '
                             'of its detector', 200, ref('Model'),
                             (*_ROW, 409), body=ref('ModelUpdate')),
            delete=_operation('deleteModel', 'Delete a model; work on it is '
                              'dropped', 204, None, (*_ROW, 409))),
        '/v1/sources': {
            'get': _operation('listSources', 'List what the engines read',
                              200, ref('Sources'), (403,))},
    }


def _healthcheck() -> dict[str, Any]:
    content = {
        'text/plain': {'schema': {'type': 'string'}},
        'text/html': {'schema': {'type': 'string'}},
        'application/json': {'schema': {'type': 'object'}}}
    return {
        'operationId': 'checkHealth', 'summary': 'OK, or not ok',
        'security': [], 'responses': {
            code: {'description': description, 'headers': _HEADERS,
                   'content': content}
            for code, description in (
                ('200', 'The API can work.'),
                ('503', 'The database cannot be reached.'))}}


def document(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """The description of the API.

    :param conf: where the limits of ``[api]`` stand
    :returns: an OpenAPI 3.1 document
    """
    return {
        'openapi': '3.1.0',
        'jsonSchemaDialect':
            'https://json-schema.org/draft/2020-12/schema',
        'info': {
            'title': 'Root cause analysis for OpenStack', 'version': '1.0',
            'license': {'name': 'Apache-2.0',
                        'identifier': 'Apache-2.0'},
            'description':
                'Fields and parameters that are not described here are '
                'refused, and so are texts with NUL. All times that come '
                'out are in UTC.'},
        'security': [{'token': []}],
        'paths': _paths(conf.api.max_limit),
        'components': {
            'schemas': schemas.COMPONENTS,
            'headers': {'RequestId': {
                'required': True,
                'description': 'The logs of the service name the request '
                               'by it.',
                'schema': {'type': 'string'}}},
            'securitySchemes': {'token': {
                'type': 'apiKey', 'in': 'header', 'name': 'X-Auth-Token',
                'description': 'A token of Keystone, scoped to a '
                               'project.'}},
        },
    }


class Document(base.Resource):
    """The description as a resource."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._document = document(conf)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the description. Any valid token will do."""
        base.authenticated(req)
        validation.NO_PARAMETERS.read(req)
        base.show(resp, self._document)
