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
"""The life of an engine, as oslo.service leads it."""

import threading
from typing import Any
from unittest import mock

import oslo_messaging as messaging
from oslo_messaging.rpc import dispatcher

from openstack_rca import rpc
from openstack_rca.engine import manager
from openstack_rca.engine import service
from openstack_rca.tests import base

_LONG = 120.0


class TestEndpoint(base.TestCase):

    def test_nudge(self) -> None:
        work = mock.create_autospec(manager.Manager, instance=True)
        service.Endpoint(work).nudge({}, 'j1')
        work.nudge.assert_called_once_with()

    def test_nothing_else_can_be_called(self) -> None:
        work = mock.create_autospec(manager.Manager, instance=True)
        policy = dispatcher.ExplicitRPCAccessPolicy()
        endpoint = service.Endpoint(work)
        self.assertEqual(['nudge'], [
            name for name in dir(endpoint)
            if policy.is_allowed(endpoint, name)])


class TestService(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.config(state_path=str(self.tmp / 'state'), host='engine-1')
        rpc.configured()
        self.work = mock.create_autospec(manager.Manager, instance=True)
        self._patch(manager, 'Manager', mock.Mock(return_value=self.work))
        self.told: list[str] = []
        self._patch(service.LOG, 'error', lambda text, *args:
                    self.told.append(text % args))

    def _patch(self, where: Any, name: str, value: Any) -> None:
        patch = mock.patch.object(where, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def _start(self) -> service.EngineService:
        made = service.EngineService(['--config-file', 'x'])
        made.start()
        return made

    def _listened(self, made: service.EngineService) -> None:
        for thread in threading.enumerate():
            if thread.name == 'bus':
                thread.join(_LONG)

    def test_without_a_bus(self) -> None:
        self._patch(rpc, 'configured', lambda: False)
        made = self._start()
        manager.Manager.assert_called_once_with(  # type: ignore
            ['--config-file', 'x'])
        self.work.start.assert_called_once_with()
        self.assertTrue((self.tmp / 'state' / 'snapshots').is_dir())
        made.reset()
        made.stop()
        self.assertEqual(['start', 'stop', 'wait'], [
            call[0] for call in self.work.method_calls])
        made.wait()

    def test_with_a_bus(self) -> None:
        self.config(transport_url='fake:/')
        made = self._start()
        self._listened(made)
        came = threading.Event()
        self.work.nudge.side_effect = came.set
        client = messaging.get_rpc_client(rpc.transport(), rpc.target())
        client.prepare().cast({}, 'nudge', job_id='j1')
        self.assertTrue(came.wait(_LONG))
        made.stop()
        self.work.wait.assert_called_once_with()
        self.assertEqual([], self.told)

    def test_bus_that_cannot_be_used(self) -> None:
        for url, word in (('pigeon://rca:secret@loft/', 'transport_url'),
                          ('rabbit://rca:secret@bus:port/',
                           'transport_url')):
            self.told.clear()
            self.config(transport_url=url)
            with mock.patch.object(rpc, 'configured', lambda: True):
                made = self._start()
                self._listened(made)
            told, = self.told
            self.assertIn(word, told)
            self.assertNotIn('secret', told)
            made.stop()

    def test_driver_with_a_bug(self) -> None:
        self.config(transport_url='fake:/')
        self._patch(messaging, 'get_rpc_server',
                    mock.Mock(side_effect=OSError('secret')))
        made = self._start()
        self._listened(made)
        told, = self.told
        self.assertIn('OSError', told)
        self.assertNotIn('secret', told)
        made.stop()

    def test_bus_that_does_not_hang_up(self) -> None:
        self.config(transport_url='fake:/')
        self._patch(service, '_GOODBYE', 0.01)
        never = threading.Event()
        self.addCleanup(never.set)
        server = mock.Mock()
        server.stop.side_effect = never.wait
        self._patch(messaging, 'get_rpc_server',
                    mock.Mock(return_value=server))
        made = self._start()
        self._listened(made)
        made.stop()
        self.work.wait.assert_called_once_with()
        server.wait.assert_not_called()

    def test_stop_before_start(self) -> None:
        service.EngineService([]).stop()
