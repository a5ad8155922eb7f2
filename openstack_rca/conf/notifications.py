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
"""Options of the notifications that the engine listens to."""

from oslo_config import cfg
from oslo_config import types

GROUP = cfg.OptGroup(
    'notifications',
    title='Notifications',
    help="""
What OpenStack's services publish on the message bus. The engine keeps it as
events of a source that is called ``notifications``, beside the sources of
``[sources] log_dirs``.
""")

OPTIONS = (
    cfg.BoolOpt(
        'enabled',
        sample_default='true where transport_url is set',
        help="""
Whether the engine listens to notifications.

Possible values:

* Not set (default): it does where ``transport_url`` of this group is set.
* ``true``: it does, and without ``transport_url`` on the bus of
  ``[oslo_messaging_notifications]`` or ``[DEFAULT]``.
* ``false``: it does not, and what it kept of them is deleted.

Related options:

* ``transport_url`` of this group
"""),
    cfg.MultiOpt(
        'transport_url',
        item_type=types.String(),
        default=[],
        secret=True,
        help="""
The message bus on which services publish notifications. Give the option
several times for several, such as those of the cells of Nova.

Possible values:

* ``rabbit://USER:PASSWORD@HOST:5672/VIRTUAL_HOST``. What stands behind a ``?``
  overrides options of ``[oslo_messaging_rabbit]`` for this bus alone, such as
  ``?amqp_durable_queues=true``. The queues have to be as durable as those of
  the services.
* ``kafka://HOST:9092/``, which is not tested.

Related options:

* ``[oslo_messaging_notifications] transport_url`` and ``[DEFAULT]
  transport_url`` count where this one is not set and ``enabled`` is true.
"""),
    cfg.ListOpt(
        'exchanges',
        default=['nova', 'neutron', 'cinder', 'glance', 'keystone', 'heat',
                 'ironic', 'openstack'],
        help="""
Exchanges on which services publish: their ``control_exchange``, which is
``openstack`` where a service sets none. Those that are missing are made.
"""),
    cfg.ListOpt(
        'topics',
        default=['notifications', 'versioned_notifications'],
        help="""
Topics under which services publish: their ``[oslo_messaging_notifications]
topics``, and Nova's ``[notifications] versioned_notifications_topics``. All
priorities of them are listened to.

Related options:

* ``pool``, which tells when these have to be topics of this service's own
"""),
    cfg.StrOpt(
        'pool',
        default='openstack_rca',
        max_length=200,
        help="""
Name of a queue of this service's own, so that it takes no message away from
another one. Engines with the same pool share the work; an engine with a pool
of its own gets all notifications.

Possible values:

* A name. With RabbitMQ it is that of a queue, with Kafka that of a consumer
  group.
* Empty: the engine takes messages out of the queues of ``topics``, which have
  to be topics that nobody else listens to.

Related options:

* ``topics``
"""),
    cfg.IntOpt(
        'batch_size',
        default=500,
        min=1,
        max=10000,
        help="""
Notifications that are written at once, at most.
"""),
    cfg.FloatOpt(
        'batch_timeout',
        default=0.5,
        min=0.05,
        max=10.0,
        help="""
Seconds after which they are written, however few there are.
"""),
    cfg.IntOpt(
        'prefetch',
        default=2000,
        min=50,
        max=100000,
        help="""
Notifications that RabbitMQ hands out before the first of them is acknowledged,
which is when it is written. They are held in memory. More than twice
``batch_size`` is of use.
"""),
)
