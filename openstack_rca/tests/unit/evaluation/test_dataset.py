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
"""Tests of reading benchmark datasets."""

import datetime
import json
import pathlib
from typing import Any

from openstack_rca import exception
from openstack_rca.evaluation import dataset
from openstack_rca.tests import base

_WINDOW = ['2018-09-12 08:50:46.873809', '2018-09-12 09:00:05']


class DatasetTest(base.TestCase):
    """Cases, and nothing of what is true of them."""

    def _write(self, *rows: Any) -> pathlib.Path:
        (self.tmp / 'cases.jsonl').write_text('\n'.join(
            row if isinstance(row, str) else json.dumps(row)
            for row in rows))
        return self.tmp

    def test_cases(self) -> None:
        folder = self._write(
            {'case_id': 'a', 'issue': 'broken', 'window': _WINDOW}, '',
            {'case_id': 'b', 'issue': None, 'window': _WINDOW})
        (folder / 'logs').mkdir()
        (folder / 'logs' / 'a.tar.xz').touch()
        failed, = dataset.read(folder, 'localization')
        self.assertEqual(('a', 'broken'), (failed.case_id, failed.issue))
        self.assertEqual(datetime.datetime(
            2018, 9, 12, 8, 50, 46, 873809, datetime.UTC), failed.since)
        self.assertEqual(folder / 'logs' / 'a.tar.xz', failed.archive)
        both = dataset.read(folder, 'detection')
        self.assertEqual(['a', 'b'], [case.case_id for case in both])
        self.assertEqual(folder / 'b.tar.xz', both[1].archive)

    def test_cases_without_a_window(self) -> None:
        folder = self._write({'case_id': 'a', 'issue': 'broken'})
        case, = dataset.read(folder, 'incidents')
        self.assertIsNone(case.since)
        self.assertRaises(exception.DatasetError, dataset.read, folder,
                          'detection')

    def test_truth_is_not_opened(self) -> None:
        folder = self._write({'case_id': 'a', 'issue': 'broken'})
        (folder / 'truth.jsonl').mkdir()
        self.assertEqual(1, len(dataset.read(folder, 'incidents')))

    def test_what_is_no_dataset(self) -> None:
        for row in ('{', '[]', '7', {'issue': 'x'},
                    {'case_id': '../a', 'issue': 'x'},
                    {'case_id': 'a/b', 'issue': 'x'},
                    {'case_id': 7, 'issue': 'x'},
                    {'case_id': 'a', 'issue': 7},
                    {'case_id': 'a', 'issue': 'x', 'window': ['soon', '?']},
                    {'case_id': 'a', 'issue': 'x', 'window': [1]},
                    '[' * 100000):
            folder = self._write(row)
            error = self.assertRaises(exception.DatasetError, dataset.read,
                                      folder, 'incidents')
            self.assertIn('line 1', str(error))

    def test_repeated_case(self) -> None:
        row = {'case_id': 'a', 'issue': 'x'}
        error = self.assertRaises(exception.DatasetError, dataset.read,
                                  self._write(row, row), 'incidents')
        self.assertIn('repeats', str(error))

    def test_no_case(self) -> None:
        folder = self._write({'case_id': 'a', 'issue': None})
        self.assertRaises(exception.DatasetError, dataset.read, folder,
                          'incidents')

    def test_no_folder_and_no_file(self) -> None:
        for folder in (self.tmp / 'no', self.tmp):
            self.assertRaises(exception.DatasetError, dataset.read, folder,
                              'incidents')

    def test_not_text(self) -> None:
        (self.tmp / 'cases.jsonl').write_bytes(b'\xff\xfe')
        self.assertRaises(exception.DatasetError, dataset.read, self.tmp,
                          'incidents')
