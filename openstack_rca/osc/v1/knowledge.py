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
"""``openstack rca knowledge``: what is known, and finding it."""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
import json
import os
import pathlib
import sys
from typing import Any
from typing import TYPE_CHECKING

from osc_lib import exceptions

from openstack_rca import exception
from openstack_rca.osc.v1 import base

if TYPE_CHECKING:
    from openstack_rca.knowledge import entries

_COLUMNS = (('ID', 'id'), ('Kind', 'kind'), ('Title', 'title'),
            ('Service', 'service'), ('Source', 'source'),
            ('Updated At', 'updated_at'))
_LONG = (('Resolution', 'resolution'), ('Tags', 'tags'), ('URL', 'url'),
         ('Incident ID', 'incident_id'), ('Analysis ID', 'analysis_id'),
         ('User ID', 'user_id'), ('Created At', 'created_at'))
_FIELDS = ('id', 'kind', 'title', 'text', 'resolution', 'service', 'tags',
           'source', 'url', 'incident_id', 'analysis_id', 'project_id',
           'user_id', 'created_at', 'updated_at')
_FOUND = (('Score', 'score'), ('Kind', 'kind'), ('Title', 'title'),
          ('Resolution', 'resolution'), ('ID', 'id'))
_FOUND_LONG = (('Service', 'service'), ('Source', 'source'), ('URL', 'url'),
               ('Text', 'text'), ('Updated At', 'updated_at'))

#: What a line of a backup may hold; the rest is the service's own.
_GIVEN = ('kind', 'title', 'text', 'source', 'service', 'tags', 'url',
          'resolution', 'incident_id', 'analysis_id')
_KINDS = ('document', 'incident', 'analysis')
_BACKUP = '.jsonl'
#: Entries, and bytes of them, that are handed in at once.
_BATCH = 200
_BATCH_BYTES = 512 << 10
#: Bytes of a backup that is read into memory line by line.
_LONGEST_LINE = 4 << 20


class ImportKnowledge(base.RCACommand):
    """Import documents and backups.

    Documents are RST, Markdown, HTML and text; of a folder all of these are
    taken, such as the documentation of OpenStack or your runbooks. A file
    that ends with .jsonl is what "knowledge export" wrote. Importing again
    replaces what a document of the same name said. Nothing is fetched, and
    nothing that a document includes is read.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('paths', metavar='<path>', nargs='+',
                            help='File, or folder of files')
        parser.add_argument(
            '--format', choices=('rst', 'markdown', 'html', 'text'),
            help='Format of files whose names do not tell it')
        parser.add_argument('--service', metavar='<service>',
                            help='What the documents are about, such as '
                                 'nova')
        parser.add_argument('--tag', metavar='<word>', dest='tags',
                            action='append', default=[],
                            help='Word to find them by (repeat for several)')
        parser.add_argument('--url', metavar='<url>',
                            help='Where the documents can be read')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Import the files, see cliff."""
        from openstack import exceptions as sdk

        from openstack_rca.osc import errors
        from openstack_rca.osc import output
        from openstack_rca.osc import text as text_utils
        found = list(_files(parsed_args.paths, bool(parsed_args.format)))
        if not found:
            raise exception.InvalidInput(
                'There is no document in these folders: names that end with '
                '.rst, .md, .html, .txt or .jsonl are looked for.')
        client = self.client()
        counts = {'added': 0, 'kept': 0, 'removed': 0}
        failed: list[str] = []
        progress = output.Progress(sys.stderr)
        try:
            for number, (name, path) in enumerate(found):
                progress.update(name, number / len(found))
                try:
                    for given in _given(name, path, parsed_args):
                        done = client.import_knowledge(**given)
                        for key in counts:
                            counts[key] += int(done[key] or 0)
                except exception.RCAException as exc:
                    failed.append(str(exc))
                except sdk.HttpException as exc:
                    if (exc.status_code or 0) not in (400, 413):
                        raise
                    failed.append(f'{name}: {errors.explain(exc)}')
        finally:
            progress.clear()
        output.write(self.app.stdout, (
            f'{text_utils.plural(len(found) - len(failed), "file")}: '
            f'{counts["added"]} entries added, {counts["kept"]} were there, '
            f'{counts["removed"]} removed\n'))
        if failed:
            raise exceptions.CommandError(text_utils.visible(
                '\n'.join(failed) + f'\n{len(failed)} of {len(found)} files '
                'were not imported.', keep='\n'))


