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
"""The schema of the database: which version it has, and how to change it."""

import pathlib

from alembic import command
from alembic import config as alembic_config
from alembic import migration as alembic_migration
from alembic import script as alembic_script
import sqlalchemy as sa

from openstack_rca import exception
from openstack_rca.db import session


def _config() -> alembic_config.Config:
    folder = pathlib.Path(__file__).parent / 'alembic'
    config = alembic_config.Config()
    config.set_main_option('script_location', str(folder))
    return config


@session.guarded
def version() -> str | None:
    """The version that the database has; None without any table of ours."""
    with session.reader() as connection:
        found: str | None = alembic_migration.MigrationContext.configure(
            connection).get_current_revision()
        return found


def head() -> str:
    """The version that this release works with."""
    found = alembic_script.ScriptDirectory.from_config(
        _config()).get_current_head()
    assert found is not None
    return found


@session.guarded
def sync(to: str | None = None) -> None:
    """Bring the schema up to a version, with the rows that there are.

    :param to: the version, the newest where None
    :raises InvalidInput: there is no such version
    """
    scripts = alembic_script.ScriptDirectory.from_config(_config())
    known = [s.revision for s in scripts.walk_revisions()]
    if to is not None and to not in known:
        raise exception.InvalidInput(
            reason=f"There is no version '{to}'. Known: "
                   f"{', '.join(reversed(known))}.")
    now = version()
    if now is not None and now not in known:
        raise exception.InvalidInput(
            reason=f"The database has version '{now}', which this release "
                   'does not know: a newer release has changed it. Install '
                   'that release.')
    config = _config()
    if session.engine().dialect.name == 'sqlite':
        # Readers and a writer do not wait for each other then. The setting
        # stays with the file.
        with session.engine().connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute('PRAGMA journal_mode = WAL')
    with session.engine().connect() as connection:
        config.attributes['connection'] = connection
        command.upgrade(config, to or 'head')
        connection.commit()


def compare() -> list[object]:
    """How the tables of the database differ from those of this release.

    :returns: differences as alembic finds them, none where they are equal
    """
    from alembic import autogenerate

    from openstack_rca.db import models
    with session.engine().connect() as connection:
        context = alembic_migration.MigrationContext.configure(
            connection, opts={'compare_type': True})
        return list(autogenerate.compare_metadata(context, models.METADATA))


def tables() -> list[str]:
    """Names of the tables in the database."""
    return sa.inspect(session.engine()).get_table_names()
