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
"""Measure the service: a real Keystone, MariaDB, RabbitMQ, uWSGI and engine.

Used by ``bench.py``. All servers listen on the loopback, with data of their
own, and are stopped at the end.
"""

from collections.abc import Iterator
import contextlib
import datetime
import json
import pathlib
import re
import statistics
import tempfile
import threading
import time
from typing import Any
import uuid

import requests

from openstack_rca.db import models
from openstack_rca.db import session

# Chooses threads first, as every program of the project does.
import openstack_rca.tests  # noqa: F401
from openstack_rca.tests.functional.servers import base
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import mariadb
from openstack_rca.tests.functional.servers import rabbitmq
from openstack_rca.tests.functional.servers import service

EXAMPLE = (pathlib.Path(__file__).resolve().parent.parent / 'examples'
           / 'no-valid-host' / 'logs')
ISSUE = 'server web-3 went to ERROR'
EVENTS = 1_000_000
QUESTIONS = 40
LISTED = 100_000
CLIENTS = 50
MINUTES = 5.0

_STAMP = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})')
_REQUEST = re.compile(r'req-[0-9a-f]{8}')
#: When the recorded failure begins.
_ONSET = datetime.datetime(2026, 11, 21, 5, 8, 5)


def make_logs(folder: pathlib.Path, events: int,
              every: datetime.timedelta | None = None) -> None:
    """The recorded failure, after a long quiet time of the same cloud.

    The quiet part of the recording is repeated before it, each time earlier
    and with request ids of its own.

    :param folder: where the logs go
    :param events: how many events about
    :param every: how much earlier; so much that nothing overlaps where it
        is None
    """
    quiet: list[tuple[str, list[tuple[datetime.datetime, str]]]] = []
    first = _ONSET
    count = 0
    for path in sorted(EXAMPLE.glob('*.log')):
        lines = path.read_text(errors='replace').splitlines(keepends=True)
        (folder / path.name).write_text('')
        kept = []
        for line in lines:
            match = _STAMP.match(line)
            if not match:
                continue
            moment = datetime.datetime.fromisoformat(match[1])
            if moment < _ONSET:
                first = min(first, moment)
                kept.append((moment, line[len(match[1]):]))
        if kept:
            quiet.append((path.name, kept))
            count += len(kept)
    step = every or _ONSET - first
    for name, kept in quiet:
        rows = [(moment - copy * step, copy, rest)
                for copy in range(events // count, 0, -1)
                for moment, rest in kept]
        if every:
            rows.sort(key=lambda row: row[0])
        with (folder / name).open('a') as out:
            for moment, copy, rest in rows:
                out.write(moment.isoformat(' ', 'milliseconds')
                          + _REQUEST.sub(f'req-{copy:08x}', rest))
    for path in sorted(EXAMPLE.glob('*.log')):
        with (folder / path.name).open('a') as out:
            out.write(path.read_text(errors='replace'))


@contextlib.contextmanager
def deployment(events: int) -> Iterator[tuple[
        service.Service, dict[str, str], str]]:
    """A whole service over so many events.

    :param events: how many, about; 0 starts no engine
    :returns: the service, the headers of a caller, and their project
    """
    with contextlib.ExitStack() as stack:
        servers: list[Any] = [
            keystone.Keystone(), mariadb.MariaDB(), rabbitmq.RabbitMQ()]
        for server in servers:
            if (missing := server.missing()) is not None:
                raise base.ServerError(missing)
            server.setUp()
            stack.callback(server.cleanUp)
        cloud, database, bus = servers
        folder = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix='openstack-rca-bench-')))
        (folder / 'logs').mkdir()
        if events:
            make_logs(folder / 'logs', events)
        made = service.Service(
            folder, database.create_database(), {'logs': folder / 'logs'},
            cloud, {'DEFAULT': {'transport_url': bus.create_virtual_host()}})
        stack.callback(made.stop)
        made.sync()
        made.start_api()
        made.use_database()
        stack.callback(session.dispose)
        headers = {'X-Auth-Token': cloud.token('demo-admin')}
        if events:
            made.start_engine()
        yield made, headers, cloud.project_id('demo')


def ask(url: str, headers: dict[str, str],
        http: requests.Session) -> tuple[float, dict[str, Any]]:
    """Ask, and wait for the report as a client does.

    :returns: seconds from the question to the whole report, and the report
    """
    start = time.perf_counter()
    answer = http.post(f'{url}/v1/analyses', headers=headers,
                       json={'issue': ISSUE}, timeout=60)
    answer.raise_for_status()
    where = f'{url}/v1/analyses/{answer.json()["id"]}'
    pause = 0.1
    while True:
        time.sleep(pause)
        answer = http.get(where, headers=headers, timeout=60)
        answer.raise_for_status()
        report = answer.json()
        if report['status'] in ('complete', 'failed'):
            return time.perf_counter() - start, report
        pause = min(2 * pause, 0.2)


