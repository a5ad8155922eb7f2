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
"""Faults of Glance and of what it stores."""

import abc
import os
import pathlib
from typing import ClassVar

from tools.cloud.scenarios import base

_MIB = 1024 ** 2


class GlanceStopped(base.Stopped):
    name = 'glance_stopped'
    cause = ('glance-api was stopped: connection refused where servers are '
             'made from images')
    truths = (base.Truth(('glance',), ('process_down', 'connectivity'),
                         ('nova', 'glance', 'cinder')),)
    parts = ('glance-api',)
    lasts = 60.0


class GlanceFrozen(base.Frozen):
    name = 'glance_frozen'
    cause = ('glance-api hangs: who makes a server from an image gets no '
             'answer')
    truths = (base.Truth(('glance',), ('hang', 'process_down'),
                         ('nova', 'nova-api', 'glance', 'cinder')),)
    parts = ('glance-api',)
    lasts = 100.0


class _BadImage(base.Scenario):
    """An image whose file is not what it was."""

    categories: ClassVar[tuple[str, ...]] = ('image', 'data', 'storage')
    recovers = 'the image is deleted'
    lasts = 60.0
    _image = ''

    @abc.abstractmethod
    def spoil(self, file: pathlib.Path) -> None:
        """Do to the file in the store what is wrong with it.

        :param file: of the image
        """

    def inject(self) -> None:
        self._image = self.admin.image.create_image(
            f'{base.PREFIX}image', data=os.urandom(_MIB), disk_format='raw',
            container_format='bare', visibility='public',
            allow_duplicates=True, validate_checksum=False).id
        self.spoil(self.cloud.layout.data / 'glance' / 'images' /
                   self._image)

    def provoke(self) -> None:
        self.boot(image=self._image)

    def clear(self) -> None:
        if self._image:
            self.admin.image.delete_image(self._image, ignore_missing=True)


class ImageDamaged(_BadImage):
    name = 'image_damaged'
    cause = ("an image's file in the store was damaged: its hash is another "
             'one, and no host takes it')
    truths = (base.Truth(('glance',), ('image', 'data', 'storage'),
                         ('nova', 'nova-compute', 'glance')),)

    def spoil(self, file: pathlib.Path) -> None:
        with file.open('r+b') as data:
            data.write(os.urandom(_MIB // 2))


class ImageMissing(_BadImage):
    name = 'image_missing'
    cause = ("an image's file is gone from the store: Glance knows the image "
             'and cannot read it')
    truths = (base.Truth(('glance', 'storage'), ('image', 'data', 'storage'),
                         ('nova', 'nova-compute', 'glance')),)

    def spoil(self, file: pathlib.Path) -> None:
        file.rename(file.with_suffix('.gone'))

    def clear(self) -> None:
        if self._image:
            file = (self.cloud.layout.data / 'glance' / 'images'
                    / f'{self._image}.gone')
            if file.exists():
                file.rename(file.with_suffix(''))
        super().clear()
