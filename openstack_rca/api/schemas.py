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
"""What goes in and out of the API, as JSON Schemas (Draft 2020-12).

The same schemas check requests and make the OpenAPI document. Those of
requests refer to no other schema, so that each can check alone; ``x-message``
says in words what a keyword beside it allows.
"""

from typing import Any

Schema = dict[str, Any]

# Events of one result, at most.
MOST = 1000
DEFAULT_LIMIT = 100

STATUSES = ['queued', 'running', 'complete', 'failed']
VERDICTS = ['cause_found', 'insufficient_evidence', 'nothing_abnormal']
KINDS = ['events', 'trace', 'search']
QUERY_KINDS = [*KINDS, 'index']
KNOWLEDGE_KINDS = ['document', 'incident', 'analysis', 'signature']
STORED_KINDS = KNOWLEDGE_KINDS[:3]
DOCUMENT_FORMATS = ['rst', 'markdown', 'html', 'text']
INDEX_ACTIONS = ['status', 'verify', 'rebuild', 'clear']
LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']
EVIDENCE_KINDS = ['log', 'notification', 'resource', 'signature', 'incident',
                  'document']
RATINGS = ['right', 'partly', 'wrong']
INCIDENT_STATUSES = ['open', 'acknowledged', 'resolved', 'suppressed']
MODES = ['fast', 'full']


def _text(most: int, least: int = 0, **more: Any) -> Schema:
    schema: Schema = {'type': 'string', 'maxLength': most, **more}
    if least:
        schema['minLength'] = least
    return schema


def _texts(count: int, most: int, description: str) -> Schema:
    return {'type': 'array', 'maxItems': count, 'items': _text(most, 1),
            'default': [], 'description': description}


def _or_null(schema: Schema) -> Schema:
    nullable = {**schema, 'type': [schema['type'], 'null']}
    if 'enum' in schema:
        nullable['enum'] = [*schema['enum'], None]
    return nullable


def _one_of(values: list[str], **more: Any) -> Schema:
    return {'type': 'string', 'enum': values, **more}


def _moment(description: str) -> Schema:
    return _or_null({'type': 'string', 'format': 'date-time',
                     'description': description})


_SINCE = _moment('Only what happened at this time or later.')
_UNTIL = _moment('Only what happened at this time or earlier.')

#: Of the body of POST /v1/analyses.
ANALYSIS_REQUEST: Schema = {
    'type': 'object',
    'description': 'A question. At least one of issue, request_ids, servers, '
                   'services and since is needed; since is not after '
                   'until.',
    'properties': {
        'issue': _text(10000, description='What went wrong, in words.'),
        'since': _SINCE,
        'until': _UNTIL,
        'request_ids': _texts(100, 64, 'Requests that failed.'),
        'servers': _texts(100, 255, 'Servers, by UUID or name.'),
        'services': _texts(100, 64, 'Services, such as nova-compute.'),
        'mode': _one_of(
            MODES, default='full',
            description='How to look: fast uses statistics and words, full '
                        'the detectors that learn, too.'),
        'incident': {'type': 'boolean', 'default': False,
                     'description': 'Keep the answer as an incident.'},
    },
    'additionalProperties': False,
    'anyOf': [
        {'required': ['issue'],
         'properties': {'issue': {'pattern': '\\S'}}},
        {'required': ['request_ids'],
         'properties': {'request_ids': {'minItems': 1}}},
        {'required': ['servers'],
         'properties': {'servers': {'minItems': 1}}},
        {'required': ['services'],
         'properties': {'services': {'minItems': 1}}},
        {'required': ['since'],
         'properties': {'since': {'type': 'string'}}},
    ],
    'x-message': 'The question is empty: give at least one of issue, '
                 'request_ids, servers, services, since.',
}

