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
"""The documentation names only what there is."""

import argparse
import configparser
import importlib.metadata
import pathlib
import re
import shlex

import yaml

import openstack_rca
from openstack_rca.analysis import components
from openstack_rca.analysis import scope
from openstack_rca.cmd import manage
from openstack_rca.cmd import status
from openstack_rca.conf import opts
from openstack_rca.engine import correlator
from openstack_rca.engine import local
from openstack_rca.engine import manager
from openstack_rca.tests import base

ROOT = pathlib.Path(openstack_rca.__path__[0]).parent

COMMANDS = {point.name.replace('_', ' '): point
            for point in importlib.metadata.entry_points(
                group='openstack.root_cause_analysis.v1')}


def pages() -> dict[str, str]:
    """The text of every page, by name."""
    files = [ROOT / 'README.rst', ROOT / 'CONTRIBUTING.rst',
             *(ROOT / 'doc' / 'source').rglob('*.rst'),
             *(ROOT / 'releasenotes' / 'notes').glob('*.yaml')]
    return {str(path.relative_to(ROOT)): path.read_text() for path in files}


def parser(command: str) -> argparse.ArgumentParser:
    """The parser of a command, as the program builds it."""
    found = COMMANDS[command].load()
    built: argparse.ArgumentParser = found(None, None).get_parser(
        f'openstack {command}')
    return built


def options(command: str) -> set[str]:
    """The options of a command."""
    return set(parser(command)._option_string_actions)


def examples(text: str) -> list[list[str]]:
    """The command lines of a page that start with ``openstack rca``."""
    text = text.replace('\\\n', ' ')
    found = re.findall(
        r'^ +\$ (?:\S*/)?(openstack rca .*)$', text, re.MULTILINE)
    return [shlex.split(line.partition(' | ')[0])[1:] for line in found]


def own_parser(program: str) -> argparse.ArgumentParser:
    """The parser of openstack-rca-manage or openstack-rca-status."""
    built = argparse.ArgumentParser(program)
    built.add_argument('--config-file')
    add = {'openstack-rca-manage': manage.add_command_parsers,
           'openstack-rca-status': status.add_command_parsers}[program]
    add(built.add_subparsers(required=True))
    return built


