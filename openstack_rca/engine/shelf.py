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
"""What is known, ready to be searched.

The rows of the database and the signatures are entries; what finds them is a
cache of these. Words are counted at once, so that what was written down a
moment ago is found. Embeddings take longer: they are made beside the work,
each once, and until they are there words find those entries.

::

    lock         held by the process that makes embeddings
    driver       what made them, and with which model
    embeddings   see :mod:`openstack_rca.retrievers.vectors`
"""

import collections
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import datetime
import fcntl
import functools
import math
import os
import pathlib
import threading
import time
from typing import Any
from typing import Protocol

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.engine import process
from openstack_rca.knowledge import entries
from openstack_rca.knowledge import signatures
from openstack_rca.knowledge import similar
from openstack_rca.retrievers import base
from openstack_rca.retrievers import words

LOG = logging.getLogger(__name__)

NAMESPACE = 'openstack_rca.retrievers'
#: What searches by words alone.
WORDS = 'bm25'
#: Entries whose words are counted while somebody waits.
_FEW = 2000
#: Seconds between two looks for new rows, while nobody asks.
_LOOK = 5.0
#: How much less than others the thread that embeds is given.
_NICE = 15
#: Seconds that work on the index waits for another process of the engine.
_PATIENCE = 60.0
#: Entries whose words are compared beside those that a driver found.
_DEEP = 50


class Rows(Protocol):
    """Gives the rows, see :mod:`openstack_rca.db.knowledge`."""

    def mark(self) -> tuple[int, datetime.datetime | None]:
        """What changes whenever a row does."""

    def read(self, since: datetime.datetime | None = None) -> tuple[
            set[str], list[entries.Entry]]:
        """The ids of all rows, and those written since."""


class Busy(exception.RCAException):
    """Another process makes embeddings."""

    code = 409
    msg_fmt = ('Another process of this engine is making embeddings. Wait '
               "until it is done: 'openstack rca index status' tells how far "
               'it is.')


@dataclasses.dataclass
class _Index:
    """A retriever, and the texts that it was filled with."""

    retriever: base.Retriever
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    #: In how many texts each word is.
    often: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter)

    def count(self, documents: Mapping[str, str]) -> None:
        """Fill it, and count in how many texts each word is."""
        self.retriever.fill(documents)
        self.texts = dict(documents)
        self.often = collections.Counter(
            word for text in documents.values()
            for word in set(words.roots(text)))

    def weight(self, said: Collection[str]) -> float:
        """How much some words tell: rare ones more."""
        count = len(self.texts)
        return sum(math.log(1 + (count - often + 0.5) / (often + 0.5))
                   for often in map(self.often.__getitem__, said))

    def covers(self, documents: Mapping[str, str],
               wanted: Collection[str]) -> set[str]:
        """Which of some documents it knows as they are now."""
        return {i for i in wanted if self.texts.get(i) == documents[i]}


def known_signatures() -> list[entries.Entry]:
    """The signatures of the configuration as entries."""
    return similar.of_signatures(
        signatures.Library.configured().signatures)


