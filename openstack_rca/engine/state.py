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
"""Where an engine keeps what it read, below ``[DEFAULT] state_path``.

::

    reader.lock                 held by the process that reads the sources
    watcher.lock                held by the process that watches them
    watched.json                until when they were judged
    events/NAME-KEY/            the store of one source
    snapshots/PID-NUMBER-NAME/  what a worker reads, as hard links
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import zoneinfo

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception

LOG = logging.getLogger(__name__)

#: Part of the key of stored events: those of another version are not read.
PARSER_VERSION = 4

_MARK = 'watched.json'
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


@dataclasses.dataclass(frozen=True)
class SourceDir:
    """One source of the configuration.

    :param name: as users of the API see it
    :param path: folder, log file or tar archive
    :param store: where its events are kept
    """

    name: str
    path: pathlib.Path
    store: pathlib.Path


def key(path: pathlib.Path | str, timezone: str) -> str:
    """What stored events depend on, beside the logs themselves.

    :param path: what was read
    :param timezone: zone of its local times
    """
    # What is read depends on the limits, too.
    limits = sorted(dict(conf.CONF.limits).items())
    return hashlib.blake2b(
        f'{PARSER_VERSION}\0{timezone}\0{limits}\0{os.path.realpath(path)}'
        .encode('utf-8', 'surrogateescape'), digest_size=16).hexdigest()


def root() -> pathlib.Path:
    """The folder of this engine."""
    return pathlib.Path(conf.CONF.state_path)


def sources() -> list[SourceDir]:
    """The sources of the configuration, by name.

    :raises InvalidInput: a name, a path or the time zone is none
    """
    zone = conf.CONF.sources.timezone
    try:
        zoneinfo.ZoneInfo(zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise exception.InvalidInput(
            reason=f"[sources] timezone: there is no time zone '{zone}'. "
                   'Use a name such as UTC or Europe/Berlin.') from error
    found = []
    for name, told in sorted(conf.CONF.sources.log_dirs.items()):
        if not _NAME.fullmatch(name):
            raise exception.InvalidInput(
                reason=f"[sources] log_dirs: '{name[:80]}' is no name of a "
                       'source: use letters, digits, dots, dashes and '
                       'underscores, 64 at most.')
        path = pathlib.Path(told)
        if not path.is_absolute():
            raise exception.InvalidInput(
                reason=f"[sources] log_dirs: the path of '{name}' is "
                       f"'{told}'. It has to begin with a slash.")
        found.append(SourceDir(
            name, path, root() / 'events' / f'{name}-{key(path, zone)}'))
    return found


def snapshots() -> pathlib.Path:
    """The folder of the snapshots."""
    return root() / 'snapshots'


def prepare() -> None:
    """Make the folders of this engine, for its eyes only.

    :raises StoreError: they cannot be made
    """
    try:
        for folder in (root(), root() / 'events', snapshots()):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(root(), 0o700)
        if not os.access(root(), os.W_OK | os.X_OK):
            raise PermissionError(None, 'Permission denied')
    except OSError as error:
        raise exception.StoreError(
            path=root(), reason=f'{error.strerror or error}. '
            '[DEFAULT] state_path has to be a folder of the user that runs '
            'openstack-rca-engine.') from error


def sweep(keep: list[SourceDir]) -> None:
    """Delete stores of sources that are gone, and snapshots of the dead.

    :param keep: the sources that there are
    """
    wanted = {s.store.name for s in keep}
    for folder in (root() / 'events').iterdir():
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)
    for folder in snapshots().iterdir():
        pid = folder.name.partition('-')[0]
        if not pid.isdigit() or not os.path.exists(f'/proc/{pid}'):
            shutil.rmtree(folder, ignore_errors=True)


def empty(folder: pathlib.Path, keep: str = '') -> None:
    """Delete what a folder holds.

    :param folder: of a store
    :param keep: name of what stays
    """
    for path in folder.iterdir():
        if path.name == keep:
            continue
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def take_lock(name: str = 'reader') -> int | None:
    """Become the one process of its kind in the state folder.

    :param name: of the kind
    :returns: what holds the lock until it is closed; None while another
        process has it
    """
    handle = os.open(root() / f'{name}.lock', os.O_CREAT | os.O_RDWR, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    os.close(handle)
    return None


@dataclasses.dataclass(frozen=True)
class Mark:
    """How far what was logged has been judged.

    :param until: the last moment that was
    :param tries: how often what follows was begun, and not finished
    """

    until: datetime.datetime
    tries: int = 0


def read_mark() -> Mark | None:
    """How far what was logged was judged before this process.

    :returns: None where nothing was, or nobody can tell
    """
    path = root() / _MARK
    try:
        told = json.loads(path.read_bytes())
        return Mark(datetime.datetime.fromisoformat(told['until']),
                    int(told['tries']))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        LOG.warning('%s cannot be used (%s): what was logged lately is judged '
                    'again', path, error)
        return None


def write_mark(mark: Mark) -> None:
    """Write down how far what was logged is judged.

    :param mark: of now
    :raises StoreError: it cannot be written
    """
    path = root() / _MARK
    aside = path.with_suffix('.new')
    try:
        handle = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(handle, 'w', encoding='ascii') as out:
            json.dump({'until': mark.until.isoformat(),
                       'tries': mark.tries}, out)
            out.flush()
            os.fsync(out.fileno())
        aside.rename(path)
    except OSError as error:
        raise exception.StoreError(
            path=path, reason=error.strerror or error) from error
