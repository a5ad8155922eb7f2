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
"""The cache of parsed folders, in the home of the user.

So a second question about the same folder starts at once. A folder of the
cache belongs to one process at a time; others parse for themselves.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
import time
import weakref

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.engine import folder as folders
from openstack_rca.engine import state
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

_LOCK = 'lock'


def store(folder: pathlib.Path | None) -> stores.Store:
    """The store in a folder of the cache, or in a temporary one."""
    store_class = drivers.load('openstack_rca.stores', 'parquet')
    if folder is not None and _lock(folder):
        # A damaged cache costs time, never an answer.
        for _ in range(2):
            try:
                store: stores.Store = store_class(folder)
            except exception.StoreError as error:
                LOG.warning('The cache in %s is made anew: %s', folder,
                            error)
                state.empty(folder, keep=_LOCK)
            else:
                return store
    try:
        folder = pathlib.Path(tempfile.mkdtemp(prefix='openstack-rca-'))
    except OSError as error:
        raise exception.StoreError(
            path=tempfile.gettempdir(),
            reason=error.strerror or error) from error
    store = store_class(folder)
    weakref.finalize(store, shutil.rmtree, folder, True)
    return store


def cache_root() -> pathlib.Path:
    """The folder of the cache, by the XDG Base Directory Specification."""
    told = conf.CONF.local_cache.directory
    if told:
        return pathlib.Path(told).expanduser()
    base = os.environ.get('XDG_CACHE_HOME', '')
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser('~'), '.cache')
    return pathlib.Path(base) / 'openstack-rca'


def folder_of(path: pathlib.Path,
                  timezone: str) -> pathlib.Path | None:
    """The folder of one source in the cache; None where there is none."""
    if not conf.CONF.local_cache.max_age or not conf.CONF.local_cache.max_size:
        return None
    root = cache_root()
    folder = root / 'events' / state.key(path, timezone)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The folder above may be one that the user shares with others.
        folder.parent.mkdir(exist_ok=True, mode=0o700)
        folder.parent.chmod(0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        _evict(folder.parent, keep=folder)
    except OSError as error:
        LOG.debug('No cache in %s: %s', root, error)
        return None
    return folder


def _evict(root: pathlib.Path, keep: pathlib.Path) -> None:
    """Delete what is too old or too much, least recently used first."""
    aged = []
    total = _size(keep)
    for folder in root.iterdir():
        if folder == keep or not folder.is_dir():
            continue
        mark = folder / folders.USED
        with contextlib.suppress(OSError):
            used = (mark if mark.exists() else folder).stat().st_mtime
            aged.append((used, folder, _size(folder)))
            total += aged[-1][2]
    oldest = time.time() - conf.CONF.local_cache.max_age
    for used, folder, size in sorted(aged):
        if used >= oldest and total <= conf.CONF.local_cache.max_size:
            continue
        if _lock(folder, hold=False):
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _size(folder: pathlib.Path) -> int:
    total = 0
    for file in folder.glob('*'):
        # Others may be at work in their folders.
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


_HELD: dict[str, int] = {}


def _lock(folder: pathlib.Path, hold: bool = True) -> bool:
    """Whether no other process uses a folder of the cache."""
    name = str(folder)
    if name in _HELD:
        return hold
    try:
        handle = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The folder may have been evicted between these two calls.
        if not os.path.samestat(os.fstat(handle), os.stat(folder / _LOCK)):
            raise OSError
    except OSError:
        os.close(handle)
        return False
    if hold:
        # Held until the process ends: its segments must not be evicted
        # while they are read.
        _HELD[name] = handle
    else:
        os.close(handle)
    return True
