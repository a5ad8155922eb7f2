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

import pymysql

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


class RabbitMQStopped(base.Stopped):
    name = 'rabbitmq_stopped'
    cause = ('RabbitMQ was stopped: connections are refused, calls between '
             'services time out, heartbeats stop')
    truths = (base.Truth(
        ('rabbitmq',), ('messaging', 'process_down', 'connectivity'),
        ('nova', 'neutron', 'cinder', 'rabbitmq', 'keystone', 'glance')),)
    parts = ('rabbitmq',)
    lasts = 60.0


class MemcachedStopped(base.Stopped):
    """No log has a word of it, and no request fails: no incident is right."""

    name = 'memcached_stopped'
    cause = ('memcached was stopped: the caches of tokens are gone; APIs are '
             'slower, and nobody says so')
    parts = ('memcached',)
    lasts = 60.0
