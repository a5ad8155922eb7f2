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
"""Tests of what tools/cloud decides: verdicts, tables, ports, first lines."""

import datetime
import json
import socket
from typing import Any
from typing import ClassVar

from openstack_rca.tests import base
from tools.cloud import check
from tools.cloud import config
from tools.cloud import install
from tools.cloud import layout
from tools.cloud import recorder
from tools.cloud import scenarios
from tools.cloud import services
from tools.cloud import table
from tools.cloud.scenarios import base as scenario

_INJECTED = '2026-01-02T03:04:05.000000+00:00'
_FIRST = datetime.datetime(2026, 1, 2, 3, 4, 6, tzinfo=datetime.UTC)
_TRUTH = {'injected_at': _INJECTED,
          'cleared_at': '2026-01-02T03:05:00+00:00'}


def _incident(component: str = 'glance', **more: Any) -> dict[str, Any]:
    return {'id': component, 'component': component,
            'category': 'process_down', 'merged_into': None,
            'created_at': '2026-01-02T03:04:09.500000+00:00',
            'resolved_at': '2026-01-02T03:06:10+00:00', **more}


def _analysis(component: str = 'glance', service: str = 'nova'
              ) -> dict[str, Any]:
    return {'hypotheses': [{'component': component, 'evidence': ['E2']}],
            'evidence': [{'id': 'E1', 'service': 'keystone'},
                         {'id': 'E2', 'service': service,
                          'binary': 'nova-compute'}]}


class TestJudge(base.TestCase):
    """A verdict compares incidents with the truth."""

    KIND: ClassVar = scenarios.library()['glance_stopped']
    DOUBLE: ClassVar = scenarios.library()['overlap_volume_image']

    def judge(self, *pairs: tuple[Any, Any],
              kind: type[scenario.Scenario] | None = None) -> check.Verdict:
        return check.judge(kind or self.KIND, _TRUTH,
                           [one for one, _ in pairs],
                           [other for _, other in pairs], _FIRST,
                           _FIRST + datetime.timedelta(seconds=3))

    def test_right(self) -> None:
        verdict = self.judge((_incident(), _analysis()))
        self.assertEqual([], verdict.faults)
        self.assertEqual((3.5, 0.5), (verdict.seconds, verdict.since_error))
        self.assertEqual(70.0, verdict.closed)
        self.assertEqual(['nova', 'nova-compute'], verdict.cited)

    def test_none(self) -> None:
        self.assertEqual(['no incident'], self.judge().faults)

    def test_wrong_component(self) -> None:
        verdict = self.judge((_incident('nova-api'), _analysis()))
        self.assertEqual(['no incident names glance'], verdict.faults)

    def test_wrong_first_cause(self) -> None:
        verdict = self.judge((_incident(), _analysis('nova-api')))
        self.assertEqual(['no analysis names glance first'], verdict.faults)

    def test_no_analysis(self) -> None:
        verdict = self.judge((_incident(), None))
        self.assertEqual(['no analysis of glance'], verdict.faults)

    def test_cites_another_service(self) -> None:
        analysis = _analysis()
        analysis['evidence'][1] = {'id': 'E2', 'service': 'keystone'}
        verdict = self.judge((_incident(), analysis))
        self.assertEqual(['no line of nova or glance or cinder cited'],
                         verdict.faults)

    def test_not_closed(self) -> None:
        verdict = self.judge((_incident(resolved_at=None), _analysis()))
        self.assertEqual(['not closed'], verdict.faults)
        self.assertIsNone(verdict.closed)

    def test_two_for_one(self) -> None:
        verdict = self.judge((_incident(), _analysis()),
                             (_incident('nova-api'), None))
        self.assertEqual(['2 incidents for 1'], verdict.faults)

    def test_merged(self) -> None:
        """One that turned out to be part of another is none of its own."""
        verdict = self.judge(
            (_incident(), _analysis()),
            (_incident('nova-api', merged_into='glance'), None))
        self.assertEqual(([], 1), (verdict.faults, verdict.incidents))

    def test_two_faults(self) -> None:
        verdict = self.judge(
            (_incident(), _analysis()),
            (_incident('cinder-volume'),
             _analysis('cinder-volume', 'cinder')), kind=self.DOUBLE)
        self.assertEqual([], verdict.faults)

    def test_one_of_two_faults(self) -> None:
        verdict = self.judge((_incident(), _analysis()), kind=self.DOUBLE)
        self.assertEqual(['no incident names cinder-volume'], verdict.faults)

    def test_quiet(self) -> None:
        kind = scenarios.library()['quiet']
        self.assertEqual([], self.judge(kind=kind).faults)
        verdict = self.judge((_incident(), None), kind=kind)
        self.assertEqual(['an incident without a fault'], verdict.faults)


