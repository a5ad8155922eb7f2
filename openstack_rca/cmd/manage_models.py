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
"""``openstack-rca-manage model``: the models on this machine."""

import argparse
from collections.abc import Callable
import pathlib
import sys
from typing import TextIO

from oslo_config import cfg

from openstack_rca import exception

Load = Callable[[cfg.ConfigOpts], None]


def list_models(conf: cfg.ConfigOpts) -> int:
    """Print the models of the store, whether they can be used or not.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: the store cannot be read
    """
    from openstack_rca.engine import drivers
    conf.command.load(conf)
    store = drivers.model_store()
    for detector, version, origin in store.names():
        try:
            told = store.describe(detector, version)
            state = f'{told.bytes} bytes'
        except exception.ModelError as error:
            state = str(error)
        _say(f'{detector}/{version}  {origin}  {state}')
    return 0


def verify(conf: cfg.ConfigOpts) -> int:
    """Read models as a whole, with their checksums.

    :param conf: the parsed command line
    :returns: 0, or 1 where one cannot be used
    :raises RCAException: the store cannot be read
    """
    from openstack_rca.engine import drivers
    conf.command.load(conf)
    store = drivers.model_store()
    wanted = [tuple(name.partition('/')[::2])
              for name in conf.command.models] or [
        name[:2] for name in store.names()]
    failed = 0
    for detector, version in wanted:
        try:
            _say(f'{store.verify(detector, version).name}: good')
        except exception.ModelError as error:
            failed += 1
            _say(str(error), sys.stderr)
    return 1 if failed else 0


def import_model(conf: cfg.ConfigOpts) -> int:
    """Copy a model from a folder, such as one of another engine.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: it cannot be used, is there already, or the
        database cannot be used
    """
    from openstack_rca import conf as options
    from openstack_rca.db import models_api
    from openstack_rca.engine import drivers
    from openstack_rca.models import filesystem
    conf.command.load(conf)
    description, arrays = filesystem.read(pathlib.Path(conf.command.folder))
    kept = drivers.model_store().add(description, arrays)
    models_api.models_register(options.CONF.host, [kept.public()])
    _say(f'Imported {kept.name}. "openstack rca model activate {kept.name}" '
         'makes it the active one.')
    return 0


def _say(line: str, stream: TextIO | None = None) -> None:
    from openstack_rca.osc import text
    print(text.visible(line), file=stream or sys.stdout)


def add_parsers(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]',
        load: Load) -> None:
    """Add the commands and their options.

    :param subparsers: where argparse keeps commands
    :param load: reads the configuration of the service
    """
    group = subparsers.add_parser(
        'model', help='List, check and copy the models of this engine.',
        description='Work on the store that [models] names, as the user that '
                    'runs openstack-rca-engine.'
    ).add_subparsers(dest='model_command', required=True)
    parser = group.add_parser(
        'list', help='Print the models that are there.')
    parser.set_defaults(func=list_models, load=load)
    parser = group.add_parser(
        'verify', help='Read models as a whole, with their checksums.')
    parser.add_argument('models', metavar='DETECTOR/VERSION', nargs='*',
                        help='Only these, default: all')
    parser.set_defaults(func=verify, load=load)
    parser = group.add_parser(
        'import', help='Copy a model from another engine.')
    parser.add_argument(
        'folder', metavar='FOLDER',
        help='Holds weights.safetensors and model.json')
    parser.set_defaults(func=import_model, load=load)
