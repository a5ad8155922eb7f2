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
"""Models in folders: safetensors for the weights, JSON for the rest.

::

    DETECTOR/VERSION/weights.safetensors
    DETECTOR/VERSION/model.json
    DETECTOR/.new-RANDOM/      being written
    DETECTOR/.old-RANDOM/      being deleted

A version is written aside and renamed: it is there as a whole or not at all.
What is read is bounded, and checked by the checksums before anything looks
into it. Nothing that a file holds is ever executed.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import stat
import tempfile
import time
from typing import Any
from typing import TYPE_CHECKING

from oslo_log import log as logging

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca.models import base

if TYPE_CHECKING:
    import numpy as np

LOG = logging.getLogger(__name__)

WEIGHTS = 'weights.safetensors'
DESCRIPTION = 'model.json'

#: Bytes of a description.
_MOST = 16 << 20
#: Seconds after which what was being written is left behind by somebody
#: that died.
_LEFT = 24 * 3600
#: Whose versions a description tells.
_LIBRARIES = ('openstack_rca', 'numpy', 'safetensors', 'polars', 'torch')

#: Models that come with the package.
_SHIPPED = pathlib.Path(__file__).parent / 'data'

_KIND: dict[str, type[Any]] = {
    'detector': str, 'version': str, 'created_at': str, 'trained_on': dict,
    'settings': dict, 'metrics': dict, 'thresholds': dict, 'state': dict,
    'reference': dict, 'libraries': dict}

_AGAIN = ("Delete it with 'openstack rca model delete', and train or import "
          'it again.')


class FilesystemStore(base.Store):
    """Models below ``[models] directory``, and those of the package.

    :param root: another folder
    :param shipped: another folder of models that cannot be changed
    """

    def __init__(self, root: pathlib.Path | None = None,
                 shipped: pathlib.Path | None = None) -> None:
        self._root = root or pathlib.Path(conf.CONF.models.directory)
        self._shipped = shipped or _SHIPPED

    @classmethod
    def of_package(cls) -> 'FilesystemStore':
        """The models that came with the package, and no others."""
        return cls(_SHIPPED, _SHIPPED)

    def names(self) -> list[tuple[str, str, str]]:
        """What is there, see the abstract class."""
        found = {}
        for root, origin in ((self._root, base.KEPT),
                             (self._shipped, base.SHIPPED)):
            for detector in _folders(root):
                for version in _folders(root / detector):
                    with contextlib.suppress(exception.ModelError):
                        base.check_names(detector, version)
                        found[detector, version] = origin
        return sorted((*name, origin) for name, origin in found.items())

    def _where(self, detector: str, version: str) -> tuple[
            pathlib.Path, str]:
        """The folder of a model, and its origin."""
        base.check_names(detector, version)
        # What came with the package cannot be replaced by what lies below
        # the folder of the configuration.
        for root, origin in ((self._shipped, base.SHIPPED),
                             (self._root, base.KEPT)):
            folder = root / detector / version
            if os.path.lexists(folder):
                return folder, origin
        raise exception.ModelError(
            f'There is no model {detector}/{version} in {self._root} on '
            f"{conf.CONF.host}. 'openstack-rca-manage model list' shows "
            "those that are there; 'openstack-rca-manage model import' "
            'brings one from another engine.')

    def describe(self, detector: str, version: str) -> base.Description:
        """What a model says of itself, see the abstract class."""
        folder, origin = self._where(detector, version)
        return _described(folder, origin, detector, version)[0]

    def load(self, detector: str, version: str) -> tuple[
            base.Description, 'dict[str, np.ndarray]']:
        """A model with its weights, see the abstract class."""
        folder, origin = self._where(detector, version)
        return _loaded(folder, origin, detector, version)

    def save(self, draft: base.Draft,
             arrays: 'Mapping[str, np.ndarray]') -> base.Description:
        """Keep a model, see the abstract class."""
        base.check_names(draft.detector)
        data = _packed(draft.detector, arrays)
        digest = hashlib.sha256(data).hexdigest()
        now = datetime.datetime.now(datetime.UTC)
        description = base.Description(
            **{field.name: getattr(draft, field.name)
               for field in dataclasses.fields(base.Draft)},
            version=f'{now:%Y%m%dT%H%M%SZ}-{digest[:8]}',
            created_at=now.isoformat(timespec='seconds'),
            libraries=_libraries(), sha256=digest, bytes=len(data))
        return self._write(description, data, arrays)

    def add(self, description: base.Description,
            arrays: 'Mapping[str, np.ndarray]') -> base.Description:
        """Keep a model of another store, see the abstract class."""
        base.check_names(description.detector, description.version)
        data = _packed(description.name, arrays)
        description = dataclasses.replace(
            description, origin=base.KEPT, bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest())
        return self._write(description, data, arrays)

    def _write(self, description: base.Description, data: bytes,
               arrays: 'Mapping[str, np.ndarray]') -> base.Description:
        name = description.name
        target = self._root / description.detector / description.version
        if os.path.lexists(target) or os.path.lexists(
                self._shipped / description.detector / description.version):
            raise exception.ModelError(f'There is a model {name} already.')
        told = json.dumps(_document(description, arrays), sort_keys=True,
                          indent=1).encode()
        if len(told) > _MOST:
            raise exception.ModelError(
                name=name, reason=f'its description has {len(told)} bytes; '
                f'{_MOST} are allowed.')
        try:
            for folder in (self._root, target.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._clean(target.parent)
            # Made with mode 0700.
            aside = pathlib.Path(tempfile.mkdtemp(prefix='.new-',
                                                  dir=target.parent))
            try:
                _put(aside / WEIGHTS, data)
                _put(aside / DESCRIPTION, told)
                _sync(aside)
                aside.rename(target)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            _sync(target.parent)
        except OSError as error:
            raise exception.ModelError(
                f'The model {name} cannot be written to {self._root}: '
                f'{error.strerror or error}. [models] directory has to be a '
                'folder of the user that runs openstack-rca-engine, on a '
                'disk with room.') from error
        return description

    def delete(self, detector: str, version: str) -> None:
        """Delete a model, see the abstract class."""
        folder, origin = self._where(detector, version)
        if origin == base.SHIPPED:
            raise exception.ModelError(
                f'The model {detector}/{version} came with the package, and '
                'goes with it.')
        try:
            aside = pathlib.Path(tempfile.mkdtemp(prefix='.old-',
                                                  dir=folder.parent))
            folder.rename(aside / version)
            _sync(folder.parent)
            shutil.rmtree(aside)
        except OSError as error:
            raise exception.ModelError(
                f'The model {detector}/{version} cannot be deleted from '
                f'{self._root}: {error.strerror or error}.') from error

    @staticmethod
    def _clean(folder: pathlib.Path) -> None:
        """Delete what was left behind when somebody died."""
        for path in folder.iterdir():
            if path.name.startswith(('.new-', '.old-')) and (
                    path.lstat().st_mtime < time.time() - _LEFT):
                shutil.rmtree(path, ignore_errors=True)


def read(folder: pathlib.Path) -> tuple[
        base.Description, 'dict[str, np.ndarray]']:
    """A model in any folder, such as one of another engine's store.

    :param folder: with both files
    :returns: its description, and arrays by name
    :raises ModelError: it is none, or cannot be used
    """
    return _loaded(folder, base.KEPT)


def _folders(root: pathlib.Path) -> list[str]:
    """Names of the folders in a folder, where there is one."""
    try:
        with os.scandir(root) as entries:
            return [entry.name for entry in entries
                    if entry.is_dir() and not entry.name.startswith('.')]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise exception.ModelError(
            f'The models in {root} cannot be read: '
            f'{error.strerror or error}.') from error


# Writing


def _packed(name: str, arrays: 'Mapping[str, np.ndarray]') -> bytes:
    """Arrays as a file holds them."""
    import numpy as np
    import safetensors.numpy
    try:
        data: bytes = safetensors.numpy.save(
            # A view of another array would be written with its bytes in a
            # wrong order.
            {key: np.ascontiguousarray(arrays[key])
             for key in sorted(arrays)})
    except (safetensors.SafetensorError, KeyError, TypeError,
            ValueError) as error:
        raise exception.ModelError(
            name=name, reason='its arrays cannot be written as '
            f'safetensors: {error}') from error
    if len(data) > conf.CONF.models.max_bytes:
        raise exception.ModelError(
            name=name, reason=f'its weights have {len(data)} bytes; [models] '
            f'max_bytes is {conf.CONF.models.max_bytes}.')
    return data


def _libraries() -> dict[str, str]:
    found = {'python': platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _document(description: base.Description,
              arrays: 'Mapping[str, np.ndarray]') -> dict[str, Any]:
    """A description as a file holds it."""
    document = {
        'format': base.FORMAT,
        **{name: getattr(description, name) for name in _KIND},
        'weights': {
            'sha256': description.sha256, 'bytes': description.bytes,
            'arrays': {name: {'dtype': str(array.dtype),
                              'shape': list(array.shape)}
                       for name, array in arrays.items()}}}
    try:
        return document | {'sha256': _digest(document)}
    except (TypeError, ValueError, RecursionError) as error:
        raise exception.ModelError(
            name=description.name, reason='its description holds what is no '
            f'JSON: {error}') from error


def _digest(document: dict[str, Any]) -> str:
    """The checksum of a description, however it is written down."""
    return hashlib.sha256(json.dumps(
        {key: value for key, value in document.items() if key != 'sha256'},
        sort_keys=True, separators=(',', ':'), allow_nan=False
    ).encode()).hexdigest()


def _put(path: pathlib.Path, data: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(handle, 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: pathlib.Path) -> None:
    """See that the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Reading


