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
"""What a request must look like, and how it is told that it does not."""

from collections.abc import Iterable
from collections.abc import Iterator
import datetime
import json
import re
from typing import Any
from typing import cast
from typing import NoReturn
import urllib.parse

import falcon
import jsonschema
from oslo_config import cfg

from openstack_rca import exception

_DEPTH = 20
_SHOWN = 64
_MOST_PARAMETERS = 50

_UUID = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
                   re.IGNORECASE)
_TIME = re.compile(
    r'(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)',
    re.ASCII)
_INTEGER = re.compile(r'-?[0-9]{1,9}', re.ASCII)
_FORBIDDEN = re.compile('[\x00\ud800-\udfff]')

_TYPES = {'array': 'a list', 'boolean': 'true or false',
          'integer': 'an integer', 'null': 'null', 'number': 'a number',
          'object': 'an object', 'string': 'a string'}

_FORMATS = {
    'date-time': 'must be a time with its offset from UTC, such as '
                 '2026-11-21T03:00:00+00:00',
    'uuid': 'must be the id of a row: a UUID with hyphens'}


def is_id(text: str) -> bool:
    """Whether a text can be the id of a row."""
    return _UUID.fullmatch(text) is not None


def moment(text: str) -> datetime.datetime:
    """Read a time.

    :param text: as RFC 3339 has it, with its offset
    :returns: the time in UTC
    :raises ValueError: it is none, or none of the years 1 to 9999
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    date, minute, second, fraction, offset = found.groups('')
    # A leap second is the first of the next minute.
    leap = second == '60'
    read = datetime.datetime.fromisoformat(
        f'{date}T{minute}{"59" if leap else second}{fraction[:7]}'
        f'{offset.upper().replace("Z", "+00:00")}')
    try:
        return (read.astimezone(datetime.UTC)
                + datetime.timedelta(seconds=int(leap)))
    except OverflowError as error:
        raise ValueError from error


def span(asked: dict[str, Any]) -> tuple[str | None, str | None]:
    """The time range of a request.

    :param asked: holds ``since`` and ``until``, or not
    :returns: both in UTC
    :raises InvalidInput: the range ends before it begins
    """
    since, until = (moment(asked[name]) if asked.get(name) else None
                    for name in ('since', 'until'))
    if since and until and until < since:
        raise exception.InvalidInput('until: must not be before since')
    return (since.isoformat() if since else None,
            until.isoformat() if until else None)


_checker = jsonschema.FormatChecker(formats=())


@_checker.checks('date-time', raises=ValueError)
def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        moment(value)
    return True


@_checker.checks('uuid')
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or is_id(value)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any
             ) -> Iterator[jsonschema.ValidationError]:
    # In Python, $ also matches before a line feed at the end.
    if isinstance(instance, str) and not re.search(
            pattern.replace('$', r'\Z'), instance):
        yield jsonschema.ValidationError('pattern')


_Validator = cast(Any, jsonschema.validators).extend(
    jsonschema.Draft202012Validator, {'pattern': _pattern})


def _shown(name: object) -> str:
    text = str(name)
    return ascii(text[:_SHOWN]) + ('...' if len(text) > _SHOWN else '')


def _field(path: Iterable[object]) -> str:
    parts = ''.join(f'[{part}]' if isinstance(part, int) else f'.{part}'
                    for part in path)
    return parts.removeprefix('.')


def _between(schema: dict[str, Any]) -> str:
    return (f'must be between {schema["minimum"]} and '
            f'{schema["maximum"]}')


def _wrong_type(error: Any) -> str:
    types = error.validator_value
    names = [_TYPES[name] for name in (
        [types] if isinstance(types, str) else types)]
    return f'must be {" or ".join(names)}'


def _unknown(error: Any) -> str:
    known = error.schema['properties']
    unknown = sorted(set(error.instance) - set(known))
    names = ', '.join(_shown(name) for name in unknown[:5])
    more = f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''
    return (f'{names}{more} is not known here; known are '
            f'{", ".join(known) or "none"}')


_WORDS: dict[str, Any] = {
    'additionalProperties': _unknown,
    'enum': lambda error: 'must be one of ' + ', '.join(
        value for value in error.validator_value if value is not None),
    'format': lambda error: _FORMATS[error.validator_value],
    'maxItems': lambda error: f'{len(error.instance)} entries are too many; '
                              f'at most {error.validator_value} are allowed',
    'maxLength': lambda error: f'{len(error.instance)} characters are too '
                               f'many; at most {error.validator_value} are '
                               'allowed',
    'maximum': lambda error: _between(error.schema),
    'minLength': lambda error: 'must not be empty',
    'minimum': lambda error: _between(error.schema),
    'required': lambda error: 'is missing',
    'type': _wrong_type,
}


def _words(error: Any) -> str:
    """Say what is wrong, without repeating what was sent."""
    path = list(error.absolute_path)
    if error.validator == 'required':
        path.append(next(name for name in error.validator_value
                         if name not in error.instance))
    words = _WORDS.get(error.validator)
    if words is None:
        text = str(error.schema['x-message'])
    else:
        text = words(error)
    field = _field(path)
    if field:
        return f'{field}: {text}'
    return f'The body {text}' if error.validator == 'type' else text


class _Checked:
    def __init__(self, schema: dict[str, Any]) -> None:
        self._validator = _Validator(schema, format_checker=_checker)

    def check(self, document: Any) -> None:
        """Hold a document against the schema.

        :raises InvalidInput: it does not fit
        """
        errors = list(self._validator.iter_errors(document))
        if errors:
            # What is missing is told last: it may be there, misspelled.
            raise exception.InvalidInput(_words(min(
                errors, key=lambda error: error.validator in (
                    'anyOf', 'minProperties', 'oneOf', 'required'))))


class Body(_Checked):
    """Bodies that have to fit a schema.

    :param conf: where ``[api] max_body`` stands
    :param schema: what they have to fit
    """

    def __init__(self, conf: cfg.ConfigOpts, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        self._conf = conf
        self._schema = schema

    def default(self, name: str) -> Any:
        """What a field is where nobody says."""
        return self._schema['properties'][name]['default']

    def read(self, req: falcon.Request) -> dict[str, Any]:
        """Read the body of a request.

        :raises InvalidInput: it is no JSON, or does not fit the schema
        :raises falcon.HTTPError: it is too large, of another type, or of
            unknown length
        """
        _check_type(req)
        document = parse(_receive(req, self._conf.api.max_body))
        self.check(document)
        fitting: dict[str, Any] = document
        return fitting


class Query(_Checked):
    """Query strings that have to fit a schema.

    :param schema: of an object with the parameters
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        self._defaults = {
            name: parameter['default']
            for name, parameter in schema['properties'].items()
            if 'default' in parameter}
        self._integers = {
            name for name, parameter in schema['properties'].items()
            if parameter['type'] == 'integer'}

    def read(self, req: falcon.Request) -> dict[str, Any]:
        """Read the query string of a request.

        :returns: the parameters with their defaults
        :raises InvalidInput: it does not fit the schema
        """
        asked = parameters(req)
        values: dict[str, Any] = {
            name: int(text) if name in self._integers
            and _INTEGER.fullmatch(text) else text
            for name, text in asked.items()}
        self.check(values)
        if 'marker' in values:
            values['marker'] = values['marker'].lower()
        return {**self._defaults, **values}