def _files(paths: Iterable[str], every: bool) -> Iterator[
        tuple[str, pathlib.Path]]:
    """Files to import, and what each is known by.

    :param every: take a file that was named, whatever it is called
    :raises InvalidInput: a path is not there, or of no known format
    """
    from openstack_rca.knowledge import documents
    known = (*documents.ENDINGS, _BACKUP)
    for text in paths:
        if not text or '\0' in text:
            raise exception.InvalidInput('This is no name of a file.')
        path = pathlib.Path(text)
        if path.is_dir():
            root = path.resolve()
            for folder, below, names in os.walk(root):
                # Links may lead anywhere, and back.
                below[:] = sorted(n for n in below if not n.startswith('.'))
                for name in sorted(names):
                    file = pathlib.Path(folder, name)
                    if (file.suffix.lower() in known and not
                            name.startswith('.') and not file.is_symlink()
                            and file.is_file()):
                        yield str(root.name / file.relative_to(root)), file
        elif not path.is_file():
            raise exception.InvalidInput(
                f'{path} is no file and no folder.')
        elif not every and path.suffix.lower() not in known:
            raise exception.InvalidInput(
                f'{path}: its name does not tell the format. Say it with '
                '--format.')
        else:
            yield path.name, path


def _given(name: str, path: pathlib.Path,
           parsed_args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What a file becomes for the service."""
    from openstack_rca.knowledge import documents
    from openstack_rca.osc import text as text_utils
    if path.suffix.lower() == _BACKUP:
        batch: list[dict[str, Any]] = []
        size = 0
        for row in read_backup(path):
            given = {key: row[key] for key in _GIVEN
                     if row.get(key) is not None and row[key] != ''}
            given.setdefault('text', '')
            size += len(json.dumps(given))
            if batch and (len(batch) == _BATCH or size > _BATCH_BYTES):
                yield {'entries': batch}
                batch, size = [], len(json.dumps(given))
            batch.append(given)
        if batch:
            yield {'entries': batch}
        return
    try:
        with path.open('rb') as file:
            data = file.read(documents.MOST_BYTES + 1)
    except OSError as exc:
        raise exception.DocumentInvalid(
            name=name, reason=exc.strerror or str(exc)) from exc
    content = documents.decode(data, name)
    if not content.strip():
        raise exception.DocumentInvalid(name=name, reason='it is empty')
    told = documents.format_of(name)
    yield {
        'name': text_utils.sound(name)[-255:],
        'content': content.replace('\0', ' '),
        'format': told or parsed_args.format,
        'service': parsed_args.service, 'tags': parsed_args.tags or None,
        'url': parsed_args.url}


def read_backup(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that ``knowledge export`` wrote.

    :param path: the file
    :raises DocumentInvalid: it cannot be read, or a line is no entry
    """
    number = 0
    try:
        with path.open('rb') as file:
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if not line.strip():
                    continue
                row = json.loads(line) if len(line) <= _LONGEST_LINE else None
                if (not isinstance(row, dict) or row.get('kind') not in _KINDS
                        or not isinstance(row.get('title'), str)
                        or not isinstance(row.get('text'), str)):
                    raise ValueError
                yield row
    except OSError as exc:
        raise exception.DocumentInvalid(
            name=path, reason=exc.strerror or str(exc)) from exc
    except (ValueError, RecursionError) as exc:
        raise exception.DocumentInvalid(
            name=path, reason=f'line {number} is no entry. "openstack rca '
            'knowledge export" writes such files') from exc


class ExportKnowledge(base.RCACommand):
    """Export all entries as JSON lines: the backup"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        _add_filters(parser)
        parser.add_argument(
            '--output', metavar='<file>',
            help='Write them to this file, readable by you alone; default: '
                 'to standard output')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Export the entries, see cliff."""
        from openstack_rca.osc import output
        target = (pathlib.Path(parsed_args.output)
                  if parsed_args.output else None)
        if target is not None:
            output.check_target(target)
        lines = (json.dumps({name: row[name] for name in _FIELDS}) + '\n'
                 for row in self.client().knowledge(
                     kind=parsed_args.kind, service=parsed_args.service,
                     source=parsed_args.source, texts='true', limit=50))
        if target is not None:
            output.keep(target, ''.join(lines))
            return
        for line in lines:
            output.write(self.app.stdout, line)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--kind', choices=_KINDS,
                        help='Only entries of this kind')
    parser.add_argument('--service', metavar='<service>',
                        help='Only entries about this service')
    parser.add_argument('--source', metavar='<document>',
                        help='Only sections of this document')


class ListKnowledge(base.Lister):
    """List what is known, newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_page_options(parser)
        _add_filters(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the entries, see cliff."""
        from openstack_rca.osc.v1 import columns
        found = base.page(
            self.client().knowledge, parsed_args, kind=parsed_args.kind,
            service=parsed_args.service, source=parsed_args.source)
        shown = _COLUMNS + (_LONG if columns.all_wanted(parsed_args) else ())
        return columns.rows(found, shown, parsed_args.formatter)


class ShowKnowledge(base.ShowOne):
    """Show an entry with all that it says"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('entry', metavar='<entry-id>',
                            type=base.identifier, help='Entry (id)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        """Show the entry, see cliff."""
        from openstack_rca.osc import text as text_utils
        from openstack_rca.osc.v1 import columns
        found = self.client().get_knowledge(parsed_args.entry)
        chosen = parsed_args.formatter
        return _FIELDS, tuple(
            text_utils.visible(found[name] or '', keep='\n')
            if name in ('text', 'resolution')
            and chosen not in columns.ENCODED
            else columns.cell(found[name], chosen) for name in _FIELDS)


class DeleteKnowledge(base.RCACommand):
    """Delete entries"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('entries', metavar='<entry-id>', nargs='+',
                            type=base.identifier,
                            help='Entry to delete (id)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the entries, see cliff."""
        client = self.client()
        base.each(
            parsed_args.entries,
            lambda name: client.delete_knowledge(name, ignore_missing=False),
            'deleted', 'entries')


