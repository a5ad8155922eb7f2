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
"""openstack-rca-manage: work of the operator on the machine itself."""

import argparse
import os
import pathlib
import sys

from oslo_config import cfg

from openstack_rca import exception
from openstack_rca.cmd import manage_answers
from openstack_rca.cmd import manage_codemap
from openstack_rca.cmd import manage_detection
from openstack_rca.cmd import manage_figures
from openstack_rca.cmd import manage_finetune
from openstack_rca.cmd import manage_models
from openstack_rca.cmd import manage_retrieval
from openstack_rca.cmd import manage_train
from openstack_rca.cmd import manage_watching


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1 or value > 10**6:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number from 1 to 1000000')
    return value


def _days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 36500:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of days from 0 to 36500')
    return value


def evaluate(conf: cfg.ConfigOpts) -> int:
    """Predict the cases of a benchmark dataset.

    :param conf: the parsed command line
    :returns: 0, or 1 when a case could not be predicted
    :raises RCAException: the dataset or the output file cannot be used
    """
    import json

    from openstack_rca.evaluation import dataset
    from openstack_rca.evaluation import runner
    from openstack_rca.osc import output
    from openstack_rca.osc import text

    args = conf.command
    target = pathlib.Path(args.output)
    output.check_target(target)
    if args.reliability:
        output.check_target(pathlib.Path(args.reliability), '--reliability')
    if args.codemap and not os.path.isdir(args.codemap):
        raise exception.InvalidInput(
            reason=f'--codemap {args.codemap} is not a folder.')
    _load(conf)
    if args.task == 'retrieval':
        return manage_retrieval.evaluate(args)
    if args.task == 'ratings':
        return manage_figures.evaluate(args)
    watch = manage_watching.wanted(args)
    learn = not watch and manage_detection.wanted(args)
    cases = dataset.read(pathlib.Path(args.dataset),
                         'incidents' if watch else args.task)
    if args.case:
        known = {case.case_id: case for case in cases}
        missing = [name for name in args.case if name not in known]
        if missing:
            raise exception.DatasetError(
                path=args.dataset, task=args.task,
                reason=f'it has no case {", ".join(missing)} for this task.')
        cases = [known[name] for name in dict.fromkeys(args.case)]
    cases = cases[:args.limit]
    if watch:
        return manage_watching.evaluate(args, cases)
    if learn:
        return manage_detection.evaluate(args, cases)
    line = output.Progress(sys.stderr)

    def progress(done: int, outcome: runner.Outcome) -> None:
        if outcome.error:
            line.clear()
            print(text.visible(f'{outcome.case_id}: {outcome.error}'),
                  file=sys.stderr)
        line.update(f'{done} of {len(cases)} cases', done / len(cases))

    try:
        outcomes = runner.run(args.task, cases,
                              min(args.jobs, len(cases)), progress,
                              args.codemap)
    finally:
        line.clear()
    output.keep(target, ''.join(
        json.dumps(outcome.prediction) + '\n' for outcome in outcomes))
    if args.task != 'detection':
        manage_answers.show(args, outcomes)
    failed = sum(outcome.error is not None for outcome in outcomes)
    if failed:
        print(f'{failed} of {len(cases)} cases failed and have an empty '
              f'prediction.', file=sys.stderr)
    return 1 if failed else 0


def _load(conf: cfg.ConfigOpts) -> None:
    """Read the configuration of the service, from the same files.

    :param conf: the parsed command line
    """
    from openstack_rca import conf as options
    args = []
    for name in ('config_file', 'config_dir'):
        for path in conf[name] or ():
            args += ['--' + name.replace('_', '-'), str(path)]
    options.load(args)


def db_sync(conf: cfg.ConfigOpts) -> int:
    """Bring the tables up to a version.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: the database cannot be used, or there is no such
        version
    """
    from openstack_rca.db import migration
    _load(conf)
    before = migration.version()
    migration.sync(conf.command.version)
    after = migration.version()
    print(f'The database has version {after}'
          + (' already.' if after == before else '.'))
    return 0


def db_version(conf: cfg.ConfigOpts) -> int:
    """Print the version of the tables.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: the database cannot be used
    """
    from openstack_rca.db import migration
    _load(conf)
    print(migration.version() or 'none')
    return 0


def db_purge(conf: cfg.ConfigOpts) -> int:
    """Delete what was finished long ago.

    :param conf: the parsed command line
    :returns: 0
    :raises RCAException: the database cannot be used
    """
    from openstack_rca.db import jobs
    _load(conf)
    counts = jobs.purge(conf.command.days)
    print('Deleted: ' + ', '.join(
        f'{count} {what}' for what, count in counts.items()) + '.')
    return 0


def _add_db_parsers(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]'
        ) -> None:
    group = subparsers.add_parser(
        'db', help='Make, change and clean the tables of the service.',
        description='Work on the database that [database] connection names.'
    ).add_subparsers(dest='db_command', required=True)
    parser = group.add_parser(
        'sync', help='Make the tables, or bring them up to this release.')
    parser.add_argument('version', metavar='VERSION', nargs='?',
                        help='Up to this version only, default: the newest')
    parser.set_defaults(func=db_sync)
    parser = group.add_parser(
        'version', help='Print the version of the tables, or "none".')
    parser.set_defaults(func=db_version)
    parser = group.add_parser(
        'purge', help='Delete analyses, queries and resolved incidents that '
        'were finished long ago, and what engines that are gone read.',
        description='Delete rows for good. Open and acknowledged incidents '
                    'stay, with the analyses that they came from.')
    parser.add_argument(
        '--days', metavar='DAYS', type=_days, default=90.0,
        help='Only what was finished so many days ago, default: 90')
    parser.set_defaults(func=db_purge)