@contextlib.contextmanager
def _readable(path: pathlib.Path) -> Iterator[int]:
    """A file that is opened for reading, and is a file."""
    try:
        # A name that is a link, a pipe or a device must not be followed.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise exception.ModelError(
                    f'{path} is not a file: this is no model.')
            yield handle
        finally:
            os.close(handle)
    except OSError as error:
        raise exception.ModelError(
            f'The model cannot be used: {path} cannot be read: '
            f'{error.strerror or error}. {_AGAIN}') from error


def _bytes(path: pathlib.Path, most: int, limit: str) -> bytes:
    with _readable(path) as handle:
        size = os.fstat(handle).st_size
        if size > most:
            raise exception.ModelError(
                f'{path} has {size} bytes; {most} are allowed ({limit}).')
        parts = []
        while part := os.read(handle, min(size + 1, 16 << 20)):
            parts.append(part)
            size -= len(part)
            if size < 0:
                raise exception.ModelError(
                    f'{path} grew while it was read: somebody writes to it.')
    return b''.join(parts)


def _described(folder: pathlib.Path, origin: str,
               detector: str | None = None, version: str | None = None
               ) -> tuple[base.Description, dict[str, Any]]:
    """The description in a folder, and what it says of the arrays."""
    path = folder / DESCRIPTION
    told = _bytes(path, _MOST, 'that is the most of a description')

    def foreign(reason: str) -> exception.ModelError:
        return exception.ModelError(name=str(folder),
                                    reason=f'{path.name} {reason}')

    try:
        document = json.loads(told)
    except (ValueError, RecursionError) as error:
        raise foreign(f'is damaged, or is no JSON. {_AGAIN}') from error
    if not isinstance(document, dict) or 'format' not in document:
        raise foreign('is none of a model of openstack_rca.')
    if document['format'] != base.FORMAT:
        raise foreign(
            f'has the format {ascii(document["format"])[:40]}, and this '
            f'release knows {base.FORMAT}: another release wrote it. Train '
            'it again, or install that release.')
    weights = document.get('weights')
    if not isinstance(weights, dict) or not all(
            isinstance(document.get(name), kind)
            for name, kind in _KIND.items()) or not (
            isinstance(weights.get('sha256'), str)
            and isinstance(weights.get('bytes'), int)
            and isinstance(weights.get('arrays'), dict)):
        raise foreign('does not say all that a model says: something else '
                      'wrote it, or somebody changed it.')
    try:
        digest = _digest(document)
    except ValueError as error:
        raise foreign('holds numbers that JSON has not.') from error
    if document.get('sha256') != digest:
        raise foreign('does not fit its checksum: it is damaged, or '
                      f'somebody changed it. {_AGAIN}')
    base.check_names(document['detector'], document['version'])
    for name, wanted in (('detector', detector), ('version', version)):
        if wanted is not None and document[name] != wanted:
            raise foreign(f'is that of another {name}, {document[name]}: '
                          'somebody moved it.')
    return base.Description(
        **{name: document[name] for name in _KIND},
        sha256=weights['sha256'], bytes=weights['bytes'],
        origin=origin), weights['arrays']


