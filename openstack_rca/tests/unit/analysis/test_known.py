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
"""Known failures as reasons, similar cases and remedies of a report."""

import datetime
import pathlib
from typing import Any

import polars as pl
import yaml

from openstack_rca.analysis import evidence
from openstack_rca.analysis import known
from openstack_rca.analysis import ranking
from openstack_rca.analysis import scope as scopes
from openstack_rca.detectors import base as detectors
from openstack_rca.engine import local
from openstack_rca.knowledge import schema
from openstack_rca.knowledge import signatures
from openstack_rca.store import base as stores
from openstack_rca.tests import base
from openstack_rca.tests.unit.knowledge import frames

RECORDINGS = pathlib.Path(__file__).parents[2] / 'fixtures' / 'recordings'


def library(**fields: Any) -> signatures.Library:
    """A library of one signature."""
    return signatures.Library([schema.load(yaml.safe_dump({
        'id': 'test-one', 'title': 'Full: {host}',
        'find': {'message': 'No space on {device}'}, 'component': 'disk',
        'category': 'storage', 'cause': '{device} is full', 'weight': .8,
        'remedy': ['Free {device}'], 'examples': {}} | fields),
        'test-one.yaml')])


class TestFindings(base.TestCase):

    STORE = frames.logged(
        '1 ERROR [req-3f70af37-fd21-41f8-a824-477224556426] No space on vda',
        '5 INFO Fine')

    def find(self, found: list[ranking.Finding] | None = None,
             store: stores.Store | None = None,
             question: scopes.Question | None = None,
             reference: pl.DataFrame | None = None,
             onset: datetime.datetime | None = None,
             **fields: Any) -> list[ranking.Finding]:
        store = store or self.STORE
        profile = detectors.profile(store.scan())
        seen = evidence.Evidence(
            profile, profile.head(0) if reference is None else reference,
            onset, detectors.no_symptoms(), [], {})
        scope = scopes.resolve(question or scopes.Question(), store)
        matches = known.look(store, scope, seen, library(**fields))
        return known.findings(matches, scope, seen, found or [])

    def test_finding(self) -> None:
        finding, = self.find(host='{host}')
        self.assertEqual(
            ('disk', 'storage', 'signature test-one', .8, 'vda is full',
             ('Free vda',), True, 'cmp1', False), (
                finding.component, finding.category, finding.clue,
                finding.weight, finding.cause, finding.remedy,
                finding.direct, finding.host, finding.related))
        self.assertEqual({('nova-compute', 'cmp1')}, finding.processes)

    def test_same_messages_are_one_reason(self) -> None:
        first = self.find()[0]
        again, = self.find([first])
        self.assertLess(again.weight, .05)
        # Whom nobody blames yet is a reason of its own.
        other, = self.find([first], component='storage')
        self.assertEqual(.8, other.weight)

    def test_habit_counts_less(self) -> None:
        quiet = detectors.profile(self.STORE.scan())
        finding, = self.find(reference=quiet)
        self.assertLess(finding.weight, .1)

    def test_before_the_onset_is_quiet(self) -> None:
        self.assertEqual([], self.find(onset=datetime.datetime(
            2026, 11, 21, 3, 0, 3)))

    def test_related(self) -> None:
        finding, = self.find(question=scopes.Question(
            request_ids=('req-3f70af37-fd21-41f8-a824-477224556426',)))
        self.assertTrue(finding.related)

    def test_reporter(self) -> None:
        finding, = self.find(component='reporter')
        self.assertEqual('nova-compute', finding.component)

    def test_reporter_that_is_nobody(self) -> None:
        store = frames.logged('1 ERROR No space on vda', name='thing.log')
        self.assertEqual([], self.find(store=store, component='reporter'))

    def test_program_that_others_name(self) -> None:
        store = frames.logged('1 ERROR Lost nova-scheduler today',
                              '2 ERROR Lost something today')
        finding, = self.find(
            store=store, find={'message': 'Lost {program} today'},
            component='{program}', cause='x', remedy=['x'])
        self.assertEqual('nova-scheduler', finding.component)

    def test_similar(self) -> None:
        match, = library(references=['https://docs.openstack.org/x']).match(
            self.STORE)
        self.assertEqual([{
            'kind': 'signature', 'id': 'test-one', 'title': 'Full: cmp1',
            'score': .8, 'resolution': 'Free vda',
            'url': 'https://docs.openstack.org/x'}], known.similar([match]))

    def test_similar_tells_releases(self) -> None:
        match, = library(versions={
            'affects': ['2024.2', '2025.1'], 'fixed': '32.0.0',
            'backports': {'2025.1': '31.0.1'}},
            bug='https://bugs.launchpad.net/nova/+bug/1').match(self.STORE)
        case, = known.similar([match])
        self.assertEqual(
            'Free vda Concerns 2024.2, 2025.1. Fixed in 32.0.0. Backports: '
            '31.0.1 for 2025.1.', case['resolution'])
        self.assertEqual('https://bugs.launchpad.net/nova/+bug/1',
                         case['url'])

    def test_named(self) -> None:
        plain = self.find()[0]
        other = self.find(category='quota', weight=.9)[0]
        self.assertIs(plain, known.named([other, plain], 'storage'))
        self.assertIs(other, known.named([other, plain], 'quota'))
        self.assertIsNone(known.named([], 'quota'))


class TestReports(base.TestCase):

    def report(self, name: str) -> tuple[dict[str, Any], stores.Store]:
        session = local.open_folder(RECORDINGS / f'{name}.tar.xz')
        return session.analyze(scopes.Question()), session.store

    def test_signature_of_a_real_fault(self) -> None:
        for name, signature in (
                ('bus-down', 'oslo-messaging-bus-refused'),
                ('database-down', 'oslo-db-connection-refused'),
                ('no-valid-host-placement', 'nova-no-valid-host-placement'),
                ('quota-ram', 'nova-quota-exceeded'),
                ('service-down', 'nova-glance-unreachable')):
            report, store = self.report(name)
            first = report['hypotheses'][0]
            self.assertEqual(signature, first['signature'], name)
            case, = [s for s in report['similar'] if s['id'] == signature]
            self.assertEqual('signature', case['kind'])
            # Its remedy is the first that is told.
            self.assertTrue(case['resolution'].startswith(
                first['remedy'][0]), name)
            # One of the records that show it is cited.
            templates = {
                f'{t:016x}' for m in signatures.Library.configured().match(
                    store) if m.signature.id == signature
                for t in (e['template'] for e in m.events)}
            self.assertTrue(any(
                e['template'] in templates for e in report['evidence']
                if e['id'] in first['evidence']), name)

    def test_broken_one_is_told(self) -> None:
        folder = self.tmp / 'own'
        folder.mkdir()
        (folder / 'broken.yaml').write_text('id: broken\n')
        self.config(group='knowledge', signature_dirs=[str(folder)])
        report, _store = self.report('quota-ram')
        told, = [s for s in report['skipped'] if s['source'] == 'signatures']
        self.assertIn('broken.yaml, line 1', told['reason'])
        self.assertEqual('cause_found', report['verdict'])
