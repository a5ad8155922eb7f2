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
"""What the tests of the whole service share."""

from collections.abc import Callable
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any
from typing import TypeVar

import requests

from openstack_rca.tests import base
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import service
from openstack_rca.tests.functional.servers import shared
from openstack_rca.tests.functional.servers import wsgi

# Seconds after which something that does not happen never will.
PATIENCE = 120

ISSUE = 'server web-3 went to ERROR'

# What an engine looks and searches with, without torch: to load that takes
# each of its processes longer than most tests.
LEAN = {'detectors': {'enabled': 'novelty'}, 'retrieval': {'driver': 'bm25'}}

_T = TypeVar('_T')


class ServiceCase(base.TestCase):
    """A test of a deployment.

    :ivar deployed: what :meth:`ask` and :meth:`rca` talk to
    """

    deployed: service.Service

    def shared_service(self) -> service.Service:
        """Use the deployment of this process."""
        self.deployed = service.shared(self)
        return self.deployed

    def own_service(self, logs: pathlib.Path = service.LOGS,
                    connection: str | None = None, engines: int = 1,
                    learned: bool = False, **options: dict[str, Any]
                    ) -> service.Service:
        """Use a deployment of the test's own, on SQLite and without a bus.

        Its engines have one worker, so that it is known which process has
        the next job.

        :param logs: what its engines read
        :param connection: URL of another database
        :param engines: how many of them
        :param learned: whether they use learned models and the meaning of
            texts, as those of the shared deployment and of operators do
        :param options: more options, by group
        """
        for kind in (wsgi.UWSGI, keystone.Keystone):
            servers.require(self, kind)
        cloud = shared.keystone(self)
        folder = self.tmp / 'service'
        folder.mkdir()
        told: dict[str, dict[str, Any]] = {
            'engine': {'lease': 6, 'workers': 1}}
        if not learned:
            told |= {group: {**values} for group, values in LEAN.items()}
        for group, values in options.items():
            told.setdefault(group, {}).update(values)
        made = service.Service(
            folder, connection or f'sqlite:///{folder}/rows.sqlite',
            {'logs': logs}, cloud, told, processes=1)
        service.show_logs(self, made)
        made.sync()
        self.addCleanup(made.stop)
        made.api.setUp()
        for _ in range(engines):
            made.start_engine()
        self.deployed = made
        return made

    def wait_for(self, what: str, function: Callable[[], _T | None]) -> _T:
        """Wait until something is the case.

        :param what: what is waited for, for the message
        :param function: returns something true then
        """
        deadline = time.monotonic() + PATIENCE
        pause = 0.05
        while not (found := function()):
            if time.monotonic() > deadline:
                self.fail(f'It did not happen: {what}')
            time.sleep(pause)
            # Whoever asks all the time keeps others from their work.
            pause = min(1.2 * pause, 0.3)
        return found

    def no_traceback(self, text: str) -> None:
        """Look whether a log is fit for an operator."""
        at = text.find('Traceback (most recent call last)')
        self.assertEqual(-1, at, text[max(0, at - 500):at + 3000])

    # HTTP

    def ask(self, method: str, path: str, status: int | None = None, *,
            token: str | None = None, user: str = 'demo-admin',
            **more: Any) -> requests.Response:
        """Send a request.

        :param method: of HTTP
        :param path: of the URL
        :param status: what has to come; an error has to be well formed
        :param token: another one than the user's; empty: none
        :param user: one of :data:`keystone.USERS`
        :param more: see requests
        """
        headers = dict(more.pop('headers', {}))
        if token != '':
            headers['X-Auth-Token'] = token or self.deployed.token(user)
        answer = requests.request(method, self.deployed.api.url + path,
                                  headers=headers, timeout=PATIENCE, **more)
        if status is not None:
            self.assertEqual(status, answer.status_code,
                             f'{method} {path}: {answer.text[:1000]}')
        if answer.status_code >= 400:
            self.assertIn('application/json',
                          answer.headers['Content-Type'], answer.text)
            self.check_error(answer.status_code, answer.json())
        self.assertTrue(answer.headers.get('X-Openstack-Request-Id'))
        return answer

    def check_error(self, status: int, body: Any) -> str:
        """Look whether an error has the one shape.

        :returns: its message
        """
        self.assertEqual(['error'], list(body))
        self.assertEqual({'code', 'title', 'message'}, set(body['error']))
        self.assertEqual(status, body['error']['code'])
        self.assertTrue(body['error']['title'])
        message = body['error']['message']
        self.assertTrue(message)
        self.assertNotIn('Traceback', message)
        return str(message)

    def post(self, issue: str = ISSUE, user: str = 'demo-admin',
             **more: Any) -> str:
        """Ask for an analysis.

        :returns: its id
        """
        answer = self.ask('POST', '/v1/analyses', 202, user=user,
                          json={'issue': issue, **more})
        return str(answer.json()['id'])

    def show(self, analysis: str) -> dict[str, Any]:
        """An analysis as it is now."""
        document: dict[str, Any] = self.ask(
            'GET', f'/v1/analyses/{analysis}', 200).json()
        return document

    def _show_in(self, analysis: str, *states: str) -> dict[str, Any] | None:
        found = self.show(analysis)
        return found if found['status'] in states else None

    def wait_running(self, analysis: str) -> dict[str, Any]:
        """Wait until an engine works on an analysis."""
        return self.wait_for(
            f'{analysis} is running',
            lambda: self._show_in(analysis, 'running'))

    def wait_complete(self, analysis: str) -> dict[str, Any]:
        """Wait for the report."""
        found = self.wait_finished(analysis)
        self.assertEqual('complete', found['status'],
                         str(found.get('error')))
        self.assertIsNone(found['error'])
        return found

    def wait_failed(self, analysis: str) -> str:
        """Wait for the end of an analysis that cannot be done.

        :returns: the reason
        """
        found = self.wait_finished(analysis)
        self.assertEqual('failed', found['status'])
        self.assertIsNone(found['verdict'])
        message: str = found['error']['message']
        self.assertTrue(message)
        return message

    def wait_finished(self, analysis: str) -> dict[str, Any]:
        """Wait for the end of an analysis, however it ends."""
        return self.wait_for(
            f'{analysis} is finished',
            lambda: self._show_in(analysis, 'complete', 'failed'))

    # The command

    def login(self, user: str = 'demo-admin') -> dict[str, str]:
        """What tells the command who asks."""
        return self.deployed.cloud.cloud_environment(user)

    def command(self, *words: str, environment: dict[str, str] | None = None
                ) -> subprocess.Popen[str]:
        """Start ``openstack rca``.

        :param words: what follows
        :param environment: the login, by default that of ``demo-admin``
        """
        self.deployed.register()
        return subprocess.Popen(
            [str(pathlib.Path(sys.executable).parent / 'openstack'), 'rca',
             *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.tmp,
            env={**os.environ, **(self.login() if environment is None
                                  else environment)})

    def end(self, process: subprocess.Popen[str], status: int = 0
            ) -> tuple[str, str]:
        """Wait for a command.

        :param process: the command
        :param status: how it has to end
        :returns: what it said on stdout and stderr
        """
        try:
            out, err = process.communicate(timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f'It does not end: {process.args!r} {out} {err}')
        self.assertEqual(status, process.returncode,
                         f'{process.args!r}\n{out[-2000:]}\n{err}')
        self.no_traceback(err)
        self.assertNotIn('This is a bug', err)
        return out, err

    def rca(self, *words: str, user: str = 'demo-admin') -> str:
        """Run ``openstack rca`` to its good end.

        :returns: what it printed
        """
        return self.end(self.command(
            *words, environment=self.login(user)))[0]

    def rca_json(self, *words: str) -> Any:
        """Run ``openstack rca`` with ``-f json``."""
        return json.loads(self.rca(*words, '-f', 'json'))

    def refused(self, *words: str, user: str = 'demo-admin') -> str:
        """Run ``openstack rca`` to its bad end.

        :returns: the message
        """
        out, err = self.end(self.command(
            *words, environment=self.login(user)), status=1)
        self.assertEqual('', out)
        self.assertTrue(err.strip())
        return err
