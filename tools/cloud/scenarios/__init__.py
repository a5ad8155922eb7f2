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
"""The library of faults: one file a family, one small class a fault.

See :class:`tools.cloud.scenarios.base.Scenario` for what a class needs.
"""

import importlib
import pkgutil

from tools.cloud import layout
from tools.cloud.scenarios import base

# What shows within ten minutes that the whole works; half of that it takes to
# install and start the cloud. An API is gone; rows of a database are locked.
SMOKE = ('glance_stopped', 'rows_locked')


def library() -> dict[str, type[base.Scenario]]:
    """All scenarios by name, those of one file together."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f'{__name__}.{module.name}')
    return dict(base.LIBRARY)


def choose(names: list[str]) -> list[str]:
    """What is meant by the names on a command line.

    :param names: of scenarios, ``smoke``, ``all`` or none, which is all
    :returns: names of scenarios
    :raises layout.CloudError: when there is no such scenario
    """
    known = library()
    chosen: list[str] = []
    for name in names or ['all']:
        if name == 'all':
            chosen += known
        elif name == 'smoke':
            chosen += SMOKE
        elif name in known:
            chosen.append(name)
        else:
            raise layout.CloudError(
                f'There is no scenario {name}; "python -m tools.cloud '
                'scenario list" tells which there are.')
    return chosen
