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
"""``openstack rca model``: what detectors have learned."""

import argparse
from collections.abc import Iterable
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base

_COLUMNS = (('ID', 'id'), ('Detector', 'detector'), ('Version', 'version'),
            ('Origin', 'origin'), ('Status', 'status'), ('Active', 'active'),
            ('Created At', 'created_at'))
_LONG = (('Sources', 'sources'), ('Host', 'host'), ('User ID', 'user_id'),
         ('Project ID', 'project_id'), ('Started At', 'started_at'),
         ('Finished At', 'finished_at'))
#: Fields of one model: what it is, how it fits, where it comes from.
_FIELDS = ('id', 'detector', 'version', 'origin', 'status', 'active',
           'error', 'progress', 'drift', 'metrics', 'thresholds',
           'trained_on', 'settings', 'sources', 'request', 'activations',
           'host', 'bytes', 'sha256', 'libraries', 'project_id', 'user_id',
           'created_at', 'started_at', 'finished_at', 'trained_at')

#: Seconds that a training is waited for.
_WAIT_TIMEOUT = 6 * 3600

#: Settings of a training, and what they take.
_SETTINGS: dict[str, type[int] | type[float]] = {
    'seed': int, 'learning_rate': float, 'weight_decay': float,
    'batch': int, 'epochs': int, 'patience': int, 'plateau_patience': int,
    'plateau_factor': float, 'validation': float, 'false_alarms': float}


def _cell(value: Any, formatter: str) -> Any:
    """A value of a model, which may be a document, on lines of its own."""
    from openstack_rca.osc import text as text_utils
    from openstack_rca.osc.v1 import columns
    if formatter in columns.ENCODED or not isinstance(value, (dict, list)):
        return columns.cell(value, formatter)
    return '\n'.join(_lines(value, text_utils.visible))