RATING_REQUEST: Schema = {
    'type': 'object',
    'properties': {
        'rating': _one_of(RATINGS),
        'component': _or_null({
            **_text(64, 1), 'pattern': '^[a-z0-9-]+$',
            'x-message': 'takes small letters, digits and hyphens only',
            'description': 'What was faulty in truth.'}),
        'comment': _or_null(_text(2000)),
        'cause': _or_null(_text(
            2000, description='The cause in truth, in words: it becomes '
                              'knowledge.')),
    },
    'required': ['rating'],
    'additionalProperties': False,
}

#: What tells the kinds of queries apart.
QUERY_KIND: Schema = {
    'type': 'object',
    'properties': {'kind': _one_of(KINDS)},
    'required': ['kind'],
}

EVENTS_REQUEST: Schema = {
    'type': 'object',
    'description': 'Events for which all that is given holds.',
    'properties': {
        'kind': _one_of(['events']),
        'since': _SINCE,
        'until': _UNTIL,
        'request_id': _or_null(_text(64, 1)),
        'server': _or_null(_text(255, 1)),
        'service': _or_null(_text(64, 1)),
        'level': _or_null(_one_of(
            LEVELS, description='This level or a worse one.')),
        'template': _or_null({
            'type': 'string', 'pattern': '^[0-9a-f]{16}$',
            'x-message': 'takes the 16 hexadecimal digits of a template id'}),
        'words': _texts(20, 255, 'Words that the text holds.'),
        'limit': {'type': 'integer', 'minimum': 1, 'maximum': MOST,
                  'default': MOST},
    },
    'required': ['kind'],
    'additionalProperties': False,
}

TRACE_REQUEST: Schema = {
    'type': 'object',
    'description': 'The way of one request through the services, or the '
                   'whole story of one server.',
    'properties': {
        'kind': _one_of(['trace']),
        'request_id': _or_null(_text(
            64, 1, description='The request to follow.')),
        'server': _or_null(_text(
            255, 1, description='The server, by UUID or name.')),
    },
    'required': ['kind'],
    'additionalProperties': False,
    'anyOf': [
        {'required': ['request_id'],
         'properties': {'request_id': {'type': 'string'},
                        'server': {'type': 'null'}}},
        {'required': ['server'],
         'properties': {'server': {'type': 'string'},
                        'request_id': {'type': 'null'}}},
    ],
    'x-message': 'A trace takes either request_id or server, one of them.',
}

SEARCH_REQUEST: Schema = {
    'type': 'object',
    'description': 'What is known about something like this: documents, '
                   'resolved incidents and judged analyses of the project, '
                   'and signatures.',
    'properties': {
        'kind': _one_of(['search']),
        'question': {**_text(10000, 1), 'pattern': '\\S',
                     'x-message': 'holds no word',
                     'description': 'Words, an error, a log line.'},
        'kinds': {'type': 'array', 'maxItems': 4, 'default': [],
                  'items': _one_of(KNOWLEDGE_KINDS),
                  'description': 'Only entries of these kinds.'},
        'service': _or_null(_text(
            64, 1, description='Only entries about this service.')),
        'since': _moment('Only what was written down at this time or '
                         'later. Signatures have no time.'),
        'until': _moment('Only what was written down at this time or '
                         'earlier.'),
        'mode': _one_of(MODES, default='full',
                        description='How to look: fast by words, full by '
                                    'meaning too.'),
        'limit': {'type': 'integer', 'minimum': 1, 'maximum': 100,
                  'default': 10},
    },
    'required': ['kind', 'question'],
    'additionalProperties': False,
}

QUESTION_REQUEST: Schema = {
    'type': 'object',
    'properties': {
        'question': {**_text(10000, 1), 'pattern': '\\S',
                     'x-message': 'holds no word',
                     'description': 'What else is to be known.'},
        'mode': _one_of(MODES, default='full',
                        description='How to look: fast by words, full by '
                                    'meaning too.'),
    },
    'required': ['question'],
    'additionalProperties': False,
}

