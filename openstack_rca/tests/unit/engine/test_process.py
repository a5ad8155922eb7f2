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
"""How a process of the engine begins and ends."""

import ctypes
import hashlib
import io
import json
import mmap
import os
import threading
from typing import Any
from unittest import mock

from openstack_rca.engine import pipe
from openstack_rca.engine import process
from openstack_rca.engine import state
from openstack_rca.tests import base


class TestGiveBack(base.TestCase):
    """What becomes of memory that is free."""

    def _held(self) -> int:
        with open('/proc/self/statm', encoding='ascii') as told:
            return int(told.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def test_memory_between_what_stays(self) -> None:
        # Larger than what Python keeps pools of, smaller than what the C
        # library maps alone.
        rows = [b'x' * (10_000 + number % 2) for number in range(8000)]
        kept = rows[-1]
        full = self._held()
        rows.clear()
        process.give_back()
        self.assertLess(self._held(), full - 60_000_000)
        self.assertEqual(10_001, len(kept))

    def _mapped(self, access: int) -> mmap.mmap:
        """A file of 30 MB, as a library is mapped."""
        handle = os.memfd_create('text')
        try:
            os.write(handle, os.urandom(30_000_000))
            made = mmap.mmap(handle, 0, mmap.MAP_PRIVATE, access)
        finally:
            os.close(handle)
        self.addCleanup(made.close)
        return made

    def test_what_files_have(self) -> None:
        text = self._mapped(mmap.PROT_READ | mmap.PROT_EXEC)
        digest = hashlib.sha256(text).digest()
        full = self._held()
        process.give_back()
        self.assertLess(self._held(), full - 25_000_000)
        self.assertEqual(digest, hashlib.sha256(text).digest())

    def test_what_no_file_has(self) -> None:
        text = self._mapped(
            mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        text[:4] = b'mine'
        held = ctypes.c_char.from_buffer(text)
        self.assertEqual(0, ctypes.CDLL(None).mprotect(
            ctypes.c_void_p(ctypes.addressof(held)), ctypes.c_size_t(
                len(text)), mmap.PROT_READ | mmap.PROT_EXEC))
        process.give_back()
        self.assertEqual(b'mine', text[:4])
        del held

    def test_weights_stay(self) -> None:
        path = self.tmp / 'model.safetensors'
        path.write_bytes(os.urandom(30_000_000))
        with path.open('rb') as told, mmap.mmap(
                told.fileno(), 0, mmap.MAP_PRIVATE) as weights:
            # The text of libraries is gone before.
            process.give_back()
            hashlib.sha256(weights).digest()
            full = self._held()
            process.give_back()
            self.assertGreater(self._held(), full - 25_000_000)

    def test_library_that_cannot(self) -> None:
        with mock.patch('ctypes.CDLL', autospec=True) as loaded:
            loaded.return_value = object()
            process.give_back()


class TestHear(base.TestCase):
    """What the engine says."""

    def test_until_it_is_gone(self) -> None:
        said: list[Any] = []
        ended = threading.Event()
        ends = pipe.Pipe(io.BytesIO(b'{"models":{}}\n{"written":2}\n{"wri'),
                         io.BytesIO())
        gone = process.hear(ends, said.append, ended.set)
        self.assertTrue(ended.wait(60))
        self.assertTrue(gone.is_set())
        self.assertEqual([{'models': {}}, {'written': 2}], said)

    def test_nobody_listens(self) -> None:
        ends = pipe.Pipe(io.BytesIO(b'{}\n'), io.BytesIO())
        self.assertTrue(process.hear(ends).wait(60))


class TestAlone(base.TestCase):
    """One process of a kind works with a state folder."""

    def alone(self, *reasons: str | None, gone: bool = False
              ) -> tuple[bool, list[dict[str, Any]]]:
        """What comes of it, and what the engine is told."""
        told = io.BytesIO()
        event = threading.Event()
        if gone:
            event.set()
        with mock.patch.object(state, 'waits', autospec=True,
                               side_effect=reasons), mock.patch.object(
                                   process, '_PACE', 0.0):
            found = process.alone(pipe.Pipe(io.BytesIO(), told), event,
                                  'reader', 'reads into')
        return found, [json.loads(line)
                       for line in told.getvalue().splitlines()]

    def test_at_once(self) -> None:
        self.assertEqual((True, []), self.alone(None))

    def test_each_reason_is_told_once(self) -> None:
        self.assertEqual((True, [{'waiting': True}] * 2), self.alone(
            'another one reads', 'another one reads', 'the disk is full',
            None))

    def test_the_engine_goes(self) -> None:
        self.assertEqual((False, [{'waiting': True}]), self.alone(
            'another one reads', None, gone=True))