class TestTable(base.TestCase):
    """The figures of all scenarios."""

    def test_summary(self) -> None:
        rows = [{'scenario': 'a', 'expected': ['glance'], 'incidents': 1,
                 'seconds': 2.0, 'since_error': 1.0, 'closed': 60.0,
                 'named': ['glance'],
                 'faults': [], 'passed': True},
                {'scenario': 'b', 'expected': ['mariadb'], 'incidents': 3,
                 'seconds': 4.0, 'since_error': 2.0, 'closed': None,
                 'named': ['nova-api'],
                 'faults': ['not closed'], 'passed': False},
                {'scenario': 'c', 'expected': ['x', 'y'], 'incidents': 2,
                 'seconds': None, 'since_error': None, 'closed': 80.0,
                 'named': ['x', 'y'],
                 'faults': [], 'passed': True},
                {'scenario': 'd', 'expected': [], 'incidents': 0,
                 'seconds': None, 'since_error': None, 'closed': None,
                 'named': [],
                 'faults': [], 'passed': True}]
        self.assertEqual({
            'scenarios': 4, 'passed': 3, 'opened': 3, 'of_faults': 3,
            'median_seconds_to_incident': 3.0,
            'median_seconds_from_an_error': 1.5,
            'median_seconds_to_close': 70.0,
            'median_incidents_of_one_fault': 2.0,
            'median_incidents_of_two_faults': 2,
            'incidents_without_a_fault': 0}, table.summary(rows))
        self.assertIn('not closed', table.text(rows))

    def test_empty(self) -> None:
        self.assertIsNone(table.summary([])['median_seconds_to_incident'])


class TestLayout(base.TestCase):
    """Ports are drawn once, and nobody listens on them."""

    def test_kept(self) -> None:
        first = layout.open_layout(self.tmp / 'cloud')
        self.assertEqual(first, layout.open_layout(self.tmp / 'cloud'))
        self.assertEqual(len(first.ports), len(set(first.ports.values())))
        self.assertEqual(
            0o600, (self.tmp / 'cloud' / 'cloud.json').stat().st_mode & 0o777)

    def test_free(self) -> None:
        for port in layout.open_layout(self.tmp / 'cloud').ports.values():
            with socket.socket() as probe:
                self.assertNotEqual(
                    0, probe.connect_ex(('127.0.0.1', port)))

    def test_too_long(self) -> None:
        self.assertRaisesRegex(
            layout.CloudError, 'too long', layout.open_layout,
            self.tmp / ('x' * 100))

    def test_claimed(self) -> None:
        """One at a time breaks a cloud; the next may when it is done."""
        where = layout.open_layout(self.tmp / 'cloud')
        with where.claim():
            self.assertRaisesRegex(
                layout.CloudError, 'another folder with --folder',
                where.claim().__enter__)
        with where.claim():
            pass

    def test_broken(self) -> None:
        (self.tmp / 'cloud.json').write_text('{')
        self.assertRaisesRegex(layout.CloudError, 'cannot be used',
                               layout.open_layout, self.tmp)

    def test_nothing_installed(self) -> None:
        where = layout.open_layout(self.tmp / 'cloud')
        self.assertRaisesRegex(layout.CloudError, 'install', config.write,
                               where)

    def test_other_environment(self) -> None:
        """Somebody else's virtual environment is not made anew."""
        python = self.tmp / 'venv' / 'bin' / 'python'
        python.parent.mkdir(parents=True)
        python.touch()
        where = layout.open_layout(self.tmp / 'cloud', self.tmp / 'venv')
        self.assertRaisesRegex(layout.CloudError, 'No services',
                               install.install, where)
        self.assertTrue(python.exists())

    def test_units(self) -> None:
        """Every scenario stops parts that there are."""
        where = layout.open_layout(self.tmp / 'cloud')
        units = {**services.servers(where), **services.openstack(where)}
        for kind in scenarios.library().values():
            for name in getattr(kind, 'parts', ()):
                self.assertIn(name, units)


class TestLibrary(base.TestCase):
    """Scenarios are complete, and can be asked for."""

    def test_complete(self) -> None:
        known = scenarios.library()
        faults = [kind for kind in known.values() if kind.truths]
        self.assertGreaterEqual(len(faults), 12)
        for kind in known.values():
            self.assertTrue(kind.cause and kind.recovers, kind.name)
            json.dumps(kind.told())

    def test_choose(self) -> None:
        self.assertEqual(list(scenarios.library()), scenarios.choose([]))
        self.assertEqual(list(scenarios.SMOKE), scenarios.choose(['smoke']))
        self.assertRaisesRegex(layout.CloudError, 'no scenario nope',
                               scenarios.choose, ['nope'])


class TestFirstLine(base.TestCase):
    """The first line that tells of a fault."""

    def setUp(self) -> None:
        super().setUp()
        (self.tmp / 'logs').mkdir()

    def write(self, name: str, *lines: str) -> None:
        (self.tmp / 'logs' / name).write_text('\n'.join(lines) + '\n')

    def test_first(self) -> None:
        self.write('nova-api.log',
                   '2026-01-02 03:04:04.999 7 ERROR nova [-] before',
                   '2026-01-02 03:04:05.500 7 INFO nova [-] fine',
                   '2026-01-02 03:04:08.000 7 ERROR nova [-] later')
        self.write('nova-compute.log',
                   '2026-01-02 03:04:06.000 7 ERROR nova [-] first')
        self.write('nova-api.uwsgi.log',
                   '2026-01-02 03:04:05.100 7 ERROR nova [-] a request')
        found = recorder.first_line(
            self.tmp, _INJECTED, scenario.Scenario.tells)
        assert found is not None
        self.assertEqual((_FIRST, 'nova-compute.log'), found[:2])

    def test_none(self) -> None:
        self.write('nova-api.log', '\0\udcff'.encode(
            errors='surrogateescape').decode(errors='replace'))
        self.assertIsNone(recorder.first_line(
            self.tmp, _INJECTED, scenario.Scenario.tells))
