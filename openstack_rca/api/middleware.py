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
"""The layers between the WSGI server and the routes."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from keystoneauth1 import exceptions as keystone_exceptions
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_log import log as logging
from oslo_middleware import request_id

from openstack_rca import context
from openstack_rca import exception
from openstack_rca.api import errors
from openstack_rca.api import healthcheck

LOG = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

CONTEXT = 'openstack_rca.context'
_PLAIN = 'openstack_rca.plain'
_REQUEST_ID = request_id.HTTP_RESP_HEADER_REQUEST_ID

# Where auth_token would look for a token.
_TOKENS = ('HTTP_X_AUTH_TOKEN', 'HTTP_X_STORAGE_TOKEN',
           'HTTP_X_SERVICE_TOKEN')


def failure(code: int, message: str, *headers: tuple[str, str]
            ) -> Application:
    """An application that answers with one error."""
    def answer(environ: Environ, start_response: Callable[..., Any]
               ) -> Iterable[bytes]:
        body = errors.body(code, message)
        start_response(f'{code} {errors.title(code)}', [
            ('Content-Type', errors.JSON),
            ('Content-Length', str(len(body))), *headers])
        return [body]
    return answer


class Errors:
    """Gives every error its shape, whoever below made it.

    The outermost layer: what is raised below ends here, and each answer
    leaves with a request id.
    """

    def __init__(self, application: Application, conf: cfg.ConfigOpts
                 ) -> None:
        self._application = application

    def __call__(self, environ: Environ,
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        try:
            status, headers, body = self._run(self._application, environ)
        except exception.RCAException as error:
            status, headers, body = self._run(
                failure(error.code, str(error)), environ)
        except (keystone_exceptions.ClientException,
                auth_token.ServiceError) as error:
            # auth_token tells most failures of Keystone by itself; not, for
            # one, that the catalog has no endpoint of it.
            LOG.error('A token could not be checked: %s', error)
            status, headers, body = self._run(
                failure(503, errors.phrase(503)), environ)
        except Exception:
            LOG.exception('%s %s failed', environ.get('REQUEST_METHOD'),
                          environ.get('PATH_INFO'))
            status, headers, body = self._run(
                failure(500, errors.INTERNAL), environ)
        named = {name.lower(): value for name, value in headers}
        code = int(status[:3])
        if (code >= 400 and not environ.get(_PLAIN) and
                not named.get('content-type', '').startswith(errors.JSON)):
            body = errors.body(code, errors.phrase(code))
            headers = [(name, value) for name, value in headers
                       if name.lower() not in ('content-type',
                                               'content-length')]
            headers += [('Content-Type', errors.JSON),
                        ('Content-Length', str(len(body)))]
        if _REQUEST_ID not in named:
            headers.append((_REQUEST_ID, str(
                environ.get(request_id.ENV_REQUEST_ID)
                or oslo_context.generate_request_id())))
        # Reports quote logs. A cache on the way does not know that the
        # token, and not the address alone, decides who may see one.
        headers.append(('Cache-Control', 'no-store'))
        start_response(status, headers)
        return [b'' if environ.get('REQUEST_METHOD') == 'HEAD' else body]

    @staticmethod
    def _run(application: Application, environ: Environ
             ) -> tuple[str, list[tuple[str, str]], bytes]:
        status = '500 Internal Server Error'
        headers: list[tuple[str, str]] = []

        def start_response(told: str, with_: list[tuple[str, str]],
                           exc_info: Any = None) -> None:
            nonlocal status, headers
            status, headers = told, list(with_)

        answer = application(environ, start_response)
        try:
            body = b''.join(answer)
        finally:
            close = getattr(answer, 'close', None)
            if close is not None:
                close()
        return status, headers, body


class Doors:
    """Sends each request through the door that its path has.

    The versions and the health check are open. All else, paths that do not
    exist included, needs a token: who has none learns nothing about what
    there is.

    :param application: the routes
    :param conf: where ``[keystone_authtoken]`` and ``[healthcheck]`` stand
    """

    def __init__(self, application: Application, conf: cfg.ConfigOpts
                 ) -> None:
        self._open = application
        # With delay_auth_decision, whatever the file says, an unreachable
        # Keystone would look like a wrong token: a 401 that no new token
        # cures. Without it, auth_token answers 401 in our shape, and 503.
        self._guarded = auth_token.AuthProtocol(
            Caller(application),
            {'oslo_config_config': conf, 'delay_auth_decision': False})
        self._health = healthcheck.Healthcheck(
            failure(404, errors.phrase(404)), conf)

    def __call__(self, environ: Environ,
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        # Nobody, as yet. The thread has answered others before: what the
        # token's check logs must not carry the id of their request.
        environ[CONTEXT] = context.RequestContext(**_ids(environ))
        path = environ.get('PATH_INFO', '').removesuffix('/')
        if path in ('', '/v1'):
            return self._open(environ, start_response)
        if path == '/healthcheck':
            if environ['REQUEST_METHOD'] not in ('GET', 'HEAD'):
                return failure(405, errors.phrase(405), (
                    'Allow', 'GET, HEAD'))(environ, start_response)
            environ[_PLAIN] = True
            answer: Iterable[bytes] = self._health(environ, start_response)
            return answer
        for name in _TOKENS:
            # No token looks like this. Keystone refuses it in a way that
            # auth_token takes for a broken Keystone.
            token = environ.get(name, '')
            if not (token.isascii() and token.isprintable()):
                environ[name] = 'invalid'
        guarded: Iterable[bytes] = self._guarded(environ, start_response)
        return guarded


class Caller:
    """Says who asks: to the routes, the policy and the log.

    :param application: the routes
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ,
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request whose headers are those of auth_token."""
        environ[CONTEXT] = context.RequestContext.from_environ(
            environ, **_ids(environ))
        return self._application(environ, start_response)


def _ids(environ: Environ) -> dict[str, Any]:
    return {
        'request_id': environ.get(request_id.ENV_REQUEST_ID),
        'global_request_id': environ.get(request_id.GLOBAL_REQ_ID)}
