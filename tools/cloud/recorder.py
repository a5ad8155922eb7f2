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
"""Record what a cloud logs, sends and answers between two moments."""

import contextlib
import datetime
import json
import pathlib
import re
import shutil
from typing import Any

from tools.cloud import layout

# The services write milliseconds, RabbitMQ more, MariaDB none.
_TIME = re.compile(r'(\d{4}-\d\d-\d\d) +(\d\d?:\d\d:\d\d(?:\.\d+)?)')

# Access logs tell of requests, not of faults.
_ACCESS = '.uwsgi.log'


class Recording:
    """What comes from its making to :meth:`save`.

    :param cloud: which
    :param folder: what it becomes: ``logs``, ``notifications.jsonl``,
        ``ops.jsonl``, ``truth.json``; an older one in its place goes
    :param operations: where the load writes
    """

    def __init__(self, cloud: layout.Layout, folder: pathlib.Path,
                 operations: pathlib.Path) -> None:
        self._cloud = cloud
        self.folder = folder
        self._operations = operations
        self._since = {path: path.stat().st_size for path in self._files()}

    def _files(self) -> list[pathlib.Path]:
        found = [path for path in sorted(self._cloud.logs.iterdir())
                 if path.is_file()]
        return [path for path in (*found, self._cloud.notifications,
                                  self._operations) if path.exists()]

    def save(self, truth: dict[str, Any]) -> None:
        """Write the slices of all files, and the truth.

        :param truth: what was done, and when
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        logs = self.folder / 'logs'
        logs.mkdir(parents=True)
        names = {self._cloud.notifications: 'notifications.jsonl',
                 self._operations: 'ops.jsonl'}
        for path in self._files():
            with path.open('rb') as source:
                source.seek(self._since.get(path, 0))
                slice_ = source.read()
            if slice_:
                target = (self.folder / names[path] if path in names
                          else logs / path.name)
                target.write_bytes(slice_)
        truth = {**truth, **self._failures(truth)}
        (self.folder / 'truth.json').write_text(
            json.dumps(truth, indent=2) + '\n')

    def _failures(self, truth: dict[str, Any]) -> dict[str, Any]:
        """What the load says of operations that ended after the fault."""
        injected = truth.get('injected_at')
        path = self.folder / 'ops.jsonl'
        failed, before = [], 0
        if path.exists():
            for line in path.read_text().splitlines():
                done = json.loads(line)
                if done['ok'] or done['wf'] == 'mistake':
                    continue
                ended = (datetime.datetime.fromisoformat(done['t'])
                         + datetime.timedelta(seconds=done['dt']))
                if injected and ended >= datetime.datetime.fromisoformat(
                        injected):
                    failed.append(done)
                else:
                    before += 1
        return {
            'failed_operations': len(failed),
            'failed_operations_before': before,
            'failed_request_ids': sorted({
                one for done in failed for one in done['req_ids'] if one}),
            'failed_instance_ids': sorted({
                done['ids']['server'] for done in failed
                if 'server' in done['ids']})}


def first_line(folder: pathlib.Path, since: str, tells: Any
               ) -> tuple[datetime.datetime, str, str] | None:
    """Find the first line that tells of a fault.

    :param folder: of a recording
    :param since: when it was made
    :param tells: a function that knows such a line
    :returns: its time, its file and itself
    """
    # Logs have milliseconds.
    begun = datetime.datetime.fromisoformat(since)
    begun -= datetime.timedelta(microseconds=begun.microsecond % 1000)
    best: tuple[datetime.datetime, str, str] | None = None
    for path in sorted((folder / 'logs').glob('*.log')):
        if path.name.endswith(_ACCESS):
            continue
        with path.open(errors='replace') as lines:
            for line in lines:
                found = _TIME.match(line)
                if found is None or not tells(line):
                    continue
                with contextlib.suppress(ValueError):
                    when = datetime.datetime.fromisoformat(
                        f'{found[1]}T{found[2]:0>8}+00:00')
                    if when < begun:
                        continue
                    if best is None or when < best[0]:
                        best = (when, path.name, line.rstrip()[:500])
                    break
    return best
