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
"""What asking costs: limits, a breaker, and answers that are kept.

All processes of an engine share one small file. What is about to be asked is
counted before it is asked, as much as it can become; afterwards it is counted
as it was. A process that dies between has spent it all.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import sqlite3
import time

from openstack_rca.llms import base

_TABLES = """
CREATE TABLE IF NOT EXISTS spent (
    id INTEGER PRIMARY KEY, day TEXT NOT NULL, tokens INTEGER NOT NULL,
    cost REAL NOT NULL);
CREATE INDEX IF NOT EXISTS spent_day ON spent (day);
CREATE TABLE IF NOT EXISTS breakers (
    target TEXT PRIMARY KEY, failures INTEGER NOT NULL,
    open_until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    name TEXT PRIMARY KEY, reply TEXT NOT NULL, kept_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS asking (
    name TEXT PRIMARY KEY, until REAL NOT NULL);
"""
#: Seconds that a process waits for another one to write.
_PATIENCE = 10.0
_MOST_ANSWERS = 1000
_POLL = .1


@dataclasses.dataclass(frozen=True)
class Prices:
    """Of a million tokens each.

    :param sent: of the question
    :param answered: of the answer
    :param cache_read: of the question, where the provider had kept it
    :param cache_written: of the question, where it is to keep it
    """

    sent: float = 0.0
    answered: float = 0.0
    cache_read: float = 0.0
    cache_written: float = 0.0

    def of(self, usage: base.Usage) -> float:
        """What tokens cost.

        :param usage: how many
        """
        return (usage.sent * self.sent + usage.answered * self.answered
                + usage.cache_read * self.cache_read
                + usage.cache_written * self.cache_written) / 1e6


@dataclasses.dataclass(frozen=True)
class Limits:
    """What may be spent; 0 is no limit.

    :param analysis_tokens: for one analysis
    :param day_tokens: in one UTC day
    :param analysis_cost: for one analysis
    :param day_cost: in one UTC day
    """

    analysis_tokens: int = 0
    day_tokens: int = 0
    analysis_cost: float = 0.0
    day_cost: float = 0.0


class Ledger:
    """Counts, and keeps answers.

    :param path: of the file; it and its folder are made when missing
    :raises LLMError: it cannot be used
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with self._open() as link:
                link.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> base.LLMError:
        reason = getattr(error, 'strerror', None) or error
        return base.LLMError(
            reason=f'{self._path}, which counts what is spent, cannot be '
                   f'used: {reason}. See [llm] directory.')

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        link = sqlite3.connect(self._path, timeout=_PATIENCE,
                               isolation_level=None)
        try:
            yield link
        finally:
            link.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process writes beside."""
        try:
            with self._open() as link:
                link.execute('BEGIN IMMEDIATE')
                try:
                    yield link
                except BaseException:
                    link.execute('ROLLBACK')
                    raise
                link.execute('COMMIT')
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def reserve(self, tokens: int, cost: float, limits: Limits) -> int:
        """Count what may be spent, before it is.

        :param tokens: the most that a question and its answer can take
        :param cost: of them
        :param limits: of the configuration
        :returns: what :meth:`settle` needs
        :raises LimitReached: it is more than is left
        """
        day = _today()
        for most, wanted, name in (
                (limits.analysis_tokens, tokens, 'max_tokens_per_analysis'),
                (limits.analysis_cost, cost, 'max_cost_per_analysis')):
            if most and wanted > most:
                raise base.LimitReached(
                    reason=f'it could need {_amount(wanted)}, more than '
                           f'[llm] {name} = {_amount(most)}.')
        with self._alone() as link:
            spent = link.execute(
                'SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(cost), 0) '
                'FROM spent WHERE day = ?', (day,)).fetchone()
            for most, wanted, before, name in (
                    (limits.day_tokens, tokens, spent[0],
                     'max_tokens_per_day'),
                    (limits.day_cost, cost, spent[1], 'max_cost_per_day')):
                if most and before + wanted > most:
                    raise base.LimitReached(
                        reason=f'it could need {_amount(wanted)} beside the '
                               f'{_amount(before)} of today, more than [llm] '
                               f'{name} = {_amount(most)}.')
            # Other days matter no more.
            link.execute('DELETE FROM spent WHERE day < ?', (day,))
            made = link.execute(
                'INSERT INTO spent (day, tokens, cost) VALUES (?, ?, ?)',
                (day, tokens, cost)).lastrowid
        assert made is not None
        return made

    def settle(self, reserved: int, tokens: int, cost: float) -> None:
        """Count what was spent.

        :param reserved: what :meth:`reserve` gave
        :param tokens: as the server counted them
        :param cost: of them
        """
        with self._alone() as link:
            link.execute('UPDATE spent SET tokens = ?, cost = ? '
                         'WHERE id = ?', (tokens, cost, reserved))

    def spent(self) -> tuple[int, float]:
        """Tokens and their cost in this UTC day."""
        with self._alone() as link:
            row = link.execute(
                'SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(cost), 0) '
                'FROM spent WHERE day = ?', (_today(),)).fetchone()
        return int(row[0]), float(row[1])

    def admit(self, target: str, pause: float) -> None:
        """Leave a server alone that failed lately.

        When its time is over one process tries; the others wait for what
        comes of it.

        :param target: which server
        :param pause: seconds of its time
        :raises LimitReached: it is to be left alone
        """
        now = time.time()
        with self._alone() as link:
            row = link.execute('SELECT failures, open_until FROM breakers '
                               'WHERE target = ?', (target,)).fetchone()
            if row is None or not row[1]:
                return
            if row[1] > now:
                raise base.LimitReached(
                    reason=f'its server failed {row[0]} times in a row, and '
                           f'is left alone for {row[1] - now:.0f} more '
                           'seconds.')
            link.execute('UPDATE breakers SET open_until = ? '
                         'WHERE target = ?', (now + pause, target))

    def failed(self, target: str, most: int, pause: float) -> None:
        """Remember that a server failed.

        :param target: which server
        :param most: failures in a row after which it is left alone
        :param pause: seconds for which it is
        """
        with self._alone() as link:
            link.execute(
                'INSERT INTO breakers VALUES (?, 1, 0) ON CONFLICT (target) '
                'DO UPDATE SET failures = failures + 1', (target,))
            link.execute(
                'UPDATE breakers SET open_until = ? WHERE target = ? '
                'AND failures >= ?', (time.time() + pause, target, most))

    def worked(self, target: str) -> None:
        """Remember that a server works.

        :param target: which server
        """
        with self._alone() as link:
            link.execute('DELETE FROM breakers WHERE target = ?', (target,))

    def kept(self, name: str, max_age: float) -> base.Reply | None:
        """An answer to the same question, or None.

        :param name: of the question
        :param max_age: seconds
        """
        with self._alone() as link:
            link.execute('DELETE FROM answers WHERE kept_at < ?',
                         (time.time() - max_age,))
            row = link.execute('SELECT reply FROM answers WHERE name = ?',
                               (name,)).fetchone()
        if row is None:
            return None
        told = json.loads(row[0])
        return base.Reply(told['text'], None, told['model'])

    def keep(self, name: str, reply: base.Reply) -> None:
        """Keep an answer.

        :param name: of the question
        :param reply: with placeholders in the place of names
        """
        with self._alone() as link:
            link.execute(
                'INSERT OR REPLACE INTO answers VALUES (?, ?, ?)',
                (name, json.dumps({'text': reply.text,
                                   'model': reply.model}), time.time()))
            link.execute(
                'DELETE FROM answers WHERE name NOT IN (SELECT name FROM '
                'answers ORDER BY kept_at DESC LIMIT ?)', (_MOST_ANSWERS,))

    @contextlib.contextmanager
    def asking(self, name: str, patience: float) -> Iterator[None]:
        """Let one process ask a question, and others wait for its answer.

        :param name: of the question
        :param patience: seconds after which the other one counts as dead
        """
        until = time.monotonic() + patience
        while not self._first(name, patience):
            if time.monotonic() > until:
                raise base.LimitReached(
                    reason='another process asks the same, and has no '
                           'answer yet.')
            time.sleep(_POLL)
        try:
            yield
        finally:
            with self._alone() as link:
                link.execute('DELETE FROM asking WHERE name = ?', (name,))

    def _first(self, name: str, patience: float) -> bool:
        now = time.time()
        with self._alone() as link:
            link.execute('DELETE FROM asking WHERE until < ?', (now,))
            return link.execute(
                'INSERT OR IGNORE INTO asking VALUES (?, ?)',
                (name, now + patience)).rowcount == 1


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _amount(value: float) -> str:
    """Tokens, or money."""
    return f'{value:,} tokens' if isinstance(value, int) else f'{value:.4f}'
