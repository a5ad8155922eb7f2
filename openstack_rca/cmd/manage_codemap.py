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
"""``openstack-rca-manage codemap``: what services log, and where."""

import argparse
from collections.abc import Iterator
import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.analysis import codemap
    from openstack_rca.analysis import codesource

#: Files that could not be read that are named.
_SHOWN = 10
_MOST_RELEASE = 64


def build(conf: cfg.ConfigOpts) -> int:
    """Make the maps of services from their source.

    :param conf: the parsed command line
    :returns: 0, or 1 where a good part of the source could not be read
    :raises RCAException: there is no source, or a map cannot be written
    """
    from openstack_rca.analysis import codemap
    args = conf.command
    if not args.package and not args.source:
        raise exception.InvalidInput(
            reason='Name what to read: --package NAME of what is installed, '
                   'or --source PATH.')
    target = pathlib.Path(args.output)
    if len(args.package) + len(args.source) > 1 and not target.is_dir():
        raise exception.InvalidInput(
            reason=f'{target} is no folder, which --output has to be for '
                   'several maps.')
    status = 0
    for package in _packages(args):
        place = target / f'{package.name}{codemap.SUFFIX}' \
            if target.is_dir() else target
        size = codemap.save(codemap.build(package), place)
        _say(f'{_told(codemap.load(place))}, {size} bytes in {place}')
        for path, reason in package.skipped[:_SHOWN]:
            _say(f'  left out {path}: {reason}')
        if len(package.skipped) > _SHOWN:
            _say(f'  left out {len(package.skipped) - _SHOWN} more')
        if len(package.skipped) * 10 > len(package.modules):
            print('More than a tenth of the files could not be read. Is this '
                  'the source of another version of Python?',
                  file=sys.stderr)
            status = 1
    return status


def _packages(args: argparse.Namespace) -> Iterator['codesource.Package']:
    """What was named, read one by one."""
    from openstack_rca.analysis import codesource
    for name in args.package:
        yield _released(codesource.installed(name, args.path), args.release)
    for path in args.source:
        yield _released(codesource.given(pathlib.Path(path),
                                         args.release or ''), args.release)


def _released(package: 'codesource.Package',
              release: str | None) -> 'codesource.Package':
    """A package with its version, which a map has to tell."""
    release = release or package.release
    if not release or len(release) > _MOST_RELEASE \
            or not release.isprintable():
        raise exception.InvalidInput(
            reason=f'The source of {package.name} does not say its version. '
                   'Give it with --release.')
    return dataclasses.replace(package, release=release)


def show(conf: cfg.ConfigOpts) -> int:
    """Print what maps hold.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: a file is no map
    """
    from openstack_rca.analysis import codemap
    files = [pathlib.Path(f) for f in conf.command.files] \
        or sorted(codemap.SHIPPED.glob(f'*{codemap.SUFFIX}'))
    for file in files:
        _say(_told(codemap.load(file)))
    return 0


def _told(found: 'codemap.CodeMap') -> str:
    """One line on a map."""
    counts = found.counts()
    skipped = f', {counts["skipped"]} files left out' \
        if counts['skipped'] else ''
    return (f'{found.package} {found.release}: {counts["files"]} files, '
            f'{counts["functions"]} functions, {counts["logs"]} log '
            f'statements, {counts["raises"]} raises, {counts["calls"]} calls'
            f'{skipped}')


def _say(line: str) -> None:
    from openstack_rca.osc import text
    print(text.visible(line))


def add_parsers(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]'
        ) -> None:
    """Add the commands and their options.

    :param subparsers: where argparse keeps commands
    """
    group = subparsers.add_parser(
        'codemap', help='Read the source of services: what they log, where.',
        description='A code map tells from which function of a service a '
                    'message comes, and what that function calls. Maps of '
                    'OpenStack 2026.2 come with the package; for another '
                    'release, build them and name their folder in '
                    '[analysis] codemaps.'
    ).add_subparsers(dest='codemap_command', required=True)
    parser = group.add_parser(
        'build', help='Make maps from source, which is never run.',
        description='Read the Python source of services. Nothing is imported '
                    'or run; tests are left out. The same source always '
                    'gives the same file.')
    parser.add_argument(
        '--package', metavar='NAME', action='append', default=[],
        help='An installed package, such as nova (repeat for several)')
    parser.add_argument(
        '--path', metavar='DIR',
        help='The site-packages that --package is in, default: those of '
             'this program')
    parser.add_argument(
        '--source', metavar='PATH', action='append', default=[],
        help='Source: a folder, or a tar, zip or wheel file (repeat for '
             'several)')
    parser.add_argument(
        '--release', metavar='VERSION',
        help='Version of the source, default: what its metadata says')
    parser.add_argument(
        '--output', metavar='FILE', required=True,
        help='Where the map goes: a file, or a folder that gets '
             'NAME.codemap.gz')
    parser.set_defaults(func=build)
    parser = group.add_parser(
        'show', help='Print what maps hold.')
    parser.add_argument(
        'files', metavar='FILE', nargs='*',
        help='Maps, default: those that come with the package')
    parser.set_defaults(func=show)
