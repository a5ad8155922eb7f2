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
"""Wrong values, followed to where they were made."""

from openstack_rca.analysis import codemap
from openstack_rca.analysis import location
from openstack_rca.analysis import tracebacks
from openstack_rca.analysis import valuetrail
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources


def failed(text: str, *frames: tuple[str, str, int, str]
           ) -> tracebacks.Traceback:
    """A traceback, the innermost frame first."""
    return tracebacks.Traceback(tuple(
        tracebacks.Frame(tracebacks.Place(file, function), line, source)
        for file, function, line, source in reversed(frames)),
        'AttributeError', text)


API = 'nova/compute/api.py'
LACKS = "'NoneType' object has no attribute 'host'"


class TrailTestCase(base.TestCase):

    def follow(self, traceback: tracebacks.Traceback) -> list[
            tuple[str, str | None]]:
        self.trail = valuetrail.Trail(
            sources.atlas(self.tmp), location.WEIGHTS, traceback)
        ranked = sorted(self.trail.follow(), key=lambda f: -f[1])
        return [(place.file, place.function) for place, _weight in ranked]

    def test_to_the_maker_of_a_variable(self) -> None:
        found = self.follow(failed(LACKS, (
            API, 'get', 19,
            "LOG.debug('Fetched instance %s of host %s', uuid, "
            "instance.host)")))
        self.assertEqual([
            ('nova/db/api.py', 'instance_get'),
            ('nova/db/sqlalchemy/api.py', 'instance_get'),
            ('nova/db/sqlalchemy/api.py', '_query')], found)
        self.assertFalse(self.trail.handed)

    def test_through_an_argument(self) -> None:
        found = self.follow(failed(
            LACKS, (API, '_check', 27, 'if instance.host is None:'),
            (API, 'start', 24, 'self._check(context, instance)')))
        self.assertTrue(self.trail.handed)
        self.assertEqual([
            (API, 'get'), ('nova/db/api.py', 'instance_get'),
            ('nova/db/sqlalchemy/api.py', 'instance_get'),
            ('nova/db/sqlalchemy/api.py', '_query'), (API, 'start')], found)

    def test_to_a_call_of_the_line(self) -> None:
        self.assertEqual((API, 'get'), self.follow(failed(
            "'NoneType' object has no attribute 'x'",
            (API, 'start', 23, 'y = self.get(context, uuid).x')))[0])
        # The last line of a call that takes several.
        self.assertEqual((API, 'get'), self.follow(failed(
            "'NoneType' object is not iterable",
            (API, 'start', 25, 'uuid)')))[0])

    def test_what_nobody_knows(self) -> None:
        for traceback in (
                failed(LACKS), failed(LACKS, ('heat/x.py', 'f', 1, 'a.b')),
                failed(LACKS, (API, 'nothing', 1, 'a.host')),
                failed(LACKS, (API, 'get', 19, '')),
                failed(LACKS, (API, 'get', 10**6, 'self.host + other'))):
            self.assertEqual([], self.follow(traceback))

    def test_suspects(self) -> None:
        for source, text, names in (
                ('a.b.host + c.host.d', LACKS, {'a.b', 'c'}),
                ('f(a).host', LACKS, {'a'}),
                ("x = y['host'][z]", '', {'y', 'z', 'x'}),
                ('for a in b.c(d):', '', {'a', 'd'}),
                ('f(a, b=c)', '', {'a', 'c'}), ('', '', set())):
            self.assertEqual(names, valuetrail.suspects(source, text),
                             source)

    def test_properties(self) -> None:
        tree = self.tmp / 'maps'
        tree.mkdir()
        codemap.save(codemap.build(sources.package({
            'nova/__init__.py': '', 'nova/x.py': '''
class A:
    @property
    def client(self):
        return self._client

    def ask(self):
        self.client.ask()
'''})), tree / 'nova.codemap.gz')
        trail = valuetrail.Trail(
            codemap.Atlas(tree), location.WEIGHTS, failed(
                "'NoneType' object has no attribute 'ask'",
                ('nova/x.py', 'ask', 8, 'self.client.ask()')))
        self.assertEqual([location.Place('nova/x.py', 'client')],
                         [place for place, _weight in trail.follow()])

    def test_circles_end(self) -> None:
        codemap.save(codemap.build(sources.package({
            'nova/__init__.py': '', 'nova/x.py': ''.join(
                f'def f{i}():\n  return f{(i + 1) % 100}()\n'
                f'def g{i}():\n' + ''.join(
                    f'  return g{j}()\n' for j in range(100))
                for i in range(100))})), self.tmp / 'nova.codemap.gz')
        trail = valuetrail.Trail(
            codemap.Atlas(self.tmp), location.WEIGHTS, failed(
                'not iterable', ('nova/x.py', 'g1', 1, 'for x in f1():'),
                ('nova/x.py', 'g1', 1, 'g1()')))
        self.assertLessEqual(len(trail.follow()), 50)
