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
"""Connections to the database, and what their failures mean."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import sqlite3
import threading
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_db import options
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy import exc as sa_exc

from openstack_rca import conf
from openstack_rca import exception

_P = ParamSpec('_P')
_R = TypeVar('_R')

#: Milliseconds that a writer waits for another one on SQLite.
_BUSY = 30_000

_lock = threading.Lock()
_engine: sa.Engine | None = None


def set_defaults() -> None:
    """Change defaults of oslo.db, for programs and for the sample file."""
    options.set_defaults(
        conf.CONF,
        connection='sqlite:///$state_path/openstack-rca.sqlite')


set_defaults()


def engine() -> sa.Engine:
    """The engine of this process, made at the first use.

    Making it connects to nothing: a database that is away is told by the
    statement that needs it, at once, and not after minutes of retries.
    """
    global _engine
    with _lock:
        if _engine is None:
            # A configuration that was read anew has lost it.
            set_defaults()
            manager = enginefacade.transaction_context()
            told = conf.CONF.database
            manager.configure(**{
                name: told[name] for name in (
                    'connection', 'mysql_sql_mode', 'mysql_wsrep_sync_wait',
                    'connection_recycle_time', 'max_pool_size',
                    'max_overflow', 'pool_timeout', 'connection_debug',
                    'connection_parameters')},
                sqlite_fk=True, max_retries=0)
            if str(told.connection).startswith('sqlite'):
                # SQLite has no pool, and oslo.db does not expect that.
                manager.configure(pool_timeout=None)
            made = manager.writer.get_engine()
            if made.dialect.name == 'sqlite':
                event.listen(made, 'connect', _sqlite_connected)
            _engine = made
        return _engine


def dispose() -> None:
    """Close all connections; the next use reads the configuration anew."""
    global _engine
    with _lock:
        if _engine is not None:
            _engine.dispose()
        _engine = None


def _sqlite_connected(connection: sqlite3.Connection, _: Any) -> None:
    connection.execute(f'PRAGMA busy_timeout = {_BUSY}')


@contextlib.contextmanager
def _connected(writes: bool) -> Iterator[sa.Connection]:
    with engine().connect() as connection:
        # SQLite refuses at once to make a writer of a transaction that began
        # by reading while another one wrote. Writers queue up instead.
        queues = writes and connection.dialect.name == 'sqlite'
        if queues:
            # oslo.db begins none then.
            connection.info['in_transaction'] = True
        with connection.begin():
            if queues:
                connection.exec_driver_sql('BEGIN IMMEDIATE')
            yield connection


def reader() -> contextlib.AbstractContextManager[sa.Connection]:
    """A connection in a transaction that only reads."""
    return _connected(False)


def writer() -> contextlib.AbstractContextManager[sa.Connection]:
    """A connection in a transaction that is committed at the end."""
    return _connected(True)


def guarded(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Tries again after a deadlock, and turns failures into ours.

    What a driver says can hold the statement with its values: none of it is
    handed on.

    :param function: whole transactions, which can be done again
    """
    # With a lock lost, the statement before it is gone too: the whole
    # function is done again.
    again = oslo_db_api.wrap_db_retry(
        max_retries=10, retry_interval=0.05, inc_retry_interval=True,
        max_retry_interval=1, retry_on_deadlock=True,
        exception_checker=_overtaken)(function)

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            result: _R = again(*args, **kwargs)
            return result
        except db_exc.DBConnectionError as error:
            raise exception.DatabaseUnavailable(
                reason='it does not answer.') from error
        except (db_exc.DBNonExistentDatabase, db_exc.CantStartEngineError,
                sa_exc.NoSuchModuleError, sa_exc.ArgumentError) as error:
            raise exception.DatabaseUnavailable(
                reason='[database] connection names none that can be '
                'opened.') from error
        except ImportError as error:
            raise exception.DatabaseUnavailable(
                reason='the Python driver that [database] connection names '
                f'is not installed ({error.name}).') from error
        except sa_exc.TimeoutError as error:
            raise exception.DatabaseUnavailable(
                reason='all connections of [database] max_pool_size are in '
                'use.') from error
        except (db_exc.DBError, sa_exc.DBAPIError) as error:
            if _other_tables(error):
                raise exception.DatabaseUnavailable(
                    reason='it has not got the tables of this release. Run '
                    "'openstack-rca-manage db sync'.") from error
            if any(type(e) is sqlite3.DatabaseError for e in _causes(error)):
                raise exception.DatabaseUnavailable(
                    reason='[database] connection names a file that is none '
                    'of a database, or is damaged. Restore a backup, or '
                    'name another one.') from error
            if _away(error):
                raise exception.DatabaseUnavailable(
                    reason='it cannot be opened, or it was stopped.'
                ) from error
            raise
    return call


def _overtaken(error: Exception) -> bool:
    """Whether another one wrote or deleted a row in the same moment."""
    return isinstance(error, (db_exc.DBDuplicateEntry,
                              db_exc.DBReferenceError))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what SQLAlchemy made it of, and what the driver said."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = getattr(seen, 'orig', None) or getattr(
            seen, 'inner_exception', None)
        seen = inner if inner is not seen else None


def _other_tables(error: Exception) -> bool:
    """Whether a table or a column is missing.

    oslo.db tells some of these cases, of some databases.
    """
    for seen in _causes(error):
        if isinstance(seen, db_exc.DBNonExistentTable):
            return True
        if isinstance(seen, sqlite3.Error):
            return 'no such' in str(seen) or 'has no column' in str(seen)
        if code := getattr(seen, 'pgcode', None):
            return code in ('42P01', '42703')
        if not isinstance(seen, (db_exc.DBError, sa_exc.SQLAlchemyError)):
            return bool(seen.args) and seen.args[0] in (1054, 1146)
    return False


def _away(error: Exception) -> bool:
    """Whether an error means that the database is not to be had now."""
    for seen in _causes(error):
        if isinstance(seen, sqlite3.OperationalError):
            return True
        if type(seen).__name__ in ('InterfaceError', 'OperationalError'):
            return True
    return False
