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
from openstack_rca.conf import opts
from openstack_rca.engine import local
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
             'rca analysis show', 'rca analyze', 'rca event list',
             'rca incident acknowledge', 'rca incident list',
             'rca incident resolve', 'rca incident show',
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
        bench = (ROOT / 'tools' / 'bench.py').read_text()
        known |= set(re.findall(r"add_argument\('(--[a-z]+)'", bench))
        for name, text in pages().items():
            for line in text.splitlines():
                # Options of pip, stestr, journalctl and the like.
                if re.search(r'journalctl|pip |bindep|reno', line):
                    continue
                for option in re.findall(r'(?<![\w-])--[a-z][a-z-]+', line):
                    self.assertIn(option, known, f'{name}: {line}')

    def test_formats_exist(self) -> None:
        action = parser('rca analyze')._option_string_actions['-f']
        known = set(action.choices or ())
        for name, text in pages().items():
            for value in re.findall(r'-f ([a-z|]+)', text):
                self.assertLessEqual(set(value.split('|')), known,
                                     f'{name}: {value}')

    def test_configuration_options_exist(self) -> None:
        known = {group.name: {option.dest for option in listed}
                 for group, listed in opts.list_opts()}
        checked = 0
        for name, text in pages().items():
            for group, option in re.findall(
                    r'``\[([a-z]+)\]\s+([a-z_]+)``', text):
                if group == 'engine':
                    continue
                self.assertIn(option, known.get(group, ()),
                              f'{name}: [{group}] {option}')
                checked += 1
        self.assertGreater(checked, 0)

    def test_defaults_of_the_cache_are_told(self) -> None:
        page = pages()['doc/source/user/cache.rst']
        values = {option.dest: option.default
                  for group, listed in opts.list_opts()
                  for option in listed if group.name == 'cache'}
        self.assertIn(f'({values["max_age"] // 86400} days)', page)
        self.assertIn(f'({values["max_size"] >> 30} GiB)', page)

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
