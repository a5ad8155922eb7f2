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
"""The one shape of all errors."""

import http
import json

import falcon
from oslo_log import log as logging

from openstack_rca import exception

LOG = logging.getLogger(__name__)

JSON = 'application/json'

INTERNAL = ('The service failed in a way that it does not expect. Tell its '
            'operator the request id of this answer '
            '(X-Openstack-Request-Id): the log says more.')

# For answers of the libraries below, which say too little or too much.
_PHRASES = {
    400: 'The request is not well formed.',
    401: 'This needs a valid token: send one in X-Auth-Token.',
    404: 'There is nothing at this path.',
    405: 'This path does not take this method; Allow names those that it '
         'takes.',
    500: INTERNAL,
    503: 'The identity service (Keystone) cannot be reached, so that nobody '
         'can be let in. Try again later.',
}


def title(code: int) -> str:
    """What a status code is called."""
    try:
        return http.HTTPStatus(code).phrase
    except ValueError:
        return 'Error'


def phrase(code: int) -> str:
    """A message for a status that nobody gave one."""
    return _PHRASES.get(code, f'{title(code)}.')


def body(code: int, message: str) -> bytes:
    """An error as clients get it.

    :param code: the HTTP status
    :param message: what is wrong and what to do
    """
    return json.dumps({'error': {
        'code': code, 'title': title(code), 'message': message}}).encode()


def _answer(resp: falcon.Response, code: int, message: str) -> None:
    resp.status = code
    resp.content_type = JSON
    resp.data = body(code, message)


def on_expected(req: falcon.Request, resp: falcon.Response,
                error: exception.RCAException,
                params: dict[str, object]) -> None:
    """An error of ours: its message is made for the caller."""
    if error.code >= 500:
        LOG.error('%s %s: %s', req.method, req.path, error)
    _answer(resp, error.code, str(error))


def on_http_error(req: falcon.Request, resp: falcon.Response,
                  error: falcon.HTTPError,
                  params: dict[str, object]) -> None:
    """An error that falcon or the reading of the request found."""
    if error.headers:
        resp.set_headers(error.headers)
    code = error.status_code
    _answer(resp, code, error.description or phrase(code))


def on_unexpected(req: falcon.Request, resp: falcon.Response,
                  error: Exception, params: dict[str, object]) -> None:
    """A mistake in the service: the log has it all, the caller nothing."""
    LOG.error('%s %s failed', req.method, req.path, exc_info=error)
    _answer(resp, 500, INTERNAL)
