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
"""Signatures over events: what matches, and what does not."""

import datetime
import pathlib
from typing import Any

from hypothesis import given
from hypothesis import strategies
import yaml

from openstack_rca import exception
from openstack_rca.knowledge import schema
from openstack_rca.knowledge import signatures
from openstack_rca.tests import base
from openstack_rca.tests.unit.knowledge import frames
from openstack_rca.tests.unit.store import samples


def signature(message: str = 'No space left on {device}',
              **fields: Any) -> schema.Signature:
    """A signature with some fields; those of ``find`` begin with find_."""
    find = {'message': message} | {
        k.removeprefix('find_'): fields.pop(k) for k in list(fields)
        if k.startswith('find_')}
    return schema.load(yaml.safe_dump({
        'id': 'test-one', 'title': 'A test', 'find': find,
        'component': 'disk', 'category': 'storage', 'cause': 'It is full',
        'remedy': ['Do it'], 'examples': {}} | fields), 'test-one.yaml')


def match(wanted: schema.Signature, *lines: str, **span: Any) -> \
        signatures.Match | None:
    """What a signature finds in lines."""
    found = signatures.Library([wanted]).match(
        frames.logged(*lines), **span)
    return found[0] if found else None


class TestFind(base.TestCase):

    def count(self, wanted: schema.Signature, *lines: str) -> int:
        found = match(wanted, *lines)
        return found.count if found else 0

    def test_message(self) -> None:
        self.assertEqual(2, self.count(
            signature(), '1 INFO No space left on vda', '2 INFO Fine',
            '3 INFO Alas: No space left on vdb'))

    def test_level(self) -> None:
        self.assertEqual(1, self.count(
            signature(find_level='ERROR'), '1 INFO No space left on vda',
            '2 ERROR No space left on vdb'))

    def test_service(self) -> None:
        for name, expected in (('nova', 1), ('nova-compute', 1),
                               ('cinder', 0), (['cinder', 'nova'], 1)):
            self.assertEqual(expected, self.count(
                signature(find_service=name),
                '1 INFO No space left on vda'), str(name))

    def test_all_any_none(self) -> None:
        lines = ('1 ERROR No space left on vda\nTraceback: [Errno 28] x',
                 '2 ERROR No space left on vda\nTraceback: [Errno 5] y')
        cases: tuple[tuple[dict[str, Any], int], ...] = (
                ({'find_all': ['[Errno 28]']}, 1),
                ({'find_all': ['[Errno 28]', 'y']}, 0),
                ({'find_any': ['[Errno 28]', '[Errno 5]']}, 2),
                ({'find_none': ['[Errno 28]']}, 1))
        for fields, expected in cases:
            self.assertEqual(expected, self.count(
                signature(**fields), *lines), str(fields))

    def test_status(self) -> None:
        lines = ('nova-api.uwsgi.log', ''.join(
            f'[pid: 9|app: 0|req: {n}/1] 10.0.0.1 () {{62 vars in 1 bytes}} '
            f'[Sat Nov 21 03:00:0{n} 2026] GET /v2.1/servers => generated 9 '
            f'bytes in 2 msecs (HTTP/1.1 {status}) 9 headers in 3 bytes (1 '
            'switches on core 0)\n'
            for n, status in enumerate((200, 503, 503))))
        for status, expected in ((503, 2), ([200, 503], 3), (404, 0)):
            store = frames.parsed(lines)
            found = signatures.Library([signature(
                'servers => generated', find_status=status)]).match(store)
            self.assertEqual(expected, found[0].count if found else 0)

    def test_count(self) -> None:
        lines = [f'{n} INFO No space left on vd{n}' for n in (1, 11, 21, 31)]
        self.assertEqual(4, self.count(signature(count=4), *lines))
        self.assertEqual(0, self.count(signature(count=5), *lines))
        self.assertEqual(4, self.count(signature(count=3, within=20), *lines))
        self.assertEqual(0, self.count(signature(count=3, within=19), *lines))

    def test_span(self) -> None:
        lines = ['1 INFO No space left on vda', '9 INFO No space left on vdb']
        for since, until, expected in ((2, None, 'vdb'), (None, 8, 'vda'),
                                       (2, 8, None)):
            found = match(
                signature(cause='{device}'), *lines,
                since=None if since is None else samples.START.replace(
                    day=21, second=since),
                until=None if until is None else samples.START.replace(
                    day=21, second=until))
            self.assertEqual(expected, found and found.fill('{device}'))

    def test_storm_is_bounded(self) -> None:
        lines = [f'{n / 200} INFO No space left on vd1'
                 for n in range(6000)]
        found = match(signature(count=200), *lines)
        assert found
        self.assertEqual(200, found.count)

    def test_notifications_do_not_match(self) -> None:
        row = samples.event(text='No space left on vda', kind='notification')
        store = frames.FrameStore(samples.frame(row), samples.patterns(
            samples.frame(row)))
        self.assertEqual([], signatures.Library([signature()]).match(store))

    def test_surest_first(self) -> None:
        text = yaml.safe_dump({
            'id': 'other', 'title': 'x', 'find': {'message': 'No space'},
            'component': 'disk', 'category': 'storage', 'cause': 'x',
            'remedy': ['x'], 'weight': .9, 'examples': {}})
        found = signatures.Library([
            signature(), schema.load(text, 'other.yaml')]).match(
                frames.logged('1 INFO No space left on vda'))
        self.assertEqual(['other', 'test-one'],
                         [m.signature.id for m in found])