def _loaded(folder: pathlib.Path, origin: str, detector: str | None = None,
            version: str | None = None) -> tuple[
                base.Description, 'dict[str, np.ndarray]']:
    description, wanted = _described(folder, origin, detector, version)
    path = folder / WEIGHTS
    data = _bytes(path, conf.CONF.models.max_bytes, '[models] max_bytes')
    if len(data) != description.bytes:
        raise exception.ModelError(
            name=str(folder), reason=f'{path.name} has {len(data)} bytes and '
            f'should have {description.bytes}: it was cut, or replaced. '
            f'{_AGAIN}')
    if hashlib.sha256(data).hexdigest() != description.sha256:
        raise exception.ModelError(
            name=str(folder), reason=f'{path.name} does not fit its '
            f'checksum: it is damaged, or was replaced. {_AGAIN}')
    import safetensors
    import safetensors.numpy
    try:
        arrays: dict[str, np.ndarray] = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError,
            AttributeError) as error:
        # The checksum holds: it was no safetensors when it was written.
        raise exception.ModelError(
            name=str(folder), reason=f'{path.name} is no file of '
            f'safetensors, or holds numbers of a kind that is not known '
            f'here: {str(error)[:200]}') from error
    found = {name: {'dtype': str(array.dtype), 'shape': list(array.shape)}
             for name, array in arrays.items()}
    if found != wanted:
        odd = sorted(name for name in {*found, *wanted}
                     if found.get(name) != wanted.get(name))
        raise exception.ModelError(
            name=str(folder), reason=f'{path.name} holds other arrays than '
            f'{DESCRIPTION} says: {ascii(", ".join(odd)[:200])}.')
    return description, arrays
