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
"""A real OpenStack on one machine, its load, its faults and their checks.

    python -m tools.cloud [--folder DIR] [--venv DIR] COMMAND ...
"""

import argparse
import logging
import pathlib
import signal
import sys
import time

from tools.cloud import bootstrap
from tools.cloud import check
from tools.cloud import cloud as clouds
from tools.cloud import install
from tools.cloud import layout
from tools.cloud import load
from tools.cloud import player
from tools.cloud import product
from tools.cloud import scenarios

LOG = logging.getLogger('tools.cloud')


def _install(arguments: argparse.Namespace, where: layout.Layout) -> int:
    if arguments.packages:
        install.packages()
    install.install(where)
    absent = install.missing()
    if absent:
        LOG.warning('Still missing: the packages %s', ', '.join(absent))
    return 1 if absent else 0


def _constraints(_: argparse.Namespace, where: layout.Layout) -> int:
    print(install.frozen(where), end='')
    return 0


def _up(arguments: argparse.Namespace, where: layout.Layout) -> int:
    install.install(where)
    clouds.Cloud(where).up(arguments.debug)
    return 0


def _down(_: argparse.Namespace, where: layout.Layout) -> int:
    product.Product(where).down()
    clouds.Cloud(where).down()
    return 0


def _rca(arguments: argparse.Namespace, where: layout.Layout) -> int:
    getattr(product.Product(where), arguments.what)()
    return 0


def _status(_: argparse.Namespace, where: layout.Layout) -> int:
    down = 0
    for name, one in clouds.Cloud(where).units.items():
        pid = one.process.pid
        down += pid is None
        port = where.ports.get(name, '')
        print(f'{name:28} {pid or "-":>8} {port:>6} '
              f'{one.process.memory() >> 20:>6} MiB')
    return 1 if down else 0


def _parts(arguments: argparse.Namespace, where: layout.Layout) -> int:
    for name in arguments.names:
        one = clouds.Cloud(where)[name]
        getattr(one, arguments.command)()
    return 0


def _load(arguments: argparse.Namespace, where: layout.Layout) -> int:
    if not arguments.clean:
        load.Load(where, arguments.output, arguments.rate,
                  arguments.seed).run(arguments.seconds)
    load.clean(where)
    return 0


def _record(arguments: argparse.Namespace, where: layout.Layout) -> int:
    cloud = clouds.Cloud(where)
    cloud.wait_healthy()
    names = scenarios.choose(arguments.scenarios)
    known = scenarios.library()
    operations = where.folder / 'ops.jsonl'
    with where.claim():
        working = load.Load(where, operations, arguments.rate, arguments.seed)
        working.start()
        try:
            play = player.Player(cloud, operations, arguments.output)
            for number, name in enumerate(names):
                folder = (f'{name}-{arguments.seed + number}')
                play.play(known[name], folder, seed=arguments.seed + number,
                          before=arguments.before, lasts=arguments.lasts,
                          after=arguments.after)
                print(arguments.output / folder, flush=True)
                play.tidy()
        finally:
            working.stop()
            load.clean(where)
    return 0


def _scenario(arguments: argparse.Namespace, where: layout.Layout) -> int:
    known = scenarios.library()
    if arguments.what == 'run':
        kind = known[scenarios.choose(arguments.names)[0]]
        with where.claim():
            fault = kind(clouds.Cloud(where))
            try:
                fault.inject()
                end = time.monotonic() + (arguments.lasts or kind.lasts)
                fault.keep_on(lambda: time.monotonic() > end)
            finally:
                fault.clear()
            fault.tidy()
        return 0
    for name in scenarios.choose(arguments.names):
        kind = known[name]
        parts = '; '.join(' or '.join(truth.components)
                          for truth in kind.truths)
        print(f'{name:26} {parts or "-":36} {kind.lasts:4.0f} s  '
              f'{kind.cause}')
    return 0


def _check(arguments: argparse.Namespace, where: layout.Layout) -> int:
    return check.run(
        where, scenarios.choose(arguments.scenarios), rate=arguments.rate,
        brief=arguments.brief, lasts=arguments.lasts, keep=arguments.keep)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m tools.cloud', description=(__doc__ or '').partition(
            '\n')[0])
    parser.add_argument(
        '--folder', type=pathlib.Path, default=layout.FOLDER,
        help='of everything the cloud writes (default: .cloud of the '
             'checkout)')
    parser.add_argument(
        '--venv', type=pathlib.Path,
        help='virtual environment of the services (default: one in the '
             'folder)')
    commands = parser.add_subparsers(dest='command', required=True)

    def add(name: str, function: object, text: str
            ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    command = add('install', _install, 'install the services')
    command.add_argument('--packages', action='store_true',
                         help='and the servers, as root, with apt-get')
    add('constraints', _constraints,
        'print the exact versions of what is installed')
    command = add('up', _up, 'start everything')
    command.add_argument('--debug', action='store_true',
                         help='let services log at DEBUG')
    add('down', _down, 'stop everything')
    add('status', _status, 'show what runs, on which port')
    for name, text in (('start', 'start parts'), ('stop', 'stop parts'),
                       ('kill', 'kill parts'), ('freeze', 'let parts hang'),
                       ('thaw', 'let frozen parts go on')):
        command = add(name, _parts, text)
        command.add_argument('names', nargs='+', metavar='NAME')
    command = add('rca', _rca, "the project's own API and engine beside it")
    command.add_argument('what', choices=('up', 'down'))

    def of_load(command: argparse.ArgumentParser) -> None:
        command.add_argument('--rate', type=float, default=10.0,
                             help='workflows a minute')
        command.add_argument('--seed', type=int, default=1)

    command = add('load', _load, 'work as users do')
    of_load(command)
    command.add_argument('--seconds', type=float, default=300.0)
    command.add_argument('--output', type=pathlib.Path,
                         default=pathlib.Path('ops.jsonl'))
    command.add_argument('--clean', action='store_true',
                         help='only delete what an earlier load has left')
    command = add('record', _record, 'play scenarios, and keep what the '
                                     'cloud says')
    of_load(command)
    command.add_argument('--output', type=pathlib.Path, required=True,
                         metavar='DIR')
    command.add_argument('--before', type=float, default=player.BEFORE)
    command.add_argument('--lasts', type=float,
                         help="instead of the scenario's own")
    command.add_argument('--after', type=float, default=player.AFTER)
    command.add_argument('scenarios', nargs='*', metavar='SCENARIO')
    command = add('scenario', _scenario, 'list or play the faults')
    command.add_argument('what', choices=('list', 'run'))
    command.add_argument('--lasts', type=float)
    command.add_argument('names', nargs='*', metavar='SCENARIO')
    command = add('check', _check, 'bring all up, play scenarios, and judge '
                                   'the incidents that are opened')
    of_load(command)
    command.add_argument('--brief', action='store_true',
                         help='end a fault when it was found')
    command.add_argument('--lasts', type=float, metavar='SECONDS',
                         help="of each scenario, instead of its own")
    command.add_argument('--keep', action='store_true',
                         help='leave everything running')
    command.add_argument('scenarios', nargs='*', metavar='SCENARIO')
    return parser


def main() -> int:
    """Run one command.

    :returns: the exit status
    """
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr,
                        format='%(asctime)s %(message)s',
                        datefmt='%H:%M:%S')
    logging.Formatter.converter = time.gmtime
    bootstrap.be_quiet()
    # A fault is ended before the command ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        where = layout.open_layout(arguments.folder, arguments.venv)
        return int(arguments.function(arguments, where))
    except layout.CloudError as error:
        print(f'tools.cloud: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
