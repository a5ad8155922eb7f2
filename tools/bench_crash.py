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
"""Whether an engine that is killed loses anything, or counts it twice.

    python tools/bench_crash.py [--kills 200] [--rate 1000] [--seed 1]

The engine reads logs that are written and rotated meanwhile. All of its
processes are killed (SIGKILL) at random instants, and started again.
"""

import argparse
import pathlib
import tempfile
import time

from openstack_rca.tests.functional import crashes


def main() -> int:
    """Kill, count, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--rate', type=int, default=1000,
                        help='lines a second')
    parser.add_argument('--files', type=int, default=10)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='rca-crash-') as folder:
        made = crashes.Crashes(pathlib.Path(folder), args.files, args.rate,
                               args.seed)
        count = made.run(args.kills)
        bugs = made.said().count('Traceback (most recent call last)')
    print(crashes.told(count))
    print(f'{count.kills} kills, {count.written:,} lines in '
          f'{time.monotonic() - began:.0f} s: {count.lost} lost, '
          f'{count.twice} twice; {count.incidents} incidents with '
          f'{count.symptoms} symptoms; {bugs} tracebacks in the log')
    return 1 if count.lost or count.twice or bugs else 0


if __name__ == '__main__':
    raise SystemExit(main())
