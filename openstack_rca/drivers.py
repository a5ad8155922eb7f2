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
"""Drivers by their names."""

from importlib import metadata
from typing import Any

from stevedore import driver
from stevedore import exception as driver_exceptions
from stevedore import extension

from openstack_rca import exception


def check(namespace: str, names: list[str]) -> None:
    """Make sure that there are drivers, and import none of them.

    :param namespace: entry point namespace
    :param names: what has to be there
    :raises DriverNotFound: there is none of a name
    """
    known = {point.name for point in metadata.entry_points(group=namespace)}
    for name in names:
        if name not in known:
            raise exception.DriverNotFound(
                name=name, namespace=namespace,
                known=', '.join(sorted(known)) or 'none; is the package '
                'installed?')


def load(namespace: str, name: str) -> Any:
    """The class of a driver.

    :param namespace: entry point namespace, such as ``openstack_rca.stores``
    :param name: name of the driver
    :raises DriverNotFound: there is none of that name
    """
    try:
        return driver.DriverManager(namespace, name).driver
    except driver_exceptions.NoMatches as error:
        known = extension.ExtensionManager(namespace).names()
        raise exception.DriverNotFound(
            name=name, namespace=namespace,
            known=', '.join(sorted(known)) or 'none; is the package '
            'installed?') from error
