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
"""Tests of the formats that give the document itself."""

import json

import yaml

from openstack_rca.osc.formatters import base as formatters
from openstack_rca.osc.formatters import json as json_format
from openstack_rca.osc.formatters import yaml as yaml_format
from openstack_rca.tests import base
from openstack_rca.tests.unit.osc import sample


class DataTest(base.TestCase):
    """The same document, exactly."""

    def setUp(self) -> None:
        super().setUp()
        self.options = formatters.Options()

    def test_json(self) -> None:
        for document in (sample.report(), sample.hostile()):
            text = json_format.JsonFormatter().render(
                'report', document, self.options)
            self.assertEqual(document, json.loads(text))
            self.assertTrue(text.replace('\n', '').isprintable())

    def test_yaml(self) -> None:
        document = sample.report()
        text = yaml_format.YamlFormatter().render(
            'report', document, self.options)
        self.assertEqual(document, yaml.safe_load(text))
        self.assertEqual(list(document), list(yaml.safe_load(text)))

    def test_yaml_of_hostile_text(self) -> None:
        document = sample.hostile()
        text = yaml_format.YamlFormatter().render(
            'report', document, self.options)
        self.assertTrue(text.replace('\n', '').isprintable())
        self.assertEqual(document, yaml.safe_load(text))

    def test_yaml_has_no_anchors(self) -> None:
        names = ['E1', 'E2']
        text = yaml_format.YamlFormatter().render(
            'report', {'a': names, 'b': names}, self.options)
        self.assertNotIn('&id', text)

    def test_both_write_traces(self) -> None:
        document = sample.trace()
        for formatter in (json_format.JsonFormatter(),
                          yaml_format.YamlFormatter()):
            self.assertIn('trace', formatter.kinds)
            text = formatter.render('trace', document, self.options)
            self.assertEqual(document, yaml.safe_load(text))
