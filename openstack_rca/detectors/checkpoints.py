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
"""How far a training came, in a file: safetensors, and JSON beside them."""

from collections.abc import Mapping
import hashlib
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np
from oslo_log import log as logging
import safetensors
import safetensors.numpy

LOG = logging.getLogger(__name__)

_FORMAT = '1'


def identity(told: Mapping[str, Any], *arrays: np.ndarray) -> str:
    """What tells a training from every other one.

    :param told: what JSON can hold
    :param arrays: what is learned from, and from where
    """
    found = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(),
                            digest_size=16)
    for array in arrays:
        found.update(f'{array.dtype} {array.shape}'.encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def write(path: pathlib.Path, name: str, arrays: Mapping[str, np.ndarray],
          told: Mapping[str, Any]) -> bool:
    """Write a file as a whole, or leave what was there.

    A training does not end for want of it: what is wrong is logged.

    :param path: of the file
    :param name: of :func:`identity`
    :param arrays: what is kept
    :param told: what JSON can hold
    :returns: whether it was written
    """
    text = json.dumps(told)
    data: bytes = safetensors.numpy.save(dict(arrays), {
        'format': _FORMAT, 'identity': name, 'told': text,
        'digest': identity({'told': text}, *(
            arrays[key] for key in sorted(arrays)))})
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made with mode 0600.
        handle, aside = tempfile.mkstemp(prefix='.new-', dir=path.parent)
        with open(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        aside = None
    except OSError as error:
        LOG.warning('How far the training came cannot be kept in %s: %s',
                    path, error.strerror or error)
        return False
    finally:
        if aside is not None:
            pathlib.Path(aside).unlink(missing_ok=True)
    return True


def read(path: pathlib.Path,
         name: str) -> tuple[dict[str, np.ndarray], Any] | None:
    """What was written, if it is whole and of the same training.

    :param path: of the file
    :param name: of :func:`identity`
    :returns: what was kept, and what was told with it; None where there is
        nothing to go on from
    """
    try:
        if not path.exists():
            return None
        with safetensors.safe_open(path, 'np') as file:
            beside = file.metadata() or {}
            if (beside['format'], beside['identity']) != (_FORMAT, name):
                LOG.info('What %s holds is of another training, and is '
                         'overwritten.', path)
                return None
            arrays = {key: file.get_tensor(key) for key in file.keys()}
        if beside['digest'] != identity({'told': beside['told']}, *(
                arrays[key] for key in sorted(arrays))):
            raise ValueError('it does not fit its checksum')
        return arrays, json.loads(beside['told'])
    except (OSError, safetensors.SafetensorError, KeyError, TypeError,
            ValueError) as error:
        LOG.warning('What %s holds is damaged, and the training begins '
                    'anew: %s', path, error)
        return None


def remove(path: pathlib.Path) -> None:
    """Delete a file that is not needed any more.

    :param path: of the file
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        LOG.warning('%s cannot be deleted: %s', path,
                    error.strerror or error)
