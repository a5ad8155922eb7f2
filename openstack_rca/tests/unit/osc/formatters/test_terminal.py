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
"""Tests of the report for a terminal."""

import copy
import re

from openstack_rca.osc import text
from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import terminal
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


class _Case(base.TestCase):
    def _render(self, document: object, kind: str = 'report',
                **options: object) -> str:
        return terminal.ReportFormatter().render(
            kind, document,  # type: ignore[arg-type]
            formatters.Options(**options))  # type: ignore[arg-type]


class ReportTest(_Case):
    """Causes first, each with its proof."""

    def test_order(self) -> None:
        page = self._render(sample.report())
        marks = ['CAUSE FOUND', 'confidence 82 %', 'CAUSES',
                 ' 1. nova-compute stopped', 'nova-compute@cmp3',
                 'nova/scheduler/manager.py, select_destinations()',
                 'E1 nova/nova-scheduler.log:7', '03:00:03.900',
                 'Filter ComputeFilter returned 0 hosts', 'What to do',
                 'Start nova-compute on cmp3.', ' 2. The hosts are full.',
                 'Less likely', 'keystone was silent.', 'TIMELINE', 'IMPACT',
                 'PATTERNS', 'Filter <*> returned <*> hosts',
                 'WHAT TO DO NEXT', 'Watch the service list. (E2)',
                 'WHAT WAS READ', '1,234 events', 'WHAT WAS NOT READ',
                 'nova/core.1234: not a text file (52.4 MB)']
        position = 0
        for mark in marks:
            found = page.find(mark, position)
            self.assertGreaterEqual(found, 0, f'{mark} in {page}')
            position = found

    def test_nothing_is_said_twice(self) -> None:
        page = self._render(sample.report())
        self.assertIn('1 more like it: E3', page)
        self.assertIn('(shown above)', page)
        self.assertEqual(1, page.count('Start nova-compute on cmp3.'))

    def test_lines_fit(self) -> None:
        for columns in (60, 80, 160):
            for document in (sample.report(), sample.hostile()):
                page = self._render(document, columns=columns)
                for line in page.splitlines():
                    # A path is what people copy: it is never cut.
                    if re.match(r' +E\d ', line):
                        continue
                    self.assertLessEqual(text.width(line), columns, line)

    def test_nothing_raw(self) -> None:
        page = self._render(sample.hostile())
        for line in page.split('\n'):
            self.assertTrue(line.isprintable(), repr(line))
        self.assertIn('\\x1b[2J', page)
        self.assertIn('\\u202e', page)

    def test_only_our_colours(self) -> None:
        page = self._render(sample.hostile(), colour=True)
        rest = page
        for code in ('0', '1', '2', '31', '32', '33', '34', '36', '1;31'):
            rest = rest.replace(f'\x1b[{code}m', '')
        self.assertNotEqual(rest, page)
        self.assertNotIn('\x1b', rest)
        self.assertEqual(rest, self._render(sample.hostile()))

    def test_ascii(self) -> None:
        page = self._render(sample.report(), unicode=False)
        self.assertTrue(page.isascii())

    def test_no_cause(self) -> None:
        page = self._render(sample.nothing())
        self.assertIn('NOTHING ABNORMAL', page)
        self.assertIn('Nothing in these logs points at a fault.', page)
        self.assertIn('Check the time range', ' '.join(page.split()))
        self.assertNotIn('CAUSE FOUND', page)

    def test_insufficient_evidence_shows_what_was_seen(self) -> None:
        page = self._render(sample.report(
            verdict='insufficient_evidence', hypotheses=[]))
        self.assertIn('INSUFFICIENT EVIDENCE', page)
        self.assertIn('WHAT WAS SEEN', page)
        self.assertIn('E1 nova/nova-scheduler.log:7', page)

    def test_failed(self) -> None:
        page = self._render(sample.nothing(
            status='failed', error={'message': 'out of memory'}))
        self.assertIn('THE ANALYSIS FAILED', page)
        self.assertIn('out of memory', page)

    def test_long_timeline_keeps_the_proof(self) -> None:
        document = sample.report()
        entry = document['timeline'][0]
        document['timeline'] = [
            {**entry, 'evidence': None, 'text': f'event {index}'}
            for index in range(150)]
        document['timeline'][140] = {**entry, 'evidence': 'E1',
                                     'text': 'the proof'}
        page = self._render(document)
        self.assertIn('the proof', page)
        self.assertIn('more', page)
        self.assertNotIn('event 100', page)

    def test_any_part_may_be_missing(self) -> None:
        whole = sample.report()
        for name in whole:
            for value in sample.ODD:
                document = copy.deepcopy(whole)
                document[name] = value
                self.assertTrue(self._render(document))
        self.assertTrue(self._render({}))


class TraceTest(_Case):
    """One request's way."""

    def test_services_then_events(self) -> None:
        page = self._render(sample.trace(), 'trace')
        marks = ['TRACE', '2 events', sample.REQUEST, 'SERVICES',
                 'nova-scheduler@ctl1', '03:00:03.900', '1 error', 'EVENTS',
                 '+0ms', 'INFO', 'Filter ComputeFilter', '+350ms', 'ERROR']
        position = 0
        for mark in marks:
            found = page.find(mark, position)
            self.assertGreaterEqual(found, 0, f'{mark} in {page}')
            position = found

    def test_story(self) -> None:
        page = self._render(sample.story(), 'trace')
        position = 0
        for mark in ('SERVER web-3', '2 operations', 'OPERATIONS', 'create',
                     'failed', sample.REQUEST, 'No valid host', 'delete',
                     'finished', 'cmp1', 'SERVICES', 'WARNINGS', '12 looks'):
            found = page.find(mark, position)
            self.assertGreaterEqual(found, 0, f'{mark} in {page}')
            position = found

    def test_any_part_of_a_story_may_be_missing(self) -> None:
        whole = sample.story()
        for name in whole:
            for value in sample.ODD:
                if name == 'operations' and value is None:
                    continue
                document = copy.deepcopy(whole)
                document[name] = value
                self.assertTrue(self._render(document, 'trace'))
        for name in whole['operations'][0]:
            for value in sample.ODD:
                document = copy.deepcopy(whole)
                document['operations'][0][name] = value
                self.assertTrue(self._render(document, 'trace'))
        document = copy.deepcopy(whole)
        document['operations'][0].update(
            reason='\x1b[2Jx', operation='\x1b]0;x', outcome='\u202e')
        document['server']['name'] = '\x1b[31m'
        self.assertNotIn('\x1b', self._render(document, 'trace'))

    def test_events_without_a_time(self) -> None:
        document = sample.trace()
        document['events'][1].update(timestamp=None, delta_ms=None)
        self.assertIn('Failed to schedule', self._render(document, 'trace'))

    def test_nothing_raw(self) -> None:
        document = sample.trace()
        for event in document['events']:
            event.update(text=sample.HOSTILE, binary=sample.HOSTILE,
                         host=sample.HOSTILE, level='\x1b[31m')
        page = self._render(document, 'trace')
        for line in page.split('\n'):
            self.assertTrue(line.isprintable(), repr(line))

    def test_lines_fit(self) -> None:
        for columns in (80, 120):
            page = self._render(sample.trace(), 'trace', columns=columns)
            for line in page.splitlines():
                self.assertLessEqual(text.width(line), columns, line)
