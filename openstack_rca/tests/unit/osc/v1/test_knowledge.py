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
"""Tests of the commands for knowledge, the index and questions."""

import io
import json
import pathlib
from typing import Any

import jsonschema

from openstack_rca.api import schemas
from openstack_rca.osc.v1 import ask
from openstack_rca.osc.v1 import index
from openstack_rca.osc.v1 import knowledge
from openstack_rca.tests.unit.api import base as api
from openstack_rca.tests.unit.osc.v1 import test_service
from openstack_rca.tests.unit.sdk import fake

HOSTILE = test_service.HOSTILE
LOGS = (pathlib.Path(__file__).parents[5] / 'examples' / 'no-valid-host'
        / 'logs')
KEPT = {'added': 1, 'kept': 2, 'removed': 3}


class _Case(test_service._Case):

    def _answers(self, method: str, path: str, *answers: Any,
                 code: int = 200) -> None:
        self.cloud.answers[method, path] = [
            (code, answer, {}) if not isinstance(answer, tuple) else answer
            for answer in answers]

    def _posted(self, path: str, schema: Any) -> list[Any]:
        """Bodies that the real service would take."""
        bodies = [body for target, body in self.cloud.calls('POST')
                  if target == path]
        for body in bodies:
            jsonschema.Draft202012Validator(schema).validate(body)
        return bodies


class ImportTest(_Case):
    command = knowledge.ImportKnowledge

    def _import(self, *words: str) -> list[Any]:
        self.shown = self._run(*words)
        return self._posted('/v1/knowledge', schemas.KNOWLEDGE_REQUEST)

    def _tree(self) -> pathlib.Path:
        tree = self.tmp / 'tree'
        (tree / 'deep').mkdir(parents=True)
        (tree / '.git').mkdir()
        (tree / 'a.rst').write_text('A\n=\n\ntext\n')
        (tree / 'deep' / 'b.MD').write_text('# B\n')
        for name in ('c.py', '.d.rst', '.git/e.rst'):
            (tree / name).write_text('text')
        (tree / 'link.rst').symlink_to('/etc/passwd')
        return tree

    def test_tree(self) -> None:
        self._answers('POST', '/v1/knowledge', KEPT, KEPT, code=201)
        bodies = self._import(str(self._tree()), '--service', 'nova',
                              '--tag', 'x', '--tag', 'y', '--url',
                              'https://docs.example/')
        self.assertEqual([
            {'name': f'tree/{name}', 'content': content, 'format': kind,
             'service': 'nova', 'tags': ['x', 'y'],
             'url': 'https://docs.example/'} for name, content, kind in (
                 ('a.rst', 'A\n=\n\ntext\n', 'rst'),
                 ('deep/b.MD', '# B\n', 'markdown'))], bodies)
        self.assertEqual('2 files: 2 entries added, 4 were there, '
                         '6 removed\n', self.shown)

    def test_one_file(self) -> None:
        self._answers('POST', '/v1/knowledge', KEPT, code=201)
        path = self.tmp / 'README'
        path.write_text('words')
        self.assertIn('--format', self._fails(str(path)))
        body, = self._import(str(path), '--format', 'text')
        self.assertEqual(('README', 'text'), (body['name'], body['format']))

    def test_what_cannot_be_imported(self) -> None:
        self._answers('POST', '/v1/knowledge', KEPT, fake.failure(
            400, 'It has 3000 sections.'), code=201)
        tree = self._tree()
        (tree / 'z.txt').write_bytes(b'\0')
        (tree / 'zz.txt').write_bytes('gr\xfc\xdf'.encode('latin-1'))
        (tree / 'zzz.txt').write_text(' \n')
        message = self._fails(str(tree))
        for said in ('tree/z.txt cannot be read: it is no text',
                     'tree/zz.txt cannot be read: byte 2 of it is no UTF-8',
                     'tree/zzz.txt cannot be read: it is empty',
                     'tree/deep/b.MD: It has 3000 sections.',
                     '4 of 5 files were not imported'):
            self.assertIn(said, message)

    def test_trouble_of_the_service_ends_it(self) -> None:
        self._answers('POST', '/v1/knowledge', fake.failure(
            409, 'This project has 9 entries.'))
        message = self._fails(str(self._tree()))
        self.assertIn('This project has 9 entries.', message)
        self.assertEqual(1, len(self.cloud.calls('POST')))

    def test_nothing_there(self) -> None:
        (self.tmp / 'empty').mkdir()
        self.assertIn('no document', self._fails(str(self.tmp / 'empty')))
        self.assertIn('no file and no folder',
                      self._fails(str(self.tmp / 'none')))
        self.assertIn('no name of a file', self._fails(''))
        self.assertEqual([], self.cloud.calls('POST'))

    def test_backup(self) -> None:
        self._answers('POST', '/v1/knowledge', KEPT, KEPT, code=201)
        path = self.tmp / 'backup.jsonl'
        rows = [api.ENTRY | {'title': str(number)} for number in range(201)]
        path.write_text('\n'.join(map(json.dumps, rows)) + '\n\n')
        first, second = self._import(str(path))
        self.assertEqual([200, 1], [len(first['entries']),
                                    len(second['entries'])])
        self.assertEqual(
            {'kind': 'document', 'title': '200', 'text': 'Map the hosts.',
             'source': 'cells.rst', 'service': 'nova', 'tags': ['cells']},
            second['entries'][0])

    def test_backup_that_is_none(self) -> None:
        path = self.tmp / 'backup.jsonl'
        for line in ('{', '[]', '{"kind": "row"}', '1' * 5000,
                     '{"kind": "document", "title": 1, "text": ""}',
                     '{"kind": "document", "title": "x"}', '[' * 100000):
            path.write_text(json.dumps(api.ENTRY) + '\n' + line + '\n')
            self._answers('POST', '/v1/knowledge', KEPT, code=201)
            self.assertIn('line 2 is no entry', self._fails(str(path)))