class TestOrder(base.TestCase):

    LINES = ('1 INFO [req-a] Build started', '3 ERROR [req-a] No space here',
             '5 ERROR [req-b] No space here', '40 INFO [req-b] Build ended')

    def of(self, **fields: Any) -> int:
        found = match(signature('No space', **fields), *self.LINES)
        return found.count if found else 0

    def test_after(self) -> None:
        for within, same, expected in ((2, None, 1), (4, None, 2),
                                       (4, 'request', 1), (1, None, 0),
                                       (4, 'host', 2), (4, 'process', 2)):
            wanted = {'message': 'Build started', 'within': within} | (
                {'same': same} if same else {})
            self.assertEqual(expected, self.of(after=wanted),
                             str(wanted))

    def test_before(self) -> None:
        self.assertEqual(1, self.of(before={
            'message': 'Build ended', 'within': 36, 'same': 'request'}))
        self.assertEqual(0, self.of(before={
            'message': 'Build ended', 'within': 34, 'same': 'request'}))

    def test_order_matters(self) -> None:
        self.assertEqual(0, self.of(before={
            'message': 'Build started', 'within': 60}))
        self.assertEqual(0, self.of(after={
            'message': 'Build ended', 'within': 60}))

    def test_without(self) -> None:
        self.assertEqual(2, self.of(without={
            'message': 'Build ended', 'within': 30}))
        self.assertEqual(1, self.of(without={
            'message': 'Build ended', 'within': 35, 'same': 'request'}))
        # The log ends before it could have been said.
        self.assertEqual(0, self.of(without={
            'message': 'Never said', 'within': 50}))

    def test_without_what_is_nowhere(self) -> None:
        self.assertEqual(2, self.of(without={
            'message': 'Never said', 'within': 30}))

    def test_same_resource(self) -> None:
        server = '4fcd1a3e-2f5b-4c5e-9d4c-3a1f3f0a7b11'
        lines = (f'1 INFO Build started of {server}',
                 f'2 ERROR No space for {server}',
                 '3 ERROR No space for 5fcd1a3e-2f5b-4c5e-9d4c-3a1f3f0a7b11')
        found = match(signature('No space for', after={
            'message': 'Build started', 'within': 9, 'same': 'resource'}),
            *lines)
        assert found
        self.assertEqual(1, found.count)

    def test_no_request_is_not_the_same(self) -> None:
        found = match(signature('No space', after={
            'message': 'Build started', 'within': 9, 'same': 'request'}),
            '1 INFO Build started', '2 ERROR No space here')
        self.assertIsNone(found)


