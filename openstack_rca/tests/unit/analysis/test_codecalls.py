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
"""Who calls whom, by the rules for names."""

from openstack_rca.analysis import codecalls
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources


def edges(files: dict[str, str]) -> dict[str, list[str]]:
    """Callees by caller; a guess has a question mark."""
    package = sources.package(files)
    names = [f'{m.name.removeprefix("a.")}:{f.name}'
             for m in package.modules for f in m.functions]
    return {names[caller]: [
        names[callee] if isinstance(callee, int) else f'{callee}?'
        for _line, callee, _target, _given in calls]
        for caller, calls in codecalls.edges(package)}


class EdgesTestCase(base.TestCase):

    def test_a_service(self) -> None:
        found = edges(dict(sources.NOVA))
        # The query is a method of something that nobody knows.
        self.assertEqual({
            'nova.db.api:instance_get': ['instance_get?'],
            'nova.db.sqlalchemy.api:instance_get': [
                'nova.db.sqlalchemy.api:_query'],
            'nova.compute.api:API.get': ['nova.db.api:instance_get'],
            'nova.compute.api:API.start': ['nova.compute.api:API.get',
                                           'nova.compute.api:API._check'],
            'nova.manager:Manager.__init__': ['nova.compute:API'],
            'nova.manager:Manager.run': [
                'nova.compute.api:API.start',
                'nova.manager:Manager.run.inner']},
            {k: v for k, v in found.items() if k.rpartition(':')[2]})

    def test_methods(self) -> None:
        found = edges({'a/__init__.py': '', 'a/b.py': '''
class Base:
    def one(self): pass
    def two(self): self.one()

class Child(Base):
    def one(self):
        super().one()
        super(Child, self).two()
        self.two()
        Base.one(self)

class Other(c.Unknown):
    def __init__(self):
        self.child = Child()
        self.strange = make()
    def run(self):
        self.child.two()
        self.strange.run()
        Child().one()
        x = Other()
        x.child.one()
'''})
        self.assertEqual(['b:Base.one'], found['b:Base.two'])
        self.assertEqual(['b:Base.one', 'b:Base.two', 'b:Base.two',
                          'b:Base.one'], found['b:Child.one'])
        # A call of itself by a guess is none.
        self.assertEqual(
            ['b:Base.two', 'run?', 'b:Child.one', 'b:Other.__init__',
             'b:Child.one'], found['b:Other.run'])

    def test_classes_that_are_bound_at_run_time(self) -> None:
        found = edges({'a/__init__.py': '', 'a/x.py': '''
class Thing:
    @classmethod
    def get(cls): pass
''', 'a/y.py': '''
def f():
    objects.Thing.get()
    objects.Nothing.get()
'''})
        self.assertEqual({'y:f': ['x:Thing.get', 'get?']}, found)

    def test_circles_end(self) -> None:
        self.assertEqual({}, edges({
            'a/__init__.py': 'from a.b import *\n',
            'a/b.py': 'from a import *\nfrom a import x\nfrom a.b import y\n'
                      'class C(D): pass\nclass D(C):\n'
                      '  def f(self): self.g(); x(); y()\n'}))
