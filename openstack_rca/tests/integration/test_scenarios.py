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
"""Faults of a real OpenStack: is each found, named, proved and closed?

``RCA_INTEGRATION`` names the scenarios, ``smoke`` by default; one test each.
``RCA_INTEGRATION_BRIEF=1`` ends a fault soon after it was found. The folder
``RCA_INTEGRATION_FOLDER`` holds the cloud, and afterwards, in ``check``, what
it said and the table of all figures.
"""

from collections.abc import Callable
import json
import os
import pathlib
import subprocess
import sys

from oslotest import base

from tools.cloud import bootstrap
from tools.cloud import check
from tools.cloud import layout
from tools.cloud import product
from tools.cloud import scenarios

FOLDER = pathlib.Path(os.environ.get('RCA_INTEGRATION_FOLDER',
                                     layout.FOLDER))
VENV = os.environ.get('RCA_INTEGRATION_VENV')


class TestScenarios(base.BaseTestCase):
    """One cloud, one engine, one API; a fault a test."""

    checker: check.Checker
    where: layout.Layout

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        bootstrap.be_quiet()
        cls.where = layout.open_layout(
            FOLDER, pathlib.Path(VENV) if VENV else None)
        cls.enterClassContext(cls.where.claim())
        cls.checker = check.Checker(
            cls.where, brief=os.environ.get('RCA_INTEGRATION_BRIEF') == '1')
        cls.addClassCleanup(cls.checker.down)
        cls.checker.up()

    def play(self, name: str) -> None:
        """Play a scenario, and fail with all that is not as it should be.

        :param name: of the scenario
        """
        verdict = self.checker.check(scenarios.library()[name])
        self.assertEqual([], verdict.faults)

    def test_command(self) -> None:
        """The ``openstack`` command lists what the service has."""
        done = subprocess.run(
            [str(pathlib.Path(sys.executable).parent / 'openstack'), 'rca',
             'incident', 'list', '-f', 'json'], check=False,
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env=product.environment(self.where))
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        self.assertIsInstance(json.loads(done.stdout), list)


def _test(name: str, cause: str) -> Callable[[TestScenarios], None]:
    def test(self: TestScenarios) -> None:
        self.play(name)
    test.__doc__ = cause
    return test


for _name in scenarios.choose(
        os.environ.get('RCA_INTEGRATION', 'smoke').split()):
    setattr(TestScenarios, f'test_{_name}',
            _test(_name, scenarios.library()[_name].cause))