INDEX_REQUEST: Schema = {
    'type': 'object',
    'properties': {'action': _one_of(
        INDEX_ACTIONS, description='status tells how much is embedded; '
        'verify reads all of it and makes what is damaged or missing; '
        'rebuild makes all anew; clear gives up what is on disk.')},
    'required': ['action'],
    'additionalProperties': False,
}

_TAGS: Schema = {
    'type': 'array', 'maxItems': 20, 'items': _text(64, 1), 'default': [],
    'description': 'Words that searches find it by.'}
_URL: Schema = _or_null({
    **_text(1000, 8), 'pattern': '^https?://[^\\s]+$',
    'x-message': 'must be an address that begins with http:// or https://',
    'description': 'Where it can be read. Nothing is fetched from there.'})

#: Of the body of POST /v1/knowledge.
KNOWLEDGE_REQUEST: Schema = {
    'type': 'object',
    'description': 'Either a document, by its name and content, or entries '
                   'of a backup. What a document of the same name said '
                   'before is dropped.',
    'properties': {
        'name': {**_text(255, 1), 'pattern': '\\S',
                 'x-message': 'holds no word',
                 'description': 'What the document is known by, such as its '
                                'path below a folder. No file is read.'},
        'content': _text(1 << 20, 1, description='The document itself.'),
        'format': _or_null(_one_of(
            DOCUMENT_FORMATS, description='Needed where the name does not '
                                          'tell by its ending.')),
        'service': _or_null(_text(64, 1)),
        'tags': _TAGS,
        'url': _URL,
        'entries': {
            'type': 'array', 'minItems': 1, 'maxItems': 1000,
            'x-message': 'there are none',
            'items': {
                'type': 'object',
                'properties': {
                    'kind': _one_of(STORED_KINDS),
                    'title': _text(255, 1),
                    'text': _text(1 << 20),
                    'source': _or_null(_text(255)),
                    'service': _or_null(_text(64, 1)),
                    'tags': _TAGS, 'url': _URL,
                    'resolution': _or_null(_text(10000)),
                    'incident_id': _or_null(
                        {'type': 'string', 'format': 'uuid'}),
                    'analysis_id': _or_null(
                        {'type': 'string', 'format': 'uuid'})},
                'required': ['kind', 'title', 'text'],
                'additionalProperties': False}},
    },
    'additionalProperties': False,
    'oneOf': [
        {'required': ['name', 'content'], 'not': {'required': ['entries']}},
        {'required': ['entries'], 'not': {'anyOf': [
            {'required': [name]} for name in (
                'name', 'content', 'format', 'service', 'tags', 'url')]}},
    ],
    'x-message': 'Give either name and content of a document, or entries.',
}

INCIDENT_UPDATE: Schema = {
    'type': 'object',
    'properties': {
        'status': _one_of(INCIDENT_STATUSES),
        'resolution': _or_null(_text(
            10000, description='How it was resolved, or why it is '
                               'suppressed; only with or after such a '
                               'status.')),
        'suppressed_until': _moment(
            'When it is suppressed no longer; null for good. Only with or '
            'after the status suppressed.'),
    },
    'minProperties': 1,
    'x-message': 'Nothing is to be changed: give at least one of status, '
                 'resolution, suppressed_until.',
    'additionalProperties': False,
}


ORIGINS = ['shipped', 'trained', 'imported']


def _number(least: float, most: float, description: str) -> Schema:
    return {'type': 'number', 'minimum': least, 'maximum': most,
            'description': description}


def _integer(least: int, most: int, description: str) -> Schema:
    return _number(least, most, description) | {'type': 'integer'}


_NAME: Schema = {
    **_text(64, 1), 'pattern': '^[a-z][a-z0-9_-]*$',
    'x-message': 'takes small letters, digits, hyphens and underscores only'}