def add_command_parsers(
        subparsers: 'argparse._SubParsersAction[argparse.ArgumentParser]'
        ) -> None:
    """Add the commands and their options.

    :param subparsers: where argparse keeps commands
    """
    parser = subparsers.add_parser(
        'evaluate', help='Predict the cases of a benchmark dataset.',
        description='Run every case of a dataset through the analysis, as a '
                    'user would ask, and write what the reports say, one '
                    'JSON object a line. Where the dataset has a '
                    'truth.jsonl, figures follow, beside those of a '
                    'trivial rule on the same logs, and whether the '
                    'stated confidences hold; it is opened when all '
                    'cases are predicted, but by "detection": '
                    'there the default detector is trained on folds of the '
                    'cases and predicts the others, and a table of figures '
                    'is printed. Training sees the truth '
                    'of its own folds only; of a fold that is predicted, '
                    'only the groups are known, which are never split. '
                    'Where a dataset has quiet.jsonl and no labelled '
                    'cases, "detection" trains nothing, unless --train says '
                    'so: a model of this machine watches the recordings, as '
                    'an engine would.')
    parser.add_argument(
        'task', choices=('localization', 'detection', 'incidents',
                         'retrieval', 'ratings'),
        help='What to derive from the reports: where in the code the fault '
             'is, how abnormal the time of the case is, or which component '
             'is faulty and how; or, with questions and documents instead '
             'of cases, what every retriever finds; or, with the file that '
             '"labels" wrote, how right the judged reports were')
    parser.add_argument(
        'dataset', metavar='DATASET',
        help='Folder with cases.jsonl, and CASE.tar.xz in it or in logs/; '
             'ratings: the file that "labels" wrote')
    parser.add_argument('--output', metavar='FILE', required=True,
                        help='Where the predictions go')
    parser.add_argument(
        '--train', metavar='OTHER',
        help='detection: learn from this dataset, and predict all of '
             'DATASET')
    parser.add_argument(
        '--model', metavar='MODEL',
        help='detection, with quiet.jsonl: the model that watches, as '
             'DETECTOR/VERSION or as a folder with weights.safetensors and '
             'model.json, default: the newest one of the default detector')
    parser.add_argument(
        '--all-output', metavar='DIR',
        help='detection: train every installed detector, the others than '
             'the default one on the first fold; where the predictions of '
             'each go, one file each, the plot of precision and recall, and '
             'what is kept for the next run')
    parser.add_argument(
        '--codemap', metavar='DIR',
        help='localization, incidents: code maps of the release that was '
             'recorded, default: those of the configuration')
    parser.add_argument(
        '--embedder', metavar='DIR', default='',
        help='retrieval: folder of a sentence-transformers model, default: '
             'the one that is installed')
    parser.add_argument(
        '--reliability', metavar='FILE',
        help='localization, incidents, ratings: where the reliability '
             'diagram of the confidences goes, an SVG image')
    parser.add_argument('--limit', metavar='N', type=_positive,
                        help='Only the first N cases')
    parser.add_argument('--case', metavar='ID', action='append', default=[],
                        help='Only this case (repeat for several)')
    parser.add_argument(
        '--jobs', metavar='N', type=_positive, default=os.cpu_count() or 1,
        help='Worker processes, default: one a core')
    parser.set_defaults(func=evaluate)
    _add_db_parsers(subparsers)
    manage_figures.add_parsers(subparsers, _load, _days)
    manage_models.add_parsers(subparsers, _load)
    manage_codemap.add_parsers(subparsers)
    manage_finetune.add_parser(subparsers, _load)
    manage_train.add_parser(subparsers, _load)


def run(argv: list[str]) -> int:
    """Run a command line.

    :param argv: the arguments
    :returns: the exit status: 1 for an error, which stderr tells
    """
    from oslo_log import log as logging

    from openstack_rca.osc import text
    conf = cfg.ConfigOpts()
    logging.register_options(conf)
    conf.register_cli_opt(cfg.SubCommandOpt(
        'command', title='Commands', handler=add_command_parsers))
    try:
        conf(argv, project='openstack-rca', prog='openstack-rca-manage')
        logging.set_defaults(default_log_levels=[
            *logging.get_default_log_levels(), 'stevedore=ERROR',
            'alembic=WARNING', 'sentence_transformers=WARNING',
            'openstack_rca.engine.trainer=WARNING'])
        logging.setup(conf, 'openstack-rca')
        return int(conf.command.func(conf))
    except (exception.RCAException, cfg.Error) as exc:
        print(text.visible(exc, keep='\n'), file=sys.stderr)
    except OSError as exc:
        what = f'{exc.filename}: ' if exc.filename else ''
        print(text.visible(f'{what}{exc.strerror or exc}'), file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except Exception as exc:
        # What only the service needs is no part of the base package.
        missing = isinstance(exc, ModuleNotFoundError) and exc.name or ''
        if missing.partition('.')[0] not in ('', 'openstack_rca'):
            print(text.visible(f'{missing} is not installed. Install '
                               'openstack_rca[engine].'), file=sys.stderr)
            return 1
        if getattr(conf, 'debug', False):
            raise
        print(text.visible(
            f'This is a bug in openstack_rca: {type(exc).__name__}: {exc}. '
            f'Run the same command with --debug to see where, and report '
            f'it.'), file=sys.stderr)
    return 1


def main() -> int:
    """Run the console script."""
    return run(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
