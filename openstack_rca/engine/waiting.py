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

While the database is away it waits here, up to a bound: what is dropped is
counted and logged.
"""

import collections
from collections.abc import Callable
import threading
from typing import Any

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: Symptoms that wait at most.
MOST = 1000
#: Symptoms of one transaction.
_BATCH = 100


class Waiting:
    """Symptoms that are not written down yet."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._items: collections.deque[dict[str, Any]] = collections.deque()
        self._dropped = 0

    def add(self, found: list[dict[str, Any]]) -> None:
        """Put symptoms behind those that wait.

        :param found: in the shape of :func:`openstack_rca.db.symptoms.record`
        """
        with self._news:
            room = MOST - len(self._items)
            self._items += found[:room]
            if len(found) > room:
                if not self._dropped:
                    LOG.error('%d symptoms wait for the database: others are '
                              'dropped', MOST)
                self._dropped += len(found) - room
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
            LOG.warning('%s', described(symptom))
        with self._news:
            # Only this thread takes from the front.
            for _ in batch:
                self._items.popleft()
            if self._dropped and not self._items:
                LOG.error('%d symptoms were dropped while the database was '
                          'away', self._dropped)
                self._dropped = 0
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
