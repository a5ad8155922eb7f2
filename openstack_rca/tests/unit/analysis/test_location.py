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
"""Tests of places in the code."""

import dataclasses

from openstack_rca.analysis import location
from openstack_rca.tests import base
from openstack_rca.tests.unit.analysis import sources

TRACE = '''Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/oslo_messaging/rpc/server.py", line 1, in _process_incoming
    res = self.dispatcher.dispatch(message)
  File "/usr/lib/python3/dist-packages/nova/exception_wrapper.py", line 65, in wrapped
    result = func(ctxt, **new_args)
  File "/usr/lib/python3/dist-packages/nova/compute/manager.py", line 7, in reboot_instance
    do()
  File "/usr/lib/python3/dist-packages/nova/virt/libvirt/driver.py", line 9, in reboot
    self.soft()
  File "/usr/lib/python3/dist-packages/sqlalchemy/engine/base.py", line 9, in execute
ValueError: no'''  # noqa: E501


class LocationTestCase(base.TestCase):

    def test_innermost_own_frame_first(self) -> None:
        places = location.rank([
            location.Record(TRACE, 'oslo_messaging.rpc.server')])
        self.assertEqual(
            [location.Place('nova/virt/libvirt/driver.py', 'reboot'),
             location.Place('nova/compute/manager.py', 'reboot_instance')],
            places)

    def test_logger_behind_frames(self) -> None:
        places = location.rank([
            location.Record(TRACE, 'nova.compute.manager'),
            location.Record('no frames', 'cinder.volume.manager')])
        # What the frames show already, the logger need not say.
        self.assertEqual([
            'nova/virt/libvirt/driver.py', 'nova/compute/manager.py',
            'cinder/volume/manager.py'], [p.file for p in places])
        self.assertIsNone(places[2].function)

    def test_first_failure_before_later_ones(self) -> None:
        later = TRACE.replace('driver.py', 'other.py').replace(
            'manager.py', 'more.py').replace('ValueError', 'KeyError')
        for records in ([TRACE, later], [TRACE, TRACE, TRACE, later]):
            places = location.rank([location.Record(t) for t in records])
            self.assertEqual('nova/virt/libvirt/driver.py', places[0].file)

    def test_one_who_waited_counts_less(self) -> None:
        waiting = TRACE.replace('sqlalchemy/engine/base.py',
                                'glanceclient/v2/client.py')
        own = TRACE.replace('nova', 'glance')
        places = location.rank([location.Record(t) for t in (waiting, own)])
        self.assertEqual('glance', location.service_of(places[0]))

    def test_sureness(self) -> None:
        def sure(*texts: str) -> float:
            return location.weigh([
                location.Record(t) for t in texts]).sureness()

        alone = TRACE.split('  File "/usr/lib/python3/dist-packages/nova/v',
                            1)[0] + 'ValueError: no'
        # More files, later failures elsewhere and values that were wrong
        # before make it less sure.
        self.assertGreater(sure(alone), sure(TRACE))
        later = TRACE.replace('driver.py', 'other.py').replace(
            'ValueError', 'KeyError')
        self.assertGreater(sure(TRACE), sure(TRACE, later))
        wrong = alone.replace(
            'ValueError: no', "TypeError: 'NoneType' object is not iterable")
        self.assertGreater(sure(alone), sure(wrong))
        self.assertEqual(0, sure('nothing'))
        self.assertTrue(0 < sure(wrong) and sure(alone) < 1)

    def test_functions_that_a_message_names(self) -> None:
        text = ('Error during notification for nova.network.x.Driver.plug '
                'of <nova.context.RequestContext object at 0x1>')
        self.assertEqual([location.Place('nova/network/x.py', 'plug')],
                         location.rank([location.Record(text)]))

    def test_statement_of_a_line(self) -> None:
        atlas = sources.atlas(self.tmp)
        record = location.Record(
            'Host c went away: now', 'nova.manager', 40,
            'Host c went away: now')
        self.assertEqual([location.Place('nova/manager.py', 'run')],
                         location.rank([record], atlas))
        # Without a map, or without a statement in it, the module is left.
        other = dataclasses.replace(record, pattern='Something else')
        for place in (location.rank([record]),
                      location.rank([other], atlas)):
            self.assertEqual([location.Place('nova/manager.py', None)],
                             place)

    def test_raisers_of_an_exception(self) -> None:
        atlas = sources.atlas(self.tmp)
        api = 'nova/compute/api.py'
        for text, places in (
                ('Odd: nova.exception.HostNotFound: Host c could not be '
                 'found.', [('nova/other.py', None), (api, '_check')]),
                ('Odd: HostNotFound_Remote: Host c could not be found.',
                 [('nova/other.py', None), (api, '_check')]),
                ('Odd: ValueError: x', [('nova/other.py', None)])):
            self.assertEqual(places, [
                (p.file, p.function) for p in location.rank(
                    [location.Record(text, 'nova.other')], atlas)], text)

    def test_who_logs_a_traceback_caught_it(self) -> None:
        places = location.rank([location.Record(TRACE, 'nova.catcher')])
        self.assertNotIn('nova/catcher.py', [p.file for p in places])
        foreign = TRACE.replace('nova', 'other')
        places = location.rank([location.Record(foreign, 'nova.catcher')])
        self.assertEqual(['nova/catcher.py'], [p.file for p in places])

    def test_maker_of_a_wrong_value_first(self) -> None:
        text = (
            'Traceback (most recent call last):\n'
            '  File "/usr/lib/python3/dist-packages/nova/manager.py", line '
            '13, in run\n    self.compute_api.start(context, "u")\n'
            '  File "/usr/lib/python3/dist-packages/nova/compute/api.py", '
            'line 23, in start\n    self._check(context, instance)\n'
            '  File "/usr/lib/python3/dist-packages/nova/compute/api.py", '
            "line 27, in _check\n    if instance.host is None:\n"
            "AttributeError: 'NoneType' object has no attribute 'host'\n")
        atlas = sources.atlas(self.tmp)
        api = 'nova/compute/api.py'
        self.assertEqual([
            (api, 'get'), ('nova/db/api.py', 'instance_get'),
            ('nova/db/sqlalchemy/api.py', 'instance_get')],
            [(p.file, p.function) for p in location.rank(
                [location.Record(text)], atlas)][:3])
        # Another kind of exception is raised where the fault is.
        plain = text.replace("'NoneType' object has no attribute 'host'",
                             'what is this')
        for record, maps in ((plain, atlas), (text, None)):
            self.assertEqual(location.Place(api, '_check'), location.rank(
                [location.Record(record)], maps)[0])

    def test_few_weights_with_reasons(self) -> None:
        self.assertLessEqual(len(location.WEIGHTS), 12)
        for name, value in location.WEIGHTS.items():
            self.assertTrue(0 <= value <= 1, name)

    def test_frames_of_a_message_with_escapes(self) -> None:
        text = ("reason: u' File \\\"/usr/lib/python2.7/site-packages/nova/"
                "compute/claims.py\\\", line 3, in abort\\n'")
        self.assertEqual([location.Place('nova/compute/claims.py', 'abort')],
                         location.frames(text))

    def test_of_suffix(self) -> None:
        place = location.of_suffix(
            'Lock acquired inner /usr/lib/python3.11/site-packages/nova/'
            'utils.py:270')
        self.assertEqual(location.Place('nova/utils.py', 'inner'), place)
        self.assertIsNone(location.of_suffix(
            'x inner /usr/lib/python3/site-packages/oslo/lockutils.py:2'))

    def test_module(self) -> None:
        self.assertEqual('nova.compute.manager',
                         location.Place('nova/compute/manager.py',
                                        None).module)
