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
"""Nudges, which never hold up anybody."""

import os
import queue
import threading
from typing import Any
from unittest import mock

import oslo_messaging as messaging
from oslo_messaging.rpc import dispatcher

from openstack_rca import rpc
from openstack_rca.engine import manager
from openstack_rca.engine import rpcapi
from openstack_rca.engine import service
from openstack_rca.tests import base

_LONG = 120.0


class TestNudge(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        rpc.configured()
        self.bugs: list[Any] = []
        patch = mock.patch.object(threading, 'excepthook', self.bugs.append)
        patch.start()
        self.addCleanup(patch.stop)
        self.told: list[str] = []
        for name in ('error', 'warning'):
            real = getattr(rpcapi.LOG, name)

            def log(text: str, *args: Any, real: Any = real) -> None:
                self.told.append(text % args)
                real(text, *args)

            patch = mock.patch.object(rpcapi.LOG, name, log)
            patch.start()
            self.addCleanup(patch.stop)

    def _drained(self, api: rpcapi.EngineAPI) -> None:
        """Nudge until the thread has taken all of it."""
        taken = threading.Event()
        real = queue.Queue.get

        def get(waiting: 'queue.Queue[str]', *args: Any) -> str:
            item: str = real(waiting, *args)
            if item == 'last':
                taken.set()
            return item

        with mock.patch.object(queue.Queue, 'get', get):
            api.nudge('first')
            while not taken.wait(0.01):
                api.nudge('last')

    def test_reaches_an_engine(self) -> None:
        self.config(transport_url='fake:/')
        work = mock.create_autospec(manager.Manager, instance=True)
        came = threading.Event()
        work.nudge.side_effect = came.set
        server = messaging.get_rpc_server(
            rpc.transport(), rpc.target('h1'), [service.Endpoint(work)],
            access_policy=dispatcher.ExplicitRPCAccessPolicy)
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        rpcapi.EngineAPI().nudge('j1')
        self.assertTrue(came.wait(_LONG))
        self.assertEqual([], self.told)

    def test_without_a_bus(self) -> None:
        with mock.patch.object(rpc, 'configured', autospec=True,
                               return_value=False), \
                mock.patch.object(rpc, 'transport', autospec=True) as made:
            self._drained(rpcapi.EngineAPI())
        made.assert_not_called()
        self.assertEqual([], self.told + self.bugs)

    def test_wrong_bus(self) -> None:
        for url in ('secret', 'rabbit://rca:secret@bus:port/',
                    'pigeon://rca:secret@loft/'):
            self.told.clear()
            self.config(transport_url=url)
            self._drained(rpcapi.EngineAPI())
            self.assertEqual(1, len(self.told))
            self.assertIn('transport_url', self.told[0])
            self.assertNotIn('secret', self.told[0])
        # A thread that ends by a bug prints the URL.
        self.assertEqual([], self.bugs)

    def test_driver_with_a_bug(self) -> None:
        self.config(transport_url='fake:/')
        with mock.patch.object(rpc, 'transport', autospec=True,
                               side_effect=KeyError('secret')):
            self._drained(rpcapi.EngineAPI())
        self.assertEqual([], self.bugs)
        self.assertNotIn('secret', ' '.join(self.told))

    def test_bus_that_does_not_answer(self) -> None:
        self.config(transport_url='fake:/')
        answers = threading.Event()
        asked = threading.Event()
        client = mock.Mock()

        def cast(*args: Any, **kwargs: Any) -> None:
            asked.set()
            answers.wait()
            raise messaging.MessagingTimeout('secret')

        client.prepare.return_value.cast.side_effect = cast
        api = rpcapi.EngineAPI()
        with mock.patch.object(messaging, 'get_rpc_client', autospec=True,
                               return_value=client):
            api.nudge('first')
            self.assertTrue(asked.wait(_LONG))
            for number in range(1000):
                api.nudge(f'j{number}')
            answers.set()
            self._drained(api)
        self.assertIn('MessagingTimeout', self.told[0])
        self.assertNotIn('secret', ' '.join(self.told))
        self.assertEqual([], self.bugs)
        client.prepare.assert_called_with(retry=0)

    def test_after_a_fork(self) -> None:
        api = rpcapi.EngineAPI()
        with mock.patch.object(rpc, 'configured', autospec=True,
                               return_value=False):
            self._drained(api)
            pid = os.fork()
            if not pid:
                status = 1
                try:
                    api.nudge('j1')
                    status = 0 if api._pid == os.getpid() else 2
                finally:
                    os._exit(status)
        self.assertEqual(0, os.waitpid(pid, 0)[1])