#: Of the body of POST /v1/models.
MODEL_REQUEST: Schema = {
    'type': 'object',
    'description': 'A detector to train. What happened in the times of '
                   'labels and verdicts is known; the rest is taken for '
                   'ordinary operation.',
    'properties': {
        'detector': {**_NAME, 'description': 'Name of the detector.'},
        'sources': _texts(100, 64, 'Names of the sources to learn from; all '
                                   'where none is named.'),
        'since': _SINCE,
        'until': _UNTIL,
        'labels': {
            'type': 'array', 'maxItems': 1000, 'default': [],
            'description': 'Times in which users were harmed, or not.',
            'items': {
                'type': 'object',
                'properties': {
                    'since': {'type': 'string', 'format': 'date-time'},
                    'until': {'type': 'string', 'format': 'date-time'},
                    'harmed': {'type': 'boolean'}},
                'required': ['since', 'until', 'harmed'],
                'additionalProperties': False}},
        'verdicts': {
            'type': 'boolean', 'default': False,
            'description': 'Make labels of the ratings of analyses in this '
                           'project, too.'},
        'settings': {
            'type': 'object', 'default': {},
            'properties': {
                'seed': _integer(0, 2**31 - 1, 'Of all that is random.'),
                'learning_rate': _number(1e-9, 1, 'Of AdamW.'),
                'weight_decay': _number(0, 1, 'Of AdamW.'),
                'batch': _integer(1, 65536, 'Examples of one step.'),
                'epochs': _integer(1, 10000, 'Passes, at most.'),
                'patience': _integer(1, 10000, 'Passes without a better '
                                     'validation before it ends.'),
                'plateau_patience': _integer(
                    1, 10000, 'Passes without a better validation before '
                    'the learning rate falls.'),
                'plateau_factor': _number(0.001, 0.999, 'By which it '
                                          'falls.'),
                'validation': _number(0.01, 0.9, 'Share that is held out.'),
                'false_alarms': _number(
                    0, 0.5, 'Share of normal windows that may be alarmed.'),
            },
            'additionalProperties': False},
    },
    'required': ['detector'],
    'additionalProperties': False,
}

MODEL_UPDATE: Schema = {
    'type': 'object',
    'properties': {'active': {
        'type': 'boolean', 'const': True,
        'description': 'Makes it the one that its detector uses; an older '
                       'one, to roll back.',
        'x-message': 'must be true: to deactivate a model, activate another '
                     'one'}},
    'required': ['active'],
    'additionalProperties': False,
}


def _parameters(max_limit: int, **filters: Schema) -> Schema:
    return {
        'type': 'object',
        'properties': {
            'limit': {'type': 'integer', 'minimum': 1, 'maximum': max_limit,
                      'default': min(DEFAULT_LIMIT, max_limit),
                      'description': 'Rows of the page.'},
            'marker': {'type': 'string', 'format': 'uuid',
                       'description': 'Id of the last row of the page '
                                      'before.'},
            **filters,
        },
        'additionalProperties': False,
    }


def analysis_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/analyses."""
    return _parameters(max_limit, status=_one_of(STATUSES),
                       verdict=_one_of(VERDICTS))


def query_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/queries."""
    return _parameters(max_limit, status=_one_of(STATUSES),
                       kind=_one_of(QUERY_KINDS))


def index_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/index."""
    return _parameters(max_limit, status=_one_of(STATUSES))


def question_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/analyses/{id}/questions."""
    return _parameters(max_limit)


def knowledge_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/knowledge."""
    return _parameters(
        max_limit, kind=_one_of(STORED_KINDS), service=_text(64, 1),
        source=_text(255, 1), texts=_one_of(
            ['true', 'false'], default='false',
            description='With all that each entry says.'))


def incident_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/incidents."""
    return _parameters(max_limit, status=_one_of(
        INCIDENT_STATUSES,
        description='Without it, those that turned out to be a part of '
                    'another one are left out.'))