class ListTest(_Case):
    command = knowledge.ListKnowledge

    def test_list(self) -> None:
        row = api.ENTRY_SUMMARY | {'title': 'Cells' + HOSTILE}
        self._answers('GET', '/v1/knowledge', {'knowledge': [row]},
                      {'knowledge': [row]})
        shown = self._run('--kind', 'document', '--service', 'nova',
                          '--source', 'cells.rst', '--limit', '5')
        self.assertIn('Cells\\x1b[2Jgone', shown)
        self.assertNotIn('\x1b', shown)
        target, = (t for t, _body in self.cloud.calls('GET')
                   if 'knowledge' in t)
        for part in ('kind=document', 'service=nova', 'source=cells.rst',
                     'limit=5'):
            self.assertIn(part, target)
        self.assertEqual(row['title'], json.loads(
            self._run('-f', 'json'))[0]['Title'])

    def test_show_and_delete(self) -> None:
        path = f'/v1/knowledge/{api.ID}'
        self._answers('GET', path, api.ENTRY | {'text': 'a\nb' + HOSTILE},
                      fake.failure(404, 'There is no entry.'))
        shown = self._run(api.ID, command=knowledge.ShowKnowledge)
        self.assertNotIn('\x1b', shown)
        self.assertIn('cells.rst', shown)
        self.assertIn('openstack rca knowledge list', self._fails(
            api.ID, command=knowledge.ShowKnowledge))
        self._answers('DELETE', path, (204, None, {}),
                      fake.failure(404, 'There is no entry.'))
        self._run(api.ID, command=knowledge.DeleteKnowledge)
        self.assertIn('There is no entry.', self._fails(
            api.ID, command=knowledge.DeleteKnowledge))

    def test_export(self) -> None:
        path = self.tmp / 'backup.jsonl'
        self._answers('GET', '/v1/knowledge', {'knowledge': [api.ENTRY]},
                      {'knowledge': [api.ENTRY]})
        self._run('--output', str(path), command=knowledge.ExportKnowledge)
        self.assertEqual(api.ENTRY, json.loads(path.read_text()))
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        self.assertIn('texts=true', self.cloud.calls('GET')[-1][0])
        self.assertEqual(api.ENTRY, json.loads(self._run(
            command=knowledge.ExportKnowledge)))
        self.assertIn('does not exist', self._fails(
            '--output', str(self.tmp / 'no' / 'x'),
            command=knowledge.ExportKnowledge))


