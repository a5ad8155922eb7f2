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
"""A daemon that asks the cloud whose logs it reads."""

from typing import Any

from openstack_rca.tests import standin
from openstack_rca.tests.functional import service_case
from openstack_rca.tests.functional.servers import keystone
from openstack_rca.tests.functional.servers import shared


class TestCloud(service_case.ServiceCase):
    """With a real Keystone, and a stand-in for what its catalog names."""

    def setUp(self) -> None:
        super().setUp()
        self.there = self.useFixture(standin.StandIn())

    def _catalog(self, cloud: keystone.Keystone) -> None:
        """Name the stand-in in the catalog for the time of the test."""
        identity = cloud.identity()
        for name, path in standin.PATHS.items():
            service = identity.create_service(name=name, type=name)
            self.addCleanup(identity.delete_service, service)
            identity.create_endpoint(
                service_id=service.id, interface='internal',
                url=self.there.url + path, region_id=keystone.REGION)

    def _options(self, cloud: keystone.Keystone) -> dict[str, Any]:
        told = cloud.authtoken()
        del told['www_authenticate_uri']
        return told | {'interface': 'internal', 'time_limit': 30}

    def test_what_the_cloud_says_is_evidence(self) -> None:
        cloud = shared.keystone(self)
        self._catalog(cloud)
        made = self.own_service(cloud=self._options(cloud))
        found = self.wait_complete(self.post(
            f'server {standin.SERVER} went to ERROR'))
        [piece] = [e for e in found['evidence'] if e['source']
                   == f'nova:/servers/{standin.SERVER}']
        self.assertEqual(('resource', None, None), (
            piece['kind'], piece['line'], piece['offset']))
        self.assertIn('No valid host was found', piece['text'])
        page = self.rca('analysis', 'show', found['id'])
        self.assertIn(f'nova:/servers/{standin.SERVER}', page)
        self.assertEqual({'GET'}, {m for m, _ in self.there.asked})
        # The next one is answered from what the worker keeps.
        before = len(self.there.asked)
        self.wait_complete(self.post(
            f'server {standin.SERVER} went to ERROR'))
        self.assertEqual(before, len(self.there.asked))
        self.no_traceback(made.said())

    def test_password_that_is_wrong(self) -> None:
        cloud = shared.keystone(self)
        made = self.own_service(cloud={
            **self._options(cloud), 'password': 'sesame-open'})
        found = self.wait_complete(self.post())
        [told] = [s for s in found['skipped']
                  if s['source'].startswith('keystone:')]
        self.assertIn('refused (401)', told['reason'])
        self.assertNotIn('sesame-open', str(found) + made.said())
        self.no_traceback(made.said())

    def test_cloud_that_is_gone(self) -> None:
        cloud = shared.keystone(self)
        self._catalog(cloud)
        self.there.stop()
        made = self.own_service(cloud=self._options(cloud))
        found = self.wait_complete(self.post(
            f'server {standin.SERVER} went to ERROR'))
        self.assertIn('nova', {s['source'].partition(':')[0]
                               for s in found['skipped']})
        self.no_traceback(made.said())