#: For what takes no parameters.
NO_PARAMETERS = Query({'type': 'object', 'properties': {},
                       'additionalProperties': False})


def parameters(req: falcon.Request) -> dict[str, str]:
    """The query string of a request.

    :raises InvalidInput: it is not well formed, or repeats a name
    """
    text = req.query_string
    try:
        if not text.isascii():
            raise ValueError
        pairs = urllib.parse.parse_qsl(
            text, keep_blank_values=True, errors='strict',
            max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise exception.InvalidInput(
            'The query string is not well formed.') from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise exception.InvalidInput(
                f'{_shown(name)} is given more than once.')
        found[name] = value
    return found


def _check_type(req: falcon.Request) -> None:
    media, options = falcon.parse_header(req.content_type or '')
    charset = options.get('charset', 'utf-8')
    if (media.strip().lower() != falcon.MEDIA_JSON
            or charset.lower() not in ('utf-8', 'utf8')):
        raise falcon.HTTPUnsupportedMediaType(
            description='The body has to be JSON in UTF-8, with the header '
                        'Content-Type: application/json.')


def _receive(req: falcon.Request, most: int) -> bytes:
    """Read the body without ever holding more than is allowed."""
    too_large = falcon.HTTPContentTooLarge(
        description=f'The body is too large; at most {most} bytes are '
                    'allowed.')
    length = req.content_length
    if length is None:
        if not req.env.get('wsgi.input_terminated'):
            if 'chunked' in req.get_header('Transfer-Encoding', default=''):
                raise falcon.HTTPLengthRequired(
                    description='This server takes no chunked body: send '
                                'Content-Length.')
            return b''
        length = most + 1
    elif length > most:
        raise too_large
    stream = req.env['wsgi.input']
    data = b''
    while len(data) < length:
        part = stream.read(length - len(data))
        if not part:
            break
        data += part
    if len(data) > most:
        raise too_large
    if req.content_length is not None and len(data) < length:
        raise exception.InvalidInput(
            'The body is shorter than Content-Length says.')
    return data


def _no_number(text: str) -> NoReturn:
    raise exception.InvalidInput(
        f'The body is not JSON: {text} is no number of it.')


def _float(text: str) -> float:
    number = float(text)
    if number in (float('inf'), float('-inf')):
        raise exception.InvalidInput(
            'The body holds a number that is too large.')
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Parsers differ in which one they take.
        raise exception.InvalidInput(
            'The body holds an object that names a field twice.')
    return found


def parse(data: bytes) -> Any:
    """Read JSON, and only what JSON is.

    :param data: the text in UTF-8
    :returns: the document
    :raises InvalidInput: it is no JSON, is nested too deeply, or holds what
        no text may hold
    """
    if not data.strip():
        raise exception.InvalidInput(
            'The body is empty; a JSON object is needed.')
    try:
        document = json.loads(
            data.decode(), parse_constant=_no_number, parse_float=_float,
            object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise exception.InvalidInput('The body is not UTF-8.') from error
    except RecursionError as error:
        raise exception.InvalidInput(
            'The body is nested too deeply.') from error
    except json.JSONDecodeError as error:
        raise exception.InvalidInput(
            f'The body is not JSON: {error.msg} (line {error.lineno}, column '
            f'{error.colno}).') from error
    except ValueError as error:
        # More digits than Python turns into a number.
        raise exception.InvalidInput(
            'The body holds a number that is too large.') from error
    _check_texts(document)
    return document


def _check_texts(document: Any) -> None:
    """Refuse what databases and terminals trip over."""
    waiting: list[tuple[tuple[object, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > _DEPTH:
            raise exception.InvalidInput('The body is nested too deeply.')
        if isinstance(value, dict):
            waiting += [(path, name) for name in value]
            waiting += [((*path, _shown(name).strip('\'"')), inner)
                        for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), inner)
                        for index, inner in enumerate(value)]
        elif isinstance(value, str) and _FORBIDDEN.search(value):
            field = _field(path)
            raise exception.InvalidInput(
                f'{field or "The body"}: holds a NUL or half of a surrogate '
                'pair, which no text has')