def model_parameters(max_limit: int) -> Schema:
    """Of the query string of GET /v1/models."""
    return _parameters(max_limit, status=_one_of(STATUSES), detector=_NAME,
                       origin=_one_of(ORIGINS))


# What comes out. Clients must pass over fields that they do not know:
# further ones are no new version.

_TEXT: Schema = {'type': 'string'}
_MAYBE_TEXT: Schema = {'type': ['string', 'null']}
_ID: Schema = {'type': 'string', 'format': 'uuid'}
_MAYBE_ID: Schema = {'type': ['string', 'null'], 'format': 'uuid'}
_TIME: Schema = {'type': 'string', 'format': 'date-time'}
_MAYBE_TIME: Schema = {'type': ['string', 'null'], 'format': 'date-time'}
_COUNT: Schema = {'type': 'integer', 'minimum': 0}
_SHARE: Schema = {'type': ['number', 'null'], 'minimum': 0, 'maximum': 1}
_OBJECT: Schema = {'type': 'object'}


def ref(name: str) -> Schema:
    """A schema of the components."""
    return {'$ref': f'#/components/schemas/{name}'}


def _list_of(schema: Schema) -> Schema:
    return {'type': 'array', 'items': schema}


def _maybe(name: str) -> Schema:
    return {'anyOf': [ref(name), {'type': 'null'}]}


def _whole(*optional: str, **properties: Schema) -> Schema:
    return {'type': 'object', 'properties': properties,
            'required': [name for name in properties
                         if name not in optional]}


def _page(name: str, row: str) -> Schema:
    links = f'{name}_links'
    return _whole(links, **{
        name: _list_of(ref(row)), links: _list_of(ref('Link'))})


_ERROR = _whole(code={'type': 'integer'}, title=_TEXT, message=_TEXT)

_LIFE = {'created_at': _TIME, 'started_at': _MAYBE_TIME,
         'finished_at': _MAYBE_TIME}

_ANALYSIS_SUMMARY = _whole(
    id=_ID, project_id=_TEXT, user_id=_TEXT, status=_one_of(STATUSES),
    verdict=_or_null(_one_of(VERDICTS)), issue=_TEXT, mode=_one_of(MODES),
    category=_MAYBE_TEXT, component=_MAYBE_TEXT, severity=_MAYBE_TEXT,
    confidence=_SHARE, summary=_MAYBE_TEXT, incident_id=_MAYBE_ID,
    rating=_or_null(_one_of(RATINGS, description="The caller's own.")),
    error=_maybe('Failure'), **_LIFE)

_REPORT = ('summary', 'category', 'severity', 'confidence', 'impact',
           'hypotheses', 'evidence', 'timeline', 'patterns', 'similar',
           'recommendations', 'narrative', 'coverage', 'skipped',
           'statistics')

_ANALYSIS = _whole(
    'started_at', 'attempts', 'queue_position', *_REPORT,
    version={'type': 'integer'}, id=_ID, status=_one_of(STATUSES),
    verdict=_or_null(_one_of(VERDICTS)), error=_maybe('Failure'),
    project_id=_TEXT, incident_id=_MAYBE_ID, **_LIFE, issue=_TEXT,
    mode=_one_of(MODES),
    scope=_whole(
        since=_MAYBE_TIME, until=_MAYBE_TIME, request_ids=_list_of(_TEXT),
        resources=_list_of(_TEXT), services=_list_of(_TEXT)),
    attempts=_COUNT,
    queue_position={'type': ['integer', 'null'], 'minimum': 0,
                    'description': 'How many are before it, while it is '
                                   'queued.'},
    summary=_MAYBE_TEXT, category=_MAYBE_TEXT, severity=_MAYBE_TEXT,
    confidence=_SHARE, impact=_OBJECT,
    hypotheses={
        'type': 'array', 'maxItems': 10,
        'items': _whole(
            'category', 'host', 'location', 'locations', 'remedy',
            'signature',
            rank={'type': 'integer'}, cause=_TEXT, component=_TEXT,
            category=_MAYBE_TEXT, host=_MAYBE_TEXT, confidence=_SHARE,
            location={'type': ['object', 'null']},
            locations=_list_of(_OBJECT), evidence=_list_of(_TEXT),
            remedy=_list_of({}), signature=_MAYBE_TEXT)},
    evidence={
        'type': 'array', 'maxItems': 200,
        'items': {**_OBJECT, 'properties': {
            'id': _TEXT, 'kind': _one_of(EVIDENCE_KINDS),
            'line': {'type': ['integer', 'null'], 'minimum': 1,
                     'description': 'Null where source is no file.'},
            'offset': {'type': ['integer', 'null'], 'minimum': 0}},
            'required': ['id', 'kind']}},
    timeline={'type': 'array', 'maxItems': 200, 'items': _OBJECT},
    patterns=_OBJECT, similar=_list_of(_OBJECT),
    recommendations=_list_of(_OBJECT),
    narrative={'type': ['object', 'null']}, coverage=_list_of(_OBJECT),
    skipped=_list_of(_OBJECT), statistics=_OBJECT)
