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
"""The message bus.

Engines are nudged over it: what is to be done stands in the database, so that
a bus which is not there, or loses messages, costs a second and nothing else.
What happens is told to others over it, see
:mod:`openstack_rca.engine.publisher`.
"""

from oslo_config import cfg
import oslo_messaging as messaging
from oslo_messaging import opts

from openstack_rca import conf
from openstack_rca import exception

TOPIC = 'openstack-rca-engine'
EXCHANGE = 'openstack-rca'
VERSION = '1.0'

# The errors of oslo.messaging can hold the URL with its password.
_WRONG = ('[DEFAULT] transport_url names no message bus that can be used. It '
          'looks like rabbit://user:password@host:5672/.')

_NOTIFIER = 'oslo_messaging_notifications'

messaging.set_transport_defaults(control_exchange=EXCHANGE)


def configured() -> bool:
    """Whether the operator named a message bus.

    oslo.messaging's own default is a RabbitMQ on this host, which nobody
    may have.

    :raises InvalidInput: what is named is no URL of a message bus
    """
    try:
        # Registers the option, too.
        messaging.TransportURL.parse(conf.CONF)
    except (messaging.InvalidTransportURL, ValueError) as error:
        if not conf.CONF.transport_url:
            return False
        raise exception.InvalidInput(reason=_WRONG) from error
    where = conf.CONF.get_location('transport_url')
    return bool(conf.CONF.transport_url and where is not None
                and where.location not in (cfg.Locations.opt_default,
                                           cfg.Locations.set_default))


def transport() -> messaging.Transport:
    """A connection to the message bus.

    :raises InvalidInput: the configuration names none that there is
    """
    try:
        return messaging.get_rpc_transport(conf.CONF)
    except (messaging.DriverLoadFailure, messaging.InvalidTransportURL,
            ValueError) as error:
        raise exception.InvalidInput(reason=_WRONG) from error


def notifies() -> bool:
    """Whether the operator wants notifications, and named a bus for them.

    :raises InvalidInput: the bus that is named is none
    """
    for group, options in opts.list_opts():
        if group == _NOTIFIER:
            # As oslo.messaging does, once there is a notifier.
            conf.CONF.register_opts(options, group=group)
    told = conf.CONF[_NOTIFIER]
    return bool(set(told.driver) - {'', 'noop'}
                and (told.transport_url or configured()))


def notification_transport() -> messaging.Transport:
    """A connection to the message bus that notifications go to.

    :raises InvalidInput: the configuration names none that there is
    """
    try:
        return messaging.get_notification_transport(conf.CONF)
    except (messaging.DriverLoadFailure, messaging.InvalidTransportURL,
            ValueError) as error:
        raise exception.InvalidInput(
            reason='[oslo_messaging_notifications] transport_url names no '
            'message bus that can be used. It looks like '
            'rabbit://user:password@host:5672/.') from error


def target(server: str | None = None) -> messaging.Target:
    """Where nudges go.

    :param server: name of one engine, for that engine itself
    """
    return messaging.Target(topic=TOPIC, version=VERSION, server=server)
