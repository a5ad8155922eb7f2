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
"""What there is to do, for those who watch the engine."""

import collections

import sqlalchemy as sa

from openstack_rca.db import models
from openstack_rca.db import outbox
from openstack_rca.db import rows
from openstack_rca.db import session

#: The values of one name, by those of its labels.
Gauge = dict[tuple[str, ...], int]


@session.guarded
def gauges() -> dict[str, Gauge]:
    """Count what waits and what goes on, in all projects.

    What is over is not counted: there is more of it every day.

    :returns: ``jobs`` by kind and state, ``incidents`` by status and
        severity, and ``outbox`` by target
    :raises DatabaseUnavailable: the database cannot be used
    """
    jobs, incidents, out = models.JOBS, models.INCIDENTS, models.OUTBOX
    found: dict[str, Gauge] = collections.defaultdict(dict)
    with session.reader() as connection:
        for name, table, by, counted in (
                ('jobs', jobs, (jobs.c.kind, jobs.c.state),
                 jobs.c.state.in_(rows.UNFINISHED)),
                ('incidents', incidents,
                 (incidents.c.status, incidents.c.severity),
                 incidents.c.status.in_(('open', 'acknowledged'))),
                ('outbox', out, (out.c.target,),
                 out.c.state == outbox.WAITING)):
            found[name] = {
                tuple(value or '' for value in labels): int(count)
                for *labels, count in connection.execute(sa.select(
                    *by, sa.func.count()).select_from(table).where(
                        counted).group_by(*by))}
    return found
