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
"""``openstack-rca-manage train``: a model from logs on this machine."""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
from typing import Any
from typing import TYPE_CHECKING

from oslo_config import cfg

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.models import base as models
    from openstack_rca.osc import output
    from openstack_rca.store import base as stores

Load = Callable[[cfg.ConfigOpts], None]

#: Seconds between two lines of progress, where no terminal shows one.
_PACE = 15.0
_LABEL = {'since', 'until', 'harmed'}
#: Bytes of a file of labels.
_MOST = 16 << 20


def _number(kind: type[int] | type[float], least: float,
            most: float) -> Callable[[str], float]:
    """What turns the text of an option into a number of a range."""
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(least) - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f'{text!r} is not a '
                f'{"whole number" if kind is int else "number"} from '
                f'{least:g} to {most:g}')
        return value
    return read


#: Settings of a training, with what they may be and what they mean.
SETTINGS: dict[str, tuple[Callable[[str], Any], str]] = {
    'seed': (_number(int, 0, 2**31 - 1),
             'Of all that is random: the same seed and the same logs give '
             'the same model, default: 1'),
    'learning_rate': (_number(float, 1e-9, 1), 'Of AdamW, default: 0.0001'),
    'weight_decay': (_number(float, 0, 1), 'Of AdamW, default: 1e-05'),
    'batch': (_number(int, 1, 65536), 'Examples of one step, default: 256'),
    'epochs': (_number(int, 1, 10000), 'Passes, at most, default: 100'),
    'patience': (_number(int, 1, 10000),
                 'Passes without a better validation before it ends, '
                 'default: 10'),
    'plateau_patience': (_number(int, 1, 10000),
                         'Passes without a better validation before the '
                         'learning rate falls, default: 5'),
    'plateau_factor': (_number(float, 0.001, 0.999),
                       'By which it falls, default: 0.5'),
    'validation': (_number(float, 0.01, 0.9),
                   'Share of the logs that is held out, default: 0.2'),
    'false_alarms': (_number(float, 0, 0.5),
                     'Share of normal windows of what is held out that may '
                     'be alarmed: what the threshold is set by, default: '
                     '0.05'),
    'device': (str, 'What computes: auto, cpu, cuda or mps, default: auto'),
}


def train(conf: cfg.ConfigOpts) -> int:
    """Train a model.

    :param conf: the parsed command line
    :returns: 0, or 130 where it was interrupted
    :raises RCAException: it cannot be trained or kept, and why
    """
    args = conf.command
    args.load(conf)
    # What cannot be is told before work goes into it.
    from openstack_rca.engine import trainer
    from openstack_rca.osc import output
    trainer.learned(args.detector)
    request: dict[str, Any] = {
        'detector': args.detector,
        'settings': {name: value for name in SETTINGS
                     if (value := getattr(args, name)) is not None},
        'labels': _labels(pathlib.Path(args.labels)) if args.labels else []}
    target = pathlib.Path(args.output) if args.output else None
    if target is not None:
        _check(target)
    line = _Line(output.Progress(sys.stderr))
    try:
        sources = _read(args.sources, args.timezone, line)
        folder = _folder(args, request)
        if args.restart:
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists():
            line.say('Going on with what was interrupted, and with the logs '
                     'that there were then. --restart begins anew.')
        return _train(request, sources, target, folder, line)
    except KeyboardInterrupt:
        line.say('Interrupted. The same command goes on where the training '
                 'was; with --restart it begins anew.')
        return 130
    finally:
        line.clear()