class SearchKnowledge(base.Lister):
    """Find what is known about something like this.

    The service looks at the documents, resolved incidents and judged
    analyses of the project, and at signatures of known failures. With
    --log-dir it works in process and without a cloud: signatures are
    searched, and a backup that is named with --knowledge.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('question', metavar='<text>',
                            help='Words, an error, a log line')
        parser.add_argument(
            '--kind', dest='kinds', action='append', default=[],
            choices=(*_KINDS, 'signature'),
            help='Only entries of this kind (repeat for several)')
        parser.add_argument('--service', metavar='<service>',
                            help='Only entries about this service or one of '
                                 'its programs, such as nova')
        parser.add_argument(
            '--since', metavar='<time>',
            help='Only what was written down from this time on: '
                 '"2026-11-21 03:00", an ISO 8601 time, or an age such as '
                 '"30d ago"')
        parser.add_argument(
            '--until', metavar='<time>',
            help='Only what was written down up to this time, as in --since')
        parser.add_argument(
            '--mode', choices=('fast', 'full'),
            help='How to look: fast by words, full by meaning too; default: '
                 'full, with --log-dir fast')
        parser.add_argument(
            '--limit', metavar='<number>', type=base.positive, default=10,
            help='The most to find, 100 at most, default: 10')
        parser.add_argument('--long', action='store_true',
                            help='List all fields')
        group = parser.add_argument_group('without a cloud')
        group.add_argument(
            '--log-dir', metavar='<folder>',
            help='Work in process and without a cloud, as the other '
                 'commands do with this option')
        group.add_argument(
            '--timezone', metavar='<zone>',
            help='Time zone of --since and --until, default: UTC')
        add_knowledge_option(group)
        base.add_wait_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """Find entries, see cliff."""
        from openstack_rca.osc import text as text_utils
        from openstack_rca.osc.v1 import columns
        parsed_args.question = text_utils.sound(parsed_args.question)
        if not parsed_args.question.strip():
            raise exception.InvalidInput('There is no word to search for.')
        if parsed_args.limit > 100:
            raise exception.InvalidInput('--limit: 100 at most.')
        found = (self._local(parsed_args) if base.is_local(parsed_args)
                 or parsed_args.knowledge else self._service(parsed_args))
        if not found:
            # An empty table tells nobody whether anything was looked at.
            self.log.warning('Nothing that is known fits this.')
        shown = _FOUND + (_FOUND_LONG if columns.all_wanted(parsed_args)
                          else ())
        return columns.rows(found, shown, parsed_args.formatter)

    def _local(self, parsed_args: argparse.Namespace) -> list[
            dict[str, Any]]:
        if parsed_args.log_dir is not None:
            path = base.folder(parsed_args)
            if not path.exists():
                raise exception.SourceNotFound(path=path)
        since, until = base.times(parsed_args)
        extra = backup(parsed_args)
        from openstack_rca import conf
        from openstack_rca.analysis import scope
        from openstack_rca.engine import local
        from openstack_rca.knowledge import similar
        conf.load()
        found = local.known(extra).search(
            parsed_args.question, parsed_args.limit, parsed_args.kinds,
            service=parsed_args.service, since=scope.naive(since),
            until=scope.naive(until))
        return [similar.described(item) for item in found]

    def _service(self, parsed_args: argparse.Namespace) -> list[
            dict[str, Any]]:
        from openstack_rca.osc import text as text_utils
        since, until = base.times(parsed_args)
        asked = {
            'kinds': parsed_args.kinds or None,
            'service': parsed_args.service, 'mode': parsed_args.mode,
            'since': since and since.isoformat(),
            'until': until and until.isoformat(), 'limit': parsed_args.limit}
        result = self.find('search', parsed_args,
                           question=parsed_args.question, **asked)
        index = result.get('index') or {}
        if index.get('problem'):
            self.log.warning('The index: %s',
                             text_utils.visible(index['problem']))
        found = result.get('found')
        return found if isinstance(found, list) else []


def add_knowledge_option(group: Any) -> None:
    """Add the option that names a backup."""
    group.add_argument(
        '--knowledge', metavar='<file>',
        help='Search the entries of this file too, which "knowledge export" '
             'wrote; works without a cloud')


def backup(parsed_args: argparse.Namespace) -> list['entries.Entry']:
    """The entries of the backup that was named."""
    if not parsed_args.knowledge:
        return []
    from openstack_rca.knowledge import similar
    if '\0' in parsed_args.knowledge:
        raise exception.InvalidInput('--knowledge: this is no file.')
    return similar.from_rows(list(read_backup(
        pathlib.Path(parsed_args.knowledge))))
