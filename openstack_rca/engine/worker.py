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
"""The process that answers questions, one after the other.

Run as ``python -m openstack_rca.engine.worker`` by the engine.
"""

from collections.abc import Mapping
import datetime
import functools
import json
import pathlib
from typing import Any

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import cloud as clouds
from openstack_rca.analysis import scope
from openstack_rca.db import knowledge
from openstack_rca.engine import active
from openstack_rca.engine import asking
from openstack_rca.engine import folder as folders
from openstack_rca.engine import process
from openstack_rca.engine import session
from openstack_rca.engine import shelf as shelves
from openstack_rca.engine import snapshots
from openstack_rca.engine import state
from openstack_rca.engine import trainer
from openstack_rca.knowledge import similar

LOG = logging.getLogger(__name__)

#: Bytes of a result, as JSON.
MOST_RESULT = 2 << 20
#: Events of a result.
MOST_EVENTS = 1000


class Worker:
    """Answers from what the reader stored.

    :param sources: what there is
    :param cloud: whose logs these are, or None
    :param shelf: what is known, or None
    """

    def __init__(self, sources: list[state.SourceDir],
                 cloud: clouds.Cloud | None = None,
                 shelf: shelves.Shelf | None = None) -> None:
        self._cloud = cloud
        self._shelf = shelf or shelves.Shelf()
        self._sources = sources
        self._snapshots = snapshots.Snapshots(sources)

    def refresh(self) -> None:
        """See what the reader stored since the last question.

        :raises StoreError: a store cannot be read
        """
        self._snapshots.refresh()

    def close(self) -> None:
        """Give the snapshots up."""
        self._shelf.close()
        self._snapshots.close()

    def _session(self, project_id: str | None = None) -> session.Session:
        if not self._sources:
            raise exception.SourceEmpty(
                'The engine reads no logs. Name folders in [sources] '
                'log_dirs of its configuration.')
        self.refresh()
        if not any(s.files() for s in self._snapshots.stores.values()):
            raise exception.SourceEmpty(
                'The engine found no log in '
                + ', '.join(str(s.path) for s in self._sources)
                + ". 'openstack rca source list' says more.")
        skipped = []
        for source in self._sources:
            prefix = f'{source.name}/' if len(self._sources) > 1 else ''
            skipped += [row | {'source': prefix + row['source']}
                        for row in folders.skipped(source.store)]
        return session.Session(
            self._snapshots.whole(), skipped, cloud=self._cloud,
            similar=functools.partial(self._similar, project_id))

    def _similar(self, project_id: str | None,
                 report: dict[str, Any]) -> None:
        """Name what a report resembles; it stands without that, too."""
        try:
            self._shelf.refresh()
        except exception.RCAException as error:
            LOG.warning('What was written down lately is not known: %s',
                        error)
        self._shelf.add_similar(report, project_id)

    def answer(self, kind: str, request: dict[str, Any],
               told: trainer.Told | None = None,
               active: Mapping[str, str] | None = None,
               project_id: str | None = None) -> str:
        """The result of a job, as JSON.

        :param kind: ``analysis``, ``events``, ``trace``, ``search``,
            ``question``, ``index``, ``train`` or ``measure``
        :param request: what was asked, in the shape of the API
        :param told: called with the progress of a training
        :param active: versions of the models to use, by detector
        :param project_id: who asks
        :raises RCAException: there is no answer, and why
        """
        if kind == 'search':
            return self._search(request, project_id)
        if kind == 'index':
            return self._index(request['action'])
        if kind == 'question':
            return self._question(request, project_id)
        opened = self._session(project_id)
        if kind == 'analysis':
            return json.dumps(opened.analyze(scope.Question(
                issue=request.get('issue') or '',
                since=_moment(request.get('since')),
                until=_moment(request.get('until')),
                request_ids=tuple(request.get('request_ids') or ()),
                servers=tuple(request.get('servers') or ()),
                services=tuple(request.get('services') or ()),
                mode=request.get('mode') or 'fast',
                own=request.get('own') or '',
                elsewhere=tuple(map(tuple, request.get('elsewhere') or ()))),
                active),
                separators=(',', ':'))
        if kind == 'events':
            limit = min(request.get('limit') or MOST_EVENTS, MOST_EVENTS)
            events = opened.events(
                since=_moment(request.get('since')),
                until=_moment(request.get('until')),
                request_id=request.get('request_id'),
                server=request.get('server'),
                service=request.get('service'), level=request.get('level'),
                template=request.get('template'),
                words=tuple(request.get('words') or ()), limit=limit + 1)
            return fitted({'events': events}, limit)
        if kind == 'trace':
            return fitted(opened.story(request['server'])
                          if request.get('server')
                          else opened.trace(request['request_id']),
                          MOST_EVENTS)
        if kind == 'train':
            return trainer.train_job(request, self._snapshots.stores, told)
        if kind == 'measure':
            return json.dumps(trainer.measure(request['active'],
                                              self._snapshots.stores))
        raise exception.InvalidInput(
            reason=f"This engine does not know the kind of work '{kind}'. "
                   'It may be older than the API.')


    def _search(self, request: dict[str, Any],
                project_id: str | None) -> str:
        """What is known about something."""
        self._shelf.refresh()
        found = self._shelf.search(
            request['question'], int(request.get('limit') or 10),
            tuple(request.get('kinds') or ()), project_id=project_id,
            mode=request.get('mode') or 'full',
            service=request.get('service'),
            since=scope.naive(_moment(request.get('since'))),
            until=scope.naive(_moment(request.get('until'))))
        return json.dumps({'found': [similar.described(f) for f in found],
                           'index': self._shelf.health()})

    def _index(self, action: str) -> str:
        """Work on the index of this engine."""
        self._shelf.refresh()
        work = {'verify': self._shelf.verify, 'clear': self._shelf.clear,
                'rebuild': self._shelf.rebuild}.get(action)
        if work:
            work()
        return json.dumps({'host': conf.CONF.host,
                           'index': self._shelf.health()})

    def _question(self, request: dict[str, Any],
                  project_id: str | None) -> str:
        """What answers a question about an analysis."""
        assert project_id is not None
        report, before = knowledge.conversation(
            project_id, request['analysis_id'])
        self._shelf.refresh()
        opened = self._session(project_id)
        mode = request.get('mode') or 'full'
        return json.dumps(asking.ask(
            opened.store, report, request['question'],
            [m['question'] for m in before],
            self._shelf.found_by(project_id, mode),
            embed=active.embed(mode),
            most=conf.CONF.retrieval.context_size), separators=(',', ':'))


