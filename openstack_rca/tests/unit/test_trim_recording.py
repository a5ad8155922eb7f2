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

import contextlib
import importlib.util
import io
import json
import pathlib
import tarfile

from openstack_rca.tests import base

TOOL = pathlib.Path(__file__).parents[3] / 'tools' / 'trim_recording.py'
LINE = '2026-11-21 03:0{}:00.000 1 {} nova.compute.manager [-] {}\n'
TOKEN = 'gAAAA' + 'x' * 60


class TrimRecordingTestCase(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        spec = importlib.util.spec_from_file_location('trim_recording', TOOL)
        assert spec is not None and spec.loader is not None
        self.tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.tool)
        self.logs = self.tmp / 'logs'
        self.logs.mkdir()
        (self.logs / 'nova-compute.log').write_text(
            LINE.format(1, 'INFO', 'early') + LINE.format(2, 'ERROR', 'bad')
            + 'Traceback (most recent call last):\n  line\nKeyError: 1\n'
            + LINE.format(3, 'INFO', 'good') + LINE.format(5, 'INFO', 'late'))
        self.notify({})

    def notify(self, context: dict[str, str]) -> None:
        """A notification in the time that is kept."""
        (self.logs / 'notifications.jsonl').write_text(json.dumps({
            'priority': 'info', 'publisher_id': 'compute.c1',
            'event_type': 'compute.instance.create.end', 'message_id': '1',
            'timestamp': '2026-11-21 03:02:30.000000', 'payload': {
                'state': 'active', 'spec': [context]}}) + '\n')

    def trim(self, *more: str) -> tuple[int, dict[str, str]]:
        """What is in the archive."""
        target = self.tmp / 'made.tar.xz'
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()) as said:
            status = self.tool.main([
                str(self.logs), str(target), '--since', '2026-11-21T03:02Z',
                '--until', '2026-11-21T04:04+01:00', *more])
        if status:
            return status, {'stderr': said.getvalue()}
        with tarfile.open(target) as archive:
            return status, {
                m.name: (archive.extractfile(m) or io.BytesIO())
                .read().decode() for m in archive}

    def test_whole_records_of_a_time(self) -> None:
        status, files = self.trim()
        self.assertEqual(0, status)
        self.assertEqual(['notifications.jsonl', 'nova-compute.log'],
                         sorted(files))
        self.assertEqual(
            LINE.format(2, 'ERROR', 'bad')
            + 'Traceback (most recent call last):\n  line\nKeyError: 1\n'
            + LINE.format(3, 'INFO', 'good'), files['nova-compute.log'])
        made = (self.tmp / 'made.tar.xz').read_bytes()
        self.trim()
        self.assertEqual(made, (self.tmp / 'made.tar.xz').read_bytes())

    def test_some_files(self) -> None:
        self.assertEqual(['notifications.jsonl'],
                         list(self.trim('--only', '*.jsonl')[1]))
        self.assertEqual(['nova-compute.log'],
                         list(self.trim('--without', 'notif*')[1]))

    def test_no_credentials(self) -> None:
        self.notify({'auth_token': TOKEN, 'user': 'alice'})
        row = json.loads(self.trim()[1]['notifications.jsonl'])
        self.assertEqual([{'user': 'alice'}], row['payload']['spec'])
        self.notify({'elsewhere': TOKEN})
        status, told = self.trim()
        self.assertEqual(1, status)
        self.assertIn('notifications.jsonl holds a token', told['stderr'])

    def test_no_folder(self) -> None:
        self.logs = self.tmp / 'missing'
        status, told = self.trim()
        self.assertEqual(1, status)
        self.assertIn('missing', told['stderr'])
