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
"""Receivers that are told by HTTP."""

import base64
import datetime
import hashlib
import hmac
import json
import socket
import threading
from typing import Any

import hypothesis
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.db import outbox
from openstack_rca.engine import webhooks
from openstack_rca.tests import base
from openstack_rca.tests import receiver

PAYLOAD: dict[str, Any] = {
    'id': 'i1', 'project_id': 'p1', 'analysis_id': None, 'status': 'open',
    'component': 'rabbitmq', 'category': 'messaging', 'severity': 'high',
    'host': 'ctl1', 'confidence': 0.5, 'origin': 'engine',
    'merged_into': None, 'first_seen': None, 'last_seen': None,
    'created_at': '2026-11-21T03:00:00+00:00',
    'updated_at': '2026-11-21T03:10:00+00:00', 'acknowledged_at': None,
    'resolved_at': None}
ANALYSIS: dict[str, Any] = {
    **{name: PAYLOAD[name] for name in (
        'project_id', 'component', 'category', 'severity', 'host',
        'confidence', 'created_at')},
    'id': 'a1', 'incident_id': 'i1', 'status': 'complete',
    'verdict': 'cause_found', 'started_at': '2026-11-21T03:00:01+00:00',
    'finished_at': '2026-11-21T03:00:09+00:00'}
#: As an example of Standard Webhooks has it.
WHSEC = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'


def item(event_type: str = outbox.CREATE, attempt: int = 1,
         **values: Any) -> outbox.Item:
    """What is told."""
    payload = ANALYSIS if event_type == outbox.COMPLETE else PAYLOAD
    return outbox.Item(1, 'e1', event_type, payload | values,
                       datetime.datetime(2026, 11, 21, 3), attempt)


class TestMessage(base.TestCase):

    def test_open(self) -> None:
        told = webhooks.message(item(), 'pager')
        labels = {'alertname': 'OpenStackIncident', 'incident_id': 'i1',
                  'severity': 'high', 'component': 'rabbitmq',
                  'category': 'messaging', 'host': 'ctl1',
                  'project_id': 'p1'}
        notes = {'event_id': 'e1', 'event_type': 'rca.incident.create',
                 'rca_status': 'open', 'confidence': '0.5'}
        group = {'alertname': 'OpenStackIncident', 'incident_id': 'i1'}
        alert, = told.pop('alerts')
        self.assertEqual({
            'version': '4', 'status': 'firing', 'receiver': 'pager',
            'groupKey':
                '{}:{alertname="OpenStackIncident", incident_id="i1"}',
            'truncatedAlerts': 0, 'groupLabels': group,
            'commonLabels': labels, 'commonAnnotations': notes,
            'externalURL': ''}, told)
        self.assertRegex(alert.pop('fingerprint'), '^[0-9a-f]{16}$')
        self.assertEqual({
            'status': 'firing', 'labels': labels, 'annotations': notes,
            'startsAt': '2026-11-21T03:00:00+00:00',
            'endsAt': '0001-01-01T00:00:00Z', 'generatorURL': ''}, alert)

    def test_resolved(self) -> None:
        before = webhooks.message(item(), 'pager')
        told = webhooks.message(item(
            outbox.RESOLVE, status='resolved', severity='low',
            resolved_at='2026-11-21T04:00:00+00:00'), 'pager')
        alert, = told['alerts']
        self.assertEqual(('resolved', 'resolved'),
                         (told['status'], alert['status']))
        self.assertEqual('2026-11-21T04:00:00+00:00', alert['endsAt'])
        # By these a receiver knows that it is the same one.
        self.assertEqual(before['groupKey'], told['groupKey'])
        self.assertEqual(before['alerts'][0]['fingerprint'],
                         alert['fingerprint'])

    def test_suppressed(self) -> None:
        told = webhooks.message(item(outbox.UPDATE, status='suppressed'),
                                'pager')
        self.assertEqual(('resolved', PAYLOAD['updated_at']), (
            told['status'], told['alerts'][0]['endsAt']))
        self.assertEqual('suppressed',
                         told['commonAnnotations']['rca_status'])

    def test_reopened(self) -> None:
        told = webhooks.message(item(outbox.UPDATE), 'pager')
        self.assertEqual('firing', told['status'])
        self.assertEqual('0001-01-01T00:00:00Z',
                         told['alerts'][0]['endsAt'])

    def test_analysis(self) -> None:
        told = webhooks.message(item(outbox.COMPLETE), 'pager')
        alert, = told['alerts']
        # It is nothing that goes on, and nobody would ever resolve it.
        self.assertEqual('resolved', alert['status'])
        self.assertEqual(ANALYSIS['finished_at'], alert['endsAt'])
        self.assertEqual('OpenStackAnalysis', alert['labels']['alertname'])
        self.assertEqual(('i1', 'cause_found'), (
            alert['annotations']['incident_id'],
            alert['annotations']['verdict']))

    def test_links(self) -> None:
        self.config('publishing',
                    public_endpoint='https://rca.example.org/base/')
        for what, path in ((item(), 'incidents/i1'),
                           (item(outbox.COMPLETE), 'analyses/a1')):
            url = f'https://rca.example.org/base/v1/{path}'
            told = webhooks.message(what, 'pager')
            self.assertEqual(url, told['alerts'][0]['generatorURL'])
            self.assertEqual(url, told['commonAnnotations']['link'])
            self.assertEqual('https://rca.example.org/base/',
                             told['externalURL'])

    def test_unknown_things_are_no_labels(self) -> None:
        told = webhooks.message(item(
            host=None, component=None, category=None, severity=None,
            confidence=None), 'pager')
        for labels in (told['commonLabels'], told['commonAnnotations'],
                       told['alerts'][0]['labels']):
            self.assertTrue(all(isinstance(v, str) for v in labels.values()))
        self.assertNotIn('host', told['commonLabels'])


