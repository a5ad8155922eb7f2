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
"""Measure what the documentation says of speed, beside its peers.

    python tools/bench.py [--data DIR] [--only NAME ...] [--output FILE]

DIR is a benchmark dataset with ``logs/*.tar.xz`` (see the documentation,
"Benchmarks"). Without it, lines are made from the recording in ``examples/``
by shifting times and identifiers, and the table says so. Every peer is run in
the same call on the same lines.
"""

import argparse
from collections.abc import Callable
import json
import logging
import os
import pathlib
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / 'examples' / 'no-valid-host'

_HEADER = re.compile(r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \d+ [A-Z]+ \S+ '
                     r'(?:\[[^\]]*\] )?')
#: What people mask before Drain: identifiers, addresses, numbers.
_MASKS = ((r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
           'ID'), (r'\d+\.\d+\.\d+\.\d+', 'IP'), (r'0x[0-9a-f]+', 'HEX'),
          (r'\b[0-9a-f]{32}\b', 'HASH'), (r'\b\d+\b', 'NUM'))
#: Lines that Drain3 is timed on; its rate is flat by then.
_DRAIN_LINES = 60_000


def example_lines() -> list[str]:
    """The lines of the recorded incident, file after file."""
    lines: list[str] = []
    for path in sorted((EXAMPLE / 'logs').glob('*.log')):
        lines += path.read_text(errors='replace').splitlines()
    return lines


def unpack(data: pathlib.Path | None, folder: pathlib.Path) -> str:
    """Put uncompressed logs into a folder; returns what they are."""
    if data is not None:
        archives = sorted((data / 'logs').glob('*.tar.xz'))
        if not archives:
            raise SystemExit(f'There is no logs/*.tar.xz in {data}.')
        for archive in archives:
            target = folder / archive.name.removesuffix('.tar.xz')
            target.mkdir()
            with tarfile.open(archive) as tar:
                tar.extractall(target, filter='data')
        return f'{len(archives)} cases of {data.name}'
    make(folder / 'nova-compute.log', 400_000)
    return '400,000 lines made from the recorded incident'


def make(path: pathlib.Path, count: int) -> None:
    """Write lines like those of nova-compute, all different."""
    patterns = [line for line in example_lines()
                if re.match(r'\d{4}-\d\d-\d\d', line)]
    rng = random.Random(7)
    with open(path, 'w') as out:
        for number in range(count):
            line = patterns[number % len(patterns)]
            second = number // 200
            stamp = (f'2026-11-{1 + second // 86400 % 28:02d} '
                     f'{second // 3600 % 24:02d}:{second // 60 % 60:02d}:'
                     f'{second % 60:02d}.{number % 1000:03d}')
            line = re.sub(r'req-[0-9a-f]{8}',
                          f'req-{rng.getrandbits(32):08x}', line)
            out.write(stamp + line[23:] + '\n')


def child(*arguments: str) -> dict[str, Any]:
    """Run a part of this program in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments],
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def ingest_once(folder: pathlib.Path) -> dict[str, Any]:
    """Parse a folder into a store; in a process of its own."""
    from openstack_rca import conf
    from openstack_rca.engine import ingest
    from openstack_rca.sources import files
    from openstack_rca.store import parquet
    conf.load()
    out = pathlib.Path(tempfile.mkdtemp())
    try:
        source = files.FolderSource(folder)
        units = source.units()
        store = parquet.ParquetStore(out)
        start, cpu = time.perf_counter(), time.process_time()
        ingest.ingest(source, units, store)
        seconds = time.perf_counter() - start
        records = store.files().values()
        return {'lines': sum(r.lines for r in records),
                'events': sum(r.events for r in records),
                'unparsed': sum(r.unparsed for r in records),
                'seconds': seconds, 'cpu': time.process_time() - cpu,
                'rss_mib': resource.getrusage(
                    resource.RUSAGE_SELF).ru_maxrss / 1024}
    finally:
        shutil.rmtree(out, ignore_errors=True)


def drain(folder: pathlib.Path) -> dict[str, float]:
    """Lines a second of Drain3, templates alone."""
    from drain3 import masking
    from drain3 import template_miner
    from drain3 import template_miner_config
    logging.disable(logging.CRITICAL)
    raw: list[str] = []
    paths = sorted(folder.rglob('*.log'))
    random.Random(3).shuffle(paths)
    for path in paths:
        raw += path.read_text(errors='replace').splitlines()
        if len(raw) >= _DRAIN_LINES:
            break
    raw = raw[:_DRAIN_LINES]
    messages = [_HEADER.sub('', line) for line in raw]
    rates = {}
    for name, lines, masks in (('whole lines', raw, ()),
                               ('messages', messages, ()),
                               ('messages, five masks', messages, _MASKS)):
        config = template_miner_config.TemplateMinerConfig()
        config.masking_instructions = [
            masking.MaskingInstruction(p, n) for p, n in masks]
        miner = template_miner.TemplateMiner(config=config)
        start = time.perf_counter()
        for line in lines:
            miner.add_log_message(line)
        rates[name] = len(lines) / (time.perf_counter() - start)
    return rates


def bench_ingest(data: pathlib.Path | None) -> list[list[str]]:
    """Text to stored events, beside Drain3."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        what = unpack(data, folder)
        runs = [child('--part', 'ingest', name) for _ in range(3)]
        best = sorted(runs, key=lambda r: r['seconds'])[1]
        rate = best['lines'] / best['seconds']
        rows = [['text to stored events, lines/s (median of 3)',
                 f'{rate:,.0f}', '150,000', what],
                ["  processor time a line",
                 f"{best['cpu'] / best['lines'] * 1e6:.1f} us", "", ""],
                ['  lines without a record',
                 f'{best["unparsed"]:,} of {best["lines"]:,}', '', '']]
        for name_, peer in drain(folder).items():
            rows.append([f'  Drain3, {name_}', f'{peer:,.0f}', '',
                         f'ratio {rate / peer:.1f}'])
    return rows


