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
"""Runs of a small cloud, written as logs and read by the real parser."""

from collections.abc import Sequence
import dataclasses
import datetime
import pathlib

from openstack_rca.detectors import base as detectors
from openstack_rca.engine import local
from openstack_rca.store import base as stores

T = datetime.datetime(2026, 11, 21, 2, 0)
#: Seconds from the start of a run to that of the next, and how long it is.
APART = 600.0
LENGTH = 60.0
#: Requests of a run, and seconds between them.
REQUESTS = 8
EVERY = 5.0


def line(second: float, logger: str, text: str, level: str = 'INFO',
         request: str = '-') -> str:
    """A line as oslo.log writes it."""
    moment = T + datetime.timedelta(seconds=second)
    context = '-' if request == '-' else (
        f'{request} {"1" * 32} {"2" * 32} - default default')
    return (f'{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} '
            f'7 {level} {logger} [{context}] {text}')


def request_id(run: int, number: int) -> str:
    return f'req-00000000-0000-4000-8000-{run:06d}{number:06d}'


def server_id(run: int, number: int) -> str:
    return f'5e7fe700-0000-4000-8000-{run:06d}{number:06d}'


def access(second: float, request: str, method: str, path: str,
           status: int = 202, size: int = 500, took: float = 0.2) -> str:
    """A line of the access log of nova-api."""
    return line(second, 'nova.osapi_compute.wsgi.server',
                f'10.0.0.9 "{method} {path} HTTP/1.1" status: {status} '
                f'len: {size} time: {took:.7f}', request=request)


@dataclasses.dataclass
class Run:
    """What nova-api and nova-compute log while servers are rebooted.

    :param number: of the run, from 0 on
    :param silent: numbers of the requests that nova-compute never hears of
    :param stuck: numbers of those whose server never resumes
    :param took: latency of the answers
    :param api: more lines of nova-api
    :param compute: more lines of nova-compute
    """

    number: int
    silent: Sequence[int] = ()
    stuck: Sequence[int] = ()
    took: float = 0.2
    api: list[str] = dataclasses.field(default_factory=list)
    compute: list[str] = dataclasses.field(default_factory=list)

    @property
    def start(self) -> float:
        return self.number * APART

    def lines(self) -> tuple[list[str], list[str]]:
        api, compute = list(self.api), list(self.compute)
        for n in range(REQUESTS):
            at = self.start + n * EVERY
            request = request_id(self.number, n)
            server = server_id(self.number, n)
            api.append(line(at, 'nova.api.openstack.wsgi',
                            'Calling method reboot', 'DEBUG', request))
            api.append(access(at + 0.3, request, 'POST',
                              f'/v2.1/servers/{server}/action',
                              took=self.took))
            if n not in self.silent:
                compute.append(line(
                    at + 0.5, 'nova.compute.manager',
                    'Rebooting instance as asked', request=request))
            if n not in self.stuck:
                compute.append(line(
                    at + 1.5, 'nova.compute.manager', f'[instance: {server}]'
                    ' Lifecycle event resumed was received'))
        end = self.start + LENGTH
        compute.append(line(self.start, 'nova.compute.resource_tracker',
                            'Auditing locally available resources'))
        compute.append(line(end, 'nova.compute.resource_tracker',
                            'Auditing locally available resources'))
        return api, compute


def recordings(folder: pathlib.Path, runs: Sequence[Run],
               harmed: Sequence[bool | None] = ()) -> list[
                   detectors.Recording]:
    """Write runs, parse them, and give a recording of each."""
    folder.mkdir(parents=True)
    parts = [run.lines() for run in runs]
    for name, index in (('nova-api.log', 0), ('nova-compute.log', 1)):
        # A traceback follows its line, and sorting must not part them.
        (folder / name).write_text('\n'.join(sorted(
            text for part in parts for text in part[index])) + '\n')
    store = local.open_folder(folder, cache=False).store
    labels = list(harmed) or [None] * len(runs)
    return [detectors.Recording(
        f'run-{run.number}', store, stores.Query(
            since=T + datetime.timedelta(seconds=run.start),
            until=T + datetime.timedelta(seconds=run.start + LENGTH)),
        label, f'group-{run.number}')
        for run, label in zip(runs, labels, strict=True)]
