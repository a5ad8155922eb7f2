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
"""Embeddings that were made once, on disk.

One file of records: 16 bytes that name the text and the model (BLAKE2b), 384
numbers as float32, and a checksum (CRC-32). Records are only added. One that
is cut off or damaged is known by its checksum: it is left out and the text
embedded again, so that nothing but time is lost whatever happens while one is
written.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import os
import pathlib
import zlib

import numpy as np

#: Texts that are embedded before they are written.
_BATCH = 64
_NAME = 16
_CHECK = 4

Embed = Callable[[Sequence[str]], np.ndarray]


class Vectors:
    """Embeddings by text.

    :param path: of the file; None keeps them in memory only
    :param model: what makes them; those of another model are not known
    :param width: numbers of each
    :ivar damaged: records that could not be used
    """

    def __init__(self, path: pathlib.Path | None, model: str,
                 width: int) -> None:
        self.damaged = 0
        self._known: dict[bytes, np.ndarray] = {}
        self._model = model
        self._path = path
        self._width = width
        self._record = _NAME + 4 * width + _CHECK
        # What follows a record that is cut off is out of step: everything
        # that is good is written anew then.
        self._whole = True
        if path and path.exists():
            self._read(path)

    def name(self, text: str) -> bytes:
        """What a text is known by."""
        return hashlib.blake2b(text.encode('utf-8', 'surrogatepass'),
                               digest_size=_NAME,
                               key=self._model.encode()[:64]).digest()

    def _read(self, path: pathlib.Path) -> None:
        data = path.read_bytes()
        self._whole = len(data) % self._record == 0
        for at in range(0, len(data) - self._record + 1, self._record):
            record = data[at:at + self._record]
            body = record[:-_CHECK]
            numbers = np.frombuffer(body, '<f4', offset=_NAME)
            if (zlib.crc32(body).to_bytes(_CHECK, 'little')
                    != record[-_CHECK:] or not np.isfinite(numbers).all()):
                self.damaged += 1
                continue
            self._known[body[:_NAME]] = numbers
        self.damaged += not self._whole
        self._whole = not self.damaged

    def missing(self, texts: Mapping[str, str]) -> list[str]:
        """Ids of texts that have no embedding yet.

        :param texts: by id
        """
        return [i for i, text in texts.items()
                if self.name(text) not in self._known]

    def make(self, texts: Sequence[str], embed: Embed,
             told: Callable[[int], None] | None = None) -> None:
        """Embed texts and write them, some at a time.

        :param texts: that are missing
        :param embed: gives a row for each
        :param told: called with how many are done
        :raises OSError: they cannot be written
        """
        if not self._whole:
            self.keep_only(None)
        for at in range(0, len(texts), _BATCH):
            some = texts[at:at + _BATCH]
            rows = np.ascontiguousarray(embed(some), '<f4')
            data = b''
            for text, row in zip(some, rows, strict=True):
                name = self.name(text)
                self._known[name] = row
                data += self._packed(name, row)
            if self._path:
                with self._path.open('ab') as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            if told:
                told(at + len(some))

    def keep_only(self, texts: Mapping[str, str] | None) -> None:
        """Write the file anew.

        :param texts: whose embeddings are kept; None keeps all
        :raises OSError: it cannot be written
        """
        if texts is not None:
            wanted = {self.name(text) for text in texts.values()}
            self._known = {n: v for n, v in self._known.items()
                           if n in wanted}
        self._whole = True
        if self._path is None:
            return
        aside = self._path.with_suffix('.new')
        with aside.open('wb') as file:
            for name, row in self._known.items():
                file.write(self._packed(name, row))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)

    @staticmethod
    def _packed(name: bytes, row: np.ndarray) -> bytes:
        body = name + row.tobytes()
        return body + zlib.crc32(body).to_bytes(_CHECK, 'little')

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts that have one.

        :param texts: any that are not missing
        :returns: a row each
        """
        return np.array([self._known[self.name(t)] for t in texts],
                        np.float32).reshape(-1, self._width)

    def __len__(self) -> int:
        return len(self._known)