_ANALYSIS['description'] = (
    'The report, once the analysis is complete; before, and when it failed, '
    'what was asked and how far it is.')

_QUERY_SUMMARY = _whole(
    id=_ID, kind=_one_of(QUERY_KINDS), status=_one_of(STATUSES),
    project_id=_TEXT, user_id=_TEXT, request=_OBJECT,
    error=_maybe('Failure'), **_LIFE)

_QUERY = {
    **_QUERY_SUMMARY,
    'properties': {
        **_QUERY_SUMMARY['properties'],
        'result': {
            'type': ['object', 'null'],
            'description': 'For kind events: events, more. For kind trace '
                           'of a request: request_ids, global_request_id, '
                           'services, events, more; of a server: server, '
                           'operations, notes, looks, request_ids, '
                           'services, events, more. For kind search: found, '
                           'index. For kind index: host, index.',
            'properties': {
                'found': {'type': 'array', 'maxItems': 100,
                          'items': ref('Found')},
                'index': ref('IndexHealth'),
                'host': {**_TEXT, 'description': 'The engine whose index it '
                                                 'is.'},
                'events': {'type': 'array', 'maxItems': MOST,
                           'items': _OBJECT},
                'more': {'type': 'boolean',
                         'description': 'Whether there is more than a '
                                        'result may hold.'},
                'request_ids': _list_of(_TEXT),
                'global_request_id': _MAYBE_TEXT,
                'services': _list_of(_OBJECT),
                'server': _OBJECT,
                'operations': _list_of(_OBJECT),
                'notes': _list_of(_OBJECT),
                'looks': {'type': 'integer',
                          'description': 'How often the server was only '
                                         'looked at; these events are left '
                                         'out.'}}}},
    'required': [*_QUERY_SUMMARY['required'], 'result'],
}

_ENTRY_SUMMARY = _whole(
    'text', id=_ID, project_id=_TEXT, user_id=_TEXT,
    kind=_one_of(STORED_KINDS), title=_TEXT,
    source={**_TEXT, 'description': 'The document that it is a section of; '
                                    'empty for others.'},
    service=_MAYBE_TEXT, tags=_list_of(_TEXT), url=_MAYBE_TEXT,
    resolution=_MAYBE_TEXT, incident_id=_MAYBE_ID, analysis_id=_MAYBE_ID,
    created_at=_TIME, updated_at=_TIME, text=_TEXT)

_ENTRY = {**_ENTRY_SUMMARY,
          'required': [*_ENTRY_SUMMARY['required'], 'text']}

