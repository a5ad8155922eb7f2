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
"""Tests of openstack-rca-status."""

import contextlib
import io
import json
import os
import pathlib
from unittest import mock

from openstack_rca import exception
from openstack_rca.cmd import status
from openstack_rca.db import migration
from openstack_rca.db import session
from openstack_rca.tests import base
from openstack_rca.tests import standin


class StatusTest(base.TestCase):
    """Each check, and what the whole command says."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(session.dispose)
        session.dispose()
        self.state = self.tmp / 'state'
        self.state.mkdir(mode=0o700)
        self.logs = self.tmp / 'logs'
        (self.logs / 'nova').mkdir(parents=True)
        (self.logs / 'nova' / 'nova-api.log').write_text('')
        self.policy = self.tmp / 'policy.yaml'
        self.options: dict[tuple[str, str], object] = {
            ('DEFAULT', 'state_path'): self.state,
            ('database', 'connection'):
                f'sqlite:///{self.state}/openstack-rca.sqlite',
            ('sources', 'log_dirs'): f'all:{self.logs}',
            ('oslo_policy', 'policy_file'): self.policy}

    def _file(self) -> pathlib.Path:
        path = self.tmp / 'rca.conf'
        path.write_text(''.join(
            f'[{group}]\n{name} = {value}\n'
            for (group, name), value in self.options.items()))
        return path

    def _sync(self) -> None:
        self.conf(['--config-file', str(self._file())])
        migration.sync()
        session.dispose()

    def _run(self, *words: str) -> tuple[int, str, str]:
        stdout, stderr = io.StringIO(), io.StringIO()
        with (contextlib.redirect_stdout(stdout),
              contextlib.redirect_stderr(stderr)):
            code = status.run(['--config-file', str(self._file()), *words])
        session.dispose()
        self.assertNotIn('Traceback', stdout.getvalue() + stderr.getvalue())
        return code, stdout.getvalue(), stderr.getvalue()

    def _check(self, name: str) -> tuple[int, str]:
        """Result and details of one check."""
        code, stdout, stderr = self._run('upgrade', 'check', '--json')
        self.assertEqual('', stderr)
        found = json.loads(stdout)['checks']
        self.assertEqual(max(check['result'] for check in found), code)
        for check in found:
            if check['check'] == name:
                return check['result'], check['details'] or ''
        raise AssertionError(f'there is no check {name}: {stdout}')

    def test_all_is_well(self) -> None:
        self._sync()
        code, stdout, stderr = self._run('upgrade', 'check')
        self.assertEqual((0, ''), (code, stderr))
        self.assertEqual(6, stdout.count('Result: Success'))

    def test_cloud(self) -> None:
        there = self.useFixture(standin.StandIn())
        self.options |= {('cloud', name): value
                         for name, value in there.options().items()}
        self.assertEqual((status.SUCCESS, ''), self._check('Cloud'))
        there.answers['compute'] = (403, {})
        result, details = self._check('Cloud')
        self.assertEqual(status.WARNING, result)
        self.assertIn('nova refused (403)', details)
        there.login = 401
        result, details = self._check('Cloud')
        self.assertEqual(status.WARNING, result)
        self.assertIn('keystone refused (401)', details)
        self.assertNotIn('secret-of-the-cloud', details)

    def test_cloud_without_credentials(self) -> None:
        self.assertEqual(status.SUCCESS, self._check('Cloud')[0])
        self.options['cloud', 'auth_type'] = 'password'
        result, details = self._check('Cloud')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('[cloud]', details)

    def test_database_is_missing(self) -> None:
        result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('db sync', details)
        # Looking made none.
        self.assertEqual([], os.listdir(self.state))

    def test_database_is_empty(self) -> None:
        (self.state / 'openstack-rca.sqlite').write_bytes(b'')
        result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('no tables', details)
        self.assertIn('db sync', details)

    def test_database_of_another_release(self) -> None:
        self._sync()
        with mock.patch.object(migration, 'head', lambda: 'next'):
            result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn("works with 'next'", details)
        self.assertIn('db sync', details)

    def test_database_is_damaged(self) -> None:
        (self.state / 'openstack-rca.sqlite').write_bytes(b'no rows' * 999)
        result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('damaged', details)
        self.assertNotIn('PRAGMA', details)

    def test_database_is_away(self) -> None:
        self.options['database', 'connection'] = (
            'mysql+pymysql://rca:sesame@127.0.0.1:1/rca')
        result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('database', details)
        self.assertNotIn('sesame', details)

    def test_database_is_no_url(self) -> None:
        self.options['database', 'connection'] = 'sesame'
        result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('[database] connection', details)
        self.assertNotIn('sesame', details)

    def test_policy_file_that_is_good(self) -> None:
        self.policy.write_text(
            '"rca:analyses:list": "role:admin or role:auditor"\n'
            '"auditors": "role:auditor"\n')
        self.assertEqual((status.SUCCESS, ''), self._check('Policy file'))

    def test_policy_file_that_is_no_yaml(self) -> None:
        self.policy.write_text('"rca:analyses:list": [')
        result, details = self._check('Policy file')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('cannot be used', details)

    def test_policy_rule_that_does_not_end(self) -> None:
        self.policy.write_text('"rca:analyses:list": "rule:a"\n'
                               '"a": "rule:rca:analyses:list"\n')
        self.assertEqual(status.FAILURE, self._check('Policy file')[0])

    def test_policy_rule_that_is_not_there(self) -> None:
        self.policy.write_text('"rca:analysis:list": "role:admin"\n')
        result, details = self._check('Policy file')
        self.assertEqual(status.WARNING, result)
        self.assertIn('rca:analysis:list', details)

    def test_policy_file_in_json(self) -> None:
        self.policy.write_text('{"rca:analyses:list": "role:admin"}')
        result, details = self._check('Policy file JSON to YAML migration')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('oslopolicy-convert-json-to-yaml', details)

    def test_no_source(self) -> None:
        self.options['sources', 'log_dirs'] = ''
        result, details = self._check('Sources')
        self.assertEqual(status.SUCCESS, result)
        self.assertIn('reads nothing', details)

    def test_source_that_is_not_there(self) -> None:
        self.options['sources', 'log_dirs'] = (
            f'all:{self.logs},net:{self.tmp}/nowhere')
        result, details = self._check('Sources')
        self.assertEqual(status.WARNING, result)
        self.assertIn(f'net: {self.tmp}/nowhere does not exist', details)
        self.assertNotIn('all:', details)

    def test_sources_that_cannot_be_read(self) -> None:
        # Root can read everything: the system's answer is played.
        real = os.access
        for refused, told in (
                (self.logs, 'cannot be looked into'),
                (self.logs / 'nova', '1 of 2 files and folders'),
                (self.logs / 'nova' / 'nova-api.log', 'nova-api.log among')):

            def access(path: object, mode: int,
                       refused: pathlib.Path = refused) -> bool:
                return str(path) != str(refused) and real(str(path), mode)

            with mock.patch.object(os, 'access', access):
                result, details = self._check('Sources')
            self.assertEqual(status.WARNING, result)
            self.assertIn(told, details)
            self.assertIn('user of the engine', details)

    def test_source_that_is_a_file(self) -> None:
        log = self.logs / 'nova' / 'nova-api.log'
        self.options['sources', 'log_dirs'] = f'one:{log}'
        self.assertEqual((status.SUCCESS, ''), self._check('Sources'))
        with mock.patch.object(os, 'access', lambda path, mode: False):
            result, details = self._check('Sources')
        self.assertEqual(status.WARNING, result)
        self.assertIn('cannot be read', details)

    def test_name_with_control_characters(self) -> None:
        (self.logs / 'a\x1b[31mb').write_text('')
        real = os.access
        with mock.patch.object(
                os, 'access', lambda path, mode:
                '\x1b' not in str(path) and real(path, mode)):
            result, details = self._check('Sources')
        self.assertEqual(status.WARNING, result)
        self.assertNotIn('\x1b', details)

    def test_link_to_nowhere(self) -> None:
        (self.logs / 'old.log').symlink_to(self.tmp / 'gone')
        self.assertEqual((status.SUCCESS, ''), self._check('Sources'))

    def test_state_folder_is_open_to_others(self) -> None:
        self.state.chmod(0o750)
        result, details = self._check('State folder')
        self.assertEqual(status.WARNING, result)
        self.assertIn(f'chmod 0700 {self.state}', details)

    def test_state_folder_of_somebody_else(self) -> None:
        real = os.access
        with mock.patch.object(
                os, 'access', lambda path, mode:
                path != self.state and real(path, mode)):
            result, details = self._check('State folder')
        self.assertEqual(status.WARNING, result)
        self.assertIn('cannot be written to', details)

    def test_state_folder_that_the_engine_will_make(self) -> None:
        self.options['DEFAULT', 'state_path'] = self.tmp / 'later'
        self.assertEqual(status.SUCCESS, self._check('State folder')[0])

    def test_configuration_is_wrong(self) -> None:
        self.options['engine', 'workers'] = 'many'
        code, stdout, stderr = self._run('upgrade', 'check')
        self.assertEqual((255, ''), (code, stdout))
        self.assertIn('workers', stderr)

    def test_configuration_is_not_there(self) -> None:
        code, _, stderr = self._run(
            '--config-file', str(self.tmp / 'no.conf'), 'upgrade', 'check')
        self.assertEqual(255, code)
        self.assertIn('no.conf', stderr)

    def test_a_bug_is_told_as_one(self) -> None:
        self._sync()
        with mock.patch.object(migration, 'version', autospec=True,
                               side_effect=KeyError(7)):
            code, _, stderr = self._run('upgrade', 'check')
        self.assertEqual(255, code)
        self.assertIn('bug in openstack_rca: KeyError', stderr)

    def test_errors_that_are_expected_are_results(self) -> None:
        self._sync()
        with mock.patch.object(
                migration, 'version', autospec=True,
                side_effect=exception.DatabaseUnavailable(reason='gone.')):
            result, details = self._check('Database schema')
        self.assertEqual(status.FAILURE, result)
        self.assertIn('gone.', details)
