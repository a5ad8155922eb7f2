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
"""Tests of limits, of the breaker and of kept answers."""

import multiprocessing
import pathlib
import sqlite3
import threading
import time
from unittest import mock

from openstack_rca.llms import base as llms
from openstack_rca.llms import budget
from openstack_rca.tests import base


def _spend(path: pathlib.Path, results: 'multiprocessing.Queue[int]') -> None:
    ledger = budget.Ledger(path)
    done = 0
    for _ in range(20):
        try:
            ledger.reserve(100, 0.0, budget.Limits(day_tokens=1000))
            done += 1
        except llms.LimitReached:
            pass
    results.put(done)


class TestLedger(base.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = self.tmp / 'state' / 'llm.sqlite'
        self.ledger = budget.Ledger(self.path)

    def test_files_are_nobody_elses(self) -> None:
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)
        self.assertEqual(0o700, self.path.parent.stat().st_mode & 0o777)

    def test_limits(self) -> None:
        for limits, name in (
                (budget.Limits(analysis_tokens=99), 'max_tokens_per_analysis'),
                (budget.Limits(day_tokens=99), 'max_tokens_per_day'),
                (budget.Limits(analysis_cost=.4), 'max_cost_per_analysis'),
                (budget.Limits(day_cost=.4), 'max_cost_per_day')):
            error = self.assertRaises(llms.LimitReached,
                                      self.ledger.reserve, 100, .5, limits)
            self.assertIn(name, str(error))
        self.assertEqual((0, 0.0), self.ledger.spent())
        limits = budget.Limits(day_tokens=250, day_cost=2.0)
        first = self.ledger.reserve(100, .5, limits)
        self.ledger.reserve(100, .5, limits)
        self.assertRaises(llms.LimitReached, self.ledger.reserve, 100, .5,
                          limits)
        # What was not needed can be spent.
        self.ledger.settle(first, 10, .1)
        self.ledger.reserve(100, .5, limits)
        self.assertEqual((210, 1.1), self.ledger.spent())

    def test_another_day_begins_with_nothing(self) -> None:
        limits = budget.Limits(day_tokens=100)
        with mock.patch.object(budget, '_today', autospec=True,
                               return_value='2026-11-20'):
            self.ledger.reserve(100, 0.0, limits)
            self.assertRaises(llms.LimitReached, self.ledger.reserve, 1, 0.0,
                              limits)
        self.ledger.reserve(100, 0.0, limits)

    def test_processes_count_together(self) -> None:
        context = multiprocessing.get_context('spawn')
        results: multiprocessing.Queue[int] = context.Queue()
        workers = [context.Process(target=_spend, args=(self.path, results))
                   for _ in range(3)]
        for worker in workers:
            worker.start()
        counts = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join()
        self.assertEqual(10, sum(counts))
        self.assertEqual((1000, 0.0), self.ledger.spent())

    def test_breaker(self) -> None:
        for _ in range(2):
            self.ledger.failed('a', 3, 60.0)
            self.ledger.admit('a', 60.0)
        self.ledger.failed('a', 3, 60.0)
        error = self.assertRaises(llms.LimitReached, self.ledger.admit, 'a',
                                  60.0)
        self.assertIn('failed 3 times', str(error))
        self.ledger.admit('b', 60.0)
        later = time.time() + 61
        with mock.patch('time.time', autospec=True, return_value=later):
            # One tries, the others wait for what comes of it.
            self.ledger.admit('a', 60.0)
            self.assertRaises(llms.LimitReached, self.ledger.admit, 'a', 60.0)
            self.ledger.worked('a')
            self.ledger.admit('a', 60.0)

    def test_kept_answers(self) -> None:
        self.assertIsNone(self.ledger.kept('q', 60.0))
        self.ledger.keep('q', llms.Reply('{}', llms.Usage(1, 2), 'm'))
        reply = self.ledger.kept('q', 60.0)
        self.assertEqual(llms.Reply('{}', None, 'm'), reply)
        with mock.patch('time.time', autospec=True,
                        return_value=time.time() + 61):
            self.assertIsNone(self.ledger.kept('q', 60.0))

    def test_one_asks_at_a_time(self) -> None:
        order: list[str] = []

        def second() -> None:
            with budget.Ledger(self.path).asking('q', 60.0):
                order.append('second')

        with self.ledger.asking('q', 60.0):
            thread = threading.Thread(target=second)
            thread.start()
            with budget.Ledger(self.path).asking('other', 60.0):
                order.append('first')
        thread.join()
        self.assertEqual(['first', 'second'], order)

    def test_one_that_died_is_not_waited_for(self) -> None:
        self.assertTrue(self.ledger._first('q', 0.0))
        with self.ledger.asking('q', 60.0):
            pass

    def test_a_file_that_cannot_be_used(self) -> None:
        self.path.write_bytes(b'no database' * 100)
        error = self.assertRaises(llms.LLMError, budget.Ledger, self.path)
        self.assertIn(str(self.path), str(error))
        (self.tmp / 'file').write_text('')
        self.assertRaises(llms.LLMError, budget.Ledger,
                          self.tmp / 'file' / 'llm.sqlite')
        with mock.patch('sqlite3.connect', autospec=True,
                        side_effect=sqlite3.OperationalError('locked')):
            self.assertRaises(llms.LLMError, self.ledger.spent)

    def test_prices(self) -> None:
        prices = budget.Prices(3.0, 15.0, .3, 3.75)
        self.assertAlmostEqual(
            (3000 + 15000 + 300 + 3750) / 1e6,
            prices.of(llms.Usage(1000, 1000, 1000, 1000)))
