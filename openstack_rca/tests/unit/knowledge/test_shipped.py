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
"""The shipped signatures: all against all real lines, and quiet ones."""

import functools
import re
import tarfile

from openstack_rca.knowledge import schema
from openstack_rca.knowledge import signatures
from openstack_rca.tests import base
from openstack_rca.tests.unit.knowledge import frames

QUIET = signatures.SHIPPED.parents[1] / 'tests/fixtures/quiet/quiet.tar.xz'
#: Of whom there is at least one.
PARTS = ('nova', 'neutron', 'cinder', 'glance', 'keystone', 'placement',
         'rabbitmq', 'mariadb', 'libvirt', 'ovs', 'oslo-db',
         'oslo-messaging', 'oslo-config', 'oslo-service',
         'keystonemiddleware')


@functools.cache
def library() -> signatures.Library:
    """The shipped signatures."""
    return signatures.Library(map(
        signatures.read, signatures.SHIPPED.glob('*.yaml')))


def examples(signature: schema.Signature) -> dict[
        str, tuple[schema.Example, ...]]:
    """The examples of a shipped signature."""
    path = signatures.SHIPPED / f'{signature.id}.yaml'
    return schema.examples(path.read_text(), str(path))


def found(example: schema.Example) -> dict[str, signatures.Match]:
    """The signatures that the lines of an example match."""
    store = frames.parsed((example.file, example.lines + '\n'))
    return {m.signature.id: m for m in library().match(store)}


class TestShipped(base.TestCase):

    def test_enough(self) -> None:
        names = [s.id for s in library().signatures]
        self.assertGreaterEqual(len(names), 40)
        for part in PARTS:
            self.assertTrue(any(n.startswith(part) for n in names), part)
        self.assertGreaterEqual(sum(
            n.startswith('nova-no-valid-host') for n in names), 6)

    def test_all_against_all(self) -> None:
        """Each matches its own lines, and nobody else's."""
        for signature in library().signatures:
            for example in examples(signature)['matches']:
                matches = found(example)
                self.assertIn(signature.id, matches, str(example))
                self.assertEqual(set(), matches.keys() - {
                    signature.id, *signature.related}, signature.id)

    def test_what_looks_alike_does_not_match(self) -> None:
        for signature in library().signatures:
            for example in examples(signature)['misses']:
                self.assertNotIn(signature.id, found(example),
                                 str(example))

    def test_texts_are_filled(self) -> None:
        for signature in library().signatures:
            match = found(examples(signature)['matches'][0])[signature.id]
            for text in (signature.title, signature.cause,
                         *signature.remedy):
                filled = match.fill(text)
                self.assertNotRegex(filled, r'an unknown|\{[a-z]+\}',
                                    signature.id)

    def test_related_ones_are_there(self) -> None:
        names = {s.id for s in library().signatures}
        for signature in library().signatures:
            self.assertLessEqual(set(signature.related), names)
            self.assertNotIn(signature.id, signature.related)

    def test_examples_say_who_logged_them(self) -> None:
        for signature in library().signatures:
            for example in (e for group in examples(signature).values()
                            for e in group):
                # A version of a program, or of the cloud.
                self.assertTrue(re.search(r'\d+\.\d', example.recorded)
                                or 'started' in example.recorded,
                                (signature.id, example.recorded))

    def test_nothing_in_quiet_lines(self) -> None:
        files = []
        with tarfile.open(QUIET) as tar:
            for member in tar:
                data = tar.extractfile(member)
                assert data
                files.append((member.name, data.read().decode()))
        store = frames.parsed(*files)
        self.assertGreater(store.scan().collect().height, 250)
        self.assertEqual([], [m.signature.id
                              for m in library().match(store)])
