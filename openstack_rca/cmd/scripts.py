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
"""The console scripts of the service, which need more than the base package.

With the base package alone they say what is missing, as all commands do.
"""

import importlib
import sys


def _main(module: str) -> int:
    """Run the ``main`` of a module.

    :param module: its name
    :returns: the exit status
    """
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or '').partition('.')[0]
        if missing in ('', 'openstack_rca'):
            raise
        print(f'{missing} is not installed. Install openstack_rca[engine].',
              file=sys.stderr)
        return 1
    return int(found.main())


def engine() -> int:
    """Run ``openstack-rca-engine``."""
    return _main('openstack_rca.cmd.engine')


def status() -> int:
    """Run ``openstack-rca-status``."""
    return _main('openstack_rca.cmd.status')
