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
"""Tests for what is known."""

from openstack_rca import exception
from openstack_rca.tests.unit.api import base


class TestKnowledge(base.APITestCase):

    def setUp(self) -> None:
        super().setUp()
        self.kept = {'added': 1, 'kept': 0, 'removed': 0}
        self.knowledge.put.return_value = self.kept

    def test_document(self) -> None:
        answer = self.call('POST', '/v1/knowledge', {
            'name': 'admin/cells.rst', 'service': 'nova', 'tags': ['cells'],
            'url': 'https://docs.example/cells',
            'content': 'Cells\n=====\n\nMap the hosts.\n'})
        self.assertEqual((201, self.kept), (answer.code, answer.json))
        self.knowledge.put.assert_called_once_with(
            base.PROJECT, base.USER, [{
                'kind': 'document', 'title': 'Cells',
                'text': 'Map the hosts.', 'source': 'admin/cells.rst',
                'service': 'nova', 'tags': ['cells'],
                'url': 'https://docs.example/cells'}], 'admin/cells.rst')

    def test_format(self) -> None:
        for more in ({'name': 'notes.html'},
                     {'name': 'notes', 'format': 'html'}):
            self.call('POST', '/v1/knowledge', {
                'content': '<h1>A</h1><script>x</script><p>B', **more})
            (_project, _user, (values,), source), _more = (
                self.knowledge.put.call_args)
            self.assertEqual(('A', 'B', more['name']), (
                values['title'], values['text'], source))

    def test_entries(self) -> None:
        entry = {'kind': 'incident', 'title': 'T', 'text': 'x',
                 'incident_id': base.ID, 'resolution': 'restart'}
        self.assertEqual(201, self.call(
            'POST', '/v1/knowledge', {'entries': [entry]}).code)
        self.knowledge.put.assert_called_once_with(
            base.PROJECT, base.USER, [entry], None)

    def test_document_that_says_nothing_any_more(self) -> None:
        self.assertEqual(201, self.call('POST', '/v1/knowledge', {
            'name': 'index.rst',
            'content': '.. toctree::\n\n   cells\n'}).code)
        self.knowledge.put.assert_called_once_with(
            base.PROJECT, base.USER, [], 'index.rst')

    def test_bad_fields(self) -> None:
        self.config(group='api', max_body=4 << 20)
        entry = {'kind': 'document', 'title': 'T', 'text': 'x'}
        for body, said in (
                ({}, 'either name and content'),
                ({'name': 'x.rst'}, 'either name and content'),
                ({'name': 'x.rst', 'content': 'x', 'entries': [entry]},
                 'either name and content'),
                ({'entries': [entry], 'tags': ['x']}, 'either name'),
                ({'entries': []}, 'entries: there are none'),
                ({'entries': [entry | {'kind': 'signature'}]},
                 'entries[0].kind: must be one of document'),
                ({'entries': [entry | {'project_id': 'x'}]},
                 "'project_id' is not known"),
                ({'entries': [entry] * 1001}, '1001 entries are too many'),
                ({'name': 'x', 'content': 'x'}, 'format: is missing'),
                ({'name': 'x', 'content': 'x', 'format': 'pdf'},
                 'format: must be one of rst'),
                ({'name': 'x.rst', 'content': 'x', 'url': 'file:///etc'},
                 'url: must be an address'),
                ({'name': 'x.txt', 'content': 'x' * (1 << 20) + 'y'},
                 '1048577 characters are too many')):
            self.assert_error(400, self.call('POST', '/v1/knowledge', body),
                              said)
        self.knowledge.put.assert_not_called()

    def test_too_many(self) -> None:
        self.knowledge.put.side_effect = exception.Conflict(reason='Full.')
        self.assert_error(409, self.call('POST', '/v1/knowledge', {
            'name': 'x.txt', 'content': 'x'}), 'Full.')

    def test_list(self) -> None:
        self.knowledge.entry_list.return_value = (
            [base.ENTRY_SUMMARY], False)
        answer = self.call('GET', '/v1/knowledge?kind=document&texts=true')
        self.assertEqual((200, {'knowledge': [base.ENTRY_SUMMARY]}),
                         (answer.code, answer.json))
        self.knowledge.entry_list.assert_called_once_with(
            base.PROJECT, 100, marker=None, kind='document', service=None,
            source=None, whole=True)
        self.assert_error(400, self.call('GET', '/v1/knowledge?texts=1'),
                          'texts: must be one of true, false')

    def test_show_and_delete(self) -> None:
        self.knowledge.entry_get.return_value = base.ENTRY
        answer = self.call('GET', f'/v1/knowledge/{base.ID}')
        self.assertEqual((200, base.ENTRY), (answer.code, answer.json))
        self.knowledge.entry_get.assert_called_once_with(
            base.PROJECT, base.ID)
        self.assertEqual(204, self.call(
            'DELETE', f'/v1/knowledge/{base.ID}').code)
        self.knowledge.entry_delete.assert_called_once_with(
            base.PROJECT, base.ID)
        self.assert_error(404, self.call('GET', '/v1/knowledge/x'))


class TestIndex(base.APITestCase):

    def test_change(self) -> None:
        job = base.QUERY | {'kind': 'index'}
        self.db.query_create.return_value = job
        answer = self.call('POST', '/v1/index', {'action': 'verify'},
                           host='rca.example')
        self.assertEqual((202, job), (answer.code, answer.json))
        self.assertEqual(f'http://rca.example/v1/queries/{base.ID}',
                         answer.headers['location'])
        self.db.query_create.assert_called_once_with(
            base.PROJECT, base.USER, 'index', {'action': 'verify'}, 1000)
        self.nudge.assert_called_once_with(base.ID)
        self.assert_error(400, self.call('POST', '/v1/index', {
            'action': 'burn'}), 'action: must be one of status, verify')

    def test_list(self) -> None:
        self.db.query_list.return_value = ([], False)
        answer = self.call('GET', '/v1/index?status=complete')
        self.assertEqual((200, {'index': []}), (answer.code, answer.json))
        self.db.query_list.assert_called_once_with(
            base.PROJECT, 100, marker=None, status='complete', kind='index')
