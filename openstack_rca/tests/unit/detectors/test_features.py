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
"""Features of runs that differ from normal ones in one thing."""

import pathlib
from typing import Any

import numpy as np

import openstack_rca
from openstack_rca import exception
from openstack_rca.detectors import base as detectors
from openstack_rca.detectors import features
from openstack_rca.tests import base
from openstack_rca.tests.unit.detectors import runs

NORMAL = 8
PAGE = (pathlib.Path(openstack_rca.__path__[0]).parent / 'doc' / 'source'
        / 'contributor' / 'detectors.rst')


class FeaturesTestCase(base.TestCase):

    def record(self, *odd: runs.Run) -> tuple[
            features.Baseline, list[features.Tables]]:
        """A baseline of eight normal runs, and odd runs after them."""
        parts = runs.recordings(self.tmp / 'logs', [
            *(runs.Run(n) for n in range(NORMAL)), *odd])
        read = [features.tables(r.store, r.query) for r in parts]
        baseline = features.Baseline.learn(
            (r.group, t) for r, t in zip(parts[:NORMAL], read, strict=False))
        return baseline, read[NORMAL:]

    def found(self, odd: runs.Run) -> dict[str, float]:
        """The features of an odd run that are not zero.

        The latency is never zero, and counts from normal on.
        """
        baseline, (read,) = self.record(odd)
        told = dict(zip(features.FEATURES, features.values(read, baseline),
                        strict=True))
        return {name: float(value) for name, value in told.items()
                if value > (1 if name == 'latency' else 0)}

    def at(self, second: float) -> float:
        """A moment of the odd run."""
        return NORMAL * runs.APART + second

    def odd(self, **more: Any) -> runs.Run:
        return runs.Run(NORMAL, **more)

    def test_normal(self) -> None:
        self.assertEqual({}, self.found(self.odd()))

    def test_errors_are_no_feature(self) -> None:
        self.assertEqual({}, self.found(self.odd(compute=[
            runs.line(self.at(s), 'nova.virt.driver', 'Something is odd',
                      'ERROR') for s in range(10)])))

    def test_new_messages_by_level(self) -> None:
        found = self.found(self.odd(compute=[
            runs.line(self.at(9), 'nova.virt.driver', text, level)
            for level, text in (('DEBUG', 'quite new here'),
                                ('INFO', 'also new here'),
                                ('INFO', 'another one'),
                                ('WARNING', 'beware of that'))]))
        self.assertEqual(
            {'new_debug': 1, 'new_info': 2, 'new_warning': 1}, found)

    def test_answers(self) -> None:
        uuid = runs.server_id(NORMAL, 3)
        found = self.found(self.odd(api=[
            runs.access(self.at(20), 'req-00000000-0000-4000-8000-a00000000'
                        f'00{n}', method, path, status)
            for n, (method, path, status) in enumerate((
                ('POST', '/v2.1/servers', 409),
                ('GET', f'/v2.1/servers/{uuid}', 404),
                ('GET', '/v2.1/servers/detail', 400),
                ('GET', '/v2.1/servers/detail', 500)))]))
        self.assertEqual(
            {'answers_5xx': 1, 'refused_changes': 1, 'refused_reads': 1,
             'new_answers': 4, 'new_info': 4}, found)

    def test_traceback_below_error(self) -> None:
        trace = ('\nTraceback (most recent call last):\n'
                 '  File "/a/nova/b.py", line 7, in c\nTypeError: no')
        found = self.found(self.odd(compute=[runs.line(
            self.at(9), 'nova.compute.manager', 'Rebooting instance as '
            'asked', request=runs.request_id(NORMAL, 0)) + trace]))
        self.assertEqual({'tracebacks': 1}, found)

    def test_state_of_error(self) -> None:
        found = self.found(self.odd(compute=[runs.line(
            self.at(9), 'nova.compute.manager', 'Rebooting instance as '
            "asked {'status': u'ERROR'}")]))
        self.assertEqual(1, found.pop('error_states'))
        self.assertLessEqual(found.keys(), {'new_info'})

    def test_polling(self) -> None:
        path = f'/v2.1/servers/{runs.server_id(NORMAL, 2)}'
        polls = [runs.access(
            self.at(5 + 4 * n), 'req-00000000-0000-4000-8000-b000000000'
            f'{n:02d}', 'GET', path, 200, 700) for n in range(6)]
        self.assertAlmostEqual(
            2.0, self.found(self.odd(api=polls))['polling'])

    def test_an_answer_that_changes_is_no_polling(self) -> None:
        path = f'/v2.1/servers/{runs.server_id(NORMAL, 2)}'
        polls = [runs.access(
            self.at(5 + 4 * n), 'req-00000000-0000-4000-8000-b000000000'
            f'{n:02d}', 'GET', path, 200, 700 + n) for n in range(6)]
        self.assertNotIn('polling', self.found(self.odd(api=polls)))

    def test_latency(self) -> None:
        self.assertAlmostEqual(
            6.0, self.found(self.odd(took=3.0))['latency'], places=4)

    def test_lacking(self) -> None:
        found = self.found(self.odd(silent=[0, 3]))
        self.assertEqual(
            {'lack_weight', 'lack_requests', 'lack_share',
             'resource_weight', 'resource_requests', 'resource_share'},
            found.keys() | {'resource_weight', 'resource_requests',
                            'resource_share'})
        self.assertEqual(2, found['lack_requests'])
        # It lacks one of the three that all 64 like requests have.
        self.assertAlmostEqual(1 / 3, found['lack_share'])
        self.assertAlmostEqual(float(np.log(64)), found['lack_weight'])

    def test_resources_that_nothing_is_said_of(self) -> None:
        found = self.found(self.odd(stuck=[1]))
        self.assertEqual(
            {'resource_weight', 'resource_requests', 'resource_share'},
            found.keys())
        self.assertEqual(1, found['resource_requests'])

    def test_what_may_yet_come_is_not_lacking(self) -> None:
        parts = runs.recordings(self.tmp / 'logs', [
            *(runs.Run(n) for n in range(NORMAL)), self.odd(silent=[7])])
        baseline = features.Baseline.learn(
            (r.group, features.tables(r.store, r.query))
            for r in parts[:NORMAL])
        odd = parts[NORMAL]
        place = list(features.FEATURES).index('lack_requests')
        self.assertEqual(1, features.vector(odd, baseline)[place])
        # The request begins at second 35, and the log now ends before 40.
        assert odd.query.since is not None
        cut = detectors.Recording('cut', odd.store, type(odd.query)(
            since=odd.query.since,
            until=odd.query.since + (runs.T.replace(second=39) - runs.T)))
        self.assertEqual(0, features.vector(cut, baseline)[place])

    def test_requests_that_began_before(self) -> None:
        """What was said of a request before the time is not lacking."""
        parts = runs.recordings(self.tmp / 'logs', [
            runs.Run(n) for n in range(NORMAL + 1)])
        last = parts[-1]
        assert last.query.since is not None
        late = features.tables(last.store, type(last.query)(
            since=last.query.since + (runs.T.replace(microsecond=100000)
                                      - runs.T), until=last.query.until))
        self.assertEqual(runs.REQUESTS - 1, late.requests.height)

    def test_own_group_left_out(self) -> None:
        odd = runs.Run(0, compute=[runs.line(
            9, 'nova.virt.driver', 'only ever said here')])
        parts = runs.recordings(
            self.tmp / 'logs', [odd, *(runs.Run(n) for n in range(1, 8))])
        read = [features.tables(r.store, r.query) for r in parts]
        baseline = features.Baseline.learn(
            (r.group, t) for r, t in zip(parts, read, strict=True))
        place = list(features.FEATURES).index('new_info')
        self.assertEqual(0, features.values(read[0], baseline)[place])
        self.assertEqual(
            1, features.values(read[0], baseline, 'group-0')[place])
        self.assertEqual(
            0, features.values(read[0], baseline, 'group-1')[place])
        rest = features.Baseline.learn(
            (r.group, t) for r, t in zip(parts[1:], read[1:], strict=True))
        self.assertEqual(
            features.values(read[0], rest).tolist(),
            features.values(read[0], baseline, 'group-0').tolist())

    def test_relation_of_one_group(self) -> None:
        """What the own group alone spoils holds once it is left out."""
        parts = runs.recordings(self.tmp / 'logs', [
            runs.Run(0, silent=[1, 2]), *(runs.Run(n) for n in range(1, 8))])
        read = [features.tables(r.store, r.query) for r in parts]
        baseline = features.Baseline.learn(
            (r.group, t) for r, t in zip(parts, read, strict=True))
        place = list(features.FEATURES).index('lack_requests')
        self.assertEqual(0, features.values(read[0], baseline)[place])
        self.assertEqual(
            2, features.values(read[0], baseline, 'group-0')[place])

    def test_state(self) -> None:
        baseline, (read,) = self.record(self.odd(silent=[0], compute=[
            runs.line(self.at(9), 'nova.virt.driver', 'quite new')]))
        arrays, told = baseline.state()
        again = features.Baseline.from_state(arrays, told)
        self.assertEqual(features.values(read, baseline).tolist(),
                         features.values(read, again).tolist())
        self.assertEqual(told, again.state()[1])

    def test_foreign_state(self) -> None:
        arrays, told = self.record()[0].state()
        for name, value in (('key_docs', np.zeros(3, np.int32)),
                            ('relation_counts', np.zeros((1, 2), np.int32)),
                            ('relation_ids', arrays['relation_ids'] + 999)):
            self.assertRaises(
                exception.ModelError, features.Baseline.from_state,
                {**arrays, name: value}, told)
        self.assertRaises(exception.ModelError,
                          features.Baseline.from_state, arrays, {})

    def test_explain(self) -> None:
        baseline, (read,) = self.record(self.odd(silent=[0], compute=[
            runs.line(self.at(9), 'nova.virt.driver', 'quite new here')]))
        told = features.explain(read, baseline)
        self.assertEqual(features.EXPLAINED, dict(told.schema))
        why = {r['feature']: r for r in told.iter_rows(named=True)}
        self.assertEqual('said in none of 8 normal recordings: quite new '
                         'here', why['new_info']['why'])
        self.assertEqual('nova-compute', why['new_info']['binary'])
        self.assertEqual(self.at(9), (why['new_info']['since']
                                      - runs.T).total_seconds())
        self.assertIn('nova-compute|nova.compute.manager|rebooting instance '
                      'asked', why['lack_weight']['why'])

    def test_nothing_said(self) -> None:
        parts = runs.recordings(self.tmp / 'logs', [runs.Run(0)])
        empty = features.tables(parts[0].store, type(parts[0].query)(
            since=runs.T.replace(year=2030)))
        baseline = features.Baseline.learn([])
        self.assertEqual(0, empty.events)
        self.assertEqual([0.0] * len(features.FEATURES),
                         features.values(empty, baseline).tolist())
        self.assertTrue(features.explain(empty, baseline).is_empty())

    def test_words(self) -> None:
        self.assertEqual(
            'instance has gone', features.words(
                "Instance <uuid> 'web 1' has 7 gone\nand more"))

    def test_documented(self) -> None:
        """The page has each feature with its family and definition."""
        page = ' '.join(PAGE.read_text().split())
        for name, told in features.FEATURES.items():
            self.assertIn(f'* - ``{name}`` - {told.family} - '
                          f'{told.definition}', page)
        self.assertIn(f'{len(features.FEATURES)} features', page)
        self.assertEqual(len(features.FEATURES), page.count('* - ``'))
