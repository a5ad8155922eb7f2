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
    listener.lock               held by the process that listens to the bus
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
PARSER_VERSION = 5

#: Name of the source that is no folder: what comes over the message bus.
NOTIFICATIONS = 'notifications'

#: In front of the path of a journal of systemd, and where these are.
_JOURNAL = 'journal:'
_JOURNALS = '/var/log/journal'

_MARK = 'watched.json'
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')
#: Topics that other services listen to, as a rule.
_SHARED = frozenset(('notifications', 'versioned_notifications'))


@dataclasses.dataclass(frozen=True)
class SourceDir:
    """One source of the configuration.

    :param name: as users of the API see it
    :param path: folder, log file or tar archive
    :param store: where its events are kept
    :param driver: what reads it: ``files`` or ``journal``
    """

    name: str
    path: pathlib.Path
    store: pathlib.Path
    driver: str = 'files'


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
        if name == NOTIFICATIONS and notifications() is not None:
            raise exception.InvalidInput(
                reason=f"[sources] log_dirs: '{name}' is what comes over the "
                       'message bus, see [notifications]. Use another name.')
        place = told.removeprefix(_JOURNAL)
        path = pathlib.Path(_JOURNALS if told == _JOURNAL else place)
        if not path.is_absolute():
            raise exception.InvalidInput(
                reason=f"[sources] log_dirs: the path of '{name}' is "
                       f"'{told}'. It has to begin with a slash.")
        driver = 'files' if place == told else 'journal'
        which = path if driver == 'files' else f'/{_JOURNAL}{place}'
        found.append(SourceDir(
            name, path, root() / 'events' / f'{name}-{key(which, zone)}',
            driver))
    return found


def notifications() -> SourceDir | None:
    """The source that is no folder: what comes over the message bus.

    :returns: None where the engine does not listen to it
    :raises InvalidInput: it would take messages away from other services
    """
    told = conf.CONF.notifications
    enabled = (bool(told.transport_url) if told.enabled is None
               else told.enabled)
    if not enabled:
        return None
    shared = sorted(_SHARED & set(told.topics))
    if shared and not told.pool:
        raise exception.InvalidInput(
            reason=f'[notifications] topics: without a pool, listening to '
                   f'{shared[0]} would take messages away from other '
                   'services. Set [notifications] pool, or have the services '
                   'publish under one more topic and name that one.')
    if not told.topics or not told.exchanges:
        raise exception.InvalidInput(
            reason='[notifications] topics and exchanges have to name at '
                   'least one each.')
    # Nothing could be read again: what is stored stays when a setting does
    # not.
    return SourceDir(
        NOTIFICATIONS, pathlib.Path('the message bus'),
        root() / 'events' / f'{NOTIFICATIONS}-{PARSER_VERSION}')


def stores() -> list[SourceDir]:
    """All sources of this engine, folders or not, by name.

    :raises InvalidInput: a source cannot be one
    """
    listened = notifications()
    return sorted([*sources(), *([listened] if listened else [])],
                  key=lambda source: source.name)


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

    :param keep: the sources that there are; notifications need not be told
    """
    listened = notifications()
    wanted = {s.store.name for s in (*keep, *([listened] if listened else []))}
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


def waits(name: str, what: str) -> str | None:
    """Why a process must not begin yet; None once it may.

    It is the one of its kind then, until its end.

    :param name: of the kind
    :param what: that kind does with the state folder, in words
    """
    try:
        if take_lock(name) is not None:
            return None
    except OSError as error:
        return f'{root()} cannot be written to: {error.strerror or error}'
    return f'Another process {what} {root()}'


@dataclasses.dataclass(frozen=True)
class Mark:
    """How far what was logged has been judged.

    :param until: the last moment that was
    :param tries: how often what follows was begun, and not finished
    :param begun: when the first engine began; what lies before tells what
        is usual, and no trouble that an engine saw is in it
    """

    until: datetime.datetime
    tries: int = 0
    begun: datetime.datetime | None = None


def read_mark() -> Mark | None:
    """How far what was logged was judged before this process.

    :returns: None where nothing was, or nobody can tell
    """
    path = root() / _MARK
    try:
        told = json.loads(path.read_bytes())
        return Mark(datetime.datetime.fromisoformat(told['until']),
                    int(told['tries']),
                    datetime.datetime.fromisoformat(told['begun'])
                    if told.get('begun') else None)
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
                       'tries': mark.tries,
                       'begun': mark.begun and mark.begun.isoformat()}, out)
            out.flush()
            os.fsync(out.fileno())
        aside.rename(path)
    except OSError as error:
        raise exception.StoreError(
            path=path, reason=error.strerror or error) from error
