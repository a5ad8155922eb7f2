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
"""What an engine takes that has nothing to do.

    python tools/bench_idle.py [SECONDS]

An engine as it is configured by default, on SQLite and without a bus, reads a
folder of logs to which nothing comes. When it has settled, the processors'
time of all its processes is counted, and their memory: what is shared is
counted once (proportional set size).
"""

import configparser
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import psutil

from openstack_rca.tests.functional.servers import service

BINARIES = pathlib.Path(sys.executable).parent
#: Until models are loaded and what is known is embedded.
SETTLED = 60.0


def configure(folder: pathlib.Path) -> pathlib.Path:
    """Write a configuration, and make the database.

    :param folder: of everything
    """
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict({
        'DEFAULT': {'state_path': str(folder / 'state'), 'host': 'idle'},
        'database': {'connection': f'sqlite:///{folder}/rows.sqlite'},
        'sources': {'log_dirs': f'logs:{service.LOGS}'},
        'incidents': {'project_id': 'f' * 32, 'analyze': 'false'},
        'metrics': {'enabled': 'false'}})
    config = folder / 'engine.conf'
    with config.open('w') as out:
        parser.write(out)
    subprocess.run([str(BINARIES / 'openstack-rca-manage'), '--config-file',
                    str(config), 'db', 'sync'], check=True,
                   env=service.environment(), capture_output=True)
    return config


def used(engine: psutil.Process) -> float:
    """Seconds of a processor that an engine took so far."""
    return sum(sum(one.cpu_times()[:2]) for one in (
        engine, *engine.children(recursive=True)))


def main() -> int:
    """Measure, and tell.

    :returns: the exit status: 1 where it is not idle enough
    """
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory(prefix='rca-idle-') as name:
        folder = pathlib.Path(name)
        config = configure(folder)
        with (folder / 'log').open('wb') as log:
            running = subprocess.Popen(
                [str(BINARIES / 'openstack-rca-engine'), '--config-file',
                 str(config)], stdout=log, stderr=log,
                env=service.environment())
        try:
            time.sleep(SETTLED)
            engine = psutil.Process(running.pid)
            before = used(engine)
            time.sleep(seconds)
            share = 100 * (used(engine) - before) / seconds
            memory = 0
            for one in (engine, *engine.children(recursive=True)):
                held = one.memory_full_info()
                memory += held.pss
                # The module, or what the process calls itself.
                print(f'{held.pss / 1e6:6.0f} MB '
                      f'{os.path.basename(one.cmdline()[0])} '
                      f'{" ".join(one.cmdline()[1:3])[:60]}')
        finally:
            running.terminate()
            running.wait(60)
    print(f'{share:.2f} % of a core, {memory / 1e6:.0f} MB')
    return int(share >= 2 or memory >= 700e6)


if __name__ == '__main__':
    raise SystemExit(main())
