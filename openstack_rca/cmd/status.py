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
"""openstack-rca-status: whether this release can run on what is here."""

import argparse
import logging
import os
import pathlib
import stat
import sys

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_policy import opts as policy_opts
from oslo_upgradecheck import common_checks
from oslo_upgradecheck import upgradecheck
import sqlalchemy as sa

from openstack_rca import conf
from openstack_rca import exception
from openstack_rca import policy
from openstack_rca.analysis import cloud
from openstack_rca.db import migration
from openstack_rca.osc import text

CONF = conf.CONF

#: Their messages, tracebacks included, repeat what the results tell.
_LIBRARIES = ('oslo_db', 'oslo_policy', 'oslo.policy', 'keystoneauth',
              'openstack')

#: Files and folders of one source that are looked at.
_LOOKED_AT = 10_000

SUCCESS = upgradecheck.Code.SUCCESS
WARNING = upgradecheck.Code.WARNING
FAILURE = upgradecheck.Code.FAILURE


def _unreadable(path: pathlib.Path) -> str | None:
    """What of a source this user cannot read; None where all can be."""
    if not path.exists():
        return f'{path} does not exist'
    if path.is_file():
        return None if os.access(path, os.R_OK) else (
            f'{path} cannot be read')
    if not os.access(path, os.R_OK | os.X_OK):
        return f'{path} cannot be looked into'
    seen = 0
    refused: list[str] = []
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            seen += 1
            place = os.path.join(folder, name)
            wanted = os.R_OK | (os.X_OK if name in folders else 0)
            # A link to nowhere is no log.
            if os.path.exists(place) and not os.access(place, wanted):
                refused.append(place)
        if seen >= _LOOKED_AT:
            break
    if not refused:
        return None
    return (f'{len(refused)} of {seen} files and folders in {path} cannot be '
            f'read, {refused[0]} among them')


class Checks(upgradecheck.UpgradeCommands):
    """What must be right before the services are started."""

    def check_database(self) -> upgradecheck.Result:
        """The tables are those of this release."""
        try:
            url = sa.engine.make_url(CONF.database.connection)
            if (url.get_backend_name() == 'sqlite' and url.database
                    and not os.path.exists(url.database)):
                # Looking would make the file, as whoever looks.
                raise exception.DatabaseUnavailable(
                    reason=f"{url.database} does not exist. Run "
                           "'openstack-rca-manage db sync' as the user of "
                           "the services.")
            found, wanted = migration.version(), migration.head()
        except sa.exc.ArgumentError:
            return upgradecheck.Result(
                FAILURE, '[database] connection is no URL of a database.')
        except exception.RCAException as error:
            return upgradecheck.Result(FAILURE, str(error))
        except db_exc.DBError:
            # What the driver says holds statements and their values.
            return upgradecheck.Result(
                FAILURE, '[database] connection names no database of this '
                         'service, or a damaged one. Restore a backup, or '
                         'name another.')
        if found == wanted:
            return upgradecheck.Result(SUCCESS)
        what = ('The database has no tables of this service' if found is None
                else f"The tables have version '{found}', and this release "
                     f"works with '{wanted}'")
        return upgradecheck.Result(
            FAILURE, f"{what}. Run 'openstack-rca-manage db sync'.")

    def check_policy(self) -> upgradecheck.Result:
        """The policy file can be read, and names rules that there are."""
        policy.reset()
        try:
            enforcer = policy.enforcer()
            sound = enforcer.check_rules()
            unknown = sorted(
                name for name in enforcer.file_rules
                if name.startswith('rca:')
                and name not in enforcer.registered_rules)
        except Exception as error:
            # YAML, oslo.config and oslo.policy each have errors of their
            # own; the operator needs to know what is wrong in the file.
            return upgradecheck.Result(
                FAILURE, f'The policy file cannot be used: {error}')
        finally:
            policy.reset()
        if not sound:
            return upgradecheck.Result(
                FAILURE, 'A rule of the policy file refers to itself or to '
                         'one that does not exist.')
        if unknown:
            return upgradecheck.Result(
                WARNING, 'The policy file has rules that this release does '
                         f'not know: {", ".join(unknown)}.')
        return upgradecheck.Result(SUCCESS)

    def check_sources(self) -> upgradecheck.Result:
        """This user can read what the engine is to read."""
        places = CONF.sources.log_dirs
        if not places:
            return upgradecheck.Result(
                SUCCESS, '[sources] log_dirs is empty: an engine on this '
                         'host reads nothing.')
        wrong = [text.visible(f'{name}: {told}')
                 for name, path in sorted(places.items())
                 if (told := _unreadable(pathlib.Path(path)))]
        if wrong:
            return upgradecheck.Result(
                WARNING, f'{"; ".join(wrong)}. Run this check as the user of '
                         'the engine; the installation guide tells how that '
                         'user gets at logs.')
        return upgradecheck.Result(SUCCESS)

    def check_state(self) -> upgradecheck.Result:
        """What the engine keeps can be read by its user alone."""
        path = pathlib.Path(CONF.state_path)
        try:
            found = path.stat()
        except FileNotFoundError:
            return upgradecheck.Result(
                SUCCESS, f'{path} does not exist; the engine makes it.')
        except OSError as error:
            return upgradecheck.Result(
                WARNING, f'{path}: {error.strerror}. Run this check as the '
                         'user of the engine.')
        if stat.S_IMODE(found.st_mode) & 0o077:
            return upgradecheck.Result(
                WARNING, f'{path} holds the text of logs, and others can '
                         f"look into it. Run 'chmod 0700 {path}'.")
        if not os.access(path, os.W_OK | os.X_OK):
            return upgradecheck.Result(
                WARNING, f'{path} cannot be written to. Run this check as '
                         'the user of the engine.')
        return upgradecheck.Result(SUCCESS)

    def check_cloud(self) -> upgradecheck.Result:
        """The credentials for the cloud are good for its APIs."""
        try:
            asked = cloud.configured()
        except exception.RCAException as error:
            return upgradecheck.Result(FAILURE, str(error))
        if asked is None:
            return upgradecheck.Result(
                SUCCESS, '[cloud] has no auth_type: analyses do not ask the '
                         'cloud.')
        wrong = asked.check()
        if wrong:
            return upgradecheck.Result(
                WARNING, text.visible(f'{"; ".join(wrong)}.'))
        return upgradecheck.Result(SUCCESS)

    _upgrade_checks = (
        ('Database schema', check_database),
        ('Policy file', check_policy),
        ('Policy file JSON to YAML migration',
         (common_checks.check_policy_json, {'conf': CONF})),
        ('Sources', check_sources),
        ('State folder', check_state),
        ('Cloud', check_cloud),
    )


