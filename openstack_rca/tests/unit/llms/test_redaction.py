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
"""Tests of hiding secrets and names."""

import random

import hypothesis
from hypothesis import strategies as st

from openstack_rca.llms import redaction
from openstack_rca.tests import base
from openstack_rca.tests.unit.llms import planting

_SOURCE = planting.Source(random.Random(6))


def _planted(seed: int) -> planting.Planted:
    source = planting.Source(random.Random(seed))
    return source.draw() if seed % 3 else source.openstack()


class TestSecrets(base.TestCase):

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(st.integers(0, 10**9), st.text(max_size=60),
                      st.text(max_size=60))
    def test_planted_secrets_do_not_show(self, seed: int, before: str,
                                         after: str) -> None:
        planted = _planted(seed)
        hypothesis.assume(planted.kind != 'PrivateKeyDetector')
        out = redaction.Redactor().text(
            f'{before} {planted.text} {after}')
        if len(planted.secret) > 5:
            self.assertNotIn(planted.secret, out)

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(st.integers(0, 10**9))
    def test_the_rules_of_others_find_nothing(self, seed: int) -> None:
        planted = _planted(seed)
        out = redaction.Redactor().text(
            f'2026-11-21 02:40:17.351 4935 WARNING nova.x [-] It is '
            f'{planted.text} here')
        self.assertEqual([], list(_SOURCE.seen(out)))

    @hypothesis.given(st.text())
    def test_any_text_settles(self, text: str) -> None:
        redactor = redaction.Redactor()
        out = redactor.text(text)
        self.assertEqual(out, redactor.settle(out))
        self.assertTrue(all(c.isprintable() or c in '\n\t' for c in out))

    def test_kinds(self) -> None:
        for text, secret in (
                ('password=hunter2', 'hunter2'),
                ('"adminPass": "a b,c"', 'a b,c'),
                ("{'auth_token': 'abc'}", 'abc'),
                ('X-Auth-Token: xyzzy-1', 'xyzzy-1'),
                ('mysql://u:p/w@h@db/nova', 'p/w'),
                ('Cookie: a=b; session=cafe', 'cafe'),
                ('--os-password hunter2 x', 'hunter2'),
                ('key gAAAAABlong-token_here0 end', 'gAAAAABlong'),
                ('-----BEGIN CERTIFICATE-----\\nMIIBx\\n-----END '
                 'CERTIFICATE-----', 'MIIBx'),
                ('-----BEGIN RSA PRIVATE KEY-----\nMIIBx', 'MIIBx'),
                ('sent by ann@example.org', 'ann'),
                ('from 10.1.2.3 port', '10.1.2.3'),
                ('from 2001:db8::17: no route', '2001:db8::17'),
                ('on [fe80::1]:8774', 'fe80::1'),
                ('port fa:16:3e:00:11:22 up', 'fa:16:3e'),
                ('GET http://ctl7.corp.example/v3', 'ctl7'),
                ('hypervisor_hostname=node17', 'node17'),
                ('project_name: acme', 'acme'),
                ("Access denied for user 'bob'@'x'", 'bob'),
                ('[None req-5a1e0a3b-2b0c-4cf8-9a49-1f3f9d3f6d10 carol '
                 'initech - - default default]', 'initech'),
                ('id 9d74f94bccdb4d019e6f8161eeb8e35b', '9d74f94b'),
        ):
            out = redaction.Redactor().text(text)
            self.assertNotIn(secret, out, text)
            self.assertRegex(out, '<[a-z]+-1>')

    def test_hidden_letters_hide_nothing(self) -> None:
        for text in ('pass\u200bword=hunter2', 'password=hun\u200dter2',
                     '\uff50assword=hunter2', 'pass\x1b[0mword=hunter2'):
            self.assertNotIn('ter2', redaction.Redactor().text(text))

    def test_harmless(self) -> None:
        for text in (
                '2026-11-21 02:40:17.351 4935 WARNING nova.scheduler.filters '
                '[-] Filter ComputeFilter returned 0 hosts',
                'File "/opt/venv/lib/python3.11/site-packages/nova/compute/'
                'manager.py", line 2714, in _build_and_run_instance',
                'req-0f7d8618-816f-4442-bf80-94dc8df215f2',
                'AMQP server on 127.0.0.1:5672 is unreachable: [Errno 111]',
                'DISK_GB%3A40%2CMEMORY_MB%3A20480%2CVCPU%3A8',
                'oslo_messaging.exceptions.MessagingTimeout: Timed out',
                'volume-7c9e6679-7425-40de-944b-e07fc1f90ae7 is in-use',
                'ScheduleCreateVolumeTask;volume:create failed at 12:30:45'):
            self.assertEqual(text, redaction.Redactor().text(text))


class TestNames(base.TestCase):

    def test_the_same_name_is_the_same_placeholder(self) -> None:
        redactor = redaction.Redactor()
        redactor.know(['cmp1', 'cmp2.corp.example'], ['project_name=acme'])
        first = redactor.text('cmp1 lost cmp2; acme asks at cmp1@lvm')
        self.assertEqual(
            '<host-1> lost <host-2>; <project-1> asks at <host-1>@lvm', first)
        self.assertEqual('(<host-2>) again', redactor.text('(cmp2) again'))
        self.assertEqual({'host': 2, 'project': 1}, redactor.counts())

    def test_names_come_back_and_secrets_do_not(self) -> None:
        redactor = redaction.Redactor()
        redactor.know(['cmp1'], [])
        out = redactor.text('cmp1 at 10.0.0.5 has password=hunter2')
        self.assertEqual('cmp1 at 10.0.0.5 has password=<secret-1>',
                         redactor.restore(out))
        self.assertEqual('<ip-7>', redactor.restore('<ip-7>'))

    def test_a_log_cannot_forge_a_placeholder(self) -> None:
        redactor = redaction.Redactor()
        redactor.text('10.0.0.5')
        self.assertEqual('(ip 1)', redactor.text('<ip-1>'))

    def test_what_every_cloud_has_is_no_name(self) -> None:
        redactor = redaction.Redactor()
        redactor.know(['controller', 'localhost'],
                      ['user_name=nova, project_name=service'])
        text = 'nova of service on controller and localhost'
        self.assertEqual(text, redactor.text(text))

    def test_options(self) -> None:
        text = ('host=cmp1 project_name=acme of Initech, '
                '7c9e6679-7425-40de-944b-e07fc1f90ae7')
        self.assertEqual(text, redaction.Redactor(redaction.Rules(
            hosts=False, projects=False)).text(text))
        self.assertEqual(
            'host=<host-1> project_name=<project-1> of <name-1>, <uuid-1>',
            redaction.Redactor(redaction.Rules(
                uuids=True, words=('initech',))).text(text))
