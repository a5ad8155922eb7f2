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
"""Servers that all tests of one process share, since each takes seconds.

They start when the first test asks for them and stop when the process ends.
A test leaves of its own behind what it likes in a database, a virtual host or
rows of its own project; one that stops a server need not start it again: the
next test that asks for it gets it running.
"""

import atexit
import os
from typing import TypeVar

import testtools
from testtools import content

from openstack_rca.tests.functional.servers import base
from openstack_rca.tests.functional.servers import keystone as _keystone
from openstack_rca.tests.functional.servers import mariadb as _mariadb
from openstack_rca.tests.functional.servers import memcached as _memcached
from openstack_rca.tests.functional.servers import postgresql as _postgresql
from openstack_rca.tests.functional.servers import rabbitmq as _rabbitmq
from openstack_rca.tests.functional.servers import wsgi as _wsgi

KINDS: tuple[type[base.Server], ...] = (
    _keystone.Keystone, _mariadb.MariaDB, _memcached.Memcached,
    _postgresql.PostgreSQL, _rabbitmq.RabbitMQ, _wsgi.UWSGI)

_ServerT = TypeVar('_ServerT', bound=base.Server)

_servers: dict[type[base.Server], base.Server] = {}
_broken: dict[type[base.Server], str] = {}


def get(case: testtools.TestCase, kind: type[_ServerT]) -> _ServerT:
    """Give a test the shared server of a kind, running.

    A test whose server is missing is skipped, and fails in CI. The end of
    the server's log is shown with a test that fails.

    :param case: the test
    :param kind: what it needs
    :returns: the server
    """
    base.require(case, kind)
    if kind in _broken:
        # Not three minutes of waiting for each test.
        raise base.ServerError(_broken[kind])
    server = _servers.get(kind)
    if not isinstance(server, kind):
        server = kind()
        try:
            server.setUp()
        except Exception as error:
            _broken[kind] = _reason(error)
            raise base.ServerError(_broken[kind]) from None
        _servers[kind] = server
        atexit.register(_clean_up, server, os.getpid())
    server.start()
    started = server

    def show_log(_error: object) -> None:
        case.addDetail(f'{started.name}.log', content.text_content(
            started.tail()))

    case.addOnException(show_log)
    return server


def _reason(error: Exception) -> str:
    """What went wrong: fixtures wraps it together with clean-up's errors."""
    for wrapped in error.args:
        if isinstance(wrapped, tuple) and isinstance(
                wrapped[1], base.ServerError):
            return str(wrapped[1])
    return f'{type(error).__name__}: {error}'


def _clean_up(server: base.Server, owner: int) -> None:
    # A forked child that ends has them too, and they are not its own.
    if os.getpid() == owner:
        server.cleanUp()


def rabbitmq(case: testtools.TestCase) -> _rabbitmq.RabbitMQ:
    """The shared RabbitMQ."""
    return get(case, _rabbitmq.RabbitMQ)


def mariadb(case: testtools.TestCase) -> _mariadb.MariaDB:
    """The shared MariaDB."""
    return get(case, _mariadb.MariaDB)


def postgresql(case: testtools.TestCase) -> _postgresql.PostgreSQL:
    """The shared PostgreSQL."""
    return get(case, _postgresql.PostgreSQL)


def memcached(case: testtools.TestCase) -> _memcached.Memcached:
    """The shared memcached."""
    return get(case, _memcached.Memcached)


def keystone(case: testtools.TestCase) -> _keystone.Keystone:
    """The shared Keystone."""
    return get(case, _keystone.Keystone)