class SearchTest(_Case):
    command = knowledge.SearchKnowledge

    def test_service(self) -> None:
        self.cloud.results['search'] = {
            'found': [api.FOUND], 'index': api.HEALTH | {
                'problem': 'It was damaged.' + HOSTILE}}
        self._answers(
            'POST', '/v1/queries', api.QUERY | {'kind': 'search'}, code=202)
        self._answers('GET', f'/v1/queries/{api.ID}', api.QUERY | {
            'kind': 'search', 'status': 'complete',
            'result': self.cloud.results['search']})
        shown, warned = self._warned(
            'no valid host', '--kind', 'document', '--kind', 'incident',
            '--service', 'nova', '--since', '2026-11-21', '--mode', 'fast',
            '--limit', '5', '-f', 'json')
        row, = json.loads(shown)
        self.assertEqual((api.FOUND['title'], .5), (row['Title'],
                                                    row['Score']))
        self.assertEqual(['The index: It was damaged.\\x1b[2Jgone\\u202e'],
                         warned)
        body, = self._posted('/v1/queries', schemas.SEARCH_REQUEST)
        self.assertEqual({
            'kind': 'search', 'question': 'no valid host',
            'kinds': ['document', 'incident'], 'service': 'nova',
            'since': '2026-11-21T00:00:00+00:00', 'mode': 'fast',
            'limit': 5}, body)

    def test_without_a_cloud(self) -> None:
        path = self.tmp / 'backup.jsonl'
        path.write_text(json.dumps(api.ENTRY | {
            'kind': 'incident', 'title': 'Zebra' + HOSTILE,
            'text': 'crossing', 'resolution': 'paint'}) + '\n')
        for words in (('--knowledge', str(path)),
                      ('--log-dir', str(LOGS), '--knowledge', str(path))):
            row, = json.loads(self._run('zebra crossing', *words, '--kind',
                                        'incident', '-f', 'json'))
            self.assertEqual('paint', row['Resolution'])
            self.assertNotIn('\x1b', self._run('zebra crossing', *words))
        self.assertTrue(json.loads(self._run(
            'no valid host', '--log-dir', str(LOGS), '-f', 'json')))
        # Those of nova-scheduler are about nova, too.
        self.assertIn('nova-no-valid-host-placement', self._run(
            'no valid host', '--log-dir', str(LOGS), '--service', 'nova'))
        shown, warned = self._warned('zebra', '--log-dir', str(LOGS),
                                     '-f', 'json')
        self.assertEqual(([], ['Nothing that is known fits this.']),
                         (json.loads(shown), warned))
        self.assertEqual([], self.cloud.asked)

    def test_mistakes(self) -> None:
        for words, said in (
                ((' ',), 'no word'), (('x', '--limit', '101'), '100 at most'),
                (('x', '--log-dir', str(self.tmp / 'no')), 'does not exist'),
                (('x', '--knowledge', str(self.tmp / 'no')), 'No such file'),
                (('x', '--log-dir', str(LOGS), '--wait-timeout', '5'),
                 'for the service only'),
                (('x', '--knowledge', str(self.tmp)), 'cannot be read')):
            self.assertIn(said, self._fails(*words))


class IndexTest(_Case):
    command = index.RebuildIndex

    def test_all_of_them(self) -> None:
        for command, action in (
                (index.ShowIndexStatus, 'status'),
                (index.VerifyIndex, 'verify'),
                (index.RebuildIndex, 'rebuild'),
                (index.ClearIndex, 'clear')):
            self._answers('POST', '/v1/index', api.QUERY | {'kind': 'index'},
                          code=202)
            self._answers('GET', f'/v1/queries/{api.ID}', api.QUERY | {
                'kind': 'index', 'status': 'complete', 'result': {
                    'host': 'ctl1', 'index': api.HEALTH}})
            shown = json.loads(self._run('-f', 'json', command=command))
            self.assertEqual(api.HEALTH | {'host': 'ctl1'}, shown)
            self.assertEqual({'action': action}, self._posted(
                '/v1/index', schemas.INDEX_REQUEST)[-1])

    def test_trouble(self) -> None:
        self._answers('POST', '/v1/index', api.QUERY | {'kind': 'index'},
                      api.QUERY | {'kind': 'index'}, code=202)
        self._answers('GET', f'/v1/queries/{api.ID}', api.QUERY | {
            'kind': 'index', 'status': 'failed', 'error': {
                'code': 409, 'title': 'x', 'message': 'Another process.'}},
            *[api.QUERY | {'kind': 'index'}] * 9)
        self.assertIn('Another process.', self._fails())
        self.assertIn('still queued', self._fails('--wait-timeout', '1'))


ANSWER: dict[str, Any] = {
    'text': 'The logs say to this:\n- nova: no host' + HOSTILE + ' [E1]',
    'backend': 'none', 'scope': {}, 'statistics': {'seconds': 0.1},
    'evidence': [{'id': 'E1', 'source': 'nova.log', 'line': 7,
                  'text': 'no host'}],
    'knowledge': [api.FOUND | {'number': 'K1', 'url': 'http://x/' + HOSTILE}]}


