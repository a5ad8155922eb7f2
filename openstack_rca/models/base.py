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
"""The interface of model stores: where trained models are kept.

A model is *weights* (arrays by name) and a *description* (JSON). A driver is
one class on :class:`Store`, registered in the entry point namespace
``openstack_rca.models``. What a store hands out was checked by it: a model
that is damaged, that something else wrote, or that is not what it says, is
refused with :class:`exception.ModelError`.
"""

import abc
import dataclasses
import re
from typing import Any
from typing import TYPE_CHECKING

from openstack_rca import exception

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

#: Version of the form of a description.
FORMAT = 1

#: Came with the package; nobody can change or delete it.
SHIPPED = 'shipped'
#: Made here, or brought here by an operator.
KEPT = 'kept'

_DETECTOR = re.compile('[a-z][a-z0-9_-]{0,63}')
_VERSION = re.compile(r'[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}')


@dataclasses.dataclass(frozen=True)
class Draft:
    """A model that is to be kept.

    :param detector: name of the driver that made it
    :param trained_on: ``sources``, ``recordings``, ``events``, ``from``,
        ``to``, ``templates`` (how many)
    :param settings: how it was trained
    :param metrics: figures of the held-out part
    :param thresholds: from which score on something is abnormal
    :param state: what the driver needs beside the weights
    :param reference: what its drift is measured by: ``templates`` (ids of
        the templates that it knows, 16 hex digits each) and ``scores`` (see
        :func:`drift.histogram`), either may be missing
    """

    detector: str
    trained_on: dict[str, Any]
    settings: dict[str, Any]
    metrics: dict[str, Any]
    thresholds: dict[str, Any]
    state: dict[str, Any]
    reference: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Description(Draft):
    """A model that is kept.

    :param version: sorts by time: UTC, and the beginning of the checksum of
        the weights
    :param created_at: when it was trained, ISO 8601
    :param libraries: versions of what trained it, by name
    :param sha256: of the weights
    :param bytes: of the weights
    :param origin: :data:`SHIPPED` or :data:`KEPT`; says where it lies and
        is no part of what is written
    """

    version: str = ''
    created_at: str = ''
    libraries: dict[str, str] = dataclasses.field(default_factory=dict)
    sha256: str = ''
    bytes: int = 0
    origin: str = KEPT

    @property
    def name(self) -> str:
        """The detector and the version, for people."""
        return f'{self.detector}/{self.version}'

    def public(self) -> dict[str, Any]:
        """What users of the API see of it: all that is short."""
        return {
            'detector': self.detector, 'version': self.version,
            'trained_at': self.created_at, 'trained_on': self.trained_on,
            'settings': self.settings, 'metrics': self.metrics,
            'thresholds': self.thresholds, 'libraries': self.libraries,
            'sha256': self.sha256, 'bytes': self.bytes,
            'origin': self.origin}


def check_names(detector: str, version: str | None = None) -> None:
    """Make sure that names are names, and no paths.

    :param detector: name of a driver
    :param version: of a model, or None
    :raises ModelError: one is none
    """
    if not _DETECTOR.fullmatch(detector):
        raise exception.ModelError(
            f"{ascii(detector[:80])} is no name of a detector: names have "
            'small letters, digits, dashes and underscores, 64 at most.')
    if version is not None and not _VERSION.fullmatch(version):
        raise exception.ModelError(
            f"{ascii(version[:80])} is no version of a model: versions look "
            "like 20261121T030000Z-1a2b3c4d. 'openstack rca model list' "
            'shows them.')


class Store(abc.ABC):
    """Trained models.

    Names are checked with :func:`check_names` before they become a part of
    any path or key.
    """

    @abc.abstractmethod
    def names(self) -> list[tuple[str, str, str]]:
        """What is there: detector, version and origin, sorted.

        Nothing is opened, and models that cannot be used are there, too.

        :raises ModelError: the store cannot be read
        """

    @abc.abstractmethod
    def describe(self, detector: str, version: str) -> Description:
        """What a model says of itself. The weights are not looked at.

        :raises ModelError: there is none, or it cannot be used
        """

    @abc.abstractmethod
    def load(self, detector: str, version: str) -> tuple[
            Description, 'dict[str, np.ndarray]']:
        """A model with its weights.

        :returns: its description, and arrays by name
        :raises ModelError: there is none, or it cannot be used
        """

    def verify(self, detector: str, version: str) -> Description:
        """Read a model as a whole, and check all that can be checked.

        :raises ModelError: there is none, or it cannot be used
        """
        return self.load(detector, version)[0]

    @abc.abstractmethod
    def save(self, draft: Draft,
             arrays: 'Mapping[str, np.ndarray]') -> Description:
        """Keep a model. It is there as a whole, or not at all.

        :raises ModelError: it cannot be kept
        """

    @abc.abstractmethod
    def add(self, description: Description,
            arrays: 'Mapping[str, np.ndarray]') -> Description:
        """Keep a model of another store, with its version.

        :returns: the same one, as it is kept here
        :raises ModelError: it cannot be kept, or is there already
        """

    @abc.abstractmethod
    def delete(self, detector: str, version: str) -> None:
        """Delete a model. Whether it is active is the caller's concern.

        :raises ModelError: there is none, it came with the package, or it
            cannot be deleted
        """
