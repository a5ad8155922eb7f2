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
"""What goes wrong between a command and the service, in plain words."""

import re

from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
import requests

from openstack_rca.osc import text as text_utils

LOG_IN = ('Log in as for every openstack command: a cloud of clouds.yaml '
          'named by OS_CLOUD, or the OS_ variables. Logs in a folder need no '
          'cloud: name it with --log-dir.')

NO_ENDPOINT = (
    'This cloud has no root cause analysis service: its catalog names no '
    'endpoint of the type root-cause-analysis for this region and interface. '
    'If the service is installed, register its endpoint with "openstack '
    'service create" and "openstack endpoint create". Logs in a folder need '
    'no service: name it with --log-dir.')

_HINTS = {
    401: 'The service does not take the token: log in again. If a new login '
         'does not help, the administrator should look at the section '
         '[keystone_authtoken] of openstack-rca.conf.',
    403: 'Use a project in which you have the role that the policy asks for: '
         'admin, unless it was changed.',
    405: 'The service seems to be of another release than this client.',
    415: 'The service seems to be of another release than this client.',
    429: 'Wait until some are complete: "openstack rca analysis list '
         '--status queued" shows them.',
    500: 'The log of the service says why, at this request.',
    502: 'The service does not answer the web server before it. Try again in '
         'a moment; if it stays so, see that openstack-rca-api runs.',
    503: 'Try again in a moment; if it stays so, the log of openstack-rca-api '
         'says what it lacks.',
    504: 'The service does not answer in time. Try again in a moment.',
}

_LISTS = (('/analyses/', '"openstack rca analysis list" shows those that '
                         'there are.'),
          ('/incidents/', '"openstack rca incident list" shows those that '
                          'there are.'),
          ('/knowledge/', '"openstack rca knowledge list" shows those that '
                          'there are.'),
          ('/models/', '"openstack rca model list" shows those that there '
                       'are.'))

_ADDRESS = re.compile(r'https?://[^\s\'")]+')
_TLS = re.compile(r'\bSSL|certificate', re.IGNORECASE)
_CAUSES = (
    (re.compile(r'certificate verify failed: ([^(\]]+)'), None),
    (re.compile(r'WRONG_VERSION_NUMBER|RECORD_LAYER'),
     'it does not speak TLS'),
    (re.compile(r'\[SSL: (\w+)\]'), None),
    (re.compile(r'Connection refused'), 'the connection is refused'),
    (re.compile(r'Failed to resolve'), 'its name is not known'),
    (re.compile(r'No route to host|Network is unreachable'),
     'there is no route to it'),
    (re.compile(r'timed out|Timeout', re.IGNORECASE),
     'it does not answer in time'),
    (re.compile(r'reset by peer|Connection aborted|Remote end closed'),
     'it closes the connection'),
)


def explain(exc: BaseException) -> str | None:
    """Say what an error of the way to the service means, and what to do.

    :param exc: an error of openstacksdk, keystoneauth or requests
    :returns: the message, or None where the error is none of these
    """
    if isinstance(exc, sdk.HttpException):
        return _http(exc.status_code or 0, str(exc.details or ''),
                     str(exc.url or ''), exc.request_id)
    if isinstance(exc, (sdk.ServiceDisabledException,
                        keystone.EndpointNotFound, keystone.EmptyCatalog)):
        return NO_ENDPOINT
    if isinstance(exc, (keystone.MissingRequiredOptions,
                        keystone.MissingAuthPlugin, keystone.NoMatchingPlugin,
                        sdk.ConfigException)):
        return f'{_sentence(str(exc))} {LOG_IN}'
    if isinstance(exc, keystone.Unauthorized):
        return (f'Keystone refuses the login: {_sentence(_plain(exc))} Check '
                f'the user, the password or token, the project and their '
                f'domains.')
    if isinstance(exc, (keystone.ConnectionError, keystone.DiscoveryFailure,
                        requests.exceptions.ConnectionError,
                        requests.exceptions.Timeout)):
        return _unreachable(_plain(exc))
    if isinstance(exc, keystone.HttpError):
        return _http(exc.http_status, _plain(exc), str(exc.url or ''),
                     exc.request_id)
    if isinstance(exc, (requests.exceptions.InvalidJSONError,
                        sdk.InvalidResponse, sdk.NotSupported)):
        return ('What answers at the endpoint of the type '
                'root-cause-analysis is not this service, or not version 1 '
                'of it: see the URL that "openstack catalog list" shows.')
    if isinstance(exc, (sdk.SDKException, keystone.ClientException,
                        requests.exceptions.RequestException)):
        return _sentence(str(exc))
    return None


def _http(status: int, details: str, url: str,
          request: str | None) -> str:
    where = f'HTTP {status}' + (f', request {request}' if request else '')
    if status == 404:
        hint = next((text for part, text in _LISTS if part in url), (
            'Is the endpoint of the type root-cause-analysis that of this '
            'service? "openstack catalog list" shows it.'))
    else:
        hint = _HINTS.get(status, '')
    text = _sentence(text_utils.shorten(details, 2000))
    return f'{text} {hint}'.strip() + f' ({where})'


def _plain(exc: Exception) -> str:
    """The message without the numbers that keystoneauth adds."""
    return re.sub(r' \((?:HTTP|Request-ID)[^)]*\)', '', str(exc))


def _sentence(text: str) -> str:
    text = ' '.join(text.split())
    return text if not text or text[-1] in '.!?:' else f'{text}.'


def _unreachable(text: str) -> str:
    found = _ADDRESS.search(text)
    where = found[0].rstrip('.:,') if found else 'the cloud'
    because = ''
    for pattern, meaning in _CAUSES:
        match = pattern.search(text)
        if match:
            because = meaning or match[1].strip()
            break
    if _TLS.search(text):
        return (f'No safe connection to {where}: '
                f'{because or "the TLS handshake fails"}. Name the '
                f'file with the certificate of its authority with OS_CACERT, '
                f'and see whether the address is to begin with https.')
    if not because:
        return text_utils.shorten(_sentence(text), 500)
    return (f'Cannot reach {where}: {because}. See that it runs, that the '
            f'address is right (the auth_url for Keystone, the catalog for '
            f'the service) and that no firewall or proxy stands between.')