def fitted(result: dict[str, Any], most: int) -> str:
    """A result with as many of its events as it may hold.

    :param result: with ``events``
    :param most: how many events
    :returns: JSON, with ``more`` for whether some were left out
    """
    rest = len(json.dumps(result | {'events': [], 'more': False}))
    kept = []
    for event in result['events'][:most]:
        rest += len(json.dumps(event)) + 2
        if rest > MOST_RESULT:
            break
        kept.append(event)
    return json.dumps(result | {
        'events': kept, 'more': len(kept) < len(result['events'])})


def _moment(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None


def _message(worker: Worker, job: dict[str, Any],
             told: trainer.Told | None = None) -> dict[str, Any]:
    """What comes of a job."""
    try:
        return {'result': worker.answer(
            job['kind'], job['request'], told, job.get('models'),
            job.get('project_id'))}
    except exception.RCAException as error:
        return {'error': str(error), 'code': error.code}
    except BaseException as error:
        # BaseException: a panic of a native library is one, too. Its text
        # can quote the logs: it stays here.
        LOG.exception('The job %s hit a bug', job.get('id'))
        return {'error': 'This is a bug in openstack_rca: '
                f'{type(error).__name__}. The log of the engine on '
                f'{conf.CONF.host} says where, beside the id '
                f'{job.get("id")}.', 'code': 500}


def _cloud() -> clouds.Cloud | None:
    """The cloud that is configured, or None where it cannot be asked."""
    try:
        cloud = clouds.configured()
    except exception.RCAException as error:
        LOG.error('%s', error)
        return None
    if cloud:
        cloud.warm()
    return cloud


def main() -> None:
    """Answer until nobody asks any more."""
    ends = process.begin()
    # The engine watches what is held; this is for what grows faster than it
    # looks. Much more is mapped than is ever used.
    process.bound(2 * conf.CONF.engine.job_memory + (4 << 30))
    shelf = shelves.Shelf(
        knowledge, pathlib.Path(conf.CONF.retrieval.directory))
    worker = Worker(state.stores(), _cloud(), shelf)
    shelf.start()
    try:
        try:
            worker.refresh()
            active.warm()
        except exception.RCAException as error:
            LOG.debug('Not warm: %s', error)
        ends.send({'ready': True})
        process.give_back()
        while (job := ends.receive()) is not None:
            ends.send(_message(worker, job, lambda progress: ends.send(
                {'progress': progress})))
            process.give_back()
    except BrokenPipeError:
        LOG.debug('The engine is gone')
    finally:
        worker.close()


if __name__ == '__main__':
    main()