_FOUND = _whole(
    id=_TEXT, kind=_one_of(KNOWLEDGE_KINDS), title=_TEXT,
    score={'type': 'number', 'minimum': 0, 'maximum': 1},
    text={**_TEXT, 'description': 'Its beginning.'}, source=_TEXT,
    service=_MAYBE_TEXT, url=_MAYBE_TEXT, resolution=_MAYBE_TEXT,
    incident_id=_MAYBE_ID, analysis_id=_MAYBE_ID, updated_at=_MAYBE_TIME)

_INDEX_HEALTH = _whole(
    driver=_TEXT, model=_TEXT, entries=_COUNT, ready=_COUNT, embedded=_COUNT,
    bytes=_COUNT, problem={
        **_MAYBE_TEXT, 'description': 'Why what was on disk could not be '
        'used, or why nothing can be embedded.'})

_MESSAGE = _whole(
    id=_ID, analysis_id=_ID, project_id=_TEXT, user_id=_TEXT,
    status=_one_of(STATUSES), question=_TEXT,
    answer={'type': ['object', 'null'], 'properties': {
        'text': _TEXT, 'backend': _TEXT, 'evidence': _list_of(_OBJECT),
        'knowledge': _list_of(ref('Found')), 'scope': _OBJECT,
        'statistics': _OBJECT, 'model': _MAYBE_TEXT,
        'claims': _list_of(_OBJECT), 'dropped': _list_of(_OBJECT),
        'tokens': _COUNT, 'cost': {'type': 'number'},
        'cached': {'type': 'boolean'}, 'skipped': _list_of(_OBJECT)}},
    error=_maybe('Failure'), **_LIFE)

_INCIDENT = _whole(
    id=_ID, project_id=_TEXT, status=_one_of(INCIDENT_STATUSES), title=_TEXT,
    summary=_MAYBE_TEXT, component=_MAYBE_TEXT, category=_MAYBE_TEXT,
    host=_MAYBE_TEXT, severity=_MAYBE_TEXT, confidence=_SHARE,
    analysis_id=_MAYBE_ID, created_at=_TIME, updated_at=_TIME,
    acknowledged_at=_MAYBE_TIME, acknowledged_by=_MAYBE_TEXT,
    resolved_at=_MAYBE_TIME, resolved_by=_MAYBE_TEXT,
    resolution=_MAYBE_TEXT, origin=_one_of(
        ['engine', 'analysis'],
        description='Who opened it: an engine, or an analysis that was '
                    'asked for.'),
    first_seen={**_MAYBE_TIME, 'description': 'When its first symptom was '
                                              'logged.'},
    last_seen={**_MAYBE_TIME, 'description': 'When its last symptom was '
                                             'logged.'},
    symptoms=_COUNT, reopened={**_COUNT, 'description': 'How often engines '
                                                        'opened it again.'},
    merged_into={**_MAYBE_ID, 'description': 'The incident that it turned '
                                             'out to be a part of.'},
    suppressed_until=_MAYBE_TIME, suppressed_by=_MAYBE_TEXT)

_SOURCE = _whole(
    id=_TEXT, host=_TEXT, status=_one_of(['ready', 'reading', 'failed']),
    error=_MAYBE_TEXT, updated_at=_TIME, events=_COUNT, bytes=_COUNT,
    files=_list_of(_OBJECT), skipped=_list_of(_OBJECT))

_MODEL_SUMMARY = _whole(
    id=_ID, detector=_TEXT, version=_MAYBE_TEXT, origin=_one_of(ORIGINS),
    status=_one_of(STATUSES), active={'type': 'boolean'},
    host={**_MAYBE_TEXT, 'description': 'The engine whose store has the '
                                        'weights; null where each has '
                                        'them.'},
    project_id=_MAYBE_TEXT, user_id=_MAYBE_TEXT, sources=_list_of(_TEXT),
    progress={'type': ['object', 'null'], 'properties': {
        'what': _TEXT, 'share': {'type': 'number'}, 'figures': _OBJECT}},
    error=_maybe('Failure'), **_LIFE)

_MAYBE_OBJECT: Schema = {'type': ['object', 'null']}
_MAYBE_NUMBER: Schema = {'type': ['number', 'null']}

