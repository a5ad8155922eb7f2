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
"""Receivers that are told by HTTP, as Alertmanager tells its own.

What is sent is what Alertmanager sends to a webhook receiver, in version 4,
with one alert: the incident. It is signed as Standard Webhooks has it.

http.client and not requests: that would follow what a receiver or the
environment says (redirects, proxies, netrc, cookies), and has no limit for
the whole of an answer that comes byte by byte.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import threading
import time
from typing import Any
import urllib.parse

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import version
from openstack_rca.db import outbox

_NAME = re.compile('[a-z0-9_-]{1,64}')
_KEY = 'whsec_'
#: What Alertmanager says of an alert that has not ended.
_NEVER = '0001-01-01T00:00:00Z'
#: Bytes of an answer that are read, so that its sender can finish it.
_MOST = 4096


def configured() -> list['Webhook']:
    """The receivers of the configuration.

    :raises InvalidInput: one has no name or no address that can be used, or
        a secret or the certificates cannot be
    """
    settings = conf.CONF.webhooks
    context = _context()
    keys = [_key(text) for text in settings.secrets]
    return [Webhook(name, url, keys, context)
            for name, url in sorted(settings.urls.items())]


def _context() -> ssl.SSLContext:
    """How the certificates of receivers are checked."""
    settings = conf.CONF.webhooks
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise exception.InvalidInput(
            reason=f'[webhooks] ca_file {settings.ca_file} holds no '
            f'certificates that can be read ({type(error).__name__}).'
        ) from error
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _key(text: str) -> bytes:
    """What a secret of the configuration signs with."""
    try:
        key = (base64.b64decode(text[len(_KEY):], validate=True)
               if text.startswith(_KEY) else text.encode())
    except binascii.Error as error:
        raise exception.InvalidInput(
            reason=f'A secret of [webhooks] secrets begins with {_KEY} and '
            'is not base64 after that.') from error
    if not key:
        raise exception.InvalidInput(
            reason='A secret of [webhooks] secrets is empty.')
    return key


class Webhook:
    """One receiver.

    :param name: what the configuration calls it
    :param url: where it is
    :param keys: what requests are signed with
    :param context: how its certificate is checked
    :raises InvalidInput: the name or the address cannot be used
    """

    def __init__(self, name: str, url: str, keys: list[bytes],
                 context: ssl.SSLContext) -> None:
        if not _NAME.fullmatch(name):
            raise exception.InvalidInput(
                reason='A name of [webhooks] urls has other characters than '
                'small letters, digits, _ and -, or is longer than 64 of '
                'them. It looks like pager:https://pager.example.org/hook.')
        try:
            parts = urllib.parse.urlsplit(url)
            self._port = parts.port
        except ValueError:
            parts = urllib.parse.SplitResult('', '', '', '', '')
        # Not the address itself: it often is a secret.
        if (parts.scheme not in ('http', 'https') or not parts.hostname
                or not re.fullmatch('[!-~]+', url)):
            raise exception.InvalidInput(
                reason=f'The URL of {name} in [webhooks] urls is none of a '
                'receiver. It looks like https://pager.example.org/hook.')
        self.name = name
        self.target = f'webhook:{name}'
        self._keys = keys
        self._context = context if parts.scheme == 'https' else None
        self._host = parts.hostname
        self._path = (parts.path or '/') + (
            f'?{parts.query}' if parts.query else '')
        self._basic = None
        if parts.username is not None:
            told = ':'.join(urllib.parse.unquote(t or '')
                            for t in (parts.username, parts.password))
            self._basic = base64.b64encode(told.encode()).decode()

    def __call__(self, item: outbox.Item) -> str | None:
        """Tell the receiver.

        :param item: what
        :returns: why it could not be told, or None; without any address
        """
        body = json.dumps(message(item, self.name)).encode()
        try:
            status = self._post(body, headers(item, body, self._keys,
                                              int(time.time())))
        except TimeoutError:
            return f'no answer within {conf.CONF.webhooks.timeout} s'
        except ssl.SSLCertVerificationError:
            return ('its certificate is none that [webhooks] ca_file or the '
                    'system trusts')
        except (OSError, http.client.HTTPException, ValueError) as error:
            return type(error).__name__
        if 200 <= status < 300:
            return None
        return f'HTTP status {status}'

    def _post(self, body: bytes, told: dict[str, str]) -> int:
        """Send a request; the status of its answer.

        :raises TimeoutError: the whole took too long
        """
        limit = conf.CONF.webhooks.timeout
        if self._basic:
            told['Authorization'] = f'Basic {self._basic}'
        cut = threading.Event()
        with contextlib.closing(self._connection(limit)) as connection:
            raw = connection.sock

            def give_up() -> None:
                cut.set()
                with contextlib.suppress(OSError):
                    # Whoever reads or writes now is done.
                    socket.socket.shutdown(raw, socket.SHUT_RDWR)

            clock = threading.Timer(limit, give_up)
            clock.daemon = True
            clock.start()
            try:
                if isinstance(raw, ssl.SSLSocket):
                    raw.do_handshake()
                connection.request('POST', self._path, body, told)
                with connection.getresponse() as answer:
                    answer.read(_MOST)
                    return answer.status
            except (OSError, http.client.HTTPException) as error:
                if cut.is_set():
                    raise TimeoutError from error
                raise
            finally:
                clock.cancel()

    def _connection(self, limit: int) -> http.client.HTTPConnection:
        """A connection, not yet encrypted."""
        assert self._host is not None
        port = self._port or (443 if self._context else 80)
        connection = http.client.HTTPConnection(self._host, port)
        plain = socket.create_connection((self._host, port), limit)
        connection.sock = plain
        if self._context:
            try:
                connection.sock = self._context.wrap_socket(
                    plain, server_hostname=self._host,
                    do_handshake_on_connect=False)
            except (OSError, ValueError):
                plain.close()
                raise
        return connection


def headers(item: outbox.Item, body: bytes, keys: list[bytes],
            now: int) -> dict[str, str]:
    """What goes before the body of a request.

    :param item: what is told
    :param body: in what words
    :param keys: what it is signed with
    :param now: the time, in seconds since 1970
    """
    told = {
        'Content-Type': 'application/json', 'Connection': 'close',
        'User-Agent': f'openstack-rca/{version.version_info.version_string()}',
        'webhook-id': item.id, 'webhook-timestamp': str(now)}
    if keys:
        signed = f'{item.id}.{now}.'.encode() + body
        told['webhook-signature'] = ' '.join(
            'v1,' + base64.b64encode(hmac.digest(
                key, signed, hashlib.sha256)).decode() for key in keys)
    return told


def link(item: outbox.Item) -> str | None:
    """Where the incident or the analysis can be read, if that is known."""
    base = conf.CONF.publishing.public_endpoint
    if not base:
        return None
    what = ('analyses' if item.event_type.startswith('rca.analysis.')
            else 'incidents')
    return f'{base.rstrip("/")}/v1/{what}/{item.payload["id"]}'


def message(item: outbox.Item, receiver: str) -> dict[str, Any]:
    """What a receiver is told, in the words of Alertmanager.

    :param item: what
    :param receiver: name of the receiver
    """
    told = item.payload
    analysis = item.event_type.startswith('rca.analysis.')
    name = 'OpenStackAnalysis' if analysis else 'OpenStackIncident'
    key = 'analysis_id' if analysis else 'incident_id'
    # An analysis that is complete is nothing that goes on.
    over = analysis or told['status'] in ('resolved', 'suppressed')
    ended = (told['finished_at'] if analysis
             else told['resolved_at'] or told['updated_at'])
    status = 'resolved' if over else 'firing'
    group = {'alertname': name, key: told['id']}
    labels = group | {
        name: told[name] for name in (
            'severity', 'component', 'category', 'host', 'project_id')
        if told[name] is not None}
    notes = {name: str(value) for name, value in (
        ('event_id', item.id), ('event_type', item.event_type),
        ('rca_status', told['status']), ('link', link(item)),
        ('verdict', told.get('verdict')),
        ('incident_id' if analysis else 'analysis_id',
         told.get('incident_id' if analysis else 'analysis_id')),
        ('confidence', told['confidence'])) if value is not None}
    return {
        'version': '4', 'status': status, 'receiver': receiver,
        'groupKey': f'{{}}:{{alertname="{name}", {key}="{told["id"]}"}}',
        'truncatedAlerts': 0, 'groupLabels': group, 'commonLabels': labels,
        'commonAnnotations': notes,
        'externalURL': conf.CONF.publishing.public_endpoint or '',
        'alerts': [{
            'status': status, 'labels': labels, 'annotations': notes,
            'startsAt': told['created_at'],
            'endsAt': ended if over else _NEVER,
            'generatorURL': link(item) or '',
            'fingerprint': hashlib.blake2b(
                f'{name} {told["id"]}'.encode(),
                digest_size=8).hexdigest()}]}
