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
"""The models of an engine, and their rows: what the engine does by itself.

It writes down the models of its store that have no row, deletes the weights
of models that were deleted, has models measured, and has those trained again
that are due. Nothing that detectors need is imported here.
"""

from collections.abc import Callable
import json
import time
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.db import models_api
from openstack_rca.engine import child
from openstack_rca.engine import drivers
from openstack_rca.models import base as models

LOG = logging.getLogger(__name__)

_WORKER = 'openstack_rca.engine.worker'


def described() -> list[dict[str, Any]]:
    """What the models of the store say of themselves.

    Those that cannot be used are logged, and left out.

    :raises ModelError: the store cannot be read
    """
    kept = drivers.model_store()
    found = []
    for detector, version, _ in kept.names():
        try:
            found.append(kept.describe(detector, version).public())
        except exception.ModelError as error:
            LOG.error('%s', error)
    return found


def active() -> dict[str, str]:
    """Which version of each detector counts.

    Where the database says nothing, as before it has the rows of models that
    came with the package, it is the newest one of these.

    :raises RCAException: the database or the store cannot be used
    """
    # They are sorted: the newest is the last.
    return {detector: version for detector, version, origin
            in drivers.model_store().names() if origin == models.SHIPPED
            } | models_api.models_active()


def sweep() -> None:
    """Delete the weights of models that were deleted.

    :raises RCAException: the database or the store cannot be used
    """
    host = conf.CONF.host
    kept = drivers.model_store()
    there = {(detector, version) for detector, version, _ in kept.names()}
    for row in models_api.models_deleting(host):
        name = (row['detector'], row['version'])
        if name in there:
            kept.delete(*name)
            LOG.info('Deleted the model %s/%s', *name)
        models_api.model_gone(row['id'])


class Keeper:
    """Looks after the models of an engine.

    :param args: options of the command line, for the process that measures
    :param wait: waits so many seconds, and says whether the engine ends
    """

    def __init__(self, args: list[str],
                 wait: Callable[[float], bool]) -> None:
        self._args = args
        self._wait = wait
        self._registered = False
        self._measured = time.monotonic()
        self._error = ''

    def look(self) -> None:
        """Do what is to be done now."""
        try:
            self._look()
        except exception.RCAException as error:
            # Said once, and not every time.
            if str(error) != self._error:
                LOG.error('Looking after the models: %s', error)
            self._error = str(error)
        else:
            self._error = ''

    def _look(self) -> None:
        told = conf.CONF.models
        if not self._registered:
            for name in models_api.models_register(conf.CONF.host,
                                                   described()):
                LOG.info('Found the model %s', name)
            self._registered = True
        sweep()
        if told.retrain_interval:
            for request in models_api.models_due(conf.CONF.host,
                                                 told.retrain_interval):
                row = models_api.model_create('', '', request,
                                              conf.CONF.api.max_queued)
                LOG.info('The model of %s is trained again: %s',
                         row['detector'], row['id'])
        if told.measure_interval and (time.monotonic() - self._measured
                                      >= told.measure_interval):
            self._measured = time.monotonic()
            active = models_api.models_active()
            if active and conf.CONF.sources.log_dirs:
                for row in self._measure(active):
                    models_api.model_measured(
                        row.pop('detector'), row.pop('version'), row)

    def _measure(self, active: dict[str, str]) -> list[dict[str, Any]]:
        """Have models measured by a process of its own."""
        try:
            worker = child.Child(_WORKER, self._args)
        except OSError as error:
            LOG.error('No process can be started: %s', error)
            return []
        end = time.monotonic() + conf.CONF.models.train_timeout
        answer = None
        try:
            sent = worker.send({'id': 'measure', 'kind': 'measure',
                                'request': {'active': active}})
            while sent and time.monotonic() < end and not self._wait(0.0):
                answer = worker.receive(0.5)
                if answer is not None and not answer.get('ready'):
                    break
                if worker.memory() > conf.CONF.engine.job_memory:
                    LOG.error('Measuring models needs more than [engine] '
                              'job_memory')
                    break
        except EOFError:
            LOG.error('Measuring models did not finish: %s', worker.ending())
        finally:
            worker.end()
        if answer is None or 'result' not in answer:
            if answer is not None and 'error' in answer:
                LOG.error('Measuring models: %s', answer['error'])
            return []
        found: list[dict[str, Any]] = json.loads(answer['result'])
        return found
