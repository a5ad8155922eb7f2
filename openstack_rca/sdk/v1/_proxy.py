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
"""The calls of version 1 of the service."""

from collections.abc import Callable
from collections.abc import Generator
import time
from typing import Any
from typing import TypeVar

from keystoneauth1 import exceptions as keystone
from openstack import exceptions
from openstack import proxy

from openstack_rca.sdk.v1 import analysis as _analysis
from openstack_rca.sdk.v1 import incident as _incident
from openstack_rca.sdk.v1 import index as _index
from openstack_rca.sdk.v1 import knowledge as _knowledge
from openstack_rca.sdk.v1 import model as _model
from openstack_rca.sdk.v1 import query as _query
from openstack_rca.sdk.v1 import question as _question
from openstack_rca.sdk.v1 import rating as _rating
from openstack_rca.sdk.v1 import source as _source

JobT = TypeVar('JobT', _analysis.Analysis, _model.Model, _query.Query,
               _question.Question)

#: Seconds between looks at a job: the first ones come quickly, since many an
#: answer takes less than a second.
FIRST_DELAY = 0.1
LONGEST_DELAY = 2.0

#: What passes by itself: the service or the database behind it restarts, or
#: too many ask at once.
PASSING = frozenset({429, 502, 503, 504})

#: Seconds of such trouble at a stretch that a wait sits out.
PATIENCE = 60.0


