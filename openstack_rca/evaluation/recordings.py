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
"""The cases of a dataset as recordings: parsed once, and kept."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import pathlib
import types
from typing import Any

from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.evaluation import crossval
from openstack_rca.evaluation import dataset
from openstack_rca.evaluation import runner
from openstack_rca.store import base as stores

_DONE = 'parsed'


class Shelf:
    """A folder of parsed cases, for one process at a time.

    :param folder: where they are; it is made where it is missing
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> 'Shelf':
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.folder / 'lock', os.O_CREAT | os.O_RDWR,
                             0o600)
        except OSError as exc:
            raise exception.StoreError(
                path=self.folder, reason=exc.strerror or exc) from exc
        self._lock.callback(os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            raise exception.InvalidInput(
                reason=f'Another evaluation uses {self.folder}. Wait for '
                f'it, or name another folder with --all-output.') from exc
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self._lock.close()

    @property
    def predictions(self) -> pathlib.Path:
        """Where the predictions of folds are kept."""
        return self.folder / 'folds'

    def recordings(self, cases: Sequence[dataset.Case],
                   truth: Mapping[str, Mapping[str, Any]],
                   normal: frozenset[str], jobs: int,
                   progress: Callable[[int, str, str | None], None]
                   ) -> list[crossval.Known]:
        """Parse cases, or take what was parsed before.

        :param cases: which
        :param truth: what is true of them, as far as it is known
        :param normal: names of those that are known to be without a fault
        :param jobs: worker processes
        :param progress: called with the number of cases that are done, the
            last of them, and why it cannot be used, or None
        :returns: those that can be used, in their order
        :raises StoreError: what was parsed cannot be read
        """
        places = {case.case_id: self._place(case) for case in cases}
        todo = [c for c in cases
                if not (places[c.case_id] / _DONE).is_file()]
        done = len(cases) - len(todo)
        failed = set()
        for name, error in _parse(todo, places, jobs):
            done += 1
            if error is not None:
                failed.add(name)
            progress(done, name, error)
        return [_known(case, places[case.case_id], truth.get(case.case_id),
                       normal) for case in cases
                if case.case_id not in failed]

    def _place(self, case: dataset.Case) -> pathlib.Path:
        """Where a case is, which depends on what its archive is now."""
        from openstack_rca.engine import state
        try:
            told = case.archive.stat()
            identity = f'{told.st_size} {told.st_mtime_ns}'
        except OSError:
            identity = ''
        key = f'{state.key(case.archive, "UTC")} {identity}'
        return self.folder / 'stores' / hashlib.blake2b(
            key.encode(), digest_size=16).hexdigest()


def _parse(cases: Sequence[dataset.Case],
           places: Mapping[str, pathlib.Path],
           jobs: int) -> Iterator[tuple[str, str | None]]:
    if not cases:
        return
    if jobs == 1:
        for case in cases:
            yield case.case_id, _parsed(case.archive, places[case.case_id])
        return
    pool = runner.workers(min(jobs, len(cases)))
    try:
        running = {pool.submit(_parsed_apart, case.archive,
                               places[case.case_id]): case.case_id
                   for case in cases}
        for future in concurrent.futures.as_completed(running):
            try:
                yield running[future], future.result()
            except concurrent.futures.BrokenExecutor:
                yield running[future], (
                    'a worker process was killed, possibly for its memory')
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _parsed_apart(archive: pathlib.Path,
                  place: pathlib.Path) -> str | None:
    """Parse one archive in a process of its own."""
    from openstack_rca import conf
    conf.load()
    return _parsed(archive, place)


def _parsed(archive: pathlib.Path, place: pathlib.Path) -> str | None:
    """Parse one archive; why it cannot be used, or None."""
    from openstack_rca.engine import drivers
    from openstack_rca.engine import folder as folders
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = drivers.load('openstack_rca.stores', 'parquet')(place)
        folders.refresh(archive, store)
        if all(r.unparsed == r.lines for r in store.files().values()):
            return 'there is no log record in it'
        (place / _DONE).touch()
    except exception.RCAException as exc:
        return str(exc)
    except OSError as exc:
        return f'{place}: {exc.strerror or exc}'
    return None


def _known(case: dataset.Case, place: pathlib.Path,
           told: Mapping[str, Any] | None,
           normal: frozenset[str]) -> crossval.Known:
    from openstack_rca.engine import drivers
    store = drivers.load('openstack_rca.stores', 'parquet')(place)
    harmed: bool | None = None
    if told is not None:
        # Where no label says otherwise, a dataset tells faults only.
        harmed = bool(told.get('failure', True))
    elif case.case_id in normal:
        harmed = False
    return crossval.Known(detectors.Recording(
        case.case_id, store, stores.Query(
            since=scope.naive(case.since), until=scope.naive(case.until)),
        harmed, str((told or {}).get('group') or case.case_id)),
        f'{place.name} {case.since} {case.until}')
