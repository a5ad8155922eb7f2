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
"""What the watcher of an engine tells, on its way into the database.

While the database is away it waits here. The watcher stops before there is
too much: what it has not judged yet stays in the store.
"""

import collections
from collections.abc import Callable
import threading
from typing import Any

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: Symptoms of one transaction.
_BATCH = 100
#: Alarms of single records are many; the incidents say what they mean.
_QUIETLY = 'alarms'


class Waiting:
    """Symptoms that are not written down yet.

    :ivar added: how many there have been
    :ivar written: how many of them are written down
    """

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._items: collections.deque[dict[str, Any]] = collections.deque()
        self.added = 0
        self.written = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, found: list[dict[str, Any]]) -> None:
        """Put symptoms behind those that wait.

        :param found: in the shape of :func:`openstack_rca.db.symptoms.record`
        """
        with self._news:
            self._items += found
            self.added += len(found)
            self._news.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to write down.

        :param seconds: how long
        :returns: whether there is
        """
        with self._news:
            return self._news.wait_for(lambda: bool(self._items), seconds)

    def write(self, record: Callable[[list[dict[str, Any]]],
                                     list[dict[str, Any]] | None]) -> bool:
        """Write the first ones down, and log those that are new.

        :param record: writes them, and returns those that are new; None
            where it could not
        :returns: whether it could
        """
        with self._news:
            batch = [self._items[n]
                     for n in range(min(_BATCH, len(self._items)))]
        new = record(batch)
        if new is None:
            return False
        for symptom in new:
            say = (LOG.info if symptom['detector'] == _QUIETLY
                   else LOG.warning)
            say('%s', described(symptom))
        with self._news:
            # Only this thread takes from the front.
            for _ in batch:
                self._items.popleft()
            self.written += len(batch)
        return True


def described(symptom: dict[str, Any]) -> str:
    """A symptom as one line of a log.

    :param symptom: what is in it may come from any log
    """
    detector = '/'.join(filter(None, (symptom['detector'],
                                      symptom['version'])))
    where = ' on '.join(filter(None, (
        symptom['binary'] or symptom['service'], symptom['event_host'])))
    return _visible(
        f'Symptom of {where or "the cloud"} since {symptom["since"]} '
        f'({detector}, {symptom["sign"]}, score {symptom["score"]:.2f}): '
        f'{symptom["why"]}'
        + (f' [template {symptom["template"]}]' if symptom['template']
           else ''))


def _visible(text: str) -> str:
    """Show what would act on a terminal, or look like another line."""
    return ''.join(
        c if c.isprintable() else c.encode(
            'unicode_escape', 'surrogatepass').decode('ascii') for c in text)