def bench_flat(data: pathlib.Path | None) -> list[list[str]]:
    """Cost a line of a short and of a long log."""
    costs = {}
    rows = []
    for count in (100_000, 10_000_000):
        with tempfile.TemporaryDirectory() as name:
            make(pathlib.Path(name) / 'nova-compute.log', count)
            runs = [child('--part', 'ingest', name)
                    for _ in range(5 if count < 1_000_000 else 1)]
            run = sorted(runs, key=lambda r: r['seconds'])[len(runs) // 2]
        costs[count] = run['seconds'] / run['lines'] * 1e6
        rows.append([f'cost a line of {count:,}', f'{costs[count]:.2f} us',
                     '', f'{run["rss_mib"]:,.0f} MiB resident'])
    short, long = costs.values()
    rows.append(['  long over short', f'{long / short:.2f}', '1.20', ''])
    return rows


def _analyze(path: pathlib.Path, cache: pathlib.Path) -> float:
    command = shutil.which('openstack', path=os.path.dirname(sys.executable))
    if command is None:
        raise SystemExit('openstack is not installed beside this Python.')
    start = time.perf_counter()
    done = subprocess.run(
        [command, 'rca', 'analyze', '--issue', 'server went to ERROR',
         '--log-dir', str(path)], capture_output=True, text=True,
        env={**os.environ, 'XDG_CACHE_HOME': str(cache)})
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


def bench_analyze(data: pathlib.Path | None) -> list[list[str]]:
    """The whole command on one case, cold and cached."""
    paths = [EXAMPLE / 'logs']
    if data is not None:
        paths = random.Random(5).sample(
            sorted((data / 'logs').glob('*.tar.xz')), 15)
    cold, cached = [], []
    for path in paths if data is not None else paths * 5:
        with tempfile.TemporaryDirectory() as name:
            cold.append(_analyze(path, pathlib.Path(name)))
            cached.append(_analyze(path, pathlib.Path(name)))
    what = f'{len(cold)} runs, whole process'
    return [['openstack rca analyze, cold, median',
             f'{statistics.median(cold):.2f} s', '4 s', what],
            ['openstack rca analyze, cached, median',
             f'{statistics.median(cached):.2f} s', '2 s', what]]


def bench_help(data: pathlib.Path | None) -> list[list[str]]:
    """What the plugin adds to ``openstack --help``."""
    part = ('import sys, time\n'
            'from importlib import metadata\n'
            'if sys.argv[1] == "without":\n'
            '    own = metadata.Distribution.entry_points\n'
            '    def fewer(self):\n'
            '        return metadata.EntryPoints(e for e in own.fget(self) '
            'if "root_cause" not in e.group + e.name)\n'
            '    metadata.Distribution.entry_points = property(fewer)\n'
            'from openstackclient import shell\n'
            'try:\n'
            '    shell.main(["--help"])\n'
            'except SystemExit:\n'
            '    pass\n')
    times: dict[str, list[float]] = {'with': [], 'without': []}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(12):
            for kind, found in times.items():
                start = time.perf_counter()
                # stevedore keeps entry points in a cache; each kind has one.
                subprocess.run(
                    [sys.executable, '-c', part, kind], check=True,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, 'XDG_CACHE_HOME': f'{name}/{kind}'})
                if turn:
                    found.append(time.perf_counter() - start)
    more = statistics.median(
        a - b for a, b in zip(times['with'], times['without'], strict=True))
    return [['openstack --help, with the plugin',
             f'{statistics.median(times["with"]) * 1e3:.0f} ms', '', ''],
            ['  more than without it', f'{more * 1e3:+.0f} ms', '+50 ms',
             'median of 11 pairs']]