def _lines(value: Any, visible: Any, name: str = '') -> Iterable[str]:
    """The leaves of a document, with the way to each."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lines(inner, visible, f'{name}.{key}' if name
                              else str(key))
    elif isinstance(value, list) and any(
            isinstance(inner, (dict, list)) for inner in value):
        for inner in value:
            yield from _lines(inner, visible, name)
    elif value is not None:
        text = (', '.join(str(inner) for inner in value)
                if isinstance(value, list) else str(value))
        if text:
            yield visible(f'{name}: {text}' if name else text)


def _setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition('=')
    if name not in _SETTINGS:
        raise argparse.ArgumentTypeError(
            f'{text!r}: there is no such setting; there are '
            f'{", ".join(_SETTINGS)}')
    try:
        return name, _SETTINGS[name](value)
    except (OverflowError, ValueError) as exc:
        raise argparse.ArgumentTypeError(
            f'{text!r}: {value!r} is not a number that fits') from exc


def _label(text: str) -> tuple[str, str]:
    since, slash, until = text.partition('/')
    if not (since and slash and until):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no time: give two with a slash between them, such '
            f'as 2026-11-21T03:00/2026-11-21T03:20')
    return since, until


def resolve(client: Any, name: str) -> str:
    """The id of a model.

    :param client: the client of the service
    :param name: the id, ``detector/version``, or a detector, which means
        its active model
    :raises InvalidInput: there is no such model
    """
    try:
        return base.identifier(name)
    except argparse.ArgumentTypeError:
        detector, _, version = name.partition('/')
    from openstack_rca.osc import text as text_utils
    for model in client.models(detector=text_utils.sound(detector)):
        if model.version == version if version else model.active:
            return str(model.id)
    what = (f'no model {name}' if version
            else f'no active model of a detector {name}')
    raise exception.InvalidInput(
        reason=f'There is {what}. "openstack rca model list" shows those '
               f'that there are.')


class ListModels(base.Lister):
    """List models of the cloud, newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_page_options(parser)
        parser.add_argument('--detector', metavar='<detector>',
                            help='Only models of this detector')
        parser.add_argument(
            '--status', choices=('queued', 'running', 'complete', 'failed'),
            help='Only models in this state')
        parser.add_argument(
            '--origin', choices=('shipped', 'trained', 'imported'),
            help='Only models that came from there')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the models, see cliff."""
        from openstack_rca.osc.v1 import columns
        found = base.page(self.client().models, parsed_args,
                          detector=parsed_args.detector,
                          status=parsed_args.status,
                          origin=parsed_args.origin)
        shown = _COLUMNS + (_LONG if columns.all_wanted(parsed_args) else ())
        return columns.rows(found, shown, parsed_args.formatter)


class _One(base.ShowOne):
    """A command that shows one model."""

    def _shown(self, model: Any, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        from openstack_rca.osc import text as text_utils
        drift = model.drift if isinstance(model.drift, dict) else {}
        for reason in drift.get('reasons') or ():
            self.log.warning('%s', text_utils.visible(reason))
        return _FIELDS, tuple(_cell(model[name], parsed_args.formatter)
                              for name in _FIELDS)


class ShowModel(_One):
    """Show a model: how good it is, what made it, and how it ages"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        _add_model(parser, 'show')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        """Show the model, see cliff."""
        client = self.client()
        return self._shown(client.get_model(resolve(
            client, parsed_args.model)), parsed_args)


def _add_model(parser: argparse.ArgumentParser, what: str,
               nargs: str | None = None) -> None:
    parser.add_argument(
        'models' if nargs else 'model', metavar='<model>', nargs=nargs,
        help=f'Model to {what}: its id, <detector>/<version>, or the name of '
             f'a detector, which means its active model')


class TrainModel(_One):
    """Train a detector on what the service reads; activate it afterwards"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('detector', metavar='<detector>',
                            help='Detector to train (name)')
        parser.add_argument(
            '--source', metavar='<source>', action='append', default=[],
            help='Source to learn from, as "rca source list" names it '
                 '(repeat for several), default: all')
        parser.add_argument(
            '--since', metavar='<time>',
            help='Only events from this time on: "2026-11-21 03:00", an ISO '
                 '8601 time, or an age such as "2h ago"')
        parser.add_argument('--until', metavar='<time>',
                            help='Only events up to this time, as in --since')
        parser.add_argument(
            '--timezone', metavar='<zone>',
            help='Time zone of times that carry none, such as Europe/Paris, '
                 'default: UTC')
        parser.add_argument(
            '--harmed', metavar='<time>/<time>', type=_label,
            action='append', default=[],
            help='In this time users were harmed (repeat for several)')
        parser.add_argument(
            '--unharmed', metavar='<time>/<time>', type=_label,
            action='append', default=[],
            help='In this time nobody was harmed, whatever the logs say '
                 '(repeat for several)')
        parser.add_argument(
            '--verdicts', action='store_true',
            help='Learn from "rca analysis rate", too')
        parser.add_argument(
            '--setting', metavar='<name>=<number>', type=_setting,
            action='append', default=[],
            help=f'How to train (repeat for several): '
                 f'{", ".join(_SETTINGS)}')
        base.add_wait_options(parser, _WAIT_TIMEOUT).add_argument(
            '--no-wait', action='store_true',
            help='Do not wait until it is trained')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        """Train the detector, see cliff."""
        from openstack_rca.osc import text as text_utils
        since, until = base.times(parsed_args)
        attrs: dict[str, Any] = {
            'sources': [text_utils.sound(name)
                        for name in parsed_args.source],
            'since': since and since.isoformat(),
            'until': until and until.isoformat(),
            'labels': self._labels(parsed_args),
            'verdicts': parsed_args.verdicts or None,
            'settings': dict(parsed_args.setting)}
        client = self.client()
        model = client.train_model(
            text_utils.sound(parsed_args.detector),
            **{name: value for name, value in attrs.items() if value})
        if not parsed_args.no_wait:
            model = base.outcome(
                client.wait_for_model, model,
                parsed_args.wait_timeout or _WAIT_TIMEOUT, 'model',
                'training')
        return self._shown(model, parsed_args)

    @staticmethod
    def _labels(parsed_args: argparse.Namespace) -> list[dict[str, Any]]:
        labels = []
        for harmed, given in ((True, parsed_args.harmed),
                              (False, parsed_args.unharmed)):
            for since, until in given:
                times = base.times(argparse.Namespace(
                    since=since, until=until, timezone=parsed_args.timezone))
                labels.append({
                    'since': times[0] and times[0].isoformat(),
                    'until': times[1] and times[1].isoformat(),
                    'harmed': harmed})
        return labels


class ActivateModel(_One):
    """Make a model the one that its detector uses; an older one rolls back"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        _add_model(parser, 'activate')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        """Activate the model, see cliff."""
        client = self.client()
        return self._shown(client.activate_model(resolve(
            client, parsed_args.model)), parsed_args)


class DeleteModels(base.RCACommand):
    """Delete models, trained or not; active ones stay"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        _add_model(parser, 'delete', '+')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the models, see cliff."""
        client = self.client()
        base.each([resolve(client, name) for name in parsed_args.models],
                  lambda name: client.delete_model(
                      name, ignore_missing=False), 'deleted', 'models')
