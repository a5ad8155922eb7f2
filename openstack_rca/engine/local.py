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
"""The local door: questions to a folder of logs, in process."""

from collections.abc import Sequence
import pathlib
import time
from typing import Any

from openstack_rca import exception
from openstack_rca.engine import cache as caches
from openstack_rca.engine import folder as folders
from openstack_rca.engine import ingest
from openstack_rca.engine import session
from openstack_rca.engine import shelf
from openstack_rca.knowledge import entries
from openstack_rca.store import base as stores


def open_folder(path: pathlib.Path, *, timezone: str = 'UTC',
                cache: bool = True, baseline: pathlib.Path | None = None,
                progress: ingest.Progress | None = None) -> session.Session:
    """Parse a folder, or what changed of it, and open it for questions.

    :param path: folder, log file or tar archive
    :param timezone: IANA name of the zone of times without an offset
    :param cache: keep what is parsed, and use what was kept
    :param baseline: a folder of quiet logs to compare with
    :param progress: called with a stage and the share that is done
    :raises InvalidInput: there is no such time zone
    :raises SourceNotFound: the folder is not there
    :raises SourceUnreadable: it cannot be read
    :raises SourceEmpty: there is no log in it
    :raises NothingRecognised: no line of it is a log record
    :raises StoreError: what was parsed cannot be written
    """
    folders.check_timezone(timezone)
    start = time.perf_counter()
    store, skipped = _parsed(path, timezone, cache, progress)
    quiet = None
    if baseline is not None:
        quiet = _parsed(baseline, timezone, cache, progress)[0]
    return session.Session(store, skipped, quiet,
                           time.perf_counter() - start, similar=_similar)


def known(extra: Sequence[entries.Entry] = ()) -> shelf.Shelf:
    """What is known without a service: signatures, and what is given.

    :param extra: entries beside the signatures
    :raises SignatureInvalid: a shipped signature is wrong
    """
    made = shelf.Shelf(extra=extra)
    made.refresh()
    return made


def _similar(report: dict[str, Any]) -> None:
    known().add_similar(report, None)


def _parsed(path: pathlib.Path, timezone: str, cached: bool,
            progress: ingest.Progress | None) -> tuple[
                stores.Store, list[dict[str, Any]]]:
    """The store of a folder, up to date."""
    store = caches.store(caches.folder_of(path, timezone) if cached else None)
    skipped = folders.refresh(path, store, timezone, progress).skipped
    records = store.files().values()
    if not records or all(r.unparsed == r.lines for r in records):
        detail = ' '.join(f'{s["source"]}: {s["reason"]}.'
                          for s in skipped[:3])
        if not records:
            raise exception.SourceEmpty(path=path, detail=detail)
        raise exception.NothingRecognised(
            path=path, files=len(records), detail=detail)
    return store, skipped
