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
"""A recording that is logged again, as far as a test wants."""

import datetime
import pathlib
import re
import tarfile

RECORDINGS = pathlib.Path(__file__).parents[1] / 'fixtures' / 'recordings'

_HEADER = re.compile(
    rb'(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3})')
_RECEIVED = re.compile(rb'"received_at": ?"(\d{4}-\d\d-\d\dT[\d:]+\.\d{3})')


class Replay:
    """The files of a recording, written bit by bit.

    :param name: of the recording
    :param folder: where the files are written
    """

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self._folder = folder
        self._left: dict[str, list[tuple[datetime.datetime, bytes]]] = {}
        with tarfile.open(RECORDINGS / f'{name}.tar.xz') as archive:
            for member in archive:
                data = archive.extractfile(member)
                if data is not None:
                    self._left[member.name] = _timed(data.read())

    def until(self, moment: str | None = None) -> int:
        """Write what was logged before a moment.

        :param moment: ISO 8601; None: all that is left
        :returns: how many lines were written
        """
        end = (datetime.datetime.max if moment is None
               else datetime.datetime.fromisoformat(moment))
        count = 0
        for name, lines in self._left.items():
            ready = sum(1 for time, _ in lines if time < end)
            if not ready:
                continue
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open('ab') as out:
                out.write(b''.join(line for _, line in lines[:ready]))
            del lines[:ready]
            count += ready
        return count


def _timed(data: bytes) -> list[tuple[datetime.datetime, bytes]]:
    """Lines with the time of their record."""
    time = datetime.datetime.min
    found = []
    for line in data.splitlines(keepends=True):
        told = (_RECEIVED.search(line) if line.startswith(b'{')
                else _HEADER.match(line))
        if told:
            # Later lines of a file never come earlier.
            time = max(time, datetime.datetime.fromisoformat(
                told[1].decode()))
        found.append((time, line))
    return found