def add_command_parsers(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]'
        ) -> None:
    """Add ``upgrade check``.

    :param subparsers: where argparse keeps commands
    """
    parser = subparsers.add_parser(
        'upgrade', help='Check before the services are started.',
        description='Look at the database, the policy file, the sources and '
                    'the credentials for the cloud. The exit status is 0 '
                    'where all is well, 1 after a warning, 2 after a '
                    'failure.')
    parser.add_argument('check', choices=['check'],
                        help='The only thing to do here')
    parser.add_argument('--json', action='store_true',
                        help='Print the results as JSON')


_COMMAND = cfg.SubCommandOpt(
    'command', title='Commands', handler=add_command_parsers)


def run(argv: list[str]) -> int:
    """Run a command line.

    :param argv: the arguments
    :returns: the exit status: 0, 1 for a warning, 2 for a failure, 255 where
        the configuration cannot be read
    """
    # The options of this process are also those of its tests.
    CONF.clear()
    CONF.register_cli_opt(_COMMAND)
    CONF.register_opts(policy_opts._options,
                       group=policy_opts._option_group)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel('CRITICAL')
    # The library looks there for --json.
    upgradecheck.CONF = CONF
    try:
        conf.load(argv)
        return int(Checks().check())
    except exception.RCAException as error:
        print(text.visible(error, keep='\n'), file=sys.stderr)
        return 255
    except Exception as error:
        if getattr(CONF, 'debug', False):
            raise
        print(text.visible(
            f'This is a bug in openstack_rca: {type(error).__name__}: '
            f'{error}. Run the same command with --debug to see where, and '
            f'report it.'), file=sys.stderr)
        return 255
    finally:
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel('NOTSET')
        upgradecheck.CONF = None
        CONF.clear()
        CONF.unregister_opt(_COMMAND)


def main() -> int:
    """Run the console script."""
    return run(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
