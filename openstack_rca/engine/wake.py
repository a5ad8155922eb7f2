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
"""When to look at the sources again.

The kernel tells of files that come, go and are written to. It does not tell
of what another host writes on a network file system, and it may have no
watches left: the sources are looked at every ``[sources] interval`` as well.
"""

from collections.abc import Iterable
import contextlib
import os
import select

import inotify_simple
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

_FLAGS = inotify_simple.flags
#: What changes the list of files of a folder.
_LISTING = (_FLAGS.CREATE | _FLAGS.DELETE | _FLAGS.MOVED_FROM
            | _FLAGS.MOVED_TO | _FLAGS.DELETE_SELF | _FLAGS.MOVE_SELF
            | _FLAGS.ATTRIB | _FLAGS.ONLYDIR)


class Wake:
    """Waits until there may be something new.

    Each write is an event, thousands a second where much is logged. So
    writes are watched only while nothing is written: the first one ends that
    and whoever reads asks the files themselves from then on.
    """

    def __init__(self) -> None:
        #: Written to by whoever wants an end of the waiting.
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._listing: inotify_simple.INotify | None = None
        self._writes: inotify_simple.INotify | None = None
        self._folders: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._lost = False
        with contextlib.suppress(OSError):
            self._listing = inotify_simple.INotify(nonblocking=True)
        if self._listing is None:
            self._lose('there are no instances left')

    def _lose(self, why: object) -> None:
        if not self._lost:
            LOG.warning('The system does not tell of changes in all folders '
                        '(%s): they are looked at every [sources] interval',
                        why)
        self._lost = True

    def tell(self) -> None:
        """End the waiting; from any thread."""
        os.eventfd_write(self._told, 1)

    def watch(self, folders: Iterable[str]) -> None:
        """Have the lists of files of some folders watched, and no others.

        :param folders: their paths
        """
        if self._listing is None:
            return
        wanted = set(folders)
        for folder in self._folders.keys() - wanted:
            number = self._folders.pop(folder)
            self._names.pop(number, None)
            with contextlib.suppress(OSError):
                self._listing.rm_watch(number)
        for folder in wanted - self._folders.keys():
            try:
                number = self._listing.add_watch(folder, _LISTING)
            except FileNotFoundError:
                # Its folder was told of.
                continue
            except OSError as error:
                self._lose(error.strerror or error)
                continue
            self._folders[folder] = number
            self._names[number] = folder

    def moved(self) -> set[str]:
        """Folders of which the list of files changed since the last time."""
        if self._listing is None:
            return set()
        found: set[str] = set()
        for event in self._listing.read(timeout=0):
            if event.mask & _FLAGS.Q_OVERFLOW:
                found |= self._folders.keys()
            folder = self._names.get(event.wd)
            if folder is None:
                continue
            found.add(folder)
            if event.mask & _FLAGS.IGNORED:
                # It is another folder from now on, if there is one.
                self._folders.pop(folder, None)
                del self._names[event.wd]
        return found

    def arm(self) -> None:
        """Have writes told, too, until :meth:`wait` returns."""
        if self._listing is None or self._writes is not None:
            return
        try:
            self._writes = inotify_simple.INotify(nonblocking=True)
            for folder in self._folders:
                with contextlib.suppress(FileNotFoundError,
                                         NotADirectoryError):
                    self._writes.add_watch(
                        folder, _FLAGS.MODIFY | _FLAGS.ONLYDIR)
        except OSError as error:
            self._lose(error.strerror or error)

    def wait(self, seconds: float) -> bool:
        """Wait until something happens.

        :param seconds: how long at most
        :returns: whether something did
        """
        told: list[int] = [self._told]
        told += [h.fileno() for h in (self._listing, self._writes)
                 if h is not None]
        poll = select.poll()
        for handle in told:
            poll.register(handle, select.POLLIN)
        found = bool(poll.poll(max(0.0, seconds) * 1000))
        if self._writes is not None:
            # With it goes what it had still to say.
            self._writes.close()
            self._writes = None
        return found

    def close(self) -> None:
        """Give the watches up."""
        for handle in (self._listing, self._writes):
            if handle is not None:
                handle.close()
        self._listing = self._writes = None
        os.close(self._told)