class Shelf:
    """Entries, and what finds them.

    :param rows: gives what is written down, None where nothing is
    :param folder: where embeddings are kept, None keeps them in memory
    :param extra: entries beside the rows and the signatures
    """

    def __init__(self, rows: Rows | None = None,
                 folder: pathlib.Path | None = None,
                 extra: Sequence[entries.Entry] = ()) -> None:
        self._table = rows
        self.folder = folder
        self._extra = {f'{e.kind}/{e.id}': e for e in extra}
        self._rows: dict[str, entries.Entry] = {}
        self._signed: list[entries.Entry] = []
        self._mark: tuple[int, datetime.datetime | None] | None = None
        self._entries: dict[str, entries.Entry] = {}
        self._documents: dict[str, str] = {}
        self._words = _Index(drivers.load(NAMESPACE, WORDS)())
        self._tail: _Index | None = None
        self._full: _Index | None = None
        # A question must not wait until many texts are embedded.
        self._making = False
        self._health = base.Health(0)
        self._problem: str | None = None
        self._lock = threading.RLock()
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    # What there is

    def refresh(self) -> bool:
        """See what was written down since the last time.

        :returns: whether anything was
        :raises DatabaseUnavailable: the rows cannot be read
        :raises SignatureInvalid: a shipped signature is wrong
        """
        with self._lock:
            signed = known_signatures()
            mark = self._table.mark() if self._table else (0, None)
            if mark == self._mark and signed == self._signed:
                return False
            if self._table and mark != self._mark:
                since = self._mark[1] if self._mark else None
                ids, fresh = self._table.read(since)
                self._rows = {i: e for i, e in self._rows.items()
                              if i in ids} | {e.id: e for e in fresh}
            self._mark, self._signed = mark, signed
            self._entries = {
                **{f'signature/{e.id}': e for e in signed},
                **{f'{e.kind}/{e.id}': e for e in self._rows.values()},
                **self._extra}
            before = self._documents
            self._documents = {}
            for name, entry in self._entries.items():
                words = entry.words
                # The same text is the same object: it is compared often.
                self._documents[name] = before[name] if before.get(
                    name) == words else words
            self._count()
        self._news.set()
        return True

    def _count(self) -> None:
        """Count words, of the newest entries where there are many."""
        self._tail = None
        if len(self._documents) <= _FEW:
            self._words.count(self._documents)
            return
        covered = self._words.covers(self._documents, self._documents)
        left = [i for i in self._documents if i not in covered]
        if left:
            never = datetime.datetime.min
            left.sort(key=lambda i: self._entries[i].written or never,
                      reverse=True)
            self._tail = _Index(drivers.load(NAMESPACE, WORDS)())
            self._tail.count({i: self._documents[i] for i in left[:_FEW]})

    # Searching

    def search(self, question: str, limit: int, kinds: Collection[str] = (),
               *, project_id: str | None = None, mode: str = 'fast',
               service: str | None = None,
               services: Collection[str] = (),
               since: datetime.datetime | None = None,
               until: datetime.datetime | None = None) -> list[
                   similar.Found]:
        """Entries that fit a question, the best first.

        :param question: words, log lines
        :param limit: at most so many
        :param kinds: only of these kinds; all where empty
        :param project_id: who asks: what belongs to another one is not
            there
        :param mode: ``fast`` by words, ``full`` by the configured driver
        :param service: only about this service, or one of its programs
        :param services: only about one of these; about any where empty
        :param since: only what was written down then or later, UTC without
            a zone; signatures have no time
        :param until: only what was written down then or earlier
        """
        with self._lock:
            wanted = {
                name for name, e in self._entries.items()
                if (e.project_id is None or e.project_id == project_id)
                and (not kinds or e.kind in kinds)
                and (service is None or e.about(service))
                and (not services or any(map(e.about, services)))
                and (since is None or e.written and e.written >= since)
                and (until is None or e.written and e.written <= until)}
            ranked: list[base.Hit] = []
            left = wanted
            for index in (self._full if mode == 'full' and not self._making
                          else None,
                          self._words, self._tail):
                if index is None or not left:
                    continue
                covered = index.covers(self._documents, left)
                if covered:
                    ranked += self._asked(index, question,
                                          max(limit, _DEEP), covered)
                left = left - covered
            ranked.sort(key=lambda h: (-h.score, h.id))
            return self._weighed(question, ranked[:limit])

    def _asked(self, index: _Index, question: str, limit: int,
               wanted: Collection[str]) -> list[base.Hit]:
        try:
            return index.retriever.search(question, limit, wanted)
        except exception.RCAException as error:
            # Words are always there.
            self._trouble(str(error))
            return self._words.retriever.search(question, limit, wanted)

    def _weighed(self, question: str,
                 ranked: Sequence[base.Hit]) -> list[similar.Found]:
        """How well entries fit.

        Scores of drivers cannot be compared with each other, and that of
        what fits best does not tell how well it fits: words that both say
        do.
        """
        index = self._words if self._words.texts else self._tail
        asked = set(words.roots(question))
        if index is None or not asked:
            return []
        whole = index.weight(asked)
        found = []
        for hit in ranked:
            said = set(words.roots(self._documents[hit.id]))
            both = index.weight(asked & said)
            found.append(similar.Found(
                self._entries[hit.id], both / whole,
                both / math.sqrt(whole * (index.weight(said) or 1.0))))
        return found

    def found_by(self, project_id: str | None, mode: str) -> similar.Search:
        """A search of one project."""
        return functools.partial(self.search, project_id=project_id,
                                 mode=mode)

    def add_similar(self, report: dict[str, Any],
                    project_id: str | None) -> None:
        """Name in a report what it resembles, see :mod:`similar`."""
        settings = conf.CONF.retrieval
        begin = time.perf_counter()
        mode = report.get('mode') or 'fast'
        past: dict[str, Any] = {}
        if settings.max_age:
            past['since'] = datetime.datetime.now(datetime.UTC).replace(
                tzinfo=None) - datetime.timedelta(days=settings.max_age)
        if settings.same_service:
            past['services'] = similar.services(report)

        def search(question: str, limit: int,
                   kinds: Collection[str] = ()) -> list[similar.Found]:
            # What was logged before, and signatures, have the words of
            # records: meaning adds nothing to them but the time it takes.
            return self.search(
                question, limit, kinds, project_id=project_id,
                mode=mode if set(kinds) == {entries.DOCUMENT} else 'fast',
                **past if kinds == similar.PAST else {})

        similar.add(
            report, search, threshold=settings.threshold,
            incidents=settings.incidents, documents=settings.documents)
        told = report.get('statistics', {}).get('seconds')
        if told is not None:
            took = round(time.perf_counter() - begin, 3)
            told['retrieve'] = took
            told['total'] = round(told.get('total', 0.0) + took, 3)

    # Embeddings

    def start(self) -> None:
        """Make embeddings beside the work, from now on."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name='shelf', daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Make no more embeddings."""
        self._ended.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        # On Linux a thread has a priority of its own: questions come first.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._ended.is_set():
            self._news.wait(_LOOK)
            self._news.clear()
            if self._ended.is_set():
                return
            try:
                self.refresh()
                before = self._full
                if self.catch_up(wait=False):
                    self._problem = None
                if self._full is not before:
                    process.give_back()
            except exception.RCAException as error:
                self._trouble(str(error))
            except Exception:
                # What is not embedded is found by its words.
                LOG.exception('The index of what is known has a bug')
                self._ended.wait(60.0)

    def _trouble(self, text: str) -> None:
        if text != self._problem:
            LOG.warning('What is known is found by words alone: %s', text)
        self._problem = text

    def catch_up(self, told: Callable[[int, int], None] | None = None,
                 wait: bool = True, anew: bool = False) -> bool:
        """Make what is missing, and use it.

        :param told: called with how many of how many are done
        :param wait: for another process; otherwise that one is let work
        :param anew: also where nothing seems to be missing
        :returns: whether all is there
        :raises Busy: another process holds the index for too long
        :raises RCAException: a library or a model is missing
        """
        with self._lock:
            documents = dict(self._documents)
            current = self._words.texts == documents
        if not current:
            counted = _Index(drivers.load(NAMESPACE, WORDS)())
            counted.count(documents)
            with self._lock:
                self._words = counted
                self._count()
        driver = conf.CONF.retrieval.driver
        if driver == WORDS or not documents:
            return True
        if not anew and self._full and self._full.texts == documents:
            return True

        def progress(done: int, most: int) -> None:
            if self._ended.is_set():
                raise exception.RCAException('The process ends.')
            if told:
                told(done, most)

        with self._held(wait) as held:
            if not held:
                return False
            changed = self._check_maker()
            made = _Index(self._made(driver))
            self._making = True
            try:
                health = made.retriever.fill(documents, progress)
            finally:
                self._making = False
            made.texts = documents
        if changed:
            health = dataclasses.replace(health, problem=changed)
        with self._lock:
            self._full = made
            self._health = dataclasses.replace(
                health, problem=health.problem or self._health.problem)
            self._problem = None
        return True

    def _made(self, driver: str) -> base.Retriever:
        """A retriever that knows what is on disk."""
        kind = drivers.load(NAMESPACE, driver)
        model = conf.CONF.retrieval.model
        made: base.Retriever = (kind(self.folder, model=model) if model
                                else kind(self.folder))
        return made

    @contextlib.contextmanager
    def _held(self, wait: bool) -> Iterator[bool]:
        """Whether this process may write embeddings."""
        if self.folder is None:
            yield True
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.folder / 'lock', os.O_CREAT | os.O_RDWR,
                             0o600)
        except OSError as error:
            raise exception.StoreError(
                path=self.folder, reason=error.strerror or error) from error
        try:
            end = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if not wait:
                        yield False
                        return
                    if time.monotonic() > end:
                        raise Busy from None
                    time.sleep(0.2)
            try:
                yield True
            except OSError as error:
                raise exception.StoreError(
                    path=self.folder,
                    reason=error.strerror or error) from error
        finally:
            os.close(handle)

    def _check_maker(self) -> str | None:
        """Give up what another model made.

        :returns: what was given up, or None
        """
        if self.folder is None:
            return None
        path = self.folder / 'driver'
        now = self._maker()
        before = path.read_text('utf-8', 'replace') if path.exists() else ''
        if before == now:
            return None
        problem = None
        # An empty one is what a full disk leaves.
        if before:
            problem = (f'what was on disk was made by {before[:200]}; it is '
                       'made anew')
            LOG.warning('%s: %s', self.folder, problem)
            self._made(conf.CONF.retrieval.driver).clear()
        path.write_text(now, 'utf-8')
        return problem

    @staticmethod
    def _maker() -> str:
        return conf.CONF.retrieval.model or 'all-MiniLM-L6-v2'

    # What operators ask of it

    def health(self) -> dict[str, Any]:
        """How much is there, in the shape of the API."""
        with self._lock:
            driver = conf.CONF.retrieval.driver
            embedded = 0 if driver == WORDS or not self._full else len(
                self._full.covers(self._documents, self._documents))
            ready = self._words.covers(self._documents, self._documents)
            if self._tail:
                ready |= self._tail.covers(self._documents, self._documents)
            return {
                'driver': driver,
                'model': '' if driver == WORDS else self._maker(),
                'entries': len(self._documents), 'ready': len(ready),
                'embedded': embedded, 'bytes': self._bytes(),
                'problem': self._problem or self._health.problem}

    def _bytes(self) -> int:
        if self.folder is None or not self.folder.is_dir():
            return 0
        return sum(p.stat().st_size for p in self.folder.iterdir()
                   if p.is_file())

    def verify(self, told: Callable[[int, int], None] | None = None) -> None:
        """Read all that is on disk, and make what is damaged or missing."""
        with self._lock:
            self._health = base.Health(0)
        self.catch_up(told, anew=True)

    def clear(self) -> None:
        """Give up what is on disk; it is made anew when there is time."""
        if conf.CONF.retrieval.driver != WORDS:
            with self._held(True):
                self._made(conf.CONF.retrieval.driver).clear()
        with self._lock:
            self._full = None
            self._health = base.Health(0)
            self._problem = None

    def rebuild(self, told: Callable[[int, int], None] | None = None) -> None:
        """Make everything anew."""
        self.clear()
        with self._lock:
            self._mark = None
            self._rows = {}
        self.refresh()
        self.catch_up(told, anew=True)
