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
"""Install what a cloud needs: OpenStack's services, and the servers."""

import os
import pathlib
import shutil
import subprocess
import sys

from openstack_rca.tests.functional.servers import base
from tools.cloud import infra
from tools.cloud import layout

CONSTRAINTS = pathlib.Path(__file__).resolve().parent / 'constraints.txt'

# The services, then what their configuration here asks for.
_PACKAGES = ('keystone', 'openstack-placement', 'glance', 'nova', 'neutron',
             'cinder', 'PyMySQL', 'python-memcached', 'pymemcache',
             'pyuwsgi')

# The distribution packages, by a program that each of them brings.
_PROGRAMS = {'mariadb-server': 'mariadbd', 'rabbitmq-server':
             'rabbitmq-server', 'memcached': 'memcached',
             'qemu-utils': 'qemu-img'}

_DRIVERS = {'nova_virt.py': 'nova/virt/rca_cloud.py',
            'cinder_volume.py': 'cinder/volume/drivers/rca_cloud.py'}


def install(cloud: layout.Layout) -> None:
    """Install the services; no change when they are there.

    :param cloud: its virtual environment is made; one outside its folder is
        somebody else's and taken as it is
    :raises layout.CloudError: when that fails
    """
    if not cloud.venv.is_relative_to(cloud.folder):
        drivers(cloud)
        return
    built = cloud.venv / 'built'
    wanted = CONSTRAINTS.read_text()
    if not built.exists() or built.read_text() != wanted:
        # An older one goes: pip would not take out what is not needed.
        shutil.rmtree(cloud.venv, ignore_errors=True)
        _run([sys.executable, '-m', 'venv', str(cloud.venv)], cloud)
        _run([str(cloud.venv / 'bin' / 'python'), '-m', 'pip', 'install',
              '--quiet', '--disable-pip-version-check', '-c',
              str(CONSTRAINTS), *_PACKAGES], cloud)
        # Last: without this file it is not used.
        built.write_text(wanted)
    drivers(cloud)


def drivers(cloud: layout.Layout) -> None:
    """Put the drivers where Nova and Cinder look for them.

    :param cloud: into its virtual environment
    :raises layout.CloudError: when the services are not installed
    """
    for source, target in _DRIVERS.items():
        folders = list(cloud.venv.glob('lib/python3*/site-packages'))
        if not folders or not (folders[0] / target).parent.is_dir():
            raise layout.CloudError(
                f'No services of OpenStack are in {cloud.venv}: "python -m '
                'tools.cloud install" puts them there.')
        shutil.copy(pathlib.Path(__file__).parent / 'drivers' / source,
                    folders[0] / target)


def missing() -> list[str]:
    """The distribution packages whose programs are not there."""
    return [package for package, program in _PROGRAMS.items()
            if base.find_program(program, '/usr/libexec') is None]


def packages() -> None:
    """Install the distribution packages that are missing.

    Their servers are not started: the cloud has its own.

    :raises layout.CloudError: when that cannot be done here
    """
    names = missing()
    if not names:
        return
    if os.geteuid() != 0 or shutil.which('apt-get') is None:
        raise layout.CloudError(
            f'These packages are missing: {", ".join(names)}. Install them '
            'as root; the names are those of Debian.')
    policy = pathlib.Path('/usr/sbin/policy-rc.d')
    kept = policy.read_bytes() if policy.exists() else None
    policy.write_text('#!/bin/sh\nexit 101\n')
    policy.chmod(0o755)
    try:
        for words in (['update', '-q'],
                      ['install', '-q', '-y', '--no-install-recommends',
                       *names]):
            if subprocess.run(['apt-get', *words], check=False, env={
                    **os.environ, 'DEBIAN_FRONTEND': 'noninteractive'},
                    stdin=subprocess.DEVNULL).returncode:
                raise layout.CloudError(f'apt-get {words[0]} failed; its '
                                        'words are above.')
    finally:
        if kept is None:
            policy.unlink()
        else:
            policy.write_bytes(kept)


def _run(command: list[str], cloud: layout.Layout) -> None:
    # pip needs the caller's settings: a mirror, a proxy.
    infra.run(command, dict(os.environ), cloud)


def frozen(cloud: layout.Layout) -> str:
    """The exact versions of what is installed, as ``constraints.txt`` wants.

    :param cloud: whose
    :returns: one a line
    :raises layout.CloudError: when nothing is installed
    """
    python = cloud.venv / 'bin' / 'python'
    if not python.exists():
        raise layout.CloudError(
            f'Nothing is installed in {cloud.venv}: "python -m tools.cloud '
            'install" does it.')
    return subprocess.run(
        [str(python), '-m', 'pip', 'freeze', '--disable-pip-version-check'],
        check=True, capture_output=True, text=True).stdout
