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
"""A process that behaves as a test tells it, for the tests of the engine.

Run as ``python -m actor WHAT`` with its folder in PYTHONPATH. It talks like a
worker, or breaks off in one of the ways in which a process can.
"""

import json
import os
import signal
import sys
import time


def _say(data: bytes) -> None:
    os.write(1, data)


def _wait() -> None:
    # Until the engine ends it; long enough for any machine.
    time.sleep(600)


def _echo(line: str) -> None:
    _say(json.dumps({'result': json.dumps({'asked': json.loads(line)})})
         .encode() + b'\n')


def _act(what: str, line: str) -> None:
    if what == 'echo':
        _echo(line)
    elif what == 'error':
        _say(b'{"error":"There is no such thing.","code":404}\n')
    elif what == 'exit':
        sys.exit(3)
    elif what == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == 'garbage':
        _say(b'Traceback (most recent call last):\n')
        _wait()
    elif what == 'number':
        _say(b'17\n')
        _wait()
    elif what == 'deep':
        _say(b'[' * 100_000 + b']' * 100_000 + b'\n')
        _wait()
    elif what == 'flood':
        while True:
            _say(b'x' * 65536)
    elif what == 'half':
        _say(b'{"result":')
        sys.exit(0)
    elif what == 'pieces':
        for byte in b'{"result":"1"}\n{"result":"2"}\n{"res':
            _say(bytes([byte]))
        _say(b'ult":"3"}\n')
    elif what == 'mute':
        os.close(1)
        _wait()
    elif what == 'eat':
        held = bytearray(512 << 20)
        held[::4096] = b'x' * len(held[::4096])
        _wait()
    elif what == 'sleep':
        _wait()


def main() -> None:
    """Act once a message comes, again and again."""
    what = sys.argv[1]
    if what == 'deaf':
        _wait()
    if what == 'never':
        sys.exit(5)
    _say(b'{"ready":true}\n')
    for line in sys.stdin:
        _act(what, line)


if __name__ == '__main__':
    main()
