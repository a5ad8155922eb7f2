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
"""Faults of the servers below OpenStack: database, bus, cache."""

import contextlib
from typing import Any
from typing import ClassVar

import pymysql

from tools.cloud import infra
from tools.cloud.scenarios import base


class MariaDBStopped(base.Stopped):
    name = 'mariadb_stopped'
    cause = ('MariaDB was stopped: every service fails to connect to its '
             'database (2003, 2013)')
    truths = (base.Truth(
        ('mariadb',), ('database', 'process_down', 'connectivity'),
        ('keystone', 'nova', 'neutron', 'cinder', 'glance', 'placement',
         'mariadb')),)
    parts = ('mariadb',)
    lasts = 50.0


class MariaDBFrozen(base.Frozen):
    name = 'mariadb_frozen'
    cause = ('MariaDB hangs: connections are accepted by the kernel and get '
             'no answer, so that services wait and their callers time out')
    truths = (base.Truth(
        ('mariadb',), ('database', 'hang', 'connectivity'),
        ('keystone', 'nova', 'neutron', 'cinder', 'glance', 'placement',
         'mariadb')),)
    parts = ('mariadb',)
    lasts = 80.0


class RowsLocked(base.Scenario):
    name = 'rows_locked'
    cause = ("somebody's transaction holds locks on all rows of "
             "nova_cell1.instances: Nova's updates wait for them, and calls "
             'that wait for Nova time out')
    truths = (base.Truth(('mariadb',), ('database', 'hang'),
                         ('nova', 'mariadb')),)
    recovers = 'the transaction is rolled back'
    lasts = 110.0

    _connection: Any = None

    def inject(self) -> None:
        where = self.cloud.layout
        self._connection = pymysql.connect(
            host='127.0.0.1', port=where.ports['mariadb'], user='rca',
            password=where.secret, database='nova_cell1')
        with self._connection.cursor() as cursor:
            cursor.execute('BEGIN')
            cursor.execute('SELECT id FROM instances FOR UPDATE')

    def clear(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(pymysql.MySQLError):
                connection.rollback()
            with contextlib.suppress(pymysql.MySQLError):
                connection.close()


class _Variable(base.Scenario):
    """A setting of the server that its administrator changed.

    :cvar change: the statement
    :cvar back: what undoes it
    """

    change: ClassVar[str] = ''
    back: ClassVar[str] = ''
    recovers = 'it is set to what it was'
    _connection: Any = None

    def inject(self) -> None:
        # Through the socket: the services' user may not, and with too many
        # connections one is kept for who may.
        self._connection = pymysql.connect(
            unix_socket=str(self.cloud.layout.run / 'mariadb.socket'),
            user='root')
        with self._connection.cursor() as cursor:
            cursor.execute(self.change)

    def clear(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.closing(connection), \
                    connection.cursor() as cursor:
                cursor.execute(self.back)


class ConnectionsExhausted(_Variable):
    name = 'connections_exhausted'
    cause = ('MariaDB takes ten connections, which the services hold: it '
             'refuses every other one (1040), and what needs one fails')
    truths = (base.Truth(
        ('mariadb',), ('database', 'capacity'),
        ('keystone', 'nova', 'neutron', 'cinder', 'glance', 'placement',
         'mariadb')),)
    change = 'SET GLOBAL max_connections = 10'
    back = f'SET GLOBAL max_connections = {infra.CONNECTIONS}'


class DatabaseReadOnly(_Variable):
    name = 'database_read_only'
    cause = ('MariaDB was made read-only, as after a failover: what is there '
             'can be read, and nothing written (1290)')
    truths = (base.Truth(
        ('mariadb',), ('database', 'configuration'),
        ('keystone', 'nova', 'neutron', 'cinder', 'glance', 'placement',
         'mariadb')),)
    change = 'SET GLOBAL read_only = 1'
    back = 'SET GLOBAL read_only = 0'


class RabbitMQStopped(base.Stopped):
    name = 'rabbitmq_stopped'
    cause = ('RabbitMQ was stopped: connections are refused, calls between '
             'services time out, heartbeats stop')
    truths = (base.Truth(
        ('rabbitmq',), ('messaging', 'process_down', 'connectivity'),
        ('nova', 'neutron', 'cinder', 'rabbitmq', 'keystone', 'glance')),)
    parts = ('rabbitmq',)
    lasts = 60.0


class _Broker(base.Scenario):
    """What the administrator of the message bus tells it."""

    sign = base.Stopped.sign
    lasts = 90.0

    def tell(self, *arguments: str) -> None:
        """Tell it.

        :param arguments: of ``rabbitmqctl``
        """
        broker = self.cloud['rabbitmq']
        assert isinstance(broker, infra.RabbitMQ)
        broker.control(*arguments)


class RabbitMQAlarm(_Broker):
    name = 'rabbitmq_alarm'
    cause = ('RabbitMQ may use less memory than it does: it blocks whoever '
             'sends a message, calls between services time out')
    truths = (base.Truth(
        ('rabbitmq',), ('messaging', 'capacity', 'memory', 'hang'),
        ('nova', 'neutron', 'cinder', 'rabbitmq', 'keystone', 'glance')),)
    recovers = 'it may use as much as before'

    def inject(self) -> None:
        self._limit('1MB')

    def clear(self) -> None:
        self._limit(infra.MEMORY)

    def _limit(self, memory: str) -> None:
        self.tell('set_vm_memory_high_watermark', 'absolute', memory)


class RabbitMQPassword(_Broker):
    name = 'rabbitmq_password'
    cause = ("the services' password for RabbitMQ was changed there and not "
             'in their files: their connections are closed, new ones refused')
    truths = (base.Truth(
        ('rabbitmq',), ('messaging', 'authentication', 'configuration'),
        ('nova', 'neutron', 'cinder', 'rabbitmq', 'keystone', 'glance')),)
    recovers = 'the password is set to what it was'

    def inject(self) -> None:
        self.tell('change_password', infra.USER, 'another-one')
        self.tell('close_all_connections', 'the password was changed')

    def clear(self) -> None:
        self.tell('change_password', infra.USER, self.cloud.layout.secret)


class MemcachedStopped(base.Stopped):
    """No log has a word of it, and no request fails: no incident is right."""

    name = 'memcached_stopped'
    cause = ('memcached was stopped: the caches of tokens are gone; APIs are '
             'slower, and nobody says so')
    parts = ('memcached',)
    lasts = 60.0
