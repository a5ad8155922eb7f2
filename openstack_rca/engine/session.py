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
"""Questions to a store of events: what both doors answer."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
from typing import Any

import polars as pl

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.analysis import analyzer
from openstack_rca.analysis import cloud as clouds
from openstack_rca.analysis import operations
from openstack_rca.analysis import report
from openstack_rca.analysis import scope
from openstack_rca.analysis import trace
from openstack_rca.engine import active
from openstack_rca.engine import asking
from openstack_rca.engine import shelf
from openstack_rca.events import schema
from openstack_rca.llms import narrator
from openstack_rca.store import base as stores


class Session:
    """Parsed logs, ready for questions.

    :param store: its events
    :param skipped: what was not read: ``source``, ``reason``, ``bytes``
    :param baseline: events of a quiet time, or None
    :param parse_seconds: how long reading the folder took
    :param cloud: whose logs these are, or None
    :param similar: names in a report what it resembles; None where nothing
        is known
    """

    def __init__(self, store: stores.Store, skipped: list[dict[str, Any]],
                 baseline: stores.Store | None = None,
                 parse_seconds: float = 0.0,
                 cloud: clouds.Cloud | None = None,
                 similar: Callable[[dict[str, Any]], None] | None = None
                 ) -> None:
        self.cloud = cloud
        self.similar = similar
        self.store = store
        self.skipped = skipped
        self.baseline = baseline
        self.parse_seconds = parse_seconds

    @property
    def coverage(self) -> list[dict[str, Any]]:
        """What was read, a row a file.

        :returns: rows of ``source``, ``from``, ``to``, ``events``, ``clock``
        """
        return [{'source': r.source, 'from': _utc(r.since),
                 'to': _utc(r.until), 'events': r.events, 'clock': r.clock}
                for r in self._records()]

    def _records(self) -> list[stores.FileRecord]:
        return sorted(self.store.files().values(), key=lambda r: r.source)

    def analyze(self, question: scope.Question,
                versions: Mapping[str, str] | None = None, *,
                narrate: bool = True) -> dict[str, Any]:
        """Answer a question with a report.

        :param question: what the operator wants to know
        :param versions: active models by detector; without it those that
            came with the package
        :param narrate: tell the report in words, see ``[llm]``
        :returns: the report document
        :raises InvalidInput: the question contradicts itself
        :raises UnknownRequest: a request id that no event carries
        :raises DriverNotFound: a detector is configured that is not there
        :raises StoreError: the parsed events cannot be read
        :raises ReportInvalid: the report contradicts itself
        """
        limits = report.Limits(
            hypotheses=conf.CONF.analysis.max_hypotheses,
            evidence=conf.CONF.analysis.max_evidence,
            timeline=conf.CONF.analysis.max_timeline)
        detectors, left_out = active.chosen(question.mode, versions)
        with self._readable():
            document = analyzer.Analyzer(
                self.store, self.baseline, detectors=detectors,
                embed=active.embed(question.mode), limits=limits,
                cloud=self.cloud).analyze(
                    question, self.coverage, self.skipped,
                    self.parse_seconds)
        # Before the files: of these there may be more than a report holds.
        document['skipped'] = left_out + document['skipped']
        if self.similar:
            self.similar(document)
        return narrator.narrate(document) if narrate else document

    def ask(self, report: Mapping[str, Any], question: str,
            before: Sequence[str], known: shelf.Shelf, mode: str = 'fast',
            tell: asking.Tell = narrator.answer) -> dict[str, Any]:
        """Answer a question about a report, see :mod:`asking`.

        :param report: what is asked about
        :param question: in words
        :param before: questions that were asked before, the oldest first
        :param known: what is known
        :param mode: ``fast`` or ``full``
        :param tell: makes an answer of what was found
        :raises InvalidInput: the question contradicts itself
        :raises StoreError: the parsed events cannot be read
        """
        with self._readable():
            return asking.ask(
                self.store, report, question, before,
                known.found_by(None, mode), embed=active.embed(mode),
                most=conf.CONF.retrieval.context_size, tell=tell)

    def events(self, *, since: datetime.datetime | None = None,
               until: datetime.datetime | None = None,
               request_id: str | None = None, server: str | None = None,
               service: str | None = None, level: str | None = None,
               template: str | None = None,
               words: tuple[str, ...] | list[str] | str | None = None,
               limit: int = 1000) -> list[dict[str, Any]]:
        """Events in order of time.

        :param since: first moment, aware
        :param until: last moment, aware
        :param request_id: local or global request id
        :param server: UUID or name of a server
        :param service: project or binary
        :param level: least level, by name
        :param template: id of a template, 16 hex digits
        :param words: all of these stand in the text
        :param limit: at most so many
        :raises InvalidInput: a value cannot be understood
        :raises StoreError: the parsed events cannot be read
        """
        scope.check_order(since, until)
        if limit < 1:
            raise exception.InvalidInput(
                f'A limit of {limit} shows nothing. Use 1 or more.')
        if isinstance(words, str):
            words = (words,)
        with self._readable():
            query = stores.Query(
                since=scope.naive(since), until=scope.naive(until),
                requests=(request_id,) if request_id else (),
                resources=scope.identifiers(self.store, server)
                if server else (),
                services=(service,) if service else (),
                level=scope.level_number(level) if level else None,
                templates=(scope.template_number(template),)
                if template else (),
                words=tuple(words or ()), limit=limit)
            return describe(self.store.query(query), self.store.templates())

    def trace(self, request_id: str) -> dict[str, Any]:
        """One request's way through all services.

        :param request_id: local or global request id
        :returns: ``request_ids``, ``global_request_id``, ``services``,
            ``events``; these have ``delta_ms``, the time since the first
            one, which is None where an event has no time
        :raises UnknownRequest: no event carries the id
        :raises StoreError: the parsed events cannot be read
        """
        with self._readable():
            way = trace.follow(self.store, request_id)
            rows = self._timed(way.events)
        return {'request_ids': way.request_ids,
                'global_request_id': way.global_request_id,
                'services': way.services, 'events': rows}

    def story(self, server: str) -> dict[str, Any]:
        """What was done to a server, and how each operation ended.

        :param server: UUID or name
        :returns: ``server``, ``operations``, ``notes``, ``looks``,
            ``request_ids``, ``services``, ``events``, see the page on the
            way of a request in the documentation
        :raises InvalidInput: no event names it
        :raises StoreError: the parsed events cannot be read
        """
        with self._readable():
            told = trace.story(self.store, server)
            rows = self._timed(told.events)
        done = [_operation(o) for o in told.operations]
        return {'server': told.server, 'operations': done,
                'notes': [{'text': note['text'], **_place(note['row'])}
                          for note in told.notes],
                'looks': told.looks,
                'request_ids': list(dict.fromkeys(
                    r for o in done for r in o['request_ids'])),
                'services': told.services, 'events': rows}

    def _timed(self, events: pl.DataFrame) -> list[dict[str, Any]]:
        """Events as people see them, with the time since the first one."""
        rows = describe(events, self.store.templates())
        times = events['timestamp']
        start = times.drop_nulls().first()
        for row, moment in zip(rows, times, strict=True):
            row['delta_ms'] = None if moment is None else round(
                (moment - start).total_seconds() * 1e3, 3)
        return rows

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns what polars says of a damaged store into an error of ours."""
        try:
            yield
        except (pl.exceptions.ComputeError, pl.exceptions.PanicException,
                OSError) as error:
            raise exception.StoreError(
                path=self.store.path, reason=f'{error}. Delete the folder, '
                'or ask again with --no-cache.') from error

    def sources(self) -> list[dict[str, Any]]:
        """What was read, a row a file."""
        return [{
            'source': r.source, 'kind': r.kind, 'format': r.format,
            'service': r.service, 'binary': r.binary, 'host': r.host,
            'events': r.events, 'lines': r.lines, 'unparsed': r.unparsed,
            'from': _utc(r.since), 'to': _utc(r.until), 'bytes': r.bytes}
            for r in self._records()]


