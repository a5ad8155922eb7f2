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
"""``openstack-rca-manage figures`` and ``labels``: what operators said.

``evaluate ratings`` tells how right reports were by such labels.
"""

import argparse
from collections.abc import Callable
import datetime
import json
import pathlib
from typing import Any

from oslo_config import cfg

Load = Callable[[cfg.ConfigOpts], None]

#: What is printed of the times, in their order.
_TIMES = (
    ('symptom_to_incident', 'first symptom to incident'),
    ('incident_to_analysis', 'incident to analysis'),
    ('incident_to_resolution', 'incident to resolution'))


def figures(conf: cfg.ConfigOpts) -> int:
    """Print how helpful reports were, and what incidents took.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: the database cannot be used
    """
    from openstack_rca.db import figures as db_figures
    from openstack_rca.osc import output
    args = conf.command
    args.load(conf)
    found = db_figures.figures(_since(args.days), args.project)
    print(output.as_json({'days': args.days, 'project_id': args.project}
                         | found) if args.json else _text(found), end='')
    return 0


def labels(conf: cfg.ConfigOpts) -> int:
    """Write what operators said of reports, a line each.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: the database or the file cannot be used
    """
    from openstack_rca.db import figures as db_figures
    from openstack_rca.osc import output
    from openstack_rca.osc import text
    args = conf.command
    target = pathlib.Path(args.output)
    output.check_target(target)
    args.load(conf)
    found = db_figures.labels(_since(args.days), args.project)
    output.keep(target, ''.join(json.dumps(row) + '\n' for row in found))
    causes = sum(row['cause'] is not None for row in found)
    print(text.visible(
        f'{len(found)} rated analyses, {causes} with a cause: {target}.'))
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Print how right judged reports were, and whether confidences hold.

    :param args: the command line
    :returns: 0
    :raises RCAException: the labels or a file cannot be used
    """
    from openstack_rca.evaluation import answers
    from openstack_rca.evaluation import charts
    from openstack_rca.evaluation import ratings
    from openstack_rca.evaluation import tables
    from openstack_rca.osc import output
    found = ratings.read(pathlib.Path(args.dataset))[:args.limit]
    output.keep(pathlib.Path(args.output), ''.join(json.dumps({
        'analysis_id': row['analysis_id'], 'rating': row['rating'],
        'hypotheses': [{'component': row['component']}]
        if row.get('component') else [],
        'confidence': row.get('confidence')}) + '\n' for row in found))
    if not found:
        print('Nobody judged an analysis.')
        return 0
    judged = ratings.judged(found)
    print(tables.table('ratings', {'analysis': answers.figures(judged)}))
    parts = list(ratings.parts(found))
    if parts:
        print(tables.table('ratings, with the part in truth', {
            name: answers.figures(side) for name, side in zip(
                ('analysis', 'floor'), zip(*parts, strict=True),
                strict=True)}))
    print(tables.table('confidence', {
        'analysis': answers.calibration(judged)}))
    print(answers.diagram(judged), end='')
    if args.reliability:
        output.keep(pathlib.Path(args.reliability), charts.plot({
            'ratings': [(b.stated, b.right)
                        for b in answers.bins(judged).values()]},
            'stated', 'right', diagonal=True), '--reliability')
    return 0


def _since(days: float | None) -> datetime.datetime | None:
    from openstack_rca.db import rows
    return None if days is None else rows.utcnow() - datetime.timedelta(
        days=days)


def _text(found: dict[str, Any]) -> str:
    """Figures as a table; "-" where there is nothing to tell them by."""
    lines = [('', 'count', ''), ('rated analyses', found['rated'], '')]
    lines += [(f'  {name}', found[name], _share(found[name], found['rated']))
              for name in ('right', 'partly', 'wrong')]
    lines += [('incidents', found['incidents'], 'median')]
    lines += [(f'  {title}', found[name]['count'],
               _seconds(found[name]['median'])) for name, title in _TIMES]
    return ''.join(f'{title:<29}{count:>8}{value:>16}'.rstrip() + '\n'
                   for title, count, value in lines)


def _share(part: int, whole: int) -> str:
    return f'{100 * part / whole:.0f} %' if whole else '-'


def _seconds(value: float | None) -> str:
    return '-' if value is None else f'{value:,.0f} s'


def add_parsers(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]',
        load: Load, days: Callable[[str], float]) -> None:
    """Add the commands and their options.

    :param subparsers: where argparse keeps commands
    :param load: reads the configuration of the service
    :param days: reads a number of days
    """
    parser = subparsers.add_parser(
        'figures', help='Print how helpful reports were, and how long '
        'incidents took.',
        description='Of several judgements of an analysis the last one '
                    'counts; "right" is what "openstack rca analysis rate '
                    '--helpful" says. Times are medians in seconds. What '
                    'was deleted or purged counts no more.')
    parser.add_argument('--json', action='store_true',
                        help='As one JSON object, for programs')
    parser.set_defaults(func=figures)
    _add_choice(parser, load, days)
    parser = subparsers.add_parser(
        'labels', help='Write rated analyses with the causes that operators '
        'told, for an evaluation.',
        description='One JSON object a line: what was asked, what the '
                    'report said, and what the operator said of it.')
    parser.add_argument('--output', metavar='FILE', required=True,
                        help='Where the labels go; it quotes what users '
                        'asked')
    parser.set_defaults(func=labels)
    _add_choice(parser, load, days)


def _add_choice(parser: argparse.ArgumentParser, load: Load,
                days: Callable[[str], float]) -> None:
    parser.add_argument(
        '--days', metavar='N', type=days,
        help='Only what was rated, and incidents that were opened, in the '
             'last N days, default: all')
    parser.add_argument('--project', metavar='ID',
                        help='Only of this project, default: all')
    parser.set_defaults(load=load)