def own_options(built: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and of its commands."""
    found = set(built._option_string_actions)
    for action in built._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= own_options(below)
    return found


def namespaces() -> list[str]:
    """Where the sample configuration takes its options from."""
    text = (ROOT / 'etc' / 'openstack-rca' / 'config-generator.conf'
            ).read_text()
    return re.findall(r'^namespace = (.+)$', text, re.MULTILINE)


def configuration() -> dict[str, set[str]]:
    """All options of the configuration file, by group."""
    found: dict[str, set[str]] = {}
    points = {point.name: point for point in
              importlib.metadata.entry_points(group='oslo.config.opts')}
    for name in namespaces():
        for group, listed in points[name].load()():
            found.setdefault(
                getattr(group, 'name', group) or 'DEFAULT', set()).update(
                    option.dest for option in listed)
    return found


def command_of(words: list[str]) -> str | None:
    """The command that a line starts with."""
    for size in (3, 2):
        if ' '.join(words[:size]) in COMMANDS:
            return ' '.join(words[:size])
    return None


class TestDocs(base.TestCase):

    def test_there_are_pages_and_examples(self) -> None:
        found = pages()
        self.assertIn('doc/source/cli/index.rst', found)
        self.assertTrue(examples(found['README.rst']))

    def test_commands_are_those_of_this_release(self) -> None:
        self.assertEqual(
            {'rca analysis delete', 'rca analysis list', 'rca analysis rate',
             'rca analysis show', 'rca analyze', 'rca ask', 'rca chat',
             'rca event list',
             'rca incident acknowledge', 'rca incident list',
             'rca incident resolve', 'rca incident show',
             'rca incident suppress',
             'rca index clear', 'rca index rebuild', 'rca index status',
             'rca index verify', 'rca knowledge delete',
             'rca knowledge export', 'rca knowledge import',
             'rca knowledge list', 'rca knowledge search',
             'rca knowledge show',
             'rca model activate', 'rca model delete', 'rca model list',
             'rca model show', 'rca model train',
             'rca source list', 'rca trace'}, set(COMMANDS))

    def test_every_command_has_its_page(self) -> None:
        page = pages()['doc/source/cli/index.rst']
        documented = re.findall(r'^ +:command: (.*)$', page, re.MULTILINE)
        self.assertEqual(sorted(COMMANDS), sorted(documented))

    def test_commands_exist(self) -> None:
        for name, text in pages().items():
            for words in re.findall(
                    r'openstack\s+(rca\s+[a-z]+(?:\s+[a-z]+)?)', text):
                self.assertIsNotNone(command_of(words.split()),
                                     f'{name}: {words}')

    def test_examples_are_understood(self) -> None:
        for name, text in pages().items():
            for words in examples(text):
                command = command_of(words)
                self.assertIsNotNone(command, f'{name}: {words}')
                assert command is not None
                rest = words[len(command.split()):]
                try:
                    parser(command).parse_args(rest)
                except SystemExit as error:
                    # --help is an answer, everything else a mistake.
                    self.assertEqual(0, error.code, f'{name}: {words}')

    def test_options_exist(self) -> None:
        known = set[str]().union(*(options(name) for name in COMMANDS))
        for program in ('openstack-rca-manage', 'openstack-rca-status'):
            known |= own_options(own_parser(program))
        for tool in ('bench.py', 'cloud/__main__.py'):
            known |= set(re.findall(r"'(--[a-z-]+)'", (
                ROOT / 'tools' / tool).read_text()))
        for name, text in pages().items():
            for line in text.splitlines():
                # Options of pip, stestr, journalctl and the like, and of
                # other commands of "openstack".
                if re.search(
                        r'journalctl|pip |stestr|bindep|reno|systemctl|'
                        r'systemd-|create(?:user|db) |--description'
                        r'|openstack (?:user|role|service|endpoint|server) ',
                        line):
                    continue
                for option in re.findall(r'(?<![\w-])--[a-z][a-z-]+', line):
                    self.assertIn(option, known, f'{name}: {line}')

    def test_examples_of_other_programs_are_understood(self) -> None:
        checked = 0
        for name, text in pages().items():
            for program, rest in re.findall(
                    r'^   [#$\d].*?(openstack-rca-(?:manage|status)) '
                    r'((?:db|evaluate|model|train|upgrade|--config-file) '
                    r'.*)$', text.replace('\\\n', ' '), re.MULTILINE):
                try:
                    own_parser(program).parse_args(shlex.split(rest))
                except SystemExit:
                    self.fail(f'{name}: {program} {rest}')
                checked += 1
        self.assertGreater(checked, 1)

    def test_formats_exist(self) -> None:
        action = parser('rca analyze')._option_string_actions['-f']
        known = set(action.choices or ())
        for name, text in pages().items():
            for value in re.findall(r'-f ([a-z|]+)', text):
                self.assertLessEqual(set(value.split('|')), known,
                                     f'{name}: {value}')

    def test_configuration_options_exist(self) -> None:
        known = configuration()
        checked = 0
        for name, text in pages().items():
            for group, option in re.findall(
                    r'``\[([A-Za-z_]+)\]\s+([a-z_]+)', text):
                self.assertIn(option, known.get(group, ()),
                              f'{name}: [{group}] {option}')
                checked += 1
        self.assertGreater(checked, 0)

    def test_examples_of_configuration_are_understood(self) -> None:
        known = configuration()
        checked = 0
        for name, text in pages().items():
            for block in re.findall(
                    r'^\.\. code-block:: ini\n\n((?:   .*\n|\n)+)', text,
                    re.MULTILINE):
                example = configparser.RawConfigParser(strict=False)
                # local.conf, units and setup.cfg are no concern of ours.
                if re.search(r'\[\[|\[Service\]|\[options', block):
                    continue
                example.read_string(re.sub(r'(?m)^   ', '', block))
                values = {'DEFAULT': dict(example.defaults()),
                          **{group: dict(example[group])
                             for group in example.sections()}}
                for group, options_ in values.items():
                    for option in set(options_) - set(
                            values['DEFAULT'] if group != 'DEFAULT' else ()):
                        # Plugins of keystoneauth have options of their own.
                        if group == 'keystone_authtoken' and re.match(
                                'username|password|project_|user_|auth_url',
                                option):
                            continue
                        self.assertIn(option, known.get(group, ()),
                                      f'{name}: [{group}] {option}')
                        checked += 1
        self.assertGreater(checked, 5)

    def test_all_options_have_their_page(self) -> None:
        page = pages()['doc/source/configuration/index.rst']
        blocks = re.findall(r'\.\. show-options::\n\n((?:   .+\n)+)', page)
        self.assertEqual(sorted(namespaces()),
                         sorted(' '.join(blocks).split()))

    def test_defaults_of_the_cache_are_told(self) -> None:
        page = pages()['doc/source/user/cache.rst']
        values = {option.dest: option.default
                  for group, listed in opts.list_opts()
                  for option in listed if group.name == 'local_cache'}
        self.assertIn(f'({values["max_age"] // 86400} days)', page)
        self.assertIn(f'({values["max_size"] >> 30} GiB)', page)

    def test_times_of_the_engine_are_told(self) -> None:
        told = pages()
        self.assertEqual((1.0, 300), (manager._POLL, correlator._BEFORE))
        for name, text in (
                ('admin/index', 'Engines look for rows once a second'),
                ('contributor/architecture', 'looks once a second'),
                ('install/index', 'without it, within a second'),
                ('admin/incidents', 'five minutes before its first symptom')):
            self.assertIn(text, ' '.join(
                told[f'doc/source/{name}.rst'].split()))

    def test_environments_of_tox_exist(self) -> None:
        config = configparser.ConfigParser(interpolation=None)
        config.read(ROOT / 'tox.ini')
        known = {section.removeprefix('testenv:')
                 for section in config.sections()} | {'py3'}
        for name, text in pages().items():
            for value in re.findall(r'tox -e ([a-z0-9,]+)', text):
                self.assertLessEqual(set(value.split(',')), known,
                                     f'{name}: {value}')

    def test_folders_and_scripts_exist(self) -> None:
        for name, text in pages().items():
            for path in re.findall(
                    r'(?<![\w/.])((?:tools|examples|devstack|etc|doc)'
                    r'/[\w./-]+)', text):
                path = path.rstrip('.')
                # Samples are written by tox and not kept.
                if path.endswith('.sample'):
                    continue
                self.assertTrue((ROOT / path).exists(), f'{name}: {path}')

    def test_fields_of_the_report(self) -> None:
        page = pages()['doc/source/reference/report.rst']
        documented = {}
        for title in ('Top level', 'Hypothesis', 'Evidence'):
            section = page.partition(f'\n{title}\n----')[2]
            rows = section.split('\n=====', 2)[1]
            documented[title] = set(re.findall(r'^``(\w+)``', rows,
                                               re.MULTILINE))
        example = ROOT / 'examples' / 'no-valid-host'
        document = local.open_folder(example / 'logs', cache=False).analyze(
            scope.Question(issue=(example / 'ISSUE').read_text()))
        self.assertEqual(set(document), documented['Top level'])
        for hypothesis in document['hypotheses']:
            self.assertEqual(set(hypothesis), documented['Hypothesis'])
        for evidence in document['evidence']:
            self.assertEqual(set(evidence), documented['Evidence'])
        self.assertTrue(document['hypotheses'])

    def test_words_of_the_report(self) -> None:
        page = pages()['doc/source/reference/words.rst']
        categories, names = page.split('.. _categories:')[1].split(
            '.. _components:')
        self.assertEqual(
            set(components.CATEGORIES),
            set(re.findall(r'^``(\w+)``', categories, re.MULTILINE)))
        self.assertEqual(
            set(components.COMPONENTS),
            set(re.findall(r'``([\w-]+)``', names.split('\n\n')[3])))

    def test_layout_names_packages(self) -> None:
        page = pages()['doc/source/contributor/architecture.rst']
        for path in re.findall(r'^``([\w./]+)``', page, re.MULTILINE):
            self.assertTrue((ROOT / 'openstack_rca' / path).exists(), path)

    def test_release_notes_can_be_read(self) -> None:
        for path in (ROOT / 'releasenotes' / 'notes').glob('*.yaml'):
            note = yaml.safe_load(path.read_text())
            self.assertLessEqual(
                set(note), {'prelude', 'features', 'issues', 'upgrade',
                            'deprecations', 'critical', 'security', 'fixes',
                            'other'}, path.name)
