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
"""What the default detector costs: events a second, and memory.

A process of its own loads the weights that come with the package, and judges
minute after minute as the engine does while it watches a cloud.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import bench_service

#: Events of the logs that are judged.
_EVENTS = 1_000_000
#: A cloud as busy as so many recordings at once.
_EVERY = datetime.timedelta(seconds=1)
#: Minutes that are judged before the clock runs.
_WARM = 5
_DETECTOR = 'lstm'


def judge(folder: pathlib.Path) -> dict[str, Any]:
    """Judge all minutes of a store of events.

    :param folder: of the store
    :returns: ``events``, ``seconds`` and ``minutes`` of what was timed,
        and ``bytes``, the most memory that was held
    """
    import polars as pl

    from openstack_rca import conf
    from openstack_rca.detectors import base
    from openstack_rca.engine import drivers
    from openstack_rca.models import filesystem
    from openstack_rca.store import base as stores
    conf.load([])
    store = drivers.load('openstack_rca.stores', 'parquet')(folder)
    models = filesystem.FilesystemStore.of_package()
    version = max(v for name, v, _ in models.names() if name == _DETECTOR)
    kept, arrays = models.load(_DETECTOR, version)
    detector = drivers.load('openstack_rca.detectors', _DETECTOR).from_state(
        arrays, kept.state)
    minutes = store.scan().group_by(
        minute=pl.col('timestamp').dt.truncate('1m')).agg(
            pl.len()).collect().drop_nulls().sort('minute').rows()
    seconds, events = 0.0, 0
    timed = max(0, len(minutes) - _WARM)
    for number, (minute, count) in enumerate(minutes):
        start = time.perf_counter()
        detector.score(base.Recording('minute', store, stores.Query(
            since=minute,
            until=minute + datetime.timedelta(seconds=59.999999))))
        if number >= _WARM:
            seconds += time.perf_counter() - start
            events += count
    # What getrusage() says begins with the memory of who started this.
    most = next(int(line.split()[1]) for line in pathlib.Path(
        '/proc/self/status').read_text().splitlines()
        if line.startswith('VmHWM'))
    return {'events': events, 'seconds': seconds, 'minutes': timed,
            'bytes': most << 10}


def bench_detect(_: pathlib.Path | None) -> list[list[str]]:
    """The default detector on a million events, minute by minute."""
    from openstack_rca import conf
    from openstack_rca.engine import child
    from openstack_rca.engine import drivers
    from openstack_rca.engine import folder as folders
    from openstack_rca.engine import manager
    conf.load([])
    with tempfile.TemporaryDirectory() as name:
        logs, place = pathlib.Path(name) / 'logs', pathlib.Path(name) / 'st'
        logs.mkdir()
        place.mkdir()
        bench_service.make_logs(logs, _EVENTS, _EVERY)
        store = drivers.load('openstack_rca.stores', 'parquet')(place)
        folders.refresh(logs, store)
        told = json.loads(subprocess.run(
            [sys.executable, __file__, str(place)], check=True,
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, **child.FEW_HEAPS,
                 **manager.THRIFTY}).stdout.splitlines()[-1])
    what = (f'{told["events"]:,} events in {told["minutes"]} minutes of log, '
            'one by one')
    return [['detector lstm, scoring',
             f'{told["events"] / told["seconds"]:,.0f} events/s', '50,000',
             what],
            ['  memory at most', f'{told["bytes"] >> 20} MiB', '600 MB', '']]


if __name__ == '__main__':
    print(json.dumps(judge(pathlib.Path(sys.argv[1]))))
