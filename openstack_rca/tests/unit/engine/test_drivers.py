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
"""Finding drivers by their names."""

import subprocess
import sys

from openstack_rca import exception
from openstack_rca.engine import drivers
from openstack_rca.store import parquet
from openstack_rca.tests import base


class TestDrivers(base.TestCase):

    def test_load(self) -> None:
        self.assertIs(parquet.ParquetStore,
                      drivers.load('openstack_rca.stores', 'parquet'))

    def test_check(self) -> None:
        drivers.check('openstack_rca.detectors', ['novelty', 'counts'])
        drivers.check('openstack_rca.detectors', [])

    def test_unknown(self) -> None:
        for call in (
                lambda: drivers.load('openstack_rca.detectors', 'magic'),
                lambda: drivers.check('openstack_rca.detectors',
                                      ['novelty', 'magic'])):
            error = self.assertRaises(exception.DriverNotFound, call)
            self.assertIn("'magic'", str(error))
            self.assertIn('novelty', str(error))

    def test_unknown_namespace(self) -> None:
        error = self.assertRaises(exception.DriverNotFound, drivers.check,
                                  'openstack_rca.nothing', ['x'])
        self.assertIn('is the package installed?', str(error))

    def test_check_imports_no_driver(self) -> None:
        found = subprocess.run(
            [sys.executable, '-c', 'import sys; '
             'from openstack_rca.engine import drivers; '
             'drivers.check("openstack_rca.detectors", ["novelty"]); '
             'print("polars" in sys.modules)'],
            check=True, capture_output=True, text=True)
        self.assertEqual('False', found.stdout.strip())
