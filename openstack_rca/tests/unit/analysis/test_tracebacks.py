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
"""Tracebacks in all the forms in which records hold them."""

import hypothesis
from hypothesis import strategies

from openstack_rca.analysis import tracebacks
from openstack_rca.tests import base

PLAIN = '''Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/oslo_messaging/rpc/server.py", line 1, in _process_incoming
    res = self.dispatcher.dispatch(message)
  File "/usr/lib/python3/dist-packages/nova/compute/manager.py", line 7, in reboot_instance
  File "/opt/stack/nova/nova/virt/libvirt/driver.py", line 9, in reboot
    self.soft()
ValueError: no: 'x'
'''  # noqa: E501
HEADER = '2026-11-21 02:00:00.123 7 ERROR nova.compute.manager '


class ReadTestCase(base.TestCase):

    def check(self, text: str) -> tracebacks.Traceback:
        [found] = tracebacks.read(text)
        self.assertEqual(
            [('oslo_messaging/rpc/server.py', '_process_incoming', 1,
              'res = self.dispatcher.dispatch(message)'),
             ('nova/compute/manager.py', 'reboot_instance', 7, ''),
             ('nova/virt/libvirt/driver.py', 'reboot', 9, 'self.soft()')],
            [(f.place.file, f.place.function, f.line, f.source)
             for f in found.frames])
        self.assertEqual(('ValueError', "no: 'x'"), (found.kind, found.text))
        return found

    def test_as_it_is_printed(self) -> None:
        found = self.check(f'Something failed: odd\n{PLAIN}')
        self.assertEqual(
            ['nova/virt/libvirt/driver.py', 'nova/compute/manager.py'],
            [f.place.file for f in found.own])

    def test_behind_headers(self) -> None:
        self.check(''.join(f'{HEADER}{more}{line}\n' for more in (
            '', '[instance: 0a1b2c3d-1111-4222-8333-444455556666] ')[:1]
            for line in PLAIN.splitlines()))
        self.check(''.join(
            f'{HEADER}[instance: 0a1b2c3d-1111-4222-8333-444455556666] '
            f'{line}\n' for line in PLAIN.splitlines()))

    def test_quoted(self) -> None:
        lines = PLAIN.splitlines(keepends=True)
        for text in (f'Error: {lines}', str(lines).replace("'", '"', 2),
                     "Error: [u'" + "', u'".join(
                         line.replace('\n', '\\n').replace("'", "\\'")
                         for line in lines) + "']"):
            found = tracebacks.read(text)
            self.assertEqual([3], [len(t.frames) for t in found], text)
            self.assertEqual('ValueError', found[0].kind, text)

    def test_several(self) -> None:
        remote = PLAIN.replace('ValueError: no', 'NoHost_Remote: none')
        found = tracebacks.read(f'{remote}\n{PLAIN}')
        self.assertEqual(['NoHost_Remote', 'ValueError'],
                         [t.kind for t in found])
        self.assertEqual([True, False],
                         [tracebacks.waited(t) for t in found])

    def test_frames_without_a_head(self) -> None:
        text = PLAIN.split('\n', 1)[1].replace('\n', '\\n').replace(
            '"', '\\"')
        self.assertEqual(3, len(tracebacks.read(f'reason: {text}')[0].frames))

    def test_none(self) -> None:
        for text in ('', 'no File here', 'Traceback (most recent call last):',
                     'File "x", line y, in z'):
            self.assertEqual([], tracebacks.read(text))

    def test_whoever_waits(self) -> None:
        def failed(*files: str) -> bool:
            return tracebacks.waited(tracebacks.Traceback(tuple(
                tracebacks.Frame(tracebacks.Place(f, 'f'), 1, '')
                for f in files), 'Error', ''))
        self.assertTrue(failed('nova/x.py', 'neutronclient/v2_0/client.py'))
        self.assertTrue(failed('nova/x.py', 'oslo_messaging/rpc/client.py',
                               'oslo_messaging/_drivers/amqpdriver.py'))
        self.assertTrue(failed('nova/x.py', 'openstack/proxy.py',
                               'keystoneauth1/session.py', 'requests/x.py'))
        self.assertFalse(failed('neutronclient/x.py', 'nova/x.py'))
        self.assertFalse(failed('nova/x.py', 'sqlalchemy/engine.py'))

    def test_wrong_values(self) -> None:
        for kind, text, wrong in (
                ('TypeError', "'NoneType' object is not iterable", True),
                ('AttributeError', "'str' object has no attribute 'x'",
                 True),
                ('KeyError', "'uuid'", True), ('IndexError', '', True),
                ('TypeError', 'f() takes exactly 2 arguments (1 given)',
                 False),
                ('TypeError', "f() got an unexpected keyword argument 'x'",
                 False),
                ('TypeError', "f() missing 1 required positional argument",
                 False),
                ('NoValidHost', 'No valid host was found.', False)):
            self.assertEqual(wrong, tracebacks.wrong_value(
                tracebacks.Traceback((), kind, text)), text)

    @hypothesis.given(strategies.lists(strategies.sampled_from(
        ('File "', '/site-packages/nova/x.py', '", line 1, in f', '\n',
         '\\n', "', '", 'Traceback (most recent call last):', 'E: x', '"',
         '\\', HEADER, 'x' * 200)), max_size=40).map(''.join))
    def test_any_text(self, text: str) -> None:
        for found in tracebacks.read(text):
            self.assertTrue(found.frames)

    def test_a_dump_ends(self) -> None:
        tracebacks.read('Traceback (most recent call last):\n'
                        + '  File "/x/nova/y.py", line 1, in f\n    a\n'
                        * 5000)
        tracebacks.read('File "' * 20000)
        tracebacks.read('Traceback (most recent call last):' * 5000)