def _of_service(name: str) -> Callable[
        [pathlib.Path | None], list[list[str]]]:
    """A benchmark of the service, whose libraries others do without."""
    def bench(data: pathlib.Path | None) -> list[list[str]]:
        import bench_service
        rows: list[list[str]] = getattr(bench_service, name)(data)
        return rows
    return bench


def analyses(folder: pathlib.Path) -> dict[str, Any]:
    """Answer one question over a store again and again.

    In a process of its own, so that its memory is that of the analysis.
    """
    from openstack_rca import conf
    from openstack_rca.analysis import scope
    from openstack_rca.engine import local
    conf.load()
    conf.CONF.set_override('directory', str(folder / 'cache'),
                           group='local_cache')
    opened = local.open_folder(folder / 'logs')
    times, words = [], {}
    # The first one loads what the others need.
    for turn in range(8):
        start = time.perf_counter()
        words = opened.analyze(scope.Question(
            issue='Server web-4 went to ERROR: No valid host was found'))
        if turn:
            times.append(time.perf_counter() - start)
    return {'seconds': statistics.median(times), 'most': max(times),
            'events': sum(r['events'] for r in opened.sources()),
            'component': words['hypotheses'][0]['component'],
            'rss_mib': _peak()}


def _peak() -> float:
    """MiB that this process held at most, without its parent's."""
    for line in pathlib.Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) / 1024
    raise SystemExit('/proc/self/status has no VmHWM.')


def bench_million(data: pathlib.Path | None) -> list[list[str]]:
    """An analysis of a million stored events, without a language model."""
    import bench_service
    with tempfile.TemporaryDirectory() as name:
        logs = pathlib.Path(name, 'logs')
        logs.mkdir()
        bench_service.make_logs(logs, 1_000_000)
        # The first one parses, which takes memory of its own.
        child('--part', 'analyses', name)
        run = child('--part', 'analyses', name)
    return [[f'analysis of {run["events"]:,} stored events, warm',
             f'{run["seconds"]:.2f} s', '2 s',
             f'median of 7, at most {run["most"]:.2f} s; blames '
             f'{run["component"]}'],
            ['  memory at most', f'{run["rss_mib"]:,.0f} MiB', '1 GB', '']]


def bench_detect(data: pathlib.Path | None) -> list[list[str]]:
    """The default detector, whose libraries others do without."""
    import bench_detect as detect
    rows: list[list[str]] = detect.bench_detect(data)
    return rows


def bench_tail(data: pathlib.Path | None) -> list[list[str]]:
    """Logs that are followed while they are written and rotated."""
    import bench_tail as tail
    rows: list[list[str]] = tail.bench_tail(data)
    return rows


BENCHES: dict[str, Callable[[pathlib.Path | None], list[list[str]]]] = {
    'ingest': bench_ingest, 'flat': bench_flat, 'analyze': bench_analyze,
    'help': bench_help, 'detect': bench_detect,
    'million': bench_million, 'tail': bench_tail,
    'service': _of_service('bench_service'),
    'list': _of_service('bench_list'), 'soak': _of_service('bench_soak')}


def main() -> None:
    """Run the benchmarks and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=pathlib.Path)
    parser.add_argument('--only', nargs='+', choices=sorted(BENCHES))
    parser.add_argument('--output', type=pathlib.Path)
    parser.add_argument('--part', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        name, path = args.part
        print(json.dumps({'ingest': ingest_once, 'analyses': analyses}[name](
            pathlib.Path(path))))
        return
    rows = []
    for name in args.only or BENCHES:
        print(f'measuring: {name}', file=sys.stderr)
        rows += BENCHES[name](args.data)
    widths = [max(len(r[i]) for r in rows) for i in range(3)]
    for row in rows:
        print('  '.join(c.ljust(w) for c, w in zip(
            row, [*widths, 0], strict=True)).rstrip())
    if args.output:
        args.output.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
