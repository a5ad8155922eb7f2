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
"""Training, in the process of a worker: from stores of events to a model."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import hashlib
import json
import math
import pathlib
import shutil
import time
from typing import Any
from typing import TYPE_CHECKING

from oslo_log import log as logging
import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import scope
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import drivers
from openstack_rca.events import schema
from openstack_rca.models import base as models
from openstack_rca.models import drift
from openstack_rca.store import base as stores

if TYPE_CHECKING:
    import numpy as np

LOG = logging.getLogger(__name__)

#: Hands progress on: what is done, the share that is done, and figures.
Told = Callable[[dict[str, Any]], None]

#: Time that nobody has labelled is cut into recordings, so that some of it
#: can be held out: none shorter than this, and no more than so many.
_PIECE = datetime.timedelta(minutes=10)
_PIECES = 100
#: Templates whose ids a model keeps, the most frequent ones.
_TEMPLATES = 200_000
#: Seconds between two messages of progress.
_PACE = 1.0
#: Seconds after which the job of a training that died is not tried again any
#: more, and one like it is another one.
_FORGOTTEN = 3600.0
#: Seconds after which nobody will go on with what was interrupted.
_LEFT = 30 * 24 * 3600.0
#: The time that a measurement looks at, and pieces of it that are scored.
_LATELY = datetime.timedelta(days=1)
_SCORED = 48
_TICK = datetime.timedelta(microseconds=1)


def learned(name: str) -> type[detectors.LearnedDetector]:
    """The class of a detector that can be trained.

    :param name: of its driver
    :raises DriverNotFound: there is none of that name
    :raises InvalidInput: it has nothing to learn
    """
    driver = drivers.load('openstack_rca.detectors', name)
    if not (isinstance(driver, type)
            and issubclass(driver, detectors.LearnedDetector)):
        raise exception.InvalidInput(
            reason=f"The detector '{name}' learns nothing: it works without "
                   'a model.')
    return driver


def train_job(request: Mapping[str, Any],
              sources: Mapping[str, stores.Store],
              told: Told | None = None) -> str:
    """Train a model, and keep it.

    :param request: what was asked, in the shape of the API
    :param sources: what this engine reads, by name
    :param told: called with the progress now and then
    :returns: what the model says of itself, and the ``host`` that has it,
        as JSON
    :raises RCAException: it cannot be trained or kept, and why
    """
    wanted = list(request.get('sources') or sources)
    missing = [source for source in wanted if source not in sources]
    if missing or not wanted:
        raise exception.InvalidInput(
            reason=f'The engine on {conf.CONF.host} took this training and '
                   f'reads no source {", ".join(missing) or "at all"}. Give '
                   'all engines the same [sources] log_dirs, or ask again.')
    kept = train(request, {source: sources[source] for source in wanted},
                 drivers.model_store(), checkpoint_folder(request),
                 _paced(told), _FORGOTTEN)
    return json.dumps(kept.public() | {'host': conf.CONF.host},
                      separators=(',', ':'))


def train(request: Mapping[str, Any], sources: Mapping[str, stores.Store],
          kept: models.Store, folder: pathlib.Path,
          progress: detectors.Progress | None = None,
          forgotten: float = math.inf) -> models.Description:
    """Train a model, and keep it.

    A training that was interrupted goes on where it was, and learns from
    what there was when it began.

    :param request: what was asked, in the shape of the API
    :param sources: what is learned from, by name
    :param kept: where the model is kept
    :param folder: remembers how far the training came, and is gone once it
        is complete, or cannot be completed
    :param progress: called now and then
    :param forgotten: seconds without a sign of life after which a training
        is not gone on with
    :returns: what the model says of itself
    :raises RCAException: it cannot be trained or kept, and why
    """
    settings = _settings(request.get('settings') or {})
    driver = learned(str(request['detector']))
    course = _Course(folder, forgotten, progress)
    try:
        draft, arrays = _trained(request, sources, settings, driver, course)
        found = kept.save(draft, arrays)
    except exception.RCAException:
        course.end()
        raise
    course.end()
    LOG.info('Trained the model %s on %d events', found.name,
             found.trained_on['events'])
    return found


def _trained(request: Mapping[str, Any],
             sources: Mapping[str, stores.Store],
             settings: detectors.Settings,
             driver: type[detectors.LearnedDetector], course: '_Course'
             ) -> 'tuple[models.Draft, dict[str, np.ndarray]]':
    """A model that has learned."""
    name = str(request['detector'])
    until = course.until(_moment(request.get('until')), sources)
    request = {**request, 'until': _utc(until)}
    corpus = recordings(sources, request)
    counts = _counts(sources, _moment(request.get('since')), until)
    if not corpus or counts.is_empty():
        raise exception.InvalidInput(
            reason='There is no event to learn from in '
                   f'{", ".join(sources)} at that time. "openstack rca '
                   'source list" shows the times that an engine has.')
    detector = driver()
    try:
        if settings.device not in ('auto', 'cpu'):
            from openstack_rca.detectors import training
            training.device(settings.device)
        metrics = detector.fit(corpus, settings, course.tell, course.folder)
        arrays, learnt = detector.state()
        scores = [detector.score(recording) for recording in corpus]
    except ImportError as error:
        raise exception.InvalidInput(
            reason=f"The detector '{name}' needs the Python package "
                   f'{error.name or error}, which cannot be imported here '
                   f'({error}). Install openstack_rca[engine], which has '
                   'all that detectors need.') from error
    return models.Draft(
        detector=name,
        trained_on={
            'sources': list(sources), 'recordings': len(corpus),
            'harmed': sum(r.harmed is True for r in corpus),
            'unharmed': sum(r.harmed is False for r in corpus),
            'events': int(counts['events'].sum()),
            'from': _utc(counts['since'].min()),
            'to': _utc(counts['until'].max()), 'templates': counts.height},
        settings=dataclasses.asdict(settings), metrics=dict(metrics),
        thresholds=dict(learnt.get('thresholds') or {}), state=learnt,
        reference={
            'templates': [
                schema.template_name(template) for template in counts.sort(
                    'events', descending=True)['template'].head(_TEMPLATES)],
            'scores': drift.histogram(scores)}), arrays


def checkpoint_folder(request: Mapping[str, Any]) -> pathlib.Path:
    """Where it is remembered how far a training came.

    :param request: what was asked; the same folder for the same
    """
    digest = hashlib.blake2b(json.dumps(request, sort_keys=True).encode(),
                             digest_size=16).hexdigest()
    # No detector has such a name.
    return pathlib.Path(conf.CONF.models.directory) / '.training' / digest


class _Course:
    """The folder of a training that may go on after its end.

    :param folder: is made
    :param forgotten: seconds after which what it holds is too old
    :param progress: called now and then
    :raises ModelError: it cannot be made
    """

    def __init__(self, folder: pathlib.Path, forgotten: float,
                 progress: detectors.Progress | None) -> None:
        self.folder = folder
        self._progress = progress
        self._mark = folder / 'until'
        self._next = 0.0
        try:
            if self._mark.exists() and (time.time() - self._mark.stat()
                                        .st_mtime > forgotten):
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep()
        except OSError as error:
            raise self._unusable(error) from error

    def _sweep(self) -> None:
        """Delete what was begun long ago and never gone on with."""
        for path in self.folder.parent.iterdir():
            with contextlib.suppress(OSError):
                if (path / 'until').stat().st_mtime < time.time() - _LEFT:
                    shutil.rmtree(path)

    def _unusable(self, error: OSError) -> exception.ModelError:
        return exception.ModelError(
            f'How far the training comes cannot be kept in {self.folder}: '
            f'{error.strerror or error}. The folder of models has to be one '
            'of the user that trains, on a disk with room.')

    def until(self, asked: datetime.datetime | None,
              sources: Mapping[str, stores.Store]
              ) -> datetime.datetime | None:
        """Up to when is learned: what was logged since it began is not.

        :param asked: the end that was asked for
        :param sources: what is learned from
        :raises ModelError: the folder cannot be written
        """
        try:
            return datetime.datetime.fromisoformat(
                self._mark.read_text('ascii'))
        except (OSError, ValueError):
            pass
        ends = [time for store in sources.values()
                for time in _span(store, None, asked)]
        if not ends:
            return asked
        try:
            self._mark.write_text(max(ends).isoformat(), 'ascii')
        except OSError as error:
            raise self._unusable(error) from error
        return max(ends)

    def tell(self, what: str, share: float,
             figures: Mapping[str, float]) -> None:
        """Hand progress on, and show that somebody is at work."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PACE
            with contextlib.suppress(OSError):
                self._mark.touch()
        if self._progress is not None:
            self._progress(what, share, figures)

    def end(self) -> None:
        """Nothing is left to go on with."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _settings(given: Mapping[str, Any]) -> detectors.Settings:
    known = {field.name for field in dataclasses.fields(detectors.Settings)}
    strange = sorted(set(given) - known)
    if strange:
        raise exception.InvalidInput(
            reason=f'There is no setting {", ".join(strange)}. Known: '
                   f'{", ".join(sorted(known))}.')
    return detectors.Settings(**given)


def _paced(told: Told | None) -> detectors.Progress | None:
    """Progress, at most once a second."""
    if told is None:
        return None
    next_one = 0.0

    def tell(what: str, share: float, figures: Mapping[str, float]) -> None:
        nonlocal next_one
        if time.monotonic() >= next_one:
            next_one = time.monotonic() + _PACE
            told({'what': what, 'share': round(float(share), 4),
                  'figures': {key: round(float(value), 6)
                              for key, value in figures.items()}})
    return tell


def _moment(text: str | None) -> datetime.datetime | None:
    return scope.naive(datetime.datetime.fromisoformat(text)
                       if text else None)


def _utc(moment: Any) -> str | None:
    return None if moment is None else f'{moment.isoformat()}+00:00'


def recordings(sources: Mapping[str, stores.Store],
               request: Mapping[str, Any]) -> list[detectors.Recording]:
    """What is learned from, piece by piece.

    Labelled times are pieces of their own; the rest is cut into pieces of
    equal length, each time for itself that has logs without a gap between
    sources. What happened in all sources at the same time is one group.

    :param sources: stores by name
    :param request: ``since``, ``until`` and ``labels``, which have
        ``since``, ``until`` and ``harmed``
    """
    since, until = _moment(request.get('since')), _moment(
        request.get('until'))
    labels = [(_moment(label['since']), _moment(label['until']),
               bool(label['harmed']))
              for label in request.get('labels') or ()]
    spans = {name: span for name, store in sources.items()
             if (span := _span(store, since, until))}
    return [piece for together in _overlapping(spans)
            for piece in _pieces({name: sources[name] for name in together},
                                 min(spans[name][0] for name in together),
                                 max(spans[name][-1] for name in together),
                                 labels)]


def _overlapping(spans: Mapping[str, list[datetime.datetime]]
                 ) -> list[list[str]]:
    """Sources that were read at the same time, in the order of sources.

    Recordings of another day have nothing in common with them.
    """
    found: list[list[str]] = []
    end = None
    for name in sorted(spans, key=lambda name: spans[name]):
        if end is None or spans[name][0] > end:
            found.append([])
        found[-1].append(name)
        end = max(spans[name][-1], end or spans[name][-1])
    order = list(spans)
    return [sorted(names, key=order.index) for names in found]


def _pieces(sources: Mapping[str, stores.Store], first: datetime.datetime,
            last: datetime.datetime,
            labels: Sequence[tuple[datetime.datetime | None,
                                   datetime.datetime | None, bool]]
            ) -> list[detectors.Recording]:
    """The recordings of one time."""
    pieces: list[tuple[datetime.datetime, datetime.datetime, bool | None,
                       str]] = [
        (begin, end, harmed, f'label-{number}')
        for number, (begin, end, harmed) in enumerate(labels)
        if begin is not None and end is not None
        and begin <= last and end >= first]
    width = max(_PIECE, (last - first) / _PIECES + _TICK)
    begin = first
    while begin <= last:
        end = begin + width - _TICK
        if not any(begin <= upper and end >= lower
                   for lower, upper, _, _ in pieces if _):
            pieces.append((begin, min(end, last), None,
                           f'time-{begin.isoformat()}'))
        begin += width
    return [detectors.Recording(
        name=f'{name} {lower.isoformat()}', store=store, harmed=harmed,
        query=stores.Query(since=lower, until=upper), group=group)
        for lower, upper, harmed, group in pieces
        for name, store in sources.items()]


def _span(store: stores.Store, since: datetime.datetime | None,
          until: datetime.datetime | None) -> list[datetime.datetime]:
    """The first and the last moment of a store."""
    found = store.narrow(stores.Query(since=since, until=until)).select(
        first=pl.col('timestamp').min(),
        last=pl.col('timestamp').max()).collect(engine='streaming').row(0)
    return [moment for moment in found if moment is not None]


def _counts(sources: Mapping[str, stores.Store],
            since: datetime.datetime | None,
            until: datetime.datetime | None) -> pl.DataFrame:
    """How often each template was logged, and when."""
    return pl.concat([
        store.narrow(stores.Query(since=since, until=until)).filter(
            pl.col('timestamp').is_not_null()).group_by('template').agg(
                events=pl.len().cast(pl.UInt64),
                since=pl.col('timestamp').min(),
                until=pl.col('timestamp').max()).collect(engine='streaming')
        for store in sources.values()]).group_by('template').agg(
            pl.col('events').sum(), pl.col('since').min(),
            pl.col('until').max())


def measure(active: Mapping[str, str],
            sources: Mapping[str, stores.Store]) -> list[dict[str, Any]]:
    """How models fit what was logged in the last day.

    :param active: versions by detector
    :param sources: what this engine reads, by name
    :returns: of each ``detector``, ``version``, ``unseen_templates``,
        ``unseen_events`` and ``psi``; those that cannot be loaded here are
        left out, and logged
    """
    times = [time for store in sources.values()
             for time in _span(store, None, None)]
    if not times:
        return []
    # By the clock of the logs: what is read may be old.
    since = max(times) - _LATELY
    counts = {schema.template_name(template): events
              for template, events in _counts(sources, since, None).select(
                  'template', 'events').iter_rows()}
    store = drivers.model_store()
    found = []
    for name, version in sorted(active.items()):
        try:
            driver = learned(name)
            kept, arrays = store.load(name, version)
            detector = driver.from_state(arrays, kept.state)
            told = recordings(sources, {'since': _utc(since)})[-_SCORED:]
            index = drift.shift(kept.reference.get('scores'), [
                detector.score(recording) for recording in told])
        except exception.RCAException as error:
            LOG.warning('The model %s/%s is not measured: %s', name, version,
                        error)
            continue
        strange = drift.unseen(
            frozenset(kept.reference.get('templates') or ()), counts)
        found.append({
            'detector': name, 'version': version,
            'unseen_templates': strange and round(strange['templates'], 6),
            'unseen_events': strange and round(strange['events'], 6),
            'psi': None if index is None else round(index, 6)})
    return found