class TestHeaders(base.TestCase):

    def test_unsigned(self) -> None:
        told = webhooks.headers(item(), b'{}', [], 5)
        self.assertEqual(('e1', '5'), (told['webhook-id'],
                                       told['webhook-timestamp']))
        self.assertNotIn('webhook-signature', told)

    def test_example_of_standard_webhooks(self) -> None:
        # The one in its reference implementations.
        self.config('webhooks', secrets=[WHSEC])
        key = webhooks._key(WHSEC)
        what = outbox.Item(1, 'msg_p5jXN8AQM9LWM0D4loKWxJek',
                           outbox.CREATE, {}, datetime.datetime.min, 1)
        told = webhooks.headers(what, b'{"test": 2432232314}', [key],
                                1614265330)
        self.assertEqual(
            'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
            told['webhook-signature'])

    @hypothesis.given(body=strategies.binary(), keys=strategies.lists(
        strategies.binary(min_size=1), min_size=1, max_size=3))
    def test_signatures(self, body: bytes, keys: list[bytes]) -> None:
        told = webhooks.headers(item(), body, keys, 17)
        self.assertEqual(told['webhook-signature'].split(' '), [
            'v1,' + base64.b64encode(hmac.new(
                key, b'e1.17.' + body, hashlib.sha256).digest()).decode()
            for key in keys])


class TestConfigured(base.TestCase):

    def test_none(self) -> None:
        self.assertEqual([], webhooks.configured())

    def test_some(self) -> None:
        self.config('webhooks', urls={
            'pager': 'https://pager.example.org/a?b=c',
            'chat-2': 'http://u:p@[::1]:8080'})
        self.assertEqual(['webhook:chat-2', 'webhook:pager'],
                         [hook.target for hook in webhooks.configured()])

    def test_wrong_ones(self) -> None:
        for urls in ({'Pager': 'https://a/'}, {'a b': 'https://a/'},
                     {'x' * 65: 'https://a/'}, {'': 'https://a/'},
                     {'a': 'ftp://sesame/'}, {'a': 'https://'},
                     {'a': 'file:///etc/sesame'}, {'a': 'sesame'}, {'a': ''},
                     {'a': 'https://a:sesame/'}, {'a': 'https://[sesame/'},
                     {'a': 'https://a/sesame x'},
                     {'a': 'https://a/\r\nsesame: 1'},
                     {'a': 'https://gr\u00fcn/sesame'}):
            with self.subTest(urls=urls):
                self.config('webhooks', urls=urls)
                error = self.assertRaises(exception.InvalidInput,
                                          webhooks.configured)
                self.assertIn('[webhooks] urls', str(error))
                # An address often holds a secret.
                self.assertNotIn('sesame', str(error))

    def test_wrong_secrets(self) -> None:
        for secret in ('whsec_sesame!', 'whsec_'):
            self.config('webhooks', secrets=[secret])
            error = self.assertRaises(exception.InvalidInput,
                                      webhooks.configured)
            self.assertIn('[webhooks] secrets', str(error))
            self.assertNotIn('sesame', str(error))

    def test_wrong_certificates(self) -> None:
        for path in (self.tmp / 'none.pem', self.tmp):
            self.config('webhooks', ca_file=str(path))
            self.assertIn('[webhooks] ca_file', str(self.assertRaises(
                exception.InvalidInput, webhooks.configured)))
        (self.tmp / 'empty.pem').write_text('')
        self.config('webhooks', ca_file=str(self.tmp / 'empty.pem'))
        self.assertRaises(exception.InvalidInput, webhooks.configured)


