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
"""Little packages, whose code maps are known."""

from collections.abc import Mapping
import pathlib

from openstack_rca.analysis import codemap
from openstack_rca.analysis import codesource

#: A service that gets a value from its database through two layers.
NOVA = {
    'nova/__init__.py': '',
    'nova/exception.py': '''
class NovaException(Exception):
    msg_fmt = _('An unknown exception occurred.')


class HostNotFound(NovaException):
    msg_fmt = _("Host %(host)s could not be found.")
''',
    'nova/db/__init__.py': 'from nova.db.api import *\n',
    'nova/db/api.py': '''
IMPL = load()


def instance_get(context, uuid):
    return IMPL.instance_get(context, uuid)
''',
    'nova/db/sqlalchemy/__init__.py': '',
    'nova/db/sqlalchemy/api.py': '''
def instance_get(context, uuid):
    result = _query(context, uuid)
    return result


def _query(context, uuid):
    return context.session.query(uuid).first()
''',
    'nova/compute/__init__.py': '''
def API(*args):
    return import_class('api')(*args)
''',
    'nova/compute/api.py': '''
from oslo_log import log as logging

from nova import db
from nova import exception

LOG = logging.getLogger(__name__)


class API:

    def __init__(self):
        self.limit = 1

    def get(self, context, uuid):
        instance = db.instance_get(context, uuid)
        LOG.debug('Fetched instance %s of host %s', uuid, instance.host)
        return instance

    def start(self, context, uuid):
        instance = self.get(context, uuid)
        self._check(context, instance)
        LOG.info(_('Starting instance %(uuid)s now'), {'uuid': uuid})

    def _check(self, context, instance):
        if instance.host is None:
            raise exception.HostNotFound(host='none')
''',
    'nova/manager.py': '''
from nova import compute
from nova.compute import api

LOG = logging.getLogger(__name__)


class Manager(Base):

    def __init__(self):
        self.compute_api = compute.API()

    def run(self, context):
        def inner():
            LOG.exception("Cannot run " + name)
        self.compute_api.start(context, 'u')
        inner()
        msg = 'first %s' if context else 'nothing'
        msg = 'second thing %s' % context
        LOG.warning(msg)
        LOG.error(f'Host {context.host} went away: {context}')
        LOG.log(logging.WARNING, 'Odd {} in {}'.format(1, 2))
        LOG.error(msg='Nothing %d%% done' % 5)
''',
}


def write(folder: pathlib.Path, files: Mapping[str, str | bytes]) -> None:
    """Write the files of a package."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def package(files: Mapping[str, str | bytes] | None = None,
            release: str = '1.0') -> codesource.Package:
    """A package that was read."""
    def reader(text: str | bytes) -> codesource.Read:
        return lambda: text if isinstance(text, bytes) else text.encode()
    return codesource.scan(
        [(name, len(text), reader(text))
         for name, text in (NOVA if files is None else files).items()],
        release=release)


def atlas(folder: pathlib.Path) -> codemap.Atlas:
    """Maps of :data:`NOVA`.

    :param folder: where they are written
    """
    codemap.save(codemap.build(package()), folder / 'nova.codemap.gz')
    return codemap.Atlas(folder)
