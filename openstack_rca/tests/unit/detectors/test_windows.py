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
"""Tests of the features of windows."""

import dataclasses
import datetime
import pathlib

import numpy as np

import openstack_rca
from openstack_rca.detectors import windows
from openstack_rca.engine import local
from openstack_rca.store import base as stores
from openstack_rca.tests import base
from openstack_rca.tests.unit.detectors import runs

PAGE = (pathlib.Path(openstack_rca.__path__[0]).parent / 'doc' / 'source'
        / 'contributor' / 'detectors.rst')

#: A log with something for every feature, at seconds of it.
LINES = {
    'nova-api.log': [
        runs.access(1, runs.request_id(0, 1), 'GET', '/v2.1/servers/7',
                    status=200, took=0.5),
        runs.access(2, runs.request_id(0, 2), 'POST', '/v2.1/servers',
                    status=202, took=1.5),
        runs.access(12, runs.request_id(0, 3), 'GET', '/v2.1/servers/8',
                    status=503, took=2.5),
        runs.access(13, runs.request_id(0, 4), 'GET', '/v2.1/flavors',
                    status=404, took=0.1),
    ],
    'nova-compute.log': [
        runs.line(3, 'nova.compute.manager', 'Took 12.34 seconds to build '
                  'instance.', request=runs.request_id(0, 2)),
        runs.line(4, 'oslo_concurrency.lockutils', 'Lock "a" acquired by "b"'
                  ' :: waited 0.5s'),
        runs.line(14, 'nova.compute.resource_tracker', 'Final resource view:'
                  ' name=cmp1 phys_ram=8000MB used_ram=2000MB phys_disk=9GB'),
        runs.line(15, 'nova.compute.claims', 'memory limit: 1000.00 MB, '
                  'free: 200.00 MB'),
        runs.line(22, 'nova.compute.manager', 'Timed out waiting for a reply',
                  'WARNING'),
        runs.line(35, 'nova.compute.manager', 'Boom', 'ERROR')
        + '\nTraceback (most recent call last):\n  File "a.py", line 1\n'
        'ConnectionRefusedError: [Errno 111] Connection refused',
    ]}


