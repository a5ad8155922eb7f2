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
import dataclasses
import datetime
import json
import time
from typing import Any

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
#: The time that a measurement looks at, and pieces of it that are scored.
_LATELY = datetime.timedelta(days=1)
_SCORED = 48
_TICK = datetime.timedelta(microseconds=1)


def model_store() -> models.Store:
    """Where models are kept.

    :raises DriverNotFound: ``[models] driver`` names none
    """
    store: models.Store = drivers.load('openstack_rca.models',
                                       conf.CONF.models.driver)()
    return store


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
    name = str(request['detector'])
    detector = learned(name)()
    settings = _settings(request.get('settings') or {})
    wanted = list(request.get('sources') or sources)
    missing = [source for source in wanted if source not in sources]
    if missing or not wanted:
        raise exception.InvalidInput(
            reason=f'The engine on {conf.CONF.host} took this training and '
                   f'reads no source {", ".join(missing) or "at all"}. Give '
                   'all engines the same [sources] log_dirs, or ask again.')
    chosen = {source: sources[source] for source in wanted}
    corpus = recordings(chosen, request)
    counts = _counts(chosen, _moment(request.get('since')),
                     _moment(request.get('until')))
    if not corpus or counts.is_empty():
        raise exception.InvalidInput(
            reason='There is no event to learn from in '
                   f'{", ".join(wanted)} at that time. "openstack rca source '
                   'list" shows the times that there are.')
    metrics = detector.fit(corpus, settings, _paced(told))
    arrays, state = detector.state()
    scores = [detector.score(recording) for recording in corpus]
    kept = model_store().save(models.Draft(
        detector=name,
        trained_on={
            'sources': wanted, 'recordings': len(corpus),
            'harmed': sum(r.harmed is True for r in corpus),
            'unharmed': sum(r.harmed is False for r in corpus),
            'events': int(counts['events'].sum()),
            'from': _utc(counts['since'].min()),
            'to': _utc(counts['until'].max()), 'templates': counts.height},
        settings=dataclasses.asdict(settings), metrics=dict(metrics),
        thresholds=dict(state.get('thresholds') or {}), state=state,
        reference={
            'templates': [
                schema.template_name(template) for template in counts.sort(
                    'events', descending=True)['template'].head(_TEMPLATES)],
            'scores': drift.histogram(scores)}), arrays)
    LOG.info('Trained the model %s on %d events', kept.name,
             kept.trained_on['events'])
    return json.dumps(kept.public() | {'host': conf.CONF.host},
                      separators=(',', ':'))


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
    equal length. What happened in all sources at the same time is one
    group.

    :param sources: stores by name
    :param request: ``since``, ``until`` and ``labels``, which have
        ``since``, ``until`` and ``harmed``
    """
    since, until = _moment(request.get('since')), _moment(
        request.get('until'))
    labels = [(_moment(label['since']), _moment(label['until']),
               bool(label['harmed']))
              for label in request.get('labels') or ()]
    times = [time for store in sources.values()
             for time in _span(store, since, until)]
    if not times:
        return []
    first, last = min(times), max(times)
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
    store = model_store()
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
