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
"""What is known, through the whole service."""

import json

from openstack_rca.tests.functional import service_case


class TestKnowledge(service_case.ServiceCase):
    """Import, search, learn, ask back."""

    def setUp(self) -> None:
        super().setUp()
        self.own_service(learned=True)

    def _embedded(self) -> bool:
        told = self.rca_json('index', 'status')
        self.assertIsNone(told['problem'])
        return bool(told['entries'] == told['embedded'] == told['ready'])

    def test_life_of_knowledge(self) -> None:
        tree = self.tmp / 'runbooks'
        (tree / 'deep').mkdir(parents=True)
        (tree / 'index.rst').write_text(
            'Runbooks\n========\n\n.. toctree::\n\n   deep/rabbit\n')
        (tree / 'deep' / 'rabbit.md').write_text(
            '# Rabbits\n\n## Too many carrots\n\nEmpty the warren by hand, '
            'then start the burrow again.\n')
        (tree / 'deep' / 'host.html').write_text(
            '<h1>Hosts</h1><script>x</script><p>Ask placement for the '
            'inventories of a host.</p>')
        (tree / 'deep' / 'binary.txt').write_bytes(b'\0\1\2')
        told = self.refused_in_part('knowledge', 'import', str(tree),
                                    '--service', 'nova')
        self.assertIn('binary.txt', told)
        self.assertIn('1 of 4 files', told)
        listed = self.rca_json('knowledge', 'list')
        self.assertEqual({'runbooks/deep/rabbit.md',
                          'runbooks/deep/host.html'},
                         {row['Source'] for row in listed})
        # Words find it at once, and meaning a little later.
        first = self.rca_json('knowledge', 'search',
                              'carrots in the warren')[0]
        self.assertEqual('Rabbits: Too many carrots', first['Title'])
        shown = self.rca_json('knowledge', 'show', first['ID'])
        self.assertIn('Empty the warren', shown['text'])
        self.wait_for('all is embedded', self._embedded)
        found = self.rca_json('knowledge', 'search',
                              'which resources does a hypervisor have',
                              '--kind', 'document')
        self.assertEqual('Hosts', found[0]['Title'])

        # An incident that is resolved is found, and named in the next report.
        words = ('analyze', '--issue', service_case.ISSUE, '--incident')
        report = self.rca_json(*words)
        self.rca('incident', 'resolve', report['incident_id'],
                 '--resolution', 'added the host cmp9')
        found = self.rca_json('knowledge', 'search', 'no valid host',
                              '--kind', 'incident')
        self.assertEqual(['added the host cmp9'],
                         [row['Resolution'] for row in found])
        again = self.rca_json(*words)
        self.assertIn('added the host cmp9', [
            s['resolution'] for s in again['similar']])
        self.assertIn('added the host cmp9', self.rca(
            'analysis', 'show', again['id']))
        self.rca('analysis', 'rate', again['id'], '--wrong', '--cause',
                 'the quota of the placement table')
        self.assertEqual('the quota of the placement table', self.rca_json(
            'knowledge', 'list', '--kind', 'analysis')[0]['Title'])

        # Asking back.
        answer = self.rca_json('ask', again['id'],
                               'what did placement answer?')
        self.assertIn('Got no allocation candidates', answer['text'])
        page = self.ask('GET', f'/v1/analyses/{again["id"]}/questions',
                        200).json()
        self.assertEqual(['what did placement answer?'],
                         [m['question'] for m in page['questions']])
        self.assertEqual(answer, page['questions'][0]['answer'])

        # Another project sees nothing of all this.
        for path in (f'/v1/knowledge/{first["ID"]}',
                     f'/v1/analyses/{again["id"]}/questions'):
            self.ask('GET', path, 404, user='other-admin')
        self.assertEqual({'knowledge': []}, self.ask(
            'GET', '/v1/knowledge', 200, user='other-admin').json())

        # The backup brings everything back.
        backup = self.tmp / 'backup.jsonl'
        self.rca('knowledge', 'export', '--output', str(backup))
        lines = [json.loads(line)
                 for line in backup.read_text().splitlines()]
        self.assertEqual(4, len(lines))
        self.assertEqual(0o600, backup.stat().st_mode & 0o777)
        self.rca('knowledge', 'delete', *(line['id'] for line in lines))
        self.assertEqual([], self.rca_json('knowledge', 'list'))
        self.rca('knowledge', 'import', str(backup))
        self.assertEqual(
            sorted(line['title'] for line in lines),
            sorted(row['Title'] for row in self.rca_json(
                'knowledge', 'list')))

        # The index is a cache.
        self.rca('index', 'clear')
        self.rca('index', 'rebuild')
        self.assertTrue(self._embedded())
        self.assertIsNone(self.rca_json('index', 'verify')['problem'])
        jobs = self.ask('GET', '/v1/index', 200).json()['index']
        self.assertIn('rebuild', [j['request']['action'] for j in jobs])

    def refused_in_part(self, *words: str) -> str:
        """Run a command that does what it can.

        :returns: what it complains of
        """
        return self.end(self.command(*words), status=1)[1]
