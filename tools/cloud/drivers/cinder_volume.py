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
"""Volumes that are files: a driver of Cinder that needs no hardware.

``install.py`` copies it to ``cinder/volume/drivers/rca_cloud.py`` of the
services' virtual environment.
"""

import os
import time
from typing import Any

from cinder import exception
from cinder import interface
from cinder.volume import configuration
from cinder.volume import driver
from oslo_config import cfg

OPTIONS = [cfg.StrOpt('cloud_folder', help='Folder of the volumes.'),
           cfg.IntOpt('cloud_capacity', default=200, help='Size in GiB.')]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)

_MIB = 1024 ** 2
_GIB = 1024 ** 3


@interface.volumedriver
class CloudVolumeDriver(driver.VolumeDriver):
    """A sparse file of the right size, of which one MiB is written."""

    VERSION = '1.0.0'
    CI_WIKI_NAME = 'none'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self.folder = self.configuration.safe_get('cloud_folder')

    def _path(self, volume: Any) -> str:
        return str(os.path.join(self.folder, volume['name']))

    def _remove(self, volume: Any) -> None:
        if os.path.exists(self._path(volume)):
            os.unlink(self._path(volume))

    def check_for_setup_error(self) -> None:
        if not os.path.isdir(self.folder):
            raise exception.VolumeBackendAPIException(
                data=f'the folder {self.folder} does not exist')

    def create_volume(self, volume: Any) -> None:
        time.sleep(0.3)
        with open(self._path(volume), 'wb') as file:
            file.write(b'\0' * _MIB)
            file.truncate(volume['size'] * _GIB)

    def delete_volume(self, volume: Any) -> None:
        self._remove(volume)

    def create_snapshot(self, snapshot: Any) -> None:
        with open(self._path(snapshot), 'wb') as file:
            file.write(b'\0' * _MIB)

    def delete_snapshot(self, snapshot: Any) -> None:
        self._remove(snapshot)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        self.create_volume(volume)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        self.create_volume(volume)

    def copy_image_to_volume(self, context: Any, volume: Any,
                             image_service: Any, image_id: Any,
                             disable_sparse: Any = False) -> None:
        with open(self._path(volume), 'r+b') as file:
            image_service.download(context, image_id, file)

    def extend_volume(self, volume: Any, new_size: Any) -> None:
        os.truncate(self._path(volume), new_size * _GIB)

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing is exported: the file is on the host."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        if not os.path.exists(self._path(volume)):
            raise exception.VolumeBackendAPIException(
                data=f'the file of {volume["name"]} is missing')

    def remove_export(self, context: Any, volume: Any) -> None:
        """Nothing is exported."""

    def initialize_connection(self, volume: Any, connector: Any, **kwargs: Any
                              ) -> dict[str, Any]:
        return {'driver_volume_type': 'local',
                'data': {'device_path': self._path(volume)}}

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any
                             ) -> None:
        """Nothing was connected."""

    def _update_volume_stats(self) -> None:
        used = sum(os.path.getsize(os.path.join(self.folder, name))
                   for name in os.listdir(self.folder)) // _GIB
        capacity = self.configuration.cloud_capacity
        self._stats = {
            'volume_backend_name':
                self.configuration.safe_get('volume_backend_name'),
            'vendor_name': 'openstack-rca', 'driver_version': self.VERSION,
            'storage_protocol': 'local', 'total_capacity_gb': capacity,
            'free_capacity_gb': max(0, capacity - used),
            'reserved_percentage': 0, 'provisioned_capacity_gb': used,
            'thin_provisioning_support': False,
            'thick_provisioning_support': True, 'multiattach': False}