class AskTest(_Case):
    command = ask.Ask

    def _told(self, *answers: dict[str, Any]) -> None:
        path = f'/v1/analyses/{api.ID}/questions'
        self._answers('POST', path, *[api.MESSAGE] * len(answers), code=202)
        self._answers('GET', f'{path}/{api.OTHER_ID}', *(
            api.MESSAGE | answer for answer in answers))

    def _asked(self) -> list[Any]:
        return self._posted(f'/v1/analyses/{api.ID}/questions',
                            schemas.QUESTION_REQUEST)

    def test_service(self) -> None:
        self._told({'status': 'complete', 'answer': ANSWER})
        shown = self._run(api.ID, ' and then? ', '--mode', 'fast')
        self.assertIn('no host\\x1b[2Jgone', shown)
        self.assertIn('nova.log:7', shown)
        self.assertNotIn('\x1b', shown)
        self.assertEqual([{'question': 'and then?', 'mode': 'fast'}],
                         self._asked())

    def test_json(self) -> None:
        self._told({'status': 'complete', 'answer': ANSWER})
        self.assertEqual(ANSWER, json.loads(self._run(
            api.ID, 'why?', '-f', 'json')))

    def test_failure(self) -> None:
        self._told({'status': 'failed', 'error': {
            'code': 500, 'title': 'x', 'message': 'No log.' + HOSTILE}})
        self.assertIn('No log.', self._fails(api.ID, 'why?'))

    def test_nobody_answers(self) -> None:
        self._told(*[{'status': 'queued'}] * 9)
        self.assertIn('openstack-rca-engine', self._fails(
            api.ID, 'why?', '--wait-timeout', '1'))

    def _report(self) -> str:
        path = self.tmp / 'report.json'
        path.write_text(json.dumps({'verdict': 'cause_found', 'scope': {},
                                    'evidence': [], 'hypotheses': []}))
        return str(path)

    def test_without_a_cloud(self) -> None:
        shown = self._run('--report', self._report(), '--log-dir', str(LOGS),
                          '--no-cache', 'what did placement answer?')
        self.assertIn('Got no allocation candidates', shown)
        self.assertIn('WHERE IT STANDS', shown)
        self.assertEqual([], self.cloud.asked)

    def test_mistakes(self) -> None:
        report, logs = self._report(), str(LOGS)
        for words in ((api.ID, '--report', report, '--log-dir', logs),
                      (api.ID, '--log-dir', logs), ('--report', report), ()):
            self.assertIn('Name either an analysis',
                          self._fails(*words, 'why?'))
        self.assertIn('--knowledge', self._fails(
            api.ID, 'why?', '--knowledge', report))
        self.assertIn('no question', self._fails(api.ID, ' '))
        self.assertIn('no report', self._fails(
            '--report', str(LOGS / 'nova-api.log'), '--log-dir', logs,
            'why?'))

    def test_words_of_a_model(self) -> None:
        self._told({'status': 'complete', 'answer': ANSWER | {
            'backend': 'openai', 'model': 'qwen' + HOSTILE, 'claims': [{}],
            'dropped': [{}], 'skipped': []}})
        shown = self._run(api.ID, 'why?')
        self.assertIn('Written by qwen', shown)
        self.assertNotIn('\x1b', shown)

    def test_model_that_was_not_used(self) -> None:
        self._told({'status': 'complete', 'answer': ANSWER | {'skipped': [{
            'source': 'language model openai',
            'reason': 'the server answers 401.'}]}})
        self.assertIn('language model openai: the server answers 401.',
                      self._run(api.ID, 'why?'))

    def test_dry_run(self) -> None:
        words = ('--report', self._report(), '--log-dir', str(LOGS),
                 '--no-cache', 'what did placement answer?', '--dry-run-llm')
        self.assertIn('asks nobody', json.loads(self._run(*words))['reason'])
        home = self.tmp / 'home'
        (home / '.openstack-rca').mkdir(parents=True)
        (home / '.openstack-rca' / 'openstack-rca.conf').write_text(
            '[llm]\nbackend = openai\nmodel = m\n'
            'base_url = http://127.0.0.1:9/v1\n')
        self._env('HOME', str(home))
        told = json.loads(self._run(*words))
        self.assertIn('what did placement answer?', str(told['body']))
        self.assertIn('Got no allocation candidates', str(told['body']))
        self.assertIn('No event', json.loads(self._run(
            *words[:-2], 'zebra crossing?', '--dry-run-llm'))['reason'])
        self.assertIn('--log-dir', self._fails(api.ID, 'why?',
                                               '--dry-run-llm'))

    def test_chat(self) -> None:
        self._told({'status': 'complete', 'answer': ANSWER},
                   {'status': 'complete', 'answer': ANSWER})
        self.app.stdin = io.StringIO('why?\n\n  and then? \nexit\nnever\n')
        shown = self._run(api.ID, command=ask.Chat)
        self.assertEqual(2, shown.count('WHERE IT STANDS'))
        self.assertNotIn('ask>', shown)
        self.assertEqual(['why?', 'and then?'],
                         [body['question'] for body in self._asked()])

    def test_chat_on_a_terminal(self) -> None:
        self._told({'status': 'complete', 'answer': ANSWER})
        self.app.stdin = test_service._Terminal('why?\n')
        shown = self._run(api.ID, command=ask.Chat)
        self.assertEqual(2, shown.count('ask> '))
        self.assertTrue(shown.endswith('\n'))
