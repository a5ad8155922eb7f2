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
"""Play a scenario on a cloud under load, and record it."""

from collections.abc import Callable
import datetime
import logging
import pathlib
import time
from typing import Any

from tools.cloud import cloud as clouds
from tools.cloud import recorder
from tools.cloud.scenarios import base

LOG = logging.getLogger(__name__)

# Seconds that services need to settle, before a fault and after it.
BEFORE = 30.0
AFTER = 40.0


class Player:
    """Plays scenarios, one after the other.

    :param cloud: where; its load runs already
    :param operations: where the load writes
    :param folder: of the recordings
    """

    def __init__(self, cloud: clouds.Cloud, operations: pathlib.Path,
                 folder: pathlib.Path) -> None:
        self._cloud = cloud
        self._operations = operations
        self._folder = folder
        self._played: base.Scenario | None = None

    def play(self, kind: type[base.Scenario], name: str, *, seed: int = 1,
             before: float = BEFORE, lasts: float | None = None,
             after: Callable[[], bool] | float = AFTER,
             enough: Callable[[], bool] | None = None) -> dict[str, Any]:
        """Play one.

        :param kind: the scenario
        :param name: of its recording
        :param seed: of what is drawn
        :param before: seconds of normal life first
        :param lasts: seconds of the fault, instead of the scenario's own
        :param after: seconds after its end, or when that is enough
        :param enough: ends the fault earlier
        :returns: the truth, as it stands beside the recording
        """
        recording = recorder.Recording(
            self._cloud.layout, self._folder / name, self._operations)
        truth: dict[str, Any] = {**kind.told(), 'seed': seed,
                                 'started_at': base.now()}
        scenario = kind(self._cloud, seed)
        time.sleep(before)
        LOG.info('%s: %s', kind.name, kind.cause)
        truth['injected_at'] = base.now()
        try:
            scenario.inject()
            truth['injection_done_at'] = base.now()
            deadline = time.monotonic() + (lasts or kind.lasts)
            scenario.keep_on(lambda: time.monotonic() > deadline or (
                enough is not None and enough()))
        finally:
            truth['clear_started_at'] = base.now()
            scenario.clear()
        truth['cleared_at'] = base.now()
        LOG.info('%s: ended after %.0f seconds', kind.name, (
            _moment(truth['cleared_at']) - _moment(truth['injected_at'])))
        if callable(after):
            while not after():
                time.sleep(0.5)
        else:
            time.sleep(after)
        truth['ended_at'] = base.now()
        truth['requests'] = scenario.requests
        truth['instances'] = scenario.instances
        truth['notes'] = scenario.notes
        recording.save(truth)
        self._played = scenario
        return truth

    def tidy(self) -> None:
        """Let the next one find a cloud that works, and nothing of this one.

        :raises layout.CloudError: when the cloud does not recover
        """
        self._cloud.wait_healthy()
        if self._played is not None:
            self._played.tidy()


def _moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