class Proxy(proxy.Proxy):
    """The calls of version 1 of the service.

    Errors are openstacksdk's: ``details`` of an
    :class:`openstack.exceptions.HttpException` is the message of the
    service.
    """

    _resource_registry = {
        'analysis': _analysis.Analysis,
        'entry': _knowledge.Entry,
        'incident': _incident.Incident,
        'index': _index.Index,
        'model': _model.Model,
        'query': _query.Query,
        'question': _question.Question,
        'rating': _rating.Rating,
        'source': _source.Source,
    }

    def create_analysis(self, **attrs: Any) -> _analysis.Analysis:
        """Ask a question; the answer comes later.

        :param attrs: ``issue``, ``since``, ``until``, ``request_ids``,
            ``servers``, ``services``, ``mode``, ``incident``; what is None
            is left out
        :returns: the analysis, queued
        """
        return self._create(_analysis.Analysis, **_given(attrs))

    def analyses(self, **query: Any) -> Generator[
            _analysis.Analysis, None, None]:
        """List the analyses of the project, newest first.

        :param query: ``status``, ``verdict``, ``limit`` (of one page),
            ``marker`` (the id to go on behind)
        :returns: their summaries, page by page
        """
        return self._list(_analysis.Analysis, **_given(query))

    def get_analysis(self, analysis: str | _analysis.Analysis
                     ) -> _analysis.Analysis:
        """Fetch one analysis with its report.

        :param analysis: the analysis or its id
        :raises NotFoundException: the project has no such analysis
        """
        return self._get_resource(_analysis.Analysis, analysis).fetch(
            self, skip_cache=True)

    def delete_analysis(self, analysis: str | _analysis.Analysis,
                        ignore_missing: bool = True) -> None:
        """Delete an analysis, finished or not.

        :param analysis: the analysis or its id
        :param ignore_missing: whether one that is not there is no error
        :raises NotFoundException: the project has no such analysis
        """
        self._delete(_analysis.Analysis, analysis,
                     ignore_missing=ignore_missing)

    def wait_for_analysis(
            self, analysis: str | _analysis.Analysis,
            timeout: float | None = 600,
            progress: Callable[[_analysis.Analysis], None] | None = None
            ) -> _analysis.Analysis:
        """Wait until an analysis is complete.

        :param analysis: the analysis or its id
        :param timeout: the most seconds to wait, None for no end
        :param progress: called with the analysis after each look at it
        :returns: the analysis with its report
        :raises ResourceTimeout: it is not complete in time, and goes on;
            ``extra_data`` is the analysis
        :raises ResourceFailure: it failed, the message says why;
            ``extra_data`` is the analysis
        :raises NotFoundException: somebody deleted it
        """
        return self._wait(_analysis.Analysis, analysis, timeout, progress)

    def rate_analysis(self, analysis: str | _analysis.Analysis, rating: str,
                      component: str | None = None,
                      comment: str | None = None,
                      cause: str | None = None) -> _rating.Rating:
        """Say whether an analysis was right; again replaces it.

        :param analysis: the analysis or its id
        :param rating: ``right``, ``partly`` or ``wrong``
        :param component: the part that was faulty in truth
        :param comment: what else there is to say
        :param cause: the cause in truth, in words: it becomes knowledge
        :raises ConflictException: the analysis is not complete
        """
        return self._update(
            _rating.Rating, None, rating=rating,
            analysis_id=_analysis.Analysis._get_id(analysis),
            **_given({'component': component, 'comment': comment,
                      'cause': cause}))

    def ask_analysis(self, analysis: str | _analysis.Analysis,
                     question: str, mode: str | None = None
                     ) -> _question.Question:
        """Ask something about an analysis; the answer comes later.

        :param analysis: the analysis or its id
        :param question: what else is to be known
        :param mode: ``fast`` or ``full``
        :returns: the question, queued
        :raises ConflictException: the analysis is not complete
        """
        return self._create(
            _question.Question, question=question,
            analysis_id=_analysis.Analysis._get_id(analysis),
            **_given({'mode': mode}))

    def questions(self, analysis: str | _analysis.Analysis,
                  **query: Any) -> Generator[_question.Question, None, None]:
        """List what was asked about an analysis, newest first.

        :param analysis: the analysis or its id
        :param query: ``limit`` (of one page), ``marker`` (the id to go on
            behind)
        """
        return self._list(
            _question.Question,
            analysis_id=_analysis.Analysis._get_id(analysis),
            **_given(query))

    def wait_for_question(
            self, question: _question.Question,
            timeout: float | None = 600,
            progress: Callable[[_question.Question], None] | None = None
            ) -> _question.Question:
        """Wait for an answer, see :meth:`wait_for_analysis`.

        :param question: the question
        :param timeout: the most seconds to wait, None for no end
        :param progress: called with the question after each look at it
        :returns: the question with its answer
        :raises ResourceTimeout: it is not answered in time
        :raises ResourceFailure: it failed, the message says why
        """
        return self._wait(_question.Question, question, timeout, progress)

    def import_knowledge(self, **attrs: Any) -> _knowledge.Import:
        """Hand in a document, or entries of a backup.

        :param attrs: ``name``, ``content``, ``format``, ``service``,
            ``tags``, ``url``; or ``entries``; what is None is left out
        :returns: how many entries were ``added``, ``kept``, ``removed``
        """
        return self._create(_knowledge.Import, **_given(attrs))

    def knowledge(self, **query: Any) -> Generator[
            _knowledge.Entry, None, None]:
        """List what is known in the project, newest first.

        :param query: ``kind``, ``service``, ``source``, ``texts`` (``true``
            for all that each says), ``limit`` (of one page), ``marker``
            (the id to go on behind)
        """
        return self._list(_knowledge.Entry, **_given(query))

    def get_knowledge(self, entry: str | _knowledge.Entry
                      ) -> _knowledge.Entry:
        """Fetch one entry with its text.

        :param entry: the entry or its id
        :raises NotFoundException: the project has no such entry
        """
        return self._get_resource(_knowledge.Entry, entry).fetch(
            self, skip_cache=True)

    def delete_knowledge(self, entry: str | _knowledge.Entry,
                         ignore_missing: bool = True) -> None:
        """Delete an entry.

        :param entry: the entry or its id
        :param ignore_missing: whether one that is not there is no error
        :raises NotFoundException: the project has no such entry
        """
        self._delete(_knowledge.Entry, entry, ignore_missing=ignore_missing)

    def change_index(self, action: str) -> _index.Index:
        """Have something done to the index of an engine.

        :param action: ``status``, ``verify``, ``rebuild`` or ``clear``
        :returns: the job; :meth:`wait_for_query` with its id follows it
        """
        return self._create(_index.Index, action=action)

    def index_jobs(self, **query: Any) -> Generator[
            _index.Index, None, None]:
        """List what was done to the index, newest first.

        :param query: ``status``, ``limit`` (of one page), ``marker`` (the
            id to go on behind)
        """
        return self._list(_index.Index, **_given(query))

    def create_query(self, kind: str, **attrs: Any) -> _query.Query:
        """Ask for events; they come later.

        :param kind: ``events``, ``trace`` or ``search``
        :param attrs: for a search ``question``, ``kinds``, ``service``,
            ``since``, ``until``, ``mode``, ``limit``; for events ``since``,
            ``until``, ``request_id``, ``server``, ``service``, ``level``,
            ``template``, ``words``, ``limit``; for a trace ``request_id``
            or ``server``; what is None is left out
        :returns: the query, queued
        """
        return self._create(_query.Query, kind=kind, **_given(attrs))

    def queries(self, **query: Any) -> Generator[_query.Query, None, None]:
        """List the queries of the project, newest first.

        :param query: ``status``, ``kind``, ``limit`` (of one page),
            ``marker`` (the id to go on behind)
        :returns: the queries without their results, page by page
        """
        return self._list(_query.Query, **_given(query))

    def get_query(self, query: str | _query.Query) -> _query.Query:
        """Fetch one query with its result.

        :param query: the query or its id
        :raises NotFoundException: the project has no such query
        """
        return self._get_resource(_query.Query, query).fetch(
            self, skip_cache=True)

    def wait_for_query(
            self, query: str | _query.Query, timeout: float | None = 600,
            progress: Callable[[_query.Query], None] | None = None
            ) -> _query.Query:
        """Wait until a query is complete, see :meth:`wait_for_analysis`.

        :param query: the query or its id
        :param timeout: the most seconds to wait, None for no end
        :param progress: called with the query after each look at it
        :returns: the query with its result
        :raises ResourceTimeout: it is not complete in time
        :raises ResourceFailure: it failed, the message says why
        """
        return self._wait(_query.Query, query, timeout, progress)

    def incidents(self, **query: Any) -> Generator[
            _incident.Incident, None, None]:
        """List the incidents of the project, newest first.

        :param query: ``status``, ``limit`` (of one page), ``marker`` (the
            id to go on behind)
        :returns: the incidents, page by page
        """
        return self._list(_incident.Incident, **_given(query))

    def get_incident(self, incident: str | _incident.Incident
                     ) -> _incident.Incident:
        """Fetch one incident.

        :param incident: the incident or its id
        :raises NotFoundException: the project has no such incident
        """
        return self._get_resource(_incident.Incident, incident).fetch(
            self, skip_cache=True)

    def update_incident(self, incident: str | _incident.Incident,
                        **attrs: Any) -> _incident.Incident:
        """Change the status or the resolution of an incident.

        :param incident: the incident or its id
        :param attrs: ``status``, ``resolution``, ``suppressed_until``
        :raises ConflictException: its status does not allow the step
        """
        # By its id: of a resource that was fetched, openstacksdk would send
        # nothing where it believes that nothing changes.
        return self._update(_incident.Incident,
                            _incident.Incident._get_id(incident), **attrs)

    def acknowledge_incident(self, incident: str | _incident.Incident
                             ) -> _incident.Incident:
        """Take an incident on.

        :param incident: the incident or its id
        :raises ConflictException: it is resolved
        """
        return self.update_incident(incident, status='acknowledged')

    def resolve_incident(self, incident: str | _incident.Incident,
                         resolution: str | None = None
                         ) -> _incident.Incident:
        """Close an incident.

        :param incident: the incident or its id
        :param resolution: how it was solved
        """
        return self.update_incident(incident, status='resolved',
                                    **_given({'resolution': resolution}))

    def suppress_incident(self, incident: str | _incident.Incident,
                          until: str | None = None,
                          reason: str | None = None
                          ) -> _incident.Incident:
        """Have engines be silent about what an incident is made of.

        :param incident: the incident or its id
        :param until: when they speak again, ISO 8601 with its offset from
            UTC; None where they never do
        :param reason: why
        :raises ConflictException: no engine adds symptoms to it
        """
        return self.update_incident(
            incident, status='suppressed', suppressed_until=until,
            **_given({'resolution': reason}))

    def reopen_incident(self, incident: str | _incident.Incident
                        ) -> _incident.Incident:
        """Open an incident again.

        :param incident: the incident or its id
        """
        return self.update_incident(incident, status='open')

    def train_model(self, detector: str, **attrs: Any) -> _model.Model:
        """Have a detector trained; that takes a while.

        :param detector: its name
        :param attrs: ``sources``, ``since``, ``until``, ``labels``,
            ``verdicts``, ``settings``; what is None is left out
        :returns: the model, queued
        """
        return self._create(_model.Model, detector=detector, **_given(attrs))

    def models(self, **query: Any) -> Generator[_model.Model, None, None]:
        """List the models of the cloud, newest first.

        :param query: ``detector``, ``status``, ``origin``, ``limit`` (of
            one page), ``marker`` (the id to go on behind)
        :returns: the models without their details, page by page
        """
        return self._list(_model.Model, **_given(query))

    def get_model(self, model: str | _model.Model) -> _model.Model:
        """Fetch one model with its details.

        :param model: the model or its id
        :raises NotFoundException: there is no such model
        """
        return self._get_resource(_model.Model, model).fetch(
            self, skip_cache=True)

    def wait_for_model(
            self, model: str | _model.Model, timeout: float | None = 600,
            progress: Callable[[_model.Model], None] | None = None
            ) -> _model.Model:
        """Wait until a model is trained, see :meth:`wait_for_analysis`.

        :param model: the model or its id
        :param timeout: the most seconds to wait, None for no end
        :param progress: called with the model after each look at it
        :returns: the model with its details
        :raises ResourceTimeout: it is not trained in time
        :raises ResourceFailure: the training failed, the message says why
        """
        return self._wait(_model.Model, model, timeout, progress)

    def activate_model(self, model: str | _model.Model) -> _model.Model:
        """Make a model the one that its detector uses, everywhere.

        :param model: the model or its id; an older one, to roll back
        :raises ConflictException: it is not trained
        """
        return self._update(_model.Model, _model.Model._get_id(model),
                            active=True)

    def delete_model(self, model: str | _model.Model,
                     ignore_missing: bool = True) -> None:
        """Delete a model, trained or not.

        :param model: the model or its id
        :param ignore_missing: whether one that is not there is no error
        :raises ConflictException: it is active, or came with the package
        """
        self._delete(_model.Model, model, ignore_missing=ignore_missing)

    def sources(self) -> Generator[_source.Source, None, None]:
        """List what the engines read."""
        return self._list(_source.Source)

    def _wait(self, kind: type[JobT], value: str | JobT,
              timeout: float | None,
              progress: Callable[[JobT], None] | None) -> JobT:
        job = self._get_resource(kind, value)
        begun = time.monotonic()
        trouble: float | None = None
        delay = FIRST_DELAY
        while True:
            try:
                job = job.fetch(self, skip_cache=True)
                trouble = None
            except (exceptions.HttpException, keystone.HttpError,
                    keystone.RetriableConnectionFailure) as exc:
                now = time.monotonic()
                trouble = now if trouble is None else trouble
                if not _passes(exc) or now - trouble >= PATIENCE:
                    raise
            else:
                if progress is not None:
                    progress(job)
                if job.status == 'complete':
                    return job
                if job.status == 'failed':
                    raise exceptions.ResourceFailure(
                        f'{kind.__name__} {job.id} failed: {_reason(job)}',
                        extra_data=job)
            if timeout is not None:
                left = begun + timeout - time.monotonic()
                if left <= 0:
                    raise exceptions.ResourceTimeout(
                        f'{kind.__name__} {job.id} is {job.status} after '
                        f'{timeout:g} seconds, and goes on',
                        extra_data=job)
                delay = min(delay, left)
            time.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)


def _given(attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items()
            if value is not None}


def _passes(exc: Exception) -> bool:
    if isinstance(exc, exceptions.HttpException):
        return exc.status_code in PASSING
    if isinstance(exc, keystone.HttpError):
        return exc.http_status in PASSING
    return True


def _reason(job: _analysis.Analysis | _model.Model | _query.Query
            | _question.Question) -> str:
    error = job.error
    if isinstance(error, dict) and error.get('message'):
        return str(error['message'])
    return str(error) if error else 'the service gives no reason'
