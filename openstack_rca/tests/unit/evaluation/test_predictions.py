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
"""Tests of reading predictions off reports."""

from openstack_rca.evaluation import detection
from openstack_rca.evaluation import incidents
from openstack_rca.evaluation import localization
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


class LocalizationTest(base.TestCase):
    """Places, services and evidence in the order of the hypotheses."""

    def test_prediction(self) -> None:
        report = sample.report()
        report['hypotheses'][1]['location'] = dict(
            report['hypotheses'][0]['location'])
        report['hypotheses'][1]['locations'] = [
            {'module': 'cinder.x', 'file': 'cinder/x.py', 'function': None}]
        report['evidence'][1]['source'] = 'a.tar.xz!./nova/nova-api.log'
        self.assertEqual({
            'locations': [
                {'file': 'nova/scheduler/manager.py',
                 'function': 'select_destinations'},
                {'file': 'nova/conductor/manager.py',
                 'function': 'build_instances'},
                {'file': 'cinder/x.py', 'function': None}],
            'services': ['nova', 'keystone'],
            'evidence': [
                {'timestamp': '2026-11-21T03:00:03.900000+00:00',
                 'source': 'nova/nova-scheduler.log'},
                {'timestamp': '2026-11-21T03:00:04.250000+00:00',
                 'source': 'nova/nova-api.log'},
                {'timestamp': '2026-11-21T03:00:09.900000+00:00',
                 'source': 'nova/nova-scheduler.log'},
                {'timestamp': '2026-11-21T03:00:03.900000+00:00',
                 'source': 'notifications.jsonl'}]},
            localization.predict(report, 'a.tar.xz'))

    def test_services_of_components(self) -> None:
        for component, service in (
                ('nova-compute', 'nova'), ('neutron-l2-agent', 'neutron'),
                ('cinder-volume@cmp1', 'cinder'), ('glance', 'glance'),
                ('heat-engine', 'heat'), ('placement', 'nova'),
                ('compute-capacity', 'nova'), ('mariadb', ''), ('', '')):
            self.assertEqual(service, localization.service_of(component))

    def test_nothing_found(self) -> None:
        self.assertEqual(localization.empty(),
                         localization.predict(sample.nothing()))


class DetectionTest(base.TestCase):
    """A finite number and an alarm."""

    def test_prediction(self) -> None:
        prediction = detection.predict(sample.report())
        self.assertIsInstance(prediction['score'], float)
        self.assertIs(True, prediction['alarm'])
        quiet = sample.nothing()
        quiet['patterns'] = {'levels': {'INFO': 5}}
        calm = detection.predict(quiet)
        self.assertLess(calm['score'], prediction['score'])
        self.assertIs(False, calm['alarm'])


class IncidentsTest(base.TestCase):
    """Components and categories in order."""

    def test_prediction(self) -> None:
        self.assertEqual({'hypotheses': [
            {'component': 'nova-compute', 'category': 'process_down'},
            {'component': 'compute-capacity', 'category': 'capacity'},
            {'component': 'keystone', 'category': 'hang'}]},
            {k: v for k, v in incidents.predict(
                sample.report()).items() if k == 'hypotheses'})
        self.assertEqual(incidents.empty(),
                         {'hypotheses': incidents.predict(
                             sample.nothing())['hypotheses']})