class WindowsTestCase(base.TestCase):

    def read(self, name: str = 'logs', lines: dict[str, list[str]] = LINES
             ) -> list[windows.Window]:
        folder = self.tmp / name
        folder.mkdir()
        for file, content in lines.items():
            (folder / file).write_text('\n'.join(content) + '\n')
        return windows.read(local.open_folder(folder, cache=False).store,
                            stores.Query())

    def runs(self, *given: runs.Run) -> list[windows.Window]:
        return [windows.read(r.store, r.query)[0] for r in runs.recordings(
            self.tmp / 'runs', given)]

    def test_features(self) -> None:
        self.assertEqual([14, 8, 6, 9], [len(kind) for kind in (
            windows.NUMERIC, windows.BINARY, windows.CATEGORICAL,
            windows.AGGREGATE)])
        self.assertEqual(37, len(windows.FEATURES))
        self.assertEqual(
            {'time', 'text', 'sequence', 'resource', 'request',
             'rate and burst', 'latency and status', 'context'},
            {f.family for f in windows.FEATURES.values()})
        self.assertEqual(set(windows.CATEGORICAL), set(windows.SIZES))

    def test_steps(self) -> None:
        window, = self.read()
        steps = window.steps
        self.assertEqual([4, 4, 1, 1], steps['events'].to_list())
        self.assertEqual([2, 2, 0, 0], steps['requests'].to_list())
        self.assertEqual([0, 1, 0, 0], steps['failed'].to_list())
        self.assertEqual([0, 1, 0, 0], steps['refused'].to_list())
        self.assertEqual([0, 0, 1, 0], steps['warnings'].to_list())
        self.assertEqual([0, 0, 0, 1], steps['errors'].to_list())
        self.assertEqual([12.34, None, None, None],
                         steps['duration'].to_list())
        self.assertAlmostEqual(0.8, steps['memory'][1])
        self.assertAlmostEqual(1.0, steps['latency_mean'][0], places=5)
        self.assertAlmostEqual(1.5, steps['latency_max'][0], places=5)
        self.assertAlmostEqual(1.45, steps['latency_p95'][0], places=5)
        # Seconds before the first record of a step belong to it.
        self.assertEqual([1.0, 8.0, 7.0, 13.0], steps['gap'].to_list())
        for name, expected in {
                'timeout': [0, 0, 1, 0], 'traceback': [0, 0, 0, 1],
                'disconnected': [0, 0, 0, 1], 'error': [0, 0, 0, 1],
                'failure': [0, 1, 0, 0]}.items():
            self.assertEqual([bool(e) for e in expected],
                             steps[name].to_list(), name)
        self.assertEqual(['2', '5', None, None], steps['status'].to_list())
        self.assertEqual(['20', '20', '30', '40'], steps['level'].to_list())
        self.assertEqual(['/*/flavors', '/*/servers', '/*/servers/*'], sorted(
            {r for r in window.records['place'].to_list() if r}))
        self.assertEqual(0.25, window.whole['failed_share'])
        self.assertEqual(0.25, window.whole['refused_share'])
        self.assertAlmostEqual(1 / 10, window.whole['error_share'])
        self.assertAlmostEqual(2.5, window.whole['slowest'], places=5)
        self.assertEqual(4 / 2.5, window.whole['burst'])
        self.assertEqual(5 / 4, window.whole['request_records'])
        self.assertEqual(5 / 4, window.whole['request_reach'])

    def test_what_is_no_timeout(self) -> None:
        """An option that is called timeout is none that was met."""
        for text, met in (
                ('Running ovs-vsctl --timeout=10 add-port', False),
                ('OFPFlowMod(hard_timeout=0,idle_timeout=0)', False),
                ('MessagingTimeout: no reply', True),
                ('the request timed out', True),
                ('read timeout on socket', True)):
            self.assertEqual(met, bool(windows._TIMEOUT.search(text)), text)

    def test_silence(self) -> None:
        lines = [runs.line(s, 'nova.compute.manager', 'alive')
                 for s in (0, 11, 22, 71)]
        other = [runs.line(s, 'nova.api', 'here') for s in range(0, 80, 10)]
        window, = self.read(lines={'nova-compute.log': lines,
                                   'nova-api.log': other})
        self.assertEqual([0, 0, 0, 1, 2, 3, 4, 0],
                         window.steps['silent'].to_list())
        self.assertEqual([False] * 5 + [True] * 2 + [False],
                         window.steps['silence'].to_list())
        self.assertEqual(4.0, window.whole['longest_silence'])

    def test_cut(self) -> None:
        """Windows are whole, the last ends with the recording."""
        lines = [runs.line(s, 'nova.compute.manager', 'alive')
                 for s in range(0, 700, 5)]
        found = self.read(lines={'nova-compute.log': lines})
        self.assertEqual([0, 1, 1], [w.number for w in found])
        self.assertEqual([30] * 3, [w.steps.height for w in found])
        self.assertEqual([0.0, 300.0, 400.0], [
            (w.start - runs.T).total_seconds() for w in found])
        self.assertEqual([29] * 3, [w.records['step'].max() for w in found])
        self.assertEqual([60] * 3, [w.records['n'].sum() for w in found])

    def test_holes(self) -> None:
        """A clock that was set by years makes no more than a window."""
        far = 9 * 365 * 86400
        lines = [runs.line(s, 'nova.compute.manager', 'alive')
                 for s in (0, 5, far, far + 20)]
        found = self.read(lines={'nova-compute.log': lines})
        self.assertEqual([0, 0], [w.number for w in found])
        self.assertEqual([0.0, far], [
            (w.start - runs.T).total_seconds() for w in found])
        self.assertEqual([2, 2], [w.records['n'].sum() for w in found])
        self.assertEqual(300.0, found[1].steps['gap'].max())

    def test_nothing_said(self) -> None:
        part, = runs.recordings(self.tmp / 'none', [runs.Run(0)])
        self.assertEqual([], windows.read(part.store, stores.Query(
            since=runs.T.replace(year=2030))))

    def test_no_calendar_no_host(self) -> None:
        """Another day and other hosts give the same vectors."""
        def moved(days: int, host: str) -> dict[str, list[str]]:
            day = runs.T + datetime.timedelta(days=days)
            return {file.replace('.log', f'-{host}.log'): [
                t.replace(f'{runs.T:%Y-%m-%d}', f'{day:%Y-%m-%d}')
                for t in lines] for file, lines in LINES.items()}

        here, there = (self.read(h, moved(d, h)) for d, h in (
            (0, 'cmp1'), (400, 'other9')))
        self.assertNotEqual(here[0].start, there[0].start)
        self.assertNotEqual(here[0].records['host'].to_list(),
                            there[0].records['host'].to_list())
        normal = windows.Normal.learn([('a', here[0])])
        one, other = normal.vectors(here), normal.vectors(there)
        for field in dataclasses.fields(windows.Vectors):
            np.testing.assert_array_equal(getattr(one, field.name),
                                          getattr(other, field.name))

    def test_vectors(self) -> None:
        odd = runs.Run(5, took=9.0, compute=[runs.line(
            5 * runs.APART + 21, 'nova.virt.driver', 'the domain vanished')])
        found = self.runs(*(runs.Run(n) for n in range(5)), odd)
        normal = windows.Normal.learn(
            [(f'{n}', w) for n, w in enumerate(found[:5])])
        seen = normal.vectors(found)
        self.assertEqual((6, 30, 22), seen.numbers.shape)
        self.assertEqual((6, 30, 6), seen.categories.shape)
        self.assertEqual((6, 9), seen.wholes.shape)
        self.assertEqual([7] * 6, seen.there.sum(1).tolist())
        self.assertEqual(0.0, float(np.abs(seen.numbers[:, 7:]).max()))
        self.assertTrue(np.isfinite(seen.numbers).all())
        unseen = seen.numbers[:, :, windows.NUMERIC.index('unseen')]
        self.assertEqual(0.0, float(np.abs(unseen[:5]).max()))
        self.assertEqual([2], np.flatnonzero(unseen[5]).tolist())
        latency = seen.numbers[:, :, windows.NUMERIC.index('latency_max')]
        self.assertGreater(float(latency[5, :7].max()), 5.0)
        self.assertEqual(0.0, float(np.abs(latency[:5]).max()))
        event = seen.categories[:, :, windows.CATEGORICAL.index('event')]
        self.assertEqual(1, event[5, 2])
        spoke = np.array([w.steps['events'] for w in found]) > 0
        self.assertGreater(int(event[:5, :7][spoke[:5]].min()), 1)
        self.assertEqual(0, int(event[:5, :7][~spoke[:5]].max()))
        spikes = seen.numbers[5, :, len(windows.NUMERIC)
                              + windows.BINARY.index('latency_spike')]
        self.assertEqual(0.0, float(spikes.max()))
        # No more is seen than eight deviations, and this is said.
        self.assertEqual(8.0, float(latency[5].max()))
        self.assertRegex(normal.told('latency_max', 8.0), '^at least 1.5')
        self.assertEqual('0.2', normal.told('latency_max', 0.0))

    def test_own_group_does_not_count(self) -> None:
        """What only one group says is new when that group is judged."""
        habit = runs.Run(0, compute=[runs.line(3, 'a', 'a habit of one')])
        found = self.runs(habit, *(runs.Run(n) for n in range(1, 4)))
        normal = windows.Normal.learn(
            [(f'{n}', w) for n, w in enumerate(found)])
        place = windows.NUMERIC.index('unseen')
        own = normal.vectors(found, ['0', '1', '2', '3'])
        self.assertEqual([True, False, False, False],
                         (own.numbers[:, :, place] > 0).any(1).tolist())
        other = normal.vectors(found)
        self.assertFalse((other.numbers[:, :, place] > 0).any())

    def test_spikes(self) -> None:
        calm = {'nova-compute.log': [
            runs.line(s, 'nova.compute.manager', 'alive')
            for s in range(0, 300, 5)]}
        storm = {'nova-compute.log': calm['nova-compute.log'] + [
            runs.line(100 + n / 100, 'nova.compute.manager', 'alive')
            for n in range(100)]}
        normal = windows.Normal.learn([('a', self.read('calm', calm)[0])])
        seen = normal.vectors(self.read('storm', storm))
        place = len(windows.NUMERIC) + windows.BINARY.index('rate_spike')
        self.assertEqual([10], np.flatnonzero(
            seen.numbers[0, :, place]).tolist())

    def test_state(self) -> None:
        found = self.runs(*(runs.Run(n) for n in range(4)))
        normal = windows.Normal.learn(
            [(f'{n}', w) for n, w in enumerate(found)])
        arrays, told = normal.state()
        self.assertEqual(windows.Normal.shapes(told),
                         {n: a.shape for n, a in arrays.items()})
        again = windows.Normal.from_state(arrays, told)
        np.testing.assert_array_equal(normal.vectors(found).numbers,
                                      again.vectors(found).numbers)
        self.assertEqual(1.0, again.knows(found))
        self.assertRaises(ValueError, windows.Normal.from_state,
                          {**arrays, 'scales': -arrays['scales']}, told)
        self.assertRaises(KeyError, windows.Normal.from_state, arrays, {})

    def test_documented(self) -> None:
        """The page has each feature with its kind and definition."""
        page = ' '.join(PAGE.read_text().split())
        for name, told in windows.FEATURES.items():
            self.assertIn(f'* - {told.kind} - ``{name}`` - {told.family} - '
                          f'{told.definition}', page)
        self.assertIn(f'the {len(windows.FEATURES)} features', page)

    def test_nothing_but_words(self) -> None:
        """Logs without requests, levels or times are windows too."""
        found = self.read(lines={
            'rabbitmq.log': ['2026-11-21 02:00:00.000 [info] <0.1.0> hello',
                             '2026-11-21 02:00:09.000 [info] <0.2.0> there'],
            'odd.log': ['nothing of this is a record']})
        found += self.read('other', {'nova-compute.log': [
            runs.line(0, 'nova.compute.manager', '')]})
        normal = windows.Normal.learn(
            [(f'{n}', w) for n, w in enumerate(found)])
        seen = normal.vectors(found)
        self.assertEqual(len(found), len(seen.numbers))
        self.assertTrue(np.isfinite(seen.numbers).all()
                        and np.isfinite(seen.wholes).all())
        arrays, told = normal.state()
        self.assertTrue(all(np.isfinite(a).all() for a in arrays.values()))
        self.assertIsNotNone(windows.Normal.from_state(arrays, told))
