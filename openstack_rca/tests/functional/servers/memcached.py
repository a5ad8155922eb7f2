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
"""A real memcached, where keystonemiddleware keeps what it learned."""

import os

from openstack_rca.tests.functional.servers import base


class Memcached(base.Server):
    """memcached; ``url`` is what ``memcached_servers`` wants."""

    TITLE = 'memcached'
    PACKAGE = 'memcached'

    @classmethod
    def missing(cls) -> str | None:
        return cls._missing_package(base.find_program('memcached'))

    @property
    def url(self) -> str:
        return f'127.0.0.1:{self.port}'

    def _prepare(self) -> None:
        """It keeps nothing."""

    def _command(self) -> list[str]:
        program = base.find_program('memcached')
        assert program is not None
        # It refuses root, and takes another user itself.
        return [program, '-l', '127.0.0.1', '-p', str(self.port), '-U', '0',
                *(['-u', 'nobody'] if os.geteuid() == 0 else [])]

    def _ready(self) -> bool:
        return self._answer(8, b'version\r\n') == b'VERSION '