def _train(request: Mapping[str, Any], sources: 'dict[str, stores.Store]',
           target: pathlib.Path | None, folder: pathlib.Path,
           line: '_Line') -> int:
    from openstack_rca.engine import drivers
    from openstack_rca.engine import trainer
    from openstack_rca.models import filesystem
    start = time.monotonic()
    if target is None:
        kept = trainer.train(request, sources, drivers.model_store(), folder,
                             line.tell)
    else:
        # In the same file system, so that it is there as a whole.
        aside = pathlib.Path(tempfile.mkdtemp(
            prefix=f'.{target.name[:100]}.', dir=target.parent))
        try:
            kept = trainer.train(
                request, sources,
                filesystem.FilesystemStore(aside, aside / 'none'), folder,
                line.tell)
            # An empty folder may be there.
            os.rename(aside / kept.detector / kept.version, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    line.clear()
    _print(_told(kept, time.monotonic() - start))
    if target is None:
        _register(kept)
    else:
        _print([f'Wrote {kept.name} to {target}. "openstack-rca-manage model '
                f'import {target}" brings it into the models of an engine.'])
    return 0


def _register(kept: 'models.Description') -> None:
    """Tell the engines of a model, where there is a database."""
    from openstack_rca import conf as options
    from openstack_rca.db import models_api
    try:
        models_api.models_register(options.CONF.host, [kept.public()])
    except exception.RCAException as error:
        _print([f'Kept {kept.name}. The engine finds it when it starts '
                f'again. {error}'])
    else:
        _print([f'Kept {kept.name}. "openstack rca model activate '
                f'{kept.name}" makes it the active one.'])


def _told(kept: 'models.Description', seconds: float) -> list[str]:
    """What is said of a model that was trained."""
    on = kept.trained_on
    rows = {
        'detector': kept.detector, 'version': kept.version,
        'learned from': f'{on["recordings"]} recordings with {on["events"]} '
                        f'events, {on["from"]} to {on["to"]}',
        'harmed': f'{on["harmed"]}, unharmed: {on["unharmed"]}',
        'seconds': f'{seconds:.0f}', 'bytes': str(kept.bytes),
        **{name.replace('_', ' '): f'{value:.6g}'
           for name, value in sorted(kept.metrics.items())}}
    width = max(map(len, rows))
    return [f'{name.ljust(width)}  {value}' for name, value in rows.items()]


class _Line:
    """What goes on: one line on a terminal, and else a line now and then.

    :param line: of the terminal
    """

    def __init__(self, line: 'output.Progress') -> None:
        self._line = line
        self._stage = ''
        self._next = 0.0

    def tell(self, stage: str, share: float,
             figures: Mapping[str, float]) -> None:
        """Say how far a training came."""
        told = ', '.join([stage, *(
            f'{"F1" if name == "f1" else name} {value:.4f}'
            for name, value in figures.items())])
        if self._line.shown:
            self._line.update(told, share)
        elif stage != self._stage or time.monotonic() >= self._next:
            self._next = time.monotonic() + _PACE
            self.say(f'{100 * share:.0f} % {told}')
        self._stage = stage

    def say(self, message: str) -> None:
        """Print a line that stays."""
        from openstack_rca.osc import text
        self.clear()
        print(text.visible(message), file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line of the terminal away."""
        self._line.clear()


def _print(lines: list[str]) -> None:
    from openstack_rca.osc import text
    for line in lines:
        print(text.visible(line))


def _read(paths: list[str], timezone: str,
          line: _Line) -> 'dict[str, stores.Store]':
    """Parse recordings, or take what was parsed before.

    :raises RCAException: one cannot be read
    """
    from openstack_rca.engine import local
    found: dict[str, stores.Store] = {}
    for path in dict.fromkeys(os.path.realpath(path) for path in paths):
        plain = pathlib.Path(path).name or 'root'
        name, number = plain, 1
        while name in found:
            number += 1
            name = f'{plain}-{number}'

        def progress(stage: str, share: float, name: str = name) -> None:
            line.tell(f'{name}: {stage}', share, {})

        found[name] = local.open_folder(
            pathlib.Path(path), timezone=timezone, progress=progress).store
    return found


def _folder(args: argparse.Namespace,
            request: Mapping[str, Any]) -> pathlib.Path:
    """What remembers how far this training came."""
    from openstack_rca.engine import cache
    from openstack_rca.engine import trainer
    folder = trainer.checkpoint_folder({
        **request, 'timezone': args.timezone, 'paths': sorted(
            {os.path.realpath(path) for path in args.sources})})
    if args.output:
        # Who names a folder need not be the user of the engine.
        return cache.cache_root() / 'training' / folder.name
    return folder


def _check(target: pathlib.Path) -> None:
    """Refuse a folder that cannot be made.

    :raises InvalidInput: it is there, or its parent is not
    """
    def refused(reason: str) -> exception.InvalidInput:
        return exception.InvalidInput(reason=f'--output: {reason}')

    try:
        if os.path.lexists(target) and (
                not target.is_dir() or target.is_symlink()
                or any(target.iterdir())):
            raise refused(f'{target} is there already. Name a folder that '
                          'is not there, or is empty.')
        parent = target.absolute().parent
        if not parent.is_dir():
            raise refused(f'the folder {parent} does not exist. Create it '
                          'first.')
        if not os.access(parent, os.W_OK | os.X_OK):
            raise refused(f'the folder {parent} is not writable.')
    except (OSError, ValueError) as error:
        raise refused(f'{target} cannot be used: {error}') from error


def _labels(path: pathlib.Path) -> list[dict[str, Any]]:
    """Times of which it is known whether users were harmed.

    :raises InvalidInput: the file, or a line of it, cannot be used
    """
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        raise exception.InvalidInput(
            reason=f'--labels: {path} cannot be read: '
                   f'{getattr(error, "strerror", None) or error}') from error
    if len(text) > _MOST:
        raise exception.InvalidInput(
            reason=f'--labels: {path} is larger than {_MOST} bytes.')
    found = []
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            found.append(_label(json.loads(row)))
        except (ValueError, RecursionError) as error:
            raise exception.InvalidInput(
                reason=f'--labels: line {number} of {path} cannot be used: '
                       f'{error}. A line is {{"since": "2026-11-21T02:00Z", '
                       '"until": "2026-11-21T02:05Z", "harmed": true}.'
            ) from error
    return found


def _label(row: Any) -> dict[str, Any]:
    """A label in the shape of the API.

    :raises ValueError: it has another one
    """
    if not isinstance(row, dict) or set(row) != _LABEL:
        raise ValueError('it has to have since, until and harmed, and '
                         'nothing else')
    if not isinstance(row['harmed'], bool):
        raise ValueError('harmed is neither true nor false')
    moments = {}
    for name in ('since', 'until'):
        if not isinstance(row[name], str):
            raise ValueError(f'{name} is no time')
        try:
            moment = datetime.datetime.fromisoformat(row[name])
        except ValueError as error:
            raise ValueError(f'{name} is no time in ISO 8601') from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        with contextlib.suppress(OverflowError):
            moments[name] = moment.astimezone(datetime.UTC)
    if len(moments) < 2 or moments['since'] >= moments['until']:
        raise ValueError('since is not before until')
    return {name: moment.isoformat() for name, moment in moments.items()
            } | {'harmed': row['harmed']}


def add_parser(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]',
        load: Load) -> None:
    """Add the command and its options.

    :param subparsers: where argparse keeps commands
    :param load: reads the configuration of the service
    """
    parser = subparsers.add_parser(
        'train', help='Train a detector on logs of this machine.',
        description='Train a detector on logs of this machine, without a '
                    'running engine and without a database. What is not '
                    'labelled is taken for ordinary operation. A training '
                    'that was interrupted goes on where it was when the '
                    'same command is given again.')
    parser.add_argument('--detector', metavar='NAME', required=True,
                        help='What is trained, such as lstm')
    parser.add_argument(
        '--from', metavar='DIR', dest='sources', action='append',
        required=True,
        help='A recording: a folder of logs, a log file or a tar archive '
             '(repeat for several)')
    parser.add_argument(
        '--timezone', metavar='ZONE', default='UTC',
        help='Zone of times without an offset, default: UTC')
    parser.add_argument(
        '--labels', metavar='FILE',
        help='Times in which users were harmed, or not: JSON, an object '
             'with since, until and harmed a line')
    for name, (kind, told) in SETTINGS.items():
        choices = ('auto', 'cpu', 'cuda', 'mps') if kind is str else None
        parser.add_argument(
            '--' + name.replace('_', '-'), dest=name, type=kind,
            choices=choices, help=told,
            metavar='DEVICE' if kind is str else 'N')
    parser.add_argument(
        '--output', metavar='FOLDER',
        help='Write the model there, and not into [models] directory: '
             'weights.safetensors and model.json')
    parser.add_argument('--restart', action='store_true',
                        help='Forget what was interrupted')
    parser.set_defaults(func=train, load=load)
