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
"""The message bus, which may not be there."""

from unittest import mock

import fixtures
from oslo_config import cfg
import oslo_messaging as messaging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import rpc
from openstack_rca.tests import base


class TestRPC(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        # Registers the option.
        rpc.configured()

    def test_not_configured(self) -> None:
        # Options remember where a value came from that they had once.
        fresh = cfg.ConfigOpts()
        fresh([], default_config_files=[], default_config_dirs=[])
        with mock.patch.object(conf, 'CONF', fresh):
            self.assertFalse(rpc.configured())
        # oslo.messaging's default is a RabbitMQ of this host.
        self.assertEqual('rabbit://', fresh.transport_url)

    def test_configured(self) -> None:
        self.config(transport_url='rabbit://rca:secret@bus:5672/')
        self.assertTrue(rpc.configured())

    def test_empty_is_none(self) -> None:
        self.config(transport_url='')
        self.assertFalse(rpc.configured())

    def test_from_a_file(self) -> None:
        path = self.tmp / 'rca.conf'
        path.write_text('[DEFAULT]\ntransport_url = fake:/\n')
        conf.load(files=[str(path)])
        self.assertTrue(rpc.configured())

    def test_from_the_environment(self) -> None:
        self.useFixture(fixtures.EnvironmentVariable(
            'OS_DEFAULT__TRANSPORT_URL', 'fake:/'))
        self.assertTrue(rpc.configured())

    def test_wrong_url(self) -> None:
        for url in ('secret', 'rabbit://rca:secret@bus:port/',
                    'rabbit://rca:secret@[bus:5672/', '://secret'):
            self.config(transport_url=url)
            for call in (rpc.configured, rpc.transport):
                error = self.assertRaises(exception.InvalidInput, call)
                self.assertIn('transport_url', str(error))
                self.assertNotIn('secret', str(error))

    def test_unknown_bus(self) -> None:
        self.config(transport_url='pigeon://rca:secret@loft/')
        error = self.assertRaises(exception.InvalidInput, rpc.transport)
        self.assertNotIn('secret', str(error))

    def test_target(self) -> None:
        target = rpc.target('h1')
        self.assertEqual(
            ('openstack-rca-engine', '1.0', 'h1'),
            (target.topic, target.version, target.server))
        self.assertIsNone(rpc.target().server)

    def test_exchange(self) -> None:
        self.config(transport_url='fake:/')
        rpc.transport()
        self.assertEqual('openstack-rca', self.conf.control_exchange)
        self.assertIsInstance(rpc.target(), messaging.Target)
