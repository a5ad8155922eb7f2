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
"""Servers that only seem to run: a virt driver of Nova.

Nova's own fake driver with what libvirt's does around it: images are fetched
from Glance, checked and converted; interfaces are plugged, and Neutron's
event is waited for; "domains" outlive a restart of nova-compute. It writes
no line of its own but those that libvirt's driver has in the same place.

``install.py`` copies it to ``nova/virt/rca_cloud.py`` of the services'
virtual environment.
"""

import contextlib
import json
import os
import pathlib
import random
import time
from typing import Any

from nova import exception
from nova import utils
import nova.conf
from nova.virt import fake
from nova.virt import images
from nova.virt import node
from oslo_log import log as logging

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class CloudDriver(fake.FakeDriver):
    """Nova's fake driver on three small hosts."""

    vcpus = 16
    memory_mb = 32768
    local_gb = 400

    def init_host(self, host: Any) -> None:
        super().init_host(host)
        self._vifs = os.path.join(os.environ['RCA_CLOUD_VIFS'], host)
        os.makedirs(self._vifs, exist_ok=True)
        self._domains = os.path.join(CONF.instances_path, 'domains.json')
        with contextlib.suppress(OSError, ValueError):
            with open(self._domains) as file:
                for uuid, (name, state) in json.load(file).items():
                    self.instances[uuid] = fake.FakeInstance(name, state,
                                                             uuid)

    def get_nodenames_by_uuid(self, refresh: Any = False) -> dict[str, Any]:
        # The node's identity is in state_path/compute_id; the fake driver's
        # changes with each start.
        return {node.get_local_node_uuid(): CONF.host}

    def get_available_resource(self, nodename: Any) -> dict[str, Any]:
        resources: dict[str, Any] = super().get_available_resource(
            nodename)
        resources['uuid'] = node.get_local_node_uuid()
        return resources

    def get_host_uptime(self) -> str:
        # The fake driver has none, and each question about it is an error.
        seconds = float(pathlib.Path('/proc/uptime').read_text().split()[0])
        return f' up {int(seconds // 86400)} days'

    def _save(self) -> None:
        with contextlib.suppress(OSError):
            with open(f'{self._domains}.new', 'w') as file:
                json.dump({uuid: (domain.name, domain.state) for uuid, domain
                           in list(self.instances.items())}, file)
            os.replace(f'{self._domains}.new', self._domains)

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        for vif in network_info or []:
            if vif['type'] == 'binding_failed':
                raise exception.InternalError(
                    f'Unexpected vif_type={vif["type"]}')
            with open(os.path.join(self._vifs, vif['id']), 'w') as file:
                file.write(instance.uuid)

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        for vif in network_info or []:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._vifs, vif['id']))

    @staticmethod
    def _failed(event_name: Any, instance: Any) -> None:
        LOG.error('Neutron Reported failure on event '
                  '%(event)s for instance %(uuid)s',
                  {'event': event_name, 'uuid': instance.uuid},
                  instance=instance)
        if CONF.vif_plugging_is_fatal:
            raise exception.VirtualInterfaceCreateException()

    @staticmethod
    def _fetch(context: Any, image_meta: Any) -> None:
        if (not image_meta or not image_meta.obj_attr_is_set('id')
                or not image_meta.id):
            return
        cache = os.path.join(CONF.instances_path, '_base')
        os.makedirs(cache, exist_ok=True)
        path = os.path.join(cache, image_meta.id)

        @utils.synchronized(image_meta.id, external=False)
        def fetch() -> None:
            if not os.path.exists(path):
                images.fetch_to_raw(context, image_meta.id, path)
        fetch()

    def spawn(self, context: Any, instance: Any, image_meta: Any,
              injected_files: Any, admin_password: Any, allocations: Any,
              network_info: Any = None, block_device_info: Any = None,
              power_on: Any = True, accel_info: Any = None) -> None:
        self._fetch(context, image_meta)
        timeout = CONF.vif_plugging_timeout
        events = [('network-vif-plugged', vif['id'])
                  for vif in network_info or []
                  if vif.get('active', True) is False]
        try:
            with self.virtapi.wait_for_instance_event(
                    instance, events if timeout else [], timeout=timeout,
                    error_callback=self._failed):
                self.plug_vifs(instance, network_info)
                time.sleep(random.uniform(0.3, 1.5))  # noqa: S311
                super().spawn(
                    context, instance, image_meta, injected_files,
                    admin_password, allocations, network_info=network_info,
                    block_device_info=block_device_info, power_on=power_on,
                    accel_info=accel_info)
        except exception.InstanceEventTimeout:
            if CONF.vif_plugging_is_fatal:
                if instance.uuid in self.instances:
                    super().destroy(context, instance, network_info)
                self.unplug_vifs(instance, network_info)
                raise exception.VirtualInterfaceCreateException() from None
        self._save()

    def destroy(self, context: Any, instance: Any, network_info: Any,
                block_device_info: Any = None, destroy_disks: Any = True,
                destroy_secrets: Any = True) -> None:
        self.unplug_vifs(instance, network_info)
        if instance.uuid in self.instances:
            super().destroy(context, instance, network_info,
                            block_device_info, destroy_disks,
                            destroy_secrets)
        self._save()

    def cleanup(self, context: Any, instance: Any, network_info: Any,
                block_device_info: Any = None, destroy_disks: Any = True,
                migrate_data: Any = None, destroy_vifs: Any = True,
                destroy_secrets: Any = True) -> None:
        self.unplug_vifs(instance, network_info)

    def migrate_disk_and_power_off(self, context: Any, instance: Any,
                                   dest: Any, flavor: Any, network_info: Any,
                                   block_device_info: Any = None,
                                   timeout: Any = 0, retry_interval: Any = 0
                                   ) -> None:
        self.unplug_vifs(instance, network_info)
        time.sleep(random.uniform(0.2, 1.0))  # noqa: S311

    def finish_migration(self, context: Any, migration: Any, instance: Any,
                         disk_info: Any, network_info: Any, image_meta: Any,
                         resize_instance: Any, allocations: Any,
                         block_device_info: Any = None, power_on: Any = True,
                         share_info: Any = None) -> None:
        self.plug_vifs(instance, network_info)
        super().finish_migration(
            context, migration, instance, disk_info, network_info, None,
            resize_instance, allocations, block_device_info, power_on,
            share_info)
        self._save()

    def finish_revert_migration(self, context: Any, instance: Any,
                                network_info: Any, migration: Any,
                                block_device_info: Any = None,
                                power_on: Any = True, share_info: Any = None
                                ) -> None:
        self.plug_vifs(instance, network_info)
        super().finish_revert_migration(
            context, instance, network_info, migration, block_device_info,
            power_on, share_info)
        self._save()

    def power_off(self, instance: Any, timeout: Any = 0,
                  retry_interval: Any = 0) -> None:
        time.sleep(random.uniform(0.1, 0.6))  # noqa: S311
        super().power_off(instance, timeout, retry_interval)
        self._save()

    def power_on(self, *args: Any, **kwargs: Any) -> None:
        super().power_on(*args, **kwargs)
        self._save()