class TestVariables(base.TestCase):

    def test_values_of_several_events(self) -> None:
        found = match(
            signature(title='{device} of {host}', host='{host}'),
            '1 INFO No space left on vda', '2 INFO No space left on vda',
            '3 INFO No space left on vdb', '4 INFO No space left on vdc',
            '5 INFO No space left on vdd')
        assert found
        self.assertEqual('vda, vdb and vdc of cmp1',
                         found.fill('{device} of {host}'))
        self.assertEqual('5', found.fill('{count}'))
        self.assertEqual('cmp1', found.host)
        self.assertEqual([1, 3, 4], [e['timestamp'].second
                                     for e in found.events])

    def test_captured_host_is_the_one_meant(self) -> None:
        found = match(signature('{host} does not answer', host='{host}',
                                title='{host}'), '1 INFO cmp7 does not answer')
        assert found
        self.assertEqual('cmp7', found.host)

    def test_two_hosts_are_none(self) -> None:
        found = match(
            signature('host {host} is down', host='{host}'),
            '1 INFO host cmp7 is down', '2 INFO host cmp8 is down')
        assert found
        self.assertEqual('', found.host)

    def test_what_is_not_told(self) -> None:
        found = signatures.Library([signature(
            cause='{device} of {request} on {host}', host='{host}')]).match(
                frames.logged('1 INFO No space left on vda',
                              name='nova-compute.log'))[0]
        self.assertEqual('vda of an unknown request on its host',
                         found.fill(found.signature.cause))
        self.assertEqual('', found.host)

    def test_long_values_are_cut(self) -> None:
        found = match(signature(cause='{device}'),
                      '1 INFO No space left on ' + 'x' * 500)
        assert found
        self.assertEqual(200, len(found.fill('{device}')))

    @given(strategies.text(
        strategies.characters(exclude_categories=['Cs', 'Cc', 'Zl', 'Zp']),
        max_size=80))
    def test_hostile_messages(self, text: str) -> None:
        """Whatever a message holds, it is only a value."""
        found = match(
            signature('Server {name} broke', cause='{name}'),
            f'1 INFO Server <{text}> broke', '2 INFO Server x broke')
        assert found
        self.assertIn('x', found.variables['name'])
        self.assertNotIn('\n', found.fill('{name} {{}}'))


class TestLibrary(base.TestCase):

    def folder(self, name: str = 'own') -> pathlib.Path:
        folder = self.tmp / name
        folder.mkdir(exist_ok=True)
        return folder

    def write(self, folder: pathlib.Path, name: str,
              title: str = 'Ours') -> None:
        (folder / f'{name}.yaml').write_text(yaml.safe_dump({
            'id': name, 'title': title, 'find': {'message': 'No space'},
            'component': 'disk', 'category': 'storage', 'cause': 'x',
            'remedy': ['x'], 'examples': {}}))

    def configured(self, *folders: pathlib.Path) -> signatures.Library:
        self.config(group='knowledge', signature_dirs=[
            str(f) for f in folders])
        return signatures.Library.configured()

    def title(self, library: signatures.Library, name: str) -> str | None:
        return next((s.title for s in library.signatures if s.id == name),
                    None)

    def test_own_folder(self) -> None:
        shipped = len(self.configured().signatures)
        self.write(self.folder(), 'own-one')
        (self.folder() / 'README').write_text('not a signature')
        library = self.configured(self.folder())
        self.assertEqual('Ours', self.title(library, 'own-one'))
        self.assertEqual(shipped + 1, len(library.signatures))
        self.assertEqual((), library.problems)

    def test_own_one_replaces(self) -> None:
        self.write(self.folder(), 'nova-image-corrupt')
        self.write(self.folder('more'), 'nova-image-corrupt', 'Later')
        self.assertEqual('Ours', self.title(
            self.configured(self.folder()), 'nova-image-corrupt'))
        self.assertEqual('Later', self.title(self.configured(
            self.folder(), self.folder('more')), 'nova-image-corrupt'))

    def test_change_is_noticed(self) -> None:
        self.write(self.folder(), 'own-one')
        self.configured(self.folder())
        self.write(self.folder(), 'own-one', 'Changed its title')
        self.assertEqual('Changed its title', self.title(
            self.configured(self.folder()), 'own-one'))

    def test_wrong_file_is_left_out_and_told(self) -> None:
        self.write(self.folder(), 'own-one')
        (self.folder() / 'broken.yaml').write_text('id: broken\n')
        (self.folder() / 'binary.yaml').write_bytes(b'\xff\xfe\x00')
        (self.folder() / 'folder.yaml').mkdir()
        library = self.configured(self.folder())
        self.assertEqual('Ours', self.title(library, 'own-one'))
        told = ' '.join(map(str, library.problems))
        for name in ('broken.yaml, line 1', 'binary.yaml', 'folder.yaml'):
            self.assertIn(name, told)

    def test_missing_folder_is_told(self) -> None:
        library = self.configured(self.tmp / 'missing')
        self.assertNotEqual((), library.signatures)
        self.assertIn('[knowledge] signature_dirs', str(library.problems[0]))
        self.assertIn('missing', str(library.problems[0]))

    def test_nothing_to_look_in(self) -> None:
        self.assertEqual([], self.configured().match(frames.parsed()))

    def test_read_of_what_is_not_there(self) -> None:
        self.assertRaises(exception.SignatureInvalid, signatures.read,
                          self.tmp / 'x.yaml')

    def test_all_times_are_without_zone(self) -> None:
        store = frames.logged('1 INFO Connection to libvirt failed')
        library = self.configured()
        moment = datetime.datetime(2026, 11, 21)
        self.assertEqual([], library.match(store, moment, moment))
