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
"""Options of this project, one module for each group.

Importing this package registers the options and reads nothing: a program
calls :func:`load` once, before it looks at a value.
"""

from oslo_config import cfg
from oslo_log import log as logging

from openstack_rca import exception
from openstack_rca.conf import opts

PROJECT = 'openstack-rca'

# The libraries of oslo register options of theirs there, and read them
# wherever they are told to read ours.
CONF = cfg.CONF


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options of all groups known.

    :param conf: where to register them
    """
    for group, options in opts.GROUPS:
        if group.name == 'DEFAULT':
            conf.register_opts(options)
            continue
        conf.register_group(group)
        conf.register_opts(options, group=group)


def _register_logging() -> None:
    try:
        logging.register_options(CONF)
    except cfg.ArgsAlreadyParsedError:
        # A tool of oslo.policy has read its own command line before it asks
        # for our rules.
        CONF.reset()
        logging.register_options(CONF)


def load(args: list[str] | None = None,
         files: list[str] | None = None) -> cfg.ConfigOpts:
    """Read the configuration files.

    Without ``files``, those of :data:`PROJECT` are read where they exist
    (``~/.openstack-rca/``, ``/etc/openstack-rca/openstack-rca.conf``, and
    the folders ``openstack-rca.conf.d`` beside them); having none is fine.

    :param args: options of a command line, never those of this process
    :param files: configuration files instead of the usual ones
    :returns: :data:`CONF`
    :raises InvalidInput: a file cannot be read, or a value is wrong
    """
    try:
        _register_logging()
        # Without prog, oslo.config also looks for a file with the name of
        # the program that runs, such as /etc/openstack.conf.
        CONF(args or [], project=PROJECT, prog=PROJECT,
             default_config_files=files)
        for group, options in opts.GROUPS:
            for option in options:
                # A wrong value must be told now, by its name, and not in
                # the middle of an analysis.
                if group.name == 'DEFAULT':
                    CONF[option.dest]
                else:
                    CONF[group.name][option.dest]
    except cfg.ConfigFilesNotFoundError as error:
        raise exception.InvalidInput(
            f'The configuration file {", ".join(error.config_files)} cannot '
            f'be read. Check its name and permissions.') from error
    except (cfg.Error, ValueError) as error:
        raise exception.InvalidInput(
            f'The configuration is wrong: {error}') from error
    return CONF


register_opts(CONF)
