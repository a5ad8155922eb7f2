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
"""``openstack rca incident``: troubles, from open to resolved."""

import argparse
from collections.abc import Iterable
import datetime
from typing import Any

from openstack_rca import exception
from openstack_rca.osc.v1 import base

_COLUMNS = (('ID', 'id'), ('Status', 'status'), ('Severity', 'severity'),
            ('Component', 'component'), ('Host', 'host'), ('Title', 'title'),
            ('Symptoms', 'symptoms'), ('Last Seen', 'last_seen'),
            ('Created At', 'created_at'))
_LONG = (('Category', 'category'), ('Confidence', 'confidence'),
         ('Summary', 'summary'), ('Analysis ID', 'analysis_id'),
         ('Origin', 'origin'), ('First Seen', 'first_seen'),
         ('Reopened', 'reopened'), ('Updated At', 'updated_at'),
         ('Acknowledged At', 'acknowledged_at'),
         ('Acknowledged By', 'acknowledged_by'),
         ('Resolved At', 'resolved_at'), ('Resolved By', 'resolved_by'),
         ('Suppressed Until', 'suppressed_until'),
         ('Suppressed By', 'suppressed_by'), ('Resolution', 'resolution'),
         ('Merged Into', 'merged_into'))
#: Fields of one incident, in the order of its life.
_FIELDS = ('id', 'status', 'title', 'summary', 'severity', 'component',
           'category', 'host', 'confidence', 'analysis_id', 'project_id',
           'origin', 'symptoms', 'first_seen', 'last_seen', 'created_at',
           'updated_at', 'acknowledged_at', 'acknowledged_by', 'resolved_at',
           'resolved_by', 'reopened', 'suppressed_until', 'suppressed_by',
           'resolution', 'merged_into')


class ListIncidents(base.Lister):
    """List incidents of the project, newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        base.add_page_options(parser)
        parser.add_argument(
            '--status',
            choices=('open', 'acknowledged', 'resolved', 'suppressed'),
            help='Only incidents in this state, and also those that turned '
                 'out to be a part of another one')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], Iterable[tuple[Any, ...]]]:
        """List the incidents, see cliff."""
        from openstack_rca.osc.v1 import columns
        found = base.page(self.client().incidents, parsed_args,
                          status=parsed_args.status)
        shown = _COLUMNS + (_LONG if columns.all_wanted(parsed_args) else ())
        return columns.rows(found, shown, parsed_args.formatter)


class ShowIncident(base.ShowOne):
    """Show an incident; "rca analysis show" has the report of it"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('incident', metavar='<incident-id>',
                            type=base.identifier, help='Incident (id)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[
            tuple[str, ...], tuple[Any, ...]]:
        """Show the incident, see cliff."""
        from openstack_rca.osc.v1 import columns
        found = self.client().get_incident(parsed_args.incident)
        return _FIELDS, tuple(
            columns.cell(found[name], parsed_args.formatter)
            for name in _FIELDS)


class AcknowledgeIncident(base.RCACommand):
    """Take incidents on: somebody is at them"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('incidents', metavar='<incident-id>', nargs='+',
                            type=base.identifier,
                            help='Incident to acknowledge (id)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Acknowledge the incidents, see cliff."""
        base.each(parsed_args.incidents, self.client().acknowledge_incident,
                  'acknowledged', 'incidents')


class ResolveIncident(base.RCACommand):
    """Close incidents, with what solved them"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('incidents', metavar='<incident-id>', nargs='+',
                            type=base.identifier,
                            help='Incident to resolve (id)')
        parser.add_argument(
            '--resolution', metavar='<text>',
            help='What solved it: the next one who meets it will be glad')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Resolve the incidents, see cliff."""
        from openstack_rca.osc import text as text_utils
        client = self.client()
        resolution = (None if parsed_args.resolution is None
                      else text_utils.sound(parsed_args.resolution))
        base.each(parsed_args.incidents,
                  lambda name: client.resolve_incident(name, resolution),
                  'resolved', 'incidents')


class SuppressIncident(base.RCACommand):
    """Have engines be silent about known noise

    What the same messages say from now on is kept with the incident. It
    opens none, asks for no analysis and tells nobody. "rca incident
    resolve" ends this.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Build the parser, see cliff."""
        parser = super().get_parser(prog_name)
        parser.add_argument('incidents', metavar='<incident-id>', nargs='+',
                            type=base.identifier,
                            help='Incident to suppress (id)')
        end = parser.add_mutually_exclusive_group()
        end.add_argument(
            '--for', metavar='<span>', dest='span',
            help='How long, such as 90m, 12h or 7d, default: for good')
        end.add_argument(
            '--until', metavar='<time>',
            help='Until when: "2026-11-28 03:00" or an ISO 8601 time')
        parser.add_argument(
            '--timezone', metavar='<zone>',
            help='Time zone of --until, default: UTC')
        parser.add_argument(
            '--reason', metavar='<text>',
            help='Why: the next one who looks for silence will be glad')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Suppress the incidents, see cliff."""
        from openstack_rca.osc import text as text_utils
        client = self.client()
        until = _end(parsed_args)
        reason = (None if parsed_args.reason is None
                  else text_utils.sound(parsed_args.reason))
        base.each(parsed_args.incidents,
                  lambda name: client.suppress_incident(name, until, reason),
                  'suppressed', 'incidents')


def _end(parsed_args: argparse.Namespace) -> str | None:
    """When incidents are suppressed no longer.

    :raises InvalidInput: it cannot be understood, or is over already
    """
    if parsed_args.span is None and parsed_args.until is None:
        return None
    from openstack_rca.analysis import scope
    now = datetime.datetime.now(datetime.UTC)
    if parsed_args.span is not None:
        return (now + scope.parse_span(parsed_args.span)).isoformat()
    until = scope.parse_time(parsed_args.until,
                             parsed_args.timezone or 'UTC', now)
    if until <= now:
        raise exception.InvalidInput(
            reason=f'--until ({until:%Y-%m-%d %H:%M:%S} UTC) is over '
                   'already. Name a later time, or a span with --for.')
    return until.isoformat()