def _operation(operation: operations.Operation) -> dict[str, Any]:
    """An operation as people see it."""
    begin, last = operation.begin, operation.last
    return {
        'operation': operation.name, 'outcome': operation.outcome,
        'reason': operation.reason, 'request_ids': operation.requests,
        'start': _utc(begin.isoformat()) if begin else None,
        'end': _utc(last.isoformat()) if last else None,
        'seconds': round((last - begin).total_seconds(), 3)
        if begin and last else None,
        'hosts': operation.hosts,
        'steps': [{'text': m.text, **_place(m.row)}
                  for m in operations.steps(operation)],
        'evidence': [_place(row) for row in operation.proof]}


def _place(row: dict[str, Any] | None) -> dict[str, Any]:
    """Where an event stands."""
    if row is None:
        return {'timestamp': None}
    moment = row['timestamp']
    return {'timestamp': _utc(moment.isoformat()) if moment else None,
            'binary': row['binary'], 'host': row['host'],
            'source': row['source'], 'line': row['line'],
            'offset': row['offset']}


def _utc(moment: str | None) -> str | None:
    return f'{moment}+00:00' if moment else None


def describe(events: pl.DataFrame,
             templates: pl.DataFrame) -> list[dict[str, Any]]:
    """Events as people see them.

    :param events: with the columns of ``schema.EVENTS``
    :param templates: with the columns of ``schema.TEMPLATES``
    """
    rows = events.join(templates, on='template', how='left',
                       maintain_order='left')
    return [{
        'timestamp': r['timestamp'].isoformat() + '+00:00'
        if r['timestamp'] else None,
        'host': r['host'], 'service': r['service'], 'binary': r['binary'],
        'level': schema.LEVEL_NAMES.get(r['level'], ''),
        'logger': r['logger'], 'request_id': r['request_id'],
        'global_request_id': r['global_request_id'],
        'resources': list(dict.fromkeys(r['resources'] or ())),
        'template': schema.template_name(r['template']),
        'pattern': r['pattern'], 'text': r['text'], 'source': r['source'],
        'line': r['line'], 'offset': r['offset'], 'kind': r['kind'],
    } for r in rows.iter_rows(named=True)]