class TestWebhook(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver())
        self.config('webhooks', timeout=1)

    def hook(self, url: str | None = None) -> webhooks.Webhook:
        """The one receiver."""
        self.config('webhooks', urls={'pager': url or self.receiver.url})
        hook, = webhooks.configured()
        return hook

    def test_told(self) -> None:
        self.config('webhooks', secrets=['one', WHSEC])
        self.assertIsNone(self.hook()(item()))
        (headers, body), = self.receiver.asked
        self.assertEqual(webhooks.message(item(), 'pager'),
                         json.loads(body))
        self.assertEqual('application/json', headers['content-type'])
        self.assertEqual('e1', headers['webhook-id'])
        signed = f'e1.{headers["webhook-timestamp"]}.'.encode() + body
        self.assertEqual(
            [hmac.digest(key, signed, 'sha256') for key in (
                b'one', base64.b64decode(WHSEC[6:]))],
            [base64.b64decode(one.removeprefix('v1,'))
             for one in headers['webhook-signature'].split(' ')])

    def test_path_and_password(self) -> None:
        url = self.receiver.url.replace('//', '//me:p%40ss@')
        self.assertIsNone(self.hook(url + '?key=1#part')(item()))
        self.assertEqual(['/hook?key=1'], self.receiver.paths)
        self.assertEqual(
            'Basic ' + base64.b64encode(b'me:p@ss').decode(),
            self.receiver.asked[0][0]['authorization'])

    def test_refused(self) -> None:
        for status in (400, 401, 404, 410, 429, 500, 503):
            self.receiver.behaviour = status
            self.assertEqual(f'HTTP status {status}', self.hook()(item()))
        for status in (200, 201, 202, 204):
            self.receiver.behaviour = status
            self.assertIsNone(self.hook()(item()))

    def test_redirects_are_not_followed(self) -> None:
        for status in (301, 302, 303, 307, 308):
            self.receiver.behaviour = status
            self.assertEqual(f'HTTP status {status}', self.hook()(item()))
        self.assertEqual({'/hook'}, set(self.receiver.paths))

    def test_hangs(self) -> None:
        for how in (receiver.HANG, receiver.DRIP):
            self.receiver.behaviour = how
            self.assertEqual('no answer within 1 s', self.hook()(item()))

    def test_hangs_before_it_accepts(self) -> None:
        with socket.socket() as full:
            full.bind(('127.0.0.1', 0))
            full.listen(0)
            url = f'http://127.0.0.1:{full.getsockname()[1]}/'
            self.assertEqual('no answer within 1 s', self.hook(url)(item()))
            self.assertEqual('no answer within 1 s', self.hook(
                url.replace('http', 'https'))(item()))

    def test_cuts(self) -> None:
        self.receiver.behaviour = receiver.CUT
        self.assertIn(self.hook()(item()), ('BadStatusLine',
                                            'RemoteDisconnected'))

    def test_answers_without_end(self) -> None:
        self.receiver.behaviour = receiver.ENDLESS
        self.assertIsNone(self.hook()(item()))

    def test_nobody_there(self) -> None:
        url = self.receiver.url
        hook = self.hook(url)
        self.receiver.stop()
        self.assertEqual('ConnectionRefusedError', hook(item()))
        self.assertEqual('gaierror', self.hook(
            'http://nobody.invalid/')(item()))

    def test_no_proxy_and_no_netrc(self) -> None:
        self._env('http_proxy', 'http://127.0.0.1:1/')
        self._env('HOME', str(self.tmp))
        (self.tmp / '.netrc').write_text(
            'machine 127.0.0.1 login me password sesame\n')
        self.assertIsNone(self.hook()(item()))
        self.assertNotIn('authorization', self.receiver.asked[0][0])

    def test_nothing_stays(self) -> None:
        before = threading.active_count()
        for _ in range(3):
            self.assertIsNone(self.hook()(item()))
        names = [t.name for t in threading.enumerate()]
        self.assertFalse([n for n in names if n.startswith('Timer')], before)


class TestCertificates(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.receiver = self.useFixture(receiver.Receiver(self.tmp))
        self.config('webhooks', timeout=5)

    def tell(self, url: str | None = None) -> str | None:
        """Tell the one receiver."""
        self.config('webhooks', urls={'pager': url or self.receiver.url})
        hook, = webhooks.configured()
        return hook(item())

    def test_not_trusted(self) -> None:
        self.assertIn('certificate', self.tell() or '')
        self.assertEqual([], self.receiver.asked)

    def test_trusted(self) -> None:
        self.config('webhooks', ca_file=str(self.receiver.certificate))
        self.assertIsNone(self.tell())

    def test_of_another_host(self) -> None:
        self.config('webhooks', ca_file=str(self.receiver.certificate))
        self.assertIn('certificate', self.tell(
            self.receiver.url.replace('127.0.0.1', 'localhost')) or '')
        self.assertEqual([], self.receiver.asked)

    def test_unchecked(self) -> None:
        self.config('webhooks', insecure=True)
        self.assertIsNone(self.tell())

    def test_hangs(self) -> None:
        self.config('webhooks', insecure=True, timeout=1)
        self.receiver.behaviour = receiver.DRIP
        self.assertEqual('no answer within 1 s', self.tell())

    def test_plain_text_where_tls_is_wanted(self) -> None:
        plain = self.useFixture(receiver.Receiver())
        self.assertEqual('SSLError', self.tell(
            plain.url.replace('http:', 'https:')))
