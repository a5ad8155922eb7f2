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
"""Tests for reading what comes in."""

import datetime
import json

import hypothesis
from hypothesis import strategies

from openstack_rca import exception
from openstack_rca.api import validation
from openstack_rca.tests import base

JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(
        -2**53, 2**53) | strategies.text(strategies.characters(
            exclude_categories=['Cs'], exclude_characters='\x00')),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(
        strategies.text(strategies.characters(
            exclude_categories=['Cs'], exclude_characters='\x00')), inner),
    max_leaves=20)


class TestMoment(base.TestCase):

    def test_offsets(self) -> None:
        expected = datetime.datetime(2026, 11, 21, 3, tzinfo=datetime.UTC)
        for text in ('2026-11-21T03:00:00Z', '2026-11-21t03:00:00z',
                     '2026-11-21T03:00:00+00:00', '2026-11-21T03:00:00-00:00',
                     '2026-11-21T04:30:00.000+01:30',
                     '2026-11-20T22:00:00.000000000-05:00'):
            found = validation.moment(text)
            self.assertEqual(expected, found)
            self.assertEqual(datetime.UTC, found.tzinfo)

    def test_leap_second(self) -> None:
        self.assertEqual(
            datetime.datetime(2017, 1, 1, tzinfo=datetime.UTC),
            validation.moment('2016-12-31T23:59:60Z'))

    def test_fractions(self) -> None:
        self.assertEqual(
            123456, validation.moment(
                '2026-11-21T03:00:00.123456789Z').microsecond)

    def test_what_is_none(self) -> None:
        for text in ('', 'now', '2026-11-21', '2026-11-21T03:00:00',
                     '2026-11-21 03:00:00Z', '20261121T030000Z',
                     '2026-11-21T03:00Z', '2026-11-21T24:00:00Z',
                     '2026-02-30T03:00:00Z', '2026-11-21T03:00:61Z',
                     '2026-11-21T03:00:00+25:00', '0000-01-01T00:00:00Z',
                     '0001-01-01T00:00:00+00:01',
                     '9999-12-31T23:59:60Z',
                     '9999-12-31T23:59:59-00:01',
                     '٢٠٢٦-11-21T03:00:00Z', '2026-11-21T03:00:00Z\n'):
            self.assertRaises(ValueError, validation.moment, text)

    @hypothesis.given(strategies.text())
    def test_any_text(self, text: str) -> None:
        try:
            validation.moment(text)
        except ValueError:
            return
        self.fail(f'{text!r} was taken for a time')


class TestParse(base.TestCase):

    @hypothesis.given(JSON)
    def test_json_is_read(self, document: object) -> None:
        for text in (json.dumps(document),
                     json.dumps(document, ensure_ascii=False)):
            self.assertEqual(document, validation.parse(text.encode()))

    @hypothesis.given(strategies.binary())
    def test_bytes(self, data: bytes) -> None:
        try:
            validation.parse(data)
        except exception.InvalidInput as error:
            self.assertLess(len(str(error)), 300)

    @hypothesis.given(strategies.text(
        '{}[]",:0123456789.eE+-\\u\ud800 ntrflsaNI\x00', max_size=60))
    def test_nearly_json(self, text: str) -> None:
        try:
            validation.parse(text.encode(errors='surrogatepass'))
        except exception.InvalidInput as error:
            self.assertLess(len(str(error)), 300)
