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
"""``openstack rca index``: the cache that searches use."""

import argparse
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base

_FIELDS = ('host', 'driver', 'model', 'entries', 'ready', 'embedded',
           'bytes', 'problem')


class _IndexCommand(base.ShowOne):
    """Does something to the index of an engine, and shows it."""

    action = 'status'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_wait_options(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        """Have it done, see cliff."""
        from openstack import exceptions as sdk

        from openstack_rca.osc import text as text_utils
        from openstack_rca.osc.v1 import columns
        client = self.client()
        job = client.change_index(self.action)
        timeout = parsed_args.wait_timeout or base.WAIT_TIMEOUT
        try:
            done = base.wait(client.wait_for_query, job.id, timeout)
        except sdk.ResourceTimeout as exc:
            raise exception.RCAException(
                f'The work on the index is still {exc.extra_data.status} '
                f'after {text_utils.plural(timeout, "second")}, and goes '
                'on.') from exc
        except sdk.ResourceFailure as exc:
            raise exception.RCAException(
                base.reason(exc.extra_data)) from exc
        result = done.result if isinstance(done.result, dict) else {}
        shown = {'host': result.get('host'), **(result.get('index') or {})}
        return _FIELDS, tuple(
            columns.cell(shown.get(name), parsed_args.formatter)
            for name in _FIELDS)


class ShowIndexStatus(_IndexCommand):
    """Show how much of what is known is in the index of an engine"""


class VerifyIndex(_IndexCommand):
    """Read the whole index, and mend what is damaged or missing"""

    action = 'verify'


class RebuildIndex(_IndexCommand):
    """Make the index anew; nothing is lost meanwhile"""

    action = 'rebuild'


class ClearIndex(_IndexCommand):
    """Give up what the index keeps on disk; it is made again later"""

    action = 'clear'
