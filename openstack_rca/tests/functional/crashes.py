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
"""An engine that is killed again and again while services log.

Every line has a number, and some are errors: in the end each line has to be
in the store, once, and each error counted in one incident, once.
"""

import collections
import configparser
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

import polars as pl
import sqlalchemy as sa

from openstack_rca.db import models
from openstack_rca.engine import drivers
from openstack_rca.tests.functional.servers import base as servers
from openstack_rca.tests.functional.servers import service

_NUMBER = re.compile(r'step (\d+) of the work')
#: Seconds between two writes.
_TICK = 0.02
#: Rotated files that are kept.
_OLDER = 40
#: One line in so many is an error.
_ERRORS = 500
#: Seconds in which what is left has to be stored.
PATIENCE = 180.0


@dataclasses.dataclass
class Count:
    """What came of it.

    :param written: lines that services logged
    :param lost: those that are not in the store
    :param twice: those that are there more than once
    :param kills: how often the engine was killed
    :param incidents: how many incidents there are
    :param symptoms: how many symptoms these have
    """

    written: int
    lost: int
    twice: int
    kills: int
    incidents: int
    symptoms: int


class _Services(threading.Thread):
    """Services that log, and rotate their logs.

    :param folder: of the logs
    :param files: how many
    :param rate: lines a second, of all together
    """

    def __init__(self, folder: pathlib.Path, files: int, rate: int) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._paths = [folder / f'nova-compute-cmp{n}.log'
                       for n in range(files)]
        self._rate = rate
        self._ended = threading.Event()
        self.numbers = [0] * files
        self._random = random.Random(7)

    def run(self) -> None:
        """Log until :meth:`end`."""
        began = time.monotonic()
        written = 0
        while not self._ended.wait(_TICK):
            due = int((time.monotonic() - began) * self._rate) - written
            for place, path in enumerate(self._paths):
                share = due // len(self._paths) + (
                    place < due % len(self._paths))
                self._write(place, path, share)
                written += share
            if self._random.random() < _TICK / 5:
                self._rotate(self._random.choice(self._paths))

    def _write(self, place: int, path: pathlib.Path, count: int) -> None:
        lines = []
        for _ in range(count):
            self.numbers[place] += 1
            number = self.numbers[place]
            level = 'ERROR' if number % _ERRORS == 0 else 'INFO'
            now = datetime.datetime.now(datetime.UTC)
            lines.append(
                f'{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03} 4711 '
                f'{level} nova.compute.manager [None req-0c5bd1c7-f2a6-4f0f-'
                f'9c0a-7e9ac2f0f5a1 - - - - - -] step {number} of the work\n')
        with path.open('a') as out:
            out.write(''.join(lines))

    @staticmethod
    def _rotate(path: pathlib.Path) -> None:
        """As logrotate does, with many older files.

        What is deleted before an engine lives for long enough to read it is
        lost, and no engine can help that.
        """
        for number in range(_OLDER - 1, 0, -1):
            older = path.with_name(f'{path.name}.{number}')
            with contextlib.suppress(FileNotFoundError):
                older.rename(path.with_name(f'{path.name}.{number + 1}'))
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f'{path.name}.1'))

    def end(self) -> None:
        """Log no more."""
        self._ended.set()
        self.join()


class Crashes:
    """One engine, on SQLite and without a bus.

    :param folder: where all of it lies
    :param files: log files
    :param rate: lines a second
    :param seed: of the instants
    """

    def __init__(self, folder: pathlib.Path, files: int = 10,
                 rate: int = 1000, seed: int = 1) -> None:
        self._folder = folder
        self._logs = folder / 'logs'
        self._logs.mkdir()
        self._random = random.Random(seed)
        self._services = _Services(self._logs, files, rate)
        self._url = f'sqlite:///{folder}/rows.sqlite'
        self._config = folder / 'engine.conf'
        self._log = folder / 'engine.log'
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict({
            'DEFAULT': {'state_path': str(folder / 'state'),
                        'host': 'engine1'},
            'database': {'connection': self._url},
            'sources': {'log_dirs': f'logs:{self._logs}', 'interval': '0.3'},
            'detectors': {'enabled': 'novelty', 'watch_interval': '0.5'},
            'metrics': {'enabled': 'false'},
            'incidents': {'project_id': 'f' * 32, 'analyze': 'false',
                          'resolve_after': '0'},
            'engine': {'workers': '1'}})
        with self._config.open('w') as out:
            parser.write(out)
        self._run('openstack-rca-manage', 'db', 'sync').check_returncode()
        self._engine: subprocess.Popen[bytes] | None = None

    def _run(self, name: str,
             *words: str) -> 'subprocess.CompletedProcess[bytes]':
        return subprocess.run(
            [str(pathlib.Path(sys.executable).parent / name),
             '--config-file', str(self._config), *words],
            env=service.environment(), capture_output=True)

    def start(self) -> None:
        """Start the engine."""
        with self._log.open('ab') as log:
            self._engine = subprocess.Popen(
                [str(pathlib.Path(sys.executable).parent
                     / 'openstack-rca-engine'),
                 '--config-file', str(self._config)],
                env=service.environment(), stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill all of its processes at once."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        for pid, _ in servers.descendants(engine.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        engine.kill()
        engine.wait()

    def run(self, kills: int, longest: float = 4.0) -> Count:
        """Kill the engine at random instants, and count.

        :param kills: how often
        :param longest: seconds that an engine lives at most
        """
        self._services.start()
        try:
            for _ in range(kills):
                self.start()
                time.sleep(self._random.uniform(0.2, longest))
                self.kill()
            self.start()
            self._services.end()
            return self._count(kills)
        finally:
            self._services.end()
            self.kill()

    def _count(self, kills: int) -> Count:
        """Wait until everything is stored, and count."""
        written = sum(self._services.numbers)
        errors = sum(n // _ERRORS for n in self._services.numbers)
        deadline = time.monotonic() + PATIENCE
        while True:
            lost, twice = self._stored()
            incidents, symptoms = self._incidents()
            if (not lost and (incidents or not errors)
                    or time.monotonic() > deadline):
                return Count(written, lost, twice, kills, incidents,
                             symptoms)
            time.sleep(1.0)

    def _stored(self) -> tuple[int, int]:
        """How many lines are missing, and how many are there twice."""
        stores = list((self._folder / 'state').glob('events/logs-*'))
        if not stores:
            return sum(self._services.numbers), 0
        held = drivers.load('openstack_rca.stores', 'parquet').snapshot(
            stores[0], self._folder / f'look-{time.monotonic_ns()}')
        rows = held.scan().select(
            'host', number=pl.col('text').str.extract(_NUMBER.pattern)
        ).collect().filter(pl.col('number').is_not_null())
        found = collections.Counter(rows.iter_rows())
        lost = sum(1 for place, last in enumerate(self._services.numbers)
                   for number in range(1, last + 1)
                   if not found[f'cmp{place}', str(number)])
        return lost, sum(1 for n in found.values() if n > 1)

    def _incidents(self) -> tuple[int, int]:
        engine = sa.create_engine(self._url, poolclass=sa.NullPool)
        table = models.INCIDENTS
        with engine.connect() as connection:
            rows = connection.execute(sa.select(table.c.symptoms).where(
                table.c.merged_into.is_(None))).scalars().all()
        return len(rows), sum(rows)

    def said(self) -> str:
        """The log of the engine."""
        return self._log.read_text(errors='replace')


def told(count: Count) -> str:
    """What came of it, as JSON."""
    return json.dumps(dataclasses.asdict(count))
