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
"""Tests of what analyze does with a language model, from logs to answer."""

import argparse
import io
import json
import pathlib
from typing import Any
from unittest import mock

from osc_lib import exceptions

from openstack_rca.osc.v1 import analyze
from openstack_rca.tests import base
from openstack_rca.tests.unit.llms import standin

#: Words of a service whose database is gone; a secret is among them.
_LOG = """\
2026-11-21 03:00:01.000 10 INFO nova.conductor.manager [-] Started
2026-11-21 03:00:10.000 10 ERROR nova.servicegroup.drivers.db [-] Unexpected \
error: DBConnectionError: (pymysql.err.OperationalError) (2003, "Can't \
connect to MySQL server on 'db7.corp.example' ([Errno 111] Connection \
refused)") mysql+pymysql://nova:hunter2secret@db7.corp.example/nova
"""


class AnalyzeTest(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.model = self.useFixture(standin.Model(standin.claims(
            ('Connections to the database were refused.', ['E1']),
            ('The database was hacked.', ['E1']))))
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        (self.logs / 'nova-conductor.log').write_text(_LOG)
        home = self.tmp / 'home'
        (home / '.openstack-rca').mkdir(parents=True)
        self._env('HOME', str(home))
        self.file = home / '.openstack-rca' / 'openstack-rca.conf'
        self._configure('openai')

    def _configure(self, backend: str) -> None:
        self.file.write_text(
            f'[DEFAULT]\nstate_path = {self.tmp}/none\n'
            f'[llm]\nbackend = {backend}\nmodel = some-model\n'
            f'base_url = {self.model.url}/v1\nretries = 0\n')

    def _run(self, *arguments: str) -> str:
        app = mock.Mock()
        app.stdout = io.StringIO()
        command = analyze.Analyze(app, argparse.Namespace())
        parser = command.get_parser('openstack rca analyze')
        self.assertEqual(0, command.run(parser.parse_args(list(arguments))))
        text: str = app.stdout.getvalue()
        return text

    def _local(self, *arguments: str) -> str:
        return self._run('--log-dir', str(self.logs), '--no-cache',
                         *arguments)

    def test_a_report_in_words(self) -> None:
        document = json.loads(self._local('-f', 'json'))
        told = document['narrative']
        self.assertEqual('openai', told['backend'])
        self.assertEqual('Connections to the database were refused (E1).',
                         told['text'])
        self.assertEqual(1, len(told['dropped']))
        self.assertGreater(
            document['statistics']['seconds']['narrate'], 0)
        asked = json.dumps(self.model.asked)
        self.assertNotIn('hunter2secret', asked)
        self.assertNotIn('db7', asked)
        page = self._local()
        self.assertIn('IN WORDS', page)
        self.assertIn('Written by some-model', page)
        self.assertIn('1 sentence of the model dropped', page)

    def test_a_dry_run(self) -> None:
        shown: dict[str, Any] = json.loads(self._local('--dry-run-llm'))
        self.assertEqual([], self.model.asked)
        self.assertEqual('some-model', shown['body']['model'])
        self.assertNotIn('hunter2secret', json.dumps(shown))
        self._local()
        self.assertEqual(shown['body'], self.model.asked[0])

    def test_a_dry_run_without_a_model(self) -> None:
        self._configure('none')
        shown = json.loads(self._local('--dry-run-llm'))
        self.assertIsNone(shown['body'])
        self.assertIn('nothing leaves', shown['reason'])

    def test_a_dry_run_needs_a_folder(self) -> None:
        error = self.assertRaises(exceptions.CommandError, self._run,
                                  '--dry-run-llm', '--issue', 'x')
        self.assertIn('--log-dir', str(error))

    def test_a_backend_that_is_not_there(self) -> None:
        self._configure('gpt')
        error = self.assertRaises(exceptions.CommandError, self._local,
                                  '--dry-run-llm')
        self.assertIn("no driver 'gpt'", str(error))
        document = json.loads(self._local('-f', 'json'))
        self.assertEqual('none', document['narrative']['backend'])
        self.assertIn("no driver 'gpt'", document['skipped'][0]['reason'])

    def test_nothing_is_written_beside_the_cache(self) -> None:
        self._local()
        cache = self.tmp / 'xdg' / 'cache' / 'openstack-rca'
        self.assertEqual(['llm.sqlite'], [
            p.name for p in cache.iterdir() if p.is_file()])
        self.assertTrue(pathlib.Path(cache / 'llm.sqlite').stat().st_size)