_MODEL_DETAILS = _whole(
    trained_at=_MAYBE_TIME, trained_on=_MAYBE_OBJECT,
    settings=_MAYBE_OBJECT, metrics=_MAYBE_OBJECT, thresholds=_MAYBE_OBJECT,
    libraries=_MAYBE_OBJECT, sha256=_MAYBE_TEXT,
    bytes={'type': ['integer', 'null'], 'minimum': 0},
    request=_MAYBE_OBJECT,
    drift={
        **_whole(age_days=_MAYBE_NUMBER, unseen_templates=_SHARE,
                 unseen_events=_SHARE, psi=_MAYBE_NUMBER,
                 measured_at=_MAYBE_TIME, stale={'type': 'boolean'},
                 reasons=_list_of(_TEXT)),
        'type': ['object', 'null'],
        'description': 'How it fits what is logged lately. What was not '
                       'measured is null.'},
    activations=_list_of(_whole(activated_at=_TIME, activated_by=_TEXT)))

_MODEL = {
    'type': 'object',
    'properties': {**_MODEL_SUMMARY['properties'],
                   **_MODEL_DETAILS['properties']},
    'required': [*_MODEL_SUMMARY['required'], *_MODEL_DETAILS['required']],
}

_VERSION = _whole(
    id=_TEXT, status=_TEXT, min_version=_TEXT, version=_TEXT, updated=_TIME,
    links=_list_of(ref('Link')))

COMPONENTS: dict[str, Schema] = {
    'Link': _whole(rel=_TEXT, href={'type': 'string', 'format': 'uri'}),
    'Failure': {**_ERROR, 'description': 'Why a job failed.'},
    'Error': _whole(error=_ERROR),
    'Version': _VERSION,
    'AnalysisRequest': ANALYSIS_REQUEST,
    'AnalysisSummary': _ANALYSIS_SUMMARY,
    'Analyses': _page('analyses', 'AnalysisSummary'),
    'Analysis': _ANALYSIS,
    'RatingRequest': RATING_REQUEST,
    'Rating': _whole(
        analysis_id=_ID, user_id=_TEXT, rating=_one_of(RATINGS),
        component=_MAYBE_TEXT, comment=_MAYBE_TEXT, cause=_MAYBE_TEXT,
        created_at=_TIME,
        updated_at=_TIME),
    'EventsRequest': EVENTS_REQUEST,
    'TraceRequest': TRACE_REQUEST,
    'SearchRequest': SEARCH_REQUEST,
    'Found': _FOUND,
    'QuerySummary': _QUERY_SUMMARY,
    'Queries': _page('queries', 'QuerySummary'),
    'Query': _QUERY,
    'IncidentUpdate': INCIDENT_UPDATE,
    'Incident': _INCIDENT,
    'Incidents': _page('incidents', 'Incident'),
    'QuestionRequest': QUESTION_REQUEST,
    'Question': _MESSAGE,
    'Questions': _page('questions', 'Question'),
    'KnowledgeRequest': KNOWLEDGE_REQUEST,
    'KnowledgeKept': _whole(added=_COUNT, kept=_COUNT, removed=_COUNT),
    'EntrySummary': _ENTRY_SUMMARY,
    'Entry': _ENTRY,
    'Knowledge': _page('knowledge', 'EntrySummary'),
    'IndexRequest': INDEX_REQUEST,
    'IndexHealth': _INDEX_HEALTH,
    'IndexJobs': _page('index', 'QuerySummary'),
    'ModelRequest': MODEL_REQUEST,
    'ModelUpdate': MODEL_UPDATE,
    'ModelSummary': _MODEL_SUMMARY,
    'Models': _page('models', 'ModelSummary'),
    'Model': _MODEL,
    'Source': _SOURCE,
    'Sources': _whole(sources=_list_of(ref('Source'))),
}