def _read(made: service.Service, headers: dict[str, str]) -> int:
    """How many events the engine holds, once it has read all of them."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        found = requests.get(f'{made.api.url}/v1/sources', headers=headers,
                             timeout=60).json()['sources']
        if found and found[0]['status'] == 'ready':
            return int(found[0]['events'])
        time.sleep(1.0)
    raise RuntimeError('The engine did not read its logs in 10 minutes.')


def _memory(made: service.Service) -> dict[str, int]:
    """Bytes held by the API and by the engine, with all their processes."""
    held = {}
    for name, pid in (('API', made.api.pid),
                      ('engine', made.engines[0].pid)):
        total = 0
        for child in {pid, *(found[0] for found in base.descendants(pid))}:
            with contextlib.suppress(OSError):
                total += int(pathlib.Path(f'/proc/{child}/statm').read_text()
                             .split()[1]) * 4096
        held[name] = total
    return held


def bench_service(_: pathlib.Path | None) -> list[list[str]]:
    """A question, from POST to the complete report."""
    with deployment(EVENTS) as (made, headers, _project):
        events = _read(made, headers)
        http = requests.Session()
        verdicts = set()
        for _ in range(3):
            ask(made.api.url, headers, http)
        times = []
        for _ in range(QUESTIONS):
            seconds, report = ask(made.api.url, headers, http)
            times.append(seconds)
            verdicts.add((report['status'], report['verdict']))
    if verdicts != {('complete', 'cause_found')}:
        raise RuntimeError(f'The reports are not what they were: {verdicts}')
    return [[f'POST to complete report, {events:,} events, warm engine: '
             'median', f'{statistics.median(times):.2f} s', '1.5 s', ''],
            ['  95th percentile',
             f'{statistics.quantiles(times, n=20)[-1]:.2f} s', '3 s',
             f'{QUESTIONS} questions']]


def bench_list(_: pathlib.Path | None) -> list[list[str]]:
    """A page of a hundred among a hundred thousand analyses."""
    with deployment(0) as (made, headers, project):
        moment = datetime.datetime(2026, 1, 1)
        with session.writer() as connection:
            for start in range(0, LISTED, 5000):
                connection.execute(models.ANALYSES.insert(), [{
                    'id': str(uuid.uuid4()), 'project_id': project,
                    'user_id': uuid.uuid4().hex, 'status': 'complete',
                    'verdict': 'cause_found', 'issue': ISSUE,
                    'mode': 'fast', 'category': 'capacity',
                    'component': 'compute-capacity', 'severity': 'medium',
                    'confidence': 0.9, 'summary': 'No host was found. ' * 5,
                    'created_at': moment + datetime.timedelta(
                        seconds=start + number),
                    'report': json.dumps({'padding': 'x' * 2000})}
                    for number in range(5000)])
        http = requests.Session()
        times: dict[str, list[float]] = {'first': [], 'later': []}
        marker = ''
        for number in range(200):
            for name, params in (
                    ('first', {'limit': '100'}),
                    ('later', {'limit': '100', 'marker': marker})):
                if number == 0 and name == 'later':
                    continue
                begin = time.perf_counter()
                answer = http.get(f'{made.api.url}/v1/analyses',
                                  headers=headers, params=params, timeout=60)
                times[name].append(time.perf_counter() - begin)
                answer.raise_for_status()
                found = answer.json()['analyses']
                if len(found) != 100:
                    raise RuntimeError('A page has not 100 rows.')
                marker = found[-1]['id']
    return [[f'GET of a list of 100 among {LISTED:,} analyses, MariaDB: '
             'median', f'{statistics.median(times["first"]) * 1e3:.1f} ms',
             '20 ms', ''],
            ['  further pages, by marker',
             f'{statistics.median(times["later"]) * 1e3:.1f} ms', '20 ms',
             f'{len(times["later"])} pages']]


def bench_soak(_: pathlib.Path | None) -> list[list[str]]:
    """Many clients at once, for minutes."""
    errors: list[str] = []
    times: list[float] = []
    held = []
    with deployment(EVENTS) as (made, headers, _project):
        _read(made, headers)
        end = time.monotonic() + MINUTES * 60

        def client() -> None:
            http = requests.Session()
            while time.monotonic() < end:
                try:
                    seconds, report = ask(made.api.url, headers, http)
                except (requests.RequestException, ValueError,
                        KeyError) as error:
                    errors.append(repr(error)[:200])
                    time.sleep(1.0)
                    continue
                times.append(seconds)
                if report['status'] != 'complete':
                    errors.append(str(report['error'])[:200])

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            held.append(_memory(made))
            time.sleep(5.0)
        with session.reader() as connection:
            states = dict(connection.exec_driver_sql(
                'SELECT state, COUNT(*) FROM jobs GROUP BY state').fetchall())
            again = connection.exec_driver_sql(
                'SELECT COUNT(*) FROM jobs WHERE attempts > 1').scalar()
    for error in sorted(set(errors))[:5]:
        print(f'  error: {error}')
    lost = sum(states.values()) - states.get('complete', 0)
    third = max(1, len(held) // 3)
    rows = [[f'{CLIENTS} clients for {MINUTES:.0f} minutes: errors',
             str(len(errors)), '0',
             f'{len(times)} reports, median {statistics.median(times):.1f} '
             's'],
            ['  jobs that are not complete, or were done twice',
             f'{lost}, {again}', '0, 0', '']]
    for name in ('API', 'engine'):
        rows.append([
            f'  memory of the {name}, second and last third, at most',
            ' and '.join(
                f'{max(h[name] for h in part) / (1 << 20):.0f} MiB'
                for part in (held[third:2 * third], held[2 * third:])),
            'flat', ''])
    return rows
