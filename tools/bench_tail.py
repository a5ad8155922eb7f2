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
"""Whether the reader follows logs as fast as they are written.

    python tools/bench_tail.py [--seconds 600] [--rate 20000] [--files 50]

Processes write to many files as services do, and rotate some of them by name
and some by copy. The reader of the engine follows them, with the watcher
beside it. Looked at are the lag, from the time in a line to the time at which
its segment was complete on the disk, and the memory of the reader. In the
end, each line has to be in the store, once.
"""

import argparse
import contextlib
import datetime
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / 'examples' / 'no-valid-host' / 'logs'

_BINARIES = ('nova-api', 'nova-compute', 'nova-conductor', 'nova-scheduler',
             'neutron-server', 'cinder-volume', 'glance-api', 'keystone',
             'placement-api', 'neutron-dhcp-agent')
#: Seconds between two writes to a file.
_TICK = 0.05
#: Seconds between two rotations, each of another file.
_ROTATE = 3.0
_KEEP = 3
_WRITERS = 2
#: Seconds between two looks at what is measured.
_SAMPLE = 0.25
#: Seconds in which the rest has to be stored.
_GRACE = 120.0


def patterns() -> list[str]:
    """What services say, from the recorded incident."""
    found = []
    for path in sorted(EXAMPLE.glob('*.log')):
        for line in path.read_text(errors='replace').splitlines():
            head = re.match(
                r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ (\d+ [A-Z]+ \S+ \[.*)',
                line)
            if head:
                found.append(head[1].replace('%', '%%'))
    return found


def write(folder: pathlib.Path, seconds: float, rate: int, files: int,
          number: int) -> dict[str, Any]:
    """Write to every so many-th file for a while; in its own process.

    :returns: how many lines went to each file
    """
    mine = list(range(number, files, _WRITERS))
    said = patterns()
    paths = {n: folder / f'ctl{n // len(_BINARIES)}' /
             f'{_BINARIES[n % len(_BINARIES)]}.log' for n in mine}
    outs: dict[int, Any] = {}
    for n, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        outs[n] = open(path, 'ab', buffering=0)
    counts = dict.fromkeys(mine, 0)
    began = time.time()
    written, rotations = 0, 0
    turns = itertools.cycle(mine)
    while (now := time.time() - began) < seconds:
        due = int(now * rate * len(mine) / files) - written
        share = max(1, due // len(mine)) if due > 0 else 0
        stamp = datetime.datetime.now().strftime('%Y-%m-%d %H:%M:%S.%f')
        for n in mine if share else ():
            first = counts[n]
            outs[n].write(''.join(
                f'{stamp} {said[(first + i) % len(said)]} id-{n}-{first + i}'
                '\n' for i in range(share)).encode())
            counts[n] += share
            written += share
        if now > rotations * _ROTATE + _ROTATE:
            rotations += 1
            n = next(turns)
            outs[n] = rotate(paths[n], outs[n], bool(rotations % 3))
        time.sleep(_TICK)
    return {'counts': counts, 'rotations': rotations}


def rotate(path: pathlib.Path, out: Any, rename: bool) -> Any:
    """As logrotate does, by name or by copy."""
    for age in range(_KEEP, 0, -1):
        old = path.with_name(f'{path.name}.{age}')
        if old.exists():
            old.rename(path.with_name(f'{path.name}.{age + 1}'))
    first = path.with_name(f'{path.name}.1')
    path.with_name(f'{path.name}.{_KEEP + 1}').unlink(missing_ok=True)
    if not rename:
        shutil.copy(path, first)
        os.truncate(path, 0)
        return out
    out.close()
    path.rename(first)
    return open(path, 'ab', buffering=0)


class Meter:
    """Looks at the store and at the process that fills it.

    :param store: folder of the store
    :param processes: ids of processes, by what they are
    """

    def __init__(self, store: pathlib.Path,
                 processes: dict[str, int]) -> None:
        self._store = store
        self._processes = processes
        self._seen: set[str] = set()
        #: When a segment was there, and how old its oldest line was.
        self.lags: list[tuple[float, float, float]] = []
        self.memory: dict[str, list[tuple[float, int]]] = {
            name: [] for name in processes}

    def look(self) -> None:
        """Take one sample."""
        import polars as pl
        for path in self._store.glob('*.parquet'):
            middle = path.name.split('.')
            if len(middle) != 2 or path.name in self._seen:
                continue
            with contextlib.suppress(OSError, pl.exceptions.PolarsError):
                done = path.stat().st_mtime
                found = pl.scan_parquet(path).select(
                    oldest=pl.col('timestamp').min(),
                    newest=pl.col('timestamp').max()).collect()
                self._seen.add(path.name)
                if found['oldest'][0] is not None:
                    oldest, newest = (
                        found[name][0].replace(
                            tzinfo=datetime.UTC).timestamp()
                        for name in ('oldest', 'newest'))
                    self.lags.append((done, done - oldest, done - newest))
        for name, pid in self._processes.items():
            with contextlib.suppress(OSError):
                pages = pathlib.Path(f'/proc/{pid}/statm').read_text()
                self.memory[name].append(
                    (time.time(), int(pages.split()[1]) * 4096))

    def seconds(self, name: str) -> float:
        """Processor time of a process."""
        told = pathlib.Path(
            f'/proc/{self._processes[name]}/stat').read_text()
        fields = told.rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def measure(seconds: float, rate: int, files: int,
            watcher: bool = True) -> dict[str, Any]:
    """Write, read, and compare.

    :param seconds: how long is written
    :param rate: lines a second
    :param files: how many files
    :param watcher: whether what is logged is judged as well
    """
    from openstack_rca import conf
    from openstack_rca.engine import child
    from openstack_rca.engine import manager
    from openstack_rca.engine import state
    from openstack_rca.models import filesystem
    with tempfile.TemporaryDirectory(prefix='bench-tail-') as name:
        folder = pathlib.Path(name)
        logs = folder / 'logs'
        logs.mkdir()
        settings = folder / 'rca.conf'
        settings.write_text(
            f'[DEFAULT]\nstate_path = {folder}/state\n'
            f'[sources]\nlog_dirs = bench:{logs}\n')
        arguments = ['--config-file', str(settings)]
        conf.load(arguments)
        state.prepare()
        source, = state.sources()
        source.store.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            reader = child.Child('openstack_rca.engine.reader', arguments,
                                 manager.THRIFTY)
            stack.callback(reader.end)
            processes = {'reader': reader.pid}
            talking = [reader]
            if watcher:
                watching = child.Child('openstack_rca.engine.watcher',
                                       arguments, manager.THRIFTY)
                stack.callback(watching.end)
                processes['watcher'] = watching.pid
                talking.append(watching)
                watching.send({'models': {
                    n: v for n, v, _ in
                    filesystem.FilesystemStore.of_package().names()}})
            ready = threading.Event()
            for process in talking:
                threading.Thread(target=_hear, args=(process, ready),
                                 daemon=True).start()
            # What was written before it began is no lag.
            ready.wait(_GRACE)
            meter = Meter(source.store, processes)
            writers = [subprocess.Popen(
                [sys.executable, __file__, '--write', str(logs), str(n),
                 '--seconds', str(seconds), '--rate', str(rate),
                 '--files', str(files)], stdout=subprocess.PIPE, text=True)
                for n in range(_WRITERS)]
            while any(w.poll() is None for w in writers):
                meter.look()
                time.sleep(_SAMPLE)
            used = {n: meter.seconds(n) for n in processes}
            told = [json.loads(w.communicate()[0].splitlines()[-1])
                    for w in writers]
            counts = {int(n): c for t in told
                      for n, c in t['counts'].items()}
            found = _compare(source.store, folder / 'seen', counts)
            end = time.monotonic() + _GRACE
            while found['missing'] and time.monotonic() < end:
                time.sleep(1.0)
                found = _compare(source.store, folder / 'seen', counts)
    lags = [most for _, most, _ in meter.lags]
    return {
        **found, 'rate': sum(counts.values()) / seconds,
        'rotations': sum(t['rotations'] for t in told),
        'lag_median': statistics.median(lags), 'lag_most': max(lags),
        'lag_99': sorted(lags)[int(len(lags) * .99)],
        'segments': len(lags), 'all_lags': lags,
        'cores': {n: s / seconds for n, s in used.items()},
        'memory': {n: _flat(samples)
                   for n, samples in meter.memory.items()}}


def _hear(process: Any, ready: threading.Event) -> None:
    """Take what a process tells, as the engine does."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = process.receive(1.0) or {}
            if 'looked' in message:
                ready.set()
            if 'symptoms' in message:
                process.send({'written': len(message['symptoms'])})


def _flat(samples: list[tuple[float, int]]) -> dict[str, float]:
    """Memory of the second and of the last quarter of the time, MiB."""
    sizes = [size / (1 << 20) for _, size in samples]
    quarter = max(1, len(sizes) // 4)
    return {'second': statistics.median(sizes[quarter:2 * quarter] or sizes),
            'last': statistics.median(sizes[-quarter:]),
            'most': max(sizes)}


def _compare(store: pathlib.Path, folder: pathlib.Path,
             counts: dict[int, int]) -> dict[str, int]:
    """What is stored, beside what was written."""
    import polars as pl

    from openstack_rca.store import parquet
    found = parquet.ParquetStore.snapshot(store, folder)
    try:
        ids = found.scan().select(
            text=pl.col('text').str.extract_all(r'id-\d+-\d+')).explode(
                'text').select(
                    file=pl.col('text').str.extract(
                        r'id-(\d+)', 1).cast(pl.Int64),
                    number=pl.col('text').str.extract(
                        r'-(\d+)$', 1).cast(pl.Int64)).group_by('file').agg(
                            lines=pl.len(), different=pl.col(
                                'number').n_unique()).collect(
                                    engine='streaming')
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    held = {f: (n, d) for f, n, d in ids.iter_rows() if f is not None}
    return {'lines': sum(counts.values()),
            'missing': sum(n - held.get(f, (0, 0))[1]
                           for f, n in counts.items()),
            'twice': sum(n - d for n, d in held.values())}


def bench_tail(_: pathlib.Path | None) -> list[list[str]]:
    """Following 50 files for a minute; ten are measured by hand."""
    return rows_of(measure(60.0, 20_000, 50), 60.0, 50)


def rows_of(run: dict[str, Any], seconds: float, files: int
            ) -> list[list[str]]:
    """A table of what was measured."""
    memory = run['memory']['reader']
    return [
        [f'reading {files} files that are written to',
         f'{run["rate"]:,.0f} lines/s', '20,000',
         f'{seconds:.0f} s, {run["lines"]:,} lines, {run["rotations"]} '
         f'rotations; missing {run["missing"]}, twice {run["twice"]}'],
        ['  lag of the oldest line of a look, at most',
         f'{run["lag_most"]:.2f} s', '2 s',
         f'median {run["lag_median"]:.2f} s, 99 of 100 under '
         f'{run["lag_99"]:.2f} s, {run["segments"]} looks'],
        ['  memory of the reader, second and last quarter',
         f'{memory["second"]:,.0f} and {memory["last"]:,.0f} MiB', 'flat',
         f'at most {memory["most"]:,.0f} MiB'],
        ['  processor time', ', '.join(
            f'{n} {c:.2f}' for n, c in run['cores'].items()) + ' cores',
         '2', '']]


def main() -> None:
    """Measure for as long as wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=600.0)
    parser.add_argument('--rate', type=int, default=20_000)
    parser.add_argument('--files', type=int, default=50)
    parser.add_argument('--no-watcher', action='store_true')
    parser.add_argument('--write', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        folder, number = args.write
        print(json.dumps(write(pathlib.Path(folder), args.seconds, args.rate,
                               args.files, int(number))))
        return
    run = measure(args.seconds, args.rate, args.files, not args.no_watcher)
    for row in rows_of(run, args.seconds, args.files):
        print('  '.join(row).rstrip())
    run['lags'] = [round(lag, 2) for lag in run.pop('all_lags')]
    print(json.dumps(run))


if __name__ == '__main__':
    main()
